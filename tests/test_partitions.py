"""Partitions: planted blocks are found, components stay whole, twins are drawn fairly."""

import numpy as np
import pytest
import scipy.linalg
import scipy.sparse
import scipy.stats
from sklearn.metrics import adjusted_rand_score

from helpers import graphs, partitions, zoo
from helpers.graphs import WeightGraph
from helpers.partitions import Partition, SubCluster, normalized_cut, spectral


def graph_of(adjacency, widths=None):
    """A graph with the layers l0, l1, ..., of which the first and the last are not hidden."""
    widths = widths or (len(adjacency),)
    layers = tuple(f"l{i}" for i in range(len(widths)))
    return WeightGraph(scipy.sparse.csr_array(adjacency), layers, widths, layers[1:-1])


def all_labels(partition):
    return np.concatenate(list(partition.labels.values()))


def assert_same_clusters(found, expected):
    """Whether labels are equal up to the clusters' names, which mean nothing."""
    together = [np.equal.outer(labels, labels) for labels in (found, expected)]
    np.testing.assert_array_equal(*together)


def planted(widths=(9, 12, 6), n_blocks=3, seed=0):
    """Layers whose units are connected strongly within blocks and weakly between them."""
    rng = np.random.default_rng(seed)
    layer = np.repeat(np.arange(len(widths)), widths)
    block = np.concatenate([rng.permutation(np.arange(width) % n_blocks) for width in widths])
    strength = np.where(np.equal.outer(block, block), 1, 0.05)
    weights = strength * rng.uniform(0.5, 1, strength.shape)
    weights *= np.subtract.outer(layer, layer) == -1
    return weights + weights.T, widths, block


def components(sizes, seed=0):
    """Random graphs without edges between them, their vertices in random order."""
    rng = np.random.default_rng(seed)
    parts = [np.triu(rng.uniform(0.1, 1, (size, size)), 1) for size in sizes]
    order = rng.permutation(sum(sizes))
    adjacency = scipy.linalg.block_diag(*(part + part.T for part in parts))
    return adjacency[np.ix_(order, order)], np.repeat(np.arange(len(sizes)), sizes)[order]


SIZES = [2, 3, 7, 4, 5]


@pytest.mark.parametrize("n_blocks", [2, 3, 5])
def test_spectral_clustering_finds_planted_blocks(n_blocks):
    adjacency, widths, block = planted(n_blocks=n_blocks)
    partition = spectral(graph_of(adjacency, widths), n_blocks)
    assert_same_clusters(all_labels(partition), block)


def test_labels_are_cut_into_the_graphs_layers():
    adjacency, widths, _ = planted()
    partition = spectral(graph_of(adjacency, widths), 3)
    assert {layer: len(labels) for layer, labels in partition.labels.items()} == {
        "l0": 9,
        "l1": 12,
        "l2": 6,
    }
    assert partition.hidden == ("l1",)


def test_isolated_units_belong_to_no_cluster():
    adjacency, widths, block = planted()
    isolated = [0, 10, 26]
    adjacency[isolated] = adjacency[:, isolated] = 0
    block[isolated] = -1
    partition = spectral(graph_of(adjacency, widths), 3)
    assert_same_clusters(all_labels(partition), block)
    np.testing.assert_array_equal(np.flatnonzero(all_labels(partition) == -1), isolated)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("seed", range(4))
def test_as_many_clusters_as_components_are_the_components(seed):
    adjacency, component = components(SIZES, seed)
    partition = spectral(graph_of(adjacency), len(SIZES), seed)
    assert_same_clusters(partition.labels["l0"], component)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("n_clusters", [1, 2, 3, 4])
def test_fewer_clusters_than_components_never_cut_a_component(n_clusters):
    adjacency, component = components(SIZES)
    labels = spectral(graph_of(adjacency), n_clusters).labels["l0"]
    assert len(np.unique(labels)) == n_clusters
    assert normalized_cut(adjacency, labels) == pytest.approx(0, abs=1e-12)
    assert all(len(set(labels[component == each])) == 1 for each in component)


def test_one_cluster_holds_all_connected_units():
    adjacency = np.zeros((5, 5))
    adjacency[1, 3] = adjacency[3, 1] = adjacency[3, 4] = adjacency[4, 3] = 2
    labels = spectral(graph_of(adjacency), 1).labels["l0"]
    np.testing.assert_array_equal(labels, [-1, 0, -1, 0, 0])


