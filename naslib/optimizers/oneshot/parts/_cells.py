"""What parts ask about the supernet."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn

from naslib.errors import ConfigError
from naslib.optimizers.oneshot.supernet.relaxed_op import RelaxedMixedOp
from naslib.search_spaces.core.edge import EdgeData


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
