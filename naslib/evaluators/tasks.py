"""TasksEvaluator: values of trials of several tasks, each by an evaluator of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from naslib.errors import CheckpointError, ConfigError
from naslib.history import Outcome, Trial

from .base import Evaluator, ShouldStop, never


class TasksEvaluator(Evaluator):
    """Hand every trial to the evaluator of its task (`Trial.task`).

    Args:
        by_task: The evaluators by the names of the tasks; they measure the same objectives.

    Raises:
        ConfigError: If there are none, or they measure different things.
    """

    def __init__(self, by_task: Mapping[str, Evaluator]) -> None:
        if not by_task:
            raise ConfigError("an evaluator of several tasks needs at least one")
        self.by_task = dict(by_task)
        (first, evaluator), *others = self.by_task.items()
        for name, other in others:
            if tuple(other.objectives) != tuple(evaluator.objectives):
                said = [", ".join(o.name for o in e.objectives) for e in (evaluator, other)]
                raise ConfigError(f"the tasks {first} and {name} are measured differently: {said[0]}; {said[1]}")
        self.objectives, self.fidelity = evaluator.objectives, evaluator.fidelity
        evaluators = self.by_task.values()
        self.is_instant = all(e.is_instant for e in evaluators)
        self.has_curves = all(e.has_curves for e in evaluators)
        self.is_timed = any(e.is_timed for e in evaluators)
        self.carries_state = any(e.carries_state for e in evaluators)

    def evaluate(self, trial: Trial, should_stop: ShouldStop = never) -> Outcome:
        """Return what the evaluator of the trial's task says.

        Raises:
            ConfigError: If there is no such task.
        """
        return self._of(trial.task).evaluate(trial, should_stop)

    @property
    def device(self) -> str:
        """Where networks run: where those of the first task do."""
        return next(iter(self.by_task.values())).device

    def _of(self, task: str | None) -> Evaluator:
        if task not in self.by_task:
            raise ConfigError(f"a trial is of the task {task!r}; there are {', '.join(self.by_task)}")
        return self.by_task[task]

    def check(self, code: tuple[int, ...]) -> None:
        """Raise now if an architecture could not be evaluated for one of the tasks."""
        for evaluator in self.by_task.values():
            evaluator.check(code)

    def state_dict(self) -> dict[str, Any]:
        """Return the states of the evaluators that carry one, by task."""
        return {name: e.state_dict() for name, e in self._carrying().items()}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a state.

        Raises:
            CheckpointError: If it is of other tasks.
        """
        carrying = self._carrying()
        if set(state_dict) != set(carrying):
            known, said = ", ".join(carrying) or "none", ", ".join(state_dict) or "none"
            raise CheckpointError(f"the checkpoint has the evaluators of the tasks {said}, this search {known}")
        for name, evaluator in carrying.items():
            evaluator.load_state_dict(state_dict[name])

    def _carrying(self) -> dict[str, Any]:
        return {name: e for name, e in self.by_task.items() if e.carries_state}

    def describe(self) -> dict[str, Any]:
        """Return what must be the same for values to be of the same evaluator."""
        return {**super().describe(), "tasks": {name: e.describe() for name, e in self.by_task.items()}}
