"""Input construction: many images in one graph are what Lucid makes of each alone."""

import decimal
import functools
import logging
import re
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.special

import brute_force
from helpers import forward, networks
from helpers.backend import keras
from helpers.construction import (
    Construction,
    construct,
    constructions,
    entropy,
    lucid_graph,
    optimisation,
    subclusters,
)
from helpers.construction import lucid_bridge as bridge
from helpers.partitions import Partition

pytestmark = pytest.mark.lucid


L = keras.layers
tf, tf1 = bridge.tf, bridge.tf1
param, transform = bridge.param, bridge.transform


def lively(model):
    """The model with random weights and biases under which most units respond to most images."""
    rng = np.random.default_rng(1)
    old = model.get_weights()
    model.set_weights([rng.uniform(-0.5, 0.8, w.shape) / np.sqrt(len(w)) for w in old])
    return model


def mlp(shape=(8, 8, 1)):
    return lively(networks.mlp(shape, 3, width=6, depth=2))


def cnn():
    return lively(networks.cnn((8, 8, 3), 3, channels=4, dense_width=5))


def branching():
    image = keras.Input((8, 8, 1), name="image")
    a, b = (
        L.Conv2D(3, 3, padding="same", activation="relu", name=name)(each)
        for name, each in (("a", image), ("b", L.AveragePooling2D(3, 1, "same")(image)))
    )
    added = L.Add(name="sum")([a, b])
    hidden = L.Dense(4, activation="relu", name="c")(L.Flatten(name="flat")(added))
    return lively(keras.Model(image, L.Dense(3, activation="softmax", name="out")(hidden)))


def last(*layers, shape=(6, 6, 1)):
    """A model of a hidden layer `a` with these layers behind it."""
    hidden = (L.Flatten(), L.Dense(4, activation="relu", name="a"))
    return keras.Sequential([keras.Input(shape, name="input"), *hidden, *layers], name="last")


@functools.cache
def initial(shape, n, **options):
    """The images that `construct` begins with, whatever the model."""
    model = keras.Sequential([keras.Input(shape), L.Flatten(name="a"), L.Dense(2)])
    options = {"n_steps": 1, "learning_rate": 0.0, "transforms": [], **options}
    return construct(model, "a", [[0]] * n, **options).images


def mean_activity(model, layer, images, units):
    """The score of one image, from the layer's activations on it."""
    activity = forward.activations(model, images[np.newaxis], layer)[0].astype(float)
    return np.mean([activity[..., unit].mean() for unit in units])


SETS = [[0, 1, 2], [3], [2, 0]]

MODELS = [
    (mlp, "dense_2"),
    (cnn, "conv_2"),
    (branching, "sum"),
]


@pytest.mark.parametrize(("make", "layer"), MODELS)
def test_many_images_in_one_graph_are_those_that_lucid_makes_of_each_alone(make, layer):
    model, sets = make(), [[0, 1, 2], [2, 0]]
    made = construct(model, layer, sets, n_steps=30, transforms=[])
    shape = made.images.shape[1:]
    starts = initial(shape, 2)
    for units, start, image, score in zip(sets, starts, made.images, made.scores, strict=True):
        alone = brute_force.constructed(
            *(model, layer, units, brute_force.pixels(start)),
            parameterise=lambda: param.to_valid_rgb(param.naive([1, *shape])),
            n_steps=30,
        )
        np.testing.assert_allclose(image, alone, atol=1e-3)
        assert score == pytest.approx(mean_activity(model, layer, alone, units), abs=1e-4)
        assert np.abs(image - start).max() > 0.1


def test_fourier_and_decorrelated_images_are_those_that_lucid_makes_by_default():
    model, sets, options = cnn(), [[0, 1], [2]], {"fourier": True, "decorrelate": True}
    made = construct(model, "conv_3", sets, n_steps=30, transforms=[], **options)
    starts = initial((8, 8, 3), 2, **options)
    for units, start, image, score in zip(sets, starts, made.images, made.scores, strict=True):
        alone = brute_force.constructed(
            *(model, "conv_3", units, brute_force.coefficients(start)),
            parameterise=lambda: param.image(8),
            n_steps=30,
        )
        np.testing.assert_allclose(image, alone, atol=1e-3)
        assert score == pytest.approx(mean_activity(model, "conv_3", alone, units), abs=1e-4)
        assert np.abs(image - start).max() > 0.1


