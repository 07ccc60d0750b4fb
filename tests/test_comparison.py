"""Comparisons: what is excluded and why, ranks among twins, and combination without being told."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from summaries import summary

from helpers import measures, statistics
from helpers.fingerprints import fingerprint
from helpers.partitions import Partition
from helpers.protocols import PAPER, RELEASED

DESCRIPTION = pd.DataFrame(
    {"layer": ["a", "a", "b"], "size": [2, 3, 4], "complete": [False, False, True]}
)
TRUE = np.array([3.0, 1.0, 2.0])
RANDOM = np.array([[3.0, 1, 2, 0], [2, 2, 2, 0], [2, 2, 2, 2]])
NAN = np.nan


def compared(side="right", protocol=PAPER, true=TRUE, random=RANDOM, **options):
    """A comparison of three sub-clusters, of which the last is complete."""
    return measures.compare(
        "score", side, protocol, DESCRIPTION, np.array(true), np.array(random), "origin", **options
    )


@pytest.mark.parametrize(
    ("side", "ties", "expected"),
    [
        ("right", "inclusive", [2 / 5, 4 / 5, 1]),
        ("right", "strict", [1 / 5, 4 / 5, 1 / 5]),
        ("left", "inclusive", [1, 2 / 5, 1]),
        ("left", "strict", [4 / 5, 2 / 5, 1 / 5]),
    ],
)
def test_each_true_value_is_ranked_among_its_own_twins(side, ties, expected):
    protocol = dataclasses.replace(PAPER, ties=ties, keeps_complete=True)
    found = compared(side, protocol)
    assert found.p.tolist() == expected
    assert found.excluded.tolist() == [""] * 3
    by_hand = [
        statistics.p_value(one, twins, side, ties) for one, twins in zip(TRUE, RANDOM, strict=True)
    ]
    assert found.p.tolist() == by_hand


@pytest.mark.parametrize("side", ["right", "left"])
def test_ties_with_a_twin_are_not_beyond_it(side):
    extreme = RANDOM.max(axis=1) if side == "right" else RANDOM.min(axis=1)
    assert not compared(side, true=extreme).is_beyond.any()


def test_beyond_all_twins_is_on_the_side_that_is_extreme():
    random = np.full((3, 4), 2.0)
    assert compared("right", random=random).is_beyond.tolist() == [True, False, False]
    assert compared("left", random=random).is_beyond.tolist() == [False, True, False]


def test_the_table_adds_results_to_the_description_and_leaves_that_alone():
    before = DESCRIPTION.copy()
    table = compared().table()
    results = ["value", "random_median", "excluded", "p"]
    assert table.columns.tolist() == [*DESCRIPTION, *results]
    pd.testing.assert_frame_equal(table[DESCRIPTION.columns], before)
    pd.testing.assert_frame_equal(DESCRIPTION, before)
    np.testing.assert_array_equal(table["value"], TRUE)
    np.testing.assert_array_equal(table["random_median"], [1.5, 2, 2])
    np.testing.assert_array_equal(table["p"], [2 / 5, 4 / 5, NAN])


def test_of_several_reasons_the_first_that_holds_is_given():
    true, random = [NAN, 1, NAN], [[1, NAN, 1, 1], [NAN, 1, 1, 1], [NAN] * 4]
    found = compared(true=true, random=random)
    assert found.excluded.tolist() == ["undefined", "twins undefined", "complete"]
    given = compared(true=true, random=random, reasons=["inactive", "", "inactive"])
    assert given.excluded.tolist() == ["inactive", "twins undefined", "inactive"]
    assert np.isnan(given.p).all()


@pytest.mark.parametrize("side", ["right", "left"])
def test_what_is_undefined_is_never_exceeded_and_never_exceeds_as_released(side):
    random = [[1, NAN, 1, 1], [9, NAN, NAN, -9], [1, 1, 1, 1]]
    found = compared(side, RELEASED, true=[NAN, 0, 2], random=random)
    assert found.excluded.tolist() == [""] * 3
    assert found.p.tolist() == [1 / 5, 2 / 5, 1 / 5 if side == "right" else 1]


def test_combining_applies_every_test_to_what_is_not_excluded():
    true, random = [0.9, 0.1, NAN], [[0.1, 0.2], [0.2, 0.3], [0.5, 0.7]]
    found = compared(true=true, random=random)
    rng = np.random.default_rng(3)
    kept = (true[:2], random[:2], "right")
    assert summary(found, 3) == {
        "tested": 2,
        "excluded": 1,
        "fisher": statistics.fisher([1 / 3, 1], 2),
        "chi2": statistics.chi2([1 / 3, 1], 2),
        "exchangeable_fisher": statistics.exchangeable(*kept, "fisher", rng=rng),
        "exchangeable_chi2": statistics.exchangeable(*kept, "chi2", rng=rng),
    }
    assert found.combine()["measure"].tolist() == ["score"] * 4


def test_combining_needs_no_word_about_side_or_protocol():
    random = np.tile(np.linspace(1, 2, 9), (3, 1))
    small = compared("left", true=[0.5] * 3, random=random)
    large = compared("right", true=[0.5] * 3, random=random)
    assert summary(small)["exchangeable_fisher"] < 0.02
    assert summary(large)["exchangeable_fisher"] == 1
    released = summary(compared("left", RELEASED, true=[0.5] * 3, random=random))
    assert np.isnan([released["exchangeable_fisher"], released["exchangeable_chi2"]]).all()
    assert released["fisher"] < 0.05


@pytest.mark.parametrize("protocol", [PAPER, RELEASED])
def test_combining_nothing_gives_no_p_value(protocol):
    row = summary(compared(protocol=protocol, reasons="inactive"))
    assert (row.pop("tested"), row.pop("excluded")) == (0, 3)
    assert len(row) == 4
    assert np.isnan(list(row.values())).all()


@pytest.mark.parametrize("protocol", [PAPER, RELEASED])
def test_comparing_nothing_gives_an_empty_table(protocol):
    nothing = Partition.from_labels({"a": [-1]}).describe([])
    arrays = (np.zeros(0), np.zeros((0, 4)))
    found = measures.compare("score", "right", protocol, nothing, *arrays, "origin")
    assert found.table().empty
    assert {"value", "random_median", "excluded", "p"} <= set(found.table())
    assert summary(found)["tested"] == 0


def test_some_of_the_sub_clusters_are_compared_as_among_all():
    found = compared(protocol=RELEASED)
    some = found.where(found.subclusters["layer"] == "a")
    np.testing.assert_array_equal(some.p, found.p[:2])
    assert some.table()["size"].tolist() == [2, 3]
    assert (some.measure, some.fingerprint) == (found.measure, found.fingerprint)


def test_some_of_the_sub_clusters_keep_the_effects_of_permuted_ones():
    effects = {"effect": np.array([1.0, 2.0, 9.0]), "permuted_effect": np.ones(RANDOM.shape)}
    found = compared(fixed=np.zeros(3, bool), **effects)
    some = found.where([True, True, False])
    p = some.combine().set_index("test")["p"]
    assert p["exact_effect"] == 1 / (1 + RANDOM.shape[1])
    assert some.permuted_effect.shape == (2, RANDOM.shape[1])


def test_a_mean_effect_is_divided_by_that_of_permuted_partitions_where_theirs_is_known():
    effect, permuted = np.array([1.0, 2.0, 9.0]), np.full(RANDOM.shape, 2.0)
    # The last one is complete, and not tested.
    alone = compared(fixed=np.zeros(3, bool), effect=effect).combine()
    assert alone["effect"].eq(1.5).all()
    assert alone["by_chance"].isna().all()
    beside = compared(fixed=np.zeros(3, bool), effect=effect, permuted_effect=permuted).combine()
    assert beside["effect"].eq(0.75).all()
    assert beside["by_chance"].eq(2.0).all()
    unknown = permuted * np.nan
    none = compared(fixed=np.zeros(3, bool), effect=effect, permuted_effect=unknown).combine()
    assert none["effect"].eq(1.5).all()
    assert none["by_chance"].isna().all()


@pytest.mark.parametrize(
    ("true", "random"),
    [(TRUE[:2], RANDOM), (TRUE, RANDOM[:2]), (TRUE, RANDOM[:, :0]), (TRUE, TRUE)],
)
def test_arrays_that_do_not_fit_the_sub_clusters_are_refused(true, random):
    with pytest.raises(ValueError, match=r"true and random: shapes .* for 3 sub-clusters"):
        compared(true=true, random=random)


def test_fingerprints_depend_on_every_number_its_place_and_its_type():
    array = np.arange(6, dtype=np.float32)
    names = [
        fingerprint(array),
        fingerprint(array.reshape(2, 3)),
        fingerprint(array.astype(np.float64)),
        fingerprint(array[::-1]),
        fingerprint(array, array),
        fingerprint(np.nextafter(array, np.float32(9))),
    ]
    assert len(set(names)) == len(names)
    assert fingerprint(np.asfortranarray(array.reshape(2, 3))) == names[1]


def test_every_p_value_that_is_drawn_has_the_interval_of_its_draws():
    rng = np.random.default_rng(0)
    values, effects = rng.normal(size=(4, 20)), rng.normal(size=(4, 20))
    found = measures.compare(
        "coherence",
        "left",
        PAPER,
        Partition.from_labels({"a": [0, 1, 2, 3]}).describe(
            Partition.from_labels({"a": [0, 1, 2, 3]}).subclusters()
        ),
        values[:, 0],
        values[:, 1:],
        "origin",
        fixed=np.zeros(4, bool),
        effect=effects[:, 0],
        permuted_effect=effects[:, 1:],
    )
    table = found.combine().set_index("test")
    drawn = ["exact", "exact_effect", "exchangeable_fisher", "exchangeable_chi2"]
    assert ((table["p_low"] < table["p"]) & (table["p"] <= table["p_high"]))[drawn].all()
    assert table.loc[["fisher", "chi2"], ["p_low", "p_high"]].isna().all(axis=None)
    assert table.loc["exact_effect", "p"] == statistics.mean_effect_p(effects)
    n_hits = round(table.loc["exchangeable_fisher", "p"] * 10_000) - 1
    expected = statistics.share_interval(n_hits, 9_999)
    assert tuple(table.loc["exchangeable_fisher", ["p_low", "p_high"]]) == expected
