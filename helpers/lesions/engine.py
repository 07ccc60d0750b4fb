"""Which predictions survive a lesion: exact, and fast.

A lesion sets all weights into some units, and their biases, to zero (section 3.2 of the paper), so
their pre-activations are zero: not always their responses, and behind batch normalisation not
even what the next layer takes in. The intact network is run once per batch of images; each lesion
then costs what it changes, see `lesions.propagation`.

Exact means that predictions are those of a network whose weights were set to zero. Where an
image's two best scores are closer than rounding might have moved them, `_TIED` of their norm or
more if a trial says so, the model's own layers are called. The trial compares, for a few lesions
of each kind on a few images, propagated scores, and those of graphs where lesions are compiled,
with those of the model's own layers. Where a few channels outweigh all others each lesion is a kind
of its own.
"""

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from itertools import islice, product
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from helpers import settings
from helpers.backend import ON_PROCESSOR, keras
from helpers.forward import rules
from helpers.forward.program import (
    Classifier,
    Inputs,
    check_apart,
    check_copy,
    check_intact,
    read_classifier,
)
from helpers.forward.program import Lesion as BySteps
from helpers.lesions import elsewhere
from helpers.lesions.compiled import Graphs, Kind
from helpers.lesions.own_layers import OwnLayers
from helpers.lesions.propagation import Propagation, Rows, Trace, norms
from helpers.validation import check_number, check_x_y, n_classes_of

Lesion = Mapping[str, Sequence[int] | npt.NDArray[np.integer[Any]]]
"""Units to lesion: layer name to unit indices. The empty mapping is the intact network."""

Group = tuple[Lesion, Sequence[Lesion]]
"""A lesion that is given, and lesions that come on top of it."""

_Groups = list[tuple[BySteps, list[BySteps]]]

_TRACE_BYTES = 2**28 if ON_PROCESSOR else 2**33
_MOST_IMAGES = 2500
_FEWEST_LESIONS, _SHARES = 16, 4
"""Of a share: for each the intact network is run anew. And shares for each core: some take long."""
_GUARDED = slice(8)
_N_TRIED, _MOST_TRIED = 4, 32
"""Lesions of each kind on trial, and how many more at most while none has moved any score."""
_TIED = 5e-6
_MARGIN = 16
_SOFTMAX_TIES = 1e-6
_PLAIN = (bool, int, float, str, np.generic)


def correct(
    model: keras.Model,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    lesions: Sequence[Lesion],
    executor: Executor | None = None,
    batch_size: int | None = None,
) -> npt.NDArray[np.bool_]:
    """Say which images are classified correctly under each lesion.

    Parameters
    ----------
    model : keras.Model
        A classifier, see `forward.read`.
    x : array-like, shape (n_images, ...)
        Images, see `validation.check_images`; a list of arrays for a model with several inputs.
    y : array-like, shape (n_images,)
        Their classes, see `validation.check_classes`; 0 and 1 if a sigmoid is the only output.
    lesions : sequence of mapping of str to int array
        Layer name to indices of the units that are lesioned there; ``{}`` lesions nothing. A
        layer that is used several times is lesioned at every use. A lesioned unit adds up to zero
        whatever it takes in; weights of zero would make NaN of what is not finite.
    executor : concurrent.futures.Executor, optional
        Where batches of images are worked on, see `lesions.elsewhere`; by default a thread for
        each core. Results do not depend on it.
    batch_size : int, optional
        Images that are worked on at once; by default as many as bound the memory. Only in low
        precision do results depend on it, as those of the model itself do.

    Returns
    -------
    ndarray of bool, shape (n_lesions, n_images)
        An output of NaN is no class, and wrong.

    Raises
    ------
    ValueError
        If the model cannot be read, see `forward.read`, if a layer or a unit does not exist, or as
        `validation.check_x_y`.

    Examples
    --------
    >>> from helpers import lesions, zoo
    >>> net = zoo.trained("digits-mlp")
    >>> x, y = net.dataset.x_test[:100], net.dataset.y_test[:100]
    >>> asked = [{}, {"dense_1": [0, 1]}, {"dense_1": range(256)}]
    >>> right = lesions.correct(net.model, x, y, asked)
    >>> right.shape
    (3, 100)
    >>> bool(right[0].mean() > 0.9), bool(right[2].mean() < 0.3)
    (True, True)
    """
    batches = _judged(model, x, y, [({}, lesions)], executor, batch_size)
    return np.concatenate([judged for _, judged in batches], axis=1)