def test_as_many_clusters_as_connected_units_have_one_unit_each():
    adjacency, _ = components([3, 4])
    adjacency = scipy.linalg.block_diag(0, adjacency)
    labels = spectral(graph_of(adjacency), 7).labels["l0"]
    np.testing.assert_array_equal(np.sort(labels), range(-1, 7))


def test_a_graph_without_an_edge_has_no_clusters():
    with pytest.raises(ValueError, match="graph: no unit is connected to any other"):
        spectral(graph_of(np.zeros((4, 4))), 2)


@pytest.mark.parametrize("n_clusters", [-1, 0, 8])
def test_numbers_of_clusters_that_do_not_exist_are_refused(n_clusters):
    adjacency = scipy.linalg.block_diag(components([3, 4])[0], 0)
    message = f"n_clusters: {n_clusters} was given; accepted are 1 to 7"
    with pytest.raises(ValueError, match=message):
        spectral(graph_of(adjacency), n_clusters)


@pytest.mark.parametrize(
    ("edge", "opposite", "message"),
    [
        (np.nan, np.nan, "NaN or infinite"),
        (np.inf, np.inf, "NaN or infinite"),
        (-1, -1, "negative edges"),
        (1, 2, "not symmetric"),
        (1, 0, "not symmetric"),
    ],
)
def test_adjacencies_that_are_no_undirected_graph_are_refused(edge, opposite, message):
    adjacency, _ = components([6])
    adjacency[0, 1], adjacency[1, 0] = edge, opposite
    with pytest.raises(ValueError, match=message):
        spectral(graph_of(adjacency), 2)


def test_clusters_are_determined_by_the_seed():
    rng = np.random.default_rng(0)
    weights = np.triu(rng.uniform(size=(25, 25)) ** 4, 1)
    graph = graph_of(weights + weights.T)
    first, again, *others = (all_labels(spectral(graph, 8, seed)) for seed in (0, 0, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert any((first != other).any() for other in others)


def cut_one_by_one(adjacency, labels):
    total = 0
    for cluster in set(labels) - {-1}:
        leaving = volume = 0
        for i, j in np.ndindex(adjacency.shape):
            if labels[i] == cluster:
                volume += adjacency[i, j]
                leaving += adjacency[i, j] * (labels[j] != cluster)
        total += leaving / volume
    return total / 2


@pytest.mark.parametrize("as_given", [np.asarray, scipy.sparse.csr_array, scipy.sparse.coo_matrix])
@pytest.mark.parametrize("least", [-1, 0])
def test_the_n_cut_equals_going_through_all_pairs(least, as_given):
    rng = np.random.default_rng(0)
    weights = np.triu(rng.uniform(size=(15, 15)), 1)
    adjacency, labels = weights + weights.T, rng.integers(least, 4, 15)
    expected = cut_one_by_one(adjacency, labels)
    assert normalized_cut(as_given(adjacency), labels) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([0, 0, 0, 0], 0),
        ([0, 0, 1, 1], (1 / 5 + 1 / 7) / 2),
        ([7, 7, 3, 3], (1 / 5 + 1 / 7) / 2),
        ([0, 1, 2, 3], 2),
        ([-1, -1, 1, 1], 1 / 7 / 2),
        ([-1, 0, 0, -1], (5 / 7) / 2),
        ([-1, -1, -1, -1], 0),
    ],
)
def test_the_n_cut_of_a_path_is_what_is_worked_out_by_hand(labels, expected):
    path = np.diag([2.0, 1, 3], 1)
    assert normalized_cut(path + path.T, labels) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 0], r"labels: \(2,\) was given for 3 vertices"),
        ([[0, 0, 1]], r"labels: \(1, 3\) was given"),
        ([0, 0, 1], "a cluster without any edge has no n-cut"),
    ],
)
def test_labels_without_an_n_cut_are_refused(labels, message):
    with pytest.raises(ValueError, match=message):
        normalized_cut([[0, 1, 0], [1, 0, 0], [0, 0, 0]], labels)


OWN = Partition.from_labels(
    {
        "input": [0, 1],
        "wide": [0, 0, 2, -1, 0, 2, 0, 2, 5, 0],
        "narrow": np.array([1, 1, -1], np.int8),
    },
    hidden=("wide", "narrow"),
)


def as_lists(subclusters):
    return [(each.layer, each.cluster, each.units.tolist()) for each in subclusters]


