"""Figures of the book's own tables."""

from collections.abc import Iterable, Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from helpers.book.claims import SIGNS
from helpers.book.table1 import effect_in_words, mean_effects
from helpers.book.tables import rows_of
from helpers.plots.headings import MEASURES, TESTS
from helpers.plots.style import (
    BLACK,
    BLUE,
    GREY,
    LOWEST_P,
    P_TICKS,
    VERMILLION,
    WHITE_BOX,
    make_panels,
    notice,
    styled,
)

_LEAST = 1e-12
"""Smaller p values are drawn here: nobody should read their exponents."""

_P_TICKS = ([_LEAST, 1e-6, 1], ["≤ $10^{-12}$", "$10^{-6}$", "1"])

_SOURCE_STYLES = {
    ("published", "{}"): ("|", BLACK, BLACK, 0.0, "published"),
    ("released", "{}"): ("^", VERMILLION, "none", 0.18, "ours, RELEASED"),
    ("paper", "{}"): ("o", BLUE, "none", -0.18, "ours, PAPER"),
    ("paper", "exchangeable_{}"): ("o", BLUE, BLUE, -0.18, "ours, PAPER, exchangeable"),
}


_CORRECTION_STYLES = (
    ("x", GREY, GREY, "significant by neither"),
    ("o", BLUE, "white", "significant by Benjamini-Hochberg only"),
    ("o", VERMILLION, VERMILLION, "significant by Benjamini-Hochberg and by Holm"),
)


@styled
def corrected_p_values(table: pd.DataFrame, fdr: float) -> Figure:
    """Draw each family's p values in order, and which survive corrections for their number.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `statistics.multiple_comparisons`.
    fdr : float
        The rate at which the Benjamini-Hochberg line is drawn.
    """
    families = sorted(table["test"].unique(), key=list(TESTS).index)
    figure, panels = make_panels(2.7, 1, len(families), sharey=True)
    for axes, family in zip(panels[0], families, strict=True):
        rows = table[(table["test"] == family) & table["p"].notna()].sort_values("p")
        rank = np.arange(1, len(rows) + 1)
        axes.plot(rank, fdr * rank / len(rows), "-", color=BLACK, lw=1)
        state = rows["benjamini_hochberg"].astype(int) + rows["holm"]
        for value, (marker, colour, face, _) in enumerate(_CORRECTION_STYLES):
            chosen = (state == value).to_numpy()
            p = rows["p"].clip(lower=LOWEST_P)
            axes.plot(rank[chosen], p[chosen], marker, color=colour, mfc=face, ms=4.5)
        axes.set_title(f"{TESTS[family]} ({len(rows)} tests)")
        axes.set_xlabel("rank within the family")
        axes.set_yscale("log")
    panels[0, 0].set_yticks(*P_TICKS)
    panels[0, 0].set_ylabel("p value")
    handles = [
        mpl.lines.Line2D([], [], color=colour, marker=marker, mfc=face, ls="", label=label)
        for marker, colour, face, label in reversed(_CORRECTION_STYLES)
    ]
    handles.append(mpl.lines.Line2D([], [], color=BLACK, lw=1, label="Benjamini-Hochberg's line"))
    figure.legend(handles=handles, loc="outside upper center", ncols=2)
    return figure


