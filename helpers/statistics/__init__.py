"""From numbers to p values: ranks among twins, their combination, and many tests at once.

Arrays go in and come out; nothing here knows what was measured. Anyone may enter.
"""

from helpers.statistics.bootstrap import drawn_again
from helpers.statistics.combination import chi2, exchangeable, fisher, median_bound, median_p_value
from helpers.statistics.multiple import benjamini_hochberg, holm, multiple_comparisons
from helpers.statistics.permutation import (
    PermutationTest,
    mean_effect_by_chance,
    mean_effect_p,
    permutation_test,
)
from helpers.statistics.ranks import Side, Ties, p_value
from helpers.statistics.replicates import (
    Interval,
    mean_interval,
    partial_conjunction,
    rank_interval,
    share_interval,
    two_sided,
)
from helpers.statistics.sequential import SequentialTest, sequential_permutation_test
from helpers.statistics.strata import StratifiedTest, stratified_test

__all__ = [
    "Interval",
    "PermutationTest",
    "SequentialTest",
    "Side",
    "StratifiedTest",
    "Ties",
    "benjamini_hochberg",
    "chi2",
    "drawn_again",
    "exchangeable",
    "fisher",
    "holm",
    "mean_effect_by_chance",
    "mean_effect_p",
    "mean_interval",
    "median_bound",
    "median_p_value",
    "multiple_comparisons",
    "p_value",
    "partial_conjunction",
    "permutation_test",
    "rank_interval",
    "sequential_permutation_test",
    "share_interval",
    "stratified_test",
    "two_sided",
]
