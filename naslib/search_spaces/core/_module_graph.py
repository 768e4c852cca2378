"""ModuleGraph: a networkx DAG that is a torch module; what it is called, what is nested in it, who hears of changes."""

from __future__ import annotations

import functools
import sys
import weakref
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import networkx as nx
from torch import nn

from naslib.errors import GraphError

from ._attributes import GraphAttributes, NodeAttributes, forget_auxiliary
from .assignment import Assignment
from .edge import EdgeData
from .primitives import AbstractPrimitive
from .shared_work import Passes

G = TypeVar("G", bound="ModuleGraph")

# What networkx caches on an instance; each entry refers back to the graph.
_CACHED_VIEWS = frozenset(
    name
    for base in nx.DiGraph.__mro__
    for name, value in vars(base).items()
    if isinstance(value, functools.cached_property)
)
# What networkx puts on a view: the graph behind it, its filters, and methods that refuse to change it.
_OF_A_VIEW = (vars(nx.freeze(nx.DiGraph())).keys() - vars(nx.DiGraph()).keys()) | {"_graph", "_NODE_OK", "_EDGE_OK"}
TRANSIENT = _CACHED_VIEWS | {"_plan", "_plan_users", "_registered"}


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
                known = isinstance(origin, ModuleGraph) and type(origin) is cls
                return origin._blank_with_attributes() if known else cls._blank()  # type: ignore
        return super().__call__(*args, **kwargs)


# Where torch keeps what is registered on a module.
OWN_STATE = ("_parameters", "_buffers", "_modules")


class ModuleGraph(nn.Module, nx.DiGraph, metaclass=_GraphType):
    """The lowest layer of a Graph: blank instances, names, what is nested in it, and who hears of its changes."""

    edge_attr_dict_factory = EdgeData
    node_attr_dict_factory = NodeAttributes
    graph_attr_dict_factory = GraphAttributes

    # networkx is untyped; undeclared, these names would have the type of torch's `__getattr__`
    nodes: Any
    edges: Any
    graph: Any
    adj: Any
    pred: Any
    succ: Any
    degree: Any
    in_degree: Any
    out_degree: Any
    has_edge: Any
    has_node: Any
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
    assignment: Assignment | None = None
    value_edges: dict[str, EdgeData] | None = None
    chosen_values: dict[str, int | float] | None = None
    _plan: object | None = None
    _plan_users: weakref.WeakSet[ModuleGraph] | None = None
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
        own = set(vars(new)) | TRANSIENT | _OF_A_VIEW | {"is_parsed"}
        for key, value in vars(self).items():
            if key not in own:
                new.__dict__[key] = value
        new.graph.update(self.graph)
        new.training = self.training
        registered = self._registered or {}
        for kind in OWN_STATE:
            getattr(new, kind).update({k: v for k, v in getattr(self, kind).items() if k not in registered})
        return new

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "_graph":  # networkx's reference of a view to what it shows, which is no submodule
            object.__setattr__(self, name, value)
            return
        super().__setattr__(name, value)
        if name == "passes":
            self.structure_changed()

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

    def decision_name(self, place: str) -> str | None:
        """Return what a decision of this graph is called, None where its place gives it a name.

        Args:
            place: `"1-3"` for the edge from 1 to 3, `"4:comb_op"` for the combination at node 4.
        """
        return None

    def chosen_inputs(self) -> tuple[str, int, int | None] | None:
        """Return name, number of inputs and how many of them are chosen, of a graph that chooses among its inputs.

        None where the decisions of the graph are among operations and combinations. Where any subset is chosen (None),
        the operations on the edges are `Zero` and the identity, in order of the inputs; else the combinations at the
        node are the sums of so many inputs, in the order of `itertools.combinations`.
        """
        return None

    def edge_name(self, u: int, v: int) -> str:
        """Return the name under which the op of edge (u, v) is registered."""
        return f"{self.name}-edge({u},{v})"

    def subgraph_name(self, node: int) -> str:
        """Return the name under which the subgraph at `node` is registered."""
        return f"{self.name}-subgraph_at({node})"

    def comb_op_name(self, node: int) -> str:
        """Return the name under which the comb_op at `node` is registered."""
        return f"{self.name}-comb_op_at({node})"

    # what is nested

    def nested_graphs(self: G) -> list[G]:
        """Return this graph and all graphs nested in its nodes, edges and candidate ops, each once, parents first."""
        found: dict[int, G] = {}
        stack: list[G] = [self]
        while stack:
            graph = stack.pop()
            if id(graph) in found:
                continue
            found[id(graph)] = graph
            stack.extend(reversed(list(graph._children())))
        return list(found.values())

    def check_nesting(self) -> None:
        """Raise `GraphError` if a graph is nested in itself; the message names the way from the graph to itself."""
        _descend(self, [], set())

    def _children(self) -> Iterator[Any]:
        for node in sorted(self._node):
            if isinstance(self._node[node].get("subgraph"), ModuleGraph):
                yield self._node[node]["subgraph"]
            for target in sorted(self._succ[node]):
                yield from graphs_within(self._succ[node][target].op)

    def _modules_in_use(self) -> Iterator[nn.Module]:
        """Yield the modules among the ops, candidates included, and the comb_ops of this graph."""
        for attributes in self._node.values():
            combine = attributes.get("comb_op")
            candidates = combine if isinstance(combine, list | tuple) else [combine]
            yield from (candidate for candidate in candidates if isinstance(candidate, nn.Module))
        for _, _, data in self.edges(data=True):
            yield from (op for op in (data.op if isinstance(data.op, list) else [data.op]) if isinstance(op, nn.Module))

    def can_be_inlined(self) -> bool:
        """Say whether a plan may run the steps of this graph as its own: whoever computes otherwise is called."""
        return False

    # what is registered, and who hears of changes

    def _register_modules(self) -> None:
        """Make `_modules` hold exactly the ops, subgraphs and comb_ops, besides what the user registered.

        Graphs in them that are not registered yet follow.
        """
        for name, data in (self._registered or {}).items():
            self._modules.pop(name, None)
            if data is not None:
                data.remove_owner(self)
        registered: dict[str, EdgeData | None] = {}
        for node in sorted(self._node):
            attributes = self._node[node]
            attributes.add_owner(self)
            if "subgraph" in attributes:
                registered[self.subgraph_name(node)] = None
                self._modules[self.subgraph_name(node)] = attributes["subgraph"]
            elif isinstance(attributes.get("comb_op"), nn.Module):
                registered[self.comb_op_name(node)] = None
                self._modules[self.comb_op_name(node)] = attributes["comb_op"]
            for target in sorted(self._succ[node]):
                data, name = self._succ[node][target], self.edge_name(node, target)
                registered[name] = data
                if isinstance(data.op, nn.Module):
                    self._modules[name] = data.op
                data.add_owner(self, name)
        for value, data in (self.value_edges or {}).items():  # no edge of the graph, but in its mode
            name = f"value({value.replace('.', '_')})"
            registered[name] = None
            self._modules[name] = data.op
        self._registered = registered
        self.is_parsed = True
        for graph in self._children():
            if not graph.is_parsed:
                graph._register_modules()

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


