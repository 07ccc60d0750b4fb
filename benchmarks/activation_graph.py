"""Graphs of activations against SciPy and NumPy: ``python benchmarks/activation_graph.py``.

The 4,224 feature maps of the VGG on CIFAR-10, over its 10,000 test images. Ours is timed whole,
from images to adjacency, forward pass included, in a process of its own, whose peak of memory
counts; then the clustering of that dense graph into 12 clusters. There are two baselines in the
same run, both given the units' responses for nothing: ranks by SciPy and ``numpy.corrcoef`` of
them, timed whole; and ``scipy.stats.spearmanr`` for one pair of units after the other, of which a
random sample is timed and multiplied up. Ours must agree with the former everywhere and with the
latter on the sample.
"""

import argparse
import multiprocessing
import tempfile
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import ConstantInputWarning, rankdata, spearmanr

from measuring import peak_gib, seconds

TARGET_S, TARGET_GIB = 120, 2
"""Seconds on two cores, and peak of memory, of making the graph."""


def ours(folder: Path) -> tuple[Any, ...]:
    """Make the graph and cluster it; say how long it took, and the peaks of memory."""
    from helpers import correlations, graphs, partitions
    from helpers.backend import keras

    x, model = np.load(folder / "x.npy"), keras.models.load_model(folder / "model.keras")
    before, found, cpu_before = peak_gib(), {}, time.process_time()
    graph_s = seconds(lambda: found.update(graph=graphs.activation_graph(model, x)))
    after, graph, cpu_s = peak_gib(), found["graph"], time.process_time() - cpu_before
    clustering_s = seconds(lambda: partitions.spectral(graph, 12))
    last = peak_gib()
    responses_s = seconds(
        lambda: found.update(responses=correlations.responses(model, x, graph.layers, 100))
    )
    np.save(folder / "adjacency.npy", graph.adjacency)
    np.save(folder / "responses.npy", np.hstack([*found["responses"].values()]))
    return graph_s, cpu_s, responses_s, clustering_s, before, after, last, graph.n_constant


def ranked(responses: np.ndarray) -> np.ndarray:
    """Return squared correlations of ranks as NumPy does it."""
    with np.errstate(invalid="ignore", divide="ignore"):
        squares = np.corrcoef(rankdata(responses, axis=0), rowvar=False) ** 2
    np.fill_diagonal(squares, 0)
    return np.nan_to_num(squares, copy=False)


def main() -> None:
    """Time all three, and check that they agree."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", default="cifar10-vgg", help="a name of the zoo")
    parser.add_argument("--pairs", type=int, default=1000, help="pairs that SciPy correlates")
    arguments = parser.parse_args()
    from helpers import zoo

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        network = zoo.trained(arguments.network)
        np.save(folder / "x.npy", network.dataset.x_test)
        network.model.save(folder / "model.keras")
        # A process that is spawned inherits neither the data set nor its peak of memory.
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as executor:
            done = executor.submit(ours, folder).result()
        graph_s, cpu_s, responses_s, clustering_s, before, after, last, n_constant = done
        adjacency, responses = (
            np.load(folder / f"{each}.npy") for each in ("adjacency", "responses")
        )

    found: dict[str, np.ndarray] = {}
    numpy_s = seconds(lambda: found.update(squares=ranked(responses)))
    n = len(adjacency)
    rng = np.random.default_rng(0)
    pairs = [rng.choice(n, 2, replace=False) for _ in range(arguments.pairs)]
    theirs: list[float] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConstantInputWarning)
        sample_s = seconds(
            lambda: theirs.extend(spearmanr(*responses[:, pair].T).statistic ** 2 for pair in pairs)
        )
    everywhere = np.abs(found["squares"] - adjacency).max()
    on_sample = np.abs(np.nan_to_num(theirs) - [adjacency[tuple(pair)] for pair in pairs]).max()
    pairs_s = sample_s / len(pairs) * n * (n - 1) / 2

    is_met = graph_s < TARGET_S and after < TARGET_GIB
    print(f"{n} units, of which {n_constant} never change, {len(responses)} images")
    print(
        f"ours, from images to adjacency: {graph_s:.1f} s, of which responses {responses_s:.1f} s"
    )
    print(f"its processor time, over all cores: {cpu_s:.1f} s")
    print(f"peak memory of that process: {after:.2f} GiB, {before:.2f} GiB before")
    print(f"target: {TARGET_S} s and {TARGET_GIB} GiB, {'met' if is_met else 'missed'}")
    print(f"clustering into 12: {clustering_s:.1f} s, peak {last:.2f} GiB")
    without = graph_s - responses_s
    print(f"numpy.corrcoef of ranks: {numpy_s:.1f} s, ours without responses {without:.1f} s")
    print(f"ratio: {numpy_s / without:.1f}; largest difference: {everywhere:.1e}")
    print(f"spearmanr, pair by pair: {pairs_s:.0f} s ({len(pairs)} pairs multiplied up)")
    print(f"ratio: {pairs_s / without:.0f}; largest difference: {on_sample:.1e}")
    if max(everywhere, on_sample) > 1e-9:
        raise SystemExit("they disagree")


if __name__ == "__main__":
    main()
