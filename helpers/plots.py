"""Every figure, in one style. Importing this room sets the style for the whole process.

Colours are Okabe and Ito's, which colour-blind readers can tell apart; what a colour says, a
marker, a line style or a label says too.
"""

from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from helpers.partitions import ISOLATED, Partition
from helpers.profiles import LesionProfiles

PAGE_WIDTH = 7.2
"""Inches."""

BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, VERMILLION, PURPLE = (
    *("#000000", "#E69F00", "#56B4E9", "#009E73"),
    *("#F0E442", "#0072B2", "#D55E00", "#CC79A7"),
)
GREY = "#9A9A9A"
_WHITE_BOX = {"facecolor": "white", "edgecolor": "none", "pad": 1}

STYLE: dict[Any, Any] = {
    "figure.dpi": 150,
    "figure.constrained_layout.use": True,
    "savefig.dpi": 150,
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "axes.titlesize": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "legend.frameon": False,
    "lines.linewidth": 1.2,
}
mpl.rcParams.update(STYLE)


def clusters_by_layer(partition: Partition) -> Figure:
    """Draw each layer as a bar of its units, coloured by cluster.

    Parameters
    ----------
    partition : Partition
        Its layers become bars from left to right, each split into its sub-clusters from cluster
        0 at the bottom up; isolated units lie on top, hatched. Sub-clusters of at least 4 % of a
        layer carry their cluster's number.
    """
    clusters = _clusters(partition)
    colours = dict(zip(clusters, _cluster_colours(len(clusters)), strict=True))
    figure, ((axes,),) = _panels(3.6)
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
                colour = "black" if isolated else _ink(colours[cluster])
                axes.text(
                    column,
                    bottom + share / 2,
                    text,
                    ha="center",
                    va="center",
                    color=colour,
                    fontsize=7.5,
                    bbox={"facecolor": "white", "edgecolor": "none", "pad": 1}
                    if isolated
                    else None,
                )
            bottom += share
    widths = [f"{layer}\n{len(labels)} units" for layer, labels in partition.labels.items()]
    axes.set_xticks(range(len(widths)), widths)
    axes.tick_params(axis="x", length=0)
    axes.set_ylabel("share of the layer's units (%)")
    axes.set_ylim(0, 100)
    axes.set_xlim(-0.6, len(widths) - 0.4)
    return figure


def subcluster_sizes(partition: Partition) -> Figure:
    """Draw how many units each cluster has in each layer, as a table with shaded cells."""
    clusters = _clusters(partition)
    layers = list(partition.labels)
    sizes = np.array([[np.sum(partition.labels[each] == c) for c in clusters] for each in layers])
    shares = sizes / np.array([[len(partition.labels[each])] for each in layers])
    figure, ((axes,),) = _panels(0.6 + 0.34 * len(layers))
    image = axes.imshow(100 * shares, cmap="Blues", aspect="auto", vmin=0)
    for (row, column), size in np.ndenumerate(sizes):
        if size:
            colour = "white" if shares[row, column] > shares.max() / 2 else "black"
            axes.text(column, row, str(size), ha="center", va="center", color=colour)
    axes.set_xticks(range(len(clusters)), [str(cluster) for cluster in clusters])
    axes.set_yticks(range(len(layers)), layers)
    axes.set_xlabel("cluster")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    figure.colorbar(image, label="share of layer (%)", pad=0.02)
    return figure


def cut_against_shuffles(cut: float, shuffled: npt.ArrayLike) -> Figure:
    """Draw a network's n-cut beside those of graphs with shuffled weights."""
    figure, ((axes,),) = _panels(1.5)
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


