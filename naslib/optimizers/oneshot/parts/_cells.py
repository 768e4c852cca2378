"""What parts ask about the supernet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import nn

from naslib.errors import ConfigError
from naslib.optimizers.oneshot._decisions import decisions_in
from naslib.optimizers.oneshot.mixture import RelaxedMixedOp
from naslib.optimizers.oneshot.sampling import Draw
from naslib.search_spaces.core.edge import EdgeData
from naslib.search_spaces.core.graph import Graph, Scope


def has_stride(op: nn.Module) -> bool:
    """Say whether something in an operation has a stride: a cell with such a candidate is a reduction cell."""
    strides = [getattr(module, "stride", 1) for module in op.modules()]
    return any((max(s) if isinstance(s, tuple) else s) > 1 for s in strides)


def mixtures(part: str, edges: Iterable[EdgeData]) -> list[RelaxedMixedOp]:
    """Return the ops of edges; raise `ConfigError` where one is no `RelaxedMixedOp`, so that no part can change it."""
    ops = []
    for data in edges:
        if not isinstance(data.op, RelaxedMixedOp):
            raise ConfigError(f"the part {part} needs a RelaxedMixedOp on every edge, not {type(data.op).__name__}")
        ops.append(data.op)
    return ops


def refuse_draws(part: str, relaxation: Any, decisions: Sequence[EdgeData], advice: str = "") -> None:
    """Raise `ConfigError` if a relaxation draws operations, where the part needs a mixture of all.

    Args:
        part: Name of the part.
        relaxation: What all decisions share; None, where each MixedOp has its own, is not looked at.
        decisions: One edge per decision.
        advice: What to do, for the message.
    """
    if relaxation is None or not decisions:
        return
    alphas = [data.alpha for data in decisions]
    alike = torch.stack([alpha.detach() for alpha in alphas if alpha.shape == alphas[0].shape])
    with torch.random.fork_rng(devices=[]):
        entries = relaxation(alike, True)
    if isinstance(entries[0], Draw):
        raise ConfigError(f"the part {part} needs a mixture of all operations, but this method draws some{advice}")


def require_trained_architecture(part: str, graph: Graph, scope: Scope) -> None:
    """Raise `ConfigError` if a method has no architecture parameters that are trained, which the part builds on."""
    decisions = decisions_in(graph, scope)
    if decisions and not any(data.alpha.requires_grad for data in decisions):
        raise ConfigError(f"the part {part} needs architecture parameters that are trained; this method has none")
