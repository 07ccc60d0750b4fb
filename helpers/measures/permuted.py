"""Sub-clusters beside those of permuted partitions: the exact test, and how much they matter."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from helpers import statistics
from helpers.measures.equal_damage import EqualDamage, wherever

if TYPE_CHECKING:
    from helpers.lesions.nested import Orderings

FOUND = 0.05
"""A sub-cluster is found if its own p value is at most this: one in twenty is by chance."""

_NORMAL = 1.96
"""Standard errors on either side of an effect within which it lies with a probability of 95 %."""

_BOUNDS = {"importance": (-100, 100), "coherence": (0, 100)}
"""What effects can be, in percent."""


def against_permuted(
    right: npt.NDArray[np.bool_],
    intact: npt.NDArray[np.bool_],
    classes: npt.NDArray[np.integer[Any]],
    layers: Sequence[str],
    complete: npt.ArrayLike,
    nested: "Orderings",
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

    Returns
    -------
    pandas.DataFrame
        One row for "importance" and one for "coherence": measure; tested and complete, numbers of
        sub-clusters; comparable, how many of the tested ones there is an effect of; p of
        `statistics.permutation_test`, for all of them together; found, how many have a p value of
        their own of at most `FOUND`, not corrected for their number; effect, and the ends low and
        high of its 95 % interval, 1.96 standard errors of bootstraps over images on either side,
        cut where no effect can be; they are for this network, this partition, and these
        permutations and random sets. NaN if none is tested or comparable.

        The effect on importance is the accuracy that the lesion of a sub-cluster costs beyond the
        mean of the permuted ones', in percentage points; that on coherence is how many of the
        random sets of its layer that cost as many images are less uneven across classes than it
        is, in percent: 50 if it does not matter which units it has. Both are means over
        sub-clusters.

    Raises
    ------
    ValueError
        If shapes do not fit, or there are no permutations or too few bootstraps.

    Notes
    -----
    Coherence is that of `measures.coherence`: a sub-cluster that is not comparable has a p value
    of 1 and stays in the test. To leave it out, judged by what was measured, would make the test
    inexact.
    """
    is_complete = np.asarray(complete, dtype=bool)
    k, n_images = len(is_complete), len(classes)
    if right.ndim != 3 or len(right) < 2 or right.shape[1:] != (k, n_images) or len(layers) != k:
        raise ValueError(
            f"right: shape {right.shape} was given; accepted is (1 + B, {k}, {n_images}), with B "
            f"from 1, and {k} layers, of which {len(layers)} were given"
        )
    if n_bootstraps < 2:
        raise ValueError(f"n_bootstraps: {n_bootstraps} was given; accepted are integers from 2")
    one_hot = np.eye(int(np.max(classes)) + 1, dtype=np.float32)[classes]
    tested = np.flatnonzero(~is_complete)
    theirs = [layer for layer, is_one in zip(layers, is_complete, strict=True) if not is_one]
    counts = np.array([_counts(each[tested], one_hot) for each in right])
    damages = intact.sum() - counts.sum(axis=-1)
    compared = _at_equal_damage(counts, theirs, nested.summed(one_hot))
    p = np.array([each.p for each in compared]).reshape(len(tested), len(right)).T
    is_comparable = np.array([each.is_comparable[0] for each in compared], dtype=bool)
    found = {
        "importance": statistics.permutation_test(damages[0], damages[1:], "right"),
        "coherence": statistics.permutation_test(p[0], p[1:], "left"),
    }

    # Beyond the permuted ones' mean, image by image: no bootstrap needs to count them again.
    beyond = right[1:, tested].mean(axis=0) - right[0, tested]
    chosen = [layer for layer, is_one in zip(theirs, is_comparable, strict=True) if is_one]
    beaten = np.array([each.beaten[0] for each in compared])[is_comparable]
    drawn = []
    for block in statistics.drawn_again(classes, n_bootstraps, np.random.default_rng(seed)):
        for weights in block.astype(np.float32):
            weighted = weights[:, np.newaxis] * one_hot
            again = _counts(right[0, tested[is_comparable]], weighted)
            at_damage = _at_equal_damage(again[np.newaxis], chosen, nested.summed(weighted))
            beaten_again = _mean([each.beaten[0] for each in at_damage])
            drawn.append((100 * _mean(beyond @ weights / n_images), 100 * beaten_again))
    effects = {
        "importance": (len(tested), 100 * _mean(beyond.mean(axis=-1))),
        "coherence": (len(chosen), 100 * _mean(beaten)),
    }
    margins = _NORMAL * pd.DataFrame(drawn, columns=list(found)).std()
    return pd.DataFrame(
        {
            "measure": measure,
            "tested": len(tested),
            "complete": int(is_complete.sum()),
            "comparable": n_comparable,
            "p": found[measure].p,
            "found": int((found[measure].each <= FOUND).sum()),
            "effect": effect,
            "low": float(np.clip(effect - margins[measure], *_BOUNDS[measure])),
            "high": float(np.clip(effect + margins[measure], *_BOUNDS[measure])),
        }
        for measure, (n_comparable, effect) in effects.items()
    )


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
