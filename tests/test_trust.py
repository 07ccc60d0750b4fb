"""Models that are something else than they look like: exact, or refused in a sentence."""

import numpy as np
import pytest

import brute_force
from helpers import graphs, lesions, networks
from helpers.backend import keras
from helpers.lesions import engine, propagation

L = keras.layers
HALF = {"hidden": np.arange(512)}
HALF_OF_8 = {"hidden": [0, 2, 3, 7]}


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


class Sneaky(keras.Model):
    def __call__(self, inputs, training=False):
        return -super().__call__(inputs, training=training)


def replaced():
    """A model of a layer whose `call` was replaced, between two others."""
    odd = L.Dense(8, activation="relu", name="odd")
    model = classifier(L.Dense(8, activation="relu", name="hidden"), odd)
    call = odd.call
    odd.call = lambda inputs, training=None: call(inputs) + 1
    return model


def quantized():
    model = classifier(L.Dense(8, activation="relu", name="odd"))
    model.quantize("int8")
    return model


def with_weight(value):
    model = classifier(L.Dense(8, activation="relu", name="hidden"))
    kernel = model.get_layer("hidden").kernel
    kernel.assign(np.where(np.arange(8) == 3, value, kernel.numpy()))
    return model


@pytest.mark.parametrize(
    "make",
    [
        lambda: classifier(L.Dense(8, name="hidden"), Doubled(8)),
        lambda: classifier(L.Dense(8, name="hidden"), Reversed("tanh")),
        lambda: classifier(L.Dense(8, name="hidden"), KeepsHalf(0.5)),
        lambda: classifier(L.Dense(8, activation=relu, name="hidden")),
        lambda: classifier(L.Dense(8, activation="relu", name="hidden", dtype="mixed_bfloat16")),
        lambda: classifier(L.Dense(8, name="hidden"), L.Lambda(lambda z: keras.ops.sign(z))),
        lambda: classifier(L.Dense(8, name="hidden"), L.Lambda(lambda z: keras.ops.round(3 * z))),
        replaced,
    ],
    ids=[
        *("own dense", "own activation", "own dropout", "own relu", "bfloat16"),
        *("sign", "rounding", "replaced call"),
    ],
)
def test_models_that_are_no_plain_chain_are_lesioned_exactly(make):
    model = make()
    chosen = [{"hidden": [unit]} for unit in range(8)]
    chosen += [{}, HALF_OF_8, {"hidden": range(8)}, {"out": [0, 2]}, {"hidden": [3, 4], "out": [1]}]
    ours, expected = counts(model, chosen)
    np.testing.assert_array_equal(ours, expected)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: classifier(Doubled(8, name="odd")),
            r"'odd' \(Doubled, a class of its own, may do",
        ),
        (lambda: quantized(), r"'odd' \(its weights are quantized to int8\)"),
        (lambda: replaced(), r"'odd' \(its method `call` was replaced\)"),
    ],
)
def test_units_that_are_not_what_they_look_like_cannot_be_lesioned(make, message):
    with pytest.raises(ValueError, match=f"layer: no units in {message}"):
        lesions.correct(make(), noise(5, 4), np.zeros(5, int), [{"odd": [0]}])


def test_a_model_with_a_call_of_its_own_is_refused():
    for ask in (
        lambda model: lesions.correct(model, noise(5, 4), np.zeros(5, int), [{}]),
        lambda model: graphs.weight_graph(model),
    ):
        with pytest.raises(ValueError, match=r"'mine' \(Mirrored\) .* a method `call` of its own"):
            ask(mirrored())


def test_a_model_that_does_something_else_than_its_layers_is_found_by_running_it():
    image = keras.Input((4,))
    model = Sneaky(image, L.Dense(3)(L.Dense(5, activation="relu")(image)), name="mine")
    with pytest.raises(ValueError, match="'mine' does something else than its layers do one after"):
        lesions.correct(model, noise(5, 4), np.zeros(5, int), [{}])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_units_whose_weights_are_not_finite_vanish_with_their_lesion(value):
    model = with_weight(value)
    chosen = [{"hidden": units} for units in ([3], [0, 3], [0, 1, 2, 3, 4, 5], range(8))]
    ours, expected = counts(model, chosen)
    np.testing.assert_array_equal(ours, expected)
    assert len(np.unique(expected, axis=0)) > 1


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_have_no_graph(value):
    with pytest.raises(ValueError, match="layer 'hidden' has weights that are not finite"):
        graphs.weight_graph(with_weight(value))


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


def test_lesions_are_the_same_with_the_batches_and_norms_of_an_accelerator(monkeypatch):
    keras.utils.set_random_seed(0)
    model = networks.cnn((8, 8, 1), 10)
    rng = np.random.default_rng(0)
    x, y = rng.random((64, 8, 8, 1), np.float32), rng.integers(10, size=64)
    chosen = [{f"conv_{i}": rng.choice(64, n, replace=False)} for i in (1, 2) for n in (3, 20)]
    for module in (engine, propagation):
        monkeypatch.setattr(module, "ON_PROCESSOR", False)
    monkeypatch.setattr(propagation, "SHAPES_ARE_FREE", False)
    found = lesions.correct(model, x, y, chosen)
    np.testing.assert_array_equal(found, brute_force.correct(model, x, y, chosen))
