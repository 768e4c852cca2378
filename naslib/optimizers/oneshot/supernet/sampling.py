"""Who runs: the rankings from which the operations of a decision are drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from naslib.search_spaces.core.assignment import Draw as Draw
from naslib.search_spaces.core.codec import NO_EDGE
from naslib.search_spaces.core.primitives import Identity, Zero

from .relaxations import gumbel_noise

# `(n_decisions, n_ops)` logits -> as many keys: the operations with the largest keys run
Ranking = Callable[[Tensor], Tensor]


def draw_of(indices: Sequence[int], ops: Sequence[nn.Module]) -> Draw:
    """Return what runs some candidates, summed; for none of them (or `NO_EDGE`) the edge is left out.

    Args:
        indices: Of the candidates.
        ops: All candidates. Where none is a `Zero`, an edge that is left out has the zeros of the candidate with the
            fewest parameters, computed and multiplied by 0.
    """
    on = tuple(index for index in indices if index != NO_EDGE)
    if on:
        return Draw(on, torch.ones(len(ops)))
    zero = next((index for index, op in enumerate(ops) if isinstance(op, Zero)), None)
    if zero is None:
        return Draw((_lightest(ops),), torch.zeros(len(ops)), unit=False, removed=True)
    return Draw((zero,), torch.ones(len(ops)), removed=True)


def _lightest(ops: Sequence[nn.Module]) -> int:
    """Return the index of the candidate that costs the least: an identity, else that with the fewest parameters."""
    sizes = [sum(parameter.numel() for parameter in op.parameters()) for op in ops]
    return min(range(len(ops)), key=lambda index: (sizes[index], not isinstance(ops[index], Identity), index))


def deterministic_ranking(logits: Tensor) -> Tensor:
    """Rank by the logits: the most likely operations run.

    Logits and ranks are `(rows, n_ops)`.
    """
    return logits


def gumbel_ranking(logits: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """Rank by logits plus Gumbel noise: the first n are a sample without replacement from the softmax.

    Logits and ranks are `(rows, n_ops)`.
    """
    return F.log_softmax(logits, dim=-1) + gumbel_noise(logits, generator=generator)


def uniform_ranking(logits: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """Rank at random: every set of n operations is equally likely.

    Logits and ranks are `(rows, n_ops)`.
    """
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
