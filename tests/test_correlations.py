"""Correlations: Spearman's, unit by unit and input by input, and the pictures made of them."""

import re
import warnings
from itertools import permutations

import numpy as np
import pytest
import scipy.stats

import brute_force
from helpers import correlations, forward, networks
from helpers.backend import keras
from helpers.partitions import ISOLATED, Partition

L = keras.layers


def with_integer_weights(model, seed=0):
    """The model with small integers for weights: its activations are exact, and often tie."""
    rng = np.random.default_rng(seed)
    model.set_weights([rng.integers(-2, 3, w.shape) for w in model.get_weights()])
    return model


def integer_images(n, *shape):
    """Images of few grey levels, so that inputs tie."""
    return np.random.default_rng(0).integers(0, 4, (n, *shape)).astype(np.float32)


def mlp():
    return with_integer_weights(networks.mlp((4, 4, 1), 3, width=6, depth=2))


def cnn():
    return with_integer_weights(networks.cnn((8, 8, 2), 3, channels=3, dense_width=5))


def neurons(*rows, biases=0.0):
    """Rectified units `a` with these weights on a flat input."""
    kernel = np.array(rows, np.float32).T
    units = L.Dense(kernel.shape[1], activation="relu", name="a")
    model = keras.Sequential([keras.Input((len(kernel),), name="image"), units])
    model.set_weights([kernel, np.full(kernel.shape[1], biases)])
    return model


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


@pytest.mark.parametrize(
    ("make", "shape", "layers"),
    [
        (mlp, (4, 4, 1), ("dense_1", "dense_2")),
        (cnn, (8, 8, 2), ("conv_1", "conv_2", "conv_3", "dense")),
    ],
)
def test_correlations_equal_those_of_each_pair_of_columns(make, shape, layers):
    model, x = make(), integer_images(40, *shape)
    maps = correlations.correlation_maps(model, x, layers)
    assert list(maps) == list(layers)
    for layer in layers:
        expected = brute_force.unit_input_correlations(model, x, layer)
        assert maps[layer].shape == (model.get_layer(layer).output.shape[-1], np.prod(shape))
        assert maps[layer].dtype == np.float64
        np.testing.assert_allclose(maps[layer], expected, rtol=0, atol=1e-12)
        assert np.ptp(expected) > 0.5
        alone = correlations.unit_input_correlations(model, x, layer)
        np.testing.assert_array_equal(alone, maps[layer])


def test_correlations_without_ties_equal_those_of_each_pair_of_columns():
    rows = noise(5, 7)
    model, x = neurons(*rows, biases=50.0), noise(60, 7, seed=1).astype(np.float32)
    found = correlations.unit_input_correlations(model, x, "a")
    units = np.asarray(model(x))
    assert all(len(set(column)) == 60 for column in units.T)
    expected = scipy.stats.spearmanr(units, x).statistic[:5, 5:]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_correlations_of_more_images_than_one_batch_equal_those_of_each_pair_of_columns():
    model, x = mlp(), integer_images(1003, 4, 4, 1)
    found = correlations.unit_input_correlations(model, x, "dense_2")
    expected = brute_force.unit_input_correlations(model, x, "dense_2")
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("n_inputs", [1, 63, 64, 65, 150])
def test_correlations_with_any_number_of_inputs_equal_those_of_each_pair_of_columns(n_inputs):
    rows = np.random.default_rng(1).integers(-1, 2, (3, n_inputs))
    model, x = neurons(*rows, biases=1.0), integer_images(12, n_inputs)
    found = correlations.unit_input_correlations(model, x, "a")
    expected = brute_force.unit_input_correlations(model, x, "a")
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_a_feature_map_responds_with_its_l1_norm_and_a_neuron_with_its_activation():
    image = keras.Input((3, 3, 1), name="image")
    signed = L.Conv2D(2, 2, name="signed")(image)
    model = keras.Model(image, L.Dense(4, name="out")(L.Flatten()(L.ReLU(name="on")(signed))))
    x = integer_images(5, 3, 3, 1) - 2
    with_integer_weights(model)
    found = correlations.responses(model, x, ("signed", "on", "out"))
    for layer in ("signed", "on"):
        activity = forward.activations(model, x, layer)
        by_hand = [[np.abs(one[..., unit]).sum() for unit in range(2)] for one in activity]
        np.testing.assert_array_equal(found[layer], by_hand)
    assert (found["signed"] > found["on"]).any()
    np.testing.assert_array_equal(found["out"], forward.activations(model, x, "out"))
    assert (found["out"] < 0).any()


