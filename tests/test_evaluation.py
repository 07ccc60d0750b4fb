"""Both proxies of one partition at once: a row of Table 1b."""

import dataclasses

import keras
import numpy as np
import pandas as pd
import pytest
from summaries import summary

from helpers import evaluation, graphs, measures, partitions, zoo
from helpers.lesions import LesionProfiles, lesion_profiles
from helpers.partitions import Partition
from helpers.protocols import PAPER, RELEASED


@pytest.fixture
def network():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((4, 4, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(12, "relu", name="first"),
            keras.layers.Dense(12, "relu", name="second"),
            keras.layers.Dense(3, "softmax", name="out"),
        ]
    )
    rng = np.random.default_rng(0)
    labels = {"first": np.repeat([0, 1, 2], 4), "second": np.repeat([0, 1], 6)}
    x = rng.random((200, 4, 4, 1), dtype=np.float32)
    return model, x, model.predict(x, verbose=0).argmax(-1), Partition.from_labels(labels)


@pytest.mark.parametrize("protocol", [PAPER, RELEASED])
def test_a_row_is_what_both_proxies_say_one_by_one(network, protocol):
    model, x, y, partition = network
    table = evaluation.lesion_tests(model, x, y, partition, 5, protocol, seed=3)
    profiles = lesion_profiles(model, x, y, partition, 5, seed=3)
    by_hand = {
        "importance": summary(measures.importance(profiles, protocol), 3),
        "class_range": summary(measures.class_range(profiles, protocol, 3), 3),
    }
    assert len(table) == 8
    for row in table.itertuples():
        expected = by_hand[row.measure]
        np.testing.assert_equal(row.p, expected[row.test])
        assert (row.tested, row.excluded) == (expected["tested"], expected["excluded"])


@pytest.mark.slow
@pytest.mark.parametrize("protocol", [PAPER, RELEASED])
def test_a_network_of_the_zoo_is_clustered_and_tested_on_its_test_images(protocol):
    net = zoo.trained("digits-mlp")
    graph = graphs.weight_graph(net.model, protocol.edge_norm, protocol.batch_norm)
    labels = partitions.spectral(graph, 4, seed=2)
    images = (net.dataset.x_test, net.dataset.y_test)
    by_hand = evaluation.lesion_tests(net.model, *images, labels, 3, protocol, seed=2)
    found = evaluation.network_tests(net, 4, 3, protocol, seed=2)
    pd.testing.assert_frame_equal(found, by_hand)


@pytest.mark.parametrize("protocol", [PAPER, RELEASED])
def test_a_network_is_clustered_by_the_graph_of_the_protocol(protocol, monkeypatch):
    asked = []
    monkeypatch.setattr(
        evaluation.graphs, "weight_graph", lambda *given: asked.append(given) or "graph"
    )
    monkeypatch.setattr(evaluation.partitions, "spectral", lambda *given: given)
    for given in (protocol, protocol.name):
        assert evaluation.partition_of("model", 7, given, 5) == ("graph", 7, 5)
    assert asked == [("model", protocol.edge_norm, protocol.batch_norm)] * 2


def test_a_mapping_of_labels_is_a_partition_and_the_name_of_a_protocol_a_protocol(network):
    model, x, y, partition = network
    expected = evaluation.lesion_tests(model, x, y, partition, 5, RELEASED)
    found = evaluation.lesion_tests(model, x, y, dict(partition.labels), 5, "released")
    pd.testing.assert_frame_equal(found, expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"protocol": "theirs"}, "protocol: 'theirs' was given; accepted are paper, released and"),
        (
            {"partition": [0, 1]},
            "partition: list was given; accepted are a Partition and a",
        ),
        ({"seed": None}, "seed: None was given; accepted are integers from 0"),
        ({"n_random": 0}, "n_random: 0 was given; accepted are integers from 1"),
    ],
)
def test_other_partitions_protocols_and_seeds_are_refused(change, message, network):
    model, x, y, partition = network
    options = {"partition": partition, "protocol": PAPER, "seed": 0, "n_random": 5} | change
    with pytest.raises(ValueError, match=message):
        evaluation.lesion_tests(model, x, y, **options)


