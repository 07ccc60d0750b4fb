"""Input coherence by correlations: how clear a sub-cluster's picture is (section 3.1.1).

A picture has much contrast if the units respond strongly, and to the same things; agreement tells
only the latter; and on paired images its preference tells how much more of it is in one part than
in the other. The paper looks at these pictures; measuring them is ours.
"""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from helpers.measures.comparison import Comparison, compare, times_typical
from helpers.protocols import PAPER, Protocol

if TYPE_CHECKING:
    from helpers.correlations import Pictures


def contrast(pictures: "Pictures", protocol: Protocol = PAPER) -> Comparison:
    """Test each sub-cluster of a network for a picture of high contrast.

    Parameters
    ----------
    pictures : Pictures
        Of `correlations.pictures`, with the protocol's number of sign iterations.
    protocol : Protocol
        How ties count, and whether complete sub-clusters are tested.

    Returns
    -------
    Comparison
        Of root mean square contrasts (Peli, 1990): the standard deviation of a picture's
        correlations over the inputs, in [0, 1]. Large is extreme.
    """
    true, random = (np.std(each, axis=-1) for each in (pictures.true, pictures.random))
    return _compared("contrast", pictures, true, random, protocol)


def agreement(pictures: "Pictures", protocol: Protocol = PAPER) -> Comparison:
    """Test each sub-cluster of a network for maps that agree, however strong they are.

    Parameters
    ----------
    pictures, protocol
        As for `contrast`.

    Returns
    -------
    Comparison
        Of the length of a picture relative to the mean length of the maps that it is the mean
        of: 1 if all have the same direction, near 0 if they cancel. Large is extreme.
    """
    lengths = (np.linalg.norm(each, axis=-1) for each in (pictures.true, pictures.random))
    strengths = (pictures.true_strength, pictures.random_strength)
    true, random = (length / strength for length, strength in zip(lengths, strengths, strict=True))
    return _compared("agreement", pictures, true, random, protocol)


_DIGITS = 12
"""Of equal maps, added up in any order: what rounding makes of that must not rank them."""


def preference(
    pictures: "Pictures", parts: npt.NDArray[np.intp], protocol: Protocol = PAPER
) -> Comparison:
    """Test each sub-cluster of a network for a picture of one part of the input only.

    Parameters
    ----------
    pictures : Pictures
        Of `correlations.pictures`, with the protocol's number of sign iterations.
    parts : ndarray of int, shape (inputs,)
        Part 0 or 1 that each input belongs to, as of `datasets.parts`.
    protocol : Protocol
        How ties count, and whether complete sub-clusters are tested.

    Returns
    -------
    Comparison
        With E0 and E1 the mean squares of a picture's correlations over the parts, of
        abs(E1 - E0) / (E1 + E0): 0 without any preference, 1 if the picture is 0 in one part.
        Large is extreme. Among the columns of its sub-clusters is preferred, the part 0 or 1.

    Raises
    ------
    ValueError
        If `parts` does not give 0 or 1 for each input, and each of them at least once.
    """
    n_inputs = pictures.true.shape[-1]
    if parts.shape != (n_inputs,) or not np.array_equal(np.unique(parts), (0, 1)):
        raise ValueError(f"parts: 0 or 1 is needed for each of {n_inputs} inputs, both used")
    true, random = (_difference(each, parts == 1) for each in (pictures.true, pictures.random))
    preferred = (true > 0).astype(int)
    return _compared(
        "preference", pictures, np.abs(true), np.abs(random), protocol, preferred=preferred
    )


def _compared(
    measure: str,
    pictures: "Pictures",
    true: npt.NDArray[np.float64],
    random: npt.NDArray[np.float64],
    protocol: Protocol,
    **columns: npt.NDArray[np.intp],
) -> Comparison:
    description = pictures.partition.describe(pictures.subclusters).assign(**columns)
    true, random = np.round(true, _DIGITS), np.round(random, _DIGITS)
    return compare(
        measure,
        "right",
        protocol,
        description,
        true,
        random,
        pictures.fingerprint,
        effect=times_typical(true, random),
    )


def _difference(
    pictures: npt.NDArray[np.float64], is_second: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    """Return the difference of the parts' mean squares relative to their sum, 0 if that is 0."""
    first, second = (
        np.mean(pictures[..., chosen] ** 2, axis=-1) for chosen in (~is_second, is_second)
    )
    total = first + second
    return np.asarray(np.divide(second - first, total, out=np.zeros_like(total), where=total > 0))
