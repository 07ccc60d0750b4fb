"""Pairs of sub-clusters beside pairs whose first is replaced by a set that costs as much.

Random twins of a sub-cluster's own size cost less than an important one does, and so interact less
with whatever else is lesioned. To ask whether two sub-clusters do the same work, the first must be
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
Losses = npt.NDArray[np.float64]


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
    order = {layer: program.order(layer) for layer in partition.hidden}

    def counts(lesions: Sequence[engine.Lesion]) -> npt.NDArray[np.int64]:
        by_class = engine.correct_counts(model, x, classes, lesions, executor)
        return np.asarray(by_class.sum(axis=1))

    own = [[{each.layer: each.units} for each in pair] for pair in chosen]
    given: list[engine.Lesion] = [{}]
    given += [lesion for pair in own for lesion in (*pair, _union(*pair))]
    intact, *true = counts(given)
    first, second, joint = np.array(true, dtype=np.int64).reshape(-1, 3).T

    def losses(lesions: Sequence[engine.Lesion]) -> tuple[Losses, npt.NDArray[np.int64]]:
        found = counts(lesions)
        return profiles.logit_loss(intact, found, len(classes)), found

    searches: dict[tuple[str, int, int | None], _Search] = {}
    keys = []
    for (one, other), n_right in zip(chosen, first, strict=True):
        beside = one.layer == other.layer
        keys.append((one.layer, one.cluster, other.cluster if beside else None))
        live = partition.live_units(one.layer)
        pool = np.setdiff1d(live, other.units, assume_unique=True) if beside else live
        loss = float(profiles.logit_loss(intact, n_right, len(classes)))
        searches.setdefault(keys[-1], _Search(one.layer, pool, loss))
    _find(list(searches.values()), n_matched, losses, rng)
    of_pairs = [searches[key] for key in keys]
    matched = np.full((len(chosen), n_matched), -1, dtype=np.int64)
    matched_joint = matched.copy()
    groups = _groups(of_pairs, [pair[1] for pair in own], order)
    counted = engine.correct_counts_given(
        model, x, classes, [(lesion, on_top) for lesion, on_top, _ in groups], executor
    )
    for (_, _, (rows, columns)), found in zip(groups, counted, strict=True):
        matched_joint[rows, columns] = found.sum(axis=1)
    for row, each in enumerate(of_pairs):
        matched[row, : len(each.sets)] = each.counts
    layers = sorted(partition.hidden, key=lambda layer: order[layer])
    steps = [layers.index(other.layer) - layers.index(one.layer) for one, other in chosen]
    return MatchedPairs(
        pairs=pairs[list(PAIR)].reset_index(drop=True).assign(steps=steps),
        n_images=len(classes),
        intact=int(intact),
        first=first,
        second=second,
        joint=joint,
        sets=tuple(tuple(each.sets) for each in of_pairs),
        matched=matched,
        matched_joint=matched_joint,
        n_tried=np.array([each.n_tried for each in of_pairs], dtype=np.int64),
        fingerprint=fingerprint(*model.get_weights(), *images, classes),
    )


@dataclass
class _Search:
    """What is sought in a layer, where, and what was found."""

    layer: str
    pool: Units
    loss: float
    sets: list[Units] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    n_tried: int = 0


@dataclass
class _Nested:
    """A bisection: the set of a size below `high` and from `low` on costs as much as is sought."""

    of: _Search
    place: int
    ordering: Units
    low: int
    high: int

    @property
    def lesion(self) -> engine.Lesion:
        return {self.of.layer: self.ordering[: self.size]}

    @property
    def size(self) -> int:
        return (self.low + self.high) // 2


def _find(
    searches: list[_Search],
    n_matched: int,
    losses: Callable[[Sequence[engine.Lesion]], tuple[Losses, npt.NDArray[np.int64]]],
    rng: np.random.Generator,
) -> None:
    """Fill in matched sets, by bisections of all orderings of all searches in lockstep."""

    def begin(search: _Search, place: int) -> _Nested:
        search.n_tried += 1
        return _Nested(search, place, rng.permutation(search.pool), 0, len(search.pool) + 1)

    found: dict[int, list[tuple[int, Units, int]]] = {id(each): [] for each in searches}
    running = [begin(each, r) for each in searches if each.loss > 0 for r in range(n_matched)]
    while running:
        measured = losses([each.lesion for each in running])
        going_on = []
        for each, loss, n_right in zip(running, *measured, strict=True):
            search = each.of
            if abs(loss - search.loss) <= TOLERANCE * search.loss * (1 + _ROUNDING):
                units = np.sort(each.ordering[: each.size])
                found[id(search)].append((each.place, units, int(n_right)))
                continue
            if loss < search.loss:
                each.low = each.size
            else:
                each.high = each.size
            if each.high - each.low > 1:
                going_on.append(each)
            elif search.n_tried < TRIES * n_matched:
                going_on.append(begin(search, each.place))
        running = going_on
    for search in searches:
        # By place, not by how many rounds it took to find them.
        for _, units, n_right in sorted(found[id(search)], key=lambda one: one[0]):
            search.sets.append(units)
            search.counts.append(n_right)


Cells = tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]


def _groups(
    of_pairs: list[_Search], partners: list[engine.Lesion], order: Mapping[str, int]
) -> list[tuple[engine.Lesion, list[engine.Lesion], Cells]]:
    """Return lesions of matched sets and partners, on top of that of the earlier layer.

    Each group with where its counts belong, rows and columns of (P, n_matched).
    """
    groups: list[tuple[engine.Lesion, list[engine.Lesion], Cells]] = []
    behind: dict[int, list[int]] = {}
    for row, (search, partner) in enumerate(zip(of_pairs, partners, strict=True)):
        (layer,) = partner
        if order[search.layer] < order[layer]:
            behind.setdefault(id(search), []).append(row)
        else:
            columns = np.arange(len(search.sets))
            sets = [{search.layer: units} for units in search.sets]
            groups.append((partner, list(sets), (np.full(len(columns), row), columns)))
    for rows in behind.values():
        search, on_top = of_pairs[rows[0]], [partners[row] for row in rows]
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