def test_monotone_transforms_of_the_inputs_change_nothing():
    model, x = mlp(), integer_images(30, 4, 4, 1)
    same = [type(each).from_config(each.get_config()) for each in model.layers]
    undone = keras.Sequential([keras.Input((4, 4, 1)), L.Activation(keras.ops.sqrt), *same])
    undone.set_weights(model.get_weights())
    for layer in ("dense_1", "dense_2"):
        np.testing.assert_array_equal(
            correlations.unit_input_correlations(undone, x**2, layer),
            correlations.unit_input_correlations(model, x, layer),
        )


def test_monotone_transforms_of_the_activations_change_nothing():
    x = integer_images(30, 5)
    plain = neurons([1, -1, 2, 0, 1], [0, 1, 1, -2, 0])
    square = L.Activation(keras.ops.square, name="squared")
    squared = keras.Model(plain.inputs[0], square(plain.outputs[0]))
    np.testing.assert_array_equal(
        correlations.unit_input_correlations(plain, x, "a"),
        correlations.unit_input_correlations(squared, x, "squared"),
    )


@pytest.mark.parametrize("n", [2, 3, 57])
def test_a_unit_that_follows_an_input_correlates_with_it_at_exactly_1_or_minus_1(n):
    ties = np.minimum(np.arange(n), n // 2)
    for x in (noise(n, 3), np.stack([ties, -ties, ties**2], axis=1)):
        model = neurons([1, 0, 0], [0, -2, 0], [0, 0, 4], biases=1000.0)
        found = correlations.unit_input_correlations(model, x.astype(np.float32), "a")
        assert np.diag(found).tolist() == [1, -1, 1]


def test_correlations_never_leave_their_range():
    for seed in range(20):
        x = np.random.default_rng(seed).integers(0, 3, (6, 5)).astype(np.float32)
        model = neurons(*np.random.default_rng(seed).integers(-1, 2, (8, 5)))
        assert abs(correlations.unit_input_correlations(model, x, "a")).max() <= 1


def test_inputs_and_units_that_are_constant_correlate_with_nothing():
    x = integer_images(20, 4)
    x[:, 2] = 0.3
    model = neurons([1, 1, 0, -1], [-1, -1, -1, -1], [0, 0, 1, 0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = correlations.unit_input_correlations(model, x, "a")
    assert np.isfinite(found).all()
    assert not found[:, 2].any()
    assert not found[[1, 2]].any()
    assert found[0, [0, 1, 3]].all()


def test_a_layer_of_one_unit_has_one_map():
    x = integer_images(20, 4)
    found = correlations.unit_input_correlations(neurons([1, -1, 2, 0]), x, "a")
    assert found.shape == (1, 4)
    expected = brute_force.unit_input_correlations(neurons([1, -1, 2, 0]), x, "a")
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_images_of_another_data_set_are_refused_with_both_shapes():
    message = re.escape("x: inputs of shape (8, 8, 2) were given; 'mlp' takes (4, 4, 1)")
    with pytest.raises(ValueError, match=message):
        correlations.unit_input_correlations(mlp(), integer_images(9, 8, 8, 2), "dense_1")


@pytest.mark.parametrize("n", [0, 1])
def test_fewer_than_two_images_are_refused(n):
    with pytest.raises(ValueError, match=f"x: {n} images were given; correlations need two"):
        correlations.unit_input_correlations(mlp(), integer_images(n, 4, 4, 1), "dense_1")


def test_inputs_that_are_nan_are_refused():
    x = integer_images(5, 4, 4, 1)
    x[3, 1, 2] = np.nan
    with pytest.raises(ValueError, match="x: 1 of 5 inputs have values that are not finite"):
        correlations.unit_input_correlations(mlp(), x, "dense_1")


def test_activations_that_are_nan_are_refused():
    model = neurons([1, 0], [np.nan, 1])
    with pytest.raises(ValueError, match="a: holds NaN"):
        correlations.unit_input_correlations(model, integer_images(5, 2), "a")


def test_layers_that_do_not_exist_are_refused():
    with pytest.raises(ValueError, match="no layer 'dense_3'; accepted are flatten, dense_1"):
        correlations.correlation_maps(mlp(), integer_images(5, 4, 4, 1), ("dense_1", "dense_3"))


def total_cosine(maps):
    pairs = [(i, j) for i in range(len(maps)) for j in range(i)]
    return sum(brute_force.cosine(maps[i], maps[j]) for i, j in pairs)


@pytest.mark.parametrize("n_iterations", [0, 1, 2, 3, 20])
@pytest.mark.parametrize(("n_maps", "n_inputs"), [(2, 3), (7, 4), (12, 2), (15, 30)])
def test_aligning_signs_equals_the_papers_algorithm(n_maps, n_inputs, n_iterations):
    for seed in range(10):
        maps = noise(n_maps, n_inputs, seed=seed)
        maps[seed % n_maps] *= 100
        found = correlations.align_signs(maps, n_iterations)
        expected = brute_force.align_signs(maps, n_iterations)
        np.testing.assert_array_equal(found, expected)


def test_a_few_iterations_are_not_always_enough():
    twenty, one = (
        [correlations.align_signs(noise(12, 8, seed=seed), n) for seed in range(20)]
        for n in (20, 1)
    )
    assert (np.array(twenty) != np.array(one)).any()


def test_twenty_iterations_are_the_default():
    maps = noise(30, 4)
    default, twenty = correlations.align_signs(maps), correlations.align_signs(maps, 20)
    np.testing.assert_array_equal(default, twenty)


def test_a_map_and_its_negative_are_aligned():
    v = noise(5)
    first, second = correlations.align_signs([v, -v])
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("spread", [0, 0.3])
def test_maps_and_their_opposites_are_aligned_in_whatever_order(spread):
    three = noise(6) + spread * noise(3, 6, seed=1)
    assert (np.array([[brute_force.cosine(u, v) for u in three] for v in three]) > 0).all()
    six = np.concatenate([three, -three])
    for order in permutations(range(6)):
        aligned = correlations.align_signs(six[list(order)])
        sign = np.sign(aligned[0] @ three[0])
        np.testing.assert_array_equal(aligned, sign * three[np.array(order) % 3])


def test_maps_that_agree_stay_as_they_are():
    maps = noise(6) + 0.1 * noise(5, 6, seed=1)
    np.testing.assert_array_equal(correlations.align_signs(maps), maps)


def test_orthogonal_maps_stay_as_they_are_whatever_the_rounding():
    rotated = np.linalg.qr(noise(9, 9))[0]
    np.testing.assert_array_equal(correlations.align_signs(rotated), rotated)


@pytest.mark.parametrize("maps", [np.zeros((1, 4)), noise(1, 4), np.zeros((3, 4)), np.ones((0, 4))])
def test_maps_that_have_nothing_to_agree_with_stay_as_they_are(maps):
    np.testing.assert_array_equal(correlations.align_signs(maps), maps)


def test_a_map_of_zeros_stays_and_counts_for_nothing():
    maps = noise(8, 5)
    with_zeros = np.insert(maps, [0, 3, 8], 0, axis=0)
    expected = np.insert(correlations.align_signs(maps), [0, 3, 8], 0, axis=0)
    np.testing.assert_array_equal(correlations.align_signs(with_zeros), expected)


def test_no_iterations_change_nothing():
    maps = noise(9, 5)
    np.testing.assert_array_equal(correlations.align_signs(maps, 0), maps)


def test_aligned_maps_are_the_maps_or_their_negatives():
    maps = noise(20, 6)
    before = maps.copy()
    found = correlations.align_signs(maps)
    for row, given in zip(found, maps, strict=True):
        assert np.array_equal(row, given) or np.array_equal(row, -given)
    assert (found != maps).any()
    np.testing.assert_array_equal(maps, before)
    np.testing.assert_array_equal(correlations.align_signs(maps.tolist()), found)


def test_each_flip_raises_the_sum_of_the_cosines():
    for seed in range(10):
        maps = noise(10, 7, seed=seed)
        totals = [total_cosine(correlations.align_signs(maps, n)) for n in range(6)]
        assert (np.diff(totals) >= -1e-12).all()
        # One pass, flip by flip.
        aligned = maps
        for i in range(10):
            cosines = [brute_force.cosine(aligned[i], other) for other in np.delete(aligned, i, 0)]
            turned = np.array([-1 if j == i and sum(cosines) < 0 else 1 for j in range(10)])
            before, aligned = aligned, turned[:, None] * aligned
            assert total_cosine(aligned) >= total_cosine(before)
        np.testing.assert_array_equal(correlations.align_signs(maps, 1), aligned)


def test_in_the_end_no_map_disagrees_with_the_others():
    for seed in range(10):
        aligned = correlations.align_signs(noise(25, 6, seed=seed), 1000)
        for i, each in enumerate(aligned):
            others = np.delete(aligned, i, axis=0)
            assert sum(brute_force.cosine(each, other) for other in others) >= -1e-9
        np.testing.assert_array_equal(correlations.align_signs(aligned, 1000), aligned)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.ones(3),), r"maps: a finite array of shape \(units, inputs\) is needed"),
        ((np.ones((2, 3, 4)),), "maps: a finite array"),
        (([[1, np.nan]],), "maps: a finite array"),
        (([[1, np.inf]],), "maps: a finite array"),
        ((np.ones((2, 3)), -1), "n_iterations: -1 was given; accepted are 0 and more"),
    ],
)
def test_what_cannot_be_aligned_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        correlations.align_signs(*arguments)


