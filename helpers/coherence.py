"""The second proxy, coherence: whether the units of a sub-cluster belong together.

Output coherence under lesions (section 3.2 of the paper): the class-wise range tells how
unevenly a lesion's damage falls on the classes. Input coherence by correlations (section 3.1.1):
a sub-cluster's picture has much contrast if its units respond strongly, and to the same things;
agreement tells only the latter; and on paired images its preference tells how much more of it is
in one part than in the other. The paper looks at these pictures; measuring them is ours.
Coherence by construction (section 3.1.2, appendix A.8): how strongly a single input can drive all
units (score), how sure the network is of that input's class (entropy), and how equally the input
drives the units (activation variance, coefficient of variation).
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from helpers import lesions, statistics
from helpers.backend import keras
from helpers.construction import Constructions
from helpers.correlations import Pictures
from helpers.profiles import LesionProfiles, class_weights
from helpers.protocols import PAPER, Protocol
from helpers.statistics import Side

MAX_TRIES = 50
"""Twins are redrawn until n are defined, but at most this many times n are drawn."""


def class_wise_range(
    counts: npt.NDArray[np.int64],
    intact: npt.NDArray[np.int64],
    class_sizes: npt.NDArray[np.int64],
    keeps_undefined: bool = False,
) -> npt.NDArray[np.float64]:
    """Return the normalised class-wise range of lesions (section 3.2 of the paper).

    With d the changes of the classes' accuracies, it is (max d - min d) / abs(mean d).

    Parameters
    ----------
    counts : ndarray of int, shape (..., n_classes)
        Correctly classified images per class under each lesion.
    intact : ndarray of int, shape (n_classes,)
        The same of the intact network.
    class_sizes : ndarray of int, shape (n_classes,)
        Images per class. Classes without images are left out.
    keeps_undefined : bool
        If true, only a mean of exactly zero is undefined, as in the released code.

    Returns
    -------
    ndarray of float, shape (...)
        At least 0; NaN where it is undefined because the mean class damage, in absolute value,
        is smaller than one image in the largest class. Ranges that are equal as fractions are
        equal as floats: everything up to the last division is done on integers.
    """
    weights, common = class_weights(class_sizes)
    present = class_sizes > 0
    damages = ((intact - counts).astype(object) * weights)[..., present]
    n_classes = int(present.sum())
    totals = np.asarray(abs(damages.sum(axis=-1)), dtype=object)
    spans = np.asarray(damages.max(axis=-1) - damages.min(axis=-1), dtype=object)
    least = 1 if keeps_undefined else n_classes * common // int(class_sizes.max())
    defined = np.asarray(totals >= least, dtype=bool)
    ranges = np.asarray(n_classes * spans / np.where(defined, totals, 1), dtype=np.float64)
    return np.where(defined, ranges, np.nan)


def class_range(
    model: keras.Model,
    x: npt.NDArray[np.float32],
    y: npt.NDArray[np.integer[Any]],
    profiles: LesionProfiles,
    protocol: Protocol = PAPER,
    seed: int = 0,
) -> pd.DataFrame:
    """Test each sub-cluster of a network for a large class-wise range.

    Parameters
    ----------
    model, x, y
        Those of which `profiles` were taken; twins whose range is undefined are redrawn on them.
    profiles : LesionProfiles
        Of `profiles.lesion_profiles`.
    protocol : Protocol
        How undefined ranges and ties count, and whether complete sub-clusters are tested.
    seed : int
        Seed of the redrawn twins.

    Returns
    -------
    pandas.DataFrame
        One row per sub-cluster: layer, cluster, size, share, complete, intact, lesioned (as in
        `LesionProfiles.describe`); value, its class-wise range; random_1 to random_n, those of
        its twins; undefined_twins, how many of all twins drawn were undefined (unless the
        protocol keeps them, others are drawn for the sub-clusters that are tested); excluded,
        "complete", "undefined" or "twins undefined" (fewer than n were defined among 50 n), or
        ""; p, NaN if it is not tested.
    """
    table = profiles.describe()
    true = _ranges(profiles.true, profiles, protocol)
    random = _ranges(profiles.random, profiles, protocol)
    excluded = np.full(len(table), "", dtype=object)
    if not protocol.keeps_undefined:
        excluded[np.isnan(true)] = "undefined"
    if not protocol.keeps_complete:
        excluded[table["complete"]] = "complete"
    n_undefined = np.isnan(random).sum(axis=1)
    if not protocol.keeps_undefined:
        drawn = _redrawn(model, x, y, profiles, protocol, random, excluded == "", seed)
        n_undefined = np.array([np.isnan(ranges).sum() for ranges in drawn], dtype=int)
        defined = [_first_defined(ranges, profiles.n_random) for ranges in drawn]
        random = np.reshape(defined, random.shape)
        excluded[np.isnan(random).any(axis=1) & (excluded == "")] = "twins undefined"
    return table.assign(
        value=true,
        **{f"random_{i + 1}": random[:, i] for i in range(profiles.n_random)},
        undefined_twins=n_undefined,
        excluded=excluded,
        p=[
            np.nan if why else _p_value(one, twins, protocol)
            for one, twins, why in zip(true, random, excluded, strict=True)
        ],
    )


def profile_range(profiles: LesionProfiles, protocol: Protocol = PAPER) -> pd.DataFrame:
    """Test each sub-cluster for a large range of its profile of damages, whatever their size.

    The class-wise range divides by the mean damage and so shrinks as the damage grows, because
    no class can lose more than all. The length of the profile has no such effect.

    Parameters
    ----------
    profiles : LesionProfiles
        Of `profiles.lesion_profiles`.
    protocol : Protocol
        How ties count, and whether complete sub-clusters are tested.

    Returns
    -------
    pandas.DataFrame
        As of `statistics.compare`; value is the largest less the smallest loss of a class's
        accuracy, divided by the Euclidean length of all losses, in [0, sqrt(2)]; 0 without any
        loss or gain. Large is extreme.
    """
    return statistics.compare(
        profiles.describe(),
        _spans(profiles.true, profiles),
        _spans(profiles.random, profiles),
        "right",
        protocol.ties,
        protocol.keeps_complete,
    )


def contrast(pictures: Pictures, protocol: Protocol = PAPER) -> pd.DataFrame:
    """Test each sub-cluster of a network for a picture of high contrast.

    Parameters
    ----------
    pictures : Pictures
        Of `correlations.pictures`, with the protocol's number of sign iterations.
    protocol : Protocol
        How ties count, and whether complete sub-clusters are tested.

    Returns
    -------
    pandas.DataFrame
        As of `statistics.compare`; value is the root mean square contrast (Peli, 1990): the
        standard deviation of the picture's correlations over the inputs, in [0, 1].
    """
    true, random = pictures.true.std(axis=-1), pictures.random.std(axis=-1)
    return _compared(pictures, true, random, "right", protocol)


def agreement(pictures: Pictures, protocol: Protocol = PAPER) -> pd.DataFrame:
    """Test each sub-cluster of a network for maps that agree, however strong they are.

    Parameters
    ----------
    pictures, protocol
        As for `contrast`.

    Returns
    -------
    pandas.DataFrame
        As of `statistics.compare`; value is the length of the picture relative to the mean
        length of the maps that it is the mean of: 1 if all have the same direction, near 0 if
        they cancel.
    """
    lengths = (np.linalg.norm(each, axis=-1) for each in (pictures.true, pictures.random))
    strengths = (pictures.true_strength, pictures.random_strength)
    true, random = (length / strength for length, strength in zip(lengths, strengths, strict=True))
    return _compared(pictures, true, random, "right", protocol)


def preference(
    pictures: Pictures, parts: npt.NDArray[np.intp], protocol: Protocol = PAPER
) -> pd.DataFrame:
    """Test each sub-cluster of a network for a picture of one part of the input only.

    Parameters
    ----------
    pictures : Pictures
        Of `correlations.pictures`, with the protocol's number of sign iterations.
    parts : ndarray of int, shape (inputs,)
        Part 0 or 1 that each input belongs to, as of `datasets.parts`.
    protocol : Protocol
        How ties count, and whether complete sub-clusters are tested.

    Returns
    -------
    pandas.DataFrame
        As of `statistics.compare`, and preferred, the part 0 or 1. With E0 and E1 the mean
        squares of the picture's correlations over the parts, value is
        abs(E1 - E0) / (E1 + E0): 0 without any preference, 1 if the picture is 0 in one part.

    Raises
    ------
    ValueError
        If `parts` does not give 0 or 1 for each input, and each of them at least once.
    """
    n_inputs = pictures.true.shape[-1]
    if parts.shape != (n_inputs,) or not np.array_equal(np.unique(parts), (0, 1)):
        raise ValueError(f"parts: 0 or 1 is needed for each of {n_inputs} inputs, both used")
    true, random = (_difference(each, parts == 1) for each in (pictures.true, pictures.random))
    table = _compared(pictures, np.abs(true), np.abs(random), "right", protocol)
    return table.assign(preferred=(true > 0).astype(int))


def score(made: Constructions, protocol: Protocol = PAPER) -> pd.DataFrame:
    """Test whether single inputs drive true sub-clusters more strongly than random ones.

    Parameters
    ----------
    made : Constructions
        Of `construction.constructions`, with twins from the protocol's pool.
    protocol : Protocol
        How ties count, and whether complete sub-clusters are tested.

    Returns
    -------
    pandas.DataFrame
        As of `statistics.compare`; value is the score. Large is extreme.
    """
    return _compared(made, made.scores[:, 0], made.scores[:, 1:], "right", protocol)


def output_entropy(made: Constructions, protocol: Protocol = PAPER) -> pd.DataFrame:
    """Test whether the network is surer of the inputs made for true sub-clusters.

    Parameters
    ----------
    made, protocol
        As for `score`.

    Returns
    -------
    pandas.DataFrame
        As of `statistics.compare`; value is the entropy in nats. Small is extreme.
    """
    return _compared(made, made.entropies[:, 0], made.entropies[:, 1:], "left", protocol)


def activation_variance(made: Constructions, protocol: Protocol = PAPER) -> pd.DataFrame:
    """Test whether an input drives the units of true sub-clusters more equally.

    Parameters
    ----------
    made, protocol
        As for `score`.

    Returns
    -------
    pandas.DataFrame
        As of `statistics.compare`; value is the variance of the activations over the units.
        Small is extreme. Where a score is 0 no unit is active, which is not consistency: such a
        sub-cluster is excluded as "inactive", one with such a twin as "twins inactive".
    """
    variances = made.spreads**2
    table = _compared(made, variances[:, 0], variances[:, 1:], "left", protocol)
    silent = made.scores <= 0
    inactive = np.where(silent[:, 0], "inactive", "twins inactive")
    excluded = np.where(silent.any(axis=1), inactive, table["excluded"])
    return table.assign(excluded=excluded, p=table["p"].where(excluded == ""))


def variation_quartiles(made: Constructions) -> dict[str, float]:
    """Return the quartiles of a network's coefficients of variation (appendix A.8, Table 6).

    A sub-cluster's is the standard deviation of its units' activations on its image divided by
    their mean.

    Returns
    -------
    dict of str to float
        first, median and third quartile over the active sub-clusters, at least 0, NaN if there
        is none; inactive, the number of those whose score is 0.
    """
    active = made.scores[:, 0] > 0
    variation = made.spreads[active, 0] / made.scores[active, 0]
    quartiles = np.quantile(variation, (0.25, 0.5, 0.75)) if active.any() else [np.nan] * 3
    row = dict(zip(("first", "median", "third"), map(float, quartiles), strict=True))
    return row | {"inactive": int((~active).sum())}


def median_network(quartiles: Sequence[Mapping[str, float]]) -> int:
    """Return which network has the median of an odd number of median variations (Table 6).

    Parameters
    ----------
    quartiles : sequence of mapping
        Of `variation_quartiles`, one for each network.

    Raises
    ------
    ValueError
        If the number of networks is even or zero, or one has no median.
    """
    medians = [each["median"] for each in quartiles]
    if len(medians) % 2 == 0 or np.isnan(medians).any():
        raise ValueError(
            f"quartiles: an odd number of networks is needed, each with a median, not {medians}"
        )
    return int(np.argsort(medians, kind="stable")[len(medians) // 2])


def combined(
    table: pd.DataFrame, protocol: Protocol = PAPER, seed: int = 0, side: Side = "right"
) -> dict[str, Any]:
    """Combine the sub-clusters of one network into its p values for one measure.

    Parameters
    ----------
    table : pandas.DataFrame
        Of one of this room's tests, under the same protocol.
    protocol : Protocol
        How ties count.
    seed : int
        Seed of the exchangeable test.
    side : {"right", "left"}
        Which values the test takes for extreme; "left" for entropy and variance.

    Returns
    -------
    dict
        As of `statistics.combine`.
    """
    return statistics.combine(table, side, protocol.ties, seed)


def _compared(
    measured: Pictures | Constructions,
    true: npt.NDArray[np.float64],
    random: npt.NDArray[np.float64],
    side: Side,
    protocol: Protocol,
) -> pd.DataFrame:
    description = measured.partition.describe(measured.subclusters)
    options = (side, protocol.ties, protocol.keeps_complete)
    return statistics.compare(description, true, random, *options)


def _difference(
    pictures: npt.NDArray[np.float64], is_second: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    """Return the difference of the parts' mean squares relative to their sum, 0 if that is 0."""
    first, second = (
        np.mean(pictures[..., chosen] ** 2, axis=-1) for chosen in (~is_second, is_second)
    )
    total = first + second
    return np.asarray(np.divide(second - first, total, out=np.zeros_like(total), where=total > 0))


