"""Tables for reading, and the published numbers beside them."""

import numpy as np
import pandas as pd
import pytest
from made_up import made_interactions, made_kinds, made_pairs

from helpers import measures, statistics, zoo
from helpers.book import published, tables
from helpers.partitions import Partition
from helpers.protocols import PAPER
from helpers.report import words


def compared(
    measure="importance", side="left", true=(0.5, 0.2, 0.9), random=((0.4, 0.6, 0.8),) * 3
):
    """A comparison of three sub-clusters, the last of them complete."""
    partition = Partition.from_labels({"a": [0, 0, 1], "b": [2, 2, 2]})
    description = partition.describe(partition.subclusters())
    arrays = (np.array(true), np.array([[0.4, 0.6, 0.8]] * 3))
    return measures.compare(measure, side, PAPER, description, *arrays, "origin")


def test_published_medians_are_those_of_the_papers_table():
    p_values = published.p_values(zoo.recipe("mnist-mlp"))
    assert np.median(p_values["importance", "fisher"]) == pytest.approx(1.34e-8, rel=1e-2)
    assert np.median(p_values["class_range", "chi2"]) == pytest.approx(0.0347, rel=1e-2)
    fashion = published.p_values(zoo.recipe("fashion-cnn"))
    assert np.median(fashion["importance", "fisher"]) == pytest.approx(0.0252, rel=1e-2)


@pytest.mark.parametrize("name", ["digits-mlp", "mnist-mlp-dropout", "mnist-cnn-pruned"])
def test_networks_that_the_paper_did_not_test_have_no_published_p_values(name):
    assert published.p_values(zoo.recipe(name)) == {}


def test_a_networks_row_has_the_published_range_beside_it():
    tests = pd.concat([compared().combine(), compared("class_range", "right").combine()])
    shown = tables.network_row(tests, zoo.recipe("mnist-mlp"))
    assert list(shown.index) == ["importance", "class-wise range"]
    row = shown.loc["importance"]
    assert (row["tested"], row["excluded"]) == ("2", "1")
    assert row["Fisher"] == tables.format_p(statistics.fisher([2 / 4, 1 / 4], 3))
    assert row["published Fisher"] == "< 0.0001"
    assert "published Fisher" not in tables.network_row(tests, zoo.recipe("digits-mlp"))


def test_a_networks_row_says_how_much_it_matters():
    rows = [("importance", "left"), ("score", "right"), ("entropy", "left")]
    tests = pd.concat([compared(*row).combine() for row in rows])
    shown = tables.network_row(tests, zoo.recipe("digits-mlp"))["mean effect"]
    differs = np.mean([0.5, 0.2]) - 0.6
    assert shown["score"] == f"{differs:.3g} times as high"
    assert shown["output entropy"] == f"{differs:.2g} nats"
    assert shown["importance"].endswith(" points")


def test_what_could_not_be_tested_is_a_dash():
    tests = compared().where([False, False, True]).combine()
    row = tables.network_row(tests, zoo.recipe("digits-mlp")).loc["importance"]
    shown = row[["tested", "excluded", "mean effect", "Fisher", "chi², exch."]]
    assert shown.tolist() == ["0", "1", "–", "–", "–"]


def test_a_table_for_reading_shows_the_twins_by_their_median():
    shown = tables.subcluster_table(compared(), "accuracy left")
    assert shown.index.tolist() == [("a", 0), ("a", 1), ("b", 2)]
    assert shown["twins' median"].tolist() == [0.6] * 3
    assert shown["accuracy left"].tolist() == [0.5, 0.2, 0.9]
    assert shown["p"].tolist() == ["0.5", "0.25", "–"]
    assert shown.columns[0] == "p"
    assert shown["excluded"].tolist() == ["", "", "complete"]


def test_the_papers_floors_and_the_logged_accuracies_are_those_of_its_text_and_logs():
    diff = published.accuracies(zoo.recipe("halves-diff-fashion-mlp"))
    assert diff == {"floor": 0.71, "logged_min": 0.7201, "logged_mean": 0.7242}
    assert published.accuracies(zoo.recipe("stack-diff-mnist-cnn"))["floor"] == 0.89
    dropout = published.accuracies(zoo.recipe("halves-same-mnist-mlp-dropout"))
    assert dropout["floor"] == 0.97
    assert np.isnan(dropout["logged_mean"])
    for name in ("digits-mlp", "halves-diff-mnist-mlp-dropout", "mnist-cnn-pruned"):
        assert np.isnan(list(published.accuracies(zoo.recipe(name)).values())).all()


