"""The decisions of a graph: where they are, and how they become single operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from naslib.search_spaces.core.edge import EdgeData
from naslib.search_spaces.core.elastic import values_in
from naslib.search_spaces.core.elastic.candidates import edge_of, put_values
from naslib.search_spaces.core.graph import EdgeView, Graph, Scope
from naslib.search_spaces.core.node_choices import NodeChoice, choices_at, put_combination
from naslib.search_spaces.core.primitives import MixedOp
from naslib.search_spaces.core.statement import mark_decided, searched_edges


def where_undecided(update: Callable[..., Any]) -> Callable[..., Any]:
    """Return `update` restricted to edges that carry a list of candidates."""

    def restricted(edge: EdgeView) -> None:
        if isinstance(edge.data.op, list):
            update(edge)

    return restricted


def mixed_edges(graph: Graph, scope: Scope) -> list[EdgeData]:
    """Return the data of all edges with a MixedOp, every copy of a cell included, in the order of the graph.

    What carries the combinations at a node or the values of a size, and is no edge of the graph, comes last.
    """
    edges = [edge.data for edge in graph._edges_in_scope(scope, private_edge_data=True)]
    return [data for data in [*edges, *beside_edges(graph, scope)] if isinstance(data.op, MixedOp)]


def beside_edges(graph: Graph, scope: Scope) -> list[EdgeData]:
    """Return what carries the decisions of a supernet that are on no edge: those at nodes, every copy, then sizes."""
    nodes = [choice.data for nested in graph._graphs_in_scope(scope) for choice in choices_at(nested)]
    return [*nodes, *(graph.value_edges or {}).values()]


def adapt_nodes(graph: Graph, scope: Scope, add_alphas: Callable[..., Any], update_ops: Callable[..., Any]) -> None:
    """Give every list of combinations at a node what the update functions make of candidates on an edge.

    Args:
        graph: The supernet to be.
        scope: Which graphs are searched.
        add_alphas: Gives the candidates of all copies of a node their parameter.
        update_ops: Makes the candidates of one copy a MixedOp.
    """
    for edges in searched_edges(graph, scope).values():
        nodes = [copy for copy in edges.copies if copy.head is None]
        for copy in nodes:
            copy.data._shared = nodes[0].data._shared
            view = EdgeView(0, copy.tail, copy.data)
            if copy is nodes[0]:
                add_alphas(edge=view)
            update_ops(edge=view)
            copy.graph._node[copy.tail]["comb_op"] = NodeChoice(copy.data)


def adapt_values(graph: Graph, *updates: Callable[..., Any]) -> None:
    """Give every value decision of a graph its candidates, as those of an edge, and what update functions make of them.

    Args:
        graph: The supernet to be.
        *updates: As for `Graph.update_edges`.
    """
    graph.value_edges = {value.label: edge_of(value) for value in values_in(graph)}
    for data in graph.value_edges.values():
        for update in updates:
            update(edge=EdgeView(0, 0, data))


def decisions_in(graph: Graph, scope: Scope) -> list[EdgeData]:
    """Return one edge per decision, in the order of `OneShotOptimizer.architectural_weights`."""
    by_alpha: dict[int, EdgeData] = {}
    for data in mixed_edges(graph, scope):
        if data.has("alpha"):
            by_alpha.setdefault(id(data.alpha), data)
    return list(by_alpha.values())


def name_decisions(graph: Graph, scope: Scope) -> list[str]:
    """Give every decision its name, and return the names in the order of `decisions_in`.

    They are the labels of the space's decisions: `normal_cell/3-5` for the edge from node 3 to node 5 of the graphs
    called `normal_cell` (see `core.statement.state`).
    """
    names = []
    for edges in searched_edges(graph, scope).values():
        if not edges.copies[0].data.has("alpha"):
            continue
        names.append(edges.name)
        for number, copy in enumerate(edges.copies):
            copy.data.op.decision, copy.data.op.copy = edges.name, number
    for label, data in (graph.value_edges or {}).items():
        names.append(label)
        data.op.decision = label
    for nested in graph.nested_graphs():
        nested.structure_changed()  # what was compiled knows the decisions by other names
    return names


def discretizing(graph: Graph, select: Callable[[Graph, EdgeData], int]) -> Callable[..., Any]:
    """Return the update function that leaves on each edge the operation that `select` chooses by `op_weights`."""

    def discretize(edge: EdgeView) -> None:
        op = edge.data.op
        if isinstance(op, MixedOp):
            index = select(graph, edge.data)
            edge.data.set("op_index", index, shared=True)
            mark_decided(edge.data, op.decision, op.copy)
            edge.data.set("op", op.discretized(index))

    return discretize


def discretize_nodes(graph: Graph, scope: Scope, select: Callable[[Graph, EdgeData], int]) -> None:
    """Leave at each node of a supernet the combination that `select` chooses by `op_weights`."""
    for nested in graph._graphs_in_scope(scope):
        for choice in list(choices_at(nested)):
            op, index = choice.data.op, select(graph, choice.data)
            chosen: Any = op.discretized(index)
            put_combination(nested, choice.node, chosen, op.decision)


def discretize_values(graph: Graph, select: Callable[[Graph, EdgeData], int]) -> None:
    """Replace the elastic layers of a supernet by plain ones of the sizes that `select` chooses by `op_weights`."""
    if not graph.value_edges:
        return
    chosen = {label: select(graph, data) for label, data in graph.value_edges.items()}
    graph.value_edges = None
    put_values(graph, chosen)
