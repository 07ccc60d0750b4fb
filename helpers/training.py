"""Training and magnitude pruning, as in the paper's appendix A.2.

Only Keras's backend-neutral interface is used, so that ``KERAS_BACKEND=jax`` trains on a GPU.
Everything random in an epoch follows from the seed and the epoch's number, and the rest from the
variables of model and optimiser: training that goes on from these after any epoch gives the same
network as training without a break.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from helpers.backend import keras

Schedule = Literal["constant", "one-cycle"]
SCHEDULES = ("constant", "one-cycle")

State = dict[str, npt.NDArray[Any]]
"""Variables of a model and its optimiser, by their position."""

_LARGEST_ROTATION = math.radians(15)
_LARGEST_SHIFT = 0.1


def fit(
    model: keras.Model,
    x: npt.NDArray[np.float32],
    y: npt.NDArray[np.int64],
    epochs: int,
    batch_size: int,
    *,
    seed: int = 0,
    learning_rate: float = 1e-3,
    schedule: Schedule = "constant",
    l2: float = 0.0,
    augmented: bool = False,
    pruned: bool = False,
    first_epoch: int = 0,
    last_epoch: int | None = None,
    optimizer_state: State | None = None,
    after_epoch: Callable[[int, float], None] = lambda epoch, loss: None,
) -> None:
    """Train a classifier in place with a fresh Adam.

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
    seed : int
        Of the order of the images and of augmentation. Dropout follows the model's own seeds.
    learning_rate : float
        Adam's rate, or the highest one of the schedule.
    schedule : {"constant", "one-cycle"}
        Whether the rate stays, or rises linearly over the first fifth of all steps and then
        falls to zero as a cosine does (after Smith and Topin, 2018).
    l2 : float
        Weight of the sum of squares of all kernels in the loss.
    augmented : bool
        Whether each step sees its images changed by `augment`.
    pruned : bool
        Whether the smallest weights are set to zero meanwhile, see `MagnitudePruning`.
    first_epoch : int
        Epochs that the model has behind it, when training goes on.
    last_epoch : int, optional
        Epoch after which to stop, if before the last one; the schedules are those of all epochs.
    optimizer_state : dict of str to ndarray, optional
        What `optimizer_state_of` returned then; needed if `first_epoch` is not 0.
    after_epoch : callable
        Called after each epoch with how many are done, and the mean loss in it.

    Raises
    ------
    ValueError
        If the schedule is unknown, a batch has no images, numbers of images and classes differ, or
        the state of the optimizer is not given although the model has epochs behind it.
    """
    if schedule not in SCHEDULES:
        raise ValueError(f"schedule: {schedule!r} was given; accepted are {', '.join(SCHEDULES)}")
    if batch_size < 1:
        raise ValueError(f"batch_size: {batch_size} was given; accepted are integers from 1")
    if len(x) != len(y):
        raise ValueError(f"y: {len(y)} classes were given for {len(x)} images")
    if first_epoch and optimizer_state is None:
        raise ValueError(f"optimizer_state: needed to go on after epoch {first_epoch}")
    steps = math.ceil(len(x) / batch_size)
    for kernel in kernels(model):
        kernel.regularizer = keras.regularizers.L2(l2) if l2 else None
    rate = learning_rate if schedule == "constant" else _one_cycle(learning_rate, steps * epochs)
    model.compile(optimizer=keras.optimizers.Adam(rate), loss="sparse_categorical_crossentropy")
    model.optimizer.build(model.trainable_variables)
    if optimizer_state is not None:
        assign(model.optimizer.variables, optimizer_state)
    callbacks = [MagnitudePruning(steps, epochs)] if pruned else []
    wanted = range(first_epoch, epochs if last_epoch is None else last_epoch)
    for epoch in tqdm(wanted, "training", epochs, initial=first_epoch, unit="epoch", disable=None):
        rng = np.random.default_rng([seed, int(pruned), epoch])
        history = model.fit(
            _Batches(x, y, batch_size, rng, augmented),
            initial_epoch=epoch,
            epochs=epoch + 1,
            shuffle=False,
            verbose=0,
            callbacks=callbacks,
        )
        after_epoch(epoch + 1, float(history.history["loss"][0]))


def _one_cycle(peak: float, n_steps: int) -> keras.optimizers.schedules.LearningRateSchedule:
    rise = max(n_steps // 5, 1)
    return keras.optimizers.schedules.CosineDecay(
        0.0, max(n_steps - rise, 1), warmup_target=peak, warmup_steps=rise
    )


class _Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """The images of one epoch in random order, batch by batch.

    Its generator is asked from one thread and in order, so what is drawn does not depend on time.
    """

    def __init__(
        self,
        x: npt.NDArray[np.float32],
        y: npt.NDArray[np.int64],
        batch_size: int,
        rng: np.random.Generator,
        augmented: bool,
    ) -> None:
        super().__init__(workers=1, use_multiprocessing=False)
        self._x, self._y, self._batch_size, self._augmented = x, y, batch_size, augmented
        self._order = rng.permutation(len(x))
        self._seeds = rng.integers(2**63, size=len(self))

    def __len__(self) -> int:
        return math.ceil(len(self._x) / self._batch_size)

    def __getitem__(self, index: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        start = index * self._batch_size
        chosen = self._order[start : start + self._batch_size]
        images = self._x[chosen]
        if self._augmented:
            images = augment(images, np.random.default_rng(self._seeds[index]))
        return images, self._y[chosen]


def augment(images: npt.NDArray[np.float32], rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Rotate, shift and flip images at random, as the paper's VGGs were trained.

    Parameters
    ----------
    images : ndarray of float32, shape (n, height, width, channels)
        Images.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray of float32, of the same shape
        Each image rotated about its centre by up to 15 degrees, shifted by up to a tenth of its
        height and width, and mirrored with probability one half; the nearest pixel where there
        is none, as Keras's ``ImageDataGenerator`` filled by default.
    """
    n, height, width, _ = images.shape
    angles = rng.uniform(-_LARGEST_ROTATION, _LARGEST_ROTATION, (n,))
    shifts = rng.uniform(-_LARGEST_SHIFT, _LARGEST_SHIFT, (2, n)) * [[height], [width]]
    flips = rng.random((n,)) < 0.5
    transforms = affine_parameters(angles, shifts, flips, (height, width))
    changed = keras.ops.image.affine_transform(
        images, transforms, interpolation="bilinear", fill_mode="nearest"
    )
    return np.asarray(keras.ops.convert_to_numpy(changed))


