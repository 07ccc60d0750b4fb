"""Finished runs on disk: whether they are there, whole, and still hold."""

import contextlib
import json
import shutil
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import filelock

from helpers.book import provenance, sources
from helpers.book.points import Run, weights

NOTEBOOK, RECORD, LOG, ERROR, TABLES = (
    *("notebook.ipynb", "run.json", "log.txt"),
    *("error.txt", "tables"),
)
"""What lies in a run's folder."""


class Store:
    """Finished runs on disk: a folder for each, named by its key.

    A folder appears under its key by being renamed, when the run has succeeded. Failures are
    kept beside them as ``failed-KEY``. Processes on several machines may share a store.

    Parameters
    ----------
    folder : Path
        Where it lies.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()

    def finished(self, run: Run) -> Path | None:
        """Return the folder of a run that has succeeded."""
        folder = self.folder / run.key
        return folder if folder.exists() else None

    def record(self, run: Run) -> dict[str, Any]:
        """Return what is kept of a run that has succeeded.

        Raises
        ------
        ValueError
            If that is damaged; names the file, and how to go on.
        """
        return _record(self.folder / run.key / RECORD)

    def error(self, run: Run) -> str | None:
        """Return what went wrong when a run was last tried, if nothing has changed since."""
        record = self.folder / f"failed-{run.key}" / RECORD
        if not record.exists() or _changed_since(record, run):
            return None
        return error_in(record)

    def keep_failure(self, run: Run, error: str) -> None:
        """Keep why a run could not begin, such as that its network could not be trained."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(self.folder / f".{run.key}.lock"):
            folder = self.folder / f".{run.key}-{uuid.uuid4().hex[:8]}"
            folder.mkdir()
            record = described(run) | {"provenance": run.provenance, "error": error}
            (folder / RECORD).write_text(json.dumps(record, indent=2))
            move(folder, self.folder / f"failed-{run.key}")

    def forget_failure(self, key: str) -> None:
        """Remove what is kept of a failure, if there was one."""
        shutil.rmtree(self.folder / f"failed-{key}", ignore_errors=True)

    def stale(self, run: Run) -> list[str]:
        """Name what has changed since a run was executed, such as its data.

        Raises
        ------
        ValueError
            As `record`.
        """
        if self.finished(run) is None:
            return []
        return provenance.changed(self.record(run)["provenance"], run.provenance)

    def all_stale(self, runs: Sequence[Run]) -> Iterator[tuple[Run, list[str]]]:
        """Yield the runs that are stale with what has changed; what is damaged is none.

        It is reported when it is asked for.
        """
        for run in runs:
            with contextlib.suppress(ValueError):
                if stale := self.stale(run):
                    yield run, stale

    def state(self, run: Run) -> str:
        """Say how far a run is: done, stale, failed, damaged, or to do, and why."""
        try:
            stale, error = self.stale(run), self.error(run)
        except ValueError as damage:
            return f"damaged: {damage}"
        if error and (stale or not self.finished(run)):
            return f"failed: {error}"
        if stale:
            return f"stale: {', '.join(stale)} changed"
        if self.finished(run):
            return "done"
        missing = [
            f"{name}-{replicate}"
            for name, replicate in run.networks
            if not weights(name, replicate)
        ]
        return f"to do, after training {', '.join(missing)}" if missing else "to do"


def described(run: Run) -> dict[str, Any]:
    """Return what a record says of a run, whatever became of it."""
    return {
        "notebook": run.notebook.name,
        "given": run.given,
        "parameters": run.parameters,
        "code": provenance.sha256(json.dumps(sources.code(run.notebook)).encode()),
        "weights": run.weights,
    }


def _changed_since(record: Path, run: Run) -> bool:
    """Tell whether what a run rests on has changed since a failure; unknown is not changed."""
    try:
        before = provenance.read_json(record)["provenance"]
    except (ValueError, KeyError):
        return False
    return bool(provenance.changed(before, run.provenance))


def error_in(record: Path) -> str:
    """Return what went wrong, as the record of a failure has it."""
    try:
        return str(provenance.read_json(record)["error"])
    except (ValueError, KeyError):
        return f"{record} is damaged"


def move(folder: Path, target: Path) -> None:
    """Give a whole folder its name, in place of one that may be there."""
    if target.exists():
        old = folder.with_name(f"{folder.name}-old")
        target.rename(old)
        folder.rename(target)
        shutil.rmtree(old)
    else:
        folder.rename(target)


def begun(store: Store) -> set[str]:
    """Name the folders of runs that have begun; not every executor says which have."""
    return {each.name for each in store.folder.glob(".*-*")}


def _record(path: Path) -> dict[str, Any]:
    record = provenance.read_json(path)
    if not {"provenance", "tables"} <= set(record):
        raise ValueError(f"{path} is damaged (it does not say where the run comes from)")
    return record


def tables(folder: Path) -> list[Path]:
    """Return the tables in a run's folder."""
    return sorted((folder / TABLES).glob("*.csv"))
