"""The rows of networks on ImageNet, for a reader who has their weights and the images."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt
import pandas as pd

from helpers import construction, evaluation, measures, settings
from helpers.backend import keras
from helpers.book import results
from helpers.construction.lucid_graph import imagenet_transforms
from helpers.protocols import PAPER, RELEASED


@dataclass(frozen=True)
class Plan:
    """What the paper does to the networks of a table.

    Attributes
    ----------
    n_clusters : tuple of int
        Numbers of clusters.
    n_random : int
        Random twins of each sub-cluster.
    needs_images : bool
        Whether its networks classify photographs.
    """

    n_clusters: tuple[int, ...]
    n_random: int
    needs_images: bool


PLANS = {
    "1a": Plan((12,), 9, needs_images=False),
    "1b": Plan((12,), 20, needs_images=True),
    "3": Plan((8, 18), 20, needs_images=True),
}
"""Tables with rows on ImageNet. Table 6 is made with 1a; the 12 clusters of Table 3 are 1b's."""


def lesioned(
    model: keras.Model, x: npt.ArrayLike, y: npt.ArrayLike, plan: Plan, seed: int = 0
) -> pd.DataFrame:
    """Test importance and class-wise ranges, as Tables 1b and 3 do.

    Parameters
    ----------
    model, x, y, seed
        As for `evaluation.both_protocols`.
    plan : Plan
        Numbers of clusters and twins.

    Returns
    -------
    pandas.DataFrame
        As of `evaluation.both_protocols`, for each number of clusters.
    """
    parts = [
        evaluation.both_protocols(model, x, y, n_clusters, plan.n_random, seed)
        for n_clusters in plan.n_clusters
    ]
    return pd.concat(parts, ignore_index=True)


def constructed(
    model: keras.Model, plan: Plan, seed: int = 0, **options: Any
) -> tuple[pd.DataFrame, construction.Constructions]:
    """Test inputs constructed for sub-clusters, as Tables 1a and 6 do.

    Parameters
    ----------
    model : keras.Model
        Takes images in [0, 1].
    plan : Plan
        Numbers of clusters and twins.
    seed : int
        Of clustering, twins, noise and exchangeable tests.
    **options
        Passed on to `construction.construct`. The transforms are Lucid's, as in the paper, under
        both protocols; the released code has none.

    Returns
    -------
    rows : pandas.DataFrame
        As of `Comparison.combine` for score, output entropy and activation variance under both
        protocols, with columns protocol, n_clusters, n_random and seed, and those of
        `measures.variation_quartiles`.
    images : construction.Constructions
        What was made under the paper's protocol, for Figure 5.

    Raises
    ------
    ValueError
        As `evaluation.partition_of` and `construction.constructions`.
    """
    (n_clusters,) = plan.n_clusters
    made, parts = {}, []
    for choices in (PAPER, RELEASED):
        partition = evaluation.partition_of(model, n_clusters, choices, seed)
        images = made[choices.name] = construction.constructions(
            model,
            partition,
            plan.n_random,
            choices.construction_pool,
            seed=seed,
            transforms=imagenet_transforms(),
            **options,
        )
        compared = [
            measure(images, choices).combine(seed)
            for measure in (measures.score, measures.output_entropy, measures.activation_variance)
        ]
        parts.append(
            pd.concat(compared).assign(
                protocol=choices.name,
                n_clusters=n_clusters,
                n_random=plan.n_random,
                seed=seed,
                **measures.variation_quartiles(images),
            )
        )
    return pd.concat(parts, ignore_index=True), made[PAPER.name]


def collected(table: str) -> pd.DataFrame:
    """Read the rows of a table that ``modularity imagenet`` has left in ``results/``.

    Parameters
    ----------
    table : str
        One of `PLANS`.

    Returns
    -------
    pandas.DataFrame
        As of `lesioned` or `constructed`, with columns network and replicate, 0, and of
        Table 3 k, the number of clusters; empty if there are none.

    Raises
    ------
    ValueError
        If there are rows of a network twice, or not of the paper's numbers of clusters and twins,
        or if a file holds no such rows; names it.
    """
    results.check_read(f"results/{results.ON_IMAGENET}*.csv")
    plan = PLANS[table]
    parts: dict[str, pd.DataFrame] = {}
    for path in sorted(settings.RESULTS.glob(f"{results.ON_IMAGENET}{table}-*.csv")):
        rows = _read(path).assign(replicate=0)
        name = str(rows["network"].iloc[0])
        is_papers = set(rows["n_clusters"]) == {*plan.n_clusters}
        if name in parts or not is_papers or (rows["n_random"] != plan.n_random).any():
            raise ValueError(
                f"{path}: rows of {name} were found twice, or with other numbers than the paper's "
                f"of clusters and twins, {[*plan.n_clusters]} and {plan.n_random}; keep others "
                "elsewhere than in results/"
            )
        parts[name] = rows.rename(columns={"n_clusters": "k"}) if table == "3" else rows
    return pd.concat(parts.values(), ignore_index=True) if parts else pd.DataFrame()


def _read(path: Path) -> pd.DataFrame:
    """Read rows of a network, and refuse a file of anything else."""
    try:
        rows = pd.read_csv(path)
    except ValueError as error:
        raise ValueError(f"{path} is no table ({error})") from None
    lacks = [each for each in ("network", "n_clusters", "n_random") if each not in rows]
    if lacks or rows.empty:
        raise ValueError(
            f"{path} has {f'no column {lacks[0]}' if lacks else 'no rows'}; accepted in results/ "
            "under such a name is what `modularity imagenet` makes"
        )
    return rows