@pytest.mark.parametrize(
    ("sizes", "options"),
    [((1, 2), {}), ((2,), {"transforms": []}), ((1,), {"fourier": True})],
    ids=["pixels", "no transforms", "Fourier"],
)
def test_images_do_not_depend_on_how_many_share_a_graph(sizes, options):
    model = mlp()
    together = construct(model, "dense_2", SETS, n_steps=15, **options)
    for size in sizes:
        made = construct(model, "dense_2", SETS, n_steps=15, chunk_size=size, **options)
        np.testing.assert_allclose(made.images, together.images, atol=1e-4)
        np.testing.assert_allclose(made.scores, together.scores, atol=1e-4)
        np.testing.assert_allclose(made.entropies, together.entropies, atol=1e-4)


def test_by_default_memory_decides_how_many_images_share_a_graph(monkeypatch):
    sizes = []

    def spy(images):
        sizes.append(images.shape[0])
        return images

    def largest(**options):
        sizes.clear()
        construct(mlp(), "dense_2", SETS, n_steps=1, transforms=[spy], **options)
        return max(sizes)

    assert largest() == 3
    assert largest(chunk_size=7) == 3
    monkeypatch.setattr(optimisation, "_CHUNK_BYTES", 2 * 4 * 64)
    assert largest() == 2
    monkeypatch.setattr(optimisation, "_CHUNK_BYTES", 1)
    assert largest() == 1


@pytest.fixture(scope="module", params=[0, 1, 2])
def made(request):
    """A model, a layer, and what was made for SETS of its units with the default transforms."""
    make, layer = MODELS[request.param]
    model = make()
    sets = [[units % 3 for units in each] for each in SETS]
    return model, layer, sets, construct(model, layer, sets, n_steps=60)


def test_images_are_like_the_models_inputs_and_between_0_and_1(made):
    model, layer, sets, found = made
    assert found.layer == layer
    assert found.images.shape == (len(sets), *model.inputs[0].shape[1:])
    assert found.images.dtype == np.float32
    assert 0 <= found.images.min() < found.images.max() <= 1


def test_scores_are_mean_activations_on_the_final_images_without_transforms(made):
    model, layer, sets, found = made
    expected = [mean_activity(model, layer, *each) for each in zip(found.images, sets, strict=True)]
    assert found.scores.shape == (len(sets),)
    np.testing.assert_allclose(found.scores, expected, rtol=1e-5)


def test_activations_are_those_of_each_unit_ascending(made):
    model, layer, sets, found = made
    for units, image, activity in zip(sets, found.images, found.activations, strict=True):
        expected = [mean_activity(model, layer, image, [unit]) for unit in sorted(units)]
        np.testing.assert_allclose(activity, expected, rtol=1e-5)


def test_entropies_are_those_of_the_models_outputs(made):
    model, _, _, found = made
    outputs = model.predict(found.images, verbose=0).astype(float)
    expected = scipy.special.entr(outputs).sum(axis=1)
    np.testing.assert_allclose(found.entropies, expected, rtol=1e-4)


def test_every_image_drives_its_units_more_than_the_noise_it_began_with(made):
    model, layer, sets, found = made
    starts = initial(found.images.shape[1:], len(sets))
    before = [mean_activity(model, layer, *each) for each in zip(starts, sets, strict=True)]
    assert (found.scores > 1.2 * np.array(before)).all()


def test_an_image_drives_its_own_units_more_than_the_other_images_do():
    model = mlp()
    sets = [[0, 1], [2, 3], [4, 5]]
    images = construct(model, "dense_1", sets, n_steps=100, transforms=[]).images
    scores = [[mean_activity(model, "dense_1", image, units) for units in sets] for image in images]
    np.testing.assert_array_equal(np.argmax(scores, axis=0), range(3))


