"""True sub-clusters beside their random twins: what passes between measuring and testing."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from helpers import statistics
from helpers.protocols import Protocol
from helpers.statistics import Side

TESTS = ("fisher", "chi2", "exchangeable_fisher", "exchangeable_chi2")
"""What `Comparison.combine` computes."""


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
    """

    measure: str
    side: Side
    protocol: Protocol
    subclusters: pd.DataFrame
    true: npt.NDArray[np.float64]
    random: npt.NDArray[np.float64]
    excluded: npt.NDArray[np.object_]
    fingerprint: str

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
        )

    def combine(self, random_state: int = 0) -> pd.DataFrame:
        """Combine the sub-clusters into the network's p values.

        Parameters
        ----------
        random_state : int
            Seed of the exchangeable tests.

        Returns
        -------
        pandas.DataFrame
            One row per test, of `TESTS`: measure, test; tested and excluded, numbers of
            sub-clusters; p, NaN where no sub-cluster is tested or the test is not defined. The
            exchangeable tests need inclusive ties and defined values.
        """
        tested = self.is_tested
        p = dict.fromkeys(TESTS, np.nan)
        if tested.any():
            p["fisher"] = statistics.fisher(self.p[tested], self.n_random)
            p["chi2"] = statistics.chi2(self.p[tested], self.n_random)
            values = self.true[tested], self.random[tested]
            has_ranks = not any(np.isnan(each).any() for each in values)
            if self.protocol.ties == "inclusive" and has_ranks:
                rng = np.random.default_rng(random_state)
                for statistic in ("fisher", "chi2"):
                    p[f"exchangeable_{statistic}"] = statistics.exchangeable(
                        *values, self.side, statistic, rng=rng
                    )
        return pd.DataFrame(
            {
                "measure": self.measure,
                "test": list(p),
                "tested": int(tested.sum()),
                "excluded": int((~tested).sum()),
                "p": list(p.values()),
            }
        )


def compare(
    measure: str,
    side: Side,
    protocol: Protocol,
    subclusters: pd.DataFrame,
    true: npt.NDArray[np.float64],
    random: npt.NDArray[np.float64],
    fingerprint: str,
    reasons: npt.ArrayLike = "",
) -> Comparison:
    """Put sub-clusters beside their random twins, and say which of them are not tested.

    Parameters
    ----------
    measure, side, protocol, subclusters, true, random, fingerprint
        As the attributes of `Comparison`; the sub-clusters with a column complete, whether one is
        all that its twins can be drawn from and so equals them.
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
    return Comparison(measure, side, protocol, subclusters, true, random, excluded, fingerprint)
