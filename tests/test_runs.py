"""Runs: refused early, executed once, kept whole, and gathered into tables."""

import errno
import inspect
import itertools
import json
import multiprocessing
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import termios
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import filelock
import nbformat
import numpy as np
import pandas as pd
import psutil
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from helpers import cli, datasets, files, lesions, settings, zoo
from helpers.book import (
    collecting,
    execution,
    pages,
    points,
    provenance,
    results,
    scorecard,
    sources,
    sweeps,
)
from helpers.book import store as stores
from helpers.book.collecting import Collected
from helpers.book.found import found
from helpers.book.store import Store
from helpers.book.sweeps import Report

pytestmark = pytest.mark.process


PARAMETERS = """n: int = 2  # a number
keeps: bool = False  # whether to keep a table"""

COUNTS_AND_DIVIDES = """import os
from pathlib import Path
from helpers import settings
with Path("executed.txt").open("a") as file:
    file.write(f"{n}\\n")
print(10 // (n or Path("mended.txt").exists()))"""

TELLS_ITS_CORES = """names = ["MODULARITY_CORES", "OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"]
print(*[os.environ.get(name) for name in names], settings.n_cores())"""

KEEPS = """if keeps:
    import pandas as pd
    from helpers.book import results
    results.keep("squares", pd.DataFrame({"i": range(n), "square": [i**2 for i in range(n)]}))"""

WAITS = """import os, time
from pathlib import Path
with Path("executed.txt").open("a") as file:
    file.write(f"{n} {os.getpid()} {os.getppid()} {os.environ.get('WORKER')}\\n")
limit = time.monotonic() + 240
while n > 1 and not Path("go.txt").exists() and time.monotonic() < limit:
    time.sleep(0.05)"""

ENDS = """import os
if end == "exit":
    raise SystemExit(0)
os._exit(3)"""

MAIN = """import signal, sys
from pathlib import Path
from helpers import settings
from helpers.cli import main
settings.NOTEBOOKS = Path(sys.argv.pop(1))
# Shells have what they start in the background ignore interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)
main(["sweep", *sys.argv[1:]])"""
"""modularity sweep, for notebooks of another folder."""


def write_notebook(path, parameters, *code, prose="Text.", **declared):
    """Write a notebook that declares what it keeps, reads and uses."""
    cells = [
        new_markdown_cell(prose),
        new_code_cell(parameters, metadata={"tags": ["parameters"]}),
        *(new_code_cell(source) for source in code),
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"kernelspec": kernel, "modularity": declared}
    nbformat.write(new_notebook(cells=cells, metadata=metadata), path)
    return path


def write_sweep(folder, notebook, **points):
    """Write a sweep, and return all that lies or will lie in its folder."""
    folder.mkdir(exist_ok=True)
    sweep = folder / "points.yaml"
    sweep.write_text(yaml.safe_dump({"notebook": notebook, **points}, sort_keys=False))
    return all_of(folder)


def all_of(folder):
    return SimpleNamespace(
        folder=folder,
        notebooks=folder / "notebooks",
        tiny=folder / "notebooks" / "tiny.ipynb",
        sweep=folder / "points.yaml",
        store=Store(folder / "runs"),
    )


def tiny_sweep(folder, **points):
    code = (COUNTS_AND_DIVIDES, TELLS_ITS_CORES, KEEPS)
    declared = {"keeps": ["squares"], "uses": ["importance", "lesions"]}
    write_notebook(folder / "notebooks" / "tiny.ipynb", PARAMETERS, *code, **declared)
    return write_sweep(folder, "tiny", **points)


def command(those, *options):
    arguments = [those.notebooks, those.sweep, "--store", those.store.folder, *options]
    return [sys.executable, "-c", MAIN, *map(str, arguments)]


def finish(process, seconds=300):
    """Wait for a command, and return what it printed, line by line."""
    printed, _ = process.communicate(timeout=seconds)
    return printed.splitlines()


def start(those, *options, **environment):
    return subprocess.Popen(
        command(those, *options),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | environment,
    )


def wait_until(is_so, seconds=240):
    limit = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < limit, "waited in vain"
        time.sleep(0.05)


def has_ended(pid):
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def executed(those):
    """What each execution noted down, one line for each."""
    path = those.notebooks / "executed.txt"
    return sorted(path.read_text().splitlines()) if path.exists() else []


def finished(those):
    return [path for path in those.store.folder.glob("*") if (path / "run.json").exists()]


def point(those, **given):
    return points.point(those.tiny, given)


def notebook_of(folder):
    return nbformat.read(folder / "notebook.ipynb", as_version=4)


def printed(folder):
    return [each.text.strip() for c in notebook_of(folder).cells for each in c.get("outputs", [])]


def record(folder):
    return json.loads((folder / "run.json").read_text())


def pretend(store, run, **tables):
    """Make a run look finished, with tables that it kept."""
    folder = store.folder / run.key
    (folder / "tables").mkdir(parents=True)
    for name, table in tables.items():
        table.to_csv(folder / "tables" / f"{name}.csv", index=False)
    checksums = {path.name: files.sha256_of(path) for path in stores.tables(folder)}
    said = stores.described(run) | {"provenance": run.provenance, "tables": checksums}
    (folder / "run.json").write_text(json.dumps(said | {"commit": "", "error": ""}))


def forget():
    """Read all files anew, as another process would."""
    points.forget()


@pytest.fixture(autouse=True)
def _fresh():
    forget()
    yield
    forget()


