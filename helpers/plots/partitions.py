"""Partitions: which clusters lie where, and how good their cut is."""

from itertools import pairwise

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from helpers.partitions import ISOLATED, Partition
from helpers.plots.style import (
    GREY,
    VERMILLION,
    WHITE_BOX,
    cluster_colours,
    clusters_of,
    ink,
    make_panels,
    styled,
)

_NODE = 0.62
"""Width of a layer's column, where the distance of two columns is 1."""

_LEAST_SHARE = 4.0
"""Percent of a layer from which on there is room for a number."""


@styled
def clusters_by_layer(partition: Partition) -> Figure:
    """Draw how clusters run through the layers: an alluvial diagram.

    Parameters
    ----------
    partition : Partition
        Its layers become columns from left to right, each split into its sub-clusters, and bands
        join those of one cluster in neighbouring layers. A band is as wide as the cluster's share
        of the layer; where there is room the cluster's number stands there and, in brackets, how
        many units it has. Isolated units lie on top, hatched. Clusters that lie in early layers
        are at the bottom.
    """
    shares, sizes = _shares(partition)
    clusters = _from_early_to_late(shares)
    colours = dict(zip(clusters, cluster_colours(len(clusters)), strict=True))
    figure, ((axes,),) = make_panels(4.4)
    bottoms = [
        dict(zip(clusters, np.cumsum([0.0, *(each[c] for c in clusters)]), strict=False))
        for each in shares
    ]
    for cluster in clusters:
        for column, (here, there) in enumerate(pairwise(shares)):
            if here[cluster] and there[cluster]:
                ends = [
                    (bottoms[column + i][cluster], bottoms[column + i][cluster] + share[cluster])
                    for i, share in enumerate((here, there))
                ]
                band = _band(column + _NODE / 2, column + 1 - _NODE / 2, *ends)
                axes.add_patch(PathPatch(band, facecolor=colours[cluster], alpha=0.5, lw=0))
    for column, (share, size) in enumerate(zip(shares, sizes, strict=True)):
        for cluster in [*clusters, ISOLATED]:
            isolated = cluster == ISOLATED
            bottom = 100 - share[cluster] if isolated else bottoms[column][cluster]
            axes.bar(
                column,
                share[cluster],
                bottom=bottom,
                width=_NODE,
                color="white" if isolated else colours[cluster],
                hatch="////" if isolated else None,
                edgecolor=GREY if isolated else "white",
                linewidth=0.4,
            )
            if share[cluster] >= _LEAST_SHARE:
                axes.text(
                    column,
                    bottom + share[cluster] / 2,
                    f"({size[cluster]})" if isolated else f"{cluster} ({size[cluster]})",
                    ha="center",
                    va="center",
                    color="black" if isolated else ink(colours[cluster]),
                    bbox=WHITE_BOX if isolated else None,
                )
    widths = [f"{layer}\n{len(labels)} units" for layer, labels in partition.labels.items()]
    axes.set_xticks(range(len(widths)), widths)
    axes.tick_params(axis="x", length=0)
    axes.set_ylabel("share of the layer's units (%)")
    axes.set_ylim(0, 100)
    axes.set_xlim(-0.5, len(widths) - 0.5)
    return figure


def _shares(partition: Partition) -> tuple[list[dict[int, float]], list[dict[int, int]]]:
    """Return each layer's shares of the clusters, in percent, and their numbers of units."""
    clusters = [*clusters_of(partition), ISOLATED]
    sizes = [
        {cluster: int(np.sum(labels == cluster)) for cluster in clusters}
        for labels in partition.labels.values()
    ]
    widths = [len(labels) for labels in partition.labels.values()]
    shares = [
        {cluster: 100 * size / width for cluster, size in each.items()}
        for each, width in zip(sizes, widths, strict=True)
    ]
    return shares, sizes


def _from_early_to_late(shares: list[dict[int, float]]) -> list[int]:
    """Return clusters by the layer that they lie in on average, each layer counting by share."""
    clusters = [cluster for cluster in shares[0] if cluster != ISOLATED]
    columns = np.arange(len(shares))
    means = [
        float(np.average(columns, weights=[each[cluster] for each in shares]))
        for cluster in clusters
    ]
    return [clusters[i] for i in np.argsort(means, kind="stable")]


def _band(left: float, right: float, here: tuple[float, float], there: tuple[float, float]) -> Path:
    """Return the outline of a band between two columns, from (bottom, top) to (bottom, top)."""
    middle = (left + right) / 2
    (a, b), (c, d) = here, there
    curve = Path.CURVE4
    return Path(
        [
            *((left, a), (middle, a), (middle, c), (right, c)),
            *((right, d), (middle, d), (middle, b), (left, b), (left, a)),
        ],
        [Path.MOVETO, curve, curve, curve, Path.LINETO, curve, curve, curve, Path.CLOSEPOLY],
    )


@styled
def cut_against_shuffles(cut: float, shuffled: npt.ArrayLike) -> Figure:
    """Draw a network's n-cut beside those of graphs with shuffled weights."""
    figure, ((axes,),) = make_panels(1.5)
    values = np.asarray(shuffled)
    axes.plot(values, np.zeros(len(values)), "o", color=GREY, ms=7, alpha=0.7, mec="white")
    axes.plot([cut], [0], "D", color=VERMILLION, ms=8, mec="white")
    axes.annotate("trained weights", (cut, 0), (0, 12), textcoords="offset points", ha="center")
    middle = float(np.median(values))
    axes.annotate(
        "the same weights, shuffled", (middle, 0), (0, -18), textcoords="offset points", ha="center"
    )
    axes.set_yticks([])
    axes.set_ylim(-1, 1)
    axes.margins(x=0.12)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("n-cut (lower: clusters are more separate)")
    return figure
