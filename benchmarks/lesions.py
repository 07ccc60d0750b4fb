"""Lesions against ``set_weights`` + ``predict``, in one run: ``python benchmarks/lesions.py``.

For each network: seconds per lesion of `helpers.lesions.correct_counts` and of the baseline (the
weights into the lesioned units set to zero, the whole network run by a warmed-up Keras
``predict``) at Keras's default batch size and at the best of several; their ratios; and, for the
MLP, the share of the machine's single-precision matrix product that the remaining multiply-adds
reach. A lesion's share of the intact pass is that in a test of all sub-clusters and 20 twins each.
The rounds alternate between all of them and the best time of each counts, because other work on
the machine can only slow things down. Both must count the same correct predictions.

Of few images cores share out the lesions; the baseline there is that each core has its share of the
images instead.
"""

import argparse
import subprocess
import sys
from functools import partial
from typing import Any

import numpy as np

from helpers import graphs, lesions, partitions, zoo
from helpers.backend import keras
from helpers.forward import read_classifier
from helpers.settings import n_cores
from measuring import peak_gib, seconds

N_SETS = 21
"""A sub-cluster and its 20 random twins."""

BASELINE_EVERY = 5
"""The slow baseline runs in every fifth round only."""

KERAS_DEFAULT = 32
MLP_BATCH_SIZES = (KERAS_DEFAULT, 128, 512, 1000, 2000, 5000, 10000)
CNN_BATCH_SIZES = (KERAS_DEFAULT, 100, 500, 1000, 2000)


def baseline(model: keras.Model, network: zoo.TrainedNetwork, lesion: Any, batch_size: int) -> Any:
    """Correct predictions per class, the plain way, on a copy of the network."""
    model.set_weights(network.model.get_weights())
    for name, units in lesion.items():
        layer = model.get_layer(name)
        values = layer.get_weights()
        for array in values:
            array[..., units] = 0
        layer.set_weights(values)
    x, y = images_of(network)
    right = model.predict(x, batch_size=batch_size, verbose=0).argmax(axis=-1) == y
    return np.bincount(y[right], minlength=network.dataset.n_classes)


def images_of(network: zoo.TrainedNetwork) -> tuple[Any, Any]:
    """Return the test images and classes; of a CNN a fifth, so that rounds stay short."""
    n = 2000 if network.recipe.architecture == "cnn" else 10000
    return network.dataset.x_test[:n], network.dataset.y_test[:n]


def necessary_flops(network: zoo.TrainedNetwork, lesion: Any) -> int:
    """Floating-point operations that a lesion of a dense layer leaves to do, two per weight."""
    program = read_classifier(network.model)
    kernels = [network.model.get_layer(each).kernel for each in program.layers]
    ((name, units),) = lesion.items()
    first = program.order(name)
    width = kernels[first].shape[1]
    corrected = min(len(units), width - len(units)) * kernels[first + 1].shape[1]
    rest = sum(int(np.prod(kernel.shape)) for kernel in kernels[first + 2 :])
    return 2 * len(images_of(network)[0]) * (corrected + rest)


def partition_of(network: zoo.TrainedNetwork) -> partitions.Partition:
    return partitions.spectral(graphs.weight_graph(network.model), 12)


def some_lesions(network: zoo.TrainedNetwork, n_per_layer: int | None) -> list[Any]:
    """Choose all sub-clusters and a twin of each; or equally many of each layer."""
    partition = partition_of(network)
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


