"""SVRCurveModel: nu-support-vector regression on curves, their differences and numbers of the architecture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from naslib.errors import ConfigError

from .sequential import CurveRegression, SequentialCurveModel


class StandardisedNuSVR:
    """A nu-SVR with an RBF kernel on standardised inputs and targets, its hyperparameters drawn and cross-validated.

    Args:
        n_hypers: How many sets of hyperparameters are drawn: C log-uniform in [1e-2, 100], gamma log-uniform in
            [1e-5, 1], nu uniform in (0, 1); the one with the least error in 3 folds is taken.
        seed: Of the draws and folds.
        best: Hyperparameters (C, nu, gamma) to take in place of drawing any.
    """

    def __init__(self, n_hypers: int, seed: int, best: Sequence[float] | None = None) -> None:
        self.n_hypers, self.seed, self.best = n_hypers, seed, best

    def fit(self, inputs: np.ndarray, targets: np.ndarray) -> None:
        """Learn from `(n, d)` inputs and `(n,)` targets, n >= 3; `errors` are then those out of fold, `(n,)`."""
        rng = np.random.default_rng(self.seed)
        self.center, spread = inputs.mean(0), inputs.std(0)
        self.scale = np.where(spread > 0, spread, 1.0)
        self.offset, self.unit = targets.mean(), targets.std() or 1.0
        x, y = (inputs - self.center) / self.scale, (targets - self.offset) / self.unit
        folds = np.array_split(rng.permutation(len(y)), 3)
        candidates = [self.best] if self.best is not None else self._drawn(rng)
        errors = [self._errors(x, y, folds, *chosen) for chosen in candidates]
        place = int(np.argmin([np.square(out).sum() for out in errors]))
        self.chosen, self.errors = tuple(candidates[place]), errors[place] * float(self.unit)
        self.error = float(np.sqrt(np.square(self.errors).mean()))
        self.model = _nu_svr(*self.chosen).fit(x, y)

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Return `(n,)` predictions of `(n, d)` inputs."""
        predicted = self.model.predict((inputs - self.center) / self.scale)
        return np.asarray(predicted * self.unit + self.offset, dtype=np.float64)

    def _drawn(self, rng: np.random.Generator) -> list[Sequence[float]]:
        cost = np.exp(rng.uniform(np.log(1e-2), np.log(100), self.n_hypers))
        nu = rng.uniform(0.01, 1, self.n_hypers)
        gamma = np.exp(rng.uniform(np.log(1e-5), np.log(1), self.n_hypers))
        return [tuple(row) for row in np.stack([cost, nu, gamma], axis=1).tolist()]

    def _errors(
        self, x: np.ndarray, y: np.ndarray, folds: Sequence[np.ndarray], cost: float, nu: float, gamma: float
    ) -> np.ndarray:
        """Return targets less predictions out of fold, `(n,)`."""
        found = np.zeros(len(y))
        for fold in folds:
            kept = np.setdiff1d(np.arange(len(y)), fold)
            found[fold] = y[fold] - _nu_svr(cost, nu, gamma).fit(x[kept], y[kept]).predict(x[fold])
        return found


def _nu_svr(cost: float, nu: float, gamma: float) -> Any:
    from sklearn.svm import NuSVR

    return NuSVR(C=cost, nu=nu, gamma=gamma, kernel="rbf")


class SVRCurveModel(SequentialCurveModel):
    """Predict the end of a curve by nu-SVR on its values and differences.

    Baker et al. (2017), [Baker2017accelerating]. The standard deviation is the error out of fold, root mean square.

    Args:
        n_hypers: Sets of hyperparameters that are tried.
        seed: Of the draws and folds.
    """

    min_finals = 6
    min_epochs = 1

    def __init__(self, *, n_hypers: int = 100, seed: int = 0) -> None:
        super().__init__()
        if n_hypers < 1:
            raise ConfigError(f"n_hypers is at least 1, not {n_hypers}")
        self.n_hypers, self.seed = n_hypers, seed

    def _regression(self, inputs: np.ndarray, targets: np.ndarray) -> CurveRegression:
        model = StandardisedNuSVR(self.n_hypers, self.seed)
        model.fit(inputs, targets)
        return CurveRegression(lambda row: (float(model.predict(row[None])[0]), model.error), model.errors)
