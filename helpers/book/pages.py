"""The book: which notebook makes which page, and how pages become HTML.

``python -m helpers.book.pages execute digits`` executes the sections with their defaults into
``_build/digits``; ``... execute paper`` runs all sweeps, collects their tables, and executes the
sections with the networks that ``sweeps/book.yaml`` names into ``book/``; ``... render digits``
and ``... render paper`` render these pages, and ``... pdf paper`` prints what has been rendered.
``... execute paper 11-calibration`` executes one page only, with the results that there are.
What is stale is made again; with ``--keep-stale`` it is shown as it is. Papermill executes, Jupyter
Book only renders: its own cache would not notice that a helper has changed.
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from helpers import files, settings

with settings.without("rfc3987_syntax"):  # A grammar of addresses takes seconds to compile.
    import nbformat

from helpers.book import collecting, finishing, points, printing, reading, sweeps
from helpers.book.points import Run
from helpers.book.store import NOTEBOOK, Store

SCALES = ("digits", "paper")

PROSE = ("*.md", "*.bib", "figures/*", "_static/*", "_templates/*")
"""What a page needs from ``book/`` besides executed notebooks."""


_JUPYTER_BOOK = """
from helpers import settings
with settings.without("rfc3987_syntax"):  # A grammar of addresses takes seconds to compile.
    from jupyter_book.cli.main import main
