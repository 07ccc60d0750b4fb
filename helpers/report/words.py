"""What a report says in words: a verdict that a colleague understands, and what it rests on."""

import math
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from helpers.lesions.nested import LEAST_DAMAGE
from helpers.measures import LEAST_POINTS, LEAST_TIMES
from helpers.report.effects import image_weights
from helpers.report.measuring import orderings_for

if TYPE_CHECKING:
    from helpers.report.reports import Report

Answer = Literal["yes", "no", "undecided"]

ALPHA = 0.05
"""A test finds something if its p value is at most this."""


def is_important(report: "Report") -> Answer:
    """Say whether lesions of the parts cost more than those of random parts.

    Returns
    -------
    str
        "yes" if the exact test finds it, and either a part by itself or a mean effect whose 95 %
        interval does not lie below 0; "no" if it does not, for no part either, that interval lies
        below one percentage point, also if lesions cost what so few images need not show, and no
        single part's lies above it; else "undecided", also where the intact network is at chance,
        so that there is nothing to lose, or no lesion whatsoever changes what is right.
    """
    tested = ~report.measured.is_complete
    mean, _, high = report.effect.mean(tested)
    if report.importance.p <= ALPHA:
        return "yes" if found_parts(report).any() or high >= 0 else "undecided"
    is_absent = high < LEAST_POINTS and not _standing_out(report).any() and not is_at_chance(report)
    is_absent = is_absent and mean + _unseen(report) <= LEAST_POINTS and not _is_untouched(report)
    return "no" if is_absent and not found_parts(report).any() else "undecided"


def _unseen(report: "Report") -> float:
    """Return how many points a lesion may cost that cost none of the images.

    At most three of n, with a probability of 95 %: the rule of three (Hanley and Lippman-Hand,
    "If Nothing Goes Wrong, Is Everything All Right?", 1983).
    """
    measured = report.measured
    heaviest = image_weights(measured, report.protocol.accuracy)[measured.class_sizes > 0].max()
    return float(min(100 * 3 * heaviest / len(measured.classes), 100.0))


def is_at_chance(report: "Report") -> bool:
    """Say whether the intact network is no better than who always says the most frequent class."""
    measured = report.measured
    return bool(measured.intact.sum() <= measured.class_sizes.max())


def is_class_wise(report: "Report") -> Answer:
    """Say whether the parts matter for particular classes: "yes" or "undecided".

    Parts that cost more than permuted ones can be compared more often, and that alone makes p
    smaller. So a small p value speaks of classes only together with an effect of at least
    `measures.LEAST_TIMES`, whose interval lies above 1 and which few permuted partitions have.
    """
    effect, low, _ = _times_as_uneven(report)
    is_uneven = effect >= LEAST_TIMES and low > 1 and report.class_effect_p <= ALPHA
    return "yes" if report.class_range.p <= ALPHA and is_uneven else "undecided"


def verdict(report: "Report") -> str:
    """Return both answers as sentences, each p value with its effect."""
    return " ".join(
        filter(None, (_of_importance(report), _of_strength(report), _of_classes(report)))
    )


def summary(report: "Report") -> str:
    """Return the verdict, what was left out, and how it was done, as text."""
    blocks = [verdict(report)]
    for title, sentences in (("Left out and to be noted", remarks(report)), ("How", how(report))):
        if sentences:
            blocks.append("\n".join([f"{title}:", *(f"- {each}" for each in sentences)]))
    return "\n\n".join(blocks)


