"""Lesions on other processes and machines: batches of images are independent.

Any `concurrent.futures.Executor` will do: a pool of processes here, which are spawned and not
forked, or on a cluster ``dask.distributed.Client(...).get_executor()``. The model travels once to
each worker (to processes on this machine through a file), each batch of images once.
"""

import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from helpers.backend import keras

_AHEAD = 16
"""Batches that are under way at a time, which bounds the memory that their images take up."""

_LOADED: dict[str, Any] = {}
"""What a worker made of the last model that it received."""


def check_executor(executor: Any) -> None:
    """Refuse what cannot be given work.

    Raises
    ------
    ValueError
        If it is no executor, or a pool of processes that are forked: TensorFlow may wait in them
        for ever.
    """
    if executor is not None and not hasattr(executor, "submit"):
        raise ValueError(
            f"executor: {executor!r} was given; accepted is a concurrent.futures.Executor"
        )
    is_pool = isinstance(executor, ProcessPoolExecutor)
    if is_pool and executor._mp_context.get_start_method() == "fork":
        raise ValueError(
            "executor: a pool of forked processes was given, in which Keras may wait for ever; "
            'accepted is ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn"))'
        )


def archived(model: keras.Model, check: Callable[[keras.Model], None]) -> bytes:
    """Return a model as the content of a file that workers load.

    Raises
    ------
    ValueError
        If Keras cannot save and load it, or what `check` raises of the model that is loaded.
        Classes of its own must be registered with Keras, there as here.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        try:
            model.save(path)
            copy = _load(path)
        except Exception as error:  # Of layers of others' making, which fail in any way.
            raise ValueError(
                f"executor: Keras cannot save {model.name!r} and load it again, as workers do "
                f"({error})"
            ) from error
        check(copy)
        return path.read_bytes()


@contextmanager
def sent(executor: Executor, archive: bytes) -> Iterator[tuple[str, Any]]:
    """Send a model to all workers of an executor; yield its key, and what workers load it from."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        path.write_bytes(archive)
        client = getattr(executor, "_client", None)
        source = str(path) if client is None else client.scatter(archive, broadcast=True)
        yield sha256(archive).hexdigest(), source


def loaded(key: str, source: str | bytes, prepare: Callable[[keras.Model], Any]) -> Any:
    """Return what is made of a model that was sent, at a worker; made once for each model."""
    if key not in _LOADED:
        _LOADED.clear()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.keras"
            if isinstance(source, bytes):
                path.write_bytes(source)
            else:
                path = Path(source)
            _LOADED[key] = prepare(_load(path))
    return _LOADED[key]


def _load(path: Path) -> keras.Model:
    """Load a model that is not from a stranger: the process that asks has just written it."""
    return keras.models.load_model(path, compile=False, safe_mode=False)


def in_order(
    executor: Executor, function: Callable[..., Any], arguments: Iterable[tuple[Any, ...]]
) -> Iterator[Any]:
    """Yield results in the order of arguments, which are made a few calls ahead."""
    waiting: deque[Future[Any]] = deque()
    for each in arguments:
        waiting.append(executor.submit(function, *each))
        if len(waiting) == _AHEAD:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
