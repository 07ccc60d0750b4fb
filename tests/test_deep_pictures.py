"""Construction and correlation pictures of networks that branch, by the names of their layers."""

import numpy as np
import pytest

import brute_force
from helpers import construction, correlations, forward, networks
from helpers.backend import keras


@pytest.fixture(scope="module")
def resnet():
    keras.utils.set_random_seed(0)
    return networks.imagenet("resnet18", None, (32, 32, 3), 4)


@pytest.mark.parametrize("layer", ["stage1_unit2_conv2", "stage2_unit1_sc", "stage2_unit2_relu1"])
def test_units_of_a_resnet_are_correlated_with_inputs(resnet, layer):
    x = np.random.default_rng(0).random((12, 32, 32, 3)).astype(np.float32)
    maps = correlations.unit_input_correlations(resnet, x, layer)
    assert maps.shape == (forward.n_units(resnet, layer), 32 * 32 * 3)
    activity = np.abs(forward.activations(resnet, x, layer)).sum(axis=(1, 2))
    expected = brute_force.spearman(activity[:, 0], x[:, 0, 0, 0])
    assert maps[0, 0] == pytest.approx(expected)


@pytest.mark.slow
@pytest.mark.lucid
def test_inputs_are_constructed_for_units_of_a_resnet(resnet):
    made = construction.construct(resnet, "stage2_unit1_sc", [[0, 3], [5]], n_steps=12)
    start = construction.construct(resnet, "stage2_unit1_sc", [[0, 3], [5]], n_steps=1)
    assert made.images.shape == (2, 32, 32, 3)
    assert (made.scores > start.scores).all()
    activity = forward.activations(resnet, made.images, "stage2_unit1_sc").mean(axis=(1, 2))
    np.testing.assert_allclose(made.scores, [activity[0, [0, 3]].mean(), activity[1, 5]], rtol=1e-4)
