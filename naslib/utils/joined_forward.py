"""A forward on some rows of a batch that normalises and drops as the forward on all of them does.

Batch norm by the rows of all ranks is made of differentiable sums, with derivatives of any order, forward and backward.
It stands in for whatever a network calls: modules, and functions of torch. torch's own `SyncBatchNorm` is for CUDA
alone, and has no second derivatives.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.dropout import _DropoutNd
from torch.overrides import TorchFunctionMode

from .distributed import sum_of_ranks
from .rows import HeldRows, draw_for_rows, held_rows, holding_rows


@contextmanager
def on_rows(rows: HeldRows | None) -> Iterator[None]:
    """Say that the forwards inside run on these rows, and let them be those of the joined batch as far as they say."""
    needs_mode = rows is not None and (rows.is_synced or rows.drops)
    with holding_rows(rows), JoinedForward() if needs_mode else nullcontext():
        yield


class JoinedForward(TorchFunctionMode):
    """Let what a forward calls see the joined batch: batch norm its statistics, dropout what is drawn for it."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Replace batch norm by the batch and dropout of rows, and nothing else."""
        kwargs = dict(kwargs or {})
        rows = held_rows()
        if rows is None:
            return func(*args, **kwargs)
        if rows.is_synced and func is F.batch_norm:
            return _batch_norm(rows, *args, **kwargs)
        if rows.is_synced and func is torch.batch_norm_update_stats:
            x, running_mean, running_var, momentum = args
            mean, var, count = _statistics(x, rows)
            _follow(running_mean, running_var, mean, var, count, momentum)
            return mean, var
        if rows.drops and func in _DROPOUTS:
            return _dropout(func, rows, *args, **kwargs)
        return func(*args, **kwargs)


# What drops single numbers, and what drops whole channels, of inputs of how many dimensions
_DROPOUTS: dict[Callable[..., Any], int] = {F.dropout: 0, F.dropout1d: 3, F.dropout2d: 4, F.dropout3d: 5}


def _dropout(
    func: Callable[..., Any],
    rows: HeldRows,
    input: Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
) -> Any:
    """Return `(n, ...)` with numbers, or channels, dropped as for the joined batch; parameters are no rows."""
    dimensions = _DROPOUTS[func]
    is_of_rows = input.dim() > 0 and len(input) == len(rows) and not isinstance(input, nn.Parameter)
    if not training or not 0 < p < 1 or not is_of_rows or dimensions not in (0, input.dim()):
        return func(input, p, training, inplace)
    shape = input.shape if not dimensions else (*input.shape[:2], *[1] * (dimensions - 2))

    def draw(of: Sequence[int]) -> Tensor:
        mask = input.new_empty(tuple(of))
        if not dimensions and input.dim() == 4 and not input.is_contiguous():  # drawn in the order of memory
            mask = mask.contiguous(memory_format=torch.channels_last)
        return mask.bernoulli_(1 - p).div_(1 - p)

    mask = draw_for_rows(shape, draw)
    return input.mul_(mask) if inplace else input * mask


_dropping: WeakKeyDictionary[nn.Module, bool] = WeakKeyDictionary()


def drops_rows(model: Callable[..., Any]) -> bool:
    """Say whether a network may have dropout: a module of torch's, or one with a rate called `dropout`.

    It is looked through once. Of a function that calls a network (`functools.partial`) the arguments are looked
    through, and of any other nothing is known: it may.

    Args:
        model: The network, or a function that calls it.
    """
    if isinstance(model, functools.partial):
        return any(drops_rows(held) for held in (model.func, *model.args) if isinstance(held, nn.Module))
    if not isinstance(model, nn.Module):
        return True
    if model not in _dropping:
        _dropping[model] = any(
            isinstance(child, _DropoutNd) or isinstance(getattr(child, "dropout", None), float)
            for child in model.modules()
        )
    return _dropping[model]


def _batch_norm(
    rows: HeldRows,
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


def _statistics(x: Tensor, rows: HeldRows) -> tuple[Tensor, Tensor, float]:
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
