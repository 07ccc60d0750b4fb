"""All that has been found at the paper's scale, by the names that claims and scorecard use."""

import pandas as pd

from helpers.book import claims, lesion_counts, on_imagenet, results


def found() -> dict[str, pd.DataFrame]:
    """Read what sweeps have collected and what has been counted.

    Returns
    -------
    dict of str to pandas.DataFrame
        lesions, exact, chance, constructed, driven (the same for verdicts, with many twins where
        there are), kinds, by_k, pictures, pairs, interactions, sizes, controls, partitions,
        partition_pictures and partition_scores.

    Raises
    ------
    FileNotFoundError, ValueError
        As `results.collected`.
    """
    counted = lesion_counts.combined(lesion_counts.VGGS)
    constructed = results.collected("table1a")
    lesions, by_k = _by_table(results.collected("table1b"), results.collected("table3"))
    return {
        "lesions": _with_imagenet(lesion_counts.beside(lesions, counted), "1b"),
        "exact": lesion_counts.beside(_readable(results.collected("exact")), counted),
        "chance": claims.of_chance(results.collected("chance")),
        "constructed": _with_imagenet(constructed, "1a"),
        "driven": _driven(results.collected("constructed"), constructed),
        "kinds": pd.concat([results.collected("table7"), lesion_counts.kinds(lesion_counts.VGGS)]),
        "by_k": _with_imagenet(
            lesion_counts.beside(by_k, lesion_counts.by_clusters(lesion_counts.VGGS)), "3"
        ),
        "pictures": results.collected("figures_1_and_4").rename(columns={"name": "network"}),
        "pairs": results.collected("table9"),
        "interactions": results.collected("interactions"),
        "sizes": results.collected("calibration"),
        "controls": results.collected("controls"),
        "partitions": results.collected("partitions"),
        "partition_pictures": results.collected("partition_pictures"),
        "partition_scores": results.collected("partition_scores"),
    }


def _by_table(table1b: pd.DataFrame, table3: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows of Tables 1b and 3; the sweep of the latter makes some of the former, too."""
    is_first = table3["k"] == lesion_counts.PLANS[0].n_clusters
    first = table3[is_first].drop(columns="n_clusters").rename(columns={"k": "n_clusters"})
    return pd.concat([table1b, first], ignore_index=True), table3[~is_first]


def _readable(tests: pd.DataFrame) -> pd.DataFrame:
    """Return tests without effects on classes that were collected before those of chance were.

    How many times as uneven sub-clusters are says nothing without how uneven permuted ones are.
    """
    has_chance = tests.get("by_chance", pd.Series(float("nan"), tests.index)).notna()
    is_known = (tests["measure"] != "coherence") | has_chance
    return tests.assign(effect=tests["effect"].where(is_known))


def _driven(many: pd.DataFrame, few: pd.DataFrame) -> pd.DataFrame:
    """Return tests of constructed inputs: those with many twins, and of other networks with few.

    A kind of which only some networks have many twins so far is judged by few: all alike.
    """
    each = ["network", "replicate"]
    has_many = few.set_index(each).index.isin(many.set_index(each).index)
    is_enough = ~many["network"].isin(few["network"][~has_many])
    has_few = ~few["network"].isin(many["network"][is_enough])
    return pd.concat([many[is_enough], few[has_few]], ignore_index=True)


def _with_imagenet(rows: pd.DataFrame, table: str) -> pd.DataFrame:
    """Return rows of a table, and those that a reader has made of networks on ImageNet."""
    return pd.concat([rows, on_imagenet.collected(table)], ignore_index=True)
