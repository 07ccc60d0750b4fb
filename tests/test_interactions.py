"""Interactions of two lesions: equal to brute force, and found where they were planted."""

import numpy as np
import pandas as pd
import pytest

import brute_force
from helpers import lesions, measures, networks, statistics
from helpers.lesions import MatchedPairs, matched
from helpers.partitions import Partition

PAIR = ["x_layer", "x_cluster", "y_layer", "y_cluster"]


def pairs_of(*rows):
    return pd.DataFrame(rows, columns=PAIR)


def mlp(n_images=200):
    """A network of random weights that is right about most images, and clusters of two layers."""
    rng = np.random.default_rng(0)
    model = networks.mlp((3, 3, 1), 4, width=12, depth=3)
    model.set_weights([rng.normal(scale=0.5, size=w.shape) for w in model.get_weights()])
    x = rng.normal(size=(n_images, 3, 3, 1)).astype(np.float32)
    kernel, bias = model.layers[-1].get_weights()
    mean = np.log(model.predict_on_batch(x)).mean(axis=0)  # It would prefer some classes.
    model.layers[-1].set_weights([kernel, bias - mean])
    y = model.predict_on_batch(x).argmax(axis=-1)
    y[::5] = (y[::5] + 1) % 4
    labels = {
        "dense_2": [0, 0, 0, 0, 1, 1, 1, 2, 2, 2, -1, -1],
        "dense_1": [0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, -1],
    }
    return model, x, y, Partition.from_labels(labels)


MIXED = pairs_of(
    ("dense_1", 0, "dense_2", 0),
    ("dense_1", 0, "dense_2", 1),
    ("dense_1", 0, "dense_1", 1),
    ("dense_2", 1, "dense_1", 2),
)


@pytest.fixture(scope="module")
def mixed():
    return lesions.matched_pairs(*mlp(), MIXED, n_matched=12)


def n_right(model, x, y, of):
    return brute_force.correct(model, x, y, of).sum(axis=1).tolist()


def test_counts_equal_zeroing_the_weights_into_both(mixed):
    model, x, y, partition = mlp()
    units = {(each.layer, each.cluster): each.units for each in partition.subclusters()}
    assert (mixed.n_images, [mixed.intact]) == (len(y), n_right(model, x, y, [{}]))
    assert mixed.n_matched.min() >= 2
    for row, (x_layer, x_cluster, y_layer, y_cluster) in enumerate(MIXED.itertuples(index=False)):
        one = {x_layer: units[x_layer, x_cluster]}
        other = {y_layer: units[y_layer, y_cluster]}
        alone = n_right(model, x, y, [one, other, brute_force.union(one, other)])
        assert [mixed.first[row], mixed.second[row], mixed.joint[row]] == alone
        sets = [{x_layer: each} for each in mixed.sets[row]]
        n = len(sets)
        assert mixed.matched[row, :n].tolist() == n_right(model, x, y, sets)
        both = [brute_force.union(each, other) for each in sets]
        assert mixed.matched_joint[row, :n].tolist() == n_right(model, x, y, both)
        assert (mixed.matched[row, n:] == -1).all()
        assert (mixed.matched_joint[row, n:] == -1).all()


def test_matched_sets_are_missed_as_much_as_the_sub_cluster(mixed):
    for first, counts, n in zip(mixed.first, mixed.matched, mixed.n_matched, strict=True):
        own, theirs = (
            lesions.logit_loss(mixed.intact, each, mixed.n_images) for each in (first, counts[:n])
        )
        assert own > 0
        assert (np.abs(theirs - own) <= 0.1 * own + 1e-12).all()


def test_matched_sets_are_of_live_units_outside_a_partner_in_the_same_layer(mixed):
    partition = mlp()[-1]
    for row, sets in enumerate(mixed.sets):
        live = partition.live_units(MIXED["x_layer"][row])
        for units in sets:
            assert set(units) <= set(live)
            assert (np.diff(units) > 0).all()
    assert all(not set(units) & {3, 4, 5, 6} for units in mixed.sets[2])


def test_a_set_of_a_number_is_the_same_for_all_partners_in_other_layers(mixed):
    assert mixed.sets[0] is not mixed.sets[1]
    for one, other in zip(mixed.sets[0], mixed.sets[1], strict=True):
        np.testing.assert_array_equal(one, other)


