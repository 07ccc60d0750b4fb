"""The book: it builds without a warning, and its HTML is whole."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pytest
import yaml
from PIL import Image

from helpers import settings
from helpers.book import pages, points, printing, site

pytestmark = pytest.mark.notebook

REPOSITORY = yaml.safe_load((settings.ROOT / "_config.yml").read_text())["repository"]["url"]


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


def test_every_table_can_be_downloaded(html):
    n_tables = 0
    for page in html.glob("*.html"):
        text = page.read_text()
        n_here = len(re.findall(r'<table[^>]*class="', text))
        assert text.count('<p class="table-download">') == n_here, page.name
        n_tables += n_here
    assert n_tables > 20


def test_every_executed_page_says_which_code_made_it(html):
    for path in settings.BOOK.glob("*.ipynb"):
        said = (html / f"{path.stem}.html").read_text()
        made = re.search(r'class="[^"]*made-with.*?</div>', said, re.S)
        assert made, path.name
        assert re.search(r"commit <code[^>]*><span[^>]*>[0-9a-f]{7}<", made[0]), path.name


def test_formulas_are_drawn_before_anybody_reads_them(html):
    page = (html / "method.html").read_text()
    assert page.count("<mjx-container") >= 150
    assert not re.search(r"mathjax/[^\"]*\.js|\\\(|\\\[", page)
    assert 'role="math" aria-label="n"' in page
    for font in re.findall(
        r"url\(\"?([^)\"]+)", (html.parent / "_static/formulas.css").read_text()
    ):
        assert (html.parent / "_static" / font).exists()


def test_figures_are_numbered_and_described(html):
    page = (html / "05-lesion-tests.html").read_text()
    assert len(set(re.findall(r"Fig\. (\d+)", page))) >= 3
    drawn = re.findall(
        r'<(?:svg class="drawing"|img[^>]*_images|svg[^>]*class="drawing")[^>]*>', page
    )
    assert len(drawn) >= 4
    for figure in drawn:
        assert re.search(r'(?:alt|aria-label)="[^"]{40,}"', figure)


def test_pages_can_be_searched_and_launched_where_what_they_need_is_there(html):
    assert "lesion" in (html.parent / "searchindex.js").read_text()
    page = (html / "05-lesion-tests.html").read_text()
    assert "mybinder.org" in page
    assert "colab" not in page.lower()


def test_a_page_is_downloaded_with_all_its_code(html):
    downloaded = html.parent / "_sources" / "book" / "05-lesion-tests.ipynb"
    assert downloaded.read_bytes() == (settings.BOOK / "05-lesion-tests.ipynb").read_bytes()


def test_the_introduction_is_in_the_contents_of_every_page(html):
    for page in html.glob("*.html"):
        contents = page.read_text().partition('id="pst-primary-sidebar"')[2]
        contents = contents.partition("</nav>")[0]
        assert re.search(r'href="(introduction\.html|#)"[^>]*>\s*Introduction', contents)


def test_every_page_says_where_it_is_and_how_to_cite_it(html):
    address = site.site_address(REPOSITORY)
    for page in html.glob("*.html"):
        text, here = page.read_text(), f"{address}book/{page.name}"
        assert f'<link rel="canonical" href="{here}"' in text
        assert f'property="og:url" content="{here}"' in text
        assert f'property="og:image" content="{address}{site.CARD}"' in text
        assert re.search(r'property="og:description" content="[^"]{30,}"', text)
        assert f"url = {{{here}}}" in text


def test_the_site_has_an_icon_a_card_a_sitemap_and_a_page_for_what_is_not_there(html):
    folder, address = html.parent, site.site_address(REPOSITORY)
    assert 'href="../_static/favicon.svg"' in (html / "method.html").read_text()
    assert (folder / "_static" / "favicon.svg").exists()
    with Image.open(folder / site.CARD) as card:
        assert card.size == (1200, 630)
    assert (folder / site.CARD).stat().st_size < 200_000
    listed = re.findall("<loc>(.*?)</loc>", (folder / "sitemap.xml").read_text())
    assert sorted(listed) == sorted(f"{address}book/{each.name}" for each in html.glob("*.html"))
    lost = (folder / "404.html").read_text()
    assert sorted(re.findall(r'<a href="([^"]+)"', lost)) == sorted(listed)
    first = (folder / "index.html").read_text()
    assert f'og:image" content="{address}{site.CARD}"' in first
    assert "A paper [Hod" in first, "the key of the citation in place of what it says"
    assert 'rel="icon" href="_static/favicon.svg"' in first


@pytest.fixture(scope="module", params=["https://github.com/someone/their-fork", ""])
def fork(request, tmp_path_factory):
    """The address of a repository, and the HTML of a book of one notebook that is said to be there.

    It has our configuration otherwise.
    """
    config = (settings.ROOT / "_config.yml").read_text()
    assert config.count(REPOSITORY) == 1
    folder = tmp_path_factory.mktemp("fork")
    return request.param, small_book(folder, config.replace(REPOSITORY, request.param))


def test_one_setting_makes_a_fork_another_book_and_none_leaves_no_dead_buttons(fork):
    repository, html = fork
    page = (html / "book" / "introduction.html").read_text()
    assert REPOSITORY not in page
    for link in ("their-fork", "mybinder.org", "canonical", "og:url", "/issues"):
        assert (link in page) == bool(repository), link
    assert ("https://someone.github.io/their-fork/book/introduction.html" in page) == bool(
        repository
    )


@pytest.mark.browser
@pytest.mark.skipif(not printing.chromium(), reason="no Chromium here")
def test_a_book_becomes_a_pdf_of_a_cover_contents_and_its_pages(fork):
    path = printing.print_book(fork[1])
    content = path.read_bytes()
    assert content.startswith(b"%PDF")
    assert len(re.findall(rb"/Type\s*/Page\b", content)) == 3
    assert not (fork[1] / "print.html").exists()


def small_book(folder, config):
    """Where the HTML of a book of one notebook is, with some configuration."""
    source = folder / "book"
    shutil.copytree(settings.BOOK / "_static", source / "_static")
    shutil.copytree(settings.BOOK / "_templates", source / "_templates")
    (source / "references.bib").write_text("")
    cell = nbformat.v4.new_markdown_cell("# Title\n\nWords.")
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), source / "introduction.ipynb")
    (folder / "_toc.yml").write_text("format: jb-book\nroot: book/introduction\n")
    (folder / "_config.yml").write_text(config)
    script = Path(sys.executable).with_name("jupyter-book")
    path = os.environ | {"PYTHONPATH": str(settings.HELPERS.parent)}
    built = subprocess.run([script, "build", folder], env=path, capture_output=True, text=True)
    assert not built.returncode, built.stderr
    return folder / "_build" / "html"


def test_a_broken_reference_fails_the_build(tmp_path, monkeypatch):
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "introduction.md").write_text("# Title\n\n{ref}`nowhere`\n")
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: book/introduction\n")
    (tmp_path / "_config.yml").write_text("title: broken\n")
    monkeypatch.setattr(settings, "ROOT", tmp_path)
    monkeypatch.setattr(settings, "BOOK", tmp_path / "book")
    with pytest.raises(RuntimeError, match="jupyter-book failed"):
        pages.render(tmp_path / "book", tmp_path / "source")


def test_the_book_can_be_one_page_whose_links_lead_within(html):
    page = printing.one_page(html.parent)
    names = {each.stem for each in html.glob("*.html")}
    assert set(re.findall(r'<article class="bd-article" id="([^"]+)"', page)) == names
    assert (
        page.index('id="00-')
        < page.index('id="introduction"')
        < page.index('id="method"')
        < page.index('id="09-')
    )
    known = set(re.findall(r'\bid="([^"]+)"', page))
    for target in re.findall(r'href="#([^"]*)"', page):
        assert target in known or target.endswith("--")
    for path in re.findall(r'(?:src|href)="([^"#:]+)"', page):
        assert (html.parent / unquote(path.partition("?")[0])).exists()


def test_the_figure_of_the_readme_is_the_one_on_the_page(tmp_path):
    saved = pages.save_figure(settings.BOOK / "05-lesion-tests.ipynb", "fig-profiles", tmp_path)
    assert saved.read_bytes() == (settings.BOOK / "figures" / "profiles.svg").read_bytes()
    (shown,) = re.findall(r"book/figures/profiles\.\w+", (settings.ROOT / "README.md").read_text())
    assert (settings.ROOT / shown).exists()
    with pytest.raises(ValueError, match="no figure 'fig-nothing'"):
        pages.save_figure(settings.BOOK / "05-lesion-tests.ipynb", "fig-nothing", tmp_path)


def test_pages_at_paper_scale_come_from_the_sweep_file():
    for name, parameters in points.of_pages().items():
        notebook = nbformat.read(settings.BOOK / f"{name}.ipynb", as_version=4)
        given = notebook.metadata.papermill.parameters
        source = settings.NOTEBOOKS / f"{name}.ipynb"
        assert points.point(source, given).parameters == points.point(source, parameters).parameters
        assert notebook.metadata.papermill.exception is None


@pytest.mark.parametrize("path", sorted(settings.BOOK.glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_page_has_the_words_and_the_code_of_its_notebook(path):
    def cells(folder):
        injected = {"parameters", "injected-parameters"}
        return [
            (cell.cell_type, cell.source, set(cell.metadata.get("tags", [])))
            for cell in nbformat.read(folder / path.name, as_version=4).cells
            if not injected & set(cell.metadata.get("tags", []))
        ]

    assert cells(settings.BOOK) == cells(settings.NOTEBOOKS)
