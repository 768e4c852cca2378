"""LearningOptimizer: outputs, losses and gradients of a supernet on a batch, in however many parts that is run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor

from naslib.optimizers.core.metaclasses import Batch
from naslib.search_spaces.core.batch_norm import evaluation_mode
from naslib.search_spaces.core.randomness import Randomness
from naslib.tasks.fields import detached
from naslib.tasks.joined import join_passes, passes_over
from naslib.utils.distributed import is_distributed, mean_over_ranks_

from .supernet import SupernetOptimizer
from .trial_forward import check_forward


class LearningOptimizer(SupernetOptimizer):
    """Ask the supernet for outputs, losses and gradients.

    On several ranks, and where a batch is gone over in several passes, all of them are those of the joined batch
    (`naslib.tasks.joined`). Whoever takes a gradient by himself has the mean over ranks to take
    (`naslib.utils.distributed.mean_over_ranks_`).

    Args:
        **kwargs: See `SupernetOptimizer`.

    Attributes:
        amp: Whether forwards run under bfloat16 autocast.
    """

    amp = False

    def forward_loss(self, data: Batch, loss: Callable[[Any, Batch], Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """Return logits and loss of the supernet on a batch, running what is assigned, or a sample of its own.

        Logits `(n, classes)`, the loss a scalar: the task's if None, or its `weight_loss`.
        """
        task = self.task
        with torch.autocast(task.device_of(data).type, torch.bfloat16, enabled=self.amp):
            with self.sampling():
                logits = task.forward(self.graph, data)
            value = (loss or task.loss)(logits, data)
        return logits, value

    def probe(self, data: Batch) -> Any:
        """Return the outputs of the supernet in evaluation mode; see the parent."""
        task = self.task
        device = task.device_of(data).type
        with evaluation_mode(self.graph), torch.autocast(device, torch.bfloat16, enabled=self.amp):
            check_forward(self.graph, self.scope, lambda: task.forward(self.graph, data))
            return task.forward(self.graph, data)

    def exact_loss(self, data: Batch) -> Tensor:
        """Return the loss of the supernet on a batch in full precision, for derivatives of higher order.

        A scalar.
        """
        with self.sampling():
            outputs = self.task.forward(self.graph, data)
        return self.task.loss(outputs, data)

    def paid(self, logits: Any, data: Batch) -> float:
        """Return what a policy is paid for outputs on a batch: the task's deciding score, accuracies in [0, 1]."""
        return self.task.reward(self.task.value_of(logits, data))

    @contextmanager
    def fixed_architecture(self) -> Iterator[None]:
        """Treat the architecture parameters as constants in the forwards inside."""
        trained = [parameter for parameter in self.architecture_parameters if parameter.requires_grad]
        for parameter in trained:
            parameter.requires_grad_(False)
        try:
            yield
        finally:
            for parameter in trained:
                parameter.requires_grad_(True)

    # gradients

    def data_gradient(
        self, data: Batch, inputs: Sequence[Tensor], loss: Callable[[Any, Batch], Tensor] | None = None
    ) -> tuple[list[Tensor | None], Any, Tensor]:
        """Return the gradient of the loss of a batch, and the detached outputs and loss.

        Gradients have the shape of their inputs, None where the loss does not depend on one; the loss is a scalar.

        Args:
            data: The batch.
            inputs: What is differentiated by: leaves.
            loss: The task's if None.
        """
        total: list[Tensor | None] = [None] * len(inputs)

        def add(value: Tensor) -> None:
            for place, gradient in enumerate(torch.autograd.grad(value, list(inputs), allow_unused=True)):
                before = total[place]
                total[place] = gradient if before is None or gradient is None else before + gradient

        outputs, value = self._in_passes(data, loss, add)
        mean_over_ranks_([gradient for gradient in total if gradient is not None])
        return total, outputs, value

    def add_gradients(self, data: Batch, loss: Callable[[Any, Batch], Tensor] | None = None) -> tuple[Any, Tensor]:
        """Add the gradient of the loss of a batch to the `grad` of all leaves; `join_gradients` is to follow.

        Args:
            data: The batch.
            loss: The task's if None.

        Returns:
            Detached outputs and loss, a scalar.
        """
        return self._in_passes(data, loss, lambda value: value.backward())

    def _in_passes(
        self, data: Batch, loss: Callable[[Any, Batch], Tensor] | None, learn: Callable[[Tensor], None]
    ) -> tuple[Any, Tensor]:
        """Run the supernet on a batch pass by pass, all of which draw the same."""
        passes = passes_over(self.task, data)
        again = Randomness(self.task.device_of(data)).again if len(passes) > 1 else nullcontext
        outputs, values = [], []
        for number, each in enumerate(passes):
            with each.running(), again() if number else nullcontext():
                found, value = self.forward_loss(each.batch, loss)
                if len(passes) > 1:
                    value = value * each.share
                learn(value)
            outputs.append(detached(found))
            values.append(value.detach())
        return join_passes(outputs), values[0] if len(values) == 1 else torch.stack(values).sum()

    def join_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Make the `grad` of parameters those of the joined batch."""
        if is_distributed():
            mean_over_ranks_([p.grad for p in parameters if p.grad is not None])
