"""Statement: the decisions of a graph, read off the candidates on its edges and the rule that its space states."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from naslib.errors import UnsupportedBySpaceError
from naslib.utils.log import get_logger

from ._ops_by_name import op_name
from ._selection import KEPT_EDGES
from ._updates import Scope, _graphs_within
from .decisions import Decision, Site
from .edge import EdgeData
from .ops_mixed import MixedOp
from .schema import Constraint, DecisionSpace

if TYPE_CHECKING:
    from .graph import Graph

logger = get_logger(__name__)
F = TypeVar("F", bound=Callable[..., Any])
# The rule of `prepare_discretization` that needs no statement of its own, by the name of its function
_STRONGEST = "keep_strongest_edges"


@dataclass
class _Edges:
    """All copies of an edge under search, which share one decision.

    Attributes:
        name: Label of the decision.
        cell: Label of the graph that the first copy is in.
        places: `(graph, number of the graph, source, target, data)` of every copy.
        positions: Which candidates the space ever selects.
        condition: `(edges, positions)`: the candidates of another decision that these edges are inside of.
    """

    name: str
    cell: str
    places: list[tuple[Graph, int, int, int, EdgeData]]
    positions: tuple[int, ...] = ()
    condition: tuple[_Edges, tuple[int, ...]] | None = None
    taken: tuple[str, int] | None = None  # inputs of a node, and which of them the edge is
    indices: dict[int, int] = field(default_factory=dict)  # of candidates, by position

    @property
    def candidates(self) -> list[Any]:
        return candidates_on(self.places[0][4]) or []


def candidates_on(data: EdgeData) -> list[Any] | None:
    """Return the candidates on an edge, in a space or in a supernet; None where there is no choice."""
    if data.is_final():
        return None
    op = data.op
    if isinstance(op, list):
        return op
    return list(op.primitives) if isinstance(op, MixedOp) else None


def decisions_of(graph: Graph, scope: Scope = None) -> DecisionSpace:
    """Return the decisions of a space, or of a supernet made of one, by the statement of its class.

    A class that changes the rule (`prepare_discretization`) and not the statement (`state_decisions`) has its
    operations stated, with one warning.

    Args:
        graph: The graph; op classes on its edges are instantiated in a copy.
        scope: Which graphs are searched; the space's `OPTIMIZER_SCOPE` if None.

    Raises:
        UnsupportedBySpaceError: If there is nothing to choose.
    """
    if any(inspect.isclass(op) for ops in _lists(graph) for op in ops):
        graph = graph.clone()
        graph.compile()
    if states_its_rule(type(graph)):
        return graph.state_decisions(scope)
    _warn_of(type(graph))
    return state(graph, scope)


def state_by_rule(graph: Graph, scope: Scope = None) -> DecisionSpace:
    """State the operations, and where the space discretizes by `keep_strongest_edges`, which edges are kept."""
    return state(graph, scope, kept_edges=KEPT_EDGES if uses_strongest_edges(type(graph)) else None)


def _lists(graph: Graph) -> Iterator[list[Any]]:
    for nested in graph.nested_graphs():
        yield from (data.op for _, _, data in nested.edges(data=True) if isinstance(data.op, list))


def states_its_rule(cls: type[Graph]) -> bool:
    """Say whether the decisions of a space are known: it prunes nothing, or by a rule that is stated or ours."""
    if _is_default(cls, "state_decisions"):
        return _is_default(cls, "prepare_discretization") or uses_strongest_edges(cls)
    return issubclass(_definer(cls, "state_decisions"), _definer(cls, "prepare_discretization"))


def default_hook(method: F) -> F:
    """Mark a method of `Graph` as what a space has where it overrides nothing."""
    method.is_default_hook = True  # type: ignore[attr-defined]
    return method


def _is_default(cls: type, name: str) -> bool:
    return getattr(getattr(cls, name), "is_default_hook", False)


def uses_strongest_edges(cls: type) -> bool:
    """Say whether a space discretizes by `keep_strongest_edges`: whether its hook, or one that it calls, names that."""
    for base in cls.__mro__:
        hook = vars(base).get("prepare_discretization")
        if hook is None:
            continue
        names = getattr(getattr(hook, "__code__", None), "co_names", ())
        if _STRONGEST in names:
            return True
        if "super" not in names:
            return False
    return False


def _definer(cls: type, name: str) -> type:
    return next(base for base in cls.__mro__ if name in vars(base))


@lru_cache
def _warn_of(cls: type) -> None:
    logger.warning(
        "%s removes edges by a rule of its own (prepare_discretization) and does not state it: its decision space has "
        "operations only. Override state_decisions as well (docs/decisions.md)",
        cls.__name__,
    )


def state(
    graph: Graph,
    scope: Scope = None,
    *,
    kept_edges: int | None = None,
    names: Callable[[Any], str] = op_name,
    constraints: Sequence[Constraint] = (),
) -> DecisionSpace:
    """State the decisions of a graph: one operation per edge with candidates, and which edges a node keeps.

    Copies of an edge (`Graph.copy`) share their decision. The label is `cell/1-3` for the edge from 1 to 3 of a graph
    called "cell", and `cell/3` for the inputs of its node 3; of several graphs of one name that decide differently, the
    second is `cell#2`. Decisions inside a candidate depend on that candidate. Candidates that the space never selects
    (`select_primitive`) are left out.

    Args:
        graph: A space or a supernet, without op classes on its edges.
        scope: Which graphs are searched; the space's `OPTIMIZER_SCOPE` if None.
        kept_edges: How many edges a node keeps of those that enter it, where all of them are under search; None for
            all. The operation on such an edge depends on its being kept.
        names: Returns the name of a candidate; equal names get numbers.
        constraints: See `DecisionSpace`.

    Raises:
        UnsupportedBySpaceError: If there is nothing to choose.
    """
    scope = scope if scope is not None else graph.OPTIMIZER_SCOPE
    groups = _groups(graph, scope)
    if not groups:
        raise UnsupportedBySpaceError(
            f"{graph.get_type()} has no edge with candidate operations in scope {scope!r}: there is nothing to decide"
        )
    for edges in groups.values():
        edges.positions = _selectable(graph, edges.candidates)
        edges.indices = {position: index for index, position in enumerate(edges.positions)}
    _find_conditions(graph, groups)
    decisions = _inputs(graph, scope, groups, kept_edges) if kept_edges is not None else []
    decisions += [_operation(edges, names) for edges in groups.values() if _is_reachable(edges)]
    return DecisionSpace(decisions, constraints)


def _key(data: EdgeData) -> Hashable:
    """Return what is the same for all copies of an edge."""
    return id(data.alpha) if data.has("alpha") else id(data._shared)


def _groups(graph: Graph, scope: Scope) -> dict[Hashable, _Edges]:
    """Return the edges under search by decision, in the order of an optimizer's architecture parameters."""
    numbers = {id(nested): number for number, nested in enumerate(graph.nested_graphs())}
    groups: dict[Hashable, _Edges] = {}
    used: dict[str, int] = {}
    for nested in graph._graphs_in_scope(scope):
        for u in sorted(nested._succ):
            for v in sorted(nested._succ[u]):
                data = nested._succ[u][v]
                if candidates_on(data) is None:
                    continue
                place = nested, numbers[id(nested)], u, v, data
                if _key(data) in groups:
                    groups[_key(data)].places.append(place)
                    continue
                name = nested.name or "graph"
                count = used[f"{name}/{u}-{v}"] = used.get(f"{name}/{u}-{v}", 0) + 1
                cell = name if count == 1 else f"{name}#{count}"
                groups[_key(data)] = _Edges(f"{cell}/{u}-{v}", cell, [place])
    return groups