def test_sub_clusters_are_the_clusters_within_each_hidden_layer():
    assert as_lists(OWN.subclusters()) == [
        ("wide", 0, [0, 1, 4, 6, 9]),
        ("wide", 2, [2, 5, 7]),
        ("wide", 5, [8]),
        ("narrow", 1, [0, 1]),
    ]


@pytest.mark.parametrize("n_units", [0, 1, 50])
def test_the_units_of_a_sub_cluster_are_all_that_have_its_label(n_units):
    labels = np.random.default_rng(0).integers(-1, 6, n_units)
    assert as_lists(Partition.from_labels({"a": labels}).subclusters()) == [
        ("a", each, np.flatnonzero(labels == each).tolist())
        for each in sorted({*labels.tolist()} - {-1})
    ]


def test_all_layers_are_hidden_unless_some_are_named():
    partition = Partition.from_labels({"a": [0], "b": [0]})
    assert as_lists(partition.subclusters()) == [("a", 0, [0]), ("b", 0, [0])]
    assert Partition.from_labels({"a": [0], "b": [0]}, hidden=()).subclusters() == []


@pytest.mark.parametrize(
    ("limits", "sizes"),
    [
        ({"min_size": 2}, [5, 3, 2]),
        ({"min_size": 3}, [5, 3]),
        ({"max_fraction": 0.5}, [5, 3, 1]),
        ({"max_fraction": 0.49}, [3, 1]),
        ({"max_fraction": 2 / 3}, [5, 3, 1, 2]),
        ({"min_size": 2, "max_fraction": 0.3}, [3]),
        ({"min_size": 6}, []),
    ],
)
def test_sub_clusters_can_be_limited_in_size_and_share_of_the_layer(limits, sizes):
    assert [len(each.units) for each in OWN.subclusters(**limits)] == sizes


@pytest.mark.parametrize(("size", "width"), [(4, 5), (205, 256), (29, 100), (57, 100)])
def test_the_largest_share_is_inclusive_whatever_the_rounding(size, width):
    labels = (np.arange(width) >= size).astype(int)
    found = Partition.from_labels({"a": labels}).subclusters(max_fraction=size / width)
    assert size in [len(each.units) for each in found]


def test_live_units_are_those_of_a_cluster():
    np.testing.assert_array_equal(OWN.live_units("wide"), [0, 1, 2, 4, 5, 6, 7, 8, 9])


def test_a_complete_sub_cluster_is_all_live_units_of_its_layer():
    complete = {(each.layer, each.cluster): OWN.is_complete(each) for each in OWN.subclusters()}
    assert complete == {
        ("wide", 0): False,
        ("wide", 2): False,
        ("wide", 5): False,
        ("narrow", 1): True,
    }


def test_a_description_tells_where_and_how_large_sub_clusters_are():
    table = OWN.describe(OWN.subclusters())
    assert table.to_dict("list") == {
        "layer": ["wide", "wide", "wide", "narrow"],
        "cluster": [0, 2, 5, 1],
        "size": [5, 3, 1, 2],
        "share": [5 / 10, 3 / 10, 1 / 10, 2 / 3],
        "complete": [False, False, False, True],
    }


def test_a_description_has_one_row_per_sub_cluster_that_is_asked_for():
    chosen = OWN.subclusters(min_size=3)
    assert OWN.describe(chosen)["cluster"].tolist() == [0, 2]
    assert OWN.describe(chosen[::-1])["cluster"].tolist() == [2, 0]
    assert OWN.describe([]).shape == (0, 5)


@pytest.mark.parametrize("subcluster", OWN.subclusters())
def test_twins_are_sets_of_live_units_of_the_same_layer_and_size(subcluster):
    twins = OWN.random_twins(subcluster, 50, np.random.default_rng(0))
    assert twins.shape == (50, len(subcluster.units))
    assert np.issubdtype(twins.dtype, np.integer)
    assert (np.diff(twins, axis=1) > 0).all()
    assert np.isin(twins, OWN.live_units(subcluster.layer)).all()


def test_every_set_of_live_units_is_equally_likely_to_be_a_twin():
    partition = Partition.from_labels({"a": [0, 0, -1, 1, 1, 0]})
    pair = partition.subclusters()[1]
    twins = partition.random_twins(pair, 5000, np.random.default_rng(0))
    sets, counts = np.unique(twins, axis=0, return_counts=True)
    assert len(sets) == 10
    assert scipy.stats.chisquare(counts).pvalue > 0.001


