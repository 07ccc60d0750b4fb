"""Two groups compared within strata, so that what differs between strata explains nothing."""

from dataclasses import dataclass
from itertools import combinations
from math import comb, prod

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.stats

from helpers.statistics.permutation import TIED, AnySide
from helpers.statistics.ranks import floats
from helpers.statistics.replicates import Interval, share_interval
from helpers.validation import check_number

_ENUMERATED = 100_000
"""Arrangements of labels up to which all of them are looked at."""


@dataclass(frozen=True)
class StratifiedTest:
    """What `stratified_test` found.

    Attributes
    ----------
    difference : float
        Mean of the chosen less that of the others, within strata, averaged with weights
        c o / (c + o) for c chosen ones and o others; NaN if no stratum has both.
    p : float
        In (0, 1]; NaN if no stratum has both.
    interval : Interval
        Of p, at 95 %, if it was estimated from random arrangements; of no length if all were
        looked at.
    n_chosen, n_others : int
        How many are in strata that have both; the others tell nothing.
    reason : str
        Why nothing was tested; empty if something was.
    """

    difference: float
    p: float
    interval: Interval
    n_chosen: int
    n_others: int
    reason: str = ""


def stratified_test(
    values: npt.ArrayLike,
    chosen: npt.ArrayLike,
    strata: npt.ArrayLike,
    side: AnySide = "two-sided",
    n_draws: int = 9999,
    random_state: int = 0,
) -> StratifiedTest:
    """Test whether the chosen values are larger than others of the same stratum, by permutations.

    Parameters
    ----------
    values : array-like of float or bool, shape (n,)
        What is compared: of bool, the share of those that are true.
    chosen : array-like of bool, shape (n,)
        The two groups.
    strata : array-like, shape (n,)
        What is permuted among itself only.
    side : {"right", "left", "two-sided"}
        Whether it counts if the chosen values are larger, smaller, or either.
    n_draws : int
        Random arrangements, from 1, where there are too many to look at each; not of bool.
    random_state : int
        Seed of these.

    Returns
    -------
    StratifiedTest

    Raises
    ------
    ValueError
        If shapes do not fit, a value is NaN or infinite, a stratum is missing, or an option is
        unknown.

    Notes
    -----
    The statistic is the sum of the chosen values. Which values are chosen is rearranged within
    each stratum in all ways, of which p is the share with a sum at least as extreme; or, where
    these are too many, in n_draws random ways, and p = (r + 1) / (n_draws + 1). Of bool all ways
    are known without looking (hypergeometric in each stratum): in one stratum this is Fisher's
    exact test. Two-sided p values are twice the smaller one.
    """
    numbers = floats(values)
    is_chosen, of = np.asarray(chosen, dtype=bool), np.asarray(strata)
    _check(numbers, is_chosen, of, side, n_draws)
    parts = []
    for name in dict.fromkeys(of.tolist()):
        part, mask = numbers[of == name], is_chosen[of == name]
        if mask.any() and not mask.all():
            # Around the mean, so that the sum tells how far the chosen lie above the stratum.
            parts.append((part - part.mean(), mask))
    if not parts:
        nan = float("nan")
        reason = "no stratum has values of both groups"
        return StratifiedTest(nan, nan, Interval(nan, nan), 0, 0, reason)
    above = sum(float(part[mask].sum()) for part, mask in parts)
    noise = TIED * sum(float(np.abs(part).sum()) for part, _ in parts)
    sizes = [(len(mask), int(mask.sum())) for _, mask in parts]
    centred = [part for part, _ in parts]
    if np.isin(numbers, (0, 1)).all():
        sums, shares, is_exact = *_of_zeros_and_ones(centred, sizes), True
    else:
        sums, shares, is_exact = _rearranged(centred, sizes, n_draws, random_state)
    right, left = sums >= above - noise, sums <= above + noise
    beyond = {"right": [right], "left": [left], "two-sided": [right, left]}[side]
    factor = len(beyond)
    if is_exact:
        p = factor * min(float(shares[each].sum()) for each in beyond)
        interval = Interval(p, p)
    else:
        n_beyond = min(int(each.sum()) for each in beyond)
        p = factor * (n_beyond + 1) / (n_draws + 1)
        of_share = share_interval(n_beyond, n_draws)
        interval = Interval(factor * of_share.low, factor * of_share.high)
    n_chosen, n_all = sum(c for _, c in sizes), sum(n for n, _ in sizes)
    return StratifiedTest(
        difference=above / sum(c * (n - c) / n for n, c in sizes),
        p=min(1.0, p),
        interval=Interval(min(1.0, interval.low), min(1.0, interval.high)),
        n_chosen=n_chosen,
        n_others=n_all - n_chosen,
    )


def _check(
    values: npt.NDArray[np.float64],
    chosen: npt.NDArray[np.bool_],
    strata: npt.NDArray[np.generic],
    side: AnySide,
    n_draws: int,
) -> None:
    if values.ndim != 1 or chosen.shape != values.shape or strata.shape != values.shape:
        raise ValueError(
            f"values, chosen and strata: shapes {values.shape}, {chosen.shape} and "
            f"{strata.shape} were given; accepted are one-dimensional arrays of one length"
        )
    if pd.isna(strata).any():
        raise ValueError("strata: some are missing; accepted is one for each value")
    if not np.isfinite(values).all():
        raise ValueError("values: accepted are finite numbers; leave undefined values out first")
    if side not in ("right", "left", "two-sided"):
        raise ValueError(f"side: {side!r} was given; accepted are right, left, two-sided")
    check_number("n_draws", n_draws)


def _of_zeros_and_ones(
    parts: list[npt.NDArray[np.float64]], sizes: list[tuple[int, int]]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the sums that chosen zeros and ones can have, and how often: hypergeometric ones."""
    lowest, shares = 0.0, np.ones(1)
    for part, (n, c) in zip(parts, sizes, strict=True):
        ones = int((part > 0).sum())  # Around their mean; where all are equal, it does not matter.
        lowest += c * float(part.min())
        shares = np.convolve(shares, scipy.stats.hypergeom.pmf(np.arange(c + 1), n, ones, c))
    return np.arange(len(shares), dtype=np.float64) + lowest, shares


def _rearranged(
    parts: list[npt.NDArray[np.float64]],
    sizes: list[tuple[int, int]],
    n_draws: int,
    random_state: int,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], bool]:
    """Return sums of the chosen under rearrangements, their shares, and whether these are all."""
    if prod(comb(n, c) for n, c in sizes) <= _ENUMERATED:
        sums = np.zeros(1)
        for part, (_, c) in zip(parts, sizes, strict=True):
            choices = np.array([sum(each) for each in combinations(part.tolist(), c)])
            sums = np.add.outer(sums, choices).ravel()
        return sums, np.full(len(sums), 1 / len(sums)), True
    rng = np.random.default_rng(random_state)
    sums = np.zeros(n_draws)
    for part, (_, c) in zip(parts, sizes, strict=True):
        sums += rng.permuted(np.tile(part, (n_draws, 1)), axis=1)[:, :c].sum(axis=1)
    return sums, np.full(n_draws, 1 / n_draws), False
