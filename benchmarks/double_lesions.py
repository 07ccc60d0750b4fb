"""All double lesions against pair by pair, in one run: ``python benchmarks/double_lesions.py``.

For an MLP at the paper's scale: seconds for all ordered pairs of sub-clusters, each with 50
random twins of its first, by `helpers.lesions.double_lesions`; and seconds for some of these
pairs, drawn at random, by `helpers.lesions.correct_counts` of both sub-clusters at once, pair by
pair, multiplied up to all pairs. Both must count the same correct predictions.
"""

import argparse
import time

import numpy as np

from helpers import graphs, lesions, partitions, zoo


def pair_by_pair(
    network: zoo.TrainedNetwork,
    partition: partitions.Partition,
    pair: tuple[partitions.SubCluster, partitions.SubCluster],
    n_random: int,
) -> np.ndarray:
    """Correct predictions under the lesion of both, then with twins in place of the first."""
    first, second = pair
    outside = second.units if first.layer == second.layer else ()
    twins = partition.random_twins(first, n_random, np.random.default_rng(0), outside=outside)
    chosen = []
    for units in [first.units, *twins]:
        if first.layer == second.layer:
            chosen.append({first.layer: np.concatenate([units, second.units])})
        else:
            chosen.append({first.layer: units, second.layer: second.units})
    x, y = network.dataset.x_test, network.dataset.y_test
    return lesions.correct_counts(network.model, x, y, chosen).sum(axis=1)


def compare(name: str, n_clusters: int, n_random: int, n_sampled: int) -> None:
    network = zoo.trained(name)
    x, y = network.dataset.x_test, network.dataset.y_test
    partition = partitions.spectral(graphs.weight_graph(network.model), n_clusters)
    lesions.correct_counts(network.model, x, y, [{}])

    start = time.perf_counter()
    found = lesions.double_lesions(network.model, x, y, partition, n_random)
    ours = time.perf_counter() - start
    k = len(found.subclusters)
    n_pairs = k * (k - 1)
    print(f"\n{name}, {n_clusters} clusters: {k} sub-clusters, {n_pairs} ordered pairs with")
    print(f"{n_random} twins, {len(x):,} images")
    print(f"  double_lesions      {ours:8.1f} s  {1e3 * ours / n_pairs:8.1f} ms per pair")

    rng = np.random.default_rng(0)
    first, second = np.nonzero(~np.eye(k, dtype=bool))
    spent = 0.0
    for i in rng.choice(n_pairs, min(n_sampled, n_pairs), replace=False):
        pair = found.subclusters[first[i]], found.subclusters[second[i]]
        start = time.perf_counter()
        counts = pair_by_pair(network, partition, pair, n_random)
        spent += time.perf_counter() - start
        assert counts[0] == found.joint[first[i], second[i]], "counts differ"
    theirs = spent / min(n_sampled, n_pairs)
    print(
        f"  pair by pair        {theirs * n_pairs:8.1f} s  {1e3 * theirs:8.1f} ms per pair, "
        f"from {min(n_sampled, n_pairs)} of them"
    )
    print(f"  x {theirs * n_pairs / ours:.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--networks", nargs="+", default=["mnist-mlp"])
    parser.add_argument("--n-clusters", type=int, default=8)
    parser.add_argument("--n-random", type=int, default=50)
    parser.add_argument("--n-sampled", type=int, default=12, help="pairs timed pair by pair")
    options = parser.parse_args()
    for name in options.networks:
        compare(name, options.n_clusters, options.n_random, options.n_sampled)


if __name__ == "__main__":
    main()
