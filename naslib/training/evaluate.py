"""Evaluation of a found network: training from scratch, and testing."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from naslib.errors import ConfigError
from naslib.search_spaces.core.batch_norm import batch_norm_modules, evaluation_mode
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.randomness import Randomness
from naslib.tasks import ClassCounts, Measured, Task
from naslib.tasks.fields import detached
from naslib.tasks.joined import found_by_all, join_passes, joined, passes_over
from naslib.utils.distributed import is_distributed, is_main, mean_over_ranks_
from naslib.utils.files import atomic_write_json
from naslib.utils.joined_buffers import buffer_versions, join_buffers, say_norms
from naslib.utils.log import get_logger
from naslib.utils.rows import whole_batches

from .averaging import WeightAverage
from .batch_check import BatchCheck
from .drop_path import DropPathSchedule
from .loaders import Batch, move_batches
from .loop import EpochTask
from .progress import format_seconds
from .schedule import Schedule, scaled_rate

logger = get_logger(__name__)


@dataclass(frozen=True)
class RetrainSettings:
    """How a network is trained from scratch.

    Attributes:
        epochs: Number of epochs.
        grad_clip: Largest norm of the gradient; 0 or None for no clipping.
        auxiliary_weight: Weight of the auxiliary outputs' loss.
        drop_path_prob: Probability of dropping a path that the end approaches; it rises linearly from 0.
        drop_path: How it rises: see `DropPathSchedule`.
        amp: Whether forwards run under bfloat16 autocast.
        averaging: After how many epochs without a better validation weights are averaged; None for never.
        accumulate: In how many passes each batch is gone over.
        sync_batch_norm: Whether on several ranks batch norm is by the rows of all of them.
    """

    epochs: int
    grad_clip: float | None = None
    auxiliary_weight: float = 0.0
    drop_path_prob: float = 0.0
    drop_path: str = "auto"
    amp: bool = False
    averaging: int | None = None
    accumulate: int = 1
    sync_batch_norm: bool = False

    @classmethod
    def of(cls, evaluation: Any) -> RetrainSettings:
        """Return what the section `evaluation` of a config says."""
        return cls(
            epochs=int(evaluation.epochs),
            grad_clip=evaluation.grad_clip,
            auxiliary_weight=evaluation.auxiliary_weight,
            drop_path_prob=evaluation.drop_path_prob,
            drop_path=str(evaluation.get("drop_path", "auto")),
            amp=bool(evaluation.get("amp", False)),
            averaging=evaluation.get("averaging"),
            accumulate=int(evaluation.get("accumulate", 1)),
            sync_batch_norm=bool(evaluation.get("sync_batch_norm", False)),
        )


class EvaluationHistory:
    """One row per epoch of the retraining, kept in checkpoints and in `history.json`."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def state_dict(self) -> dict[str, Any]:
        """Return the rows."""
        return {"rows": [dict(row) for row in self.rows]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take the rows of a checkpoint."""
        self.rows = [dict(row) for row in state["rows"]]


class RetrainTask(EpochTask):
    """Train a network with auxiliary loss, drop-path schedule and gradient clipping.

    Args:
        network: The network; a graph with other sinks than the last has auxiliary outputs.
        optimizer: Of its weights.
        scheduler: A learning-rate schedule (see `Schedule`), or None.
        task: What is learned: the loss that is trained, the scores.
        valid: Loader of the validation part; None for none.
        settings: See there.
        device: Where batches go.
        channels_last: Memory format of images.
        writer: A TensorBoard writer or None.
        history_path: Where `history.json` goes.
        steps: Batches of an epoch; None where that is not known.

    Raises:
        ConfigError: If weights are to be averaged, and there is no validation part, or the network has batch norms; or
            if paths cannot be dropped as it was asked for.
    """

    title = "retrain"

    def __init__(
        self,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        scheduler: Any,
        task: Task,
        valid: Iterable[Any] | None,
        settings: RetrainSettings,
        device: torch.device,
        channels_last: bool,
        writer: Any,
        history_path: Path,
        steps: int | None = None,
    ) -> None:
        task = joined(task, settings.sync_batch_norm, settings.accumulate)
        self.network, self.optimizer, self.task = network, optimizer, task
        chances = settings.drop_path_prob, settings.epochs, steps
        self.drop_path = DropPathSchedule(network, settings.drop_path, *chances)
        self.schedule = Schedule(scheduler, optimizer, settings.epochs, validates=valid is not None)
        self.valid, self.settings, self.device, self.channels_last = valid, settings, device, channels_last
        self.writer, self.history_path = writer, history_path
        self.history = EvaluationHistory()
        self.meters = {"training": task.meter(device)}
        self.check = BatchCheck(task)
        self.average: WeightAverage | None = None
        if settings.averaging is not None:
            if valid is None:
                raise ConfigError(
                    "evaluation.averaging begins when the validation becomes no better, and there is no validation "
                    "part: set evaluation.train_portion below 1"
                )
            self.average = WeightAverage(network, settings.averaging)
        self._parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
        say_norms(batch_norm_modules(network), settings.sync_batch_norm, "evaluation.sync_batch_norm")

    def begin_epoch(self, epoch: int) -> None:
        """Set the drop-path probability of the epoch."""
        self.network.train()
        if self.average is not None:
            self.average.take_back()
        self.drop_path.begin_epoch(epoch, self.network)

    def train_step(self, batch: Batch, step: int) -> None:
        """Make one step of gradient descent."""
        if not self.check.is_done:
            self.check.try_network(self._run, batch)
        self.drop_path.before_step(step)
        try:
            self._descend(batch, step)
        except Exception as error:
            self.check.explain(error, ("training", step, batch))
            raise

    def _run(self, batch: Batch) -> Any:
        autocast = torch.autocast(self.device.type, torch.bfloat16, enabled=self.settings.amp)
        with evaluation_mode(self.network), autocast, whole_batches():  # a few rows, maybe others on each rank
            return self.task.forward(self.network, batch)

    def _descend(self, batch: Batch, step: int) -> None:
        task = self.task
        self.optimizer.zero_grad(set_to_none=True)
        before = buffer_versions(self.network)
        outputs, objective = self._add_gradients(batch)
        if is_distributed():
            mean_over_ranks_([p.grad for p in self._parameters if p.grad is not None])
            join_buffers(self.network, before, self.settings.sync_batch_norm)
        if self.settings.grad_clip:
            nn.utils.clip_grad_norm_(self._parameters, self.settings.grad_clip)
        with scaled_rate(self.optimizer, task.rate_share(batch)):
            self.optimizer.step()
        if self.average is not None:
            self.average.after_step()
        self.meters["training"].update(outputs, batch, objective, step)
        self.schedule.after_step()

    def _add_gradients(self, batch: Batch) -> tuple[Any, torch.Tensor]:
        """Add the gradients of the objective, pass by pass; return detached outputs and objective."""
        task, found, values = self.task, [], []
        passes = passes_over(task, batch)
        again = Randomness(self.device).again if len(passes) > 1 else nullcontext
        for number, each in enumerate(passes):
            autocast = torch.autocast(self.device.type, torch.bfloat16, enabled=self.settings.amp)
            with each.running(), again() if number else nullcontext(), autocast:
                outputs, auxiliary = forward_with_auxiliary(task, self.network, each.batch)
                objective = task.weight_loss(outputs, each.batch)
                if self.settings.auxiliary_weight:
                    for output in auxiliary:
                        objective = objective + self.settings.auxiliary_weight * task.loss(output, each.batch)
                if len(passes) > 1:
                    objective = objective * each.share
            found.append(detached(outputs))
            if each.share:
                objective.backward()
                values.append(objective.detach())
        return join_passes(found), values[0] if len(values) == 1 else torch.stack(values).sum()

    def end_epoch(self, epoch: int, seconds: float) -> None:
        """Validate where there is a validation part, step the schedule, and record."""
        rate = self.schedule.rate
        train = self.meters["training"].read()
        valid = Measured.nothing(self.task.scores)
        if self.valid is not None:
            settings = (self.device, self.channels_last, self.settings.amp)
            with self.average.averaged() if self.average is not None else nullcontext():
                valid = test(self.network, self.valid, self.task.plain(), *settings, "validation", self.check)
        self.schedule.after_epoch(train, valid)
        measured = {**train.by_key("train"), **valid.by_key("valid")}
        row = {"epoch": epoch, **measured, "learning_rate": rate, "seconds": seconds}
        if self.average is not None:
            row["averaged"] = self.average.is_on
            self.average.after_epoch(valid.loss)
        self.history.rows.append(row)
        if is_main():
            atomic_write_json(self.history_path, self.history.rows)
        if self.writer is not None:
            for key, value in row.items():
                if value is not None and key != "epoch":
                    self.writer.add_scalar(f"evaluation/{key}", value, epoch)
        validated = (
            f", valid{' of averaged weights' if row.get('averaged') else ''} {in_words(valid)}" if valid.count else ""
        )
        logger.info(
            "retrain epoch %d/%d: train %s%s, %s",
            epoch + 1, self.settings.epochs, in_words(train), validated, format_seconds(seconds),
        )  # fmt: skip

    def finish(self) -> None:
        """Leave the averaged weights in the network, where there are any."""
        if self.average is not None:
            self.average.put()


def in_words(measured: Measured) -> str:
    """Return loss and deciding score in a few words, for log lines."""
    score = measured.scores[0]
    value = "-" if measured.deciding is None else f"{measured.deciding:.{2 if score.unit == '%' else 4}f}"
    return f"loss {'-' if measured.loss is None else f'{measured.loss:.4f}'} {score.key} {value}"


def forward_with_auxiliary(task: Task, network: nn.Module, batch: Batch) -> tuple[Any, list[Any]]:
    """Return the outputs of a network on a batch, and its auxiliary outputs in a fixed order."""
    if not isinstance(network, Graph):
        return task.forward(network, batch), []
    found: list[Any] = []
    outputs = task.forward(functools.partial(_main_output, network, found), batch)
    return outputs, found_by_all(task, found, batch)


def _main_output(network: Graph, found: list[Any], *args: Any, **kwargs: Any) -> Any:
    output, auxiliary = network.forward_with_auxiliary(*args, **kwargs)
    found.extend(output for output in auxiliary.values() if output is not None)
    return output


@torch.no_grad()
def test(
    network: nn.Module,
    loader: Iterable[Any],
    task: Task,
    device: torch.device,
    channels_last: bool = False,
    amp: bool = False,
    name: str = "test",
    check: BatchCheck | None = None,
    by_class: ClassCounts | None = None,
) -> Measured:
    """Return loss and scores of a network in evaluation mode; its mode is what it was afterwards.

    Args:
        network: The network, on the device.
        loader: Batches.
        task: What is measured.
        device: Where batches go.
        channels_last: Memory format of images.
        amp: Whether forwards run under bfloat16 autocast.
        name: What messages call the loader.
        check: Knows what the network gives, to explain a batch that fails; a new one if None.
        by_class: Counts true and predicted classes in the same pass.

    Raises:
        DataError: If the loader has no batches.
    """
    was_training = network.training
    network.eval()
    meter, check = task.meter(device), check or BatchCheck(task)
    try:
        for number, batch in enumerate(move_batches(loader, device, channels_last, name, task)):
            check.remember(batch)
            with check.explaining((name, number, batch)), torch.autocast(device.type, torch.bfloat16, enabled=amp):
                outputs = task.forward(network, batch)
                meter.update(outputs, batch, task.loss(outputs, batch))
                if by_class is not None:
                    by_class.update(outputs, batch)
    finally:
        network.train(was_training)
    return meter.read()
