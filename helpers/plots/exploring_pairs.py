"""A picture that one can ask about pairs of sub-clusters."""

from html import escape
from typing import Any

import pandas as pd

from helpers.measures import CASES
from helpers.plots.explorer import Axis, Explorer, Group, Item, choice, explorer, filled_by, points
from helpers.plots.style import subcluster_names

_ROW_HEIGHT = 3.4
"""Of the graph, in units of the text's size; a row for each cluster."""

_LINES = {"neither": "", "Y given X": "open", "X given Y": "heard"}
"""Classes of the lines of each case, as in `plots.dependency_graph`."""

_WIDTH, _HEIGHT = 96, 18

_ROOM = 24
"""Pixels between zero and a number at an end of the scale, so that both can be read."""


def dependency_explorer(
    table: pd.DataFrame, kinds: pd.DataFrame, interactions: pd.DataFrame
) -> Explorer:
    """Draw which important sub-clusters depend on which, so that a reader can ask about each.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `measures.dependency_table`: what the paper's rule says of each pair.
    kinds : pandas.DataFrame
        Of `measures.taxonomy`. Only important sub-clusters are drawn.
    interactions : pandas.DataFrame
        Of `measures.interaction`, for the pairs of `table`.

    Returns
    -------
    Explorer
        The graph of `plots.dependency_graph`, and of a sub-cluster its pairs: what the partner's
        lesion costs alone, what both cost, in percentage points of accuracy; their interaction
        in logits, beside that of matched sets; and what is said of them.

    Raises
    ------
    ValueError
        If the pairs of `table` and `interactions` are not the same.
    """
    pair = ["x_layer", "x_cluster", "y_layer", "y_cluster"]
    if set(table[pair].itertuples(index=False)) != set(interactions[pair].itertuples(index=False)):
        raise ValueError("interactions: they are of other pairs than table")
    if not len(table):
        return Explorer("<p>No two important sub-clusters are joined by a path: no pairs.</p>")
    nodes = kinds[kinds["kind"] == "important"]
    found = table.merge(interactions.drop(columns="within"), on=pair)
    columns = [str(each) for each in found]
    pairs = [dict(zip(columns, row, strict=True)) for row in found.itertuples(index=False)]
    names = dict(
        zip(
            nodes[["layer", "cluster"]].itertuples(index=False, name=None),
            subcluster_names(kinds)[nodes.index],
            strict=True,
        )
    )
    damage = dict(zip(names, 100 * nodes["damage"], strict=True))
    axis = _common_axis(pairs)
    items = [
        Item(
            {
                "said": _said(node, names, damage, pairs),
                "rows": "".join(_row(node, names, damage, each, axis) for each in pairs),
            },
            kin=str(i),
        )
        for i, node in enumerate(names)
    ]
    n_pairs = [sum(node in _ends(each) for each in pairs) for node in names]
    drawing = _graph(list(kinds["layer"].unique()), names, pairs)
    first = max(range(len(items)), key=lambda i: (n_pairs[i], list(damage.values())[i]))
    said = filled_by("said", "p", class_="said", **{"aria-live": "polite"})
    heads = (
        "<th>with</th><th>alone</th><th>both</th>"
        f'<th class="wide">interaction</th><th>in logits<br>{_scale(axis)}</th><th>finding</th>'
    )
    body = filled_by("rows", "tbody")
    return explorer(
        "Dependency explorer: a sub-cluster's pairs, what their lesions cost alone and together, "
        "and how they interact",
        "Network",
        [Group("network", drawing, items, first)],
        "{drawings}" + said + f"<table><thead><tr>{heads}</tr></thead>{body}</table>"
        '<p class="note">Alone: points of accuracy that the partner’s lesion costs. Both: what '
        "both cost together. Orange: the interaction of the two lesions, in logits; grey: "
        "that of sets that are missed as much as the earlier of the two, 95 % of them, with "
        "their median. To the "
        "right, each is useless without the other, as links of a chain; to the left, each can "
        "replace the other.</p>",
    )


def _ends(pair: dict[str, Any]) -> tuple[tuple[str, int], tuple[str, int]]:
    return (pair["x_layer"], pair["x_cluster"]), (pair["y_layer"], pair["y_cluster"])


def _common_axis(pairs: list[dict[str, Any]]) -> Axis:
    """Return an axis that holds the interactions of all pairs, and of their matched sets."""
    columns = ("interaction", "matched_low", "matched_high")
    values = [each[name] for each in pairs for name in columns if pd.notna(each[name])]
    return Axis.around(min(values, default=0.0), max(values, default=0.0), 6, _WIDTH - 6)


def _scale(axis: Axis) -> str:
    shown = [
        each
        for each in (axis.ticks[0], 0.0, axis.ticks[-1])
        if each == 0 or abs(axis.at(each) - axis.at(0)) >= _ROOM
    ]
    marks = "".join(
        f'<text x="{axis.at(each)}" y="12">{each:.3g}</text>'.replace("-", "−") for each in shown
    )
    return f'<svg viewBox="0 0 {_WIDTH} 14" role="img" aria-label="Scale">{marks}</svg>'