def test_the_same_seed_gives_the_same_bits_whatever_numpy_has_drawn_before():
    model = mlp()
    np.random.seed(1)  # noqa: NPY002
    first = construct(model, "dense_2", SETS, seed=5, n_steps=10)
    np.random.seed(2)  # noqa: NPY002
    tf.random.set_seed(3)
    again = construct(model, "dense_2", SETS, seed=5, n_steps=10)
    for name in ("images", "scores", "entropies"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))


def test_another_seed_gives_other_noise():
    noises = [initial((8, 8, 1), 2, seed=seed) for seed in (0, 1)]
    assert not np.isclose(noises[0], noises[1], atol=1e-6).all(axis=(1, 2, 3)).any()


def test_each_image_begins_with_its_own_small_noise():
    noise = scipy.special.logit(initial((8, 8, 1), 9).astype(float))
    assert len(np.unique(noise.round(6).reshape(9, -1), axis=0)) == 9
    assert abs(noise.mean()) < 0.002
    assert noise.std() == pytest.approx(0.01, rel=0.2)


def test_by_default_images_are_jittered_and_scaled():
    default, explicit, none = (
        construct(mlp(), "dense_1", [[0]], n_steps=5, **options).images
        for options in (
            {},
            {"transforms": lucid_graph.small_transforms()},
            {"transforms": []},
        )
    )
    np.testing.assert_array_equal(default, explicit)
    assert (default != none).any()


def test_transforms_are_taken_in_each_step_but_not_in_the_score():
    darkened = construct(mlp(), "dense_1", SETS, n_steps=5, transforms=[lambda images: 0 * images])
    np.testing.assert_array_equal(darkened.images, initial((8, 8, 1), 3))
    assert (darkened.scores > 0).all()


def test_images_that_transforms_made_larger_or_smaller_are_cropped_or_padded():
    sizes = []

    def spy(images):
        sizes.append(images.shape[1])
        return images

    for change in (transform.pad(3), transform.jitter(3)):
        made = construct(mlp(), "dense_1", [[0]], n_steps=1, transforms=[change, spy])
        assert made.images.shape == (1, 8, 8, 1)
    assert set(sizes) == {14, 5}


@pytest.mark.parametrize(
    ("shape", "options"),
    [((8, 8, 3), {"decorrelate": True}), ((7, 10, 2), {}), ((10, 7, 1), {"fourier": True})],
)
def test_images_may_have_any_shape(shape, options):
    model = mlp(shape)
    made = construct(model, "dense_2", [[0, 1]], n_steps=20, transforms=[], **options)
    assert made.images.shape == (1, *shape)
    (start,) = initial(shape, 1, **options)
    assert made.scores[0] > mean_activity(model, "dense_2", start, [0, 1])


@pytest.mark.parametrize(("layer", "n_units"), [("image", 1), ("flat", 192), ("out", 3)])
def test_units_may_be_those_of_any_layer(layer, n_units):
    model, units = branching(), sorted({0, n_units - 1})
    made = construct(model, layer, [units], n_steps=20, transforms=[])
    expected = mean_activity(model, layer, made.images[0], units)
    assert made.scores[0] == pytest.approx(expected, rel=1e-5)
    (start,) = initial((8, 8, 1), 1)
    assert made.scores[0] > mean_activity(model, layer, start, units)


@pytest.mark.parametrize(("low", "high"), [(-3, 5), (1, 0)])
def test_the_model_sees_images_in_its_own_value_range(low, high):
    model = mlp()
    made = construct(model, "dense_2", SETS, n_steps=40, transforms=[], value_range=(low, high))
    assert 0 <= made.images.min() < made.images.max() <= 1
    after, before = (low + each * (high - low) for each in (made.images, initial((8, 8, 1), 3)))
    driven, start = (
        [mean_activity(model, "dense_2", *each) for each in zip(seen, SETS, strict=True)]
        for seen in (after, before)
    )
    np.testing.assert_allclose(made.scores, driven, rtol=1e-5)
    assert (made.scores > start).all()
    outputs = model.predict(after, verbose=0).astype(float)
    np.testing.assert_allclose(made.entropies, scipy.special.entr(outputs).sum(1), rtol=1e-4)


