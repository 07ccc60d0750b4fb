"""One exact test for all sub-clusters, from partitions whose labels were permuted.

If which unit is in which cluster does not matter, the true partition is one more draw from its
permutations within layers, whatever the sub-clusters share. So the test below is exact, and needs
no independence: nonparametric combination (Pesarin, "Multivariate permutation tests", 2001).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import scipy.stats

from helpers.statistics.ranks import Side, _finite_order, _right_sided, floats
from helpers.statistics.replicates import Interval, share_interval

AnySide = Side | Literal["two-sided"]

TIED = 1e-12
"""Equal statistics may differ by rounding, depending on the order of summation."""

_N_HALVES = 100
"""Halves of the permutations by which one sees how much a p value hangs on which were drawn."""


@dataclass(frozen=True, eq=False)
class PermutationTest:
    """What `permutation_test` found.

    Attributes
    ----------
    p : float
        Of all tested sub-clusters together, in (0, 1]; NaN if there are none.
    each : ndarray of float, shape (S,)
        Of each sub-cluster alone; NaN where it is not tested.
    familywise : ndarray of float, shape (S,)
        The same, corrected for how many there are: if the null hypothesis holds for all, the
        smallest of them is at most alpha with a probability of at most alpha.
    ranks : ndarray of int, shape (B + 1, n_tested)
        Of each tested sub-cluster in each partition, 1 the most extreme; row 0 is the true one.
    reason : str
        Why nothing was tested; empty if something was.
    by_layer : mapping
        Layer to the same test of its sub-clusters alone; empty if no layers were given.
    """

    p: float
    each: npt.NDArray[np.float64]
    familywise: npt.NDArray[np.float64]
    ranks: npt.NDArray[np.intp] = field(repr=False)
    reason: str = ""
    by_layer: Mapping[Any, "PermutationTest"] = field(default_factory=dict)

    @property
    def n_permutations(self) -> int:
        """How many permuted partitions there were, B; no p value is below 1 / (B + 1)."""
        return len(self.ranks) - 1

    @cached_property
    def interval(self) -> Interval:
        """95 % Monte-Carlo interval of `p`: where it would be with all permutations there are.

        That of the share of the permuted partitions that are at least as extreme as the true one.
        Since each is ranked among these permutations, and not among all, p varies more than such
        a share: by how much more is seen from random halves of the permutations, and as many
        independent ones as vary like that are counted (Korn and Graubard, 1998, Survey
        Methodology 24). NaN if nothing was tested.
        """
        if self.reason:
            return Interval(float("nan"), float("nan"))
        n = self.n_permutations
        n_reached = round(self.p * (n + 1)) - 1
        if not 0 < n_reached < n:
            return share_interval(n_reached, n)
        halves = [_reached(half)[1:].mean() for half in _halves(self.ranks)]
        # A half varies about the whole as the whole does about all there are.
        expected = n_reached * (n - n_reached) / n**3
        times = max(1.0, float(np.var(halves)) / expected)
        return share_interval(n_reached / times, n / times)


def permutation_test(
    true: npt.ArrayLike,
    permuted: npt.ArrayLike,
    side: AnySide = "right",
    tested: npt.ArrayLike | None = None,
    layers: npt.ArrayLike | None = None,
) -> PermutationTest:
    """Test all sub-clusters of a partition at once, exactly, however they depend on each other.

    Parameters
    ----------
    true : array-like of float, shape (S,)
        Values of the true partition's sub-clusters.
    permuted : array-like of float, shape (B, S)
        Values of the same sub-clusters, by layer and size, of B partitions whose live labels were
        permuted within layers (`Partition.permuted`).
    side : {"right", "left", "two-sided"}
        Whether large values are extreme, small ones, or both.
    tested : array-like of bool, shape (S,), optional
        Which sub-clusters are tested; by default all. Leave out complete ones, and with them
        layers of a single label: no permutation changes them.
    layers : array-like, shape (S,), optional
        Of each sub-cluster, to test each layer by itself as well.

    Returns
    -------
    PermutationTest

    Raises
    ------
    ValueError
        If shapes do not fit, there is no permutation, a tested value is NaN or masked, or the side
        unknown.

    Notes
    -----
    With the true partition as row 0 of values D, p_bj is the share of rows b' in which D_b'j is
    at least as extreme as D_bj. The statistic of row b is T_b = -2 sum_j ln p_bj, and p the share
    of rows with T_b >= T_0. The familywise p value of sub-cluster j is the share of rows with
    min_i p_bi <= p_0j (Westfall and Young, 1993). If both sides are extreme, the extremeness of a
    value is -min(r, l): r rows of 0..B have a value at least as large, l one at most as large.

    Examples
    --------
    >>> import numpy as np
    >>> from helpers import statistics
    >>> permuted = np.random.default_rng(0).normal(size=(99, 3))
    >>> test = statistics.permutation_test([5.0, 6.0, 0.0], permuted, "right")
    >>> test.p, test.familywise.shape
    (0.01, (3,))
    """
    first, others = floats(true), floats(permuted)
    if first.ndim != 1 or others.ndim != 2 or others.shape[1:] != first.shape or not len(others):
        raise ValueError(
            f"true and permuted: shapes {first.shape} and {others.shape} were given; accepted are "
            "(S,) and (B, S), with at least one permutation"
        )
    chosen = which_tested(tested, first)
    chosen = chosen.astype(bool)
    values = np.vstack(
        [_finite_order(first[chosen], "true"), _finite_order(others[:, chosen], "permuted")]
    )
    ranks = np.zeros((len(values), len(first)), np.intp)
    ranks[:, chosen] = scipy.stats.rankdata(-_extremeness(values, side), method="max", axis=0)
    whole = _tested(ranks, chosen)
    if layers is None:
        return whole
    of_each = _of_each(layers, "layers", first)
    by_layer = {
        layer: _tested(ranks, chosen & (of_each == layer))
        for layer in dict.fromkeys(of_each.tolist())
    }
    return replace(whole, by_layer=by_layer)


def _extremeness(values: npt.NDArray[np.float64], side: AnySide) -> npt.NDArray[np.float64]:
    """Return what is large where values, shape (B + 1, S), are extreme."""
    if side == "two-sided":
        ranks = [scipy.stats.rankdata(sign * values, method="max", axis=0) for sign in (1, -1)]
        return np.asarray(-np.minimum(*ranks), dtype=np.float64)
    if side not in ("right", "left"):
        raise ValueError(f"side: {side!r} was given; accepted are right, left, two-sided")
    return _right_sided(values, side)


def which_tested(
    given: npt.ArrayLike | None, values: npt.NDArray[np.float64]
) -> npt.NDArray[np.bool_]:
    """Return which sub-clusters are tested: by default all.

    Raises
    ------
    ValueError
        If what is given is no mask, such as indices, or not one of all sub-clusters.
    """
    chosen = np.ones(len(values), bool) if given is None else np.asarray(given)
    if chosen.dtype != bool:
        raise ValueError(f"tested: {chosen.dtype} was given; accepted is bool, one per sub-cluster")
    return _of_each(chosen, "tested", values)


def _of_each(given: npt.ArrayLike, name: str, values: npt.NDArray[np.float64]) -> npt.NDArray[Any]:
    """Return what is said of each sub-cluster, if it is said of each."""
    said = np.asarray(given)
    if said.shape != values.shape:
        raise ValueError(f"{name}: shape {said.shape} was given; accepted is {values.shape}")
    return said


def _tested(ranks: npt.NDArray[np.intp], chosen: npt.NDArray[np.bool_]) -> PermutationTest:
    """Combine ranks, shape (B + 1, S), 1 the most extreme, row 0 the true partition's."""
    ours = ranks[:, chosen]
    each, familywise = np.full(len(chosen), np.nan), np.full(len(chosen), np.nan)
    if not chosen.any():
        reason = "no sub-cluster can change: each is complete, or none was given"
        return PermutationTest(float("nan"), each, familywise, ours, reason)
    each[chosen] = ours[0] / len(ours)
    familywise[chosen] = (ours.min(axis=1)[:, None] <= ours[0]).mean(axis=0)
    return PermutationTest(float(_reached(ours).mean()), each, familywise, ours)


