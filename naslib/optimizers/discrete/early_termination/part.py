"""EarlyTermination: the part of a search that lets trials stop early."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from random import Random
from typing import Any, NamedTuple

import numpy as np

from naslib.errors import CheckpointError, ConfigError, did_you_mean
from naslib.history import Objective, State, Stopping, Trial
from naslib.predictors.curves.extrapolation import ParametricCurveModel
from naslib.predictors.curves.model import CALIBRATIONS, CurveModel
from naslib.predictors.curves.ridge import EnsembleCurveModel, RidgeCurveModel
from naslib.predictors.curves.svr import SVRCurveModel
from naslib.registry.catalogue import TRIAL_PARTS
from naslib.search_spaces.core.codec import Code, Codec

from .stopping import MedianStop, UnlikelyStop, go_on

_RULES = ("prediction", "extrapolation", "median")
_MODELS: dict[str, Callable[[], CurveModel]] = {
    "ridge": RidgeCurveModel,
    "svr": SVRCurveModel,
    "ensemble": EnsembleCurveModel,
}
# Complete trials that a rule needs where nothing is said
_LEAST = {"prediction": 10, "extrapolation": 1, "median": 5}


class _Told(NamedTuple):
    fidelity: int
    curve: list[float]
    code: Code


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
        model: The regression of `prediction`: `ridge`, `ensemble` (five of them on curves drawn with replacement), or
            `svr` as in the paper.
        calibration: How `prediction` comes to a probability: `normal`, or `leave_one_out`, by the errors on each
            training predicted from the others (`probability_better`). With n trainings that is 1 / (n + 1) at least, so
            that delta .95 stops nothing before 20 are over.
        architecture: Whether the regression of `prediction` reads the architecture, one-hot, beside the curve.
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
        calibration: str = "normal",
        architecture: bool = False,
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
        if calibration not in CALIBRATIONS:
            problems.append(
                f"{key}.calibration: unknown {calibration!r}{did_you_mean(calibration, CALIBRATIONS)} "
                f"(known: {', '.join(CALIBRATIONS)})"
            )
        if rule != "prediction" and (calibration != "normal" or architecture):
            problems.append(f"{key}: calibration and architecture are of the rule prediction, not of {rule}")
        if calibration == "leave_one_out" and 0 < delta < 1 and memory >= 1 and not 1 / (memory + 1) < 1 - delta:
            problems.append(
                f"{key}: of {memory} remembered trainings (memory), leave_one_out cannot be surer than "
                f"{memory / (memory + 1):.4g} that one will not be better; delta {delta:g} would stop none"
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
        self.calibration, self.architecture = calibration, architecture
        least = _LEAST[rule] if min_trials is None else min_trials
        self.min_trials = max(least, _MODELS[model]().min_finals) if rule == "prediction" else least
        self.count = 0
        self._told: list[_Told] = []  # complete trials, the latest
        self._models: dict[tuple[int, int], CurveModel] = {}
        self._codec: Codec[Any] | None = None

    def reset(self) -> None:
        """Forget what was told."""
        self.count, self._told, self._models = 0, [], {}

    def begin(self, codec: Codec[Any], fidelity: int) -> None:
        """Begin a search.

        Args:
            codec: Of the space, whose architectures are read where that is asked for.
            fidelity: Epochs of the longest trainings, -1 where they are not known.

        Raises:
            ConfigError: If trainings are over before the first look at them.
            UnsupportedBySpaceError: If architectures cannot be read.
        """
        self.reset()
        self.check(fidelity)
        self._codec = codec if self.architecture else None
        if self._codec is not None:
            self._features(self._codec.random(Random(0)))

    def check_evaluator(self, evaluator: Any, fidelity: int) -> None:
        """Raise now if an evaluator cannot serve.

        Args:
            evaluator: Says by `has_curves` whether it has learning curves.
            fidelity: Epochs of the longest trainings where the evaluator does not say them.

        Raises:
            ConfigError: If it has no curves, or trainings are over before the first look at them.
        """
        if not getattr(evaluator, "has_curves", False):
            raise ConfigError(
                f"search.parts.early_termination looks at learning curves, and {type(evaluator).__name__} has none: "
                "take search.evaluator=train, or a table with curves"
            )
        self.check(int(getattr(evaluator, "fidelity", None) or fidelity))

    def check(self, fidelity: int) -> None:
        """Raise now if trainings are over before the first look at them.

        Raises:
            ConfigError: If they are.
        """
        least = 2 if self.min_epochs is None else self.min_epochs
        if 0 < fidelity <= least:
            default = " (its default)" if self.min_epochs is None else ""
            raise ConfigError(
                f"search.parts.early_termination.min_epochs is {least}{default}, and trainings have {fidelity} "
                "epochs: none would be looked at before its end; it must be less"
            )

    def _features(self, code: Code) -> np.ndarray | None:
        """Return an architecture as `(d,)` numbers; None where it is not read."""
        if self._codec is None:
            return None
        return np.asarray(self._codec.encode_batch([code]), dtype=np.float64)[0]

    def observe(self, trial: Trial) -> None:
        """Take note of a trial that was told."""
        curve = trial.user.get("curve")
        if trial.state is not State.COMPLETE or not curve or not np.isfinite(curve).all():
            return
        self.count += 1
        self._told.append(_Told(trial.fidelity, [float(value) for value in curve], trial.code))
        del self._told[: -self.memory]

    def watched(self, trial: Trial, objective: Objective, share: float | None = None) -> Trial:
        """Return a trial that may be stopped.

        Args:
            trial: A trial that is asked for now, or was asked for before a search was killed.
            objective: What its curve is of.
            share: The bar is the value of the best `share` of the others; None for the best.
        """
        known = int(trial.user.get("curves_known", self.count))
        stopping = self._stopping(trial, known, objective, share)
        return dataclasses.replace(trial, user={**trial.user, "curves_known": known}, stopping=stopping)

    def _stopping(self, trial: Trial, known: int, objective: Objective, share: float | None) -> Stopping:
        """Return the rule for a trial that was asked for when so many complete trials were told."""
        fidelity = trial.fidelity
        curves = [told.curve for told in self._of(fidelity, known)]
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
        features = self._features(trial.code)
        return UnlikelyStop(model, bar, objective.maximize, self.delta, first, every, self.calibration, features)

    def _of(self, fidelity: int, known: int) -> list[_Told]:
        """Return those of a fidelity among the first `known` complete trials, as far as they are remembered."""
        told = self._told[: max(0, len(self._told) - (self.count - known))]
        return [entry for entry in told if entry.fidelity == fidelity]

    def _fitted(self, fidelity: int, known: int, length: int, maximize: bool) -> CurveModel:
        """Return the model for trials that know so many; it is made anew when a fifth more is known than before."""
        step = self.min_trials
        while (more := step + max(1, step // 5)) <= known:
            step = more
        told = self._of(fidelity, step)
        if len(told) < self.min_trials:  # of other fidelities, or forgotten
            step, told = known, self._of(fidelity, known)
        key = fidelity, step
        if key not in self._models:
            if self.rule == "extrapolation":
                model: CurveModel = ParametricCurveModel(length, maximize=maximize, upper=self.upper)
            else:
                model = _MODELS[self.model]()
                features = None
                if self._codec is not None:
                    features = self._codec.encode_batch([entry.code for entry in told])
                model.fit([entry.curve for entry in told], [entry.curve[-1] for entry in told], features)
            self._models = {level: kept for level, kept in self._models.items() if level[0] != fidelity} | {key: model}
        return self._models[key]

    def state_dict(self) -> dict[str, Any]:
        """Return the state as plain values."""
        told = [[entry.fidelity, [*entry.curve], list(entry.code)] for entry in self._told]
        return {"count": self.count, "told": told}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a state.

        Raises:
            CheckpointError: If architectures are to be read, and it has none.
        """
        self.reset()
        self.count = int(state_dict["count"])
        if self.architecture and any(len(row) < 3 for row in state_dict["told"]):
            raise CheckpointError("search.parts.early_termination.architecture: the checkpoint has curves alone")
        self._told = [_Told(int(row[0]), [float(v) for v in row[1]], tuple(*row[2:3])) for row in state_dict["told"]]
