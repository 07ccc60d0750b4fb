"""Runs executed: each once, in a process of its own, anywhere, and put into a store.

Papermill changes the working directory of its process, so each run has one of its own
(`helpers.book.execution`). This module imports neither papermill nor TensorFlow: it must be quick
to say that there is nothing to do.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import filelock
from tqdm import tqdm

from helpers import files, settings
from helpers.book import provenance, sources
from helpers.book.points import Run, forget, point, weights
from helpers.book.store import (
    ERROR,
    LOG,
    NOTEBOOK,
    RECORD,
    TABLES,
    Store,
    begun,
    described,
    error_in,
    move,
    tables,
)

_T = TypeVar("_T")


_SUCCESSES = ("executed", "already done", "trained")
"""What `perform` and `train` say when nothing went wrong."""


_TICK = 1.0
"""Seconds between two looks at how many runs are in progress."""


@dataclass
class Report:
    """What a sweep came to.

    Attributes
    ----------
    executed, already_done : int
        Numbers of runs.
    errors : dict of str to str
        What went wrong, for each run that failed.
    """

    executed: int = 0
    already_done: int = 0
    errors: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """Sum up, for people."""
        n_runs = self.executed + self.already_done + len(self.errors)
        return (
            f"{n_runs} runs: {self.executed} executed, {self.already_done} already done, "
            f"{len(self.errors)} failed"
        )


def sweep(
    runs: Sequence[Run],
    store: Store,
    executor: Executor,
    cores: int | None = None,
    keep_stale: bool = False,
    retry_failed: bool = False,
) -> Report:
    """Execute the runs that are not in a store yet, or whose results there are stale.

    Parameters
    ----------
    runs : sequence of Run
        What to execute; a run that is listed twice is executed once. Networks that are not on
        disk are trained first.
    store : Store
        Where finished runs are kept.
    executor : concurrent.futures.Executor
        Where they are executed: threads (each run has a process of its own), processes, or
        machines that share this folder, such as ``distributed.Client(...).get_executor()``.
    cores : int, optional
        Cores that a run may use; all that its process may use by default.
    keep_stale : bool
        Whether to leave alone what is stale.
    retry_failed : bool
        Whether to execute again what failed.

    Returns
    -------
    Report
        Failures do not stop the other runs.
    """
    report, orders, seen = Report(), {}, set()
    for run in runs:
        try:
            if (key := run.key) in seen:
                continue
            seen.add(key)
            if store.finished(run) and (not store.stale(run) or keep_stale):
                report.already_done += 1
            elif (before := store.error(run)) and not retry_failed:
                report.errors[str(run)] = f"{before} (earlier; --retry-failed tries again)"
            else:
                orders[key] = run
        except ValueError as damage:
            report.errors[str(run)] = f"{damage}; delete its folder, and it is made again"
    untrained = _train_missing(list(orders.values()), executor, cores)
    futures, leftovers = {}, begun(store)
    for key, run in orders.items():
        if run.key != key:  # One of its networks has weights now.
            store.forget_failure(key)
        reasons = [untrained[each] for each in run.networks if each in untrained]
        if reasons:
            report.errors[str(run)] = "; ".join(reasons)
            try:
                store.keep_failure(run, report.errors[str(run)])
            except OSError as error:
                report.errors[str(run)] += f" (which could not be kept: {error})"
        else:
            order = (store.folder, run.notebook, run.given, run.key, cores, keep_stale)
            futures[executor.submit(perform, *order)] = run
    keys = {run.key for run in futures.values()}

    def n_running() -> int:
        return len({name[1:].partition("-")[0] for name in begun(store) - leftovers} & keys)

    for run, outcome in _watched(futures, "run", n_running):
        if outcome == "executed" and not store.finished(run):
            report.errors[str(run)] = "executed, but not in this store: is it shared?"
        elif outcome == "executed":
            report.executed += 1
        elif outcome == "already done":
            report.already_done += 1
        else:
            report.errors[str(run)] = outcome
    return report


def sweep_here(
    runs: Sequence[Run], store: Store, n_workers: int = 0, cores: int = 0, **options: bool
) -> Report:
    """Execute runs on this machine, as `sweep`.

    Parameters
    ----------
    runs, store, **options
        As for `sweep`.
    n_workers : int
        Runs at a time; by default one per core, up to four.
    cores : int
        Cores that each may use; by default a fair share.
    """
    n_workers = n_workers or settings.n_workers()
    cores = cores or max(1, settings.n_cores() // n_workers)
    executor = ThreadPoolExecutor(n_workers)  # Each thread waits for the process of a run.
    try:
        return sweep(runs, store, executor, cores, **options)
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


def perform(
    store: Path,
    notebook: Path,
    given: dict[str, Any],
    key: str,
    cores: int | None = None,
    keep_stale: bool = False,
) -> str:
    """Execute one run in a process of its own, and put it into a store.

    Returns
    -------
    str
        "executed"; "already done", if somebody else was faster; or what went wrong.
    """
    store.mkdir(parents=True, exist_ok=True)
    forget()
    run = point(notebook, given)
    if run.key != key:
        return "the notebook or a network has changed since the sweep began, or is another one here"
    asked, kept = time.time(), Store(store)
    with filelock.FileLock(store / f".{key}.lock"):
        if kept.finished(run) and (keep_stale or not kept.stale(run)):
            return "already done"
        failure = store / f"failed-{key}" / RECORD
        if failure.exists() and failure.stat().st_mtime > asked:
            return error_in(failure)  # Somebody else has just tried.
        for leftover in store.glob(f".{key}-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        folder = store / f".{key}-{uuid.uuid4().hex[:8]}"
        try:
            error = _execute(run, folder, cores)
            move(folder, store / (f"failed-{key}" if error else key))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        if not error:
            kept.forget_failure(key)
    return error or "executed"


def train(name: str, replicate: int, cores: int | None = None) -> str:
    """Train a network into the cache, in a process of its own, unless it is there.

    Returns
    -------
    str
        "trained", or what went wrong.
    """
    code = f"from helpers import zoo; zoo.trained({name!r}, {replicate})"
    with tempfile.NamedTemporaryFile("w+", suffix=".log") as log:
        error = _in_a_process(["-c", code], Path(log.name), cores)
        lines = Path(log.name).read_text().strip().splitlines()
    if not error:
        return "trained"
    return lines[-1] if lines else error


def _execute(run: Run, folder: Path, cores: int | None) -> str:
    """Execute a run into a folder, with a record of it, and say what went wrong, or nothing."""
    started = time.time()
    (folder / TABLES).mkdir(parents=True)
    origins = run.provenance
    order = {"notebook": str(run.notebook), "given": run.given, "folder": str(folder)}
    order |= sources.declared(run.notebook)
    error = _in_a_process(["-m", "helpers.book.execution"], folder / LOG, cores, json.dumps(order))
    if error and (folder / ERROR).exists():
        error = (folder / ERROR).read_text() or error
    record = described(run) | {
        "provenance": origins,
        "commit": provenance.commit(),
        "tables": {path.name: files.sha256_of(path) for path in tables(folder)},
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        "seconds": round(time.time() - started, 1),
        "cell_seconds": _cell_seconds(folder / NOTEBOOK),
        "error": error,
    }
    (folder / RECORD).write_text(json.dumps(record, indent=2) + "\n")
    return error


def _cell_seconds(executed: Path) -> list[float | None]:
    """Return how long each cell of code took, as papermill has noted it, if it could."""
    try:
        cells = provenance.read_json(executed)["cells"]
    except ValueError:  # It died, or the disk was full.
        return []
    return [
        cell["metadata"].get("papermill", {}).get("duration")
        for cell in cells
        if cell["cell_type"] == "code"
    ]


def _train_missing(
    runs: Sequence[Run], executor: Executor, cores: int | None
) -> dict[tuple[str, int], str]:
    """Train the networks of runs that are nowhere on disk, and say what went wrong with which."""
    missing = {each for run in runs for each in run.networks if not weights(*each)}
    futures = {executor.submit(train, *each, cores): each for each in sorted(missing)}
    outcomes = dict(_watched(futures, "network"))
    weights.cache_clear()
    return {
        (name, replicate): f"training {name}-{replicate}: {outcome}"
        for (name, replicate), outcome in outcomes.items()
        if outcome not in _SUCCESSES
    }


def _outcome(future: Future[str]) -> str:
    """Return what became of a run, or what its executor says, such as that a worker is lost."""
    error = future.exception()
    said = f"{type(error).__name__}: {error}" if error else future.result()
    return said.strip().partition("\n")[0]


def _watched(
    futures: Mapping[Future[str], _T], unit: str, n_running: Callable[[], int] | None = None
) -> Iterator[tuple[_T, str]]:
    """Yield what futures are for and their outcome, and say so: a bar at a terminal, or lines."""
    waiting, n_done, n_failed = set(futures), 0, 0
    if not futures:
        return
    with tqdm(total=len(futures), desc=f"{unit}s", unit=unit, disable=None) as bar:
        while waiting:
            done, waiting = wait(waiting, timeout=_TICK, return_when=FIRST_COMPLETED)
            for future in done:
                outcome = _outcome(future)
                n_done += 1
                n_failed += outcome not in _SUCCESSES
                bar.update()
                if bar.disable:
                    print(f"{n_done}/{len(futures)} {futures[future]}: {outcome}", flush=True)
                yield futures[future], outcome
            running = {"running": n_running()} if n_running else {}
            bar.set_postfix(running | {"failed": n_failed})


def _in_a_process(arguments: list[str], log: Path, cores: int | None, order: str = "") -> str:
    """Run Python, with an order on its standard input, and say what went wrong, or nothing.

    Its standard input stays open for `book.execution`: when it ends, whoever asked has died.
    Training goes on in this case, because its result is of use to everybody.
    """
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=subprocess.STDOUT,
            cwd=settings.HOME,
            env=os.environ | (settings.limits(cores) if cores else {}),
            text=True,
            start_new_session=True,  # An interrupt at the terminal is for whoever asked.
        )
        assert process.stdin is not None
        try:
            process.stdin.write(order + "\n")
            process.stdin.flush()
            code = process.wait()
        except BaseException:
            process.kill()
            raise
        finally:
            with contextlib.suppress(OSError):
                process.stdin.close()
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"exit status {code}" if code else ""
