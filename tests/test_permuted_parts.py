"""Which partition finds parts that matter: against loops, planted parts, and under the null."""

import keras
import numpy as np
import pandas as pd
import pytest

from helpers import (
    construction,
    correlations,
    evaluation,
    lesions,
    measures,
    networks,
    plots,
    statistics,
)
from helpers.book import tables
from helpers.lesions import Orderings
from helpers.lesions.nested import orderings_of
from helpers.measures import against_permuted
from helpers.partitions import Partition

L = keras.layers


def made(n_permutations=9, k=3, n_images=40, n_classes=4, seed=0):
    """What lesions leave, without any rule in it, as arguments of `against_permuted`."""
    rng = np.random.default_rng(seed)
    sets = {"a": [along(rng, n_images) for _ in range(18)]}
    return {
        "right": rng.random((n_permutations + 1, k, n_images)) < 0.4,
        "intact": rng.random(n_images) < 0.97,
        "classes": rng.permutation(np.arange(n_images) % n_classes),
        "layers": ["a"] * k,
        "complete": [False] * k,
        "nested": Orderings(np.ones(n_images, int), np.ones(n_images, np.int8), sets),
    }


def of_importance_only(given):
    """The same without random sets to compare with at equal damage, which take time."""
    nested = given["nested"]
    return given | {"nested": Orderings(nested.class_sizes, nested.intact, {})}


def along(rng, n_images):
    """An ordering of seven units: images are lost one after the other, some come back."""
    last = rng.integers(1, 9, n_images)
    right = [last > size for size in range(8)]
    right[3] ^= rng.random(n_images) < 0.1
    return np.arange(8), np.array(right, dtype=np.int8)


def chosen(given, images):
    """The same for some of the images, again and again."""
    nested = given["nested"]
    sets = {
        layer: [(sizes, each[:, images]) for sizes, each in all_of_it]
        for layer, all_of_it in nested.sets.items()
    }
    return given | {
        "right": given["right"][..., images],
        "intact": given["intact"][images],
        "classes": given["classes"][images],
        "nested": Orderings(nested.class_sizes[images], nested.intact[images], sets),
    }


def by_loops(right, intact, classes, nested, **_):
    """Damages in images, and comparisons at equal damage, one lesion after the other."""
    n_classes = classes.max() + 1

    def per_class(judged):
        return np.array([judged[classes == c].sum() for c in range(n_classes)])

    sets = {
        "a": [
            (sizes, np.array([per_class(row) for row in each])) for sizes, each in nested.sets["a"]
        ]
    }
    random = Orderings(np.bincount(classes), per_class(nested.intact), sets)
    damages = np.zeros(right.shape[:2])
    found = np.empty(right.shape[:2], object)
    for b, j in np.ndindex(right.shape[:2]):
        damages[b, j] = intact.sum() - right[b, j].sum()
        found[b, j] = measures.at_equal_damage(per_class(right[b, j])[np.newaxis], "a", random)
    return damages, found


@pytest.mark.parametrize("seed", range(3))
def test_tests_and_effects_are_what_loops_give(seed):
    given = made(seed=seed)
    table = against_permuted(**given).set_index("measure")
    damages, found = by_loops(**given)
    p = np.vectorize(lambda each: each.p[0])(found)
    for measure, values, side in (("importance", damages, "right"), ("coherence", p, "left")):
        exact = statistics.permutation_test(values[0], values[1:], side)
        assert table["p"][measure] == exact.p
        assert table["found"][measure] == (exact.each <= 0.05).sum()
    points = 100 * np.mean(damages[0] - damages[1:].mean(axis=0)) / len(given["classes"])
    assert table["effect"]["importance"] == pytest.approx(points)
    comparable = [each for each in found[0] if each.is_comparable[0]]
    assert table["comparable"]["coherence"] == len(comparable) > 0
    beaten = [1 - each.n_as_uneven[0] / each.reached[0] for each in comparable]
    assert table["effect"]["coherence"] == pytest.approx(100 * np.mean(beaten))