def test_steps_count_the_layers_of_the_network_not_of_the_labels(mixed):
    assert mixed.pairs["steps"].tolist() == [1, 1, 0, -1]


def test_the_seed_decides_the_sets():
    first, again, other = (
        lesions.matched_pairs(*mlp(), MIXED[:1], n_matched=6, seed=seed) for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first.matched_joint, again.matched_joint)
    assert [each.tolist() for each in first.sets[0]] != [each.tolist() for each in other.sets[0]]


def test_without_pairs_there_is_nothing():
    found = lesions.matched_pairs(*mlp(), MIXED[:0], n_matched=6)
    assert found.matched.shape == (0, 6)
    table = measures.interaction(found)
    assert table.empty
    assert table.columns.tolist() == measures.interaction(made_up()).columns.tolist()
    assert np.isnan(measures.interaction_test(found).p)


@pytest.mark.parametrize(
    ("pairs", "n_matched", "said"),
    [
        (MIXED, 0, "n_matched: 0 was given; accepted are integers from 1"),
        (MIXED.drop(columns="y_layer"), 5, "pairs: columns y_layer are missing"),
        (
            pairs_of(("dense_1", 0, "dense_2", 7)),
            5,
            "cluster 7 of 'dense_2' was given, which is no",
        ),
        (pairs_of(("dense_1", 0, "dense_1", 0)), 5, "cluster 0 of 'dense_1' is paired with itself"),
    ],
)
def test_bad_pairs_are_refused(pairs, n_matched, said):
    with pytest.raises(ValueError, match=said):
        lesions.matched_pairs(*mlp(), pairs, n_matched)


def test_labels_that_do_not_fit_the_model_are_refused():
    model, x, y, _ = mlp()
    with pytest.raises(ValueError, match="7 labels were given for layer 'dense_1'"):
        lesions.matched_pairs(model, x, y, Partition.from_labels({"dense_1": [0] * 7}), MIXED)


# Planted pairs. Units of the first layer hear one feature each, those of the second pass one on.
# An image shows one feature, weakly or strongly; whoever hears too little of it says "nothing".
N_FEATURES, N_WEAK, N_STRONG, N_WRONG = 30, 2, 6, 60
WIDTH = 70


def planted(copies, x_units, y_units):
    """A network that hears each feature by so many units, and partition of two sub-clusters."""
    model = networks.mlp((N_FEATURES, 1, 1), N_FEATURES + 1, width=WIDTH, depth=2)
    first, last = np.zeros((N_FEATURES, WIDTH)), np.zeros((WIDTH, N_FEATURES + 1))
    for copy in range(copies):
        for feature in range(N_FEATURES):
            unit = copy * N_FEATURES + feature
            first[feature, unit] = last[unit, feature] = 1
    silence = np.zeros(WIDTH)
    # All copies together are heard if an image is weak; half of them only if it is strong.
    says_nothing = np.append(np.zeros(N_FEATURES), 0.75 * copies)
    model.get_layer("dense_1").set_weights([first, silence])
    model.get_layer("dense_2").set_weights([np.eye(WIDTH), silence])
    model.get_layer("output").set_weights([last, says_nothing])
    feature = np.repeat(np.arange(N_FEATURES), N_WEAK + N_STRONG)
    strength = np.tile([1.0] * N_WEAK + [2.0] * N_STRONG, N_FEATURES)
    x = (np.eye(N_FEATURES)[feature] * strength[:, np.newaxis]).astype(np.float32)
    y = feature.copy()
    wrong = np.random.default_rng(0).choice(len(y), N_WRONG, replace=False)
    y[wrong] = (y[wrong] + 1) % N_FEATURES
    live = np.arange(copies * N_FEATURES)
    labels = {name: np.full(WIDTH, -1) for name in ("dense_1", "dense_2")}
    for name, units in (("dense_1", x_units), ("dense_2", y_units)):
        labels[name][live] = 1
        labels[name][units] = 0
    return model, x.reshape(-1, N_FEATURES, 1, 1), y, Partition.from_labels(labels)


def found_in(copies, x_units, y_units, n_matched=79):
    made = planted(copies, x_units, y_units)
    pair = pairs_of(("dense_1", 0, "dense_2", 0))
    found = lesions.matched_pairs(*made, pair, n_matched)
    (row,) = measures.interaction(found).itertuples()
    assert row.excluded == ""
    assert row.loss_x > 0
    assert row.loss_y > 0
    assert measures.interaction_test(found).p <= row.p
    return row


