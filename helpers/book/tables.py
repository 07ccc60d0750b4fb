"""Tables as people read them."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from helpers import statistics
from helpers.book import published
from helpers.measures import CASES, FOUND, Comparison
from helpers.plots.calibration import NAMES
from helpers.plots.headings import EFFECTS, MEASURES, TESTS
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
        One row per measure: numbers of tested and excluded sub-clusters, the mean effect, p values,
        and the published networks' range of p values.
    """
    theirs = published.p_values(recipe)
    rows = {}
    for measure, ours in tests.groupby("measure", sort=False):
        p = ours.set_index("test")["p"]
        row = {name: str(ours[name].iloc[0]) for name in ("tested", "excluded")}
        row["mean effect"] = effect_in_units(ours.iloc[0].to_dict())
        row |= {heading: format_p(p[test]) for test, heading in TESTS.items()}
        for test in ("fisher", "chi2"):
            if p_values := theirs.get((str(measure), test)):
                low, high = p_values[0], p_values[-1]
                row[f"published {TESTS[test]}"] = format_p_range(low, high)
        rows[MEASURES[str(measure)]] = row
    return pd.DataFrame.from_dict(rows, orient="index").fillna("–")


_LEAST_P = 0.0001


def exact_table(tests: pd.DataFrame, n_comparable: int) -> pd.DataFrame:
    """Return exact tests for reading, each beside its effect.

    Parameters
    ----------
    tests : pandas.DataFrame
        Of `Comparison.combine`, of permuted partitions; rows of other tests are left out.
    n_comparable : int
        How many of the tested sub-clusters can be compared at equal damage, for the measures of
        class-wise coherence.

    Returns
    -------
    pandas.DataFrame of str
        One row per measure: numbers of sub-clusters, the exact p value with its Monte-Carlo
        interval and the two-sided one, the mean effect, with its interval over test images if
        there is one, and the exact p value of that effect with its Monte-Carlo interval, where it
        has one of its own.
    """
    rows = {}
    of_effects = {
        row["measure"]: format_p_with_interval(row["p"], row["p_low"], row["p_high"])
        for row in tests[tests["test"] == "exact_effect"].to_dict("records")
    }
    for row in tests[tests["test"] == "exact"].to_dict("records"):
        n_compared = n_comparable if row["measure"] in _AT_EQUAL_DAMAGE else row["tested"]
        rows[MEASURES[row["measure"]]] = {
            "tested": str(row["tested"]),
            "excluded": str(row["excluded"]),
            "comparable": str(n_compared),
            "exact p": format_p_with_interval(row["p"], row["p_low"], row["p_high"]),
            "two-sided": format_p(row["p_two_sided"]),
            "mean effect": effect_in_units(row),
            "p of the mean effect": of_effects.get(row["measure"], "–"),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


_AT_EQUAL_DAMAGE = ("coherence", "class_variance")
"""Measures of which what cannot be compared is tested, too, with p = 1."""


def effect_in_units(row: Mapping[Any, Any]) -> str:
    """Return a mean effect with its interval, if it has one, in the unit of its measure.

    Parameters
    ----------
    row : mapping
        With measure, effect, low and high, as of `Comparison.combine`.

    Returns
    -------
    str
        To two significant digits, of ratios three; 0 for less than a thousandth (`or_nothing`), a
        dash if there is no effect.
    """
    effect = _mean_effect(row)
    return effect if effect == "–" else f"{effect} {EFFECTS[row['measure']]}"


def _mean_effect(row: Mapping[Any, Any]) -> str:
    """Return a mean effect with its interval, if it has one; a dash if there is none."""
    if pd.isna(row["effect"]):
        return "–"
    # Of ratios near one, two digits tell nothing.
    digits = 3 if EFFECTS[row["measure"]].startswith("times") else 2
    ends = (or_nothing(row[end]) for end in ("effect", "low", "high"))
    effect, low, high = (f"{end:.{digits}g}" for end in ends)
    return effect if pd.isna(row["low"]) else f"{effect} ({low} to {high})"


def or_nothing(effect: float) -> float:
    """Return an effect, and 0 for one so small that nobody should read its exponent."""
    return 0.0 if abs(effect) < _LEAST_SHOWN else effect


_LEAST_SHOWN = 1e-3


def effects_table(effects: pd.DataFrame) -> pd.DataFrame:
    """Return how much sub-clusters' lesions cost beyond their twins', on three scales, for reading.

    Parameters
    ----------
    effects : pandas.DataFrame
        Of `Comparison.effects`, of importance with known images.

    Returns
    -------
    pandas.DataFrame of str
        One row per sub-cluster, with 95 % intervals: points beyond its twins; the log ratio of
        damages in images; 2x / (x + random) with its standard error.
    """
    rows = {}
    for row in effects.to_dict("records"):
        rows[f"{row['layer']}, {row['cluster']}"] = {
            "points": format_effect(row),
            "log ratio": format_effect(
                {
                    "effect": row["log_ratio"],
                    "low": row["log_ratio_low"],
                    "high": row["log_ratio_high"],
                }
            ),
            "2x/(x + random)": _with_error(row["relative"], row["relative_se"]),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("sub-cluster")


def _with_error(value: float, error: float) -> str:
    if np.isnan(value):
        return "–"
    return f"{value:.2f}" if np.isnan(error) else f"{value:.2f} ± {error:.2f}"


def compared_table(compared: pd.DataFrame) -> pd.DataFrame:
    """Return reports side by side for reading, each p value beside its effect.

    Parameters
    ----------
    compared : pandas.DataFrame
        Of `helpers.compare`.

    Returns
    -------
    pandas.DataFrame of str
        One row per report: verdicts, effects with 95 % intervals and exact p values, of importance
        among units of similar strength, too; numbers of parts that are found of those tested.
    """
    rows = {}
    for name, row in compared.iterrows():
        of_importance = {end: row[f"importance_{end}"] for end in ("effect", "low", "high")}
        within = {end: row[f"within_{end}"] for end in ("effect", "low", "high")}
        of_classes = {end: row[f"class_range_{end}"] for end in ("effect", "low", "high")}
        rows[name] = {
            "important": row["important"],
            "points beyond random": format_effect(of_importance),
            "p": format_p(row["importance_p"]),
            "beyond similar strength": format_effect(within),
            "p, strength": format_p(row["within_p"]),
            "class-wise": row["class_wise"],
            "times as uneven": format_effect(of_classes, 2),
            "p, classes": format_p(row["class_range_p"]),
            "parts found": f"{row['importance_found']} of {row['tested']}",
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def chance_table(kinds: pd.DataFrame, n_permutations: int) -> pd.DataFrame:
    """Return how many sub-clusters are of a kind beside what chance gives, for reading.

    Parameters
    ----------
    kinds : pandas.DataFrame
        Of `measures.kinds_by_chance`.
    n_permutations : int
        Permuted partitions behind it.

    Returns
    -------
    pandas.DataFrame of str
        One row per kind.
    """
    p = [
        format_p_with_interval(each, *statistics.rank_interval(each, n_permutations))
        for each in kinds["p"]
    ]
    return pd.DataFrame(
        {
            "found": kinds["found"].astype(str).to_list(),
            "expected by chance": kinds["expected"].map("{:.2g}".format).to_list(),
            "permuted partitions with any": kinds["chance"].map("{:.0%}".format).to_list(),
            "exact p": p,
        },
        index=kinds["kind"].to_list(),
    )


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
        One row per group: of the sub-clusters that are tested, how many are more extreme than all
        their twins, the median of the measure and that of the twins'; p values to two significant
        digits, asymptotic and of the exchangeable test; and how many are not tested, if any.
    """
    rows = {}
    for label, each in groups.items():
        tested = each.where(each.is_tested)
        p = each.combine(random_state).set_index("test")["p"]
        rows[label] = {
            "beyond all twins": f"{tested.is_beyond.sum()} of {len(tested.true)}",
            "median": f"{pd.Series(tested.true).median():.2g}",
            "twins' median": f"{pd.Series(tested.random.ravel()).median():.2g}",
        } | {heading: format_p(p[test]) for test, heading in TESTS.items()}
        if len(tested.true) < len(each.true):
            rows[label]["not tested"] = str(len(each.true) - len(tested.true))
    return pd.DataFrame.from_dict(rows, orient="index").fillna("0")


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
        Test accuracy; what the paper reaches at least, and whether it is met; the lowest and the
        mean of the five networks in the authors' logs. Dashes where the paper has no such network.
        Rows name the replicate unless all have the same.
    """
    rows = {}
    n_replicates = len({each.replicate for each in networks})
    for each in networks:
        theirs = published.accuracies(each.recipe)
        met = "yes" if each.accuracy >= theirs["floor"] else "no"
        name = f"{each.recipe.name}, replicate {each.replicate}"
        rows[name if n_replicates > 1 else each.recipe.name] = {
            "test accuracy": f"{each.accuracy:.4f}",
            "the paper: at least": _format_accuracy(theirs["floor"], 2),
            "met": "–" if pd.isna(theirs["floor"]) else met,
            "logs, lowest": _format_accuracy(theirs["logged_min"], 4),
            "logs, mean": _format_accuracy(theirs["logged_mean"], 4),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def _format_accuracy(accuracy: float, digits: int) -> str:
    return "–" if pd.isna(accuracy) else f"{accuracy:.{digits}f}"


def format_p(p: float) -> str:
    """Return a p value to two significant digits, a dash for one that is not defined.

    Below one in ten thousand nothing is said but that: of p values that rest on distributions of
    large samples, or on assumptions that hold only nearly, further digits mean nothing.
    """
    text = f"< {_LEAST_P}" if p < _LEAST_P else f"{p:.2g}"
    return "–" if pd.isna(p) else text


def p_is(p: float) -> str:
    """Return the same within a sentence: p = 0.03, or p < 0.0001."""
    return f"p {format_p(p)}" if p < _LEAST_P else f"p = {format_p(p)}"


def format_p_range(low: float, high: float) -> str:
    """Return the smallest and the largest of several p values; once if they read alike."""
    return " to ".join(dict.fromkeys(map(format_p, (low, high))))


def format_p_with_interval(p: Any, low: Any, high: Any) -> str:
    """Return a p value with its Monte-Carlo interval in brackets, if it has one that differs."""
    shown = format_p(p)
    between = shown if pd.isna(p) else format_p_range(low, high)
    return shown if between == shown else f"{shown} ({between})"


def subcluster_table(compared: Comparison, value: str) -> pd.DataFrame:
    """Return a comparison's table for reading: rounded, the twins' values as their median.

    Parameters
    ----------
    compared : Comparison
        Of one of `measures`.
    value : str
        What to call the column of the value that is compared with the twins'.

    Returns
    -------
    pandas.DataFrame
        One row per sub-cluster: p first, because a phone shows what is first. Why any is excluded
        has a column only if one is.
    """
    table = compared.table()
    shown = table.drop(columns=["complete", "share", "intact", "lesioned"], errors="ignore")
    headings = {"value": value, "random_median": "twins' median"}
    shown = shown.rename(columns=headings | {"undefined_twins": "undefined twins"})
    shown = shown.round({value: 3, "twins' median": 3})
    shown = shown.astype({value: object, "twins' median": object})
    shown.insert(2, "p", shown.pop("p").map(format_p))
    if "excluded" in shown and not shown["excluded"].any():
        shown = shown.drop(columns="excluded")
    return shown.fillna("–").set_index(["layer", "cluster"])


_UNITS = {"importance": "points", "coherence": "%", "agreement": "%", "score": "%"}


def partition_table(table: pd.DataFrame) -> pd.DataFrame:
    """Return what partitions find, for reading.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `evaluation.compare_partitions`, `compare_pictures` or `compare_scores`, with the column
        network.

    Returns
    -------
    pandas.DataFrame of str
        One row per network and partition: for each measure, its effect with the 95 % interval, the
        p value of all sub-clusters, how many are comparable at equal damage, and how many are found
        of those that are tested.
    """
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for row in table.to_dict("records"):
        heading, tested = row["measure"], row["tested"]
        cells = rows.setdefault((row["network"], row["partition"]), {})
        cells[f"{heading} ({_UNITS[heading]})"] = format_effect(row)
        cells[f"{heading}, p"] = format_p(row["p"])
        if row["measure"] == "coherence":
            cells["comparable"] = f"{row['comparable']} of {tested}"
        cells[f"{heading}, found"] = f"{row['found']} of {tested}"
    shown = pd.DataFrame.from_dict(rows, orient="index")
    shown.index = pd.MultiIndex.from_tuples(list(rows), names=["network", "partition"])
    return shown


def replicates_table(table: pd.DataFrame) -> pd.DataFrame:
    """Return what partitions of several networks of a kind find, for reading.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `evaluation.compare_partitions`, `compare_pictures` or `compare_scores`, with the columns
        network and replicate, and one partition of each network.

    Returns
    -------
    pandas.DataFrame of str
        One row per kind of network; for each measure, the mean effect over replicates with
        Student's 95 % interval, if there are several, and in how many of them p is at most .05. A
        dash where no part could be compared.
    """
    rows: dict[str, dict[str, str]] = {}
    for (name, measure), of_kind in table.groupby(["network", "measure"], sort=False):
        effects = of_kind["effect"].dropna()
        whole = mean_over_networks(effects)
        mean = format_effect(whole) if len(effects) > 1 else f"{effects.mean():.1f}"
        cells = rows.setdefault(str(name), {})
        cells[f"{measure} ({_UNITS[str(measure)]})"] = mean if len(effects) else "–"
        found = f"{(of_kind['p'] <= FOUND).sum()} of {len(of_kind)}"
        cells[f"{measure}, p ≤ .05"] = found if len(effects) else "–"
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("network")


def over_networks(tests: pd.DataFrame, test: str = "exact") -> pd.DataFrame:
    """Return what a test finds in several networks of a kind, for reading.

    Parameters
    ----------
    tests : pandas.DataFrame
        Of `Comparison.combine`, with the columns network, replicate and protocol; rows of the
        released protocol are left out.
    test : str
        Which test: "exact", or one of `measures.TESTS`.

    Returns
    -------
    pandas.DataFrame of str
        One row per kind of network; for each measure, the mean effect over replicates with
        Student's 95 % interval, if there are several, in how many of them p is at most .05, and in
        brackets the median p. A dash where there is none.
    """
    chosen = tests[(tests["test"] == test) & (tests["protocol"] == "paper")]
    rows: dict[Hashable, dict[tuple[str, str], str]] = {}
    for network, of_network in chosen.groupby("network", sort=False):
        cells = rows.setdefault(network, {})
        for measure in (each for each in MEASURES if (chosen["measure"] == each).any()):
            of_both = of_network[of_network["measure"] == measure]
            whole = {"measure": measure, **mean_over_networks(of_both["effect"])}
            n_found, middle = (of_both["p"] <= FOUND).sum(), format_p(middle_p(of_both["p"]))
            found = f"{n_found} of {len(of_both)} ({middle})" if len(of_both) else "–"
            cells[MEASURES[measure], f"mean effect, {EFFECTS[measure]}"] = _mean_effect(whole)
            cells[MEASURES[measure], "p ≤ .05 (median p)"] = found
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("network")


def mean_over_networks(effects: pd.Series) -> dict[str, float]:
    """Return the mean effect over networks trained alike, with Student's 95 % interval.

    Parameters
    ----------
    effects : pandas.Series of float
        One of each network; those that are NaN are left out.

    Returns
    -------
    dict of str to float
        effect, low and high; the ends are NaN if there are fewer than two.
    """
    low, high = statistics.mean_interval(effects)
    return {"effect": float(effects.mean()), "low": low, "high": high}


def partitions_by_network(table: pd.DataFrame) -> pd.DataFrame:
    """Return what partitions find by one measure, with a column per network, for reading.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `measures.over_replicates`, for one measure.

    Returns
    -------
    pandas.DataFrame of str
        One row per partition: the mean effect with its interval, and a tick where p is at most .05.
    """
    cells: dict[str, dict[str, str]] = {}
    for row in table.to_dict("records"):
        tick = " ✓" * bool(row["p"] <= FOUND)
        cells.setdefault(row["partition"], {})[row["network"]] = format_effect(row) + tick
    return pd.DataFrame.from_dict(cells, orient="index").rename_axis("partition")


def format_effect(row: Mapping[Any, Any], n_digits: int = 1) -> str:
    """Return an effect with its interval, from effect, low and high; a dash if there is none."""
    if pd.isna(row["effect"]):
        return "–"
    effect, low, high = (
        f"{round(row[end], n_digits) + 0:.{n_digits}f}" for end in ("effect", "low", "high")
    )
    return f"{effect} ({low} to {high})"


def taxonomy_table(table: pd.DataFrame) -> pd.DataFrame:
    """Return the kinds of sub-clusters for reading (Tables 7 and 8).

    Parameters
    ----------
    table : pandas.DataFrame
        Of `measures.taxonomy`.

    Returns
    -------
    pandas.DataFrame of str
        Kind, first because a phone shows what is first; p value; the loss of accuracy, and its mean
        and standard deviation under lesions of the random twins, in percentage points; proportion
        of the layer.
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
            "kind": table["kind"],
            "p": table["p"].map(format_p),
            **shown,
            "proportion": [f"{each:.1%}" for each in table["share"]],
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
        One row per pair: what follows; extra losses of accuracy in percentage points, with their p
        values and whether the sub-cluster is important given the other.
    """
    rows = {}
    for row in table.itertuples():
        rows[_pair(row)] = {
            "reading": CASES[str(row.case)],
            "δ(X, Y)": _format_points(row.delta_x),
            "p(X | Y)": format_p(float(str(row.p_x))),
            "X | Y": "yes" if row.x_given_y else "no",
            "δ(Y, X)": _format_points(row.delta_y),
            "p(Y | X)": format_p(float(str(row.p_y))),
            "Y | X": "yes" if row.y_given_x else "no",
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("X → Y")


def _pair(row: Any) -> str:
    """Return the name of a pair: the layers and clusters of its two sub-clusters."""
    return f"{row.x_layer}, {row.x_cluster} → {row.y_layer}, {row.y_cluster}"


def interaction_table(table: pd.DataFrame) -> pd.DataFrame:
    """Return what pairs of sub-clusters are to each other, for reading.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `measures.interaction`.

    Returns
    -------
    pandas.DataFrame of str
        One row per pair: what was found; p values; the interaction, and its median where matched
        sets take the place of X, in logits; the losses that it is made of; and how many layers Y
        lies behind X.
    """
    rows = {}
    for row in table.itertuples():
        losses = (row.loss_x, row.loss_y, row.loss_both)
        rows[_pair(row)] = {
            "finding": str(row.excluded or row.kind),
            "familywise p": format_p(float(str(row.familywise))),
            "interaction": _format_logits(row.interaction),
            "matched sets'": _format_logits(row.matched_median),
            "p": format_p_with_interval(row.p, row.p_low, row.p_high),
            "losses: X, Y, both": ", ".join(map(_format_logits, losses)),
            "steps": str(row.steps),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("X → Y")


def within_across_table(table: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    """Return how pairs within clusters compare with those across at equal distance, for reading.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `measures.within_against_across`.
    names : mapping of str to str
        What to call each value.

    Returns
    -------
    pandas.DataFrame of str
        One row per value: numbers of pairs, the difference and its p value with its interval, or
        why there is none.
    """
    rows = {
        names[str(row.value)]: {
            "pairs within": str(row.n_within),
            "pairs across": str(row.n_across),
            "difference (within − across)": _format_logits(row.difference),
            "p": row.reason or format_p_with_interval(row.p, row.p_low, row.p_high),
        }
        for row in table.itertuples()
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def _format_logits(value: Any) -> str:
    return "–" if pd.isna(value) else f"{value:.2f}".replace("-0.00", "0.00")


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


def controls(table: pd.DataFrame) -> pd.DataFrame:
    """Return whether tests find what was built into networks, for reading.

    Parameters
    ----------
    table : pandas.DataFrame
        With the columns network, control, test and p.

    Returns
    -------
    pandas.DataFrame of str
        P values, with a row per control and test and a column per network; a dash where a network
        has no such control.
    """
    named = table.assign(test=table["test"].replace(NAMES), p=table["p"].map(format_p))
    index = ["control", "test"]
    shown = named.pivot_table("p", index, "network", "first", fill_value="–", sort=False)
    return shown.rename_axis(index=["what was built in", "test"], columns=None)


def size_in_words(table: pd.DataFrame, measure: str, test: str) -> str:
    """Say what becomes of a test's honesty where there is nothing to find.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `calibration.shares`, by measure and test.
    measure, test : str
        Which of them.

    Returns
    -------
    str
        For each level whether the test is honest, too careful or too bold there, by whether the
        share's interval holds the level, with the share and that interval, in percent; once if it
        is the same at all levels.
        "Honest" is said only where an honest test would find five or more.
    """
    rows = table[(table["measure"] == measure) & (table["test"] == test)].dropna(subset="share")
    said: dict[str, list[str]] = {}
    for row in rows.to_dict("records"):
        is_bold, is_careful = row["low"] > row["level"], row["high"] < row["level"]
        if is_bold or is_careful or row["n"] * row["level"] >= _ENOUGH:
            word = "too bold" if is_bold else "too careful" if is_careful else "honest"
            share, *ends = (f"{100 * row[name]:.1f}" for name in ("share", "low", "high"))
            shown = f"{share}% [{', '.join(ends)}] at {row['level']:g}"
            said.setdefault(word, []).append(shown)
    words = ", ".join(f"{word} ({' and '.join(shares)})" for word, shares in said.items())
    return words or "not put to the test here"


_ENOUGH = 5
"""Findings that an honest test would make, to tell whether a test is honest."""


def network_rows(
    table: pd.DataFrame,
    verdicts: Sequence[str] = (),
    index: Sequence[str] = ("network",),
) -> pd.DataFrame:
    """Return combined p values with a row per network, and columns for measures and tests.

    Parameters
    ----------
    table : pandas.DataFrame
        With columns measure, test and p, those of the index, and, of networks of ours, effect, low
        and high. The published p values come without effects.
    verdicts : sequence of str
        Names of columns of bool: p values get a tick for each that holds, as in Tables 4 and 5.
    index : sequence of str
        Columns that tell the rows apart.

    Returns
    -------
    pandas.DataFrame of str
        Mean effects and p values to two significant digits, effects that are ratios to three; a
        dash where there is none.
    """
    n_ticks = table[list(verdicts)].sum(axis=1)
    ticks = n_ticks.map(lambda n: " " * bool(n) + "✓" * int(n))
    shown = table.assign(text=table["p"].map(format_p) + ticks)
    rows: dict[Hashable, dict[tuple[str, str], str]] = {}
    for key, group in shown.groupby(list(index), sort=False):
        texts = group.set_index(["measure", "test"])["text"]
        cells = rows.setdefault(key if len(index) > 1 else key[0], {})
        for measure in (each for each in MEASURES if (table["measure"] == each).any()):
            tests = table.loc[table["measure"] == measure, "test"].unique()
            if "effect" in table:
                of_measure = group[group["measure"] == measure].to_dict("records")
                effect = _mean_effect(of_measure[0]) if of_measure else "–"
                cells[MEASURES[measure], f"mean effect, {EFFECTS[measure]}"] = effect
            for test in (each for each in TESTS if each in tests):
                cells[MEASURES[measure], TESTS[test]] = texts.get((measure, test), "–")
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(list(index))


def audit_table(audits: pd.DataFrame) -> pd.DataFrame:
    """Return what single choices did to the p values of counted networks, for reading.

    Parameters
    ----------
    audits : pandas.DataFrame
        Of `lesion_counts.audits`.

    Returns
    -------
    pandas.DataFrame of str
        A row per graph, choice and network; for each measure and test the median p value over
        replicates (`middle_p`) with the range. The exact test stands in the column of Fisher's. A
        dash where nothing was left to test.
    """
    as_fisher = audits["test"].replace("exact", "fisher")
    rows: dict[Hashable, dict[tuple[str, str], str]] = {}
    for key, group in audits.groupby(["protocol", "choice", "network"], sort=False):
        p = {pair: one["p"] for pair, one in group.groupby(["measure", as_fisher])}
        rows[key] = {
            (MEASURES[measure], TESTS[test]): spread_of_p(p.get((measure, test)))
            for measure in ("importance", "class_range")
            for test in ("fisher", "chi2")
        }
    names = ["graph", "choice", "network"]
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(names)


def spread_of_p(p: pd.Series | None) -> str:
    """Return the median of p values (`middle_p`) and, of several, the range; a dash of none."""
    known = pd.Series(dtype=float) if p is None else p.dropna()
    if len(known) < 2:
        return format_p(known.iloc[0] if len(known) else np.nan)
    middle, ends = format_p(middle_p(known)), format_p_range(known.min(), known.max())
    return middle if middle == ends else f"{middle} ({ends})"


def middle_p(p: pd.Series) -> float:
    """Return the median of p values, of an even number the larger of the two in the middle.

    Their mean would be smaller than half of the values call for. NaN if there is none.
    """
    known = np.sort(p.dropna())
    return float(known[len(known) // 2]) if len(known) else float("nan")


def rows_of(table: pd.DataFrame) -> list[tuple[str, str]]:
    """Return the rows of Table 1: networks in its order, and the measures of each."""
    pairs = set(table[["network", "measure"]].itertuples(index=False, name=None))
    networks = table["network"].unique()
    return [(net, each) for net in networks for each in MEASURES if (net, each) in pairs]
