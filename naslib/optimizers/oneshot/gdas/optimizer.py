"""GDAS: search by sampling one operation per edge with a hard Gumbel-softmax."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from naslib.errors import ConfigError
from naslib.optimizers.oneshot.base import OneShotOptimizer
from naslib.optimizers.oneshot.relaxations import (
    HardSample,
    inner_product,
    linear_temperature,
    straight_through_gumbel,
)
from naslib.optimizers.registry import OPTIMIZERS
from naslib.search_spaces.core.batch_norm import frozen_batch_norm_statistics
from naslib.search_spaces.core.edge import EdgeData
from naslib.search_spaces.core.graph import EdgeView, Graph, Scope
from naslib.search_spaces.core.primitives import MixedOp, call_op, call_op_shared
from naslib.search_spaces.core.shared_work import SharedWork

UNSELECTED = ("ones", "zero", "recompute")


class GumbelRelaxation:
    """Draw one operation for every decision; take the most likely one in evaluation.

    Args:
        tau: Temperature > 0.

    Attributes:
        tau: Set anew each epoch by the optimizer.
    """

    def __init__(self, tau: float) -> None:
        self.tau = tau

    def __call__(self, logits: Tensor, training: bool) -> list[HardSample]:
        """Return one sample per decision; the indices are read from the device at once.

        Args:
            logits: `(n_decisions, n_ops)`.
            training: Whether to sample.
        """
        if training:
            weights = straight_through_gumbel(logits, self.tau)
        else:
            weights = torch.nn.functional.one_hot(logits.argmax(-1), logits.shape[-1]).to(logits)
        indices = weights.detach().argmax(-1).tolist()
        return [HardSample(index, row) for index, row in zip(indices, weights.unbind(0), strict=True)]


class _Gate(torch.autograd.Function):
    """Multiply the drawn operation's output by its weight, which is exactly 1, and give all weights their gradients.

    The value is `y` itself, so nothing is computed in the forward. In the backward `y` gets dL/dy, the drawn weight
    `<dL/dy, y>`, and the others what `GDASMixedOp.unselected` says.
    """

    @staticmethod
    def forward(ctx: Any, y: Tensor, weights: Tensor, x: Tensor, op: GDASMixedOp, choice: int) -> Tensor:
        ctx.save_for_backward(y, x if op.unselected == "recompute" else None)
        ctx.op, ctx.choice, ctx.weights = op, choice, weights.detach()
        return y.view_as(y)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        y, x = ctx.saved_tensors
        op: GDASMixedOp = ctx.op
        gradient = torch.zeros_like(ctx.weights)
        if op.unselected == "ones":
            gradient.fill_(grad.sum())
        elif op.unselected == "recompute":
            with frozen_batch_norm_statistics(op):
                for k, primitive in enumerate(op.primitives):
                    if k != ctx.choice:
                        gradient[k] = inner_product(grad, call_op(primitive, x))
        gradient[ctx.choice] = inner_product(grad, y)
        return grad, gradient, None, None, None


class GDASMixedOp(MixedOp):
    """Execute the one operation that was drawn ([Dong2019gdas], Eq. 6).

    Args:
        primitives: The candidates.

    Attributes:
        unselected: How the weights of the operations that were not drawn get a gradient: `"ones"` as in the authors'
            code, which adds each of them to the output as a scalar (its gradient is the sum of dL/dy); `"zero"`, none;
            `"recompute"`, `<dL/dy, o_k(x)>` by running them in the backward without a graph.
    """

    def __init__(self, primitives: list[nn.Module]) -> None:
        super().__init__(primitives)
        self.unselected = "ones"

    def get_weights(self, edge_data: EdgeData) -> Tensor:
        """Return the logits of the edge."""
        return edge_data.alpha

    def process_weights(self, weights: Tensor) -> HardSample:
        """Draw for this edge alone, which happens only outside a graph."""
        relaxation = self.relaxation or GumbelRelaxation(1.0)
        return relaxation(weights.unsqueeze(0), self.training)[0]

    def apply_weights(self, x: Tensor, weights: HardSample) -> Tensor:
        """Return the drawn operation's output; its value is not scaled, its weight gets `<dL/dy, o(x)>`."""
        return self.apply_shared(x, weights, SharedWork())

    def apply_shared(self, x: Tensor, weights: HardSample, work: SharedWork) -> Tensor:
        """Return what `apply_weights` returns, taking what others have computed from `x` already."""
        index, row = weights
        y = call_op_shared(self.primitives[index], x, work)
        return _Gate.apply(y, row, x.detach(), self, index) if row.requires_grad else y


@OPTIMIZERS.register("gdas")
class GDASOptimizer(OneShotOptimizer):
    """Search for a robust architecture by a differentiable sampler ([Dong2019gdas], Algorithm 1).

    One operation per decision is drawn in each forward, the same for all copies of a cell; the temperature falls
    linearly from `tau_max` at the first epoch to `tau_min` at the last.

    Args:
        epochs: Number of epochs of the search.
        tau_max: Temperature of the first epoch.
        tau_min: Temperature of the last epoch.
        unselected: `"ones"`, `"zero"` or `"recompute"`, see `GDASMixedOp`.
        **kwargs: See `OneShotOptimizer`.
    """

    SCHEDULED = ("tau",)

    def __init__(
        self,
        epochs: int = 50,
        tau_max: float = 10.0,
        tau_min: float = 0.1,
        unselected: str = "ones",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if unselected not in UNSELECTED:
            raise ConfigError(f"unselected must be one of {', '.join(UNSELECTED)}, not {unselected!r}")
        if not (tau_max > 0 and tau_min > 0):
            raise ConfigError(f"temperatures must be positive, got tau_max={tau_max}, tau_min={tau_min}")
        self.epochs = epochs
        self.tau_max = tau_max
        self.tau_min = tau_min
        self.unselected = unselected
        self._relaxation = GumbelRelaxation(tau_max)

    @property
    def tau(self) -> float:
        """The current temperature."""
        return self._relaxation.tau

    @tau.setter
    def tau(self, value: float) -> None:
        self._relaxation.tau = value

    @staticmethod
    def update_ops(edge: EdgeView) -> None:
        """Put the MixedOp over the edge's candidates on the edge."""
        edge.data.set("op", GDASMixedOp(edge.data.op))

    def relaxation(self) -> GumbelRelaxation:
        """Return the sampler of this optimizer."""
        return self._relaxation

    def adapt_search_space(
        self,
        search_space: Graph,
        dataset: str | None = None,
        scope: Scope = None,
        dataset_api: Any = None,
        **kwargs: Any,
    ) -> None:
        """Adapt as `OneShotOptimizer` does and set the treatment of unselected operations."""
        super().adapt_search_space(search_space, dataset, scope, dataset_api, **kwargs)
        for module in self.graph.modules():
            if isinstance(module, GDASMixedOp):
                module.unselected = self.unselected

    def new_epoch(self, epoch: int) -> None:
        """Set the temperature of the epoch."""
        self.tau = linear_temperature(epoch, self.epochs, self.tau_max, self.tau_min)
