"""What several benchmarks measure alike: times of calls, and peaks of speed and of memory."""

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from helpers.backend import keras


def seconds(function: Callable[[], Any]) -> float:
    """Return how long a call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def convolution_rate(n_rounds: int = 5) -> float:
    """Return the operations per second of a large convolution, two per multiply-add, at best."""
    n, size, width, kernel_size = 8, 56, 256, 3
    images = keras.ops.ones((n, size, size, width))
    kernel = keras.ops.ones((kernel_size, kernel_size, width, width))

    def convolve() -> Any:
        return keras.ops.convert_to_numpy(keras.ops.conv(images, kernel, padding="same"))[0, 0, 0]

    n_operations = 2 * n * size**2 * kernel_size**2 * width**2
    return n_operations / float(np.min([seconds(convolve) for _ in range(n_rounds)]))


def peak_gib() -> float:
    """Return the peak memory of this process in GiB.

    Not that of getrusage, which a process inherits from its parent.
    """
    (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(peak) / 2**20
