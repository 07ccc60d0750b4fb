"""Double lesions: which sub-clusters matter given that another one is gone (appendix A.10).

If X lies in an earlier layer than Y and is not missed once Y is gone, then what X says must go
through Y; and if Y is not missed once X is gone, then Y must hear from X alone. So lesions of
pairs let us draw some of the edges along which information flows.
"""

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from helpers import forward, lesions, profiles, statistics
from helpers.backend import keras
from helpers.partitions import Partition, SubCluster
from helpers.protocols import PAPER, Protocol

CASES = {
    "neither": "X feeds only Y, and Y hears only X",
    "Y given X": "X feeds only Y, but Y also hears others",
    "X given Y": "Y hears only X, but X also feeds others",
    "both": "no conclusion",
}
"""Which of X and Y is important given the other, and what follows for an X in an earlier layer.

The paper's appendix A.10 attaches the readings of the second and the third to one another. This
is the reading that its own argument gives: X is not important given Y if all that X says goes
through Y, and Y is important given X if Y hears something besides.
"""

_DEPENDENCY_COLUMNS = [
    *("x_layer", "x_cluster", "y_layer", "y_cluster"),
    *("delta_x", "p_x", "x_given_y", "delta_y", "p_y", "y_given_x"),
    *("case", "edge", "within"),
]


@dataclass(frozen=True)
class DoubleLesions:
    """Correctly classified images under lesions of pairs of sub-clusters.

    Attributes
    ----------
    partition : Partition
        Where the sub-clusters come from.
    subclusters : tuple of SubCluster
        The k sub-clusters, from the network's first layer to its last.
    n_images : int
        Images altogether.
    intact : int
        Images that the intact network classifies correctly.
    single : ndarray of int, shape (k,)
        The same under the lesion of each sub-cluster.
    joint : ndarray of int, shape (k, k)
        The same under the lesion of two; symmetric. On the diagonal, of one.
    random : ndarray of int, shape (k, k, n_random)
        The same when the second sub-cluster and a random twin of the first are lesioned. In the
        second's layer twins are drawn outside the second. The diagonal means nothing: it is -1.
    """

    partition: Partition
    subclusters: tuple[SubCluster, ...]
    n_images: int
    intact: int
    single: npt.NDArray[np.int64]
    joint: npt.NDArray[np.int64]
    random: npt.NDArray[np.int64]


def double_lesions(
    model: keras.Model,
    x: npt.NDArray[np.float32],
    y: npt.NDArray[np.integer[Any]],
    partition: Partition,
    n_random: int = 50,
    seed: int = 0,
) -> DoubleLesions:
    """Lesion all pairs of sub-clusters, and all pairs of a sub-cluster and a twin of another.

    Parameters
    ----------
    model, x, y, partition
        As for `profiles.lesion_profiles`.
    n_random : int
        Random twins that replace the first sub-cluster of a pair, at least 1 (the paper uses
        50). In front of partners in other layers they are the same for all partners, which keeps
        a sub-cluster's results comparable, and saves most of the arithmetic.
    seed : int
        Seed of the twins.

    Returns
    -------
    DoubleLesions

    Raises
    ------
    ValueError
        If `n_random` is less than 1, if the labels do not fit the model, or as in
        `lesions.correct_counts`.
    """
    profiles.check(model, partition, n_random)
    rng = np.random.default_rng(seed)
    network = forward.chain(model)
    chosen = tuple(sorted(partition.subclusters(), key=lambda each: network.index(each.layer)))
    layers = np.array([network.index(each.layer) for each in chosen], dtype=int)
    twins = [partition.random_twins(each, n_random, rng) for each in chosen]
    own = [{each.layer: each.units} for each in chosen]
    later = [np.flatnonzero(layers > layer) for layer in layers]
    partners: list[npt.NDArray[np.intp]] = []
    groups: list[lesions.Group] = [({}, [{}, *own])]
    for a, first in enumerate(chosen):
        beside = np.setdiff1d(np.flatnonzero(layers == layers[a]), [a])
        partners.append(np.concatenate([beside, later[a]]))
        drawn = [
            *(
                partition.random_twins(chosen[b], n_random, rng, outside=first.units)
                for b in beside
            ),
            *(twins[b] for b in later[a]),
        ]
        on_top: list[lesions.Lesion] = []
        for b, sets in zip(partners[a], drawn, strict=True):
            on_top += [own[b], *({chosen[b].layer: units} for units in sets)]
        groups.append((own[a], on_top))
    for a, first in enumerate(chosen):
        groups += [({first.layer: units}, [own[b] for b in later[a]]) for units in twins[a]]

    counted = iter(lesions.correct_counts_given(model, x, y, groups))
    intact, *single = next(counted).sum(axis=1)
    joint = np.diag(np.asarray(single, dtype=np.int64))
    random = np.full((len(chosen), len(chosen), n_random), -1, dtype=np.int64)
    for a, others in enumerate(partners):
        true, *replaced = next(counted).sum(axis=1).reshape(-1, n_random + 1).T
        joint[others, a] = joint[a, others] = true
        random[others, a] = np.transpose(replaced)
    for a, others in enumerate(later):
        for i in range(n_random):
            random[a, others, i] = next(counted).sum(axis=1)
    return DoubleLesions(
        partition, chosen, len(x), int(intact), np.asarray(single, np.int64), joint, random
    )


