"""Lesions: equal to changing the weights and running the whole network again."""

from itertools import count

import numpy as np
import pytest

import brute_force
from helpers import lesions, networks, zoo
from helpers.backend import keras
from helpers.forward import program
from helpers.lesions import compiled, engine, own_layers, propagation

L = keras.layers


def noise(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def randomised(model, seed=0):
    """The model with random weights, biases and normalisation statistics included."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        layer.set_weights(
            [
                rng.uniform(0.5, 1.5, w.shape)
                if "variance" in v.name
                else rng.normal(scale=0.3, size=w.shape)
                for v, w in zip(layer.weights, layer.get_weights(), strict=True)
            ]
        )
    return model


def bn_after_pool():
    return keras.Sequential(
        [
            keras.Input((9, 8, 3)),
            L.Conv2D(6, 3, padding="same", activation="relu", name="a"),
            L.MaxPooling2D(2, padding="same"),
            L.BatchNormalization(),
            L.Dropout(0.5),
            L.Conv2D(7, 3, padding="same", strides=2, activation="relu", name="b"),
            L.BatchNormalization(),
            L.Flatten(),
            L.Dense(9, name="c"),
            L.BatchNormalization(),
            L.ReLU(),
            L.Dropout(0.5),
            L.Dense(4, activation="softmax", name="out"),
        ]
    )


def functional_average_pool():
    image = keras.Input((8, 8, 2))
    z = L.Conv2D(5, 3, dilation_rate=2, padding="same", use_bias=False, name="a")(image)
    z = L.AveragePooling2D(2, padding="same")(z)
    z = L.Activation("tanh")(z)
    z = L.Conv2D(6, 2, activation="sigmoid", name="b")(z)
    z = L.GlobalAveragePooling2D()(z)
    z = L.Dense(8, activation="elu", name="c")(z)
    return keras.Model(image, L.Dense(4, name="out")(z))


def dense_with_rescaling():
    return keras.Sequential(
        [
            keras.Input((5, 5, 1)),
            L.Rescaling(2.0, offset=-1.0),
            L.Flatten(),
            L.Dense(12, activation="relu", name="a"),
            L.Dense(11, activation="gelu", name="b"),
            L.Dense(4, activation="softmax", name="out"),
        ]
    )


MODELS = [
    bn_after_pool,
    functional_average_pool,
    dense_with_rescaling,
    lambda: networks.mlp((8, 8, 1), 4, dropout=0.5, width=16),
    lambda: networks.cnn((8, 8, 1), 4, channels=6, dense_width=9),
]


def some_lesions(model, seed=0):
    """Single and joint lesions of every layer, from one unit to all of them."""
    rng = np.random.default_rng(seed)
    widths = {x.name: x.kernel.shape[-1] for x in model.layers if hasattr(x, "kernel")}
    chosen = [{}]
    for name, width in widths.items():
        for size in {1, width // 3, width - 1, width}:
            chosen.append({name: rng.choice(width, size, replace=False)})
    for first in widths:
        for second in widths:
            chosen.append({first: [0, 2], second: [1, 2, 3]})
    return [*chosen, {name: [0, 1] for name in widths}]


@pytest.mark.parametrize("make", MODELS)
def test_a_lesion_equals_zeroing_the_weights_into_the_units(make):
    model = randomised(make())
    x = noise((60, *model.input_shape[1:]))
    y = np.random.default_rng(1).integers(0, 4, 60)
    chosen = some_lesions(model)
    expected = brute_force.correct(model, x, y, chosen)
    np.testing.assert_array_equal(lesions.correct(model, x, y, chosen), expected)


def lesions_to_pair(model):
    """Lesions of nothing, of some, most and all units of every layer, and of two layers."""
    widths = {x.name: x.kernel.shape[-1] for x in model.layers if hasattr(x, "kernel")}
    chosen = [{}, *({name: [0, 2]} for name in widths)]
    chosen += [{name: range(1, width)} for name, width in widths.items()]
    chosen += [{name: range(width)} for name, width in widths.items()]
    first, second, *_, last = widths
    return [*chosen, {first: [1], second: [0, 1]}, {first: range(3), last: [1]}, {second: []}]


@pytest.mark.slow
@pytest.mark.parametrize("make", MODELS)
def test_a_lesion_on_top_of_a_given_one_equals_zeroing_the_weights_into_both(make):
    model = randomised(make(), seed=1)
    x = noise((60, *model.input_shape[1:]))
    y = np.random.default_rng(1).integers(0, 4, 60)
    chosen = lesions_to_pair(model)
    both = [brute_force.union(given, on_top) for given in chosen for on_top in chosen]
    right = brute_force.correct(model, x, y, both)
    expected = np.array([np.bincount(y[row], minlength=4) for row in right])
    found = lesions.correct_counts_given(model, x, y, [(given, chosen) for given in chosen])
    assert [each.dtype for each in found] == [np.dtype(np.int64)] * len(chosen)
    np.testing.assert_array_equal(found, expected.reshape(len(chosen), len(chosen), 4))


def small_mlp(n_images=40):
    model = randomised(networks.mlp((3, 3, 1), 4, width=8))
    return model, noise((n_images, 3, 3, 1)), np.random.default_rng(1).integers(0, 4, n_images)


def test_either_of_two_lesions_may_be_the_given_one():
    one, other = {"dense_1": [0, 1, 5]}, {"dense_1": [5, 6], "dense_3": range(6)}
    found = lesions.correct_counts_given(*small_mlp(), [(one, [other]), (other, [one])])
    np.testing.assert_array_equal(*found)


def test_a_lesion_on_top_of_itself_changes_nothing():
    chosen = [{"dense_1": range(3)}, {"dense_2": range(7)}, {"dense_4": [2]}, {"output": [0]}]
    found = lesions.correct_counts_given(*small_mlp(), [(each, [each]) for each in chosen])
    np.testing.assert_array_equal(
        np.concatenate(found), lesions.correct_counts(*small_mlp(), chosen)
    )


def test_a_lesion_that_is_asked_for_again_is_not_made_again(monkeypatch):
    model = randomised(networks.cnn((6, 6, 1), 3, channels=4, dense_width=5))
    x, y = noise((7, 6, 6, 1)), np.arange(7) % 3
    once = [{"conv_1": [1, 2]}, {"conv_2": [1, 2]}, {"conv_1": [0], "dense": [3]}, {}]
    again = [{"conv_1": np.array([2, 1, 2])}, {"dense": [3], "conv_1": [0]}, {"conv_2": (1, 2)}]
    expected = brute_force.correct(model, x, y, [*once, *again])
    made = []
    scores = propagation.Propagation.scores

    def counted(self, lesion):
        made.append(lesion)
        return scores(self, lesion)

    monkeypatch.setattr(engine, "_rounding", lambda *given: 1e-5)
    monkeypatch.setattr(propagation.Propagation, "scores", counted)
    monkeypatch.setattr(engine.settings, "n_cores", lambda: 1)
    np.testing.assert_array_equal(lesions.correct(model, x, y, [*once, *again]), expected)
    assert len(made) == 3


def test_rounding_of_graphs_is_measured_by_the_trial(monkeypatch):
    model = randomised(networks.cnn((6, 6, 1), 3, channels=8, dense_width=5))
    x, y = noise((300, 6, 6, 1)), np.arange(300) % 3
    chosen = [{"conv_1": [i, j]} for i in range(8) for j in range(i)]
    scores, rng, n_rough = compiled.Graphs.scores, np.random.default_rng(0), 0

    def rough(self, trace, lesion):
        nonlocal n_rough
        found = scores(self, trace, lesion)
        n_rough += found is not None
        return None if found is None else found * rng.uniform(0.98, 1.02, found.shape).astype("f")

    monkeypatch.setattr(compiled.Graphs, "scores", rough)
    found = lesions.correct(model, x, y, chosen)
    assert n_rough > len(chosen)
    np.testing.assert_array_equal(found, brute_force.correct(model, x, y, chosen))


def test_what_a_trial_has_measured_is_not_measured_again(monkeypatch):
    model, x, y = small_mlp()
    noise_of, tried = engine._noise, []

    def noted(*given):
        tried.append(given)
        return noise_of(*given)

    monkeypatch.setattr(engine, "_noise", noted)
    first, second = [{"dense_1": [0]}], [{"dense_1": [1, 2]}, {"dense_2": [3]}]
    others = 1 - x
    for images, chosen, n in ((x, first, 1), (x, second, 2), (x, first, 2), (others, first, 3)):
        found = lesions.correct(model, images, y, chosen)
        np.testing.assert_array_equal(found, brute_force.correct(model, images, y, chosen))
        assert len(tried) == n
    model.layers[-1].bias.assign_add(np.arange(4.0))
    lesions.correct(model, x, y, first)
    assert len(tried) == 4


def test_a_trial_compares_with_the_models_own_layers_in_any_order_of_lesions():
    model = randomised(networks.cnn((6, 6, 1), 3, channels=8, dense_width=5))
    read, images = program.read_classifier(model), (noise((9, 6, 6, 1)),)
    reference = engine._Reference(read, images)
    several = [{"conv_1": [1]}, {}, {"conv_3": [0, 3]}, {"dense": [2], "conv_2": [4]}, {}]
    for lesion in [*several, *reversed(several), {"output": [0]}, {"conv_2": range(8)}]:
        by_steps = engine.checked(read, lesion)
        (expected,) = read.values(images, [read.scores], by_steps)
        np.testing.assert_array_equal(reference.scores(by_steps), expected)


def test_lesions_of_most_of_a_layer_have_a_graph_of_their_own(monkeypatch):
    model = randomised(networks.cnn((6, 6, 1), 3, channels=8, dense_width=5))
    x, y, rng = noise((300, 6, 6, 1)), np.arange(300) % 3, np.random.default_rng(0)
    sizes = [1, 4, 5, 6, 7, 8] * 8
    chosen = [{"conv_2": rng.choice(8, size, replace=False)} for size in sizes]
    scores, written = compiled.Graphs.scores, set()

    def noted(self, trace, lesion):
        found = scores(self, trace, lesion)
        if found is not None:
            written.add((self.kind(lesion)[1], *(len(units) for units in lesion.values())))
        return found

    monkeypatch.setattr(compiled.Graphs, "scores", noted)
    found = lesions.correct(model, x, y, chosen)
    assert {(False, 1), (False, 4), (True, 5), (True, 8)} <= written
    np.testing.assert_array_equal(found, brute_force.correct(model, x, y, chosen))


def test_groups_may_differ_in_size_and_be_empty():
    model, x, y = small_mlp()
    some = [{"dense_2": [0]}, {}, {"dense_3": [1, 2, 3]}]
    given = [{"dense_1": [4]}, {"dense_2": range(8)}, {}, {"dense_3": [0]}]
    sizes = [0, 3, 0, 1]
    groups = [(one, some[:size]) for one, size in zip(given, sizes, strict=True)]
    found = lesions.correct_counts_given(model, x, y, groups)
    assert [each.shape for each in found] == [(size, 4) for size in sizes]
    for (one, on_top), counts in zip(groups, found, strict=True):
        together = [brute_force.union(one, each) for each in on_top]
        np.testing.assert_array_equal(counts, lesions.correct_counts(model, x, y, together))


def test_no_groups_give_no_counts():
    assert lesions.correct_counts_given(*small_mlp(), []) == []


@pytest.mark.slow
def test_double_lesions_do_not_depend_on_how_images_are_batched(monkeypatch):
    model, x, y = small_mlp()
    chosen = lesions_to_pair(model)
    groups = [(given, chosen) for given in chosen[::3]]
    whole = lesions.correct_counts_given(model, x, y, groups)
    monkeypatch.setattr(engine, "_MOST_IMAGES", 7)
    np.testing.assert_array_equal(lesions.correct_counts_given(model, x, y, groups), whole)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["digits-mlp", "digits-cnn"])
def test_lesions_of_trained_networks_equal_brute_force(name):
    network = zoo.trained(name)
    x, y = network.dataset.x_test, network.dataset.y_test
    chosen = some_lesions(network.model)
    expected = brute_force.correct(network.model, x, y, chosen)
    np.testing.assert_array_equal(lesions.correct(network.model, x, y, chosen), expected)


def test_lesioning_nothing_gives_the_accuracy_of_the_intact_network():
    network = zoo.trained("digits-mlp")
    right = lesions.correct(network.model, network.dataset.x_test, network.dataset.y_test, [{}])
    assert right.mean() == pytest.approx(network.accuracy)


def test_counts_are_the_sums_of_correct_predictions_per_class():
    network = zoo.trained("digits-mlp")
    x, y = network.dataset.x_test, network.dataset.y_test
    chosen = [{}, {"dense_2": [3, 4]}, {"dense_1": range(256)}]
    right = lesions.correct(network.model, x, y, chosen)
    expected = [[row[y == c].sum() for c in range(10)] for row in right]
    np.testing.assert_array_equal(lesions.correct_counts(network.model, x, y, chosen), expected)


def test_counts_have_a_column_for_an_output_that_no_image_belongs_to():
    model = networks.mlp((2, 2, 1), n_classes=7, width=4)
    counts = lesions.correct_counts(model, noise((5, 2, 2, 1)), np.zeros(5, int), [{}, {}])
    assert counts.shape == (2, 7)
    assert not counts[:, 1:].any()


def test_results_do_not_depend_on_how_images_are_batched(monkeypatch):
    network = zoo.trained("digits-cnn")
    x, y = network.dataset.x_test[:50], network.dataset.y_test[:50]
    chosen = some_lesions(network.model)[:12]
    whole = lesions.correct(network.model, x, y, chosen)
    monkeypatch.setattr(engine, "_TRACE_BYTES", 2**20)
    np.testing.assert_array_equal(lesions.correct(network.model, x, y, chosen), whole)


@pytest.mark.parametrize(("n_cores", "most_images"), [(1, 2500), (5, 2500), (2, 7)])
def test_results_do_not_depend_on_how_lesions_are_shared_out(n_cores, most_images, monkeypatch):
    model, x, y = small_mlp()
    chosen = lesions_to_pair(model)
    given = [{}, *chosen[1::5]]
    expected = [
        brute_force.correct(model, x, y, [brute_force.union(one, each) for each in chosen])
        for one in given
    ]
    monkeypatch.setenv("MODULARITY_CORES", str(n_cores))
    monkeypatch.setattr(engine, "_MOST_IMAGES", most_images)
    groups = [({}, []), *((one, 3 * chosen) for one in given)]
    nothing, *found = lesions.correct_counts_given(model, x, y, groups)
    assert len(nothing) == 0
    for counts, right in zip(found, expected, strict=True):
        by_class = [right[:, y == each].sum(axis=1) for each in range(counts.shape[1])]
        np.testing.assert_array_equal(counts, np.tile(np.transpose(by_class), (3, 1)))


@pytest.mark.parametrize("n_each", [1, 3, 4, 100])
@pytest.mark.parametrize("sizes", [[], [0], [8], [0, 5, 0, 0, 7, 4], [1, 1, 1, 0]])
def test_shares_are_all_lesions_in_their_order_and_as_long_as_asked(sizes, n_each):
    number = count()
    groups = [
        ({one: [one]}, [{0: [next(number)]} for _ in range(n)]) for one, n in enumerate(sizes)
    ]
    shares = list(engine._shared_out(groups, n_each))
    lengths = [sum(len(some) for _, some in share) for share in shares]
    assert all(length == n_each for length in lengths[:-1])
    assert lengths[-1] <= n_each
    pairs = [(given, one) for given, some in groups for one in some]
    assert [(given, one) for share in shares for given, some in share for one in some] == pairs


def test_few_images_are_worked_on_whole_and_many_divided_among_cores(monkeypatch):
    model, x, _ = small_mlp()
    monkeypatch.setenv("MODULARITY_CORES", "4")
    monkeypatch.setattr(engine, "_MOST_IMAGES", 4 * len(x))
    read = program.read_classifier(model)

    def shape(images, n_lesions, batch_size=None):
        groups = [({}, n_lesions * [{}])]
        division = engine.Division.of(read, (images,), groups, batch_size)
        return len(division.batches), len(division.shares)

    assert shape(x, 160) == (1, 10)
    assert shape(x, 1600) == (1, 16)
    assert shape(x, 1600, batch_size=-(-len(x) // 2)) == (2, 8)
    assert shape(x, 8) == (4, 1)
    # All cores together keep no more of few images than one may keep of many.
    assert shape(np.concatenate(2 * [x]), 1600) == (4, 1)
    assert shape(np.concatenate(9 * [x]), 1600) == (4, 1)
    assert shape(np.concatenate(33 * [x]), 1600) == (9, 1)


def test_the_model_is_left_as_it_was():
    model = zoo.trained("digits-mlp").model
    before = model.get_weights()
    lesions.correct(model, noise((5, 8, 8, 1)), np.zeros(5, int), [{"dense_1": [0]}])
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize(
    ("lesion", "message"),
    [
        ({"dense_9": [0]}, "there is no layer 'dense_9'; accepted are dense_1"),
        ({"dense_1": [4]}, "has units 0 to 3"),
        ({"dense_1": [-1]}, "has units 0 to 3"),
        ({"dense_1": [0.5]}, "must be integers"),
        ({"dense_1": [True, False]}, "must be integers"),
    ],
)
def test_units_that_do_not_exist_are_refused(lesion, message):
    model = networks.mlp((2, 2, 1), 3, width=4)
    x, y = noise((2, 2, 2, 1)), np.zeros(2, int)
    with pytest.raises(ValueError, match=message):
        lesions.correct(model, x, y, [lesion])
    with pytest.raises(ValueError, match=message):
        lesions.correct_counts_given(model, x, y, [(lesion, [])])
    with pytest.raises(ValueError, match=message):
        lesions.correct_counts_given(model, x, y, [({"dense_2": [0]}, [lesion])])


@pytest.mark.parametrize("batch_size", [0, -1])
def test_batches_without_images_are_refused(batch_size):
    model, x, y = small_mlp()
    with pytest.raises(ValueError, match=f"batch_size: {batch_size} was given; accepted are int"):
        lesions.correct(model, x, y, [{}], batch_size=batch_size)


def nearly_even(seed):
    """A network whose softmax makes many pairs of classes equal, and images of it."""
    model = randomised(networks.cnn((6, 6, 1), 3, channels=8, dense_width=5), seed)
    out = model.layers[-1]
    out.set_weights([1e-4 * w for w in out.get_weights()])
    return model, noise((120, 6, 6, 1)), np.arange(120) % 3


def test_images_that_tie_are_run_by_themselves_where_that_gives_the_same_bits(monkeypatch):
    model, x, y = nearly_even(0)
    rng = np.random.default_rng(0)
    chosen = [{"conv_2": rng.choice(8, 3, replace=False)} for _ in range(20)]
    expected = brute_force.correct(model, x, y, chosen)
    values, n_run = program.Program.values, []

    def noted(self, images, wanted, lesion=None):
        n_run.append(len(images[0]))
        return values(self, images, wanted, lesion)

    monkeypatch.setattr(program.Program, "values", noted)
    found = lesions.correct(model, x, y, chosen, batch_size=120)
    np.testing.assert_array_equal(found, expected)
    n_alone = [n for n in n_run if n < 60]
    assert len(n_alone) > 10
    assert n_run.count(120) <= 1 + len(set(n_alone))


def test_the_whole_batch_is_run_where_bits_depend_on_how_many_images_there_are(monkeypatch):
    model, x, _ = nearly_even(0)
    read = program.read_classifier(model)
    values = program.Program.values

    def rounded(self, images, wanted, lesion=None):
        return [each + 1e-7 * len(images[0]) for each in values(self, images, wanted, lesion)]

    monkeypatch.setattr(program.Program, "values", rounded)
    whole = np.asarray(read.values((x,), read.outputs)[0], np.float64)
    layers = own_layers.OwnLayers(read)
    for rows in (np.array([3]), np.array([5, 90]), np.arange(110)):
        np.testing.assert_array_equal(layers.outputs((x,), rows, {}), whole[rows])
