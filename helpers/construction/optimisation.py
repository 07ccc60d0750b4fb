"""Inputs that are made to drive sets of units (section 3.1.2, appendix A.8).

For each set of units one image is optimised, from noise, to maximise the mean activation of the
units. The *score*, the activation that it reaches, says how well a single input can drive them
all; the *entropy* of the network's output on it says whether they speak for one class.

The images are parameterised, transformed, scored and optimised by Lucid (Olah et al., 2017), which
is loaded when the first image is made.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from helpers import forward, validation
from helpers.backend import keras

if TYPE_CHECKING:
    from helpers.construction.lucid_graph import Transform

_CHUNK_BYTES = 2**26
"""Bytes of activations of the largest layer per graph; gradients and the like take several times
as much."""


@dataclass(frozen=True)
class Construction:
    """Images that were made for sets of units, and what the network makes of them.

    Attributes
    ----------
    layer : str
        The layer of the units.
    images : ndarray of float32, shape (n, height, width, channels)
        In [0, 1].
    scores : ndarray of float, shape (n,)
        Mean activation of each set's units on its image.
    entropies : ndarray of float, shape (n,)
        Entropy of the network's softmax output on each image, in nats.
    activations : tuple of ndarray of float, shape (size,)
        Activation of each unit of each set, ascending and without repeats, on the set's image;
        of a feature map, its mean.
    """

    layer: str
    images: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float64]
    entropies: npt.NDArray[np.float64]
    activations: tuple[npt.NDArray[np.float64], ...]


def construct(
    model: keras.Model,
    layer: str,
    unit_sets: Sequence[npt.ArrayLike],
    seed: int = 0,
    n_steps: int = 256,
    learning_rate: float = 0.05,
    transforms: "Sequence[Transform] | None" = None,
    fourier: bool = False,
    decorrelate: bool = False,
    value_range: tuple[float, float] = (0.0, 1.0),
    chunk_size: int | None = None,
) -> Construction:
    """Make one image for each of several sets of units of a layer.

    Parameters
    ----------
    model : keras.Model
        Any built model with one input of images, and softmax or linear outputs.
    layer : str
        Name of the layer of the units.
    unit_sets : sequence of array-like of int
        Indices of the units of each set, at least one each.
    seed : int
        Seed of the initial images and of the transforms. The same seed gives the same images,
        however many there are in a chunk.
    n_steps : int
        Steps of Adam, at least 1.
    learning_rate : float
        Of Adam.
    transforms : sequence of callable, optional
        Lucid's or one's own, drawn anew in each step for all images of a chunk; by default
        those of `lucid_graph.small_transforms`. The result is cropped or padded to the size of
        the model's images.
    fourier : bool
        Parameterise the images by their Fourier coefficients and not by pixels (what the
        released code did).
    decorrelate : bool
        Parameterise colours in Lucid's decorrelated space (what the released code did).
    value_range : (float, float)
        What 0 and 1 in the images mean to the model.
    chunk_size : int, optional
        Sets of units per graph, at least 1; by default as many as keeps memory under about
        2 GiB.

    Returns
    -------
    Construction
        Scores, entropies and activations are those of the final images, without transforms. A
        set whose units nothing drives keeps its noise and has score 0.

    Raises
    ------
    ValueError
        If there is no such layer, it has no such unit, or a set is empty or not of integers; if
        the model does not take images with channels last, or puts out neither softmax nor linear
        values; if `n_steps` or `chunk_size` is less than 1, or `seed`, `value_range` or
        `learning_rate` is none; if `decorrelate` is asked for images without three channels; or if
        a transform leaves nothing of an image.

    Examples
    --------
    >>> from helpers import construction, zoo
    >>> net = zoo.trained("digits-cnn")
    >>> made = construction.construct(net.model, "conv_2", [[0, 1, 2], [3]], n_steps=4)
    >>> made.images.shape, made.scores.shape
    ((2, 8, 8, 1), (2,))
    """
    # Loaded here: Lucid takes seconds to load, and most readers never make an image.
    from helpers.construction import lucid_bridge, lucid_graph

    shape = _image_shape(model)
    validation.check_seed(seed)
    _check_numbers(value_range, learning_rate)
    sets = _checked_sets(model, layer, unit_sets)
    validation.check_number("n_steps", n_steps)
    if chunk_size is not None:
        validation.check_number("chunk_size", chunk_size)
    if decorrelate and shape[2] != 3:
        raise ValueError(f"decorrelate: images have {shape[2]} channels; colours need three")
    forward.logits(model, np.zeros((1, *shape), np.float32))
    size = min(chunk_size or _chunk_size(model), len(sets))
    graph = lucid_graph.Graph(
        lucid_bridge.lucid_model(model, layer, value_range),
        (size, *shape),
        lucid_graph.small_transforms() if transforms is None else list(transforms),
        fourier,
        decorrelate,
        learning_rate,
        seed,
    )
    weights = _weights(sets, forward.n_units(model, layer))
    images = [
        graph.optimise(weights[start : start + size], start, seed, n_steps)
        for start in range(0, len(sets), size)
    ]
    return _evaluate(model, layer, sets, np.concatenate(images), value_range)


def entropy(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the entropy of softmax distributions from their logits.

    Parameters
    ----------
    logits : ndarray of float64, shape (n, n_classes)
        What the softmax takes in.

    Returns
    -------
    ndarray of float64, shape (n,)
        In nats, from 0 to log(n_classes). Every term is added up without cancellation, so that
        nearly certain outputs differ by their tiny entropies and do not tie at 0, as long as
        the largest logit exceeds the next by less than about 745, where exp underflows.
    """
    below = logits - logits.max(axis=1, keepdims=True)
    others = np.exp(below)
    others[np.arange(len(logits)), logits.argmax(axis=1)] = 0
    log_sum = np.log1p(others.sum(axis=1, keepdims=True))
    return np.asarray(np.sum(np.exp(below - log_sum) * (log_sum - below), axis=1))


