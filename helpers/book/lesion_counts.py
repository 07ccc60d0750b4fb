"""What lesions of networks that git does not hold were seen to do, in ``results/lesions/``.

A large network stays in the cache folder, which may be lost. So once it is trained, the lesions
that the book asks about are made, and the images that are still classified correctly are counted
and kept: of the true sub-clusters, of their random twins, and of the sub-clusters of permuted
partitions. Every test statistic of the book is a function of these counts.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from helpers import (
    datasets,
    evaluation,
    files,
    lesions,
    measures,
    protocols,
    settings,
    statistics,
    zoo,
)
from helpers.fingerprints import fingerprint
from helpers.lesions import LesionProfiles, profiles
from helpers.partitions import Partition

_log = logging.getLogger(__name__)


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


PLANS = (Plan("released", 12, 2000), Plan("paper", 12, 2000))
"""What is counted of a VGG; more can be added as long as the network is there."""

FEW_CLUSTERS = 8
"""Clusters of the graph whose sub-clusters are sorted into kinds (Table 8)."""

EARLY_PLANS = tuple(replace(plan, n_images=1000, n_permutations=0) for plan in PLANS)
"""What is counted after early epochs: enough to compare p values with those of the last one."""

OTHER_PLANS = tuple(replace(plan, n_clusters=k) for k in (FEW_CLUSTERS, 18) for plan in EARLY_PLANS)
"""What is counted of a VGG besides, for `kinds`, and for other numbers of clusters (Table 3)."""

UNTRAINED_PLANS = tuple(replace(plan, n_images=100) for plan in PLANS)
"""What is counted of a VGG that has learned nothing. Images are few because all its lesions are in
the first layers, where each costs a whole pass, and because it knows none of the classes anyway."""

VGGS = ("cifar10-vgg", "cifar10-vgg-dropout")
"""The networks of the paper that are counted."""

N_REPLICATES = 5
"""Networks of each kind in the paper."""

_AT_ONCE = 63
"""Lesions that are counted before the counts are written down."""


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

    @property
    def against_permuted(self) -> LesionProfiles:
        """The true sub-clusters beside those of the permuted partitions, for the exact test."""
        ours = self.profiles
        fixed = [not ours.partition.can_change(each) for each in ours.subclusters]
        random = self.permuted.swapaxes(0, 1)
        return replace(ours, random=random, fixed=np.array(fixed, bool), lesioned=None)

    @property
    def protocol(self) -> protocols.Protocol:
        """The protocol of the graph."""
        return protocols.protocol(self.origin["plan"]["protocol"])

    def described(self) -> dict[str, Any]:
        """Return what rows of tables say of it: network, replicate, protocol, and how it was made.

        The others are n_clusters, images, epochs, and accuracy on all test images, in [0, 1].
        """
        plan = self.origin["plan"]
        return {
            "network": self.origin["network"],
            "replicate": self.origin["replicate"],
            "protocol": plan["protocol"],
            "n_clusters": plan["n_clusters"],
            "images": len(self.images),
            "epochs": self.origin["epochs"],
            "accuracy": self.origin["accuracy"],
        }


def path_of(name: str, replicate: int, plan: Plan, epoch: int | None = None) -> Path:
    """Return where the counts of a network by a plan belong."""
    early = "" if epoch is None else f"-epoch-{epoch}"
    stem = f"{name}-{replicate}{early}-{plan.protocol}-k{plan.n_clusters}"
    return settings.RESULTS / "lesions" / f"{stem}.npz"


def plans(name: str, epoch: int | None = None) -> tuple[Plan, ...]:
    """Return by which plans a network is counted.

    Parameters
    ----------
    name : str
        As for `zoo.recipe`.
    epoch : int, optional
        As for `zoo.trained`.

    Returns
    -------
    tuple of Plan
        None but for VGGs: other networks are in git, where sweeps can lesion them.
    """
    recipe = zoo.recipe(name)
    if recipe.architecture != "vgg":
        return ()
    if epoch is not None:
        return EARLY_PLANS
    return PLANS + OTHER_PLANS if recipe.all_epochs else UNTRAINED_PLANS


def count(
    lesioned: Callable[[Sequence[lesions.Lesion]], npt.NDArray[np.int64]],
    y: npt.NDArray[np.int64],
    partition: Partition,
    plan: Plan,
) -> tuple[LesionProfiles, npt.NDArray[np.int64]]:
    """Lesion the sub-clusters of a partition, their random twins, and permuted partitions'.

    Parameters
    ----------
    lesioned : callable
        From lesions to an array of int, shape (n_lesions, n_classes): correctly classified images
        of each class.
    y : ndarray of int, shape (n_images,)
        Classes of the images.
    partition : Partition
    plan : Plan

    Returns
    -------
    profiles : LesionProfiles
        Without a fingerprint.
    permuted : ndarray of int, shape (n_permutations, k, n_classes)
    """
    rng = np.random.default_rng([plan.seed, 1])
    permuted = [partition.permuted(rng).subclusters() for _ in range(plan.n_permutations)]
    chosen: list[lesions.Lesion] = [
        {each.layer: each.units} for subclusters in permuted for each in subclusters
    ]
    ours = profiles.profiles_of_twins(lesioned, y, partition, plan.n_random, plan.seed)
    counts = lesioned(chosen) if chosen else np.empty((0, len(ours.intact)), np.int64)
    return ours, counts.reshape(plan.n_permutations, len(ours.subclusters), len(ours.intact))


def written_down(
    lesioned: Callable[[Sequence[lesions.Lesion]], npt.NDArray[np.int64]], path: Path
) -> Callable[[Sequence[lesions.Lesion]], npt.NDArray[np.int64]]:
    """Let lesions be counted once each, and what is counted survive the end of the process.

    Parameters
    ----------
    lesioned : callable
        As for `count`, of one network and its images.
    path : Path
        Where counts are written down as they are made.

    Returns
    -------
    callable
        Counts the same. It reads what `path` holds, and makes the rest.
    """
    known: dict[str, npt.NDArray[np.int64]] = {}
    if path.exists():
        with np.load(path, allow_pickle=False) as file:
            known = dict(file)

    def counted(chosen: Sequence[lesions.Lesion]) -> npt.NDArray[np.int64]:
        keys = [_key(each) for each in chosen]
        missing = {key: each for key, each in zip(keys, chosen, strict=True) if key not in known}
        for start in range(0, len(missing), _AT_ONCE):
            some = dict(islice(missing.items(), start, start + _AT_ONCE))
            counts = lesioned(list(some.values()))
            known.update(zip(some, counts, strict=True))
            with files.written_whole(path) as temporary:
                np.savez_compressed(temporary, allow_pickle=False, **known)
            _log.info("%s: %d lesions counted", path.stem, len(known))
        return np.array([known[key] for key in keys])

    return counted


def _key(lesion: lesions.Lesion) -> str:
    """Return a name that only equal lesions share."""
    units = {layer: sorted(map(int, each)) for layer, each in lesion.items()}
    return hashlib.sha256(json.dumps(units, sort_keys=True).encode()).hexdigest()


def measure(name: str, replicate: int, plan: Plan, epoch: int | None = None) -> Path:
    """Count the lesions of a network of the zoo by a plan, unless that has been done.

    What was counted before the process came to an early end is not counted again.

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
    origin = {
        "plan": asdict(plan),
        "network": name,
        "replicate": replicate,
        "epochs": network.manifest["epochs"],
        "accuracy": network.accuracy,
        "sha256": network.manifest["sha256"],
        "hidden": partition.hidden,
    }
    print_of_all = fingerprint(*network.model.get_weights(), x[images], y[images])
    begun = settings.cache_folder() / "lesions" / f"{path.stem}-{print_of_all}.npz"
    lesioned = partial(lesions.correct_counts, network.model, x[images], y[images])
    ours, permuted = count(written_down(lesioned, begun), y[images], partition, plan)
    labels = {f"labels/{layer}": each for layer, each in partition.labels.items()}
    with files.written_whole(path) as temporary:
        np.savez_compressed(
            temporary,
            allow_pickle=False,
            origin=np.array(json.dumps(origin)),
            images=images,
            fingerprint=np.array(print_of_all),
            class_sizes=ours.class_sizes,
            intact=ours.intact,
            true=ours.true,
            random=ours.random,
            permuted=permuted,
            **labels,
        )
    begun.unlink(missing_ok=True)
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