def test_fourier_noise_is_smooth_and_pixel_noise_is_not():
    def roughness(**options):
        images = initial((16, 16, 3), 5, **options)
        return np.diff(images, axis=1).std() / images.std()

    assert roughness() == pytest.approx(np.sqrt(2), rel=0.1)
    assert roughness(fourier=True) < 1


def test_decorrelated_colours_are_correlated_in_the_image():
    def correlation(**options):
        colours = initial((16, 16, 3), 5, **options).reshape(-1, 3).T
        return np.corrcoef(colours)[np.triu_indices(3, 1)].min()

    assert abs(correlation()) < 0.1
    assert correlation(decorrelate=True) > 0.5


@pytest.mark.parametrize(
    ("activation", "follower"),
    [("relu", None), ("linear", L.ReLU), ("linear", lambda name: L.Activation("relu", name=name))],
)
def test_units_that_noise_does_not_drive_are_woken_up(activation, follower):
    image = keras.Input((6, 6, 1))
    z = L.Dense(2, activation=activation, name="a")(L.Flatten()(image))
    z = follower(name="b")(z) if follower else z
    model = keras.Model(image, L.Dense(3, activation="softmax")(z))
    # On a grey image the first unit receives 18 and lacks 0.3.
    model.layers[2].set_weights([np.ones((36, 2)), np.array([-18.3, 0])])
    layer = "b" if follower else "a"
    assert mean_activity(model, layer, *initial((6, 6, 1), 1), [0]) == 0
    assert construct(model, layer, [[0]], n_steps=20, transforms=[]).scores[0] > 0.3


def test_units_that_nothing_can_drive_keep_their_noise_and_score_zero():
    model = last(L.Dense(3, activation="softmax"))
    kernel = np.ones((36, 4))
    kernel[:, [0, 2]] = 0
    model.get_layer("a").set_weights([kernel, np.array([-0.1, 0, -5, 0])])
    made = construct(model, "a", [[0, 2], [1], [0], [0, 1]], n_steps=30)
    noise = initial((6, 6, 1), 4)
    np.testing.assert_array_equal(made.images[[0, 2]], noise[[0, 2]])
    assert (made.scores == 0).tolist() == [True, False, True, False]
    assert made.activations[0].tolist() == [0, 0]
    assert np.isfinite(made.entropies).all()


def test_repeated_units_count_once():
    once, repeated = (
        construct(mlp(), "dense_1", [units], n_steps=5, transforms=[])
        for units in ([1, 4], np.array([4, 1, 4], np.uint8))
    )
    np.testing.assert_array_equal(once.images, repeated.images)
    assert len(repeated.activations[0]) == 2


@pytest.fixture
def bystanders():
    """What else there is in the process: what it is like before."""
    keras.utils.set_random_seed(4)
    root, own = logging.getLogger(), logging.NullHandler()
    level = root.level
    root.addHandler(own)
    root.setLevel(logging.ERROR)
    yield lambda: {
        "handlers": list(root.handlers),
        "level": root.level,
        "level of TensorFlow": tf.get_logger().level,
        "NumPy": np.random.get_state()[1].tolist(),  # noqa: NPY002
        "eager": tf.executing_eagerly(),
        "eager graph": tf1.get_default_graph().get_operations(),
    }
    root.removeHandler(own)
    root.setLevel(level)


def test_constructing_leaves_no_trace_and_says_nothing(bystanders, capfd):
    before = bystanders()
    construct(mlp(), "dense_2", SETS, n_steps=5)
    assert bystanders() == before
    assert tuple(capfd.readouterr()) == ("", "")


def test_what_fails_leaves_no_trace_either(bystanders):
    before = bystanders()

    def fail(images):
        raise TypeError

    with pytest.raises(TypeError):
        construct(mlp(), "dense_2", SETS, transforms=[fail])
    assert bystanders() == before


