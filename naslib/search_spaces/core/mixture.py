"""The weighted sum of an edge's candidates as one autograd function: fewer passes over memory, and less kept.

A candidate is a *plain* tensor, or a *tail*: a convolution and the BN without weight and bias behind it, or such a BN
alone. The normalised output of a tail exists no longer than it takes to add it. The forward adds into one tensor; the
backward of a plain candidate's weight is one inner product, and convolutions that read one tensor add up its gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from naslib.native._engine import wanted_gradients

from . import _tails
from ._tails import Tail


def mixture(weights: Tensor, candidates: Sequence[tuple[int, Tensor, Any, Any]]) -> Tensor:
    """Return the sum of `weights[place] * output` over the candidates.

    Args:
        weights: `(n_ops,)`.
        candidates: Place in `weights`, output, None and None; or place, input, the convolution (None for none) and the
            BN that end the candidate.
    """
    plain: list[Tensor] = []
    places: list[int] = []
    tails: list[tuple[int, Tail]] = []
    sources: list[Tensor] = []
    kernels: list[Tensor] = []
    for place, x, conv, norm in candidates:
        tail = None if norm is None else _tails.make_tail(x, conv, norm)
        if tail is None:
            plain.append(x if norm is None else norm(x if conv is None else conv(x)))
            places.append(place)
            continue
        tail.source = next((number for number, known in enumerate(sources) if known is x), len(sources))
        if tail.source == len(sources):
            sources.append(x)
        if conv is not None:
            kernels.append(conv.weight)
        tails.append((place, tail))
    recipe = Recipe([*places, *(place for place, _ in tails)], [tail for _, tail in tails], len(plain), len(sources))
    tensors = [*plain, *sources, *kernels]
    shapes = {term.shape for term in plain} | {tail.shape for tail in recipe.tails}
    if len(shapes) > 1:
        return _compose(recipe, weights, tensors)
    if torch.is_grad_enabled() and (weights.requires_grad or any(tensor.requires_grad for tensor in tensors)):
        return _Mixture.apply(recipe, weights, *tensors)
    return _sum(recipe, weights, tensors)[0]


@dataclass(slots=True)
class Recipe:
    """How a flat list of tensors (plain terms, inputs of tails, kernels) becomes a sum.

    Attributes:
        places: Place in the weights of every plain term, then of every tail.
        tails: The tails.
        n_plain: Number of plain terms.
        n_sources: Number of different inputs of tails.
    """

    places: list[int]
    tails: list[Tail]
    n_plain: int
    n_sources: int

    def split(self, flat: Sequence[Any]) -> tuple[list[Any], list[Any], list[Any]]:
        """Return the plain terms, the inputs, and the kernel (or None) of every tail."""
        kernels = iter(flat[self.n_plain + self.n_sources :])
        by_tail = [None if tail.geometry is None else next(kernels) for tail in self.tails]
        return list(flat[: self.n_plain]), list(flat[self.n_plain : self.n_plain + self.n_sources]), by_tail


def _sum(recipe: Recipe, weights: Tensor, tensors: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """Return the sum; and BN's input, scale, mean and inverse deviation of every tail."""
    plain, sources, kernels = recipe.split(tensors)
    parts = weights.unbind()
    places = iter(recipe.places)
    total: Tensor | None = None
    for term in plain:
        part = parts[next(places)]
        total = term * part if total is None else total.addcmul_(term, part)
    kept: list[Tensor] = []
    for tail, kernel in zip(recipe.tails, kernels, strict=True):
        z = tail.convolve(sources[tail.source], kernel)
        # a copy, not an expanded scalar: torch's channels-last backward is wrong for a scale of stride 0
        scale = parts[next(places)].expand(z.shape[1]).clone(memory_format=torch.contiguous_format)
        scaled, mean, deviation = torch.native_batch_norm(
            z, scale, None, tail.mean, tail.var, True, tail.momentum, tail.eps
        )
        total = scaled if total is None else total.add_(scaled)
        kept += (z, scale, mean, deviation)
    return total, kept  # type: ignore[return-value]


