"""The images that networks are trained and lesioned on.

``digits`` is embedded (scikit-learn's 8x8 digits) and needs no network. The others are looked
for in the folder that ``$MODULARITY_DATA`` names, as Keras's own ``.npz`` archives, and are
downloaded by Keras otherwise.

Any of them can be composed: `halves` and `stack` pair its images, side by side or as channels,
so that a task can be solved in parallel parts; `rgb` repeats a grey image in three channels.
"""

import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from helpers import files, settings, validation

ARCHIVES = {"mnist": "mnist", "fashion": "fashion_mnist", "cifar10": "cifar10"}
"""Data sets on disk: our name, and the name of Keras's archive and module."""

BASES = ("digits", *ARCHIVES)
"""Every data set that `load` knows and that is not composed of another."""

_CLASSES = {
    "fashion": (
        *("T-shirt", "trousers", "pullover", "dress", "coat"),
        *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
    ),
    "cifar10": (
        *("airplane", "automobile", "bird", "cat", "deer"),
        *("dog", "frog", "horse", "ship", "truck"),
    ),
}
"""What classes are called, where their numbers do not say it."""

_PAIRS_PER_IMAGE = {"digits": 10}
"""digits has too few images to learn sums of classes from as many pairs."""

_TASKS = "halves-same", "halves-diff", "stack-same", "stack-diff"
_GREY = "digits", "mnist", "fashion"
_NAME = re.compile(rf"(?:({'|'.join(_TASKS)})-)?({'|'.join(BASES)})|({'|'.join(_GREY)})-rgb")
ACCEPTED = f"[{'-|'.join(_TASKS)}-]<{'|'.join(BASES)}> and <{'|'.join(_GREY)}>-rgb"
"""The names that `load` knows, as error messages show them."""

Images = npt.NDArray[np.float32]
Classes = npt.NDArray[np.int64]

_KEYS = ("x_train", "y_train", "x_test", "y_test")


