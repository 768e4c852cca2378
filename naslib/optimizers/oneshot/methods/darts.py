"""DARTS: differentiable architecture search by continuous relaxation, first and second order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from naslib.errors import ConfigError
from naslib.optimizers.core.metaclasses import Batch
from naslib.optimizers.oneshot.supernet.base import OneShotOptimizer
from naslib.optimizers.oneshot.supernet.bilevel import (
    at_weights,
    exact_product,
    finite_difference_product,
    gradient_of,
    virtual_step,
)
from naslib.optimizers.oneshot.supernet.relaxed_op import RelaxedMixedOp
from naslib.optimizers.oneshot.supernet.relaxed_op import SoftmaxRelaxation as SoftmaxRelaxation
from naslib.optimizers.registry import OPTIMIZERS
from naslib.search_spaces.core.randomness import Randomness
from naslib.tasks.fields import detached
from naslib.tasks.joined import join_passes, passes_over
from naslib.utils.distributed import means_over_ranks

# Weights -> logits and loss of a batch
LossAt = Callable[[Mapping[str, Tensor]], tuple[Tensor, Tensor]]
HESSIANS = {"finite_difference": finite_difference_product, "exact": exact_product}


DARTSMixedOp = RelaxedMixedOp


@OPTIMIZERS.register("darts")
class DARTSOptimizer(OneShotOptimizer):
    """Alternate gradient steps on architecture and weights ([Liu2019darts], Algorithm 1).

    First order takes the gradient of the validation loss at the current weights. Second order (`unrolled`) takes it at
    the weights after a virtual SGD step w' = w - xi (m v + g + wd w), xi being the current learning rate:
    `dL_val(w', alpha)/dalpha - xi d2L_train/(dalpha dw) dL_val(w', alpha)/dw'`.

    With `clip_virtual_step`, as in the authors' code for recurrent networks, g is multiplied by
    `c = min(1, grad_clip / |g|)`, as a constant, so the second term is as well, and dL_val/dw' is clipped likewise.

    Args:
        learning_rate: Of the operation weights, and of the virtual step.
        momentum: Of their SGD.
        weight_decay: Of the operation weights.
        grad_clip: Largest norm of the weights' gradient; the virtual step is not clipped unless that is asked for.
        unrolled: Whether to take the second-order gradient.
        arch_learning_rate: Of the architecture parameters.
        arch_weight_decay: Of the architecture parameters.
        op_optimizer: Name or class of the weights' optimizer.
        arch_optimizer: Name or class of the architecture parameters' optimizer.
        loss_criteria: Name or class of the loss, or a ready one.
        hessian: `"finite_difference"` (the paper's Eq. 8) or `"exact"` (forward over reverse).
        clip_virtual_step: Whether gradients are clipped in the second-order step, too.
        **kwargs: See `OneShotOptimizer`.

    Raises:
        ConfigError: For an unknown `hessian`, or a clipped virtual step where there is none, or nothing to clip by.
    """

    STATIC_STEP = True

    def __init__(
        self,
        learning_rate: float = 0.025,
        momentum: float = 0.9,
        weight_decay: float = 0.0003,
        grad_clip: float | None = 5,
        unrolled: bool = False,
        arch_learning_rate: float = 0.0003,
        arch_weight_decay: float = 0.001,
        op_optimizer: str | type = "SGD",
        arch_optimizer: str | type = "Adam",
        loss_criteria: Any = "CrossEntropyLoss",
        hessian: str = "finite_difference",
        clip_virtual_step: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            learning_rate=learning_rate,
            momentum=momentum,
            weight_decay=weight_decay,
            grad_clip=grad_clip,
            arch_learning_rate=arch_learning_rate,
            arch_weight_decay=arch_weight_decay,
            op_optimizer=op_optimizer,
            arch_optimizer=arch_optimizer,
            loss_criteria=loss_criteria,
            **kwargs,
        )
        if hessian not in HESSIANS:
            raise ConfigError(f"hessian must be one of {', '.join(HESSIANS)}, not {hessian!r}")
        self.unrolled = unrolled
        self.hessian = hessian
        if clip_virtual_step and not (unrolled and grad_clip):
            missing = "search.unrolled: true" if not unrolled else "search.grad_clip"
            raise ConfigError(f"clip_virtual_step clips the gradients of the second-order step, and needs {missing}")
        self.clip_virtual_step = clip_virtual_step

    def architecture_gradient(self, data_train: Batch, data_val: Batch) -> tuple[list[Tensor], Tensor, Tensor]:
        """Return the first- or second-order gradient by parameter, and the detached validation logits and loss.

        Gradients have the shape of their parameters; logits `(n, classes)`, the loss a scalar.
        """
        if not self.unrolled:
            return super().architecture_gradient(data_train, data_val)
        weights = {name: weight for name, weight in self.graph.named_parameters() if weight.requires_grad}
        alphas = self.architecture_parameters
        # one function of the weights, evaluated up to three times: what is dropped at random is dropped in all of them
        randomness = Randomness(self.task.device_of(data_train))
        with self.fixed_architecture():
            gradient = self._summed(data_train, lambda loss: gradient_of(loss(weights)[1], list(weights.values())))
        gradient, factor = self._clipped(gradient)
        stepped = virtual_step(weights, gradient, **self._virtual_step_settings(list(weights.values())))
        both, logits, val_loss = self._at_virtual_step(data_val, stepped)
        direct, (vector, _) = both[: len(alphas)], self._clipped(both[len(alphas) :])

        def product_of(loss: LossAt) -> list[Tensor]:
            def same_loss(moved: Mapping[str, Tensor]) -> Tensor:
                with randomness.again():
                    return loss(moved)[1]

            return HESSIANS[self.hessian](same_loss, weights, vector, alphas)

        product = self._summed(data_train, product_of)
        if factor is not None:
            product = [second * factor for second in product]
        total = [first.sub(second, alpha=self._xi) for first, second in zip(direct, product, strict=True)]
        return total, logits, val_loss

    def _at_virtual_step(self, data_val: Batch, stepped: Mapping[str, Tensor]) -> tuple[list[Tensor], Any, Tensor]:
        """Return the gradient of `architecture_loss` by alphas and stepped weights, and detached outputs and loss."""
        inputs = [*self.architecture_parameters, *stepped.values()]
        outputs, values = [], []

        def gradient(loss: LossAt) -> list[Tensor]:
            found, value = loss(stepped)
            outputs.append(detached(found))
            values.append(value.detach())
            return gradient_of(value, inputs)

        own = self._summed(data_val, gradient)
        leaf = (values[0] if len(values) == 1 else torch.stack(values).sum()).requires_grad_()
        with torch.enable_grad():
            total = self.architecture_loss(leaf)
        if total is not leaf:
            factor, *direct = gradient_of(total, [leaf, *inputs])
            own = [factor * of_data + term for of_data, term in zip(own, direct, strict=True)]
        return own, join_passes(outputs), leaf.detach()

    def _summed(self, data: Batch, function: Callable[[LossAt], list[Tensor]]) -> list[Tensor]:
        """Return what a function makes of the loss of a batch, linear in it, summed over passes and joined."""
        again = Randomness(self.task.device_of(data)).again
        total: list[Tensor] = []
        for number, each in enumerate(passes_over(self.task, data)):
            with each.running(), again() if number else nullcontext():
                found = function(self._loss_at(each.batch, each.share))
            total = [a + b for a, b in zip(total, found, strict=True)] if total else found
        return means_over_ranks(total)

    def _clipped(self, gradient: list[Tensor]) -> tuple[list[Tensor], Tensor | None]:
        """Return a gradient of at most the largest norm, and its factor, if virtual steps are clipped; None if not."""
        if not self.clip_virtual_step or not self.grad_clip:
            return gradient, None
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradient)))
        factor = (self.grad_clip / (norm + 1e-6)).clamp(max=1.0)  # as torch clips; nobody waits for the device
        return [value * factor for value in gradient], factor

    @property
    def _xi(self) -> float:
        return float(self.op_optimizer.param_groups[0]["lr"])

    def _virtual_step_settings(self, parameters: list[nn.Parameter]) -> dict[str, Any]:
        """Return what the weights' optimizer would do; without momentum buffers where it keeps none."""
        group = self.op_optimizer.param_groups[0]
        state = self.op_optimizer.state
        return {
            "learning_rate": self._xi,
            "momentum": group.get("momentum", 0.0),
            "weight_decay": group.get("weight_decay", 0.0),
            "nesterov": group.get("nesterov", False),
            "buffers": [state[p].get("momentum_buffer") if p in state else None for p in parameters],
        }

    def _loss_at(self, data: Batch, share: float = 1.0) -> LossAt:
        """Return the function weights -> (logits, loss) on a batch, in full precision: the product needs it."""
        task = self.task

        def evaluate(weights: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
            with self.sampling(), at_weights(self.graph, weights):
                logits = task.forward(self.graph, data)
            if not share:
                return logits, torch.stack([weight.sum() for weight in weights.values()]).sum() * 0.0
            loss = task.loss(logits, data)
            return logits, loss if share == 1.0 else loss * share

        return evaluate
