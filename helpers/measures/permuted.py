"""Sub-clusters beside those of permuted partitions: the exact test, and how much they matter."""

from collections.abc import Collection
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from helpers import statistics
from helpers.measures.class_range import class_wise_range

FOUND = 0.05
"""A sub-cluster is found if its own p value is at most this: one in twenty is by chance."""

_NORMAL = 1.96
"""Standard errors on either side of an effect within which it lies with a probability of 95 %."""


def against_permuted(
    right: npt.NDArray[np.bool_],
    intact: npt.NDArray[np.bool_],
    classes: npt.NDArray[np.integer[Any]],
    complete: npt.ArrayLike,
    n_bootstraps: int = 200,
    seed: int = 0,
) -> pd.DataFrame:
    """Test a partition's sub-clusters against those of its permutations, and say how far apart.

    Parameters
    ----------
    right : ndarray of bool, shape (1 + B, k, n_images)
        Whether each image is classified correctly when a sub-cluster is lesioned: first those of
        the partition, then the same, by layer and size, of B permuted partitions.
    intact : ndarray of bool, shape (n_images,)
        The same of the intact network.
    classes : ndarray of int, shape (n_images,)
        Class of each image, from 0.
    complete : array-like of bool, shape (k,)
        Which sub-clusters no permutation changes: they are not tested.
    n_bootstraps : int
        How often images are drawn again, with replacement and within classes, at least 2.
    seed : int
        Of the bootstraps.

    Returns
    -------
    pandas.DataFrame
        One row for "importance" and one for "class_range": measure; tested and complete, numbers
        of sub-clusters; p of `statistics.permutation_test`, for all of them together; found, how
        many have a p value of their own of at most `FOUND`, not corrected for their number; effect,
        and the ends low and high of its 95 % interval, 1.96 standard errors of bootstraps over
        images on either side, for this network, this partition and these permutations. NaN if none
        is tested.

        The effect on importance is the accuracy that the lesion of a sub-cluster costs beyond the
        mean of the permuted ones', in percentage points; that on the class-wise range is the
        probability that its range exceeds a permuted one's (ties count half), in percent: 50 if it
        does not matter which units it has. Both are means over the tested sub-clusters.

    Raises
    ------
    ValueError
        If shapes do not fit, or there are no permutations or too few bootstraps.

    Notes
    -----
    A class-wise range that is undefined, because next to nothing is lost, counts as 0, the least
    extreme there is, of true and permuted sub-clusters alike: to leave them out, judged by what was
    measured, would make the test inexact.
    """
    is_complete = np.asarray(complete, dtype=bool)
    k, n_images = len(is_complete), len(classes)
    if right.ndim != 3 or len(right) < 2 or right.shape[1:] != (k, n_images):
        raise ValueError(
            f"right: shape {right.shape} was given; accepted is (1 + B, {k}, {n_images}), with B "
            "from 1"
        )
    if n_bootstraps < 2:
        raise ValueError(f"n_bootstraps: {n_bootstraps} was given; accepted are integers from 2")
    one_hot = np.eye(int(np.max(classes)) + 1, dtype=np.float32)[classes]
    sizes = one_hot.sum(axis=0).astype(np.int64)
    tested = np.flatnonzero(~is_complete)
    judged = np.concatenate(
        [right[:, tested], np.broadcast_to(intact, (len(right), 1, n_images))], 1
    )
    judged = judged.astype(np.float32)

    def counted(weights: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
        return np.asarray(np.rint(judged @ (weights[:, np.newaxis] * one_hot)), dtype=np.int64)

    counts = counted(np.ones(n_images, np.float32))
    ranges = class_wise_range(counts[:, :-1], counts[0, -1], sizes)
    values = {"importance": _damages(counts), "class_range": np.nan_to_num(ranges, nan=0.0)}
    rng = np.random.default_rng(seed)
    drawn = [_effects(counted(_redrawn(classes, rng)), sizes) for _ in range(n_bootstraps)]
    rows = []
    for measure, effect, again in zip(
        values, _effects(counts, sizes), np.transpose(drawn), strict=True
    ):
        true, *permuted = values[measure]
        found = statistics.permutation_test(true, permuted, "right")
        margin = _NORMAL * float(np.std(again, ddof=1))
        rows.append(
            {
                "measure": measure,
                "tested": len(tested),
                "complete": int(is_complete.sum()),
                "p": found.p,
                "found": int((found.each <= FOUND).sum()),
                "effect": effect,
                "low": effect - margin,
                "high": effect + margin,
            }
        )
    return pd.DataFrame(rows)


def leading(table: pd.DataFrame, controls: Collection[str] = ()) -> pd.DataFrame:
    """Say which partition of each network finds the most, and which cannot be told from it.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `against_permuted`, with columns network and partition.
    controls : collection of str
        Partitions that cannot lead.

    Returns
    -------
    pandas.DataFrame
        One row per network and measure of which any sub-cluster is tested: network, measure; leads,
        the partition with the largest effect; its effect, low, high and p; alike, the other
        partitions, controls included, whose interval overlaps with its own.
    """
    rows = []
    groups = table.dropna(subset="effect").groupby(["network", "measure"], sort=False)
    for (network, measure), rivals in groups:
        candidates = rivals[~rivals["partition"].isin(controls)]
        if not len(candidates):
            continue
        best = candidates.iloc[int(np.argmax(candidates["effect"]))]
        others = rivals[rivals["partition"] != best["partition"]]
        alike = others[(others["high"] >= best["low"]) & (others["low"] <= best["high"])]
        rows.append(
            {
                "network": network,
                "measure": measure,
                "leads": best["partition"],
                **best[["effect", "low", "high", "p"]],
                "alike": tuple(alike["partition"]),
            }
        )
    return pd.DataFrame(rows)


def _redrawn(
    classes: npt.NDArray[np.integer[Any]], rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    """Return how often each image is drawn, if each class's are drawn with replacement."""
    weights = np.zeros(len(classes), np.float32)
    for each in np.unique(classes):
        members = np.flatnonzero(classes == each)
        weights[members] = rng.multinomial(len(members), np.full(len(members), 1 / len(members)))
    return weights


def _damages(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return how many images are lost: those of the intact network come last."""
    totals = counts.sum(axis=-1)
    return np.asarray(totals[:, -1:] - totals[:, :-1])


def _effects(counts: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64]) -> tuple[float, float]:
    """Return both effects, from counts of shape (1 + B, tested + 1, n_classes)."""
    if counts.shape[1] == 1:
        return float("nan"), float("nan")
    damages = _damages(counts) / sizes.sum()
    ranges = _ranges(counts, sizes)
    exceeded = (ranges[0] > ranges[1:]) + 0.5 * (ranges[0] == ranges[1:])
    beyond = damages[0] - damages[1:].mean(axis=0)
    return 100 * float(beyond.mean()), 100 * float(exceeded.mean())


def _ranges(counts: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return class-wise ranges, 0 where undefined, as `class_wise_range` but for rounding."""
    present = sizes > 0
    losses = ((counts[:, -1:] - counts[:, :-1]) / np.maximum(sizes, 1))[..., present]
    means = np.abs(losses.mean(axis=-1))
    is_defined = means >= (1 - 1e-9) / sizes.max()
    spans = np.ptp(losses, axis=-1)
    # Ranges that are equal as fractions must tie, whatever the rounding.
    ratios = np.divide(spans, means, out=np.zeros_like(spans), where=is_defined)
    return np.asarray(np.round(ratios, 9))
