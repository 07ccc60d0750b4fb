"""Lesion profiles: what each sub-cluster's lesion, and its random twins', does to each class.

Both proxies that rest on lesions start from these counts: how much is lost overall is importance,
how unevenly it is lost over the classes is (output) coherence.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from helpers.fingerprints import fingerprint
from helpers.partitions import Partition, SubCluster, as_partition
from helpers.validation import check_number

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from helpers.backend import keras
    from helpers.lesions.engine import Lesion


Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class LesionProfiles:
    """Correctly classified images per class: intact, and under lesions.

    Attributes
    ----------
    partition : Partition
        Where the sub-clusters and their random twins come from.
    subclusters : tuple of SubCluster
        The k sub-clusters that were lesioned.
    class_sizes : ndarray of int, shape (n_classes,)
        Images of each class.
    intact : ndarray of int, shape (n_classes,)
        Those that the intact network classifies correctly.
    true : ndarray of int, shape (k, n_classes)
        The same under the lesion of each sub-cluster.
    random : ndarray of int, shape (k, n_random, n_classes)
        The same under the lesion of each of its random twins.
    fingerprint : str
        Of the network's weights, the images and their classes.
    lesioned : callable, optional
        Counts the same under further lesions of the same network on the same images, so that
        more twins can be drawn; None where only the counts were kept.
    fixed : ndarray of bool, shape (k,), optional
        If the random twins are the sub-clusters of permuted partitions, of which column b is one:
        whether no permutation changes a sub-cluster. None if they were drawn one by one.
    outcomes : Outcomes, optional
        The same image by image, which the intervals of effects need.
    """

    partition: Partition
    subclusters: tuple[SubCluster, ...]
    class_sizes: npt.NDArray[np.int64]
    intact: npt.NDArray[np.int64]
    true: npt.NDArray[np.int64]
    random: npt.NDArray[np.int64]
    fingerprint: str
    lesioned: "Callable[[Sequence[Lesion]], Counts] | None" = field(default=None, repr=False)
    fixed: npt.NDArray[np.bool_] | None = None
    outcomes: "Outcomes | None" = field(default=None, repr=False)

    @property
    def n_random(self) -> int:
        """Random twins per sub-cluster."""
        return int(self.random.shape[1])

    def describe(self) -> pd.DataFrame:
        """Return one row per sub-cluster: where it is, how large, and what its lesion does.

        Columns: those of `Partition.describe`, intact and lesioned (overall accuracies, in
        [0, 1]).
        """
        return self.partition.describe(self.subclusters).assign(
            intact=overall_accuracy(self.intact, self.class_sizes),
            lesioned=overall_accuracy(self.true, self.class_sizes),
        )


@dataclass(frozen=True, eq=False)
class Outcomes:
    """Which images were classified correctly, under the lesions of a `LesionProfiles`.

    Attributes
    ----------
    classes : ndarray of int, shape (n_images,)
        Class of each image.
    intact : ndarray of bool, shape (n_images,)
        Whether the intact network classifies it correctly.
    true : ndarray of bool, shape (k, n_images)
        The same under the lesion of each sub-cluster.
    random : ndarray of int, shape (k, n_images)
        Under the lesions of how many of its random twins it is classified correctly.
    """

    classes: npt.NDArray[np.int64]
    intact: npt.NDArray[np.bool_]
    true: npt.NDArray[np.bool_]
    random: npt.NDArray[np.int32]


def lesion_profiles(
    model: "keras.Model",
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    partition: Partition | Mapping[str, npt.ArrayLike],
    n_random: int = 20,
    seed: int = 0,
    executor: "Executor | None" = None,
) -> LesionProfiles:
    """Lesion every sub-cluster of a partition, and random twins of each.

    Parameters
    ----------
    model, x, y, executor
        As for `lesions.correct`.
    partition : Partition or mapping
        Labels of the units of (some of) the model's layers; a mapping as for
        `Partition.from_labels`.
    n_random : int
        Random twins per sub-cluster, at least 1 (the paper uses 20).
    seed : int
        Seed of the twins.

    Returns
    -------
    LesionProfiles

    Raises
    ------
    ValueError
        If `n_random` is less than 1, if the labels do not fit the model, or as in
        `lesions.correct_counts`.

    Examples
    --------
    >>> from helpers import lesions, zoo
    >>> net = zoo.trained("digits-mlp")
    >>> x, y = net.dataset.x_test[:100], net.dataset.y_test[:100]
    >>> profiles = lesions.lesion_profiles(net.model, x, y, {"dense_4": [0, 1] * 128}, n_random=5)
    >>> profiles.true.shape, profiles.random.shape
    ((2, 10), (2, 5, 10))
    """
    # Loaded here, so that reading counts does not load TensorFlow.
    from helpers import validation
    from helpers.lesions import engine

    images, classes = validation.check_x_y(model, x, y)
    partition = as_partition(partition)
    check(model, partition, n_random)
    lesioned = partial(engine.correct_counts, model, x, classes)
    if executor is not None:
        lesioned = partial(lesioned, executor=executor)
    seed = validation.check_seed(seed)
    profiles = profiles_of_twins(lesioned, classes, partition, n_random, seed)
    return replace(profiles, fingerprint=fingerprint(*model.get_weights(), *images, classes))


def profiles_of_twins(
    lesioned: "Callable[[Sequence[Lesion]], Counts]",
    classes: npt.NDArray[np.int64],
    partition: Partition,
    n_random: int,
    seed: int = 0,
) -> LesionProfiles:
    """Do the same with whatever can count the images that are right under lesions.

    Parameters
    ----------
    lesioned : callable
        From lesions to an array of int, shape (n_lesions, n_classes), as
        `lesions.correct_counts` returns.
    classes : ndarray of int, shape (n_images,)
        Classes of the images.
    partition, n_random, seed
        As for `lesion_profiles`.

    Returns
    -------
    LesionProfiles
        Without a fingerprint.
    """
    rng = np.random.default_rng(seed)
    subclusters = tuple(partition.subclusters())
    chosen: list[Lesion] = [{}]
    for each in subclusters:
        chosen.append({each.layer: each.units})
        chosen += [{each.layer: units} for units in partition.random_twins(each, n_random, rng)]
    intact, *counts = lesioned(chosen)
    n_classes = len(intact)
    by_subcluster = np.reshape(counts, (len(subclusters), n_random + 1, n_classes))
    return LesionProfiles(
        partition=partition,
        subclusters=subclusters,
        class_sizes=np.bincount(classes, minlength=n_classes),
        intact=intact,
        true=by_subcluster[:, 0],
        random=by_subcluster[:, 1:],
        fingerprint="",
        lesioned=lesioned,
    )


def permutation_profiles(
    model: "keras.Model",
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    partition: Partition | Mapping[str, npt.ArrayLike],
    n_permutations: int = 199,
    seed: int = 0,
    strata: Mapping[str, npt.ArrayLike] | None = None,
    executor: "Executor | None" = None,
) -> LesionProfiles:
    """Lesion every sub-cluster of a partition, and those of partitions with permuted labels.

    The exact test of `statistics.permutation_test` needs whole permuted partitions; and as each
    of their sub-clusters is a random set of units of its layer, they are random twins as well.

    Parameters
    ----------
    model, x, y, partition, executor
        As for `lesion_profiles`.
    n_permutations : int
        Permuted partitions, at least 1.
    seed : int
        Seed of the permutations.
    strata : mapping, optional
        As for `Partition.permuted`: groups within which labels are permuted.

    Returns
    -------
    LesionProfiles
        With `fixed` and `outcomes`.

    Raises
    ------
    ValueError
        As `lesion_profiles`.

    Examples
    --------
    >>> from helpers import lesions, measures, zoo
    >>> net = zoo.trained("digits-mlp")
    >>> x, y = net.dataset.x_test[:100], net.dataset.y_test[:100]
    >>> own = {"dense_4": [0, 1] * 128}
    >>> profiles = lesions.permutation_profiles(net.model, x, y, own, n_permutations=19)
    >>> exact = measures.importance(profiles).exact()
    >>> 0.05 <= exact.p <= 1
    True
    """
    from helpers import validation
    from helpers.lesions import engine

    images, classes = validation.check_x_y(model, x, y)
    partition = as_partition(partition)
    check(model, partition, n_permutations, "n_permutations")
    profiles = profiles_of_permutations(
        partial(engine.correct, model, x, classes, executor=executor),
        classes,
        validation.n_classes_of(model),
        partition,
        n_permutations,
        validation.check_seed(seed),
        strata,
    )
    return replace(profiles, fingerprint=fingerprint(*model.get_weights(), *images, classes))


def profiles_of_permutations(
    correct: "Callable[[Sequence[Lesion]], npt.NDArray[np.bool_]]",
    classes: npt.NDArray[np.int64],
    n_classes: int,
    partition: Partition,
    n_permutations: int,
    seed: int = 0,
    strata: Mapping[str, npt.ArrayLike] | None = None,
) -> LesionProfiles:
    """Do the same with whatever can say which images are classified correctly under lesions.

    Parameters
    ----------
    correct : callable
        From lesions to an array of bool, shape (n_lesions, n_images), as `lesions.correct` returns.
    classes : ndarray of int, shape (n_images,)
        Classes of the images.
    n_classes : int
        How many classes there are.
    partition, n_permutations, seed, strata
        As for `permutation_profiles`.

    Returns
    -------
    LesionProfiles
        Without a fingerprint.
    """
    rng = np.random.default_rng(seed)
    subclusters = tuple(partition.subclusters())
    permuted = [partition.permuted(rng, strata).subclusters() for _ in range(n_permutations)]
    (intact,) = correct([{}])
    true = np.empty((len(subclusters), len(classes)), dtype=bool)
    random = np.empty((len(subclusters), len(classes)), dtype=np.int32)
    counts = np.empty((len(subclusters), n_permutations, n_classes), dtype=np.int64)
    # Layer by layer: lesions of one layer share their work, and the answers fit into memory.
    for layer in partition.hidden:
        chosen = [i for i, each in enumerate(subclusters) if each.layer == layer]
        sets = [[subclusters[i], *(each[i] for each in permuted)] for i in chosen]
        if not sets:
            continue
        found = correct([{layer: each.units} for of_one in sets for each in of_one])
        for i, right in zip(chosen, np.split(found, len(chosen)), strict=True):
            true[i], random[i] = right[0], right[1:].sum(axis=0)
            counts[i] = _per_class(right[1:], classes, n_classes)
    return LesionProfiles(
        partition=partition,
        subclusters=subclusters,
        class_sizes=np.bincount(classes, minlength=n_classes),
        intact=_per_class(intact[np.newaxis], classes, n_classes)[0],
        true=_per_class(true, classes, n_classes),
        random=counts,
        fingerprint="",
        lesioned=lambda lesions: _per_class(correct(lesions), classes, n_classes),
        fixed=np.array([not partition.can_change(each, strata) for each in subclusters], bool),
        outcomes=Outcomes(classes, intact, true, random),
    )


def _per_class(
    right: npt.NDArray[np.bool_], classes: npt.NDArray[np.int64], n_classes: int
) -> Counts:
    """Count correct images by class, shape (..., n_images) to (..., n_classes)."""
    is_of = classes[:, np.newaxis] == np.arange(n_classes)
    # Products of float32 are exact here: counts stay below 2**24.
    return np.asarray(np.rint(right.astype(np.float32) @ is_of.astype(np.float32)), np.int64)


def overall_accuracy(
    counts: npt.NDArray[np.int64], class_sizes: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Return the fraction of all images that is classified correctly.

    Parameters
    ----------
    counts : ndarray of int, shape (..., n_classes)
        Correctly classified images per class.
    class_sizes : ndarray of int, shape (n_classes,)
        Images per class.
    """
    return np.asarray(counts.sum(axis=-1) / class_sizes.sum())


