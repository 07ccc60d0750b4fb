"""What measures and tests are called in figures and tables."""

MEASURES = {
    "importance": "importance",
    "class_range": "class-wise range",
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