def remarks(report: "Report") -> list[str]:
    """Return what was left out, and what to beware of."""
    measured = report.measured
    found = list(report.notes)
    n_complete = int(measured.is_complete.sum())
    if n_complete:
        whole = (
            "are all (connected) units of their layer and cannot"
            if n_complete > 1
            else ("is all (connected) units of its layer and cannot")
        )
        found.append(f"{count(n_complete, 'part')} {whole} be tested: no random part differs.")
    n_isolated = sum(int((each < 0).sum()) for each in measured.partition.labels.values())
    if n_isolated:
        found.append(f"{count(n_isolated, 'unit')} in no cluster (label -1).")
    n_incomparable = int((~report.is_comparable & ~measured.is_complete).sum())
    if n_incomparable:
        found.append(
            "How unevenly damage falls on classes cannot be compared for "
            f"{count(n_incomparable, 'part')}, which {'costs' if n_incomparable == 1 else 'cost'} "
            f"fewer than {LEAST_DAMAGE} images or more than random sets do."
        )
    if report.n_asked > measured.n_permutations:
        found.append(
            f"The budget of time allowed {measured.n_permutations} of {report.n_asked} "
            "permutations, so that p values are coarser."
        )
    n_tested = int((~measured.is_complete).sum())
    if n_tested > ALPHA * (measured.n_permutations + 1):
        found.append(
            f"With {measured.n_permutations} permutations single parts among {n_tested} can hardly "
            "be found; tests of all together are not affected."
        )
    found += _on_similar_strength(report)
    n_orderings = n_orderings_of(report)
    n_asked, _ = orderings_for(measured.partition, measured.n_permutations)
    if 0 < n_orderings < n_asked:
        found.append(
            f"The budget of time allowed {n_orderings} of {n_asked} random orderings, along which "
            "damage by class is compared."
        )
    if report.n_random > measured.n_permutations:
        found.append(f"The paper's tests have {measured.n_permutations} twins per part.")
    if _unseen(report) > LEAST_POINTS:
        n_images = len(measured.classes)
        are = f"{count(n_images, 'image')} {'is' if n_images == 1 else 'are'} few"
        found.append(
            f"{are}: a lesion that costs none of them may cost up to "
            f"{points(_unseen(report))} points of all."
        )
    if is_at_chance(report):
        found.append(
            f"The intact network gets {percent(measured.intact.mean())} right, no more than who "
            "always says the most frequent class: are images scaled and classes numbered as in its "
            "training?"
        )
    if not measured.is_complete.all() and _is_untouched(report):
        found.append(
            "No lesion changed what is right of any image: does the network lesion the layers that "
            "it is asked to?"
        )
    if (measured.class_sizes > 0).sum() < 2:
        found.append("All images are of one class, so classes cannot be compared.")
    return found


def _is_untouched(report: "Report") -> bool:
    """Whether all images are as right as without a lesion under each lesion."""
    measured = report.measured
    same = measured.n_permutations * measured.intact
    return bool(
        (measured.true == measured.intact).all() and (measured.permuted_right == same).all()
    )


def _on_similar_strength(report: "Report") -> list[str]:
    """Return what to beware of where parts were permuted among units of similar strength."""
    measured = report.measured
    if measured.within is None:
        return []
    found, done = [], len(measured.within.permuted)
    n_fixed = int((~measured.changes_within & ~measured.is_complete).sum())
    if n_fixed:
        found.append(
            f"Among units of similar strength, {count(n_fixed, 'part')} cannot change and "
            f"{'is' if n_fixed == 1 else 'are'} left out."
        )
    if done < measured.within.n_asked:
        found.append(
            f"The budget of time allowed {done} of {measured.within.n_asked} permutations among "
            "units of similar strength."
        )
    return found


def n_orderings_of(report: "Report") -> int:
    """Return along how many orderings of each layer random sets were lesioned; 0 if none."""
    return min((len(each) for each in report.measured.nested.sets.values()), default=0)


def how(report: "Report") -> list[str]:
    """Return how everything was done."""
    measured, n_orderings = report.measured, n_orderings_of(report)
    _, n_sizes = orderings_for(measured.partition, measured.n_permutations)
    along = (
        f", along {n_orderings} orderings with {n_sizes} sizes or more, or as many as a small "
        "layer has"
    ) * bool(n_orderings)
    here = f" (here p = {p_text(report.class_effect_p)})" * (not np.isnan(report.class_effect_p))
    n_layers = len(measured.partition.hidden)
    return [
        f"{report.source}: {count(report.n_clusters, 'cluster')} of units in "
        f"{count(n_layers, 'hidden layer')}. A part is what a cluster has in one layer; there are "
        f"{len(measured.parts)}.",
        f"The network was run on {count(len(measured.classes), 'image')}, of which it gets "
        f"{percent(measured.intact.mean())} right. A lesion sets all weights into the units of a "
        "part, and their biases, to zero.",
        f"Exact test: labels were permuted within layers {measured.n_permutations} times, which "
        "gives random parts of the same sizes; all parts are tested together, whatever units they "
        "share. Single parts have p values corrected for their number (familywise).",
        *_how_within(report),
        f"Effects: percentage points of accuracy{weighed(report)}; what a lesion costs beyond the "
        "mean of its random parts. 95 % intervals by 2,000 bootstraps of images within classes and "
        "of permutations, of the effects on classes by 100 of images alone. They are for this very "
        "partition: that one leaves out 0 is no finding without the p value beside it. They take "
        "the numbers of images of each class as given; where those were drawn by chance, too, "
        "intervals of single parts are somewhat too short.",
        "Class-wise range: the largest less the smallest loss of a class's accuracy, by the mean "
        "loss. It falls as damage grows, so a part is compared with random sets of its layer that "
        f"cost as many images, whatever their size{along}. That parts matter for particular "
        "classes is said only if at most one in twenty partitions, this and the permuted ones of "
        f"which a part can be compared, have as large an effect{here}: a larger damage alone can "
        "make the exact test's p small, but not this one.",
        f"The paper's tests (Hod et al.) with {min(report.n_random, measured.n_permutations)} "
        f"random twins per part, protocol {report.protocol.name!r}, are given beside.",
        f"Seed {report.random_state}; network and images {report.fingerprint}.",
    ]


