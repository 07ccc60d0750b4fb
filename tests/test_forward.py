"""Models as steps: called one after the other, they do what the model does."""

import re

import numpy as np
import pytest
import scipy.special

from helpers import forward, networks
from helpers.backend import keras
from helpers.forward import rules

L = keras.layers


def noise(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def randomised(model):
    """The model with biases and normalisation statistics that are not at their defaults."""
    rng = np.random.default_rng(1)
    model.set_weights([w + rng.uniform(-0.5, 0.5, w.shape) for w in model.get_weights()])
    return model


def between(*layers):
    """A convolution `a` and a dense layer `out`, with layers between them."""
    return keras.Sequential(
        [
            keras.Input((6, 6, 2), name="image"),
            L.Conv2D(4, 3, activation="relu", name="a"),
            *layers,
            L.Flatten(),
            L.Dense(3, activation="softmax", name="out"),
        ]
    )


def normalised():
    return between(
        *(L.MaxPooling2D(2), L.BatchNormalization(name="first"), L.Dropout(0.5)),
        *(L.Conv2D(5, 2, padding="same", name="b"), L.Activation("tanh"), L.AveragePooling2D(2)),
        *(L.Flatten(), L.Dense(6, use_bias=False, name="c"), L.BatchNormalization(), L.ReLU()),
    )


def functional():
    image = keras.Input((6, 6, 2), name="image")
    z = L.Rescaling(2, offset=-1)(image)
    z = L.Conv2D(4, 3, strides=2, padding="same", use_bias=False, name="a")(z)
    z = L.Activation("relu")(L.BatchNormalization(name="norm")(z))
    z = L.Conv2D(5, 2, dilation_rate=2, activation="elu", name="b")(z)
    z = L.Dense(6, activation="gelu", name="c")(L.GlobalMaxPooling2D()(z))
    return keras.Model(image, L.Activation("softmax")(L.Dense(3, name="out")(z)))


MODELS = [
    between,
    normalised,
    functional,
    lambda: between(L.GlobalAveragePooling2D(), L.Activation("relu"), L.Dense(5, name="b")),
    lambda: between(L.Flatten(), L.BatchNormalization(), L.Activation("relu"), L.Dense(5)),
    lambda: networks.mlp((6, 6, 2), 3, dropout=0.5, width=7),
    lambda: networks.cnn((6, 6, 2), 3, channels=4, dense_width=5),
]


@pytest.mark.parametrize("make", MODELS)
def test_calling_the_steps_gives_the_models_outputs_to_the_last_bit(make):
    model, x = randomised(make()), noise(20, 6, 6, 2)
    program = forward.read(model)
    (found,) = program.values((x,), program.outputs)
    np.testing.assert_array_equal(found, model(x, training=False))


def with_skips():
    image = keras.Input((6, 6, 2), name="image")
    first = L.Conv2D(4, 3, padding="same", activation="relu", name="a")(image)
    z = L.Conv2D(4, 3, padding="same", name="b")(first)
    z = L.Add()([z, first])
    side = L.Conv2D(3, 1, activation="relu", name="c")(image)
    z = L.Concatenate()([z, side, image])
    return keras.Model(image, L.Dense(3, activation="softmax", name="out")(L.Flatten()(z)))


@pytest.mark.parametrize("make", [normalised, functional, with_skips])
def test_from_any_step_on_the_model_goes_on_to_the_last_bit(make):
    program, x = forward.read_classifier(randomised(make())), noise(20, 6, 6, 2)
    for index in program.path:
        before = sorted(program.before(index))
        known = dict(zip(before, program.values((x,), before), strict=True))
        step = program.steps[index]
        lesion = {index: np.array([0, 2])} if step.n_units else {}
        wanted = [program.scores, step.outputs[0]]
        for found, expected in zip(
            program.values_from(known, wanted, lesion),
            program.values((x,), wanted, lesion),
            strict=True,
        ):
            np.testing.assert_array_equal(found, expected)
        made = {each for earlier in program.steps[:index] for each in earlier.outputs}
        assert program.before(index) <= made | set(program.inputs)


def test_layers_with_units_are_listed_in_order():
    program = forward.read_classifier(normalised())
    assert list(program.layers) == ["a", "b", "c", "out"]
    assert [program.steps[sites[0]].n_units for sites in program.layers.values()] == [4, 5, 6, 3]
    assert [program.order(name) for name in ("a", "out")] == [0, 3]
    assert program.input_names == ("image",)
    assert program.n_classes == 3


def test_a_layers_activation_is_a_step_of_its_own():
    program = forward.read(between())
    (site,) = program.sites("a")
    pre, post = program.steps[site : site + 2]
    assert (pre.name, post.name, pre.outputs, post.n_units) == ("a", "a", post.inputs, 0)
    x = noise(5, 6, 6, 2)
    before, after = program.values((x,), [pre.outputs[0], post.outputs[0]])
    assert np.min(before) < 0
    np.testing.assert_array_equal(np.maximum(before, 0), after)


def test_scores_are_what_a_final_softmax_takes_in():
    for make in CLASSIFIERS:
        program, x = forward.read_classifier(make()), noise(9, 4)
        scores, outputs = program.values((x,), [program.scores, *program.outputs])
        assert program.scores not in program.outputs
        np.testing.assert_allclose(scipy.special.softmax(scores, axis=1), outputs, rtol=1e-5)


def dense(*layers):
    return keras.Sequential([keras.Input((4,)), *layers, L.Dense(3, name="out")])


def branching():
    image = keras.Input((4,), name="image")
    a, b = (L.Dense(4, activation="relu", name=name)(image) for name in "ab")
    return keras.Model(image, L.Dense(3, name="out")(L.Add(name="sum")([a, b])))


def two_outputs():
    image = keras.Input((4,))
    return keras.Model(image, [L.Dense(3)(image), L.Dense(2)(image)], name="two")


def shared():
    """A layer that is used twice, once in a model that is used in a model."""
    image, layer = keras.Input((4,)), L.Dense(4, activation="relu", name="shared")
    inside = keras.Sequential([keras.Input((4,)), layer, L.Dense(4, name="own")], name="inside")
    return keras.Model(image, L.Dense(3, name="out")(inside(layer(image))), name="outside")


def test_layers_inside_models_are_known_by_both_names_and_shared_ones_by_that_of_their_first_use():
    program = forward.read(shared())
    assert list(program.layers) == ["shared", "inside/own", "out"]
    assert program.layer("own") == program.layer("inside/own") == "inside/own"
    assert program.layer("inside/shared") == program.layer("shared") == "shared"


def test_a_layer_has_a_site_for_each_of_its_uses():
    program = forward.read(shared())
    assert program.sites("shared") == program.sites("inside/shared")
    assert len(program.sites("shared")) == 2
    assert len(program.sites("own")) == 1


def test_a_name_that_several_layers_have_is_refused():
    image = keras.Input((4,))
    inside = [
        keras.Sequential([keras.Input((4,)), L.Dense(4, name="same")], name=name) for name in "ab"
    ]
    program = forward.read(keras.Model(image, inside[1](inside[0](image))))
    with pytest.raises(
        ValueError, match="'same' may be any of a/same, b/same; accepted are a/same"
    ):
        program.sites("same")


def test_the_output_of_a_layer_that_is_used_twice_is_refused():
    image, layer = keras.Input((4,)), L.Dense(4, name="shared")
    model = keras.Model(image, layer(layer(image)))
    with pytest.raises(ValueError, match="'shared' is used 2 times, so it has several outputs"):
        forward.activations(model, noise(2, 4), "shared")


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__(name="own")
        self.out = L.Dense(3)

    def call(self, x):
        return self.out(x)


def subclassed():
    model = Subclassed()
    model(noise(1, 4))
    return model


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (two_outputs, r"'two' has 2 outputs; choose one of them with keras.Model\(model.inputs"),
        (subclassed, "'own' .* is not built, or no Sequential or functional model"),
        (
            lambda: keras.Sequential([L.Dense(3)], name="raw"),
            "'raw' .* is not built, or no Sequential or functional model",
        ),
        (
            lambda: keras.Sequential([keras.Input((4, 4)), L.Dense(3)], name="many"),
            r"'many' puts out arrays of shape \(None, 4, 3\); accepted are scores",
        ),
        (
            lambda: keras.Sequential([keras.Input((4,)), L.Dense(1)], name="single"),
            "'single' has a single score that is no sigmoid",
        ),
    ],
)
def test_models_that_are_no_classifiers_that_can_be_read_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        forward.read_classifier(make())


