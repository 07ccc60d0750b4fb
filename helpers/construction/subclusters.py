"""Inputs that are made for all sub-clusters of a network, and for random twins of each."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt

from helpers.backend import keras
from helpers.construction.optimisation import Construction, construct
from helpers.fingerprints import fingerprint
from helpers.partitions import Partition, Pool, SubCluster, as_partition
from helpers.validation import check_number, check_seed


@dataclass(frozen=True, eq=False)
class Made:
    """Images that were made for sets of units, and what the network makes of them.

    Attributes
    ----------
    images : ndarray of float32, shape (..., height, width, channels)
        In [0, 1].
    scores, entropies : ndarray of float, shape (...)
        As in `Construction`.
    spreads : ndarray of float, shape (...)
        Standard deviation of the activations over the units of a set.
    """

    images: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float64]
    entropies: npt.NDArray[np.float64]
    spreads: npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Constructions:
    """Images that were made for sub-clusters and their random twins.

    Attributes
    ----------
    partition : Partition
        Of the network.
    subclusters : tuple of SubCluster
        The k sub-clusters that are within the size rule.
    true : Made
        Of each sub-cluster; arrays begin with an axis of size k.
    random : Made
        Of its n random twins; arrays begin with axes of sizes k and n.
    fingerprint : str
        Of the network's weights and the images.
    """

    partition: Partition
    subclusters: tuple[SubCluster, ...]
    true: Made
    random: Made
    fingerprint: str


def constructions(
    model: keras.Model,
    partition: Partition | Mapping[str, npt.ArrayLike],
    n_random: int = 9,
    pool: Pool = "live",
    min_size: int = 3,
    max_fraction: float = 0.8,
    seed: int = 0,
    **options: Any,
) -> Constructions:
    """Make images for all sub-clusters of a network, and for random twins of each.

    Parameters
    ----------
    model : keras.Model
        As for `construct`.
    partition : Partition
        Labels of the units of (some of) its layers.
    n_random : int
        Twins per sub-cluster, at least 1 (the paper uses 9).
    pool : {"live", "all"}
        Where twins are drawn from, see `Partition.random_twins`.
    min_size, max_fraction : int, float
        Size rule of `Partition.subclusters` (section 3.1.2: at least three units, and at most
        80 % of the layer).
    seed : int
        Seed of the twins, and of `construct` in each layer.
    **options
        Passed on to `construct`.

    Returns
    -------
    Constructions
        Layers without a sub-cluster within the size rule contribute nothing.

    Raises
    ------
    ValueError
        If `n_random` is less than 1, if no sub-cluster at all is within the size rule, or as in
        `construct`.
    """
    check_number("n_random", n_random)
    partition = as_partition(partition)
    rng = np.random.default_rng(check_seed(seed))
    subclusters = partition.subclusters(min_size, max_fraction)
    if not subclusters:
        raise ValueError(
            f"partition: no sub-cluster has at least {min_size} units and at most "
            f"{max_fraction:.0%} of its layer"
        )
    made = []
    for layer, group in groupby(subclusters, key=lambda each: each.layer):
        sets: list[npt.ArrayLike] = []
        for each in group:
            sets += [each.units, *partition.random_twins(each, n_random, rng, pool)]
        made.append(construct(model, layer, sets, seed, **options))
    together = _stacked(made, 1 + n_random)
    return Constructions(
        partition,
        tuple(subclusters),
        Made(*(array[:, 0] for array in together)),
        Made(*(array[:, 1:] for array in together)),
        fingerprint(*model.get_weights(), together[0]),
    )


def _stacked(made: list[Construction], n_sets: int) -> tuple[npt.NDArray[Any], ...]:
    """Return images, scores, entropies and spreads with an axis of sub-clusters and one of sets."""
    arrays = (
        np.concatenate([each.images for each in made]),
        np.concatenate([each.scores for each in made]),
        np.concatenate([each.entropies for each in made]),
        np.array([units.std() for each in made for units in each.activations]),
    )
    return tuple(array.reshape(-1, n_sets, *array.shape[1:]) for array in arrays)
