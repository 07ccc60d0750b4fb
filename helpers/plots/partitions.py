"""Partitions: which clusters lie where, and how good their cut is."""

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

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


@styled
def clusters_by_layer(partition: Partition) -> Figure:
    """Draw each layer as a bar of its units, coloured by cluster.

    Parameters
    ----------
    partition : Partition
        Its layers become bars from left to right, each split into its sub-clusters from cluster
        0 at the bottom up; isolated units lie on top, hatched. Sub-clusters of at least 4 % of a
        layer carry their cluster's number.
    """
    clusters = clusters_of(partition)
    colours = dict(zip(clusters, cluster_colours(len(clusters)), strict=True))
    figure, ((axes,),) = make_panels(3.6)
    for column, labels in enumerate(partition.labels.values()):
        bottom = 0.0
        for cluster in [*clusters, ISOLATED]:
            share = 100 * np.mean(labels == cluster)
            isolated = cluster == ISOLATED
            axes.bar(
                column,
                share,
                bottom=bottom,
                width=0.86,
                color="white" if isolated else colours[cluster],
                hatch="////" if isolated else None,
                edgecolor=GREY if isolated else "white",
                linewidth=0.4,
            )
            if share >= 4:
                text = "isolated" if isolated else str(cluster)
                colour = "black" if isolated else ink(colours[cluster])
                axes.text(
                    column,
                    bottom + share / 2,
                    text,
                    ha="center",
                    va="center",
                    color=colour,
                    bbox=WHITE_BOX if isolated else None,
                )
            bottom += share
    widths = [f"{layer}\n{len(labels)} units" for layer, labels in partition.labels.items()]
    axes.set_xticks(range(len(widths)), widths)
    axes.tick_params(axis="x", length=0)
    axes.set_ylabel("share of the layer's units (%)")
    axes.set_ylim(0, 100)
    axes.set_xlim(-0.6, len(widths) - 0.4)
    return figure


@styled
def subcluster_sizes(partition: Partition) -> Figure:
    """Draw how many units each cluster has in each layer, as a table with shaded cells."""
    clusters = clusters_of(partition)
    layers = list(partition.labels)
    sizes = np.array([[np.sum(partition.labels[each] == c) for c in clusters] for each in layers])
    shares = sizes / np.array([[len(partition.labels[each])] for each in layers])
    figure, ((axes,),) = make_panels(0.6 + 0.34 * len(layers))
    image = axes.imshow(100 * shares, cmap="Blues", aspect="auto", vmin=0)
    for (row, column), size in np.ndenumerate(sizes):
        if size:
            colour = ink(np.asarray(image.cmap(image.norm(100 * shares[row, column]))))
            axes.text(column, row, str(size), ha="center", va="center", color=colour)
    axes.set_xticks(range(len(clusters)), [str(cluster) for cluster in clusters])
    axes.set_yticks(range(len(layers)), layers)
    axes.set_xlabel("cluster")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    figure.colorbar(image, label="share of layer (%)", pad=0.02)
    return figure


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
