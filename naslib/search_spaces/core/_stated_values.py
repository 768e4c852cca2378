"""The value decisions of a graph: the sizes of the elastic layers in it, and of which choice each is a part."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

from naslib.errors import DecisionError

from ._module_graph import ModuleGraph
from ._owners import Owner, condition_by, owned_by
from ._searched_edges import SearchedEdge
from .decisions import Decision
from .elastic import Value, values_in


def stated_values(graph: ModuleGraph, groups: Mapping[Hashable, SearchedEdge]) -> list[Decision]:
    """Return the value decisions of a graph, in the order of its layers.

    A size that only layers inside of one candidate have depends on that candidate, and a size in a block of a chain on
    the chain being so long. A size that several choices have in common is always decided.

    Args:
        graph: A space or a supernet.
        groups: The edges under search, with the candidates that the space ever selects.

    Raises:
        DecisionError: If a label is also the name of another decision.
    """
    leaves = values_in(graph)  # raises where labels clash
    names = {edge.name for edge in groups.values()}
    clashing = [leaf.label for leaf in leaves if leaf.label in names]
    if clashing:
        raise DecisionError(f"{clashing[0]!r} is the name of an operation on an edge: give the value another label")
    if not leaves:
        return []
    owners: dict[str, list[Owner]] = {}
    for part, owner in owned_by(graph, groups):
        if isinstance(part, Value):
            owners.setdefault(str(part.label), []).append(owner)
    return [
        Decision(leaf.label, "value", leaf.values, 1, condition_by(owners[leaf.label]))
        for leaf in leaves
        if leaf.label in owners  # not only in candidates that are never selected
    ]
