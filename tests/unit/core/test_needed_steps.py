"""What a combination does not read that was chosen is not computed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from naslib.optimizers import DARTSOptimizer, GDASOptimizer, SPOSOptimizer
from naslib.search_spaces.core import Graph
from naslib.search_spaces.core.assignment import Assignment
from naslib.search_spaces.core.primitives import AbstractCombOp, AbstractPrimitive

CALLS: list[str] = []  # a copy of a graph has copies of all that it holds


class Counted(AbstractPrimitive):
    """A 1x1 convolution that counts its calls."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.conv = nn.Conv2d(2, 2, 1)

    def forward(self, x: Tensor, edge_data: Any = None) -> Tensor:
        CALLS.append(self.name)
        return self.conv(x)


class Reads(AbstractCombOp):
    """The sum of some inputs."""

    def __init__(self, *positions: int) -> None:
        super().__init__()
        self.positions = positions

    @property
    def get_op_name(self) -> str:
        return "+".join(map(str, self.positions))

    def used_inputs(self, count: int) -> Sequence[int]:
        return self.positions

    def forward(self, tensors: list[Tensor], edges_data: Sequence[Any]) -> Tensor:  # type: ignore[override]
        assert len(tensors) == len(edges_data) == 3
        return sum((tensors[i] for i in self.positions[1:]), tensors[self.positions[0]])


def _graph() -> Graph:
    """1 -> 2, 1 -> 3, 2 -> 4; node 5 chooses among what 2, 3 and 4 give; node 6 is an output beside, of 3 alone."""
    torch.manual_seed(0)
    graph = Graph(name="net", scope="all")
    graph.add_nodes_from(range(1, 7))
    for u, v in ((1, 2), (1, 3), (2, 4), (2, 5), (3, 5), (4, 5)):
        graph.add_edge(u, v, op=Counted(f"{u}{v}"))
    graph.nodes[5]["comb_op"] = [Reads(0), Reads(1), Reads(0, 2)]
    graph.add_edge(5, 6, op=nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    return graph.double()


RUNS = {0: ["12", "25"], 1: ["13", "35"], 2: ["12", "24", "25", "45"]}


@pytest.mark.parametrize("index", RUNS)
def test_a_path_runs_what_it_reads(index: int) -> None:
    optimizer = SPOSOptimizer(epochs=1)
    optimizer.adapt_search_space(_graph())
    x = torch.randn(2, 2, 3, 3, dtype=torch.float64)
    CALLS.clear()
    with optimizer.assigned(Assignment({"net/5:comb_op": index})):
        output = optimizer.graph(x)
    assert sorted(CALLS) == sorted(RUNS[index])
    output.sum().backward()
    names = [*RUNS[1], *RUNS[2]]
    trained = {name for name in names if _op(optimizer.graph, name).conv.weight.grad is not None}
    assert trained == set(RUNS[index])

    discrete = _graph()
    discrete.set_spec({"net/5:comb_op": discrete.decision_space.decision("net/5:comb_op").candidates[index]})
    discrete.parse()
    for name in RUNS[2] + RUNS[1]:
        _op(discrete, name).load_state_dict(_op(optimizer.graph, name).state_dict())
    CALLS.clear()
    assert torch.equal(discrete(x), output)
    assert sorted(CALLS) == sorted(RUNS[index])


def _op(graph: Graph, name: str) -> Any:
    return graph.edges[int(name[0]), int(name[1])].op


def test_a_mixture_runs_all_and_a_draw_what_its_backward_evaluates() -> None:
    for method in (DARTSOptimizer, GDASOptimizer):
        optimizer = method(epochs=1)
        optimizer.adapt_search_space(_graph())
        optimizer.before_training()
        optimizer.graph.train()
        CALLS.clear()
        optimizer.graph(torch.randn(2, 2, 3, 3, dtype=torch.float64)).sum().backward()
        everything = sorted(RUNS[1] + RUNS[2])
        drawn = [everything, *map(sorted, RUNS.values())]
        assert sorted(CALLS) in ([everything] if method is DARTSOptimizer else drawn)


def test_an_output_beside_the_last_is_always_computed() -> None:
    graph = _graph()
    graph.add_edge(3, 7, op=nn.Identity())
    graph.nodes[5]["comb_op"] = Reads(0)
    graph.remove_edge(5, 6)
    graph.add_edge(5, 8, op=nn.Identity())
    graph.remove_node(6)
    graph.parse()
    CALLS.clear()
    _, others = graph.forward_with_auxiliary(torch.randn(1, 2, 3, 3, dtype=torch.float64))
    assert set(others) == {7} and sorted(CALLS) == ["12", "13", "25"]
