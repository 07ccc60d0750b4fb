"""Double lesions: equal to brute force, and telling who is heard by whom."""

from itertools import combinations, permutations

import numpy as np
import pandas as pd
import pytest

import brute_force
from helpers import lesions, measures, networks
from helpers.backend import keras
from helpers.lesions import DoubleLesions, engine
from helpers.partitions import Partition
from helpers.protocols import PAPER, RELEASED

PAIR = ["first_layer", "first_cluster", "second_layer", "second_cluster"]
COLUMNS = [
    *("x_layer", "x_cluster", "y_layer", "y_cluster"),
    *("delta_x", "p_x", "x_given_y", "delta_y", "p_y", "y_given_x"),
    *("case", "edge", "within"),
]


def randomised(model, n_images=60):
    """The model with random weights, and random images of the classes that it takes them for."""
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(scale=0.5, size=w.shape) for w in model.get_weights()])
    x = rng.normal(size=(n_images, *model.input_shape[1:])).astype(np.float32)
    kernel, bias = model.layers[-1].get_weights()
    mean = np.log(model.predict_on_batch(x)).mean(axis=0)  # It would prefer some classes.
    model.layers[-1].set_weights([kernel, bias - mean])
    return model, x, model.predict_on_batch(x).argmax(axis=-1)


def mlp():
    """A random network, and clusters of three of its layers, the last of them named first."""
    labels = {
        "dense_3": [0, 2, 2, 0, -1, 2, 2],
        "dense_1": [1, 0, 0, 3, -1, 1, 0],
        "dense_2": [5, -1, 5, 5, 5, -1, 5],
    }
    return *randomised(networks.mlp((3, 3, 1), 4, width=7)), Partition.from_labels(labels)


def cnn():
    labels = {
        "conv_1": [0, 0, 1, -1, 1, 1],
        "conv_3": [1, 1, 1, 0, -1, 0],
        "dense": [0, 0, 0, 0, 0, 1, 1, -1, 1],
    }
    model = networks.cnn((8, 8, 1), 4, channels=6, dense_width=9)
    return *randomised(model), Partition.from_labels(labels)


def n_right(model, x, y, pairs):
    """How many images are classified correctly under both lesions of each pair."""
    together = [brute_force.union(*pair) for pair in pairs]
    return brute_force.correct(model, x, y, together).sum(axis=1).tolist()


def lesion_of(subcluster):
    return {subcluster.layer: subcluster.units}


def spied_twins(monkeypatch):
    """The random twins that will be drawn, by sub-cluster and what they are drawn outside of."""
    drawn, draw = {}, Partition.random_twins

    def spy(self, subcluster, n, rng, pool="live", outside=()):
        twins = draw(self, subcluster, n, rng, pool, outside)
        key = (subcluster.layer, subcluster.cluster, tuple(map(int, outside)))
        assert key not in drawn
        assert pool == "live"
        drawn[key] = twins
        return twins

    monkeypatch.setattr(Partition, "random_twins", spy)
    return drawn


@pytest.mark.parametrize("make", [mlp, cnn])
def test_double_lesions_equal_zeroing_the_weights_into_both(make, monkeypatch):
    drawn = spied_twins(monkeypatch)
    model, x, y, partition = make()
    found = lesions.double_lesions(model, x, y, partition, n_random=3)
    own = [lesion_of(each) for each in found.subclusters]
    assert found.n_images == len(x)
    assert [found.intact, *found.single] == n_right(model, x, y, [({}, one) for one in [{}, *own]])
    np.testing.assert_array_equal(found.joint.diagonal(), found.single)
    assert (found.random[np.diag_indices(len(own))] == -1).all()
    pairs, counts = [], []
    for (a, first), (b, second) in permutations(enumerate(found.subclusters), 2):
        outside = tuple(second.units) if first.layer == second.layer else ()
        twins = drawn[first.layer, first.cluster, outside]
        pairs += [(one, own[b]) for one in (own[a], *({first.layer: units} for units in twins))]
        counts += [found.joint[a, b], *found.random[a, b]]
    assert counts == n_right(model, x, y, pairs)


