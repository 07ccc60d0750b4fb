"""One notebook executed by papermill, in this process.

``python -m helpers.book.execution`` reads what to execute from its standard input, as JSON, and
lives no longer than that stays open: `helpers.book.sweeps` asks it so.
"""

import contextlib
import json
import os
import sys
import tempfile
import threading
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from helpers import files, settings
from helpers.book import sources
from helpers.book.store import ERROR, NOTEBOOK, TABLES

# What checks addresses would compile a grammar for seconds; Hadoop's files are for nobody here.
with settings.without("rfc3987_syntax", "pyarrow"):
    import nbformat
    import papermill
    from jupyter_client.manager import AsyncKernelManager


def execute(notebook: Path, parameters: Mapping[str, Any], output: Path) -> None:
    """Execute a notebook.

    Parameters
    ----------
    notebook : Path
        The notebook.
    parameters : mapping of str to value
        What to set in its parameters cell; all else keeps its default. Not checked, see
        `points.point`.
    output : Path
        Where the executed notebook goes, outputs included. If a cell fails it is kept up to
        there, with the error.

    Raises
    ------
    papermill.PapermillExecutionError
        If a cell raises.
    RuntimeError
        If the notebook ends itself before its last cell.
    """
    # A kernel of this very environment, whatever kernels the user has installed besides.
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
    try:
        papermill.execute_notebook(
            notebook,
            output,
            parameters=dict(parameters),
            kernel_name="python3",
            cwd=notebook.parent,
            kernel_manager_class=_IpcKernelManager,
            shutdown_kernel="immediate",  # TensorFlow takes seconds to take itself apart.
            progress_bar=False,
            stdout_file=sys.stdout,
            stderr_file=sys.stderr,
        )
    except BaseException:
        # What went wrong matters, not that the notebook may be cut off (a full disk).
        with contextlib.suppress(OSError, ValueError, nbformat.reader.NotJSONError):
            _finish(output, notebook.name)
        raise
    _finish(output, notebook.name)
    _check_that_all_ran(output)


class _IpcKernelManager(AsyncKernelManager):
    """Talks to its kernel through sockets in the file system.

    Kernels that start at the same time can pick the same TCP port (papermill#511).
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.transport = "ipc"
        # The default name is relative to the working directory, and the same for all kernels.
        self.ip = str(Path(tempfile.gettempdir()) / f"kernel-{uuid.uuid4().hex}")


def _finish(path: Path, name: str) -> None:
    """Make an executed notebook fit for a page.

    Where parameters were injected, the cell with the defaults that they override is folded; and
    no path of the machine that executed it is kept.
    """
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata["papermill"] |= {"input_path": name, "output_path": name}
    tags = [cell.metadata.get("tags", []) for cell in notebook.cells]
    if any("injected-parameters" in each for each in tags):
        for cell, each in zip(notebook.cells, tags, strict=True):
            if "parameters" in each:
                cell.metadata["tags"] = [*each, "hide-cell"]
    nbformat.write(notebook, path)


def _check_that_all_ran(path: Path) -> None:
    """Papermill takes a notebook that exits by itself for one that has succeeded."""
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    exited = any(output.output_type == "error" for cell in code for output in cell.outputs)
    if (
        exited
        or notebook.metadata["papermill"]["exception"]
        or not all(cell.execution_count for cell in code)
    ):
        raise RuntimeError("the notebook ended itself before its last cell")


def _live_no_longer_than_asked() -> None:
    """End this process, and its kernel, when standard input ends: then the asker has died."""
    sys.stdin.read()
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
    os._exit(1)


def main() -> None:
    """Execute the notebook that standard input names, into a folder."""
    order = json.loads(sys.stdin.readline())
    threading.Thread(target=_live_no_longer_than_asked, daemon=True).start()
    folder = Path(order["folder"])
    os.environ[sources.FOLDER] = str(folder / TABLES)
    os.environ[sources.KEEPS] = json.dumps(order["keeps"])
    os.environ[sources.READS] = json.dumps(order["reads"])
    try:
        execute(Path(order["notebook"]), order["given"], folder / NOTEBOOK)
    except Exception as error:
        # Papermill's own exceptions have the name and the message of the cell's.
        name = getattr(error, "ename", type(error).__name__)
        # Whole or not at all: the disk may be full, and an empty file would say that all is well.
        with contextlib.suppress(OSError), files.written_whole(folder / ERROR) as temporary:
            temporary.write_text(f"{name}: {getattr(error, 'evalue', error)}")
        raise


if __name__ == "__main__":
    main()
