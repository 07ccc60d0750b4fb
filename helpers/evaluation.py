"""Both proxies that rest on lesions, for one partition: a row of Table 1b, and its audit."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.stats

from helpers import graphs, measures, partitions, protocols
from helpers.backend import keras
from helpers.lesions import (
    LesionProfiles,
    class_mean_accuracy,
    lesion_profiles,
    overall_accuracy,
)
from helpers.partitions import Partition
from helpers.protocols import PAPER, RELEASED, Protocol
from helpers.zoo import TrainedNetwork

AUDIT = {
    "as released": RELEASED,
    "ties count": replace(RELEASED, ties="inclusive"),
    "complete sub-clusters excluded": replace(RELEASED, keeps_complete=False),
    "undefined ranges excluded": replace(RELEASED, keeps_undefined=False),
    "these three together": replace(
        RELEASED, ties="inclusive", keeps_complete=False, keeps_undefined=False
    ),
}
"""The released protocol, and what it becomes if one choice is switched, or all three."""


def partition_of(
    model: keras.Model,
    n_clusters: int,
    protocol: Protocol | str = PAPER,
    seed: int = 0,
    images: Sequence[npt.NDArray[Any]] = (),
    edges: str = "weights",
    scope: str = "global",
) -> Partition:
    """Cluster the graph of a network's weights as a protocol says.

    Parameters
    ----------
    model : keras.Model
        A classifier, see `forward.read_classifier`.
    n_clusters, seed
        As for `partitions.spectral`.
    protocol : Protocol
        How weights become edges.
    images : sequence of ndarray
        The model's inputs, for edges from activations.
    edges : {"weights"}
        What connects units.
    scope : {"global"}
        Whether the whole graph is clustered.

    Returns
    -------
    Partition

    Raises
    ------
    ValueError
        If an option is unknown, or as `graphs.weight_graph` and `partitions.spectral`.
    """
    for name, given, accepted in (("edges", edges, "weights"), ("scope", scope, "global")):
        if given != accepted:
            raise ValueError(f"{name}: {given!r} was given; accepted is {accepted}")
    choices = protocols.protocol(protocol)
    graph = graphs.weight_graph(model, choices.edge_norm, choices.batch_norm)
    return partitions.spectral(graph, n_clusters, seed)


def network_tests(
    network: TrainedNetwork,
    n_clusters: int = 12,
    n_random: int = 20,
    protocol: Protocol | str = PAPER,
    seed: int = 0,
) -> pd.DataFrame:
    """Cluster a network of the zoo and test its sub-clusters on all its test images.

    Parameters
    ----------
    network : zoo.TrainedNetwork
        Of `zoo.trained`.
    n_clusters : int
        As for `partition_of`.
    n_random, protocol, seed
        As for `lesion_tests`.

    Returns
    -------
    pandas.DataFrame
        As of `lesion_tests`.

    Raises
    ------
    ValueError
        As `partition_of` and `lesion_tests`.
    """
    labels = partition_of(network.model, n_clusters, protocol, seed)
    images = (network.dataset.x_test, network.dataset.y_test)
    return lesion_tests(network.model, *images, labels, n_random, protocol, seed)


def lesion_tests(
    model: keras.Model,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    partition: Partition | Mapping[str, npt.ArrayLike],
    n_random: int = 20,
    protocol: Protocol | str = PAPER,
    seed: int = 0,
) -> pd.DataFrame:
    """Test the sub-clusters of a partition, all together, for importance and class-wise range.

    Parameters
    ----------
    model, x, y, partition, n_random, seed
        As for `lesions.lesion_profiles`; the seed is that of the Monte-Carlo tests, too.
    protocol : Protocol
        The choices behind both tests.

    Returns
    -------
    pandas.DataFrame
        As of `Comparison.combine`, for "importance" and "class_range".

    Raises
    ------
    ValueError
        As `lesions.lesion_profiles`.
    """
    profiles = lesion_profiles(model, x, y, partition, n_random, seed)
    return _tests(profiles, protocols.protocol(protocol), seed)


def both_protocols(
    model: keras.Model,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    n_clusters: int = 12,
    n_random: int = 20,
    seed: int = 0,
) -> pd.DataFrame:
    """Cluster any network and test its sub-clusters as the paper and as the released code does.

    Parameters
    ----------
    model, x, y, n_random, seed
        As for `lesions.lesion_profiles`.
    n_clusters : int
        As for `partition_of`.

    Returns
    -------
    pandas.DataFrame
        As of `lesion_tests`, with the columns protocol, n_clusters, n_random, seed, and accuracy
        (of the intact network on these images, in [0, 1]).

    Raises
    ------
    ValueError
        As `partition_of` and `lesion_tests`.
    """
    parts = []
    for choices in (PAPER, RELEASED):
        labels = partition_of(model, n_clusters, choices, seed)
        profiles = lesion_profiles(model, x, y, labels, n_random, seed)
        parts.append(
            _tests(profiles, choices, seed).assign(
                protocol=choices.name,
                n_clusters=n_clusters,
                n_random=n_random,
                seed=seed,
                accuracy=float(overall_accuracy(profiles.intact, profiles.class_sizes)),
            )
        )
    return pd.concat(parts, ignore_index=True)


def audit(profiles: LesionProfiles, seed: int = 0) -> pd.DataFrame:
    """Show what single choices of the released code did to its p values.

    Parameters
    ----------
    profiles : LesionProfiles
        Of `lesions.lesion_profiles`.
    seed : int
        Seed of redrawn twins.

    Returns
    -------
    pandas.DataFrame
        As of `lesion_tests`, without the exchangeable tests, for each of `AUDIT`, named in the
        column choice; and for "range of the profile" and "all four together", where class-wise
        damages are divided by their Euclidean length in place of their mean.
    """
    parts = [
        _tests(profiles, protocol, seed).assign(choice=name) for name, protocol in AUDIT.items()
    ]
    for name, protocol in (
        ("range of the profile", RELEASED),
        ("all four together", AUDIT["these three together"]),
    ):
        spans = measures.profile_range(profiles, protocol).combine(seed)
        parts.append(spans.assign(measure="class_range", choice=name))
    table = pd.concat(parts, ignore_index=True)
    return table[table["test"].isin(["fisher", "chi2"])].reset_index(drop=True)


def range_against_damage(profiles: LesionProfiles) -> float:
    """Return how class-wise range and mean damage go together over lesions of random twins.

    Parameters
    ----------
    profiles : LesionProfiles
        Of `lesions.lesion_profiles`.

    Returns
    -------
    float
        Spearman's rank correlation over the twins whose range is defined, in [-1, 1]; NaN if
        there are fewer than two.
    """
    ranges = measures.class_wise_range(profiles.random, profiles.intact, profiles.class_sizes)
    lost = class_mean_accuracy(profiles.intact - profiles.random, profiles.class_sizes)
    defined = np.isfinite(ranges)
    if defined.sum() < 2:
        return float("nan")
    return float(scipy.stats.spearmanr(ranges[defined], np.abs(lost[defined])).statistic)


def _tests(profiles: LesionProfiles, protocol: Protocol, seed: int) -> pd.DataFrame:
    compared = (
        measures.importance(profiles, protocol),
        measures.class_range(profiles, protocol, seed),
    )
    return pd.concat([each.combine(seed) for each in compared], ignore_index=True)
