"""A Keras model as a chain of stages: the one room that walks a model's layers.

A stage is one layer of units (a Dense or Conv2D layer) together with everything that follows it
up to the next such layer. What follows acts on each unit by itself: activation, pooling, batch
normalisation, flattening. Graphs need the kernels of consecutive stages; lesions need to stop
before an activation, change some units, and go on.

Feature maps are tensors of Keras's backend. Once they are flattened, arrays are NumPy's: dense
layers are matrix products, which NumPy's BLAS does at the machine's peak and in place.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from helpers.backend import keras

Array = Any
"""A NumPy array of shape (n, features), or a backend tensor of shape (n, height, width, maps)."""

Operation = Callable[[Array], Array]

_LAYERS = keras.layers
_IDENTITIES = (
    _LAYERS.Dropout,
    _LAYERS.SpatialDropout2D,
    _LAYERS.GaussianDropout,
    _LAYERS.GaussianNoise,
    _LAYERS.ActivityRegularization,
)
_UNITWISE = (
    _LAYERS.Activation,
    _LAYERS.ReLU,
    _LAYERS.LeakyReLU,
    _LAYERS.PReLU,
    _LAYERS.ELU,
    _LAYERS.MaxPooling2D,
    _LAYERS.AveragePooling2D,
    _LAYERS.GlobalMaxPooling2D,
    _LAYERS.GlobalAveragePooling2D,
    _LAYERS.ZeroPadding2D,
    _LAYERS.UpSampling2D,
    _LAYERS.BatchNormalization,
    _LAYERS.Flatten,
    _LAYERS.Rescaling,
)
_FINAL = (_LAYERS.Activation, _LAYERS.Softmax)
_ELEMENTWISE = (
    *("relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "swish", "mish"),
    *("softplus", "softsign", "squareplus", "tanh", "hard_tanh", "sigmoid", "hard_sigmoid"),
    *("log_sigmoid", "hard_silu", "hard_swish", "exponential", "linear"),
)

_GUARD_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Stage:
    """One layer of units and what follows it.

    Attributes
    ----------
    layer : keras.layers.Dense or keras.layers.Conv2D
        The layer whose outputs are the units.
    kernel : ndarray of float32, shape (inputs, units) or (height, width, inputs, units)
        Its weights.
    bias : ndarray of float32, shape (units,)
        Its biases; zeros if it has none.
    batch_norm : keras.layers.BatchNormalization or None
        The first batch normalisation that follows, possibly behind activation or pooling.
    operations : tuple of callable
        Activation and everything else up to the next stage, in inference mode. Empty if this is
        the last stage, whose outputs `Chain.ending` makes of the pre-activations.
    """

    layer: keras.layers.Layer
    kernel: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]
    batch_norm: keras.layers.BatchNormalization | None
    operations: tuple[Operation, ...]

    @property
    def name(self) -> str:
        """The Keras layer's name."""
        return str(self.layer.name)

    @property
    def n_units(self) -> int:
        """Number of neurons or feature maps."""
        return int(self.kernel.shape[-1])

    @property
    def is_convolution(self) -> bool:
        """Whether a unit is a feature map."""
        return self.kernel.ndim == 4

    def linear(
        self,
        inputs: Array,
        features: npt.NDArray[np.intp] | None = None,
        out: npt.NDArray[np.float32] | None = None,
    ) -> Array:
        """Apply the kernel, without the bias.

        Parameters
        ----------
        inputs : array, shape (n, ..., inputs)
            What the previous stage hands on; with `features`, only these of it.
        features : ndarray of int, optional
            Indices of the inputs that are given, on the last axis; all by default.
        out : ndarray, shape (n, units), optional
            Where a dense stage writes its result.
        """
        if not self.is_convolution:
            kernel = self.kernel if features is None else self.kernel[features]
            is_array = isinstance(inputs, np.ndarray)
            return np.matmul(inputs, kernel, out=out) if is_array else inputs @ kernel
        kernel = self.layer.kernel if features is None else self.kernel[:, :, features]
        return keras.ops.conv(
            inputs,
            kernel,
            strides=self.layer.strides,
            padding=self.layer.padding,
            dilation_rate=self.layer.dilation_rate,
        )

    def respond(self, preactivation: Array) -> Array:
        """Turn pre-activations into what the next stage takes in. May work in place."""
        for operation in self.operations:
            preactivation = operation(preactivation)
        return preactivation


