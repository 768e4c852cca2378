"""Networks whose function is to be kept, and how far it was not."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


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


class Residual(nn.Module):
    """Two convolutions beside a shortcut, activations called as functions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.a, self.b = (nn.Conv2d(channels, channels, 3, padding=1, bias=False) for _ in range(2))
        self.norm_a, self.norm_b = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum of both paths."""
        return functional.relu(x + self.norm_b(self.b(functional.relu(self.norm_a(self.a(x))))))


class Dense(nn.Module):
    """Each convolution reads all before it."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(channels + i * growth, growth, 3, padding=1) for i in range(3))
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels + i * growth) for i in range(3))

    def forward(self, x: Tensor) -> Tensor:
        """Return everything, one after the other."""
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = torch.cat([x, conv(functional.relu(norm(x)))], dim=1)
        return x


class Squeeze(nn.Module):
    """Channels are weighed by a small network of their means."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(channels, 3, 1), nn.Conv2d(3, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the weighed channels."""
        return x * torch.sigmoid(self.up(functional.relu(self.down(functional.adaptive_avg_pool2d(x, 1)))))


class Shuffle(nn.Module):
    """Channels of two groups are mixed, by a view and a transposition."""

    def forward(self, x: Tensor) -> Tensor:
        """Return channels 0, n/2, 1, n/2 + 1, ..."""
        batch, channels, height, width = x.shape
        return x.view(batch, 2, channels // 2, height, width).transpose(1, 2).reshape(batch, channels, height, width)


class Halves(nn.Module):
    """One half of the channels opens the other."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the product of one half and the sigmoid of the other."""
        one, other = x.chunk(2, dim=1)
        return one * torch.sigmoid(other)


class Twice(nn.Module):
    """The same convolution, called again on what it said."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return what comes of two calls."""
        for _ in range(2):
            x = functional.relu(self.norm(self.conv(x)))
        return x


def image_network(*middle: nn.Module, channels: int = 8, out: int | None = None) -> nn.Module:
    """Return modules between a first convolution and a linear layer, of 8x8 images of three colours."""
    torch.manual_seed(0)
    first = [nn.Conv2d(3, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU()]
    last = [nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * (out or channels), 3)]
    return with_random_statistics(nn.Sequential(*first, *middle, *last)).double()


IMAGES = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