def test_every_set_of_all_units_is_equally_likely_to_be_a_twin_if_asked_for():
    partition = Partition.from_labels({"a": [0, 0, -1, 1, 1, -1]})
    pair = partition.subclusters()[1]
    twins = partition.random_twins(pair, 5000, np.random.default_rng(0), pool="all")
    assert (np.diff(twins, axis=1) > 0).all()
    sets, counts = np.unique(twins, axis=0, return_counts=True)
    assert len(sets) == 15
    assert scipy.stats.chisquare(counts).pvalue > 0.001


@pytest.mark.parametrize("subcluster", OWN.subclusters())
def test_twins_are_drawn_from_live_units_by_default(subcluster):
    default, live = (
        OWN.random_twins(subcluster, 20, np.random.default_rng(0), **options)
        for options in ({}, {"pool": "live"})
    )
    np.testing.assert_array_equal(default, live)


def test_pools_that_do_not_exist_are_refused():
    with pytest.raises(ValueError, match="pool: 'dead' was given; accepted are live, all"):
        OWN.random_twins(OWN.subclusters()[0], 3, np.random.default_rng(0), "dead")


def test_twins_of_a_complete_sub_cluster_equal_it():
    partition = Partition.from_labels({"a": [3, -1, 3, 3]})
    twins = partition.random_twins(partition.subclusters()[0], 4, np.random.default_rng(0))
    np.testing.assert_array_equal(twins, [[0, 2, 3]] * 4)


def test_twins_can_be_kept_outside_other_units():
    partition = Partition.from_labels({"a": [0, 0, -1, 1, 1, 0, 2, 2, 0]})
    pair, other = partition.subclusters()[1:]
    twins = partition.random_twins(pair, 500, np.random.default_rng(0), outside=other.units)
    assert twins.shape == (500, 2)
    assert (np.diff(twins, axis=1) > 0).all()
    np.testing.assert_array_equal(np.unique(twins), [0, 1, 3, 4, 5, 8])


@pytest.mark.parametrize(("pool", "n_sets"), [("live", 10), ("all", 15)])
def test_every_set_outside_other_units_is_equally_likely_to_be_a_twin(pool, n_sets):
    partition = Partition.from_labels({"a": [0, 2, -1, 1, 1, 0, 2, 0]})
    pair, other = partition.subclusters()[1:]
    rng = np.random.default_rng(0)
    twins = partition.random_twins(pair, 5000, rng, pool, outside=other.units)
    sets, counts = np.unique(twins, axis=0, return_counts=True)
    assert len(sets) == n_sets
    assert not np.isin(sets, other.units).any()
    assert scipy.stats.chisquare(counts).pvalue > 0.001


def test_twins_are_all_that_is_left_if_no_more_is():
    partition = Partition.from_labels({"a": [0, 1, 1, -1, 0, 1]})
    one, other = partition.subclusters()
    twins = partition.random_twins(one, 4, np.random.default_rng(0), outside=other.units)
    np.testing.assert_array_equal(twins, [[0, 4]] * 4)


@pytest.mark.parametrize(("pool", "n_left"), [("live", 2), ("all", 3)])
def test_too_few_units_to_draw_twins_from_are_refused(pool, n_left):
    partition = Partition.from_labels({"a": [0, 0, 0, -1, 0, 1]})
    large = partition.subclusters()[0]
    with pytest.raises(ValueError, match=f"outside: {n_left} units of 'a' are left to draw 4"):
        partition.random_twins(large, 3, np.random.default_rng(0), pool, outside=[0, 1, 5])


EARLIER_TWINS = [[2, 5, 6], [2, 4, 9], [0, 6, 9]]


@pytest.mark.parametrize("options", [{}, {"outside": ()}, {"outside": [3]}])
def test_twins_are_what_they_have_always_been_if_no_live_unit_is_left_out(options):
    wide = OWN.subclusters()[1]
    twins = OWN.random_twins(wide, 3, np.random.default_rng(0), **options)
    np.testing.assert_array_equal(twins, EARLIER_TWINS)


