"""Lesion profiles: counts per class of sub-clusters and twins, and accuracies from counts."""

from fractions import Fraction

import numpy as np
import pytest

import brute_force
from helpers import lesions, networks
from helpers.backend import keras
from helpers.lesions import LesionProfiles, class_mean_accuracy, engine, overall_accuracy
from helpers.lesions.profiles import class_weights
from helpers.partitions import Partition

LABELS = {
    "dense_1": [0, 1, 1, -1, 0, 1, -1, 0],
    "dense_2": [2] * 7 + [-1],
    "dense_4": [0, 2, 2, 2, 2, 2, 2, 3],
}


def network():
    """A random network with images for it, and a partition of three of its layers."""
    keras.utils.set_random_seed(0)
    model = networks.mlp((3, 3, 1), 4, width=8)
    rng = np.random.default_rng(0)
    for layer in model.layers[1:]:
        layer.set_weights([rng.normal(size=w.shape) for w in layer.get_weights()])
    x = rng.normal(size=(60, 3, 3, 1)).astype(np.float32)
    return model, x, rng.integers(0, 3, 60), Partition.from_labels(LABELS)


def brute_force_counts(model, x, y, lesions):
    right = brute_force.correct(model, x, y, lesions)
    return np.array([np.bincount(y[row], minlength=4) for row in right])


def assert_same(first, second):
    for key in ("class_sizes", "intact", "true", "random"):
        np.testing.assert_array_equal(getattr(first, key), getattr(second, key))


def test_profiles_equal_those_of_changing_the_weights(monkeypatch):
    fast = lesions.lesion_profiles(*network(), n_random=3)
    monkeypatch.setattr(engine, "correct_counts", brute_force_counts)
    assert_same(fast, lesions.lesion_profiles(*network(), n_random=3))


def test_the_true_lesions_are_those_of_the_sub_clusters():
    model, x, y, partition = network()
    measured = lesions.lesion_profiles(model, x, y, partition, n_random=2)
    found = [(each.layer, each.cluster) for each in measured.subclusters]
    assert found == [
        *[("dense_1", 0), ("dense_1", 1), ("dense_2", 2)],
        *[("dense_4", 0), ("dense_4", 2), ("dense_4", 3)],
    ]
    chosen = [{each.layer: each.units} for each in measured.subclusters]
    np.testing.assert_array_equal(measured.true, brute_force_counts(model, x, y, chosen))
    np.testing.assert_array_equal(measured.intact, brute_force_counts(model, x, y, [{}])[0])
    np.testing.assert_array_equal(measured.class_sizes, np.bincount(y, minlength=4))


def test_twins_are_live_units_of_the_same_layer_and_number(monkeypatch):
    lesioned = []

    def spy(model, x, y, lesions):
        lesioned.extend(lesions)
        return np.zeros((len(lesions), 4), int)

    monkeypatch.setattr(engine, "correct_counts", spy)
    measured = lesions.lesion_profiles(*network(), n_random=5)
    assert measured.random.shape == (6, 5, 4)
    assert measured.n_random == 5
    twins = iter(lesioned[1:])
    for each in measured.subclusters:
        true, *random = (next(twins)[each.layer] for _ in range(6))
        np.testing.assert_array_equal(true, each.units)
        for units in random:
            assert len(set(units)) == len(each.units)
            assert set(units) <= set(np.flatnonzero(np.array(LABELS[each.layer]) != -1))
    assert not list(twins)


def test_a_complete_sub_cluster_equals_its_twins():
    measured = lesions.lesion_profiles(*network(), n_random=4)
    complete = measured.describe()["complete"]
    assert complete.tolist() == [False, False, True, False, False, False]
    assert (measured.random[2] == measured.true[2]).all()


def test_the_seed_decides_the_twins():
    first, again, other = (
        lesions.lesion_profiles(*network(), n_random=3, seed=seed) for seed in (4, 4, 5)
    )
    assert_same(first, again)
    assert (other.random != first.random).any()
    np.testing.assert_array_equal(other.true, first.true)


