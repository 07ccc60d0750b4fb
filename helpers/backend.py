"""Keras, on TensorFlow or another backend, imported without TensorFlow's start-up chatter.

Every room that needs Keras imports it from here, so that TensorFlow is loaded in one place.
"""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

from helpers import settings


@contextlib.contextmanager
def _without_stderr() -> Iterator[None]:
    """Point the process's standard error at nothing.

    TensorFlow 2.19 to 2.21 print from C++ while they load, whatever ``TF_CPP_MIN_LOG_LEVEL``
    says (tensorflow#100442), so Python's ``sys.stderr`` is too late to stop it. nbval compares
    stderr: one stray line fails a notebook.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    nothing = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


def _is_on_processor() -> bool:
    """Whether Keras computes on the processor, where arrays of NumPy's are as near as tensors."""
    if keras.backend.backend() == "jax":
        import jax

        return bool(jax.default_backend() == "cpu")
    import tensorflow

    return not tensorflow.config.list_physical_devices("GPU")


def compiled(function: Callable[..., Any], example: Any) -> Callable[..., Any] | None:
    """Return a function of tensors that runs as one graph, or None if the backend has none.

    Parameters
    ----------
    function : callable
        Of tensors.
    example : tuple
        Its arguments, nested as they will be; their first axis may be of another length. JAX
        would compile anew for each length, so its operations are dispatched one by one.
    """
    if keras.backend.backend() != "tensorflow":
        return None
    import tensorflow

    def specified(array: Any) -> Any:
        return tensorflow.TensorSpec((None, *array.shape[1:]), array.dtype)

    signature = tensorflow.nest.map_structure(specified, example)
    graph: Callable[..., Any] = tensorflow.function(
        function, autograph=False, input_signature=signature
    ).get_concrete_function()
    return graph


def is_tracing() -> bool:
    """Whether operations are being written down for a graph, so that tensors have no values."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow

    return not tensorflow.executing_eagerly()


def values_of(variable: Any) -> Any:
    """Return a variable's values as an array of NumPy's, even while a graph is written down."""
    if not is_tracing():
        return keras.ops.convert_to_numpy(variable)
    import tensorflow

    with tensorflow.init_scope():
        return keras.ops.convert_to_numpy(variable)


os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
with _without_stderr():
    try:
        # TensorFlow Lite, which nothing here uses, would load JAX where it is installed.
        with settings.without("jax"):
            import keras
    except ImportError:  # It is JAX that Keras is to compute with.
        import keras

    ON_PROCESSOR = _is_on_processor()

SHAPES_ARE_FREE = keras.backend.backend() != "jax"
"""Whether an operation on arrays of a new shape costs no more; JAX compiles it anew."""

__all__ = ["ON_PROCESSOR", "SHAPES_ARE_FREE", "compiled", "is_tracing", "keras", "values_of"]