@pytest.mark.parametrize("make", [mlp, cnn])
def test_sub_clusters_are_in_the_order_of_the_network_not_of_the_labels(make):
    model, x, y, partition = make()
    found = lesions.double_lesions(model, x, y, partition, n_random=1)
    order = {layer.name: i for i, layer in enumerate(model.layers)}
    where = [(order[each.layer], each.cluster) for each in found.subclusters]
    assert where == sorted(where)
    assert len(where) == len(partition.subclusters())
    table = measures.conditional_importance(found)
    names = [(each.layer, each.cluster) for each in found.subclusters]
    pairs = [(*first, *second) for first, second in permutations(names, 2)]
    assert list(table[PAIR].itertuples(index=False, name=None)) == pairs


def test_twins_beside_a_sub_cluster_are_all_sets_of_live_units_outside_it():
    model, x, y = randomised(networks.mlp((3, 3, 1), 4, width=5, depth=2), n_images=300)
    partition = Partition.from_labels({"dense_1": [0, 0, 1, 2, -1]})
    found = lesions.double_lesions(model, x, y, partition, n_random=80)
    pair, one, _ = found.subclusters

    def counts(units, size, given):
        sets = combinations(units, size)
        pairs = [({"dense_1": each}, lesion_of(given)) for each in sets]
        return set(n_right(model, x, y, pairs))

    possible = counts([0, 1, 3], 2, given=one)
    assert set(found.random[0, 1]) == possible != counts([0, 1, 2, 3], 2, given=one)
    assert set(found.random[1, 0]) == counts([2, 3], 1, given=pair)


def test_twins_in_front_of_another_layer_are_all_sets_of_live_units():
    model, x, y = randomised(networks.mlp((3, 3, 1), 4, width=4, depth=2), n_images=300)
    labels = {"dense_1": [0, 0, 1, -1], "dense_2": [1, 0, 1, 1]}
    found = lesions.double_lesions(model, x, y, Partition.from_labels(labels), n_random=80)
    early, _, one, late = found.subclusters

    def counts(layer, units, size, given):
        pairs = [({layer: each}, lesion_of(given)) for each in combinations(units, size)]
        return set(n_right(model, x, y, pairs))

    assert set(found.random[0, 3]) == counts("dense_1", [0, 1, 2], 2, given=late)
    assert set(found.random[3, 0]) == counts("dense_2", range(4), 3, given=early)
    assert set(found.random[0, 2]) == counts("dense_1", [0, 1, 2], 2, given=one)


def assert_same(first, second):
    for key in ("n_images", "intact", "single", "joint", "random"):
        np.testing.assert_array_equal(getattr(first, key), getattr(second, key))


def test_the_seed_decides_the_twins_of_double_lesions():
    first, again, other = (
        lesions.double_lesions(*mlp(), n_random=4, seed=seed) for seed in (3, 3, 4)
    )
    assert_same(first, again)
    assert (first.random != other.random).any()
    np.testing.assert_array_equal(first.joint, other.joint)


@pytest.mark.slow
@pytest.mark.parametrize("make", [mlp, cnn])
def test_double_lesions_do_not_depend_on_how_images_are_batched(make, monkeypatch):
    whole = lesions.double_lesions(*make(), n_random=3)
    monkeypatch.setattr(engine, "_MOST_IMAGES", 7)
    assert_same(lesions.double_lesions(*make(), n_random=3), whole)


def test_double_lesions_do_not_depend_on_the_order_of_images():
    model, x, y, partition = mlp()
    forwards, backwards = (
        lesions.double_lesions(model, x[::step], y[::step], partition, n_random=3)
        for step in (1, -1)
    )
    assert_same(forwards, backwards)


def test_a_sub_cluster_alone_in_its_layer_equals_its_twins():
    found = lesions.double_lesions(*mlp(), n_random=4)
    (alone,) = [i for i, each in enumerate(found.subclusters) if each.layer == "dense_2"]
    others = np.arange(len(found.subclusters)) != alone
    assert (found.random[alone, others] == found.joint[alone, others, np.newaxis]).all()
    tables = [measures.conditional_importance(found, each) for each in (PAPER, RELEASED)]
    paper, released = (table[table["first_layer"] == "dense_2"] for table in tables)
    assert paper["excluded"].tolist() == ["complete"] * others.sum()
    assert paper["p"].isna().all()
    assert not paper[["star", "important", "below_all"]].any(axis=None)
    assert released["excluded"].tolist() == [""] * others.sum()
    assert released["p"].tolist() == [1 / 5] * others.sum()


