"""How much more the lesion of a part costs than those of random parts, and how unevenly."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from helpers import statistics
from helpers.lesions.nested import Orderings
from helpers.lesions.profiles import Outcomes
from helpers.measures.effects import DIGITS, Damages, bootstrapped, damages
from helpers.measures.equal_damage import EqualDamage, Spread, by_spread
from helpers.report.measuring import Measured

N_BOOTSTRAPS = 2000
N_BOOTSTRAPS_OF_CLASSES = 100
"""Fewer: each compares all parts with all random sets again."""

_INTERVAL = (2.5, 97.5)
_NORMAL, _MIDDLE = 1.96, (15.87, 84.13)
_VALUES_AT_ONCE = 2**24


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


def image_weights(measured: Measured, accuracy: str) -> npt.NDArray[np.float64]:
    """Return what an image of each class counts, shape (n_classes,).

    1, or so that all classes that there are count the same, if accuracy is "class_mean".
    """
    if accuracy == "overall":
        return np.ones(measured.n_classes)
    sizes = measured.class_sizes
    return len(measured.classes) / (np.maximum(sizes, 1) * np.count_nonzero(sizes))


def excess_damage(
    measured: Measured, seed: int = 0, n_draws: int = N_BOOTSTRAPS, accuracy: str = "overall"
) -> Effects:
    """Return what parts cost beyond their permuted twins, in points, with bootstraps.

    Parameters
    ----------
    measured : Measured
        With predictions image by image.
    seed : int
        Of the bootstraps.
    n_draws : int
        How many bootstraps.
    accuracy : {"overall", "class_mean"}
        Whether images count the same, or classes.

    Returns
    -------
    Effects
        0 for complete parts.
    """
    rng = np.random.default_rng(seed)
    n_permutations, n_images = measured.n_permutations, len(measured.classes)
    of_class = image_weights(measured, accuracy)
    beyond = measured.permuted_right / n_permutations - measured.true
    beyond = beyond * of_class[measured.classes]
    images = statistics.drawn_again(measured.classes, n_draws, rng)
    draws = np.concatenate([weights @ beyond.T for weights in images])
    # One permutation at a time: all of them as numbers with a point would take memory.
    accuracies = np.array([each @ of_class for each in measured.permuted])
    equal = np.full(n_permutations, 1 / n_permutations)
    weights = rng.multinomial(n_permutations, equal, n_draws)
    draws += weights @ (accuracies - accuracies.mean(axis=0)) / n_permutations
    # Whether an effect is above 0 must not be up to rounding where there is none.
    each, draws = 100 * beyond.mean(axis=1), 100 * draws / n_images
    return Effects(each.round(DIGITS), draws.round(DIGITS))


def damages_in_images(
    measured: Measured, seed: int = 0, accuracy: str = "overall"
) -> tuple[Damages, Damages]:
    """Return what parts and their permuted twins cost, in images, and the same in bootstraps.

    Parameters
    ----------
    measured : Measured
        With predictions image by image.
    seed : int
        Of the bootstraps of images within classes.
    accuracy : {"overall", "class_mean"}
        As for `excess_damage`.

    Returns
    -------
    tuple of Damages
        Of shapes (S,) and (n_bootstraps, S).
    """
    outcomes = Outcomes(measured.classes, measured.intact, measured.true, measured.permuted_right)
    weights = image_weights(measured, accuracy)[measured.classes]
    found = damages(outcomes, measured.n_permutations, weights)
    drawn = bootstrapped(outcomes, measured.n_permutations, weights, N_BOOTSTRAPS, seed)
    return found, drawn


@dataclass(frozen=True, eq=False)
class Times:
    """How many times as uneven parts' lesions fall on classes as random sets' of equal damage.

    Attributes
    ----------
    each : ndarray of float, shape (S,)
        Of each part; NaN where it is not comparable.
    draws : ndarray of float, shape (n_bootstraps, S)
        The same on images that were drawn again within their classes.
    """

    each: npt.NDArray[np.float64]
    draws: npt.NDArray[np.float64]

    def mean(
        self, chosen: npt.NDArray[np.bool_], by_chance: float = 1.0, error: float = 0.0
    ) -> tuple[float, float, float]:
        """Return the mean over some parts, and its 95 % interval; NaN if none is comparable.

        Both are divided by what the mean is by chance, whose standard error makes the interval
        wider. Without that it is 1.96 times as far from the mean, on a logarithmic scale, as the
        middle 68 % of draws reach from theirs: a mean loss near zero makes single draws as large
        as one likes.
        """
        known = chosen & np.isfinite(self.each)
        # A part may not be comparable in a draw: all in a draw are rare, and left out.
        draws = self.draws[np.isfinite(self.draws[:, known]).any(axis=1)]
        if not known.any():
            return (float("nan"),) * 3
        mean = float(self.each[known].mean()) / by_chance
        means = np.nanmean(draws[:, known], axis=1)
        means = np.log(means[means > 0])
        if len(means) < N_BOOTSTRAPS_OF_CLASSES / 2:
            return mean, float("nan"), float("nan")
        low, high = np.percentile(means, _MIDDLE)
        factor = float(np.exp(_NORMAL * np.hypot((high - low) / 2, error / by_chance)))
        return mean, mean / factor, mean * factor


def times_as_uneven(
    measured: Measured, compared: Mapping[Spread, Sequence[EqualDamage]], seed: int = 0
) -> dict[Spread, Times]:
    """Return how unevenly parts' lesions fall on classes, with bootstraps of images.

    Parameters
    ----------
    measured : Measured
        With predictions image by image, of parts and of nested random sets.
    compared : mapping of str to sequence of EqualDamage
        By how spread is measured, of each part; its first set is the true one.
    seed : int
        Of the bootstraps.

    Returns
    -------
    dict of str to Times
    """
    times = {spread: np.array([each.times[0] for each in of]) for spread, of in compared.items()}
    is_known = np.isfinite(np.array([*times.values()])).any(axis=0)
    of_layer: dict[str, list[int]] = {}
    for i in np.flatnonzero(is_known):
        of_layer.setdefault(measured.parts[i].layer, []).append(int(i))
    shape = (N_BOOTSTRAPS_OF_CLASSES, len(is_known))
    draws = {spread: np.full(shape, np.nan) for spread in compared}
    again_and_again = _counted_again(measured, [*of_layer], seed) if of_layer else ()
    for k, (right, nested) in enumerate(again_and_again):
        for layer, parts in of_layer.items():
            for spread, again in by_spread(right[parts], layer, nested, [*draws]).items():
                draws[spread][k, parts] = again.times
    return {spread: Times(times[spread], drawn) for spread, drawn in draws.items()}


def _counted_again(
    measured: Measured, layers: list[str], seed: int
) -> Iterator[tuple[npt.NDArray[np.int64], Orderings]]:
    """Yield what is right of images drawn again: of each part, (S, n_classes), and nested sets."""
    sets = {layer: measured.nested.sets[layer] for layer in layers}
    rows = {layer: np.concatenate([right for _, right in of]) for layer, of in sets.items()}
    ends = {layer: np.cumsum([len(sizes) for sizes, _ in of])[:-1] for layer, of in sets.items()}
    n_values = sum(map(len, rows.values())) + len(measured.true)
    at_once = max(_VALUES_AT_ONCE // (n_values * measured.n_classes), 1)
    rng = np.random.default_rng(seed)
    for block in statistics.drawn_again(measured.classes, N_BOOTSTRAPS_OF_CLASSES, rng):
        for start in range(0, len(block), at_once):
            weights = block[start : start + at_once].astype(np.float32)
            true = _by_class(measured.true, weights, measured)
            intact = _by_class(measured.intact[np.newaxis], weights, measured)
            along = {layer: _by_class(each, weights, measured) for layer, each in rows.items()}
            for k in range(len(weights)):
                nested = {
                    layer: [
                        (sizes, counts)
                        for (sizes, _), counts in zip(
                            of, np.split(along[layer][k], ends[layer]), strict=True
                        )
                    ]
                    for layer, of in sets.items()
                }
                yield true[k], Orderings(measured.class_sizes, intact[k, 0], nested)


def _by_class(
    right: npt.NDArray[Any], weights: npt.NDArray[np.float32], measured: Measured
) -> npt.NDArray[np.int64]:
    """Count what is right, (n, n_images), of images by their weights, (b, n_images), by class.

    Returns shape (b, n, n_classes).
    """
    counts = np.zeros((len(weights), len(right), measured.n_classes), dtype=np.int64)
    for label in np.unique(measured.classes):
        images = np.flatnonzero(measured.classes == label)
        found = weights[:, images] @ right[:, images].astype(np.float32).T
        counts[..., label] = np.rint(found)
    return counts