def test_accuracies_are_shown_beside_the_papers_floors():
    def network(name, accuracy):
        return zoo.TrainedNetwork(None, None, zoo.recipe(name), 3, accuracy, {})

    names = ("stack-diff-mnist-cnn", "halves-diff-mnist-mlp", "halves-diff-digits-mlp")
    shown = tables.accuracies(list(map(network, names, (0.9, 0.91, 0.88))))
    assert list(shown["met"]) == ["yes", "no", "–"]
    assert list(shown["the paper: at least"]) == ["0.89", "0.92", "–"]
    assert list(shown["test accuracy"]) == ["0.9000", "0.9100", "0.8800"]
    assert list(shown["logs, lowest"]) == ["0.9106", "0.9385", "–"]
    assert shown.index[0] == "stack-diff-mnist-cnn"


@pytest.mark.parametrize(
    ("side", "true", "beyond"),
    [("right", [0.9, 0.5, 0.9], "1"), ("left", [0.1, 0.5, 0.1], "1"), ("left", [0.9] * 3, "0")],
)
def test_a_comparison_counts_who_is_beyond_all_twins_and_who_is_not_tested(side, true, beyond):
    both = compared(side=side, true=true)
    shown = tables.comparison(
        {("net", "all"): both, ("net", "b"): both.where([False, False, True])}
    )
    assert shown["not tested"].tolist() == ["1", "1"]
    assert shown["beyond all twins"].tolist() == [f"{beyond} of 2", "0 of 0"]
    assert shown["twins' median"].iloc[0] == "0.6"
    assert shown["median"].iloc[0] == f"{np.median(true[:2]):.2g}"


def test_a_networks_constructions_stand_beside_those_of_table_1a():
    tests = pd.concat([compared("score", "right").combine(), compared("variance").combine()])
    row = tables.network_row(tests, zoo.recipe("mnist-rgb-cnn"))
    assert list(row.index) == ["score", "activation variance"]
    p_values = published.p_values(zoo.recipe("mnist-rgb-cnn"))["score", "fisher"]
    assert len(p_values) == 5
    assert np.median(p_values) == pytest.approx(0.671, abs=1e-3)
    expected = tables.format_p_range(p_values[0], p_values[-1])
    assert row.loc["score", "published Fisher"] == expected
    assert row.loc["activation variance", "published Fisher"] == "–"


def test_published_tables_4_and_5_come_from_60_medians():
    table = published.table1()
    assert table.groupby("test").size().to_dict() == {"chi2": 30, "fisher": 30}
    of = table.set_index(["network", "measure", "test"])
    assert of["p"]["resnet18 on ImageNet", "class_range", "chi2"] == pytest.approx(
        1.14e-3, rel=1e-2
    )
    assert of["p"]["VGG on CIFAR-10", "importance", "fisher"] == pytest.approx(2.25e-11, rel=1e-2)
    assert of["bound"]["MLP on MNIST", "importance", "fisher"] == pytest.approx(
        5 / 3 * of["p"]["MLP on MNIST", "importance", "fisher"]
    )
    single = of[of["n_networks"] == 1]
    np.testing.assert_array_equal(single["bound"], single["p"])


def test_the_restored_tables_tick_what_survives():
    corrected = statistics.multiple_comparisons(published.table1())
    fourth = tables.network_rows(corrected, ["benjamini_hochberg"])
    assert fourth.loc["CNN on MNIST", ("importance", "Fisher")] == "0.013 ✓"
    assert fourth.loc["CNN on Fashion-MNIST", ("importance", "Fisher")] == "0.025"
    assert fourth.loc["MLP on MNIST", ("score", "Fisher")] == "–"
    both = tables.network_rows(corrected, ["benjamini_hochberg", "holm"])
    assert both.loc["CNN on MNIST", ("importance", "Fisher")] == "0.013 ✓"
    assert both.loc["CNN on Fashion-MNIST", ("importance", "Fisher")] == "0.025"
    assert both.loc["vgg16 on ImageNet", ("score", "Fisher")].endswith(" ✓✓")


def test_rows_of_networks_are_told_apart_by_their_number_of_clusters():
    table = pd.DataFrame(
        {
            "network": "a",
            "n_clusters": [8, 12],
            "measure": "importance",
            "test": "fisher",
            "p": [0.012, np.nan],
        }
    )
    shown = tables.network_rows(table, index=("network", "n_clusters"))
    assert shown.index.tolist() == [("a", 8), ("a", 12)]
    assert shown["importance", "Fisher"].tolist() == ["0.012", "–"]


