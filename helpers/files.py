"""Files are written whole: what a run that died leaves behind never looks finished."""

import contextlib
import hashlib
import lzma
import os
import threading
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

UNREADABLE = (
    AttributeError,
    EOFError,
    KeyError,
    MemoryError,
    NotImplementedError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    lzma.LZMAError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What NumPy raises at archives that are damaged, or are none."""


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Give a temporary name to write to, and rename it to `path` if nothing went wrong.

    Parameters
    ----------
    path : Path
        The file to make or to replace; its folder is made if needed.

    Yields
    ------
    Path
        A name beside `path`, with the same suffix.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = f"{os.getpid()}-{threading.get_ident()}"
    temporary = path.with_name(f".{path.stem}-{writer}{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def sha256_of(path: Path) -> str:
    """Return the checksum of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
