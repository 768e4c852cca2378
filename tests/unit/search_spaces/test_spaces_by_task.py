"""Spaces for images: heads by task, any number of channels, images that are not square."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from naslib.errors import ConfigError
from naslib.optimizers import DARTSOptimizer
from naslib.search_spaces import NasBench201SearchSpace, NasBench301SearchSpace, SimpleCellSearchSpace
from naslib.search_spaces.core.flops import count_macs
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.primitives import DenseHead, PooledHead
from naslib.search_spaces.nasbench201 import codec as nb201
from naslib.search_spaces.nasbench301.evaluation import DartsEvaluationNetwork
from naslib.search_spaces.nasbench301.macro import resolve_stem

SPACES: list[tuple[type[Graph], dict[str, Any]]] = [
    (SimpleCellSearchSpace, {"channels": 4}),
    (NasBench201SearchSpace, {"channels": 4, "cells_per_stage": 1}),
    (NasBench301SearchSpace, {"channels": 4, "cells": 3, "nodes": 2, "auxiliary": False, "image_size": (15, 22)}),
]


@pytest.mark.parametrize(("space", "sizes"), SPACES)
@pytest.mark.parametrize("channels", [2, 5])
def test_any_channels_and_sizes_and_numbers_of_outputs(
    space: type[Graph], sizes: dict[str, Any], channels: int
) -> None:
    torch.manual_seed(0)
    optimizer = DARTSOptimizer(epochs=1)
    optimizer.adapt_search_space(space(n_classes=1, in_channels=channels, **sizes), "digits")
    x = torch.randn(3, channels, 15, 22)
    assert optimizer.graph(x).shape == (3, 1)
    assert optimizer.get_final_architecture()(x).shape == (3, 1)


@pytest.mark.parametrize("size", [(15, 22), (16, 16), (3, 5)])
def test_a_dense_head_gives_an_output_for_each_pixel(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    optimizer = DARTSOptimizer(epochs=1)
    optimizer.adapt_search_space(SimpleCellSearchSpace(7, 2, channels=4, task="segmentation"), "digits")
    x = torch.randn(3, 2, *size)
    assert optimizer.graph(x).shape == (3, 7, *size)
    assert optimizer.get_final_architecture()(x).shape == (3, 7, *size)


def test_dense_head_equals_its_formula() -> None:
    torch.manual_seed(0)
    head = DenseHead(2, 3, 4).double().eval()
    skip, last = torch.randn(2, 2, 5, 6, dtype=torch.float64), torch.randn(2, 3, 3, 3, dtype=torch.float64)
    rows, columns = torch.arange(5) * 3 // 5, torch.arange(6) * 3 // 6
    joined = torch.cat([skip, last[:, :, rows][:, :, :, columns]], dim=1).relu()
    first = F.conv2d(joined, head.op[1].weight, padding=1) / (1 + 1e-5) ** 0.5  # fresh running statistics
    expected = torch.einsum("oc,nchw->nohw", head.op[4].weight[:, :, 0, 0], first.relu())
    expected = expected + head.op[4].bias.view(1, -1, 1, 1)
    torch.testing.assert_close(head([skip, last], []), expected, rtol=0, atol=1e-10)


def test_pooled_head_is_the_usual_classifier() -> None:
    torch.manual_seed(0)
    head = PooledHead(3, 5)
    usual = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), head.linear)
    x = torch.randn(2, 3, 4, 6)
    torch.testing.assert_close(head(x), usual(x), rtol=0, atol=1e-6)


def test_a_task_without_a_head_is_refused() -> None:
    with pytest.raises(ConfigError, match="simple_cell has no head for language_modelling, only for classification"):
        SimpleCellSearchSpace(task="language_modelling")


def test_macs_of_wide_images_equal_the_closed_form() -> None:
    code = (2, 3, 0, 2, 4, 1)
    space = NasBench201SearchSpace(3, 2, channels=4, cells_per_stage=1)
    space.set_spec(code)
    space.parse()
    expected = nb201.count_macs(code, 3, 4, 1, 2, image_size=(9, 14)) / 1e6
    assert count_macs(space, (2, 9, 14)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("size", "stem"), [(32, "cifar"), (96, "imagenet"), ((95, 300), "cifar"), ([96, 300], "imagenet")]
)
def test_the_stem_follows_the_shorter_side(size: Any, stem: str) -> None:
    assert resolve_stem("auto", size) == stem
    assert NasBench301SearchSpace(2, cells=2, channels=2, nodes=2, image_size=size).image_size == (
        size if isinstance(size, int) else tuple(size)
    )


@pytest.mark.parametrize("auxiliary", [True, False])
def test_the_evaluation_network_takes_wide_images(auxiliary: bool) -> None:
    genotype = "Genotype(normal=[('sep_conv_3x3', 0), ('skip_connect', 1)], normal_concat=[2], "
    genotype += "reduce=[('max_pool_3x3', 0), ('dil_conv_3x3', 1)], reduce_concat=[2])"
    network = DartsEvaluationNetwork(genotype, 4, 2, cells=3, channels=4, auxiliary=auxiliary, image_size=(32, 40))
    network.parse()
    out, others = network.forward_with_auxiliary(torch.randn(2, 2, 32, 40))
    assert out.shape == (2, 4) and all(other.shape == (2, 4) for other in others.values())
    assert len(others) == auxiliary
