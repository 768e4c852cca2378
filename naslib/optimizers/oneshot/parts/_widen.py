"""Candidates made wider in the middle of a search: channels are copied, and so is what the optimizer knows of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from naslib.search_spaces.core.primitives import FactorizedReduce

from ._resize import resized

# Per dimension of a tensor, which entries the new one copies; None where the dimension stays
Indices = Sequence[Tensor | None]
# `(old size, new size) -> (new size,)`: which channel each channel of the wider operation copies
Source = Callable[[int, int], Tensor]


def random_source() -> Source:
    """Return a function that keeps the channels there are and puts copies of random ones behind them.

    It gives the same copies for the same sizes: with one source for all layers of an operation, what one layer copies
    its consumer takes for the copy.
    """
    drawn: dict[tuple[int, int], Tensor] = {}

    def source(before: int, after: int) -> Tensor:
        if (before, after) not in drawn:
            copies = torch.randint(before, (after - before,))
            drawn[before, after] = torch.cat([torch.arange(before), copies])
        return drawn[before, after]

    return source


def widened(
    op: nn.Module, numerator: int, denominator: int, optimizer: torch.optim.Optimizer, divide: bool
) -> nn.Module:
    """Return a candidate with `numerator / denominator` times the channels, its weights copied from `op`.

    The parameters are those of `op`, enlarged in place, and so are their buffers in the optimizer.

    Args:
        op: The candidate; it is not to be used afterwards.
        numerator: At least `denominator`.
        denominator: At least 1.
        optimizer: The optimizer of the weights.
        divide: Whether a convolution divides what it reads by the number of copies, so that the wider operation
            computes from copied inputs exactly the copied outputs (Net2Wider); otherwise weights are copied as they
            are, as in the authors' code of DrNAS.

    Raises:
        ConfigError: If the operation cannot be built with that number of channels.
    """
    fresh: nn.Module = resized(op, numerator, denominator)
    source = random_source()
    halves = {id(module) for part in op.modules() if isinstance(part, FactorizedReduce) for module in _norms(part)}
    modules = dict(fresh.named_modules())
    for name, old in op.named_modules():
        new = modules[name]
        of_this = _in_halves(source) if id(old) in halves else source
        for key, parameter in list(old._parameters.items()):
            if parameter is None:
                continue
            indices = _indices(parameter, new._parameters[key], of_this)
            _widen_states(optimizer, parameter, indices)
            parameter.data = (
                _divided(_copy(parameter.data, indices), indices) if divide else _copy(parameter.data, indices)
            )
            parameter.grad = None
            new._parameters[key] = parameter
        for key, buffer in old._buffers.items():
            if buffer is not None:
                new._buffers[key] = _copy(buffer, _indices(buffer, new._buffers[key], of_this))
    return fresh


def _norms(module: nn.Module) -> list[nn.Module]:
    return [child for child in module.modules() if isinstance(child, nn.BatchNorm2d)]


def _in_halves(source: Source) -> Source:
    """Return a source for channels that two layers side by side have written, half each."""

    def of_both(before: int, after: int) -> Tensor:
        half = source(before // 2, after // 2)
        return torch.cat([half, before // 2 + half])

    return of_both


def _indices(old: Tensor, new: Tensor | None, source: Source) -> list[Tensor | None]:
    if new is None:
        return [None] * old.dim()
    sizes = zip(old.shape, new.shape, strict=True)
    return [None if before == after else source(before, after).to(old.device) for before, after in sizes]


def _copy(tensor: Tensor, indices: Indices) -> Tensor:
    new = tensor.clone()
    for dim, index in enumerate(indices):
        if index is not None:
            new = new.index_select(dim, index)
    if tensor.dim() == 4 and tensor.is_contiguous(memory_format=torch.channels_last) and not tensor.is_contiguous():
        new = new.contiguous(memory_format=torch.channels_last)
    return new


def _divided(weight: Tensor, indices: Indices) -> Tensor:
    """Return a convolution's weight with each input divided by how often it occurs."""
    if weight.dim() < 2 or indices[1] is None:
        return weight
    counts = torch.bincount(indices[1])[indices[1]]
    return weight / counts.view(1, -1, *[1] * (weight.dim() - 2))


def _widen_states(optimizer: torch.optim.Optimizer, parameter: nn.Parameter, indices: Indices) -> None:
    state = optimizer.state.get(parameter, {})
    for name, value in state.items():
        if isinstance(value, Tensor) and value.shape == parameter.shape:
            state[name] = _copy(value, indices)
