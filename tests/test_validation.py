"""The door: what is cast without a change of results, and what is refused in one sentence."""

import numpy as np
import pytest

from helpers import evaluation, lesions, networks, settings, validation
from helpers.backend import keras

CHOSEN = [{}, {"dense_1": [0, 2]}, {"dense_3": [1]}]


@pytest.fixture(scope="module")
def mlp():
    """A network of three classes, and images of whole numbers, so that all casts are exact."""
    keras.utils.set_random_seed(0)
    model = networks.mlp((2, 3, 1), 3, width=5)
    x = np.random.default_rng(0).integers(0, 5, (40, 2, 3, 1)).astype(np.float32)
    return model, x, np.arange(40) % 3


@pytest.mark.parametrize(
    "cast",
    [
        lambda x: x.astype(np.float64),
        lambda x: x.astype(np.float16),
        lambda x: x.astype(np.uint8),
        lambda x: x.astype(np.int64),
        lambda x: x.tolist(),
        lambda x: keras.ops.convert_to_tensor(x),
        lambda x: keras.ops.cast(x, "bfloat16"),
        lambda x: np.asfortranarray(x),
        lambda x: x[:, ::-1][:, ::-1],
    ],
    ids=["float64", "float16", "bytes", "int64", "lists", "tensor", "bfloat16", "columns", "view"],
)
def test_images_of_other_types_count_as_they_would_in_single_precision(cast, mlp):
    model, x, y = mlp
    expected = lesions.correct_counts(model, x, y, CHOSEN)
    np.testing.assert_array_equal(lesions.correct_counts(model, cast(x), y, CHOSEN), expected)


@pytest.mark.parametrize(
    "cast",
    [
        lambda y: y.tolist(),
        lambda y: y.astype(np.uint8),
        lambda y: y.astype(np.float64),
        lambda y: y[:, np.newaxis],
        lambda y: np.eye(3)[y],
        lambda y: np.eye(3, dtype=int)[y].tolist(),
        lambda y: keras.ops.convert_to_tensor(y),
        lambda y: keras.ops.one_hot(y, 3),
    ],
    ids=["list", "bytes", "floats", "column", "one-hot", "lists", "tensor", "one-hot tensor"],
)
def test_classes_may_come_in_any_form_that_says_the_same(cast, mlp):
    model, x, y = mlp
    expected = lesions.correct(model, x, y, CHOSEN)
    np.testing.assert_array_equal(lesions.correct(model, x, cast(y), CHOSEN), expected)


def test_images_that_need_no_cast_are_not_copied(mlp):
    model, x, _ = mlp
    (found,) = validation.check_images(model, x)
    assert found is x


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x[:, :1], r"shape \(40, 1, 3, 1\) was given; 'mlp' takes .* \(2, 3, 1\)"),
        (lambda x: x[..., 0], r"shape \(40, 2, 3\) was given"),
        (lambda x: x[0], r"shape \(2, 3, 1\) was given"),
        (lambda x: np.repeat(x, 3, axis=-1), r"shape \(40, 2, 3, 3\) was given"),
        (lambda x: x[:0], r"shape \(0, 2, 3, 1\) was given; 'mlp' takes one or more"),
        (lambda x: np.where(x == 4, np.nan, x), r"x: \d+ of 40 inputs have values that are not"),
        (lambda x: np.where(x == 4, np.inf, x), r"x: \d+ of 40 inputs have values that are not"),
        (lambda x: x + 1j, "x: values of type complex64 were given; accepted are real numbers"),
        (lambda x: x.astype(str), "x: values of type .* were given; accepted are real numbers"),
        (lambda x: [[1, 2], [3]], "x: what was given is no array"),
        (lambda x: None, "x: values of type object were given"),
    ],
)
def test_images_that_the_network_does_not_take_are_refused(change, message, mlp):
    model, x, y = mlp
    for call in (
        lambda images: lesions.correct(model, images, y, CHOSEN),
        lambda images: lesions.correct_counts_given(model, images, y, [({}, CHOSEN)]),
        lambda images: lesions.lesion_profiles(model, images, y, {"dense_1": [0, 0, 1, 1, 1]}),
        lambda images: lesions.double_lesions(model, images, y, {"dense_1": [0, 0, 1, 1, 1]}),
    ):
        with pytest.raises(ValueError, match=message):
            call(change(x))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda y: y[:-1], "x and y: 40 images but 39 classes were given"),
        (lambda y: y + 1, "y: classes 1 to 3 were given for 3 outputs"),
        (lambda y: y - 1, "y: classes -1 to 1 were given for 3 outputs"),
        (lambda y: y + 0.5, "y: classes that are no whole numbers were given"),
        (lambda y: np.where(y == 1, np.nan, y), r"y: \d+ of \d+ classes are NaN"),
        (lambda y: np.full((40, 3), 1 / 3), "y: rows that are not one-hot"),
        (lambda y: np.zeros((40, 3)), "y: rows that are not one-hot"),
        (lambda y: np.eye(4)[y], r"y: an array of shape \(40, 4\) was given; accepted are"),
        (lambda y: y.astype(str), "y: values of type .* were given; accepted are whole numbers"),
        (lambda y: y == 1, "y: truths were given for 3 classes"),
        (lambda y: (y == 1)[:, np.newaxis], "y: truths were given for 3 classes"),
        (lambda y: None, "y: values of type object were given"),
    ],
)
def test_classes_that_do_not_fit_are_refused(change, message, mlp):
    model, x, y = mlp
    with pytest.raises(ValueError, match=message):
        lesions.correct(model, x, change(y), CHOSEN)


