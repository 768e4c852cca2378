"""Compiling op classes, parsing, module names, and swapping ops on parsed graphs."""

from __future__ import annotations

import re

import pytest
import torch
from graph_classes import chain
from torch import nn

from naslib.errors import GraphError
from naslib.search_spaces.core.graph import EdgeData, Graph
from naslib.search_spaces.core.primitives import AbstractCombOp, MixedOp, Sequential

X = torch.linspace(-1, 1, 8).reshape(2, 4)


class _Adds(AbstractCombOp):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4))

    def forward(self, tensors, edges_data):
        return self.weight * sum(tensors)


class _Average(MixedOp):
    def get_weights(self, edge_data):
        return torch.full((len(self.primitives),), 1 / len(self.primitives))

    def apply_weights(self, x, weights):
        return sum(w * op(x) for w, op in zip(weights, self.primitives, strict=True))


# compile


def test_compile_instantiates_with_the_edges_other_attributes():
    graph = Graph(name="g")
    graph.add_edge(1, 2, op=nn.Linear, in_features=4, out_features=3, not_its_own=7)
    graph.edges[1, 2].set("bias", False, shared=True)
    graph.compile()
    op = graph.edges[1, 2].op
    assert isinstance(op, nn.Linear) and (op.in_features, op.out_features, op.bias) == (4, 3, None)
    graph.compile()
    assert graph.edges[1, 2].op is op


def test_compile_of_a_list_gives_each_op_its_own_element():
    class Wide(nn.Module):
        def __init__(self, channels, **rest):
            super().__init__()
            self.channels, self.rest = channels, rest

    class Narrow(nn.Module):
        def __init__(self, channels, kernel=1):
            super().__init__()
            self.channels, self.kernel = channels, kernel

    ready = nn.Identity()
    graph = Graph()
    graph.add_edge(1, 2, op=[Wide, Narrow, ready], channels=[1, 2, 3], kernel=5, pair=[8, 9])
    graph.compile()
    wide, narrow, same = graph.edges[1, 2].op
    assert (wide.channels, wide.rest) == (1, {"kernel": 5, "pair": [8, 9]})
    assert (narrow.channels, narrow.kernel) == (2, 5) and same is ready


@pytest.mark.parametrize("op", [nn.Linear, [nn.Identity, nn.Linear]])
def test_a_missing_argument_is_an_error_that_names_the_edge(op):
    graph = Graph(name="macro")
    graph.add_edge(3, 5, op=op, in_features=4)
    with pytest.raises(GraphError, match=r"\(3, 5\).*macro.*Linear needs out_features"):
        graph.compile()


def test_compile_reaches_nested_graphs_and_leaves_final_edges():
    class Block(Graph):
        def __init__(self, in_features):
            super().__init__(name="block")
            self.add_edge(1, 2, op=nn.Linear, in_features=in_features, out_features=4)

    inner = chain(nn.Linear, name="inner")
    inner.edges[1, 2].update({"in_features": 4, "out_features": 4})
    graph = Graph(name="g")
    graph.add_edge(1, 2, op=Block, in_features=4)
    graph.add_edge(2, 3, op=[inner, nn.Identity])
    graph.add_edge(3, 4, EdgeData({"op": nn.Linear}).finalize())
    graph.compile()
    assert isinstance(graph.edges[1, 2].op.edges[1, 2].op, nn.Linear)
    assert isinstance(inner.edges[1, 2].op, nn.Linear) and isinstance(graph.edges[2, 3].op[1], nn.Identity)
    graph.edges[2, 3].set("op", inner)
    with pytest.raises(GraphError, match=r"\(3, 4\).*class Linear.*compile"):
        graph.parse()


# parse


def _all_kinds() -> Graph:
    graph = Graph(name="macro")
    graph.add_edges_from([(1, 2), (1, 3), (2, 3), (3, 4)])
    graph.edges[1, 2].set("op", nn.Linear(4, 4))
    graph.nodes[3]["comb_op"] = _Adds()
    graph.nodes[4]["subgraph"] = chain(nn.Linear(4, 2), name="cell")
    return graph


def test_module_names():
    graph = _all_kinds()
    graph.parse()
    assert graph.is_parsed
    assert {name for name, _ in graph.named_children()} == {
        *(f"macro-edge({u},{v})" for u, v in graph.edges),
        "macro-comb_op_at(3)",
        "macro-subgraph_at(4)",
    }
    assert set(graph.state_dict()) == {
        "macro-edge(1,2).weight",
        "macro-edge(1,2).bias",
        "macro-comb_op_at(3).weight",
        "macro-subgraph_at(4).cell-edge(1,2).weight",
        "macro-subgraph_at(4).cell-edge(1,2).bias",
    }
    assert graph.get_submodule("macro-edge(1,2)") is graph.edges[1, 2].op
    assert all(line in graph.modules_str() for line in ("macro-edge(1,2): Linear", "macro-subgraph_at(4)"))
    assert "not been parsed" in _all_kinds().modules_str()


