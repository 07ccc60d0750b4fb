"""Notebooks over grids of parameters: each point executed once, anywhere, and kept.

``python -m helpers.runs sweeps/table1b.yaml`` executes the points that a file names and that
are not in the store yet; ``--dry-run`` lists them; ``--help`` says the rest. ``python -m
helpers.runs collect sweeps/table1b.yaml`` gathers the tables that they kept into ``results/``.

Each run has a process of its own (`helpers.notebooks`), because papermill changes its process's
working directory. This room imports neither papermill nor TensorFlow: it must be quick to say
that there is nothing to do.
"""

import argparse
import ast
import contextlib
import hashlib
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import filelock
import yaml
from tqdm import tqdm

from helpers import files, settings

if TYPE_CHECKING:
    import pandas as pd

_T = TypeVar("_T")

NETWORK_PARAMETERS = ("network", "mlps", "cnns")
"""Parameters that name networks, separated by spaces; ``replicate`` says which of each."""

NOTEBOOK, RECORD, LOG, ERROR, TABLES = (
    *("notebook.ipynb", "run.json", "log.txt"),
    *("error.txt", "tables"),
)
"""What lies in a run's folder."""

_SUCCESSES = ("executed", "already done", "trained")
"""What `perform` and `train` say when nothing went wrong."""

_TICK = 1.0
"""Seconds between two looks at how many runs are in progress."""

_READ_BY = {"published": "results/published_*.csv", "reproduction": "zoo/*.json"}
"""Files that rooms of helpers read besides what they are given."""


@dataclass(frozen=True)
class Run:
    """One point: a notebook with all its parameters. Made by `point`.

    Attributes
    ----------
    notebook : Path
        The notebook to execute.
    given : dict of str to value
        Parameters that are set.
    parameters : dict of str to value
        All parameters, the notebook's defaults included.
    """

    notebook: Path
    given: dict[str, Any]
    parameters: dict[str, Any]

    @property
    def networks(self) -> list[tuple[str, int]]:
        """Name and replicate of each network that the parameters name."""
        words = " ".join(str(self.parameters.get(name, "")) for name in NETWORK_PARAMETERS)
        return [(name, int(self.parameters.get("replicate", 0))) for name in words.split()]

    @property
    def key(self) -> str:
        """Hash of the notebook's code, the parameters and the networks' weights.

        Changes of helpers do not change it: what they make stale is kept, and listed.
        """
        weights = {
            f"{name}-{replicate}": _weights(name, replicate) for name, replicate in self.networks
        }
        identity = [_code(self.notebook), self.parameters, weights]
        return _sha256(json.dumps(identity, sort_keys=True).encode())[:20]

    def __str__(self) -> str:
        """Name the notebook and what is set, for people."""
        given = " ".join(f"{name}={value!r}" for name, value in self.given.items())
        return f"{self.notebook.stem} {given}".rstrip()


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


def point(notebook: Path, given: Mapping[str, Any]) -> Run:
    """Return a run, if the notebook takes its parameters.

    Papermill only warns of parameters that a notebook does not have, and does not look at types.

    Parameters
    ----------
    notebook : Path
        The notebook.
    given : mapping of str to value
        Parameters that differ from its defaults.

    Raises
    ------
    ValueError
        If there is no such notebook, if its parameters are anything but typed literals, if it has
        no such parameter, or one of another type; says what is accepted.
    """
    if not notebook.exists():
        known = ", ".join(sorted(path.stem for path in settings.NOTEBOOKS.glob("*.ipynb")))
        raise ValueError(f"notebook: there is no {notebook}; in notebooks/ are {known}")
    defaults = _parameters(notebook)
    listing = ", ".join(f"{name}: {type(value).__name__}" for name, value in defaults.items())
    for name, value in given.items():
        if name not in defaults or type(value) is not type(defaults[name]):
            raise ValueError(
                f"{notebook.name}: parameter {name}={value!r} was given; accepted are {listing}"
            )
    return Run(notebook, dict(given), defaults | dict(given))


