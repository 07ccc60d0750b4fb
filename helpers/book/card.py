"""The picture that a link to the book is shown with in messengers and feeds."""

import io
from itertools import pairwise
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from PIL import Image

from helpers.plots.style import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, VERMILLION, styled

_WIDTHS = (8, 10, 10, 9, 6)
"""Units in each layer of the network that is drawn."""

_COLOURS = (BLUE, ORANGE, GREEN, VERMILLION, PURPLE)


def write_card(title: str, path: Path) -> None:
    """Write the card of a title as PNG, of 64 colours: whoever shows it fetches it each time."""
    drawn = io.BytesIO()
    draw_card(title).savefig(drawn, format="png", dpi=100)
    with Image.open(drawn) as picture:
        picture.convert("RGB").quantize(64).save(path, format="PNG", optimize=True)


@styled
def draw_card(title: str) -> Figure:
    """Draw a title beside a network whose clusters run through its layers.

    Parameters
    ----------
    title : str
        The book's; each word has a line.

    Returns
    -------
    matplotlib.figure.Figure
        1200 by 630 pixels at 100 dots per inch, the size that previews are cut to.
    """
    figure = plt.figure(figsize=(12, 6.3), layout="none", facecolor="white")
    plt.close(figure)
    axes = figure.add_axes((0.47, 0.04, 0.52, 0.92))
    axes.set_axis_off()
    layers = [np.linspace(0, 1, width) for width in _WIDTHS]
    clusters = [np.floor(units * (len(_COLOURS) - 1e-9)).astype(int) for units in layers]
    for layer, (lower, upper) in enumerate(pairwise(layers)):
        for i, start in enumerate(lower):
            for j, end in enumerate(upper):
                cluster = clusters[layer][i]
                within = cluster == clusters[layer + 1][j]
                colour, strength = (_COLOURS[cluster], 2.6) if within else (GREY, 0.5)
                axes.plot([layer, layer + 1], [start, end], color=colour, lw=strength, zorder=1)
    for layer, units in enumerate(layers):
        colours = [_COLOURS[each] for each in clusters[layer]]
        axes.scatter(np.full(len(units), layer), units, s=330, c=colours, ec="white", zorder=2)
    lines = "\n".join(title.split())
    figure.text(0.05, 0.56, lines, size=46, weight="bold", color=BLACK, va="center")
    figure.text(0.05, 0.17, "Do clusters of a network's weights\nmean anything?", size=20)
    return figure
