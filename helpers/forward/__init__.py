"""A Keras model as operations in order: the only room that walks a model's layers.

`program` reads models, `rules` knows what each kind of operation does to each channel, and `values`
runs models up to the layers that one wants to see. Lesions, graphs, correlations and construction
start here; no other room asks a model for its layers.
"""

from helpers.forward.program import (
    Classifier,
    Program,
    check_apart,
    check_intact,
    check_model,
    read,
    read_classifier,
)
from helpers.forward.values import activations, batches_of_activations, logits, n_units, unit_axis

__all__ = [
    "Classifier",
    "Program",
    "activations",
    "batches_of_activations",
    "check_apart",
    "check_intact",
    "check_model",
    "logits",
    "n_units",
    "read",
    "read_classifier",
    "unit_axis",
]