def test_twins_are_determined_by_their_generator():
    subcluster = SubCluster("wide", 9, np.array([1, 2, 4]))
    draws = [OWN.random_twins(subcluster, 9, np.random.default_rng(seed)) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(draws[0], draws[1])
    assert (draws[0] != draws[2]).any()


@pytest.mark.parametrize(
    ("labels", "hidden", "message"),
    [
        ({"a": [0.0, 1.0]}, None, "'a' needs one integer from -1 per unit, not float64"),
        ({"a": [True, False]}, None, "not bool"),
        ({"a": [[0, 1]]}, None, r"of shape \(1, 2\)"),
        ({"a": 0}, None, r"of shape \(\)"),
        ({"a": [0], "b": [0, -2]}, None, "'b' needs one integer from -1"),
        ({"a": [0]}, ("a", "c", "d"), "hidden: no labels for c, d"),
    ],
)
def test_labels_that_are_no_clusters_are_refused(labels, hidden, message):
    with pytest.raises(ValueError, match=message):
        Partition.from_labels(labels, hidden)


def test_permuting_keeps_sizes_and_isolated_units_and_moves_all_else_freely():
    labels = {"a": [0, 0, 0, 1, -1, 2], "b": [1, 1, -1, -1]}
    partition = Partition.from_labels(labels)
    rng = np.random.default_rng(0)
    seen = np.array([partition.permuted(rng).labels["a"] for _ in range(2000)])
    for row in seen:
        assert sorted(row) == sorted(labels["a"])
    assert (seen[:, 4] == -1).all()
    shares = [(seen[:, [0, 1, 2, 3, 5]] == label).mean(axis=0) for label in (0, 1, 2)]
    np.testing.assert_allclose(shares, np.repeat([[0.6], [0.2], [0.2]], 5, axis=1), atol=0.05)
    np.testing.assert_array_equal(partition.permuted(rng).labels["b"], labels["b"])
    np.testing.assert_array_equal(partition.labels["a"], labels["a"])


def test_large_graphs_are_clustered_as_small_ones_are(monkeypatch):
    rng = np.random.default_rng(0)
    planted = np.repeat(np.arange(6), 30)
    weights = rng.random((180, 180)) * np.where(planted[:, None] == planted, 1, 0.05)
    weights = np.triu(weights, 1) + np.triu(weights, 1).T
    graph = WeightGraph(scipy.sparse.csr_array(weights), ("only",), (180,), ("only",))
    assert adjusted_rand_score(planted, spectral(graph, 6).labels["only"]) == 1
    monkeypatch.setattr(partitions, "_FACTORISED", 0)
    assert adjusted_rand_score(planted, spectral(graph, 6).labels["only"]) == 1


def test_large_networks_are_cut_as_well_as_small_ones(monkeypatch):
    graph = graphs.weight_graph(zoo.trained("digits-cnn").model)

    def cut():
        labels = spectral(graph, 12).labels
        return normalized_cut(graph.adjacency, np.concatenate(list(labels.values())))

    expected = cut()
    monkeypatch.setattr(partitions, "_FACTORISED", 0)
    assert cut() == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("n_clusters", [None, 2.0, "3", True])
def test_numbers_of_clusters_that_are_no_integers_are_refused(n_clusters):
    with pytest.raises(ValueError, match=f"n_clusters: {n_clusters} was given; accepted are 1 to"):
        spectral(graph_of(components([3, 4])[0]), n_clusters)


@pytest.mark.parametrize("n_clusters", [140, 170, 179])
def test_nearly_as_many_clusters_as_units_are_found_in_little_time(n_clusters):
    rng = np.random.default_rng(0)
    weights = np.triu(rng.random((180, 180)), 1)
    labels = all_labels(spectral(graph_of(weights + weights.T), n_clusters))
    assert len(np.unique(labels)) == n_clusters


def test_k_means_is_started_as_often_as_ever_for_the_papers_numbers_of_clusters():
    assert [partitions._n_init(n, k) for n, k in ((1033, 12), (1818, 24), (4224, 24))] == [
        *(25, 25, 100)
    ]
    assert partitions._n_init(1698, 1000) == 1
    assert partitions._n_init(4224, 500) < 10


def test_many_clusters_are_found_as_few_are(monkeypatch):
    adjacency, widths, block = planted(widths=(30, 40, 30), n_blocks=5)
    monkeypatch.setattr(partitions, "_MANY", 4)
    assert_same_clusters(all_labels(spectral(graph_of(adjacency, widths), 5)), block)
    dense = WeightGraph(adjacency, ("l0", "l1", "l2"), widths, ("l1",))
    assert_same_clusters(all_labels(spectral(dense, 5)), block)


def test_more_clusters_than_minutes_allow_are_refused_at_once_in_large_graphs(monkeypatch):
    monkeypatch.setattr(partitions, "_FACTORISED", 20)
    monkeypatch.setattr(partitions, "_MOST", 8)
    adjacency, widths, _ = planted(widths=(9, 12, 6))
    with pytest.raises(ValueError, match="accepted are 1 to 8 for a graph of 27 connected units"):
        spectral(graph_of(adjacency, widths), 9)


@pytest.mark.parametrize("form", [np.asarray, scipy.sparse.csr_array])
@pytest.mark.parametrize("edge", [np.nan, -1])
def test_dense_graphs_are_checked_as_sparse_ones_are(form, edge):
    adjacency, _ = components([6])
    adjacency[0, 1] = adjacency[1, 0] = edge
    with pytest.raises(ValueError, match="graph: the adjacency has"):
        spectral(WeightGraph(form(adjacency), ("l0",), (6,), ()), 2)


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (np.array([2**64 - 1, 0, 1, 1], np.uint64), "not the label 18446744073709551615"),
        (np.array([-2, 0, 1, 1]), "'a' needs one integer from -1 per unit, not the label -2"),
        (np.ma.masked_array([0, 0, 1, 1], mask=[1, 0, 0, 0]), "a masked array was given for 'a'"),
    ],
)
def test_labels_that_mean_nothing_are_named(labels, said):
    with pytest.raises(ValueError, match=said):
        Partition.from_labels({"a": labels})


