"""How much more the lesion of a part costs than those of random parts of the same size."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from helpers.report.measuring import Measured

N_BOOTSTRAPS = 2000
_INTERVAL = (2.5, 97.5)
_BLOCK_VALUES = 2**24


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
    draws = np.zeros((n_draws, len(beyond)))
    for label in np.unique(measured.classes):
        ours = beyond[:, measured.classes == label].astype(np.float32).T
        for rows in _blocks(n_draws, len(ours)):
            weights = _weights(len(ours), rows.stop - rows.start, rng)
            draws[rows] += weights.astype(np.float32) @ ours
    accuracies = measured.permuted.sum(axis=2)
    weights = _weights(n_permutations, n_draws, rng)
    draws += weights @ (accuracies - accuracies.mean(axis=0)) / n_permutations
    return Effects(100 * beyond.mean(axis=1), 100 * draws / n_images)


def _weights(n: int, n_draws: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Return how often each of n is drawn when n are drawn again, shape (n_draws, n)."""
    return rng.multinomial(n, np.full(n, 1 / n), n_draws)


def _blocks(n_draws: int, n_images: int) -> Iterator[slice]:
    """Cut draws so that the weights of a block's images fit into memory."""
    step = max(_BLOCK_VALUES // n_images, 1)
    for start in range(0, n_draws, step):
        yield slice(start, min(start + step, n_draws))
