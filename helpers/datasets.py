"""The images that networks are trained and lesioned on.

``digits`` is embedded (scikit-learn's 8x8 digits) and needs no network. The others are looked
for in the folder that ``$MODULARITY_DATA`` names, as Keras's own ``.npz`` archives, and are
downloaded by Keras otherwise.
"""

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from helpers import files, settings

ARCHIVES = {"mnist": "mnist", "fashion": "fashion_mnist", "cifar10": "cifar10"}
"""Data sets on disk: our name, and the name of Keras's archive and module."""

NAMES = ("digits", *ARCHIVES)
"""Every data set that `load` knows."""

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
    """

    name: str
    x_train: npt.NDArray[np.float32]
    y_train: npt.NDArray[np.int64]
    x_test: npt.NDArray[np.float32]
    y_test: npt.NDArray[np.int64]
    n_classes: int

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of one image."""
        height, width, channels = self.x_train.shape[1:]
        return height, width, channels


def load(name: str) -> Dataset:
    """Load a data set by name.

    Parameters
    ----------
    name : {"digits", "mnist", "fashion", "cifar10"}
        Keras's own names of the archives (``fashion_mnist``) are understood too.

    Returns
    -------
    Dataset
        Images scaled to [0, 1] by dividing by the largest possible value, and not otherwise
        normalised (as in the paper's experiments).

    Raises
    ------
    ValueError
        If the name is unknown.
    FileNotFoundError
        If the data set is neither on disk nor to be downloaded; says where to put which file.
    """
    by_archive = {archive: ours for ours, archive in ARCHIVES.items()}
    name = by_archive.get(name, name)
    if name == "digits":
        return _digits()
    if name in ARCHIVES:
        return _from_arrays(name, _read(ARCHIVES[name]))
    raise ValueError(f"name: unknown data set {name!r}; accepted are {', '.join(NAMES)}")


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
    with np.load(path, allow_pickle=False) as file:
        missing = [key for key in _KEYS if key not in file]
        if missing:
            raise ValueError(f"{path} holds no {', '.join(missing)}; expected {', '.join(_KEYS)}")
        return {key: file[key] for key in _KEYS}


def _unpacked(path: Path) -> Path:
    """Return `path`, or for an LZMA-packed archive (20 s to read) a plain copy in the cache."""
    with zipfile.ZipFile(path) as archive:
        if all(member.compress_type != zipfile.ZIP_LZMA for member in archive.infolist()):
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
