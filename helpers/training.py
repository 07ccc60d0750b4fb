"""Training and magnitude pruning, as in the paper's appendix A.2.

Only Keras's backend-neutral interface is used, so that ``KERAS_BACKEND=jax`` trains on a GPU.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from helpers.backend import keras


def fit(
    model: keras.Model,
    x: npt.NDArray[np.float32],
    y: npt.NDArray[np.int64],
    epochs: int,
    batch_size: int,
    callbacks: tuple[keras.callbacks.Callback, ...] = (),
    description: str = "training",
) -> None:
    """Train a classifier in place with a fresh Adam at Keras's defaults.

    Parameters
    ----------
    model : keras.Model
        Classifier with softmax outputs.
    x : ndarray of float32, shape (n, height, width, channels)
        Training images, in [0, 1].
    y : ndarray of int64, shape (n,)
        Their classes.
    epochs, batch_size : int
        Passes over the images, and images per step.
    callbacks : tuple of keras.callbacks.Callback
        Passed on to ``model.fit``.
    description : str
        Label of the progress bar, which appears on a terminal only.
    """
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    model.fit(
        x,
        y,
        epochs=epochs,
        batch_size=batch_size,
        verbose=0,
        callbacks=[*callbacks, _ProgressBar(epochs, description)],
    )


def prune(
    model: keras.Model,
    x: npt.NDArray[np.float32],
    y: npt.NDArray[np.int64],
    epochs: int,
    batch_size: int,
) -> None:
    """Train on in place while the smallest weights are set to zero, from 50 to 90 %.

    Parameters
    ----------
    model, x, y, epochs, batch_size
        As in `fit`. The schedule of `polynomial_sparsity` ends with the last step.

    Notes
    -----
    Each kernel is pruned by itself and biases are kept. The schedule is Zhu and Gupta's
    (2017), with the constants of TensorFlow's tutorial that the paper took over.
    """
    n_steps = math.ceil(len(x) / batch_size) * epochs
    fit(model, x, y, epochs, batch_size, (MagnitudePruning(n_steps),), description="pruning")


def polynomial_sparsity(
    step: int, end_step: int, initial: float = 0.5, final: float = 0.9, power: int = 3
) -> float:
    """Return the fraction of weights that are zero at a training step (Zhu and Gupta, 2017).

    Parameters
    ----------
    step, end_step : int
        The step, counted from 0, and the step at which `final` is reached.
    initial, final : float
        Sparsity at step 0 and from `end_step` on, in [0, 1].
    power : int
        Exponent of the decay.
    """
    progress = min(step / end_step, 1.0)
    return final + (initial - final) * (1 - progress) ** power


def magnitude_mask(kernel: npt.NDArray[np.float32], sparsity: float) -> npt.NDArray[np.bool_]:
    """Mark the weights of a kernel that stay when the smallest ones are pruned.

    Parameters
    ----------
    kernel : ndarray
        Weights, of any shape.
    sparsity : float
        Fraction to prune, in [0, 1).

    Returns
    -------
    ndarray of bool, of the kernel's shape
        True for the ``round(size * (1 - sparsity))`` largest magnitudes, at least one. Weights
        that tie with the smallest of these stay too.
    """
    magnitudes = np.abs(kernel)
    n_kept = max(round(kernel.size * (1 - sparsity)), 1)
    threshold = np.partition(magnitudes, kernel.size - n_kept, axis=None)[kernel.size - n_kept]
    return np.asarray(magnitudes >= threshold)


class MagnitudePruning(keras.callbacks.Callback):  # type: ignore[misc]
    """Keep the smallest weights of every kernel at zero while a model is trained.

    Before each step the masks are made anew if they are due, and applied. A pruned weight can
    therefore come back only if one optimiser step lifts it above the threshold.
    ``tensorflow-model-optimization`` does the same, but does not run on Keras 3.

    Parameters
    ----------
    end_step : int
        Training step at which `polynomial_sparsity` reaches its final value.
    frequency : int
        Steps between two updates of the masks.
    """

    def __init__(self, end_step: int, frequency: int = 10) -> None:
        super().__init__()
        self.end_step = end_step
        self.frequency = frequency
        self._step = 0
        self._masks: list[Any] = []

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Update the masks every `frequency` steps, and apply them."""
        if self._step % self.frequency == 0:
            self._update_masks(polynomial_sparsity(self._step, self.end_step))
        self._apply_masks()
        self._step += 1

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Apply the masks, so that what is evaluated or saved is sparse."""
        self._apply_masks()

    def _update_masks(self, sparsity: float) -> None:
        self._masks = [
            keras.ops.convert_to_tensor(
                magnitude_mask(keras.ops.convert_to_numpy(kernel), sparsity), kernel.dtype
            )
            for kernel in kernels(self.model)
        ]

    def _apply_masks(self) -> None:
        for kernel, mask in zip(kernels(self.model), self._masks, strict=True):
            kernel.assign(kernel * mask)


def kernels(model: keras.Model) -> list[keras.Variable]:
    """Return the kernels of a model's dense and convolutional layers, in layer order."""
    return [layer.kernel for layer in model.layers if hasattr(layer, "kernel")]


class _ProgressBar(keras.callbacks.Callback):  # type: ignore[misc]
    """One tick per epoch on a terminal; silent elsewhere (tqdm's ``disable=None``)."""

    def __init__(self, epochs: int, description: str) -> None:
        super().__init__()
        self._bar = tqdm(total=epochs, desc=description, unit="epoch", disable=None)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._bar.set_postfix(loss=f"{(logs or {})['loss']:.4f}")
        self._bar.update()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._bar.close()
