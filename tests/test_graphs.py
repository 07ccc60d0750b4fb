"""Weight graphs: equal to reading the weights one by one."""

from functools import partial

import numpy as np
import pytest
import scipy.sparse

from helpers import graphs, networks
from helpers.backend import keras

L = keras.layers


def l1(kernel_slice):
    return sum(abs(float(weight)) for weight in kernel_slice.ravel())


def max_column_sum(kernel_slice):
    return np.linalg.norm(kernel_slice.astype(np.float64), 1)


def read_one_by_one(kernels, norm=l1):
    """The dense adjacency matrix of consecutive layers, edge by edge."""
    widths = [kernels[0].shape[-2], *(kernel.shape[-1] for kernel in kernels)]
    starts = np.cumsum([0, *widths])
    adjacency = np.zeros((starts[-1], starts[-1]))
    for start, following, kernel in zip(starts[:-2], starts[1:-1], kernels, strict=True):
        for i, j in np.ndindex(kernel.shape[-2:]):
            weight = norm(kernel[..., i, j])
            adjacency[start + i, following + j] = adjacency[following + j, start + i] = weight
    return adjacency


def kernels_of(model, *names):
    return [model.get_layer(name).kernel.numpy() for name in names]


@pytest.fixture(scope="module")
def mlp():
    return networks.mlp((3, 2, 1), 4, width=5, depth=2)


@pytest.fixture(scope="module")
def cnn():
    return networks.cnn((8, 8, 2), 3, channels=4, dense_width=5)


@pytest.mark.parametrize("edge_norm", graphs.EDGE_NORMS)
def test_the_graph_of_an_mlp_has_the_weights_magnitudes_as_edges(mlp, edge_norm):
    found = graphs.weight_graph(mlp, edge_norm).adjacency
    expected = read_one_by_one(kernels_of(mlp, "dense_1", "dense_2", "output"))
    assert found.dtype == np.float64
    assert scipy.sparse.issparse(found)
    np.testing.assert_array_equal(found.toarray(), expected)


def test_the_graph_of_an_mlp_has_inputs_and_outputs(mlp):
    graph = graphs.weight_graph(mlp)
    assert graph.layers == ("input", "dense_1", "dense_2", "output")
    assert graph.widths == (6, 5, 5, 4)
    assert graph.hidden == ("dense_1", "dense_2")
    assert [graph.slice(layer) for layer in graph.layers] == [
        slice(0, 6),
        slice(6, 11),
        slice(11, 16),
        slice(16, 20),
    ]


@pytest.mark.parametrize(("edge_norm", "norm"), [("l1", l1), ("max_column_sum", max_column_sum)])
def test_the_graph_of_a_cnn_has_norms_of_kernel_slices_as_edges(cnn, edge_norm, norm):
    found = graphs.weight_graph(cnn, edge_norm).adjacency.toarray()
    expected = read_one_by_one(kernels_of(cnn, "conv_2", "conv_3"), norm)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_the_graph_of_a_cnn_has_feature_maps_only(cnn):
    graph = graphs.weight_graph(cnn)
    assert graph.layers == graph.hidden == ("conv_1", "conv_2", "conv_3")
    assert graph.widths == (4, 4, 4)
    assert graph.slice("conv_2") == slice(4, 8)


def test_the_last_layer_of_a_network_of_convolutions_alone_is_not_hidden():
    model = keras.Sequential([keras.Input((4, 4, 1)), L.Conv2D(2, 1, name="a"), L.Conv2D(3, 1)])
    assert graphs.weight_graph(model).hidden == ("a",)


def test_pruned_weights_are_no_edges(mlp):
    model = keras.models.clone_model(mlp)
    kernel = np.zeros((5, 5), np.float32)
    kernel[1, 2] = -3
    model.get_layer("dense_2").kernel.assign(kernel)
    graph = graphs.weight_graph(model)
    block = graph.adjacency[graph.slice("dense_1"), graph.slice("dense_2")]
    assert block.nnz == 1
    assert block[1, 2] == 3


