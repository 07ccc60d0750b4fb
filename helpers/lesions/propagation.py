"""A lesion as a change that travels through a program.

Under a lesion every tensor is one of three things: as in the intact network; changed in a few
channels (`Few`); or changed anywhere, a new array. An operation into which nothing changed goes
is not run again. One that acts on each channel by itself is run on the few only. A layer of units
that takes in few gets the intact network's pre-activations, corrected by what the few no longer
add, or add anew; or, if they are most of its inputs, the sum of what all add. Everything else is
called.

Subtraction leaves rounding noise, which is all that is left where what was subtracted is most of
what there was. So where it leaves less than `_CANCELLED` of the norm of an image's
pre-activations, or of a feature map's over images, the contributions of the others are added up
instead, which subtracts nothing. So they are for single neurons of dense layers, where less than
`_FAINT` is left in several images of what may have been subtracted, or less than `_NOTHING` in
any; and where some channels may add more than `_UNEVEN` times what others do: a few units may
cancel then, while the norm stays.
"""

import copy
import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from helpers.backend import ON_PROCESSOR, SHAPES_ARE_FREE, is_tracing, keras
from helpers.forward import rules
from helpers.forward.program import (
    Classifier,
    Inputs,
    Lesion,
    Step,
    mask_of,
    silenced,
    with_mask_of,
)
from helpers.forward.rules import (
    Array,
    BatchNorm,
    Channels,
    Concatenate,
    Elementwise,
    Few,
    Linear,
    Merge,
    Reshape,
)

Rows = slice | npt.NDArray[np.intp]

Signal = Any
"""What a lesion makes of a tensor: `Few`, a whole new array, or None if nothing changes."""

_ALL = slice(None)
_NONE = np.empty(0, np.intp)
_CANCELLED = 1 / 32
_FAINT = 1 / 1024
_NOTHING = 1e-5
_SAMPLED, _FAINT_BY_CHANCE = 256, 1 / 32
"""About so many images are looked at, in a smaller share of which neurons are faint by chance."""
_WORTH_PICKING = 0.9
_UNEVEN = 64
"""Of networks that were trained, or are about to be, the largest channel adds up to 50 times what a
quarter of them add at most."""
_CHANNELS = "channels of "
_EACH = 16
"""Of feature maps' rows so large a part says whether they have cancelled."""


