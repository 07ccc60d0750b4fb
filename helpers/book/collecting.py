"""Tables that runs kept, gathered into one in ``results/``, with a file that says where from."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from helpers import files
from helpers.book import provenance, sources
from helpers.book.points import Run
from helpers.book.store import TABLES, Store, described

_SAID = ("commit", "notebook", "given", "parameters", "code", "weights", "provenance")
"""What is said of each run beside a collected table."""


class Collected:
    """A table that was collected earlier, perhaps elsewhere, and the runs that it comes from.

    Parameters
    ----------
    path : Path, optional
        A CSV or Parquet file with ``NAME.json`` beside it, as of `write`. Where there is none,
        nothing was collected.

    Raises
    ------
    ValueError
        If either is missing or damaged; names it.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path, self._table = path, pd.DataFrame()
        self._records: list[dict[str, Any]] = []
        if path is None or not path.exists():
            return
        if not (origin := path.with_suffix(".json")).exists():
            raise ValueError(
                f"{path}: there is no {origin.name} beside it, which would say of what runs it is; "
                "collect it anew"
            )
        self._records = provenance.record_of(path).get("runs", [])
        if path.suffix == ".parquet":
            self._table = pd.read_parquet(path)
        else:
            # As they were given: "8" is no number, and "nan" is something.
            given = (pair for record in self._records for pair in record["parameters"].items())
            texts = list({name for name, value in given if isinstance(value, str)})
            self._table = pd.read_csv(path)
            self._table[texts] = pd.read_csv(path, usecols=texts, dtype=str, keep_default_na=False)[
                texts
            ]

    def record(self, run: Run) -> dict[str, Any] | None:
        """Return what is said of a run with these parameters and weights; None if there is none.

        Weights that are nowhere here, such as those of untrained networks before they are first
        made, are taken to be those of the record. Its notebook's code may have been another one,
        and have had fewer parameters: those that came later are taken to do by default what was
        done before.
        """
        defaults = sources.parameters(run.notebook)
        for record in self._records:
            if (
                record["notebook"] == run.notebook.name
                and record["parameters"].keys() <= run.parameters.keys()
                and defaults | record["parameters"] == run.parameters
                and record["weights"].keys() == run.weights.keys()
                and all(
                    ours in (None, record["weights"][name]) for name, ours in run.weights.items()
                )
            ):
                return record
        return None

    def stale(self, run: Run) -> list[str]:
        """Name what has changed since a run was executed, such as its data."""
        record = self.record(run)
        return provenance.changed(record["provenance"], run.provenance) if record else []

    def is_of_other_code(self, run: Run) -> bool:
        """Tell whether a run's notebook had other code when it was executed; that is not stale."""
        record = self.record(run)
        return record is not None and record["code"] != described(run)["code"]

    def rows(self, run: Run) -> "pd.DataFrame":
        """Return the rows of a run, without its parameters.

        Raises
        ------
        ValueError
            If there are none.
        """
        # Another column may be called like a parameter that came later.
        known = {name for record in self._records for name in record["parameters"]}
        ours = _are_of(run, self._table, known)
        if not ours.any():
            raise ValueError(f"{self._path}: there are no rows of {run}, which it is said to be of")
        rows = self._table[ours].drop(columns=[each for each in known if each in self._table])
        return rows.rename(columns=_beside(run)).reset_index(drop=True)


def _are_of(run: Run, table: "pd.DataFrame", names: Iterable[str]) -> "pd.Series[bool]":
    """Return which rows of a collected table are of a run, by some of its parameters."""
    ours = pd.Series(True, index=table.index)
    for name in names:
        if name in table and name in run.parameters:  # Other runs may have others.
            ours &= table[name] == run.parameters[name]
    return ours


def _beside(run: Run) -> dict[str, str]:
    """Return what columns are called that have the name of a parameter."""
    return {name: f"{name}_found" for name in run.parameters}


_NOTHING = Collected()


def collect(
    runs: Sequence[Run],
    store: Store,
    table: str | None = None,
    before: Collected = _NOTHING,
) -> "pd.DataFrame":
    """Gather a table that finished runs kept (`results.keep`) into one.

    Parameters
    ----------
    runs : sequence of Run
        Runs of one notebook. Those that are not finished are left out.
    store : Store
        Where they are kept.
    table : str, optional
        Name of the table; needed if the notebook keeps several.
    before : Collected, optional
        Where the rows of runs are that are not in the store.

    Returns
    -------
    pandas.DataFrame
        One row per run and row of its table: the run's parameters, then the table's columns. One
        that is called like a parameter gets the suffix _found.

    Raises
    ------
    ValueError
        If there is nothing to gather, if the notebook keeps several tables or none of this name,
        or if a table is not as it was kept.
    """
    once = list({run.key: run for run in runs}.values())
    known = [run for run in once if not store.finished(run) and before.record(run)]
    finished = [(run, folder / TABLES) for run in once if (folder := store.finished(run))]
    kept = sorted({path.stem for _, folder in finished for path in folder.glob("*.csv")})
    chosen = table or (kept[0] if len(kept) == 1 else "")
    if chosen not in kept and (finished or not known):
        raise ValueError(
            f"table: {table!r} was given (by --table, or table in the sweep's file); kept are "
            f"{', '.join(kept) or 'none'}"
        )
    parts = {}
    for run, folder in finished:
        path = folder / f"{chosen}.csv"
        if not path.exists():
            raise ValueError(f"table: {chosen} was not kept by {run}")
        if files.sha256_of(path) != store.record(run)["tables"].get(path.name):
            raise ValueError(
                f"{path} is damaged: it is not as {run} kept it; delete {folder.parent}, and it is "
                "made again"
            )
        parts[run.key] = pd.read_csv(path).rename(columns=_beside(run))
    parts |= {run.key: before.rows(run) for run in known}
    whole = [
        pd.concat([pd.DataFrame([run.parameters] * len(parts[run.key])), parts[run.key]], axis=1)
        for run in once
        if run.key in parts
    ]
    return pd.concat(whole, ignore_index=True)


def write(
    table: "pd.DataFrame",
    target: Path,
    runs: Sequence[Run],
    store: Store,
    before: Collected = _NOTHING,
) -> None:
    """Write a collected table whole, with a file beside it that says where it comes from.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `collect`.
    target : Path
        A CSV or, after its suffix, a Parquet file; ``NAME.json`` is written beside it.
    runs : sequence of Run
        What it was collected from; those that are not finished, or kept an empty table, are left
        out.
    store : Store
        Where they are kept.
    before : Collected, optional
        As for `collect`.
    """
    with files.written_whole(target) as temporary:
        if target.suffix == ".parquet":
            table.to_parquet(temporary, index=False)
        else:
            table.to_csv(temporary, index=False)
    found = [
        (run, store.record(run) if store.finished(run) else before.record(run))
        for run in runs
        if _are_of(run, table, run.parameters).any()
    ]
    # With the parameters that came later, as the table has them.
    records = [each | {"parameters": run.parameters} for run, each in found if each]
    origin = {
        "sha256": files.sha256_of(target),
        "commit": provenance.commit(),
        "runs": [{key: record[key] for key in _SAID} for record in records],
    }
    with files.written_whole(target.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(origin, indent=1) + "\n")
