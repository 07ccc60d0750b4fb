"""Points: a notebook with all its parameters, and the files in ``sweeps/`` that name many.

What a notebook would not take is refused here, before anything is executed.
"""

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from helpers import settings, stored
from helpers.book import provenance, sources

PAGES = "book.yaml"
"""Which of the files in sweeps/ says what each page shows; the others are sweeps."""

NETWORK_PARAMETERS = ("network", "mlps", "cnns")
"""Parameters that name networks, separated by spaces; ``replicate`` says which of each."""


@dataclass(frozen=True)
class Run:
    """One point: a notebook with all its parameters. Made by `point`.

    Attributes
    ----------
    notebook : Path
        The notebook to execute.
    given : dict of str to value
        Parameters that are set.
    parameters : dict of str to value
        All parameters, the notebook's defaults included.
    """

    notebook: Path
    given: dict[str, Any]
    parameters: dict[str, Any]

    @property
    def networks(self) -> list[tuple[str, int]]:
        """Name and replicate of each network that the parameters name."""
        words = " ".join(str(self.parameters.get(name, "")) for name in NETWORK_PARAMETERS)
        return [(name, int(self.parameters.get("replicate", 0))) for name in words.split()]

    @property
    def key(self) -> str:
        """Hash of the notebook's code, the parameters and the networks' weights.

        What else may change makes a run stale, see `provenance`.

        Raises
        ------
        ValueError
            If a network's manifest is damaged.
        """
        identity = [sources.code(self.notebook), self.parameters, self.weights]
        return provenance.sha256(json.dumps(identity, sort_keys=True).encode())[:20]

    @property
    def weights(self) -> dict[str, str | None]:
        """Checksum of each network's weights, None where it is nowhere."""
        return {
            f"{name}-{replicate}": weights(name, replicate) for name, replicate in self.networks
        }

    @property
    def provenance(self) -> dict[str, str]:
        """What its results rest on, as it is now."""
        declared = sources.declared(self.notebook)
        words = " ".join(str(value) for value in self.parameters.values()).split()
        return provenance.of(declared["uses"], declared["reads"], words)

    def __str__(self) -> str:
        """Name the notebook and what is set, for people."""
        given = " ".join(f"{name}={value!r}" for name, value in self.given.items())
        return f"{self.notebook.stem} {given}".rstrip()


def point(notebook: Path, given: Mapping[str, Any]) -> Run:
    """Return a run, if the notebook takes its parameters.

    Papermill only warns of parameters that a notebook does not have, and does not look at types.

    Parameters
    ----------
    notebook : Path
        The notebook.
    given : mapping of str to value
        Parameters that differ from its defaults.

    Raises
    ------
    ValueError
        If there is no such notebook, if its parameters are anything but typed literals, if it has
        no such parameter, or one of another type; says what is accepted.
    """
    if not notebook.exists():
        known = ", ".join(sorted(path.stem for path in settings.NOTEBOOKS.glob("*.ipynb")))
        ours = "" if settings.IS_CHECKOUT else " (the book's own are in its repository only)"
        raise ValueError(
            f"notebook: there is no {notebook}; in notebooks/ are {known or 'none'}{ours}"
        )
    defaults = sources.parameters(notebook)
    listing = ", ".join(f"{name}: {type(value).__name__}" for name, value in defaults.items())
    for name, value in given.items():
        if name not in defaults or type(value) is not type(defaults[name]):
            raise ValueError(
                f"{notebook.name}: parameter {name}={value!r} was given; accepted are {listing}"
            )
    return Run(notebook, dict(given), defaults | dict(given))


def of_pages() -> dict[str, dict[str, Any]]:
    """Return what parameters each page of the book is given at the paper's scale."""
    return dict(read_yaml(settings.SWEEPS / PAGES))


def read(sweep: Path) -> list[Run]:
    """Read the points of a sweep.

    Parameters
    ----------
    sweep : Path
        A YAML file with ``notebook``, a name in ``notebooks/``, and either ``grid``, a list of
        values for each parameter, all of which are crossed, or ``rows``, a list of points; and,
        if the notebook keeps several tables, ``table``, the one that `collect` gathers.

    Raises
    ------
    ValueError
        If the file says anything else, if it has no points, if the notebook keeps no such table,
        or as `point`.
    """
    said = read_yaml(sweep)
    kinds = ({"notebook", "grid"}, {"notebook", "rows"})
    if not isinstance(said, dict) or set(said) - {"table"} not in kinds:
        raise ValueError(
            f"{sweep}: accepted are notebook, either grid or rows, and optionally table; found "
            + (", ".join(map(str, said)) if isinstance(said, dict) else type(said).__name__)
        )
    if not isinstance(said.get("table", ""), str):
        raise ValueError(f"{sweep}: table must be the name of a table that the notebook keeps")
    grid, rows = said.get("grid", {}), said.get("rows", [])
    if not isinstance(grid, dict) or not all(isinstance(each, list) for each in grid.values()):
        raise ValueError(f"{sweep}: grid must give a list of values for each parameter")
    if not isinstance(rows, list) or not all(isinstance(each, dict) for each in rows):
        raise ValueError(f"{sweep}: rows must be a list of points, each with its parameters")
    if "grid" in said:
        rows = [
            dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())
        ]
    if not rows:
        raise ValueError(f"{sweep}: there are no points; give at least one value or row")
    notebook = settings.NOTEBOOKS / f"{said['notebook']}.ipynb"
    points = [point(notebook, row) for row in rows]
    kept = sources.declared(notebook)["keeps"]
    if "table" in said and said["table"] not in kept:
        raise ValueError(
            f"{sweep}: table: {said['table']!r} was given; {notebook.name} keeps "
            f"{', '.join(kept) or 'none'}"
        )
    return points


def read_yaml(path: Path) -> Any:
    """Read a YAML file.

    Raises
    ------
    ValueError
        If a key is given twice, of which the first would be dropped silently.
    """
    with path.open() as file:
        return yaml.load(file, _Loader)


class _Loader(yaml.SafeLoader):
    """Refuses a key that is given twice."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if (name := (key.tag, str(key.value))) in seen:
                where = key.start_mark
                raise ValueError(f"{where.name}, line {where.line + 1}: {key.value} is given twice")
            seen.add(name)
        return dict(super().construct_mapping(node, deep))


def table_of(sweep: Path) -> str | None:
    """Return which of its notebook's tables a sweep is about, if its file says so."""
    named = read_yaml(sweep).get("table")
    return None if named is None else str(named)


@cache
def weights(name: str, replicate: int) -> str | None:
    """Return the checksum of a network's weights as its manifest has it, None if it is nowhere."""
    path = stored.find(stored.stem(name, replicate))
    if path is None:
        return None
    manifest = stored.manifest(path)
    if manifest is None:
        raise ValueError(f"{path.with_suffix('.json')} is damaged")
    return str(manifest["sha256"])


def forget() -> None:
    """Look at all files anew: a process that serves many sweeps must see what has changed."""
    weights.cache_clear()
    sources.forget()
    provenance.forget()
