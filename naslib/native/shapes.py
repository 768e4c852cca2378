"""Which calls the native kernels take; all others go the PyTorch way."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

KERNEL_SIZES = (3, 5, 7)
STRIDES = (1, 2)
DILATIONS = (1, 2)
DTYPES = (torch.float32, torch.float64)
_PLAIN = (Tensor, nn.Parameter)


def plain_tensors(tensors: Sequence[Tensor | None]) -> bool:
    """Say whether all tensors are ordinary dense CPU tensors of one supported dtype.

    They may have any shape.
    """
    dtype: torch.dtype | None = None
    for tensor in tensors:
        if tensor is None:
            continue
        dtype = dtype or tensor.dtype
        if type(tensor) not in _PLAIN or tensor.device.type != "cpu" or tensor.layout != torch.strided:
            return False
        if tensor.dtype != dtype or tensor.is_neg() or tensor.numel() == 0:
            return False
    return dtype in DTYPES


def eager_reverse_mode() -> bool:
    """Say whether nothing but ordinary autograd looks at the call.

    Transforms of `torch.func`, forward-mode derivatives, tracing and autocast need the PyTorch path.
    """
    if torch.compiler.is_compiling() or torch.jit.is_tracing() or torch.is_autocast_enabled("cpu"):
        return False
    return not torch._C._are_functorch_transforms_active() and torch.autograd.forward_ad._current_level < 0


def accepts(
    x: Tensor,
    depthwise: Tensor,
    pointwise: Tensor | None = None,
    *,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
) -> bool:
    """Say whether the native kernels take a (ReLU, depthwise, 1x1) chain, or its first two operations.

    They take float32 and float64 on the CPU, any memory format (channels_last spares a copy), any batch, height, width
    and number of channels (a multiple of 16 is fast: others compute the missing channels for nothing), square kernels
    of side 3, 5 or 7, stride 1 or 2, dilation 1 or 2, padding up to `(kernel - 1) * dilation`.

    Args:
        x: `(n, c, h, w)`.
        depthwise: `(c, 1, k, k)`.
        pointwise: `(o, c, 1, 1)` or None.
        stride: Stride of the depthwise convolution.
        padding: Its padding.
        dilation: Its dilation.
    """
    return (
        x.dim() == 4
        and plain_tensors((x, depthwise, pointwise))
        and accepts_sizes(x.shape, depthwise, pointwise, stride, padding, dilation)
        and eager_reverse_mode()
    )


def accepts_sizes(
    shape: Sequence[int], depthwise: Tensor, pointwise: Tensor | None, stride: int, padding: int, dilation: int
) -> bool:
    """Say whether a chain with an input of `shape` has sizes that the kernels take.

    `depthwise` is `(c, 1, k, k)`, `pointwise` `(c_out, c, 1, 1)`.
    """
    channels, side = shape[1], depthwise.shape[-1]
    reach = (side - 1) * dilation
    if stride not in STRIDES or dilation not in DILATIONS or side not in KERNEL_SIZES or not 0 <= padding <= reach:
        return False
    if tuple(depthwise.shape) != (channels, 1, side, side) or min(shape[2:]) + 2 * padding <= reach:
        return False
    return pointwise is None or tuple(pointwise.shape[1:]) == (channels, 1, 1)


def output_shape(shape: Sequence[int], side: int, channels: int, stride: int, padding: int, dilation: int) -> list[int]:
    """Return `(n, channels, h, w)` after the convolution."""
    return [shape[0], channels, *((size + 2 * padding - (side - 1) * dilation - 1) // stride + 1 for size in shape[2:])]
