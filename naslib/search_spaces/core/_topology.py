"""Topology: the nodes and edges of a Graph, as they are built."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from naslib.errors import GraphError

from ._module_graph import ModuleGraph, graphs_within, label
from ._order import input_nodes
from .edge import EdgeData

G = TypeVar("G", bound="Topology")


class Topology(ModuleGraph):
    """Nodes are ints from 1 on, edges carry EdgeData, and no graph contains itself."""

    def set_scope(self: G, scope: str | None, recursively: bool = True) -> G:
        """Label the graph, and the graphs nested in it if `recursively`; return self."""
        for graph in self.nested_graphs() if recursively else [self]:
            graph.scope = scope
        return self

    def set_input(self: G, node_idxs: Sequence[int]) -> G:
        """Say which source of the parent feeds each input node of this subgraph, in order; return self.

        Args:
            node_idxs: For every input node, the index of the parent's node its input comes from; duplicates allowed.

        Raises:
            GraphError: If there is not one index >= 1 for every input node.
        """
        indices = [int(index) for index in node_idxs]
        if len(indices) != self.num_input_nodes():
            raise GraphError(
                f"set_input got {len(indices)} indices {indices}, but graph {label(self)!r} has "
                f"{self.num_input_nodes()} input node(s) {input_nodes(self)}"
            )
        if any(index < 1 for index in indices):
            raise GraphError(f"set_input expects node indices >= 1, got {indices}")
        self.input_node_idxs = indices
        self.structure_changed()
        return self

    def add_node(self, node_for_adding: Hashable, **attr: Any) -> None:
        """Add a node, or update its attributes (`subgraph`, `comb_op` ...); an unknown node gets `comb_op=sum`.

        Raises:
            GraphError: If the node is not an int >= 1, or the subgraph is or contains this graph.
        """
        self._refuse_itself(attr.get("subgraph"))
        self._check_node(node_for_adding)
        if node_for_adding not in self._node:
            attr = {"comb_op": sum, **attr}
        super().add_node(node_for_adding, **attr)
        self.structure_changed()

    def add_nodes_from(self, nodes_for_adding: Iterable[Any], **attr: Any) -> None:
        """Add several nodes, given as ints or `(node, attributes)` pairs."""
        for entry in nodes_for_adding:
            node, own = entry if isinstance(entry, tuple) else (entry, {})
            self.add_node(node, **{**attr, **own})

    def add_edge(self, u_of_edge: Hashable, v_of_edge: Hashable, *data: EdgeData, **attr: Any) -> None:
        """Add an edge, with the entries of an EdgeData and private entries given as keywords."""
        self.add_edges_from([(u_of_edge, v_of_edge, *data)], **attr)

    def add_edges_from(self, ebunch_to_add: Iterable[Any], **attr: Any) -> None:
        """Add several edges `(u, v)` or `(u, v, data)` with `data` a mapping or an EdgeData.

        Raises:
            GraphError: If an op is or contains this graph.
        """
        edges = list(ebunch_to_add)
        for entries in (attr, *(data[0] for _, _, *data in edges if data)):
            self._refuse_itself(entries.get("op") if isinstance(entries, Mapping | EdgeData) else None)
        for edge in edges:
            for node in edge[:2]:
                if node not in self._node:
                    self.add_node(node)
        super().add_edges_from(edges, **attr)
        for u, v, *data in edges if attr else ():
            if data and isinstance(data[0], EdgeData):  # which has replaced all entries
                self._succ[u][v].update(attr)
        self.structure_changed()

    def _refuse_itself(self, op: Any) -> None:
        for inner in graphs_within(op):
            if inner is self or any(graph is self for graph in inner.nested_graphs()):
                raise GraphError(
                    f"graph {label(self)!r} cannot contain itself (through {label(inner)!r}); nest a "
                    "copy() or clone() of it"
                )

    @staticmethod
    def _check_node(node: Hashable) -> None:
        if not isinstance(node, int) or isinstance(node, bool) or node < 1:
            raise GraphError(f"nodes of a Graph are ints >= 1, not {node!r}")

    def get_dense_edges(self) -> list[tuple[int, int]]:
        """Return every edge (i, j) with i < j among the nodes, source-major."""
        nodes = sorted(self.nodes)
        return [(i, j) for i in nodes for j in nodes if i < j]

    def add_edges_densly(self) -> None:
        """Connect every pair of nodes i < j."""
        self.add_edges_from(self.get_dense_edges())

    def num_input_nodes(self) -> int:
        """Return the number of nodes without incoming edges."""
        return len(input_nodes(self))
