"""Undecided: whether a search with architecture parameters has decided anything."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from naslib.search_spaces.core.primitives import Zero

from .host import Supernet

# Scores that differ by less than the rounding of a softmax in float32, relative to the larger one
_ROUNDING = 3e-7
# Names that are given at most
_LISTED = 6


def undecided(optimizer: Supernet, first: Sequence[Tensor]) -> str:
    """Return in words why the candidates' order chose the architecture, or chance did; "" where the search did.

    Values are those of `trained_values`, each `(n_ops,)`.

    Args:
        optimizer: The optimizer.
        first: Values of its trained architecture parameters from before the search.
    """
    scores = optimizer.outcome if optimizer.outcome is not None else optimizer.decision_scores()
    open_decisions = [
        (score.detach().flatten(), decision)
        for score, decision in zip(scores, optimizer.decisions, strict=True)
        if score.numel() > 1
    ]
    if not open_decisions:
        return ""
    allows_zero = optimizer.graph.ALLOWS_ZERO
    if all(_is_tied(score, decision.op.primitives, allows_zero) for score, decision in open_decisions):
        names = [decision.name for _, decision in open_decisions]
        listed = ", ".join(names[:_LISTED]) + (" ..." if len(names) > _LISTED else "")
        return (
            f"all {len(names)} decisions are tied ({listed}): the best candidates of each score the same, so that "
            "their order chose the architecture, not the search"
        )
    if optimizer.outcome is None and first and _unmoved(optimizer, first):
        return (
            "the architecture parameters never moved: the architecture is that of their first values; were there steps "
            "that train them (search.epochs, a warm-up as long as the search, arch_learning_rate)?"
        )
    return ""


def _is_tied(score: Tensor, candidates: Sequence[object], allows_zero: bool) -> bool:
    """Say whether the two best candidates score the same; Zero is one only where it may win and does."""
    zeros = torch.tensor([isinstance(op, Zero) for op in candidates], device=score.device)
    operations = ~zeros
    if allows_zero and bool(zeros.any()) and bool(operations.any()):
        operations |= zeros & (score >= score[operations].max())
    if int(operations.sum()) < 2:
        return False
    best, second = score[operations].double().topk(2).values.tolist()
    return best == second or best - second <= _ROUNDING * abs(best)


def trained_values(optimizer: Supernet) -> list[Tensor]:
    """Return copies of what the architecture step trains.

    Each is `(n_ops,)`.
    """
    return [alpha.detach().to("cpu", copy=True) for alpha in optimizer.architecture_parameters]


def _unmoved(optimizer: Supernet, first: Sequence[Tensor]) -> bool:
    now = trained_values(optimizer)
    return len(now) == len(first) and all(torch.equal(a, b) for a, b in zip(now, first, strict=True))
