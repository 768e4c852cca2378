"""ScaledValues: the values that a model is fitted to, and the way back from what it predicts."""

from __future__ import annotations

import numpy as np


class ScaledValues:
    """Standardize values, after they became normal scores if wanted.

    Accuracies have a long lower tail, which a model with Gaussian noise bends to. The normal score of a value is the
    quantile of the normal distribution at `(rank - 1/2) / n`, equal values sharing the mean of their ranks. The way
    back interpolates between the training values, and beyond the largest and smallest goes on with the slope of the
    outer quarter.

    Args:
        values: The training values, `(n,)`.
        warp: Whether they become normal scores.

    Attributes:
        scaled: What a model is fitted to, `(n,)` float64 with mean 0 and standard deviation 1.
        mean: Mean of the values, or of their scores.
        std: Their standard deviation, 1 where they are all alike.
    """

    def __init__(self, values: np.ndarray, warp: bool = False) -> None:
        values = np.asarray(values, dtype=np.float64)
        self.warp = warp
        scores = values
        if warp:
            from scipy.special import ndtri
            from scipy.stats import rankdata

            scores = ndtri((rankdata(values) - 0.5) / len(values))
            self._values, first = np.unique(values, return_index=True)
            self._scores = scores[first]
        self.mean, self.std = float(scores.mean()), float(scores.std()) or 1.0
        self.scaled = (scores - self.mean) / self.std

    def back(self, mean: np.ndarray, std: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
        """Return mean and standard deviation of values, `(n,)` float64 each, of those that a model predicts.

        Of scores it is the median, and half of what lies between one standard deviation below and above.
        """
        mean = np.asarray(mean, dtype=np.float64) * self.std + self.mean
        std = None if std is None else np.asarray(std, dtype=np.float64) * self.std
        if not self.warp:
            return mean, std
        return self._value(mean), None if std is None else (self._value(mean + std) - self._value(mean - std)) / 2

    def _value(self, scores: np.ndarray) -> np.ndarray:
        found = np.interp(scores, self._scores, self._values)
        if len(self._scores) > 1:
            near = -(-len(self._scores) // 4)
            for end, inner, sign in ((-1, -1 - near, 1), (0, near, -1)):
                run = self._scores[end] - self._scores[inner]
                slope = (self._values[end] - self._values[inner]) / run
                found += slope * sign * np.maximum(sign * (scores - self._scores[end]), 0)
        return found
