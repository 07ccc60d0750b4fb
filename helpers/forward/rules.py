"""One rule for each kind of operation: how a change of a few channels travels through it.

An operation gets a rule by its exact type: a subclass that overrides `call` gets none, and neither
does an instance whose `call` was replaced. What has no rule is simply called. The classes say what
a kind of operation does to each channel, so that graphs of weights can be read off them, too.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from helpers.backend import ON_PROCESSOR, is_tracing, keras, values_of

Array = Any
"""A NumPy array of shape (n, features), or a tensor of Keras's backend; images come first."""

Channels = Any
"""Indices of channels: a NumPy array, or a tensor while a graph is written down."""

Call = Callable[..., Array]

_LAYERS = keras.layers
_SMOOTH_ACTIVATIONS = tuple(
    getattr(keras.activations, name)
    for name in (
        *("relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish"),
        *("softplus", "softsign", "squareplus", "tanh", "hard_tanh", "sigmoid", "hard_sigmoid"),
        *("log_sigmoid", "hard_silu", "exponential", "linear"),
    )
)
_SILENT_IN_INFERENCE = (
    *(_LAYERS.Dropout, _LAYERS.AlphaDropout, _LAYERS.GaussianDropout, _LAYERS.GaussianNoise),
    *(_LAYERS.SpatialDropout1D, _LAYERS.SpatialDropout2D, _LAYERS.SpatialDropout3D),
    *(_LAYERS.ActivityRegularization, _LAYERS.Identity),
)
_ELEMENTWISE_LAYERS = (_LAYERS.LeakyReLU, _LAYERS.ELU)
_ELEMENTWISE_FUNCTIONS = {
    *("Relu", "Relu6", "Sigmoid", "Softplus", "Softsign", "Silu", "LogSigmoid", "LeakyRelu"),
    *("HardSigmoid", "HardSilu", "Elu", "Selu", "Gelu", "Celu", "SquarePlus", "HardTanh", "Mish"),
    *("Absolute", "Exp", "Negative", "Square", "Tanh", "Sin", "Cos"),
}
_ARITHMETIC = {"Add", "Subtract", "Multiply", "Maximum", "Minimum"}
_SPATIAL_LAYERS = tuple(
    getattr(_LAYERS, f"{kind}{rank}D")
    for kind in ("MaxPooling", "AveragePooling", "ZeroPadding", "Cropping", "UpSampling")
    for rank in (1, 2, 3)
)
_GLOBAL_POOLINGS = tuple(
    getattr(_LAYERS, f"Global{kind}Pooling{rank}D") for kind in ("Max", "Average") for rank in "123"
)
_MAXIMA = (_LAYERS.MaxPooling1D, _LAYERS.MaxPooling2D, _LAYERS.MaxPooling3D)
_MERGING_LAYERS = (
    *(_LAYERS.Add, _LAYERS.Subtract, _LAYERS.Multiply),
    *(_LAYERS.Average, _LAYERS.Maximum, _LAYERS.Minimum),
)
_CONVOLUTIONS = (_LAYERS.Conv1D, _LAYERS.Conv2D, _LAYERS.Conv3D)
_TRANSPOSES = (_LAYERS.Conv1DTranspose, _LAYERS.Conv2DTranspose, _LAYERS.Conv3DTranspose)
_SEPARABLES = (_LAYERS.SeparableConv1D, _LAYERS.SeparableConv2D)
_DEPTHWISE = (_LAYERS.DepthwiseConv1D, _LAYERS.DepthwiseConv2D)
_PLAIN = (_LAYERS.Dense, *_CONVOLUTIONS)
_WITH_UNITS = (_LAYERS.Dense, *_CONVOLUTIONS, *_TRANSPOSES, *_SEPARABLES, *_DEPTHWISE)
_SMOOTH_LAYERS = (
    *(_LAYERS.Softmax, _LAYERS.Activation, _LAYERS.PReLU, _LAYERS.Flatten),
    *(_LAYERS.LayerNormalization, _LAYERS.GroupNormalization, _LAYERS.Rescaling),
    *(_LAYERS.RMSNormalization, _LAYERS.UnitNormalization, _LAYERS.Normalization),
    *(_LAYERS.Permute, _LAYERS.RepeatVector, _LAYERS.EinsumDense, _LAYERS.Dot),
    *(_LAYERS.MultiHeadAttention, _LAYERS.GroupQueryAttention, _LAYERS.Attention),
    *(_LAYERS.AdditiveAttention, _LAYERS.LSTM, _LAYERS.GRU, _LAYERS.SimpleRNN),
    *(_LAYERS.ConvLSTM1D, _LAYERS.ConvLSTM2D, _LAYERS.ConvLSTM3D),
)
_SMOOTH_FUNCTIONS = {
    *("Softmax", "LogSoftmax", "Mean", "Sum", "Max", "Min", "Amax", "Amin", "Reshape", "Transpose"),
    *("Concatenate", "Stack", "Split", "GetItem", "ExpandDims", "Squeeze", "Moveaxis", "Swapaxes"),
    *("Matmul", "Einsum", "Dot", "Pad", "Take", "Flip", "Roll", "Repeat", "Tile", "BroadcastTo"),
    *("Conv", "DepthwiseConv", "AveragePool", "MaxPool", "Normalize", "Clip", "Logsumexp"),
}


