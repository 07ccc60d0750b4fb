"""The paper beside its reproduction: Table 1 three ways, its claims, and a scorecard.

Everything is computed from tables that sweeps have left in ``results/``, and from the manifests of
the networks in ``zoo/``.
"""

import json
from collections.abc import Mapping

import numpy as np
import pandas as pd

from helpers import published, settings, zoo
from helpers.tables import MEASURES, format_p

LEVEL = 0.05

_SOURCES = ("published", "released", "paper")

_MLPS_AND_CNNS = dict.fromkeys(("mnist-mlp", "fashion-mlp", "mnist-cnn", "fashion-cnn"), 5)
_ON_RGB = dict.fromkeys(("mnist-rgb-mlp", "mnist-rgb-cnn"), 5)
_VGGS = dict.fromkeys(("vgg", "vgg-regularized"), 5)

ITEMS: tuple[tuple[str, str, int, str, dict[str, int], int], ...] = (
    ("Table 1a", "score, output entropy", 4, "constructed", _ON_RGB | _VGGS, 3),
    ("Table 1b", "importance, class-wise range", 5, "lesions", _MLPS_AND_CNNS | _VGGS, 2),
    ("Table 2", "untrained VGGs", 4, "constructed", {"vgg-untrained": 5}, 0),
    ("Table 3", "other numbers of clusters", 6, "by_k", _MLPS_AND_CNNS | _VGGS, 2),
    ("Tables 4, 5", "many tests at once", 7, "", {}, 0),
    ("Table 6", "activation variance", 4, "constructed", _ON_RGB | _VGGS, 3),
    ("Table 7", "kinds of sub-clusters, MLP", 5, "lesions", {"fashion-mlp": 1}, 0),
    ("Table 8", "kinds of sub-clusters, VGG", 5, "lesions", {"vgg": 1}, 0),
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
    ("Figure 2", "kinds of sub-clusters", 5, "lesions", {"fashion-mlp": 1, "vgg": 1}, 0),
    ("Figure 3", "samples of halves and stacks", 2, "", {}, 0),
    (
        "Figure 4",
        "correlation pictures, CNNs",
        3,
        "pictures",
        {"stack-same-mnist-cnn": 1, "stack-diff-mnist-cnn": 1},
        0,
    ),
    ("Figure 5", "constructed inputs", 4, "constructed", dict.fromkeys(_ON_RGB, 1) | {"vgg": 1}, 3),
    ("Figure 6", "accuracy profiles", 5, "lesions", {"fashion-mlp": 1, "fashion-cnn": 1}, 0),
    ("Figure 7", "cases of dependency", 8, "", {}, 0),
    ("Figures 8, 9", "double lesions", 8, "pairs", {"fashion-mlp-dropout": 1}, 0),
)
"""Each table and figure: what it shows; the page that makes it; which results it needs, if any; of
which trained networks, and how many of each; and how many ImageNet networks besides."""

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
    """Say of each table and figure of the paper how far it is reproduced.

    Parameters
    ----------
    found : mapping of str to pandas.DataFrame
        Collected results by the names that `ITEMS` uses; with columns network and replicate.

    Returns
    -------
    pandas.DataFrame of str
        One row per item: what, page, scale, networks (ours of the paper's), and status:
        "reproduced", "in part" or "not run here", with the reason for what is missing.
    """
    rows = {}
    for item, what, section, source, wanted, n_imagenet in ITEMS:
        networks = {(name, i) for name, n in wanted.items() for i in range(n)}
        have = found[source][["network", "replicate"]] if source else pd.DataFrame()
        done = networks & set(have.itertuples(index=False, name=None))
        lacking = {name for name, _ in networks - done}
        n_wanted = len(networks) + n_imagenet
        reasons = []
        if n_imagenet or any(name.startswith("vgg") for name in lacking):
            reasons.append("VGG and ImageNet networks are not built here yet")
        if any(not name.startswith("vgg") for name in lacking):
            reasons.append("replicates are not trained yet")
        state = "in part" if done else "not run here"
        if len(done) == n_wanted:
            state, reasons = "reproduced", []
        rows[item] = {
            "what": what,
            "page": _SECTIONS[section],
            "scale": "paper",
            "networks": f"{len(done)} of {n_wanted}" if n_wanted else "–",
            "status": state + (f": {'; '.join(reasons)}" if reasons else ""),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


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
        replicate and p.
    """
    ours = pd.concat([lesions, constructed], ignore_index=True)
    ours = ours.assign(
        network=ours["network"].map(_labels(ours["network"])), source=ours["protocol"]
    )
    columns = ["network", "measure", "test", "source", "replicate", "p"]
    theirs = published.each_p_value().assign(source="published")
    known = ours[ours["measure"].isin(theirs["measure"]) & ours["p"].notna()]
    return pd.concat([theirs[columns], known[columns]], ignore_index=True)


def _labels(networks: pd.Series) -> dict[str, str | None]:
    """Return the names in Table 1 of networks of the zoo."""
    return {name: published.label(zoo.recipe(name)) for name in networks.unique()}


def medians(table: pd.DataFrame) -> pd.DataFrame:
    """Return the median p value of each network, measure, test and source of `table1`."""
    keys = ["network", "measure", "test", "source"]
    return table.groupby(keys, sort=False)["p"].median().reset_index()


def rows_of(table: pd.DataFrame) -> list[tuple[str, str]]:
    """Return the rows of Table 1: networks in its order, and the measures of each."""
    pairs = set(table[["network", "measure"]].itertuples(index=False, name=None))
    networks = table["network"].unique()
    return [(net, each) for net in networks for each in MEASURES if (net, each) in pairs]


def side_by_side(table: pd.DataFrame) -> pd.DataFrame:
    """Return Table 1 three ways, for reading.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `table1`.

    Returns
    -------
    pandas.DataFrame of str
        A row per network and measure; for each test and source the median and, of several
        networks, the range; "not run here" where there are only published numbers.
    """
    columns = {
        ("Fisher", "published"): ("fisher", "published"),
        ("Fisher", "RELEASED"): ("fisher", "released"),
        ("Fisher", "PAPER"): ("fisher", "paper"),
        ("Fisher", "PAPER, exchangeable"): ("exchangeable_fisher", "paper"),
        ("chi²", "published"): ("chi2", "published"),
        ("chi²", "RELEASED"): ("chi2", "released"),
        ("chi²", "PAPER"): ("chi2", "paper"),
        ("chi²", "PAPER, exchangeable"): ("exchangeable_chi2", "paper"),
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
    if len(p) == 1:
        return format_p(p.iloc[0])
    return f"{format_p(p.median())} ({format_p(p.min())} to {format_p(p.max())})"


def accuracies() -> pd.DataFrame:
    """Return the accuracies of the networks in ``zoo/`` beside the paper's and those in its logs.

    Returns
    -------
    pandas.DataFrame
        One row per recipe that the paper has: network; replicates, how many there are; lowest
        and mean, of their test accuracies; floor, logged_min and logged_mean as of
        `published.accuracies`.
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
    return table[table["floor"].notna()].reset_index(drop=True)


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
        A row per claim: section; published, RELEASED and PAPER, in how many cases it is so; and
        verdict, by PAPER: "holds" in all cases, "holds in part",
        "does not hold", or "not run here".
    """
    rows = [
        ("Sub-clusters are important.", "3.2", *_below(table, "importance", "fisher")),
        (
            "Ranges differ from those of random sets in either direction.",
            "3.2",
            *_below(table, "class_range", "chi2"),
        ),
        (
            "Outside VGGs sub-clusters are not more coherent by class-wise range.",
            "3.2",
            *_below(table, "class_range", "fisher", not_below=True),
        ),
        (
            "Outside VGGs constructed inputs drive sub-clusters no more than random sets.",
            "3.1.2",
            *_below(table, "score", "fisher", not_below=True),
        ),
        (
            "Outside VGGs constructed inputs are not classified more clearly.",
            "3.1.2",
            *_below(table, "entropy", "fisher", not_below=True),
        ),
        *_of_pictures(found["pictures"]),
        ("Verdicts are the same with 8 and 18 clusters.", "A.6", *_of_k(table, found["by_k"])),
        ("Dependencies stay within clusters.", "A.10", *_of_pairs(found["pairs"])),
        ("Networks are as accurate as the paper says.", "A.2", *_of_accuracies(accuracies())),
    ]
    columns = ["claim", "section", "published", "RELEASED", "PAPER"]
    judged = pd.DataFrame(rows, columns=columns).set_index("claim")
    return judged.assign(verdict=judged["PAPER"].map(_verdict))


def _below(
    table: pd.DataFrame, measure: str, test: str, not_below: bool = False
) -> tuple[str, str, str]:
    """Count the networks that we have and whose median p value is below the level, or is not."""
    chosen = medians(table[table["measure"] == measure])
    ours = set(chosen.loc[chosen["source"] != "published", "network"])
    counts = []
    for source, name in zip(_SOURCES, (test, test, f"exchangeable_{test}"), strict=True):
        p = chosen[
            (chosen["source"] == source) & (chosen["test"] == name) & chosen["network"].isin(ours)
        ]["p"]
        so = (p >= LEVEL) if not_below else (p < LEVEL)
        counts.append(f"{so.sum()} of {len(p)} kinds of networks")
    return counts[0], counts[1], counts[2]


def _of_pictures(pictures: pd.DataFrame) -> list[tuple[str, str, str, str, str]]:
    """Judge whether sub-clusters' pictures are clearer than those of twins, and take sides."""
    is_mlp = pictures["network"].str.contains("-mlp")
    clear = pictures["measure"].isin(["agreement", "contrast, not aligned"])
    sided = (pictures["measure"] == "preference") & pictures["network"].str.startswith(
        "halves-diff"
    )
    return [
        (
            "Pictures of sub-clusters of MLPs are clearer.",
            "3.1.1",
            *_side(pictures[is_mlp & clear]),
        ),
        (
            "Pictures of sub-clusters of CNNs are not.",
            "A.3",
            *_side(pictures[~is_mlp & clear], True),
        ),
        ("Sub-clusters on halves-diff prefer one half.", "3.1.1", *_side(pictures[sided])),
    ]


def _side(pictures: pd.DataFrame, not_below: bool = False) -> tuple[str, str, str]:
    """Count networks: by agreement under PAPER, by contrast without alignment under RELEASED."""
    counts = []
    for source, test, without in (
        ("released", "fisher", "agreement"),
        ("paper", "exchangeable_fisher", "contrast, not aligned"),
    ):
        p = pictures[
            (pictures["protocol"] == source)
            & (pictures["test"] == test)
            & (pictures["measure"] != without)
        ]["p"]
        so = (p >= LEVEL) if not_below else (p < LEVEL)
        counts.append(f"{so.sum()} of {len(p)} networks")
    return "by eye", counts[0], counts[1]


def _of_k(table: pd.DataFrame, by_k: pd.DataFrame) -> tuple[str, str, str]:
    """Count the medians that stay on their side of the level when the number of clusters changes.

    Tests as in Table 1b: Fisher's and the chi-squared test, under PAPER exchangeable.
    """
    labelled = by_k.assign(
        network=by_k["network"].map(_labels(by_k["network"])),
        source=by_k["protocol"],
    )
    keys = ["network", "measure", "test", "source"]
    at_12 = medians(table).set_index(keys)["p"]
    # Appendix A.6: of 32 medians, three are different with 8 clusters and one with 18.
    counts = ["60 of 64 medians"]
    for source, is_exchangeable in (("released", False), ("paper", True)):
        chosen = labelled[
            (labelled["source"] == source)
            & (labelled["test"].str.startswith("exchangeable") == is_exchangeable)
        ]
        other = chosen.groupby([*keys, "k"])["p"].median().reset_index().dropna()
        before = at_12.reindex(pd.MultiIndex.from_frame(other[keys])).to_numpy()
        known = ~np.isnan(before)
        same = ((other["p"] < LEVEL).to_numpy() == (before < LEVEL)) & known
        counts.append(f"{same.sum()} of {known.sum()} medians")
    return counts[0], counts[1], counts[2]


def _of_pairs(pairs: pd.DataFrame) -> tuple[str, str, str]:
    """Say how many pairs within clusters have an edge, and how many between clusters."""
    texts = ["by eye"]
    for source in ("released", "paper"):
        rows = pairs[pairs["protocol"] == source]
        within, across = rows[rows["within"]], rows[~rows["within"]]
        texts.append(
            f"{within['edge'].sum()} of {len(within)} pairs within clusters, "
            f"{across['edge'].sum()} of {len(across)} between"
        )
    return texts[0], texts[1], texts[2]


def _of_accuracies(table: pd.DataFrame) -> tuple[str, str, str]:
    met = table["lowest"] >= table["floor"]
    text = f"{met.sum()} of {len(table)} kinds of networks"
    return f"{len(table)} of {len(table)}", text, text


def _verdict(text: str) -> str:
    """Judge a text of the form "3 of 4 ..."; of pairs, by which kind has the larger share."""
    if text.startswith("0 of 0"):
        return "not run here"
    shares = [int(part.split()[0]) / max(int(part.split()[2]), 1) for part in text.split(", ")]
    if len(shares) == 2:
        return "holds" if shares[0] > shares[1] else "does not hold"
    if shares[0] == 1:
        return "holds"
    return "holds in part" if shares[0] > 0 else "does not hold"
