"""What parts ask about the supernet."""

from __future__ import annotations

from torch import nn

from naslib.errors import ConfigError
from naslib.optimizers.oneshot._decisions import decisions_in
from naslib.search_spaces.core.graph import Graph, Scope


def has_stride(op: nn.Module) -> bool:
    """Say whether something in an operation has a stride: a cell with such a candidate is a reduction cell."""
    strides = [getattr(module, "stride", 1) for module in op.modules()]
    return any((max(s) if isinstance(s, tuple) else s) > 1 for s in strides)


def require_trained_architecture(part: str, graph: Graph, scope: Scope) -> None:
    """Raise `ConfigError` if a method has no architecture parameters that are trained, which the part builds on."""
    decisions = decisions_in(graph, scope)
    if decisions and not any(data.alpha.requires_grad for data in decisions):
        raise ConfigError(f"the part {part} needs architecture parameters that are trained; this method has none")
