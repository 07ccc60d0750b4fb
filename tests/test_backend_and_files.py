"""Keras is imported silently; files are written whole or not at all."""

import os
import subprocess
import sys

import pytest

from helpers import files, settings


def write_half(path, error):
    with files.written_whole(path) as temporary:
        temporary.write_text("hal")
        raise error


@pytest.mark.process
@pytest.mark.parametrize("variables", [{}, {"TF_ENABLE_ONEDNN_OPTS": "0"}])
def test_importing_the_backend_prints_nothing_and_leaves_stderr_working(variables):
    code = "import os, sys, helpers.backend; os.write(2, b'one '); print('two', file=sys.stderr)"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TF_")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=settings.ROOT,
        env=environment | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("", "one two\n")


def test_a_file_appears_whole_in_a_folder_made_for_it(tmp_path):
    path = tmp_path / "new" / "table.csv"
    with files.written_whole(path) as temporary:
        temporary.write_text("a,b")
        assert not path.exists()
        assert (temporary.parent, temporary.suffix) == (path.parent, ".csv")
    assert path.read_text() == "a,b"
    assert list(path.parent.iterdir()) == [path]


def test_an_old_file_is_there_until_the_new_one_replaces_it(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with files.written_whole(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
@pytest.mark.parametrize("old", [None, "old"])
def test_an_interrupted_write_leaves_what_was_there(old, error, tmp_path):
    path = tmp_path / "table.csv"
    if old:
        path.write_text(old)
    with pytest.raises(error):
        write_half(path, error)
    assert [each.read_text() for each in tmp_path.iterdir()] == ([old] if old else [])


def test_nothing_written_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError), files.written_whole(tmp_path / "table.csv"):
        pass
    assert not list(tmp_path.iterdir())
