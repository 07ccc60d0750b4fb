"""Lesions of a partition's parts and of their permuted twins, within a budget of time."""

import math
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import compress
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from helpers.lesions.nested import LEAST_DAMAGE, Orderings, drawn_orderings, sets_along
from helpers.measures.equal_damage import LEAST_ORDERINGS
from helpers.partitions import Partition, SubCluster
from helpers.report.subject import Subject

if TYPE_CHECKING:
    from helpers.lesions.engine import Lesion

MIN_PERMUTATIONS = 19
"""The smallest p value is then .05."""

MANY_PERMUTATIONS = 999
"""From so many on nothing is spared."""

FEW_ORDERINGS, MANY_ORDERINGS = (40, 12), (100, 22)
"""Orderings of each layer and sizes along each, to compare class profiles at equal damage."""

_SHALLOW = 8
"""Hidden layers, of which there are no more in networks that many orderings are for."""

_SHARES = {"layers": 0.6, "groups": 0.75}
"""When, in shares of a budget of time, permutations within layers end, and those within groups.

The rest is for nested sets."""

_ORDERINGS_AT_ONCE = 5
_CALL_SECONDS = 2.0
_TRIAL_SECONDS = 0.5
_CALL_VALUES = 10**8
"""Predictions that are kept at a time, a byte each."""


@dataclass(frozen=True, eq=False)
class Within:
    """What lesions of parts did whose labels were permuted within groups of a layer's units.

    Attributes
    ----------
    strata : dict of str to ndarray of int, shape (units,)
        The groups, of similar strength, of each hidden layer: `partitions.strata`.
    permuted, permuted_right : ndarray of int
        As of `Measured`; a part that no permutation within groups changes is not lesioned again.
    n_asked : int
        Permutations that were asked for; a budget may allow fewer.
    """

    strata: dict[str, npt.NDArray[np.intp]]
    permuted: npt.NDArray[np.int32]
    permuted_right: npt.NDArray[np.int32]
    n_asked: int


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
    nested : Orderings
        What ever larger random sets cost, image by image, each a class of its own, in the layers
        where any part, true or permuted, costs enough images to compare class profiles.
    within : Within, optional
        The same of parts permuted among units of similar strength; None if that was not asked.
    """

    partition: Partition
    classes: npt.NDArray[np.int64]
    n_classes: int
    intact: npt.NDArray[np.bool_]
    true: npt.NDArray[np.bool_]
    permuted: npt.NDArray[np.int32]
    permuted_right: npt.NDArray[np.int32]
    nested: Orderings
    within: Within | None = None

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

    @property
    def among_alike(self) -> "Measured | None":
        """The same with parts permuted among units of similar strength in place of all."""
        if self.within is None:
            return None
        permuted, right = self.within.permuted, self.within.permuted_right
        return replace(self, permuted=permuted, permuted_right=right, within=None)

    @property
    def changes_within(self) -> npt.NDArray[np.bool_]:
        """Whether permutations among units of similar strength change each part, shape (S,)."""
        if self.within is None:
            return np.zeros(len(self.parts), dtype=bool)
        return _changing(self.partition, self.within.strata)


def measure(
    subject: Subject,
    partition: Partition,
    n_permutations: int,
    seed: int,
    budget: float | None = None,
    progress: bool = False,
    strata: Mapping[str, npt.NDArray[np.intp]] | None = None,
    n_within: int = 0,
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
    strata : mapping of str to ndarray of int, optional
        Groups of units of similar strength: `partitions.strata`.
    n_within : int
        Permuted partitions of these groups, no more than `n_permutations` of which there is time
        for; none if a budget is too short for 19, or there are no groups.

    Returns
    -------
    Measured

    Raises
    ------
    ValueError
        If a function gets other images right at the end than at the beginning, without a lesion.
    """
    started = time.monotonic()
    deadline = None if budget is None else started + budget
    parts = partition.subclusters()
    changing = _changing(partition)
    n_layers = len({each.layer for each in compress(parts, changing)})
    n_nested = n_layers * math.prod(orderings_for(partition, n_permutations))
    in_groups = _changing(partition, strata) & (strata is not None and n_within > 0)
    n_alike = int(in_groups.sum()) * min(n_within, n_permutations)
    teller = _Teller(progress, int(changing.sum()), n_alike, n_nested)
    teller.begin(len(parts), n_permutations, len(subject.classes))
    intact, *rest = subject.correct([{}, *({each.layer: each.units} for each in parts)])
    true = np.array(rest)
    tally = _Tally(subject, len(parts), n_permutations)
    draws = _permutations(partition, changing, np.random.default_rng(seed))
    limits = None
    if budget is not None:
        share = started + _SHARES["layers" if in_groups.any() else "groups"] * budget
        limits = _Limits(share, started + budget, LEAST_ORDERINGS * FEW_ORDERINGS[1] * n_layers)
    began = time.monotonic()
    _draw(subject, draws, tally, np.flatnonzero(changing), limits, teller)
    tally.repeat(true, np.flatnonzero(~changing))
    within = None
    if strata is not None and in_groups.any():
        n = min(n_within, tally.done)
        if limits is not None and budget is not None:
            each = (time.monotonic() - began) / (tally.done * int(changing.sum()))
            later = replace(limits, share=started + _SHARES["groups"] * budget)
            n = min(n, int(later.left(each) / (each * int(in_groups.sum()))))
        if n >= MIN_PERMUTATIONS:
            asked = min(n_within, tally.done)
            within = _within(subject, partition, strata, n, asked, true, (seed, 4), teller)
    layers = _costly_layers(subject, intact, true, tally, parts)
    sizes = orderings_for(partition, tally.done)
    nested = _nested(subject, partition, layers, sizes, seed, deadline, teller)
    if subject.model is None and not np.array_equal(nested.intact, intact):
        raise ValueError(
            "model: without any lesion, other images are right after many lesions than before; "
            "accepted is one that does not change"
        )
    return Measured(
        partition=partition,
        classes=subject.classes,
        n_classes=subject.n_classes,
        intact=intact,
        true=true,
        permuted=tally.by_class[: tally.done],
        permuted_right=tally.by_image,
        nested=nested,
        within=within,
    )