@dataclass(frozen=True)
class Dataset:
    """Labelled images, split into a training and a test set.

    Attributes
    ----------
    name : str
        What `load` was asked for.
    x_train, x_test : ndarray of float32, shape (n, height, width, channels)
        Images, in [0, 1].
    y_train, y_test : ndarray of int64, shape (n,)
        Classes, in 0 to `n_classes` - 1.
    n_classes : int
        Number of classes.

    Raises
    ------
    ValueError
        If training and test images differ in shape, or classes are not one for each image, of
        those that there are.
    """

    name: str
    x_train: npt.NDArray[np.float32]
    y_train: npt.NDArray[np.int64]
    x_test: npt.NDArray[np.float32]
    y_test: npt.NDArray[np.int64]
    n_classes: int

    @property
    def class_names(self) -> tuple[str, ...]:
        """What each class is called: its number, if it has no name."""
        return _CLASSES.get(self.name, tuple(map(str, range(self.n_classes))))

    def __post_init__(self) -> None:
        """Refuse splits that no network could take in both."""
        train, test = self.x_train.shape[1:], self.x_test.shape[1:]
        if train != test:
            raise ValueError(f"x_test: images of shape {test}, but x_train has {train}")
        for name, x, y in (
            ("y_train", self.x_train, self.y_train),
            ("y_test", self.x_test, self.y_test),
        ):
            if y.shape != (len(x),) or y.dtype.kind not in "iu":
                raise ValueError(
                    f"{name}: {y.dtype} of shape {y.shape} was given for {len(x)} images; accepted "
                    "is an integer for each"
                )
            if len(y) and not 0 <= y.min() <= y.max() < self.n_classes:
                raise ValueError(
                    f"{name}: classes from {y.min()} to {y.max()} were given; accepted are 0 to "
                    f"{self.n_classes - 1}"
                )

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of one image."""
        height, width, channels = self.x_train.shape[1:]
        return height, width, channels


def load(name: str) -> Dataset:
    """Load a data set by name.

    Parameters
    ----------
    name : str
        "digits", "mnist", "fashion" or "cifar10", or one composed of it:
        ``halves-same-mnist``, ``stack-diff-digits``, ``mnist-rgb``. Keras's own names of the
        archives (``fashion_mnist``) are understood too, by themselves.

    Returns
    -------
    Dataset
        Images scaled to [0, 1] by dividing by the largest possible value, and not otherwise
        normalised (as in the paper's experiments). Composed ones are paired with seed 0, so that
        all networks of a name see the same images; of digits, each training image is in ten
        times as many pairs.

    Raises
    ------
    ValueError
        If the name is unknown.
    FileNotFoundError
        If the data set is neither on disk nor to be downloaded; says where to put which file.

    Examples
    --------
    >>> from helpers import datasets
    >>> digits = datasets.load("digits")
    >>> digits.x_test.shape, str(digits.x_test.dtype), digits.n_classes
    ((899, 8, 8, 1), 'float32', 10)
    """
    by_archive = {archive: ours for ours, archive in ARCHIVES.items()}
    match = _NAME.fullmatch(by_archive.get(name, name))
    if not match:
        raise ValueError(f"name: unknown data set {name!r}; accepted are {ACCEPTED}")
    task, plain, grey = match.groups()
    base = plain or grey
    dataset = _digits() if base == "digits" else _from_arrays(base, _read(ARCHIVES[base]))
    if grey:
        return rgb(dataset)
    if not task:
        return dataset
    compose = halves if task.startswith("halves") else stack
    return compose(dataset, task.endswith("same"), 0, _PAIRS_PER_IMAGE.get(base, 1))


def is_known(name: str) -> bool:
    """Tell whether `load` knows a data set by this name; Keras's own names do not count."""
    return _NAME.fullmatch(name) is not None


def halves(dataset: Dataset, same: bool, seed: int, pairs_per_image: int = 1) -> Dataset:
    """Pair images side by side, each shrunk to half its width (section 3.1.1 of the paper).

    Parameters
    ----------
    dataset : Dataset
        Images of even width.
    same : bool
        Whether the halves show the same class, which is then the label. Each image is the left
        half in turn; the right half is drawn from all other images of its class. Otherwise both
        halves are drawn from all images, and the label is the sum of their classes modulo the
        number of classes.
    seed : int
        Seed of the pairs.
    pairs_per_image : int
        Pairs in the training set per training image, at least 1. The test set always has as many
        pairs as there are test images.

    Returns
    -------
    Dataset
        Images of the same shape. Both halves of a training image come from training images, both
        of a test image from test images.

    Raises
    ------
    ValueError
        If the width is odd, if `pairs_per_image` is less than 1, or if, for `same`, a class has
        a single image in a split.

    Notes
    -----
    Shrinking averages neighbouring columns after a Gaussian blur of 0.5 pixels along the width,
    which is what scikit-image's anti-aliased ``resize`` does for this size. Unlike the released
    code, nothing is rescaled or rounded afterwards.
    """
    width = dataset.image_shape[1]
    if width % 2:
        raise ValueError(
            f"dataset: {dataset.name!r} is {width} pixels wide; halves need an even width"
        )
    name = f"halves-{'same' if same else 'diff'}-{dataset.name}"
    shrunk = replace(
        dataset,
        name=name,
        x_train=_half_width(dataset.x_train),
        x_test=_half_width(dataset.x_test),
    )
    return _paired(shrunk, same, seed, pairs_per_image, axis=2)


def stack(dataset: Dataset, same: bool, seed: int, pairs_per_image: int = 1) -> Dataset:
    """Pair images as channels of one image (appendix A.3 of the paper).

    Parameters
    ----------
    dataset, same, seed, pairs_per_image
        As for `halves`, with channels for halves; the width does not matter.

    Returns
    -------
    Dataset
        As of `halves`, with full images and twice the channels.

    Raises
    ------
    ValueError
        If `pairs_per_image` is less than 1, or if, for `same`, a class has a single image in a
        split.
    """
    named = replace(dataset, name=f"stack-{'same' if same else 'diff'}-{dataset.name}")
    return _paired(named, same, seed, pairs_per_image, axis=3)


def parts(dataset: Dataset) -> npt.NDArray[np.intp]:
    """Say which of its two images each input of a composed data set belongs to.

    Parameters
    ----------
    dataset : Dataset
        Of `halves` or `stack`.

    Returns
    -------
    ndarray of int, shape (inputs,)
        0 for the left half or the first image's channels, 1 for the others, in the order of
        flattened images.

    Raises
    ------
    ValueError
        If the data set is not composed of pairs.
    """
    axis = {"halves": 1, "stack": 2}.get(dataset.name.split("-")[0])
    if axis is None:
        raise ValueError(f"dataset: {dataset.name!r} has no parts; accepted are halves and stacks")
    return np.asarray(
        2 * np.indices(dataset.image_shape)[axis] // dataset.image_shape[axis]
    ).ravel()


def examples(dataset: Dataset, label: int, n: int) -> Images:
    """Return the first n test images of a class, for looking at; shape (n, height, width, c).

    Raises
    ------
    ValueError
        If there are fewer.
    """
    chosen: Images = dataset.x_test[dataset.y_test == label][:n]
    if len(chosen) < n:
        raise ValueError(f"n: {n} was given; {dataset.name!r} has {len(chosen)} of class {label}")
    return chosen


def balanced(classes: Classes, n: int, seed: int) -> npt.NDArray[np.intp]:
    """Choose images at random, as many of each class.

    Parameters
    ----------
    classes : ndarray of int, shape (n_images,)
        Class of each image.
    n : int
        How many to choose, a multiple of the number of classes.
    seed : int
        Seed of the choice.

    Returns
    -------
    ndarray of int, shape (n,)
        Indices, ascending.

    Raises
    ------
    ValueError
        If `n` is no multiple of the number of classes, or a class has too few images.
    """
    if not validation.is_integer(n) or not len(classes):
        raise ValueError(
            f"n: {n!r} was given for {len(classes)} images; accepted are integers, for one or more"
        )
    labels, sizes = np.unique(classes, return_counts=True)
    n_each, rest = divmod(n, len(labels))
    if rest or not 1 <= n_each <= sizes.min():
        raise ValueError(
            f"n: {n} was given; accepted are multiples of {len(labels)}, the number of classes, "
            f"up to {len(labels) * sizes.min()}"
        )
    rng = np.random.default_rng(seed)
    chosen = [
        rng.choice(np.flatnonzero(classes == label), n_each, replace=False) for label in labels
    ]
    return np.sort(np.concatenate(chosen))


def rgb(dataset: Dataset) -> Dataset:
    """Repeat grey images in three channels, for instruments that need colours (appendix A.8).

    Raises
    ------
    ValueError
        If the images have more than one channel.
    """
    channels = dataset.image_shape[2]
    if channels != 1:
        raise ValueError(f"dataset: {dataset.name!r} has {channels} channels; rgb needs one")
    return replace(
        dataset,
        name=f"{dataset.name}-rgb",
        x_train=np.repeat(dataset.x_train, 3, axis=3),
        x_test=np.repeat(dataset.x_test, 3, axis=3),
    )


def _paired(dataset: Dataset, same: bool, seed: int, pairs_per_image: int, axis: int) -> Dataset:
    """Put pairs of images of each split side by side along an axis."""
    if not validation.is_integer(pairs_per_image) or pairs_per_image < 1:
        raise ValueError(f"pairs_per_image: {pairs_per_image} was given; accepted are 1 and more")
    validation.check_seed(seed)

    def paired(x: Images, y: Classes, n: int, rng: np.random.Generator) -> tuple[Images, Classes]:
        first, second = _same_class(y, n, rng) if same else rng.integers(len(y), size=(2, n))
        classes = y[first] if same else (y[first] + y[second]) % dataset.n_classes
        return np.concatenate([x[first], x[second]], axis=axis), classes

    train_rng, test_rng = np.random.default_rng(seed).spawn(2)
    n_train = len(dataset.y_train) * pairs_per_image
    x_train, y_train = paired(dataset.x_train, dataset.y_train, n_train, train_rng)
    x_test, y_test = paired(dataset.x_test, dataset.y_test, len(dataset.y_test), test_rng)
    return Dataset(dataset.name, x_train, y_train, x_test, y_test, dataset.n_classes)


def _same_class(y: Classes, n: int, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """Pair each image in turn with another one of its class, n times in all; shape (2, n)."""
    first = np.arange(n) % len(y)
    second = np.empty(n, dtype=np.intp)
    for label in np.unique(y):
        members = np.flatnonzero(y == label)
        if len(members) == 1:
            raise ValueError(f"dataset: class {label} has a single image, which has no partner")
        chosen = np.flatnonzero(y[first] == label)
        position = np.searchsorted(members, first[chosen])
        others = rng.integers(len(members) - 1, size=len(chosen))
        second[chosen] = members[others + (others >= position)]
    return np.stack([first, second])


def _half_width(x: Images) -> Images:
    blurred: Images = gaussian_filter1d(x, 0.5, axis=2, mode="mirror")
    return (blurred[:, :, ::2] + blurred[:, :, 1::2]) / np.float32(2)


def _digits() -> Dataset:
    """Split scikit-learn's 1,797 digits in half, so that the test set resolves small damages."""
    images, classes = load_digits(return_X_y=True)
    x = (images / 16).astype(np.float32).reshape(-1, 8, 8, 1)
    y = classes.astype(np.int64)
    x_train, x_test, y_train, y_test = train_test_split(
        x, y, test_size=0.5, stratify=y, random_state=0
    )
    return Dataset("digits", x_train, y_train, x_test, y_test, n_classes=10)


def _from_arrays(name: str, arrays: Mapping[str, npt.NDArray[np.uint8]]) -> Dataset:
    """Turn Keras's arrays (bytes, with or without a channel axis) into a `Dataset`."""

    def images(key: str) -> npt.NDArray[np.float32]:
        x = arrays[key]
        x = x if x.ndim == 4 else x[..., np.newaxis]
        return np.divide(x, 255, dtype=np.float32)

    def classes(key: str) -> npt.NDArray[np.int64]:
        return arrays[key].reshape(-1).astype(np.int64)

    y_train = classes("y_train")
    return Dataset(
        name,
        images("x_train"),
        y_train,
        images("x_test"),
        classes("y_test"),
        n_classes=int(y_train.max()) + 1,
    )


def _read(archive: str) -> Mapping[str, npt.NDArray[np.uint8]]:
    """Read one of Keras's archives from `settings.data_folder`, or let Keras download it."""
    folder = settings.data_folder()
    path = folder / f"{archive}.npz" if folder else None
    if path and path.exists():
        return _read_npz(_unpacked(path))
    return _download(archive, path)


def _read_npz(path: Path) -> Mapping[str, npt.NDArray[np.uint8]]:
    """Read one of Keras's archives, and refuse what is none."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in _KEYS if key in file}
    except files.UNREADABLE as error:
        raise ValueError(f"{path} is damaged, or no archive of Keras's ({error})") from error
    if missing := [key for key in _KEYS if key not in arrays]:
        raise ValueError(f"{path} holds no {', '.join(missing)}; expected {', '.join(_KEYS)}")
    for split in ("train", "test"):
        x, y = arrays[f"x_{split}"], arrays[f"y_{split}"]
        if len(x) != len(y):
            raise ValueError(f"{path} holds {len(x)} images in x_{split} but {len(y)} classes")
        if x.dtype != np.uint8:
            raise ValueError(
                f"{path} holds images of type {x.dtype}, from {x.min():g} to {x.max():g}; "
                "expected are bytes, from 0 to 255"
            )
    return arrays


def _unpacked(path: Path) -> Path:
    """Return `path`, or for an LZMA-packed archive (20 s to read) a plain copy in the cache."""
    try:
        with zipfile.ZipFile(path) as archive:
            kinds = {member.compress_type for member in archive.infolist()}
    except files.UNREADABLE as error:
        raise ValueError(f"{path} is damaged, or no archive of Keras's ({error})") from error
    if zipfile.ZIP_LZMA not in kinds:
        return path
    stat = path.stat()
    copy = settings.cache_folder() / f"{path.stem}-{stat.st_size}-{stat.st_mtime_ns}.npz"
    if not copy.exists():
        with files.written_whole(copy) as temporary:
            np.savez(temporary, allow_pickle=False, **_read_npz(path))
    return copy


def _download(archive: str, missing: Path | None) -> Mapping[str, npt.NDArray[np.uint8]]:
    from helpers.backend import keras

    try:
        train, test = getattr(keras.datasets, archive).load_data()
    except Exception as error:  # Keras raises a bare Exception when a download fails.
        looked = f"{missing} does not exist" if missing else "$MODULARITY_DATA is not set"
        raise FileNotFoundError(
            f"the data set {archive} is not here ({looked}) and could not be downloaded "
            f"({error}). Put {archive}.npz (keys {', '.join(_KEYS)}) into a folder and set "
            "MODULARITY_DATA to that folder, or use the embedded data set 'digits'."
        ) from error
    return dict(zip(_KEYS, (*train, *test), strict=True))
