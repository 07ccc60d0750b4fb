"""What a notebook's file says: its code, its parameters, and what it declares."""

import ast
import json
from functools import cache
from pathlib import Path
from typing import Any

FOLDER, KEEPS, READS = "MODULARITY_TABLES", "MODULARITY_KEEPS", "MODULARITY_READS"
"""Environment variables of a sweep's run: its folder of tables, and what its notebook declares to
keep and to read, as JSON. Unset outside sweeps."""


@cache
def _cells(notebook: Path) -> list[dict[str, Any]]:
    """Return a notebook's code cells: source, and whether it is that of the parameters."""
    cells = json.loads(notebook.read_text())["cells"]
    return [
        {
            "source": "".join(cell["source"]),
            "is_parameters": "parameters" in cell["metadata"].get("tags", []),
        }
        for cell in cells
        if cell["cell_type"] == "code"
    ]


@cache
def title(notebook: Path) -> str:
    """Return a notebook's title: what its first cell begins with."""
    first = json.loads(notebook.read_text())["cells"][0]["source"]
    return "".join(first).partition("\n")[0].removeprefix("# ")


def code(notebook: Path) -> list[str]:
    """Return the source of each cell of code but that of the parameters."""
    return [cell["source"] for cell in _cells(notebook) if not cell["is_parameters"]]


@cache
def parameters(notebook: Path) -> dict[str, Any]:
    """Return a notebook's parameters with their defaults: typed assignments of literals."""
    sources = [cell["source"] for cell in _cells(notebook) if cell["is_parameters"]]
    defaults = {}
    for each in ast.parse("\n".join(sources)).body:
        try:
            match each:
                case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                    defaults[name] = ast.literal_eval(value)
                case _:
                    raise ValueError("not typed")
        except ValueError:
            # Papermill replaces defaults, but keeps whatever else this cell does; and a run's key
            # knows its parameters only.
            raise ValueError(
                f"{notebook.name}: {ast.unparse(each)!r} is in the cell of parameters; accepted "
                "are typed literals, such as n_random: int = 20"
            ) from None
    return defaults


@cache
def declared(notebook: Path) -> dict[str, list[str]]:
    """Return what a notebook declares in its metadata, under ``modularity``.

    keeps, the tables that it keeps; reads, patterns of the repository's files that it reads;
    uses, the parts of `provenance.VERSIONS` that its results rest on.
    """
    declared = json.loads(notebook.read_text())["metadata"].get("modularity", {})
    return {key: list(declared.get(key, ())) for key in ("keeps", "reads", "uses")}


def collected_by(notebook: Path) -> list[str]:
    """Name the sweeps whose collected tables a notebook reads, as it declares."""
    paths = [Path(each) for each in declared(notebook)["reads"]]
    return [path.stem for path in paths if path.parent.name == "results" and "*" not in path.name]


def forget() -> None:
    """Read all notebooks anew."""
    for cached in (_cells, title, parameters, declared):
        cached.cache_clear()