@dataclass(frozen=True)
class Few:
    """Some channels of a tensor and their new values; the others are those of the intact network.

    Attributes
    ----------
    axis : int
        Which axis the channels lie on, not negative.
    channels : ndarray or tensor of int, shape (k,)
        Without repeats.
    values : array, shape (n or 1, ..., k, ...)
        With length 1 on the first axis where they are the same for all images.
    size : int
        How many they are; or at most are, where a graph is written down for any number.
    """

    axis: int
    channels: Channels
    values: Array
    size: int


@dataclass(frozen=True)
class Elementwise:
    """Each value by itself: activation functions, dropout in inference, sums with a number."""

    call: Call
    is_relu: bool = False


@dataclass(frozen=True)
class Spatial:
    """Each channel by itself, over all positions: pooling, padding, cropping, up-sampling.

    Attributes
    ----------
    call : callable
        Does it, to any number of channels.
    axis : int
        Where the channels lie, -1 or 1.
    is_global : bool
        Whether no positions are left, and the channels lie on axis 1.
    """

    call: Call
    axis: int
    is_global: bool = False

    def few(self, given: Few) -> Few | None:
        """Return what comes out where few channels went in; None if they are no channels here."""
        if given.axis != self.axis % given.values.ndim:
            return None
        axis = 1 if self.is_global else given.axis
        return replace(given, axis=axis, values=self.call(given.values))