def test_intervals_are_those_of_images_that_are_drawn_again():
    given = made(n_images=120)
    table = against_permuted(**given, n_bootstraps=12, seed=5).set_index("measure")
    is_comparable = [each.is_comparable[0] for each in by_loops(**given)[1][0]]
    assert any(is_comparable)
    points, beaten = [], []
    (drawn,) = statistics.drawn_again(given["classes"], 12, np.random.default_rng(5))
    for weights in drawn.astype(int):
        damages, found = by_loops(**chosen(given, np.repeat(np.arange(120), weights)))
        points.append(100 * np.mean(damages[0] - damages[1:].mean(axis=0)) / 120)
        ours = [each for each, is_one in zip(found[0], is_comparable, strict=True) if is_one]
        beaten.append(100 * np.mean([1 - each.n_as_uneven[0] / each.reached[0] for each in ours]))
    for measure, values in (("importance", points), ("coherence", beaten)):
        row = table.loc[measure]
        assert row["high"] - row["effect"] == pytest.approx(1.96 * np.std(values, ddof=1))
        assert row["effect"] - row["low"] == pytest.approx(1.96 * np.std(values, ddof=1))


class Watched(list):
    """Rows of lesions that know how many of them were looked at."""

    seen = 0

    def __iter__(self):
        for self.seen, row in enumerate(super().__iter__(), start=1):
            yield row


@pytest.mark.parametrize("seed", range(3))
def test_with_a_reference_no_more_permutations_are_looked_at_than_the_answers_need(seed):
    given = made(n_permutations=89, seed=seed)
    rows = Watched(given["right"])
    table = against_permuted(**given | {"right": rows}, n_bootstraps=2, n_reference=19)
    table = table.set_index("measure")
    damages, found = by_loops(**given)
    p = np.vectorize(lambda each: each.p[0])(found)
    for measure, values, side in (("importance", damages, "right"), ("coherence", p, "left")):
        test = statistics.sequential_permutation_test(
            values[0], values[1:20], iter(values[20:]), side, max_permutations=70
        )
        assert table["p"][measure] == test.p
        assert table["permuted"][measure] == 19 + test.n_permutations
        assert table["found"][measure] == (test.each <= 0.05).sum()
    assert rows.seen == 1 + table["permuted"].max()
    points = 100 * np.mean(damages[0] - damages[1:20].mean(axis=0)) / len(given["classes"])
    assert table["effect"]["importance"] == pytest.approx(points)


def test_complete_sub_clusters_are_counted_and_play_no_part():
    given = made()
    changed = given["right"].copy()
    changed[:, 1] = False
    given["complete"] = [False, True, False]
    tables = [against_permuted(**given | {"right": each}) for each in (given["right"], changed)]
    assert tables[0].equals(tables[1])
    assert tables[0]["tested"].tolist() == [2, 2]
    assert tables[0]["complete"].tolist() == [1, 1]
    nothing = against_permuted(**given | {"complete": [True] * 3})
    assert nothing[["p", "effect", "low", "high"]].isna().all(axis=None)
    assert nothing["found"].tolist() == [0, 0]


def test_what_is_not_comparable_has_no_effect_on_coherence_and_cannot_be_found():
    given = made(n_permutations=39)
    given["right"] = given["right"] | (np.arange(40) > 12)  # Few images are lost.
    row = against_permuted(**given).set_index("measure").loc["coherence"]
    assert (row["tested"], row["comparable"], row["p"], row["found"]) == (3, 0, 1.0, 0)
    assert row[["effect", "low", "high"]].isna().all()


def test_the_interval_of_the_importance_is_that_of_a_mean_over_images():
    given = of_importance_only(made(n_images=400))
    right, classes = given["right"], given["classes"]
    table = against_permuted(**given, n_bootstraps=2000)
    of_each = (right[1:].mean(axis=0) - right[0]).mean(axis=0)
    variance = sum(np.var(of_each[classes == c]) * (classes == c).sum() for c in range(4))
    margin = 1.96 * 100 * np.sqrt(variance) / len(classes)
    row = table.iloc[0]
    assert row["high"] - row["effect"] == pytest.approx(margin, rel=0.06)
    assert row["effect"] - row["low"] == pytest.approx(row["high"] - row["effect"])


