"""Sub-clusters beside those of permuted partitions: the exact test, and how much they matter."""

from collections.abc import Collection, Sequence
from itertools import islice, tee
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from helpers import statistics
from helpers.measures.equal_damage import EqualDamage, wherever
from helpers.statistics import PermutationTest, SequentialTest
from helpers.statistics.ranks import Side

if TYPE_CHECKING:
    from helpers.lesions.nested import Orderings

FOUND = 0.05
"""A sub-cluster is found if its own p value is at most this: one in twenty is by chance."""

BY_CHANCE = {"importance": 0.0, "coherence": 50.0}
"""The effects of parts that are like permuted ones: points beyond these; and of the random sets of
the same damage, the percentage that is less uneven."""

_NORMAL = 1.96
"""Standard errors on either side of an effect within which it lies with a probability of 95 %."""

_SIDES: dict[str, Side] = {"importance": "right", "coherence": "left"}
"""Which values of damage, and of p at equal damage, are extreme."""

_BOUNDS = {
    "importance": (-100, 100),
    "coherence": (0, 100),
    "agreement": (-100, np.inf),
    "score": (-100, np.inf),
}
"""What effects can be, in percent."""


def against_permuted(
    right: Sequence[npt.NDArray[np.bool_]] | npt.NDArray[np.bool_],
    intact: npt.NDArray[np.bool_],
    classes: npt.NDArray[np.integer[Any]],
    layers: Sequence[str],
    complete: npt.ArrayLike,
    nested: "Orderings",
    n_bootstraps: int = 200,
    seed: int = 0,
    n_reference: int = 0,
) -> pd.DataFrame:
    """Test a partition's sub-clusters against those of its permutations, and say how far apart.

    Parameters
    ----------
    right : sequence of ndarray of bool, 1 + B of shape (k, n_images)
        Whether each image is classified correctly when a sub-cluster is lesioned: first those of
        the partition, then the same, by layer and size, of B permuted partitions. They
        are looked at in this order.
    intact : ndarray of bool, shape (n_images,)
        The same of the intact network.
    classes : ndarray of int, shape (n_images,)
        Class of each image, from 0.
    layers : sequence of str, length k
        Layer of each sub-cluster.
    complete : array-like of bool, shape (k,)
        Which sub-clusters no permutation changes: they are not tested.
    nested : Orderings
        What random sets of the layers' units cost, image by image: each image is a class of its
        own. See `Orderings.summed`.
    n_bootstraps : int
        How often images are drawn again, with replacement and within classes, at least 2.
    seed : int
        Of the bootstraps.
    n_reference : int
        If any, the tests are sequential: of the permuted partitions, the first so many, fewer than
        B, are the reference, and no more of the others are looked at than the answers need.

    Returns
    -------
    pandas.DataFrame
        One row for "importance" and one for "coherence": measure; tested and complete, numbers of
        sub-clusters; comparable, how many of the tested ones there is an effect of; p of
        `statistics.permutation_test`, or of `statistics.sequential_permutation_test` if there is a
        reference, for all of them together; permuted, how many permuted partitions it took; found,
        how many have a p value of their own of at most `FOUND`, not corrected for their number;
        effect, and the ends low and high of its 95 % interval, 1.96 standard errors of bootstraps
        over images on either side, cut where no effect can be; they are for this network, this
        partition, and these permutations and random sets. NaN if none is tested or comparable.

        The effect on importance is the accuracy that the lesion of a sub-cluster costs beyond the
        mean of the permuted ones', in percentage points; that on coherence is how many of the
        random sets of its layer that cost as many images are less uneven across classes than it
        is, in percent: 50 if it does not matter which units it has. Both are means over
        sub-clusters.

    Raises
    ------
    ValueError
        If shapes do not fit, or there are no permutations, too few of them beside the reference,
        or too few bootstraps.

    Notes
    -----
    Coherence is that of `measures.coherence`: a sub-cluster that is not comparable has a p value
    of 1 and stays in the test. To leave it out, judged by what was measured, would make the test
    inexact. Effects are beyond the mean of all permuted partitions, or of the reference's: how many
    others there are depends on what they are.
    """
    is_complete = np.asarray(complete, dtype=bool)
    k, n_images = len(is_complete), len(classes)
    shape = (len(right), *np.shape(right[0]))
    if shape[0] < 2 or shape[1:] != (k, n_images) or len(layers) != k:
        raise ValueError(
            f"right: shape {shape} was given; accepted is (1 + B, {k}, {n_images}), with B "
            f"from 1, and {k} layers, of which {len(layers)} were given"
        )
    n_further = shape[0] - 1 - n_reference
    if n_reference < 0 or (n_reference and n_further < 1):
        raise ValueError(
            f"n_reference: {n_reference} was given; accepted are integers from 0 to "
            f"{shape[0] - 2}, so that one permuted partition is left to draw"
        )
    if n_bootstraps < 2:
        raise ValueError(f"n_bootstraps: {n_bootstraps} was given; accepted are integers from 2")
    one_hot = np.eye(int(np.max(classes)) + 1, dtype=np.float32)[classes]
    tested = np.flatnonzero(~is_complete)
    theirs = [layer for layer, is_one in zip(layers, is_complete, strict=True) if not is_one]
    rows = (np.asarray(each)[tested] for each in right)
    summed, n_correct = nested.summed(one_hot), int(intact.sum())
    # Not all at once: those that are not looked at need not have been lesioned.
    known = np.array(list(islice(rows, 1 + n_reference if n_reference else None)))
    values, is_comparable, beaten = _judged(known, one_hot, n_correct, theirs, summed)
    further = (_judged(each[np.newaxis], one_hot, n_correct, theirs, summed)[0] for each in rows)
    found: dict[str, SequentialTest | PermutationTest] = {}
    n_permuted = dict.fromkeys(_SIDES, len(known) - 1)
    for (measure, side), drawn in zip(_SIDES.items(), tee(further), strict=True):
        true, others = values[measure][0], values[measure][1:]
        if not n_reference:
            found[measure] = statistics.permutation_test(true, others, side)
            continue
        draws = (each[measure][0] for each in drawn)
        found[measure] = test = statistics.sequential_permutation_test(
            true, others, draws, side, max_permutations=n_further
        )
        n_permuted[measure] += test.n_permutations

    # Beyond the permuted ones' mean, image by image: no bootstrap needs to count them again.
    beyond = known[1:].mean(axis=0) - known[0]
    chosen = [layer for layer, is_one in zip(theirs, is_comparable, strict=True) if is_one]
    resampled = []
    for block in statistics.drawn_again(classes, n_bootstraps, np.random.default_rng(seed)):
        for weights in block.astype(np.float32):
            weighted = weights[:, np.newaxis] * one_hot
            again = _counts(known[0, is_comparable], weighted)
            at_damage = _at_equal_damage(again[np.newaxis], chosen, nested.summed(weighted))
            beaten_again = _mean([each.beaten[0] for each in at_damage])
            resampled.append((100 * _mean(beyond @ weights / n_images), 100 * beaten_again))
    effects = {
        "importance": (len(tested), 100 * _mean(beyond.mean(axis=-1))),
        "coherence": (len(chosen), 100 * _mean(beaten[is_comparable])),
    }
    margins = _NORMAL * pd.DataFrame(resampled, columns=list(found)).std()
    return pd.DataFrame(
        {
            "measure": measure,
            "tested": len(tested),
            "complete": int(is_complete.sum()),
            "comparable": n_comparable,
            "p": found[measure].p,
            "permuted": n_permuted[measure],
            "found": int((found[measure].each <= FOUND).sum()),
            "effect": effect,
            "low": float(np.clip(effect - margins[measure], *_BOUNDS[measure])),
            "high": float(np.clip(effect + margins[measure], *_BOUNDS[measure])),
        }
        for measure, (n_comparable, effect) in effects.items()
    )