def counted(
    names: Sequence[str], n_clusters: int = PLANS[0].n_clusters, epoch: int | None = None
) -> list[LesionCounts]:
    """Read all counts of networks that there are.

    Parameters
    ----------
    names : sequence of str
        Of the zoo.
    n_clusters : int
        Clusters of the graph.
    epoch : int, optional
        After which the networks were counted; by default fully trained, or untrained.

    Returns
    -------
    list of LesionCounts
        In the order of the names, replicate by replicate, by each of the `plans`.
    """
    return [
        read(path)
        for name in names
        for replicate in range(N_REPLICATES)
        for plan in plans(name, epoch)
        if plan.n_clusters == n_clusters
        if (path := path_of(name, replicate, plan, epoch)).exists()
    ]


def combined(names: Sequence[str], seed: int = 0) -> pd.DataFrame:
    """Test the sub-clusters of counted networks under the protocol of each graph.

    Parameters
    ----------
    names : sequence of str
        As for `counted`.
    seed : int
        Of the Monte-Carlo tests.

    Returns
    -------
    pandas.DataFrame
        As of `Comparison.combine` of importance and class-wise range, with the exact test and its
        n_permutations, and with what `LesionCounts.described` says.
    """
    parts = []
    for each in counted(names):
        found = evaluation.combined(each.profiles, each.protocol, seed)
        exact = _exact(each, each.protocol).assign(n_permutations=len(each.permuted))
        parts += [table.assign(**each.described()) for table in (found, exact)]
    return _together(parts)


