"""Pictures of chains that were found: what is a chain, what its boxes say, and that one picture is drawn of all."""

from __future__ import annotations

from pathlib import Path

import torch

from naslib.optimizers import DARTSOptimizer
from naslib.search_spaces import (
    MnasNetSearchSpace,
    NasBench201SearchSpace,
    ProxylessNASSearchSpace,
    SimpleCellSearchSpace,
)
from naslib.training.found_chain import ChainBox, chain_of, draw_found_chain
from naslib.training.pictures import draw_cells

SIZES = {
    "n_classes": 4, "widths": (4, 8), "n_cells": (2, 1), "strides": (1, 2), "stem_channels": 4, "first_channels": 4,
    "head_channels": 8, "kernels": (3,),
}  # fmt: skip


def test_the_boxes_of_an_architecture() -> None:
    space = ProxylessNASSearchSpace(**SIZES)
    fixed = [ChainBox("", "MobileStem", "fixed", 4, 2, False), ChainBox("", "ds_k3", "fixed", 4, 1, False)]
    head = ChainBox("", "MobileHead", "fixed", None, 1, False)
    assert chain_of(space) is None  # nothing is found yet
    optimizer = DARTSOptimizer(epochs=1)
    optimizer.adapt_search_space(space)
    scores = [torch.tensor(row) for row in ([1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0])]
    found = optimizer.discretized(scores)
    assert chain_of(found) == [
        *fixed,
        ChainBox("layer_01", "3x3_MBConv3", "op", 4, 1, True),
        ChainBox("layer_02", "Zero", "zero", None, 1, True),
        ChainBox("layer_03", "3x3_MBConv6", "op", 8, 2, False),
        head,
    ]


def test_a_stage_has_the_stride_and_the_channels_of_its_blocks() -> None:
    space = MnasNetSearchSpace(4, blocks=["ir_r2_k3|5_s2_e1_c8", "ir_r1|2_k3_s1_e1_c12", "ir_k3|5_s3_e1_c4"])
    space.set_spec((1, 0, 1))
    space.parse()
    boxes = chain_of(space)
    assert boxes is not None
    assert [(box.name, box.channels, box.stride) for box in boxes[1:-1]] == [
        ("layer_01", 8, 2), ("layer_02", 12, 1), ("layer_03", 4, 3),
    ]  # fmt: skip


def test_cells_are_no_chains() -> None:
    two = ProxylessNASSearchSpace(4, widths=(4, 4), n_cells=(1, 1), strides=(1, 1), kernels=(3,))
    for space in (NasBench201SearchSpace(channels=4, cells_per_stage=1), SimpleCellSearchSpace(channels=4), two):
        space.sample_random_architecture(rng=0)
        assert chain_of(space) is None


def test_a_chain_is_one_picture(tmp_path: Path) -> None:
    space = ProxylessNASSearchSpace(**SIZES)
    space.set_spec(["Zero", "3x3_MBConv6", "3x3_MBConv3"])
    space.parse()
    first = [file.read_bytes() for file in draw_cells(space, tmp_path)]
    again = draw_cells(space, tmp_path)
    assert [file.name for file in again] == ["chain.svg", "chain.png"]
    assert [file.read_bytes() for file in again] == first


def test_a_long_chain_has_several_rows() -> None:
    box = ChainBox("layer_01", "block", "op", 4, 1, False)
    short, long = draw_found_chain([box] * 7), draw_found_chain([box] * 15)
    assert short.get_size_inches()[0] == long.get_size_inches()[0]
    assert round(long.get_size_inches()[1] - short.get_size_inches()[1], 6) == 2 * 1.15
