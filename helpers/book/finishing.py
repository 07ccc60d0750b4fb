"""What is done to the pages after Jupyter Book has made them: they become light and whole.

Formulas are drawn here instead of in the browser, figures stand in the page and take the colours
of its text and ground, scripts and styles that no page uses are left out, and what the theme and
pandas write that screen readers stumble over is mended.
"""

import csv
import functools
import json
import re
import shutil
import subprocess
from collections.abc import Iterable
from html import escape, unescape
from operator import and_
from pathlib import Path

from helpers import files
from helpers.book import stylesheets

_FONTS = "output/chtml/fonts/woff-v2"

_DRAW = """
const [folder, fontURL] = process.argv.slice(1);
const load = ["input/tex", "output/chtml", "adaptors/liteDOM"];
global.MathJax = {
  loader: {paths: {mathjax: folder}, load, require}, chtml: {fontURL}, startup: {typeset: false},
};
require(folder + "/startup.js");
MathJax.startup.promise.then(() => {
  const adaptor = MathJax.startup.adaptor;
  const asked = JSON.parse(require("fs").readFileSync(0));
  const drawn = asked.map(([tex, display]) => adaptor.outerHTML(MathJax.tex2chtml(tex, {display})));
  console.log(JSON.stringify([drawn, adaptor.textContent(MathJax.chtmlStylesheet())]));
}).catch(error => { console.error(error); process.exit(1); });
"""
"""Draws formulas with MathJax in Node; what is left of the arguments is where MathJax lies."""

_FORMULA = re.compile(
    r'<span class="math[^"]*">\\\((?P<inline>.*?)\\\)</span>'
    r'|(?P<before><div class="math[^>]*>(?:\s*<span class="eqno">.*?</span>)?)\s*'
    r"\\\[(?P<display>.*?)\\\]\s*</div>",
    re.S,
)

_SCRIPTS_OF_MATHJAX = re.compile(
    r"\s*<script>window\.MathJax = .*?</script>|\s*<script[^>]*/mathjax/[^>]*></script>"
)

_FIGURE = re.compile(r'<img\b[^>]*?src="(?P<path>[^"]*_images/[^"]+\.svg)"[^>]*>')

_INK, _PAPER = "currentColor", "var(--pst-color-background, #fff)"


def finish(folder: Path) -> None:
    """Finish a rendered book.

    Parameters
    ----------
    folder : Path
        The folder of its HTML. Its pages, and what they use, are rewritten.
    """
    static = folder / "_static"
    pages = {path: mended(path.read_text()) for path in folder.rglob("*.html") if _is_page(path)}
    for path in pages:
        pages[path] = with_downloads(pages[path], path)
        if path.name != "search.html":
            pages[path] = _without_search_index(pages[path])
    pages = _with_formulas(pages, static)
    _lighten(pages, static)
    for path, page in pages.items():
        with files.written_whole(path) as temporary:
            temporary.write_text(with_figures(page, path.parent))


def mended(page: str) -> str:
    """Return a page without what readers stumble over, on a screen or by ear."""
    page = _TABLE.sub(lambda table: _words_to_the_left(_one_header(table[0])), page)
    for pattern, replacement in _MENDED:
        page = re.sub(pattern, replacement, page)
    return page


def with_downloads(page: str, path: Path) -> str:
    """Return a page with a link below each table to what it holds as CSV.

    Parameters
    ----------
    page : str
        HTML.
    path : Path
        Where it lies; files are written to ``tables`` beside it.
    """
    count = iter(range(1, 10**6))

    def with_download(table: re.Match[str]) -> str:
        target = path.parent / "tables" / f"{path.stem}-{next(count)}.csv"
        target.parent.mkdir(exist_ok=True)
        with files.written_whole(target) as temporary, temporary.open("w", newline="") as file:
            csv.writer(file).writerows(_rows_of(table[0]))
        link = f'<a href="tables/{target.name}" download>Download as CSV</a>'
        return f'{table[0]}<p class="table-download">{link}</p>'

    return _ANY_TABLE.sub(with_download, page)


def _rows_of(table: str) -> list[list[str]]:
    """Return the text of a table's cells; what spans several stands in each of them."""
    filled: dict[tuple[int, int], str] = {}
    rows = _ROW.findall(table)
    for i, row in enumerate(rows):
        j = 0
        for tag, inner in _ANY_CELL.findall(row):
            while (i, j) in filled:
                j += 1
            text = " ".join(unescape(re.sub(r"<[^>]*>", "", inner)).split())
            high, wide = (int(_attribute(tag, f"{each}span") or 1) for each in ("row", "col"))
            filled |= {(i + di, j + dj): text for di in range(high) for dj in range(wide)}
    width = 1 + max(j for _, j in filled) if filled else 0
    return [[filled.get((i, j), "") for j in range(width)] for i in range(len(rows))]


_ANY_TABLE = re.compile(r'<table[^>]*class="(?:dataframe|table)\b[^"]*".*?</table>', re.S)

_ANY_CELL = re.compile(r"(<t[dh]\b[^>]*>)(.*?)</t[dh]>", re.S)

