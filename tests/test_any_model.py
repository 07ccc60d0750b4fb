"""Models made up at random out of all kinds of layers: lesions equal zeroing the weights."""

from functools import partial

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import brute_force
from helpers import forward, graphs, lesions
from helpers.backend import keras
from helpers.lesions import compiled, engine
from helpers.lesions.propagation import Propagation, Trace

L = keras.layers
N_IMAGES = 40


def scale_by_position(z):
    return z * keras.ops.arange(1, z.shape[-1] + 1, dtype="float32")


def squeeze_and_excite(z, width):
    gate = L.GlobalAveragePooling2D(keepdims=True)(z)
    gate = L.Conv2D(2, 1, activation="silu")(gate)
    return L.Multiply()([z, L.Conv2D(z.shape[-1], 1, activation="sigmoid")(gate)])


def residual(z, width):
    return L.Add()([z, L.Conv2D(z.shape[-1], 3, padding="same")(L.ReLU()(z))])


def dense_block(z, width):
    new = L.Conv2D(width, 3, padding="same")(L.Activation("relu")(L.BatchNormalization()(z)))
    return L.Concatenate()([z, new])


def operations(z, width):
    half = keras.ops.multiply(z, 0.5)
    return keras.ops.maximum(keras.ops.add(z, half), keras.ops.negative(z))


def inside(z, width):
    """A model in the model, used twice."""
    shape = z.shape[1:]
    convolution = L.Conv2D(shape[-1], 3, padding="same", activation="tanh")
    model = keras.Sequential([keras.Input(shape), convolution, L.BatchNormalization()])
    return model(model(z))


def shared(z, width):
    layer = L.Conv2D(z.shape[-1], 3, padding="same", activation="relu")
    return L.Average()([layer(z), layer(layer(z))])


def windows(z, width):
    """Rows of an image as images of their own, and their means put together again."""
    _, height, n, depth = z.shape
    rows = keras.ops.reshape(z, (-1, n, depth))
    rows = L.Dense(width, activation="relu")(L.Conv1D(width, 2, padding="same")(rows))
    rows = keras.ops.reshape(L.GlobalAveragePooling1D()(rows), (-1, height, 1, width))
    return z[..., :1] + rows


def patches(z, width):
    """Halves of a vector as vectors of their own."""
    halves = keras.ops.reshape(L.Dense(2 * width, activation="relu")(z), (-1, width))
    halves = L.Dense(width)(L.Dense(width + 1, activation="relu")(halves))
    return keras.ops.reshape(halves, (-1, 2 * width))


def as_sequence(z, width):
    return L.Reshape((z.shape[1] * z.shape[2], z.shape[3]))(z)


IMAGES = {
    "convolution": lambda z, n: L.Conv2D(n, 3, padding="same", activation="relu")(z),
    "strides": lambda z, n: L.Conv2D(n, 2, strides=2, activation="elu")(z),
    "dilation": lambda z, n: L.Conv2D(n, 2, dilation_rate=2, padding="same", use_bias=False)(z),
    "groups": lambda z, n: L.Conv2D(2 * n, 3, groups=2, padding="same")(L.Conv2D(2 * n, 1)(z)),
    "a group each": lambda z, n: L.Conv2D(2 * z.shape[-1], 3, groups=z.shape[-1])(z),
    "transpose": lambda z, n: L.Conv2DTranspose(n, 2, strides=1, activation="gelu")(z),
    "separable": lambda z, n: L.SeparableConv2D(n, 3, padding="same", depth_multiplier=2)(z),
    "depthwise": lambda z, n: L.DepthwiseConv2D(3, activation="relu")(L.BatchNormalization()(z)),
    "depthwise, twice": lambda z, n: L.DepthwiseConv2D(2, depth_multiplier=2)(z),
    "pointwise": lambda z, n: L.Dense(n, activation="gelu")(z),
    "batch norm": lambda z, n: L.BatchNormalization()(z),
    "plain batch norm": lambda z, n: L.BatchNormalization(scale=False, center=False)(z),
    "relu": lambda z, n: L.ReLU(max_value=6.0)(z),
    "leaky relu": lambda z, n: L.LeakyReLU()(z),
    "prelu": lambda z, n: L.PReLU(shared_axes=[1, 2])(z),
    "maxima": lambda z, n: L.MaxPooling2D(2, padding="same")(L.ReLU()(z)),
    "means": lambda z, n: L.AveragePooling2D(2, strides=1)(z),
    "padding": lambda z, n: L.ZeroPadding2D(1)(z),
    "cropping": lambda z, n: L.Cropping2D(((1, 0), (0, 1)))(z),
    "up-sampling": lambda z, n: L.UpSampling2D((1, 2))(z),
    "dropout": lambda z, n: L.Dropout(0.5)(L.SpatialDropout2D(0.5)(z)),
    "rescaling": lambda z, n: L.Rescaling(0.5, offset=0.1)(z),
    "layer norm": lambda z, n: L.LayerNormalization()(z),
    "group norm": lambda z, n: L.GroupNormalization(1)(z),
    "softmax": lambda z, n: L.Conv2D(n, 1, activation="softmax")(z),
    "permute": lambda z, n: L.Permute((2, 1, 3))(z),
    "residual": residual,
    "dense block": dense_block,
    "gate": squeeze_and_excite,
    "operations": operations,
    "inside": inside,
    "shared": shared,
    "lambda": lambda z, n: L.Lambda(scale_by_position, output_shape=z.shape[1:])(z),
    "threshold": lambda z, n: L.ReLU(threshold=0.1)(z),
    "flip": lambda z, n: L.RandomFlip()(z),
    "windows": windows,
}
WITHOUT_GRAPHS = {"dilation", "groups", "a group each", "windows"}
"""Keras wants to know how many channels there are; or rows are not images."""

