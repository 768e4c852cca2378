"""The order in which the nodes of a graph are computed, and what enters it from its parent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import networkx as nx

from naslib.errors import GraphError

from ._module_graph import ModuleGraph, label


def input_nodes(graph: ModuleGraph) -> list[int]:
    """Return the nodes without incoming edges, in order."""
    return sorted(node for node, degree in graph.in_degree() if degree == 0)


def topological_order(graph: ModuleGraph) -> list[int]:
    """Return the nodes in lexicographic topological order.

    Raises:
        GraphError: If the graph is empty or has a cycle, which is named.
    """
    try:
        order = list(nx.lexicographical_topological_sort(graph))
    except nx.NetworkXUnfeasible as error:
        edges = nx.find_cycle(graph)
        cycle = " -> ".join(str(node) for node in (edges[0][0], *(edge[1] for edge in edges)))
        raise GraphError(f"graph {label(graph)!r} has a cycle ({cycle}); a search space is acyclic") from error
    if not order:
        raise GraphError(f"graph {label(graph)!r} has no nodes")
    return order


def route(graph: ModuleGraph, sources: dict[int, Any], where: str) -> dict[int, Any]:
    """Return what enters each input node of a nested graph, given what its parent sends.

    Args:
        graph: The nested graph.
        sources: Source index in the parent -> value.
        where: Place in words, for messages.

    Raises:
        GraphError: If inputs and input nodes do not fit.
    """
    nodes = input_nodes(graph)
    chosen: Sequence[int] | None = graph.input_node_idxs
    if chosen is None or len(sources) == 1 == len(nodes):
        if len(sources) != len(nodes):
            raise GraphError(
                f"{where}: {len(sources)} edge(s) enter from nodes {list(sources)}, but the subgraph has "
                f"{len(nodes)} input node(s) {nodes}; say with set_input([...]) which source feeds each of them"
            )
        return dict(zip(nodes, (sources[key] for key in sorted(sources)), strict=True))
    if len(chosen) != len(nodes):
        raise GraphError(f"{where}: set_input names {len(chosen)} sources, the subgraph's input nodes are {nodes}")
    missing = [index for index in chosen if index not in sources]
    if missing:
        raise GraphError(f"{where}: set_input names the sources {missing}, but edges enter only from {sorted(sources)}")
    return {node: sources[index] for node, index in zip(nodes, chosen, strict=True)}
