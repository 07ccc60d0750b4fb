"""Table 1, published and ours: all p values, their medians, effects, and how often they agree."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from helpers.book import published
from helpers.book.tables import (
    effect_in_units,
    mean_over_networks,
    middle_p,
    spread_of_p,
)
from helpers.plots.headings import MEASURES, TESTS

LEVEL = 0.05
"""P values up to it are called low."""


ROW = ["network", "measure", "test", "source"]


WAYS = (
    ("RELEASED", "released", ""),
    ("PAPER", "paper", ""),
    ("PAPER, exch.", "paper", "exchangeable_"),
)
"""Our ways of testing: what each is called, its protocol, and the prefix of its tests."""


THEIR_WAY = ("published", "published", "")


def table1(lesions: pd.DataFrame, constructed: pd.DataFrame, exact: pd.DataFrame) -> pd.DataFrame:
    """Return all p values of Table 1: the published ones, and ours under both protocols.

    Parameters
    ----------
    lesions, constructed : pandas.DataFrame
        Collected tests: network, replicate, protocol, measure, test, p; effect, of the constructed.
    exact : pandas.DataFrame
        Collected exact tests, likewise, with effect.

    Returns
    -------
    pandas.DataFrame
        One row per p value: network (as in `published.table1`), measure, test (ours also with
        exact, exchangeable_fisher and exchangeable_chi2), source ("published", "released" or
        "paper"), replicate; p, NaN where there was nothing to test; and the mean effect, NaN where
        it is not known: of lesions, it is the exact test's. The exact test of class-wise ranges is
        that of class-wise coherence at equal damage. Networks that have no row in the paper's
        table, such as untrained ones, are left out.
    """
    is_exact = (exact["test"] == "exact") & exact["measure"].isin(_EXACT)
    parts = [
        lesions[lesions["test"] != "exact"].assign(effect=np.nan),
        constructed,
        exact[is_exact].replace({"measure": _EXACT}),
    ]
    ours = labelled(pd.concat(parts, ignore_index=True))
    columns = ["network", "measure", "test", "source", "replicate", "p", "effect"]
    theirs = published.each_p_value().assign(source="published", effect=np.nan)
    known = ours[ours["measure"].isin(theirs["measure"]) & ours["network"].notna()]
    return pd.concat([theirs[columns], known[columns]], ignore_index=True)


_THEIRS = ("fisher", "chi2")
"""The tests of the paper."""

_EXACT = {"importance": "importance", "coherence": "class_range"}
"""Measures of exact tests, and in which rows of Table 1 they belong."""


def labelled(tests: pd.DataFrame) -> pd.DataFrame:
    """Name the networks of collected tests as Table 1 does, and their protocol as the source."""
    labels = {name: published.label_of(name) for name in tests["network"].unique()}
    return tests.assign(network=tests["network"].map(labels), source=tests["protocol"])


def medians(table: pd.DataFrame) -> pd.DataFrame:
    """Return the median p value of each network, measure, test, source and k (if there is one).

    See `tables.middle_p`. What has no p value at all is left out.
    """
    keys = [*ROW, "k"] if "k" in table else ROW
    groups = table.dropna(subset="p").groupby(keys, sort=False)["p"]
    return groups.agg(middle_p).reset_index()


def side_by_side(table: pd.DataFrame) -> pd.DataFrame:
    """Return Table 1 three ways, for reading.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `table1`.

    Returns
    -------
    pandas.DataFrame of str
        A row per network and measure of which there are numbers of ours; first how many networks
        of ours are behind the effect, and behind the p values; the mean effect under PAPER, in
        points, times or nats; for each test and source the median p value (see `medians`) and, of
        several networks, the range; a dash where nothing could be tested.
    """
    shown = _three_ways(ours_and_theirs(table), (THEIR_WAY, *WAYS), effect_in_words)
    ours = table[table["source"] == "paper"]
    counted = {
        "of effect": ours.dropna(subset="effect"),
        "of p": ours[ours["test"].isin(_THEIRS)].dropna(subset="p"),
    }
    for place, (heading, rows) in enumerate(counted.items()):
        n = rows.groupby(["network", "measure"])["replicate"].nunique()
        n = n.set_axis(n.index.map(_row_name)).reindex(shown.index, fill_value=0)
        shown.insert(place, ("networks", heading), n.astype(str))
    return shown


def other_table(tests: pd.DataFrame) -> pd.DataFrame:
    """Return one of the paper's tables of which no published values are at hand, for reading.

    Parameters
    ----------
    tests : pandas.DataFrame
        Collected tests, as for `table1`, with k where there are several numbers of clusters.

    Returns
    -------
    pandas.DataFrame of str
        As of `side_by_side`, without the published values; networks in words, how many of them
        were run under both protocols, and k.
    """
    named = tests.assign(network=tests["network"].map(published.in_words), source=tests["protocol"])
    if "effect" not in named:
        named["effect"] = np.nan
    keys = ["network", "measure", *named.columns.intersection(["k"])]
    runs = named.drop_duplicates([*keys, "replicate", "source"])
    n_both = runs.groupby([*keys, "replicate"]).size().eq(2).groupby(keys).sum()
    shown = _three_ways(named, WAYS, _in_words)
    shown.insert(0, ("networks", ""), n_both.set_axis(n_both.index.map(_row_name)).astype(str))
    return shown


def _three_ways(
    table: pd.DataFrame,
    ways: Sequence[tuple[str, str, str]],
    in_words: Callable[[Mapping[Any, Any]], str],
) -> pd.DataFrame:
    """Return mean effects and p values with a row per network, measure and k (if there is one)."""
    keys = ["network", "measure", *table.columns.intersection(["k"])]
    columns = {
        (TESTS[test], name): (prefix + test, source)
        for test in _THEIRS
        for name, source, prefix in ways
    }
    effects = {
        tuple(row[key] for key in keys): in_words(row)
        for row in mean_effects(table).to_dict("records")
    }
    of = {key: group["p"] for key, group in table.groupby([*keys, "test", "source"])}
    rows = {}
    found = table[keys].drop_duplicates().itertuples(index=False, name=None)
    for row in sorted(found, key=_place(table)):
        rows[_row_name(row)] = {("mean effect", "PAPER"): effects.get(row, "–")} | {
            heading: spread_of_p(of.get((*row, test, source)))
            for heading, (test, source) in columns.items()
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def _place(table: pd.DataFrame) -> Callable[[tuple[Any, ...]], tuple[Any, ...]]:
    """Order rows: networks as they come, then by k, then measures in their usual order."""
    networks = list(table["network"].unique())
    return lambda row: (networks.index(row[0]), *row[2:], list(MEASURES).index(row[1]))


def _row_name(row: tuple[Any, ...]) -> tuple[str, ...]:
    network, measure, *ks = row
    return (network, *(f"k = {k}" for k in ks), MEASURES[measure])


def effect_in_words(row: Mapping[Any, Any]) -> str:
    """Return a mean effect of Table 1 in its unit, and of what, where it is of no p value there.

    Parameters
    ----------
    row : mapping
        A row of `mean_effects` of `table1`.
    """
    effect = _in_words(row)
    return f"{effect}, at equal damage" if row["measure"] == "class_range" else effect


def _in_words(row: Mapping[Any, Any]) -> str:
    return effect_in_units({**row, "low": np.nan}).partition(" as ")[0]


def mean_effects(table: pd.DataFrame) -> pd.DataFrame:
    """Return the mean effects of Table 1 under PAPER.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `table1`; it may have k as well.

    Returns
    -------
    pandas.DataFrame
        A row per network and measure (and k) of which one is known: network, measure; effect, the
        mean over replicates; low and high, Student's 95 % interval, NaN of a single one.
    """
    keys = ["network", "measure", *table.columns.intersection(["k"])]
    known = table[table["source"] == "paper"].dropna(subset="effect")
    # All tests of a network's measure come with the same effect.
    known = known.drop_duplicates([*keys, "replicate"])
    rows = [
        dict(zip(keys, row, strict=True)) | mean_over_networks(effects)
        for row, effects in known.groupby(keys)["effect"]
    ]
    return pd.DataFrame(rows, columns=[*keys, "effect", "low", "high"])


def ours_and_theirs(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of Table 1 of which there are numbers of ours, the published ones included.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `table1`.
    """
    pairs = pd.MultiIndex.from_frame(table[["network", "measure"]])
    return table[pairs.isin(pairs[table["source"] != "published"])]