@styled
def table1(table: pd.DataFrame) -> Figure:
    """Draw the p values of Table 1, the published ones and ours, and name our mean effects.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `table1.table1`, or those of its rows that are to be drawn.
    """
    rows = rows_of(table)
    lines = _lines(rows)
    figure, panels = make_panels(1.0 + 0.2 * len(lines), 1, 2, sharey=True, sharex=True)
    position = {line: -i for i, line in enumerate(lines) if line[1]}
    for axes, test, title in zip(panels[0], ("fisher", "chi2"), ("Fisher", "chi²"), strict=True):
        for y in position.values():
            axes.axhline(y, color=GREY, lw=0.3, zorder=0)
        for (source, name), (marker, colour, face, shift, _) in _SOURCE_STYLES.items():
            is_chosen = (table["source"] == source) & (table["test"] == name.format(test))
            chosen = table[is_chosen & table["p"].notna()]
            keys = list(chosen[["network", "measure"]].itertuples(index=False, name=None))
            heights = [position[key] + shift for key in keys]
            p = chosen["p"].clip(lower=_LEAST)
            axes.plot(p, heights, marker, color=colour, mfc=face, ms=3.6, mew=0.9)
        axes.set_title(title)
    _scale_p_values(panels)
    names = [MEASURES[measure] if measure else network for network, measure in lines]
    panels[0, 0].set_yticks(-np.arange(len(lines)), names)
    for label, (_, measure) in zip(panels[0, 0].get_yticklabels(), lines, strict=True):
        label.set_fontweight("normal" if measure else "bold")
    for axes in panels[0]:
        axes.tick_params(axis="y", length=0)
    panels[0, 0].set_ylim(0.7 - len(lines), 0.7)
    beside = panels[0, 1].get_yaxis_transform()
    effects = mean_effects(table)
    for row in effects.to_dict("records"):
        y = position[row["network"], row["measure"]]
        panels[0, 1].text(1.03, y, effect_in_words(row), transform=beside, va="center")
    if len(effects):
        panels[0, 1].text(1.03, 0.9, "mean effect", transform=beside, va="bottom")
    handles = [
        mpl.lines.Line2D([], [], color=colour, marker=marker, mfc=face, ls="", label=label)
        for marker, colour, face, _, label in _SOURCE_STYLES.values()
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=4)
    return figure


_VERDICT_STYLES = {
    "holds": ("o", BLUE, BLUE),
    "undecided": ("o", BLUE, "white"),
    "does not hold": ("X", VERMILLION, VERMILLION),
}

_UNITS = {
    "points": "percentage points of accuracy",
    "more sub-clusters": "sub-clusters more than chance gives",
    "times": "times what is typical of random sets",
    "nats": "nats of entropy beyond random sets'",
}


@styled
def verdicts(table: pd.DataFrame) -> Figure:
    """Draw the mean effect behind each verdict, with its interval over networks.

    A panel per unit, in which each claim has a line for its name, and its networks below.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `claims.effects`.
    """
    if not len(table):
        return notice("of no kind have five networks been looked at")
    groups = {unit: table[table["unit"] == unit] for unit in _UNITS if unit in set(table["unit"])}
    lines = {
        unit: _lines(rows[["claim", "network"]].itertuples(index=False, name=None))
        for unit, rows in groups.items()
    }
    heights = [len(each) for each in lines.values()]
    figure, panels = make_panels(
        0.6 + 0.58 * len(groups) + 0.2 * sum(heights), len(groups), height_ratios=heights
    )
    for axes, (unit, rows) in zip(panels[:, 0], groups.items(), strict=True):
        names = lines[unit]
        for row in rows.to_dict("records"):
            y = names.index((row["claim"], row["network"]))
            _draw_verdict(axes, y, row)
        # Claims are longer than a panel is wide: they begin where the figure does.
        below = mpl.transforms.blended_transform_factory(figure.transFigure, axes.transData)
        for y, (claim, network) in enumerate(names):
            if not network:
                style = {"weight": "bold", "va": "center", "bbox": WHITE_BOX}
                axes.text(0.005, y, claim, transform=below, **style).set_in_layout(False)
        none, margin = rows[["none", "margin"]].iloc[0]
        axes.axvline(none, color=BLACK, ls=":", lw=1, zorder=0)
        if np.isfinite(margin):
            axes.axvspan(none, margin, color=GREY, alpha=0.25, lw=0, zorder=0)
        axes.set_yticks(range(len(names)), [network for _, network in names])
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_xlabel(_UNITS[unit])
    figure.legend(handles=_verdict_handles(), loc="outside upper center", ncols=3)
    return figure


