"""Notebooks executed by papermill: written whole, refused early, in processes of their own."""

import os
import tempfile
import uuid
from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import nbformat
import papermill
from jupyter_client.manager import AsyncKernelManager
from tqdm import tqdm

from helpers import files


@dataclass(frozen=True)
class Run:
    """One execution of a notebook.

    Attributes
    ----------
    notebook : Path
        The notebook to execute.
    output : Path
        Where the executed notebook goes, outputs included.
    parameters : mapping of str to value
        What to set in the notebook's parameters cell; all else keeps its default.
    """

    notebook: Path
    output: Path
    parameters: Mapping[str, Any]


def execute(run: Run) -> Path:
    """Execute a notebook with papermill.

    Returns
    -------
    Path
        The executed notebook. It appears only if every cell ran.

    Raises
    ------
    ValueError
        If a parameter is unknown to the notebook or of another type than there; before anything
        is run.
    papermill.PapermillExecutionError
        If a cell raises.
    """
    check_parameters(run)
    # A kernel of this very environment, whatever kernels the user has installed besides.
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
    with files.written_whole(run.output) as temporary:
        papermill.execute_notebook(
            run.notebook,
            temporary,
            parameters=dict(run.parameters),
            kernel_name="python3",
            cwd=run.notebook.parent,
            kernel_manager_class=_IpcKernelManager,
            progress_bar=False,
        )
        _finish(temporary, run)
    return run.output


def execute_all(runs: Iterable[Run], n_workers: int = 2) -> list[Path]:
    """Execute notebooks side by side, in processes: papermill changes the working directory.

    Parameters
    ----------
    runs : iterable of Run
        What to execute. All parameters are checked before anything is run.
    n_workers : int
        Notebooks at a time; the cores are shared out among them.

    Returns
    -------
    list of Path
        The executed notebooks, in the order of `runs`.
    """
    chosen = list(runs)
    for run in chosen:
        check_parameters(run)
    with ProcessPoolExecutor(n_workers, get_context("spawn")) as executor:
        done = executor.map(execute, chosen)
        return list(tqdm(done, "notebooks", len(chosen), unit="notebook", disable=None))


def check_parameters(run: Run) -> None:
    """Refuse parameters that the notebook does not have, or that it has with another type.

    Papermill only warns of the former and does not look at the latter.

    Raises
    ------
    ValueError
        Lists the parameters that the notebook accepts.
    """
    accepted = papermill.inspect_notebook(run.notebook)
    listing = ", ".join(f"{name}: {each['inferred_type_name']}" for name, each in accepted.items())
    for name, value in run.parameters.items():
        expected = accepted[name]["inferred_type_name"] if name in accepted else None
        if expected != type(value).__name__:
            raise ValueError(
                f"{run.notebook.name}: parameter {name}={value!r} was given; accepted are {listing}"
            )


class _IpcKernelManager(AsyncKernelManager):
    """Talks to its kernel through sockets in the file system.

    Kernels that start at the same time can pick the same TCP port (papermill#511).
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.transport = "ipc"
        # The default name is relative to the working directory, and the same for all kernels.
        self.ip = str(Path(tempfile.gettempdir()) / f"kernel-{uuid.uuid4().hex}")


def _finish(path: Path, run: Run) -> None:
    """Make an executed notebook fit for a page.

    Where parameters were injected, the cell with the defaults that they override is folded; and
    no path of the machine that executed it is kept.
    """
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata["papermill"] |= {
        "input_path": run.notebook.name,
        "output_path": run.output.name,
    }
    tags = [cell.metadata.get("tags", []) for cell in notebook.cells]
    if any("injected-parameters" in each for each in tags):
        for cell, each in zip(notebook.cells, tags, strict=True):
            if "parameters" in each:
                cell.metadata["tags"] = [*each, "hide-cell"]
    nbformat.write(notebook, path)
