"""LearningOptimizer: outputs, losses and gradients of a supernet on a batch, in however many parts that is run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor

from naslib.errors import ConfigError
from naslib.optimizers.core.metaclasses import Batch
from naslib.search_spaces.core.batch_norm import evaluation_mode
from naslib.search_spaces.core.randomness import Randomness
from naslib.tasks import Task
from naslib.tasks.fields import detached
from naslib.tasks.joined import check_accumulate, join_passes, passes_over
from naslib.utils.distributed import is_distributed, mean_over_ranks_, means_over_ranks
from naslib.utils.rows import whole_batches

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
    accumulate: int = 1
    # Why a method cannot go over a batch in several passes; "" where it can
    whole_batches: str = ""

    def check_task(self, task: Task) -> None:
        """Raise if batches are to be gone over in several passes, and cannot be; see `MetaOptimizer`.

        Raises:
            ConfigError: Saying why.
        """
        if self.accumulate > 1 and self.whole_batches:
            raise ConfigError(
                f"search.accumulate: {type(self).__name__} cannot go over a batch in several passes: "
                f"{self.whole_batches}; leave it out, and make search.batch_size smaller"
            )
        check_accumulate(task, self.accumulate)

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
        autocast = torch.autocast(device, torch.bfloat16, enabled=self.amp)
        with evaluation_mode(self.graph), autocast, whole_batches():  # a few rows, maybe others on each rank
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

        def add(value: Tensor, goes_on: bool) -> None:
            found = torch.autograd.grad(value, list(inputs), allow_unused=True, retain_graph=goes_on)
            for place, gradient in enumerate(found):
                before = total[place]
                if gradient is not None:  # what one pass does not depend on, another may
                    total[place] = gradient if before is None else before + gradient

        outputs, value = self._in_passes(data, loss, add)
        return means_over_ranks(total), outputs, value

    def add_gradients(self, data: Batch, loss: Callable[[Any, Batch], Tensor] | None = None) -> tuple[Any, Tensor]:
        """Add the gradient of the loss of a batch to the `grad` of all leaves; `join_gradients` is to follow.

        Args:
            data: The batch.
            loss: The task's if None.

        Returns:
            Detached outputs and loss, a scalar.
        """
        return self._in_passes(data, loss, lambda value, goes_on: value.backward(retain_graph=goes_on))

    def _in_passes(
        self, data: Batch, loss: Callable[[Any, Batch], Tensor] | None, learn: Callable[[Tensor, bool], None]
    ) -> tuple[Any, Tensor]:
        """Run the supernet on a batch pass by pass, all of which draw the same.

        What they have in common (weights that were assigned) is kept until the last.
        """
        passes = passes_over(self.task, data)
        again = Randomness(self.task.device_of(data)).again if len(passes) > 1 else nullcontext
        outputs, values = [], []
        for number, each in enumerate(passes):
            with each.running(), again() if number else nullcontext():
                found, value = self.forward_loss(each.batch, loss)
                outputs.append(detached(found))
                if not each.share:
                    continue
                if len(passes) > 1:
                    value = value * each.share
                learn(value, number + 1 < len(passes))
                values.append(value.detach())
        return join_passes(outputs), values[0] if len(values) == 1 else torch.stack(values).sum()

    def join_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Make the `grad` of parameters, each of any shape, those of the joined batch."""
        if is_distributed():
            mean_over_ranks_([p.grad for p in parameters if p.grad is not None])
