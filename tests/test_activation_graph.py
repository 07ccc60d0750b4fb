"""Graphs of activations, clusters layer by layer, and controls: planted parts are found."""

import dataclasses
import warnings

import numpy as np
import pytest
import scipy.sparse
import scipy.stats
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.metrics import adjusted_rand_score

from helpers import correlations, evaluation, graphs, networks, partitions, zoo
from helpers.backend import keras
from helpers.graphs import ActivationGraph, WeightGraph
from helpers.partitions import Partition, by_strength, layerwise, spectral

L = keras.layers
SMALL = settings(max_examples=30, deadline=None)


def identity(n_units):
    """A network whose hidden units `copy` are its inputs, as they are."""
    model = keras.Sequential(
        [keras.Input((n_units,)), L.Dense(n_units, name="copy"), L.Dense(2, "softmax", name="out")]
    )
    model.layers[0].set_weights([np.eye(n_units), np.zeros(n_units)])
    return model


COPY = identity(4)


def squared_one_by_one(columns):
    """SciPy's correlation of each pair of columns, squared; 0 for constant ones and with itself."""
    n = columns.shape[1]
    squares = np.zeros((n, n))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", scipy.stats.ConstantInputWarning)
        for i, j in np.ndindex(n, n):
            if i != j:
                squares[i, j] = scipy.stats.spearmanr(columns[:, i], columns[:, j]).statistic ** 2
    return np.nan_to_num(squares)


def halves(n_units=12, n_images=200, seed=0):
    """A network whose units follow one of two independent signals each, or go against it; images.

    The units of its second layer are those of the first in another order, and of another sign.
    """
    rng = np.random.default_rng(seed)
    kind, order = rng.permutation(np.arange(n_units) % 2), rng.permutation(n_units)
    layers = [L.Dense(n_units, name="dense_1"), L.Dense(n_units, name="dense_2")]
    model = keras.Sequential([keras.Input((n_units,)), *layers, L.Dense(2, name="out")])
    signs = rng.choice([-1, 1], n_units)
    layers[0].set_weights([np.diag(signs), np.zeros(n_units)])
    layers[1].set_weights([-np.eye(n_units)[:, order], np.zeros(n_units)])
    x = rng.normal(size=(n_images, 2))[:, kind] + rng.normal(size=(n_images, n_units))
    return model, x.astype(np.float32), [kind, kind[order]]


def correlated(columns, n_first=2):
    """Correlations of columns, in two layers."""
    layers = {"a": columns[:, :n_first].copy(), "b": columns[:, n_first:].copy()}
    return correlations.correlations_among(layers)


@SMALL
@given(arrays.arrays(np.float32, (7, 4), elements=st.integers(-2, 2)))
@example(np.zeros((7, 4), np.float32))
def test_correlations_are_scipys_whatever_ties_and_0_of_units_that_never_change(columns):
    found = correlated(columns)
    is_constant = np.ptp(columns, axis=0) == 0
    np.testing.assert_array_equal(np.diag(found), np.where(is_constant, 0, 1))
    squares = found**2
    np.fill_diagonal(squares, 0)
    np.testing.assert_allclose(squares, squared_one_by_one(columns), atol=1e-12)


@SMALL
@given(
    arrays.arrays(np.float32, (6, 4), elements=st.integers(-3, 3)),
    st.permutations(range(4)),
    st.permutations(range(6)),
)
def test_correlations_are_those_of_ranks_in_any_order(columns, units, images):
    first = correlated(columns)
    np.testing.assert_array_equal(first, first.T)
    assert (np.abs(first) <= 1 + 1e-15).all()
    np.testing.assert_array_equal(correlated(columns[images]), first)
    np.testing.assert_array_equal(correlated(columns[:, units], 1), first[np.ix_(units, units)])
    signs = np.array([1, -1, 1, -1])
    expected = first * np.outer(signs, signs)
    np.testing.assert_array_equal(correlated(np.exp(columns) * (1, -1, 2, -5)), expected)


