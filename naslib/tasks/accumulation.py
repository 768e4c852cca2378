"""Accumulation: how much each part of a batch weighs in the loss of the whole."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from naslib.errors import ConfigError

from .criteria import OF_MANY_LABELS, OF_VALUES, is_one_of, name_of
from .sequence import LanguageModelling
from .task import Task

Weigher = Callable[[Any], Tensor | float]


def weigher_of(task: Task, key: str = "search.accumulate") -> Weigher:
    """Return what a batch weighs in a mean loss over several batches: by how much the loss of it is divided.

    Losses of torch are known: means over items or values, and over targets that count, each by the weight of its class.
    A task of your own says it by a method `loss_weight(batch)`.

    Args:
        task: The task.
        key: What a person set, for messages.

    Raises:
        ConfigError: If the loss cannot be put together from losses of parts.
    """
    own = getattr(task, "loss_weight", None)
    if own is not None:
        return own
    name = type(task).__name__
    if not task.SHARES_ROWS:
        raise ConfigError(f"{key}: the loss of the task {name} is of a whole batch, which cannot be gone over in parts")
    if isinstance(task, LanguageModelling):
        raise ConfigError(f"{key}: a text of the task {name} goes on from batch to batch: make batch_size smaller")
    computes = type(task).loss is not Task.loss and not task.uses_criterion()
    if computes or not hasattr(task, "criterion"):
        raise ConfigError(
            f"{key}: the task {name} has a loss of its own; let its method loss_weight(batch) say how much a batch "
            "weighs in a mean over several: for a mean over items `len(batch[0])`"
        )
    return _of_criterion(task.criterion, key)


def _of_criterion(criterion: Any, key: str) -> Weigher:
    reduction = _option(criterion, "reduction", "mean")
    if not _is_torchs(criterion) or reduction not in ("mean", "sum"):
        raise ConfigError(
            f"{key}: nobody knows how the loss {name_of(criterion)} of a batch is put together from losses of its "
            "parts: take a loss of torch.nn, or let the task's method loss_weight(batch) say how much a batch weighs"
        )
    if reduction == "sum":
        return lambda batch: 0.0
    if is_one_of(criterion, (*OF_VALUES, *OF_MANY_LABELS)):
        return lambda batch: float(batch[1].numel())
    if not is_one_of(criterion, ("CrossEntropyLoss", "NLLLoss", "cross_entropy", "nll_loss")):
        return lambda batch: float(len(batch[1]))
    weights, ignored = _option(criterion, "weight", None), int(_option(criterion, "ignore_index", -100))

    def of_classes(batch: Any) -> Tensor | float:
        targets = batch[1]
        if targets.is_floating_point():
            return float(targets.numel() / targets.shape[1])
        counts = targets != ignored
        if weights is None:
            return counts.sum()
        return torch.where(counts, weights.to(targets.device)[targets.clamp(0, len(weights) - 1)], 0.0).sum()

    return of_classes


def _is_torchs(criterion: Any) -> bool:
    function = criterion.func if isinstance(criterion, functools.partial) else criterion
    module = type(function).__module__ if isinstance(function, nn.Module) else getattr(function, "__module__", "")
    return str(module).startswith("torch.nn")


def _option(criterion: Any, name: str, default: Any) -> Any:
    if isinstance(criterion, functools.partial):
        return criterion.keywords.get(name, default)
    return getattr(criterion, name, default)


def shares(weigh: Weigher, batches: Sequence[Any]) -> list[float]:
    """Return by what the losses of parts are multiplied, so that their sum is the loss of the whole.

    Args:
        weigh: Of `weigher_of`; 0 for a loss that is a sum. Where no target counts the loss is no number, as it is of
            the whole.
        batches: The parts.
    """
    found = [weigh(batch) for batch in batches]
    tensors = [weight.detach().double() for weight in found if isinstance(weight, Tensor)]
    # of several tensors the device is waited for once
    read = iter(torch.stack(tensors).tolist() if tensors else ())
    weights = [next(read) if isinstance(weight, Tensor) else float(weight) for weight in found]
    total = sum(weights)
    return [weight / total for weight in weights] if total else [1.0] * len(weights)