SEQUENCES = {
    "convolution": lambda z, n: L.Conv1D(n, 2, activation="relu")(z),
    "causal": lambda z, n: L.Conv1D(n, 2, padding="causal", activation="swish")(z),
    "transpose": lambda z, n: L.Conv1DTranspose(n, 2)(z),
    "separable": lambda z, n: L.SeparableConv1D(n, 2)(z),
    "depthwise": lambda z, n: L.DepthwiseConv1D(2)(z),
    "dense": lambda z, n: L.Dense(n, activation="relu")(z),
    "attention": lambda z, n: L.MultiHeadAttention(2, 3)(z, z),
    "recurrence": lambda z, n: L.GRU(n, return_sequences=True)(z),
    "both ways": lambda z, n: L.Bidirectional(L.LSTM(3, return_sequences=True))(z),
    "each time": lambda z, n: L.TimeDistributed(L.Dense(n, activation="relu"))(z),
    "maxima": lambda z, n: L.MaxPooling1D(2, padding="same")(z),
    "normalisation": lambda z, n: L.BatchNormalization()(z),
    "skip": lambda z, n: L.Add()([z, L.Dense(z.shape[-1])(z)]),
}
VECTORS = {
    "dense": lambda z, n: L.Dense(3 * n, activation="relu")(z),
    "without bias": lambda z, n: L.Dense(2 * n, use_bias=False, activation="tanh")(z),
    "softmax": lambda z, n: L.Dense(2 * n, activation="softmax")(z),
    "batch norm": lambda z, n: L.BatchNormalization()(z),
    "skip": lambda z, n: L.Add()([z, L.Dense(z.shape[-1], activation="selu")(z)]),
    "concatenation": lambda z, n: L.Concatenate()([z, L.Dense(n, activation="relu")(z)]),
    "product": lambda z, n: L.Multiply()([z, L.Dense(z.shape[-1], activation="sigmoid")(z)]),
    "layer norm": lambda z, n: L.LayerNormalization()(z),
    "dropout": lambda z, n: L.GaussianNoise(0.5)(z),
    "patches": patches,
    "own activation": lambda z, n: L.Dense(2 * n, activation=scale_by_position)(z),
    "twice": lambda z, n: (lambda layer: layer(layer(z)))(L.Dense(z.shape[-1], activation="relu")),
}
ENDINGS = {
    "softmax": lambda z: L.Dense(3, activation="softmax")(z),
    "logits": lambda z: L.Dense(3)(z),
    "softmax layer": lambda z: L.Softmax()(L.Dense(3)(z)),
    "sigmoids": lambda z: L.Dense(3, activation="sigmoid")(z),
    "one sigmoid": lambda z: L.Dense(1, activation="sigmoid")(z),
    "reversed": lambda z: keras.ops.negative(L.Dense(3)(z)),
    "own": lambda z: L.Dense(3, activation=keras.ops.sin)(z),
}
TO_VECTORS = {
    "flatten": lambda z: L.Flatten()(z),
    "reshape": lambda z: L.Reshape((-1,))(z),
    "means": lambda z: (
        L.GlobalAveragePooling2D if len(z.shape) == 4 else L.GlobalAveragePooling1D
    )()(z),
    "maxima": lambda z: (L.GlobalMaxPooling2D if len(z.shape) == 4 else L.GlobalMaxPooling1D)()(z),
}


def some_of(kinds, most):
    return st.lists(st.sampled_from(sorted(kinds)), max_size=most)


@st.composite
def recipes(draw):
    images = draw(some_of(IMAGES, 3))
    return {
        "images": ["convolution", *images],
        "sequences": draw(some_of(SEQUENCES, 2)) if draw(st.booleans()) else None,
        "to_vectors": draw(st.sampled_from(sorted(TO_VECTORS))),
        "vectors": draw(some_of(VECTORS, 3)),
        "ending": draw(st.sampled_from(sorted(ENDINGS))),
        "width": draw(st.integers(2, 5)),
        "seed": draw(st.integers(0, 10)),
    }


def made(recipe):
    """The model of a recipe, with random numbers for everything, normalisation included."""
    image, width = keras.Input((6, 6, 2)), recipe["width"]
    z = image
    for kind in recipe["images"]:
        z = IMAGES[kind](z, width)
    if recipe["sequences"] is not None:
        z = as_sequence(z, width)
        for kind in recipe["sequences"]:
            z = SEQUENCES[kind](z, width)
    z = TO_VECTORS[recipe["to_vectors"]](z)
    for kind in recipe["vectors"]:
        z = VECTORS[kind](z, width)
    return randomised(keras.Model(image, ENDINGS[recipe["ending"]](z)), recipe["seed"])


def randomised(model, seed):
    rng = np.random.default_rng(seed)
    for variable in model.variables:
        if not variable.dtype.startswith("float"):
            continue
        spread = 1 / np.sqrt(max(np.prod(variable.shape[:-1]), 1))
        is_positive = any(each in variable.path for each in ("variance", "gamma"))
        drawn = (
            rng.uniform(0.5, 1.5, variable.shape)
            if is_positive
            else rng.normal(scale=1.5 * spread, size=variable.shape)
        )
        variable.assign(drawn)
    return model


