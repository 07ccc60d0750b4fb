"""Lucid's graph in which all images of a chunk are optimised at once.

What is ours is that all sets of units share one graph: image i is scored by the units of set i
alone, so that one step moves all images, and none of them feels the others.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from helpers.construction import lucid_bridge as bridge

tf1 = bridge.tf1


Transform = Callable[[Any], Any]
"""A transform of Lucid: takes and returns a batch of images as a tensor."""


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


class Graph:
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
