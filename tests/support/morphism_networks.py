"""Networks whose function is to be kept, and how far it was not."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def with_random_statistics(network: nn.Module, seed: int = 7) -> nn.Module:
    """Give every batch norm statistics and weights that are not those of a fresh one."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
                if module.running_mean is not None:
                    module.running_mean.normal_(generator=generator)
                    module.running_var.uniform_(0.5, 2, generator=generator)
                if module.weight is not None:
                    module.weight.uniform_(0.5, 1.5, generator=generator)
                    module.bias.normal_(generator=generator)
    return network


def largest_difference(one: nn.Module, other: nn.Module, *inputs: Any, training: bool = False) -> float:
    """Return by how much two networks differ at most, as a share of the largest output."""
    with torch.no_grad():
        first, second = _first(one.train(training)(*inputs)), _first(other.train(training)(*inputs))
    return float((first - second).abs().max() / first.abs().max())


def _first(outputs: Any) -> Tensor:
    return outputs[0] if isinstance(outputs, tuple) else outputs
