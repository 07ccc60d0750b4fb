"""One call from a network and a partition to p values: what goes in, and what is found."""

import doctest
import re
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from test_honest_tests import detectors

import brute_force
import helpers
from helpers import Partition, evaluation, graphs, partitions, statistics
from helpers.backend import keras
from helpers.report import evaluating, measuring, subject
from helpers.settings import ROOT

QUIET = {"progress": False, "n_permutations": 39}
HALVES = {"first": np.arange(12) // 6, "second": np.arange(8) // 4}


def dense_model(n_outputs=3, activation="softmax"):
    keras.utils.set_random_seed(0)
    layers = [
        keras.Input((4, 4, 1)),
        keras.layers.Flatten(),
        keras.layers.Dense(12, "relu", name="first"),
        keras.layers.Dense(8, "relu", name="second"),
        # With biases no two scores are equal where all units are silent, which would take long.
        keras.layers.Dense(n_outputs, activation, name="out", bias_initializer="random_normal"),
    ]
    return keras.Sequential(layers)


@pytest.fixture(scope="module")
def network():
    model = dense_model()
    x = np.random.default_rng(0).random((150, 4, 4, 1), dtype=np.float32)
    x -= x.mean()
    return model, x, model.predict(x, verbose=0).argmax(-1)


@pytest.fixture(scope="module")
def report(network):
    return helpers.evaluate(*network, HALVES, **QUIET)


def planted(n_units=40, n_images=200, seed=0):
    """A layer of units of which those of the first half decide, and the others reach nothing."""
    rng = np.random.default_rng(seed)
    hidden = np.maximum(rng.normal(size=(n_images, n_units)), 0)
    weights = rng.normal(size=(n_units, 4))
    weights[n_units // 2 :] = 0
    y = (hidden @ weights).argmax(axis=1)

    def correct(lesions):
        right = []
        for lesion in lesions:
            left = hidden.copy()
            left[:, lesion.get("hidden", [])] = 0
            right.append((left @ weights).argmax(axis=1) == y)
        return np.array(right)

    return correct, y


# What is found.


def test_a_useful_part_beside_a_disconnected_one_is_important():
    correct, y = planted()
    found = helpers.evaluate(
        correct,
        y=y,
        partition={"hidden": np.arange(40) // 20},
        layers={"hidden": 40},
        progress=False,
        n_permutations=199,
    )
    assert found.importance.p <= 0.02
    table = found.subclusters
    assert table["familywise"].to_numpy()[0] <= 0.02
    assert table["familywise"].to_numpy()[1] > 0.5
    assert table["damage"].tolist()[1] == 0
    assert table["low"].to_numpy()[0] > 5
    assert found.verdict.startswith(
        "These 2 clusters are important: lesions of 1 of 2 parts cost more than random parts of "
        "the same size, on average "
    )


def test_planted_detectors_matter_for_particular_classes_and_random_labels_do_not():
    model, x, y = detectors()
    true = np.repeat(np.arange(10), 10)
    found = helpers.evaluate(model, x, y, {"hidden": true}, **QUIET)
    assert found.class_range.p <= 0.05
    assert found.is_comparable.all()
    assert (found.subclusters["class_range"] > found.subclusters["random_class_range"]).all()
    assert "They matter for particular classes: yes (" in found.verdict
    random = np.random.default_rng(1).permutation(true)
    found = helpers.evaluate(model, x, y, {"hidden": random}, **QUIET)
    assert found.class_range.p > 0.05


def test_random_labels_are_found_important_no_more_often_than_the_level_says():
    correct, y = planted(n_images=60)
    rng = np.random.default_rng(1)
    found = [
        helpers.evaluate(
            correct,
            y=y,
            partition={"hidden": rng.permutation(40) // 10},
            layers={"hidden": 40},
            random_state=seed,
            **QUIET,
        ).importance.p
        for seed in range(40)
    ]
    assert np.sum(np.array(found) <= 0.05) <= 6  # More has a probability of .003.
    assert 0.3 < np.mean(found) < 0.7


def test_lesions_and_counts_are_those_of_brute_force(network, report):
    model, x, y = network
    partition = Partition.from_labels(HALVES)
    rng = np.random.default_rng(0)
    lesions = [[{each.layer: each.units} for each in partition.subclusters()]]
    for _ in range(39):
        lesions.append([{each.layer: each.units} for each in partition.permuted(rng).subclusters()])
    right = np.array([brute_force.correct(model, x, y, each) for each in lesions])
    measured = report.measured
    np.testing.assert_array_equal(measured.intact, True)
    np.testing.assert_array_equal(measured.true, right[0])
    np.testing.assert_array_equal(measured.permuted_right, right[1:].sum(axis=0))
    counts = np.stack([right[1:][..., y == label].sum(axis=-1) for label in range(3)], axis=-1)
    np.testing.assert_array_equal(measured.permuted, counts)

    damages = 1 - right.mean(axis=2)
    by_hand = statistics.permutation_test(damages[0], damages[1:])
    assert report.importance.p == by_hand.p
    np.testing.assert_array_equal(report.importance.each, by_hand.each)
    effect = 100 * (damages[0] - damages[1:].mean(axis=0))
    np.testing.assert_allclose(report.subclusters["effect"], effect, atol=1e-9)


def test_among_units_of_similar_strength_lesions_are_those_of_brute_force(network):
    model, x, y = network
    found = helpers.evaluate(*network, HALVES, n_within=19, **QUIET)
    partition = Partition.from_labels(HALVES)
    groups = partitions.strata(graphs.weight_graph(model), partition)
    assert len(np.unique(groups["first"])) == 2
    np.testing.assert_array_equal(np.sort(groups["second"]), np.arange(8))
    for layer, each in groups.items():
        np.testing.assert_array_equal(found.measured.within.strata[layer], each)
    rng = np.random.default_rng((0, 4))
    drawn = [partition.permuted(rng, groups).subclusters() for _ in range(19)]
    lesions = [
        [{each.layer: each.units} for each in parts] for parts in (partition.subclusters(), *drawn)
    ]
    right = np.array([brute_force.correct(model, x, y, each) for each in lesions])
    # The second layer has too few units to be grouped.
    damages = 1 - right.mean(axis=2)
    by_hand = statistics.permutation_test(damages[0, :2], damages[1:, :2])
    assert found.within_strata.p == by_hand.p
    effect = 100 * (damages[0] - damages[1:].mean(axis=0))[:2]
    np.testing.assert_allclose(found.subclusters["within_effect"][:2], effect, atol=1e-9)
    assert found.subclusters["within_effect"][2:].isna().all()
    assert found.mean_within()[0] == pytest.approx(effect.mean())
    row = found.tests.set_index("measure").loc["within_strata"]
    assert (row["p"], row["effect"]) == (by_hand.p, pytest.approx(effect.mean()))


def strong_and_weak(is_by_strength):
    """A layer of pairs of units of the same strength, in parts of similar strength, or in halves.

    In the first case all units decide alike but for their strength; in the second those of one
    half decide alone, one of each pair, which their strength does not tell.
    """
    rng = np.random.default_rng(0)
    n_units, n_images = 64, 400
    model = keras.Sequential(
        [
            keras.Input((n_units,)),
            keras.layers.Dense(n_units, "relu", name="hidden"),
            keras.layers.Dense(4, name="out"),
        ]
    )
    index = np.arange(n_units)
    strength = np.exp(index // 2 / 8)
    # Parts of similar strength are no groups: half of each is in the next group.
    labels = (index + 4) // 8 if is_by_strength else index % 2
    signs = np.sign(rng.normal(size=(n_units, 4)))
    if not is_by_strength:
        # Units that decide nothing weigh as much, for all classes alike.
        signs[labels == 1] = 1
    outgoing = signs * strength[:, np.newaxis]
    model.set_weights([np.eye(n_units), np.zeros(n_units), outgoing, np.zeros(4)])
    x = rng.random((n_images, n_units)).astype(np.float32)
    return model, x, model.predict(x, verbose=0).argmax(-1), {"hidden": labels}


def test_parts_that_matter_for_their_strength_alone_do_not_among_units_as_strong():
    found = helpers.evaluate(
        *strong_and_weak(is_by_strength=True), n_permutations=199, progress=False
    )
    strongest = found.subclusters.iloc[-2:]
    assert (strongest["p"] <= 0.05).all()
    assert (strongest["within_p"] > 0.2).all()
    assert found.within_strata.p > 0.05
    assert found.measured.changes_within.all()


def test_parts_that_matter_for_what_they_group_do_so_among_units_as_strong():
    found = helpers.evaluate(
        *strong_and_weak(is_by_strength=False), n_permutations=199, progress=False
    )
    assert found.within_strata.p <= 0.05
    assert found.subclusters["within_effect"][0] > 10
    assert "permuted 99 times among about eight units" in found.summary()


def test_nothing_is_said_of_strength_where_it_is_not_asked_or_not_known(network):
    found = helpers.evaluate(*network, HALVES, n_within=0, **QUIET)
    assert found.within_strata is None
    assert np.isnan(found.mean_within()).all()
    assert "strength" not in found.summary()
    assert "within_strata" not in found.tests["measure"].tolist()
    correct, y = planted()
    of_function = {"partition": {"hidden": np.arange(40) // 20}, "layers": {"hidden": 40}}
    found = helpers.evaluate(correct, y=y, **of_function, **QUIET)
    assert "beyond the strength of their units is unknown: a function of" in found.summary()


def test_permutations_among_units_of_similar_strength_are_no_more_than_permutations(network):
    found = helpers.evaluate(*network, HALVES, n_permutations=20, progress=False)
    assert len(found.measured.within.permuted) == 20


def test_a_budget_too_short_for_units_of_similar_strength_leaves_them_out(network, monkeypatch):
    monkeypatch.setattr(measuring, "_SHARES", {"layers": 0.6, "groups": 0.0})
    found = helpers.evaluate(*network, HALVES, budget=60, **QUIET)
    assert found.measured.within is None
    assert found.within_strata is None
    assert "strength of their units is unknown: the budget is too short" in found.summary()


def test_parts_that_are_groups_of_similar_strength_say_nothing_beyond_it(network):
    groups = partitions.strata(graphs.weight_graph(network[0]), Partition.from_labels(HALVES))
    labels = {"first": groups["first"], "second": np.zeros(8, int)}
    found = helpers.evaluate(*network, labels, **QUIET)
    assert found.within_strata is None
    assert "is unknown: no permutation among units of similar" in found.summary()


def test_layers_without_strength_or_of_few_units_are_left_out_of_that_question():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 6, 1))
    flow = keras.layers.Conv2D(24, 3, activation="relu", name="wide")(inputs)
    flow = keras.layers.Conv2D(10, 3, activation="relu", name="narrow")(flow)
    flow = keras.layers.Dense(16, "relu", name="dense")(keras.layers.Flatten()(flow))
    model = keras.Model(inputs, keras.layers.Dense(3, name="out")(flow))
    x = np.random.default_rng(0).normal(size=(60, 6, 6, 1)).astype("float32")
    labels = {"wide": np.arange(24) % 3, "narrow": np.arange(10) % 2, "dense": np.arange(16) % 2}
    found = helpers.evaluate(model, x, model.predict(x, verbose=0).argmax(1), labels, **QUIET)
    assert found.measured.changes_within.tolist() == [True] * 3 + [False] * 4
    assert "Of dense the graph of weights has no units" in found.summary()
    assert "narrow: too few units to be grouped by strength" in found.summary()


def test_intervals_are_as_wide_as_sampling_makes_them():
    # One part's lesion loses a fifth of the images, whichever they are; random ones lose none.
    n_images = 1000
    y = np.zeros(n_images, int)
    lost = np.arange(n_images) % 5 == 0

    def correct(lesions):
        rows = [np.array_equal(each.get("a", ()), [0, 1]) & lost for each in lesions]
        return ~np.array(rows)

    labels = {"a": np.repeat([0, 1], [2, 98])}
    found = helpers.evaluate(correct, y=y, partition=labels, layers={"a": 100}, **QUIET)
    row = found.subclusters.iloc[0]
    error = 100 * np.sqrt(0.2 * 0.8 / n_images)
    assert row["effect"] == pytest.approx(20)
    assert row["low"] == pytest.approx(20 - 1.96 * error, abs=0.3)
    assert row["high"] == pytest.approx(20 + 1.96 * error, abs=0.3)


def test_complete_parts_are_lesioned_once_not_tested_and_counted(network):
    labels = {"first": np.zeros(12, int), "second": HALVES["second"]}
    found = helpers.evaluate(*network, labels, **QUIET)
    assert found.subclusters["excluded"].tolist() == ["complete", "", ""]
    assert np.isnan(found.subclusters["p"][0])
    assert np.isnan(found.importance.by_layer["first"].p)
    assert "1 part is all (connected) units of its layer and cannot be tested" in found.summary()
    measured = found.measured
    assert (measured.permuted_right[0] == 39 * measured.true[0]).all()


def test_the_papers_tests_stand_beside_with_twins_from_the_permutations(report):
    tests = report.tests.set_index(["measure", "test"])
    assert list(tests.loc["importance"].index) == [
        "permutation",
        "fisher",
        "chi2",
        "exchangeable_fisher",
        "exchangeable_chi2",
    ]
    assert tests.loc[("importance", "permutation"), "p"] == report.importance.p
    assert tests.loc[("importance", "fisher"), "p"] <= 1


def test_twins_of_the_papers_tests_are_other_permutations_for_each_part(report):
    rows = report._rows()
    assert (np.sort(rows, axis=1) == np.arange(39)).all()
    assert len({tuple(row) for row in rows}) == len(rows)


def test_what_costs_less_than_an_image_per_class_is_not_compared_by_class():
    y = np.arange(300) % 10

    def correct(lesions):
        return np.ones((len(lesions), 300), bool)

    labels = {"a": np.arange(20) // 10}
    found = helpers.evaluate(correct, y=y, partition=labels, layers={"a": 20}, **QUIET)
    assert found.class_range.p == 1
    assert "They matter for particular classes: undecided (no part can be compared" in found.verdict
    assert "falls on classes cannot be compared for 2 parts" in found.summary()
    # Nobody knows whether anything was lesioned.
    assert found.verdict.startswith("Whether these 2 clusters are important is undecided: ")
    assert "No lesion changed what is right of any image" in found.summary()


def test_clusters_of_responses_to_the_judged_images_are_said_to_be_such(network):
    found = helpers.evaluate(*network, n_clusters=4, edges="activations", **QUIET)
    assert "the very images that lesions are judged by" in found.summary()
    assert "the very images" not in helpers.evaluate(*network, n_clusters=4, **QUIET).summary()


def test_clusters_that_are_whole_layers_are_refused_with_a_way_out(network, monkeypatch):
    whole = Partition.from_labels({"first": np.zeros(12, int), "second": np.ones(8, int)})
    monkeypatch.setattr(evaluation, "partition_of", lambda *_, **__: whole)
    with pytest.raises(ValueError, match=r"that divide a layer; that is what .*scope='layerwise'"):
        helpers.evaluate(*network, n_clusters=2, **QUIET)


def test_images_beside_a_function_of_lesions_are_said_not_to_be_used():
    options = slow_function(0.0) | {"n_permutations": 19, "progress": False}
    assert "x was not used" in helpers.evaluate(**options, x=np.zeros((3, 2))).summary()
    assert "not used" not in helpers.evaluate(**options).summary()


def test_options_of_clustering_beside_a_partition_are_said_not_to_be_used(network, report):
    found = helpers.evaluate(*network, HALVES, n_clusters=5, edges="activations", **QUIET)
    assert "n_clusters = 5 was not used, because a partition was given." in found.summary()
    assert "edges = 'activations' was not used" in found.summary()
    assert "not used" not in report.summary()


def test_the_released_protocol_is_a_choice(network):
    found = helpers.evaluate(*network, HALVES, protocol="released", **QUIET)
    exchangeable = found.tests["test"].str.startswith("exchangeable")
    assert found.tests[exchangeable]["p"].isna().all()


# Again, faster, less.


def test_the_same_seed_gives_the_same_report_and_another_one_another(network, report):
    again = helpers.evaluate(*network, HALVES, **QUIET)
    other = helpers.evaluate(*network, HALVES, random_state=1, **QUIET)
    assert again._repr_html_() == report._repr_html_()
    assert (other.measured.permuted != report.measured.permuted).any()


def test_fewer_permutations_are_the_first_of_more(network, report):
    fewer = helpers.evaluate(*network, HALVES, n_permutations=20, progress=False)
    np.testing.assert_array_equal(fewer.measured.permuted, report.measured.permuted[:20])


def test_it_does_not_matter_how_many_lesions_are_made_at_a_time(network, report, monkeypatch):
    monkeypatch.setattr(measuring, "_CALL_VALUES", 1)
    one_by_one = helpers.evaluate(*network, HALVES, **QUIET)
    np.testing.assert_array_equal(one_by_one.measured.permuted, report.measured.permuted)


def slow_function(seconds):
    def correct(lesions):
        time.sleep(seconds * len(lesions))
        return np.ones((len(lesions), 10), bool)

    return {
        "model": correct,
        "y": np.arange(10) % 2,
        "partition": {"a": np.arange(8) // 4},
        "layers": {"a": 8},
    }


def test_a_budget_allows_fewer_permutations_and_the_report_says_so(capsys):
    began = time.monotonic()
    found = helpers.evaluate(**slow_function(0.002), budget=1.0)
    assert time.monotonic() - began < 10
    n = found.measured.n_permutations
    assert 19 <= n < 999
    assert f"The budget of time allowed {n} of 999 permutations" in found.summary()
    said = capsys.readouterr().err
    assert "2 parts, 2 of them testable, and 999 permutations: 2,001 lesions on 10 images" in said
    assert "images; then up to 2,200 of random sets that grow, to compare how lesions" in said
    assert re.search(r"the budget allows \d+ of 999 permutations; about [\d.]+ s more", said)


def costly_function(seconds):
    """Every lesion of anything costs all images."""

    def correct(lesions):
        time.sleep(seconds * len(lesions))
        return np.array([np.full(40, not any(map(len, each.values()))) for each in lesions])

    return slow_function(0) | {"model": correct, "y": np.arange(40) % 2}


def test_without_a_budget_it_says_how_long_the_sets_that_grow_may_take(capsys):
    helpers.evaluate(**costly_function(0.002), n_permutations=200)
    said = capsys.readouterr().err
    assert re.search(r"about [\d.]+ s more, going by the first, then up to [\d.]+ s for what", said)
    assert "growing random sets" in said


def test_a_budget_that_cuts_permutations_cuts_the_sizes_of_growing_sets_as_well():
    cut = helpers.evaluate(**costly_function(0.002), budget=1.5, progress=False)
    assert 19 <= cut.measured.n_permutations < 999
    n_sizes = {len(sizes) for sizes, _ in cut.measured.nested.sets["a"]}
    assert max(n_sizes) <= 8 + 1  # Of eight units all sizes: see what the report says.
    assert "with 12 sizes" in cut.summary()


def test_the_clock_of_a_budget_starts_before_the_clustering(network, monkeypatch):
    budgets = []

    def remembered(*args):
        budgets.append(args[4])
        return measuring.measure(*args)

    def slow(*args, **options):
        time.sleep(0.3)
        return partition_of(*args, **options)

    partition_of = evaluation.partition_of
    monkeypatch.setattr(evaluating, "measure", remembered)
    monkeypatch.setattr(evaluation, "partition_of", slow)
    helpers.evaluate(*network, n_clusters=2, n_permutations=19, budget=60, progress=False)
    assert 0 < budgets[0] < 59.71


def test_calls_grow_while_work_of_their_own_takes_most_of_the_time():
    pace = measuring._Pace(largest=100)
    for n, seconds in ((1, 10.0), (2, 10.1), (4, 10.3), (8, 10.7)):
        assert pace.n == n
        pace.took(n, seconds)
    assert pace.each == pytest.approx(0.1)
    assert pace.fixed == pytest.approx(9.9)
    assert pace.seconds(160) == pytest.approx(10 * 9.9 + 16)
    assert pace.fitting(29.95) == 200
    assert pace.fitting(1) == 0


def test_calls_that_take_long_by_themselves_do_not_grow():
    pace = measuring._Pace(largest=100)
    pace.took(1, 1.5)
    pace.took(2, 3.0)
    assert pace.n == 2


def test_permutations_leave_time_for_the_orderings_that_there_must_be(monkeypatch):
    monkeypatch.setattr(measuring.time, "monotonic", lambda: 10.0)
    limits = measuring._Limits(share=17.0, end=20.0, n_after=180)
    assert limits.left(0.001) == pytest.approx(7.0)
    assert limits.left(0.05) == pytest.approx(1.0)


def test_a_budget_that_is_too_short_for_the_least_is_said_to_have_been():
    found = helpers.evaluate(**slow_function(0.03), budget=0.1, progress=False)
    assert re.search(r"It took \d+ s where 0.1 s were given: there are 19 perm", found.summary())


def test_calls_keep_within_the_memory_that_they_are_given():
    pace = measuring._Pace(largest=3)
    for _ in range(4):
        pace.took(pace.n, 0.001 * pace.n)
    assert pace.n == 3


def test_nineteen_permutations_are_the_least(capsys):
    found = helpers.evaluate(**slow_function(0.001), budget=1e-6, n_random=25, progress=False)
    assert found.measured.n_permutations == 19
    assert "for 19 permutations, the fewest" in said_by(capsys, slow_function(0.03), budget=0.1)
    assert "The paper's tests have 19 twins per part." in found.summary()
    assert capsys.readouterr().err == ""


def said_by(capsys, options, **more):
    helpers.evaluate(**options, **more)
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "0.2 s"), (89, "89 s"), (300, "5 min"), (7200, "2.0 h")]
)
def test_durations_are_said_as_one_says_them(seconds, text):
    assert measuring.duration(seconds) == text


# Networks and images of any kind.


def same(found, report):
    np.testing.assert_array_equal(found.measured.permuted, report.measured.permuted)
    np.testing.assert_array_equal(found.measured.true, report.measured.true)


def test_a_file_is_as_good_as_its_model(network, report, tmp_path):
    model, x, y = network
    model.save(tmp_path / "model.keras")
    for path in (tmp_path / "model.keras", str(tmp_path / "model.keras")):
        same(helpers.evaluate(path, x, y, HALVES, **QUIET), report)


def test_a_function_of_lesions_is_as_good_as_its_model(network, report):
    model, x, y = network
    found = helpers.evaluate(
        lambda lesions: brute_force.correct(model, x, y, lesions),
        y=np.eye(3)[y],
        partition=HALVES,
        layers={"first": 12, "second": 8},
        **QUIET,
    )
    same(found, report)
    assert found.importance.p == report.importance.p


def test_images_and_classes_may_come_in_any_form(network, report):
    import tensorflow as tf

    model, x, y = network
    for images, classes in (
        (x.tolist(), y.tolist()),
        (keras.ops.convert_to_tensor(x), keras.ops.convert_to_tensor(y)),
        (x.astype(float), y[:, None]),
        (x, np.eye(3)[y]),
        (tf.data.Dataset.from_tensor_slices((x, y)).batch(64), None),
        (tf.data.Dataset.from_tensor_slices((x, np.eye(3)[y])).batch(64), None),
    ):
        same(helpers.evaluate(model, images, classes, HALVES, **QUIET), report)


def test_logits_are_as_good_as_probabilities(network, report):
    model, x, y = network
    logits = dense_model(activation=None)
    logits.set_weights(model.get_weights())
    same(helpers.evaluate(logits, x, y, HALVES, **QUIET), report)


def test_one_sigmoid_tells_two_classes_apart(network):
    _, x, _ = network
    model = dense_model(1, "sigmoid")
    y = (model.predict(x, verbose=0)[:, 0] > 0.5).astype(int)
    assert set(y) == {0, 1}
    found = helpers.evaluate(model, x, y, HALVES, **QUIET)
    assert found.measured.intact.all()
    assert found.measured.n_classes == 2


def test_several_inputs_come_as_a_list_a_mapping_or_a_dataset():
    import tensorflow as tf

    keras.utils.set_random_seed(0)
    inputs = [keras.Input((5,), name="left"), keras.Input((3,), name="right")]
    joined = keras.layers.Concatenate()(inputs)
    hidden = keras.layers.Dense(8, "relu", name="hidden")(joined)
    model = keras.Model(inputs, keras.layers.Dense(3, name="out")(hidden))
    rng = np.random.default_rng(0)
    x = [rng.normal(size=(50, 5)).astype("float32"), rng.normal(size=(50, 3)).astype("float32")]
    y = model.predict(x, verbose=0).argmax(-1)
    labels = {"hidden": np.arange(8) // 4}
    expected = helpers.evaluate(model, x, y, labels, **QUIET)
    named = {"left": x[0], "right": x[1]}
    dataset = tf.data.Dataset.from_tensor_slices((named, y)).batch(20)
    pairs = tf.data.Dataset.from_tensor_slices((tuple(x), y)).batch(20)
    for images, classes in ((named, y), (dataset, None), (pairs, None)):
        same(helpers.evaluate(model, images, classes, labels, **QUIET), expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": 3}, "model: int was given; accepted are a keras.Model, the path of a .keras"),
        ({"model": "none.keras"}, "model: there is no file none.keras"),
        ({"model": "model.h5"}, r"model: model.h5 was given; accepted are .keras files"),
        ({"x": None}, "x: None was given; a Keras model needs images and classes"),
        ({"y": None}, "y: None was given; a Keras model needs images and classes"),
        ({"y": [0, 1]}, "x and y: 150 images but 2 classes were given"),
        ({"layers": {"first": 12}}, "layers: given beside a Keras model"),
        ({"n_permutations": 18}, "n_permutations: 18 was given; accepted are integers from 19"),
        ({"n_permutations": 20.0}, "n_permutations: 20.0 was given; accepted are integers from 19"),
        ({"n_within": 18}, "n_within: 18 was given; accepted are 0, or integers from 19"),
        ({"n_within": False}, "n_within: False was given; accepted are 0, or integers from 19"),
        ({"n_within": 0.0}, "n_within: 0.0 was given; accepted are 0, or integers from 19"),
        ({"n_within": np.array([19, 20])}, "n_within: array"),
        ({"n_random": 0}, "n_random: 0 was given; accepted are integers from 1"),
        ({"protocol": "theirs"}, "protocol: 'theirs' was given; accepted are paper, released"),
        ({"random_state": None}, "random_state: None was given; accepted are integers from 0"),
        ({"budget": 0}, "budget: 0 was given; accepted are seconds above 0, or None"),
        ({"budget": np.inf}, "budget: inf was given; accepted are seconds above 0, or None"),
        ({"budget": "long"}, "budget: 'long' was given; accepted are seconds above 0, or None"),
        ({"budget": True}, "budget: True was given; accepted are seconds above 0, or None"),
    ],
)
def test_what_is_not_accepted_is_refused_in_a_sentence(change, message, network, tmp_path):
    model, x, y = network
    options = {"model": model, "x": x, "y": y, "partition": HALVES} | QUIET | change
    with pytest.raises(ValueError, match=message):
        helpers.evaluate(**options)


def test_nothing_is_executed_from_a_file(network, tmp_path):
    _, x, y = network
    layers = [keras.layers.Flatten(), keras.layers.Lambda(lambda z: 2 * z), keras.layers.Dense(3)]
    keras.Sequential([keras.Input((4, 4, 1)), *layers]).save(tmp_path / "lambda.keras")
    with pytest.raises(ValueError, match="has a Lambda layer, which is code, and nothing is exec"):
        helpers.evaluate(tmp_path / "lambda.keras", x, y, **QUIET)
    (tmp_path / "broken.keras").write_text("no model")
    with pytest.raises(ValueError, match=r"model: .*broken.keras is no .keras archive"):
        helpers.evaluate(tmp_path / "broken.keras", x, y, **QUIET)
    with zipfile.ZipFile(tmp_path / "other.keras", "w") as archive:
        archive.writestr("text", "no model")
    with pytest.raises(ValueError, match=r"model: Keras cannot load .*other.keras"):
        helpers.evaluate(tmp_path / "other.keras", x, y, **QUIET)


class OwnCall(keras.Model):
    """Keras knows no graph of it."""

    def __init__(self):
        super().__init__()
        self.hidden, self.last = keras.layers.Dense(8), keras.layers.Dense(3)

    def call(self, x):
        return self.last(self.hidden(x))


def test_models_without_a_graph_are_refused_before_their_inputs_are_looked_at():
    x, y = np.zeros((9, 4)), np.arange(9) % 3
    called = OwnCall()
    called(x)
    unbuilt = keras.Sequential([keras.layers.Dense(4), keras.layers.Dense(3)])
    for model in (OwnCall(), called, unbuilt):
        with pytest.raises(ValueError, match="is not built, or no Sequential or functional"):
            helpers.evaluate(model, x, y, **QUIET)


def test_a_file_with_classes_of_its_own_says_how_to_load_it(network, tmp_path):
    _, x, y = network

    class Mine(keras.layers.Dense):
        pass

    model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten(), Mine(3)])
    model.save(tmp_path / "mine.keras")
    with pytest.raises(ValueError, match="if it has classes of your own, load it yourself"):
        helpers.evaluate(tmp_path / "mine.keras", x, y, **QUIET)


@pytest.mark.parametrize("partition", [None, {"lstm": [0, 1] * 3}, [0, 1]])
def test_a_network_without_a_layer_that_can_be_lesioned_is_refused(partition):
    layers = [keras.layers.LSTM(6, name="lstm"), keras.layers.Dense(4)]
    model = keras.Sequential([keras.Input((4, 3)), *layers])
    x, y = np.zeros((9, 4, 3)), np.arange(9) % 4
    with pytest.raises(ValueError, match="has no hidden layer whose units can be lesioned"):
        helpers.evaluate(model, x, y, partition, **QUIET)


def test_weights_that_are_not_finite_are_refused_whatever_the_partition(network):
    given, x, y = network
    model = keras.models.clone_model(given)
    weights = given.get_weights()
    weights[0].flat[0] = np.nan  # Some kernels of TensorFlow make 0 of it.
    model.set_weights(weights)
    with pytest.raises(ValueError, match=r"weights '.*' are not all finite"):
        helpers.evaluate(model, x, y, HALVES, **QUIET)


def test_a_dataset_must_end_have_batches_and_classes(network, monkeypatch):
    import tensorflow as tf

    model, x, y = network
    monkeypatch.setattr(subject, "_MOST_IMAGES", 1000)
    pairs = tf.data.Dataset.from_tensor_slices((x, y))
    for dataset, classes, message in (
        (pairs.batch(64), y, "y: given beside a tf.data.Dataset"),
        (pairs, None, "x: a tf.data.Dataset of single images was given; use its .batch"),
        (pairs.map(lambda image, label: (image, tf.one_hot(label, 3))), None, "use its .batch"),
        (pairs.repeat().filter(lambda *_: True).batch(64), None, "or one without an end"),
        (pairs.batch(64).repeat(), None, "x: a tf.data.Dataset was given that repeats without"),
        (pairs.batch(64).take(0), None, "x: a tf.data.Dataset without any batch"),
        (tf.data.Dataset.from_tensor_slices(x).batch(9), None, "none of pairs"),
        (tf.data.Dataset.from_tensor_slices((x, {"out": y})).batch(9), None, "a dict of 1; accep"),
        (tf.data.Dataset.from_tensor_slices((x, (y, y))).batch(9), None, "a tuple of 2; accepted"),
    ):
        with pytest.raises(ValueError, match=message):
            helpers.evaluate(model, dataset, classes, HALVES, **QUIET)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layers": None}, "layers: a function of lesions needs the names of its layers"),
        ({"layers": {"hidden": 0}}, "layers: 0 units were given for 'hidden'"),
        ({"layers": {0: 40}}, "layers: 0 was given as a name; accepted are strings"),
        ({"layers": {"\ud800": 40}}, "was given as a name; accepted are strings"),
        ({"y": None}, "y: None was given; a function of lesions needs the classes"),
        ({"y": []}, r"y: an array of shape \(0,\) was given"),
        ({"y": [0.5] * 200}, "y: classes that are no whole numbers"),
        ({"y": [np.inf] * 200}, "y: classes that are not finite"),
        ({"y": [np.nan] * 200}, "y: classes that are not finite"),
        ({"y": [1j] * 200}, "y: values of type complex128 were given"),
        ({"y": [[0], [0, 1]]}, "y: what was given is no array"),
        ({"y": [10**7] * 200}, "y: classes up to 10000000 were given, of which 1 are there"),
        ({"y": ["cat"] * 200}, "y: values of type <U3 were given"),
        ({"y": [0, 1]}, r"model: the function returned bool of shape \(5, 200\) for 5 lesions and"),
        ({"model": lambda lesions: np.zeros((len(lesions), 200))}, "returned float64 of shape"),
        ({"model": lambda lesions: [[True], [True, False]]}, "model: what was given is no array"),
        ({"partition": None}, "partition: None was given; a function of lesions has no graph"),
        ({"executor": "here"}, "executor: a function of lesions decides by itself"),
    ],
)
def test_a_function_must_say_what_it_cannot_be_asked(change, message):
    correct, y = planted()
    options = {"partition": {"hidden": np.arange(40) // 20}, "layers": {"hidden": 40}}
    options |= {"model": correct, "y": y} | QUIET | change
    with pytest.raises(ValueError, match=message):
        helpers.evaluate(**options)


class Forgetful:
    """A network that stays lesioned."""

    def __init__(self):
        self.kept = np.ones(40, bool)

    def __call__(self, lesions):
        right = []
        for lesion in lesions:
            self.kept[lesion.get("hidden", [])] = False
            right.append(np.full(200, self.kept.all()))
        return np.array(right)


def test_a_function_that_does_not_restore_its_network_is_refused():
    options = {"y": np.arange(200) % 4, "partition": {"hidden": np.arange(40) // 20}}
    with pytest.raises(ValueError, match="200 of 200 images right once and wrong the next time"):
        helpers.evaluate(Forgetful(), **options, layers={"hidden": 40}, **QUIET)
    rng = np.random.default_rng(0)

    def unsure(lesions):
        return np.array([rng.random(200) < (0.5 if lesion else 1) for lesion in lesions])

    with pytest.raises(ValueError, match="wrong the next time, under the same lesion"):
        helpers.evaluate(unsure, **options, layers={"hidden": 40}, **QUIET)


class Late:
    """A network of two layers that is whole again only when no lesion is asked for."""

    def __init__(self, y):
        rng = np.random.default_rng(0)
        self.x, self.y, self.kept = rng.normal(size=(len(y), 20)), y, {}
        self.weights = [rng.normal(size=(20, n)) for n in (20, 20, 4)]

    def __call__(self, lesions):
        right = []
        for lesion in lesions:
            self.kept = self.kept | lesion if lesion else {}
            values = self.x
            for layer, weights in zip("ab", self.weights, strict=False):
                values = np.tanh(values @ weights)
                values[:, self.kept.get(layer, [])] = 0
            right.append((values @ self.weights[-1]).argmax(axis=1) == self.y)
        return np.array(right)


def test_a_function_that_is_restored_too_late_is_refused():
    """Of whole layers alone it would not be seen: without one of them all answers are alike."""
    y = np.arange(200) % 4
    options = {"y": y, "partition": dict.fromkeys("ab", np.arange(20) // 10)}
    with pytest.raises(ValueError, match="wrong the next time, under the same lesion"):
        helpers.evaluate(Late(y), **options, layers={"a": 20, "b": 20}, **QUIET)


def test_a_function_may_change_the_lesions_that_it_is_given():
    correct, y = planted()

    def sorts(lesions):
        for lesion in lesions:
            for units in lesion.values():
                units.sort()
        return correct(lesions)

    options = {"y": y, "partition": {"hidden": np.arange(40) // 20}, "layers": {"hidden": 40}}
    ours, theirs = (helpers.evaluate(each, **options, **QUIET) for each in (sorts, correct))
    pd.testing.assert_frame_equal(ours.effects, theirs.effects)
    assert ours.class_range.p == theirs.class_range.p


def test_labels_that_may_be_of_hidden_units_or_of_the_graph_are_refused():
    x = np.zeros((20, 8, 8, 1), np.float32)
    layers = [
        keras.layers.DepthwiseConv2D(3, depth_multiplier=10, name="deep"),
        keras.layers.Conv2D(12, 1, name="a"),
    ]
    layers += [keras.layers.Conv2D(10, 1, name="out"), keras.layers.GlobalAveragePooling2D()]
    model = keras.Sequential([keras.Input((8, 8, 1)), *layers])
    with pytest.raises(ValueError, match=r"layers \(deep and a\) and the graph \(a and out\)"):
        helpers.evaluate(model, x, np.arange(20) % 10, np.arange(22) % 3, **QUIET)


def test_labels_may_be_a_series(network):
    model, x, y = network
    labels = pd.Series(np.concatenate([*HALVES.values()]))
    ours, theirs = (helpers.evaluate(model, x, y, each, **QUIET) for each in (labels, list(labels)))
    pd.testing.assert_frame_equal(ours.subclusters, theirs.subclusters)


def test_a_function_that_tires_is_noticed_at_the_end():
    correct, y = planted()
    n_calls = iter(range(10**6))

    def tires(lesions):
        return correct(lesions) if next(n_calls) < 4 else ~correct(lesions)

    options = {"y": y, "partition": {"hidden": np.arange(40) // 20}, "layers": {"hidden": 40}}
    with pytest.raises(ValueError, match="other images are right after many lesions than before"):
        helpers.evaluate(tires, **options, **QUIET)


def test_classes_of_a_function_may_be_truths_or_objects_but_not_masked():
    correct, y = planted()
    options = {"partition": {"hidden": np.arange(40) // 20}, "layers": {"hidden": 40}} | QUIET
    ours = helpers.evaluate(correct, y=y, **options)
    same = helpers.evaluate(correct, y=y.astype(object), **options)
    pd.testing.assert_frame_equal(ours.subclusters, same.subclusters)
    two = helpers.evaluate(correct, y=y > 1, **options)
    assert two.measured.class_sizes.tolist() == [(y <= 1).sum(), (y > 1).sum()]
    with pytest.raises(ValueError, match="y: a masked array was given"):
        helpers.evaluate(correct, y=np.ma.array(y, mask=y == 1), **options)


def test_the_whole_network_is_not_taken_for_a_layer_of_that_name():
    correct, y = planted()
    labels = np.arange(40) // 10

    def function(name):
        return lambda lesions: correct([{"hidden": each.get(name, [])} for each in lesions])

    def found(name):
        widths = {name: 40, "idle": 40}
        partition = {name: labels, "idle": labels}
        return helpers.evaluate(function(name), y=y, partition=partition, layers=widths, **QUIET)

    ours, theirs = found("all"), found("first")
    columns = ["tested", "found", "effect", "p"]
    pd.testing.assert_frame_equal(ours.effects[columns], theirs.effects[columns])
    assert ours.effects["tested"][1] == 4
    assert ours._repr_html_().count("all layers") == theirs._repr_html_().count("all layers") == 2
    pd.testing.assert_frame_equal(helpers.compare([ours]), helpers.compare([theirs]))


def test_a_function_may_use_its_array_again_and_must_not_change_its_mind():
    correct, y = planted()
    options = {"y": y, "partition": {"hidden": np.arange(40) // 20}, "layers": {"hidden": 40}}
    shared = np.empty((5000, len(y)), bool)

    def again(lesions):
        ours = shared[: len(lesions)]
        ours[:] = correct(lesions)
        return ours

    ours, theirs = (helpers.evaluate(each, **options, **QUIET) for each in (again, correct))
    np.testing.assert_array_equal(ours.measured.intact, theirs.measured.intact)
    np.testing.assert_array_equal(ours.measured.true, theirs.measured.true)
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="right once and wrong the next time, without any lesion"):
        helpers.evaluate(lambda lesions: rng.random((len(lesions), 200)) < 0.5, **options, **QUIET)


def test_lesions_that_change_nothing_are_noted():
    _, y = planted()
    options = {"y": y, "partition": {"hidden": np.arange(40) // 20}, "layers": {"hidden": 40}}
    deaf = helpers.evaluate(lambda lesions: np.ones((len(lesions), 200), bool), **options, **QUIET)
    assert "No lesion changed what is right of any image" in deaf.summary()
    assert "No lesion changed" not in helpers.evaluate(planted()[0], **options, **QUIET).summary()


def test_clusters_are_not_called_unimportant_where_one_part_stands_out():
    """Of 30 parts of two units each, only one matters: few permutations cannot show that."""
    y = np.arange(200) % 2

    def correct(lesions):
        lost = np.arange(200) < 44
        return np.array([~(lost & (3 in lesion.get("hidden", []))) for lesion in lesions])

    options = {"y": y, "partition": {"hidden": np.arange(60) // 2}, "layers": {"hidden": 60}}
    report = helpers.evaluate(correct, **options, progress=False, n_permutations=19)
    assert report.importance.p > 0.05
    assert not (report.importance.familywise <= 0.05).any()
    assert report.effect.mean(~report.measured.is_complete)[2] < 1
    assert "undecided" in report.verdict
    # Random units that cost as much cost both classes the same: a part can be far more uneven.
    assert report.most_times == np.inf


def test_networks_of_the_same_weights_are_not_compared_if_they_do_other_things(network):
    model, x, y = network
    other = keras.models.clone_model(model)
    other.get_layer("second").activation = keras.activations.tanh
    other.set_weights(model.get_weights())
    reports = [helpers.evaluate(each, x, y, HALVES, **QUIET) for each in (model, other)]
    assert reports[0].fingerprint == reports[1].fingerprint
    with pytest.raises(ValueError, match="they are on different networks or images"):
        helpers.compare(reports)


# Partitions of any kind.


def fitted(labels):
    clusterer = KMeans(2, n_init=1).fit(np.arange(len(labels))[:, None])
    clusterer.labels_ = np.array(labels)
    return clusterer


def communities(labels):
    return [
        {(layer, unit) for layer, ours in labels.items() for unit in np.flatnonzero(ours == c)}
        for c in np.unique(np.concatenate(list(labels.values())))
    ]


def as_csv(labels, folder):
    rows = [(layer, i, c) for layer, ours in labels.items() for i, c in enumerate(ours)]
    table = pd.DataFrame(rows, columns=["layer", "unit", "label"]).sample(frac=1, random_state=0)
    table.to_csv(folder / "labels.csv", index=False)
    return folder / "labels.csv"


def test_partitions_of_every_kind_are_the_same(network, report, tmp_path):
    for each in (
        Partition.from_labels(HALVES),
        {layer: HALVES[layer].tolist() for layer in reversed(HALVES)},
        communities(HALVES),
        (frozenset(each) for each in communities(HALVES)),
        fitted(np.concatenate(list(HALVES.values()))),
        np.concatenate(list(HALVES.values())),
        np.concatenate(list(HALVES.values())).tolist(),
        as_csv(HALVES, tmp_path),
        str(tmp_path / "labels.csv"),
    ):
        same(helpers.evaluate(*network, each, **QUIET), report)


def test_without_a_partition_the_graph_of_weights_is_clustered(network):
    from helpers import evaluation

    found = helpers.evaluate(*network, n_clusters=3, **QUIET)
    assert "The partition says nothing" not in found.summary()
    made = evaluation.partition_of(network[0], 3)
    assert list(found.measured.partition.labels) == ["first", "second"]
    for layer in ("first", "second"):
        np.testing.assert_array_equal(found.measured.partition.labels[layer], made.labels[layer])
    assert "Spectral clustering (3 clusters, edges from weights, global)" in found.summary()


def test_a_clusterer_may_be_fitted_to_the_graph_with_its_inputs_and_outputs(network, report):
    graph = graphs.weight_graph(network[0])
    labels = np.zeros(sum(graph.widths), int)
    for layer, ours in HALVES.items():
        labels[graph.slice(layer)] = ours
    same(helpers.evaluate(*network, fitted(labels), **QUIET), report)


def test_layers_that_the_graph_of_feature_maps_lacks_are_named():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            keras.layers.Conv2D(4, 3, name="one"),
            keras.layers.Conv2D(4, 3, name="two"),
            keras.layers.Flatten(),
            keras.layers.Dense(5, name="dense"),
            keras.layers.Dense(2, name="out"),
        ]
    )
    x = np.random.default_rng(0).normal(size=(30, 6, 6, 1)).astype("float32")
    found = helpers.evaluate(model, x, np.arange(30) % 2, n_clusters=2, **QUIET)
    assert "The partition says nothing of dense." in found.summary()


def test_it_does_not_matter_where_it_is_computed(network, report):
    with ThreadPoolExecutor(1) as executor:
        same(helpers.evaluate(*network, HALVES, executor=executor, **QUIET), report)


def test_units_can_be_clustered_by_their_activations_and_layer_by_layer(network):
    from helpers import evaluation

    options = {"edges": "activations", "scope": "layerwise"}
    found = helpers.evaluate(*network, n_clusters=2, **options, **QUIET)
    made = evaluation.partition_of(network[0], 2, x=network[1], **options)
    for layer in ("first", "second"):
        np.testing.assert_array_equal(found.measured.partition.labels[layer], made.labels[layer])
    assert "edges from activations, layerwise" in found.summary()


def test_labels_of_inputs_and_outputs_are_left_out_and_so_are_layers_without_labels(
    network, tmp_path
):
    labels = HALVES | {"out": [0, 1, 0]}
    for each in (labels, as_csv(labels, tmp_path)):
        found = helpers.evaluate(*network, each, **QUIET)
        assert list(found.measured.partition.labels) == ["first", "second"]
        assert "Inputs and outputs are not lesioned: out." in found.summary()
    found = helpers.evaluate(*network, {"first": HALVES["first"]}, **QUIET)
    assert "The partition says nothing of second." in found.summary()


def test_units_may_belong_to_no_cluster(network):
    labels = {"first": [-1, -1, *np.arange(10) // 5]}
    found = helpers.evaluate(*network, labels, **QUIET)
    assert found.subclusters["size"].tolist() == [5, 5]
    assert "2 units in no cluster" in found.summary()


FIRST = HALVES["first"]


def test_labels_of_a_series_belong_to_the_units_of_its_index(network):
    order = np.random.default_rng(0).permutation(12)
    given = {"first": pd.Series(FIRST).iloc[order], "second": HALVES["second"]}
    found = helpers.evaluate(*network, given, **QUIET)
    np.testing.assert_array_equal(found.measured.partition.labels["first"], FIRST)


def test_labels_of_nodes_are_a_partition(network):
    given = {(layer, i): int(each) for layer in HALVES for i, each in enumerate(HALVES[layer])}
    found = helpers.evaluate(*network, given, **QUIET)
    np.testing.assert_array_equal(found.measured.partition.labels["first"], FIRST)


@pytest.mark.parametrize("option", [{"edges": "weight"}, {"scope": "local"}])
def test_an_unknown_way_of_clustering_is_refused_also_beside_a_partition(network, option):
    with pytest.raises(ValueError, match=r"(edges|scope): '(weight|local)' was given; accepted"):
        helpers.evaluate(*network, HALVES, **option, **QUIET)


@pytest.mark.parametrize(
    ("partition", "message"),
    [
        (3, "partition: int was given; accepted are a Partition"),
        (KMeans(3), r"partition: KMeans without labels_ \(it is not fitted, or"),
        (
            fitted([0, 1] * 9),
            r"labels of shape \(18,\) were given; accepted is one for each of the 20",
        ),
        ({"first": [0, 1]}, "partition: 2 labels were given for layer 'first', which has 12 units"),
        ({"first": [0.5] * 12}, "partition: 'first' needs one integer from -1 per unit"),
        ({"third": [0, 1]}, "partition: layer 'third' was given; accepted are first, second"),
        ({"out": [0, 1, 2]}, "partition: it labels no hidden layer; accepted are first, second"),
        ({}, "partition: it labels no hidden layer"),
        ({"first": [-1] * 12}, "partition: no unit is in a cluster"),
        ({"first": [0] * 12}, "partition: all 12 units are in one cluster; accepted are two"),
        ({"first": np.arange(12)}, "partition: each of its 12 clusters is a single unit"),
        ({"first": [0] * 12, "second": [1] * 8}, "partition: no layer has units of two clusters"),
        ([{("first", 0)}, {("first", 0)}], "partition: unit 0 of 'first' was given twice"),
        ([{("first", 12)}], "partition: unit 12 of 'first' was given, which has units 0 to 11"),
        (
            [{("first", 1)}],
            r"11 of the 12 units of 'first' are in none of them \(units of no cluster have the la",
        ),
        ({0: FIRST}, "partition: 0 was given for a layer; accepted are a Partition"),
        (
            {("first", 0.5): 1},
            r"partition: \('first', 0.5\): 1 was given; accepted are a layer's n",
        ),
        (
            {"first": pd.Series(FIRST, index=range(1, 13))},
            "an index that is not the units, 0 to 11",
        ),
        ([frozenset(range(99))], r"partition: 0 was given as a member of a community"),
        (
            iter([({("first", 1)}, {("first", 0)})]),  # As girvan_newman yields them.
            r"partition: \{.*\} was given as a member.*; of several partitions.* give one",
        ),
        ([{("third", 1)}], "partition: layer 'third' was given"),
        ([{1, 2}], r"partition: 1 was given as a member of a community; accepted are pairs"),
        ([1, 2], "partition: labels of shape .2,. were given; accepted is one for each of the 20"),
        ([1.5, 2.5], "partition: 1.5 was given as a community"),
        ("none.csv", "partition: there is no file none.csv"),
        (
            pd.DataFrame({"layer": ["first"], "unit": [0], "label": [1]}),
            r"partition: a DataFrame was given; accepted are .*, as its .to_csv\(path, index=False",
        ),
    ],
)
def test_partitions_that_do_not_fit_are_refused_before_anything_is_computed(
    partition, message, network, monkeypatch
):
    monkeypatch.setattr(evaluating, "measure", lambda *_: pytest.fail("lesions are made"))
    with pytest.raises(ValueError, match=message):
        helpers.evaluate(*network, partition, **QUIET)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("layer,unit,label\n0,first,0,1", "has rows of more fields than its header"),
        (
            "layer,unit\nfirst,0",
            "has no column label, but 'layer, unit'; accepted are layer, unit, label",
        ),
        ("layer,unit,label\nfirst,a,0", "has 'a' in column unit; accepted are integers"),
        ("layer,unit,label\nfirst,0,1.5", "has '1.5' in column label; accepted are integers"),
        ("layer,unit,label\nfirst,0,99999999999999999999", "has '99999999999999999999' in column"),
        ("layer,unit,label\nfirst,0,", "has '' in column label; accepted are integers"),
        ("layer,unit,label\nfirst,0,1\nfirst,0,1", "unit 0 of 'first' was given twice"),
        ("layer,unit,label\nfirst,0,-2", "label -2 was given; accepted are integers from -1"),
        ("layer,unit,label\nfirst,0,1", "11 of the 12 units of 'first' are not in the file"),
        ("layer,unit,label\n", "partition: it labels no hidden layer"),
        ("layer,unit,label,label\nfirst,0,1,2", "has two columns 'label'"),
        (f"layer,unit,label\nfirst,0,{2**63}", f"label {2**63} was given; accepted are integers"),
        (f"layer,unit,label\nout,0,{2**63}", f"label {2**63} was given; accepted are integers"),
        ("", "is no CSV"),
    ],
)
def test_files_that_say_too_little_or_too_much_are_refused(text, message, network, tmp_path):
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        helpers.evaluate(*network, tmp_path / "labels.csv", **QUIET)


@pytest.mark.parametrize("n_clusters", [0, 1, 11, 1000, 2.0, None])
def test_more_clusters_than_units_allow_are_refused_at_once(n_clusters, network):
    began = time.monotonic()
    with pytest.raises(
        ValueError, match=f"n_clusters: {n_clusters} was given; accepted are 2 to 10"
    ):
        helpers.evaluate(*network, n_clusters=n_clusters, **QUIET)
    assert time.monotonic() - began < 2


@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_communities_and_labels_say_the_same(data):
    from helpers.report import parts
    from helpers.report.subject import subject_of

    widths = {"a": 5, "b": 4}
    label = st.integers(0, 2)
    labels = {
        layer: np.array(data.draw(st.lists(label, min_size=n, max_size=n)))
        for layer, n in widths.items()
    }
    subject = subject_of(lambda lesions: np.ones((len(lesions), 2), bool), None, [0, 1], widths)

    def outcome(partition):
        try:
            made, _ = parts.partition_given(partition, subject)
        except ValueError as error:
            return str(error)
        return [(each.layer, each.units.tolist()) for each in made.subclusters()]

    assert outcome(communities(labels)) == outcome(labels)


# Side by side.


def test_reports_on_one_network_stand_side_by_side(network, report):
    rng = np.random.default_rng(0)
    shuffled = {layer: rng.permutation(labels) for layer, labels in HALVES.items()}
    other = helpers.evaluate(*network, shuffled, **QUIET)
    table = helpers.compare({"halves": report, "shuffled": other})
    assert list(table.index) == ["halves", "shuffled"]
    assert table.loc["halves", "importance_p"] == report.importance.p
    assert table.loc["shuffled", "importance_effect"] == other.effects["effect"][0]
    assert set(table["important"]) <= {"yes", "no", "undecided"}
    assert len(helpers.compare([report, report])) == 2


def test_functions_that_are_right_alike_are_not_one_network():
    y = np.arange(200) % 2

    def function(n):
        def correct(lesions):
            lost = np.arange(200) < n
            return np.array([~(lost & (len(each.get("h", [])) > 9)) for each in lesions])

        return helpers.evaluate(
            correct, y=y, partition={"h": np.arange(20) // 10}, layers={"h": 20}, **QUIET
        )

    with pytest.raises(ValueError, match="they are on different networks or images"):
        helpers.compare([function(40), function(80)])
    assert len(helpers.compare([function(40), function(40)])) == 2


def test_reports_on_other_networks_or_none_are_not_compared(network, report):
    model, x, y = network
    other = helpers.evaluate(model, x[:100], y[:100], HALVES, **QUIET)
    released = helpers.evaluate(*network, HALVES, protocol="released", **QUIET)
    for reports, message in (
        ([report, other], "they are on different networks or images"),
        ([], "reports: none was given"),
        ([3], "reports: int was given"),
        (report, "reports: one was given; accepted are several"),
        (None, "reports: NoneType was given"),
        ([report, released], "reports: protocols paper, released were followed"),
    ):
        with pytest.raises(ValueError, match=message):
            helpers.compare(reports)


# As written elsewhere.


def test_the_example_of_a_network_without_keras_runs():
    assert doctest.testmod(evaluating, raise_on_error=True).attempted > 5


@pytest.mark.slow
def test_what_the_readme_says_can_be_pasted(tmp_path, monkeypatch):
    text = (ROOT / "README.md").read_text()
    (code,) = re.findall(
        r"<!-- tests/test_evaluate.py pastes this -->\s+```python\n(.*?)```", text, re.S
    )
    assert len(code.strip().splitlines()) <= 7
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    assert (tmp_path / "report" / "index.html").is_file()


def test_a_number_of_numpy_is_a_budget(network):
    found = helpers.evaluate(*network, HALVES, n_permutations=19, budget=np.float32(60))
    assert found.measured.n_permutations == 19


def test_an_inner_layer_that_is_called_like_an_input_needs_its_full_name():
    inner = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(8, activation="relu", name="feat")], name="inner"
    )
    image = keras.Input((4,), name="feat")
    model = keras.Model(image, keras.layers.Dense(3, name="out")(inner(image)))
    x = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    y = np.asarray(model(x)).argmax(axis=1)
    labels = np.arange(8) // 4
    with pytest.raises(ValueError, match=r"'feat' is an input or output, .* inner/feat ends like"):
        helpers.evaluate(model, x, y, {"feat": labels}, **QUIET)
    found = helpers.evaluate(model, x, y, {"inner/feat": labels}, n_permutations=19, progress=False)
    assert len(found.subclusters) == 2
