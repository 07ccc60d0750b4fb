"""Lesions as graphs of the backend, which fuses operations and wastes no time between them.

A graph is written down once for each layer that is lesioned, by sending a lesion of any units
through the program (`Propagation.written_down`); it then takes in what the intact network made of
a batch, and the units. Writing it down takes about as long as a few lesions of a deep network, so
it is done where a layer is lesioned often. On a multilayer perceptron NumPy is faster.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from helpers.backend import compiled
from helpers.forward import rules
from helpers.forward.program import Classifier, Lesion
from helpers.lesions.propagation import Propagation, Trace

_WORTH_WRITING = 8
"""Lesions of a layer, times batches of images, from which on a graph pays."""


class Graphs:
    """Graphs of a program for layers that are lesioned often."""

    def __init__(self, program: Classifier) -> None:
        self._program = program
        self._wanted: Counter[frozenset[int]] = Counter()
        self._written: dict[frozenset[int], Callable[..., Any] | None] = {}
        self._lock = Lock()

    def expect(self, lesions: Iterable[Lesion], n_batches: int) -> None:
        """Note what will be lesioned: graphs pay for layers that are lesioned often.

        Parameters
        ----------
        lesions : iterable of mapping of int to ndarray of int
            Units by step that will be lesioned, in each batch of images.
        n_batches : int
            How many batches there will be.
        """
        for lesion in lesions:
            if self._can_be_written(lesion):
                self._wanted[frozenset(lesion)] += n_batches

    def are_for(self, lesion: Lesion) -> bool:
        """Whether a lesion is worth a graph, and one can be written."""
        is_worth_it = self._wanted[frozenset(lesion)] >= _WORTH_WRITING
        return is_worth_it and self._can_be_written(lesion)

    def scores(self, trace: Trace, lesion: Lesion) -> npt.NDArray[np.float32] | None:
        """Return scores under a lesion; None if no graph is worth it, or contributions cancel."""
        sites = frozenset(lesion)
        if not self.are_for(lesion) or trace.given or trace.masked:
            return None
        given = (next(iter(lesion.values())).astype(np.int32), *trace.for_graphs())
        with self._lock:
            if sites not in self._written:
                try:
                    self._written[sites] = compiled(self._writer(sites), given)
                except (TypeError, ValueError):  # An operation needs to know how many units.
                    self._written[sites] = None
        graph = self._written[sites]
        if graph is None:
            return None
        scores, is_exact = graph(*given)
        return rules.in_numpy(scores) if is_exact else None

    def _can_be_written(self, lesion: Lesion) -> bool:
        """Whether at most half of the feature maps of one layer are lesioned."""
        steps = [self._program.steps[index] for index in lesion]
        return (
            not self._program.is_rough
            and len({id(step.operation) for step in steps}) == 1
            and all(len(self._program.shapes[step.outputs[0]]) > 2 for step in steps)
            and all(2 * len(units) <= steps[0].n_units for units in lesion.values())
        )

    def _writer(self, sites: frozenset[int]) -> Callable[..., Any]:
        def write(units: Any, tensors: dict[str, Any], norms: dict[str, Any]) -> Any:
            trace = Trace.of_tensors(self._program, tensors, norms)
            return Propagation(trace, {}).written_down(dict.fromkeys(sites, units))

        return write
