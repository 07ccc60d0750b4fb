"""Class-wise coherence at equal damage: whether units matter for the same classes.

The class-wise range divides by the damage and falls as it grows, so that the most useful
detectors of a class come out as the least coherent sets there are. Here a set is compared with
random sets of its layer that cost as many images as it does, whatever their size.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from helpers.lesions.nested import LEAST_DAMAGE
from helpers.measures.comparison import Comparison, compare
from helpers.protocols import PAPER, Protocol

if TYPE_CHECKING:
    from helpers.lesions.nested import Orderings
    from helpers.lesions.profiles import LesionProfiles

LEAST_ORDERINGS = 15
"""Random sets that must reach a damage before anything is compared at it."""

Spread = Literal["range", "variance"]
SPREADS: tuple[Spread, ...] = get_args(Spread)

_VALUES_AT_ONCE = 2**24

_ROUNDING = 1e-9
"""By how much mixtures of profiles may miss what they are."""


class EqualDamage(NamedTuple):
    """How sets of units compare with random ones at equal damage, shapes (n,).

    Attributes
    ----------
    n_as_uneven : ndarray of int
        Random sets of the same damage that are at least as uneven.
    spread : ndarray of float
        Of the set's own profile.
    typical : ndarray of float
        Median of the random sets'; NaN where not comparable.
    damage : ndarray of int
        Images that the set's lesion costs.
    reached : ndarray of int
        How many orderings reach this damage.
    """

    n_as_uneven: npt.NDArray[np.int64]
    spread: npt.NDArray[np.float64]
    typical: npt.NDArray[np.float64]
    damage: npt.NDArray[np.int64]
    reached: npt.NDArray[np.int64]

    @property
    def is_comparable(self) -> npt.NDArray[np.bool_]:
        """Whether each set costs 20 images at least, 15 orderings reach that, and it has a spread.

        It has none where losses and gains of classes of different sizes cancel on average, or
        leave less than one image in the largest class, as for `class_wise_range`.
        """
        return _are_comparable(self.damage, self.reached, self.spread)

    @property
    def p(self) -> npt.NDArray[np.float64]:
        """Share of the random sets, and the set itself, that are at least as uneven, in (0, 1].

        It is 1 where a set is not comparable.
        """
        share = (self.n_as_uneven + 1) / (self.reached + 1)
        return np.asarray(np.where(self.is_comparable, share, 1.0))

    @property
    def beaten(self) -> npt.NDArray[np.float64]:
        """Share of the random sets of the same damage that are less uneven; NaN if none has it."""
        share = np.full(len(self.reached), np.nan)
        np.divide(self.reached - self.n_as_uneven, self.reached, out=share, where=self.reached > 0)
        return share

    @property
    def times(self) -> npt.NDArray[np.float64]:
        """How many times as uneven as is typical; NaN where not comparable, or all else is even."""
        empty = np.full_like(self.spread, np.nan)
        return np.divide(self.spread, self.typical, out=empty, where=self.typical > 0)


def at_equal_damage(
    counts: npt.NDArray[np.int64], layer: str, random: "Orderings", spread: Spread = "range"
) -> EqualDamage:
    """Compare how unevenly sets' lesions fall on the classes with random sets of equal damage.

    Parameters
    ----------
    counts : ndarray of int, shape (n, n_classes)
        Correctly classified images per class under each lesion.
    layer : str
        Where all of them are.
    random : Orderings
        Of `lesions.orderings`, on the same images.
    spread : {"range", "variance"}
        Of the losses of the classes' accuracies: the largest less the smallest, divided by the
        mean, or their variance, divided by the squared mean.

    Returns
    -------
    EqualDamage

    Raises
    ------
    ValueError
        If the layer has no orderings, or the spread is unknown.

    Notes
    -----
    In each ordering the first pair of sizes is taken that brackets the damage D, and their
    profiles are mixed so that the damage is D.
    """
    if layer not in random.sets:
        raise ValueError(f"layer: {layer!r} has no orderings; it has {', '.join(random.sets)}")
    return by_spread(counts, layer, random, (spread,))[spread]


def by_spread(
    counts: npt.NDArray[np.int64],
    layer: str,
    random: "Orderings",
    spreads: Sequence[Spread] = SPREADS,
) -> dict[Spread, EqualDamage]:
    """Do the same for several spreads; where a layer has no orderings nothing is comparable."""
    for spread in spreads:
        if spread not in SPREADS:
            raise ValueError(f"spread: {spread!r} was given; accepted are {', '.join(SPREADS)}")
    if layer not in random.sets:
        return {spread: _incomparable(counts, random, spread) for spread in spreads}
    nested = [_lost(random, each) for _, each in random.sets[layer]]
    step = max(_VALUES_AT_ONCE // (len(nested) * len(random.intact)), 1)
    parts: dict[Spread, list[EqualDamage]] = {spread: [] for spread in spreads}
    for start in range(0, max(len(counts), 1), step):
        lost = _lost(random, np.asarray(counts)[start : start + step])
        profiles = np.stack([_at(lost.sum(axis=1), losses) for losses in nested], axis=1)
        for spread, of in parts.items():
            of.append(_compared(lost, profiles, random, spread))
    return {
        spread: EqualDamage(*(np.concatenate(each) for each in zip(*of, strict=True)))
        for spread, of in parts.items()
    }


def _compared(
    lost: npt.NDArray[np.int64],
    profiles: npt.NDArray[np.float64],
    random: "Orderings",
    spread: Spread,
) -> EqualDamage:
    """Compare losses, (n, n_classes), with those of random sets, (n, n_orderings, n_classes)."""
    damage = lost.sum(axis=1)
    ours = _spread(lost, random.class_sizes, spread)
    theirs = _spread(profiles, random.class_sizes, spread)
    reached = np.isfinite(profiles[..., 0]).sum(axis=1)
    is_comparable = _are_comparable(damage, reached, ours)
    # A random set without a spread speaks against the set, as a tie does.
    has_none = np.isnan(theirs) & np.isfinite(profiles[..., 0])
    n_as_uneven = ((theirs >= ours[:, np.newaxis]) | has_none).sum(axis=1)
    typical = np.full(len(ours), np.nan)
    if is_comparable.any():
        typical[is_comparable] = np.nanmedian(theirs[is_comparable], axis=1)
    return EqualDamage(n_as_uneven, ours, typical, damage, reached)


def _are_comparable(
    damage: npt.NDArray[np.int64],
    reached: npt.NDArray[np.int64],
    spread: npt.NDArray[np.float64],
) -> npt.NDArray[np.bool_]:
    is_reached = (damage >= LEAST_DAMAGE) & (reached >= LEAST_ORDERINGS)
    return np.asarray(is_reached & np.isfinite(spread))


def wherever(
    counts: npt.NDArray[np.int64], layer: str, random: "Orderings", spread: Spread = "range"
) -> EqualDamage:
    """Do the same as `at_equal_damage`; where a layer has no orderings nothing is comparable."""
    return by_spread(counts, layer, random, (spread,))[spread]


def _incomparable(
    counts: npt.NDArray[np.int64], random: "Orderings", spread: Spread
) -> EqualDamage:
    lost, n = _lost(random, counts), len(counts)
    return EqualDamage(
        np.zeros(n, dtype=np.int64),
        _spread(lost, random.class_sizes, spread),
        np.full(n, np.nan),
        lost.sum(axis=1),
        np.zeros(n, dtype=np.int64),
    )


def _lost(random: "Orderings", counts: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.int64]:
    """Return losses with a sign, which a gain needs, whatever kind of integers are given."""
    return np.asarray(random.intact, np.int64) - np.asarray(counts, np.int64)


def coherence(
    profiles: "LesionProfiles",
    random: "Orderings",
    protocol: Protocol = PAPER,
    spread: Spread = "range",
) -> Comparison:
    """Compare how unevenly sub-clusters' lesions fall on the classes, at equal damage.

    Parameters
    ----------
    profiles : LesionProfiles
        Of `lesions.permutation_profiles`, so that there is an exact test.
    random : Orderings
        Of `lesions.orderings`, on the same network and images.
    protocol : Protocol
        Whether complete sub-clusters are tested.
    spread : {"range", "variance"}
        As for `at_equal_damage`.

    Returns
    -------
    Comparison
        Of the p values of `at_equal_damage`, of true sub-clusters and of those of permuted
        partitions; small ones are extreme. Its sub-clusters have, besides, damage (images),
        spread, typical (the median spread of random sets of this damage), reached (orderings) and
        comparable. Those that are not comparable have a p value of 1, and stay. The effect of a
        sub-cluster is how many times as uneven it is as is typical at its damage; the mean effect
        is divided by that of permuted partitions, which need not be 1: spreads are skewed, and
        those of random sets are mixtures, which are smoother.

    Notes
    -----
    Sub-clusters that cost more than permuted ones can be compared more often, and each that is
    compared lowers the combined p value, where one that is not cannot. So a small combined p value
    speaks of classes only together with one of the mean effect ("exact_effect" of
    `Comparison.combine`), which damage alone makes no smaller.

    Examples
    --------
    >>> from helpers import lesions, measures, zoo
    >>> net = zoo.trained("digits-mlp")
    >>> x, y = net.dataset.x_test[:100], net.dataset.y_test[:100]
    >>> own = {"dense_1": [0] * 128 + [1] * 128}
    >>> profiles = lesions.permutation_profiles(net.model, x, y, own, n_permutations=19)
    >>> nested = lesions.orderings(net.model, x, y, own, n_orderings=20, n_sizes=8)
    >>> coherent = measures.coherence(profiles, nested)
    >>> coherent.subclusters["comparable"].tolist()
    [False, False]
    """
    found = [
        wherever(np.vstack([true, others]), each.layer, random, spread)
        for each, true, others in zip(
            profiles.subclusters, profiles.true, profiles.random, strict=True
        )
    ]
    shape = (len(found), profiles.n_random + 1)
    p = np.array([each.p for each in found]).reshape(shape)
    times = np.array([each.times for each in found], dtype=np.float64).reshape(shape)
    return compare(
        "coherence",
        "left",
        protocol,
        profiles.describe().assign(
            damage=[int(each.damage[0]) for each in found],
            spread=[float(each.spread[0]) for each in found],
            typical=[float(each.typical[0]) for each in found],
            reached=[int(each.reached[0]) for each in found],
            comparable=[bool(each.is_comparable[0]) for each in found],
        ),
        p[:, 0],
        p[:, 1:],
        profiles.fingerprint,
        fixed=profiles.fixed,
        effect=times[:, 0],
        permuted_effect=times[:, 1:],
    )


def _at(damage: npt.NDArray[np.int64], losses: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return one ordering's profile of losses at each damage; NaN where it is never reached."""
    totals = losses.sum(axis=1)
    highest = np.maximum.accumulate(totals)
    upper = np.searchsorted(highest, damage)
    is_reached = (upper < len(totals)) & (upper > 0)
    high = np.where(is_reached, upper, 1 if len(totals) > 1 else 0)
    low = np.maximum(high - 1, 0)
    step = np.where(is_reached, totals[high] - totals[low], 1)
    share = ((damage - totals[low]) / step)[:, np.newaxis]
    mixed = (1 - share) * losses[low] + share * losses[high]
    return np.where(is_reached[:, np.newaxis], mixed, np.nan)


def _spread(
    lost: npt.NDArray[np.float64] | npt.NDArray[np.int64],
    class_sizes: npt.NDArray[np.int64],
    spread: Spread,
) -> npt.NDArray[np.float64]:
    """Return how uneven losses are, shape (..., n_classes); NaN where there are none on average.

    None is less than one image in the largest class, here too: nearly nothing in the divisor would
    make anything uneven.
    """
    present = class_sizes > 0
    rates = lost[..., present] / class_sizes[present]
    mean = np.abs(rates.mean(axis=-1))
    wide = np.ptp(rates, axis=-1) if spread == "range" else rates.var(axis=-1)
    scale = mean if spread == "range" else mean**2
    with np.errstate(invalid="ignore"):
        is_defined = mean * class_sizes.max() >= 1 - _ROUNDING
    ratio = np.divide(wide, scale, out=np.full_like(mean, np.nan), where=is_defined)
    # Equal profiles must tie, whatever the rounding of their mixture.
    return np.asarray(np.round(ratio, 9))
