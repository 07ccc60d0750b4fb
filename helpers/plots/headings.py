"""What measures and tests are called in figures and tables."""

MEASURES = {
    "importance": "importance",
    "class_range": "class-wise range",
    "class_variance": "variance between classes",
    "within_strata": "importance among units of similar strength",
    "coherence": "class-wise coherence at equal damage",
    "score": "score",
    "entropy": "output entropy",
    "variance": "activation variance",
}

TESTS = {
    "fisher": "Fisher",
    "chi2": "chi²",
    "exchangeable_fisher": "Fisher, exch.",
    "exchangeable_chi2": "chi², exch.",
}
