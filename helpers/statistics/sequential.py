"""The exact test of a partition, drawing no more permutations than its answer needs.

Where a permuted partition costs minutes, most of a fixed number of them is wasted: after ten that
exceed the true one, nobody needs the other hundred to know that it is nothing special.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from helpers.statistics.permutation import TIED, which_tested
from helpers.statistics.ranks import Side, _finite_order, _right_sided, floats
from helpers.statistics.replicates import check_share
from helpers.validation import check_number


@dataclass(frozen=True, eq=False)
class SequentialTest:
    """What `sequential_permutation_test` found.

    Attributes
    ----------
    p : float
        Of all tested sub-clusters together, in (0, 1]; NaN if there are none.
    each : ndarray of float, shape (S,)
        Of each sub-cluster alone, by its rank among the reference; NaN where it is not tested.
    n_permutations : int
        How many permuted partitions were drawn, besides the reference.
    n_exceeding : int
        How many of them were at least as extreme as the true one.
    """

    p: float
    each: npt.NDArray[np.float64]
    n_permutations: int
    n_exceeding: int


def sequential_permutation_test(
    true: npt.ArrayLike,
    reference: npt.ArrayLike,
    draws: Iterable[npt.ArrayLike],
    side: Side = "right",
    tested: npt.ArrayLike | None = None,
    max_permutations: int = 199,
    max_exceeding: int = 10,
    alpha: float | None = None,
) -> SequentialTest:
    """Test all sub-clusters of a partition at once, and stop when the answer is clear.

    Parameters
    ----------
    true : array-like of float, shape (S,)
        Values of the true partition's sub-clusters.
    reference : array-like of float, shape (R, S)
        Of permuted partitions (`Partition.permuted`), to rank the values of each sub-cluster
        among; 99 of them are a good choice.
    draws : iterable of array-like of float, shape (S,)
        Values of further permuted partitions. No more are taken than needed, so a generator can
        make each when it is asked for.
    side, tested
        As for `permutation_test`.
    max_permutations : int
        Draws to take at most, at least 1.
    max_exceeding : int
        Stop when so many draws are at least as extreme as the true partition, at least 1.
    alpha : float, optional
        Stop, too, when p can no longer come out above it.

    Returns
    -------
    SequentialTest

    Raises
    ------
    ValueError
        If shapes do not fit, a tested value is NaN, a number is none from 1, alpha is not in
        (0, 1), or the side unknown.

    Notes
    -----
    Given the reference, the true partition and the draws are exchangeable, and so are their
    statistics T = -2 sum_j ln p_j, p_j the share of values in the reference and the partition
    itself that are at least as extreme. With l draws, of which h reach T_0, p is h / l (Besag and
    Clifford, 1991, Biometrika 78), and (g + 1) / (n + 1) if after n draws only g < h have. When
    stopped earlier, it is the largest of these that the draws still to come could have led to;
    as it is never below the p value of the whole sequence, it is valid whenever one stops
    (the anytime-valid test of Fischer and Ramdas, arXiv 2401.07365, section 3).

    Examples
    --------
    >>> import numpy as np
    >>> from helpers import statistics
    >>> rng = np.random.default_rng(0)
    >>> reference, draws = rng.normal(size=(99, 3)), (rng.normal(size=3) for _ in range(999))
    >>> test = statistics.sequential_permutation_test([0.0, 0.0, 0.0], reference, draws)
    >>> test.p > 0.05
    True
    >>> len(list(draws)) > 900  # Most were not needed.
    True
    """
    first, others = floats(true), floats(reference)
    if first.ndim != 1 or others.ndim != 2 or others.shape[1:] != first.shape or not len(others):
        raise ValueError(
            f"true and reference: shapes {first.shape} and {others.shape} were given; accepted "
            "are (S,) and (R, S), with at least one permutation"
        )
    for name, number in (
        ("max_permutations", max_permutations),
        ("max_exceeding", max_exceeding),
    ):
        check_number(name, number)
    if alpha is not None:
        check_share(alpha, "alpha")
    chosen = which_tested(tested, first)
    each = np.full(len(first), np.nan)
    if not chosen.any():
        return SequentialTest(float("nan"), each, 0, 0)
    ranked = _right_sided(_finite_order(others[:, chosen], "reference"), side)
    ours = _p_values(first, chosen, ranked, side, "true")
    each[chosen] = ours
    goal = _combined(ours) * (1 - TIED)
    n_drawn, n_exceeding = 0, 0
    p = 1.0
    for values in draws:
        row = floats(values)
        if row.shape != first.shape:
            raise ValueError(f"draws: shape {row.shape} was given; accepted is {first.shape}")
        n_drawn += 1
        n_exceeding += _combined(_p_values(row, chosen, ranked, side, "draws")) >= goal
        p = _largest_p(n_drawn, n_exceeding, max_permutations, max_exceeding)
        is_clear = alpha is not None and p <= alpha
        if is_clear or n_exceeding == max_exceeding or n_drawn == max_permutations:
            break
    return SequentialTest(p, each, n_drawn, int(n_exceeding))


def _p_values(
    row: npt.NDArray[np.float64],
    chosen: npt.NDArray[np.bool_],
    ranked: npt.NDArray[np.float64],
    side: Side,
    name: str,
) -> npt.NDArray[np.float64]:
    """Rank a partition's values among the reference and themselves."""
    values = _right_sided(_finite_order(row[chosen], name), side)
    n_at_least = (ranked >= values).sum(axis=0)
    return np.asarray((n_at_least + 1) / (len(ranked) + 1))


def _combined(p: npt.NDArray[np.float64]) -> float:
    return float(-2 * np.log(p).sum())


def _largest_p(n_drawn: int, n_exceeding: int, most: int, enough: int) -> float:
    """Return the largest p value that the draws still to come can lead to."""
    soonest = n_drawn + enough - n_exceeding
    if soonest <= most:
        return enough / soonest
    return (n_exceeding + most - n_drawn + 1) / (most + 1)
