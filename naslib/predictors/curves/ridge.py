"""RidgeCurveModel: ridge regression from curves, in closed form."""

from __future__ import annotations

import numpy as np

from .sequential import Regression, SequentialCurveModel

_PENALTIES = 10.0 ** np.arange(-4, 4)


class RidgeCurveModel(SequentialCurveModel):
    """Predict the end of a curve by ridge regression on its values and differences.

    Inputs are standardised; the penalty, 10^-4 .. 10^3 times the number of curves, is that with the smallest
    leave-one-out error. The standard deviation is that error (root mean square) times sqrt(1 + leverage).
    """

    min_finals = 3
    min_epochs = 1

    def _regression(self, inputs: np.ndarray, targets: np.ndarray) -> Regression:
        return Ridge(inputs, targets).predict


class Ridge:
    """A ridge regression with its penalty chosen by the leave-one-out error.

    Args:
        inputs: `(n, d)`.
        targets: `(n,)`.

    Attributes:
        error: Root mean square of the leave-one-out errors (inputs stay standardised by all rows).
        penalty: What was chosen.
    """

    def __init__(self, inputs: np.ndarray, targets: np.ndarray) -> None:
        self.center, spread = inputs.mean(0), inputs.std(0)
        self.scale = np.where(spread > 0, spread, 1.0)
        self.offset = float(targets.mean())
        scaled, rest = (inputs - self.center) / self.scale, targets - self.offset
        u, s, vt = np.linalg.svd(scaled, full_matrices=False)
        self.error, self.penalty = np.inf, 0.0
        for penalty in _PENALTIES * len(targets):
            shrunk = s**2 / (s**2 + penalty)
            kept = 1 - (u**2 @ shrunk + 1 / len(targets))  # the mean is an unpenalised column
            out = (rest - u @ (shrunk * (u.T @ rest))) / np.maximum(kept, 1e-9)
            error = float(np.sqrt(np.square(out).mean()))
            if error < self.error:
                self.error, self.penalty = error, float(penalty)
        self.weights = vt.T @ (s / (s**2 + self.penalty) * (u.T @ rest))
        self.covariance = (vt.T / (s**2 + self.penalty)) @ vt

    def predict(self, row: np.ndarray) -> tuple[float, float]:
        """Return mean and standard deviation of one row of inputs, `(d,)`."""
        scaled = (row - self.center) / self.scale
        leverage = float(scaled @ self.covariance @ scaled)
        return float(scaled @ self.weights + self.offset), self.error * float(np.sqrt(1 + leverage))
