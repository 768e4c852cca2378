"""How architecture parameters get their gradient from the gate gradients: pure rules, and what applies them.

The gate gradient of operation k is `a_k = dL/dg_k = <dL/dy, o_k(x)>`, whatever the gates g multiply. Each rule maps it
to `dL/dlogits`. p is the softmax of the logits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

# `(logits, mask, gate_gradient)`, each `(n_decisions, n_ops)`, the mask True for evaluated operations -> dL/dlogits
Rule = Callable[[Tensor, Tensor, Tensor], Tensor]


def softmax_vjp(p: Tensor, gradient: Tensor) -> Tensor:
    """Return `p_i (a_i - sum_j p_j a_j)`: the gradient of the logits given that of their softmax.

    Args:
        p: `(..., n_ops)` probabilities.
        gradient: a, of the same shape.
    """
    return p * (gradient - (p * gradient).sum(-1, keepdim=True))


def gates_rule(logits: Tensor, mask: Tensor, gradient: Tensor) -> Tensor:
    """Return the straight-through gradient, every operation evaluated ([Cai2019proxylessnas], Eq. 4).

    All are `(n_decisions, n_ops)`; the gates' gradient comes in, that of the logits goes out.
    """
    return softmax_vjp(logits.softmax(-1), gradient)


def masked_rule(logits: Tensor, mask: Tensor, gradient: Tensor) -> Tensor:
    """Return the straight-through gradient with 0 for operations that were not evaluated.

    All are `(n_decisions, n_ops)`; the gates' gradient comes in, that of the logits goes out.

    It is biased: an operation that nobody looked at drifts by `-p_k sum_j p_j a_j`. `baseline_rule` is the cure.
    """
    return softmax_vjp(logits.softmax(-1), gradient * mask)


def baseline_rule(logits: Tensor, mask: Tensor, gradient: Tensor) -> Tensor:
    """Return the masked gradient with the p-weighted mean of the evaluated gate gradients as baseline.

    All are `(n_decisions, n_ops)`; the gates' gradient comes in, that of the logits goes out.

    Operations that were not evaluated get exactly 0, and the others P(evaluated) times `renormalized_rule`.
    """
    p = logits.softmax(-1)
    inside = p * mask
    mean = (inside * gradient).sum(-1, keepdim=True) / inside.sum(-1, keepdim=True)
    return inside * (gradient - mean)


def renormalized_rule(logits: Tensor, mask: Tensor, gradient: Tensor) -> Tensor:
    """Return the gradient by the softmax over the evaluated operations alone ([Cai2019proxylessnas], Sec. 3.2.1).

    All are `(n_decisions, n_ops)`; the gates' gradient comes in, that of the logits goes out.
    """
    p = logits.masked_fill(~mask, -torch.inf).softmax(-1)
    return softmax_vjp(p, gradient * mask)


def estimated_rule(logits: Tensor, mask: Tensor, gradient: Tensor) -> Tensor:
    """Return the straight-through gradient where gate gradients are evaluated or estimated (`MovingAverage`).

    All are `(n_decisions, n_ops)`; the gates' gradient comes in, that of the logits goes out.

    Minus infinity says that there is no estimate yet; such an operation gets exactly 0, as in `baseline_rule`.
    """
    known = ~gradient.isneginf()
    return baseline_rule(logits, known, gradient.masked_fill(~known, 0.0))


def identity_rule(logits: Tensor, mask: Tensor, gradient: Tensor) -> Tensor:
    """Return the gate gradients of the evaluated operations as the gradient of their scores.

    All are `(n_decisions, n_ops)`; the gates' gradient comes in, that of the logits goes out.

    The straight-through estimator of a mask that is cut from the scores themselves ([Ramanujan2020hidden]).
    """
    return gradient * mask


def reinmax_gradient(logits: Tensor, drawn: Tensor, gradient: Tensor, tau: float = 1.0) -> Tensor:
    """Return the second-order estimate `2 J_1 g - J_0 g / 2` for a categorical sample ([Liu2023reinmax]).

    `J_i g = p_i (g - <p_i, g>)` with p_0 = softmax(logits) and p_1 = (drawn + softmax(logits / tau)) / 2.

    Args:
        logits: `(..., n_ops)`.
        drawn: The one-hot sample, of the same shape.
        gradient: g, the derivative of the loss by the sample.
        tau: Temperature, at least 1. Averaged over samples, tau = 1 is exact for a loss that is quadratic in them.
    """
    middle = (drawn + (logits / tau).softmax(-1)) / 2
    return 2 * softmax_vjp(middle, gradient) - softmax_vjp(logits.softmax(-1), gradient) / 2


RULES: dict[str, Rule] = {
    "gates": gates_rule,
    "masked": masked_rule,
    "masked_baseline": baseline_rule,
    "renormalized": renormalized_rule,
    "moving_average": estimated_rule,
    "straight_through": identity_rule,
}


class _GateWeights(torch.autograd.Function):
    """Return given values; in the backward, hand the gate gradient to the logits by a rule."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, values: Tensor, mask: Tensor, rule: Rule) -> Tensor:
        ctx.save_for_backward(logits, mask)
        ctx.rule = rule
        return values.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        logits, mask = ctx.saved_tensors
        return ctx.rule(logits, mask, gradient), None, None, None


def gate_weights(logits: Tensor, values: Tensor, mask: Tensor, rule: Rule) -> Tensor:
    """Return `values` as gates whose gradient reaches `logits` by `rule`.

    Args:
        logits: `(n_decisions, n_ops)` architecture parameters.
        values: The gates' values in the forward pass, of the same shape.
        mask: Booleans of the same shape: which operations are evaluated.
        rule: One of `RULES`, or a function like them.
    """
    return _GateWeights.apply(logits, values, mask, rule)


def rescale(before: Tensor, after: Tensor, mask: Tensor) -> Tensor:
    """Return updated logits that leave the probability of every operation outside `mask` as it was.

    The masked logits are shifted so that their total probability is the old one; the others keep their old values,
    whatever momentum or weight decay did to them ([Cai2019proxylessnas], Sec. 3.2.1, and the authors' code).

    Args:
        before: `(n_decisions, n_ops)` logits before the optimizer's step.
        after: The logits after it.
        mask: Booleans: the operations whose gradient was taken.
    """
    inside_before = before.masked_fill(~mask, -torch.inf).logsumexp(-1, keepdim=True)
    inside_after = after.masked_fill(~mask, -torch.inf).logsumexp(-1, keepdim=True)
    return torch.where(mask, after - (inside_after - inside_before), before)


@torch.no_grad()
def rescale_stepped(alpha: nn.Parameter, before: Tensor) -> None:
    """Rescale a parameter after an optimizer's step: operations without gradient keep their probabilities.

    Args:
        alpha: `(n_ops,)` logits after the step; `alpha.grad` is the gradient of which the step was taken.
        before: The logits before it.
    """
    if alpha.grad is not None:
        alpha.copy_(rescale(before.unsqueeze(0), alpha.unsqueeze(0), (alpha.grad != 0).unsqueeze(0))[0])
