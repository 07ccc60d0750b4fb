"""The paper's claims as values, and what became of them here.

A claim is about a kind of network. It holds if its effect is there in at least three of five
networks (partial conjunction), after a correction for the number of claims; it is refuted only if
the mean effect is shown to be smaller than anybody would care about; all else is undecided.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from typing import NamedTuple, Protocol

import numpy as np
import pandas as pd
from statsmodels.stats.multitest import multipletests

from helpers import statistics
from helpers.book import published
from helpers.book.scorecard import accuracies
from helpers.book.tables import format_p, or_nothing
from helpers.measures import LEAST_POINTS, LEAST_TIMES

LEVEL = 0.05
"""Claims hold at this level, all together."""

TOO_FEW = "too few networks"
"""The verdict on a claim with fewer replicates than it needs."""

N_NETWORKS, N_WITH_EFFECT = 5, 3
"""Replicates that a verdict needs, and in how many of them an effect must be."""


class Unit(NamedTuple):
    """What effects are counted in.

    Attributes
    ----------
    text : str
        How one is written.
    none : float
        What is no effect.
    margin : float
        What nobody would care about: beyond it effects matter.
    """

    text: str
    none: float
    margin: float


POINTS = Unit("{:.2g} points", 0.0, LEAST_POINTS)
"""Percentage points of accuracy."""

TIMES = Unit("{:.3g} times", 1.0, LEAST_TIMES)
"""Times what is typical of random sets, where large is extreme."""

NATS = Unit("{:.2g} nats", 0.0, -0.1)
"""Nats of entropy, beyond random sets', where small is extreme."""

LESS = Unit("{:.3g} times", 1.0, 1 / LEAST_TIMES)
"""Times what is typical of random sets, where small is extreme."""

COUNT = Unit("{:.2g} more sub-clusters", 0.0, float("-inf"))
"""Sub-clusters beyond those expected by chance; no number of them is too small to matter."""


_AT_LEAST = Unit("{:.2g} points above, at the least", 0.0, 0.0)
"""Percentage points of accuracy above what the paper says, of the worst network of all."""


@dataclass(frozen=True)
class Judged:
    """What became of a claim, for one kind of network.

    Attributes
    ----------
    network : str
        The kind, in words.
    n_networks : int
        How many of it there are.
    p : float
        That the effect is in fewer than three networks; NaN without a test.
    reverse : float
        The same of the opposite effect.
    effect, low, high : float
        Mean over networks and its interval (Student).
    unit : Unit
        Of the effect.
    verdict : str
        If there is nothing to test.
    of_each : tuple of float
        The effect on each network; NaN where there is none to speak of.
    lacks_a_test : bool
        Whether one of two tests that it takes has not been made of each network, so that p is not
        known. It then counts as 1.
    """

    network: str
    n_networks: int
    p: float = float("nan")
    reverse: float = float("nan")
    effect: float = float("nan")
    low: float = float("nan")
    high: float = float("nan")
    unit: Unit = POINTS
    verdict: str = ""
    of_each: tuple[float, ...] = ()
    lacks_a_test: bool = False


class Question(Protocol):
    """What is looked at for a claim."""

    def answers(self, found: Mapping[str, pd.DataFrame]) -> list[Judged]:
        """Look at it, for each kind of network that there is."""


