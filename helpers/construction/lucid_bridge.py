"""Lucid, the published package, on today's TensorFlow and Keras.

Lucid 0.3.8 was written for TensorFlow 1: its modules say ``import tensorflow as tf`` and mean what
is now ``tensorflow.compat.v1``, and two of them reach into ``tensorflow.contrib``, which is gone.
This room imports Lucid once, with that module in the place of ``tensorflow``, and puts everything
back; supplies the one function of ``contrib`` that we need, rotation; and turns a Keras model into
what Lucid takes for a model, a frozen graph. Only `lucid_graph` and `construct` go through it.

Lucid's graphs and sessions are closed worlds: eager Keras in the same process does not notice.
"""

import logging
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np

from helpers import forward
from helpers.backend import keras

import tensorflow as tf  # isort: skip  (after Keras, which silences its start)

tf1 = tf.compat.v1
"""TensorFlow 1, as Lucid sees it."""

INPUT, OUTPUT = "image", "activations"
"""Names of the frozen graph's input and output."""


@contextmanager
def _tensorflow_1() -> Iterator[None]:
    """Let ``import tensorflow`` mean TensorFlow 1, and root logging be, for a while.

    Lucid's ``__init__`` configures the root logger of whoever imports it.
    """
    contrib = ModuleType("tensorflow.contrib")
    contrib.slim = ModuleType("tensorflow.contrib.slim")  # type: ignore[attr-defined]
    stand_ins = {
        "tensorflow": tf1,
        "tensorflow.contrib": contrib,
        "tensorflow.contrib.slim": contrib.slim,
    }
    replaced = {name: sys.modules.get(name) for name in stand_ins}
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for name, module in replaced.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
        root.handlers[:] = handlers
        root.setLevel(level)


with _tensorflow_1():
    from lucid.modelzoo.vision_base import Model
    from lucid.optvis import objectives, param, render, transform

__all__ = [
    "INPUT",
    "OUTPUT",
    "lucid_kept_in_bounds",
    "lucid_model",
    "objectives",
    "param",
    "random_rotate",
    "render",
    "tf1",
    "transform",
]


@contextmanager
def lucid_kept_in_bounds() -> Iterator[None]:
    """Let Lucid build a graph without traces in the process.

    It draws from NumPy's global generator, which gets its state back, and calls functions that
    TensorFlow warns about, which is not news.
    """
    state = np.random.get_state()  # noqa: NPY002
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
        np.random.set_state(state)  # noqa: NPY002


def lucid_model(
    model: keras.Model, layer: str, value_range: tuple[float, float] = (0.0, 1.0)
) -> Any:
    """Freeze a Keras model, up to one layer, into a model for Lucid.

    Parameters
    ----------
    model : keras.Model
        Any built model with one input.
    layer : str
        Name of the layer whose activations are the graph's output.
    value_range : (float, float)
        What 0 and 1 in Lucid's images mean to the model.

    Returns
    -------
    lucid.modelzoo.vision_base.Model
        With the model's current weights as constants. Lucid's objectives find the layer under
        the name `OUTPUT`, so that its own may be any, even that of the input.
    """
    program = forward.read(model)
    tensor = program.tensor(layer)

    def activations(image: Any) -> Any:
        with tf.name_scope("network"):  # In which layers may have any name.
            (found,) = program.values((image,), [tensor])
            found = keras.ops.moveaxis(found, forward.unit_axis(program, tensor), -1)
        return tf.identity(found, name=OUTPUT)

    specification = tf.TensorSpec((None, *model.inputs[0].shape[1:]), tf.float32, name=INPUT)
    traced = tf.function(activations).get_concrete_function(specification)
    wrapped = Model()
    wrapped.input_name = INPUT
    wrapped.image_shape = list(model.inputs[0].shape[1:])
    wrapped.image_value_range = value_range
    wrapped.graph_def = _with_constants(traced).graph.as_graph_def()
    return wrapped


def random_rotate(angles: list[float]) -> Any:
    """Return a transform that rotates images by one of some angles, in degrees, drawn each time.

    Stands in for Lucid's, whose ``tensorflow.contrib.image.rotate`` is gone: about the centre,
    nearest neighbours, black where there is nothing.
    """

    def rotate(images: Any) -> Any:
        chosen = tf1.random_uniform((), 0, len(angles), tf.int32)
        angle = tf.gather(tf.constant(angles, tf.float32), chosen) * (math.pi / 180)
        size = tf.cast(tf.shape(images)[1:3] - 1, tf.float32)
        cosine, sine = tf.cos(angle), tf.sin(angle)
        x_shift = (size[1] - (cosine * size[1] - sine * size[0])) / 2
        y_shift = (size[0] - (sine * size[1] + cosine * size[0])) / 2
        rotation = tf.stack([cosine, -sine, x_shift, sine, cosine, y_shift, 0.0, 0.0])
        return tf.raw_ops.ImageProjectiveTransformV3(
            images=images,
            transforms=rotation[tf.newaxis],
            output_shape=tf.shape(images)[1:3],
            fill_value=0.0,
            interpolation="NEAREST",
        )

    return rotate


def _with_constants(traced: Any) -> Any:
    from tensorflow.python.framework.convert_to_constants import (
        convert_variables_to_constants_v2,
    )

    return convert_variables_to_constants_v2(traced)
