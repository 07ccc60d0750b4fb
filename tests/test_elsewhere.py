"""Lesions on other workers: the same results, and a worker may die."""

import os
import signal
import time
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
from distributed import Client, LocalCluster

from helpers import lesions, networks
from helpers.backend import keras
from helpers.lesions import elsewhere, engine


@pytest.fixture(scope="module")
def asked():
    """A network, images and classes, and lesions of it."""
    keras.utils.set_random_seed(0)
    model = networks.cnn((8, 8, 1), 3, channels=6, dense_width=5)
    rng = np.random.default_rng(0)
    x, y = rng.random((60, 8, 8, 1)).astype(np.float32), rng.integers(0, 3, 60)
    return (
        model,
        x,
        y,
        [{}, {"conv_1": [0, 3]}, {"conv_2": range(4)}, {"conv_3": [5], "dense": [0]}],
    )


@pytest.fixture
def in_small_batches(monkeypatch):
    monkeypatch.setattr(engine, "_MOST_IMAGES", 4)


@pytest.fixture(scope="module")
def cluster():
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as two:
        yield two


def test_threads_of_ones_own_give_the_same(asked, in_small_batches):
    with ThreadPoolExecutor(3) as threads:
        found = lesions.correct(*asked, executor=threads)
        np.testing.assert_array_equal(found, lesions.correct(*asked))
        threads.submit(int).result()  # It is left open.


@pytest.mark.slow
def test_processes_give_the_same(asked, in_small_batches):
    with ProcessPoolExecutor(2, get_context("spawn")) as processes:
        found = lesions.correct(*asked, executor=processes)
    np.testing.assert_array_equal(found, lesions.correct(*asked))


class Here(Executor):
    """Work is done at once, by what a worker would do."""

    def submit(self, function, *arguments):
        future = Future()
        future.set_result(function(*arguments))
        return future


@keras.saving.register_keras_serializable()
class Gate(keras.layers.Layer):
    """Keeps a mask that it does not save."""

    mask = 1.0

    def call(self, x):
        return x * self.mask


def test_a_model_that_is_another_one_once_loaded_is_not_sent():
    gate = Gate()
    layers = [keras.layers.Dense(8, "relu", name="d"), gate, keras.layers.Dense(3)]
    model = keras.Sequential([keras.Input((4,)), *layers])
    x, y, asked = np.ones((20, 4), np.float32), np.arange(20) % 3, [{}, {"d": [0]}]
    found = lesions.correct(model, x, y, asked, executor=Here())
    np.testing.assert_array_equal(found, lesions.correct(model, x, y, asked))
    gate.mask = np.array([0, 1] * 4, np.float32)
    other = keras.Model(model.inputs, model.layers[-1](gate(model.layers[0](model.inputs[0]))))
    with pytest.raises(ValueError, match="is another model once saved and loaded"):
        lesions.correct(other, x, y, asked, executor=Here())


def test_workers_load_a_model_once_until_it_changes(asked, monkeypatch):
    model, *others = asked
    model = keras.models.clone_model(model)
    loads, load = [], elsewhere._load
    monkeypatch.setattr(elsewhere, "_load", lambda path: loads.append(path) or load(path))
    # Each model is loaded here, to see that it is the same one, and at the worker.
    for n_loads, sign in ((2, 1), (2, 1), (4, -1)):
        model.set_weights([sign * each for each in model.get_weights()])
        found = lesions.correct(model, *others, executor=Here())
        np.testing.assert_array_equal(found, lesions.correct(model, *others))
        assert len(loads) == n_loads


def test_a_model_that_cannot_be_loaded_is_not_sent():
    halved = keras.layers.Lambda(lambda x, by=2.0: x / by, output_shape=(8,))
    layers = [keras.layers.Dense(8, "relu", name="d"), halved, keras.layers.Dense(3)]
    model = keras.Sequential([keras.Input((4,)), *layers])
    x, y = np.ones((20, 4), np.float32), np.arange(20) % 3
    lesions.correct(model, x, y, [{}])
    with pytest.raises(ValueError, match="executor: Keras cannot save 'sequential"):
        lesions.correct(model, x, y, [{}], executor=Here())


def test_what_would_never_come_back_is_refused(asked):
    with (
        ProcessPoolExecutor(1, get_context("fork")) as processes,
        pytest.raises(ValueError, match="executor: a pool of forked processes was given"),
    ):
        lesions.correct(*asked, executor=processes)
    with pytest.raises(ValueError, match="executor: 'dask' was given; accepted is a concurrent"):
        lesions.correct(*asked, executor="dask")


@pytest.mark.slow
def test_a_cluster_gives_the_same_of_everything_that_lesions(asked, in_small_batches, cluster):
    model, x, y, _ = asked
    labels = {"conv_1": [0, 0, 0, 1, 1, 1], "conv_2": [0, 1, 0, 1, 0, 1]}
    with Client(cluster) as client:
        executor = client.get_executor()
        found = lesions.correct(*asked, executor=executor)
        profiles = lesions.lesion_profiles(model, x, y, labels, 2, executor=executor)
        pairs = lesions.double_lesions(model, x, y, labels, 2, executor=executor)
    np.testing.assert_array_equal(found, lesions.correct(*asked))
    here = lesions.lesion_profiles(model, x, y, labels, 2)
    np.testing.assert_array_equal(profiles.random, here.random)
    np.testing.assert_array_equal(pairs.joint, lesions.double_lesions(model, x, y, labels, 2).joint)


@pytest.mark.slow
def test_a_worker_that_is_killed_takes_nothing_along(asked, cluster, monkeypatch):
    monkeypatch.setattr(engine, "_MOST_IMAGES", 1)
    with Client(cluster) as client:
        executor = client.get_executor()
        with ThreadPoolExecutor(1) as thread:
            future = thread.submit(lesions.correct, *asked, executor=executor)
            while not any(client.call_stack().values()) and not future.done():
                time.sleep(0.05)
            victim = next(iter(cluster.workers.values())).pid
            os.kill(victim, signal.SIGKILL)
            found = future.result()
    np.testing.assert_array_equal(found, lesions.correct(*asked))