@pytest.mark.parametrize("batch_norm", graphs.BATCH_NORMS)
@pytest.mark.parametrize("make", ["mlp", "cnn"])
def test_graphs_are_symmetric(make, batch_norm, request):
    adjacency = graphs.weight_graph(request.getfixturevalue(make), "l1", batch_norm).adjacency
    assert (adjacency != adjacency.T).nnz == 0


def normalised(position, **options):
    """Two convolutions and a dense layer, with random batch normalisation somewhere."""
    norm = L.BatchNormalization(name="norm", epsilon=0.01, **options)
    after_a, after_b, after_dense = {
        "directly": ([], [norm], []),
        "behind ReLU": ([], [L.ReLU(), norm], []),
        "behind pooling": ([], [L.MaxPooling2D(2), norm], []),
        "behind all": ([], [L.Activation("relu"), L.Dropout(0.5), L.MaxPooling2D(2), norm], []),
        "before another": ([], [norm, L.ReLU(), L.BatchNormalization()], []),
        "behind the first convolution": ([norm], [], []),
        "behind the dense layer": ([], [], [norm]),
    }[position]
    model = keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            *(L.Conv2D(2, 3, name="a", activation="relu"), *after_a),
            *(L.Conv2D(3, 2, name="b"), *after_b),
            *(L.Flatten(), L.Dense(4), *after_dense, L.Dense(2)),
        ]
    )
    randomise(norm)
    return model


def randomise(norm):
    rng = np.random.default_rng(0)
    norm.moving_variance.assign(rng.uniform(0.5, 2, norm.moving_variance.shape))
    norm.moving_mean.assign(rng.normal(size=norm.moving_mean.shape))
    if norm.scale:
        norm.gamma.assign(rng.normal(size=norm.gamma.shape))
        assert (norm.gamma.numpy() < 0).any()


def scale(norm):
    sigma = np.sqrt(norm.moving_variance.numpy().astype(float))
    gamma = norm.gamma.numpy().astype(float) if norm.scale else 1
    return abs(gamma) / (sigma + norm.epsilon)


def block(graph, before, after):
    return graph.adjacency[graph.slice(before), graph.slice(after)].toarray()


@pytest.mark.parametrize(
    ("position", "options"),
    [
        ("directly", {}),
        ("directly", {"scale": False}),
        ("behind ReLU", {"center": False}),
        ("behind pooling", {}),
        ("behind all", {}),
        ("before another", {}),
    ],
)
def test_batch_normalisation_scales_the_weights_into_its_feature_maps(position, options):
    model = normalised(position, **options)
    plain = read_one_by_one(kernels_of(model, "b"))[:2, 2:]
    folded = graphs.weight_graph(model)
    np.testing.assert_allclose(block(folded, "a", "b"), plain * scale(model.get_layer("norm")))
    unfolded = graphs.weight_graph(model, batch_norm="none")
    np.testing.assert_allclose(block(unfolded, "a", "b"), plain)


@pytest.mark.parametrize("position", ["behind the first convolution", "behind the dense layer"])
def test_batch_normalisation_without_edges_to_scale_changes_nothing(position):
    model = normalised(position)
    folded, unfolded = (graphs.weight_graph(model, "l1", each) for each in graphs.BATCH_NORMS)
    assert (folded.adjacency != unfolded.adjacency).nnz == 0


def test_batch_normalisation_of_flattened_feature_maps_is_refused():
    flattened = [L.Flatten(), L.BatchNormalization(name="norm"), L.Dense(2)]
    model = keras.Sequential(
        [keras.Input((3, 3, 1)), L.Conv2D(2, 2, name="a"), L.Conv2D(1, 1, name="b"), *flattened]
    )
    with pytest.raises(ValueError, match=r"model: .*'(b|norm)'"):
        graphs.weight_graph(model)


