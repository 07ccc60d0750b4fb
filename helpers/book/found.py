"""All that has been found at the paper's scale, by the names that claims and scorecard use."""

import pandas as pd

from helpers.book import claims, lesion_counts, results


def found() -> dict[str, pd.DataFrame]:
    """Read what sweeps have collected and what has been counted.

    Returns
    -------
    dict of str to pandas.DataFrame
        lesions, exact, chance, constructed, kinds, by_k, pictures, pairs, sizes and partitions.

    Raises
    ------
    FileNotFoundError, ValueError
        As `results.collected`.
    """
    counted = lesion_counts.combined(lesion_counts.VGGS)
    return {
        "lesions": pd.concat(
            [
                lesion_counts.beside(results.collected("table1b"), counted),
                results.of_imagenet(),
            ],
            ignore_index=True,
        ),
        "exact": lesion_counts.beside(results.collected("exact"), counted),
        "chance": claims.of_chance(results.collected("chance")),
        "constructed": results.collected("table1a"),
        "kinds": pd.concat([results.collected("table7"), lesion_counts.kinds(lesion_counts.VGGS)]),
        "by_k": lesion_counts.beside(
            results.collected("table3"), lesion_counts.by_clusters(lesion_counts.VGGS)
        ),
        "pictures": results.collected("figures_1_and_4").rename(columns={"name": "network"}),
        "pairs": results.collected("table9"),
        "sizes": results.collected("calibration"),
        "partitions": results.collected("partitions"),
    }
