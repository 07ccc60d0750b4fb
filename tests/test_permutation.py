"""The exact test, against loops, known answers, and its size under a true null."""

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from helpers import statistics
from helpers.statistics import permutation_test


def by_loops(true, permuted, side):
    """The definition, one count after the other."""
    rows = [list(true), *map(list, permuted)]
    n = len(rows)
    if side == "two-sided":
        columns = list(zip(*rows, strict=True))
        rows = [
            [
                -min(sum(b >= a for b in column), sum(b <= a for b in column))
                for a, column in zip(row, columns, strict=True)
            ]
            for row in rows
        ]
        side = "right"

    def is_as_extreme(a, b):
        return a >= b if side == "right" else a <= b

    p = [
        [sum(is_as_extreme(other[j], row[j]) for other in rows) / n for j in range(len(true))]
        for row in rows
    ]
    t = [-2 * math.fsum(map(math.log, each)) for each in p]
    together = sum(each >= t[0] * (1 - 1e-12) for each in t) / n
    familywise = [sum(min(each) <= p[0][j] for each in p) / n for j in range(len(true))]
    return together, p[0], familywise


@settings(max_examples=60, deadline=None)
@given(
    values=arrays.arrays(
        float, st.tuples(st.integers(2, 9), st.integers(1, 5)), elements=st.integers(0, 4)
    ),
    side=st.sampled_from(["right", "left", "two-sided"]),
)
def test_it_is_what_loops_over_the_definition_give(values, side):
    found = permutation_test(values[0], values[1:], side)
    p, each, familywise = by_loops(values[0], values[1:], side)
    assert found.p == pytest.approx(p, abs=1e-12)
    np.testing.assert_allclose(found.each, each)
    np.testing.assert_allclose(found.familywise, familywise)
    assert found.n_permutations == len(values) - 1


def test_one_sub_cluster_has_the_rank_of_its_value():
    found = permutation_test([3.0], [[1.0], [2.0], [3.0], [4.0]], "right")
    assert (found.p, found.each[0], found.familywise[0]) == (3 / 5, 3 / 5, 3 / 5)
    assert permutation_test([3.0], [[1.0], [2.0], [3.0], [4.0]], "left").p == 4 / 5


def test_both_sides_are_extreme_if_one_asks_for_both():
    others = np.arange(1.0, 20.0)[:, np.newaxis]
    for value in (0.0, 20.0):
        found = permutation_test([value], others, "two-sided")
        # The lowest and the highest of twenty are equally extreme.
        assert (found.p, found.each[0], found.familywise[0]) == (2 / 20, 2 / 20, 2 / 20)
    assert permutation_test([10.5], others, "two-sided").p == 1


@pytest.mark.parametrize("level", [0.05, 0.2])
def test_its_size_is_right_if_both_sides_are_extreme(level):
    rng = np.random.default_rng(6)
    n_runs, low, low_familywise = 1000, 0, 0
    for _ in range(n_runs):
        values = rng.normal(size=(200, 1)) + rng.integers(0, 3, size=(200, 3))
        found = permutation_test(values[0], values[1:], "two-sided")
        low += found.p <= level
        low_familywise += found.familywise.min() <= level
    for count in (low, low_familywise):
        assert scipy.stats.binomtest(int(count), n_runs, level, "greater").pvalue > 0.001
        assert count > 0.5 * level * n_runs


def test_two_sided_it_finds_what_lies_on_either_side():
    rng = np.random.default_rng(7)
    values = rng.normal(size=(200, 6))
    values[0] = [-2, -2, 2, -2, -2, -2]
    assert permutation_test(values[0], values[1:], "two-sided").p <= 0.01
    assert permutation_test(values[0], values[1:], "right").p > 0.1


def test_its_monte_carlo_interval_holds_what_all_permutations_would_give():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(200):
        true, permuted = 1.0, rng.normal(size=(99, 1))
        low, high = statistics.permutation_test([true], permuted).interval
        hits += low <= scipy.stats.norm.sf(true) <= high
    assert hits >= 190


@pytest.mark.parametrize("together", [0.0, 0.5])
def test_its_monte_carlo_interval_holds_for_many_sub_clusters_together(together):
    rng = np.random.default_rng(0)

    def drawn(n):
        shared = rng.normal(size=(n, 1))
        return together * shared + np.sqrt(1 - together**2) * rng.normal(size=(n, 30))

    hits, as_if_independent = [], []
    for _ in range(150):
        true = drawn(1)[0] + 0.3
        limit = permutation_test(true, drawn(4999)).p
        test = permutation_test(true, drawn(99))
        shares = statistics.share_interval(round(100 * test.p) - 1, 99)
        for each, (low, high) in ((hits, test.interval), (as_if_independent, shares)):
            each.append(low <= limit <= high)
    assert np.mean(hits) > 0.92
    assert together or np.mean(as_if_independent) < 0.92