def agreement(table: pd.DataFrame) -> pd.DataFrame:
    """Count the rows of Table 1 in which our p values agree with the published ones.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `table1`.

    Returns
    -------
    pandas.DataFrame of str
        A row per test and way of testing. "ranges overlap": in how many of the networks and
        measures that have p values in both, the range of ours (of one network, its p value) has
        a point in common with that of the published ones; "same side of 0.05": in how many the
        two medians have.
    """
    rows = {}
    for test in ("fisher", "chi2"):
        theirs = _ranges(table, test, "published")
        for name, source, prefix in WAYS:
            ours = _ranges(table, prefix + test, source).add_suffix(" ours")
            both = theirs.join(ours, how="inner")
            overlap = (both["low"] <= both["high ours"]) & (both["low ours"] <= both["high"])
            is_same = (both["median"] <= LEVEL) == (both["median ours"] <= LEVEL)
            rows[TESTS[test], name] = {
                "ranges overlap": f"{overlap.sum()} of {len(both)}",
                "same side of 0.05": f"{is_same.sum()} of {len(both)}",
            }
    return pd.DataFrame.from_dict(rows, orient="index")


def _ranges(table: pd.DataFrame, test: str, source: str) -> pd.DataFrame:
    """Return lowest, highest and median p value of each network and measure that has any."""
    chosen = table[(table["test"] == test) & (table["source"] == source)].dropna(subset="p")
    p = chosen.groupby(["network", "measure"])["p"]
    return pd.DataFrame({"low": p.min(), "high": p.max(), "median": p.agg(middle_p)})
