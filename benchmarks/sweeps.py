"""Sweeps with two workers against one, in one run: ``python benchmarks/sweeps.py``.

Four runs of a notebook that multiplies matrices on a single core, for about ten seconds as
calibrated at the start: seconds with one worker and with two, by `book.sweeps.sweep_here` into an
empty store each time, and the parallel efficiency, T(1) / (2 T(2)). Each run has one core, and a
Python and a kernel of its own, whose starts are timed too. Then the seconds that
``modularity sweep`` takes to find that there is nothing to do, on a sweep of 100 points
whose finished runs are fakes: folders laid out as the store's own, without an executed notebook.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
import numpy as np
import psutil
import yaml
from nbformat.v4 import new_code_cell, new_notebook
from threadpoolctl import threadpool_limits

from helpers import settings
from helpers.book import points, store, sweeps

SIZE = 500
"""Rows of the matrices: few enough to fit into a core's cache."""

PARAMETERS = """n_products: int = 1  # matrix products
replicate: int = 0  # seed of the matrix"""

WORK = f"""import numpy as np
matrix = np.random.default_rng(replicate).normal(size=({SIZE}, {SIZE}))
for _ in range(n_products):
    matrix @ matrix"""


def seconds_of(n_products: int) -> float:
    """Time the notebook's work: seconds of one core, whatever else the machine does."""
    matrix = np.random.default_rng(0).normal(size=(SIZE, SIZE))
    with threadpool_limits(1):
        start = time.thread_time()
        for _ in range(n_products):
            matrix @ matrix
        return time.thread_time() - start


def products_for(seconds: float) -> int:
    """Return how many products take so long."""
    n_products = 1
    while (spent := seconds_of(n_products)) < min(seconds, 2):
        n_products *= 2
    return max(1, round(n_products * seconds / spent))


def write_notebook(folder: Path) -> Path:
    cells = [new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]}), new_code_cell(WORK)]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path = folder / "work.ipynb"
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
    return path


def compare(notebook: Path, n_products: int, n_runs: int) -> None:
    chosen = [
        points.point(notebook, {"n_products": n_products, "replicate": i}) for i in range(n_runs)
    ]
    spent = {}
    for n_workers in (1, 2):
        kept = store.Store(notebook.parent / f"{n_workers}-workers")
        start = time.perf_counter()
        report = sweeps.sweep_here(chosen, kept, n_workers, cores=1)
        spent[n_workers] = time.perf_counter() - start
        assert report.executed == n_runs, report.errors
    print(f"\n{n_runs} runs of one core each")
    for n_workers, seconds in spent.items():
        print(f"  {n_workers} at a time   {seconds:8.1f} s")
    print(f"  efficiency    {spent[1] / (2 * spent[2]):8.2f}  = T(1) / (2 T(2))")


def time_finished(notebook: Path, n_runs: int, n_repeats: int = 3) -> None:
    """Time a sweep that is done, its runs faked as the store lays them out."""
    kept = store.Store(notebook.parent / "finished")
    for i in range(n_runs):
        run = points.point(notebook, {"replicate": i})
        folder = kept.folder / run.key
        (folder / store.TABLES).mkdir(parents=True)
        record = {"provenance": run.provenance, "tables": {}, "error": ""}
        (folder / store.RECORD).write_text(json.dumps(record))
    sweep = notebook.parent / "finished.yaml"
    grid = {"replicate": list(range(n_runs))}
    sweep.write_text(yaml.safe_dump({"notebook": str(notebook.with_suffix("")), "grid": grid}))
    command = [sys.executable, "-m", "helpers", "sweep", sweep, "--store", kept.folder]
    spent = []
    for _ in range(n_repeats):
        start = time.perf_counter()
        done = subprocess.run(
            command, cwd=settings.ROOT, capture_output=True, text=True, check=True
        )
        spent.append(time.perf_counter() - start)
    last = done.stdout.splitlines()[-1]
    assert last == f"{n_runs} runs: 0 executed, {n_runs} already done, 0 failed", last
    print(f"\n{n_runs} finished runs, faked")
    print(f"  modularity sweep  {min(spent):.2f} to {max(spent):.2f} s, {n_repeats} times")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=10, help="of work in each run")
    parser.add_argument("--n-runs", type=int, default=4)
    parser.add_argument("--n-finished", type=int, default=100)
    options = parser.parse_args()
    print(f"{settings.n_cores()} cores, {psutil.cpu_percent(1):.0f} % busy with other things")
    n_products = products_for(options.seconds)
    print(f"calibrated: {n_products:,} products of {SIZE} x {SIZE}, {options.seconds:g} s")
    with tempfile.TemporaryDirectory() as folder:
        notebook = write_notebook(Path(folder))
        compare(notebook, n_products, options.n_runs)
        time_finished(notebook, options.n_finished)


if __name__ == "__main__":
    main()
