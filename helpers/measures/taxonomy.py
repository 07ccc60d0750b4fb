"""Kinds of sub-clusters by size, damage and rank (Figure 2, Tables 7 and 8)."""

from dataclasses import replace

import numpy as np
import pandas as pd

from helpers import statistics
from helpers.lesions.profiles import LesionProfiles
from helpers.protocols import PAPER, Protocol
from helpers.validation import is_integer

KINDS = (
    "important",
    "sig-but-not-diff",
    "diff-but-not-sig",
    "prunable",
    "least-important",
    "complete",
    "small",
    "other",
)
"""What `taxonomy` sorts sub-clusters into; "least-important" is known to the released code only."""


def taxonomy(profiles: LesionProfiles, protocol: Protocol = PAPER) -> pd.DataFrame:
    """Sort sub-clusters into kinds by size, damage and rank (Figure 2, Tables 7 and 8).

    The damage of a lesion is the share of all images that the network loses by it. A damage is
    *significant* if it exceeds those of all random twins (under strict ties: is not exceeded).
    The first of these rules that applies decides:

    ================  ===================================  ===================================
    kind              rule under ``text``                  rule under ``code``
    ================  ===================================  ===================================
    complete          all live units of the layer          the same
    small             under 5 % of the layer               at most 12 units
    important         significant, and above one           significant, and at least one
                      percentage point                     percentage point
    prunable          strictly below all twins, and below  strictly below all twins, and below
                      one percentage point                 one percentage point
    least-important                                        strictly below all twins
    sig-but-not-diff  significant                          significant
    diff-but-not-sig  above one percentage point           above one percentage point
    other             the rest                             the rest
    ================  ===================================  ===================================

    Parameters
    ----------
    profiles : LesionProfiles
        Of `lesions.lesion_profiles`.
    protocol : Protocol
        How ties count, and whose rules hold.

    Returns
    -------
    pandas.DataFrame
        One row per sub-cluster: layer, cluster, size, share, complete, intact, lesioned (as in
        `LesionProfiles.describe`); damage, in [-1, 1]; random_mean and random_std, mean and
        sample standard deviation of the twins' damages (NaN for a single twin); p, the damage's
        rank among the twins'; kind, one of `KINDS`.
    """
    n_images = int(profiles.class_sizes.sum())
    damage = (profiles.intact - profiles.true).sum(axis=-1)
    random = (profiles.intact - profiles.random).sum(axis=-1)
    table = profiles.describe()
    p = [
        statistics.p_value(one, others, "right", protocol.ties)
        for one, others in zip(damage, random, strict=True)
    ]
    significant = np.isclose(p, 1 / (profiles.n_random + 1))
    below_all = (damage[:, np.newaxis] < random).all(axis=1)
    # In images, because a hundredth of them may be no exact number.
    above, at_least = 100 * damage > n_images, 100 * damage >= n_images
    rules = {
        "text": {
            "complete": table["complete"],
            "small": 20 * table["size"] < _widths(profiles),
            "important": significant & above,
            "prunable": below_all & ~at_least,
            "sig-but-not-diff": significant,
            "diff-but-not-sig": above,
        },
        "code": {
            "complete": table["complete"],
            "small": table["size"] <= 12,
            "important": significant & at_least,
            "prunable": below_all & ~at_least,
            "least-important": below_all,
            "sig-but-not-diff": significant,
            "diff-but-not-sig": above,
        },
    }[protocol.taxonomy]
    return table.assign(
        damage=damage / n_images,
        random_mean=random.mean(axis=1) / n_images,
        random_std=pd.DataFrame(random).std(axis=1).to_numpy() / n_images,
        p=p,
        kind=np.select([np.asarray(rule, bool) for rule in rules.values()], list(rules), "other"),
    )


def kinds_by_chance(
    profiles: LesionProfiles, protocol: Protocol = PAPER, n_random: int = 20
) -> pd.DataFrame:
    """Ask whether there are more sub-clusters of a kind than among permuted ones.

    With many sub-clusters some are "important" by chance. So the sub-clusters of each permuted
    partition are sorted, too, as if theirs were the true one, each beside those of the next
    `n_random` partitions; and how many are of a kind is a statistic of the exact test.

    Parameters
    ----------
    profiles : LesionProfiles
        Of `lesions.permutation_profiles`.
    protocol : Protocol
        As for `taxonomy`.
    n_random : int
        Twins of each sub-cluster, less than there are permutations.

    Returns
    -------
    pandas.DataFrame
        One row per kind of "important" and "sig-but-not-diff": kind; found, how many sub-clusters
        are of it; expected, the mean over permuted partitions; chance, the share of these that
        have any; p, the exact p value of so many.

    Raises
    ------
    ValueError
        If the twins are not those of permuted partitions, or there are too few of these.
    """
    n_permutations = profiles.n_random
    is_number = is_integer(n_random) and 1 <= n_random < n_permutations
    if profiles.fixed is None or not is_number:
        raise ValueError(
            f"n_random: {n_random} was given for {n_permutations} twins; accepted are 1 to less "
            "than the number of permuted partitions (lesions.permutation_profiles)"
        )
    partitions = np.concatenate([profiles.true[:, np.newaxis], profiles.random], axis=1)
    ahead = np.arange(1, n_random + 1)
    counts = np.array(
        [
            _count(
                replace(
                    profiles,
                    true=partitions[:, row],
                    random=partitions[:, (row + ahead) % (n_permutations + 1)],
                ),
                protocol,
            )
            for row in range(n_permutations + 1)
        ]
    )
    return pd.DataFrame(
        {
            "kind": _BY_CHANCE,
            "found": counts[0],
            "expected": counts[1:].mean(axis=0),
            "chance": (counts[1:] > 0).mean(axis=0),
            "p": (counts >= counts[0]).mean(axis=0),
        }
    )


_BY_CHANCE = ("important", "sig-but-not-diff")


def _count(profiles: LesionProfiles, protocol: Protocol) -> list[int]:
    kinds = taxonomy(profiles, protocol)["kind"]
    return [int((kinds == each).sum()) for each in _BY_CHANCE]


def _widths(profiles: LesionProfiles) -> list[int]:
    """Return the number of units of each sub-cluster's layer."""
    return [len(profiles.partition.labels[each.layer]) for each in profiles.subclusters]
