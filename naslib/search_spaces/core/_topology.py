"""Topology: nodes, edges and names of a Graph, and the ways of copying it."""

from __future__ import annotations

import copy
import functools
import sys
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import networkx as nx
from torch import nn

from naslib.errors import GraphError

from ._attributes import GraphAttributes, NodeAttributes, forget_auxiliary
from ._collector import paused_garbage_collection
from ._compile import input_nodes, label
from .edge import EdgeData
from .shared_work import Passes

if TYPE_CHECKING:
    from .graph import Graph
    from .plan import Plan

G = TypeVar("G", bound="Topology")

# What networkx caches on an instance; each entry refers back to the graph.
_CACHED_VIEWS = frozenset(
    name
    for base in nx.DiGraph.__mro__
    for name, value in vars(base).items()
    if isinstance(value, functools.cached_property)
)
# What networkx puts on a view: the graph behind it, its filters, and methods that refuse to change it.
_OF_A_VIEW = (vars(nx.freeze(nx.DiGraph())).keys() - vars(nx.DiGraph()).keys()) | {"_graph", "_NODE_OK", "_EDGE_OK"}
_TRANSIENT = _CACHED_VIEWS | {"_plan", "_plan_users", "_registered"}


class _GraphType(type):
    """Give networkx blank instances.

    networkx derives graphs by `G.__class__()`, which would run the constructor of a search space a second time, or fail
    where it has required arguments; a call without arguments from inside networkx gets an empty instance instead, with
    the attributes of the graph that networkx derives from (which it calls `G`, or `self` in methods).
    """

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if not args and not kwargs:
            caller = sys._getframe(1)
            if caller.f_globals.get("__name__", "").startswith("networkx."):
                origin = caller.f_locals.get("G", caller.f_locals.get("self"))
                known = isinstance(origin, Topology) and type(origin) is cls
                return origin._blank_with_attributes() if known else cls._blank()  # type: ignore
        return super().__call__(*args, **kwargs)


_IMMUTABLE = (int, float, str, bool, type(None), tuple)
_EXACTLY_IMMUTABLE = frozenset(_IMMUTABLE)  # of the type itself: looked up at a third of the cost
_CONTAINERS = frozenset((dict, OrderedDict, set, list))


def _clone_value(value: Any, memo: dict[int, Any]) -> Any:
    """Deep-copy a value, past the machinery for containers of immutable values."""
    if type(value) in (list, set) and all(isinstance(item, _IMMUTABLE) for item in value):
        return type(value)(value)
    return copy.deepcopy(value, memo)


# Where torch keeps what is registered on a module.
_OWN_STATE = ("_parameters", "_buffers", "_modules")


