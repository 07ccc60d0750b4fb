"""Every figure, in one style. Importing this room sets the style for the whole process.

Colours are Okabe and Ito's, which colour-blind readers can tell apart; what a colour says, a
marker, a line style or a label says too.
"""

from collections.abc import Iterable, Sequence
from string import ascii_lowercase
from textwrap import wrap
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
from adjustText import adjust_text
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import SymLogNorm
from matplotlib.figure import Figure

from helpers import statistics
from helpers.construction import Constructions
from helpers.correlations import Pictures
from helpers.dependencies import CASES
from helpers.partitions import ISOLATED, Partition
from helpers.profiles import LesionProfiles
from helpers.tables import MEASURES, TESTS, rows_of

PAGE_WIDTH = 7.2
"""Inches."""

BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, VERMILLION, PURPLE = (
    *("#000000", "#E69F00", "#56B4E9", "#009E73"),
    *("#F0E442", "#0072B2", "#D55E00", "#CC79A7"),
)
GREY = "#9A9A9A"
_WHITE_BOX = {"facecolor": "white", "edgecolor": "none", "pad": 1}

_KIND_STYLES = {
    "important": ("o", VERMILLION),
    "sig-but-not-diff": ("^", BLUE),
    "diff-but-not-sig": ("v", ORANGE),
    "prunable": ("s", GREEN),
    "least-important": ("D", PURPLE),
    "complete": ("p", BLACK),
    "small": (".", GREY),
    "other": ("x", GREY),
}
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
_TEST_STYLES = {
    "fisher": ("o", "-", BLUE),
    "exchangeable_fisher": ("o", "--", SKY),
    "chi2": ("s", "-", VERMILLION),
    "exchangeable_chi2": ("s", "--", ORANGE),
}
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
                    bbox=_WHITE_BOX if isolated else None,
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


def example_images(columns: list[dict[str, npt.NDArray[np.float32]]]) -> Figure:
    """Draw rows of images, in columns side by side (Figure 3).

    Parameters
    ----------
    columns : list of dict of str to ndarray, shape (n, height, width, channels)
        For each column, titles of rows and their images, of one, two or three channels. Two
        channels are drawn in orange and in its complement, blue: grey where they are equal.
    """
    n_rows = max(map(len, columns))
    figure, panels = _panels(0.1 + 0.5 * n_rows, n_rows, len(columns))
    for axes in panels.flat:
        axes.set_axis_off()
    for column, rows in zip(panels.T, columns, strict=True):
        for axes, (title, images) in zip(column, rows.items(), strict=False):
            left = np.arange(len(images)) * (images.shape[2] + 1)
            mosaic = _mosaic(_coloured(images)[np.newaxis], np.array([0]), left)
            axes.imshow(mosaic, interpolation="nearest")
            axes.set_title(title, loc="left", pad=2)
    return figure


def subcluster_pictures(
    panels: dict[str, tuple[Pictures, tuple[int, int, int]]], n_shown: int = 4
) -> Figure:
    """Draw what sub-clusters respond to above what random twins respond to (Figures 1 and 4).

    One column per sub-cluster, layer by layer, with its cluster's number below. Correlations are
    scaled from black to white for each column by itself, all its rows together. Of two channels
    the absolute correlations are drawn, in the colours of `example_images`: hue says which of the
    two images a sub-cluster responds to, brightness how strongly.

    Parameters
    ----------
    panels : dict of str to (Pictures, tuple of int)
        Title of each panel, its pictures, and the height, width and channels of an image.
    n_shown : int
        Random twins per sub-cluster to draw; all if there are fewer.
    """
    if not panels:
        return _notice("no networks to draw")
    widths = [len(each.subclusters) for each, _ in panels.values()]
    cells = [min(0.42, (PAGE_WIDTH - 0.6) / max(width, 1)) for width in widths]
    heights = [(n_shown + 1) * cell + 0.55 for cell in cells]
    figure, drawn = _panels(sum(heights), len(panels), height_ratios=heights)
    for axes, (pictures, image_shape) in zip(drawn[:, 0], panels.values(), strict=True):
        axes.set_anchor("W")
        if pictures.subclusters:
            _draw_pictures(axes, pictures, image_shape, n_shown)
        else:
            _write(axes, "no sub-cluster within the size rule")
    _letter(drawn[:, 0], panels)
    return figure


