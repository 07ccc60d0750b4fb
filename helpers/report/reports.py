"""A report: what was measured, and everything that follows from it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from helpers import measures, statistics
from helpers.lesions import LesionProfiles, class_mean_accuracy, overall_accuracy
from helpers.measures import Comparison, EqualDamage
from helpers.measures.effects import DIGITS
from helpers.measures.equal_damage import SPREADS, Spread, by_spread
from helpers.protocols import Protocol
from helpers.report.effects import (
    Effects,
    Times,
    damages_in_images,
    excess_damage,
    times_as_uneven,
)
from helpers.report.measuring import Measured
from helpers.report.words import ALPHA, summary, verdict
from helpers.statistics import PermutationTest


@dataclass(frozen=True, eq=False)
class Report:
    """Whether a partition of a network is important, and matters for particular classes.

    Made by `evaluate`, or read from a folder by `load`. In a notebook it shows itself.

    Attributes
    ----------
    name : str
        The network's.
    source : str
        Where its partition comes from.
    measured : Measured
        What lesions did.
    protocol : Protocol
        Choices behind the tests.
    n_random : int
        Random twins of each part in the paper's tests: permuted parts, drawn anew for each.
    n_asked : int
        Permutations that were asked for; a budget may allow fewer.
    random_state : int
        Seed of all that is random.
    fingerprint : str
        Of the network and the images.
    notes : tuple of str
        What else a reader must know.

    Examples
    --------
    >>> import tempfile
    >>> import helpers
    >>> from helpers import zoo
    >>> net = zoo.trained("digits-mlp")
    >>> x, y = net.dataset.x_test[:100], net.dataset.y_test[:100]
    >>> report = helpers.evaluate(
    ...     net.model, x, y, n_clusters=4, n_permutations=19, progress=False)
    >>> report.n_clusters
    4
    >>> list(report.effects["measure"].unique())
    ['importance', 'class_range']
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     again = helpers.Report.load(report.save(folder))
    >>> again.verdict == report.verdict
    True
    """

    name: str
    source: str
    measured: Measured
    protocol: Protocol
    n_random: int
    n_asked: int
    random_state: int
    fingerprint: str
    notes: tuple[str, ...] = ()

    @cached_property
    def importance(self) -> PermutationTest:
        """The exact test of what lesions of the parts cost."""
        return self._tested(*self._damages, ~self.measured.is_complete)

    @cached_property
    def within_strata(self) -> PermutationTest | None:
        """The same among units of similar strength, so that large weights alone find nothing.

        None where that was not asked or cannot be, see `n_within` of `evaluate`.
        """
        if self.measured.among_alike is None:
            return None
        true, permuted = self._losses(self.measured.among_alike)
        return self._tested(true, permuted, self.measured.changes_within)

    @cached_property
    def class_range(self) -> PermutationTest:
        """The exact test of how unevenly that falls on the classes, at equal damage.

        Of each part, true or permuted alike, the rank of its class-wise range among random sets
        that cost as many images, see `measures.at_equal_damage`.
        """
        return self._ranked("range")

    @cached_property
    def class_variance(self) -> PermutationTest:
        """The same of the variance between the losses of classes, in place of their range."""
        return self._ranked("variance")

    @cached_property
    def class_effect_p(self) -> float:
        """Share of partitions, true and permuted, with as large an effect on classes as the true.

        The effect is how many times as uneven the parts that are comparable are, on average: how
        many they are, which grows with what parts cost, makes it no larger, as it does the p value
        of `class_range` smaller; see `statistics.mean_effect_p`.
        """
        times = np.array([each.times for each in self._by_spread["range"]])
        return statistics.mean_effect_p(times[~self.measured.is_complete])

    @cached_property
    def share_incomparable(self) -> float:
        """Share of partitions, true and permuted, of which no part can be compared on classes."""
        times = np.array([each.times for each in self._by_spread["range"]])
        return float(np.isnan(times[~self.measured.is_complete]).all(axis=0).mean())

    @property
    def most_times(self) -> float:
        """How many times as uneven parts would be whose damage fell on a single class each.

        Beside what is typical of random units that cost as much, on average over the parts that
        are comparable: unless a class gains, no effect on classes can be larger by much. Infinite
        if random units cost all classes the same, or make some class gain; NaN if no part is
        comparable.
        """
        compared = self._by_spread["range"]
        typical = np.array([each.typical[0] for each in compared if each.is_comparable[0]])
        n_classes = int((self.measured.class_sizes > 0).sum())
        # More than that many times the mean is lost by one class only where another gains.
        is_bound = (typical > 0) & (typical <= n_classes * (1 + 1e-9))
        times = np.divide(n_classes, typical, out=np.full_like(typical, np.inf), where=is_bound)
        return float(times.mean()) if times.size else float("nan")

    @property
    def is_comparable(self) -> npt.NDArray[np.bool_]:
        """Whether each part costs enough images to compare how they fall on classes, shape (S,)."""
        return np.array([each.is_comparable[0] for each in self._by_spread["range"]], dtype=bool)

    @cached_property
    def effect(self) -> Effects:
        """What parts cost beyond random ones, in percentage points."""
        accuracy = self.protocol.accuracy
        return excess_damage(self.measured, self.random_state, accuracy=accuracy)

    @cached_property
    def effect_within(self) -> Effects | None:
        """What parts cost beyond random ones of units of similar strength; None as that test."""
        alike, accuracy = self.measured.among_alike, self.protocol.accuracy
        if alike is None:
            return None
        return excess_damage(alike, self.random_state, accuracy=accuracy)

    @cached_property
    def subclusters(self) -> pd.DataFrame:
        """One row per part.

        Columns: layer, cluster, size, share (of the layer's width), complete; damage,
        random_damage (mean of the permuted), effect, low, high (95 % interval): percentage points
        of accuracy; log_ratio, log_ratio_low, log_ratio_high, of damages in images; relative,
        2x / (x + random), and relative_se, its standard error, NaN where it is undefined, also in
        any bootstrap (`measures.effects.Damages`); p and familywise of importance; within_effect
        and within_p, effect and p of importance among units of similar strength; class_range,
        random_class_range (median of random sets that cost as much), class_p, class_familywise,
        and the same of class_variance, the variance between classes; excluded, why a part is not
        tested or "".
        """
        measured, effect = self.measured, self.effect
        low, high = effect.intervals().T
        damage, complete = 100 * self._damages[0], measured.is_complete
        images, drawn = damages_in_images(measured, self.random_state, self.protocol.accuracy)
        ratio_low, ratio_high = np.quantile(drawn.log_ratio, [0.025, 0.975], axis=0)
        of_range, of_variance = self._by_spread["range"], self._by_spread["variance"]
        return measured.partition.describe(measured.parts).assign(
            damage=damage,
            random_damage=(damage - effect.each).round(DIGITS) + 0.0,
            effect=np.where(complete, np.nan, effect.each),
            low=np.where(complete, np.nan, low),
            high=np.where(complete, np.nan, high),
            log_ratio=np.where(complete, np.nan, images.log_ratio),
            log_ratio_low=np.where(complete, np.nan, ratio_low),
            log_ratio_high=np.where(complete, np.nan, ratio_high),
            relative=np.where(complete, np.nan, images.relative),
            relative_se=np.where(complete, np.nan, np.std(drawn.relative, axis=0, ddof=1)),
            p=self.importance.each,
            familywise=self.importance.familywise,
            **self._within_columns(),
            class_range=[each.spread[0] for each in of_range],
            random_class_range=[each.typical[0] for each in of_range],
            class_p=self.class_range.each,
            class_familywise=self.class_range.familywise,
            class_variance=[each.spread[0] for each in of_variance],
            random_class_variance=[each.typical[0] for each in of_variance],
            class_variance_p=self.class_variance.each,
            class_variance_familywise=self.class_variance.familywise,
            excluded=np.where(complete, "complete", ""),
        )

    @cached_property
    def tests(self) -> pd.DataFrame:
        """One row per question and test, the exact one first, the paper's beside it.

        Columns: measure, test, p; p_low and p_high, the 95 % Monte-Carlo interval of the exact
        one's; tested and excluded (parts), and effect, low, high as in `effects`. Of class_variance
        and, where it was asked, of importance within_strata there is the exact test alone.
        """
        columns = ["measure", "test", "p", "p_low", "p_high", "tested", "excluded"]
        rows = []
        for measure, exact, compared in (
            ("importance", self.importance, self._compared_importance()),
            ("within_strata", self.within_strata, None),
            ("class_range", self.class_range, self._compared_ranges()),
            ("class_variance", self.class_variance, None),
        ):
            if exact is None:
                continue
            tested = int(np.isfinite(exact.each).sum())
            excluded = len(exact.each) - tested
            first = (measure, "permutation", exact.p, *exact.interval, tested, excluded)
            rows.append(pd.DataFrame([first], columns=columns))
            if compared is not None:
                rows.append(compared.combine(self.random_state).reindex(columns=columns))
        # Columns without a value have no type that others could be put below.
        table = pd.concat([each.dropna(axis=1, how="all") for each in rows], ignore_index=True)
        effects = [
            ("importance", *self.effect.mean(~self.measured.is_complete)),
            ("within_strata", *self.mean_within()),
            ("class_range", *self._mean_times("range", ~self.measured.is_complete)),
            ("class_variance", *self._mean_times("variance", ~self.measured.is_complete)),
        ]
        of_measure = pd.DataFrame(effects, columns=["measure", "effect", "low", "high"])
        return table.reindex(columns=columns).merge(of_measure, on="measure", how="left")

    @cached_property
    def effects(self) -> pd.DataFrame:
        """For each question a row for the network, whose layer is "all", and one for each layer.

        Columns: measure, layer, tested (parts), found (parts with a familywise p of at most
        .05), effect, low, high (95 % interval): for importance the mean over tested parts of
        percentage points beyond random parts, for class_range how many times as uneven parts are
        as random units that cost as much, where comparable: than random sets typically are, and
        that by the same of permuted parts where these can be compared; p of the exact test.
        """
        return pd.DataFrame(
            [
                self._effect_row(measure, layer, tested, of_chosen)
                for measure, test, of_chosen in (
                    ("importance", self.importance, self.effect.mean),
                    ("class_range", self.class_range, partial(self._mean_times, "range")),
                )
                for layer, tested in ((None, test), *test.by_layer.items())
            ]
        )

    def mean_within(self) -> tuple[float, float, float]:
        """Return the mean effect among units of similar strength, with its 95 % interval.

        In percentage points, over the parts that permutations among such units change; NaN where
        there are none, or that was not asked.
        """
        if self.effect_within is None:
            return (float("nan"),) * 3
        return self.effect_within.mean(self.measured.changes_within)

    @property
    def n_clusters(self) -> int:
        """How many clusters there are."""
        return len({each.cluster for each in self.measured.parts})

    @property
    def verdict(self) -> str:
        """What was found, in one or two sentences."""
        return verdict(self)

    def summary(self) -> str:
        """Return the verdict, what was left out, and how it was done, as text."""
        return summary(self)

    def to_html(self, path: str | Path) -> Path:
        """Write one HTML page that needs nothing else: no network, no scripts.

        Parameters
        ----------
        path : str or Path
            The file.

        Returns
        -------
        Path
            The same.

        Raises
        ------
        ValueError
            If there is a folder of this name.
        """
        from helpers.report.page import page
        from helpers.report.storage import write_text

        return write_text(Path(path), page(self))

    def save(self, folder: str | Path) -> Path:
        """Write the page, the tables and all that was measured into a folder.

        Parameters
        ----------
        folder : str or Path
            Made if needed. It gets index.html, summary.txt, subclusters.csv, tests.csv,
            effects.csv, report.json and measured.npz.

        Returns
        -------
        Path
            The folder.

        Raises
        ------
        ValueError
            If there is a file of this name.
        """
        from helpers.report.storage import save

        return save(self, Path(folder))

    @staticmethod
    def load(folder: str | Path) -> "Report":
        """Read a report from a folder that `save` wrote; everything is made from what was measured.

        Raises
        ------
        ValueError
            If the folder holds no report, or not a whole one.
        """
        from helpers.report.storage import load

        return load(Path(folder))

    def __repr__(self) -> str:
        """Say what was found."""
        return f"<Report on {self.name!r}: {self.verdict}>"

    def _repr_html_(self) -> str:
        from helpers.report.page import fragment

        return fragment(self)

    @cached_property
    def _counts(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Images per class that are right: intact (C,), and under each part's lesion (S, C)."""
        measured = self.measured
        intact, *true = (
            np.bincount(measured.classes[right], minlength=measured.n_classes)
            for right in (measured.intact, *measured.true)
        )
        return intact, np.array(true)

    @cached_property
    def _damages(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Losses of accuracy where labels are permuted within layers."""
        return self._losses(self.measured)

    def _losses(
        self, measured: Measured
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return losses of accuracy, in [-1, 1]: of true parts (S,), and of permuted (B, S)."""
        intact, true = self._counts
        accuracy = {"overall": overall_accuracy, "class_mean": class_mean_accuracy}
        lost, sizes = accuracy[self.protocol.accuracy], measured.class_sizes
        permuted = _row_by_row(measured.permuted, lambda row: lost(intact - row, sizes))
        return lost(intact - true, sizes), permuted

    def _within_columns(self) -> dict[str, npt.NDArray[np.float64]]:
        """Return effect and p of each part among units of similar strength; NaN if unknown."""
        unknown = np.full(len(self.measured.parts), np.nan)
        if self.within_strata is None or self.effect_within is None:
            return {"within_effect": unknown, "within_p": unknown}
        effect = np.where(self.measured.changes_within, self.effect_within.each, np.nan)
        return {"within_effect": effect, "within_p": self.within_strata.each}

    @cached_property
    def _by_spread(self) -> dict[Spread, list[EqualDamage]]:
        """Compare each part, and then its permuted ones, with nested random sets."""
        _, true = self._counts
        measured = self.measured
        permuted = measured.permuted.astype(np.int64)
        one_hot = np.zeros((len(measured.classes), measured.n_classes), dtype=np.float32)
        one_hot[np.arange(len(one_hot)), measured.classes] = 1
        nested = measured.nested.summed(one_hot)
        found = [
            by_spread(np.vstack([true[i], permuted[:, i]]), each.layer, nested)
            for i, each in enumerate(measured.parts)
        ]
        return {spread: [each[spread] for each in found] for spread in SPREADS}

    @cached_property
    def _times(self) -> dict[Spread, Times]:
        return times_as_uneven(self.measured, self._by_spread, self.random_state)

    def _mean_times(
        self, spread: Spread, chosen: npt.NDArray[np.bool_]
    ) -> tuple[float, float, float]:
        """Return the mean effect on classes of some parts, by that of permuted ones if it is known.

        That need not be 1, see `measures.coherence`.
        """
        times = np.array([each.times for each in self._by_spread[spread]])
        by_chance, error = statistics.mean_effect_by_chance(times[chosen])
        calibration = (by_chance, error) if by_chance > 0 else ()
        return self._times[spread].mean(chosen, *calibration)

    def _ranked(self, spread: Spread) -> PermutationTest:
        p = np.array([each.p for each in self._by_spread[spread]])
        return self._tested(-p[:, 0], -p[:, 1:].T, ~self.measured.is_complete)

    @cached_property
    def _ranges(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Class-wise ranges of the true parts (S,), and of the permuted (B, S); NaN: undefined."""
        intact, true = self._counts
        sizes, keeps = self.measured.class_sizes, self.protocol.keeps_undefined

        def ranges(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
            return measures.class_wise_range(counts, intact, sizes, keeps)

        return ranges(true), _row_by_row(self.measured.permuted, ranges)

    def _tested(
        self,
        true: npt.NDArray[np.float64],
        permuted: npt.NDArray[np.float64],
        chosen: npt.NDArray[np.bool_],
    ) -> PermutationTest:
        """Test parts that are chosen and not complete."""
        layers = [each.layer for each in self.measured.parts]
        tested = chosen & ~self.measured.is_complete
        return statistics.permutation_test(true, permuted, "right", tested, layers)

    def _compared_importance(self) -> Comparison:
        return measures.importance(self._profiles(self._rows()), self.protocol)

    def _compared_ranges(self) -> Comparison:
        """Compare with permuted parts whose ranges are defined, as far as there are enough."""
        rows = self._rows()
        if not self.protocol.keeps_undefined:
            undefined = np.take_along_axis(np.isnan(self._ranges[1]).T, rows, axis=1)
            rows = np.take_along_axis(rows, undefined.argsort(axis=1, kind="stable"), axis=1)
        return measures.class_range(self._profiles(rows), self.protocol, self.random_state)

    def _rows(self) -> npt.NDArray[np.intp]:
        """Return, for each part, the permutations in an order of its own, shape (S, B).

        Parts of one permutation share a layer's units; the paper's twins are drawn by themselves.
        """
        rng = np.random.default_rng(self.random_state)
        rows = np.arange(self.measured.n_permutations)
        return rng.permuted(np.tile(rows, (len(self.measured.parts), 1)), axis=1)

    def _profiles(self, rows: npt.NDArray[np.intp]) -> LesionProfiles:
        """Return parts beside the first `n_random` of their permuted twins, as the paper does."""
        measured, (intact, true) = self.measured, self._counts
        twins = measured.permuted[rows[:, : self.n_random], np.arange(len(rows))[:, np.newaxis]]
        return LesionProfiles(
            partition=measured.partition,
            subclusters=measured.parts,
            class_sizes=measured.class_sizes,
            intact=intact,
            true=true,
            random=twins.astype(np.int64),
            fingerprint=self.fingerprint,
        )

    def _effect_row(
        self,
        measure: str,
        layer: str | None,
        test: PermutationTest,
        of_chosen: Callable[[npt.NDArray[np.bool_]], tuple[float, float, float]],
    ) -> dict[str, object]:
        tested = np.isfinite(test.each)
        effect, low, high = of_chosen(tested)
        return {
            "measure": measure,
            "layer": "all" if layer is None else layer,
            "tested": int(tested.sum()),
            "found": int((test.familywise[tested] <= ALPHA).sum()),
            "effect": effect,
            "low": low,
            "high": high,
            "p": test.p,
        }


def _row_by_row(
    permuted: npt.NDArray[np.int32],
    value: Callable[[npt.NDArray[np.int64]], npt.NDArray[np.float64]],
) -> npt.NDArray[np.float64]:
    """Return values of permuted parts, a permutation at a time: exact integers take memory."""
    return np.array([value(row.astype(np.int64)) for row in permuted])
