"""OneShotOptimizer: the template that every weight-sharing method fills in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from naslib.optimizers.core.metaclasses import Batch, Stateful, StepResult
from naslib.search_spaces.core.batch_norm import frozen_batch_norm_statistics
from naslib.tasks import Task, settle_task
from naslib.tasks.criteria import is_chosen
from naslib.tasks.fields import detached
from naslib.tasks.joined import joined
from naslib.utils.distributed import check_alike, means_over_ranks
from naslib.utils.joined_buffers import buffer_versions, join_buffers, say_norms
from naslib.utils.pytorch_helper import create_optimizer

from .capturing import OF_A_STEP
from .checkpointables import PartsState, ScheduleState
from .learning import LearningOptimizer
from .schedulable import IN_OPTIMIZERS, OF_TRAINING
from .searched import NamedWeights
from .stage_schedules import restarting_cosine
from .structure import CurrentModel


class OneShotOptimizer(LearningOptimizer):
    """Search by training one network that contains every candidate.

    A subclass says how the decisions are relaxed or drawn (`relaxation`; softmax unless it says otherwise), and where
    it differs, how an edge under search is executed (`update_ops`) and parametrised (`add_alphas`), and how the
    architecture parameters get their gradient (`architecture_gradient`: the alternating first-order step). What several
    methods have in common is a part (`naslib.optimizers.oneshot.parts`); a method names its own in `PARTS`.

    Args:
        learning_rate: Of the operation weights.
        momentum: Of their optimizer.
        weight_decay: Of the operation weights.
        nesterov: Whether their optimizer uses Nesterov momentum.
        grad_clip: Largest norm of the weights' gradient; 0 or None for no clipping.
        arch_learning_rate: Of the architecture parameters.
        arch_weight_decay: Of the architecture parameters.
        op_optimizer: Name or class of the weights' optimizer.
        arch_optimizer: Name or class of the architecture parameters' optimizer.
        loss_criteria: Name or class of the loss, or a ready one; retraining takes it as well.
        label_smoothing: Share of each label that the loss of the search spreads over all classes; for a cross entropy.
        amp: Whether to run forwards under bfloat16 autocast.
        task: What learning means, a `naslib.tasks.Task` or the name of one; None: what the Trainer says (the config,
            the data set), or without it what goes with the loss.
        accumulate: In how many passes each batch is gone over, so that it needs the memory of a part of it.
        sync_batch_norm: Whether on several ranks batch norm is by the rows of all of them.
        **kwargs: See `SupernetOptimizer`.

    Attributes:
        op_optimizer: Optimizer of the weights (after adapting).
        arch_optimizer: Optimizer of the architecture parameters (after adapting).
        loss: The criterion of the task.
    """

    # Adam's betas for architecture parameters, as in the authors' code of DARTS and its successors
    ARCH_BETAS: ClassVar[tuple[float, float]] = (0.5, 0.999)
    PASS_HOOKS = OF_A_STEP
    SCHEDULABLE = OF_TRAINING
    HELD_BY = IN_OPTIMIZERS
    # Names of plain attributes that belong into a checkpoint
    SCHEDULED: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        learning_rate: float = 0.025,
        momentum: float = 0.9,
        weight_decay: float = 0.0003,
        grad_clip: float | None = 5,
        arch_learning_rate: float = 0.0003,
        arch_weight_decay: float = 0.001,
        op_optimizer: str | type = "SGD",
        arch_optimizer: str | type = "Adam",
        loss_criteria: Any = "CrossEntropyLoss",
        nesterov: bool = False,
        amp: bool = False,
        label_smoothing: float = 0.0,
        task: Any = None,
        accumulate: int = 1,
        sync_batch_norm: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.accumulate, self.sync_batch_norm = accumulate, sync_batch_norm
        for part in self.parts.values():
            part.optimizer = self
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.nesterov = nesterov
        self.grad_clip = grad_clip
        self.arch_learning_rate = arch_learning_rate
        self.arch_weight_decay = arch_weight_decay
        self.amp = amp
        self._optimizer_kinds = (op_optimizer, arch_optimizer)
        self.op_optimizer: Any = op_optimizer
        self.arch_optimizer: Any = arch_optimizer
        self.loss_criteria = loss_criteria
        self.label_smoothing = label_smoothing
        settled = settle_task(task, self.given_loss)
        self.given_task = None if task is None else settled
        self.use_task(settled)

    @property
    def given_loss(self) -> Any:
        """The loss that the optimizer was made with, None where nobody chose one."""
        return self.loss_criteria if is_chosen(self.loss_criteria) else None

    def use_task(self, task: Task) -> None:
        """Search for what does a task best; the loss of the search has the optimizer's label smoothing.

        Raises:
            ConfigError: If its loss knows none.
        """
        smoothed = task.smoothed(self.label_smoothing, "search.label_smoothing")
        super().use_task(joined(smoothed, self.sync_batch_norm, self.accumulate))

    @property
    def loss(self) -> Any:
        """The criterion of the task, `(outputs, targets)` -> loss; None where the task computes its loss itself."""
        return getattr(self.task, "criterion", None)

    @loss.setter
    def loss(self, criterion: Any) -> None:
        self.use_task(self.task.with_loss(criterion))

    def _build_optimizers(self) -> None:
        of_weights, of_architecture = self._optimizer_kinds
        self.op_optimizer = create_optimizer(
            of_weights,
            self.weights,
            lr=self.learning_rate,
            weight_decay=self.weight_decay,
            momentum=self.momentum,
            nesterov=self.nesterov,
        )
        if not self.architecture_parameters:
            self.arch_optimizer = None
            return
        self.arch_optimizer = create_optimizer(
            of_architecture,
            self.architecture_parameters,
            lr=self.arch_learning_rate,
            weight_decay=self.arch_weight_decay,
            betas=self.ARCH_BETAS,
        )

    def before_training(self) -> None:
        """Move the supernet and the architecture parameters to `device`."""
        self._require_adapted()
        self.check_device(self.device)
        if self.accumulate > 1:
            self.check_task(self.task)
        self.task = joined(self.task, self.sync_batch_norm, self.accumulate)  # ranks may have been joined meanwhile
        self.graph.to(self.device)
        self.task.to(self.device)
        self.architectural_weights.to(self.device)
        for parameter in self.architecture_parameters:
            parameter.data = parameter.data.to(self.device)
        say_norms(self._norms, self.sync_batch_norm)

    def new_epoch(self, epoch: int) -> None:
        """Begin an epoch: the parts follow their schedules.

        Raises:
            OptimizerStateError: If the ranks of a search do not have the same weights and architecture parameters.
        """
        check_alike({"weights": self.weights, "architecture parameters": self.architecture_parameters})
        self.captures.forget()
        for part in self.parts.values():
            part.new_epoch(epoch)

    def build_scheduler(self, learning_rate_min: float) -> Any:
        """Return the schedule of the weights' learning rate where a part restarts it, None for the Trainer's own.

        Args:
            learning_rate_min: The smallest rate.
        """
        starts = [start for part in self.parts.values() for start in part.restarts if 0 < start < self.epochs]
        if not starts:
            return None
        return restarting_cosine(self.op_optimizer, self.learning_rate, learning_rate_min, self.epochs, starts)

    @property
    def is_finished(self) -> bool:
        """Whether a part (early stopping) ends the search."""
        return any(part.is_finished for part in self.parts.values())

    def select_architecture(self, train_batches: Iterable[Batch], valid_batches: Iterable[Batch]) -> None:
        """Let the parts choose the architecture (`outcome`), where one of them has a selection phase; once."""
        if self.outcome is not None:
            return
        with self.captures.paused():
            for part in self.parts.values():
                part.select(train_batches, valid_batches)

    # the step

    def step(self, data_train: Batch, data_val: Batch) -> StepResult:
        """Update the architecture parameters on the validation batch, then the weights on the training batch.

        Args:
            data_train: Inputs and targets for the weights.
            data_val: Inputs and targets for the architecture.

        Returns:
            Detached `(logits_train, logits_val, train_loss, val_loss)`.
        """
        self._require_adapted()
        self.outcome = None  # chosen for other weights
        if self._trains_architecture():
            logits_val, val_loss = self.architecture_step(data_train, data_val)
        else:
            logits_val, val_loss = self.validation_forward(data_val)
        logits_train, train_loss = self.weight_step(data_train)
        return logits_train, logits_val, train_loss, val_loss

    def _trains_architecture(self) -> bool:
        trains = all(part.trains_architecture for part in self.parts.values())
        return trains and bool(self.architecture_parameters)

    @torch.no_grad()
    def validation_forward(self, data_val: Batch) -> tuple[Tensor, Tensor]:
        """Return validation logits and loss where the architecture is not trained; nothing is updated.

        Logits `(n, classes)`, the loss a scalar.
        """
        with frozen_batch_norm_statistics(self._norms):
            return self.forward_loss(data_val)

    def architecture_step(self, data_train: Batch, data_val: Batch) -> tuple[Tensor, Tensor]:
        """Update the architecture parameters; weights and BN statistics are not touched.

        Logits `(n, classes)`, the loss a scalar.

        Returns:
            Detached validation logits and loss.
        """
        parts = self.parts.values()
        for part in parts:
            part.before_architecture_step(data_val)
        logits, loss = self.run_pass(self._architecture_pass, self.architecture_parameters, data_train, data_val)
        self.update_architecture()
        for part in parts:
            part.after_architecture_step(data_val)
        return logits, loss

    def _architecture_pass(self, data_train: Batch, data_val: Batch) -> tuple[Tensor, Tensor]:
        with ExitStack() as stack:
            stack.enter_context(frozen_batch_norm_statistics(self._norms))
            for part in self.parts.values():
                stack.enter_context(part.during_architecture_step(data_val))
            gradient, logits, loss = self.architecture_gradient(data_train, data_val)
        gradient = means_over_ranks(gradient)  # of a method that knows nothing of ranks, too
        for alpha, value in zip(self.architecture_parameters, gradient, strict=True):
            alpha.grad = value
        return logits, loss

    def update_architecture(self) -> None:
        """Let the optimizer of the architecture parameters take its step; their gradients are set."""
        self.arch_optimizer.step()

    def architecture_gradient(self, data_train: Batch, data_val: Batch) -> tuple[list[Tensor], Tensor, Tensor]:
        """Return the gradient of the validation loss by architecture parameter, and the detached logits and loss.

        Gradients have the shape of their parameters; logits `(n, classes)`, the loss a scalar.

        What the parts watch (gradients of weights) is found in the same backward; it is that of the validation loss
        itself, whatever the parts add to it or multiply it by.
        """
        alphas = self.architecture_parameters
        watched = [list(part.watched()) for part in self.parts.values()]
        inputs = [*alphas, *(tensor for tensors in watched for tensor in tensors)]
        found, logits, loss = self.data_gradient(data_val, inputs)
        gradient = self.with_terms(loss, found[: len(alphas)])
        others = iter(found[len(alphas) :])
        for part, tensors in zip(self.parts.values(), watched, strict=True):
            if tensors:
                part.watch([next(others) for _ in tensors])
        return gradient, logits, loss

    def architecture_loss(self, loss: Tensor) -> Tensor:
        """Return the loss whose gradient the architecture parameters get: the validation loss and the parts' terms.

        Both are scalars.

        Parts that multiply the loss come first, whatever their order, so that they multiply no other part's term.
        """
        parts = self.parts.values()
        for part in [*(p for p in parts if p.scales_loss), *(p for p in parts if not p.scales_loss)]:
            loss = part.architecture_loss(loss)
        return loss

    def with_terms(self, loss: Tensor, gradient: Sequence[Tensor | None]) -> list[Tensor]:
        """Return the gradient of `architecture_loss` by architecture parameter, given that of the loss of the data.

        By the chain rule: the network is not gone through a second time.

        Args:
            loss: The loss of the data, a scalar.
            gradient: Its gradient, None where it does not depend on a parameter.
        """
        alphas = self.architecture_parameters
        own = [torch.zeros_like(a) if g is None else g for a, g in zip(alphas, gradient, strict=True)]
        leaf = loss.detach().requires_grad_()
        with torch.enable_grad():
            total = self.architecture_loss(leaf)
        if total is leaf:
            return own
        factor, *direct = torch.autograd.grad(total, [leaf, *alphas], allow_unused=True)
        scaled = [torch.zeros_like(g) if factor is None else factor * g for g in own]
        return [g if term is None else g + term for g, term in zip(scaled, direct, strict=True)]

    def weight_step(self, data_train: Batch) -> tuple[Tensor, Tensor]:
        """Update the operation weights; the architecture parameters are constants here.

        Logits `(n, classes)`, the loss a scalar.

        Returns:
            Detached training logits and loss.
        """
        parts = self.parts.values()
        for part in parts:
            part.before_weight_step(data_train)
        self.op_optimizer.zero_grad(set_to_none=True)
        logits, loss = self.run_pass(self._weight_pass, self.weights, data_train)
        for part in parts:
            part.weight_gradient(data_train)
        if self.grad_clip:
            nn.utils.clip_grad_norm_(self.weights, self.grad_clip)
        self.op_optimizer.step()
        for part in parts:
            part.after_weight_step(data_train)
        return logits, loss

    def _weight_pass(self, data_train: Batch) -> tuple[Tensor, Tensor]:
        with ExitStack() as stack:
            stack.enter_context(self.fixed_architecture())
            for part in self.parts.values():
                stack.enter_context(part.during_weight_step(data_train))
            before = buffer_versions(self.graph)
            logits, loss = self.training_backward(data_train)
        self.join_gradients(self.weights)
        join_buffers(self.graph, before, self.sync_batch_norm)
        return detached(logits), loss.detach()

    def training_backward(self, data_train: Batch) -> tuple[Tensor, Tensor]:
        """Add the gradient of the training loss to the weights' gradients, and return logits and loss.

        Logits `(n, classes)`, the loss a scalar.
        """
        return self.add_gradients(data_train, self.task.weight_loss)

    def get_op_optimizer(self) -> type:
        """Return the class of the optimizer of the operation weights."""
        self._require_adapted()
        return type(self.op_optimizer)

    def get_checkpointables(self) -> dict[str, Stateful]:
        """Return the supernet, the architecture parameters, both optimizers, the schedule and the parts.

        Where the supernet's structure changes during the search, that comes first: the weights are loaded into it.
        """
        self._require_adapted()
        changes = bool(self.structure.changed_by)
        measured = ("runs_native",) if self.native == "auto" else ()
        found = {
            "structure": self.structure if changes else None,
            "model": CurrentModel(self) if changes else self.graph,
            "architectural_weights": NamedWeights(list(self.architectural_weights), self.decision_names),
            "op_optimizer": self.op_optimizer,
            "arch_optimizer": self.arch_optimizer,
            "schedule": ScheduleState(self, ("outcome", *self.SCHEDULED, *measured)),
            "parts": PartsState(self.parts),
        }
        return {name: item for name, item in found.items() if item is not None}
