"""Where things lie: the one place that reads the environment."""

import os
from pathlib import Path

import platformdirs

ROOT = Path(__file__).resolve().parent.parent
ZOO = ROOT / "zoo"
HELPERS = ROOT / "helpers"
NOTEBOOKS = ROOT / "notebooks"
BOOK = ROOT / "book"
SWEEPS = ROOT / "sweeps"
RESULTS = ROOT / "results"
BUILD = ROOT / "_build"


def cache_folder() -> Path:
    """Return the folder for what can be made again: ``$MODULARITY_CACHE``, or the user's cache."""
    chosen = os.environ.get("MODULARITY_CACHE")
    folder = Path(chosen) if chosen else platformdirs.user_cache_path("modularity")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def data_folder() -> Path | None:
    """Return the folder of local data sets that ``$MODULARITY_DATA`` names, or None."""
    chosen = os.environ.get("MODULARITY_DATA")
    return Path(chosen) if chosen else None


def runs_folder() -> Path:
    """Return the store of executed notebooks: ``$MODULARITY_RUNS``, or ``_build/runs``."""
    chosen = os.environ.get("MODULARITY_RUNS")
    return Path(chosen) if chosen else BUILD / "runs"


def n_cores() -> int:
    """Return how many cores this process may use: ``$MODULARITY_CORES``, or all that it has."""
    chosen = os.environ.get("MODULARITY_CORES")
    has_affinity = hasattr(os, "sched_getaffinity")
    here = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    return int(chosen) if chosen else here


def n_workers() -> int:
    """Return how many notebooks to execute at a time: one per core, but memory is limited."""
    return min(4, n_cores())


def limits(cores: int) -> dict[str, str]:
    """Return environment variables that keep a process and its libraries to some cores."""
    ours = ("MODULARITY_CORES", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    tensorflow = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
    return dict.fromkeys((*ours, *tensorflow), str(cores))
