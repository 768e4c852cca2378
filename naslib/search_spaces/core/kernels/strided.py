"""Strided 1x1 convolutions on the CPU, as a strided slice and a matrix product.

oneDNN's kernel for AVX2 (torch 2.14, 2.15) writes out of bounds in the weight gradient of such a convolution in float32
where image or kernel is channels-last, 2 to 7 channels enter, the strides divide both sides, and the batch is larger
than 1: the heap is corrupt, and the process dies at some later time. The slice is exact, never clearly slower, and does
not depend on the processor, so that all strided 1x1 convolutions take it.

`convolve` is for a convolution at hand, `call` for a module that may contain some, or call `F.conv2d` itself.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from naslib.native._engine import wanted_gradients

from .autograd import ordinary_autograd
from .pointwise import pointwise

_PLAIN = (Tensor, nn.Parameter)
# Modules of torch's that contain neither convolutions nor other modules live in files other than these.
_TORCH_MODULES = "torch.nn.modules."
_MAY_CONVOLVE = ("conv", "container", "module", "lazy", "transformer")


def accepts(x: Any, weight: Any, bias: Any, stride: Any, padding: Any, groups: int) -> bool:
    """Say whether a convolution is one of those that `convolution` computes; the arguments are those of `F.conv2d`."""
    if type(x) not in _PLAIN or type(weight) not in _PLAIN or tuple(weight.shape[2:]) != (1, 1):
        return False
    if groups != 1 or _pair(stride) == (1, 1) or (padding != "valid" and _pair(padding) != (0, 0)):
        return False
    if x.dim() != 4 or x.shape[1] != weight.shape[1] or x.device.type != "cpu" or weight.device.type != "cpu":
        return False
    same = x.dtype == weight.dtype and (bias is None or bias.dtype == x.dtype)
    return x.layout == torch.strided and (same or torch.is_autocast_enabled("cpu"))


def convolution(x: Tensor, weight: Tensor, bias: Tensor | None, stride: tuple[int, int]) -> Tensor:
    """Return the 1x1 convolution of a stride, in the memory format that torch's own would have.

    Args:
        x: `(n, c, h, w)`.
        weight: `(o, c, 1, 1)`.
        bias: `(o,)` or None.
        stride: Of rows and columns.
    """
    if not ordinary_autograd():
        return torch.conv2d(_every(x, stride), weight, bias)
    if torch.is_grad_enabled() and (
        x.requires_grad or weight.requires_grad or (bias is not None and bias.requires_grad)
    ):
        return _Strided.apply(stride, x, weight, bias)
    return _product(x, weight, bias, stride)


def convolve(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """Return `conv(x)`; nobody may have hooks on the convolution.

    `(n, c_in, h, w)` to `(n, c_out, h', w')`.
    """
    if not _is_strided_1x1(conv):
        return conv(x)
    if conv.padding_mode == "zeros" and accepts(x, conv.weight, conv.bias, conv.stride, conv.padding, conv.groups):
        return convolution(x, conv.weight, conv.bias, _pair(conv.stride))
    return call(conv, x)


def call(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return `function(*args, **kwargs)`; strided 1x1 convolutions in there are computed by `convolution`.

    Args:
        function: A module or a function. What cannot contain a convolution is just called, and so are our own
            operations, which call their parts in this way themselves.
        args: Its arguments.
        kwargs: Its keyword arguments.
    """
    return call_of(function, function, *args, **kwargs)