def test_parse_is_idempotent_and_keeps_the_users_own_modules():
    graph = _all_kinds()
    graph.own = nn.Linear(1, 1)
    graph.register_buffer("count", torch.zeros(()))
    graph.parse()
    names, parameters = list(graph.state_dict()), [id(p) for p in graph.parameters()]
    graph.parse()
    assert list(graph.state_dict()) == names and [id(p) for p in graph.parameters()] == parameters
    assert {"own.weight", "count"} <= set(names)


@pytest.mark.parametrize("wrap", [lambda g: _Average([g, nn.Identity()]), Sequential, nn.Sequential])
def test_graphs_inside_ops_are_parsed_found_and_compiled_too(wrap):
    inner = chain(nn.Linear(4, 4), name="inner", scope="s")
    graph = chain(wrap(inner))
    assert inner in graph.nested_graphs()
    graph.parse()
    assert inner.is_parsed and inner._plan is not None and len(list(graph.parameters())) == 2
    assert graph(X).shape == (2, 4)
    seen = []
    graph.update_edges(lambda edge: seen.append(edge.data.op), scope="s")
    assert seen == [inner.edges[1, 2].op]


@pytest.mark.parametrize("nested", [False, True])
def test_an_op_list_that_nobody_adapted_is_a_clear_error(nested: bool):
    graph = chain([nn.Identity(), nn.Linear(4, 4)], name="cell")
    graph = chain(graph, name="macro") if nested else graph
    for use in (graph.parse, lambda: graph(X)):
        with pytest.raises(GraphError, match=r"edge \(1, 2\) of graph 'cell'.*2 candidate.*MixedOp"):
            use()


@pytest.mark.parametrize("op", [None, "conv", lambda x: x])
def test_an_op_that_is_no_module_is_a_clear_error(op):
    with pytest.raises(GraphError, match=r"edge \(1, 2\).*torch\.nn\.Module"):
        chain(op).parse()


@pytest.mark.parametrize(
    ("edges", "named"), [([(1, 2), (2, 3), (3, 2)], "2 -> 3 -> 2"), ([(1, 1)], "1 -> 1"), ([(1, 2), (2, 2)], "2 -> 2")]
)
@pytest.mark.parametrize("nested", [False, True])
def test_cycles_are_named(edges: list, named: str, nested: bool):
    graph = Graph(name="loop")
    graph.add_edges_from(edges)
    graph = chain(graph) if nested else graph
    for use in (graph.parse, lambda: graph(X)):
        with pytest.raises(GraphError, match=re.escape(named) if not nested else "loop"):
            use()


def test_unreachable_nodes_and_empty_graphs_are_errors():
    graph = chain(nn.Identity(), name="macro")
    graph.add_node(9)
    with pytest.raises(GraphError, match=r"macro.*\[1, 9\].*unreachable"):
        graph.parse()
    with pytest.raises(GraphError):
        graph(X)
    with pytest.raises(GraphError, match="9"):
        chain(graph, name="outer").parse()
    with pytest.raises(GraphError, match="no nodes"):
        Graph(name="empty").parse()


# swapping


@pytest.mark.parametrize("depth", [0, 1, 2])
@pytest.mark.parametrize("look", ["forward", "parameters", "state_dict"])
def test_a_swapped_op_counts_at_once(depth: int, look: str):
    inner = chain(nn.Linear(4, 4), name="inner")
    graph = inner
    for level in range(depth):
        outer = chain(graph if level == 0 else nn.Identity(), name=f"level{level}")
        if level:
            outer.nodes[2]["subgraph"] = graph
        graph = outer
    graph.parse()
    before = graph(X)
    names = list(graph.state_dict())
    new = nn.Linear(4, 4)
    inner.edges[1, 2].set("op", new)
    if look == "forward":
        torch.testing.assert_close(graph(X), new(X))
        assert not torch.equal(graph(X), before)
    elif look == "parameters":
        assert [id(p) for p in graph.parameters()] == [id(new.weight), id(new.bias)]
    else:
        assert list(graph.state_dict()) == names
        assert graph.state_dict()[names[0]].data_ptr() == new.weight.data_ptr()


