"""Many tests at once (appendix A.7)."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from statsmodels.stats.multitest import multipletests

from helpers.statistics.combination import _probabilities
from helpers.statistics.replicates import check_share


def benjamini_hochberg(p_values: npt.ArrayLike, fdr: float = 0.05) -> npt.NDArray[np.bool_]:
    """Say which p values are significant at a false discovery rate (Benjamini and Hochberg, 1995).

    Parameters
    ----------
    p_values : array-like of float, shape (k,)
        In [0, 1].
    fdr : float
        Expected share of false discoveries to allow, in (0, 1).

    Returns
    -------
    ndarray of bool, shape (k,)

    Raises
    ------
    ValueError
        If there are no p values, or one is NaN or outside [0, 1], or `fdr` outside (0, 1).

    Examples
    --------
    >>> from helpers import statistics
    >>> statistics.benjamini_hochberg([0.01, 0.02, 0.03, 0.5]).tolist()
    [True, True, True, False]
    """
    return _multiple(p_values, "fdr", fdr, "fdr_bh")


def holm(p_values: npt.ArrayLike, fwer: float = 0.05) -> npt.NDArray[np.bool_]:
    """Say which p values are significant at a family-wise error rate (Holm, 1979).

    Parameters
    ----------
    p_values : array-like of float, shape (k,)
        In [0, 1].
    fwer : float
        Probability of any false rejection to allow, in (0, 1).

    Returns
    -------
    ndarray of bool, shape (k,)

    Raises
    ------
    ValueError
        If there are no p values, or one is NaN or outside [0, 1], or `fwer` outside (0, 1).

    Examples
    --------
    >>> from helpers import statistics
    >>> statistics.holm([0.01, 0.02, 0.03, 0.5]).tolist()
    [True, False, False, False]
    """
    return _multiple(p_values, "fwer", fwer, "holm")


def multiple_comparisons(
    table: pd.DataFrame, fdr: float = 0.05, fwer: float = 0.05
) -> pd.DataFrame:
    """Say which of many tests stay significant when all are taken into account (appendix A.7).

    Parameters
    ----------
    table : pandas.DataFrame
        One row per test, with columns test, the family that it belongs to, and p, in [0, 1]; NaN
        where no test was possible, which is then neither counted nor significant.
    fdr : float
        False discovery rate to allow in each family, in (0, 1).
    fwer : float
        Family-wise error rate to allow over the whole table, in (0, 1).

    Returns
    -------
    pandas.DataFrame
        The table, and: by_itself, whether p is at most `fwer`; benjamini_hochberg, whether the
        test is significant within its family, as Table 4 has it; holm, whether it is over the
        whole table, as Table 5 has it.

    Raises
    ------
    ValueError
        If a column is missing, or not filled, or as in `benjamini_hochberg` and `holm`.
    """
    missing = {"test", "p"} - set(table)
    if missing:
        raise ValueError(f"table: no column {', '.join(sorted(missing))}")
    if not pd.api.types.is_numeric_dtype(table["p"]):
        raise ValueError(f"table: p is of {table['p'].dtype}; accepted are numbers")
    if table["test"].isna().any():
        raise ValueError("table: test is missing in some rows")
    check_share(fdr, "fdr")
    check_share(fwer, "fwer")
    is_test = table["p"].notna()
    tests = table[is_test]
    columns = ["by_itself", "benjamini_hochberg", "holm"]
    verdicts = pd.DataFrame(False, index=table.index, columns=columns)
    if len(tests):
        verdicts.loc[is_test, "by_itself"] = tests["p"] <= fwer
        verdicts.loc[is_test, "benjamini_hochberg"] = tests.groupby("test")["p"].transform(
            lambda family: benjamini_hochberg(family, fdr)
        )
        verdicts.loc[is_test, "holm"] = holm(tests["p"], fwer)
    return pd.concat([table.drop(columns=columns, errors="ignore"), verdicts], axis=1)


def _multiple(
    p_values: npt.ArrayLike, argument: str, level: float, method: Any
) -> npt.NDArray[np.bool_]:
    check_share(level, argument)
    return np.asarray(multipletests(_probabilities(p_values), alpha=level, method=method)[0])
