"""Partitions of any kind become one kind, and what cannot be tested is refused at once."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from helpers import validation
from helpers.partitions import ISOLATED, Partition
from helpers.report.subject import Subject

if TYPE_CHECKING:
    from helpers.graphs import WeightGraph

Labels = dict[str, npt.NDArray[np.intp]]

_MISSING = -2
_ACCEPTED = (
    "accepted are a Partition, {layer: labels}, {(layer, unit): label}, sets of (layer, unit), a "
    "fitted clusterer or its labels, and the path of a CSV with the columns layer, unit, label"
)
_OF_SEVERAL = "of several partitions, such as girvan_newman's, give one"
_IN_NONE = "in none of them (units of no cluster have the label -1 in {layer: labels})"


def partition_given(given: Any, subject: Subject) -> tuple[Partition, list[str]]:
    """Return what was given as a partition of a network's hidden layers.

    Parameters
    ----------
    given : Partition, mapping, iterable of sets, clusterer or path
        As for `evaluate`.
    subject : Subject
        The network whose units these are.

    Returns
    -------
    Partition
        Of hidden layers alone, in their order, by full names.
    list of str
        A sentence on each thing that was left out.

    Raises
    ------
    ValueError
        If it is none of what is accepted, does not fit the network, or has nothing to test.
    """
    labels, notes = _fitting(_labels_of(given, subject), subject)
    partition = Partition.from_labels(labels)
    check_testable(partition)
    return partition, notes


def check_testable(partition: Partition) -> None:
    """Refuse a partition that no random one of the same sizes can differ from.

    Raises
    ------
    ValueError
        If there is no live unit; if all are in one cluster, or each has a cluster of its own; or if
        no layer has two clusters.
    """
    live = np.concatenate([labels[labels != ISOLATED] for labels in partition.labels.values()])
    clusters, sizes = np.unique(live, return_counts=True)
    if not len(live):
        raise ValueError("partition: no unit is in a cluster, all have the label -1")
    if len(clusters) == 1:
        raise ValueError(
            f"partition: all {len(live)} units are in one cluster; accepted are two or more"
        )
    if sizes.max() == 1:
        raise ValueError(
            f"partition: each of its {len(clusters)} clusters is a single unit; accepted are "
            "clusters of which some have more"
        )
    if all(partition.is_complete(each) for each in partition.subclusters()):
        raise ValueError(
            "partition: no layer has units of two clusters, so that no random group of the same "
            "size in the same layer is another one; accepted are partitions that divide a layer"
        )


def check_n_clusters(n_clusters: Any, subject: Subject) -> int:
    """Return a number of clusters, before a graph of units is divided into as many.

    Raises
    ------
    ValueError
        If it is no integer from 2 to half the number of hidden units: above, clusters would have
        fewer than two units on average.
    """
    n_units = sum(subject.layers.values())
    if not validation.is_integer(n_clusters) or not 2 <= n_clusters <= n_units // 2:
        raise ValueError(
            f"n_clusters: {n_clusters!r} was given; accepted are 2 to {n_units // 2}, half the "
            f"number of hidden units of {subject.name!r}"
        )
    return int(n_clusters)


def _labels_of(given: Any, subject: Subject) -> Mapping[str, Any]:
    if isinstance(given, Partition):
        return {layer: given.labels[layer] for layer in given.hidden}
    if isinstance(given, Mapping):
        # As {(layer, unit): label}, which is how graphs' nodes are divided.
        return _assembled(_pairs_of(given), subject, _IN_NONE) if _has_pairs(given) else given
    if isinstance(given, str | Path):
        return _assembled(_rows_of(Path(given)), subject, "not in the file")
    if isinstance(given, pd.DataFrame):
        raise ValueError(
            f"partition: a DataFrame was given; {_ACCEPTED}, as its .to_csv(path, index=False) "
            "writes it"
        )
    if hasattr(given, "labels_"):
        return _divided(np.asarray(given.labels_), subject)
    if _are_labels(given):
        return _divided(np.asarray(given), subject)
    if hasattr(given, "fit") or not isinstance(given, Iterable):
        has_none = " without labels_ (it is not fitted, or give what it predicts)"
        fitted = has_none if hasattr(given, "fit") else ""
        raise ValueError(f"partition: {type(given).__name__}{fitted} was given; {_ACCEPTED}")
    return _assembled(_members_of(given), subject, _IN_NONE)


def _has_pairs(given: Mapping[Any, Any]) -> bool:
    return bool(given) and all(isinstance(each, tuple) and len(each) == 2 for each in given)


def _pairs_of(given: Mapping[Any, Any]) -> Iterable[tuple[str, int, int]]:
    """Yield layers, units and labels."""
    for (layer, unit), label in given.items():
        numbers = all(map(validation.is_integer, (unit, label)))
        if not isinstance(layer, str) or not numbers:
            raise ValueError(
                f"partition: {(layer, unit)!r}: {label!r} was given; accepted are a layer's name, "
                "the number of a unit, and a label"
            )
        yield layer, int(unit), int(label)


def _are_labels(given: Any) -> bool:
    """Whether something is a row of labels, as ``labels_`` of a clusterer is."""
    if isinstance(given, np.ndarray | pd.Series):
        return given.ndim == 1 and given.dtype != object
    is_row = isinstance(given, list | tuple) and len(given) > 0
    return is_row and all(isinstance(each, int | np.integer) for each in given)


def _fitting(given: Mapping[str, Any], subject: Subject) -> tuple[Labels, list[str]]:
    """Return labels by the full names of hidden layers, in their order, if they fit."""
    labels: Labels = {}
    unnamed = [each for each in given if not isinstance(each, str)]
    if unnamed:
        raise ValueError(f"partition: {unnamed[0]!r} was given for a layer; {_ACCEPTED}")
    try:
        checked = Partition.from_labels(given).labels
    except ValueError as error:
        raise ValueError(str(error).replace("labels: ", "partition: ", 1)) from None
    for layer, of_layer in checked.items():
        if layer in subject.ends:
            alike = [each for each in subject.layers if each.endswith(f"/{layer}")]
            if alike and not any(each in given for each in alike):
                raise ValueError(
                    f"partition: {layer!r} is an input or output, which is not lesioned, and "
                    f"{listed(alike)} ends like it; accepted are full names"
                )
            continue
        name = _full_name(layer, subject)
        if name in subject.ends:
            continue
        if name in labels:
            raise ValueError(f"partition: layer {name!r} was given twice")
        if len(of_layer) != subject.layers[name]:
            raise ValueError(
                f"partition: {len(of_layer)} labels were given for layer {name!r}, which has "
                f"{subject.layers[name]} units"
            )
        labels[name] = of_layer
    if not labels:
        raise ValueError(
            f"partition: it labels no hidden layer; accepted are {', '.join(subject.layers)}"
        )
    notes = []
    without = [layer for layer in subject.layers if layer not in labels]
    if without:
        notes.append(f"The partition says nothing of {listed(without)}.")
    ends = [layer for layer in given if layer in subject.ends]
    if ends:
        notes.append(f"Inputs and outputs are not lesioned: {listed(ends)}.")
    return {layer: labels[layer] for layer in subject.layers if layer in labels}, notes


def _full_name(layer: str, subject: Subject) -> str:
    try:
        return subject.full_name(layer)
    except ValueError:
        raise ValueError(
            f"partition: layer {layer!r} was given; accepted are {', '.join(subject.layers)}"
        ) from None


def _divided(labels: npt.NDArray[Any], subject: Subject) -> Labels:
    """Cut labels of all hidden units, or of a graph's vertices, into layers."""
    n_units = sum(subject.layers.values())
    graph = _graph_of(subject)
    if labels.shape == (n_units,):
        if graph is not None and sum(graph.widths) == n_units:
            raise ValueError(
                f"partition: {n_units} labels were given, and both the hidden layers "
                f"({listed(subject.layers)}) and the graph ({listed(graph.layers)}) have as many "
                "units; accepted are {layer: labels}, which say of which they are"
            )
        ends = np.cumsum(list(subject.layers.values()))[:-1]
        return dict(zip(subject.layers, np.split(labels, ends), strict=True))
    if graph is None or labels.shape != (sum(graph.widths),):
        widths = ", ".join(f"{layer} {width}" for layer, width in subject.layers.items())
        raise ValueError(
            f"partition: labels of shape {labels.shape} were given; accepted is one for each of "
            f"the {n_units} hidden units, layer by layer ({widths}), or for each vertex of the "
            "model's `graphs.weight_graph`"
        )
    return {layer: labels[graph.slice(layer)] for layer in graph.hidden}


