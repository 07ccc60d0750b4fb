"""Tables as people read them."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd

from helpers.book import published
from helpers.measures import CASES, Comparison
from helpers.plots.calibration import NAMES
from helpers.plots.headings import MEASURES, TESTS
from helpers.zoo import Recipe, TrainedNetwork


def network_row(tests: pd.DataFrame, recipe: Recipe) -> pd.DataFrame:
    """Return a network's row of Table 1, beside the published range where there is one.

    Parameters
    ----------
    tests : pandas.DataFrame
        Of `Comparison.combine`, for one or several measures.
    recipe : Recipe
        Of the network; chooses the published networks to compare with.

    Returns
    -------
    pandas.DataFrame of str
        One row per measure: numbers of tested and excluded sub-clusters, p values to two
        significant digits, and the published networks' range of p values.
    """
    theirs = published.p_values(recipe)
    rows = {}
    for measure, ours in tests.groupby("measure", sort=False):
        p = ours.set_index("test")["p"]
        row = {name: str(ours[name].iloc[0]) for name in ("tested", "excluded")}
        row |= {heading: format_p(p[test]) for test, heading in TESTS.items()}
        for test in ("fisher", "chi2"):
            if p_values := theirs.get((str(measure), test)):
                low, high = p_values[0], p_values[-1]
                row[f"published {TESTS[test]}"] = f"{format_p(low)} to {format_p(high)}"
        rows[MEASURES[str(measure)]] = row
    return pd.DataFrame.from_dict(rows, orient="index").fillna("–")


def comparison(groups: Mapping[Hashable, Comparison], random_state: int = 0) -> pd.DataFrame:
    """Return how groups of sub-clusters compare with their twins.

    Parameters
    ----------
    groups : mapping to Comparison
        Label of each row, and what it is about.
    random_state : int
        Seed of the exchangeable tests.

    Returns
    -------
    pandas.DataFrame of str
        One row per group: how many sub-clusters are tested; of these, the median of the measure
        and of the twins', and how many are more extreme than all their twins; and p values to
        two significant digits, asymptotic and of the exchangeable test.
    """
    rows = {}
    for label, each in groups.items():
        tested = each.where(each.is_tested)
        p = each.combine(random_state).set_index("test")["p"]
        rows[label] = {
            "tested": f"{len(tested.true)} of {len(each.true)}",
            "median": f"{pd.Series(tested.true).median():.2g}",
            "twins' median": f"{pd.Series(tested.random.ravel()).median():.2g}",
            "beyond all twins": str(int(tested.is_beyond.sum())),
        } | {heading: format_p(p[test]) for test, heading in TESTS.items()}
    return pd.DataFrame.from_dict(rows, orient="index")


def preference_table(compared: Comparison, parts: tuple[str, str]) -> pd.DataFrame:
    """Return a table of preferences for reading.

    Parameters
    ----------
    compared : Comparison
        Of `measures.preference`.
    parts : (str, str)
        What to call the two parts.
    """
    table = subcluster_table(compared, "preference")
    return table.assign(preferred=table["preferred"].map(dict(enumerate(parts))))


def accuracies(networks: Sequence[TrainedNetwork]) -> pd.DataFrame:
    """Return the networks' accuracies beside what the paper claims and what its logs say.

    Parameters
    ----------
    networks : sequence of TrainedNetwork
        One row each.

    Returns
    -------
    pandas.DataFrame of str
        Test accuracy; the paper's floor, and whether it is met; the lowest and the mean of the
        five networks in the authors' logs. Dashes where the paper has no such network.
    """
    rows = {}
    for each in networks:
        theirs = published.accuracies(each.recipe)
        met = "yes" if each.accuracy >= theirs["floor"] else "no"
        rows[f"{each.recipe.name}, replicate {each.replicate}"] = {
            "test accuracy": f"{each.accuracy:.4f}",
            "the paper's floor": _format_accuracy(theirs["floor"], 2),
            "met": "–" if pd.isna(theirs["floor"]) else met,
            "logs, lowest": _format_accuracy(theirs["logged_min"], 4),
            "logs, mean": _format_accuracy(theirs["logged_mean"], 4),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def _format_accuracy(accuracy: float, digits: int) -> str:
    return "–" if pd.isna(accuracy) else f"{accuracy:.{digits}f}"


def format_p(p: float) -> str:
    """Return a p value to two significant digits, a dash for one that is not defined."""
    return "–" if pd.isna(p) else f"{p:.2g}"


def subcluster_table(compared: Comparison, value: str) -> pd.DataFrame:
    """Return a comparison's table for reading: rounded, the twins' values as their median.

    Parameters
    ----------
    compared : Comparison
        Of one of `measures`.
    value : str
        What to call the column of the value that is compared with the twins'.
    """
    table = compared.table()
    shown = table.drop(columns="complete").assign(p=table["p"].map(format_p))
    headings = {"value": value, "random_median": "twins' median"}
    shown = shown.rename(columns=headings | {"undefined_twins": "undefined twins"})
    digits = {"share": 3, "intact": 3, "lesioned": 3, value: 3, "twins' median": 3}
    shown = shown.round(digits).astype({value: object, "twins' median": object})
    return shown.fillna("–").set_index(["layer", "cluster"])


def taxonomy_table(table: pd.DataFrame) -> pd.DataFrame:
    """Return the kinds of sub-clusters for reading (Tables 7 and 8).

    Parameters
    ----------
    table : pandas.DataFrame
        Of `measures.taxonomy`.

    Returns
    -------
    pandas.DataFrame of str
        The loss of accuracy, and its mean and standard deviation under lesions of the random
        twins, in percentage points; p value; proportion of the layer; kind.
    """
    points = {
        "accuracy difference": table["damage"],
        "random mean": table["random_mean"],
        "random std.": table["random_std"],
    }
    shown = {name: [f"{100 * each:.2f}" for each in column] for name, column in points.items()}
    return pd.DataFrame(
        {
            "layer": table["layer"],
            "cluster": table["cluster"],
            **shown,
            "p": table["p"].map(format_p),
            "proportion": [f"{each:.1%}" for each in table["share"]],
            "kind": table["kind"],
        }
    ).set_index(["layer", "cluster"])


def dependency_table(table: pd.DataFrame) -> pd.DataFrame:
    """Return what pairs of important sub-clusters say, for reading (Table 9).

    Parameters
    ----------
    table : pandas.DataFrame
        Of `measures.dependency_table`.

    Returns
    -------
    pandas.DataFrame of str
        One row per pair: extra losses of accuracy in percentage points, with their p values and
        whether the sub-cluster is important given the other; and what follows.
    """
    rows = {}
    for row in table.itertuples():
        name = f"{row.x_layer}, {row.x_cluster}", f"{row.y_layer}, {row.y_cluster}"
        rows[name] = {
            "δ(X, Y)": _format_points(row.delta_x),
            "p(X | Y)": format_p(float(str(row.p_x))),
            "X | Y": "yes" if row.x_given_y else "no",
            "δ(Y, X)": _format_points(row.delta_y),
            "p(Y | X)": format_p(float(str(row.p_y))),
            "Y | X": "yes" if row.y_given_x else "no",
            "reading": CASES[str(row.case)],
        }
    shown = pd.DataFrame.from_dict(rows, orient="index")
    shown.index = pd.MultiIndex.from_tuples(list(rows), names=["X", "Y"])
    return shown


def _format_points(share: Any) -> str:
    """Return a share of images in percentage points, without a negative zero."""
    return f"{100 * share:.1f}".replace("-0.0", "0.0")


def sizes(table: pd.DataFrame) -> pd.DataFrame:
    """Return how often tests find something in nothing, for reading.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `calibration.shares`, by measure and test.

    Returns
    -------
    pandas.DataFrame of str
        One row per measure and test: how many p values there are, and for each level the share of
        those at or below it, with its 95 % interval; a dash where there is none.
    """
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for row in table.to_dict("records"):
        key = MEASURES.get(row["measure"], row["measure"]), NAMES.get(row["test"], row["test"])
        text = f"{row['share']:.3f} ({row['low']:.3f} to {row['high']:.3f})"
        said = rows.setdefault(key, {"p values": str(row["n"])})
        said[f"p ≤ {row['level']:g}"] = "–" if pd.isna(row["share"]) else text
    shown = pd.DataFrame.from_dict(rows, orient="index").fillna("–")
    shown.index = pd.MultiIndex.from_tuples(list(rows), names=["measure", "test"])
    return shown


def network_rows(
    table: pd.DataFrame,
    verdict: str | None = None,
    index: Sequence[str] = ("network",),
) -> pd.DataFrame:
    """Return combined p values with a row per network, and columns for measures and tests.

    Parameters
    ----------
    table : pandas.DataFrame
        With columns measure, test and p, and those of the index.
    verdict : str, optional
        Name of a column of bool: p values for which it holds get a tick, as in Tables 4 and 5.
    index : sequence of str
        Columns that tell the rows apart.

    Returns
    -------
    pandas.DataFrame of str
        P values to two significant digits; a dash where there is none.
    """
    ticks = table[verdict].map({True: " ✓", False: ""}) if verdict else ""
    shown = table.assign(text=table["p"].map(format_p) + ticks)
    rows = {}
    for key, group in shown.groupby(list(index), sort=False):
        texts = group.set_index(["measure", "test"])["text"]
        rows[key if len(index) > 1 else key[0]] = {
            (MEASURES[measure], TESTS[test]): texts.get((measure, test), "–")
            for measure in MEASURES
            for test in TESTS
            if ((table["measure"] == measure) & (table["test"] == test)).any()
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(list(index))


def rows_of(table: pd.DataFrame) -> list[tuple[str, str]]:
    """Return the rows of Table 1: networks in its order, and the measures of each."""
    pairs = set(table[["network", "measure"]].itertuples(index=False, name=None))
    networks = table["network"].unique()
    return [(net, each) for net in networks for each in MEASURES if (net, each) in pairs]
