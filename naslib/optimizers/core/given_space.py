"""What an optimizer can be given to adapt."""

from __future__ import annotations

from typing import Any

from torch import nn

from naslib.errors import GraphError
from naslib.registry.catalogue import SEARCH_SPACES
from naslib.search_spaces.core.graph import Graph


def require_graph(search_space: Any) -> None:
    """Raise unless a search space is one.

    Raises:
        GraphError: Saying what was given instead, and how it becomes a search space.
    """
    if isinstance(search_space, Graph):
        return
    expected = "adapt_search_space expects a search space, which is a naslib Graph"
    if isinstance(search_space, str):
        known = ", ".join(SEARCH_SPACES.names())
        way = f"naslib.search_spaces.get_search_space(name) returns the space of a name (known: {known})"
        raise GraphError(f"{expected}, not the text {search_space!r}; {way}")
    if isinstance(search_space, type):
        raise GraphError(
            f"{expected}, not the class {search_space.__name__}; give an instance: {search_space.__name__}(...)"
        )
    kind = type(search_space).__name__
    if isinstance(search_space, nn.Module):
        raise GraphError(
            f"{expected}, and {kind} is a torch module without one; put it on the edge of a graph, and lists of "
            "candidate modules on the edges to search: graph.add_edge(1, 2, op=module), graph.add_edge(2, 3, op=[a, b])"
        )
    raise GraphError(f"{expected}, not {search_space!r} of type {kind}")