def test_rows_of_networks_have_each_measures_effect_in_front_of_its_p_values():
    tests = pd.concat([compared().combine(), compared("class_range", "right").combine()])
    both = pd.concat([tests.assign(network="a"), tests.iloc[:4].assign(network="b", effect=np.nan)])
    shown = tables.network_rows(both)
    assert next(iter(shown["importance"])) == "mean effect, points"
    assert next(iter(shown["class-wise range"])) == "mean effect, times as uneven"
    of_a = tests[tests["measure"] == "class_range"]["effect"].iloc[0]
    assert shown["class-wise range", "mean effect, times as uneven"].tolist() == [
        f"{of_a:.3g}",
        "–",
    ]
    assert shown["importance", "mean effect, points"]["b"] == "–"


def test_the_size_of_a_test_is_put_into_words():
    shares = pd.DataFrame(
        [
            ("importance", "chi2", 0.05, 0.04, 0.02, 0.07),
            ("importance", "chi2", 0.001, 0.02, 0.01, 0.04),
        ],
        columns=["measure", "test", "level", "share", "low", "high"],
    )
    shares.loc[2] = ["importance", "fisher", 0.05, 0.01, 0.0, 0.03]
    shares.loc[3] = ["importance", "exact", 0.05, 0.05, 0.03, 0.07]
    shares.loc[4] = ["importance", "exact", 0.001, 0.0, 0.0, 0.01]
    shares["n"] = 300
    said = {test: tables.size_in_words(shares, "importance", test) for test in shares["test"]}
    assert said == {
        "chi2": "honest (4.0% [2.0, 7.0] at 0.05), too bold (2.0% [1.0, 4.0] at 0.001)",
        "fisher": "too careful (1.0% [0.0, 3.0] at 0.05)",
        "exact": "honest (5.0% [3.0, 7.0] at 0.05)",
    }
    assert tables.size_in_words(shares, "score", "exact") == "not put to the test here"


def test_a_taxonomy_is_read_in_percentage_points():
    row = tables.taxonomy_table(made_kinds(1, 1).assign(damage=0.0123)).iloc[0]
    assert row["accuracy difference"] == "1.23"
    assert row[["random mean", "random std.", "kind"]].tolist() == ["1.00", "0.20", "important"]


def test_a_dependency_table_is_read_in_percentage_points_with_its_conclusion():
    kinds = made_kinds(2, 1)
    shown = tables.dependency_table(measures.dependency_table(made_pairs(kinds), kinds))
    assert shown.index.tolist() == ["dense_1, 0 → dense_2, 0"]
    assert shown.iloc[0][["δ(X, Y)", "X | Y", "δ(Y, X)", "Y | X"]].tolist() == [
        *("-1.0", "yes"),
        *("1.0", "no"),
    ]
    assert shown["reading"].iloc[0] == measures.CASES["X given Y"]


def test_a_dependency_table_without_pairs_is_empty_for_readers_too():
    kinds = made_kinds(2, 2, "other")
    table = measures.dependency_table(made_pairs(kinds), kinds)
    assert tables.dependency_table(table).empty


def test_interactions_are_read_in_logits_with_the_interval_of_p():
    shown = tables.interaction_table(made_interactions(made_kinds(2, 2)))
    assert shown.index.names == ["X → Y"]
    assert shown.index[1] == "dense_1, 0 → dense_2, 1"
    row = shown.iloc[1]
    assert row[["steps", "losses: X, Y, both"]].tolist() == ["1", "0.50, 0.25, 0.75"]
    assert row[["interaction", "matched sets'"]].tolist() == ["0.10", "0.20"]
    assert row[["p", "familywise p"]].tolist() == ["0.01 (0.0003 to 0.04)", "0.04"]
    assert shown["finding"].tolist() == ["dependent", "redundant", "none", "X loses nothing"]
    assert tables.interaction_table(made_interactions(made_kinds(1, 2))).empty


def test_within_and_across_are_read_with_the_reason_where_nothing_is_compared():
    compared = pd.DataFrame(
        {
            "value": ["a", "b", "c"],
            "n_within": [2, 0, 9],
            "n_across": [3, 0, 9],
            "difference": [-0.001, np.nan, 0.5],
            "p": [0.25, np.nan, 0.031],
            "p_low": [0.25, np.nan, 0.02],
            "p_high": [0.25, np.nan, 0.04],
            "reason": ["", "no stratum has values of both groups", ""],
        }
    )
    shown = tables.within_across_table(compared, {"a": "first", "b": "second", "c": "third"})
    assert shown.index.tolist() == ["first", "second", "third"]
    assert shown["pairs within"].tolist() == ["2", "0", "9"]
    assert shown["difference (within − across)"].tolist() == ["0.00", "–", "0.50"]
    assert shown["p"].tolist() == [
        "0.25",
        "no stratum has values of both groups",
        "0.031 (0.02 to 0.04)",
    ]