def test_a_chain_of_two_parts_that_do_one_job_is_dependent():
    row = found_in(1, np.arange(6), np.arange(6))
    assert row.loss_both == pytest.approx(row.loss_x)
    assert row.interaction == pytest.approx(row.loss_x)
    assert row.interaction > row.matched_high
    assert row.p == 2 / 80
    assert row.kind == "dependent"


def test_two_copies_of_one_part_are_redundant():
    row = found_in(2, np.arange(8), N_FEATURES + np.arange(8))
    assert row.interaction < row.matched_low
    assert row.interaction < 0
    assert row.p == 2 / 80
    assert row.kind == "redundant"


@pytest.mark.parametrize("first", [8, 12, 20])
def test_two_parts_that_have_nothing_to_do_with_each_other_are_neither(first):
    row = found_in(1, np.arange(6), first + np.arange(6))
    assert row.p > 0.1
    assert row.kind == "none"


def test_a_sub_cluster_that_loses_nothing_is_not_comparable():
    made = planted(1, np.arange(6), np.arange(6))
    labels = {name: np.array(each) for name, each in made[-1].labels.items()}
    labels["dense_1"][:] = np.where(np.arange(WIDTH) < N_FEATURES, 1, 0)  # Idle units.
    found = lesions.matched_pairs(
        *made[:-1], labels, pairs_of(("dense_1", 0, "dense_2", 0)), n_matched=9
    )
    assert found.n_tried.tolist() == found.n_matched.tolist() == [0]
    (row,) = measures.interaction(found).itertuples()
    assert (row.excluded, row.kind) == ("X loses nothing", "not comparable")
    assert np.isnan([row.p, row.p_low, row.p_high, row.familywise, row.matched_median]).all()
    assert row.interaction == 0
    assert "no sub-cluster" in measures.interaction_test(found).reason


def test_orderings_without_a_set_are_replaced_a_stated_number_of_times(monkeypatch):
    monkeypatch.setattr(matched, "TOLERANCE", 1e-12)
    found = lesions.matched_pairs(*mlp(), MIXED[:1], n_matched=30)
    assert found.n_tried[0] == 60
    assert 0 < found.n_matched[0] < 30
    own = lesions.matched_pairs(*mlp(), MIXED[:1], n_matched=1)
    assert set(found.matched[0, : found.n_matched[0]]) == {own.first[0]}


