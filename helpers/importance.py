"""The first proxy, importance: lesions of sub-clusters against those of random twins.

Section 3.2 of the paper: a sub-cluster's p value is the rank of the accuracy that its lesion
leaves among those that its twins' lesions leave.
"""

from typing import Any

import pandas as pd

from helpers import statistics
from helpers.profiles import LesionProfiles, class_mean_accuracy, overall_accuracy
from helpers.protocols import PAPER, Protocol


def importance(profiles: LesionProfiles, protocol: Protocol = PAPER) -> pd.DataFrame:
    """Test each sub-cluster of a network for importance.

    Parameters
    ----------
    profiles : LesionProfiles
        Of `profiles.lesion_profiles`.
    protocol : Protocol
        Which accuracy is compared, how ties count, and whether complete sub-clusters are tested.

    Returns
    -------
    pandas.DataFrame
        One row per sub-cluster: layer, cluster, size, share, complete, intact, lesioned (as in
        `LesionProfiles.describe`); value, the compared accuracy under the lesion, in [0, 1];
        random_1 to random_n, the same for its twins; excluded, why it is not tested, or "";
        p, NaN if it is not tested.
    """
    accuracy = {"overall": overall_accuracy, "class_mean": class_mean_accuracy}[protocol.accuracy]
    return statistics.compare(
        profiles.describe(),
        accuracy(profiles.true, profiles.class_sizes),
        accuracy(profiles.random, profiles.class_sizes),
        "left",
        protocol.ties,
        protocol.keeps_complete,
    )


def combined(table: pd.DataFrame, protocol: Protocol = PAPER, seed: int = 0) -> dict[str, Any]:
    """Combine the sub-clusters of one network into its p values for importance.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `importance`, under the same protocol.
    protocol : Protocol
        How ties count.
    seed : int
        Seed of the exchangeable test.

    Returns
    -------
    dict
        As of `statistics.combine`.
    """
    return statistics.combine(table, "left", protocol.ties, seed)
