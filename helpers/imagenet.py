"""ImageNet's validation images, read from a folder when they are needed.

Fifty thousand photographs do not fit into memory, so what stands for them here is an array that is
read slice by slice: wherever images are asked for, it may be given.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from helpers import settings

_SUFFIXES = (".jpeg", ".jpg", ".png")
_LABELLED = re.compile(
    r'"?(?P<name>.+?\.(?:jpe?g|png))"?(?:\s*[,;]\s*|\s+)"?(?P<label>\d+|n\d{8})"?', re.IGNORECASE
)
"""A line of a file of labels."""

_SHORTER_SIDE = 256 / 224
"""Of a photograph, before it is cropped to its middle, as a multiple of the crop's side."""

_ADVICE = (
    "ImageNet's validation images (ILSVRC2012_img_val.tar, 6.3 GB) are given to researchers who "
    "register at image-net.org. Unpack them into a folder, with one folder per class inside or a "
    "file of labels beside them, and set IMAGENET_DIR to that folder"
)


@dataclass(frozen=True)
class ImageFiles:
    """Images on disk as an array of shape (n, size, size, 3) that is read slice by slice.

    Attributes
    ----------
    paths : tuple of Path
        The files.
    size : int
        Height and width in pixels: of the middle of each image, its shorter side first brought
        to 256/224 of that.
    """

    paths: tuple[Path, ...]
    size: int

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """As that of an array."""
        return len(self.paths), self.size, self.size, 3

    @property
    def identity(self) -> npt.NDArray[np.uint8]:
        """Bytes that change with the files' names and lengths, for fingerprints."""
        lines = [f"{each.name} {each.stat().st_size}" for each in self.paths]
        return np.frombuffer("\n".join([str(self.size), *lines]).encode(), np.uint8)

    @property
    def ndim(self) -> int:
        """As that of an array."""
        return len(self.shape)

    @property
    def dtype(self) -> np.dtype[np.float32]:
        """As that of an array."""
        return np.dtype(np.float32)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.paths)

    def __getitem__(self, rows: Any) -> npt.NDArray[np.float32]:
        """Read some images, in [0, 1], red first."""
        chosen = np.arange(len(self.paths))[rows]
        images = [_photograph(self.paths[index], self.size) for index in np.atleast_1d(chosen)]
        found = np.stack(images) if images else np.zeros((0, *self.shape[1:]), np.float32)
        return found if np.ndim(chosen) else found[0]


def validation_images(
    folder: str | Path | None = None, per_class: int = 10, seed: int = 0, size: int = 224
) -> tuple[ImageFiles, npt.NDArray[np.int64]]:
    """Choose images of each class of ImageNet's validation set.

    Parameters
    ----------
    folder : path, optional
        With a folder of images for each class, named by its synset or its number, or with images
        and a file of labels (``.txt`` or ``.csv``, on each line a file's name and its class, a
        number or a synset; the first line may be a heading); by default what ``$IMAGENET_DIR``
        names. Numbers begin at 0 or 1.
    per_class : int
        How many images of each class; the paper took 10.
    seed : int
        Decides which.
    size : int
        Height and width of the images in pixels.

    Returns
    -------
    images : ImageFiles
        To be given wherever images are asked for.
    classes : ndarray of int64, shape (n,)
        Synsets count in alphabetical order, which is that of the weights.

    Raises
    ------
    FileNotFoundError
        If there is no such folder: says how to get it.
    ValueError
        If it holds no images or labels, or too few images of a class; if a line of the labels is
        none, or names an image twice; if numbers of classes have gaps; or if a number is none.
    """
    for name, given, least in (("per_class", per_class, 1), ("size", size, 1), ("seed", seed, 0)):
        if not isinstance(given, int | np.integer) or given < least:
            raise ValueError(f"{name}: {given!r} was given; accepted are integers from {least}")
    chosen = folder or settings.imagenet_folder()
    if chosen is None or not Path(chosen).is_dir():
        looked = f"{chosen} does not exist" if chosen else "IMAGENET_DIR is not set"
        raise FileNotFoundError(f"folder: {looked}. {_ADVICE}")
    by_class = _by_class(Path(chosen))
    rng = np.random.default_rng(seed)
    paths: list[Path] = []
    for name, files in by_class.items():
        if len(files) < per_class:
            raise ValueError(
                f"folder: {len(files)} images of class {name!r} are in {chosen}, but {per_class} "
                "are asked for of each"
            )
        paths += [files[index] for index in rng.choice(len(files), per_class, replace=False)]
    return ImageFiles(tuple(paths), size), np.repeat(np.arange(len(by_class)), per_class)


