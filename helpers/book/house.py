"""The drawing of the house: rooms on floors, and who imports whom, read off the code.

``python -m helpers.book.house`` writes ``book/figures/house.svg`` and ``book/figures/rooms.txt``.
A room is a module or a package of `helpers`. Its floor is one above the highest room that it
imports, so that every arrow leads down.
"""

import ast
from graphlib import TopologicalSorter
from html import escape
from pathlib import Path

from helpers import files, settings

Imports = dict[str, set[str]]
"""For each room, the rooms that it imports."""

_DOORS = ("__init__", "__main__")
_WIDTH, _FLOOR, _BOX, _GAP = 720, 84, 34, 14
_LETTER, _PADDING = 8.6, 20


def imports() -> Imports:
    """Return which rooms each room imports; what is for type checkers only does not count."""
    rooms = {path.stem: [path] for path in settings.HELPERS.glob("*.py")}
    rooms |= {path.parent.name: [] for path in settings.HELPERS.glob("*/__init__.py")}
    for path in settings.HELPERS.glob("*/*.py"):
        rooms[path.parent.name].append(path)
    named = {room: paths for room, paths in rooms.items() if room not in _DOORS}
    return {
        room: {name for path in paths for name in _imported(path)} & set(named) - {room}
        for room, paths in named.items()
    }


def floors(house: Imports) -> list[list[str]]:
    """Return the rooms of each floor, from the basement up.

    Raises
    ------
    graphlib.CycleError
        If rooms import one another in a circle.
    """
    level: dict[str, int] = {}
    for room in TopologicalSorter(house).static_order():
        level[room] = 1 + max((level[below] for below in house[room]), default=-1)
    rows: list[list[str]] = [[] for _ in range(1 + max(level.values()))]
    for room in sorted(level):
        rows[level[room]].append(room)
    return rows


def arrows(house: Imports) -> list[tuple[str, str]]:
    """Return the imports that do not follow from others: a transitive reduction."""
    reach: dict[str, set[str]] = {}
    for room in TopologicalSorter(house).static_order():
        reach[room] = house[room].union(*(reach[below] for below in house[room]))
    return [
        (room, below)
        for room in sorted(house)
        for below in sorted(house[room])
        if not any(below in reach[other] for other in house[room] - {below})
    ]


def drawing(house: Imports) -> str:
    """Return the house as an SVG picture."""
    rows = _ordered(floors(house), arrows(house))
    places = {
        room: place for level, row in enumerate(rows) for room, place in _row(row, level, len(rows))
    }
    height = _FLOOR * len(rows)
    lines = [_line(places[above], places[below]) for above, below in arrows(house)]
    boxes = [_box(room, *place) for room, place in places.items()]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
            'font-family="DejaVu Sans, sans-serif" font-size="14">',
            '<marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" '
            'orient="auto"><path d="M0 0 8 4 0 8z" fill="#0072B2"/></marker>',
            f'<rect width="{_WIDTH}" height="{height}" fill="white"/>',
            *lines,
            *boxes,
            "</svg>\n",
        ]
    )


def table(house: Imports) -> str:
    """Return a Markdown table of the rooms, from the top floor down, with their own words."""
    rows = [
        f"| {level} | `{room}` | {_first_sentence(room)} |"
        for level, row in reversed([*enumerate(floors(house))])
        for room in row
    ]
    return "\n".join(
        ["| floor | room | what it says of itself |", "| --- | --- | --- |", *rows, ""]
    )


def write(folder: Path) -> None:
    """Write the picture and the table into a folder."""
    house = imports()
    for name, text in (("house.svg", drawing(house)), ("rooms.txt", table(house))):
        with files.written_whole(folder / name) as temporary:
            temporary.write_text(text)


def _imported(path: Path) -> set[str]:
    """Name the rooms that a file imports, also within functions."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return {name.split(".")[1] for name in names if name.startswith("helpers.")}


def _ordered(rows: list[list[str]], drawn: list[tuple[str, str]]) -> list[list[str]]:
    """Order each row by where the rooms below it stand, so that arrows cross less."""
    ordered: list[list[str]] = []
    position: dict[str, float] = {}
    for row in rows:
        below = {room: [position[b] for a, b in drawn if a == room] for room in row}
        centre = {room: sum(at) / len(at) if at else 0.5 for room, at in below.items()}
        ordered.append(sorted(row, key=lambda room: (centre[room], room)))
        position |= {room: (i + 0.5) / len(row) for i, room in enumerate(ordered[-1])}
    return ordered


def _row(row: list[str], level: int, n_levels: int) -> list[tuple[str, tuple[float, float, float]]]:
    """Return left, top and width of each box of a floor, spread over the page."""
    widths = [len(room) * _LETTER + _PADDING for room in row]
    free = max((_WIDTH - sum(widths)) / len(row), _GAP)
    left, top, placed = free / 2, (n_levels - 1 - level) * _FLOOR + 10.0, []
    for room, width in zip(row, widths, strict=True):
        placed.append((room, (left, top, width)))
        left += width + free
    return placed


def _box(room: str, left: float, top: float, width: float) -> str:
    return (
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{_BOX}" rx="4" '
        'fill="#EAF4FB" stroke="#0072B2"/>'
        f'<text x="{left + width / 2:.1f}" y="{top + 22:.1f}" text-anchor="middle">'
        f"{escape(room)}</text>"
    )


def _line(above: tuple[float, float, float], below: tuple[float, float, float]) -> str:
    x1, y1 = above[0] + above[2] / 2, above[1] + _BOX
    x2, y2 = below[0] + below[2] / 2, below[1] - 2
    bend = (y2 - y1) / 2
    return (
        f'<path d="M{x1:.1f} {y1:.1f}C{x1:.1f} {y1 + bend:.1f} {x2:.1f} {y2 - bend:.1f} '
        f'{x2:.1f} {y2:.1f}" fill="none" stroke="#0072B2" stroke-opacity=".55" '
        'stroke-width="1.2" marker-end="url(#tip)"/>'
    )


def _first_sentence(room: str) -> str:
    module = settings.HELPERS / f"{room}.py"
    path = module if module.exists() else settings.HELPERS / room / "__init__.py"
    text = " ".join((ast.get_docstring(ast.parse(path.read_text())) or "").split("\n\n")[0].split())
    return text.replace("|", "\\|")


if __name__ == "__main__":
    write(settings.BOOK / "figures")
