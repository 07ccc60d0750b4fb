"""Trained networks by name: a recipe, a replicate, and the weights on disk.

A name is put together from parts, see `recipe`: ``digits-mlp``, ``mnist-rgb-mlp``,
``halves-same-mnist-mlp-dropout``, ``cifar10-vgg``, ``mnist-cnn-untrained``. A replicate is the seed
of everything random in its training. `helpers.book.queue` trains what the book still lacks.
"""

import hashlib
import json
import logging
import platform
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal
from weakref import WeakValueDictionary

import filelock
import numpy as np
import numpy.typing as npt

from helpers import checkpoints, datasets, files, networks, settings, stored, training, validation
from helpers.backend import keras
from helpers.datasets import Dataset
from helpers.fingerprints import fingerprint


@dataclass(frozen=True)
class Recipe:
    """How a network is made (appendix A.2 of the paper).

    Attributes
    ----------
    name : str
        The name that `recipe` was asked for.
    dataset : str
        A name that `datasets.load` knows.
    architecture : {"mlp", "cnn", "vgg"}
        The function of `networks` that builds it.
    dropout : float
        Rate after each hidden layer, of a VGG the highest of its rates; 0 for none.
    epochs, pruning_epochs : int
        Epochs of training, and of training on while pruning; 0 for none.
    batch_size : int
        Images per step.
    learning_rate : float
        Adam's rate, or its highest one.
    schedule : {"constant", "one-cycle"}
        How the rate changes, see `training.fit`.
    l2 : float
        Coefficient of the squares of all kernels in the loss.
    augmented : bool
        Whether images are rotated, shifted and flipped, see `training.augment`.
    precision : {"float32", "mixed_bfloat16"}
        Keras's policy in training. The trained network computes in float32.
    """

    name: str
    dataset: str
    architecture: str
    dropout: float
    epochs: int
    pruning_epochs: int
    batch_size: int
    learning_rate: float = 1e-3
    schedule: training.Schedule = "constant"
    l2: float = 0.0
    augmented: bool = False
    precision: Literal["float32", "mixed_bfloat16"] = "float32"

    @property
    def all_epochs(self) -> int:
        """Epochs of training and of pruning."""
        return self.epochs + self.pruning_epochs


@dataclass(frozen=True)
class TrainedNetwork:
    """A trained network with what it was trained on.

    Attributes
    ----------
    model : keras.Model
        The network. Its weights are exactly representable as float16.
    dataset : Dataset
        The data set, whose test images all analyses use. Networks of one data set share it, so
        that its arrays are read-only.
    recipe : Recipe
        How it was made.
    replicate : int
        Seed of its training.
    accuracy : float
        Fraction of test images that it classifies correctly, in [0, 1].
    manifest : dict
        Recipe, replicate, epochs behind it, accuracies, sparsity, fingerprint of the test images,
        versions, training time and checksum.
    """

    model: keras.Model
    dataset: Dataset
    recipe: Recipe
    replicate: int
    accuracy: float
    manifest: dict[str, Any]


_BUILDERS: dict[str, Callable[..., keras.Model]] = {
    "mlp": networks.mlp,
    "cnn": networks.cnn,
    "vgg": networks.vgg,
}

_VARIANTS = {
    "mlp": ("", "-dropout", "-untrained", "-dropout-untrained"),
    "cnn": ("", "-pruned", "-untrained"),
    "vgg": ("", "-dropout", "-full", "-dropout-full", "-untrained", "-dropout-untrained"),
}
"""What a name may end in. MLPs are always pruned, as in the paper's experiments."""

_EPOCH_FACTORS = {"digits": 10, "digits-rgb": 10}
"""digits has 67 times fewer training images than MNIST: more epochs, for enough steps. Halves and
stacks of digits have more images instead."""

_FLOORS = {"cifar10-vgg": 0.87, "cifar10-vgg-dropout": 0.85}
"""Test accuracies below which a network does not stand for the paper's (its appendix A.2)."""