def test_units_that_respond_to_nothing_leave_their_clusters():
    partition = Partition.from_labels(
        {"in": [0, 1], "a": [0, 1, 1, -1, 0], "b": [2, 2, 2]}, hidden=("a", "b")
    )
    maps = {"a": noise(5, 4), "b": noise(3, 4)}
    maps["a"][[0, 3]] = 0
    maps["b"][1] = [0, 0, 1e-9, 0]
    found = correlations.responsive(partition, maps)
    assert {layer: labels.tolist() for layer, labels in found.labels.items()} == {
        "a": [-1, 1, 1, -1, 0],
        "b": [2, 2, 2],
    }
    assert found.hidden == ("a", "b")
    assert partition.labels["a"].tolist() == [0, 1, 1, -1, 0]


@pytest.mark.parametrize(
    ("maps", "message"),
    [
        ({"a": noise(3, 4)}, "maps: 0 for the 2 units of 'b'"),
        ({"a": noise(3, 4), "b": noise(3, 4)}, "maps: 3 for the 2 units of 'b'"),
        ({"a": noise(2, 4), "b": noise(2, 4)}, "maps: 2 for the 3 units of 'a'"),
    ],
)
def test_maps_that_do_not_fit_the_partition_are_refused(maps, message):
    partition = Partition.from_labels({"a": [0, 0, 1], "b": [0, 1]})
    for function in (correlations.responsive, correlations.pictures):
        with pytest.raises(ValueError, match=message):
            function(partition, maps)


