"""Architectures: layer by layer those of the paper's appendix A.2."""

import numpy as np
import pytest

from helpers import forward, networks
from helpers.backend import keras

HIDDEN = ("Dense", 256, "relu")
CONVOLUTION = ("Conv2D", 64, (3, 3), (1, 1), "same", "relu")
POOL = ("MaxPooling2D", (2, 2), (2, 2), "valid")
OUTPUT = ("Dense", 10, "softmax")


def described(model):
    """Kind and options of each layer."""
    options = ("filters", "units", "kernel_size", "pool_size", "strides", "padding", "rate")
    return [
        (
            type(layer).__name__,
            *(getattr(layer, key) for key in options if hasattr(layer, key)),
            *([layer.activation.__name__] if hasattr(layer, "activation") else []),
        )
        for layer in model.layers
    ]


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (networks.mlp((28, 28, 1), 10), [("Flatten",), *[HIDDEN] * 4, OUTPUT]),
        (
            networks.mlp((28, 28, 1), 10, dropout=0.5),
            [("Flatten",), *[HIDDEN, ("Dropout", 0.5)] * 4, OUTPUT],
        ),
        (
            networks.cnn((28, 28, 1), 10),
            [
                *[CONVOLUTION, CONVOLUTION, POOL, CONVOLUTION, POOL],
                *[("Flatten",), ("Dense", 128, "relu"), OUTPUT],
            ],
        ),
    ],
)
def test_layers_are_those_of_the_paper(model, expected):
    assert described(model) == expected


@pytest.mark.parametrize(
    ("build", "input_shape", "n_parameters"),
    [
        (networks.mlp, (28, 28, 1), 784 * 256 + 3 * 256 * 256 + 256 * 10 + 4 * 256 + 10),
        (networks.mlp, (28, 28, 3), 2352 * 256 + 3 * 256 * 256 + 256 * 10 + 4 * 256 + 10),
        (networks.cnn, (28, 28, 1), 640 + 2 * 36_928 + 3136 * 128 + 128 + 1290),
        (networks.cnn, (28, 28, 2), 1216 + 2 * 36_928 + 3136 * 128 + 128 + 1290),
    ],
)
def test_numbers_of_parameters(build, input_shape, n_parameters):
    assert build(input_shape, 10).count_params() == n_parameters


def test_dropout_adds_no_parameters():
    plain, dropped = (networks.mlp((4, 4, 1), 3, dropout=rate) for rate in (0.0, 0.5))
    assert plain.count_params() == dropped.count_params()


@pytest.mark.parametrize(
    ("model", "names"),
    [
        (networks.mlp((4, 4, 1), 3, width=5), ["dense_1", "dense_2", "dense_3", "dense_4"]),
        (networks.mlp((4, 4, 1), 3, width=5, depth=2), ["dense_1", "dense_2"]),
        (networks.cnn((8, 8, 1), 3, channels=2), ["conv_1", "conv_2", "conv_3", "dense"]),
    ],
)
def test_layers_with_units_have_stable_names(model, names):
    assert [each.name for each in model.layers if hasattr(each, "kernel")] == [*names, "output"]


def test_widths_can_be_chosen():
    mlp = networks.mlp((4, 4, 1), 3, width=5, depth=2)
    assert [w.shape for w in mlp.get_weights()[::2]] == [(16, 5), (5, 5), (5, 3)]
    cnn = networks.cnn((8, 8, 1), 3, channels=2, dense_width=7)
    expected = [(3, 3, 1, 2), (3, 3, 2, 2), (3, 3, 2, 2), (8, 7), (7, 3)]
    assert [w.shape for w in cnn.get_weights()[::2]] == expected


@pytest.mark.parametrize("build", [networks.mlp, networks.cnn])
def test_kernels_start_glorot_uniform_and_biases_at_zero(build):
    for layer in build((8, 8, 1), 10).layers:
        if hasattr(layer, "kernel"):
            kernel, bias = layer.get_weights()
            field = np.prod(kernel.shape[:-2])
            limit = np.sqrt(6 / (field * (kernel.shape[-2] + kernel.shape[-1])))
            assert 0.95 * limit < abs(kernel).max() <= limit
            assert not bias.any()


