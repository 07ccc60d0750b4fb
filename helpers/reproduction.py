"""The paper beside its reproduction: Table 1 three ways, its claims, and a scorecard.

Everything is computed from tables that sweeps have left in ``results/``, and from the manifests of
the networks in ``zoo/``.
"""

import json
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from helpers import published, settings, zoo
from helpers.tables import MEASURES, TESTS, format_p, rows_of

LEVEL = 0.05

_FEW = 5
"""Fewer networks than this say nothing about where dependencies lie: a sign test could not reach
`LEVEL` even if all agreed."""

_SOURCES = ("published", "released", "paper")
_ROW = ["network", "measure", "test", "source"]

_WAYS = (
    ("RELEASED", "released", ""),
    ("PAPER", "paper", ""),
    ("PAPER, exchangeable", "paper", "exchangeable_"),
)
"""Our ways of testing: what each is called, its protocol, and the prefix of its tests."""

_THEIR_WAY = ("published", "published", "")

_MLPS_AND_CNNS = dict.fromkeys(("mnist-mlp", "fashion-mlp", "mnist-cnn", "fashion-cnn"), 5)
_ON_RGB = dict.fromkeys(("mnist-rgb-mlp", "mnist-rgb-cnn"), 5)
_VGGS = dict.fromkeys(("cifar10-vgg", "cifar10-vgg-dropout"), 5)

ITEMS: tuple[tuple[str, str, int, str, dict[str, int], int], ...] = (
    ("Table 1a", "score, output entropy", 4, "constructed", _ON_RGB | _VGGS, 3),
    ("Table 1b", "importance, class-wise range", 5, "lesions", _MLPS_AND_CNNS | _VGGS, 2),
    ("Table 2", "untrained VGGs", 4, "constructed", {"cifar10-vgg-untrained": 5}, 0),
    ("Table 3", "other numbers of clusters", 6, "by_k", _MLPS_AND_CNNS | _VGGS, 2),
    ("Tables 4, 5", "many tests at once", 7, "", {}, 0),
    ("Table 6", "activation variance", 4, "constructed", _ON_RGB | _VGGS, 3),
    ("Table 7", "kinds of sub-clusters, MLP", 5, "kinds", {"fashion-mlp": 1}, 0),
    ("Table 8", "kinds of sub-clusters, VGG", 5, "kinds", {"cifar10-vgg": 1}, 0),
    ("Table 9", "dependencies", 8, "pairs", {"fashion-mlp-dropout": 1}, 0),
    (
        "Figure 1",
        "correlation pictures, MLPs",
        3,
        "pictures",
        {
            "mnist-mlp-dropout": 1,
            "fashion-mlp-dropout": 1,
            "halves-same-mnist-mlp-dropout": 1,
            "halves-diff-mnist-mlp": 1,
        },
        0,
    ),
    ("Figure 2", "kinds of sub-clusters", 5, "kinds", {"fashion-mlp": 1, "cifar10-vgg": 1}, 0),
    ("Figure 3", "samples of halves and stacks", 2, "", {}, 0),
    (
        "Figure 4",
        "correlation pictures, CNNs",
        3,
        "pictures",
        {"stack-same-mnist-cnn": 1, "stack-diff-mnist-cnn": 1},
        0,
    ),
    (
        "Figure 5",
        "constructed inputs",
        4,
        "constructed",
        dict.fromkeys(_ON_RGB, 1) | {"cifar10-vgg": 1},
        3,
    ),
    ("Figure 6", "accuracy profiles", 5, "kinds", {"fashion-mlp": 1, "fashion-cnn": 1}, 0),
    ("Figure 7", "cases of dependency", 8, "", {}, 0),
    ("Figures 8, 9", "double lesions", 8, "pairs", {"fashion-mlp-dropout": 1}, 0),
)
"""Each table and figure: what it shows; the page that makes it; which results it needs, if any; of
which trained networks, and how many of each; and how many ImageNet networks besides. The runs
behind Table 7 draw the accuracy profiles, too, but not the CNN's."""

_SECTIONS = {
    2: "02-halves-and-stacks",
    3: "03-correlation-visualization",
    4: "04-input-construction",
    5: "05-lesion-tests",
    6: "06-k-robustness",
    7: "07-multiple-comparisons",
    8: "08-double-lesions",
}


