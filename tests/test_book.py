"""The book: it builds without a warning, and its HTML is whole."""

import re
from urllib.parse import unquote

import nbformat
import pytest

from helpers import settings
from helpers.book import pages, points

pytestmark = pytest.mark.notebook


def test_every_page_of_the_contents_is_there_and_has_a_title(html):
    names = re.findall(r"book/([\w-]+)", (settings.ROOT / "_toc.yml").read_text())
    assert len(names) >= 6
    for name in names:
        assert "<h1>" in (html / f"{name}.html").read_text()


def test_every_image_and_local_link_leads_somewhere(html):
    for page in html.glob("*.html"):
        for target in re.findall(r'(?:src|href)="([^"#?]+)', page.read_text()):
            if not re.match(r"[a-z]+:|//", target):
                assert (page.parent / unquote(target)).exists(), f"{page.name}: {target}"


def test_pages_show_no_tracebacks_and_no_raw_markup(html):
    for page in html.glob("*.html"):
        text = re.sub(r"<(script|style|pre).*?</\1>", "", page.read_text(), flags=re.S)
        assert "Traceback (most recent call last)" not in page.read_text()
        assert not re.search(r"\{(doc|numref|eq|cite)\}|:::|```", text)


def test_pages_have_the_style_of_the_book(html):
    for page in html.glob("*.html"):
        assert "_static/book.css" in page.read_text()


def test_formulas_are_drawn_without_the_internet(html):
    scripts = re.findall(r'<script[^>]*src="([^"]+)"', (html / "method.html").read_text())
    (mathjax,) = [each for each in scripts if "mathjax" in each.lower()]
    assert (html / mathjax.split("?")[0]).exists()


def test_figures_are_numbered_and_described(html):
    page = (html / "05-lesion-tests.html").read_text()
    assert len(set(re.findall(r"Fig\. (\d+)", page))) >= 3
    for image in re.findall(r"<img[^>]*_images[^>]*>", page):
        assert re.search(r'alt="[^"]{40,}"', image)


def test_pages_can_be_searched_and_launched(html):
    assert "lesion" in (html.parent / "searchindex.js").read_text()
    page = (html / "05-lesion-tests.html").read_text()
    assert "mybinder.org" in page
    assert "colab.research.google.com" in page


def test_a_broken_reference_fails_the_build(tmp_path, monkeypatch):
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "introduction.md").write_text("# Title\n\n{ref}`nowhere`\n")
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: book/introduction\n")
    (tmp_path / "_config.yml").write_text("title: broken\n")
    monkeypatch.setattr(settings, "ROOT", tmp_path)
    monkeypatch.setattr(settings, "BOOK", tmp_path / "book")
    with pytest.raises(RuntimeError, match="jupyter-book failed"):
        pages.render(tmp_path / "book", tmp_path / "source")


def test_the_figure_of_the_readme_is_the_one_on_the_page(tmp_path):
    saved = pages.save_figure(settings.BOOK / "05-lesion-tests.ipynb", "fig-profiles", tmp_path)
    assert saved.read_bytes() == (settings.BOOK / "figures" / "profiles.png").read_bytes()
    assert "book/figures/profiles.png" in (settings.ROOT / "README.md").read_text()
    with pytest.raises(ValueError, match="no figure 'fig-nothing'"):
        pages.save_figure(settings.BOOK / "05-lesion-tests.ipynb", "fig-nothing", tmp_path)


def test_pages_at_paper_scale_come_from_the_sweep_file():
    for name, parameters in pages._paper_parameters().items():
        notebook = nbformat.read(settings.BOOK / f"{name}.ipynb", as_version=4)
        given = notebook.metadata.papermill.parameters
        source = settings.NOTEBOOKS / f"{name}.ipynb"
        assert points.point(source, given).parameters == points.point(source, parameters).parameters
        assert notebook.metadata.papermill.exception is None
