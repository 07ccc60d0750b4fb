"""The sequential exact test: what it must equal, that it stops, and its size on a true null."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import statistics
from helpers.statistics import sequential_permutation_test


def whole_sequence(true, reference, draws, enough):
    """The p value of Besag and Clifford by loops: all draws made, then looked at."""

    def statistic(row):
        ranks = [
            (1 + sum(other >= value for other in column)) / (1 + len(column))
            for value, column in zip(row, np.transpose(reference), strict=True)
        ]
        return -2 * sum(map(np.log, ranks))

    reached = [statistic(each) >= statistic(true) * (1 - 1e-12) for each in draws]
    for taken in range(1, len(reached) + 1):
        if sum(reached[:taken]) == enough:
            return enough / taken
    return (sum(reached) + 1) / (len(reached) + 1)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    enough=st.integers(1, 4),
    most=st.integers(1, 30),
    side=st.sampled_from(["right", "left"]),
)
def test_it_is_the_test_of_besag_and_clifford(seed, enough, most, side):
    rng = np.random.default_rng(seed)
    true, reference = rng.integers(0, 5, 3), rng.integers(0, 5, (7, 3))
    draws = rng.integers(0, 5, (most, 3))
    found = sequential_permutation_test(
        true, reference, draws, side, max_permutations=most, max_exceeding=enough
    )
    sign = 1 if side == "right" else -1
    assert found.p == pytest.approx(
        whole_sequence(sign * true, sign * reference, sign * draws, enough)
    )


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), most=st.integers(1, 40), stop=st.integers(1, 40))
def test_stopped_at_any_time_its_p_value_is_not_below_that_of_the_whole_sequence(seed, most, stop):
    rng = np.random.default_rng(seed)
    true, reference = rng.normal(size=2) + 1, rng.normal(size=(9, 2))
    draws = rng.normal(size=(most, 2))
    arguments = {"max_permutations": most, "max_exceeding": 3}
    whole = sequential_permutation_test(true, reference, draws, **arguments)
    stopped = sequential_permutation_test(true, reference, draws[:stop], **arguments)
    assert stopped.p >= whole.p - 1e-12


def test_it_takes_no_draw_more_than_it_needs():
    taken = itertools.count()
    draws = (np.array([9.0, 9.0 + 0 * next(taken)]) for _ in range(1000))
    found = sequential_permutation_test(
        [0.0, 0.0], np.ones((99, 2)), draws, max_permutations=999, max_exceeding=10
    )
    assert (found.p, found.n_permutations, found.n_exceeding) == (1.0, 10, 10)
    assert next(taken) == 10


def test_it_stops_as_soon_as_p_cannot_come_out_above_alpha():
    draws = (np.zeros(2) for _ in itertools.count())
    found = sequential_permutation_test(
        [5.0, 5.0], np.zeros((99, 2)), draws, max_permutations=999, max_exceeding=5, alpha=0.05
    )
    assert (found.p, found.n_permutations) == (0.05, 95)
    np.testing.assert_array_equal(found.each, [0.01, 0.01])


def dependent_values(rng, n):
    """Values of four sub-clusters that share a part, tie often, and follow one law in all rows."""
    return np.round(rng.normal(size=(n, 1)) + rng.normal(size=(n, 4)) * [0.3, 1, 1, 2], 1)


@pytest.mark.parametrize("alpha", [None, 0.05])
def test_its_size_holds_whether_it_is_stopped_early_or_not(alpha):
    rng = np.random.default_rng(0)
    p, drawn = [], []
    for _ in range(1500):
        rows = dependent_values(rng, 120)
        found = sequential_permutation_test(
            rows[0], rows[1:20], rows[20:], max_permutations=100, max_exceeding=5, alpha=alpha
        )
        p.append(found.p)
        drawn.append(found.n_permutations)
    low, high = statistics.share_interval(int(np.sum(np.array(p) <= 0.05)), len(p), 0.999)
    assert low <= 0.05
    assert high > 0.02
    assert np.mean(drawn) < 40


def test_with_nothing_to_test_there_is_no_p_value_and_nothing_is_drawn():
    draws = iter([np.zeros(1)])
    found = sequential_permutation_test([0.0], np.zeros((9, 1)), draws, tested=[False])
    assert np.isnan(found.p)
    assert found.n_permutations == 0
    assert next(draws).shape == (1,)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"true": [[1.0]]}, "true and reference"),
        ({"reference": np.zeros((3, 2))}, "true and reference"),
        ({"max_permutations": 0}, "max_permutations: 0"),
        ({"max_permutations": 19.5}, "max_permutations: 19.5"),
        ({"max_exceeding": 2.5}, "max_exceeding: 2.5"),
        ({"max_exceeding": 0}, "max_exceeding: 0"),
        ({"tested": [True, True]}, "tested"),
        ({"draws": [[1.0, 2.0]]}, "draws"),
        ({"true": [np.nan]}, "true: NaN"),
        ({"side": "both"}, "side"),
        ({"alpha": 2}, "alpha: 2 was given"),
    ],
)
def test_bad_input_is_named(changed, message):
    given = {"true": [1.0], "reference": np.zeros((3, 1)), "draws": [[1.0]]} | changed
    with pytest.raises(ValueError, match=message):
        sequential_permutation_test(**given)
