"""Whether data reaches the output: against paths written out, and against the gradient of the output by the input."""

from __future__ import annotations

import itertools
import random

import pytest
import torch
from random_graphs import random_graph
from torch import Tensor, nn

from naslib.search_spaces import NasBench201SearchSpace, NasBench301SearchSpace, SimpleCellSearchSpace
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.primitives import DropPath, Identity, MixedOp, Sequential, Zero
from naslib.search_spaces.core.reachability import carries_data, passes
from naslib.search_spaces.nasbench201.conversions import EDGE_LIST, OP_NAMES

PATHS = [[(1, 4)], [(1, 2), (2, 4)], [(1, 3), (3, 4)], [(1, 2), (2, 3), (3, 4)]]


def _depends(graph: Graph, x: Tensor) -> bool:
    """Say whether the gradient of the output by the input is other than zero."""
    x = x.requires_grad_()
    output = graph(x)
    if not output.requires_grad:
        return False
    (gradient,) = torch.autograd.grad((output * torch.randn_like(output)).sum(), x, allow_unused=True)
    return gradient is not None and bool((gradient != 0).any())


def test_every_pattern_of_a_cell():
    torch.manual_seed(0)
    found = 0
    for pattern in itertools.product((True, False), repeat=6):
        alive = {edge for edge, here in zip(EDGE_LIST, pattern, strict=True) if here}
        cell = Graph("cell")
        cell.add_nodes_from(range(1, 5))
        cell.add_edges_densly()
        for edge in EDGE_LIST:
            cell.edges[edge].set("op", nn.Linear(3, 3) if edge in alive else Zero(1))
        cell.parse()
        expected = any(alive.issuperset(path) for path in PATHS)
        assert carries_data(cell) == expected == _depends(cell, torch.randn(4, 3)), pattern
        found += expected
    assert 0 < found < 64


@pytest.mark.parametrize("alive", [(), (0, 1, 2), (0, 4), (1, 5), (3,)])
def test_nasbench201(alive):
    zero, conv = OP_NAMES.index("Zero"), OP_NAMES.index("ReLUConvBN1x1")
    space = NasBench201SearchSpace(channels=2, cells_per_stage=1)
    space.set_spec(tuple(conv if index in alive else zero for index in range(6)))
    space.parse()
    expected = any({EDGE_LIST[index] for index in alive}.issuperset(path) for path in PATHS)
    assert carries_data(space) == expected == _depends(space, torch.randn(4, 3, 8, 8))


@pytest.mark.parametrize("seed", range(40))
def test_random_graphs_agree_with_the_gradient(seed: int):
    rng = random.Random(seed)
    torch.manual_seed(seed)
    graph = random_graph(rng)

    def wrap(edge) -> None:
        wrapped = {
            0: lambda: Zero(1),
            1: lambda: Sequential(nn.Linear(5, 5).double(), Zero(1)),
            2: lambda: DropPath(Zero(1)),
            3: lambda: nn.Sequential(Zero(1), nn.Linear(5, 5, bias=True).double()),
            4: lambda: DropPath(Sequential(nn.Linear(5, 5).double(), nn.Tanh())),
        }.get(rng.randrange(7))
        if wrapped is not None:
            edge.data.set("op", wrapped())

    graph.update_edges(wrap, private_edge_data=True)
    graph.parse()
    assert carries_data(graph) == _depends(graph, torch.randn(4, 5, dtype=torch.float64))


def test_both_answers_are_among_the_random_graphs():
    answers = set()
    for seed in range(40):
        rng = random.Random(seed)
        graph = random_graph(rng)
        graph.update_edges(
            lambda edge, rng=rng: edge.data.set("op", Zero(1)) if rng.random() < 0.5 else None, private_edge_data=True
        )
        answers.add(carries_data(graph))
    assert answers == {True, False}


def _cell(*edges: tuple[int, int]) -> Graph:
    cell = Graph("cell")
    cell.add_nodes_from(range(1, 5))
    cell.add_edges_densly()
    cell.set_input([1])
    cell.remove_edges_from([edge for edge in list(cell.edges) if edge not in edges])
    return cell


@pytest.mark.parametrize(
    ("edges", "expected"),
    [
        ([(1, 2), (2, 4)], True),  # node 3 was cut off, and is no way in
        ([(1, 2), (3, 4)], False),
        ([(2, 3), (3, 4)], False),
        ([(1, 2), (2, 3)], False),  # nothing enters the output
        ([], False),
    ],
)
def test_missing_edges(edges, expected):
    cell = _cell(*edges)
    assert carries_data(cell) == expected
    outer = Graph("outer")
    outer.add_nodes_from([1, 2, 3])
    outer.add_edges_from([(1, 2), (2, 3)])
    outer.nodes[2]["subgraph"] = cell
    assert carries_data(outer) == expected
    chain = Graph("chain")
    chain.add_nodes_from([1, 2])
    chain.add_edge(1, 2, op=_cell(*edges))
    assert carries_data(chain) == expected


def test_a_cell_with_two_inputs():
    cell = Graph("cell")
    cell.add_nodes_from(range(1, 5))
    cell.add_edges_from([(1, 3), (2, 3), (3, 4)])
    outer = Graph("outer")
    outer.add_nodes_from(range(1, 5))
    outer.add_edges_from([(1, 2), (1, 3), (2, 3), (3, 4)])
    outer.nodes[3]["subgraph"] = cell.set_input([2, 1])
    assert carries_data(outer)
    outer.edges[1, 2].set("op", Zero(1))
    assert carries_data(outer)
    cell.edges[2, 3].set("op", Zero(1))  # the second input is node 1 of the outer graph
    assert not carries_data(outer)


def test_operations():
    assert not passes(Zero(2, 4, 8)) and not passes(Zero) and passes(Identity()) and passes(nn.ReLU)
    assert passes(MixedOp([Zero(1), Identity()])) and not passes(MixedOp([Zero(1)])) and passes([Zero(1), nn.ReLU()])


@pytest.mark.parametrize("space", [SimpleCellSearchSpace, NasBench201SearchSpace, NasBench301SearchSpace])
def test_a_search_space_carries_data(space):
    assert carries_data(space())
