"""RecordedTraining: train an architecture and keep everything that a table says about it."""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import nn

from naslib.errors import ConfigError, DataError
from naslib.history import Outcome, Trial
from naslib.search_spaces.core.flops import count_macs
from naslib.tasks import Measured
from naslib.training.evaluate import test
from naslib.training.loaders import image_shape
from naslib.utils.seeding import rng_restore, rng_snapshot

from .base import Evaluator, ShouldStop, never
from .train import TrainEvaluator

# What is measured after every epoch, by the part of the data
PARTS = ("train", "valid", "test")


class RecordedTraining(Evaluator):
    """Train as `TrainEvaluator` does, and measure the validation part and the test part after every epoch.

    A trial's `user["curves"]` has the lists `train_loss`, `train_score`, `valid_loss` ... with one entry per epoch,
    where a score is the first of the task; `user["train_seconds"]` is what the epochs of training took, without what is
    measured between them: seconds of the processor where one thread of it trains, which other programs on the machine
    hardly change, and of the clock elsewhere.

    Args:
        training: How networks are trained, with space, batches and task.
        tests: Batches of the test part.
        clock: `"cpu"` for seconds of this process, `"wall"` for those of the clock.

    Raises:
        DataError: Without a test part.
        ConfigError: For another clock.
    """

    def __init__(self, training: TrainEvaluator, tests: Any, clock: str = "wall") -> None:
        if tests is None:
            raise DataError("a table has test scores, and there is no test part")
        if clock not in ("cpu", "wall"):
            raise ConfigError(f"the clock of a training is cpu or wall, not {clock!r}")
        self.training, self.tests, self.clock = training, tests, clock
        self.objectives, self.fidelity = training.objectives, training.fidelity

    @property
    def device(self) -> str:
        """Where its networks are trained."""
        return self.training.device

    def evaluate(self, trial: Trial, should_stop: ShouldStop = never) -> Outcome:
        """Return the validation score of the last epoch, and in `user` the curves.

        Raises:
            TrialFailed: As in `TrainEvaluator`.
            TrialStopped: If it was given up.
        """
        watch = _Watch(self)
        outcome = self.training.evaluate(trial, should_stop, watch)
        user = {"curves": watch.curves, "train_seconds": watch.seconds}
        return Outcome(outcome.values, outcome.seconds, user)

    def measured(self, network: nn.Module, part: str) -> Measured:
        """Return what the network scores on the validation or the test part."""
        training, loader = self.training, self.training.valid if part == "valid" else self.tests
        how = training.how
        return test(network, loader, training.task, torch.device(how.device), how.channels_last, how.amp, part)

    def sizes(self, code: tuple[int, ...]) -> tuple[int, int]:
        """Return the parameters and multiply-accumulates of the network of an architecture."""
        shape = image_shape(self.training.valid)
        if self.training.network_args is None:
            found = self.training.space._codec().network_sizes(code, self.training.space, shape)
            if found is not None:
                return found
        before = rng_snapshot()
        network = self.training.build_network(code)
        macs = count_macs(network, shape)
        rng_restore(before)
        return sum(parameter.numel() for parameter in network.parameters()), round(macs * 1e6)

    def check(self, code: tuple[int, ...]) -> None:
        """Raise now if a network cannot be made."""
        self.training.check(code)

    def describe(self) -> dict[str, Any]:
        """Return what must be the same for values to be of the same evaluator."""
        return {**self.training.describe(), "evaluator": type(self).__name__, "clock": self.clock}


class _Watch:
    """Take the learning curves of one training, and its time."""

    def __init__(self, evaluator: RecordedTraining) -> None:
        self._evaluator = evaluator
        self._now = time.process_time if evaluator.clock == "cpu" else time.perf_counter
        self._began = 0.0
        self.seconds = 0.0
        self.curves: dict[str, list[float | None]] = {f"{p}_{k}": [] for p in PARTS for k in ("loss", "score")}

    def __call__(self, network: nn.Module, done: int, measured: Measured | None) -> None:
        if measured is not None:
            self._wait()
            self.seconds += self._now() - self._began
            before = rng_snapshot()
            self._note("train", measured)
            for part in PARTS[1:]:
                self._note(part, self._evaluator.measured(network, part))
            rng_restore(before)
            self._wait()
        self._began = self._now()

    def _note(self, part: str, measured: Measured) -> None:
        self.curves[f"{part}_loss"].append(measured.loss)
        self.curves[f"{part}_score"].append(measured.deciding)

    def _wait(self) -> None:
        if torch.device(self._evaluator.training.how.device).type == "cuda":
            torch.cuda.synchronize()