def while_training(names: Sequence[str], seed: int = 0) -> pd.DataFrame:
    """Test the sub-clusters of networks that were counted early in their training, and at its end.

    Parameters
    ----------
    names, seed
        As for `combined`.

    Returns
    -------
    pandas.DataFrame
        As of `combined`, without the exact test, after each of `zoo.EARLY_EPOCHS` and at the end;
        of networks that were counted early. Early counts are on fewer images: see images.
    """
    epochs = sorted({epoch for early in zoo.EARLY_EPOCHS.values() for epoch in early})
    early = [each for epoch in epochs for each in counted(names, epoch=epoch)]
    known = {(each.origin["network"], each.origin["replicate"]) for each in early}
    last = [
        each
        for each in counted(names)
        if (each.origin["network"], each.origin["replicate"]) in known
    ]
    return _tested_by_twins([*early, *last], seed)


def by_clusters(names: Sequence[str], seed: int = 0) -> pd.DataFrame:
    """Test the sub-clusters of counted networks with other numbers of clusters (Table 3).

    Parameters
    ----------
    names, seed
        As for `combined`.

    Returns
    -------
    pandas.DataFrame
        As of `combined`, without the exact test, by each of `OTHER_PLANS`; k is the number of
        clusters.
    """
    numbers = dict.fromkeys(plan.n_clusters for plan in OTHER_PLANS)
    counts = [each for k in numbers for each in counted(names, k)]
    return _tested_by_twins(counts, seed).rename(columns={"n_clusters": "k"})


def _tested_by_twins(counts: Sequence[LesionCounts], seed: int) -> pd.DataFrame:
    """Return the tests that compare with random twins, with what is said of each network."""
    return _together(
        [
            evaluation.combined(each.profiles, each.protocol, seed).assign(**each.described())
            for each in counts
        ]
    )


