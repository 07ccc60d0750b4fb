"""Data sets: shapes, ranges and splits, where archives are looked for, and composed ones."""

import os
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
from sklearn.datasets import load_digits

import brute_force
from helpers import datasets
from helpers.backend import keras
from helpers.datasets import Dataset

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


@pytest.mark.parametrize("write", [np.savez_compressed, np.savez])
@pytest.mark.parametrize("share", [0, 0.3, 0.9])
def test_archives_that_were_cut_off_are_refused_by_name(write, share, folder):
    path = folder / "mnist.npz"
    write(path, **some_arrays())
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ValueError, match=f"{path} is damaged, or no archive of Keras's"):
        datasets.load("mnist")


def test_an_archive_with_a_changed_byte_is_refused(folder):
    path = folder / "mnist.npz"
    np.savez(path, **some_arrays())
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 3] ^= 1
    path.write_bytes(whole)
    with pytest.raises(ValueError, match=f"{path} is damaged"):
        datasets.load("mnist")


@pytest.mark.parametrize("split", ["train", "test"])
def test_images_and_classes_of_different_numbers_are_refused(split, folder):
    arrays = some_arrays()
    arrays[f"y_{split}"] = arrays[f"y_{split}"][:-1]
    np.savez(folder / "mnist.npz", **arrays)
    message = rf"mnist\.npz holds \d+ images in x_{split} but \d+ classes"
    with pytest.raises(ValueError, match=message):
        datasets.load("mnist")


def test_images_that_are_scaled_already_are_refused(folder):
    arrays = some_arrays()
    arrays["x_train"] = (arrays["x_train"] / 255).astype(np.float32)
    np.savez(folder / "mnist.npz", **arrays)
    message = r"mnist\.npz holds images of type float32, from 0 to 1; expected are bytes"
    with pytest.raises(ValueError, match=message):
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


@pytest.mark.parametrize(
    "name",
    [
        *("", "mnst", "MNIST", " mnist", "mnist ", "rgb", "mnist-", "-mnist", "mnist-mnist"),
        *("halves-mnist", "same-mnist", "halves-same", "halves-same-", "halves-same-mnst"),
        *("halves-both-mnist", "halves-same-stack-same-mnist", "stack_same_mnist"),
        *("rgb-mnist", "mnist-rgb-rgb", "mnist-rgba", "halves-same-rgb-mnist", "mnist-halves-same"),
        *("cifar10-rgb", "stack-same-digits-rgb", "halves-same-mnist-rgb"),
    ],
)
def test_unknown_names_are_refused(name):
    with pytest.raises(ValueError, match="name: unknown data set") as caught:
        datasets.load(name)
    assert repr(name) in str(caught.value)
    prefixes = ("halves-same-", "halves-diff-", "stack-same-", "stack-diff-")
    for accepted in (*prefixes, "digits", "mnist", "fashion", "cifar10", "-rgb"):
        assert accepted in str(caught.value).split("accepted are")[1]
    assert not datasets.is_known(name)


@pytest.mark.data
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


COMPOSED = pytest.mark.parametrize("compose", [datasets.halves, datasets.stack])
KINDS = pytest.mark.parametrize("same", [True, False])
KEYS = ("x_train", "y_train", "x_test", "y_test")


def random_images(shape=(5, 6, 1), n_train=20, n_test=12):
    """Images from black to white, with four of each class at least."""
    rng = np.random.default_rng(0)
    x = rng.random((n_train + n_test, *shape), dtype=np.float32)
    x[::2] = x[::2].round()
    y = np.concatenate([np.arange(n_train) % 3, np.arange(n_test) % 3])
    train, test = slice(n_train), slice(n_train, None)
    return Dataset("own", x[train], y[train], x[test], y[test], n_classes=5)


def numbered_images(y_train, y_test, n_classes=5, shape=(3, 4, 1)):
    """Images of one grey level each, which is the image's number; those of tests come last."""
    y = np.array([*y_train, *y_test])
    grey = np.arange(1, len(y) + 1, dtype=np.float32) / 1024
    x = np.broadcast_to(grey[:, None, None, None], (len(y), *shape))
    train, test = slice(len(y_train)), slice(len(y_train), None)
    return Dataset("own", x[train], y[train], x[test], y[test], n_classes)


def numbers(x):
    """The numbers of the first and of the second image of each pair of numbered images."""
    return np.rint(1024 * x.reshape(len(x), -1)[:, [0, -1]]).astype(int).T - 1


UNEVEN = ([0, 1, 1, 0, 2, 1, 0, 1, 2, 1], [2, 1, 0, 0, 1, 2, 2])


