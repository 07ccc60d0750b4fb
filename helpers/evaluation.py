"""Both proxies that rest on lesions, for one partition: a row of Table 1b, and its audit."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.stats

from helpers import (
    correlations,
    graphs,
    lesions,
    measures,
    partitions,
    protocols,
    statistics,
    validation,
)
from helpers.backend import keras
from helpers.lesions import (
    LesionProfiles,
    class_mean_accuracy,
    lesion_profiles,
    overall_accuracy,
)
from helpers.lesions.nested import orderings_of
from helpers.lesions.profiles import check
from helpers.measures import Comparison
from helpers.partitions import Partition
from helpers.protocols import PAPER, RELEASED, Protocol
from helpers.zoo import TrainedNetwork

Edges = Literal["weights", "activations"]
Scope = Literal["global", "layerwise"]

EDGES: tuple[Edges, ...] = get_args(Edges)
SCOPES: tuple[Scope, ...] = get_args(Scope)

CONTROLS = ("weight strength", "random labels")
"""What `four_partitions` calls those that are made without clustering."""

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


def check_clustering(edges: Any, scope: Any) -> None:
    """Refuse unknown ways of clustering.

    Raises
    ------
    ValueError
        If `edges` or `scope` is none of `partition_of`'s.
    """
    for name, given, accepted in (("edges", edges, EDGES), ("scope", scope, SCOPES)):
        if given not in accepted:
            raise ValueError(f"{name}: {given!r} was given; accepted are {', '.join(accepted)}")


def partition_of(
    model: keras.Model,
    n_clusters: int,
    protocol: Protocol | str = PAPER,
    seed: int = 0,
    *,
    edges: Edges = "weights",
    scope: Scope = "global",
    x: npt.ArrayLike | None = None,
) -> Partition:
    """Cluster the units of a network, in the paper's way or one of three others (arXiv 2110.08058).

    Parameters
    ----------
    model : keras.Model
        A classifier, see `forward.read_classifier`.
    n_clusters, seed
        As for `partitions.spectral`.
    protocol : Protocol
        How weights become edges.
    edges : {"weights", "activations"}
        Whether units are connected by weights, see `graphs.weight_graph`, or by how alike they
        respond to inputs, see `graphs.activation_graph`.
    scope : {"global", "layerwise"}
        Whether the whole graph is clustered at once, see `partitions.spectral`, or each layer by
        itself, see `partitions.layerwise`.
    x : array-like, optional
        Inputs of `graphs.activation_graph`; needed for edges from activations only.

    Returns
    -------
    Partition

    Raises
    ------
    ValueError
        If an option is unknown, or inputs are needed and none are given; or as the functions named.
    """
    check_clustering(edges, scope)
    choices = protocols.protocol(protocol)
    graph: graphs.Graph
    if edges == "weights":
        graph = graphs.weight_graph(model, choices.edge_norm, choices.batch_norm)
    elif x is None:
        raise ValueError("x: none was given; edges from activations need inputs to respond to")
    else:
        graph = graphs.activation_graph(model, x)
    cluster = partitions.spectral if scope == "global" else partitions.layerwise
    return cluster(graph, n_clusters, seed)


def four_partitions(
    model: keras.Model,
    x: npt.ArrayLike,
    n_clusters: int,
    protocol: Protocol | str = PAPER,
    seed: int = 0,
) -> dict[str, Partition]:
    """Cluster the units of a network in four ways, and in two that ask what these are worth.

    Parameters
    ----------
    model, x, n_clusters, protocol, seed
        As for `partition_of`.

    Returns
    -------
    dict of str to Partition
        By "weights, global", "weights, layerwise", "activations, global" and "activations,
        layerwise"; then the `CONTROLS`, of the same sizes as the first: "weight strength", see
        `partitions.by_strength`, and "random labels", see `Partition.permuted`.

    Raises
    ------
    ValueError
        As `partition_of`.
    """
    choices = protocols.protocol(protocol)
    by_weights = graphs.weight_graph(model, choices.edge_norm, choices.batch_norm)
    found = {}
    for edges, graph in (
        ("weights", by_weights),
        ("activations", graphs.activation_graph(model, x)),
    ):
        whole = partitions.spectral(graph, n_clusters, seed)
        found[f"{edges}, global"] = whole
        found[f"{edges}, layerwise"] = partitions.layerwise(graph, whole, seed)
    first = found["weights, global"]
    return found | {
        CONTROLS[0]: partitions.by_strength(by_weights, first),
        CONTROLS[1]: first.permuted(np.random.default_rng([seed, 2])),
    }


def compare_partitions(
    model: keras.Model,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    compared: Mapping[str, Partition],
    n_permutations: int = 99,
    n_orderings: int = 100,
    n_bootstraps: int = 200,
    seed: int = 0,
    *,
    n_sizes: int = 22,
    n_reference: int = 0,
) -> pd.DataFrame:
    """Ask which partition of a network finds parts that matter, each against its permutations.

    Parameters
    ----------
    model, x, y
        As for `lesions.correct`.
    compared : mapping of str to Partition
        What to call each partition. Those with the same sizes share their permutations.
    n_permutations : int
        How often the labels of live units are permuted within layers, at least 1; no p value is
        below 1 / (n_permutations + 1).
    n_orderings : int
        As for `lesions.orderings`; fewer than `equal_damage.LEAST_ORDERINGS` leave nothing that
        is comparable at equal damage.
    n_bootstraps : int
        As for `measures.against_permuted`.
    seed : int
        Of permutations, orderings and bootstraps.
    n_sizes : int
        As for `lesions.orderings`.
    n_reference : int
        For deep networks, whose lesions take long: if any, so many permuted partitions besides the
        `n_permutations` are the reference of sequential tests, and of the latter no more are
        lesioned than the answers need, see `statistics.sequential_permutation_test`.

    Returns
    -------
    pandas.DataFrame
        As of `measures.against_permuted`, with the column partition.

    Raises
    ------
    ValueError
        If there are no permutations or orderings, a reference of less than none, if labels do not
        fit the model, or as `lesions.correct`.
    """
    classes = validation.check_x_y(model, x, y)[1]
    seed = validation.check_seed(seed)
    if n_reference < 0:
        raise ValueError(f"n_reference: {n_reference} was given; accepted are integers from 0")
    judged = _Remembered(model, x, classes)
    parts: dict[str, _Lesioned] = {}
    for name, partition in compared.items():
        check(model, partition, n_permutations, "n_permutations")
        check(model, partition, n_orderings, "n_orderings")
        rng = np.random.default_rng([seed, 1])
        drawn = [_sorted(partition).permuted(rng) for _ in range(n_reference + n_permutations)]
        parts[name] = _Lesioned(judged, [partition, *drawn])
    (intact,) = judged([{}])
    n_certain = 1 + (n_reference or n_permutations)
    judged([each for one in parts.values() for some in one.asked[:n_certain] for each in some])
    tables = []
    for name, partition in compared.items():
        true = partition.subclusters()
        # Image by image: what is drawn again are images.
        nested = orderings_of(
            judged, np.ones(len(classes), np.int64), partition, n_orderings, n_sizes, [seed, 3]
        )
        table = measures.against_permuted(
            parts[name],
            intact.astype(bool),
            classes,
            [each.layer for each in true],
            [partition.is_complete(each) for each in true],
            nested,
            n_bootstraps,
            seed,
            n_reference,
        )
        table.insert(0, "partition", name)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def compare_pictures(
    model: keras.Model,
    x: npt.ArrayLike,
    compared: Mapping[str, Partition],
    n_random: int = 200,
    seed: int = 0,
) -> pd.DataFrame:
    """Ask which partition finds units that look at the same, by the pictures of section 3.1.1.

    Parameters
    ----------
    model : keras.Model
        A classifier of images.
    x : array-like, shape (n_images, ...)
        Images that units respond to.
    compared : mapping of str to Partition
        What to call each partition.
    n_random : int
        Random twins of each sub-cluster.
    seed : int
        Of twins and Monte-Carlo tests.

    Returns
    -------
    pandas.DataFrame
        One row per partition: partition; measure, "agreement"; tested, sub-clusters with a picture;
        effect, by how many percent the maps of their units agree better than those of random sets
        typically do, see `measures.agreement`, with low and high, Student's 95 % interval over the
        sub-clusters; found, how many are above all their twins; and p, of the exchangeable Fisher
        test.

    Raises
    ------
    ValueError
        As `correlations.correlation_maps` and `correlations.pictures`.

    Notes
    -----
    Maps are correlations with inputs. Parts that were made of correlations between units, over
    similar inputs, agree better by construction.
    """
    layers = list(dict.fromkeys(each for one in compared.values() for each in one.hidden))
    maps = correlations.correlation_maps(model, validation.check_images(model, x)[0], layers)
    rows = []
    for name, partition in compared.items():
        pictures = correlations.pictures(
            partition, maps, n_random, PAPER.sign_iterations, seed=seed
        )
        rows.append({"partition": name} | _over_parts(measures.agreement(pictures), seed))
    return pd.DataFrame(rows)


def compare_scores(
    model: keras.Model,
    compared: Mapping[str, Partition],
    n_random: int = 9,
    seed: int = 0,
    **options: Any,
) -> pd.DataFrame:
    """Ask which partition finds units that one input can drive together, as in section 3.1.2.

    Parameters
    ----------
    model : keras.Model
        A classifier of images.
    compared : mapping of str to Partition
        What to call each partition.
    n_random : int
        Random twins of each sub-cluster, for each of which an input is made, too.
    seed : int
        Of twins, inputs and Monte-Carlo tests.
    **options
        As for `construction.construct`.

    Returns
    -------
    pandas.DataFrame
        As of `compare_pictures`; measure is "score", and effect by how many percent the score of a
        sub-cluster, see `measures.score`, is higher than the mean of its twins'.

    Raises
    ------
    ValueError
        As `construction.constructions`.
    """
    # Lucid is loaded for nothing else.
    from helpers import construction

    rows = []
    for name, partition in compared.items():
        made = construction.constructions(model, partition, n_random, seed=seed, **options)
        rows.append({"partition": name} | _over_parts(measures.score(made), seed))
    return pd.DataFrame(rows)


def _over_parts(comparison: Comparison, seed: int) -> dict[str, Any]:
    """Return what sub-clusters have beyond their twins in percent, over those that are tested."""
    p = comparison.combine(seed).set_index("test")["p"]
    more = 100 * (comparison.effects()["effect"][comparison.is_tested] - 1)
    low, high = statistics.mean_interval(more)
    return {
        "measure": comparison.measure,
        "tested": int(comparison.is_tested.sum()),
        "effect": more.mean(),
        "low": low,
        "high": high,
        "found": int(comparison.is_beyond.sum()),
        "p": p["exchangeable_fisher"],
    }


class _Remembered:
    """Says which images are classified correctly under lesions, and makes no lesion twice."""

    def __init__(
        self, model: keras.Model, x: npt.ArrayLike, classes: npt.NDArray[np.int64]
    ) -> None:
        self._correct = partial(lesions.correct, model, x, classes)
        self._known: dict[tuple[tuple[str, bytes], ...], npt.NDArray[np.int8]] = {}

    def __call__(self, asked: Sequence[lesions.Lesion]) -> npt.NDArray[np.int8]:
        """Return 1 where an image is classified correctly, shape (n_lesions, n_images)."""
        keys = [
            tuple((layer, np.sort(units).tobytes()) for layer, units in each.items())
            for each in asked
        ]
        new = {key: each for key, each in zip(keys, asked, strict=True) if key not in self._known}
        if new:
            right = self._correct(list(new.values()))
            self._known.update(zip(new, right.astype(np.int8), strict=True))
        return np.array([self._known[key] for key in keys])


class _Lesioned(Sequence[npt.NDArray[np.bool_]]):
    """What is left by lesions of the sub-clusters of some partitions, made when it is looked at."""

    def __init__(self, judged: _Remembered, drawn: Sequence[Partition]) -> None:
        self._judged = judged
        self.asked: list[list[lesions.Lesion]] = [
            [{each.layer: each.units} for each in one.subclusters()] for one in drawn
        ]

    def __len__(self) -> int:
        return len(self.asked)

    def __getitem__(self, index: Any) -> Any:
        """Return whether images are classified correctly, shape (k, n_images)."""
        return self._judged(self.asked[index]).astype(bool)


def _sorted(partition: Partition) -> Partition:
    """Return a partition with the labels of each layer's live units in ascending order."""
    labels = {}
    for layer, ours in partition.labels.items():
        labels[layer] = ours.copy()
        labels[layer][partition.live_units(layer)] = np.sort(ours[partition.live_units(layer)])
    return Partition(labels, partition.hidden)


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
    return combined(profiles, protocols.protocol(protocol), seed)


def combined(profiles: LesionProfiles, protocol: Protocol, seed: int = 0) -> pd.DataFrame:
    """Test sub-clusters that have been lesioned for importance and class-wise range.

    Parameters
    ----------
    profiles : LesionProfiles
        Of `lesions.lesion_profiles` or `lesions.permutation_profiles`.
    protocol, seed
        As for `lesion_tests`.

    Returns
    -------
    pandas.DataFrame
        As of `lesion_tests`.
    """
    compared = (
        measures.importance(profiles, protocol),
        measures.class_range(profiles, protocol, seed),
    )
    return pd.concat([each.combine(seed) for each in compared], ignore_index=True)


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
            combined(profiles, choices, seed).assign(
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
        combined(profiles, protocol, seed).assign(choice=name) for name, protocol in AUDIT.items()
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