_MENDED = (
    (r"<th>\s*</th>", "<td></td>"),
    (r"<td>(?=[^<]{1,12}</td>)", '<td class="whole">'),
    (r'(<i class="[^"]*\bfa-[^"]*")', r'\1 aria-hidden="true"'),
    (r'(<button class="btn search-button-field[^>]*?) aria-label="[^"]*"', r"\1"),
    (r'<summary aria-label="Toggle hidden content">', "<summary>"),
    (r' role="doc-biblioentry"| role="list"(?= class="citation-list")', ""),
    (r'(<div id="pst-primary-sidebar")', r'\1 role="navigation" aria-label="Book"'),
    (r"\s*<script[^>]*fontawesome\.js[^>]*></script>", ""),
)
"""Patterns in a page of the theme or a table of pandas, and what stands there instead."""

_TABLE = re.compile(r'<table[^>]*class="dataframe.*?</table>', re.S)

_ROW, _CELL = re.compile(r"<tr.*?</tr>", re.S), re.compile(r"<td>.*?</td>", re.S)

_HEADER_CELL = re.compile(r"<th[^>]*>.*?</th>", re.S)


def _one_header(table: str) -> str:
    """Return a table of pandas whose names of the index stand in the row above their own."""
    rows = _ROW.findall(table.partition("</thead>")[0])
    if len(rows) < 2:
        return table
    above, names = (_HEADER_CELL.findall(row) for row in rows[-2:])
    n_named = sum(not _is_empty(each) for each in names)
    if len(above) != len(names) or not all(
        _is_empty(high) and not _is_empty(low) if i < n_named else _is_empty(low)
        for i, (high, low) in enumerate(zip(above, names, strict=True))
    ):
        return table
    merged = _with(_HEADER_CELL, rows[-2], (*names[:n_named], *above[n_named:]))
    return table.replace(rows[-2], merged, 1).replace(rows[-1], "", 1)


def _is_empty(cell: str) -> bool:
    return not re.sub(r"<[^>]*>", "", cell).strip()


def _words_to_the_left(table: str) -> str:
    """Return a table of pandas in which columns with words in them are marked, and the index."""
    rows = _ROW.findall(table.partition("<tbody>")[2])
    cells = [_CELL.findall(row) for row in rows]
    if len({len(row) for row in cells}) != 1:
        return table
    is_worded = [any(map(_is_worded, column)) for column in zip(*cells, strict=True)]
    for row, own in zip(rows, cells, strict=True):
        table = table.replace(row, _with(_CELL, row, map(_marked, own, is_worded)), 1)
    head = _ROW.findall(table.partition("</thead>")[0])[-1]
    headings = _HEADER_CELL.findall(head)
    n_index = len(headings) - len(is_worded)
    if n_index < 0:
        return table
    above_words = [True] * n_index + is_worded
    is_named = [not _is_empty(each) for each in headings]
    left = map(_marked, headings, map(and_, above_words, is_named))
    return table.replace(head, _with(_HEADER_CELL, head, left), 1)


def _with(pattern: re.Pattern[str], row: str, cells: Iterable[str]) -> str:
    """Return a row with other cells in place of its own, one after the other."""
    following = iter(cells)
    return pattern.sub(lambda _: next(following), row)


def _marked(cell: str, is_worded: bool) -> str:
    return re.sub(r"^<(t[dh])>", r'<\1 class="words">', cell) if is_worded else cell


def _is_worded(cell: str) -> bool:
    """Whether more than half of a cell of some length is letters, and it starts with no number."""
    text = re.sub(r"<[^>]*>", "", cell)
    is_long = len(text) >= _WORDED and not text.lstrip("-−<≤ ")[:1].isdigit()
    return is_long and 2 * sum(map(str.isalpha, text)) > len(text)


_WORDED = 8
"""Characters."""


def with_figures(page: str, folder: Path) -> str:
    """Return a page in which vector figures stand themselves, in the colours of the page.

    Parameters
    ----------
    page : str
        HTML.
    folder : Path
        Where it lies.
    """
    count = iter(range(1, 10**6))

    def inline(image: re.Match[str]) -> str:
        svg = (folder / image["path"]).read_text()
        return _within_page(svg, _attribute(image[0], "alt"), f"f{next(count)}-")

    return _FIGURE.sub(inline, page)


