"""Evaluation of a found network: training from scratch, and testing."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from naslib.errors import ConfigError
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.primitives import set_drop_path_prob
from naslib.utils.files import atomic_write_json
from naslib.utils.log import get_logger

from .loaders import Batch, move_batches
from .loop import EpochTask
from .metrics import Meter, Score
from .progress import format_seconds
from .schedule import Schedule

logger = get_logger(__name__)

Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class RetrainSettings:
    """How a network is trained from scratch.

    Attributes:
        epochs: Number of epochs.
        grad_clip: Largest norm of the gradient; 0 or None for no clipping.
        auxiliary_weight: Weight of the auxiliary outputs' loss.
        drop_path_prob: Probability of dropping a path that the last epoch approaches; it rises linearly from 0.
        amp: Whether forwards run under bfloat16 autocast.
        label_smoothing: Share of each label that the training loss spreads over all classes.
    """

    epochs: int
    grad_clip: float | None = None
    auxiliary_weight: float = 0.0
    drop_path_prob: float = 0.0
    amp: bool = False
    label_smoothing: float = 0.0


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
        loss: The criterion; labels are smoothed in training only.
        valid: Loader of the validation part; None for none.
        settings: See there.
        device: Where batches go.
        channels_last: Memory format of images.
        writer: A TensorBoard writer or None.
        history_path: Where `history.json` goes.
    """

    title = "retrain"

    def __init__(
        self,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        scheduler: Any,
        loss: Loss,
        valid: Iterable[Any] | None,
        settings: RetrainSettings,
        device: torch.device,
        channels_last: bool,
        writer: Any,
        history_path: Path,
    ) -> None:
        self.network, self.optimizer, self.loss = network, optimizer, loss
        self.schedule = Schedule(scheduler, optimizer, settings.epochs, validates=valid is not None)
        self.training_loss = with_label_smoothing(loss, settings.label_smoothing)
        self.valid, self.settings, self.device, self.channels_last = valid, settings, device, channels_last
        self.writer, self.history_path = writer, history_path
        self.history = EvaluationHistory()
        self.meters = {"training": Meter(device)}
        self._parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]

    def begin_epoch(self, epoch: int) -> None:
        """Set the drop-path probability of the epoch."""
        self.network.train()
        set_drop_path_prob(self.network, self.settings.drop_path_prob * epoch / max(self.settings.epochs, 1))

    def train_step(self, batch: Batch, step: int) -> None:
        """Make one step of gradient descent."""
        images, labels = batch
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.settings.amp):
            logits, auxiliary = forward_with_auxiliary(self.network, images)
            objective = self.training_loss(logits, labels)
            if self.settings.auxiliary_weight:
                for output in auxiliary:
                    objective = objective + self.settings.auxiliary_weight * self.training_loss(output, labels)
        objective.backward()
        if self.settings.grad_clip:
            nn.utils.clip_grad_norm_(self._parameters, self.settings.grad_clip)
        self.optimizer.step()
        self.meters["training"].update(logits.detach(), labels, objective.detach(), step)
        self.schedule.after_step()

    def end_epoch(self, epoch: int, seconds: float) -> None:
        """Validate where there is a validation part, step the schedule, and record."""
        rate = self.schedule.rate
        train = self.meters["training"].read()
        valid = Score(None, None, None, 0)
        if self.valid is not None:
            settings = (self.device, self.channels_last, self.settings.amp)
            valid = test(self.network, self.valid, self.loss, *settings, "validation")
        self.schedule.after_epoch(train, valid)
        row = {
            "epoch": epoch, "train_loss": train.loss, "train_acc": train.top1, "train_top5": train.top5,
            "valid_loss": valid.loss, "valid_acc": valid.top1, "valid_top5": valid.top5,
            "learning_rate": rate, "seconds": seconds,
        }  # fmt: skip
        self.history.rows.append(row)
        atomic_write_json(self.history_path, self.history.rows)
        if self.writer is not None:
            for key, value in row.items():
                if value is not None and key != "epoch":
                    self.writer.add_scalar(f"evaluation/{key}", value, epoch)
        validated = f", valid loss {valid.loss:.4f} acc {valid.top1:.2f}" if valid.images else ""
        logger.info(
            "retrain epoch %d/%d: train loss %.4f acc %.2f%s, %s",
            epoch + 1, self.settings.epochs, train.loss or 0.0, train.top1 or 0.0, validated, format_seconds(seconds),
        )  # fmt: skip


def with_label_smoothing(loss: Loss, share: float) -> Loss:
    """Return a loss that spreads a share of each label evenly over all classes; the loss itself for 0.

    Raises:
        ConfigError: If the loss knows no label smoothing.
    """
    if not share:
        return loss
    if isinstance(loss, nn.CrossEntropyLoss):
        smoothed = copy.copy(loss)
        smoothed.label_smoothing = share
        return smoothed
    if not isinstance(loss, nn.Module) and "label_smoothing" in inspect.signature(loss).parameters:
        return functools.partial(cast("Callable[..., Tensor]", loss), label_smoothing=share)
    name = getattr(loss, "__name__", type(loss).__name__)
    raise ConfigError(f"evaluation.label_smoothing={share}: the loss {name} knows none; it goes with a cross entropy")


def forward_with_auxiliary(network: nn.Module, images: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Return the output of a network, and its auxiliary outputs in a fixed order."""
    if not isinstance(network, Graph):
        return network(images), []
    logits, auxiliary = network.forward_with_auxiliary(images)
    return logits, [output for output in auxiliary.values() if output is not None]


@torch.no_grad()
def test(
    network: nn.Module,
    loader: Iterable[Any],
    loss: Loss,
    device: torch.device,
    channels_last: bool = False,
    amp: bool = False,
    name: str = "test",
) -> Score:
    """Return loss and accuracies of a network in evaluation mode; its mode is what it was afterwards.

    `name` is what messages call the loader.

    Raises:
        DataError: If the loader has no batches.
    """
    was_training = network.training
    network.eval()
    meter = Meter(device)
    try:
        for images, labels in move_batches(loader, device, channels_last, name):
            with torch.autocast(device.type, torch.bfloat16, enabled=amp):
                logits = network(images)
                batch_loss = loss(logits, labels)
            meter.update(logits, labels, batch_loss)
    finally:
        network.train(was_training)
    return meter.read()
