"""Graphs that the tests of the graph core share."""

from __future__ import annotations

import torch
from torch import nn

from naslib.search_spaces.core.graph import EdgeData, Graph


class Sized(Graph):
    """A cell whose constructor has required arguments and counts its runs: 1 -Linear-> 2 -Tanh-> 3, 1 -> 3."""

    runs = 0

    def __init__(self, width: int, *, depth: int) -> None:
        super().__init__(name="sized", scope="cell")
        type(self).runs += 1
        self.width = width
        self.depth = depth
        self.scale = nn.Parameter(0.5 * torch.ones(width))
        self.add_nodes_from([1, 2, 3])
        self.add_edge(1, 2, op=nn.Linear(width, width))
        self.add_edge(2, 3, op=nn.Tanh())
        self.add_edge(1, 3)
        self.edges[1, 2].set("alpha", nn.Parameter(torch.ones(2)), shared=True)


def two_sinks(width: int = 4) -> Graph:
    """Return 1 -> 2 (sink), 1 -> 3 -> 4 (last): one auxiliary output, at node 2."""
    graph = Graph(name="two_sinks")
    graph.add_nodes_from([1, 2, 3, 4])
    graph.add_edge(1, 2, op=nn.Linear(width, 3))
    graph.add_edge(1, 3, op=nn.Linear(width, width))
    graph.add_edge(3, 4, op=nn.Tanh())
    return graph


def chain(*ops: nn.Module, name: str = "chain", scope: str | None = None) -> Graph:
    """Return 1 -op-> 2 -op-> 3 ..."""
    graph = Graph(name=name, scope=scope)
    graph.add_nodes_from(range(1, len(ops) + 2))
    for index, op in enumerate(ops, start=1):
        graph.add_edge(index, index + 1, EdgeData({"op": op}))
    return graph
