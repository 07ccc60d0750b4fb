"""Coherence: the class-wise range, exact on integers, and never significant by being undefined.

Of pictures, their contrast and their preference for one part of the input. Of constructed images,
how strongly, how surely and how equally they drive their units.
"""

from fractions import Fraction

import numpy as np
import pytest
import scipy.linalg
import scipy.stats

from helpers import coherence, correlations, importance, networks, statistics
from helpers.construction import Constructions
from helpers.correlations import Pictures
from helpers.partitions import Partition
from helpers.profiles import LesionProfiles, lesion_profiles
from helpers.protocols import PAPER, RELEASED

MNIST = np.array([980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009])
INTACT = np.array([10, 10])
HARMLESS = [10, 10]


def profiles_of(true, random, labels=(0, 1)):
    """Profiles of the sub-clusters of one layer, of which the intact network is perfect."""
    partition = Partition.from_labels({"dense": list(labels)})
    subclusters = tuple(partition.subclusters())
    return LesionProfiles(partition, subclusters, INTACT, INTACT, np.array(true), np.array(random))


def class_range(profiles, protocol=PAPER, seed=0):
    """The table of profiles whose redrawn twins need neither a network nor images."""
    return coherence.class_range(None, None, None, profiles, protocol, seed)


@pytest.fixture
def redrawn(monkeypatch):
    """Counts to be returned in turn for redrawn twins (the last one for ever), and what was drawn.

    By default, redrawing fails.
    """
    counts, lesioned = [], []

    def correct_counts(model, x, y, lesions):
        lesioned.extend(lesions)
        return np.array([counts.pop(0) if len(counts) > 1 else counts[0] for _ in lesions])

    monkeypatch.setattr(coherence.lesions, "correct_counts", correct_counts)
    return counts, lesioned


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
    ranges = coherence.class_wise_range(counts, intact, MNIST)
    np.testing.assert_allclose(ranges, expected, rtol=1e-10)


@pytest.mark.parametrize("sizes", [MNIST, np.array([90, 0, 89]), np.full(10, 100)])
def test_ranges_are_fractions_rounded_once(sizes):
    counts, intact = random_counts(sizes, 300)
    exact = [exact_range(row, intact, sizes) for row in counts]
    expected = [np.nan if each is None else float(each) for each in exact]
    np.testing.assert_array_equal(coherence.class_wise_range(counts, intact, sizes), expected)


@pytest.mark.parametrize("sizes", [MNIST, np.array([240, 910, 1130, 59, 438, 764, 127, 612])])
def test_one_lesion_has_the_same_range_alone_as_among_others(sizes):
    counts, intact = random_counts(sizes, 50)
    together = coherence.class_wise_range(counts, intact, sizes)
    stacked = coherence.class_wise_range(counts.reshape(5, 10, -1), intact, sizes)
    np.testing.assert_array_equal(stacked.ravel(), together)
    alone = [coherence.class_wise_range(row, intact, sizes) for row in counts]
    np.testing.assert_array_equal(alone, together)


