"""From the p values of sub-clusters to those of a network (appendix A.4).

`fisher` and `chi2` combine p values as the paper does, with asymptotic distributions;
`exchangeable` computes the same two statistics' null distribution by Monte Carlo, and stays valid
where values tie and sub-clusters are few.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt
import scipy.stats

from helpers.statistics.ranks import Side, _finite_order, _right_sided, floats
from helpers.validation import check_number

_GRID_TOLERANCE = 1e-6


def fisher(p_values: npt.ArrayLike, n_random: int) -> float:
    """Combine p values by Fisher's method, centred for their granularity (appendix A.4).

    Parameters
    ----------
    p_values : array-like of float, shape (k,)
        P values of sub-clusters, each a multiple of 1 / (n_random + 1).
    n_random : int
        Random twins behind each p value; m = n_random + 1.

    Returns
    -------
    float
        Right tail of the chi-squared distribution with 2k degrees of freedom beyond
        ``-2 sum(log(p - 1 / (2m)))``. Low if the p values tend to be low; conservative.

    Raises
    ------
    ValueError
        If `p_values` is empty, or one of them is NaN or no multiple of 1 / m.

    Examples
    --------
    >>> from helpers import statistics
    >>> p_values = [1 / 21, 2 / 21, 5 / 21, 11 / 21]
    >>> round(statistics.fisher(p_values, n_random=20), 3)
    0.028
    """
    p = _on_grid(p_values, n_random)
    centred = p - 1 / (2 * (n_random + 1))
    return float(scipy.stats.combine_pvalues(centred, method="fisher").pvalue)


def chi2(p_values: npt.ArrayLike, n_random: int) -> float:
    """Test whether p values are uneven over their m possible values (appendix A.4).

    Parameters
    ----------
    p_values, n_random
        As in `fisher`.

    Returns
    -------
    float
        Right tail of the chi-squared distribution with m - 1 degrees of freedom beyond
        ``sum((count - k / m)**2 / (k / m))``.

    Raises
    ------
    ValueError
        As in `fisher`.

    Notes
    -----
    The expected counts k / m are near one in the paper's experiments, which makes tiny p values
    unreliable; and with inclusive ties dead sub-clusters all have p = 1, which makes the test
    invalid. `exchangeable` has neither defect.

    Examples
    --------
    >>> from helpers import statistics
    >>> p_values = [1 / 21] * 3 + [5 / 21, 11 / 21, 16 / 21]
    >>> round(statistics.chi2(p_values, n_random=20), 3)
    0.015
    """
    bins = _bins(_on_grid(p_values, n_random), n_random + 1)
    counts = np.bincount(bins, minlength=n_random + 1)
    return float(scipy.stats.chisquare(counts).pvalue)


def exchangeable(
    true: npt.ArrayLike,
    random: npt.ArrayLike,
    side: Side = "right",
    statistic: Literal["fisher", "chi2"] = "fisher",
    n_draws: int = 9999,
    rng: np.random.Generator | None = None,
) -> float:
    """Test all sub-clusters of a network at once by Monte Carlo, whatever ties.

    Under the null hypothesis each of a sub-cluster's n + 1 values is equally likely to be the
    true one. Which one it is, is drawn again, independently for each sub-cluster (the test
    assumes that they are independent), and the combined statistic computed each time from
    inclusive p values.

    Parameters
    ----------
    true : array-like of float, shape (k,)
        Values of the true sub-clusters.
    random : array-like of float, shape (k, n)
        Values of their random twins.
    side : {"right", "left"}
        Whether large or small values are extreme.
    statistic : {"fisher", "chi2"}
        That of `fisher`; or that of `chi2`, against the counts to be expected given the ties.
    n_draws : int
        Monte-Carlo draws, at least 1.
    rng : numpy.random.Generator, optional
        Source of randomness; a generator of seed 0 by default.

    Returns
    -------
    float
        (b + 1) / (n_draws + 1), where b draws have at least the true ones' statistic.

    Raises
    ------
    ValueError
        If there are no sub-clusters or twins, shapes do not fit, a value is NaN, or an option
        is unknown.

    Examples
    --------
    >>> from helpers import statistics
    >>> true, random = [9.0, 8.0, 7.0], [[1.0, 2.0, 3.0]] * 3
    >>> statistics.exchangeable(true, random) < 0.05
    True
    """
    first = _finite_order(floats(true), "true")
    others = _finite_order(floats(random), "random")
    if first.ndim != 1 or others.shape[:1] != first.shape or others.ndim != 2 or not others.size:
        raise ValueError(
            f"true and random: shapes {first.shape} and {others.shape} were given; accepted are "
            "(k,) and (k, n), not empty"
        )
    check_number("n_draws", n_draws)
    rng = np.random.default_rng(0) if rng is None else rng
    n_sets, n_values = len(first), others.shape[1] + 1
    values = _right_sided(np.column_stack([first, others]), side)
    p_of_each = scipy.stats.rankdata(-values, method="max", axis=1) / n_values
    drawn = np.vstack(
        [np.zeros((1, n_sets), np.intp), rng.integers(n_values, size=(n_draws, n_sets))]
    )
    if statistic == "fisher":
        statistics = _fisher_statistics(p_of_each, drawn)
    elif statistic == "chi2":
        statistics = _chi2_statistics(p_of_each, drawn)
    else:
        raise ValueError(f"statistic: {statistic!r} was given; accepted are fisher, chi2")
    # Equal statistics may differ by rounding, depending on the order of summation.
    reached = statistics[1:] >= statistics[0] * (1 - 1e-12)
    return float((reached.sum() + 1) / (n_draws + 1))


def median_p_value(p_values: npt.ArrayLike) -> float:
    """Return the median of an odd number of p values, as the paper reports for five networks.

    It is not itself a p value, see `median_bound`.

    Raises
    ------
    ValueError
        If the number of p values is even or zero, or one is NaN or outside [0, 1].
    """
    return float(np.median(_odd(p_values)))


def median_bound(p_values: npt.ArrayLike) -> float:
    """Return a valid p value from the median of an odd number k of p values.

    min(1, k / ((k + 1) / 2) * median), whatever their dependence (Rueger, 1978); for five
    networks 5/3 of the median.

    Raises
    ------
    ValueError
        As in `median_p_value`.
    """
    p = _odd(p_values)
    return float(min(1.0, 2 * p.size / (p.size + 1) * np.median(p)))


def _fisher_statistics(
    p_of_each: npt.NDArray[np.float64], drawn: npt.NDArray[np.intp]
) -> npt.NDArray[np.float64]:
    """Return Fisher's statistic of each draw (row) of one value per sub-cluster (column)."""
    n_sets, n_values = p_of_each.shape
    terms = -2 * np.log(p_of_each - 1 / (2 * n_values))
    return np.asarray(terms[np.arange(n_sets), drawn].sum(axis=1))