@pytest.mark.parametrize("n", [1, 2, 3, 19])
def test_its_monte_carlo_interval_is_within_bounds_for_few_permutations(n):
    rng = np.random.default_rng(0)
    for shift in (0, 5):
        test = permutation_test(rng.normal(size=4) + shift, rng.normal(size=(n, 4)))
        assert 0 <= test.interval.low <= test.p - 1 / (n + 1) + 1e-9
        assert test.interval.high <= 1
        assert test.interval.high >= (test.p * (n + 1) - 1) / n


def test_nothing_to_test_has_no_monte_carlo_interval():
    test = statistics.permutation_test([1.0], [[0.0]], tested=[False])
    assert np.isnan(test.interval).all()


def test_no_p_value_is_below_one_in_all_rows():
    found = permutation_test(np.full(4, 9.0), np.zeros((19, 4)))
    assert found.p == 1 / 20
    assert set(found.each) == set(found.familywise) == {1 / 20}


def test_it_does_not_depend_on_monotone_transformations():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(50, 6))
    plain, bent = (permutation_test(v[0], v[1:]) for v in (values, np.exp(3 * values)))
    assert plain.p == bent.p
    np.testing.assert_array_equal(plain.familywise, bent.familywise)


@pytest.mark.parametrize("level", [0.05, 0.2])
def test_its_size_is_right_where_sub_clusters_depend_on_each_other_and_tie(level):
    rng = np.random.default_rng(1)
    n_runs, low, low_familywise = 2000, 0, 0
    for _ in range(n_runs):
        # Parts of one whole, as the sub-clusters of a layer are: they add up to a constant.
        values = rng.multinomial(12, [0.25] * 4, size=40).astype(float)
        found = permutation_test(values[0], values[1:])
        low += found.p <= level
        low_familywise += found.familywise.min() <= level
    for count in (low, low_familywise):
        assert scipy.stats.binomtest(int(count), n_runs, level, "greater").pvalue > 0.001
    assert low > 0.5 * level * n_runs  # Valid, and not by never finding anything.


def test_fishers_own_p_value_is_not_valid_there_and_this_one_is():
    rng = np.random.default_rng(2)
    both = []
    for _ in range(1000):
        shared = rng.normal(size=(100, 1))
        values = shared + 0.1 * rng.normal(size=(100, 5))
        found = permutation_test(values[0], values[1:])
        both.append((found.p <= 0.05, statistics.fisher(found.each, 99) <= 0.05))
    ours, theirs = np.mean(both, axis=0)
    assert scipy.stats.binomtest(int(ours * 1000), 1000, 0.05).pvalue > 0.001
    assert theirs > 0.1


def test_what_is_not_tested_changes_nothing():
    rng = np.random.default_rng(3)
    values = rng.normal(size=(30, 5))
    tested = np.array([True, False, True, True, False])
    values[0, 1] = np.nan
    found = permutation_test(values[0], values[1:], tested=tested)
    alone = permutation_test(values[0, tested], values[1:, tested])
    assert found.p == alone.p
    np.testing.assert_array_equal(np.isnan(found.each), ~tested)
    np.testing.assert_array_equal(found.familywise[tested], alone.familywise)


def test_a_complete_sub_cluster_could_not_have_changed_the_answer():
    rng = np.random.default_rng(4)
    values = rng.normal(size=(30, 3))
    values[:, 1] = 7.0
    without = permutation_test(values[0], values[1:], tested=[True, False, True])
    assert permutation_test(values[0], values[1:]).p == without.p


def test_each_layer_is_tested_by_itself_as_well():
    rng = np.random.default_rng(5)
    values = rng.normal(size=(30, 5))
    layers = np.array(["a", "b", "a", "b", "c"])
    tested = np.array([True, True, True, True, False])
    found = permutation_test(values[0], values[1:], tested=tested, layers=layers)
    for layer in "ab":
        alone = permutation_test(*(v[..., layers == layer] for v in (values[0], values[1:])))
        assert found.by_layer[layer].p == alone.p
        np.testing.assert_array_equal(
            found.by_layer[layer].familywise[layers == layer], alone.familywise
        )
    assert np.isnan(found.by_layer["c"].p)
    assert "no sub-cluster can change" in found.by_layer["c"].reason


def test_nothing_to_test_gives_nan_and_a_reason():
    found = permutation_test([1.0, 2.0], [[1.0, 2.0]], tested=[False, False])
    assert np.isnan(found.p)
    assert np.isnan(found.each).all()
    assert found.reason == "no sub-cluster can change: each is complete, or none was given"
    assert np.isnan(permutation_test([], np.empty((3, 0))).p)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (([1.0], [[1.0, 2.0]]), r"shapes \(1,\) and \(1, 2\) were given"),
        (([1.0], np.empty((0, 1))), "at least one permutation"),
        (([[1.0]], [[1.0]]), r"accepted are \(S,\) and \(B, S\)"),
        (([np.nan], [[1.0]]), "true"),
        ((np.ma.array([1.0], mask=[True]), [[1.0]]), "true"),
        (([1.0], [[np.nan]]), "permuted"),
        (([1.0], [[1.0]], "both"), "'both' was given; accepted are right, left, two-sided"),
        (([1.0], [[1.0]], "right", [True, False]), r"tested: shape \(2,\) was given"),
        (([1.0], [[1.0]], "right", None, ["a", "b"]), r"layers: shape \(2,\) was given"),
    ],
)
def test_bad_input_says_what_is_accepted(arguments, said):
    with pytest.raises(ValueError, match=said):
        permutation_test(*arguments)


