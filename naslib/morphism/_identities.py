"""Layers that change nothing: the identity as a convolution or linear layer, and batch norm that undoes itself."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from naslib.errors import ConfigError, MorphismError

from ._networks import Call, outputs_of
from ._spots import Spot

_NEW_CONVOLUTIONS: dict[int, Any] = {3: nn.Conv1d, 4: nn.Conv2d, 5: nn.Conv3d}
_NEW_NORMS: dict[int, Any] = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}


def identity(spot: Spot, module: nn.Module, kernel_size: int | None, network: nn.Module) -> Any:
    """Return the new layer, of the type of numbers of the module, or of the network where that has no parameters."""
    like = next(chain(module.parameters(), network.parameters()), torch.zeros(()))
    kind = {"device": like.device, "dtype": like.dtype}
    if isinstance(module, nn.Linear) or len(spot.shape) == 2:
        if kernel_size is not None:
            raise ConfigError(f"kernel_size: a linear layer has none, not {kernel_size}")
        width = spot.shape[-1]
        linear = nn.utils.skip_init(nn.Linear, width, width, **kind)
        with torch.no_grad():
            linear.weight.copy_(torch.eye(width))
            linear.bias.zero_()
        return linear
    width, ndim = spot.shape[1], len(spot.shape) - 2
    if kernel_size is None:
        own: Any = getattr(module, "kernel_size", (3,) * ndim)
        sizes = [int(size) - (int(size) + 1) % 2 for size in (own if isinstance(own, tuple) else (own,) * ndim)]
    else:
        sizes = [kernel_size] * ndim
    kernel, padding = tuple(sizes), tuple(size // 2 for size in sizes)
    conv = nn.utils.skip_init(_NEW_CONVOLUTIONS[ndim + 2], width, width, kernel, padding=padding, bias=False, **kind)
    with torch.no_grad():
        nn.init.dirac_(conv.weight)
    return conv


def new_norm(spot: Spot, made: nn.Module) -> Any:
    """Return batch norm that undoes itself with mean 0 and variance 1."""
    check_norm(spot, made)
    weight: Any = made.weight
    norm = _NEW_NORMS[len(spot.shape)](int(weight.shape[0])).to(weight.device, weight.dtype)
    undo(norm)
    return norm


def check_norm(spot: Spot, made: nn.Module) -> None:
    """Raise if batch norm would not read rows or images after a layer.

    Raises:
        MorphismError: If so.
    """
    if isinstance(made, nn.Linear) and len(spot.shape) != 2:
        raise MorphismError(
            f"batch norm after a linear layer reads rows, and here it would read a tensor of shape {spot.shape}: "
            "put the layer there without (norm=False)"
        )


@torch.no_grad()
def undo(norm: Any) -> None:
    """Let batch norm change nothing in evaluation mode: shift by its mean, scale by its standard deviation."""
    norm.bias.copy_(norm.running_mean)
    norm.weight.copy_((norm.running_var + norm.eps).sqrt())


def measure(network: nn.Module, norms: Sequence[Any], call: Call) -> None:
    """Give batch norms that change nothing the statistics of what they read; they still change nothing.

    Args:
        network: Which has them; changed in these alone.
        norms: Batch norms that undo themselves.
        call: Runs the network.
    """
    seen: dict[int, list[Tensor]] = {}

    def keep(module: nn.Module, inputs: Any) -> None:
        seen.setdefault(id(module), []).append(inputs[0].detach())

    handles = [norm.register_forward_pre_hook(keep) for norm in norms]
    try:
        outputs_of(network, call)
    finally:
        for handle in handles:
            handle.remove()
    for norm in norms:
        read = seen.get(id(norm))
        if not read:
            continue
        values = torch.cat([part.transpose(0, 1).flatten(1) for part in read], dim=1).double()
        with torch.no_grad():
            norm.running_mean.copy_(values.mean(dim=1))
            norm.running_var.copy_(values.var(dim=1, correction=min(1, values.shape[1] - 1)))
        undo(norm)


@torch.no_grad()
def add_noise(made: Any, noise: float, generator: torch.Generator | None) -> None:
    """Add noise to all of a layer's weight, as a share of its standard deviation."""
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    weight = made.weight
    spread = float(weight.std(correction=0)) * noise
    drawn = torch.randn(weight.shape, generator=generator, device=generator.device, dtype=torch.float64)
    weight.add_((drawn * spread).to(weight.device, weight.dtype))