@pytest.fixture
def main(monkeypatch, capsys):
    """Run the command line in this process: exit status, and what it says."""

    def call(those, *arguments):
        monkeypatch.setattr(settings, "NOTEBOOKS", those.notebooks)
        verb = [] if arguments[0] == "collect" else ["sweep"]
        arguments = [*verb, *arguments, "--store", those.store.folder]
        status = 0
        try:
            cli.main([*map(str, arguments)])
        except SystemExit as stop:
            status = stop.code
        said = capsys.readouterr()
        return status, said.out.splitlines(), " ".join(said.err.split())

    return call


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A sweep of three points, one of which fails, on four cores with two workers."""
    rows = [{}, {"n": 3, "keeps": True}, {"n": 0}]
    those = tiny_sweep(tmp_path_factory.mktemp("swept"), rows=rows)
    process = start(those, "--workers", "2", MODULARITY_CORES="4")
    those.lines, those.status = finish(process), process.returncode
    return those


@pytest.fixture
def again(swept, tmp_path):
    """A copy of the sweep and its store, to change."""
    shutil.copytree(swept.folder, tmp_path / "again")
    return all_of(tmp_path / "again")


@pytest.fixture
def few(tmp_path):
    """A sweep of four points, none of which has been executed."""
    return tiny_sweep(tmp_path / "few", grid={"n": [1, 2], "keeps": [False, True]})


# What is asked for.


def test_a_grid_is_crossed_and_rows_are_taken_as_they_are(few, monkeypatch):
    monkeypatch.setattr(settings, "NOTEBOOKS", few.notebooks)
    crossed = [run.parameters for run in points.read(few.sweep)]
    assert crossed == [{"n": n, "keeps": k} for n, k in itertools.product([1, 2], [False, True])]
    write_sweep(few.folder, "tiny", rows=[{"n": 7}, {"keeps": True}])
    assert [run.given for run in points.read(few.sweep)] == [{"n": 7}, {"keeps": True}]
    assert points.read(few.sweep)[1].parameters == {"n": 2, "keeps": True}


@pytest.mark.parametrize(
    ("said", "accepted"),
    [
        ({"notebook": "tiny"}, "either grid or rows"),
        ({"notebook": "tiny", "grid": {"n": [1]}, "rows": [{"n": 1}]}, "either grid or rows"),
        ({"notebook": "tiny", "grid": {"n": [1]}, "cores": 2}, "either grid or rows"),
        ({"grid": {"n": [1]}}, "either grid or rows"),
        (["tiny"], "either grid or rows"),
        ({"notebook": "tiny", "grid": {"n": 1}}, "a list of values for each parameter"),
        ({"notebook": "tiny", "grid": None}, "a list of values for each parameter"),
        ({"notebook": "tiny", "rows": {"n": [1]}}, "a list of points"),
        ({"notebook": "tiny", "rows": [3]}, "a list of points"),
        ({"notebook": "tiny", "table": "counts"}, "found notebook, table"),
        ({"notebook": "tiny", "rows": [{}], "table": ["counts"]}, "table must be the name"),
        ({"notebook": "tiny", "rows": [{}], "table": "cubes"}, "tiny.ipynb keeps squares"),
        ({"notebook": "tinny", "rows": [{}]}, "in notebooks/ are tiny"),
        ({"notebook": "tiny", "rows": []}, "there are no points"),
        ({"notebook": "tiny", "grid": {"n": [], "keeps": [True]}}, "there are no points"),
    ],
    ids=str,
)
def test_other_sweeps_are_refused_with_what_is_accepted(few, main, said, accepted):
    few.sweep.write_text(yaml.safe_dump(said))
    status, _, error = main(few, few.sweep)
    assert status == 2
    assert accepted in error


@pytest.mark.parametrize("text", [None, "grid: ["])
def test_sweeps_that_cannot_be_read_are_refused(few, main, text):
    few.sweep.unlink()
    if text:
        few.sweep.write_text(text)
    assert main(few, few.sweep)[0] == 2


@pytest.mark.parametrize("bad", [{"m": 1}, {"n": "1"}, {"n": 1.0}, {"n": True}, {"n": None}])
def test_unknown_or_mistyped_parameters_are_refused_before_anything_runs(few, main, bad):
    write_sweep(few.folder, "tiny", rows=[{"n": 1}, bad])
    status, _, error = main(few, few.sweep)
    assert status == 2
    assert "accepted are n: int, keeps: bool" in error
    assert not few.store.folder.exists()
    assert executed(few) == []


@pytest.mark.parametrize("other", ["m = 2 * n", "m: int = 2 * n", "m: int", "print(n)"])
def test_a_cell_of_parameters_holds_nothing_but_typed_literals(tmp_path, other):
    source = write_notebook(tmp_path / "computes.ipynb", f"n: int = 2\n{other}")
    with pytest.raises(ValueError, match=r"computes.ipynb: .*accepted are typed literals"):
        points.point(source, {})


def test_a_dry_run_lists_what_would_run_and_what_is_done(again, main):
    before = executed(again)
    write_sweep(again.folder, "tiny", grid={"n": [0, 2, 9]})
    status, lines, _ = main(again, again.sweep, "--dry-run")
    assert status == 0
    assert [line.partition(": ")[::2] for line in lines[:-1]] == [
        ("tiny n=0", "failed: ZeroDivisionError: integer division or modulo by zero"),
        ("tiny n=2", "done"),
        ("tiny n=9", "to do"),
    ]
    assert lines[-1] == "3 runs: 1 failed, 1 done, 1 to do"
    assert executed(again) == before


# Keys.


def key(folder, *code, parameters=PARAMETERS, given=None, **options):
    forget()
    path = write_notebook(folder / "other.ipynb", parameters, *code, **options)
    return points.point(path, given or {}).key


def test_a_key_changes_with_code_and_parameters_but_not_with_prose(tmp_path):
    first = key(tmp_path, "print(n)", "print(2)")
    assert key(tmp_path, "print(n)", "print(2)", prose="Better text.") == first
    assert key(tmp_path, "print(n)", "print(2)", given={"n": 2}) == first
    others = [
        key(tmp_path, "print(n)", "print(3)"),
        key(tmp_path, "print(2)", "print(n)"),
        key(tmp_path, "print(n)\nprint(2)"),
        key(tmp_path, "print(n)", "print(2)", given={"n": 3}),
        key(tmp_path, "print(n)", "print(2)", given={"keeps": True}),
        key(tmp_path, "print(n)", "print(2)", parameters=PARAMETERS.replace("2", "4")),
        key(tmp_path, "print(n)", "print(2)", parameters=PARAMETERS.replace("2", "2.0")),
        key(tmp_path, "print(n)", "print(2)", parameters=f"{PARAMETERS}\nm: int = 1"),
    ]
    assert len({first, *others}) == 1 + len(others)


def test_a_default_that_changes_does_not_matter_where_it_is_overridden(tmp_path):
    changed = PARAMETERS.replace("2", "4")
    assert key(tmp_path, given={"n": 3}) == key(tmp_path, parameters=changed, given={"n": 3})


NETWORKS = """network: str = "one-mlp"  # a network
mlps: str = "two-mlp three-mlp"  # more of them
cnns: str = ""  # none
replicate: int = 1  # of each"""


@pytest.fixture
def manifest(tmp_path, monkeypatch):
    """Write manifests into an empty zoo and an empty cache."""
    monkeypatch.setattr(settings, "ZOO", tmp_path / "zoo")
    monkeypatch.setenv("MODULARITY_CACHE", str(tmp_path / "cache"))

    def write(name, checksum, folder="zoo"):
        path = tmp_path / folder / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        known = {"recipe": {}, "replicate": 0, "epochs": 1, "accuracy": {"test": 0.9}, "data": ""}
        path.write_text(json.dumps(known | {"sha256": checksum}))

    return write


@pytest.mark.parametrize("name", ["one-mlp-1", "two-mlp-1", "three-mlp-1"])
@pytest.mark.parametrize("folder", ["zoo", "cache/zoo"])
def test_a_key_changes_with_the_weights_of_each_network(tmp_path, manifest, name, folder):
    for each in ("one-mlp-1", "two-mlp-1", "three-mlp-1"):
        manifest(each, "same")
    (tmp_path / "zoo" / f"{name}.json").unlink()
    manifest(name, "first", folder)
    first = key(tmp_path, parameters=NETWORKS)
    assert key(tmp_path, parameters=NETWORKS) == first
    manifest(name, "second", folder)
    assert key(tmp_path, parameters=NETWORKS) != first


def test_a_key_does_not_change_with_the_weights_of_other_replicates(tmp_path, manifest):
    before = key(tmp_path, parameters=NETWORKS)
    manifest("one-mlp-0", "other")
    assert key(tmp_path, parameters=NETWORKS) == before


# What a sweep leaves behind.


def test_the_last_line_sums_up_and_failures_are_listed_before_it(swept):
    *_, failure, last = swept.lines
    assert failure.startswith("FAILED tiny n=0: ZeroDivisionError")
    assert last == "3 runs: 2 executed, 0 already done, 1 failed"
    assert swept.status == 1


def test_progress_is_told_in_plain_lines_where_nobody_watches(swept):
    told = swept.lines[:3]
    assert [line.partition(" ")[0] for line in told] == ["1/3", "2/3", "3/3"]
    states = {line.partition(" ")[2] for line in told}
    assert {"tiny: executed", "tiny n=3 keeps=True: executed"} < states
    assert "tiny n=0: ZeroDivisionError: integer division or modulo by zero" in states
    assert not any("\r" in line for line in swept.lines)


def test_runs_are_executed_with_their_own_parameters(swept):
    assert executed(swept) == ["0", "2", "3"]
    assert printed(swept.store.finished(point(swept)))[0] == "5"
    assert printed(swept.store.finished(point(swept, n=3, keeps=True)))[0] == "3"


def test_a_run_keeps_its_parameters_notebook_tables_log_timings_and_origins(swept):
    folder = swept.store.finished(point(swept, n=3, keeps=True))
    kept = record(folder)
    assert kept["given"] == kept["parameters"] == {"n": 3, "keeps": True}
    assert record(swept.store.finished(point(swept)))["parameters"] == {"n": 2, "keeps": False}
    assert pd.read_csv(folder / "tables" / "squares.csv").to_numpy().tolist() == [
        [i, i**2] for i in range(3)
    ]
    assert "3" in (folder / "log.txt").read_text().split()
    assert kept["seconds"] >= sum(kept["cell_seconds"]) > 0
    n_code_cells = sum(cell.cell_type == "code" for cell in notebook_of(folder).cells)
    assert len(kept["cell_seconds"]) == n_code_cells == 5
    assert kept["provenance"] == {"version of importance": "1", "version of lesions": "1"}
    assert re.fullmatch("[0-9a-f]{40}", kept["commit"])
    assert kept["tables"] == {"squares.csv": files.sha256_of(folder / "tables" / "squares.csv")}


def test_nothing_but_whole_runs_failures_and_locks_is_left_in_the_store(swept):
    folders = {path.name for path in swept.store.folder.iterdir() if path.is_dir()}
    keys = {point(swept).key, point(swept, n=3, keeps=True).key}
    assert folders == {*keys, f"failed-{point(swept, n=0).key}"}
    others = {path.suffix for path in swept.store.folder.iterdir() if not path.is_dir()}
    assert others <= {".lock"}


def test_a_run_that_fails_leaves_nothing_that_looks_finished(swept):
    failed = point(swept, n=0)
    assert swept.store.finished(failed) is None
    assert swept.store.error(failed).startswith("ZeroDivisionError")
    folder = swept.store.folder / f"failed-{failed.key}"
    outputs = [cell.outputs for cell in notebook_of(folder).cells if cell.cell_type == "code"]
    assert "ZeroDivisionError" in str(outputs)
    assert outputs[-1] == []