def _lines(rows: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return rows of a group and what is in it, below a line for each group's name alone."""
    within: dict[str, list[tuple[str, str]]] = {}
    for group, name in rows:
        within.setdefault(group, [(group, "")]).append((group, name))
    return [line for each in within.values() for line in each]


def _draw_verdict(axes: Axes, y: int, row: Mapping[Any, Any]) -> None:
    """Draw an effect with its interval and what it is the mean of, and the verdict beside it."""
    marker, colour, face = _VERDICT_STYLES[row["verdict"]]
    axes.plot([row["low"], row["high"]], [y, y], color=colour, lw=1.6, zorder=2)
    axes.plot(row["of_each"], np.full(len(row["of_each"]), y), "|", color=BLACK, ms=7, mew=0.8)
    axes.plot(row["effect"], y, marker, color=colour, mfc=face, ms=6, zorder=3)
    beside = axes.get_yaxis_transform()
    axes.text(1.01, y, f"{SIGNS[row['verdict']]} {row['verdict']}", transform=beside, va="center")


def _verdict_handles() -> list[Any]:
    handles: list[Any] = [
        mpl.lines.Line2D([], [], color=colour, marker=marker, mfc=face, label=verdict)
        for verdict, (marker, colour, face) in _VERDICT_STYLES.items()
    ]
    handles.append(mpl.lines.Line2D([], [], color=BLACK, marker="|", ls="", label="one network"))
    handles.append(mpl.patches.Patch(color=GREY, alpha=0.25, lw=0, label="too little to matter"))
    return handles


_GRAPHS = {"released": "released graph", "paper": "the text's graph"}

_AUDIT_STYLES = {
    "published": ("|", BLACK, "published, trained"),
    "trained": ("o", BLUE, "ours, trained"),
    "untrained": ("^", VERMILLION, "ours, untrained"),
}


@styled
def audits(table: pd.DataFrame, published: pd.DataFrame) -> Figure:
    """Draw what each choice of the released code did to the p values of counted networks.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `lesion_counts.audits`.
    published : pandas.DataFrame
        Rows of `published.each_p_value` to put beside them.
    """
    table = table[_is_shown(table)]
    theirs = published[published["test"] == "fisher"].assign(choice="published", epochs=np.nan)
    choices = ["published", *dict.fromkeys(table["choice"])]
    graphs = [each for each in _GRAPHS if (table["protocol"] == each).any()]
    measures = ("importance", "class_range")
    height = 0.9 + len(graphs) * (0.5 + 0.2 * len(choices))
    figure, panels = make_panels(height, len(graphs), 2, sharex=True, sharey=True)
    for row, protocol in enumerate(graphs):
        for axes, measure in zip(panels[row], measures, strict=True):
            both = pd.concat([theirs, table[table["protocol"] == protocol]])
            both = both[both["measure"] == measure]
            heights = both["choice"].map(choices.index).to_numpy(float)
            sources = np.select(
                [both["epochs"].isna(), both["epochs"] > 0], ["published", "trained"], "untrained"
            )
            for source, (marker, colour, _) in _AUDIT_STYLES.items():
                chosen = sources == source
                p = both["p"][chosen].clip(lower=_LEAST)
                axes.plot(p, heights[chosen], marker, color=colour, mfc="none", ms=5, mew=1.1)
            for y in range(len(choices)):
                axes.axhline(y, color=GREY, lw=0.3, zorder=0)
            axes.set_title(f"{MEASURES[measure]}, {_GRAPHS[protocol]}")
    _scale_p_values(panels)
    panels[0, 0].set_yticks(range(len(choices)), choices)
    panels[0, 0].set_ylim(len(choices) - 0.4, -0.6)
    handles = [
        mpl.lines.Line2D([], [], color=colour, marker=marker, mfc="none", ls="", label=label)
        for marker, colour, label in _AUDIT_STYLES.values()
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=3)
    return figure


def _scale_p_values(panels: Any) -> None:
    """Give panels that share their axis one of p values, with the usual threshold."""
    panels[0, 0].set_xscale("log")
    panels[0, 0].set_xticks(*_P_TICKS)
    panels[0, 0].minorticks_off()
    for axes in panels.flat:
        axes.axvline(0.05, color=BLACK, ls=":", lw=1)
    for axes in panels[-1]:
        axes.set_xlabel("combined p value")


def _is_shown(table: pd.DataFrame) -> pd.Series:
    """Tell which rows of `lesion_counts.audits` a figure has room for."""
    is_new_range = table["choice"].isin(["range of the profile", "all four together"])
    return table["test"].isin(["fisher", "exact"]) & ~is_new_range
