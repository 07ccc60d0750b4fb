"""What comes in at the door: images, classes and seeds, checked once.

As scikit-learn's ``check_X_y`` does, everything harmless is cast, and the rest is refused in one
sentence that names the argument, what was given, and what is accepted.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from helpers.imagenet import ImageFiles

if TYPE_CHECKING:
    from helpers.backend import keras


def check_x_y(
    model: "keras.Model", x: Any, y: Any
) -> tuple[tuple[npt.NDArray[Any], ...], npt.NDArray[np.int64]]:
    """Return images and their classes as `check_images` and `check_classes` do.

    Parameters
    ----------
    model : keras.Model
        A built classifier; one with a single output tells two classes apart.
    x, y
        Images and classes.

    Raises
    ------
    ValueError
        As `check_images` and `check_classes`.
    """
    images = check_images(model, x)
    return images, check_classes(y, len(images[0]), n_classes_of(model))


def check_weights(model: "keras.Model") -> None:
    """Refuse a model with weights that are not finite.

    Raises
    ------
    ValueError
        If there are any; names the first.
    """
    for weight in model.weights:
        if not np.isfinite(np.asarray(weight)).all():
            raise ValueError(f"model: the weights {weight.path!r} are not all finite")


def n_classes_of(model: "keras.Model") -> int:
    """Return how many classes a classifier tells apart: as many as outputs, two by a single one."""
    return max(int(model.outputs[0].shape[-1]), 2)


def check_images(model: "keras.Model", x: Any) -> tuple[npt.NDArray[Any], ...]:
    """Return images as a model takes them.

    Parameters
    ----------
    model : keras.Model
        Built.
    x : array-like or tensor, shape (n_images, ...)
        Images of any real type. They are cast, not rescaled: bytes from 0 to 255 stay so. For a
        model with several inputs a list of them, or a mapping from the inputs' names.

    Returns
    -------
    tuple of ndarray
        One array per input: of the input's type if that is one of whole numbers or of double
        precision, otherwise of single precision; the same array if nothing has to be cast.
        `imagenet.ImageFiles` stay what they are, and are read batch by batch.

    Raises
    ------
    ValueError
        If the model is not built; if there are no images, their number or shape is not the
        model's, a value is not a finite real number, or an integer is beyond the input's type.
    """
    inputs = model.inputs if model.built and hasattr(model, "inputs") else []
    if not inputs:
        raise ValueError(
            f"model: {model.name!r} has no inputs that are known; accepted is a model that is built"
        )
    if was_named := isinstance(x, Mapping):
        names = _names_of(model, inputs)
        if set(x) != set(names):
            raise ValueError(
                f"x: {', '.join(map(repr, x))} were given; {model.name!r} takes {', '.join(names)}"
            )
        x = [x[name] for name in names]
    several = x if len(inputs) > 1 or was_named else [x]
    if len(several) != len(inputs):
        raise ValueError(
            f"x: {len(several)} arrays were given; {model.name!r} has {len(inputs)} inputs"
        )
    images = tuple(
        _check_input(model, symbolic, each) for symbolic, each in zip(inputs, several, strict=True)
    )
    sizes = sorted({len(each) for each in images})
    if len(sizes) > 1:
        raise ValueError(f"x: inputs of {' and '.join(map(str, sizes))} images were given")
    return images


def _names_of(model: "keras.Model", inputs: list[Any]) -> list[str]:
    """Return what inputs are called: the keys of the mapping that a model was made of, if any."""
    given = getattr(model, "_inputs_struct", None)
    if not isinstance(given, Mapping):
        return [each.name for each in inputs]
    keys = {id(tensor): str(key) for key, tensor in given.items()}
    return [keys.get(id(each), each.name) for each in inputs]


def _check_input(model: "keras.Model", symbolic: Any, x: Any) -> npt.NDArray[Any]:
    """Return one input's array, cast to its type."""
    if isinstance(x, ImageFiles):  # Read when needed: never all at once.
        _check_shape(model, symbolic, x.shape)
        return x  # type: ignore[return-value]
    given = as_array("x", x)
    if not (np.issubdtype(given.dtype, np.number) or given.dtype == bool) or np.iscomplexobj(given):
        raise ValueError(f"x: values of type {given.dtype} were given; accepted are real numbers")
    _check_shape(model, symbolic, given.shape)
    is_integer = "int" in symbolic.dtype
    if is_integer and not np.array_equal(given, np.round(given)):
        raise ValueError(
            f"x: numbers that are not whole were given; {symbolic.name!r} takes indices"
        )
    if is_integer and given.size:
        limits = np.iinfo(symbolic.dtype)
        if given.min() < limits.min or given.max() > limits.max:
            raise ValueError(
                f"x: numbers from {given.min()} to {given.max()} were given; {symbolic.name!r} "
                f"takes {symbolic.dtype}, from {limits.min} to {limits.max}"
            )
    is_exact = is_integer or symbolic.dtype == "float64"
    images = np.asarray(given, dtype=symbolic.dtype if is_exact else np.float32)
    if not np.isfinite(images).all():
        n_bad = int((~np.isfinite(images).reshape(len(images), -1).all(axis=1)).sum())
        raise ValueError(f"x: {n_bad} of {len(images)} inputs have values that are not finite")
    return images if is_exact else _rounded(images, symbolic.dtype)


