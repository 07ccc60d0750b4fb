"""Both proxies that rest on lesions, for one partition: a row of Table 1b, and its audit."""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.stats

from helpers import coherence, graphs, importance, partitions, statistics
from helpers.backend import keras
from helpers.partitions import Partition
from helpers.profiles import LesionProfiles, class_mean_accuracy, lesion_profiles
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
    model: keras.Model, n_clusters: int, protocol: Protocol = PAPER, seed: int = 0
) -> Partition:
    """Cluster the graph of a network's weights as a protocol says.

    Parameters
    ----------
    model : keras.Model
        A chain of layers, see `forward.chain`.
    n_clusters, seed
        As for `partitions.spectral`.
    protocol : Protocol
        How weights become edges.

    Returns
    -------
    Partition

    Raises
    ------
    ValueError
        As `graphs.weight_graph` and `partitions.spectral`.
    """
    graph = graphs.weight_graph(model, protocol.edge_norm, protocol.batch_norm)
    return partitions.spectral(graph, n_clusters, seed)


def network_tests(
    network: TrainedNetwork,
    n_clusters: int = 12,
    n_random: int = 20,
    protocol: Protocol = PAPER,
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
    x: npt.NDArray[np.float32],
    y: npt.NDArray[np.integer[Any]],
    partition: Partition,
    n_random: int = 20,
    protocol: Protocol = PAPER,
    seed: int = 0,
) -> pd.DataFrame:
    """Test the sub-clusters of a partition, all together, for importance and class-wise range.

    Parameters
    ----------
    model, x, y, partition, n_random, seed
        As for `profiles.lesion_profiles`; the seed is that of the Monte-Carlo tests, too.
    protocol : Protocol
        The choices behind both tests.

    Returns
    -------
    pandas.DataFrame
        As of `as_rows`, for "importance" and "class_range".

    Raises
    ------
    ValueError
        As `profiles.lesion_profiles`.
    """
    profiles = lesion_profiles(model, x, y, partition, n_random, seed)
    return _tests(model, x, y, profiles, protocol, seed)


def as_rows(combined: dict[str, dict[str, Any]]) -> pd.DataFrame:
    """Return combined p values with a row for each measure and test.

    Parameters
    ----------
    combined : dict of str to dict
        For each measure, the result of `statistics.combine`.

    Returns
    -------
    pandas.DataFrame
        One row per measure and test ("fisher", "chi2", "exchangeable_fisher",
        "exchangeable_chi2"): measure, test; tested and excluded, numbers of sub-clusters; p, NaN
        where there was nothing to test or the test is not defined.
    """
    rows = [
        (measure, test, found["tested"], found["excluded"], found[test])
        for measure, found in combined.items()
        for test in statistics.TESTS
    ]
    return pd.DataFrame(rows, columns=["measure", "test", "tested", "excluded", "p"])


def audit(
    model: keras.Model,
    x: npt.NDArray[np.float32],
    y: npt.NDArray[np.integer[Any]],
    profiles: LesionProfiles,
    seed: int = 0,
) -> pd.DataFrame:
    """Show what single choices of the released code did to its p values.

    Parameters
    ----------
    model, x, y, profiles
        As for `coherence.class_range`.
    seed : int
        Seed of redrawn twins.

    Returns
    -------
    pandas.DataFrame
        As of `as_rows` for "importance" and "class_range", without the exchangeable tests, for
        each of `AUDIT`, named in the column choice; and for "range of the profile" and "all four
        together", where class-wise damages are divided by their Euclidean length in place of
        their mean, which does not grow with the damage.
    """
    parts = [
        _tests(model, x, y, profiles, protocol, seed).assign(choice=name)
        for name, protocol in AUDIT.items()
    ]
    for name, protocol in (
        ("range of the profile", RELEASED),
        ("all four together", AUDIT["these three together"]),
    ):
        spans = coherence.combined(coherence.profile_range(profiles, protocol), protocol, seed)
        parts.append(as_rows({"class_range": spans}).assign(choice=name))
    table = pd.concat(parts, ignore_index=True)
    return table[table["test"].isin(["fisher", "chi2"])].reset_index(drop=True)


def range_against_damage(profiles: LesionProfiles) -> float:
    """Return how class-wise range and mean damage go together over lesions of random twins.

    Parameters
    ----------
    profiles : LesionProfiles
        Of `profiles.lesion_profiles`.

    Returns
    -------
    float
        Spearman's rank correlation over the twins whose range is defined, in [-1, 1]; NaN if
        there are fewer than two.
    """
    ranges = coherence.class_wise_range(profiles.random, profiles.intact, profiles.class_sizes)
    lost = class_mean_accuracy(profiles.intact - profiles.random, profiles.class_sizes)
    defined = np.isfinite(ranges)
    if defined.sum() < 2:
        return float("nan")
    return float(scipy.stats.spearmanr(ranges[defined], np.abs(lost[defined])).statistic)


def _tests(
    model: keras.Model,
    x: npt.NDArray[np.float32],
    y: npt.NDArray[np.integer[Any]],
    profiles: LesionProfiles,
    protocol: Protocol,
    seed: int,
) -> pd.DataFrame:
    by_importance = importance.importance(profiles, protocol)
    by_range = coherence.class_range(model, x, y, profiles, protocol, seed)
    return as_rows(
        {
            "importance": importance.combined(by_importance, protocol, seed),
            "class_range": coherence.combined(by_range, protocol, seed),
        }
    )
