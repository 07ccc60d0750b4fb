"""What becomes of notebooks and pages on their way to a reader, in small."""

import re
import shutil
from pathlib import Path

import matplotlib as mpl
import nbformat
import pandas as pd
import pytest
from docutils import nodes
from fontTools.ttLib import TTFont

from helpers.book import finishing, reading, site, stylesheets


@pytest.mark.parametrize(
    ("repository", "address"),
    [
        ("https://github.com/Someone/book", "https://someone.github.io/book/"),
        ("https://github.com/someone/book.git", "https://someone.github.io/book/"),
        ("https://gitlab.com/someone/book/", "https://someone.gitlab.io/book/"),
        ("https://github.com/someone/someone.github.io", "https://someone.github.io/"),
        ("https://example.org/someone/book", ""),
        ("", ""),
    ],
)
def test_the_address_of_the_pages_follows_from_that_of_the_repository(repository, address):
    assert site.site_address(repository) == address


def test_a_page_is_cited_with_its_address_if_it_has_one():
    given = ("key", "Title", "Book", "We", "2026")
    cited = site.bibtex(*given, "https://example.org/a.html")
    assert cited.splitlines()[0] == "@misc{key,"
    assert "  author = {{We}},\n  title = {Title},\n" in cited
    assert cited.endswith("  url = {https://example.org/a.html}\n}")
    assert "url" not in site.bibtex(*given, "")
    assert cited.count("{") == cited.count("}")


def test_a_sitemap_lists_whole_addresses():
    listed = site.sitemap("https://example.org/", ["book/a", "book/b"])
    assert re.findall("<loc>(.*?)</loc>", listed) == [
        "https://example.org/book/a.html",
        "https://example.org/book/b.html",
    ]


def test_a_page_is_described_by_the_beginning_of_its_first_paragraph():
    text = nodes.paragraph("", "word\n" * 100)
    page = nodes.document(None, None, nodes.title("", "Title"), text)
    said = site.description(page)
    assert said.startswith("word word")
    assert said.endswith(" …")
    assert len(said) <= 200
    assert site.description(None) == ""


@pytest.fixture
def page():
    """A notebook that has run: parameters, imports, prose, a figure, and an instructive cell."""
    new, markdown = nbformat.v4.new_code_cell, nbformat.v4.new_markdown_cell
    prose = [nbformat.v4.new_output("execute_result", {"text/markdown": "**1** of 2"})]
    figure = [nbformat.v4.new_output("display_data", {"image/svg+xml": "<svg></svg>"})]
    cells = [
        markdown("# Title"),
        new('network: str = "a"  # name\nseed: int = 0  # seed', metadata={"tags": ["parameters"]}),
        new('# Parameters\nnetwork = "b"', metadata={"tags": ["injected-parameters"]}),
        new("import numpy as np"),
        new('Markdown(f"**{n}** of 2")', outputs=prose),
        new("plots.figure()", outputs=figure, metadata={"mystnb": {"figure": {"name": "fig-a"}}}),
        new("cut = partitions.cut(graph)", metadata={"tags": ["instructive"]}),
    ]
    return nbformat.v4.new_notebook(cells=cells, metadata={"made": {"commit": "0123456789"}})


def test_readers_see_results_and_only_code_that_teaches(page):
    shown = reading.readable(page).cells
    hidden = [each.source for each in shown if "remove-input" in each.metadata.get("tags", [])]
    assert hidden == ['Markdown(f"**{n}** of 2")', "plots.figure()"]
    assert "import numpy as np" not in [each.source for each in shown]
    assert shown[-2].source == "cut = partitions.cut(graph)"
    assert shown[-3].metadata["mystnb"] == {"figure": {"name": "fig-a"}}


def test_parameters_become_a_last_line_with_what_was_given_and_the_commit(page):
    assert reading.parameters(page) == {"network": "b", "seed": 0}
    line = reading.readable(page).cells[-1]
    assert line.cell_type == "markdown"
    assert "Made with: network `b`, seed `0`, commit `0123456`." in line.source
    assert len(reading.readable(page).cells) == 5


def test_code_that_teaches_is_shown_without_the_sentence_that_it_makes(page):
    page.cells[-1].source = 'n = len(cut)\nMarkdown(\n    f"**{n}** parts"\n)'
    assert reading.readable(page).cells[-2].source == "n = len(cut)"
    page.cells[-1].source = "n = len(cut)\nn"
    assert reading.readable(page).cells[-2].source == "n = len(cut)\nn"


def test_what_is_folded_says_that_it_is_a_table(page):
    page.cells[4].metadata["tags"] = ["hide-output"]
    said = [each.metadata.get("mystnb", {}) for each in reading.readable(page).cells]
    assert [each["code_prompt_show"] for each in said if "code_prompt_show" in each] == [
        "Show the table"
    ]


