"""The class-wise range: exact on integers, and never significant by being undefined."""

from fractions import Fraction

import numpy as np
import pytest
from summaries import summary

from helpers import measures, networks, statistics
from helpers.lesions import LesionProfiles, lesion_profiles
from helpers.partitions import Partition
from helpers.protocols import PAPER, RELEASED

MNIST = np.array([980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009])
INTACT = np.array([10, 10])
HARMLESS = [10, 10]


class Network:
    """What further lesions would leave: counts in turn (the last one for ever); and what they were.

    By default, lesions fail.
    """

    def __init__(self):
        self.counts, self.lesions = [], []

    def lesioned(self, lesions):
        self.lesions.extend(lesions)
        return np.array(
            [self.counts.pop(0) if len(self.counts) > 1 else self.counts[0] for _ in lesions]
        )


def profiles_of(true, random, labels=(0, 1), network=None):
    """Profiles of the sub-clusters of one layer, of which the intact network is perfect."""
    partition = Partition.from_labels({"dense": list(labels)})
    return LesionProfiles(
        partition,
        tuple(partition.subclusters()),
        INTACT,
        INTACT,
        np.array(true),
        np.array(random),
        "a network and its images",
        (network or Network()).lesioned,
    )


@pytest.fixture
def network():
    return Network()


def exact_range(counts, intact, sizes):
    """The range as a fraction; None if the mean damage is below one image in the largest class."""
    damages = [
        Fraction(int(i) - int(c), int(size))
        for c, i, size in zip(counts, intact, sizes, strict=True)
        if size
    ]
    mean = abs(sum(damages) / len(damages))
    return None if mean < Fraction(1, int(max(sizes))) else (max(damages) - min(damages)) / mean


def random_counts(sizes, n, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, sizes + 1, (n, len(sizes))), rng.integers(0, sizes + 1)


def test_the_range_is_the_spread_of_the_damages_over_their_mean():
    counts, intact = random_counts(MNIST, 50)
    damages = (counts - intact) / MNIST
    expected = np.ptp(damages, axis=1) / abs(damages.mean(axis=1))
    ranges = measures.class_wise_range(counts, intact, MNIST)
    np.testing.assert_allclose(ranges, expected, rtol=1e-10)


@pytest.mark.parametrize("kind", [np.uint8, np.uint64])
def test_counts_without_a_sign_give_the_same_range(kind):
    sizes = np.full(10, 100)
    counts, intact = random_counts(sizes, 20)
    ranges = measures.class_wise_range(counts.astype(kind), intact.astype(kind), sizes.astype(kind))
    np.testing.assert_array_equal(ranges, measures.class_wise_range(counts, intact, sizes))


@pytest.mark.parametrize("sizes", [MNIST, np.array([90, 0, 89]), np.full(10, 100)])
def test_ranges_are_fractions_rounded_once(sizes):
    counts, intact = random_counts(sizes, 300)
    exact = [exact_range(row, intact, sizes) for row in counts]
    expected = [np.nan if each is None else float(each) for each in exact]
    np.testing.assert_array_equal(measures.class_wise_range(counts, intact, sizes), expected)


@pytest.mark.parametrize("sizes", [MNIST, np.array([240, 910, 1130, 59, 438, 764, 127, 612])])
def test_one_lesion_has_the_same_range_alone_as_among_others(sizes):
    counts, intact = random_counts(sizes, 50)
    together = measures.class_wise_range(counts, intact, sizes)
    stacked = measures.class_wise_range(counts.reshape(5, 10, -1), intact, sizes)
    np.testing.assert_array_equal(stacked.ravel(), together)
    alone = [measures.class_wise_range(row, intact, sizes) for row in counts]
    np.testing.assert_array_equal(alone, together)


def test_ranges_that_are_equal_as_fractions_are_equal_as_floats():
    sizes = np.array([3, 7, 49])
    counts = sizes - np.array([[1, 0, 0], [3, 0, 0], [0, 1, 0], [0, 5, 0], [0, 0, 3], [0, 0, 40]])
    ranges = measures.class_wise_range(counts, sizes, sizes)
    np.testing.assert_array_equal(ranges, [3] * 6)


