"""Networks that are published as block strings: MnasNet-A1 and B1, MobileNetV3, EfficientNet-B0."""

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
_V3_SMALL = (
    "ds_r1_k3_s2_e1_c16_se0.25_nre",
    "ir_r1_k3_s2_e4.5_c24_nre",
    "ir_r1_k3_s1_e3.67_c24_nre",
    "ir_r1_k5_s2_e4_c40_se0.25",
    "ir_r2_k5_s1_e6_c40_se0.25",
    "ir_r2_k5_s1_e3_c48_se0.25",
    "ir_r3_k5_s2_e6_c96_se0.25",
    "cn_r1_k1_s1_c576",
)
_OF_V3: dict[str, Any] = {
    "stem_channels": 16,
    "activation": "hs",
    "se_style": "mobilenetv3",
    "pooled_head": True,
    "bn_eps": 1e-3,
    "bn_momentum": 0.01,
}
_B0 = (
    "ds_r1_k3_s1_e1_c16_se0.25",
    "ir_r2_k3_s2_e6_c24_se0.25",
    "ir_r2_k5_s2_e6_c40_se0.25",
    "ir_r3_k3_s2_e6_c80_se0.25",
    "ir_r3_k5_s1_e6_c112_se0.25",
    "ir_r4_k5_s2_e6_c192_se0.25",
    "ir_r1_k3_s1_e6_c320_se0.25",
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
    return _network(_V3_LARGE, n_classes, in_channels, {**_OF_V3, **sizes})


def mobilenetv3_small(n_classes: int = 1000, in_channels: int = 3, **sizes: Any) -> MnasNetSearchSpace:
    """Return MobileNetV3-Small ([Howard2019mobilenetv3]): 2,542,856 parameters with 1,000 classes."""
    return _network(_V3_SMALL, n_classes, in_channels, {**_OF_V3, "head_channels": 1024, **sizes})


def efficientnet_b0(n_classes: int = 1000, in_channels: int = 3, **sizes: Any) -> MnasNetSearchSpace:
    """Return EfficientNet-B0 ([Tan2019efficientnet]): 5,288,548 parameters with 1,000 classes."""
    return _network(_B0, n_classes, in_channels, {"activation": "sw", **sizes})


def _network(blocks: tuple[str, ...], n_classes: int, in_channels: int, sizes: dict[str, Any]) -> MnasNetSearchSpace:
    graph = MnasNetSearchSpace(n_classes, in_channels, **{"blocks": blocks, **sizes})
    graph.parse()
    return graph
