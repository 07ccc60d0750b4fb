"""One style for every figure: colours, panels, and small things to draw.

Colours are Okabe and Ito's, which colour-blind readers can tell apart; what a colour says, a
marker, a line style or a label says too. Figures are shown as SVG. Exactly black and exactly white
are ink and paper there: on a dark page the book swaps them (`helpers.book.finishing`), and all
other colours stay. Hence `ink` returns almost black and almost white.
"""

import io
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from string import ascii_lowercase
from typing import Any, ParamSpec, TypeVar

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.figure import Figure

from helpers.partitions import ISOLATED, Partition
from helpers.plots.svg import shortened

_P = ParamSpec("_P")
_F = TypeVar("_F", bound=Figure)


PAGE_WIDTH = 7.2
"""Inches; as wide as a column of the book on a desk, so that a point is a point."""


TEXT_SIZE = 10
"""Points. Nothing in a figure is smaller, except what is raised or lowered in a formula."""


BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, VERMILLION, PURPLE = (
    *("#000000", "#E69F00", "#56B4E9", "#009E73"),
    *("#F0E442", "#0072B2", "#D55E00", "#CC79A7"),
)


GREY = "#9A9A9A"


WHITE_BOX = {"facecolor": "white", "edgecolor": "none", "pad": 1}


KIND_STYLES = {
    "important": ("o", VERMILLION),
    "sig-but-not-diff": ("^", BLUE),
    "diff-but-not-sig": ("v", ORANGE),
    "prunable": ("s", GREEN),
    "least-important": ("D", PURPLE),
    "complete": ("p", BLACK),
    "small": (".", GREY),
    "other": ("x", GREY),
}


STYLE: dict[Any, Any] = {
    "figure.dpi": 150,
    "figure.constrained_layout.use": True,
    "savefig.dpi": 150,
    "font.family": "DejaVu Sans",
    "font.size": TEXT_SIZE,
    "axes.titlesize": TEXT_SIZE,
    "figure.titlesize": TEXT_SIZE,
    "figure.labelsize": TEXT_SIZE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "image.interpolation": "none",  # pixels are kept as they are, and few
    "legend.frameon": False,
    "lines.linewidth": 1.2,
    "svg.hashsalt": "importance and coherence",  # the same figure is the same text
}


class StyledFigure(Figure):
    """A figure that is drawn in `STYLE` whenever that happens, and leaves the reader's alone."""

    def draw(self, renderer: RendererBase) -> None:
        """Draw, in the style that the figure was made in."""
        with mpl.rc_context(STYLE):
            super().draw(renderer)

    def svg(self) -> str:
        """Return the figure as SVG that can stand within a page: short, and the same every time."""
        written = io.StringIO()
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        with mpl.rc_context(STYLE):
            self.savefig(written, format="svg", metadata=nothing)
        return shortened(written.getvalue())

    def _ipython_display_(self) -> None:
        from IPython.display import display

        shown = {"image/svg+xml": self.svg(), "text/plain": repr(self)}
        display(shown, raw=True)  # type: ignore[no-untyped-call]


def styled(make: Callable[_P, _F]) -> Callable[_P, _F]:
    """Make a figure in `STYLE`, and put the reader's settings back."""

    @wraps(make)
    def made(*args: _P.args, **options: _P.kwargs) -> _F:
        with mpl.rc_context(STYLE):
            return make(*args, **options)

    return made


def make_panels(
    height: float, rows: int = 1, columns: int = 1, width: float = PAGE_WIDTH, **options: Any
) -> tuple[StyledFigure, Any]:
    """Make a figure of a height and a width in inches, with its panels in rows and columns."""
    figure, panels = plt.subplots(
        rows,
        columns,
        figsize=(width, height),
        squeeze=False,
        FigureClass=StyledFigure,
        **options,
    )
    # A notebook would show a figure that stays open a second time.
    plt.close(figure)
    return figure, panels


def class_ticks(n_classes: int) -> list[str]:
    """Return tick labels of the classes, every other one left out where they would crowd."""
    return [str(c) if c % 2 == 0 else "" for c in range(n_classes)]


def separate_layers(axes: Axes, layers: pd.Series) -> None:
    """Draw a line between the layers of consecutive sub-clusters, and name them on top."""
    starts = np.flatnonzero(layers.to_numpy() != layers.shift().to_numpy())
    ends = [*starts[1:], len(layers)]
    for start, end in zip(starts, ends, strict=True):
        if start:
            axes.axvline(start - 0.5, color=GREY, lw=0.5)
        name_layer(axes, (start + end - 1) / 2, str(layers.iloc[start]))


def subcluster_names(table: pd.DataFrame) -> pd.Series:
    """Return "layer-cluster" for each row, layers counted from 1."""
    numbers = {layer: str(i) for i, layer in enumerate(table["layer"].unique(), 1)}
    return table["layer"].map(numbers) + "-" + table["cluster"].astype(str)


