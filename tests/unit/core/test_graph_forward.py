"""Forward: order, combination, auxiliary outputs, error notes, explain."""

from __future__ import annotations

import copy
import pickle
import threading

import pytest
import torch
from graph_classes import chain, two_sinks
from torch import nn

from naslib.errors import GraphError
from naslib.search_spaces.core.graph import EdgeData, Graph
from naslib.search_spaces.core.primitives import AbstractCombOp, AbstractPrimitive

X = torch.linspace(-1, 1, 8).reshape(2, 4)


class _Log(nn.Module):
    def __init__(self, log: list, name: str, fail: bool = False) -> None:
        super().__init__()
        self.log, self.name, self.fail = log, name, fail

    def forward(self, x):
        if self.fail:
            raise RuntimeError("boom")
        self.log.append(self.name)
        return x


def test_nodes_run_in_lexicographic_topological_order():
    log: list[str] = []
    graph = Graph()
    for u, v in [(1, 5), (5, 2), (1, 4), (4, 3), (2, 9), (3, 9)]:
        graph.add_edge(u, v, op=_Log(log, f"{u}{v}"))
    graph(X)
    # 1, then the smallest node whose inputs are there: 4, 3, 5, 2, 9
    assert log == ["14", "15", "43", "39", "52", "29"]


def test_the_last_node_of_the_order_is_the_output_even_if_its_index_is_small():
    graph = Graph()
    graph.add_edges_from([(3, 2), (2, 1)])
    graph.edges[2, 1].set("op", nn.Tanh())
    torch.testing.assert_close(graph(X), torch.tanh(X))


def test_comb_op_gets_inputs_by_source_index_and_only_where_there_are_several():
    calls: list[list[float]] = []

    def combine(inputs):
        calls.append([float(i) for i in inputs])
        return inputs[0] - inputs[-1]

    class Times(nn.Module):
        def __init__(self, k):
            super().__init__()
            self.k = k

        def forward(self, x):
            return self.k * x

    graph = Graph()
    graph.add_edge(1, 2, op=Times(2.0))
    graph.add_edge(1, 3, op=Times(3.0))
    for source in (3, 1, 2):  # inserted out of order
        graph.add_edge(source, 4, op=Times(10.0))
    for node in graph.nodes:
        graph.nodes[node]["comb_op"] = combine
    assert float(graph(torch.tensor(1.0))) == -20.0
    assert calls == [[10.0, 20.0, 30.0]]


def test_abstract_comb_op_also_gets_the_edge_data():
    class Weighted(AbstractCombOp):
        def forward(self, tensors, edges_data):
            return sum(t * e.weight for t, e in zip(tensors, edges_data, strict=True))

    graph = Graph()
    graph.add_edge(1, 2, weight=1.0)
    graph.add_edge(2, 3, weight=10.0)
    graph.add_edge(1, 3, weight=3.0)
    graph.nodes[3]["comb_op"] = Weighted()
    assert float(graph(torch.tensor(1.0))) == 13.0
    graph.edges[1, 3].set("weight", 4.0)
    assert float(graph(torch.tensor(1.0))) == 14.0


def test_any_module_and_primitives_with_edge_data():
    class Reads(AbstractPrimitive):
        def forward(self, x, edge_data=None):
            return x * edge_data.factor

    graph = Graph()
    graph.add_edge(1, 2, EdgeData({"op": Reads(), "factor": 3}))
    graph.add_edge(2, 3, op=nn.ReLU())
    torch.testing.assert_close(graph(X), torch.relu(3 * X))


def test_forward_may_be_called_twice_and_stores_nothing_on_the_graph():
    graph = two_sinks()
    graph.parse()
    nodes = graph.nodes

    def state():
        return {k: id(v) for k, v in vars(graph).items()}, dict(graph.graph), {n: dict(nodes[n]) for n in nodes}

    before = state()
    first, second = graph(X), graph(2 * X)
    (first.sum() + second.sum()).backward()
    assert state() == before


# auxiliary outputs


def test_auxiliary_outputs():
    graph = two_sinks()
    graph.parse()
    assert graph.auxiliary_logits() is None and "out_from_2" not in graph.graph
    with pytest.raises(KeyError):
        graph.graph["out_from_2"]
    out, auxiliary = graph.forward_with_auxiliary(X)
    torch.testing.assert_close(auxiliary[2], graph.edges[1, 2].op(X))
    assert set(auxiliary) == {2} and torch.equal(graph(X), out)
    assert torch.equal(graph.graph["out_from_2"], auxiliary[2]) and "out_from_2" in graph.graph
    assert graph.graph.get("out_from_2") is graph.auxiliary_logits() and graph.graph.get("out_from_9", 7) == 7
    with pytest.raises(KeyError):
        graph.graph["out_from_4"]


