"""Which predictions survive a lesion: exact, and fast.

A lesion sets all weights into some units, and their biases, to zero (section 3.2 of the paper).
Only what follows these units changes. So the intact network is run once per batch of images,
keeping every stage's pre-activations and responses, and a lesion then costs

* the correction of the next stage's pre-activations by what the lesioned units no longer add
  (or, if they are more than half of the layer, by what the others still add);
* the stages after that, in full.

A lesioned unit's pre-activation is zero, but its response need not be: behind batch
normalisation it is a constant, which is propagated.

Subtraction leaves rounding noise, which is all that is left where what was subtracted is most of
what there was. So where it leaves less than `_CANCELLED` of the norm of an image's pre-activations,
the others' contributions are added up instead, which subtracts nothing. And where an image's two
best outputs are closer than `_TIED` of their norm, the model's own layers are called.

Lesions on top of a given one are treated alike: what the given one changes is computed once, and
each lesion starts from there.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from helpers import settings
from helpers.backend import keras
from helpers.forward import Array, Chain, chain, check_intact, silenced
from helpers.validation import check_x_y

Lesion = Mapping[str, Sequence[int] | npt.NDArray[np.integer[Any]]]
"""Units to lesion: layer name to unit indices. The empty mapping is the intact network."""

Group = tuple[Lesion, Sequence[Lesion]]
"""A lesion that is given, and lesions that come on top of it."""

_ByStage = dict[int, npt.NDArray[np.intp]]

Rows = slice | npt.NDArray[np.intp]

_WORTH_PICKING = 0.9
_TRACE_BYTES = 2**27
_CACHED_IMAGES = 1000
_GUARDED_IMAGES = 8
_CANCELLED = 1 / 32
_TIED = 5e-6


def correct(
    model: keras.Model,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    lesions: Sequence[Lesion],
) -> npt.NDArray[np.bool_]:
    """Say which images are classified correctly under each lesion.

    Parameters
    ----------
    model : keras.Model
        A chain of layers, see `forward.chain`; its outputs are class scores.
    x : array-like, shape (n_images, height, width, channels)
        Images, see `validation.check_images`.
    y : array-like, shape (n_images,)
        Their classes, in 0 to n_outputs - 1, see `validation.check_classes`.
    lesions : sequence of mapping of str to int array
        Layer name to indices of the units that are lesioned there; ``{}`` lesions nothing.

    Returns
    -------
    ndarray of bool, shape (n_lesions, n_images)

    Raises
    ------
    ValueError
        If the model is no chain or does not do what its layers say, if a layer or a unit does
        not exist, or as `validation.check_x_y`.
    """
    network, x, y = _read(model, x, y)
    right = np.empty((len(lesions), len(x)), dtype=bool)
    for images, batch in _correct_in_batches(network, x, y, [({}, lesions)]):
        right[:, images] = batch
    return right


def correct_counts(
    model: keras.Model,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    lesions: Sequence[Lesion],
) -> npt.NDArray[np.int64]:
    """Count the images of each class that are classified correctly under each lesion.

    Parameters
    ----------
    model, x, y, lesions
        As in `correct`.

    Returns
    -------
    ndarray of int64, shape (n_lesions, n_outputs)

    Raises
    ------
    ValueError
        As in `correct`.
    """
    return correct_counts_given(model, x, y, [({}, lesions)])[0]


def correct_counts_given(
    model: keras.Model,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    groups: Sequence[Group],
) -> list[npt.NDArray[np.int64]]:
    """Count the images of each class that are classified correctly under two lesions at once.

    Parameters
    ----------
    model, x, y
        As in `correct`.
    groups : sequence of (mapping, sequence of mapping)
        A lesion that is given, and lesions that come on top of it. The less the latter leave to
        do, the faster: let the given one be that of the earlier layer.

    Returns
    -------
    list of ndarray of int64, shape (n_lesions, n_outputs)
        For each group, what is left by each of its lesions together with the given one.

    Raises
    ------
    ValueError
        As in `correct`.
    """
    network, x, y = _read(model, x, y)
    n_outputs = network.stages[-1].n_units
    sizes = [len(lesions) for _, lesions in groups]
    counts = np.zeros((sum(sizes), n_outputs), dtype=np.int64)
    for images, batch in _correct_in_batches(network, x, y, groups):
        one_hot = np.eye(n_outputs, dtype=np.float32)[y[images]]
        counts += (batch.astype(np.float32) @ one_hot).astype(np.int64)
    ends = np.cumsum(sizes, dtype=int)
    return [counts[end - size : end] for size, end in zip(sizes, ends, strict=True)]


def _read(
    model: keras.Model, x: npt.ArrayLike, y: npt.ArrayLike
) -> tuple[Chain, npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Return a model as a chain that does what the model does, with images and classes."""
    network = chain(model)
    x, y = check_x_y(model, x, y)
    check_intact(model, network, x[:_GUARDED_IMAGES])
    return network, x, y


