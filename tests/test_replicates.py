"""From networks to kinds of networks: known answers, and size on a true null."""

import numpy as np
import pytest
import scipy.stats

from helpers.statistics import (
    mean_interval,
    partial_conjunction,
    rank_interval,
    share_interval,
    two_sided,
)


def test_with_u_of_one_it_is_fishers_combination():
    p = [0.02, 0.3, 0.6]
    assert partial_conjunction(p, 1) == pytest.approx(scipy.stats.combine_pvalues(p).pvalue)


def test_with_u_of_all_it_is_the_largest():
    assert partial_conjunction([0.02, 0.3, 0.6], 3) == 0.6
    for p in np.arange(1, 201) / 200:
        assert partial_conjunction([p], 1) == p


def test_two_strong_networks_do_not_make_three():
    assert partial_conjunction([1e-12, 1e-12, 0.5, 0.6, 0.9], 3) > 0.05
    assert partial_conjunction([1e-3, 1e-3, 1e-3, 0.6, 0.9], 3) < 0.05


def test_its_size_holds_where_the_effect_is_in_one_network_too_few():
    rng = np.random.default_rng(0)
    p = rng.random((4000, 5))
    p[:, :2] = 1e-9
    found = np.array([partial_conjunction(each, 3) for each in p])
    low, high = share_interval(int((found <= 0.05).sum()), len(found), 0.999)
    assert low <= 0.05 <= high


def test_a_missing_p_value_is_not_ignored():
    assert np.isnan(partial_conjunction([0.01, np.nan, 0.01], 2))


@pytest.mark.parametrize(
    ("p", "least"), [([0.1], 2), ([0.1], 0), ([[0.1]], 1), ([1.1], 1), ([-0.1], 1)]
)
def test_what_is_no_p_value_is_refused(p, least):
    with pytest.raises(ValueError, match="accepted are"):
        partial_conjunction(p, least)


def test_shares_have_the_exact_interval():
    low, high = share_interval(0, 20)
    assert low == 0
    assert high == pytest.approx(1 - 0.025 ** (1 / 20))
    with pytest.raises(ValueError, match="21 of 20"):
        share_interval(21, 20)


def test_the_interval_of_a_mean_is_students():
    low, high = mean_interval([1.0, 2.0, 3.0, np.nan])
    half = 4.302653 / np.sqrt(3)
    assert (low, high) == pytest.approx((2 - half, 2 + half), rel=1e-6)
    assert np.isnan(mean_interval([1.0])).all()
    assert np.isnan(mean_interval([1.0, 2.0, np.inf])).all()


@pytest.mark.parametrize("level", [0, 1, 1.5])
def test_levels_are_between_0_and_1(level):
    for interval in (lambda: share_interval(1, 2, level), lambda: mean_interval([1, 2], level)):
        with pytest.raises(ValueError, match=r"level: .* was given; accepted are numbers in"):
            interval()


def test_without_draws_nothing_is_known_of_a_p_value():
    assert rank_interval(1.0, 0) == (0, 1)


def test_two_sided_is_twice_the_smaller_side():
    assert two_sided(0.01, 0.995) == pytest.approx(0.02)
    assert two_sided(0.6, 0.5) == 1
    assert np.isnan(two_sided(np.nan, 0.1))