def read(sweep: Path) -> list[Run]:
    """Read the points of a sweep.

    Parameters
    ----------
    sweep : Path
        A YAML file with ``notebook``, a name in ``notebooks/``, and either ``grid``, a list of
        values for each parameter, all of which are crossed, or ``rows``, a list of points; and,
        if the notebook keeps several tables, ``table``, the one that `collect` gathers.

    Raises
    ------
    ValueError
        If the file says anything else, if it has no points, if the notebook keeps no such table,
        or as `point`.
    """
    said = yaml.safe_load(sweep.read_text())
    kinds = ({"notebook", "grid"}, {"notebook", "rows"})
    if not isinstance(said, dict) or set(said) - {"table"} not in kinds:
        raise ValueError(
            f"{sweep}: accepted are notebook, either grid or rows, and optionally table; found "
            + (", ".join(map(str, said)) if isinstance(said, dict) else type(said).__name__)
        )
    if not isinstance(said.get("table", ""), str):
        raise ValueError(f"{sweep}: table must be the name of a table that the notebook keeps")
    grid, rows = said.get("grid", {}), said.get("rows", [])
    if not isinstance(grid, dict) or not all(isinstance(each, list) for each in grid.values()):
        raise ValueError(f"{sweep}: grid must give a list of values for each parameter")
    if not isinstance(rows, list) or not all(isinstance(each, dict) for each in rows):
        raise ValueError(f"{sweep}: rows must be a list of points, each with its parameters")
    if "grid" in said:
        rows = [
            dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())
        ]
    if not rows:
        raise ValueError(f"{sweep}: there are no points; give at least one value or row")
    notebook = settings.NOTEBOOKS / f"{said['notebook']}.ipynb"
    points = [point(notebook, row) for row in rows]
    kept = set(re.findall(r"""results\.keep\(\s*["']([\w-]+)["']""", "\n".join(_code(notebook))))
    if "table" in said and said["table"] not in kept:
        raise ValueError(
            f"{sweep}: table: {said['table']!r} was given; {notebook.name} keeps "
            f"{', '.join(sorted(kept)) or 'none'}"
        )
    return points


def table_of(sweep: Path) -> str | None:
    """Return which of its notebook's tables a sweep is about, if its file says so."""
    named = yaml.safe_load(sweep.read_text()).get("table")
    return None if named is None else str(named)


