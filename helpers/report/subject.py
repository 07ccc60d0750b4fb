"""Which network is evaluated, and on what: models, files and functions become one thing."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import is_zipfile

import numpy as np
import numpy.typing as npt

from helpers import files, validation
from helpers.fingerprints import fingerprint

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from helpers.backend import keras
    from helpers.lesions.engine import Lesion

Function = Callable[[Sequence["Lesion"]], npt.ArrayLike]
"""Of lesions, ``{layer: units}``: which images are right, bool of shape (n_lesions, n_images)."""

_MANY_CLASSES, _MOST_PER_SEEN = 1000, 10
"""Of a function of lesions, whose images' classes tell how many there are: from so many on, no more
than so many for each that is seen, because ids are no classes."""

_INFINITE, _MOST_IMAGES = -1, 1_000_000
"""What the cardinality of a tf.data.Dataset is that repeats without an end, and up to how many
images are read of one that does not know its own."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A network on some images: what can be lesioned, and what is right then.

    Attributes
    ----------
    name : str
        The model's.
    layers : dict of str to int
        The hidden layers that can be lesioned, in order, and how many units each has.
    classes : ndarray of int, shape (n_images,)
        Of the images.
    n_classes : int
        How many classes the network tells apart.
    correct : callable
        From lesions to bool, shape (n_lesions, n_images).
    fingerprint : str
        Of the network and the images; of a function, of what it gets right, intact and without
        each of its layers.
    full_name : callable
        From a name of a layer to its full name; raises ValueError if there is none.
    ends : frozenset of str
        Inputs and outputs, whose units are not studied.
    model : keras.Model, optional
        The model, if it is one.
    images : tuple of ndarray
        Its inputs.
    """

    name: str
    layers: dict[str, int]
    classes: npt.NDArray[np.int64]
    n_classes: int
    correct: Callable[[Sequence["Lesion"]], npt.NDArray[np.bool_]]
    fingerprint: str
    full_name: Callable[[str], str]
    ends: frozenset[str] = frozenset()
    model: "keras.Model | None" = None
    images: tuple[npt.NDArray[Any], ...] = field(default=(), repr=False)


def subject_of(
    model: Any,
    x: Any,
    y: Any,
    layers: Mapping[str, int] | None = None,
    executor: "Executor | None" = None,
) -> Subject:
    """Return what `evaluate` evaluates.

    Parameters
    ----------
    model, x, y, layers, executor
        As for `evaluate`.

    Raises
    ------
    ValueError
        If the model is none of what is accepted, is no classifier that can be read, or does not
        fit the images; as `validation.check_x_y`.
    """
    if isinstance(model, str | Path):
        model = load(Path(model))
    if _is_keras(model):
        if layers is not None:
            raise ValueError("layers: given beside a Keras model, which knows its own")
        return _of_model(model, x, y, executor)
    if not callable(model):
        raise ValueError(
            f"model: {type(model).__name__} was given; accepted are a keras.Model, the path of a "
            ".keras file, and a function of lesions"
        )
    if executor is not None:
        raise ValueError("executor: a function of lesions decides by itself where it computes")
    return _of_function(model, y, layers)


def load(path: Path) -> "keras.Model":
    """Load a model from a .keras file, without executing anything that the file brings along.

    Raises
    ------
    ValueError
        If there is no such file, or Keras cannot or, for safety's sake, will not load it.
    """
    if path.suffix != ".keras":
        raise ValueError(f"model: {path} was given; accepted are .keras files (`model.save`)")
    if not path.is_file():
        raise ValueError(f"model: there is no file {path}")
    if not is_zipfile(path):
        raise ValueError(f"model: {path} is no .keras archive (`model.save`)")
    from helpers.backend import keras

    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Files from anywhere fail in any way.
        if "lambda" in str(error).lower():
            raise ValueError(
                f"model: {path} has a Lambda layer, which is code, and nothing is executed from a "
                "file; load it yourself if you trust it, and give the model"
            ) from None
        first = " ".join(str(error).split()).partition(". ")[0]
        raise ValueError(
            f"model: Keras cannot load {path} ({first[:200]}); if it has classes of your own, load "
            "it yourself (custom_objects of keras.models.load_model), and give the model"
        ) from None


def load_data(path: Path) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Read images and classes from an .npz file: x and y, or else x_test and y_test.

    Raises
    ------
    ValueError
        If there is no such file, or it does not hold these arrays.
    """
    if not path.is_file():
        raise ValueError(f"data: there is no file {path}")
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            raise ValueError("it holds a single array")
        with loaded as archive:
            for names in (("x", "y"), ("x_test", "y_test")):
                if set(names) <= set(archive):
                    return archive[names[0]], archive[names[1]]
            held = ", ".join(archive) or "nothing"
    except files.UNREADABLE as error:
        # NumPy would advise to load objects, which executes what the file brings along.
        why = "" if "pickle" in str(error) else f" ({error})"
        raise ValueError(f"data: {path} is no .npz file of plain arrays{why}") from None
    raise ValueError(f"data: {path} holds {held}; accepted are x and y, or x_test and y_test")


