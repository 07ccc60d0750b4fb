"""Constructed inputs against Lucid's, in one run: ``python benchmarks/construction.py``.

For the three-channel MNIST MLP and, averaged over its convolutions, the small CNN: seconds per
image of `helpers.construction.construct`, which makes them all in one graph, and of Lucid's
``render_vis``, warmed up, which makes one image per call, from the same model, with the same
transforms, optimiser and number of steps. A few baseline images stand for all, since each costs
the same. The best round of each counts, because other work on the machine can only slow things
down. Without transforms, and from the same noise, both must reach the same scores.
"""

import argparse
import resource
from functools import partial
from typing import Any

import numpy as np

from helpers import construction, zoo
from helpers.construction import lucid_bridge as bridge
from measuring import seconds

LAYERS = {"mnist-rgb-mlp": ["dense_2"], "mnist-rgb-cnn": ["conv_1", "conv_2", "conv_3"]}
TARGETS = {"mnist-rgb-mlp": 20, "mnist-rgb-cnn": 3}
SET_SIZE = 12


def render_one(model: Any, units: Any, shape: Any, n_steps: int) -> Any:
    """Render the image of one set of units as Lucid's users do; return its pixels."""
    objective = bridge.objectives.Objective(
        lambda tensors: bridge.tf1.reduce_mean(
            bridge.tf1.gather(tensors(bridge.OUTPUT), list(map(int, units)), axis=-1)
        )
    )
    crop = bridge.transform.crop_or_pad_to(*shape[:2])
    with bridge.lucid_kept_in_bounds():
        (image,) = bridge.render.render_vis(
            model,
            objective,
            lambda: bridge.param.to_valid_rgb(bridge.param.naive([1, *shape])),
            transforms=[*construction.small_transforms(), crop],
            thresholds=(n_steps - 1,),
            verbose=False,
        )
    return image


def largest_difference(network: zoo.TrainedNetwork, layer: str, sets: Any, n_steps: int) -> float:
    """Largest difference of scores, without transforms, between a batch and single graphs."""
    together = construction.construct(
        network.model, layer, sets, n_steps=n_steps, transforms=[]
    ).scores
    alone = construction.construct(
        network.model, layer, sets, n_steps=n_steps, transforms=[], chunk_size=1
    ).scores
    return float(np.abs(together - alone).max())


def compare(name: str, n_images: int, n_single: int, n_steps: int, rounds: int) -> None:
    network = zoo.trained(name)
    shape = network.dataset.image_shape
    rng = np.random.default_rng(0)
    ratios = []
    for layer in LAYERS[name]:
        width = network.model.get_layer(layer).output.shape[-1]
        sets = [rng.choice(width, SET_SIZE, replace=False) for _ in range(n_images)]
        frozen = bridge.lucid_model(network.model, layer)
        render_one(frozen, sets[0], shape, 2)
        ours, theirs = [], []
        for _ in range(rounds):
            make = partial(construction.construct, network.model, layer, sets, n_steps=n_steps)
            ours.append(seconds(make))
            for units in sets[:n_single]:
                render = partial(render_one, frozen, units, shape, n_steps)
                theirs.append(seconds(render))
        ratios.append(min(theirs) / (min(ours) / n_images))
        difference = largest_difference(network, layer, sets[:4], n_steps)
        print(
            f"{name} {layer}: ours {min(ours):.1f} s for {n_images} images, Lucid "
            f"{min(theirs):.2f} s for one; ratio {ratios[-1]:.1f}; "
            f"scores differ by {difference:.1e} without transforms",
            flush=True,
        )
        if difference > 1e-4:
            raise SystemExit("the scores differ")
    mean = np.mean(ratios)
    verdict = "met" if mean >= TARGETS[name] else "missed"
    print(f"{name}: ratio {mean:.1f} on average (target {TARGETS[name]}: {verdict})")


def main() -> None:
    """Time both networks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=200, help="images that ours makes")
    parser.add_argument("--single", type=int, default=3, help="images that Lucid makes")
    parser.add_argument("--steps", type=int, default=256, help="steps for each image")
    parser.add_argument("--rounds", type=int, default=2, help="rounds; the best one counts")
    parser.add_argument("--networks", nargs="+", default=list(LAYERS), choices=list(LAYERS))
    arguments = parser.parse_args()
    for name in arguments.networks:
        compare(name, arguments.images, arguments.single, arguments.steps, arguments.rounds)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"peak memory of this process: {peak:.2f} GiB (target 4)")


if __name__ == "__main__":
    main()
