"""Whether two sub-clusters need each other, stand in for each other, or neither.

The rule of appendix A.10 reads an arrow out of what was *not* found (see
`measures.dependencies`). Here the interaction of two lesions is itself tested: what X and Y cost
alone, less what they cost together, beside the same for sets that are missed as much as X is.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from helpers import statistics
from helpers.lesions import logit_loss
from helpers.statistics import PermutationTest

if TYPE_CHECKING:
    from helpers.lesions.matched import MatchedPairs

INTERACTIONS = {
    "dependent": "without the other each matters less than sets that are missed as much as X "
    "would: of little use alone, as in a chain",
    "redundant": "without the other each matters more than sets that are missed as much as X "
    "would: they stand in for each other",
    "none": "no more and no less than sets that are missed as much as X is",
    "not comparable": "X loses nothing, or too few sets that are missed as much were found",
}
"""What an interaction says of X and Y."""

_LEVEL = 0.05
"""Familywise level from which a pair is said to interact."""


def interaction(found: "MatchedPairs") -> pd.DataFrame:
    """Return how pairs of sub-clusters interact, beside sets that are missed as much as X is.

    Parameters
    ----------
    found : MatchedPairs
        Of `lesions.matched_pairs`.

    Returns
    -------
    pandas.DataFrame
        One row per pair: x_layer, x_cluster, y_layer, y_cluster; within, whether both belong to
        one cluster; steps, as in `found`; loss_x, loss_y and loss_both, `lesions.logit_loss`;
        interaction, I = loss_x + loss_y - loss_both, positive if one lesion makes the other
        matter less; matched_low, matched_median, matched_high, 2.5, 50 and 97.5 % quantiles of I
        with X replaced by matched sets; excess, I less their median; n_matched, how many there
        are, and n_tried, orderings tried for them; excluded, why the pair is not comparable, or
        "": "X loses nothing", or "few matched sets" where fewer than half of those asked for
        were found; p, two-sided, twice the smaller share of the n + 1 values of I that are at
        least, or at most, that of the pair; p_low and p_high, its 95 % Monte-Carlo interval
        (Clopper and Pearson, 1934); familywise, the p value corrected for the number of pairs;
        and kind, of `INTERACTIONS`: found where familywise is at most .05.

    Notes
    -----
    Familywise is the share of rows of `interaction_test` of which the largest deviation is at
    least the pair's: the distance from the median of a pair's n + 1 values over their quartiles'
    distance (Westfall and Young, 1993, "maxT"). Corrected by ranks, as
    `statistics.permutation_test` does it, no p value of P pairs could be much below 2 P/(n + 1).
    """
    own, matched = _interactions(found)
    n = found.n_matched
    quantiles = np.array(
        [
            np.quantile(each[:k], [0.025, 0.5, 0.975]) if k else [np.nan] * 3
            for each, k in zip(matched, n, strict=True)
        ]
    ).reshape(-1, 3)
    excluded = _excluded(found)
    p = np.array(
        [
            _two_sided(value, each[:k]) if not why else [np.nan] * 3
            for value, each, k, why in zip(own, matched, n, excluded, strict=True)
        ]
    ).reshape(-1, 3)
    familywise = _familywise(own, matched, excluded == "")
    loss_x, loss_y, loss_both = _losses(found, found.first, found.second, found.joint)
    kind = np.full(len(own), "none", dtype=object)
    is_found = familywise <= _LEVEL
    kind[is_found & (own > quantiles[:, 1])] = "dependent"
    kind[is_found & (own < quantiles[:, 1])] = "redundant"
    kind[excluded != ""] = "not comparable"
    pairs = found.pairs
    return pairs.drop(columns="steps").assign(
        within=pairs["x_cluster"] == pairs["y_cluster"],
        steps=pairs["steps"],
        loss_x=loss_x,
        loss_y=loss_y,
        loss_both=loss_both,
        interaction=own,
        matched_low=quantiles[:, 0],
        matched_median=quantiles[:, 1],
        matched_high=quantiles[:, 2],
        excess=own - quantiles[:, 1],
        n_matched=n,
        n_tried=found.n_tried,
        excluded=excluded,
        p=p[:, 0],
        p_low=p[:, 1],
        p_high=p[:, 2],
        familywise=familywise,
        kind=kind,
    )


def interaction_test(found: "MatchedPairs") -> PermutationTest:
    """Test whether any pair interacts otherwise than with sets that are missed as much as X is.

    Parameters
    ----------
    found : MatchedPairs
        Of `lesions.matched_pairs`.

    Returns
    -------
    PermutationTest
        Two-sided, of all comparable pairs; ``by_layer`` by the layer of X. Row r holds each
        pair's interaction with X's matched set number r, the same for all partners of X, as far
        as all comparable pairs have one.

    Notes
    -----
    If each X is exchangeable with its matched sets, given the partners, the rows of one layer's
    pairs are exchangeable, but for this: the sub-clusters of a layer are disjoint, and their
    matched sets are drawn apart. A random X of another size than sets that cost as much is not
    exchangeable with them, and may be found to interact for this reason alone. A Y that is an X
    as well, of a layer further on, is the true one in all rows of its partners in front.
    """
    own, matched = _interactions(found)
    tested = _excluded(found) == ""
    rows = _rows(own, matched, tested)
    return statistics.permutation_test(
        rows[0], rows[1:], "two-sided", tested=tested, layers=found.pairs["x_layer"]
    )


def interaction_summary(found: "MatchedPairs") -> pd.DataFrame:
    """Return what all pairs say together, and those of each X's layer.

    Parameters
    ----------
    found : MatchedPairs
        Of `lesions.matched_pairs`.

    Returns
    -------
    pandas.DataFrame
        A row for all pairs, and one for each layer with an X: layer, "all" or its name; tested
        and excluded, numbers of pairs; dependent and redundant, how many were found to be so;
        interaction and excess, medians of tested pairs, see `interaction`; p, of
        `interaction_test`, with p_low and p_high, its 95 % Monte-Carlo interval; and reason, why
        nothing was tested, or "".
    """
    table, whole = interaction(found), interaction_test(found)
    rows = []
    for layer, test in (("all", whole), *whole.by_layer.items()):
        ours = table if test is whole else table[table["x_layer"] == layer]
        tested = ours[ours["excluded"] == ""]
        rows.append(
            {
                "layer": layer,
                "tested": len(tested),
                "excluded": len(ours) - len(tested),
                "dependent": int((ours["kind"] == "dependent").sum()),
                "redundant": int((ours["kind"] == "redundant").sum()),
                "interaction": tested["interaction"].median(),
                "excess": tested["excess"].median(),
                "p": test.p,
                "p_low": test.interval.low,
                "p_high": test.interval.high,
                "reason": test.reason,
            }
        )
    return pd.DataFrame(rows)


def within_against_across(
    table: pd.DataFrame,
    values: Sequence[str] = ("interaction", "excess"),
    strata: Sequence[str] = ("steps",),
    n_draws: int = 9999,
    random_state: int = 0,
) -> pd.DataFrame:
    """Compare pairs within a cluster with pairs across clusters, at equal distance.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per pair, with a column within and those below: of `interaction`, with further
        columns as one likes.
    values : sequence of str
        Columns to compare; rows in which one is NaN are left out. Of bool, their share of true.
    strata : sequence of str
        Columns whose combinations are compared among themselves only; of several networks, also
        those that tell these apart.
    n_draws, random_state
        As for `statistics.stratified_test`.

    Returns
    -------
    pandas.DataFrame
        One row per value: value; n_within and n_across, pairs in strata that have both; difference,
        within less across, averaged over strata; p, two-sided, with p_low and p_high, its 95 %
        Monte-Carlo interval; and reason, why nothing was compared, or "". Pairs that share a
        sub-cluster depend on each other, which this test does not know.

    Raises
    ------
    ValueError
        If a column is missing, or a stratum in some rows, or within is not of bool.
    """
    if missing := [each for each in ("within", *values, *strata) if each not in table]:
        raise ValueError(f"table: columns {', '.join(missing)} are missing")
    if unknown := [each for each in strata if table[each].isna().any()]:
        raise ValueError(f"table: {', '.join(unknown)} is missing in some rows")
    if table["within"].dtype != bool:
        raise ValueError(f"table: within is of {table['within'].dtype}; accepted is bool")
    of = table.groupby(list(strata), sort=False).ngroup().to_numpy()
    rows = []
    for value in values:
        numbers = table[value].to_numpy(dtype=np.float64)
        known = ~np.isnan(numbers)
        test = statistics.stratified_test(
            numbers[known],
            table["within"].to_numpy(dtype=bool)[known],
            of[known],
            n_draws=n_draws,
            random_state=random_state,
        )
        rows.append(
            {
                "value": value,
                "n_within": test.n_chosen,
                "n_across": test.n_others,
                "difference": test.difference,
                "p": test.p,
                "p_low": test.interval.low,
                "p_high": test.interval.high,
                "reason": test.reason,
            }
        )
    return pd.DataFrame(rows)


def _losses(
    found: "MatchedPairs", *counts: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.float64], ...]:
    return tuple(logit_loss(found.intact, each, found.n_images) for each in counts)


def _interactions(
    found: "MatchedPairs",
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the interaction of each pair (P,), and with matched sets (P, n_matched) or NaN."""
    loss_x, loss_y, loss_both = _losses(found, found.first, found.second, found.joint)
    is_there = found.matched >= 0
    replaced, together = _losses(
        found, np.where(is_there, found.matched, 0), np.where(is_there, found.matched_joint, 0)
    )
    matched = np.where(is_there, replaced + loss_y[:, np.newaxis] - together, np.nan)
    return loss_x + loss_y - loss_both, matched