def compare(name: str, n_per_layer: int | None, sizes: tuple[int, ...], n_rounds: int) -> None:
    network = zoo.trained(name)
    x, y = images_of(network)
    chosen = some_lesions(network, n_per_layer)
    layers = list(dict.fromkeys(next(iter(lesion)) for lesion in chosen))
    of_layer = {layer: [each for each in chosen if layer in each] for layer in layers}
    plain = chosen[:: len(chosen) // 6]
    copy = keras.models.clone_model(network.model)
    print(f"\n{name}: {len(chosen)} lesions, {len(x):,} images")

    expected = [baseline(copy, network, lesion, 1000) for lesion in plain]
    found = lesions.correct_counts(network.model, x, y, plain)
    assert np.array_equal(found, expected), "counts differ from the baseline's"
    print(f"  equal to the baseline's counts per class on {len(plain)} of the lesions")

    for size in sizes:
        copy.predict(x[:size], batch_size=size, verbose=0)
    square = np.random.default_rng(0).random((4096, 4096), dtype=np.float32)
    peak, intact, ours = np.inf, np.inf, dict.fromkeys(layers, np.inf)
    theirs = dict.fromkeys(sizes, np.inf)
    for round_number in range(n_rounds):
        peak = min(peak, seconds(partial(np.matmul, square, square)))
        intact = min(intact, seconds(partial(lesions.correct_counts, network.model, x, y, [{}])))
        for layer in layers:
            count = partial(lesions.correct_counts, network.model, x, y, of_layer[layer])
            ours[layer] = min(ours[layer], seconds(count))
        for size in sizes if round_number % BASELINE_EVERY == 0 else ():
            run = partial(baseline, copy, network, plain[0], size)
            theirs[size] = min(theirs[size], seconds(run))

    best = min(theirs, key=lambda size: theirs[size])
    print(f"  baseline: {1e3 * theirs[KERAS_DEFAULT]:8.1f} ms a lesion at batch {KERAS_DEFAULT}")
    print(f"            {1e3 * theirs[best]:8.1f} ms a lesion at batch {best}, the best")
    # The difference of two timings can fall below zero where a lesion takes next to nothing.
    alone = {layer: max(ours[layer] - intact, 0.0) / len(of_layer[layer]) for layer in layers}
    for layer in layers:
        ratio = theirs[best] / alone[layer] if alone[layer] else np.inf
        print(f"  {layer:8s}: {1e3 * alone[layer]:8.2f} ms, {ratio:6.1f} x")
    of_a_test = N_SETS * len(partition_of(network).subclusters())
    spent = sum(alone[layer] * len(of_layer[layer]) for layer in layers)
    mean = spent / len(chosen) + intact / of_a_test
    print(f"  intact  : {1e3 * intact:8.2f} ms, once for the {of_a_test} lesions of a whole test")
    print(f"  ours    : {1e3 * mean:8.2f} ms a lesion on average, with its share of that")
    print(f"  ratio   : {theirs[best] / mean:8.1f} x the baseline at its best batch size")
    print(f"            {theirs[KERAS_DEFAULT] / mean:8.1f} x the baseline at Keras's default")
    if network.recipe.architecture == "mlp":
        rate = sum(necessary_flops(network, each) for each in chosen) / (mean * len(chosen))
        top = 2 * 4096**3 / peak
        print(
            f"  sgemm   : {rate / 1e9:.0f} of {top / 1e9:.0f} GFLOP/s on the multiply-adds that "
            f"remain: {rate / top:.0%}"
        )


def compare_shares(name: str, n_images: int, n_rounds: int) -> None:
    """Compare lesions shared out among cores with images shared out among them."""
    network = zoo.trained(name)
    x, y = network.dataset.x_test[:n_images], network.dataset.y_test[:n_images]
    partition, rng = partition_of(network), np.random.default_rng(0)
    chosen = [
        {each.layer: twin}
        for each in partition.subclusters()
        for twin in partition.random_twins(each, N_SETS, rng)
    ]
    count = partial(lesions.correct_counts, network.model, x, y, chosen)
    ways = {"lesions": count, "images": partial(count, batch_size=-(-n_images // n_cores()))}
    assert np.array_equal(*(way() for way in ways.values())), "counts differ"
    best = dict.fromkeys(ways, np.inf)
    for _ in range(n_rounds):
        best |= {name: min(best[name], seconds(way)) for name, way in ways.items()}
    print(f"\n{name}: {len(chosen)} lesions, {n_images:,} images, {n_cores()} cores")
    for shared, each in best.items():
        print(f"  {shared} shared out: {1e3 * each / len(chosen):8.2f} ms a lesion")
    print(f"  ratio: {best['images'] / best['lesions']:.2f} x")


def print_memory(name: str) -> None:
    network = zoo.trained(name)
    x, y = network.dataset.x_test, network.dataset.y_test
    lesions.correct_counts(network.model, x, y, some_lesions(network, 4))
    print(f"  {name}: {peak_gib():.2f} GiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20, help="the best of so many rounds counts")
    parser.add_argument("--memory-of", metavar="NAME", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.memory_of:
        print_memory(arguments.memory_of)
        return
    compare("mnist-mlp", None, MLP_BATCH_SIZES, arguments.rounds)
    compare("mnist-cnn", 6, CNN_BATCH_SIZES, max(arguments.rounds // 2, 1))
    for name, n_images in (("digits-cnn", 30), ("digits-mlp", 300), ("mnist-mlp", 1000)):
        compare_shares(name, n_images, max(arguments.rounds // 4, 1))
    print("\npeak memory of a process that does our lesions only, TensorFlow and data included:")
    for name in ("mnist-mlp", "mnist-cnn"):
        subprocess.run([sys.executable, __file__, "--memory-of", name], check=True)


if __name__ == "__main__":
    main()
