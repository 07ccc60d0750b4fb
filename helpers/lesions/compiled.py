"""Lesions as graphs of the backend, which fuses operations and wastes no time between them.

A graph is written down once for each layer that is lesioned, by sending a lesion of any units
through the program (`Propagation.written_down`); it then takes in what the intact network made of
a batch, and the units. Writing it down takes about as long as a few lesions of a deep network, so
it is done where a layer is lesioned often. On a multilayer perceptron NumPy is faster.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from functools import cache
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

Kind = tuple[frozenset[int], bool]
"""Steps whose units are lesioned, and whether more than half of them are: such lesions have a
graph of their own, which adds up what is left instead of subtracting what is gone."""


class Graphs:
    """Graphs of a program for layers that are lesioned often."""

    def __init__(self, program: Classifier) -> None:
        self._program = program
        self._wanted: Counter[Kind] = Counter()
        self._written: dict[Kind, Callable[..., Any] | None] = {}
        self._read_as_maps = cache(program.read_as_maps)
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
                self._wanted[self.kind(lesion)] += n_batches

    def kind(self, lesion: Lesion) -> Kind:
        """Return which graph a lesion would have, see `Kind`."""
        steps = self._program.steps
        are_most = any(2 * len(units) > steps[index].n_units for index, units in lesion.items())
        return frozenset(lesion), are_most

    def are_for(self, lesion: Lesion) -> bool:
        """Whether a lesion is worth a graph, and one can be written."""
        is_worth_it = self._wanted[self.kind(lesion)] >= _WORTH_WRITING
        return is_worth_it and self._can_be_written(lesion)

    def scores(self, trace: Trace, lesion: Lesion) -> npt.NDArray[np.float32] | None:
        """Return scores under a lesion; None if no graph is worth it, or contributions cancel."""
        kind = self.kind(lesion)
        if not self.are_for(lesion) or trace.given or trace.masked:
            return None
        if trace.uneven or not trace.has_rows_of_images:
            return None
        units, as_maps = next(iter(lesion.values())).astype(np.int32), self._read_as_maps(kind[0])
        given = (units, *trace.for_graphs(as_maps))
        with self._lock:
            if kind not in self._written:
                try:
                    self._written[kind] = compiled(self._writer(kind), given)
                except (TypeError, ValueError):  # An operation needs to know how many units.
                    self._written[kind] = None
        graph = self._written[kind]
        if graph is None:
            return None
        scores, is_exact = graph(*given)
        return rules.in_numpy(scores) if is_exact else None

    def _can_be_written(self, lesion: Lesion) -> bool:
        """Whether feature maps of one layer are lesioned, and rounding is all that moves."""
        steps = [self._program.steps[index] for index in lesion]
        return (
            not self._program.is_rough
            and len({id(step.operation) for step in steps}) == 1
            and all(len(self._program.shapes[step.outputs[0]]) > 2 for step in steps)
        )

    def _writer(self, kind: Kind) -> Callable[..., Any]:
        sites, are_most = kind

        def write(units: Any, *given: dict[str, Any]) -> Any:
            trace = Trace.of_tensors(self._program, *given)
            return Propagation(trace, {}).written_down(dict.fromkeys(sites, units), are_most)

        return write