def _is_keras(model: Any) -> bool:
    """Whether this is a Keras model, without loading Keras where it is not."""
    return any(
        each.__name__ == "Model" and each.__module__.partition(".")[0] == "keras"
        for each in type(model).__mro__
    )


def _of_model(model: "keras.Model", x: Any, y: Any, executor: "Executor | None") -> Subject:
    from helpers import forward
    from helpers.lesions import engine

    program = forward.read_classifier(model)
    x, y = _unpacked(x, y, len(model.inputs[0].shape))
    images, classes = validation.check_x_y(model, x, y)
    outputs = program.layers_behind(program.outputs)
    layers = {
        name: program.steps[sites[0]].n_units
        for name, sites in program.layers.items()
        if name not in outputs
    }
    if not layers:
        raise ValueError(
            f"model: {model.name!r} has no hidden layer whose units can be lesioned "
            "(`helpers.check` says layer by layer why)"
        )
    validation.check_weights(model)
    return Subject(
        name=str(model.name),
        layers=layers,
        classes=classes,
        n_classes=validation.n_classes_of(model),
        correct=partial(engine.correct, model, list(images), classes, executor=executor)
        if len(images) > 1
        else partial(engine.correct, model, images[0], classes, executor=executor),
        fingerprint=fingerprint(*model.get_weights(), *images, classes),
        full_name=program.layer,
        ends=frozenset({*program.input_names, "+".join(program.input_names), *outputs}),
        model=model,
        images=images,
    )


def _of_function(function: Function, y: Any, layers: Mapping[str, int] | None) -> Subject:
    if not isinstance(layers, Mapping) or not layers:
        raise ValueError(
            "layers: a function of lesions needs the names of its layers and how many units each "
            f"has, as in {{'dense': 64}}; {layers!r} was given"
        )
    widths = {_name(layer): _width(layer, given) for layer, given in layers.items()}
    classes, n_classes = _classes_of(y)
    n_images = len(classes)

    def correct(lesions: Sequence["Lesion"]) -> npt.NDArray[np.bool_]:
        # Of their own, both: a function may sort what it is given, and use its array again.
        given = [{layer: np.array(units) for layer, units in each.items()} for each in lesions]
        right = np.array(validation.as_array("model", function(given)))
        if right.dtype != bool or right.shape != (len(lesions), n_images):
            raise ValueError(
                f"model: the function returned {right.dtype} of shape {right.shape} for "
                f"{len(lesions)} lesions and {n_images} classes in y; accepted is bool of shape "
                f"({len(lesions)}, {n_images})"
            )
        return right

    # Backwards the second time: what a lesion leaves behind then falls on others.
    asked: list[Lesion] = [{}, *_parts(widths), {}]
    first, again = correct(asked), correct(asked[::-1])[::-1]
    _check_unchanged(first, again)

    def full_name(layer: str) -> str:
        if layer not in widths:
            raise ValueError(f"layer: no layer {layer!r}; accepted are {', '.join(widths)}")
        return layer

    return Subject(
        name=str(getattr(function, "__name__", type(function).__name__)),
        layers=widths,
        classes=classes,
        n_classes=n_classes,
        correct=correct,
        fingerprint=fingerprint(first, classes, *map(_bytes, widths), list(widths.values())),
        full_name=full_name,
    )


def _parts(widths: Mapping[str, int]) -> "Iterator[Lesion]":
    """Yield lesions of each layer as a whole and of its halves, of which layers behind see more."""
    for layer, width in widths.items():
        units = np.arange(width)
        yield {layer: units}
        yield from ({layer: half} for half in np.array_split(units, 2) if len(half))


def _check_unchanged(first: npt.NDArray[np.bool_], again: npt.NDArray[np.bool_]) -> None:
    """Refuse a function that answers otherwise when it is asked the same again.

    Raises
    ------
    ValueError
        If the same lesions leave other images right, or none at the end others than at the start.
    """
    n_images = first.shape[1]
    for before, after, when in (
        (first[0], again[0], "without any lesion"),
        (first[0], first[-1], "without any lesion, after others: does it restore its network?"),
        (first, again, "under the same lesion"),
    ):
        if n_other := int((before != after).reshape(-1, n_images).any(axis=0).sum()):
            raise ValueError(
                f"model: the function called {n_other} of {n_images} images right once and wrong "
                f"the next time, {when}; accepted is one that does not change"
            )


