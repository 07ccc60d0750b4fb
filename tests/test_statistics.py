"""P values: equal to what is computed by hand, and rejecting no more often than they say."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from helpers import statistics

N_RANDOM = 20
N_SETS = 25
BOTH = pytest.mark.parametrize("statistic", ["fisher", "chi2"])


@pytest.mark.parametrize(
    ("true", "random", "side", "ties", "expected"),
    [
        (5, [1, 2, 3], "right", "inclusive", 1 / 4),
        (5, [1, 2, 3], "left", "inclusive", 1),
        (0, [1, 2, 3], "left", "inclusive", 1 / 4),
        (2, [1, 2, 3], "right", "inclusive", 3 / 4),
        (2, [1, 2, 3], "right", "strict", 2 / 4),
        (2, [2, 2, 1], "left", "inclusive", 1),
        (2, [2, 2, 1], "left", "strict", 2 / 4),
        (0, [0, 0, 0], "right", "inclusive", 1),
        (0, [0, 0, 0], "right", "strict", 1 / 4),
        (np.float32(2), pd.Series([1, 3]), "right", "inclusive", 2 / 3),
        (np.inf, (np.inf, -np.inf), "right", "inclusive", 2 / 3),
        (1, 0, "right", "inclusive", 1 / 2),
    ],
)
def test_a_p_value_is_a_rank_among_the_random_values(true, random, side, ties, expected):
    assert statistics.p_value(true, random, side, ties) == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1, []), "random: a sequence of at least one"),
        ((np.nan, [1, 2]), "true: NaN"),
        (([3, 1, 2], [1, 2, 3]), r"true: shape \(3,\) was given; accepted is a number"),
        ((1, np.ma.array([2, 9], mask=[False, True])), "random: NaN"),
        ((1, [2, np.nan]), "random: NaN"),
        ((1, [2], "both"), "side: 'both' was given; accepted are right, left"),
        ((1, [2], "left", "mid"), "ties: 'mid' was given; accepted are inclusive, strict"),
    ],
)
def test_values_without_a_rank_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        statistics.p_value(*arguments)


def on_grid(k, n_random, seed=0):
    return np.random.default_rng(seed).integers(1, n_random + 2, k) / (n_random + 1)


@pytest.mark.parametrize("p", [1 / 3, 2 / 3, 1])
def test_fisher_of_one_p_value_is_the_middle_of_its_step(p):
    assert statistics.fisher([p], 2) == pytest.approx(p - 1 / 6)


def test_fisher_of_two_p_values_is_the_textbook_formula_of_their_product():
    product_of_centred = (0.1 - 0.05) * (0.4 - 0.05)
    expected = product_of_centred * (1 - np.log(product_of_centred))
    assert statistics.fisher([0.1, 0.4], 9) == pytest.approx(expected)


@pytest.mark.parametrize(("k", "n_random"), [(1, 1), (17, 9), (25, 20), (33, 24)])
def test_fisher_is_a_chi_squared_tail_with_two_degrees_of_freedom_per_p_value(k, n_random):
    p = on_grid(k, n_random)
    statistic = -2 * sum(np.log(each - 1 / (2 * (n_random + 1))) for each in p)
    expected = scipy.stats.chi2.sf(statistic, 2 * k)
    assert statistics.fisher(p, n_random) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("p", "n_random", "statistic", "freedom"),
    [
        ([1 / 2, 1], 1, 0, 1),
        ([1 / 2] * 4, 1, 4, 1),
        ([0.1] * 3 + [1.0] * 7, 9, 4 + 36 + 8, 9),
    ],
)
def test_chi2_counts_the_p_values_on_each_step_of_their_grid(p, n_random, statistic, freedom):
    expected = scipy.stats.chi2.sf(statistic, freedom)
    assert statistics.chi2(p, n_random) == pytest.approx(expected)


@pytest.mark.parametrize(("k", "n_random"), [(17, 9), (25, 20), (33, 24)])
def test_chi2_equals_counting_step_by_step(k, n_random):
    p, m = on_grid(k, n_random), n_random + 1
    counts = [sum(abs(each - step / m) < 1e-9 for each in p) for step in range(1, m + 1)]
    statistic = sum((count - k / m) ** 2 / (k / m) for count in counts)
    expected = scipy.stats.chi2.sf(statistic, m - 1)
    assert statistics.chi2(p, n_random) == pytest.approx(expected)


@pytest.mark.parametrize("n_random", [1, 4, 9, 20, 24, 99])
def test_every_p_value_that_can_come_up_is_on_the_grid(n_random):
    p = [statistics.p_value(rank, range(n_random)) for rank in range(n_random + 1)]
    assert statistics.chi2(p, n_random) == pytest.approx(1)
    assert 0 < statistics.fisher(p, n_random) < 1


@pytest.mark.parametrize("test", [statistics.fisher, statistics.chi2])
@pytest.mark.parametrize(
    ("p", "n_random", "message"),
    [
        ([], 9, "at least one p value"),
        ([[0.1, 0.2]], 9, "a sequence"),
        ([0.1, np.nan], 9, "must be a number"),
        ([1.1], 9, "must be a number"),
        ([-0.1], 9, "must be a number"),
        ([0.1, 0], 9, "0 is not on the grid"),
        ([0.1, 0.123], 9, "0.123 is not on the grid of 9 random values; accepted are 1/10 to 1"),
        ([1], 0, "n_random: 0 was given"),
    ],
)
def test_p_values_off_the_grid_are_refused(test, p, n_random, message):
    with pytest.raises(ValueError, match=message):
        test(p, n_random)


def enumerated(true, random, side, statistic):
    """The exchangeable p value, from all (n + 1)^k choices of which values are the true ones."""
    values = np.column_stack([true, random])
    k, m = values.shape
    steps = [
        [round(m * statistics.p_value(row[i], np.delete(row, i), side)) for row in values]
        for i in range(m)
    ]
    expected = {s: sum(row.count(s) for row in steps) / m for s in range(1, m + 1)}

    def of(choice):
        chosen = [steps[i][row] for row, i in enumerate(choice)]
        if statistic == "fisher":
            return -2 * sum(np.log(s / m - 1 / (2 * m)) for s in chosen)
        return sum((chosen.count(s) - e) ** 2 / e for s, e in expected.items() if e)

    reached = [of(choice) >= of((0,) * k) - 1e-9 for choice in product(range(m), repeat=k)]
    return np.mean(reached)


@BOTH
@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("ties", ["none", "some", "dead"])
def test_the_exchangeable_test_equals_enumerating_all_choices(ties, side, statistic):
    rng = np.random.default_rng(4)
    values = rng.normal(size=(4, 4)) if ties == "none" else rng.integers(3, size=(4, 4))
    if ties == "dead":
        values[:2] = 1
    values[-1, 0] = 9
    true, random = values[:, 0], values[:, 1:]
    expected = enumerated(true, random, side, statistic)
    error = 4 * np.sqrt(expected * (1 - expected) / 9999)
    found = statistics.exchangeable(true, random, side, statistic)
    assert found == pytest.approx(expected, abs=error + 1e-4)


@BOTH
def test_the_exchangeable_test_gives_1_if_all_values_tie(statistic):
    assert statistics.exchangeable(np.zeros(7), np.zeros((7, 20)), statistic=statistic) == 1


@BOTH
def test_the_exchangeable_test_gives_the_least_possible_value_if_the_true_values_beat_all(
    statistic,
):
    random = np.random.default_rng(0).normal(size=(15, 20))
    found = statistics.exchangeable(np.full(15, 9), random, "right", statistic, n_draws=99)
    assert found == 1 / 100


@BOTH
def test_the_exchangeable_test_is_determined_by_its_generator(statistic):
    values = np.random.default_rng(0).normal(size=(6, 5))

    def draw(rng):
        true, random = values[:, 0], values[:, 1:]
        return statistics.exchangeable(true, random, "right", statistic, 499, rng)

    assert draw(None) == draw(None) == draw(np.random.default_rng(0))
    assert len({draw(np.random.default_rng(seed)) for seed in range(10)}) > 1


@BOTH
def test_the_exchangeable_test_treats_small_values_as_large_ones_of_the_opposite_sign(statistic):
    values = np.random.default_rng(1).integers(4, size=(6, 5))
    small, large = (
        statistics.exchangeable(each[:, 0], each[:, 1:], side, statistic)
        for each, side in ((values, "left"), (-values, "right"))
    )
    assert small == large


@BOTH
def test_the_exchangeable_test_does_not_depend_on_the_order_of_the_sub_clusters(statistic):
    values = np.random.default_rng(2).integers(9, size=(12, 5))
    forwards, backwards = (
        statistics.exchangeable(each[:, 0], each[:, 1:], "right", statistic)
        for each in (values, values[::-1])
    )
    assert forwards == pytest.approx(backwards, abs=0.03)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], np.zeros((0, 3))), "not empty"),
        (([1, 2], np.zeros((2, 0))), "not empty"),
        (([1, 2], np.zeros((3, 4))), r"shapes \(2,\) and \(3, 4\)"),
        (([1, 2], [1, 2]), r"shapes \(2,\) and \(2,\)"),
        ((1, [[1, 2]]), r"shapes \(\) and"),
        (([1, np.nan], np.zeros((2, 3))), "true: NaN"),
        (([1], [[1, np.nan]]), "random: NaN"),
        (([1], [[1, 2]], "both"), "side: 'both'"),
        (([1], [[1, 2]], "left", "median"), "statistic: 'median' was given; accepted are fisher"),
        (([1], [[1, 2]], "left", "fisher", 0), "n_draws: 0 was given"),
    ],
)
def test_values_that_cannot_be_exchanged_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        statistics.exchangeable(*arguments)


N_NETWORKS = 1000
AT_MOST_5_PERCENT = scipy.stats.binom.ppf(0.999, N_NETWORKS, 0.05) / N_NETWORKS


def null_networks(kind):
    """Exchangeable values: continuous, with some ties, or all tied in a fifth of the rows."""
    rng = np.random.default_rng(len(kind))
    values = rng.normal(size=(N_NETWORKS, N_SETS, 1 + N_RANDOM))
    if kind == "coarse":
        return values.round()
    if kind == "dead":
        values[:, : N_SETS // 5] = 0
    return values


def size(kind, test):
    """The share of networks without any effect that a test rejects at 5 %."""
    return np.mean([test(each[:, 0], each[:, 1:]) <= 0.05 for each in null_networks(kind)])


def asymptotic(test, ties):
    exceeds = np.greater_equal if ties == "inclusive" else np.greater

    def p(true, random):
        ranks = 1 + exceeds(random, true[:, np.newaxis]).sum(axis=1)
        return test(ranks / (1 + N_RANDOM), N_RANDOM)

    return p


def exchangeable(statistic):
    rng = np.random.default_rng(0)
    return lambda true, random: statistics.exchangeable(true, random, "right", statistic, 199, rng)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["continuous", "coarse", "dead"])
def test_fisher_rejects_at_most_5_percent_of_networks_without_effect(kind):
    assert size(kind, asymptotic(statistics.fisher, "inclusive")) <= AT_MOST_5_PERCENT


@pytest.mark.slow
@BOTH
@pytest.mark.parametrize("kind", ["continuous", "coarse", "dead"])
def test_the_exchangeable_test_rejects_about_5_percent_of_networks_without_effect(kind, statistic):
    assert 0.02 <= size(kind, exchangeable(statistic)) <= AT_MOST_5_PERCENT


def test_chi2_keeps_its_size_without_ties():
    assert size("continuous", asymptotic(statistics.chi2, "inclusive")) <= AT_MOST_5_PERCENT


@pytest.mark.parametrize(
    ("test", "ties"), [(statistics.chi2, "inclusive"), (statistics.fisher, "strict")]
)
def test_dead_sub_clusters_make_an_asymptotic_test_invalid(test, ties):
    assert size("dead", asymptotic(test, ties)) > 0.4


# The fifteen p values of Benjamini and Hochberg (1995), section 3.2.
PUBLISHED = [
    *(0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459),
    *(0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0000),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("correct", "p", "level", "expected"),
    [
        (statistics.benjamini_hochberg, PUBLISHED, 0.05, [True] * 4 + [False] * 11),
        (statistics.holm, PUBLISHED, 0.05, [True] * 3 + [False] * 12),
        (statistics.benjamini_hochberg, [0.05, 0.04, 0.045], 0.05, [True] * 3),
        (statistics.holm, [0.05, 0.04, 0.045], 0.05, [False] * 3),
        (statistics.holm, [0.04, 0.9, 0.01], 0.05, [False, False, True]),
        (statistics.holm, [0.02, 0.04, 0.01], 0.05, [True] * 3),
        (statistics.benjamini_hochberg, 0.05, 0.05, [True]),
        (statistics.holm, 0.06, 0.05, [False]),
    ],
)
def test_corrections_give_what_is_worked_out_by_hand(correct, p, level, expected):
    np.testing.assert_array_equal(correct(p, level), expected)


@pytest.mark.slow
def test_corrections_equal_their_definitions():
    rng, level, k = np.random.default_rng(0), 0.25, 32
    for power in (1, 4, 8, 16):
        p = np.floor(256 * rng.random(k) ** power) / 256  # ties, also with the thresholds
        step_up = [any(q >= each and q <= level * np.sum(p <= q) / k for q in p) for each in p]
        step_down = [all(q <= level / np.sum(p >= q) for q in p if q <= each) for each in p]
        np.testing.assert_array_equal(statistics.benjamini_hochberg(p, level), step_up)
        np.testing.assert_array_equal(statistics.holm(p, level), step_down)


@pytest.mark.parametrize("correct", [statistics.benjamini_hochberg, statistics.holm])
@pytest.mark.parametrize(
    ("p", "level", "message"),
    [
        ([], 0.05, "at least one p value"),
        ([0.1, np.nan], 0.05, "must be a number"),
        ([0.1, 1.5], 0.05, "must be a number"),
        ([-0.1], 0.05, "must be a number"),
        ([0.1], 0, r"f(dr|wer): 0 was given; accepted are numbers in \(0, 1\)"),
        ([0.1], 1, r"f(dr|wer): 1 was given"),
        ([0.1], np.nan, r"f(dr|wer): nan was given"),
    ],
)
def test_corrections_refuse_what_is_no_probability(correct, p, level, message):
    with pytest.raises(ValueError, match=message):
        correct(p, level)


def step_up(p, level):
    """Benjamini and Hochberg (1995): reject up to the largest p below its share of the level."""
    order, last = sorted(range(len(p)), key=lambda i: p[i]), 0
    for rank, i in enumerate(order, 1):
        if p[i] <= rank / len(p) * level:
            last = rank
    return {i: rank <= last for rank, i in enumerate(order, 1)}


def step_down(p, level):
    """Holm (1979): reject from the smallest p on, until one is above its share of the level."""
    order, goes_on, rejected = sorted(range(len(p)), key=lambda i: p[i]), True, {}
    for rank, i in enumerate(order):
        goes_on = goes_on and p[i] <= level / (len(p) - rank)
        rejected[i] = goes_on
    return rejected


def test_the_published_example_has_four_discoveries_at_a_rate_and_three_for_sure():
    shuffled = np.random.default_rng(0).permutation(PUBLISHED)
    table = statistics.multiple_comparisons(pd.DataFrame({"test": "one", "p": shuffled}))
    assert sorted(table["p"][table["benjamini_hochberg"]]) == PUBLISHED[:4]
    assert sorted(table["p"][table["holm"]]) == PUBLISHED[:3]
    assert sorted(table["p"][table["by_itself"]]) == PUBLISHED[:9]


def comparisons(seed):
    """Tests in families of different sizes, in any order, some of which were not possible."""
    rng = np.random.default_rng(seed)
    p = rng.random(40) ** rng.integers(1, 9, 40)
    p[rng.random(40) < 0.2] = np.nan
    test = rng.choice(["a", "b", "c", "d"], 40, p=[0.6, 0.2, 0.15, 0.05])
    return pd.DataFrame({"test": test, "p": p, "network": range(40)}, rng.permutation(40))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_corrections_of_a_table_step_through_each_family_and_through_all(seed):
    table, fdr, fwer = comparisons(seed), 0.2, 0.1
    found = statistics.multiple_comparisons(table, fdr, fwer)
    for _, family in table.dropna().groupby("test"):
        expected = list(dict(sorted(step_up(family["p"].tolist(), fdr).items())).values())
        assert found["benjamini_hochberg"][family.index].tolist() == expected
    tests = table.dropna()
    expected = list(dict(sorted(step_down(tests["p"].tolist(), fwer).items())).values())
    assert found["holm"][tests.index].tolist() == expected
    assert found["by_itself"].tolist() == [p < fwer for p in table["p"]]


def test_corrections_of_a_table_keep_its_rows_index_and_columns():
    table = comparisons(0)
    before = table.copy()
    found = statistics.multiple_comparisons(table)
    added = ["by_itself", "benjamini_hochberg", "holm"]
    assert found.columns.tolist() == ["test", "p", "network", *added]
    assert found[added].dtypes.tolist() == [np.dtype(bool)] * 3
    pd.testing.assert_frame_equal(found[table.columns], before)
    pd.testing.assert_frame_equal(table, before)


def test_a_test_is_significant_by_itself_if_its_p_value_is_at_most_the_level():
    table = pd.DataFrame({"test": "a", "p": [0.049, 0.05, 0.051, 0.1]})
    strict, lenient = (statistics.multiple_comparisons(table, fwer=each) for each in (0.05, 0.1))
    assert strict["by_itself"].tolist() == [True, True, False, False]
    assert lenient["by_itself"].tolist() == [True, True, True, True]


def test_an_index_that_repeats_does_not_mix_up_tests():
    table = comparisons(1)
    expected = statistics.multiple_comparisons(table)
    found = statistics.multiple_comparisons(table.set_axis([0, 1] * 20))
    pd.testing.assert_frame_equal(found, expected.set_axis([0, 1] * 20))


def test_tests_that_were_not_possible_are_neither_counted_nor_significant():
    nothing = pd.DataFrame({"test": list("abc") * 9, "p": np.nan})
    table = pd.DataFrame({"test": list("aab"), "p": [0.024, 0.9, 0.016]})
    found = statistics.multiple_comparisons(pd.concat([nothing, table], ignore_index=True))
    assert not found[["by_itself", "benjamini_hochberg", "holm"]][:27].any(axis=None)
    assert found["benjamini_hochberg"][27:].tolist() == [True, False, True]
    assert found["holm"][27:].tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"test": ["a", None], "p": [0.1, 0.2]}, "test is missing in some rows"),
        ({"test": ["a", "b"], "p": ["0.1", "0.2"]}, "accepted are numbers"),
    ],
)
def test_tables_of_tests_without_a_name_or_a_number_are_refused(table, said):
    with pytest.raises(ValueError, match=said):
        statistics.multiple_comparisons(pd.DataFrame(table))


def test_each_family_has_its_own_discoveries():
    # Beside .01 and .02, .03 would be a discovery, but not beside .9 alone.
    table = pd.DataFrame({"test": list("aabb"), "p": [0.01, 0.02, 0.03, 0.9]})
    by_family = statistics.multiple_comparisons(table)["benjamini_hochberg"]
    together = statistics.multiple_comparisons(table.assign(test="a"))["benjamini_hochberg"]
    assert by_family.tolist() == [True, True, False, False]
    assert together.tolist() == [True, True, True, False]


@pytest.mark.parametrize("p", [[], [np.nan, np.nan]])
def test_without_tests_nothing_is_significant(p):
    table = statistics.multiple_comparisons(pd.DataFrame({"test": ["a"] * len(p), "p": p}))
    assert table.columns.tolist() == ["test", "p", "by_itself", "benjamini_hochberg", "holm"]
    assert len(table) == len(p)
    assert not table[["by_itself", "benjamini_hochberg", "holm"]].any(axis=None)


@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        ({"p": [0.1]}, {}, "table: no column test"),
        ({"test": ["a"]}, {}, "table: no column p"),
        ({"network": [1]}, {}, "table: no column p, test"),
        ({"test": ["a"], "p": [1.5]}, {}, "must be a number"),
        ({"test": ["a"], "p": [0.1]}, {"fdr": 0}, "fdr: 0 was given"),
        ({"test": ["a"], "p": [0.1]}, {"fwer": 1}, "fwer: 1 was given"),
    ],
)
def test_tables_that_are_not_of_tests_are_refused(table, options, message):
    with pytest.raises(ValueError, match=message):
        statistics.multiple_comparisons(pd.DataFrame(table), **options)


@pytest.mark.parametrize(
    ("p", "median", "bound"),
    [
        ([0.5, 0.01, 0.03, 0.9, 0.02], 0.03, 0.05),
        ([0.3, 0.2, 0.1], 0.2, 0.3),
        ([0.2], 0.2, 0.2),
        ([0.9, 0.8, 0.7, 0.9, 1.0], 0.9, 1),
    ],
)
def test_the_bound_of_a_median_is_near_twice_the_median(p, median, bound):
    assert statistics.median_p_value(p) == median
    assert statistics.median_bound(p) == pytest.approx(bound)


@pytest.mark.parametrize("summary", [statistics.median_p_value, statistics.median_bound])
@pytest.mark.parametrize(
    ("p", "message"),
    [
        ([0.1, 0.2], "an odd number is needed, 2 were given"),
        ([], "at least one p value"),
        ([0.1, np.nan, 0.2], "must be a number"),
        ([0.1, 0.2, 3], "must be a number"),
    ],
)
def test_a_median_needs_an_odd_number_of_p_values(summary, p, message):
    with pytest.raises(ValueError, match=message):
        summary(p)


@pytest.mark.parametrize("k", [2, 5, 20])
def test_images_drawn_again_vary_as_other_images_of_their_class_would(k):
    values = np.random.default_rng(k).normal(size=k)
    classes = np.zeros(k, int)
    drawn = statistics.drawn_again(classes, 40_000, np.random.default_rng(0))
    means = np.concatenate([weights @ values for weights in drawn]) / k
    assert means.mean() == pytest.approx(values.mean(), abs=4 * means.std() / 200)
    assert means.var() == pytest.approx(values.var(ddof=1) / k, rel=0.05)


def test_images_alone_in_their_classes_are_drawn_together():
    weights = np.vstack([*statistics.drawn_again(np.arange(6), 500, np.random.default_rng(0))])
    assert weights.var(axis=0).min() > 0.5
    np.testing.assert_allclose(weights.sum(axis=1), 6)
    one = np.vstack([*statistics.drawn_again([0, 1, 1, 1, 2, 2], 500, np.random.default_rng(0))])
    assert one[:, 0].var() > 0.1
    np.testing.assert_allclose(one[:, 1:4].sum(axis=1), 3)
    (only,) = statistics.drawn_again(np.array([4]), 3, np.random.default_rng(0))
    assert only.tolist() == [[1.0]] * 3


def test_of_many_images_as_many_are_drawn_as_there_are():
    (weights,) = statistics.drawn_again(np.zeros(30, int), 50, np.random.default_rng(0))
    np.testing.assert_array_equal(weights, weights.astype(int))
    np.testing.assert_array_equal(weights.sum(axis=1), 30)


def test_what_is_masked_is_not_there():
    masked = np.ma.masked_array([1.0, 2.0, 1e6], mask=[False, False, True])
    assert statistics.mean_interval(masked) == statistics.mean_interval([1.0, 2.0])
    with pytest.raises(ValueError, match="p_values: each must be a number"):
        statistics.holm(np.ma.masked_array([0.001, 0.9], mask=[True, False]))
    with pytest.raises(ValueError, match="true: NaN has no rank"):
        statistics.exchangeable(np.ma.masked_array([9.0, 1], mask=[1, 0]), [[1, 2.0], [1, 2]])
    assert np.isnan(statistics.partial_conjunction(np.ma.masked_array([0.1] * 3, [1, 0, 0])))


@pytest.mark.parametrize("least", [1.5, 2.0, 0, 4])
def test_a_number_of_networks_is_whole_and_one_that_there_is(least):
    with pytest.raises(ValueError, match=f"least: {least} was given"):
        statistics.partial_conjunction([0.1, 0.2, 0.3], least)


def test_tables_of_tests_may_be_corrected_again_at_levels_that_are_some():
    table = pd.DataFrame({"test": ["a", "a"], "p": [0.01, 0.2]})
    once = statistics.multiple_comparisons(table)
    pd.testing.assert_frame_equal(statistics.multiple_comparisons(once), once)
    with pytest.raises(ValueError, match="fdr"):
        statistics.multiple_comparisons(table.assign(p=np.nan), fdr=7)