def test_edges_are_correlations_squared_and_units_that_never_change_are_counted():
    x = np.random.default_rng(0).integers(-2, 3, (20, 4)).astype(np.float32)
    x[:, 2] = 1
    graph = graphs.activation_graph(COPY, x)
    np.testing.assert_allclose(graph.adjacency, squared_one_by_one(x), atol=1e-12)
    assert not graph.adjacency[2].any()
    assert {layer: units.tolist() for layer, units in graph.constant.items()} == {"copy": [2]}
    assert graph.n_constant == 1


def test_units_of_all_hidden_layers_are_vertices_and_inputs_and_outputs_are_not():
    model, x, _ = halves()
    graph = graphs.activation_graph(model, x)
    assert isinstance(graph, ActivationGraph)
    assert graph.layers == graph.hidden == ("dense_1", "dense_2")
    assert graph.widths == (12, 12)
    assert graph.slice("dense_2") == slice(12, 24)
    responses = correlations.responses(model, x, graph.layers)
    expected = squared_one_by_one(np.hstack([*responses.values()]))
    np.testing.assert_allclose(graph.adjacency, expected, atol=1e-12)


def test_feature_maps_respond_with_what_ranks_as_their_spatial_mean():
    rng = np.random.default_rng(0)
    model = networks.cnn((8, 8, 2), 3, channels=4, dense_width=5)
    # Small integers: sums are exact in whatever order, and often tie.
    model.set_weights([rng.integers(-2, 3, each.shape) for each in model.get_weights()])
    x = rng.integers(0, 3, (30, 8, 8, 2)).astype(np.float32)
    graph = graphs.activation_graph(model, x, batch_size=7)
    assert graph.layers == ("conv_1", "conv_2", "conv_3")
    means, z = [], x
    for layer in model.layers:
        z = layer(z)
        if layer.name in graph.layers:
            means.append(np.asarray(z).astype(float).mean(axis=(1, 2)))
    expected = squared_one_by_one(np.hstack(means))
    np.testing.assert_allclose(graph.adjacency, expected, atol=1e-12)
    assert expected.max() > 0.1


@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_norms_of_large_feature_maps_are_right_in_half_precision(precision):
    """In half precision sums stall: at 2,048, adding less than 1 is lost."""
    images = np.random.default_rng(0).random((20, 1, 1, 1)) * np.ones((1, 64, 64, 1))
    made = [L.Conv2D(3, 1, activation="relu", name="maps", dtype=precision)]
    model = keras.Sequential([keras.Input((64, 64, 1)), *made])
    model.layers[0].set_weights([np.array([[[[0.5, 1, 2]]]]), np.zeros(3)])
    graph = graphs.activation_graph(model, images.astype(np.float32), ["maps"])
    assert not len(graph.constant["maps"])
    np.testing.assert_allclose(graph.adjacency, 1 - np.eye(3), atol=0.02)


def test_feature_maps_of_equal_norm_stay_tied_in_whatever_order_they_are_summed_up():
    rng = np.random.default_rng(0)
    shuffled = np.array([rng.permutation(64) for _ in range(30)])
    x = rng.random(64, dtype=np.float32)[shuffled].reshape(30, 8, 8, 1)
    model = keras.Sequential([keras.Input((8, 8, 1)), L.Conv2D(4, 1, name="maps")])
    graph = graphs.activation_graph(model, x, ["maps"])
    assert graph.constant["maps"].tolist() == [0, 1, 2, 3]