def test_two_sub_clusters_that_cover_a_layer_have_no_other_units_to_be_compared_with():
    model, x, y, _ = mlp()
    labels = {"dense_1": [0, 1, 0, 1, 1, -1, -1], "dense_2": [0, 0, 0, 1, 2, 2, 2]}
    found = lesions.double_lesions(model, x, y, Partition.from_labels(labels), n_random=4)
    assert (found.random[0, 1] == found.joint[0, 1]).all()
    assert (found.random[1, 0] == found.joint[1, 0]).all()
    paper, released = (measures.conditional_importance(found, each) for each in (PAPER, RELEASED))
    covers = (paper["first_layer"] == "dense_1") & (paper["second_layer"] == "dense_1")
    assert covers.sum() == 2
    assert (paper["complete"] == covers).all()
    assert (paper["excluded"] == np.where(covers, "complete", "")).all()
    assert (paper["p"].isna() == covers).all()
    assert (released["complete"] == covers).all()
    assert (released["excluded"] == "").all()
    assert (released["p"][covers] == 1 / 5).all()


@pytest.mark.slow
@pytest.mark.parametrize("labels", [[-1] * 7, [0, 0, -1, 0, 0, 0, 0]])
@pytest.mark.parametrize("protocol", [PAPER, RELEASED])
def test_fewer_than_two_sub_clusters_make_no_pairs(labels, protocol):
    model, x, y, _ = mlp()
    partition = Partition.from_labels({"dense_2": labels})
    found = lesions.double_lesions(model, x, y, partition, n_random=3)
    n = len(partition.subclusters())
    assert [found.intact] == n_right(model, x, y, [({}, {})])
    assert (found.joint.shape, found.random.shape) == ((n, n), (n, n, 3))
    table = measures.conditional_importance(found, protocol)
    assert table.empty
    expected = measures.conditional_importance(lesions.double_lesions(*mlp(), n_random=3), protocol)
    assert table.columns.tolist() == expected.columns.tolist()
    kinds = partition.describe(partition.subclusters()).assign(kind="important")
    nothing = measures.dependency_table(table, kinds)
    assert nothing.empty
    assert nothing.columns.tolist() == COLUMNS


def test_fewer_than_one_twin_is_refused():
    with pytest.raises(ValueError, match="n_random: 0 was given; accepted are integers from 1"):
        lesions.double_lesions(*mlp(), n_random=0)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"dense_1": [0] * 8}, "8 labels were given for layer 'dense_1', which has 7 units"),
        ({"flatten": [0] * 9}, "no units in 'flatten'"),
        ({"dense_9": [0] * 7}, "dense_9"),
    ],
)
def test_labels_that_do_not_fit_the_model_are_refused(labels, message):
    model, x, y, _ = mlp()
    with pytest.raises(ValueError, match=message):
        lesions.double_lesions(model, x, y, Partition.from_labels(labels))


def made_up(seed=0, n_random=6, n_images=40):
    """Any counts, for two layers of three sub-clusters each."""
    rng = np.random.default_rng(seed)
    partition = Partition.from_labels({"a": [0, 1, 2], "b": [0, 1, 2]})
    joint = rng.integers(0, 9, (6, 6))
    joint += joint.T
    random = rng.integers(0, 18, (6, 6, n_random))
    subclusters = tuple(partition.subclusters())
    counts = (n_images, 30, joint.diagonal(), joint, random)
    return DoubleLesions(partition, subclusters, *counts, "a network and its images")


@pytest.mark.parametrize("protocol", [PAPER, RELEASED])
def test_delta_is_the_damage_of_both_less_that_of_the_second(protocol):
    found = made_up()
    table = measures.conditional_importance(found, protocol)
    rows = table.itertuples(index=False)
    for (a, b), row in zip(permutations(range(6), 2), rows, strict=True):
        of_second = found.intact - found.single[b]
        delta = (found.intact - found.joint[a, b]) - of_second
        twins = (found.intact - found.random[a, b]) - of_second
        assert row.value == pytest.approx(delta / found.n_images)
        assert row.random_median == pytest.approx(np.median(twins) / found.n_images)
        exceed = twins >= delta if protocol is PAPER else twins > delta
        assert row.p == (exceed.sum() + 1) / 7
        assert row.below_all == (delta < twins).all()


