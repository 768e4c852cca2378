"""Extrapolate curves: all parametric families fitted by least squares and weighted by how well they fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from naslib.errors import ConfigError, PredictorError

from .model import Curve, CurveModel, checked_curve
from .parametric import FUNCTIONS, CurveFunction, fit_function, jacobian

# Noise of a value on the scale of [0, 1] below which no family is preferred for fitting better
_NOISE = 2e-3


def extrapolate(
    curves: np.ndarray, final_epoch: int, functions: Sequence[CurveFunction] = FUNCTIONS
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of curves at an epoch to come, `(n,)` each.

    Every family with at most t parameters is fitted by least squares, and has the weight exp(-BIC / 2t), with
    BIC = t log(s^2) + p log t and s^2 its mean squared error (at least (.002)^2); with exp(-BIC / 2) a single family
    decides nearly always, and on the curves here it decides worse. The variance is that of the families
    around the mean, plus that of the parameters of each (delta method), plus s^2. A mean is never above 1, the end of
    the scale. A curve of a single value stays where it is.

    Args:
        curves: `(n, t)` values on a scale of [0, 1], larger being better, from epoch 1.
        final_epoch: The epoch that is asked for, larger than t; at t or before, the last value is the answer.
        functions: The families.
    """
    n, epochs = curves.shape
    usable = [function for function in functions if function.size <= epochs]
    if final_epoch <= epochs or not usable:
        spread = curves.std(1) if epochs > 1 else np.full(n, 0.5)
        return curves[:, -1].copy(), np.zeros(n) if final_epoch <= epochs else spread
    x, end = np.arange(1, epochs + 1, dtype=np.float64), np.array([float(final_epoch)])
    scores, means, variances = [], [], []
    for function in usable:
        theta = fit_function(function, curves, x)
        squared = np.square(curves - function.value(theta, x)).mean(1)
        noise = np.maximum(squared, _NOISE**2)
        slopes, tangent = jacobian(function, theta, x), jacobian(function, theta, end)[:, 0]
        gram = np.einsum("ntp,ntq->npq", slopes, slopes)
        ridge = np.einsum("n,pq->npq", 1e-9 + 1e-6 * np.einsum("npp->n", gram), np.eye(function.size))
        solved = np.linalg.solve(gram + ridge, tangent[..., None])[..., 0]
        scores.append(-0.5 * (np.log(noise) + function.size * np.log(epochs) / epochs))
        means.append(np.minimum(function.value(theta, end)[:, 0], 1.0))
        variances.append(noise + np.minimum(noise * np.einsum("np,np->n", tangent, solved), 0.25))
    score, mean, variance = np.stack(scores), np.stack(means), np.stack(variances)
    weight = np.exp(score - score.max(0))
    weight /= weight.sum(0)
    combined = (weight * mean).sum(0)
    return combined, np.sqrt((weight * (variance + np.square(mean - combined))).sum(0))


class CurveScale:
    """Map values of a metric to [0, 1] with larger being better, as the families want them, and back.

    Args:
        maximize: Whether larger values are better; they are then divided by `upper`. Else 1 - value / (largest value of
            each curve) is extrapolated, whose end is a value of 0.
        upper: Largest possible value, 100 for accuracies in percent.
    """

    def __init__(self, maximize: bool = True, upper: float = 100.0) -> None:
        if not upper > 0:
            raise ConfigError(f"the largest possible value of a curve is positive, not {upper}")
        self.maximize, self.upper = maximize, upper

    def scaled(self, curves: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return curves `(n, t)` on the scale of [0, 1], and the unit of each, `(n, 1)`.

        Raises:
            PredictorError: If a value is not within the scale.
        """
        if curves.min() < 0 or (self.maximize and curves.max() > self.upper):
            raise PredictorError(
                f"a curve goes from {curves.min():.6g} to {curves.max():.6g}; values are "
                + (f"between 0 and {self.upper:g}" if self.maximize else "not negative")
            )
        if self.maximize:
            return curves / self.upper, np.full((len(curves), 1), self.upper)
        unit = np.maximum(curves.max(1, keepdims=True), 1e-12)
        return 1 - curves / unit, unit

    def restored(self, mean: np.ndarray, std: np.ndarray, unit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation, `(n,)` each, in the unit of the values."""
        scaled = mean if self.maximize else 1 - mean
        return scaled * unit[:, 0], std * unit[:, 0]


class ParametricCurveModel(CurveModel):
    """Extrapolate a curve by the parametric families alone; it learns nothing from other curves.

    The families are those of Domhan et al. (2015), [Domhan2015speeding], fitted by least squares where the paper draws
    from their posterior; see `extrapolate`.

    Args:
        final_epoch: Epochs of a full training.
        maximize: Whether larger values are better.
        upper: Largest possible value where it is so.
    """

    min_finals = 0
    min_epochs = 2

    def __init__(self, final_epoch: int, *, maximize: bool = True, upper: float = 100.0) -> None:
        if final_epoch < 1:
            raise ConfigError(f"a full training has at least 1 epoch, not {final_epoch}")
        self.final_epoch, self.scale = final_epoch, CurveScale(maximize, upper)

    def fit(self, curves: Sequence[Curve], finals: Sequence[float], features: Any = None) -> None:
        """Do nothing: a curve is extrapolated by itself."""

    def predict(self, curve: Curve, features: Any = None) -> tuple[float, float]:
        """Return mean and standard deviation of the end of `curve`; see `CurveModel.predict`."""
        scaled, unit = self.scale.scaled(checked_curve(curve, self.min_epochs)[None])
        mean, std = self.scale.restored(*extrapolate(scaled, self.final_epoch), unit)
        return float(mean[0]), float(std[0])
