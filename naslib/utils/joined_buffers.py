"""Buffers that a forward changes (running statistics): the same on all ranks after a step, as their mean."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from .distributed import is_distributed, mean_over_ranks_


def buffer_versions(module: nn.Module) -> dict[int, int]:
    """Return how often each buffer of a network was changed, by its id; nothing where there is one rank."""
    return {id(buffer): buffer._version for buffer in module.buffers()} if is_distributed() else {}


def join_buffers(module: nn.Module, before: dict[int, int], synced: bool = False) -> None:
    """Make the buffers that were changed the same on all ranks.

    Args:
        module: The network.
        before: Of `buffer_versions`.
        synced: Whether batch norm is by the rows of all ranks, and its buffers are the same already.
    """
    if not is_distributed():
        return
    norms = [child for child in module.modules() if synced and isinstance(child, _BatchNorm)]
    alike = {id(buffer) for norm in norms for buffer in norm.buffers()}
    changed = [b for b in module.buffers() if before.get(id(b)) != b._version and id(b) not in alike]
    mean_over_ranks_([buffer for buffer in changed if buffer.is_floating_point()])