def test_layers_can_be_chosen_also_such_as_no_graph_of_weights_has():
    model = networks.cnn((8, 8, 1), 3, channels=4, dense_width=5)
    x = np.random.default_rng(0).random((9, 8, 8, 1), dtype=np.float32)
    graph = graphs.activation_graph(model, x, layers=["dense", "conv_2"])
    assert (graph.layers, graph.widths) == (("dense", "conv_2"), (5, 4))
    assert graphs.weight_graph(model).hidden == graphs.activation_graph(model, x).layers


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layers": []}, "layers: none were given; accepted are one or more hidden"),
        ({"layers": ["copy", "copy"]}, "layers: copy, copy were given; accepted are"),
        ({"layers": ["gone"]}, "gone"),
        ({"layers": "copy"}, "layers: 'copy' was given; accepted is a sequence of names"),
        ({"batch_size": 0}, "batch_size: 0 was given; accepted are integers from 1"),
        ({"batch_size": 2.5}, "batch_size: 2.5 was given; accepted are integers from 1"),
        ({"x": np.zeros((1, 4))}, "x: 1 images were given; correlations need two or more"),
        ({"x": np.zeros((5, 3))}, r"x: an array of shape \(5, 3\) was given"),
        ({"x": np.full((5, 4), np.nan)}, "5 of 5 inputs have values that are not finite"),
    ],
)
def test_inputs_and_layers_that_make_no_graph_are_refused(change, message):
    options = {"x": np.eye(4), "layers": None} | change
    with pytest.raises(ValueError, match=message):
        graphs.activation_graph(COPY, **options)


def test_models_with_several_inputs_are_refused():
    ends = [keras.Input((3,)), keras.Input((3,))]
    model = keras.Model(ends, L.Dense(2, name="out")(L.Dense(3)(L.Add()(ends))))
    with pytest.raises(ValueError, match="has 2 inputs; accepted is one, where edges"):
        graphs.activation_graph(model, [np.eye(3)] * 2)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("cluster", [spectral, layerwise])
def test_units_that_independent_inputs_drive_are_separated(cluster, seed):
    model, x, kinds = halves(seed=seed)
    found = cluster(graphs.activation_graph(model, x), 2)
    for layer, kind in zip(found.labels, kinds, strict=True):
        assert adjusted_rand_score(found.labels[layer], kind) == 1


def test_units_that_never_change_are_isolated():
    model, x, kinds = halves()
    kernel, bias = model.get_layer("dense_2").get_weights()
    kernel[:, [3, 7]] = 0
    model.get_layer("dense_2").set_weights([kernel, bias])
    graph = graphs.activation_graph(model, x)
    np.testing.assert_array_equal(graph.constant["dense_2"], [3, 7])
    for found in (spectral(graph, 2), layerwise(graph, 2)):
        np.testing.assert_array_equal(np.flatnonzero(found.labels["dense_2"] == -1), [3, 7])
        live = found.live_units("dense_2")
        assert adjusted_rand_score(found.labels["dense_2"][live], kinds[1][live]) == 1


@pytest.mark.parametrize("n_clusters", [2, 4])
def test_dense_graphs_are_clustered_as_sparse_ones_are(n_clusters):
    graph = graphs.activation_graph(*halves(n_units=30)[:2])
    sparse = WeightGraph(
        scipy.sparse.csr_array(graph.adjacency), graph.layers, graph.widths, graph.hidden
    )
    dense, expected = (
        np.concatenate([*spectral(each, n_clusters).labels.values()]) for each in (graph, sparse)
    )
    assert adjusted_rand_score(dense, expected) == 1


def test_large_dense_graphs_are_clustered_as_small_ones_are(monkeypatch):
    model, x, kinds = halves(n_units=30)
    monkeypatch.setattr(partitions, "_FACTORISED", 0)
    found = spectral(graphs.activation_graph(model, x), 2)
    assert adjusted_rand_score(np.concatenate(kinds), np.concatenate([*found.labels.values()])) == 1