def accuracy_profiles(profiles: LesionProfiles) -> Figure:
    """Draw each class's accuracy: intact, under each lesion, and under its random twins' (Fig. 6).

    One row of panels per layer and one column per cluster. The rightmost point of each panel is
    the accuracy over all classes.
    """
    layers = list(profiles.partition.hidden)
    clusters = sorted({each.cluster for each in profiles.subclusters})
    n_classes = len(profiles.class_sizes)
    figure, panels = _panels(
        0.55 + 1.3 * len(layers), len(layers), len(clusters), sharex=True, sharey=True
    )
    for axes in panels.flat:
        axes.set_axis_off()
    for each, true, random in zip(
        profiles.subclusters, profiles.true, profiles.random, strict=True
    ):
        axes = panels[layers.index(each.layer), clusters.index(each.cluster)]
        axes.set_axis_on()
        live = len(profiles.partition.live_units(each.layer))
        axes.set_title(f"{each.layer}, cluster {each.cluster}: {len(each.units) / live:.0%}")
        for twin in random:
            _profile(axes, twin, profiles, color=GREY, lw=0.6, alpha=0.45)
        _profile(axes, profiles.intact, profiles, color=GREEN, ls="--")
        _profile(axes, true, profiles, color=VERMILLION, marker="o", ms=2.5)
    _label_outermost(panels)
    panels[0, 0].set_xticks(range(n_classes + 1), [*_class_ticks(n_classes), "all"])
    panels[0, 0].set_ylim(-4, 104)
    figure.supylabel("accuracy (%)", fontsize=8.5)
    figure.supxlabel("class", fontsize=8.5)
    handles = [
        mpl.lines.Line2D([], [], color=GREEN, ls="--", label="intact"),
        mpl.lines.Line2D([], [], color=VERMILLION, marker="o", ms=3, label="sub-cluster lesioned"),
        mpl.lines.Line2D([], [], color=GREY, lw=0.8, label="random twins lesioned"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=3)
    return figure


def lesions_against_twins(table: pd.DataFrame) -> Figure:
    """Draw the accuracy under each sub-cluster's lesion beside those under its twins' lesions.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `importance.importance`.
    """
    figure, ((axes,),) = _panels(3.0)
    random = 100 * table.filter(regex=r"^random_\d+$").to_numpy()
    position = np.arange(len(table))
    axes.plot(position, random, "_", color=GREY, ms=6, mew=0.9, zorder=1)
    axes.axhline(100 * table["intact"].iloc[0], color=GREEN, ls="--", zorder=0)
    beaten = 100 * table["value"].to_numpy() < random.min(axis=1)
    for chosen, face in ((beaten, VERMILLION), (~beaten, "white")):
        axes.plot(
            position[chosen],
            100 * table["value"][chosen],
            "o",
            color=VERMILLION,
            mfc=face,
            ms=4.5,
            zorder=2,
        )
    _separate_layers(axes, table["layer"])
    axes.set_xticks(position, table["cluster"].astype(str), fontsize=6.5)
    axes.set_xlabel("cluster, layer by layer")
    axes.set_ylabel("accuracy under the lesion (%)")
    axes.set_xlim(-0.8, len(table) - 0.2)
    handles = [
        mpl.lines.Line2D([], [], color=GREEN, ls="--", label="intact"),
        mpl.lines.Line2D(
            [], [], color=VERMILLION, marker="o", ls="", label="sub-cluster, below all twins"
        ),
        mpl.lines.Line2D(
            [], [], color=VERMILLION, marker="o", mfc="white", ls="", label="sub-cluster"
        ),
        mpl.lines.Line2D([], [], color=GREY, marker="_", ls="", label="random twins"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=4)
    return figure


def p_value_counts(tables: dict[str, pd.DataFrame]) -> Figure:
    """Draw how the sub-clusters' p values are spread over their possible values.

    Parameters
    ----------
    tables : dict of str to pandas.DataFrame
        Title of a panel, and the table of a proxy with its column p and its twins.
    """
    figure, panels = _panels(2.2, 1, len(tables), sharey=True)
    for axes, (title, table) in zip(panels[0], tables.items(), strict=True):
        n_values = table.filter(regex=r"^random_\d+$").shape[1] + 1
        p = table["p"].dropna().to_numpy()
        counts = np.bincount(np.rint(p * n_values).astype(int), minlength=n_values + 1)[1:]
        grid = np.arange(1, n_values + 1) / n_values
        axes.bar(grid, counts, width=0.8 / n_values, color=BLUE)
        axes.axhline(len(p) / n_values, color=BLACK, ls=":", lw=1)
        axes.set_title(f"{title} ({len(p)} sub-clusters)")
        axes.set_xlabel("p value")
        axes.set_xlim(0, 1 + 1 / n_values)
        axes.yaxis.get_major_locator().set_params(integer=True)
    panels[0, 0].set_ylabel("sub-clusters")
    return figure


def _panels(height: float, rows: int = 1, columns: int = 1, **options: Any) -> tuple[Figure, Any]:
    """Make a figure of page width and a height in inches, with its panels in rows and columns."""
    figure, panels = plt.subplots(
        rows, columns, figsize=(PAGE_WIDTH, height), squeeze=False, **options
    )
    # A notebook would show a figure that stays open a second time.
    plt.close(figure)
    return figure, panels


def _profile(
    axes: Axes, counts: npt.NDArray[np.int64], profiles: LesionProfiles, **style: object
) -> None:
    """Draw one line: the accuracy of each class, and apart from it that of all images."""
    by_class = 100 * counts / profiles.class_sizes
    overall = 100 * counts.sum() / profiles.class_sizes.sum()
    n_classes = len(by_class)
    axes.plot(range(n_classes), by_class, **style)  # type: ignore[arg-type]
    axes.plot([n_classes - 0.3, n_classes + 0.3], [overall, overall], **style)  # type: ignore[arg-type]


def _label_outermost(panels: Any) -> None:
    """Label the ticks of each row's leftmost and each column's lowest panel that is in use."""
    used = np.array([[axes.axison for axes in row] for row in panels])
    for row, column in zip(range(len(panels)), used.argmax(axis=1), strict=True):
        panels[row, column].tick_params(labelleft=True)
    lowest = len(panels) - 1 - used[::-1].argmax(axis=0)
    for row, column in zip(lowest, range(panels.shape[1]), strict=True):
        panels[row, column].tick_params(labelbottom=True)


def _class_ticks(n_classes: int) -> list[str]:
    """Return tick labels of the classes, every other one left out where they would crowd."""
    return [str(c) if c % 2 == 0 else "" for c in range(n_classes)]


def _separate_layers(axes: Axes, layers: pd.Series) -> None:
    """Draw a line between the layers of consecutive sub-clusters, and name them on top."""
    starts = np.flatnonzero(layers.to_numpy() != layers.shift().to_numpy())
    ends = [*starts[1:], len(layers)]
    for start, end in zip(starts, ends, strict=True):
        if start:
            axes.axvline(start - 0.5, color=GREY, lw=0.5)
        axes.text(
            (start + end - 1) / 2,
            1.01,
            layers.iloc[start],
            transform=axes.get_xaxis_transform(),
            ha="center",
            va="bottom",
        )


def _clusters(partition: Partition) -> list[int]:
    found = np.unique(np.concatenate(list(partition.labels.values())))
    return [int(cluster) for cluster in found if cluster != ISOLATED]


def _cluster_colours(n: int) -> npt.NDArray[np.float64]:
    """Return n colours of even steps in lightness, those of neighbours far apart."""
    steps = np.linspace(0.05, 0.98, n)
    halves = np.arange(2 * ((n + 1) // 2)).reshape(2, -1).T.ravel()
    return np.asarray(plt.get_cmap("viridis")(steps[halves[halves < n]]))


def _ink(background: npt.NDArray[np.float64]) -> str:
    """Return black or white, whichever reads better on a background."""
    luminance = background[:3] @ (0.2126, 0.7152, 0.0722)
    return "black" if luminance > 0.45 else "white"