def test_the_conditional_table_names_each_ordered_pair_and_its_outcomes_once():
    table = measures.conditional_importance(made_up())
    results = ["value", "random_median", "excluded", "p", "star", "important", "below_all"]
    assert table.columns.tolist() == [*PAIR, "complete", *results]
    names = [(layer, cluster) for layer in "ab" for cluster in range(3)]
    pairs = [(*first, *second) for first, second in permutations(names, 2)]
    assert list(table[PAIR].itertuples(index=False, name=None)) == pairs
    assert not table["complete"].any()


def outcome(delta, twins, protocol, n_images=300):
    """The row of a pair of which the first's lesion loses so many more images than the second's."""
    partition = Partition.from_labels({"a": [0, 1], "b": [0, 1]})
    single = np.array([100, 110, 120, 130])
    joint = np.diag(single)
    random = np.zeros((4, 4, len(twins)), int)
    joint[0, 3] = joint[3, 0] = single[3] - delta
    random[0, 3] = single[3] - np.array(twins)
    subclusters = tuple(partition.subclusters())
    counts = (n_images, 200, single, joint, random)
    found = DoubleLesions(partition, subclusters, *counts, "a network and its images")
    table = measures.conditional_importance(found, protocol)
    assert tuple(table[PAIR].iloc[2]) == ("a", 0, "b", 1)
    return table.iloc[2]


@pytest.mark.parametrize(
    ("delta", "twins", "paper", "released"),
    [
        (9, [0] * 50, True, True),
        (9, [0] * 49 + [10], True, False),
        (9, [0] * 49 + [9], True, True),
        (9, [0] * 48 + [10, 10], False, False),
        (9, [0] * 48 + [9, 9], False, True),
        (9, [0] * 19, False, True),
        (9, [0] * 20, True, True),
        (0, [0] * 50, False, True),
        (-5, [-6] * 50, True, True),
        (9, [10], False, True),
    ],
)
def test_a_star_is_a_small_p_value_whatever_the_damage(delta, twins, paper, released):
    assert outcome(delta, twins, PAPER)["star"] == paper
    assert outcome(delta, twins, RELEASED)["star"] == released


# One percentage point of 300 images is 3.
@pytest.mark.parametrize(
    ("delta", "twins", "paper", "released"),
    [
        (9, [8, 0, 0], True, True),
        (9, [9, 0, 0], False, True),
        (9, [10, 0, 0], False, False),
        (4, [3, 3, 3], True, True),
        (3, [2, 2, 2], False, True),
        (3, [3, 3, 3], False, True),
        (2, [1, 1, 1], False, False),
        (0, [0, 0, 0], False, False),
        (-9, [-10, -10, -10], False, False),
        (4, [3] * 50, True, True),
        (4, [3] * 49 + [5], False, False),
    ],
)
def test_important_is_beating_all_twins_by_a_percentage_point_of_damage(
    delta, twins, paper, released
):
    assert outcome(delta, twins, PAPER)["important"] == paper
    assert outcome(delta, twins, RELEASED)["important"] == released


@pytest.mark.parametrize("n_images", [100, 300, 700, 2900, 5700])
def test_a_hundredth_of_the_images_is_exactly_one_percentage_point(n_images):
    point = n_images // 100
    for delta, paper, released in ((-1, False, False), (0, False, True), (1, True, True)):
        arguments = (point + delta, [-9] * 3)
        assert outcome(*arguments, PAPER, n_images)["important"] == paper
        assert outcome(*arguments, RELEASED, n_images)["important"] == released


@pytest.mark.parametrize("protocol", [PAPER, RELEASED])
@pytest.mark.parametrize(
    ("delta", "twins", "expected"),
    [(0, [1, 2, 3], True), (0, [0, 2, 3], False), (-4, [-3, 0, 9], True), (9, [10, 8], False)],
)
def test_a_question_mark_is_less_damage_than_that_of_every_twin(delta, twins, expected, protocol):
    assert outcome(delta, twins, protocol)["below_all"] == expected