@dataclass(frozen=True)
class Chain:
    """A model as stages.

    Attributes
    ----------
    entry : tuple of callable
        What happens to an image before the first stage (rescaling, flattening).
    stages : tuple of Stage
        From the first layer of units to the outputs.
    layers : tuple of keras.layers.Layer
        All layers, as the model calls them.
    ending : tuple of callable
        What makes the model's outputs of the last stage's pre-activations.
    keeps_order : bool
        Whether the largest of these pre-activations is always the largest output: not if a
        sigmoid saturates, which ties classes.
    input_name : str
        Name of the model's input layer.
    """

    entry: tuple[Operation, ...]
    stages: tuple[Stage, ...]
    layers: tuple[keras.layers.Layer, ...]
    ending: tuple[Operation, ...]
    keeps_order: bool
    input_name: str

    def scores(self, preactivations: Array) -> npt.NDArray[np.float32]:
        """Return what ranks the classes as the outputs do, of the last stage's pre-activations."""
        return np.asarray(preactivations) if self.keeps_order else self.end(preactivations)

    def end(self, preactivations: Array) -> npt.NDArray[np.float32]:
        """Return the model's outputs, of the last stage's pre-activations."""
        outputs = np.asarray(preactivations)
        for operation in self.ending:
            outputs = operation(outputs)
        return np.asarray(outputs)

    def outputs(
        self, images: npt.NDArray[np.float32], lesion: Mapping[int, npt.NDArray[np.intp]]
    ) -> npt.NDArray[np.float32]:
        """Call the model's own layers, one after the other, under a lesion.

        Parameters
        ----------
        images : ndarray of float32, shape (n, ...)
            Images.
        lesion : mapping of int to ndarray of int
            Units by stage.

        Returns
        -------
        ndarray of float32, shape (n, outputs)
            As if the weights into the units were zero. Slow, but no rounding is ours.
        """
        lesioned = {
            self.stages[index].name: (self.stages[index], lesion[index]) for index in lesion
        }
        array = keras.ops.convert_to_tensor(images)
        for layer in self.layers:
            if layer.name not in lesioned:
                array = layer(array)
                continue
            stage, units = lesioned[layer.name]
            array = layer.activation(silenced(stage.linear(array) + stage.bias, units))
        return np.asarray(keras.ops.convert_to_numpy(array))

    def enter(self, images: npt.NDArray[np.float32]) -> Array:
        """Turn images into what the first stage takes in."""
        inputs = images.copy()  # Operations may work in place.
        for operation in self.entry:
            inputs = operation(inputs)
        return inputs

    def index(self, layer: str) -> int:
        """Return the position of a stage by its layer's name.

        Raises
        ------
        ValueError
            If no stage has this name; lists those there are.
        """
        names = [stage.name for stage in self.stages]
        if layer not in names:
            raise ValueError(f"layer: no units in {layer!r}; accepted are {', '.join(names)}")
        return names.index(layer)


def silenced(preactivations: Array, units: npt.NDArray[np.intp] | None) -> Array:
    """Return pre-activations with those of the lesioned units, if any, set to zero."""
    if units is None:
        return preactivations
    alive = np.ones(preactivations.shape[-1], dtype=bool)
    alive[units] = False
    if isinstance(preactivations, np.ndarray):
        return np.where(alive, preactivations, np.float32(0))
    return keras.ops.where(alive, preactivations, 0.0)