def _how_within(report: "Report") -> list[str]:
    within = report.measured.within
    if within is None:
        return []
    return [
        "Beyond the strength of units: the exact test again, with labels permuted "
        f"{len(within.permuted)} times among about eight units at a time whose edges in the graph "
        "of weights add up to about as much: what little they differ may still play a part."
    ]


def weighed(report: "Report") -> str:
    """Return what is to be added where points of accuracy are explained: "" if images count."""
    return ", each class counting the same" * (report.protocol.accuracy == "class_mean")


def count(n: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def p_text(p: float) -> str:
    """Return a p value as printed: .001, .21, 1; below one in ten thousand that it is.

    What is above `ALPHA` does not read as if it were not.
    """
    if np.isnan(p):
        return "undefined"
    if p < 0.0001:
        return "< .0001"
    text = f"{p:.2g}" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"
    if p > ALPHA >= float(text):
        text = f"{math.ceil(1e4 * p) / 1e4:.4f}"
    return text.removeprefix("0")


def points(value: float) -> str:
    """Return percentage points with as many digits as are needed; no zero has a sign."""
    return f"{value:.1f}" if abs(value) >= 0.995 else f"{round(value, 2) + 0.0:.2f}"


def interval(low: float, high: float) -> str:
    """Return an interval of percentage points."""
    return f"{points(low)} to {points(high)}".replace("-", "−")


def percent(share: float) -> str:
    """Return a share of images."""
    return f"{100 * share:.1f} %"


def found_parts(report: "Report") -> npt.NDArray[np.bool_]:
    """Return which parts cost more than random ones by themselves, corrected for their number."""
    return report.importance.familywise <= ALPHA


def _standing_out(report: "Report") -> npt.NDArray[np.bool_]:
    """Return which parts' intervals lie above the margin."""
    above = report.effect.intervals()[:, 0] > LEAST_POINTS
    return np.asarray(above & ~report.measured.is_complete)


def _of_importance(report: "Report") -> str:
    tested, found = ~report.measured.is_complete, found_parts(report)
    n_tested, n_found = int(tested.sum()), int(found.sum())
    clusters, p = f"{report.n_clusters} clusters", f"exact p = {p_text(report.importance.p)}"
    effect = report.effect.mean(tested)
    of_all = _size(*effect)
    cost = f"lesions of their {n_tested} parts cost on average {of_all} than random parts of the"
    answer = is_important(report)
    if answer == "no":
        return f"These {clusters} are not important: {cost} same size; {p}."
    if answer == "undecided":
        some = _of_found(report)
        lucky = _standing_out(report) & ~found
        if effect[2] < LEAST_POINTS and lucky.any():
            most = report.effect.each[lucky].max()
            some += f", but single ones up to {points(most)} points more, which may be luck"
        if report.importance.p <= ALPHA:
            some += ", though some cost more than most of these oftener than by chance"
        whole, of = (" as a whole", " of all together") if n_found else ("", "")
        return (
            f"Whether these {clusters} are important{whole} is undecided: {cost} same size{some}; "
            f"{p}{of}."
        )
    if not n_found:
        return (
            f"These {clusters} are important, though no part is by itself: lesions of their "
            f"{n_tested} parts together cost more than those of {_most(effect[0])}random parts of "
            f"the same size, on average {of_all}; {p}."
        )
    mean, low, high = report.effect.mean(found)
    little = ", though by little" if high < LEAST_POINTS else ""
    every = f" and over all parts {of_all}" if n_found < n_tested else ""
    return (
        f"These {clusters} are important{little}: lesions of {n_found} of {n_tested} parts cost "
        f"more than {_most(mean)}random parts of the same size, on average "
        f"{_size(mean, low, high)}{every}; {p}."
    )


def _of_found(report: "Report") -> str:
    """Say what parts cost that cost more by themselves; "" if none does."""
    found = found_parts(report)
    if not found.any():
        return ""
    p, size = p_text(float(report.importance.familywise[found].max())), report.effect.mean(found)
    those, at = "one of them more by itself,", "p ="
    if found.sum() > 1:
        those, at = f"{int(found.sum())} of them more by themselves, on average", "p at most"
    return f", but {those} {_size(*size)}, {at} {p} corrected for the number of parts"


def _of_strength(report: "Report") -> str:
    """Say whether any part of important ones matters beyond the strength of its units.

    The test is of all parts together: of those that are found it would be too bold, because they
    are chosen for what they cost. An effect beyond 0 has to be there, too: units of a group are
    similar in strength, not equal, so that what strength alone brings about may have a small p.
    """
    test, (mean, low, high) = report.within_strata, report.mean_within()
    changes = report.measured.changes_within
    if test is None or is_important(report) != "yes" or not changes.any():
        return ""
    is_found = test.familywise <= ALPHA
    if report.effect_within is not None:
        is_found &= report.effect_within.intervals()[:, 0] > 0
    is_more = test.p <= ALPHA and (low > 0 or bool(is_found.any()))
    answer = (
        "Some parts matter beyond the strength of their units"
        if is_more
        else "Whether any part matters beyond the strength of its units is undecided"
    )
    though = "though " * (is_more and mean < 0)
    n_fixed = int((found_parts(report) & ~changes).sum())
    cannot = f", and {n_fixed} of those found cannot be compared so" * bool(n_fixed)
    return (
        f"{answer}: {though}all {int(changes.sum())} together cost on average "
        f"{_size(mean, low, high)} than parts of units of similar strength; exact "
        f"p = {p_text(test.p)}{cannot}."
    )


def _most(mean: float) -> str:
    """Whom something costs more than if its mean effect is below 0: few cost so much."""
    return "most " if mean < 0 else ""


def _size(mean: float, low: float, high: float) -> str:
    """Return a mean effect with its interval: "2.1 points more (1.6 to 2.7)"."""
    if mean < 0:
        return f"{points(-mean)} points less ({interval(-high, -low)})"
    return f"{points(mean)} points more ({interval(low, high)})"


def _of_classes(report: "Report") -> str:
    effect = _times_as_uneven(report)
    if not report.is_comparable.any():
        return (
            "They matter for particular classes: undecided (no part can be compared: each costs "
            f"fewer than {LEAST_DAMAGE} images, or more than random sets do)."
        )
    size = f"{_times(effect)} as uneven as random units that cost as much"
    if np.isnan(effect[0]):
        size = "random sets that cost as much cost all classes the same"
    p, answer, but = report.class_range.p, is_class_wise(report), ""
    if p <= ALPHA and answer != "yes":
        of_effect = p_text(report.class_effect_p)
        but = f", which larger damage alone can bring about; of the mean effect p = {of_effect}"
        n_comparable = (report.measured.n_permutations + 1) * (1 - report.share_incomparable)
        if report.class_effect_p <= ALPHA:
            but = ", an effect too small or unsure"
        elif n_comparable * ALPHA < 1:
            but = (
                ", but parts of random partitions cost too little to be compared in "
                f"{percent(report.share_incomparable)} of them"
            )
    cannot_be_more = effect[0] < LEAST_TIMES and report.most_times < LEAST_TIMES
    if answer != "yes" and cannot_be_more:
        but += (
            "; random units that cost as much fall on single classes, too, so that parts cannot be "
            f"{LEAST_TIMES} times as uneven on average, unless a class gains"
        )
    return f"They matter for particular classes: {answer} ({size}, exact p = {p_text(p)}{but})."


def _times(effect: tuple[float, float, float]) -> str:
    """Return an effect on classes with its interval: "1.2 times (1.1 to 1.3)"."""
    mean, low, high = effect
    between = "" if np.isnan(low) else f" ({low:.2f} to {high:.2f})"
    return f"{mean:.2f} times{between}"


def _times_as_uneven(report: "Report") -> tuple[float, float, float]:
    """Return how many times as uneven parts are as random units that cost as much; maybe NaN."""
    is_range = report.effects["measure"] == "class_range"
    mean, low, high = report.effects.loc[is_range, ["effect", "low", "high"]].iloc[0]
    return float(mean), float(low), float(high)