def collected_by(notebook: Path) -> list[str]:
    """Name the sweeps whose collected tables a notebook reads (`results.collected`)."""
    source = "\n".join(_code(notebook))
    return re.findall(r"""results\.collected\(["']([\w-]+)["']\)""", source)


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

    def error(self, run: Run) -> str | None:
        """Return what went wrong when a run was last tried, if it has not succeeded since."""
        record = self.folder / f"failed-{run.key}" / RECORD
        if self.finished(run) or not record.exists():
            return None
        return _error_in(record)

    def keep_failure(self, run: Run, error: str) -> None:
        """Keep why a run could not begin, such as that its network could not be trained."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(self.folder / f".{run.key}.lock"):
            folder = self.folder / f".{run.key}-{uuid.uuid4().hex[:8]}"
            folder.mkdir()
            (folder / RECORD).write_text(json.dumps(_described(run) | {"error": error}, indent=2))
            _move(folder, self.folder / f"failed-{run.key}")

    def forget_failure(self, key: str) -> None:
        """Remove what is kept of a failure, if there was one."""
        shutil.rmtree(self.folder / f"failed-{key}", ignore_errors=True)

    def stale(self, run: Run) -> list[str]:
        """Name what has changed since a run was executed, such as a room of helpers."""
        folder = self.finished(run)
        if folder is None:
            return []
        before = json.loads((folder / RECORD).read_text())["provenance"]
        return [name for name, checksum in before.items() if checksum != _checksum_of(name)]


def sweep(
    runs: Sequence[Run],
    store: Store,
    executor: Executor,
    cores: int | None = None,
    refresh: bool = False,
    retry_failed: bool = False,
) -> Report:
    """Execute the runs that are not in a store yet.

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
    refresh : bool
        Whether to execute anew what is stale.
    retry_failed : bool
        Whether to execute again what failed.

    Returns
    -------
    Report
        Failures do not stop the other runs.
    """
    report, orders = Report(), {}
    for run in {run.key: run for run in runs}.values():
        if store.finished(run) and not (refresh and store.stale(run)):
            report.already_done += 1
        elif (before := store.error(run)) and not retry_failed:
            report.errors[str(run)] = f"{before} (earlier; --retry-failed tries again)"
        else:
            orders[run.key] = run
    untrained = _train_missing(list(orders.values()), executor, cores)
    futures, leftovers = {}, _begun(store)
    for key, run in orders.items():
        if run.key != key:  # One of its networks has weights now.
            store.forget_failure(key)
        reasons = [untrained[each] for each in run.networks if each in untrained]
        if reasons:
            report.errors[str(run)] = "; ".join(reasons)
            store.keep_failure(run, report.errors[str(run)])
        else:
            order = (store.folder, run.notebook, run.given, run.key, cores, refresh)
            futures[executor.submit(perform, *order)] = run
    keys = {run.key for run in futures.values()}

    def n_running() -> int:
        return len({name[1:].partition("-")[0] for name in _begun(store) - leftovers} & keys)

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


def perform(
    store: Path,
    notebook: Path,
    given: dict[str, Any],
    key: str,
    cores: int | None = None,
    refresh: bool = False,
) -> str:
    """Execute one run in a process of its own, and put it into a store.

    Returns
    -------
    str
        "executed"; "already done", if somebody else was faster; or what went wrong.
    """
    store.mkdir(parents=True, exist_ok=True)
    for cached in (_cells, _parameters, _rooms, _checksum_of, _weights):
        cached.cache_clear()  # A process that serves many sweeps must see what has changed.
    run = point(notebook, given)
    if run.key != key:
        return "the notebook or a network has changed since the sweep began, or is another one here"
    asked, kept = time.time(), Store(store)
    with filelock.FileLock(store / f".{key}.lock"):
        if kept.finished(run) and not (refresh and kept.stale(run)):
            return "already done"
        failure = store / f"failed-{key}" / RECORD
        if failure.exists() and failure.stat().st_mtime > asked:
            return _error_in(failure)  # Somebody else has just tried.
        started = time.time()
        for leftover in store.glob(f".{key}-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        folder = store / f".{key}-{uuid.uuid4().hex[:8]}"
        (folder / TABLES).mkdir(parents=True)
        provenance = {name: _checksum_of(name) for name in _origins(notebook)}
        order = {"notebook": str(notebook), "given": given, "folder": str(folder)}
        error = _in_a_process(["-m", "helpers.notebooks"], folder / LOG, cores, json.dumps(order))
        if error and (folder / ERROR).exists():
            error = (folder / ERROR).read_text()
        record = _described(run) | {
            "provenance": provenance,
            "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
            "seconds": round(time.time() - started, 1),
            "cell_seconds": _cell_seconds(folder / NOTEBOOK),
            "error": error,
        }
        (folder / RECORD).write_text(json.dumps(record, indent=2) + "\n")
        _move(folder, store / (f"failed-{key}" if error else key))
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
        or if a column of the table is called like a parameter.
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
        if not (folder / f"{chosen}.csv").exists():
            raise ValueError(f"table: {chosen} was not kept by {run}")
        part = pd.read_csv(folder / f"{chosen}.csv")
        if both := sorted(run.parameters.keys() & set(part)):
            raise ValueError(f"table: {chosen} has columns called like parameters: {both}")
        parts.append(pd.concat([pd.DataFrame([run.parameters] * len(part)), part], axis=1))
    return pd.concat(parts, ignore_index=True)


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


def _outcome(future: Future[str]) -> str:
    """Return what became of a run, or what its executor says, such as that a worker is lost."""
    error = future.exception()
    said = f"{type(error).__name__}: {error}" if error else future.result()
    return said.strip().partition("\n")[0]


def _train_missing(
    runs: Sequence[Run], executor: Executor, cores: int | None
) -> dict[tuple[str, int], str]:
    """Train the networks of runs that are nowhere on disk, and say what went wrong with which."""
    missing = {each for run in runs for each in run.networks if not _weights(*each)}
    futures = {executor.submit(train, *each, cores): each for each in sorted(missing)}
    outcomes = dict(_watched(futures, "network"))
    _weights.cache_clear()
    return {
        (name, replicate): f"training {name}-{replicate}: {outcome}"
        for (name, replicate), outcome in outcomes.items()
        if outcome not in _SUCCESSES
    }


def _begun(store: Store) -> set[str]:
    """Name the folders of runs that have begun; not every executor says which have."""
    return {each.name for each in store.folder.glob(".*-*")}


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

    Its standard input stays open for `helpers.notebooks`: when it ends, whoever asked has died.
    Training goes on in this case, because its result is of use to everybody.
    """
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=subprocess.STDOUT,
            cwd=settings.ROOT,
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


def _described(run: Run) -> dict[str, Any]:
    """Return what a record says of a run, whatever became of it."""
    return {
        "notebook": run.notebook.name,
        "given": run.given,
        "parameters": run.parameters,
        "networks": [list(each) for each in run.networks],
    }


def _error_in(record: Path) -> str:
    return str(json.loads(record.read_text())["error"])


def _move(folder: Path, target: Path) -> None:
    """Give a whole folder its name, in place of one that may be there."""
    if target.exists():
        old = folder.with_name(f"{folder.name}-old")
        target.rename(old)
        folder.rename(target)
        shutil.rmtree(old)
    else:
        folder.rename(target)


