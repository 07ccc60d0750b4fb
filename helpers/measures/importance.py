"""Importance: lesions of sub-clusters against those of random twins (section 3.2).

A sub-cluster's p value is the rank of the accuracy that its lesion leaves among those that its
twins' lesions leave.
"""

from typing import TYPE_CHECKING

from helpers.lesions.profiles import class_mean_accuracy, overall_accuracy
from helpers.measures.comparison import Comparison, compare
from helpers.protocols import PAPER, Protocol

if TYPE_CHECKING:
    from helpers.lesions.profiles import LesionProfiles


def importance(profiles: "LesionProfiles", protocol: Protocol = PAPER) -> Comparison:
    """Compare what each sub-cluster's lesion leaves with what its twins' lesions leave.

    Parameters
    ----------
    profiles : LesionProfiles
        Of `lesions.lesion_profiles`.
    protocol : Protocol
        Which accuracy is compared, how ties count, and whether complete sub-clusters are tested.

    Returns
    -------
    Comparison
        Of accuracies under lesions, in [0, 1]; small ones are extreme. Effects are percentage
        points of accuracy that are lost beyond what twins' lesions cost.

    Examples
    --------
    >>> from helpers import lesions, measures, zoo
    >>> net = zoo.trained("digits-mlp")
    >>> x, y = net.dataset.x_test[:100], net.dataset.y_test[:100]
    >>> own = {"dense_1": [0] * 128 + [1] * 128}
    >>> important = measures.importance(lesions.lesion_profiles(net.model, x, y, own))
    >>> len(important.true), important.random.shape, important.excluded.tolist()
    (2, (2, 20), ['', ''])
    """
    accuracy = {"overall": overall_accuracy, "class_mean": class_mean_accuracy}[protocol.accuracy]
    true = accuracy(profiles.true, profiles.class_sizes)
    random = accuracy(profiles.random, profiles.class_sizes)
    return compare(
        "importance",
        "left",
        protocol,
        profiles.describe(),
        true,
        random,
        profiles.fingerprint,
        fixed=profiles.fixed,
        effect=100 * (random.mean(axis=1) - true),
        outcomes=profiles.outcomes,
    )
