"""The ways of copying a Graph: `copy` shares what copies of an edge share, `clone` nothing, `unparse` everything."""

from __future__ import annotations

import copy
from collections import OrderedDict
from typing import Any, TypeVar

from naslib.errors import GraphError

from ._attributes import GraphAttributes
from ._collector import paused_garbage_collection
from ._module_graph import OWN_STATE, TRANSIENT, label
from ._topology import Topology
from .edge import EdgeData

G = TypeVar("G", bound="CopiesMixin")

_IMMUTABLE = (int, float, str, bool, type(None), tuple)
_EXACTLY_IMMUTABLE = frozenset(_IMMUTABLE)  # of the type itself: looked up at a third of the cost
_CONTAINERS = frozenset((dict, OrderedDict, set, list))


def _clone_value(value: Any, memo: dict[int, Any]) -> Any:
    """Deep-copy a value, past the machinery for containers of immutable values."""
    if type(value) in (list, set) and all(isinstance(item, _IMMUTABLE) for item in value):
        return type(value)(value)
    return copy.deepcopy(value, memo)


class CopiesMixin(Topology):
    """Copies, clones and pickles of a graph."""

    def copy(self: G, as_view: bool = False) -> G:
        """Return a copy: private edge data deep, shared edge data by reference, nested graphs copied likewise.

        Raises:
            GraphError: If a graph contains itself.
        """
        if as_view:
            return super().copy(as_view=True)
        self.check_nesting()
        new = self._blank_with_attributes()
        memo: dict[int, Any] = {}
        for kind in OWN_STATE:
            getattr(new, kind).update(copy.deepcopy(dict(getattr(new, kind)), memo))
        for node, attributes in self._node.items():
            copied = {k: v.copy() if isinstance(v, CopiesMixin) else copy.deepcopy(v) for k, v in attributes.items()}
            new.add_node(node, **copied)
        new.add_edges_from((u, v) for u, v in self.edges)
        for u, v in self.edges:
            new._set_edge_data(u, v, self._succ[u][v].copy())
        return new

    copy_sharing_edges = copy

    def decide_like(self: G, other: CopiesMixin) -> G:
        """Share the decisions of another graph with the same nodes and edges, as a copy of it would; return self.

        Operations, weights and sizes stay its own: what is shared is the shared data of the edges, and that of the
        graphs nested at nodes.

        Raises:
            GraphError: If the graphs have not the same edges, with as many candidates on each.
        """
        if set(self.edges) != set(other.edges) or set(self._node) != set(other._node):
            raise GraphError(
                f"graph {label(self)!r} cannot decide like {label(other)!r}: they have not the same nodes and edges"
            )
        for u, v in self.edges:
            own, theirs = (len(op) if isinstance(op, list) else 1 for op in (self[u][v].op, other[u][v].op))
            if own != theirs:
                raise GraphError(
                    f"graph {label(self)!r} cannot decide like {label(other)!r}: edge {(u, v)} has {own} candidate(s) "
                    f"here and {theirs} there"
                )
        for u, v in self.edges:
            self._succ[u][v].share_with(other._succ[u][v])
        for node, attributes in self._node.items():
            nested, model = attributes.get("subgraph"), other._node[node].get("subgraph")
            if isinstance(nested, CopiesMixin) and isinstance(model, CopiesMixin):
                nested.decide_like(model)
        return self

    def clone(self: G) -> G:
        """Return an independent deep copy; what was shared inside is shared inside the copy."""
        if not self._node:
            return self._clone_without_nodes()
        with paused_garbage_collection():
            return copy.deepcopy(self)

    def _clone_without_nodes(self: G) -> G:
        """Return a clone of a graph that is an architecture's code and little else, without copying's machinery."""
        new = type(self).__new__(type(self))
        memo: dict[int, Any] = {id(self): new}
        state = new.__dict__
        for key, value in self.__dict__.items():
            kind = type(value)
            if kind in _EXACTLY_IMMUTABLE:
                if key not in TRANSIENT:
                    state[key] = value
            elif not value and kind in _CONTAINERS:
                if key not in TRANSIENT:
                    state[key] = kind()
            elif key not in TRANSIENT and key != "graph":
                state[key] = _clone_value(value, memo)
        state["_pred"], state["_succ"] = {}, {}
        state["_adj"] = state["_succ"]
        state["graph"] = GraphAttributes(dict(self.graph), owner=new)
        state["__networkx_cache__"] = {}
        return new

    def unparse(self: G) -> G:
        """Return a new unparsed graph that shares the EdgeData and node objects; this one stays usable.

        Raises:
            GraphError: If a graph contains itself.
        """
        self.check_nesting()
        new = self._blank_with_attributes()
        for node, attributes in self._node.items():
            shared = {k: v.unparse() if isinstance(v, CopiesMixin) else v for k, v in attributes.items()}
            new.add_node(node, **shared)
        new.add_edges_from((u, v) for u, v in self.edges)
        for u, v in self.edges:
            new._set_edge_data(u, v, self._succ[u][v])
        return new

    def _set_edge_data(self, u: int, v: int, data: EdgeData) -> None:
        self._succ[u][v] = self._pred[v][u] = data

    def __getstate__(self) -> dict[str, Any]:
        graph = self.unparse() if "_graph" in vars(self) else self  # of a view, what it shows
        state = {key: value for key, value in vars(graph).items() if key not in TRANSIENT}
        registered = graph._registered or {}  # is found on nodes and edges, and registered again
        state["_modules"] = {key: value for key, value in graph._modules.items() if key not in registered}
        return state | {"__networkx_cache__": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.graph = GraphAttributes(dict(self.graph), owner=self)
        if self.is_parsed:
            self._register_modules()
