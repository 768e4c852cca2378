"""Weighted sum of tensors, each read once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from naslib.errors import GraphError

from ._engine import wanted_gradients
from .availability import available
from .shapes import eager_reverse_mode, plain_tensors


def weighted_sum(tensors: Sequence[Tensor], weights: Tensor | Sequence[Tensor]) -> Tensor:
    """Return the sum of `weights[i] * tensors[i]`.

    Args:
        tensors: Tensors of one shape; the native kernel takes dense ones of one memory layout.
        weights: `(n,)`, or a sequence of scalars.

    Raises:
        GraphError: If there is no tensor, or not one weight for each.
    """
    tensors = list(tensors)
    if not tensors or len(weights) != len(tensors):
        raise GraphError(f"a weighted sum needs one weight per tensor, not {len(weights)} for {len(tensors)}")
    stacked = weights if isinstance(weights, Tensor) else torch.stack(list(weights))
    if _accepts(tensors, stacked) and available("auto"):
        return _WeightedSum.apply(stacked, *tensors)
    parts = stacked.unbind()
    total = tensors[0] * parts[0]
    for tensor, part in zip(tensors[1:], parts[1:], strict=True):
        total = total + tensor * part
    return total


def _accepts(tensors: Sequence[Tensor], weights: Tensor) -> bool:
    """Say whether the kernel takes these tensors."""
    first = tensors[0]
    return (
        weights.dim() == 1
        and plain_tensors((*tensors, weights))
        and all(tensor.shape == first.shape and tensor.stride() == first.stride() for tensor in tensors)
        and is_dense(first)
        and eager_reverse_mode()
    )


def is_dense(tensor: Tensor) -> bool:
    """Say whether the numbers lie in memory without gaps or overlaps, in the order of either common layout.

    Layouts are those of `(n, c, h, w)`.
    """
    return tensor.is_contiguous() or (tensor.dim() == 4 and tensor.is_contiguous(memory_format=torch.channels_last))


class _WeightedSum(torch.autograd.Function):
    """The native kernel."""

    @staticmethod
    def forward(weights: Tensor, *tensors: Tensor) -> Tensor:
        """Run the kernel."""
        return torch.ops.naslib_native.weighted_sum(list(tensors), weights)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Keep the inputs."""
        ctx.save_for_backward(*inputs)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients that are used."""
        weights, *tensors = ctx.saved_tensors
        need_weights, *need_tensors = wanted_gradients(ctx, len(tensors) + 1)
        if grad.stride() != tensors[0].stride():
            grad = torch.empty_like(tensors[0]).copy_(grad)
        grads, grad_weights = torch.ops.naslib_native.weighted_sum_backward(
            grad, tensors, weights, need_tensors, need_weights
        )
        chosen = [value if need else None for value, need in zip(grads, need_tensors, strict=True)]
        return (grad_weights if need_weights else None, *chosen)