def test_small_transforms_jitter_and_scale_about_the_images_size():
    def sizes(**options):
        with tf1.Graph().as_default(), tf1.Session() as session:
            tf1.set_random_seed(0)
            transformed = transform.compose(lucid_graph.small_transforms(**options))
            shape = tf1.shape(transformed(tf1.zeros((2, 20, 20, 3))))
            return {tuple(session.run(shape)) for _ in range(200)}

    assert sizes(jitter=0, scale=1) == {(2, 20, 20, 3)}
    assert sizes(jitter=3, scale=1) == {(2, 29, 29, 3)}
    assert {size[1] for size in sizes(jitter=0, scale=1.1)} >= {18, 20, 22}
    assert {size[1] for size in sizes(jitter=0, scale=1.5)} <= set(range(13, 31))


def test_shifts_of_small_transforms_differ_by_the_jitter_at_most():
    image = np.zeros((1, 12, 12, 1), np.float32)
    image[0, 6, 6] = 1
    with tf1.Graph().as_default(), tf1.Session() as session:
        tf1.set_random_seed(0)
        transforms = lucid_graph.small_transforms(jitter=2, scale=1)
        shifted = transform.compose([*transforms, transform.crop_or_pad_to(12, 12)])(image)
        found = [np.argwhere(session.run(shifted)[0, ..., 0] == 1) for _ in range(60)]
    assert np.unique(np.concatenate(found), axis=0).tolist() == [
        [row, column] for row in (5, 6, 7) for column in (5, 6, 7)
    ]


def test_imagenet_transforms_are_lucids_default_with_our_rotation():
    transforms, defaults = lucid_graph.imagenet_transforms(), transform.standard_transforms
    assert len(transforms) == 5
    assert [ours is theirs for ours, theirs in zip(transforms, defaults, strict=True)] == [
        *(True, True, True, False, True),
    ]
    with tf1.Graph().as_default(), tf1.Session() as session:
        images = tf1.constant(np.ones((2, 16, 20, 3), np.float32))
        transformed = transform.compose(transforms)(images)
        for _ in range(10):
            result = session.run(transformed)
            assert (result.ndim, result.shape[0], result.shape[3]) == (4, 2, 3)
            # 24 pixels of padding, 12 of cropping, and a tenth more or less.
            assert 16 + 12 - 4 <= result.shape[1] <= 16 + 12 + 4


def test_images_can_be_made_with_the_transforms_of_imagenet():
    model = mlp((8, 8, 3))
    options = {"transforms": lucid_graph.imagenet_transforms()}
    made = construct(model, "dense_1", [[0, 1]], n_steps=30, **options)
    assert made.images.shape == (1, 8, 8, 3)
    assert made.scores[0] > mean_activity(model, "dense_1", *initial((8, 8, 3), 1), [0, 1])


def exact_entropy(logits):
    with decimal.localcontext(prec=400):
        terms = [decimal.Decimal(float(each)).exp() for each in logits]
        shares = [term / sum(terms) for term in terms]
        return float(-sum(share * share.ln() for share in shares if share))


@pytest.mark.parametrize(
    "logits",
    [
        *([0.0, 0.0], [0.0, 0.0, 0.0, 0.0], [1.5, 1.5, -2.0]),
        *([0.3, -1.2, 2.5], [1e-9, 0, -1e-9]),
        *([0, 40, -5], [0, 30, 100, 99], [0, 200, -5], [500, 500, 0], [0, 700, -5], [3, -690]),
        *([1000.25, 990, 1001], [-1e4, -1e4 - 37.5]),
    ],
)
def test_entropies_equal_those_of_a_calculation_with_many_digits(logits):
    (found,) = entropy(np.array([logits], float))
    assert found == pytest.approx(exact_entropy(logits), rel=1e-12, abs=0)
    assert found > 0


def test_the_surer_the_output_the_smaller_the_entropy_down_to_underflow():
    margins = np.arange(0.0, 740)
    logits = np.stack([np.zeros(740), margins, np.full(740, -5)], axis=1)
    entropies = entropy(logits)
    assert entropies[0] == pytest.approx(
        scipy.special.entr([1, 1, np.exp(-5)] / (2 + np.exp(-5))).sum()
    )
    assert (np.diff(entropies) < 0).all()
    assert entropies[-1] > 0
    np.testing.assert_array_equal(entropy(np.array([[0, 800.0, -5]])), [0])


