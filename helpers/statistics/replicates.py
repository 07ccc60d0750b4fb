"""From networks to kinds of networks, and how sure one is of a share."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.stats

from helpers.statistics.ranks import floats
from helpers.validation import is_integer


class Interval(NamedTuple):
    """A confidence interval."""

    low: float
    high: float


def share_interval(n_hits: float, n: float, level: float = 0.95) -> Interval:
    """Return the exact interval of a share (Clopper and Pearson, 1934, Biometrika 26).

    Parameters
    ----------
    n_hits, n : float
        So many of so many. Of a Monte-Carlo p value (r + 1) / (n + 1): r of n. They are no whole
        numbers where draws that depend on each other count as fewer independent ones.
    level : float
        Coverage, in (0, 1).

    Returns
    -------
    Interval
        In [0, 1].

    Raises
    ------
    ValueError
        If there are more hits than tries, no tries, or the level is not in (0, 1).
    """
    check_share(level, "level")
    if not 0 <= n_hits <= n or n <= 0:
        raise ValueError(f"n_hits: {n_hits} of {n} was given; accepted are 0 to n, n above 0")
    tail = (1 - level) / 2
    low = scipy.stats.beta.ppf(tail, n_hits, n - n_hits + 1) if n_hits else 0.0
    high = scipy.stats.beta.isf(tail, n_hits + 1, n - n_hits) if n_hits < n else 1.0
    return Interval(float(low), float(high))


def check_share(share: float, name: str) -> None:
    """Refuse what is no level, coverage or rate of errors, by the name of the argument."""
    if not 0 < share < 1:
        raise ValueError(f"{name}: {share} was given; accepted are numbers in (0, 1)")


def rank_interval(p: float, n_draws: int, level: float = 0.95) -> Interval:
    """Return where a Monte-Carlo p value would be with all draws there are.

    Parameters
    ----------
    p : float
        (r + 1) / (n + 1), r of n draws at least as extreme; NaN if there is none.
    n_draws : int
        Draws, n, independent of each other.
    level : float
        Coverage, in (0, 1).

    Returns
    -------
    Interval
        That of the share r / n, see `share_interval`; NaN of NaN, and 0 to 1 without draws.

    Examples
    --------
    >>> from helpers import statistics
    >>> statistics.rank_interval(0.05, 19).high < 0.2
    True
    """
    if np.isnan(p):
        return Interval(float("nan"), float("nan"))
    if not n_draws:
        return Interval(0.0, 1.0)
    return share_interval(round(p * (n_draws + 1)) - 1, n_draws, level)


def mean_interval(values: npt.ArrayLike, level: float = 0.95) -> Interval:
    """Return Student's interval of the mean of what replicates gave.

    Parameters
    ----------
    values : array-like of float, shape (R,)
        One per network; those that are NaN are left out.
    level : float
        Coverage, in (0, 1).

    Returns
    -------
    Interval
        NaN at both ends if fewer than two are left, or any is infinite: there is no mean then.

    Raises
    ------
    ValueError
        If the level is not in (0, 1).
    """
    check_share(level, "level")
    known = floats(values)
    known = known[~np.isnan(known)]
    if len(known) < 2 or np.isinf(known).any():
        return Interval(float("nan"), float("nan"))
    half = scipy.stats.t.ppf((1 + level) / 2, len(known) - 1) * scipy.stats.sem(known)
    return Interval(float(known.mean() - half), float(known.mean() + half))


def partial_conjunction(p_values: npt.ArrayLike, least: int = 3) -> float:
    """Test whether an effect is there in at least some of several networks.

    Parameters
    ----------
    p_values : array-like of float, shape (R,)
        One of each network, independent of each other.
    least : int
        In how many networks, u, from 1 to R.

    Returns
    -------
    float
        P value of the null hypothesis that it is there in fewer than u: the probability that
        chi-squared with 2 (R - u + 1) degrees of freedom is at least -2 sum_{i >= u} ln p_(i), by
        the p values in ascending order (Benjamini and Heller, 2008, Biometrics 64; Fisher's
        combination). NaN if any p value is.

    Raises
    ------
    ValueError
        If `least` is not from 1 to R, or a p value is not in [0, 1].
    """
    p = np.sort(np.atleast_1d(floats(p_values)))
    if p.ndim != 1 or not is_integer(least) or not 1 <= least <= len(p):
        raise ValueError(
            f"least: {least} was given for p values of shape {p.shape}; accepted "
            "are 1 to their number"
        )
    if np.isnan(p).any():
        return float("nan")
    if (p < 0).any() or (p > 1).any():
        raise ValueError("p_values: accepted are numbers from 0 to 1")
    if least == len(p):
        return float(p[-1])  # Which the logarithm and its inverse may miss by a digit.
    with np.errstate(divide="ignore"):
        statistic = -2 * np.log(p[least - 1 :]).sum()
    return float(scipy.stats.chi2.sf(statistic, 2 * (len(p) - least + 1)))


def two_sided(right: float, left: float) -> float:
    """Return the p value for an effect of either direction, from those for each.

    Parameters
    ----------
    right, left : float
        P values of the two one-sided tests.

    Returns
    -------
    float
        Twice the smaller one, at most 1; NaN if either is.
    """
    return float(np.minimum(1.0, 2 * np.minimum(right, left)))
