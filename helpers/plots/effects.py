"""How much sub-clusters differ from what chance gives, with intervals."""

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from helpers.measures import Comparison
from helpers.plots.style import (
    BLACK,
    GREY,
    SKY,
    VERMILLION,
    make_panels,
    name_columns,
    notice,
    separate_layers,
    styled,
)

LEVEL = 0.05
"""Familywise p values up to it are filled."""


@styled
def effects(compared: Comparison, random_state: int = 0) -> Figure:
    """Draw what each sub-cluster's lesion costs beyond those of permuted partitions.

    Parameters
    ----------
    compared : Comparison
        Of `measures.importance`, of `lesions.permutation_profiles`.
    random_state : int
        Seed of the intervals over test images.
    """
    tested = np.flatnonzero(compared.is_tested)
    if not len(tested):
        return notice("no sub-cluster can be tested")
    chosen = compared.where(compared.is_tested)
    table = chosen.effects(random_state)
    familywise = chosen.exact().familywise
    centre = chosen.random.mean(axis=1, keepdims=True)
    low, high = np.quantile(100 * (centre - chosen.random), [0.025, 0.975], axis=1)
    position = np.arange(len(table))
    figure, ((axes,),) = make_panels(3.2)
    axes.axhline(0, color=BLACK, ls=":", lw=1, zorder=0)
    axes.vlines(position, low, high, color=SKY, lw=6, alpha=0.45, zorder=1)
    axes.vlines(position, table["low"], table["high"], color=VERMILLION, lw=1.2, zorder=2)
    for x, effect, p in zip(position, table["effect"], familywise, strict=True):
        face = VERMILLION if p <= LEVEL else "white"
        axes.plot(x, effect, "o", color=VERMILLION, mfc=face, ms=4.5, zorder=3)
    separate_layers(axes, table["layer"])
    name_columns(axes, position, table["cluster"].astype(str).to_list())
    axes.set_xlim(-0.8, len(table) - 0.2)
    axes.set_xlabel("cluster, layer by layer")
    axes.set_ylabel("damage beyond permuted ones\n(percentage points)")
    handles = [
        mpl.lines.Line2D([], [], color=VERMILLION, marker="o", label="significant by itself"),
        mpl.lines.Line2D([], [], color=VERMILLION, marker="o", mfc="white", label="not"),
        mpl.lines.Line2D([], [], color=SKY, lw=6, alpha=0.45, label="95 % of permuted ones"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=3)
    return figure


@styled
def equal_damage(compared: Comparison) -> Figure:
    """Draw how unevenly lesions fall on the classes, beside random sets that cost as much.

    Parameters
    ----------
    compared : Comparison
        Of `measures.coherence`.
    """
    comparable = compared.subclusters["comparable"].to_numpy(dtype=bool) & compared.is_tested
    if not comparable.any():
        return notice("no sub-cluster costs enough images to be compared")
    chosen = compared.where(comparable)
    table = chosen.subclusters
    figure, ((axes,),) = make_panels(3.2)
    markers = dict(zip(table["layer"].unique(), "osD^vP*X<>", strict=False))
    axes.vlines(table["damage"], table["typical"], table["spread"], color=GREY, lw=0.8, zorder=1)
    axes.plot(table["damage"], table["typical"], "_", color=GREY, ms=8, mew=1.5, zorder=1)
    for layer, rows in table.groupby("layer", sort=False):
        marker = markers.get(str(layer), "o")
        is_low = chosen.true[rows.index] <= LEVEL
        for filled in (False, True):
            part = rows[is_low == filled]
            face = VERMILLION if filled else "white"
            axes.plot(
                part["damage"], part["spread"], marker, color=VERMILLION, mfc=face, ms=5, zorder=2
            )
    axes.set_xscale("log")
    axes.set_yscale("log")
    # Numbers of images are long: at 3 there is no room beside those at 2.
    for axis, labelled in ((axes.xaxis, (1, 2, 5)), (axes.yaxis, (1, 2, 3, 5))):
        axis.set_major_locator(mpl.ticker.LogLocator(subs=labelled))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_locator(mpl.ticker.NullLocator())
    axes.set_xlabel("images that the lesion costs")
    axes.set_ylabel("class-wise range")
    handles: list[mpl.artist.Artist] = [
        mpl.lines.Line2D([], [], color=VERMILLION, marker=marker, mfc="white", ls="", label=layer)
        for layer, marker in markers.items()
    ]
    handles += [
        mpl.lines.Line2D([], [], color=GREY, marker="_", ms=8, mew=1.5, ls="", label="typical"),
        mpl.patches.Patch(color=VERMILLION, label="filled: p ≤ .05"),
    ]
    figure.legend(handles=handles, loc="outside right center")
    return figure
