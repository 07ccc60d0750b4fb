"""The same numbers on another backend of Keras, in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import keras
import numpy as np

import brute_force
import test_any_model as made_up
from helpers import graphs, lesions, networks, partitions, training

assert keras.backend.backend() == "jax"
keras.utils.set_random_seed(0)
rng = np.random.default_rng(0)
x, y = rng.random((96, 8, 8, 1)).astype(np.float32), rng.integers(0, 3, 96)
x[y == 1, :4] += 1
x[y == 2, 4:] += 1
for model in (networks.mlp((8, 8, 1), 3, width=12), networks.cnn((8, 8, 1), 3, channels=8)):
    training.fit(model, x, y, epochs=20, batch_size=16, learning_rate=5e-3)
    partition = partitions.spectral(graphs.weight_graph(model), 4)
    chosen = [{}] + [{each.layer: each.units} for each in partition.subclusters()]
    expected = brute_force.correct(model, x, y, chosen)
    assert expected[0].mean() > 0.8
    np.testing.assert_array_equal(lesions.correct(model, x, y, chosen), expected)
for kind in ("residual", "dense block", "gate", "depthwise", "inside", "layer norm"):
    made_up.check(made_up.made(made_up.alone(kind, made_up.IMAGES)))
print("the same on JAX")
"""


@pytest.mark.slow
def test_lesions_on_jax_equal_zeroing_weights_there():
    tests = Path(__file__).parent
    path = os.pathsep.join([str(tests), str(tests.parent)])
    environment = os.environ | {"KERAS_BACKEND": "jax", "PYTHONPATH": path}
    environment["XLA_FLAGS"] = "--xla_backend_optimization_level=0"  # Compiling takes longest.
    made = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=False
    )
    assert made.stdout.endswith("the same on JAX\n"), made.stderr[-2000:]
