"""Lesions: which predictions survive when units are silenced, and profiles of what is lost.

The engine is exact and fast; profiles put sub-clusters beside their random twins. What was counted
can be read without TensorFlow; whoever lesions a network loads it.
"""

from typing import TYPE_CHECKING, Any

from helpers.lesions.nested import Orderings, orderings
from helpers.lesions.profiles import (
    LesionProfiles,
    Outcomes,
    class_mean_accuracy,
    lesion_profiles,
    logit_loss,
    overall_accuracy,
    permutation_profiles,
    profiles_of_permutations,
)

if TYPE_CHECKING:
    from helpers.lesions.double import DoubleLesions, double_lesions
    from helpers.lesions.engine import (
        Group,
        Lesion,
        correct,
        correct_counts,
        correct_counts_given,
    )
    from helpers.lesions.matched import MatchedPairs, matched_pairs

__all__ = [
    "DoubleLesions",
    "Group",
    "Lesion",
    "LesionProfiles",
    "MatchedPairs",
    "Orderings",
    "Outcomes",
    "class_mean_accuracy",
    "correct",
    "correct_counts",
    "correct_counts_given",
    "double_lesions",
    "lesion_profiles",
    "logit_loss",
    "matched_pairs",
    "orderings",
    "overall_accuracy",
    "permutation_profiles",
    "profiles_of_permutations",
]


_MODULES = {
    "DoubleLesions": "double",
    "double_lesions": "double",
    "MatchedPairs": "matched",
    "matched_pairs": "matched",
}


def __getattr__(name: str) -> Any:
    """Load what needs TensorFlow when it is first asked for (PEP 562)."""
    from importlib import import_module

    if name in __all__:
        module = _MODULES.get(name, "engine")
        return getattr(import_module(f"helpers.lesions.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
