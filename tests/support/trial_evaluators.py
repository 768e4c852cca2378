"""Evaluators that cost nothing and misbehave on purpose; importable, so that they reach other processes."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from naslib.errors import TrialFailed
from naslib.evaluators import Evaluator
from naslib.history import Objective, Outcome, Trial


class SumOfOps(Evaluator):
    """The sum of the ops; trials of even numbers take longer, so that later ones come first.

    Args:
        log: A file that gets a line for every evaluation that begins.
        slow: Seconds that a trial of an even number takes.
        kill: Numbers of trials that kill their process with SIGKILL, and how often they do.
        fail: Numbers of trials that fail.
        error: Number of a trial that is an error of the set-up.
    """

    objectives = (Objective("sum", True),)
    fidelity = 3

    def __init__(
        self,
        log: Path,
        slow: float = 0.0,
        kill: dict[int, int] | None = None,
        fail: tuple[int, ...] = (),
        error: int | None = None,
    ) -> None:
        self.log, self.slow, self.kill, self.fail, self.error = Path(log), slow, kill or {}, fail, error

    def evaluate(self, trial: Trial, should_stop: Any = None) -> Outcome:
        """Return the sum of the code."""
        with self.log.open("a") as file:
            file.write(f"{trial.number}\n")
        if self.begun().count(trial.number) <= self.kill.get(trial.number, 0):
            os.kill(os.getpid(), signal.SIGKILL)
        if trial.number in self.fail:
            raise TrialFailed("on purpose")
        if trial.number == self.error:
            raise KeyError("an error of the set-up")
        time.sleep(self.slow if trial.number % 2 == 0 else 0.0)
        return Outcome((float(sum(trial.code)),), float(1 + trial.number), {"seed": trial.seed})

    def begun(self) -> list[int]:
        """Return the numbers of the trials whose evaluation has begun, in this order."""
        return [int(line) for line in self.log.read_text().splitlines()] if self.log.is_file() else []
