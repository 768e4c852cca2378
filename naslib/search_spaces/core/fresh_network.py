"""fresh_network: the network of an architecture, as it is before any training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from .batch_norm import use_running_statistics
from .graph import Graph


def fresh_network(space: Graph, code: Any, network_args: Mapping[str, Any] | None = None) -> nn.Module:
    """Return the network of an architecture of a space, with fresh weights from the global generator of torch.

    Args:
        space: The search space; not changed.
        code: The architecture; None where the space is one already (a graph whose architecture is set).
        network_args: Arguments of the space's `evaluation_network`, for a network of another size; None for the network
            of the space itself, with affine norms.

    Raises:
        ArchitectureError: If the space does not contain the architecture.
        TypeError: If the space's networks do not take the arguments.
        UnsupportedBySpaceError: If they have one size.
    """
    architecture = space.clone()
    if code is not None:
        architecture.set_spec(code)
    architecture.prepare_evaluation()
    architecture.parse()
    if network_args is not None:
        network = architecture.evaluation_network(**network_args)
    else:
        network = Graph.evaluation_network(architecture)
    return use_running_statistics(network)
