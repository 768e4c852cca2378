"""Degenerate outcomes: architectures that no training can help, and searches that decided nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from naslib.search_spaces.core.arguments import constructor_arguments
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.reachability import carries_data
from naslib.utils.log import get_logger
from naslib.utils.seeding import rng_restore, rng_snapshot

logger = get_logger(__name__)

NO_PATH = (
    "no path: nothing of the input reaches the output, as every way leads through a zero operation or a missing edge"
)
CONSTANT = "constant output: the output of the network does not depend on its input"
# Images of the probe, for batch norm in training mode more than one
_PROBE = 4
# Rows of a constant output may differ by the order of their additions
_ROUNDING = 1e-6


def degenerate_reasons(architecture: Any, undecided: str = "") -> list[str]:
    """Return in which ways an architecture is degenerate, none for a proper one; each is logged as a warning.

    Args:
        architecture: A discrete graph, also one that holds only a code. Of other objects nothing is known.
        undecided: What the optimizer says about its decisions (`MetaOptimizer.undecided`).
    """
    reasons = [undecided] if undecided else []
    if isinstance(architecture, Graph) and not carries_data(_built(architecture)):
        reasons.append(NO_PATH)
    _warn_of(reasons)
    return reasons


def _built(architecture: Graph) -> Graph:
    """Return an architecture with its modules; where it holds only a code, a graph made of that."""
    if architecture.instantiate_model:
        return architecture
    random_state = rng_snapshot()
    graph = architecture.clone() if len(architecture) else type(architecture)(**constructor_arguments(architecture))
    graph.instantiate_model, graph._code = True, None
    graph.set_spec(architecture.get_code())
    rng_restore(random_state)
    return graph


def name_constant_output(reasons: list[str], network: nn.Module, input_shape: Sequence[int]) -> None:
    """Add to the reasons, and log, that a network for images answers all of them alike, where no path says so already.

    Args:
        reasons: What `degenerate_reasons` returned.
        network: The network that is about to be trained or tested.
        input_shape: Channels, height and width; networks for other inputs are not asked.
    """
    if NO_PATH not in reasons and len(input_shape) == 3 and has_constant_output(network, input_shape):
        reasons.append(CONSTANT)
        _warn_of([CONSTANT])


def _warn_of(reasons: Sequence[str]) -> None:
    for reason in reasons:
        logger.warning("degenerate architecture: %s", reason)


def has_constant_output(network: nn.Module, input_shape: Sequence[int]) -> bool:
    """Return whether a network answers all images alike: the gradient by them vanishes, and outputs are equal.

    The network is run once in training mode on a few random images; its buffers, gradients and mode and the global
    random state stay what they were.

    Args:
        network: The network.
        input_shape: Channels, height and width.
    """
    like = next((p for p in network.parameters() if p.is_floating_point()), torch.empty(0))
    random_state, was_training = rng_snapshot(), network.training
    buffers = [(buffer, buffer.clone()) for buffer in network.buffers()]
    images = torch.randn((_PROBE, *input_shape), device=like.device, dtype=like.dtype).requires_grad_()
    try:
        with torch.enable_grad():
            output = network.train()(images * 1.0)  # not the leaf itself: the first operation may work in place
            gradient = None
            if output.requires_grad:
                (gradient,) = torch.autograd.grad((output * torch.randn_like(output)).sum(), images, allow_unused=True)
    finally:
        network.train(was_training)
        with torch.no_grad():
            for buffer, value in buffers:
                buffer.copy_(value)
        rng_restore(random_state)
    if gradient is not None and bool((gradient != 0).any()):
        return False
    spread = (output - output[:1]).abs().max()
    return bool(spread <= _ROUNDING * output.abs().max())
