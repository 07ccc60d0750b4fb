"""True sub-clusters beside their random twins: what passes between measuring and testing."""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from helpers import statistics
from helpers.measures.effects import Damages, bootstrapped, damages
from helpers.protocols import Protocol
from helpers.statistics import PermutationTest, Side

if TYPE_CHECKING:
    from helpers.lesions.profiles import Outcomes

_N_DRAWS = 9999
"""Monte-Carlo draws of the exchangeable tests."""

TESTS = ("fisher", "chi2", "exchangeable_fisher", "exchangeable_chi2")
"""What `Comparison.combine` computes, besides the exact test."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """One measure of the sub-clusters of a network, and of the random twins of each.

    It knows all that a test must know, so that nobody has to say it again. Made by `compare`.

    Attributes
    ----------
    measure : str
        What was measured, such as "importance".
    side : {"right", "left"}
        Whether large or small values are extreme.
    protocol : Protocol
        How ties count, and what is excluded.
    subclusters : pandas.DataFrame
        One row per sub-cluster: where it is, how large, and what else was noted.
    true : ndarray of float, shape (k,)
        The measure of each sub-cluster; NaN where it is undefined.
    random : ndarray of float, shape (k, n)
        The measure of each of its n random twins.
    excluded : ndarray of str, shape (k,)
        Why a sub-cluster is not tested; "" if it is.
    fingerprint : str
        Of the network and the images (`fingerprints.fingerprint`).
    fixed : ndarray of bool, shape (k,), optional
        If the twins are the sub-clusters of permuted partitions, of which column b is one: whether
        no permutation changes a sub-cluster. None if they were drawn one by one.
    effect : ndarray of float, shape (k,), optional
        How much each sub-cluster differs from its twins, in the unit that the measure names; by
        default its value less their mean. NaN where it cannot be said.
    permuted_effect : ndarray of float, shape (k, n), optional
        The same of each twin, where those are sub-clusters of permuted partitions, for a test of
        the mean effect.
    outcomes : Outcomes, optional
        Which images were classified correctly, for the intervals of effects.

    Examples
    --------
    >>> from helpers import lesions, measures, zoo
    >>> net = zoo.trained("digits-mlp")
    >>> x, y = net.dataset.x_test[:100], net.dataset.y_test[:100]
    >>> own = {"dense_4": [0] * 64 + [1] * 192}
    >>> important = measures.importance(lesions.lesion_profiles(net.model, x, y, own))
    >>> important.side
    'left'
    >>> important.table()[["layer", "cluster", "size"]]
         layer  cluster  size
    0  dense_4        0    64
    1  dense_4        1   192
    >>> list(important.combine()["test"])
    ['fisher', 'chi2', 'exchangeable_fisher', 'exchangeable_chi2']
    """

    measure: str
    side: Side
    protocol: Protocol
    subclusters: pd.DataFrame
    true: npt.NDArray[np.float64]
    random: npt.NDArray[np.float64]
    excluded: npt.NDArray[np.object_]
    fingerprint: str
    fixed: npt.NDArray[np.bool_] | None = None
    effect: npt.NDArray[np.float64] | None = None
    permuted_effect: npt.NDArray[np.float64] | None = None
    outcomes: "Outcomes | None" = field(default=None, repr=False)

    @property
    def n_random(self) -> int:
        """Random twins per sub-cluster."""
        return int(self.random.shape[1])

    @property
    def is_tested(self) -> npt.NDArray[np.bool_]:
        """Whether each sub-cluster is tested, shape (k,)."""
        return np.asarray(self.excluded == "", dtype=bool)

    @property
    def is_beyond(self) -> npt.NDArray[np.bool_]:
        """Whether each sub-cluster is more extreme than all its twins, shape (k,)."""
        sign = 1.0 if self.side == "right" else -1.0
        return np.asarray(sign * self.true > (sign * self.random).max(axis=1), dtype=bool)

    @property
    def p(self) -> npt.NDArray[np.float64]:
        """P value of each sub-cluster, shape (k,); NaN if it is not tested.

        An undefined value, if the protocol keeps it, is never exceeded and never exceeds: so did
        the released code's comparisons with NaN decide.
        """
        sign = 1.0 if self.side == "right" else -1.0
        true = np.nan_to_num(sign * self.true, nan=np.inf, posinf=np.inf, neginf=-np.inf)
        random = np.nan_to_num(sign * self.random, nan=-np.inf, posinf=np.inf, neginf=-np.inf)
        return np.array(
            [
                statistics.p_value(one, twins, "right", self.protocol.ties) if tested else np.nan
                for one, twins, tested in zip(true, random, self.is_tested, strict=True)
            ],
            dtype=np.float64,
        )

    def table(self) -> pd.DataFrame:
        """Return one row per sub-cluster.

        Returns
        -------
        pandas.DataFrame
            The columns of `subclusters`, and: value, the measure; random_median, the median of
            its twins', as far as they are defined; excluded; and p.
        """
        return self.subclusters.assign(
            value=self.true,
            random_median=pd.DataFrame(self.random).median(axis=1).to_numpy(),
            excluded=self.excluded,
            p=self.p,
        )

    def where(self, chosen: npt.ArrayLike) -> "Comparison":
        """Return the comparison of some of the sub-clusters, by a mask of shape (k,)."""
        mask = np.asarray(chosen, dtype=bool)
        return replace(
            self,
            subclusters=self.subclusters[mask].reset_index(drop=True),
            true=self.true[mask],
            random=self.random[mask],
            excluded=self.excluded[mask],
            fixed=None if self.fixed is None else self.fixed[mask],
            effect=None if self.effect is None else self.effect[mask],
            permuted_effect=None if self.permuted_effect is None else self.permuted_effect[mask],
            outcomes=None
            if self.outcomes is None
            else replace(
                self.outcomes, true=self.outcomes.true[mask], random=self.outcomes.random[mask]
            ),
        )

    def exact(self, side: Side | None = None) -> PermutationTest:
        """Test all sub-clusters at once, however they depend on each other.

        Parameters
        ----------
        side : {"right", "left"}, optional
            Another side than that of the measure.

        Returns
        -------
        PermutationTest
            Of the sub-clusters that are tested and that permutations change, and by layer.

        Raises
        ------
        ValueError
            If the twins are not those of permuted partitions.
        """
        if self.fixed is None:
            raise ValueError(
                f"{self.measure}: its twins were drawn one by one; the exact test needs those of "
                "lesions.permutation_profiles"
            )
        values = np.isfinite(self.true) & np.isfinite(self.random).all(axis=1)
        return statistics.permutation_test(
            self.true,
            self.random.T,
            side or self.side,
            tested=self.is_tested & ~self.fixed & values,
            layers=self.subclusters["layer"].to_numpy(),
        )

    def effects(self, random_state: int = 0) -> pd.DataFrame:
        """Return how much each sub-cluster differs from its twins.

        Parameters
        ----------
        random_state : int
            Seed of the bootstrap over test images.

        Returns
        -------
        pandas.DataFrame
            One row per sub-cluster: layer, cluster, size; and effect, in the unit of the measure
            (of importance: percentage points of accuracy that its lesion costs beyond its
            twins'). Where images are known, as of
            `lesions.permutation_profiles`, also low and high, the 95 % interval; log_ratio,
            log_ratio_low and log_ratio_high, of damages in images; relative, 2x / (x + random),
            and relative_se, its standard error, NaN where any bootstrap has it undefined
            (`measures.effects.Damages`).
        """
        table = self.subclusters[["layer", "cluster", "size"]].assign(effect=self._effect)
        if self.outcomes is None:
            return table
        drawn = self._drawn(random_state)
        points = self._points(drawn)
        found = damages(self.outcomes, self.n_random, self._weights)
        low, high = np.quantile(points, [0.025, 0.975], axis=0)
        ratio_low, ratio_high = np.quantile(drawn.log_ratio, [0.025, 0.975], axis=0)
        return table.assign(
            low=low,
            high=high,
            log_ratio=found.log_ratio,
            log_ratio_low=ratio_low,
            log_ratio_high=ratio_high,
            relative=found.relative,
            relative_se=np.std(drawn.relative, axis=0, ddof=1),
        )

    @property
    def _effect(self) -> npt.NDArray[np.float64]:
        if self.effect is not None:
            return self.effect
        return np.asarray(self.true - self.random.mean(axis=1))

    @property
    def _weights(self) -> npt.NDArray[np.float64]:
        """What each image counts: 1, or so that all classes count the same."""
        classes = self.outcomes.classes if self.outcomes else np.zeros(0, int)
        if self.protocol.accuracy == "overall":
            return np.ones(len(classes))
        sizes = np.bincount(classes)
        return np.asarray(len(classes) / (sizes[classes] * np.count_nonzero(sizes)))

    def _drawn(self, random_state: int) -> Damages:
        assert self.outcomes is not None
        return bootstrapped(self.outcomes, self.n_random, self._weights, seed=random_state)

    def _points(self, drawn: Damages) -> npt.NDArray[np.float64]:
        assert self.outcomes is not None
        return np.asarray(100 * (drawn.true - drawn.random) / len(self.outcomes.classes))

    def combine(self, random_state: int = 0) -> pd.DataFrame:
        """Combine the sub-clusters into the network's p values.

        Parameters
        ----------
        random_state : int
            Seed of the exchangeable tests.

        Returns
        -------
        pandas.DataFrame
            One row per test, the exact one if there are permuted partitions, that of the mean
            effect ("exact_effect", `statistics.mean_effect_p`) if theirs are known, and those of
            `TESTS`: measure, test; tested and excluded, numbers of sub-clusters; p, NaN where no
            sub-cluster is tested or the test is not defined; p_low and p_high, the 95 %
            Monte-Carlo interval of those that are drawn; p_two_sided, of the exact test and
            the exchangeable Fisher's; effect, the mean over the tested sub-clusters, and low and
            high, its 95 % interval over test images, NaN where images are not known; by_chance,
            the mean effect in permuted partitions where theirs are known
            (`statistics.mean_effect_by_chance`), by which effect has been divided then. The
            exchangeable tests need inclusive ties and defined values.
        """
        tested = self.is_tested
        names = ["exact"] * (self.fixed is not None)
        names += ["exact_effect"] * (self.permuted_effect is not None)
        names += TESTS
        p, both = dict.fromkeys(names, np.nan), dict.fromkeys(names, np.nan)
        between = dict.fromkeys(names, statistics.Interval(np.nan, np.nan))
        other: Side = "left" if self.side == "right" else "right"
        if self.fixed is not None:
            exact = self.exact()
            p["exact"], between["exact"] = exact.p, exact.interval
            both["exact"] = statistics.two_sided(p["exact"], self.exact(other).p)
        effect, low, high = self._mean_effect(random_state)
        by_chance = float("nan")
        if self.effect is not None and self.permuted_effect is not None:
            effects = np.column_stack([self.effect, self.permuted_effect])[tested]
            by_chance, _ = statistics.mean_effect_by_chance(effects)
            effect /= by_chance if by_chance > 0 else 1.0
            p["exact_effect"] = statistics.mean_effect_p(effects)
            n_known = int((~np.isnan(effects[:, 1:])).any(axis=0).sum())
            between["exact_effect"] = statistics.rank_interval(p["exact_effect"], n_known)
        if tested.any():
            p["fisher"] = statistics.fisher(self.p[tested], self.n_random)
            p["chi2"] = statistics.chi2(self.p[tested], self.n_random)
            values = self.true[tested], self.random[tested]
            has_ranks = not any(np.isnan(each).any() for each in values)
            if self.protocol.ties == "inclusive" and has_ranks:
                rng = np.random.default_rng(random_state)
                for statistic in ("fisher", "chi2"):
                    name = f"exchangeable_{statistic}"
                    p[name] = statistics.exchangeable(*values, self.side, statistic, _N_DRAWS, rng)
                    between[name] = statistics.rank_interval(p[name], _N_DRAWS)
                reverse = statistics.exchangeable(*values, other, "fisher", _N_DRAWS, rng)
                both["exchangeable_fisher"] = statistics.two_sided(
                    p["exchangeable_fisher"], reverse
                )
        return pd.DataFrame(
            {
                "measure": self.measure,
                "test": list(p),
                "tested": int(tested.sum()),
                "excluded": int((~tested).sum()),
                "p": list(p.values()),
                "p_low": [each.low for each in between.values()],
                "p_high": [each.high for each in between.values()],
                "p_two_sided": list(both.values()),
                "effect": effect,
                "low": low,
                "high": high,
                "by_chance": by_chance,
            }
        )

    def _mean_effect(self, random_state: int) -> tuple[float, float, float]:
        """Return the mean effect of the tested sub-clusters with its interval."""
        tested = self.is_tested
        if not tested.any():
            return float("nan"), float("nan"), float("nan")
        known = self._effect[tested]
        effect = float(np.nanmean(known)) if np.isfinite(known).any() else float("nan")
        if self.outcomes is None:
            return effect, float("nan"), float("nan")
        means = self._points(self._drawn(random_state))[:, tested].mean(axis=1)
        low, high = np.quantile(means, [0.025, 0.975])
        return effect, float(low), float(high)


def compare(
    measure: str,
    side: Side,
    protocol: Protocol,
    subclusters: pd.DataFrame,
    true: npt.NDArray[np.float64],
    random: npt.NDArray[np.float64],
    fingerprint: str,
    reasons: npt.ArrayLike = "",
    fixed: npt.NDArray[np.bool_] | None = None,
    effect: npt.NDArray[np.float64] | None = None,
    permuted_effect: npt.NDArray[np.float64] | None = None,
    outcomes: "Outcomes | None" = None,
) -> Comparison:
    """Put sub-clusters beside their random twins, and say which of them are not tested.

    Parameters
    ----------
    measure, side, protocol, subclusters, true, random, fingerprint, fixed, effect
        As the attributes of `Comparison`; the sub-clusters with a column complete, whether one is
        all that its twins can be drawn from and so equals them.
    permuted_effect, outcomes
        Likewise.
    reasons : array-like of str, shape (k,)
        What else the measure knows against testing a sub-cluster, or "". It comes before
        "complete", "undefined" and "twins undefined", of which the first that holds is given,
        unless the protocol keeps what is complete or undefined.

    Raises
    ------
    ValueError
        If the shapes do not fit, or there are no twins.
    """
    k = len(subclusters)
    if true.shape != (k,) or random.ndim != 2 or len(random) != k or not random.shape[1]:
        raise ValueError(
            f"true and random: shapes {true.shape} and {random.shape} were given for {k} "
            f"sub-clusters; accepted are ({k},) and ({k}, n), with n from 1"
        )
    excluded = np.full(k, "", dtype=object)
    if not protocol.keeps_undefined:
        excluded[np.isnan(random).any(axis=1)] = "twins undefined"
        excluded[np.isnan(true)] = "undefined"
    if not protocol.keeps_complete:
        excluded[subclusters["complete"].to_numpy(dtype=bool)] = "complete"
    given = np.broadcast_to(np.asarray(reasons, dtype=object), (k,))
    excluded = np.where(given != "", given, excluded)
    if fixed is not None and not protocol.keeps_complete:
        excluded = np.where((excluded == "") & fixed, "cannot change", excluded)
    return Comparison(
        measure,
        side,
        protocol,
        subclusters,
        true,
        random,
        excluded,
        fingerprint,
        fixed,
        effect,
        permuted_effect,
        outcomes,
    )


def times_typical(
    true: npt.NDArray[np.float64], random: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return how many times the mean of its twins each value is, shape (k,).

    An effect for measures from 0 up without a unit that anyone knows; NaN where the mean is not
    above 0.
    """
    mean = random.mean(axis=1)
    return np.asarray(np.divide(true, mean, out=np.full_like(mean, np.nan), where=mean > 0))