def _correct_in_batches(
    network: Chain,
    x: npt.NDArray[np.float32],
    y: npt.NDArray[np.integer[Any]],
    groups: Sequence[Group],
) -> Iterator[tuple[slice, npt.NDArray[np.bool_]]]:
    """Yield batches of images with what is right of them, shape (lesions of all groups, batch).

    Each core works on a batch of its own, with a single-threaded BLAS: NumPy's other operations
    use one core only, and would otherwise leave the others idle.
    """
    by_stage = [
        (_checked(network, given), [_checked(network, lesion) for lesion in lesions])
        for given, lesions in groups
    ]
    size = _batch_size(network, x)
    batches = [slice(start, start + size) for start in range(0, len(x), size)]

    def judge(images: slice) -> npt.NDArray[np.bool_]:
        with np.errstate(over="ignore", invalid="ignore"):  # Keras overflows in silence, too.
            return _correct(network, x[images], y[images], by_stage)

    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(settings.n_cores()) as executor:
        done = tqdm(
            executor.map(judge, batches),
            "lesions",
            len(batches),
            unit="batch",
            leave=False,
            delay=2,
            disable=None,
        )
        yield from zip(batches, done, strict=True)


@dataclass(frozen=True)
class _Trace:
    """What one stage did under a given lesion, and what it would do without its inputs.

    Attributes
    ----------
    preactivations : array, shape (n, ..., units)
        Before the activation.
    departures : array, shape (features, n, ...)
        What the next stage takes in, less what it would take in if all units were lesioned.
        Features come first, so that those of a lesion lie together.
    orphaned : array, shape (1, ..., units)
        Pre-activations if all units of the previous stage are lesioned.
    norms : ndarray of float32, shape (n,)
        Of each image's pre-activations.
    """

    preactivations: Array
    departures: Array
    orphaned: Array
    norms: npt.NDArray[np.float32]


def _run(network: Chain, images: npt.NDArray[np.float32]) -> list[_Trace]:
    """Run the intact network and keep what lesions start from."""
    inputs = network.enter(images)
    stage = network.stages[0]
    orphaned = stage.linear(inputs[:1] * 0) + stage.bias
    return _run_from(network, 0, stage.linear(inputs) + stage.bias, orphaned, {})


def _run_given(network: Chain, intact: list[_Trace], given: _ByStage) -> list[_Trace]:
    """Run the network under a lesion, from where it departs from the intact one."""
    if not given:
        return intact
    first = min(given)
    start = intact[first]
    return intact[:first] + _run_from(network, first, start.preactivations, start.orphaned, given)


def _run_from(
    network: Chain, first: int, preactivations: Array, orphaned: Array, given: _ByStage
) -> list[_Trace]:
    """Run a network on from a stage's pre-activations, under a lesion."""
    traces = []
    for index, stage in enumerate(network.stages[first:], first):
        preactivations = silenced(preactivations, given.get(index))
        responses = stage.respond(_own(preactivations))
        silence = stage.respond(_zeros_like(orphaned))
        is_silent = not np.any(keras.ops.convert_to_numpy(silence))
        departures = responses if is_silent else responses - silence
        departures, norms = _features_first(departures), _norms(preactivations)
        traces.append(_Trace(preactivations, departures, orphaned, norms))
        for following in network.stages[index + 1 : index + 2]:
            preactivations = following.linear(responses) + following.bias
            orphaned = following.linear(silence) + following.bias
    return traces


def _features_first(array: Array) -> Array:
    if isinstance(array, np.ndarray):
        return np.ascontiguousarray(array.T)
    return keras.ops.moveaxis(array, -1, 0)


def _own(array: Array) -> Array:
    """Return what may be changed in place: a copy of a NumPy array; tensors are immutable."""
    return array.copy() if isinstance(array, np.ndarray) else array