@cache
def _cells(notebook: Path) -> list[dict[str, Any]]:
    """Return a notebook's code cells: source, and whether it is that of the parameters."""
    cells = json.loads(notebook.read_text())["cells"]
    return [
        {
            "source": "".join(cell["source"]),
            "is_parameters": "parameters" in cell["metadata"].get("tags", []),
        }
        for cell in cells
        if cell["cell_type"] == "code"
    ]


def _cell_seconds(executed: Path) -> list[float | None]:
    """Return how long each cell of code took, as papermill has noted it."""
    if not executed.exists():
        return []
    cells = json.loads(executed.read_text())["cells"]
    return [
        cell["metadata"].get("papermill", {}).get("duration")
        for cell in cells
        if cell["cell_type"] == "code"
    ]


def _code(notebook: Path) -> list[str]:
    return [cell["source"] for cell in _cells(notebook) if not cell["is_parameters"]]


@cache
def _parameters(notebook: Path) -> dict[str, Any]:
    """Return a notebook's parameters with their defaults: typed assignments of literals."""
    sources = [cell["source"] for cell in _cells(notebook) if cell["is_parameters"]]
    defaults = {}
    for each in ast.parse("\n".join(sources)).body:
        try:
            match each:
                case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                    defaults[name] = ast.literal_eval(value)
                case _:
                    raise ValueError("not typed")
        except ValueError:
            # Papermill replaces defaults, but keeps whatever else this cell does; and a run's key
            # knows its parameters only.
            raise ValueError(
                f"{notebook.name}: {ast.unparse(each)!r} is in the cell of parameters; accepted "
                "are typed literals, such as n_random: int = 20"
            ) from None
    return defaults


@cache
def _rooms(notebook: Path) -> list[str]:
    """Name the rooms of helpers that a notebook uses, directly or through others."""
    found: set[str] = set()
    is_magic = re.compile(r"^\s*[%!].*$", re.MULTILINE)
    waiting = [is_magic.sub("", "\n".join(_code(notebook)))]
    while waiting:
        new = _imported(waiting.pop()) - found
        found |= new
        waiting += [(settings.HELPERS / f"{room}.py").read_text() for room in new]
    return sorted(found)


def _imported(source: str) -> set[str]:
    """Name the rooms of helpers that some code imports."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module == "helpers":
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("helpers."):
            names.add(str(node.module).split(".")[1])
        elif isinstance(node, ast.Import):
            modules = [alias.name.split(".") for alias in node.names]
            names |= {path[1] for path in modules if path[0] == "helpers" and path[1:]}
    return names


def _origins(notebook: Path) -> list[str]:
    """Name what a notebook's results come from: versions, rooms of helpers, tables, manifests."""
    rooms = _rooms(notebook)
    tables = [f"results/{name}.csv" for name in collected_by(notebook)]
    return ["environment", *rooms, *tables, *(_READ_BY[each] for each in rooms if each in _READ_BY)]


@cache
def _checksum_of(name: str) -> str:
    """Return the checksum of one of `_origins`."""
    folder, pattern = settings.HELPERS, f"{name}.py"
    if name == "environment":
        folder, pattern = settings.ROOT, "requirements.txt"
    elif "/" in name:
        folder, pattern = settings.ROOT, name
    paths = sorted(folder.glob(pattern))
    return _sha256(b"".join(path.read_bytes() for path in paths)) if paths else "gone"


@cache
def _weights(name: str, replicate: int) -> str | None:
    """Return the checksum of a network's weights as its manifest has it, None if it is nowhere."""
    for folder in (settings.ZOO, settings.cache_folder() / "zoo"):
        manifest = folder / f"{name}-{replicate}.json"
        if manifest.exists():
            return str(json.loads(manifest.read_text())["sha256"])
    return None


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _list(runs: Sequence[Run], store: Store) -> None:
    """Print what is done, stale, failed, and to do."""
    counts: Counter[str] = Counter()
    for run in runs:
        stale = store.stale(run)
        missing = [
            f"{name}-{replicate}"
            for name, replicate in run.networks
            if not _weights(name, replicate)
        ]
        if stale:
            state = f"stale: {', '.join(stale)} changed"
        elif store.finished(run):
            state = "done"
        elif error := store.error(run):
            state = f"failed: {error}"
        else:
            state = f"to do, after training {', '.join(missing)}" if missing else "to do"
        counts[state.partition(":")[0].partition(",")[0]] += 1
        print(f"{run}: {state}")
    print(f"{len(runs)} runs: " + ", ".join(f"{n} {state}" for state, n in counts.items()))


def main() -> None:
    """Run a sweep, or collect its tables."""
    if sys.argv[1:2] == ["collect"]:
        _main_collect(sys.argv[2:])
    else:
        _main_sweep(sys.argv[1:])