LABELS = {
    "a": [0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 2, -1, -1],
    "b": [1, 1, 1, 1, 1, 3, 3, 3, 3, 3],
}
DEAD = {"a": [2, 5], "b": [9]}


def partition():
    return Partition.from_labels(LABELS)


def random_maps(n_inputs=9):
    maps = {layer: noise(len(labels), n_inputs, seed=3) for layer, labels in LABELS.items()}
    for layer, units in DEAD.items():
        maps[layer][units] = 0
    return maps


def telling_maps():
    """Orthogonal maps, from whose mean one can read which units it is the mean of."""
    every = np.eye(sum(map(len, LABELS.values())))
    maps = {"a": every[:14], "b": every[14:]}
    return {layer: np.delete(np.insert(each, 0, 0, 0), 0, 0) for layer, each in maps.items()}


def live(layer):
    return [
        unit
        for unit, label in enumerate(LABELS[layer])
        if label != ISOLATED and unit not in DEAD[layer]
    ]


def up_to_the_sign(picture):
    return -picture if picture.mean() > 0 else picture


@pytest.fixture
def twins(monkeypatch):
    """The random twins of each sub-cluster, as they are drawn."""
    drawn, draw = [], Partition.random_twins

    def spy(self, subcluster, n, rng):
        drawn.append(draw(self, subcluster, n, rng))
        return drawn[-1]

    monkeypatch.setattr(Partition, "random_twins", spy)
    return drawn