def test_a_description_tells_where_and_how_large_sub_clusters_are():
    partition = Partition.from_labels({"a": [0, 0, 1, -1], "b": [-1, 1, 1]})
    table = LesionProfiles(
        partition,
        tuple(partition.subclusters()),
        class_sizes=np.array([6, 4]),
        intact=np.array([6, 3]),
        true=np.array([[6, 2], [1, 0], [0, 4]]),
        random=np.zeros((3, 1, 2), int),
        fingerprint="a network and its images",
    ).describe()
    assert table.to_dict("list") == {
        "layer": ["a", "a", "b"],
        "cluster": [0, 1, 1],
        "size": [2, 1, 2],
        "share": [2 / 4, 1 / 4, 2 / 3],
        "complete": [False, False, True],
        "intact": [0.9, 0.9, 0.9],
        "lesioned": [0.8, 0.1, 0.4],
    }


def test_a_partition_without_sub_clusters_has_empty_profiles():
    model, x, y, _ = network()
    measured = lesions.lesion_profiles(
        model, x, y, Partition.from_labels({"dense_1": [-1] * 8}), n_random=3
    )
    assert (measured.true.shape, measured.random.shape) == ((0, 4), (0, 3, 4))
    assert measured.describe().empty


def test_fewer_than_one_twin_is_refused():
    with pytest.raises(ValueError, match="n_random: 0 was given; accepted are integers from 1"):
        lesions.lesion_profiles(*network(), n_random=0)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"dense_1": [0] * 9}, "9 labels were given for layer 'dense_1', which has 8 units"),
        ({"dense_1": [0] * 8, "output": [0] * 3}, "3 labels were given for layer 'output'"),
        ({"flatten": [0] * 9}, "no units in 'flatten'"),
        ({"dense_9": [0] * 8}, "dense_9"),
    ],
)
def test_labels_that_do_not_fit_the_model_are_refused(labels, message):
    model, x, y, _ = network()
    with pytest.raises(ValueError, match=message):
        lesions.lesion_profiles(model, x, y, Partition.from_labels(labels))


def test_overall_accuracy_is_the_fraction_of_all_images():
    accuracies = overall_accuracy(np.array([[6, 0, 1], [2, 0, 2]]), np.array([6, 0, 2]))
    np.testing.assert_array_equal(accuracies, [7 / 8, 4 / 8])


def test_class_mean_accuracy_is_the_mean_fraction_of_the_classes_that_have_images():
    counts = np.array([[6, 0, 1], [2, 0, 2], [0, 0, 0]])
    accuracies = class_mean_accuracy(counts, np.array([6, 0, 2]))
    np.testing.assert_array_equal(accuracies, [(1 + 1 / 2) / 2, (1 / 3 + 1) / 2, 0])
    assert accuracies.dtype == np.float64


@pytest.mark.parametrize("accuracy", [overall_accuracy, class_mean_accuracy])
def test_accuracies_keep_the_leading_axes(accuracy):
    counts = np.arange(24).reshape(2, 4, 3)
    sizes = np.array([30, 40, 70])
    assert accuracy(counts, sizes).shape == (2, 4)
    assert accuracy(counts[0, 0], sizes) == accuracy(counts, sizes)[0, 0]


def test_class_mean_accuracies_are_fractions_rounded_once():
    rng = np.random.default_rng(0)
    sizes = np.array([980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009])
    counts = rng.integers(0, sizes + 1, (200, 10))
    expected = [
        float(sum(Fraction(int(c), int(size)) for c, size in zip(row, sizes, strict=True)) / 10)
        for row in counts
    ]
    np.testing.assert_array_equal(class_mean_accuracy(counts, sizes), expected)


@pytest.mark.parametrize(
    ("sizes", "weights", "common"),
    [([4, 6, 0, 3], [3, 2, 0, 4], 12), ([5, 5], [1, 1], 5), ([0, 7], [0, 1], 7)],
)
def test_class_weights_bring_classes_to_their_least_common_multiple(sizes, weights, common):
    found = class_weights(np.array(sizes))
    assert (found[0].tolist(), found[1]) == (weights, common)
