"""Importance: the rank of a lesion's accuracy among those of its twins."""

import dataclasses

import numpy as np
import pytest

from helpers import importance, statistics
from helpers.partitions import Partition
from helpers.profiles import LesionProfiles
from helpers.protocols import PAPER, RELEASED

COLUMNS = ["layer", "cluster", "size", "share", "complete", "intact", "lesioned"]


def profiles_of(true, random, sizes=(10, 10), labels=(0, 1)):
    """Profiles of the sub-clusters of one layer, of which the intact network is perfect."""
    partition = Partition.from_labels({"dense": list(labels)})
    sizes = np.array(sizes)
    subclusters = tuple(partition.subclusters())
    return LesionProfiles(partition, subclusters, sizes, sizes, np.array(true), np.array(random))


def two_subclusters():
    """The first does more damage than two of its four twins and as much as one, the second all."""
    return profiles_of(
        true=[[5, 5], [0, 1]],
        random=[[[4, 5], [6, 4], [9, 9], [10, 10]], [[10, 10], [9, 5], [1, 1], [2, 0]]],
    )


@pytest.mark.parametrize(
    ("protocol", "expected"), [(PAPER, [3 / 5, 1 / 5]), (RELEASED, [2 / 5, 1 / 5])]
)
def test_p_is_the_rank_of_the_damage_with_ties_as_the_protocol_says(protocol, expected):
    table = importance.importance(two_subclusters(), protocol)
    assert table["p"].tolist() == expected
    assert table["excluded"].tolist() == ["", ""]


def test_the_table_holds_the_description_and_the_compared_accuracies():
    profiles = two_subclusters()
    table = importance.importance(profiles)
    twins = ["random_1", "random_2", "random_3", "random_4"]
    assert table.columns.tolist() == [*COLUMNS, "value", *twins, "excluded", "p"]
    np.testing.assert_array_equal(table[COLUMNS], profiles.describe())
    np.testing.assert_array_equal(table["value"], [0.5, 0.05])
    np.testing.assert_array_equal(table[twins], [[0.45, 0.5, 0.9, 1], [1, 0.7, 0.1, 0.1]])


@pytest.mark.parametrize(("protocol", "expected"), [(PAPER, 1 / 4), (RELEASED, 1)])
def test_damage_to_a_small_class_counts_more_in_the_mean_over_classes(protocol, expected):
    # Of all images the first lesion spares 90 %, its twins 92 %; of the classes 94 % and 60 %.
    profiles = profiles_of(
        [[80, 10], [90, 10]], np.full((2, 3, 2), [90, 2]), sizes=(90, 10), labels=(0, 1)
    )
    assert importance.importance(profiles, protocol)["p"][0] == expected


def test_class_means_that_are_equal_as_fractions_tie():
    # All are 1/36, which means of floats miss by different amounts.
    twins = [[0, 0, 5], [0, 2, 1], [0, 0, 5], [0, 2, 1]]
    profiles = profiles_of([[0, 1, 3]] * 2, [twins] * 2, sizes=(10, 30, 60))
    inclusive = dataclasses.replace(RELEASED, ties="inclusive")
    assert importance.importance(profiles, inclusive)["p"].tolist() == [1, 1]
    assert importance.importance(profiles, RELEASED)["p"].tolist() == [1 / 5, 1 / 5]


@pytest.mark.parametrize(("protocol", "expected"), [(PAPER, 1), (RELEASED, 1 / 21)])
def test_a_dead_sub_cluster_is_least_significant_unless_ties_are_strict(protocol, expected):
    dead = profiles_of([[10, 10]] * 2, np.full((2, 20, 2), 10))
    assert importance.importance(dead, protocol)["p"].tolist() == [expected] * 2


def test_a_complete_sub_cluster_is_excluded_under_the_paper_only():
    complete = profiles_of([[0, 0]], np.zeros((1, 9, 2), int), labels=(0, 0, -1))
    paper, released = (importance.importance(complete, each) for each in (PAPER, RELEASED))
    assert paper["excluded"].tolist() == ["complete"]
    assert np.isnan(paper["p"][0])
    assert released["excluded"].tolist() == [""]
    assert released["p"].tolist() == [1 / 10]


def test_combined_p_values_are_those_of_the_statistics():
    table = importance.importance(two_subclusters())
    twins = table.filter(like="random_")
    rng = np.random.default_rng(7)
    assert importance.combined(table, seed=7) == {
        "tested": 2,
        "excluded": 0,
        "fisher": statistics.fisher([3 / 5, 1 / 5], 4),
        "chi2": statistics.chi2([3 / 5, 1 / 5], 4),
        "exchangeable_fisher": statistics.exchangeable(
            table["value"], twins, "left", "fisher", rng=rng
        ),
        "exchangeable_chi2": statistics.exchangeable(
            table["value"], twins, "left", "chi2", rng=rng
        ),
    }


def test_the_exchangeable_test_is_not_defined_under_strict_ties():
    row = importance.combined(importance.importance(two_subclusters(), RELEASED), RELEASED)
    assert row["fisher"] == statistics.fisher([2 / 5, 1 / 5], 4)
    assert row["chi2"] == statistics.chi2([2 / 5, 1 / 5], 4)
    assert np.isnan([row["exchangeable_fisher"], row["exchangeable_chi2"]]).all()


@pytest.mark.parametrize(
    ("profiles", "n_excluded"),
    [
        (profiles_of([[0, 0]], np.zeros((1, 3, 2), int), labels=(0, 0)), 1),
        (profiles_of(np.zeros((0, 2), int), np.zeros((0, 3, 2), int), labels=(-1, -1)), 0),
    ],
)
def test_without_a_tested_sub_cluster_nothing_is_combined(profiles, n_excluded):
    row = importance.combined(importance.importance(profiles))
    assert (row.pop("tested"), row.pop("excluded")) == (0, n_excluded)
    assert len(row) == 4
    assert np.isnan(list(row.values())).all()
