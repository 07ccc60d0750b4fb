"""How much more the lesion of a part costs than those of random parts of the same size."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from helpers import statistics
from helpers.report.measuring import Measured

N_BOOTSTRAPS = 2000
_INTERVAL = (2.5, 97.5)


@dataclass(frozen=True, eq=False)
class Effects:
    """Percentage points of accuracy lost beyond the mean of the permuted parts.

    Attributes
    ----------
    each : ndarray of float, shape (S,)
        Of each part.
    draws : ndarray of float, shape (n_bootstraps, S)
        The same on images that were drawn again within their classes, and with permutations that
        were drawn again, to show how sure this is.
    """

    each: npt.NDArray[np.float64]
    draws: npt.NDArray[np.float64]

    def intervals(self) -> npt.NDArray[np.float64]:
        """Return 95 % intervals of each part, shape (S, 2)."""
        return np.percentile(self.draws, _INTERVAL, axis=0).T

    def mean(self, chosen: npt.NDArray[np.bool_]) -> tuple[float, float, float]:
        """Return the mean over some parts and its 95 % interval; NaN if there are none."""
        if not chosen.any():
            return (float("nan"),) * 3
        low, high = np.percentile(self.draws[:, chosen].mean(axis=1), _INTERVAL)
        return float(self.each[chosen].mean()), float(low), float(high)


def excess_damage(measured: Measured, seed: int = 0, n_draws: int = N_BOOTSTRAPS) -> Effects:
    """Return what parts cost beyond their permuted twins, in points, with bootstraps.

    Parameters
    ----------
    measured : Measured
        With predictions image by image.
    seed : int
        Of the bootstraps.
    n_draws : int
        How many bootstraps.

    Returns
    -------
    Effects
        0 for complete parts.
    """
    rng = np.random.default_rng(seed)
    n_permutations, n_images = measured.n_permutations, len(measured.classes)
    beyond = measured.permuted_right / n_permutations - measured.true
    images = statistics.drawn_again(measured.classes, n_draws, rng)
    draws = np.concatenate([weights @ beyond.T for weights in images])
    accuracies = measured.permuted.sum(axis=2)
    equal = np.full(n_permutations, 1 / n_permutations)
    weights = rng.multinomial(n_permutations, equal, n_draws)
    draws += weights @ (accuracies - accuracies.mean(axis=0)) / n_permutations
    return Effects(100 * beyond.mean(axis=1), 100 * draws / n_images)
