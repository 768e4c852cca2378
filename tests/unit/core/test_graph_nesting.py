"""A graph that contains itself is refused, or named where it has come to be."""

from __future__ import annotations

import pytest
import torch
from graph_classes import chain
from torch import nn

from naslib.errors import GraphError
from naslib.search_spaces.core.graph import EdgeData, Graph


def _nested() -> tuple[Graph, Graph, Graph]:
    """Return three graphs, each in the one before: on an edge and at a node."""
    inner, middle, outer = (Graph(name=name) for name in ("inner", "middle", "outer"))
    inner.add_edge(1, 2)
    middle.add_edge(1, 2, op=nn.Sequential(inner, nn.ReLU()))
    middle.add_edge(2, 3)
    outer.add_node(1)
    outer.add_node(2, subgraph=middle)
    outer.add_edges_from([(1, 2), (2, 3)])
    return outer, middle, inner


@pytest.mark.parametrize("depth", [0, 1, 2])
@pytest.mark.parametrize(
    "add",
    [
        lambda graph, op: graph.add_node(4, subgraph=op),
        lambda graph, op: graph.add_node(1, subgraph=op),
        lambda graph, op: graph.add_nodes_from([(4, {"subgraph": op})]),
        lambda graph, op: graph.add_edge(2, 4, op=op),
        lambda graph, op: graph.add_edge(2, 4, EdgeData({"op": op})),
        lambda graph, op: graph.add_edges_from([(1, 2, {"op": [nn.Identity(), op]})]),
        lambda graph, op: graph.add_edge(2, 4, op=nn.Sequential(nn.Sequential(op))),
    ],
)
def test_a_graph_does_not_take_itself_in(depth: int, add):
    outer, *others = _nested()
    inside = [outer, *others][depth]
    with pytest.raises(GraphError, match=r"'(outer|middle|inner)' cannot contain itself"):
        add(inside, outer)
    assert len(outer.nested_graphs()) == 3
    outer.parse()
    assert torch.equal(outer(torch.tensor([-1.0, 2.0])), torch.tensor([0.0, 2.0]))


@pytest.mark.parametrize("through", ["node", "edge", "candidates", "hooks"])
@pytest.mark.parametrize("depth", [0, 1, 2])
@pytest.mark.parametrize(
    "act", [Graph.parse, Graph.copy, Graph.unparse, Graph.double, lambda graph: graph(torch.ones(1))]
)
def test_a_graph_that_has_come_to_contain_itself_is_named(through: str, depth: int, act):
    outer, middle, inner = _nested()
    inside = (outer, middle, inner)[depth]
    if through == "node":
        inside.nodes[2]["subgraph"] = outer
    else:
        inside.edges[1, 2].set("op", [nn.Identity(), outer] if through == "candidates" else outer)
    if through == "hooks":  # such graphs are called, not inlined
        for graph in (outer, middle, inner):
            graph.register_forward_hook(lambda module, args, output: None)
    with pytest.raises(GraphError, match=r"'outer' contains itself \('outer' -> .*'outer'\)"):
        act(outer)


def test_one_graph_at_several_places_is_no_cycle():
    cell = chain(nn.Linear(2, 2))
    graph = Graph(name="twice")
    graph.add_nodes_from([1, (2, {"subgraph": cell}), (3, {"subgraph": cell})])
    graph.add_edges_from([(1, 2), (2, 3)])
    graph.parse()
    x = torch.ones(1, 2)
    assert torch.equal(graph(x), cell(cell(x)))
