"""Permuted partitions, effects, and class-wise coherence at equal damage, end to end."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse
from test_profiles import network

import brute_force
from helpers import graphs, lesions, measures, partitions, protocols
from helpers.backend import keras
from helpers.lesions import Outcomes, nested, orderings
from helpers.lesions.nested import orderings_of
from helpers.measures.effects import Damages, bootstrapped, damages
from helpers.measures.equal_damage import wherever
from helpers.partitions import Partition


def test_permuted_counts_equal_those_of_changing_the_weights():
    model, x, y, partition = network()
    found = lesions.permutation_profiles(model, x, y, partition, n_permutations=4, seed=3)
    rng = np.random.default_rng(3)
    permuted = [partition.permuted(rng).subclusters() for _ in range(4)]
    for i, each in enumerate(found.subclusters):
        sets = [each, *(one[i] for one in permuted)]
        right = brute_force.correct(model, x, y, [{each.layer: one.units} for one in sets])
        counts = np.array([np.bincount(y[row], minlength=4) for row in right])
        np.testing.assert_array_equal(found.true[i], counts[0])
        np.testing.assert_array_equal(found.random[i], counts[1:])
        np.testing.assert_array_equal(found.outcomes.true[i], right[0])
        np.testing.assert_array_equal(found.outcomes.random[i], right[1:].sum(axis=0))
    np.testing.assert_array_equal(
        found.intact, lesions.lesion_profiles(model, x, y, partition, 1).intact
    )


def test_what_no_permutation_changes_is_known_and_not_tested():
    model, x, y, partition = network()
    found = lesions.permutation_profiles(model, x, y, partition, n_permutations=9)
    assert found.fixed.tolist() == [False, False, True, False, False, False]
    compared = measures.importance(found)
    assert compared.excluded[2] == "complete"
    assert np.isnan(compared.exact().each[2])
    assert set(compared.exact().by_layer) == {"dense_1", "dense_2", "dense_4"}


def test_strata_keep_units_among_those_of_similar_degree():
    degrees = np.array([5.0, 1, 2, 6, 3, 4, 7, 8])
    adjacency = scipy.sparse.diags_array(degrees).tocsr()
    graph = graphs.WeightGraph(adjacency, ("a",), (8,), ("a",))
    partition = Partition.from_labels({"a": [0, 0, 1, 1, 0, 1, 1, 1]})
    groups = partitions.strata(graph, partition, size=4)["a"]
    assert groups.tolist() == [1, 0, 0, 1, 0, 0, 1, 1]
    rng = np.random.default_rng(0)
    for _ in range(20):
        drawn = partition.permuted(rng, {"a": groups}).labels["a"]
        for group in (0, 1):
            ours = partition.labels["a"][groups == group]
            assert sorted(drawn[groups == group]) == sorted(ours)


def test_a_sub_cluster_that_is_all_of_its_groups_cannot_change():
    partition = Partition.from_labels({"a": [0, 0, 1, 1, 2, 3]})
    strata = {"a": np.array([0, 0, 1, 1, 2, 2])}
    can = [partition.can_change(each, strata) for each in partition.subclusters()]
    assert can == [False, False, True, True]


def test_groups_of_one_unit_and_labels_for_too_few_are_refused():
    partition = Partition.from_labels({"a": [0, 1]})
    graph = graphs.WeightGraph(scipy.sparse.csr_array((2, 2)), ("a",), (2,), ("a",))
    with pytest.raises(ValueError, match="size: 1"):
        partitions.strata(graph, partition, 1)
    with pytest.raises(ValueError, match="strata"):
        partition.permuted(np.random.default_rng(0), {"a": [0]})


def made_outcomes(n=400, k=3, n_random=10):
    rng = np.random.default_rng(0)
    return Outcomes(
        classes=rng.integers(0, 4, n),
        intact=rng.random(n) < 0.9,
        true=rng.random((k, n)) < np.array([[0.9], [0.5], [0.2]]),
        random=rng.binomial(n_random, 0.7, (k, n)).astype(np.int32),
    )


def test_damages_are_sums_over_images():
    made = made_outcomes()
    found = damages(made, 10, np.ones(400))
    for i in range(3):
        assert found.true[i] == made.intact.sum() - made.true[i].sum()
        assert found.random[i] == pytest.approx(made.intact.sum() - made.random[i].sum() / 10)


def test_the_bootstrap_agrees_with_the_formula_for_stratified_draws():
    made = made_outcomes()
    drawn = bootstrapped(made, 10, np.ones(400), n_bootstraps=4000, seed=1)
    beyond = made.random / 10 - made.true
    variance = sum(
        (made.classes == each).sum() * beyond[:, made.classes == each].var(axis=1)
        for each in range(4)
    )
    np.testing.assert_allclose(
        (drawn.true - drawn.random).std(axis=0), np.sqrt(variance), rtol=0.05
    )
    np.testing.assert_allclose(
        (drawn.true - drawn.random).mean(axis=0), beyond.sum(axis=1), rtol=0.05, atol=1
    )


def test_effects_without_any_loss_are_not_defined_instead_of_none():
    nothing = Damages(np.array([0.0, 3, -1]), np.array([0.0, 1, -2]))
    np.testing.assert_allclose(nothing.relative, [np.nan, 1.5, np.nan])
    np.testing.assert_allclose(nothing.log_ratio, [0, np.log(3.5 / 1.5), 0])


def test_effects_are_points_beyond_permuted_sub_clusters():
    model, x, y, partition = network()
    found = lesions.permutation_profiles(model, x, y, partition, n_permutations=30)
    compared = measures.importance(found)
    table = compared.effects()
    lost = 100 * (found.random.sum(axis=2).mean(axis=1) - found.true.sum(axis=1)) / len(y)
    np.testing.assert_allclose(table["effect"], lost, atol=1e-12)
    varied = ~found.fixed
    assert (table["low"] <= table["effect"])[varied].all()
    assert (table["effect"] <= table["high"])[varied].all()
    row = compared.combine().set_index("test").loc["exact"]
    assert row["effect"] == pytest.approx(lost[compared.is_tested].mean())
    assert row["low"] <= row["effect"] <= row["high"]
    assert row["p"] == compared.exact().p


def test_of_class_mean_accuracies_effects_weigh_classes_alike():
    model, x, y, partition = network()
    found = lesions.permutation_profiles(model, x, y, partition, n_permutations=5)
    compared = measures.importance(found, protocols.RELEASED)
    drawn = compared.effects()
    found_points = (
        100
        * (
            damages(found.outcomes, 5, compared._weights).true
            - damages(found.outcomes, 5, compared._weights).random
        )
        / len(y)
    )
    np.testing.assert_allclose(drawn["effect"], found_points)


def test_without_permuted_partitions_there_is_no_exact_test():
    compared = measures.importance(lesions.lesion_profiles(*network(), n_random=3))
    with pytest.raises(ValueError, match="permutation_profiles"):
        compared.exact()
    assert "exact" not in set(compared.combine()["test"])


def test_orderings_of_several_draws_are_lesioned_together_as_one_by_one():
    partition = Partition.from_labels({"a": [0, 0, 1, 1, 1], "b": [0, 1, 1, 0]})
    cost = {"a": [0, 5, 40, 90, 300], "b": [10, 20, 30, 200]}
    asked = []

    def counted(lesions):
        asked.append(len(lesions))
        lost = [sum(cost[k][u] for k, units in one.items() for u in units) for one in lesions]
        return np.array([[1000 - each, 1000] for each in lost])

    sizes = np.array([1000, 1000])
    drawn = [nested.drawn_orderings(partition, 3, seed) for seed in range(4)]
    alone = [nested.sets_along(counted, sizes, each, 2) for each in drawn]
    n_alone, before = len(asked), sum(asked)
    joined = {layer: np.concatenate([each[layer] for each in drawn]) for layer in "ab"}
    together = nested.sets_along(counted, sizes, joined, 2)
    assert len(asked) - n_alone <= 3  # once the intact network and all sizes, then what is missing
    assert sum(asked) - before == before - 3  # each set as often, the intact network once
    for layer in "ab":
        found, expected = together.sets[layer], [one for each in alone for one in each.sets[layer]]
        for ours, theirs in zip(found, expected, strict=True):
            np.testing.assert_array_equal(ours[0], theirs[0])
            np.testing.assert_array_equal(ours[1], theirs[1])


def test_nested_sets_cost_what_changing_the_weights_costs():
    model, x, y, partition = network()
    found = orderings(model, x, y, partition, n_orderings=3, n_sizes=4, seed=5)
    assert set(found.sets) == {"dense_1", "dense_4"}
    streams = np.random.default_rng(5).spawn(3)
    for layer, stream in (("dense_1", streams[0]), ("dense_4", streams[2])):
        live = partition.live_units(layer)
        ordered = stream.permuted(np.tile(live, (3, 1)), axis=1)
        for order, (sizes, counts) in zip(ordered, found.sets[layer], strict=True):
            assert sizes[0] == 0
            assert sizes[-1] == len(live)
            right = brute_force.correct(model, x, y, [{layer: order[:size]} for size in sizes])
            expected = [np.bincount(y[row], minlength=4) for row in right]
            np.testing.assert_array_equal(counts, expected)


def staircase(costs, n_classes=2, n_images=1000):
    """Counts where a lesion costs images by its size alone, all of class 0."""

    def counted(chosen):
        lost = [costs[sum(map(len, each.values()))] for each in chosen]
        return np.array([[n_images - each, *[n_images] * (n_classes - 1)] for each in lost])

    return counted


def test_where_damage_jumps_sizes_between_are_measured_until_it_does_not():
    costs = [0, 1, 2, 4, 8, 15, 30, 60, 120, 240]
    partition = Partition.from_labels({"a": [0, 0, 0, 0, 1, 1, 1, 1, 1]})
    found = orderings_of(staircase(costs), np.array([1000, 1000]), partition, 2, 1)
    for sizes, counts in found.sets["a"]:
        lost = 1000 - counts[:, 0]
        np.testing.assert_array_equal(lost, np.take(costs, sizes))
        steep = (lost[1:] >= 20) & (lost[1:] > 2 * lost[:-1])
        assert (np.diff(sizes)[steep] == 1).all()
        assert len(sizes) < 10


@pytest.mark.parametrize("spread", ["range", "variance"])
def test_losses_that_cancel_but_for_rounding_or_part_of_an_image_have_no_spread(spread):
    sizes = np.array([1000, 10, 10])
    intact, steps = sizes * 4 // 5, np.linspace(0, 700, 11).astype(int)
    along = intact - np.outer(steps, [1, 0, 0])
    random = lesions.Orderings(sizes, intact, {"a": [(np.arange(11), along)] * 30})
    # Means of the classes' losses in images of the largest class: 0, 0, 1/3 and 1.
    lost = np.array([[300, -1, -2], [600, -2, -4], [301, -1, -2], [303, -1, -2]])
    found = measures.at_equal_damage(intact - lost, "a", random, spread)
    assert np.isnan(found.spread).tolist() == [True, True, True, False]
    assert found.is_comparable.tolist() == [False, False, False, True]
    np.testing.assert_array_equal(found.p, [1, 1, 1, 1 / 31])
    # The paper's range is defined for the same.
    of_paper = measures.class_wise_range(intact - lost, intact, sizes)
    np.testing.assert_array_equal(np.isnan(of_paper), np.isnan(found.spread))


def test_losses_that_cancel_between_classes_have_no_spread_to_compare():
    sizes, intact = np.array([100, 50]), np.array([80, 20])
    even = np.array([[0, 0], [10, 2], [20, 5], [40, 10]])
    cancelling = np.array([[0, 0], [40, -20], [50, -10], [60, -10]])
    nested = [(np.arange(4), intact - even)] * 90 + [(np.arange(4), intact - cancelling)] * 9
    random = lesions.Orderings(sizes, intact, {"a": nested})
    ours = measures.at_equal_damage(intact - np.array([[40, -20], [18, 2]]), "a", random)
    assert ours.is_comparable.tolist() == [False, True]
    assert ours.p.tolist() == [1.0, 0.1]


def test_profiles_are_taken_where_the_damage_is_first_reached():
    partition = Partition.from_labels({"a": [0, 0, 1, 1]})
    # Damage rises, falls again, and rises: 50 images are first lost between the first two sizes.
    lost = np.array([[0, 0], [40, 60], [10, 10], [100, 0], [100, 100]])

    def counted(chosen):
        return 1000 - lost[[sum(map(len, each.values())) for each in chosen]]

    random = orderings_of(counted, np.array([1000, 1000]), partition, 20, 4)
    found = measures.at_equal_damage(np.array([[1000 - 50, 1000]]), "a", random)
    assert found.damage[0] == 50
    assert found.reached[0] == 20
    assert found.spread[0] == pytest.approx(2)
    assert found.typical[0] == pytest.approx(0.4)
    assert found.p[0] == pytest.approx(1 / 21)


def test_sets_that_cost_too_little_or_more_than_random_ones_are_not_comparable():
    partition = Partition.from_labels({"a": [0, 0, 1, 1]})
    random = orderings_of(staircase([0, 30, 60, 90, 120]), np.array([1000, 1000]), partition, 20, 4)
    counts = np.array([[981, 1000], [1000, 970], [800, 1000]])
    found = measures.at_equal_damage(counts, "a", random)
    assert found.is_comparable.tolist() == [False, True, False]
    np.testing.assert_array_equal(found.p, [1, 1, 1])
    assert np.isnan(found.typical[[0, 2]]).all()


def test_counts_without_a_sign_compare_as_others_do():
    partition = Partition.from_labels({"a": [0, 0, 1, 1]})
    random = orderings_of(staircase([0, 30, 60, 90, 120]), np.array([1000, 1000]), partition, 20, 4)
    counts = np.array([[981, 1003], [1000, 960], [800, 1000]])
    unsigned = replace(
        random,
        intact=random.intact.astype(np.uint16),
        sets={"a": [(sizes, each.astype(np.uint16)) for sizes, each in random.sets["a"]]},
    )
    ours = measures.at_equal_damage(counts, "a", random)
    theirs = measures.at_equal_damage(counts.astype(np.uint16), "a", unsigned)
    assert ours.damage[0] == 16
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(mine, other)


def test_a_layer_without_orderings_and_an_unknown_spread_are_named():
    partition = Partition.from_labels({"a": [0, 0, 1, 1]})
    random = orderings_of(staircase([0, 1, 2, 3, 4]), np.array([9, 9]), partition, 2, 2)
    with pytest.raises(ValueError, match="layer: 'b' has no orderings"):
        measures.at_equal_damage(np.array([[9, 9]]), "b", random)
    with pytest.raises(ValueError, match="spread: 'length'"):
        measures.at_equal_damage(np.array([[9, 9]]), "a", random, "length")
    with pytest.raises(ValueError, match="spread: 'length'"):
        wherever(np.array([[9, 9]]), "a", random, "length")
    with pytest.raises(ValueError, match="n_sizes: 0"):
        orderings_of(staircase([0] * 5), np.array([9, 9]), partition, 2, 0)


def detectors():
    """A classifier that reads each of ten classes off ten units of its own, with noisy inputs."""
    inputs = keras.Input((10,))
    hidden = keras.layers.Dense(100, activation="relu", name="hidden")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(10, name="scores")(hidden))
    rng = np.random.default_rng(0)
    belongs = np.repeat(np.eye(10), 10, axis=1)
    model.get_layer("hidden").set_weights([belongs * rng.uniform(0.5, 1.5, 100), np.zeros(100)])
    model.get_layer("scores").set_weights([belongs.T, np.full(10, 0.0)])
    y = np.repeat(np.arange(10), 60)
    x = np.eye(10)[y] * 0.6 + rng.random((600, 10))
    return model, x.astype(np.float32), y


def test_planted_detectors_are_found_coherent_and_random_sets_are_not():
    model, x, y = detectors()
    true = Partition.from_labels({"hidden": np.repeat(np.arange(10), 10)})
    random = lesions.orderings(model, x, y, true, n_orderings=60)
    found = {}
    for name, partition in (("true", true), ("random", true.permuted(np.random.default_rng(1)))):
        profiles = lesions.permutation_profiles(model, x, y, partition, 99)
        compared = measures.coherence(profiles, random)
        found[name] = compared.exact().p, compared.subclusters["comparable"].sum()
    assert found["true"] == (0.01, 10)
    assert found["random"][0] > 0.05


def test_kinds_of_permuted_partitions_are_counted_as_those_of_the_true_one():
    model, x, y, partition = network()
    found = lesions.permutation_profiles(model, x, y, partition, 12)
    table = measures.kinds_by_chance(found, n_random=5).set_index("kind")
    rows = np.concatenate([found.true[:, None], found.random], axis=1)
    lost = (found.intact - rows).sum(axis=2)
    sizes = np.array([len(each.units) for each in found.subclusters])
    counts = []
    for b in range(13):
        others = lost[:, [(b + step) % 13 for step in range(1, 6)]]
        beyond = (lost[:, b, None] > others).all(axis=1) & (sizes < 8)
        complete = np.array([partition.is_complete(each) for each in found.subclusters])
        counts.append(int((beyond & ~complete & (100 * lost[:, b] > len(y))).sum()))
    assert table.loc["important", "found"] == counts[0]
    assert table.loc["important", "expected"] == pytest.approx(np.mean(counts[1:]))
    assert table.loc["important", "p"] == pytest.approx(np.mean(np.array(counts) >= counts[0]))
    with pytest.raises(ValueError, match="n_random: 12"):
        measures.kinds_by_chance(found, n_random=12)
    with pytest.raises(ValueError, match="permuted partitions"):
        measures.kinds_by_chance(lesions.lesion_profiles(model, x, y, partition, 3), n_random=2)