EARLY_EPOCHS = {("cifar10-vgg", 0): (4, 8), ("cifar10-vgg-dropout", 0): (4, 8)}
"""Epochs after which a network is kept besides the last one, to see what longer training does."""

_NAME = re.compile(rf"(.+?)-({'|'.join(_VARIANTS)})((?:-\w+)*)")

_LARGEST_SEED = 2**32 - 1
"""That Keras takes."""

_log = logging.getLogger(__name__)


def recipe(name: str) -> Recipe:
    """Read a recipe off a network's name.

    Parameters
    ----------
    name : str
        A data set, as for `datasets.load`, an architecture and a variant:
        ``<data set>-mlp[-dropout][-untrained]``, ``<data set>-cnn[-pruned|-untrained]``,
        ``<data set>-vgg[-dropout][-full|-untrained]``.

    Returns
    -------
    Recipe
        MLPs are always pruned, CNNs with ``-pruned`` only (as in the paper's experiments). A VGG
        is trained with a one-cycle rate, for which few epochs suffice; with ``-full`` as in the
        paper, for 200 epochs at a constant rate. ``-untrained`` is the network where its training
        begins (appendix A.5).

    Raises
    ------
    ValueError
        If the name cannot be read; says what is accepted.
    """
    match = _NAME.fullmatch(name)
    dataset, architecture, variant = match.groups() if match else ("", "", "")
    if not datasets.is_known(dataset) or variant not in _VARIANTS[architecture]:
        accepted = [
            f"<data set>-{known}{{{','.join(variants)}}}" for known, variants in _VARIANTS.items()
        ]
        raise ValueError(
            f"name: no recipe for {name!r}; accepted are {'; '.join(accepted)}, "
            f"with data set {datasets.ACCEPTED}"
        )
    plain = _RECIPES[architecture](name, dataset, variant)
    if variant.endswith("-untrained"):
        return replace(plain, epochs=0, pruning_epochs=0)
    return plain


def _mlp_recipe(name: str, dataset: str, variant: str) -> Recipe:
    factor = _EPOCH_FACTORS.get(dataset, 1)
    return Recipe(
        name,
        dataset,
        "mlp",
        dropout=0.5 if "-dropout" in variant else 0.0,
        epochs=factor * (30 if dataset.endswith("-rgb") else 20),
        pruning_epochs=factor * 20,
        batch_size=128,
    )


def _cnn_recipe(name: str, dataset: str, variant: str) -> Recipe:
    epochs = _EPOCH_FACTORS.get(dataset, 1) * 10
    return Recipe(
        name,
        dataset,
        "cnn",
        dropout=0.0,
        epochs=epochs,
        pruning_epochs=epochs if variant == "-pruned" else 0,
        batch_size=64,
    )


def _vgg_recipe(name: str, dataset: str, variant: str) -> Recipe:
    """Return the recipe of a VGG. Dropout slows its learning, so it needs more epochs."""
    has_dropout = "-dropout" in variant
    quick = Recipe(
        name,
        dataset,
        "vgg",
        dropout=0.5 if has_dropout else 0.0,
        epochs=40 if has_dropout else 20,
        pruning_epochs=0,
        batch_size=128,
        learning_rate=1.2e-3,
        schedule="one-cycle",
        l2=5e-5,
        augmented=True,
        precision="mixed_bfloat16",
    )
    if not variant.endswith("-full"):
        return quick
    return replace(quick, epochs=200, learning_rate=1e-3, schedule="constant", precision="float32")


_RECIPES = {"mlp": _mlp_recipe, "cnn": _cnn_recipe, "vgg": _vgg_recipe}


