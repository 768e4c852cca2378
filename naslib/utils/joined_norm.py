"""Batch norm by the rows of all ranks, made of differentiable sums: derivatives of any order, forward and backward.

It stands in for whatever a network calls: modules, and functions of torch. torch's own `SyncBatchNorm` is for CUDA
alone, and has no second derivatives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from .distributed import sum_of_ranks
from .rows import Rows, held_rows, holding_rows


@contextmanager
def on_rows(rows: Rows | None) -> Iterator[None]:
    """Say that the forwards inside run on these rows, and normalise by those of all ranks where they say so."""
    with holding_rows(rows), JoinedBatchNorm() if rows is not None and rows.is_synced else nullcontext():
        yield


class JoinedBatchNorm(TorchFunctionMode):
    """Let batch norm in the forwards inside normalise by the rows of all ranks, where it normalises by the batch."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Replace batch norm, and nothing else."""
        kwargs = dict(kwargs or {})
        rows = held_rows()
        if func is F.batch_norm and rows is not None and rows.is_synced:
            return _batch_norm(rows, *args, **kwargs)
        if func is torch.batch_norm_update_stats and rows is not None and rows.is_synced:
            x, running_mean, running_var, momentum = args
            mean, var, count = _statistics(x, rows)
            _follow(running_mean, running_var, mean, var, count, momentum)
            return mean, var
        return func(*args, **kwargs)


def _batch_norm(
    rows: Rows,
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Return `(n, c, ...)` normalised; the arguments are those of `torch.nn.functional.batch_norm`."""
    if not training:
        return F.batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    x = input.float() if input.dtype in (torch.bfloat16, torch.float16) else input
    mean, var, count = _statistics(x, rows)
    if running_mean is not None and running_var is not None:
        _follow(running_mean, running_var, mean, var, count, momentum)
    scale = (var + eps).rsqrt()
    if weight is not None:
        scale = scale * weight
    shift = -mean * scale if bias is None else bias - mean * scale
    shape = (1, -1, *[1] * (x.dim() - 2))
    return torch.addcmul(shift.view(shape), x, scale.view(shape)).to(input.dtype)


def _statistics(x: Tensor, rows: Rows) -> tuple[Tensor, Tensor, float]:
    """Return mean and biased variance per channel over the rows of all ranks, and how many values a channel has."""
    axes = [0, *range(2, x.dim())]
    count = x.numel() / x.shape[1] * rows.together / len(rows)
    mean = sum_of_ranks(x.sum(axes)) / count
    centred = x - mean.view(1, -1, *[1] * (x.dim() - 2))
    return mean, sum_of_ranks(centred.square().sum(axes)) / count, count


@torch.no_grad()
def _follow(
    running_mean: Tensor, running_var: Tensor, mean: Tensor, var: Tensor, count: float, momentum: float
) -> None:
    """Update running statistics by those of the joined batch."""
    mean, var = mean.detach(), var.detach()
    running_mean.lerp_(mean.to(running_mean), momentum)
    running_var.lerp_((var * (count / max(count - 1, 1))).to(running_var), momentum)