def found_in(pictures):
    return [(each.layer, each.cluster, each.units.tolist()) for each in pictures.subclusters]


@pytest.mark.parametrize("n_iterations", [1, 20])
def test_a_picture_is_the_mean_of_the_aligned_maps(n_iterations, twins):
    maps = random_maps()
    made = correlations.pictures(partition(), maps, n_random=6, n_iterations=n_iterations)
    assert found_in(made) == [
        ("a", 0, [0, 4, 6, 8, 10]),
        ("a", 1, [1, 3, 7, 9]),
        ("b", 1, [0, 1, 2, 3, 4]),
        ("b", 3, [5, 6, 7, 8]),
    ]
    assert (made.true.shape, made.random.shape) == ((4, 9), (4, 6, 9))
    for each, true, random, sets in zip(
        made.subclusters, made.true, made.random, twins, strict=True
    ):
        rows = zip((true, *random), (each.units, *sets), strict=True)
        for picture, units in rows:
            aligned = brute_force.align_signs(maps[each.layer][units], n_iterations)
            expected = up_to_the_sign(aligned.mean(axis=0))
            np.testing.assert_allclose(picture, expected, rtol=0, atol=1e-12)


def test_without_iterations_a_picture_is_the_plain_mean(twins):
    maps = random_maps()
    made = correlations.pictures(partition(), maps, n_random=3, n_iterations=0)
    for each, true, random, sets in zip(
        made.subclusters, made.true, made.random, twins, strict=True
    ):
        for picture, units in zip((true, *random), (each.units, *sets), strict=True):
            expected = up_to_the_sign(maps[each.layer][units].mean(axis=0))
            np.testing.assert_allclose(picture, expected, rtol=0, atol=1e-12)


def test_the_mean_of_a_picture_is_never_positive():
    for maps in (random_maps(), {key: np.abs(value) for key, value in random_maps().items()}):
        made = correlations.pictures(partition(), maps)
        assert (made.true.mean(axis=-1) <= 0).all()
        assert (made.random.mean(axis=-1) <= 0).all()


def test_units_that_cancel_out_make_a_picture_once_they_are_aligned():
    v = noise(6)
    maps = {"a": np.outer([1, -1, 1, -1, 1, 1], v)}
    halves = Partition.from_labels({"a": [0, 0, 0, 0, 1, 1]})
    aligned, plain = (correlations.pictures(halves, maps, n_iterations=n).true[0] for n in (20, 0))
    np.testing.assert_allclose(aligned, up_to_the_sign(v), atol=1e-12)
    np.testing.assert_allclose(plain, 0, atol=1e-12)


def test_twins_are_responsive_units_of_the_same_layer_and_number():
    maps = telling_maps()
    for layer, units in DEAD.items():
        maps[layer][units] = 0
    made = correlations.pictures(partition(), maps, n_random=50)
    assert made.random.shape == (4, 50, 24)
    seen = {"a": set(), "b": set()}
    for each, true, random in zip(made.subclusters, made.true, made.random, strict=True):
        first = {"a": 0, "b": 14}[each.layer]
        np.testing.assert_array_equal(np.flatnonzero(true) - first, each.units)
        for picture in random:
            units = np.flatnonzero(picture) - first
            assert len(units) == len(each.units)
            np.testing.assert_allclose(picture[picture != 0], -1 / len(units))
            assert set(units) <= set(live(each.layer))
            seen[each.layer] |= set(units)
    assert {layer: sorted(units) for layer, units in seen.items()} == {
        "a": live("a"),
        "b": live("b"),
    }


def test_pictures_come_with_the_partition_of_the_responsive_units():
    made = correlations.pictures(partition(), random_maps())
    for layer, labels in LABELS.items():
        expected = [label if i in live(layer) else -1 for i, label in enumerate(labels)]
        assert made.partition.labels[layer].tolist() == expected