def test_an_empty_test_set_is_refused_before_anything_is_ranked(mlp):
    model, x, y = mlp
    with pytest.raises(ValueError, match="takes one or more inputs"):
        evaluation.lesion_tests(model, x[:0], y[:0], {"dense_1": [0, 0, 1, 1, 1]})


def test_a_model_that_is_not_built_is_refused():
    unbuilt = keras.Sequential([keras.layers.Dense(3)], name="unbuilt")
    with pytest.raises(ValueError, match="'unbuilt' has no inputs that are known; accepted is"):
        validation.check_images(unbuilt, np.zeros((1, 2)))


def with_two_inputs():
    two = [keras.Input((2,), name="left"), keras.Input((3,), name="right", dtype="int32")]
    floats = keras.layers.Lambda(lambda z: keras.ops.cast(z, "float32"))(two[1])
    return keras.Model(two, keras.layers.Concatenate()([two[0], floats]), name="both")


def test_several_inputs_come_as_a_list_or_by_name():
    left, right = np.ones((4, 2)), np.arange(12).reshape(4, 3)
    for given in ([left, right], (left, right), {"right": right, "left": left}):
        found = validation.check_images(with_two_inputs(), given)
        assert [each.dtype for each in found] == [np.float32, np.int32]
        np.testing.assert_array_equal(found[0], left)
        np.testing.assert_array_equal(found[1], right)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.ones((4, 2)), "4 arrays were given; 'both' has 2 inputs"),
        ([np.ones((4, 2))], "1 arrays were given; 'both' has 2 inputs"),
        ({"left": np.ones((4, 2))}, "'left' were given; 'both' takes left, right"),
        ([np.ones((4, 2)), np.ones((5, 3))], "inputs of 4 and 5 images were given"),
        ([np.ones((4, 2)), np.ones((4, 2))], r"an array of shape \(4, 2\) was given"),
        ([np.ones((4, 2)), np.full((4, 3), 0.5)], "not whole were given; 'right' takes indices"),
        ([np.full((4, 2), np.nan), np.ones((4, 3))], "4 of 4 inputs have values that are not fin"),
    ],
)
def test_several_inputs_that_do_not_fit_are_refused(given, message):
    with pytest.raises(ValueError, match=f"x: .*{message}|x: {message}"):
        validation.check_images(with_two_inputs(), given)


@pytest.mark.parametrize("seed", [0, 7, np.int64(3), np.uint8(3)])
def test_integers_are_seeds(seed):
    assert validation.check_seed(seed) == int(seed)


@pytest.mark.parametrize("seed", [None, -1, 0.0, True, "0", np.random.default_rng(0)])
def test_what_would_not_repeat_is_no_seed(seed, mlp):
    model, x, y = mlp
    with pytest.raises(ValueError, match=r"seed: .* was given; accepted are integers from 0"):
        lesions.lesion_profiles(model, x, y, {"dense_1": [0, 0, 1, 1, 1]}, seed=seed)


@pytest.mark.parametrize("given", ["0", "-2", "two", "1.5", " "])
def test_a_wrong_number_of_cores_is_named(given, monkeypatch):
    monkeypatch.setenv("MODULARITY_CORES", given)
    with pytest.raises(ValueError, match=f"MODULARITY_CORES: '{given}' was given; accepted are"):
        settings.n_cores()


def test_whole_numbers_beyond_an_inputs_type_are_refused():
    given = keras.Input((3,), dtype="uint8")
    model = keras.Model(given, keras.layers.Dense(2)(keras.ops.cast(given, "float32")))
    with pytest.raises(
        ValueError, match=r"numbers from -1 to 300 were given; .* takes uint8, from"
    ):
        lesions.correct(model, np.array([[300, -1, 2]]), [0], [{}])


def test_one_input_may_be_named_too(mlp):
    model, x, y = mlp
    named = {model.inputs[0].name: x}
    expected = lesions.correct_counts(model, x, y, CHOSEN)
    np.testing.assert_array_equal(lesions.correct_counts(model, named, y, CHOSEN), expected)


def test_one_hot_classes_may_be_true_or_false_and_nothing_may_be_masked(mlp):
    model, x, y = mlp
    np.testing.assert_array_equal(validation.check_classes(np.eye(3, dtype=bool)[y], 40, 3), y)
    with pytest.raises(ValueError, match="y: a masked array was given; accepted are whole ones"):
        validation.check_classes(np.ma.masked_equal(y, 2), 40, 3)
    with pytest.raises(ValueError, match="x: a masked array was given"):
        validation.check_images(model, np.ma.masked_equal(x, 0))


@pytest.mark.parametrize("given", [0, -1, 2.5, 2.0, True, None, "3"])
def test_numbers_of_things_are_integers_from_1(given):
    with pytest.raises(ValueError, match=rf"n_random: {given!r} was given; accepted are integers"):
        validation.check_number("n_random", given)
    validation.check_number("n_random", np.int64(1))