def over_replicates(table: pd.DataFrame) -> pd.DataFrame:
    """Average what partitions find over networks trained alike.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `against_permuted`, `evaluation.compare_pictures` or `compare_scores`, with columns
        network, replicate and partition.

    Returns
    -------
    pandas.DataFrame
        One row per network, partition and measure: the mean effect over the replicates of which
        any sub-cluster is tested, with Student's 95 % interval, low and high, cut where no effect
        can be, NaN if there are fewer than two; p, that the effect is in no more than half of the
        replicates (`statistics.partial_conjunction`); found, in how many of them p is at most
        `FOUND`; and tested, how many replicates there are.
    """
    rows = []
    groups = table.groupby(["network", "partition", "measure"], sort=False)
    for (network, partition, measure), each in groups:
        effects = each["effect"].dropna()
        low, high = np.clip(statistics.mean_interval(effects), *_BOUNDS[str(measure)])
        known = each["p"].dropna()
        rows.append(
            {
                "network": network,
                "partition": partition,
                "measure": measure,
                "effect": effects.mean(),
                "low": low,
                "high": high,
                "p": statistics.partial_conjunction(known, len(each) // 2 + 1)
                if len(known) == len(each)
                else np.nan,
                "found": int((each["p"] <= FOUND).sum()),
                "tested": len(each),
            }
        )
    return pd.DataFrame(rows)


def leading(table: pd.DataFrame, controls: Collection[str] = ()) -> pd.DataFrame:
    """Say which partition of each network finds the most, and which cannot be told from it.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `against_permuted`, `evaluation.compare_pictures` or `compare_scores`, with columns
        network and partition.
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


def _judged(
    right: npt.NDArray[np.bool_],
    one_hot: npt.NDArray[np.float32],
    n_correct: int,
    layers: Sequence[str],
    nested: "Orderings",
) -> tuple[dict[str, npt.NDArray[Any]], npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    """Return what the tests compare, (n, k), and of the first row what is comparable and beaten."""
    counts = _counts(right, one_hot)
    compared = _at_equal_damage(counts, layers, nested)
    p = np.array([each.p for each in compared]).reshape(len(layers), len(right)).T
    is_comparable = np.array([each.is_comparable[0] for each in compared], dtype=bool)
    beaten = np.array([each.beaten[0] for each in compared], dtype=np.float64)
    values = {"importance": n_correct - counts.sum(axis=-1), "coherence": p}
    return values, is_comparable, beaten


def _at_equal_damage(
    counts: npt.NDArray[np.int64], layers: Sequence[str], nested: "Orderings"
) -> list[EqualDamage]:
    """Compare each sub-cluster, and those of permuted partitions, shape (1 + B, k, n_classes)."""
    return [wherever(counts[:, j], layer, nested) for j, layer in enumerate(layers)]


def _counts(
    right: npt.NDArray[np.bool_], one_hot: npt.NDArray[np.float32]
) -> npt.NDArray[np.int64]:
    """Return images of each class that are classified correctly, shape (..., n_classes)."""
    return np.asarray(np.rint(right.astype(np.float32) @ one_hot), dtype=np.int64)


def _mean(values: npt.ArrayLike) -> float:
    """Return the mean of all that are not NaN; NaN if there are none."""
    known = np.asarray(values, dtype=np.float64)
    known = known[~np.isnan(known)]
    return float(known.mean()) if len(known) else float("nan")
