"""What is said of sub-clusters: each measure compares them with their random twins.

Measures take what instruments have recorded (lesion profiles, pictures, constructed inputs) and
return a `Comparison`. They are arithmetic on arrays: no network is run here, and neither Keras nor
TensorFlow is loaded.
"""

from helpers.measures.class_range import class_range, class_wise_range, profile_range
from helpers.measures.comparison import TESTS, Comparison, compare
from helpers.measures.constructed import (
    activation_variance,
    median_network,
    output_entropy,
    score,
    variation_quartiles,
)
from helpers.measures.dependencies import (
    CASES,
    conditional_importance,
    dependency_table,
    unimportant_sides,
)
from helpers.measures.effects import LEAST_POINTS, LEAST_TIMES
from helpers.measures.equal_damage import EqualDamage, at_equal_damage, coherence
from helpers.measures.importance import importance
from helpers.measures.interactions import (
    INTERACTIONS,
    interaction,
    interaction_summary,
    interaction_test,
    within_against_across,
)
from helpers.measures.permuted import (
    BY_CHANCE,
    FOUND,
    against_permuted,
    leading,
    over_replicates,
)
from helpers.measures.pictures import agreement, contrast, preference
from helpers.measures.taxonomy import KINDS, kinds_by_chance, taxonomy

__all__ = [
    "BY_CHANCE",
    "CASES",
    "FOUND",
    "INTERACTIONS",
    "KINDS",
    "LEAST_POINTS",
    "LEAST_TIMES",
    "TESTS",
    "Comparison",
    "EqualDamage",
    "activation_variance",
    "against_permuted",
    "agreement",
    "at_equal_damage",
    "class_range",
    "class_wise_range",
    "coherence",
    "compare",
    "conditional_importance",
    "contrast",
    "dependency_table",
    "importance",
    "interaction",
    "interaction_summary",
    "interaction_test",
    "kinds_by_chance",
    "leading",
    "median_network",
    "output_entropy",
    "over_replicates",
    "preference",
    "profile_range",
    "score",
    "taxonomy",
    "unimportant_sides",
    "variation_quartiles",
    "within_against_across",
]
