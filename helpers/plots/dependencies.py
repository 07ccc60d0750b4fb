"""Double lesions, and what they say."""

from textwrap import wrap

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.colors import SymLogNorm
from matplotlib.figure import Figure

from helpers.measures import CASES
from helpers.plots.style import (
    BLACK,
    BLUE,
    GREY,
    SKY,
    VERMILLION,
    cluster_colours,
    draw_arrow,
    ink,
    make_panels,
    name_layer,
    notice,
    styled,
    subcluster_names,
)

_MOST_WITH_NUMBERS = 16
"""In more rows than this a cell is too small for a number that can be read: its colour remains."""


_CASE_ARROWS = {
    "neither": ("XY", "UV"),
    "Y given X": ("XY", "UY", "UV"),
    "X given Y": ("XY", "XV", "UV"),
    "both": ("XY", "XV", "UY", "UV"),
}


_CASE_STYLES = {
    "neither": ("-", BLACK),
    "Y given X": ("--", BLUE),
    "X given Y": (":", VERMILLION),
}


@styled
def double_lesions(conditional: pd.DataFrame, kinds: pd.DataFrame) -> Figure:
    """Draw what each sub-cluster's lesion adds when another one is gone (Figure 9).

    Parameters
    ----------
    conditional : pandas.DataFrame
        Of `dependencies.conditional_importance`: rows of the picture are first, columns second.
    kinds : pandas.DataFrame
        Of `importance.taxonomy`, for the same partition. Its damages are on the diagonal, bold.

    Numbers are whole percentage points; those that round to zero are left out, and where there
    are many sub-clusters all are.
    """
    order = conditional[["first_layer", "first_cluster"]].drop_duplicates()
    order.columns = pd.Index(["layer", "cluster"])
    table = order.merge(kinds) if len(kinds) > 1 else kinds
    k = len(table)
    if not k:
        return notice("no sub-clusters")
    cells = np.diag(100 * table["damage"].to_numpy())
    marks = np.full((k, k), "", dtype=object)
    elsewhere = ~np.eye(k, dtype=bool)
    cells[elsewhere] = 100 * conditional["value"]
    marks[elsewhere] = np.where(
        conditional["star"], "*", np.where(conditional["below_all"], "?", "")
    )

    figure, ((axes,),) = make_panels(0.9 + 6.0 * min(1, max(k, 4) / 12))
    largest = max(np.abs(cells).max(), 1.001)
    image = axes.imshow(
        cells, cmap="PuOr_r", norm=SymLogNorm(1, vmin=-largest, vmax=largest), aspect="auto"
    )
    for (row, column), value in np.ndenumerate(cells):
        points = f"{value:.0f}" if abs(value) >= 0.5 and k <= _MOST_WITH_NUMBERS else ""
        axes.text(
            column,
            row,
            points + marks[row, column],
            ha="center",
            va="center",
            fontweight="bold" if row == column else "normal",
            color=ink(np.asarray(image.cmap(image.norm(value)))),
        )
    names = subcluster_names(table) + " " + table["kind"].str[:3].str.upper()
    axes.set_xticks(range(k), names, rotation=90)
    axes.set_yticks(range(k), names)
    for boundary in np.flatnonzero(table["layer"].ne(table["layer"].shift()))[1:]:
        axes.axhline(boundary - 0.5, color="black", lw=0.8)
        axes.axvline(boundary - 0.5, color="black", lw=0.8)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("second: lesioned already")
    axes.set_ylabel("first: lesioned, too")
    colours = figure.colorbar(
        image, label="extra loss of accuracy (percentage points)", pad=0.02, aspect=40
    )
    ticks = [each for each in (-30, -10, -3, -1, 0, 1, 3, 10, 30) if abs(each) <= largest]
    colours.set_ticks(ticks, labels=[str(each) for each in ticks])
    colours.ax.minorticks_off()
    return figure


@styled
def dependency_cases() -> Figure:
    """Draw what can be said of X and Y, given whether each is important without the other (Fig. 7).

    U lies in X's layer and V in Y's; all four are important by themselves.
    """
    figure, panels = make_panels(2.1, 1, len(CASES))
    place = {"X": (0.0, 1.0), "U": (0.0, 0.0), "Y": (1.0, 1.0), "V": (1.0, 0.0)}
    for axes, (case, reading) in zip(panels[0], CASES.items(), strict=True):
        for name, (x, y) in place.items():
            face = SKY if name in "XY" else "white"
            axes.plot(x, y, "o", ms=20, mfc=face, mec=BLACK, mew=0.8)
            axes.text(x, y, name, ha="center", va="center")
        for arrow in _CASE_ARROWS[case]:
            draw_arrow(axes, place[arrow[0]], place[arrow[1]], ls="-" if case != "both" else ":")
        answer = {name: "yes" if case == "both" or case.startswith(name) else "no" for name in "XY"}
        axes.set_title(f"X given Y: {answer['X']}\nY given X: {answer['Y']}")
        axes.text(0.5, -0.45, "\n".join(wrap(reading, 19)), ha="center", va="top")
        axes.set_xlim(-0.4, 1.4)
        axes.set_ylim(-0.95, 1.3)
        axes.set_axis_off()
    return figure


