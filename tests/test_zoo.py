"""The zoo: recipes by name, networks trained once, stored whole and checked when read."""

import dataclasses
import hashlib
import json
import multiprocessing
import os
import re
import shutil
import time

import numpy as np
import pytest

from helpers import checkpoints, settings, training, zoo
from helpers.backend import keras
from helpers.book import queue
from helpers.datasets import Dataset

IN_GIT = sorted((settings.ROOT / "zoo").glob("[!.]*.json"))
MANIFEST = {"recipe", "replicate", "epochs", "accuracy", "sparsity", "data", "training_seconds"}
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

    def fit(model, x, y, epochs, batch_size, *, pruned, **options):
        asked.append(("prune" if pruned else "fit", len(x), epochs, batch_size))

    monkeypatch.setattr(training, "fit", fit)
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

    def fit(*_, **options):
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
        *("vgg", "cifar10-vgg-pruned", "cifar10-vgg-full-untrained", "mnist-mlp-full"),
        *("mnist-mlp-untrained-dropout", "mnist-cnn-pruned-untrained", "cifar10-vgg-dropout-"),
        *("mnist-cnn-dropout", "mnist-mlp-pruned", "mnist-mlp-dropout-dropout", "mnist-mlp-"),
        *("mnist-cnn-pruned-dropout", "fashion_mnist-mlp", "mnist-mlp-0", " mnist-mlp"),
        *("halves-same-mnist", "halves-mnist-mlp", "same-mnist-mlp", "halves-same-mlp"),
        *("halves-same-svhn-mlp", "stack-halves-same-mnist-mlp", "stack-Same-mnist-cnn"),
        *("stack-same-mnist-cnn-dropout", "halves-diff-mnist-mlp-pruned", "mnist-halves-same-mlp"),
        *("rgb-mnist-mlp", "mnist-mlp-rgb", "mnist-rgb-rgb-mlp", "mnist-rgb", "mnist-mlp-cnn"),
    ],
)
def test_names_that_cannot_be_read_are_refused(name):
    with pytest.raises(ValueError, match=f"no recipe for {name!r}; accepted are <data set>-mlp{{"):
        zoo.trained(name)


def test_the_error_says_which_data_sets_can_be_composed():
    with pytest.raises(ValueError, match="no recipe for 'halves-mnist-mlp'") as caught:
        zoo.recipe("halves-mnist-mlp")
    for accepted in ("-vgg{", "-dropout", "-pruned", "halves-same-", "stack-diff-", "-rgb"):
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


@pytest.mark.parametrize("replicate", [-1, True, 1.0, "0", None])
def test_replicates_that_are_no_seeds_are_refused_and_leave_nothing(replicate, cache):
    with pytest.raises(ValueError, match=r"replicate: .* was given; accepted are integers from 0"):
        zoo.trained("digits-mlp", replicate)
    assert not cache.exists()


def test_a_replicate_is_an_integer_of_any_kind_that_keras_takes_for_a_seed(cache, trainings):
    assert zoo.trained("mnist-mlp", np.int64(4)).replicate == 4
    with pytest.raises(ValueError, match="replicate: 4294967296 was given; accepted are integers"):
        zoo.trained("mnist-mlp", 2**32)


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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.process
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


@pytest.mark.parametrize("text", ["", '{"recipe": ', "{}", "[]"])
def test_a_damaged_manifest_is_refused(text, stored):
    stored.with_suffix(".json").write_text(text)
    with pytest.raises(ValueError, match="is damaged"):
        zoo.trained("digits-mlp")
    with pytest.raises(ValueError, match=r"the manifest of .*digits-mlp-0\.npz is damaged"):
        list(queue.work([("digits-mlp", 0)]))


@pytest.mark.parametrize("accuracy", [None, "0.9", {}, {"test": "0.9"}, {"test": float("nan")}])
def test_a_manifest_without_an_accuracy_is_damaged(accuracy, stored):
    manifest = stored.with_suffix(".json")
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"accuracy": accuracy}))
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


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        lambda data: {"y_test": data.y_test[::-1]},
        lambda data: {"x_test": data.x_test[::-1]},
        lambda data: {"x_test": data.x_test[:-1], "y_test": data.y_test[:-1]},
    ],
    ids=["classes", "images", "number"],
)
def test_a_network_is_not_taken_for_tested_on_other_images(change, cache, trainings, monkeypatch):
    zoo.trained("mnist-cnn")
    data = twelve_images("mnist")
    monkeypatch.setattr(zoo.datasets, "load", lambda _: dataclasses.replace(data, **change(data)))
    with pytest.raises(ValueError, match=r"mnist-cnn-0\.npz was tested on other images than mnist"):
        zoo.trained("mnist-cnn")