def test_a_layer_without_units_is_refused_with_those_that_have_some():
    program = forward.read(between(L.ReLU(name="odd")))
    with pytest.raises(
        ValueError, match=r"no units in 'odd' \(a ReLU has none\); accepted are a, out"
    ):
        program.sites("odd")
    with pytest.raises(ValueError, match="there is no layer 'none'; accepted are a, out"):
        program.order("none")


def test_contributions_of_some_inputs_and_the_others_add_up():
    rng = np.random.default_rng(0)
    layers = [
        (L.Dense(5), (6,)),
        (L.Dense(5), (3, 6)),
        (L.Conv1D(5, 3, strides=2), (9, 6)),
        (L.Conv2D(5, 3, padding="same", dilation_rate=2), (7, 7, 6)),
        (L.Conv2D(6, 3, groups=3), (7, 7, 6)),
        (L.Conv3D(5, 2), (4, 4, 4, 6)),
        (L.Conv1DTranspose(5, 3, strides=2), (5, 6)),
        (L.Conv2DTranspose(5, 3, strides=2, padding="same"), (5, 5, 6)),
        (L.Conv3DTranspose(5, 2), (3, 3, 3, 6)),
        (L.SeparableConv1D(5, 3, depth_multiplier=2), (9, 6)),
        (L.SeparableConv2D(5, 3, padding="same"), (7, 7, 6)),
    ]
    for layer, shape in layers:
        x = rng.normal(size=(3, *shape)).astype(np.float32)
        expected = randomised(keras.Sequential([keras.Input(shape), layer]))(x)
        rule = rules.rule_of_units(layer)
        some, others = np.split(rng.permutation(6), [2])
        parts = [np.asarray(rule.contribution(x[..., each], each)) for each in (some, others)]
        np.testing.assert_allclose(sum(parts) + rule.bias, expected, rtol=1e-3, atol=1e-4)


