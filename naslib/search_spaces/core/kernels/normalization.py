"""Forward-mode derivatives of batch norm without weight and bias, by its own backward kernel.

The Jacobian of y = (x - mean) r is symmetric, so that a tangent goes through the kernel of the backward. torch itself
takes forward-mode derivatives of batch norm, and of its backward, by dozens of elementwise operations, which were half
the time of an exact Hessian-vector product.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

_kernel = torch.ops.aten.native_batch_norm_backward.default


def accepts(norm: nn.Module, x: Tensor) -> bool:
    """Say whether `normalized(x, norm.eps)` is `norm(x)`: forward mode, by the batch, and nothing to be updated.

    `x` is `(n, c, h, w)`.
    """
    if forward_ad._current_level < 0 or torch._C._are_functorch_transforms_active():
        return False
    if type(norm) is not nn.BatchNorm2d or norm.affine or not norm.training or norm.track_running_stats:
        return False
    return x.dim() == 4 and x.numel() > x.shape[1]


def normalized(x: Tensor, eps: float) -> Tensor:
    """Return `x` normalised by its own statistics.

    Args:
        x: `(n, c, h, w)`.
        eps: Added to the variance.
    """
    return _Normalized.apply(x, eps)[0]


def _pull(grad: Tensor, x: Tensor, mean: Tensor, r: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """Return `J grad`, and `sum y grad` per channel."""
    layout = torch.channels_last if x.is_contiguous(memory_format=torch.channels_last) else torch.contiguous_format
    grad = grad.contiguous(memory_format=layout)  # the kernel wants both alike
    scale = torch.ones_like(mean)
    product, inner, _ = _kernel(grad, x, scale, None, None, mean, r, True, eps, [True, True, False])
    return product, inner


class _Normalized(torch.autograd.Function):
    """Normalise; also return mean and inverse deviation."""

    @staticmethod
    def forward(x: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
        return torch.native_batch_norm(x, None, None, None, None, True, 0.0, eps)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, float], output: tuple[Tensor, Tensor, Tensor]) -> None:
        _, mean, r = output
        ctx.eps = inputs[1]
        ctx.mark_non_differentiable(mean, r)
        ctx.save_for_backward(inputs[0], mean, r)
        ctx.save_for_forward(inputs[0], mean, r)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        x, mean, r = ctx.saved_tensors
        return _Pulled.apply(grads[0], x, mean, r, ctx.eps)[0], None

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> tuple[Tensor, None, None]:
        x, mean, r = ctx.saved_tensors
        return _pull(tangents[0], x, mean, r, ctx.eps)[0], None, None


class _Pulled(torch.autograd.Function):
    """`J(x) g = r (g - mean g - y mean(y g))`, with y the normalised x; also `sum y g` per channel."""

    @staticmethod
    def forward(grad: Tensor, x: Tensor, mean: Tensor, r: Tensor, eps: float) -> tuple[Tensor, Tensor]:
        return _pull(grad, x, mean, r, eps)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        grad, x, mean, r, ctx.eps = inputs
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_forward(grad, x, mean, r, *output)

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> tuple[Tensor | None, None]:
        """Return `J g' + J' g`; with b, c, d the means of y g, y x' and y' g, `J' g = -r (c J g + b y' + d y)`."""
        grad, x, mean, r, product, inner = ctx.saved_tensors
        grad_tangent, x_tangent = tangents[:2]
        total = None if grad_tangent is None else _pull(grad_tangent, x, mean, r, ctx.eps)[0]
        if x_tangent is None:
            return total, None
        count = x.numel() // x.shape[1]
        y_tangent, along = _pull(x_tangent, x, mean, r, ctx.eps)
        d = (y_tangent * grad).sum((0, 2, 3)) / count
        constant = _by_channel(mean * r * r * d)
        total = constant.expand_as(x) if total is None else total + constant
        total = torch.addcmul(total, product, _by_channel(-r * along / count))
        total = total.addcmul_(y_tangent, _by_channel(-r * inner / count))
        return total.addcmul_(x, _by_channel(-r * r * d)), None


def _by_channel(values: Tensor) -> Tensor:
    return values.view(1, -1, 1, 1)