def test_networks_share_a_data_set_that_nobody_can_change():
    one, other = (zoo.trained(name) for name in ("digits-mlp", "digits-cnn"))
    assert one.dataset is other.dataset
    assert zoo.trained("digits-rgb-mlp").dataset is not one.dataset
    with pytest.raises(ValueError, match="read-only"):
        one.dataset.x_test[0] = 0


def test_weights_without_a_manifest_are_no_finished_network(stored, trainings):
    stored.with_suffix(".json").unlink()
    zoo.trained("digits-mlp")
    assert [phase for phase, *_ in trainings] == ["fit", "prune"]


def test_training_that_dies_leaves_no_network(cache, monkeypatch):
    def die(*_, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "fit", die)
    with pytest.raises(KeyboardInterrupt):
        zoo.trained("mnist-cnn")
    assert not [path for path in cache.iterdir() if path.suffix != ".lock"]


@pytest.mark.slow
def test_an_untrained_network_is_where_its_training_began(cache, monkeypatch):
    begun = []

    def fit(model, *_, **options):
        begun.append(model.get_weights())

    monkeypatch.setattr(training, "fit", fit)
    zoo.trained("mnist-cnn", 3)
    untrained = zoo.trained("mnist-cnn-untrained", 3)
    assert len(begun) == 1
    for ours, started in zip(untrained.model.get_weights(), begun[0], strict=True):
        np.testing.assert_array_equal(ours, started.astype(np.float16))
    assert (untrained.recipe.epochs, untrained.manifest["epochs"]) == (0, 0)


@pytest.mark.parametrize(
    ("name", "epochs", "dropout", "schedule", "precision"),
    [
        ("cifar10-vgg", 20, 0.0, "one-cycle", "mixed_bfloat16"),
        ("cifar10-vgg-dropout", 40, 0.5, "one-cycle", "mixed_bfloat16"),
        ("cifar10-vgg-full", 200, 0.0, "constant", "float32"),
        ("cifar10-vgg-dropout-full", 200, 0.5, "constant", "float32"),
        ("cifar10-vgg-untrained", 0, 0.0, "one-cycle", "mixed_bfloat16"),
    ],
)
def test_vggs_are_augmented_and_penalised_alike(name, epochs, dropout, schedule, precision):
    recipe = zoo.recipe(name)
    assert (recipe.epochs, recipe.pruning_epochs, recipe.batch_size) == (epochs, 0, 128)
    assert (recipe.dropout, recipe.schedule, recipe.precision) == (dropout, schedule, precision)
    assert (recipe.l2, recipe.augmented) == (5e-5, True)


@pytest.mark.parametrize("name", ["mnist-mlp", "fashion-mlp-dropout", "mnist-cnn", "digits-cnn"])
def test_small_networks_are_trained_as_the_papers(name):
    recipe = zoo.recipe(name)
    assert (recipe.learning_rate, recipe.schedule, recipe.precision) == (
        1e-3,
        "constant",
        "float32",
    )
    assert (recipe.l2, recipe.augmented) == (0, False)


@pytest.mark.parametrize("name", ["mnist-mlp", "mnist-mlp-dropout", "mnist-cnn", "cifar10-vgg"])
def test_untrained_networks_differ_from_trained_ones_in_their_epochs_alone(name):
    recipe = zoo.recipe(name)
    changed = {"name": f"{name}-untrained", "epochs": 0, "pruning_epochs": 0}
    assert zoo.recipe(f"{name}-untrained") == dataclasses.replace(recipe, **changed)


class StoppedError(Exception):
    """What stands for a power failure."""


def small(**options):
    """A recipe of few epochs in which everything random and everything kept plays a part."""
    short = {"epochs": 2, "pruning_epochs": 2, "batch_size": 5}
    full = {"augmented": True, "schedule": "one-cycle", "l2": 1e-3}
    return dataclasses.replace(zoo.recipe("mnist-mlp-dropout"), **(short | full | options))