def scorecard(found: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Say of each table and figure of the paper how much of it has been run.

    A network counts if it was run under both protocols, with every number of clusters. Whether
    the numbers agree is another question, see `claims`.

    Parameters
    ----------
    found : mapping of str to pandas.DataFrame
        Collected results by the names that `ITEMS` uses; with columns network, replicate and
        protocol.

    Returns
    -------
    pandas.DataFrame of str
        One row per item: what; status, "run in full", "in part" or "not run here"; networks,
        ours of the paper's; scale; section, the notebook; and what is missing.
    """
    rows = {}
    for item, what, section, source, wanted, n_imagenet in ITEMS:
        networks = {(name, i) for name, n in wanted.items() for i in range(n)}
        done = networks & (_under_both(found[source]) if source else set())
        lacking = {name for name, _ in networks - done}
        n_wanted = len(networks) + n_imagenet
        missing = ["ImageNet networks, not built here yet"] * bool(n_imagenet)
        if lacking:
            missing.append(f"some of {', '.join(sorted(lacking))}")
        state = "in part" if done else "not run here"
        if len(done) == n_wanted:
            state = "run in full"
        rows[item] = {
            "what": what,
            "status": state,
            "networks": f"{len(done)} of {n_wanted}" if n_wanted else "–",
            "scale": "paper" if done or not n_wanted else "–",
            "section": _SECTIONS[section],
            "missing": "; ".join(missing) or "–",
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def _under_both(results: pd.DataFrame) -> set[tuple[str, int]]:
    """Return the networks and replicates with results under both protocols, for every k if any."""
    points = ["protocol", *results.columns.intersection(["k"])]
    runs = results[["network", "replicate", *points]].drop_duplicates()
    n_runs = runs.groupby(["network", "replicate"]).size()
    n_wanted = 2 * (results["k"].nunique() if "k" in results else 1)
    return {(str(name), int(i)) for name, i in n_runs.index[n_runs == n_wanted]}


def table1(lesions: pd.DataFrame, constructed: pd.DataFrame) -> pd.DataFrame:
    """Return all p values of Table 1: the published ones, and ours under both protocols.

    Parameters
    ----------
    lesions, constructed : pandas.DataFrame
        Collected tests: network, replicate, protocol, measure, test, p.

    Returns
    -------
    pandas.DataFrame
        One row per p value: network (as in `published.table1`), measure, test (ours also with
        exchangeable_fisher and exchangeable_chi2), source ("published", "released" or "paper"),
        replicate and p, NaN where there was nothing to test. Networks that have no row in the
        paper's table, such as untrained ones, are left out.
    """
    ours = _labelled(pd.concat([lesions, constructed], ignore_index=True))
    columns = ["network", "measure", "test", "source", "replicate", "p"]
    theirs = published.each_p_value().assign(source="published")
    known = ours[ours["measure"].isin(theirs["measure"]) & ours["network"].notna()]
    return pd.concat([theirs[columns], known[columns]], ignore_index=True)


def _labelled(tests: pd.DataFrame) -> pd.DataFrame:
    """Name the networks of collected tests as Table 1 does, and their protocol as the source."""
    labels = {name: published.label(zoo.recipe(name)) for name in tests["network"].unique()}
    return tests.assign(network=tests["network"].map(labels), source=tests["protocol"])


def medians(table: pd.DataFrame) -> pd.DataFrame:
    """Return the median p value of each network, measure, test, source and k (if there is one).

    Of an even number the larger of the two in the middle is taken: their mean would be smaller
    than half of the values call for. What has no p value at all is left out.
    """
    keys = [*_ROW, "k"] if "k" in table else _ROW
    groups = table.dropna(subset="p").groupby(keys, sort=False)["p"]
    return groups.agg(_middle).reset_index()


def _middle(p: pd.Series) -> float:
    """Return the median, of an even number of values the larger of the two in the middle."""
    return float(np.sort(p)[len(p) // 2])


def side_by_side(table: pd.DataFrame) -> pd.DataFrame:
    """Return Table 1 three ways, for reading.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `table1`.

    Returns
    -------
    pandas.DataFrame of str
        A row per network and measure; for each test and source the median (see `medians`) and, of
        several networks, the range; a dash where nothing could be tested, "not run here" where
        there are only published numbers.
    """
    columns = {
        (TESTS[test], name): (prefix + test, source)
        for test in ("fisher", "chi2")
        for name, source, prefix in (_THEIR_WAY, *_WAYS)
    }
    of = {key: group["p"] for key, group in table.groupby(["network", "measure", "test", "source"])}
    rows = {}
    for network, measure in rows_of(table):
        rows[network, MEASURES[measure]] = {
            heading: _spread(of.get((network, measure, test, source)))
            for heading, (test, source) in columns.items()
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def _spread(p: pd.Series | None) -> str:
    if p is None:
        return "not run here"
    known = p.dropna()
    if len(known) < 2:
        return format_p(known.iloc[0] if len(known) else np.nan)
    return f"{format_p(_middle(known))} ({format_p(known.min())} to {format_p(known.max())})"


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
        for name, source, prefix in _WAYS:
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
    return pd.DataFrame({"low": p.min(), "high": p.max(), "median": p.agg(_middle)})


def accuracies() -> pd.DataFrame:
    """Return the accuracies of the networks in ``zoo/`` beside the paper's and those in its logs.

    Returns
    -------
    pandas.DataFrame
        One row per recipe that the paper has: network; replicates, how many there are; lowest
        and mean, of their test accuracies; floor, logged_min and logged_mean as of
        `published.accuracies`, which has none for networks on three channels.
    """
    manifests = [json.loads(path.read_text()) for path in sorted(settings.ZOO.glob("*.json"))]
    stored = pd.DataFrame(
        [(each["recipe"]["name"], each["accuracy"]["test"]) for each in manifests],
        columns=["network", "accuracy"],
    )
    rows = [
        {
            "network": name,
            "replicates": len(group),
            "lowest": group.min(),
            "mean": group.mean(),
            **published.accuracies(zoo.recipe(str(name))),
        }
        for name, group in stored.groupby("network")["accuracy"]
    ]
    table = pd.DataFrame(rows)
    has_row = table["network"].map(lambda name: published.label(zoo.recipe(name)) is not None)
    return table[table["floor"].notna() | has_row].reset_index(drop=True)


def claims(table: pd.DataFrame, found: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Judge what the paper says by what was found.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `table1`.
    found : mapping of str to pandas.DataFrame
        As for `scorecard`.

    Returns
    -------
    pandas.DataFrame of str
        A row per claim: section; networks, how many of ours are behind it; published, RELEASED,
        PAPER, and PAPER by the asymptotic test that the published ones rest on, in how many cases
        it is so among those that we have; and verdict, by PAPER: "holds" if it is so as often as
        in the published numbers (where there are none, always), "holds in part" if less often,
        "does not hold" if never; "not contradicted" where it says that something is not found,
        and it is not; "too few networks"; or "not run here". If the asymptotic test has it
        otherwise, its verdict follows.
    """
    pictures, kinds = found["pictures"], found["kinds"]
    is_mlp = pictures["network"].str.contains("-mlp")
    clarity = pictures["measure"].isin(["agreement", "contrast, not aligned"])
    preference = pictures["measure"] == "preference"
    on_same = preference & pictures["network"].str.startswith("halves-same")
    on_diff = preference & pictures["network"].str.startswith("halves-diff")
    outside, vggs = "(?!vgg)", "vgg(-regularized)?, cifar10"
    judged = [
        ("Sub-clusters are important.", "3.2", _below(table, "importance", "fisher"), ""),
        (
            "Some sub-clusters are important in practice, too.",
            "3.2",
            _with_any(kinds, "important"),
            "",
        ),
        (
            "Some sub-clusters do significant damage, but of less than one percentage point.",
            "3.2",
            _with_any(kinds, "sig-but-not-diff"),
            "",
        ),
        (
            "Class-wise ranges are usually distributed otherwise than those of random sets.",
            "3.2",
            _below(table, "class_range", "chi2"),
            "",
        ),
        (
            "Class-wise ranges outside VGGs: no higher than those of random sets.",
            "3.2",
            _below(table, "class_range", "fisher", outside, is_negative=True),
            "not",
        ),
        (
            "Scores outside VGGs: no higher than those of random sets.",
            "3.1.2",
            _below(table, "score", "fisher", outside, is_negative=True),
            "not",
        ),
        (
            "Output entropies outside VGGs: no lower than those of random sets.",
            "3.1.2",
            _below(table, "entropy", "fisher", outside, is_negative=True),
            "not",
        ),
        (
            "Pictures of MLPs' sub-clusters are clearer.",
            "3.1.1",
            _clear(pictures[is_mlp & clarity]),
            "",
        ),
        (
            "Pictures of CNNs' sub-clusters: no clearer.",
            "3.1.1",
            _clear(pictures[~is_mlp & clarity], is_negative=True),
            "not",
        ),
        ("Sub-clusters on halves-diff prefer one half.", "3.1.1", _clear(pictures[on_diff]), ""),
        (
            "Sub-clusters on halves-same prefer no half more than random sets.",
            "3.1.1",
            _clear(pictures[on_same], is_negative=True),
            "not",
        ),
        (
            "Other numbers of clusters give the same verdicts.",
            "A.6",
            _same(table, found["by_k"]),
            "",
        ),
        ("Networks are as accurate as the paper says.", "A.2", _met(accuracies()), ""),
        ("Dependencies are more frequent within clusters.", "A.10", _within(found["pairs"]), "few"),
        (
            "Constructed inputs drive VGGs' sub-clusters more than random sets.",
            "3.1.2",
            _below(table, "score", "fisher", "vgg"),
            "",
        ),
        (
            "Unregularised VGGs classify constructed inputs more clearly.",
            "3.1.2",
            _below(table, "entropy", "fisher", "vgg, cifar10"),
            "",
        ),
        (
            "VGGs' sub-clusters have higher class-wise ranges on CIFAR-10.",
            "3.2",
            _below(table, "class_range", "fisher", vggs),
            "",
        ),
        *((claim, section, _NOTHING, "") for claim, section in _UNTESTED),
    ]
    rows = {
        claim: {
            "section": section,
            "networks": str(counts.networks or "–"),
            "published": _count(counts.published),
            "RELEASED": _count(counts.released),
            "PAPER": _count(counts.paper),
            "PAPER, asymptotic": _count(counts.asymptotic) if counts.asymptotic else "–",
            "verdict": _judge(counts, kind),
        }
        for claim, section, counts, kind in judged
    }
    return pd.DataFrame.from_dict(rows, orient="index")


_UNTESTED = (
    ("Sub-clusters of VGG-16 on ImageNet have lower class-wise ranges.", "3.2"),
    ("Untrained VGGs have no input coherence.", "A.5"),
    ("Activations vary less in sub-clusters of VGGs.", "A.8"),
)
"""Claims about networks that are not built here yet."""

_Count = tuple[int, int]
"""So many of so many."""


class _Counts(NamedTuple):
    """In how many cases a claim is so: published (None if only by eye), and by our tests."""

    published: _Count | None
    released: _Count
    paper: _Count
    asymptotic: _Count | None
    """PAPER by the asymptotic test, if it is about one."""
    networks: int


_NOTHING = _Counts((0, 0), (0, 0), (0, 0), None, 0)


def _below(
    table: pd.DataFrame, measure: str, test: str, among: str = "", is_negative: bool = False
) -> _Counts:
    """Count the kinds of networks whose median is below the level, or is not.

    Only those that we have under both protocols, because what is compared must be the same kinds;
    if there are none, all published ones.
    """
    ours = table[(table["measure"] == measure) & table["network"].str.match(among)]
    both = [set(ours.loc[ours["source"] == each, "network"]) for each in _SOURCES[1:]]
    if kinds := set.intersection(*both):
        ours = ours[ours["network"].isin(kinds)]
    chosen = medians(ours)
    counts = []
    for _, source, prefix in (_THEIR_WAY, *_WAYS):
        p = chosen[(chosen["source"] == source) & (chosen["test"] == prefix + test)]["p"]
        counts.append(_so(p, is_negative))
    theirs, released, asymptotic, paper = counts
    n_networks = _n_networks(ours[ours["source"] == "paper"])
    return _Counts(theirs, released, paper, asymptotic, n_networks)


def _so(p: pd.Series, is_negative: bool) -> _Count:
    """Count the p values that are below the level, or are not."""
    return int(((p < LEVEL) != is_negative).sum()), len(p)


def _n_networks(results: pd.DataFrame) -> int:
    return len(results[["network", "replicate"]].drop_duplicates())


def _with_any(kinds: pd.DataFrame, kind: str) -> _Counts:
    """Count the networks that have a sub-cluster of some kind."""
    has_any = kinds.assign(so=kinds["kind"] == kind)
    by_network = has_any.groupby(["protocol", "network", "replicate"])["so"].any()
    released, paper = (
        (int(so.sum()), len(so))
        for so in (
            by_network[by_network.index.get_level_values(0) == each] for each in _SOURCES[1:]
        )
    )
    return _Counts(None, released, paper, None, paper[1])


def _clear(pictures: pd.DataFrame, is_negative: bool = False) -> _Counts:
    """Count networks: by agreement under PAPER, by contrast without alignment under RELEASED."""
    counts = []
    for _, source, prefix in _WAYS:
        without = "agreement" if source == "released" else "contrast, not aligned"
        is_chosen = (pictures["protocol"] == source) & (pictures["test"] == f"{prefix}fisher")
        p = pictures[is_chosen & (pictures["measure"] != without)]["p"]
        counts.append(_so(p, is_negative))
    released, asymptotic, paper = counts
    return _Counts(None, released, paper, asymptotic, paper[1])


def _same(table: pd.DataFrame, by_k: pd.DataFrame) -> _Counts:
    """Count the medians that stay on their side of the level when the number of clusters changes.

    Tests as in Table 1b: Fisher's and the chi-squared test; of kinds of networks and numbers of
    clusters that we have under both protocols.
    """
    labelled = _labelled(by_k)
    points = ["network", "replicate", "k"]
    n_protocols = labelled.groupby(points)["protocol"].transform("nunique")
    labelled = labelled[n_protocols == 2]
    at_12 = medians(table).set_index(_ROW)["p"]
    counts = []
    for _, source, prefix in _WAYS:
        is_way = labelled["test"].isin([f"{prefix}fisher", f"{prefix}chi2"])
        other = medians(labelled[(labelled["source"] == source) & is_way])
        before = at_12.reindex(pd.MultiIndex.from_frame(other[_ROW])).to_numpy()
        known = ~np.isnan(before)
        same = ((other["p"] < LEVEL).to_numpy() == (before < LEVEL)) & known
        counts.append((int(same.sum()), int(known.sum())))
    released, asymptotic, paper = counts
    # Appendix A.6: three medians are different with 8 clusters and one with 18, of the 32 each
    # that Table 1b has.
    return _Counts((60, 64), released, paper, asymptotic, _n_networks(labelled))


def _within(pairs: pd.DataFrame) -> _Counts:
    """Count the networks in which a pair has an edge more often within a cluster than across."""
    share = pairs.astype({"edge": float}).pivot_table(
        index=["protocol", "network", "replicate"], columns="within", values="edge"
    )
    known = share.reindex(columns=[False, True]).dropna()
    counts = []
    for source in _SOURCES[1:]:
        of_source = known[known.index.get_level_values("protocol") == source]
        counts.append((int((of_source[True] > of_source[False]).sum()), len(of_source)))
    return _Counts(None, counts[0], counts[1], None, counts[1][1])


def _met(table: pd.DataFrame) -> _Counts:
    """Count the kinds of networks all of which reach the paper's floor, and did in its logs."""
    known, logged = table.dropna(subset="floor"), table.dropna(subset=["floor", "logged_min"])
    met = (int((known["lowest"] >= known["floor"]).sum()), len(known))
    theirs = (int((logged["logged_min"] >= logged["floor"]).sum()), len(logged))
    return _Counts(theirs, met, met, None, int(known["replicates"].sum()))


def _count(count: _Count | None) -> str:
    if count is None:
        return "by eye"
    return f"{count[0]} of {count[1]}" if count[1] else "–"


def _judge(counts: _Counts, kind: str) -> str:
    if not counts.paper[1]:
        return "not run here"
    if kind == "few" and counts.networks < _FEW:
        return "too few networks"
    verdict = _verdict(counts.published, counts.paper, kind)
    if counts.asymptotic is None:
        return verdict
    other = _verdict(counts.published, counts.asymptotic, kind)
    return verdict if other == verdict else f"{verdict}; asymptotically {other}"


def _verdict(theirs: _Count | None, ours: _Count, kind: str) -> str:
    so, n = ours
    expected = theirs[0] / theirs[1] if theirs and theirs[1] else 1.0
    if n and so / n >= expected:
        return "not contradicted" if kind == "not" else "holds"
    return "holds in part" if so else "does not hold"