@pytest.mark.parametrize("n_maps", [4, 16])
def test_batch_normalisation_of_another_axis_is_refused_or_left_out(n_maps):
    convolutions = [L.Conv2D(n_maps, 3, padding="same", name=each) for each in "ab"]
    behind = [L.BatchNormalization(axis=1, name="norm"), L.Flatten(), L.Dense(2)]
    model = keras.Sequential([keras.Input((6, 6, 2)), *convolutions, *behind])
    with pytest.raises(ValueError, match="'norm' does not normalise the units of 'b'"):
        graphs.weight_graph(model)
    graph = graphs.weight_graph(model, "l1", batch_norm="none")
    kernel = np.asarray(model.get_layer("b").kernel)
    np.testing.assert_allclose(block(graph, "a", "b"), abs(kernel).sum((0, 1)), rtol=1e-6)


@pytest.mark.parametrize("pool", [L.GlobalAveragePooling1D, L.MaxPooling1D])
def test_pooling_over_units_loses_track_of_them(pool):
    image = keras.Input((6, 3))
    z = pool(data_format="channels_first", name="pool")(L.Dense(4, name="a")(image))
    model = keras.Model(image, L.Dense(3)(L.Dense(5, name="b")(z)))
    with pytest.raises(ValueError, match="'b' reads what pool made of units"):
        graphs.weight_graph(model)


def test_weights_of_another_axis_than_that_of_the_units_are_no_edges():
    image = keras.Input((3, 6, 6))
    z = L.Conv2D(4, 3, data_format="channels_first", name="a")(image)
    model = keras.Model(image, L.Dense(3)(L.Flatten()(L.Dense(5, name="b")(z))))
    with pytest.raises(ValueError, match="'b' weighs another axis than that of the units before"):
        graphs.weight_graph(model)


def test_batch_normalisation_scales_the_weights_into_its_neurons():
    image = keras.Input((3,), name="image")
    norm = L.BatchNormalization(name="norm")
    z = L.Dropout(0.5)(norm(L.Dense(5, activation="tanh", name="a")(image)))
    model = keras.Model(image, L.Dense(2, name="out")(z))
    randomise(norm)
    graph = graphs.weight_graph(model)
    first, second = kernels_of(model, "a", "out")
    assert graph.layers == ("image", "a", "out")
    np.testing.assert_allclose(block(graph, "image", "a"), abs(first) * scale(norm))
    np.testing.assert_array_equal(block(graph, "a", "out"), abs(second))


def with_layer(layer):
    flat = [L.Flatten(), L.Dense(3)]
    return keras.Sequential([keras.Input((6, 2)), L.ReLU(), layer, *flat])


def one_convolution():
    return keras.Sequential(
        [keras.Input((3, 3, 1)), L.Conv2D(2, 3, name="only"), L.Flatten(), L.Dense(2)]
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: with_layer(L.LSTM(3, name="odd")), "reads what odd made of units, .*from_labels"),
        (lambda: with_layer(L.LayerNormalization(name="odd")), "reads what odd made of units"),
        (lambda: with_layer(L.Conv1D(3, 2, name="odd")), "'odd' is its only convolutional layer"),
        (one_convolution, "'only' is its only convolutional layer; .* needs two or more"),
        (
            lambda: keras.Sequential([L.Dense(3)], name="raw"),
            "'raw' .* is not built, or no Sequential or functional model",
        ),
    ],
)
def test_models_without_a_graph_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        graphs.weight_graph(make())


@pytest.mark.parametrize(
    ("layer", "variable", "value"),
    [
        ("b", "kernel", np.nan),
        ("b", "kernel", np.inf),
        ("b", "kernel", -np.inf),
        ("norm", "gamma", np.nan),
        ("norm", "moving_variance", np.nan),
    ],
)
def test_weights_that_are_not_finite_are_refused(layer, variable, value):
    model = normalised("directly")
    weights = getattr(model.get_layer(layer), variable)
    weights.assign(np.full(weights.shape, value))
    with pytest.raises(ValueError, match=f"'(b|{layer})' has weights that are not finite"):
        graphs.weight_graph(model)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"edge_norm": "l2"}, "edge_norm: 'l2' was given; accepted are l1, max_column_sum"),
        ({"batch_norm": "signed"}, "batch_norm: 'signed' was given; accepted are outgoing, none"),
    ],
)
def test_unknown_options_are_refused(mlp, options, message):
    with pytest.raises(ValueError, match=message):
        graphs.weight_graph(mlp, **options)