def _said(
    node: tuple[str, int],
    names: dict[tuple[str, int], str],
    damage: dict[tuple[str, int], float],
    pairs: list[dict[str, Any]],
) -> str:
    """Return what is found of a sub-cluster, in words."""
    ours = [each for each in pairs if node in _ends(each)]
    counts = pd.Series([each["kind"] for each in ours], dtype=object).value_counts()
    arrows = sum(bool(each["edge"]) for each in ours)
    s = "s" if len(ours) != 1 else ""
    return (
        f"<b>{names[node]}</b> ({escape(node[0])}, cluster {node[1]}): its lesion alone costs "
        f"<b>{points(damage[node])}</b> points of accuracy. It has {len(ours)} pair{s}: "
        f"{counts.get('dependent', 0)} dependent, {counts.get('redundant', 0)} redundant; the "
        f"paper’s rule draws {arrows} arrow{'s' if arrows != 1 else ''}."
    )


def _row(
    node: tuple[str, int],
    names: dict[tuple[str, int], str],
    damage: dict[tuple[str, int], float],
    pair: dict[str, Any],
    axis: Axis,
) -> str:
    """Return the row of a pair in a node's table, or nothing if the node is not in it."""
    x, y = _ends(pair)
    if node not in (x, y):
        return ""
    partner = y if node == x else x
    arrow = "→" if node == x else "←"
    both = damage[y] + 100 * pair["delta_x"]
    marks = f'<path class="axis" d="M{axis.at(0)} 0v{_HEIGHT}"/>'
    if pd.notna(pair["matched_low"]):
        low, median, high = (axis.at(pair[f"matched_{each}"]) for each in ("low", "median", "high"))
        marks += f'<path class="range" d="M{low} 9H{high}"/><path class="mean" d="M{median} 2v14"/>'
    marks += f'<circle class="true" r="4" cx="{axis.at(pair["interaction"])}" cy="9"/>'
    said = f"{pair['interaction']:.2f}".replace("-", "−")
    kind = str(pair["kind"])
    finding = f"<b>{kind}</b>" if kind in ("dependent", "redundant") else kind
    if pair["edge"]:
        finding += f'<span class="note">{escape(CASES[pair["case"]])}</span>'.replace(
            "X", names[x]
        ).replace("Y", names[y])
    return (
        f"<tr><th scope=row>{arrow} {names[partner]}</th><td>{points(damage[partner])}</td>"
        f'<td>{points(both)}</td><td class="wide">{said}</td>'
        f'<td><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{said} logits">{marks}</svg></td><td>{finding}</td></tr>'
    )


def _graph(
    layers: list[str], names: dict[tuple[str, int], str], pairs: list[dict[str, Any]]
) -> str:
    """Return the graph: layers from left to right, a row for each cluster."""
    clusters = sorted({cluster for _, cluster in names})
    across = {layer: round(100 * (i + 0.5) / len(layers), 1) for i, layer in enumerate(layers)}
    rows = len(clusters) + 0.5
    down = {each: round(100 * (i + 0.5) / rows, 1) for i, each in enumerate(clusters)}
    number = {node: i for i, node in enumerate(names)}
    lines = ""
    for each in pairs:
        if not each["edge"]:
            continue
        x, y = _ends(each)
        start, end = (across[x[0]], down[x[1]]), (across[y[0]], down[y[1]])
        steps = layers.index(y[0]) - layers.index(x[0])
        # A straight line to a layer further on might pass behind a node.
        bend = 0 if steps == 1 else -9 * (steps - 1)
        middle = f"{(start[0] + end[0]) / 2:.1f} {(start[1] + end[1]) / 2 + bend:.1f}"
        style = _LINES[each["case"]]
        lines += (
            f"<path{f' class={chr(34)}{style}{chr(34)}' if style else ''} "
            f'data-marks="{number[x]} {number[y]}" '
            f'd="M{start[0]} {start[1]}Q{middle} {end[0]} {end[1]}"/>'
        )
    nodes = "".join(
        choice(
            number[node],
            name,
            f"{node[0]}, cluster {node[1]}",
            f"left:{across[node[0]]}%;top:{down[node[1]]}%",
        )
        for node, name in names.items()
    )
    labels = "".join(
        f'<span class="name" style="left:{across[each]}%">{escape(each)}</span>' for each in layers
    )
    key = "".join(
        '<span><svg viewBox="0 0 35 8" aria-hidden="true">'
        f'<path class="{style}" d="M0 4H35"/></svg>{escape(CASES[case])}</span>'
        for case, style in _LINES.items()
    )
    return (
        "<fieldset><legend>Choose a sub-cluster, named by layer and cluster, to see its pairs. "
        "Lines lead from X, on the left, to Y, on the right.</legend>"
        f'<div class="graph" style="height:{_ROW_HEIGHT * rows:.1f}rem">'
        f'<svg viewBox="0 0 100 100" preserveAspectRatio="none" aria-hidden="true">{lines}</svg>'
        f'{nodes}{labels}</div><p class="note key">{key}</p></fieldset>'
    )