def test_the_released_protocol_has_no_exchangeable_p_values(network):
    table = evaluation.lesion_tests(*network, 5, RELEASED)
    exchangeable = table["test"].str.startswith("exchangeable")
    assert table[exchangeable]["p"].isna().all()
    assert table[~exchangeable]["p"].notna().all()


def test_labels_that_do_not_fit_the_network_are_refused(network):
    model, x, y, _ = network
    with pytest.raises(ValueError, match="first"):
        evaluation.lesion_tests(model, x, y, Partition.from_labels({"first": [0, 1]}))


def test_the_audit_switches_one_choice_at_a_time(network):
    model, x, y, partition = network
    profiles = lesion_profiles(model, x, y, partition, 5)
    table = evaluation.audit(profiles).set_index(["choice", "measure", "test"])["p"]
    released = evaluation.lesion_tests(model, x, y, partition, 5, RELEASED)
    for row in released[released["test"].isin(["fisher", "chi2"])].itertuples():
        assert table["as released", row.measure, row.test] == row.p
    # Undefined ranges play no part in importance, and nothing is complete here.
    untouched = table["undefined ranges excluded"]["importance"]
    np.testing.assert_array_equal(untouched, table["as released"]["importance"])
    spared = table["complete sub-clusters excluded"]
    np.testing.assert_array_equal(spared, table["as released"])


def test_the_audit_excludes_complete_sub_clusters_when_it_says_so(network):
    model, x, y, _ = network
    partition = Partition.from_labels({"first": np.zeros(12, int), "second": np.arange(12) // 6})
    profiles = lesion_profiles(model, x, y, partition, 5)
    table = evaluation.audit(profiles).drop_duplicates(["choice", "measure"])
    excluded = table.set_index(["choice", "measure"])["excluded"]
    assert excluded["as released", "importance"] == 0
    assert excluded["complete sub-clusters excluded", "importance"] == 1
    assert excluded["these three together", "importance"] == 1


def profiles_of(true, random, sizes=(10, 10)):
    labels = Partition.from_labels({"dense": [0, 1]})
    sizes = np.array(sizes)
    subclusters = tuple(labels.subclusters())
    counts = (sizes, sizes, np.array(true), np.array(random))
    return LesionProfiles(labels, subclusters, *counts, "a network and its images")


def test_the_range_of_a_profile_does_not_shrink_with_the_damage():
    # The same shape of damage, five times as much of it: 1 and 0 of 10, 5 and 0 of 10.
    profiles = profiles_of([[9, 10], [5, 10]], [[[5, 10], [0, 0]], [[10, 10], [9, 9]]])
    table = measures.profile_range(profiles)
    assert table.true.tolist() == [1, 1]
    np.testing.assert_array_equal(table.random, [[1, 0], [0, 0]])
    assert table.p.tolist() == [2 / 3, 1 / 3]


def test_opposite_changes_have_the_largest_range_of_a_profile():
    profiles = profiles_of([[9, 11], [8, 12]], np.zeros((2, 1, 2), int), sizes=(20, 20))
    profiles = dataclasses.replace(profiles, intact=np.array([10, 10]))
    np.testing.assert_allclose(measures.profile_range(profiles).true, np.sqrt(2))


def test_class_wise_range_and_damage_go_against_each_other_when_one_class_is_hit():
    # One class loses 1 to 4 of 10 images, the other always 2: the mean grows, the spread does not.
    random = [[[9, 8], [8, 8], [7, 8], [6, 8]]] * 2
    assert evaluation.range_against_damage(profiles_of([[9, 8], [9, 8]], random)) < 1
    steady = [[[9, 10], [8, 9], [7, 8], [6, 7]]] * 2
    assert evaluation.range_against_damage(profiles_of([[9, 8]] * 2, steady)) == pytest.approx(-1)


def test_without_damage_there_is_no_correlation_of_range_and_damage():
    nothing = profiles_of([[10, 10]] * 2, np.full((2, 3, 2), 10))
    assert np.isnan(evaluation.range_against_damage(nothing))
