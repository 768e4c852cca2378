"""Buffers that a forward changes (running statistics): the same on all ranks after a step, as their mean."""

from __future__ import annotations

from collections.abc import Collection

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from .distributed import is_distributed, is_main, mean_over_ranks_, world_size
from .log import get_logger


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
    norms = [child for child in module.modules() if isinstance(child, _BatchNorm)]
    of_norms = {id(buffer) for norm in norms for buffer in norm.buffers()}
    changed = [b for b in module.buffers() if before.get(id(b)) != b._version and id(b) not in of_norms]
    if not synced:  # torch updates these without counting it
        tracking = [norm for norm in norms if norm.training and norm.track_running_stats]
        changed += [b for norm in tracking for b in (norm.running_mean, norm.running_var) if b is not None]
    mean_over_ranks_([buffer for buffer in changed if buffer.is_floating_point()])


def say_norms(norms: Collection[nn.Module], synced: bool, key: str = "search.sync_batch_norm") -> None:
    """Say in the log, where there are several ranks, that batch norm is not that of the joined batch.

    Args:
        norms: The batch norms of a network.
        synced: Whether it is.
        key: What changes that.
    """
    if not is_distributed() or synced or not norms or not is_main():
        return
    get_logger(__name__).info(
        "%d batch norms normalise by the rows of each of %d ranks, so that results depend on the number of ranks; "
        "%s: true normalises by the joined batch",
        len(norms), world_size(), key,
    )  # fmt: skip
