"""A network as an undirected weighted graph of its units (section 2 of the paper).

Edges are made of weights, as in the paper, or of how alike units respond, as in the authors' later
one: Hod et al., "Quantifying Local Specialization in Deep Neural Networks", arXiv 2110.08058.
"""

import builtins
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, combinations_with_replacement
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse

from helpers import correlations, forward, validation
from helpers.backend import keras
from helpers.forward import Program, read, rules
from helpers.forward.program import Step
from helpers.forward.rules import (
    Concatenate,
    Depthwise,
    Elementwise,
    Linear,
    Merge,
    Reshape,
    Spatial,
)
from helpers.protocols import BatchNorm, EdgeNorm

EDGE_NORMS = ("l1", "max_column_sum")
BATCH_NORMS = ("outgoing", "none")


@dataclass(frozen=True)
class Graph:
    """Units as vertices, and how strongly they are connected.

    Attributes
    ----------
    adjacency : scipy.sparse.csr_array or ndarray of float64, shape (n, n)
        Symmetric and non-negative.
    layers : tuple of str
        Names of the layers whose units are the vertices, in order.
    widths : tuple of int
        Units of each of these layers; they add up to n.
    hidden : tuple of str
        Those of the layers that are neither the network's inputs nor its outputs.
    """

    adjacency: scipy.sparse.csr_array | npt.NDArray[np.float64]
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


@dataclass(frozen=True)
class WeightGraph(Graph):
    """Units as vertices, and how strongly weights connect them.

    Attributes
    ----------
    adjacency : scipy.sparse.csr_array of float64, shape (n, n)
        Units of one layer are connected only where it takes in what it puts out, as one that is
        applied twice in a row does.
    """

    adjacency: scipy.sparse.csr_array


@dataclass(frozen=True)
class ActivationGraph(Graph):
    """Units as vertices, and how alike they respond.

    Attributes
    ----------
    adjacency : ndarray of float64, shape (n, n)
        In [0, 1], 0 on the diagonal; nearly all units are connected, those of one layer too.
    constant : dict of str to ndarray of int
        For each layer, its units whose activation never changes, ascending. They have no edges.
    """

    adjacency: npt.NDArray[np.float64]
    constant: dict[str, npt.NDArray[np.intp]]

    @property
    def n_constant(self) -> int:
        """How many units never change."""
        return sum(map(len, self.constant.values()))


def weight_graph(
    model: keras.Model, edge_norm: EdgeNorm = "l1", batch_norm: BatchNorm = "outgoing"
) -> WeightGraph:
    """Turn a network into a graph.

    A network with convolutional layers becomes the graph of its feature maps, without inputs,
    outputs and layers of neurons; one without becomes the graph of all its neurons, inputs and
    outputs included. An edge joins two units where a layer takes in the one and puts out the
    other. What stands between is passed through: sums and concatenations join what comes
    together, so a unit whose output enters a residual sum is connected to the units of every
    layer that reads that sum; a depthwise convolution multiplies by the norms of its kernels.
    Biases play no part, nor do layers that only scale images. Where there are several ways from
    one unit to the other, as through both sides of ``x * sigmoid(x)`` or the two uses of a layer
    that is applied twice, the weights of all of them add up.

    Parameters
    ----------
    model : keras.Model
        Any model that can be read, see `forward.read`.
    edge_norm : {"l1", "max_column_sum"}
        How the kernel slice between two feature maps becomes an edge's weight: the sum of its
        absolute values (the paper), or the largest absolute column sum (the released code).
        Between neurons, the weight's absolute value in either case.
    batch_norm : {"outgoing", "none"}
        Whether the weights into a unit are multiplied by abs(gamma) / (sigma + epsilon) of the
        first batch normalisation that follows it, possibly behind activation, pooling or a sum.
        Where several layers read the unit through different ones, by the mean of their factors
        (the released code gives each reader a copy of the unit). Behind a depthwise convolution
        the factor belongs to that, and multiplies the weights out of the unit.

    Returns
    -------
    WeightGraph

    Raises
    ------
    ValueError
        If the model cannot be read, has a single layer of feature maps, or has weights that are
        not finite; if a layer reads what an operation made that mixes units (attention,
        recurrence), which is named; if an option is unknown.

    Examples
    --------
    >>> from helpers import graphs, zoo
    >>> graph = graphs.weight_graph(zoo.trained("digits-mlp").model)
    >>> graph.hidden
    ('dense_1', 'dense_2', 'dense_3', 'dense_4')
    >>> graph.adjacency.shape == (sum(graph.widths), sum(graph.widths))
    True
    """
    _check_choice("edge_norm", edge_norm, EDGE_NORMS)
    _check_choice("batch_norm", batch_norm, BATCH_NORMS)
    program = read(model)
    layers = _vertices(program)
    if not layers:
        raise ValueError(f"model: {model.name!r} has no layers of units that weigh inputs")
    if len(layers) == 1 and _are_maps(program):
        raise ValueError(
            f"model: {next(iter(layers.values()))!r} is its only convolutional layer; the graph of "
            "feature maps needs two or more. `Partition.from_labels` needs no graph"
        )
    edges = _Edges(program, layers, _l1 if edge_norm == "l1" else _max_column_sum, batch_norm)
    names = (*edges.inputs, *layers.values())
    widths = tuple(edges.widths[name] for name in names)
    adjacency = _adjacency(edges.blocks(), names, widths)
    return WeightGraph(adjacency, names, widths, _hidden(program))


