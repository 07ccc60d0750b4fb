"""Pictures: their contrast, their agreement, and their preference for one part of the input."""

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
from summaries import summary

from helpers import correlations, measures
from helpers.correlations import Pictures
from helpers.partitions import Partition
from helpers.protocols import PAPER, RELEASED

PARTS = np.array([0, 0, 1, 1])
DESCRIBED = ["layer", "cluster", "size", "share", "complete"]


def pictures_of(true, random, labels=(0, 0, 1, 2, -1)):
    """Pictures of the sub-clusters of one layer."""
    partition = Partition.from_labels({"dense": list(labels)})
    true, random = np.array(true, float), np.array(random, float)
    strengths = np.full(len(true), 4.0), np.full(random.shape[:2], 2.0)
    return Pictures(partition, partition.subclusters(), true, random, *strengths, "maps")


def three_pictures():
    """Of the first, contrasts are 1 and .5, 1, 0; of the second .5 and 1, 1, .5; the third's 0."""
    strong, weak, flat = [1, -1, 1, -1], [0.5, -0.5, 0.5, -0.5], [-0.2] * 4
    return pictures_of(
        true=[strong, weak, flat],
        random=[[weak, strong, flat], [strong, strong, weak], [strong, weak, weak]],
    )


def test_the_contrast_is_the_standard_deviation_of_the_picture():
    rng = np.random.default_rng(0)
    true, random = rng.uniform(-1, 1, (3, 7)), rng.uniform(-1, 1, (3, 4, 7))
    table = measures.contrast(pictures_of(true, random))
    np.testing.assert_array_equal(table.true, np.round([np.std(each) for each in true], 12))
    expected = np.round([[np.std(each) for each in twins] for twins in random], 12)
    np.testing.assert_allclose(table.random, expected, rtol=1e-12)


def test_agreement_is_the_length_of_the_picture_relative_to_that_of_its_maps():
    table = measures.agreement(three_pictures())
    np.testing.assert_allclose(table.true, [2 / 4, 1 / 4, 0.4 / 4])
    np.testing.assert_allclose(table.random[1], [2 / 2, 2 / 2, 1 / 2])


def test_maps_of_one_direction_tie_however_they_are_rounded():
    rng = np.random.default_rng(0)
    maps = {"dense": np.outer(rng.uniform(0.1, 1, 8), rng.uniform(-1, 1, 30))}
    partition = Partition.from_labels({"dense": [0, 0, 0, 1, 1, 1, 1, 1]})
    pictures = correlations.pictures(partition, maps, 50, min_size=1)
    assert measures.agreement(pictures).p.tolist() == [1, 1]


@pytest.mark.parametrize("seed", range(8))
def test_pictures_of_equal_maps_tie_in_whatever_order_these_are_added_up(seed):
    rng = np.random.default_rng(seed)
    two = rng.uniform(-1, 1, (2, 9))
    maps = {"dense": two[rng.permutation([0] * 6 + [1] * 6)]}
    made = correlations.pictures({"dense": [0] * 6 + [1] * 6}, maps, 20, min_size=1, seed=seed)
    for found in (measures.contrast(made), measures.preference(made, np.array([0] * 5 + [1] * 4))):
        as_large = found.random >= found.true[:, np.newaxis] - 1e-9
        np.testing.assert_array_equal(found.p, (1 + as_large.sum(axis=1)) / 21)


def test_maps_of_one_direction_agree_fully_and_opposite_ones_not_at_all():
    base = np.random.default_rng(0).normal(size=6)
    alike = np.outer([1, 2, -3, 0.5], base)
    corners = np.kron(np.eye(2), [[1.0], [-1.0]]) @ np.eye(2, 6)
    for maps, n_iterations, expected in ((alike, 20, 1), (corners, 0, 0)):
        partition = Partition.from_labels({"a": [0, 0, 0, 0]})
        made = correlations.pictures(
            partition, {"a": maps}, n_random=1, n_iterations=n_iterations, max_fraction=1.0
        )
        value = measures.agreement(made, RELEASED).true
        np.testing.assert_allclose(value, expected, atol=1e-12)


@pytest.mark.parametrize(
    ("protocol", "expected"), [(PAPER, [2 / 4, 1, 1]), (RELEASED, [1 / 4, 3 / 4, 1])]
)
def test_p_is_the_rank_of_the_contrast_with_ties_as_the_protocol_says(protocol, expected):
    table = measures.contrast(three_pictures(), protocol)
    assert table.p.tolist() == expected
    assert table.true.tolist() == [1, 0.5, 0]
    assert table.random[:, 0].tolist() == [0.5, 1, 1]