def chain(model: keras.Model) -> Chain:
    """Read a model as a chain of stages.

    Parameters
    ----------
    model : keras.Model
        Sequential or functional model in which every layer feeds exactly the next one. It is
        read now: weights that change later are not seen.

    Returns
    -------
    Chain

    Raises
    ------
    ValueError
        If the model is not built, branches, or has a layer that cannot be handled, one whose
        class is the user's own included: the message names the layer. Or if it does not compute
        in single precision, or has weights that are not finite.
    """
    layers = _layers(model)
    for layer in layers:
        _check_numbers(layer)
    positions = [i for i, layer in enumerate(layers) if _has_units(layer)]
    if not positions:
        raise ValueError(f"model: {model.name!r} has neither a Dense nor a Conv2D layer")
    ends = [*positions[1:], len(layers)]
    stages = tuple(
        _stage(layers[start], layers[start + 1 : end], is_last=end == len(layers))
        for start, end in zip(positions, ends, strict=True)
    )
    entry = tuple(_operations(layers[: positions[0]]))
    final = _final_activations(layers[positions[-1] :])
    ending = tuple(partial(_apply, function) for function in final)
    keeps_order = all(_keeps_order(function) for function in final)
    return Chain(entry, stages, tuple(layers), ending, keeps_order, str(model.inputs[0].name))


def check_intact(model: keras.Model, network: Chain, images: npt.NDArray[np.float32]) -> None:
    """Compare what a chain makes of images with what its model does: the guard of all lesions.

    Raises
    ------
    ValueError
        If they differ by more than single precision explains; names the layer where they begin to.
    """
    array, expected, stages = network.enter(images), images, iter(network.stages)
    with np.errstate(over="ignore", invalid="ignore"):
        for layer in network.layers:
            if _has_units(layer):
                _check_close(array, expected, f"before layer {layer.name!r}", model)
                stage = next(stages)
                array = stage.respond(stage.linear(array) + stage.bias)
            expected = layer(expected)
    _check_close(network.end(array), model(images, training=False), "in its outputs", model)


def _check_close(ours: Array, theirs: Array, where: str, model: keras.Model) -> None:
    ours, theirs = (keras.ops.convert_to_numpy(each) for each in (ours, theirs))
    finite = np.abs(theirs[np.isfinite(theirs)])
    atol = _GUARD_TOLERANCE * max(finite.max(initial=0.0), 1e-3)
    if not np.allclose(ours, theirs, _GUARD_TOLERANCE, atol, equal_nan=True):
        raise ValueError(
            f"model: {model.name!r} does something else than its layers say; it departs from them "
            f"{where}, so lesions of it cannot be computed"
        )


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
        return np.zeros((0, *model.get_layer(layer).output.shape[1:]), np.float32)
    return np.concatenate([batch[layer] for batch in batches])


def n_units(model: keras.Model, layer: str) -> int:
    """Return the number of units of one layer, whatever the shape of the model.

    Raises
    ------
    ValueError
        If the model has no such layer; lists those there are.
    """
    _check_layer(model, layer)
    return int(model.get_layer(layer).output.shape[-1])


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
    last = _output_layer(model)
    if not len(x):
        return np.zeros((0, model.outputs[0].shape[1]))
    probe = keras.Model(model.inputs[0], last.input)
    starts = range(0, len(x), batch_size)
    batches = [
        keras.ops.convert_to_numpy(probe(x[start : start + batch_size], training=False))
        for start in starts
    ]
    inputs = np.concatenate(batches).astype(np.float64)
    if type(last) is not _LAYERS.Dense:
        return inputs
    kernel, *bias = (keras.ops.convert_to_numpy(each) for each in last.weights)
    return np.asarray(inputs @ kernel.astype(np.float64) + (bias[0] if bias else 0))


