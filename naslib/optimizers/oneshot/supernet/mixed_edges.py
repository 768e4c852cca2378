"""The decisions of a graph: where they are, and how they become single operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from naslib.search_spaces.core.edge import EdgeData
from naslib.search_spaces.core.graph import EdgeView, Graph, Scope
from naslib.search_spaces.core.primitives import MixedOp
from naslib.search_spaces.core.statement import mark_decided, searched_edges

from .relaxed_op import RelaxedMixedOp


def where_undecided(update: Callable[..., Any]) -> Callable[..., Any]:
    """Return `update` restricted to edges that carry a list of candidates."""

    def restricted(edge: EdgeView) -> None:
        if isinstance(edge.data.op, list):
            update(edge)

    return restricted


def mixed_edges(graph: Graph, scope: Scope) -> list[EdgeData]:
    """Return the data of all edges with a MixedOp, every copy of a cell included, in the order of the graph."""
    edges = graph._edges_in_scope(scope, private_edge_data=True)
    return [edge.data for edge in edges if isinstance(edge.data.op, MixedOp)]


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
            edge.data.set("op", op.discretized(index) if isinstance(op, RelaxedMixedOp) else op.primitives[index])

    return discretize