def _graph_of(subject: Subject) -> "WeightGraph | None":
    """Return the graph of a model, if it is a model and has one."""
    if subject.model is None:
        return None
    from helpers import graphs

    try:
        return graphs.weight_graph(subject.model)
    except ValueError:
        return None


def _rows_of(path: Path) -> Iterable[tuple[str, int, int]]:
    """Read layers, units and labels from a CSV."""
    if not path.is_file():
        raise ValueError(f"partition: there is no file {path}")
    try:
        table = pd.read_csv(
            path, dtype={"layer": str}, keep_default_na=False, skipinitialspace=True
        )
    except (ValueError, OSError) as error:
        raise ValueError(f"partition: {path} is no CSV ({error})") from None
    header = pd.read_csv(path, dtype=str, header=None, nrows=1, skipinitialspace=True).iloc[0]
    twice = header[header.duplicated() & header.isin(("layer", "unit", "label"))]
    if len(twice):
        raise ValueError(f"partition: {path} has two columns {twice.iloc[0]!r}")
    if not isinstance(table.index, pd.RangeIndex):
        raise ValueError(f"partition: {path} has rows of more fields than its header")
    missing = [name for name in ("layer", "unit", "label") if name not in table]
    if missing:
        raise ValueError(
            f"partition: {path} has no column {' and no column '.join(missing)}, but "
            f"{_short(', '.join(map(str, table)))}; accepted are layer, unit, label, between commas"
        )
    for name in ("unit", "label"):
        if len(table) and not pd.api.types.is_integer_dtype(table[name]):
            # What looks like an integer and is none is too large for one.
            texts = table[name].astype(str)
            no_integers = (each for each in texts if not each.lstrip("-").isdigit())
            wrong = next(no_integers, max(texts, key=len))
            raise ValueError(
                f"partition: {path} has {wrong!r} in column {name}; accepted are integers"
            )
    return zip(table["layer"], table["unit"].tolist(), table["label"].tolist(), strict=True)


