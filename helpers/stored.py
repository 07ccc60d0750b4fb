"""Where trained networks lie, and what their manifests say. Loads neither Keras nor TensorFlow."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from helpers import settings


def stem(name: str, replicate: int, epoch: int | None = None) -> str:
    """Return the file name, without suffix, of a network, or of one after an earlier epoch."""
    return f"{name}-{replicate}" if epoch is None else f"{name}-{replicate}-epoch-{epoch}"


def folders() -> tuple[Path, Path]:
    """Return the folders where networks may lie, the one in git first."""
    return settings.ZOO, settings.cache_folder() / "zoo"


def find(stem: str, among: Iterable[Path] | None = None) -> Path | None:
    """Return the stored weights of a network, None if it is nowhere.

    Parameters
    ----------
    stem : str
        Of `stem`.
    among : iterable of Path, optional
        Folders to look in; by default those of `folders`.

    Notes
    -----
    The manifest is written last, so it says that the weights are whole.
    """
    for folder in folders() if among is None else among:
        path = folder / f"{stem}.npz"
        if path.with_suffix(".json").exists():
            return path
    return None


def manifest(path: Path) -> dict[str, Any] | None:
    """Return the manifest of stored weights, None if it is not whole."""
    try:
        found = json.loads(path.with_suffix(".json").read_text())
    except (ValueError, OSError):
        return None
    needed = {"recipe", "replicate", "epochs", "accuracy", "data", "sha256"}
    is_whole = isinstance(found, dict) and needed <= set(found)
    is_whole = is_whole and isinstance(found["accuracy"], dict)
    return found if is_whole and _is_share(found["accuracy"].get("test")) else None


def _is_share(given: Any) -> bool:
    return isinstance(given, float | int) and 0 <= given <= 1
