"""Skip connections in P-DARTS: dropout on them during the search, and a limit on their number at its end."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from naslib.optimizers.oneshot.supernet.relaxed_op import CandidateWrapper
from naslib.search_spaces.core.graph import Graph, Scope
from naslib.search_spaces.core.ops_words import row_dropout_mask
from naslib.search_spaces.core.primitives import Identity
from naslib.search_spaces.core.types import EdgeLike

# Of the rate after the warm-up, per epoch (authors' code)
DECAY = 0.2


class DroppedSkip(CandidateWrapper):
    """A skip connection with dropout behind it, element by element, in training only.

    Args:
        op: The skip connection.

    Attributes:
        rate: Probability that an element becomes zero.
    """

    def __init__(self, op: nn.Module) -> None:
        super().__init__(op)
        self.rate = 0.0

    def forward(self, x: Tensor, edge_data: EdgeLike | None = None) -> Tensor:
        """Return the input, some of its elements zero and the others scaled up.

        The output has the shape of the input, of any shape.
        """
        if not self.training or not self.rate:
            return x
        if self.rate >= 1:
            return torch.zeros_like(x)
        return x * row_dropout_mask(x, x.shape, self.rate)


def with_dropout(op: nn.Module) -> nn.Module:
    """Return a candidate with dropout behind it if it is an identity, else the candidate itself.

    The skip connection of stride 2 has weights and gets no dropout, as in the authors' code.
    """
    return DroppedSkip(op) if isinstance(op, Identity | nn.Identity) else op


def set_dropout(graph: nn.Module, rate: float) -> None:
    """Set the rate of all skip connections in a supernet."""
    for module in graph.modules():
        if isinstance(module, DroppedSkip):
            module.rate = rate


def dropout_rate(initial: float, epoch: int, length: int, warm_up: int) -> float:
    """Return the rate in an epoch of a stage: to zero linearly in the warm-up, then exponentially from the start again.

    Args:
        initial: The stage's initial rate p.
        epoch: Epoch e within the stage, from 0.
        length: Number of epochs T of the stage.
        warm_up: Number w of its epochs in which the architecture rests: `p (T - 1 - e) / T` in them, and
            `p exp(-0.2 (e - w))` afterwards ([Chen2019pdarts], authors' code).
    """
    if epoch < warm_up:
        return initial * max(length - 1 - epoch, 0) / length
    return initial * math.exp(-DECAY * (epoch - warm_up))


def in_reduction_cells(graph: Graph, scope: Scope) -> set[int]:
    """Return the ids of the architecture parameters of cells whose name or scope says that they are reduction cells."""
    found: set[int] = set()
    for nested in graph._graphs_in_scope(scope):
        if "reduc" in nested.name or str(nested.scope).startswith("r_"):
            found |= {id(data.alpha) for _, _, data in nested.edges(data=True) if data.has("alpha")}
    return found


def limit_skips(
    scores: Sequence[Tensor],
    limit: int,
    skips: Callable[[int, int], bool],
    choose: Callable[[list[Tensor]], list[Any]],
) -> list[Tensor]:
    """Return scores that lead to an architecture with at most `limit` skip connections.

    Again and again the skip connection with the smallest score among those chosen (the first of equals) is struck out
    and the architecture is chosen anew, edges included ([Chen2019pdarts]).

    Args:
        scores: `(n_ops,)` per decision.
        limit: Largest number of skip connections.
        skips: `(decision, position) -> ` whether the candidate counts.
        choose: Per decision the position chosen by given scores, None where there is none.
    """
    left = [row.clone() for row in scores]
    while True:
        chosen = [(decision, position) for decision, position in enumerate(choose(left)) if position is not None]
        counted = [place for place in chosen if skips(*place)]
        open_to_change = [(d, p) for d, p in counted if left[d][p].isfinite()]
        if len(counted) <= limit or not open_to_change:
            return left
        decision, position = min(open_to_change, key=lambda place: float(left[place[0]][place[1]]))
        left[decision][position] = -math.inf
