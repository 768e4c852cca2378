"""Update functions: how optimizers and spaces reach the edges and nodes of a graph and of the graphs nested in it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from torch import nn

from naslib.errors import GraphError

from ._compile import label
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

    def add_node(self, node_for_adding: Hashable, **attr: Any) -> None:
        """Add a node, or update its attributes (`subgraph`, `comb_op` ...); an unknown node gets `comb_op=sum`.

        Raises:
            GraphError: If the node is not an int >= 1, or the subgraph is or contains this graph.
        """
        self._refuse_itself(attr.get("subgraph"))
        super().add_node(node_for_adding, **attr)

    def add_edges_from(self, ebunch_to_add: Iterable[Any], **attr: Any) -> None:
        """Add several edges `(u, v)` or `(u, v, data)` with `data` a mapping or an EdgeData.

        Raises:
            GraphError: If an op is or contains this graph.
        """
        edges = list(ebunch_to_add)
        for entries in (attr, *(data[0] for _, _, *data in edges if data)):
            self._refuse_itself(entries.get("op") if isinstance(entries, Mapping | EdgeData) else None)
        super().add_edges_from(edges, **attr)

    def _refuse_itself(self, op: Any) -> None:
        for inner in _graphs_within(op):
            if inner is self or any(graph is self for graph in inner.nested_graphs()):
                raise GraphError(
                    f"graph {label(cast('Graph', self))!r} cannot contain itself (through {label(inner)!r}); nest a "
                    "copy() or clone() of it"
                )

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

    def check_nesting(self) -> None:
        """Raise `GraphError` if a graph is nested in itself; the message names the way from the graph to itself."""
        _descend(cast("Graph", self), [], set())

    def _children(self) -> Iterator[Graph]:
        for node in sorted(self._node):
            if isinstance(self._node[node].get("subgraph"), Topology):
                yield self._node[node]["subgraph"]
            for target in sorted(self._succ[node]):
                yield from _graphs_within(self._succ[node][target].op)

    def _modules_in_use(self) -> Iterator[nn.Module]:
        """Yield the modules among the ops, candidates included, and the comb_ops of this graph."""
        for attributes in self._node.values():
            if isinstance(attributes.get("comb_op"), nn.Module):
                yield attributes["comb_op"]
        for _, _, data in self.edges(data=True):
            yield from (op for op in (data.op if isinstance(data.op, list) else [data.op]) if isinstance(op, nn.Module))

    def _graphs_in_scope(self, scope: Scope) -> list[Graph]:
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


def _descend(graph: Graph, ancestors: list[Graph], finished: set[int]) -> None:
    """Visit the graphs nested in `graph`, each once; raise `GraphError` for one that is among its own ancestors."""
    if any(graph is ancestor for ancestor in ancestors):
        start = next(i for i, ancestor in enumerate(ancestors) if graph is ancestor)
        way = " -> ".join(repr(label(inner)) for inner in [*ancestors[start:], graph])
        raise GraphError(
            f"graph {label(graph)!r} contains itself ({way}); nest a copy of it, made by copy() or clone()"
        )
    if id(graph) not in finished:
        for child in graph._children():
            _descend(child, [*ancestors, graph], finished)
        finished.add(id(graph))


def _graphs_within(op: Any) -> list[Graph]:
    """Return the outermost graphs in an op: itself, or those inside a list, a primitive or any other module."""
    if isinstance(op, Topology):
        return [cast("Graph", op)]
    if isinstance(op, list):
        return [graph for inner in op for graph in _graphs_within(inner)]
    if not isinstance(op, nn.Module):
        return []
    embedded = op.get_embedded_ops() if isinstance(op, AbstractPrimitive) else None
    inner_ops = embedded if embedded is not None else op._modules.values()
    return [graph for inner in inner_ops for graph in _graphs_within(inner)]