def test_activations_are_what_the_layers_give_one_after_the_other():
    model, x = randomised(normalised()), noise(20, 6, 6, 2)
    z = x
    for layer in model.layers:
        z = layer(z)
        if layer.name in ("a", "first", "b", "c", "out"):
            found = forward.activations(model, x, layer.name)
            np.testing.assert_allclose(found, z, rtol=1e-4, atol=1e-5)


def test_activations_of_a_branching_model_are_those_of_the_layer():
    model, x = randomised(branching()), noise(6, 4)
    a, b = (
        np.maximum(x @ kernel + bias, 0)
        for kernel, bias in (model.get_layer(name).get_weights() for name in "ab")
    )
    for layer, expected in (("image", x), ("a", a), ("b", b), ("sum", a + b)):
        found = forward.activations(model, x, layer)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("batch_size", [1, 7])
def test_activations_do_not_depend_on_how_inputs_are_batched(batch_size):
    model, x = randomised(normalised()), noise(20, 6, 6, 2)
    whole = forward.activations(model, x, "b")
    in_batches = forward.activations(model, x, "b", batch_size)
    assert (whole.dtype, whole.shape) == (np.float32, (20, 2, 2, 5))
    np.testing.assert_allclose(in_batches, whole, rtol=1e-5, atol=1e-6)


@pytest.mark.filterwarnings("error")
def test_activations_come_without_a_warning():
    forward.activations(branching(), noise(2, 4), "sum")


def test_images_of_whole_numbers_are_cast_as_the_model_casts_them():
    """Of bytes, 200 + 200 is 144."""
    image = keras.Input((8,))
    doubled = L.Dense(4, activation="relu", name="hidden")(L.Add()([image, image]))
    model = keras.Model(image, L.Dense(3, name="out")(doubled))
    x = np.random.default_rng(0).integers(0, 256, (50, 8), dtype=np.uint8)
    for given in (x, x.astype(np.int64), x.tolist()):
        hidden = forward.activations(model, given, "hidden")
        np.testing.assert_array_equal(
            hidden, forward.activations(model, x.astype(np.float32), "hidden")
        )
        np.testing.assert_allclose(
            forward.logits(model, given), model.predict(x, verbose=0), rtol=1e-4
        )