def test_ranges_that_are_equal_as_fractions_are_equal_as_floats():
    sizes = np.array([3, 7, 49])
    counts = sizes - np.array([[1, 0, 0], [3, 0, 0], [0, 1, 0], [0, 5, 0], [0, 0, 3], [0, 0, 40]])
    ranges = coherence.class_wise_range(counts, sizes, sizes)
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
    value = coherence.class_wise_range((sizes // 2 - damages)[None], sizes // 2, sizes)
    np.testing.assert_array_equal(value, [np.nan if expected is None else float(expected)])


@pytest.mark.parametrize(
    ("damages", "expected"), [([1, 0], 2), ([0, 0], np.nan), ([3, -3], np.nan), ([3, -2], 10)]
)
def test_in_the_released_code_only_a_mean_of_zero_is_undefined(damages, expected):
    value = coherence.class_wise_range(INTACT - [damages], INTACT, INTACT, keeps_undefined=True)
    np.testing.assert_array_equal(value, [expected])


@pytest.mark.parametrize(
    ("protocol", "expected"), [(PAPER, [4 / 5, 1 / 5]), (RELEASED, [3 / 5, 1 / 5])]
)
def test_p_is_the_rank_of_the_range_with_ties_as_the_protocol_says(protocol, expected):
    profiles = profiles_of(
        true=[[2, 6], [0, 10]],
        random=[[[0, 10], [4, 8], [6, 8], [5, 5]], [[5, 5], [4, 6], [6, 9], [0, 9]]],
    )
    table = class_range(profiles, protocol)
    assert table["value"].tolist() == [2 / 3, 2]
    assert table.loc[0, ["random_1", "random_2", "random_3", "random_4"]].tolist() == [
        *(2, 1, 2 / 3, 0),
    ]
    assert table["p"].tolist() == expected
    assert table["excluded"].tolist() == ["", ""]
    assert table["undefined_twins"].tolist() == [0, 0]


def test_an_undefined_sub_cluster_is_excluded_under_the_paper(redrawn):
    table = class_range(profiles_of([HARMLESS] * 2, np.full((2, 3, 2), 5)))
    assert table["excluded"].tolist() == ["undefined"] * 2
    assert table[["value", "p"]].isna().all(axis=None)


def test_an_undefined_sub_cluster_is_most_significant_under_the_released_code():
    table = class_range(profiles_of([HARMLESS] * 2, np.full((2, 3, 2), [0, 10])), RELEASED)
    assert table["excluded"].tolist() == [""] * 2
    assert table["p"].tolist() == [1 / 4] * 2


def test_an_undefined_twin_never_exceeds_under_the_released_code(redrawn):
    random = np.array([[HARMLESS, [0, 10], HARMLESS, [4, 4]]] * 2)
    table = class_range(profiles_of([[4, 8]] * 2, random), RELEASED)
    assert table["p"].tolist() == [2 / 5] * 2
    assert table["undefined_twins"].tolist() == [2, 2]
    assert np.isnan(table["random_1"]).all()
    assert not redrawn[1]


@pytest.mark.parametrize(
    ("protocol", "why", "p"), [(PAPER, "complete", np.nan), (RELEASED, "", 1 / 4)]
)
def test_a_complete_sub_cluster_is_excluded_under_the_paper_only(protocol, why, p, redrawn):
    for true in ([0, 5], HARMLESS):
        table = class_range(profiles_of([true], [[true] * 3], labels=(0, 0, -1)), protocol)
        assert table["excluded"].tolist() == [why]
        np.testing.assert_array_equal(table["p"], [p])
    assert not redrawn[1]


def test_undefined_twins_are_redrawn_until_all_are_defined(redrawn):
    counts, lesioned = redrawn
    counts += [HARMLESS, [4, 6], HARMLESS, HARMLESS, [0, 10], [5, 5], HARMLESS]
    profiles = profiles_of(
        true=[[3, 6], [2, 8]],
        random=[[HARMLESS, [5, 5], HARMLESS], [[5, 5], [4, 5], [6, 5]]],
        labels=(*[0] * 2, *[-1] * 8, *[1] * 50),
    )
    table = class_range(profiles)
    # One of three is defined, so three more for two that are missing; then two of six are.
    assert table.loc[0, ["random_1", "random_2", "random_3"]].tolist() == [0, 2 / 5, 2]
    assert table["undefined_twins"].tolist() == [5, 0]
    assert table["p"].tolist() == [2 / 4, 1 / 4]
    assert table["excluded"].tolist() == ["", ""]
    assert len(lesioned) == 6
    for lesion in lesioned:
        (units,) = lesion.values()
        assert [*lesion] == ["dense"]
        assert len(set(units)) == 2
        assert set(units) <= {0, 1, *range(10, 60)}


def test_after_fifty_times_as_many_twins_the_sub_cluster_is_excluded(redrawn):
    counts, _ = redrawn
    counts.append(HARMLESS)
    random = [[HARMLESS] * 4, [[5, 5], [0, 9], [6, 9], HARMLESS]]
    table = class_range(profiles_of([[3, 6]] * 2, random))
    assert table["excluded"].tolist() == ["twins undefined"] * 2
    assert table["p"].isna().all()
    assert table["undefined_twins"].tolist() == [200, 197]
    assert np.isnan(list(coherence.combined(table).values())[2:]).all()


def test_a_last_twin_in_time_is_enough(redrawn):
    counts, lesioned = redrawn
    counts += [HARMLESS] * 97 + [[5, 5]]
    labels = np.repeat([0, 1], (20, 180))
    table = class_range(profiles_of([[3, 6], HARMLESS], [[[5, 5], HARMLESS]] * 2, labels))
    assert table["excluded"].tolist() == ["", "undefined"]
    assert table["p"][0] == 1 / 3
    assert table["undefined_twins"].tolist() == [98, 1]
    assert len(lesioned) == 98


def test_a_twin_that_is_drawn_again_is_not_lesioned_again(redrawn):
    counts, lesioned = redrawn
    counts.append(HARMLESS)
    class_range(profiles_of([[3, 6]] * 2, [[HARMLESS] * 4] * 2))
    assert sorted(int(lesion["dense"][0]) for lesion in lesioned) == [0, 1]


def test_what_a_sub_cluster_draws_does_not_depend_on_the_others(redrawn):
    counts, lesioned = redrawn
    counts.append([4, 6])
    labels = np.repeat([0, 1], 100)
    drawn = []
    for first in (HARMLESS, [3, 6]):
        class_range(profiles_of([first, [3, 6]], [[HARMLESS] * 2] * 2, labels))
        drawn.append({lesion["dense"].tobytes() for lesion in lesioned})
        lesioned.clear()
    assert [len(each) for each in drawn] == [2, 4]
    assert drawn[0] < drawn[1]


def test_redrawn_twins_are_not_the_first_ones_again(redrawn):
    counts, lesioned = redrawn
    counts.append([4, 6])
    profiles = profiles_of([[3, 6]] * 2, [[HARMLESS] * 2] * 2, np.repeat([0, 1], 100))
    class_range(profiles, seed=5)
    first = profiles.partition.random_twins(profiles.subclusters[0], 2, np.random.default_rng(5))
    again = {lesion["dense"].tobytes() for lesion in lesioned}
    assert again.isdisjoint(units.tobytes() for units in first)


def test_the_seed_decides_the_redrawn_twins(redrawn):
    counts, lesioned = redrawn
    counts.append([4, 6])
    labels = np.repeat([0, 1], 100)
    drawn = []
    for seed in (3, 3, 4):
        class_range(profiles_of([[3, 6]] * 2, [[HARMLESS] * 2] * 2, labels), seed=seed)
        drawn.append(np.array([lesion["dense"] for lesion in lesioned]))
        lesioned.clear()
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert (drawn[0] != drawn[2]).any()


def test_the_table_holds_the_description():
    profiles = profiles_of([[0, 10]] * 2, np.full((2, 2, 2), 5))
    table = class_range(profiles)
    described = profiles.describe()
    assert table.columns.tolist() == [
        *described.columns,
        *("value", "random_1", "random_2", "undefined_twins", "excluded", "p"),
    ]
    np.testing.assert_array_equal(table[described.columns], described)


def test_combined_p_values_are_those_of_the_statistics():
    random = [[[0, 10], [4, 8], [5, 5]], [[5, 5], [4, 6], [6, 9]], [[5, 5]] * 3]
    table = class_range(profiles_of([[2, 6], [0, 10], HARMLESS], random, labels=(0, 1, 2)))
    values, twins = table["value"][:2], table.filter(like="random_")[:2]
    rng = np.random.default_rng(7)
    assert coherence.combined(table, seed=7) == {
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
    paper, released = (
        coherence.class_range(model, *images, profiles, each) for each in (PAPER, RELEASED)
    )
    assert (paper["excluded"] == "undefined").all()
    row = coherence.combined(paper)
    assert (row.pop("tested"), row.pop("excluded")) == (0, 8)
    assert np.isnan(list(row.values())).all()
    assert (importance.importance(profiles)["p"] == 1).all()
    assert (released["p"] == 1 / 6).all()
    assert coherence.combined(released, RELEASED)["fisher"] < 0.05


def test_a_partition_without_sub_clusters_gives_an_empty_table():
    for protocol in (PAPER, RELEASED):
        table = class_range(
            profiles_of(np.zeros((0, 2), int), np.zeros((0, 3, 2), int), labels=(-1, -1)), protocol
        )
        assert len(table) == 0
        assert coherence.combined(table, protocol)["tested"] == 0


PARTS = np.array([0, 0, 1, 1])
DESCRIBED = ["layer", "cluster", "size", "share", "complete"]


def pictures_of(true, random, labels=(0, 0, 1, 2, -1)):
    """Pictures of the sub-clusters of one layer."""
    partition = Partition.from_labels({"dense": list(labels)})
    true, random = np.array(true, float), np.array(random, float)
    strengths = np.full(len(true), 4.0), np.full(random.shape[:2], 2.0)
    return Pictures(partition, partition.subclusters(), true, random, *strengths)


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
    table = coherence.contrast(pictures_of(true, random))
    np.testing.assert_array_equal(table["value"], [np.std(each) for each in true])
    expected = [[np.std(each) for each in twins] for twins in random]
    np.testing.assert_allclose(table.filter(like="random_"), expected, rtol=1e-12)


def test_agreement_is_the_length_of_the_picture_relative_to_that_of_its_maps():
    table = coherence.agreement(three_pictures())
    np.testing.assert_allclose(table["value"], [2 / 4, 1 / 4, 0.4 / 4])
    np.testing.assert_allclose(table.filter(like="random_").iloc[1], [2 / 2, 2 / 2, 1 / 2])


def test_maps_of_one_direction_agree_fully_and_opposite_ones_not_at_all():
    base = np.random.default_rng(0).normal(size=6)
    alike = np.outer([1, 2, -3, 0.5], base)
    corners = np.kron(np.eye(2), [[1.0], [-1.0]]) @ np.eye(2, 6)
    for maps, n_iterations, expected in ((alike, 20, 1), (corners, 0, 0)):
        partition = Partition.from_labels({"a": [0, 0, 0, 0]})
        made = correlations.pictures(
            partition, {"a": maps}, n_random=1, n_iterations=n_iterations, max_fraction=1.0
        )
        value = coherence.agreement(made, RELEASED)["value"]
        np.testing.assert_allclose(value, expected, atol=1e-12)


@pytest.mark.parametrize(
    ("protocol", "expected"), [(PAPER, [2 / 4, 1, 1]), (RELEASED, [1 / 4, 3 / 4, 1])]
)
def test_p_is_the_rank_of_the_contrast_with_ties_as_the_protocol_says(protocol, expected):
    table = coherence.contrast(three_pictures(), protocol)
    assert table["p"].tolist() == expected
    assert table["value"].tolist() == [1, 0.5, 0]
    assert table["random_1"].tolist() == [0.5, 1, 1]


def test_tables_of_pictures_hold_the_description():
    made = three_pictures()
    for table, more in (
        (coherence.contrast(made), []),
        (coherence.preference(made, PARTS), ["preferred"]),
    ):
        twins = ["random_1", "random_2", "random_3"]
        assert table.columns.tolist() == [*DESCRIBED, "value", *twins, "excluded", "p", *more]
        assert table["cluster"].tolist() == [0, 1, 2]
        assert table["share"].tolist() == [2 / 5, 1 / 5, 1 / 5]
        combined = coherence.combined(table, seed=5)
        assert combined == statistics.combine(table, "right", "inclusive", 5)
        assert (combined["tested"], combined["excluded"]) == (3, 0)


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
    table = coherence.contrast(made)
    assert table["p"].tolist() == [1 / 21] * 4
    np.testing.assert_allclose(table["value"], 1)
    combined = coherence.combined(table)
    assert max(combined["fisher"], combined["exchangeable_fisher"]) < 0.001


def test_the_preference_finds_sub_clusters_of_copies_that_see_one_part_only():
    partition, maps = planted_copies()
    first = np.isin(partition.labels["dense"], (0, 2))
    maps["dense"][first, 16:] = 0
    maps["dense"][~first, :16] = 0
    made = correlations.pictures(partition, maps, n_random=20)
    table = coherence.preference(made, np.repeat([0, 1], 16))
    assert table["value"].tolist() == [1] * 4
    assert table["p"].max() <= 2 / 21  # All units of a twin may happen to see the same part.
    assert table["preferred"].tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize("n_iterations", [0, 20])
def test_p_values_of_random_sub_clusters_of_exchangeable_maps_are_uniform(n_iterations):
    contrasts, preferences = [], []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        partition = Partition.from_labels({"dense": rng.permutation(np.repeat(range(4), 5))})
        maps = {"dense": rng.normal(size=(20, 6)) * rng.random((20, 1))}
        made = correlations.pictures(partition, maps, 9, n_iterations, seed=seed)
        # Sub-clusters of one network depend on each other: one of each is looked at.
        contrasts.append(coherence.contrast(made)["p"][0])
        preferences.append(coherence.preference(made, np.repeat([0, 1], 3))["p"][0])
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
    table = coherence.preference(made, np.array(parts))
    np.testing.assert_allclose(table["value"], value, rtol=1e-12)
    np.testing.assert_allclose(table.filter(like="random_"), value, rtol=1e-12)
    assert table["preferred"].isin((0, 1)).all()
    assert preferred is None or table["preferred"].tolist() == [preferred] * 2
    assert table["p"].tolist() == [1, 1]


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
    table = coherence.preference(made, PARTS, protocol)
    assert table["p"].tolist() == expected
    assert table["preferred"].tolist() == [0, 0]


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
        coherence.preference(three_pictures(), np.array(parts))


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
        coherence.contrast(made, protocol),
        coherence.preference(made, PARTS, protocol),
    ):
        assert table["complete"].tolist() == [True]
        assert table["excluded"].tolist() == [why]
        np.testing.assert_array_equal(table["p"], [p])
        row = coherence.combined(table, protocol)
        assert (row["tested"], row["excluded"]) == ((0, 1) if why else (1, 0))
        assert np.isnan(row["fisher"]) == bool(why)


@pytest.mark.parametrize("protocol", [PAPER, RELEASED])
def test_without_pictures_there_is_nothing_to_combine(protocol):
    partition = Partition.from_labels({"dense": [0, 1, 2, 3]})
    made = correlations.pictures(partition, {"dense": np.eye(4)}, n_random=3)
    for table in (
        coherence.contrast(made, protocol),
        coherence.preference(made, PARTS, protocol),
    ):
        assert len(table) == 0
        row = coherence.combined(table, protocol)
        assert (row.pop("tested"), row.pop("excluded")) == (0, 0)
        assert np.isnan(list(row.values())).all()


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
    return Constructions(partition, subclusters, images, scores, entropies, spreads)


NUMBERS = [[3, 1, 2, 3, 4], [0.5, 0.7, 0.5, 0.6, 0.5]]
"""Of the first, one twin is larger, one equal and two smaller; of the second two, two and none."""


@pytest.mark.parametrize(
    ("protocol", "expected"), [(PAPER, [3 / 5, 5 / 5]), (RELEASED, [2 / 5, 3 / 5])]
)
def test_p_is_the_share_of_scores_that_are_as_large(protocol, expected):
    table = coherence.score(made_of(NUMBERS), protocol)
    assert table["value"].tolist() == [3, 0.5]
    assert table.filter(like="random_").to_numpy().tolist() == [each[1:] for each in NUMBERS]
    assert table["p"].tolist() == expected


@pytest.mark.parametrize(
    ("protocol", "expected"), [(PAPER, [4 / 5, 3 / 5]), (RELEASED, [3 / 5, 1 / 5])]
)
def test_p_is_the_share_of_entropies_that_are_as_small(protocol, expected):
    table = coherence.output_entropy(made_of(np.ones((2, 5)), entropies=NUMBERS), protocol)
    assert table["value"].tolist() == [3, 0.5]
    assert table.filter(like="random_").to_numpy().tolist() == [each[1:] for each in NUMBERS]
    assert table["p"].tolist() == expected


@pytest.mark.parametrize(
    ("protocol", "expected"), [(PAPER, [4 / 5, 3 / 5]), (RELEASED, [3 / 5, 1 / 5])]
)
def test_p_is_the_share_of_variances_that_are_as_small(protocol, expected):
    table = coherence.activation_variance(made_of(np.ones((2, 5)), spreads=NUMBERS), protocol)
    assert table["value"].tolist() == [9, 0.25]
    np.testing.assert_allclose(
        table.filter(like="random_"), [np.square(each[1:]) for each in NUMBERS]
    )
    assert table["p"].tolist() == expected
    assert table["excluded"].tolist() == ["", ""]


CONSTRUCTED = (coherence.score, coherence.output_entropy, coherence.activation_variance)


@pytest.mark.parametrize("test", CONSTRUCTED)
def test_tables_of_constructed_images_hold_the_description(test):
    table = test(made_of(NUMBERS))
    twins = [f"random_{i}" for i in (1, 2, 3, 4)]
    assert table.columns.tolist() == [*DESCRIBED, "value", *twins, "excluded", "p"]
    assert table["cluster"].tolist() == [0, 1]
    assert table["share"].tolist() == [3 / 7, 3 / 7]


@pytest.mark.parametrize("test", CONSTRUCTED)
@pytest.mark.parametrize(
    ("protocol", "why", "p"), [(PAPER, "complete", np.nan), (RELEASED, "", 1 / 3)]
)
def test_images_of_a_complete_sub_cluster_are_excluded_under_the_paper_only(test, protocol, why, p):
    table = test(made_of(np.ones((1, 3)), labels=(0, 0, 0, -1)), protocol)
    assert table["complete"].tolist() == [True]
    assert table["excluded"].tolist() == [why]
    np.testing.assert_array_equal(table["p"], [p])


@pytest.mark.parametrize("protocol", [PAPER, RELEASED])
def test_images_that_drive_no_unit_have_no_variance_to_compare_but_are_counted(protocol):
    made = made_of(
        scores=[[0, 1, 1], [1, 1, 0], [0, 0, 1], [2, 1, 1]],
        spreads=[[0, 1, 1], [1, 1, 0], [0, 0, 1], [1, 2, 3]],
        labels=(0, 1, 2, 3, -1),
    )
    table = coherence.activation_variance(made, protocol)
    assert table["excluded"].tolist() == ["inactive", "twins inactive", "inactive", ""]
    np.testing.assert_array_equal(table["p"], [np.nan, np.nan, np.nan, 1 / 3])
    row = coherence.combined(table, protocol, side="left")
    assert (row["tested"], row["excluded"]) == (1, 3)
    for other in (coherence.score, coherence.output_entropy):
        assert other(made, protocol)["excluded"].tolist() == [""] * 4


def test_a_dead_sub_cluster_never_scores_high():
    table = coherence.score(made_of([[0, 1, 2, 3], [0, 0, 0, 0]]))
    assert table["p"].tolist() == [1, 1]


def test_small_values_combine_from_the_left():
    rng = np.random.default_rng(0)
    made = made_of(rng.random((4, 10)) + 1, rng.random((4, 10)), labels=(0, 1, 2, 3, -1))
    table = coherence.output_entropy(made)
    combined = coherence.combined(table, seed=3, side="left")
    assert combined == statistics.combine(table, "left", "inclusive", 3)
    assert combined != coherence.combined(table, seed=3)
    assert combined["fisher"] == statistics.fisher(table["p"], 9)
    released = coherence.output_entropy(made, RELEASED)
    assert coherence.combined(released, RELEASED, 3, "left") == statistics.combine(
        released, "left", "strict", 3
    )


def test_planted_images_are_found_on_the_side_that_each_test_looks_at():
    extreme, usual = np.full((6, 1), 2.0), np.tile(np.linspace(0.5, 1.5, 9), (6, 1))
    labels = (*range(6), -1)
    large = made_of(np.hstack([extreme, usual]), labels=labels)
    assert coherence.score(large)["p"].tolist() == [1 / 10] * 6
    assert coherence.combined(coherence.score(large))["exchangeable_fisher"] < 0.001
    small = np.hstack([extreme / 10, usual])
    made = made_of(np.ones((6, 10)), small, small, labels)
    for test in (coherence.output_entropy, coherence.activation_variance):
        assert test(made)["p"].tolist() == [1 / 10] * 6
        assert coherence.combined(test(made), side="left")["exchangeable_fisher"] < 0.001


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
    row = coherence.variation_quartiles(varying(*variations, scores=scores))
    assert list(row) == ["first", "median", "third", "inactive"]
    np.testing.assert_allclose(list(row.values()), expected)


@pytest.mark.parametrize(
    ("medians", "expected"),
    [([0.4], 0), ([0.4, 0.1, 0.3], 2), ([5, 1, 4, 2, 3], 4), ([1, 9, 1, 9, 2], 4)],
)
def test_the_median_network_has_the_median_of_the_medians(medians, expected):
    rows = [{"first": 9.0 - i, "median": each, "third": 99.0} for i, each in enumerate(medians)]
    assert coherence.median_network(rows) == expected
    assert isinstance(coherence.median_network(rows), int)


def test_of_networks_with_the_same_median_one_of_them_is_the_median_network():
    assert coherence.median_network([{"median": each} for each in (2, 1, 1, 1, 2)]) in (1, 2, 3)


@pytest.mark.parametrize("medians", [[], [1, 2], [1, 2, 3, 4], [1, np.nan, 2]])
def test_without_an_odd_number_of_medians_there_is_no_median_network(medians):
    with pytest.raises(ValueError, match="quartiles: an odd number of networks is needed, each"):
        coherence.median_network([{"median": each} for each in medians])
