"""A Keras model as a program: its operations in order, each with what it takes in and puts out.

The one room that walks a model's layers. A functional or sequential model is read from the history
of its symbolic tensors, models inside it included. A layer of units with an activation function
becomes two steps, because lesions act between them.
"""

import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence, Set
from dataclasses import dataclass, fields, replace
from functools import cached_property, partial
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from helpers.backend import keras
from helpers.forward import rules
from helpers.forward.rules import Array, Depthwise, Elementwise, Linear, Merge, Rule

from keras.src.models.functional import Functional  # isort: skip  (after Keras's start)

Inputs = tuple[npt.NDArray[Any], ...]
"""One array per input of a model, images first."""

_TOLERANCE = 1e-4
_ROUGHLY = 0.05

Lesion = Mapping[int, npt.NDArray[np.intp]]
"""Units by step."""


@dataclass(frozen=True, eq=False)
class Step:
    """One operation at one place of a model.

    Attributes
    ----------
    name : str
        The layer's or operation's; of a layer in a model inside the model, ``outer/inner``.
    operation : keras.Operation
        The layer, or the function of `keras.ops`.
    inputs, outputs : tuple of int
        Which tensors of the program it takes in and puts out.
    call : callable
        Turns a list of tensors into a list of tensors, as the model does in inference.
    rule : Rule or None
        How a change of a few channels travels through it; None if it is called.
    n_units : int
        How many units' pre-activations it puts out; 0 if it is no layer of units.
    others : tuple
        What it is called with besides tensors of the program, such as an array.
    """

    name: str
    operation: keras.Operation
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    call: Callable[[Sequence[Array]], list[Array]]
    rule: Rule | None
    n_units: int = 0
    others: tuple[Any, ...] = ()

    @property
    def unit_axis(self) -> int:
        """The axis of the units in what a layer of units puts out: -1, or 1 for channels first."""
        return rules.channel_axis(self.operation)


