"""Who runs: the record of what a forward does with a decision, and the rankings from which it is drawn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from .relaxations import gumbel_noise

# Gradient of the weight of an operation that neither runs nor is evaluated: none, or as if it had returned all ones
Others = Literal["zero", "ones"]
# `(n_decisions, n_ops)` logits -> as many keys: the operations with the largest keys run
Ranking = Callable[[Tensor], Tensor]


class Draw(NamedTuple):
    """What one forward does with one decision.

    Attributes:
        on: Indices of the operations that run, at least one.
        weights: `(n_ops,)`; those of `on` multiply the outputs. Their gradient, the *gate gradient* a, goes to the
            architecture parameters by whatever made them.
        evaluated: Further operations, which the backward runs without a graph for their gate gradients
            `a_k = <dL/dy, o_k(x)>`.
        unit: Whether the weights of `on` are exactly 1, so that nothing is multiplied.
        others: Gate gradient of all other operations.
        removed: Whether the whole edge is left out, with all that passes by its operations.
    """

    on: tuple[int, ...]
    weights: Tensor
    evaluated: tuple[int, ...] = ()
    unit: bool = True
    others: Others = "zero"
    removed: bool = False


def deterministic_ranking(logits: Tensor) -> Tensor:
    """Rank by the logits: the most likely operations run."""
    return logits


def gumbel_ranking(logits: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """Rank by logits plus Gumbel noise: the first n are a sample without replacement from the softmax."""
    return F.log_softmax(logits, dim=-1) + gumbel_noise(logits, generator=generator)


def uniform_ranking(logits: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """Rank at random: every set of n operations is equally likely."""
    return torch.rand(logits.shape, dtype=logits.dtype, device=logits.device, generator=generator)


# The multinomial without replacement and the Gumbel-top-k are one distribution (Gumbel-max trick)
RANKINGS: dict[str, Ranking] = {
    "top_k": deterministic_ranking,
    "gumbel_top_k": gumbel_ranking,
    "multinomial": gumbel_ranking,
    "uniform": uniform_ranking,
}


def ranked(keys: Tensor, n: int) -> Tensor:
    """Return `(n_decisions, n)`: the indices of the n largest keys of each row, largest first; the first of equals."""
    return keys.argsort(dim=-1, descending=True, stable=True)[:, :n]


def membership(indices: Tensor, n_ops: int) -> Tensor:
    """Return `(n_decisions, n_ops)` booleans: whether an operation is among the indices of its row."""
    mask = torch.zeros(indices.shape[0], n_ops, dtype=torch.bool, device=indices.device)
    return mask.scatter_(1, indices, True)


def log_probability(logits: Tensor, indices: Tensor) -> Tensor:
    """Return `(n_decisions,)`: the log probability that `indices` are drawn in this order, without replacement.

    That is `sum_i log_softmax(logits without the indices before i)_i`, and `log_softmax` for a single index.

    Args:
        logits: `(n_decisions, n_ops)`.
        indices: `(n_decisions, n)` different indices per row, the first drawn first.
    """
    total = logits.new_zeros(logits.shape[0])
    for column in indices.unbind(1):
        chosen = column.unsqueeze(1)
        total = total + F.log_softmax(logits, dim=-1).gather(1, chosen).squeeze(1)
        logits = logits.scatter(1, chosen, -torch.inf)
    return total
