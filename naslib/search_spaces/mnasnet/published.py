"""Networks that are published as block strings: MnasNet-A1 and B1, MobileNetV3."""

from __future__ import annotations

from typing import Any

from .graph import MnasNetSearchSpace

_A1 = (
    "ds_r1_k3_s1_e1_c16_noskip",
    "ir_r2_k3_s2_e6_c24",
    "ir_r3_k5_s2_e3_c40_se0.25",
    "ir_r4_k3_s2_e6_c80",
    "ir_r2_k3_s1_e6_c112_se0.25",
    "ir_r3_k5_s2_e6_c160_se0.25",
    "ir_r1_k3_s1_e6_c320",
)
# Of the stages of the space as it comes, without the first, which is fixed
_B1 = ("ir_r3_k3_e3", "ir_r3_k5_e3", "ir_r3_k5_e6", "ir_r2_k3_e6", "ir_r4_k5_e6", "ir_r1_k3_e6")
_V3_LARGE = (
    "ds_r1_k3_s1_e1_c16_nre",
    "ir_r1_k3_s2_e4_c24_nre",
    "ir_r1_k3_s1_e3_c24_nre",
    "ir_r3_k5_s2_e3_c40_se0.25_nre",
    "ir_r1_k3_s2_e6_c80",
    "ir_r1_k3_s1_e2.5_c80",
    "ir_r2_k3_s1_e2.3_c80",
    "ir_r2_k3_s1_e6_c112_se0.25",
    "ir_r3_k5_s2_e6_c160_se0.25",
    "cn_r1_k1_s1_c960",
)


def mnasnet_a1(n_classes: int = 1000, in_channels: int = 3, **sizes: Any) -> MnasNetSearchSpace:
    """Return MnasNet-A1 ([Tan2019mnasnet]): 3,887,038 parameters with 1,000 classes."""
    return _network(_A1, n_classes, in_channels, sizes)


def mnasnet_b1(n_classes: int = 1000, in_channels: int = 3, **sizes: Any) -> MnasNetSearchSpace:
    """Return MnasNet-B1 ([Tan2019mnasnet]): 4,383,312 parameters with 1,000 classes."""
    graph = MnasNetSearchSpace(n_classes, in_channels, **sizes)
    graph.set_spec(list(_B1))
    graph.parse()
    return graph


def mobilenetv3_large(n_classes: int = 1000, in_channels: int = 3, **sizes: Any) -> MnasNetSearchSpace:
    """Return MobileNetV3-Large ([Howard2019mobilenetv3]): 5,483,032 parameters with 1,000 classes."""
    own = {"stem_channels": 16, "activation": "hs", "se_style": "mobilenetv3", "pooled_head": True, "bn_eps": 1e-3}
    return _network(_V3_LARGE, n_classes, in_channels, {**own, "bn_momentum": 0.01, **sizes})


def _network(blocks: tuple[str, ...], n_classes: int, in_channels: int, sizes: dict[str, Any]) -> MnasNetSearchSpace:
    graph = MnasNetSearchSpace(n_classes, in_channels, **{"blocks": blocks, **sizes})
    graph.parse()
    return graph