@dataclass(frozen=True, eq=False)
class Program:
    """A model as steps.

    Attributes
    ----------
    name : str
        The model's.
    steps : tuple of Step
        In an order in which each finds its inputs.
    inputs, outputs : tuple of int
        The tensors that the model takes in and puts out.
    input_names : tuple of str
        Names of the model's input layers.
    shapes : tuple of tuple
        Of each tensor; None where it is open, as the number of images is.
    models : mapping of str to tuple of int
        What models inside the model put out, at each use.
    is_sequential : bool
        Whether the model is a `keras.Sequential`.
    is_rough : bool
        Whether some step that a lesion can reach may make a step of a rounding error: one in low
        precision, or one that is not known to be continuous.
    """

    name: str
    steps: tuple[Step, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    input_names: tuple[str, ...]
    shapes: tuple[tuple[int | None, ...], ...]
    models: Mapping[str, tuple[int, ...]]
    is_sequential: bool
    is_rough: bool

    @cached_property
    def has_rows_of_images(self) -> bool:
        """Whether, as far as shapes say it, images lie on the first axis of all tensors."""
        return all(shape[:1] == (None,) for shape in self.shapes)

    @cached_property
    def producers(self) -> dict[int, int]:
        """The step that puts out each tensor."""
        return {each: index for index, step in enumerate(self.steps) for each in step.outputs}

    @cached_property
    def first_names(self) -> dict[int, str]:
        """The name of each layer, by identity, where it is used first."""
        return {id(step.operation): step.name for step in reversed(self.steps)}

    @cached_property
    def layers(self) -> dict[str, list[int]]:
        """Names of the layers with units, in order, with the steps that they are used in.

        A layer that several models share is called as where it is used first.
        """
        found: dict[str, list[int]] = {}
        for index, step in enumerate(self.steps):
            if step.n_units:
                found.setdefault(self.first_names[id(step.operation)], []).append(index)
        return found

    def layer(self, name: str) -> str:
        """Return the full name of a layer with units.

        Parameters
        ----------
        name : str
            Its full name, or its own if no other layer is called so.

        Raises
        ------
        ValueError
            If there is no such layer, it has no units, or several are called so.
        """
        if name in self.layers:
            return name
        others = {step.name: step.operation for step in self.steps}
        why = "there is no layer {!r}"
        if name in others and (first := self.first_names[id(others[name])]) in self.layers:
            return first
        if name in others:
            why = f"no units in {{!r}} ({rules.why_without_units(others[name])})"
        return _full_name(name, list(self.layers), list(self.layers), why)

    def sites(self, name: str) -> list[int]:
        """Return the steps that a layer's units are lesioned in: all uses of it, by any name.

        Raises
        ------
        ValueError
            As `layer`.
        """
        index = self.layers[self.layer(name)][0]
        operation = self.steps[index].operation
        return [
            index
            for index, step in enumerate(self.steps)
            if step.operation is operation and step.n_units
        ]

    def order(self, name: str) -> int:
        """Return the position of a layer with units among them.

        Raises
        ------
        ValueError
            As `layer`.
        """
        return list(self.layers).index(self.layer(name))

    def leads_to(self, first: str, second: str) -> bool:
        """Whether there is a path from one layer with units to another one.

        Raises
        ------
        ValueError
            As `layer`.
        """
        sites = self.sites(first)
        changed = {each for site in sites for each in self.steps[site].outputs}
        for step in self.steps[min(sites) + 1 :]:
            if changed.intersection(step.inputs):
                changed.update(step.outputs)
        aims = {each for site in self.sites(second) for each in self.steps[site].inputs}
        return bool(changed & aims)

    def tensor(self, name: str) -> int:
        """Return the tensor that a layer, with or without units, puts out.

        Raises
        ------
        ValueError
            If there is no such layer, several are called so, or it is used more than once.
        """
        produced: dict[str, list[int]] = {
            name: [index] for name, index in zip(self.input_names, self.inputs, strict=True)
        }
        for step in self.steps:
            outputs = produced.setdefault(step.name, [])
            if rules.has_units(step.operation) and not step.n_units:
                outputs.remove(step.inputs[0])  # What it activates, which is no output.
            outputs.append(step.outputs[0])
        produced |= {name: list(outputs) for name, outputs in self.models.items()}
        # A sequential model's input is no layer of it.
        listed = list(produced)[len(self.inputs) if self.is_sequential else 0 :]
        full = _full_name(name, list(produced), listed, "no layer {!r}")
        if len(produced[full]) > 1:
            raise ValueError(
                f"layer: {name!r} is used {len(produced[full])} times, so it has several outputs"
            )
        return produced[full][0]

    def layers_behind(self, tensors: Sequence[int]) -> set[str]:
        """Return the layers with units that tensors come from without another one in between.

        A depthwise convolution, which weighs each channel by itself, does not count. A layer that
        weighs channels, but has no units that can be lesioned, is in between, too.
        """
        found, wanted = set(), set(tensors)
        for step in reversed(self.steps):
            if not wanted.intersection(step.outputs):
                continue
            if step.n_units and not isinstance(step.rule, Depthwise):
                found.add(self.first_names[id(step.operation)])
            elif not self._weighs(step):
                wanted.update(step.inputs)
        return found

    def _weighs(self, step: Step) -> bool:
        """Whether a step has weights that make other channels: no scale, as of a normalisation."""
        if step.rule is not None or not _variables(step):
            return False
        widths = {self.shapes[each][-1:] for each in (*step.inputs, *step.outputs)}
        return len(widths) > 1 or isinstance(step.operation, _WEIGHING)

    def inputs_of(self, tensor: int) -> list[str]:
        """Return the names of the model's inputs that a tensor comes from, in their order."""
        needed = {each for index in self.needed([tensor]) for each in self.steps[index].inputs}
        return [
            name
            for name, each in zip(self.input_names, self.inputs, strict=True)
            if each in needed or each == tensor
        ]

    def values(
        self, images: Inputs, wanted: Sequence[int], lesion: Lesion | None = None
    ) -> list[Array]:
        """Return some tensors by calling the model's own layers, one after the other.

        Parameters
        ----------
        images : tuple of array
            One per input.
        wanted : sequence of int
            Which tensors.
        lesion : mapping of int to ndarray of int, optional
            Units by step whose pre-activations are set to zero, as if the weights into them were.

        Returns
        -------
        list of array
            No rounding in them is ours.
        """
        return self.values_from(dict(zip(self.inputs, images, strict=True)), wanted, lesion)

    def values_from(
        self, tensors: Mapping[int, Array], wanted: Sequence[int], lesion: Lesion | None = None
    ) -> list[Array]:
        """Return the same where some tensors are known: what they come from is not run again."""
        known = dict(tensors)
        needed = self.needed(wanted, known)
        last_use = {each: index for index in needed for each in self.steps[index].inputs}
        for index in needed:
            step = self.steps[index]
            outputs = step.call([known[each] for each in step.inputs])
            if lesion and index in lesion:
                outputs[0] = silenced(outputs[0], lesion[index], step.unit_axis)
            known.update(zip(step.outputs, outputs, strict=True))
            for each in set(step.inputs):
                if last_use[each] == index and each not in wanted:
                    del known[each]
        return [known[each] for each in wanted]

    def needed(self, wanted: Sequence[int], known: Collection[int] = ()) -> list[int]:
        """Return the steps, in order, that some tensors come from, and known ones do not."""
        tensors, found = set(wanted).difference(known), []
        for index in reversed(range(len(self.steps))):
            step = self.steps[index]
            if tensors.intersection(step.outputs):
                tensors.update(set(step.inputs).difference(known))
                found.append(index)
        return found[::-1]


@dataclass(frozen=True, eq=False)
class Classifier(Program):
    """A program whose only output are scores of classes.

    Attributes
    ----------
    scores : int
        The tensor that ranks the classes as the outputs do: what a final softmax or a single
        sigmoid takes in.
    n_classes : int
        As many as outputs; two if a sigmoid is the only one.
    """

    scores: int
    n_classes: int

    @cached_property
    def path(self) -> list[int]:
        """The steps that the scores come from, in order."""
        return self.needed([self.scores])

    def before(self, index: int) -> set[int]:
        """Return the tensors that are there before a step, and that scores come from behind it."""
        steps = [self.steps[each] for each in self.path if each >= index]
        taken_in = {self.scores}.union(*(step.inputs for step in steps))
        return taken_in.difference(*(step.outputs for step in steps))

    @cached_property
    def n_uses(self) -> Counter[int]:
        """How often the steps on the path take in each tensor."""
        return Counter(each for index in self.path for each in self.steps[index].inputs)

    @cached_property
    def last_use(self) -> dict[int, int]:
        """The last step on the path that takes in each tensor."""
        return {each: index for index in self.path for each in self.steps[index].inputs}

    @cached_property
    def kept(self) -> set[int]:
        """The tensors that a lesion may start from: all but those between channelwise steps."""
        kept = {*self.inputs, self.scores}
        for step in self.steps:
            if step.rule is None or isinstance(step.rule, Linear | Merge):
                kept.update(step.inputs)
            if step.n_units:
                kept.update(step.outputs)
        return kept

    def read_as_maps(self, lesioned: Set[int]) -> set[int]:
        """Return tensors of which convolutions may read a few maps, if some steps are lesioned.

        Only those whose maps are on the last axis.
        """
        changed, found = set[int](), set[int]()
        for index in self.path:
            step = self.steps[index]
            few = changed.intersection(step.inputs)
            if isinstance(step.rule, Linear) and not step.rule.is_depthwise:
                if step.rule.is_convolution and step.unit_axis == -1:
                    found |= few
                few = set()  # What it puts out changes in all maps.
            if few or index in lesioned:
                changed.update(step.outputs)
        return found & self.kept


def read(model: keras.Model) -> Program:
    """Read a model as a program.

    Parameters
    ----------
    model : keras.Model
        Sequential or functional, and built.

    Returns
    -------
    Program
        Weights that change later may or may not be seen.

    Raises
    ------
    ValueError
        If the model has no graph, or a `call` of its own; says what to do then. If something else
        has a variable of a layer of units, so that a lesion of one would be one of both. On
        TensorFlow, if tensors are added whose shapes differ so that Keras gets it wrong for some
        numbers of images, such as one number for each to several.
    """
    check_model(model)
    core = _core(model)
    if core is None:
        raise ValueError(
            f"model: {model.name!r} ({type(model).__name__}) is not built, or no Sequential or "
            "functional model, or has a method `call` of its own, so what it does cannot be read "
            "off its layers"
        )
    reader = _Reader()
    inputs = [reader.new(each) for each in core.inputs]
    outputs = reader.inline(core, inputs, "")
    names = tuple(str(each._keras_history.operation.name) for each in core.inputs)
    _check_unshared(model, reader.steps)
    return Program(
        name=str(model.name),
        steps=tuple(reader.steps),
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        input_names=names,
        shapes=tuple(reader.shapes),
        models=reader.models,
        is_sequential=core is not model,
        is_rough=bool(reader.rough & _behind_units(reader.steps)),
    )


_WEIGHING = (keras.layers.EinsumDense, keras.layers.RNN, keras.layers.Wrapper)
"""Layers that weigh channels, and have no units that can be lesioned."""


def _variables(step: Step) -> list[Any]:
    """Return the variables of a layer, and of layers within it; a function has none."""
    return list(getattr(step.operation, "variables", ()))


def _check_unshared(model: keras.Model, steps: Sequence[Step]) -> None:
    owners: dict[int, Step] = {}
    # What has units comes first: only their variables must not be anywhere else.
    for step in sorted(steps, key=lambda each: not each.n_units):
        for variable in _variables(step):
            owner = owners.setdefault(id(variable), step)
            if owner.n_units and owner.operation is not step.operation:
                raise ValueError(
                    f"model: layers {owner.name!r} and {step.name!r} of {model.name!r} share the "
                    f"variable {variable.name!r}, so that neither can be lesioned alone"
                )


def read_classifier(model: keras.Model) -> Classifier:
    """Read a classifier as a program.

    Parameters
    ----------
    model : keras.Model
        As for `read`, with one output: a score for each class, or the sigmoid of class 1.

    Returns
    -------
    Classifier

    Raises
    ------
    ValueError
        As `read`, or if the outputs are something else.
    """
    for method in ("predict_step", "predict"):
        if getattr(type(model), method) is not getattr(keras.Model, method):
            raise ValueError(
                f"model: {model.name!r} has a {method} of its own, whose changes to images or "
                "outputs are not known here; accepted are models that predict what they return"
            )
    program = read(model)
    if len(program.outputs) != 1:
        raise ValueError(
            f"model: {model.name!r} has {len(program.outputs)} outputs; choose one of them with "
            "keras.Model(model.inputs, model.outputs[0])"
        )
    (output,) = program.outputs
    shape = program.shapes[output]
    if len(shape) != 2 or shape[1] is None:
        raise ValueError(
            f"model: {model.name!r} puts out arrays of shape {shape}; accepted are scores of shape "
            "(images, classes)"
        )
    scores = softmaxed(program, output) if shape[1] > 1 else _before_sigmoid(program, output)
    if scores is None:
        raise ValueError(
            f"model: {model.name!r} has a single score that is no sigmoid; accepted are the "
            "sigmoid of a Dense layer or an Activation, the probability of class 1, or one score "
            "per class"
        )
    classifier = Classifier(
        **{each.name: getattr(program, each.name) for each in fields(program)},
        scores=scores,
        n_classes=max(shape[1], 2),
    )
    if program.is_rough:
        # A rounding error may make another class: no arithmetic but the model's own, and its
        # outputs, which tie where low precision leaves no difference.
        steps = tuple(replace(step, rule=None) for step in program.steps)
        return replace(classifier, steps=steps, scores=output)
    return _pooled_first(classifier)


def _pooled_first(program: Classifier) -> Classifier:
    """Return a program that takes maxima over positions before they are rectified.

    The two commute exactly, and pooled maps are a quarter of the size.
    """
    steps, shapes = list(program.steps), list(program.shapes)
    readers: dict[int, list[int]] = {}
    for index, step in enumerate(steps):
        for each in step.inputs:
            readers.setdefault(each, []).append(index)
    for index, step in enumerate(steps):
        behind = readers.get(step.outputs[0], [])
        is_relu = isinstance(step.rule, Elementwise) and step.rule.is_relu
        if is_relu and len(behind) == 1 and step.outputs[0] not in program.outputs:
            pool = steps[behind[0]]
            if rules.takes_maxima(pool.operation):
                steps[index] = replace(pool, inputs=step.inputs, outputs=step.outputs)
                steps[behind[0]] = replace(step, inputs=pool.inputs, outputs=pool.outputs)
                shapes[step.outputs[0]] = shapes[pool.outputs[0]]
    return replace(program, steps=tuple(steps), shapes=tuple(shapes))


def check_model(model: Any) -> None:
    """Refuse what is no Keras model.

    Raises
    ------
    ValueError
        If it is none; a path of one neither.
    """
    if not isinstance(model, keras.Model):
        raise ValueError(f"model: {type(model).__name__} was given; accepted is a keras.Model")


def check_intact(model: keras.Model, program: Classifier, images: Inputs) -> Array:
    """Compare what a program makes of images with what its model does: the guard of all lesions.

    Returns
    -------
    array
        What the model does.

    Raises
    ------
    ValueError
        If the model does not take the images, such as words beyond an embedding's; if they differ
        by more than single precision explains. Steps are the model's own layers, so it is the model
        itself that does something else than these.
    """
    try:
        theirs = _called(model, images)
    except Exception as error:
        raise ValueError(f"x: {model.name!r} does not take it: {_reason(error)}") from error
    (ours,) = program.values(images, program.outputs)
    if not is_close(ours, theirs):
        raise ValueError(
            f"model: {model.name!r} does something else than its layers do one after the other, so "
            "lesions of it cannot be computed"
        )
    return theirs


def check_apart(model: keras.Model, program: Classifier, images: Inputs, together: Array) -> None:
    """See that a model makes the same of images whatever others are beside them.

    Parameters
    ----------
    model, program, images
        As for `check_intact`.
    together : array
        What it returns.

    Raises
    ------
    ValueError
        If it does not, as a mean over the batch would: there is no prediction for an image then.
    """
    some = -(-len(images[0]) // 2)
    apart = _called(model, tuple(each[:some] for each in images))
    if not is_close(apart, together[:some], _ROUGHLY if program.is_rough else _TOLERANCE):
        raise ValueError(
            f"model: what {model.name!r} makes of an image depends on the images beside it, so "
            "that its predictions are not its own"
        )


def check_copy(model: keras.Model, copy: keras.Model, images: Inputs) -> None:
    """See that a copy of a model, saved and loaded, does what the model does.

    Raises
    ------
    ValueError
        If it does not, as where a layer keeps something that it does not save.
    """
    if not is_close(_called(copy, images), _called(model, images)):
        raise ValueError(
            f"executor: {model.name!r} is another model once saved and loaded, as workers get it: "
            "a layer of it keeps something that is not saved"
        )


def _called(model: keras.Model, images: Inputs) -> Array:
    """Return what a model makes of images, in inference."""
    tensors = [keras.ops.convert_to_tensor(each) for each in images]
    given = keras.tree.pack_sequence_as(_structure(model), tensors)
    return keras.tree.flatten(model(given, training=False))[0]


def _reason(error: Exception) -> str:
    """Return what an error of Keras or its backend says, without traces of the machinery."""
    said, *_ = str(error).partition("Arguments received by")
    return " ".join(re.sub(r"\x1b\[\d*m|{{.*?}}|\[Op:.*?\]", "", said).split())


def _structure(model: keras.Model) -> Any:
    """Return the nesting of tensors that a model was made of: one, or a list or mapping of them."""
    return getattr(model, "_inputs_struct", model.inputs[0])


def is_close(ours: Array, theirs: Array, tolerance: float = _TOLERANCE) -> bool:
    """Whether arrays differ by a share of the largest at most: what single precision explains."""
    ours, theirs = (rules.in_numpy(keras.ops.cast(each, "float32")) for each in (ours, theirs))
    finite = np.abs(theirs[np.isfinite(theirs)])
    absolute = tolerance * max(float(finite.max(initial=0)), 1e-3)
    return bool(np.allclose(ours, theirs, tolerance, absolute, equal_nan=True))


def silenced(preactivations: Array, units: rules.Channels, axis: int) -> Array:
    """Return pre-activations with those of some units set to zero, whatever they were."""
    width, rank = preactivations.shape[axis], len(preactivations.shape)
    if isinstance(units, np.ndarray):
        alive = np.ones(width, dtype=bool)
        alive[units] = False
    else:
        alive = keras.ops.max(rules.one_hot(units, width), axis=0) < 0.5
    alive = rules.along(alive, axis, rank)
    if isinstance(preactivations, np.ndarray):
        return np.where(alive, preactivations, preactivations.dtype.type(0))
    zero = keras.ops.zeros((), preactivations.dtype)
    return with_mask_of(preactivations, keras.ops.where(alive, preactivations, zero))


def mask_of(tensor: Array) -> Any:
    """Return the mask that Keras's layers hand on with a tensor, or None."""
    return getattr(tensor, "_keras_mask", None)


def with_mask_of(given: Array, result: Array) -> Array:
    """Return a result with the mask of what it was made of."""
    if mask_of(given) is not None:
        result._keras_mask = mask_of(given)
    return result


class _Reader:
    """Collects the steps of a model, and of models inside it.

    Attributes
    ----------
    steps : list of Step
        So far.
    shapes : list of tuple
        Of all tensors so far.
    models : dict of str to tuple of int
        What models inside the model put out.
    rough : set of int
        Steps that may make a step of a rounding error: computations in low precision, and what is
        not known to be continuous.
    """

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.shapes: list[tuple[int | None, ...]] = []
        self.models: dict[str, tuple[int, ...]] = {}
        self.rough: set[int] = set()

    def new(self, symbolic: Any) -> int:
        """Return a new tensor, of the shape of a symbolic one."""
        self.shapes.append(tuple(symbolic.shape))
        return len(self.shapes) - 1

    def inline(self, core: Any, inputs: Sequence[int], prefix: str) -> list[int]:
        """Add the steps of a model that takes in some tensors; return what it puts out."""
        # Symbolic tensors are known by identity, and anew for each use of the model.
        index = {id(each): i for each, i in zip(core.inputs, inputs, strict=True)}
        for depth in sorted(core._nodes_by_depth, reverse=True):
            for node in core._nodes_by_depth[depth]:
                if not node.is_input and all(id(each) in index for each in node.input_tensors):
                    given = [index[id(each)] for each in node.input_tensors]
                    outputs = self._add(node, given, prefix)
                    index.update(zip(map(id, node.outputs), outputs, strict=True))
        return [index[id(each)] for each in core.outputs]

    def _add(self, node: Any, inputs: list[int], prefix: str) -> list[int]:
        operation = node.operation
        name = f"{prefix}{operation.name}"
        core = _core(operation)
        if core is not None and _fits(node, core):
            outputs = self.inline(core, inputs, f"{name}/")
            self.models[name] = (*self.models.get(name, ()), outputs[0])
            return outputs
        outputs = [self.new(each) for each in node.outputs]
        if rules.has_units(operation) and len(inputs) == 1:
            self._add_units(node, name, inputs, outputs)
            return outputs
        _check_broadcast(operation, [each.shape for each in node.input_tensors])
        call = partial(_call, operation, node)
        others = [each for each in _arguments(node) if not isinstance(each, keras.KerasTensor)]
        rule = rules.rule_of(operation, partial(_first, call), len(inputs), others)
        step = Step(
            name, operation, tuple(inputs), tuple(outputs), call, rule, others=tuple(others)
        )
        self._append(step, node, rules.is_smooth(operation))
        return outputs

    def _add_units(self, node: Any, name: str, inputs: list[int], outputs: list[int]) -> None:
        layer, activation = node.operation, node.operation.activation
        acts = activation is not None and activation is not keras.activations.linear
        between = [self.new(node.outputs[0])] if acts else outputs
        call = partial(_call, _without_activation(layer) if acts else layer, node)
        n_units = int(node.outputs[0].shape[rules.channel_axis(layer)])
        rule = rules.rule_of_units(layer)
        step = Step(name, layer, tuple(inputs), tuple(between), call, rule, n_units)
        self._append(step, node, is_smooth=True)
        if acts:
            acting = rules.rule_of_activation(activation)
            call = partial(_activate, activation)
            step = Step(name, layer, tuple(between), tuple(outputs), call, acting)
            self._append(step, node, activation is keras.activations.softmax)

    def _append(self, step: Step, node: Any, is_smooth: bool) -> None:
        """Add a step, and say whether it is known to be continuous, in single precision."""
        is_single = _in_single_precision(step.operation, node)
        if not is_single or (step.rule is None and not is_smooth):
            self.rough.add(len(self.steps))
        self.steps.append(step)


def _check_broadcast(operation: keras.Operation, shapes: Sequence[tuple[int | None, ...]]) -> None:
    """Refuse sums that Keras on TensorFlow gets wrong for some numbers of images.

    ``keras.ops.add`` (Keras 3.15) takes what it adds for a bias if all axes but one have length
    one: along the last axis of the other tensor if that is as long, or along the second. The one
    axis may be that of the images; or, of a single image, another one.
    """
    if type(operation).__name__ != "Add" or keras.backend.backend() != "tensorflow":
        return
    for first, second in pairwise(shapes):
        if len(first) != len(second) or all(size == 1 for size in first[1:]):
            continue
        own = [axis for axis, size in enumerate(second) if axis and size != 1]
        places = [axis for axis in (len(first) - 1, 1) if own and first[axis] == second[own[0]]]
        if not own or (len(own) == 1 and places and places[0] != own[0]):
            raise ValueError(
                f"model: {operation.name!r} adds a tensor of shape {second} to one of shape "
                f"{first}, which Keras on TensorFlow gets wrong for some numbers of images; make "
                "their shapes equal first, such as by keras.ops.repeat"
            )


def _core(operation: Any) -> Any:
    """Return the graph of a model that does what its graph says and nothing else, or None."""
    if "call" in vars(operation):
        return None
    call = getattr(type(operation), "call", None)
    if call is keras.Sequential.call:
        return operation._functional
    return operation if call is Functional.call and hasattr(operation, "_nodes_by_depth") else None


def _fits(node: Any, core: Any) -> bool:
    """Whether a model inside a model takes its inputs as they come."""
    args, kwargs = node.arguments.args, node.arguments.kwargs
    flat = keras.tree.flatten(args)
    return (
        len(args) == 1
        and isinstance(args[0], keras.KerasTensor | list | tuple)
        and all(kwargs[name] is None for name in kwargs if name != "training")
        and len(flat) == len(core.inputs)
        and all(
            isinstance(given, keras.KerasTensor)
            and given.dtype == taken.dtype
            and len(given.shape) == len(taken.shape)
            for given, taken in zip(flat, core.inputs, strict=True)
        )
    )


def _arguments(node: Any) -> list[Any]:
    """Return all arguments of a call, tensors and others."""
    return list(keras.tree.flatten((node.arguments.args, node.arguments.kwargs)))


def _call(operation: keras.Operation, node: Any, tensors: Sequence[Array]) -> list[Array]:
    """Call an operation as its model does in inference."""
    given = {id(each): tensor for each, tensor in zip(node.input_tensors, tensors, strict=True)}
    args, kwargs = node.arguments.fill_in(given)
    if "training" in getattr(operation, "_call_context_args", ()):
        kwargs["training"] = False
    return list(keras.tree.flatten(operation(*args, **kwargs)))


def _first(call: Callable[[Sequence[Array]], list[Array]], *tensors: Array) -> Array:
    return call(tensors)[0]


def _activate(activation: Callable[[Array], Array], tensors: Sequence[Array]) -> list[Array]:
    return [with_mask_of(tensors[0], activation(tensors[0]))]


def _without_activation(layer: keras.layers.Layer) -> keras.layers.Layer:
    """Return a layer that shares all with another, but hands on its pre-activations."""
    twin = object.__new__(type(layer))
    vars(twin).update(vars(layer), activation=keras.activations.linear)
    return twin


def _in_single_precision(operation: keras.Operation, node: Any) -> bool:
    """Whether an operation, and all within it, computes in float32, weights included."""
    within = operation._flatten_layers() if isinstance(operation, keras.layers.Layer) else ()
    return all(each.dtype == "float32" for each in node.outputs) and all(
        each.compute_dtype == "float32" and not each.quantization_mode for each in within
    )


def _behind_units(steps: Sequence[Step]) -> set[int]:
    """Return the steps that a lesion can reach, those of the units themselves included."""
    changed: set[int] = set()
    reached = set()
    for index, step in enumerate(steps):
        if step.n_units or changed.intersection(step.inputs):
            changed.update(step.outputs)
            reached.add(index)
    return reached


def softmaxed(program: Program, output: int) -> int:
    """Return the tensor that a final softmax takes in, or the output itself if there is none.

    The last of several: another makes ties of numbers that differ by more than rounding.
    """
    is_behind = False
    while output in program.producers:
        step = program.steps[program.producers[output]]
        is_softmax = not rules.is_silent(step.operation)
        if not _keeps_order(step) or (is_softmax and is_behind):
            break
        is_behind |= is_softmax
        (output,) = step.inputs
    return output


def _before_sigmoid(program: Program, output: int) -> int | None:
    """Return the tensor that a sigmoid, perhaps with dropout behind, takes in; None without one."""
    while output in program.producers:
        step = program.steps[program.producers[output]]
        if not rules.is_silent(step.operation):
            is_function = type(step.operation).__module__ == "keras.src.ops.nn"
            is_sigmoid = (
                _acts(step) and step.operation.activation is keras.activations.sigmoid
            ) or (is_function and type(step.operation).__name__ == "Sigmoid")
            return step.inputs[0] if is_sigmoid else None
        (output,) = step.inputs
    return None


def _keeps_order(step: Step) -> bool:
    """Whether the largest score that goes in is always the largest output."""
    operation = step.operation
    if "call" in vars(operation) or len(step.inputs) != 1:
        return False
    if type(operation) is keras.layers.Softmax:
        return operation.axis in (-1, 1)
    return rules.is_silent(operation) or (
        _acts(step) and operation.activation is keras.activations.softmax
    )


def _acts(step: Step) -> bool:
    """Whether a step applies an activation, and does nothing else."""
    is_half = rules.has_units(step.operation) and not step.n_units
    return type(step.operation) is keras.layers.Activation or is_half


def _full_name(name: str, names: Sequence[str], listed: Sequence[str], none: str) -> str:
    """Return the one of some full names that a name stands for, or list some in an error."""
    own = [each for each in names if each.rsplit("/", 1)[-1] == name]
    if name in names:
        return name
    if len(own) == 1:
        return own[0]
    problem = f"{name!r} may be any of {', '.join(own)}" if own else none.format(name)
    raise ValueError(f"layer: {problem}; accepted are {', '.join(listed)}")