def test_several_sinks_come_as_a_list_ordered_by_node_and_nested_ones_by_path():
    inner = two_sinks()
    graph = Graph(name="g")
    for node in (4, 2, 3):
        graph.add_edge(1, node, op=nn.Linear(4, 4))
    graph.add_edge(1, 5, op=nn.Linear(4, 4))
    graph.nodes[5]["subgraph"] = inner
    _, auxiliary = graph.forward_with_auxiliary(X)
    assert set(auxiliary) == {2, 3, 4, (5, 2)}
    logits = graph.auxiliary_logits()
    assert [id(t) for t in logits] == [id(auxiliary[n]) for n in (2, 3, 4)]
    assert inner.graph["out_from_2"] is auxiliary[5, 2]


def test_auxiliary_outputs_are_thread_local():
    graph = two_sinks().eval()
    graph.parse()
    graph(X)
    mine = graph.auxiliary_logits()
    seen: dict[str, object] = {}

    def work():
        seen["before"] = graph.auxiliary_logits()
        graph(2 * X)
        seen["after"] = graph.graph["out_from_2"]

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen["before"] is None and not torch.equal(seen["after"], mine)
    assert graph.auxiliary_logits() is mine


@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, Graph.clone, Graph.copy, Graph.unparse, lambda g: pickle.loads(pickle.dumps(g))]
)
def test_auxiliary_outputs_are_never_copied(duplicate):
    graph = two_sinks()
    graph.parse()
    size = len(pickle.dumps(graph))
    graph(torch.randn(1000, 4))
    assert len(pickle.dumps(graph)) == size
    other = duplicate(graph)
    assert other.auxiliary_logits() is None and "out_from_2" not in other.graph
    assert copy.deepcopy(graph.graph) == {"name": "two_sinks"}


def test_auxiliary_outputs_vanish_with_their_sink():
    graph = two_sinks()
    graph.parse()
    graph(X)
    graph.remove_node(2)
    graph(X)
    assert graph.auxiliary_logits() is None and "out_from_2" not in graph.graph


# errors and explanations


@pytest.mark.parametrize("hooked", [False, True])
def test_an_exception_says_where(hooked: bool):
    cell = chain(nn.Identity(), _Log([], "", fail=True), name="normal_cell")
    graph = chain(nn.Identity(), nn.Identity(), name="makrograph")
    graph.nodes[2]["subgraph"] = cell
    if hooked:
        cell.register_forward_hook(lambda *_: None)
    with pytest.raises(RuntimeError, match="boom") as caught:
        graph(X)
    notes = caught.value.__notes__
    if hooked:
        assert notes == ["while executing normal_cell/edge(2,3)", "while executing makrograph/2:normal_cell"]
    else:
        assert notes == ["while executing makrograph/2:normal_cell/edge(2,3)"]


def test_an_exception_in_a_comb_op_says_where():
    graph = Graph(name="g")
    graph.add_edges_from([(1, 2), (1, 3), (2, 3)])
    graph.edges[1, 2].set("op", nn.Linear(4, 3))
    with pytest.raises(RuntimeError) as caught:
        graph(X)
    assert caught.value.__notes__ == ["while executing g/comb_op(3)"]


def test_explain_lists_every_step():
    graph = two_sinks()
    graph.nodes[3]["subgraph"] = chain(nn.ReLU(), name="cell")
    table = graph.plan.explain()
    lines = table.splitlines()
    assert lines[0].split() == ["step", "op", "in", "out", "frees", "where"]
    assert [line.split()[1] for line in lines[1:-2]] == ["Linear", "Linear", "ReLU", "Tanh"]
    assert "two_sinks/3:cell/edge(1,2)" in table and "2: slot" in lines[-2] and lines[-1].startswith("passes: ")


def test_nested_graphs_with_their_own_forward_are_called():
    class Doubling(Graph):
        def forward(self, x):
            return 2 * super().forward(x)

    inner = Doubling(name="inner")
    inner.add_edge(1, 2, op=nn.Tanh())
    graph = chain(inner)
    graph.parse()
    torch.testing.assert_close(graph(X), 2 * torch.tanh(X))


def test_forward_wants_a_mapping_for_several_inputs():
    graph = Graph(name="g")
    graph.add_edges_from([(1, 3), (2, 3)])
    with pytest.raises(GraphError, match="source_index"):
        graph(X)
    torch.testing.assert_close(graph({1: X, 2: X}), 2 * X)