def uneven():
    return numbered_images(*UNEVEN)


def assert_same_images(first, second):
    for key in KEYS:
        np.testing.assert_array_equal(getattr(first, key), getattr(second, key))


@KINDS
@COMPOSED
@pytest.mark.parametrize("shape", [(5, 6, 1), (4, 2, 3)])
def test_composed_images_are_in_the_unit_range(shape, compose, same):
    dataset = compose(random_images(shape), same, 0)
    height, width, channels = shape
    n_channels = channels if compose is datasets.halves else 2 * channels
    assert dataset.image_shape == (height, width, n_channels)
    assert dataset.n_classes == 5
    for x, y, n in (
        (dataset.x_train, dataset.y_train, 20),
        (dataset.x_test, dataset.y_test, 12),
    ):
        assert (x.shape, y.shape) == ((n, *dataset.image_shape), (n,))
        assert (x.dtype, y.dtype) == (np.float32, np.int64)
        assert 0 <= x.min() < x.max() <= 1
        assert set(y) <= set(range(5))


@COMPOSED
def test_white_stays_white_and_black_stays_black(compose):
    white = replace(random_images(), x_train=np.ones((20, 5, 6, 1), np.float32))
    assert (compose(white, True, 0).x_train == 1).all()
    black = replace(white, x_train=np.zeros((20, 5, 6, 1), np.float32))
    assert not compose(black, True, 0).x_train.any()


@pytest.mark.parametrize("shape", [(5, 2, 1), (5, 4, 3), (3, 6, 1), (28, 28, 1)])
def test_halves_equal_blurring_and_averaging_column_by_column(shape):
    base = random_images(shape)
    base = replace(base, x_train=base.x_train / 4)  # Dim images stay dim.
    pairs = datasets.halves(base, True, 0)
    half = shape[1] // 2
    for x, whole, y in (
        (pairs.x_train, base.x_train, base.y_train),
        (pairs.x_test, base.x_test, base.y_test),
    ):
        shrunk = brute_force.half_width(whole)
        np.testing.assert_allclose(x[:, :, :half], shrunk, rtol=0, atol=1e-6)
        for i, right in enumerate(x[:, :, half:]):
            is_same = np.abs(shrunk - right).max(axis=(1, 2, 3)) < 1e-6
            assert is_same.sum() == 1
            assert y[is_same.argmax()] == y[i]


@pytest.mark.parametrize(
    ("row", "expected"),
    # By hand: the blur's weights are .78657, .10645 on each side, and .00026 further out.
    [
        ([1, 0, 0, 0], [(0.78657 + 0.10645) / 2, 0.00026 / 2]),
        ([0, 1, 0, 0], [(2 * 0.10645 + 0.78657 + 0.00026) / 2, (0.10645 + 2 * 0.00026) / 2]),
    ],
)
def test_the_edges_pixel_is_not_repeated_beyond_the_edge(row, expected):
    x = np.tile(np.array(row, np.float32)[:, None], (2, 1, 1, 1))
    base = Dataset("own", x, np.array([0, 0]), x, np.array([0, 0]), n_classes=1)
    halves = datasets.halves(base, True, 0)
    np.testing.assert_allclose(halves.x_train[0, 0, :, 0], [*expected] * 2, atol=1e-5)


@KINDS
def test_channels_of_stacks_are_whole_images(same):
    base = random_images((5, 7, 3))
    stacks = datasets.stack(base, same, 0)
    assert stacks.image_shape == (5, 7, 6)
    for x, whole in ((stacks.x_train, base.x_train), (stacks.x_test, base.x_test)):
        known = {image.tobytes() for image in whole}
        for first, second in zip(x[..., :3], x[..., 3:], strict=True):
            assert first.tobytes() in known
            assert second.tobytes() in known


@KINDS
@COMPOSED
def test_composing_leaves_the_base_as_it_was(compose, same):
    base = random_images()
    compose(base, same, 0)
    assert_same_images(base, random_images())


@COMPOSED
@pytest.mark.parametrize("pairs_per_image", [1, 3])
def test_of_the_same_class_each_image_is_first_in_turn_and_never_its_own_partner(
    pairs_per_image, compose
):
    base = uneven()
    y = np.concatenate(UNEVEN)
    for seed in range(20):
        dataset = compose(base, True, seed, pairs_per_image)
        train, test = numbers(dataset.x_train), numbers(dataset.x_test)
        np.testing.assert_array_equal(train[0], np.tile(np.arange(10), pairs_per_image))
        np.testing.assert_array_equal(test[0], np.arange(10, 17))
        for (first, second), labels in ((train, dataset.y_train), (test, dataset.y_test)):
            np.testing.assert_array_equal(y[first], labels)
            np.testing.assert_array_equal(y[second], labels)
            assert (first != second).all()