def affine_parameters(
    angles: npt.NDArray[np.floating[Any]],
    shifts: npt.NDArray[np.floating[Any]],
    flips: npt.NDArray[np.bool_],
    size: tuple[int, int],
) -> npt.NDArray[np.float32]:
    """Return what ``keras.ops.image.affine_transform`` takes, for changes about the centre.

    Parameters
    ----------
    angles : ndarray, shape (n,)
        Rotations, in radians.
    shifts : ndarray, shape (2, n)
        Along the height and along the width, in pixels.
    flips : ndarray of bool, shape (n,)
        Whether an image is mirrored from left to right.
    size : (int, int)
        Height and width of the images, in pixels.

    Returns
    -------
    ndarray of float32, shape (n, 8)
        (a, b, c, d, e, f, 0, 0): the output's pixel (x, y) is the input's
        (a x + b y + c, d x + e y + f).
    """
    cos, sin, sign = np.cos(angles), np.sin(angles), np.where(flips, -1.0, 1.0)
    middle_y, middle_x = (size[0] - 1) / 2, (size[1] - 1) / 2
    a, b, d, e = sign * cos, -sin, sign * sin, cos
    c = middle_x - a * middle_x - b * middle_y + shifts[1]
    f = middle_y - d * middle_x - e * middle_y + shifts[0]
    nothing = np.zeros(len(angles))
    return np.stack([a, b, c, d, e, f, nothing, nothing], axis=1).astype(np.float32)


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
    steps_per_epoch, epochs : int
        Their product is the training step at which `polynomial_sparsity` reaches its final
        value. Each kernel is pruned by itself and biases are kept. The schedule is Zhu and
        Gupta's (2017), with the constants of TensorFlow's tutorial that the paper took over.
    frequency : int
        Steps between two updates of the masks, counted in each epoch from its first step, so
        that training can go on after any epoch.
    """

    def __init__(self, steps_per_epoch: int, epochs: int, frequency: int = 10) -> None:
        super().__init__()
        self.steps_per_epoch = steps_per_epoch
        self.end_step = steps_per_epoch * epochs
        self.frequency = frequency
        self._epoch = 0
        self._masks: list[Any] = []

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Note how far training is."""
        self._epoch = epoch

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Update the masks every `frequency` steps, and apply them."""
        if batch % self.frequency == 0:
            step = self._epoch * self.steps_per_epoch + batch
            self._update_masks(polynomial_sparsity(step, self.end_step))
        self._apply_masks()

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
    """Return the kernels of a model's layers, both of a separable convolution, in layer order."""
    weights = (weight for layer in model.layers for weight in layer.weights)
    return [weight for weight in weights if weight.name.endswith("kernel")]


def model_state_of(model: keras.Model) -> State:
    """Return copies of a model's variables: weights, statistics and seeds of dropout."""
    return _copies(_variables(model))


def optimizer_state_of(model: keras.Model) -> State:
    """Return copies of the variables of a compiled model's optimiser."""
    return _copies(model.optimizer.variables)


def set_model_state(model: keras.Model, state: Mapping[str, npt.NDArray[Any]]) -> None:
    """Give a model the variables that `model_state_of` returned."""
    assign(_variables(model), state)


def assign(variables: list[keras.Variable], state: Mapping[str, npt.NDArray[Any]]) -> None:
    """Give variables the values of a state.

    Raises
    ------
    ValueError
        If the state has another number of variables, or of another shape.
    """
    if len(variables) != len(state):
        raise ValueError(f"state: {len(state)} variables were given for {len(variables)}")
    for position, variable in enumerate(variables):
        value = state[str(position)]
        if value.shape != tuple(variable.shape):  # Keras would print all numbers.
            raise ValueError(
                f"state: an array of shape {value.shape} was given for {variable.path}, which has "
                f"shape {tuple(variable.shape)}"
            )
        variable.assign(value)


def _variables(model: keras.Model) -> list[keras.Variable]:
    """Return a model's variables without those of its metrics, which start anew each epoch."""
    of_metrics = {id(variable) for metric in model.metrics for variable in metric.variables}
    return [variable for variable in model.variables if id(variable) not in of_metrics]


def _copies(variables: list[keras.Variable]) -> State:
    return {
        str(position): np.array(keras.ops.convert_to_numpy(variable))
        for position, variable in enumerate(variables)
    }