def _correct(
    network: Chain,
    images: npt.NDArray[np.float32],
    classes: npt.NDArray[np.integer[Any]],
    groups: Sequence[tuple[_ByStage, Sequence[_ByStage]]],
) -> npt.NDArray[np.bool_]:
    """Say which images of one batch are classified correctly under the lesions of all groups."""
    intact = _run(network, images)
    # Fresh arrays cost more (page faults) than the arithmetic on them: all lesions share these.
    workspace = [
        None if stage.is_convolution else np.empty((len(images), stage.n_units), np.float32)
        for stage in network.stages
    ]
    right = np.empty((sum(len(lesions) for _, lesions in groups), len(images)), dtype=bool)
    free_rows = iter(right)
    for given, lesions in groups:
        if not lesions:
            continue
        traces = _run_given(network, intact, given)

        def judge(
            logits: Array,
            rows: Rows,
            lesion: _ByStage,
            given: _ByStage = given,
            norms: npt.NDArray[np.float32] = traces[-1].norms,
        ) -> npt.NDArray[np.bool_]:
            scores = network.scores(logits)
            best = scores.argmax(axis=-1)
            tied = _tied(np.asarray(logits), norms[rows])
            if not network.keeps_order:
                tied |= _tied(scores, _norms(scores))
            if tied.any():
                both = _union(given, lesion)
                best[tied] = network.outputs(images[rows][tied], both).argmax(axis=-1)
            return np.asarray(best == classes[rows])

        under_given = judge(traces[-1].preactivations, slice(None), {})
        done: dict[tuple[tuple[int, bytes], ...], npt.NDArray[np.bool_]] = {}
        for lesion, row in zip(lesions, free_rows, strict=False):
            # The twins of a complete sub-cluster are all the same, those of a small one often.
            key = tuple((index, units.tobytes()) for index, units in sorted(lesion.items()))
            row[:] = done.get(key, under_given)
            if lesion and key not in done:
                rows, logits = _logits(network, traces, workspace, lesion, given)
                row[rows] = judge(logits, rows, lesion)
            done[key] = row
    return right


def _logits(
    network: Chain,
    traces: list[_Trace],
    workspace: list[npt.NDArray[np.float32] | None],
    lesion: _ByStage,
    given: _ByStage,
) -> tuple[Rows, npt.NDArray[np.float32]]:
    """Return which images a lesion affects, and the outputs' pre-activations for them."""
    last, first = len(network.stages) - 1, min(lesion)
    if first == last:
        return slice(None), np.asarray(silenced(traces[last].preactivations, lesion.get(last)))

    def go_on(preactivations: Array) -> npt.NDArray[np.float32]:
        for index in range(first + 1, last + 1):
            if index > first + 1:
                stage, out = network.stages[index], workspace[index]
                responses = network.stages[index - 1].respond(preactivations)
                out = None if out is None else out[: len(responses)]
                preactivations = stage.linear(responses, out=out)
                preactivations += stage.bias
            preactivations = silenced(preactivations, lesion.get(index))
            preactivations = silenced(preactivations, given.get(index))
        return np.asarray(preactivations)

    is_few = 2 * len(lesion[first]) <= network.stages[first].n_units
    if is_few:
        rows, preactivations = _subtracted(network, traces, workspace, first, lesion)
        if (_norms(preactivations) >= _CANCELLED * traces[first + 1].norms[rows]).all():
            return rows, go_on(preactivations)
    return slice(None), go_on(_added_up(network, traces, workspace, first, lesion[first]))


def _subtracted(
    network: Chain,
    traces: list[_Trace],
    workspace: list[npt.NDArray[np.float32] | None],
    index: int,
    lesion: _ByStage,
) -> tuple[Rows, Array]:
    """Return the affected images and the pre-activations behind a lesion, less what it takes."""
    out = workspace[index + 1]
    features = _features(network, traces, index, lesion[index])
    inputs = _take(traces[index].departures, features)
    rows: Rows = slice(None)
    if len(lesion) == 1 and isinstance(inputs, np.ndarray):
        rows = _active(inputs)
        inputs = inputs[rows]
    contribution = network.stages[index + 1].linear(
        inputs, features, None if out is None else out[: len(inputs)]
    )
    return rows, _subtract(traces[index + 1].preactivations[rows], contribution)


