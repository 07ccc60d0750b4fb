"""Models that are something else than they look like: exact, or refused in a sentence."""

import numpy as np
import pytest

import brute_force
from helpers import graphs, lesions
from helpers.backend import keras

L = keras.layers
HALF = {"hidden": np.arange(512)}


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def classifier(*layers, output="softmax", **options):
    """An untrained classifier of four numbers with given hidden layers."""
    keras.utils.set_random_seed(0)
    out = L.Dense(3, activation=output, name="out", **options)
    return keras.Sequential([keras.Input((4,)), *layers, out], name="mine")


def counts(model, chosen, x=None):
    x = noise(300, 4) if x is None else x
    return lesions.correct(model, x, np.arange(len(x)) % 3, chosen), brute_force.correct(
        model, x, np.arange(len(x)) % 3, chosen
    )


class Doubled(L.Dense):
    def call(self, inputs):
        return 2 * super().call(inputs) + 1


class Reversed(L.Activation):
    def call(self, inputs):
        return -super().call(inputs)


class KeepsHalf(L.Dropout):
    def call(self, inputs, training=False):
        return inputs / 2


class Mirrored(keras.Model):
    def call(self, inputs, training=False):
        return -super().call(inputs, training=training)


def relu(z):
    return -z


def mirrored():
    image = keras.Input((4,))
    return Mirrored(image, L.Dense(3)(L.Dense(5, activation="relu")(image)), name="mine")


def quantized():
    model = classifier(L.Dense(8, activation="relu", name="hidden"))
    model.quantize("int8")
    return model


def with_weight(value):
    model = classifier(L.Dense(8, activation="relu", name="hidden"))
    kernel = model.get_layer("hidden").kernel
    kernel.assign(np.where(np.arange(8) == 3, value, kernel.numpy()))
    return model


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: classifier(Doubled(8, name="odd")), r"cannot handle layer 'odd' \(Doubled\)"),
        (
            lambda: classifier(L.Dense(8), Reversed("tanh", name="odd")),
            r"cannot handle layer 'odd' \(Reversed\)",
        ),
        (
            lambda: classifier(L.Dense(8), KeepsHalf(0.5, name="odd")),
            r"cannot handle layer 'odd' \(KeepsHalf\)",
        ),
        (mirrored, r"'mine' \(Mirrored\) has a method `call` of its own"),
        (
            lambda: classifier(L.Dense(8, activation=relu, name="odd")),
            "'odd' has the activation 'relu', which mixes units or is not Keras's own",
        ),
        (quantized, "layer 'hidden' computes in int8; accepted is float32"),
        (
            lambda: classifier(L.Dense(8, name="odd", dtype="mixed_bfloat16")),
            "layer 'odd' computes in bfloat16; accepted is float32",
        ),
        (lambda: with_weight(np.nan), "layer 'hidden' has weights that are not finite"),
        (lambda: with_weight(np.inf), "layer 'hidden' has weights that are not finite"),
    ],
    ids=str,
)
def test_models_that_look_like_a_chain_and_are_none_are_refused(make, message):
    model = make()
    for ask in (
        lambda: lesions.correct(model, noise(5, 4), np.zeros(5, int), [{}]),
        lambda: graphs.weight_graph(model),
    ):
        with pytest.raises(ValueError, match=message):
            ask()


def test_a_layer_whose_call_was_replaced_is_found_by_running_it():
    odd = L.Dense(8, activation="relu", name="odd")
    model = classifier(odd, L.Dense(7, name="after"))
    call = odd.call
    odd.call = lambda inputs, training=None: call(inputs) + 1
    with pytest.raises(ValueError, match=r"'mine' does something else .* before layer 'after'"):
        lesions.correct(model, noise(5, 4), np.zeros(5, int), [{}])


@pytest.mark.parametrize(
    "output",
    [
        lambda z: -z,
        keras.ops.sin,
        relu,
        "softmax",
        "sigmoid",
        "hard_sigmoid",
        "relu",
        lambda z: keras.ops.flip(z, -1),
    ],
    ids=["minus", "sine", "own relu", "softmax", "sigmoid", "hard sigmoid", "relu", "flip"],
)
@pytest.mark.parametrize("scale", [1, 100])
def test_classes_are_ranked_by_the_outputs_whatever_their_activation(output, scale):
    hidden = L.Dense(8, activation="relu", name="hidden")
    model = classifier(hidden, output=output)
    model.get_layer("out").kernel.assign(scale * noise(8, 3))
    chosen = [{}, *({"hidden": [unit]} for unit in range(8)), {"out": [1]}, {"hidden": range(8)}]
    ours, expected = counts(model, chosen)
    np.testing.assert_array_equal(ours, expected)


def test_softmax_may_be_a_layer_of_its_own():
    hidden = L.Dense(8, activation="relu", name="hidden")
    plain = classifier(hidden, output="linear")
    model = keras.Sequential([plain.get_layer("hidden"), plain.get_layer("out"), L.Softmax()])
    model.build((None, 4))
    chosen = [{}, *({"hidden": [unit]} for unit in range(8))]
    x, y = noise(300, 4), np.arange(300) % 3
    np.testing.assert_array_equal(
        lesions.correct(model, x, y, chosen), lesions.correct(plain, x, y, chosen)
    )


def test_what_rounding_leaves_of_silent_units_decides_nothing():
    model = classifier(
        L.Dense(1024, activation="relu", use_bias=False, name="hidden"), use_bias=False
    )
    kernel = np.abs(noise(4, 1024))
    kernel[:, 512:] *= -1
    model.get_layer("hidden").kernel.assign(kernel)
    ours, expected = counts(model, [HALF, {}], np.abs(noise(900, 4)))
    np.testing.assert_array_equal(ours, expected)
    assert expected[0].sum() == 300  # all outputs are zero, and the first class is taken


def test_what_rounding_leaves_of_silent_feature_maps_decides_nothing():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            L.Conv2D(16, 3, activation="relu", use_bias=False, name="first"),
            L.Conv2D(6, 3, activation="relu", use_bias=False, name="second"),
            L.Flatten(),
            L.Dense(3, use_bias=False, name="out"),
        ]
    )
    kernel = np.abs(noise(3, 3, 1, 16))
    kernel[..., 8:] *= -1
    model.get_layer("first").kernel.assign(kernel)
    chosen = [{"first": np.arange(8)}, {"first": [2]}, {"second": np.arange(3)}]
    ours, expected = counts(model, chosen, np.abs(noise(200, 6, 6, 1)))
    np.testing.assert_array_equal(ours, expected)


@pytest.mark.slow
@pytest.mark.parametrize("size", [1e6, 1e12, 1e25, 3e38])
@pytest.mark.parametrize("n_lesioned", [1, 3, 6])
def test_units_with_huge_weights_vanish_with_their_lesion(size, n_lesioned):
    model = classifier(
        L.Dense(8, activation="relu", name="hidden"), L.Dense(9, activation="tanh", name="next")
    )
    kernel = model.get_layer("hidden").get_weights()[0]
    kernel[:, 3] = size
    model.get_layer("hidden").kernel.assign(kernel)
    chosen = [{"hidden": np.arange(3, 3 + n_lesioned) % 8}]
    ours, expected = counts(model, chosen)
    np.testing.assert_array_equal(ours, expected)