def _within_page(svg: str, alternative: str, prefix: str) -> str:
    """Return an SVG that can stand in a page: named apart from others, with its ink and paper."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<(title|desc)>.*?</\1>", "", svg, flags=re.S)
    names = set(re.findall(r'\bid="([^"]+)"', svg))
    svg = re.sub(r'\bid="', f'id="{prefix}', svg)
    svg = re.sub(r"#([\w-]+)", lambda it: f"#{prefix}{it[1]}" if it[1] in names else it[0], svg)
    for colours, instead in ((r"#000000|#222222|black", _INK), (r"#ffffff|white", _PAPER)):
        painted = rf'\b((?:fill|stroke|stop-color)(?:: ?|="))(?:{colours})(?=[;"\s])'
        svg = re.sub(painted, rf"\g<1>{instead}", svg, flags=re.I)
    svg = re.sub(r'(?<=style=")[^"]*', lambda it: re.sub(r"([:;]) ", r"\1", it[0]), svg)
    svg = re.sub(r";?stroke-linejoin:miter\b", "", svg)  # As it is without.
    # Of what is drawn in thousands of strokes, nobody sees a tenth of a point.
    svg = re.sub(r' d="[^"]{4000,}"', lambda it: re.sub(r"(\.\d)\d+", r"\1", it[0]), svg)
    start = re.match(r"<svg[^>]*>", svg)
    assert start
    head = re.sub(r'\s(?:role|aria-label|class)="[^"]*"', "", start[0][:-1])
    head += "" if " fill=" in head else f' fill="{_INK}"'
    said = f' class="drawing" role="img" aria-label="{alternative}"'
    return head + said + ">" + svg[start.end() :].strip()


def _with_formulas(pages: dict[Path, str], static: Path) -> dict[Path, str]:
    """Draw the formulas of pages, if there is a Node to do it; otherwise the browser has to."""
    mathjax = static / "mathjax"
    node = _node()
    if node is None or not mathjax.exists():
        return pages
    asked = [
        (unescape(each["inline"] or each["display"]), bool(each["display"]))
        for page in pages.values()
        for each in _FORMULA.finditer(page)
    ]
    drawn, css = _drawn(asked, mathjax, node)
    formulas = dict(zip(asked, drawn, strict=True))
    replace = functools.partial(_formula, formulas)
    link = '<link rel="stylesheet" href="{}_static/formulas.css" />\n  </head>'
    for path, page in pages.items():
        page = _SCRIPTS_OF_MATHJAX.sub("", page)
        if _FORMULA.search(page):
            page = _FORMULA.sub(replace, page)
            up = "../" * len(path.relative_to(static.parent).parts[1:])
            page = page.replace("</head>", link.format(up), 1)
        pages[path] = page
    with files.written_whole(static / "formulas.css") as temporary:
        temporary.write_text(css)
    _keep_only(mathjax, mathjax / _FONTS)
    return pages


def _drawn(asked: list[tuple[str, bool]], mathjax: Path, node: str) -> tuple[list[str], str]:
    """Draw formulas, each given in TeX and by whether it stands alone, and return their style."""
    done = subprocess.run(
        [node, "-e", _DRAW, str(mathjax), f"mathjax/{_FONTS}"],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"MathJax failed: {done.stderr.strip()[-500:]}")
    drawn, css = json.loads(done.stdout)
    return drawn, css


def _formula(formulas: dict[tuple[str, bool], str], found: re.Match[str]) -> str:
    """Return what stands in a page instead of a formula in TeX."""
    tex = unescape(found["inline"] or found["display"])
    said = f'<mjx-container role="math" aria-label="{escape(" ".join(tex.split()))}"'
    drawn = formulas[tex, bool(found["display"])].replace("<mjx-container", said, 1)
    if found["display"]:
        return f"{found['before']}{drawn}</div>"
    return f'<span class="math">{drawn}</span>'


def _node() -> str | None:
    """Return the path of a Node: that of the system, or the one that Playwright brings along."""
    try:
        from playwright._impl._driver import compute_driver_executable
    except ImportError:
        return shutil.which("node")
    return shutil.which("node") or str(compute_driver_executable()[0])


def _lighten(pages: dict[Path, str], static: Path) -> None:
    """Leave out of the book's style sheets, fonts and scripts what no page uses."""
    for path in (*static.rglob("*.map"), static / "scripts" / "fontawesome.js"):
        path.unlink(missing_ok=True)
    scripts = [path.read_text() for path in static.glob("**/*.js") if "mathjax" not in path.parts]
    words = set(re.findall(r"[\w-]+", " ".join([*pages.values(), *scripts])))
    theme = static / "styles" / "pydata-sphinx-theme.css"
    icons: set[int] = set()
    for sheet in (*static.glob("styles/*.css"), *static.glob("*.css")):
        if sheet.name != "formulas.css":
            css = stylesheets.used_only(sheet.read_text(), words)
            icons |= stylesheets.icons(css)
            with files.written_whole(sheet) as temporary:
                temporary.write_text(css)
    if theme.exists():
        stylesheets.subset_fonts(theme, icons)


def _without_search_index(page: str) -> str:
    """Return a page without what only the page of search results needs."""
    return re.sub(
        r'\s*<script src="[^"]*(?:searchtools|language_data|searchindex)\.js[^"]*"></script>',
        "",
        page,
    )


def _attribute(tag: str, name: str) -> str:
    """Return an attribute of a tag, as it is written."""
    found = re.search(rf'\b{name}="([^"]*)"', tag)
    return found[1] if found else ""


def _is_page(path: Path) -> bool:
    return "_static" not in path.parts and path.name not in ("404.html", "index.html")


def _keep_only(folder: Path, kept: Path) -> None:
    """Empty a folder, except for one within."""
    for path in folder.iterdir():
        if path in kept.parents:
            _keep_only(path, kept)
        elif path.is_dir() and path != kept:
            shutil.rmtree(path)
        elif path != kept:
            path.unlink()
