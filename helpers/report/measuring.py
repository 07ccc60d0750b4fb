"""Lesions of a partition's parts and of their permuted twins, within a budget of time."""

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from helpers.partitions import Partition, SubCluster
from helpers.report.subject import Subject

MIN_PERMUTATIONS = 19
"""The smallest p value is then .05."""

_CALL_SECONDS = 2.0
_TRIAL_SECONDS = 0.5
_CHUNK_VALUES = 10**8
"""Predictions that are kept at a time, a byte each."""


@dataclass(frozen=True, eq=False)
class Measured:
    """What lesions did: to each image where the parts are the true ones, counted where permuted.

    Attributes
    ----------
    partition : Partition
        Of hidden layers; its S sub-clusters are the parts.
    classes : ndarray of int, shape (n_images,)
        Of the images.
    n_classes : int
        How many there are.
    intact : ndarray of bool, shape (n_images,)
        Which images the intact network gets right.
    true : ndarray of bool, shape (S, n_images)
        The same under the lesion of each part.
    permuted : ndarray of int, shape (B, S, n_classes)
        How many of each class are right under the lesions of parts of B partitions whose labels
        were permuted within layers. A complete part does not change and is not lesioned again.
    permuted_right : ndarray of int, shape (S, n_images)
        In how many of the B partitions each image is right.
    """

    partition: Partition
    classes: npt.NDArray[np.int64]
    n_classes: int
    intact: npt.NDArray[np.bool_]
    true: npt.NDArray[np.bool_]
    permuted: npt.NDArray[np.int32]
    permuted_right: npt.NDArray[np.int32]

    @property
    def parts(self) -> tuple[SubCluster, ...]:
        """The partition's sub-clusters, layer by layer."""
        return tuple(self.partition.subclusters())

    @property
    def is_complete(self) -> npt.NDArray[np.bool_]:
        """Whether each part is all live units of its layer, shape (S,)."""
        return np.array([self.partition.is_complete(each) for each in self.parts], dtype=bool)

    @property
    def class_sizes(self) -> npt.NDArray[np.int64]:
        """Images of each class, shape (n_classes,)."""
        return np.bincount(self.classes, minlength=self.n_classes)

    @property
    def n_permutations(self) -> int:
        """Permuted partitions, B."""
        return len(self.permuted)