def _weights(sets: list[npt.NDArray[np.intp]], n_units: int) -> npt.NDArray[np.float32]:
    """Return a row for each set, by which the scalar product with activations is their mean."""
    weights = np.zeros((len(sets), n_units), np.float32)
    for row, units in zip(weights, sets, strict=True):
        row[units] = 1 / len(units)
    return weights


def _evaluate(
    model: keras.Model,
    layer: str,
    sets: list[npt.NDArray[np.intp]],
    images: npt.NDArray[np.float32],
    value_range: tuple[float, float],
) -> Construction:
    low, high = value_range
    inputs = low + images * np.float32(high - low)
    batch_size = min(100, _chunk_size(model))
    batches = forward.batches_of_activations(model, inputs, (layer,), batch_size)
    means = np.concatenate([_means_of_maps(batch[layer]) for batch in batches])
    of_sets = tuple(row[units] for row, units in zip(means, sets, strict=True))
    return Construction(
        layer,
        images,
        np.array([each.mean() for each in of_sets]),
        entropy(forward.logits(model, inputs, batch_size)),
        of_sets,
    )


def _means_of_maps(activity: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    return np.asarray(activity.mean(tuple(range(1, activity.ndim - 1)), dtype=np.float64))


def _check_numbers(value_range: Any, learning_rate: Any) -> None:
    ends = np.asarray(value_range)
    is_range = ends.shape == (2,) and ends.dtype.kind in "iuf" and np.isfinite(ends).all()
    if not is_range or ends[0] == ends[1]:
        raise ValueError(
            f"value_range: {value_range!r} was given; accepted are two numbers that differ"
        )
    if not 0 <= learning_rate < np.inf:
        raise ValueError(f"learning_rate: {learning_rate!r} was given; accepted are numbers from 0")


def _image_shape(model: keras.Model) -> tuple[int, int, int]:
    shapes = [tuple(each.shape[1:]) for each in getattr(model, "inputs", ())]
    if len(shapes) != 1 or len(shapes[0]) != 3 or None in shapes[0]:
        raise ValueError(
            f"model: {model.name!r} must be built and take images of a fixed size, shape (height, "
            f"width, channels), not {', '.join(map(str, shapes)) or 'nothing that it tells'}"
        )
    formats = (getattr(each.operation, "data_format", None) for each in forward.read(model).steps)
    if "channels_first" in formats:
        raise ValueError(
            f"model: {model.name!r} has images with their channels first; accepted are those with "
            "channels last"
        )
    height, width, channels = shapes[0]
    return height, width, channels


def _checked_sets(
    model: keras.Model, layer: str, unit_sets: Sequence[npt.ArrayLike]
) -> list[npt.NDArray[np.intp]]:
    n_units = forward.n_units(model, layer)
    sets = [np.unique(units) for units in unit_sets]
    if not sets:
        raise ValueError("unit_sets: at least one set of units is needed")
    for units in sets:
        is_integer = np.issubdtype(units.dtype, np.integer)
        if not len(units) or not is_integer or units[0] < 0 or units[-1] >= n_units:
            raise ValueError(
                f"unit_sets: {units.tolist()} was given; accepted are one or more of the units "
                f"0 to {n_units - 1} of {layer!r}"
            )
    return [units.astype(np.intp) for units in sets]


def _chunk_size(model: keras.Model) -> int:
    program = forward.read(model)
    made = [tensor for step in program.steps for tensor in step.outputs]
    sizes = [math.prod(size or 1 for size in program.shapes[each][1:]) for each in made]
    return int(max(1, _CHUNK_BYTES // (4 * max(sizes))))