def conditional_table(given, nodes):
    """A conditional table in which only the named ordered pairs are important."""
    rows = [(*first, *second, first + second in given) for first, second in permutations(nodes, 2)]
    table = pd.DataFrame(rows, columns=[*PAIR, "important"])
    return table.assign(value=np.arange(len(rows)) / 64, p=np.arange(len(rows)) / 128)


def kinds_table(important, nodes):
    rows = [(*node, "important" if node in important else "other") for node in nodes]
    return pd.DataFrame(rows, columns=["layer", "cluster", "kind"])


X, Y, Z = ("late_in_the_alphabet", 3), ("early_in_the_alphabet", 1), ("early_in_the_alphabet", 3)


@pytest.mark.parametrize(
    ("given", "case", "edge"),
    [
        ([], "neither", True),
        ([Y + X], "Y given X", True),
        ([X + Y], "X given Y", True),
        ([X + Y, Y + X], "both", False),
    ],
)
def test_what_is_important_given_the_other_decides_the_case_and_the_edge(given, case, edge):
    nodes = [X, Y]
    table = measures.dependency_table(conditional_table(given, nodes), kinds_table(nodes, nodes))
    assert table.columns.tolist() == COLUMNS
    assert table.to_dict("records") == [
        {
            **{"x_layer": X[0], "x_cluster": X[1], "y_layer": Y[0], "y_cluster": Y[1]},
            **{"delta_x": 0 / 64, "p_x": 0 / 128, "x_given_y": X + Y in given},
            **{"delta_y": 1 / 64, "p_y": 1 / 128, "y_given_x": Y + X in given},
            **{"case": case, "edge": edge, "within": False},
        }
    ]


def test_what_is_not_missed_without_the_later_one_says_everything_through_it():
    assert measures.CASES == {
        "neither": "X feeds only Y, and Y hears only X",
        "Y given X": "X feeds only Y, but Y also hears others",
        "X given Y": "Y hears only X, but X also feeds others",
        "both": "no conclusion",
    }


def test_only_important_sub_clusters_of_different_layers_depend_on_one_another():
    nodes = [X, Y, Z, ("last", 1), ("last", 2)]
    important = [X, Y, Z, ("last", 1)]
    conditional, kinds = conditional_table([], nodes), kinds_table(important, nodes[::-1])
    table = measures.dependency_table(conditional, kinds)
    found = [(tuple(row[:2]), tuple(row[2:4])) for row in table.itertuples(index=False, name=None)]
    assert found == [(X, Y), (X, Z), (X, ("last", 1)), (Y, ("last", 1)), (Z, ("last", 1))]
    assert table["within"].tolist() == [False, True, False, True, False]


@pytest.mark.parametrize("important", [[], [X], [Y, Z]])
def test_without_two_important_sub_clusters_in_different_layers_the_table_is_empty(important):
    nodes = [X, Y, Z]
    conditional = conditional_table([X + Y], nodes)
    table = measures.dependency_table(conditional, kinds_table(important, nodes))
    assert table.empty
    assert table.columns.tolist() == COLUMNS


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([X, Y, Z], [X, Y]),
        ([X, Y], [X, Y, Z]),
        ([X, Y], [X, Z]),
        ([X, Y], [X]),
        ([X, Y], []),
        ([], [X, Y]),
    ],
)
def test_tables_of_different_sub_clusters_are_refused(one, other):
    with pytest.raises(ValueError, match="different sub-clusters"):
        measures.dependency_table(conditional_table([], one), kinds_table([X], other))