def trained(name: str, replicate: int = 0, epoch: int | None = None) -> TrainedNetwork:
    """Return a trained network, training it only if it is nowhere on disk.

    Parameters
    ----------
    name : str
        Name of a recipe, see `recipe`.
    replicate : int
        Seed of the training, at least 0.
    epoch : int, optional
        The network as it was after this epoch; by default, as it is in the end. Only what
        `EARLY_EPOCHS` names is kept.

    Returns
    -------
    TrainedNetwork
        From ``zoo/`` (in git), else from the cache folder, else trained now, with a progress
        bar on a terminal, and stored in the cache. Two processes that ask at once train once.

    Raises
    ------
    ValueError
        If there is no such recipe, if `replicate` is negative, if there is no such epoch, if the
        network is less accurate than the paper says its own are, or if a stored file is damaged
        or belongs to another recipe; says how to get it back. Or if the data set's test images
        are not those that the network was tested on.

    Examples
    --------
    >>> from helpers import zoo
    >>> net = zoo.trained("digits-mlp")
    >>> net.dataset.name, net.accuracy > 0.95
    ('digits', True)
    """
    wanted, replicate = _asked_for(name, replicate)
    early = EARLY_EPOCHS.get((name, replicate), ())
    if epoch is not None and epoch not in early:
        raise ValueError(
            f"epoch: {epoch} was given; accepted for {_stem(wanted, replicate)} are None (the "
            f"last one){''.join(f', {each}' for each in early)}"
        )
    path = stored.find(_stem(wanted, replicate, epoch))
    if path is None:
        path = train_once(name, replicate, settings.cache_folder() / "zoo", epoch)
    network = _load(path, wanted, replicate)
    if epoch is None and network.accuracy < floor(name):
        raise ValueError(
            f"{path} has a test accuracy of {network.accuracy:.4f}, below {floor(name)}: it "
            "does not stand for the paper's networks and is not used"
        )
    return network


def floor(name: str) -> float:
    """Return the test accuracy, in [0, 1], below which a network of a recipe is not used."""
    return _FLOORS.get(name, 0.0)


def train(wanted: Recipe, replicate: int, folder: Path, epoch: int | None = None) -> Path:
    """Train a network, from its newest checkpoint if there is one, and store it.

    Parameters
    ----------
    wanted : Recipe
        How to train it.
    replicate : int
        Seed of the training.
    folder : Path
        Where to store it; made if needed. After each epoch a checkpoint is written to the cache
        folder, from which training goes on with the same result.
    epoch : int, optional
        Where to stop, if before the recipe's last epoch.

    Returns
    -------
    Path
        The stored weights; the manifest lies beside them.

    Raises
    ------
    ValueError
        If the checkpoint is damaged, or does not fit the recipe.
    """
    last = wanted.all_epochs if epoch is None else epoch
    dataset = datasets.load(wanted.dataset)
    model = _initialised(wanted, replicate, dataset)
    checkpointed = _checkpoint_folder(wanted, replicate, dataset)
    seconds = _train_on(model, wanted, replicate, dataset, last, checkpointed)
    path = _keep(model, wanted, replicate, dataset, last, seconds, folder)
    if stored.find(_stem(wanted, replicate), {folder, *stored.folders()}):
        checkpoints.remove(checkpointed)
    return path


def _initialised(wanted: Recipe, replicate: int, dataset: Dataset) -> keras.Model:
    """Return a network as it is before its first step, in the precision of its training."""
    keras.utils.set_random_seed(replicate)
    return _build(wanted, dataset, wanted.precision)