@dataclass(frozen=True)
class Tested:
    """Whether a test of each network finds an effect.

    Attributes
    ----------
    table, measure, test : str
        Which of the collected tests.
    unit : Unit
        Of its effect.
    networks : str
        Regular expression for names of the zoo.
    also : str, optional
        A second test that has to find it, too, because the first may find something else: of both
        p values the larger counts. Where it was not made, it counts as if it found nothing.
    """

    table: str
    measure: str
    unit: Unit
    test: str = "exact"
    networks: str = ""
    also: str = ""

    def answers(self, found: Mapping[str, pd.DataFrame]) -> list[Judged]:
        """Combine the p values of the networks of each kind under the paper's protocol."""
        table = found[self.table]
        chosen = table[
            (table["protocol"] == "paper")
            & (table["measure"] == self.measure)
            & table["network"].str.match(self.networks)
        ]
        chosen = chosen.sort_values("replicate", kind="stable")
        return [
            self._of_kind(str(name), rows)
            for name, rows in chosen.groupby("network", sort=False)
            if rows["p"].notna().any()
        ]

    def _of_kind(self, name: str, rows: pd.DataFrame) -> Judged:
        by_test = {
            str(test): each.drop_duplicates("replicate")
            for test, each in rows.dropna(subset="p").groupby("test")
        }
        known = by_test.get(self.test, rows[:0])
        label = published.in_words(name)
        if len(known) < N_NETWORKS:
            return Judged(label, len(known), unit=self.unit)
        effects = known.get("effect", pd.Series(np.nan, known.index))
        low, high = statistics.mean_interval(effects)
        p = statistics.partial_conjunction(known["p"], N_WITH_EFFECT)
        lacks_a_test = False
        if self.also:
            made = rows.loc[rows["test"] == self.also, "replicate"]
            lacks_a_test = not known["replicate"].isin(made).all()
            second = by_test.get(self.also, rows[:0]).set_index("replicate")["p"]
            shown = second.reindex(known["replicate"], fill_value=1.0)
            p = max(p, statistics.partial_conjunction(shown, N_WITH_EFFECT))
        return Judged(
            label,
            len(known),
            p,
            statistics.partial_conjunction(_opposite(known), N_WITH_EFFECT),
            float(effects.mean()),
            low,
            high,
            self.unit,
            of_each=tuple(effects),
            lacks_a_test=lacks_a_test,
        )


class AsAccurate:
    """Whether all networks of a kind reach the paper's floor; kinds alike are one answer."""

    def answers(self, found: Mapping[str, pd.DataFrame]) -> list[Judged]:
        """Compare percentage points above the floor; the least of all counts."""
        table = accuracies().dropna(subset="floor")
        table["above"] = 100 * (table["lowest"] - table["floor"])
        answers = []
        for is_enough, kinds in table.groupby(table["replicates"] >= N_NETWORKS):
            least = float(kinds["above"].min())
            verdict = "holds" if least >= 0 else "does not hold"
            answers.append(
                Judged(
                    f"{len(kinds)} kinds",
                    int(kinds["replicates"].min()),
                    effect=least,
                    unit=_AT_LEAST,
                    verdict=verdict if is_enough else TOO_FEW,
                )
            )
        return answers


class NotRun:
    """What is about networks that have not been run here."""

    def answers(self, found: Mapping[str, pd.DataFrame]) -> list[Judged]:
        """Find nothing."""
        return []


@dataclass(frozen=True)
class Claim:
    """What the paper says.

    Attributes
    ----------
    text, section : str
        The claim, and where it is made.
    question : Question
        What is looked at for it.
    denies : bool
        Whether it says that an effect is not there.
    """

    text: str
    section: str
    question: Question = field(default_factory=NotRun)
    denies: bool = False


_OUTSIDE, _VGGS, _UNTRAINED = "(?!cifar10)", "cifar10-vgg(?!-untrained)", "cifar10-vgg-untrained"
_EXCHANGEABLE = "exchangeable_fisher"

