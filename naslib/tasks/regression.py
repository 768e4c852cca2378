"""Regression: measured values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from naslib.errors import ConfigError
from naslib.registry.catalogue import TASKS

from .criteria import OF_MANY_LABELS, OF_ONE_CLASS, Criterion, is_one_of, name_of
from .fields import describe_value
from .score import Score
from .task import Task


@TASKS.register("regression")
class Regression(Task):
    """Predict measured values.

    Targets are `(n,)`, `(n, k)` or of any shape of numbers that the network's outputs have, too; `(n,)` goes with
    `(n, 1)`. Scores are root mean squared error, mean absolute error and R2 (the mean over the k values, as each is
    measured on its own scale; of targets with more dimensions over all numbers at once).

    Args:
        loss: The criterion, see `Task`.
        unit: Of the targets (`"degrees"`), for reports.
        inputs: See `Task`.
        targets: See `Task`.
        output_size: Number k of values.
    """

    DEFAULT_LOSS: ClassVar[str] = "MSELoss"
    EXPECTS: ClassVar[str] = "a pair (inputs, values)"
    TARGET_NAMES: ClassVar[tuple[str, ...]] = ("target", "targets", "value", "values", "y", "label", "labels")

    def __init__(
        self,
        loss: Any = None,
        unit: str = "",
        *,
        inputs: str | None = None,
        targets: str | None = None,
        output_size: int | None = None,
    ) -> None:
        self.scores = (Score("rmse", False, unit), Score("mae", False, unit), Score("r2", True))
        super().__init__(loss, inputs=inputs, targets=targets, output_size=output_size)

    def make_criterion(self, loss: Any) -> Criterion:
        """Return the criterion; see the parent."""
        criterion = super().make_criterion(loss)
        if is_one_of(criterion, (*OF_ONE_CLASS, *OF_MANY_LABELS)):
            raise ConfigError(
                f"the loss {name_of(criterion)} is of classes and cannot take measured values: use MSELoss, L1Loss, "
                "SmoothL1Loss or HuberLoss, or say task=classification"
            )
        return criterion

    def loss(self, outputs: Any, batch: Any) -> Tensor:
        """Return the loss; outputs and targets are brought to one shape, so that nothing is broadcast."""
        return self.criterion(outputs, _like(batch[1], outputs))

    def uses_criterion(self) -> bool:
        """Return True for this class; see `Task`."""
        return type(self).loss is Regression.loss

    def prepare_targets(self, targets: Tensor) -> Tensor:
        """Return targets in the network's type.

        `(n, ...)` in and out.
        """
        return targets if targets.dtype is self.dtype else targets.to(self.dtype)

    def statistics(self, outputs: Any, batch: Any) -> Sequence[Tensor | float]:
        """Return squared and absolute errors and sums of the targets per value, and the number of inputs.

        Sums are `(values,)`, the number is a scalar.
        """
        targets = _like(batch[1], outputs).double()
        if targets.dim() != 2:
            targets = targets.reshape(-1, 1)
        error = outputs.double().reshape(targets.shape) - targets
        rows = targets.shape[0]
        sums = [error.square().sum(0), error.abs().sum(0), targets.sum(0), targets.square().sum(0)]
        return [*sums, rows, batch[1].shape[0]]

    def summarize(self, sums: Sequence[float]) -> Sequence[float | None]:
        """Return the scores; R2 is None where the targets are all the same."""
        *totals, rows, _ = sums
        k = len(totals) // 4
        squared, absolute, first, second = (totals[i * k : (i + 1) * k] for i in range(4))
        spread = [b - a * a / rows for a, b in zip(first, second, strict=True)]
        # of rounding alone where a value is constant
        is_constant = [s <= 1e-12 * max(b, 1e-300) for s, b in zip(spread, second, strict=True)]
        r2 = None if any(is_constant) else sum(1 - e / s for e, s in zip(squared, spread, strict=True)) / k
        return math.sqrt(sum(squared) / (rows * k)), sum(absolute) / (rows * k), r2

    def output_problems(self, outputs: Any, batch: Any) -> list[str]:
        """Return why outputs are not the values of the targets."""
        targets = batch[1]
        if isinstance(outputs, Tensor) and _fits(targets.shape, outputs.shape):
            return []
        return [
            f"the network gives {describe_value(outputs)}, targets are {describe_value(targets)}: expected an output "
            "for each value (of class numbers the task is classification)"
        ]


def _fits(targets: torch.Size, outputs: torch.Size) -> bool:
    return targets == outputs or (*targets, 1) == tuple(outputs) or (*outputs, 1) == tuple(targets)


def _like(targets: Tensor, outputs: Tensor) -> Tensor:
    """Return targets in the shape of outputs, where they differ by a last dimension of 1 only."""
    if targets.shape == outputs.shape or not _fits(targets.shape, outputs.shape):
        return targets
    return targets.reshape(outputs.shape)