def test_a_page_that_is_made_readable_stays_as_it_is(page):
    before = nbformat.writes(page)
    reading.readable(page)
    assert nbformat.writes(page) == before


@pytest.mark.parametrize(
    ("rule", "stays"),
    [
        (".used { color: red }", True),
        (".unused { color: red }", False),
        (".used .unused { color: red }", False),
        (".unused, .used { color: red }", True),
        (".used:not(.unused) { color: red }", True),
        (":is(.unused, p) { color: red }", True),
        (".fa-used:before { content: '}' }", False),
        ("p { color: red }", True),
        ("@media print { .used { color: red } }", True),
        ("@media print { .unused { color: red } }", False),
        ("@font-face { font-family: a; src: url(a.ttf) }", True),
        ("@keyframes turn { to { rotate: 1turn } }", True),
        (r".w\:1 { color: red }", False),
    ],
)
def test_rules_that_can_apply_to_no_page_are_left_out(rule, stays):
    found = stylesheets.used_only(f"a {{ b: c }} {rule} d {{ e: f }}", {"used"})
    assert found.startswith("a{b: c}")
    assert found.endswith("d{e: f}")
    assert (len(found) > len("a{b: c}d{e: f}")) == stays


def test_a_style_sheet_without_its_last_brace_is_refused():
    with pytest.raises(ValueError, match="css: a brace is not closed"):
        stylesheets.used_only("a { b: c", set())


def test_an_icon_font_keeps_the_icons_that_are_drawn(tmp_path):
    source = Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    shutil.copy(source, tmp_path / "icons.ttf")
    (tmp_path / "icons.woff2").write_bytes(b"")
    css = (
        '@font-face{src:url(icons.woff2) format("woff2"),url(icons.ttf) format("truetype")}'
        '.a{--fa:"\\2605"}'
    )
    (tmp_path / "sheet.css").write_text(css)
    stylesheets.subset_fonts(tmp_path / "sheet.css", stylesheets.icons(css))
    assert 'src:url(icons.woff) format("woff")' in (tmp_path / "sheet.css").read_text()
    assert set(TTFont(tmp_path / "icons.woff").getBestCmap()) == {0x2605}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["icons.woff", "sheet.css"]


FIGURE = """<?xml version="1.0"?><svg width="10" viewBox="0 0 1 1"><defs><path id="m"/></defs>
<rect style="fill: #ffffff; stroke: #000000"/><use xlink:href="#m" fill="#0072B2"/>
<text style="fill: #010101" fill="white">a</text></svg>"""


def test_a_figure_stands_in_the_page_in_the_colours_of_its_text_and_ground(tmp_path):
    (tmp_path / "_images").mkdir()
    (tmp_path / "_images" / "a.svg").write_text(FIGURE)
    image = '<p><img alt="What &amp; why" src="_images/a.svg" style="width: 100%" /></p>'
    page = finishing.with_figures(image * 2, tmp_path)
    assert "<img" not in page
    assert page.count('role="img" aria-label="What &amp; why"') == 2
    assert "fill:var(--pst-color-background, #fff);stroke:currentColor" in page
    assert 'fill="#0072B2"' in page
    assert "fill:#010101" in page
    assert re.findall(r'id="([^"]+)"', page) == ["f1-m", "f2-m"]
    assert re.findall(r'href="#([^"]+)"', page) == ["f1-m", "f2-m"]


def test_only_what_is_drawn_in_thousands_of_strokes_is_less_precise(tmp_path):
    (tmp_path / "_images").mkdir()
    few, many = "M1.25 2.75H3.55", "M1.25 2.75H3.55" * 400
    (tmp_path / "_images" / "a.svg").write_text(f'<svg><path d="{few}"/><path d="{many}"/></svg>')
    page = finishing.with_figures('<img alt="" src="_images/a.svg" />', tmp_path)
    assert re.findall(r' d="([^"]+)"', page) == [few, "M1.2 2.7H3.5" * 400]


def test_pictures_of_other_kinds_stay_images(tmp_path):
    image = '<img alt="a" src="_images/a.png" /><img alt="" src="_static/logo.svg" />'
    assert finishing.with_figures(image, tmp_path) == image


def test_empty_headings_of_tables_become_cells_and_icons_are_not_read_out():
    page = finishing.mended('<tr><th></th><th>p</th></tr><i class="fa-solid fa-bars"></i>')
    cells = "<tr><td></td><th>p</th></tr>"
    assert page == f'{cells}<i class="fa-solid fa-bars" aria-hidden="true"></i>'