def _by_class(folder: Path) -> dict[str, list[Path]]:
    """Return the images of each class, both in a fixed order."""
    folders = [each for each in folder.iterdir() if each.is_dir() and each.name[0] != "."]
    found = {each.name: _images_in(each) for each in folders} if folders else _labelled(folder)
    if not any(found.values()):
        raise ValueError(f"folder: {folder} holds no images ({', '.join(_SUFFIXES)}). {_ADVICE}")
    if not all(name.isdecimal() for name in found):
        return {name: sorted(found[name]) for name in sorted(found)}
    numbers = sorted(map(int, found))
    if numbers not in ([*range(len(found))], [*range(1, len(found) + 1)]):
        raise ValueError(
            f"folder: classes {', '.join(map(str, numbers))} are in {folder}; accepted are numbers "
            "from 0 or 1 on, each once"
        )
    return {name: sorted(found[name]) for name in sorted(found, key=int)}


def _images_in(folder: Path) -> list[Path]:
    return [each for each in folder.iterdir() if each.suffix.lower() in _SUFFIXES]


def _labelled(folder: Path) -> dict[str, list[Path]]:
    """Return the images of each class that a file of labels beside them tells."""
    labels = sorted([*folder.glob("*.txt"), *folder.glob("*.csv")])
    if len(labels) != 1:
        raise ValueError(
            f"folder: {folder} holds neither folders of classes nor one file of labels, but "
            f"{len(labels)} of them. {_ADVICE}"
        )
    label_of: dict[str, str] = {}
    for number, line in enumerate(labels[0].read_text("utf-8-sig").splitlines(), 1):
        line_found = _LABELLED.fullmatch(line.strip())
        is_heading = number == 1 and not any(each in line.lower() for each in _SUFFIXES)
        if line_found is None and line.strip() and not is_heading:
            raise ValueError(
                f"folder: line {number} of {labels[0]} is {line[:80]!r}; accepted are the name of "
                "an image and its class, a number or a synset (such as n01440764)"
            )
        if line_found is None:
            continue
        name, label = line_found["name"], line_found["label"]
        if name in label_of:
            raise ValueError(f"folder: {labels[0]} has {name!r} twice")
        label_of[name] = str(int(label)) if label.isdecimal() else label
    found: dict[str, list[Path]] = {}
    for name, label in label_of.items():
        found.setdefault(label, []).append(folder / name)
    if len({each.isdecimal() for each in found}) > 1:
        raise ValueError(f"folder: {labels[0]} has both numbers and synsets")
    return found


def _photograph(path: Path, size: int) -> npt.NDArray[np.float32]:
    """Return the middle of a photograph."""
    try:
        with Image.open(path) as file:
            is_deep = file.mode.startswith(("I", "F"))
            image = file.convert("RGB")
    except (OSError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path} is damaged, or no image ({error})") from error
    if is_deep:  # What is above 255 would become white.
        raise ValueError(f"{path} has more than 8 bits per colour; accepted are images of 8 bits")
    scale = _SHORTER_SIDE * size / min(image.size)
    width, height = (max(size, round(scale * side)) for side in image.size)
    image = image.resize((width, height), Image.Resampling.BILINEAR)
    left, top = (width - size) // 2, (height - size) // 2
    cropped = image.crop((left, top, left + size, top + size))
    return np.asarray(cropped, np.float32) / np.float32(255)
