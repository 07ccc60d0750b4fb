"""Where a result comes from: checksums of data and tables, versions of measures, and the commit.

All but the commit are compared: a result whose origins have changed is stale.
"""

import hashlib
import json
import subprocess
import zipfile
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from helpers import settings

VERSIONS = {
    "clustering": 1,
    "lesions": 1,
    "correlations": 1,
    "construction": 1,
    "importance": 1,
    "class range": 1,
    "taxonomy": 1,
    "dependencies": 1,
    "interactions": 1,
    "pictures": 1,
    "constructed inputs": 1,
    "combination": 1,
    "multiple tests": 1,
    "tables and claims": 1,
}
"""Version of what each part computes. Raise one by hand when the part computes something else than
before, a defect that is mended included: what rests on it is then stale. Moving code about, or
making it faster, changes no version."""

_ARCHIVES = {"mnist": "mnist", "fashion": "fashion_mnist", "cifar10": "cifar10"}

AS_PUBLISHED = {
    "mnist": "2add988e5c49718f",
    "fashion_mnist": "640a536882bb0dea",
    "cifar10": "8b6c1a0bab77a9d6",
}
"""Checksums of the data sets as Keras downloads them, where there is no archive to look into."""


def of(uses: Iterable[str], reads: Iterable[str], names: Iterable[str]) -> dict[str, str]:
    """Return the origins of a result, as they are now.

    Parameters
    ----------
    uses : iterable of str
        Parts of `VERSIONS`.
    reads : iterable of str
        Patterns of files in the repository.
    names : iterable of str
        Names of networks and data sets.

    Returns
    -------
    dict of str to str
        For each origin, its version or checksum.
    """
    origins = {f"version of {part}": str(VERSIONS[part]) for part in uses}
    origins |= {pattern: files_matching(pattern) for pattern in reads}
    archives = {_ARCHIVES[base] for base in _ARCHIVES for name in names if base in name}
    return origins | {f"data of {archive}": archive_checksum(archive) for archive in archives}


def changed(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Name the origins that have changed, are new, or are gone."""
    return sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))


@cache
def commit() -> str:
    """Return the commit of the code, "" where there is no git."""
    try:
        done = subprocess.run(
            ["git", "-C", settings.ROOT, "rev-parse", "HEAD"], capture_output=True, text=True
        )
    except OSError:
        return ""
    return done.stdout.strip()


@cache
def files_matching(pattern: str) -> str:
    """Return the checksum of all files of the repository that match a pattern, in order."""
    paths = sorted(settings.ROOT.glob(pattern))
    return sha256(b"".join(path.read_bytes() for path in paths)) if paths else "gone"


@cache
def archive_checksum(archive: str) -> str:
    """Return the checksum of a data set, without reading all of it.

    Parameters
    ----------
    archive : str
        Keras's name of the data set.

    Returns
    -------
    str
        Made of the CRC-32 of each array, which the archive in `settings.data_folder` lists, however
        it is packed. Without an archive there, Keras downloads what is `AS_PUBLISHED`.

    Raises
    ------
    ValueError
        If the archive is damaged; names it.
    """
    folder = settings.data_folder()
    path = folder / f"{archive}.npz" if folder else None
    if not path or not path.exists():
        return AS_PUBLISHED[archive]
    try:
        with zipfile.ZipFile(path) as file:
            arrays = sorted((each.filename, each.CRC) for each in file.infolist())
    except zipfile.BadZipFile as error:
        raise ValueError(f"{path} is damaged ({error})") from error
    return sha256(repr(arrays).encode())[:16]


def record_of(table: Path) -> dict[str, Any]:
    """Read the file beside a collected table that says where its rows come from.

    Raises
    ------
    ValueError
        If either is damaged; names it.
    """
    origin = table.with_suffix(".json")
    said = read_json(origin)
    if said.get("sha256") != sha256(table.read_bytes()):
        raise ValueError(f"{table} is damaged: it is not the table that {origin.name} is about")
    return said


def read_json(path: Path) -> dict[str, Any]:
    """Read a file that says where something comes from.

    Raises
    ------
    ValueError
        If it is damaged; names it.
    """
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} is damaged ({error})") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path} is damaged (it holds no mapping)")
    return found


def sha256(content: bytes) -> str:
    """Return a checksum."""
    return hashlib.sha256(content).hexdigest()


def forget() -> None:
    """Look at all files anew: a process that serves many sweeps must see what has changed."""
    for each in (commit, files_matching, archive_checksum):
        each.cache_clear()
