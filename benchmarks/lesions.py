"""Lesions against ``set_weights`` + ``predict``, in one run: ``python benchmarks/lesions.py``.

For each network: seconds per lesion of `helpers.lesions.correct_counts` and of the baseline (the
weights into the lesioned units set to zero, the whole network run by a warmed-up Keras
``predict``) at Keras's default batch size and at the best of several; their ratios; and, for the
MLP, the share of the machine's single-precision matrix product that the remaining multiply-adds
reach. The rounds alternate between all of them and the best time of each counts, because other
work on the machine can only slow things down. Both must count the same correct predictions.
"""

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from helpers import graphs, lesions, partitions, zoo
from helpers.backend import keras
from helpers.forward import chain

BATCH_SIZES = (32, 128, 512, 1000, 2000, 5000, 10000)
KERAS_DEFAULT = 32


def seconds(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def baseline(model: keras.Model, network: zoo.TrainedNetwork, lesion: Any, batch_size: int) -> Any:
    """Correct predictions per class, the plain way, on a copy of the network."""
    model.set_weights(network.model.get_weights())
    for name, units in lesion.items():
        layer = model.get_layer(name)
        values = layer.get_weights()
        for array in values:
            array[..., units] = 0
        layer.set_weights(values)
    x, y = network.dataset.x_test, network.dataset.y_test
    right = model.predict(x, batch_size=batch_size, verbose=0).argmax(axis=-1) == y
    return np.bincount(y[right], minlength=network.dataset.n_classes)


def necessary_flops(network: zoo.TrainedNetwork, lesion: Any) -> int:
    """Floating-point operations that a lesion of a dense layer leaves to do, two per weight."""
    kernels = [stage.kernel for stage in chain(network.model).stages]
    ((name, units),) = lesion.items()
    first = chain(network.model).index(name)
    width = kernels[first].shape[1]
    corrected = min(len(units), width - len(units)) * kernels[first + 1].shape[1]
    rest = sum(kernel.size for kernel in kernels[first + 2 :])
    return 2 * len(network.dataset.x_test) * (corrected + rest)


def some_lesions(network: zoo.TrainedNetwork, n_per_layer: int | None) -> list[Any]:
    """Choose all sub-clusters and a twin of each; or equally many of each layer."""
    partition = partitions.spectral(graphs.weight_graph(network.model), 12)
    rng = np.random.default_rng(0)
    chosen = []
    for each in partition.subclusters():
        (twin,) = partition.random_twins(each, 1, rng)
        chosen += [{each.layer: each.units}, {each.layer: twin}]
    if n_per_layer is None:
        return chosen
    return [
        lesion
        for layer in partition.hidden
        for lesion in [lesion for lesion in chosen if layer in lesion][:n_per_layer]
    ]


def compare(name: str, n_per_layer: int | None, n_baseline: int, n_rounds: int) -> None:
    network = zoo.trained(name)
    x, y = network.dataset.x_test, network.dataset.y_test
    chosen = some_lesions(network, n_per_layer)
    layers = list(dict.fromkeys(next(iter(lesion)) for lesion in chosen))
    of_layer = {layer: [each for each in chosen if layer in each] for layer in layers}
    plain = chosen[:: max(len(chosen) // n_baseline, 1)]
    copy = keras.models.clone_model(network.model)
    print(f"\n{name}: {len(chosen)} lesions, {len(x):,} images")

    expected = [baseline(copy, network, lesion, 1000) for lesion in plain]
    found = lesions.correct_counts(network.model, x, y, plain)
    assert np.array_equal(found, expected), "counts differ from the baseline's"
    print(f"  equal to the baseline's counts per class on {len(plain)} of the lesions")

    for size in BATCH_SIZES:
        copy.predict(x[:size], batch_size=size, verbose=0)
    square = np.random.default_rng(0).random((4096, 4096), dtype=np.float32)
    peak, ours = np.inf, dict.fromkeys(layers, np.inf)
    theirs = dict.fromkeys(BATCH_SIZES, np.inf)
    for _ in range(n_rounds):
        peak = min(peak, seconds(lambda: square @ square))
        for layer in layers:
            spent = seconds(lambda: lesions.correct_counts(network.model, x, y, of_layer[layer]))  # noqa: B023
            ours[layer] = min(ours[layer], spent / len(of_layer[layer]))
        for size in BATCH_SIZES:
            for lesion in plain[:2]:
                spent = seconds(lambda: baseline(copy, network, lesion, size))  # noqa: B023
                theirs[size] = min(theirs[size], spent)

    best = min(theirs, key=lambda size: theirs[size])
    print(f"  baseline: {1e3 * theirs[KERAS_DEFAULT]:8.1f} ms a lesion at batch {KERAS_DEFAULT}")
    print(f"            {1e3 * theirs[best]:8.1f} ms a lesion at batch {best}, the best")
    for layer in layers:
        print(f"  {layer:8s}: {1e3 * ours[layer]:8.2f} ms, {theirs[best] / ours[layer]:6.1f} x")
    mean = sum(ours[next(iter(lesion))] for lesion in chosen) / len(chosen)
    print(f"  ours    : {1e3 * mean:8.2f} ms a lesion on average")
    print(f"  ratio   : {theirs[best] / mean:8.1f} x the baseline at its best batch size")
    print(f"            {theirs[KERAS_DEFAULT] / mean:8.1f} x the baseline at Keras's default")
    if not any(stage.is_convolution for stage in chain(network.model).stages):
        rate = sum(necessary_flops(network, each) for each in chosen) / (mean * len(chosen))
        top = 2 * 4096**3 / peak
        print(
            f"  sgemm   : {rate / 1e9:.0f} of {top / 1e9:.0f} GFLOP/s on the multiply-adds that "
            f"remain: {rate / top:.0%}"
        )


def print_memory(name: str) -> None:
    network = zoo.trained(name)
    x, y = network.dataset.x_test, network.dataset.y_test
    lesions.correct_counts(network.model, x, y, some_lesions(network, 4))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"  {name}: {peak:.2f} GiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="the best of so many rounds counts")
    parser.add_argument("--memory-of", metavar="NAME", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.memory_of:
        print_memory(arguments.memory_of)
        return
    compare("mnist-mlp", None, 12, arguments.rounds)
    compare("mnist-cnn", 8, 6, max(arguments.rounds // 2, 1))
    print("\npeak memory of a process that does our lesions only, TensorFlow and data included:")
    for name in ("mnist-mlp", "mnist-cnn"):
        subprocess.run([sys.executable, __file__, "--memory-of", name], check=True)


if __name__ == "__main__":
    main()
