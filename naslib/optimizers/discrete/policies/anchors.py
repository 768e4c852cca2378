"""Anchor points: which layers a layer reads, by the states of the controller at each ([Zoph2017nasrl])."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from naslib.optimizers.discrete.steps import Steps


class AnchorPoints(nn.Module):
    """Score the layers before one: layer j is an input of layer i with probability `sigmoid` of its score.

    `score_j = v^T tanh(W_prev h_j + W_curr h_i)`, section 3.3 of [Zoph2017nasrl], where h_j is the state of the
    controller at the anchor point of layer j.

    Args:
        hidden: Units of the controller.

    Attributes:
        previous: W_prev, `(hidden, hidden)`.
        current: W_curr, `(hidden, hidden)`.
        v: `(hidden,)`.
    """

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.previous = nn.Parameter(torch.empty(hidden, hidden))
        self.current = nn.Parameter(torch.empty(hidden, hidden))
        self.v = nn.Parameter(torch.empty(hidden))

    def forward(self, before: Tensor, here: Tensor) -> Tensor:
        """Return the scores.

        Args:
            before: `(n, hidden)`: the states at the anchor points of n layers.
            here: `(1, hidden)`: that at this one.

        Returns:
            `(n,)`.
        """
        scores: Tensor = torch.tanh(before @ self.previous.T + here @ self.current.T) @ self.v
        return scores


def anchor_decisions(steps: Steps) -> dict[int, int]:
    """Return the decisions "which of all layers before this one", by index the number of those layers.

    They are the choices of any subset where those of a space, in the order in which they are made, have 1, 2, 3 ...
    candidates; nothing where they have others.
    """
    decisions = steps.space.decisions
    subsets = [decision for decision in steps.in_order() if decision.n_chosen is None]
    if [len(decision.candidates) for decision in subsets] != list(range(1, len(subsets) + 1)):
        return {}
    return {decisions.index(decision): number for number, decision in enumerate(subsets, start=1)}