def test_tables_of_pictures_hold_the_description():
    made = three_pictures()
    for compared, more in (
        (measures.contrast(made), []),
        (measures.preference(made, PARTS), ["preferred"]),
    ):
        table = compared.table()
        results = ["value", "random_median", "excluded", "p"]
        assert table.columns.tolist() == [*DESCRIBED, *more, *results]
        assert table["cluster"].tolist() == [0, 1, 2]
        assert table["share"].tolist() == [2 / 5, 1 / 5, 1 / 5]


def planted_copies(seed=0):
    """Four clusters of six units, whose maps are a cluster's own map or its negative."""
    rng = np.random.default_rng(seed)
    own = scipy.linalg.hadamard(32)[1:5]
    cluster = rng.permutation(np.repeat(range(4), 6))
    maps = own[cluster] * rng.choice([-1.0, 1.0], (24, 1))
    return Partition.from_labels({"dense": cluster}), {"dense": maps}


@pytest.mark.parametrize("seed", range(3))
def test_the_contrast_finds_sub_clusters_of_copies_of_a_few_maps(seed):
    made = correlations.pictures(*planted_copies(seed), n_random=20, seed=seed)
    table = measures.contrast(made)
    assert table.p.tolist() == [1 / 21] * 4
    np.testing.assert_allclose(table.true, 1)
    combined = summary(table)
    assert max(combined["fisher"], combined["exchangeable_fisher"]) < 0.001


def test_the_preference_finds_sub_clusters_of_copies_that_see_one_part_only():
    partition, maps = planted_copies()
    first = np.isin(partition.labels["dense"], (0, 2))
    maps["dense"][first, 16:] = 0
    maps["dense"][~first, :16] = 0
    made = correlations.pictures(partition, maps, n_random=20)
    table = measures.preference(made, np.repeat([0, 1], 16))
    assert table.true.tolist() == [1] * 4
    assert table.p.max() <= 2 / 21  # All units of a twin may happen to see the same part.
    assert table.subclusters["preferred"].tolist() == [0, 1, 0, 1]


@pytest.mark.slow
@pytest.mark.parametrize("n_iterations", [0, 20])
def test_p_values_of_random_sub_clusters_of_exchangeable_maps_are_uniform(n_iterations):
    contrasts, preferences = [], []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        partition = Partition.from_labels({"dense": rng.permutation(np.repeat(range(4), 5))})
        maps = {"dense": rng.normal(size=(20, 6)) * rng.random((20, 1))}
        made = correlations.pictures(partition, maps, 9, n_iterations, seed=seed)
        # Sub-clusters of one network depend on each other: one of each is looked at.
        contrasts.append(measures.contrast(made).p[0])
        preferences.append(measures.preference(made, np.repeat([0, 1], 3)).p[0])
    for p in (contrasts, preferences):
        counts = np.bincount(np.rint(10 * np.array(p)).astype(int), minlength=11)[1:]
        assert counts.sum() == 200
        assert scipy.stats.chisquare(counts).pvalue > 0.001


