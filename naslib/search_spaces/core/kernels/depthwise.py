"""Depthwise convolutions with faster gradients than torch's own; each rewrite is exact.

oneDNN's backward is slow for channels-last tensors, most of all with a dilation. Milliseconds on one thread of an
AVX-512 processor, in brackets with its kernels for AVX2:

* `flip`: the input's gradient is the forward convolution with the kernel turned around. For 16x16x32x32 and a 5x5
  kernel of dilation 2, 1.88 against 0.19; for 3x3 of dilation 1, 0.26 and 0.13.
* `phases`: a kernel of dilation 2 only ever combines pixels of equal parity. As a batch of four images of half the side
  the gradient of the kernel needs no dilation: for 16x64x16x16 and 3x3, 1.19 against 0.22 (3.89 and 0.23).
* `subsample`: with dilation 2, stride 2 and an even padding only every second pixel is read. On those alone it is a
  convolution of stride 1 without dilation: for 16x16x32x32 and 5x5, both directions, 8.6 against 0.8 (8.9 and 0.7).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from naslib.native._engine import wanted_gradients

from .autograd import ordinary_autograd
from .strided import spread

# Other channel counts do not reach the vectorised depthwise kernels.
_LANES = 16
# On larger images the dilated kernels for AVX-512 are as fast as the undilated: pixels, by side of the kernel.
_PHASE_PIXELS = {3: 16 * 16, 5: 8 * 8}

_backward_of_convolution = torch.ops.aten.convolution_backward.default


class Rewrites(NamedTuple):
    """Which rewrites are on."""

    flip: bool = True
    phases: bool = True


_ALL = Rewrites()


def accepts(module: nn.Module, x: Tensor) -> bool:
    """Say whether `depthwise(x, module.weight, module.dilation)` equals `module(x)` and has the faster backward.

    `x` is `(n, c, h, w)`.
    """
    return _is_depthwise(module, x) and module.stride == (1, 1) and _keeps_size(module, module.padding, module.dilation)  # type: ignore[arg-type]


def accepts_subsampled(module: nn.Module, x: Tensor) -> bool:
    """Say whether `subsampled(x, module.weight, module.padding)` equals `module(x)`.

    `x` is `(n, c, h, w)`.
    """
    if not _is_depthwise(module, x) or module.stride != (2, 2) or module.dilation != (2, 2):
        return False
    return not isinstance(module.padding, str) and all(padding % 2 == 0 for padding in module.padding)  # type: ignore[union-attr]


def _is_depthwise(module: nn.Module, x: Tensor) -> bool:
    """Say whether a convolution and its input are of the kind that is rewritten at all."""
    if type(module) is not nn.Conv2d or module.groups != module.in_channels or module.groups != module.out_channels:
        return False
    if module.groups % _LANES or module.bias is not None or module.padding_mode != "zeros":
        return False
    if torch.is_autocast_enabled("cpu"):  # the backward is outside of it, and would get its type for the output alone
        return False
    fits = x.dim() == 4 and x.shape[1] == module.in_channels and x.device.type == "cpu"
    return fits and not torch.compiler.is_compiling() and x.stride(1) == 1


def _keeps_size(module: nn.Conv2d, padding: str | tuple[int, ...], dilation: tuple[int, ...]) -> bool:
    if isinstance(padding, str):
        return False
    return all(2 * p == d * (k - 1) for p, d, k in zip(padding, dilation, module.kernel_size, strict=True))


def depthwise(x: Tensor, weight: Tensor, dilation: tuple[int, int], rewrites: Rewrites = _ALL) -> Tensor:
    """Return the depthwise convolution of stride 1 that keeps the size.

    Args:
        x: `(n, c, h, w)`, channels-last.
        weight: `(c, 1, k, l)`, both odd.
        dilation: Of both sides.
        rewrites: By which of them the gradients are computed.
    """
    if not ordinary_autograd():
        return _TransformedDepthwise.apply(x, weight, dilation, rewrites)
    if torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad):
        return _Depthwise.apply(dilation, rewrites, x, weight)
    return _convolve(x, weight, dilation)


def subsampled(x: Tensor, weight: Tensor, padding: tuple[int, int], rewrites: Rewrites) -> Tensor:
    """Return the depthwise convolution of stride 2 and dilation 2 with an even padding.

    Args:
        x: `(n, c, h, w)`, channels-last.
        weight: `(c, 1, k, l)`.
        padding: Of both sides.
        rewrites: By which of them the gradients are computed where the convolution that is left keeps the size.
    """
    small = _EverySecond.apply(x) if ordinary_autograd() else x[:, :, ::2, ::2]
    half = [side // 2 for side in padding]
    if any(rewrites) and all(2 * p == k - 1 for p, k in zip(half, weight.shape[2:], strict=True)):
        return depthwise(small, weight, (1, 1), rewrites)
    return torch.conv2d(small, weight, None, 1, half, 1, weight.shape[0])


def _padding(weight: Tensor, dilation: tuple[int, int]) -> list[int]:
    return [d * (k - 1) // 2 for d, k in zip(dilation, weight.shape[2:], strict=True)]


def _convolve(x: Tensor, weight: Tensor, dilation: tuple[int, int]) -> Tensor:
    return torch.conv2d(x, weight, None, 1, _padding(weight, dilation), dilation, weight.shape[0])


def _gradients(
    grad: Tensor, x: Tensor, weight: Tensor, dilation: tuple[int, int], rewrites: Rewrites, needs: tuple[bool, bool]
) -> tuple[Tensor | None, Tensor | None]:
    """Return the gradients of input and kernel, by differentiable operations; None for what is not needed."""
    need_x, need_weight = needs
    of_x = _convolve(grad, weight.flip(2, 3), dilation) if need_x and rewrites.flip else None
    images, gradients, distance = x, grad, dilation
    if need_weight and rewrites.phases and _has_phases(x, weight, dilation):
        images, gradients, distance = _phases(x), _phases(grad), (1, 1)
    separate = images is not x or rewrites.flip
    of_weight = None
    if need_weight:
        mask = (need_x and not separate, True)
        of_both = _torchs_gradients(gradients, images, weight, distance, mask)
        of_x, of_weight = of_x if separate else of_both[0], of_both[1]
    if need_x and of_x is None:
        of_x = _torchs_gradients(grad, x, weight, dilation, (True, False))[0]
    return of_x, of_weight


def _torchs_gradients(
    grad: Tensor, x: Tensor, weight: Tensor, dilation: tuple[int, int], mask: tuple[bool, bool]
) -> tuple[Tensor, Tensor]:
    padding, wanted = _padding(weight, dilation), [*mask, False]
    return _backward_of_convolution(
        grad, x, weight, None, [1, 1], padding, dilation, False, [0, 0], weight.shape[0], wanted
    )[:2]


def _has_phases(x: Tensor, weight: Tensor, dilation: tuple[int, int]) -> bool:
    """Say whether the four phases are of one size, and faster."""
    height, width = x.shape[2:]
    if tuple(dilation) != (2, 2) or height % 2 or width % 2 or not all(side % 2 for side in weight.shape[2:]):
        return False
    if torch.backends.cpu.get_cpu_capability() != "AVX512":
        return True
    return height * width <= _PHASE_PIXELS.get(max(weight.shape[2:]), 0)


def _phases(x: Tensor) -> Tensor:
    """Return the pixels `[i::2, j::2]` of all images: `(4n, c, h / 2, w / 2)`, channels-last."""
    n, c, height, width = x.shape
    pixels = x.permute(0, 2, 3, 1).reshape(n, height // 2, 2, width // 2, 2, c)
    return pixels.permute(2, 4, 0, 1, 3, 5).reshape(4 * n, height // 2, width // 2, c).permute(0, 3, 1, 2)


class _Depthwise(torch.autograd.Function):
    """The convolution. Without `setup_context`, for which torch would inspect the signature at every call (40 us)."""

    @staticmethod
    def forward(ctx: Any, dilation: tuple[int, int], rewrites: Rewrites, x: Tensor, weight: Tensor) -> Tensor:
        ctx.dilation, ctx.rewrites = dilation, rewrites
        ctx.save_for_backward(x, weight)
        return _convolve(x, weight, dilation)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        need_x, need_weight = wanted_gradients(ctx, 2)
        return (None, None, *_gradients(grads[0], x, weight, ctx.dilation, ctx.rewrites, (need_x, need_weight)))


class _TransformedDepthwise(torch.autograd.Function):
    """The same for `torch.func` and forward mode."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, weight: Tensor, dilation: tuple[int, int], rewrites: Rewrites) -> Tensor:
        return _convolve(x, weight, dilation)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, tuple[int, int], Rewrites], output: Tensor) -> None:
        x, weight, ctx.dilation, ctx.rewrites = inputs
        ctx.save_for_backward(x, weight)
        ctx.save_for_forward(x, weight)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        needs = (ctx.needs_input_grad[0], ctx.needs_input_grad[1])
        return (*_gradients(grads[0], x, weight, ctx.dilation, ctx.rewrites, needs), None, None)

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        x, weight = ctx.saved_tensors
        parts = []
        if tangents[0] is not None:
            parts.append(_convolve(tangents[0], weight, ctx.dilation))
        if tangents[1] is not None:
            parts.append(_convolve(x, tangents[1], ctx.dilation))
        return parts[0] if len(parts) == 1 else parts[0] + parts[1]


class _EverySecond(torch.autograd.Function):
    """Every second pixel of both sides; its gradient is channels-last, as torch's is not."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.shape = x.shape
        return x[:, :, ::2, ::2].contiguous(memory_format=torch.channels_last)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return spread(grads[0], ctx.shape, (2, 2), torch.channels_last)
