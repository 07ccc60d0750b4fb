"""Data sets: shapes, ranges and splits, and where the archives are looked for."""

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from helpers import datasets
from helpers.backend import keras

MNIST_TRAIN = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
MNIST_TEST = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder of data sets, beside an empty cache."""
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("MODULARITY_DATA", str(folder))
    monkeypatch.setenv("MODULARITY_CACHE", str(tmp_path / "cache"))
    return folder


def some_arrays(image_shape=(28, 28), label_shape=(), seed=0):
    rng = np.random.default_rng(seed)
    arrays = {}
    for split, n in (("train", 6), ("test", 4)):
        arrays[f"x_{split}"] = rng.integers(0, 256, (n, *image_shape), np.uint8)
        arrays[f"y_{split}"] = np.arange(n, dtype=np.uint8).reshape(n, *label_shape)
    return arrays


def write_lzma(path, arrays):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        for key, array in arrays.items():
            with archive.open(f"{key}.npy", "w") as member:
                np.save(member, array)


def assert_holds(dataset, arrays):
    for split in ("train", "test"):
        x, y = getattr(dataset, f"x_{split}"), getattr(dataset, f"y_{split}")
        given = arrays[f"x_{split}"]
        expected = (given / 255).astype(np.float32).reshape(len(given), *dataset.image_shape)
        np.testing.assert_array_equal(x, expected)
        np.testing.assert_array_equal(y, arrays[f"y_{split}"].ravel())
        assert (x.dtype, y.dtype) == (np.float32, np.int64)


def test_digits_are_small_images_in_the_unit_range():
    digits = datasets.load("digits")
    assert (digits.name, digits.n_classes, digits.image_shape) == ("digits", 10, (8, 8, 1))
    for x, y in ((digits.x_train, digits.y_train), (digits.x_test, digits.y_test)):
        assert x.shape == (len(y), 8, 8, 1)
        assert (x.dtype, y.dtype) == (np.float32, np.int64)
        assert (x.min(), x.max()) == (0, 1)
        assert set(y) == set(range(10))


def test_every_digit_is_in_exactly_one_half():
    digits = datasets.load("digits")
    images, classes = load_digits(return_X_y=True)
    x = np.concatenate([digits.x_train, digits.x_test]).reshape(-1, 64) * 16
    y = np.concatenate([digits.y_train, digits.y_test])
    assert len(x) == 1797
    assert sorted(np.column_stack([x, y]).tolist()) == sorted(
        np.column_stack([images, classes]).tolist()
    )


def test_the_halves_of_digits_have_equally_many_images_of_each_class():
    digits = datasets.load("digits")
    difference = np.bincount(digits.y_train) - np.bincount(digits.y_test)
    assert abs(difference).max() <= 1


def test_digits_are_split_the_same_way_every_time():
    first, second = datasets.load("digits"), datasets.load("digits")
    for key in ("x_train", "y_train", "x_test", "y_test"):
        np.testing.assert_array_equal(getattr(first, key), getattr(second, key))


@pytest.mark.parametrize(
    ("name", "archive", "ours", "image_shape", "label_shape"),
    [
        ("mnist", "mnist", "mnist", (28, 28), ()),
        ("fashion", "fashion_mnist", "fashion", (28, 28), ()),
        ("fashion_mnist", "fashion_mnist", "fashion", (28, 28), ()),
        ("cifar10", "cifar10", "cifar10", (32, 32, 3), (1,)),
    ],
)
def test_archives_are_read_from_the_folder(name, archive, ours, image_shape, label_shape, folder):
    arrays = some_arrays(image_shape, label_shape)
    np.savez(folder / f"{archive}.npz", **arrays)
    dataset = datasets.load(name)
    assert (dataset.name, dataset.n_classes) == (ours, 6)
    assert dataset.image_shape == (*image_shape, 1)[:3]
    assert_holds(dataset, arrays)


def test_a_packed_archive_is_unpacked_once_and_read_from_the_cache(folder, tmp_path):
    arrays = some_arrays((32, 32, 3), (1,))
    write_lzma(folder / "cifar10.npz", arrays)
    assert_holds(datasets.load("cifar10"), arrays)
    (copy,) = (tmp_path / "cache").iterdir()
    with zipfile.ZipFile(copy) as archive:
        assert {each.compress_type for each in archive.infolist()} == {zipfile.ZIP_STORED}
    others = some_arrays((32, 32, 3), (1,), seed=1)
    np.savez(copy, **others)
    assert_holds(datasets.load("cifar10"), others)


def test_another_packed_archive_of_the_same_name_is_unpacked_anew(folder):
    write_lzma(folder / "mnist.npz", some_arrays())
    datasets.load("mnist")
    others = some_arrays((20, 20))
    write_lzma(folder / "mnist.npz", others)
    assert_holds(datasets.load("mnist"), others)


def test_an_archive_that_is_not_packed_is_not_copied(folder, tmp_path):
    np.savez_compressed(folder / "mnist.npz", **some_arrays())
    datasets.load("mnist")
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("write", [lambda path, arrays: np.savez(path, **arrays), write_lzma])
def test_archives_without_all_keys_are_refused(write, folder):
    arrays = some_arrays()
    write(folder / "mnist.npz", {key: arrays[key] for key in ("x_train", "y_test")})
    with pytest.raises(ValueError, match=r"mnist\.npz holds no y_train, x_test; expected x_train"):
        datasets.load("mnist")


def test_archives_with_pickles_are_refused(folder):
    np.savez(folder / "mnist.npz", **{**some_arrays(), "x_test": np.array([{}], dtype=object)})
    with pytest.raises(ValueError, match="allow_pickle=False"):
        datasets.load("mnist")


@pytest.mark.parametrize("is_set", [True, False])
def test_what_is_not_on_disk_is_downloaded_by_keras(is_set, folder, monkeypatch):
    arrays = some_arrays()
    pairs = [(arrays[f"x_{split}"], arrays[f"y_{split}"]) for split in ("train", "test")]
    monkeypatch.setattr(keras.datasets.fashion_mnist, "load_data", lambda: pairs)
    if not is_set:
        monkeypatch.delenv("MODULARITY_DATA")
    assert_holds(datasets.load("fashion"), arrays)


@pytest.mark.parametrize(
    ("is_set", "looked"), [(True, "mnist.npz does not exist"), (False, "MODULARITY_DATA is not")]
)
def test_without_data_and_network_the_error_says_what_to_do(is_set, looked, folder, monkeypatch):
    def fail():
        raise Exception("URL fetch failure")

    monkeypatch.setattr(keras.datasets.mnist, "load_data", fail)
    if not is_set:
        monkeypatch.delenv("MODULARITY_DATA")
    with pytest.raises(FileNotFoundError, match=looked) as caught:
        datasets.load("mnist")
    assert "URL fetch failure" in str(caught.value)
    assert "Put mnist.npz" in str(caught.value)
    assert "set MODULARITY_DATA to that folder" in str(caught.value)


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match=r"'mnst'; accepted are digits, mnist, fashion, cifar10"):
        datasets.load("mnst")


@pytest.mark.parametrize(
    ("name", "archive", "train", "test"),
    [
        ("mnist", "mnist.npz", MNIST_TRAIN, MNIST_TEST),
        ("fashion", "fashion_mnist.npz", [6000] * 10, [1000] * 10),
    ],
)
def test_the_real_archives_are_as_published(name, archive, train, test):
    if not Path(os.environ.get("MODULARITY_DATA", ""), archive).is_file():
        pytest.skip(f"MODULARITY_DATA names no folder that holds {archive}")
    dataset = datasets.load(name)
    assert dataset.image_shape == (28, 28, 1)
    assert (len(dataset.x_train), len(dataset.x_test)) == (60_000, 10_000)
    np.testing.assert_array_equal(np.bincount(dataset.y_train), train)
    np.testing.assert_array_equal(np.bincount(dataset.y_test), test)
    assert (dataset.x_train.min(), dataset.x_train.max()) == (0, 1)
