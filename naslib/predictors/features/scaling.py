"""Columns with mean 0 and standard deviation 1, and columns of ranks."""

from __future__ import annotations

import numpy as np


class Scaler:
    """Standardize features by what they are on a training set, without those that are constant on it.

    Args:
        rows: The training set, `(n, d)`.

    Attributes:
        kept: Indices of the columns that vary; the first one if none does.
    """

    def __init__(self, rows: np.ndarray) -> None:
        rows = np.asarray(rows, dtype=np.float64)
        self.kept = np.flatnonzero(np.ptp(rows, axis=0) > 0)
        if not len(self.kept):
            self.kept = np.arange(min(1, rows.shape[1]))
        self.mean = rows[:, self.kept].mean(0)
        self.std = rows[:, self.kept].std(0)
        self.std[self.std == 0] = 1.0

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Return the features of any set, `(n, d')` float64."""
        return (np.asarray(rows, dtype=np.float64)[:, self.kept] - self.mean) / self.std


class Ranks:
    """Replace numbers by the share of a training set that is below them, what is equal counting half.

    What a zero-cost proxy says is an order; a few of its values can be 10^8 times the others.

    Args:
        rows: The training set, `(n, d)`.
    """

    def __init__(self, rows: np.ndarray) -> None:
        self._sorted = np.sort(rows, axis=0)

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Return the shares, `(n, d)` in 0 to 1."""
        found = np.empty(rows.shape)
        for column in range(rows.shape[1]):
            known = self._sorted[:, column]
            below = np.searchsorted(known, rows[:, column], "left") + np.searchsorted(known, rows[:, column], "right")
            found[:, column] = below / (2 * len(known))
        return found


def typical_distance(between: np.ndarray) -> float:
    """Return the median of distances, without those of equal rows where these are more than half; 1 if all are equal.

    Args:
        between: `(k,)` distances of pairs of rows, which are zero within rounding for equal rows.
    """
    apart = between[between > 1e-6 * between.max(initial=0.0)]
    return float(np.median(between if 2 * len(apart) > len(between) else apart)) if len(apart) else 1.0