def activation_graph(
    model: keras.Model,
    x: npt.ArrayLike,
    layers: Sequence[str] | None = None,
    batch_size: int = 100,
) -> ActivationGraph:
    """Connect units by how alike they respond to inputs (arXiv 2110.08058).

    An edge's weight is the square of Spearman's correlation of two units over the inputs, with
    ties at their mean rank: units that always rise together are as close as units of which one
    always falls when the other rises. Units of all layers are connected, not only those of
    consecutive ones. Inputs and outputs are no vertices, as in that paper's released code: outputs
    are what parts of a network are compared by, and would draw together the units that tell a
    class from others, whatever else they do.

    Parameters
    ----------
    model : keras.Model
        Any model with one input.
    x : array-like, shape (n, ...)
        Inputs, at least two, see `validation.check_images`. Those that lesions are judged by are
        best kept out; the later paper's code takes 5,000 training images.
    layers : sequence of str, optional
        Whose units are the vertices; by default those of `weight_graph` that are hidden, which
        are feature maps alone in a network that has any.
    batch_size : int
        Inputs per forward pass, which bounds the memory that all feature maps take.

    Returns
    -------
    ActivationGraph
        Dense: n units need 8 n^2 bytes.

    Raises
    ------
    ValueError
        If there are fewer than two inputs or they are not the model's; if a layer does not exist
        or is named twice, or there is none; if an activation is NaN.

    Notes
    -----
    What a unit does is what `correlations.responses` gives: a neuron's activation; of a feature
    map, the L1 norm of its activations (section 3.1.1 of the paper), which ranks inputs as the
    spatial mean does where the map is rectified. It is taken after the layer's activation function,
    because that is all that other layers see: a unit that is never above zero is dead and has no
    edges. The later paper's released code takes pre-activations, and of a map the largest absolute
    column sum (NumPy's matrix norm of order 1).

    Examples
    --------
    >>> from helpers import graphs, zoo
    >>> net = zoo.trained("digits-mlp")
    >>> graph = graphs.activation_graph(net.model, net.dataset.x_train[:100], ["dense_4"])
    >>> graph.adjacency.shape
    (256, 256)
    """
    images = validation.check_images(model, x)
    if len(images) > 1:
        raise ValueError(
            f"model: {model.name!r} has {len(images)} inputs; accepted is one, where edges come "
            "from activations"
        )
    names = validation.as_names(_hidden(read(model)) if layers is None else layers)
    if not names or len(set(names)) < len(names):
        raise ValueError(
            f"layers: {', '.join(names) or 'none'} were given; accepted are one or more hidden "
            "layers, each once"
        )
    adjacency = correlations.unit_correlations(model, images[0], names, batch_size)
    is_constant = np.diag(adjacency) == 0
    np.square(adjacency, out=adjacency)
    np.fill_diagonal(adjacency, 0)
    widths = tuple(forward.n_units(model, layer) for layer in names)
    parts = np.split(is_constant, np.cumsum(widths)[:-1])
    constant = {layer: np.flatnonzero(part) for layer, part in zip(names, parts, strict=True)}
    return ActivationGraph(adjacency, names, widths, names, constant)


