"""Keras, on TensorFlow or another backend, imported without TensorFlow's start-up chatter.

Every room that needs Keras imports it from here, so that TensorFlow is loaded in one place.
"""

import contextlib
import os
import sys
from collections.abc import Iterator


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


os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
with _without_stderr():
    import keras

    ON_PROCESSOR = _is_on_processor()

__all__ = ["ON_PROCESSOR", "keras"]