@pytest.mark.parametrize(
    ("sizes", "damages", "expected"),
    [
        ([10, 10], [1, 0], None),
        ([10, 10], [1, 1], 0),
        ([10, 10], [2, 0], 2),
        ([10, 10], [-1, 0], None),
        ([10, 10], [-2, 0], 2),
        ([10, 10], [5, -5], None),
        ([10, 5], [1, 0], None),
        ([10, 5], [0, 1], 2),
        ([10, 5], [3, -1], None),
        ([10, 5], [4, -1], Fraction(3, 5) / Fraction(1, 10)),
        ([10, 0, 10], [1, 0, 1], 0),
        ([10] * 10, [1] * 10, 0),
        ([10] * 10, [1] * 9 + [0], None),
        ([49] * 49, [7] * 7 + [0] * 42, 7),
    ],
)
def test_below_a_mean_damage_of_one_image_in_the_largest_class_nothing_is_defined(
    sizes, damages, expected
):
    sizes = np.array(sizes)
    value = measures.class_wise_range((sizes // 2 - damages)[None], sizes // 2, sizes)
    np.testing.assert_array_equal(value, [np.nan if expected is None else float(expected)])


@pytest.mark.parametrize(
    ("damages", "expected"), [([1, 0], 2), ([0, 0], np.nan), ([3, -3], np.nan), ([3, -2], 10)]
)
def test_in_the_released_code_only_a_mean_of_zero_is_undefined(damages, expected):
    value = measures.class_wise_range(INTACT - [damages], INTACT, INTACT, keeps_undefined=True)
    np.testing.assert_array_equal(value, [expected])


@pytest.mark.parametrize(
    ("protocol", "expected"), [(PAPER, [4 / 5, 1 / 5]), (RELEASED, [3 / 5, 1 / 5])]
)
def test_p_is_the_rank_of_the_range_with_ties_as_the_protocol_says(protocol, expected):
    profiles = profiles_of(
        true=[[2, 6], [0, 10]],
        random=[[[0, 10], [4, 8], [6, 8], [5, 5]], [[5, 5], [4, 6], [6, 9], [0, 9]]],
    )
    table = measures.class_range(profiles, protocol)
    assert table.true.tolist() == [2 / 3, 2]
    assert table.random[0].tolist() == [2, 1, 2 / 3, 0]
    assert table.p.tolist() == expected
    assert table.excluded.tolist() == ["", ""]
    assert table.subclusters["undefined_twins"].tolist() == [0, 0]


def test_an_undefined_sub_cluster_is_excluded_under_the_paper(network):
    table = measures.class_range(profiles_of([HARMLESS] * 2, np.full((2, 3, 2), 5)))
    assert table.excluded.tolist() == ["undefined"] * 2
    assert np.isnan([table.true, table.p]).all()


def test_an_undefined_sub_cluster_is_most_significant_under_the_released_code():
    table = measures.class_range(profiles_of([HARMLESS] * 2, np.full((2, 3, 2), [0, 10])), RELEASED)
    assert table.excluded.tolist() == [""] * 2
    assert table.p.tolist() == [1 / 4] * 2


def test_an_undefined_twin_never_exceeds_under_the_released_code(network):
    random = np.array([[HARMLESS, [0, 10], HARMLESS, [4, 4]]] * 2)
    table = measures.class_range(profiles_of([[4, 8]] * 2, random, network=network), RELEASED)
    assert table.p.tolist() == [2 / 5] * 2
    assert table.subclusters["undefined_twins"].tolist() == [2, 2]
    assert np.isnan(table.random[:, 0]).all()
    assert not network.lesions


@pytest.mark.parametrize(
    ("protocol", "why", "p"), [(PAPER, "complete", np.nan), (RELEASED, "", 1 / 4)]
)
def test_a_complete_sub_cluster_is_excluded_under_the_paper_only(protocol, why, p, network):
    for true in ([0, 5], HARMLESS):
        table = measures.class_range(
            profiles_of([true], [[true] * 3], labels=(0, 0, -1), network=network), protocol
        )
        assert table.excluded.tolist() == [why]
        np.testing.assert_array_equal(table.p, [p])
    assert not network.lesions


def test_undefined_twins_are_redrawn_until_all_are_defined(network):
    network.counts += [HARMLESS, [4, 6], HARMLESS, HARMLESS, [0, 10], [5, 5], HARMLESS]
    profiles = profiles_of(
        true=[[3, 6], [2, 8]],
        random=[[HARMLESS, [5, 5], HARMLESS], [[5, 5], [4, 5], [6, 5]]],
        labels=(*[0] * 2, *[-1] * 8, *[1] * 50),
        network=network,
    )
    table = measures.class_range(profiles)
    # One of three is defined, so three more for two that are missing; then two of six are.
    assert table.random[0].tolist() == [0, 2 / 5, 2]
    assert table.subclusters["undefined_twins"].tolist() == [5, 0]
    assert table.p.tolist() == [2 / 4, 1 / 4]
    np.testing.assert_allclose(table.effects()["effect"], table.true / table.random.mean(axis=1))
    assert table.excluded.tolist() == ["", ""]
    assert len(network.lesions) == 6
    for lesion in network.lesions:
        (units,) = lesion.values()
        assert [*lesion] == ["dense"]
        assert len(set(units)) == 2
        assert set(units) <= {0, 1, *range(10, 60)}


def test_after_fifty_times_as_many_twins_the_sub_cluster_is_excluded(network):
    network.counts.append(HARMLESS)
    random = [[HARMLESS] * 4, [[5, 5], [0, 9], [6, 9], HARMLESS]]
    table = measures.class_range(profiles_of([[3, 6]] * 2, random, network=network))
    assert table.excluded.tolist() == ["twins undefined"] * 2
    assert np.isnan(table.p).all()
    assert table.subclusters["undefined_twins"].tolist() == [200, 197]
    assert np.isnan(list(summary(table).values())[2:]).all()


def test_a_last_twin_in_time_is_enough(network):
    network.counts += [HARMLESS] * 97 + [[5, 5]]
    labels = np.repeat([0, 1], (20, 180))
    table = measures.class_range(
        profiles_of([[3, 6], HARMLESS], [[[5, 5], HARMLESS]] * 2, labels, network=network)
    )
    assert table.excluded.tolist() == ["", "undefined"]
    assert table.p[0] == 1 / 3
    assert table.subclusters["undefined_twins"].tolist() == [98, 1]
    assert len(network.lesions) == 98


def test_a_twin_that_is_drawn_again_is_not_lesioned_again(network):
    network.counts.append(HARMLESS)
    measures.class_range(profiles_of([[3, 6]] * 2, [[HARMLESS] * 4] * 2, network=network))
    assert sorted(int(lesion["dense"][0]) for lesion in network.lesions) == [0, 1]


def test_what_a_sub_cluster_draws_does_not_depend_on_the_others(network):
    network.counts.append([4, 6])
    labels = np.repeat([0, 1], 100)
    drawn = []
    for first in (HARMLESS, [3, 6]):
        measures.class_range(
            profiles_of([first, [3, 6]], [[HARMLESS] * 2] * 2, labels, network=network)
        )
        drawn.append({lesion["dense"].tobytes() for lesion in network.lesions})
        network.lesions.clear()
    assert [len(each) for each in drawn] == [2, 4]
    assert drawn[0] < drawn[1]


def test_redrawn_twins_are_not_the_first_ones_again(network):
    network.counts.append([4, 6])
    profiles = profiles_of(
        [[3, 6]] * 2, [[HARMLESS] * 2] * 2, np.repeat([0, 1], 100), network=network
    )
    measures.class_range(profiles, seed=5)
    first = profiles.partition.random_twins(profiles.subclusters[0], 2, np.random.default_rng(5))
    again = {lesion["dense"].tobytes() for lesion in network.lesions}
    assert again.isdisjoint(units.tobytes() for units in first)


def test_the_seed_decides_the_redrawn_twins(network):
    network.counts.append([4, 6])
    labels = np.repeat([0, 1], 100)
    drawn = []
    for seed in (3, 3, 4):
        measures.class_range(
            profiles_of([[3, 6]] * 2, [[HARMLESS] * 2] * 2, labels, network=network), seed=seed
        )
        drawn.append(np.array([lesion["dense"] for lesion in network.lesions]))
        network.lesions.clear()
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert (drawn[0] != drawn[2]).any()


def test_the_table_holds_the_description():
    profiles = profiles_of([[0, 10]] * 2, np.full((2, 2, 2), 5))
    table = measures.class_range(profiles).table()
    described = profiles.describe()
    assert table.columns.tolist() == [
        *described.columns,
        *("undefined_twins", "value", "random_median", "excluded", "p"),
    ]
    np.testing.assert_array_equal(table[described.columns], described)


def test_combined_p_values_are_those_of_the_statistics():
    random = [[[0, 10], [4, 8], [5, 5]], [[5, 5], [4, 6], [6, 9]], [[5, 5]] * 3]
    table = measures.class_range(profiles_of([[2, 6], [0, 10], HARMLESS], random, labels=(0, 1, 2)))
    values, twins = table.true[:2], table.random[:2]
    rng = np.random.default_rng(7)
    assert summary(table, 7) == {
        "tested": 2,
        "excluded": 1,
        "fisher": statistics.fisher([3 / 4, 1 / 4], 3),
        "chi2": statistics.chi2([3 / 4, 1 / 4], 3),
        "exchangeable_fisher": statistics.exchangeable(values, twins, "right", "fisher", rng=rng),
        "exchangeable_chi2": statistics.exchangeable(values, twins, "right", "chi2", rng=rng),
    }


def test_a_network_that_no_lesion_harms_is_never_significant_under_the_paper():
    model = networks.mlp((2, 2, 1), 3, width=4)
    model.get_layer("output").set_weights([np.zeros((4, 3)), np.array([1.0, 0.0, 0.0])])
    images = np.ones((30, 2, 2, 1), np.float32), np.arange(30) % 3
    partition = Partition.from_labels({f"dense_{i}": [0, 0, 1, 1] for i in (1, 2, 3, 4)})
    profiles = lesion_profiles(model, *images, partition, n_random=5)
    paper, released = (measures.class_range(profiles, each) for each in (PAPER, RELEASED))
    assert (paper.excluded == "undefined").all()
    row = summary(paper)
    assert (row.pop("tested"), row.pop("excluded")) == (0, 8)
    assert np.isnan(list(row.values())).all()
    assert (measures.importance(profiles).p == 1).all()
    assert (released.p == 1 / 6).all()
    assert summary(released)["fisher"] < 0.05


def test_a_partition_without_sub_clusters_gives_an_empty_table():
    for protocol in (PAPER, RELEASED):
        table = measures.class_range(
            profiles_of(np.zeros((0, 2), int), np.zeros((0, 3, 2), int), labels=(-1, -1)), protocol
        )
        assert len(table.table()) == 0
        assert summary(table)["tested"] == 0
