"""Mixtures by the optional native kernels: the depthwise candidates of an edge and their sum in one function."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from naslib import native

from .batch_norm import count_batch
from .ops_base import call_op_shared
from .ops_conv import DilConv, SepConv
from .shared_work import SharedWork, is_hooked


def mix_natively(pairs: Sequence[tuple[nn.Module, Tensor]], x: Tensor, work: SharedWork) -> Tensor:
    """Return the sum of `weight * op(x)` over the pairs.

    Separable and dilated convolutions run in the native kernel where it accepts them, the others as ever; the kernel
    decides for each call and falls back on PyTorch.

    Args:
        pairs: Operations and scalar weights.
        x: Their input.
        work: Results computed from `x` in this forward.
    """
    branches: list[tuple[native.Branch, Tensor]] = []
    tensors: list[tuple[Tensor, Tensor]] = []
    for op, weight in pairs:
        stages = _stages(op)
        if stages is None:
            tensors.append((call_op_shared(op, x, work), weight))
        else:
            branches.append((native.Branch(x, stages), weight))
            _count_batch(op)
    weights = torch.stack([weight for _, weight in [*branches, *tensors]])
    training = pairs[0][0].training
    return native.mixed_node([b for b, _ in branches], [t for t, _ in tensors], weights, training=training)


def _stages(op: nn.Module) -> list[native.Stage] | None:
    """Return the stages of a separable or dilated convolution, None for any other operation."""
    if type(op) not in (SepConv, DilConv) or is_hooked(op):
        return None
    modules = list(op.op)  # type: ignore[arg-type]
    if any(is_hooked(module) for module in modules):
        return None
    stages = []
    for index in range(0, len(modules), 4):
        _, depthwise, pointwise, norm = modules[index : index + 4]
        if norm.affine or norm.momentum is None:
            return None
        stages.append(_stage(depthwise, pointwise, norm))
    return stages


def _stage(depthwise: Any, pointwise: Any, norm: Any) -> native.Stage:
    keeps = norm.track_running_stats or not norm.training
    return native.Stage(
        depthwise.weight,
        pointwise.weight,
        stride=depthwise.stride[0],
        padding=depthwise.padding[0],
        dilation=depthwise.dilation[0],
        running_mean=norm.running_mean if keeps else None,
        running_var=norm.running_var if keeps else None,
        momentum=norm.momentum,
        eps=norm.eps,
    )


def _count_batch(op: nn.Module) -> None:
    for module in op.op:  # type: ignore[union-attr]
        counts = isinstance(module, nn.BatchNorm2d) and module.training and module.track_running_stats
        if counts:
            count_batch(module)
