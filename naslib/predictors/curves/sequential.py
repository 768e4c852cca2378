"""SequentialCurveModel: one regression per number of epochs seen."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from naslib.errors import PredictorError

from .model import Curve, CurveModel, checked_curve, checked_curves, curve_features


class CurveRegression(NamedTuple):
    """What was learned from some curves.

    Attributes:
        predict: From one row of inputs, `(d,)`, to mean and standard deviation.
        errors: `(n,)`, each target less what is predicted for it from the others.
    """

    predict: Callable[[np.ndarray], tuple[float, float]]
    errors: np.ndarray


class SequentialCurveModel(CurveModel):
    """Predict the end of a curve from its values, their first and second differences, and numbers of the architecture.

    There is one regression per number of epochs seen, fitted when it is first asked for to the curves that are long
    enough: the sequential models of Baker et al. (2017), [Baker2017accelerating]. What is learned is what a line
    through the last values seen leaves of the ends, so that a regression that has learned nothing keeps the order of
    the curves.
    """

    def __init__(self) -> None:
        self._curves: list[np.ndarray] = []
        self._finals = np.zeros(0)
        self._features: np.ndarray | None = None
        self._fits: dict[int, tuple[np.ndarray, CurveRegression]] = {}

    def fit(self, curves: Sequence[Curve], finals: Sequence[float], features: Any = None) -> None:
        """Learn from trainings that are over; see `CurveModel.fit`."""
        rows, ends = checked_curves(curves, finals, self.min_finals)
        numbers = None if features is None else np.asarray(features, dtype=np.float64)
        if numbers is not None and (numbers.ndim != 2 or len(numbers) != len(rows)):
            raise PredictorError(f"features are ({len(rows)}, d) numbers, one row per curve, not {numbers.shape}")
        self._curves, self._finals, self._features, self._fits = rows, ends, numbers, {}

    def predict(self, curve: Curve, features: Any = None) -> tuple[float, float]:
        """Return mean and standard deviation of the end of `curve`; see `CurveModel.predict`."""
        if not self._curves:
            raise PredictorError("the curve model has not been fitted: call fit(curves, finals) first")
        if (features is None) != (self._features is None):
            raise PredictorError("features of the architecture are given both to fit and to predict, or to neither")
        row = checked_curve(curve, self.min_epochs)
        inputs = curve_features(row[None])[0]
        if self._features is not None:
            numbers = np.asarray(features, dtype=np.float64).reshape(-1)
            if len(numbers) != self._features.shape[1]:
                raise PredictorError(f"the model was fitted to {self._features.shape[1]} features, not {len(numbers)}")
            inputs = np.concatenate([inputs, numbers])
        line, regression = self._fitted(len(row))
        rest, std = regression.predict(inputs)
        return float(np.polyval(line, row[-1])) + rest, std

    def errors_after(self, epochs: int) -> np.ndarray:
        """Return the errors on the curves that are long enough; see `CurveModel.errors_after`."""
        if not self._curves:
            raise PredictorError("the curve model has not been fitted: call fit(curves, finals) first")
        return self._fitted(epochs)[1].errors

    def _fitted(self, epochs: int) -> tuple[np.ndarray, CurveRegression]:
        if epochs not in self._fits:
            self._fits[epochs] = self._from_epochs(epochs)
        return self._fits[epochs]

    def _from_epochs(self, epochs: int) -> tuple[np.ndarray, CurveRegression]:
        longer = [place for place, row in enumerate(self._curves) if len(row) >= epochs]
        if len(longer) < self.min_finals:
            raise PredictorError(
                f"{len(longer)} of the {len(self._curves)} curves have {epochs} epochs; {self.min_finals} are needed "
                "to predict from so many"
            )
        seen = np.stack([self._curves[place][:epochs] for place in longer])
        inputs = curve_features(seen)
        if self._features is not None:
            inputs = np.hstack([inputs, self._features[longer]])
        line = line_through(seen[:, -1], self._finals[longer])
        return line, self._regression(inputs, self._finals[longer] - np.polyval(line, seen[:, -1]))

    @abstractmethod
    def _regression(self, inputs: np.ndarray, targets: np.ndarray) -> CurveRegression:
        """Learn from `(n, d)` inputs and `(n,)` targets."""


def line_through(last: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Return slope and offset of the least-squares line from last values to ends, `(2,)`; flat where all are equal."""
    if np.ptp(last) == 0:
        return np.array([0.0, ends.mean()])
    slope = float(np.cov(last, ends, bias=True)[0, 1] / last.var())
    return np.array([slope, ends.mean() - slope * last.mean()])
