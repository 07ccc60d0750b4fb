"""Constructed images: how strongly, how surely and how equally they drive their units."""

import numpy as np
import pytest
from summaries import summary

from helpers import measures, statistics
from helpers.construction import Constructions, Made
from helpers.partitions import Partition
from helpers.protocols import PAPER, RELEASED


def made_of(scores, entropies=None, spreads=None, labels=(0, 0, 0, 1, 1, 1, -1)):
    """Images that were made for the sub-clusters of one layer and their twins."""
    partition = Partition.from_labels({"dense": list(labels)})
    scores = np.array(scores, float)
    entropies, spreads = (
        np.ones_like(scores) if each is None else np.array(each, float)
        for each in (entropies, spreads)
    )
    images = np.zeros((*scores.shape, 2, 2, 1), np.float32)
    subclusters = tuple(partition.subclusters())
    together = (images, scores, entropies, spreads)
    true, random = (Made(*(each[:, chosen] for each in together)) for chosen in (0, slice(1, None)))
    return Constructions(partition, subclusters, true, random, "a network and its images")


NUMBERS = [[3, 1, 2, 3, 4], [0.5, 0.7, 0.5, 0.6, 0.5]]
"""Of the first, one twin is larger, one equal and two smaller; of the second two, two and none."""


@pytest.mark.parametrize(
    ("protocol", "expected"), [(PAPER, [3 / 5, 5 / 5]), (RELEASED, [2 / 5, 3 / 5])]
)
def test_p_is_the_share_of_scores_that_are_as_large(protocol, expected):
    table = measures.score(made_of(NUMBERS), protocol)
    assert table.true.tolist() == [3, 0.5]
    assert table.random.tolist() == [each[1:] for each in NUMBERS]
    assert table.p.tolist() == expected


@pytest.mark.parametrize(
    ("protocol", "expected"), [(PAPER, [4 / 5, 3 / 5]), (RELEASED, [3 / 5, 1 / 5])]
)
def test_p_is_the_share_of_entropies_that_are_as_small(protocol, expected):
    table = measures.output_entropy(made_of(np.ones((2, 5)), entropies=NUMBERS), protocol)
    assert table.true.tolist() == [3, 0.5]
    assert table.random.tolist() == [each[1:] for each in NUMBERS]
    assert table.p.tolist() == expected


@pytest.mark.parametrize(
    ("protocol", "expected"), [(PAPER, [4 / 5, 3 / 5]), (RELEASED, [3 / 5, 1 / 5])]
)
def test_p_is_the_share_of_variances_that_are_as_small(protocol, expected):
    table = measures.activation_variance(made_of(np.ones((2, 5)), spreads=NUMBERS), protocol)
    assert table.true.tolist() == [9, 0.25]
    np.testing.assert_allclose(table.random, [np.square(each[1:]) for each in NUMBERS])
    assert table.p.tolist() == expected
    assert table.excluded.tolist() == ["", ""]


CONSTRUCTED = (measures.score, measures.output_entropy, measures.activation_variance)


@pytest.mark.parametrize("test", CONSTRUCTED)
@pytest.mark.parametrize(
    ("protocol", "why", "p"), [(PAPER, "complete", np.nan), (RELEASED, "", 1 / 3)]
)
def test_images_of_a_complete_sub_cluster_are_excluded_under_the_paper_only(test, protocol, why, p):
    table = test(made_of(np.ones((1, 3)), labels=(0, 0, 0, -1)), protocol)
    assert table.subclusters["complete"].tolist() == [True]
    assert table.excluded.tolist() == [why]
    np.testing.assert_array_equal(table.p, [p])


@pytest.mark.parametrize("protocol", [PAPER, RELEASED])
def test_images_that_drive_no_unit_have_no_variance_to_compare_but_are_counted(protocol):
    made = made_of(
        scores=[[0, 1, 1], [1, 1, 0], [0, 0, 1], [2, 1, 1]],
        spreads=[[0, 1, 1], [1, 1, 0], [0, 0, 1], [1, 2, 3]],
        labels=(0, 1, 2, 3, -1),
    )
    table = measures.activation_variance(made, protocol)
    assert table.excluded.tolist() == ["inactive", "twins inactive", "inactive", ""]
    np.testing.assert_array_equal(table.p, [np.nan, np.nan, np.nan, 1 / 3])
    row = summary(table)
    assert (row["tested"], row["excluded"]) == (1, 3)
    for other in (measures.score, measures.output_entropy):
        assert other(made, protocol).excluded.tolist() == [""] * 4


