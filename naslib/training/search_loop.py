"""The search: alternating steps on batches for one-shot optimizers, evaluations for black-box ones."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from naslib.errors import TrialStopped
from naslib.optimizers.core.metaclasses import MetaOptimizer
from naslib.utils.distributed import is_main
from naslib.utils.log import get_logger

from .arch_weights import ArchWeightsRecorder
from .batch_check import BatchCheck
from .checkpoint import Position
from .evaluate import in_words
from .history import HistoryFile, SearchHistory
from .loaders import Batch, BatchCursor
from .loop import EpochTask, LoopSettings
from .phase import START, Phase
from .progress import Progress, format_seconds
from .schedule import Schedule
from .signals import InterruptGuard
from .status import Status
from .tensorboard import MOST_POINTS, spaced

logger = get_logger(__name__)

# Checkpoints of a search on a table may take this share of its time, and this many seconds besides.
_CHECKPOINT_SHARE, _CHECKPOINT_GRACE = 0.05, 0.05


@dataclass
class SearchOutputs:
    """Where a search leaves its record.

    Attributes:
        history: The trajectory.
        file: Its JSON file.
        arch_weights: Recorder of the architecture parameters, None for no recording.
        writer: A TensorBoard writer or None.
    """

    history: SearchHistory
    file: HistoryFile
    arch_weights: ArchWeightsRecorder | None = None
    writer: Any = None


class SearchTask(EpochTask):
    """Feed batches to a one-shot optimizer.

    Args:
        optimizer: The optimizer, adapted.
        valid: Batches for the architecture; None hands it the training batch.
        schedule: Learning-rate schedule of the weights.
        outputs: Where the record goes.
        epochs: Number of epochs, for log lines.
        selection: The training and the validation batches once more, for methods that choose at the end.
    """

    title = "search"
    loss_names: Mapping[str, str] = {
        "training": "training loss (of the weights)",
        "validation": "validation loss (of the architecture)",
    }

    def __init__(
        self,
        optimizer: MetaOptimizer,
        valid: BatchCursor | None,
        schedule: Schedule,
        outputs: SearchOutputs,
        epochs: int,
        selection: tuple[Iterable[Batch], Iterable[Batch]] = ((), ()),
    ) -> None:
        self.optimizer, self.valid, self.schedule = optimizer, valid, schedule
        self.outputs, self.epochs, self.selection = outputs, epochs, selection
        task = optimizer.task
        self.check = BatchCheck(task)
        self.meters = {"training": task.meter(optimizer.device), "validation": task.meter(optimizer.device)}

    def begin_epoch(self, epoch: int) -> None:
        """Tell the optimizer, and put the supernet in training mode."""
        if self.outputs.arch_weights is not None and epoch == 0:
            self.outputs.arch_weights.load_state_dict({"series": []})
            self.outputs.arch_weights.record()
        if self.optimizer.is_adapted:
            self.optimizer.graph.train()
        self.optimizer.new_epoch(epoch)

    def train_step(self, batch: Batch, step: int) -> None:
        """Let the optimizer make one step."""
        batch_valid = self.valid.next_cycling() if self.valid is not None else batch
        if not self.check.is_done:
            self.check.try_network(self.optimizer.probe, batch)
        try:
            logits, logits_valid, loss, loss_valid = self.optimizer.step(batch, batch_valid)
        except Exception as error:
            number = self.valid.position - 1 if self.valid is not None else step
            self.check.explain(error, ("training", step, batch), ("validation", number, batch_valid))
            raise
        self.meters["training"].update(logits, batch, loss, step)
        if self.valid is not None:
            self.meters["validation"].update(logits_valid, batch_valid, loss_valid, step)
        self.schedule.after_step()

    def end_epoch(self, epoch: int, seconds: float) -> None:
        """Step the schedule, and record losses, scores, what a benchmark says, and the architecture parameters."""
        rate = self.schedule.rate
        train, valid = self.meters["training"].read(), self.meters["validation"].read()
        self.schedule.after_epoch(train, valid)
        tested = self.optimizer.test_statistics()
        measured = {**train.by_key("train"), **valid.by_key("valid")}
        self.outputs.history.append(**measured, runtime=seconds, train_time=seconds, arch_eval=tested)
        if self.outputs.arch_weights is not None:
            self.outputs.arch_weights.record()
        self.outputs.file.write_if_due()
        measured |= {"learning_rate": rate, "arch_eval": tested, "seconds": seconds}
        _write_scalars(self.outputs.writer, epoch, measured)
        logger.info(
            "search epoch %d/%d: train %s, valid %s%s, %s",
            epoch + 1, self.epochs, in_words(train), in_words(valid),
            f", found {tested:.2f} % in the benchmark" if tested is not None else "", format_seconds(seconds),
        )  # fmt: skip

    @property
    def is_finished(self) -> bool:
        """Whether the optimizer stops early."""
        return self.optimizer.is_finished

    def finish(self) -> None:
        """Let the optimizer choose, if its method does that at the end."""
        self.optimizer.select_architecture(*self.selection)


class Evaluations(Protocol):
    """How a black-box search gets from one evaluation to the next.

    Attributes:
        seconds: What the last one took, None if that is not known.
    """

    seconds: float | None

    @property
    def total(self) -> int | None:
        """How many there will be, None if unknown."""

    def goes_on(self, done: int) -> bool:
        """Say whether there is another one after `done` of them."""

    def advance(self, epoch: int, should_stop: Callable[[], bool]) -> None:
        """Make evaluation number `epoch`, from 0; `TrialStopped` if `should_stop` said yes meanwhile."""

    def flush(self) -> None:
        """Write what was kept back: a checkpoint is about to count it as done."""

    def status(self, done: int) -> Status | None:
        """Return where the search stands; None leaves it to what the optimizer's statistics say."""