def test_swapping_in_graphs_mixed_ops_and_back():
    graph = chain(nn.Linear(4, 4), nn.Identity(), name="g")
    graph.parse()
    edge = graph.edges[1, 2]
    inner = chain(nn.Linear(4, 4), nn.Linear(4, 4), name="inner")
    edge.set("op", inner)
    assert len(list(graph.parameters())) == 4
    torch.testing.assert_close(graph(X), inner(X))
    inner.edges[2, 3].set("op", nn.Identity())
    assert len(list(graph.parameters())) == 2
    torch.testing.assert_close(graph(X), inner.edges[1, 2].op(X))
    edge.set("op", _Average([chain(nn.Linear(4, 4), name="deep"), nn.Identity()]))
    assert len(list(graph.parameters())) == 2
    torch.testing.assert_close(graph(X), (edge.op.primitives[0](X) + X) / 2)
    edge.set("op", [nn.Linear(4, 4)])
    assert list(graph.parameters()) == []
    with pytest.raises(GraphError, match="MixedOp"):
        graph(X)
    edge.set("op", nn.Tanh())
    torch.testing.assert_close(graph(X), torch.tanh(X))


def test_changed_topology_drops_the_plan_and_registers_anew():
    inner = chain(nn.Linear(4, 4), nn.Tanh(), name="inner")
    graph = chain(inner, name="outer")
    graph.parse()
    graph(X)
    inner.add_edge(3, 4, op=nn.Linear(4, 2))
    assert len(list(graph.parameters())) == 4 and graph(X).shape == (2, 2)
    inner.remove_node(4)
    assert len(list(graph.parameters())) == 2 and graph(X).shape == (2, 4)
    graph.nodes[2]["subgraph"] = chain(nn.Linear(4, 1), name="late")
    assert len(list(graph.parameters())) == 4 and graph(X).shape == (2, 1)
    inner.nodes[3]["comb_op"] = _Adds()
    inner.add_edge(1, 3)
    assert len(list(graph.parameters())) == 5
    assert graph(X).shape == (2, 1)


def test_plan_is_built_lazily_and_kept():
    graph = chain(nn.Linear(4, 4))
    assert not graph.is_parsed
    graph(X)
    plan = graph.plan
    graph(X)
    graph.edges[1, 2].set("op", nn.Tanh())
    graph.update_edges(lambda edge: None)
    assert graph.plan is plan and not graph.is_parsed and list(graph.parameters()) == []


@pytest.mark.parametrize("parsed", [False, True])
@pytest.mark.parametrize("inplace", [False, True])
def test_reset_weights(parsed: bool, inplace: bool):
    torch.manual_seed(0)
    inner = chain(nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)), name="inner")
    graph = chain(inner, [nn.Linear(4, 4)] if not parsed else nn.Linear(4, 4), name="g")
    if parsed:
        graph.parse()
    linear, norm = inner.edges[1, 2].op
    norm.running_mean.fill_(3)
    old = linear.weight.detach().clone()
    other = graph.reset_weights(inplace=inplace)
    assert (other is graph) == inplace
    new_linear, new_norm = other.edges[1, 2].op.edges[1, 2].op
    assert not torch.equal(new_linear.weight, old) and float(new_norm.running_mean.sum()) == 0
    assert torch.equal(linear.weight, old) != inplace


# what a node can hold


def _two_ways(comb_op=sum) -> Graph:
    graph = Graph(name="g")
    graph.add_nodes_from([1, 2, 3])
    graph.add_edges_densly()
    graph.nodes[3]["comb_op"] = comb_op
    return graph


def _half(tensors):
    return sum(tensors) / 2


@pytest.mark.parametrize("parses", [True, False])
@pytest.mark.parametrize("node", [2, 3])
@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([sum, _half], "a list of 2 candidates as its comb_op: a decision that no optimizer has made"),
        ((sum, _half, sum), "a list of 3 candidates"),
        (nn.ModuleList([_Adds(), _Adds()]), "a list of 2 candidates"),
        ([], "a list of 0 candidates"),
        ("sum", "has 'sum' of type str as its comb_op; expected a function of a list of tensors"),
        (None, "has None of type NoneType as its comb_op"),
        (_Adds, "has the class _Adds as its comb_op; give an instance of it"),
    ],
)
def test_what_is_no_combination_is_said(value, said: str, node: int, parses: bool):
    graph = _two_ways()
    graph.parse()
    graph.nodes[node]["comb_op"] = value
    with pytest.raises(GraphError) as error:
        graph.parse() if parses else graph(torch.ones(2, 4))
    assert f"node {node} of graph 'g'" in str(error.value) and said in str(error.value)
    graph.nodes[node]["comb_op"] = _half
    expected = torch.ones(2, 4) if node == 3 else 2 * torch.ones(2, 4)
    assert torch.equal(graph(torch.ones(2, 4)), expected)


def test_a_module_is_no_subgraph():
    graph = _two_ways()
    graph.nodes[2]["subgraph"] = nn.Linear(4, 4)
    with pytest.raises(GraphError, match=r"node 2 of graph 'g' has .* as its subgraph; expected a Graph"):
        graph.parse()