def _output_layer(model: keras.Model) -> keras.layers.Layer:
    """Return the layer whose input, or whose product, are a classifier's logits."""
    last = model.outputs[0]._keras_history.operation
    activation = _name(getattr(last, "activation", None))
    ends_well = (
        type(last) is _LAYERS.Softmax
        or (type(last) is _LAYERS.Activation and activation == "softmax")
        or (type(last) is _LAYERS.Dense and activation in ("softmax", "linear"))
    )
    if len(model.outputs) != 1 or len(model.outputs[0].shape) != 2 or not ends_well:
        raise ValueError(
            f"model: {model.name!r} ends in {last.name!r} ({type(last).__name__}, "
            f"{activation or 'no activation'}); accepted are one softmax, or one dense layer "
            "without activation, whose outputs are then the logits"
        )
    return last


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
    for layer in layers:
        _check_layer(model, layer)
    expected = model.inputs[0].shape[1:]
    if x.ndim != len(expected) + 1 or any(
        size not in (None, given) for size, given in zip(expected, x.shape[1:], strict=True)
    ):
        raise ValueError(
            f"x: inputs of shape {x.shape[1:]} were given; {model.name!r} takes {tuple(expected)}"
        )
    probe = keras.Model(model.inputs[0], {name: model.get_layer(name).output for name in layers})
    for start in range(0, len(x), batch_size):
        outputs = probe(x[start : start + batch_size], training=False)
        yield {layer: keras.ops.convert_to_numpy(outputs[layer]) for layer in layers}


def _check_layer(model: keras.Model, layer: str) -> None:
    names = [each.name for each in model.layers]
    if layer not in names:
        raise ValueError(f"layer: no layer {layer!r}; accepted are {', '.join(names)}")


def _layers(model: keras.Model) -> list[keras.layers.Layer]:
    """Return the layers of a chain in order, or say why the model is none."""
    is_known = isinstance(model, keras.Sequential) or hasattr(model, "operations")
    if not is_known or not model.built or len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ValueError(
            f"model: {model.name!r} must be a Sequential or functional model, built, with one "
            "input and one output"
        )
    if not type(model).call.__module__.startswith("keras."):
        raise ValueError(
            f"model: {model.name!r} ({type(model).__name__}) has a method `call` of its own, which "
            "may do something else than its layers say; accepted are Keras's own classes of models"
        )
    if isinstance(model, keras.Sequential):
        return _without_repeats(list(model.layers))
    previous = model.inputs[0]
    for operation in model.operations:
        if _is_input(operation):
            continue
        if operation.input is not previous:
            raise ValueError(
                f"model: layer {operation.name!r} does not take in just the output of the layer "
                "before it; only chains, in which every layer feeds the next one, are handled"
            )
        previous = operation.output
    if model.outputs[0] is not previous:
        raise ValueError(f"model: the output of {model.name!r} is not that of its last layer")
    return _without_repeats([each for each in model.operations if not _is_input(each)])


def _is_input(operation: keras.Operation) -> bool:
    return type(operation) is _LAYERS.InputLayer


def _without_repeats(layers: list[keras.layers.Layer]) -> list[keras.layers.Layer]:
    names = [layer.name for layer in layers]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"model: layer {name!r} occurs more than once")
    return layers


def _check_numbers(layer: keras.layers.Layer) -> None:
    """Refuse numbers that are not what a lesion's arithmetic takes them for."""
    precision = getattr(layer, "quantization_mode", None) or layer.compute_dtype
    if precision != "float32":
        raise ValueError(
            f"model: layer {layer.name!r} computes in {precision}; accepted is float32"
        )
    if not all(np.isfinite(keras.ops.convert_to_numpy(each)).all() for each in layer.weights):
        raise ValueError(f"model: layer {layer.name!r} has weights that are not finite")


def _has_units(layer: keras.layers.Layer) -> bool:
    return type(layer) in (_LAYERS.Dense, _LAYERS.Conv2D)


