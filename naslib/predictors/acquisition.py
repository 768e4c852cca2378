"""Acquisition functions: how much an architecture is worth trying, from mean and standard deviation."""

from __future__ import annotations

import numpy as np
from scipy.stats import norm


def expected_improvement(mean: np.ndarray, std: np.ndarray, best: float) -> np.ndarray:
    """Return E[max(0, y - best)] of normal predictions, `(n,)`; larger values are better.

    With g = (mean - best) / std: std (g Phi(g) + phi(g)); where std is 0, max(0, mean - best).

    Args:
        mean: `(n,)`.
        std: `(n,)`, not negative.
        best: The best value so far.
    """
    mean, std = np.asarray(mean, dtype=np.float64), np.asarray(std, dtype=np.float64)
    safe = np.where(std > 0, std, 1.0)
    g = (mean - best) / safe
    return np.where(std > 0, safe * (g * norm.cdf(g) + norm.pdf(g)), np.maximum(mean - best, 0.0))


def upper_confidence_bound(mean: np.ndarray, std: np.ndarray, kappa: float = 1.0) -> np.ndarray:
    """Return mean + kappa std, `(n,)`, of predictions `(n,)` each."""
    return np.asarray(mean, dtype=np.float64) + kappa * np.asarray(std, dtype=np.float64)
