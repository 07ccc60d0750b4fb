"""Test images drawn again within their classes: other images would have given other numbers."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

_AT_ONCE = 100

_FEW = 30
"""Images of a class below which drawing as many as there are understates how much they vary."""


def drawn_again(
    classes: npt.NDArray[np.integer[Any]], n_draws: int, rng: np.random.Generator
) -> Iterator[npt.NDArray[np.float64]]:
    """Yield what each image counts, if those of each class are drawn with replacement.

    As many are drawn as there are, and an image counts as often as it was drawn. Of k images that
    varies less than other images would, by a factor of (k - 1) / k in the variance. So of fewer
    than 30 images one fewer is drawn, each of which counts k / (k - 1). What is alone in its class
    says nothing of other images of it: all such images are drawn as if they were of one class, and
    a single one as if of the smallest other.

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
    Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), on stratified samples; Rao and
    Wu, "Resampling Inference with Complex Survey Data" (1988), on strata of few.

    Examples
    --------
    >>> (weights,) = drawn_again(np.array([0, 0, 1, 1]), 5, np.random.default_rng(0))
    >>> weights.shape, weights[:, 2:].sum(axis=1).tolist()
    ((5, 4), [2.0, 2.0, 2.0, 2.0, 2.0])
    """
    members = _strata(classes)
    for start in range(0, n_draws, _AT_ONCE):
        drawn = np.zeros((min(_AT_ONCE, n_draws - start), len(classes)))
        for images in members:
            n_images = len(images)
            n_drawn = n_images - (1 < n_images < _FEW)
            equal = np.full(n_images, 1 / n_images)
            counts = rng.multinomial(n_drawn, equal, size=len(drawn))
            drawn[:, images] = counts * (n_images / n_drawn)
        yield drawn


def _strata(classes: npt.NDArray[np.integer[Any]]) -> list[npt.NDArray[np.intp]]:
    """Return the images of each class, those that are alone in theirs together."""
    members = [np.flatnonzero(classes == each) for each in np.unique(classes)]
    alone = [images for images in members if len(images) == 1]
    others = [images for images in members if len(images) > 1]
    if len(alone) == 1 and others:
        smallest = min(range(len(others)), key=lambda i: len(others[i]))
        alone.append(others.pop(smallest))
    return [*others, np.concatenate(alone)] if alone else others
