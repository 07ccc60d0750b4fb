"""Tables as people read them."""

from typing import Any

import pandas as pd

from helpers import published
from helpers.zoo import Recipe

_MEASURES = {"importance": "importance", "class_range": "class-wise range"}
_TESTS = {
    "fisher": "Fisher",
    "chi2": "chi-squared",
    "exchangeable_fisher": "Fisher, exchangeable",
    "exchangeable_chi2": "chi-squared, exchangeable",
}


def lesion_row(combined: dict[str, dict[str, Any]], recipe: Recipe) -> pd.DataFrame:
    """Return a network's row of Table 1b, beside the published range where there is one.

    Parameters
    ----------
    combined : dict of str to dict
        For the measures "importance" and "class_range", the result of `statistics.combine`.
    recipe : Recipe
        Of the network; chooses the published networks to compare with.

    Returns
    -------
    pandas.DataFrame of str
        One row per measure: numbers of tested and excluded sub-clusters, p values to two
        significant digits, and the published networks' range of p values.
    """
    theirs = published.lesion_p_values(recipe)
    rows = {}
    for measure, label in _MEASURES.items():
        ours = combined[measure]
        row = {"tested": str(ours["tested"]), "excluded": str(ours["excluded"])}
        row |= {heading: format_p(ours[test]) for test, heading in _TESTS.items()}
        for test in ("fisher", "chi2"):
            if p_values := theirs.get((measure, test)):
                low, high = p_values[0], p_values[-1]
                row[f"published {_TESTS[test]}"] = f"{format_p(low)} to {format_p(high)}"
        rows[label] = row
    return pd.DataFrame.from_dict(rows, orient="index")


def format_p(p: float) -> str:
    """Return a p value to two significant digits, a dash for one that is not defined."""
    return "–" if pd.isna(p) else f"{p:.2g}"


def subcluster_table(table: pd.DataFrame, value: str) -> pd.DataFrame:
    """Return a proxy's table for reading: rounded, the twins' values as their median.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `importance.importance` or `coherence.class_range`.
    value : str
        What to call the column of the value that is compared with the twins'.
    """
    random = table.filter(regex=r"^random_\d+$")
    shown = table.drop(columns=[*random.columns, "complete"])
    shown.insert(list(shown).index("value") + 1, "twins' median", random.median(axis=1))
    shown = shown.assign(p=shown["p"].map(format_p)).rename(
        columns={"value": value, "undefined_twins": "undefined twins"}
    )
    digits = {"share": 3, "intact": 3, "lesioned": 3, value: 3, "twins' median": 3}
    shown = shown.round(digits).astype({value: object, "twins' median": object})
    return shown.fillna("–").set_index(["layer", "cluster"])
