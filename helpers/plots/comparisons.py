"""Measures of sub-clusters beside their twins', and p values."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from helpers.measures import FOUND, Comparison
from helpers.plots.headings import EFFECTS, MEASURES
from helpers.plots.style import (
    BLACK,
    BLUE,
    GREY,
    LOWEST_P,
    P_TICKS,
    VERMILLION,
    letter_panels,
    make_panels,
    name_columns,
    notice,
    separate_layers,
    styled,
)

_MOST_DASHES = 21
"""Random twins of a sub-cluster that are drawn."""

_STATISTICS = {"fisher": "Fisher", "chi2": "chi²"}

_FORMS: dict[str, dict[str, Any]] = {
    "{}": {"marker": "o", "ls": "-", "ms": 6, "mfc": "none", "color": BLUE},
    "exchangeable_{}": {"marker": "s", "ls": ":", "ms": 3, "color": VERMILLION},
}
"""How the two forms of a test are drawn: where both have the same value, both are seen."""


@styled
def against_twins(
    panels: Mapping[str, Comparison], label: str, parts: tuple[str, str] | None = None
) -> Figure:
    """Draw a measure of each sub-cluster beside its random twins'.

    Parameters
    ----------
    panels : mapping of str to Comparison
        Title of each panel, and what it shows.
    label : str
        What the measure is, with its unit.
    parts : (str, str), optional
        Names of the parts of the input, if the sub-clusters have a column that says which one is
        preferred: they are then drawn as arrows to the left or to the right.
    """
    if not panels:
        return notice("no networks to draw")
    figure, drawn = make_panels(2.2 * len(panels) + 0.3, len(panels), sharey=True)
    markers = "<>" if parts else "o"
    for axes, compared in zip(drawn[:, 0], panels.values(), strict=True):
        preferred = compared.subclusters["preferred"] if parts else [0] * len(compared.true)
        draw_against_twins(axes, compared, [markers[part] for part in preferred])
    letter_panels(drawn[:, 0], panels)
    drawn[0, 0].set_ylim(bottom=0)
    figure.supylabel(label)
    drawn[-1, 0].set_xlabel("cluster, layer by layer")
    names = [f"sub-cluster, prefers {part}" for part in parts] if parts else ["sub-cluster"]
    handles = [
        mpl.lines.Line2D([], [], color=VERMILLION, marker=marker, mfc="white", ls="", label=name)
        for marker, name in zip(markers, names, strict=True)
    ]
    handles += [
        mpl.lines.Line2D(
            [], [], color=VERMILLION, marker=markers[0], ls="", label="filled: beyond all twins"
        ),
        mpl.lines.Line2D([], [], color=GREY, marker="_", ls="", label="random twins"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=2 if parts else 3)
    return figure


@styled
def p_value_counts(panels: Mapping[str, Comparison]) -> Figure:
    """Draw how the sub-clusters' p values are spread over their possible values.

    Parameters
    ----------
    panels : mapping of str to Comparison
        Title of each panel, which also names the mean effect, and what it shows.
    """
    figure, drawn = make_panels(2.2, 1, len(panels), sharey=True)
    for axes, (title, compared) in zip(drawn[0], panels.items(), strict=True):
        n_values = compared.n_random + 1
        p = compared.p[compared.is_tested]
        counts = np.bincount(np.rint(p * n_values).astype(int), minlength=n_values + 1)[1:]
        grid = np.arange(1, n_values + 1) / n_values
        axes.bar(grid, counts, width=0.8 / n_values, color=BLUE)
        axes.axhline(len(p) / n_values, color=BLACK, ls=":", lw=1)
        effect = compared.effects()["effect"][compared.is_tested].mean()
        found = f"mean effect {effect:.2g} {EFFECTS[compared.measure]}" if len(p) else "no effect"
        axes.set_title(f"{title}, {len(p)} sub-clusters\n{found}")
        axes.set_xlabel("p value")
        axes.set_xlim(0, 1 + 1 / n_values)
        axes.yaxis.get_major_locator().set_params(integer=True)
    drawn[0, 0].set_ylabel("sub-clusters")
    return figure


@styled
def over_n_clusters(table: pd.DataFrame, marked: Sequence[int] = ()) -> Figure:
    """Draw combined p values and mean effects over the number of clusters.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of `evaluation.lesion_tests`, with columns network and n_clusters.
    marked : sequence of int
        Numbers of clusters to mark with a line.
    """
    if not len(table):
        return notice("no networks to draw")
    pairs = list(dict.fromkeys(table[["network", "measure"]].itertuples(index=False, name=None)))
    figure, panels = make_panels(
        0.7 + 1.4 * len(pairs), len(pairs), len(_STATISTICS) + 1, sharex=True
    )
    for row, (network, measure) in zip(panels, pairs, strict=True):
        of_both = table[(table["network"] == network) & (table["measure"] == measure)]
        of_both = of_both.sort_values("n_clusters")
        for axes in row:
            for k in marked:
                axes.axvline(k, color=GREY, lw=0.5, zorder=0)
        for axes, (statistic, title) in zip(row, _STATISTICS.items(), strict=False):
            axes.axhline(0.05, color=BLACK, ls=":", lw=1)
            for form, style in _FORMS.items():
                curve = of_both[of_both["test"] == form.format(statistic)]
                axes.plot(curve["n_clusters"], curve["p"].clip(lower=LOWEST_P), **style)
            axes.set_title(title, loc="left")
            axes.set_yscale("log")
            axes.set_ylim(LOWEST_P / 2, 2)
            axes.set_yticks(*(P_TICKS if axes is row[0] else (P_TICKS[0], "")))
            axes.minorticks_off()
        row[0].set_title(f"{network}, {MEASURES[measure]}\nFisher", loc="left")
        effects = of_both.drop_duplicates("n_clusters")
        row[-1].plot(effects["n_clusters"], effects["effect"], "d-", color=BLACK, ms=3.5)
        row[-1].axhline(EFFECTS[measure] != "points", color=BLACK, ls=":", lw=1)
        row[-1].set_title(f"effect, {EFFECTS[measure]}", loc="left")
    figure.supxlabel("number of clusters")
    figure.supylabel("combined p value")
    handles = [
        mpl.lines.Line2D([], [], label=name, **style)
        for name, style in zip(("asymptotic", "exchangeable"), _FORMS.values(), strict=True)
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=2)
    return figure


@styled
def partitions_compared(table: pd.DataFrame, controls: Collection[str] = ()) -> Figure:
    """Draw how much the parts of several partitions matter beyond permuted parts.

    One row of panels per network, each with a scale of its own of what parts cost, and one column
    per measure; vertical lines where it does not matter which units a part has.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `evaluation.compare_partitions`, with the column network.
    controls : collection of str
        Partitions that are drawn in grey.
    """
    networks, names = list(table["network"].unique()), list(table["partition"].unique())
    headings = {
        "importance": ("beyond permuted parts (points)", 0),
        "coherence": ("less uneven random sets (%)", 50),
    }
    figure, panels = make_panels(
        0.6 + (0.5 + 0.24 * len(names)) * len(networks), len(networks), 2, sharey=True
    )
    for row, network in zip(panels, networks, strict=True):
        for axes, (measure, (_, chance)) in zip(row, headings.items(), strict=True):
            chosen = table[(table["network"] == network) & (table["measure"] == measure)]
            axes.axvline(chance, color=BLACK, ls=":", lw=1, zorder=0)
            for each in chosen.itertuples():
                colour = GREY if each.partition in controls else BLUE
                _draw_effect(axes, names.index(each.partition), each, colour, chance)
            axes.set_title(f"{network}: {measure}")
    for axes, (label, _) in zip(panels[-1], headings.values(), strict=True):
        axes.set_xlabel(label)
    for axes in panels[:-1, 1]:
        axes.sharex(panels[-1, 1])
    panels[0, 0].set_yticks(range(len(names)), names)
    panels[0, 0].set_ylim(len(names) - 0.5, -0.5)
    figure.legend(handles=_effect_handles(), loc="outside upper center", ncols=3)
    return figure


@styled
def reports_compared(table: pd.DataFrame) -> Figure:
    """Draw what lesions of the parts of several partitions of one network cost.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `helpers.compare`.
    """
    figure, ((axes,),) = make_panels(0.9 + 0.28 * len(table))
    axes.axvline(0, color=BLACK, ls=":", lw=1, zorder=0)
    for y, row in enumerate(table.to_dict("records")):
        ends = (row["importance_low"], row["importance_effect"], row["importance_high"])
        _draw_marker(axes, y, ends, row["importance_p"], BLUE, 0)
    axes.set_yticks(range(len(table)), list(table.index), parse_math=False)
    axes.set_ylim(len(table) - 0.5, -0.5)
    axes.set_xlabel("lost beyond permuted parts (points of accuracy)")
    figure.legend(handles=_effect_handles()[:2], loc="outside upper center", ncols=2)
    return figure


def _draw_effect(axes: Axes, y: int, row: Any, colour: str, chance: float) -> None:
    """Draw one partition's effect with its interval, and how many parts are found."""
    _draw_marker(axes, y, (row.low, row.effect, row.high), row.p, colour, chance)
    axes.annotate(
        f"{row.found} of {row.tested}",
        (1.01, y),
        xycoords=axes.get_yaxis_transform(),
        va="center",
    )


