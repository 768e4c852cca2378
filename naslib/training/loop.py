"""The epoch loop that search and retraining share: steps, checkpoints, signals, progress, and taking it up again."""

from __future__ import annotations

import functools
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from naslib.errors import NonFiniteLossError
from naslib.utils.distributed import any_rank, is_distributed, world_size
from naslib.utils.log import get_logger
from naslib.utils.seeding import rng_restore, rng_snapshot

from .checkpoint import Position
from .loaders import Batch, BatchCursor
from .metrics import Meter
from .phase import START, Phase
from .progress import Progress
from .signals import InterruptGuard
from .status import Status

logger = get_logger(__name__)


class EpochTask(ABC):
    """What one phase does within its epochs.

    Attributes:
        title: Name of the phase for the progress bar.
        meters: The meters that the steps update, by the name of the split.
        loss_names: What to call the loss of a split, for messages.
    """

    title: str
    meters: dict[str, Meter]
    loss_names: Mapping[str, str] = {"training": "training loss", "validation": "validation loss"}

    @abstractmethod
    def begin_epoch(self, epoch: int) -> None:
        """Prepare an epoch; also called before a checkpoint within that epoch is loaded."""

    @abstractmethod
    def train_step(self, batch: Batch, step: int) -> None:
        """Train on a batch and update the meters."""

    @abstractmethod
    def end_epoch(self, epoch: int, seconds: float) -> None:
        """Record the epoch."""

    @property
    def is_finished(self) -> bool:
        """Whether the phase ends now, before its epochs are over."""
        return False

    def finish(self) -> None:  # noqa: B027 - a hook, empty by default
        """Act after the last epoch, before the final checkpoint is written."""


@dataclass(frozen=True)
class LoopSettings:
    """How long a loop runs and when it saves.

    Attributes:
        epochs: Number of epochs.
        checkpoint_freq: Epochs between checkpoints; 0 for only the final one.
        checkpoint_steps: Steps between checkpoints within an epoch; 0 for none.
    """

    epochs: int
    checkpoint_freq: int
    checkpoint_steps: int = 0


class EpochLoop:
    """Run the epochs of a task so that it can be stopped and resumed anywhere.

    Args:
        task: What to do.
        phase: What a checkpoint holds.
        train: The training batches.
        settings: Length and checkpoints.
        after_epoch: Called with the number of each finished epoch once it is saved; its draws of random numbers do not
            reach the training.
    """

    def __init__(
        self,
        task: EpochTask,
        phase: Phase,
        train: BatchCursor,
        settings: LoopSettings,
        after_epoch: Callable[[int], Any] | None = None,
    ) -> None:
        self.task, self.phase, self.train, self.settings = task, phase, train, settings
        self.after_epoch = after_epoch
        self._clock = _Clock()
        self._rows_before = 0
        phase.parts |= {"train_batches": train, "clock": self._clock}
        phase.parts |= {f"{name}_meter": meter for name, meter in task.meters.items()}

    def run(self, start: Position = START) -> None:
        """Run from `start` to the end and write the final checkpoint."""
        self.phase.check_saveable()
        per_epoch = self.train.length
        total = per_epoch * self.settings.epochs if per_epoch else None
        done = start.epoch * (per_epoch or 0) + start.step
        epoch, step = start
        with InterruptGuard() as guard, Progress(self.task.title, total, done) as progress:
            while epoch < self.settings.epochs:
                if step == 0 and epoch > 0 and self.task.is_finished:
                    break
                self._run_epoch(epoch, step, guard, progress)
                epoch, step = epoch + 1, 0
            started = time.perf_counter()
            self.task.finish()  # a selection phase may take longer than the epochs
            self.phase.seconds += time.perf_counter() - started
        self.phase.save_final(epoch)

    def _run_epoch(self, epoch: int, step: int, guard: InterruptGuard, progress: Progress) -> None:
        if step == 0:
            self.task.begin_epoch(epoch)
            self.train.begin(epoch)
            self._clock.reset()
            for meter in self.task.meters.values():
                meter.reset()
        self._clock.start()
        self._rows_before = self.train.rows
        while (batch := self.train.next_in_epoch()) is not None:
            self.task.train_step(batch, step)
            step += 1
            progress.done += 1
            is_time = any_rank(guard.requested or progress.due())  # of several ranks all do the same
            if is_time and guard.agreed():
                self._stop(guard, epoch, step)
            if self.settings.checkpoint_steps and step % self.settings.checkpoint_steps == 0:
                self._save_step(epoch, step)
            if is_time:
                self._check_finite(epoch)
                if progress.due():
                    progress.show(functools.partial(self._describe, epoch, step))
        self._finish_epoch(epoch, guard)

    def _finish_epoch(self, epoch: int, guard: InterruptGuard) -> None:
        self._check_finite(epoch)
        seconds = self._clock.stop()
        self.phase.seconds += seconds
        self.task.end_epoch(epoch, seconds)
        self._say_speed()
        frequency = self.settings.checkpoint_freq
        if frequency and (epoch + 1) % frequency == 0:
            self.phase.save_epoch(epoch)
        if self.after_epoch is not None:
            random_state = rng_snapshot()
            self.after_epoch(epoch)
            rng_restore(random_state)
        if guard.agreed():
            raise guard.interruption(str(self.phase.save_epoch(epoch)))

    def _say_speed(self) -> None:
        """Say how many items all ranks together have trained on per second, where there are several."""
        if is_distributed():
            rows, seconds = self.train.rows - self._rows_before, self._clock.since_start
            logger.info("%.0f items/s on %d ranks", rows / max(seconds, 1e-9), world_size())

    def _save_step(self, epoch: int, step: int) -> str:
        self._check_finite(epoch)
        return str(self.phase.save_step(epoch, step))

    def _stop(self, guard: InterruptGuard, epoch: int, step: int) -> None:
        raise guard.interruption(self._save_step(epoch, step))

    def _check_finite(self, epoch: int) -> None:
        bad = {split: meter.first_bad_step() for split, meter in self.task.meters.items()}
        steps = [step for step in bad.values() if step is not None]
        if not steps:
            return
        first = [split for split, step in bad.items() if step == min(steps)]
        where = " and ".join(dict.fromkeys(self.task.loss_names.get(split, split) for split in first))
        raise NonFiniteLossError(
            f"{self.phase.title}: the {where} became NaN or infinite in epoch {epoch}, step {min(steps)} (counted "
            f"from 0); {self.phase.last_good()}. A smaller learning rate or grad_clip may help"
        )

    def _describe(self, epoch: int, step: int) -> Status:
        scores = [(split, meter.read()) for split, meter in self.task.meters.items()]
        return Status.of_epochs(epoch, self.settings.epochs, step, self.train.length, scores)


class _Clock:
    """Seconds of the running epoch, over all its resumptions."""

    def __init__(self) -> None:
        self._before = 0.0
        self._started = time.perf_counter()

    def reset(self) -> None:
        self._before = 0.0

    def start(self) -> None:
        self._started = time.perf_counter()

    @property
    def since_start(self) -> float:
        return time.perf_counter() - self._started

    def stop(self) -> float:
        return self._before + self.since_start

    def state_dict(self) -> dict[str, float]:
        return {"seconds": self.stop()}

    def load_state_dict(self, state: dict[str, float]) -> None:
        self._before = state["seconds"]
        self._started = time.perf_counter()
