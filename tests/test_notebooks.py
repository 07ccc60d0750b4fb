"""Notebooks: thin, executed, and fit to be pages. (That their outputs hold is nbval's to say.)"""

import ast
import html
import re
from itertools import product

import nbformat
import pytest

from helpers import settings, zoo
from helpers.book import execution, lesion_counts

pytestmark = pytest.mark.notebook


SECTIONS = sorted(settings.NOTEBOOKS.glob("*.ipynb"))
PAGES = sorted(settings.BOOK.glob("*.ipynb"))


OF_THE_FORM = (
    r"(What|How|Which|The same|Panels|Columns of|Rows of|(Two|Four) (panels|rows|histograms)"
    r"|A (bar|square|histogram))\b"
)
"""How captions and alternative texts begin that say what a figure is and not what it shows."""


@pytest.fixture(params=SECTIONS, ids=lambda path: path.stem)
def section(request):
    return nbformat.read(request.param, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def figure(cell):
    return cell.metadata.get("mystnb", {}).get("figure")


def test_every_section_has_a_page_at_paper_scale():
    assert SECTIONS
    assert [path.name for path in SECTIONS] == [path.name for path in PAGES]


@pytest.mark.parametrize(
    "path", SECTIONS + PAGES, ids=lambda path: f"{path.parent.name}/{path.stem}"
)
def test_every_cell_was_executed_in_order_without_errors_or_stray_messages(path):
    cells = code_cells(nbformat.read(path, as_version=4))
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    kinds = {output.output_type for cell in cells for output in cell.outputs}
    assert kinds <= {"execute_result", "display_data"}


def test_one_cell_holds_typed_and_commented_parameters(section):
    (cell,) = [c for c in code_cells(section) if "parameters" in c.metadata.get("tags", [])]
    for line in cell.source.splitlines():
        assert re.fullmatch(r"[a-z_]+: (int|float|str|bool) = .+  # \S.*", line)
    assert re.search(r'^(network|mlps|dataset): str = "', cell.source, re.M)
    for names in re.findall(r'^(?:network|mlps|cnns|dataset): str = "(.+?)"', cell.source, re.M):
        # Reading what has been counted needs no images.
        assert all("digits" in name or name in lesion_counts.VGGS for name in names.split())


def test_cells_are_short_and_define_no_functions(section):
    for cell in code_cells(section):
        assert not re.search(r"^\s*(def|class) ", cell.source, re.M)
        if "import" not in cell.source and "parameters" not in cell.metadata.get("tags", []):
            assert len(cell.source.splitlines()) <= 10


def test_prose_holds_no_typed_results(section):
    prose = "\n".join(c.source for c in section.cells if c.cell_type == "markdown")
    assert not re.search(r"\d+\.\d+|\d+ ?%", prose)


def test_figures_have_a_name_a_caption_and_a_description(section):
    pictures = [c for c in code_cells(section) if any("image/svg+xml" in o.data for o in c.outputs)]
    assert pictures
    for cell in pictures:
        assert len(cell.outputs) == 1
        assert figure(cell)["name"].startswith("fig-")
        assert len(figure(cell)["caption"]) > 40
        alternative = cell.metadata["mystnb"]["image"]["alt"]
        assert len(alternative) > 40
        for text in (cell.metadata["mystnb"]["figure"]["caption"], alternative):
            assert not re.match(OF_THE_FORM, text), "begin with what there is to see"


def test_pictures_between_the_prose_are_described_by_what_there_is_to_see():
    alternatives = [
        alternative
        for path in settings.BOOK.glob("*.md")
        for alternative in re.findall(r"^:alt: (.*)$", path.read_text(), re.M)
    ]
    assert len(alternatives) > 5
    assert [each for each in alternatives if re.match(OF_THE_FORM, each)] == []


def parameters_of(path):
    """What a notebook was executed with: its defaults, overridden by what was injected."""
    cells = code_cells(nbformat.read(path, as_version=4))
    tagged = [
        c for c in cells if {"parameters", "injected-parameters"} & set(c.metadata.get("tags", []))
    ]
    assigned = re.findall(
        r"^([a-z_]+)(?:: \w+)? = (.+?)(?:  #.*)?$", "\n".join(c.source for c in tagged), re.M
    )
    return {name: ast.literal_eval(value) for name, value in assigned}


def test_the_networks_of_the_pages_lie_in_the_zoo():
    for path in SECTIONS + PAGES:
        given = parameters_of(path)
        names = " ".join(given.get(key, "") for key in ("network", "mlps", "cnns")).split()
        assert names or "dataset" in given  # then it trains a network itself
        replicates = str(given.get("replicates", given.get("replicate", 0))).split()
        for name, replicate in product(names, replicates):
            stem = f"{zoo.recipe(name).name}-{replicate}"
            assert (settings.ZOO / f"{stem}.npz").exists()


@pytest.mark.parametrize(
    "parameters",
    [
        {"mlps": "digits-mlp", "cnns": "", "protocol": "released"},
        {"mlps": "", "cnns": "stack-diff-digits-cnn", "n_random": 3},
    ],
    ids=str,
)
def test_pictures_can_be_had_of_one_kind_of_network_alone(parameters, tmp_path):
    source = settings.NOTEBOOKS / "03-correlation-visualization.ipynb"
    execution.execute(source, parameters, tmp_path / "out.ipynb")
    assert (tmp_path / "out.ipynb").exists()


def test_inputs_can_be_constructed_for_an_untrained_network(tmp_path, monkeypatch):
    monkeypatch.setenv("MODULARITY_CACHE", str(tmp_path / "cache"))
    source = settings.NOTEBOOKS / "04-input-construction.ipynb"
    few = {"n_random": 2, "n_steps": 5, "n_clusters": 4, "protocol": "released"}
    done = tmp_path / "out.ipynb"
    execution.execute(source, {"network": "digits-rgb-mlp-untrained"} | few, done)
    shown = "\n".join(str(c.outputs) for c in code_cells(nbformat.read(done, as_version=4)))
    assert "after 0 epochs" in shown


@pytest.mark.parametrize("path", SECTIONS + PAGES, ids=lambda path: f"{path.parts[-2:]}")
def test_no_path_of_the_machine_that_executed_them_is_kept(path):
    assert str(settings.ROOT) not in path.read_text()
    assert not re.search(r'"(input|output)_path": ".*/', path.read_text())


def printed(folder, name):
    """What a page prints: its tables and sentences."""
    (path,) = folder.glob(f"{name}-*.ipynb")
    kinds = ("text/html", "text/markdown")
    outputs = [each for cell in code_cells(nbformat.read(path, 4)) for each in cell.outputs]
    texts = [each.get("data", {}).get(kind, "") for each in outputs for kind in kinds]
    return html.unescape("\n".join(texts))


def rows_of(text):
    """The first cells of a table's rows by their heading."""
    pattern = r"<th>([^<]+)</th>\s*<td>([^<]*)</td>\s*<td>([^<]*)</td>"
    return {name: cells for name, *cells in re.findall(pattern, text)}


@pytest.mark.parametrize("folder", [settings.NOTEBOOKS, settings.BOOK], ids=["digits", "paper"])
def test_the_first_page_quotes_effects_and_verdicts_of_the_page_behind_it(folder):
    first, behind = printed(folder, "00"), printed(folder, "09")
    quoted = re.findall(r"(MLP|CNN)s (-?[\d.]+)(?: to (-?[\d.]+))? ([a-z -]+)", first)
    assert len(quoted) > 5
    effects = re.findall(r"<td>([A-Z]+) on [^<]*</td>\s*<td>(-?[\d.]+) ([a-z -]+) \(", behind)
    for family, least, most, unit in quoted:
        known = {number for kind, number, of in effects if (kind, of) == (family, unit.strip())}
        assert {least, most or least} <= known, (family, unit)
    claimed = re.findall(r"<th>([a-z ]+)</th>\s*<td>([^<]+)</td>\s*<td>([^<]+)</td>", behind)
    for about in ("Sub-clusters are important.", "Pictures of MLPs' sub-clusters are clearer."):
        verdicts = {
            family: {
                verdict for verdict, claim, kind in claimed if (claim, kind[:3]) == (about, family)
            }
            for family in ("MLP", "CNN")
        }
        holding = "; ".join(f"{family}s" for family, each in verdicts.items() if each == {"holds"})
        assert f"holds ({holding})" in first


def test_sizes_of_tests_on_two_pages_are_the_same():
    """Page 11 measures them for one network, page 09 shows those of several."""
    measured, collected = (printed(settings.BOOK, each) for each in ("11", "09"))
    size = r"(\d\.\d{3} \(\d\.\d{3} to \d\.\d{3}\))</td>"
    rows = re.findall(rf"<th>([^<]+)</th>\s*<td>[\d,]+</td>\s*<td>{size}", measured)
    assert len(rows) > 10
    for name, of_one in rows:
        of_all = rf"<th>{re.escape(name)}</th>(\s*<td>[^<]*</td>)*?\s*<td>{re.escape(of_one)}"
        assert re.search(of_all, collected), name


def test_accuracies_on_two_pages_are_the_same():
    """Page 02 has one network of each kind, page 09 the number of them and the lowest accuracy."""
    alone, all_of_them = (rows_of(printed(settings.BOOK, each)) for each in ("02", "09"))
    both = {name for name in alone.keys() & all_of_them.keys() if "-" in name}
    assert len(both) > 3
    for name in both:
        accuracy, (n_networks, lowest) = float(alone[name][0]), all_of_them[name]
        assert accuracy >= float(lowest)
        assert accuracy == float(lowest) or n_networks != "1"
