"""Several proxies as one: sums of ranks among many networks, and among a fixed sample of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from naslib.errors import PredictorError


def log_rank_sum(scores: np.ndarray, maximize: Sequence[bool] | None = None) -> np.ndarray:
    """Return `sum_k log(rank_k / n)` of n networks by k scores, `(n,)` float64 ([Lee2024aznas], Eq. 9).

    The best of n has rank n; equal scores share the mean of their ranks. So that one bad score cannot be made up for by
    others: its logarithm has no lower bound.

    Args:
        scores: `(n, k)`; a score that is not finite ranks last.
        maximize: For each score whether larger is better; all if None.

    Raises:
        PredictorError: If there is nothing to rank.
    """
    table = _oriented(scores, maximize)
    ranks = np.column_stack([_ranks(column) for column in table.T])
    found: np.ndarray = np.log(ranks / len(table)).sum(axis=1)
    return found


def placed(value: float, sample: np.ndarray) -> float:
    """Return where a value stands among a sample, as a share in (0, 1) that grows strictly with it.

    At the i-th smallest of m values (from 1) it is `i / (m + 1)`, in between linear, and beyond the ends it goes on
    towards 0 and 1 as `d / (1 + d)`, d the distance in units of the sample's range: no two values tie that differ.

    Args:
        value: A finite number; what is not finite stands at 0.
        sample: `(m,)` finite numbers.
    """
    if not np.isfinite(value):
        return 0.0
    points, m = np.unique(sample), len(sample)
    # equal values of the sample stand at the mean of their places
    places = np.searchsorted(np.sort(sample), points, "left") + np.searchsorted(np.sort(sample), points, "right") + 1
    shares = places / 2 / (m + 1)
    span = float(points[-1] - points[0]) or max(abs(float(points[0])), 1.0)
    if value > points[-1]:
        distance = (value - points[-1]) / span
        return float(shares[-1] + (1 - shares[-1]) * distance / (1 + distance))
    if value < points[0]:
        distance = (points[0] - value) / span
        return float(shares[0] / (1 + distance))
    return float(np.interp(value, points, shares))


def _oriented(scores: np.ndarray, maximize: Sequence[bool] | None) -> np.ndarray:
    table = np.asarray(scores, dtype=np.float64)
    if table.ndim != 2 or not table.size:
        raise PredictorError(f"ranks are of n networks by k scores, not of {table.shape}")
    signs = np.asarray([1.0] * table.shape[1] if maximize is None else [1.0 if larger else -1.0 for larger in maximize])
    oriented: np.ndarray = table * signs
    return np.where(np.isfinite(table), oriented, -np.inf)


def _ranks(values: np.ndarray) -> np.ndarray:
    """Return ranks from 1, the mean where values are equal, `(n,)` float64."""
    ordered = np.sort(values)
    low, high = np.searchsorted(ordered, values, "left"), np.searchsorted(ordered, values, "right")
    found: np.ndarray = (low + high + 1) / 2
    return found
