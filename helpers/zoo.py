"""Trained networks by name: a recipe, a replicate, and the weights on disk.

A name is put together from parts, ``<data set>-<architecture>[-dropout][-pruned]``:
``digits-mlp``, ``halves-same-mnist-mlp-dropout``, ``mnist-rgb-mlp``, ``mnist-cnn-pruned``. A
replicate is the seed of everything random in its training. ``python -m helpers.zoo --help``
trains from a shell.
"""

import argparse
import hashlib
import json
import platform
import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import numpy.typing as npt

from helpers import datasets, files, networks, settings, training
from helpers.backend import keras
from helpers.datasets import Dataset


@dataclass(frozen=True)
class Recipe:
    """How a network is made (appendix A.2 of the paper).

    Attributes
    ----------
    name : str
        The name that `recipe` was asked for.
    dataset : str
        A name that `datasets.load` knows.
    architecture : {"mlp", "cnn"}
        The function of `networks` that builds it.
    dropout : float
        Rate after each hidden layer; 0 for none.
    epochs, pruning_epochs : int
        Epochs of training, and of training on while pruning; 0 for no pruning.
    batch_size : int
        Images per step.
    """

    name: str
    dataset: str
    architecture: str
    dropout: float
    epochs: int
    pruning_epochs: int
    batch_size: int


@dataclass(frozen=True)
class TrainedNetwork:
    """A trained network with what it was trained on.

    Attributes
    ----------
    model : keras.Model
        The network. Its weights are exactly representable as float16.
    dataset : Dataset
        The data set, whose test images all analyses use.
    recipe : Recipe
        How it was made.
    replicate : int
        Seed of its training.
    accuracy : float
        Fraction of test images that it classifies correctly, in [0, 1].
    manifest : dict
        Recipe, replicate, accuracies, sparsity, versions, training time and checksum.
    """

    model: keras.Model
    dataset: Dataset
    recipe: Recipe
    replicate: int
    accuracy: float
    manifest: dict[str, Any]


@dataclass(frozen=True)
class _Schedule:
    """Training constants of an architecture. Pruning takes as long as training on grey images."""

    build: Callable[..., keras.Model]
    epochs: int
    rgb_epochs: int
    batch_size: int
    pruned_by_default: bool
    takes_dropout: bool


_SCHEDULES = {
    "mlp": _Schedule(networks.mlp, 20, 30, 128, pruned_by_default=True, takes_dropout=True),
    "cnn": _Schedule(networks.cnn, 10, 10, 64, pruned_by_default=False, takes_dropout=False),
}

_EPOCH_FACTORS = {"digits": 10, "digits-rgb": 10}
"""digits has 67 times fewer training images than MNIST: more epochs, for enough steps. Halves and
stacks of digits have more images instead."""

_NAME = re.compile(rf"(.+?)-({'|'.join(_SCHEDULES)})((?:-\w+)*)")


def recipe(name: str) -> Recipe:
    """Read a recipe off a network's name.

    Parameters
    ----------
    name : str
        ``<data set>-<architecture>[-dropout][-pruned]``, the data set as for `datasets.load`.

    Returns
    -------
    Recipe
        MLPs are always pruned, CNNs with ``-pruned`` only (as in the paper's experiments).

    Raises
    ------
    ValueError
        If the name cannot be read; says what is accepted.
    """
    match = _NAME.fullmatch(name)
    dataset, architecture, options = match.groups() if match else ("", "", "")
    schedule = _SCHEDULES.get(architecture)
    chosen = options.split("-")[1:]
    accepted = [
        option
        for option, allowed in (
            ("dropout", schedule and schedule.takes_dropout),
            ("pruned", schedule and not schedule.pruned_by_default),
        )
        if allowed
    ]
    if not datasets.is_known(dataset) or schedule is None or chosen not in _sublists(accepted):
        raise ValueError(
            f"name: no recipe for {name!r}; accepted are <data set>-mlp[-dropout] and "
            f"<data set>-cnn[-pruned], with data set {datasets.ACCEPTED}"
        )
    factor = _EPOCH_FACTORS.get(dataset, 1)
    is_pruned = schedule.pruned_by_default or "pruned" in chosen
    return Recipe(
        name=name,
        dataset=dataset,
        architecture=architecture,
        dropout=0.5 if "dropout" in chosen else 0.0,
        epochs=factor * (schedule.rgb_epochs if dataset.endswith("-rgb") else schedule.epochs),
        pruning_epochs=factor * schedule.epochs if is_pruned else 0,
        batch_size=schedule.batch_size,
    )