def test_entropies_do_not_depend_on_the_order_of_the_classes_or_on_their_common_offset():
    logits = np.random.default_rng(0).normal(scale=20, size=(50, 10))
    expected = entropy(logits)
    np.testing.assert_allclose(entropy(logits[:, ::-1]), expected, rtol=1e-12)
    np.testing.assert_allclose(entropy(logits + 64), expected, rtol=1e-9)
    assert (expected <= np.log(10)).all()


def test_saturated_outputs_have_different_entropies():
    model = mlp()
    kernel, bias = model.get_layer("output").get_weights()
    model.get_layer("output").set_weights([200 * kernel, bias])
    made = construct(model, "dense_2", [[0], [1], [2], [3], [4], [5]], n_steps=60)
    saturated = model.predict(made.images, verbose=0).max(axis=1) == 1
    assert saturated.sum() > 1
    assert (made.entropies > 0).all()
    assert len(np.unique(made.entropies)) == 6


def test_linear_outputs_are_taken_for_logits():
    model = last(L.Dense(3, name="out"))
    made = construct(model, "a", [[0], [1, 2]], n_steps=5)
    expected = scipy.special.softmax(model.predict(made.images, verbose=0).astype(float), axis=1)
    np.testing.assert_allclose(made.entropies, scipy.special.entr(expected).sum(1), rtol=1e-4)


SOFTMAX = {"activation": "softmax", "name": "out"}


def two_inputs():
    images = [keras.Input((6, 6, 1)) for _ in range(2)]
    flat = L.Flatten(name="a")(L.Add()(images))
    return keras.Model(images, L.Dense(3, **SOFTMAX)(flat))


def channels_first():
    image = keras.Input((3, 6, 6))
    maps = L.Conv2D(2, 3, data_format="channels_first", name="a")(image)
    return keras.Model(image, L.Dense(3, **SOFTMAX)(L.Flatten()(maps)))


def open_size():
    image = keras.Input((None, None, 1))
    pooled = L.GlobalAveragePooling2D(name="a")(image)
    return keras.Model(image, L.Dense(3, **SOFTMAX)(pooled))


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__(name="own")
        self.a, self.out = L.Flatten(name="a"), L.Dense(3, **SOFTMAX)

    def call(self, x):
        return self.out(self.a(x))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: last(L.Dense(3, **SOFTMAX), shape=(36,)), r"'last' must .*images.*, not \(36,\)"),
        (lambda: last(L.Dense(3, **SOFTMAX), shape=(6, 6)), r"images of a fixed .*not \(6, 6\)"),
        (open_size, r"images of a fixed size.*, not \(None, None, 1\)"),
        (two_inputs, r"images of a fixed size.*, not \(6, 6, 1\), \(6, 6, 1\)"),
        (channels_first, "has images with their channels first"),
        (Subclassed, "'own' must be built and take images"),
        (lambda: keras.Sequential([L.Dense(3)], name="raw"), "'raw' must be built and take images"),
        (lambda: last(L.Dense(3, activation="sigmoid", name="out")), r"'out' \(Dense, sigmoid\)"),
        (lambda: last(L.Dense(3), L.ReLU(name="odd")), r"ends in 'odd' \(ReLU, no activation\)"),
    ],
)
def test_models_that_do_not_classify_images_are_refused(make, message):
    with pytest.raises(ValueError, match=f"^model: .*{message}"):
        construct(make(), "a", [[0]])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layer": "dense_9"}, "layer: no layer 'dense_9'; accepted are flatten, dense_1, dense_2"),
        ({"unit_sets": []}, "unit_sets: at least one set of units is needed"),
        ({"unit_sets": [[0], []]}, r"unit_sets: \[\] was given; accepted are one or more"),
        ({"unit_sets": [[0, 6]]}, r"unit_sets: \[0, 6\] was .* the units 0 to 5 of 'dense_2'"),
        ({"unit_sets": [[0, 1], [-1, 2]]}, r"unit_sets: \[-1, 2\] was given"),
        ({"unit_sets": [[0.5]]}, r"unit_sets: \[0.5\] was given"),
        ({"unit_sets": [np.arange(6) < 3]}, r"unit_sets: \[False, True\] was given"),
        ({"n_steps": 0}, "n_steps: 0 was given; accepted are integers from 1"),
        ({"n_steps": -3}, "n_steps: -3 was given"),
        ({"chunk_size": 0}, "chunk_size: 0 was given; accepted are integers from 1"),
        ({"chunk_size": -1}, "chunk_size: -1 was given"),
        ({"seed": -1}, "seed: -1 was given; accepted are integers from 0"),
        ({"value_range": (0,)}, r"value_range: \(0,\) was given; accepted are two numbers"),
        ({"value_range": (0, np.nan)}, "value_range: .* was given; accepted are two numbers"),
        ({"value_range": (1, 1)}, r"value_range: \(1, 1\) was given; accepted are two numbers"),
        ({"value_range": "ab"}, "value_range: 'ab' was given; accepted are two numbers"),
        ({"learning_rate": np.nan}, "learning_rate: nan was given; accepted are numbers from 0"),
        ({"learning_rate": -1}, "learning_rate: -1 was given; accepted are numbers from 0"),
        ({"decorrelate": True}, "decorrelate: images have 1 channels; colours need three"),
        ({"transforms": [transform.jitter(8)]}, "transforms: they leave nothing of an image of"),
        ({"transforms": [transform.jitter(9)]}, re.escape("an image of shape (8, 8, 1)")),
        ({"transforms": [transform.random_scale([0.1])]}, "transforms: they leave nothing"),
    ],
)
def test_what_cannot_be_made_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        construct(**{"model": mlp(), "layer": "dense_2", "unit_sets": [[0]], **arguments})