def _train_on(
    model: keras.Model,
    wanted: Recipe,
    replicate: int,
    dataset: Dataset,
    last: int,
    folder: Path,
) -> float:
    """Train a model in place up to an epoch, and return the seconds that it took.

    It goes on from the newest checkpoint in a folder, unless that is further.
    """
    checkpoint = checkpoints.newest(folder)
    if checkpoint and checkpoint.epoch > last:
        checkpoint = None
    done, before = (checkpoint.epoch, checkpoint.seconds) if checkpoint else (0, 0.0)
    if checkpoint:
        training.set_model_state(model, checkpoint.model)
    start = time.perf_counter()

    def after_epoch(offset: int, epoch_of_phase: int, loss: float) -> None:
        epoch = offset + epoch_of_phase
        seconds = before + time.perf_counter() - start
        states = training.model_state_of(model), training.optimizer_state_of(model)
        if epoch < last and epoch in EARLY_EPOCHS.get((wanted.name, replicate), ()):
            _keep(model, wanted, replicate, dataset, epoch, seconds, _cache())
        checkpoints.save(folder, checkpoints.Checkpoint(epoch, *states, seconds))
        left = (last - epoch) * (seconds - before) / (epoch - done) / 60
        _log.info(
            "%s: epoch %d of %d, loss %.4f, %.0f s in all, %.0f min left",
            *(_stem(wanted, replicate), epoch, last, loss, seconds, left),
        )

    for offset, epochs, pruned in (
        (0, wanted.epochs, False),
        (wanted.epochs, wanted.pruning_epochs, True),
    ):
        until = min(epochs, last - offset)
        if until <= 0 or done >= offset + until:
            continue
        training.fit(
            model,
            dataset.x_train,
            dataset.y_train,
            epochs,
            wanted.batch_size,
            seed=replicate,
            learning_rate=wanted.learning_rate,
            schedule=wanted.schedule,
            l2=wanted.l2,
            augmented=wanted.augmented,
            pruned=pruned,
            first_epoch=max(done - offset, 0),
            last_epoch=until,
            optimizer_state=checkpoint.optimizer if checkpoint and done > offset else None,
            after_epoch=partial(after_epoch, offset),
        )
    return before + time.perf_counter() - start


def _keep(
    model: keras.Model,
    wanted: Recipe,
    replicate: int,
    dataset: Dataset,
    epoch: int,
    seconds: float,
    folder: Path,
) -> Path:
    """Store a model, rounded to float16, with what is known of it."""
    weights = {key: _rounded(key, value) for key, value in _weights(model).items()}
    network = _build(wanted, dataset)
    _set_weights(network, weights)
    accuracy = {"test": _accuracy(network, dataset.x_test, dataset.y_test)}
    if epoch:  # Before that, no image is one of training.
        accuracy["train"] = _accuracy(network, dataset.x_train, dataset.y_train)
    manifest = {
        "recipe": asdict(wanted),
        "replicate": replicate,
        "epochs": epoch,
        "accuracy": accuracy,
        "sparsity": _sparsity(network),
        "data": _fingerprint_of(dataset, dataset.x_test, dataset.y_test),
        "training_seconds": round(seconds),
        "versions": {
            "python": platform.python_version(),
            "keras": keras.version(),
            "backend": keras.backend.backend(),
            "numpy": np.__version__,
        },
    }
    return _store(folder, _stem(wanted, replicate, epoch), weights, manifest)


def _rounded(name: str, weights: npt.NDArray[np.float32]) -> npt.NDArray[np.float16]:
    """Round to float16, unless a weight is too large for it, or no number.

    Below 6e-5 float16 rounds coarsely, to multiples of 6e-8. That does not matter for the
    variances of batch normalisation, to which 1e-3 is added.
    """
    if np.isnan(weights).any():
        raise ValueError(
            f"{name}: the training has diverged, weights are NaN; delete its checkpoints in "
            f"{settings.cache_folder() / 'checkpoints'} to begin it anew"
        )
    with np.errstate(over="ignore"):
        rounded = weights.astype(np.float16)
    if not np.isfinite(rounded).all():
        raise ValueError(f"{name}: {np.abs(weights).max()} cannot be stored as float16")
    return rounded


def _asked_for(name: str, replicate: int) -> tuple[Recipe, int]:
    replicate = validation.check_seed(replicate, "replicate")
    if replicate > _LARGEST_SEED:
        raise ValueError(
            f"replicate: {replicate} was given; accepted are integers up to {_LARGEST_SEED}"
        )
    return recipe(name), replicate


def train_once(name: str, replicate: int, folder: Path, epoch: int | None = None) -> Path:
    """Train a network into a folder, unless it is stored or another process does so meanwhile.

    Parameters
    ----------
    name, replicate, epoch
        As for `trained`.
    folder : Path
        Where to store it. If it is in the cache already, it is copied from there.

    Returns
    -------
    Path
        The stored weights: in `folder`, or in ``zoo/`` if they are there.

    Raises
    ------
    ValueError
        As `train`, and if there is no such recipe.
    """
    wanted, replicate = _asked_for(name, replicate)
    lock = _cache() / f"{_stem(wanted, replicate)}.lock"
    with filelock.FileLock(lock):
        path = stored.find(_stem(wanted, replicate, epoch))
        if path is None:
            return train(wanted, replicate, folder, epoch)
        return path if path.parent in (folder, settings.ZOO) else _copied(path, folder)