def measure(
    subject: Subject,
    partition: Partition,
    n_permutations: int,
    seed: int,
    budget: float | None = None,
    progress: bool = False,
) -> Measured:
    """Lesion all parts of a partition, and those of its permutations.

    Parameters
    ----------
    subject : Subject
        What is lesioned.
    partition : Partition
        Of its hidden layers.
    n_permutations : int
        Permuted partitions; as many as fit if there is a budget, at least 19.
    seed : int
        Of the permutations: with the same seed, fewer of them are the first of more.
    budget : float, optional
        Seconds.
    progress : bool
        Whether to say on stderr how many lesions there are and how long they take.

    Returns
    -------
    Measured
    """
    began = time.monotonic()
    teller = _Teller(progress)
    parts = partition.subclusters()
    changing = np.array([not partition.is_complete(each) for each in parts], dtype=bool)
    n_changing, n_images = int(changing.sum()), len(subject.classes)
    n_lesions = 1 + len(parts) + n_changing * n_permutations
    teller.say(
        f"{len(parts)} parts, {n_changing} of them testable, and {n_permutations:,} permutations: "
        f"{n_lesions:,} lesions on {n_images:,} images"
    )
    intact, *true = subject.correct([{}, *({each.layer: each.units} for each in parts)])
    draws = _permutations(partition, changing, np.random.default_rng(seed))
    order, present, starts = _by_class(subject.classes)
    counts = np.zeros((n_permutations, len(parts), subject.n_classes), dtype=np.int32)
    right_in = np.zeros((len(parts), n_images), dtype=np.int32)
    done, planned, pace = 0, n_permutations, _Pace()
    pace.largest = max(_CHUNK_VALUES // (n_changing * n_images), 1)
    while done < planned:
        chunk = min(pace.chunk, planned - done)
        started = time.monotonic()
        lesions = [lesion for _ in range(chunk) for lesion in next(draws)]
        right = subject.correct(lesions).reshape(chunk, n_changing, n_images)
        cells = np.ix_(np.arange(done, done + chunk), np.flatnonzero(changing), present)
        counts[cells] = np.add.reduceat(right[..., order], starts, axis=-1, dtype=np.int32)
        right_in[changing] += right.sum(axis=0)
        done += chunk
        pace.took(chunk, time.monotonic() - started)
        if budget is not None:
            left = began + budget - time.monotonic()
            planned = min(n_permutations, max(done + pace.fitting(left), MIN_PERMUTATIONS))
        if pace.is_known or done == planned:
            needed, is_least = pace.seconds(planned - done), planned == MIN_PERMUTATIONS
            is_late = budget is not None and is_least and needed > left
            teller.announce(needed, planned, n_permutations, is_late)
        teller.show(done * n_changing, planned * n_changing)
    teller.close()
    counts = counts[:done]
    complete = np.flatnonzero(~changing)
    right_in[complete] = done * np.array(true)[complete]
    of_classes = [np.bincount(subject.classes[each], minlength=subject.n_classes) for each in true]
    counts[:, complete] = np.array(of_classes)[complete]
    return Measured(
        partition=partition,
        classes=subject.classes,
        n_classes=subject.n_classes,
        intact=intact,
        true=np.array(true),
        permuted=counts,
        permuted_right=right_in,
    )


def _permutations(
    partition: Partition, changing: npt.NDArray[np.bool_], rng: np.random.Generator
) -> Iterator[list[dict[str, npt.NDArray[np.intp]]]]:
    """Yield lesions of the parts that change, of one permuted partition after the other."""
    while True:
        parts = partition.permuted(rng).subclusters()
        yield [
            {each.layer: each.units}
            for each, changes in zip(parts, changing, strict=True)
            if changes
        ]


def _by_class(classes: npt.NDArray[np.int64]) -> Sequence[npt.NDArray[Any]]:
    """Return images in the order of their classes, the classes there are, and where each starts."""
    order = np.argsort(classes, kind="stable")
    present, starts = np.unique(classes[order], return_index=True)
    return order, present, starts


@dataclass
class _Pace:
    """How long permutations take, and how many to make at a time.

    Each call begins with work of its own, a second and more in deep networks. So twice as many
    permutations are made each time, until calls take long, and most of that for what was asked.
    """

    chunk: int = 1
    largest: int = 1
    _calls: list[tuple[int, float]] = field(default_factory=list)

    def took(self, n: int, seconds: float) -> None:
        """Note how long n permutations took in one call."""
        self._calls.append((n, seconds))
        is_first = len(self._calls) == 1
        if is_first or seconds < _CALL_SECONDS or self.fixed > seconds / 2:
            self.chunk = min(2 * n, self.largest)

    @property
    def is_known(self) -> bool:
        """Whether enough was measured to tell how long the rest takes."""
        return len(self._calls) > 1 and sum(seconds for _, seconds in self._calls) > _TRIAL_SECONDS

    @property
    def each(self) -> float:
        """Seconds that a permutation takes."""
        (n_before, before), (n, seconds) = ((0, 0.0), *self._calls)[-2:]
        if n > n_before and seconds > before:
            return (seconds - before) / (n - n_before)
        return seconds / n

    @property
    def fixed(self) -> float:
        """Seconds that a call takes besides."""
        n, seconds = self._calls[-1]
        return max(seconds - n * self.each, 0.0)

    def seconds(self, n: int) -> float:
        """Return how long n more take."""
        return n * self.each + self.fixed * -(-n // self.chunk)

    def fitting(self, seconds: float) -> int:
        """Return how many more fit into some seconds."""
        return max(int((seconds - self.fixed) / self.each), 0)


class _Teller:
    """Says on stderr what is done and how long it takes."""

    def __init__(self, speaks: bool) -> None:
        self._speaks = speaks
        self._bar: Any = None
        self._has_announced = False

    def say(self, text: str) -> None:
        if self._speaks:
            tqdm.write(f"evaluate: {text}", file=sys.stderr)

    def announce(self, seconds: float, planned: int, asked: int, is_late: bool) -> None:
        """Say, once, how long the rest takes."""
        if self._has_announced:
            return
        self._has_announced = True
        fewer = "" if planned == asked else f"the budget allows {planned} of {asked} permutations; "
        if is_late:
            fewer = f"the budget is too short for {planned} permutations, the fewest there can be; "
        self.say(f"{fewer}about {duration(seconds)} more, going by the first")

    def show(self, done: int, total: int) -> None:
        if not self._speaks:
            return
        if self._bar is None:
            every = 0.5 if sys.stderr.isatty() else 10
            self._bar = tqdm(desc="lesions", total=total, mininterval=every, file=sys.stderr)
        self._bar.total = total
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


def duration(seconds: float) -> str:
    """Return a duration as one says it."""
    if seconds < 90:
        return f"{max(round(seconds), 1)} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
