"""Building graphs: names, nodes, scopes, inputs."""

from __future__ import annotations

import networkx as nx
import pytest
import torch
from graph_classes import Sized, chain
from torch import nn

from naslib.errors import GraphError
from naslib.search_spaces.core.graph import EdgeData, Graph


def test_class_attributes_and_bases():
    assert Graph.OPTIMIZER_SCOPE == "all" and Graph.QUERYABLE is False
    assert issubclass(Graph, nn.Module) and issubclass(Graph, nx.DiGraph)
    graph = Graph()
    assert graph.name == "" and graph.scope is None
    assert bool(graph) is True and len(graph) == 0


@pytest.mark.parametrize("name", ["a.b", ".", "x."])
def test_names_with_a_dot_are_rejected(name: str):
    with pytest.raises(GraphError, match="dot"):
        Graph(name=name)
    graph = Graph(name="fine")
    with pytest.raises(GraphError, match="dot"):
        graph.name = name
    assert graph.name == "fine"


@pytest.mark.parametrize("node", [0, -1, "a", 1.5, True, (1, 2)])
def test_nodes_are_positive_ints(node):
    with pytest.raises((GraphError, TypeError)):
        Graph().add_node(node)


def test_nodes_have_input_defaults_and_edges_have_edge_data():
    graph = Graph()
    graph.add_nodes_from([1, (2, {"comb_op": max}), 3], colour="red")
    graph.add_edge(3, 4, k=1)
    graph.add_edges_from([(1, 2, {"a": 1}), (2, 3, EdgeData({"b": 2}))])
    graph.add_weighted_edges_from([(1, 4, 0.5)])
    assert graph.nodes[1] == {"comb_op": sum, "colour": "red"} and graph.nodes[2]["comb_op"] is max
    assert all(isinstance(data, EdgeData) for _, _, data in graph.edges(data=True))
    assert graph.edges[3, 4].k == 1 and graph.edges[1, 2].a == 1 and graph.edges[2, 3].b == 2
    assert graph.edges[1, 4].weight == 0.5 and graph.get_edge_data(1, 2) is graph.edges[1, 2]
    graph.add_node(1, comb_op=min)
    assert graph.nodes[1] == {"comb_op": min, "colour": "red"}


def test_keywords_beside_an_edge_data_count():
    graph = Graph()
    op = nn.Tanh()
    graph.add_edge(1, 2, EdgeData({"a": 1, "b": 1}), op=op, b=2)
    assert graph.edges[1, 2].to_dict() == {"op": op, "a": 1, "b": 2}


def test_networkx_attribute_functions():
    graph = chain(nn.Tanh(), nn.ReLU())
    nx.set_edge_attributes(graph, {(1, 2): 5}, "cost")
    nx.set_node_attributes(graph, {1: "in"}, "kind")
    assert nx.get_edge_attributes(graph, "cost") == {(1, 2): 5} and graph.nodes[1]["kind"] == "in"
    assert list(graph.edges(data="cost")) == [(1, 2, 5), (2, 3, None)]
    assert nx.shortest_path(graph, 1, 3) == [1, 2, 3]


def test_dense_edges():
    graph = Graph()
    graph.add_nodes_from([1, 2, 5])
    assert graph.get_dense_edges() == [(1, 2), (1, 5), (2, 5)]
    assert graph.number_of_edges() == 0
    graph.add_edges_densly()
    assert list(graph.edges) == [(1, 2), (1, 5), (2, 5)]


def test_number_of_input_nodes():
    graph = Graph()
    graph.add_edges_from([(1, 3), (2, 3), (3, 4)])
    assert graph.num_input_nodes() == 2


def _nested() -> tuple[Graph, Graph, Graph, Graph]:
    outer, at_node, on_edge, candidate = (chain(nn.Tanh(), name=n, scope="own") for n in "onec")
    outer.nodes[2]["subgraph"] = at_node
    at_node.edges[1, 2].set("op", on_edge)
    on_edge.edges[1, 2].set("op", [candidate, nn.Identity()])
    return outer, at_node, on_edge, candidate


def test_set_scope_is_recursive_and_returns_self():
    outer, *inner = _nested()
    assert outer.set_scope("new") is outer
    assert [g.scope for g in (outer, *inner)] == ["new"] * 4
    outer.set_scope("top", recursively=False)
    assert [g.scope for g in (outer, *inner)] == ["top", "new", "new", "new"]


def _two_inputs() -> Graph:
    cell = Graph(name="cell")
    cell.add_nodes_from([1, 2, 3])
    cell.add_edge(1, 3, op=_Times(1.0))
    cell.add_edge(2, 3, op=_Times(10.0))
    return cell


class _Times(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return self.factor * x


def test_set_input_returns_self_and_wants_the_right_count():
    cell = _two_inputs()
    assert cell.set_input([1, 2]) is cell and cell.input_node_idxs == [1, 2]
    for wrong in ([], [1], [1, 2, 3]):
        with pytest.raises(GraphError, match="2"):
            cell.set_input(wrong)
    with pytest.raises(GraphError, match=">= 1"):
        cell.set_input([0, 1])


@pytest.mark.parametrize(
    ("idxs", "expected"), [([1, 2], 1 * 2 + 10 * 3), ([2, 1], 1 * 3 + 10 * 2), ([1, 1], 22), ([2, 2], 33)]
)
@pytest.mark.parametrize("hooked", [False, True])
def test_set_input_routes_the_parents_edges(idxs: list[int], expected: float, hooked: bool):
    parent = Graph(name="parent")
    parent.add_edge(1, 3)  # source 1 carries 2
    parent.edges[1, 3].set("op", _Times(2.0))
    parent.add_edge(1, 2, op=_Times(3.0))
    parent.add_edge(2, 3)  # source 2 carries 3
    cell = _two_inputs().set_input(idxs)
    if hooked:
        cell.register_forward_hook(lambda *_: None)
    parent.nodes[3]["subgraph"] = cell
    assert float(parent(torch.ones(()))) == expected


@pytest.mark.parametrize("hooked", [False, True])
def test_one_source_may_feed_all_inputs(hooked: bool):
    parent = chain(_Times(2.0), name="parent")
    parent.nodes[2]["subgraph"] = cell = _two_inputs().set_input([1, 1])
    if hooked:
        cell.register_forward_hook(lambda *_: None)
    assert float(parent(torch.ones(()))) == 22


def test_a_graph_takes_its_inputs_by_source_index():
    one, two = torch.tensor(1.0), torch.tensor(2.0)
    assert float(_two_inputs()({4: one, 7: two})) == 21  # lexicographic
    assert float(_two_inputs().set_input([7, 4])({4: one, 7: two})) == 12
    assert float(_two_inputs().set_input([7, 7])({4: one, 7: two})) == 22
    with pytest.raises(GraphError, match="2 input nodes"):
        _two_inputs()(one)


def test_inputs_that_do_not_fit_say_where():
    parent = chain(nn.Identity(), name="parent")
    parent.nodes[2]["subgraph"] = _two_inputs()
    with pytest.raises(GraphError, match=r"parent/2:cell.*set_input"):
        parent.parse()
    parent.nodes[2]["subgraph"] = _two_inputs().set_input([1, 9])
    with pytest.raises(GraphError, match=r"\[9\]"):
        parent.parse()


def test_repr_names_the_graph():
    assert "sized" in repr(Sized(2, depth=1)) and "3 nodes" in str(Sized(2, depth=1))