def test_activations_of_a_layer_that_does_not_exist_are_refused():
    with pytest.raises(ValueError, match="no layer 'c'; accepted are image, a, b, sum, out"):
        forward.activations(branching(), noise(2, 4), "c")


@pytest.mark.parametrize(
    ("batch_size", "sizes"), [(1, [1] * 7), (3, [3, 3, 1]), (7, [7]), (9, [7])]
)
def test_batches_of_activations_are_the_activations_one_after_the_other(batch_size, sizes):
    model, x = randomised(normalised()), noise(7, 6, 6, 2)
    batches = list(forward.batches_of_activations(model, x, ("a", "b", "out"), batch_size))
    assert [list(batch) for batch in batches] == [["a", "b", "out"]] * len(sizes)
    for layer in ("a", "b", "out"):
        assert [len(batch[layer]) for batch in batches] == sizes
        together = np.concatenate([batch[layer] for batch in batches])
        np.testing.assert_array_equal(together, forward.activations(model, x, layer, batch_size))
        assert together.dtype == np.float32


@pytest.mark.parametrize("layers", [("b",), ("sum", "a"), ["out", "image", "sum", "a", "b"]])
def test_several_layers_come_from_one_pass_in_the_order_asked_for(layers):
    passes = []

    class Counting(L.Layer):
        def call(self, x):
            passes.append(x.shape[0])
            return x

    image = keras.Input((4,), name="image")
    counted = Counting()(image)
    a, b = (L.Dense(4, activation="relu", name=name)(counted) for name in "ab")
    model = keras.Model(image, L.Dense(3, name="out")(L.Add(name="sum")([a, b])))
    passes.clear()
    batches = list(forward.batches_of_activations(model, noise(5, 4), layers, batch_size=2))
    assert [size for size in passes if size] == [2, 2, 1]
    assert [list(batch) for batch in batches] == [list(layers)] * 3


def test_without_inputs_there_are_no_batches_and_no_activations():
    model = normalised()
    assert not list(forward.batches_of_activations(model, noise(0, 6, 6, 2), ("a",)))
    found = forward.activations(model, noise(0, 6, 6, 2), "a")
    assert (found.shape, found.dtype) == ((0, 4, 4, 4), np.float32)


@pytest.mark.parametrize("n", [0, 3])
@pytest.mark.parametrize("shape", [(6, 6, 1), (5, 6, 2), (72,), (6, 6), (1, 6, 6, 2)])
def test_inputs_of_another_shape_are_refused(shape, n):
    model, x = between(), noise(n, *shape)
    message = "x: inputs of shape {} were given; '{}' takes {}".format(
        *(re.escape(str(each)) for each in (shape, model.name, (6, 6, 2)))
    )
    with pytest.raises(ValueError, match=message):
        forward.activations(model, x, "a")
    with pytest.raises(ValueError, match=message):
        list(forward.batches_of_activations(model, x, ("a", "out")))


def test_sizes_that_a_model_leaves_open_may_be_any():
    open_sizes = keras.Input((None, None, 2))
    model = keras.Model(open_sizes, L.Conv2D(3, 2, name="a")(open_sizes))
    assert forward.activations(model, noise(2, 5, 7, 2), "a").shape == (2, 4, 6, 3)
    with pytest.raises(ValueError, match=r"takes \(None, None, 2\)"):
        forward.activations(model, noise(2, 5, 7, 1), "a")


def test_batches_of_a_layer_that_does_not_exist_are_refused():
    with pytest.raises(ValueError, match="no layer 'c'; accepted are image, a, b, sum, out"):
        list(forward.batches_of_activations(branching(), noise(2, 4), ("a", "c")))


def ending(*layers):
    """A hidden layer `a` with these layers behind it."""
    hidden = L.Dense(5, activation="relu", name="a")
    return randomised(keras.Sequential([keras.Input((4,)), hidden, *layers], name="ending"))


def branching_softmax():
    image = keras.Input((4,), name="image")
    a, b = (L.Dense(4, activation="relu", name=name)(image) for name in "ab")
    return randomised(keras.Model(image, L.Dense(3, activation="softmax")(L.Add()([a, b]))))


