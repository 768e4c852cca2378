"""Networks that somebody has published, by name."""

from __future__ import annotations

from typing import Any

from naslib.registry import catalogue

from .core.graph import Graph


def published(name: str, n_classes: int = 1000, in_channels: int = 3, **sizes: Any) -> Graph:
    """Return a published network, untrained and ready to run; where it is an architecture of its space, with its code.

    Args:
        name: Such as `"proxylessnas-gpu"` or `"mobilenetv3-large"`; all are in `naslib.registry.catalogue.PUBLISHED`.
        n_classes: Number of classes.
        in_channels: Channels of the images.
        **sizes: Other arguments of the space's constructor, where the network is to differ from the published one.

    Raises:
        UnknownNameError: If there is none of that name.
    """
    network: Graph = catalogue.PUBLISHED.get(name)(n_classes=n_classes, in_channels=in_channels, **sizes)
    if not network.is_parsed:
        network.parse()
    return network