def _chi2_statistics(
    p_of_each: npt.NDArray[np.float64], drawn: npt.NDArray[np.intp]
) -> npt.NDArray[np.float64]:
    """Return the chi-squared statistic of each draw against the counts expected given ties."""
    n_sets, n_values = p_of_each.shape
    bins = _bins(p_of_each, n_values)
    expected = np.bincount(bins.ravel(), minlength=n_values) / n_values
    possible = expected > 0
    offsets = np.arange(len(drawn))[:, np.newaxis] * n_values
    flat = np.bincount(
        (bins[np.arange(n_sets), drawn] + offsets).ravel(), minlength=len(drawn) * n_values
    )
    counts = flat.reshape(-1, n_values)[:, possible]
    return np.asarray(((counts - expected[possible]) ** 2 / expected[possible]).sum(axis=1))


def _bins(p: npt.NDArray[np.float64], n_values: int) -> npt.NDArray[np.intp]:
    """Return the position of p values on their grid, from 0 for 1 / n_values."""
    return (np.rint(p * n_values) - 1).astype(np.intp)


def _on_grid(p_values: npt.ArrayLike, n_random: int) -> npt.NDArray[np.float64]:
    """Check that p values are multiples of 1 / (n_random + 1) in (0, 1]."""
    check_number("n_random", n_random)
    p = _probabilities(p_values)
    steps = p * (n_random + 1)
    off_grid = (np.abs(steps - np.rint(steps)) > _GRID_TOLERANCE) | (np.rint(steps) < 1)
    if off_grid.any():
        raise ValueError(
            f"p_values: {p[off_grid][0]:.6g} is not on the grid of {n_random} random values; "
            f"accepted are 1/{n_random + 1} to 1 in steps of 1/{n_random + 1}"
        )
    return p


def _probabilities(p_values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    p = np.atleast_1d(floats(p_values))
    if p.ndim != 1 or p.size == 0:
        raise ValueError("p_values: a sequence of at least one p value is needed")
    if np.isnan(p).any() or (p < 0).any() or (p > 1).any():
        raise ValueError("p_values: each must be a number in [0, 1]")
    return p


def _odd(p_values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    p = _probabilities(p_values)
    if p.size % 2 == 0:
        raise ValueError(f"p_values: an odd number is needed, {p.size} were given")
    return p
