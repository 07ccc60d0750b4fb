"""What lesions of networks that git does not hold were seen to do, in ``results/lesions/``.

A large network stays in the cache folder, which may be lost. So once it is trained, the lesions
that the book asks about are made, and the images that are still classified correctly are counted
and kept: of the true sub-clusters, of their random twins, and of the sub-clusters of permuted
partitions. Every test statistic of the book is a function of these counts.
"""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from helpers import datasets, evaluation, files, lesions, protocols, settings, zoo
from helpers.backend import keras
from helpers.lesions import LesionProfiles
from helpers.partitions import Partition


@dataclass(frozen=True)
class Plan:
    """Which lesions of a network are counted.

    Attributes
    ----------
    protocol : {"paper", "released"}
        How its graph is made, see `protocols.protocol`.
    n_clusters : int
        Clusters of the graph.
    n_images : int
        Test images, as many of each class.
    n_random : int
        Random twins of each sub-cluster.
    n_permutations : int
        Permuted partitions.
    seed : int
        Of the clustering, the images, the twins and the permutations.
    """

    protocol: str
    n_clusters: int
    n_images: int
    n_random: int = 20
    n_permutations: int = 19
    seed: int = 0


PLANS: dict[str, tuple[Plan, ...]] = {
    "vgg": (Plan("released", 12, 2000), Plan("paper", 12, 2000)),
}
"""What is counted of each architecture; more can be added as long as the network is there."""

EARLY_PLANS = {
    architecture: tuple(replace(plan, n_images=1000, n_permutations=0) for plan in plans)
    for architecture, plans in PLANS.items()
}
"""What is counted after early epochs: enough to compare p values with those of the last one."""


@dataclass(frozen=True)
class LesionCounts:
    """Counts of one network by one plan.

    Attributes
    ----------
    profiles : LesionProfiles
        Of the true sub-clusters and their random twins.
    permuted : ndarray of int, shape (n_permutations, k, n_classes)
        Correctly classified images per class under the lesion of the sub-clusters of each
        permuted partition, in the order of `profiles.subclusters`.
    images : ndarray of int, shape (n_images,)
        Which test images were classified.
    origin : dict
        The plan; name, replicate, epochs, accuracy and checksum of the network.
    """

    profiles: LesionProfiles
    permuted: npt.NDArray[np.int64]
    images: npt.NDArray[np.intp]
    origin: dict[str, Any]


def path_of(name: str, replicate: int, plan: Plan, epoch: int | None = None) -> Path:
    """Return where the counts of a network by a plan belong."""
    early = "" if epoch is None else f"-epoch-{epoch}"
    stem = f"{name}-{replicate}{early}-{plan.protocol}-k{plan.n_clusters}"
    return settings.RESULTS / "lesions" / f"{stem}.npz"


def count(
    model: keras.Model,
    x: npt.NDArray[np.float32],
    y: npt.NDArray[np.integer[Any]],
    partition: Partition,
    n_random: int,
    n_permutations: int,
    seed: int = 0,
) -> tuple[LesionProfiles, npt.NDArray[np.int64]]:
    """Lesion the sub-clusters of a partition, their random twins, and permuted partitions'.

    Parameters
    ----------
    model, x, y, partition, n_random, seed
        As for `lesions.lesion_profiles`.
    n_permutations : int
        How many times the labels are permuted within layers.

    Returns
    -------
    profiles : LesionProfiles
    permuted : ndarray of int, shape (n_permutations, k, n_classes)
    """
    rng = np.random.default_rng([seed, 1])
    permuted = [partition.permuted(rng).subclusters() for _ in range(n_permutations)]
    chosen: list[lesions.Lesion] = [
        {each.layer: each.units} for subclusters in permuted for each in subclusters
    ]
    ours = lesions.lesion_profiles(model, x, y, partition, n_random, seed)
    counts = lesions.correct_counts(model, x, y, chosen)
    return ours, counts.reshape(n_permutations, len(ours.subclusters), -1)


def measure(name: str, replicate: int, plan: Plan, epoch: int | None = None) -> Path:
    """Count the lesions of a network of the zoo by a plan, unless that has been done.

    Parameters
    ----------
    name, replicate, epoch
        As for `zoo.trained`.
    plan : Plan
        What to count.

    Returns
    -------
    Path
        Of the counts.

    Raises
    ------
    ValueError
        As `zoo.trained`.
    """
    path = path_of(name, replicate, plan, epoch)
    if path.exists():
        return path
    network = zoo.trained(name, replicate, epoch)
    x, y = network.dataset.x_test, network.dataset.y_test
    images = datasets.balanced(y, plan.n_images, plan.seed)
    partition = evaluation.partition_of(
        network.model, plan.n_clusters, protocols.protocol(plan.protocol), plan.seed
    )
    counts = (plan.n_random, plan.n_permutations, plan.seed)
    ours, permuted = count(network.model, x[images], y[images], partition, *counts)
    origin = {
        "plan": asdict(plan),
        "network": name,
        "replicate": replicate,
        "epochs": network.manifest["epochs"],
        "accuracy": network.accuracy,
        "sha256": network.manifest["sha256"],
        "hidden": partition.hidden,
    }
    labels = {f"labels/{layer}": each for layer, each in partition.labels.items()}
    with files.written_whole(path) as temporary:
        np.savez_compressed(
            temporary,
            allow_pickle=False,
            origin=np.array(json.dumps(origin)),
            images=images,
            fingerprint=np.array(ours.fingerprint),
            class_sizes=ours.class_sizes,
            intact=ours.intact,
            true=ours.true,
            random=ours.random,
            permuted=permuted,
            **labels,
        )
    return path


def read(path: Path) -> LesionCounts:
    """Read the counts of a network.

    Parameters
    ----------
    path : Path
        Of `path_of`.

    Raises
    ------
    FileNotFoundError
        If they have not been made; says how to.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path}: not counted yet; modularity train")
    with np.load(path, allow_pickle=False) as file:
        arrays = dict(file)
    origin = json.loads(str(arrays["origin"]))
    labels = {
        layer: arrays[f"labels/{layer}"]
        for layer in (key.removeprefix("labels/") for key in arrays if key.startswith("labels/"))
    }
    partition = Partition(labels, tuple(origin.pop("hidden")))
    ours = LesionProfiles(
        partition=partition,
        subclusters=tuple(partition.subclusters()),
        class_sizes=arrays["class_sizes"],
        intact=arrays["intact"],
        true=arrays["true"],
        random=arrays["random"],
        fingerprint=str(arrays["fingerprint"]),
    )
    return LesionCounts(ours, arrays["permuted"], arrays["images"], origin)