def _name(layer: Any) -> str:
    try:
        if isinstance(layer, str) and layer.encode():
            return layer
    except UnicodeEncodeError:
        pass
    raise ValueError(f"layers: {layer!r} was given as a name; accepted are strings")


def _bytes(name: str) -> npt.NDArray[np.uint8]:
    return np.frombuffer(name.encode(), dtype=np.uint8)


def _width(layer: Any, given: Any) -> int:
    if not validation.is_integer(given) or given < 1:
        raise ValueError(
            f"layers: {given!r} units were given for {layer!r}; accepted are 1, 2, ..."
        )
    return int(given)


def _classes_of(y: Any) -> tuple[npt.NDArray[np.int64], int]:
    """Return the classes of images that only a function knows, and how many classes there are."""
    if y is None:
        raise ValueError("y: None was given; a function of lesions needs the classes of its images")
    given = validation.as_numbers(validation.as_array("y", y))
    if given.ndim == 0 or not given.size:
        raise ValueError(f"y: an array of shape {given.shape} was given; accepted is (n_images,)")
    is_one_hot = given.ndim == 2 and given.shape[1] > 1
    is_real = given.dtype.kind in "iuf"
    if is_real and not np.isfinite(given).all():
        raise ValueError("y: classes that are not finite were given")
    largest = int(given.max()) if is_real else -1
    n_classes = given.shape[1] if is_one_hot else largest + 1
    n_seen = n_classes if is_one_hot else len(np.unique(given))
    if n_classes > max(_MANY_CLASSES, _MOST_PER_SEEN * n_seen):
        raise ValueError(
            f"y: classes up to {n_classes - 1} were given, of which {n_seen} are there; accepted "
            "are classes that are numbered from 0, without large gaps"
        )
    return validation.check_classes(given, len(given), n_classes), n_classes


def _unpacked(x: Any, y: Any, rank: int) -> tuple[Any, Any]:
    """Return images and classes, read from a tf.data.Dataset if that is what was given.

    Batches of the model's first input have so many axes.
    """
    if not (hasattr(x, "as_numpy_iterator") and hasattr(x, "element_spec")):
        for name, given in (("x", x), ("y", y)):
            if given is None:
                raise ValueError(f"{name}: None was given; a Keras model needs images and classes")
        return x, y
    if y is not None:
        raise ValueError("y: given beside a tf.data.Dataset, which brings its own classes")
    spec = x.element_spec
    if not isinstance(spec, tuple) or len(spec) != 2:
        raise ValueError("x: a tf.data.Dataset was given that is none of pairs (images, classes)")
    if isinstance(spec[1], Mapping | list | tuple):
        raise ValueError(
            f"x: a tf.data.Dataset was given whose classes are a {type(spec[1]).__name__} of "
            f"{len(spec[1])}; accepted is one array, which its .map can choose"
        )
    first: Any = next(iter(spec[0].values())) if isinstance(spec[0], Mapping) else spec[0]
    first = first[0] if isinstance(first, list | tuple) else first
    if spec[1].shape.rank == 0 or first.shape.rank == rank - 1:
        raise ValueError("x: a tf.data.Dataset of single images was given; use its .batch(256)")
    n_batches = int(x.cardinality())
    if n_batches == _INFINITE:
        raise ValueError("x: a tf.data.Dataset was given that repeats without an end")
    batches, n_images = [], 0
    for batch in x.as_numpy_iterator():
        batches.append(batch)
        n_images += len(batch[1])
        if n_batches < 0 and n_images > _MOST_IMAGES:
            raise ValueError(
                f"x: a tf.data.Dataset of more than {_MOST_IMAGES:,} images was given, which does "
                "not know how many, or one without an end; use its .take"
            )
    if not batches:
        raise ValueError("x: a tf.data.Dataset without any batch was given")
    images, classes = zip(*batches, strict=True)
    return _joined(images), np.concatenate(classes)


def _joined(batches: Sequence[Any]) -> Any:
    first = batches[0]
    if isinstance(first, Mapping):
        return {name: np.concatenate([each[name] for each in batches]) for name in first}
    if isinstance(first, list | tuple):
        return [np.concatenate(each) for each in zip(*batches, strict=True)]
    return np.concatenate(batches)
