"""The second instrument: inputs that are made to drive a sub-cluster (section 3.1.2, appendix A.8).

For each set of units one image is optimised, from noise, to maximise the mean activation of the
units. The *score*, the activation that it reaches, says how well a single input can drive them
all; the *entropy* of the network's output on it says whether they speak for one class.

The images are parameterised, transformed, scored and optimised by Lucid (Olah et al., 2017). What
is ours is that all sets of units share one graph: image i is scored by the units of set i alone,
so that one step moves all images, and none of them feels the others.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt

from helpers import forward
from helpers import lucid_bridge as bridge
from helpers.backend import keras
from helpers.partitions import Partition, Pool, SubCluster

tf1 = bridge.tf1

Transform = Callable[[Any], Any]
"""A transform of Lucid: takes and returns a batch of images as a tensor."""

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


@dataclass(frozen=True)
class Constructions:
    """Images that were made for sub-clusters and their random twins.

    In all arrays the second axis has the sub-cluster itself first, then its n twins.

    Attributes
    ----------
    partition : Partition
        Of the network.
    subclusters : tuple of SubCluster
        The k sub-clusters that are within the size rule.
    images : ndarray of float32, shape (k, 1 + n, height, width, channels)
        In [0, 1].
    scores, entropies : ndarray of float, shape (k, 1 + n)
        As in `Construction`.
    spreads : ndarray of float, shape (k, 1 + n)
        Standard deviation of the activations over the units of a set.
    """

    partition: Partition
    subclusters: tuple[SubCluster, ...]
    images: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float64]
    entropies: npt.NDArray[np.float64]
    spreads: npt.NDArray[np.float64]


def constructions(
    model: keras.Model,
    partition: Partition,
    n_random: int = 9,
    pool: Pool = "live",
    min_size: int = 3,
    max_fraction: float = 0.8,
    seed: int = 0,
    **options: Any,
) -> Constructions:
    """Make images for all sub-clusters of a network, and for random twins of each.

    Parameters
    ----------
    model : keras.Model
        As for `construct`.
    partition : Partition
        Labels of the units of (some of) its layers.
    n_random : int
        Twins per sub-cluster, at least 1 (the paper uses 9).
    pool : {"live", "all"}
        Where twins are drawn from, see `Partition.random_twins`.
    min_size, max_fraction : int, float
        Size rule of `Partition.subclusters` (section 3.1.2: at least three units, and at most
        80 % of the layer).
    seed : int
        Seed of the twins, and of `construct` in each layer.
    **options
        Passed on to `construct`.

    Returns
    -------
    Constructions
        Layers without a sub-cluster within the size rule contribute nothing.

    Raises
    ------
    ValueError
        If `n_random` is less than 1, if no sub-cluster at all is within the size rule, or as in
        `construct`.
    """
    if n_random < 1:
        raise ValueError(f"n_random: {n_random} was given; accepted are integers from 1")
    rng = np.random.default_rng(seed)
    subclusters = partition.subclusters(min_size, max_fraction)
    if not subclusters:
        raise ValueError(
            f"partition: no sub-cluster has at least {min_size} units and at most "
            f"{max_fraction:.0%} of its layer"
        )
    made = []
    for layer, group in groupby(subclusters, key=lambda each: each.layer):
        sets: list[npt.ArrayLike] = []
        for each in group:
            sets += [each.units, *partition.random_twins(each, n_random, rng, pool)]
        made.append(construct(model, layer, sets, seed, **options))
    shape = (len(subclusters), 1 + n_random)
    spreads = [units.std() for each in made for units in each.activations]
    images = np.concatenate([each.images for each in made])
    return Constructions(
        partition,
        tuple(subclusters),
        images.reshape(*shape, *images.shape[1:]),
        np.concatenate([each.scores for each in made]).reshape(shape),
        np.concatenate([each.entropies for each in made]).reshape(shape),
        np.reshape(spreads, shape),
    )


def construct(
    model: keras.Model,
    layer: str,
    unit_sets: Sequence[npt.ArrayLike],
    seed: int = 0,
    n_steps: int = 256,
    learning_rate: float = 0.05,
    transforms: Sequence[Transform] | None = None,
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
        those of `small_transforms`. The result is cropped or padded to the model's image size.
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
        the model does not take images or puts out neither softmax nor linear values; if `n_steps`
        or `chunk_size` is less than 1; if `decorrelate` is asked for images without three
        channels; or if a transform leaves nothing of an image.
    """
    shape = _image_shape(model)
    sets = _checked_sets(model, layer, unit_sets)
    if n_steps < 1:
        raise ValueError(f"n_steps: {n_steps} was given; accepted are integers from 1")
    if chunk_size is not None and chunk_size < 1:
        raise ValueError(f"chunk_size: {chunk_size} was given; accepted are integers from 1")
    if decorrelate and shape[2] != 3:
        raise ValueError(f"decorrelate: images have {shape[2]} channels; colours need three")
    forward.logits(model, np.zeros((1, *shape), np.float32))
    size = min(chunk_size or _chunk_size(model), len(sets))
    graph = _Graph(
        bridge.lucid_model(model, layer, value_range),
        (size, *shape),
        small_transforms() if transforms is None else list(transforms),
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


def small_transforms(jitter: int = 1, scale: float = 1.1) -> list[Transform]:
    """Return jitter and scaling, for small networks (appendix A.8; their strength is not stated).

    Parameters
    ----------
    jitter : int
        Pixels by which shifts differ at most; images are first padded with grey by twice as many.
    scale : float
        Largest factor; the smallest is its inverse.
    """
    return [
        bridge.transform.pad(2 * jitter, mode="constant", constant_value=0.5),
        bridge.transform.jitter(jitter),
        bridge.transform.random_scale([scale ** (power / 10) for power in range(-10, 11)]),
    ]


def imagenet_transforms() -> list[Transform]:
    """Return Lucid's default padding, jitter, scaling and rotation (appendix A.8)."""
    pad, jitter, scale, _, last_jitter = bridge.transform.standard_transforms
    angles = [*range(-10, 11), *5 * [0]]
    return [pad, jitter, scale, bridge.random_rotate(angles), last_jitter]


class _Graph:
    """Lucid's graph that optimises as many images at once as it has room for."""

    def __init__(
        self,
        model: Any,
        shape: tuple[int, int, int, int],
        transforms: list[Transform],
        fourier: bool,
        decorrelate: bool,
        learning_rate: float,
        seed: int,
    ) -> None:
        n, height, width, _ = shape
        crop = bridge.transform.crop_or_pad_to(height, width)
        parameterise = bridge.param.fft_image if fourier else bridge.param.naive
        self.shape = shape
        self.graph = tf1.Graph()
        with self.graph.as_default(), tf1.Session(), bridge.lucid_kept_in_bounds():
            tf1.set_random_seed(seed)
            self.weights = tf1.placeholder(tf1.float32, (n, None))
            _check_transforms(transforms, shape)
            self.tensors = bridge.render.make_vis_T(
                model,
                bridge.objectives.Objective(
                    lambda tensors: tf1.reduce_sum(
                        _mean_over_space(tensors(bridge.OUTPUT)) * self.weights
                    )
                ),
                lambda: bridge.param.to_valid_rgb(parameterise(list(shape)), decorrelate),
                tf1.train.AdamOptimizer(learning_rate),
                [*transforms, crop],
                relu_gradient_override=True,
            )
            variables = tf1.trainable_variables()
            self.initialise = tf1.global_variables_initializer()
            self.starts = [tf1.placeholder(each.dtype, each.shape) for each in variables]
            self.start = [
                each.assign(start) for each, start in zip(variables, self.starts, strict=True)
            ]

    def optimise(
        self, weights: npt.NDArray[np.float32], first: int, seed: int, n_steps: int
    ) -> npt.NDArray[np.float32]:
        """Return one image per row of weights; a new session draws the same transforms again."""
        n_missing = self.shape[0] - len(weights)
        padded = np.pad(weights, ((0, n_missing), (0, 0)))
        step, image = self.tensors("vis_op"), self.tensors("input")
        with tf1.Session(graph=self.graph) as session:
            session.run(self.initialise)
            session.run(self.start, dict(zip(self.starts, self._noise(first, seed), strict=True)))
            update = session.make_callable(step, [self.weights])
            for _ in range(n_steps):
                update(padded)
            return np.asarray(session.run(image)[: len(weights)])

    def _noise(self, first: int, seed: int) -> list[npt.NDArray[np.float32]]:
        """Return the initial values of the variables, drawn for each image by itself."""
        shapes = [tuple(start.shape.as_list()) for start in self.starts]
        is_shared = len(shapes) == 1 and shapes[0] == self.shape
        one = shapes[0][1:] if is_shared else shapes[0]
        drawn = [
            0.01 * np.random.default_rng((seed, first + i)).standard_normal(one, np.float32)
            for i in range(self.shape[0])
        ]
        return [np.stack(drawn)] if is_shared else drawn


def _check_transforms(transforms: list[Transform], shape: tuple[int, ...]) -> None:
    """Refuse transforms that crop an image to nothing, which Lucid would turn into black."""
    message = f"transforms: they leave nothing of an image of shape {shape[1:]}"
    try:
        transformed = bridge.transform.compose(transforms)(tf1.zeros((1, *shape[1:])))
        size = tf1.reduce_min(tf1.shape(transformed)[1:3])
        with tf1.Session() as session:
            smallest = min(session.run(size) for _ in range(20))
    except (ValueError, tf1.errors.InvalidArgumentError) as error:
        raise ValueError(message) from error
    if smallest < 1:
        raise ValueError(message)


def _mean_over_space(activity: Any) -> Any:
    axes = list(range(1, len(activity.shape) - 1))
    return tf1.reduce_mean(activity, axes) if axes else activity


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


def _image_shape(model: keras.Model) -> tuple[int, int, int]:
    shapes = [tuple(each.shape[1:]) for each in getattr(model, "inputs", ())]
    if len(shapes) != 1 or len(shapes[0]) != 3 or None in shapes[0]:
        raise ValueError(
            f"model: {model.name!r} must be built and take images of a fixed size, shape (height, "
            f"width, channels), not {', '.join(map(str, shapes)) or 'nothing that it tells'}"
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
    sizes = [math.prod(each.output.shape[1:]) for each in model.layers if each.name != "input"]
    return int(max(1, _CHUNK_BYTES // (4 * max(sizes))))
