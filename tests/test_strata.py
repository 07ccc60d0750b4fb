"""Two groups within strata: against all rearrangements, known tests, and what cannot be told."""

from itertools import permutations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import statistics
from helpers.statistics import strata, stratified_test


def by_loops(values, chosen, of):
    """The sum of the chosen under all permutations within strata, and p values of both sides."""
    sums = [0.0]
    for name in sorted(set(of)):
        here = [i for i, each in enumerate(of) if each == name]
        labels = [chosen[i] for i in here]
        if len(set(labels)) == 2:
            sums = [
                total + sum(values[i] for i, label in zip(here, shuffled, strict=True) if label)
                for total in sums
                for shuffled in permutations(labels)
            ]
            continue
        sums = [total + sum(values[i] for i in here if chosen[i]) for total in sums]
    own = sum(value for value, each in zip(values, chosen, strict=True) if each)
    right = sum(each >= own for each in sums) / len(sums)
    left = sum(each <= own for each in sums) / len(sums)
    return right, left


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.integers(0, 3), st.booleans(), st.integers(0, 1)), min_size=1, max_size=8
    )
)
def test_it_is_the_share_of_all_rearrangements(rows):
    values, chosen, of = zip(*rows, strict=True)
    found = {
        side: stratified_test(values, chosen, of, side) for side in ("right", "left", "two-sided")
    }
    if found["right"].reason:
        assert all(len({c for c, s in zip(chosen, of, strict=True) if s == k}) < 2 for k in of)
        return
    right, left = by_loops(values, chosen, of)
    assert found["right"].p == pytest.approx(right)
    assert found["left"].p == pytest.approx(left)
    assert found["two-sided"].p == pytest.approx(min(1, 2 * min(right, left)))
    assert found["right"].interval == (found["right"].p, found["right"].p)


def test_for_shares_in_one_stratum_it_is_fishers_exact_test():
    values = [True] * 6 + [False] * 2 + [True] * 10 + [False] * 13
    chosen = [True] * 8 + [False] * 23
    table = [[6, 2], [10, 13]]
    expected = scipy.stats.fisher_exact(table, "greater").pvalue
    found = stratified_test(values, chosen, ["one step"] * 31, "right")
    assert found.p == pytest.approx(expected, rel=1e-12)
    assert found.interval == (found.p, found.p)
    assert found.difference == pytest.approx(6 / 8 - 10 / 23)
    assert (found.n_chosen, found.n_others) == (8, 23)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.booleans(), st.booleans(), st.integers(0, 2)), min_size=1, max_size=7
    )
)
def test_shares_are_rearranged_in_all_ways_however_many(rows):
    values, chosen, of = zip(*rows, strict=True)
    right, left = by_loops(values, chosen, of)
    expected = {"right": right, "left": left, "two-sided": min(1, 2 * min(right, left))}
    for side, p in expected.items():
        found = stratified_test(values, chosen, of, side, n_draws=1)
        assert found.reason or found.p == pytest.approx(p)


def test_random_rearrangements_agree_with_all_of_them(monkeypatch):
    rng = np.random.default_rng(0)
    values, of = rng.normal(size=12), np.repeat([0, 1], 6)
    chosen = np.array([True, True, False, False, False, False] * 2)
    exact = stratified_test(values, chosen, of)
    monkeypatch.setattr(strata, "_ENUMERATED", 0)
    drawn = stratified_test(values, chosen, of)
    assert drawn.interval.low < exact.p < drawn.interval.high
    assert drawn.difference == exact.difference
    assert drawn == stratified_test(values, chosen, of)
    assert drawn != stratified_test(values, chosen, of, random_state=1)


def test_a_difference_between_strata_alone_is_none():
    of = np.repeat(["near", "far"], 8)
    values = np.where(of == "near", 10.0, 0.0)
    chosen = np.array([True] * 6 + [False] * 2 + [True] + [False] * 7)
    found = stratified_test(values, chosen, of)
    assert (found.difference, found.p) == (0, 1)
    mixed = stratified_test(values, chosen, ["all"] * 16)
    assert mixed.difference > 5
    assert mixed.p < 0.05


def test_strata_of_one_kind_tell_nothing():
    values, chosen = [5.0, 1.0, 2.0, 9.0], [True, False, False, True]
    of = ["both", "both", "both", "one"]
    found = stratified_test(values, chosen, of)
    assert found == stratified_test(values[:3], chosen[:3], of[:3])
    assert (found.n_chosen, found.n_others) == (1, 2)
    assert found.difference == pytest.approx(3.5)
    nothing = stratified_test(values, [True] * 4, of)
    assert np.isnan([nothing.p, nothing.difference, *nothing.interval]).all()
    assert nothing.reason == "no stratum has values of both groups"
    assert np.isnan(stratified_test([], [], []).p)


def test_its_size_is_right():
    rng = np.random.default_rng(1)
    of = np.repeat([0, 1, 2], 5)
    chosen = np.tile([True, True, False, False, False], 3)
    low = sum(
        stratified_test(rng.normal(size=15) + 3 * of, chosen, of, "right").p <= 0.05
        for _ in range(1000)
    )
    assert scipy.stats.binomtest(low, 1000, 0.05).pvalue > 0.001


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (([1.0, 2.0], [True], [0, 0]), r"shapes \(2,\), \(1,\) and \(2,\) were given"),
        (([[1.0]], [[True]], [[0]]), "one-dimensional arrays of one length"),
        (([np.nan], [True], [0]), "values: accepted are finite numbers"),
        (([np.inf, 1.0], [True, False], [0, 0]), "values: accepted are finite numbers"),
        (([1.0], [True], [0], "both"), "'both' was given; accepted are right, left, two-sided"),
        (([1.0], [True], [0], "right", 0), "n_draws: 0 was given"),
        (([1.0, 2.0], [True, False], [0, np.nan]), "strata: some are missing"),
        (([1.0, 2.0], [True, False], ["a", None]), "strata: some are missing"),
    ],
)
def test_bad_input_says_what_is_accepted(arguments, said):
    with pytest.raises(ValueError, match=said):
        statistics.stratified_test(*arguments)