def test_overridden_defaults_are_folded_away_and_no_path_is_kept(swept):
    injected = swept.store.finished(point(swept, n=3, keeps=True))
    plain = swept.store.finished(point(swept))
    assert "hide-cell" in notebook_of(injected).cells[1].metadata.tags
    assert "hide-cell" not in notebook_of(plain).cells[1].metadata.tags
    for folder in (injected, plain):
        assert str(swept.folder) not in (folder / "notebook.ipynb").read_text()


def test_a_run_is_limited_to_its_share_of_cores(swept):
    assert printed(swept.store.finished(point(swept)))[1] == "2 2 2 2"


def test_finished_runs_are_skipped_and_failures_are_kept(again, main):
    before = executed(again)
    status, lines, _ = main(again, again.sweep)
    assert status == 1
    assert "ZeroDivisionError" in lines[-2]
    assert "--retry-failed" in lines[-2]
    assert lines[-1] == "3 runs: 0 executed, 2 already done, 1 failed"
    assert executed(again) == before


def test_the_status_is_0_where_all_is_done(again, main):
    write_sweep(again.folder, "tiny", rows=[{}])
    assert main(again, again.sweep)[:2] == (0, ["1 runs: 0 executed, 1 already done, 0 failed"])


def test_the_runner_imports_neither_tensorflow_nor_papermill(tmp_path):
    hundred = tiny_sweep(tmp_path / "hundred", grid={"n": list(range(100))})
    for n in range(100):
        pretend(hundred.store, point(hundred, n=n))
    python, *rest = command(hundred)
    process = subprocess.run(
        [python, "-X", "importtime", *rest], capture_output=True, text=True, timeout=300
    )
    assert process.stdout == "100 runs: 0 executed, 100 already done, 0 failed\n"
    imported = {line.rpartition("|")[2].strip() for line in process.stderr.splitlines()}
    assert "helpers.book.sweeps" in imported
    assert not {"tensorflow", "keras", "papermill"} & imported


@pytest.fixture(scope="module")
def retried(swept, tmp_path_factory):
    """The failure, mended and tried again in a pool of processes with three cores each."""
    folder = tmp_path_factory.mktemp("retried") / "copy"
    shutil.copytree(swept.folder, folder)
    those = all_of(folder)
    (those.notebooks / "mended.txt").touch()
    chosen = [point(those), point(those, n=0)]
    spawning = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawning) as executor:
        those.report = sweeps.sweep(chosen, those.store, executor, cores=3, retry_failed=True)
    return those


def test_failures_are_tried_again_on_request_and_replaced_by_a_success(retried):
    assert str(retried.report) == "2 runs: 1 executed, 1 already done, 0 failed"
    mended = point(retried, n=0)
    assert retried.store.error(mended) is None
    assert printed(retried.store.finished(mended))[0] == "10"
    assert not list(retried.store.folder.glob("failed-*"))


def test_runs_can_be_executed_by_a_pool_of_processes_with_some_cores_each(retried):
    assert printed(retried.store.finished(point(retried, n=0)))[1] == "3 3 3 3"


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """A sweep at a terminal, of a notebook that leaves and one whose kernel dies."""
    folder = tmp_path_factory.mktemp("ended")
    write_notebook(folder / "notebooks" / "ends.ipynb", 'end: str = ""', ENDS, "print(end)")
    those = write_sweep(folder, "ends", grid={"end": ["exit", "die"]})
    leader, follower = pty.openpty()
    termios.tcsetwinsize(follower, (24, 100))
    process = subprocess.Popen(
        command(those, "--workers", "2"), stdin=follower, stdout=follower, stderr=follower
    )
    os.close(follower)
    those.shown = b"".join(iter(lambda: read(leader), b"")).decode()
    os.close(leader)
    process.wait(300)
    those.leaves, those.dies = (
        points.point(folder / "notebooks" / "ends.ipynb", {"end": end}) for end in ("exit", "die")
    )
    return those


def read(terminal):
    try:
        return os.read(terminal, 4096)
    except OSError:  # Nobody writes to it any more.
        return b""


def test_progress_is_a_bar_at_a_terminal(ended):
    assert "\rruns: 100%" in ended.shown
    assert "2/2" in ended.shown
    assert re.search("running=[12]", ended.shown)
    assert "failed=2" in ended.shown
    assert "1/2 ends" not in ended.shown


def test_a_notebook_that_leaves_before_its_end_has_failed(ended):
    assert ended.store.finished(ended.leaves) is None
    assert "ended itself" in ended.store.error(ended.leaves)


def test_a_notebook_whose_kernel_dies_has_failed_for_that_reason(ended):
    assert ended.store.finished(ended.dies) is None
    assert "Kernel died" in ended.store.error(ended.dies)


# What changes afterwards.


def raise_version(monkeypatch, part):
    monkeypatch.setitem(provenance.VERSIONS, part, provenance.VERSIONS[part] + 1)


def test_a_measure_that_computes_something_else_makes_stale_what_uses_it(again, main, monkeypatch):
    raise_version(monkeypatch, "taxonomy")
    assert again.store.stale(point(again)) == []
    raise_version(monkeypatch, "importance")
    assert again.store.stale(point(again)) == ["version of importance"]
    lines = main(again, again.sweep, "--dry-run")[1]
    assert lines[0] == "tiny: stale: version of importance changed"
    assert lines[-1] == "3 runs: 2 stale, 1 to do"


def test_another_commit_makes_nothing_stale(again, monkeypatch):
    monkeypatch.setattr(provenance, "commit", lambda: "another")
    assert again.store.stale(point(again)) == []


def test_what_is_stale_is_made_again_unless_it_is_to_be_kept(again, main, monkeypatch):
    write_sweep(again.folder, "tiny", rows=[{}])
    raise_version(monkeypatch, "lesions")
    status, lines, _ = main(again, again.sweep, "--keep-stale")
    assert lines[0] == "STALE, KEPT: tiny (version of lesions changed)"
    assert (status, lines[-1]) == (0, "1 runs: 0 executed, 1 already done, 0 failed")
    assert executed(again) == ["0", "2", "3"]
    status, lines, _ = main(again, again.sweep, "--workers", "1")
    assert lines[0] == "stale, executed anew: tiny (version of lesions changed)"
    assert (status, lines[-1]) == (0, "1 runs: 1 executed, 0 already done, 0 failed")
    assert executed(again) == ["0", "2", "2", "3"]


def test_what_has_failed_is_tried_again_when_something_has_changed(again, main, monkeypatch):
    failed = point(again, n=0)
    assert again.store.error(failed).startswith("ZeroDivisionError")
    raise_version(monkeypatch, "lesions")
    assert again.store.error(failed) is None


def test_what_is_stale_is_not_collected_unless_asked(few, main, monkeypatch):
    monkeypatch.setattr(settings, "RESULTS", few.folder / "results")
    pretend(few.store, point(few, n=1), scores=table())
    raise_version(monkeypatch, "lesions")
    status, _, error = main(few, "collect", few.sweep, "--partial")
    assert status == 2
    assert "stale: tiny n=1 keeps=False (version of lesions changed); run" in error
    assert not (few.folder / "results").exists()
    status, lines, _ = main(few, "collect", few.sweep, "--partial", "--keep-stale")
    assert (status, lines[0]) == (
        0,
        "STALE, KEPT: tiny n=1 keeps=False (version of lesions changed)",
    )


@pytest.mark.parametrize("name", ["mnist-mlp", "halves-same-mnist-mlp-dropout", "mnist fashion"])
def test_data_that_are_replaced_make_stale_what_was_made_of_them(name, tmp_path, monkeypatch):
    monkeypatch.setenv("MODULARITY_DATA", str(tmp_path))
    for archive in ("mnist", "cifar10"):
        np.savez(tmp_path / f"{archive}.npz", y_test=np.arange(5))
    source = write_notebook(tmp_path / "nets.ipynb", 'bases: str = ""')
    run = points.point(source, {"bases": name})
    store = Store(tmp_path / "runs")
    pretend(store, run)
    np.savez(tmp_path / "cifar10.npz", y_test=np.arange(5)[::-1])
    forget()
    assert store.stale(run) == []
    np.savez(tmp_path / "mnist.npz", y_test=np.arange(5)[::-1])
    forget()
    assert store.stale(run) == ["data of mnist"]


