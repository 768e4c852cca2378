"""MemoryHistory: trials in a dictionary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .base import History
from .trial import Objective, State, Trial


class MemoryHistory(History):
    """Keep trials for as long as the process lives.

    Attributes:
        about: What `describe` was told.
    """

    def __init__(self) -> None:
        self._trials: dict[int, Trial] = {}
        self._objectives: tuple[Objective, ...] = ()
        self.about: dict[str, Any] = {}

    def add(self, trial: Trial) -> None:
        """Keep a trial, in place of one of the same number."""
        self._trials[trial.number] = trial

    def get(self, number: int) -> Trial | None:
        """Return the trial of that number, None if there is none."""
        return self._trials.get(number)

    def trials(self, state: State | None = None) -> list[Trial]:
        """Return the trials in the order of their numbers; those in one state if that is given."""
        found = (self._trials[number] for number in sorted(self._trials))
        return [trial for trial in found if state is None or trial.state is state]

    def count(self, state: State | None = None) -> int:
        """Return how many trials there are, in one state if that is given."""
        if state is None:
            return len(self._trials)
        return sum(trial.state is state for trial in self._trials.values())

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """What the values of the trials are."""
        return self._objectives

    def describe(self, objectives: Sequence[Objective], about: dict[str, Any] | None = None) -> None:
        """Say what the values are, and what search this is."""
        self._objectives = tuple(objectives)
        self.about = dict(about or {})