def test_a_side_that_is_not_important_lost_a_contest_or_costs_little_or_gains():
    table = pd.DataFrame(
        [
            (*X, *Y, 0.408, 0.04, False, 0.0101, 0.06, False, "neither", True, False),
            (*X, *Z, 0.01, 0.02, False, 0.3, 0.02, True, "Y given X", True, True),
            (*Y, *Z, -0.0101, 1.0, False, -0.01, 1.0, False, "neither", True, False),
            (*Z, *Y, 0.5, 0.02, True, 0.5, 0.02, True, "both", False, False),
        ],
        columns=COLUMNS,
    )
    sides = measures.unimportant_sides(table)
    assert sides[COLUMNS[:4]].to_numpy().tolist() == [
        [*X, *Y],
        [*X, *Y],
        [*X, *Z],
        [*Y, *Z],
        [*Y, *Z],
    ]
    assert sides["side"].tolist() == ["X", "Y", "X", "X", "Y"]
    assert sides["delta"].tolist() == [0.408, 0.0101, 0.01, -0.0101, -0.01]
    assert sides["p"].tolist() == [0.04, 0.06, 0.02, 1, 1]
    assert sides["why"].tolist() == ["lost contest", "lost contest", "small", "gain", "small"]
    assert measures.unimportant_sides(table[:0]).columns.tolist() == sides.columns.tolist()


# A network hears one feature per class, and its units pass them on one to one; the last class is
# what it says when it hears nothing.
CLASS_SIZES = [20, 18, 14, 12, 10, 9, 17]
WIDTH = 40


def relay():
    model = networks.mlp((7, 1, 1), 7, width=WIDTH, depth=2)
    passing, silence = np.eye(WIDTH), np.zeros(WIDTH)
    model.get_layer("dense_1").set_weights([passing[:7], silence])
    model.get_layer("dense_2").set_weights([passing, silence])
    model.get_layer("output").set_weights([passing[:, :7], 0.1 * passing[6, :7]])
    y = np.repeat(np.arange(7), CLASS_SIZES)
    return model, np.eye(7, dtype=np.float32)[y].reshape(-1, 7, 1, 1), y


@pytest.mark.slow
@pytest.mark.parametrize(
    ("passes_x", "passes_y", "case"),
    [
        ([0, 1], [0, 1], "neither"),
        ([0, 1], [0, 1, 2, 3], "Y given X"),
        ([0, 1, 2, 3], [0, 1], "X given Y"),
        ([0, 1, 2, 3], [0, 1, 4, 5], "both"),
    ],
)
@pytest.mark.parametrize("cluster", [0, 1])
def test_double_lesions_find_out_who_hears_whom(passes_x, passes_y, case, cluster):
    labels = {"dense_2": np.full(WIDTH, 2), "dense_1": np.full(WIDTH, 2)}
    labels["dense_1"][passes_x] = 0
    labels["dense_2"][passes_y] = cluster
    partition = Partition.from_labels(labels)
    found = lesions.double_lesions(*relay(), partition, n_random=12)
    kinds = measures.taxonomy(lesions.lesion_profiles(*relay(), partition))
    table = measures.dependency_table(measures.conditional_importance(found), kinds)
    assert len(table) == 1
    row = table.iloc[0]
    assert tuple(row[COLUMNS[:4]]) == ("dense_1", 0, "dense_2", cluster)
    assert row["case"] == case
    assert row["edge"] == (case != "both")
    assert row["within"] == (cluster == 0)
    only_x, only_y = set(passes_x) - set(passes_y), set(passes_y) - set(passes_x)
    assert row["delta_x"] == pytest.approx(sum(CLASS_SIZES[c] for c in only_x) / 100)
    assert row["delta_y"] == pytest.approx(sum(CLASS_SIZES[c] for c in only_y) / 100)


def test_layers_that_lie_beside_one_another_depend_on_nothing_of_the_other():
    image = keras.Input((6,))
    layers = {name: keras.layers.Dense(6, activation="relu", name=name) for name in "abc"}
    a = layers["a"](image)
    both = keras.layers.Add()([layers["b"](a), layers["c"](a)])
    model = keras.Model(image, keras.layers.Dense(3)(both))
    x = np.random.default_rng(0).normal(size=(30, 6)).astype(np.float32)
    labels = {name: [0, 0, 0, 1, 1, 1] for name in "abc"}
    found = lesions.double_lesions(model, x, np.arange(30) % 3, labels, n_random=2)
    assert found.paths == {("a", "b"), ("a", "c")}
    nodes = [(name, cluster) for name in "abc" for cluster in (0, 1)]
    table = measures.dependency_table(
        measures.conditional_importance(found), kinds_table(nodes, nodes), found.paths
    )
    assert set(zip(table["x_layer"], table["y_layer"], strict=True)) == found.paths
