"""The space for sequences: shapes, heads, and that no position of a language model knows what comes later."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from naslib.errors import ConfigError
from naslib.optimizers import DARTSOptimizer
from naslib.search_spaces import SimpleSequenceSearchSpace
from naslib.search_spaces.core.flops import count_macs
from naslib.search_spaces.core.primitives import TokenHead
from naslib.search_spaces.simple_sequence.graph import candidates
from naslib.search_spaces.simple_sequence.primitives import (
    GatedConv1d,
    PositionNorm,
    SelfAttention1d,
    SepConv1d,
    SequenceConv,
)


def supernet(space: SimpleSequenceSearchSpace) -> nn.Module:
    optimizer = DARTSOptimizer(epochs=1)
    optimizer.adapt_search_space(space, "digits")
    return optimizer.graph


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("kind", ["supernet", "discrete"])
def test_no_future_token_leaks(kind: str, training: bool) -> None:
    torch.manual_seed(0)
    space = SimpleSequenceSearchSpace(20, channels=8, cells=3, task="language_modelling")
    optimizer = DARTSOptimizer(epochs=1)
    optimizer.adapt_search_space(space, "digits")
    network = (optimizer.graph if kind == "supernet" else optimizer.get_final_architecture()).train(training)
    tokens = torch.randint(20, (3, 12))
    before = network(tokens)
    assert before.shape == (3, 12, 20)
    for place in range(12):
        changed = tokens.clone()
        changed[:, place:] = (changed[:, place:] + 1 + torch.arange(12 - place)) % 20
        after = network(changed)
        torch.testing.assert_close(after[:, :place], before[:, :place], rtol=0, atol=1e-6)
        assert (after[:, place] - before[:, place]).abs().max() > 1e-3


def test_every_operation_is_causal_alone_or_reads_both_sides() -> None:
    torch.manual_seed(0)
    for causal in (True, False):
        names = []
        for op in candidates(8, causal):
            x = torch.randn(2, 8, 15, dtype=torch.float64, requires_grad=True)
            out = op.double()(x)
            assert out.shape == x.shape
            if not out.requires_grad:
                continue
            (gradient,) = torch.autograd.grad(out[:, :, 7].square().sum(), x)
            read = gradient.abs().sum((0, 1)) > 0
            names.append(op.get_op_name)
            assert read[7] or names[-1] == "Zero"
            if names[-1] != "Identity":
                assert bool(read[8:].any()) is not causal and bool(read[:7].any())
        assert names == ["Identity", "SepConv1d3", "SepConv1d5Dil2", "GatedConv1d3", "SelfAttention1d"]


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize(("kernel", "dilation"), [(3, 1), (5, 2), (3, 4), (1, 1)])
def test_convolution_equals_the_sum_written_out(kernel: int, dilation: int, causal: bool) -> None:
    torch.manual_seed(0)
    conv = SequenceConv(2, 3, kernel, dilation, causal=causal).double()
    x = torch.randn(2, 2, 11, dtype=torch.float64)
    expected = torch.zeros(2, 3, 11, dtype=torch.float64)
    centre = kernel - 1 if causal else kernel // 2
    for t in range(11):
        for tap in range(kernel):
            source = t + (tap - centre) * dilation
            if 0 <= source < 11:
                expected[:, :, t] += x[:, :, source] @ conv.weight[:, :, tap].T
    torch.testing.assert_close(conv(x), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("causal", [True, False])
def test_attention_equals_that_of_torch(causal: bool) -> None:
    torch.manual_seed(0)
    op = SelfAttention1d(6, 6, heads=3, causal=causal, affine=False).double()
    x = torch.randn(2, 6, 9, dtype=torch.float64)
    query, key, value = (part.view(2, 3, 2, 9).transpose(2, 3) for part in op.project(x).chunk(3, dim=1))
    read = F.scaled_dot_product_attention(query, key, value, is_causal=causal).transpose(2, 3).reshape(2, 6, 9)
    mixed = torch.einsum("oc,nct->not", op.merge.weight[:, :, 0], read)
    expected = (mixed - mixed.mean(1, keepdim=True)) / (mixed.var(1, keepdim=True, unbiased=False) + 1e-5).sqrt()
    torch.testing.assert_close(op(x), expected, rtol=0, atol=1e-10)


def test_attention_has_a_second_derivative() -> None:
    torch.manual_seed(0)
    op = SelfAttention1d(4, 4, causal=True).double()
    x = torch.randn(1, 4, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(op, (x,), atol=1e-6)


def test_gate_and_norm_are_those_of_the_formula() -> None:
    torch.manual_seed(0)
    op = GatedConv1d(4, 4, 3, affine=False).double()
    x = torch.randn(2, 4, 7, dtype=torch.float64)
    a, b = op.conv(x).chunk(2, dim=1)
    gated = a * torch.sigmoid(b)
    expected = (gated - gated.mean(1, keepdim=True)) / (gated.var(1, keepdim=True, unbiased=False) + 1e-5).sqrt()
    torch.testing.assert_close(op(x), expected, rtol=0, atol=1e-12)
    assert not list(PositionNorm(4, affine=False).parameters()) and len(list(PositionNorm(4).parameters())) == 2


@pytest.mark.parametrize(
    ("arguments", "inputs", "expected"),
    [
        ({"n_classes": 10, "in_channels": 5}, torch.randn(4, 5, 13), (4, 10)),
        ({"n_classes": 3, "task": "regression"}, torch.randn(4, 1, 13), (4, 3)),
        ({"n_classes": 3, "stem_stride": 4}, torch.randn(4, 1, 130), (4, 3)),
        ({"n_classes": 3, "vocabulary": 9}, torch.randint(9, (4, 13)), (4, 3)),
        ({"n_classes": 9, "task": "language_modelling", "cells": 1}, torch.randint(9, (4, 13)), (4, 13, 9)),
    ],
)
def test_heads_and_stems(arguments: dict[str, Any], inputs: torch.Tensor, expected: tuple[int, ...]) -> None:
    network = supernet(SimpleSequenceSearchSpace(channels=8, **arguments))
    assert network(inputs).shape == expected


def test_token_head_is_a_linear_layer_at_each_position() -> None:
    torch.manual_seed(0)
    head = TokenHead(4, 6)
    x = torch.randn(2, 4, 5)
    for t in range(5):
        torch.testing.assert_close(head(x)[:, t], head.linear(x[:, :, t]), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"task": "segmentation"}, "no head for segmentation, only for sequence_classification, language_modelling"),
        ({"cells": 0}, "must be at least 1"),
        ({"task": "language_modelling", "stem_stride": 2}, "stem_stride must be 1 for language_modelling"),
        ({"vocabulary": 5, "stem_stride": 2}, "stem_stride must be 1 for tokens"),
        ({"channels": 7}, "7 channels cannot be divided among 2 heads"),
    ],
)
def test_what_cannot_be_built_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SimpleSequenceSearchSpace(**arguments)


def test_cells_share_their_decisions() -> None:
    optimizer = DARTSOptimizer(epochs=1)
    optimizer.adapt_search_space(SimpleSequenceSearchSpace(3, channels=8, cells=3), "digits")
    assert len(optimizer.architectural_weights) == 5
    assert all(len(row) == 6 for row in optimizer.architectural_weights)
    assert SepConv1d(4, 4, 3).get_op_name == "SepConv1d3"


@pytest.mark.parametrize("task", ["language_modelling", "sequence_classification"])
def test_macs_are_those_of_the_formula(task: str) -> None:
    torch.manual_seed(0)
    channels, length, outputs = 8, 12, 20
    is_language = task == "language_modelling"
    space = SimpleSequenceSearchSpace(outputs, in_channels=3, channels=channels, cells=1, task=task)
    space.update_edges(lambda edge: edge.data.set("op", edge.data.op[2]), scope="cell", private_edge_data=True)
    space.parse()
    separable = 3 * channels + channels**2  # depthwise of kernel 3, then a convolution of kernel 1
    per_position = 5 * separable + 2 * channels**2
    if is_language:
        expected = length * (per_position + channels * outputs)
    else:
        expected = length * (per_position + 3 * 3 * channels) + channels * outputs
    assert count_macs(space, (length,) if is_language else (3, length)) * 1e6 == pytest.approx(expected, rel=1e-12)
    with pytest.raises(ConfigError, match="input_shape is"):
        count_macs(space, ())