def trained(name: str, replicate: int = 0) -> TrainedNetwork:
    """Return a trained network, training it only if it is nowhere on disk.

    Parameters
    ----------
    name : str
        Name of a recipe, see `recipe`.
    replicate : int
        Seed of the training, at least 0.

    Returns
    -------
    TrainedNetwork
        From ``zoo/`` (in git), else from the cache folder, else trained now, with a progress
        bar on a terminal, and stored in the cache. Two processes that ask at once train once.

    Raises
    ------
    ValueError
        If there is no such recipe, if `replicate` is negative, or if a stored file is damaged
        or belongs to another recipe; says how to get it back.
    """
    wanted = _recipe_of(name, replicate)
    cache = settings.cache_folder() / "zoo"
    stored = _find(wanted, replicate, (settings.ZOO, cache))
    if stored is None:
        stored = _train_once(wanted, replicate, cache)
    return _load(stored, wanted, replicate)


def untrained(name: str, replicate: int = 0) -> TrainedNetwork:
    """Return a network as it is before its first step of training (appendix A.5 of the paper).

    Parameters
    ----------
    name, replicate
        As for `trained`: the network that `trained` returns began as this one.

    Returns
    -------
    TrainedNetwork
        With an empty manifest.

    Raises
    ------
    ValueError
        If there is no such recipe, or if `replicate` is negative.
    """
    wanted = _recipe_of(name, replicate)
    dataset = datasets.load(wanted.dataset)
    keras.utils.set_random_seed(replicate)
    model = _build(wanted, dataset)
    accuracy = _accuracy(model, dataset.x_test, dataset.y_test)
    return TrainedNetwork(model, dataset, wanted, replicate, accuracy, {})


def train(wanted: Recipe, replicate: int, folder: Path) -> Path:
    """Train a network, whatever is on disk, and store it.

    Parameters
    ----------
    wanted : Recipe
        How to train it.
    replicate : int
        Seed of the training.
    folder : Path
        Where to store it; made if needed.

    Returns
    -------
    Path
        The stored weights; the manifest lies beside them.
    """
    start = time.perf_counter()
    dataset = datasets.load(wanted.dataset)
    keras.utils.set_random_seed(replicate)
    model = _build(wanted, dataset)
    fit_arguments = (model, dataset.x_train, dataset.y_train)
    training.fit(*fit_arguments, wanted.epochs, wanted.batch_size)
    if wanted.pruning_epochs:
        training.prune(*fit_arguments, wanted.pruning_epochs, wanted.batch_size)
    weights = {key: value.astype(np.float16) for key, value in _weights(model).items()}
    _set_weights(model, weights)
    manifest = {
        "recipe": asdict(wanted),
        "replicate": replicate,
        "accuracy": {
            "train": _accuracy(model, dataset.x_train, dataset.y_train),
            "test": _accuracy(model, dataset.x_test, dataset.y_test),
        },
        "sparsity": _sparsity(model),
        "training_seconds": round(time.perf_counter() - start),
        "versions": {
            "python": platform.python_version(),
            "keras": keras.version(),
            "backend": keras.backend.backend(),
            "numpy": np.__version__,
        },
    }
    return _store(folder, _stem(wanted, replicate), weights, manifest)


def _recipe_of(name: str, replicate: int) -> Recipe:
    if replicate < 0:
        raise ValueError(f"replicate: {replicate} was given; accepted are integers from 0")
    return recipe(name)


def _train_once(wanted: Recipe, replicate: int, cache: Path) -> Path:
    """Train into the cache under a lock, unless another process has done so meanwhile."""
    cache.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(cache / f"{_stem(wanted, replicate)}.lock"):
        return _find(wanted, replicate, (cache,)) or train(wanted, replicate, cache)


def _stem(wanted: Recipe, replicate: int) -> str:
    return f"{wanted.name}-{replicate}"


def _find(wanted: Recipe, replicate: int, folders: tuple[Path, ...]) -> Path | None:
    """Return the stored weights. The manifest is written last, so it says that they are whole."""
    for folder in folders:
        path = folder / f"{_stem(wanted, replicate)}.npz"
        if path.with_suffix(".json").exists():
            return path
    return None