@COMPOSED
def test_partners_are_drawn_uniformly_from_all_other_images_of_the_class(compose):
    base, y = uneven(), np.concatenate(UNEVEN)
    split = np.arange(17) < 10
    expected = np.equal.outer(y, y) & np.equal.outer(split, split) & ~np.eye(17, dtype=bool)
    counts = np.zeros((17, 17))
    for seed in range(400):
        dataset = compose(base, True, seed)
        for x in (dataset.x_train, dataset.x_test):
            counts[tuple(numbers(x))] += 1
    np.testing.assert_array_equal(counts > 0, expected)
    for row, possible in zip(counts, expected, strict=True):
        bound = scipy.stats.chi2.ppf(0.9999, max(possible.sum() - 1, 1))
        assert scipy.stats.chisquare(row[possible]).statistic < bound


@COMPOSED
def test_of_any_classes_the_label_is_the_sum_modulo_the_number_of_classes(compose):
    base = numbered_images(np.arange(5), np.arange(5), n_classes=5)
    y = np.tile(np.arange(5), 2)
    for seed in range(10):
        dataset = compose(base, False, seed, 4)
        for x, labels in ((dataset.x_train, dataset.y_train), (dataset.x_test, dataset.y_test)):
            first, second = numbers(x)
            np.testing.assert_array_equal(labels, (y[first] + y[second]) % 5)


def test_the_modulus_is_the_number_of_classes_even_if_some_have_no_images():
    dataset = datasets.stack(numbered_images([3, 3], [3], n_classes=5), False, 0)
    assert (dataset.y_train.tolist(), dataset.y_test.tolist()) == ([1, 1], [1])
    assert dataset.n_classes == 5


@COMPOSED
def test_of_any_classes_both_images_are_drawn_with_replacement_and_independently(compose):
    base = numbered_images([0, 1, 1, 2, 0], [0, 1, 1])
    dataset = compose(base, False, 0, 600)
    train = np.zeros((5, 5))
    np.add.at(train, tuple(numbers(dataset.x_train)), 1)
    assert scipy.stats.chisquare(train.ravel()).pvalue > 1e-4
    test = np.zeros((3, 3))
    for seed in range(300):
        np.add.at(test, tuple(numbers(compose(base, False, seed).x_test) - 5), 1)
    assert scipy.stats.chisquare(test.ravel()).pvalue > 1e-4


@KINDS
@COMPOSED
@pytest.mark.parametrize("pairs_per_image", [1, 4])
def test_pairs_never_cross_the_border_between_training_and_test(pairs_per_image, compose, same):
    for seed in range(20):
        dataset = compose(uneven(), same, seed, pairs_per_image)
        assert (numbers(dataset.x_train) < 10).all()
        assert (numbers(dataset.x_test) >= 10).all()


@KINDS
@COMPOSED
def test_only_the_training_set_has_more_pairs_per_image(compose, same):
    sizes = [
        (len(dataset.x_train), len(dataset.y_train), len(dataset.x_test), len(dataset.y_test))
        for dataset in (compose(uneven(), same, 0, pairs) for pairs in (1, 2, 7))
    ]
    assert sizes == [(10, 10, 7, 7), (20, 20, 7, 7), (70, 70, 7, 7)]


@KINDS
@COMPOSED
def test_the_seed_decides_the_pairs(compose, same):
    first, again, other = (compose(uneven(), same, seed) for seed in (3, 3, 4))
    assert_same_images(first, again)
    for key in ("x_train", "x_test"):
        assert (getattr(first, key) != getattr(other, key)).any()


@KINDS
@COMPOSED
def test_training_pairs_do_not_depend_on_the_test_set(compose, same):
    first, other = (
        compose(numbered_images(UNEVEN[0], y_test), same, 0) for y_test in (UNEVEN[1], [1] * 30)
    )
    np.testing.assert_array_equal(first.x_train, other.x_train)
    np.testing.assert_array_equal(first.y_train, other.y_train)


@KINDS
def test_an_odd_width_is_refused_by_halves_and_accepted_by_stacks(same):
    base = random_images((4, 7, 1))
    with pytest.raises(ValueError, match="'own' is 7 pixels wide; halves need an even width"):
        datasets.halves(base, same, 0)
    assert datasets.stack(base, same, 0).image_shape == (4, 7, 2)