def correct_counts(
    model: keras.Model,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    lesions: Sequence[Lesion],
    executor: Executor | None = None,
    batch_size: int | None = None,
) -> npt.NDArray[np.int64]:
    """Count the images of each class that are classified correctly under each lesion.

    Parameters
    ----------
    model, x, y, lesions, executor, batch_size
        As in `correct`.

    Returns
    -------
    ndarray of int64, shape (n_lesions, n_classes)

    Raises
    ------
    ValueError
        As in `correct`.

    Examples
    --------
    >>> from helpers import lesions, zoo
    >>> net = zoo.trained("digits-mlp")
    >>> x, y = net.dataset.x_test[:100], net.dataset.y_test[:100]
    >>> counts = lesions.correct_counts(net.model, x, y, [{}, {"dense_1": [0, 1]}])
    >>> counts.shape
    (2, 10)
    >>> bool(counts[0].sum() == lesions.correct(net.model, x, y, [{}]).sum())
    True
    """
    return correct_counts_given(model, x, y, [({}, lesions)], executor, batch_size)[0]


def correct_counts_given(
    model: keras.Model,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    groups: Sequence[Group],
    executor: Executor | None = None,
    batch_size: int | None = None,
) -> list[npt.NDArray[np.int64]]:
    """Count the images of each class that are classified correctly under two lesions at once.

    Parameters
    ----------
    model, x, y, executor, batch_size
        As in `correct`.
    groups : sequence of (mapping, sequence of mapping)
        A lesion that is given, and lesions that come on top of it. The less the latter leave to
        do, the faster: let the given one be that of the earlier layer.

    Returns
    -------
    list of ndarray of int64, shape (n_lesions, n_classes)
        For each group, what is left by each of its lesions together with the given one.

    Raises
    ------
    ValueError
        As in `correct`.
    """
    sizes = [len(lesions) for _, lesions in groups]
    n_classes = n_classes_of(model)
    counts = np.zeros((sum(sizes), n_classes), dtype=np.int64)
    for classes, judged in _judged(model, x, y, groups, executor, batch_size):
        one_hot = np.equal.outer(classes, np.arange(n_classes)).astype(np.float32)
        counts += (judged.astype(np.float32) @ one_hot).astype(np.int64)
    ends = np.cumsum(sizes, dtype=int)
    return [counts[end - size : end] for size, end in zip(sizes, ends, strict=True)]


_Key = tuple[tuple[int, bytes], ...]
"""A lesion by steps, as what it is known by."""

_Kind = tuple[int, frozenset[int], Kind | None, _Key]
"""Of a trial: a checksum of its images, the steps that are lesioned, the graph, if any, and the
lesion itself where others of these steps may be rounded otherwise."""


@dataclass(frozen=True)
class Prepared:
    """A program, with its graphs and its model's own layers, which learn as they are used."""

    program: Classifier
    graphs: Graphs
    own_layers: OwnLayers

    @classmethod
    def of(cls, program: Classifier) -> "Prepared":
        """Return a program that nothing is known of yet."""
        return cls(program, Graphs(program), OwnLayers(program))


@dataclass(frozen=True)
class _Known:
    """A model that was lesioned lately: what it is known by, and what a call need not do again."""

    checksum: int
    marks: list[Any]
    prepared: Prepared
    noises: dict[_Kind, float] = field(default_factory=dict)
    uneven: dict[int, bool] = field(default_factory=dict)
    compared: set[int] = field(default_factory=set)
    archives: list[bytes] = field(default_factory=list)


