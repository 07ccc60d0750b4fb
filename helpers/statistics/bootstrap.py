"""Test images drawn again within their classes: other images would have given other numbers."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

_AT_ONCE = 100


def drawn_again(
    classes: npt.NDArray[np.integer[Any]], n_draws: int, rng: np.random.Generator
) -> Iterator[npt.NDArray[np.float64]]:
    """Yield how often each image is drawn, if those of each class are drawn with replacement.

    Parameters
    ----------
    classes : ndarray of int, shape (n_images,)
        Class of each image.
    n_draws : int
        How often all of them are drawn.
    rng : numpy.random.Generator
        Source of randomness.

    Yields
    ------
    ndarray of float, shape (n, n_images)
        A hundred draws at most: together there are `n_draws`.

    References
    ----------
    Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), on stratified samples.

    Examples
    --------
    >>> (weights,) = drawn_again(np.array([0, 0, 1]), 5, np.random.default_rng(0))
    >>> weights.shape, weights[:, 2].tolist()
    ((5, 3), [1.0, 1.0, 1.0, 1.0, 1.0])
    """
    members = [np.flatnonzero(classes == each) for each in np.unique(classes)]
    for start in range(0, n_draws, _AT_ONCE):
        drawn = np.zeros((min(_AT_ONCE, n_draws - start), len(classes)))
        for images in members:
            equal = np.full(len(images), 1 / len(images))
            drawn[:, images] = rng.multinomial(len(images), equal, size=len(drawn))
        yield drawn
