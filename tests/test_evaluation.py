"""Both proxies of one partition at once: a row of Table 1b."""

import keras
import numpy as np
import pytest

from helpers import coherence, evaluation, importance
from helpers.partitions import Partition
from helpers.profiles import lesion_profiles
from helpers.protocols import PAPER, RELEASED


@pytest.fixture
def network():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((4, 4, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(12, "relu", name="first"),
            keras.layers.Dense(12, "relu", name="second"),
            keras.layers.Dense(3, "softmax", name="out"),
        ]
    )
    rng = np.random.default_rng(0)
    labels = {"first": np.repeat([0, 1, 2], 4), "second": np.repeat([0, 1], 6)}
    x = rng.random((200, 4, 4, 1), dtype=np.float32)
    return model, x, model.predict(x, verbose=0).argmax(-1), Partition.from_labels(labels)


@pytest.mark.parametrize("protocol", [PAPER, RELEASED])
def test_a_row_is_what_both_proxies_say_one_by_one(network, protocol):
    model, x, y, partition = network
    table = evaluation.lesion_tests(model, x, y, partition, 5, protocol, seed=3)
    profiles = lesion_profiles(model, x, y, partition, 5, seed=3)
    by_hand = {
        "importance": importance.combined(importance.importance(profiles, protocol), protocol, 3),
        "class_range": coherence.combined(
            coherence.class_range(model, x, y, profiles, protocol, 3), protocol, 3
        ),
    }
    assert len(table) == 8
    for row in table.itertuples():
        expected = by_hand[row.measure]
        np.testing.assert_equal(row.p, expected[row.test])
        assert (row.tested, row.excluded) == (expected["tested"], expected["excluded"])


def test_the_released_protocol_has_no_exchangeable_p_values(network):
    table = evaluation.lesion_tests(*network, 5, RELEASED)
    exchangeable = table["test"].str.startswith("exchangeable")
    assert table[exchangeable]["p"].isna().all()
    assert table[~exchangeable]["p"].notna().all()


def test_labels_that_do_not_fit_the_network_are_refused(network):
    model, x, y, _ = network
    with pytest.raises(ValueError, match="first"):
        evaluation.lesion_tests(model, x, y, Partition.from_labels({"first": [0, 1]}))
