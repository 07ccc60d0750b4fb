"""What ever larger random sets of a layer's units cost, for comparisons at equal damage.

A set that costs much cannot be as uneven as one that costs little, so class profiles compare only
at equal damage. Random orderings of the units of a layer give, by their first m units, a set of
any damage there is.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from helpers.lesions.profiles import check
from helpers.partitions import Partition, as_partition
from helpers.validation import check_number

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from helpers.backend import keras
    from helpers.lesions.engine import Lesion

Counts = npt.NDArray[np.integer[Any]]

LEAST_DAMAGE = 20
"""Images that a set must cost before its class profile says anything."""


@dataclass(frozen=True, eq=False)
class Orderings:
    """Correctly classified images per class under lesions of nested random sets of units.

    Attributes
    ----------
    class_sizes, intact
        As of `LesionProfiles`.
    sets : mapping of str to list of (ndarray, ndarray)
        For each layer and each ordering: sizes, shape (n_sizes,), ascending from 0, the intact
        network; and counts, shape (n_sizes, n_classes), under lesions of so many first units.
    """

    class_sizes: npt.NDArray[np.int64]
    intact: npt.NDArray[np.int64]
    sets: Mapping[str, list[tuple[npt.NDArray[np.intp], Counts]]]

    def summed(self, weights: npt.NDArray[np.floating[Any]]) -> "Orderings":
        """Return the same with other classes: sums of these.

        Parameters
        ----------
        weights : ndarray of float, shape (n_classes, n_new)
            How often each class counts in each of the new ones, whole numbers. Where what was
            counted is each image by itself, as if it were a class, these are the images' classes,
            or how often each of them was drawn again.

        Returns
        -------
        Orderings
        """
        return Orderings(
            _summed(self.class_sizes, weights),
            _summed(self.intact, weights),
            {
                layer: [(sizes, _summed(counts, weights)) for sizes, counts in along]
                for layer, along in self.sets.items()
            },
        )


def orderings(
    model: "keras.Model",
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    partition: Partition | Mapping[str, npt.ArrayLike],
    n_orderings: int = 100,
    n_sizes: int = 22,
    seed: int = 0,
    executor: "Executor | None" = None,
) -> Orderings:
    """Lesion nested sets of units along random orderings of each layer's live units.

    Parameters
    ----------
    model, x, y, executor
        As for `lesions.correct`.
    partition : Partition or mapping
        As for `lesion_profiles`; says which units are live, and in which layers there are
        sub-clusters that permutations change. Others have no orderings.
    n_orderings : int
        Orderings of each layer, at least 1.
    n_sizes : int
        Sizes of sets at first, evenly spaced up to the whole layer, at least 1. Between two of
        which the larger costs at least 20 images, and more than twice what the smaller does, the
        size in the middle is added, as long as there is any between: so the profile at any damage
        lies between two that are not far from it.
    seed : int
        Seed of the orderings.

    Returns
    -------
    Orderings

    Raises
    ------
    ValueError
        As `lesion_profiles`.
    """
    from helpers import validation
    from helpers.lesions import engine

    _, classes = validation.check_x_y(model, x, y)
    partition = as_partition(partition)
    check(model, partition, n_orderings, "n_orderings")
    counted = partial(engine.correct_counts, model, x, classes, executor=executor)
    sizes = np.bincount(classes, minlength=validation.n_classes_of(model))
    return orderings_of(
        counted, sizes, partition, n_orderings, n_sizes, validation.check_seed(seed)
    )


def orderings_of(
    counted: "Callable[[Sequence[Lesion]], Counts]",
    class_sizes: npt.NDArray[np.int64],
    partition: Partition,
    n_orderings: int = 100,
    n_sizes: int = 22,
    seed: int | Sequence[int] = 0,
    layers: Collection[str] | None = None,
) -> Orderings:
    """Do the same with whatever counts correctly classified images under lesions.

    Parameters
    ----------
    counted : callable
        From lesions to an array of int, shape (n_lesions, n_classes), as of
        `lesions.correct_counts`.
    class_sizes : ndarray of int, shape (n_classes,)
        Images of each class.
    partition, n_orderings, n_sizes, seed
        As for `orderings`.
    layers : collection of str, optional
        Only these, as far as they have sub-clusters that permutations change.

    Returns
    -------
    Orderings

    Raises
    ------
    ValueError
        If `n_sizes` is less than 1.
    """
    drawn = drawn_orderings(partition, n_orderings, seed, layers)
    return sets_along(counted, class_sizes, drawn, n_sizes)


def drawn_orderings(
    partition: Partition,
    n_orderings: int,
    seed: int | Sequence[int],
    layers: Collection[str] | None = None,
) -> dict[str, npt.NDArray[np.intp]]:
    """Draw random orderings of live units.

    Parameters
    ----------
    partition, n_orderings, seed, layers
        As for `orderings_of`.

    Returns
    -------
    dict of str to ndarray of int, shape (n_orderings, n_live)
        For each layer that has them.
    """
    streams = dict(
        zip(partition.hidden, np.random.default_rng(seed).spawn(len(partition.hidden)), strict=True)
    )
    changing = dict.fromkeys(
        each.layer for each in partition.subclusters() if partition.can_change(each)
    )
    return {
        layer: streams[layer].permuted(
            np.tile(partition.live_units(layer), (n_orderings, 1)), axis=1
        )
        for layer in changing
        if layers is None or layer in layers
    }


def sets_along(
    counted: "Callable[[Sequence[Lesion]], Counts]",
    class_sizes: npt.NDArray[np.int64],
    ordered: Mapping[str, npt.NDArray[np.intp]],
    n_sizes: int,
) -> Orderings:
    """Lesion the first units of orderings: all layers at once, since each call has work of its own.

    Parameters
    ----------
    counted, class_sizes, n_sizes
        As for `orderings_of`.
    ordered : mapping of str to ndarray of int, shape (n_orderings, n_live)
        Orderings of the units of each layer.

    Returns
    -------
    Orderings

    Raises
    ------
    ValueError
        If `n_sizes` is less than 1.
    """
    check_number("n_sizes", n_sizes)
    along = [(layer, units) for layer, each in ordered.items() for units in each]
    missing = [
        (i, int(size))
        for i, (_, units) in enumerate(along)
        for size in np.unique(np.rint(np.linspace(0, len(units), n_sizes + 1)).astype(int))[1:]
    ]
    intact, *counts = counted([{}, *_first(along, missing)])
    found: list[dict[int, npt.NDArray[np.int64]]] = [{0: intact} for _ in along]
    while missing:
        for (i, size), each in zip(missing, counts, strict=True):
            found[i][size] = each
        missing = [(i, size) for i, of_one in enumerate(found) for size in _between(of_one)]
        counts = list(counted(_first(along, missing))) if missing else []
    sets: dict[str, list[tuple[npt.NDArray[np.intp], Counts]]] = {layer: [] for layer in ordered}
    for (layer, _), of_one in zip(along, found, strict=True):
        sizes = sorted(of_one)
        sets[layer].append((np.array(sizes), np.array([of_one[size] for size in sizes])))
    return Orderings(class_sizes, intact, sets)


def _first(
    along: "Sequence[tuple[str, npt.NDArray[np.intp]]]", wanted: Sequence[tuple[int, int]]
) -> "list[Lesion]":
    """Return lesions of so many first units along some orderings."""
    return [{along[i][0]: along[i][1][:size]} for i, size in wanted]


def _between(counts: Mapping[int, npt.NDArray[np.int64]]) -> list[int]:
    """Return the sizes that are missing where damage grows too fast."""
    sizes = np.array(sorted(counts))
    damages = np.array([(counts[0] - counts[size]).sum() for size in sizes])
    # Profiles are taken where damage first reaches a level: where it falls again, nobody looks.
    highest = np.maximum.accumulate(damages)
    is_steep = (damages[1:] > highest[:-1]) & (damages[1:] >= LEAST_DAMAGE)
    is_steep &= (damages[1:] > 2 * damages[:-1]) & (np.diff(sizes) > 1)
    return [
        int(low + high) // 2
        for low, high in zip(sizes[:-1][is_steep], sizes[1:][is_steep], strict=True)
    ]


def _summed(
    counts: npt.NDArray[np.integer[Any]], weights: npt.NDArray[np.floating[Any]]
) -> npt.NDArray[np.int64]:
    return np.asarray(np.rint(counts.astype(weights.dtype) @ weights), dtype=np.int64)
