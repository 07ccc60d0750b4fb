"""What notebooks leave behind: tables, kept by sweeps and collected in ``results/``."""

import json
import os
from pathlib import Path

import pandas as pd

from helpers import files, settings
from helpers.book import provenance
from helpers.book.sources import FOLDER, KEEPS, READS


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
        If it is not as it was collected, if nothing says of what runs it is, or if a notebook in a
        sweep does not declare in its metadata that it reads it.
    """
    path = settings.RESULTS / f"{name}.csv"
    check_read(f"results/{name}.csv")
    if not path.exists():
        raise FileNotFoundError(
            f"{path}: not collected yet; modularity sweep sweeps/{name}.yaml, then "
            f"modularity collect sweeps/{name}.yaml"
        )
    provenance.record_of(path)
    return pd.read_csv(path)


def check_read(name: str) -> None:
    """Check that what is read in a sweep is what its notebook declares to read.

    Parameters
    ----------
    name : str
        A file, or a pattern of files, of the project.

    Raises
    ------
    ValueError
        If the notebook does not declare it in its metadata.
    """
    if os.environ.get(FOLDER):
        _check_declared("reads", name, READS)


ON_IMAGENET = "imagenet-"
"""What the names of networks on ImageNet begin with."""


def _check_declared(verb: str, name: str, variable: str) -> None:
    declared = json.loads(os.environ.get(variable, "[]"))
    if name not in declared:
        raise ValueError(
            f"{name}: the notebook {verb} it, but declares only {', '.join(declared) or 'none'} "
            f"in its metadata (modularity, {verb})"
        )
