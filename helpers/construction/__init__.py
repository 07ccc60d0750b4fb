"""Inputs that are made to drive units: the second instrument.

Whoever asks `construct` for a first image loads Lucid, which only this room knows.
"""

from helpers.construction.optimisation import Construction, construct, entropy
from helpers.construction.subclusters import Constructions, Made, constructions

__all__ = ["Construction", "Constructions", "Made", "construct", "constructions", "entropy"]
