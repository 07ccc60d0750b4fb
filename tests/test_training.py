"""Training and pruning: the schedule, the masks, and what stays zero."""

import numpy as np
import pytest

from helpers import networks, training
from helpers.backend import keras


def tiny():
    """A network whose kernels have 200, 100 and 50 weights, with images for it."""
    keras.utils.set_random_seed(0)
    model = networks.mlp((4, 5, 1), 5, width=10, depth=2)
    x = np.random.default_rng(0).random((50, 4, 5, 1), np.float32)
    return model, x, np.arange(50) % 5


def zeros(model):
    return [keras.ops.convert_to_numpy(kernel) == 0 for kernel in training.kernels(model)]


class AtEachStep(keras.callbacks.Callback):
    """Record which weights are zero when each step starts."""

    def __init__(self):
        super().__init__()
        self.zeros = []

    def on_train_batch_begin(self, batch, logs=None):
        self.zeros.append(zeros(self.model))


@pytest.mark.parametrize(
    ("step", "expected"),
    [(0, 0.5), (25, 0.9 - 0.4 * 27 / 64), (50, 0.85), (99, 0.9 - 0.4e-6), (100, 0.9), (500, 0.9)],
)
def test_sparsity_grows_from_one_half_to_nine_tenths_and_stays(step, expected):
    assert training.polynomial_sparsity(step, 100) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("sparsity", [0, 0.15, 0.5, 0.87, 0.9])
@pytest.mark.parametrize("shape", [(6, 7), (3, 3, 2, 5)])
def test_a_mask_keeps_the_largest_magnitudes(shape, sparsity):
    kernel = np.random.default_rng(0).normal(size=shape)
    mask = training.magnitude_mask(kernel, sparsity)
    assert mask.shape == shape
    assert mask.sum() == round(kernel.size * (1 - sparsity))
    assert abs(kernel[mask]).min() > abs(kernel[~mask]).max(initial=0)


def test_a_mask_keeps_at_least_one_weight():
    mask = training.magnitude_mask(np.array([1.0, -3.0, 2.0]), 0.99)
    np.testing.assert_array_equal(mask, [False, True, False])


def test_weights_that_tie_with_the_smallest_kept_one_stay():
    mask = training.magnitude_mask(np.array([2.0, -1.0, 1.0, 0.5, 1.0]), 0.6)
    np.testing.assert_array_equal(mask, [True, True, True, False, True])


def test_training_learns_and_prints_nothing(capfd):
    model, _, y = tiny()
    x = np.repeat(np.eye(5, dtype=np.float32)[y], 4, axis=1).reshape(-1, 4, 5, 1)
    training.fit(model, x, y, epochs=20, batch_size=2)
    assert (keras.ops.convert_to_numpy(model(x)).argmax(axis=-1) == y).all()
    assert capfd.readouterr() == ("", "")


def test_training_and_pruning_each_start_a_fresh_adam_at_its_defaults():
    model, x, y = tiny()
    training.fit(model, x, y, epochs=3, batch_size=20)
    first = model.optimizer
    training.prune(model, x, y, epochs=2, batch_size=20)
    assert model.optimizer is not first
    assert (int(first.iterations), int(model.optimizer.iterations)) == (9, 6)
    for optimizer in (first, model.optimizer):
        assert optimizer.get_config() == keras.optimizers.Adam(name=optimizer.name).get_config()


def test_pruning_leaves_a_tenth_of_each_kernel_and_all_biases():
    model, x, y = tiny()
    for layer in model.layers[1:]:
        layer.bias.assign(np.ones(layer.bias.shape))
    training.prune(model, x, y, epochs=10, batch_size=5)
    assert [each.sum() for each in zeros(model)] == [180, 90, 45]
    assert all(layer.get_weights()[1].all() for layer in model.layers[1:])


def test_masks_are_updated_every_ten_steps_only(monkeypatch):
    model, x, y = tiny()
    asked = []
    make = training.magnitude_mask

    def spy(kernel, sparsity):
        asked.append((kernel.size, sparsity))
        return make(kernel, sparsity)

    monkeypatch.setattr(training, "magnitude_mask", spy)
    training.prune(model, x, y, epochs=5, batch_size=10)
    assert asked == [
        (size, training.polynomial_sparsity(step, 25))
        for step in (0, 10, 20)
        for size in (200, 100, 50)
    ]


def test_half_of_the_weights_are_zero_from_the_first_step_until_the_next_update():
    model, x, y = tiny()
    seen = AtEachStep()
    training.fit(model, x, y, 1, 4, callbacks=(training.MagnitudePruning(100), seen))
    first = seen.zeros[0]
    assert [each.sum() for each in first] == [100, 50, 25]
    for later in seen.zeros[1:10]:
        for old, new in zip(first, later, strict=True):
            np.testing.assert_array_equal(old, new)
    assert seen.zeros[10][0].sum() > 100
    np.testing.assert_array_equal(zeros(model)[0], seen.zeros[-1][0])


def test_kernels_are_those_of_dense_and_convolutional_layers():
    model = networks.cnn((8, 8, 1), 3, channels=2, dense_width=5)
    shapes = [tuple(kernel.shape) for kernel in training.kernels(model)]
    assert shapes == [(3, 3, 1, 2), (3, 3, 2, 2), (3, 3, 2, 2), (8, 5), (5, 3)]
