"""What a report draws: figures narrow enough for a phone, layer by layer."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from helpers.partitions import ISOLATED, Partition
from helpers.plots.style import (
    GREY,
    VERMILLION,
    class_ticks,
    cluster_colours,
    clusters_of,
    ink,
    make_panels,
    styled,
)

WIDTH = 4.0
"""Inches."""

_LONGEST_NAME = 40

_MOST_WRITTEN = 10
"""Classes up to which each number of a heat map is written."""


@styled
def damages_beside_permuted(
    names: Sequence[str],
    true: npt.NDArray[np.float64],
    permuted: npt.NDArray[np.float64],
    found: npt.NDArray[np.bool_],
) -> Figure:
    """Draw what lesions of parts cost beside what random parts of the same size cost.

    Parameters
    ----------
    names : sequence of str
        Of the S parts, drawn from the top down.
    true : ndarray of float, shape (S,)
        Loss of accuracy in percentage points.
    permuted : ndarray of float, shape (B, S)
        The same of random parts: the middle 95 % are a bar, the median a line on it, and all of
        them a thin line.
    found : ndarray of bool, shape (S,)
        Which parts are filled, because they cost more than chance.
    """
    figure, ((axes,),) = make_panels(0.62 + 0.21 * len(names), width=WIDTH)
    rows = np.arange(len(names))
    least, low, median, high, most = np.percentile(permuted, [0, 2.5, 50, 97.5, 100], axis=0)
    axes.hlines(rows, least, most, color=GREY, lw=0.8)
    axes.barh(rows, high - low, left=low, height=0.5, color="#D3D3D3")
    axes.vlines(median, rows - 0.25, rows + 0.25, color="#5A5A5A", lw=1)
    for row, value, is_found in zip(rows, true, found, strict=True):
        face = VERMILLION if is_found else "white"
        axes.plot(value, row, "o", color=VERMILLION, mfc=face, ms=5)
    axes.set_yticks(rows, names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.margins(x=0.06)
    axes.set_xlabel("loss of accuracy (percentage points)")
    return figure


@styled
def class_losses(names: Sequence[str], losses: npt.NDArray[np.float64], bound: float) -> Figure:
    """Draw how much each class loses, one row per part, as a heat map.

    Parameters
    ----------
    names : sequence of str
        Of the S parts.
    losses : ndarray of float, shape (S, n_classes)
        Percentage points beyond what random parts cost: orange where a class loses more, blue
        where less. NaN for classes without images.
    bound : float
        Where colours end, so that figures can be compared.
    """
    n_classes = losses.shape[1]
    figure, ((axes,),) = make_panels(0.62 + 0.21 * len(names), width=WIDTH)
    colours = mpl.colors.LinearSegmentedColormap.from_list(
        "loss", ["#0072B2", "#FFFFFF", VERMILLION]
    )
    image = axes.imshow(losses, cmap=colours, vmin=-bound, vmax=bound, aspect="auto")
    if n_classes <= _MOST_WRITTEN:
        for (row, column), value in np.ndenumerate(losses):
            if np.isfinite(value):
                colour = ink(np.array(colours((value + bound) / (2 * bound))))
                text = f"{value:.0f}".replace("-0", "0").replace("-", "−")
                axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=6.5)
    axes.set_yticks(range(len(names)), names)
    if n_classes <= 2 * _MOST_WRITTEN:
        ticks = list(map(str, range(n_classes))) if n_classes <= 10 else class_ticks(n_classes)
        axes.set_xticks(range(n_classes), ticks)
    axes.set_xlabel("class")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    if n_classes > _MOST_WRITTEN:
        figure.colorbar(image, pad=0.02, aspect=12)
    return figure


@styled
def partition_bars(partition: Partition) -> Figure:
    """Draw each layer as a bar of its units, from left to right, coloured by cluster.

    Parameters
    ----------
    partition : Partition
        Its layers become bars from the top down, each split into its sub-clusters; isolated units
        lie at the end, hatched. Sub-clusters of at least 6 % of a layer carry their cluster's
        number.
    """
    clusters = clusters_of(partition)
    colours = dict(zip(clusters, cluster_colours(len(clusters)), strict=True))
    figure, ((axes,),) = make_panels(0.55 + 0.42 * len(partition.labels), width=WIDTH)
    for row, (layer, labels) in enumerate(partition.labels.items()):
        left = 0.0
        for cluster in [*clusters, ISOLATED]:
            share = 100 * float(np.mean(labels == cluster))
            isolated = cluster == ISOLATED
            axes.barh(
                row,
                share,
                left=left,
                height=0.5,
                color="white" if isolated else colours[cluster],
                hatch="////" if isolated else None,
                edgecolor=GREY if isolated else "white",
                linewidth=0.4,
            )
            if share >= 6 and not isolated:
                colour = ink(colours[cluster])
                middle = left + share / 2
                axes.text(
                    middle, row, str(cluster), ha="center", va="center", color=colour, fontsize=7.5
                )
            left += share
        name = f"{shortened(layer)}, {len(labels)} units"
        axes.text(0, row - 0.29, name, va="bottom", fontsize=7.5, parse_math=False)
    axes.set_yticks([])
    axes.set_ylim(len(partition.labels) - 0.6, -0.75)
    axes.set_xlim(0, 100)
    axes.set_xlabel("share of the layer's units (%)")
    axes.spines["left"].set_visible(False)
    return figure


def shortened(name: str) -> str:
    """Return a name that fits a narrow figure, its middle left out if it is long."""
    half = _LONGEST_NAME // 2
    return name if len(name) <= _LONGEST_NAME else f"{name[:half]}…{name[-half:]}"
