"""Same state: that all ranks begin a phase with the same weights, parameters and random numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from naslib.utils.distributed import any_rank, broadcast_object, is_distributed, is_main
from naslib.utils.log import get_logger

from .phase import Phase
from .plain import to_plain

logger = get_logger(__name__)

# Parts that tell the time
_CLOCKS = ("clock",)


def agree_on_state(phase: Phase) -> None:
    """Let all ranks have the state of rank 0, where they do not have it by themselves.

    What a command builds is the same on all ranks, as they draw the same numbers. A script may have seeded nothing, or
    each rank differently.

    Args:
        phase: What is about to begin or to go on; all ranks call this.
    """
    if not is_distributed():
        return
    state = to_plain(phase.capture(0, 0))
    mine = _digest(state)
    if not any_rank(mine != broadcast_object(mine)):
        return
    logger.info("the ranks have built different states for the %s: all take that of rank 0", phase.title)
    seconds = phase.seconds
    told = broadcast_object(state if is_main() else None)
    if not is_main() and told is not None:
        phase.restore(told, Path("rank 0"))
    phase.seconds = seconds


def _digest(state: Mapping[str, Any]) -> str:
    """Return a hash of everything in a state but the time."""
    run = state["run"]
    parts = {name: part for name, part in run["parts"].items() if name not in _CLOCKS}
    told = {**{name: value for name, value in state.items() if name != "run"}, "parts": parts, "rng": run["rng"]}
    digest = hashlib.sha256()
    for piece in _pieces(told):
        digest.update(piece)
    return digest.hexdigest()


def _pieces(value: Any) -> Iterator[bytes]:
    """Yield plain values and tensors as bytes that tell them apart."""
    if isinstance(value, torch.Tensor):
        yield f"{value.dtype}{tuple(value.shape)}".encode()
        yield value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    elif isinstance(value, Mapping):
        for key, entry in value.items():
            yield f"{{{key!r}".encode()
            yield from _pieces(entry)
    elif isinstance(value, list | tuple):
        yield f"[{len(value)}".encode()
        for entry in value:
            yield from _pieces(entry)
    else:
        yield repr(value).encode()