def normalised_mlp(shape, n_classes, dropout=0.0):
    """A network with statistics that its optimiser does not know."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input(shape),
            layers.Flatten(name="flatten"),
            layers.Dense(12, activation="relu", name="dense_1"),
            layers.BatchNormalization(name="norm_1"),
            layers.Dropout(0.5, name="dropout_1"),
            layers.Dense(n_classes, activation="softmax", dtype="float32", name="output"),
        ]
    )


def checkpoint_folder(recipe):
    return zoo._checkpoint_folder(recipe, 0, twelve_images(recipe.dataset))


def stop_after(epoch, recipe, folder):
    """Train until there is a checkpoint of an epoch, and no further."""
    save = checkpoints.save

    def save_and_stop(where, checkpoint):
        save(where, checkpoint)
        if checkpoint.epoch == epoch:
            raise StoppedError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoints, "save", save_and_stop)
        with pytest.raises(StoppedError):
            zoo.train(recipe, 0, folder)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("stops", [(1,), (2,), (3,), (1, 2, 3)], ids=str)
def test_training_that_was_stopped_gives_the_same_network_bit_for_bit(
    stops, precision, cache, monkeypatch
):
    monkeypatch.setitem(zoo._BUILDERS, "mlp", normalised_mlp)
    recipe = small(precision=precision)
    whole = dict(np.load(zoo.train(recipe, 0, cache / "whole")))
    for epoch in stops:
        stop_after(epoch, recipe, cache)
    resumed = dict(np.load(zoo.train(recipe, 0, cache / "resumed")))
    assert set(whole) == set(resumed)
    for key, weights in whole.items():
        np.testing.assert_array_equal(resumed[key], weights)


def train_until_killed(cache):
    """Train in a process of its own, which says after each epoch how far it is."""
    os.environ["MODULARITY_CACHE"] = str(cache)
    zoo.datasets.load = twelve_images
    zoo.train(small(epochs=2000, pruning_epochs=0), 0, cache / "killed")


@pytest.mark.process
def test_training_goes_on_after_sigkill_from_the_last_whole_epoch(cache, tmp_path):
    process = multiprocessing.get_context("spawn").Process(
        target=train_until_killed, args=(tmp_path / "cache",)
    )
    process.start()
    while len(list((tmp_path / "cache").glob("checkpoints/*/epoch-*.npz"))) < 2:
        time.sleep(0.01)
        assert process.is_alive()
    process.kill()
    process.join()
    recipe = small(epochs=2000, pruning_epochs=0)
    reached = checkpoints.newest(checkpoint_folder(recipe)).epoch
    assert 2 <= reached < 2000
    assert not list((tmp_path / "cache").rglob("*.json"))
    until = reached + 3
    states = []
    for _ in range(2):
        stop_after(until, recipe, cache)
        states.append(checkpoints.newest(checkpoint_folder(recipe)).model)
        checkpoints.remove(checkpoint_folder(recipe))
    for key, value in states[0].items():
        np.testing.assert_array_equal(states[1][key], value)


@pytest.mark.slow
def test_checkpoints_are_removed_when_the_network_is_stored(cache):
    zoo.train(small(), 0, cache)
    assert not list((settings.cache_folder() / "checkpoints").iterdir())


@pytest.mark.slow
def test_another_recipe_of_the_name_does_not_go_on_from_its_checkpoint(cache):
    stop_after(1, small(), cache)
    assert checkpoints.newest(checkpoint_folder(small())).epoch == 1
    assert checkpoints.newest(checkpoint_folder(small(l2=1e-4))) is None


@pytest.mark.slow
def test_a_training_on_other_images_does_not_go_on_from_a_checkpoint(cache, monkeypatch):
    def brighter(name):
        data = twelve_images(name)
        return dataclasses.replace(data, x_train=data.x_train / 2)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zoo.datasets, "load", brighter)
        stop_after(1, small(), cache)
    mixed = zoo.train(small(), 0, cache)
    weights = dict(np.load(mixed))
    shutil.rmtree(settings.cache_folder())
    for key, value in np.load(zoo.train(small(), 0, cache)).items():
        np.testing.assert_array_equal(weights[key], value)


@pytest.mark.slow
def test_each_epoch_is_logged_with_the_time_that_is_left(cache, caplog):
    with caplog.at_level("INFO", logger="helpers"):
        zoo.train(small(), 0, cache)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 4
    for epoch, line in enumerate(said, 1):
        assert re.fullmatch(
            rf"mnist-mlp-dropout-0: epoch {epoch} of 4, loss [\d.]+, \d+ s in all, 0 min left", line
        )


@pytest.mark.slow
def test_a_network_is_also_kept_after_its_early_epochs(cache, monkeypatch):
    recipe = small()
    monkeypatch.setattr(zoo, "recipe", lambda name: recipe)
    monkeypatch.setitem(zoo.EARLY_EPOCHS, (recipe.name, 0), (1, 3))
    early = zoo.trained(recipe.name, epoch=1)
    last = zoo.trained(recipe.name)
    assert (early.manifest["epochs"], last.manifest["epochs"]) == (1, 4)
    assert (early.model.get_weights()[0] != last.model.get_weights()[0]).any()
    with pytest.raises(ValueError, match=r"epoch: 2 was given; .* None \(the last one\), 1, 3"):
        zoo.trained(recipe.name, epoch=2)


@pytest.mark.slow
def test_a_lost_early_network_is_made_again_when_later_ones_are_there(cache, monkeypatch):
    recipe = small()
    monkeypatch.setattr(zoo, "recipe", lambda name: recipe)
    monkeypatch.setitem(zoo.EARLY_EPOCHS, (recipe.name, 0), (1, 3))
    zoo.trained(recipe.name)
    before = zoo.trained(recipe.name, epoch=3)
    (cache / "mnist-mlp-dropout-0-epoch-3.npz").write_bytes(b"")
    with pytest.raises(ValueError, match=r"Delete .*epoch-3\.npz and .* it is then trained anew"):
        zoo.trained(recipe.name, epoch=3)
    for suffix in (".npz", ".json"):
        (cache / f"mnist-mlp-dropout-0-epoch-3{suffix}").unlink()
    again = zoo.trained(recipe.name, epoch=3)
    assert again.manifest["epochs"] == 3
    assert_same_weights(before, again)
    assert not list((settings.cache_folder() / "checkpoints").iterdir())


@pytest.mark.slow
def test_an_early_network_does_not_cost_what_was_trained_since(cache, monkeypatch):
    recipe = small()
    monkeypatch.setattr(zoo, "recipe", lambda name: recipe)
    monkeypatch.setitem(zoo.EARLY_EPOCHS, (recipe.name, 0), (1,))
    stop_after(3, recipe, cache)
    for path in cache.glob("*-epoch-1.*"):
        path.unlink()
    zoo.trained(recipe.name, epoch=1)
    assert checkpoints.newest(checkpoint_folder(recipe)).epoch == 3


def test_a_network_in_the_cache_is_not_trained_again_for_git(stored, trainings):
    first = zoo.train_once("digits-mlp", 0, settings.ZOO)
    assert first == settings.ZOO / "digits-mlp-0.npz"
    assert first.read_bytes() == stored.read_bytes()
    assert zoo.train_once("digits-mlp", 0, stored.parent) == first
    assert not trainings


def test_a_network_below_its_floor_is_not_used(cache, trainings, monkeypatch):
    monkeypatch.setitem(zoo._FLOORS, "mnist-cnn", 1.0)
    with pytest.raises(
        ValueError, match=r"mnist-cnn-0.npz has a test accuracy of 0\.\d+, below 1.0"
    ):
        zoo.trained("mnist-cnn")


def test_variances_of_batch_normalisation_survive_rounding():
    variances = np.geomspace(1e-12, 6e4, 1000, dtype=np.float32)
    rounded = zoo._rounded("variance", variances).astype(np.float32)
    exact, ours = (1 / np.sqrt(each + 1e-3) for each in (variances, rounded))
    np.testing.assert_allclose(ours, exact, rtol=1e-3)


def test_weights_too_large_for_half_precision_are_refused():
    with pytest.raises(ValueError, match=r"dense/kernel: 70000\.0 cannot be stored as float16"):
        zoo._rounded("dense/kernel", np.array([1, -7e4], np.float32))


def test_the_zoo_in_git_takes_up_at_most_95_megabytes():
    folder = settings.ROOT / "zoo"
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 95e6
