"""What the notebooks of this book share: from a trained network to p values.

This is the door; the rooms behind it are drawn in the book's page "How this is built". What is
named here is loaded when it is first used, so that `import helpers` costs nothing.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from helpers.checking import check
    from helpers.partitions import Partition
    from helpers.protocols import PAPER, RELEASED
    from helpers.report import Report, compare, evaluate

_ROOMS = {
    "PAPER": "protocols",
    "RELEASED": "protocols",
    "Partition": "partitions",
    "Report": "report",
    "check": "checking",
    "compare": "report",
    "evaluate": "report",
}

__all__ = ["PAPER", "RELEASED", "Partition", "Report", "check", "compare", "evaluate"]


def __getattr__(name: str) -> Any:
    """Load what is asked for from its room (PEP 562)."""
    from importlib import import_module

    if name in _ROOMS:
        return getattr(import_module(f"helpers.{_ROOMS[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
