"""Which partition finds parts that matter: against loops, planted parts, and under the null."""

import keras
import numpy as np
import pandas as pd
import pytest

from helpers import evaluation, lesions, measures, plots, statistics
from helpers.book import tables
from helpers.measures import against_permuted
from helpers.partitions import Partition

L = keras.layers


def made(n_permutations=9, k=3, n_images=40, n_classes=4, seed=0):
    """What lesions leave, without any rule in it: (1 + B, k, n_images), intact, classes."""
    rng = np.random.default_rng(seed)
    right = rng.random((n_permutations + 1, k, n_images)) < 0.7
    return right, rng.random(n_images) < 0.9, rng.permutation(np.arange(n_images) % n_classes)


def by_loops(right, intact, classes):
    """Damages in images, and class-wise ranges, one lesion after the other."""
    sizes = np.bincount(classes)
    damages, ranges = np.zeros(right.shape[:2]), np.zeros(right.shape[:2])
    for b, j in np.ndindex(right.shape[:2]):
        lost = [
            int((intact & (classes == c)).sum() - (right[b, j] & (classes == c)).sum())
            for c in range(len(sizes))
        ]
        damages[b, j] = sum(lost)
        drop = np.array(lost) / sizes
        if abs(drop.mean()) >= 1 / sizes.max() - 1e-12:
            ranges[b, j] = (drop.max() - drop.min()) / abs(drop.mean())
    return damages, ranges


@pytest.mark.parametrize("seed", range(3))
def test_tests_and_effects_are_what_loops_give(seed):
    right, intact, classes = made(seed=seed)
    table = against_permuted(right, intact, classes, [False] * 3).set_index("measure")
    damages, ranges = by_loops(right, intact, classes)
    for measure, values in (("importance", damages), ("class_range", ranges.round(9))):
        exact = statistics.permutation_test(values[0], values[1:])
        assert table["p"][measure] == exact.p
        assert table["found"][measure] == (exact.each <= 0.05).sum()
    points = 100 * np.mean(damages[0] - damages[1:].mean(axis=0)) / len(classes)
    assert table["effect"]["importance"] == pytest.approx(points)
    exceeds = [
        1 if ours > theirs else 0.5 * (ours == theirs)
        for j in range(3)
        for ours, theirs in ((ranges[0, j].round(9), other) for other in ranges[1:, j].round(9))
    ]
    assert table["effect"]["class_range"] == pytest.approx(100 * np.mean(exceeds))


def test_fast_ranges_are_those_of_the_paper():
    right, intact, classes = made(n_permutations=30)
    counts = np.stack([(right & (classes == c)).sum(axis=-1) for c in range(4)], axis=-1)
    whole = np.array([(intact & (classes == c)).sum() for c in range(4)])
    sizes = np.bincount(classes)
    together = np.concatenate([counts, np.broadcast_to(whole, (31, 1, 4))], axis=1)
    expected = np.nan_to_num(measures.class_wise_range(counts, whole, sizes))
    assert (expected == 0).any()
    np.testing.assert_allclose(measures.permuted._ranges(together, sizes), expected, atol=1e-8)


def test_complete_sub_clusters_are_counted_and_play_no_part():
    right, intact, classes = made()
    changed = right.copy()
    changed[:, 1] = False
    tables = [
        against_permuted(each, intact, classes, [False, True, False]) for each in (right, changed)
    ]
    assert tables[0].equals(tables[1])
    assert tables[0]["tested"].tolist() == [2, 2]
    assert tables[0]["complete"].tolist() == [1, 1]
    nothing = against_permuted(right, intact, classes, [True] * 3)
    assert nothing[["p", "effect", "low", "high"]].isna().all(axis=None)
    assert nothing["found"].tolist() == [0, 0]


def test_the_interval_of_the_importance_is_that_of_a_mean_over_images():
    right, intact, classes = made(n_images=400)
    table = against_permuted(right, intact, classes, [False] * 3, n_bootstraps=2000)
    of_each = (right[1:].mean(axis=0) - right[0]).mean(axis=0)
    variance = sum(np.var(of_each[classes == c]) * (classes == c).sum() for c in range(4))
    margin = 1.96 * 100 * np.sqrt(variance) / len(classes)
    row = table.iloc[0]
    assert row["high"] - row["effect"] == pytest.approx(margin, rel=0.06)
    assert row["effect"] - row["low"] == pytest.approx(row["high"] - row["effect"])


