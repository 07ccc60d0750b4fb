"""Output coherence under lesions: how unevenly damage falls on the classes (section 3.2)."""

import math

import numpy as np
import numpy.typing as npt

from helpers.lesions.profiles import LesionProfiles, class_weights
from helpers.measures.comparison import Comparison, compare, times_typical
from helpers.protocols import PAPER, Protocol

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
    # Signed: what is gained would wrap around in counts that have no sign.
    lost = np.asarray(intact, np.int64) - np.asarray(counts, np.int64)
    damages = (lost.astype(object) * weights)[..., present]
    n_classes = int(present.sum())
    totals = np.asarray(abs(damages.sum(axis=-1)), dtype=object)
    spans = np.asarray(damages.max(axis=-1) - damages.min(axis=-1), dtype=object)
    least = 1 if keeps_undefined else n_classes * common // int(class_sizes.max())
    defined = np.asarray(totals >= least, dtype=bool)
    ranges = np.asarray(n_classes * spans / np.where(defined, totals, 1), dtype=np.float64)
    return np.where(defined, ranges, np.nan)


def class_range(profiles: LesionProfiles, protocol: Protocol = PAPER, seed: int = 0) -> Comparison:
    """Compare the class-wise ranges of sub-clusters with those of their twins.

    Parameters
    ----------
    profiles : LesionProfiles
        Of `lesions.lesion_profiles`. Where only counts were kept, no further twins can be drawn.
    protocol : Protocol
        How undefined ranges and ties count, and whether complete sub-clusters are tested.
    seed : int
        Seed of the redrawn twins.

    Returns
    -------
    Comparison
        Of class-wise ranges; large ones are extreme. The effect is how many times the mean of its
        twins' a sub-cluster's range is. Among the columns of its sub-clusters is
        undefined_twins, how many of all twins drawn were undefined: unless the protocol keeps
        them, others are drawn for the sub-clusters that are tested, until n are defined or 50 n
        drawn. Excluded are, besides the complete, "undefined" sub-clusters and those whose twins
        are ("twins undefined").

    Examples
    --------
    >>> from helpers import lesions, measures, zoo
    >>> net = zoo.trained("digits-mlp")
    >>> x, y = net.dataset.x_test[:100], net.dataset.y_test[:100]
    >>> own = {"dense_4": [0] * 64 + [1] * 192}
    >>> uneven = measures.class_range(lesions.lesion_profiles(net.model, x, y, own))
    >>> uneven.measure, uneven.side
    ('class_range', 'right')
    """
    description = profiles.describe()
    true = _ranges(profiles.true, profiles, protocol)
    random = _ranges(profiles.random, profiles, protocol)
    n_undefined = np.isnan(random).sum(axis=1)
    if not protocol.keeps_undefined:
        needed = ~np.isnan(true)
        if not protocol.keeps_complete:
            needed &= ~description["complete"].to_numpy(dtype=bool)
        drawn = _redrawn(profiles, protocol, random, needed, seed)
        n_undefined = np.array([np.isnan(ranges).sum() for ranges in drawn], dtype=int)
        defined = [_first_defined(ranges, profiles.n_random) for ranges in drawn]
        random = np.reshape(defined, random.shape)
    return compare(
        "class_range",
        "right",
        protocol,
        description.assign(undefined_twins=n_undefined),
        true,
        random,
        profiles.fingerprint,
        effect=times_typical(true, random),
    )


def profile_range(profiles: LesionProfiles, protocol: Protocol = PAPER) -> Comparison:
    """Compare the ranges of sub-clusters' profiles of damages, divided by the profiles' lengths.

    The class-wise range divides by the mean damage and so shrinks as the damage grows, because
    no class can lose more than all. Dividing by the profile's length changes that little: over
    1,002 random sets of units of the first MLP on MNIST, the range falls with the damage by
    either (Spearman's correlation -.66 and -.60).

    Parameters
    ----------
    profiles : LesionProfiles
        Of `lesions.lesion_profiles`.
    protocol : Protocol
        How ties count, and whether complete sub-clusters are tested.

    Returns
    -------
    Comparison
        Of the largest less the smallest loss of a class's accuracy, divided by the Euclidean
        length of all losses, in [0, sqrt(2)]; 0 without any loss or gain. Large is extreme. The
        effect is how many times the mean of its twins' a sub-cluster's range is.
    """
    spans = _spans(profiles.true, profiles), _spans(profiles.random, profiles)
    return compare(
        "profile_range",
        "right",
        protocol,
        profiles.describe(),
        *spans,
        profiles.fingerprint,
        effect=times_typical(*spans),
    )


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
    if profiles.lesioned is None:
        return drawn
    while short := {i: m for i in np.flatnonzero(needed) if (m := _still_to_draw(drawn[i], n))}:
        keys, new = [], {}
        for i, m in short.items():
            subcluster = profiles.subclusters[i]
            for units in profiles.partition.random_twins(subcluster, m, streams[i]):
                keys.append(key := (subcluster.layer, units.tobytes()))
                if key not in known:
                    new[key] = {subcluster.layer: units}
        if new:
            known |= dict(zip(new, profiles.lesioned([*new.values()]), strict=True))
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
