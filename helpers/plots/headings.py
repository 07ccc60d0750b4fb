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

EFFECTS = {
    "importance": "points",
    "within_strata": "points",
    "class_range": "times as uneven",
    "class_variance": "times as uneven",
    "coherence": "times as uneven",
    "score": "times as high",
    "entropy": "nats",
    "variance": "times as large",
}
"""What the mean effect of each measure is counted in, beyond or beside what random twins have."""

TESTS = {
    "fisher": "Fisher",
    "chi2": "chi²",
    "exchangeable_fisher": "Fisher, exch.",
    "exchangeable_chi2": "chi², exch.",
}