@COMPOSED
@pytest.mark.parametrize("labels", [([0, 0, 3], [0, 0]), ([0, 0], [3, 0, 0])])
def test_an_image_that_is_alone_in_its_class_has_no_partner_of_the_same_class(labels, compose):
    base = numbered_images(*labels)
    with pytest.raises(ValueError, match="class 3 has a single image, which has no partner"):
        compose(base, True, 0)
    assert len(compose(base, False, 0).x_train) == len(labels[0])


@KINDS
@COMPOSED
@pytest.mark.parametrize("pairs_per_image", [0, -1])
def test_fewer_than_one_pair_per_image_is_refused(pairs_per_image, compose, same):
    message = f"pairs_per_image: {pairs_per_image} was given; accepted are 1 and more"
    with pytest.raises(ValueError, match=message):
        compose(random_images(), same, 0, pairs_per_image)


def test_rgb_repeats_the_image_in_three_channels():
    base = random_images()
    colours = datasets.rgb(base)
    assert (colours.name, colours.image_shape, colours.n_classes) == ("own-rgb", (5, 6, 3), 5)
    for key in ("x_train", "x_test"):
        assert getattr(colours, key).dtype == np.float32
        for channel in range(3):
            np.testing.assert_array_equal(
                getattr(colours, key)[..., channel], getattr(base, key)[..., 0]
            )
    for key in ("y_train", "y_test"):
        np.testing.assert_array_equal(getattr(colours, key), getattr(base, key))


@pytest.mark.parametrize("channels", [2, 3])
def test_rgb_of_several_channels_is_refused(channels):
    with pytest.raises(ValueError, match=f"'own' has {channels} channels; rgb needs one"):
        datasets.rgb(random_images((5, 6, channels)))


@pytest.mark.parametrize(
    ("name", "compose", "same"),
    [
        ("halves-same", datasets.halves, True),
        ("halves-diff", datasets.halves, False),
        ("stack-same", datasets.stack, True),
        ("stack-diff", datasets.stack, False),
    ],
)
def test_composed_digits_are_those_of_composing_by_hand(name, compose, same):
    loaded = datasets.load(f"{name}-digits")
    by_hand = compose(datasets.load("digits"), same, 0, pairs_per_image=10)
    assert loaded.name == by_hand.name == f"{name}-digits"
    assert (loaded.n_classes, len(loaded.x_train), len(loaded.x_test)) == (10, 8980, 899)
    assert_same_images(loaded, by_hand)
    assert datasets.is_known(loaded.name)


def test_digits_in_three_channels_are_those_of_repeating_them_by_hand():
    loaded, by_hand = datasets.load("digits-rgb"), datasets.rgb(datasets.load("digits"))
    assert loaded.name == by_hand.name == "digits-rgb"
    assert loaded.image_shape == (8, 8, 3)
    assert_same_images(loaded, by_hand)
    assert datasets.is_known(loaded.name)


@pytest.mark.parametrize(
    ("archive", "ours", "image_shape"),
    [
        ("mnist", "mnist", (28, 28)),
        ("fashion_mnist", "fashion", (28, 28)),
        ("cifar10", "cifar10", (8, 8, 3)),
    ],
)
def test_composed_archives_have_one_pair_per_image(archive, ours, image_shape, folder):
    np.savez(folder / f"{archive}.npz", **some_arrays(image_shape))
    base = datasets.load(ours)
    for prefix, compose in (("halves", datasets.halves), ("stack", datasets.stack)):
        loaded = datasets.load(f"{prefix}-diff-{ours}")
        assert loaded.name == f"{prefix}-diff-{ours}"
        assert (len(loaded.x_train), len(loaded.x_test)) == (6, 4)
        assert_same_images(loaded, compose(base, False, 0))


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (np.zeros(5, int), r"y_train: int64 of shape \(5,\) was given for 6 images"),
        (np.eye(6, dtype=int), r"y_train: int64 of shape \(6, 6\) was given for 6 images"),
        (np.zeros(6), r"y_train: float64 of shape \(6,\) was given for 6 images"),
        (np.arange(6), "y_train: classes from 0 to 5 were given; accepted are 0 to 4"),
        (np.arange(6) - 2, "y_train: classes from -2 to 3 were given; accepted are 0 to 4"),
    ],
)
def test_classes_that_are_none_of_the_images_are_refused(classes, message):
    x = np.zeros((6, 4, 4, 1), np.float32)
    with pytest.raises(ValueError, match=message):
        Dataset("own", x, classes, x, np.zeros(6, int), 5)