def constructed_images(made: Constructions, n_shown: int = 8) -> Figure:
    """Draw images made for sub-clusters beside those made for their random twins (Figure 5).

    Parameters
    ----------
    made : Constructions
        Of `construction.constructions`.
    n_shown : int
        Sub-clusters to draw, at most, spread evenly over the layers; one row each.
    """
    chosen = np.unique(np.linspace(0, len(made.subclusters) - 1, n_shown).round().astype(int))
    images = made.images[chosen].astype(float)
    height, width = images.shape[2:4]
    columns = np.arange(images.shape[1])
    left = columns * (width + 1) + max(1, width // 3) * (columns > 0)
    top = np.arange(len(chosen)) * (height + 1)
    figure, ((axes,),) = _panels(0.4 + 0.58 * len(chosen))
    axes.imshow(_mosaic(_coloured(images), top, left, ground=0.7), interpolation="nearest")
    labels = [
        f"{each.layer}, cluster {each.cluster}\n{len(each.units)} units"
        for each in (made.subclusters[i] for i in chosen)
    ]
    axes.set_yticks(top + (height - 1) / 2, labels, fontsize=7)
    axes.set_xticks([(width - 1) / 2, left[1:].mean() + (width - 1) / 2], ["true", "random twins"])
    axes.tick_params(length=0, labeltop=True, labelbottom=False)
    axes.spines[:].set_visible(False)
    return figure


def against_twins(
    panels: dict[str, pd.DataFrame], label: str, parts: tuple[str, str] | None = None
) -> Figure:
    """Draw a measure of each sub-cluster beside its random twins'; large values are extreme.

    Parameters
    ----------
    panels : dict of str to pandas.DataFrame
        Title of each panel, and a table of `statistics.compare`.
    label : str
        What the measure is, with its unit.
    parts : (str, str), optional
        Names of the parts of the input, if the tables say which one is preferred: sub-clusters
        are then drawn as arrows to the left or to the right.
    """
    if not panels:
        return _notice("no networks to draw")
    figure, drawn = _panels(1.9 * len(panels) + 0.3, len(panels), sharey=True)
    markers = "<>" if parts else "o"
    for axes, table in zip(drawn[:, 0], panels.values(), strict=True):
        random = statistics.twins(table).to_numpy()
        _draw_against_twins(
            axes,
            table,
            table["value"].to_numpy(),
            random,
            table["value"].to_numpy() > random.max(axis=1, initial=-np.inf),
            [markers[part] for part in table["preferred"]] if parts else ["o"] * len(table),
        )
    _letter(drawn[:, 0], panels)
    drawn[0, 0].set_ylim(bottom=0)
    figure.supylabel(label, fontsize=8.5)
    drawn[-1, 0].set_xlabel("cluster, layer by layer")
    names = [f"sub-cluster, prefers {part}" for part in parts] if parts else ["sub-cluster"]
    handles = [
        mpl.lines.Line2D([], [], color=VERMILLION, marker=marker, mfc="white", ls="", label=name)
        for marker, name in zip(markers, names, strict=True)
    ]
    handles += [
        mpl.lines.Line2D(
            [], [], color=VERMILLION, marker="s", ls="", label="filled: above all twins"
        ),
        mpl.lines.Line2D([], [], color=GREY, marker="_", ls="", label="random twins"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    return figure


def addition_table(sums: npt.NDArray[np.int64]) -> Figure:
    """Draw which class a network answers to each pair of classes, as a table."""
    figure, ((axes,),) = _panels(0.4 + 0.25 * len(sums))
    axes.imshow(sums, cmap="viridis", aspect="auto")
    for (row, column), value in np.ndenumerate(sums):
        ink = _ink(np.asarray(plt.get_cmap("viridis")(value / max(sums.max(), 1))))
        axes.text(column, row, str(value), ha="center", va="center", color=ink)
    axes.set_xticks(range(sums.shape[1]))
    axes.set_yticks(range(sums.shape[0]))
    axes.set_xlabel("second class")
    axes.set_ylabel("first class")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return figure


def lesions_against_twins(table: pd.DataFrame) -> Figure:
    """Draw the accuracy under each sub-cluster's lesion beside those under its twins' lesions.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `importance.importance`.
    """
    figure, ((axes,),) = _panels(3.0)
    random = 100 * statistics.twins(table).to_numpy()
    values = 100 * table["value"].to_numpy()
    axes.axhline(100 * table["intact"].iloc[0], color=GREEN, ls="--", zorder=0)
    below = values < random.min(axis=1)
    _draw_against_twins(axes, table, values, random, below, ["o"] * len(table))
    axes.set_xlabel("cluster, layer by layer")
    axes.set_ylabel("accuracy under the lesion (%)")
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
        n_values = statistics.twins(table).shape[1] + 1
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


def taxonomy(table: pd.DataFrame) -> Figure:
    """Draw each sub-cluster's damage over its share of the layer, by kind (Figure 2).

    Parameters
    ----------
    table : pandas.DataFrame
        Of `importance.taxonomy`. Important sub-clusters are labelled "layer-cluster", layers
        counted from 1.
    """
    figure, ((axes,),) = _panels(3.4)
    axes.axhline(1, color=GREY, ls=":", lw=1, zorder=0)
    size = 5.5
    share, damage = 100 * table["share"], 100 * table["damage"]
    for kind, (marker, colour) in _KIND_STYLES.items():
        chosen = table["kind"] == kind
        if chosen.any():
            filled = kind == "important"
            axes.plot(
                share[chosen],
                damage[chosen],
                marker,
                color=colour,
                mfc=colour if filled else "none",
                ms=size,
                label=f"{kind} ({chosen.sum()})",
            )
    axes.set_xlabel("share of the layer's units (%)")
    axes.set_ylabel("loss of accuracy (percentage points)")
    axes.margins(0.06, 0.1)
    figure.legend(loc="outside right center")
    important = table["kind"] == "important"
    texts = [
        axes.text(x, y, name, fontsize=7.5)
        for x, y, name in zip(
            share[important], damage[important], _names(table)[important], strict=True
        )
    ]
    # Labels are moved in pixels, so the panel must not move after them.
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    if texts:
        centres = axes.transData.transform(np.column_stack([share, damage]))
        half = size / 2 * figure.dpi / 72
        corners = centres[:, np.newaxis] + half * np.array([(-1, -1), (-1, 1), (1, -1), (1, 1)])
        # Labels keep off the markers' corners: to the library a marker is but a point.
        occupied = axes.transData.inverted().transform(np.vstack([centres, *corners]))
        adjust_text(
            texts,
            *occupied.T,
            target_x=share[important].to_numpy(),
            target_y=damage[important].to_numpy(),
            ax=axes,
            iter_lim=500,
            expand=(1.5, 1.8),
            arrowprops={"arrowstyle": "-", "color": GREY, "lw": 0.6},
        )
    return figure


def double_lesions(conditional: pd.DataFrame, kinds: pd.DataFrame) -> Figure:
    """Draw what each sub-cluster's lesion adds when another one is gone (Figure 9).

    Parameters
    ----------
    conditional : pandas.DataFrame
        Of `dependencies.conditional_importance`: rows of the picture are first, columns second.
    kinds : pandas.DataFrame
        Of `importance.taxonomy`, for the same partition. Its damages are on the diagonal, bold.
    """
    order = conditional[["first_layer", "first_cluster"]].drop_duplicates()
    order.columns = pd.Index(["layer", "cluster"])
    table = order.merge(kinds) if len(kinds) > 1 else kinds
    k = len(table)
    if not k:
        return _notice("no sub-clusters")
    cells = np.diag(100 * table["damage"].to_numpy())
    marks = np.full((k, k), "", dtype=object)
    elsewhere = ~np.eye(k, dtype=bool)
    cells[elsewhere] = 100 * conditional["value"]
    marks[elsewhere] = np.where(
        conditional["star"], "*", np.where(conditional["below_all"], "?", "")
    )

    figure, ((axes,),) = _panels(0.9 + 6.0 * min(1, max(k, 4) / 12))
    largest = max(np.abs(cells).max(), 1.001)
    image = axes.imshow(
        cells, cmap="PuOr_r", norm=SymLogNorm(1, vmin=-largest, vmax=largest), aspect="auto"
    )
    size = float(np.clip(140 / k, 4.2, 8))
    for (row, column), value in np.ndenumerate(cells):
        text = f"{value:.1f}" if abs(value) < 9.95 else f"{value:.0f}"
        axes.text(
            column,
            row,
            text.replace("-0.0", "0.0") + marks[row, column],
            ha="center",
            va="center",
            fontsize=size,
            fontweight="bold" if row == column else "normal",
            color=_ink(np.asarray(image.cmap(image.norm(value)))),
        )
    names = _names(table) + " " + table["kind"].str[:3].str.upper()
    axes.set_xticks(range(k), names, rotation=90, fontsize=max(size, 5.5))
    axes.set_yticks(range(k), names, fontsize=max(size, 5.5))
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


def dependency_cases() -> Figure:
    """Draw what can be said of X and Y, given whether each is important without the other (Fig. 7).

    U lies in X's layer and V in Y's; all four are important by themselves.
    """
    figure, panels = _panels(2.1, 1, len(CASES))
    place = {"X": (0.0, 1.0), "U": (0.0, 0.0), "Y": (1.0, 1.0), "V": (1.0, 0.0)}
    for axes, (case, reading) in zip(panels[0], CASES.items(), strict=True):
        for name, (x, y) in place.items():
            face = SKY if name in "XY" else "white"
            axes.plot(x, y, "o", ms=20, mfc=face, mec=BLACK, mew=0.8)
            axes.text(x, y, name, ha="center", va="center", fontsize=10)
        for arrow in _CASE_ARROWS[case]:
            _arrow(axes, place[arrow[0]], place[arrow[1]], ls="-" if case != "both" else ":")
        answer = {name: "yes" if case == "both" or case.startswith(name) else "no" for name in "XY"}
        axes.set_title(f"X given Y: {answer['X']}\nY given X: {answer['Y']}")
        axes.text(0.5, -0.45, "\n".join(wrap(reading, 24)), ha="center", va="top", fontsize=8)
        axes.set_xlim(-0.4, 1.4)
        axes.set_ylim(-0.95, 1.3)
        axes.set_axis_off()
    return figure


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
        return _notice("no sub-cluster is important by itself: the dependency graph is empty")
    layers, clusters = list(kinds["layer"].unique()), sorted(nodes["cluster"].unique())
    place = {
        (layer, cluster): (float(layers.index(layer)), -float(clusters.index(cluster)))
        for layer, cluster in nodes[["layer", "cluster"]].itertuples(index=False)
    }
    figure, ((axes,),) = _panels(1.1 + 0.62 * len(clusters))
    drawn = table[table["edge"]] if len(table) else table
    for row in drawn.itertuples():
        start, end = place[row.x_layer, row.x_cluster], place[row.y_layer, row.y_cluster]
        line, colour = _CASE_STYLES[str(row.case)]
        # A straight arrow to a layer further on might pass behind a node.
        bend = 0.0 if end[0] - start[0] == 1 else -0.22
        _arrow(axes, start, end, ls=line, color=colour, connectionstyle=f"arc3,rad={bend}")
    colours = dict(zip(clusters, _cluster_colours(len(clusters)), strict=True))
    for (x, y), cluster, name in zip(
        place.values(), nodes["cluster"], _names(kinds)[nodes.index], strict=True
    ):
        axes.plot(x, y, "o", ms=22, mfc=colours[cluster], mec=BLACK, mew=0.6, zorder=3)
        axes.text(x, y, name, ha="center", va="center", color=_ink(colours[cluster]), zorder=4)
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


def over_n_clusters(table: pd.DataFrame, marked: Sequence[int] = ()) -> Figure:
    """Draw combined p values over the number of clusters.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of `evaluation.lesion_tests`, with columns network and n_clusters.
    marked : sequence of int
        Numbers of clusters to mark with a line.
    """
    if not len(table):
        return _notice("no networks to draw")
    networks, measures = list(table["network"].unique()), list(table["measure"].unique())
    figure, panels = _panels(
        0.5 + 1.9 * len(networks), len(networks), len(measures), sharex=True, sharey=True
    )
    for row, network in zip(panels, networks, strict=True):
        for axes, measure in zip(row, measures, strict=True):
            chosen = table[(table["network"] == network) & (table["measure"] == measure)]
            for k in marked:
                axes.axvline(k, color=GREY, lw=0.5, zorder=0)
            axes.axhline(0.05, color=BLACK, ls=":", lw=1)
            for test, (marker, line, colour) in _TEST_STYLES.items():
                curve = chosen[chosen["test"] == test].sort_values("n_clusters")
                axes.plot(
                    curve["n_clusters"], curve["p"], marker + line, color=colour, ms=3.5, mfc="none"
                )
            axes.set_title(f"{network}: {MEASURES[measure]}")
            axes.set_yscale("log")
    figure.supxlabel("number of clusters", fontsize=8.5)
    figure.supylabel("combined p value", fontsize=8.5)
    handles = [
        mpl.lines.Line2D(
            [], [], color=colour, marker=marker, ls=line, mfc="none", label=TESTS[test]
        )
        for test, (marker, line, colour) in _TEST_STYLES.items()
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=4)
    return figure


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
    figure, panels = _panels(2.7, 1, len(families), sharey=True)
    lowest = 1e-20
    for axes, family in zip(panels[0], families, strict=True):
        rows = table[(table["test"] == family) & table["p"].notna()].sort_values("p")
        rank = np.arange(1, len(rows) + 1)
        axes.plot(rank, fdr * rank / len(rows), "-", color=BLACK, lw=1)
        state = rows["benjamini_hochberg"].astype(int) + rows["holm"]
        for value, (marker, colour, face, _) in enumerate(_CORRECTION_STYLES):
            chosen = (state == value).to_numpy()
            p = rows["p"].clip(lower=lowest)
            axes.plot(rank[chosen], p[chosen], marker, color=colour, mfc=face, ms=4.5)
        axes.set_title(f"{TESTS[family]} ({len(rows)} tests)")
        axes.set_xlabel("rank within the family")
        axes.set_yscale("log")
    ticks = [1e-20, 1e-15, 1e-10, 1e-5, 1]
    panels[0, 0].set_yticks(ticks, ["≤ $10^{-20}$", "$10^{-15}$", "$10^{-10}$", "$10^{-5}$", "1"])
    panels[0, 0].set_ylabel("p value")
    handles = [
        mpl.lines.Line2D([], [], color=colour, marker=marker, mfc=face, ls="", label=label)
        for marker, colour, face, label in reversed(_CORRECTION_STYLES)
    ]
    handles.append(mpl.lines.Line2D([], [], color=BLACK, lw=1, label="Benjamini-Hochberg's line"))
    figure.legend(handles=handles, loc="outside upper center", ncols=2)
    return figure


def table1(table: pd.DataFrame) -> Figure:
    """Draw the p values of Table 1: the published ones and ours under both protocols.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `reproduction.table1`. Rows for which it has only published numbers are named in grey.
    """
    rows = rows_of(table)
    figure, panels = _panels(1.0 + 0.21 * len(rows), 1, 2, sharey=True, sharex=True)
    position = {row: -i for i, row in enumerate(rows)}
    is_ours = dict.fromkeys(rows, False)
    lowest = 1e-20
    for axes, test, title in zip(panels[0], ("fisher", "chi2"), ("Fisher", "chi²"), strict=True):
        for y in position.values():
            axes.axhline(y, color=GREY, lw=0.3, zorder=0)
        for (source, name), (marker, colour, face, shift, _) in _SOURCE_STYLES.items():
            is_chosen = (table["source"] == source) & (table["test"] == name.format(test))
            chosen = table[is_chosen & table["p"].notna()]
            keys = list(chosen[["network", "measure"]].itertuples(index=False, name=None))
            heights = [position[key] + shift for key in keys]
            is_ours |= dict.fromkeys(keys, True) if source != "published" else {}
            p = chosen["p"].clip(lower=lowest)
            axes.plot(p, heights, marker, color=colour, mfc=face, ms=3.6, mew=0.9)
        axes.axvline(0.05, color=BLACK, ls=":", lw=1)
        axes.set_xscale("log")
        axes.set_title(title)
        axes.set_xlabel("combined p value")
    panels[0, 0].set_xticks(
        [1e-20, 1e-15, 1e-10, 1e-5, 1],
        ["≤ $10^{-20}$", "$10^{-15}$", "$10^{-10}$", "$10^{-5}$", "1"],
    )
    panels[0, 0].minorticks_off()
    names = [f"{network}: {MEASURES[measure]}" for network, measure in rows]
    panels[0, 0].set_yticks(list(position.values()), names, fontsize=7)
    for label, row in zip(panels[0, 0].get_yticklabels(), rows, strict=True):
        label.set_color(BLACK if is_ours[row] else "#6B6B6B")
    panels[0, 0].set_ylim(0.7 - len(rows), 0.7)
    handles = [
        mpl.lines.Line2D([], [], color=colour, marker=marker, mfc=face, ls="", label=label)
        for marker, colour, face, _, label in _SOURCE_STYLES.values()
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=4)
    return figure


def _panels(height: float, rows: int = 1, columns: int = 1, **options: Any) -> tuple[Figure, Any]:
    """Make a figure of page width and a height in inches, with its panels in rows and columns."""
    figure, panels = plt.subplots(
        rows, columns, figsize=(PAGE_WIDTH, height), squeeze=False, **options
    )
    # A notebook would show a figure that stays open a second time.
    plt.close(figure)
    return figure, panels


def _draw_against_twins(
    axes: Axes,
    table: pd.DataFrame,
    values: npt.NDArray[np.float64],
    random: npt.NDArray[np.float64],
    extreme: npt.NDArray[np.bool_],
    markers: list[str],
) -> None:
    """Draw values over those of random twins, layer by layer; extreme ones are filled."""
    position = np.arange(len(table))
    axes.plot(position, random, "_", color=GREY, ms=6, mew=0.9, zorder=1)
    for x, value, is_extreme, marker in zip(position, values, extreme, markers, strict=True):
        face = VERMILLION if is_extreme else "white"
        axes.plot(x, value, marker, color=VERMILLION, mfc=face, ms=4.5, zorder=2)
    _separate_layers(axes, table["layer"])
    axes.set_xticks(position, table["cluster"].astype(str), fontsize=6.5)
    axes.set_xlim(-0.8, len(table) - 0.2)


def _draw_pictures(
    axes: Axes, pictures: Pictures, image_shape: tuple[int, int, int], n_shown: int
) -> None:
    """Draw one panel of `subcluster_pictures`."""
    rows = np.concatenate([pictures.true[:, np.newaxis], pictures.random[:, :n_shown]], axis=1)
    n_shown = rows.shape[1] - 1
    if image_shape[2] == 2:
        # Of a negative correlation the hue would be that of the other channel.
        rows = np.abs(rows)
    low = 0 if image_shape[2] == 2 else rows.min(axis=(1, 2), keepdims=True)
    span = rows.max(axis=(1, 2), keepdims=True) - low
    scaled = np.divide(rows - low, span, out=np.zeros_like(rows), where=span > 0)
    images = _coloured(scaled.swapaxes(0, 1).reshape(*rows.shape[1::-1], *image_shape))
    height, width = image_shape[:2]
    gap = max(1, height // 6)
    layers = pd.Series([each.layer for each in pictures.subclusters], dtype=object)
    is_next_layer = layers.ne(layers.shift()).to_numpy()
    top = np.arange(n_shown + 1) * (height + 1) + gap * (np.arange(n_shown + 1) > 0)
    left = np.arange(len(rows)) * (width + 1) + gap * (is_next_layer.cumsum() - 1)
    axes.imshow(_mosaic(images, top, left), interpolation="nearest")
    middle = left + (width - 1) / 2
    axes.set_xticks(middle, [str(each.cluster) for each in pictures.subclusters], fontsize=7)
    axes.set_yticks([(height - 1) / 2, top[1:].mean() + (height - 1) / 2], ["true", "random"])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    for layer, columns in pd.Series(middle).groupby(layers, sort=False):
        _name_layer(axes, columns.mean(), str(layer))


def _coloured(images: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Turn images of one, two or three channels in [0, 1] into red, green and blue."""
    if images.shape[-1] == 2:
        orange = np.array(mpl.colors.to_rgb(ORANGE))
        return np.asarray(images @ np.stack([orange, 1 - orange]))
    return np.asarray(np.broadcast_to(images, (*images.shape[:-1], 3)), dtype=float)


def _mosaic(
    images: npt.NDArray[np.float64],
    top: npt.NDArray[np.intp],
    left: npt.NDArray[np.intp],
    ground: float = 1.0,
) -> npt.NDArray[np.float64]:
    """Lay out images of shape (rows, columns, height, width, 3) on white, or on a grey ground."""
    height, width = images.shape[2:4]
    canvas = np.full((top[-1] + height, left[-1] + width, 3), ground)
    for row, y in zip(images, top, strict=True):
        for image, x in zip(row, left, strict=True):
            canvas[y : y + height, x : x + width] = image
    return canvas


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
        _name_layer(axes, (start + end - 1) / 2, str(layers.iloc[start]))


def _names(table: pd.DataFrame) -> pd.Series:
    """Return "layer-cluster" for each row, layers counted from 1."""
    numbers = {layer: str(i) for i, layer in enumerate(table["layer"].unique(), 1)}
    return table["layer"].map(numbers) + "-" + table["cluster"].astype(str)


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], **style: Any) -> None:
    """Draw an arrow from one large dot to another."""
    options = {"arrowstyle": "-|>", "shrinkA": 12, "shrinkB": 12, "color": BLACK, "lw": 1.3}
    axes.annotate("", end, start, arrowprops=options | style)


def _notice(text: str) -> Figure:
    """Make a figure that says why there is nothing to see."""
    figure, ((axes,),) = _panels(0.5)
    _write(axes, text)
    return figure


def _write(axes: Axes, text: str) -> None:
    axes.set_axis_off()
    axes.text(0, 0.5, text, transform=axes.transAxes)


def _letter(panels: Iterable[Axes], titles: Iterable[str]) -> None:
    """Write letters and titles above panels, clear of the layers' names."""
    for axes, letter, title in zip(panels, ascii_lowercase, titles, strict=False):
        axes.set_title(f"({letter}) {title}", loc="left", pad=14)


def _name_layer(axes: Axes, x: float, layer: str) -> None:
    """Write a layer's name above a panel."""
    transform = axes.get_xaxis_transform()
    axes.text(x, 1.01, layer, transform=transform, ha="center", va="bottom")


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
