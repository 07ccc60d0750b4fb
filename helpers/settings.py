"""Where things lie: the one place that reads the environment."""

import os
from pathlib import Path

import platformdirs

ROOT = Path(__file__).resolve().parent.parent
ZOO = ROOT / "zoo"
NOTEBOOKS = ROOT / "notebooks"
BOOK = ROOT / "book"
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
