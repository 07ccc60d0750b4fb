"""What can be done with a network, and why not."""

import numpy as np
import pytest

import helpers
from helpers.backend import keras

L = keras.layers


def transfer(own_head=False):
    """A convolutional model inside a model, and a head."""
    base = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            *(L.Conv2D(3, 3, name="one"), L.DepthwiseConv2D(3, name="deep")),
            *(L.Conv2D(4, 1, name="two"), L.ReLU(name="rectified")),
        ],
        name="base",
    )
    image = keras.Input((8, 8, 1))
    z = L.GlobalAveragePooling2D(name="pool")(base(image))
    if own_head:
        z = L.Lambda(lambda z: z, name="own")(z)
    return keras.Model(image, L.Dense(2, activation="softmax", name="head")(z), name="outer")


def test_each_layer_says_whether_it_can_be_lesioned_and_is_in_the_graph():
    table = helpers.check(transfer()).set_index("layer")
    assert list(table.index) == [
        *("base/one", "base/deep", "base/two", "base/rectified", "pool", "head")
    ]
    assert table["units"].tolist() == [3, 3, 4, 0, 0, 2]
    assert table.loc[["base/one", "base/deep", "base/two", "head"], "lesions"].eq("yes").all()
    assert table.loc["base/rectified", "lesions"] == "a ReLU has none"
    assert table.query("graph == 'yes'").index.tolist() == ["base/one", "base/two"]
    assert table.attrs == {"lesions": "exact and fast", "graph": "complete"}


def test_units_that_nothing_joins_are_said_to_have_no_edges():
    image = keras.Input((8, 8, 1))
    sides = [L.Conv2D(3, 3, name=name)(image) for name in ("left", "right")]
    ends = [L.Conv2D(4, 3, name="on")(sides[0]), sides[1]]
    pooled = [L.GlobalAveragePooling2D()(end) for end in ends]
    out = L.Dense(2, activation="softmax", name="head")(L.Concatenate()(pooled))
    model = keras.Model(image, out)
    table = helpers.check(model)
    of_layers = table.set_index("layer")["graph"]
    assert of_layers[["left", "on", "right"]].tolist() == ["yes", "yes", "yes, without edges"]
    assert table.attrs["graph"] == (
        "complete, but 3 of its 10 units have no edges, and are in no cluster"
    )
    kernel, bias = model.get_layer("on").get_weights()
    kernel[..., 1] = 0
    model.get_layer("on").set_weights([kernel, bias])
    assert "but 4 of its 10 units" in helpers.check(model).attrs["graph"]


def test_what_makes_lesions_slow_is_said():
    table = helpers.check(transfer(own_head=True))
    assert "own layers" in table.attrs["lesions"]
    assert table.set_index("layer").loc["base/one", "lesions"] == "yes, slowly"


def test_what_ends_a_graph_is_said():
    words = keras.Input((5, 4))
    z = L.LSTM(6, name="memory")(L.Dense(6, name="before")(words))
    model = keras.Model(words, L.Dense(2, name="out", activation="softmax")(z))
    table = helpers.check(model).set_index("layer")
    assert "reads what memory made" in table.attrs["graph"]
    assert table.loc["out", "lesions"] == "yes"
    assert "reads what memory made" in table.loc["out", "graph"]


def test_a_bias_that_is_not_finite_is_said():
    model = transfer()  # In which no edge has a weight that is not finite.
    kernel, bias = model.get_layer("head").get_weights()
    model.get_layer("head").set_weights([kernel, np.full_like(bias, np.nan)])
    table = helpers.check(model)
    assert table.attrs == {
        "lesions": "model: the weights 'head/bias' are not all finite",
        "graph": "complete",
    }


class Own(keras.Model):
    def call(self, x):
        return x


@pytest.mark.parametrize("make", [lambda: Own(name="own"), lambda: keras.Sequential(name="own")])
def test_a_model_that_cannot_be_read_says_so(make):
    table = helpers.check(make())
    assert table.empty
    assert "'own'" in table.attrs["lesions"]


@pytest.mark.parametrize("given", [None, "model.keras", len])
def test_what_is_no_model_is_refused(given):
    with pytest.raises(ValueError, match=rf"model: {type(given).__name__} was given; accepted is"):
        helpers.check(given)


def test_quantized_layers_say_so():
    model = keras.Sequential([keras.Input((4,)), L.Dense(8, name="a"), L.Dense(2, name="b")])
    model.quantize("int8")
    table = helpers.check(model)
    assert table["lesions"].eq("its weights are quantized to int8").all()
    assert np.all(table["units"] == 0)
    assert table.attrs["lesions"] == "no layer has units that can be lesioned"


def test_a_layer_of_two_models_is_in_the_graph_by_either_name():
    shared, image = L.Dense(3, name="shared"), keras.Input((4,))
    sides = [
        keras.Sequential([keras.Input((4,)), L.Dense(4, name="own"), shared], name=name)(image)
        for name in ("left", "right")
    ]
    out = L.Dense(2, activation="softmax", name="head")(L.Concatenate()(sides))
    table = helpers.check(keras.Model(image, out)).set_index("layer")
    assert table.loc[["left/shared", "right/shared", "head"], "graph"].tolist() == 3 * ["yes"]
