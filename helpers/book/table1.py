"""Table 1, published and ours: all p values, their medians, effects, and how often they agree."""

import numpy as np
import pandas as pd

from helpers.book import published
from helpers.book.tables import (
    effect_in_units,
    format_p,
    format_p_range,
    mean_over_networks,
    middle_p,
    rows_of,
)
from helpers.plots.headings import MEASURES, TESTS

LEVEL = 0.05
"""P values below it are called low."""


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
        A row per network and measure of which there are numbers of ours; first the mean effect
        under PAPER, in points, times or nats; for each test and source the median p value (see
        `medians`) and, of several networks, the range; a dash where nothing could be tested.
    """
    columns = {
        (TESTS[test], name): (prefix + test, source)
        for test in ("fisher", "chi2")
        for name, source, prefix in (THEIR_WAY, *WAYS)
    }
    known = mean_effects(table).assign(low=np.nan, high=np.nan)
    effects = {
        (row["network"], row["measure"]): effect_in_units(row).partition(" as ")[0]
        for row in known.to_dict("records")
    }
    of = {key: group["p"] for key, group in table.groupby(["network", "measure", "test", "source"])}
    rows = {}
    for network, measure in rows_of(ours_and_theirs(table)):
        rows[network, MEASURES[measure]] = {
            ("mean effect", "PAPER"): effects.get((network, measure), "–")
        } | {
            heading: _spread(of.get((network, measure, test, source)))
            for heading, (test, source) in columns.items()
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def mean_effects(table: pd.DataFrame) -> pd.DataFrame:
    """Return the mean effects of Table 1 under PAPER.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `table1`.

    Returns
    -------
    pandas.DataFrame
        A row per network and measure of which one is known: network, measure; effect, the mean over
        replicates; low and high, Student's 95 % interval, NaN of a single one.
    """
    known = table[table["source"] == "paper"].dropna(subset="effect")
    # All tests of a network's measure come with the same effect.
    known = known.drop_duplicates(["network", "measure", "replicate"])
    rows = [
        {"network": network, "measure": measure, **mean_over_networks(effects)}
        for (network, measure), effects in known.groupby(["network", "measure"])["effect"]
    ]
    return pd.DataFrame(rows, columns=["network", "measure", "effect", "low", "high"])


def ours_and_theirs(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of Table 1 of which there are numbers of ours, the published ones included.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `table1`.
    """
    pairs = pd.MultiIndex.from_frame(table[["network", "measure"]])
    return table[pairs.isin(pairs[table["source"] != "published"])]


def _spread(p: pd.Series | None) -> str:
    known = pd.Series(dtype=float) if p is None else p.dropna()
    if len(known) < 2:
        return format_p(known.iloc[0] if len(known) else np.nan)
    middle, ends = format_p(middle_p(known)), format_p_range(known.min(), known.max())
    return middle if middle == ends else f"{middle} ({ends})"


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
            is_same = (both["median"] < LEVEL) == (both["median ours"] < LEVEL)
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
