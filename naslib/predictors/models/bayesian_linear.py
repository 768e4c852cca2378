"""BayesianLinear: linear regression with a normal prior, its two precisions by the evidence."""

from __future__ import annotations

import numpy as np

_ITERATIONS = 200


class BayesianLinear:
    """Regress targets on features, t = Phi w + noise, with w ~ N(0, 1 / alpha) and noise ~ N(0, 1 / beta).

    K = beta Phi^T Phi + alpha I, m = beta K^-1 Phi^T t; a prediction has mean m^T phi and variance
    phi^T K^-1 phi + 1 / beta. Precisions are iterated to the largest marginal likelihood: with lambda the eigenvalues
    of beta Phi^T Phi, gamma = sum lambda / (lambda + alpha), alpha = gamma / |m|^2, 1 / beta = |t - Phi m|^2 /
    (n - gamma) (Bishop, Pattern Recognition and Machine Learning, section 3.5). Float64 throughout.

    Args:
        alpha: Precision of the weights to begin with, or to keep.
        beta: Precision of the noise to begin with, or to keep.
        fixed: Whether both are kept.
    """

    def __init__(self, alpha: float = 1.0, beta: float = 1.0, fixed: bool = False) -> None:
        self.alpha, self.beta, self.fixed = alpha, beta, fixed

    def fit(self, features: np.ndarray, targets: np.ndarray) -> None:
        """Learn from features `(n, d)` and targets `(n,)`."""
        phi, t = np.asarray(features, dtype=np.float64), np.asarray(targets, dtype=np.float64)
        n = len(t)
        _, s, vt = np.linalg.svd(phi, full_matrices=True)
        squared = np.zeros(phi.shape[1])
        squared[: len(s)] = np.square(s)
        projected = vt @ (phi.T @ t)
        for _ in range(0 if self.fixed else _ITERATIONS):
            mean = self.beta * projected / (self.beta * squared + self.alpha)
            gamma = float((self.beta * squared / (self.beta * squared + self.alpha)).sum())
            error = float(np.square(t - phi @ (vt.T @ mean)).sum())
            alpha = gamma / max(float(mean @ mean), 1e-12)
            beta = max(n - gamma, 1e-6) / max(error, 1e-12)
            alpha, beta = float(np.clip(alpha, 1e-8, 1e8)), float(np.clip(beta, 1e-8, 1e8))
            moved = abs(np.log(alpha / self.alpha)) + abs(np.log(beta / self.beta))
            self.alpha, self.beta = alpha, beta
            if moved < 1e-8:
                break
        precision = self.beta * squared + self.alpha
        self.mean = vt.T @ (self.beta * projected / precision)
        self.covariance = (vt.T / precision) @ vt

    def predict(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation, `(m,)` each, of targets at features `(m, d)`."""
        phi = np.asarray(features, dtype=np.float64)
        variance = np.einsum("nd,de,ne->n", phi, self.covariance, phi) + 1 / self.beta
        return phi @ self.mean, np.sqrt(variance)