def test_controls_have_a_column_per_network_and_a_dash_where_it_has_none():
    rows = [("a", "two modules", "exact", 0.0025), ("b", "two modules", "exact", 0.5)]
    rows += [("b", "detectors", "fisher", 1e-9)]
    table = pd.DataFrame(rows, columns=["network", "control", "test", "p"])
    shown = tables.controls(table)
    assert shown.columns.tolist() == ["a", "b"]
    assert shown.index.tolist() == [("two modules", "exact"), ("detectors", "Fisher")]
    assert shown.to_numpy().tolist() == [["0.0025", "0.5"], ["–", "< 0.0001"]]


def test_sizes_stand_beside_their_intervals_with_a_column_per_level():
    rows = [
        ("importance", "chi2", 0.05, 300, 0.07, 0.04, 0.1),
        ("importance", "chi2", 0.001, 300, 0, 0, 0.012),
        ("coherence", "one set", 0.05, 0, np.nan, np.nan, np.nan),
    ]
    columns = ["measure", "test", "level", "n", "share", "low", "high"]
    shown = tables.sizes(pd.DataFrame(rows, columns=columns))
    assert shown.loc["importance", "chi²"].tolist() == [
        *("300", "0.070 (0.040 to 0.100)", "0.000 (0.000 to 0.012)")
    ]
    assert shown.loc["class-wise coherence at equal damage", "one set"].tolist() == ["0", "–", "–"]


@pytest.mark.parametrize(
    ("p", "shown"),
    [(0.25, "0.25"), (1, "1"), (0.0123, "0.012"), (1e-4, "0.0001"), (9.9e-5, "< 0.0001")],
)
def test_p_values_below_one_in_ten_thousand_are_not_spelt_out(p, shown):
    assert tables.format_p(p) == shown
    assert tables.p_is(p) in (f"p = {shown}", f"p {shown}")
    assert ("=" in tables.p_is(p)) == (p >= 1e-4)
    assert (words.p_text(p) == "< .0001") == (p < 1e-4)


def test_ranges_of_p_values_that_read_alike_are_written_once():
    assert tables.format_p_range(1e-9, 3e-6) == "< 0.0001"
    assert tables.format_p_range(1e-9, 0.2) == "< 0.0001 to 0.2"
    assert tables.format_p(np.nan) == "–"


def test_networks_of_a_kind_are_one_row_with_students_interval_and_a_count():
    columns = ["network", "replicate", "measure", "effect", "low", "high", "p"]
    rows = [("a", i, "importance", i, 0, 0, p) for i, p in enumerate((0.01, 0.05, 0.06))]
    rows += [("a", i, "coherence", np.nan, np.nan, np.nan, 1) for i in range(3)]
    rows += [("b", 0, "importance", 2, 1, 3, 0.5)]
    shown = tables.replicates_table(pd.DataFrame(rows, columns=columns))
    half = 4.3027 / np.sqrt(3)
    assert shown.loc["a", "importance (points)"] == f"1.0 ({1 - half:.1f} to {1 + half:.1f})"
    assert shown.loc["a", "importance, p ≤ .05"] == "2 of 3"
    assert shown.loc["a", "coherence (%)"] == "–"
    assert shown.loc["b", "importance (points)"] == "2.0"
    assert pd.isna(shown.loc["b", "coherence (%)"])


def test_effects_are_shown_on_three_scales_with_their_errors():
    effects = pd.DataFrame(
        {
            "layer": ["a", "b"],
            "cluster": [0, 1],
            "size": [2, 3],
            "effect": [1.234, 0.0],
            "low": [0.5, -0.1],
            "high": [2.0, 0.1],
            "log_ratio": [0.91, 0.0],
            "log_ratio_low": [0.3, -1.0],
            "log_ratio_high": [1.5, 1.0],
            "relative": [1.4567, np.nan],
            "relative_se": [0.123, np.nan],
        }
    )
    shown = tables.effects_table(effects)
    assert shown.index.tolist() == ["a, 0", "b, 1"]
    first = ["1.2 (0.5 to 2.0)", "0.9 (0.3 to 1.5)", "1.46 ± 0.12"]
    assert shown.iloc[0].tolist() == first
    assert shown.iloc[1].tolist() == ["0.0 (-0.1 to 0.1)", "0.0 (-1.0 to 1.0)", "–"]