def _changing(
    partition: Partition, strata: Mapping[str, npt.NDArray[np.intp]] | None = None
) -> npt.NDArray[np.bool_]:
    """Return which parts permutations (within groups) change."""
    return np.array(
        [partition.can_change(each, strata) for each in partition.subclusters()], dtype=bool
    )


def _within(
    subject: Subject,
    partition: Partition,
    strata: Mapping[str, npt.NDArray[np.intp]],
    n: int,
    n_asked: int,
    true: npt.NDArray[np.bool_],
    seed: tuple[int, int],
    teller: "_Teller",
) -> Within:
    """Lesion parts of n partitions whose labels are permuted within groups."""
    changing = _changing(partition, strata)
    tally = _Tally(subject, len(changing), n)
    draws = _permutations(partition, changing, np.random.default_rng(seed), strata)
    _draw(subject, draws, tally, np.flatnonzero(changing), None, teller, "among alike")
    tally.repeat(true, np.flatnonzero(~changing))
    groups = {layer: np.asarray(strata[layer]) for layer in partition.labels}
    return Within(groups, tally.by_class, tally.by_image, n_asked)


def orderings_for(partition: Partition, n_permutations: int) -> tuple[int, int]:
    """Return how many orderings there are of each layer, and sizes along each.

    Many where many permutations are made, and the network is not deep: else they would take more
    time than all permutations together.
    """
    is_thorough = n_permutations >= MANY_PERMUTATIONS and len(partition.hidden) <= _SHALLOW
    return MANY_ORDERINGS if is_thorough else FEW_ORDERINGS


def _costly_layers(
    subject: Subject,
    intact: npt.NDArray[np.bool_],
    true: npt.NDArray[np.bool_],
    tally: "_Tally",
    parts: list[SubCluster],
) -> set[str]:
    """Return layers in which any part, true or permuted, costs enough images to be compared."""
    left = np.vstack([true.sum(axis=1)[np.newaxis], tally.by_class[: tally.done].sum(axis=2)])
    costly = (intact.sum() - left >= LEAST_DAMAGE).any(axis=0)
    return {each.layer for each in compress(parts, costly)}