def made_up(n_pairs=4, n_matched=40, seed=0):
    """Any counts of pairs of two sub-clusters with two others."""
    rng = np.random.default_rng(seed)
    rows = [("a", i // 2, "b", i % 2) for i in range(n_pairs)]
    counts = rng.integers(60, 90, size=(3, n_pairs))
    random = rng.integers(60, 90, size=(2, n_pairs, n_matched))
    sets = tuple(tuple(np.array([0]) for _ in range(n_matched)) for _ in rows)
    tried = np.full(n_pairs, n_matched)
    pairs = pairs_of(*rows).assign(steps=1)
    return MatchedPairs(pairs, 100, 95, *counts, sets, *random, tried, "a network and its images")


def logit(n_right):
    return np.log((n_right + 0.5) / (100 - n_right + 0.5))


def test_the_interaction_is_what_both_cost_alone_less_what_they_cost_together():
    found = made_up()
    for row, each in enumerate(measures.interaction(found).itertuples()):
        first, second, joint = found.first[row], found.second[row], found.joint[row]
        loss_x, loss_y, both = (logit(95) - logit(n) for n in (first, second, joint))
        assert (each.loss_x, each.loss_y, each.loss_both) == pytest.approx((loss_x, loss_y, both))
        assert each.interaction == pytest.approx(loss_x + loss_y - both)
        theirs = [
            loss_y - logit(one) + logit(together)
            for one, together in zip(found.matched[row], found.matched_joint[row], strict=True)
        ]
        assert each.matched_median == pytest.approx(np.median(theirs))
        assert each.excess == pytest.approx(each.interaction - np.median(theirs))
        right = (1 + sum(other >= each.interaction for other in theirs)) / 41
        left = (1 + sum(other <= each.interaction for other in theirs)) / 41
        assert each.p == min(1, 2 * min(right, left))
        assert each.p_low < each.p <= each.p_high
        assert each.within == (each.x_cluster == each.y_cluster)


def test_all_pairs_are_tested_together_by_the_rows_of_their_sets():
    found = made_up()
    table, test = measures.interaction(found), measures.interaction_test(found)
    own = table["interaction"].to_numpy()
    alone = lesions.logit_loss(95, found.matched, 100)
    together = lesions.logit_loss(95, found.matched_joint, 100)
    rows = (alone + table["loss_y"].to_numpy()[:, np.newaxis] - together).T
    expected = statistics.permutation_test(own, rows, "two-sided")
    assert test.p == expected.p
    assert test.by_layer["a"].p == expected.p


def test_familywise_compares_with_the_largest_deviation_of_each_row():
    found = made_up()
    table = measures.interaction(found)
    alone, together = (
        lesions.logit_loss(95, each, 100) for each in (found.matched, found.matched_joint)
    )
    matched_rows = alone + table["loss_y"].to_numpy()[:, np.newaxis] - together
    deviations = []
    for own, theirs in zip(table["interaction"], matched_rows, strict=True):
        column = np.array([own, *theirs])
        low, middle, high = np.percentile(column, [25, 50, 75])
        deviations.append(np.abs(column - middle) / (high - low))
    largest = [max(row) for row in zip(*deviations, strict=True)]
    expected = [sum(each >= column[0] for each in largest) / 41 for column in deviations]
    assert table["familywise"].tolist() == expected


def test_familywise_finds_among_many_pairs_what_ranks_cannot():
    found = made_up(n_pairs=40, n_matched=99)
    found.joint[0] = 100  # Together they cost less than nothing.
    table = measures.interaction(found)
    assert table["familywise"][0] <= 0.05
    assert table["kind"][0] == "dependent"
    assert measures.interaction_test(found).familywise[0] > 0.2


def test_sets_that_all_interact_alike_leave_nothing_undefined():
    found = made_up()
    found.matched[0], found.matched_joint[0] = found.first[0], found.joint[0]
    table = measures.interaction(found)
    assert table["familywise"].notna().all()
    assert (table["familywise"][0], table["p"][0], table["kind"][0]) == (1, 1, "none")


def test_the_summary_has_a_row_for_all_and_one_for_each_layer_of_x():
    found = made_up()
    found.pairs.loc[2:, "x_layer"] = "a, too"
    table, test = measures.interaction(found), measures.interaction_test(found)
    summary = measures.interaction_summary(found).set_index("layer")
    assert summary.index.tolist() == ["all", "a", "a, too"]
    assert summary["tested"].tolist() == [4, 2, 2]
    assert summary["p"].tolist() == [test.p, test.by_layer["a"].p, test.by_layer["a, too"].p]
    for row, of in zip(summary.itertuples(), (test, *test.by_layer.values()), strict=True):
        assert (row.p_low, row.p_high) == of.interval
    assert summary["excess"].tolist() == pytest.approx(
        [each["excess"].median() for each in (table, table[:2], table[2:])]
    )
    found.pairs.loc[2:, "x_layer"] = "all"  # A layer may be called so.
    again = measures.interaction_summary(found)
    assert again["layer"].tolist() == ["all", "a", "all"]
    assert again["tested"].tolist() == [4, 2, 2]
    for kind in ("dependent", "redundant"):
        assert summary[kind].tolist() == [
            (each["kind"] == kind).sum() for each in (table, table[:2], table[2:])
        ]


def test_the_summary_says_how_many_are_left_out_and_why_nothing_is_tested():
    some = measures.interaction_summary(with_sets(made_up(), [40, 40, 1, 1])).iloc[0]
    assert (some["tested"], some["excluded"], some["reason"]) == (2, 2, "")
    none = measures.interaction_summary(with_sets(made_up(), [1, 1, 1, 1])).iloc[0]
    assert (none["tested"], none["excluded"]) == (0, 4)
    assert np.isnan([none["p"], none["p_low"], none["p_high"], none["excess"]]).all()
    assert "no sub-cluster" in none["reason"]


def with_sets(found, n):
    """The same counts, of which only the first n_matched of each pair were found."""
    is_there = np.arange(found.matched.shape[1]) < np.array(n)[:, np.newaxis]
    return MatchedPairs(
        found.pairs,
        found.n_images,
        found.intact,
        *(found.first, found.second, found.joint),
        tuple(each[:k] for each, k in zip(found.sets, n, strict=True)),
        *(np.where(is_there, each, -1) for each in (found.matched, found.matched_joint)),
        *(found.n_tried, found.fingerprint),
    )


def test_a_pair_with_few_matched_sets_is_not_comparable_and_those_with_most_are():
    found = with_sets(made_up(), [40, 20, 19, 0])
    table = measures.interaction(found)
    assert table["excluded"].tolist() == ["", "", "few matched sets", "few matched sets"]
    assert table["n_matched"].tolist() == [40, 20, 19, 0]
    assert table["p"].isna().tolist() == table["familywise"].isna().tolist()
    assert table["p"].isna().tolist() == [False, False, True, True]
    # Only rows that all comparable pairs have.
    assert measures.interaction_test(found).n_permutations == 20
    first = measures.interaction(made_up()).iloc[0]
    pd.testing.assert_series_equal(
        table.iloc[0].drop(["familywise", "kind"]), first.drop(["familywise", "kind"])
    )


def within_table(values, within, steps):
    return pd.DataFrame({"interaction": values, "within": within, "steps": steps})


def test_pairs_within_clusters_are_compared_with_those_across_at_equal_distance():
    within = [True, True, False, False, False, False]
    steps = [1, 1, 1, 1, 2, 2]
    table = within_table([4.0, 3.0, 2.0, 1.0, -9.0, -8.0], within, steps)
    (row,) = measures.within_against_across(table, ["interaction"]).itertuples()
    assert (row.value, row.n_within, row.n_across) == ("interaction", 2, 2)
    assert row.difference == pytest.approx(2)
    assert row.p == row.p_low == row.p_high == pytest.approx(2 / 6)
    assert row.reason == ""
    assert measures.within_against_across(table, ["interaction"], strata=["within"])["p"].isna()[0]


def test_networks_are_strata_of_their_own_if_one_says_so():
    table = pd.concat(
        [
            within_table([1.0 + i, 0.0 + i], [True, False], [1, 1]).assign(replicate=i)
            for i in range(6)
        ]
    )
    (row,) = measures.within_against_across(
        table, ["interaction"], strata=["replicate", "steps"]
    ).itertuples()
    assert row.p == pytest.approx(2 / 2**6)


def test_shares_are_compared_and_what_is_undefined_is_left_out():
    table = within_table([1.0, np.nan, 0.0, 0.0], [True, True, False, False], [1] * 4)
    found = measures.within_against_across(
        table.assign(edge=[True, True, False, True]), ["interaction", "edge"]
    )
    assert found["n_within"].tolist() == [1, 2]
    assert found["difference"].tolist() == pytest.approx([1, 0.5])
    assert found["p"].tolist() == pytest.approx([2 / 3, 1])


def test_no_stratum_with_both_kinds_gives_nan_and_a_reason():
    table = within_table([1.0, 2.0], [False, False], [1, 1])
    (row,) = measures.within_against_across(table, ["interaction"]).itertuples()
    assert np.isnan([row.difference, row.p, row.p_low, row.p_high]).all()
    assert row.reason == "no stratum has values of both groups"


def test_a_missing_column_is_named():
    with pytest.raises(ValueError, match="table: columns within, edge are missing"):
        measures.within_against_across(pd.DataFrame({"steps": [1]}), ["edge"])


def test_pairs_of_which_nobody_knows_whether_they_are_within_are_refused():
    table = pd.DataFrame({"steps": 1, "within": [True, None, False], "edge": [1.0, 2.0, 3.0]})
    with pytest.raises(ValueError, match="within is of object; accepted is bool"):
        measures.within_against_across(table, ["edge"])


def test_pairs_at_an_unknown_distance_are_refused():
    table = pd.DataFrame({"steps": [1, np.nan], "within": [True, False], "edge": [1.0, 2.0]})
    with pytest.raises(ValueError, match="steps is missing in some rows"):
        measures.within_against_across(table, ["edge"])


@pytest.mark.parametrize(("lesioned", "n"), [(5, 4), (-1, 10)])
def test_more_correct_images_than_there_are_have_no_logit(lesioned, n):
    with pytest.raises(ValueError, match="counts: accepted are 0 to n_images"):
        lesions.logit_loss(3, lesioned, n)
