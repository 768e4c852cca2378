"""Which edges of its cells a space does not decide about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

# By the name of a cell the edges (source, target) that every architecture has
FixedEdges = Mapping[str, tuple[tuple[int, int], ...]]


class NestedGraphs(Protocol):
    """What is read of a search space here: its graphs, each with a name and edges."""

    def nested_graphs(self) -> list[Any]:
        """Return the graph itself and all that are nested in it."""


def fixed_edges_of(graph: NestedGraphs, decided: Iterable[str]) -> dict[str, tuple[tuple[int, int], ...]]:
    """Return by cell the edges of a space that carry no decision, for the cells that have decisions.

    Args:
        graph: The search space, or an architecture of it.
        decided: Names of its decisions (`cell/1-3`, `cell/4`, `cell/4:comb_op`).
    """
    names = set(decided)
    cells = {name.rpartition("/")[0] for name in names}
    found: dict[str, tuple[tuple[int, int], ...]] = {}
    for nested in graph.nested_graphs():
        if nested.name in cells and nested.name not in found:
            edges = ((int(u), int(v)) for u, v in nested.edges)
            found[nested.name] = tuple(sorted((u, v) for u, v in edges if f"{nested.name}/{u}-{v}" not in names))
    return found
