"""Short names for arrays: whether two results come from the same network and images."""

import hashlib

import numpy as np
import numpy.typing as npt

from helpers.imagenet import ImageFiles


def fingerprint(*parts: npt.ArrayLike | ImageFiles) -> str:
    """Return a name that depends on every bit of some arrays, their shapes and types.

    Parameters
    ----------
    *parts : array-like
        Weights, images, classes.

    Returns
    -------
    str
        16 hexadecimal digits of their SHA-256.
    """
    digest = hashlib.sha256()
    for part in parts:
        array = np.ascontiguousarray(part.identity if isinstance(part, ImageFiles) else part)
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(array.data)
    return digest.hexdigest()[:16]
