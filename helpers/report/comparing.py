"""Reports on the same network side by side."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from helpers.report.reports import Report
from helpers.report.words import is_class_wise, is_important


def compare(reports: Mapping[str, Report] | Iterable[Report]) -> pd.DataFrame:
    """Put reports on several partitions of one network side by side.

    Parameters
    ----------
    reports : mapping of str to Report, or iterable of Report
        By what each partition is called; otherwise by where it comes from. All under one protocol.

    Returns
    -------
    pandas.DataFrame
        One row per report, indexed by its name: clusters, parts, tested, permutations; for
        importance and for class_range: found (single parts), effect, low, high, p, as in
        `Report.effects`; of importance among units of similar strength: within_effect, within_low,
        within_high, within_p, NaN where that was not asked; important and class_wise, the verdicts
        "yes", "no" or "undecided".

    Raises
    ------
    ValueError
        If there are none, they are not on the same network and images, or their protocols differ.

    Examples
    --------
    >>> import helpers
    >>> from helpers import zoo
    >>> net = zoo.trained("digits-mlp")
    >>> x, y = net.dataset.x_test[:100], net.dataset.y_test[:100]
    >>> few = {"n_permutations": 19, "progress": False}
    >>> halves, quarters = {"dense_4": [0, 1] * 128}, {"dense_4": [0, 1, 2, 3] * 64}
    >>> reports = {
    ...     "halves": helpers.evaluate(net.model, x, y, halves, **few),
    ...     "quarters": helpers.evaluate(net.model, x, y, quarters, **few),
    ... }
    >>> helpers.compare(reports)[["clusters", "parts", "tested"]]
              clusters  parts  tested
    halves           2      2       2
    quarters         4      4       4
    """
    if isinstance(reports, Report):
        raise ValueError("reports: one was given; accepted are several, in a list or a mapping")
    given: object = reports  # Whatever its type says.
    if not isinstance(given, Iterable):
        what = type(given).__name__
        raise ValueError(f"reports: {what} was given; accepted are reports of `evaluate`")
    ours = list(reports.values() if isinstance(reports, Mapping) else reports)
    wrong = [each for each in ours if not isinstance(each, Report)]
    if wrong or not ours:
        what = type(wrong[0]).__name__ if wrong else "none"
        raise ValueError(f"reports: {what} was given; accepted are reports of `evaluate`")
    # The same weights can be those of another network, which gets other images right.
    if len({(each.fingerprint, each.measured.intact.tobytes()) for each in ours}) > 1:
        raise ValueError(
            "reports: they are on different networks or images; accepted are reports on several "
            "partitions of one network, on the same images"
        )
    if len({each.protocol for each in ours}) > 1:
        protocols = ", ".join(sorted({each.protocol.name for each in ours}))
        raise ValueError(f"reports: protocols {protocols} were followed; accepted is a single one")
    by_source = [f"{i}: {each.source}" for i, each in enumerate(ours, 1)]
    names = list(reports) if isinstance(reports, Mapping) else by_source
    return pd.DataFrame([_row(each) for each in ours], index=pd.Index(names))


def _row(report: Report) -> dict[str, object]:
    row: dict[str, object] = {
        "clusters": report.n_clusters,
        "parts": len(report.measured.parts),
        "tested": int((~report.measured.is_complete).sum()),
        "permutations": report.measured.n_permutations,
    }
    of_all = report.effects.drop_duplicates("measure").set_index("measure")  # The first of each.
    for measure in ("importance", "class_range"):
        for column in ("found", "effect", "low", "high", "p"):
            row[f"{measure}_{column}"] = of_all.loc[measure, column]
    within = dict(zip(("effect", "low", "high"), report.mean_within(), strict=True))
    within["p"] = np.nan if report.within_strata is None else report.within_strata.p
    row |= {f"within_{column}": value for column, value in within.items()}
    return row | {"important": is_important(report), "class_wise": is_class_wise(report)}
