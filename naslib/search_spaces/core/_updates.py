"""Update functions: how optimizers and spaces reach the edges and nodes of a graph and of the graphs nested in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from ._topology import Topology
from .edge import EdgeData
from .primitives import AbstractPrimitive

if TYPE_CHECKING:
    from .graph import Graph

Scope = str | Sequence[str] | None


class EdgeView(NamedTuple):
    """What an update function of edges receives: the source (`head`), the target (`tail`) and the EdgeData."""

    head: int
    tail: int
    data: EdgeData


class UpdatesMixin(Topology):
    """Selection of graphs, edges and nodes by scope, and functions applied to them."""

    def nested_graphs(self) -> list[Graph]:
        """Return this graph and all graphs nested in its nodes, edges and candidate ops, each once, parents first."""
        found: dict[int, Graph] = {}
        stack: list[Graph] = [cast("Graph", self)]
        while stack:
            graph = stack.pop()
            if id(graph) in found:
                continue
            found[id(graph)] = graph
            stack.extend(reversed(list(graph._children())))
        return list(found.values())

    def _children(self) -> Iterator[Graph]:
        for node in sorted(self._node):
            if isinstance(self._node[node].get("subgraph"), Topology):
                yield self._node[node]["subgraph"]
            for target in sorted(self._succ[node]):
                op = self._succ[node][target].op
                if isinstance(op, AbstractPrimitive):
                    op = op.get_embedded_ops() or []
                yield from (o for o in (op if isinstance(op, list) else [op]) if isinstance(o, Topology))

    def _graphs_in_scope(self, scope: Scope) -> list[Graph]:
        graphs = sorted(self.nested_graphs(), key=lambda graph: graph.name)
        if scope is None or scope == "all":
            return graphs
        scopes = [scope] if isinstance(scope, str) else list(scope)
        return [graph for graph in graphs if "all" in scopes or graph.scope in scopes]

    def _edges_in_scope(self, scope: Scope, private_edge_data: bool) -> list[EdgeView]:
        """Return the non-final edges, graphs by name and edges source-major; each shared edge once unless private."""
        seen: set[int] = set()
        edges = []
        for graph in self._graphs_in_scope(scope):
            for u in sorted(graph._succ):
                for v in sorted(graph._succ[u]):
                    data = graph._succ[u][v]
                    if data.is_final() or (not private_edge_data and id(data._shared) in seen):
                        continue
                    seen.add(id(data._shared))
                    edges.append(EdgeView(u, v, data))
        return edges

    def update_edges(self, update_func: Callable[..., Any], scope: Scope = "all", private_edge_data: bool = False) -> None:
        """Call `update_func(edge=e)` for the non-final edges of this graph and its children, then remove flagged edges.

        Args:
            update_func: Receives `e.head` (the source), `e.tail` (the target) and `e.data`.
            scope: A scope or several; "all" for every graph.
            private_edge_data: True calls it for every copy of an edge, False once per shared edge in scope.
        """
        for edge in self._edges_in_scope(scope, private_edge_data):
            update_func(edge=edge)
        self._remove_flagged_edges()

    def update_nodes(self, update_func: Callable[..., Any], scope: Scope = "all", single_instances: bool = True) -> None:
        """Call `update_func(node=, in_edges=, out_edges=)` for the nodes in scope, then remove flagged edges.

        Args:
            update_func: Receives `node=(index, attributes)`, `in_edges=[(source, EdgeData)]` and
                `out_edges=[(target, EdgeData)]`.
            scope: A scope or several; "all" for every graph.
            single_instances: Whether of several copies of a graph (same shared edge data) only the first is visited.
        """
        seen: set[frozenset[int]] = set()
        for graph in self._graphs_in_scope(scope):
            identity = frozenset(id(data._shared) for _, _, data in graph.edges(data=True))
            if single_instances and identity and identity in seen:
                continue
            seen.add(identity)
            for node in sorted(graph._node):
                in_edges = [(u, graph._succ[u][node]) for u in sorted(graph._pred[node])]
                out_edges = [(v, graph._succ[node][v]) for v in sorted(graph._succ[node])]
                update_func(node=(node, graph._node[node]), in_edges=in_edges, out_edges=out_edges)
        self._remove_flagged_edges()

    def _remove_flagged_edges(self) -> None:
        for graph in self.nested_graphs():
            graph.remove_edges_from([(u, v) for u, v, data in graph.edges(data=True) if data.is_deleted()])

    def get_all_edge_data(self, key: str, scope: Scope = "all", private_edge_data: bool = False) -> list[Any]:
        """Return the entry `key` of all non-final edges that have it: graphs by name, then source-major edges."""
        return [edge.data[key] for edge in self._edges_in_scope(scope, private_edge_data) if edge.data.has(key)]

    def set_at_edges(self, key: str, value: Any, shared: bool = False) -> None:
        """Write an entry on all non-final edges of this graph and its children."""
        self.update_edges(lambda edge: edge.data.set(key, value, shared=shared), private_edge_data=not shared)
