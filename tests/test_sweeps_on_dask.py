"""Sweeps on a Dask cluster of two workers on this machine, one of which dies."""

import json
import os
import subprocess
import sys
from collections import Counter

import pytest
from distributed import Client
from test_runs import (
    WAITS,
    executed,
    finish,
    finished,
    has_ended,
    start,
    wait_until,
    write_notebook,
    write_sweep,
)

pytestmark = pytest.mark.process


def end(process):
    process.kill()
    process.wait(60)


@pytest.fixture
def dask(tmp_path):
    """Start a scheduler or a worker, as others do from a shell."""
    started = []

    def call(kind, *options, **environment):
        with (tmp_path / f"{kind}-{len(started)}.txt").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "dask", kind, "--no-dashboard", *map(str, options)],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | environment,
            )
        started.append(process)
        return process

    yield call
    for each in reversed(started):
        end(each)


@pytest.fixture
def cluster(tmp_path, dask):
    """The scheduler's address, and its workers by name."""
    place, loopback = tmp_path / "scheduler.json", ["--host", "127.0.0.1"]
    dask("scheduler", *loopback, "--port", 0, "--scheduler-file", place)
    joining = ["--scheduler-file", place, "--nthreads", 1, "--no-nanny", *loopback]
    workers = {
        name: dask("worker", *joining, "--local-directory", tmp_path / name, WORKER=name)
        for name in ("first", "second")
    }
    wait_until(place.exists)
    address = json.loads(place.read_text())["address"]
    with Client(address) as client:
        client.wait_for_workers(len(workers), timeout=240)
    return address, workers


def notes(those):
    """Point, kernel, the process that holds it, and worker, of each execution."""
    return [line.split() for line in executed(those)]


def test_a_sweep_is_complete_although_a_worker_is_killed_in_mid_sweep(tmp_path, cluster):
    address, workers = cluster
    those = write_sweep(tmp_path / "sweep", "waits", grid={"n": [2, 3]})
    write_notebook(those.notebooks / "waits.ipynb", "n: int = 1", WAITS)
    driver = start(those, "--dask", address, "--cores", "1")
    wait_until(lambda: len(executed(those)) == 2)
    assert {worker for *_, worker in notes(those)} == {"first", "second"}
    (lost,) = [note for note in notes(those) if note[-1] == "first"]
    workers["first"].kill()
    wait_until(lambda: all(has_ended(int(pid)) for pid in lost[1:3]))
    assert finished(those) == []

    (those.notebooks / "go.txt").touch()
    assert finish(driver)[-1] == "2 runs: 2 executed, 0 already done, 0 failed"
    assert driver.returncode == 0
    assert len(finished(those)) == 2
    assert Counter(n for n, *_ in notes(those))[lost[0]] == 2
    assert Counter(worker for *_, worker in notes(those)) == {"first": 1, "second": 2}


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "localhost:port"])
def test_an_address_without_a_scheduler_is_an_error_that_names_it(tmp_path, address):
    those = write_sweep(tmp_path / "sweep", "waits", grid={"n": [2]})
    write_notebook(those.notebooks / "waits.ipynb", "n: int = 1", WAITS)
    driver = start(those, "--dask", address, DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT="1s")
    said = finish(driver)
    assert driver.returncode == 2
    assert f"--dask: no scheduler answers at {address}" in said[-1]
    assert finished(those) == []
