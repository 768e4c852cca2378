"""The networks that ProxylessNAS found, and MobileNetV2, as architectures of the space."""

from __future__ import annotations

from typing import Any

from .graph import ProxylessNASSearchSpace
from .primitives import ZERO, block_name

# By kernel and expansion of each layer, 0 for a layer that is left out; stage by stage, from the authors' net configs
_CPU = "36 33 33 33 | 36 33 33 53 | 36 0 0 33 | 56 33 33 33 | 56 53 53 33 | 56"
_GPU = "53 0 0 0 | 73 0 0 33 | 76 0 0 53 | 56 0 33 53 | 76 76 76 56 | 76"
_MOBILE = "53 33 0 0 | 73 33 53 53 | 76 53 53 53 | 56 53 53 53 | 76 76 73 73 | 76"
_MOBILENET_V2 = "36 36 | 36 36 36 | 36 36 36 36 | 36 36 36 | 36 36 36 | 36"


def proxylessnas_cpu(n_classes: int = 1000, in_channels: int = 3, **sizes: Any) -> ProxylessNASSearchSpace:
    """Return the network that was found for a CPU ([Cai2019proxylessnas]): 4,361,648 parameters with 1,000 classes."""
    widths = {"widths": (32, 48, 88, 104, 216, 360), "stem_channels": 40, "first_channels": 24, "head_channels": 1432}
    return _network(_CPU, n_classes, in_channels, {**widths, **sizes})


def proxylessnas_gpu(n_classes: int = 1000, in_channels: int = 3, **sizes: Any) -> ProxylessNASSearchSpace:
    """Return the network that was found for a GPU ([Cai2019proxylessnas]): 7,119,848 parameters with 1,000 classes."""
    widths = {"widths": (32, 56, 112, 128, 256, 432), "stem_channels": 40, "first_channels": 24, "head_channels": 1728}
    return _network(_GPU, n_classes, in_channels, {**widths, **sizes})


def proxylessnas_mobile(n_classes: int = 1000, in_channels: int = 3, **sizes: Any) -> ProxylessNASSearchSpace:
    """Return the network that was found for a phone ([Cai2019proxylessnas]): 4,080,512 parameters, 1,000 classes."""
    return _network(_MOBILE, n_classes, in_channels, {"widths": (32, 40, 80, 96, 192, 320), **sizes})


def proxylessnas_mobile_14(n_classes: int = 1000, in_channels: int = 3, **sizes: Any) -> ProxylessNASSearchSpace:
    """Return the network for a phone, 1.4 times as wide ([Cai2019proxylessnas]): 6,857,568 parameters."""
    widths = {"widths": (40, 56, 112, 136, 256, 448), "stem_channels": 48, "first_channels": 24, "head_channels": 1792}
    return _network(_MOBILE, n_classes, in_channels, {**widths, **sizes})


def mobilenetv2(n_classes: int = 1000, in_channels: int = 3, **sizes: Any) -> ProxylessNASSearchSpace:
    """Return MobileNetV2 ([Sandler2018mobilenetv2]): 3,504,872 parameters with 1,000 classes."""
    stages = {"widths": (24, 32, 64, 96, 160, 320), "n_cells": (2, 3, 4, 3, 3, 1), "bn_eps": 1e-5}
    return _network(_MOBILENET_V2, n_classes, in_channels, {**stages, **sizes})


def _network(layers: str, n_classes: int, in_channels: int, sizes: dict[str, Any]) -> ProxylessNASSearchSpace:
    names = [_name(word) for word in layers.replace("|", " ").split()]
    graph = ProxylessNASSearchSpace(n_classes, in_channels, **sizes)
    graph.set_spec(names)
    graph.parse()
    return graph


def _name(word: str) -> str:
    return ZERO if word == "0" else block_name(int(word[0]), int(word[1]))
