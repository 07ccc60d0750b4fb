"""A network as an undirected weighted graph of its units (section 2 of the paper)."""

import builtins
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

from helpers.backend import keras
from helpers.forward import Stage, chain
from helpers.protocols import BatchNorm, EdgeNorm

EDGE_NORMS = ("l1", "max_column_sum")
BATCH_NORMS = ("outgoing", "none")


@dataclass(frozen=True)
class WeightGraph:
    """Units as vertices, and how strongly weights connect them.

    Attributes
    ----------
    adjacency : scipy.sparse.csr_array of float64, shape (n, n)
        Symmetric and non-negative; units of one layer are not connected.
    layers : tuple of str
        Names of the layers whose units are the vertices, in order.
    widths : tuple of int
        Units of each of these layers; they add up to n.
    hidden : tuple of str
        Those of the layers that are neither the network's inputs nor its outputs.
    """

    adjacency: scipy.sparse.csr_array
    layers: tuple[str, ...]
    widths: tuple[int, ...]
    hidden: tuple[str, ...]

    def slice(self, layer: str) -> builtins.slice:
        """Return where a layer's units lie among the vertices.

        Raises
        ------
        ValueError
            If the graph has no such layer; lists those there are.
        """
        if layer not in self.layers:
            raise ValueError(f"layer: no layer {layer!r}; accepted are {', '.join(self.layers)}")
        index = self.layers.index(layer)
        start = sum(self.widths[:index])
        return builtins.slice(start, start + self.widths[index])


def weight_graph(
    model: keras.Model, edge_norm: EdgeNorm = "l1", batch_norm: BatchNorm = "outgoing"
) -> WeightGraph:
    """Turn a network into a graph.

    A network with convolutional layers becomes the graph of their feature maps, without inputs,
    outputs and dense layers; one without becomes the graph of all its neurons, inputs and
    outputs included. Biases play no part.

    Parameters
    ----------
    model : keras.Model
        A chain of layers, see `forward.chain`.
    edge_norm : {"l1", "max_column_sum"}
        How the kernel slice between two feature maps becomes an edge's weight: the sum of its
        absolute values (the paper), or the largest absolute column sum (the released code).
        Between neurons, the weight's absolute value in either case.
    batch_norm : {"outgoing", "none"}
        Whether the weights into a unit are multiplied by abs(gamma) / (sigma + epsilon) of the
        batch normalisation that follows it, possibly behind activation or pooling.

    Returns
    -------
    WeightGraph

    Raises
    ------
    ValueError
        If the model is no chain, has a single convolutional layer, or has weights that are not
        finite; if an option is unknown.
    """
    _check_choice("edge_norm", edge_norm, EDGE_NORMS)
    _check_choice("batch_norm", batch_norm, BATCH_NORMS)
    network = chain(model)
    convolutions = [stage for stage in network.stages if stage.is_convolution]
    if len(convolutions) == 1:
        raise ValueError(
            f"model: {convolutions[0].name!r} is its only convolutional layer; the graph of "
            "feature maps needs two or more. `Partition.from_labels` needs no graph"
        )
    stages = convolutions or list(network.stages)
    blocks = [_edge_weights(stage, edge_norm, batch_norm) for stage in stages]
    layers = [stage.name for stage in stages]
    hidden = [name for name in layers if name != network.stages[-1].name]
    if convolutions:
        del blocks[0]
    else:
        layers.insert(0, network.input_name)
    widths = (blocks[0].shape[0], *(block.shape[1] for block in blocks))
    return WeightGraph(_adjacency(blocks), tuple(layers), widths, tuple(hidden))


def shuffle_weights(graph: WeightGraph, rng: np.random.Generator) -> WeightGraph:
    """Return the graph with the edges between any two layers permuted among all their pairs.

    It keeps how many edges of which weights there are between two layers, and nothing else: the
    null model for how clusterable a network is (Filan et al., 2021).
    """
    grid: list[list[Any]] = [
        [scipy.sparse.csr_array((n, m)) for m in graph.widths] for n in graph.widths
    ]
    for i, j in combinations(range(len(graph.layers)), 2):
        block = graph.adjacency[graph.slice(graph.layers[i]), graph.slice(graph.layers[j])]
        if block.nnz:
            moved = rng.permutation(block.toarray().ravel()).reshape(block.shape)
            grid[i][j] = scipy.sparse.csr_array(moved)
            grid[j][i] = grid[i][j].T
    adjacency = scipy.sparse.block_array(grid, format="csr")
    return replace(graph, adjacency=scipy.sparse.csr_array(adjacency))


def _edge_weights(
    stage: Stage, edge_norm: EdgeNorm, batch_norm: BatchNorm
) -> npt.NDArray[np.float64]:
    """Return the edges between a stage's inputs and its units, shape (inputs, units)."""
    magnitudes = np.abs(stage.kernel.astype(np.float64))
    if stage.is_convolution:
        column_sums = magnitudes.sum(axis=0)
        reduce = np.sum if edge_norm == "l1" else np.max
        magnitudes = reduce(column_sums, axis=0)
    if batch_norm == "outgoing" and stage.batch_norm is not None:
        magnitudes = magnitudes * _scale(stage.batch_norm, stage)
    if not np.isfinite(magnitudes).all():
        raise ValueError(f"model: layer {stage.name!r} has weights that are not finite")
    return magnitudes


def _scale(layer: keras.layers.BatchNormalization, stage: Stage) -> npt.NDArray[np.float64]:
    """Return abs(gamma) / (sigma + epsilon) of each unit of a stage."""
    variance = keras.ops.convert_to_numpy(layer.moving_variance).astype(np.float64)
    if len(variance) != stage.n_units:
        raise ValueError(
            f"model: {layer.name!r} does not normalise the units of {stage.name!r}, but their "
            "flattened positions; leave batch normalisation out with batch_norm='none'"
        )
    gamma = keras.ops.convert_to_numpy(layer.gamma) if layer.scale else np.ones(len(variance))
    return np.asarray(np.abs(gamma) / (np.sqrt(variance) + layer.epsilon), dtype=np.float64)


def _adjacency(blocks: list[npt.NDArray[np.float64]]) -> scipy.sparse.csr_array:
    """Assemble the symmetric, block-tridiagonal adjacency matrix of consecutive layers."""
    n_layers = len(blocks) + 1
    grid: list[list[Any]] = [[None] * n_layers for _ in range(n_layers)]
    for index, block in enumerate(blocks):
        grid[index][index + 1] = scipy.sparse.csr_array(block)
        grid[index + 1][index] = scipy.sparse.csr_array(block.T)
    return scipy.sparse.csr_array(scipy.sparse.block_array(grid, format="csr"))


def _check_choice(argument: str, given: str, accepted: tuple[str, ...]) -> None:
    if given not in accepted:
        raise ValueError(f"{argument}: {given!r} was given; accepted are {', '.join(accepted)}")