def shown_table(table):
    return finishing.mended(table.to_html(classes="", index_names=True))


def test_the_names_of_an_index_stand_in_the_row_of_the_other_headings():
    index = pd.MultiIndex.from_tuples([("a", 1), ("a", 2)], names=["layer", "cluster"])
    page = shown_table(pd.DataFrame({"p": [0.1, 0.2], "size": [3, 4]}, index))
    (head,) = re.findall(r"<thead>(.*?)</thead>", page, re.S)
    assert head.count("<tr") == 1
    names = ["layer", "cluster", "p", "size"]
    assert re.findall(r"<th[^>]*>(.*?)</th>", head) == names
    assert re.findall(r'<th class="words">(.*?)</th>', head) == names[:2]
    nameless = shown_table(pd.DataFrame({"p": [0.1]}))
    assert "<td></td>" in nameless
    wide = pd.DataFrame([[1, 2]], ["a"], pd.MultiIndex.from_product([["m"], ["p", "q"]]))
    assert shown_table(wide.rename_axis("network")).count("<tr") == 3


def test_columns_with_words_are_read_from_the_left_and_numbers_from_the_right():
    table = pd.DataFrame(
        {
            "reading": ["no conclusion", "yes"],
            "p": ["0.12 (0.01 to 0.3)", "< 0.0001 (< 0.0001 to 0.00077)"],
            "n": ["12", "3"],
        }
    )
    rows = re.findall(r"<tr>(.*?)</tr>", shown_table(table).partition("<tbody>")[2], re.S)
    marks = [re.findall(r'<td(?: class="(\w+)")?>', row) for row in rows]
    assert marks == [["words", "", "whole"], ["words", "", "whole"]]
    assert '<th class="words">reading</th>' in shown_table(table)


def test_no_cell_of_a_table_is_lost_whatever_is_in_it():
    table = pd.DataFrame({"note": ["<b>hello there</b>", "x", "y"], "n": ["1", "2", "3 points"]})
    page = finishing.mended(table.to_html(escape=False))
    cells = [re.sub("<[^>]*>", "", each) for each in re.findall(r"<td.*?</td>", page)[1:]]
    assert cells == ["hello there", "1", "x", "2", "y", "3 points"]
    assert page.count('<td class="words"') == 3


def test_each_table_can_be_downloaded_as_it_reads(tmp_path):
    index = pd.MultiIndex.from_product([["a, b", "c"], [1, 2]], names=["layer", "k"])
    whole = pd.DataFrame({"p": ["< .0001", ".02", "<i>", "1 & 2"]}, index=index)
    plain = pd.DataFrame({"n": [3]})
    html = finishing.mended(f"<div>{whole.to_html()}</div><p>Text.</p>{plain.to_html()}")
    page = finishing.with_downloads(html, tmp_path / "05-lesion-tests.html")
    links = re.findall(r'</table><p class="table-download"><a href="([^"]*)" download>', page)
    assert links == ["tables/05-lesion-tests-1.csv", "tables/05-lesion-tests-2.csv"]
    first, second = (pd.read_csv(tmp_path / link, dtype=str) for link in links)
    assert first["layer"].tolist() == ["a, b", "a, b", "c", "c"]
    assert (first["k"].tolist(), first["p"].tolist()) == (["1", "2"] * 2, whole["p"].tolist())
    assert second["n"].tolist() == ["3"]


def test_findings_come_first_below_the_title_wherever_they_were_computed():
    new = nbformat.v4
    found = new.new_code_cell("Markdown('**found**')", metadata={"tags": ["finding"]})
    found.outputs = [new.new_output("display_data", {"text/markdown": "**found**"})]
    seen = new.new_code_cell("plots.taxonomy(kinds)", metadata={"tags": ["finding"]})
    seen.metadata["mystnb"] = {"figure": {"caption": "Look."}}
    seen.outputs = [new.new_output("display_data", {"image/svg+xml": "<svg/>"})]
    given = new.new_code_cell("n_clusters: int = 12", metadata={"tags": ["parameters"]})
    cells = [
        new.new_markdown_cell("# Title\n\nHow.\n\nMore."),
        given,
        seen,
        new.new_markdown_cell("Then."),
        found,
    ]
    page = new.new_notebook(cells=cells)
    shown = reading.readable(page).cells
    assert [each.source.split("(")[0] for each in shown] == [
        "# Title",
        "Markdown",
        "plots.taxonomy",
        "How.\n\nMore.",
        "Then.",
        ":::{container} made-with\nMade with: n_clusters `12`.\n:::",
    ]
    assert shown[1].outputs == found.outputs
    assert "remove-input" in shown[1].metadata["tags"]
    assert len({each.id for each in shown}) == 6
