"""The command `modularity`: what it says of itself."""

import contextlib
import shlex

import numpy as np
import pytest
from click.testing import CliRunner

import helpers
from helpers.backend import keras
from helpers.cli import main
from helpers.report import subject


@pytest.mark.parametrize("name", sorted(main.commands))
def test_help_shows_an_example_that_the_command_takes(name):
    text = CliRunner().invoke(main, [name, "--help"], prog_name="modularity").output
    _, found, example = text.partition(f"\n    modularity {name} ")
    assert found, text
    command = main.commands[name]
    command.make_context(name, shlex.split(example.splitlines()[0]))


@pytest.fixture
def files(tmp_path):
    """A folder with a model, images, and labels of its units."""
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(8, "relu", name="hidden"), keras.layers.Dense(3, name="out")]
    model = keras.Sequential([keras.Input((5,)), *layers])
    x = np.random.default_rng(0).normal(size=(60, 5)).astype("float32")
    y = model.predict(x, verbose=0).argmax(-1)
    model.save(tmp_path / "model.keras")
    np.savez(tmp_path / "data.npz", x=x, y=y)
    np.save(tmp_path / "single.npy", x)
    np.savez(tmp_path / "test.npz", x_test=x, y_test=y, x_train=x[:3], y_train=y[:3])
    rows = "\n".join(f"hidden,{unit},{unit // 4}" for unit in range(8))
    (tmp_path / "labels.csv").write_text(f"layer,unit,label\n{rows}\n")
    return tmp_path


def evaluated(folder, *options):
    words = ["evaluate", *options, "--out", str(folder / "report"), "--permutations", "19"]
    return CliRunner().invoke(main, [str(folder / each) if "." in each else each for each in words])


@pytest.mark.parametrize("data", ["data.npz", "test.npz"])
def test_a_network_is_evaluated_into_a_folder(files, data):
    done = evaluated(files, "model.keras", data, "--partition", "labels.csv")
    assert done.exit_code == 0
    assert "clusters" in done.stdout.splitlines()[0]
    assert str(files / "report" / "index.html") in done.stdout
    assert "40 lesions" not in done.stdout
    assert "evaluate: 2 parts, 2 of them testable, and 19 permutations: 41 lesions" in done.stderr
    report = helpers.Report.load(files / "report")
    assert report.summary() in done.stdout
    assert report.measured.partition.labels["hidden"].tolist() == [0] * 4 + [1] * 4


def test_without_labels_a_network_is_clustered_and_quiet_it_shows_no_progress(files):
    done = evaluated(files, "model.keras", "data.npz", "--clusters", "2", "--quiet")
    assert done.exit_code == 0
    assert done.stderr == ""
    assert len(helpers.Report.load(files / "report").measured.parts) == 2


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["none.keras", "data.npz"], "model: there is no file"),
        (["model.keras", "none.npz"], "data: there is no file"),
        (["model.keras", "labels.csv"], "is no .npz file of plain arrays\n"),
        (["model.keras", "single.npy"], "no .npz file of plain arrays (it holds a single array)"),
        (["model.keras", "model.keras"], "accepted are x and y, or x_test and y_test"),
        (["model.keras", "data.npz", "--partition", "none.csv"], "partition: there is no file"),
        (["model.keras", "data.npz", "--clusters", "5"], "n_clusters: 5 was given; accepted are"),
        (["model.keras", "data.npz", "--seed", "-1"], "random_state: -1 was given; accepted are"),
    ],
)
def test_bad_input_is_one_sentence_on_stderr_and_exit_code_2(files, options, sentence):
    done = evaluated(files, *options)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (files / "report").exists()


def test_damaged_archives_are_refused_or_read_as_they_were(files):
    whole = (files / "data.npz").read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(200):
        damaged = bytearray(whole)
        start = rng.integers(len(whole) - 8)
        damaged[start : start + 8] = rng.bytes(8)
        (files / "damaged.npz").write_bytes(damaged)
        found = subject.load_data(files / "data.npz")
        with contextlib.suppress(ValueError):
            found = subject.load_data(files / "damaged.npz")
        for ours, right in zip(found, subject.load_data(files / "data.npz"), strict=True):
            np.testing.assert_array_equal(ours, right)


def test_where_nothing_can_be_evaluated_no_folders_are_left(files):
    paths = [str(files / each) for each in ("model.keras", "data.npz", "new/and/newer")]
    options = ["--out", paths[2], "--clusters", "1000"]
    assert CliRunner().invoke(main, ["evaluate", *paths[:2], *options]).exit_code == 2
    assert not (files / "new").exists()


def test_where_nothing_can_be_written_nothing_is_computed(files, monkeypatch):
    monkeypatch.setattr(helpers, "evaluate", lambda *_, **__: pytest.fail("was computed"))
    paths = [str(files / each) for each in ("model.keras", "data.npz", "labels.csv/report")]
    done = CliRunner().invoke(main, ["evaluate", *paths[:2], "--out", paths[2]])
    assert done.exit_code == 2
    assert "Not a directory" in done.stderr


def test_arrays_of_objects_are_not_unpickled(files):
    np.savez(files / "objects.npz", x=np.array([{}], dtype=object), y=np.array([0]))
    done = evaluated(files, "model.keras", "objects.npz")
    assert done.exit_code == 2
    assert "is no .npz file of plain arrays" in done.stderr
