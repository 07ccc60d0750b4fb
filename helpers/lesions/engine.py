"""Which predictions survive a lesion: exact, and fast.

A lesion sets all weights into some units, and their biases, to zero (section 3.2 of the paper), so
their pre-activations are zero: not always their responses, and behind batch normalisation not
even what the next layer takes in. The intact network is run once per batch of images; each lesion
then costs what it changes, see `lesions.propagation`.

Exact means that predictions are those of a network whose weights were set to zero. Where an
image's two best scores are closer than rounding might have moved them, `_TIED` of their norm or
more if a trial says so, the model's own layers are called. The trial compares, for the first
lesion of each kind on the first images, propagated scores with those of the model's own layers.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from helpers import settings
from helpers.backend import keras
from helpers.forward import rules
from helpers.forward.program import Classifier, Inputs, check_intact, read_classifier
from helpers.forward.program import Lesion as BySteps
from helpers.lesions.propagation import Propagation, Rows, Trace, norms
from helpers.validation import check_x_y

Lesion = Mapping[str, Sequence[int] | npt.NDArray[np.integer[Any]]]
"""Units to lesion: layer name to unit indices. The empty mapping is the intact network."""

Group = tuple[Lesion, Sequence[Lesion]]
"""A lesion that is given, and lesions that come on top of it."""

_TRACE_BYTES = 2**27
_CACHED_IMAGES = 1000
_GUARDED = slice(8)
_TIED = 5e-6
_MARGIN = 16


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
        A classifier, see `forward.read`.
    x : array-like, shape (n_images, ...)
        Images, see `validation.check_images`; a list of arrays for a model with several inputs.
    y : array-like, shape (n_images,)
        Their classes, see `validation.check_classes`; 0 and 1 if a sigmoid is the only output.
    lesions : sequence of mapping of str to int array
        Layer name to indices of the units that are lesioned there; ``{}`` lesions nothing. A
        layer that is used several times is lesioned at every use.

    Returns
    -------
    ndarray of bool, shape (n_lesions, n_images)

    Raises
    ------
    ValueError
        If the model cannot be read, see `forward.read`, if a layer or a unit does not exist, or as
        `validation.check_x_y`.
    """
    program, images, classes = _read(model, x, y)
    right = np.empty((len(lesions), len(classes)), dtype=bool)
    for batch, judged in _correct_in_batches(program, images, classes, [({}, lesions)]):
        right[:, batch] = judged
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
    ndarray of int64, shape (n_lesions, n_classes)

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
    list of ndarray of int64, shape (n_lesions, n_classes)
        For each group, what is left by each of its lesions together with the given one.

    Raises
    ------
    ValueError
        As in `correct`.
    """
    program, images, classes = _read(model, x, y)
    sizes = [len(lesions) for _, lesions in groups]
    counts = np.zeros((sum(sizes), program.n_classes), dtype=np.int64)
    for batch, judged in _correct_in_batches(program, images, classes, groups):
        one_hot = np.eye(program.n_classes, dtype=np.float32)[classes[batch]]
        counts += (judged.astype(np.float32) @ one_hot).astype(np.int64)
    ends = np.cumsum(sizes, dtype=int)
    return [counts[end - size : end] for size, end in zip(sizes, ends, strict=True)]


def _read(
    model: keras.Model, x: npt.ArrayLike, y: npt.ArrayLike
) -> tuple[Classifier, Inputs, npt.NDArray[np.int64]]:
    """Return a model as a program that does what the model does, with images and classes."""
    program = read_classifier(model)
    images, classes = check_x_y(model, x, y)
    check_intact(model, program, _rows(images, _GUARDED))
    return program, images, classes


def _correct_in_batches(
    program: Classifier,
    images: Inputs,
    y: npt.NDArray[np.integer[Any]],
    groups: Sequence[Group],
) -> Iterator[tuple[slice, npt.NDArray[np.bool_]]]:
    """Yield batches of images with what is right of them, shape (lesions of all groups, batch).

    Each core works on a batch of its own, with a single-threaded BLAS: NumPy's other operations
    use one core only, and would otherwise leave the others idle.
    """
    by_steps = [
        (checked(program, given), [checked(program, lesion) for lesion in lesions])
        for given, lesions in groups
    ]
    with np.errstate(over="ignore", invalid="ignore"):  # Keras overflows in silence, too.
        rounding = _rounding(program, _rows(images, _GUARDED), by_steps)
        size = _batch_size(program, images)
    judge = _Judge(program, by_steps, rounding)
    batches = [slice(start, start + size) for start in range(0, len(y), size)]

    def judged(batch: slice) -> npt.NDArray[np.bool_]:
        return judge(_rows(images, batch), y[batch])

    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(settings.n_cores()) as executor:
        done = tqdm(
            executor.map(judged, batches),
            "lesions",
            len(batches),
            unit="batch",
            leave=False,
            delay=2,
            disable=None,
        )
        yield from zip(batches, done, strict=True)


@dataclass(frozen=True)
class _Judge:
    """Says which images of a batch are classified correctly under the lesions of all groups."""

    program: Classifier
    groups: list[tuple[BySteps, list[BySteps]]]
    rounding: float

    def __call__(
        self, images: Inputs, classes: npt.NDArray[np.integer[Any]]
    ) -> npt.NDArray[np.bool_]:
        """Return what is right, shape (lesions of all groups, images)."""
        right = np.empty((sum(len(lesions) for _, lesions in self.groups), len(classes)), bool)
        workspace: dict[int, npt.NDArray[np.float32]] = {}
        free_rows = iter(right)
        with np.errstate(over="ignore", invalid="ignore"):
            intact = Trace(self.program, images)
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
        trace = propagation.trace
        scores = rules.in_numpy(trace[self.program.scores])
        sizes = norms(scores)

        def right(
            rows: Rows, scores: npt.NDArray[np.float32], lesion: BySteps
        ) -> npt.NDArray[np.bool_]:
            best, tied = _best(scores, self.rounding * np.maximum(sizes[rows], norms(scores)))
            if tied.any():
                which = np.arange(len(classes))[rows][tied]
                both = _union(trace.given, lesion)
                (outputs,) = self.program.values(_rows(images, which), self.program.outputs, both)
                best[tied], _ = _best(rules.in_numpy(outputs), np.zeros(len(which)))
            return np.asarray(best == classes[rows])

        under_given = right(slice(None), scores, {})
        done: dict[tuple[tuple[int, bytes], ...], npt.NDArray[np.bool_]] = {}
        for lesion, result in zip(lesions, results, strict=True):
            # The twins of a complete sub-cluster are all the same, those of a small one often.
            key = tuple((index, units.tobytes()) for index, units in sorted(lesion.items()))
            result[:] = done.get(key, under_given)
            if lesion and key not in done:
                rows, lesioned = propagation.scores(lesion)
                if lesioned is not None:
                    result[rows] = right(rows, lesioned, lesion)
            done[key] = result


def _rounding(
    program: Classifier, images: Inputs, groups: Sequence[tuple[BySteps, Sequence[BySteps]]]
) -> float:
    """Return how far rounding may move scores, as a share of their norm: measured on a trial."""
    intact, worst = Trace(program, images), _TIED
    tried: set[frozenset[int]] = set()
    for given, lesions in groups:
        for lesion in lesions:
            both = _union(given, lesion)
            if frozenset(both) in tried:
                continue
            tried.add(frozenset(both))
            trace = intact.under(given)
            scores = rules.in_numpy(trace[program.scores]).copy()
            rows, lesioned = Propagation(trace, {}).scores(lesion)
            if lesioned is not None:
                scores[rows] = lesioned
            (expected,) = program.values(images, [program.scores], both)
            expected = rules.in_numpy(expected)
            sizes = np.maximum(norms(expected), norms(intact[program.scores]))
            moved = np.where(scores == expected, 0, np.abs(scores - expected)).max(axis=1)
            noise = np.divide(moved, sizes, out=np.zeros(len(moved)), where=moved != 0)
            # What cannot be compared is left to the model's own layers.
            worst = max(worst, _MARGIN * float(np.nan_to_num(noise, nan=np.inf).max()))
    return worst


def _best(
    scores: npt.NDArray[Any], bound: npt.NDArray[Any]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
    """Return each image's class, and whether another is within a bound of it.

    A single score is the probability of class 1, and class 1 from there on where it is above one
    half.
    """
    if scores.shape[1] == 1:
        excess = scores[:, 0] - np.float32(0.5)
        return (excess > 0).astype(np.intp), ~(np.abs(excess) > bound)
    best = np.partition(scores, -2, axis=1)[:, -2:]
    return scores.argmax(axis=1), ~(best[:, 1] - best[:, 0] > bound)


def _union(first: BySteps, second: BySteps) -> BySteps:
    return {
        index: np.union1d(first.get(index, ()), second.get(index, ())).astype(np.intp)
        for index in first.keys() | second.keys()
    }


def _rows(images: Inputs, rows: Any) -> Inputs:
    return tuple(each[rows] for each in images)


def _batch_size(program: Classifier, images: Inputs) -> int:
    """Return how many images a core works on at once.

    Few enough for what lesions start from to fit into `_TRACE_BYTES`, for one dense layer's
    activations to stay in a core's cache, and for every core to have some.
    """
    n_values = Trace(program, _rows(images, slice(1))).n_values
    share = -(-len(images[0]) // settings.n_cores())
    return int(np.clip(_TRACE_BYTES // (4 * n_values), 1, min(share, _CACHED_IMAGES)))


def checked(program: Classifier, lesion: Lesion) -> BySteps:
    """Return a lesion by step, without layers in which nothing is lesioned.

    Raises
    ------
    ValueError
        If a layer or a unit does not exist; names it.
    """
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
            by_step |= {site: units.astype(np.intp) for site in sites}
    return by_step
