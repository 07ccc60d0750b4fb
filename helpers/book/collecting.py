"""Tables that runs kept, gathered into one in ``results/``, with a file that says where from."""

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from helpers import files
from helpers.book import provenance
from helpers.book.points import Run
from helpers.book.store import TABLES, Store, sha256_of

_SAID = ("commit", "notebook", "given", "parameters", "code", "weights", "provenance")
"""What is said of each run beside a collected table."""


def collect(runs: Sequence[Run], store: Store, table: str | None = None) -> "pd.DataFrame":
    """Gather a table that finished runs kept (`results.keep`) into one.

    Parameters
    ----------
    runs : sequence of Run
        Runs of one notebook. Those that are not finished are left out.
    store : Store
        Where they are kept.
    table : str, optional
        Name of the table; needed if the notebook keeps several.

    Returns
    -------
    pandas.DataFrame
        One row per run and row of its table: the run's parameters, then the table's columns.

    Raises
    ------
    ValueError
        If there is nothing to gather, if the notebook keeps several tables or none of this name,
        if a column of the table is called like a parameter, or if a table is not as it was kept.
    """
    import pandas as pd

    once = {run.key: run for run in runs}.values()
    finished = [(run, folder / TABLES) for run in once if (folder := store.finished(run))]
    kept = sorted({path.stem for _, folder in finished for path in folder.glob("*.csv")})
    chosen = table or (kept[0] if len(kept) == 1 else "")
    if chosen not in kept:
        raise ValueError(
            f"table: {table!r} was given (by --table, or table in the sweep's file); kept are "
            f"{', '.join(kept) or 'none'}"
        )
    parts = []
    for run, folder in finished:
        path = folder / f"{chosen}.csv"
        if not path.exists():
            raise ValueError(f"table: {chosen} was not kept by {run}")
        if sha256_of(path) != store.record(run)["tables"].get(path.name):
            raise ValueError(f"{path} is damaged: it is not as {run} kept it")
        part = pd.read_csv(path)
        if both := sorted(run.parameters.keys() & set(part)):
            raise ValueError(f"table: {chosen} has columns called like parameters: {both}")
        parts.append(pd.concat([pd.DataFrame([run.parameters] * len(part)), part], axis=1))
    return pd.concat(parts, ignore_index=True)


def write(table: "pd.DataFrame", target: Path, runs: Sequence[Run], store: Store) -> None:
    """Write a collected table whole, with a file beside it that says where it comes from.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `collect`.
    target : Path
        A CSV or, after its suffix, a Parquet file; ``NAME.json`` is written beside it.
    runs : sequence of Run
        What it was collected from; those that are not finished are left out.
    store : Store
        Where they are kept.
    """
    with files.written_whole(target) as temporary:
        if target.suffix == ".parquet":
            table.to_parquet(temporary, index=False)
        else:
            table.to_csv(temporary, index=False)
    records = [store.record(run) for run in runs if store.finished(run)]
    origin = {
        "sha256": sha256_of(target),
        "commit": provenance.commit(),
        "runs": [{key: record[key] for key in _SAID} for record in records],
    }
    with files.written_whole(target.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(origin, indent=1) + "\n")
