"""Unit-input correlations against SciPy, in one run: ``python benchmarks/correlations.py``.

The MNIST MLP's 1,024 hidden units with 784 pixels over the 10,000 test images. The baseline calls
``scipy.stats.spearmanr`` for one unit and one pixel after the other; it would take an hour, so a
random sample of pairs is timed and multiplied up (``--pairs 802816`` runs them all). Ours is timed
whole, from images to correlations, forward pass included; the best of several runs counts, because
other work on the machine can only slow things down. Both must agree on every pair of the sample.
"""

import argparse
import resource
import time
import warnings

import numpy as np
from scipy.stats import ConstantInputWarning, spearmanr

from helpers import correlations, zoo

TARGET_S = 5
"""Seconds, on two cores."""


def sampled_pairs(n_units: int, n_inputs: int, n_pairs: int) -> list[tuple[int, int]]:
    chosen = np.random.default_rng(0).choice(n_units * n_inputs, n_pairs, replace=False)
    return [divmod(int(each), n_inputs) for each in chosen]


def main() -> None:
    """Time both, and check that they agree."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=2000, help="pairs that SciPy correlates")
    parser.add_argument("--rounds", type=int, default=5, help="runs of ours")
    arguments = parser.parse_args()
    network = zoo.trained("mnist-mlp")
    x = network.dataset.x_test
    layers = [layer.name for layer in network.model.layers if layer.name.startswith("dense")]
    correlations.correlation_maps(network.model, x[:100], layers)

    ours = []
    for _ in range(arguments.rounds):
        start = time.perf_counter()
        maps = correlations.correlation_maps(network.model, x, layers)
        ours.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    together = np.concatenate([maps[layer] for layer in layers])

    responses = correlations.responses(network.model, x, layers)
    units = np.concatenate([responses[layer] for layer in layers], axis=1)
    pixels = x.reshape(len(x), -1)
    pairs = sampled_pairs(*together.shape, arguments.pairs)
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConstantInputWarning)
        theirs = [spearmanr(units[:, unit], pixels[:, pixel]).statistic for unit, pixel in pairs]
    sample = time.perf_counter() - start
    whole = sample / len(pairs) * together.size
    difference = np.abs(np.nan_to_num(theirs) - [together[pair] for pair in pairs]).max()

    print(f"{together.shape[0]} units, {together.shape[1]} pixels, {len(x)} images")
    print(f"ours: {min(ours):.2f} s ({min(ours):.2f} to {max(ours):.2f} in {len(ours)} runs)")
    print(f"target: under {TARGET_S} s, {'met' if min(ours) < TARGET_S else 'missed'}")
    print(f"peak memory of this process until then: {peak:.2f} GiB")
    how = "all pairs" if len(pairs) == together.size else f"{len(pairs)} pairs multiplied up"
    print(f"spearmanr, column by column: {whole:.0f} s ({how})")
    print(f"ratio: {whole / min(ours):.0f}")
    print(f"largest difference on these pairs: {difference:.1e}")
    if difference > 1e-12:
        raise SystemExit("the two disagree")


if __name__ == "__main__":
    main()
