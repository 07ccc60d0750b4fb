"""How far a training has come, on disk: the state after each of its last two whole epochs."""

import hashlib
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from helpers import files
from helpers.training import State

_KEPT = 2


@dataclass(frozen=True)
class Checkpoint:
    """A training after a whole epoch.

    Attributes
    ----------
    epoch : int
        Epochs that are done, pruning included.
    model, optimizer : dict of str to ndarray
        States, see `training.model_state_of` and `training.optimizer_state_of`.
    seconds : float
        Time that these epochs took.
    """

    epoch: int
    model: State
    optimizer: State
    seconds: float


def save(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint, and remove those that are older than the one before it.

    Parameters
    ----------
    folder : Path
        Of this training and no other; made if needed.
    checkpoint : Checkpoint
        What to keep.
    """
    arrays = {f"model/{key}": value for key, value in checkpoint.model.items()}
    arrays |= {f"optimizer/{key}": value for key, value in checkpoint.optimizer.items()}
    arrays["seconds"] = np.array(checkpoint.seconds)
    with files.written_whole(_path(folder, checkpoint.epoch)) as temporary:
        np.savez(temporary, allow_pickle=False, sha256=_digest(arrays), **arrays)
    for epoch in _epochs(folder)[:-_KEPT]:
        _path(folder, epoch).unlink()


def newest(folder: Path) -> Checkpoint | None:
    """Return the checkpoint after the most epochs, None if there is none.

    Raises
    ------
    ValueError
        If it is damaged; says which epoch remains.
    """
    epochs = _epochs(folder)
    return _read(folder, epochs[-1], epochs[:-1]) if epochs else None


def remove(folder: Path) -> None:
    """Remove all checkpoints of a training that is done."""
    if folder.exists():
        shutil.rmtree(folder)


def _read(folder: Path, epoch: int, earlier: list[int]) -> Checkpoint:
    path = _path(folder, epoch)
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
        if arrays.pop("sha256") != _digest(arrays):
            raise ValueError("its contents are not those that were written")
        seconds = float(arrays.pop("seconds"))
    # A changed header can make NumPy, zipfile and zlib raise almost anything.
    except Exception as error:
        remains = (
            f"the one after epoch {earlier[-1]} remains" if earlier else "no earlier one remains"
        )
        raise ValueError(
            f"the checkpoint {path} is damaged ({error}); {remains}. Delete {path.name} to go on "
            f"{'from there' if earlier else 'from the beginning'}."
        ) from error
    model, optimizer = (
        {key.removeprefix(prefix): value for key, value in arrays.items() if key.startswith(prefix)}
        for prefix in ("model/", "optimizer/")
    )
    return Checkpoint(epoch, model, optimizer, seconds)


def _digest(arrays: State) -> npt.NDArray[np.str_]:
    """Return a checksum of arrays with their names: zip's own covers neither names nor types."""
    digest = hashlib.sha256()
    for key, value in arrays.items():
        digest.update(f"{key} {value.dtype.str} {value.shape}".encode())
        digest.update(value.tobytes())
    return np.array(digest.hexdigest())


def _path(folder: Path, epoch: int) -> Path:
    return folder / f"epoch-{epoch:03}.npz"


def _epochs(folder: Path) -> list[int]:
    """Return the epochs after which there is a checkpoint, ascending."""
    matches = (re.fullmatch(r"epoch-(\d+)\.npz", path.name) for path in folder.glob("*.npz"))
    return sorted(int(match[1]) for match in matches if match)