def test_data_are_known_by_what_they_are_and_not_by_how_they_are_packed(tmp_path, monkeypatch):
    monkeypatch.setenv("MODULARITY_DATA", str(tmp_path))
    sums = set()
    for save, seed in ((np.savez, 0), (np.savez_compressed, 0), (np.savez, 1)):
        save(tmp_path / "mnist.npz", y_test=np.random.default_rng(seed).permutation(100))
        forget()
        sums.add(provenance.archive_checksum("mnist"))
    assert len(sums) == 2


@pytest.mark.parametrize("archive", datasets.ARCHIVES.values())
def test_data_that_keras_downloads_are_the_same_before_and_after(archive, tmp_path, monkeypatch):
    folder = settings.data_folder()
    if folder and (folder / f"{archive}.npz").exists():
        assert provenance.archive_checksum(archive) == provenance.AS_PUBLISHED[archive]
    monkeypatch.setenv("MODULARITY_DATA", str(tmp_path))
    forget()
    assert provenance.archive_checksum(archive) == provenance.AS_PUBLISHED[archive]


def test_a_damaged_archive_is_named_and_the_other_runs_go_on(tmp_path, monkeypatch, main):
    monkeypatch.setenv("MODULARITY_DATA", str(tmp_path))
    (tmp_path / "mnist.npz").write_bytes(b"half")
    those = write_sweep(tmp_path / "data", "data", grid={"bases": ["mnist", "digits"]})
    write_notebook(those.notebooks / "data.ipynb", 'bases: str = ""')
    status, lines, _ = main(those, those.sweep, "--workers", "1")
    assert (status, lines[-1]) == (1, "2 runs: 1 executed, 0 already done, 1 failed")
    assert any(f"{tmp_path / 'mnist.npz'} is damaged" in line for line in lines)


