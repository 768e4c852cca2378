"""Checks: does a written file compute what the network computes?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from naslib.errors import ExportError

# Batches that every format is tried on
BATCHES = (1, 5)
# Of the largest output, where that is above 1
TOLERANCE = 1e-5


def trial_inputs(like: Tensor, n: int) -> Tensor:
    """Return n inputs `(n, ...)` of the kind of `like`, the same ones each time.

    Args:
        like: Inputs `(m, ...)`; tokens are drawn from 0 to the largest of them.
        n: How many.
    """
    generator = torch.Generator().manual_seed(n)
    shape = (n, *like.shape[1:])
    if like.is_floating_point():
        return torch.randn(shape, generator=generator).to(like.dtype)
    return torch.randint(int(like.max()) + 1, shape, generator=generator).to(like.dtype)


def outputs_of(found: Any) -> list[Tensor]:
    """Return the tensors of what a network gave, of any shape, in order."""
    if isinstance(found, Tensor):
        return [found]
    if isinstance(found, dict):
        found = list(found.values())
    return [tensor for item in found for tensor in outputs_of(item)] if isinstance(found, list | tuple) else []


@torch.no_grad()
def largest_difference(network: nn.Module, run: Callable[[Tensor], Any], like: Tensor, name: str) -> float:
    """Return by how much a file's outputs differ from the network's at most, as a share of the largest output above 1.

    Args:
        network: The network.
        run: Runs the file on inputs.
        like: Inputs of the kind, `(n, ...)`.
        name: Of the file, for the message.

    Raises:
        ExportError: If they differ by more than 1e-5, or in number or shape.
    """
    worst = 0.0
    for n in BATCHES:
        inputs = trial_inputs(like, n)
        expected, found = outputs_of(_seeded(network, inputs)), outputs_of(_seeded(run, inputs))
        if [tuple(t.shape) for t in found] != [tuple(t.shape) for t in expected]:
            raise ExportError(
                f"{name} gives {[tuple(t.shape) for t in found]} on a batch of {n}, the network "
                f"{[tuple(t.shape) for t in expected]}"
            )
        for mine, yours in zip(found, expected, strict=True):
            scale = max(1.0, float(yours.abs().max())) if yours.numel() else 1.0
            difference = float((mine - yours).abs().max()) / scale if yours.numel() else 0.0
            if not difference <= TOLERANCE:
                raise ExportError(f"{name} differs from the network by {difference:.1e} on a batch of {n}")
            worst = max(worst, difference)
    return worst


def _seeded(run: Callable[[Tensor], Any], inputs: Tensor) -> Any:
    """Return what a network gives where operations that draw noise begin with the same seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return run(inputs)