@dataclass(frozen=True)
class BatchNorm:
    """Each channel scaled and shifted by numbers of its own."""

    layer: keras.layers.BatchNormalization

    @cached_property
    def _numbers(self) -> tuple[npt.NDArray[np.float32] | None, ...]:
        layer = self.layer
        return tuple(
            None if each is None else values_of(each)
            for each in (
                *(layer.moving_mean, layer.moving_variance),
                *(layer.beta if layer.center else None, layer.gamma if layer.scale else None),
            )
        )

    @cached_property
    def _line(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """What each channel is multiplied by, and what is added then."""
        mean, variance, offset, scale = self._numbers
        assert mean is not None
        assert variance is not None
        factor = 1 / np.sqrt(variance + np.float32(self.layer.epsilon))
        factor = factor if scale is None else factor * scale
        return factor, -mean * factor if offset is None else offset - mean * factor

    @property
    def factors(self) -> npt.NDArray[np.float64]:
        """Absolute gamma / (sigma + epsilon) of each channel (section 2 of the paper)."""
        _, variance, _, gamma = self._numbers
        assert variance is not None
        sigma = np.sqrt(variance.astype(np.float64))
        size = np.ones_like(sigma) if gamma is None else np.abs(gamma.astype(np.float64))
        return np.asarray(size / (sigma + self.layer.epsilon))

    def few(self, given: Few) -> Few | None:
        """Return what comes out where few channels went in; None if they are no channels here."""
        if given.axis != self.layer.axis % given.values.ndim:
            return None
        rank = len(given.values.shape)
        factor, shift = (
            along(taken(each, given.channels, 0), given.axis, rank) for each in self._line
        )
        return replace(given, values=given.values * factor + shift)

    def whole(self, values: Array) -> Array:
        """Return what comes out where all channels went in."""
        axis = self.layer.axis % len(values.shape)
        factor, shift = (along(each, axis, len(values.shape)) for each in self._line)
        return values * factor + shift


@dataclass(frozen=True)
class Depthwise:
    """Each channel convolved by itself."""

    layer: keras.layers.Layer

    @cached_property
    def kernel(self) -> npt.NDArray[np.float32]:
        """The kernel, shape (..., inputs, multiplier)."""
        return np.asarray(values_of(self.layer.kernel))

    def few(self, given: Few) -> Few | None:
        """Return what comes out where few channels went in; None if they are no channels here."""
        layer = self.layer
        if given.axis != channel_axis(layer) % given.values.ndim:
            return None
        multiplier = self.kernel.shape[-1]
        channels = spread_out(given.channels, multiplier)
        values = keras.ops.depthwise_conv(
            given.values,
            taken(self.kernel, given.channels, -2),
            layer.strides,
            layer.padding,
            layer.data_format,
            layer.dilation_rate,
        )
        if layer.use_bias:
            bias = taken(values_of(layer.bias), channels, 0)
            values = values + along(bias, given.axis, len(values.shape))
        return Few(given.axis, channels, values, multiplier * given.size)

    def magnitudes(self, norm: Call) -> npt.NDArray[np.float64]:
        """Return the norm of each feature map's kernel, shape (units,), see `Linear.magnitudes`."""
        return np.asarray(norm(self.kernel)).ravel()


@dataclass(frozen=True)
class Merge:
    """Sums, products and the like of several tensors, value by value."""

    call: Call


@dataclass(frozen=True)
class Concatenate:
    """Several tensors side by side on one axis, counted as Keras does."""

    axis: int


@dataclass(frozen=True)
class Reshape:
    """Other axes, the same values in the same order; channels stay apart where they come last."""

    def few(self, given: Few, shape: tuple[int, ...], new_shape: tuple[int, ...]) -> Few | None:
        """Return what comes out where few channels went in; None if they do not stay apart.

        Parameters
        ----------
        given : Few
            What goes in.
        shape, new_shape : tuple of int
            Shapes of the tensors that go in and come out.
        """
        if math.prod(shape[1:]) != math.prod(new_shape[1:]):
            return None  # Windows of an image, for instance, become images of their own.
        width = shape[given.axis]
        if given.axis == len(shape) - 1 and new_shape[-1] == width:
            n, *_, k = keras.ops.shape(given.values)
            values = keras.ops.reshape(given.values, (n, *new_shape[1:-1], k))
            return replace(given, axis=len(new_shape) - 1, values=like(given.values, values))
        if len(new_shape) != 2:
            return None
        features = np.arange(math.prod(shape[1:])).reshape(shape[1:])
        chosen = flat(taken(features, given.channels, given.axis - 1))
        values = keras.ops.reshape(given.values, (keras.ops.shape(given.values)[0], -1))
        return Few(1, chosen, values, features.size // width * given.size)


@dataclass(frozen=True)
class Linear:
    """A layer of units, each of which weighs all inputs.

    Attributes
    ----------
    layer : keras.layers.Layer
        Dense, or a convolution, transposed, separable or grouped ones included. Its weights are
        read once.
    """

    layer: keras.layers.Layer

    @cached_property
    def kernels(self) -> tuple[npt.NDArray[np.float32], ...]:
        """The kernel, shape (..., inputs, units); before a separable's, (..., inputs, multiplier).

        Of a grouped convolution with zeros for the other groups.
        """
        layer = self.layer
        if type(layer) in _SEPARABLES:
            both = (layer.depthwise_kernel, layer.pointwise_kernel)
            return tuple(values_of(each) for each in both)
        kernel = values_of(layer.kernel)
        if type(layer) in _TRANSPOSES:
            return (np.swapaxes(kernel, -1, -2),)
        groups = getattr(layer, "groups", 1)
        return (_ungrouped(kernel, groups) if groups > 1 else kernel,)

    @cached_property
    def bias(self) -> npt.NDArray[np.float32] | None:
        """The bias of each unit, shape (units,); None if there is none."""
        return values_of(self.layer.bias) if self.layer.use_bias else None

    @cached_property
    def largest(self) -> npt.NDArray[np.float32]:
        """The largest absolute weight from each input, shape (inputs,)."""
        first = np.abs(self.kernels[0])
        return np.asarray(first.max(axis=tuple({*range(first.ndim)} - {first.ndim - 2})))

    @property
    def n_units(self) -> int:
        """Number of neurons or feature maps."""
        return int(self.kernels[-1].shape[-1])

    @property
    def n_inputs(self) -> int:
        """Number of neurons or feature maps that are weighed."""
        return int(self.kernels[0].shape[-2])

    @property
    def is_convolution(self) -> bool:
        """Whether a unit is a feature map."""
        return type(self.layer) is not _LAYERS.Dense

    @property
    def is_plain(self) -> bool:
        """Whether units weigh inputs by the layer's own kernel as it is."""
        return type(self.layer) in _PLAIN and getattr(self.layer, "groups", 1) == 1

    @property
    def is_depthwise(self) -> bool:
        """Whether groups of a convolution are its single inputs, as in ConvNeXt."""
        layer = self.layer
        return (
            type(layer) in (_LAYERS.Conv1D, _LAYERS.Conv2D)
            and layer.groups > 1
            and layer.kernel.shape[-2] == 1
            and len({*layer.strides}) == 1
            and self.adds_up
        )

    def depthwise(self, values: Array) -> Array:
        """Return what all inputs add if `is_depthwise`: Keras compiles such layers in each call."""
        layer = self.layer
        grouped = values_of(layer.kernel)
        kernel = grouped.reshape(*grouped.shape[:-2], layer.groups, -1)
        return keras.ops.depthwise_conv(
            values,
            kernel,
            layer.strides,
            layer.padding,
            layer.data_format,
            layer.dilation_rate,
        )

    @property
    def adds_up(self) -> bool:
        """Whether `contribution` can be asked for: not with padding that only `call` knows."""
        return getattr(self.layer, "padding", "") != "causal"

    def contribution(
        self, values: Array, channels: Channels, out: npt.NDArray[np.float32] | None = None
    ) -> Array:
        """Return what some inputs add to the units' pre-activations, without bias.

        Parameters
        ----------
        values : array, shape (n, ..., k)
            These inputs only; NumPy's of rank 2 in front of a dense layer are multiplied there.
        channels : ndarray of int, shape (k,)
            Which of the inputs they are.
        out : ndarray, shape (n, units), optional
            Where the product of NumPy arrays is written.
        """
        layer = self.layer
        by_reference = is_tracing() and self.is_plain  # Because many graphs share the kernel.
        kernel = keras.ops.convert_to_tensor(layer.kernel) if by_reference else self.kernels[0]
        if not self.is_convolution:
            kernel = taken(kernel, channels, 0)
            if isinstance(values, np.ndarray):
                return np.matmul(values, kernel, out=out)
            return keras.ops.matmul(values, kernel)
        options = {
            "strides": layer.strides,
            "padding": layer.padding,
            "data_format": layer.data_format,
            "dilation_rate": layer.dilation_rate,
        }
        chosen = taken(kernel, channels, -2)
        if type(layer) in _TRANSPOSES:
            options["output_padding"] = layer.output_padding
            return keras.ops.conv_transpose(values, keras.ops.swapaxes(chosen, -1, -2), **options)
        if type(layer) in _SEPARABLES:
            spread = spread_out(channels, layer.depth_multiplier)
            pointwise = taken(self.kernels[1], spread, -2)
            return keras.ops.separable_conv(values, chosen, pointwise, **options)
        return keras.ops.conv(values, chosen, **options)

    def magnitudes(self, norm: Call) -> npt.NDArray[np.float64]:
        """Return how strongly each input is weighed by each unit, shape (inputs, units).

        Parameters
        ----------
        norm : callable
            Turns a kernel of shape (..., inputs, units) into an array of shape (inputs, units).
            Of a separable convolution, paths through its maps in between add up.
        """
        first, *second = (np.asarray(norm(each)) for each in self.kernels)
        for pointwise in second:
            first = np.einsum("im,imu->iu", first, pointwise.reshape(*first.shape, -1))
        return np.asarray(first)


Rule = Elementwise | Spatial | BatchNorm | Depthwise | Merge | Concatenate | Reshape | Linear


def has_units(operation: keras.Operation) -> bool:
    """Whether a layer has units whose pre-activations can be set: exactly one of Keras's."""
    return (
        type(operation) in _WITH_UNITS
        and "call" not in vars(operation)
        and not operation.quantization_mode
    )


def why_without_units(operation: keras.Operation) -> str:
    """Say why a layer has no units that can be lesioned."""
    if getattr(operation, "quantization_mode", None):
        return f"its weights are quantized to {operation.quantization_mode}"
    if "call" in vars(operation):
        return "its method `call` was replaced"
    kind = type(operation)
    if isinstance(operation, _WITH_UNITS) and kind not in _WITH_UNITS:
        return f"{kind.__name__}, a class of its own, may do anything"
    return f"a {kind.__name__} has none"


def rule_of_units(layer: keras.layers.Layer) -> Rule:
    """Return the rule of a layer of units, without its activation."""
    return Depthwise(layer) if type(layer) in _DEPTHWISE else Linear(layer)


def rule_of_activation(activation: Any) -> Rule | None:
    """Return the rule of a layer's activation function, or None if it mixes units or is unknown.

    A user's function may be called like one of Keras's, so functions themselves are compared.
    """
    if not any(activation is each for each in _SMOOTH_ACTIVATIONS):
        return None
    return Elementwise(activation, is_relu=activation is keras.activations.relu)


def rule_of(
    operation: keras.Operation, call: Call, n_tensors: int, others: list[Any]
) -> Rule | None:
    """Return the rule of an operation without units, or None if it is to be called.

    Parameters
    ----------
    operation : keras.Operation
        A layer, or a function of `keras.ops` in a functional model.
    call : callable
        Calls it on tensors, in inference.
    n_tensors : int
        How many tensors it takes.
    others : list
        What else it takes, which must be numbers where a rule is to hold for some channels only.
    """
    kind = type(operation)
    if "call" in vars(operation):
        return None
    is_layer = isinstance(operation, keras.layers.Layer)
    if is_layer and n_tensors > 1 and kind not in {*_MERGING_LAYERS, _LAYERS.Concatenate}:
        return None  # It takes a mask, too.
    if kind.__module__.startswith("keras.src.ops."):
        return _rule_of_function(kind.__name__, operation, call, n_tensors, others)
    if kind is _LAYERS.Activation:
        return rule_of_activation(operation.activation)
    if is_silent(operation) or kind in _ELEMENTWISE_LAYERS or _is_plain_relu(operation):
        return Elementwise(call)
    if kind is _LAYERS.Rescaling and np.ndim(operation.scale) == np.ndim(operation.offset) == 0:
        return Elementwise(call)
    if kind in _SPATIAL_LAYERS:
        return Spatial(call, channel_axis(operation))
    if kind in _GLOBAL_POOLINGS:
        return Spatial(call, channel_axis(operation), is_global=not operation.keepdims)
    if kind is _LAYERS.BatchNormalization:
        return BatchNorm(operation)
    if kind in _MERGING_LAYERS:
        return Merge(call)
    if kind is _LAYERS.Concatenate:
        return Concatenate(operation.axis)
    if kind is _LAYERS.Reshape or (kind is _LAYERS.Flatten and channel_axis(operation) == -1):
        return Reshape()
    return None


def is_smooth(operation: keras.Operation) -> bool:
    """Whether an operation without a rule is known to be continuous.

    A threshold, a rounding or a mask that is found by comparison would make a step of a rounding
    error. What is not known might.
    """
    kind = type(operation)
    if "call" in vars(operation):
        return False
    if kind.__module__.startswith("keras.src.ops."):
        return kind.__name__ in _SMOOTH_FUNCTIONS | _ARITHMETIC
    if kind is _LAYERS.Bidirectional:
        return is_smooth(operation.forward_layer) and is_smooth(operation.backward_layer)
    if kind is _LAYERS.TimeDistributed:
        return is_smooth(operation.layer) or has_units(operation.layer)
    activations = [
        getattr(operation, name, None) for name in ("activation", "recurrent_activation")
    ]
    known = (None, keras.activations.softmax, *_SMOOTH_ACTIVATIONS)
    return (
        kind in _SMOOTH_LAYERS or kind.__module__.startswith("keras.src.applications.")
    ) and all(any(each is one for one in known) for each in activations)


def is_silent(operation: keras.Operation) -> bool:
    """Whether a layer does nothing in inference."""
    return type(operation) in _SILENT_IN_INFERENCE and "call" not in vars(operation)


def takes_maxima(operation: keras.Operation) -> bool:
    """Whether a layer puts out maxima over positions of each channel."""
    return type(operation) in _MAXIMA and "call" not in vars(operation)


def channel_axis(layer: keras.layers.Layer) -> int:
    """Return the axis of a layer's channels: -1, or 1 where they come first."""
    return 1 if getattr(layer, "data_format", None) == "channels_first" else -1


def spread_out(channels: Channels, multiplier: int) -> Channels:
    """Return the outputs of a depthwise convolution that come from some of its inputs."""
    return flat(channels[:, np.newaxis] * multiplier + np.arange(multiplier, dtype=np.int32))


def flat(array: Array) -> Array:
    """Return all of an array's values in a row."""
    return array.ravel() if isinstance(array, np.ndarray) else keras.ops.reshape(array, (-1,))


def along(vector: Array, axis: int, rank: int) -> Array:
    """Return a vector that broadcasts along one axis of a tensor of some rank."""
    shape = [1] * rank
    shape[axis] = -1
    is_ours = isinstance(vector, np.ndarray)
    return vector.reshape(shape) if is_ours else keras.ops.reshape(vector, shape)


def taken(array: Array, channels: Channels, axis: int) -> Array:
    """Return some channels of an array, in the fastest way that there is."""
    if isinstance(array, np.ndarray) and isinstance(channels, np.ndarray):
        return np.take(array, channels, axis)
    if isinstance(channels, np.ndarray):
        if len(channels) == array.shape[axis] and is_tracing():
            return array
        # NumPy is several times as fast as what TensorFlow does on a processor.
        if ON_PROCESSOR and not is_tracing():
            return keras.ops.convert_to_tensor(np.take(in_numpy(array), channels, axis))
        return _sliced(array, channels, axis)
    if not isinstance(array, np.ndarray) and axis % len(array.shape) == len(array.shape) - 1 > 1:
        # So is a product with ones and zeros.
        return keras.ops.matmul(array, keras.ops.transpose(one_hot(channels, array.shape[-1])))
    return keras.ops.take(array, channels, axis)


def _sliced(array: Array, channels: npt.NDArray[np.intp], axis: int) -> Array:
    """Return known channels of a tensor, which lie together where layers were concatenated."""
    starts = np.flatnonzero(np.diff(channels, prepend=-2) != 1)
    if len(starts) > 4:
        return keras.ops.take(array, channels, axis)
    before = (slice(None),) * (axis % len(array.shape))
    runs = np.split(channels, starts[1:])
    parts = [array[(*before, slice(int(run[0]), int(run[-1]) + 1))] for run in runs]
    return parts[0] if len(parts) == 1 else keras.ops.concatenate(parts, axis)


def one_hot(channels: Channels, width: int) -> Array:
    """Return a row for each of some channels with a one where it is, shape (k, width)."""
    return keras.ops.one_hot(channels, width, dtype="float32")


def in_numpy(array: Array) -> npt.NDArray[Any]:
    """Return an array of NumPy's, on a processor without a copy: it may not be written to."""
    return np.asarray(array)


def like(given: Array, result: Array) -> Array:
    """Return a result as the kind of array that went in."""
    return in_numpy(result) if isinstance(given, np.ndarray) else result


def _rule_of_function(
    name: str, operation: keras.Operation, call: Call, n_tensors: int, others: list[Any]
) -> Rule | None:
    numbers_only = all(isinstance(each, int | float | str | None) for each in others)
    if n_tensors == 1 and numbers_only and (name in _ELEMENTWISE_FUNCTIONS or name in _ARITHMETIC):
        return Elementwise(call)
    if n_tensors == 2 and name in _ARITHMETIC:
        return Merge(call)
    if name == "Concatenate":
        return Concatenate(operation.axis)
    return Reshape() if name == "Reshape" else None


def _is_plain_relu(operation: keras.Operation) -> bool:
    """Whether a layer rectifies without a step, which a threshold makes."""
    return type(operation) is _LAYERS.ReLU and not operation.threshold


def _ungrouped(kernel: npt.NDArray[np.float32], groups: int) -> npt.NDArray[np.float32]:
    """Return the kernel of a grouped convolution as that of one whose other weights are zero."""
    per_group, n_units = kernel.shape[-2:]
    whole = np.zeros((*kernel.shape[:-2], groups * per_group, n_units), kernel.dtype)
    units = n_units // groups
    for group in range(groups):
        mine = slice(group * units, (group + 1) * units)
        whole[..., group * per_group : (group + 1) * per_group, mine] = kernel[..., mine]
    return whole