def _load(path: Path, wanted: Recipe, replicate: int) -> TrainedNetwork:
    manifest = _read_manifest(path)
    if manifest is None or not path.exists() or _checksum(path) != manifest["sha256"]:
        raise ValueError(f"{path} or its manifest is damaged. {_remedy(path)}")
    if manifest["recipe"] != asdict(wanted) or manifest["replicate"] != replicate:
        raise ValueError(f"{path} belongs to another recipe than {wanted}. {_remedy(path)}")
    dataset = datasets.load(wanted.dataset)
    model = _build(wanted, dataset)
    with np.load(path, allow_pickle=False) as file:
        _set_weights(model, dict(file))
    return TrainedNetwork(
        model, dataset, wanted, replicate, float(manifest["accuracy"]["test"]), manifest
    )


def _read_manifest(path: Path) -> dict[str, Any] | None:
    """Return the manifest of stored weights, None if it is not whole."""
    try:
        manifest = json.loads(path.with_suffix(".json").read_text())
    except ValueError:
        return None
    is_whole = isinstance(manifest, dict) and {"recipe", "replicate", "sha256"} <= set(manifest)
    return manifest if is_whole else None


def _remedy(path: Path) -> str:
    restore = f"Restore it (git checkout -- {path.parent.name}/), or delete"
    return (
        f"{restore if path.parent == settings.ZOO else 'Delete'} {path} and "
        f"{path.with_suffix('.json').name} and ask again: it is then trained anew."
    )


def _store(
    folder: Path,
    stem: str,
    weights: dict[str, npt.NDArray[np.float16]],
    manifest: dict[str, Any],
) -> Path:
    path = folder / f"{stem}.npz"
    with files.written_whole(path) as temporary:
        np.savez_compressed(temporary, allow_pickle=False, **weights)
    text = json.dumps(manifest | {"sha256": _checksum(path)}, indent=2) + "\n"
    with files.written_whole(path.with_suffix(".json")) as temporary:
        temporary.write_text(text)
    return path


def _checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _build(wanted: Recipe, dataset: Dataset) -> keras.Model:
    build = _SCHEDULES[wanted.architecture].build
    options = {"dropout": wanted.dropout} if wanted.dropout else {}
    return build(dataset.image_shape, dataset.n_classes, **options)


def _weights(model: keras.Model) -> dict[str, npt.NDArray[np.float32]]:
    return {
        f"{layer.name}/{variable.name}": keras.ops.convert_to_numpy(variable)
        for layer in model.layers
        for variable in layer.weights
    }


def _set_weights(model: keras.Model, weights: dict[str, npt.NDArray[np.float16]]) -> None:
    for layer in model.layers:
        for variable in layer.weights:
            variable.assign(weights[f"{layer.name}/{variable.name}"].astype(np.float32))


def _accuracy(model: keras.Model, x: npt.NDArray[np.float32], y: npt.NDArray[np.int64]) -> float:
    predicted = model.predict(x, batch_size=1000, verbose=0).argmax(axis=-1)
    return float(np.mean(predicted == y))


def _sparsity(model: keras.Model) -> float:
    values = np.concatenate(
        [keras.ops.convert_to_numpy(kernel).ravel() for kernel in training.kernels(model)]
    )
    return round(float(np.mean(values == 0)), 4)


def _sublists(options: list[str]) -> list[list[str]]:
    """Return every choice of some options, in their order."""
    choices: list[list[str]] = [[]]
    for option in options:
        choices += [[*choice, option] for choice in choices]
    return choices


def main() -> None:
    """Train networks into a folder, skipping those that are there already."""
    parser = argparse.ArgumentParser(prog="python -m helpers.zoo", description=main.__doc__)
    parser.add_argument("names", nargs="+", help="recipes, such as mnist-mlp or fashion-cnn")
    parser.add_argument("--replicates", nargs="+", type=int, default=[0], help="seeds")
    parser.add_argument("--into", type=Path, default=settings.ZOO, help="folder (default: zoo/)")
    arguments = parser.parse_args()
    recipes = [recipe(name) for name in arguments.names]
    for replicate in arguments.replicates:
        for wanted in recipes:
            path = _find(wanted, replicate, (arguments.into,))
            path = path or train(wanted, replicate, arguments.into)
            manifest = json.loads(path.with_suffix(".json").read_text())
            print(f"{path}: accuracy {manifest['accuracy']['test']:.4f}", flush=True)


if __name__ == "__main__":
    main()
