"""Which predictions survive a lesion: exact, and fast.

A lesion sets all weights into some units, and their biases, to zero (section 3.2 of the paper).
Only what follows these units changes. So the intact network is run once per batch of images,
keeping every stage's pre-activations and responses, and a lesion then costs

* the correction of the next stage's pre-activations by what the lesioned units no longer add
  (or, if they are more than half of the layer, by what the others still add);
* the stages after that, in full.

A lesioned unit's pre-activation is zero, but its response need not be: behind batch
normalisation it is a constant, which is propagated.

Lesions on top of a given one are treated alike: what the given one changes is computed once, and
each lesion starts from there.
"""

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
from helpers.forward import Array, Chain, chain
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
        If the model is no chain, if a layer or a unit does not exist, or as
        `validation.check_x_y`.
    """
    network = chain(model)
    x, y = check_x_y(model, x, y)
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
    network = chain(model)
    x, y = check_x_y(model, x, y)
    n_outputs = network.stages[-1].n_units
    sizes = [len(lesions) for _, lesions in groups]
    counts = np.zeros((sum(sizes), n_outputs), dtype=np.int64)
    for images, batch in _correct_in_batches(network, x, y, groups):
        one_hot = np.eye(n_outputs, dtype=np.float32)[y[images]]
        counts += (batch.astype(np.float32) @ one_hot).astype(np.int64)
    ends = np.cumsum(sizes, dtype=int)
    return [counts[end - size : end] for size, end in zip(sizes, ends, strict=True)]


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
    """

    preactivations: Array
    departures: Array
    orphaned: Array


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
        preactivations = _silenced(preactivations, given.get(index))
        responses = stage.respond(_own(preactivations))
        silence = stage.respond(orphaned * 0)
        is_silent = not np.any(keras.ops.convert_to_numpy(silence))
        departures = responses if is_silent else responses - silence
        traces.append(_Trace(preactivations, _features_first(departures), orphaned))
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
        under_given = np.asarray(traces[-1].preactivations).argmax(axis=-1) == classes
        done: dict[tuple[tuple[int, bytes], ...], npt.NDArray[np.bool_]] = {}
        for lesion, row in zip(lesions, free_rows, strict=False):
            # The twins of a complete sub-cluster are all the same, those of a small one often.
            key = tuple((index, units.tobytes()) for index, units in sorted(lesion.items()))
            row[:] = done.get(key, under_given)
            if lesion and key not in done:
                rows, logits = _logits(network, traces, workspace, lesion, given)
                row[rows] = logits.argmax(axis=-1) == classes[rows]
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
    last = len(network.stages) - 1
    first = min(lesion)
    if first == last:
        return slice(None), np.asarray(_silenced(traces[last].preactivations, lesion.get(last)))
    rows, preactivations = _without(network, traces, workspace, first, lesion)
    for index in range(first + 1, last + 1):
        if index > first + 1:
            stage, out = network.stages[index], workspace[index]
            responses = network.stages[index - 1].respond(preactivations)
            out = None if out is None else out[: len(responses)]
            preactivations = stage.linear(responses, out=out)
            preactivations += stage.bias
        preactivations = _silenced(preactivations, lesion.get(index))
        preactivations = _silenced(preactivations, given.get(index))
    return rows, np.asarray(preactivations)


def _without(
    network: Chain,
    traces: list[_Trace],
    workspace: list[npt.NDArray[np.float32] | None],
    index: int,
    lesion: _ByStage,
) -> tuple[Rows, Array]:
    """Return the affected images and their pre-activations behind the first lesioned stage."""
    units, out = lesion[index], workspace[index + 1]
    departures, following = traces[index].departures, traces[index + 1]
    n_units = network.stages[index].n_units
    few = 2 * len(units) <= n_units
    chosen = units if few else np.setdiff1d(np.arange(n_units), units)
    if not chosen.size:
        return slice(None), following.preactivations * 0 + following.orphaned
    # Flattening lays the feature maps side by side, position after position.
    positions = np.arange(0, departures.shape[0], n_units)
    features = (positions[:, np.newaxis] + chosen).ravel()
    inputs = _take(departures, features)
    rows: Rows = slice(None)
    if few and len(lesion) == 1 and isinstance(inputs, np.ndarray):
        rows = _active(inputs)
        inputs = inputs[rows]
    contribution = network.stages[index + 1].linear(
        inputs, features, None if out is None else out[: len(inputs)]
    )
    if few:
        return rows, _subtract(following.preactivations[rows], contribution)
    contribution += following.orphaned
    return rows, contribution


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


def _silenced(preactivations: Array, units: npt.NDArray[np.intp] | None) -> Array:
    """Return pre-activations with those of the lesioned units, if any, set to zero."""
    if units is None:
        return preactivations
    alive = np.ones(preactivations.shape[-1], dtype=np.float32)
    alive[units] = 0
    return preactivations * alive


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
