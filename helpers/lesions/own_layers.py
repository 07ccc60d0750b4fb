"""The model's own layers, called for images whose class rounding decides.

What a model makes of an image may depend, in the last bits, on how many images are run at once, so
the whole batch has to be run. But a batch of some images by themselves mostly comes out to the bit
as it does among all; where a trial says so, the others are left out.
"""

import numpy as np
import numpy.typing as npt

from helpers.forward import rules
from helpers.forward.program import Classifier, Inputs, Lesion

_FEWEST = 8
"""Images that are run at least: products of very few rows are other routines' work."""


class OwnLayers:
    """Outputs for some images of a batch, by the model's own layers.

    Parameters
    ----------
    program : Classifier
        The program.
    """

    def __init__(self, program: Classifier) -> None:
        self._program = program
        self._are_alike: dict[tuple[int, int], bool] = {}

    def outputs(
        self, images: Inputs, rows: npt.NDArray[np.intp], lesion: Lesion
    ) -> npt.NDArray[np.float64]:
        """Return outputs for some images as they are among all.

        Parameters
        ----------
        images : tuple of array
            A batch, one array per input.
        rows : ndarray of int, shape (n_rows,)
            Which images.
        lesion : mapping of int to ndarray of int
            Units by step whose pre-activations are set to zero.

        Returns
        -------
        ndarray of float64, shape (n_rows, n_outputs)
        """
        n_images = len(images[0])
        n_few = max(_FEWEST, 1 << (len(rows) - 1).bit_length())
        sizes = n_images, n_few
        if 2 * n_few > n_images or self._are_alike.get(sizes) is False:
            return self._run(images, lesion)[rows]
        others = np.setdiff1d(np.arange(n_images), rows)
        few = np.concatenate([rows, others[: n_few - len(rows)]])
        alone = self._run(tuple(each[few] for each in images), lesion)
        if sizes in self._are_alike:
            return alone[: len(rows)]
        whole = self._run(images, lesion)
        self._are_alike[sizes] = np.array_equal(alone, whole[few], equal_nan=True)
        return whole[rows]

    def _run(self, images: Inputs, lesion: Lesion) -> npt.NDArray[np.float64]:
        (outputs,) = self._program.values(images, self._program.outputs, lesion)
        return rules.in_numpy(outputs).astype(np.float64)
