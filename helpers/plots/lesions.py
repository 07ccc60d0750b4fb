"""What lesions of sub-clusters cost, by class, beside their twins, and by kind."""

import math
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
from adjustText import adjust_text
from matplotlib.figure import Figure

from helpers.lesions import LesionProfiles
from helpers.measures import Comparison
from helpers.plots.comparisons import draw_against_twins
from helpers.plots.style import (
    BLACK,
    GREEN,
    GREY,
    KIND_STYLES,
    VERMILLION,
    class_ticks,
    label_outermost,
    make_panels,
    styled,
    subcluster_names,
)

_PANELS_IN_A_ROW = (4, 5, 3)
"""How many, the most readable first where as few places stay empty."""

_TWINS: dict[str, Any] = {"color": GREY, "lw": 3.5, "alpha": 0.6, "solid_capstyle": "butt"}

_INTACT: dict[str, Any] = {"marker": "o", "ms": 6, "mfc": "none", "color": GREEN}

_DASH = 0.25
"""Half the width of the mark at a median, in classes."""

_LESIONED: dict[str, Any] = {"marker": "o", "ms": 3.5, "mew": 0, "color": VERMILLION}


@styled
def accuracy_profiles(profiles: LesionProfiles) -> Figure:
    """Draw each class's accuracy: intact, under each lesion, and under its random twins' (Fig. 6).

    One panel per sub-cluster, layer by layer. The rightmost marks of each panel are the accuracy
    over all classes. Classes have no order, so that no line joins them.
    """
    n_classes = len(profiles.class_sizes)
    columns = _columns(len(profiles.subclusters))
    rows = max(1, math.ceil(len(profiles.subclusters) / columns))
    figure, panels = make_panels(0.6 + 1.35 * rows, rows, columns, sharex=True, sharey=True)
    for axes in panels.flat[len(profiles.subclusters) :]:
        axes.set_axis_off()
    for axes, each, true, random in zip(
        panels.flat, profiles.subclusters, profiles.true, profiles.random, strict=False
    ):
        live = len(profiles.partition.live_units(each.layer))
        axes.set_title(f"{each.layer}, {each.cluster}: {_percent(len(each.units) / live)}")
        places = np.append(np.arange(n_classes), n_classes + 0.4)
        twins = np.array([_accuracies(twin, profiles) for twin in random])
        nothing = np.full(n_classes + 1, np.nan)
        bars = np.column_stack([twins.min(axis=0), twins.max(axis=0), nothing]).ravel()
        axes.plot(np.repeat(places, 3), bars, **_TWINS)
        # One line, broken between classes, takes a tenth of the bytes of as many markers.
        dashes = np.column_stack([places - _DASH, places + _DASH, nothing]).ravel()
        axes.plot(dashes, np.repeat(np.median(twins, axis=0), 3), color=BLACK, lw=1)
        for values, style in (
            (_accuracies(profiles.intact, profiles), _INTACT),
            (_accuracies(true, profiles), _LESIONED),
        ):
            axes.plot(places, values, ls="", **style)
    label_outermost(panels)
    for axes in panels.flat:
        is_lowest = axes.xaxis.get_tick_params()["labelbottom"]
        axes.tick_params(bottom=is_lowest, left=axes.yaxis.get_tick_params()["labelleft"])
    panels[0, 0].set_xticks(
        [*range(n_classes), n_classes + 0.4], [*class_ticks(n_classes - 1), "", "all"]
    )
    panels[0, 0].set_ylim(-6, 106)
    figure.supylabel("accuracy (%)")
    figure.supxlabel("class")
    line = mpl.lines.Line2D
    handles = [
        line([], [], ls="", label="intact", **_INTACT),
        line([], [], ls="", label="sub-cluster lesioned", **_LESIONED),
        line([], [], **_TWINS, label="random twins lesioned"),
        line([], [], color=BLACK, marker="_", ls="", label="their median"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=4)
    return figure


def _columns(n_panels: int) -> int:
    """Return how many panels stand side by side, so that few places stay empty."""
    if n_panels <= max(_PANELS_IN_A_ROW):
        return max(n_panels, 1)
    return min(_PANELS_IN_A_ROW, key=lambda columns: -n_panels % columns)


@styled
def lesions_against_twins(compared: Comparison) -> Figure:
    """Draw the accuracy under each sub-cluster's lesion beside those under its twins' lesions.

    Parameters
    ----------
    compared : Comparison
        Of `measures.importance`.
    """
    figure, ((axes,),) = make_panels(3.0)
    axes.axhline(100 * compared.subclusters["intact"].iloc[0], color=GREEN, ls="--", zorder=0)
    draw_against_twins(axes, compared, ["o"] * len(compared.true), scale=100)
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


@styled
def taxonomy(table: pd.DataFrame) -> Figure:
    """Draw each sub-cluster's damage over its share of the layer, by kind (Figure 2).

    Parameters
    ----------
    table : pandas.DataFrame
        Of `importance.taxonomy`. Important sub-clusters are labelled "layer-cluster", layers
        counted from 1.
    """
    figure, ((axes,),) = make_panels(3.4)
    axes.axhline(1, color=GREY, ls=":", lw=1, zorder=0)
    size = 5.5
    share, damage = 100 * table["share"], 100 * table["damage"]
    for kind, (marker, colour) in KIND_STYLES.items():
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
        axes.text(x, y, name)
        for x, y, name in zip(
            share[important], damage[important], subcluster_names(table)[important], strict=True
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


def _percent(share: float) -> str:
    """Return a share in percent; one that rounds to nothing is not nothing."""
    return "<1%" if 0 < share < 0.005 else f"{share:.0%}"


def _accuracies(counts: npt.NDArray[np.int64], profiles: LesionProfiles) -> npt.NDArray[np.float64]:
    """Return the accuracy of each class and that of all images, in percent."""
    overall = counts.sum() / profiles.class_sizes.sum()
    return 100 * np.append(counts / profiles.class_sizes, overall)
