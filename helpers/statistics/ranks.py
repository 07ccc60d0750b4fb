"""A sub-cluster's p value: its rank among itself and its n random twins (appendix A.4).

It is one of m = n + 1 values 1/m, 2/m, ..., 1.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt

Side = Literal["right", "left"]


Ties = Literal["inclusive", "strict"]


def p_value(
    true: float, random: npt.ArrayLike, side: Side = "right", ties: Ties = "inclusive"
) -> float:
    """Return the p value of one true value among random ones, (r + 1) / (n + 1).

    Parameters
    ----------
    true : float
        Value of the true sub-cluster.
    random : array-like of float, shape (n,)
        Values of its random twins.
    side : {"right", "left"}
        Whether large or small values are extreme.
    ties : {"inclusive", "strict"}
        Whether r, the number of random values more extreme than the true one, includes those
        equal to it. Without them the p value is not valid: a dead sub-cluster, all of whose
        twins are dead, would get the smallest p value there is.

    Returns
    -------
    float
        In {1 / (n + 1), ..., 1}.

    Raises
    ------
    ValueError
        If there are no random values, the true one is no number, a value is NaN or masked, or an
        option is unknown.

    Examples
    --------
    >>> from helpers import statistics
    >>> statistics.p_value(3.0, [1.0, 2.0, 2.5, 1.5])
    0.2
    >>> statistics.p_value(3.0, [1.0, 2.0, 3.0, 1.5])
    0.4
    """
    values = _finite_order(np.atleast_1d(floats(random)), "random")
    one = _finite_order(floats(true), "true")
    if values.size == 0 or values.ndim != 1:
        raise ValueError("random: a sequence of at least one random value is needed")
    if one.ndim:
        raise ValueError(f"true: shape {one.shape} was given; accepted is a number")
    values, extreme = _right_sided(values, side), _right_sided(one, side)
    if ties not in ("inclusive", "strict"):
        raise ValueError(f"ties: {ties!r} was given; accepted are inclusive, strict")
    n_extreme = np.sum(values >= extreme if ties == "inclusive" else values > extreme)
    return float((n_extreme + 1) / (values.size + 1))


def floats(values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return values as floats; NaN where an array masks them, which NumPy would show again."""
    return np.asarray(np.ma.filled(np.ma.asarray(values, dtype=float), np.nan))


def _right_sided(values: npt.NDArray[np.float64], side: Side) -> npt.NDArray[np.float64]:
    if side not in ("right", "left"):
        raise ValueError(f"side: {side!r} was given; accepted are right, left")
    return values if side == "right" else -values


def _finite_order(values: npt.NDArray[np.float64], argument: str) -> npt.NDArray[np.float64]:
    if np.isnan(values).any():
        raise ValueError(f"{argument}: NaN has no rank; exclude undefined values first")
    return values
