"""Importance: the rank of a lesion's accuracy among those of its twins, and what it is worth."""

import dataclasses

import numpy as np
import pytest
from summaries import summary

from helpers import measures
from helpers.lesions import LesionProfiles
from helpers.partitions import Partition
from helpers.protocols import PAPER, RELEASED

COLUMNS = ["layer", "cluster", "size", "share", "complete", "intact", "lesioned"]


def profiles_of(true, random, sizes=(10, 10), labels=(0, 1)):
    """Profiles of the sub-clusters of one layer, of which the intact network is perfect."""
    partition = Partition.from_labels({"dense": list(labels)})
    sizes = np.array(sizes)
    subclusters = tuple(partition.subclusters())
    counts = (sizes, sizes, np.array(true), np.array(random))
    return LesionProfiles(partition, subclusters, *counts, "a network and its images")


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
    table = measures.importance(two_subclusters(), protocol)
    assert table.p.tolist() == expected
    assert table.excluded.tolist() == ["", ""]


def test_the_table_holds_the_description_and_the_compared_accuracies():
    profiles = two_subclusters()
    compared = measures.importance(profiles)
    table = compared.table()
    assert table.columns.tolist() == [*COLUMNS, "value", "random_median", "excluded", "p"]
    np.testing.assert_array_equal(table[COLUMNS], profiles.describe())
    np.testing.assert_array_equal(compared.true, [0.5, 0.05])
    np.testing.assert_array_equal(compared.random, [[0.45, 0.5, 0.9, 1], [1, 0.7, 0.1, 0.1]])


@pytest.mark.parametrize(("protocol", "expected"), [(PAPER, 1 / 4), (RELEASED, 1)])
def test_damage_to_a_small_class_counts_more_in_the_mean_over_classes(protocol, expected):
    # Of all images the first lesion spares 90 %, its twins 92 %; of the classes 94 % and 60 %.
    profiles = profiles_of(
        [[80, 10], [90, 10]], np.full((2, 3, 2), [90, 2]), sizes=(90, 10), labels=(0, 1)
    )
    assert measures.importance(profiles, protocol).p[0] == expected


def test_class_means_that_are_equal_as_fractions_tie():
    # All are 1/36, which means of floats miss by different amounts.
    twins = [[0, 0, 5], [0, 2, 1], [0, 0, 5], [0, 2, 1]]
    profiles = profiles_of([[0, 1, 3]] * 2, [twins] * 2, sizes=(10, 30, 60))
    inclusive = dataclasses.replace(RELEASED, ties="inclusive")
    assert measures.importance(profiles, inclusive).p.tolist() == [1, 1]
    assert measures.importance(profiles, RELEASED).p.tolist() == [1 / 5, 1 / 5]


@pytest.mark.parametrize(("protocol", "expected"), [(PAPER, 1), (RELEASED, 1 / 21)])
def test_a_dead_sub_cluster_is_least_significant_unless_ties_are_strict(protocol, expected):
    dead = profiles_of([[10, 10]] * 2, np.full((2, 20, 2), 10))
    assert measures.importance(dead, protocol).p.tolist() == [expected] * 2


def test_a_complete_sub_cluster_is_excluded_under_the_paper_only():
    complete = profiles_of([[0, 0]], np.zeros((1, 9, 2), int), labels=(0, 0, -1))
    paper, released = (measures.importance(complete, each) for each in (PAPER, RELEASED))
    assert paper.excluded.tolist() == ["complete"]
    assert np.isnan(paper.p[0])
    assert released.excluded.tolist() == [""]
    assert released.p.tolist() == [1 / 10]


@pytest.mark.parametrize(
    ("profiles", "n_excluded"),
    [
        (profiles_of([[0, 0]], np.zeros((1, 3, 2), int), labels=(0, 0)), 1),
        (profiles_of(np.zeros((0, 2), int), np.zeros((0, 3, 2), int), labels=(-1, -1)), 0),
    ],
)
def test_without_a_tested_sub_cluster_nothing_is_combined(profiles, n_excluded):
    row = summary(measures.importance(profiles))
    assert (row.pop("tested"), row.pop("excluded")) == (0, n_excluded)
    assert len(row) == 4
    assert np.isnan(list(row.values())).all()