class Topology(nn.Module, nx.DiGraph, metaclass=_GraphType):
    """The networkx side of a Graph."""

    edge_attr_dict_factory = EdgeData
    node_attr_dict_factory = NodeAttributes
    graph_attr_dict_factory = GraphAttributes

    # networkx is untyped; undeclared, these names would have the type of torch's `__getattr__`
    nodes: Any
    edges: Any
    graph: Any
    in_degree: Any
    successors: Any
    predecessors: Any
    number_of_nodes: Any
    number_of_edges: Any
    get_edge_data: Any
    remove_edges_from: Any
    remove_edge: Any
    _node: Any
    _succ: Any
    _pred: Any

    scope: str | None = None
    input_node_idxs: list[int] | None = None
    is_parsed = False
    passes: Passes = Passes()
    _plan: Plan | None = None
    _plan_users: weakref.WeakSet[Graph] | None = None
    _registered: dict[str, EdgeData | None] | None = None

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Make an instance, past networkx's back-end dispatch, which would claim some keyword arguments."""
        return object.__new__(cls)

    def __init__(self, name: str | None = None, scope: str | None = None) -> None:
        self._make_blank()
        if name is not None:
            self.name = name
        self.scope = scope

    def _make_blank(self) -> None:
        nn.Module.__init__(self)
        nx.DiGraph.__init__(self)
        self.graph = GraphAttributes(owner=self)

    @classmethod
    def _blank(cls: type[G]) -> G:
        instance = cls.__new__(cls)
        instance._make_blank()
        return instance

    def _blank_with_attributes(self: G) -> G:
        """Return an empty instance that shares what the constructor and the user stored on this one."""
        new = self._blank()
        own = set(vars(new)) | _TRANSIENT | _OF_A_VIEW | {"is_parsed"}
        for key, value in vars(self).items():
            if key not in own:
                new.__dict__[key] = value
        new.graph.update(self.graph)
        new.training = self.training
        registered = self._registered or {}
        for kind in _OWN_STATE:
            getattr(new, kind).update({k: v for k, v in getattr(self, kind).items() if k not in registered})
        return new

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "_graph":  # networkx's reference of a view to what it shows, which is no submodule
            object.__setattr__(self, name, value)
            return
        super().__setattr__(name, value)
        if name == "passes":
            self.structure_changed()

    if TYPE_CHECKING:  # defined in the classes that follow

        def nested_graphs(self) -> list[Graph]: ...

        def check_nesting(self) -> None: ...

        def _register_modules(self) -> None: ...

    # identity and names

    @property
    def name(self) -> str:
        """The name, "" where none was given."""
        return self.graph.get("name", "")

    @name.setter
    def name(self, value: str) -> None:
        if "." in str(value):
            raise GraphError(
                f"graph name {value!r} contains a dot, which separates the names of torch submodules; use '_'"
            )
        self.graph["name"] = value
        self.structure_changed()

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return (
            f"Graph {label(self)}-{id(self) % 10**4:04d}, scope {self.scope}, "
            f"{self.number_of_nodes()} nodes, {self.number_of_edges()} edges"
        )

    __str__ = __repr__

    def edge_name(self, u: int, v: int) -> str:
        """Return the name under which the op of edge (u, v) is registered."""
        return f"{self.name}-edge({u},{v})"

    def subgraph_name(self, node: int) -> str:
        """Return the name under which the subgraph at `node` is registered."""
        return f"{self.name}-subgraph_at({node})"

    def comb_op_name(self, node: int) -> str:
        """Return the name under which the comb_op at `node` is registered."""
        return f"{self.name}-comb_op_at({node})"

    # building

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
            GraphError: If the node is not an int >= 1.
        """
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
        """Add several edges `(u, v)` or `(u, v, data)` with `data` a mapping or an EdgeData."""
        edges = list(ebunch_to_add)
        for edge in edges:
            for node in edge[:2]:
                if node not in self._node:
                    self.add_node(node)
        super().add_edges_from(edges, **attr)
        for u, v, *data in edges if attr else ():
            if data and isinstance(data[0], EdgeData):  # which has replaced all entries
                self._succ[u][v].update(attr)
        self.structure_changed()

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

    # copies

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
        for kind in _OWN_STATE:
            getattr(new, kind).update(copy.deepcopy(dict(getattr(new, kind)), memo))
        for node, attributes in self._node.items():
            copied = {k: v.copy() if isinstance(v, Topology) else copy.deepcopy(v) for k, v in attributes.items()}
            new.add_node(node, **copied)
        new.add_edges_from((u, v) for u, v in self.edges)
        for u, v in self.edges:
            new._set_edge_data(u, v, self._succ[u][v].copy())
        return new

    copy_sharing_edges = copy

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
                if key not in _TRANSIENT:
                    state[key] = value
            elif not value and kind in _CONTAINERS:
                if key not in _TRANSIENT:
                    state[key] = kind()
            elif key not in _TRANSIENT and key != "graph":
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
            shared = {k: v.unparse() if isinstance(v, Topology) else v for k, v in attributes.items()}
            new.add_node(node, **shared)
        new.add_edges_from((u, v) for u, v in self.edges)
        for u, v in self.edges:
            new._set_edge_data(u, v, self._succ[u][v])
        return new

    def _set_edge_data(self, u: int, v: int, data: EdgeData) -> None:
        self._succ[u][v] = self._pred[v][u] = data

    def __getstate__(self) -> dict[str, Any]:
        graph = self.unparse() if "_graph" in vars(self) else self  # of a view, what it shows
        state = {key: value for key, value in vars(graph).items() if key not in _TRANSIENT}
        registered = graph._registered or {}  # is found on nodes and edges, and registered again
        state["_modules"] = {key: value for key, value in graph._modules.items() if key not in registered}
        return state | {"__networkx_cache__": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.graph = GraphAttributes(dict(self.graph), owner=self)
        if self.is_parsed:
            self._register_modules()

    def structure_changed(self) -> None:
        """Drop the plans that were compiled from this graph, and register anew; the next forward compiles."""
        users = self._plan_users
        if users:
            for user in list(users):
                user._plan = None
        self._plan = None
        forget_auxiliary(self)
        if self.is_parsed:
            self._register_modules()


def _dropping_plan(name: str) -> Callable[..., Any]:
    method = getattr(nx.DiGraph, name)

    @functools.wraps(method)
    def change(self: Topology, *args: Any, **kwargs: Any) -> Any:
        result = method(self, *args, **kwargs)
        self.structure_changed()
        return result

    return change


for _name in ("remove_node", "remove_nodes_from", "remove_edge", "remove_edges_from", "clear", "clear_edges"):
    setattr(Topology, _name, _dropping_plan(_name))


def _reregistering_hook(name: str) -> Callable[..., Any]:
    method = getattr(nn.Module, name)

    @functools.wraps(method)
    def register(self: Topology, *args: Any, **kwargs: Any) -> Any:
        self.structure_changed()  # a graph with hooks is called, not inlined
        return method(self, *args, **kwargs)

    return register


for _name in ("forward_hook", "forward_pre_hook", "full_backward_hook", "full_backward_pre_hook"):
    setattr(Topology, f"register_{_name}", _reregistering_hook(f"register_{_name}"))
