"""Every figure, one module per subject, all in one style.

Each function takes what was measured and returns a Matplotlib figure; the reader's own settings of
Matplotlib stay as they are. Whoever wants to see something may enter.
"""

from helpers.plots.calibration import powers, redrawn_twins, sizes_of_tests
from helpers.plots.comparisons import (
    against_twins,
    over_n_clusters,
    p_value_counts,
    partitions_compared,
    reports_compared,
)
from helpers.plots.dependencies import (
    dependency_cases,
    dependency_graph,
    double_lesions,
    interactions,
)
from helpers.plots.effects import effects, equal_damage
from helpers.plots.exploring_lesions import Explored, lesion_explorer
from helpers.plots.exploring_pairs import dependency_explorer
from helpers.plots.lesions import accuracy_profiles, lesions_against_twins, taxonomy
from helpers.plots.narrow import class_losses, damages_beside_permuted, partition_bars
from helpers.plots.partitions import clusters_by_layer, cut_against_shuffles
from helpers.plots.pictures import (
    addition_table,
    constructed_images,
    example_images,
    subcluster_pictures,
)

__all__ = [
    "Explored",
    "accuracy_profiles",
    "addition_table",
    "against_twins",
    "class_losses",
    "clusters_by_layer",
    "constructed_images",
    "cut_against_shuffles",
    "damages_beside_permuted",
    "dependency_cases",
    "dependency_explorer",
    "dependency_graph",
    "double_lesions",
    "effects",
    "equal_damage",
    "example_images",
    "interactions",
    "lesion_explorer",
    "lesions_against_twins",
    "over_n_clusters",
    "p_value_counts",
    "partition_bars",
    "partitions_compared",
    "powers",
    "redrawn_twins",
    "reports_compared",
    "sizes_of_tests",
    "subcluster_pictures",
    "taxonomy",
]
