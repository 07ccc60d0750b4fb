"""Checkpoints: the last two whole epochs, and what a damaged one says."""

import contextlib
from dataclasses import asdict

import numpy as np
import pytest

from helpers import checkpoints
from helpers.checkpoints import Checkpoint


def after(epoch):
    model = {"0": np.full((3, 2), epoch, np.float32), "1": np.arange(4, dtype=np.uint32)}
    return Checkpoint(epoch, model, {"0": np.array(epoch, np.int32)}, seconds=1.5 * epoch)


def test_the_newest_of_the_last_two_is_read_as_it_was_written(tmp_path):
    for epoch in (9, 10, 11):
        checkpoints.save(tmp_path, after(epoch))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["epoch-010.npz", "epoch-011.npz"]
    read = checkpoints.newest(tmp_path)
    assert (read.epoch, read.seconds) == (11, 16.5)
    for ours, theirs in ((read.model, after(11).model), (read.optimizer, after(11).optimizer)):
        assert list(ours) == list(theirs)
        for key, value in theirs.items():
            np.testing.assert_array_equal(ours[key], value)
            assert ours[key].dtype == value.dtype


def test_without_a_checkpoint_there_is_none(tmp_path):
    assert checkpoints.newest(tmp_path / "nowhere") is None


def test_what_was_being_written_when_the_power_failed_does_not_count(tmp_path):
    checkpoints.save(tmp_path, after(3))
    (tmp_path / ".epoch-004-123.npz").write_bytes(b"half of it")
    assert checkpoints.newest(tmp_path).epoch == 3
    checkpoints.remove(tmp_path)
    assert not tmp_path.exists()


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: whole[:-100],
        lambda whole: b"",
        lambda whole: whole.replace(b"NUMPY", b"NUMPX"),
    ],
    ids=["cut", "empty", "changed"],
)
def test_a_damaged_one_says_which_epoch_remains(damage, tmp_path):
    for epoch in (4, 5):
        checkpoints.save(tmp_path, after(epoch))
    path = tmp_path / "epoch-005.npz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=rf"{path} is damaged .* after epoch 4 remains. Delete"):
        checkpoints.newest(tmp_path)
    path.unlink()
    assert checkpoints.newest(tmp_path).epoch == 4


@pytest.mark.parametrize("seed", range(3))
def test_no_flipped_bit_is_read_as_a_state(seed, tmp_path):
    checkpoints.save(tmp_path, after(4))
    path = tmp_path / "epoch-004.npz"
    whole, rng = path.read_bytes(), np.random.default_rng(seed)
    for position in rng.integers(len(whole), size=300):
        flipped = bytearray(whole)
        flipped[position] ^= 1 << rng.integers(8)
        path.write_bytes(flipped)
        with contextlib.suppress(ValueError):  # unless nothing depends on it, as on a time stamp
            np.testing.assert_equal(asdict(checkpoints.newest(tmp_path)), asdict(after(4)))


def test_if_none_remains_training_begins_anew(tmp_path):
    checkpoints.save(tmp_path, after(1))
    (tmp_path / "epoch-001.npz").write_bytes(b"")
    with pytest.raises(ValueError, match=r"no earlier one remains\. .* from the beginning"):
        checkpoints.newest(tmp_path)
