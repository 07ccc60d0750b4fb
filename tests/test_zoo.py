"""The zoo: recipes by name, networks trained once, stored whole and checked when read."""

import dataclasses
import hashlib
import json
import multiprocessing
import shutil
import sys
import time

import numpy as np
import pytest

from helpers import settings, training, zoo
from helpers.backend import keras
from helpers.datasets import Dataset

IN_GIT = sorted((settings.ROOT / "zoo").glob("[!.]*.json"))
MANIFEST = {"recipe", "replicate", "accuracy", "sparsity", "training_seconds"}
MANIFEST |= {"versions", "sha256"}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The cache's folder of networks, beside an empty zoo and a data set of 12 images."""
    monkeypatch.setattr(settings, "ZOO", tmp_path / "zoo")
    monkeypatch.setenv("MODULARITY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(zoo.datasets, "load", twelve_images)
    return tmp_path / "cache" / "zoo"


@pytest.fixture
def trainings(monkeypatch):
    """The phases of training that are asked for, of which none takes any time."""
    asked = []

    def stub(phase):
        return lambda model, x, y, epochs, batch: asked.append((phase, len(x), epochs, batch))

    for phase in ("fit", "prune"):
        monkeypatch.setattr(training, phase, stub(phase))
    return asked


@pytest.fixture
def stored(cache):
    """The weights in the cache of a network that was trained before."""
    cache.mkdir(parents=True)
    for suffix in (".json", ".npz"):
        shutil.copy(settings.ROOT / "zoo" / f"digits-mlp-0{suffix}", cache)
    return cache / "digits-mlp-0.npz"


def twelve_images(name):
    x = np.random.default_rng(0).random((12, 4, 4, 1), np.float32)
    y = np.arange(12) % 3
    return Dataset(name, x, y, x[:5], y[:5], n_classes=3)


def train_slowly(barrier, folder, log):
    """Ask for a network in a process of its own, at the same time as others."""
    settings.ZOO = folder
    zoo.datasets.load = twelve_images

    def fit(*_):
        with log.open("a") as file:
            file.write("trained\n")
        time.sleep(1)

    training.fit = fit
    barrier.wait(timeout=120)
    zoo.trained("mnist-cnn")


def assert_same_weights(first, second):
    for old, new in zip(first.model.get_weights(), second.model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("digits-mlp", ("digits", "mlp", 0, 200, 200, 128)),
        ("mnist-mlp", ("mnist", "mlp", 0, 20, 20, 128)),
        ("mnist-mlp-dropout", ("mnist", "mlp", 0.5, 20, 20, 128)),
        ("fashion-cnn", ("fashion", "cnn", 0, 10, 0, 64)),
        ("mnist-cnn-pruned", ("mnist", "cnn", 0, 10, 10, 64)),
        ("digits-cnn-pruned", ("digits", "cnn", 0, 100, 100, 64)),
        ("halves-same-mnist-mlp-dropout", ("halves-same-mnist", "mlp", 0.5, 20, 20, 128)),
        ("halves-diff-mnist-mlp", ("halves-diff-mnist", "mlp", 0, 20, 20, 128)),
        ("halves-same-fashion-mlp", ("halves-same-fashion", "mlp", 0, 20, 20, 128)),
        ("halves-diff-digits-mlp", ("halves-diff-digits", "mlp", 0, 20, 20, 128)),
        ("stack-same-mnist-cnn", ("stack-same-mnist", "cnn", 0, 10, 0, 64)),
        ("stack-diff-fashion-cnn-pruned", ("stack-diff-fashion", "cnn", 0, 10, 10, 64)),
        ("stack-same-digits-cnn", ("stack-same-digits", "cnn", 0, 10, 0, 64)),
        ("stack-diff-digits-cnn-pruned", ("stack-diff-digits", "cnn", 0, 10, 10, 64)),
        ("stack-diff-digits-mlp-dropout", ("stack-diff-digits", "mlp", 0.5, 20, 20, 128)),
        ("mnist-rgb-mlp", ("mnist-rgb", "mlp", 0, 30, 20, 128)),
        ("fashion-rgb-mlp-dropout", ("fashion-rgb", "mlp", 0.5, 30, 20, 128)),
        ("mnist-rgb-cnn-pruned", ("mnist-rgb", "cnn", 0, 10, 10, 64)),
        ("digits-rgb-mlp", ("digits-rgb", "mlp", 0, 300, 200, 128)),
        ("digits-rgb-cnn", ("digits-rgb", "cnn", 0, 100, 0, 64)),
    ],
)
def test_a_name_is_read_part_by_part(name, expected):
    assert zoo.recipe(name) == zoo.Recipe(name, *expected)