def test_transforms_that_leave_one_pixel_are_accepted():
    made = construct(mlp(), "dense_1", [[0]], n_steps=2, transforms=[transform.jitter(7)])
    assert made.images.shape == (1, 8, 8, 1)


LABELS = {
    "first": [0, 0, 0, 0, 1, 1, 1, 2, 2, -1],  # 4, 3 and 2 of 10 units
    "second": [0, 0, 0, 0, 0, 0, 0, 0, 0, 1],  # 9 and 1
    "third": [0, 0, 0, 0, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3],  # 4 and exactly 80 %
}
PARTITION = Partition.from_labels(LABELS)


NETWORK = SimpleNamespace(get_weights=lambda: [np.zeros(3)])
"""All that is asked of a network for which images are only pretended to be made."""


@pytest.fixture
def asked(monkeypatch):
    """What `construct` was asked for, in turn; it answers with numbers that tell which is which."""
    calls = []

    def fake(model, layer, sets, seed=0, **options):
        calls.append({"layer": layer, "sets": sets, "seed": seed, **options})
        first = 100.0 * len(calls)
        numbers = first + np.arange(len(sets))
        images = np.broadcast_to(numbers[:, None, None, None], (len(sets), 2, 3, 1))
        activations = tuple(
            np.arange(len(units)) * number for units, number in zip(sets, numbers, strict=True)
        )
        return Construction(layer, images.astype(np.float32), numbers, -numbers, activations)

    monkeypatch.setattr(subclusters, "construct", fake)
    return calls


def test_all_sub_clusters_of_a_layer_are_made_at_once_each_before_its_twins(asked):
    found = constructions(NETWORK, PARTITION, n_random=2)
    chosen = [(each.layer, each.cluster) for each in found.subclusters]
    assert chosen == [("first", 0), ("first", 1), ("third", 0), ("third", 3)]
    assert [call["layer"] for call in asked] == ["first", "third"]
    assert [list(map(len, call["sets"])) for call in asked] == [
        [4, 4, 4, 3, 3, 3],
        [4, 4, 4, 16, 16, 16],
    ]
    np.testing.assert_array_equal(asked[0]["sets"][3], [4, 5, 6])
    np.testing.assert_array_equal(asked[1]["sets"][3], range(4, 20))
    expected = [[100, 101, 102], [103, 104, 105], [200, 201, 202], [203, 204, 205]]
    deviations = np.array([[np.arange(size).std()] for size in (4, 3, 4, 16)])
    assert found.random.images.shape == (4, 2, 2, 3, 1)
    for made, chosen in ((found.true, 0), (found.random, slice(1, None))):
        numbers = np.array(expected)[:, chosen]
        np.testing.assert_array_equal(made.scores, numbers)
        np.testing.assert_array_equal(made.entropies, -numbers)
        np.testing.assert_array_equal(made.images[..., 0, 0, 0], numbers)
        np.testing.assert_allclose(made.spreads, (expected * deviations)[:, chosen])
    assert found.partition is PARTITION


