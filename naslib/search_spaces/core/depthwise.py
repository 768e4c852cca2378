"""Depthwise convolutions whose gradient of the input is a forward convolution with the kernel turned around.

oneDNN's own backward is slow for channels-last tensors, most of all with a dilation: for 16x16x32x32 and a 5x5 kernel
of dilation 2 it takes 1.88 ms on one thread, the convolution 0.19 ms; for 3x3 of dilation 1, 0.26 and 0.13 ms.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from naslib.native._engine import wanted_gradients

from ._autograd import ordinary_autograd

# Other channel counts do not reach the vectorised depthwise kernels.
_LANES = 16

_backward_of_convolution = torch.ops.aten.convolution_backward.default


def accepts(module: nn.Module, x: Tensor) -> bool:
    """Say whether `depthwise(x, module.weight, module.dilation)` equals `module(x)` and has the faster backward."""
    if type(module) is not nn.Conv2d or module.groups != module.in_channels or module.groups != module.out_channels:
        return False
    if module.groups % _LANES or module.bias is not None or module.stride != (1, 1) or module.padding_mode != "zeros":
        return False
    sides = zip(module.padding, module.dilation, module.kernel_size, strict=False)
    if isinstance(module.padding, str) or any(2 * padding != dilation * (k - 1) for padding, dilation, k in sides):  # type: ignore[operator]
        return False
    fits = x.dim() == 4 and x.shape[1] == module.in_channels and x.device.type == "cpu"
    return fits and not torch.compiler.is_compiling() and x.stride(1) == 1


def depthwise(x: Tensor, weight: Tensor, dilation: tuple[int, int]) -> Tensor:
    """Return the depthwise convolution of stride 1 that keeps the size.

    Args:
        x: `(n, c, h, w)`, channels-last.
        weight: `(c, 1, k, l)`, both odd.
        dilation: Of both sides.
    """
    if not ordinary_autograd():
        return _TransformedDepthwise.apply(x, weight, dilation)
    if torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad):
        return _Depthwise.apply(dilation, x, weight)
    return _convolve(x, weight, dilation)


def _padding(weight: Tensor, dilation: tuple[int, int]) -> list[int]:
    return [d * (k - 1) // 2 for d, k in zip(dilation, weight.shape[2:], strict=True)]


def _convolve(x: Tensor, weight: Tensor, dilation: tuple[int, int]) -> Tensor:
    return torch.conv2d(x, weight, None, 1, _padding(weight, dilation), dilation, weight.shape[0])


def _gradients(
    grad: Tensor, x: Tensor, weight: Tensor, dilation: tuple[int, int], need_x: bool, need_weight: bool
) -> tuple[Tensor | None, Tensor | None]:
    """Return the gradients of input and kernel, by differentiable operations; None for what is not needed."""
    of_weight = None
    if need_weight:
        padding, mask = _padding(weight, dilation), [False, True, False]
        of_weight = _backward_of_convolution(
            grad, x, weight, None, [1, 1], padding, dilation, False, [0, 0], weight.shape[0], mask
        )[1]
    return (_convolve(grad, weight.flip(2, 3), dilation) if need_x else None), of_weight


class _Depthwise(torch.autograd.Function):
    """The convolution. Without `setup_context`, for which torch would inspect the signature at every call (40 us)."""

    @staticmethod
    def forward(ctx: Any, dilation: tuple[int, int], x: Tensor, weight: Tensor) -> Tensor:
        ctx.dilation = dilation
        ctx.save_for_backward(x, weight)
        return _convolve(x, weight, dilation)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        return (None, *_gradients(grads[0], x, weight, ctx.dilation, *wanted_gradients(ctx, 2)))


class _TransformedDepthwise(torch.autograd.Function):
    """The same for `torch.func` and forward mode."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, weight: Tensor, dilation: tuple[int, int]) -> Tensor:
        return _convolve(x, weight, dilation)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, tuple[int, int]], output: Tensor) -> None:
        x, weight, ctx.dilation = inputs
        ctx.save_for_backward(x, weight)
        ctx.save_for_forward(x, weight)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        need_x, need_weight = ctx.needs_input_grad[:2]
        return (*_gradients(grads[0], x, weight, ctx.dilation, need_x, need_weight), None)

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        x, weight = ctx.saved_tensors
        parts = []
        if tangents[0] is not None:
            parts.append(_convolve(tangents[0], weight, ctx.dilation))
        if tangents[1] is not None:
            parts.append(_convolve(x, tangents[1], ctx.dilation))
        return parts[0] if len(parts) == 1 else parts[0] + parts[1]
