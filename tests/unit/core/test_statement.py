"""What graphs state: labels, copies, pruning rules, candidates inside candidates."""

from __future__ import annotations

import logging

import pytest
from small_spaces import mlp_space
from torch import nn

from naslib.errors import UnsupportedBySpaceError
from naslib.optimizers import DARTSOptimizer
from naslib.search_spaces import NasBench201SearchSpace, NasBench301SearchSpace, SimpleCellSearchSpace
from naslib.search_spaces.core._selection import keep_strongest_edges
from naslib.search_spaces.core.graph import EdgeData, Graph
from naslib.search_spaces.core.statement import state


def cell(name: str | None = "cell", ops: int = 2) -> Graph:
    """Return three nodes, all edges with candidates."""
    graph = Graph(name=name, scope="cell")
    graph.add_nodes_from([1, 2, 3])
    graph.add_edges_densly()
    for _, _, data in graph.edges(data=True):
        data.set("op", [nn.Identity(), nn.Tanh(), nn.ReLU()][:ops])
    return graph


def test_copies_of_a_cell_share_their_decisions() -> None:
    space = mlp_space().decision_space
    assert space.names == ("cell/1-2", "cell/1-3", "cell/2-3")
    assert [(site.head, site.tail) for site in space.decisions[1].sites] == [(1, 3), (1, 3)]
    graph = mlp_space()
    for decision in graph.decision_space.decisions:
        for site in decision.sites:
            assert isinstance(graph.nested_graphs()[site.number].edges[site.head, site.tail].op, list)


def test_equal_candidates_and_cells_of_one_name_are_told_apart() -> None:
    macro = Graph(name="macro")
    macro.add_nodes_from([1, 2, 3])
    macro.add_edge(1, 2, EdgeData({"op": cell()}))
    macro.add_edge(2, 3, EdgeData({"op": cell()}))
    assert macro.decision_space.names == tuple(f"{c}/{e}" for c in ("cell", "cell#2") for e in ("1-2", "1-3", "2-3"))
    assert mlp_space().decision_space.decisions[0].candidates == ("Sequential", "Sequential (2)", "Identity")
    assert cell(None).decision_space.names[0] == "graph/1-2"


def test_op_classes_are_instantiated_in_a_copy() -> None:
    graph = Graph(name="g")
    graph.add_nodes_from([1, 2])
    graph.add_edge(1, 2, EdgeData({"op": [nn.Tanh, nn.ReLU]}))
    assert graph.decision_space.decisions[0].candidates == ("Tanh", "ReLU") and graph.edges[1, 2].op[0] is nn.Tanh


def test_decisions_inside_a_candidate_depend_on_it() -> None:
    inner, outer = cell("inner"), cell("outer")
    outer.edges[1, 2].set("op", [nn.Tanh(), nn.Sequential(nn.Tanh(), inner), inner])
    space = outer.decision_space
    assert [d.condition for d in space.decisions] == [("outer/1-2", (1, 2))] * 3 + [None] * 3
    assert space.size() == (1 + 2 * 8) * 4
    outer.edges[1, 3].set("op", [nn.Identity(), inner])  # part of two decisions: always made
    assert all(d.condition is None for d in outer.decision_space.decisions)


def test_a_graph_that_is_always_there_depends_on_nothing() -> None:
    inner, outer = cell("inner"), cell("outer")
    outer.edges[1, 2].set("op", [nn.Tanh(), inner])
    outer.add_node(3, subgraph=inner)
    assert all(d.condition is None for d in outer.decision_space.decisions)


@pytest.mark.parametrize("space", [NasBench201SearchSpace, NasBench301SearchSpace, SimpleCellSearchSpace])
def test_a_supernet_states_what_its_space_does(space: type[Graph]) -> None:
    graph = space(channels=4)
    optimizer = DARTSOptimizer()
    optimizer.adapt_search_space(graph)
    assert optimizer.graph.present_decisions() == graph.decision_space
    ops = [decision for decision in graph.decision_space.decisions if decision.kind == "op"]
    assert len(ops) == len(optimizer.architectural_weights)
    for decision, data in zip(ops, optimizer.decisions, strict=True):  # in one order
        site = decision.sites[0]
        at = optimizer.graph.nested_graphs()[site.number].edges[site.head, site.tail]
        assert at.alpha is data.alpha and len(site.positions) == len(decision.candidates)


