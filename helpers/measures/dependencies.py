"""Which sub-clusters matter given that another one is gone (appendix A.10).

If X lies in an earlier layer than Y and is not missed once Y is gone, then what X says must go
through Y; and if Y is not missed once X is gone, then Y must hear from X alone. So lesions of
pairs let us draw some of the edges along which information flows.
"""

from collections.abc import Collection
from itertools import combinations, permutations
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from helpers.measures.comparison import compare
from helpers.protocols import PAPER, Protocol

if TYPE_CHECKING:
    from helpers.lesions.double import DoubleLesions

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


def conditional_importance(found: "DoubleLesions", protocol: Protocol = PAPER) -> pd.DataFrame:
    """Test whether each sub-cluster is important given that another one is gone.

    Parameters
    ----------
    found : DoubleLesions
        Of `lesions.double_lesions`.
    protocol : Protocol
        How ties count, whether a first sub-cluster without any other units to draw twins from is
        tested, and whose rules say what is important.

    Returns
    -------
    pandas.DataFrame
        One row per ordered pair of different sub-clusters, in the order of `found`: first_layer,
        first_cluster, second_layer, second_cluster; complete, whether the first is all that its
        twins can be drawn from; value, the share of all images that is lost by the lesion of
        the first when the second is lesioned already (delta, in [-1, 1]); random_median, the
        median of the same for twins of the first; excluded and p as of `Comparison.table`. And

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
    table = compare(
        "conditional_importance",
        "right",
        protocol,
        pairs,
        delta / found.n_images,
        random / found.n_images,
        found.fingerprint,
    ).table()
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


def dependency_table(
    conditional: pd.DataFrame,
    kinds: pd.DataFrame,
    paths: Collection[tuple[str, str]] | None = None,
) -> pd.DataFrame:
    """Return what the pairs of important sub-clusters in different layers say (Table 9).

    Parameters
    ----------
    conditional : pandas.DataFrame
        Of `conditional_importance`.
    kinds : pandas.DataFrame
        Of `taxonomy`, for the same partition.
    paths : collection of (str, str), optional
        Pairs of layers with a path from the first to the second, see `DoubleLesions.paths`; by
        default each layer leads to all that come later in the table.

    Returns
    -------
    pandas.DataFrame
        One row per pair of an X and a Y that X leads to, both important by themselves: x_layer,
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
    if paths is None:
        paths = set(combinations(dict.fromkeys(layer for layer, _ in nodes), 2))
    rows = []
    for x, y in permutations([node for node in nodes if kind_of[node] == "important"], 2):
        if (x[0], y[0]) not in paths:
            continue
        delta_x, p_x, x_given_y = outcomes[*x, *y]
        delta_y, p_y, y_given_x = outcomes[*y, *x]
        case = list(CASES)[2 * bool(x_given_y) + bool(y_given_x)]
        given = (delta_x, p_x, x_given_y, delta_y, p_y, y_given_x)
        rows.append((*x, *y, *given, case, case != "both", x[1] == y[1]))
    return pd.DataFrame(rows, columns=_DEPENDENCY_COLUMNS)


def unimportant_sides(table: pd.DataFrame) -> pd.DataFrame:
    """Say why the sides that are not important given the other are not: arrows rest on them.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `dependency_table`.

    Returns
    -------
    pandas.DataFrame
        One row per sub-cluster of a pair that is not important when the other is gone: x_layer,
        x_cluster, y_layer, y_cluster; side, "X" or "Y"; delta, what its lesion costs then, as a
        share of all images; p; and why: "lost contest", if that is more than one percentage
        point, but no more than some random twin costs; "gain", if the network does better by
        more than a point; "small", if neither.
    """
    pair = ["x_layer", "x_cluster", "y_layer", "y_cluster"]
    sides = [
        table[[*pair, f"delta_{side}", f"p_{side}"]]
        .set_axis([*pair, "delta", "p"], axis=1)
        .assign(side=side.upper())[~table[given].astype(bool)]
        for side, given in (("x", "x_given_y"), ("y", "y_given_x"))
    ]
    found = pd.concat(sides).sort_index(kind="stable")[[*pair, "side", "delta", "p"]]
    why = np.select(
        [found["delta"] > 0.01, found["delta"] < -0.01], ["lost contest", "gain"], "small"
    )
    return found.reset_index(drop=True).assign(why=why)


def _is_all(found: "DoubleLesions", first: int, second: int) -> bool:
    """Say whether the first sub-cluster is all that its twins can be drawn from."""
    one, other = found.subclusters[first], found.subclusters[second]
    n_left = len(found.partition.live_units(one.layer))
    if one.layer == other.layer:
        n_left -= len(other.units)
    return len(one.units) == n_left