_KNOWN: "WeakKeyDictionary[keras.Model, _Known]" = WeakKeyDictionary()


def _read(
    model: keras.Model, x: npt.ArrayLike, y: npt.ArrayLike
) -> tuple[_Known, Inputs, npt.NDArray[np.int64]]:
    """Return a model as a program that does what the model does, with images and classes."""
    program = read_classifier(model)
    images, classes = check_x_y(model, x, y)
    first = _rows(images, _GUARDED)
    check_apart(model, program, first, check_intact(model, program, first))
    checksum, marks = 0, _marks(program)
    for each in model.weights:
        checksum = zlib.crc32(rules.in_numpy(each).tobytes(), checksum)
    known = _KNOWN.get(model)
    if known is None or known.checksum != checksum or not _are_same(known.marks, marks):
        known = _KNOWN[model] = _Known(checksum, marks, Prepared.of(program))
    _compare_all(model, known, images)
    return known, images, classes


def _compare_all(model: keras.Model, known: _Known, images: Inputs) -> None:
    """Compare what a program makes of all images with what its model does, once for the same ones.

    The first few do not show what only others bring about, such as a mask. Files of images are
    read batch by batch, and the first few must do.
    """
    if not all(isinstance(each, np.ndarray) for each in images):
        return
    checksum = _checksum(images)
    if checksum not in known.compared:
        program = known.prepared.program
        size = _batch_size(len(images[0]), _most_images(program, images))
        for batch in _batches(images, size):
            check_intact(model, program, _rows(images, batch))
        known.compared.add(checksum)


def _checksum(images: Inputs) -> int:
    checksum = 0
    for each in images:
        checksum = zlib.crc32(np.ascontiguousarray(each).data, checksum)
    return checksum


def _marks(program: Classifier) -> list[Any]:
    """Return what a program's results depend on besides weights: what a user may have changed."""
    marks: list[Any] = []
    for step in program.steps:
        marks += [step.operation, type(step.rule), *step.inputs]
        marks += _attributes(step.operation, set())
        marks += _attributes(step.others, set())
    return marks


def _attributes(value: Any, seen: set[int]) -> Iterator[Any]:
    """Yield all attributes of a layer, and of layers within it."""
    if isinstance(value, keras.Operation) and id(value) not in seen:
        seen.add(id(value))
        for name, each in sorted(vars(value).items()):
            yield name
            yield from _attributes(each, seen)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _attributes(each, seen)
    elif isinstance(value, np.ndarray) and value.dtype != object:
        # Which may be changed in place.
        yield from (str(value.dtype), *value.shape, zlib.crc32(np.ascontiguousarray(value).data))
    else:
        yield value


def _are_same(known: list[Any], marks: list[Any]) -> bool:
    """Whether attributes are the same objects, or equal numbers and strings."""
    return len(known) == len(marks) and all(
        one is other or (isinstance(one, _PLAIN) and type(one) is type(other) and one == other)
        for one, other in zip(known, marks, strict=True)
    )


def _judged(
    model: keras.Model,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    groups: Sequence[Group],
    executor: Executor | None,
    batch_size: int | None,
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]]:
    """Yield batches: their classes, and what is right, shape (lesions of all groups, batch)."""
    if batch_size is not None:
        check_number("batch_size", batch_size)
    elsewhere.check_executor(executor)
    known, images, classes = _read(model, x, y)
    program = known.prepared.program
    by_steps = [
        (checked(program, given), [checked(program, lesion) for lesion in lesions])
        for given, lesions in groups
    ]
    division = Division.of(program, images, by_steps, batch_size)
    known.prepared.graphs.expect(_alone(by_steps), len(division.batches))
    with np.errstate(over="ignore", invalid="ignore"):  # Keras overflows in silence, too.
        rounding = _rounding(known, _rows(images, _spread(len(classes))), by_steps)
    if executor is None or isinstance(executor, ThreadPoolExecutor):
        yield from in_threads(known.prepared, images, classes, division, rounding, executor)
        return
    if not known.archives:
        check = partial(check_copy, model, images=_rows(images, _spread(len(classes))))
        known.archives.append(elsewhere.archived(model, check))
    with elsewhere.sent(executor, known.archives[0]) as (key, source):
        arguments = (
            (key, source, share, rounding, _rows(images, batch), classes[batch])
            for batch, share in division
        )
        results = elsewhere.in_order(executor, _judged_elsewhere, arguments)
        yield from division.put_together(results, classes)