def _stage(layer: keras.layers.Layer, followers: list[keras.layers.Layer], is_last: bool) -> Stage:
    is_convolution = type(layer) is _LAYERS.Conv2D
    if is_convolution and (layer.groups != 1 or layer.data_format != "channels_last"):
        raise ValueError(f"model: layer {layer.name!r} has groups or puts channels first")
    if not is_convolution and len(layer.output.shape) != 2:
        raise ValueError(f"model: dense layer {layer.name!r} does not follow a flattened input")
    kernel = keras.ops.convert_to_numpy(layer.kernel)
    bias = (
        keras.ops.convert_to_numpy(layer.bias)
        if layer.use_bias
        else np.zeros(kernel.shape[-1], kernel.dtype)
    )
    norms = [each for each in followers if type(each) is _LAYERS.BatchNormalization]
    operations: list[Operation] = []
    if not is_last:
        operations = [*_activation(layer), *_operations(followers)]
        if operations and operations[0] is _relu and _pools_next(followers):
            # The maximum and relu commute exactly, and pooled maps are a quarter of the size.
            operations[:2] = reversed(operations[:2])
    elif not all(type(each) in (*_IDENTITIES, *_FINAL) for each in followers):
        names = ", ".join(repr(each.name) for each in followers)
        raise ValueError(f"model: the output layer {layer.name!r} is followed by {names}")
    return Stage(layer, kernel, bias, norms[0] if norms else None, tuple(operations))


def _operations(layers: list[keras.layers.Layer]) -> Iterator[Operation]:
    """Yield what each layer does in inference, nothing if that is nothing."""
    for layer in layers:
        if type(layer) in _IDENTITIES:
            continue
        if type(layer) not in _UNITWISE:
            raise ValueError(
                f"model: cannot handle layer {layer.name!r} ({type(layer).__name__}); accepted "
                f"are Dense, Conv2D, {', '.join(each.__name__ for each in _UNITWISE)}"
            )
        if type(layer) is _LAYERS.Activation:
            yield from _activation(layer)
        elif type(layer) is _LAYERS.Flatten:
            yield _flatten
        elif type(layer) is _LAYERS.BatchNormalization:
            yield partial(_apply, partial(layer, training=False))
        else:
            yield partial(_apply, layer)


def _activation(layer: keras.layers.Layer) -> Iterator[Operation]:
    """Yield a layer's activation function, nothing if it is the identity."""
    name = _name(layer.activation)
    if name not in _ELEMENTWISE:
        given = getattr(layer.activation, "__name__", str(layer.activation))
        raise ValueError(
            f"model: layer {layer.name!r} has the activation {given!r}, which mixes units or is "
            f"not Keras's own; accepted in hidden layers are {', '.join(_ELEMENTWISE)}"
        )
    if name == "relu":
        yield _relu
    elif name != "linear":
        yield partial(_apply, layer.activation)


def _name(activation: Any) -> str:
    """Return the name of one of Keras's activation functions, "" of any other function.

    A user's function may be called like one of Keras's, so it is compared itself.
    """
    known = (*_ELEMENTWISE, "softmax")
    return next((name for name in known if getattr(keras.activations, name) is activation), "")


def _final_activations(layers: list[keras.layers.Layer]) -> list[Operation]:
    """Return what the last layer of units, and what follows it, do to its pre-activations."""
    functions = [
        layer if type(layer) is _LAYERS.Softmax else layer.activation
        for layer in layers
        if type(layer) not in _IDENTITIES
    ]
    return [function for function in functions if function is not keras.activations.linear]


def _keeps_order(function: Operation) -> bool:
    is_layer = type(function) is _LAYERS.Softmax
    return getattr(function, "axis", None) in (-1, 1) if is_layer else _name(function) == "softmax"


def _pools_next(followers: list[keras.layers.Layer]) -> bool:
    acting = [each for each in followers if type(each) not in _IDENTITIES]
    return bool(acting) and type(acting[0]) is _LAYERS.MaxPooling2D


def _relu(z: Array) -> Array:
    """Rectify; NumPy's arrays in place, because fresh memory costs more than the arithmetic."""
    return np.maximum(z, 0, out=z) if isinstance(z, np.ndarray) else keras.ops.relu(z)


def _flatten(maps: Array) -> npt.NDArray[np.float32]:
    """Leave the backend: from here on, arrays are NumPy's."""
    array = keras.ops.convert_to_numpy(maps)
    return np.asarray(array).reshape(len(array), -1)


def _apply(function: Operation, z: Array) -> Array:
    """Apply a function of Keras and return the kind of array that went in."""
    result = function(z)
    return keras.ops.convert_to_numpy(result) if isinstance(z, np.ndarray) else result
