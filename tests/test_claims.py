"""Verdicts: known answers, and how often a claim without any truth in it holds."""

import re

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.multitest import multipletests

from helpers.book import claims
from helpers.book.claims import judged

IMPORTANT = "Sub-clusters are important."
UNEVEN = "Outside VGGs, lesions of sub-clusters fall on the classes less evenly than others."
ALIKE = "Sub-clusters on halves-same prefer no half more than random sets."
CLEAR = "Unregularised VGGs classify constructed inputs more clearly."
COLUMNS = ["network", "replicate", "protocol", "measure", "test", "p", "p_two_sided", "effect"]


@pytest.fixture(scope="module")
def accuracies():
    return claims.accuracies()


@pytest.fixture(autouse=True)
def _read_once(accuracies, monkeypatch):
    """Sixty manifests are the same for every claim."""
    monkeypatch.setattr(claims, "accuracies", lambda: accuracies)


def made(network, measure, p, effect, kind="exact"):
    """Collected tests of networks of a kind; one p value and one effect of each."""
    rows = [
        (network, i, "paper", measure, kind, one, min(1, 2 * min(one, 1 - one)), much)
        for i, (one, much) in enumerate(zip(p, effect, strict=True))
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def found(exact=None, driven=None, pictures=None):
    nothing = pd.DataFrame([], columns=COLUMNS).astype({"network": str})
    return {
        "exact": nothing if exact is None else exact,
        "chance": nothing,
        "driven": nothing if driven is None else driven,
        "pictures": nothing if pictures is None else pictures,
    }


VGG_UNTRAINED = "VGG on CIFAR-10, untrained"


def row_of(table, claim, network="MLP on MNIST"):
    (row,) = table[(table["claim"] == claim) & (table["network"] == network)].to_dict("records")
    return row


STRONG, NOTHING = [0.001] * 5, [0.3, 0.7, 0.5, 0.9, 0.4]


def test_an_effect_in_three_of_five_networks_is_enough_and_in_two_is_not():
    three = made("mnist-mlp", "importance", [0.001] * 3 + [0.6, 0.9], [3.0, 3, 3, 0, 0])
    two = made("mnist-mlp", "importance", [0.001] * 2 + [0.5, 0.6, 0.9], [9.0, 9, 0, 0, 0])
    assert row_of(judged(found(three)), IMPORTANT)["verdict"] == "holds"
    assert row_of(judged(found(two)), IMPORTANT)["verdict"] == "undecided"


def test_no_evidence_is_not_evidence_of_absence():
    wide = made("mnist-mlp", "importance", NOTHING, [3.0, -2, 2, 4, -1])
    narrow = made("mnist-mlp", "importance", NOTHING, [0.1, 0.2, 0.0, 0.1, 0.2])
    assert row_of(judged(found(wide)), IMPORTANT)["verdict"] == "undecided"
    assert row_of(judged(found(narrow)), IMPORTANT)["verdict"] == "does not hold"


def test_a_claim_that_there_is_no_effect_holds_only_if_the_effect_is_shown_to_be_small():
    name, kind = "halves-same-mnist-mlp-dropout", "MLP on halves-same MNIST, with dropout"
    test = "exchangeable_fisher"
    small = made(name, "preference", NOTHING, [1.0, 1.02, 0.99, 1.01, 1.0], test)
    unsure = made(name, "preference", NOTHING, [1.0, 1.6, 0.7, 1.3, 1.0], test)
    there = made(name, "preference", STRONG, [1.5] * 5, test)
    verdicts = [
        row_of(judged(found(pictures=each)), ALIKE, kind)["verdict"]
        for each in (small, unsure, there)
    ]
    assert verdicts == ["holds", "undecided", "does not hold"]


def test_what_the_paper_says_of_vggs_only_is_asked_of_other_networks_and_never_denied():
    asked = [each for each in claims.CLAIMS if each.text.startswith("Outside VGGs")]
    assert len(asked) == 3
    assert all(each.section.endswith("of VGGs") and not each.denies for each in asked)


def test_a_claim_about_classes_needs_the_test_of_the_effect_besides():
    effects = [1.3, 1.2, 1.25, 1.3, 1.1]
    alone = made("mnist-mlp", "coherence", STRONG, effects)
    verdicts = [
        row_of(judged(found(pd.concat([alone, *more]))), UNEVEN)["verdict"]
        for more in (
            [],
            [made("mnist-mlp", "coherence", [0.3] * 5, effects, "exact_effect")],
            [made("mnist-mlp", "coherence", STRONG[:2], effects[:2], "exact_effect")],
            [made("mnist-mlp", "coherence", STRONG, effects, "exact_effect")],
        )
    ]
    assert verdicts == ["undecided", "undecided", "undecided", "holds"]
    only_effect = made("mnist-mlp", "coherence", STRONG, effects, "exact_effect")
    weak = made("mnist-mlp", "coherence", NOTHING, effects)
    both = judged(found(pd.concat([only_effect, weak])))
    assert row_of(both, UNEVEN)["verdict"] == "undecided"


def test_of_a_claim_that_lacks_its_second_test_no_p_value_is_shown():
    alone = made("mnist-mlp", "coherence", STRONG, [1.3] * 5)
    nowhere = made("mnist-mlp", "coherence", [np.nan] * 5, [np.nan] * 5, "exact_effect")
    for more, shown in (([], "–"), ([nowhere[:4]], "–"), ([nowhere], "1")):
        row = row_of(judged(found(pd.concat([alone, *more]))), UNEVEN)
        assert (row["verdict"], row["p"]) == ("undecided", shown)


def test_an_effect_of_some_networks_only_says_of_how_many():
    two = made("mnist-mlp", "coherence", NOTHING, [1.0, 1.5, np.nan, np.nan, np.nan])
    assert row_of(judged(found(two)), UNEVEN)["effect"].endswith(", in 2 of 5 networks")
    five = two.assign(effect=1.5)
    assert "networks" not in row_of(judged(found(five)), UNEVEN)["effect"]


def test_where_small_is_extreme_effects_short_of_the_margin_are_those_close_to_none():
    at_none = made(
        "cifar10-vgg", "entropy", NOTHING, [0.0, -0.01, 0.01, 0.0, 0.0], "exchangeable_fisher"
    )
    below = at_none.assign(effect=[-0.4, -0.6, 0.1, 0.0, -0.5])
    kind = "VGG on CIFAR-10"
    assert row_of(judged(found(None, at_none)), CLEAR, kind)["verdict"] == "does not hold"
    assert row_of(judged(found(None, below)), CLEAR, kind)["verdict"] == "undecided"


def test_what_untrained_vggs_do_says_nothing_about_trained_ones():
    scores = made("cifar10-vgg-untrained", "score", NOTHING, [1.01] * 5, "exchangeable_fisher")
    table = judged(found(None, scores))
    untrained = row_of(table, "Untrained VGGs have no input coherence.", VGG_UNTRAINED)
    assert untrained["verdict"] == "holds"
    trained = table[table["claim"].str.startswith("Constructed inputs drive VGGs'")]
    assert trained["verdict"].tolist() == ["not run here"]


def test_activations_vary_less_where_ratios_to_random_sets_are_small():
    less = "Activations vary less in sub-clusters of VGGs."
    variances = made("cifar10-vgg", "variance", STRONG, [0.5] * 5, "exchangeable_fisher")
    alike = variances.assign(p=NOTHING, effect=[1.0, 0.98, 1.01, 1.0, 0.99])
    kind = "VGG on CIFAR-10"
    assert row_of(judged(found(None, variances)), less, kind)["verdict"] == "holds"
    assert row_of(judged(found(None, alike)), less, kind)["verdict"] == "does not hold"


def test_four_networks_are_too_few_whatever_they_say():
    four = made("mnist-mlp", "importance", STRONG[:4], [5.0] * 4)
    row = row_of(judged(found(four)), IMPORTANT)
    assert (row["verdict"], row["networks"], row["p"]) == ("too few networks", "4 of 5", "–")


def test_all_claims_together_are_held_to_the_level():
    one = made("mnist-mlp", "importance", [0.05, 0.08, 0.1, 0.05, 0.1], [3.0, 2, 1, 4, 3])
    alone = judged(found(one))
    many = pd.concat(
        [one, made("fashion-mlp", "importance", NOTHING, [0.0, 5, 9, -9, 3])]
        + [made(each, "coherence", NOTHING, [1.0] * 5) for each in ("mnist-mlp", "fashion-mlp")]
    )
    assert row_of(alone, IMPORTANT)["verdict"] == "holds"
    assert row_of(judged(found(many)), IMPORTANT)["verdict"] == "undecided"


def test_that_an_effect_is_the_other_way_round_can_be_seen():
    lower = made("mnist-mlp", "importance", [0.999] * 5, [-4.0] * 5)
    row = row_of(judged(found(lower)), IMPORTANT)
    assert row["reverse"] != "–"
    assert float(row["reverse"].replace("<", "")) < 0.001


def test_two_sided_p_values_that_were_cut_at_one_say_nothing_of_the_opposite():
    tied = made("mnist-mlp", "importance", [0.9] * 5, [0.0] * 5).assign(p_two_sided=1.0)
    assert row_of(judged(found(tied)), IMPORTANT)["reverse"] == "1"


def test_effects_stand_beside_with_the_interval_over_networks():
    table = made("mnist-mlp", "importance", STRONG, [1.0, 2, 3, 4, 5])
    assert row_of(judged(found(table)), IMPORTANT)["effect"] == "3 points (1 to 5)"


def test_what_stands_behind_verdicts_is_known_as_numbers_of_each_network():
    both = [
        made("mnist-mlp", "importance", STRONG, [1.0, 2, 3, 4, 5]),
        made("mnist-cnn", "importance", NOTHING, [0.1, 0.0, np.nan, 0.2, 0.1]),
        made("cifar10-vgg", "importance", STRONG[:4], [3.0] * 4),
    ]
    tests = found(pd.concat(both))
    table = claims.effects(tests)
    assert list(table["network"]) == ["MLP on MNIST", "CNN on MNIST"], "four VGGs are too few"
    assert list(table["verdict"]) == ["holds", "does not hold"]
    strong, weak = table.to_dict("records")
    assert strong["of_each"] == (1, 2, 3, 4, 5)
    assert (strong["claim"], strong["unit"]) == (IMPORTANT, "points")
    assert (strong["none"], strong["margin"]) == (0, claims.LEAST_POINTS)
    assert (weak["effect"], np.isnan(weak["of_each"]).sum()) == (pytest.approx(0.1), 1)
    for each in table.to_dict("records"):
        text = row_of(judged(tests), each["claim"], each["network"])["effect"]
        numbers = [each[end] for end in ("effect", "low", "high")]
        said = [float(number) for number in re.findall(r"-?\d[\d.]*", text)][:3]
        assert said == pytest.approx(numbers, rel=0.05)
    assert claims.effects(found()).empty


def test_what_was_not_run_says_so():
    rows = judged(found())
    of_vggs = rows[rows["claim"].str.contains("VGG") & ~rows["claim"].str.contains("Outside")]
    assert len(of_vggs) >= 5
    assert set(of_vggs["verdict"]) == {"not run here"}


def test_a_network_without_a_p_value_does_not_count():
    table = made("mnist-mlp", "importance", [*STRONG[:4], np.nan], [5.0] * 5)
    assert row_of(judged(found(table)), IMPORTANT)["verdict"] == "too few networks"


def test_untrue_claims_hold_together_as_seldom_as_the_level_says(monkeypatch):
    monkeypatch.setattr(claims, "CLAIMS", claims.CLAIMS[:1])
    monkeypatch.setattr("gc.collect", lambda *_: 0)  # Which statsmodels does at each call.
    rng = np.random.default_rng(0)
    kinds = ["mnist-mlp", "fashion-mlp", "mnist-cnn", "fashion-cnn"]
    n_wrong = 0
    for _ in range(150):
        p = pd.concat(
            [made(each, "importance", rng.random(5), rng.normal(size=5)) for each in kinds]
        )
        rows = judged(found(p))
        n_wrong += (rows[rows["claim"] == IMPORTANT]["verdict"] == "holds").any()
    assert n_wrong / 150 <= 0.1


def test_counts_of_kinds_are_judged_by_what_is_more_than_expected():
    kinds = pd.DataFrame({"kind": ["important"], "found": [3], "expected": [0.5], "p": [0.01]})
    table = claims.of_chance(kinds)
    assert table["effect"].tolist() == [pytest.approx(2.5)]
    assert table["measure"].tolist() == ["important"]


def test_p_values_are_adjusted_as_statsmodels_does():
    p = [0.01, float("nan"), 0.04, 0.03, 0.5, 0.01]
    expected = np.full(6, np.nan)
    known = ~np.isnan(p)
    expected[known] = multipletests(np.array(p)[known], method="holm")[1]
    np.testing.assert_allclose(claims._holm(p), expected)


JUDGED = pd.DataFrame(
    [
        ("holds", "A matters.", "MLP on X", "5", "2.5 points (2 to 3)"),
        ("holds", "A matters.", "MLP on <b>", "5", "0.75 points (-1 to 2.5)"),
        ("holds", "A matters.", "CNN on Y", "5", "-0.1 points"),
        ("undecided", "A matters.", "CNN on Z", "5", "-0.1 points (-0.2 to 0)"),
        ("too few networks", "A matters.", "VGG on X", "2 of 5", "–"),
        ("too few networks", "A matters.", "VGG on Y", "1 of 5", "–"),
        ("not run here", "B matters.", "–", "–", "–"),
    ],
    columns=["verdict", "claim", "network", "networks", "effect"],
)


def test_a_claim_is_found_by_how_it_begins():
    assert len(claims.about(JUDGED, "A ")) == 6
    for start in ("C", ""):
        with pytest.raises(ValueError, match=r"start: \d claims begin with"):
            claims.about(JUDGED, start)


def test_a_verdict_has_one_mark_for_all_kinds_of_networks_and_leads_to_its_figure():
    marks = claims.chips(claims.about(JUDGED, "A"), "05.html#fig")
    assert re.findall(r'class="verdict ([^"]+)" href="05.html#fig">([^<]+)<', marks) == [
        ("holds", "✓ holds (MLPs; CNN on Y)"),
        ("undecided", "? undecided (CNN on Z)"),
        ("too-few-networks", "… too few networks (VGG on X, 2 of 5; VGG on Y, 1 of 5)"),
    ]
    alone = claims.chips(claims.about(JUDGED[1:2], "A"), "x", "theirs: ")
    assert "✓ theirs: holds (MLP on &lt;b&gt;)</a>" in alone
    assert "… not run here</a>" in claims.chips(claims.about(JUDGED, "B"), "x")


def test_published_p_values_are_no_evidence_if_untrained_networks_have_small_ones_too():
    marked = claims.no_evidence_chip(pd.Series([1e-9, 0.05]), "VGGs & co", "13.html#fig")
    assert ">✗ no evidence: VGGs &amp; co</a>" in marked
    assert 'class="verdict does-not-hold" href="13.html#fig"' in marked
    assert claims.no_evidence_chip(pd.Series([1e-9, 0.06]), "VGGs", "x") == ""
    assert claims.no_evidence_chip(pd.Series([], dtype=float), "VGGs", "x") == ""


def test_effects_are_told_in_short_from_the_least_to_the_largest_mean_of_each_family():
    assert claims.in_short(claims.about(JUDGED, "A")) == "MLPs 0.75 to 2.5 points, CNNs -0.1 points"
    assert claims.in_short(claims.about(JUDGED, "B")) == ""


def test_verdicts_are_counted_in_words():
    rows = pd.DataFrame({"verdict": ["holds", "undecided", "undecided", "too few networks"]})
    assert claims.counted(rows) == (
        "1 holds, none does not, 2 are undecided, 1 has too few networks"
    )
    assert claims.counted(rows[:0]) == "none holds, none does not"
