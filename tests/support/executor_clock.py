"""Executors whose workers need no processes: with a clock of their own, or that end trials in an order of their own."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any

from naslib.evaluators import Evaluator, Executor
from naslib.evaluators.executors import evaluated
from naslib.history import Trial


class Clock(Executor):
    """Workers that take as long for a trial as its number says, on a clock that jumps to what ends next.

    Args:
        evaluator: What evaluates.
        workers: How many there are.
        seconds: Returns how long a trial of a number takes.

    Attributes:
        now: What the clock says.
        ended: `(seconds, number)` of the trials in the order in which they ended.
        idle: How many workers had nothing to do, whenever somebody waited for a result.
    """

    def __init__(self, evaluator: Evaluator, workers: int, seconds: Callable[[int], float]) -> None:
        self.evaluator, self.workers, self.seconds = evaluator, workers, seconds
        self.now = 0.0
        self.ended: list[tuple[float, int]] = []
        self.idle: list[int] = []
        self._running: list[tuple[float, int, Trial]] = []

    def submit(self, trial: Trial) -> None:
        """Begin with a trial; there is always a worker for it."""
        assert len(self._running) < self.workers
        heapq.heappush(self._running, (self.now + self.seconds(trial.number), trial.number, trial))

    def next_finished(self, should_stop: Any) -> Trial:
        """Let the clock jump to the end of a trial, and return it."""
        self.idle.append(self.workers - len(self._running))
        self.now, number, trial = heapq.heappop(self._running)
        self.ended.append((self.now, number))
        return evaluated(self.evaluator, trial, should_stop)


class Shuffled(Executor):
    """Of the trials that are running, the one that a number drawn from its own number says is over next.

    What ends next is a function of which trials are running, also after a kill.

    Args:
        evaluator: What evaluates.
        workers: How many there are.

    Attributes:
        begun: The numbers of the trials in the order in which they were evaluated.
    """

    def __init__(self, evaluator: Evaluator, workers: int) -> None:
        self.evaluator, self.workers = evaluator, workers
        self.begun: list[int] = []
        self._running: dict[int, Trial] = {}

    def submit(self, trial: Trial) -> None:
        """Begin with a trial."""
        assert len(self._running) < self.workers and trial.number not in self._running
        self._running[trial.number] = trial

    def next_finished(self, should_stop: Any) -> Trial:
        """Evaluate one of those that are running."""
        number = min(self._running, key=lambda n: (n * 7919 + 13) % 31)
        self.begun.append(number)
        return evaluated(self.evaluator, self._running.pop(number), should_stop)


def makespan(seconds: list[float], workers: int) -> float:
    """Return when the last of some trials is over where each begins on the first worker that is free."""
    free = [0.0] * workers
    for duration in seconds:
        heapq.heappush(free, heapq.heappop(free) + duration)
    return max(free)