def test_an_exact_p_value_is_shown_with_its_monte_carlo_interval_and_effect():
    row = {"measure": "importance", "test": "exact", "tested": 3, "excluded": 1, "p": 0.05}
    row |= {"p_low": 0.011, "p_high": 0.14, "p_two_sided": 0.1, "effect": 1.5, "low": 1, "high": 2}
    shown = tables.exact_table(pd.DataFrame([row]), 1).loc["importance"]
    assert shown["exact p"] == "0.05 (0.011 to 0.14)"
    assert shown["mean effect"] == "1.5 (1 to 2) points"
    assert shown["p of the mean effect"] == "–"
    assert shown["comparable"] == shown["tested"] == "3"
    by_class = tables.exact_table(pd.DataFrame([row | {"measure": "coherence"}]), 1)
    assert by_class["comparable"].tolist() == ["1"]
    of_mean = row | {"test": "exact_effect", "p": 0.25, "p_low": 0.1, "p_high": 0.4}
    both = tables.exact_table(pd.DataFrame([row, of_mean]), 1).loc["importance"]
    assert both["p of the mean effect"] == "0.25 (0.1 to 0.4)"


def test_chances_are_shown_with_the_monte_carlo_interval_of_their_p_value():
    kinds = {"kind": ["important"], "found": [3], "expected": [0.28], "chance": [0.25], "p": [0.05]}
    shown = tables.chance_table(pd.DataFrame(kinds), 19).loc["important"]
    assert shown["exact p"] == "0.05 (< 0.0001 to 0.18)"
    none = tables.chance_table(pd.DataFrame(kinds | {"p": [1.0]}), 999).loc["important"]
    assert none["exact p"] == "1"


def test_reports_side_by_side_have_no_p_value_without_its_effect():
    row = {"clusters": 6, "parts": 20, "tested": 18, "important": "yes", "class_wise": "undecided"}
    row |= {"importance_found": 2, "importance_effect": 2.25, "importance_low": 1.0}
    row |= {"importance_high": 3.5, "importance_p": 0.001, "class_range_found": 0}
    row |= {"within_effect": 1.0, "within_low": 0.5, "within_high": 1.5, "within_p": 0.02}
    row |= {"class_range_effect": np.nan, "class_range_low": np.nan, "class_range_high": np.nan}
    known = row | {"class_range_effect": 1.234, "class_range_low": 1.1, "class_range_high": 1.4}
    both = pd.DataFrame([row | {"class_range_p": 1.0}, known | {"class_range_p": 0.3}])
    shown = tables.compared_table(both.set_axis(["ours", "theirs"]))
    assert shown.loc["theirs", "times as uneven"] == "1.23 (1.10 to 1.40)"
    expected = ["yes", "2.2 (1.0 to 3.5)", "0.001", "1.0 (0.5 to 1.5)", "0.02", "undecided", "–"]
    assert shown.loc["ours"].tolist() == [*expected, "1", "2 of 18"]


def test_exact_tests_of_networks_of_a_kind_are_counted_beside_their_mean_effect():
    columns = ["network", "replicate", "protocol", "measure", "test", "p", "effect"]
    rows = [
        ("a", 0, "paper", "importance", "exact", 0.01, 1.0),
        ("a", 1, "paper", "importance", "exact", 0.2, 3.0),
        ("a", 1, "paper", "importance", "fisher", 0.001, 99.0),
        ("a", 0, "released", "importance", "exact", 0.001, 99.0),
        ("a", 0, "paper", "coherence", "exact", 1.0, np.nan),
        ("b", 0, "paper", "importance", "exact", 0.05, 0.25),
    ]
    shown = tables.over_networks(pd.DataFrame(rows, columns=columns))
    low, high = statistics.mean_interval([1, 3])
    effects = shown["importance", "mean effect, points"]
    assert effects.to_dict() == {"a": f"2 ({low:.2g} to {high:.2g})", "b": "0.25"}
    assert shown["importance", "p ≤ .05 (median p)"].to_dict() == {
        "a": "1 of 2 (0.2)",
        "b": "1 of 1 (0.05)",
    }
    assert shown.loc["a", "class-wise coherence at equal damage"].tolist() == ["–", "0 of 1 (1)"]
    assert shown.loc["b", "class-wise coherence at equal damage"].tolist() == ["–", "–"]


def test_effects_that_are_next_to_nothing_have_no_exponent():
    row = {"measure": "entropy", "effect": 8.1e-05, "low": -6.9e-09, "high": 0.034}
    assert tables.effect_in_units(row) == "0 (0 to 0.034) nats"