def class_mean_accuracy(
    counts: npt.NDArray[np.int64], class_sizes: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Return the mean over the classes of the fraction that is classified correctly.

    Parameters
    ----------
    counts : ndarray of int, shape (..., n_classes)
        Correctly classified images per class.
    class_sizes : ndarray of int, shape (n_classes,)
        Images per class; classes without images are left out.
    """
    weights, common = class_weights(class_sizes)
    totals = counts.astype(object) @ weights
    return np.asarray(totals / (common * int(np.sum(class_sizes > 0))), dtype=np.float64)


def logit_loss(
    intact: npt.ArrayLike, lesioned: npt.ArrayLike, n_images: int
) -> npt.NDArray[np.float64]:
    """Return what a lesion costs on the logit scale.

    On this scale what two independent lesions cost adds up, about, while on that of accuracy
    there is always less left to lose for the second.

    Parameters
    ----------
    intact, lesioned : array-like of int, broadcast against each other
        Correctly classified images.
    n_images : int
        Images altogether.

    Returns
    -------
    ndarray of float
        ln((c + 1/2) / (n - c + 1/2)) of the intact network less that of the lesioned one; the
        halves keep it finite (Haldane, 1956, Annals of Human Genetics 20).

    Raises
    ------
    ValueError
        If there are more correct images, or fewer than none, than there are images.
    """

    def logit(counts: npt.ArrayLike) -> npt.NDArray[np.float64]:
        right = np.asarray(counts, dtype=np.float64)
        if (right < 0).any() or (right > n_images).any():
            raise ValueError(f"counts: accepted are 0 to n_images, {n_images}")
        return np.log((right + 0.5) / (n_images - right + 0.5))

    return np.asarray(logit(intact) - logit(lesioned))


def class_weights(class_sizes: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.object_], int]:
    """Return integer weights that make counts of classes of different sizes comparable.

    Returns
    -------
    weights : ndarray of Python int, shape (n_classes,)
        The common multiple divided by the size of each class; 0 for a class without images.
    common : int
        Least common multiple of the sizes. ``count * weight / common`` is the fraction of a
        class, and sums of ``count * weight`` are exact: equal ones tie, whatever the rounding.
    """
    sizes = [int(size) for size in class_sizes]
    common = math.lcm(*(size for size in sizes if size))
    return np.array([common // size if size else 0 for size in sizes], dtype=object), common


def check(
    model: "keras.Model", partition: Partition, n_random: int, argument: str = "n_random"
) -> None:
    """Check that there are twins, and that a partition has one label per unit of the model.

    Raises
    ------
    ValueError
        Says how many twins are accepted, or names the layer that does not fit.
    """
    from helpers import forward

    check_number(argument, n_random)
    for layer in partition.hidden:
        n_units = forward.n_units(model, layer)
        if len(partition.labels[layer]) != n_units:
            raise ValueError(
                f"partition: {len(partition.labels[layer])} labels were given for layer "
                f"{layer!r}, which has {n_units} units"
            )