def label(graph: ModuleGraph) -> str:
    """Return the name of the graph, or its class where it has none."""
    return graph.name or type(graph).__name__


def _descend(graph: ModuleGraph, ancestors: list[ModuleGraph], finished: set[int]) -> None:
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


def graphs_within(op: Any) -> list[ModuleGraph]:
    """Return the outermost graphs in an op: itself, or those inside a list, a primitive or any other module."""
    if isinstance(op, ModuleGraph):
        return [op]
    if isinstance(op, list):
        return [graph for inner in op for graph in graphs_within(inner)]
    if not isinstance(op, nn.Module):
        return []
    embedded = op.get_embedded_ops() if isinstance(op, AbstractPrimitive) else None
    inner_ops = embedded if embedded is not None else op._modules.values()
    return [graph for inner in inner_ops for graph in graphs_within(inner)]


def _dropping_plan(name: str) -> Callable[..., Any]:
    method = getattr(nx.DiGraph, name)

    @functools.wraps(method)
    def change(self: ModuleGraph, *args: Any, **kwargs: Any) -> Any:
        result = method(self, *args, **kwargs)
        self.structure_changed()
        return result

    return change


for _name in ("remove_node", "remove_nodes_from", "remove_edge", "remove_edges_from", "clear", "clear_edges"):
    setattr(ModuleGraph, _name, _dropping_plan(_name))


def _reregistering_hook(name: str) -> Callable[..., Any]:
    method = getattr(nn.Module, name)

    @functools.wraps(method)
    def register(self: ModuleGraph, *args: Any, **kwargs: Any) -> Any:
        self.structure_changed()  # a graph with hooks is called, not inlined
        return method(self, *args, **kwargs)

    return register


for _name in ("forward_hook", "forward_pre_hook", "full_backward_hook", "full_backward_pre_hook"):
    setattr(ModuleGraph, f"register_{_name}", _reregistering_hook(f"register_{_name}"))