def kinds(names: Sequence[str]) -> pd.DataFrame:
    """Sort the sub-clusters of counted networks, of `FEW_CLUSTERS` clusters, into kinds (Table 8).

    Parameters
    ----------
    names : sequence of str
        Of the zoo.

    Returns
    -------
    pandas.DataFrame
        As of `measures.taxonomy` under the protocol of each graph, with what
        `LesionCounts.described` says.
    """
    parts = [
        measures.taxonomy(each.profiles, each.protocol).assign(**each.described())
        for each in counted(names, FEW_CLUSTERS)
    ]
    return _together(parts)


def _together(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def beside(collected: pd.DataFrame, tested: pd.DataFrame) -> pd.DataFrame:
    """Return what sweeps have collected with the same tests of networks that have been counted.

    Parameters
    ----------
    collected : pandas.DataFrame
        Tests, see `results.collected`.
    tested : pandas.DataFrame
        Of `combined`.
    """
    if tested.empty:
        return collected
    known = tested["test"].isin(collected["test"]) & tested["measure"].isin(collected["measure"])
    return pd.concat([collected, tested[known]], ignore_index=True)


def audits(names: Sequence[str], seed: int = 0) -> pd.DataFrame:
    """Show what single choices of the released code did to the p values of counted networks.

    Parameters
    ----------
    names, seed
        As for `combined`.

    Returns
    -------
    pandas.DataFrame
        As of `evaluation.audit` for both graphs, with the exact test as one more choice, and with
        what `LesionCounts.described` says; subclusters and complete say how many there are.
    """
    parts = []
    for each in counted(names):
        partition = each.profiles.partition
        complete = [partition.is_complete(one) for one in each.profiles.subclusters]
        sizes = {"subclusters": len(complete), "complete": sum(complete)}
        exact = _exact(each, protocols.PAPER).assign(choice="exact test")
        table = pd.concat([evaluation.audit(each.profiles, seed), exact], ignore_index=True)
        parts.append(table.assign(**each.described(), **sizes))
    return _together(parts)


def p_values(audited: pd.DataFrame, network: str, choice: str) -> dict[str, pd.Series]:
    """Return p values of a network on the released graph, for importance and class-wise range.

    Parameters
    ----------
    audited : pandas.DataFrame
        Of `audits`.
    network, choice : str
        Which of its rows; of each choice but the exact test, Fisher's.

    Returns
    -------
    dict of str to pandas.Series
        By measure, with one p value for each replicate.
    """
    rows = audited[
        (audited["network"] == network)
        & (audited["protocol"] == "released")
        & (audited["choice"] == choice)
        & audited["test"].isin(["fisher", "exact"])
    ]
    return {str(measure): group["p"] for measure, group in rows.groupby("measure")}


def _exact(counts: LesionCounts, protocol: protocols.Protocol) -> pd.DataFrame:
    """Return the exact tests of importance and class-wise range.

    An undefined range counts as the least: where it is undefined in some partitions only, to leave
    it out would take the validity along. Where it is in all there is nothing to test.
    """
    ours = counts.against_permuted
    found = measures.importance(ours, protocol).combine()
    importance = found[found["test"] == "exact"]
    true, random = (
        measures.class_wise_range(each, ours.intact, ours.class_sizes)
        for each in (ours.true, ours.random)
    )
    assert ours.fixed is not None
    tested = ~ours.fixed & (np.isfinite(true) | np.isfinite(random).any(axis=1))
    true, random = (np.nan_to_num(each, nan=-1.0) for each in (true, random))
    test = statistics.permutation_test(true, random.T, "right", tested=tested)
    n_tested = int(tested.sum())
    ranges = importance.assign(
        measure="class_range",
        tested=n_tested,
        excluded=len(true) - n_tested,
        p=test.p,
        p_two_sided=np.nan,
        effect=np.nan,
    )
    return pd.concat([importance, ranges], ignore_index=True)