def draw_arrow(
    axes: Axes, start: tuple[float, float], end: tuple[float, float], **style: Any
) -> None:
    """Draw an arrow from one large dot to another."""
    options = {"arrowstyle": "-|>", "shrinkA": 12, "shrinkB": 12, "color": BLACK, "lw": 1.3}
    axes.annotate("", end, start, arrowprops=options | style)


def notice(text: str) -> Figure:
    """Make a figure that says why there is nothing to see."""
    figure, ((axes,),) = make_panels(0.5)
    write_note(axes, text)
    return figure


def write_note(axes: Axes, text: str) -> None:
    """Write a text into a panel that is otherwise empty."""
    axes.set_axis_off()
    axes.text(0, 0.5, text, transform=axes.transAxes)


LOWEST_P = 1e-6
"""Combined p values below are drawn there: the distributions that they rest on end before."""

P_TICKS = ([LOWEST_P, 1e-4, 1e-2, 1], [r"$\leq 10^{-6}$", "$10^{-4}$", "$10^{-2}$", "1"])


def letter_panels(panels: Iterable[Axes], titles: Iterable[str]) -> None:
    """Write letters and titles above panels, clear of the layers' names."""
    for axes, letter, title in zip(panels, ascii_lowercase, titles, strict=False):
        axes.set_title(f"({letter}) {title}", loc="left", pad=18)


def name_layer(axes: Axes, x: float, layer: str) -> None:
    """Write a layer's name above a panel."""
    transform = axes.get_xaxis_transform()
    axes.text(x, 1.01, layer, transform=transform, ha="center", va="bottom")


def clusters_of(partition: Partition) -> list[int]:
    """Return the labels of a partition's clusters, ascending."""
    found = np.unique(np.concatenate(list(partition.labels.values())))
    return [int(cluster) for cluster in found if cluster != ISOLATED]


def cluster_colours(n: int) -> npt.NDArray[np.float64]:
    """Return n colours of even steps in lightness, those of neighbours far apart."""
    steps = np.linspace(0.05, 0.98, n)
    halves = np.arange(2 * ((n + 1) // 2)).reshape(2, -1).T.ravel()
    return np.asarray(plt.get_cmap("viridis")(steps[halves[halves < n]]))


def ink(background: npt.NDArray[np.float64]) -> str:
    """Return almost black or almost white, whichever reads better on a background."""
    luminance = background[:3] @ (0.2126, 0.7152, 0.0722)
    return "#010101" if luminance > 0.45 else "#FEFEFE"


def name_columns(axes: Axes, positions: npt.ArrayLike, names: Sequence[str]) -> None:
    """Name columns below a panel; where there are many, every other name is a line lower."""
    if len(names) > _NAMES_IN_A_LINE:
        names = [name if i % 2 == 0 else f"\n{name}" for i, name in enumerate(names)]
    axes.set_xticks(np.asarray(positions), names)


_NAMES_IN_A_LINE = 26
"""So many numbers of two digits fit side by side on a page."""


def label_outermost(panels: Any) -> None:
    """Label the ticks of each row's leftmost and each column's lowest panel that is in use."""
    used = np.array([[axes.axison for axes in row] for row in panels])
    for row, column in zip(range(len(panels)), used.argmax(axis=1), strict=True):
        panels[row, column].tick_params(labelleft=True)
    lowest = len(panels) - 1 - used[::-1].argmax(axis=0)
    for row, column in zip(lowest, range(panels.shape[1]), strict=True):
        panels[row, column].tick_params(labelbottom=True)


def coloured(images: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Turn images of one, two or three channels in [0, 1] into red, green and blue."""
    if images.shape[-1] == 2:
        orange = np.array(mpl.colors.to_rgb(ORANGE))
        return np.asarray(images @ np.stack([orange, 1 - orange]))
    return np.asarray(np.broadcast_to(images, (*images.shape[:-1], 3)), dtype=float)


def mosaic(
    images: npt.NDArray[np.float64],
    top: npt.NDArray[np.intp],
    left: npt.NDArray[np.intp],
    ground: float | None = None,
) -> npt.NDArray[np.float64]:
    """Lay out images of shape (rows, columns, height, width, 3) on a grey ground, or on none.

    Returns
    -------
    ndarray, shape (height, width, 4)
        Red, green, blue and opacity in [0, 1].
    """
    height, width = images.shape[2:4]
    canvas = np.ones((top[-1] + height, left[-1] + width, 4))
    canvas[:] = (1, 1, 1, 0) if ground is None else (ground, ground, ground, 1)
    for row, y in zip(images, top, strict=True):
        for image, x in zip(row, left, strict=True):
            canvas[y : y + height, x : x + width, :3] = image
            canvas[y : y + height, x : x + width, 3] = 1
    return canvas