@pytest.mark.parametrize(
    ("picture", "parts", "value", "preferred"),
    [
        ([1, 0, 0.5, 0], PARTS, 0.6, 0),  # mean squares 1/2 and 1/8
        ([0.5, 0, 1, 0], PARTS, 0.6, 1),
        ([0.5, 0, -1, 0], 1 - PARTS, 0.6, 0),
        ([-1, 0.5, 0, 0], [0, 1, 0, 1], 0.6, 0),
        ([0.5, -1, 0, 0], [0, 1, 0, 1], 0.6, 1),
        ([-1, 0.2, 0, 0], PARTS, 1, 0),
        ([0, 0, 0, 1e-3], PARTS, 1, 1),
        ([-1, -1, -1, -1], [0, 1, 1, 1], 0, None),  # means, not sums
        ([-1, -0.5, -0.5, -0.5], [0, 1, 1, 1], 0.6, 0),
        ([1, -1, -1, -1], PARTS, 0, None),
        ([0, 0, 0, 0], PARTS, 0, None),
    ],
)
def test_preferences_are_what_is_worked_out_by_hand(picture, parts, value, preferred):
    opposite = -np.array(picture, float)
    made = pictures_of([picture, opposite], np.full((2, 3, 4), picture), labels=(0, 1))
    table = measures.preference(made, np.array(parts))
    np.testing.assert_allclose(table.true, value, rtol=1e-12)
    np.testing.assert_allclose(table.random, value, rtol=1e-12)
    assert table.subclusters["preferred"].isin((0, 1)).all()
    assert preferred is None or table.subclusters["preferred"].tolist() == [preferred] * 2
    assert table.p.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("protocol", "expected"), [(PAPER, [2 / 4, 3 / 4]), (RELEASED, [1 / 4, 2 / 4])]
)
def test_p_is_the_rank_of_the_preference_for_whichever_part(protocol, expected):
    left, right, more_left, both = [1, 0, 0, 0], [0, 0, 0, 1], [1, 0, 0.5, 0], [1, 1, 1, 1]
    made = pictures_of(
        true=[left, more_left],
        random=[[right, both, more_left], [both, right, [0.5, 0, -1, 0]]],
        labels=(0, 1),
    )
    table = measures.preference(made, PARTS, protocol)
    assert table.p.tolist() == expected
    assert table.subclusters["preferred"].tolist() == [0, 0]


@pytest.mark.parametrize(
    "parts",
    [
        [0, 1, 1],
        [0, 0, 1, 1, 1],
        [[0, 0, 1, 1]],
        [0, 0, 0, 0],
        [1, 1, 1, 1],
        [0, 1, 2, 1],
        [0, -1, 0, 1],
        [1, 1, 2, 2],
        [0, 0.5, 1, 1],
    ],
)
def test_parts_that_do_not_cut_the_inputs_in_two_are_refused(parts):
    message = "parts: 0 or 1 is needed for each of 4 inputs, both used"
    with pytest.raises(ValueError, match=message):
        measures.preference(three_pictures(), np.array(parts))


@pytest.mark.parametrize(
    ("protocol", "why", "p"), [(PAPER, "complete", np.nan), (RELEASED, "", 1 / 6)]
)
@pytest.mark.parametrize("is_dead", [True, False])
def test_pictures_of_a_complete_sub_cluster_are_excluded_under_the_paper_only(
    is_dead, protocol, why, p
):
    # Units that are not in the cluster are isolated or respond to nothing.
    labels = [0] * 7 + [1 if is_dead else -1] * 3
    maps = {"dense": np.random.default_rng(0).normal(size=(10, 4))}
    maps["dense"][7:] *= not is_dead
    made = correlations.pictures(Partition.from_labels({"dense": labels}), maps, n_random=5)
    for table in (
        measures.contrast(made, protocol),
        measures.preference(made, PARTS, protocol),
    ):
        assert table.subclusters["complete"].tolist() == [True]
        assert table.excluded.tolist() == [why]
        np.testing.assert_array_equal(table.p, [p])
        row = summary(table)
        assert (row["tested"], row["excluded"]) == ((0, 1) if why else (1, 0))
        assert np.isnan(row["fisher"]) == bool(why)


@pytest.mark.parametrize("protocol", [PAPER, RELEASED])
def test_without_pictures_there_is_nothing_to_combine(protocol):
    partition = Partition.from_labels({"dense": [0, 1, 2, 3]})
    made = correlations.pictures(partition, {"dense": np.eye(4)}, n_random=3)
    for table in (
        measures.contrast(made, protocol),
        measures.preference(made, PARTS, protocol),
    ):
        assert len(table.table()) == 0
        row = summary(table)
        assert (row.pop("tested"), row.pop("excluded")) == (0, 0)
        assert np.isnan(list(row.values())).all()


def test_pictures_of_several_networks_stand_side_by_side():
    maps = {"a": np.random.default_rng(0).normal(size=(12, 30))}
    partition = Partition.from_labels({"a": np.arange(12) // 6})
    one = correlations.pictures(partition, maps, n_random=3)
    both = correlations.side_by_side({"first": one, "second": one})
    assert [each.layer for each in both.subclusters] == ["first"] * 2 + ["second"] * 2
    np.testing.assert_array_equal(both.true, np.concatenate([one.true, one.true]))
    assert both.random.shape == (4, 3, 30)
    assert both.partition.hidden == ("first", "second")
    with pytest.raises(ValueError, match="pictures: none were given"):
        correlations.side_by_side({})
