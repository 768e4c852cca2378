"""Executors: where the evaluations of trials run. Here: in this process, one after the other."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from types import TracebackType

from naslib.errors import TrialFailed
from naslib.history import Trial

from .base import Evaluator, ShouldStop


class Executor(ABC):
    """Evaluate trials, several at a time perhaps; a context manager.

    Attributes:
        workers: How many trials are evaluated at a time.
    """

    workers: int = 1

    @abstractmethod
    def submit(self, trial: Trial) -> None:
        """Begin with a trial, or let it wait for a worker."""

    @abstractmethod
    def next_finished(self, should_stop: ShouldStop) -> Trial:
        """Wait for the next trial that is over, and return it: complete or failed.

        Args:
            should_stop: Asked now and then.

        Raises:
            TrialStopped: If `should_stop` said yes; what was begun is given up.
        """

    def close(self) -> None:  # noqa: B027 - not every executor has something to close
        """Stop all workers; what they evaluate is given up."""

    def __enter__(self) -> Executor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class SerialExecutor(Executor):
    """Evaluate in this process when a result is asked for.

    Args:
        evaluator: What evaluates.
    """

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator = evaluator
        self._waiting: list[Trial] = []

    def submit(self, trial: Trial) -> None:
        """Let a trial wait for its turn."""
        self._waiting.append(trial)

    def next_finished(self, should_stop: ShouldStop) -> Trial:
        """Evaluate the trial that waits longest."""
        return evaluated(self.evaluator, self._waiting.pop(0), should_stop)


def evaluated(evaluator: Evaluator, trial: Trial, should_stop: ShouldStop) -> Trial:
    """Return a trial with what an evaluator says: its values, or why it has none.

    Where the clock says what an evaluation cost, a failed one has its seconds, so that a budget is spent also where all
    fail. Whatever else goes wrong than the trial itself would go wrong for every trial; it is raised, with the trial
    named.
    """
    started = time.perf_counter()
    try:
        outcome = evaluator.evaluate(trial, should_stop)
    except TrialFailed as error:
        is_timed = getattr(evaluator, "is_timed", False)
        return trial.failed(str(error), time.perf_counter() - started if is_timed else 0.0)
    except Exception as error:
        error.add_note(f"while evaluating trial {trial.number}, architecture {trial.code}")
        raise
    return trial.completed(outcome.values, outcome.seconds, outcome.user, outcome.state)
