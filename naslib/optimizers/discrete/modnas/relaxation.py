"""Relaxation: logits of all decisions, drawn to architectures through which gradients pass."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from naslib.optimizers.discrete.steps import Steps
from naslib.search_spaces.core.decisions import MASKED, Code, Decision

ESTIMATORS = ("reinmax", "straight_through")


class Relaxation:
    """Draw one-hot vectors of architectures, as `DecisionSpace.vectors` writes them, from logits of the same width.

    One of n candidates is drawn from the softmax, k of n inputs without replacement, and each input of any subset by
    itself. What a condition excludes is 0, and has no gradient. The constraints of a space are not looked at.

    Args:
        steps: Of the decision space.
        estimator: `"reinmax"` (the second order of [Liu2023reinmax], where one of n is drawn) or `"straight_through"`.

    Attributes:
        width: Candidates of all decisions.
    """

    def __init__(self, steps: Steps, estimator: str = "reinmax") -> None:
        self.steps, self.estimator = steps, estimator
        self._columns: list[slice] = []
        start = 0
        for decision in steps.space.decisions:
            self._columns.append(slice(start, start + len(decision.candidates)))
            start += len(decision.candidates)
        self.width = start
        place = {decision.name: index for index, decision in enumerate(steps.space.decisions)}
        self._order = [place[decision.name] for decision in steps.in_order()]
        self._place = place

    def draw(self, logits: Tensor, generator: torch.Generator | None, *, best: bool = False) -> Tensor:
        """Return vectors of zeros and ones with the gradient of the estimator, `(..., width)`.

        Args:
            logits: `(..., width)`.
            generator: Where is drawn from; unused for the most likely.
            best: Whether the most likely candidates are taken instead; without gradient.
        """
        drawn: dict[int, Tensor] = {}
        for index in self._order:
            decision = self.steps.space.decisions[index]
            own = logits[..., self._columns[index]]
            hard = _most_likely(decision, own) if best else _drawn(decision, own.detach(), generator)
            found = hard if best else self._with_gradient(decision, own, hard)
            if decision.condition is not None:
                parent = drawn[self._place[decision.condition[0]]].detach()
                made = parent[..., list(decision.condition_indices)].amax(-1, keepdim=True)
                found = found * made
            drawn[index] = found
        return torch.cat([drawn[index] for index in range(len(self._columns))], dim=-1)

    def codes(self, vectors: Tensor) -> list[Code]:
        """Return the codes of the decision space that vectors `(n, width)` stand for, not checked."""
        space, found = self.steps.space, []
        rows = vectors.detach().round().to(torch.int64).tolist()
        for row in rows:
            genes = [MASKED] * space.n_genes
            for decision, columns in zip(space.decisions, self._columns, strict=True):
                bits: Sequence[int] = row[columns]
                if decision.n_chosen is not None and not any(bits):
                    continue  # not made
                if decision.n_chosen is None and not self.steps.is_made(decision, genes):
                    continue
                genes[space.genes(decision.name)] = (
                    bits if decision.n_chosen is None else [i for i, bit in enumerate(bits) if bit]
                )
            found.append(tuple(genes))
        return found

    def _with_gradient(self, decision: Decision, logits: Tensor, hard: Tensor) -> Tensor:
        if decision.n_chosen is None:
            soft = torch.sigmoid(logits)
        elif decision.n_chosen > 1 or self.estimator == "straight_through":
            soft = float(decision.n_chosen) * torch.softmax(logits, -1)
        else:
            soft = _second_order(logits, hard)
        return hard + (soft - soft.detach())


def _second_order(logits: Tensor, hard: Tensor) -> Tensor:
    """Return what has the gradient of ReinMax at temperature 1 ([Liu2023reinmax], algorithm 2)."""
    first = torch.softmax(logits, -1)
    middle = ((hard + first) / 2).detach()
    shifted = (middle.clamp_min(torch.finfo(logits.dtype).tiny).log() - logits).detach() + logits
    return 2 * torch.softmax(shifted, -1) - first / 2


def _drawn(decision: Decision, logits: Tensor, generator: torch.Generator | None) -> Tensor:
    uniform = torch.rand(logits.shape, generator=generator, dtype=logits.dtype, device=logits.device)
    if decision.n_chosen is None:
        return (uniform < torch.sigmoid(logits)).to(logits.dtype)
    noise = -torch.log(-torch.log(uniform.clamp(1e-12, 1 - 1e-7)))
    return _largest(logits + noise, decision.n_chosen)


def _most_likely(decision: Decision, logits: Tensor) -> Tensor:
    logits = logits.detach()
    if decision.n_chosen is None:
        return (logits > 0).to(logits.dtype)
    return _largest(logits, decision.n_chosen)


def _largest(values: Tensor, count: int) -> Tensor:
    places = values.topk(count, dim=-1).indices
    return torch.zeros_like(values).scatter(-1, places, 1.0)
