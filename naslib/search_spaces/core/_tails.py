"""The end of a candidate operation: a convolution without bias, and a BN without weight and bias."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from . import pointwise
from .batch_norm import count_batch
from .shared_work import is_hooked

_backward_of_norm = torch.ops.aten.native_batch_norm_backward.default
_backward_of_convolution = torch.ops.aten.convolution_backward.default


@dataclass(slots=True)
class Tail:
    """A convolution and the BN behind it, or the BN alone, in one forward.

    Attributes:
        shape: Of the output.
        mean: Running mean to be updated, or None.
        var: Running variance, or None.
        momentum: Weight of the batch in them.
        eps: Added to the variance.
        geometry: Stride, padding, dilation and groups of the convolution; None for BN alone.
        rows: Whether the convolution is a product of the pixels' matrix.
        source: Which of a mixture's inputs is read.
    """

    shape: torch.Size
    mean: Tensor | None
    var: Tensor | None
    momentum: float
    eps: float
    geometry: tuple[Any, Any, Any, int] | None = None
    rows: bool = False
    source: int = -1

    def convolve(self, x: Tensor, kernel: Tensor | None) -> Tensor:
        """Return what BN reads."""
        if kernel is None or self.geometry is None:
            return x
        if self.rows:
            return pointwise.pointwise(x, kernel)
        return torch.conv2d(x, kernel, None, *self.geometry)

    def backward(
        self,
        grad: Tensor | None,
        x: Tensor,
        kernel: Tensor | None,
        so_far: Tensor | None,
        need_x: bool,
        need_kernel: bool,
    ) -> tuple[Tensor | None, Tensor | None]:
        """Return the gradients of the input and of the kernel.

        Args:
            grad: Gradient of what BN reads.
            x: The input.
            kernel: The convolution's weight.
            so_far: Sum of the gradients that other tails gave the input, of ours to add into; None for none.
            need_x: Whether the input's gradient is used.
            need_kernel: Whether the kernel's is.
        """
        if grad is None or not (need_x or need_kernel):
            return so_far, None
        if self.rows and kernel is not None:
            return pointwise.backward(grad, x, kernel, so_far, need_x, need_kernel)
        of_kernel: Tensor | None = None
        of_x: Tensor | None = grad
        if kernel is not None and self.geometry is not None:
            stride, padding, dilation, groups = self.geometry
            of_x, of_kernel, _ = _backward_of_convolution(
                grad, x, kernel, None, stride, padding, dilation, False, (0, 0), groups, (need_x, need_kernel, False)
            )
        if not need_x:
            return None, of_kernel
        return of_x if so_far is None else so_far.add_(of_x), of_kernel  # type: ignore[arg-type]


def make_tail(x: Tensor, conv: nn.Module | None, norm: nn.Module) -> Tail | None:
    """Return the tail of a candidate and count the batch; None where its modules must be called.

    Args:
        x: What the convolution reads, or BN without one.
        conv: The convolution, or None.
        norm: The BN.
    """
    if type(norm) is not nn.BatchNorm2d or norm.affine or not norm.training or norm.momentum is None or is_hooked(norm):
        return None
    shape = x.shape if conv is None else _shape_behind(x, conv)
    if shape is None or shape.numel() <= shape[1]:  # one value per channel: BN says what is wrong with that
        return None
    if norm.track_running_stats:
        count_batch(norm)
        tail = Tail(shape, norm.running_mean, norm.running_var, norm.momentum, norm.eps)
    else:
        tail = Tail(shape, None, None, norm.momentum, norm.eps)
    if conv is not None:
        tail.geometry = (conv.stride, conv.padding, conv.dilation, conv.groups)  # type: ignore[assignment]
        tail.rows = pointwise.accepts(conv, x)
    return tail


def _shape_behind(x: Tensor, conv: Any) -> torch.Size | None:
    """Return the shape of a convolution's output, None where the convolution is not a plain one."""
    if type(conv) is not nn.Conv2d or conv.bias is not None or is_hooked(conv) or x.dim() != 4:
        return None
    if x.shape[1] != conv.in_channels or conv.padding_mode != "zeros" or isinstance(conv.padding, str):
        return None
    sides = [
        (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
        for size, padding, dilation, kernel, stride in zip(
            x.shape[2:], conv.padding, conv.dilation, conv.kernel_size, conv.stride, strict=True
        )
    ]
    return torch.Size((x.shape[0], conv.out_channels, *sides))


def norm_backward(
    grad: Tensor, z: Tensor, scale: Tensor, mean: Tensor, deviation: Tensor, eps: float, need_z: bool, need_scale: bool
) -> tuple[Any, Any]:
    """Return the gradients of BN's input and of its scale, None for what is not needed."""
    if not (need_z or need_scale):
        return None, None
    of_z, of_scale, _ = _backward_of_norm(
        grad, z, scale, None, None, mean, deviation, True, eps, [need_z, need_scale, False]
    )
    return of_z, of_scale
