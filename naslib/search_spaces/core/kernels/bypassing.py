"""What a kernel that computes a module without calling it owes to it: its watchers, and its count of batches."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from naslib.utils.rows import is_synced


def is_hooked(module: nn.Module) -> bool:
    """Say whether somebody watches the module, so that it must be called itself.

    So must a batch norm that is by the rows of all ranks: a kernel knows those of its own.
    """
    if module._forward_hooks or module._forward_pre_hooks or module._backward_hooks:
        return True
    return isinstance(module, _BatchNorm) and is_synced()


def count_batch(norm: _BatchNorm) -> None:
    """Count a batch in training, for whoever normalises without calling the module."""
    if norm.num_batches_tracked is not None:
        norm.num_batches_tracked.add_(1)
