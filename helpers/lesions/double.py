"""Lesions of pairs of sub-clusters (appendix A.10)."""

from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import permutations

import numpy as np
import numpy.typing as npt

from helpers import forward, validation
from helpers.backend import keras
from helpers.fingerprints import fingerprint
from helpers.lesions import engine, profiles
from helpers.partitions import Partition, SubCluster, as_partition


@dataclass(frozen=True)
class DoubleLesions:
    """Correctly classified images under lesions of pairs of sub-clusters.

    Attributes
    ----------
    partition : Partition
        Where the sub-clusters come from.
    subclusters : tuple of SubCluster
        The k sub-clusters, from the network's first layer to its last.
    n_images : int
        Images altogether.
    intact : int
        Images that the intact network classifies correctly.
    single : ndarray of int, shape (k,)
        The same under the lesion of each sub-cluster.
    joint : ndarray of int, shape (k, k)
        The same under the lesion of two; symmetric. On the diagonal, of one.
    random : ndarray of int, shape (k, k, n_random)
        The same when the second sub-cluster and a random twin of the first are lesioned. In the
        second's layer twins are drawn outside the second. The diagonal means nothing: it is -1.
    fingerprint : str
        Of the network's weights, the images and their classes.
    paths : frozenset of (str, str), optional
        Pairs of layers with a path through the network from the first to the second.
    """

    partition: Partition
    subclusters: tuple[SubCluster, ...]
    n_images: int
    intact: int
    single: npt.NDArray[np.int64]
    joint: npt.NDArray[np.int64]
    random: npt.NDArray[np.int64]
    fingerprint: str
    paths: frozenset[tuple[str, str]] | None = None


def double_lesions(
    model: keras.Model,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    partition: Partition | Mapping[str, npt.ArrayLike],
    n_random: int = 50,
    seed: int = 0,
    executor: Executor | None = None,
) -> DoubleLesions:
    """Lesion all pairs of sub-clusters, and all pairs of a sub-cluster and a twin of another.

    Parameters
    ----------
    model, x, y, partition, executor
        As for `lesion_profiles`.
    n_random : int
        Random twins that replace the first sub-cluster of a pair, at least 1 (the paper uses
        50). In front of partners in other layers they are the same for all partners, which keeps
        a sub-cluster's results comparable, and saves most of the arithmetic.
    seed : int
        Seed of the twins.

    Returns
    -------
    DoubleLesions

    Raises
    ------
    ValueError
        If `n_random` is less than 1, if the labels do not fit the model, or as in
        `lesions.correct_counts`.
    """
    images, classes = validation.check_x_y(model, x, y)
    partition = as_partition(partition)
    profiles.check(model, partition, n_random)
    rng = np.random.default_rng(validation.check_seed(seed))
    program = forward.read_classifier(model)
    chosen = tuple(sorted(partition.subclusters(), key=lambda each: program.order(each.layer)))
    layers = np.array([program.order(each.layer) for each in chosen], dtype=int)
    twins = [partition.random_twins(each, n_random, rng) for each in chosen]
    own = [{each.layer: each.units} for each in chosen]
    later = [np.flatnonzero(layers > layer) for layer in layers]
    partners: list[npt.NDArray[np.intp]] = []
    groups: list[engine.Group] = [({}, [{}, *own])]
    for a, first in enumerate(chosen):
        beside = np.setdiff1d(np.flatnonzero(layers == layers[a]), [a])
        partners.append(np.concatenate([beside, later[a]]))
        drawn = [
            *(
                partition.random_twins(chosen[b], n_random, rng, outside=first.units)
                for b in beside
            ),
            *(twins[b] for b in later[a]),
        ]
        on_top: list[engine.Lesion] = []
        for b, sets in zip(partners[a], drawn, strict=True):
            on_top += [own[b], *({chosen[b].layer: units} for units in sets)]
        groups.append((own[a], on_top))
    for a, first in enumerate(chosen):
        groups += [({first.layer: units}, [own[b] for b in later[a]]) for units in twins[a]]

    counted = iter(engine.correct_counts_given(model, x, classes, groups, executor))
    intact, *single = next(counted).sum(axis=1)
    joint = np.diag(np.asarray(single, dtype=np.int64))
    random = np.full((len(chosen), len(chosen), n_random), -1, dtype=np.int64)
    for a, others in enumerate(partners):
        true, *replaced = next(counted).sum(axis=1).reshape(-1, n_random + 1).T
        joint[others, a] = joint[a, others] = true
        random[others, a] = np.transpose(replaced)
    for a, others in enumerate(later):
        for i in range(n_random):
            random[a, others, i] = next(counted).sum(axis=1)
    return DoubleLesions(
        partition=partition,
        subclusters=chosen,
        n_images=len(classes),
        intact=int(intact),
        single=np.asarray(single, np.int64),
        joint=joint,
        random=random,
        fingerprint=fingerprint(*model.get_weights(), *images, classes),
        paths=frozenset(
            pair
            for pair in permutations({each.layer for each in chosen}, 2)
            if program.leads_to(*pair)
        ),
    )
