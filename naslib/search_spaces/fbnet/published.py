"""The network that FBNet found, as an architecture of the space."""

from __future__ import annotations

from typing import Any

from .graph import FBNetSearchSpace

# By layer, stage by stage
_C = (
    "k3_e1, k3_e6, skip, k3_e1, k3_e1, k5_e6, k5_e3, k5_e6, k3_e6, k5_e6, k5_e3, k5_e6, k5_e6, "
    "k5_e6, k5_e6, k5_e6, k5_e3, k5_e6, k5_e6, k5_e6, k5_e6, k3_e6"
)


def fbnet_c(n_classes: int = 1000, in_channels: int = 3, **sizes: Any) -> FBNetSearchSpace:
    """Return FBNet-C ([Wu2019fbnet]): 5,572,200 parameters with 1,000 classes."""
    graph = FBNetSearchSpace(n_classes, in_channels, **sizes)
    graph.set_spec(_C)
    graph.parse()
    return graph