@pytest.mark.parametrize(
    ("labels", "dead", "sizes"),
    [
        ([0] * 8 + [1] * 2, [], [8]),  # .8 is inclusive; 2 is too small.
        ([0] * 9 + [1], [], []),  # .9 is too large.
        ([0] * 9 + [1], [0], [8]),  # Not once one of its units is dead.
        ([0] * 4 + [1] * 6, [], [4, 6]),  # 4 is inclusive.
        ([0] * 4 + [1] * 6, [0, 9], [5]),  # 3 is too small.
        ([0] * 6 + [1] * 4, [6, 7, 8, 9], [6]),  # All that is live, but .6 of the layer.
        ([0] * 6 + [-1] * 4, [], [6]),
    ],
)
def test_the_size_rule_counts_responsive_units_and_the_layers_nominal_width(labels, dead, sizes):
    maps = {"a": noise(10, 5)}
    maps["a"][dead] = 0
    made = correlations.pictures(Partition.from_labels({"a": labels}), maps)
    assert [len(each.units) for each in made.subclusters] == sizes
    assert (made.true.shape, made.random.shape) == ((len(sizes), 5), (len(sizes), 20, 5))


@pytest.mark.parametrize(
    ("rule", "sizes"),
    [
        ({"min_size": 1, "max_fraction": 1.0}, [5, 4, 1, 5, 4]),
        ({"min_size": 5}, [5, 5]),
        ({"max_fraction": 0.4}, [5, 4, 4]),
    ],
)
def test_the_size_rule_can_be_chosen(rule, sizes):
    made = correlations.pictures(partition(), random_maps(), **rule)
    assert [len(each.units) for each in made.subclusters] == sizes


def test_the_seed_decides_the_twins():
    first, again, other = (
        correlations.pictures(partition(), random_maps(), seed=seed) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first.random, again.random)
    np.testing.assert_array_equal(first.true, other.true)
    assert (first.random != other.random).any()


def test_a_complete_sub_cluster_has_the_picture_of_its_twins():
    whole = Partition.from_labels({"a": [0] * 6 + [-1] * 2})
    made = correlations.pictures(whole, {"a": noise(8, 5)}, n_random=3)
    np.testing.assert_array_equal(made.random, [[made.true[0]] * 3])


@pytest.mark.parametrize("min_size", [4, 100])
def test_without_a_sub_cluster_within_the_rule_there_are_no_pictures(min_size):
    maps = {key: np.zeros_like(value) for key, value in random_maps().items()}
    maps = maps if min_size == 4 else random_maps()
    made = correlations.pictures(partition(), maps, n_random=7, min_size=min_size)
    assert made.subclusters == []
    assert (made.true.shape, made.random.shape) == ((0, 9), (0, 7, 9))


def test_pictures_of_a_network_are_those_of_its_hidden_layers():
    model, x = mlp(), integer_images(50, 4, 4, 1)
    hidden = ("dense_1", "dense_2")
    labels = {"image": [0] * 16, "dense_1": [0, 0, 0, 0, 1, 1], "dense_2": [1] * 6}
    network = Partition.from_labels(labels, hidden)
    maps = correlations.correlation_maps(model, x, hidden)
    made = correlations.pictures(network, maps, min_size=1, max_fraction=1)
    assert {each.layer for each in made.subclusters} == set(hidden)
    assert abs(made.true).max() <= 1
    assert made.true.shape[1] == 16


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_random": 0}, "n_random: 0 was given; accepted are integers from 1"),
        ({"n_iterations": -1}, "n_iterations: -1 was given; accepted are 0 and more"),
    ],
)
def test_pictures_need_twins_and_no_negative_passes(options, message):
    alone = Partition.from_labels({"a": [0, 0, 0, 0]})
    with pytest.raises(ValueError, match=message):
        correlations.pictures(alone, {"a": noise(4, 5)}, **options)


def test_the_strength_of_a_picture_is_the_mean_length_of_its_maps():
    maps = {"a": noise(9, 5)}
    partition = Partition.from_labels({"a": [0, 0, 0, 0, 1, 1, 1, 1, 1]})
    made = correlations.pictures(partition, maps, n_random=3, seed=4)
    lengths = np.sqrt((maps["a"] ** 2).sum(axis=1))
    expected = [np.mean(lengths[each.units]) for each in made.subclusters]
    np.testing.assert_allclose(made.true_strength, expected)
    assert made.random_strength.shape == (2, 3)
    assert lengths.min() < made.random_strength.min() < made.random_strength.max() < lengths.max()


def test_without_images_there_are_no_responses():
    with pytest.raises(ValueError, match="x: no images were given"):
        correlations.responses(mlp(), np.zeros((0, 4, 4, 1), np.float32), ("dense_1",))
