"""The edges and nodes with candidates: which of them are one decision, and inside of which candidate they are."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ._module_graph import ModuleGraph, graphs_within
from ._updates import Scope, UpdatesMixin
from .edge import EdgeData
from .node_choices import choices_at
from .ops_mixed import MixedOp


class Copy(NamedTuple):
    """One copy of an edge: the graph that it is in, the number of that graph, its ends and its data.

    Of a node with candidates `head` is None, and `data` what an edge would have.
    """

    graph: UpdatesMixin
    number: int
    head: int | None
    tail: int
    data: EdgeData


@dataclass
class SearchedEdge:
    """All copies of an edge under search, which share one decision.

    Attributes:
        name: Label of the decision.
        cell: Label of the graph that the first copy is in.
        copies: All of them, the first one first.
        positions: Which candidates the space ever selects.
        indices: Those by position.
        condition: `(edge, positions)`: the candidates of another decision that it is inside of.
        taken: The name of the decision on the inputs of a node, and which of them the edge is; None where it stays.
    """

    name: str
    cell: str
    copies: list[Copy]
    positions: tuple[int, ...] = ()
    condition: tuple[SearchedEdge, tuple[int, ...]] | None = None
    taken: tuple[str, int] | None = None
    indices: dict[int, int] = field(default_factory=dict)

    @property
    def candidates(self) -> list[Any]:
        """The candidates on its first copy."""
        return candidates_on(self.copies[0].data) or []


def candidates_on(data: EdgeData) -> list[Any] | None:
    """Return the candidates on an edge, in a space or in a supernet; None where there is no choice."""
    if data.is_final():
        return None
    op = data.op
    if isinstance(op, list):
        return op
    return list(op.primitives) if isinstance(op, MixedOp) and data.has("alpha") else None


def key_of(data: EdgeData) -> Hashable:
    """Return what is the same for all copies of an edge."""
    return id(data.alpha) if data.has("alpha") else id(data._shared)


def searched_edges(graph: UpdatesMixin, scope: Scope) -> dict[Hashable, SearchedEdge]:
    """Return the edges under search by decision, in the order of an optimizer's architecture parameters.

    The nodes whose combination is searched come after all edges, under names like `cell/4:comb_op`.

    Raises:
        GraphError: If a node has candidates that are none.
    """
    numbers = {id(nested): number for number, nested in enumerate(graph.nested_graphs())}
    groups: dict[Hashable, SearchedEdge] = {}
    used: dict[str, int] = {}

    def add(key: Hashable, place: Copy, what: str) -> None:
        if key in groups:
            groups[key].copies.append(place)
            return
        name = place.graph.name or "graph"
        count = used[f"{name}/{what}"] = used.get(f"{name}/{what}", 0) + 1
        cell = name if count == 1 else f"{name}#{count}"
        groups[key] = SearchedEdge(f"{cell}/{what}", cell, [place])

    graphs = graph._graphs_in_scope(scope)
    for nested in graphs:
        for u in sorted(nested._succ):
            for v in sorted(nested._succ[u]):
                data = nested._succ[u][v]
                if candidates_on(data) is not None:
                    add(key_of(data), Copy(nested, numbers[id(nested)], u, v, data), f"{u}-{v}")
    for nested in graphs:
        for choice in choices_at(nested):
            place = Copy(nested, numbers[id(nested)], None, choice.node, choice.data)
            add(choice.key, place, f"{choice.node}:comb_op")
    return groups


def find_conditions(graph: UpdatesMixin, groups: dict[Hashable, SearchedEdge]) -> None:
    """Note of which candidate of which decision the edges of nested graphs are a part."""
    always = {id(nested) for nested in _reached([graph], groups)}
    if all(id(edges.copies[0].graph) in always for edges in groups.values()):
        return
    owners: dict[int, dict[int, tuple[SearchedEdge, set[int]]]] = {}
    for edges in groups.values():
        for *_, data in edges.copies:
            for position, op in enumerate(candidates_on(data) or ()):
                for inner in _reached(graphs_within(op), groups):
                    owner = owners.setdefault(id(inner), {}).setdefault(id(edges), (edges, set()))
                    owner[1].add(position)
    for edges in groups.values():
        found: dict[int, tuple[SearchedEdge, set[int]]] = {}
        for nested, *_ in edges.copies:
            if id(nested) in always:
                found = {}
                break
            for key, (other, positions) in owners.get(id(nested), {}).items():
                found.setdefault(key, (other, set()))[1].update(positions)
        if len(found) == 1:
            ((other, positions),) = found.values()
            edges.condition = other, tuple(sorted(positions))


def _reached(graphs: Sequence[ModuleGraph], groups: dict[Hashable, SearchedEdge]) -> list[ModuleGraph]:
    """Return graphs and what is nested in them, as far as that does not depend on another decision."""
    found: dict[int, ModuleGraph] = {}
    stack = list(graphs)
    while stack:
        graph = stack.pop()
        if id(graph) in found:
            continue
        found[id(graph)] = graph
        for node in graph._node.values():
            stack += graphs_within(node.get("subgraph"))
        for _, _, data in graph.edges(data=True):
            if candidates_on(data) is None or key_of(data) not in groups:
                stack += graphs_within(data.op)
    return list(found.values())


def is_reachable(edges: SearchedEdge) -> bool:
    """Say whether the candidates that the edges are inside of are ever selected."""
    if edges.condition is None:
        return True
    other, positions = edges.condition
    return any(position in other.indices for position in positions) and is_reachable(other)


def condition_of(edges: SearchedEdge) -> tuple[str, int | tuple[int, ...]] | None:
    if edges.condition is None:
        return None
    other, positions = edges.condition
    indices = tuple(other.indices[position] for position in positions if position in other.indices)
    return other.name, indices if len(indices) > 1 else indices[0]