def _nested(
    subject: Subject,
    partition: Partition,
    layers: set[str],
    n_each: tuple[int, int],
    seed: int,
    deadline: float | None,
    teller: "_Teller",
) -> Orderings:
    """Lesion nested random sets, some orderings at a time, as many as there is time for."""
    (n_orderings, n_sizes), sizes = n_each, np.ones(len(subject.classes), dtype=np.int64)

    def counted(chosen: "Sequence[Lesion]") -> npt.NDArray[np.int8]:
        return np.asarray(subject.correct(list(chosen))).astype(np.int8)

    drawn = [
        drawn_orderings(partition, _ORDERINGS_AT_ONCE, (seed, 2, start), layers)
        for start in range(0, n_orderings, _ORDERINGS_AT_ONCE)
    ]
    n_values = n_sizes * _ORDERINGS_AT_ONCE * max(len(layers), 1) * len(subject.classes)
    largest, done = max(_CALL_VALUES // n_values, 1), 0
    n = largest if deadline is None else 1
    found: list[Orderings] = []
    n_lesions = n_orderings * n_sizes * len(layers)
    while done < len(drawn):
        is_late = deadline is not None and time.monotonic() > deadline
        if is_late and done * _ORDERINGS_AT_ONCE >= LEAST_ORDERINGS:
            break
        started, some = time.monotonic(), drawn[done : done + n]
        joined = {layer: np.concatenate([each[layer] for each in some]) for layer in some[0]}
        found.append(sets_along(counted, sizes, joined, n_sizes))
        done += len(some)
        n_done = done * _ORDERINGS_AT_ONCE * n_sizes * len(layers)
        teller.show("growing random sets", n_done, n_lesions)
        if deadline is not None:
            left, each = deadline - time.monotonic(), (time.monotonic() - started) / len(some)
            n = int(np.clip(left / each, 1, largest))
    teller.close()
    sets = {layer: [one for each in found for one in each.sets[layer]] for layer in found[0].sets}
    return Orderings(sizes, found[0].intact, sets)


def _draw(
    subject: Subject,
    draws: "Iterator[list[Lesion]]",
    tally: "_Tally",
    changing: npt.NDArray[np.intp],
    limits: "_Limits | None",
    teller: "_Teller",
    what: str = "lesions",
) -> None:
    """Lesion the parts that change of one permuted partition after the other."""
    asked = planned = len(tally.by_class)
    pace = _Pace(largest=max(_CALL_VALUES // (len(changing) * len(subject.classes)), 1))
    while tally.done < planned:
        n, started = min(pace.n, planned - tally.done), time.monotonic()
        right = subject.correct([lesion for _ in range(n) for lesion in next(draws)])
        tally.add(right.reshape(n, len(changing), -1), changing)
        pace.took(n, time.monotonic() - started)
        left = np.inf
        if limits is not None:
            left = limits.left(pace.each / len(changing))
            planned = min(asked, max(tally.done + pace.fitting(left), MIN_PERMUTATIONS))
        if pace.is_known or tally.done == planned:
            seconds = pace.seconds(planned - tally.done)
            teller.announce(seconds, pace.each / len(changing), left, planned, asked)
        teller.show(what, tally.done * len(changing), planned * len(changing))
    teller.close()


def _permutations(
    partition: Partition,
    changing: npt.NDArray[np.bool_],
    rng: np.random.Generator,
    strata: Mapping[str, npt.NDArray[np.intp]] | None = None,
) -> "Iterator[list[Lesion]]":
    """Yield lesions of the parts that change, of one permuted partition after the other."""
    while True:
        parts = partition.permuted(rng, strata).subclusters()
        yield [{each.layer: each.units} for each in compress(parts, changing)]


class _Tally:
    """How many images are right under lesions of permuted parts: by class, and by image."""

    def __init__(self, subject: Subject, n_parts: int, n_permutations: int) -> None:
        self.done = 0
        self.by_class = np.zeros((n_permutations, n_parts, subject.n_classes), dtype=np.int32)
        self.by_image = np.zeros((n_parts, len(subject.classes)), dtype=np.int32)
        self._order = np.argsort(subject.classes, kind="stable")
        ordered = subject.classes[self._order]
        self._present, self._starts = np.unique(ordered, return_index=True)

    def add(self, right: npt.NDArray[np.bool_], parts: npt.NDArray[np.intp]) -> None:
        """Count some parts of n more permutations, shape (n, parts, n_images)."""
        rows = np.arange(self.done, self.done + len(right))
        self.by_class[np.ix_(rows, parts, self._present)] = self._classes(right)
        self.by_image[parts] += right.sum(axis=0)
        self.done += len(right)

    def repeat(self, right: npt.NDArray[np.bool_], parts: npt.NDArray[np.intp]) -> None:
        """Count what is right of some parts, shape (all parts, n_images), once a permutation."""
        cells = np.ix_(np.arange(self.done), parts, self._present)
        self.by_class[cells] = self._classes(right[parts])
        self.by_image[parts] = self.done * right[parts]

    def _classes(self, right: npt.NDArray[np.bool_]) -> npt.NDArray[np.int32]:
        return np.add.reduceat(right[..., self._order], self._starts, axis=-1, dtype=np.int32)


@dataclass(frozen=True)
class _Limits:
    """Until when permutations may take, in seconds of the clock, and what must follow.

    Attributes
    ----------
    share : float
        Their share of the budget ends.
    end : float
        The whole budget ends.
    n_after : int
        Lesions of nested sets that follow, at the least.
    """

    share: float
    end: float
    n_after: int

    def left(self, each: float) -> float:
        """Return how many seconds are left for permutations, if a lesion takes so many."""
        return min(self.share, self.end - self.n_after * each) - time.monotonic()


@dataclass
class _Pace:
    """How long permutations take, and how many to make at a time.

    Each call begins with work of its own, a second and more in deep networks. So twice as many
    permutations are made each time, until calls take long, and most of that for what was asked.
    """

    largest: int
    n: int = 1
    _calls: list[tuple[int, float]] = field(default_factory=list)

    def took(self, n: int, seconds: float) -> None:
        """Note how long n permutations took in one call."""
        self._calls.append((n, seconds))
        is_first = len(self._calls) == 1
        if is_first or seconds < _CALL_SECONDS or self.fixed > seconds / 2:
            self.n = min(2 * n, self.largest)

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
        return n * self.each + self.fixed * -(-n // self.n)

    def fitting(self, seconds: float) -> int:
        """Return how many more fit into some seconds."""
        return max(int((seconds - self.fixed) / self.each), 0)


class _Teller:
    """Says on stderr what is done and how long it takes."""

    def __init__(self, speaks: bool, n_changing: int, n_alike: int, n_nested: int) -> None:
        self._speaks, self._n_changing = speaks, n_changing
        self._n_alike, self._n_nested = n_alike, n_nested
        self._has_announced = False
        self._bar: Any = None

    def begin(self, n_parts: int, n_permutations: int, n_images: int) -> None:
        """Say how many lesions there will be."""
        n_lesions = 1 + n_parts + self._n_changing * n_permutations
        self._say(
            f"{n_parts} parts, {self._n_changing} of them testable, and {n_permutations:,} "
            f"permutations: {n_lesions:,} lesions on {n_images:,} images; then up to "
            + f"{self._n_alike:,} of parts permuted among units of similar strength, and "
            * bool(self._n_alike)
            + f"{self._n_nested:,} of random sets that grow, to compare how lesions fall on classes"
        )

    def announce(self, needed: float, each: float, left: float, planned: int, asked: int) -> None:
        """Say, once, how many seconds the rest needs, and what the budget does to it.

        A lesion of what follows takes as long as another, `each`; a budget cuts it.
        """
        if self._has_announced:
            return
        self._has_announced = True
        cut = "" if planned == asked else f"the budget allows {planned} of {asked} permutations; "
        if planned == MIN_PERMUTATIONS and needed > left:
            cut = f"the budget is too short for {planned} permutations, the fewest there can be; "
        n_after = self._n_alike + self._n_nested
        after = f", then up to {duration(n_after * each)} for what follows"
        after *= bool(np.isinf(left))
        self._say(f"{cut}about {duration(needed)} more, going by the first{after}")

    def show(self, what: str, done: int, planned: int) -> None:
        """Show how far it is."""
        if not self._speaks or not planned:
            return
        if self._bar is None:
            every = 0.5 if sys.stderr.isatty() else 10
            self._bar = tqdm(desc=what, mininterval=every, file=sys.stderr)
        self._bar.total = planned
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        """End the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _say(self, text: str) -> None:
        if self._speaks:
            tqdm.write(f"evaluate: {text}", file=sys.stderr)


def duration(seconds: float) -> str:
    """Return a duration as one says it."""
    if seconds < 0.95:
        return f"{seconds:.1g} s"
    if seconds < 90:
        return f"{round(seconds)} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
