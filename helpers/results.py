"""What notebooks leave behind: tables, kept by sweeps and collected in ``results/``."""

import os
from pathlib import Path

import pandas as pd

from helpers import files, settings

FOLDER = "MODULARITY_TABLES"
"""Environment variable that names the folder of a sweep's run; unset outside sweeps."""


def keep(name: str, table: pd.DataFrame) -> None:
    """Keep a table with the run that is being executed; do nothing outside sweeps.

    Parameters
    ----------
    name : str
        What to call it.
    table : pandas.DataFrame
        Its index is not kept.
    """
    if folder := os.environ.get(FOLDER):
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
    """
    path = settings.RESULTS / f"{name}.csv"
    if not path.exists():
        raise FileNotFoundError(
            f"{path}: not collected yet; python -m helpers.runs sweeps/{name}.yaml, then "
            f"python -m helpers.runs collect sweeps/{name}.yaml"
        )
    return pd.read_csv(path)