def test_training_and_test_images_of_different_shapes_are_refused():
    x, y = np.zeros((2, 4, 4, 1), np.float32), np.zeros(2, np.int64)
    with pytest.raises(ValueError, match=r"x_test: .*\(4, 5, 1\), but x_train has \(4, 4, 1\)"):
        Dataset("own", x, y, np.zeros((2, 4, 5, 1), np.float32), y, n_classes=1)


@pytest.mark.parametrize(
    ("compose", "shape", "expected"),
    [
        (datasets.halves, (2, 4, 1), [0, 0, 1, 1, 0, 0, 1, 1]),
        (datasets.halves, (2, 2, 3), [0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1]),
        (datasets.stack, (1, 3, 1), [0, 1, 0, 1, 0, 1]),
        (datasets.stack, (1, 2, 3), [0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1]),
    ],
)
def test_parts_are_halves_or_channels_in_the_order_of_flattened_images(compose, shape, expected):
    parts = datasets.parts(compose(random_images(shape), True, 0))
    assert np.issubdtype(parts.dtype, np.integer)
    assert parts.tolist() == expected


@KINDS
@COMPOSED
@pytest.mark.parametrize("shape", [(3, 4, 1), (3, 2, 3)])
def test_each_part_holds_one_image_of_the_pair(shape, compose, same):
    dataset = compose(numbered_images(*UNEVEN, shape=shape), same, 0)
    parts, flat = datasets.parts(dataset), dataset.x_train.reshape(10, -1)
    for part, source in zip((0, 1), numbers(dataset.x_train), strict=True):
        expected = np.broadcast_to((source[:, None] + 1) / 1024, (10, flat.shape[1] // 2))
        np.testing.assert_allclose(flat[:, parts == part], expected, rtol=1e-6)


def test_parts_survive_colours():
    halves = datasets.halves(random_images((2, 4, 1)), True, 0)
    expected = np.repeat(datasets.parts(halves), 3)
    np.testing.assert_array_equal(datasets.parts(datasets.rgb(halves)), expected)


@pytest.mark.parametrize("name", ["digits", "digits-rgb"])
def test_data_sets_without_pairs_have_no_parts(name):
    with pytest.raises(ValueError, match=f"'{name}' has no parts; accepted are halves and stacks"):
        datasets.parts(datasets.load(name))


def test_examples_are_the_first_test_images_of_a_class():
    dataset = numbered_images([0], [2, 0, 2, 1, 2, 2])
    found = datasets.examples(dataset, 2, 3)
    assert found.shape == (3, 3, 4, 1)
    np.testing.assert_array_equal(found, dataset.x_test[[0, 2, 4]])


@pytest.mark.parametrize(("label", "n", "there"), [(2, 5, 4), (1, 2, 1), (4, 1, 0)])
def test_more_examples_than_there_are_are_refused(label, n, there):
    dataset = numbered_images([4, 4], [2, 0, 2, 1, 2, 2])
    with pytest.raises(ValueError, match=f"n: {n} was given; 'own' has {there} of class {label}"):
        datasets.examples(dataset, label, n)


def test_balanced_images_are_as_many_of_each_class_chosen_by_the_seed():
    classes = np.random.default_rng(0).permutation(np.repeat([0, 1, 4], (30, 50, 40)))
    chosen = datasets.balanced(classes, 60, seed=1)
    assert (np.diff(chosen) > 0).all()
    assert np.bincount(classes[chosen]).tolist() == [20, 20, 0, 0, 20]
    np.testing.assert_array_equal(chosen, datasets.balanced(classes, 60, seed=1))
    assert (chosen != datasets.balanced(classes, 60, seed=2)).any()


@pytest.mark.parametrize("n", [0, -3, 61, 93])
def test_balanced_choices_that_cannot_be_made_are_refused(n):
    classes = np.repeat([0, 1, 4], (30, 50, 40))
    with pytest.raises(ValueError, match=rf"n: {n} was given; .* multiples of 3, .* up to 90"):
        datasets.balanced(classes, n, seed=0)


def test_classes_have_names_where_their_numbers_say_nothing():
    assert datasets.load("digits").class_names == tuple("0123456789")
    images, classes = np.zeros((1, 28, 28, 1), np.float32), np.zeros(1, np.int64)
    for name, last in (
        ("fashion", "ankle boot"),
        ("cifar10", "truck"),
        ("halves-same-fashion", "9"),
    ):
        made = datasets.Dataset(name, images, classes, images, classes, 10)
        assert len(made.class_names) == 10
        assert made.class_names[-1] == last