def _draw_marker(
    axes: Axes, y: int, ends: tuple[float, float, float], p: float, colour: str, chance: float
) -> None:
    """Draw an effect between the ends of its interval, filled if it is there and beyond chance."""
    low, effect, high = ends
    axes.plot([low, high], [y, y], color=colour, lw=1.6)
    face = colour if p <= FOUND and low > chance else "white"
    axes.plot(effect, y, "o", color=colour, mfc=face, ms=5)


def _effect_handles() -> list[mpl.lines.Line2D]:
    found = "p at most .05, and 95 % interval beyond chance"
    return [
        mpl.lines.Line2D([], [], color=BLUE, marker="o", label=found),
        mpl.lines.Line2D([], [], color=BLUE, marker="o", mfc="white", label="not both"),
        mpl.lines.Line2D([], [], color=GREY, marker="o", label="controls, likewise"),
    ]


def draw_against_twins(
    axes: Axes, compared: Comparison, markers: Sequence[str], scale: float = 1
) -> None:
    """Draw values over those of random twins, layer by layer; those beyond all twins are filled."""
    table = compared.subclusters
    position = np.arange(len(table))
    true, random = scale * compared.true, scale * compared.random
    _draw_dashes(axes, position, random)
    drawn = zip(position, true, compared.is_beyond, markers, strict=True)
    for x, value, is_beyond, marker in drawn:
        face = VERMILLION if is_beyond else "white"
        axes.plot(x, value, marker, color=VERMILLION, mfc=face, ms=4.5, zorder=2)
    separate_layers(axes, table["layer"])
    name_columns(axes, position, [str(cluster) for cluster in table["cluster"]])
    axes.set_xlim(-0.8, len(table) - 0.2)


def _draw_dashes(
    axes: Axes, position: npt.NDArray[np.intp], values: npt.NDArray[np.float64]
) -> None:
    """Draw a dash for each of the values of shape (positions, n): one line, which is light.

    Of many, from the smallest to the largest, so many evenly by rank.
    """
    if values.shape[1] > _MOST_DASHES:
        ranks = np.linspace(0, values.shape[1] - 1, _MOST_DASHES).round().astype(int)
        values = np.sort(values, axis=1)[:, ranks]
    ends = position[:, np.newaxis, np.newaxis] + np.array([-0.28, 0.28, np.nan])
    heights = values[..., np.newaxis] * np.array([1, 1, np.nan])
    across = np.broadcast_to(ends, heights.shape)
    axes.plot(across.ravel(), heights.ravel(), color=GREY, lw=0.9, solid_capstyle="butt", zorder=1)