class OwnEpochs:
    """Evaluations that an optimizer makes by itself, one per `new_epoch`.

    Args:
        optimizer: The optimizer, adapted.
        epochs: How many.
    """

    seconds: float | None = None

    def __init__(self, optimizer: MetaOptimizer, epochs: int) -> None:
        self.optimizer, self.total = optimizer, epochs

    def goes_on(self, done: int) -> bool:
        """Say whether there is another one after `done` of them."""
        return done < self.total

    def advance(self, epoch: int, should_stop: Callable[[], bool]) -> None:
        """Let the optimizer evaluate."""
        self.optimizer.new_epoch(epoch)

    def flush(self) -> None:
        """Do nothing: nothing is kept back."""

    def status(self, done: int) -> Status | None:
        """Return None: the statistics say it."""
        return None


class BlackBoxSearch:
    """Evaluate one architecture per epoch; nothing here costs more than appending to lists.

    Args:
        optimizer: The optimizer, adapted.
        phase: What a checkpoint holds.
        outputs: Where the record goes.
        settings: Number of evaluations and checkpoint frequency. Checkpoints that are due are put off while
            writing them would take more than a twentieth of the time.
        report_incumbent: Whether to record the best architecture so far or the latest.
        after_epoch: Called with the number of each evaluation.
        evaluations: How they are made; `settings.epochs` of the optimizer's own if None.
    """

    def __init__(
        self,
        optimizer: MetaOptimizer,
        phase: Phase,
        outputs: SearchOutputs,
        settings: LoopSettings,
        report_incumbent: bool = True,
        after_epoch: Callable[[int], Any] | None = None,
        evaluations: Evaluations | None = None,
    ) -> None:
        self.optimizer, self.phase, self.outputs, self.settings = optimizer, phase, outputs, settings
        self.report_incumbent, self.after_epoch = report_incumbent, after_epoch
        self.evaluations = evaluations if evaluations is not None else OwnEpochs(optimizer, settings.epochs)
        self._written = 0
        self._saving = 0.0
        self._began = time.perf_counter()

    def run(self, start: Position = START) -> None:
        """Run from `start` to the end and write the final checkpoint."""
        self.phase.check_saveable()
        self._began = time.perf_counter()
        self._written = start.epoch
        total = self.evaluations.total
        with InterruptGuard() as guard, Progress("search", total, start.epoch, unit="evaluation") as progress:
            done = self._run(start.epoch, guard, progress)
        self.evaluations.flush()
        self._write_curves()
        self.phase.save_final(done)

    def _run(self, epoch: int, guard: InterruptGuard, progress: Progress) -> int:
        """Make the evaluations from number `epoch` on, and return how many there are in the end."""
        optimizer, append, clock = self.optimizer, self.outputs.history.append_row, time.perf_counter
        evaluations = self.evaluations
        frequency, after_epoch = self.settings.checkpoint_freq, self.after_epoch
        save_due = False
        before = clock()
        write_due = before + 1.0

        def should_stop() -> bool:
            return guard.requested

        while evaluations.goes_on(epoch):
            try:
                evaluations.advance(epoch, should_stop)
            except TrialStopped:
                self.phase.seconds += clock() - before
                evaluations.flush()
                raise guard.interruption(str(self.phase.save_step(epoch, 0))) from None
            train_acc, valid_acc, test_acc, train_time = optimizer.train_statistics(self.report_incumbent)
            tested = optimizer.test_statistics()
            now = clock()
            train_time = evaluations.seconds if train_time is None else train_time
            append((train_acc, None, valid_acc, None, test_acc, None, now - before, train_time, tested))
            self.phase.seconds += now - before
            before = now
            save_due = save_due or (bool(frequency) and (epoch + 1) % frequency == 0)
            if save_due and self._may_save(now):
                self._save(epoch)
                save_due = False
            if after_epoch is not None:
                after_epoch(epoch)
            if guard.signum is not None:
                evaluations.flush()
                raise guard.interruption(str(self.phase.save_epoch(epoch)))
            epoch += 1
            progress.done = epoch
            if progress.due():
                self._report(epoch - 1, progress)
            elif now >= write_due:
                self.outputs.file.write_if_due()
                write_due = now + 1.0
        return epoch

    def _may_save(self, now: float) -> bool:
        return self._saving <= _CHECKPOINT_GRACE + _CHECKPOINT_SHARE * (now - self._began)

    def _save(self, epoch: int) -> None:
        started = time.perf_counter()
        self.evaluations.flush()  # what a checkpoint counts as told is never asked again
        self.phase.save_epoch(epoch)
        self._saving += time.perf_counter() - started

    def _report(self, epoch: int, progress: Progress) -> None:
        last = {key: values[-1] for key, values in self.outputs.history.trajectory.items() if isinstance(values, list)}
        total = self.evaluations.total
        status = self.evaluations.status(epoch + 1)
        if status is None:
            status = Status.of_evaluations(epoch + 1, total or epoch + 1, last["valid_acc"], last["test_acc"])
        progress.show(lambda: status)
        self._write_curves()

    def _write_curves(self) -> None:
        """Write what the history has more than at the last time to TensorBoard, some points of it where it is much."""
        writer, history = self.outputs.writer, self.outputs.history
        start, self._written = self._written, len(history)
        if writer is None:
            return
        for key, values in history.trajectory.items():
            if isinstance(values, list):
                for place in spaced(start, len(history), MOST_POINTS):
                    if values[place] is not None:
                        writer.add_scalar(f"search/{key}", values[place], place)


def finish_search(outputs: SearchOutputs, folder: Path) -> None:
    """Write the record of a finished search."""
    outputs.file.write()
    if outputs.arch_weights is not None and is_main():
        outputs.arch_weights.write(folder)
    if outputs.writer is not None:
        outputs.writer.flush()


def _write_scalars(writer: Any, epoch: int, values: Mapping[str, float | None]) -> None:
    if writer is None:
        return
    for key, value in values.items():
        if value is not None:
            writer.add_scalar(f"search/{key}", value, epoch)
