"""CostModel: what an architecture costs as a polynomial of its decisions, so that its expectation can be trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import torch
from torch import Tensor

from naslib.utils.placed import Placed

# How sharp the soft choice of the edges of a node is: a strength that is 1.1 times another makes its edge
# exp(ln 1.1 / 0.1) = 2.6 times as likely to be kept
EDGE_TEMPERATURE = 0.1


@dataclass(frozen=True)
class CostTerm:
    """A share of the cost that depends on some decisions.

    Attributes:
        decisions: Their indices, ascending.
        values: `(n_ops of the first, n_ops of the second, ...)` float64, in the unit of the metric.
    """

    decisions: tuple[int, ...]
    values: Tensor

    @cached_property
    def placed(self) -> Placed:
        """The values where expectations are computed: they go there once, and not in every step."""
        return Placed([self.values])


@dataclass(frozen=True)
class KeptEdges:
    """A node that keeps some of the edges that enter it.

    Attributes:
        edges: Indices of the decisions on the edges, by ascending source.
        kept: How many of them an architecture has.
    """

    edges: tuple[int, ...]
    kept: int


@dataclass
class CostModel:
    """The cost of an architecture: `fixed + sum over terms of values[choices of the term's decisions]`.

    With a row of probabilities for every decision in place of the choices it is the expectation over independent
    draws, a polynomial that is linear in each row. Of a node that keeps `k` of its edges, the row of an edge is its
    probabilities given that it is kept, times the probability of that.

    Attributes:
        names: Of the decisions.
        allowed: Per decision, which candidates an architecture ever has.
        fixed: The cost of all that is not decided.
        terms: The shares.
        groups: The nodes that keep some of their edges.
    """

    names: tuple[str, ...]
    allowed: list[tuple[int, ...]]
    widths: list[int]
    fixed: float = 0.0
    terms: list[CostTerm] = field(default_factory=list)
    groups: list[KeptEdges] = field(default_factory=list)

    def of_rows(self, rows: Sequence[Tensor]) -> Tensor:
        """Return the expected cost for given rows, as they are.

        A scalar.

        Args:
            rows: `(n_ops,)` per decision: one-hot for a choice, zeros for an edge that is not kept.
        """
        total = rows[0].new_zeros(()) + self.fixed if rows else torch.tensor(self.fixed)
        for term in self.terms:
            (value,) = term.placed.on(rows[0].device, rows[0].dtype)
            for decision in term.decisions:
                value = torch.tensordot(rows[decision], value, dims=1)
            total = total + value
        return total

    def of_choices(self, choices: Sequence[int | None]) -> float:
        """Return the cost of an architecture.

        Args:
            choices: The candidate of every decision, None for an edge that is not kept.
        """
        total = self.fixed
        for term in self.terms:
            index = tuple(choices[decision] for decision in term.decisions)
            if None not in index:
                total += float(term.values[index])
        return total

    def expected(self, probabilities: Sequence[Tensor]) -> Tensor:
        """Return the expected cost of an architecture that is drawn decision by decision.

        A scalar, differentiable in the probabilities.

        Args:
            probabilities: `(n_ops,)` per decision, summing to 1.
        """
        return self.of_rows(self.rows(probabilities))

    def rows(self, probabilities: Sequence[Tensor]) -> list[Tensor]:
        """Return the rows of `of_rows` for the probabilities of candidates.

        Candidates that no architecture has get 0, and the others what is left, in proportion. The edges of a node are
        drawn one after the other, without replacement, in proportion to `strength ^ (1 / EDGE_TEMPERATURE)`, the
        strength of an edge being its largest probability among the candidates that are left to it.

        `(n_ops,)` per decision.

        Args:
            probabilities: `(n_ops,)` per decision.
        """
        found = []
        for row, allowed in zip(probabilities, self.allowed, strict=True):
            if len(allowed) == len(row):
                found.append(row)
                continue
            left = row * _mask(row, allowed)
            found.append(left / left.sum().clamp_min(torch.finfo(row.dtype).tiny))
        for group in self.groups:
            strengths = torch.stack([_among(probabilities[e], self.allowed[e]).max() for e in group.edges])
            logits = strengths.clamp_min(torch.finfo(strengths.dtype).tiny).log() / EDGE_TEMPERATURE
            chances = inclusion((logits - logits.max().detach()).exp(), group.kept)
            for edge, chance in zip(group.edges, chances.unbind(), strict=True):
                found[edge] = found[edge] * chance
        return found

    def choose(self, scores: Sequence[Tensor]) -> list[int | None]:
        """Return the architecture that the largest scores make: per decision the candidate, None for a dropped edge.

        The rule is that of the spaces: the best candidate among those that an architecture may have, the first of
        equals; of the edges into a node those whose best candidates are best, the lower source of equals.

        Args:
            scores: `(n_ops,)` per decision.
        """
        values = [row.detach().double().cpu().tolist() for row in scores]
        found: list[int | None] = []
        for row, allowed in zip(values, self.allowed, strict=True):
            found.append(max(allowed, key=row.__getitem__))
        for group in self.groups:
            best = {edge: max(values[edge][i] for i in self.allowed[edge]) for edge in group.edges}
            ranked = sorted(group.edges, key=lambda edge: -best[edge])  # stable: sources ascend
            for edge in ranked[group.kept :]:
                found[edge] = None
        return found

    def chosen_rows(self, scores: Sequence[Tensor]) -> list[Tensor]:
        """Return what `choose` returns as one-hot rows for `of_rows`, without waiting for the device.

        `(n_ops,)` per decision, zeros for a dropped edge.

        Args:
            scores: `(n_ops,)` per decision.
        """
        found, best = [], []
        for row, allowed in zip(scores, self.allowed, strict=True):
            struck = row.detach().masked_fill(_mask(row, allowed) == 0, -torch.inf)
            index = struck.argmax()
            best.append(struck.max())
            found.append(torch.zeros_like(struck).index_fill(0, index.unsqueeze(0), 1.0))
        for group in self.groups:
            order = torch.stack([best[e] for e in group.edges]).sort(descending=True, stable=True).indices
            rank = order.argsort()
            for place, edge in enumerate(group.edges):
                found[edge] = found[edge] * (rank[place] < group.kept)
        return found


def inclusion(weights: Tensor, kept: int) -> Tensor:
    """Return with what probability each of n is among `kept` that are drawn one by one, in proportion to weights.

    `P_k(i) = q_i + sum over j != i of q_j P_(k-1)(i | without j)` with `q = weights / sum(weights)`.

    `(n,)`, summing to `kept`.

    Args:
        weights: `(n,)`, positive.
        kept: How many, at most n.
    """
    n = len(weights)
    if kept >= n:
        return torch.ones_like(weights)
    # not below the smallest positive number: edges that cannot win must leave something to draw from
    weights = weights.clamp_min(torch.finfo(weights.dtype).tiny)
    first = weights / weights.sum()
    if kept == 1:
        return first
    found = first
    for taken in range(n):
        rest = inclusion(torch.cat([weights[:taken], weights[taken + 1 :]]), kept - 1) * first[taken]
        found = found + torch.cat([rest[:taken], torch.zeros_like(first[:1]), rest[taken:]])
    return found


def _mask(row: Tensor, allowed: Sequence[int]) -> Tensor:
    return _mask_of(tuple(allowed), len(row), row.dtype, row.device)


# constants of a search: nothing waits for their way to the device in each of its steps
@lru_cache(maxsize=4096)
def _mask_of(allowed: tuple[int, ...], width: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.tensor([float(index in allowed) for index in range(width)], dtype=dtype).to(device)


def _among(row: Tensor, allowed: Sequence[int]) -> Tensor:
    """Return the entries of the candidates that an architecture may have."""
    return row if len(allowed) == len(row) else row[_indices(tuple(allowed), row.device)]


@lru_cache(maxsize=4096)
def _indices(allowed: tuple[int, ...], device: torch.device) -> Tensor:
    return torch.tensor(allowed, device=device)