def conditional_importance(found: DoubleLesions, protocol: Protocol = PAPER) -> pd.DataFrame:
    """Test whether each sub-cluster is important given that another one is gone.

    Parameters
    ----------
    found : DoubleLesions
        Of `double_lesions`.
    protocol : Protocol
        How ties count, whether a first sub-cluster without any other units to draw twins from is
        tested, and whose rules say what is important.

    Returns
    -------
    pandas.DataFrame
        One row per ordered pair of different sub-clusters, in the order of `found`: first_layer,
        first_cluster, second_layer, second_cluster; complete, whether the first is all that its
        twins can be drawn from; value, the share of all images that is lost by the lesion of
        the first when the second is lesioned already (delta, in [-1, 1]); random_1 to random_n,
        the same for twins of the first; excluded and p as of `statistics.compare`. And

        * star: p is below .05 (under ``code``: at most 1/n);
        * important: p is 1/(n + 1) and delta above (``code``: at least) one percentage point;
        * below_all: delta is strictly less than those of all twins.
    """
    k = len(found.subclusters)
    first, second = np.nonzero(~np.eye(k, dtype=bool))
    delta = (found.single - found.joint)[first, second]
    random = (found.single[:, np.newaxis] - found.random)[first, second]
    pairs = pd.DataFrame(
        {
            f"{which}_{name}": [getattr(found.subclusters[i], name) for i in chosen]
            for which, chosen in (("first", first), ("second", second))
            for name in ("layer", "cluster")
        }
    ).assign(complete=[_is_all(found, int(a), int(b)) for a, b in zip(first, second, strict=True)])
    table = statistics.compare(
        pairs,
        delta / found.n_images,
        random / found.n_images,
        "right",
        protocol.ties,
        protocol.keeps_complete,
    )
    n_random = found.random.shape[-1]
    is_least = np.isclose(table["p"], 1 / (n_random + 1))
    if protocol.taxonomy == "text":
        star, large = table["p"] < 0.05, 100 * delta > found.n_images
    else:
        star, large = table["p"] <= 1 / n_random, 100 * delta >= found.n_images
    below_all = np.asarray((delta[:, np.newaxis] < random).all(axis=1))
    return table.assign(
        star=star,
        important=np.logical_and(is_least, large),
        below_all=below_all,
    )


def dependency_table(conditional: pd.DataFrame, kinds: pd.DataFrame) -> pd.DataFrame:
    """Return what the pairs of important sub-clusters in different layers say (Table 9).

    Parameters
    ----------
    conditional : pandas.DataFrame
        Of `conditional_importance`; its order says which layer is the earlier one.
    kinds : pandas.DataFrame
        Of `importance.taxonomy`, for the same partition.

    Returns
    -------
    pandas.DataFrame
        One row per pair of an X and a Y in a later layer, both important by themselves: x_layer,
        x_cluster, y_layer, y_cluster; delta_x, p_x, x_given_y and delta_y, p_y, y_given_x, the
        extra damage of each when the other is gone, its p value, and whether it is important
        then; case, one of `CASES`; edge, whether the rules allow to draw X -> Y, which is in all
        cases but "both"; within, whether X and Y belong to one cluster. Empty if there are no
        such pairs.

    Raises
    ------
    ValueError
        If the tables are not of the same sub-clusters.
    """
    firsts = conditional[["first_layer", "first_cluster"]].drop_duplicates()
    kind_of = kinds.set_index(["layer", "cluster"])["kind"]
    nodes = [(str(layer), int(cluster)) for layer, cluster in firsts.itertuples(index=False)]
    # A single sub-cluster has no pairs.
    if (nodes or len(kinds) > 1) and set(nodes) != set(kind_of.index):
        raise ValueError("conditional and kinds: they are of different sub-clusters")
    pair = ["first_layer", "first_cluster", "second_layer", "second_cluster"]
    read = conditional[[*pair, "value", "p", "important"]].itertuples(index=False, name=None)
    outcomes = {row[:4]: row[4:] for row in read}
    rows = []
    for x, y in combinations([node for node in nodes if kind_of[node] == "important"], 2):
        if x[0] == y[0]:
            continue
        delta_x, p_x, x_given_y = outcomes[*x, *y]
        delta_y, p_y, y_given_x = outcomes[*y, *x]
        case = list(CASES)[2 * bool(x_given_y) + bool(y_given_x)]
        given = (delta_x, p_x, x_given_y, delta_y, p_y, y_given_x)
        rows.append((*x, *y, *given, case, case != "both", x[1] == y[1]))
    return pd.DataFrame(rows, columns=_DEPENDENCY_COLUMNS)


def _is_all(found: DoubleLesions, first: int, second: int) -> bool:
    """Say whether the first sub-cluster is all that its twins can be drawn from."""
    one, other = found.subclusters[first], found.subclusters[second]
    n_left = len(found.partition.live_units(one.layer))
    if one.layer == other.layer:
        n_left -= len(other.units)
    return len(one.units) == n_left