def _compose(recipe: Recipe, weights: Tensor, tensors: Sequence[Tensor], track: bool = True) -> Tensor:
    """Return the same sum by torch's own operations, for any shapes and any derivative.

    Args:
        recipe: What to sum.
        weights: `(n_ops,)`.
        tensors: Plain terms, inputs of tails, kernels.
        track: Whether to update running statistics.
    """
    terms, sources, kernels = recipe.split(tensors)
    for tail, kernel in zip(recipe.tails, kernels, strict=True):
        z = tail.convolve(sources[tail.source], kernel)
        mean, var = (tail.mean, tail.var) if track else (None, None)
        terms.append(F.batch_norm(z, mean, var, None, None, True, tail.momentum, tail.eps))
    total: Any = 0
    for place, term in zip(recipe.places, terms, strict=True):
        total = total + weights[place] * term
    return total


class _Mixture(torch.autograd.Function):
    """The sum; it keeps what tails read and what their BN reads, and plain terms where the weights need a gradient."""

    @staticmethod
    def forward(ctx: Any, recipe: Recipe, weights: Tensor, *tensors: Tensor) -> Tensor:
        total, kept = _sum(recipe, weights, tensors)
        n_plain = recipe.n_plain
        plain = tensors[:n_plain] if ctx.needs_input_grad[1] else (None,) * n_plain
        ctx.recipe = recipe
        ctx.save_for_backward(weights, *plain, *tensors[n_plain:], *kept)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        recipe: Recipe = ctx.recipe
        n_kept = 4 * len(recipe.tails)
        saved = ctx.saved_tensors
        weights, tensors, kept = saved[0], saved[1 : len(saved) - n_kept], saved[len(saved) - n_kept :]
        if torch.is_grad_enabled():
            return (None, *_differentiable(recipe, grads[0], weights, tensors, ctx.needs_input_grad[1:]))
        needs = wanted_gradients(ctx, 1 + len(tensors))
        plain, sources, kernels = recipe.split(tensors)
        need_plain, need_sources, need_kernels = recipe.split(needs[1:])
        grad = grads[0]
        parts = weights.unbind()
        of_parts: list[Tensor] = [parts[0].new_zeros(())] * len(parts) if needs[0] else []
        of_plain: list[Tensor | None] = [None] * len(plain)
        for number, place in enumerate(recipe.places[: len(plain)]):
            if need_plain[number]:
                of_plain[number] = grad * parts[place]
            if needs[0]:
                of_parts[place] = inner_product(grad, plain[number])
        of_sources: list[Tensor | None] = [None] * len(sources)
        of_kernels: list[Tensor | None] = []
        for number, (place, tail) in enumerate(zip(recipe.places[len(plain) :], recipe.tails, strict=True)):
            z, scale, mean, deviation = kept[4 * number : 4 * number + 4]
            need_source, need_kernel = need_sources[tail.source], bool(need_kernels[number])
            grad = _laid_out_like(grad, z)
            of_z, of_scale = _tails.norm_backward(
                grad, z, scale, mean, deviation, tail.eps, need_source or need_kernel, needs[0]
            )
            if needs[0]:
                of_parts[place] = of_scale.sum()
            of_sources[tail.source], of_kernel = tail.backward(
                of_z, sources[tail.source], kernels[number], of_sources[tail.source], need_source, need_kernel
            )
            if tail.geometry is not None:
                of_kernels.append(of_kernel)
        return (None, torch.stack(of_parts) if needs[0] else None, *of_plain, *of_sources, *of_kernels)


def _differentiable(
    recipe: Recipe, grad: Tensor, weights: Tensor, tensors: Sequence[Tensor | None], needs: Sequence[bool]
) -> list[Tensor | None]:
    """Return the gradients as differentiable functions of everything, for whoever differentiates again."""
    # aliases: a term may be computed from another one, whose gradient must not come through it
    inputs = [weights.view_as(weights)]
    for tensor, need in zip(tensors, needs[1:], strict=True):
        # plain terms are not kept where the weights are constants: nothing depends on their values then
        inputs.append(torch.zeros_like(grad, requires_grad=need) if tensor is None else tensor.view_as(tensor))
    chosen = [tensor for tensor, need in zip(inputs, needs, strict=True) if need]
    total = _compose(recipe, inputs[0], inputs[1:], track=False)
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
