"""Layers that change nothing: the identity as a convolution or linear layer, and batch norm that undoes itself."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from naslib.errors import ConfigError, MorphismError

from ._networks import Call, outputs_of
from ._spots import Spot

_NEW_CONVOLUTIONS: dict[int, Any] = {3: nn.Conv1d, 4: nn.Conv2d, 5: nn.Conv3d}
_NEW_NORMS: dict[int, Any] = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}


def identity(spot: Spot, module: nn.Module, kernel_size: int | None) -> Any:
    """Return the new layer."""
    like = next(module.parameters(), torch.zeros(()))
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
    if isinstance(made, nn.Linear) and len(spot.shape) != 2:
        raise MorphismError(
            f"batch norm after a linear layer reads rows, and here it would read a tensor of shape {spot.shape}: "
            "put the layer there without (norm=False)"
        )
    weight: Any = made.weight
    norm = _NEW_NORMS[len(spot.shape)](int(weight.shape[0])).to(weight.device, weight.dtype)
    _undo(norm)
    return norm


@torch.no_grad()
def _undo(norm: Any) -> None:
    norm.bias.copy_(norm.running_mean)
    norm.weight.copy_((norm.running_var + norm.eps).sqrt())


def measure(network: nn.Module, made: nn.Module, norm: Any, call: Call) -> None:
    """Give batch norm the statistics of what it reads, and let it undo them."""
    seen: list[Tensor] = []

    def keep(module: nn.Module, inputs: Any, output: Tensor) -> None:
        seen.append(output.detach())

    handle = made.register_forward_hook(keep)
    try:
        outputs_of(network, call)
    finally:
        handle.remove()
    values = torch.cat([output.transpose(0, 1).flatten(1) for output in seen], dim=1).double()
    with torch.no_grad():
        norm.running_mean.copy_(values.mean(dim=1))
        norm.running_var.copy_(values.var(dim=1, correction=min(1, values.shape[1] - 1)))
    _undo(norm)


@torch.no_grad()
def add_noise(made: Any, noise: float, generator: torch.Generator | None) -> None:
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    weight = made.weight
    spread = float(weight.std(correction=0)) * noise
    drawn = torch.randn(weight.shape, generator=generator, device=generator.device, dtype=torch.float64)
    weight.add_((drawn * spread).to(weight.device, weight.dtype))