def _reached(ranks: npt.NDArray[np.intp]) -> npt.NDArray[np.bool_]:
    """Return which partitions are as extreme as the first, all sub-clusters together."""
    statistics = -2 * np.log(ranks / len(ranks)).sum(axis=1)
    return np.asarray(statistics >= statistics[0] * (1 - TIED))


def _halves(ranks: npt.NDArray[np.intp]) -> Iterator[npt.NDArray[np.intp]]:
    """Yield ranks among random halves of the permutations, and the true partition."""
    n = len(ranks) - 1
    rng = np.random.default_rng(0)
    for _ in range(_N_HALVES):
        rows = np.concatenate([[0], 1 + rng.permutation(n)[: n // 2]])
        yield scipy.stats.rankdata(ranks[rows], method="max", axis=0).astype(np.intp)


def mean_effect_p(effects: npt.ArrayLike) -> float:
    """Test the mean effect of sub-clusters against that of permuted partitions.

    Parameters
    ----------
    effects : array-like of float, shape (S, B + 1)
        Effect of each sub-cluster, in column 0 under the true partition and in the others under
        permuted ones; NaN where it cannot be said.

    Returns
    -------
    float
        Share of the partitions of which any effect is known, the true one included, whose mean
        over what is known is as large as the true one's, within a relative tolerance of 1e-12.
        NaN if none is known of the true one.

    Raises
    ------
    ValueError
        If the shape is another, or an effect infinite.

    Notes
    -----
    Exact as that of `permutation_test`: if which unit is in which cluster does not matter, the
    partitions of which anything is known are draws of one kind, too. So how much is known, which
    grows with what lesions cost, makes it neither smaller nor larger.

    Examples
    --------
    >>> mean_effect_p([[2.0, 1.0, 1.5, 0.5], [np.nan, 1.0, np.nan, np.nan]])
    0.25
    """
    means = _mean_effects(effects)
    if np.isnan(means[0]):
        return float("nan")
    known = means[~np.isnan(means)]
    return float((known >= known[0] - TIED * abs(known[0])).mean())


def mean_effect_by_chance(effects: npt.ArrayLike) -> tuple[float, float]:
    """Return the mean effect that sub-clusters of permuted partitions have, and how sure it is.

    Of differences from what is expected it is 0 on average, but a ratio to it need not be 1 where
    there is nothing to be found: not if it is to a median and values are skewed, for example.

    Parameters
    ----------
    effects : array-like of float, shape (S, B + 1)
        As for `mean_effect_p`.

    Returns
    -------
    mean : float
        Mean, over the permuted partitions of which any effect is known, of the mean over what is
        known; NaN if there is none.
    error : float
        Its standard error; NaN if there are fewer than two.

    Raises
    ------
    ValueError
        As `mean_effect_p`.

    Examples
    --------
    >>> mean, error = mean_effect_by_chance([[2.0, 1.0, 1.5, 0.5], [np.nan, 1.0, np.nan, np.nan]])
    >>> round(mean, 3), round(error, 3)
    (1.0, 0.289)
    """
    others = _mean_effects(effects)[1:]
    known = others[~np.isnan(others)]
    mean = float(known.mean()) if len(known) else float("nan")
    is_sure = len(known) > 1
    return mean, float(known.std(ddof=1) / np.sqrt(len(known))) if is_sure else float("nan")


def _mean_effects(effects: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return the mean of what is known of each partition, shape (B + 1,); NaN if nothing is."""
    given = floats(effects)
    if given.ndim != 2 or not given.shape[1]:
        raise ValueError(f"effects: shape {given.shape} was given; accepted is (S, B + 1)")
    if np.isinf(given).any():
        raise ValueError("effects: infinite ones have no mean; NaN stands for what is not known")
    n_known = (~np.isnan(given)).sum(axis=0)
    empty = np.full(given.shape[1], np.nan)
    return np.asarray(np.divide(np.nansum(given, axis=0), n_known, out=empty, where=n_known > 0))
