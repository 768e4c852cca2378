"""NAS-Bench-ASR: codes, cells that are the same, and networks computed by hand."""

from __future__ import annotations

from random import Random

import pytest
import torch
from torch.nn import functional as F

from naslib.errors import ArchitectureError, ConfigError
from naslib.search_spaces import NasBenchASRSearchSpace
from naslib.search_spaces.nasbench_asr.codec import smallest_graph
from naslib.search_spaces.nasbench_asr.primitives import ClippedConv, paddings

CODEC = NasBenchASRSearchSpace.codec
SMALL = {"channels": (4, 4, 6, 6), "cells": (1, 1, 1, 2), "groups": 2, "hidden": 0}


def test_lists_and_ints_are_one() -> None:
    code = (0, 1, 5, 1, 0, 3, 1, 1, 1)
    nodes = [[0, 1], [5, 1, 0], [3, 1, 1, 1]]
    assert CODEC.canonical(nodes) == CODEC.canonical(str(nodes)) == CODEC.canonical(list(code)) == code
    assert CODEC.genotype(code) == nodes
    for seed in range(20):
        drawn = CODEC.random(Random(seed))
        assert CODEC.canonical(CODEC.genotype(drawn)) == drawn == CODEC.from_decisions(CODEC.to_decisions(drawn))


def test_there_are_as_many_codes_and_cells_as_the_paper_says() -> None:
    """13,824 and 8,242 ([Mehrotra2021asr], section 3)."""
    codes = list(CODEC.iterate())
    assert len(set(codes)) == 13_824 == CODEC.decision_space.size()
    representatives = {CODEC.representative(code) for code in codes}
    assert len(representatives) == 8_242
    assert all(CODEC.representative(code) == code for code in Random(0).sample(sorted(representatives), 100))
    without_zero = {CODEC.representative(code) for code in codes if 5 not in (code[0], code[2], code[5])}
    assert len(without_zero) == 8_000  # operations in a chain are told apart: 5^3 * 2^6


def test_what_has_no_effect_is_taken_out() -> None:
    # the second node is zero and its skip is the input: the third works on the input, whatever the first is
    assert smallest_graph([[0, 0], [5, 1, 0], [3, 0, 0, 0]]) == smallest_graph([[5, 0], [5, 1, 0], [3, 0, 0, 0]])
    assert smallest_graph([[5, 0], [5, 0, 0], [5, 0, 0, 0]]) == ((), ())
    assert smallest_graph([[5, 0], [5, 0, 0], [5, 1, 0, 0]]) == ((), ((0, 1),))


def test_cells_that_are_the_same_compute_the_same() -> None:
    """Two codes of one cell: their networks, with equal weights of what both use, have equal outputs."""
    first, second = outputs_of([[0, 0], [5, 1, 0], [3, 0, 0, 0]]), outputs_of([[5, 0], [5, 1, 0], [3, 0, 0, 0]])
    torch.testing.assert_close(first, second)


def test_the_benchmark_holds_some_cells_for_one_that_are_not() -> None:
    """A skip from a node that is zero, but has a skip itself: the third node reads the input, or nothing."""
    reads, reads_nothing = [[5, 1], [5, 0, 1], [3, 0, 0, 0]], [[5, 0], [5, 0, 0], [3, 0, 0, 0]]
    assert CODEC.representative(CODEC.canonical(reads)) == CODEC.representative(CODEC.canonical(reads_nothing))
    assert not torch.allclose(outputs_of(reads), outputs_of(reads_nothing))


def outputs_of(code: list[list[int]]) -> torch.Tensor:
    torch.manual_seed(0)
    graph = NasBenchASRSearchSpace(n_classes=4, in_channels=3, **SMALL)
    graph.set_spec(code)
    graph.parse()
    graph.eval()
    return graph(torch.randn(2, 3, 32))


