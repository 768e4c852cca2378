"""What looks at a forward besides ordinary reverse-mode autograd."""

from __future__ import annotations

import torch


def ordinary_autograd() -> bool:
    """Say whether a hand-written autograd function may run: no transform, forward mode, tracing or autocast."""
    if torch.compiler.is_compiling() or torch.jit.is_tracing():
        return False
    if torch._C._are_functorch_transforms_active() or torch.autograd.forward_ad._current_level >= 0:
        return False
    return not torch.is_autocast_enabled("cpu")