CLAIMS = (
    Claim("Sub-clusters are important.", "3.2", Tested("exact", "importance", POINTS)),
    Claim(
        "Some sub-clusters are important in practice, too.",
        "3.2",
        Tested("chance", "important", COUNT),
    ),
    Claim(
        "Some sub-clusters do significant damage, but of less than one percentage point.",
        "3.2",
        Tested("chance", "sig-but-not-diff", COUNT),
    ),
    Claim(
        "Outside VGGs, lesions of sub-clusters fall on the classes less evenly than others.",
        "3.2, of VGGs",
        Tested("exact", "coherence", TIMES, networks=_OUTSIDE, also="exact_effect"),
    ),
    Claim(
        "Outside VGGs, constructed inputs drive sub-clusters more than random sets.",
        "3.1.2, of VGGs",
        Tested("driven", "score", TIMES, _EXCHANGEABLE, _OUTSIDE),
    ),
    Claim(
        "Outside VGGs, outputs for constructed inputs are clearer than for random sets.",
        "3.1.2, of VGGs",
        Tested("driven", "entropy", NATS, _EXCHANGEABLE, _OUTSIDE),
    ),
    Claim(
        "Pictures of MLPs' sub-clusters are clearer.",
        "3.1.1",
        Tested("pictures", "contrast", TIMES, _EXCHANGEABLE, ".*-mlp"),
    ),
    Claim(
        "Sub-clusters on halves-diff prefer one half.",
        "3.1.1",
        Tested("pictures", "preference", TIMES, _EXCHANGEABLE, "halves-diff"),
    ),
    Claim(
        "Sub-clusters on halves-same prefer no half more than random sets.",
        "3.1.1",
        Tested("pictures", "preference", TIMES, _EXCHANGEABLE, "halves-same"),
        denies=True,
    ),
    Claim("Networks are as accurate as the paper says.", "A.2", AsAccurate()),
    Claim(
        "Constructed inputs drive VGGs' sub-clusters more than random sets.",
        "3.1.2",
        Tested("driven", "score", TIMES, _EXCHANGEABLE, _VGGS),
    ),
    Claim(
        "Unregularised VGGs classify constructed inputs more clearly.",
        "3.1.2",
        Tested("driven", "entropy", NATS, _EXCHANGEABLE, "cifar10-vgg$"),
    ),
    Claim(
        "VGGs' sub-clusters matter for particular classes on CIFAR-10.",
        "3.2",
        Tested("exact", "coherence", TIMES, networks=_VGGS, also="exact_effect"),
    ),
    Claim("Sub-clusters of VGG-16 on ImageNet have lower class-wise ranges.", "3.2"),
    Claim(
        "Untrained VGGs have no input coherence.",
        "A.5",
        Tested("driven", "score", TIMES, _EXCHANGEABLE, _UNTRAINED),
        denies=True,
    ),
    Claim(
        "Activations vary less in sub-clusters of VGGs.",
        "A.8",
        Tested("driven", "variance", LESS, _EXCHANGEABLE, _VGGS),
    ),
)
"""What the paper says, as far as it can be judged. What it says of VGGs only is asked of other
networks, too: it does not deny that it is there."""


def of_chance(kinds: pd.DataFrame) -> pd.DataFrame:
    """Return collected counts of `measures.kinds_by_chance` as tests of how many there are.

    Parameters
    ----------
    kinds : pandas.DataFrame
        With columns kind, found, expected and p.
    """
    return kinds.assign(
        measure=kinds["kind"], test="exact", effect=kinds["found"] - kinds["expected"]
    )


