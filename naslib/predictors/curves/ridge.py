"""RidgeCurveModel: ridge regression from curves, in closed form."""

from __future__ import annotations

import numpy as np

from naslib.errors import ConfigError

from .sequential import CurveRegression, SequentialCurveModel

_PENALTIES = 10.0 ** np.arange(-4, 4)


class RidgeCurveModel(SequentialCurveModel):
    """Predict the end of a curve by ridge regression on its values and differences.

    Inputs are standardised; the penalty, 10^-4 .. 10^3 times the number of curves, is that with the smallest
    leave-one-out error. The standard deviation is that error (root mean square) times sqrt(1 + leverage).
    """

    min_finals = 3
    min_epochs = 1

    def _regression(self, inputs: np.ndarray, targets: np.ndarray) -> CurveRegression:
        ridge = Ridge(inputs, targets)
        return CurveRegression(ridge.predict, ridge.errors)


class Ridge:
    """A ridge regression with its penalty chosen by the leave-one-out error.

    Args:
        inputs: `(n, d)`.
        targets: `(n,)`.

    Attributes:
        errors: `(n,)` leave-one-out errors, target less prediction (inputs stay standardised by all rows).
        error: Their root mean square.
        penalty: What was chosen.
    """

    def __init__(self, inputs: np.ndarray, targets: np.ndarray) -> None:
        self.center, spread = inputs.mean(0), inputs.std(0)
        self.scale = np.where(spread > 0, spread, 1.0)
        self.offset = float(targets.mean())
        scaled, rest = (inputs - self.center) / self.scale, targets - self.offset
        u, s, vt = np.linalg.svd(scaled, full_matrices=False)
        self.error, self.penalty, self.errors = np.inf, 0.0, np.zeros(len(targets))
        for penalty in _PENALTIES * len(targets):
            shrunk = s**2 / (s**2 + penalty)
            kept = 1 - (u**2 @ shrunk + 1 / len(targets))  # the mean is an unpenalised column
            out = (rest - u @ (shrunk * (u.T @ rest))) / np.maximum(kept, 1e-9)
            error = float(np.sqrt(np.square(out).mean()))
            if error < self.error:
                self.error, self.penalty, self.errors = error, float(penalty), out
        self.weights = vt.T @ (s / (s**2 + self.penalty) * (u.T @ rest))
        self.covariance = (vt.T / (s**2 + self.penalty)) @ vt

    def predict(self, row: np.ndarray) -> tuple[float, float]:
        """Return mean and standard deviation of one row of inputs, `(d,)`."""
        scaled = (row - self.center) / self.scale
        leverage = float(scaled @ self.covariance @ scaled)
        return float(scaled @ self.weights + self.offset), self.error * float(np.sqrt(1 + leverage))


class EnsembleCurveModel(SequentialCurveModel):
    """Predict the end of a curve by some ridge regressions, each on as many curves drawn with replacement.

    The mean is that of the members. The variance is that between them plus the mean square of the errors on curves that
    a member was not fitted to. Where every member has drawn a curve, its error is that of all of them.

    Args:
        members: Regressions.
        seed: Of the draws.

    Raises:
        ConfigError: For fewer than two members.
    """

    min_finals = 4
    min_epochs = 1

    def __init__(self, *, members: int = 5, seed: int = 0) -> None:
        super().__init__()
        if members < 2:
            raise ConfigError(f"an ensemble has at least 2 members, not {members}")
        self.members, self.seed = members, seed

    def _regression(self, inputs: np.ndarray, targets: np.ndarray) -> CurveRegression:
        rng, n = np.random.default_rng(self.seed), len(targets)
        draws = [rng.integers(n, size=n) for _ in range(self.members)]
        ridges = [Ridge(inputs[drawn], targets[drawn]) for drawn in draws]
        means = np.array([[ridge.predict(row)[0] for row in inputs] for ridge in ridges])
        left_out = np.array([~np.isin(np.arange(n), drawn) for drawn in draws])
        counted = np.where(left_out.any(0), left_out, True)
        errors = targets - (means * counted).sum(0) / counted.sum(0)
        noise = float(np.square(errors).mean())

        def predict(row: np.ndarray) -> tuple[float, float]:
            found = np.array([ridge.predict(row)[0] for ridge in ridges])
            return float(found.mean()), float(np.sqrt(found.var() + noise))

        return CurveRegression(predict, errors)
