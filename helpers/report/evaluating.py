"""One call from a network and a partition to a report."""

import inspect
import math
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from helpers import protocols, validation
from helpers.measures.equal_damage import LEAST_ORDERINGS
from helpers.partitions import Partition, strata
from helpers.protocols import PAPER, Protocol
from helpers.report.measuring import MIN_PERMUTATIONS, duration, measure
from helpers.report.parts import check_n_clusters, partition_given
from helpers.report.reports import Report
from helpers.report.subject import Subject, subject_of

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from helpers.evaluation import Edges, Scope


def evaluate(
    model: Any,
    x: Any = None,
    y: Any = None,
    partition: Any = None,
    *,
    n_clusters: int = 12,
    edges: "Edges" = "weights",
    scope: "Scope" = "global",
    layers: Mapping[str, int] | None = None,
    n_permutations: int = 999,
    n_within: int = 99,
    n_random: int = 20,
    protocol: Protocol | str = PAPER,
    random_state: int = 0,
    budget: float | None = None,
    executor: "Executor | None" = None,
    progress: bool = True,
) -> Report:
    """Say whether a partition of a network's units is important, and matters for some classes.

    Each part of the partition, the units of a cluster in a layer, is lesioned and compared with
    random parts of the same size in the same layer.

    Parameters
    ----------
    model : keras.Model, path or callable
        A built classifier; or the path of a ``.keras`` file, from which nothing is executed; or,
        for networks of any other framework, a function from a list of lesions, ``{layer: array of
        unit indices}`` (``{}`` lesions nothing), to whether each image is classified correctly:
        bool, shape (n_lesions, n_images). It must restore the network after each lesion: first of
        all it is asked about the intact network, and each layer without any of its units and
        without half of them, and then the same backwards.
    x : array-like, tensor, list, mapping or tf.data.Dataset
        What ``model.predict`` takes, one row per image; a list or a mapping for several inputs. A
        dataset is one of batches of images and classes. Not needed with a function.
    y : array-like or tensor, shape (n_images,), (n_images, 1) or (n_images, n_classes)
        Classes as integers from 0, also in a column, or one-hot. Not needed with a dataset.
    partition : optional
        Which units belong together. By default spectral clustering of the network's graph; or a
        `Partition`; ``{layer: labels}`` with an integer per unit; communities, iterables of
        (layer, unit), as NetworkX finds them, or ``{(layer, unit): label}``; a fitted clusterer of
        scikit-learn, or its ``labels_``, of all hidden units layer by layer, or of the vertices of
        the network's `graphs.weight_graph` (their number must say which); or the path of a CSV with
        the columns layer, unit and label. The label -1 means no cluster.
    n_clusters : int
        Clusters to make if no partition is given, at most half as many as hidden units.
    edges : {"weights", "activations"}
        What connects units in the graph that is clustered if no partition is given.
    scope : {"global", "layerwise"}
        Whether the whole graph is clustered, or layer by layer.
    layers : mapping of str to int
        Of a function: the names of its hidden layers, in order, and how many units each has.
    n_permutations : int
        Permuted partitions of the exact test, at least 19; p values are multiples of
        1 / (n_permutations + 1). From 999 on, and with at most 8 hidden layers, class profiles
        are compared along 100 random orderings of each layer with 22 sizes, else along 40 with 12.
    n_within : int
        Permuted partitions of the test that asks whether parts matter beyond the strength of their
        units, which permutes labels among units of similar degree only (`partitions.strata`); at
        least 19 and no more than `n_permutations` are made, or 0 for none. It needs a network of
        whose weights there is a graph.
    n_random : int
        Random twins of each part in the paper's own tests, which are given beside the exact one.
    protocol : {"paper", "released"} or Protocol
        Choices behind graph and tests.
    random_state : int
        Seed; the same one gives the same report, unless a budget cuts it short.
    budget : float, optional
        Seconds, clustering included. As many permutations are made as fit, but at least 19; the
        report says so.
    executor : concurrent.futures.Executor, optional
        Where a Keras model computes, see `lesions.correct`.
    progress : bool
        Whether to say on stderr how many lesions are made, and how long they take.

    Returns
    -------
    Report

    Raises
    ------
    ValueError
        Before anything is computed, if something that was given is not accepted; says what is. In
        the end, if a function of lesions no longer answers as it did at the beginning.

    Examples
    --------
    A network without Keras: two layers in NumPy, of which the first half of the units does all.

    >>> import numpy as np
    >>> import helpers
    >>> rng = np.random.default_rng(0)
    >>> x, weights = rng.normal(size=(300, 2)), rng.normal(size=(2, 20))
    >>> weights[:, 10:] = 0
    >>> y = (x[:, 0] > 0).astype(int)
    >>> def correct(lesions):
    ...     right = []
    ...     for lesion in lesions:
    ...         hidden = np.maximum(x @ weights, 0)
    ...         hidden[:, lesion.get("hidden", [])] = 0
    ...         right.append((hidden @ weights[0] > 0) == y)
    ...     return np.array(right)
    >>> report = helpers.evaluate(
    ...     correct, y=y, partition={"hidden": np.arange(20) // 10}, layers={"hidden": 20},
    ...     n_permutations=99, progress=False)
    >>> print(report.verdict)  # doctest: +ELLIPSIS
    These 2 clusters are important: lesions of 1 of 2 parts cost more than random parts ...
    """
    choices = protocols.protocol(protocol)
    seed = validation.check_seed(random_state, "random_state")
    _check_at_least("n_permutations", n_permutations, MIN_PERMUTATIONS)
    if not (validation.is_integer(n_within) and n_within == 0):
        _check_at_least("n_within", n_within, MIN_PERMUTATIONS, "0, or integers")
    _check_at_least("n_random", n_random, 1)
    is_number = isinstance(budget, int | float | np.number) and not isinstance(budget, bool)
    if budget is not None and not (is_number and 0 < budget < math.inf):
        raise ValueError(f"budget: {budget!r} was given; accepted are seconds above 0, or None")
    if (edges, scope) != ("weights", "global"):  # Also where nothing is clustered.
        from helpers import evaluation  # Here, so that a function of lesions loads no Keras.

        evaluation.check_clustering(edges, scope)
    started = time.monotonic()
    subject = subject_of(model, x, y, layers, executor)
    if partition is None:
        divided, notes = _clustered(subject, n_clusters, choices, seed, edges, scope)
        source = _source(n_clusters, edges, scope)
    else:
        divided, notes = partition_given(partition, subject)
        notes += _unused(n_clusters=n_clusters, edges=edges, scope=scope)
        source = "The partition that was given"
    if subject.model is None and x is not None:
        notes = [*notes, "x was not used: a function of lesions has its images itself."]
    groups, unknown = _strata(subject, divided, choices) if n_within else (None, [])
    left = None if budget is None else max(budget - (time.monotonic() - started), 0.0)
    measured = measure(subject, divided, n_permutations, seed, left, progress, groups, n_within)
    if groups is not None and measured.within is None:
        changes = any(divided.can_change(each, groups) for each in divided.subclusters())
        unknown += [_unknown(_TOO_SHORT if changes else _NOTHING_CHANGES)]
    took = time.monotonic() - started
    if budget is not None and took > 1.1 * budget:
        notes = [
            *notes,
            f"It took {duration(took)} where {duration(budget)} were given: there are "
            f"{MIN_PERMUTATIONS} permutations and {LEAST_ORDERINGS} random orderings at the least.",
        ]
    return Report(
        name=subject.name.encode(errors="backslashreplace").decode(),
        source=source,
        measured=measured,
        protocol=choices,
        n_random=int(n_random),
        n_asked=int(n_permutations),
        random_state=seed,
        fingerprint=subject.fingerprint,
        notes=(*notes, *unknown),
    )