def blocks_in_chains(sizes, seed=0):
    """A graph of components, each a ring with random chords."""
    rng, found = np.random.default_rng(seed), []
    for size in sizes:
        block = np.zeros((size, size))
        ring = np.arange(size)
        block[ring, (ring + 1) % size] = rng.uniform(1, 2, size)
        block[rng.integers(0, size, size), rng.integers(0, size, size)] = rng.uniform(1, 2, size)
        found.append(block + block.T)
    return scipy.linalg.block_diag(*found)


@pytest.mark.parametrize("n_clusters", [2, 5, 8, 12])
def test_without_factorising_components_are_not_cut_and_cuts_are_as_good(n_clusters, monkeypatch):
    adjacency = blocks_in_chains([30, 20, 25, 10, 40, 15, 35, 12])
    exact = all_labels(spectral(graph_of(adjacency), n_clusters))
    monkeypatch.setattr(partitions, "_FACTORISED", 50)
    labels = all_labels(spectral(graph_of(adjacency), n_clusters))
    _, component = scipy.sparse.csgraph.connected_components(adjacency)
    if n_clusters <= 8:
        assert all(len(np.unique(labels[component == each])) == 1 for each in range(8))
    assert len(np.unique(labels)) == n_clusters
    cuts = [normalized_cut(adjacency, each) for each in (labels, exact)]
    assert cuts[0] <= cuts[1] + 0.02


@pytest.mark.parametrize("faint", [1e-14, 1e-26, 1e-36])
def test_units_with_edges_that_tell_nothing_are_in_no_cluster_and_change_none(faint):
    rng = np.random.default_rng(0)
    truth = np.arange(60) // 20
    adjacency = rng.uniform(0.5, 1, (60, 60)) * np.where(np.equal.outer(truth, truth), 1, 0.02)
    adjacency = np.triu(adjacency, 1) + np.triu(adjacency, 1).T
    wider = np.zeros((64, 64))
    wider[:60, :60] = adjacency
    wider[60:, :60] = faint * rng.uniform(size=(4, 60))
    wider[:60, 60:] = wider[60:, :60].T
    labels = all_labels(spectral(graph_of(wider), 3))
    np.testing.assert_array_equal(labels[:60], all_labels(spectral(graph_of(adjacency), 3)))
    assert (labels[60:] == -1).all()
    assert partitions.connected(wider).tolist() == 60 * [True] + 4 * [False]


def test_a_unit_that_is_joined_to_itself_alone_is_in_no_cluster():
    adjacency = np.zeros((5, 5))
    adjacency[0, 1] = adjacency[1, 0] = adjacency[2, 3] = adjacency[3, 2] = 1
    adjacency[4, 4] = 3
    labels = all_labels(spectral(graph_of(adjacency), 2))
    assert labels[4] == -1
    assert labels[0] == labels[1] != labels[2] == labels[3]