def test_a_layer_that_the_graph_does_not_have_is_refused(cnn):
    with pytest.raises(ValueError, match="no layer 'dense'; accepted are conv_1, conv_2, conv_3"):
        graphs.weight_graph(cnn).slice("dense")


def test_shuffling_permutes_the_edges_between_each_two_layers(mlp):
    graph = graphs.weight_graph(mlp)
    shuffled = graphs.shuffle_weights(graph, np.random.default_rng(0))
    assert (shuffled.layers, shuffled.widths, shuffled.hidden) == (
        graph.layers,
        graph.widths,
        graph.hidden,
    )
    assert (shuffled.adjacency != shuffled.adjacency.T).nnz == 0
    assert shuffled.adjacency.nnz == graph.adjacency.nnz
    for pair in zip(graph.layers[:-1], graph.layers[1:], strict=True):
        before, after = block(graph, *pair), block(shuffled, *pair)
        assert (before != after).any()
        np.testing.assert_array_equal(np.sort(before, axis=None), np.sort(after, axis=None))


def test_shuffling_keeps_edges_that_skip_a_layer():
    rng = np.random.default_rng(0)
    upper = np.triu(rng.random((6, 6)), 1)
    upper[[0, 2, 4], [1, 3, 5]] = 0  # no edges within the three layers of two units
    graph = graphs.WeightGraph(
        scipy.sparse.csr_array(upper + upper.T), ("a", "b", "c"), (2, 2, 2), ("a", "b")
    )
    shuffled = graphs.shuffle_weights(graph, rng)
    assert (shuffled.adjacency != graph.adjacency).nnz
    for pair in (("a", "b"), ("b", "c"), ("a", "c")):
        np.testing.assert_array_equal(
            np.sort(block(graph, *pair), axis=None), np.sort(block(shuffled, *pair), axis=None)
        )


def test_shuffling_keeps_edges_of_a_layer_that_takes_in_what_it_puts_out():
    inputs, layer = keras.Input((4,)), keras.layers.Dense(4, "relu", name="a")
    z = layer(layer(inputs))
    model = keras.Model(inputs, keras.layers.Dense(2, name="b")(z))
    graph = graphs.weight_graph(model)
    kernel = np.abs(layer.get_weights()[0])
    np.testing.assert_allclose(block(graph, "a", "a"), kernel + kernel.T, rtol=1e-6)
    shuffled = graphs.shuffle_weights(graph, np.random.default_rng(0))
    before, after = block(graph, "a", "a"), block(shuffled, "a", "a")
    np.testing.assert_array_equal(after, after.T)
    assert (before != after).any()
    for edges in (np.diag, partial(np.triu, k=1)):
        np.testing.assert_array_equal(
            np.sort(edges(before), axis=None), np.sort(edges(after), axis=None)
        )


def test_shuffling_moves_absent_edges_too_and_is_determined_by_its_generator(mlp):
    model = keras.models.clone_model(mlp)
    model.get_layer("dense_2").kernel.assign(np.eye(5))
    graph = graphs.weight_graph(model)
    first, second = (graphs.shuffle_weights(graph, np.random.default_rng(1)) for _ in range(2))
    assert (first.adjacency != second.adjacency).nnz == 0
    edges = block(first, "dense_1", "dense_2")
    assert np.count_nonzero(edges) == 5
    assert np.count_nonzero(np.diag(edges)) < 5