def some_lesions(model, rng):
    """Of each layer few, most and all units; and of several layers at once."""
    program = forward.read(model)
    sizes = {name: program.steps[sites[0]].n_units for name, sites in program.layers.items()}
    chosen = [{}]
    for name, n in sizes.items():
        for size in {1, max(n // 3, 1), n - n // 4, n}:
            chosen.append({name: rng.choice(n, size, replace=False)})
    names = list(sizes)
    for _ in range(4):
        several = rng.choice(names, min(2, len(names)), replace=False)
        chosen.append({name: rng.choice(sizes[name], 1 + sizes[name] // 2) for name in several})
    return chosen


def images(model, n, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, *model.inputs[0].shape[1:])).astype(np.float32)


def classes(model, x, rng):
    """What the model says of half the images, and anything of the others."""
    outputs = np.asarray(model(x, training=False), np.float32)
    said = outputs.argmax(-1) if outputs.shape[-1] > 1 else (outputs[:, 0] > 0.5).astype(int)
    n_classes = max(outputs.shape[-1], 2)
    return np.where(rng.random(len(said)) < 0.5, said, rng.integers(0, n_classes, len(said)))


def check(model, seed=0, x=None, batch_size=None):
    rng = np.random.default_rng(seed)
    x = images(model, N_IMAGES, seed) if x is None else x
    y = classes(model, x, rng)
    chosen = some_lesions(model, rng)
    expected = brute_force.correct(model, x, y, chosen)
    found = lesions.correct(model, x, y, chosen, batch_size=batch_size)
    np.testing.assert_array_equal(found, expected)
    check_scores(model, x, chosen)


def check_scores(model, x, chosen):
    """What travels is right by itself: the engine would repair it with the model's own layers."""
    program = forward.read_classifier(model)
    x = tuple(x) if isinstance(x, list) else (x,)
    trace = Trace(program, x)
    intact = np.asarray(trace[program.scores])
    for lesion in chosen:
        by_steps = engine.checked(program, lesion)
        found = intact.copy()
        rows, scores = Propagation(trace, {}).scores(by_steps)
        if scores is not None:
            found[rows] = scores
        (expected,) = program.values(x, [program.scores], by_steps)
        tolerance = 1e-4 * max(np.abs(intact).max(), np.abs(expected).max())
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=tolerance)


@settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
    database=None,
)
@given(recipes())
@example(  # Images that a lesion leaves alone are left out only where nothing else changed.
    {
        "images": ["convolution"],
        "sequences": None,
        "to_vectors": "flatten",
        "vectors": ["product", "concatenation"],
        "ending": "logits",
        "width": 2,
        "seed": 0,
    }
)
def test_lesions_of_models_made_up_at_random_equal_zeroing_weights(recipe):
    check(made(recipe), recipe["seed"])


@pytest.mark.slow
@pytest.mark.parametrize("kind", IMAGES)
def test_graphs_that_are_written_down_give_the_scores_of_steps_one_by_one(kind, monkeypatch):
    model = made(alone(kind, IMAGES))
    program = forward.read_classifier(model)
    x, rng = images(model, N_IMAGES), np.random.default_rng(0)
    trace, graphs = Trace(program, (x,)), compiled.Graphs(program)
    chosen = [engine.checked(program, each) for each in some_lesions(model, rng)]
    graphs.expect(chosen, 100)
    n_written = 0
    for lesion in chosen:
        found = graphs.scores(trace, lesion)
        if found is not None:
            n_written += 1
            (expected,) = program.values((x,), [program.scores], lesion)
            np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
    assert n_written > 0 or program.is_rough or kind in WITHOUT_GRAPHS


APPLICATIONS = {
    "ResNet50V2": 32,
    "DenseNet121": 32,
    "MobileNetV2": 32,
    "EfficientNetB0": 32,
    "VGG16": 32,
    "ConvNeXtTiny": 32,
}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "size"), APPLICATIONS.items())
def test_lesions_of_the_architectures_of_keras_applications_equal_zeroing_weights(name, size):
    keras.utils.set_random_seed(0)
    make = getattr(keras.applications, name)
    model = make(weights=None, input_shape=(size, size, 3), classes=10)
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if type(layer) is L.BatchNormalization:
            layer.moving_mean.assign(rng.normal(scale=0.1, size=layer.moving_mean.shape))
            layer.moving_variance.assign(rng.uniform(0.5, 1.5, layer.moving_variance.shape))
    x = rng.random((10, size, size, 3)).astype(np.float32)
    program = forward.read_classifier(model)
    (scores,) = program.values((x,), [program.scores])
    last = program.steps[program.producers[program.scores]].operation
    spread = np.std(scores, axis=0)  # Tiny without training: all images were of one class.
    last.bias.assign(-np.mean(scores, axis=0) / spread)
    last.kernel.assign(last.kernel / spread)
    y = classes(model, x, rng)
    names = list(program.layers)
    chosen = [{}]
    for layer in [*names[:: len(names) // 2], names[-1]]:
        n = program.steps[program.sites(layer)[0]].n_units
        chosen += [{layer: rng.choice(n, size, replace=False)} for size in (n // 8, 3 * n // 4)]
    expected = brute_force.correct(model, x, y, chosen)
    found = lesions.correct(model, x, y, chosen, batch_size=len(x))
    np.testing.assert_array_equal(found, expected)
    assert len(np.unique(expected, axis=0)) > 3


def alone(kind, table):
    recipe = {"images": ["convolution"], "sequences": None, "to_vectors": "flatten"}
    recipe |= {"vectors": ["dense"], "ending": "softmax", "width": 4, "seed": 1}
    if table is ENDINGS:
        return recipe | {"ending": kind}
    if table is TO_VECTORS:
        return recipe | {"to_vectors": kind}
    if table is VECTORS:
        return recipe | {"vectors": ["dense", kind, "dense"]}
    if table is SEQUENCES:
        # Nine steps are enough: each takes a recurrence a while.
        return recipe | {"images": ["convolution", "maxima"], "sequences": [kind, "dense"]}
    return recipe | {"images": ["convolution", kind, "convolution"]}


@pytest.mark.parametrize(
    ("kind", "table"),
    [
        pytest.param(kind, table, id=f"{name}: {kind}")
        for name, table in {
            "images": IMAGES,
            "sequences": SEQUENCES,
            "vectors": VECTORS,
            "to vectors": TO_VECTORS,
            "endings": ENDINGS,
        }.items()
        for kind in table
    ],
)
def test_a_lesion_travels_through_every_kind_of_layer(kind, table):
    check(made(alone(kind, table)))


def two_inputs():
    left, right = keras.Input((6, 6, 1), name="left"), keras.Input((4,), name="right")
    z = L.Flatten()(L.Conv2D(3, 3, activation="relu", name="conv")(left))
    z = L.Concatenate()([z, L.Dense(5, activation="relu", name="beside")(right)])
    return keras.Model([left, right], L.Dense(3, activation="softmax")(L.Dense(6)(z)))


def masked():
    """Words of which some are padding, which masks tell all layers to leave out."""
    words = keras.Input((7,), dtype="int32")
    z = L.Embedding(9, 6, mask_zero=True)(words)
    z = L.Dense(8, activation="relu", name="each")(z)
    z = L.LSTM(5)(L.MultiHeadAttention(2, 3)(z, z))
    return keras.Model(words, L.Dense(3, activation="softmax")(L.Dense(6, activation="relu")(z)))


def masking():
    """What is all zero is left out: a lesion may decide what that is."""
    words = keras.Input((5, 4))
    z = L.Dense(3, activation="relu", use_bias=False, name="each")(words)
    z = L.GRU(4)(L.Masking()(z))
    return keras.Model(words, L.Dense(3)(z))


def channels_first():
    image = keras.Input((2, 6, 6))
    options = {"data_format": "channels_first", "padding": "same"}
    z = L.Conv2D(4, 3, activation="relu", name="a", **options)(image)
    z = L.BatchNormalization(axis=1)(z)
    z = L.Add()([z, L.Conv2D(4, 3, name="b", **options)(z)])
    z = L.MaxPooling2D(2, data_format="channels_first")(L.ReLU()(z))
    z = L.Concatenate(axis=1)([z, L.Conv2D(2, 1, name="c", data_format="channels_first")(z)])
    return keras.Model(image, L.Dense(3)(L.Flatten()(z)))


def in_three_dimensions():
    block = keras.Input((4, 4, 4, 1))
    z = L.Conv3D(3, 2, activation="relu", name="a")(block)
    z = L.MaxPooling3D(2, padding="same")(L.BatchNormalization()(z))
    z = L.Conv3DTranspose(2, 2, name="b")(z)
    return keras.Model(block, L.Dense(3, activation="softmax")(L.GlobalAveragePooling3D()(z)))


def in_mixed_precision(policy):
    keras.config.set_dtype_policy(policy)
    try:
        return made(alone("residual", IMAGES))
    finally:
        keras.config.set_dtype_policy("float32")


def test_lesions_of_models_with_several_inputs():
    model, rng = randomised(two_inputs(), 0), np.random.default_rng(0)
    sizes = ((N_IMAGES, 6, 6, 1), (N_IMAGES, 4))
    check(model, x=[rng.normal(size=size).astype(np.float32) for size in sizes])


def test_lesions_where_masks_leave_positions_out():
    x = np.random.default_rng(0).integers(0, 9, (N_IMAGES, 7))
    x[:, 4:] *= np.random.default_rng(1).integers(0, 2, (N_IMAGES, 3))
    check(randomised(masked(), 0), x=x)


@pytest.mark.parametrize("make", [masking, channels_first, in_three_dimensions])
def test_lesions_of_other_layouts(make):
    check(randomised(make(), 0))


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "float64"])
def test_lesions_in_other_precisions(policy):
    model = in_mixed_precision(policy)
    assert forward.read(model).is_rough
    check(model, batch_size=N_IMAGES)  # Their rounding depends on how many are run at once.


def test_contributions_that_cancel_are_added_up_for_all_images():
    image = keras.Input((6,))
    a = L.Dense(6, activation="relu", name="a")(image)
    both = L.Add()([layer(a) for layer in (L.Dense(6, activation="relu"), L.Dense(6))])
    check(randomised(keras.Model(image, L.Dense(3, use_bias=False)(both)), 0))


def test_one_of_several_outputs_is_lesioned_by_a_model_of_it():
    image = keras.Input((6,))
    z = L.Dense(8, activation="relu", name="a")(image)
    both = keras.Model(image, [L.Dense(3, name="b")(z), L.Dense(2, name="c")(z)])
    with pytest.raises(ValueError, match="has 2 outputs; choose one"):
        lesions.correct(both, np.ones((2, 6)), [0, 1], [{}])
    check(randomised(keras.Model(both.inputs, both.outputs[1]), 0))


def test_words_beyond_an_embedding_are_named():
    words = np.array([[1, 2, 3, 4, 5, 6, 7], [1, 2, 3, 4, 5, 6, 9]])
    with pytest.raises(ValueError, match=r"^x: .* does not take it: .* 9 is not in \[0, 9\)$"):
        lesions.correct(masked(), words, [0, 1], [{}])


def test_the_graph_refuses_patches_of_a_vector_as_vectors_of_their_own():
    image = keras.Input((6,))
    model = keras.Model(image, L.Dense(3)(patches(L.Dense(6)(image), 4)))
    with pytest.raises(ValueError, match=r"reads what reshape\w* made of"):
        graphs.weight_graph(model)


def inhibited(shape, layer, end):
    """Two units outweigh all others: one silences those that follow, one feeds what none reads."""
    keras.utils.set_random_seed(0)
    image = keras.Input(shape)
    z = layer(16, name="a", activation="relu")(image)
    z = end(layer(16, name="b", activation="relu")(z))
    model = keras.Model(image, L.Dense(10, activation="softmax")(z))
    first, bias, second, zeros, last, none = model.get_weights()
    first[..., :2], bias[:2] = 0, 1e5
    second[..., :2, :] = 0
    second[..., 0, 1:] = -1 - np.abs(noise(second[..., 0, 1:].shape))
    second[..., 1, 0] = 1
    last[0] = 0
    model.set_weights([first, bias, second, zeros, 3 * last, none])
    return model


def noise(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("n_times", [1, 4])
@pytest.mark.parametrize(
    ("shape", "layer", "end"),
    [
        ((20,), L.Dense, L.Identity()),
        ((8, 8, 3), partial(L.Conv2D, kernel_size=3, padding="same"), L.GlobalAveragePooling2D()),
    ],
)
def test_no_lesion_is_rounded_away_where_few_units_outweigh_all_others(shape, layer, end, n_times):
    model = inhibited(shape, layer, end)
    x = noise((200, *shape), 1)
    telling = [{"a": [0]}, *({"a": [0, k]} for k in range(3, 7))]
    weights = model.get_weights()
    brute_force.zero_weights_into(model.get_layer("a"), np.array([0]))
    y = model.predict(x, verbose=0).argmax(axis=1)
    model.set_weights(weights)
    asked = [{"a": [5]}, *telling * n_times]
    np.testing.assert_array_equal(
        lesions.correct(model, x, y, asked, batch_size=200), brute_force.correct(model, x, y, asked)
    )


def test_the_second_of_two_softmaxes_makes_ties_that_the_first_does_not():
    image = keras.Input((20,))
    z = L.Dense(32, activation="relu", name="a")(image)
    z = L.Dense(1000, activation="softmax", name="b")(z)
    model = keras.Model(image, L.Softmax()(z))
    kernel, bias = model.get_layer("b").get_weights()
    model.get_layer("b").set_weights([0.05 * kernel, bias])
    x = np.random.default_rng(0).normal(size=(300, 20)).astype(np.float32)
    y = np.asarray(model(x)).argmax(axis=1)
    asked = [{}, *({"a": range(k)} for k in range(1, 12))]
    found = lesions.correct(model, x, y, asked, batch_size=300)
    np.testing.assert_array_equal(found, brute_force.correct(model, x, y, asked))
    assert found[0].all()


def test_images_by_name_go_to_the_keys_that_a_model_was_made_of():
    a, b = keras.Input((6,), name="left"), keras.Input((6,), name="right")
    z = L.Concatenate()([L.Dense(5, activation="relu", name="a")(a), b])
    model = randomised(keras.Model({"right": a, "left": b}, L.Dense(3)(z)), 0)
    rng = np.random.default_rng(0)
    x = {name: rng.normal(size=(50, 6)).astype(np.float32) for name in ("left", "right")}
    y = model.predict(x, verbose=0).argmax(axis=1)
    assert lesions.correct(model, x, y, [{}]).all()
    unnamed = keras.Input((6,))
    model = keras.Model({"q": unnamed}, L.Dense(3)(L.Dense(4, name="a")(unnamed)))
    y = model.predict({"q": x["left"]}, verbose=0).argmax(axis=1)
    assert lesions.correct(model, {"q": x["left"]}, y, [{}]).all()


def test_layers_that_share_a_variable_are_refused():
    image = keras.Input((6,))
    a, b = L.Dense(6, name="a"), L.Dense(6, name="b")
    model = keras.Model(image, L.Dense(3)(b(a(image))))
    b._tracker.unlock()
    b._kernel = a._kernel
    with pytest.raises(ValueError, match=r"'a' and 'b' of .* share the variable 'kernel'"):
        lesions.correct(model, np.ones((2, 6)), [0, 1], [{"a": [0]}])


class Holder(L.Layer):
    """Does what another layer does, and has its weights."""

    def __init__(self, inner, **options):
        super().__init__(**options)
        self.inner = inner

    def call(self, z):
        return self.inner(z)


def used_elsewhere(kind):
    """A model of which layer d is used once by itself, and once by something that is called."""
    d, image, steps = (
        L.Dense(6, activation="relu", name="d"),
        keras.Input((6,)),
        keras.Input((5, 6)),
    )
    if kind == "time steps":
        both = [d(image), L.GlobalAveragePooling1D()(L.TimeDistributed(d)(steps))]
        return keras.Model([image, steps], L.Dense(3)(L.Add()(both)))
    if kind == "tied":
        words, embedding = keras.Input((5,), dtype="int32"), L.Embedding(6, 6)
        model = keras.Model(words, L.Dense(3)(L.Flatten()(d(embedding(words)))))
        d._tracker.unlock()
        d._kernel = embedding._embeddings
        return model
    other = Holder(d) if kind == "custom layer" else L.SpectralNormalization(d)
    return keras.Model(image, L.Dense(3)(other(d(image))))


@pytest.mark.parametrize("kind", ["time steps", "tied", "custom layer", "spectral norm"])
def test_units_whose_weights_something_else_uses_are_refused(kind):
    with pytest.raises(ValueError, match=r"'d' and '.*' of .* share the variable '.*', so that"):
        forward.read(used_elsewhere(kind))


def test_a_layer_of_a_model_that_is_used_twice_may_be_lesioned_at_both_uses():
    image = keras.Input((6,))
    inner = keras.Model(image, L.Dense(6, activation="relu", name="d")(image))
    check(randomised(keras.Model(image, L.Dense(3)(inner(inner(image)))), 0))


@pytest.mark.parametrize("head", [L.SimpleRNN, L.LSTM, L.GRU, L.EinsumDense])
def test_a_sigmoid_is_taken_off_only_where_nothing_is_weighed_besides(head):
    image, options = keras.Input((5, 4)), {"activation": "sigmoid"}
    z = L.Dense(8, activation="relu", name="a")(image)
    if head is L.EinsumDense:
        last = head("ab,bc->ac", output_shape=1, **options)(L.Flatten()(z))
    else:
        last = head(1, **options)(z)
    with pytest.raises(ValueError, match="a single score that is no sigmoid; accepted are the"):
        forward.read_classifier(keras.Model(image, last))


@pytest.mark.parametrize("head", ["einsum", "recurrent", "normalised"])
def test_what_is_before_a_head_without_units_is_no_output(head):
    image = keras.Input((5, 4))
    z = L.Dense(8, activation="relu", name="b")(L.Dense(8, activation="relu", name="a")(image))
    if head == "einsum":
        z = L.EinsumDense("abc,cd->ad", output_shape=(8,), activation="softmax")(z)
    elif head == "recurrent":
        z = L.Softmax()(L.GRU(8)(z))
    else:
        z = L.Softmax()(L.LayerNormalization()(L.GlobalAveragePooling1D()(z)))
    program = forward.read_classifier(keras.Model(image, z))
    expected = {"b"} if head == "normalised" else set()
    assert program.layers_behind(program.outputs) == expected


def test_one_number_for_each_image_is_not_added_to_several():
    """Keras takes ten images' numbers for a bias where they are added to ten classes."""
    image = keras.Input((6,))
    one, many = L.Dense(1)(image), L.Dense(10)(image)
    for wrong in (L.Add()([many, one]), many + one):
        with pytest.raises(ValueError, match=r"adds a tensor of shape \(None, 1\) to one of shape"):
            forward.read(keras.Model(image, wrong))
    check(randomised(keras.Model(image, many + keras.ops.repeat(one, 10, axis=-1)), 0))
    check(randomised(keras.Model(image, L.Add()([one, many])), 0))


@pytest.mark.parametrize(
    ("first", "second", "is_right"),
    [
        ((4, 4), (4, 1), False),
        ((4, 4), (1, 4), True),
        ((4, 5), (4, 1), True),
        ((3, 3, 5), (1, 3, 1), False),
        ((3, 4, 5), (3, 1, 1), True),
        ((3, 4, 5), (3, 4, 1), True),
    ],
)
def test_sums_that_keras_gets_wrong_of_one_image_are_refused(first, second, is_right):
    """Where they are accepted, Keras adds as NumPy does, and where not, it does not."""
    rng = np.random.default_rng(0)
    one, other = (rng.normal(size=(1, *shape)).astype(np.float32) for shape in (first, second))
    assert np.allclose(keras.ops.add(one, other), one + other) == is_right
    inputs = [keras.Input(shape) for shape in (first, second)]
    model = keras.Model(inputs, L.Flatten()(inputs[0] + inputs[1]))
    if is_right:
        forward.read(model)
    else:
        with pytest.raises(ValueError, match="which Keras on TensorFlow gets wrong for some"):
            forward.read(model)


def check_where_changed(model, array):
    """Lesions of a model of which an array of 8 numbers is changed in place in between."""
    rng = np.random.default_rng(0)
    x, asked = noise((50, 6, 6, 3)), [{"a": rng.permutation(8)[:3]} for _ in range(30)]
    for _ in range(2):
        y = np.asarray(model(x)).argmax(axis=1)
        found = lesions.correct(model, x, y, asked)
        np.testing.assert_array_equal(found, brute_force.correct(model, x, y, asked))
        array[:] = 3 * rng.normal(size=8)


def test_an_array_that_a_function_is_given_may_be_changed_in_place():
    image, factors = keras.Input((6, 6, 3)), np.ones(8, np.float32)
    z = keras.ops.multiply(L.Conv2D(8, 3, name="a", activation="relu")(image), factors)
    z = L.Conv2D(8, 3, name="b")(z)
    check_where_changed(keras.Model(image, L.Dense(4)(L.GlobalAveragePooling2D()(z))), factors)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_inputs_of_low_precision_are_rounded_as_the_model_rounds_them(dtype):
    image = keras.Input((6,), dtype=dtype)
    z = L.Dense(8, activation="relu", name="a", dtype="float32")(image)
    model = randomised(keras.Model(image, L.Dense(3, dtype="float32")(z)), 0)
    check(model, x=100 * noise((60, 6)))


def test_lesions_of_models_with_images_on_the_second_axis_are_exact_however_many():
    image = keras.Input((12, 6))
    z = keras.ops.transpose(L.Dense(8, activation="relu", name="a")(image), (1, 0, 2))
    z = keras.ops.transpose(L.Dense(8, activation="relu", name="b")(z), (1, 0, 2))
    model = randomised(keras.Model(image, L.Dense(5, activation="softmax")(L.Flatten()(z))), 0)
    for n_images in (12, 40):
        x = np.random.default_rng(0).normal(size=(n_images, 12, 6)).astype(np.float32)
        y = np.arange(n_images) % 5
        asked = [{name: [j % 8, (j + 1) % 8]} for j in range(12) for name in ("a", "b")]
        found = lesions.correct(model, x, y, asked, batch_size=n_images)
        np.testing.assert_array_equal(found, brute_force.correct(model, x, y, asked))


def test_pooling_leaves_out_what_a_computed_mask_does():
    words = keras.Input((7,), dtype="int32")
    z = L.Embedding(9, 8, mask_zero=True)(words)
    z = L.Add()([z, L.MultiHeadAttention(2, 4)(z, z)])
    z = L.GlobalAveragePooling1D()(L.Dense(12, activation="relu", name="a")(z))
    model = randomised(keras.Model(words, L.Dense(3)(z)), 0)
    x = np.random.default_rng(0).integers(0, 9, (60, 7))
    x[:, 0] = 1
    y, asked = np.arange(60) % 3, [{"a": [k, k + 1]} for k in range(10)]
    found = lesions.correct(model, x, y, asked, batch_size=60)
    np.testing.assert_array_equal(found, brute_force.correct(model, x, y, asked))


@pytest.mark.parametrize("given", ["8", 2.5, 0])
def test_a_batch_size_is_a_number_of_images(given):
    with pytest.raises(ValueError, match=r"batch_size: .* was given; accepted are integers from 1"):
        lesions.correct(
            made(alone("dense", VECTORS)), np.ones((2, 9, 8, 3)), [0, 1], [{}], None, given
        )


def with_backup(shape, layer, end, strength):
    """Most units of `a` are strong and silence a weak group, which alone is read, or are idle."""
    rng = np.random.default_rng(0)
    image = keras.Input(shape)
    z = layer(40, name="a", activation="relu")(image)
    z = end(layer(40, name="b", activation="relu")(z))
    model = keras.Model(image, L.Dense(5, activation="softmax")(z))
    first, zeros, second, more_zeros, last, none = map(np.zeros_like, model.get_weights())
    silencing, idle, weak = np.arange(16), np.arange(16, 32), np.arange(32, 40)
    first[...] = rng.normal(size=first.shape) / 5
    first[..., :32] *= strength
    flat = second.reshape(-1, 40, 40)
    flat[0][np.ix_(silencing, weak)] = -np.abs(rng.normal(size=(16, 8)))
    flat[0][np.ix_(weak, weak)] = rng.normal(size=(8, 8))
    flat[0][np.ix_(idle, np.arange(32))] = rng.normal(size=(16, 32)) / 4
    last[weak] = rng.normal(size=(8, 5))
    model.set_weights([first, zeros, second, more_zeros, last, none])
    return model, keras.Model(image, z), silencing, idle


@pytest.mark.parametrize("strength", [1e4, 1e6])
@pytest.mark.parametrize(
    ("shape", "layer", "end"),
    [
        ((20,), L.Dense, L.Identity()),
        ((6, 6, 20), partial(L.Conv2D, kernel_size=1), L.GlobalAveragePooling2D()),
    ],
)
def test_no_lesion_that_uncovers_a_weak_group_is_judged_by_rounding(shape, layer, end, strength):
    model, behind, silencing, idle = with_backup(shape, layer, end, strength)
    x, weights = noise((300, *shape), 1), model.get_weights()
    brute_force.zero_weights_into(model.get_layer("a"), silencing)
    # So that there are classes to mistake.
    weights[-1] = weights[-1] - (np.asarray(behind(x)) @ weights[-2]).mean(axis=0)
    model.layers[-1].set_weights(weights[-2:])
    y = np.asarray(model(x)).argmax(axis=1)
    model.set_weights(weights)
    asked = [{"a": idle[:3]}, *({"a": silencing[:k]} for k in range(6, 17))]
    found = lesions.correct(model, x, y, asked, batch_size=300)
    np.testing.assert_array_equal(found, brute_force.correct(model, x, y, asked))
    assert len({*map(tuple, found)}) > 1


def nearly_equal_towers(difference=1e-3):
    """Two towers, of which only the difference is read, behind units of which four are dead."""
    rng, image = np.random.default_rng(0), keras.Input((64,))
    keras.utils.set_random_seed(0)
    a = L.Dense(64, activation="relu", name="a", use_bias=False)(image)
    towers = [L.Dense(64, activation="relu", name=name, use_bias=False)(a) for name in ("t", "u")]
    apart = L.Subtract()(towers)
    model = keras.Model(image, L.Dense(10, activation="softmax", name="out")(apart))
    first, one, _, last, _ = model.get_weights()
    first[:, :4] = -np.abs(first[:, :4])
    one = np.abs(one)
    other = one * (1 + difference * noise(one.shape, 1))
    x = rng.random((2000, 64), dtype=np.float32) * (rng.random((2000, 64)) < 0.15)
    model.set_weights([first, one, other, last / difference, np.zeros(10)])
    read = np.asarray(keras.Model(image, apart)(x)) @ (last / difference)
    model.get_layer("out").set_weights([last / difference, -read.mean(axis=0)])
    return model, x


def test_a_trial_is_not_blinded_by_lesions_of_dead_units_that_come_first():
    model, x = nearly_equal_towers()
    y, rng = np.asarray(model(x)).argmax(axis=1), np.random.default_rng(1)
    others = [{"a": 4 + rng.permutation(60)[: rng.integers(2, 32)]} for _ in range(20)]
    for asked in ([{"a": range(4)}, *others], [{"a": [k]} for k in (0, 1, 2, 3, 0, 40)]):
        found = lesions.correct(model, x, y, asked, batch_size=2000)
        np.testing.assert_array_equal(found, brute_force.correct(model, x, y, asked))


def test_a_trial_is_not_blinded_by_blank_images_that_come_first():
    model, x = nearly_equal_towers()
    x[:8] = 0
    y, rng = np.asarray(model(x)).argmax(axis=1), np.random.default_rng(2)
    asked = [{"a": 4 + rng.permutation(60)[: rng.integers(2, 32)]} for _ in range(20)]
    found = lesions.correct(model, x, y, asked, batch_size=2000)
    np.testing.assert_array_equal(found, brute_force.correct(model, x, y, asked))


def test_images_at_the_boundary_of_a_sigmoid_are_judged_by_what_it_takes_in():
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    image = keras.Input((64,))
    z = L.Dense(256, activation="relu")(L.Dense(256, activation="relu", name="a")(image))
    z = L.Dense(1, name="logit")(z)
    model, logits = keras.Model(image, L.Activation("sigmoid")(z)), keras.Model(image, z)
    model.set_weights([30 * each for each in model.get_weights()])
    x = rng.integers(0, 256, (2000, 64)).astype(np.float32)
    lesioned, weights = rng.permutation(256)[:100], model.get_weights()
    brute_force.zero_weights_into(model.get_layer("a"), lesioned)
    weights[-1][:] = -np.median(logits.predict(x, verbose=0))
    model.get_layer("logit").set_weights(weights[-2:])

    def is_one(images):
        return model.predict(images, verbose=0, batch_size=2000)[:, 0] > 0.5

    ones, zeros = x[is_one(x)][:100], x[~is_one(x)][:100]
    n = min(len(ones), len(zeros))
    ones, zeros = ones[:n], zeros[:n]
    for _ in range(40):
        middle = (ones + zeros) / 2
        is_above = is_one(middle)[:, np.newaxis]
        ones, zeros = np.where(is_above, middle, ones), np.where(is_above, zeros, middle)
    model.set_weights(weights)
    images = np.concatenate([x[:8], ones, zeros])
    asked = [*({"a": rng.permutation(256)[:100]} for _ in range(9)), {"a": lesioned}]
    y = np.zeros(len(images), int)
    found = lesions.correct(model, images, y, asked)
    assert n > 20
    np.testing.assert_array_equal(found, brute_force.correct(model, images, y, asked))


def test_an_array_that_a_layer_has_may_be_changed_in_place():
    keras.utils.set_random_seed(0)
    image = keras.Input((6, 6, 3))
    rescaling = L.Rescaling(scale=[1.0] * 8, offset=[0.0] * 8)
    rescaling.scale = np.ones(8, np.float32)
    z = L.Conv2D(8, 3, name="b")(rescaling(L.Conv2D(8, 3, name="a", activation="relu")(image)))
    check_where_changed(
        keras.Model(image, L.Dense(4)(L.GlobalAveragePooling2D()(z))), rescaling.scale
    )


def test_a_model_that_predicts_otherwise_than_it_is_called_is_refused():
    class Scaling(keras.Model):
        def predict_step(self, data):
            return self(data / 255)

    image = keras.Input((6,))
    model = Scaling(image, L.Dense(3)(L.Dense(4, name="a")(image)))
    with pytest.raises(ValueError, match="has a predict_step of its own"):
        lesions.correct(model, np.ones((2, 6)), [0, 1], [{"a": [0]}])


def test_a_model_with_a_predict_of_its_own_is_refused():
    class Reversed(keras.Model):
        def predict(self, *inputs, **options):
            return super().predict(*inputs, **options)[:, ::-1]

    image = keras.Input((6,))
    model = Reversed(image, L.Dense(3)(L.Dense(4, name="a")(image)))
    with pytest.raises(ValueError, match="has a predict of its own"):
        lesions.correct(model, np.ones((2, 6)), [0, 1], [{"a": [0]}])


def test_images_without_an_output_have_no_class():
    words = keras.Input((6,), dtype="int32")
    z = L.GlobalAveragePooling1D()(
        L.Dense(8, "tanh", name="a")(L.Embedding(9, 4, mask_zero=True)(words))
    )
    model = keras.Model(words, L.Dense(3, "softmax")(z))
    x = np.ones((6, 6), int)
    x[::3] = 0  # Nothing but what is masked: a mean over nothing.
    asked = [{}, {"a": [0, 1]}]
    found = [lesions.correct(model, x, np.full(6, c), asked) for c in range(3)]
    np.testing.assert_array_equal(np.sum(found, axis=0), [[0, 1, 1, 0, 1, 1]] * 2)


@pytest.mark.parametrize(
    "hand_on", [L.Activation("linear"), L.Identity(), L.Dropout(0.5), L.Reshape((8,)), L.Flatten()]
)
def test_what_another_layer_still_reads_is_not_rectified_in_place(hand_on):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 6)).astype(np.float32)
    x[:, 0] = -1
    rare = np.arange(400) % 50 >= 43  # Images for which units of "z" are negative, and no others.
    x[rare, 0] = rng.uniform(0.5, 2, rare.sum())
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6,))
    hidden, both = L.Dense(8, "relu", name="h"), L.Dense(8, name="z")
    z = both(hidden(inputs))
    rectified = L.Activation("relu")(hand_on(z))
    model = keras.Model(inputs, L.Dense(4)(L.Concatenate()([z, rectified])))
    kernel = rng.normal(scale=0.6, size=(6, 8))
    kernel[:, 7] = [5, 0, 0, 0, 0, 0]
    hidden.set_weights([kernel, np.zeros(8)])
    kernel = np.abs(rng.normal(scale=0.5, size=(8, 8)))
    kernel[7] = -10
    both.set_weights([kernel, np.full(8, 0.3)])
    model.layers[-1].set_weights([rng.normal(scale=0.4, size=(16, 4)), rng.normal(size=4)])
    chosen = [{"h": [unit]} for unit in range(7)] + [
        {"h": rng.permutation(7)[:3]} for _ in range(9)
    ]
    for y in range(4):
        classes = np.full(len(x), y)
        right = brute_force.correct(model, x, classes, chosen)
        np.testing.assert_array_equal(lesions.correct(model, x, classes, chosen), right)
