"""What a report says, shows and keeps."""

import dataclasses
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
import scipy.stats

import helpers
from helpers import Partition, Report
from helpers.lesions.nested import Orderings, orderings_of
from helpers.measures.equal_damage import EqualDamage, at_equal_damage
from helpers.protocols import PAPER, RELEASED
from helpers.report import effects, words
from helpers.report.effects import Times
from helpers.report.measuring import Measured, Within, orderings_for
from helpers.statistics import drawn_again

NASTY = "<script>alert('oh')</script>"


def nested(partition, classes):
    """Nested sets of which each unit costs every class two of 50 images, and the first three."""
    costs = np.where(classes == 0, 3, 2)
    position = np.arange(len(classes)) // (classes.max() + 1)

    def right(lesions):
        sizes = np.array([sum(map(len, each.values())) for each in lesions])
        return (position >= sizes[:, np.newaxis] * costs).astype(np.int8)

    return orderings_of(right, np.ones(len(classes), int), partition, 20, 10)


def made_up(layers=("first", NASTY), n_classes=4, n_permutations=99, cost=30, seed=0):
    """A report of layers of two parts each, of which the first one's lesion costs class 0."""
    rng = np.random.default_rng(seed)
    n_images = 50 * n_classes
    classes = np.arange(n_images) % n_classes
    labels = {layer: np.repeat([0, 1], [4, 6]) for layer in layers}
    n_parts = 2 * len(layers)
    true = rng.random((n_parts, n_images)) < 0.98
    true[::2, np.flatnonzero(classes == 0)[: cost * n_classes // 4]] = False
    permuted = rng.binomial(50, 0.95, (n_permutations, n_parts, n_classes)).astype(np.int32)
    rates = permuted.sum(axis=(0, 2)) / (n_permutations * n_images)
    right = rng.binomial(n_permutations, rates[:, None], (n_parts, n_images)).astype(np.int32)
    measured = Measured(
        partition=Partition.from_labels(labels),
        classes=classes,
        n_classes=n_classes,
        intact=np.ones(n_images, bool),
        true=true,
        permuted=permuted,
        permuted_right=right,
        nested=nested(Partition.from_labels(labels), classes),
    )
    return Report(
        name=f"net & {NASTY}",
        source="The partition that was given",
        measured=measured,
        protocol=PAPER,
        n_random=20,
        n_asked=n_permutations,
        random_state=0,
        fingerprint="0123456789abcdef",
        notes=("Beware of <b>bold</b> names.",),
    )


@pytest.fixture(scope="module")
def report():
    return made_up()


@pytest.fixture(scope="module")
def enough():
    """A report on images enough to say that lesions cost nothing."""
    return made_up(n_classes=8)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    report = made_up(layers=["first", NASTY, "a/very" * 20])
    return report.to_html(tmp_path_factory.mktemp("report") / "page.html")


def among_alike(report, n=99, cost=0.0):
    """The report, with parts permuted among units of similar strength that cost a share more."""
    measured = report.measured
    strata = {layer: np.zeros(10, int) for layer in measured.partition.labels}
    lost = np.rint(measured.permuted[:n] * cost).astype(np.int32)
    right = (measured.permuted_right * (1 - cost) * n / 99).astype(np.int32)
    within = Within(strata, measured.permuted[:n] - lost, right, n_asked=n + (n < 99))
    return dataclasses.replace(report, measured=dataclasses.replace(measured, within=within))


def with_unsure_effect_within(report):
    """The report, in which what parts cost among units as strong may be nothing."""
    unsure = dataclasses.replace(report)
    draws = report.effect_within.draws - report.effect_within.draws.mean(axis=0)
    vars(unsure)["effect_within"] = dataclasses.replace(report.effect_within, draws=draws)
    return unsure


# Numbers.


def test_the_verdict_says_whether_importance_is_of_strong_weights_alone(report):
    assert "strength" not in report.verdict
    more, not_more = among_alike(report), among_alike(report, cost=0.5)
    assert "Some parts matter beyond the strength of their units: all 4 together cost on" in (
        more.verdict
    )
    assert "than parts of units of similar strength; exact p = " in more.verdict
    assert "Whether any part matters beyond the strength of its units is undecided: " in (
        not_more.verdict
    )
    assert not_more.mean_within()[2] < 0
    unsure = with_unsure_effect_within(more)
    assert unsure.within_strata.p <= 0.05
    assert "beyond the strength of its units is undecided" in unsure.verdict
    tests = more.tests.set_index("measure")
    assert tests.loc["within_strata", "p"] == more.within_strata.p
    assert "importance among units of similar strength" in more._repr_html_()


def test_a_verdict_names_parts_found_that_units_of_similar_strength_say_nothing_of(report):
    kept = among_alike(report).measured
    strata = {layer: (np.arange(10) >= 4).astype(int) for layer in kept.partition.labels}
    strata["first"] = np.zeros(10, int)
    within = dataclasses.replace(kept.within, strata=strata)
    some = dataclasses.replace(report, measured=dataclasses.replace(kept, within=within))
    assert "all 2 together cost on average" in some.verdict
    assert "and 1 of those found cannot be compared so." in some.verdict
    assert "Among units of similar strength, 2 parts cannot change and are left out." in (
        some.summary()
    )


def test_a_budget_that_cuts_permutations_among_units_of_similar_strength_is_said(report):
    cut = among_alike(report, n=29)
    assert "allowed 29 of 30 permutations among units of similar strength" in cut.summary()
    assert "among units of similar strength." not in among_alike(report).summary()


def test_what_units_of_similar_strength_say_is_kept(report, tmp_path):
    kept = among_alike(report)
    again = Report.load(kept.save(tmp_path))
    assert again._repr_html_() == kept._repr_html_()
    pd.testing.assert_frame_equal(again.subclusters, kept.subclusters)


def test_effects_on_classes_are_bootstrapped_as_by_copies_of_the_images_drawn(report):
    measured, spreads = report.measured, ("range", "variance")
    weights = next(drawn_again(measured.classes, 100, np.random.default_rng(report.random_state)))
    drawn = np.repeat(np.arange(len(measured.classes)), weights[7].astype(int))
    one_hot = np.eye(measured.n_classes)[measured.classes[drawn]]
    again = {
        layer: [(sizes, right[:, drawn].astype(int) @ one_hot) for sizes, right in along]
        for layer, along in measured.nested.sets.items()
    }
    sizes = measured.class_sizes
    nested = Orderings(sizes, measured.intact[drawn] @ one_hot, again)
    counts = measured.true[:, drawn] @ one_hot
    for spread in spreads:
        times = [
            at_equal_damage(counts[[i]], part.layer, nested, spread).times[0]
            for i, part in enumerate(measured.parts)
        ]
        known = np.isfinite(report._times[spread].each)
        assert known.any()
        found = report._times[spread].draws[7]
        np.testing.assert_allclose(found, np.where(known, times, np.nan))


def test_an_effect_on_classes_has_an_interval_of_the_middle_of_its_draws(report):
    row = report.effects.query("measure == 'class_range' and layer == 'all'").iloc[0]
    times = report._times["range"]
    known = np.isfinite(times.each)
    low, high = np.percentile(np.log(np.nanmean(times.draws[:, known], axis=1)), [15.87, 84.13])
    assert row["effect"] == pytest.approx(times.each[known].mean())  # No permuted one is known.
    assert row["high"] / row["effect"] == pytest.approx(np.exp(1.96 * (high - low) / 2))
    assert row["effect"] / row["low"] == pytest.approx(np.exp(1.96 * (high - low) / 2))


def test_an_effect_on_classes_is_divided_by_that_of_permuted_parts(report):
    again = dataclasses.replace(report)
    plain = report._mean_times("range", report.is_comparable)
    # As if permuted parts could be compared, and were a quarter more uneven than is typical.
    times = [
        each._replace(typical=np.where(np.isnan(each.typical), each.spread / 1.25, each.typical))
        for each in report._by_spread["range"]
    ]
    vars(again)["_by_spread"] = {"range": times}
    vars(again)["_times"] = report._times
    found = again._mean_times("range", report.is_comparable)
    assert found == pytest.approx(np.array(plain) / 1.25)
    mean, low, high = report._times["range"].mean(report.is_comparable, 1.25, 0.1)
    assert mean == pytest.approx(plain[0] / 1.25)
    wider = np.hypot(np.log(plain[2] / plain[0]), 1.96 * 0.1 / 1.25)
    assert (np.log(high / mean), np.log(mean / low)) == pytest.approx((wider, wider))


def test_a_draw_that_explodes_does_not_carry_an_interval_away_with_it():
    draws = np.random.default_rng(0).lognormal(0.2, 0.1, (100, 1))
    chosen = np.array([True])
    calm = Times(np.array([1.2]), draws).mean(chosen)
    draws[7] = 1e6
    assert Times(np.array([1.2]), draws).mean(chosen) == pytest.approx(calm, rel=0.02)
    assert calm[0] / calm[1] == pytest.approx(np.exp(1.96 * 0.1), rel=0.1)


def test_effects_on_classes_of_which_draws_hardly_ever_are_comparable_have_no_interval(report):
    draws = np.full((100, 1), np.nan)
    draws[:49] = 1.5
    mean, low, high = Times(np.array([1.5]), draws).mean(np.array([True]))
    assert mean == 1.5
    assert np.isnan([low, high]).all()
    found = with_effects(report, 0.01, 0.01, [3.0, 1.0, 2.0, 2.4], 1, 3, [1] * 4)
    vars(found)["effects"] = report.effects.assign(effect=1.3, low=np.nan, high=np.nan)
    assert words.is_class_wise(found) == "undecided"


def test_images_drawn_again_are_counted_the_same_in_blocks_of_any_size(report, monkeypatch):
    whole = report._times["range"].draws
    monkeypatch.setattr(effects, "_VALUES_AT_ONCE", 1)
    again = effects.times_as_uneven(report.measured, report._by_spread, report.random_state)
    np.testing.assert_array_equal(again["range"].draws, whole)


def of_equal_unevenness(rng, comparable):
    """Parts like random sets, shape (n,), of which some cost enough to be compared."""
    u = rng.random(len(comparable))
    as_uneven, spread = np.floor(41 * u).astype(int), np.exp(0.3 * scipy.stats.norm.isf(u))
    typical = np.where(comparable, 1.0, np.nan)
    return EqualDamage(as_uneven, spread, typical, 20 * comparable, np.full(len(u), 40))


def test_damage_alone_makes_the_exact_p_small_but_not_that_of_the_effect():
    rng, report = np.random.default_rng(0), made_up(layers=[f"layer {i}" for i in range(15)])
    p, of_effect = [], []
    for _ in range(60):
        changed = dataclasses.replace(report)
        is_true = np.arange(100) == 0
        compared = [
            of_equal_unevenness(rng, rng.random(100) < np.where(is_true, 0.57, 0.27))
            for _ in report.measured.parts
        ]
        vars(changed)["_by_spread"] = {"range": compared, "variance": compared}
        p.append(changed.class_range.p)
        of_effect.append(changed.class_effect_p)
    assert np.mean(np.array(p) <= 0.05) > 0.5
    assert np.mean(np.array(of_effect) <= 0.05) < 0.12


def test_parts_more_uneven_than_permuted_ones_have_an_effect_that_few_of_them_have(report):
    changed = dataclasses.replace(report)
    rng, comparable = np.random.default_rng(0), np.ones(100, bool)
    compared = [of_equal_unevenness(rng, comparable) for _ in report.measured.parts]
    for each in compared:
        each.spread[0] *= 4
    vars(changed)["_by_spread"] = {"range": compared}
    assert changed.class_effect_p == 0.01
    nothing = [of_equal_unevenness(rng, ~comparable) for _ in report.measured.parts]
    vars(changed)["_by_spread"] = {"range": nothing}
    del vars(changed)["class_effect_p"]
    assert np.isnan(changed.class_effect_p)


def test_orderings_that_a_budget_cut_are_named(report):
    assert "along 20 orderings with 12 sizes" in report.summary()
    assert "The budget of time allowed 20 of 40 random orderings" in report.summary()


def test_parts_have_log_ratios_and_relative_effects_of_damages_in_images(report):
    measured, table = report.measured, report.subclusters
    lost = measured.intact.sum() - measured.true.sum(axis=1)
    random = measured.intact.sum() - measured.permuted_right.sum(axis=1) / measured.n_permutations
    ratio = np.log((np.maximum(lost, 0) + 0.5) / (np.maximum(random, 0) + 0.5))
    np.testing.assert_allclose(table["log_ratio"], ratio)
    np.testing.assert_allclose(table["relative"], 2 * lost / (lost + random))
    weights = np.vstack([*drawn_again(measured.classes, 2000, np.random.default_rng(0))])
    lost = weights @ (measured.intact - measured.true.astype(float)).T
    random = weights @ (measured.intact - measured.permuted_right / measured.n_permutations).T
    errors = (2 * lost / (lost + random)).std(axis=0, ddof=1)
    np.testing.assert_allclose(table["relative_se"], errors)


def test_if_classes_count_the_same_so_do_they_in_damages_and_effects(report):
    measured = report.measured
    kept = np.flatnonzero((measured.classes != 0) | (np.arange(len(measured.classes)) < 40))
    nested_sets = {
        layer: [(sizes, right[:, kept]) for sizes, right in along]
        for layer, along in measured.nested.sets.items()
    }
    uneven = dataclasses.replace(
        measured,
        classes=measured.classes[kept],
        intact=measured.intact[kept],
        true=measured.true[:, kept],
        permuted_right=measured.permuted_right[:, kept],
        nested=Orderings(np.ones(len(kept), int), measured.intact[kept].astype(int), nested_sets),
    )
    of_class = np.array([measured.true[:, kept][:, uneven.classes == c].mean(1) for c in range(4)])
    found = dataclasses.replace(report, measured=uneven, protocol=RELEASED).subclusters
    np.testing.assert_allclose(found["damage"], 100 * (1 - of_class.mean(axis=0)))
    random = np.array(
        [uneven.permuted_right[:, uneven.classes == c].mean(1) / 99 for c in range(4)]
    )
    np.testing.assert_allclose(found["effect"], 100 * (random - of_class).mean(axis=0))
    lost, lost_by_random = 1 - of_class.mean(axis=0), 1 - random.mean(axis=0)
    np.testing.assert_allclose(found["relative"], 2 * lost / (lost + lost_by_random))
    images = len(kept) * np.array([lost, lost_by_random])
    ratio = np.diff(np.log(np.maximum(images, 0) + 0.5)[::-1], axis=0)[0]
    np.testing.assert_allclose(found["log_ratio"], ratio)


def test_the_page_says_which_tests_are_at_equal_damage(report):
    shown = report._repr_html_()
    assert shown.count(">class-wise range at equal damage<") == 1
    assert shown.count(">class-wise range<") > 1
    assert ">importance at equal damage<" not in shown


def test_the_exact_tests_stand_with_monte_carlo_intervals_and_no_p_is_without_its_effect(report):
    exact = report.tests[report.tests["test"] == "permutation"]
    assert exact["measure"].tolist() == ["importance", "class_range", "class_variance"]
    assert (exact["p_low"] < exact["p"]).all()
    assert (exact["p"] < exact["p_high"]).all()
    assert report.tests.dropna(subset="p")[["effect", "low", "high"]].notna().all(axis=None)


@pytest.mark.parametrize(
    ("n_layers", "n_permutations", "expected"),
    [(2, 999, (100, 22)), (8, 999, (100, 22)), (9, 999, (40, 12)), (2, 998, (40, 12))],
)
def test_many_orderings_are_for_many_permutations_of_networks_that_are_not_deep(
    n_layers, n_permutations, expected
):
    partition = Partition.from_labels({f"layer {i}": [0, 1] for i in range(n_layers)})
    assert orderings_for(partition, n_permutations) == expected


# Words.


def with_effects(report, p, p_classes, effects, low, high, familywise):
    """A report whose tests found what is given."""

    class Effects:
        each = np.array(effects)

        def mean(self, chosen):
            return float(np.mean(self.each[chosen])), low, high

        def intervals(self):
            return np.column_stack([self.each - 3, self.each + 3])

    n = len(report.measured.parts)
    test = dataclasses.replace(
        report.importance, p=p, familywise=np.array(familywise), each=np.full(n, 0.5)
    )
    changed = dataclasses.replace(report)
    vars(changed)["importance"] = test
    vars(changed)["class_range"] = dataclasses.replace(report.class_range, p=p_classes)
    vars(changed)["class_effect_p"] = p_classes
    vars(changed).update(
        effect=Effects(), effects=report.effects.assign(effect=1.25, low=1.1, high=1.4)
    )
    return changed


@pytest.mark.parametrize(
    ("p", "p_classes", "high", "familywise", "said"),
    [
        (
            *(0.001, 0.2, 2.7, [0.01, 1, 0.02, 1]),
            "These 2 clusters are important: lesions of 2 of 4 parts cost more than random parts "
            "of the same size, on average 2.5 points more (1.6 to 2.7) and over all parts 2.1 "
            "points more (1.6 to 2.7); exact p = .001. They matter for particular classes: "
            "undecided (1.25 times (1.10 to 1.40) as uneven as random units that cost as much, "
            "exact p = .20).",
        ),
        (
            *(0.001, 0.04, 0.9, [0.01, 0.01, 0.02, 0.03]),
            "These 2 clusters are important, though by little: lesions of 4 of 4 parts cost more "
            "than random parts of the same size, on average 2.1 points more (1.6 to 0.90); exact "
            "p = .001. They matter for particular classes: yes",
        ),
        (
            *(0.05, 0.2, 2.7, [1, 1, 1, 1]),
            "These 2 clusters are important, though no part is by itself: lesions of their 4 parts "
            "together cost more than those of random parts of the same size, on average 2.1 ",
        ),
        (
            *(0.06, 0.2, 2.7, [0.01, 1, 1, 1]),
            "Whether these 2 clusters are important as a whole is undecided: lesions of their 4 "
            "parts cost on average 2.1 points more (1.6 to 2.7) than random parts of the same "
            "size, but one of them more by itself, 3.0 points more (1.6 to 2.7), p = .010 "
            "corrected for the number of parts; exact p = .060 of all together.",
        ),
    ],
)
def test_the_verdict_says_what_a_colleague_understands(
    enough, p, p_classes, high, familywise, said
):
    each = [3.0, 1.0, 2.0, 2.4]
    assert with_effects(enough, p, p_classes, each, 1.6, high, familywise).verdict.startswith(said)


def test_few_images_cannot_show_that_lesions_cost_nothing(report, enough):
    given = (0.06, 0.2, [0.1, 0.0, 0.1, 0.2], -0.1, 0.3, [1] * 4)
    assert with_effects(enough, *given).verdict.startswith(
        "These 2 clusters are not important: lesions of their 4 parts cost on average 0.10 points "
        "more (−0.10 to 0.30) than random parts of the same size; exact p = .060."
    )
    few = with_effects(report, *given)
    assert words.is_important(few) == "undecided"
    assert (
        "200 images are few: a lesion that costs none of them may cost up to 1.5 points of all."
    ) in words.remarks(few)
    far_below = (0.06, 0.2, [-1.0, -0.9, -0.8, -1.0], -1.1, -0.7, [1] * 4)
    assert words.is_important(with_effects(report, *far_below)) == "no"


def test_what_costs_less_than_random_parts_on_average_is_not_said_to_cost_more(report):
    less = with_effects(report, 0.03, 0.2, [-9.0, -8, -7, -9], -9, -7, [1] * 4)
    assert words.is_important(less) == "undecided"
    assert less.verdict.startswith(
        "Whether these 2 clusters are important is undecided: lesions of their 4 parts cost on "
        "average 8.2 points less (7.0 to 9.0) than random parts of the same size, though some cost "
        "more than most of these oftener than by chance; exact p = .030."
    )
    unsure = with_effects(report, 0.03, 0.2, [-0.5, 0.1, -0.4, -0.6], -1, 0.3, [1] * 4)
    assert "together cost more than those of most random parts of the same size, on average " in (
        unsure.verdict
    )
    one = with_effects(report, 0.03, 0.2, [-0.5, 0.1, -0.4, -0.6], -1, 0.3, [0.01, 1, 1, 1])
    assert "1 of 4 parts cost more than most random parts of the same size, on average 0.50 p" in (
        one.verdict
    )


def test_why_nothing_is_said_about_classes_is_true(report, monkeypatch):
    found = with_effects(report, 0.01, 0.01, [3.0, 1.0, 2.0, 2.4], 1, 3, [1] * 4)
    vars(found)["effects"] = report.effects.assign(effect=np.nan, low=np.nan, high=np.nan)
    assert "undecided (random sets that cost as much cost all classes the same, exact" in (
        found.verdict
    )
    monkeypatch.setattr(Report, "is_comparable", np.zeros(4, bool))
    assert (
        "undecided (no part can be compared: each costs fewer than 20 images, or more than random "
        "sets do)."
    ) in found.verdict


def test_a_small_p_value_without_unevenness_does_not_speak_of_classes(report, monkeypatch):
    found = with_effects(report, 0.01, 0.01, [3.0, 1.0, 2.0, 2.4], 1, 3, [1] * 4)
    assert "particular classes: yes (1.25 times (1.10 to 1.40) as uneven" in found.verdict
    damage = "which larger damage alone can bring about; of the mean effect p = {}"
    small = "an effect too small or unsure"
    few = "but parts of random partitions cost too little to be compared in 95.0 % of them"
    cases = (
        (1.05, 1.01, 0.01, 0.0, small),
        (1.3, 0.9, 0.01, 0.0, small),
        (1.3, 1.2, 0.06, 0.0, damage.format(".060")),
        (1.3, 1.2, 0.5, 0.4, damage.format(".50")),
        (1.3, 1.2, 0.45, 0.95, few),
    )
    monkeypatch.setattr(Report, "most_times", 2.0)
    for effect, low, p, incomparable, why in cases:
        vars(found)["share_incomparable"] = incomparable
        vars(found)["effects"] = report.effects.assign(effect=effect, low=low, high=1.6)
        vars(found)["class_effect_p"] = p
        assert words.is_class_wise(found) == "undecided"
        assert (
            f"They matter for particular classes: undecided ({effect:.2f} times ({low:.2f} to "
            f"1.60) as uneven as random units that cost as much, exact p = .010, {why})."
        ) in found.verdict


def test_where_classes_gain_it_is_not_said_that_parts_cannot_be_as_uneven_as_they_are():
    rng = np.random.default_rng(0)
    n_classes, n_each, n_inputs, n_images = 4, 6, 5, 200
    y = np.arange(n_images) % n_classes
    own = np.repeat(np.arange(n_classes), n_each)
    signal = np.eye(n_classes)[y][:, :, np.newaxis]
    x = signal + rng.normal(0, 0.6, (n_images, n_classes, n_inputs))
    read = rng.uniform(0.3, 1, (len(own), n_inputs))
    hidden = np.maximum((x[:, own] * read).sum(axis=-1), 0)
    out = np.eye(n_classes)[own] * rng.uniform(0.3, 1, (len(own), 1))

    def correct(lesions):
        kept = np.ones((len(lesions), len(own)))
        for row, each in zip(kept, lesions, strict=True):
            row[list(each.get("h", []))] = 0
        return ((hidden * kept[:, np.newaxis]) @ out).argmax(axis=-1) == y

    found = helpers.evaluate(
        correct,
        y=y,
        layers={"h": len(own)},
        partition={"h": own},
        n_permutations=99,
        progress=False,
    )
    assert words.is_important(found) == "yes"
    typical = found.subclusters["random_class_range"]
    assert found.most_times == pytest.approx((n_classes / typical).mean())
    # Each part costs its own class more than all its damage: others gain.
    effect = found.effects.set_index("measure")["effect"]
    assert found.most_times < 1.1 < effect["class_range"].min()
    assert "single classes" not in found.verdict


def test_where_random_units_make_classes_gain_unevenness_has_no_bound(report, monkeypatch):
    assert np.isfinite(report.most_times)
    n_classes = np.count_nonzero(report.measured.class_sizes)
    typical = np.array([n_classes + 0.5] * 4)
    compared = [each._replace(typical=typical) for each in report._by_spread["range"]]
    monkeypatch.setitem(vars(report), "_by_spread", {**report._by_spread, "range": compared})
    assert report.most_times == np.inf


def test_of_perfect_class_detectors_it_is_said_that_random_units_fall_on_single_classes_too():
    """And random units that lose nothing lose exactly nothing, in the table, too."""
    n_classes, n_each, y = 3, 5, np.repeat(np.arange(3), 30)
    own = np.repeat(np.arange(n_classes), n_each)

    def correct(lesions):
        kept = np.ones((len(lesions), len(own)))
        for row, each in zip(kept, lesions, strict=True):
            row[list(each.get("h", []))] = 0
        scores = np.eye(n_classes)[y] * (kept @ np.eye(n_classes)[own])[:, np.newaxis]
        return (scores + np.array([0.2, 0.1, 0.1])).argmax(axis=-1) == y

    found = helpers.evaluate(
        correct,
        y=y,
        layers={"h": len(own)},
        partition={"h": own},
        n_permutations=99,
        progress=False,
    )
    assert words.is_important(found) == "yes"
    assert found.class_range.p == 1
    assert "exact p = 1.00; random units that cost as much fall on single classes" in found.verdict
    assert "cannot be 1.1 times as uneven on average, unless a class gains)." in found.verdict
    assert (found.subclusters["random_damage"] == 0).sum() >= 2


def test_single_parts_that_cost_much_leave_it_undecided_and_are_named(report):
    each = [6.2, -20.0, -1.0, -1.0]
    found = with_effects(report, 0.4, 0.5, each, -5, -3, [1] * 4)
    assert words.is_important(found) == "undecided"
    assert found.verdict.startswith(
        "Whether these 2 clusters are important is undecided: lesions of their 4 parts cost on "
        "average 4.0 points less (3.0 to 5.0) than random parts of the same size, but single ones "
        "up to 6.2 points more, which may be luck; exact p = .40."
    )
    named = with_effects(report, 0.4, 0.5, each, 5, 8, [0.01, 0.02, 1, 1]).verdict
    assert (
        "same size, but 2 of them more by themselves, on average 6.9 points less (-8.0 to -5.0), "
        "p at most .020 corrected for the number of parts; exact p = .40 of all together."
    ) in named.replace("−", "-")


def test_a_report_is_saved_whatever_the_function_is_called(tmp_path):
    def correct(lesions):
        return np.ones((len(lesions), 9), dtype=bool)

    correct.__name__ = "\ud800"
    found = helpers.evaluate(
        correct,
        y=[0, 1, 2] * 3,
        layers={"h": 4},
        partition={"h": [0, 0, 1, 1]},
        n_permutations=19,
        progress=False,
    )
    found.save(tmp_path / "report")
    assert helpers.Report.load(tmp_path / "report").name == "\\ud800"


def test_what_costs_nothing_has_no_effect_beside_random_parts_by_rounding():
    """Classes that count the same have weights such as 1/3, which add up to no whole numbers."""
    y = np.repeat([0, 1, 2], [13, 29, 22])
    intact = np.arange(len(y)) % 3 > 0
    found = helpers.evaluate(
        lambda lesions: np.array([intact] * len(lesions)),
        y=y,
        layers={"h": 8},
        partition={"h": np.arange(8) // 2},
        n_permutations=19,
        progress=False,
        protocol="released",
    ).subclusters
    assert (found["damage"] == 0).all()
    assert found["relative"].isna().all()


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (0.001, ".001"),
        (0.05, ".050"),
        (0.21, ".21"),
        (1.0, "1.00"),
        (1e-4, ".0001"),
        (6 / 119, ".0505"),
    ],
)
def test_p_values_are_printed_as_in_papers(p, text):
    assert words.p_text(p) == text


def test_a_part_that_matters_is_found_and_one_that_does_not_is_not():
    found = made_up(n_permutations=199).subclusters
    assert (found["familywise"][::2] <= 0.05).all()
    assert (found["familywise"][1::2] > 0.05).all()


def test_every_p_value_has_an_effect_beside_it(report):
    assert report.tests["effect"].notna().all()
    assert report.effects["effect"].notna().all()
    tested = report.subclusters["p"].notna()
    assert report.subclusters.loc[tested, ["effect", "low", "high"]].notna().all(axis=None)


def test_effects_by_layer_are_means_over_its_parts(report):
    table = report.subclusters
    effects = report.effects[report.effects["measure"] == "importance"].set_index("layer")
    for layer in ("first", NASTY):
        expected = table.loc[table["layer"] == layer, "effect"].mean()
        assert effects.loc[layer, "effect"] == pytest.approx(expected)
        assert effects.loc[layer, "p"] == report.importance.by_layer[layer].p
    assert effects.loc["all", "effect"] == pytest.approx(table["effect"].mean())
    assert (effects["low"] <= effects["effect"]).all()
    assert (effects["effect"] <= effects["high"]).all()


def test_a_network_no_better_than_chance_is_pointed_out(report):
    worse = dataclasses.replace(report.measured, intact=np.arange(200) % 8 == 0)
    text = dataclasses.replace(report, measured=worse).summary()
    nothing = with_effects(
        dataclasses.replace(report, measured=worse), 0.5, 0.5, [0] * 4, 0, 0, [1] * 4
    )
    assert words.is_important(nothing) == "undecided"
    assert "gets 12.5 % right, no more than who always says the most frequent class" in text
    assert "most frequent class" not in report.summary()


def test_few_permutations_for_many_parts_are_pointed_out():
    text = made_up(layers=list("abcdef"), n_permutations=99).summary()
    assert "With 99 permutations single parts among 12 can hardly be found" in text


# Files.


def test_a_report_that_was_saved_is_the_same_when_it_is_loaded(report, tmp_path):
    folder = report.save(tmp_path / "deep" / "folder")
    loaded = Report.load(folder)
    assert loaded._repr_html_() == report._repr_html_()
    assert loaded.summary() == report.summary()
    for name in ("subclusters", "tests", "effects"):
        table = getattr(report, name)
        pd.testing.assert_frame_equal(getattr(loaded, name), table)
        stored = pd.read_csv(folder / f"{name}.csv")
        assert list(stored.columns) == list(table.columns)
        assert len(stored) == len(table)
    assert (folder / "summary.txt").read_text() == report.summary() + "\n"
    assert sorted(each.name for each in folder.iterdir()) == [
        *("effects.csv", "index.html", "measured.npz", "report.json"),
        *("subclusters.csv", "summary.txt", "tests.csv"),
    ]


def test_numbers_of_numpy_are_saved_as_others_are(tmp_path):
    sizes = {"n_permutations": np.int64(19), "n_random": np.int32(9)}
    labels = {"a": np.arange(20) // 10}
    found = helpers.evaluate(
        lambda lesions: np.array(
            [np.arange(40) >= sum(map(len, each.values())) for each in lesions]
        ),
        y=np.arange(40) % 2,
        partition=labels,
        layers={"a": 20},
        progress=False,
        **sizes,
    )
    assert Report.load(found.save(tmp_path)).n_asked == 19


def test_two_reports_in_one_folder_are_none(report, enough, tmp_path):
    first, second = (each.save(tmp_path / name) for each, name in ((report, "a"), (enough, "b")))
    (first / "measured.npz").write_bytes((second / "measured.npz").read_bytes())
    with pytest.raises(ValueError, match=r"measured.npz is not as it was saved"):
        Report.load(first)


def test_a_report_whose_settings_were_changed_is_none(report, tmp_path):
    settings = report.save(tmp_path) / "report.json"
    text = settings.read_text()
    for old in ('"random_state": ', '"n_random": '):
        assert old in text
        settings.write_text(text.replace(old, f"{old}1"))
        with pytest.raises(ValueError, match=r"report.json is not as it was saved"):
            Report.load(tmp_path)


def test_a_report_goes_neither_into_a_file_nor_its_page_into_a_folder(report, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"folder: .* is a file"):
        report.save(tmp_path / "file")
    with pytest.raises(ValueError, match=r"path: .* is a folder; accepted is a file"):
        report.to_html(tmp_path)


@pytest.mark.parametrize("damage", ["empty", "no json", "no arrays", "other format", "cut"])
def test_a_folder_without_a_whole_report_is_refused(report, tmp_path, damage):
    folder = tmp_path / "report"
    if damage == "empty":
        folder.mkdir()
    else:
        report.save(folder)
    if damage == "no json":
        (folder / "report.json").unlink()
    if damage == "no arrays":
        (folder / "measured.npz").unlink()
    if damage == "other format":
        text = (folder / "report.json").read_text()
        (folder / "report.json").write_text(text.replace('"format": 5', '"format": 99'))
    if damage == "cut":
        data = (folder / "measured.npz").read_bytes()
        (folder / "measured.npz").write_bytes(data[:100])
    with pytest.raises(ValueError, match=r"folder: .* holds no report, or not a whole one"):
        Report.load(folder)


# The page.


class Seen(HTMLParser):
    """What a browser would find in a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.references = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        for name, value in attributes:
            assert not name.startswith("on"), (tag, name)
            if name == "id":
                self.ids.append(value)
            if name in ("href", "xlink:href", "src"):
                self.references.append(value)
            self.references += [f"#{each}" for each in re.findall(r"url\(#(.*?)\)", value or "")]


def test_names_are_escaped_and_nothing_is_executed_or_loaded(page):
    seen = Seen(page.read_text())
    assert not {"script", "iframe", "object", "link", "b"} & set(seen.tags)
    assert all(each.startswith(("#", "data:image/png")) for each in seen.references)
    assert "://" not in re.sub(r"http://www\.w3\.org/\S+", "", page.read_text())


def test_identifiers_are_unique_and_references_lead_to_them(report):
    other = made_up(seed=1)
    seen = Seen(report._repr_html_() + other._repr_html_())
    assert len(set(seen.ids)) == len(seen.ids)
    ours = {each[1:] for each in seen.references if each.startswith("#")}
    assert ours
    assert ours <= set(seen.ids)


def test_every_table_and_figure_has_a_name(page):
    text = page.read_text()
    assert len(re.findall(r'<svg role="img" aria-label="[^"]{20,}', text)) == text.count("<svg")
    assert text.count('role="region" tabindex="0" aria-label="') == text.count("<table")
    assert '<html lang="en">' in text
    assert re.findall(r"<h(\d)>", text)[0] == "1"


def test_a_layer_may_be_called_like_a_formula():
    assert "$x, 10 units" in made_up(layers=["$\\frac$x", "$x"])._repr_html_()


@pytest.mark.parametrize("n_classes", [2, 12, 30])
def test_any_number_of_classes_and_layers_is_drawn(n_classes):
    report = made_up(layers=[f"layer_{i}" for i in range(3)], n_classes=n_classes)
    assert report._repr_html_().count("<svg") == 3 + 3 + 1


def test_of_very_many_layers_those_with_the_largest_effects_are_drawn():
    report = made_up(layers=[f"layer_{i}" for i in range(30)])
    text = report._repr_html_()
    assert text.count("<svg") == 24 + 24 + 1
    assert "Drawn are 24 of 30 layers" in text


def test_layers_without_a_part_to_test_are_not_drawn():
    report = made_up()
    labels = report.measured.partition.labels | {f"whole_{i}": np.zeros(3, int) for i in range(30)}
    measured, n = report.measured, 30
    more = dataclasses.replace(
        measured,
        partition=Partition.from_labels(labels),
        true=np.vstack([measured.true, np.ones((n, 200), bool)]),
        permuted=np.concatenate([measured.permuted, np.full((99, n, 4), 50)], axis=1),
        permuted_right=np.vstack([measured.permuted_right, np.full((n, 200), 99)]),
    )
    text = dataclasses.replace(report, measured=more)._repr_html_()
    assert text.count("<svg") == 2 + 2 + 1
    assert "Drawn are" not in text


@pytest.fixture(params=[1280, 390])
def visit(request, browser, page):
    """The page as a reader opens it from a disk, on a screen of some width."""
    heard = []
    with browser.new_context(viewport={"width": request.param, "height": 844}) as context:
        tab = context.new_page()
        tab.on("console", lambda message: heard.append(message.text))
        tab.on("pageerror", lambda error: heard.append(str(error)))
        tab.on("dialog", lambda dialog: heard.append(dialog.message))
        tab.on("requestfailed", lambda asked: heard.append(asked.url))
        tab.goto(page.as_uri())
        tab.heard = heard
        yield tab


@pytest.mark.browser
def test_a_page_fits_the_screen_and_runs_and_asks_for_nothing(visit):
    visit.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    width, seen = visit.evaluate(
        "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert width <= seen
    assert visit.heard == []
    assert visit.evaluate("document.scripts.length") == 0
    assert NASTY in visit.locator("h1").inner_text()
    assert visit.locator(".verdict").bounding_box()["y"] < 300


@pytest.mark.browser
def test_text_in_figures_is_large_enough_to_read(visit):
    texts = "[...document.querySelectorAll('svg text')]"
    heights = visit.evaluate(f"{texts}.map(each => each.getBoundingClientRect().height)")
    assert len(heights) > 50
    assert min(heights) >= 7.5


@pytest.mark.browser
def test_a_keyboard_reaches_every_table_and_opens_what_is_closed(visit):
    table = visit.locator("details table")
    assert not table.is_visible()
    reached = []
    for _ in range(20):
        visit.keyboard.press("Tab")
        reached.append(visit.evaluate("document.activeElement.getAttribute('aria-label')"))
        if visit.evaluate("document.activeElement.tagName") == "SUMMARY":
            visit.keyboard.press("Enter")
            break
    assert table.is_visible()
    visit.keyboard.press("Tab")
    reached.append(visit.evaluate("document.activeElement.getAttribute('aria-label')"))
    tables = visit.evaluate("[...document.querySelectorAll('table')].map(each => each.ariaLabel)")
    assert set(tables) <= set(reached)


@pytest.mark.browser
def test_a_screen_reader_finds_headings_figures_and_tables_by_name(visit):
    tree = visit.locator("body").aria_snapshot()
    for heading in ("What lesions cost", "Which classes lose", "The partition"):
        assert f'heading "{heading}" [level=2]' in tree
    assert 'img "first: cluster 0 costs' in tree
    assert 'table "Importance: points of accuracy"' in tree
    assert "rowheader" in tree


def test_the_door_has_what_reports_are_made_with():
    assert {"Report", "compare", "evaluate"} <= set(helpers.__all__)