def _ranges(
    counts: npt.NDArray[np.int64], profiles: LesionProfiles, protocol: Protocol
) -> npt.NDArray[np.float64]:
    return class_wise_range(counts, profiles.intact, profiles.class_sizes, protocol.keeps_undefined)


def _spans(counts: npt.NDArray[np.int64], profiles: LesionProfiles) -> npt.NDArray[np.float64]:
    present = profiles.class_sizes > 0
    losses = (profiles.intact - counts)[..., present] / profiles.class_sizes[present]
    lengths = np.linalg.norm(losses, axis=-1)
    spread = np.ptp(losses, axis=-1)
    ratios = np.divide(spread, lengths, out=np.zeros_like(spread), where=lengths > 0)
    # Equal profiles must tie, whatever the rounding of their lengths.
    return np.asarray(np.round(ratios, 9))


def _redrawn(
    model: keras.Model,
    x: npt.NDArray[np.float32],
    y: npt.NDArray[np.integer[Any]],
    profiles: LesionProfiles,
    protocol: Protocol,
    random: npt.NDArray[np.float64],
    needed: npt.NDArray[np.bool_],
    seed: int,
) -> list[npt.NDArray[np.float64]]:
    """Return the ranges of all twins drawn until n of each needed one are defined, or 50 n drawn.

    Each sub-cluster draws from a stream of its own, so that its twins do not depend on the
    others' luck; and small ones soon draw the same twin again, which is lesioned only once.
    """
    n = profiles.n_random
    streams = np.random.default_rng(seed).spawn(len(random))
    drawn = list(random)
    known: dict[tuple[str, bytes], npt.NDArray[np.int64]] = {}
    while short := {i: m for i in np.flatnonzero(needed) if (m := _still_to_draw(drawn[i], n))}:
        keys, new = [], {}
        for i, m in short.items():
            subcluster = profiles.subclusters[i]
            for units in profiles.partition.random_twins(subcluster, m, streams[i]):
                keys.append(key := (subcluster.layer, units.tobytes()))
                if key not in known:
                    new[key] = {subcluster.layer: units}
        if new:
            counts = lesions.correct_counts(model, x, y, [*new.values()])
            known |= dict(zip(new, counts, strict=True))
        ranges = _ranges(np.array([known[key] for key in keys]), profiles, protocol)
        parts = np.split(ranges, np.cumsum([*short.values()])[:-1])
        for i, part in zip(short, parts, strict=True):
            drawn[i] = np.concatenate([drawn[i], part])
    return drawn


def _still_to_draw(ranges: npt.NDArray[np.float64], n: int) -> int:
    """Return how many more twins to draw, going by the share of those so far that are defined.

    Not more than were drawn already, because that share may be just bad luck.
    """
    n_drawn, n_defined = len(ranges), int(np.isfinite(ranges).sum())
    expected = math.ceil((n - n_defined) * n_drawn / max(n_defined, 1))
    return max(min(expected, n_drawn, MAX_TRIES * n - n_drawn), 0)


def _first_defined(values: npt.NDArray[np.float64], n: int) -> npt.NDArray[np.float64]:
    """Return the first n defined values, filled up with NaN."""
    defined = values[np.isfinite(values)][:n]
    return np.pad(defined, (0, n - len(defined)), constant_values=np.nan)


def _p_value(true: float, random: npt.NDArray[np.float64], protocol: Protocol) -> float:
    """Rank a range; one that is undefined, if kept, is never exceeded and never exceeds.

    So did the released code's comparisons with NaN decide.
    """
    one, twins = np.nan_to_num(true, nan=np.inf), np.nan_to_num(random, nan=-np.inf)
    return statistics.p_value(float(one), twins, "right", protocol.ties)