def test_units_that_are_active_below_zero_are_not_called_inactive():
    """As those of tanh can be: only where all activations are 0 there is nothing to compare."""
    made = made_of(-np.array(NUMBERS), spreads=NUMBERS)
    assert measures.activation_variance(made).excluded.tolist() == ["", ""]
    assert measures.activation_variance(made).true.tolist() == [9, 0.25]
    assert measures.variation_quartiles(made)["inactive"] == 2


def test_a_dead_sub_cluster_never_scores_high():
    table = measures.score(made_of([[0, 1, 2, 3], [0, 0, 0, 0]]))
    assert table.p.tolist() == [1, 1]


def test_entropies_are_tested_for_being_small_without_anyone_saying_so():
    small = np.hstack([np.full((6, 1), 0.1), np.tile(np.linspace(0.5, 1.5, 9), (6, 1))])
    made = made_of(np.ones((6, 10)), entropies=small, labels=(*range(6), -1))
    compared = measures.output_entropy(made)
    expected = statistics.exchangeable(
        compared.true, compared.random, "left", rng=np.random.default_rng(3)
    )
    assert summary(compared, 3)["exchangeable_fisher"] == expected < 0.001
    np.testing.assert_allclose(compared.effects()["effect"], 0.1 - 1.0)


@pytest.mark.parametrize("test", CONSTRUCTED)
def test_combined_as_released_there_is_no_exchangeable_test(test):
    rows = summary(test(made_of(NUMBERS), RELEASED))
    assert np.isnan([rows["exchangeable_fisher"], rows["exchangeable_chi2"]]).all()
    assert np.isfinite([rows["fisher"], rows["chi2"]]).all()


def test_planted_images_are_found_on_the_side_that_each_test_looks_at():
    extreme, usual = np.full((6, 1), 2.0), np.tile(np.linspace(0.5, 1.5, 9), (6, 1))
    labels = (*range(6), -1)
    large = made_of(np.hstack([extreme, usual]), labels=labels)
    assert measures.score(large).p.tolist() == [1 / 10] * 6
    assert summary(measures.score(large))["exchangeable_fisher"] < 0.001
    small = np.hstack([extreme / 10, usual])
    made = made_of(np.ones((6, 10)), small, small, labels)
    for test in (measures.output_entropy, measures.activation_variance):
        assert test(made).p.tolist() == [1 / 10] * 6
        assert summary(test(made))["exchangeable_fisher"] < 0.001


def varying(*variations, scores=None):
    """Images whose own coefficients of variation are given; those of their twins are 7."""
    own = np.ones(len(variations)) if scores is None else np.array(scores, float)
    scores = np.stack([own, np.ones(len(own))], axis=1)
    spreads = np.stack([own * variations, np.full(len(own), 7)], axis=1)
    return made_of(scores, spreads=spreads, labels=(*range(len(own)), -1))


@pytest.mark.parametrize(
    ("variations", "scores", "expected"),
    [
        ([0.5], None, [0.5, 0.5, 0.5, 0]),
        ([3, 1, 2, 5, 4], None, [2, 3, 4, 0]),
        ([3, 1, 2, 5, 4], [0.5, 2, 4, 8, 16], [2, 3, 4, 0]),
        ([4, 1, 2, 0], None, [0.75, 1.5, 2.5, 0]),
        ([3, 9, 1, 2, 9], [1, 0, 2, 4, 0], [1.5, 2, 2.5, 2]),
        ([9, 9], [0, 0], [np.nan, np.nan, np.nan, 2]),
        ([], None, [np.nan, np.nan, np.nan, 0]),
    ],
)
def test_quartiles_of_the_variation_are_what_is_worked_out_by_hand(variations, scores, expected):
    row = measures.variation_quartiles(varying(*variations, scores=scores))
    assert list(row) == ["first", "median", "third", "inactive"]
    np.testing.assert_allclose(list(row.values()), expected)


@pytest.mark.parametrize(
    ("medians", "expected"),
    [([0.4], 0), ([0.4, 0.1, 0.3], 2), ([5, 1, 4, 2, 3], 4), ([1, 9, 1, 9, 2], 4)],
)
def test_the_median_network_has_the_median_of_the_medians(medians, expected):
    rows = [{"first": 9.0 - i, "median": each, "third": 99.0} for i, each in enumerate(medians)]
    assert measures.median_network(rows) == expected
    assert isinstance(measures.median_network(rows), int)


def test_of_networks_with_the_same_median_one_of_them_is_the_median_network():
    assert measures.median_network([{"median": each} for each in (2, 1, 1, 1, 2)]) in (1, 2, 3)


@pytest.mark.parametrize("medians", [[], [1, 2], [1, 2, 3, 4], [1, np.nan, 2]])
def test_without_an_odd_number_of_medians_there_is_no_median_network(medians):
    with pytest.raises(ValueError, match="quartiles: an odd number of networks is needed, each"):
        measures.median_network([{"median": each} for each in medians])