def _main_sweep(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m helpers.runs",
        description="Execute the runs of a sweep that are not in the store yet.",
        epilog="python -m helpers.runs collect --help: gather the tables of a sweep.",
    )
    parser.add_argument("sweep", type=Path, help="a YAML file, such as sweeps/table1b.yaml")
    parser.add_argument("--dry-run", action="store_true", help="only list the runs")
    parser.add_argument("--refresh", action="store_true", help="execute anew what is stale")
    parser.add_argument("--retry-failed", action="store_true", help="try again what failed")
    parser.add_argument(
        "--workers",
        type=_number,
        default=0,
        help="runs at a time here (default: a core each, up to 4)",
    )
    parser.add_argument(
        "--cores", type=_number, default=0, help="cores per run (default: a fair share)"
    )
    parser.add_argument("--dask", metavar="tcp://...", help="a running Dask scheduler to use")
    parser.add_argument("--store", type=Path, default=settings.runs_folder(), help="folder of runs")
    given = parser.parse_args(arguments)
    if given.dask and given.workers:
        parser.error("--workers is for this machine; with --dask the scheduler has its workers")
    runs, store = _read_or_exit(parser, given.sweep), Store(given.store)
    if given.dry_run:
        _list(runs, store)
        return
    for run in runs:
        if stale := store.stale(run):
            kept = "executed anew" if given.refresh else "kept; --refresh executes it anew"
            print(f"stale ({', '.join(stale)} changed), {kept}: {run}")
    options = {"refresh": given.refresh, "retry_failed": given.retry_failed}
    if given.dask:
        from distributed import Client

        try:
            client = Client(given.dask)  # type: ignore[no-untyped-call]
        except (OSError, ValueError) as reason:
            parser.error(f"--dask: no scheduler answers at {given.dask} ({reason})")
        with client:
            executor = client.get_executor()  # type: ignore[no-untyped-call]
            report = sweep(runs, store, executor, given.cores or None, **options)
    else:
        report = sweep_here(runs, store, given.workers, given.cores, **options)
    for name, error in report.errors.items():
        print(f"FAILED {name}: {error}")
    print(report)
    sys.exit(1 if report.errors else 0)


def _main_collect(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m helpers.runs collect",
        description="Gather a table that the runs of a sweep kept into one file.",
    )
    parser.add_argument("sweep", type=Path, help="a YAML file, such as sweeps/table1b.yaml")
    parser.add_argument("--table", help="which table (default: as the file says)")
    parser.add_argument(
        "--partial", action="store_true", help="leave out the runs that are not finished"
    )
    parser.add_argument("--into", type=Path, help="a .csv or .parquet file (default: results/)")
    parser.add_argument("--store", type=Path, default=settings.runs_folder(), help="folder of runs")
    given = parser.parse_args(arguments)
    runs, store = _read_or_exit(parser, given.sweep), Store(given.store)
    target = given.into or settings.RESULTS / f"{given.sweep.stem}.csv"
    if target.suffix not in (".csv", ".parquet"):
        parser.error(f"--into: {target} was given; accepted are .csv and .parquet files")
    n_finished = sum(store.finished(run) is not None for run in runs)
    if n_finished < len(runs) and not given.partial:
        parser.error(
            f"{n_finished} of {len(runs)} runs are finished in {store.folder}; run the sweep, or "
            "gather what there is with --partial"
        )
    try:
        write(collect(runs, store, given.table or table_of(given.sweep)), target)
    except ValueError as error:
        parser.error(str(error))
    n_stale = sum(bool(store.stale(run)) for run in runs)
    print(f"{target}: {n_finished} of {len(runs)} runs, {n_stale} of them stale")


def write(table: "pd.DataFrame", target: Path) -> None:
    """Write a table whole, as CSV or as Parquet after its file's suffix."""
    with files.written_whole(target) as temporary:
        if target.suffix == ".parquet":
            table.to_parquet(temporary, index=False)
        else:
            table.to_csv(temporary, index=False)


def _number(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} was given; accepted are integers from 1")
    return int(text)


def _read_or_exit(parser: argparse.ArgumentParser, path: Path) -> list[Run]:
    try:
        return read(path)
    except (OSError, ValueError, yaml.YAMLError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    # Not this copy of the room, which other processes could not import, but the room itself.
    from helpers import runs as room

    try:
        room.main()
    except KeyboardInterrupt:
        # As if killed: what is running ends with this process, and what is done is kept.
        print("interrupted; finished runs are kept", flush=True)
        os._exit(130)
