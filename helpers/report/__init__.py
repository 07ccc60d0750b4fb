"""One network, one partition, one report: `evaluate`, `Report`, and `compare`.

Everything that comes in is checked at this door, measured within a budget, tested exactly, and
said in words, figures and tables. Keras is loaded for Keras models only.
"""

from helpers.report.comparing import compare
from helpers.report.evaluating import evaluate
from helpers.report.reports import Report

__all__ = ["Report", "compare", "evaluate"]