def judged(found: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Judge what the paper says by what was found.

    Parameters
    ----------
    found : mapping of str to pandas.DataFrame
        Collected tests: "exact", "chance", "driven" and "pictures", with the columns
        network, replicate, protocol, measure, test, p and, where they are known, p_two_sided and
        effect.

    Returns
    -------
    pandas.DataFrame of str
        A row per claim and kind of network: verdict, first because a phone shows what is first;
        claim, network; networks, how many of ours are behind it, and of how many if they are too
        few; p, the partial conjunction after Holm's correction over all claims, a dash where there
        is no test, or one of two has not been made; reverse, for the opposite effect, not
        corrected; effect, the mean over networks with its interval, and of how many networks if
        not of all; section.

    Notes
    -----
    A claim that something is there holds if the corrected p is at most .05. One about classes has
    two tests, of which the larger p counts, because damage alone makes that of `measures.coherence`
    small. It does not hold if the whole interval of the mean effect lies short of the margin (one
    percentage point of accuracy, a ratio of 1.1). For one that something is not there it is the
    other way round. All else is undecided, and with fewer than five networks nothing is judged.
    """
    by_claim: dict[str, list[dict[str, str]]] = {claim.text: [] for claim in CLAIMS}
    for claim, each, p in _answered(found):
        by_claim[claim.text].append(_row(claim, each, p))
    rows = []
    for claim in CLAIMS:
        nothing = {"network": "–", "verdict": "not run here", "networks": "–"}
        for row in by_claim[claim.text] or [nothing]:
            verdict = {"verdict": row["verdict"], "claim": claim.text}
            rows.append(verdict | row | {"section": claim.section})
    return pd.DataFrame(rows).fillna("–")


def effects(found: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the mean effects that stand behind verdicts, as numbers.

    Parameters
    ----------
    found : mapping of str to pandas.DataFrame
        As for `judged`.

    Returns
    -------
    pandas.DataFrame
        A row per claim and kind of network with a mean effect and its interval: claim, network,
        verdict; unit, in words; effect, low, high; of_each, a tuple of float, the effect on each
        network, NaN where there is none to speak of; none, what is no effect; and margin, up to
        where none matters, infinite if there is none.
    """
    rows = [
        {
            "claim": claim.text,
            "network": each.network,
            "verdict": _verdict(claim, each, p),
            "unit": each.unit.text.partition(" ")[2],
            "effect": each.effect,
            "low": each.low,
            "high": each.high,
            "of_each": each.of_each,
            "none": each.unit.none,
            "margin": each.unit.margin,
        }
        for claim, each, p in _answered(found)
    ]
    return pd.DataFrame(rows).dropna(subset=["effect", "low", "high"], ignore_index=True)


def _answered(found: Mapping[str, pd.DataFrame]) -> list[tuple[Claim, Judged, float]]:
    """Return what became of each claim, with p values after Holm's correction over all."""
    answers = [(claim, each) for claim in CLAIMS for each in claim.question.answers(found)]
    corrected = _holm([each.p for _, each in answers])
    return [(claim, each, p) for (claim, each), p in zip(answers, corrected, strict=True)]


_COUNTED = {
    "holds": ("holds", "hold"),
    "does not hold": ("does not", "do not"),
    "undecided": ("is undecided", "are undecided"),
    TOO_FEW: ("has too few networks", "have too few networks"),
    "not run here": ("was not run here", "were not run here"),
}
"""What one claim does, and what several do."""


def counted(judgements: pd.DataFrame) -> str:
    """Return how many claims have which verdict.

    Parameters
    ----------
    judgements : pandas.DataFrame
        Of `judged`.

    Returns
    -------
    str
        Such as ``13 hold, none does not, 10 are undecided``: always of the first two, and of the
        others if there are any.
    """
    numbers = judgements["verdict"].value_counts()
    told = []
    for verdict, (one, several) in _COUNTED.items():
        n = int(numbers.get(verdict, 0))
        if n or verdict in ("holds", "does not hold"):
            told.append(f"{n or 'none'} {one if n < 2 else several}")
    return ", ".join(told)


SIGNS = {"holds": "✓", "does not hold": "✗", "undecided": "?"}
"""What stands for a verdict where there is little room."""


def about(judgements: pd.DataFrame, start: str) -> pd.DataFrame:
    """Return the rows about a claim.

    Parameters
    ----------
    judgements : pandas.DataFrame
        Of `judged`.
    start : str
        How the claim begins, of no other claim.

    Raises
    ------
    ValueError
        If no claim, or several, begin like this.
    """
    rows = judgements[judgements["claim"].str.startswith(start)]
    n_claims = len(set(rows["claim"]))
    if n_claims != 1:
        raise ValueError(f"start: {n_claims} claims begin with {start!r}; accepted is one")
    return rows


def chips(rows: pd.DataFrame, address: str, whose: str = "") -> str:
    """Return what became of a claim as a few marks that lead to where it is shown.

    Parameters
    ----------
    rows : pandas.DataFrame
        Of `about`. Each verdict has a mark, with the kinds of network that it is about.
    address : str
        Of the figure behind it.
    whose : str
        What to put in front of each verdict, where it is not plain whose claim it is about.

    Returns
    -------
    str
        HTML.
    """
    families = rows["network"].map(_family)
    marks = []
    for verdict, kinds in rows.groupby("verdict", sort=False):
        sign, kind = SIGNS.get(str(verdict), "…"), str(verdict).replace(" ", "-")
        named = [
            _named(family, of_family, n_of_family=int((families == family).sum()))
            for family, of_family in kinds.groupby(families, sort=False)
            if family != "–"
        ]
        said = escape(f"{whose}{verdict}" + f" ({'; '.join(named)})" * bool(named))
        marks.append(f'<a class="verdict {kind}" href="{escape(address)}">{sign} {said}</a>')
    return " ".join(marks)


def no_evidence_chip(untrained: "pd.Series[float]", whose: str, address: str) -> str:
    """Return a mark for published p values that say nothing, if they do.

    Parameters
    ----------
    untrained : Series of float
        What the same procedure gives of networks that have learned nothing.
    whose : str
        What the published ones are of.
    address : str
        Of the figure behind it.

    Returns
    -------
    str
        HTML; nothing unless each of these networks has a low p value, too.
    """
    if untrained.empty or not (untrained <= LEVEL).all():
        return ""
    said = escape(f"✗ no evidence: {whose}")
    return f'<a class="verdict does-not-hold" href="{escape(address)}">{said}</a>'


def in_short(rows: pd.DataFrame) -> str:
    """Return the least and the largest mean effect on each family of networks.

    Parameters
    ----------
    rows : pandas.DataFrame
        Of `about`.

    Returns
    -------
    str
        Such as ``MLPs 1.8 to 7.8 points, CNNs 0.04 to 0.12 points``; one number where there is one
        kind of network, or where kinds differ by less than is written. A kind without an interval
        is left out.
    """
    known = rows[rows["effect"].str.contains("(", regex=False)]
    told = []
    for family, kinds in known.groupby(known["network"].map(_family), sort=False):
        means = [each.split(" (")[0].partition(" ") for each in kinds["effect"]]
        numbers = sorted({number for number, _, _ in means}, key=float)
        ends = " to ".join(numbers[:: max(len(numbers) - 1, 1)])
        told.append(f"{family}s {ends} {means[0][2]}")
    return ", ".join(told)


def _family(network: str) -> str:
    """Return the first of the words for a kind of network, its architecture: ``MLP``."""
    return network.split(" ")[0]


def _named(family: str, kinds: pd.DataFrame, n_of_family: int) -> str:
    """Return how to call kinds of a family: together, where all there are share a verdict."""
    is_judged = TOO_FEW not in set(kinds["verdict"])
    if is_judged and len(kinds) == n_of_family > 1:
        return f"{family}s"
    return "; ".join(
        f"{row.network}" + f", {row.networks}" * (not is_judged) for row in kinds.itertuples()
    )


def _row(claim: Claim, each: Judged, p: float) -> dict[str, str]:
    verdict = _verdict(claim, each, p)
    return {
        "network": each.network,
        "verdict": verdict,
        "networks": f"{each.n_networks}" + f" of {N_NETWORKS}" * (verdict == TOO_FEW),
        "p": "–" if each.lacks_a_test else format_p(p),
        "reverse": format_p(each.reverse),
        "effect": _effect(each),
    }


def _verdict(claim: Claim, each: Judged, p: float) -> str:
    if each.n_networks < N_NETWORKS:
        return TOO_FEW
    if each.verdict:
        return each.verdict
    if p <= LEVEL:
        return "does not hold" if claim.denies else "holds"
    short = each.high < each.unit.margin
    if each.unit.margin < each.unit.none:  # Small is extreme.
        short = each.low > each.unit.margin
    if np.isfinite(each.unit.margin) and short:
        return "holds" if claim.denies else "does not hold"
    return "undecided"


def _effect(each: Judged) -> str:
    if np.isnan(each.effect):
        return "–"
    effect, low, high = map(or_nothing, (each.effect, each.low, each.high))
    text = each.unit.text.format(effect)
    if not np.isnan(low):
        number = each.unit.text.split(" ")[0]
        text = f"{text} ({number.format(low)} to {number.format(high)})"
    n_known = int(np.isfinite(each.of_each).sum())
    is_partial = n_known < len(each.of_each)
    return text + f", in {n_known} of {each.n_networks} networks" * is_partial


def _holm(p: list[float]) -> list[float]:
    """Return Holm's adjusted p values of those that there are."""
    adjusted = np.array(p, dtype=float)
    known = ~np.isnan(adjusted)
    if known.any():
        adjusted[known] = multipletests(adjusted[known], method="holm")[1]
    return [float(each) for each in adjusted]


def _opposite(rows: pd.DataFrame) -> pd.Series:
    """Return p values of the opposite effect, or what they are at most.

    They are 1 where the effect's own is the smaller one, or a two-sided one is 1, which does not
    say how far beyond one half both are.
    """
    both = rows.get("p_two_sided", pd.Series(np.nan, rows.index))
    is_known = (both / 2 < rows["p"]) & (both < 1)
    return (both / 2).where(is_known, 1.0).where(both.notna())
