"""Runs: papermill executions that are refused early or finished whole."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from helpers import runs


@pytest.fixture
def notebook(tmp_path):
    parameters = new_code_cell("n: int = 2  # a number", metadata={"tags": ["parameters"]})
    path = tmp_path / "sources" / "tiny.ipynb"
    path.parent.mkdir()
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(
        new_notebook(
            cells=[parameters, new_code_cell("print(10 // n)")], metadata={"kernelspec": kernel}
        ),
        path,
    )
    return path


def printed(path):
    return nbformat.read(path, as_version=4).cells[-1].outputs[0].text


def test_notebooks_are_executed_side_by_side_with_their_own_parameters(notebook, tmp_path):
    chosen = [runs.Run(notebook, tmp_path / f"{n}.ipynb", {"n": n}) for n in (1, 5)]
    done = runs.execute_all(chosen)
    assert [printed(path) for path in done] == ["10\n", "2\n"]


def test_overridden_defaults_are_folded_away(notebook, tmp_path):
    injected = nbformat.read(
        runs.execute(runs.Run(notebook, tmp_path / "out.ipynb", {"n": 1})), as_version=4
    )
    assert "hide-cell" in injected.cells[0].metadata.tags
    assert injected.metadata.papermill.output_path == "out.ipynb"
    plain = nbformat.read(runs.execute(runs.Run(notebook, tmp_path / "out.ipynb", {})), 4)
    assert "hide-cell" not in plain.cells[0].metadata.tags
    assert printed(tmp_path / "out.ipynb") == "5\n"


def test_a_run_that_fails_leaves_nothing_that_looks_finished(notebook, tmp_path):
    output = tmp_path / "out" / "failed.ipynb"
    with pytest.raises(Exception, match="ZeroDivisionError"):
        runs.execute(runs.Run(notebook, output, {"n": 0}))
    assert list(output.parent.iterdir()) == []


@pytest.mark.parametrize("parameters", [{"m": 1}, {"n": "1"}, {"n": 1.0}, {"n": True}])
def test_unknown_or_mistyped_parameters_are_refused_before_anything_runs(
    notebook, tmp_path, parameters
):
    good = runs.Run(notebook, tmp_path / "good.ipynb", {"n": 1})
    bad = runs.Run(notebook, tmp_path / "bad.ipynb", parameters)
    with pytest.raises(ValueError, match="accepted are n: int"):
        runs.execute_all([good, bad])
    assert list(tmp_path.glob("*.ipynb")) == []
