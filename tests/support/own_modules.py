"""A module of one's own that reads the rows of `training_runs`; importable, so that a run folder can name it."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from naslib.choices import InputChoice, LayerChoice, RepeatChoice, ValueChoice
from naslib.search_spaces import ModuleSearchSpace
from naslib.search_spaces.core.elastic import ElasticLinear

WIDTH, CLASSES = 6, 3


class RowNet(nn.Module):
    """Rows `(n, 6)` to logits `(n, 3)`, with a parameter that no layer draws."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(WIDTH))
        hidden = ValueChoice([4, 8])
        inner = LayerChoice({"wide": nn.Linear(WIDTH, WIDTH), "none": nn.Identity()})
        self.first = LayerChoice({"linear": nn.Linear(WIDTH, WIDTH), "relu": nn.Sequential(nn.ReLU(), inner)})
        self.chain = RepeatChoice(lambda i: nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.BatchNorm1d(WIDTH)), [1, 2])
        self.inputs = InputChoice(2, n_chosen=None)
        self.head = nn.Sequential(ElasticLinear(WIDTH, hidden), nn.ReLU(), ElasticLinear(hidden, CLASSES))

    def forward(self, x: Tensor) -> Tensor:
        """Return logits."""
        x = self.first(x * self.scale)
        return self.head(self.inputs([x, self.chain(x)]) + x)


def two_layers(n_classes: int, in_channels: int, width: int) -> nn.Module:
    """Return a network for images with two choices."""
    layers = [LayerChoice([nn.Conv2d(width, width, k, padding=k // 2) for k in (1, 3)]) for _ in range(2)]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, n_classes)]
    return nn.Sequential(nn.Conv2d(in_channels, width, 3, padding=1, stride=2), *layers, *head)


class TwoLayers(ModuleSearchSpace):
    """A space with arguments, as a config gives them."""

    def __init__(self, n_classes: int = 10, in_channels: int = 1, width: int = 4) -> None:
        super().__init__(partial(two_layers, n_classes, in_channels, width))
        self.n_classes, self.in_channels, self.width = n_classes, in_channels, width


def row_net() -> nn.Module:
    """Return one."""
    return RowNet()