def test_intervals_hold_the_effect_on_all_images_as_often_as_they_say():
    everyone, intact, classes = made(n_permutations=5, n_images=4000, seed=1)
    truth = against_permuted(everyone, intact, classes, [False] * 3, 2).iloc[0]["effect"]
    held = []
    for seed in range(200):
        chosen = np.random.default_rng(seed).choice(4000, 100, replace=False)
        row = against_permuted(
            everyone[..., chosen], intact[chosen], classes[chosen], [False] * 3, 60, seed
        ).iloc[0]
        held.append(row["low"] <= truth <= row["high"])
    assert 0.89 <= np.mean(held) <= 0.99


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"right": np.zeros((1, 3, 40), bool)}, r"right: shape \(1, 3, 40\) was given; accepted"),
        ({"right": np.zeros((5, 2, 40), bool)}, r"accepted is \(1 \+ B, 3, 40\), with B from 1"),
        ({"n_bootstraps": 1}, "n_bootstraps: 1 was given; accepted are integers from 2"),
    ],
)
def test_what_cannot_be_compared_is_refused(change, message):
    right, intact, classes = made()
    options = {"right": right, "n_bootstraps": 5} | change
    with pytest.raises(ValueError, match=message):
        against_permuted(intact=intact, classes=classes, complete=[False] * 3, **options)


