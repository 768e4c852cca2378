"""Update functions: how optimizers and spaces reach the edges and nodes of a graph and of the graphs nested in it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from naslib.errors import GraphError

from ._copies import CopiesMixin
from ._module_graph import label
from .edge import EdgeData

G = TypeVar("G", bound="UpdatesMixin")
Scope = str | Sequence[str] | None


class EdgeView(NamedTuple):
    """What an update function of edges receives: the source (`head`), the target (`tail`) and the EdgeData."""

    head: int
    tail: int
    data: EdgeData


class UpdatesMixin(CopiesMixin):
    """Selection of graphs, edges and nodes by scope, and functions applied to them."""

    def compile(self) -> None:
        """Instantiate op classes on the edges.

        An op class (or each class in a list of ops) is called with the edge's other entries as keyword arguments; of a
        list-valued entry each op of a list gets its own element. Entries that the signature does not take are left out.

        Raises:
            GraphError: If a required argument is missing; the message names the edge.
        """
        for graph in self.nested_graphs():
            for u, v in graph.edges:
                data = graph._succ[u][v]
                if data.is_final():
                    continue
                where = f"edge ({u}, {v}) of graph {label(graph)!r}"
                entries = data.to_dict()
                op = entries.pop("op")
                if isinstance(op, list):
                    if any(inspect.isclass(o) for o in op):
                        made = [_instantiate(o, _entries_of(entries, i, len(op)), where) for i, o in enumerate(op)]
                        data.set("op", made)
                elif inspect.isclass(op):
                    data.set("op", _instantiate(op, entries, where))

    def _graphs_in_scope(self: G, scope: Scope) -> list[G]:
        graphs = sorted(self.nested_graphs(), key=lambda graph: graph.name)
        if scope is None or scope == "all":
            return graphs
        scopes = [scope] if isinstance(scope, str) else list(scope)
        return [graph for graph in graphs if "all" in scopes or graph.scope in scopes]

    def _edges_in_scope(self, scope: Scope, private_edge_data: bool, final: bool = False) -> list[EdgeView]:
        """Return the edges, graphs by name and edges source-major; each shared edge once unless private.

        Final edges are among them only if `final`.
        """
        seen: set[int] = set()
        edges = []
        for graph in self._graphs_in_scope(scope):
            for u in sorted(graph._succ):
                for v in sorted(graph._succ[u]):
                    data = graph._succ[u][v]
                    if (data.is_final() and not final) or (not private_edge_data and id(data._shared) in seen):
                        continue
                    seen.add(id(data._shared))
                    edges.append(EdgeView(u, v, data))
        return edges

    def update_edges(
        self, update_func: Callable[..., Any], scope: Scope = "all", private_edge_data: bool = False
    ) -> None:
        """Call `update_func(edge=e)` for the non-final edges of this graph and its children, then remove flagged edges.

        Args:
            update_func: Receives `e.head` (the source), `e.tail` (the target) and `e.data`.
            scope: A scope or several; "all" for every graph.
            private_edge_data: True calls it for every copy of an edge, False once per shared edge in scope.
        """
        for edge in self._edges_in_scope(scope, private_edge_data):
            update_func(edge=edge)
        self._remove_flagged_edges()

    def update_nodes(
        self, update_func: Callable[..., Any], scope: Scope = "all", single_instances: bool = True
    ) -> None:
        """Call `update_func(node=, in_edges=, out_edges=)` for the nodes in scope, then remove flagged edges.

        Args:
            update_func: Receives `node=(index, attributes)`, `in_edges=[(source, EdgeData)]` and
                `out_edges=[(target, EdgeData)]`, without the final edges.
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
                update_func(
                    node=(node, graph._node[node]),
                    in_edges=[edge for edge in in_edges if not edge[1].is_final()],
                    out_edges=[edge for edge in out_edges if not edge[1].is_final()],
                )
        self._remove_flagged_edges()

    def _remove_flagged_edges(self) -> None:
        for graph in self.nested_graphs():
            flagged = [(u, v) for u, v, data in graph.edges(data=True) if data.is_deleted()]
            if flagged:
                graph.remove_edges_from(flagged)

    def get_all_edge_data(self, key: str, scope: Scope = "all", private_edge_data: bool = False) -> list[Any]:
        """Return the entry `key` of all edges that have it, final ones too: graphs by name, then source-major edges.

        Args:
            key: The entry.
            scope: A scope or several; "all" for every graph.
            private_edge_data: Whether to return it of every copy of an edge, or once per shared edge in scope.
        """
        edges = self._edges_in_scope(scope, private_edge_data, final=True)
        return [edge.data[key] for edge in edges if edge.data.has(key)]

    def set_at_edges(self, key: str, value: Any, shared: bool = False) -> None:
        """Write an entry on all non-final edges of this graph and its children."""
        self.update_edges(lambda edge: edge.data.set(key, value, shared=shared), private_edge_data=not shared)


def _entries_of(entries: Mapping[str, Any], index: int, n_ops: int) -> dict[str, Any]:
    return {k: v[index] if isinstance(v, list) and len(v) == n_ops else v for k, v in entries.items()}


def _instantiate(op: Any, entries: Mapping[str, Any], where: str) -> Any:
    """Return `op(**entries)` with the entries that its signature takes; instances are returned as they are."""
    if not inspect.isclass(op):
        return op
    parameters = inspect.signature(op).parameters
    takes_all = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    arguments = {k: v for k, v in entries.items() if takes_all or k in parameters}
    missing = [
        p.name
        for p in parameters.values()
        if p.default is p.empty and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL) and p.name not in arguments
    ]
    if missing:
        has = ", ".join(entries) or "no entries"
        raise GraphError(f"{where}: {op.__name__} needs {', '.join(missing)}; the edge has {has}")
    made = op(**arguments)
    if isinstance(made, UpdatesMixin):
        made.compile()
    return made
