"""Rules that say, epoch by epoch, whether a training is stopped; they travel with a trial to other processes."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from naslib.predictors.curves.model import CurveModel, probability_better
from naslib.predictors.curves.sequential import SequentialCurveModel


def go_on(curve: Sequence[float]) -> Mapping[str, Any] | None:
    """Stop nothing: the rule while too little is known. With a rule, an evaluator keeps the curve."""
    return None


class UnlikelyStop:
    """Stop where the end of a training is better than a bar with a probability below `1 - delta`.

    With a model that was fitted to other curves this is the rule of [Baker2017accelerating], with one that extrapolates
    the curve itself that of [Domhan2015speeding].

    Args:
        model: The model, fitted.
        bar: What is to be beaten.
        maximize: Whether larger values are better.
        delta: How sure it must be, in (0, 1).
        first: First epoch after which it is asked.
        every: Epochs from one question to the next.
        calibration: Of the probability (`probability_better`).
        features: Numbers of the architecture, `(d,)`, where the model reads them.
    """

    def __init__(
        self,
        model: CurveModel,
        bar: float,
        maximize: bool,
        delta: float,
        first: int,
        every: int,
        calibration: str = "normal",
        features: np.ndarray | None = None,
    ) -> None:
        self.model, self.bar, self.maximize, self.delta = model, bar, maximize, delta
        self.first, self.every, self.calibration, self.features = first, every, calibration, features

    def __call__(self, curve: Sequence[float]) -> Mapping[str, Any] | None:
        """Return why to stop after these epochs; None to go on."""
        epochs = len(curve)
        if epochs < self.first or (epochs - self.first) % self.every or not np.isfinite(curve).all():
            return None
        probability = probability_better(
            self.model,
            curve,
            self.bar,
            maximize=self.maximize,
            features=self.features,
            calibration=self.calibration,
        )
        if not probability < 1 - self.delta:
            return None
        predicted = self.model.predict(curve, self.features)[0]
        return {"stopped": f"better than {self.bar:.6g} with probability {probability:.2g}", "predicted": predicted}

    def __getstate__(self) -> dict[str, Any]:
        """Return what is sent to other processes: without regressions, which are fitted again where they are needed."""
        state = dict(self.__dict__)
        if isinstance(self.model, SequentialCurveModel):
            state["model"] = copy.copy(self.model)
            state["model"]._fits = {}
        return state


class MedianStop:
    """Stop where the best value so far is worse than what half of the others had on average ([Golovin2017vizier]).

    Args:
        curves: Of complete trainings, `(n, t)`.
        maximize: Whether larger values are better.
        first: First epoch after which it is asked.
        every: Epochs from one question to the next.
    """

    def __init__(self, curves: np.ndarray, maximize: bool, first: int, every: int) -> None:
        averages = np.cumsum(curves, axis=1) / np.arange(1, curves.shape[1] + 1)
        self.medians: list[float] = np.median(averages, axis=0).tolist()
        self.maximize, self.first, self.every = maximize, first, every

    def __call__(self, curve: Sequence[float]) -> Mapping[str, Any] | None:
        """Return why to stop after these epochs; None to go on."""
        epochs = len(curve)
        if epochs < self.first or (epochs - self.first) % self.every or epochs > len(self.medians):
            return None
        if not np.isfinite(curve).all():
            return None
        median = self.medians[epochs - 1]
        best = max(curve) if self.maximize else min(curve)
        if best >= median if self.maximize else best <= median:
            return None
        return {"stopped": f"its best value {best:.6g} is worse than the median average {median:.6g}"}
