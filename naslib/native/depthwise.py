"""ReLU and depthwise convolution in one kernel."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from ._engine import wanted_gradients
from .availability import available
from .shapes import accepts


def relu_depthwise(x: Tensor, weight: Tensor, stride: int = 1, padding: int = 0, dilation: int = 1) -> Tensor:
    """Apply ReLU, then a depthwise convolution without bias.

    Args:
        x: `(n, c, h, w)`.
        weight: `(c, 1, k, k)`.
        stride: Stride in both directions.
        padding: Zeros on each side.
        dilation: Distance of the taps.

    Returns:
        The convolution, channels_last where the native kernel ran. A second derivative needs the PyTorch path.
    """
    if accepts(x, weight, stride=stride, padding=padding, dilation=dilation) and available("auto"):
        return _ReluDepthwise.apply((stride, padding, dilation), x, weight)
    return F.conv2d(F.relu(x), weight, None, stride, padding, dilation, groups=x.shape[1])


class _ReluDepthwise(torch.autograd.Function):
    """The native kernel; the mask of the ReLU is recomputed from the input."""

    @staticmethod
    def forward(geometry: tuple[int, int, int], x: Tensor, weight: Tensor) -> Tensor:
        """Run the kernel."""
        dense = x.contiguous(memory_format=torch.channels_last)
        return torch.ops.naslib_native.relu_depthwise(dense, weight, *geometry)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Keep the inputs."""
        ctx.geometry = inputs[0]
        ctx.save_for_backward(*inputs[1:])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Return both gradients, or the one that is used."""
        x, weight = ctx.saved_tensors
        need_x, need_weight = wanted_gradients(ctx, 2)
        grad_x, grad_weight = torch.ops.naslib_native.relu_depthwise_backward(
            grad.contiguous(memory_format=torch.channels_last),
            x.contiguous(memory_format=torch.channels_last),
            weight,
            *ctx.geometry,
            need_x,
            need_weight,
        )
        return None, grad_x if need_x else None, grad_weight if need_weight else None
