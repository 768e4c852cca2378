"""A small search that can be built again and again, and what is seen of one of its steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from small_spaces import ConvSpace, images, mlp_space
from torch import Tensor, nn

from naslib.optimizers import OPTIMIZERS, OneShotOptimizer
from naslib.optimizers.oneshot.supernet.mixed_edges import mixed_edges
from naslib.optimizers.oneshot.supernet.relaxed_op import watching_weights
from naslib.search_spaces.core.batch_norm import measurement_mode

EPOCH = 2  # of 4: schedules are under way


@dataclass
class Search:
    """What to build.

    Attributes:
        cls: The optimizer.
        keywords: Of its constructor.
        parts: Keywords by part, in the order of `search.parts`.
        space: Makes the search space.
    """

    cls: type[OneShotOptimizer]
    keywords: dict[str, Any] = field(default_factory=dict)
    parts: dict[str, dict[str, Any]] = field(default_factory=dict)
    space: Callable[[], ConvSpace] = ConvSpace

    def build(self, epoch: int = EPOCH, **keywords: Any) -> OneShotOptimizer:
        """Return the search at the start of an epoch, always the same."""
        torch.manual_seed(0)
        settings = {"epochs": 4, "learning_rate": 0.05, "arch_learning_rate": 0.05, "grad_clip": 0}
        optimizer = self.cls(**{**settings, **self.keywords, **keywords}, parts=self.parts)
        optimizer.adapt_search_space(self.space())
        optimizer.before_training()
        with torch.no_grad():
            for alpha in optimizer.architectural_weights:
                alpha.add_(0.5 * torch.randn(alpha.shape).to(alpha))
        optimizer.graph.train()
        for number in range(epoch + 1):
            optimizer.new_epoch(number)
        return optimizer


Figure = Callable[[Search], None]


def train_batch() -> tuple[Tensor, Tensor]:
    """Return the batch of the weights."""
    return images(seed=1, dtype=torch.get_default_dtype())


def valid_batch() -> tuple[Tensor, Tensor]:
    """Return the batch of the architecture."""
    return images(seed=2, dtype=torch.get_default_dtype())


def adapted(name: str, space=mlp_space, parts: dict | None = None, epoch: int = 2, **kwargs) -> OneShotOptimizer:
    """Return a search in an epoch of 3, ready for steps, always the same."""
    torch.manual_seed(0)
    settings = {"epochs": 3, "learning_rate": 0.1, "arch_learning_rate": 0.1, "grad_clip": 0}
    optimizer = OPTIMIZERS.get(name)(**{**settings, **kwargs}, parts=parts)
    optimizer.adapt_search_space(space())
    with torch.no_grad():
        for alpha in optimizer.architecture_parameters:
            alpha.add_(0.5 * torch.randn_like(alpha))
    optimizer.before_training()
    optimizer.graph.train()
    optimizer.new_epoch(epoch)
    return optimizer


@dataclass
class Seen:
    """What one step did, by its phase: `"training"` is the backward of the weights, `"weights"` what else they need."""

    weights: list[Tensor] = field(default_factory=list)
    alphas: list[Tensor] = field(default_factory=list)
    rows: dict[str, list[Any]] = field(default_factory=dict)
    drops: dict[str, list[Tensor]] = field(default_factory=dict)
    dtypes: dict[str, set[torch.dtype]] = field(default_factory=dict)


def flat(tensors: Any) -> Tensor:
    """Return all entries in one vector."""
    return torch.cat([t.detach().reshape(-1) for t in tensors])


def still(optimizer: OneShotOptimizer) -> OneShotOptimizer:
    """Let both optimizers stand still, with all gradients left where they are."""
    for owner in (optimizer.op_optimizer, optimizer.arch_optimizer):
        for group in owner.param_groups if owner is not None else ():
            group["lr"] = 0.0
    return optimizer


def observe(optimizer: OneShotOptimizer, seed: int = 3) -> Seen:
    """Take a step and return what was seen of it."""
    seen, phases = Seen(), ["other"]

    def in_phase(name: str, function: Callable) -> Callable:
        def call(*args: Any) -> Any:
            phases.append(name)
            try:
                return function(*args)
            finally:
                phases.pop()

        return call

    def recording(kept: dict[str, list[Any]], function: Callable) -> Callable:
        def call(*args: Any, **kwargs: Any) -> Any:
            found = function(*args, **kwargs)
            kept.setdefault(phases[-1], []).append(found)
            return found

        return call

    def update() -> None:
        seen.alphas = [torch.zeros_like(a) if a.grad is None else a.grad.clone() for a in parameters_of(optimizer)]

    losses: dict[str, list[Any]] = {}
    ops = [data.op for data in mixed_edges(optimizer.graph, optimizer.scope)]
    torch.manual_seed(seed)
    with pytest.MonkeyPatch.context() as patch, watching_weights(ops, recording(seen.rows, lambda op, w: w)):
        patch.setattr(torch, "bernoulli", recording(seen.drops, torch.bernoulli))
        patch.setattr(optimizer, "forward_loss", recording(losses, optimizer.forward_loss))
        patch.setattr(optimizer, "weight_step", in_phase("weights", optimizer.weight_step))
        patch.setattr(optimizer, "training_backward", in_phase("training", optimizer.training_backward))
        patch.setattr(optimizer, "architecture_step", in_phase("architecture", optimizer.architecture_step))
        if hasattr(optimizer, "joint_step"):
            patch.setattr(optimizer, "joint_step", in_phase("training", optimizer.joint_step))
        before = optimizer.update_architecture
        patch.setattr(optimizer, "update_architecture", lambda: (update(), before()))
        optimizer.step(train_batch(), valid_batch())
    seen.weights = [torch.zeros_like(w) if w.grad is None else w.grad.clone() for w in optimizer.weights]
    seen.dtypes = {phase: {logits.dtype for logits, _ in pairs} for phase, pairs in losses.items()}
    return seen


def parameters_of(optimizer: OneShotOptimizer) -> list[nn.Parameter]:
    """Return the architecture parameters."""
    return list(optimizer.architecture_parameters)


def validation_loss(optimizer: OneShotOptimizer) -> Tensor:
    """Return the loss on the validation batch, as it is measured."""
    if hasattr(optimizer, "entries"):
        optimizer.graph.assignment = None  # the mixture of all candidates, not the last path
    with measurement_mode(optimizer.graph):
        return optimizer.loss(optimizer.graph(valid_batch()[0]), valid_batch()[1])