def call_of(owner: Any, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Do what `call` does for a function of an owner: the module itself, or a method of it."""
    if not _needs_care(owner):
        return function(*args, **kwargs)
    with StridedConvolutions():
        return function(*args, **kwargs)


def guard_methods(kind: type, *names: str) -> None:
    """Let methods that a foreign class defines compute strided 1x1 convolutions as in `call`."""
    for name in names:
        if name in kind.__dict__ and may_convolve(kind):
            setattr(kind, name, _guarded(kind.__dict__[name]))


def _guarded(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def run(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        if torch.compiler.is_compiling() and not _is_compiled_with_strided(self):
            return method(self, *args, **kwargs)
        with StridedConvolutions():
            return method(self, *args, **kwargs)

    return run


class StridedConvolutions(TorchFunctionMode):
    """Inside, every `F.conv2d` that `accepts` accepts is computed by `convolution`, on this thread.

    A call of torch costs a microsecond more in there: it is entered for foreign modules alone.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Replace a convolution, or call whatever else it is."""
        if func is torch.conv2d and not torch.jit.is_tracing():
            return _conv2d(*args, **(kwargs or {}))
        return func(*args, **kwargs) if kwargs else func(*args)


def _conv2d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Tensor:
    """Take the arguments of `F.conv2d`."""
    if accepts(input, weight, bias, stride, padding, groups):
        return convolution(input, weight, bias, _pair(stride))
    return torch.conv2d(input, weight, bias, stride, padding, dilation, groups)


def _pair(value: Any) -> tuple[Any, ...]:
    """Return a stride or padding for both sides."""
    if isinstance(value, (tuple, list)):
        return tuple(value) * (2 if len(value) == 1 else 1)
    return (value, value)


def _needs_care(called: Any) -> bool:
    if torch.compiler.is_compiling():
        return _is_compiled_with_strided(called)
    kind = type(called)
    if kind is nn.Conv2d:
        return _is_strided_1x1(called)
    return _known_kinds[kind] if kind in _known_kinds else may_convolve(kind)


def _is_strided_1x1(conv: nn.Conv2d) -> bool:
    return conv.kernel_size == (1, 1) and conv.stride != (1, 1)


_known_kinds: dict[type, bool] = {}


def may_convolve(kind: type) -> bool:
    """Say whether objects of a class may call a convolution without our code in between."""
    if kind not in _known_kinds:
        name = kind.__module__
        harmless = name.startswith(_TORCH_MODULES) and name.removeprefix(_TORCH_MODULES) not in _MAY_CONVOLVE
        _known_kinds[kind] = not harmless and not name.startswith("naslib.")
    return _known_kinds[kind]


def _is_compiled_with_strided(owner: Any) -> bool:
    """Say whether what torch.compile looks at has a strided 1x1 convolution among its parts.

    An exported network keeps its convolutions: it is for inference, and goes to other machines.
    """
    if torch.compiler.is_exporting() or not isinstance(owner, nn.Module):
        return False
    return any(
        isinstance(part, nn.Conv2d) and tuple(part.kernel_size) == (1, 1) and tuple(part.stride) != (1, 1)
        for part in owner.modules()
    )


def _every(x: Tensor, stride: tuple[int, int]) -> Tensor:
    return x[:, :, :: stride[0], :: stride[1]]


def _is_channels_last(x: Tensor) -> bool:
    """Say whether torch's convolution takes the strides of `x` for channels-last."""
    strides = x.stride()
    return strides[1] == 1 and strides[3] >= x.shape[1] and strides[0] != 1


def _product(x: Tensor, weight: Tensor, bias: Tensor | None, stride: tuple[int, int]) -> Tensor:
    """Return the convolution by a product; for NCHW one per image, which keeps the format."""
    if _is_channels_last(x) or _is_channels_last(weight):
        out = pointwise(_every(x, stride), weight)
    else:
        every = _every(x, stride)
        out = torch.matmul(weight.flatten(1), every.flatten(2)).unflatten(2, every.shape[2:])
    return out if bias is None else out + bias.view(-1, 1, 1)


class _Strided(torch.autograd.Function):
    """The product. It keeps what torch's convolution keeps, in the same order.

    Activation checkpointing inside a foreign module runs that again in the backward, where nothing replaces it.
    """

    @staticmethod
    def forward(ctx: Any, stride: tuple[int, int], x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.stride = stride
        ctx.save_for_backward(x, weight)
        return _product(x, weight, bias, stride)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (grad,) = grads
        x, weight = ctx.saved_tensors
        need_x, need_weight, need_bias = wanted_gradients(ctx, 3)
        of_weight = None
        if need_weight:
            rows = _every(x, ctx.stride).permute(0, 2, 3, 1).reshape(-1, x.shape[1])
            of_weight = grad.permute(0, 2, 3, 1).reshape(-1, grad.shape[1]).t().mm(rows).view_as(weight)
        of_x = None
        if need_x:
            layout = torch.channels_last if _is_channels_last(x) else torch.contiguous_format
            of_x = spread(pointwise(grad, weight.transpose(0, 1)), x.shape, ctx.stride, layout)
        return None, of_x, of_weight, grad.sum((0, 2, 3)) if need_bias else None


def spread(small: Tensor, shape: Sequence[int], stride: tuple[int, int], layout: torch.memory_format) -> Tensor:
    """Return a tensor that is `small` at every pixel the stride reaches, and zero elsewhere.

    Args:
        small: `(n, c, ceil(h / stride), ceil(w / stride))`.
        shape: `(n, c, h, w)`.
        stride: Of rows and columns.
        layout: Memory format of the result, unless somebody differentiates again.
    """
    n, c, height, width = shape
    if torch.is_grad_enabled():
        rows = torch.ops.aten.slice_backward(small, [n, c, small.shape[2], width], 3, 0, width, stride[1])
        return torch.ops.aten.slice_backward(rows, [n, c, height, width], 2, 0, height, stride[0])
    full = torch.empty((n, c, height, width), dtype=small.dtype, device=small.device, memory_format=layout).zero_()
    _every(full, stride).copy_(small)
    return full
