"""Training and pruning: rates, augmentation, the masks, and that stopping changes nothing."""

import numpy as np
import pytest
import scipy.ndimage

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


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"schedule": "cosine"}, "schedule: 'cosine' was given; accepted are constant, one-cycle"),
        ({"batch_size": 0}, "batch_size: 0 was given; accepted are integers from 1"),
        ({"first_epoch": 1}, "optimizer_state: needed to go on after epoch 1"),
        ({"y": np.zeros(3, np.int64)}, "y: 3 classes were given for"),
    ],
)
def test_trainings_that_would_be_another_one_are_refused(options, message):
    model, x, y = tiny()
    with pytest.raises(ValueError, match=message):
        training.fit(model, **({"x": x, "y": y, "epochs": 2, "batch_size": 2} | options))


@pytest.mark.slow
def test_training_learns_and_prints_nothing(capfd):
    model, _, y = tiny()
    x = np.repeat(np.eye(5, dtype=np.float32)[y], 4, axis=1).reshape(-1, 4, 5, 1)
    training.fit(model, x, y, epochs=20, batch_size=2)
    assert (keras.ops.convert_to_numpy(model(x)).argmax(axis=-1) == y).all()
    assert capfd.readouterr() == ("", "")


def rates(model, x, y, **options):
    """The optimiser's rate at each step of one training."""
    seen = []

    class AtEachRate(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            seen.append(float(self.model.optimizer.learning_rate))

    fit = model.fit
    model.fit = lambda *args, callbacks, **kw: fit(
        *args, callbacks=[*callbacks, AtEachRate()], **kw
    )
    training.fit(model, x, y, **options)
    return seen


@pytest.mark.slow
def test_each_training_starts_a_fresh_adam_at_its_defaults():
    model, x, y = tiny()
    training.fit(model, x, y, epochs=3, batch_size=20)
    first = model.optimizer
    training.fit(model, x, y, epochs=2, batch_size=20, pruned=True)
    assert model.optimizer is not first
    assert (int(first.iterations), int(model.optimizer.iterations)) == (9, 6)
    for optimizer in (first, model.optimizer):
        assert optimizer.get_config() == keras.optimizers.Adam(name=optimizer.name).get_config()


@pytest.mark.slow
def test_a_one_cycle_rate_rises_for_a_fifth_of_all_steps_and_falls_to_nothing():
    model, x, y = tiny()
    options = {"epochs": 10, "batch_size": 10, "learning_rate": 0.5, "schedule": "one-cycle"}
    seen = rates(model, x, y, **options)
    assert len(seen) == 50
    np.testing.assert_allclose(seen[:11], 0.05 * np.arange(11), atol=1e-6)
    expected = 0.25 * (1 + np.cos(np.pi * np.arange(40) / 40))
    np.testing.assert_allclose(seen[10:], expected, atol=1e-6)


@pytest.mark.slow
def test_a_constant_rate_stays():
    model, x, y = tiny()
    seen = rates(model, x, y, epochs=2, batch_size=10, learning_rate=0.25)
    assert seen == [0.25] * 10


@pytest.mark.slow
def test_the_penalty_is_the_sum_of_squares_of_all_kernels_and_of_nothing_else():
    model, x, y = tiny()
    losses = []
    for layer in model.layers[1:]:
        layer.bias.assign(np.ones(layer.bias.shape))
    squares = sum(float(np.sum(np.square(kernel))) for kernel in training.kernels(model))
    for l2 in (0.0, 0.125):
        training.fit(
            model,
            x,
            y,
            1,
            50,
            learning_rate=0.0,
            l2=l2,
            after_epoch=lambda _, loss: losses.append(loss),
        )
    assert losses[1] - losses[0] == pytest.approx(0.125 * squares, rel=1e-5)


def test_each_epoch_sees_every_image_once_in_an_order_of_its_own():
    x = np.arange(10, dtype=np.float32)[:, np.newaxis]
    orders = []
    for epoch in range(3):
        rng = np.random.default_rng([0, 0, epoch])
        batches = training._Batches(x, np.arange(10), 4, rng, augmented=False)
        orders.append(np.concatenate([batches[i][1] for i in range(len(batches))]))
    assert all(sorted(order) == list(range(10)) for order in orders)
    assert len({tuple(order) for order in orders}) == 3


def changed(images, angle=0.0, shift=(0.0, 0.0), flip=False):
    """Images that all undergo one change."""
    n, height, width, _ = images.shape
    transforms = training.affine_parameters(
        np.full(n, angle),
        np.tile(np.reshape(shift, (2, 1)), n),
        np.full(n, flip),
        (height, width),
    )
    return keras.ops.convert_to_numpy(
        keras.ops.image.affine_transform(images, transforms, "bilinear", fill_mode="nearest")
    )


def test_augmentation_knows_what_it_does_in_cases_that_can_be_told_by_hand():
    images = np.random.default_rng(0).random((3, 8, 8, 2), np.float32)
    np.testing.assert_array_equal(changed(images), images)
    np.testing.assert_array_equal(changed(images, flip=True), images[:, :, ::-1])
    down = changed(images, shift=(2, 0))
    np.testing.assert_array_equal(down[:, :-2], images[:, 2:])
    np.testing.assert_array_equal(down[:, -2:], images[:, [-1, -1]])
    right = changed(images, shift=(0, -3))
    np.testing.assert_array_equal(right[:, :, 3:], images[:, :, :-3])
    turned = changed(images, angle=np.pi / 2)
    np.testing.assert_allclose(turned, np.rot90(images, 1, (1, 2)), atol=1e-5)


def test_a_rotated_image_is_that_of_scipy_away_from_its_corners():
    image = np.random.default_rng(0).random((21, 21)).astype(np.float32)
    smooth = scipy.ndimage.gaussian_filter(image, 2)
    ours = changed(smooth[np.newaxis, :, :, np.newaxis], angle=np.radians(15))[0, :, :, 0]
    theirs = scipy.ndimage.rotate(smooth, 15, reshape=False, order=1)
    np.testing.assert_allclose(ours[5:-5, 5:-5], theirs[5:-5, 5:-5], atol=1e-4)


def test_augmentation_draws_up_to_fifteen_degrees_and_a_tenth_of_the_size(monkeypatch):
    drawn = {}
    make = training.affine_parameters

    def spy(angles, shifts, flips, size):
        drawn.update(angles=np.degrees(angles), shifts=shifts, flips=flips)
        return make(angles, shifts, flips, size)

    monkeypatch.setattr(training, "affine_parameters", spy)
    images = np.zeros((2000, 10, 20, 1), np.float32)
    training.augment(images, np.random.default_rng(0))
    assert 14.9 < abs(drawn["angles"]).max() <= 15
    assert drawn["angles"].min() < 0 < drawn["angles"].max()
    assert 0.99 < abs(drawn["shifts"][0]).max() <= 1
    assert 1.98 < abs(drawn["shifts"][1]).max() <= 2
    assert 0.45 < drawn["flips"].mean() < 0.55


def test_augmentation_is_decided_by_its_generator():
    images = np.random.default_rng(0).random((4, 8, 8, 1), np.float32)
    first, again, other = (training.augment(images, np.random.default_rng(i)) for i in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.slow
def test_pruning_leaves_a_tenth_of_each_kernel_and_all_biases():
    model, x, y = tiny()
    for layer in model.layers[1:]:
        layer.bias.assign(np.ones(layer.bias.shape))
    training.fit(model, x, y, epochs=10, batch_size=5, pruned=True)
    assert [each.sum() for each in zeros(model)] == [180, 90, 45]
    assert all(layer.get_weights()[1].all() for layer in model.layers[1:])


def test_masks_are_updated_every_ten_steps_of_each_epoch(monkeypatch):
    model, x, y = tiny()
    asked = []
    make = training.magnitude_mask

    def spy(kernel, sparsity):
        asked.append((kernel.size, sparsity))
        return make(kernel, sparsity)

    monkeypatch.setattr(training, "magnitude_mask", spy)
    training.fit(model, x, y, epochs=2, batch_size=4, pruned=True)
    assert asked == [
        (size, training.polynomial_sparsity(step, 26))
        for step in (0, 10, 13, 23)
        for size in (200, 100, 50)
    ]


@pytest.mark.slow
def test_half_of_the_weights_are_zero_from_the_first_step_until_the_next_update():
    model, x, y = tiny()
    seen = AtEachStep()
    fit = model.fit
    model.fit = lambda *args, callbacks, **kw: fit(*args, callbacks=[*callbacks, seen], **kw)
    training.fit(model, x, y, 8, 4, pruned=True)
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
    separable = keras.Sequential([keras.Input((8, 8, 2)), keras.layers.SeparableConv2D(4, 3)])
    shapes = [tuple(kernel.shape) for kernel in training.kernels(separable)]
    assert shapes == [(3, 3, 2, 1), (1, 1, 2, 4)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state | {"0": state["0"].T}, r"shape \(10, 20\) was given for .*\(20, 10\)"),
        (lambda state: dict(list(state.items())[:-1]), r"\d+ variables were given for \d+"),
    ],
)
def test_the_state_of_another_network_is_refused_without_printing_its_weights(change, message):
    model, *_ = tiny()
    with pytest.raises(ValueError, match=message) as refused:
        training.set_model_state(model, change(training.model_state_of(model)))
    assert len(str(refused.value)) < 200
