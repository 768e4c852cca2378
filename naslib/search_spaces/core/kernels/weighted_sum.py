"""The weighted sum of an edge's candidates as one autograd function: fewer passes over memory, and less kept.

A candidate is a *plain* tensor, or the input of a BN without weight and bias (a *normed* one), which then never exists
normalised for longer than it takes to add it. The forward adds into one tensor; the backward of a plain candidate's
weight is one inner product, without a tensor in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from naslib.errors import GraphError

from .bypassing import count_batch, is_hooked

_backward_of_norm = torch.ops.aten.native_batch_norm_backward.default


class Norm(NamedTuple):
    """What a BN without weight and bias does in this forward.

    Attributes:
        mean: Running mean to be updated, or None.
        var: Running variance, or None.
        momentum: Weight of the batch in them.
        eps: Added to the variance.
    """

    mean: Tensor | None
    var: Tensor | None
    momentum: float
    eps: float


def mixture(weights: Tensor, candidates: Sequence[tuple[int, Tensor, Any]]) -> Tensor:
    """Return the sum of `weights[place] * output` over the candidates.

    Args:
        weights: `(n_ops,)`.
        candidates: Place in `weights`, output, and None; or place, what a BN reads, and the BN.
    """
    plain, normed, norms = [], [], []
    shape = candidates[0][1].shape
    alike = True
    for place, tensor, module in candidates:
        alike = alike and tensor.shape == shape
        norm = None if module is None else _norm(module, tensor)
        if norm is None:
            plain.append((place, tensor if module is None else module(tensor)))
        else:
            normed.append((place, tensor))
            norms.append(norm)
    places, terms = zip(*plain, *normed, strict=True)
    if not alike:
        return _broadcast_sum(weights, places, terms, norms)
    if torch.is_grad_enabled() and weights.requires_grad:
        return _Mixture.apply(places, norms, weights, *terms)
    return _sum(weights, places, terms, norms)[0]


def _norm(module: nn.Module, x: Tensor) -> Norm | None:
    """Return what a BN does to `x` and count the batch; None where it must do it by itself."""
    if type(module) is not nn.BatchNorm2d or module.affine or not module.training or module.momentum is None:
        return None
    if is_hooked(module) or x.numel() <= x.shape[1]:  # one value per channel: the module says what is wrong with that
        return None
    if not module.track_running_stats:
        return Norm(None, None, module.momentum, module.eps)
    count_batch(module)
    return Norm(module.running_mean, module.running_var, module.momentum, module.eps)


def _sum(
    weights: Tensor, places: Sequence[int], terms: Sequence[Tensor], norms: Sequence[Norm]
) -> tuple[Tensor, list[Tensor]]:
    """Return the sum; and scale, mean and inverse deviation of every normed term.

    Differentiable in the terms; torch keeps no plain term where the weights are constants.
    """
    parts = weights.unbind()
    n_plain = len(terms) - len(norms)
    total: Tensor | None = None
    for place, term in zip(places, terms[:n_plain], strict=False):
        total = term * parts[place] if total is None else total.addcmul_(term, parts[place])
    kept: list[Tensor] = []
    for place, term, norm in zip(places[n_plain:], terms[n_plain:], norms, strict=True):
        # a copy, not an expanded scalar: torch's channels-last backward is wrong for a scale of stride 0
        scale = parts[place].expand(term.shape[1]).clone(memory_format=torch.contiguous_format)
        scaled, mean, deviation = torch.native_batch_norm(
            term, scale, None, norm.mean, norm.var, True, norm.momentum, norm.eps
        )
        total = scaled if total is None else total.add_(scaled)
        kept += (scale, mean, deviation)
    if total is None:
        raise GraphError("a mixture needs at least one candidate")
    return total, kept


def _broadcast_sum(
    weights: Tensor, places: Sequence[int], terms: Sequence[Tensor], norms: Sequence[Norm], track: bool = True
) -> Tensor:
    """Return the same sum by torch's own operations, for any shapes and any derivative.

    Args:
        weights: See `mixture`.
        places: Place in `weights` of every term.
        terms: Plain terms, then those that the norms normalise.
        norms: One for each of the last terms.
        track: Whether to update running statistics.
    """
    n_plain = len(terms) - len(norms)
    total: Any = 0
    for position, (place, term) in enumerate(zip(places, terms, strict=True)):
        if position >= n_plain:
            norm = norms[position - n_plain]
            mean, var = (norm.mean, norm.var) if track else (None, None)
            term = F.batch_norm(term, mean, var, None, None, True, norm.momentum, norm.eps)
        total = total + weights[place] * term
    return total


class _Mixture(torch.autograd.Function):
    """The sum, for weights that need a gradient."""

    @staticmethod
    def forward(ctx: Any, places: Sequence[int], norms: Sequence[Norm], weights: Tensor, *terms: Tensor) -> Tensor:
        total, kept = _sum(weights, places, terms, norms)
        ctx.places, ctx.norms = places, norms
        ctx.save_for_backward(weights, *terms, *kept)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        n_terms, n_plain = len(ctx.places), len(ctx.places) - len(ctx.norms)
        weights, *saved = ctx.saved_tensors
        terms, kept = saved[:n_terms], saved[n_terms:]
        needs = ctx.needs_input_grad[2:]
        if torch.is_grad_enabled():
            return (None, None, *_differentiable(ctx, grads[0], weights, terms, needs))
        grad = _laid_out_like(grads[0], saved[n_plain] if ctx.norms else grads[0])
        parts = weights.unbind()
        of_parts: list[Tensor] = [parts[0].new_zeros(())] * len(parts)
        of_terms: list[Tensor | None] = [None] * n_terms
        for position, place in enumerate(ctx.places):
            wanted = needs[1 + position]
            if position < n_plain:
                of_terms[position] = grad * parts[place] if wanted else None
                of_parts[place] = inner_product(grad, terms[position])
                continue
            number = position - n_plain
            scale, mean, deviation = kept[3 * number : 3 * number + 3]
            of_terms[position], of_scale, _ = _backward_of_norm(
                grad,
                terms[position],
                scale,
                None,
                None,
                mean,
                deviation,
                True,
                ctx.norms[number].eps,
                [wanted, True, False],
            )
            of_parts[place] = of_scale.sum()
        return (None, None, torch.stack(of_parts), *of_terms)


def _differentiable(
    ctx: Any, grad: Tensor, weights: Tensor, terms: Sequence[Tensor], needs: Sequence[bool]
) -> list[Tensor | None]:
    """Return the gradients as differentiable functions of everything, for whoever differentiates again."""
    # aliases: a term may be computed from another one, whose gradient must not come through it
    inputs = [tensor.view_as(tensor) for tensor in (weights, *terms)]
    chosen = [tensor for tensor, need in zip(inputs, needs, strict=True) if need]
    total = _broadcast_sum(inputs[0], ctx.places, inputs[1:], ctx.norms, track=False)
    found = iter(torch.autograd.grad(total, chosen, grad, create_graph=True))
    return [next(found) if need else None for need in needs]


def _laid_out_like(grad: Tensor, like: Tensor) -> Tensor:
    """Return `grad` dense and in the memory format of `like`: torch's BN wants both alike."""
    if grad.stride() == like.stride():
        return grad
    last = like.dim() == 4 and like.is_contiguous(memory_format=torch.channels_last)
    return grad.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)


def inner_product(first: Tensor, second: Tensor) -> Tensor:
    """Return the sum of the elementwise product of two tensors of one shape, in one pass where their layouts agree."""
    if first.stride() == second.stride() and first.dtype == second.dtype:
        if first.is_contiguous():
            return torch.dot(first.view(-1), second.view(-1))
        if first.dim() == 4 and first.is_contiguous(memory_format=torch.channels_last):
            return torch.dot(first.permute(0, 2, 3, 1).view(-1), second.permute(0, 2, 3, 1).view(-1))
    return (first * second).sum()