def kind(damage, twins, protocol, size=20, width=100, n_images=300):
    """The kind of a sub-cluster whose lesion loses some images, and whose twins' lose others."""
    labels = (np.arange(width) >= size).astype(int)
    n_others = len(set(labels)) - 1
    lost = np.array([[damage, *twins]] + n_others * [[0] * (1 + len(twins))])
    left = n_images - lost[:, :, np.newaxis]
    profiles = profiles_of(left[:, 0], left[:, 1:], (n_images,), labels)
    return measures.taxonomy(profiles, protocol)["kind"][0]


# One percentage point of 300 images is 3.
@pytest.mark.parametrize(
    ("damage", "twins", "paper", "released"),
    [
        (9, [1, 2, 8], "important", "important"),
        (9, [1, 2, 9], "diff-but-not-sig", "important"),
        (9, [9, 9, 9], "diff-but-not-sig", "important"),
        (9, [1, 2, 10], "diff-but-not-sig", "diff-but-not-sig"),
        (9, [10, 11, 12], "diff-but-not-sig", "least-important"),
        (9, [9, 10, 11], "diff-but-not-sig", "diff-but-not-sig"),
        (4, [0, 1, 3], "important", "important"),
        (4, [5, 0, 1], "diff-but-not-sig", "diff-but-not-sig"),
        (3, [0, 1, 2], "sig-but-not-diff", "important"),
        (3, [3, 3, 3], "other", "important"),
        (3, [2, 1, 4], "other", "other"),
        (3, [4, 5, 6], "other", "least-important"),
        (2, [0, 1, 1], "sig-but-not-diff", "sig-but-not-diff"),
        (2, [0, 1, 2], "other", "sig-but-not-diff"),
        (2, [0, 1, 3], "other", "other"),
        (2, [3, 4, 5], "prunable", "prunable"),
        (2, [2, 4, 5], "other", "other"),
        (0, [1, 1, 2], "prunable", "prunable"),
        (0, [0, 0, 0], "other", "sig-but-not-diff"),
        (-4, [-3, 0, 9], "prunable", "prunable"),
        (-4, [-5, -6, -7], "sig-but-not-diff", "sig-but-not-diff"),
        (9, [8], "important", "important"),
        (9, [10], "diff-but-not-sig", "least-important"),
        (0, [1], "prunable", "prunable"),
    ],
)
def test_size_damage_and_rank_decide_what_kind_a_sub_cluster_is(damage, twins, paper, released):
    assert kind(damage, twins, PAPER) == paper
    assert kind(damage, twins, RELEASED) == released


@pytest.mark.parametrize("damage", [9, 2, 0])
@pytest.mark.parametrize(
    ("size", "width", "paper_is_small", "released_is_small"),
    [
        (4, 100, True, True),
        (5, 100, False, True),
        (1, 20, False, True),
        (1, 21, True, True),
        (12, 24, False, True),
        (13, 26, False, False),
        (12, 256, True, True),
        (13, 256, False, False),
        (13, 261, True, False),
    ],
)
def test_small_is_below_5_percent_of_the_layer_or_up_to_12_units_whatever_the_damage(
    damage, size, width, paper_is_small, released_is_small
):
    kinds = [kind(damage, [1, 1], each, size, width) for each in (PAPER, RELEASED)]
    assert [each == "small" for each in kinds] == [paper_is_small, released_is_small]


@pytest.mark.parametrize("protocol", [PAPER, RELEASED])
@pytest.mark.parametrize(("n_live", "width"), [(100, 100), (30, 100), (4, 100), (1, 1)])
def test_all_live_units_of_a_layer_are_complete_before_they_are_small(n_live, width, protocol):
    labels = np.where(np.arange(width) < n_live, 0, -1)
    profiles = profiles_of([[0, 0]], np.zeros((1, 3, 2), int), labels=labels)
    assert measures.taxonomy(profiles, protocol)["kind"].tolist() == ["complete"]