@pytest.mark.parametrize(
    ("kernel_size", "dilation", "stride", "expected"),
    [(5, 1, 1, (0, 4)), (5, 2, 1, (4, 4)), (7, 1, 1, (2, 4)), (7, 2, 1, (8, 4)), (8, 1, 1, (3, 4)), (8, 1, 2, (5, 2))],
)
def test_a_convolution_sees_little_of_the_future(kernel_size, dilation, stride, expected) -> None:
    """Four frames at most; the length stays, or is halved."""
    assert paddings(kernel_size, dilation, stride) == expected
    op = ClippedConv(2, 2, kernel_size, dilation, stride)
    assert op(torch.randn(1, 2, 32)).shape == (1, 2, 32 // stride)


def test_a_network_is_the_one_written_out() -> None:
    """[[conv5, input], [linear, -, first], [conv7d2, input, -, second]], in float64."""
    torch.manual_seed(1)
    graph = NasBenchASRSearchSpace(n_classes=4, in_channels=3, frames=True, **SMALL).double()
    graph.set_spec([[1, 1], [0, 0, 1], [4, 1, 0, 1]])
    graph.parse()
    graph.double()
    x = torch.randn(2, 3, 32, dtype=torch.float64)

    def conv(op, y):
        before, after = paddings(op.conv.kernel_size[0], op.conv.dilation[0], op.conv.stride[0])
        y = F.conv1d(
            F.pad(y, (before, after)), op.conv.weight, op.conv.bias, op.conv.stride, 0, op.conv.dilation, op.conv.groups
        )
        return y.clamp(0, 20)

    def norm(op, y):
        return F.layer_norm(y.transpose(1, 2), y.shape[1:2], op.norm.weight, op.norm.bias, 1e-3).transpose(1, 2)

    y = x
    for node in range(1, len(graph.nodes)):
        op = graph.edges[node, node + 1].op
        if hasattr(op, "edges"):
            first = conv(op.edges[2, 3].op, y) + y
            linear = op.edges[4, 5].op.linear
            second = F.linear(first.transpose(1, 2), linear.weight, linear.bias).clamp(0, 20).transpose(1, 2) + first
            y = norm(op.edges[7, 8].op, conv(op.edges[6, 7].op, second) + y + second)
        elif hasattr(op, "linear"):
            y = F.linear(y.transpose(1, 2), op.linear.weight, op.linear.bias)
        else:
            y = norm(op.op[1], conv(op.op[0], y))
    assert y.shape == (2, 8, 4)
    torch.testing.assert_close(graph(x), y, rtol=1e-12, atol=1e-12)


def test_the_networks_of_the_benchmark_have_its_sizes() -> None:
    """A cell of three linear layers, 48 phonemes and a blank, counted by hand."""
    with torch.device("meta"):
        graph = NasBenchASRSearchSpace(n_classes=49)
        graph.set_spec([[0, 0], [0, 0, 0], [0, 0, 0, 0]])
        graph.parse()
    expected, width = 0, 80
    for wide, cells in zip((600, 800, 1000, 1200), (3, 4, 5, 6), strict=True):
        expected += width * wide * 8 + wide + 2 * wide + cells * (3 * (wide * wide + wide) + 2 * wide)
        width = wide
    expected += 4 * 500 * (1200 + 500) + 2 * 4 * 500 + 501 * 49
    assert sum(p.numel() for p in graph.parameters()) == expected


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({"task": "language_modelling"}, "no head for language_modelling"),
        ({"channels": 64}, "4 numbers"),
        ({"channels": (600, 800, 1000, 1250)}, "groups=100 must divide"),
        ({"cells": (1, 1, 0, 1)}, "positive integers"),
        ({"hidden": -1}, "hidden must be at least 0"),
    ],
)
def test_sizes_that_do_not_go_together_are_refused(sizes: dict, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        NasBenchASRSearchSpace(**sizes)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ([[0, 1], [5, 1], [3, 1, 1, 1]], "lists of 2, 3 and 4"),
        ((6, 0, 0, 0, 0, 0, 0, 0, 0), "6 is no operation of cell/2-3"),
        ((0, 2, 0, 0, 0, 0, 0, 0, 0), "2 is no operation of cell/1-3"),
        ((0, 1), "is 9 ints"),
        ("conv5", "cannot read"),
    ],
)
def test_what_is_no_cell_is_refused(spec: object, words: str) -> None:
    with pytest.raises(ArchitectureError, match=words):
        CODEC.canonical(spec)
