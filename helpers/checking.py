"""What can be done with a network, layer by layer, before anything is computed."""

from collections.abc import Callable, Mapping
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from helpers import forward, graphs, partitions, validation
from helpers.backend import keras
from helpers.forward import rules

Made = TypeVar("Made")

_COLUMNS = ["layer", "kind", "units", "lesions", "graph"]


def check(model: keras.Model) -> pd.DataFrame:
    """Say which layers of a network can be lesioned and are in its graph of weights, or why not.

    Parameters
    ----------
    model : keras.Model
        Any model. Only its layers and weights are read; nothing is computed.

    Returns
    -------
    pandas.DataFrame
        One row per layer in the order of computation: layer, its full name; kind, its class;
        units, how many neurons or feature maps can be lesioned in it, 0 if none; lesions, "yes",
        "yes, slowly" or why not; graph, "yes", "yes, without edges" if none of the layer's units
        has one, or why not. Empty if the model cannot be read. Its ``attrs`` hold a sentence each
        on what holds for the whole model: ``lesions``, ``graph``.

    Raises
    ------
    ValueError
        If it is no Keras model.

    Examples
    --------
    >>> import helpers
    >>> from helpers import networks
    >>> helpers.check(networks.cnn((8, 8, 1), 10))[["layer", "units", "lesions"]].head(3)
        layer  units                  lesions
    0  conv_1     64                      yes
    1  conv_2     64                      yes
    2  pool_2      0  a MaxPooling2D has none
    """
    forward.check_model(model)
    try:
        program = forward.read(model)
    except ValueError as error:
        return _table([], str(error), str(error))
    _, of_lesions = _attempt(forward.read_classifier, model)
    if not of_lesions:
        _, of_lesions = _attempt(validation.check_weights, model)
    graph, of_graph = _attempt(graphs.weight_graph, model)
    in_graphs = {} if graph is None else _joined(graph)
    speed = "yes, slowly" if program.is_rough else "yes"
    rows, seen = [], set()
    for step in program.steps:
        if step.name in seen:
            continue
        seen.add(step.name)
        layer = step.operation
        why = "" if step.n_units else rules.why_without_units(layer)
        in_graph = of_graph or _why_not_in(step.n_units)
        name = program.first_names[id(layer)]  # By which a shared layer is in the graph.
        if name in in_graphs:
            in_graph = "yes" if in_graphs[name].any() else "yes, without edges"
        can_be = why or of_lesions or speed
        rows.append((step.name, type(layer).__name__, step.n_units, can_be, in_graph))
    return _table(
        rows, of_lesions or _how_lesions_are(program), of_graph or _what_is_joined(in_graphs)
    )


def _how_lesions_are(program: forward.Program) -> str:
    if not any(step.n_units for step in program.steps):
        return "no layer has units that can be lesioned"
    if program.is_rough:
        return (
            "exact, by calling the model's own layers: one of them may make a step of a rounding "
            "error"
        )
    return "exact and fast"


def _joined(graph: graphs.WeightGraph) -> dict[str, npt.NDArray[np.bool_]]:
    """Say of each layer's units whether they are connected to any other."""
    is_connected = partitions.connected(graph.adjacency)
    return {layer: is_connected[graph.slice(layer)] for layer in graph.layers}


def _what_is_joined(joined: Mapping[str, npt.NDArray[np.bool_]]) -> str:
    n_units = sum(map(len, joined.values()))
    n_alone = n_units - sum(map(np.count_nonzero, joined.values()))
    if not n_alone:
        return "complete"
    return f"complete, but {n_alone} of its {n_units} units have no edges, and are in no cluster"


def _table(rows: list[tuple[str, str, int, str, str]], lesions: str, graph: str) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=_COLUMNS)
    table.attrs |= {"lesions": lesions, "graph": graph}
    return table


def _attempt(make: Callable[[keras.Model], Made], model: keras.Model) -> tuple[Made | None, str]:
    """Return what is made of a model and "", or None and what went wrong."""
    try:
        return make(model), ""
    except ValueError as error:
        return None, str(error)


def _why_not_in(n_units: int) -> str:
    if not n_units:
        return "no units"
    return "a layer of neurons in a graph of feature maps, or a depthwise convolution"