def chain(widths, seed=0):
    """A graph of weights with as many layers as widths, the first and the last not hidden."""
    rng = np.random.default_rng(seed)
    layer = np.repeat(np.arange(len(widths)), widths)
    weights = rng.uniform(0.1, 1, (len(layer), len(layer)))
    weights *= np.subtract.outer(layer, layer) == -1
    names = tuple(f"l{i}" for i in range(len(widths)))
    return WeightGraph(
        scipy.sparse.csr_array(weights + weights.T), names, tuple(widths), names[1:-1]
    )


def part_of(graph, layers):
    """The graph of some layers."""
    chosen = np.concatenate([np.arange(graph.slice(i).start, graph.slice(i).stop) for i in layers])
    widths = tuple(graph.widths[graph.layers.index(i)] for i in layers)
    return WeightGraph(graph.adjacency[chosen][:, chosen], tuple(layers), widths, tuple(layers))


def test_a_layer_is_clustered_with_its_neighbours_as_finely_as_the_whole_is_there():
    graph = chain([12, 15, 18, 14, 10])
    whole, found = spectral(graph, 6), layerwise(graph, 6)
    assert tuple(found.labels) == found.hidden == graph.hidden
    for before, layer, behind in zip(graph.layers, graph.hidden, graph.layers[2:], strict=False):
        k = len(np.unique(whole.labels[layer]))
        alone = spectral(part_of(graph, (before, layer, behind)), k).labels[layer]
        assert adjusted_rand_score(found.labels[layer], alone) == 1
        assert len(np.unique(found.labels[layer])) <= k
    again = layerwise(graph, whole)
    assert all((again.labels[layer] == found.labels[layer]).all() for layer in graph.hidden)


def test_the_first_layer_of_feature_maps_is_clustered_with_the_second():
    graph = part_of(chain([12, 15, 18, 14, 10]), ("l1", "l2", "l3"))
    whole = Partition.from_labels(
        {
            layer: np.arange(width) % 3
            for layer, width in zip(graph.layers, (15, 18, 14), strict=True)
        }
    )
    found = layerwise(graph, whole)
    alone = spectral(part_of(graph, ("l1", "l2")), 3).labels["l1"]
    assert adjusted_rand_score(found.labels["l1"], alone) == 1


def test_a_layer_whose_units_are_connected_is_clustered_alone():
    model, x, _ = halves(n_units=20, seed=2)
    graph = graphs.activation_graph(model, x)
    whole = Partition.from_labels({"dense_1": np.arange(20) % 4, "dense_2": np.arange(20) % 3})
    found = layerwise(graph, whole, seed=1)
    for layer, k in (("dense_1", 4), ("dense_2", 3)):
        alone = spectral(graphs.activation_graph(model, x, [layer]), k, 1).labels[layer]
        assert adjusted_rand_score(found.labels[layer], alone) == 1


@SMALL
@given(st.lists(st.integers(2, 6), min_size=3, max_size=5), st.integers(1, 6), st.integers(0, 3))
def test_no_cluster_is_in_two_layers_and_none_is_finer_than_the_whole(widths, n_clusters, seed):
    graph = chain(widths, seed)
    whole, found = spectral(graph, n_clusters, seed), layerwise(graph, n_clusters, seed)
    seen = [set(labels) for labels in found.labels.values()]
    assert sum(map(len, seen)) == len(set().union(*seen))
    assert set().union(*seen) == set(range(sum(map(len, seen))))
    for layer, labels in found.labels.items():
        assert len(labels) == len(whole.labels[layer])
        assert 1 <= len(set(labels)) <= len(set(whole.labels[layer]))


