"""The whole book as one PDF: its pages one after another in one HTML page, printed by Chromium."""

import re
import shutil
from collections.abc import Iterator
from html import escape
from pathlib import Path

from helpers import files

CHROMIUMS = ("chromium", "chromium-browser", "google-chrome")
"""What Chromium may be called."""

_STYLE = """
body { margin: 0; }
article, .whole-contents { break-before: page; }
.cover { padding-top: 30vh; }
h1, h2, h3 { break-after: avoid; }
.cell_output { overflow: visible !important; }
table { font-size: 0.7em !important; }
td, th { white-space: normal !important; }
"""

_FOOTER = """
<div style="font: 8px sans-serif; width: 100%; text-align: center"><span class="pageNumber"></span>
</div>
"""


def print_book(folder: Path) -> Path:
    """Print a rendered book.

    Parameters
    ----------
    folder : Path
        The folder of its HTML.

    Returns
    -------
    Path
        The PDF, ``book.pdf`` in that folder.

    Raises
    ------
    RuntimeError
        If there is no Chromium.
    """
    from playwright.sync_api import sync_playwright

    browser_path = chromium()
    if browser_path is None:
        raise RuntimeError(f"no Chromium here; it is looked for as {', '.join(CHROMIUMS)}")
    page_path = folder / "print.html"
    page_path.write_text(one_page(folder))
    with files.written_whole(folder / "book.pdf") as temporary, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path)
        page = browser.new_page(color_scheme="light")
        page.goto(page_path.as_uri())
        page.evaluate("document.fonts.ready")
        page.pdf(
            path=temporary,
            format="A4",
            scale=0.8,
            margin={"top": "18mm", "bottom": "18mm", "left": "20mm", "right": "20mm"},
            print_background=True,
            display_header_footer=True,
            header_template="<span></span>",
            footer_template=_FOOTER,
            outline=True,
            tagged=True,
        )
        browser.close()
    page_path.unlink()
    return folder / "book.pdf"


def chromium() -> str | None:
    """Return the path of Chromium, or None."""
    return next(filter(None, map(shutil.which, CHROMIUMS)), None)


def one_page(folder: Path) -> str:
    """Return the pages of a rendered book as one page of HTML for the book's folder.

    Parameters
    ----------
    folder : Path
        The folder of its HTML. Each page says which one is next.

    Returns
    -------
    str
        A cover, the contents, and each page's article. Links between pages lead within.
    """
    paths = list(_in_order(folder / "book"))
    first = paths[0].read_text()
    articles = {path.stem: _article(path) for path in paths}
    (title,) = re.findall(r'property="og:site_name" content="([^"]*)"', first)
    sheets = re.findall(r'<link[^>]*stylesheet[^>]*>|<link href="[^"]*" rel="stylesheet" />', first)
    listed = "\n".join(
        f'<li><a href="#{name}">{_heading(article)}</a></li>' for name, article in articles.items()
    )
    return "\n".join(
        [
            '<!DOCTYPE html><html lang="en" data-theme="light"><head><meta charset="utf-8">',
            f"<title>{title}</title>",
            *(sheet.replace('href="../', 'href="') for sheet in sheets),
            '<link rel="stylesheet" href="_static/formulas.css">',
            f"<style>{_STYLE}</style></head><body>",
            f'<div class="cover"><h1>{title}</h1></div>',
            f'<nav class="whole-contents"><h1>Contents</h1><ol>{listed}</ol></nav>',
            *articles.values(),
            "</body></html>",
        ]
    )


def _in_order(folder: Path) -> Iterator[Path]:
    """Yield the pages of a book from the first to the last."""
    next_page = re.compile(r'<link rel="next"[^>]* href="([^"]+)"')
    path: Path | None
    (path,) = (each for each in folder.glob("*.html") if '<link rel="prev"' not in each.read_text())
    while path:
        yield path
        found = next_page.search(path.read_text())
        path = folder / found[1] if found else None


def _article(path: Path) -> str:
    """Return what a page says, its names and links made those of a part of the whole."""
    found = re.search(r'<article class="bd-article">(.*?)</article>', path.read_text(), re.S)
    if found is None:
        raise ValueError(f"path: {path} has no article")
    name = escape(path.stem)
    article = re.sub(r'<p class="table-download">.*?</p>', "", found[1])
    article = re.sub(r'\bid="', f'id="{name}--', article)
    article = re.sub(r'(href="|url\()#', rf"\g<1>#{name}--", article)
    article = re.sub(r'href="([\w-]+)\.html#', r'href="#\1--', article)
    article = re.sub(r'href="([\w-]+)\.html"', r'href="#\1"', article)
    article = re.sub(r'((?:src|href)=")\.\./', r"\1", article)
    return f'<article class="bd-article" id="{name}">{article}</article>'


def _heading(article: str) -> str:
    """Return the heading of an article, without markup and the sign that links to it."""
    found = re.search(r"<h1>(.*?)</h1>", article, re.S)
    return re.sub(r'<a class="headerlink".*?</a>|<[^>]+>', "", found[1] if found else "").strip()
