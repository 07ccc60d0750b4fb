"""The choices behind a table of results, as values.

The published numbers came from code that departs from the paper's text. A `Protocol` carries
every such choice, so that each table can be made both ways: `PAPER` follows the text, with ties
and undefined values treated soundly; `RELEASED` computes what the released code computed.
"""

from dataclasses import dataclass
from typing import Literal

from helpers.partitions import Pool
from helpers.statistics import Ties

EdgeNorm = Literal["l1", "max_column_sum"]
BatchNorm = Literal["outgoing", "none"]


@dataclass(frozen=True)
class Protocol:
    """One way through the choices that the paper and its code make differently.

    Attributes
    ----------
    name : str
        How notebooks ask for it.
    edge_norm : {"l1", "max_column_sum"}
        Weight of the edge between two feature maps, see `graphs.weight_graph`.
    batch_norm : {"outgoing", "none"}
        Whether batch normalisation is folded into the graph, see `graphs.weight_graph`.
    ties : {"inclusive", "strict"}
        Whether a random value equal to the true one counts as at least as extreme.
    keeps_complete : bool
        Whether a sub-cluster that is all live units of its layer is tested. Its random twins
        equal it, so that it can tell nothing.
    keeps_undefined : bool
        Whether a class-wise range that is undefined is tested, as the most extreme of all.
    accuracy : {"overall", "class_mean"}
        What the importance test compares: the fraction of all images, or the mean over classes
        of the fraction of each class's images.
    construction_pool : {"live", "all"}
        Which units the random twins are drawn from for which inputs are constructed, see
        `Partition.random_twins`. Isolated units are never driven by any input.
    sign_iterations : int
        Passes of the sign alignment of correlation maps, see `correlations.align_signs`.
    taxonomy : {"text", "code"}
        Whose rules sort sub-clusters into kinds, and say when one matters given another, see
        `importance.taxonomy` and `dependencies.conditional_importance`.

    Examples
    --------
    >>> import helpers
    >>> helpers.PAPER.ties, helpers.RELEASED.ties
    ('inclusive', 'strict')
    """

    name: str
    edge_norm: EdgeNorm
    batch_norm: BatchNorm
    ties: Ties
    keeps_complete: bool
    keeps_undefined: bool
    accuracy: Literal["overall", "class_mean"]
    construction_pool: Pool
    sign_iterations: int
    taxonomy: Literal["text", "code"]


PAPER = Protocol(
    name="paper",
    edge_norm="l1",
    batch_norm="outgoing",
    ties="inclusive",
    keeps_complete=False,
    keeps_undefined=False,
    accuracy="overall",
    construction_pool="live",
    sign_iterations=20,
    taxonomy="text",
)
"""The paper's text. Ties count against significance; what is undefined is excluded, and counted."""

RELEASED = Protocol(
    name="released",
    edge_norm="max_column_sum",
    batch_norm="none",
    ties="strict",
    keeps_complete=True,
    keeps_undefined=True,
    accuracy="class_mean",
    construction_pool="all",
    sign_iterations=0,
    taxonomy="code",
)
"""The released code behind the published numbers, as its audit found it."""


def protocol(given: "str | Protocol") -> Protocol:
    """Return a protocol by its name.

    Parameters
    ----------
    given : {"paper", "released"} or Protocol
        A protocol is returned as it is.

    Raises
    ------
    ValueError
        If there is no protocol of this name.
    """
    known = {each.name: each for each in (PAPER, RELEASED)}
    if isinstance(given, Protocol):
        return given
    if given not in known:
        raise ValueError(
            f"protocol: {given!r} was given; accepted are {', '.join(known)} and Protocol objects"
        )
    return known[given]