def residual(**options):
    """Two convolutions into a sum that two others read, and a depthwise one behind one of them."""
    image = keras.Input((8, 8, 1))
    a = L.Conv2D(3, 3, padding="same", name="a", use_bias=False)(image)
    z = L.ReLU()(L.BatchNormalization(name="norm_a")(a))
    b = L.BatchNormalization(name="norm_b")(L.Conv2D(3, 3, padding="same", name="b")(z))
    total = L.Add(name="sum")([z, b])
    c = L.Conv2D(4, 1, name="c")(total)
    d = L.DepthwiseConv2D(3, padding="same", depth_multiplier=2, name="d")(L.ReLU()(c))
    d = L.BatchNormalization(name="norm_d")(d)
    e = L.Conv2D(2, 1, name="e")(d)
    f = L.Conv2D(5, 3, padding="same", name="f")(L.Concatenate(name="both")([total, e]))
    model = keras.Model(image, L.Dense(2)(L.GlobalAveragePooling2D()(f)))
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if type(layer) is L.BatchNormalization:
            randomise(layer)
            layer.gamma.assign(rng.normal(size=layer.gamma.shape))
    return model


@pytest.mark.parametrize("edge_norm", graphs.EDGE_NORMS)
def test_units_are_connected_through_sums_concatenations_and_depthwise_convolutions(edge_norm):
    model = residual()
    graph = graphs.weight_graph(model, edge_norm, "none")
    norm = l1 if edge_norm == "l1" else max_column_sum
    kernels = {name: model.get_layer(name).kernel.numpy() for name in "abcdef"}

    def weights(name, inputs=slice(None)):
        kernel = kernels[name][:, :, inputs]
        return [
            [norm(kernel[:, :, i, j]) for j in range(kernel.shape[3])]
            for i in range(kernel.shape[2])
        ]

    assert graph.layers == graph.hidden == ("a", "b", "c", "e", "f")
    for first, second in (("a", "b"), ("a", "c"), ("b", "c")):
        np.testing.assert_allclose(block(graph, first, second), weights(second))
    for first in ("a", "b"):  # The first three channels that `f` reads are the sum.
        np.testing.assert_allclose(block(graph, first, "f"), weights("f", slice(3)))
    np.testing.assert_allclose(block(graph, "e", "f"), weights("f", slice(3, 5)))
    through = np.zeros((4, 2))
    for i, j, k in np.ndindex(4, 2, 2):
        through[i, k] += norm(kernels["d"][:, :, i, j]) * norm(kernels["e"][:, :, 2 * i + j, k])
    np.testing.assert_allclose(block(graph, "c", "e"), through)
    for first, second in (("a", "e"), ("b", "e"), ("c", "f")):
        assert not block(graph, first, second).any()
    assert (graph.adjacency != graph.adjacency.T).nnz == 0


def test_batch_normalisation_is_folded_along_the_paths_that_units_are_read_through():
    model = residual()
    plain, folded = (graphs.weight_graph(model, "l1", each) for each in ("none", "outgoing"))
    factor_b = scale(model.get_layer("norm_b"))
    for first, second, factors in (
        ("a", "b", factor_b),
        ("a", "c", 1),
        ("b", "c", 1),
        ("e", "f", 1),
    ):
        expected = block(plain, first, second) * factors
        np.testing.assert_allclose(block(folded, first, second), expected)
    kernels = {name: abs(model.get_layer(name).kernel.numpy()) for name in "de"}
    through = np.zeros((4, 2))
    for i, j, k in np.ndindex(4, 2, 2):
        way = kernels["d"][:, :, i, j].sum() * scale(model.get_layer("norm_d"))[2 * i + j]
        through[i, k] += way * kernels["e"][0, 0, 2 * i + j, k]
    np.testing.assert_allclose(block(folded, "c", "e"), through, rtol=1e-6)