def _excluded(found: "MatchedPairs") -> npt.NDArray[np.object_]:
    """Say why pairs are not comparable, shape (P,); "" if they are."""
    (loss_x,) = _losses(found, found.first)
    excluded = np.full(len(loss_x), "", dtype=object)
    excluded[2 * found.n_matched < found.matched.shape[1]] = "few matched sets"
    excluded[loss_x <= 0] = "X loses nothing"
    return excluded


def _rows(
    own: npt.NDArray[np.float64],
    matched: npt.NDArray[np.float64],
    tested: npt.NDArray[np.bool_],
) -> npt.NDArray[np.float64]:
    """Return interactions row by row, shape (1 + B, P), row 0 the pairs' own.

    Row r has those with matched sets number r, of as many as all tested pairs have.
    """
    n = int((~np.isnan(matched[tested])).sum(axis=1).min()) if tested.any() else 1
    return np.vstack([own, np.where(tested, matched[:, :n].T, 0.0)])


def _familywise(
    own: npt.NDArray[np.float64],
    matched: npt.NDArray[np.float64],
    tested: npt.NDArray[np.bool_],
) -> npt.NDArray[np.float64]:
    """Return p values corrected by the largest deviation in each row, NaN where not tested."""
    p = np.full(len(own), np.nan)
    if not tested.any():
        return p
    rows = _rows(own, matched, tested)[:, tested]
    low, median, high = np.quantile(rows, [0.25, 0.5, 0.75], axis=0)
    distance = np.abs(rows - median)
    beyond = np.full_like(distance, np.inf)
    beyond[distance == 0] = 0
    np.divide(distance, high - low, out=beyond, where=high > low)
    p[tested] = (beyond.max(axis=1)[:, np.newaxis] >= beyond[0]).mean(axis=0)
    return p


def _two_sided(value: float, others: npt.NDArray[np.float64]) -> list[float]:
    """Return a two-sided p value, and its Monte-Carlo interval."""
    right, left = (statistics.p_value(value, others, side) for side in ("right", "left"))
    n_beyond = min((others >= value).sum(), (others <= value).sum())
    low, high = statistics.share_interval(int(n_beyond), len(others))
    return [statistics.two_sided(right, left), min(1.0, 2 * low), min(1.0, 2 * high)]
