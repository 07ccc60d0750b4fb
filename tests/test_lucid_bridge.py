"""The bridge to Lucid: its graphs compute what Keras does, and the process does not notice them."""

import json
import logging
import subprocess
import sys

import numpy as np
import pytest

from helpers import forward, networks, settings
from helpers.backend import keras
from helpers.construction import lucid_bridge as bridge

pytestmark = pytest.mark.lucid


L = keras.layers
tf, tf1 = bridge.tf, bridge.tf1


def noise(*shape):
    return np.random.default_rng(0).random(shape, np.float32)


def randomised(model):
    """The model with biases and normalisation statistics that are not at their defaults."""
    rng = np.random.default_rng(1)
    model.set_weights([w + rng.uniform(-0.5, 0.5, w.shape) for w in model.get_weights()])
    return model


def normalised():
    inner = keras.Sequential(
        [keras.Input((4, 4, 4)), L.Conv2D(4, 3, padding="same"), L.ReLU()], name="inner"
    )
    return keras.Sequential(
        [
            keras.Input((6, 6, 3), name="image"),
            *(L.Conv2D(4, 3, activation="relu", name="a"), L.BatchNormalization(name="norm")),
            *(L.Dropout(0.5), inner, L.MaxPooling2D(name="pool"), L.Flatten(name="flat")),
            *(L.Dense(4, activation="tanh", name="b"), L.Dense(2, activation="softmax", name="c")),
        ]
    )


def branching():
    image = keras.Input((6, 6, 1), name="image")
    convolution = L.Conv2D(2, 3, padding="same", activation="relu", name="shared")
    again = L.Conv2D(1, 1, name="again")(convolution(image))
    added = L.Add(name="sum")([convolution(image), L.Conv2D(2, 1, name="a")(again)])
    pooled = L.GlobalAveragePooling2D(name="pool")(added)
    return keras.Model(image, L.Dense(3, activation="softmax", name="out")(pooled))


def named(name):
    layers = (L.Flatten(), L.Dense(4, name=name), L.Dense(2))
    return keras.Sequential([keras.Input((2, 3, 1), name="input"), *layers])


def frozen(lucids, x):
    """The activations in a graph of TensorFlow 1 that Lucid imports the model to."""
    with tf1.Graph().as_default(), tf1.Session() as session:
        images = tf1.placeholder(tf1.float32, (None, *x.shape[1:]))
        lucids.import_graph(images)
        return session.run(f"import/{bridge.OUTPUT}:0", {images: x})


@pytest.mark.parametrize(
    ("make", "layers"),
    [
        (normalised, ["a", "norm", "inner", "pool", "flat", "b", "c"]),
        (branching, ["image", "again", "a", "sum", "pool", "out"]),
    ],
)
def test_the_frozen_graph_gives_the_activations_of_any_layer(make, layers):
    model = randomised(make())
    x = noise(3, *model.input_shape[1:])
    for layer in layers:
        found = frozen(bridge.lucid_model(model, layer), x)
        expected = forward.activations(model, x, layer)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("low", "high"), [(-1, 1), (-117.5, 138), (255, 0)])
def test_zero_and_one_mean_the_ends_of_the_value_range_to_the_model(low, high):
    model, x = named("a"), noise(3, 2, 3, 1)
    found = frozen(bridge.lucid_model(model, "a", (low, high)), x)
    expected = forward.activations(model, low + x * np.float32(high - low), "a")
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["image", "activations", "_a"])
def test_layers_may_have_names_that_mean_something_else_to_the_graph(name):
    model, x = named(name), noise(3, 2, 3, 1)
    found = frozen(bridge.lucid_model(model, name), x)
    np.testing.assert_allclose(found, forward.activations(model, x, name), rtol=1e-5)


def test_a_frozen_graph_keeps_the_weights_of_the_time():
    model, x = named("a"), noise(3, 2, 3, 1)
    lucids, before = bridge.lucid_model(model, "a"), forward.activations(model, x, "a")
    randomised(model)
    np.testing.assert_allclose(frozen(lucids, x), before, rtol=1e-5)
    after = forward.activations(model, x, "a")
    np.testing.assert_allclose(frozen(bridge.lucid_model(model, "a"), x), after, rtol=1e-5)


def test_lucid_is_the_published_package_on_tensorflow_1():
    modules = (bridge.objectives, bridge.param, bridge.render, bridge.transform)
    assert [each.__name__ for each in modules] == [
        f"lucid.optvis.{name}" for name in ("objectives", "param", "render", "transform")
    ]
    assert bridge.render.tf is bridge.tf1 is tf.compat.v1


def rotated(angles, images, n=1, seed=1):
    with tf1.Graph().as_default(), tf1.Session() as session:
        tf1.set_random_seed(seed)
        turned = bridge.random_rotate(angles)(tf1.constant(images))
        return [session.run(turned) for _ in range(n)]


@pytest.mark.parametrize("size", [4, 5])
@pytest.mark.parametrize(("angle", "turns"), [(0, 0), (90, 1), (180, 2), (270, 3), (-90, 3)])
def test_square_images_are_rotated_anticlockwise_about_their_centre(size, angle, turns):
    images = noise(2, size, size, 3)
    (found,) = rotated([angle], images)
    np.testing.assert_array_equal(found, np.rot90(images, turns, axes=(1, 2)))


def test_images_that_are_not_square_keep_their_shape():
    images = noise(1, 3, 6, 2)
    np.testing.assert_array_equal(rotated([180], images)[0], images[:, ::-1, ::-1])
    assert rotated([90], images)[0].shape == images.shape


def test_rotations_leave_black_where_there_is_nothing():
    ((image,),) = rotated([45], np.ones((1, 9, 9, 1), np.float32))
    assert set(np.unique(image)) == {0, 1}
    assert not image[[0, 0, -1, -1], [0, -1, 0, -1]].any()
    assert image[2:-2, 2:-2].all()


