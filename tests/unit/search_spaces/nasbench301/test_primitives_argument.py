"""The DARTS space with other candidates than its eight: lists, names of lists, lists by edge."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest
import torch
from torch import nn

from naslib.errors import ArchitectureError, ConfigError
from naslib.optimizers import PDARTSOptimizer
from naslib.search_spaces import NasBench301SearchSpace
from naslib.search_spaces.core import primitives as ops
from naslib.search_spaces.core._selection import select_without_zero
from naslib.search_spaces.core.edge import EdgeData
from naslib.search_spaces.core.ops_named import OPERATIONS, make_operation, names_by_op
from naslib.search_spaces.nasbench301.candidates import NAMED, read_primitives
from naslib.search_spaces.nasbench301.codec import DartsCodec, count_parameters
from naslib.search_spaces.nasbench301.conversions import convert_compact_to_genotype, convert_naslib_to_compact
from naslib.search_spaces.nasbench301.evaluation import DartsEvaluationNetwork
from naslib.search_spaces.nasbench301.listed_codec import ListedCodec

TINY: dict[str, Any] = {"channels": 4, "cells": 3}


def _cell(text: str) -> list[tuple[str, int]]:
    return [(op, int(node)) for op, node in (edge.split(":") for edge in text.split())]


# As the authors' repository of [Liu2019darts] has them
WRITTEN: dict[str, dict[str, Any]] = {
    "NASNet-A": {
        "normal": _cell(
            "sep_conv_5x5:1 sep_conv_3x3:0 sep_conv_5x5:0 sep_conv_3x3:0 avg_pool_3x3:1 skip_connect:0"
            " avg_pool_3x3:0 avg_pool_3x3:0 sep_conv_3x3:1 skip_connect:1"
        ),
        "normal_concat": [2, 3, 4, 5, 6],
        "reduce": _cell(
            "sep_conv_5x5:1 sep_conv_7x7:0 max_pool_3x3:1 sep_conv_7x7:0 avg_pool_3x3:1 sep_conv_5x5:0"
            " skip_connect:3 avg_pool_3x3:2 sep_conv_3x3:2 max_pool_3x3:1"
        ),
        "reduce_concat": [4, 5, 6],
    },
    "AmoebaNet-A": {
        "normal": _cell(
            "avg_pool_3x3:0 max_pool_3x3:1 sep_conv_3x3:0 sep_conv_5x5:2 sep_conv_3x3:0 avg_pool_3x3:3"
            " sep_conv_3x3:1 skip_connect:1 skip_connect:0 avg_pool_3x3:1"
        ),
        "normal_concat": [4, 5, 6],
        "reduce": _cell(
            "avg_pool_3x3:0 sep_conv_3x3:1 max_pool_3x3:0 sep_conv_7x7:2 sep_conv_7x7:0 avg_pool_3x3:1"
            " max_pool_3x3:0 max_pool_3x3:1 conv_7x1_1x7:0 sep_conv_3x3:5"
        ),
        "reduce_concat": [3, 4, 6],
    },
}


def _space(primitives: Any, nodes: int = 2) -> NasBench301SearchSpace:
    return NasBench301SearchSpace(primitives=primitives, nodes=nodes, **TINY)


def test_the_default_is_the_list_of_eight() -> None:
    default, named = _space(None), _space("darts")
    assert default.decision_space == named.decision_space and type(named.codec) is type(default.codec) is DartsCodec
    names = [op.get_op_name for op in default.nodes[4]["subgraph"].edges[1, 3].op]
    assert names == ["Identity", "Zero", "MaxPool", "AvgPool", "SepConv3x3", "SepConv5x5", "DilConv3x3", "DilConv5x5"]
    torch.manual_seed(3)
    first = NasBench301SearchSpace(**TINY).state_dict()
    torch.manual_seed(3)
    second = NasBench301SearchSpace(primitives=list(NAMED["darts"]), **TINY).state_dict()
    assert list(first) == list(second) and all(torch.equal(first[key], second[key]) for key in first)


def test_the_spaces_of_robust_darts() -> None:
    s1 = read_primitives("S1", 4)
    assert len(s1.normal) == len(s1.reduce) == 14 and all(len(edge) == 2 for edge in (*s1.normal, *s1.reduce))
    assert s1.at(0, 1, 2) == ("skip_connect", "dil_conv_5x5") and s1.at(0, 0, 4) == ("max_pool_3x3", "skip_connect")
    assert s1.at(0, 4, 5) == ("dil_conv_3x3", "dil_conv_5x5") and s1.at(1, 1, 2) == ("max_pool_3x3", "dil_conv_3x3")
    assert s1.at(1, 1, 4) == ("max_pool_3x3", "sep_conv_3x3") and s1.at(1, 4, 5) == ("skip_connect", "dil_conv_5x5")
    for name in ("s1", "s2", "s3", "s4"):
        # two inputs of 2, 3, 4 and 5, and one of two operations on each of the 16 edges: none is never chosen
        codec = ListedCodec(4, read_primitives(name, 4))
        assert codec.decision_space.size() == (1 * 3 * 6 * 10) ** 2 * 2**16
    assert set(_space("s4").decision_space.decision("normal_cell/1-3").candidates) == {"noise", "sep_conv_3x3"}


@pytest.mark.parametrize("name", ["darts_7", "s1", "s3", "s4"])
def test_codes_and_decisions_agree(name: str) -> None:
    space = _space(name, nodes=4)
    codec, stated = space.codec, space.decision_space
    assert stated == codec.decision_space
    for seed in range(5):
        code = codec.random(Random(seed))
        assert codec.is_valid(code) and codec.canonical(code) == code
        assert codec.from_decisions(codec.to_decisions(code)) == code
        neighbours = codec.neighbours(code)
        child = codec.mutate(code, Random(seed))
        assert child in neighbours and code in codec.neighbours(child)
        assert codec.is_valid(codec.perturb(code, 0.5, Random(seed)))
        assert codec.is_valid(codec.crossover(code, child, Random(seed)))
        assert codec.encode(code, "path").sum() > 0


def test_an_architecture_of_a_part_of_the_list_is_one_of_the_darts_space() -> None:
    space = _space("s2", nodes=4)
    space.sample_random_architecture(rng=5)
    whole = _space(None, nodes=4)
    whole.set_spec(space.genotype())
    assert space.get_type() == whole.get_type() == "nasbench301"  # the same benchmarks answer
    assert space.get_code() == whole.get_code() and space.get_hash() == whole.get_hash()


def test_one_of_other_operations_is_in_no_benchmark_of_it() -> None:
    space = _space(["sep_conv_7x7", "skip_connect", "max_pool_5x5"])
    assert space.get_type() == "nasbench301 with sep_conv_7x7, max_pool_5x5"
    space.sample_random_architecture(rng=2)
    # the seven of DARTS keep their numbers
    assert space.codec.operations[:3] == ("max_pool_3x3", "avg_pool_3x3", "skip_connect")
    assert space.codec.operations[7:] == ("sep_conv_7x7", "max_pool_5x5")
    compact = convert_naslib_to_compact(space)
    assert compact == space.get_hash()
    again = convert_compact_to_genotype(compact, space.codec.operations)
    assert space.codec.canonical(again) == space.get_code()
    with pytest.raises(ArchitectureError, match=r"not in 0\.\.6|unknown operation"):
        convert_compact_to_genotype(compact)
    network = space.evaluation_network(cells=3, channels=4, auxiliary=False)
    assert network.genotype() == space.genotype()
    size = sum(p.numel() for p in network.parameters())
    assert size == count_parameters(space.get_code(), 10, 4, 3, operations=space.codec.operations)


def test_a_genotype_of_other_operations_is_refused_by_their_names() -> None:
    foreign = _space(None)
    foreign.set_spec(
        {
            "normal": [("max_pool_3x3", 0), ("sep_conv_3x3", 1), ("sep_conv_3x3", 0), ("skip_connect", 2)],
            "reduce": [("sep_conv_3x3", 0), ("sep_conv_3x3", 1), ("sep_conv_3x3", 0), ("skip_connect", 2)],
        }
    )
    with pytest.raises(ArchitectureError, match=r"normal cell .* no max_pool_3x3 on the edge from 0 to 2 .*sep_conv"):
        _space("s2").set_spec(foreign.genotype())
    with pytest.raises(ArchitectureError, match="no max_pool_3x3"):
        _space("s2").set_spec(foreign.get_code())
    noisy = _space("s4")
    noisy.sample_random_architecture(rng=0)
    with pytest.raises(ArchitectureError, match="unknown operation 'noise'"):
        _space(None).set_spec(noisy.genotype())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["sep_conv_3x4"], "no operation 'sep_conv_3x4'; did you mean 'sep_conv_3x3'"),
        ("s5", "no list of operations 's5'; did you mean 's4'"),
        (["none"], "needs an operation other than none"),
        (["noise", "noise"], "'noise' twice"),
        (3, "is a list of operations"),
        ([["noise"]] * 4, "4 lists; cells with 2 nodes have 5 edges"),
        ("s1", "14 lists; cells with 2 nodes have 5 edges"),
        ({"normal": ["noise"]}, "the cell 'reduce' is missing"),
        ({"normal": ["noise"], "reduce": ["noise"], "norml": []}, "no cell 'norml'; did you mean 'normal'"),
        ([["noise"], "noise", ["noise"], ["noise"], ["noise"]], r"primitives\[1\] must be a list of names"),
    ],
)
def test_what_is_no_list_of_operations(given: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        _space(given)


def test_an_operation_of_ones_own_by_its_name() -> None:
    class Scaled(ops.AbstractPrimitive):
        def __init__(self, stride: int) -> None:
            super().__init__(locals())
            self.pool = nn.AvgPool2d(stride, ceil_mode=True)

        def forward(self, x: torch.Tensor, edge_data: Any = None) -> torch.Tensor:
            return 2 * self.pool(x)

    @OPERATIONS.register("twice")
    def twice(C_in: int, C_out: int, stride: int, search: bool) -> nn.Module:
        return Scaled(stride)

    @OPERATIONS.register("also_twice")
    def also_twice(C_in: int, C_out: int, stride: int, search: bool) -> nn.Module:
        return Scaled(stride)

    try:
        space = _space(["twice", "skip_connect"])
        assert space.decision_space.decision("normal_cell/1-3").candidates == ("twice", "skip_connect")
        space.sample_random_architecture(rng=0)
        assert "twice" in json.dumps(space.genotype())
        with pytest.raises(ConfigError, match="'twice' and 'also_twice' are both Scaled on an edge"):
            _space(["twice", "also_twice"])
    finally:
        for name in ("twice", "also_twice"):
            del OPERATIONS._entries[name]
        names_by_op.cache_clear()


def test_every_registered_operation_keeps_or_halves_the_size_and_sets_the_channels() -> None:
    x = torch.randn(2, 4, 8, 8)
    for name in OPERATIONS.names():
        for stride in (1, 2):
            for search in (True, False):
                channels = (4,) if name == "noise" else (4, 6)
                for C_out in channels:
                    op = make_operation(name, 4, C_out, stride, search)
                    assert op(x).shape == (2, C_out, 8 // stride, 8 // stride), (name, stride, search, C_out)
                    affine = [m.affine for m in op.modules() if isinstance(m, nn.BatchNorm2d)]
                    assert not (search and any(affine)) and (search or all(affine))


def test_a_factorized_convolution_has_the_strides_of_its_sides() -> None:
    op = ops.FactorizedConv(2, 3, 7, 2).double().eval()
    x = torch.randn(1, 2, 9, 9, dtype=torch.float64)
    row, column = op.op[1], op.op[2]
    expected = nn.functional.conv2d(x.relu(), row.weight, None, (1, 2), (0, 3))
    expected = nn.functional.conv2d(expected, column.weight, None, (2, 1), (3, 0))
    assert torch.allclose(op(x), expected / (1 + op.op[3].eps) ** 0.5, atol=1e-12)
    assert op.get_op_name == "FactorizedConv7x7"


def test_noise_is_standard_normal_whatever_comes_in() -> None:
    torch.manual_seed(0)
    op = ops.Noise(2).eval()
    drawn = op(torch.full((64, 8, 16, 16), 7.0))
    assert drawn.shape == (64, 8, 8, 8)
    assert abs(float(drawn.mean())) < 0.02 and abs(float(drawn.std()) - 1) < 0.02
    assert not torch.equal(drawn, op(torch.full((64, 8, 16, 16), 7.0)))


@pytest.mark.parametrize(("name", "size"), [("NASNet-A", 3_830_950), ("AmoebaNet-A", 3_145_078)])
def test_the_cells_of_other_papers_in_the_form_of_darts_count_exactly(name: str, size: int) -> None:
    genotype = WRITTEN[name]
    with torch.device("meta"):
        network = DartsEvaluationNetwork(genotype, auxiliary=False)
        network.parse()
    assert sum(p.numel() for p in network.parameters()) == size
    assert count_parameters(network.get_code(), operations=network.codec.operations) == size
    small = DartsEvaluationNetwork(network.genotype(), cells=3, channels=4, auxiliary=False)
    small.parse()
    assert small.genotype() == network.genotype()
    assert small(torch.randn(2, 3, 8, 8)).shape == (2, 10)
    with pytest.raises(ArchitectureError, match=r"takes node \d twice|unknown operation"):
        NasBench301SearchSpace(nodes=5, **TINY).set_spec(genotype)


def test_an_edge_with_one_operation_beside_none_keeps_it() -> None:
    """P-DARTS strikes skip connections out, also where there is nothing else."""
    torch.manual_seed(0)
    optimizer = PDARTSOptimizer(epochs=1, max_skips=0)
    optimizer.adapt_search_space(_space(["none", "skip_connect"]))
    optimizer.before_training()
    found = optimizer.get_final_architecture().genotype()
    assert {op for op, _ in (*found["normal"], *found["reduce"])} == {"skip_connect"}
    struck = EdgeData({"op": [ops.Zero(1), ops.Identity()], "op_weights": torch.tensor([0.0, -torch.inf])})
    assert select_without_zero(struck) == 1
    nothing = EdgeData({"op": [ops.Zero(1), ops.Zero(1)], "op_weights": torch.tensor([0.0, 1.0])})
    assert select_without_zero(nothing) == 1