def _members_of(communities: Iterable[Any]) -> Iterable[tuple[str, int, int]]:
    """Yield layers, units and labels of communities."""
    for label, community in enumerate(communities):
        if isinstance(community, str) or not isinstance(community, Iterable):
            raise ValueError(
                f"partition: {_short(community)} was given as a community; {_ACCEPTED}"
            )
        for member in community:
            is_pair = isinstance(member, tuple | list) and len(member) == 2
            if (
                not is_pair
                or not isinstance(member[0], str)
                or not validation.is_integer(member[1])
            ):
                is_whole = isinstance(member, set | frozenset)
                raise ValueError(
                    f"partition: {_short(member)} was given as a member of a community; accepted "
                    "are pairs (layer, unit)" + f"; {_OF_SEVERAL}" * is_whole
                )
            yield member[0], int(member[1]), label


def _short(given: Any) -> str:
    said = repr(given)
    return said if len(said) <= _LONG else f"{said[:_LONG]} …"


_LARGEST = int(np.iinfo(np.intp).max)

_LONG = 60
"""Characters of what was given that are repeated."""


def _assembled(rows: Iterable[tuple[str, int, int]], subject: Subject, missing: str) -> Labels:
    """Put labels of single units together, each unit of a layer exactly once."""
    labels: Labels = {}
    ends: dict[str, list[int]] = {}
    for layer, unit, label in rows:
        if not ISOLATED <= label <= _LARGEST:
            raise ValueError(
                f"partition: label {label} was given; accepted are integers from -1 to {_LARGEST}"
            )
        name = layer if layer in subject.ends else _full_name(layer, subject)
        if name in subject.ends:
            ends.setdefault(name, []).append(label)
            continue
        ours = labels.setdefault(name, np.full(subject.layers[name], _MISSING, dtype=np.intp))
        if not 0 <= unit < len(ours):
            raise ValueError(
                f"partition: unit {unit} of {layer!r} was given, which has units 0 to "
                f"{len(ours) - 1}"
            )
        if ours[unit] != _MISSING:
            raise ValueError(f"partition: unit {unit} of {layer!r} was given twice")
        ours[unit] = label
    for name, ours in labels.items():
        absent = np.flatnonzero(ours == _MISSING)
        if len(absent):
            raise ValueError(
                f"partition: {len(absent)} of the {len(ours)} units of {name!r} are {missing}, the "
                f"first is {absent[0]}"
            )
    return labels | {name: np.array(given) for name, given in ends.items()}


def listed(names: Iterable[str]) -> str:
    """Return names as one says them: "a, b and c"."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