def test_a_unit_that_is_read_through_several_normalisations_has_their_mean_factor():
    image = keras.Input((4, 4, 1))
    a = L.Conv2D(2, 1, name="a")(image)
    b = L.Conv2D(3, 1, name="b")(a)
    norms = [L.BatchNormalization(name=name) for name in ("one", "other")]
    c, d = (L.Conv2D(2, 1, name=name)(norm(b)) for name, norm in zip("cd", norms, strict=True))
    model = keras.Model(image, L.Dense(2)(L.GlobalMaxPooling2D()(L.Add()([c, d]))))
    for seed, norm in enumerate(norms):
        norm.gamma.assign(np.random.default_rng(seed).normal(size=3))
    plain, folded = (graphs.weight_graph(model, "l1", each) for each in ("none", "outgoing"))
    expected = block(plain, "a", "b") * (scale(norms[0]) + scale(norms[1])) / 2
    np.testing.assert_allclose(block(folded, "a", "b"), expected)


def test_neurons_are_connected_through_sums_and_the_inputs_they_read():
    left, right = keras.Input((3,), name="left"), keras.Input((2,), name="right")
    a = L.Dense(4, name="a", activation="relu")(left)
    b = L.Dense(4, name="b")(L.Concatenate()([a, right]))
    out = L.Dense(2, name="out", activation="softmax")(L.Add()([a, b]))
    graph = graphs.weight_graph(keras.Model([left, right], out))
    model = keras.Model([left, right], out)
    kernels = dict(zip(("a", "b", "out"), kernels_of(model, "a", "b", "out"), strict=True))
    assert graph.layers == ("left", "right", "a", "b", "out")
    assert graph.hidden == ("a", "b")
    for first, second, weights in (
        *(("left", "a", kernels["a"]), ("a", "b", kernels["b"][:4])),
        *(
            ("right", "b", kernels["b"][4:]),
            ("a", "out", kernels["out"]),
            ("b", "out", kernels["out"]),
        ),
    ):
        np.testing.assert_array_equal(block(graph, first, second), abs(weights))
    assert not block(graph, "right", "a").any()


def test_layers_inside_models_and_layers_used_twice_are_vertices_once():
    image = keras.Input((6, 6, 2))
    twice = L.Conv2D(2, 1, name="twice")
    inside = keras.Sequential(
        [keras.Input((6, 6, 2)), L.ReLU(), L.Conv2D(2, 3, name="in")], name="m"
    )
    z = inside(twice(twice(image)))
    model = keras.Model(image, L.Dense(2)(L.GlobalAveragePooling2D()(z)))
    graph = graphs.weight_graph(model)
    assert graph.layers == ("twice", "m/in")
    kernel = abs(twice.kernel.numpy()[0, 0])
    np.testing.assert_allclose(block(graph, "twice", "twice"), kernel + kernel.T, rtol=1e-6)


def test_attention_ends_a_graph_and_is_named():
    words = keras.Input((5, 4))
    z = L.Dense(6, name="before")(words)
    z = L.MultiHeadAttention(2, 3, name="attention")(z, z)
    model = keras.Model(words, L.Dense(2)(L.Flatten()(L.Dense(3, name="after")(z))))
    with pytest.raises(
        ValueError, match=r"'after' reads what attention made of units, .*from_labels"
    ):
        graphs.weight_graph(model)


def graph_between(edges):
    """A graph of two layers with these edges."""
    edges = np.asarray(edges, float)
    nothing = [np.zeros((n, n)) for n in edges.shape]
    adjacency = np.block([[nothing[0], edges], [edges.T, nothing[1]]])
    return graphs.Graph(adjacency, ("a", "b"), edges.shape, ("a", "b"))


def test_two_layers_that_fall_apart_are_wholly_separable_and_uniform_ones_not_at_all():
    apart = np.kron(np.eye(2), np.ones((3, 4)))
    even = np.outer([1, 2, 3], [1, 1, 5, 2])
    for edges, expected in ((apart, 1.0), (even, 0.0), (0.7 * apart + 0.3 * (1 - apart), 0.4)):
        (row,) = graphs.separability(graph_between(edges)).to_dict("records")
        assert row["separability"] == pytest.approx(expected, abs=1e-12)
        assert row["units"] == sum(edges.shape)