@pytest.fixture(scope="module")
def specialists():
    """Units 0 to 7 tell four classes, two each; units 8 to 15 have no influence."""
    model = keras.Sequential(
        [keras.Input((4,)), L.Dense(16, "relu", name="hidden"), L.Dense(4, name="out")]
    )
    first, second = np.zeros((4, 16)), np.zeros((16, 4))
    for unit in range(8):
        first[unit // 2, unit] = second[unit, unit // 2] = 1
    first[:, 8:] = 1
    model.set_weights([first, np.zeros(16), second, np.linspace(0.3, 0, 4)])
    y = np.arange(80) % 4
    return model, np.eye(4, dtype=np.float32)[y], y


def test_planted_parts_are_found_and_random_ones_are_not(specialists):
    parts = np.array([0, 0, 1, 1, 2, 2, 3, 3, *[4] * 8])
    compared = {
        "planted": Partition.from_labels({"hidden": parts}),
        "random": Partition.from_labels({"hidden": parts}).permuted(np.random.default_rng(5)),
    }
    table = evaluation.compare_partitions(*specialists, compared, 199, 10)
    p = table.set_index(["partition", "measure"])["p"]
    assert p["planted", "importance"] <= 0.05
    assert p["random", "importance"] > 0.05
    effect = table.set_index(["partition", "measure"])["effect"]
    assert effect["planted", "class_range"] > 60


def test_lesions_are_those_of_the_partition_and_its_permutations(specialists):
    model, x, y = specialists
    partition = Partition.from_labels({"hidden": [3, 0, 0, -1, *[1] * 6, *[0] * 6]})
    table = evaluation.compare_partitions(model, x, y, {"one": partition}, 7, 5, seed=4)
    in_order = partition.labels["hidden"].copy()
    in_order[in_order >= 0] = np.sort(in_order[in_order >= 0])
    rng = np.random.default_rng([4, 1])
    drawn = [Partition.from_labels({"hidden": in_order}).permuted(rng) for _ in range(7)]
    right = [
        lesions.correct(model, x, y, [{each.layer: each.units} for each in one.subclusters()])
        for one in (partition, *drawn)
    ]
    intact = lesions.correct(model, x, y, [{}])[0]
    expected = against_permuted(np.array(right), intact, y, [False] * 3, 5, 4)
    assert table.drop(columns="partition").equals(expected)
    assert table["partition"].tolist() == ["one", "one"]


def test_the_importance_test_has_its_size_on_random_labels(specialists):
    model, x, y = specialists
    labels = Partition.from_labels({"hidden": np.arange(16) // 4})
    random = {str(i): labels.permuted(np.random.default_rng([i, 9])) for i in range(120)}
    table = evaluation.compare_partitions(model, x, y, random, 19, 2)
    p = table[table["measure"] == "importance"]["p"]
    assert (p <= 0.05).mean() <= 0.12
    assert (p <= 0.5).mean() <= 0.65


def test_partitions_of_other_networks_and_no_permutations_are_refused(specialists):
    good = Partition.from_labels({"hidden": np.arange(16)})
    with pytest.raises(ValueError, match="n_permutations: 0 was given"):
        evaluation.compare_partitions(*specialists, {"a": good}, 0)
    with pytest.raises(ValueError, match="partition: 2 labels were given for layer 'hidden'"):
        evaluation.compare_partitions(
            *specialists, {"a": Partition.from_labels({"hidden": [0, 1]})}
        )


def test_four_partitions_and_two_controls_of_the_same_sizes(specialists):
    model = keras.Sequential(
        [
            keras.Input((6,)),
            L.Dense(12, "relu", name="a"),
            L.Dense(9, "relu", name="b"),
            L.Dense(3, name="out"),
        ]
    )
    x = np.random.default_rng(0).normal(size=(50, 6))
    found = evaluation.four_partitions(model, x, 3, seed=1)
    assert [*found] == [
        "weights, global",
        "weights, layerwise",
        "activations, global",
        "activations, layerwise",
        "weight strength",
        "random labels",
    ]
    for edges in evaluation.EDGES:
        for scope in evaluation.SCOPES:
            alone = evaluation.partition_of(model, 3, seed=1, edges=edges, scope=scope, x=x)
            for layer in ("a", "b"):
                np.testing.assert_array_equal(
                    found[f"{edges}, {scope}"].labels[layer], alone.labels[layer]
                )
    for control in ("weight strength", "random labels"):
        for layer in ("a", "b"):
            ours, first = (found[name].labels[layer] for name in (control, "weights, global"))
            np.testing.assert_array_equal(np.sort(ours), np.sort(first))
            assert (ours != first).any()


MADE = pd.DataFrame(
    [
        ("net", "a, global", "importance", 6, 0, 0.01, 3, 2.0, 1.5, 2.5),
        ("net", "b, global", "importance", 5, 0, 0.2, 1, 1.0, 0.4, 1.6),
        ("net", "control", "importance", 5, 0, 0.3, 0, 3.0, 2.4, 3.6),
        ("net", "c, global", "importance", 5, 0, 0.3, 0, 0.2, 0.0, 0.4),
        ("net", "a, global", "class_range", 6, 0, 0.5, 0, 49.0, 40.0, 58.0),
        ("net", "b, global", "class_range", 5, 0, 0.5, 0, -0.04, -0.04, 0.04),
        ("net", "control", "class_range", 0, 5, np.nan, 0, np.nan, np.nan, np.nan),
        ("net", "c, global", "class_range", 5, 0, 0.5, 0, 30.0, 29.0, 31.0),
    ],
    columns=[
        *("network", "partition", "measure", "tested", "complete"),
        *("p", "found", "effect", "low", "high"),
    ],
)


def test_the_partition_with_the_largest_effect_leads_and_others_overlap_with_it():
    rows = measures.leading(MADE, ["control"]).to_dict("records")
    assert [(row["measure"], row["leads"], row["alike"]) for row in rows] == [
        ("importance", "a, global", ("b, global", "control")),
        ("class_range", "a, global", ()),
    ]
    assert [rows[0][end] for end in ("effect", "low", "high", "p")] == [2.0, 1.5, 2.5, 0.01]
    assert measures.leading(MADE).iloc[0]["leads"] == "control"
    assert measures.leading(MADE, list(MADE["partition"])).empty


def test_partitions_are_drawn_with_their_intervals_and_controls_in_grey():
    figure = plots.partitions_compared(MADE, ["control"])
    importance, ranges = figure.axes
    bars = [line for line in importance.lines if len(line.get_xdata()) == 2 and line.get_lw() > 1.5]
    assert [tuple(bar.get_xdata()) for bar in bars] == [
        (1.5, 2.5),
        (0.4, 1.6),
        (2.4, 3.6),
        (0.0, 0.4),
    ]
    points = [line for line in importance.lines if line.get_marker() == "o"]
    assert [point.get_mfc() == "white" for point in points] == [False, True, True, True]
    assert len({point.get_color() for point in points}) == 2
    assert [text.get_text() for text in importance.texts] == [
        "3 of 6",
        "1 of 5",
        "0 of 5",
        "0 of 5",
    ]
    names = [label.get_text() for label in importance.get_yticklabels()]
    assert names == ["a, global", "b, global", "control", "c, global"]
    assert ranges.lines[0].get_xdata()[0] == 50
    figure.draw_without_rendering()


def test_reports_are_drawn_with_their_intervals_and_filled_where_they_found_something():
    table = pd.DataFrame(
        {
            "importance_effect": [3.0, -1.0],
            "importance_low": [2.0, -2.0],
            "importance_high": [4.0, 0.5],
            "importance_p": [0.01, 0.6],
        },
        index=["ours", "theirs"],
    )
    (axes,) = plots.reports_compared(table).axes
    chance, *drawn = axes.get_lines()
    assert list(chance.get_xdata()) == [0, 0]
    assert [list(each.get_xdata()) for each in drawn] == [[2, 4], [3], [-2, 0.5], [-1]]
    assert [each.get_markerfacecolor() == "white" for each in drawn[1::2]] == [False, True]
    assert [each.get_text() for each in axes.get_yticklabels()] == ["ours", "theirs"]


def test_the_table_of_partitions_shows_effects_with_intervals_and_no_negative_zero():
    shown = tables.partition_table(MADE)
    assert shown.loc["net", "a, global"]["importance (points)"] == "2.0 (1.5 to 2.5)"
    assert shown.loc["net", "b, global"]["class-wise range (%)"] == "0.0 (0.0 to 0.0)"
    assert shown.loc["net", "control"]["class-wise range (%)"] == "–"
    assert shown.loc["net", "control"]["class-wise range, p"] == "–"
    assert shown.loc["net", "a, global"]["importance, found"] == "3"