def _judged_elsewhere(
    key: str,
    source: Any,
    groups: _Groups,
    rounding: float,
    images: Inputs,
    classes: npt.NDArray[np.int64],
) -> npt.NDArray[np.bool_]:
    """Return what is right of a batch of images, at a worker."""

    def prepare(model: keras.Model) -> tuple[keras.Model, Prepared]:
        return model, Prepared.of(read_classifier(model))

    _, prepared = elsewhere.loaded(key, source, prepare)
    prepared.graphs.expect(_alone(groups), 1)
    with threadpool_limits(1, user_api="blas"):
        return _Judge(prepared, groups, rounding)(images, classes)


@dataclass(frozen=True)
class Division:
    """What a core works on at a time: a batch of images under a share of the lesions.

    Lesions are shared out where images are few, as an operation takes its time however few of them
    it is for. Each core then keeps what lesions start from of all images of a batch, which is
    bounded. Where there are many images, or hardly any lesions, images are shared out.
    """

    batches: list[slice]
    shares: list[_Groups]

    @classmethod
    def of(
        cls, program: Classifier, images: Inputs, groups: _Groups, batch_size: int | None = None
    ) -> "Division":
        """Divide work among cores, with batches of a given size or of one that suits them."""
        n_lesions = sum(len(lesions) for _, lesions in groups)
        n_cores = settings.n_cores() if ON_PROCESSOR else 1  # An accelerator takes all it can get.
        n_images, most = len(images[0]), _most_images(program, images)
        are_few = n_cores * (batch_size or n_images) <= most
        can_be_shared = are_few and n_lesions >= _FEWEST_LESIONS * n_cores
        n_least = 1 if can_be_shared else n_cores
        batches = _batches(images, batch_size or _batch_size(n_images, most, n_least))
        n_shares = 1
        if can_be_shared and len(batches) < n_cores:
            n_shares = min(_SHARES * n_cores // len(batches), n_lesions // _FEWEST_LESIONS)
        return cls(batches, list(_shared_out(groups, -(-n_lesions // n_shares))))

    def __iter__(self) -> Iterator[tuple[slice, _Groups]]:
        """Yield what there is to do."""
        return product(self.batches, self.shares)

    def put_together(
        self, results: Iterable[npt.NDArray[np.bool_]], classes: npt.NDArray[np.int64]
    ) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]]:
        """Yield classes of batches of images, and what is right under all lesions."""
        shown = _shown(results, len(self.batches) * len(self.shares))
        for batch in self.batches:
            yield classes[batch], np.concatenate(list(islice(shown, len(self.shares))))


def _shared_out(groups: _Groups, n_each: int) -> Iterator[_Groups]:
    """Yield shares of so many lesions, one after the other."""
    share: _Groups = []
    left = n_each
    for given, lesions in groups:
        start = 0
        while len(lesions) - start > left:
            yield [*share, (given, lesions[start : start + left])]
            start, share, left = start + left, [], n_each
        share.append((given, lesions[start:]))
        left -= len(lesions) - start
    yield share


def in_threads(
    prepared: Prepared,
    images: Inputs,
    classes: npt.NDArray[np.int64],
    division: Division,
    rounding: float,
    executor: ThreadPoolExecutor | None = None,
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]]:
    """Yield classes of batches of images, and what is right under lesions by steps.

    Each core has a single-threaded BLAS: NumPy's other operations use one core only, and would
    otherwise leave the others idle.
    """

    def judged(task: tuple[slice, _Groups]) -> npt.NDArray[np.bool_]:
        batch, share = task
        return _Judge(prepared, share, rounding)(_rows(images, batch), classes[batch])

    with ExitStack() as stack:
        stack.enter_context(threadpool_limits(1, user_api="blas"))
        threads = executor or stack.enter_context(ThreadPoolExecutor(settings.n_cores()))
        yield from division.put_together(threads.map(judged, division), classes)


def _alone(groups: _Groups) -> Iterator[BySteps]:
    """Yield the lesions that do not come on top of a given one."""
    return (lesion for given, lesions in groups if not given for lesion in lesions)


def _shown(results: Iterable[Any], n: int) -> Iterator[Any]:
    """Show how far a long computation is, where someone sits at a terminal."""
    return iter(tqdm(results, "lesions", n, unit="share", leave=False, delay=2, disable=None))


_NO_CLASS = -1


@dataclass(frozen=True)
class _Judge:
    """Says which images of a batch are classified correctly under the lesions of all groups."""

    prepared: Prepared
    groups: _Groups
    rounding: float

    def __call__(
        self, images: Inputs, classes: npt.NDArray[np.integer[Any]]
    ) -> npt.NDArray[np.bool_]:
        """Return what is right, shape (lesions of all groups, images)."""
        right = np.empty((sum(len(lesions) for _, lesions in self.groups), len(classes)), bool)
        workspace: dict[int, npt.NDArray[np.float32]] = {}
        free_rows = iter(right)
        with np.errstate(over="ignore", invalid="ignore"):
            intact = Trace(self.prepared.program, images)
            for given, lesions in self.groups:
                if lesions:
                    propagation = Propagation(intact.under(given), workspace)
                    rows = islice(free_rows, len(lesions))
                    self._judge(propagation, images, classes, lesions, rows)
        return right

    def _judge(
        self,
        propagation: Propagation,
        images: Inputs,
        classes: npt.NDArray[np.integer[Any]],
        lesions: list[BySteps],
        results: Iterator[npt.NDArray[np.bool_]],
    ) -> None:
        """Write what is right under each lesion on top of a given one."""
        trace, program = propagation.trace, self.prepared.program
        scores = rules.in_numpy(trace[program.scores])
        sizes = _sizes(scores)
        middle = 0.5 if program.scores in program.outputs else 0.0

        def right(
            rows: Rows, scores: npt.NDArray[np.float32], lesion: BySteps
        ) -> npt.NDArray[np.bool_]:
            bound = self.rounding * np.maximum(sizes[rows], _sizes(scores))
            if program.scores not in program.outputs:
                bound = np.maximum(bound, _SOFTMAX_TIES)  # Closer ones the softmax may make equal.
            best, tied = _best(scores, bound, middle)
            if tied.any():
                which = np.arange(len(classes))[rows][tied]
                lesioned = _union(trace.given, lesion)
                outputs = self.prepared.own_layers.outputs(images, which, lesioned)
                classes_of, _ = _best(outputs, np.zeros(len(which)))
                best[tied] = np.where(np.isnan(outputs).any(axis=1), _NO_CLASS, classes_of)
            return np.asarray(best == classes[rows])

        under_given = right(slice(None), scores, {})
        done: dict[_Key, npt.NDArray[np.bool_]] = {}
        for lesion, result in zip(lesions, results, strict=True):
            # The twins of a complete sub-cluster are all the same, those of a small one often.
            key = _key(lesion)
            result[:] = done.get(key, under_given)
            if lesion and key not in done:
                rows: Rows = slice(None)
                lesioned = self.prepared.graphs.scores(trace, lesion)
                if lesioned is None:
                    rows, lesioned = propagation.scores(lesion)
                if lesioned is not None:
                    result[rows] = right(rows, lesioned, lesion)
            done[key] = result


def _rounding(
    known: _Known, images: Inputs, groups: Sequence[tuple[BySteps, Sequence[BySteps]]]
) -> float:
    """Return how far rounding may move scores, as a share of their norm: measured on a trial.

    What was measured on the same images in an earlier call is not measured again, unless nothing
    moved then: lesions of dead units tell nothing of others.
    """
    worst, intact = _TIED, None
    checksum = _checksum(images)
    if checksum not in known.uneven:
        intact = Trace(known.prepared.program, images)
        known.uneven[checksum] = bool(intact.uneven)
    by_kind: dict[_Kind, list[tuple[BySteps, BySteps]]] = {}
    for given, lesions in groups:
        for lesion in lesions:
            has_graph = not given and known.prepared.graphs.are_for(lesion)
            sites = frozenset(given.keys() | lesion.keys())
            graph = known.prepared.graphs.kind(lesion) if has_graph else None
            own = _key(_union(given, lesion)) if known.uneven[checksum] else ()
            by_kind.setdefault((checksum, sites, graph, own), []).append((given, lesion))
    reference = _Reference(known.prepared.program, images)
    # In the order of what is lesioned first: the reference goes on from there.
    for kind, both in sorted(by_kind.items(), key=lambda each: min(each[0][1], default=0)):
        if kind not in known.noises:
            intact = intact or Trace(known.prepared.program, images)
            noise, has_moved = _noise_of_some(known, reference, intact, both)
            worst = max(worst, _MARGIN * noise)
            if has_moved:
                known.noises[kind] = noise
        worst = max(worst, _MARGIN * known.noises.get(kind, 0.0))
    return worst


class _Reference:
    """Scores under lesions by the model's own layers, run anew from the first lesioned one on."""

    def __init__(self, program: Classifier, images: Inputs) -> None:
        self._program, self._images = program, dict(zip(program.inputs, images, strict=True))
        self._first, self._before = 0, self._images

    def scores(self, lesion: BySteps) -> npt.NDArray[np.float32]:
        """Return scores under a lesion."""
        first = min(lesion, default=0)
        if first < self._first:
            self._first, self._before = 0, self._images
        if first > self._first:
            before = sorted(self._program.before(first))
            values = self._program.values_from(self._before, before)
            self._first, self._before = first, dict(zip(before, values, strict=True))
        (scores,) = self._program.values_from(self._before, [self._program.scores], lesion)
        return rules.in_numpy(scores)


def _noise_of_some(
    known: _Known, reference: _Reference, intact: Trace, both: Sequence[tuple[BySteps, BySteps]]
) -> tuple[float, bool]:
    """Return how far rounding moves scores under lesions of a kind, and whether any moved them.

    The largest lesion is among those on trial, and smaller ones.
    """
    by_size = sorted(
        both, key=lambda pair: -sum(len(units) for each in pair for units in each.values())
    )
    some = np.unique(np.linspace(0, len(by_size) - 1, _N_TRIED).astype(int))
    others = np.setdiff1d(np.arange(len(by_size)), some)
    worst, has_moved = 0.0, False
    for n_tried, which in enumerate([*some, *others]):
        if n_tried >= len(some) and (has_moved or n_tried >= _MOST_TRIED):
            break
        noise, moves = _noise(known, reference, intact, *by_size[which])
        worst, has_moved = max(worst, noise), has_moved or moves
    return worst, has_moved


def _noise(
    known: _Known, reference: _Reference, intact: Trace, given: BySteps, lesion: BySteps
) -> tuple[float, bool]:
    """Return how far rounding moves scores, as a share of their norm, and if the lesion does."""
    expected, worst = reference.scores(_union(given, lesion)), 0.0
    before = rules.in_numpy(intact[known.prepared.program.scores])
    sizes = np.maximum(_sizes(expected), _sizes(before))
    for scores in _computed(intact.under(given), known.prepared.graphs, lesion):
        moved = np.where(scores == expected, 0, np.abs(scores - expected)).max(axis=1)
        noise = np.divide(moved, sizes, out=np.zeros(len(moved)), where=moved != 0)
        # What cannot be compared is left to the model's own layers.
        worst = max(worst, float(np.nan_to_num(noise, nan=np.inf).max()))
    return worst, bool((expected != before).any())


def _computed(trace: Trace, graphs: Graphs, lesion: BySteps) -> Iterator[npt.NDArray[np.float32]]:
    """Yield scores under a lesion in each way that they may be computed."""
    scores = rules.in_numpy(trace[trace.program.scores]).copy()
    rows, propagated = Propagation(trace, {}).scores(lesion)
    if propagated is not None:
        scores[rows] = propagated
    yield scores
    of_graph = graphs.scores(trace, lesion)
    if of_graph is not None:
        yield of_graph


def _sizes(scores: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return what rounding of each image's scores is a share of: their norm.

    A single score may be what is left of large numbers that all but cancel. There it is the
    largest of all images.
    """
    if scores.shape[1] == 1:
        return np.full(len(scores), np.abs(scores).max(initial=0), np.float32)
    return norms(scores)


def _spread(n_images: int) -> slice:
    """Return a few images from all over: the first ones may be blank, or all of a class."""
    n = _GUARDED.stop
    step = max(n_images // n, 1)
    return slice(0, n * step, step)


def _best(
    scores: npt.NDArray[Any], bound: npt.NDArray[Any], middle: float = 0.5
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
    """Return each image's class, and whether another is within a bound of it.

    A single score is that of class 1, which it is where it is above the middle: one half of
    probabilities, zero of what the sigmoid takes in.
    """
    if scores.shape[1] == 1:
        excess = scores[:, 0] - np.float32(middle)
        return (excess > 0).astype(np.intp), ~(np.abs(excess) > bound)
    best = np.partition(scores, -2, axis=1)[:, -2:]
    return scores.argmax(axis=1), ~(best[:, 1] - best[:, 0] > bound)


def _union(first: BySteps, second: BySteps) -> dict[int, npt.NDArray[np.intp]]:
    return {
        index: np.union1d(first.get(index, ()), second.get(index, ())).astype(np.intp)
        for index in first.keys() | second.keys()
    }


def _key(lesion: BySteps) -> _Key:
    return tuple((index, units.tobytes()) for index, units in sorted(lesion.items()))


def _rows(images: Inputs, rows: Any) -> Inputs:
    return tuple(each[rows] for each in images)


def _batches(images: Inputs, size: int) -> list[slice]:
    """Return where batches of images of a size lie."""
    return [slice(start, start + size) for start in range(0, len(images[0]), size)]


def _most_images(program: Classifier, images: Inputs) -> int:
    """Return how many images may be worked on at once.

    So few that what lesions start from fits into `_TRACE_BYTES`, and a few dense layers'
    activations into the cache.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        n_values = Trace(program, _rows(images, slice(1))).n_values
    return int(np.clip(_TRACE_BYTES // (4 * n_values), 1, _MOST_IMAGES))


def _batch_size(n_images: int, most: int, n_least: int = 1) -> int:
    """Return the size of at least so many batches, about the same for all: not more than most."""
    return -(-n_images // max(-(-n_images // most), n_least))


def checked(program: Classifier, lesion: Lesion) -> BySteps:
    """Return a lesion by step, without layers in which nothing is lesioned.

    Raises
    ------
    ValueError
        If a lesion is no mapping, or a layer or a unit does not exist; names it.
    """
    if not isinstance(lesion, Mapping):
        raise ValueError(
            f"lesions: {lesion!r} was given; accepted is a sequence of mappings, from names of "
            "layers to units"
        )
    by_step: dict[int, npt.NDArray[np.intp]] = {}
    for layer, given in lesion.items():
        sites = program.sites(layer)
        units = np.unique(np.asarray(given))
        n_units = program.steps[sites[0]].n_units
        if units.size and not np.issubdtype(units.dtype, np.integer):
            raise ValueError(f"lesions: unit indices of {layer!r} must be integers")
        if units.size and not (units[0] >= 0 and units[-1] < n_units):
            raise ValueError(
                f"lesions: units {units[0]} to {units[-1]} were given for layer {layer!r}, "
                f"which has units 0 to {n_units - 1}"
            )
        if units.size:
            # A layer may be named twice, once by each model that it is a part of.
            by_step = _union(by_step, dict.fromkeys(sites, units.astype(np.intp)))
    return by_step
