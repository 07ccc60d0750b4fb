"""Models that are something else than they look like: exact, or refused in a sentence."""

import numpy as np
import pytest

import brute_force
from helpers import forward, graphs, lesions, networks
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


def changed_later(model, change, chosen, x):
    """Lesions of a model before and after it was changed, beside brute force after."""
    lesions.correct(model, x, np.zeros(len(x), int), chosen)
    change(model)
    y = np.asarray(model(x)).argmax(axis=1)
    return lesions.correct(model, x, y, chosen), brute_force.correct(model, x, y, chosen)


@pytest.mark.parametrize(
    "change",
    [
        lambda model: setattr(model.get_layer("b"), "activation", keras.activations.relu),
        lambda model: setattr(model.get_layer("act"), "activation", keras.activations.tanh),
        lambda model: setattr(model.get_layer("bn"), "epsilon", 3.0),
        lambda model: setattr(model.get_layer("conv"), "dilation_rate", (2, 2)),
    ],
    ids=["activation", "activation layer", "epsilon", "dilation"],
)
def test_what_is_changed_about_a_model_between_two_calls_is_seen(change):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            L.Conv2D(8, 3, padding="same", name="first"),
            L.BatchNormalization(name="bn"),
            L.Activation("relu", name="act"),
            L.Conv2D(8, 3, padding="same", name="conv"),
            L.Flatten(),
            L.Dense(12, "sigmoid", name="b"),
            L.Dense(4, name="out"),
        ]
    )
    chosen = [{}, *({"first": [i, i + 1]} for i in range(7)), *({"b": [i]} for i in range(9))]
    ours, theirs = changed_later(model, change, chosen, noise(80, 6, 6, 2))
    assert ours[0].all()
    np.testing.assert_array_equal(ours, theirs)


def test_a_layer_that_is_named_twice_is_lesioned_in_all_units_that_are_named():
    keras.utils.set_random_seed(1)
    shared = L.Dense(12, "relu", name="shared")
    inside = keras.Sequential([keras.Input((12,)), shared], name="inner")
    given = keras.Input((12,))
    model = keras.Model(given, L.Dense(3, name="out")(inside(shared(given))))
    x, y = noise(200, 12), np.arange(200) % 3
    asked = [{"shared": [0, 1], "inner/shared": [2, 3]}, {"shared": [0, 1, 2, 3]}]
    found = lesions.correct(model, x, y, asked)
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[1], brute_force.correct(model, x, y, asked[1:])[0])
    assert list(forward.read(model).layers) == ["shared", "out"]


def test_double_precision_stays_so():
    given = keras.Input((2,), dtype="float64")
    scaled = L.Normalization(mean=[1e9, 1e9], variance=[1.0, 1.0], dtype="float64")(given)
    hidden = L.Dense(6, "relu", dtype="float64", name="hidden")(scaled)
    model = keras.Model(given, L.Dense(3, dtype="float64", name="out")(hidden))
    x = 1e9 + noise(100, 2).astype(np.float64)
    y = np.asarray(model(x)).argmax(axis=1)
    chosen = [{}, {"hidden": [0, 3]}]
    ours = lesions.correct(model, x, y, chosen)
    assert ours[0].all()
    np.testing.assert_array_equal(ours, brute_force.correct(model, x, y, chosen))


class Marks(L.Layer):
    """Masks rows of zeros and hands on its input itself, whose other readers see the mask, too."""

    supports_masking = True

    def compute_mask(self, inputs, previous=None):
        return keras.ops.any(keras.ops.not_equal(inputs, 0), axis=-1)

    def call(self, inputs):
        return inputs


def test_a_model_that_departs_from_its_layers_on_later_images_only_is_refused():
    keras.utils.set_random_seed(0)
    given = keras.Input((7, 4))
    hidden = L.Dense(8, "relu", name="hidden")(Marks()(given))
    model = keras.Model(given, L.Dense(5)(L.LSTM(6)(L.Multiply()([hidden, L.Dense(1)(given)]))))
    x = noise(80, 7, 4)
    assert lesions.correct(model, x, np.zeros(80, int), [{}]).shape == (1, 80)
    x[10:, 3:] = 0
    with pytest.raises(ValueError, match="does something else than its layers do"):
        lesions.correct(model, x, np.zeros(80, int), [{}])


@pytest.mark.parametrize(
    "mixed", [lambda o: o - keras.ops.mean(o, axis=0), L.Softmax(axis=0)], ids=["mean", "softmax"]
)
def test_a_model_whose_images_depend_on_each_other_is_refused(mixed):
    given = keras.Input((4,))
    scores = L.Dense(3, name="out")(L.Dense(5, "relu", name="hidden")(given))
    with pytest.raises(ValueError, match="depends on the images beside it"):
        lesions.correct(keras.Model(given, mixed(scores)), noise(40, 4), np.zeros(40, int), [{}])


def test_what_a_softmax_makes_equal_is_judged_as_equal():
    model = classifier(L.Dense(16, "relu", name="hidden"))
    model.get_layer("out").kernel.assign(1e-8 * model.get_layer("out").kernel)
    x = noise(300, 4)
    y = np.asarray(model(x)).argmax(axis=1)
    assert lesions.correct(model, x, y, [{}]).all()


def test_inputs_may_be_named_in_any_order():
    image, other = keras.Input((4,), name="z"), keras.Input((3,), name="a")
    both = L.Concatenate()([L.Dense(5, "relu", name="hidden")(image), other])
    model = keras.Model({"z": image, "a": other}, L.Dense(3, name="out")(both))
    x = {"a": noise(50, 3, seed=1), "z": noise(50, 4)}
    y = np.asarray(model(x)).argmax(axis=1)
    assert lesions.correct(model, x, y, [{}, {"hidden": [0]}])[0].all()


def test_feature_maps_whose_channels_come_first_respond_as_if_they_came_last():
    def network(order):
        shape = (3, 8, 6) if order == "channels_first" else (8, 6, 3)
        keras.utils.set_random_seed(0)
        given = keras.Input(shape)
        maps = L.Conv2D(5, 3, data_format=order, name="a")(given)
        maps = L.ReLU(name="b")(maps)
        maps = L.Conv2D(4, 3, data_format=order, name="c")(maps)
        pooled = L.GlobalAveragePooling2D(data_format=order)(maps)
        return keras.Model(given, L.Dense(3, name="out")(pooled))

    x = noise(40, 8, 6, 3)
    last, first = network("channels_last"), network("channels_first")
    first.set_weights(last.get_weights())
    moved = np.ascontiguousarray(np.moveaxis(x, -1, 1))
    for layer, width in (("a", 5), ("b", 5), ("c", 4)):
        assert forward.n_units(first, layer) == width
        np.testing.assert_allclose(
            forward.activations(first, moved, layer), forward.activations(last, x, layer), atol=1e-5
        )
    ours, theirs = graphs.activation_graph(first, moved), graphs.activation_graph(last, x)
    assert ours.widths == theirs.widths
    np.testing.assert_allclose(
        ours.adjacency, theirs.adjacency, atol=0.02
    )  # Ranks may differ where values nearly tie.


def test_lesions_that_are_no_mappings_are_refused():
    model = classifier(L.Dense(5, name="hidden"))
    with pytest.raises(ValueError, match="lesions: 'hidden' was given; accepted is a sequence of"):
        lesions.correct(model, noise(9, 4), np.zeros(9, int), {"hidden": [0]})
