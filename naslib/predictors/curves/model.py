"""CurveModel: predict where a training curve ends from its beginning."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from naslib.errors import ConfigError, PredictorError, did_you_mean

Curve = Sequence[float] | np.ndarray
# What the distribution of a prediction is taken from
CALIBRATIONS = ("normal", "leave_one_out")


class CurveModel(ABC):
    """Predict the last value of a training from the values after its first epochs.

    A curve has one value per epoch, from the first one on. Values are in any unit; whether larger is better is the
    caller's affair.

    Attributes:
        min_finals: Finished trainings that it needs before it predicts.
        min_epochs: Epochs that it must see of a curve.
    """

    min_finals: int = 0
    min_epochs: int = 1

    @abstractmethod
    def fit(self, curves: Sequence[Curve], finals: Sequence[float], features: Any = None) -> None:
        """Learn from trainings that are over.

        Args:
            curves: n curves, of the same or different lengths, full or cut off.
            finals: What each reached at the end, `(n,)`.
            features: Numbers of each architecture, `(n, d)`, for models that use them.

        Raises:
            PredictorError: If the numbers differ, there are too few, or a value is not finite.
        """

    @abstractmethod
    def predict(self, curve: Curve, features: Any = None) -> tuple[float, float]:
        """Return mean and standard deviation of what a training will reach whose first epochs are `curve`.

        Args:
            curve: The values so far, `(t,)`.
            features: Numbers of its architecture, `(d,)`, if `fit` was given any.

        Raises:
            PredictorError: Before `fit`, or if the curve is too short or not finite.
        """

    def errors_after(self, epochs: int) -> np.ndarray:
        """Return what the ends of the trainings learned from are above predictions made without them, `(n,)`.

        Args:
            epochs: After how many epochs they are predicted.

        Raises:
            PredictorError: If the model has no such errors.
        """
        raise PredictorError(f"{type(self).__name__} learns from no other training, and has no errors on them")


def probability_better(
    model: CurveModel,
    curve: Curve,
    best: float,
    *,
    maximize: bool = True,
    features: Any = None,
    calibration: str = "normal",
) -> float:
    """Return the probability that a training will be better than `best`, from the curve so far, in [0, 1].

    A training is stopped where this is below 1 - delta, with delta .95 or .99 (Baker et al., 2017,
    [Baker2017accelerating]).

    Args:
        model: A fitted model.
        curve: The values so far, `(t,)`.
        best: What is to be beaten.
        maximize: Whether larger is better.
        features: Numbers of the architecture, `(d,)`, if the model was fitted to any.
        calibration: `normal`: the prediction has a normal distribution. `leave_one_out`: it is off by as much as those
            of the n trainings that the model learned from, each predicted without itself, and k of these errors would
            make it better: (k + 1) / (n + 1).

    Raises:
        ConfigError: For another calibration.
        PredictorError: See `CurveModel.predict` and `errors_after`.
    """
    if calibration not in CALIBRATIONS:
        raise ConfigError(
            f"no calibration {calibration!r}{did_you_mean(calibration, CALIBRATIONS)} (there are: "
            f"{', '.join(CALIBRATIONS)})"
        )
    mean, std = model.predict(curve, features)
    if calibration == "leave_one_out":
        ends = mean + model.errors_after(len(curve))
        return float(1 + np.sum(ends > best if maximize else ends < best)) / (1 + len(ends))
    lead = (mean - best) if maximize else (best - mean)
    if std <= 0:
        return 1.0 if lead > 0 else 0.0
    return 0.5 * math.erfc(-lead / (std * math.sqrt(2)))


def checked_curves(curves: Sequence[Curve], finals: Sequence[float], least: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Return curves and finals as float64.

    Raises:
        PredictorError: If the numbers differ, there are fewer than `least`, or a value is not finite.
    """
    rows = [np.asarray(curve, dtype=np.float64).reshape(-1) for curve in curves]
    ends = np.asarray(finals, dtype=np.float64).reshape(-1)
    if len(rows) != len(ends):
        raise PredictorError(f"{len(rows)} curves and {len(ends)} final values; each curve has one")
    if len(rows) < least:
        raise PredictorError(f"a curve model learns from at least {least} finished trainings, not {len(rows)}")
    for place, (row, end) in enumerate(zip(rows, ends, strict=True)):
        if not (np.isfinite(row).all() and math.isfinite(end)):
            raise PredictorError(f"curve {place} or its final value is not finite: leave failed trainings out")
    return rows, ends


def checked_curve(curve: Curve, least: int) -> np.ndarray:
    """Return a curve as float64, `(t,)`.

    Raises:
        PredictorError: If it is shorter than `least`, or not finite.
    """
    row = np.asarray(curve, dtype=np.float64).reshape(-1)
    if len(row) < least:
        raise PredictorError(f"a prediction needs the values of at least {least} epochs, not {len(row)}")
    if not np.isfinite(row).all():
        raise PredictorError(f"the curve is not finite at epoch {int(np.flatnonzero(~np.isfinite(row))[0]) + 1}")
    return row


def curve_features(curves: np.ndarray) -> np.ndarray:
    """Return curves beside their first and second differences, `(n, t)` to `(n, t + (t - 1) + (t - 2))`.

    The features of Baker et al. (2017), [Baker2017accelerating].
    """
    first = np.diff(curves, axis=1)
    return np.hstack([curves, first, np.diff(first, axis=1)])