@pytest.mark.parametrize(
    "name",
    [
        *("", "-", "mlp", "mnist", "mnist-", "-mlp", "mnist-vgg9", "svhn-mlp", "MNIST-mlp"),
        *("mnist-cnn-dropout", "mnist-mlp-pruned", "mnist-mlp-dropout-dropout", "mnist-mlp-"),
        *("mnist-cnn-pruned-dropout", "fashion_mnist-mlp", "mnist-mlp-0", " mnist-mlp"),
        *("halves-same-mnist", "halves-mnist-mlp", "same-mnist-mlp", "halves-same-mlp"),
        *("halves-same-svhn-mlp", "stack-halves-same-mnist-mlp", "stack-Same-mnist-cnn"),
        *("stack-same-mnist-cnn-dropout", "halves-diff-mnist-mlp-pruned", "mnist-halves-same-mlp"),
        *("rgb-mnist-mlp", "mnist-mlp-rgb", "mnist-rgb-rgb-mlp", "mnist-rgb", "mnist-mlp-cnn"),
    ],
)
def test_names_that_cannot_be_read_are_refused(name):
    with pytest.raises(ValueError, match=f"no recipe for {name!r}; accepted are <data set>-mlp"):
        zoo.trained(name)


def test_the_error_says_which_data_sets_can_be_composed():
    with pytest.raises(ValueError, match="no recipe for 'halves-mnist-mlp'") as caught:
        zoo.recipe("halves-mnist-mlp")
    for accepted in ("-mlp[-dropout]", "-cnn[-pruned]", "halves-same-", "stack-diff-", "-rgb"):
        assert accepted in str(caught.value)
    for base in ("digits", "mnist", "fashion", "cifar10"):
        assert base in str(caught.value)


def test_a_network_is_trained_on_the_data_set_of_its_name(cache, trainings, monkeypatch):
    asked = []
    monkeypatch.setattr(
        zoo.datasets, "load", lambda name: asked.append(name) or twelve_images(name)
    )
    zoo.trained("halves-same-mnist-mlp-dropout")
    assert set(asked) == {"halves-same-mnist"}
    assert trainings == [("fit", 12, 20, 128), ("prune", 12, 20, 128)]


def test_negative_replicates_are_refused():
    with pytest.raises(ValueError, match="replicate: -1 was given; accepted are integers from 0"):
        zoo.trained("digits-mlp", -1)


@pytest.mark.parametrize("name", ["digits-mlp", "digits-cnn"])
def test_a_network_in_git_has_the_accuracy_that_it_claims(name):
    network = zoo.trained(name)
    test = network.dataset.x_test, network.dataset.y_test
    predicted = network.model.predict(test[0], verbose=0).argmax(axis=-1)
    assert network.accuracy == np.mean(predicted == test[1]) > 0.95
    assert (network.recipe, network.replicate) == (zoo.recipe(name), 0)


@pytest.mark.parametrize("name", ["digits-mlp", "digits-cnn"])
def test_weights_in_git_are_exactly_representable_as_float16(name):
    for weights in zoo.trained(name).model.get_weights():
        np.testing.assert_array_equal(weights, weights.astype(np.float16).astype(np.float32))


def test_a_tenth_of_each_kernel_of_the_mlp_in_git_is_left():
    network = zoo.trained("digits-mlp")
    for kernel in training.kernels(network.model):
        values = keras.ops.convert_to_numpy(kernel)
        assert np.count_nonzero(values) == round(values.size * 0.1)
    assert network.manifest["sparsity"] == 0.9


@pytest.mark.parametrize(
    ("name", "phases"),
    [
        ("mnist-mlp-dropout", [("fit", 12, 20, 128), ("prune", 12, 20, 128)]),
        ("mnist-cnn", [("fit", 12, 10, 64)]),
        ("mnist-cnn-pruned", [("fit", 12, 10, 64), ("prune", 12, 10, 64)]),
    ],
)
def test_a_network_that_is_nowhere_is_trained_once_and_kept(name, phases, cache, trainings):
    first = zoo.trained(name, replicate=3)
    assert trainings == phases
    assert {path.name for path in cache.iterdir()} - {f"{name}-3.lock"} == {
        f"{name}-3.json",
        f"{name}-3.npz",
    }
    again = zoo.trained(name, replicate=3)
    assert trainings == phases
    assert_same_weights(first, again)
    assert (again.accuracy, again.manifest) == (first.accuracy, first.manifest)


def test_a_recipe_with_dropout_gives_a_network_with_dropout(cache, trainings):
    rates = [
        [each.rate for each in zoo.trained(name).model.layers if hasattr(each, "rate")]
        for name in ("mnist-mlp", "mnist-mlp-dropout")
    ]
    assert rates == [[], [0.5] * 4]


def test_the_zoo_in_git_comes_before_the_cache(cache, trainings):
    zoo.train(zoo.recipe("mnist-cnn"), 0, settings.ZOO)
    trainings.clear()
    zoo.trained("mnist-cnn")
    assert (trainings, cache.exists()) == ([], False)


def test_a_replicate_is_the_seed_of_everything_random_in_its_training(cache):
    recipe = dataclasses.replace(
        zoo.recipe("mnist-mlp-dropout"), epochs=1, pruning_epochs=0, batch_size=5
    )
    first, again, other = (
        dict(np.load(zoo.train(recipe, replicate, cache / folder)))
        for replicate, folder in ((0, "first"), (0, "again"), (1, "other"))
    )
    for key, weights in first.items():
        np.testing.assert_array_equal(again[key], weights)
        assert (other[key] != weights).any()


