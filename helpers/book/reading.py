"""A notebook as it is read: findings and figures, and only the code that teaches something.

The book's pages are notebooks that can be executed again; a reader of the HTML wants what they
found. What is left out here is in the notebook that each page links to.
"""

import ast
from typing import Any

import nbformat

INSTRUCTIVE = "instructive"
"""Tag of a cell whose code stays on the page."""

FINDING = "finding"
"""Tag of a cell whose output is shown first, below the title, wherever it was computed.

Sentences first, and then figures.
"""

_PARAMETERS = ("parameters", "injected-parameters")

_FOLDED = {"code_prompt_show": "Show the table", "code_prompt_hide": "Hide the table"}
"""What one clicks on where an output is folded: on these pages only long tables are."""


def readable(page: Any) -> Any:
    """Return a notebook for rendering.

    Parameters
    ----------
    page : nbformat.NotebookNode
        An executed notebook, as it is committed. It stays as it is.

    Returns
    -------
    nbformat.NotebookNode
        What is tagged `FINDING` comes first, below the title. Of cells with code the code is left
        out unless they are tagged `INSTRUCTIVE`, and of these what makes a sentence of results; so
        are cells with nothing else. The parameters are a last line, which says what the page was
        made with.
    """
    shown = nbformat.from_dict(page)  # type: ignore[no-untyped-call]
    shown.cells = []
    for cell in _findings_first(page.cells):
        tags = set(cell.metadata.get("tags", []))
        if tags & set(_PARAMETERS):
            continue
        if cell.cell_type != "code":
            shown.cells.append(cell)
        elif INSTRUCTIVE in tags:
            shown.cells.append(_without_sentence(cell))
        elif cell.outputs:
            shown.cells.append(_without_code(cell))
    if made_with := _made_with(page):
        shown.cells.append(nbformat.v4.new_markdown_cell(made_with))  # type: ignore[no-untyped-call]
    return shown


def parameters(page: Any) -> dict[str, Any]:
    """Return the parameters that a notebook was executed with: its defaults, and what was given."""
    found: dict[str, Any] = {}
    for tag in _PARAMETERS:
        for cell in page.cells:
            if tag in cell.metadata.get("tags", []):
                found |= _assigned(cell.source)
    return found


def _findings_first(cells: list[Any]) -> list[Any]:
    """Move findings below the title, which they may share a cell with."""
    findings: list[Any] = []
    others: list[Any] = []
    for cell in cells[1:]:
        (findings if FINDING in cell.metadata.get("tags", []) else others).append(cell)
    if not findings:
        return cells
    findings.sort(key=_is_figure)
    title, _, rest = cells[0].source.partition("\n\n")
    above, below = nbformat.from_dict(cells[0]), nbformat.from_dict(cells[0])  # type: ignore[no-untyped-call]
    above.source, below.source = title, rest
    below.id = f"{cells[0].id}-rest"
    return [above, *findings, *([below] if rest else []), *others]


def _without_sentence(cell: Any) -> Any:
    """Leave out a call of `Markdown` at the end: what it says stands below."""
    *_, last = ast.parse(cell.source).body
    is_sentence = isinstance(last, ast.Expr) and ast.unparse(last).startswith("Markdown(")
    copy = nbformat.from_dict(cell)  # type: ignore[no-untyped-call]
    if is_sentence:
        copy.source = "\n".join(cell.source.splitlines()[: last.lineno - 1]).rstrip()
    return copy


def _is_figure(cell: Any) -> bool:
    return "figure" in cell.metadata.get("mystnb", {})


def _without_code(cell: Any) -> Any:
    copy = nbformat.from_dict(cell)  # type: ignore[no-untyped-call]
    copy.metadata["tags"] = [*cell.metadata.get("tags", []), "remove-input"]
    if "hide-output" in copy.metadata["tags"]:
        copy.metadata["mystnb"] = cell.metadata.get("mystnb", {}) | _FOLDED
    return copy


def _assigned(code: str) -> dict[str, Any]:
    """Return the constants that code assigns to names."""
    found = {}
    for statement in ast.parse(code).body:
        if isinstance(statement, ast.AnnAssign) and statement.value is not None:
            found[ast.unparse(statement.target)] = ast.literal_eval(statement.value)
        elif isinstance(statement, ast.Assign):
            found[ast.unparse(statement.targets[0])] = ast.literal_eval(statement.value)
    return found


def _made_with(page: Any) -> str:
    """Return the line that says what a page was made with, as MyST."""
    said = [f"{name} `{value}`" for name, value in parameters(page).items() if value != ""]
    commit = page.metadata.get("made", {}).get("commit", "")
    said += [f"commit `{commit[:7]}`"] if commit else []
    if not said:
        return ""
    return f":::{{container}} made-with\nMade with: {', '.join(said)}.\n:::"
