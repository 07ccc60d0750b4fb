"""What the site says of itself: its address, previews, how to cite a page, what is where.

An extension of Sphinx, see ``_config.yml``. The address of the repository there is the one setting
that a fork changes: buttons, Binder, canonical addresses, previews and the sitemap follow from it,
and without it there are none.
"""

import re
from collections.abc import Iterator
from html import escape
from pathlib import Path
from textwrap import shorten
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config

from helpers import files
from helpers.book.card import write_card

CARD = "_static/card.png"
"""Where the picture lies that a link to the book is shown with elsewhere."""


def site_address(repository: str) -> str:
    """Return where the pages of a repository are published, "" where that is not known.

    Parameters
    ----------
    repository : str
        Address of a repository. GitHub and GitLab publish pages at addresses that follow from it.
    """
    pattern = r"https://(github|gitlab)\.com/([\w-]+)/([\w.-]+?)(?:\.git)?/?"
    found = re.fullmatch(pattern, repository)
    if not found:
        return ""
    host, owner, name = found.groups()
    root = f"https://{owner.lower()}.{host}.io/"
    return root if f"https://{name.lower()}/" == root else f"{root}{name}/"


def bibtex(key: str, title: str, book: str, author: str, year: str, address: str) -> str:
    """Return how to cite a page, as BibTeX.

    Parameters
    ----------
    key, title, book, author, year : str
        Of the page. The author is a group and kept together.
    address : str
        Where the page is; "" leaves it out.
    """
    fields = {
        "author": f"{{{author}}}",
        "title": title,
        "howpublished": f"In: {book}",
        "year": year,
        "url": address,
    }
    lines = [f"  {name} = {{{value}}}" for name, value in fields.items() if value]
    return f"@misc{{{key},\n" + ",\n".join(lines) + "\n}"


def sitemap(address: str, pages: list[str]) -> str:
    """Return the sitemap of pages, given by their names below an address."""
    listed = "".join(f"<url><loc>{address}{page}.html</loc></url>\n" for page in pages)
    space = "http://www.sitemaps.org/schemas/sitemap/0.9"
    return f'<?xml version="1.0" encoding="utf-8"?>\n<urlset xmlns="{space}">\n{listed}</urlset>\n'


def description(doctree: nodes.document | None) -> str:
    """Return what a page is about: how its first paragraph begins, "" if it has none."""
    paragraphs = doctree.findall(nodes.paragraph) if doctree else iter(())
    first = next((each.astext() for each in paragraphs), "")
    return shorten(" ".join(first.split()), 200, placeholder=" …")


def _follow_repository(_: Sphinx, config: Config) -> None:
    """Let everything that needs an address of the book follow from that of its repository."""
    options = config.html_theme_options
    repository = options.get("repository_url") or ""
    options["use_repository_button"] = options["use_issues_button"] = bool(repository)
    if not repository:
        options["launch_buttons"] = {}
    config.html_baseurl = config.html_baseurl or site_address(repository)


def _describe(
    app: Sphinx, name: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Add previews, and how to cite it, to what a page is made of."""
    address, root = app.config.html_baseurl, app.config.root_doc
    if name == "index":  # It leads to the first page, and is what people share.
        doctree = app.env.get_and_resolve_doctree(root, app.builder)
    is_page = name in app.env.found_docs
    title = app.env.titles[name].astext() if is_page else app.config.html_title
    said = {"description": description(doctree)}
    if is_page or name == "index":
        said |= {
            "og:title": title,
            "og:description": said["description"],
            "og:type": "article" if is_page else "website",
            "og:site_name": app.config.html_title,
            "og:url": address and f"{address}{name if is_page else root}.html",
            "og:image": address and f"{address}{CARD}",
            "og:image:alt": address and f"{app.config.html_title}, and clusters of a network",
            "twitter:card": address and "summary_large_image",
        }
    context["metatags"] = context.get("metatags", "") + "".join(
        f'\n<meta {"property" if key.startswith("og:") else "name"}="{key}" '
        f'content="{escape(value)}" />'
        for key, value in said.items()
        if value
    )
    context["site_address"] = address
    context["site_pages"] = [(each, app.env.titles[each].astext()) for each in _in_order(app)]
    context["cite"] = is_page and bibtex(
        "importance-and-coherence-" + name.rpartition("/")[2],
        title,
        app.config.html_title,
        app.config.author,
        app.config.copyright[:4],
        address and f"{address}{name}.html",
    )


def _more_pages(_: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Add the page for what is not there, and the one that leads to the first."""
    yield "404", {}, "404.html"
    yield "index", {}, "index.html"


def _write_site(app: Sphinx, error: Exception | None) -> None:
    """Write what belongs to the site as a whole."""
    if error or app.builder.format != "html":
        return
    folder, address = Path(app.outdir), app.config.html_baseurl
    with files.written_whole(folder / CARD) as temporary:
        write_card(app.config.html_title, temporary)
    if address:
        with files.written_whole(folder / "sitemap.xml") as temporary:
            temporary.write_text(sitemap(address, _in_order(app)))


def _in_order(app: Sphinx) -> list[str]:
    """Return the names of the pages in the order of the contents."""
    root = app.config.root_doc
    return [root, *app.env.toctree_includes.get(root, [])]


def setup(app: Sphinx) -> dict[str, bool]:
    """Let Sphinx know of this."""
    app.connect("config-inited", _follow_repository)
    app.connect("html-page-context", _describe)
    app.connect("html-collect-pages", _more_pages)
    app.connect("build-finished", _write_site)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