@styled
def dependency_graph(table: pd.DataFrame, kinds: pd.DataFrame) -> Figure:
    """Draw which important sub-clusters depend on which (Figure 8).

    Parameters
    ----------
    table : pandas.DataFrame
        Of `dependencies.dependency_table`.
    kinds : pandas.DataFrame
        Of `importance.taxonomy`. Layers go from left to right; each cluster has a row of its
        own, so that an edge within a cluster is level.
    """
    nodes = kinds[kinds["kind"] == "important"]
    if not len(nodes):
        return notice("no sub-cluster is important by itself: the dependency graph is empty")
    layers, clusters = list(kinds["layer"].unique()), sorted(nodes["cluster"].unique())
    place = {
        (layer, cluster): (float(layers.index(layer)), -float(clusters.index(cluster)))
        for layer, cluster in nodes[["layer", "cluster"]].itertuples(index=False)
    }
    figure, ((axes,),) = make_panels(1.1 + 0.62 * len(clusters))
    drawn = table[table["edge"]] if len(table) else table
    for row in drawn.itertuples():
        start, end = place[row.x_layer, row.x_cluster], place[row.y_layer, row.y_cluster]
        line, colour = _CASE_STYLES[str(row.case)]
        # A straight arrow to a layer further on might pass behind a node.
        bend = 0.0 if end[0] - start[0] == 1 else -0.22
        draw_arrow(axes, start, end, ls=line, color=colour, connectionstyle=f"arc3,rad={bend}")
    colours = dict(zip(clusters, cluster_colours(len(clusters)), strict=True))
    for (x, y), cluster, name in zip(
        place.values(), nodes["cluster"], subcluster_names(kinds)[nodes.index], strict=True
    ):
        axes.plot(x, y, "o", ms=22, mfc=colours[cluster], mec=BLACK, mew=0.6, zorder=3)
        axes.text(x, y, name, ha="center", va="center", color=ink(colours[cluster]), zorder=4)
    axes.set_xticks(range(len(layers)), layers)
    axes.set_yticks([-i for i in range(len(clusters))], [f"cluster {each}" for each in clusters])
    axes.set_xlim(-0.35, len(layers) - 0.65)
    axes.set_ylim(0.7 - len(clusters), 0.75)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    handles = [
        mpl.lines.Line2D([], [], ls=line, color=colour, label=CASES[case])
        for case, (line, colour) in _CASE_STYLES.items()
        if len(drawn) and (drawn["case"] == case).any()
    ]
    if handles:
        figure.legend(handles=handles, loc="outside upper center", ncols=2, handlelength=3)
    return figure


@styled
def interactions(table: pd.DataFrame, kinds: pd.DataFrame) -> Figure:
    """Draw how the lesions of each pair interact, beside sets that are missed as much as X.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `measures.interaction`.
    kinds : pandas.DataFrame
        Of `measures.taxonomy`; numbers the layers, so that labels are those of the other figures.
    """
    if not len(table):
        return notice("no two important sub-clusters lie in layers of which one leads to the other")
    drawn = table.sort_values(["steps", "interaction"], ascending=[True, False], ignore_index=True)
    nodes = zip(kinds["layer"], kinds["cluster"], strict=True)
    names = dict(zip(nodes, subcluster_names(kinds), strict=True))
    figure, ((axes,),) = make_panels(3.2)
    axes.axhline(0, color=BLACK, ls=":", lw=0.8, zorder=0)
    position = np.arange(len(drawn))
    axes.vlines(
        position, drawn["matched_low"], drawn["matched_high"], color=GREY, lw=5, alpha=0.5, zorder=1
    )
    axes.plot(position, drawn["matched_median"], "_", color=BLACK, ms=7, mew=1, zorder=2)
    is_within = drawn["within"].to_numpy(dtype=bool)
    is_found = drawn["kind"].isin(["dependent", "redundant"]).to_numpy()
    is_compared = (drawn["kind"] != "not comparable").to_numpy()
    for chosen, marker, colour in ((is_within, "o", VERMILLION), (~is_within, "s", BLUE)):
        for filled, shown in (
            (True, chosen & is_compared & is_found),
            (False, chosen & is_compared & ~is_found),
        ):
            axes.plot(
                position[shown],
                drawn["interaction"][shown],
                marker,
                color=colour,
                mfc=colour if filled else "white",
                ms=5,
                zorder=3,
            )
        left_out = chosen & ~is_compared
        axes.plot(position[left_out], drawn["interaction"][left_out], "x", color=colour, ms=5)
    for steps, group in drawn.groupby("steps"):
        if group.index[0]:
            axes.axvline(group.index[0] - 0.5, color=GREY, lw=0.5)
        name_layer(axes, group.index.to_numpy().mean(), f"{steps} step{'s' * (steps != 1)}")
    labels = [
        f"{names[row.x_layer, row.x_cluster]} → {names[row.y_layer, row.y_cluster]}"
        for row in drawn.itertuples()
    ]
    axes.set_xticks(position, labels, rotation=90 if len(drawn) > 8 else 0)
    axes.set_xlim(-0.7, len(drawn) - 0.3)
    axes.set_xlabel("X → Y")
    axes.set_ylabel("interaction of the two lesions (logits)")
    figure.legend(handles=_interaction_handles(~is_compared), loc="outside upper center", ncols=3)
    return figure


def _interaction_handles(left_out: npt.NDArray[np.bool_]) -> list[mpl.lines.Line2D]:
    """Return what a legend of interactions says."""
    line = mpl.lines.Line2D
    handles = [
        line([], [], color=VERMILLION, marker="o", mfc="white", ls="", label="within a cluster"),
        line([], [], color=BLUE, marker="s", mfc="white", ls="", label="between clusters"),
        line([], [], color=BLACK, marker="D", ls="", label="filled: familywise p ≤ 0.05"),
        line([], [], color=GREY, lw=5, alpha=0.5, label="X replaced by matched sets: 95 %"),
        line([], [], color=BLACK, marker="_", ls="", label="their median"),
    ]
    if left_out.any():
        handles.append(line([], [], color=BLACK, marker="x", ls="", label="not comparable"))
    return handles