def shuffle_weights(graph: WeightGraph, rng: np.random.Generator) -> WeightGraph:
    """Return the graph with the edges between any two layers permuted among all their pairs.

    It keeps how many edges of which weights there are between two layers, and nothing else: the
    null model for how clusterable a network is (Filan et al., 2021).
    """
    grid: list[list[Any]] = [
        [scipy.sparse.csr_array((n, m)) for m in graph.widths] for n in graph.widths
    ]
    for i, j in combinations_with_replacement(range(len(graph.layers)), 2):
        block = graph.adjacency[graph.slice(graph.layers[i]), graph.slice(graph.layers[j])]
        if block.nnz and i == j:
            grid[i][i] = scipy.sparse.csr_array(_shuffled_within(block.toarray(), rng))
        elif block.nnz:
            moved = rng.permutation(block.toarray().ravel()).reshape(block.shape)
            grid[i][j] = scipy.sparse.csr_array(moved)
            grid[j][i] = grid[i][j].T
    adjacency = scipy.sparse.block_array(grid, format="csr")
    return replace(graph, adjacency=scipy.sparse.csr_array(adjacency))


def _shuffled_within(
    block: npt.NDArray[np.float64], rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Return edges within a layer permuted, those of units with themselves apart."""
    moved = np.diag(rng.permutation(block.diagonal()))
    pairs = np.triu_indices(len(block), 1)
    moved[pairs] = rng.permutation(block[pairs])
    moved.T[pairs] = moved[pairs]
    return moved


def separability(graph: Graph) -> pd.DataFrame:
    """Say how well the units of each two connected layers can be told apart by their edges.

    Two layers can be cut into pairs of groups, one of each layer, that keep most of their edges
    inside only if this is near 1; at 0 every unit is connected like any other, and any cut of the
    layers is as good as a cut by chance (Dhillon, 2001, "Co-clustering documents and words using
    bipartite spectral graph partitioning").

    Parameters
    ----------
    graph : Graph

    Returns
    -------
    pandas.DataFrame
        One row per pair of layers with edges between them: layer, next, units (of both), and
        separability, the second largest singular value of the edges between them after division by
        the square roots of the units' sums, in [0, 1]; NaN where a layer has a single unit with
        edges.
    """
    rows = []
    for one, other in combinations(graph.layers, 2):
        block = graph.adjacency[graph.slice(one), graph.slice(other)]
        edges = scipy.sparse.csr_array(block).toarray()
        edges = edges[edges.any(axis=1)][:, edges.any(axis=0)]
        if edges.size:
            scaled = edges / np.sqrt(np.outer(edges.sum(axis=1), edges.sum(axis=0)))
            values = np.linalg.svd(scaled, compute_uv=False)
            rows.append((one, other, sum(edges.shape), values[1] if len(values) > 1 else np.nan))
    return pd.DataFrame(rows, columns=["layer", "next", "units", "separability"])


@dataclass(frozen=True)
class _Paths:
    """Ways from the units of one layer to the channels of a tensor.

    Attributes
    ----------
    layer : str
        Whose units.
    channels, units : ndarray of int, shape (n,)
        Where each way ends and begins.
    weights : ndarray of float, shape (n,)
        What depthwise convolutions on it multiply by.
    factors : ndarray of float, shape (units of the layer,), optional
        Of the batch normalisation that normalises the units.
    is_open : bool
        Whether the next batch normalisation multiplies: none does twice.
    is_depthwise : bool
        Whether it then multiplies the weights of the ways.
    is_spread : bool
        Whether units lie at several positions, so that which are together is not known if these
        become channels again.
    """

    layer: str
    channels: npt.NDArray[np.intp]
    units: npt.NDArray[np.intp]
    weights: npt.NDArray[np.float64]
    factors: npt.NDArray[np.float64] | None = None
    is_open: bool = True
    is_depthwise: bool = False
    is_spread: bool = False


@dataclass(frozen=True)
class _Provenance:
    """Where the channels of a tensor come from, and which operations lost track of it."""

    paths: tuple[_Paths, ...] = ()
    lost_in: frozenset[str] = frozenset()


class _Edges:
    """Edges of a program's graph, found by following each unit to the layers that read it."""

    def __init__(
        self,
        program: Program,
        layers: dict[int, str],
        norm: Callable[[Any], Any],
        batch_norm: BatchNorm,
    ) -> None:
        self._program, self._layers, self._norm = program, layers, norm
        self._normalises = batch_norm == "outgoing"
        self._has_inputs = not _are_maps(program)
        self.inputs: list[str] = []
        self.widths: dict[str, int] = {}
        self._blocks: dict[tuple[str, str], npt.NDArray[np.float64]] = {}
        self._factors: dict[str, list[Any]] = defaultdict(list)
        self._known: dict[int, _Provenance] = {each: _Provenance() for each in program.inputs}
        # Which tensor's numbers another one holds, in the same order, but for their scale.
        self._origins = {each: each for each in program.inputs}
        self._started: dict[str, int] = {}
        for tensor, name in zip(program.inputs, program.input_names, strict=True):
            self._start(tensor, name)
        for step in program.steps:
            self._follow(step)

    def blocks(self) -> dict[tuple[str, str], npt.NDArray[np.float64]]:
        """Return the edges between the units of pairs of layers, batch norm included."""
        for (source, layer), block in self._blocks.items():
            if self._factors[layer]:
                block = block * np.mean(self._factors[layer], axis=0)
            if not np.isfinite(block.sum()):
                raise ValueError(f"model: layer {layer!r} has weights that are not finite")
            self._blocks[source, layer] = block
        return self._blocks

    def _follow(self, step: Step) -> None:
        """Say where what a step puts out comes from, and add the edges that it makes."""
        given = [self._known[each] for each in step.inputs]
        if step.n_units and isinstance(step.rule, Linear):
            found = self._weighed(step, step.rule, given[0])
        else:
            found = self._handed_on(step, given)
        keeps_all = isinstance(step.rule, Elementwise | Reshape) or _prepares(step.operation)
        for tensor in step.outputs:
            self._origins[tensor] = self._origins[step.inputs[0]] if keeps_all else tensor
            self._known[tensor] = found
            if not found.paths and not found.lost_in:
                self._start(tensor, "+".join(self._program.inputs_of(tensor)))
        if set(step.outputs) & set(self._program.outputs):
            self._observe(found)

    def _start(self, tensor: int, name: str) -> None:
        """Let neurons that no layer of units made be inputs of a network without feature maps."""
        shape = self._program.shapes[tensor]
        if not self._has_inputs or len(shape) != 2 or shape[1] is None:
            return
        if self.widths.setdefault(name, shape[1]) != shape[1]:
            raise ValueError(
                f"model: input {name!r} reaches layers of neurons as {self.widths[name]} and as "
                f"{shape[1]} numbers; `Partition.from_labels` needs no graph"
            )
        if self._started.setdefault(name, self._origins[tensor]) != self._origins[tensor]:
            raise ValueError(
                f"model: input {name!r} reaches layers of neurons as several parts or arrangements "
                "of it; `Partition.from_labels` needs no graph"
            )
        if name not in self.inputs:
            self.inputs.append(name)
        self._known[tensor] = _all_of(name, shape[1])

    def _weighed(self, step: Step, rule: Linear, given: _Provenance) -> _Provenance:
        """Add the edges of a layer of units; from there on, channels are its units."""
        self._observe(given)
        name = self._layers.get(id(step.operation))
        if name is None:
            return _Provenance()
        why = ""
        if given.lost_in:
            why = f"reads what {' and '.join(sorted(given.lost_in))} made of units"
        elif given.paths and not self._is_ours(step):
            why = "weighs another axis than that of the units before it"
        if why:
            raise ValueError(
                f"model: layer {step.name!r} {why}, which no graph of weights shows; say yourself "
                "which units belong together, with `Partition.from_labels`"
            )
        self.widths[name] = rule.n_units
        magnitudes = rule.magnitudes(self._norm)
        if not np.isfinite(magnitudes).all():
            raise ValueError(f"model: layer {step.name!r} has weights that are not finite")
        for paths in given.paths:
            shape = (self.widths[paths.layer], rule.n_inputs)
            ways = scipy.sparse.csr_array((paths.weights, (paths.units, paths.channels)), shape)
            block, known = ways @ magnitudes, self._blocks.get((paths.layer, name))
            self._blocks[paths.layer, name] = block if known is None else known + block
        return _all_of(name, rule.n_units)

    def _observe(self, given: _Provenance) -> None:
        """Note which batch normalisation units are read through."""
        for paths in given.paths:
            ones = np.ones(self.widths[paths.layer])
            self._factors[paths.layer].append(ones if paths.factors is None else paths.factors)

    def _handed_on(self, step: Step, given: list[_Provenance]) -> _Provenance:
        """Say where what an operation without units of its own puts out comes from."""
        rule, shapes = step.rule, [self._program.shapes[each] for each in step.inputs]
        lost = frozenset().union(*(each.lost_in for each in given))
        is_ours = self._is_ours(step)
        is_spatial = isinstance(rule, Spatial) and is_ours
        if isinstance(rule, Elementwise) or is_spatial or _prepares(step.operation):
            return given[0]
        if isinstance(rule, rules.BatchNorm):
            paths: Iterable[_Paths] = (
                self._normalised(each, rule, is_ours) for each in given[0].paths
            )
        elif isinstance(rule, Depthwise) and is_ours:
            kernels = rule.magnitudes(self._norm)
            paths = (_convolved(each, kernels, rule.kernel.shape[-1]) for each in given[0].paths)
        elif isinstance(rule, Merge):
            width = max(shape[self._axis(shape)] or 0 for shape in shapes)
            paths = (
                _to_all(paths, width) if shape[self._axis(shape)] != width else paths
                for each, shape in zip(given, shapes, strict=True)
                for paths in each.paths
            )
        elif isinstance(rule, Concatenate):
            widths = [shape[self._axis(shape)] or 0 for shape in shapes]
            is_ours = rule.axis % len(shapes[0]) == self._axis(shapes[0])
            starts = np.cumsum([0, *widths[:-1]]) if is_ours else np.zeros(len(shapes), int)
            paths = (
                replace(paths, channels=paths.channels + start)
                for each, start in zip(given, starts, strict=True)
                for paths in each.paths
            )
        elif isinstance(rule, Reshape) and None not in shapes[0][1:]:
            new_shape = self._program.shapes[step.outputs[0]]
            moved = (
                _reshaped(each, shapes[0], new_shape, self._axis(shapes[0]), self._axis(new_shape))
                for each in given[0].paths
            )
            paths = [each for each in moved if each is not None]
            if len(paths) < len(given[0].paths):
                lost |= {step.name}
        else:
            paths = ()
            for each in given:
                self._observe(each)
            if self._has_inputs or any(each.paths for each in given):
                lost |= {step.name}
        return _Provenance(tuple(paths), lost)

    def _axis(self, shape: tuple[int | None, ...]) -> int:
        """Return the axis of the channels in a tensor of some shape."""
        first = next(step for step in self._program.steps if id(step.operation) in self._layers)
        return 1 if len(shape) == 2 else first.unit_axis % len(shape)

    def _is_ours(self, step: Step) -> bool:
        """Whether an operation that acts on one axis acts on that of the units."""
        shape = self._program.shapes[step.inputs[0]]
        if isinstance(step.rule, Spatial):
            axis = step.rule.axis
        elif isinstance(step.rule, rules.BatchNorm):
            axis = step.operation.axis
        elif isinstance(step.rule, Depthwise | Linear):
            axis = rules.channel_axis(step.operation)
        else:
            return True
        return axis % len(shape) == self._axis(shape)

    def _normalised(self, paths: _Paths, rule: rules.BatchNorm, is_ours: bool) -> _Paths:
        """Return ways through a batch normalisation, whose axis may be another than the units'."""
        if not self._normalises or not paths.is_open:
            return paths
        if not is_ours or (
            not paths.is_depthwise and len(np.unique(paths.units)) < len(paths.units)
        ):
            raise ValueError(
                f"model: {rule.layer.name!r} does not normalise the units of {paths.layer!r}, but "
                "their positions; leave batch normalisation out with batch_norm='none'"
            )
        here = rule.factors[paths.channels]
        if paths.is_depthwise:
            return replace(paths, weights=paths.weights * here, is_open=False)
        factors = np.ones(self.widths[paths.layer])
        factors[paths.units] = here
        return replace(paths, factors=factors, is_open=False)


def _vertices(program: Program) -> dict[int, str]:
    """Return the layers whose units are vertices, by identity, with their names."""
    are_maps = _are_maps(program)
    found: dict[int, str] = {}
    for step in program.steps:
        is_one = len(program.shapes[step.outputs[0]]) > 2 or not are_maps
        if step.n_units and isinstance(step.rule, Linear) and is_one:
            found.setdefault(id(step.operation), step.name)
    return found


def _hidden(program: Program) -> tuple[str, ...]:
    """Return the layers whose units are vertices, but for the network's outputs."""
    outputs = program.layers_behind(program.outputs)
    return tuple(name for name in _vertices(program).values() if name not in outputs)


def _are_maps(program: Program) -> bool:
    """Whether a network has convolutional layers, whose feature maps alone are vertices then."""
    layers = [step.rule for step in program.steps if step.n_units]
    return any(isinstance(each, Linear) and each.is_convolution for each in layers)


def _all_of(layer: str, n_units: int) -> _Provenance:
    units = np.arange(n_units)
    return _Provenance((_Paths(layer, units, units, np.ones(n_units)),))


def _prepares(operation: keras.Operation) -> bool:
    """Whether a layer prepares images: it scales them, or varies them in training only."""
    return type(operation).__module__.startswith(
        ("keras.src.layers.preprocessing.image", "keras.src.layers.preprocessing.normalization")
    )


def _convolved(paths: _Paths, kernels: npt.NDArray[np.float64], multiplier: int) -> _Paths:
    """Return ways through a depthwise convolution."""
    channels = rules.spread_out(paths.channels, multiplier)
    return replace(
        paths,
        channels=channels,
        units=np.repeat(paths.units, multiplier),
        weights=np.repeat(paths.weights, multiplier) * kernels[channels],
        is_open=True,
        is_depthwise=True,
    )


def _to_all(paths: _Paths, width: int) -> _Paths:
    """Return ways to a single channel as ways to all that it is broadcast to."""
    n = len(paths.units)
    return replace(
        paths,
        channels=np.tile(np.arange(width), n),
        units=np.repeat(paths.units, width),
        weights=np.repeat(paths.weights, width),
    )


def _reshaped(
    paths: _Paths, shape: tuple[Any, ...], new_shape: tuple[Any, ...], axis: int, new_axis: int
) -> _Paths | None:
    """Return ways into another shape; None if channels do not stay apart."""
    if axis == len(shape) - 1 and new_axis == len(new_shape) - 1 and new_shape[-1] == shape[-1]:
        return paths
    if None in new_shape[1:] or math.prod(shape[1:]) != math.prod(new_shape[1:]):
        return None  # Patches of an image become images of their own, or are put together again.
    if paths.is_spread:
        return None
    if len(new_shape) == 2:
        features = np.moveaxis(np.arange(np.prod(shape[1:])).reshape(shape[1:]), axis - 1, 0)
        places = features.reshape(shape[axis], -1)[paths.channels]
        return replace(
            paths,
            channels=places.ravel(),
            units=np.repeat(paths.units, places.shape[1]),
            weights=np.repeat(paths.weights, places.shape[1]),
        )
    if len(shape) == 2:
        channels = np.unravel_index(paths.channels, new_shape[1:])[new_axis - 1]
        # A unit whose features become positions of one channel again reaches this once.
        ways = np.stack([paths.units, channels], axis=1)
        _, first = np.unique(ways, axis=0, return_index=True)
        return replace(
            paths,
            channels=channels[first],
            units=paths.units[first],
            weights=paths.weights[first],
            is_spread=math.prod(new_shape[1:]) > new_shape[new_axis],
        )
    return None


def _l1(kernel: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return the sum of the absolute values of each kernel slice (section 2 of the paper)."""
    magnitudes = np.abs(kernel.astype(np.float64))
    while magnitudes.ndim > 2:
        magnitudes = magnitudes.sum(axis=0)
    return np.asarray(magnitudes)


def _max_column_sum(kernel: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return the largest absolute column sum of each kernel slice, NumPy's matrix 1-norm."""
    magnitudes = np.abs(kernel.astype(np.float64))
    while magnitudes.ndim > 3:
        magnitudes = magnitudes.sum(axis=0)
    is_column = kernel.ndim == 3
    reduce = np.sum if is_column else np.max
    return np.asarray(reduce(magnitudes, axis=0) if magnitudes.ndim == 3 else magnitudes)


def _adjacency(
    blocks: dict[tuple[str, str], npt.NDArray[np.float64]],
    names: tuple[str, ...],
    widths: tuple[int, ...],
) -> scipy.sparse.csr_array:
    """Assemble the symmetric adjacency matrix of edges between layers, layer by layer.

    Deep networks have a hundred million edges: each is written where it stays.
    """
    n, n_edges = sum(widths), 2 * sum(map(np.count_nonzero, blocks.values()))
    starts = dict(zip(names, np.cumsum([0, *widths[:-1]]), strict=True))
    weights, columns = np.empty(n_edges), np.empty(n_edges, np.int32)
    ends = np.zeros(n + 1, np.int32 if n_edges < 2**31 else np.int64)
    done = 0
    for name, width in zip(names, widths, strict=True):
        pieces = {other: _between(blocks, name, other) for other in names}
        there = {other: piece for other, piece in pieces.items() if piece is not None}
        if there:
            rows = np.hstack(list(there.values()))
            places = np.concatenate(
                [starts[other] + np.arange(piece.shape[1]) for other, piece in there.items()]
            )
            is_edge = rows != 0
            counts = is_edge.sum(axis=1)
            here = slice(done, done + int(counts.sum()))
            weights[here] = rows[is_edge]
            columns[here] = np.broadcast_to(places.astype(np.int32), rows.shape)[is_edge]
            ends[starts[name] + 1 : starts[name] + 1 + width] = counts
            done = here.stop
    parts = (weights[:done], columns[:done], np.cumsum(ends, dtype=ends.dtype))
    return scipy.sparse.csr_array(parts, shape=(n, n))


def _between(
    blocks: dict[tuple[str, str], npt.NDArray[np.float64]], first: str, second: str
) -> npt.NDArray[np.float64] | None:
    """Return the edges between two layers, in either direction; None if there are none."""
    there, back = blocks.get((first, second)), blocks.get((second, first))
    if there is None or back is None:
        return there if back is None else back.T
    return there + back.T


def _check_choice(argument: str, given: str, accepted: tuple[str, ...]) -> None:
    if given not in accepted:
        raise ValueError(f"{argument}: {given!r} was given; accepted are {', '.join(accepted)}")