@pytest.mark.parametrize(
    ("n_images", "damage", "paper", "released"),
    [
        (300, 3, "sig-but-not-diff", "important"),
        (700, 7, "sig-but-not-diff", "important"),
        (2900, 29, "sig-but-not-diff", "important"),
        (10000, 100, "sig-but-not-diff", "important"),
        (10000, 101, "important", "important"),
        (10000, 99, "sig-but-not-diff", "sig-but-not-diff"),
        (250, 2, "sig-but-not-diff", "sig-but-not-diff"),
        (250, 3, "important", "important"),
        (99, 1, "important", "important"),
        (101, 1, "sig-but-not-diff", "sig-but-not-diff"),
    ],
)
def test_a_hundredth_of_the_images_is_exactly_one_percentage_point(
    n_images, damage, paper, released
):
    found = [kind(damage, [0, 0], each, n_images=n_images) for each in (PAPER, RELEASED)]
    assert found == [paper, released]


def test_damage_is_what_the_network_loses_of_all_images_under_both_protocols():
    # Of 90 and 10 images the network gets 80 and 6 right.
    partition = Partition.from_labels({"dense": [0] * 20 + [1] * 13})
    profiles = LesionProfiles(
        partition,
        tuple(partition.subclusters()),
        np.array([90, 10]),
        np.array([80, 6]),
        np.array([[70, 6], [80, 0]]),
        np.array([[[80, 0], [75, 6], [70, 7]], [[80, 6], [70, 6], [81, 5]]]),
        "a network and its images",
    )
    paper, released = (measures.taxonomy(profiles, each) for each in (PAPER, RELEASED))
    columns = ["damage", "random_mean", "random_std", "p", "kind"]
    assert paper.columns.tolist() == [*COLUMNS, *columns]
    np.testing.assert_array_equal(paper[COLUMNS], profiles.describe())
    np.testing.assert_allclose(paper["damage"], [0.10, 0.06])
    np.testing.assert_allclose(paper["random_mean"], [(6 + 5 + 9) / 300, (0 + 10 + 0) / 300])
    np.testing.assert_allclose(
        paper["random_std"], [np.std([0.06, 0.05, 0.09], ddof=1), np.std([0, 0.1, 0], ddof=1)]
    )
    assert paper["p"].tolist() == [1 / 4, 2 / 4]
    assert paper["kind"].tolist() == ["important", "diff-but-not-sig"]
    for column in [*COLUMNS, *columns]:
        assert paper[column].tolist() == released[column].tolist()


@pytest.mark.parametrize(("protocol", "p"), [(PAPER, 3 / 4), (RELEASED, 2 / 4)])
def test_ties_of_damages_count_as_the_protocol_says(protocol, p):
    left = np.array([[5, 5], [10, 10]])
    random = np.array([[[6, 4], [0, 0], [9, 9]], [[10, 10]] * 3])
    assert measures.taxonomy(profiles_of(left, random), protocol)["p"][0] == p


def test_a_single_twin_has_no_standard_deviation():
    table = measures.taxonomy(profiles_of([[5, 5], [9, 9]], [[[6, 6]], [[7, 7]]]))
    assert table["random_mean"].tolist() == [0.4, 0.3]
    assert table["random_std"].isna().all()


@pytest.mark.parametrize("protocol", [PAPER, RELEASED])
def test_there_are_no_kinds_without_sub_clusters(protocol):
    none = profiles_of(np.zeros((0, 2), int), np.zeros((0, 3, 2), int), labels=(-1, -1))
    table = measures.taxonomy(none, protocol)
    assert table.empty
    assert {"damage", "random_mean", "random_std", "p", "kind"} <= set(table.columns)


def test_every_kind_is_known():
    assert set(measures.KINDS) == {
        *("important", "sig-but-not-diff", "diff-but-not-sig", "prunable"),
        *("least-important", "complete", "small", "other"),
    }
