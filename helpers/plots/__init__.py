"""Every figure, one module per subject, all in one style.

Each function takes what was measured and returns a Matplotlib figure; the reader's own settings of
Matplotlib stay as they are. Whoever wants to see something may enter.
"""

from helpers.plots.calibration import powers, redrawn_twins, sizes_of_tests
from helpers.plots.comparisons import against_twins, over_n_clusters, p_value_counts
from helpers.plots.dependencies import dependency_cases, dependency_graph, double_lesions
from helpers.plots.lesions import accuracy_profiles, lesions_against_twins, taxonomy
from helpers.plots.partitions import clusters_by_layer, cut_against_shuffles, subcluster_sizes
from helpers.plots.pictures import (
    addition_table,
    constructed_images,
    example_images,
    subcluster_pictures,
)

__all__ = [
    "accuracy_profiles",
    "addition_table",
    "against_twins",
    "clusters_by_layer",
    "constructed_images",
    "cut_against_shuffles",
    "dependency_cases",
    "dependency_graph",
    "double_lesions",
    "example_images",
    "lesions_against_twins",
    "over_n_clusters",
    "p_value_counts",
    "powers",
    "redrawn_twins",
    "sizes_of_tests",
    "subcluster_pictures",
    "subcluster_sizes",
    "taxonomy",
]
