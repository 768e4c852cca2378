"""Copies of graphs: networkx's derived graphs, copy, clone, unparse, deepcopy, pickle."""

from __future__ import annotations

import copy
import pickle

import networkx as nx
import pytest
import torch
from graph_classes import Sized, chain, two_sinks
from torch import nn

from naslib.search_spaces.core.graph import EdgeData, Graph
from naslib.search_spaces.core.primitives import AbstractPrimitive

X = torch.linspace(-1, 1, 8).reshape(2, 4)


@pytest.fixture()
def graph() -> Graph:
    torch.manual_seed(0)
    return Sized(4, depth=3)


DERIVED = {
    "copy": lambda g: g.copy(),
    "subgraph": lambda g: g.subgraph([1, 2, 3]),
    "subgraph copy": lambda g: g.subgraph([1, 2, 3]).copy(),
    "edge_subgraph": lambda g: g.edge_subgraph([(1, 2), (2, 3), (1, 3)]),
    "reverse twice": lambda g: g.reverse().reverse(),
    "reverse view twice": lambda g: g.reverse(copy=False).reverse(copy=False),
    "relabel_nodes": lambda g: nx.relabel_nodes(g, {1: 2, 2: 4, 3: 6}),
    "relabel in place": lambda g: nx.relabel_nodes(g.clone(), {3: 9}, copy=False),
    "compose": lambda g: nx.compose(g, g),
    "view copy": lambda g: g.copy(as_view=True),
    "clone": lambda g: g.clone(),
    "unparse": lambda g: g.unparse(),
    "deepcopy": copy.deepcopy,
    "copy.copy of a clone": lambda g: copy.copy(g.clone()),
    "pickle": lambda g: pickle.loads(pickle.dumps(g)),
    "pickled view": lambda g: pickle.loads(pickle.dumps(g.edge_subgraph([(1, 2), (2, 3), (1, 3)]))),
    "frozen copy": lambda g: nx.freeze(g.clone()).copy(),
}


@pytest.mark.parametrize("parsed", [False, True])
@pytest.mark.parametrize("kind", DERIVED)
def test_derived_graphs_keep_class_and_attributes_without_the_constructor(kind: str, parsed: bool, graph: Graph):
    if parsed:
        graph.parse()
    expected, runs = graph(X), Sized.runs
    derived = DERIVED[kind](graph)
    assert Sized.runs == runs
    assert type(derived) is Sized and bool(derived) is True
    assert (derived.width, derived.depth, derived.scope, derived.name) == (4, 3, "cell", "sized")
    torch.testing.assert_close(derived(X), expected, rtol=0, atol=0)
    if parsed:
        torch.testing.assert_close(graph(X), expected, rtol=0, atol=0)


@pytest.mark.parametrize("kind", [k for k in DERIVED if "view" not in k and "subgraph" not in k] + ["subgraph copy"])
def test_derived_graphs_can_be_changed_parsed_and_trained(kind: str, graph: Graph):
    derived = DERIVED[kind](graph)
    last = max(derived.nodes)
    derived.add_node(last + 1)
    derived.add_edge(last, last + 1, op=nn.Linear(4, 2))
    derived.parse()
    assert derived(X).shape == (2, 2)
    assert len(list(derived.parameters())) == 5  # scale, two linear layers
    assert graph.number_of_nodes() == 3


def test_views_and_reversals_show_what_they_should(graph: Graph):
    view = graph.subgraph([1, 2])
    assert list(view.edges) == [(1, 2)] and view.edges[1, 2] is graph.edges[1, 2]
    assert [name for name, _ in view.named_parameters()] == ["scale"] and view.scale is graph.scale
    assert sorted(graph.reverse().edges) == [(2, 1), (3, 1), (3, 2)]
    assert isinstance(graph.reverse().edges[2, 1], EdgeData)
    assert sorted(nx.relabel_nodes(graph, {2: 7}).edges) == [(1, 3), (1, 7), (7, 3)]
    assert type(graph.to_undirected()) is nx.Graph and type(graph.to_directed()) is nx.DiGraph