def _copied(path: Path, folder: Path) -> Path:
    """Copy weights and, when these are whole, their manifest."""
    for each in (path, path.with_suffix(".json")):
        with files.written_whole(folder / each.name) as temporary:
            shutil.copyfile(each, temporary)
    return folder / path.name


def _cache() -> Path:
    folder = settings.cache_folder() / "zoo"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _checkpoint_folder(wanted: Recipe, replicate: int, dataset: Dataset) -> Path:
    """Return where checkpoints lie; another recipe of the name, or other images, have another."""
    of_training = _fingerprint_of(dataset, dataset.x_train, dataset.y_train)
    text = json.dumps(asdict(wanted)) + of_training
    fingerprint = hashlib.sha256(text.encode()).hexdigest()[:8]
    return settings.cache_folder() / "checkpoints" / f"{_stem(wanted, replicate)}-{fingerprint}"


def _stem(wanted: Recipe, replicate: int, epoch: int | None = None) -> str:
    is_last = epoch in (None, wanted.all_epochs)
    return stored.stem(wanted.name, replicate, None if is_last else epoch)


def _load(path: Path, wanted: Recipe, replicate: int) -> TrainedNetwork:
    manifest = stored.manifest(path)
    if manifest is None or not path.exists() or files.sha256_of(path) != manifest["sha256"]:
        raise ValueError(f"{path} or its manifest is damaged. {_remedy(path)}")
    if manifest["recipe"] != asdict(wanted) or manifest["replicate"] != replicate:
        raise ValueError(f"{path} belongs to another recipe than {wanted}. {_remedy(path)}")
    dataset = datasets.load(wanted.dataset)
    if manifest["data"] != _fingerprint_of(dataset, dataset.x_test, dataset.y_test):
        raise ValueError(
            f"{path} was tested on other images than {dataset.name} has now, so that its accuracy "
            "says nothing about them. Is $MODULARITY_DATA the folder that it was?"
        )
    dataset = _shared(dataset, manifest["data"])
    model = _build(wanted, dataset)
    with np.load(path, allow_pickle=False) as file:
        _set_weights(model, dict(file))
    return TrainedNetwork(
        model, dataset, wanted, replicate, float(manifest["accuracy"]["test"]), manifest
    )


_SHARED: WeakValueDictionary[tuple[str, str], Dataset] = WeakValueDictionary()


def _shared(dataset: Dataset, of_test: str) -> Dataset:
    """Return a data set as another network has it, if one does: forty copies fill a laptop."""
    for each in (dataset.x_train, dataset.y_train, dataset.x_test, dataset.y_test):
        each.flags.writeable = False
    return _SHARED.setdefault((dataset.name, of_test), dataset)


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
    text = json.dumps(manifest | {"sha256": files.sha256_of(path)}, indent=2) + "\n"
    with files.written_whole(path.with_suffix(".json")) as temporary:
        temporary.write_text(text)
    return path


def _build(wanted: Recipe, dataset: Dataset, precision: str = "float32") -> keras.Model:
    dropout = wanted.dropout > 0 if wanted.architecture == "vgg" else wanted.dropout
    options = {"dropout": dropout} if dropout else {}
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        return _BUILDERS[wanted.architecture](dataset.image_shape, dataset.n_classes, **options)
    finally:
        keras.config.set_dtype_policy(before)


def _fingerprint_of(dataset: Dataset, x: npt.NDArray[np.float32], y: npt.NDArray[np.int64]) -> str:
    """Return a name for classes and images of a data set.

    Halves are blurred, which processors may round differently: of them, for the classes alone.
    """
    is_exact = not dataset.name.startswith("halves")
    return fingerprint(y, *([x] if is_exact else []))


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
