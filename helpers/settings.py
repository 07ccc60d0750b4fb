"""Where things lie, and how a process is set up: the one place that reads the environment."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import platformdirs

HELPERS = Path(__file__).resolve().parent
ROOT = HELPERS.parent
IS_CHECKOUT = (ROOT / "pyproject.toml").exists()
"""Whether the book's repository lies around the package, or only the package is installed."""

HOME = ROOT if IS_CHECKOUT else Path.cwd()
"""Where notebooks, sweeps and what they make lie: never beside an installed package."""

NOTEBOOKS = HOME / "notebooks"
BOOK = HOME / "book"
SWEEPS = HOME / "sweeps"
RESULTS = HOME / "results"
BUILD = HOME / "_build"

_WITH_US = ROOT if IS_CHECKOUT else HELPERS / "data"  # See pyproject.toml.
ZOO = _WITH_US / "zoo"
PUBLISHED = _WITH_US / "results"


def cache_folder() -> Path:
    """Return the folder for what can be made again: ``$MODULARITY_CACHE``, or the user's cache.

    Who writes there makes it: reading networks that are in git needs no cache.
    """
    chosen = os.environ.get("MODULARITY_CACHE")
    return Path(chosen) if chosen else platformdirs.user_cache_path("modularity")


def imagenet_folder() -> Path | None:
    """Return the folder of ImageNet's validation images that ``$IMAGENET_DIR`` names, if any."""
    chosen = os.environ.get("IMAGENET_DIR")
    return Path(chosen).expanduser() if chosen else None


def data_folder() -> Path | None:
    """Return the folder of local data sets that ``$MODULARITY_DATA`` names, or None."""
    chosen = os.environ.get("MODULARITY_DATA")
    return Path(chosen) if chosen else None


def runs_folder() -> Path:
    """Return the store of executed notebooks: ``$MODULARITY_RUNS``, or ``_build/runs``."""
    chosen = os.environ.get("MODULARITY_RUNS")
    return Path(chosen) if chosen else BUILD / "runs"


def n_cores() -> int:
    """Return how many cores this process may use: ``$MODULARITY_CORES``, or all that it has.

    Raises
    ------
    ValueError
        If the variable is set to anything but an integer from 1.
    """
    chosen = os.environ.get("MODULARITY_CORES")
    if chosen:
        if not chosen.isdecimal() or int(chosen) < 1:
            raise ValueError(
                f"MODULARITY_CORES: {chosen!r} was given; accepted are integers from 1"
            )
        return int(chosen)
    has_affinity = hasattr(os, "sched_getaffinity")
    return len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1


def n_workers() -> int:
    """Return how many notebooks to execute at a time: one per core, but memory is limited."""
    return min(4, n_cores())


@contextlib.contextmanager
def without(*modules: str) -> Iterator[None]:
    """Import something as if modules were not installed that it does without, and that take time.

    Parameters
    ----------
    *modules : str
        Those that are loaded already stay.
    """
    absent = [each for each in modules if each not in sys.modules]
    sys.modules |= dict.fromkeys(absent)  # type: ignore[arg-type]
    try:
        yield
    finally:
        for each in absent:
            del sys.modules[each]


def limits(cores: int) -> dict[str, str]:
    """Return environment variables that keep a process and its libraries to some cores."""
    ours = ("MODULARITY_CORES", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    tensorflow = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
    return dict.fromkeys((*ours, *tensorflow), str(cores))
