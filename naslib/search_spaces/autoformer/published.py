"""AutoFormer-T, -S and -B, as the authors retrained them."""

from __future__ import annotations

from typing import Any

from .graph import AutoFormerSearchSpace
from .spellings import PUBLISHED


def autoformer_t(n_classes: int = 1000, in_channels: int = 3, **sizes: Any) -> AutoFormerSearchSpace:
    """Return AutoFormer-T ([Chen2021autoformer]): 5,867,944 parameters with 1,000 classes."""
    return _network("AutoFormer-T", "tiny", n_classes, in_channels, {"mlp_ratio": (3, 3.5, 4), **sizes})


def autoformer_s(n_classes: int = 1000, in_channels: int = 3, **sizes: Any) -> AutoFormerSearchSpace:
    """Return AutoFormer-S ([Chen2021autoformer]): 22,891,432 parameters with 1,000 classes."""
    return _network("AutoFormer-S", "small", n_classes, in_channels, sizes)


def autoformer_b(n_classes: int = 1000, in_channels: int = 3, **sizes: Any) -> AutoFormerSearchSpace:
    """Return AutoFormer-B ([Chen2021autoformer]): 53,691,688 parameters with 1,000 classes."""
    return _network("AutoFormer-B", "base", n_classes, in_channels, sizes)


def _network(name: str, preset: str, n_classes: int, in_channels: int, sizes: dict[str, Any]) -> AutoFormerSearchSpace:
    """Return a published network; its weights are slices of the preset's largest network, as in a search."""
    graph = AutoFormerSearchSpace(n_classes, in_channels, **{"image_size": 224, "preset": preset, **sizes})
    graph.set_spec(PUBLISHED[name])
    graph.parse()
    return graph