def _added_up(
    network: Chain,
    traces: list[_Trace],
    workspace: list[npt.NDArray[np.float32] | None],
    index: int,
    lesioned: npt.NDArray[np.intp],
) -> Array:
    """Return the pre-activations behind a lesion, added up of what the other units contribute."""
    others = np.setdiff1d(np.arange(network.stages[index].n_units), lesioned)
    following = traces[index + 1]
    if not others.size:
        return _zeros_like(following.preactivations) + following.orphaned
    features = _features(network, traces, index, others)
    inputs = _take(traces[index].departures, features)
    contribution = network.stages[index + 1].linear(inputs, features, workspace[index + 1])
    contribution += following.orphaned
    return contribution


def _features(
    network: Chain, traces: list[_Trace], index: int, units: npt.NDArray[np.intp]
) -> npt.NDArray[np.intp]:
    """Return where units lie in what the next stage takes in.

    Flattening lays the feature maps side by side, position after position.
    """
    n_features = traces[index].departures.shape[0]
    positions = np.arange(0, n_features, network.stages[index].n_units)
    return (positions[:, np.newaxis] + units).ravel()


def _norms(preactivations: Array) -> npt.NDArray[np.float32]:
    """Return the Euclidean norm of each image's values."""
    values = np.asarray(preactivations)
    flat = values.reshape(len(values), math.prod(values.shape[1:]))
    return np.asarray(np.sqrt(np.einsum("ij,ij->i", flat, flat)))


def _tied(scores: npt.NDArray[np.float32], norms: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Return the images whose two best scores are so close that rounding may order them."""
    if scores.shape[-1] == 1:
        return np.zeros(len(scores), bool)
    best = np.partition(scores, -2, axis=-1)[:, -2:]
    return np.asarray(best[:, 1] - best[:, 0] <= _TIED * norms)


def _union(first: _ByStage, second: _ByStage) -> _ByStage:
    return {
        index: np.union1d(first.get(index, ()), second.get(index, ())).astype(np.intp)
        for index in first.keys() | second.keys()
    }


def _active(inputs: npt.NDArray[np.float32]) -> Rows:
    """Return the images for which the lesioned units say anything: a lesion changes no others."""
    active = np.flatnonzero(inputs.any(axis=1))
    return active if len(active) < _WORTH_PICKING * len(inputs) else slice(None)


def _take(departures: Array, features: npt.NDArray[np.intp]) -> Array:
    if isinstance(departures, np.ndarray):
        return departures[features].T
    return keras.ops.moveaxis(keras.ops.take(departures, features, axis=0), 0, -1)


def _subtract(preactivations: Array, contribution: Array) -> Array:
    if isinstance(contribution, np.ndarray):
        return np.subtract(preactivations, contribution, out=contribution)
    return preactivations - contribution


def _zeros_like(array: Array) -> Array:
    return np.zeros_like(array) if isinstance(array, np.ndarray) else keras.ops.zeros_like(array)


def _batch_size(network: Chain, x: npt.NDArray[np.float32]) -> int:
    """Return how many images a core works on at once.

    Few enough for the traces to fit into `_TRACE_BYTES`, for one dense layer's activations to
    stay in a core's cache, and for every core to have some.
    """
    traces = _run(network, x[:1])
    n_values = sum(np.prod(t.preactivations.shape) + np.prod(t.departures.shape) for t in traces)
    share = -(-len(x) // settings.n_cores())
    return int(np.clip(_TRACE_BYTES // (4 * n_values), 1, min(share, _CACHED_IMAGES)))


def _checked(network: Chain, lesion: Lesion) -> _ByStage:
    """Return a lesion by stage, without layers in which nothing is lesioned."""
    by_stage = {}
    for layer, given in lesion.items():
        index = network.index(layer)
        units = np.unique(np.asarray(given))
        n_units = network.stages[index].n_units
        if units.size and not np.issubdtype(units.dtype, np.integer):
            raise ValueError(f"lesions: unit indices of {layer!r} must be integers")
        if units.size and not (units[0] >= 0 and units[-1] < n_units):
            raise ValueError(
                f"lesions: units {units[0]} to {units[-1]} were given for layer {layer!r}, "
                f"which has units 0 to {n_units - 1}"
            )
        if units.size:
            by_stage[index] = units.astype(np.intp)
    return by_stage