class Trace:
    """What a program made of a batch of images, under a given lesion or none.

    Parameters
    ----------
    program : Classifier
        The program.
    images : tuple of array
        One per input of the program.

    Attributes
    ----------
    given : mapping of int to ndarray of int
        Units by step that are lesioned already.
    shapes : dict of int to tuple of int
        Of all tensors.
    masked : set of int
        Tensors with positions that are masked out, so that what takes them in must be called.
    apart : dict of int to array
        While a graph is written down, tensors with their maps on axis 1, and not the last.
    """

    def __init__(self, program: Classifier, images: Inputs) -> None:
        self.program = program
        self.given: Lesion = {}
        self.shapes: dict[int, Any] = {}
        self.masked: set[int] = set()
        self._kept: dict[int, Array] = {}
        self.apart: dict[int, Array] = {}
        self._given_to_graphs: tuple[dict[str, Array], dict[str, Array]] | None
        self._uneven: set[int] | None
        self._forget()
        self._run(dict(zip(program.inputs, images, strict=True)))

    @property
    def has_rows_of_images(self) -> bool:
        """Whether each row of each tensor is an image's, and not a window's or a feature's."""
        n_images = self.shapes[self.program.scores][0]
        return self.program.has_rows_of_images and all(
            shape[:1] == (n_images,) for shape in self.shapes.values()
        )

    @property
    def uneven(self) -> set[int]:
        """Pre-activations to which some channels may add far more than most others.

        Where these go, what is left of a sum of all is mostly rounding error.
        """
        if self._uneven is None:
            steps = [self.program.steps[index] for index in self.program.path]
            self._uneven = {
                step.outputs[0]
                for step in steps
                if isinstance(step.rule, Linear)
                and not step.rule.is_depthwise
                and step.inputs[0] in self.program.producers
                and self._are_uneven(step.rule, step.inputs[0])
            }
        return self._uneven

    @property
    def n_values(self) -> int:
        """How many numbers are kept, without what graphs alone take in."""
        return sum(math.prod(self.shapes[each]) for each in self._kept)

    def __getitem__(self, tensor: int) -> Array:
        """Return a tensor, made again if it was not kept."""
        if tensor not in self._kept:
            index = self.program.producers[tensor]
            step = self.program.steps[index]
            outputs = self._outputs(index, [self[each] for each in step.inputs])
            self._kept.update(zip(step.outputs, outputs, strict=True))
        return self._kept[tensor]

    def for_graphs(self, as_maps: Set[int]) -> tuple[dict[str, Array], ...]:
        """Return what a graph takes in, by name.

        Tensors; those of which it reads a few maps, once more with maps apart, where they are
        several times as fast to read; and the norms of pre-activations, of images and of channels.
        """
        if self._given_to_graphs is None:
            tensors = {
                str(each): keras.ops.convert_to_tensor(self[each])
                for each in sorted(self.program.kept.intersection(self.shapes))
            }
            steps = [self.program.steps[index] for index in self.program.path]
            norms = {}
            for step in steps:
                if isinstance(step.rule, Linear):
                    (out,), axis = step.outputs, rules.channel_axis(step.operation)
                    norms[str(out)] = self.norms(out)
                    norms[f"{_CHANNELS}{out}"] = self.channel_norms(out, axis)
            norms = {name: keras.ops.convert_to_tensor(each) for name, each in norms.items()}
            self._given_to_graphs = tensors, norms
        tensors, norms = self._given_to_graphs
        for each in as_maps - self._turned.keys():
            self._turned[each] = keras.ops.moveaxis(tensors[str(each)], -1, 1)
        return tensors, {str(each): self._turned[each] for each in sorted(as_maps)}, norms

    @classmethod
    def of_tensors(cls, program: Classifier, *given: dict[str, Array]) -> "Trace":
        """Return a trace of what `for_graphs` gave, while a graph is written down."""
        tensors, apart, norms = given
        trace = cls.__new__(cls)
        trace.program, trace.given, trace.masked = program, {}, set()
        trace._forget()
        trace._kept = {int(name): tensor for name, tensor in tensors.items()}
        trace.apart = {int(name): tensor for name, tensor in apart.items()}
        for name, each in norms.items():
            of = trace._channel_norms if name.startswith(_CHANNELS) else trace._norms
            of[int(name.removeprefix(_CHANNELS))] = each
        trace._uneven = set()  # Such batches are not given to graphs.
        trace.shapes = dict(enumerate(program.shapes))
        return trace

    def under(self, given: Lesion) -> "Trace":
        """Return the trace under a lesion, run again from where it departs from this one."""
        if not given:
            return self
        trace = copy.copy(self)
        trace.given, trace.masked = given, set(self.masked)
        trace._forget()
        trace._run({})
        return trace

    def norms(self, tensor: int) -> npt.NDArray[np.float32]:
        """Return the Euclidean norm of each image's part of a tensor."""
        if tensor not in self._norms:
            self._norms[tensor] = norms(self[tensor])
        return self._norms[tensor]

    def channel_norms(self, tensor: int, axis: int) -> npt.NDArray[np.float32]:
        """Return the Euclidean norm of each channel's part of a tensor, over images."""
        if tensor not in self._channel_norms:
            self._channel_norms[tensor] = _channel_norms(self[tensor], axis)
        return self._channel_norms[tensor]

    def features(self, tensor: int, channels: Channels) -> npt.NDArray[np.float32]:
        """Return features of a tensor of rank 2, shape (k, n): each lies together in memory."""
        if tensor not in self._transposed:
            self._transposed[tensor] = np.ascontiguousarray(rules.in_numpy(self[tensor]).T)
        return self._transposed[tensor][channels]

    def _are_uneven(self, rule: Linear, tensor: int) -> bool:
        array = rules.in_numpy(self[tensor])
        others = tuple({*range(array.ndim)} - {rules.channel_axis(rule.layer) % array.ndim})
        # Over images first, along memory: several times as fast as over all axes at once.
        largest, least = array.max(0, keepdims=True), array.min(0, keepdims=True)
        added = np.maximum(largest.max(others), -least.min(others)) * rule.largest
        added = added[added > 0]
        return added.size > 0 and not added.max() <= _UNEVEN * np.quantile(added, 0.25)

    def _forget(self) -> None:
        self._norms: dict[int, npt.NDArray[np.float32]] = {}
        self._channel_norms: dict[int, npt.NDArray[np.float32]] = {}
        self._transposed: dict[int, npt.NDArray[np.float32]] = {}
        self._turned: dict[int, Array] = {}
        self._given_to_graphs = None
        self._uneven = None

    def _run(self, new: dict[int, Array]) -> None:
        """Run all steps that take in something new, or whose units are lesioned."""
        changed = set(new)
        self.shapes |= {tensor: tuple(array.shape) for tensor, array in new.items()}
        last_use = self.program.last_use
        for index in self.program.path:
            step = self.program.steps[index]
            if index not in self.given and not changed.intersection(step.inputs):
                continue
            inputs = [new[each] if each in new else self[each] for each in step.inputs]
            outputs = self._outputs(index, inputs)
            changed.update(step.outputs)
            new.update(zip(step.outputs, outputs, strict=True))
            for tensor, array in zip(step.outputs, outputs, strict=True):
                self.shapes[tensor] = tuple(array.shape)
                (self.masked.discard if mask_of(array) is None else self.masked.add)(tensor)
            for each in {*step.inputs, *step.outputs}:
                if last_use.get(each, index) == index and each not in self.program.kept:
                    new.pop(each, None)
        unchanged = {each: array for each, array in self._kept.items() if each not in changed}
        self._kept = unchanged | new

    def _outputs(self, index: int, inputs: list[Array]) -> list[Array]:
        step = self.program.steps[index]
        outputs = _in_full(step, inputs)
        if index in self.given:
            outputs[0] = silenced(outputs[0], self.given[index], step.unit_axis)
        return outputs


