"""The book: which notebook makes which page, and how pages become HTML.

``python -m helpers.pages execute digits`` executes the sections with their defaults into
``_build/digits``; ``... execute paper`` runs all sweeps, collects their tables, and executes the
sections with the networks that ``sweeps/book.yaml`` names into ``book/``; ``... render digits``
and ``... render paper`` render these pages. Papermill executes, Jupyter Book only renders: its own
cache would not notice that a helper has changed.
"""

import argparse
import base64
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import yaml

from helpers import files, runs, settings

SCALES = ("digits", "paper")

PROSE = ("*.md", "*.bib", "figures/*", "_static/*")
"""What a page needs from ``book/`` besides executed notebooks."""

_BOOK = "book.yaml"
"""Which of the files in sweeps/ says what each page shows; the others are sweeps."""


def execute(scale: str) -> Path:
    """Execute every section at a scale.

    Parameters
    ----------
    scale : {"digits", "paper"}
        ``digits`` uses the notebooks' defaults, and embedded data.

    Returns
    -------
    Path
        The folder of the pages.
    """
    folder = _folder(scale)
    parameters = _paper_parameters() if scale == "paper" else {}
    notebooks = sorted(settings.NOTEBOOKS.glob("*.ipynb"))
    chosen = [runs.point(each, parameters.get(each.stem, {})) for each in notebooks]
    store = runs.Store(settings.runs_folder())
    readers = [run for run in chosen if runs.collected_by(run.notebook)]
    # Pages are refreshed first: some are runs of sweeps, too, and what is collected must be what
    # they show.
    _run([run for run in chosen if run not in readers], store, refresh=True)
    if scale == "paper":
        _make_results(store)
    _run(readers, store, refresh=True)
    for run in chosen:
        with files.written_whole(folder / run.notebook.name) as temporary:
            nbformat.write(_page(run.notebook, store.folder / run.key / runs.NOTEBOOK), temporary)
    if scale == "paper":
        save_figure(folder / "05-lesion-tests.ipynb", "fig-profiles", folder / "figures")
    return folder


def render(pages: Path, source: Path) -> Path:
    """Render pages as HTML, without executing anything.

    Parameters
    ----------
    pages : Path
        Folder of executed notebooks.
    source : Path
        Folder to assemble the book in: configuration, prose, and pages. Made anew, except for
        `pages` if it lies there.

    Returns
    -------
    Path
        The book's first page.

    Raises
    ------
    RuntimeError
        If Jupyter Book fails or warns, or if there is no HTML afterwards.
    """
    target = source / "book"
    target.mkdir(parents=True, exist_ok=True)
    for name in ("_config.yml", "_toc.yml"):
        shutil.copy(settings.ROOT / name, source / name)
    for pattern in PROSE:
        for path in settings.BOOK.glob(pattern):
            (target / path.relative_to(settings.BOOK)).parent.mkdir(exist_ok=True)
            shutil.copy(path, target / path.relative_to(settings.BOOK))
    if pages != target:
        for path in pages.glob("*.ipynb"):
            shutil.copy(path, target / path.name)
    shutil.rmtree(source / "_build", ignore_errors=True)
    jupyter_book = Path(sys.executable).with_name("jupyter-book")
    built = subprocess.run([jupyter_book, "build", source, "-W", "--keep-going", "-n"], check=False)
    page = source / "_build" / "html" / "book" / "introduction.html"
    if built.returncode or not page.exists():
        raise RuntimeError(f"jupyter-book failed on {source}; its messages are above")
    return page


def save_figure(notebook: Path, name: str, folder: Path) -> Path:
    """Save the picture of a named figure of an executed notebook as ``NAME.png``."""
    for cell in nbformat.read(notebook, as_version=4).cells:
        if cell.metadata.get("mystnb", {}).get("figure", {}).get("name") == name:
            picture = base64.b64decode(cell.outputs[0]["data"]["image/png"])
            path = folder / f"{name.removeprefix('fig-')}.png"
            with files.written_whole(path) as temporary:
                temporary.write_bytes(picture)
            return path
    raise ValueError(f"name: {notebook.name} has no figure {name!r}")


def _make_results(store: runs.Store) -> None:
    """Run all sweeps, as far as they are not done, and collect their tables."""
    for path in sorted(settings.SWEEPS.glob("*.yaml")):
        if path.name != _BOOK:
            chosen = runs.read(path)
            _run(chosen, store, refresh=False)
            table = runs.collect(chosen, store, runs.table_of(path))
            runs.write(table, settings.RESULTS / f"{path.stem}.csv")


def _run(chosen: list[runs.Run], store: runs.Store, refresh: bool) -> None:
    for run in chosen:
        if not refresh and (stale := store.stale(run)):
            print(f"stale ({', '.join(stale)} changed), kept: {run}", flush=True)
    report = runs.sweep_here(chosen, store, refresh=refresh, retry_failed=True)
    print(report, flush=True)
    if report.errors:
        raise RuntimeError("; ".join(f"{run}: {error}" for run, error in report.errors.items()))


def _page(source: Path, executed: Path) -> Any:
    """Return a notebook as its source has it now, with what its code printed when it was run.

    A run is not repeated because somebody has mended its prose.
    """
    page, run = nbformat.read(source, as_version=4), nbformat.read(executed, as_version=4)
    injected = [
        cell for cell in run.cells if "injected-parameters" in cell.metadata.get("tags", [])
    ]
    ran = iter(cell for cell in run.cells if cell.cell_type == "code" and cell not in injected)
    for cell in page.cells:
        if cell.cell_type == "code":
            before = next(ran)
            cell.outputs, cell.execution_count = before.outputs, before.execution_count
    for index in [i for i, cell in enumerate(page.cells) if _is_tagged(cell, "parameters")]:
        if injected:
            page.cells[index].metadata["tags"] = ["parameters", "hide-cell"]
            page.cells[index + 1 : index + 1] = injected
    page.metadata["papermill"] = run.metadata["papermill"]
    return page


def _is_tagged(cell: Any, tag: str) -> bool:
    return tag in cell.metadata.get("tags", [])


def _folder(scale: str) -> Path:
    """Return where the executed notebooks of a scale lie."""
    return settings.BOOK if scale == "paper" else settings.BUILD / scale / "book"


def _paper_parameters() -> dict[str, dict[str, Any]]:
    text = (settings.SWEEPS / _BOOK).read_text()
    return dict(yaml.safe_load(text))


def main() -> None:
    """Execute or render the book's pages."""
    parser = argparse.ArgumentParser(prog="python -m helpers.pages", description=main.__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("execute").add_argument("scale", choices=SCALES)
    verbs.add_parser("render").add_argument("scale", choices=SCALES)
    arguments = parser.parse_args()
    if arguments.verb == "execute":
        print(execute(arguments.scale))
    else:
        print(render(_folder(arguments.scale), settings.BUILD / arguments.scale))


if __name__ == "__main__":
    main()
