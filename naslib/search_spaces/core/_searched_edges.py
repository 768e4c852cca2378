"""The edges and nodes with candidates: which of them are one decision, and inside of which candidate they are."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from naslib.errors import GraphError

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
        condition: Name and indices: the candidates of another decision that it is inside of; None where it is always
            there, or inside of several.
        is_reached: Whether it is anywhere but in candidates that are never selected.
        taken: The name of the decision on the inputs of a node, and which of them the edge is; None where it stays.
    """

    name: str
    cell: str
    copies: list[Copy]
    positions: tuple[int, ...] = ()
    condition: tuple[str, int | tuple[int, ...]] | None = None
    is_reached: bool = True
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
    named: set[str] = set()

    def add(key: Hashable, place: Copy, what: str) -> None:
        if key in groups:
            groups[key].copies.append(place)
            return
        given = place.graph.decision_name(what)
        if given is not None:
            if given in named:
                raise GraphError(
                    f"two choices are called {given!r} and are not one decision: choices of equal labels are one where "
                    "they are in one ModuleSearchSpace; give them labels of their own"
                )
            named.add(given)
            groups[key] = SearchedEdge(given, given, [place])
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


def is_reachable(edges: SearchedEdge) -> bool:
    """Say whether the candidates that the edges are inside of are ever selected."""
    return edges.is_reached


def condition_of(edges: SearchedEdge) -> tuple[str, int | tuple[int, ...]] | None:
    """Return of which candidates of which other decision the edges are a part, as a `Decision` says it."""
    return edges.condition