def test_two_processes_that_ask_at_once_train_once(cache, tmp_path):
    context = multiprocessing.get_context("spawn")
    arguments = (context.Barrier(2), tmp_path / "zoo", tmp_path / "log")
    processes = [context.Process(target=train_slowly, args=arguments) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert (tmp_path / "log").read_text() == "trained\n"


def test_the_manifest_tells_how_the_network_was_made(cache, trainings):
    path = zoo.train(zoo.recipe("mnist-cnn"), 2, cache)
    manifest = json.loads(path.with_suffix(".json").read_text())
    assert set(manifest) == MANIFEST
    assert manifest["recipe"] == dataclasses.asdict(zoo.recipe("mnist-cnn"))
    assert (manifest["replicate"], manifest["sparsity"]) == (2, 0)
    assert 0 <= manifest["training_seconds"] < 100
    assert set(manifest["accuracy"]) == {"train", "test"}
    assert set(manifest["versions"]) == {"python", "keras", "backend", "numpy"}
    assert manifest["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("path", IN_GIT, ids=lambda path: path.stem)
def test_networks_in_git_are_whole_and_hold_no_pickles(path):
    manifest = json.loads(path.read_text())
    assert set(manifest) == MANIFEST
    assert f"{manifest['recipe']['name']}-{manifest['replicate']}" == path.stem
    weights = path.with_suffix(".npz")
    assert manifest["sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    with np.load(weights, allow_pickle=False) as file:
        assert {array.dtype for array in file.values()} == {np.dtype(np.float16)}


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:500] + bytes([content[500] ^ 1]) + content[501:],
        lambda content: content[:-1],
        lambda content: b"",
    ],
    ids=["one bit", "cut", "empty"],
)
def test_damaged_weights_are_refused(damage, stored):
    stored.write_bytes(damage(stored.read_bytes()))
    with pytest.raises(ValueError, match=rf"{stored} or its manifest is damaged.*Delete {stored}"):
        zoo.trained("digits-mlp")


def test_lost_weights_are_refused(stored):
    stored.unlink()
    with pytest.raises(ValueError, match=rf"{stored} or its manifest is damaged.*Delete"):
        zoo.trained("digits-mlp")


@pytest.mark.parametrize("text", ["", '{"recipe": ', "{}"])
def test_a_damaged_manifest_is_refused(text, stored):
    stored.with_suffix(".json").write_text(text)
    with pytest.raises(ValueError, match="is damaged"):
        zoo.trained("digits-mlp")


@pytest.mark.parametrize(
    "change",
    [{"replicate": 1}, {"recipe": dataclasses.asdict(zoo.recipe("mnist-mlp"))}],
)
def test_a_network_of_another_recipe_or_replicate_is_refused(change, stored):
    manifest = stored.with_suffix(".json")
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | change))
    with pytest.raises(ValueError, match=r"belongs to another recipe than Recipe\(.*Delete"):
        zoo.trained("digits-mlp")


def test_weights_without_a_manifest_are_no_finished_network(stored, trainings):
    stored.with_suffix(".json").unlink()
    zoo.trained("digits-mlp")
    assert [phase for phase, *_ in trainings] == ["fit", "prune"]


def test_training_that_dies_leaves_no_network(cache, monkeypatch):
    def die(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "fit", die)
    with pytest.raises(KeyboardInterrupt):
        zoo.trained("mnist-cnn")
    assert not [path for path in cache.iterdir() if path.suffix != ".lock"]


def test_networks_are_trained_from_a_shell_unless_they_are_there(
    cache, trainings, monkeypatch, capsys
):
    command = ["zoo", "mnist-cnn", "--replicates", "0", "2", "--into", str(cache)]
    monkeypatch.setattr(sys, "argv", command)
    printed = []
    for _ in range(2):
        zoo.main()
        printed.append(capsys.readouterr().out)
        assert len(trainings) == 2
    assert printed[0] == printed[1]
    for line, replicate in zip(printed[0].splitlines(), (0, 2), strict=True):
        assert line.startswith(f"{cache / f'mnist-cnn-{replicate}.npz'}: accuracy 0.")


def test_an_untrained_network_is_where_its_training_began(cache, monkeypatch):
    begun = []
    monkeypatch.setattr(training, "fit", lambda model, *_: begun.append(model.get_weights()))
    zoo.trained("mnist-cnn", 3)
    untrained = zoo.untrained("mnist-cnn", 3)
    for ours, started in zip(untrained.model.get_weights(), begun[0], strict=True):
        np.testing.assert_array_equal(ours, started)
    assert (untrained.recipe, untrained.replicate) == (zoo.recipe("mnist-cnn"), 3)
    assert not list((settings.ZOO).glob("*"))


def test_an_untrained_network_needs_a_recipe_and_a_replicate_too():
    with pytest.raises(ValueError, match="no recipe"):
        zoo.untrained("mnist-vgg9")
    with pytest.raises(ValueError, match="replicate: -1 was given"):
        zoo.untrained("digits-mlp", -1)