def test_units_without_edges_stay_isolated_layer_by_layer():
    graph = chain([5, 6, 5])
    adjacency = graph.adjacency.toarray()
    adjacency[[5, 7]] = adjacency[:, [5, 7]] = 0
    graph = dataclasses.replace(graph, adjacency=scipy.sparse.csr_array(adjacency))
    found = layerwise(graph, 2)
    np.testing.assert_array_equal(np.flatnonzero(found.labels["l1"] == -1), [0, 2])
    adjacency[5:11] = adjacency[:, 5:11] = 0
    dead = dataclasses.replace(graph, adjacency=scipy.sparse.csr_array(adjacency))
    assert set(layerwise(dead, Partition.from_labels({"l1": np.arange(6)})).labels["l1"]) == {-1}


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"l1": [0, 1]}, "n_clusters: a partition with 2 labels for 'l1' was given; accepted are"),
        ({"l0": [0] * 5}, "n_clusters: a partition with 0 labels for 'l1' was given"),
    ],
)
def test_partitions_that_do_not_fit_the_graph_are_refused(labels, message):
    with pytest.raises(ValueError, match=message):
        layerwise(chain([5, 6, 5]), Partition.from_labels(labels))


def test_layers_are_cut_by_strength_into_parts_of_the_same_sizes():
    graph = chain([3, 6, 3])
    degrees = np.array([5, 1, 4, 2, 9, 3])
    adjacency = np.zeros((12, 12))
    adjacency[3:9, 0] = adjacency[0, 3:9] = degrees
    graph = dataclasses.replace(graph, adjacency=scipy.sparse.csr_array(adjacency))
    # Mean degrees 4.5 of cluster 0 and 3.67 of cluster 1: cluster 1 gets the weakest units.
    ours = Partition.from_labels({"l1": [0, 1, 0, -1, 1, 1]})
    assert by_strength(graph, ours).labels["l1"].tolist() == [0, 1, 1, -1, 0, 1]
    assert ours.labels["l1"].tolist() == [0, 1, 0, -1, 1, 1]
    with pytest.raises(ValueError, match="partition: 2 labels were given for layer 'l1'"):
        by_strength(graph, Partition.from_labels({"l1": [0, 1]}))


@SMALL
@given(arrays.arrays(int, 8, elements=st.integers(-1, 3)), st.integers(0, 5))
def test_parts_by_strength_keep_sizes_and_follow_the_degrees(labels, seed):
    graph = chain([4, 8, 4], seed)
    ours = Partition.from_labels({"l1": labels})
    found = by_strength(graph, ours).labels["l1"]
    np.testing.assert_array_equal(np.sort(found), np.sort(labels))
    np.testing.assert_array_equal(found == -1, labels == -1)
    live = ours.live_units("l1")
    in_order = found[live][np.argsort(graph.adjacency.sum(axis=1)[graph.slice("l1")][live])]
    assert (np.diff(in_order) != 0).sum() == max(len(np.unique(labels[live])) - 1, 0)


@pytest.fixture(scope="module")
def digits():
    network = zoo.trained("digits-mlp")
    return network.model, network.dataset


@pytest.mark.parametrize("edges", evaluation.EDGES)
@pytest.mark.parametrize("scope", evaluation.SCOPES)
def test_each_way_of_four_clusters_its_graph_in_its_scope(edges, scope, digits):
    model, data = digits
    x = data.x_train[:200]
    found = evaluation.partition_of(model, 3, seed=1, edges=edges, scope=scope, x=x)
    of = {"weights": lambda: graphs.weight_graph(model)}.get(
        edges, lambda: graphs.activation_graph(model, x)
    )
    expected = {"global": spectral, "layerwise": layerwise}[scope](of(), 3, 1)
    assert list(found.labels) == list(expected.labels)
    for layer, labels in expected.labels.items():
        np.testing.assert_array_equal(found.labels[layer], labels)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"edges": "both"}, "edges: 'both' was given; accepted are weights, activations"),
        ({"scope": "local"}, "scope: 'local' was given; accepted are global, layerwise"),
        ({"edges": "activations"}, "x: none was given; edges from activations need inputs"),
    ],
)
def test_ways_that_do_not_exist_or_lack_inputs_are_refused(change, message, digits):
    with pytest.raises(ValueError, match=message):
        evaluation.partition_of(digits[0], 3, **change)