def _selectable(graph: Graph, candidates: Sequence[Any]) -> tuple[int, ...]:
    """Return the candidates that the space selects where they score best: some spaces leave `Zero` out."""
    if _is_default(type(graph), "select_primitive"):
        return tuple(range(len(candidates)))
    found = []
    for position in range(len(candidates)):
        scores = torch.zeros(len(candidates))
        scores[position] = 1.0
        if graph.select_primitive(EdgeData({"op": list(candidates), "op_weights": scores})) == position:
            found.append(position)
    if not found:
        raise UnsupportedBySpaceError(
            f"{graph.get_type()}.select_primitive selects none of the candidates of an edge when it scores best"
        )
    return tuple(found)


def _find_conditions(graph: Graph, groups: dict[Hashable, _Edges]) -> None:
    """Note of which candidate of which decision the edges of nested graphs are a part."""
    always = {id(nested) for nested in _reached([graph], groups)}
    owners: dict[int, dict[int, tuple[_Edges, set[int]]]] = {}
    for edges in groups.values():
        for *_, data in edges.places:
            for position, op in enumerate(candidates_on(data) or ()):
                for inner in _reached(_graphs_within(op), groups):
                    owner = owners.setdefault(id(inner), {}).setdefault(id(edges), (edges, set()))
                    owner[1].add(position)
    for edges in groups.values():
        found: dict[int, tuple[_Edges, set[int]]] = {}
        for nested, *_ in edges.places:
            if id(nested) in always:
                found = {}
                break
            for key, (other, positions) in owners.get(id(nested), {}).items():
                found.setdefault(key, (other, set()))[1].update(positions)
        if len(found) == 1:
            ((other, positions),) = found.values()
            edges.condition = other, tuple(sorted(positions))


