"""AdaptController: how the logits of an edge change for a task, given its support set."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from naslib.tasks.few_shot import support_rows


class AdaptController(nn.Module):
    """Say by how much the logits of the operations on one edge change for a task ([Doveh2019metadapt]).

    With f_i in R^C the mean over pixels of the edge's input for example i of the support set, s examples in all:

        delta = W_2 (1/s sum_i relu(W_1 f_i + b_1)) + b_2

    The order of the examples makes no difference, and neither does their number. `W_2` and `b_2` are 0 to begin with,
    so that nothing changes at first.

    Args:
        channels: C, of the edge's input.
        n_ops: How many operations.
        hidden: Units in between.
    """

    def __init__(self, channels: int, n_ops: int, hidden: int = 32) -> None:
        super().__init__()
        self.channels = channels
        self.into = nn.Linear(channels, hidden)
        self.out = nn.Linear(hidden, n_ops)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, support: Tensor) -> Tensor:
        """Return delta, `(n_ops,)`.

        Args:
            support: `(s, C, ...)` what enters the edge for the support set.
        """
        pooled = support if support.dim() == 2 else support.flatten(2).mean(dim=2)
        found: Tensor = self.out(torch.relu(self.into(pooled)).mean(dim=0))
        return found


class Switch:
    """Whether the controllers of a search change anything now.

    Attributes:
        on: Whether they do.
    """

    def __init__(self) -> None:
        self.on = False


class Adaptation:
    """Change the weights of one edge by its controller, while there is a support set and it is switched on.

    A copy of a network has the same controllers, which are no part of it.

    Args:
        controller: Of the edge.
        switch: Says whether it is on; all edges of a search have one in common.
    """

    def __init__(self, controller: AdaptController, switch: Switch) -> None:
        self.controller, self.switch = controller, switch

    def __deepcopy__(self, memo: Any) -> Adaptation:
        return self

    def __call__(self, x: Any, weights: Any) -> Any:
        """Return `softmax(alpha + delta)`, given `softmax(alpha)`.

        Args:
            x: The edge's input, `(n, C, ...)`, the support set first.
            weights: `(n_ops,)`.
        """
        rows = support_rows()
        if not rows or not isinstance(weights, Tensor) or not self.switch.on:
            return weights
        return adapted(weights, self.controller(x[:rows]))


def adapted(weights: Tensor, delta: Tensor) -> Tensor:
    """Return `softmax(alpha + delta)`, given `softmax(alpha)`; a weight of 0 stays 0.

    Args:
        weights: `(n_ops,)`.
        delta: `(n_ops,)`.
    """
    scaled = weights * (delta - delta.max().detach()).exp()
    return scaled / scaled.sum()
