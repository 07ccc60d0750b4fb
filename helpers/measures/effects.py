"""How much: what sub-clusters cost beyond their random twins, with intervals.

A p value says how surely a lesion costs more than chance would have it, not how much more. The
intervals here are about test images: other images of the same classes would have given other
numbers. They need no lesions besides those that were made.
"""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from helpers import statistics

if TYPE_CHECKING:
    from helpers.lesions.profiles import Outcomes

N_BOOTSTRAPS = 2000

DIGITS = 9
"""Decimals of effects that are kept: what is beyond them is rounding."""

LEAST_POINTS = 1.0
"""Percentage points of accuracy below which a mean effect counts as absent: the paper's own
threshold."""

LEAST_TIMES = 1.1
"""Times what is typical of random sets, below which a mean effect counts as absent."""


class Damages(NamedTuple):
    """Damages in images: of k sub-clusters and of their twins on average.

    Attributes
    ----------
    true, random : ndarray of float, shape (..., k)
        Images that are classified correctly by the intact network and not under the lesion, less
        those the other way round; where classes weigh the same, in images of equal classes.
    """

    true: npt.NDArray[np.float64]
    random: npt.NDArray[np.float64]

    @property
    def log_ratio(self) -> npt.NDArray[np.float64]:
        """ln[(max(d, 0) + 1/2) / (max(mean d_b, 0) + 1/2)], shape (..., k)."""
        ours, theirs = (np.log(np.maximum(each, 0) + 0.5) for each in self)
        return np.asarray(ours - theirs)

    @property
    def relative(self) -> npt.NDArray[np.float64]:
        """2 x / (x + random), shape (..., k); NaN where x + random <= 0.

        Of Hod et al., "Quantifying Local Specialization in Deep Neural Networks" (arXiv
        2110.08058): from 0 to 2 if neither damage is negative, 1 if they are equal. Where nothing
        is lost by either that paper says 1, no effect; here it is not defined.
        """
        both = self.true + self.random
        return np.divide(2 * self.true, both, out=np.full_like(both, np.nan), where=both > 0)


def damages(outcomes: "Outcomes", n_random: int, weights: npt.NDArray[np.float64]) -> Damages:
    """Return damages with so much weight on each image.

    Parameters
    ----------
    outcomes : Outcomes
        Of `lesions.permutation_profiles`.
    n_random : int
        Twins of each sub-cluster.
    weights : ndarray of float, shape (..., n_images)
        1 for each image, or how often each was drawn.
    """
    intact = weights @ outcomes.intact.astype(np.float64)
    lesioned = weights @ outcomes.true.T.astype(np.float64)
    random = weights @ (outcomes.random.T / n_random)
    # What cost nothing must not have cost something by rounding.
    true, twins = ((intact[..., np.newaxis] - each).round(DIGITS) for each in (lesioned, random))
    return Damages(true, twins)


def bootstrapped(
    outcomes: "Outcomes",
    n_random: int,
    weights: npt.NDArray[np.float64],
    n_bootstraps: int = N_BOOTSTRAPS,
    seed: int = 0,
) -> Damages:
    """Return damages on test images that are drawn anew within their classes.

    Parameters
    ----------
    outcomes, n_random
        As for `damages`.
    weights : ndarray of float, shape (n_images,)
        What an image counts if it is drawn once.
    n_bootstraps : int
        How often they are drawn.
    seed : int
        Of the draws.

    Returns
    -------
    Damages
        Of shape (n_bootstraps, k).
    """
    draws = statistics.drawn_again(outcomes.classes, n_bootstraps, np.random.default_rng(seed))
    parts = [damages(outcomes, n_random, drawn * weights) for drawn in draws]
    return Damages(*(np.concatenate(each) for each in zip(*parts, strict=True)))
