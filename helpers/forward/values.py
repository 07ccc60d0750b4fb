"""What layers put out, and what a classifier's softmax takes in, by calling the model's layers."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from helpers import validation
from helpers.backend import keras
from helpers.forward.program import Program, read, softmaxed
from helpers.forward.rules import channel_axis, in_numpy


def activations(
    model: keras.Model, x: npt.NDArray[np.float32], layer: str, batch_size: int = 1000
) -> npt.NDArray[np.float32]:
    """Return the activations of one layer, whatever the shape of the model.

    Parameters
    ----------
    model : keras.Model
        Any built Keras model.
    x : ndarray of float32, shape (n, ...)
        Inputs.
    layer : str
        Name of a layer of the model.
    batch_size : int
        Inputs per forward pass, which bounds the memory beyond the result's.

    Returns
    -------
    ndarray of float32, shape (n, ..., units)
        The layer's outputs, after its own activation function.

    Raises
    ------
    ValueError
        If the model has no such layer (lists those there are), or takes inputs of another shape.
    """
    batches = list(batches_of_activations(model, x, (layer,), batch_size))
    if not batches:
        return np.zeros((0, *_shape(read(model), layer)), np.float32)
    return np.concatenate([batch[layer] for batch in batches])


def n_units(model: keras.Model, layer: str) -> int:
    """Return the number of neurons or feature maps that a layer puts out.

    Raises
    ------
    ValueError
        As `activations`.
    """
    program = read(model)
    tensor = program.tensor(layer)
    return int(program.shapes[tensor][unit_axis(program, tensor)] or 0)


def logits(
    model: keras.Model, x: npt.NDArray[np.float32], batch_size: int = 1000
) -> npt.NDArray[np.float64]:
    """Return what a classifier's softmax takes in, in double precision.

    Parameters
    ----------
    model : keras.Model
        Any built model with one input and one output: a softmax, or a dense layer without any
        activation, whose outputs are then the logits.
    x : ndarray of float32, shape (n, ...)
        Inputs.
    batch_size : int
        Inputs per forward pass.

    Returns
    -------
    ndarray of float64, shape (n, outputs)
        The last layer's product is done in double precision.

    Raises
    ------
    ValueError
        If the model ends otherwise.
    """
    program = read(model)
    last = program.steps[program.producers[program.outputs[0]]]
    is_flat = len(program.outputs) == 1 and len(program.shapes[program.outputs[0]]) == 2
    scores = softmaxed(program, program.outputs[0])
    if is_flat and scores in program.producers:
        last = program.steps[program.producers[scores]]
    is_dense = type(last.operation) is keras.layers.Dense and last.n_units
    if not is_flat or (not is_dense and scores in program.outputs):
        activation = getattr(getattr(last.operation, "activation", None), "__name__", "")
        raise ValueError(
            f"model: {model.name!r} ends in {last.name!r} ({type(last.operation).__name__}, "
            f"{activation or 'no activation'}); accepted are one softmax, or one dense layer "
            "without activation, whose outputs are then the logits"
        )
    tensor = last.inputs[0] if is_dense else scores
    x = _taken(model, x)
    batches = [
        in_numpy(program.values((x[start : start + batch_size],), [tensor])[0])
        for start in range(0, len(x), batch_size)
    ]
    if not batches:
        return np.zeros((0, model.outputs[0].shape[1]))
    inputs = np.concatenate(batches).astype(np.float64)
    if not is_dense:
        return inputs
    kernel, *bias = (in_numpy(each) for each in last.operation.weights)
    return np.asarray(inputs @ kernel.astype(np.float64) + (bias[0] if bias else 0))


def batches_of_activations(
    model: keras.Model,
    x: npt.NDArray[np.float32],
    layers: Sequence[str],
    batch_size: int = 1000,
) -> Iterator[dict[str, npt.NDArray[np.float32]]]:
    """Yield the activations of several layers batch by batch, from one forward pass.

    Parameters
    ----------
    model, x, batch_size
        As for `activations`.
    layers : sequence of str
        Names of layers of the model.

    Yields
    ------
    dict of str to ndarray of float32, shape (batch, ..., units)
        For each layer, its outputs after its own activation function.

    Raises
    ------
    ValueError
        As `activations`.
    """
    validation.check_number("batch_size", batch_size)
    layers = validation.as_names(layers)
    program = read(model)
    tensors = [program.tensor(layer) for layer in layers]
    axes = [unit_axis(program, each) for each in tensors]
    expected = program.shapes[program.inputs[0]][1:]
    x = x if hasattr(x, "shape") else validation.as_array("x", x)
    if (
        len(program.inputs) != 1
        or x.ndim != len(expected) + 1
        or any(size not in (None, given) for size, given in zip(expected, x.shape[1:], strict=True))
    ):
        raise ValueError(
            f"x: inputs of shape {x.shape[1:]} were given; {model.name!r} takes {expected}"
        )
    x = _taken(model, x)
    for start in range(0, len(x), batch_size):
        outputs = program.values((x[start : start + batch_size],), tensors)
        yield {
            layer: _in_single(np.moveaxis(in_numpy(each), axis, -1))
            for layer, each, axis in zip(layers, outputs, axes, strict=True)
        }


def _taken(model: keras.Model, x: npt.ArrayLike) -> npt.NDArray[Any]:
    """Return inputs as a model with one takes them; there may be none."""
    return validation.check_images(model, x)[0] if len(x) else np.asarray(x)  # type: ignore[arg-type]


def _in_single(activations: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return activations in single precision at least: sums of half precision overflow or stall."""
    is_short = activations.dtype.itemsize < np.dtype(np.float32).itemsize
    return activations.astype(np.float32) if is_short else activations


def unit_axis(program: Program, tensor: int) -> int:
    """Return the axis of a tensor's units: 1 if its channels come first, as what made them says."""
    while len(program.shapes[tensor]) > 2 and tensor in program.producers:
        step = program.steps[program.producers[tensor]]
        if hasattr(step.operation, "data_format") or not step.inputs:
            return channel_axis(step.operation)
        tensor = step.inputs[0]
    return -1


def _shape(program: Program, layer: str) -> tuple[int, ...]:
    tensor = program.tensor(layer)
    sizes = [size or 0 for size in program.shapes[tensor]]
    sizes.append(sizes.pop(unit_axis(program, tensor)))
    return tuple(sizes[1:])
