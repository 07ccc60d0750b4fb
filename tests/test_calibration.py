"""Whether tests are honest: random partitions, planted parts, and what they must show."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from test_honest_tests import detectors as ten_detectors
from test_honest_tests import staircase
from test_profiles import network

from helpers import calibration, forward, lesions, measures, networks, protocols, statistics, zoo
from helpers.backend import keras
from helpers.lesions import LesionProfiles
from helpers.lesions.nested import orderings_of
from helpers.partitions import Partition


def made_profiles(random, class_sizes=(1000, 1000)):
    """Profiles of four sub-clusters of two layers, with given counts of permuted partitions."""
    partition = Partition.from_labels({"a": [0, 0, 1, 1], "b": [0, 1, 1, 1]})
    sizes = np.array(class_sizes)
    return LesionProfiles(
        partition, tuple(partition.subclusters()), sizes, sizes, random[:, 0], random, ""
    )


def noise(n_rows, seed=0):
    rng = np.random.default_rng(seed)
    return made_profiles(rng.integers(0, 900, (4, n_rows, 2)))


def test_with_all_other_rows_as_twins_p_values_are_ranks_among_all_rows():
    profiles = noise(8)
    found = calibration.null_p_values(profiles, n_random=7).set_index(
        ["measure", "test", "partition"]
    )["p"]
    totals = profiles.random.sum(axis=2)
    for row in range(8):
        p = (totals <= totals[:, [row]]).sum(axis=1) / 8
        assert found["importance", "fisher", row] == pytest.approx(statistics.fisher(p, 7))
        assert found["importance", "chi2", row] == pytest.approx(statistics.chi2(p, 7))


def test_class_wise_ranges_that_are_undefined_are_no_twins():
    counts = np.full((4, 8, 2), 1000)
    # The first five rows cost one class more and more, the last three nothing at all.
    counts[:, :5, 0] -= 100 * np.arange(1, 6)
    counts[:, :5, 1] -= 50
    found = calibration.null_p_values(made_profiles(counts), n_random=4)
    p = found[(found["measure"] == "class_range") & (found["test"] == "fisher")]["p"].to_numpy()
    ranks = np.arange(5, 0, -1) / 5
    expected = [statistics.fisher(np.full(4, rank), 4) for rank in ranks]
    np.testing.assert_allclose(p, [*expected, *[np.nan] * 3])
    few = calibration.null_p_values(made_profiles(counts), n_random=5)
    assert few[few["measure"] == "class_range"]["p"].isna().all()


def test_the_released_protocol_keeps_what_is_undefined_and_has_no_exchangeable_test():
    counts = np.full((4, 6, 2), 1000)
    found = calibration.null_p_values(made_profiles(counts), 3, protocols.RELEASED)
    p = found.set_index(["measure", "test", "partition"])["p"]
    assert p["class_range", "fisher", 0] == statistics.fisher(np.full(4, 1 / 4), 3)
    assert p["class_range", "exchangeable_fisher", 0] != p["class_range", "fisher", 0]


def test_independent_sub_clusters_are_found_as_often_as_the_level_says():
    found = calibration.null_p_values(noise(200), n_random=19, n_draws=199)
    sizes = calibration.shares(found).set_index(["measure", "test", "level"])
    for measure in ("importance", "class_range"):
        exchangeable = sizes.loc[measure, "exchangeable_fisher", 0.05]
        assert exchangeable["n"] == 200
        assert exchangeable["low"] <= 0.05 <= exchangeable["high"]


def test_shares_are_counted_up_to_the_level_without_what_is_undefined():
    table = pd.DataFrame({"test": ["a", "a", "a", "a", "b"], "p": [0.05, 0.2, 0.001, None, None]})
    found = calibration.shares(table, by=("test",)).set_index(["test", "level"])
    assert found.loc[("a", 0.05), ["n", "share"]].tolist() == [3, 2 / 3]
    assert found.loc[("a", 0.001), "share"] == 1 / 3
    interval = statistics.share_interval(2, 3)
    assert found.loc[("a", 0.05), ["low", "high"]].tolist() == [*interval]
    assert found.loc["b", "n"].tolist() == [0, 0]
    assert found.loc["b", ["share", "low", "high"]].isna().all(axis=None)


def test_each_run_of_the_exact_test_has_rows_of_its_own():
    values = np.random.default_rng(0).normal(size=(23, 3))
    found = calibration.exact_p_values(values, 9, "left")
    expected = [
        statistics.permutation_test(values[start], values[start + 1 : start + 10], "left").p
        for start in (0, 10)
    ]
    assert found.tolist() == expected


def test_the_exact_test_holds_its_level_on_independent_runs():
    layer = np.random.default_rng(0).lognormal(size=(1, 12))
    partition = Partition.from_labels({"a": np.repeat([0, 1, 2], 4)})
    rng = np.random.default_rng(1)
    rows = [partition.permuted(rng).subclusters() for _ in range(20_000)]
    values = np.array([[layer[0, each.units].sum() for each in row] for row in rows])
    p = calibration.exact_p_values(values, 19, "right")
    low, high = statistics.share_interval(int((p <= 0.05).sum()), len(p))
    assert low <= 0.05 <= high


def test_each_run_of_the_test_of_mean_effects_has_rows_of_its_own():
    rows = np.random.default_rng(0).normal(size=(17, 3))
    rows[4, :] = np.nan
    found = calibration.effect_p_values(rows, 3)
    for p, run in zip(found, np.split(rows.mean(axis=1)[:16], 4), strict=True):
        known = run[~np.isnan(run)]
        assert p == pytest.approx(np.mean(known >= run[0])) or np.isnan(run[0])
    assert np.isnan(found[1])
    with pytest.raises(ValueError, match="n_permutations: 17 was given for 17 rows"):
        calibration.effect_p_values(rows, 17)


def test_interactions_of_random_halves_are_tested_pair_by_pair():
    net = zoo.trained("digits-mlp")
    model, x, y = net.model, net.dataset.x_test[:200], net.dataset.y_test[:200]
    hidden = calibration.hidden_layers(model)[-2:]
    found = calibration.interaction_p_values(model, x, y, 3, n_matched=9, seed=2)
    halves = Partition.from_labels(
        {layer: np.arange(forward.n_units(model, layer)) % 2 for layer in hidden}
    )
    rng = np.random.default_rng(2)
    pair = pd.DataFrame(
        {"x_layer": [hidden[0]], "x_cluster": [0], "y_layer": [hidden[1]], "y_cluster": [0]}
    )
    for i, p in enumerate(found):
        pairs = lesions.matched_pairs(model, x, y, halves.permuted(rng), pair, 9, 2 + i)
        assert p == measures.interaction_test(pairs).p or np.isnan(p)
    assert len(found) == 3
    assert np.isfinite(found).any()
    with pytest.raises(ValueError, match="hidden layers and 0 were given"):
        calibration.interaction_p_values(model, x, y, 0)


def test_random_sets_are_compared_at_equal_damage_one_by_one():
    partition = Partition.from_labels({"a": [0, 0, 1, 1], "b": [0, 1, 1, 1]})
    of_a = Partition({"a": partition.labels["a"]}, ("a",))
    sizes = np.array([1000, 1000])
    random = orderings_of(staircase([0, 30, 60, 90, 120]), sizes, of_a, 20, 4)
    counts = np.tile([[[990, 1000], [1000, 950]]], (4, 1, 1))
    found = calibration.set_p_values(made_profiles(counts), random)
    assert found["layer"].tolist() == ["a"] * 4
    assert found["damage"].tolist() == [10, 50, 10, 50]
    assert found["comparable"].tolist() == [False, True, False, True]
    assert found["p"].tolist() == [1, 1, 1, 1]
    nothing = orderings_of(staircase([0, 1, 2, 3, 4]), sizes, Partition.from_labels({"c": [0, 0]}))
    with pytest.raises(ValueError, match="random"):
        calibration.set_p_values(made_profiles(counts), nothing)


def test_lesions_of_the_last_layer_equal_those_of_the_engine():
    model, x, y, _ = network()
    weights = model.get_weights()
    active = forward.activations(model, x, "dense_4")
    correct = calibration.last_layer(active, *weights[-2:], y, batch_size=3)
    rng = np.random.default_rng(0)
    chosen = [{}, *({"dense_4": rng.permutation(8)[:size]} for size in range(1, 9))]
    np.testing.assert_array_equal(correct(chosen), lesions.correct(model, x, y, chosen))


def small_network(kind):
    keras.utils.set_random_seed(0)
    if kind == "mlp":
        model = networks.mlp((4, 4, 1), 4, width=12, depth=3)
    else:
        model = networks.cnn((8, 8, 1), 4, channels=3, dense_width=10)
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
    x = rng.normal(size=(50, *model.input_shape[1:])).astype(np.float32)
    return model, x


@pytest.mark.parametrize("kind", ["mlp", "cnn"])
def test_two_copies_glued_together_do_what_one_does_and_each_for_its_own_classes(kind):
    model, x = small_network(kind)
    both = calibration.glued(model, [0, 1])
    before = forward.logits(both, x)
    np.testing.assert_allclose(before, forward.logits(model, x), rtol=1e-4, atol=1e-4)
    assert calibration.hidden_layers(both) == calibration.hidden_layers(model)
    for copy, (mine, theirs) in enumerate([([0, 1], [2, 3]), ([2, 3], [0, 1])]):
        silent = keras.models.clone_model(both)
        weights = both.get_weights()
        for each in weights[:-2]:
            half = each.shape[-1] // 2
            each[..., copy * half : (copy + 1) * half] = 0
        silent.set_weights(weights)
        after = forward.logits(silent, x)
        np.testing.assert_array_equal(after[:, theirs], before[:, theirs])
        np.testing.assert_allclose(after[:, mine], np.tile(weights[-1][mine], (len(x), 1)))


def test_of_a_copy_that_answers_for_no_class_nothing_matters():
    model, x = small_network("mlp")
    y = np.asarray(model(x)).argmax(axis=1)
    both = calibration.glued(model, range(4))
    chosen = [
        {each.layer: each.units} for each in calibration.copies(both, ["dense_2"]).subclusters()
    ]
    useful, useless = lesions.correct(both, x, y, chosen)
    assert useless.all()
    assert not useful.all()


def test_what_cannot_be_glued_is_named():
    model, _ = small_network("mlp")
    with pytest.raises(ValueError, match=r"classes: \[4\]"):
        calibration.glued(model, [4])
    inputs = keras.Input((3,))
    other = keras.layers.Dense(2)(keras.layers.Dense(5)(keras.layers.Dense(4)(inputs)))
    with pytest.raises(ValueError, match=r"hidden layers of \[4, 5\]"):
        calibration.glued(keras.Model(inputs, other), [0])
    with pytest.raises(ValueError, match=r"networks\.mlp and networks\.cnn"):
        calibration.glued(keras.Sequential([inputs, keras.layers.Dense(2)], name="one"), [0])


def test_planted_copies_are_found_and_random_halves_are_not():
    model, x = small_network("mlp")
    x = np.random.default_rng(1).normal(size=(400, *x.shape[1:])).astype(np.float32)
    y = np.asarray(model(x)).argmax(axis=1)
    split = calibration.glued(model, [0, 1])
    true = calibration.copies(split, ["dense_2", "dense_3"])
    random = lesions.orderings(split, x, y, true, 40, 12)
    profiles = lesions.permutation_profiles(split, x, y, true, 99)
    coherent = measures.coherence(profiles, random)
    assert coherent.exact().p <= 0.05
    assert (calibration.exact_p_values(coherent.random.T, 19, "left") > 0.05).mean() >= 0.6
    beside = calibration.glued(model, range(4))
    important = measures.importance(lesions.permutation_profiles(beside, x, y, true, 99))
    assert important.exact().p == 0.01
    assert (important.exact().each[[1, 3]] == 1).all()


def test_blurring_permutes_a_share_of_the_labels_and_keeps_sizes():
    partition = Partition.from_labels({"a": [*np.repeat([0, 1], 50), -1]})
    rng = np.random.default_rng(0)
    assert (calibration.blurred(partition, 0, rng).labels["a"] == partition.labels["a"]).all()
    drawn = calibration.blurred(partition, 0.4, rng).labels["a"]
    assert np.bincount(drawn + 1).tolist() == [1, 50, 50]
    assert drawn[-1] == -1
    n_moved = (drawn != partition.labels["a"]).sum()
    assert 0 < n_moved <= 40
    with pytest.raises(ValueError, match=r"share: 1\.5"):
        calibration.blurred(partition, 1.5, rng)


def test_detectors_are_the_units_that_speak_for_a_class():
    model, x, y = ten_detectors()
    active = np.maximum(x @ model.get_weights()[0], 0)
    found = calibration.detectors(active, model.get_weights()[2], y, 10)
    np.testing.assert_array_equal(found, np.arange(100).reshape(10, 10))
    with pytest.raises(ValueError, match="size: 0"):
        calibration.detectors(active, model.get_weights()[2], y, 0)
    with pytest.raises(ValueError, match="no image of class 3"):
        calibration.detectors(active, model.get_weights()[2], np.where(y == 3, 4, y), 10)


def test_what_a_unit_adds_to_all_scores_alike_makes_it_no_detector():
    rng = np.random.default_rng(0)
    active, outgoing, y = rng.random((60, 12)), rng.normal(size=(12, 3)), np.arange(60) % 3
    expected = calibration.detectors(active, outgoing, y, 4)
    to_all = 100 * rng.random((12, 1))
    assert np.array_equal(calibration.detectors(active, outgoing + to_all, y, 4), expected)


def test_planted_detectors_are_found_together_by_tests_of_each_alone():
    model, x, y = ten_detectors()
    partition = Partition.from_labels({"hidden": np.repeat(np.arange(10), 10)})
    random = lesions.orderings(model, x, y, partition, n_orderings=60)
    sets = np.arange(100).reshape(10, 10)
    found = calibration.detector_tests(model, x, y, sets, partition, random)
    assert found["comparable"].all()
    counts = lesions.correct_counts(model, x, y, [{}, *({"hidden": each} for each in sets)])
    assert found["damage"].tolist() == (counts[0] - counts[1:]).sum(axis=1).tolist()
    summary = calibration.detector_summary(pd.concat([found, found.assign(size=20, p_range=None)]))
    assert summary["sets"].tolist() == [10, 10]
    assert summary["p_equal_damage"][0] == scipy.stats.combine_pvalues(found["p_equal_damage"])[1]
    assert summary["p_equal_damage"][0] < 0.02
    # They are those of all 99 permutations of the units, and themselves.
    assert summary["p_exact"][0] == 0.01
    chance = np.random.default_rng(1).permutation(100).reshape(10, 10)
    by_chance = calibration.detector_tests(model, x, y, chance, partition, random)
    assert by_chance["p_exact"][0] > 0.05
    assert np.isnan(summary["p_range"][1])
    two = Partition.from_labels({"hidden": np.zeros(100, int), "scores": np.zeros(10, int)})
    with pytest.raises(ValueError, match="2 layers"):
        calibration.detector_tests(model, x, y, sets, two, random)


def test_accuracies_are_counted_on_the_first_images():
    model, x, y, partition = network()
    rng = np.random.default_rng(0)
    several = [partition, partition.permuted(rng)]
    found = calibration.accuracies(partial(lesions.correct, model, x, y), several, (10, 60))
    for i, each in enumerate(several):
        chosen = [{one.layer: one.units} for one in each.subclusters()]
        right = lesions.correct(model, x, y, chosen)
        np.testing.assert_allclose(found[0, i], right[:, :10].mean(axis=1))
        np.testing.assert_allclose(found[1, i], right.mean(axis=1))
    with pytest.raises(ValueError, match=r"n_images: \[61\]"):
        calibration.accuracies(partial(lesions.correct, model, x, y), several, (61,))


def test_what_is_beyond_all_twins_is_found_with_as_many_as_the_level_needs():
    permuted = np.random.default_rng(0).normal(size=(30, 4))
    found = calibration.powers(np.full((5, 4), 9.0), permuted, (9, 19), "right", n_draws=99)
    exact = found[found["test"] == "exact"].groupby("n_random")["p"].unique()
    assert exact[9].tolist() == [0.1]
    assert exact[19].tolist() == [0.05]
    fisher = found[(found["test"] == "fisher") & (found["n_random"] == 19)]["p"]
    assert (fisher == statistics.fisher(np.full(4, 0.05), 19)).all()
    with pytest.raises(ValueError, match="n_random: 31"):
        calibration.powers(np.full((5, 4), 9.0), permuted, (31,), "right")


def test_more_twins_move_p_values_less():
    rng = np.random.default_rng(0)
    permuted = rng.normal(size=(300, 12))
    found = calibration.redrawn_twins(np.full(12, 0.4), permuted, (20, 200), "right", 30, 199)
    spread = found[found["test"] == "fisher"].groupby("n_random")["p"].std()
    assert spread[200] < spread[20] / 2
    same = calibration.redrawn_twins(np.full(12, 9.0), permuted, (20,), "right", 5, 199)
    p = same[same["test"] == "fisher"]["p"]
    np.testing.assert_allclose(p, statistics.fisher(np.full(12, 1 / 21), 20))


def test_the_sequential_test_stops_early_on_what_is_nothing_special():
    permuted = np.random.default_rng(0).normal(size=(80, 3))
    null = calibration.sequential(permuted, "right", None, 20, 59)
    assert (null.groupby("test").size() == 80).all()
    mean = null.groupby("test")["permutations"].mean()
    assert mean["exact"] == 59
    assert mean["sequential"] < 20 + 59
    found = calibration.sequential(permuted, "right", np.full((2, 3), 9.0), 20, 59)
    assert found["p"].tolist() == [1 / 60] * 4
    assert found["permutations"].tolist() == [59, 79] * 2
    with pytest.raises(ValueError, match=r"n_reference \+ max_permutations: 80"):
        calibration.sequential(permuted, "right", None, 20, 60)


def test_too_many_twins_are_refused():
    with pytest.raises(ValueError, match="n_random: 8 was given; of 8 permuted partitions"):
        calibration.null_p_values(noise(8), n_random=8)
    with pytest.raises(ValueError, match="n_permutations: 8"):
        calibration.exact_p_values(np.zeros((8, 2)), 8, "left")


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "linear"])
def test_networks_that_would_not_give_the_same_logits_are_not_glued(activation):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6,))
    hidden = keras.layers.Dense(8, activation)(inputs)
    model = keras.Model(inputs, keras.layers.Dense(3, "softmax")(hidden))
    with pytest.raises(ValueError, match=r"works otherwise than those of networks\.mlp"):
        calibration.glued(model, [0])