def test_intervals_hold_the_effect_on_all_images_as_often_as_they_say():
    everyone = of_importance_only(made(n_permutations=5, n_images=4000, seed=1))
    truth = against_permuted(**everyone, n_bootstraps=2).iloc[0]["effect"]
    held = []
    for seed in range(200):
        images = np.random.default_rng(seed).choice(4000, 100, replace=False)
        row = against_permuted(**chosen(everyone, images), n_bootstraps=60, seed=seed).iloc[0]
        held.append(row["low"] <= truth <= row["high"])
    assert 0.89 <= np.mean(held) <= 0.99


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"right": np.zeros((1, 3, 40), bool)}, r"right: shape \(1, 3, 40\) was given; accepted"),
        ({"right": np.zeros((5, 2, 40), bool)}, r"accepted is \(1 \+ B, 3, 40\), with B from 1"),
        ({"layers": ["a"] * 2}, "and 3 layers, of which 2 were given"),
        ({"n_bootstraps": 1}, "n_bootstraps: 1 was given; accepted are integers from 2"),
        (
            {"n_reference": 9},
            "n_reference: 9 was given; accepted are integers from 0 to 8, so that",
        ),
        ({"n_reference": -1}, "n_reference: -1 was given; accepted are integers from 0"),
    ],
)
def test_what_cannot_be_compared_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        against_permuted(**{"n_bootstraps": 5} | made() | change)