def test_rotations_draw_each_of_the_listed_angles_and_no_other():
    images = noise(1, 4, 4, 1)
    turns = [np.rot90(images, turns, axes=(1, 2)) for turns in range(4)]
    found = rotated([0, 90, 90.0, 270], images, n=60)
    counts = [sum(np.array_equal(each, turn) for each in found) for turn in turns]
    assert sum(counts) == 60
    assert counts[2] == 0
    assert counts[1] > max(counts[0], counts[3]) > 0
    again = rotated([0, 90, 90.0, 270], images, n=60)
    np.testing.assert_array_equal(again, found)
    assert any(map(np.any, np.not_equal(found, rotated([0, 90, 90.0, 270], images, 60, seed=2))))


def test_gradients_flow_back_through_rotations():
    with tf1.Graph().as_default(), tf1.Session() as session:
        images, weights = tf1.constant(noise(2, 4, 4, 1)), np.random.default_rng(1).random((4, 4))
        turned = bridge.random_rotate([90])(images)[..., 0] * weights.astype(np.float32)
        (gradient,) = session.run(tf1.gradients(turned, images))
    expected = np.broadcast_to(np.rot90(weights, -1)[..., np.newaxis], (2, 4, 4, 1))
    np.testing.assert_allclose(gradient, expected, rtol=1e-6)


def test_lucid_is_kept_in_bounds_even_if_it_stumbles():
    logger = tf.get_logger()
    np.random.seed(3)  # noqa: NPY002
    expected = np.random.random(3)  # noqa: NPY002
    np.random.seed(3)  # noqa: NPY002
    level = logger.level
    logger.setLevel(logging.INFO)

    def stumble():
        with bridge.lucid_kept_in_bounds():
            np.random.random(5)  # noqa: NPY002
            assert not logger.isEnabledFor(logging.WARNING)
            raise KeyError

    try:
        with pytest.raises(KeyError):
            stumble()
        assert logger.level == logging.INFO
    finally:
        logger.setLevel(level)
    np.testing.assert_array_equal(np.random.random(3), expected)  # noqa: NPY002


SCRIPT = """
import json, logging, os, random, sys, warnings
import numpy as np
from helpers import networks
from helpers.backend import keras
import tensorflow as tf

def traces():
    return {
        "handlers": list(map(repr, logging.getLogger().handlers)),
        "level": logging.getLogger().level,
        "level of TensorFlow": tf.get_logger().level,
        "warnings": list(map(repr, warnings.filters)),
        "environment": dict(os.environ),
        "path": sys.path,
        "random": repr(random.getstate()),
        "NumPy's random": repr(np.random.get_state()[1].tolist()),
        "eager": tf.executing_eagerly() and not tf.compat.v1.get_default_graph().get_operations(),
        "tensorflow": id(sys.modules["tensorflow"]),
    }

def with_tensorflow_1():
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] not in ("tensorflow", "lucid", "helpers"):
            members = getattr(module, "__dict__", {})
            yield from (f"{name}.{key}" for key in members if members[key] is tf.compat.v1)

def construct():
    from helpers import construction
    construction.construct(subject, "dense_1", [[0, 1], [2]], n_steps=20)

logging.getLogger().setLevel(logging.INFO)
subject = networks.mlp((4, 4, 1), 3, width=4, depth=1)
x = np.random.default_rng(0).random((24, 4, 4, 1), np.float32)

def trained(meanwhile):
    keras.utils.set_random_seed(0)
    before = traces()
    meanwhile()
    after = traces()
    changed = [key for key in before if after[key] != before[key]]
    model = networks.mlp((4, 4, 1), 3, dropout=0.5, width=8, depth=2)
    model.compile("adam", "sparse_categorical_crossentropy", jit_compile=False)
    model.fit(x, np.arange(24) % 3, batch_size=8, verbose=0)
    weights = [each.tolist() for each in model.get_weights()]
    return changed, weights, subject.predict(x, verbose=0).tolist()

_, *alone = trained(lambda: None)
changed, *together = trained(construct)
print(json.dumps({
    "changed": changed,
    "training": together[0] == alone[0],
    "inference": together[1] == alone[1],
    "is TensorFlow 1": sorted(with_tensorflow_1()),
    "contrib": [name for name in sys.modules if "tensorflow.contrib" in name],
}))
"""


@pytest.fixture(scope="module")
def process():
    """What a process of its own says that trains with and without constructing in between."""
    return subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=settings.ROOT, capture_output=True, text=True
    )


def test_nothing_is_printed_from_the_import_to_the_result(process):
    assert process.stderr == ""
    assert len(process.stdout.splitlines()) == 1


def test_a_process_that_imports_lucid_and_constructs_is_left_as_it_was(process):
    report = json.loads(process.stdout)
    assert report["changed"] == []
    assert report["contrib"] == []


def test_no_other_package_takes_tensorflow_1_for_tensorflow(process):
    assert json.loads(process.stdout)["is TensorFlow 1"] == []


@pytest.mark.parametrize("what", ["training", "inference"])
def test_keras_goes_on_to_the_bit_as_if_nothing_had_been_constructed(process, what):
    assert json.loads(process.stdout)[what]


def test_the_architectures_of_the_paper_are_frozen():
    for model, layer in (
        (networks.mlp((6, 6, 3), 3, dropout=0.5, width=4), "dense_4"),
        (networks.cnn((8, 8, 1), 3, channels=2, dense_width=3), "dense"),
    ):
        x = noise(2, *model.input_shape[1:])
        found = frozen(bridge.lucid_model(randomised(model), layer), x)
        expected = forward.activations(model, x, layer)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
