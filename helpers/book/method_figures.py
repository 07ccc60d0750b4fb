"""The figures of the Method page that show numbers, of a small network.

``python -m helpers.book.method_figures`` writes them into ``book/figures``.
"""

from pathlib import Path

import numpy as np
import scipy.stats

from helpers import evaluation, files, lesions, measures, settings, zoo
from helpers.lesions import Orderings
from helpers.lesions.nested import LEAST_DAMAGE
from helpers.measures import Comparison, class_wise_range
from helpers.plots.style import BLUE, GREY, VERMILLION, StyledFigure, make_panels, styled

_NETWORK, _N_CLUSTERS, _LAYER = "digits-mlp", 12, "dense_4"
_N_PERMUTATIONS, _N_ORDERINGS = 199, 40


@styled
def exact_test(compared: Comparison) -> StyledFigure:
    """Draw the statistic of an exact test, of permuted partitions and of the true one.

    Parameters
    ----------
    compared : Comparison
        Of accuracies under lesions of sub-clusters of a partition and of permuted ones.
    """
    values = np.vstack([compared.true, compared.random.T])[:, compared.is_tested]
    p = scipy.stats.rankdata(values, "max", axis=0) / len(values)
    true, *permuted = -2 * np.log(p).sum(axis=1)
    figure, ((axes,),) = make_panels(2.2)
    axes.hist(permuted, 24, color=BLUE, alpha=0.75)
    axes.axvline(true, color=VERMILLION, lw=2.5)
    axes.annotate(
        "true partition",
        (true, 0.98),
        (-6, 0),
        color=VERMILLION,
        xycoords=axes.get_xaxis_transform(),
        textcoords="offset points",
        ha="right",
        va="top",
    )
    axes.set_xlabel("statistic T of a partition")
    axes.set_ylabel("permuted partitions")
    return figure


@styled
def equal_damage(coherent: Comparison, nested: Orderings, layer: str) -> StyledFigure:
    """Draw the class-wise range along random orderings of a layer, and of its sub-clusters.

    Parameters
    ----------
    coherent : Comparison
        Of `measures.coherence`.
    nested : Orderings
        What it was compared with.
    layer : str
        Its name.
    """
    figure, ((axes,),) = make_panels(2.6)
    for _, counts in nested.sets[layer]:
        damage = (nested.intact - counts).sum(axis=1)
        shown = damage >= LEAST_DAMAGE
        spread = class_wise_range(counts[shown], nested.intact, nested.class_sizes)
        axes.plot(damage[shown], spread, "-", color=GREY, lw=0.6)
    own = coherent.subclusters[coherent.subclusters["layer"] == layer].query("comparable")
    axes.plot([], [], "-", color=GREY, label="random orderings")
    axes.plot(own["damage"], own["spread"], "o", color=VERMILLION, ms=6, label="sub-clusters")
    axes.set_ylim(0)
    axes.set_xlabel(f"images that a lesion in {layer} costs")
    axes.set_ylabel("class-wise range")
    axes.legend(loc="upper right")
    return figure


def write(folder: Path) -> None:
    """Compute the figures, and write them into a folder."""
    net = zoo.trained(_NETWORK)
    images = net.dataset.x_test, net.dataset.y_test
    partition = evaluation.partition_of(net.model, _N_CLUSTERS)
    permuted = lesions.permutation_profiles(net.model, *images, partition, _N_PERMUTATIONS)
    nested = lesions.orderings(net.model, *images, partition, _N_ORDERINGS)
    drawn = {
        "exact-test": exact_test(measures.importance(permuted)),
        "equal-damage": equal_damage(measures.coherence(permuted, nested), nested, _LAYER),
    }
    for name, figure in drawn.items():
        with files.written_whole(folder / f"{name}.svg") as temporary:
            temporary.write_text(figure.svg())


if __name__ == "__main__":
    write(settings.BOOK / "figures")
