"""What parts ask about cells."""

from __future__ import annotations

from torch import nn


def has_stride(op: nn.Module) -> bool:
    """Say whether something in an operation has a stride: a cell with such a candidate is a reduction cell."""
    strides = [getattr(module, "stride", 1) for module in op.modules()]
    return any((max(s) if isinstance(s, tuple) else s) > 1 for s in strides)
