"""The space of ProxylessNAS: its size, its blocks, and the authors' net configs."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from naslib.errors import ArchitectureError
from naslib.search_spaces import ProxylessNASSearchSpace, published

SMALL = {
    "n_classes": 4, "widths": (4, 8), "n_cells": (2, 1), "strides": (1, 2), "stem_channels": 4, "first_channels": 4,
    "head_channels": 8, "stem_stride": 1,
}  # fmt: skip


def test_the_published_space_has_six_layers_that_stay() -> None:
    with torch.device("meta"):
        space = ProxylessNASSearchSpace()
    decisions = space.decision_space.decisions
    assert space.decision_space.size() == 6**6 * 7**15
    stay = [number for number, decision in enumerate(decisions, start=1) if "Zero" not in decision.candidates]
    assert stay == [1, 5, 9, 13, 17, 21]  # the first layer of each stage, which changes the shape
    assert decisions[1].candidates == (
        "3x3_MBConv3", "3x3_MBConv6", "5x5_MBConv3", "5x5_MBConv6", "7x7_MBConv3", "7x7_MBConv6", "Zero",
    )  # fmt: skip


@torch.no_grad()
def test_zero_leaves_the_shortcut() -> None:
    space = ProxylessNASSearchSpace(**SMALL)
    space.set_spec(["Zero", "Zero", "3x3_MBConv6"])
    space.parse()
    x = torch.rand(2, 4, 8, 8)
    for node in (3, 4):
        assert torch.equal(space.edges[node, node + 1].op(x), x)
    space = ProxylessNASSearchSpace(**SMALL)
    space.set_spec(["5x5_MBConv3", "Zero", "3x3_MBConv6"])
    space.parse()
    layer = space.eval().edges[3, 4].op
    assert torch.equal(layer(x), x + layer.edges[1, 2].op(x))


def test_all_norms_are_the_authors() -> None:
    space = ProxylessNASSearchSpace(**SMALL, bn_momentum=0.2)
    space.set_spec((0, 0, 0))
    space.parse()
    norms = [module for module in space.modules() if isinstance(module, nn.BatchNorm2d)]
    # stem, two of the first block, three of each layer, head
    assert len(norms) == 1 + 2 + 9 + 1
    assert {(norm.eps, norm.momentum, norm.affine) for norm in norms} == {(1e-3, 0.2, True)}


def _config(blocks: list[tuple[int, int, bool] | None]) -> dict:
    """Return a net config as the authors publish them: kernel, expansion and whether there is a shortcut."""
    first = {"name": "MBInvertedConvLayer", "kernel_size": 3, "expand_ratio": 1, "stride": 1}
    found = [{"name": "MobileInvertedResidualBlock", "mobile_inverted_conv": first, "shortcut": None}]
    for block in blocks:
        conv = {"name": "ZeroLayer", "stride": 1}
        if block is not None:
            conv = {"name": "MBInvertedConvLayer", "kernel_size": block[0], "expand_ratio": block[1], "stride": 1}
        shortcut = {"name": "IdentityLayer"} if block is None or block[2] else None
        found.append({"name": "MobileInvertedResidualBlock", "mobile_inverted_conv": conv, "shortcut": shortcut})
    return {"name": "ProxylessNASNets", "bn": {"momentum": 0.1, "eps": 0.001}, "blocks": found}


def test_net_configs_of_the_authors_are_read() -> None:
    config = _config([(7, 6, True), None, (3, 3, False)])
    for spec in (config, json.loads(json.dumps(config)), repr(config)):
        space = ProxylessNASSearchSpace(**SMALL)
        space.set_spec(spec)
        assert space.genotype() == ["7x7_MBConv6", "Zero", "3x3_MBConv3"]
    space = ProxylessNASSearchSpace(**SMALL)
    with pytest.raises(ArchitectureError, match="3 layers under search, and 2 blocks are given"):
        space.set_spec(_config([(7, 6, True), None]))
    with pytest.raises(ArchitectureError, match=r"layer_03/1-2 has no block 'Zero'"):
        space.set_spec(_config([None, None, None]))
    with pytest.raises(ArchitectureError, match="expected a net config"):
        space.set_spec({"blocks": [{}, {"conv": 1}]})
    with pytest.raises(ArchitectureError, match=r"layer_01/1-2 has no block '5x5_MBConv9'; did you mean '5x5_MBConv"):
        space.set_spec(["5x5_MBConv9", "Zero", "3x3_MBConv3"])


def test_the_network_for_a_phone_is_an_architecture_of_the_space() -> None:
    with torch.device("meta"):
        network = published("proxylessnas-mobile")
    assert network.genotype()[:8] == [
        "5x5_MBConv3", "3x3_MBConv3", "Zero", "Zero", "7x7_MBConv3", "3x3_MBConv3", "5x5_MBConv3", "5x5_MBConv3",
    ]  # fmt: skip
    assert network.decision_space.choices(network.get_code())["layer_21/1-2"] == "7x7_MBConv6"


def test_widths_follow_the_multiplier() -> None:
    with torch.device("meta"):
        space = ProxylessNASSearchSpace(width_mult=1.4)
    stem, first, layer, head = (space.edges[n, n + 1].op for n in (1, 2, 3, len(space) - 1))
    assert (stem.init_params["C_out"], first.init_params["C_out"]) == (48, 24)
    assert layer.edges[1, 2].op[0].init_params["C_out"] == 32
    assert head.linear.in_features == 1792
    with torch.device("meta"):
        assert ProxylessNASSearchSpace(width_mult=0.5).edges[24, 25].op.linear.in_features == 1280
