"""Images: samples, what sub-clusters respond to, and what was made to drive them."""

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from helpers.construction import Constructions
from helpers.correlations import Pictures
from helpers.plots.style import (
    PAGE_WIDTH,
    coloured,
    ink,
    letter_panels,
    make_panels,
    mosaic,
    name_columns,
    name_layer,
    notice,
    styled,
    write_note,
)


@styled
def example_images(
    columns: list[dict[str, npt.NDArray[np.float32]]], halved: Collection[str] = ()
) -> Figure:
    """Draw rows of images, one below the other, so that each is large enough to see (Figure 3).

    Parameters
    ----------
    columns : list of dict of str to ndarray, shape (n, height, width, channels)
        Titles of rows and their images, of one, two or three channels. Two channels are drawn in
        orange and in its complement, blue: grey where they are equal.
    halved : collection of str
        Titles of rows whose images are two halves, which are drawn a little apart.
    """
    rows = [row for column in columns for row in column.items()]
    figure, panels = make_panels(0.1 + 0.95 * len(rows), len(rows))
    for axes, (title, images) in zip(panels[:, 0], rows, strict=True):
        width = images.shape[2]
        gap = max(1, width // 6)
        left = np.arange(len(images)) * (width + gap + 1)
        if title in halved:
            height, channels = images.shape[1], images.shape[3]
            apart = images.reshape(-1, height, 2, width // 2, channels).swapaxes(1, 2)
            images = apart.reshape(-1, height, width // 2, channels)
            left = np.add.outer(left, [0, width // 2 + 1]).ravel()
        axes.imshow(mosaic(coloured(images)[np.newaxis], np.array([0]), left))
        axes.set_title(title, loc="left", pad=2)
        axes.set_anchor("W")
        axes.set_axis_off()
    return figure


@styled
def subcluster_pictures(
    panels: dict[str, tuple[Pictures, tuple[int, int, int]]],
    n_shown: int = 4,
    size: float = 0.36,
    width: float = PAGE_WIDTH,
) -> Figure:
    """Draw what sub-clusters respond to above what random twins respond to (Figures 1 and 4).

    One column per sub-cluster, layer by layer, with its cluster's number below; a line holds as
    many layers as it has room for. Correlations are scaled from black to white for each column by
    itself, all its rows together. Of two channels the absolute correlations are drawn, in the
    colours of `example_images`: hue says which of the two images a sub-cluster responds to,
    brightness how strongly.

    Parameters
    ----------
    panels : dict of str to (Pictures, tuple of int)
        Title of each panel, its pictures, and the height, width and channels of an image.
    n_shown : int
        Random twins per sub-cluster to draw; all if there are fewer.
    size : float
        Width of a picture in inches; less in a layer that has too many for a line.
    width : float
        Of the figure, in inches.
    """
    if not panels:
        return notice("no networks to draw")
    room = width - 0.65
    most = max(int(room / size), 1)
    lines = [
        (line, image_shape, i == 0)
        for pictures, image_shape in panels.values()
        for i, line in enumerate(_lines_of_layers(pictures, most))
    ]
    cells = [room / max(len(line.subclusters), most) for line, *_ in lines]
    heights = [(n_shown + 1.1) * cell for cell in cells]
    height = sum(heights) + 0.5 * len(lines) + 0.2 * (len(panels) - 1)
    figure, drawn = make_panels(height, len(lines), width=width, height_ratios=heights)
    for axes, (line, image_shape, _) in zip(drawn[:, 0], lines, strict=True):
        axes.set_anchor("W")
        if line.subclusters:
            _draw_pictures(axes, line, image_shape, n_shown, most)
        else:
            write_note(axes, "no sub-cluster within the size rule")
    if len(panels) > 1:
        is_first = [first for *_, first in lines]
        letter_panels(drawn[is_first, 0], panels)
    return figure


@styled
def constructed_images(panels: Mapping[str, Constructions], n_shown: int = 8) -> Figure:
    """Draw images made for sub-clusters beside those made for their random twins (Figure 5).

    Parameters
    ----------
    panels : mapping of str to Constructions
        Title of each panel, if there are several, and what `construction.constructions` made.
    n_shown : int
        Sub-clusters of each to draw, at most, spread evenly over the layers; one row each.
    """
    if not panels:
        return notice("no networks to draw")
    n_rows = max(min(n_shown, len(made.subclusters)) for made in panels.values())
    figure, drawn = make_panels(0.4 + 0.58 * n_rows, 1, len(panels))
    for axes, made in zip(drawn[0], panels.values(), strict=True):
        axes.set_anchor("NW")
        _draw_constructed(axes, made, n_shown)
    if len(panels) > 1:
        letter_panels(drawn[0], panels)
    return figure


def _draw_constructed(axes: Axes, made: Constructions, n_shown: int) -> None:
    chosen = np.unique(np.linspace(0, len(made.subclusters) - 1, n_shown).round().astype(int))
    together = (made.true.images[chosen, np.newaxis], made.random.images[chosen])
    images = np.concatenate(together, axis=1).astype(float)
    height, width = images.shape[2:4]
    columns = np.arange(images.shape[1])
    left = columns * (width + 1) + max(1, width // 3) * (columns > 0)
    top = np.arange(len(chosen)) * (height + 1)
    axes.imshow(mosaic(coloured(images), top, left, ground=0.7))
    labels = [
        f"{each.layer}, cluster {each.cluster}\n{len(each.units)} units"
        for each in (made.subclusters[i] for i in chosen)
    ]
    axes.set_yticks(top + (height - 1) / 2, labels)
    axes.set_xticks([(width - 1) / 2, left[1:].mean() + (width - 1) / 2], ["true", "random twins"])
    axes.tick_params(length=0, labeltop=True, labelbottom=False)
    axes.spines[:].set_visible(False)


@styled
def addition_table(sums: npt.NDArray[np.int64]) -> Figure:
    """Draw which class a network answers to each pair of classes, as a table."""
    figure, ((axes,),) = make_panels(0.4 + 0.25 * len(sums))
    axes.imshow(sums, cmap="viridis", aspect="auto")
    for (row, column), value in np.ndenumerate(sums):
        colour = ink(np.asarray(plt.get_cmap("viridis")(value / max(sums.max(), 1))))
        axes.text(column, row, str(value), ha="center", va="center", color=colour)
    axes.set_xticks(range(sums.shape[1]))
    axes.set_yticks(range(sums.shape[0]))
    axes.set_xlabel("second class")
    axes.set_ylabel("first class")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return figure


def _lines_of_layers(pictures: Pictures, most: int) -> list[Pictures]:
    """Divide pictures into lines of whole layers, of at most so many columns where that can be."""
    layers = [each.layer for each in pictures.subclusters]
    lines: list[list[int]] = [[]]
    for _, columns in pd.Series(range(len(layers)), dtype=int).groupby(layers, sort=False):
        if lines[-1] and len(lines[-1]) + len(columns) > most:
            lines.append([])
        lines[-1].extend(columns)
    return [
        replace(
            pictures,
            subclusters=[pictures.subclusters[column] for column in line],
            true=pictures.true[line],
            random=pictures.random[line],
        )
        for line in lines
    ]


def _draw_pictures(
    axes: Axes, pictures: Pictures, image_shape: tuple[int, int, int], n_shown: int, room: int
) -> None:
    """Draw one line of `subcluster_pictures`, which has room for so many columns."""
    rows = np.concatenate([pictures.true[:, np.newaxis], pictures.random[:, :n_shown]], axis=1)
    n_shown = rows.shape[1] - 1
    if image_shape[2] == 2:
        # Of a negative correlation the hue would be that of the other channel.
        rows = np.abs(rows)
    low = 0 if image_shape[2] == 2 else rows.min(axis=(1, 2), keepdims=True)
    span = rows.max(axis=(1, 2), keepdims=True) - low
    scaled = np.divide(rows - low, span, out=np.zeros_like(rows), where=span > 0)
    images = coloured(scaled.swapaxes(0, 1).reshape(*rows.shape[1::-1], *image_shape))
    height, width = image_shape[:2]
    gap = max(1, height // 6)
    layers = pd.Series([each.layer for each in pictures.subclusters], dtype=object)
    is_next_layer = layers.ne(layers.shift()).to_numpy()
    top = np.arange(n_shown + 1) * (height + 1) + gap * (np.arange(n_shown + 1) > 0)
    left = np.arange(len(rows)) * (width + 1) + gap * (is_next_layer.cumsum() - 1)
    axes.imshow(mosaic(images, top, left))
    axes.set_xlim(right=max(axes.get_xlim()[1], room * (width + 1)))
    middle = left + (width - 1) / 2
    name_columns(axes, middle, [str(each.cluster) for each in pictures.subclusters])
    axes.set_yticks([(height - 1) / 2, top[1:].mean() + (height - 1) / 2], ["true", "random"])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    for layer, columns in pd.Series(middle).groupby(layers, sort=False):
        name_layer(axes, columns.mean(), str(layer))