def test_copy_has_private_data_of_its_own_and_shares_the_rest(graph: Graph):
    cell = chain(nn.Linear(4, 4), name="inner")
    cell.edges[1, 2].set("alpha", nn.Parameter(torch.ones(3)), shared=True)
    graph.nodes[2]["subgraph"] = cell
    graph.edges[1, 3].set("op", [cell.copy(), nn.Linear(4, 4)])
    other = graph.copy()
    assert other.edges[1, 2].alpha is graph.edges[1, 2].alpha
    assert other.edges[1, 2].op is not graph.edges[1, 2].op
    assert torch.equal(other.edges[1, 2].op.weight, graph.edges[1, 2].op.weight)
    inner = other.nodes[2]["subgraph"]
    assert inner is not cell and inner.edges[1, 2].alpha is cell.edges[1, 2].alpha
    assert inner.edges[1, 2].op is not cell.edges[1, 2].op
    candidates = other.edges[1, 3].op
    assert candidates[0].edges[1, 2].alpha is cell.edges[1, 2].alpha
    assert candidates[1].weight is not graph.edges[1, 3].op[1].weight
    assert other.scale is not graph.scale and not other.is_parsed
    other.edges[1, 2].set("more", 1, shared=True)
    assert graph.edges[1, 2].more == 1


def test_clone_keeps_sharing_inside_and_nothing_outside():
    cell = chain(nn.Linear(4, 4), name="cell", scope="cell")
    cell.edges[1, 2].set("alpha", nn.Parameter(torch.ones(3)), shared=True)
    tied = nn.Linear(4, 4)
    graph = chain(cell, cell.copy(), tied, tied, name="macro")
    graph.parse()
    other = graph.clone()
    first, second = other.edges[1, 2].op.edges[1, 2], other.edges[2, 3].op.edges[1, 2]
    assert first.alpha is second.alpha and first.alpha is not cell.edges[1, 2].alpha
    assert first.op is not second.op and other.edges[3, 4].op is other.edges[4, 5].op
    assert not {id(p) for p in other.parameters()} & {id(p) for p in graph.parameters()}
    assert list(other.state_dict()) == list(graph.state_dict())
    first.delete()
    assert second.is_deleted() and not cell.edges[1, 2].is_deleted()


class _Remembers(AbstractPrimitive):
    """Keep the last activation on the module, as users' ops do."""

    def __init__(self) -> None:
        super().__init__(locals())
        self.linear = nn.Linear(4, 4)

    def forward(self, x, edge_data=None):
        edge_data.set("seen", self.linear(x))
        self.last = self.linear(x)
        return self.last


class _RemembersToo(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x):
        self.last = self.linear(x)
        return self.last


@pytest.mark.parametrize("backward", [False, True])
def test_clone_works_after_a_training_forward(backward: bool):
    graph = two_sinks()
    graph.edges[1, 3].set("op", chain(_Remembers(), _RemembersToo(), name="inner"))
    graph.parse()
    graph.train()
    out, auxiliary = graph.forward_with_auxiliary(X)
    if backward:
        (out.sum() + auxiliary[2].sum()).backward()
    other = graph.clone()
    torch.testing.assert_close(other(X), out)
    assert other.training and "out_from_2" not in graph.clone().graph


def test_unparse_shares_edge_data_and_leaves_the_old_graph_usable(graph: Graph):
    inner = chain(nn.Linear(4, 4), name="inner")
    graph.nodes[2]["subgraph"] = inner
    graph.parse()
    expected = graph(X)
    other = graph.unparse()
    assert graph.is_parsed and not other.is_parsed and list(other.children()) == []
    assert other.edges[1, 2] is graph.edges[1, 2] and other.scale is graph.scale
    unparsed_inner = other.nodes[2]["subgraph"]
    assert unparsed_inner is not inner and unparsed_inner.edges[1, 2] is inner.edges[1, 2]
    torch.testing.assert_close(other(X), expected, rtol=0, atol=0)
    other.parse()
    assert {id(p) for p in other.parameters()} == {id(p) for p in graph.parameters()}
    other.add_edge(3, 4, op=nn.Linear(4, 1))
    other.parse()
    assert other(X).shape == (2, 1)
    torch.testing.assert_close(graph(X), expected, rtol=0, atol=0)


def test_unparsed_and_parsed_graph_both_see_a_swapped_op(graph: Graph):
    graph.parse()
    other = graph.unparse()
    other.parse()
    new = nn.Linear(4, 4)
    other.edges[1, 2].set("op", new)
    for g in (graph, other):
        assert any(p is new.weight for p in g.parameters())
    torch.testing.assert_close(graph(X), other(X), rtol=0, atol=0)
    torch.testing.assert_close(graph(X), X + torch.tanh(new(X)))


def test_pickle_keeps_hooks_of_structure_alive(graph: Graph):
    graph.parse()
    other = pickle.loads(pickle.dumps(graph))
    assert other.is_parsed and list(other.state_dict()) == list(graph.state_dict())
    new = nn.Linear(4, 4)
    other.edges[1, 2].set("op", new)
    assert any(p is new.weight for p in other.parameters())
    other.remove_edge(1, 3)
    torch.testing.assert_close(other(X), torch.tanh(new(X)))