def test_outputs_are_probabilities():
    for build in (networks.mlp, networks.cnn):
        outputs = build((8, 8, 1), 3)(np.ones((2, 8, 8, 1), np.float32))
        np.testing.assert_allclose(np.sum(outputs, axis=-1), 1, rtol=1e-6)


@pytest.mark.parametrize("n_classes", [1, 2, 3, 10])
def test_the_modular_sum_of_every_pair_of_classes_is_exactly_one_hot(n_classes):
    one_hot = np.eye(n_classes, dtype=np.float32)
    pairs = [(i, j) for i in range(n_classes) for j in range(n_classes)]
    x = np.array([[*one_hot[i], *one_hot[j]] for i, j in pairs])
    expected = [one_hot[(i + j) % n_classes] for i, j in pairs]
    model = networks.modular_sum(n_classes)
    np.testing.assert_array_equal(model(x), expected)
    hidden = forward.activations(model, x, "dense")
    assert hidden.shape == (n_classes**2, n_classes**2)
    np.testing.assert_array_equal(np.sort(hidden, axis=1)[:, :-1], 0)  # One unit per pair.
    assert (hidden.max(axis=0) == 1).all()


def test_detectors_of_the_modular_sum_have_two_weights_of_1_and_a_bias_of_minus_1():
    detectors, biases, sums = networks.modular_sum(4).get_weights()
    assert (detectors.shape, biases.shape, sums.shape) == ((8, 16), (16,), (16, 4))
    for block in (detectors[:4], detectors[4:]):
        np.testing.assert_array_equal(np.sort(block, axis=0).T, [[0, 0, 0, 1]] * 16)
    assert len(np.unique(detectors, axis=1).T) == 16
    np.testing.assert_array_equal(biases, -1)
    np.testing.assert_array_equal(np.sort(sums), [[0, 0, 0, 1]] * 16)


@pytest.mark.parametrize("n_classes", [0, -1])
def test_a_modular_sum_of_no_classes_is_refused(n_classes):
    message = f"n_classes: {n_classes} was given; accepted are 1 and more"
    with pytest.raises(ValueError, match=message):
        networks.modular_sum(n_classes)


VGG_FILTERS = (64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)
VGG_DROPOUT = {1: 0.3, 3: 0.4, 5: 0.4, 6: 0.4, 8: 0.4, 9: 0.4, 11: 0.4, 12: 0.4, 13: 0.5}


@pytest.mark.parametrize("dropout", [False, True])
def test_the_vgg_normalises_behind_rectifier_and_pooling_and_then_drops_out(dropout):
    expected = []
    for index, filters in enumerate(VGG_FILTERS, 1):
        expected.append(("Conv2D", filters, (3, 3), (1, 1), "same", "relu"))
        expected += [POOL] * (index in (2, 4, 7, 10, 13))
        expected.append(("BatchNormalization",))
        if dropout and index in VGG_DROPOUT:
            expected.append(("Dropout", VGG_DROPOUT[index]))
    expected += [("Flatten",), ("Dense", 512, "relu"), ("BatchNormalization",)]
    expected += [("Dropout", 0.5)] * dropout
    expected += [("Dense", 512, "relu"), ("Dense", 10, "softmax")]
    assert described(networks.vgg((32, 32, 3), 10, dropout)) == expected


def test_the_vgg_has_biases_and_as_many_weights_as_the_papers():
    model = networks.vgg((32, 32, 3), 10)
    widths = (3, *VGG_FILTERS)
    convolutions = sum(9 * a * b + 5 * b for a, b in zip(widths, VGG_FILTERS, strict=False))
    dense = 2 * (512 * 512 + 512) + 4 * 512 + 512 * 10 + 10
    assert model.count_params() == convolutions + dense


def test_probabilities_of_a_vgg_are_in_single_precision_whatever_the_policy():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = networks.vgg((32, 32, 3), 10)
    finally:
        keras.config.set_dtype_policy(before)
    assert model.get_layer("conv_1").compute_dtype == "bfloat16"
    assert model.get_layer("output").compute_dtype == "float32"


@pytest.mark.parametrize("size", [(28, 28, 1), (32, 31, 3)])
def test_images_that_cannot_be_pooled_five_times_are_refused(size):
    with pytest.raises(ValueError, match=r"input_shape: .* at least 32"):
        networks.vgg(size, 10)
