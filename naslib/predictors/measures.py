"""Measures of how well predicted values order, and hit, the true ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from naslib.errors import ConfigError, DataError, did_you_mean
from naslib.utils.scores import precision_at_k as _precision

Values = Sequence[float] | np.ndarray
GAINS = ("linear", "exponential")


def pearson(true: Values, pred: Values) -> float:
    """Return the linear correlation of two sequences of n values, in [-1, 1]; NaN where one is constant."""
    first, second = _both(true, pred)
    return _correlation(first, second)


def spearman(true: Values, pred: Values) -> float:
    """Return the linear correlation of the ranks (ties: their mean rank), in [-1, 1]; NaN where one is constant."""
    from scipy.stats import rankdata

    first, second = _both(true, pred)
    return _correlation(rankdata(first), rankdata(second))


def kendall_tau_b(true: Values, pred: Values) -> float:
    """Return Kendall's tau-b, in [-1, 1]: pairs in order less pairs out of order, over sqrt((P - T)(P - U)).

    P is the number of pairs, T and U that of pairs tied in the one and in the other; NaN where one is constant.
    """
    from scipy.stats import kendalltau

    first, second = _both(true, pred)
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return math.nan
    return float(kendalltau(first, second).statistic)


def kendall_tau_a(true: Values, pred: Values) -> float:
    """Return Kendall's tau-a, in [-1, 1]: pairs in order less pairs out of order, over all pairs; ties count nothing.

    It is what tau-b is without ties, and 0 where a sequence is constant.
    """
    first, second = _both(true, pred)
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    pairs = len(first) * (len(first) - 1) / 2
    untied = (pairs - _tied_pairs(first)) * (pairs - _tied_pairs(second))
    return kendall_tau_b(first, second) * math.sqrt(untied) / pairs


def ndcg(true: Values, pred: Values, k: int | None = None, gain: str = "linear") -> float:
    """Return the normalised discounted cumulative gain of the predicted best k, in [0, 1]; 1 if all are equally good.

    The item at predicted rank j, from 1, counts gain / log2(1 + j); the sum is divided by that of the true order.
    Equal predictions share their places: each has the mean gain of its group.

    Args:
        true: `(n,)` true values, larger is better.
        pred: `(n,)` predicted values.
        k: How many of the best count; all if None or larger than n.
        gain: `"linear"`: true value less the smallest one. `"exponential"`: 2^r - 1, where r is the true value
            mapped linearly to [0, 1].

    Raises:
        ConfigError: For another gain, or k below 1.
    """
    first, second = _both(true, pred)
    if gain not in GAINS:
        raise ConfigError(f"no gain {gain!r}{did_you_mean(gain, GAINS)} (there are: {', '.join(GAINS)})")
    places = _places(k, len(first))
    if np.ptp(first) == 0:
        return 1.0
    gains = first - first.min()
    if gain == "exponential":
        gains = 2.0 ** (gains / gains.max()) - 1
    discount = 1 / np.log2(2.0 + np.arange(places))
    best = np.sort(gains)[::-1][:places] @ discount
    order = np.argsort(-second, kind="stable")
    _, group = np.unique(-second[order], return_inverse=True)
    shared = np.bincount(group, gains[order]) / np.bincount(group)
    return float(shared[group][:places] @ discount / best)


def regret(true: Values, pred: Values, k: int = 1) -> float:
    """Return by how much the true best is better than the best of the predicted best k, in the unit of the values.

    Args:
        true: `(n,)` true values, larger is better.
        pred: `(n,)` predicted values; of equal ones the earlier comes first.
        k: How many may be tried.

    Raises:
        ConfigError: For k below 1.
    """
    first, second = _both(true, pred)
    tried = np.argsort(-second, kind="stable")[: _places(k, len(first))]
    return float(first.max() - first[tried].max())


def precision(true: Values, pred: Values, k: int = 10) -> float:
    """Return the share of the true best k that are among the predicted best k, in [0, 1] (ties: the earlier item).

    Raises:
        ConfigError: For k below 1.
    """
    first, second = _both(true, pred)
    return _precision(first, second, _places(k, len(first)))


def mae(true: Values, pred: Values) -> float:
    """Return the mean absolute error, in the unit of the values."""
    first, second = _both(true, pred)
    return float(np.abs(first - second).mean())


def rmse(true: Values, pred: Values) -> float:
    """Return the root of the mean squared error, in the unit of the values."""
    first, second = _both(true, pred)
    return float(np.sqrt(np.square(first - second).mean()))


def measure(true: Values, pred: Values, k: int = 10) -> dict[str, float]:
    """Return all measures by name: correlations, errors, and `ndcg`, `precision` and `regret` of the predicted best k.

    Args:
        true: `(n,)` true values, n >= 2, larger is better.
        pred: `(n,)` predicted values.
        k: How many of the best the last three look at; `ndcg` is that of all, `ndcg_k` of the best k.

    Raises:
        DataError: If the lengths differ, are below two, or a value is not finite.
    """
    return {
        "spearman": spearman(true, pred),
        "kendall_tau_b": kendall_tau_b(true, pred),
        "kendall_tau_a": kendall_tau_a(true, pred),
        "pearson": pearson(true, pred),
        "ndcg": ndcg(true, pred),
        "ndcg_k": ndcg(true, pred, k),
        "precision_k": precision(true, pred, k),
        "regret_k": regret(true, pred, k),
        "mae": mae(true, pred),
        "rmse": rmse(true, pred),
    }


def _both(true: Values, pred: Values) -> tuple[np.ndarray, np.ndarray]:
    first = np.asarray(true, dtype=np.float64).reshape(-1)
    second = np.asarray(pred, dtype=np.float64).reshape(-1)
    if len(first) != len(second) or len(first) < 2:
        raise DataError(
            f"a measure needs two equally long sequences of at least 2 values, not {len(first)} and {len(second)}"
        )
    for name, values in (("true", first), ("predicted", second)):
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            raise DataError(f"{len(bad)} {name} values are not finite, the first at place {bad[0]}: leave them out")
    return first, second


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return math.nan
    one, other = first - first.mean(), second - second.mean()
    return float(np.clip(one @ other / math.sqrt((one @ one) * (other @ other)), -1, 1))


def _tied_pairs(values: np.ndarray) -> float:
    counts: Any = np.unique(values, return_counts=True)[1].astype(np.float64)
    return float((counts * (counts - 1) / 2).sum())


def _places(k: int | None, n: int) -> int:
    if k is not None and k < 1:
        raise ConfigError(f"k is at least 1, not {k}")
    return n if k is None else min(k, n)