def _clustered(
    subject: Subject, n_clusters: int, protocol: Protocol, seed: int, edges: "Edges", scope: "Scope"
) -> tuple[Partition, list[str]]:
    """Make a partition of a network's hidden layers: the one place where that is done."""
    if subject.model is None:
        raise ValueError(
            "partition: None was given; a function of lesions has no graph that could be clustered"
        )
    from helpers import evaluation

    check_n_clusters(n_clusters, subject)
    x = subject.images[0] if len(subject.images) == 1 else list(subject.images)
    made = evaluation.partition_of(
        subject.model, n_clusters, protocol, seed, edges=edges, scope=scope, x=x
    )
    try:
        divided, notes = partition_given(made, subject)
    except ValueError as error:
        raise ValueError(
            f"{error}; that is what spectral clustering made: more clusters (n_clusters), or "
            "clustering layer by layer (scope='layerwise'), may divide one"
        ) from None
    if edges == "activations":
        notes = [
            *notes,
            "Clusters were made of responses to the very images that lesions are judged by: they "
            "may fit these better than others.",
        ]
    return divided, notes


def _strata(
    subject: Subject, partition: Partition, protocol: Protocol
) -> tuple[dict[str, Any] | None, list[str]]:
    """Group units of similar strength; None, and why, where strength is unknown."""
    reason = "a function of lesions shows no weights"
    if subject.model is not None:
        from helpers import graphs

        try:
            graph = graphs.weight_graph(subject.model, protocol.edge_norm, protocol.batch_norm)
        except ValueError as error:
            # What it advises besides is for who has no partition yet.
            reason = str(error).removeprefix("model: ").partition("; ")[0]
        else:
            return _strata_in(graph, partition)
    return None, [_unknown(reason)]


def _strata_in(graph: Any, partition: Partition) -> tuple[dict[str, Any], list[str]]:
    """Group units of the layers that a graph has; permutations leave the others' as they are."""
    known = {layer: each for layer, each in partition.labels.items() if layer in graph.layers}
    groups = strata(graph, Partition.from_labels(known))
    fixed = [layer for layer in partition.labels if layer not in known]
    live = {layer: each[partition.live_units(layer)] for layer, each in groups.items()}
    small = [layer for layer, each in live.items() if len(np.unique(each)) == len(each) > 1]
    groups |= {layer: np.arange(len(partition.labels[layer])) for layer in fixed}
    notes = []
    if fixed:
        notes.append(
            f"Of {', '.join(fixed)} the graph of weights has no units, so that nothing is known of "
            "their strength."
        )
    if small:
        notes.append(
            f"{', '.join(small)}: too few units to be grouped by strength, so that nothing is said "
            "of it there."
        )
    return groups, notes


_TOO_SHORT = "the budget is too short for it"
_NOTHING_CHANGES = "no permutation among units of similar strength changes a part"


def _unknown(reason: str) -> str:
    return f"Whether parts matter beyond the strength of their units is unknown: {reason}."


def _source(n_clusters: int, edges: str, scope: str) -> str:
    return f"Spectral clustering ({n_clusters} clusters, edges from {edges}, {scope})"


def _unused(**options: Any) -> list[str]:
    """Return a sentence on each option that says how to cluster, where a partition was given."""
    defaults = inspect.signature(evaluate).parameters
    return [
        f"{name} = {given!r} was not used, because a partition was given."
        for name, given in options.items()
        if given != defaults[name].default
    ]


def _check_at_least(name: str, given: Any, least: int, accepted: str = "integers") -> None:
    if not validation.is_integer(given) or given < least:
        raise ValueError(f"{name}: {given!r} was given; accepted are {accepted} from {least}")
