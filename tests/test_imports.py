"""What importing loads, and who may import whom."""

import ast
import importlib
import json
import os
import subprocess
import sys

import pytest

from helpers import settings

LIGHT = ("helpers", "helpers.partitions", "helpers.statistics", "helpers.protocols")
LIGHT += ("helpers.measures", "helpers.lesions", "helpers.fingerprints", "helpers.report")
HEAVY = ("tensorflow", "keras", "lucid", "papermill", "distributed", "jax")


@pytest.mark.process
def test_arithmetic_loads_no_tensorflow_and_evaluation_no_lucid():
    code = f"""
import importlib, json, sys
for name in {LIGHT!r}:
    importlib.import_module(name)
light = [name for name in {HEAVY!r} if name in sys.modules]
import helpers.evaluation, helpers.construction
heavy = [name for name in {HEAVY!r} if name in sys.modules]
print(json.dumps([light, heavy]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [[], ["tensorflow", "keras"]]


@pytest.mark.process
def test_executing_a_notebook_loads_neither_pandas_nor_what_checks_addresses():
    code = """
import sys
import helpers.book.execution
assert "papermill" in sys.modules
print({"pandas", "pyarrow", "rfc3987_syntax", "tensorflow"} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.process
def test_keras_computes_with_jax_where_its_file_of_settings_says_so(tmp_path):
    pytest.importorskip("jax")
    (tmp_path / "keras.json").write_text('{"backend": "jax"}')
    code = "from helpers.backend import keras; print(keras.backend.backend(), keras.ops.ones(2))"
    env = {name: each for name, each in os.environ.items() if name != "KERAS_BACKEND"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=env | {"KERAS_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "jax [1. 1.]"


def test_without_a_module_importing_it_fails_for_a_while():
    sys.modules.pop("colorsys", None)
    with settings.without("colorsys", "json"):
        with pytest.raises(ImportError):
            importlib.import_module("colorsys")
        assert importlib.import_module("json") is json  # It was there before.
    assert importlib.import_module("colorsys")


def imported_by(path):
    """The modules of helpers that a file imports, also within functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("helpers"):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("helpers"))


def test_nothing_but_the_book_and_the_command_imports_the_book():
    library = [
        path
        for path in settings.HELPERS.rglob("*.py")
        if path.parent.name != "book" and path.name != "cli.py"
    ]
    assert len(library) > 30
    for path in library:
        guests = [name for name in imported_by(path) if name.startswith("helpers.book")]
        assert not guests, path


def test_arithmetic_knows_nothing_of_networks():
    for room in ("statistics", "measures"):
        for path in (settings.HELPERS / room).glob("*.py"):
            source = path.read_text()
            assert "keras" not in source.replace("Keras", ""), path
