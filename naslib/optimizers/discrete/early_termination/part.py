"""EarlyTermination: the part of a search that lets trials stop early."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from naslib.errors import ConfigError, did_you_mean
from naslib.history import Objective, State, Stopping, Trial
from naslib.predictors.curves.extrapolation import ParametricCurveModel
from naslib.predictors.curves.model import CurveModel
from naslib.predictors.curves.ridge import RidgeCurveModel
from naslib.predictors.curves.svr import SVRCurveModel
from naslib.registry.catalogue import TRIAL_PARTS

from .stopping import MedianStop, UnlikelyStop, go_on

_RULES = ("prediction", "extrapolation", "median")
_MODELS: dict[str, Callable[[], CurveModel]] = {"ridge": RidgeCurveModel, "svr": SVRCurveModel}
# Complete trials that a rule needs where nothing is said
_LEAST = {"prediction": 10, "extrapolation": 1, "median": 5}


@TRIAL_PARTS.register("early_termination")
class EarlyTermination:
    """Stop the training of a trial that will hardly be the best: it is PRUNED, and decides nothing.

    A trial is judged by what had been told when it was asked for; what is found is thus a function of the seed and the
    number of workers. Trials at different fidelities are judged apart. In a search with several fidelities the bar
    below the highest one is not the best value, but that of the best `1 / eta`.

    Args:
        rule: `prediction`: a regression from the curves of complete trials ([Baker2017accelerating]); `extrapolation`:
            parametric families fitted to the curve itself ([Domhan2015speeding]); `median`: the best value so far is
            worse than the median of the running averages of complete trials ([Golovin2017vizier]).
        delta: How sure a prediction must be that the trial will not be better, in (0, 1).
        model: The regression of `prediction`: `ridge`, or `svr` as in the paper.
        min_epochs: Epochs that every trial gets; None: a tenth of its fidelity, at least 2.
        every: Epochs from one look to the next; None: a twentieth of the fidelity, at least 1.
        min_trials: Complete trials before any is stopped; None: 10 for `prediction`, 1 for `extrapolation`, 5 for
            `median`.
        memory: Complete trials that are remembered, the latest.
        upper: Largest possible value, for `extrapolation` of what is maximised.

    Attributes:
        count: Complete trials seen; one in whose curve something is not finite does not count.

    Raises:
        ConfigError: For an unknown rule or model, or a figure out of its range.
    """

    def __init__(
        self,
        *,
        rule: str = "prediction",
        delta: float = 0.95,
        model: str = "ridge",
        min_epochs: int | None = None,
        every: int | None = None,
        min_trials: int | None = None,
        memory: int = 500,
        upper: float = 100.0,
    ) -> None:
        key = "search.parts.early_termination"
        problems = []
        if rule not in _RULES:
            problems.append(f"{key}.rule: unknown {rule!r}{did_you_mean(rule, _RULES)} (known: {', '.join(_RULES)})")
        if model not in _MODELS:
            problems.append(
                f"{key}.model: unknown {model!r}{did_you_mean(model, _MODELS)} (known: {', '.join(_MODELS)})"
            )
        if not 0 < delta < 1:
            problems.append(f"{key}.delta must be between 0 and 1, not {delta}")
        counts = {"min_epochs": min_epochs, "every": every, "min_trials": min_trials, "memory": memory}
        problems += [
            f"{key}.{name} must be at least 1, not {count}"
            for name, count in counts.items()
            if count is not None and count < 1
        ]
        if not upper > 0:
            problems.append(f"{key}.upper must be above 0, not {upper}")
        if problems:
            raise ConfigError(problems)
        self.rule, self.delta, self.model, self.memory, self.upper = rule, delta, model, memory, upper
        self.min_epochs, self.every = min_epochs, every
        least = _LEAST[rule] if min_trials is None else min_trials
        self.min_trials = max(least, _MODELS[model]().min_finals) if rule == "prediction" else least
        self.count = 0
        self._told: list[tuple[int, list[float]]] = []  # fidelity and curve of complete trials, the latest
        self._models: dict[tuple[int, int], CurveModel] = {}

    def reset(self) -> None:
        """Forget what was told."""
        self.count, self._told, self._models = 0, [], {}

    def observe(self, trial: Trial) -> None:
        """Take note of a trial that was told."""
        curve = trial.user.get("curve")
        if trial.state is not State.COMPLETE or not curve or not np.isfinite(curve).all():
            return
        self.count += 1
        self._told.append((trial.fidelity, [float(value) for value in curve]))
        del self._told[: -self.memory]

    def watched(self, trial: Trial, objective: Objective, share: float | None = None) -> Trial:
        """Return a trial that may be stopped.

        Args:
            trial: A trial that is asked for now, or was asked for before a search was killed.
            objective: What its curve is of.
            share: The bar is the value of the best `share` of the others; None for the best.
        """
        known = int(trial.user.get("curves_known", self.count))
        stopping = self._stopping(trial.fidelity, known, objective, share)
        return dataclasses.replace(trial, user={**trial.user, "curves_known": known}, stopping=stopping)

    def _stopping(self, fidelity: int, known: int, objective: Objective, share: float | None) -> Stopping:
        """Return the rule for a trial at a fidelity that was asked for when so many complete trials were told."""
        curves = self._curves(fidelity, known)
        if len(curves) < self.min_trials:
            return go_on
        length = len(curves[0])
        first = max(2, -(-length // 10)) if self.min_epochs is None else self.min_epochs
        every = max(1, length // 20) if self.every is None else self.every
        if self.rule == "median":
            return MedianStop(np.array(curves), objective.maximize, first, every)
        ends = sorted((curve[-1] for curve in curves), reverse=objective.maximize)
        bar = ends[0 if share is None else min(len(ends) - 1, int(len(ends) * share))]
        model = self._fitted(fidelity, known, length, objective.maximize)
        first = max(first, model.min_epochs)
        return UnlikelyStop(model, bar, objective.maximize, self.delta, first, every)

    def _curves(self, fidelity: int, known: int) -> list[list[float]]:
        """Return the curves of a fidelity among the first `known` complete trials, as far as they are remembered."""
        told = self._told[: max(0, len(self._told) - (self.count - known))]
        return [curve for level, curve in told if level == fidelity]

    def _fitted(self, fidelity: int, known: int, length: int, maximize: bool) -> CurveModel:
        """Return the model for trials that know so many; it is made anew when a fifth more is known than before."""
        step = self.min_trials
        while (more := step + max(1, step // 5)) <= known:
            step = more
        curves = self._curves(fidelity, step)
        if len(curves) < self.min_trials:  # of other fidelities, or forgotten
            step, curves = known, self._curves(fidelity, known)
        key = fidelity, step
        if key not in self._models:
            if self.rule == "extrapolation":
                model: CurveModel = ParametricCurveModel(length, maximize=maximize, upper=self.upper)
            else:
                model = _MODELS[self.model]()
                model.fit(curves, [curve[-1] for curve in curves])
            self._models = {level: kept for level, kept in self._models.items() if level[0] != fidelity} | {key: model}
        return self._models[key]

    def state_dict(self) -> dict[str, Any]:
        """Return the state as plain values."""
        return {"count": self.count, "told": [[fidelity, [*curve]] for fidelity, curve in self._told]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a state."""
        self.reset()
        self.count = int(state_dict["count"])
        self._told = [(int(fidelity), [float(value) for value in curve]) for fidelity, curve in state_dict["told"]]