def test_by_default_there_are_nine_twins_of_live_units(asked):
    found = constructions(NETWORK, PARTITION)
    assert found.random.scores.shape == (4, 9)
    twins = np.concatenate([*asked[0]["sets"][1:10], *asked[0]["sets"][11:]])
    assert set(twins) == set(range(9))


def test_twins_may_be_drawn_from_all_units(asked):
    constructions(NETWORK, PARTITION, n_random=30, pool="all")
    twins = np.concatenate([*asked[0]["sets"][1:31], *asked[0]["sets"][32:]])
    assert set(twins) == set(range(10))


def test_the_size_rule_can_be_changed(asked):
    found = constructions(NETWORK, PARTITION, 1, min_size=1, max_fraction=0.3)
    chosen = [(each.layer, each.cluster) for each in found.subclusters]
    assert chosen == [("first", 1), ("first", 2), ("second", 1), ("third", 0)]


def test_seed_and_options_are_passed_on(asked):
    constructions(NETWORK, PARTITION, n_random=1, seed=7, n_steps=3, fourier=True)
    for call in asked:
        assert (call["seed"], call["n_steps"], call["fourier"]) == (7, 3, True)


def test_the_seed_decides_the_twins(asked):
    for seed in (0, 0, 1):
        constructions(NETWORK, PARTITION, seed=seed)
    sets = [np.concatenate(call["sets"]) for call in asked[::2]]
    np.testing.assert_array_equal(sets[0], sets[1])
    assert (sets[0] != sets[2]).any()


@pytest.mark.parametrize("n_random", [0, -1])
def test_numbers_of_twins_below_one_are_refused(n_random, asked):
    with pytest.raises(ValueError, match=f"n_random: {n_random} was given; accepted are integers"):
        constructions(NETWORK, PARTITION, n_random)


def test_a_network_without_any_sub_cluster_within_the_size_rule_is_refused(asked):
    partition = Partition.from_labels(dict.fromkeys("ab", LABELS["second"]))
    message = "partition: no sub-cluster has at least 3 units and at most 80% of its layer"
    with pytest.raises(ValueError, match=message):
        constructions(NETWORK, partition)
    assert not asked


def test_sub_clusters_of_a_network_and_their_twins_are_what_their_layers_make_of_them():
    model = mlp()
    labels = {"dense_1": [0] * 5 + [1], "dense_2": [0, 1, 0, 1, 0, 1]}
    found = constructions(model, Partition.from_labels(labels), n_random=2, seed=3, n_steps=5)
    assert [each.layer for each in found.subclusters] == ["dense_2", "dense_2"]
    assert found.random.images.shape == (2, 2, 8, 8, 1)
    own = construct(model, "dense_2", [[0, 2, 4], [0], [0], [1, 3, 5]], seed=3, n_steps=5)
    np.testing.assert_allclose(found.true.images, own.images[[0, 3]], atol=1e-4)
    np.testing.assert_allclose(found.true.scores, own.scores[[0, 3]], atol=1e-4)
    np.testing.assert_allclose(found.true.entropies, own.entropies[[0, 3]], atol=1e-4)
    spreads = [own.activations[i].std() for i in (0, 3)]
    np.testing.assert_allclose(found.true.spreads, spreads, atol=1e-4)


def test_a_partition_of_another_network_is_refused():
    with pytest.raises(ValueError, match="layer: no layer 'first'; accepted are flatten, dense_1"):
        constructions(mlp(), PARTITION, n_random=1)
