"""Coherence by construction (section 3.1.2, appendix A.8).

How strongly a single input can drive all units (score), how sure the network is of that input's
class (entropy), and how equally the input drives the units (activation variance, coefficient of
variation).
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from helpers.measures.comparison import Comparison, compare, times_typical
from helpers.protocols import PAPER, Protocol
from helpers.statistics import Side

if TYPE_CHECKING:
    from helpers.construction import Constructions


def score(made: "Constructions", protocol: Protocol = PAPER) -> Comparison:
    """Compare how strongly single inputs drive sub-clusters, and their twins.

    Parameters
    ----------
    made : Constructions
        Of `construction.constructions`, with twins from the protocol's pool.
    protocol : Protocol
        How ties count, and whether complete sub-clusters are tested.

    Returns
    -------
    Comparison
        Of scores; large ones are extreme.
    """
    values = (made.true.scores, made.random.scores)
    return _compared("score", "right", made, *values, protocol, times_typical(*values))


def output_entropy(made: "Constructions", protocol: Protocol = PAPER) -> Comparison:
    """Compare how sure the network is of inputs made for sub-clusters, and for their twins.

    Parameters
    ----------
    made, protocol
        As for `score`.

    Returns
    -------
    Comparison
        Of entropies in nats; small ones are extreme. The effect is how much larger a sub-cluster's
        is than the mean of its twins', in nats: of entropies that may be next to nothing, ratios
        say nothing.
    """
    values = (made.true.entropies, made.random.entropies)
    return _compared("entropy", "left", made, *values, protocol)


def activation_variance(made: "Constructions", protocol: Protocol = PAPER) -> Comparison:
    """Compare how equally an input drives the units of sub-clusters, and of their twins.

    Parameters
    ----------
    made, protocol
        As for `score`.

    Returns
    -------
    Comparison
        Of variances of the activations over the units; small ones are extreme. Where all are 0
        no unit is active, which is not consistency: such a sub-cluster is excluded as "inactive",
        one with such a twin as "twins inactive".
    """
    is_silent, are_silent = (
        (each.scores == 0) & (each.spreads == 0) for each in (made.true, made.random)
    )
    has_silent = are_silent.any(axis=1)
    reasons = np.where(is_silent, "inactive", np.where(has_silent, "twins inactive", ""))
    values = (made.true.spreads**2, made.random.spreads**2)
    return _compared("variance", "left", made, *values, protocol, times_typical(*values), reasons)


def variation_quartiles(made: "Constructions") -> dict[str, float]:
    """Return the quartiles of a network's coefficients of variation (appendix A.8, Table 6).

    A sub-cluster's is the standard deviation of its units' activations on its image divided by
    their mean.

    Returns
    -------
    dict of str to float
        first, median and third quartile over the sub-clusters whose mean is positive, at least 0,
        NaN if there is none; inactive, the number of the others.
    """
    active = made.true.scores > 0
    variation = made.true.spreads[active] / made.true.scores[active]
    quartiles = np.quantile(variation, (0.25, 0.5, 0.75)) if active.any() else [np.nan] * 3
    row = dict(zip(("first", "median", "third"), map(float, quartiles), strict=True))
    return row | {"inactive": int((~active).sum())}


def median_network(quartiles: Sequence[Mapping[str, float]]) -> int:
    """Return which network has the median of an odd number of median variations (Table 6).

    Parameters
    ----------
    quartiles : sequence of mapping
        Of `variation_quartiles`, one for each network.

    Raises
    ------
    ValueError
        If the number of networks is even or zero, or one has no median.
    """
    medians = [each["median"] for each in quartiles]
    if len(medians) % 2 == 0 or np.isnan(medians).any():
        raise ValueError(
            f"quartiles: an odd number of networks is needed, each with a median, not {medians}"
        )
    return int(np.argsort(medians, kind="stable")[len(medians) // 2])


def _compared(
    measure: str,
    side: Side,
    made: "Constructions",
    true: npt.NDArray[np.float64],
    random: npt.NDArray[np.float64],
    protocol: Protocol,
    effect: npt.NDArray[np.float64] | None = None,
    reasons: npt.ArrayLike = "",
) -> Comparison:
    description = made.partition.describe(made.subclusters)
    given = (description, true, random, made.fingerprint, reasons)
    return compare(measure, side, protocol, *given, effect=effect)