def test_which_are_tested_is_said_by_a_mask():
    with pytest.raises(ValueError, match="tested: int64 was given; accepted is bool, one per"):
        statistics.permutation_test([1, 2, 3], [[0, 0, 0]] * 9, "right", tested=[0, 1, 2])


def test_the_sequential_test_takes_no_indices_for_a_mask_either():
    others = [[0.0, 0.0, 0.0]] * 99
    with pytest.raises(ValueError, match="tested: int64 was given; accepted is bool, one per"):
        statistics.sequential_permutation_test([1, 2, 3], others, others, tested=[0, 1, 2])


def test_the_mean_effect_is_ranked_among_those_of_permuted_partitions():
    effects = np.array([[2.0, 1.0, 3.0, 2.0], [np.nan, 1.0, 1.0, np.nan]])
    assert statistics.mean_effect_p(effects) == 3 / 4  # Means 2, 1, 2 and 2: ties count.
    assert np.isnan(statistics.mean_effect_p([[np.nan, 1.0], [np.nan, 2.0]]))
    assert np.isnan(statistics.mean_effect_p(np.empty((0, 3))))


def test_a_mean_effect_by_chance_is_that_of_permuted_partitions():
    effects = [[2.0, 1.0, 3.0, np.nan], [np.nan, 2.0, np.nan, np.nan]]
    assert statistics.mean_effect_by_chance(effects) == pytest.approx((2.25, 0.75))
    assert np.isnan(statistics.mean_effect_by_chance([[2.0, np.nan], [1.0, np.nan]])).all()
    assert np.isnan(statistics.mean_effect_by_chance(np.empty((0, 3)))).all()
    mean, error = statistics.mean_effect_by_chance([[2.0, 1.2]])
    assert mean == 1.2
    assert np.isnan(error)


def test_a_ratio_to_the_median_is_1_by_chance_once_it_is_divided_by_that_of_permuted_partitions():
    # As the spread of losses over classes is skewed to the right.
    ratios = np.random.default_rng(0).lognormal(0, 0.5, (200, 8, 60))
    plain = ratios[:, :, 0].mean(axis=1)
    divided = plain / [statistics.mean_effect_by_chance(each)[0] for each in ratios]
    assert statistics.mean_interval(plain).low > 1.05
    low, high = statistics.mean_interval(divided)
    assert low < 1 < high
    assert high - low < 0.1


@pytest.mark.parametrize("effects", [[1.0, 2.0], np.empty((2, 0))])
def test_effects_of_another_shape_are_refused(effects):
    with pytest.raises(ValueError, match="effects: shape"):
        statistics.mean_effect_p(effects)


def test_infinite_effects_have_no_mean():
    with pytest.raises(ValueError, match="effects: infinite"):
        statistics.mean_effect_p([[np.inf, 1.0], [-np.inf, 2.0]])


def test_the_mean_effect_is_ranked_among_partitions_of_which_one_is_known():
    assert statistics.mean_effect_p([[9.0, np.nan, 1.0, np.nan, 2.0]]) == 1 / 3


def test_the_test_of_the_mean_effect_has_its_size_however_many_effects_are_known():
    rng = np.random.default_rng(0)
    p = []
    for _ in range(400):
        effects = rng.normal(1, 0.3, (6, 20))
        effects[rng.random(effects.shape) < 0.4] = np.nan
        # Of the true partition more is known, as of one whose lesions cost more.
        effects[:, 0] = np.where(np.isnan(effects[:, 0]), rng.normal(1, 0.3, 6), effects[:, 0])
        p.append(statistics.mean_effect_p(effects))
    assert np.mean(np.array(p) <= 0.05) < 0.09


def test_the_test_of_the_mean_effect_has_its_size_where_partitions_without_any_effect_are_many():
    rng = np.random.default_rng(0)
    effects = rng.normal(1, 0.3, (4_000, 2, 40))
    effects[rng.random(effects.shape) < 0.7] = np.nan
    p = np.array([statistics.mean_effect_p(each) for each in effects])
    is_known = ~np.isnan(p)
    low, high = statistics.share_interval(int((p <= 0.1).sum()), int(is_known.sum()))
    # Of n partitions the first is among the first tenth in floor(n / 10) / n of all cases.
    n = (~np.isnan(effects[is_known])).any(axis=1).sum(axis=1)
    assert low <= np.mean(n // 10 / n) <= high