def test_units_without_edges_and_layers_without_them_do_not_count():
    edges = np.zeros((4, 5))
    edges[:2, :2] = np.eye(2)
    (row,) = graphs.separability(graph_between(edges)).to_dict("records")
    assert (row["units"], row["separability"]) == (4, 1.0)
    assert graphs.separability(graph_between(np.zeros((2, 3)))).empty
    assert np.isnan(graphs.separability(graph_between([[1.0, 2.0]]))["separability"]).all()


def test_parts_of_an_image_are_no_vertices_twice():
    image = keras.Input((4, 4, 1), name="image")
    halves = [
        L.Flatten()(L.Cropping2D(each)(image)) for each in (((0, 0), (0, 2)), ((0, 0), (2, 0)))
    ]
    both = [L.Dense(3, name=name)(half) for name, half in zip("ab", halves, strict=True)]
    model = keras.Model(image, L.Dense(2, activation="softmax")(L.Concatenate()(both)))
    with pytest.raises(ValueError, match="'image' reaches layers of neurons as several parts"):
        graphs.weight_graph(model)
    smaller = L.AveragePooling2D(2)(image)
    both = [L.Dense(3, name=name)(L.Flatten()(smaller)) for name in "ab"]
    model = keras.Model(image, L.Dense(2, activation="softmax")(L.Concatenate()(both)))
    graph = graphs.weight_graph(model)
    for name in "ab":
        kernel = np.abs(model.get_layer(name).get_weights()[0])
        edges = graph.adjacency[graph.slice("image"), graph.slice(name)].toarray()
        np.testing.assert_allclose(edges, kernel)


def gated(axis):
    """Feature maps, gated by what convolutions make of their means, with maps on some axis."""
    data_format = "channels_first" if axis == 1 else "channels_last"
    shape = (3, 6, 6) if axis == 1 else (6, 6, 3)
    image = keras.Input(shape, name="image")
    maps = L.Conv2D(5, 3, data_format=data_format, name="maps")(image)
    means = L.GlobalAveragePooling2D(data_format=data_format)(maps)
    means = L.Reshape((5, 1, 1) if axis == 1 else (1, 1, 5))(means)
    few = L.Conv2D(2, 1, data_format=data_format, activation="relu", name="few")(means)
    gate = L.Conv2D(5, 1, data_format=data_format, activation="sigmoid", name="gate")(few)
    z = L.GlobalAveragePooling2D(data_format=data_format)(L.Multiply()([maps, gate]))
    return keras.Model(image, L.Dense(2, activation="softmax")(z))


@pytest.mark.parametrize("axis", [1, -1])
def test_means_of_maps_that_become_maps_again_are_those_of_their_maps(axis):
    model = gated(axis)
    graph = graphs.weight_graph(model)
    edges = graph.adjacency[graph.slice("maps"), graph.slice("few")].toarray()
    kernel = model.get_layer("few").get_weights()[0]
    np.testing.assert_allclose(edges, np.abs(kernel[0, 0]), rtol=1e-6)


def test_features_that_become_maps_again_are_joined_once_and_spread_units_not_at_all():
    image = keras.Input((6, 6, 2))
    flat = L.Flatten()(L.Conv2D(4, 3, padding="same", name="a")(image))
    again = L.Conv2D(3, 3, name="b")(L.Reshape((6, 6, 4))(flat))
    model = keras.Model(image, L.Dense(2, activation="softmax")(L.Flatten()(again)))
    graph = graphs.weight_graph(model)
    edges = graph.adjacency[graph.slice("a"), graph.slice("b")].toarray()
    kernel = model.get_layer("b").get_weights()[0]
    np.testing.assert_allclose(edges, np.abs(kernel).sum(axis=(0, 1)), rtol=1e-6)
    features = keras.Input((5,))
    spread = L.Reshape((3, 4))(L.Dense(12, name="first")(features))
    model = keras.Model(features, L.Dense(2, activation="softmax")(L.Flatten()(spread)))
    with pytest.raises(ValueError, match="which no graph of weights shows"):
        graphs.weight_graph(model)
