"""Bayesian linear regression, whose two variances are those that make the observations most probable."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from .tabular import TabularPredictor, log_uniform

_LEAST, _MOST = 1e-6, 1e8


class Evidence:
    """The posterior of a linear function under Gaussian weights and noise ([Bishop2006pattern], sections 3.3 and 3.5).

    Weights have precision `alpha` and the noise `beta`; both are found by the fixed point of the evidence (equations
    3.91 to 3.95): `gamma = sum(beta s^2 / (alpha + beta s^2))` over the singular values s of the rows, `alpha = gamma /
    |m|^2`, `beta = (n - gamma) / |y - X m|^2`.

    Args:
        rows: `(n, d)`, with a column of ones where there is a bias.
        values: `(n,)`.
        alpha: Precision of the weights, where the iteration begins.
        beta: Precision of the noise, likewise.
        iterations: At most so many; 0 keeps what is given.

    Attributes:
        mean: Posterior mean of the weights, `(d,)`.
        alpha: Precision of the weights.
        beta: Precision of the noise.
    """

    def __init__(
        self, rows: np.ndarray, values: np.ndarray, alpha: float = 1.0, beta: float = 10.0, iterations: int = 100
    ) -> None:
        u, self._singular, self._vt = np.linalg.svd(rows, full_matrices=False)
        onto = u.T @ values  # (k,)
        outside = max(float(values @ values - onto @ onto), 0.0)  # of the values, what no weights explain
        self.alpha, self.beta = alpha, beta
        squares = self._singular**2
        for _ in range(iterations):
            precision = self.alpha + self.beta * squares
            weights = self.beta * self._singular * onto / precision
            gamma = float((self.beta * squares / precision).sum())
            error = float(((onto - self._singular * weights) ** 2).sum()) + outside
            new = (
                float(np.clip(gamma / max(weights @ weights, 1e-300), _LEAST, _MOST)),
                float(np.clip(max(len(values) - gamma, 1e-12) / max(error, 1e-300), _LEAST, _MOST)),
            )
            change = abs(np.log(new[0] / self.alpha)) + abs(np.log(new[1] / self.beta))
            self.alpha, self.beta = new
            if change < 1e-6:
                break
        self._variance = 1 / (self.alpha + self.beta * squares)
        self.mean = self._vt.T @ (self.beta * self._singular * onto * self._variance)

    def predict(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation, `(n,)` each, of the function at `(n, d)` rows."""
        onto = rows @ self._vt.T
        beyond = np.maximum((rows * rows).sum(1) - (onto * onto).sum(1), 0)  # where the prior alone speaks
        return rows @ self.mean, np.sqrt((onto * onto) @ self._variance + beyond / self.alpha)


class BayesianLinearRegression(TabularPredictor):
    """Bayesian linear regression on standardized features and a bias, its variances by the evidence (`Evidence`).

    Args:
        space: See `Predictor`.
        encoding_type: Likewise.
        seed: Without effect: nothing is random.
    """

    DEFAULTS: ClassVar[Mapping[str, Any]] = {"alpha": 1.0, "beta": 10.0, "iterations": 100}

    def _learn(self, rows: np.ndarray, values: np.ndarray) -> None:
        self._evidence = Evidence(_with_ones(rows), values, **self.hyperparams)

    def _infer(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        return self._evidence.predict(_with_ones(rows))

    def _draw(self, rng: np.random.Generator) -> dict[str, Any]:
        return {"alpha": log_uniform(rng, 1e-3, 1e3), "beta": log_uniform(rng, 1e-1, 1e5), "iterations": 100}


def _with_ones(rows: np.ndarray) -> np.ndarray:
    return np.concatenate([rows, np.ones((len(rows), 1))], axis=1)