@pytest.mark.parametrize(
    ("space", "size", "inputs"),
    [
        (lambda: NasBench201SearchSpace(channels=4), 5**6, {}),
        (lambda: NasBench301SearchSpace(channels=4), (1 * 3 * 6 * 10 * 7**8) ** 2, {4: 3, 5: 4, 6: 5}),
        (lambda: NasBench301SearchSpace(channels=4, nodes=2), (1 * 3 * 7**4) ** 2, {4: 3}),
        (lambda: SimpleCellSearchSpace(channels=4), (1 * 3 * 4**4) ** 2, {4: 3}),
    ],
)
def test_the_spaces_have_the_size_that_their_rules_give_them(space, size: int, inputs: dict) -> None:
    stated = space().decision_space
    assert stated.size() == size
    chosen = [d for d in stated.decisions if d.kind == "inputs"]
    assert {d.sites[0].tail: len(d.candidates) for d in chosen} == inputs and all(d.n_chosen == 2 for d in chosen)
    assert all(name not in ("Zero", "none") for d in stated.decisions for name in d.candidates) or not inputs


class Pruning(Graph):
    """A cell of four nodes, of which the last keeps the two strongest of its three inputs."""

    def __init__(self) -> None:
        super().__init__(name="pruning")
        self.add_nodes_from([1, 2, 3, 4])
        self.add_edges_densly()
        self.update_edges(lambda edge: edge.data.set("op", [nn.Tanh(), nn.ReLU()]))

    def prepare_discretization(self) -> None:
        self.update_nodes(keep_strongest_edges)


class Inheriting(Pruning):
    def prepare_discretization(self) -> None:
        super().prepare_discretization()


class Weakest(Pruning):
    """Another rule, not stated."""

    def prepare_discretization(self) -> None:
        self.remove_edge(1, 4)


class Stating(Weakest):
    """A rule of its own, stated."""

    def prepare_discretization(self) -> None:
        self.remove_edge(1, 4)

    def state_decisions(self, scope=None):
        return state(self, scope, kept_edges=1)


class Stale(Stating):
    def prepare_discretization(self) -> None:
        self.remove_edge(2, 4)


@pytest.mark.parametrize("space", [Pruning, Inheriting])
def test_our_rule_is_stated_wherever_it_is_used(space: type[Graph], caplog: pytest.LogCaptureFixture) -> None:
    assert space().decision_space.size() == 2**3 * 3 * 2**2 and not caplog.records


@pytest.mark.parametrize("space", [Weakest, Stale])
def test_a_rule_that_is_not_stated_is_said_once(space: type[Graph], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="naslib"):
        for _ in range(2):
            assert space().decision_space.size() == 2**6
    assert [record.message.split()[0] for record in caplog.records] == [space.__name__]


def test_a_rule_of_ones_own_is_stated_by_the_class_that_has_it() -> None:
    space = Stating().decision_space
    inputs = {d.name: d.candidates for d in space.decisions if d.kind == "inputs"}
    assert inputs == {"pruning/3": (1, 2), "pruning/4": (1, 2, 3)} and space.size() == 2 * (2 * 2) * (3 * 2)


def test_a_candidate_that_is_never_selected_is_no_choice_nor_is_what_is_in_it() -> None:
    class First(Graph):
        def select_primitive(self, edge_data: EdgeData) -> int:
            return min(1, int(edge_data.op_weights.argmax()))

    graph = First(name="first")
    graph.add_nodes_from([1, 2])
    graph.add_edge(1, 2, EdgeData({"op": [nn.Tanh(), nn.ReLU(), cell()]}))
    assert [d.candidates for d in graph.decision_space.decisions] == [("Tanh", "ReLU")]
    assert graph.decision_space.decisions[0].sites[0].positions == (0, 1)


def test_without_candidates_there_is_nothing_to_decide() -> None:
    graph = Graph(name="plain")
    graph.add_nodes_from([1, 2])
    graph.add_edge(1, 2, EdgeData({"op": nn.Tanh()}))
    with pytest.raises(UnsupportedBySpaceError, match="nothing to decide"):
        graph.decision_space  # noqa: B018