CLASSIFIERS = [
    lambda: ending(L.Dense(3, activation="softmax")),
    lambda: ending(L.Dense(3, use_bias=False), L.Activation("softmax")),
    lambda: ending(L.BatchNormalization(), L.Dropout(0.5), L.Dense(3), L.Softmax()),
    branching_softmax,
    lambda: randomised(keras.Sequential([keras.Input((4,)), L.Dense(3, activation="softmax")])),
]


@pytest.mark.parametrize("make", CLASSIFIERS)
def test_the_softmax_of_the_logits_is_what_the_model_puts_out(make):
    model, x = make(), noise(20, 4)
    found = forward.logits(model, x)
    assert (found.dtype, found.shape) == (np.float64, (20, 3))
    expected = model.predict(x, verbose=0)
    np.testing.assert_allclose(scipy.special.softmax(found, axis=1), expected, rtol=1e-4)


@pytest.mark.parametrize("use_bias", [True, False])
def test_linear_outputs_are_logits(use_bias):
    model, x = ending(L.Dense(3, use_bias=use_bias)), noise(20, 4)
    expected = model.predict(x, verbose=0)
    np.testing.assert_allclose(forward.logits(model, x), expected, rtol=1e-4, atol=1e-6)


def test_the_last_product_is_done_in_double_precision():
    model, x = ending(L.Dense(3, activation="softmax", name="out")), noise(20, 4)
    kernel, bias = (each.astype(np.float64) for each in model.get_layer("out").get_weights())
    expected = forward.activations(model, x, "a").astype(np.float64) @ kernel + bias
    np.testing.assert_allclose(forward.logits(model, x), expected, rtol=1e-12)
    assert (expected != expected.astype(np.float32)).any()


def test_outputs_that_saturate_have_different_logits():
    model, x = ending(L.Dense(3, activation="softmax")), 300 * noise(20, 4)
    certain = model.predict(x, verbose=0).max(axis=1) == 1
    assert certain.sum() > 5
    assert len(np.unique(np.ptp(forward.logits(model, x)[certain], axis=1))) == certain.sum()


@pytest.mark.parametrize("batch_size", [1, 7, 20, 100])
def test_logits_do_not_depend_on_how_inputs_are_batched(batch_size):
    model, x = branching_softmax(), noise(20, 4)
    found = forward.logits(model, x, batch_size)
    np.testing.assert_allclose(found, forward.logits(model, x), rtol=1e-5, atol=1e-6)


def test_without_inputs_there_are_no_logits():
    for make in CLASSIFIERS:
        found = forward.logits(make(), noise(0, 4))
        assert (found.dtype, found.shape) == (np.float64, (0, 3))


def two_softmaxes():
    image = keras.Input((4,))
    outputs = [L.Dense(3, activation="softmax", name=name)(image) for name in "ab"]
    return keras.Model(image, outputs, name="two")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ending(L.Dense(1, activation="sigmoid", name="odd")), r"'odd' \(Dense, sigmoid\)"),
        (lambda: ending(L.Dense(3), L.ReLU(name="odd")), r"'odd' \(ReLU, no activation\)"),
        (
            lambda: ending(L.Dense(3), L.Activation("tanh", name="odd")),
            r"'odd' \(Activation, tanh\)",
        ),
        (
            lambda: ending(L.Dense(3), L.BatchNormalization(name="odd")),
            r"'odd' \(BatchNormalization, no activation\)",
        ),
        (
            lambda: keras.Sequential(
                [keras.Input((4, 4, 1)), L.Conv2D(3, 2, activation="softmax", name="odd")]
            ),
            "ends in 'odd'",
        ),
        (
            lambda: keras.Sequential([keras.Input((4, 4, 1)), L.Dense(3, name="odd")]),
            "ends in 'odd'",
        ),
        (two_softmaxes, "model: 'two' ends in 'a'"),
    ],
)
def test_models_that_end_in_no_classifier_have_no_logits(make, message):
    with pytest.raises(ValueError, match=f"{message}.*accepted are one softmax, or one dense"):
        forward.logits(make(), noise(2, 4))
