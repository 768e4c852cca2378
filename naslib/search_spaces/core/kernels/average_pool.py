"""The 3x3 average pooling of cell spaces as a depthwise convolution of ones, which is its own transpose.

On the CPU and channels-last, torch's pooling takes 0.52 ms forward and as much backward for 16x16x32x32 on one thread,
the convolution 0.14 ms for either.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .autograd import ordinary_autograd

# Other channel counts do not reach the vectorised depthwise kernels.
_LANES = 16
# Numbers in a tensor below which the convolution's fixed cost (50 us) is more than torch's whole pooling.
_LARGE = 100_000


def accepts(module: nn.Module, x: Tensor) -> bool:
    """Say whether `average_pool(x)` equals `module(x)` and is the faster of the two.

    `x` is `(n, c, h, w)`.
    """
    if x.numel() < _LARGE or x.dim() != 4 or x.shape[1] % _LANES or torch.compiler.is_compiling():
        return False
    if type(module) is not nn.AvgPool2d or module.count_include_pad or module.divisor_override is not None:
        return False
    if not all(_is(value, size) for value, size in ((module.kernel_size, 3), (module.stride, 1), (module.padding, 1))):
        return False
    return x.device.type == "cpu" and x.stride(1) == 1


def _is(value: Any, size: int) -> bool:
    return value in (size, (size, size))


def average_pool(x: Tensor) -> Tensor:
    """Return the 3x3 average of stride 1 that does not count the padding.

    Args:
        x: `(n, c, h, w)`.
    """
    inverse_counts, ones = _constants(x.shape[1], x.shape[2], x.shape[3], x.dtype)
    function = _AveragePool if ordinary_autograd() else _TransformedAveragePool
    return function.apply(x, inverse_counts, ones)


@functools.lru_cache(maxsize=64)
def _constants(channels: int, height: int, width: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return 1 / (number of pixels in the window) by position, and the kernel of ones."""
    with torch.no_grad():
        counts = F.conv2d(torch.ones(1, 1, height, width), torch.ones(1, 1, 3, 3), padding=1)
        return (1.0 / counts.double()).to(dtype), torch.ones(channels, 1, 3, 3, dtype=dtype)


class _AveragePool(torch.autograd.Function):
    """Sum the window, then divide; backward: divide, then sum the window, faster than oneDNN's own backward.

    Without `setup_context`, for which torch would inspect the signature at every call (40 us).
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, inverse_counts: Tensor, ones: Tensor) -> Tensor:
        ctx.save_for_backward(inverse_counts, ones)
        return F.conv2d(x, ones, padding=1, groups=x.shape[1]).mul_(inverse_counts)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        return _backward(ctx, grads[0])


class _TransformedAveragePool(torch.autograd.Function):
    """The same for `torch.func` and forward mode: both directions are linear, so all derivatives exist."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, inverse_counts: Tensor, ones: Tensor) -> Tensor:
        return F.conv2d(x, ones, padding=1, groups=x.shape[1]).mul_(inverse_counts)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], output: Tensor) -> None:
        _, inverse_counts, ones = inputs
        ctx.save_for_backward(inverse_counts, ones)
        ctx.save_for_forward(inverse_counts, ones)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        return _backward(ctx, grads[0])

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        inverse_counts, ones = ctx.saved_tensors
        return F.conv2d(tangents[0], ones, padding=1, groups=ones.shape[0]) * inverse_counts


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
    inverse_counts, ones = ctx.saved_tensors
    return F.conv2d(grad * inverse_counts, ones, padding=1, groups=ones.shape[0]), None, None
