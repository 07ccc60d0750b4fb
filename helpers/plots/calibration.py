"""How often tests find what is not there, and what is; and how far chance moves them."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from helpers.plots.headings import MEASURES, TESTS
from helpers.plots.style import (
    BLACK,
    BLUE,
    GREY,
    LOWEST_P,
    ORANGE,
    P_TICKS,
    PURPLE,
    SKY,
    VERMILLION,
    letter_panels,
    make_panels,
    styled,
)

NAMES = {
    "exact": "exact",
    "sequential": "sequential",
    "within_strata": "strength",
    "coherence": "classes",
    "coherence_effect": "classes, effect",
    "interaction": "interaction",
    "one_set": "one set",
} | TESTS
"""What tests are called, those of permuted partitions included."""

_STYLES = {
    "exact": ("D", "-", BLACK),
    "sequential": ("d", "--", PURPLE),
    "fisher": ("o", "-", BLUE),
    "exchangeable_fisher": ("o", "--", SKY),
    "chi2": ("s", "-", VERMILLION),
    "exchangeable_chi2": ("s", "--", ORANGE),
}


@styled
def sizes_of_tests(table: pd.DataFrame) -> Figure:
    """Draw how often each test finds something in nothing, with intervals, beside its level.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `calibration.shares`, by measure and test, at one level; one panel per measure.
    """
    groups = list(table.groupby("measure", sort=False))
    (level,) = table["level"].unique()
    figure, panels = make_panels(
        0.9 + 0.22 * max(len(group) for _, group in groups), 1, len(groups), sharex=True
    )
    for axes, (_, group) in zip(panels[0], groups, strict=True):
        axes.axvline(level, color=GREY, ls=":", lw=1, zorder=0)
        for y, row in enumerate(group.to_dict("records")):
            marker, _, colour = _STYLES.get(row["test"], ("D", "-", BLACK))
            _interval(axes, row["share"], y, row, marker, colour, is_horizontal=True)
        axes.set_yticks(range(len(group)), [NAMES.get(test, test) for test in group["test"]])
        axes.set_ylim(len(group) - 0.5, -0.5)
        axes.set_xlim(left=-0.005)
    letter_panels(panels[0], [MEASURES.get(str(measure), str(measure)) for measure, _ in groups])
    figure.supxlabel(f"share of random partitions with p ≤ {level:g}")
    return figure


@styled
def powers(by_twins: pd.DataFrame, by_images: pd.DataFrame) -> Figure:
    """Draw how often tests find what is there, over the numbers of twins and of images.

    Parameters
    ----------
    by_twins, by_images : pandas.DataFrame
        Of `calibration.shares` at one level, by n_random and test, and by n_images and test.
    """
    figure, panels = make_panels(2.7, 1, 2, sharey=True)
    (level,) = by_twins["level"].unique()
    for axes, table, column, label in (
        (panels[0, 0], by_twins, "n_random", "random twins or permuted partitions"),
        (panels[0, 1], by_images, "n_images", "test images"),
    ):
        axes.axhline(level, color=GREY, ls=":", lw=1, zorder=0)
        tests = list(table["test"].unique())
        for index, test in enumerate(tests):
            rows = table[table["test"] == test].to_dict("records")
            marker, line, colour = _STYLES[test]
            # Side by side, so that intervals do not hide each other.
            x = [row[column] * 1.03 ** (index - (len(tests) - 1) / 2) for row in rows]
            y = [row["share"] for row in rows]
            axes.plot(x, y, line, color=colour, lw=0.8, label=NAMES[test])
            for at, row in zip(x, rows, strict=True):
                _interval(axes, at, row["share"], row, marker, colour, is_horizontal=False)
        ticks = sorted(table[column].unique())
        axes.set_xscale("log")
        axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
        axes.minorticks_off()
        axes.set_xlabel(label)
    panels[0, 0].set_ylabel(f"share found, p ≤ {level:g}")
    panels[0, 0].set_ylim(0, 1.02)
    letter_panels(panels[0], ["over the number of twins", "over the number of images"])
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
    return figure


@styled
def redrawn_twins(table: pd.DataFrame) -> Figure:
    """Draw where one partition's p values land when nothing but its twins is drawn anew.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `calibration.redrawn_twins`; one panel per number of twins.
    """
    numbers, tests = list(table["n_random"].unique()), list(table["test"].unique())
    figure, panels = make_panels(0.8 + 0.35 * len(tests), 1, len(numbers), sharex=True, sharey=True)
    for axes, number in zip(panels[0], numbers, strict=True):
        axes.axvline(0.05, color=GREY, ls=":", lw=1, zorder=0)
        for y, test in enumerate(tests):
            p = np.sort(table.loc[(table["n_random"] == number) & (table["test"] == test), "p"])
            # Spread over the row in a fixed order that looks like none.
            shifts = (np.arange(len(p)) * 0.618) % 1 - 0.5
            p = p.clip(min=LOWEST_P)
            axes.plot(p, y + 0.5 * shifts, ".", color=_STYLES[test][2], ms=3, alpha=0.6, mew=0)
            axes.plot(np.median(p), y, "|", color=BLACK, ms=14, mew=1.5)
        axes.set_xscale("log")
    panels[0, 0].set_xlim(LOWEST_P / 2, 2)
    panels[0, 0].set_xticks(*P_TICKS)
    panels[0, 0].minorticks_off()
    panels[0, 0].set_yticks(range(len(tests)), [NAMES[test] for test in tests])
    panels[0, 0].set_ylim(len(tests) - 0.5, -0.5)
    letter_panels(panels[0], [f"{number} twins" for number in numbers])
    figure.supxlabel("p value of the same partition of the same network")
    return figure


def _interval(
    axes: Axes,
    x: float,
    y: float,
    row: dict[Any, Any],
    marker: str,
    colour: str,
    is_horizontal: bool,
) -> None:
    """Draw a share with its interval."""
    around = [[row["share"] - row["low"]], [row["high"] - row["share"]]]
    xerr, yerr = (around, None) if is_horizontal else (None, around)
    axes.errorbar(x, y, yerr, xerr, fmt=marker, color=colour, mfc="white", ms=4.5, lw=1)
