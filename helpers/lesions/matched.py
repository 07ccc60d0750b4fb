"""Pairs of sub-clusters beside pairs whose first is replaced by a set that costs as much.

Random twins of a sub-cluster's own size cost less than an important one does, and so interact less
with whatever else is lesioned. To ask whether two sub-clusters need each other, the first must be
compared with sets of units that are missed as much as it is, however many units that takes.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from helpers import forward, validation
from helpers.backend import keras
from helpers.fingerprints import fingerprint
from helpers.lesions import engine, profiles
from helpers.partitions import Partition, SubCluster, as_partition

PAIR = ("x_layer", "x_cluster", "y_layer", "y_cluster")
"""Columns that name an X and a Y."""

TOLERANCE = 0.1
"""How far a matched set's loss may lie from the sub-cluster's, as a share of the latter."""

TRIES = 2
"""Orderings that are tried at most, for each matched set that is asked for."""

_ROUNDING = 1e-9

Units = npt.NDArray[np.intp]
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class MatchedPairs:
    """Correctly classified images under lesions of pairs, and of pairs with matched sets.

    Attributes
    ----------
    pairs : pandas.DataFrame
        One row per pair of an X and a Y, P of them: x_layer, x_cluster, y_layer, y_cluster; and
        steps, how many of the partition's hidden layers Y lies behind X in the network's order (0
        in the same layer, negative in front of it).
    n_images : int
        Images altogether.
    intact : int
        Images that the intact network classifies correctly.
    first, second, joint : ndarray of int, shape (P,)
        The same under the lesion of X, of Y, and of both.
    sets : tuple of tuple of ndarray of int
        The units of each pair's matched sets, at most n_matched. Set number r of an X is the same
        for all partners in other layers.
    matched, matched_joint : ndarray of int, shape (P, n_matched)
        Images that are classified correctly under the lesion of each matched set, and of it and
        Y; -1 behind the last set that was found.
    n_tried : ndarray of int, shape (P,)
        Orderings of the layer's units that were tried; 0 where X loses nothing that could be
        matched.
    fingerprint : str
        Of the network's weights, the images and their classes.
    """

    pairs: pd.DataFrame
    n_images: int
    intact: int
    first: npt.NDArray[np.int64]
    second: npt.NDArray[np.int64]
    joint: npt.NDArray[np.int64]
    sets: tuple[tuple[Units, ...], ...]
    matched: npt.NDArray[np.int64]
    matched_joint: npt.NDArray[np.int64]
    n_tried: npt.NDArray[np.int64]
    fingerprint: str

    @property
    def n_matched(self) -> npt.NDArray[np.int64]:
        """How many matched sets each pair has, shape (P,)."""
        return np.array([len(each) for each in self.sets], dtype=np.int64)


def matched_pairs(
    model: keras.Model,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    partition: Partition | Mapping[str, npt.ArrayLike],
    pairs: pd.DataFrame,
    n_matched: int = 199,
    seed: int = 0,
    executor: Executor | None = None,
) -> MatchedPairs:
    """Lesion pairs of sub-clusters, and pairs of a Y and a set that is missed as much as X.

    Parameters
    ----------
    model, x, y, partition, executor
        As for `lesion_profiles`.
    pairs : pandas.DataFrame
        One row per pair, with columns x_layer, x_cluster, y_layer and y_cluster, such as those
        of `measures.dependency_table`. X is what matched sets replace.
    n_matched : int
        Matched sets of each X, at least 1.
    seed : int
        Seed of the orderings.

    Returns
    -------
    MatchedPairs

    Raises
    ------
    ValueError
        If `n_matched` is less than 1, if `pairs` lacks a column, names what is no sub-cluster or
        pairs one with itself, if the labels do not fit the model, or as in
        `lesions.correct_counts`.

    Notes
    -----
    The live units of X's layer (those outside Y, where Y lies in the same layer) are put into a
    random order, and the size at which its nested set costs as much as X is sought by bisection:
    the first set whose `lesions.logit_loss` lies within `TOLERANCE` of X's is taken. An ordering
    that has none is replaced, up to `TRIES` orderings for each set that is asked for. X's own
    units may be drawn, as by `Partition.random_twins`.
    """
    images, classes = validation.check_x_y(model, x, y)
    partition = as_partition(partition)
    profiles.check(model, partition, n_matched, "n_matched")
    rng = np.random.default_rng(validation.check_seed(seed))
    chosen = _subclusters_of(partition, pairs)
    program = forward.read_classifier(model)
    layers = sorted(partition.hidden, key=program.order)

    def counts(lesions: Sequence[engine.Lesion]) -> Counts:
        by_class = engine.correct_counts(model, x, classes, lesions, executor)
        return np.asarray(by_class.sum(axis=1))

    own = [({one.layer: one.units}, {other.layer: other.units}) for one, other in chosen]
    given: list[engine.Lesion] = [{}]
    given += [lesion for pair in own for lesion in (*pair, _union(*pair))]
    intact, *true = counts(given)
    first, second, joint = np.array(true, dtype=np.int64).reshape(-1, 3).T

    def losses(of: npt.ArrayLike) -> npt.NDArray[np.float64]:
        return profiles.logit_loss(intact, of, len(classes))

    searches = _searches(partition, chosen, losses(first))
    _find(list(dict.fromkeys(searches)), n_matched, counts, losses, rng)
    matched, matched_joint = np.full((2, len(chosen), n_matched), -1, dtype=np.int64)
    for row, search in enumerate(searches):
        matched[row, : len(search.sets)] = search.counts
    groups = _groups(searches, [lesion for _, lesion in own], layers)
    counted = engine.correct_counts_given(
        model, x, classes, [(lesion, on_top) for lesion, on_top, _ in groups], executor
    )
    for (_, _, cells), found in zip(groups, counted, strict=True):
        matched_joint[cells] = found.sum(axis=1)
    steps = [layers.index(other.layer) - layers.index(one.layer) for one, other in chosen]
    return MatchedPairs(
        pairs=pairs[list(PAIR)].reset_index(drop=True).assign(steps=steps),
        n_images=len(classes),
        intact=int(intact),
        first=first,
        second=second,
        joint=joint,
        sets=tuple(tuple(search.sets) for search in searches),
        matched=matched,
        matched_joint=matched_joint,
        n_tried=np.array([search.n_tried for search in searches], dtype=np.int64),
        fingerprint=fingerprint(*model.get_weights(), *images, classes),
    )


@dataclass(eq=False)
class _Search:
    """What is sought in a layer, where, and what was found."""

    layer: str
    pool: Units
    loss: float
    sets: list[Units] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    n_tried: int = 0


def _searches(
    partition: Partition,
    chosen: list[tuple[SubCluster, SubCluster]],
    losses: npt.NDArray[np.float64],
) -> list[_Search]:
    """Return the search of each pair: one for an X and all its partners in other layers."""
    known: dict[tuple[str, int, int | None], _Search] = {}
    searches = []
    for (one, other), loss in zip(chosen, losses.tolist(), strict=True):
        pool, beside = partition.live_units(one.layer), None
        if one.layer == other.layer:
            pool, beside = np.setdiff1d(pool, other.units, assume_unique=True), other.cluster
        search = _Search(one.layer, pool, loss)
        searches.append(known.setdefault((one.layer, one.cluster, beside), search))
    return searches


@dataclass
class _Nested:
    """A bisection: the first `low` units cost too little (or are none), the first `high` too much.

    As if one unit more than there are cost too much.
    """

    of: _Search
    place: int
    ordering: Units
    low: int
    high: int

    @property
    def units(self) -> Units:
        return self.ordering[: (self.low + self.high) // 2]


def _find(
    searches: list[_Search],
    n_matched: int,
    counts: Callable[[Sequence[engine.Lesion]], Counts],
    losses: Callable[[npt.ArrayLike], npt.NDArray[np.float64]],
    rng: np.random.Generator,
) -> None:
    """Fill in matched sets, by bisections of all orderings of all searches in lockstep."""

    def begin(search: _Search, place: int) -> _Nested:
        search.n_tried += 1
        return _Nested(search, place, rng.permutation(search.pool), 0, len(search.pool) + 1)

    hits: list[tuple[_Nested, int]] = []
    running = [begin(each, r) for each in searches if each.loss > 0 for r in range(n_matched)]
    while running:
        measured = counts([{each.of.layer: each.units} for each in running])
        tried, running = running, []
        for each, n_right, loss in zip(tried, measured, losses(measured), strict=True):
            search = each.of
            if abs(loss - search.loss) <= TOLERANCE * search.loss * (1 + _ROUNDING):
                hits.append((each, int(n_right)))
                continue
            if loss < search.loss:
                each.low = len(each.units)
            else:
                each.high = len(each.units)
            if each.high - each.low > 1:
                running.append(each)
            elif search.n_tried < TRIES * n_matched:
                running.append(begin(search, each.place))
    # By place, not by how many rounds it took to find them.
    for each, n_right in sorted(hits, key=lambda hit: hit[0].place):
        each.of.sets.append(np.sort(each.units))
        each.of.counts.append(n_right)


Cells = tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]


def _groups(
    searches: list[_Search], partners: list[engine.Lesion], layers: list[str]
) -> list[tuple[engine.Lesion, list[engine.Lesion], Cells]]:
    """Return lesions of matched sets and partners, on top of that of the earlier layer.

    Each group with where its counts belong, rows and columns of (P, n_matched).
    """
    groups: list[tuple[engine.Lesion, list[engine.Lesion], Cells]] = []
    behind: dict[_Search, list[int]] = {}
    for row, (search, partner) in enumerate(zip(searches, partners, strict=True)):
        (layer,) = partner
        if layers.index(search.layer) < layers.index(layer):
            behind.setdefault(search, []).append(row)
        else:
            sets: list[engine.Lesion] = [{search.layer: units} for units in search.sets]
            columns = np.arange(len(sets))
            groups.append((partner, sets, (np.full_like(columns, row), columns)))
    for search, rows in behind.items():
        on_top = [partners[row] for row in rows]
        for column, units in enumerate(search.sets):
            cells = np.array(rows), np.full(len(rows), column)
            groups.append(({search.layer: units}, on_top, cells))
    return groups


def _subclusters_of(
    partition: Partition, pairs: pd.DataFrame
) -> list[tuple[SubCluster, SubCluster]]:
    """Return the sub-clusters that pairs name."""
    if missing := [column for column in PAIR if column not in pairs]:
        raise ValueError(f"pairs: columns {', '.join(missing)} are missing")
    known = {(each.layer, each.cluster): each for each in partition.subclusters()}
    chosen = []
    for x_layer, x_cluster, y_layer, y_cluster in pairs[list(PAIR)].itertuples(index=False):
        named = (x_layer, x_cluster), (y_layer, y_cluster)
        for each in named:
            if each not in known:
                raise ValueError(
                    f"pairs: cluster {each[1]} of {each[0]!r} was given, which is no sub-cluster "
                    "of the partition"
                )
        if named[0] == named[1]:
            raise ValueError(
                f"pairs: cluster {x_cluster} of {x_layer!r} is paired with itself; accepted are "
                "pairs of two different sub-clusters"
            )
        chosen.append((known[named[0]], known[named[1]]))
    return chosen


def _union(one: engine.Lesion, other: engine.Lesion) -> engine.Lesion:
    return {
        layer: np.concatenate([each[layer] for each in (one, other) if layer in each])
        for layer in one.keys() | other.keys()
    }
