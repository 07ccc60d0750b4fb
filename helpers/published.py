"""The p values behind the paper's Table 1, one per network and replicate, for comparison."""

import pandas as pd

from helpers import settings
from helpers.zoo import Recipe

_DATASETS = {"mnist": "mnist", "fashion": "fashion_mnist", "cifar10": "cifar10"}


def lesion_p_values(recipe: Recipe) -> dict[tuple[str, str], list[float]]:
    """Return what Table 1b was made of for networks of a recipe.

    Parameters
    ----------
    recipe : Recipe
        How the networks were trained.

    Returns
    -------
    dict of (str, str) to list of float
        For each measure (importance, class_range) and test (fisher, chi2), the p values of the
        published networks, ascending. Empty if the paper's table has no such networks.
    """
    table = pd.read_csv(settings.RESULTS / "published_table1.csv")
    is_published_variant = not recipe.dropout and bool(recipe.pruning_epochs) == (
        recipe.architecture == "mlp"
    )
    rows = table[
        (table["table"] == "1b")
        & (table["network"] == recipe.architecture)
        & (table["dataset"] == _DATASETS.get(recipe.dataset))
        & is_published_variant
    ]
    return {
        (str(measure), str(test)): sorted(float(p) for p in group)
        for (measure, test), group in rows.groupby(["measure", "test"])["p_value"]
    }