@pytest.fixture(scope="module")
def specialists():
    """Units 0 to 7 see a kind of images each, two of each class; 8 to 15 have no influence.

    What nothing speaks for is of the first class, so that its units cost nothing.
    """
    model = keras.Sequential(
        [keras.Input((8,)), L.Dense(16, "relu", name="hidden"), L.Dense(4, name="out")]
    )
    first, second = np.zeros((8, 16)), np.zeros((16, 4))
    for unit in range(8):
        first[unit, unit] = second[unit, unit // 2] = 1
    first[:, 8:] = 1
    model.set_weights([first, np.zeros(16), second, np.linspace(0.3, 0, 4)])
    kinds = np.arange(80) % 8
    return model, np.eye(8, dtype=np.float32)[kinds], kinds // 2


def test_planted_parts_are_found_and_random_ones_are_not(specialists):
    parts = np.array([0, 0, 1, 1, 2, 2, 3, 3, *[4] * 8])
    compared = {
        "planted": Partition.from_labels({"hidden": parts}),
        "random": Partition.from_labels({"hidden": parts}).permuted(np.random.default_rng(5)),
    }
    table = evaluation.compare_partitions(*specialists, compared, 199, n_bootstraps=10)
    table = table.set_index(["partition", "measure"])
    for measure in ("importance", "coherence"):
        assert table["p"]["planted", measure] <= 0.05
        assert table["p"]["random", measure] > 0.05
    assert table["effect"]["planted", "coherence"] > 75
    assert table["comparable"]["planted", "coherence"] == 3


def test_lesions_are_those_of_the_partition_and_its_permutations(specialists):
    model, x, y = specialists
    partition = Partition.from_labels({"hidden": [3, 0, 0, -1, *[1] * 6, *[0] * 6]})
    table = evaluation.compare_partitions(model, x, y, {"one": partition}, 7, 16, 5, seed=4)
    in_order = partition.labels["hidden"].copy()
    in_order[in_order >= 0] = np.sort(in_order[in_order >= 0])
    rng = np.random.default_rng([4, 1])
    drawn = [Partition.from_labels({"hidden": in_order}).permuted(rng) for _ in range(7)]
    right = [
        lesions.correct(model, x, y, [{each.layer: each.units} for each in one.subclusters()])
        for one in (partition, *drawn)
    ]
    intact = lesions.correct(model, x, y, [{}])[0]
    nested = orderings_of(
        lambda asked: lesions.correct(model, x, y, asked).astype(int),
        np.ones(len(y), int),
        partition,
        16,
        seed=[4, 3],
    )
    expected = against_permuted(
        np.array(right), intact, y, ["hidden"] * 3, [False] * 3, nested, 5, 4
    )
    assert table.drop(columns="partition").equals(expected)
    assert table["partition"].tolist() == ["one", "one"]


def test_both_tests_have_their_size_on_random_labels(specialists):
    labels = Partition.from_labels({"hidden": np.arange(16) // 4})
    tables = [
        evaluation.compare_partitions(
            *specialists, {"": labels.permuted(np.random.default_rng([i, 9]))}, 19, 16, 2, seed=i
        )
        for i in range(100)
    ]
    for _, p in pd.concat(tables).groupby("measure")["p"]:
        assert (p <= 0.05).mean() <= 0.11
        assert (p <= 0.5).mean() <= 0.62


def test_sequentially_lesions_of_most_permutations_are_spared(specialists, monkeypatch):
    random = Partition.from_labels({"hidden": np.arange(16) // 4}).permuted(
        np.random.default_rng(8)
    )
    asked, correct = [], lesions.correct

    def watched(model, x, y, some):
        asked.extend(some)
        return correct(model, x, y, some)

    monkeypatch.setattr(lesions, "correct", watched)
    few = {"n_orderings": 1, "n_bootstraps": 2, "n_sizes": 1}
    compared = {"random": random}
    table = evaluation.compare_partitions(*specialists, compared, 199, n_reference=20, **few)
    n_sequential = len(asked)
    assert (table["p"] > 0.05).all()
    assert (table["permuted"] < 100).all()
    evaluation.compare_partitions(*specialists, compared, 219, **few)
    assert n_sequential < (len(asked) - n_sequential) / 2
    with pytest.raises(ValueError, match="n_reference: -1 was given; accepted are integers from 0"):
        evaluation.compare_partitions(*specialists, compared, n_reference=-1)


def test_partitions_of_other_networks_and_no_permutations_are_refused(specialists):
    good = Partition.from_labels({"hidden": np.arange(16)})
    with pytest.raises(ValueError, match="n_permutations: 0 was given"):
        evaluation.compare_partitions(*specialists, {"a": good}, 0)
    with pytest.raises(ValueError, match="n_orderings: 0 was given"):
        evaluation.compare_partitions(*specialists, {"a": good}, 9, 0)
    with pytest.raises(ValueError, match="partition: 2 labels were given for layer 'hidden'"):
        evaluation.compare_partitions(
            *specialists, {"a": Partition.from_labels({"hidden": [0, 1]})}
        )


def test_four_partitions_and_two_controls_of_the_same_sizes():
    keras.utils.set_random_seed(0)
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
        ("net", "a, global", "importance", 6, 0, 6, 0.01, 3, 2.0, 1.5, 2.5),
        ("net", "b, global", "importance", 5, 0, 5, 0.2, 1, 1.0, 0.4, 1.6),
        ("net", "control", "importance", 5, 0, 5, 0.3, 0, 3.0, 2.4, 3.6),
        ("net", "c, global", "importance", 5, 0, 5, 0.3, 0, 0.2, 0.0, 0.4),
        ("net", "a, global", "coherence", 6, 0, 2, 0.5, 0, 49.0, 40.0, 58.0),
        ("net", "b, global", "coherence", 5, 0, 2, 0.5, 0, -0.04, -0.04, 0.04),
        ("net", "control", "coherence", 0, 5, 0, np.nan, 0, np.nan, np.nan, np.nan),
        ("net", "c, global", "coherence", 5, 0, 2, 0.5, 0, 30.0, 29.0, 31.0),
    ],
    columns=[
        *("network", "partition", "measure", "tested", "complete", "comparable"),
        *("p", "found", "effect", "low", "high"),
    ],
)


def test_the_partition_with_the_largest_effect_leads_and_others_overlap_with_it():
    rows = measures.leading(MADE, ["control"]).to_dict("records")
    assert [(row["measure"], row["leads"], row["alike"]) for row in rows] == [
        ("importance", "a, global", ("b, global", "control")),
        ("coherence", "a, global", ()),
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


def test_partitions_are_marked_as_found_only_if_their_effects_are_beyond_chance_too():
    panels = plots.partitions_compared(MADE.assign(p=0.01)).axes
    filled = [
        [point.get_mfc() != "white" for point in axes.lines if point.get_marker() == "o"]
        for axes in panels
    ]
    assert filled == [[True, True, True, False], [False] * 4]


def test_what_parts_cost_in_a_robust_network_is_seen_beside_a_fragile_one():
    robust = MADE.assign(network="robust")
    robust[["effect", "low", "high"]] /= np.where(robust[["measure"]] == "importance", 100, 1)
    fragile, of_fragile, small, of_small = plots.partitions_compared(pd.concat([MADE, robust])).axes
    assert small.get_xlim()[1] < 0.1 < 3 < fragile.get_xlim()[1]
    assert of_small.get_xlim() == of_fragile.get_xlim()


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
    figure = plots.reports_compared(table.rename(index={"ours": "$a_{$"}))
    figure.draw_without_rendering()  # A name is no formula.
    (axes,) = plots.reports_compared(table).axes
    chance, *drawn = axes.get_lines()
    assert list(chance.get_xdata()) == [0, 0]
    assert [list(each.get_xdata()) for each in drawn] == [[2, 4], [3], [-2, 0.5], [-1]]
    assert [each.get_markerfacecolor() == "white" for each in drawn[1::2]] == [False, True]
    assert [each.get_text() for each in axes.get_yticklabels()] == ["ours", "theirs"]


def test_over_replicates_effects_are_means_with_students_interval():
    several = pd.concat(
        [
            MADE.assign(replicate=i, effect=MADE["effect"] + shift, p=p)
            for i, (shift, p) in enumerate(((0, 0.001), (1, 0.04), (5, 0.5)))
        ]
    )
    table = measures.over_replicates(several)
    assert len(table) == len(MADE)
    row = table.query("partition == 'a, global' and measure == 'importance'").iloc[0]
    own = MADE.query("partition == 'a, global' and measure == 'importance'").iloc[0]
    effects = own["effect"] + np.array([0, 1, 5])
    assert row["effect"] == pytest.approx(effects.mean())
    assert row[["low", "high"]].tolist() == pytest.approx([*statistics.mean_interval(effects)])
    assert (row["found"], row["tested"]) == (2, 3)
    assert row["p"] == pytest.approx(statistics.partial_conjunction([0.001, 0.04, 0.5], 2))
    several.loc[several["replicate"] == 1, ["effect", "p"]] = np.nan
    fewer = measures.over_replicates(several).query("partition == 'a, global'").iloc[0]
    assert fewer["effect"] == pytest.approx(own["effect"] + 2.5)
    assert np.isnan(fewer["p"])
    alone = measures.over_replicates(MADE.assign(replicate=0))
    assert alone[["low", "high"]].isna().all(axis=None)


def test_by_how_much_maps_agree_better_has_no_upper_end_and_a_tick_where_most_networks_say_so():
    seen = MADE[MADE["measure"] == "importance"].assign(measure="agreement", effect=120.0, p=0.01)
    several = pd.concat([seen.assign(replicate=i) for i in range(2)])
    several.loc[several["replicate"] == 1, "effect"] += 1
    several.loc[several["partition"] == "control", "p"] = 0.4
    table = measures.over_replicates(several)
    assert (table["effect"] == 120.5).all()
    assert (table["high"] > 100).all()
    shown = tables.partitions_by_network(table)
    assert shown.loc["a, global", "net"] == "120.5 (114.1 to 126.9) ✓"
    assert shown.loc["control", "net"] == "120.5 (114.1 to 126.9)"
    assert list(shown.index) == list(seen["partition"])


def test_the_table_of_partitions_shows_effects_with_intervals_and_no_negative_zero():
    shown = tables.partition_table(MADE)
    assert shown.loc["net", "a, global"]["importance (points)"] == "2.0 (1.5 to 2.5)"
    assert shown.loc["net", "b, global"]["coherence (%)"] == "0.0 (0.0 to 0.0)"
    assert shown.loc["net", "control"]["coherence (%)"] == "–"
    assert shown.loc["net", "control"]["coherence, p"] == "–"
    assert shown.loc["net", "a, global"]["importance, found"] == "3 of 6"
    assert shown.loc["net", "a, global"]["comparable"] == "2 of 6"


def test_parts_that_look_at_one_half_each_have_maps_that_agree_and_dealt_out_ones_do_not():
    keras.utils.set_random_seed(0)
    model = networks.mlp((4, 2, 1), 3, width=40, depth=1)
    kernel = np.zeros((8, 40), np.float32)
    kernel[:4, :20] = kernel[4:, 20:] = 1
    kernel += np.random.default_rng(0).normal(scale=0.3, size=kernel.shape)
    model.get_layer("dense_1").kernel.assign(kernel)
    x = np.random.default_rng(1).random((300, 4, 2, 1), dtype=np.float32)
    halves = Partition.from_labels({"dense_1": np.repeat([0, 1], 20)})
    dealt = halves.permuted(np.random.default_rng(2))
    table = evaluation.compare_pictures(model, x, {"halves": halves, "dealt": dealt}, 99)
    table = table.set_index("partition")
    assert table.loc["halves", "p"] < 0.01 < table.loc["dealt", "p"]
    assert table.loc["halves", "low"] > 10
    assert table.loc["halves", "found"] == table.loc["halves", "tested"] == 2
    assert abs(table.loc["dealt", "effect"]) < 5

    (maps,) = correlations.correlation_maps(model, x, ["dense_1"]).values()
    drawn = correlations.pictures(halves, {"dense_1": maps}, 99)
    lengths = [
        np.linalg.norm(correlations.align_signs(maps[each.units]).mean(axis=0))
        / np.linalg.norm(maps[each.units], axis=1).mean()
        for each in drawn.subclusters
    ]
    typical = np.linalg.norm(drawn.random, axis=-1) / drawn.random_strength
    more = 100 * (np.array(lengths) / typical.mean(axis=1) - 1)
    assert table.loc["halves", "effect"] == pytest.approx(more.mean())


@pytest.mark.lucid
def test_scores_of_parts_are_compared_with_those_of_random_sets():
    keras.utils.set_random_seed(0)
    model = networks.mlp((4, 2, 1), 3, width=40, depth=1)
    kernel = np.full((8, 40), -0.1, np.float32)
    # No input drives all units that look at either half, for each half silences the other's.
    kernel[:4, :20] = kernel[4:, 20:] = 1
    kernel[4:, :20] = kernel[:4, 20:] = -1
    model.get_layer("dense_1").kernel.assign(kernel)
    halves = Partition.from_labels({"dense_1": np.repeat([0, 1], 20)})
    dealt = halves.permuted(np.random.default_rng(2))
    compared = {"halves": halves, "dealt": dealt}
    table = evaluation.compare_scores(model, compared, 9, n_steps=64).set_index("partition")
    assert (table["measure"] == "score").all()
    assert table.loc["halves", "found"] == table.loc["halves", "tested"] == 2
    assert table.loc["halves", "low"] > 0
    assert table.loc["dealt", "found"] <= 1
    made = construction.constructions(model, halves, 9, n_steps=64)
    more = 100 * (made.true.scores / made.random.scores.mean(axis=1) - 1)
    assert table.loc["halves", "effect"] == pytest.approx(more.mean())