class Propagation:
    """Sends lesions of one trace through its program, one after the other.

    Parameters
    ----------
    trace : Trace
        Where the lesions start from.
    workspace : dict of int to ndarray
        Where dense layers write their pre-activations; empty at first. Lesions of several traces
        of as many images may share it, one after the other.
    """

    def __init__(self, trace: Trace, workspace: dict[int, npt.NDArray[np.float32]]) -> None:
        self.trace = trace
        self.program = trace.program
        # Fresh arrays cost more (page faults) than the arithmetic on them: all lesions share these.
        self._workspace = workspace
        self._rows: Rows = _ALL
        self._changed: dict[int, Signal] = {}
        self._are_exact: list[Array] = []
        self._are_most = False

    def scores(self, lesion: Lesion) -> tuple[Rows, npt.NDArray[np.float32] | None]:
        """Return which images a lesion affects, and their scores; None if it affects none."""
        self._send(lesion)
        if self._n_rows == 0 or self.program.scores not in self._changed:
            return np.empty(0, np.intp), None
        return self._rows, rules.in_numpy(self._value(self.program.scores))

    def written_down(self, lesion: Mapping[int, Channels], are_most: bool) -> tuple[Array, Array]:
        """Return scores under a lesion, and whether nothing cancels, while a graph is written.

        Parameters
        ----------
        lesion : mapping of int to tensor
            Units by step, of which there are no values yet.
        are_most : bool
            Whether they may be more than half of their layer.
        """
        self._are_most = are_most
        self._send(lesion)
        are_exact = [keras.ops.convert_to_tensor(True), *self._are_exact]
        return self._value(self.program.scores), keras.ops.all(keras.ops.stack(are_exact))

    def _send(self, lesion: Mapping[int, Channels]) -> None:
        """Send a lesion from step to step, as far as the scores."""
        self._rows, self._changed, self._are_exact, to_come = _ALL, {}, [], set(lesion)
        for index in self.program.path:
            step = self.program.steps[index]
            signals = [self._changed.get(each) for each in step.inputs]
            if index not in lesion and all(each is None for each in signals):
                continue
            outputs = self._hand_on(step, signals, is_alone=not to_come)
            to_come.discard(index)
            if self._n_rows == 0:
                return
            if index in lesion or (index in self.trace.given and outputs[0] is not None):
                outputs[0] = self._silenced(step, outputs[0], lesion.get(index, _NONE), index)
            self._changed.update(
                (tensor, signal)
                for tensor, signal in zip(step.outputs, outputs, strict=True)
                if signal is not None
            )
            for each in step.inputs:
                if self.program.last_use[each] == index:
                    self._changed.pop(each, None)

    @property
    def _n_rows(self) -> int | None:
        """How many images are left that the lesion affects; None if all."""
        return None if isinstance(self._rows, slice) else len(self._rows)

    def _intact(self, tensor: int) -> Array:
        array = self.trace[tensor]
        if isinstance(self._rows, slice):
            return array
        is_ours = isinstance(array, np.ndarray)
        return array[self._rows] if is_ours else keras.ops.take(array, self._rows, 0)

    def _value(self, tensor: int) -> Array:
        """Return what a tensor is under the lesion, whole."""
        signal = self._changed.get(tensor)
        if signal is None:
            return self._intact(tensor)
        return _filled_in(self._intact(tensor), signal) if isinstance(signal, Few) else signal

    def _hand_on(self, step: Step, signals: Sequence[Signal], is_alone: bool) -> list[Signal]:
        """Return the signals that come out of a step."""
        if all(each is None for each in signals):
            return [None] * len(step.outputs)
        rule, (first, *_) = step.rule, signals
        out: Signal = None
        if rule is None or self.trace.masked.intersection(step.inputs):
            pass
        elif isinstance(rule, Linear):
            out = self._weighed(step, rule, is_alone)
        elif isinstance(rule, Merge):
            out = self._merged(step, rule, signals)
        elif isinstance(rule, Concatenate):
            out = self._side_by_side(step, rule, signals)
        elif isinstance(rule, Elementwise):
            out = self._by_element(step, rule)
        elif isinstance(first, Few):
            both = (*step.inputs, *step.outputs) if isinstance(rule, Reshape) else ()
            out = rule.few(first, *(self.trace.shapes[each] for each in both))
        if out is None:
            return _in_full(step, [self._value(each) for each in step.inputs])
        return [out]

    def _by_element(self, step: Step, rule: Elementwise) -> Signal:
        (tensor,) = step.inputs
        signal = self._changed[tensor]
        array = signal.values if isinstance(signal, Few) else signal
        if rule.is_relu and isinstance(array, np.ndarray):
            # Other steps may hand on what they take in as it is, for others to read.
            maker = self.program.steps[self.program.producers[tensor]].rule
            is_ours = isinstance(maker, Linear) and self.program.n_uses[tensor] == 1
            is_ours = is_ours and not isinstance(signal, Few) and array.flags.writeable
            result = np.maximum(array, 0, out=array if is_ours else None)
        else:
            result = rules.like(array, rule.call(array))
        return replace(signal, values=result) if isinstance(signal, Few) else result

    def _merged(self, step: Step, rule: Merge, signals: Sequence[Signal]) -> Few | None:
        """Merge the channels that changed in any of several tensors; None if one changed whole."""
        few = [each for each in signals if isinstance(each, Few)]
        if len(few) < sum(each is not None for each in signals):
            return None
        axis = few[0].axis
        shapes = [self.trace.shapes[each] for each in step.inputs]
        alike = {(len(shape), *shape[axis : axis + 1]) for shape in shapes}
        if len(alike) > 1 or any(each.axis != axis for each in few):
            return None
        channels = few[0].channels
        if any(each.channels is not channels for each in few):
            if is_tracing():
                return None
            channels = np.unique(np.concatenate([each.channels for each in few]))
        values = [
            self._at(tensor, signal, axis, channels)
            for tensor, signal in zip(step.inputs, signals, strict=True)
        ]
        size = min(sum(each.size for each in few), shapes[0][axis])
        return Few(axis, channels, rules.like(values[0], rule.call(*values)), size)

    def _at(self, tensor: int, few: Few | None, axis: int, channels: Channels) -> Array:
        """Return some channels of a tensor of which a few, all among them, changed."""
        if few is None:
            return self._some(tensor, channels, axis)
        if few.channels is channels or len(few.channels) == len(channels):
            return few.values
        here = np.searchsorted(channels, few.channels)
        intact = self._some(tensor, channels, axis)
        return _filled_in(intact, replace(few, channels=here))

    def _side_by_side(self, step: Step, rule: Concatenate, signals: Sequence[Signal]) -> Few | None:
        """Concatenate what changed; None if it lies on another axis."""
        start, size, channels, values = 0, 0, [], []
        for tensor, signal in zip(step.inputs, signals, strict=True):
            shape = self.trace.shapes[tensor]
            axis = rule.axis % len(shape)
            if isinstance(signal, Few) and is_tracing() and not _are_known(signal.channels):
                signal = self._value(tensor)  # More channels, but which is known.
            if isinstance(signal, Few):
                if signal.axis != axis:
                    return None
                channels.append(start + signal.channels)
                values.append(signal.values)
                size += signal.size
            elif signal is not None:
                channels.append(start + np.arange(shape[axis]))
                values.append(signal)
                size += shape[axis]
            start += shape[axis]
        if len(values) == 1:
            return Few(axis, channels[0], values[0], size)
        if any(each.shape[0] != 1 for each in values):
            n = keras.ops.shape(self._intact(step.inputs[0]))[0]
            values = [_for_all(each, n) for each in values]
        return Few(axis, np.concatenate(channels), keras.ops.concatenate(values, axis), size)

    def _weighed(self, step: Step, rule: Linear, is_alone: bool) -> Array:
        """Return the pre-activations of a layer of units that takes in a change."""
        (tensor,), (out,) = step.inputs, step.outputs
        signal = self._changed[tensor]
        axis = rules.channel_axis(step.operation) % len(self.trace.shapes[tensor])
        is_whole = rule.is_depthwise or not rule.adds_up
        if not isinstance(signal, Few) or signal.axis != axis or is_whole:
            return _in_full(step, [self._value(tensor)], self._space(out))[0]
        if not rule.is_convolution and axis == 1 and not is_tracing():
            signal = replace(signal, values=rules.in_numpy(signal.values))
        if 2 * signal.size <= rule.n_inputs:
            corrected = self._corrected(rule, tensor, out, signal, is_alone)
            if corrected is not None:
                return corrected
        elif is_tracing() or len(signal.values) > 1:
            return _in_full(step, [self._value(tensor)], self._space(out))[0]
        return self._added_up(rule, tensor, out, signal)

    def _corrected(
        self, rule: Linear, tensor: int, out: int, signal: Few, is_alone: bool
    ) -> Array | None:
        """Return intact pre-activations less what few inputs no longer add; None if they cancel."""
        if out in self.trace.uneven:
            return None
        rows, old = self._rows, self._features(tensor, signal)
        gone = old if _is_nothing(signal.values) else old - signal.values
        is_alone = is_alone and set(self._changed) == {tensor} and not self.trace.masked
        is_alone = is_alone and self.program.n_uses[tensor] == 1 and SHAPES_ARE_FREE
        is_alone = is_alone and self.trace.has_rows_of_images
        if is_alone and isinstance(self._rows, slice) and isinstance(gone, np.ndarray):
            # A lesion changes no images for which its units say what they say anyway.
            active = np.flatnonzero((gone != 0).any(axis=1))
            if len(active) < _WORTH_PICKING * len(gone):
                self._rows, gone = active, gone[active]
        contribution = rule.contribution(gone, signal.channels, self._space(out))
        intact = self._intact(out)
        if isinstance(contribution, np.ndarray):
            corrected = np.subtract(intact, contribution, out=contribution)
        else:
            corrected = intact - contribution
        axis = rules.channel_axis(rule.layer) % len(self.trace.shapes[out])
        if is_tracing():
            before = self.trace.norms(out), self.trace.channel_norms(out, axis)
            self._are_exact.append(_is_much_left(corrected, axis, *before))
            return corrected
        of_images = self.trace.norms(out)[self._rows]
        is_exact = (norms(corrected) >= _CANCELLED * of_images) & np.isfinite(of_images)
        if is_exact.all():
            if isinstance(gone, np.ndarray):
                if self._sharpened(rule, tensor, signal, gone, corrected):
                    return corrected
            elif (
                _channel_norms(corrected, axis) >= _CANCELLED * self.trace.channel_norms(out, axis)
            ).all():
                return corrected
        self._rows = rows
        return None

    def _sharpened(
        self,
        rule: Linear,
        tensor: int,
        signal: Few,
        gone: npt.NDArray[np.float32],
        corrected: npt.NDArray[np.float32],
    ) -> bool:
        """Add up anew the neurons of a dense layer of which hardly anything is left.

        In place, if they are not most of them; returns whether it was.
        """
        (kernel,) = rule.kernels
        some = slice(None, None, max(len(gone) // _SAMPLED, 1))
        most = np.outer(norms(gone[some]), np.sqrt(np.square(kernel[signal.channels]).sum(axis=0)))
        left = np.abs(corrected[some])
        n_faint = (left < _FAINT * most).sum(axis=0)
        is_nothing = (left < _NOTHING * most).any(axis=0)
        faint = np.flatnonzero((n_faint > _FAINT_BY_CHANCE * len(left)) | is_nothing)
        if 2 * len(faint) > corrected.shape[1]:
            return False
        if len(faint):
            others = kernel[:, faint]
            others[signal.channels] = 0
            exact = rules.in_numpy(self._intact(tensor)) @ others
            if not _is_nothing(signal.values):
                values = signal.values if len(signal.values) == 1 else signal.values[self._rows]
                exact += values @ kernel[np.ix_(signal.channels, faint)]
            corrected[:, faint] = exact if rule.bias is None else exact + rule.bias[faint]
        return True

    def _added_up(self, rule: Linear, tensor: int, out: int, signal: Few) -> Array:
        """Return pre-activations, added up of what the other inputs and the few now add."""
        others = np.setdiff1d(np.arange(rule.n_inputs), signal.channels)
        intact = self._intact(out)
        total = rule.contribution(signal.values, signal.channels)
        if others.size:
            rest = self._features(tensor, replace(signal, channels=others))
            rest = rule.contribution(rest, others, self._space(out))
            total = rest if _is_nothing(signal.values) else rest + total
        total = _biased(rule, total)
        if len(total) < len(intact):
            total = rules.like(intact, keras.ops.repeat(total, len(intact), 0))
        return total

    def _features(self, tensor: int, signal: Few) -> Array:
        """Return the intact values of a signal's channels."""
        if isinstance(signal.values, np.ndarray):
            return self.trace.features(tensor, signal.channels).T[self._rows]
        return self._some(tensor, signal.channels, signal.axis)

    def _some(self, tensor: int, channels: Channels, axis: int) -> Array:
        """Return some channels of an intact tensor."""
        if tensor in self.trace.apart:
            maps = rules.taken(self.trace.apart[tensor], channels, 1)
            return keras.ops.moveaxis(maps, 1, axis)
        return rules.taken(self._intact(tensor), channels, axis)

    def _space(self, tensor: int) -> npt.NDArray[np.float32] | None:
        """Return where the pre-activations of a dense layer are written; None for others."""
        intact = self._intact(tensor)
        if not isinstance(intact, np.ndarray):
            return None
        whole = self._workspace.get(tensor)
        if whole is None or len(whole) < len(intact):
            whole = self._workspace[tensor] = np.empty_like(self.trace[tensor])
        return whole[: len(intact)]

    def _silenced(self, step: Step, signal: Signal, lesioned: Channels, index: int) -> Signal:
        """Return pre-activations with those of lesioned units set to zero."""
        given = self.trace.given.get(index, _NONE)
        shape = self.trace.shapes[step.outputs[0]]
        axis = step.unit_axis % len(shape)
        dead = np.union1d(lesioned, given) if len(given) else lesioned
        if signal is None:
            intact = self._intact(step.outputs[0])
            nothing = np.zeros((1, *shape[1:]), np.float32)
            zeros = rules.taken(nothing, lesioned, axis)
            if not isinstance(intact, np.ndarray):
                zeros = keras.ops.cast(keras.ops.convert_to_tensor(zeros), intact.dtype)
            return Few(axis, lesioned, zeros, self._size(lesioned, shape[axis]))
        if is_tracing() or not isinstance(signal, Few):
            whole = signal
            if isinstance(signal, Few):
                whole = _filled_in(self._intact(step.outputs[0]), signal)
            return silenced(whole, dead, axis)
        channels = np.union1d(signal.channels, dead)
        values = self._at(step.outputs[0], signal, axis, channels)
        values = silenced(values, np.searchsorted(channels, dead), axis)
        return Few(axis, channels, values, len(channels))

    def _size(self, channels: Channels, width: int) -> int:
        """Return how many channels there are, or the most there can be where that is not known."""
        if _are_known(channels):
            return len(channels)
        return width if self._are_most else width // 2


def norms(array: Array) -> npt.NDArray[np.float32]:
    """Return the Euclidean norm of each image's values."""
    if not (ON_PROCESSOR or isinstance(array, np.ndarray)):
        return rules.in_numpy(_norms(array))  # They need not leave the accelerator whole.
    values = rules.in_numpy(array)
    flat = values.reshape(len(values), math.prod(values.shape[1:]))
    return np.asarray(np.sqrt(np.vecdot(flat, flat)))


def _in_full(
    step: Step, values: list[Array], out: npt.NDArray[np.float32] | None = None
) -> list[Array]:
    """Run a step: a dense layer behind flat inputs in NumPy, whose BLAS is the fastest.

    While a graph is written down, by the operations alone: Keras's layers take long to call.
    """
    rule = step.rule
    if isinstance(rule, BatchNorm) and is_tracing() and mask_of(values[0]) is None:
        return [rule.whole(values[0])]
    if not isinstance(rule, Linear) or mask_of(values[0]) is not None:
        return list(step.call(values))
    if not rule.is_convolution and len(values[0].shape) == 2 and not is_tracing():
        product = np.matmul(rules.in_numpy(values[0]), rule.kernels[0], out=out)
        if rule.bias is not None:
            product += rule.bias
        return [product]
    if rule.is_depthwise:
        return [_biased(rule, rule.depthwise(values[0]))]
    is_quick = is_tracing() and rule.is_plain and rule.adds_up
    if is_quick or getattr(step.operation, "groups", 1) > 1:  # Which Keras compiles in each call.
        return [_biased(rule, rule.contribution(values[0], np.arange(rule.n_inputs)))]
    return list(step.call(values))


def _biased(rule: Linear, preactivations: Array) -> Array:
    """Return pre-activations with the bias added."""
    if rule.bias is None:
        return preactivations
    rank = len(preactivations.shape)
    return preactivations + rules.along(rule.bias, rules.channel_axis(rule.layer) % rank, rank)


def _filled_in(intact: Array, few: Few) -> Array:
    """Return an intact tensor with the new values of some channels."""
    if isinstance(intact, np.ndarray):
        filled = intact.copy()
        np.moveaxis(filled, few.axis, 0)[few.channels] = np.moveaxis(
            rules.in_numpy(few.values), few.axis, 0
        )
        return filled
    width = intact.shape[few.axis]
    if not _are_known(few.channels):
        return _filled_in_graph(intact, few)
    if is_tracing() and mask_of(intact) is None:
        return _put_between(intact, few)
    is_new, source = np.zeros(width, bool), np.zeros(width, np.intp)
    is_new[few.channels], source[few.channels] = True, np.arange(len(few.channels))
    new = keras.ops.take(few.values, source, few.axis)
    is_new = rules.along(is_new, few.axis, intact.ndim)
    return with_mask_of(intact, keras.ops.where(is_new, new, intact))


def _filled_in_graph(intact: Array, few: Few) -> Array:
    """Return the same where channels have no values yet."""
    places = rules.one_hot(few.channels, intact.shape[few.axis])
    is_new = rules.along(keras.ops.max(places, axis=0) > 0.5, few.axis, len(intact.shape))
    new = keras.ops.matmul(keras.ops.moveaxis(few.values, few.axis, -1), places)
    return keras.ops.where(is_new, keras.ops.moveaxis(new, -1, few.axis), intact)


def _put_between(intact: Array, few: Few) -> Array:
    """Return the same where known channels lie together: they are put between the others."""
    values = _for_all(few.values, keras.ops.shape(intact)[0])
    before = (slice(None),) * few.axis
    starts = np.flatnonzero(np.diff(few.channels, prepend=-2) != 1)
    parts, behind = [], 0
    for start, stop in zip(starts, [*starts[1:], len(few.channels)], strict=True):
        first = int(few.channels[start])
        parts += [intact[(*before, slice(behind, first))], values[(*before, slice(start, stop))]]
        behind = first + int(stop - start)
    parts.append(intact[(*before, slice(behind, None))])
    filled = [part for part in parts if part.shape[few.axis]]
    return filled[0] if len(filled) == 1 else keras.ops.concatenate(filled, few.axis)


def _for_all(values: Array, n_images: Any) -> Array:
    """Return values that are the same for all images once for each."""
    if values.shape[0] != 1:
        return values
    return keras.ops.broadcast_to(values, (n_images, *keras.ops.shape(values)[1:]))


def _are_known(channels: Channels) -> bool:
    return isinstance(channels, np.ndarray)


def _norms(array: Array) -> Array:
    """Return what `norms` does, of a tensor without values."""
    flat = keras.ops.reshape(array, (-1, math.prod(array.shape[1:])))
    squares = keras.ops.matmul(flat[:, None, :], flat[:, :, None])
    return keras.ops.sqrt(squares[:, 0, 0])


def _channel_norms(array: Array, axis: int) -> npt.NDArray[np.float32]:
    """Return the Euclidean norm of each channel's values, over images and places."""
    values = np.moveaxis(rules.in_numpy(array), axis, -1)
    flat = values.reshape(-1, values.shape[-1])
    return np.asarray(np.sqrt(np.einsum("ic,ic->c", flat, flat)))


def _is_much_left(corrected: Array, axis: int, of_images: Array, of_channels: Array) -> Array:
    """Whether no image's and no channel's values cancelled.

    The norm of an image's values in the middle is a lower bound, and so is that of a channel's.
    """
    n_rows = corrected.shape[1]
    some = n_rows if axis == 1 else -(-n_rows // _EACH)
    first = (n_rows - some) // 2
    part = keras.ops.square(corrected[:, first : first + some])
    left = keras.ops.sum(part, axis=tuple(range(1, len(part.shape))))
    by_channel = keras.ops.sum(part, axis=tuple({*range(len(part.shape))} - {axis}))
    # An infinite norm has nothing that is larger.
    is_left = (left >= keras.ops.square(_CANCELLED * of_images)) & (left < np.inf)
    is_left_of_channels = by_channel >= keras.ops.square(_CANCELLED * of_channels)
    return keras.ops.all(is_left) & keras.ops.all(is_left_of_channels)


def _is_nothing(values: Array) -> bool:
    """Whether values are zero for all images, and so add nothing."""
    return not is_tracing() and len(values) == 1 and not rules.in_numpy(values).any()