def _reached(graphs: Sequence[Graph], groups: dict[Hashable, _Edges]) -> list[Graph]:
    """Return graphs and what is nested in them, as far as that does not depend on another decision."""
    found: dict[int, Graph] = {}
    stack = list(graphs)
    while stack:
        graph = stack.pop()
        if id(graph) in found:
            continue
        found[id(graph)] = graph
        for node in graph._node.values():
            stack += _graphs_within(node.get("subgraph"))
        for _, _, data in graph.edges(data=True):
            if candidates_on(data) is None or _key(data) not in groups:
                stack += _graphs_within(data.op)
    return list(found.values())


def _is_reachable(edges: _Edges) -> bool:
    """Say whether the candidates that the edges are inside of are ever selected."""
    if edges.condition is None:
        return True
    other, positions = edges.condition
    return any(position in other.indices for position in positions) and _is_reachable(other)


def _condition(edges: _Edges) -> tuple[str, int | tuple[int, ...]] | None:
    if edges.condition is None:
        return None
    other, positions = edges.condition
    indices = tuple(other.indices[position] for position in positions if position in other.indices)
    return other.name, indices if len(indices) > 1 else indices[0]


def _inputs(graph: Graph, scope: Scope, groups: dict[Hashable, _Edges], kept_edges: int) -> list[Decision]:
    """Return a decision for each node that more edges enter than it keeps; the edges take note of it."""
    sites: dict[tuple[Hashable, ...], list[Site]] = {}
    numbers = {id(nested): number for number, nested in enumerate(graph.nested_graphs())}
    for nested in graph._graphs_in_scope(scope):
        for node in sorted(nested._pred):
            entering = [(u, nested._succ[u][node]) for u in sorted(nested._pred[node])]
            searched = [(u, data) for u, data in entering if not data.is_final()]
            if len(searched) > kept_edges and all(candidates_on(data) is not None for _, data in searched):
                key = tuple(_key(data) for _, data in searched)
                sites.setdefault(key, []).append(Site(nested.name, numbers[id(nested)], None, node))
    found = []
    for keys, places in sites.items():
        entering_edges = [groups[key] for key in keys]
        first = entering_edges[0]
        if not _is_reachable(first):
            continue
        name = f"{first.cell}/{places[0].tail}"
        for index, edges in enumerate(entering_edges):
            edges.taken = name, index
        sources = tuple(edges.places[0][2] for edges in entering_edges)
        found.append(Decision(name, "inputs", sources, kept_edges, _condition(first), tuple(places)))
    return found


def _operation(edges: _Edges, names: Callable[[Any], str]) -> Decision:
    called: dict[str, int] = {}
    candidates = []
    for op in edges.candidates:
        name = names(op)
        called[name] = called.get(name, 0) + 1
        candidates.append(name if called[name] == 1 else f"{name} ({called[name]})")
    sites = tuple(Site(graph.name, number, u, v, edges.positions) for graph, number, u, v, _ in edges.places)
    condition = edges.taken if edges.taken is not None else _condition(edges)
    return Decision(edges.name, "op", tuple(candidates[i] for i in edges.positions), 1, condition, sites)