def _rounded(images: npt.NDArray[np.float32], dtype: str) -> npt.NDArray[np.float32]:
    """Return numbers rounded as an input of some type rounds them, such as float16."""
    if dtype == "float32":
        return images
    from helpers.backend import keras

    return np.asarray(keras.ops.cast(keras.ops.cast(images, dtype), "float32"))


def _check_shape(model: "keras.Model", symbolic: Any, shape: tuple[int, ...]) -> None:
    expected = tuple(symbolic.shape[1:])
    fits = len(shape) == len(expected) + 1 and all(
        size in (None, there) for size, there in zip(expected, shape[1:], strict=True)
    )
    if not fits or not shape[0]:
        raise ValueError(
            f"x: an array of shape {shape} was given; {model.name!r} takes one or more "
            f"inputs of shape {expected}"
        )


def check_classes(y: Any, n_images: int, n_classes: int) -> npt.NDArray[np.int64]:
    """Return classes as integers, one per image.

    Parameters
    ----------
    y : array-like or tensor, shape (n_images,), (n_images, 1) or (n_images, n_classes)
        Classes as whole numbers from 0, by themselves or in a column, of two classes also as
        truths; or one-hot rows.
    n_images, n_classes : int
        How many images and classes there are.

    Returns
    -------
    ndarray of int64, shape (n_images,)

    Raises
    ------
    ValueError
        If there are more or fewer classes than images, if one is out of range or no whole number,
        or if rows are not one-hot.
    """
    given = as_array("y", y)
    if given.dtype == bool and given.shape[1:] in {(), (1,)} and n_classes > 2:
        raise ValueError(
            f"y: truths were given for {n_classes} classes; accepted are whole numbers"
        )
    given = as_numbers(given)
    if not np.issubdtype(given.dtype, np.number) or np.iscomplexobj(given):
        raise ValueError(f"y: values of type {given.dtype} were given; accepted are whole numbers")
    if given.ndim == 2 and given.shape[1] == 1:
        given = given[:, 0]
    if given.ndim == 2 and given.shape[1] == n_classes:
        given = _from_one_hot(given)
    if given.ndim != 1:
        raise ValueError(
            f"y: an array of shape {given.shape} was given; accepted are (n,), (n, 1), and one-hot "
            f"rows of shape (n, {n_classes})"
        )
    if len(given) != n_images:
        raise ValueError(f"x and y: {n_images} images but {len(given)} classes were given")
    if n_unknown := int(np.isnan(given).sum()):
        raise ValueError(f"y: {n_unknown} of {len(given)} classes are NaN")
    if not np.array_equal(given, np.round(given)):
        raise ValueError("y: classes that are no whole numbers were given")
    if len(given) and not (given.min() >= 0 and given.max() < n_classes):
        raise ValueError(
            f"y: classes {given.min():g} to {given.max():g} were given for {n_classes} outputs"
        )
    return given.astype(np.int64, copy=False)


def as_numbers(given: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return classes that are numbers in all but their type as such: truths, and objects."""
    if given.dtype == object and all(map(is_integer, given.flat)):
        return np.array(given.tolist())
    return given.astype(np.uint8) if given.dtype == bool else given


def check_number(name: str, given: Any) -> None:
    """Refuse what is no number of things, such as of images or of random twins.

    Raises
    ------
    ValueError
        If it is anything but an integer from 1.
    """
    if not is_integer(given) or given < 1:
        raise ValueError(f"{name}: {given!r} was given; accepted are integers from 1")


def as_names(layers: Any) -> tuple[str, ...]:
    """Return names of layers.

    Raises
    ------
    ValueError
        If a single name was given, whose letters would be taken for names.
    """
    if isinstance(layers, str):
        raise ValueError(f"layers: {layers!r} was given; accepted is a sequence of names")
    return tuple(layers)


def check_seed(seed: Any, name: str = "seed") -> int:
    """Return a seed, which makes results repeatable.

    Raises
    ------
    ValueError
        If it is anything but an integer from 0; None would draw anew each time.
    """
    if not is_integer(seed) or seed < 0:
        raise ValueError(f"{name}: {seed!r} was given; accepted are integers from 0")
    return int(seed)


def is_integer(given: Any) -> bool:
    """Whether something is an integer, of Python's or NumPy's; True and False are none."""
    return isinstance(given, int | np.integer) and not isinstance(given, bool)


def _from_one_hot(rows: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
    if not (np.isin(rows, (0, 1)).all() and (rows.sum(axis=1) == 1).all()):
        raise ValueError("y: rows that are not one-hot (a single 1 among zeros) were given")
    return np.asarray(rows.argmax(axis=1))


def as_array(name: str, given: Any) -> npt.NDArray[Any]:
    """Turn lists and tensors into arrays.

    Raises
    ------
    ValueError
        If there is no array in them, or one of which a mask leaves something out.
    """
    if np.ma.is_masked(given):
        raise ValueError(f"{name}: a masked array was given; accepted are whole ones")
    if not isinstance(given, np.ndarray | list | tuple):
        from helpers.backend import keras  # Here, so that arrays do not load it.

        if keras.ops.is_tensor(given):
            is_short = keras.backend.standardize_dtype(given.dtype) == "bfloat16"  # Not NumPy's.
            exact = keras.ops.cast(given, "float32") if is_short else given
            return np.asarray(keras.ops.convert_to_numpy(exact))
    try:
        return np.asarray(given)
    except ValueError as error:
        raise ValueError(f"{name}: what was given is no array ({error})") from None
