"""What notebooks leave behind: tables, kept by sweeps and collected in ``results/``."""

import json
import os
from pathlib import Path

import pandas as pd

from helpers import files, settings
from helpers.book import provenance

FOLDER, KEEPS, READS = "MODULARITY_TABLES", "MODULARITY_KEEPS", "MODULARITY_READS"
"""Environment variables of a sweep's run: its folder of tables, and what its notebook declares to
keep and to read, as JSON. Unset outside sweeps."""


def keep(name: str, table: pd.DataFrame) -> None:
    """Keep a table with the run that is being executed; do nothing outside sweeps.

    Parameters
    ----------
    name : str
        What to call it.
    table : pandas.DataFrame
        Its index is not kept.

    Raises
    ------
    ValueError
        If the notebook does not declare in its metadata that it keeps this table.
    """
    if folder := os.environ.get(FOLDER):
        _check_declared("keeps", name, KEEPS)
        with files.written_whole(Path(folder) / f"{name}.csv") as temporary:
            table.to_csv(temporary, index=False)


def collected(name: str) -> pd.DataFrame:
    """Read what sweeps have left in ``results/``.

    Parameters
    ----------
    name : str
        Of a sweep: ``table9`` for ``results/table9.csv``.

    Raises
    ------
    FileNotFoundError
        If it has not been collected; says how to.
    ValueError
        If it is not as it was collected, or if a notebook in a sweep does not declare in its
        metadata that it reads it.
    """
    path = settings.RESULTS / f"{name}.csv"
    if os.environ.get(FOLDER):
        _check_declared("reads", f"results/{name}.csv", READS)
    if not path.exists():
        raise FileNotFoundError(
            f"{path}: not collected yet; modularity sweep sweeps/{name}.yaml, then "
            f"modularity collect sweeps/{name}.yaml"
        )
    if path.with_suffix(".json").exists():
        provenance.record_of(path)
    return pd.read_csv(path)


ON_IMAGENET = "imagenet-"
"""What the names of networks on ImageNet begin with."""

_PAPERS = [12, 20]


def of_imagenet() -> pd.DataFrame:
    """Read the rows of Table 1b that ``modularity imagenet`` has left in ``results/``.

    Returns
    -------
    pandas.DataFrame
        As of `evaluation.both_protocols`, with columns network and replicate, 0; empty if there
        are none.

    Raises
    ------
    ValueError
        If there are rows of a network twice, or not of the paper's 12 clusters and 20 twins.
    """
    pattern = f"{ON_IMAGENET}*.csv"
    if os.environ.get(FOLDER):
        _check_declared("reads", f"results/{pattern}", READS)
    parts: dict[str, pd.DataFrame] = {}
    for path in sorted(settings.RESULTS.glob(pattern)):
        table = pd.read_csv(path).assign(replicate=0)
        name = str(table["network"].iloc[0])
        is_papers = (table[["n_clusters", "n_random"]] == _PAPERS).all(axis=None)
        if name in parts or not is_papers:
            raise ValueError(
                f"{path}: rows of {name} were found twice, or with other numbers than the paper's "
                f"of clusters and twins, {_PAPERS}; keep others elsewhere than in results/"
            )
        parts[name] = table
    return pd.concat(parts.values(), ignore_index=True) if parts else pd.DataFrame()


def _check_declared(verb: str, name: str, variable: str) -> None:
    declared = json.loads(os.environ.get(variable, "[]"))
    if name not in declared:
        raise ValueError(
            f"{name}: the notebook {verb} it, but declares only {', '.join(declared) or 'none'} "
            f"in its metadata (modularity, {verb})"
        )