def test_files_that_are_changed_make_stale_what_declares_to_read_them(tmp_path, monkeypatch):
    monkeypatch.setattr(settings, "ROOT", tmp_path)
    declared = ["results/table1b.csv", "results/published_*.csv", "zoo/*.json"]
    source = write_notebook(tmp_path / "reads.ipynb", "n: int = 2", reads=declared)
    reads = points.point(source, {})
    assert sources.collected_by(source) == ["table1b"]
    store = Store(tmp_path / "runs")
    for name in ("results/table1b.csv", "results/other.csv", "results/published_table1.csv"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("a\n1\n")
    pretend(store, reads)
    for name, stale in (
        ("results/other.csv", []),
        ("results/table1b.csv", ["results/table1b.csv"]),
        ("results/published_new.csv", ["results/published_*.csv", "results/table1b.csv"]),
    ):
        (tmp_path / name).write_text("a\n2\n")
        forget()
        assert store.stale(reads) == stale


# What is damaged.


def test_a_damaged_record_is_named_and_the_other_runs_go_on(few, main):
    broken = point(few, n=1)
    pretend(few.store, broken)
    record = few.store.folder / broken.key / "run.json"
    record.write_text(record.read_text()[:40])
    write_sweep(few.folder, "tiny", rows=[{"n": 1}, {"n": 2}])
    status, lines, _ = main(few, few.sweep, "--workers", "1")
    assert status == 1
    assert lines[-1] == "2 runs: 1 executed, 0 already done, 1 failed"
    assert any(f"FAILED tiny n=1: {record} is damaged" in line for line in lines)
    lines = main(few, few.sweep, "--dry-run")[1]
    assert f"{record} is damaged" in lines[0]
    assert lines[1] == "tiny n=2: done"


def test_a_damaged_manifest_is_named_and_the_other_runs_go_on(tmp_path, manifest, main):
    those = write_sweep(tmp_path / "nets", "nets", grid={"network": ["bad-mlp", ""]})
    write_notebook(those.notebooks / "nets.ipynb", 'network: str = ""\nreplicate: int = 0')
    manifest("bad-mlp-0", "sum")
    path = tmp_path / "zoo" / "bad-mlp-0.json"
    path.write_text(path.read_text()[:20])
    status, lines, _ = main(those, those.sweep, "--workers", "1")
    assert (status, lines[-1]) == (1, "2 runs: 1 executed, 0 already done, 1 failed")
    assert any(f"{path} is damaged; delete it" in line for line in lines)


def test_a_table_that_was_cut_off_is_not_collected(few, main, monkeypatch):
    monkeypatch.setattr(settings, "RESULTS", few.folder / "results")
    run = point(few, n=1)
    pretend(few.store, run, scores=table(32))
    path = few.store.folder / run.key / "tables" / "scores.csv"
    path.write_text("\n".join(path.read_text().splitlines()[:27]) + "\n")
    status, _, error = main(few, "collect", few.sweep, "--partial")
    assert status == 2
    assert f"{path} is damaged: it is not as tiny n=1" in error


def test_a_collected_table_says_where_it_comes_from_and_is_checked(few, main, monkeypatch):
    monkeypatch.setattr(settings, "RESULTS", few.folder / "results")
    pretend(few.store, point(few, n=1), scores=table(9))
    main(few, "collect", few.sweep, "--partial")
    path = few.folder / "results" / "points.csv"
    origin = json.loads(path.with_suffix(".json").read_text())
    assert origin["sha256"] == files.sha256_of(path)
    assert [run["parameters"] for run in origin["runs"]] == [{"n": 1, "keeps": False}]
    assert origin["runs"][0]["provenance"] == point(few, n=1).provenance
    path.write_text(path.read_text()[:-20])
    with pytest.raises(ValueError, match=r"points\.csv is damaged: .* that points\.json is about"):
        results.collected("points")
    path.with_suffix(".json").unlink()
    with pytest.raises(ValueError, match=r"points\.json is damaged"):
        results.collected("points")


COLLECTED = [path.stem for path in sorted(settings.SWEEPS.glob("*.yaml"))]
COLLECTED = [name for name in COLLECTED if (settings.RESULTS / f"{name}.csv").exists()]


@pytest.mark.parametrize("name", COLLECTED)
def test_every_row_of_the_results_says_which_run_it_is_of(name):
    path = settings.RESULTS / f"{name}.csv"
    records = provenance.record_of(path)["runs"]
    assert all(len(each["commit"]) == 40 and each["weights"] for each in records)
    table = Collected(path)
    runs = [SimpleNamespace(parameters=each["parameters"]) for each in records]
    assert sum(len(table.rows(each)) for each in runs) == len(pd.read_csv(path))


def test_a_collected_table_says_of_which_code_and_weights_it_is(tmp_path, manifest, main):
    those = write_sweep(tmp_path / "nets", "nets", grid={"network": ["one-mlp", "two-mlp"]})
    source = write_notebook(
        those.notebooks / "nets.ipynb", 'network: str = ""\nreplicate: int = 1', "1"
    )
    for name in ("one-mlp", "two-mlp"):
        manifest(f"{name}-1", f"sum of {name}")
        pretend(those.store, points.point(source, {"network": name}), scores=table(1))
    assert main(those, "collect", those.sweep, "--into", tmp_path / "all.csv")[0] == 0
    found = json.loads((tmp_path / "all.json").read_text())["runs"]
    weights = [{f"{name}-1": f"sum of {name}"} for name in ("one-mlp", "two-mlp")]
    assert [run["weights"] for run in found] == weights
    assert {run["code"] for run in found} == {provenance.sha256(b'["1"]')}
    one = points.point(source, {"network": "one-mlp"})
    nowhere = SimpleNamespace(
        notebook=source, parameters=one.parameters, weights={"one-mlp-1": None}
    )
    other = SimpleNamespace(**vars(nowhere) | {"weights": {"one-mlp-1": "another sum"}})
    collected = Collected(tmp_path / "all.csv")
    assert collected.record(one) == collected.record(nowhere) == found[0]
    assert collected.record(other) is None


def test_a_full_disk_is_reported_as_such(tmp_path, monkeypatch):
    def write(notebook, path):
        path.write_text('{"cells": "')
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    source = write_notebook(tmp_path / "any.ipynb", "n: int = 1")
    monkeypatch.setattr(
        execution.papermill, "execute_notebook", lambda source, output, **_: write(source, output)
    )
    with pytest.raises(OSError, match="No space left on device"):
        execution.execute(source, {}, tmp_path / "out.ipynb")


def leave(monkeypatch, **files):
    """Execute notebooks by leaving files behind, and failing."""

    def fail(arguments, log, cores, order=""):
        for name, text in files.items():
            (Path(json.loads(order)["folder"]) / name.replace("_", ".")).write_text(text)
        return "exit status 1"

    monkeypatch.setattr(sweeps, "_in_a_process", fail)


def perform(those, run):
    return sweeps.perform(those.store.folder, run.notebook, run.given, run.key)


def test_a_failure_that_could_not_say_why_is_no_success(few, monkeypatch):
    leave(monkeypatch, error_txt="")
    assert perform(few, point(few)) == "exit status 1"
    assert few.store.finished(point(few)) is None


def test_a_notebook_that_was_cut_off_does_not_hide_why(few, monkeypatch):
    full = "OSError: [Errno 28] No space left on device"
    leave(monkeypatch, error_txt=full, notebook_ipynb='{"cells": "')
    assert perform(few, point(few)) == full
    assert few.store.error(point(few)) == full


def test_a_record_that_cannot_be_written_leaves_nothing_behind(few, monkeypatch):
    def full(run):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    leave(monkeypatch)
    monkeypatch.setattr(sweeps, "described", full)
    with pytest.raises(OSError, match="No space left on device"):
        perform(few, point(few))
    assert [path.suffix for path in few.store.folder.iterdir()] == [".lock"]


def test_a_store_that_takes_no_failures_stops_no_other_runs(tmp_path, monkeypatch, manifest):
    def full(store, run, error):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    hand_over(monkeypatch, lambda *_: "OSError: no images")
    monkeypatch.setattr(Store, "keep_failure", full)
    manifest("here-mlp-0", "weights")
    report = networks_sweep(tmp_path, "bad-mlp", "here-mlp")
    assert report.executed == 1
    assert "no images (which could not be kept: [Errno 28] No space left" in str(report.errors)


def test_keys_of_a_row_can_be_merged_into_another(few, monkeypatch):
    monkeypatch.setattr(settings, "NOTEBOOKS", few.notebooks)
    few.sweep.write_text("notebook: tiny\nrows:\n  - &a {n: 1}\n  - {<<: *a, keeps: true}\n")
    assert [run.given for run in points.read(few.sweep)] == [{"n": 1}, {"n": 1, "keeps": True}]


def test_a_page_that_is_named_twice_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(settings, "SWEEPS", tmp_path)
    (tmp_path / "book.yaml").write_text("a: {n: 1}\na: {n: 2}\n")
    with pytest.raises(ValueError, match=r"book\.yaml, line 2: a is given twice"):
        points.of_pages()


def test_a_key_that_is_given_twice_is_refused(few, main):
    few.sweep.write_text("notebook: tiny\nrows:\n  - {n: 1}\n  - {n: 1, n: 2}\n")
    status, _, error = main(few, few.sweep)
    assert status == 2
    assert f"{few.sweep}, line 4: n is given twice" in error
    few.sweep.write_text("notebook: tiny\nrows: [{n: 1}]\nrows: [{n: 2}]\n")
    assert "rows is given twice" in main(few, few.sweep)[2]


def test_a_cache_that_cannot_be_made_does_not_matter_for_networks_in_git(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("MODULARITY_CACHE", str(tmp_path / "file" / "cache"))
    assert zoo.trained("digits-mlp").accuracy > 0.9
    assert points.weights("digits-mlp", 0)


# What changes meanwhile.


def test_code_that_is_edited_in_mid_sweep_is_not_kept_as_the_old_code(few):
    old = point(few, n=1)
    kept = few.store.folder / old.key / "notebook.ipynb"

    def edit():
        write_notebook(few.tiny, PARAMETERS, 'print("edited")')

    with ThreadPoolExecutor(1, initializer=edit) as executor:
        sweeps.sweep([old], few.store, executor, cores=1)
    assert not kept.exists() or "edited" not in kept.read_text()


# Networks.


def hand_over(monkeypatch, train, events=None):
    """Train by a function of the test, and finish runs without executing anything."""

    def perform(store, notebook, given, key, *_):
        (store / key).mkdir(parents=True)
        if events is not None:
            events.append(key)
        return "executed"

    monkeypatch.setattr(sweeps, "train", train)
    monkeypatch.setattr(sweeps, "perform", perform)


def networks_sweep(tmp_path, *names):
    source = write_notebook(tmp_path / "nets.ipynb", 'network: str = ""\nreplicate: int = 0')
    chosen = [points.point(source, {"network": name}) for name in names]
    return sweeps.sweep_here(chosen, Store(tmp_path / "runs"), 2)


def test_networks_that_are_nowhere_are_trained_once_and_before_anything_runs(
    tmp_path, monkeypatch, manifest
):
    manifest("here-mlp-0", "weights")
    manifest("cached-mlp-0", "weights", "cache/zoo")
    events = []

    def train(name, replicate, *_):
        manifest(f"{name}-{replicate}", f"weights of {name}", "cache/zoo")
        events.append(f"{name}-{replicate} trained")
        return "trained"

    hand_over(monkeypatch, train, events)
    names = ["new-mlp", "here-mlp", "here-mlp new-mlp", "cached-mlp"]
    report = networks_sweep(tmp_path, *names)
    assert str(report) == "4 runs: 4 executed, 0 already done, 0 failed"
    assert events[0] == "new-mlp-0 trained"
    keys = {points.point(tmp_path / "nets.ipynb", {"network": name}).key for name in names}
    assert sorted(events[1:]) == sorted(keys)


@pytest.mark.parametrize("raises", [False, True])
def test_a_training_that_fails_fails_its_own_runs_with_a_reason(
    tmp_path, monkeypatch, manifest, raises
):
    def train(name, replicate, *_):
        if name == "bad-mlp" and raises:
            raise OSError("no images")
        if name == "bad-mlp":
            return "OSError: no images"
        manifest(f"{name}-{replicate}", "weights", "cache/zoo")
        return "trained"

    hand_over(monkeypatch, train)
    report = networks_sweep(tmp_path, "bad-mlp", "new-mlp", "new-mlp bad-mlp")
    assert report.executed == 1
    failed = {name: text for name, text in report.errors.items() if "nets" in name}
    assert set(failed) == {"nets network='bad-mlp'", "nets network='new-mlp bad-mlp'"}
    assert "no images" in str(report.errors)


def test_a_network_that_cannot_be_trained_is_not_counted_as_a_run(tmp_path, monkeypatch, manifest):
    hand_over(monkeypatch, lambda *_: "OSError: no images")
    manifest("here-mlp-0", "weights")
    report = networks_sweep(tmp_path, "bad-mlp", "here-mlp")
    assert str(report) == "2 runs: 1 executed, 0 already done, 1 failed"


def test_a_training_that_failed_is_tried_again_only_on_request(tmp_path, monkeypatch, manifest):
    tried = []

    def fails(*network):
        tried.append(network)
        return "OSError: no images"

    def succeeds(name, replicate, *_):
        manifest(f"{name}-{replicate}", "weights", "cache/zoo")
        return "trained"

    hand_over(monkeypatch, fails)
    networks_sweep(tmp_path, "bad-mlp")
    store, source = Store(tmp_path / "runs"), tmp_path / "nets.ipynb"
    untrained = points.point(source, {"network": "bad-mlp"})
    assert store.error(untrained) == "training bad-mlp-0: OSError: no images"
    kept = json.loads((store.folder / f"failed-{untrained.key}" / "run.json").read_text())
    assert kept["parameters"] == {"network": "bad-mlp", "replicate": 0}

    report = networks_sweep(tmp_path, "bad-mlp")
    assert "no images (earlier; --retry-failed tries again)" in str(report.errors)
    assert len(tried) == 1

    hand_over(monkeypatch, succeeds)
    report = sweeps.sweep_here([untrained], store, 1, retry_failed=True)
    assert str(report) == "1 runs: 1 executed, 0 already done, 0 failed"
    assert not list(store.folder.glob("failed-*"))


def test_a_dry_run_names_the_networks_to_train(tmp_path, main, manifest):
    manifest("here-mlp-0", "weights")
    those = write_sweep(tmp_path / "nets", "nets", grid={"network": ["here-mlp", "new-mlp"]})
    write_notebook(those.notebooks / "nets.ipynb", 'network: str = ""\nreplicate: int = 0')
    assert main(those, those.sweep, "--dry-run")[1] == [
        "nets network='here-mlp': to do",
        "nets network='new-mlp': to do, after training new-mlp-0",
        "2 runs: 2 to do",
    ]


# Cores.


def test_the_environment_says_how_many_cores_may_be_used(monkeypatch):
    monkeypatch.delenv("MODULARITY_CORES", raising=False)
    assert settings.n_cores() >= 1
    for name, value in settings.limits(3).items():
        monkeypatch.setenv(name, value)
    assert settings.n_cores() == 3
    assert os.environ["OMP_NUM_THREADS"] == os.environ["TF_NUM_INTRAOP_THREADS"] == "3"


def test_lesions_count_the_same_whatever_the_number_of_cores(monkeypatch):
    network = zoo.trained("digits-mlp")
    x, y = network.dataset.x_test, network.dataset.y_test
    chosen = [
        {layer: np.arange(first, 256, 7)} for layer in ("dense_1", "dense_3") for first in range(7)
    ]
    counts = []
    for cores in (1, 2, 5):
        monkeypatch.setenv("MODULARITY_CORES", str(cores))
        counts.append(lesions.correct_counts(network.model, x, y, chosen))
    assert (counts[0] == counts[1]).all()
    assert (counts[0] == counts[2]).all()


# Other processes.


@pytest.fixture(scope="module")
def side_by_side(tmp_path_factory):
    """Two sweeps of the same points at the same time; one of the points fails."""
    those = tiny_sweep(tmp_path_factory.mktemp("side-by-side"), grid={"n": [7, 0]})
    both = [start(those, "--workers", "2") for _ in range(2)]
    those.last_lines = [finish(each)[-1] for each in both]
    return those


def test_two_sweeps_side_by_side_execute_each_point_once(side_by_side):
    assert executed(side_by_side).count("7") == 1
    assert side_by_side.store.finished(point(side_by_side, n=7))
    assert sorted(side_by_side.last_lines) == [
        "2 runs: 0 executed, 1 already done, 1 failed",
        "2 runs: 1 executed, 0 already done, 1 failed",
    ]


def test_two_sweeps_side_by_side_let_each_point_fail_once(side_by_side):
    assert executed(side_by_side).count("0") == 1


def test_a_refresh_that_has_just_failed_next_door_has_failed_for_its_reason(few, monkeypatch):
    run = point(few, n=1)
    pretend(few.store, run)
    monkeypatch.setattr(Store, "stale", lambda *_: ["files"])
    with ThreadPoolExecutor(1) as executor:
        with filelock.FileLock(few.store.folder / f".{run.key}.lock"):
            arguments = (few.store.folder, run.notebook, run.given, run.key, 1)
            waiting = executor.submit(sweeps.perform, *arguments)
            time.sleep(0.5)
            failed = few.store.folder / f"failed-{run.key}"
            failed.mkdir()
            (failed / "run.json").write_text(json.dumps({"error": "OSError: no images"}))
        assert waiting.result() == "OSError: no images"


def test_a_driver_that_is_killed_takes_its_kernels_along_and_repeats_only_those_runs(tmp_path):
    those = write_sweep(tmp_path / "killed", "waits", grid={"n": [1, 2]})
    write_notebook(those.notebooks / "waits.ipynb", "n: int = 1", WAITS)
    driver = start(those, "--workers", "2")
    wait_until(lambda: len(executed(those)) == 2 and len(finished(those)) == 1)
    driver.kill()
    driver.communicate(timeout=60)
    _, kernel, parent, _ = executed(those)[1].split()
    wait_until(lambda: has_ended(int(kernel)) and has_ended(int(parent)), 60)
    assert len(finished(those)) == 1
    (those.notebooks / "go.txt").touch()
    assert finish(start(those))[-1] == "2 runs: 1 executed, 1 already done, 0 failed"
    assert [line[0] for line in executed(those)] == ["1", "2", "2"]
    assert len(list(those.store.folder.glob("*/run.json"))) == 2


def test_a_driver_that_is_interrupted_ends_at_once_and_nothing_has_failed(tmp_path):
    those = write_sweep(tmp_path / "interrupted", "waits", grid={"n": [2, 3]})
    write_notebook(those.notebooks / "waits.ipynb", "n: int = 1", WAITS)
    driver = start(those, "--workers", "1")
    wait_until(lambda: len(executed(those)) == 1)
    driver.send_signal(signal.SIGINT)
    finish(driver)
    _, kernel, parent, _ = executed(those)[0].split()
    wait_until(lambda: has_ended(int(kernel)) and has_ended(int(parent)), 60)
    assert driver.returncode != 0
    assert len(executed(those)) == 1
    assert not list(those.store.folder.glob("failed-*"))
    assert finished(those) == []


# Tables.


def table(n=2):
    return pd.DataFrame({"unit": range(n), "value": [0.1 + i / 3 for i in range(n)]})


def test_tables_are_kept_in_sweeps_only(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(results.FOLDER, raising=False)
    results.keep("lost", table())
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setenv(results.FOLDER, str(tmp_path))
    monkeypatch.setenv(results.KEEPS, '["kept"]')
    results.keep("kept", table())
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "kept.csv"), table())


def test_what_a_notebook_does_not_declare_it_neither_keeps_nor_reads(tmp_path, monkeypatch):
    monkeypatch.setenv(results.FOLDER, str(tmp_path))
    monkeypatch.setenv(results.KEEPS, '["kept"]')
    monkeypatch.setenv(results.READS, '["results/table1b.csv"]')
    with pytest.raises(ValueError, match="other: the notebook keeps it, but declares only kept"):
        results.keep("other", table())
    with pytest.raises(ValueError, match=r"the notebook reads it, but declares only results/tabl"):
        results.collected("table7")
    assert len(results.collected("table1b"))


@pytest.mark.parametrize("path", sorted(settings.NOTEBOOKS.glob("*.ipynb")), ids=lambda p: p.stem)
def test_notebooks_declare_what_they_keep_and_read_and_parts_that_there_are(path):
    declared, code = sources.declared(path), "\n".join(sources.code(path))
    for name in declared["keeps"]:
        assert f'results.keep("{name}"' in code
    assert code.count("results.keep(") == len(declared["keeps"])
    if "helpers.book.found" in code:
        code += inspect.getsource(found)
    assert code.count("results.collected(") == len(sources.collected_by(path))
    assert declared["uses"]
    assert set(declared["uses"]) <= set(provenance.VERSIONS)


def test_tables_of_a_sweep_become_one_that_notebooks_can_read(again, main, monkeypatch):
    monkeypatch.setattr(settings, "RESULTS", again.folder / "results")
    write_sweep(again.folder, "tiny", rows=[{"n": 3, "keeps": True}, {"n": 8, "keeps": True}])
    with pytest.raises(FileNotFoundError, match=r"modularity collect sweeps/points\.yaml"):
        results.collected("points")
    status, lines, _ = main(again, "collect", again.sweep, "--partial")
    assert status == 0
    assert lines[0].startswith(f"{again.folder / 'results' / 'points.csv'}: 1 of 2 runs")
    collected = results.collected("points")
    assert collected.columns.tolist() == ["n", "keeps", "i", "square"]
    assert collected.to_numpy().tolist() == [[3, True, i, i**2] for i in range(3)]


def test_a_table_has_one_row_for_each_run_and_row(few):
    chosen = [point(few, n=n) for n in (1, 2, 5)]
    for run in chosen[:2]:
        pretend(few.store, run, scores=table(run.parameters["n"]))
    collected = collecting.collect(chosen, few.store)
    assert collected["n"].tolist() == [1, 2, 2]
    assert collected["keeps"].tolist() == [False] * 3
    assert collected["unit"].tolist() == [0, 0, 1]


def test_a_column_called_like_a_parameter_is_kept_beside_it(few):
    pretend(few.store, point(few, n=1), scores=table(2).rename(columns={"unit": "n"}))
    found = collecting.collect([point(few, n=1)], few.store)
    assert found["n"].tolist() == [1, 1]
    assert found["n_found"].tolist() == table(2)["unit"].tolist()


def test_a_run_that_left_no_row_is_not_said_to_have_left_any(few, main, monkeypatch):
    monkeypatch.setattr(settings, "RESULTS", few.folder / "results")
    for n, rows in ((1, table(2)), (2, table(2)[:0])):
        pretend(few.store, point(few, n=n), scores=rows)
    assert main(few, "collect", few.sweep, "--partial")[0] == 0
    assert main(few, "collect", few.sweep, "--partial", "--add")[0] == 0
    (path,) = (few.folder / "results").glob("*.json")
    assert [run["parameters"]["n"] for run in json.loads(path.read_text())["runs"]] == [1]


def test_a_run_that_is_listed_twice_is_collected_once(few):
    pretend(few.store, point(few), scores=table(2))
    assert len(collecting.collect([point(few), point(few, n=2)], few.store)) == 2


@pytest.mark.parametrize(
    "path", sorted((settings.ROOT / "sweeps").glob("*.yaml")), ids=lambda p: p.stem
)
def test_a_sweep_names_its_table_if_its_notebook_keeps_several(path):
    sweep = points.read_yaml(path)
    if "notebook" not in sweep:
        return
    notebook = nbformat.read(settings.NOTEBOOKS / f"{sweep['notebook']}.ipynb", as_version=4)
    keeps = notebook.metadata["modularity"]["keeps"]
    assert sweep.get("table", keeps[0] if len(keeps) == 1 else None) in keeps


@pytest.mark.parametrize(
    ("tables", "asked", "reason"),
    [
        ({}, [], "kept are none"),
        ({"scores": table()}, ["--table", "squares"], "kept are scores"),
        ({"scores": table(), "squares": table()}, [], "kept are scores, squares"),
        ({"scores": table()}, ["--into", "scores.txt"], ".csv and .parquet"),
    ],
)
def test_what_cannot_be_collected_is_refused_with_a_reason(
    few, main, monkeypatch, tables, asked, reason
):
    monkeypatch.setattr(settings, "RESULTS", few.folder / "results")
    pretend(few.store, point(few, n=1), **tables)
    status, _, error = main(few, "collect", few.sweep, "--partial", *asked)
    assert status == 2
    assert reason in error
    assert not (few.folder / "results").exists()


def test_a_sweep_is_not_collected_before_all_is_finished_unless_asked(few, main, monkeypatch):
    monkeypatch.setattr(settings, "RESULTS", few.folder / "results")
    pretend(few.store, point(few, n=1), scores=table())
    status, _, error = main(few, "collect", few.sweep)
    assert status == 2
    assert "1 of 4 runs are finished" in error
    assert "--partial" in error
    assert not (few.folder / "results").exists()
    assert main(few, "collect", few.sweep, "--partial")[0] == 0


@pytest.fixture
def elsewhere(few, main, monkeypatch, tmp_path):
    """Two of four runs, collected from a store that is gone."""
    monkeypatch.setattr(settings, "RESULTS", few.folder / "results")
    for n in (1, 2):
        run = point(few, n=n)
        pretend(few.store, run, scores=table(3).assign(p=np.random.default_rng(n).random(3)))
    assert main(few, "collect", few.sweep, "--partial")[0] == 0
    shutil.move(few.store.folder, tmp_path / "gone")
    return few


def test_a_sweep_goes_on_from_a_table_that_was_collected_elsewhere(elsewhere, main):
    path = settings.RESULTS / "points.csv"
    before = path.read_text().splitlines()
    _, lines, _ = main(elsewhere, elsewhere.sweep, "--add", "--dry-run")
    assert lines[0] == f"{path}: has 2 of 4 runs"
    assert sum(line.endswith(": to do") for line in lines) == 2
    pretend(elsewhere.store, point(elsewhere, n=1, keeps=True), scores=table(3))
    status, _, error = main(elsewhere, "collect", elsewhere.sweep, "--add")
    assert (status, "3 of 4 runs are finished" in error) == (2, True)
    assert main(elsewhere, "collect", elsewhere.sweep, "--add", "--partial")[0] == 0
    after = path.read_text().splitlines()
    assert [line for line in after if line in before] == before
    assert sum("True" in line for line in after) == 3
    assert len(provenance.read_json(path.with_suffix(".json"))["runs"]) == 3
    assert len(results.collected("points")) == 9


def test_what_a_collected_table_has_of_other_measures_is_made_again(elsewhere, main, monkeypatch):
    monkeypatch.setitem(provenance.VERSIONS, "importance", 99)
    _, lines, _ = main(elsewhere, elsewhere.sweep, "--add", "--dry-run")
    assert "has 0 of 4 runs" in lines[0]
    _, lines, _ = main(elsewhere, elsewhere.sweep, "--add", "--dry-run", "--keep-stale")
    assert "has 2 of 4 runs" in lines[0]
    status, _, error = main(elsewhere, "collect", elsewhere.sweep, "--add", "--partial")
    assert (status, "version of importance changed" in error) == (2, True)


def test_rows_are_known_by_parameters_and_not_by_code_and_new_ones_were_at_their_default(elsewhere):
    more = PARAMETERS + '\nside: str = ""'
    source = write_notebook(
        elsewhere.tiny, more, KEEPS, keeps=["scores"], uses=["importance", "lesions"]
    )
    forget()
    before = collecting.Collected(settings.RESULTS / "points.csv")
    with_default, other = (points.point(source, given) for given in ({"n": 1}, {"n": 7}))
    assert before.stale(with_default) == []
    collected = collecting.collect([with_default], elsewhere.store, before=before)
    assert (collected["n"].tolist(), collected["side"].tolist()) == ([1] * 3, [""] * 3)
    assert before.record(other) is None
    assert before.record(points.point(source, {"n": 1, "side": "left"})) is None

    target = settings.RESULTS / "again.csv"
    collecting.write(collected, target, [with_default], elsewhere.store, before)
    again = collecting.Collected(target)
    assert again.record(with_default)["parameters"] == with_default.parameters
    pd.testing.assert_frame_equal(
        collecting.collect([with_default], elsewhere.store, before=again), collected
    )


def test_it_is_said_how_many_collected_runs_are_by_earlier_code_of_the_notebook(elsewhere, main):
    _, lines, _ = main(elsewhere, "collect", elsewhere.sweep, "--add", "--partial")
    assert lines[-1].endswith("2 of 4 runs, 0 of them stale, 0 by earlier code of the notebook")
    uses = ["importance", "lesions"]
    write_notebook(elsewhere.tiny, PARAMETERS, KEEPS, "pass", keeps=["scores"], uses=uses)
    forget()
    pretend(elsewhere.store, point(elsewhere, n=1, keeps=True), scores=table(3))
    _, lines, _ = main(elsewhere, "collect", elsewhere.sweep, "--add", "--partial")
    assert lines[-1].endswith("3 of 4 runs, 0 of them stale, 2 by earlier code of the notebook")


def test_a_column_is_not_taken_for_a_parameter_that_came_later(few, main, monkeypatch):
    monkeypatch.setattr(settings, "RESULTS", few.folder / "results")
    pretend(few.store, point(few, n=1), scores=table(2).assign(side=["left", "right"]))
    assert main(few, "collect", few.sweep, "--partial")[0] == 0
    shutil.move(few.store.folder, few.folder / "gone")
    source = write_notebook(
        few.tiny, PARAMETERS + '\nside: str = "8"', KEEPS, keeps=["scores"], uses=["lesions"]
    )
    forget()
    run, path = points.point(source, {"n": 1}), settings.RESULTS / "points.csv"
    collected = collecting.collect([run], few.store, before=collecting.Collected(path))
    assert collected["side"].tolist() == ["8", "8"]
    assert collected["side_found"].tolist() == ["left", "right"]

    # As it is read again "8" is still no number, and what is in the table known.
    collecting.write(collected, path, [run], few.store, collecting.Collected(path))
    again = collecting.collect([run], few.store, before=collecting.Collected(path))
    pd.testing.assert_frame_equal(again, collected)


@pytest.mark.parametrize(("damage", "reason"), [("cut", "is damaged"), ("json", "no points.json")])
def test_a_table_that_says_not_where_it_comes_from_is_not_added_to(elsewhere, main, damage, reason):
    path = settings.RESULTS / "points.csv"
    if damage == "cut":
        path.write_text(path.read_text()[:-9])
    else:
        path.with_suffix(".json").unlink()
    status, _, error = main(elsewhere, "collect", elsewhere.sweep, "--add", "--partial")
    assert (status, reason in error) == (2, True)


@pytest.mark.parametrize("option", ["--workers", "--cores"])
@pytest.mark.parametrize("given", ["-1", "0", "two"])
def test_numbers_of_workers_and_cores_are_checked(few, main, option, given):
    status, _, error = main(few, few.sweep, option, given)
    assert status == 2
    assert f"Invalid value for '{option}'" in error


def test_workers_of_a_scheduler_are_not_ours_to_number(few, main):
    status, _, error = main(few, few.sweep, "--dask", "tcp://127.0.0.1:1", "--workers", "2")
    assert status == 2
    assert "the scheduler has its workers" in error


def test_one_of_several_tables_can_be_chosen(few):
    run = point(few, n=1)
    pretend(few.store, run, scores=table(), squares=table(5))
    assert len(collecting.collect([run], few.store, "squares")) == 5


def test_a_sweep_can_say_which_of_several_tables_it_is_about(few, main, monkeypatch):
    monkeypatch.setattr(settings, "RESULTS", few.folder / "results")
    write_sweep(few.folder, "tiny", table="squares", rows=[{"n": 1}])
    pretend(few.store, point(few, n=1), scores=table(2), squares=table(5))
    assert points.table_of(few.sweep) == "squares"
    main(few, "collect", few.sweep)
    assert len(results.collected("points")) == 5
    main(few, "collect", few.sweep, "--table", "scores")
    assert len(results.collected("points")) == 2


@pytest.mark.parametrize("network", ["digits-mlp", "one, two"])
def test_csv_and_parquet_hold_the_same(tmp_path, main, network):
    those = write_sweep(tmp_path / "pair", "nets", grid={"network": [network], "rate": [0.1, 1e-7]})
    source = write_notebook(
        those.notebooks / "nets.ipynb",
        'network: str = "x"\nrate: float = 0.5\ntrained: bool = True',
    )
    scores = pd.DataFrame(
        {
            "layer": ["first", 'a "quoted", one'],
            "p": np.random.default_rng(0).uniform(size=2),
            "n": [3, 2**53 + 1],
            "gap": [np.nan, 1e-300],
            "is_right": [True, False],
        }
    )
    for rate in (0.1, 1e-7):
        run = points.point(source, {"network": network, "rate": rate})
        pretend(those.store, run, scores=scores)
    for suffix in (".csv", ".parquet"):
        status, *_ = main(
            those, "collect", those.sweep, "--partial", "--into", tmp_path / f"all{suffix}"
        )
        assert status == 0
    csv, parquet = pd.read_csv(tmp_path / "all.csv"), pd.read_parquet(tmp_path / "all.parquet")
    pd.testing.assert_frame_equal(csv, parquet, check_exact=True)
    assert csv["p"].tolist() == scores["p"].tolist() * 2
    assert csv["network"].tolist() == [network] * 4


# Pages.


def page_of(those, run):
    """What a page shows of a run, after the prose and the captions have been mended."""
    source = nbformat.read(those.tiny, as_version=4)
    source.cells[0].source = "Better text."
    source.cells[2].metadata["mystnb"] = {"figure": {"caption": "A better caption."}}
    nbformat.write(source, those.tiny)
    forget()
    return pages._page(those.tiny, those.store.finished(run) / "notebook.ipynb")


def test_a_page_shows_present_prose_and_captions_with_the_outputs_of_the_run(again):
    run = point(again, n=3, keeps=True)
    page, executed_notebook = page_of(again, run), notebook_of(again.store.finished(run))
    assert page.cells[0].source == "Better text."
    assert page.cells[3].metadata.mystnb.figure.caption == "A better caption."
    assert [cell.get("outputs") for cell in page.cells] == [
        cell.get("outputs") for cell in executed_notebook.cells
    ]
    counts = [cell.execution_count for cell in page.cells if cell.cell_type == "code"]
    assert counts == [1, 2, 3, 4, 5]
    assert page.metadata.papermill.parameters == {"n": 3, "keeps": True}
    nbformat.validate(page)


def test_a_page_shows_what_was_injected_and_folds_the_defaults(again):
    page = page_of(again, point(again, n=3, keeps=True))
    assert page.cells[1].metadata.tags == ["parameters", "hide-cell"]
    assert page.cells[2].metadata.tags == ["injected-parameters"]
    assert "n = 3" in page.cells[2].source
    plain = page_of(again, point(again))
    assert plain.cells[1].metadata.tags == ["parameters"]
    assert len(plain.cells) == 5


@pytest.mark.parametrize("n_new", [-1, 0, 1, 2])
def test_injected_parameters_follow_the_defaults_wherever_prose_has_been_added(again, n_new):
    run = point(again, n=3, keeps=True)
    source = nbformat.read(again.tiny, as_version=4)
    added = [new_markdown_cell("New.") for _ in range(n_new)]
    source.cells = added + source.cells[max(0, -n_new) :]
    nbformat.write(source, again.tiny)
    page = pages._page(again.tiny, again.store.finished(run) / "notebook.ipynb")
    tags = [cell.metadata.get("tags") for cell in page.cells]
    defaults = tags.index(["parameters", "hide-cell"])
    assert defaults == 1 + n_new
    assert tags[defaults + 1] == ["injected-parameters"]


def test_a_page_has_the_present_tags_of_its_cells(again):
    run = point(again, n=3, keeps=True)
    path = again.store.finished(run) / "notebook.ipynb"
    before = nbformat.read(path, as_version=4)
    before.cells[-1].metadata["tags"] = ["hide-cell"]
    nbformat.write(before, path)
    assert pages._page(again.tiny, path).cells[-1].metadata.get("tags", []) == []


def test_sections_whose_prose_alone_has_changed_are_not_executed_again(again, monkeypatch, capsys):
    monkeypatch.setattr(settings, "NOTEBOOKS", again.notebooks)
    monkeypatch.setattr(settings, "BUILD", again.folder / "build")
    monkeypatch.setenv("MODULARITY_RUNS", str(again.store.folder))
    source = nbformat.read(again.tiny, as_version=4)
    source.cells[0].source = "Better text."
    nbformat.write(source, again.tiny)
    page = nbformat.read(pages.execute("digits") / "tiny.ipynb", as_version=4)
    assert "1 runs: 0 executed, 1 already done, 0 failed" in capsys.readouterr().out
    assert page.cells[0].source == "Better text."
    assert "5" in page.cells[2].outputs[0].text


def test_the_sweeps_of_the_book_are_collected_as_tables(again, monkeypatch):
    monkeypatch.setattr(settings, "NOTEBOOKS", again.notebooks)
    monkeypatch.setattr(settings, "SWEEPS", again.folder)
    monkeypatch.setattr(settings, "RESULTS", again.folder / "results")
    (again.folder / "book.yaml").write_text("tiny: {n: 3}\n")
    write_sweep(again.folder, "tiny", rows=[{"n": 3, "keeps": True}])
    pages._make_results(again.store)
    assert len(results.collected("points")) == 3
    assert [path.name for path in settings.RESULTS.iterdir()] == ["points.csv", "points.json"]


@pytest.fixture
def made(tmp_path, monkeypatch):
    """A book of two pages, one of which reads what is collected of runs of the other."""
    for name in ("NOTEBOOKS", "SWEEPS", "RESULTS", "BOOK"):
        monkeypatch.setattr(settings, name, tmp_path / name.lower())
    monkeypatch.setenv("MODULARITY_RUNS", str(tmp_path / "runs"))
    monkeypatch.setattr(pages, "save_figure", lambda *_: None)
    monkeypatch.setattr("helpers.book.found.found", dict)
    monkeypatch.setattr(scorecard, "write", lambda *_: None)
    write_notebook(settings.NOTEBOOKS / "01-makes.ipynb", "n: int = 1", "n", uses=["lesions"])
    code, declared = 'results.collected("made")', ["results/made.csv"]
    reads = write_notebook(
        settings.NOTEBOOKS / "02-reads.ipynb", "n: int = 1", code, reads=declared
    )
    settings.SWEEPS.mkdir()
    (settings.SWEEPS / "book.yaml").write_text("{}")
    (settings.SWEEPS / "made.yaml").write_text("notebook: 01-makes\nrows: [{n: 1}, {n: 2}]")
    seen = []

    def execute(chosen, store, keep_stale=False, **_):
        for run in chosen:
            if run.notebook == reads:
                seen.append(results.collected("made")["version"].tolist())
            if store.finished(run) and (keep_stale or not store.stale(run)):
                continue
            shutil.rmtree(store.folder / run.key, ignore_errors=True)
            version = pd.DataFrame({"version": [provenance.VERSIONS["lesions"]]})
            pretend(store, run, versions=version)
            notebook = nbformat.read(run.notebook, as_version=4)
            notebook.metadata["papermill"] = {}
            nbformat.write(notebook, store.folder / run.key / "notebook.ipynb")
        return Report()

    monkeypatch.setattr(sweeps, "sweep_here", execute)
    return seen


def test_what_is_stale_is_made_again_and_collected_before_pages_read_it(made, monkeypatch):
    pages.execute("paper")
    raise_version(monkeypatch, "lesions")
    pages.execute("paper")
    assert made == [[1, 1], [2, 2]]


def test_pages_keep_what_is_stale_only_if_told_to_and_say_so(made, monkeypatch, capsys):
    pages.execute("paper")
    raise_version(monkeypatch, "lesions")
    pages.execute("paper", keep_stale=True)
    assert made == [[1, 1], [1, 1]]
    said = capsys.readouterr().out
    assert "STALE, KEPT: 01-makes n=2 (version of lesions changed)" in said


@pytest.mark.parametrize("scale", ["digits", "paper"])
def test_no_book_is_made_of_what_is_stale_in_the_end(made, monkeypatch, scale):
    pages.execute("paper")
    raise_version(monkeypatch, "lesions")
    monkeypatch.setattr(sweeps, "sweep_here", lambda *_, **__: Report())
    with pytest.raises(RuntimeError, match=r"stale: 01-makes.* \(version of lesions changed\)"):
        pages.execute(scale)
