"""What lesions of sub-clusters cost, by class, beside their twins, and by kind."""

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
from adjustText import adjust_text
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from helpers.lesions import LesionProfiles
from helpers.measures import Comparison
from helpers.plots.comparisons import draw_against_twins
from helpers.plots.style import (
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


@styled
def accuracy_profiles(profiles: LesionProfiles) -> Figure:
    """Draw each class's accuracy: intact, under each lesion, and under its random twins' (Fig. 6).

    One row of panels per layer and one column per cluster. The rightmost point of each panel is
    the accuracy over all classes.
    """
    layers = list(profiles.partition.hidden)
    clusters = sorted({each.cluster for each in profiles.subclusters})
    n_classes = len(profiles.class_sizes)
    figure, panels = make_panels(
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
        axes.set_title(f"{each.layer}, {each.cluster}: {len(each.units) / live:.0%}")
        for twin in random:
            _profile(axes, twin, profiles, color=GREY, lw=0.6, alpha=0.45)
        _profile(axes, profiles.intact, profiles, color=GREEN, ls="--")
        _profile(axes, true, profiles, color=VERMILLION, marker="o", ms=2.5)
    label_outermost(panels)
    panels[0, 0].set_xticks(range(n_classes + 1), [*class_ticks(n_classes), "all"])
    panels[0, 0].set_ylim(-4, 104)
    figure.supylabel("accuracy (%)")
    figure.supxlabel("class")
    handles = [
        mpl.lines.Line2D([], [], color=GREEN, ls="--", label="intact"),
        mpl.lines.Line2D([], [], color=VERMILLION, marker="o", ms=3, label="sub-cluster lesioned"),
        mpl.lines.Line2D([], [], color=GREY, lw=0.8, label="random twins lesioned"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=3)
    return figure


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


def _profile(
    axes: Axes, counts: npt.NDArray[np.int64], profiles: LesionProfiles, **style: object
) -> None:
    """Draw one line: the accuracy of each class, and apart from it that of all images."""
    by_class = 100 * counts / profiles.class_sizes
    overall = 100 * counts.sum() / profiles.class_sizes.sum()
    n_classes = len(by_class)
    axes.plot(range(n_classes), by_class, **style)  # type: ignore[arg-type]
    axes.plot([n_classes - 0.3, n_classes + 0.3], [overall, overall], **style)  # type: ignore[arg-type]