main()
"""


def execute(scale: str, keep_stale: bool = False, sections: Sequence[str] = ()) -> Path:
    """Execute sections at a scale.

    Parameters
    ----------
    scale : {"digits", "paper"}
        ``digits`` uses the notebooks' defaults, and embedded data.
    keep_stale : bool
        Whether to show what is stale as it is, and say so.
    sections : sequence of str, optional
        Names of notebooks. By default all, and sweeps and what is made of their tables with them.

    Returns
    -------
    Path
        The folder of the pages.

    Raises
    ------
    ValueError
        If there is no such section.
    RuntimeError
        If a run fails, or, unless `keep_stale`, if one is stale in the end.
    """
    folder = _folder(scale)
    parameters = points.of_pages() if scale == "paper" else {}
    notebooks = [settings.NOTEBOOKS / f"{each}.ipynb" for each in sections]
    # From the last: the longest are among them, and what begins last should not take long.
    notebooks = notebooks or sorted(settings.NOTEBOOKS.glob("*.ipynb"), reverse=True)
    chosen = [points.point(each, parameters.get(each.stem, {})) for each in notebooks]
    store = Store(settings.runs_folder())
    is_all = scale == "paper" and not sections
    swept = _make_results(store, keep_stale) if is_all else []
    _run(chosen, store, keep_stale)  # Now: some of them read what has been collected.
    _check_that_all_hold([*swept, *chosen], store, keep_stale)
    for run in chosen:
        page = _page(run.notebook, store.folder / run.key / NOTEBOOK)
        page.metadata["made"] = {"commit": store.record(run)["commit"]}
        with files.written_whole(folder / run.notebook.name) as temporary:
            nbformat.write(page, temporary)
    if is_all:
        # Loaded here: they bring TensorFlow, which takes seconds, and for which else nothing waits.
        from helpers.book import scorecard
        from helpers.book.found import found

        scorecard.write(found(), settings.RESULTS / "scorecard.csv")
    if scale == "paper" and "05-lesion-tests" in [run.notebook.stem for run in chosen]:
        save_figure(folder / "05-lesion-tests.ipynb", "fig-profiles", folder / "figures")
    return folder


def render(pages: Path, source: Path) -> Path:
    """Render pages as HTML, without executing anything.

    Parameters
    ----------
    pages : Path
        Folder of executed notebooks.
    source : Path
        Folder to assemble the book in: configuration, prose, and pages as they are read. Made
        anew; what is rendered lies in ``_build/html`` there.

    Returns
    -------
    Path
        The book's first page.

    Raises
    ------
    RuntimeError
        If Jupyter Book fails or warns, or if there is no HTML afterwards.
    """
    source = source.resolve()
    target = source / "book"
    for made in (target, source / "_build"):
        shutil.rmtree(made, ignore_errors=True)
    target.mkdir(parents=True)
    for name in ("_config.yml", "_toc.yml"):
        shutil.copy(settings.ROOT / name, source / name)
    for pattern in PROSE:
        for path in settings.BOOK.glob(pattern):
            (target / path.relative_to(settings.BOOK)).parent.mkdir(exist_ok=True)
            shutil.copy(path, target / path.relative_to(settings.BOOK))
    for path in pages.glob("*.ipynb"):
        page = reading.readable(nbformat.read(path, as_version=4))
        nbformat.write(page, target / path.name)
    # `helpers.book.site` is to be the one of this checkout, wherever that is called from.
    path_of_helpers = os.pathsep.join(
        filter(None, [str(settings.HELPERS.parent), os.environ.get("PYTHONPATH")])
    )
    built = subprocess.run(
        [sys.executable, "-c", _JUPYTER_BOOK, "build", source, "-W", "--keep-going", "-n"],
        env=os.environ | {"PYTHONPATH": path_of_helpers},
        check=False,
    )
    html = source / "_build" / "html"
    first = html / f"{points.read_yaml(source / '_toc.yml')['root']}.html"
    if built.returncode or not first.exists():
        raise RuntimeError(f"jupyter-book failed on {source}; its messages are above")
    for path in pages.glob("*.ipynb"):  # What one downloads has all its code.
        shutil.copy(path, html / "_sources" / "book" / path.name)
    finishing.finish(html)
    return first


def save_figure(notebook: Path, name: str, folder: Path) -> Path:
    """Save the picture of a named figure of an executed notebook as ``NAME.svg``."""
    for cell in nbformat.read(notebook, as_version=4).cells:
        if cell.metadata.get("mystnb", {}).get("figure", {}).get("name") == name:
            path = folder / f"{name.removeprefix('fig-')}.svg"
            with files.written_whole(path) as temporary:
                temporary.write_text(cell.outputs[0]["data"]["image/svg+xml"])
            return path
    raise ValueError(f"name: {notebook.name} has no figure {name!r}")


def _make_results(store: Store, keep_stale: bool = False) -> list[Run]:
    """Run all sweeps, as far as they are not done, collect their tables, and return their runs."""
    swept = []
    for path in sorted(settings.SWEEPS.glob("*.yaml")):
        if path.name != points.PAGES:
            chosen = points.read(path)
            _run(chosen, store, keep_stale)
            table = collecting.collect(chosen, store, points.table_of(path))
            collecting.write(table, settings.RESULTS / f"{path.stem}.csv", chosen, store)
            swept += chosen
    return swept


def _check_that_all_hold(chosen: list[Run], store: Store, keep_stale: bool) -> None:
    """Refuse to publish what is stale, such as what rests on data replaced in the meantime."""
    stale = [f"{run} ({', '.join(what)} changed)" for run, what in store.all_stale(chosen)]
    if stale and not keep_stale:
        raise RuntimeError(
            f"stale: {'; '.join(stale)}; give the command again, or keep this with --keep-stale"
        )
    for each in stale:
        print(f"STALE, KEPT: {each}", flush=True)


def _run(chosen: list[Run], store: Store, keep_stale: bool) -> None:
    report = sweeps.sweep_here(chosen, store, keep_stale=keep_stale, retry_failed=True)
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
    return settings.BOOK if scale == "paper" else settings.BUILD / scale / "pages"


def main() -> None:
    """Execute, render or print the book's pages."""
    parser = argparse.ArgumentParser(prog="python -m helpers.book.pages", description=main.__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    executing = verbs.add_parser("execute")
    executing.add_argument("--keep-stale", action="store_true", help="show what is stale as it is")
    for each in (executing, verbs.add_parser("render"), verbs.add_parser("pdf")):
        each.add_argument("scale", choices=SCALES)
    executing.add_argument("sections", nargs="*", help="names of notebooks (default: all)")
    arguments = parser.parse_args()
    source = settings.BUILD / arguments.scale
    if arguments.verb == "execute":
        print(execute(arguments.scale, arguments.keep_stale, arguments.sections))
    elif arguments.verb == "render":
        print(render(_folder(arguments.scale), source))
    else:
        print(printing.print_book(source / "_build" / "html"))


if __name__ == "__main__":
    main()
