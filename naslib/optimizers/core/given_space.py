"""What an optimizer can be given to adapt."""

from __future__ import annotations

from typing import Any

from torch import nn

from naslib.errors import GraphError, UnsupportedBySpaceError
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
            f"{expected}, and {kind} is a torch module; mark what is to be chosen in it (naslib.choices) and give "
            "ModuleSearchSpace(module), or put it on the edge of a graph, and lists of candidate modules on the edges "
            "to search: graph.add_edge(1, 2, op=module), graph.add_edge(2, 3, op=[a, b])"
        )
    raise GraphError(f"{expected}, not {search_space!r} of type {kind}")


def require_supernet(search_space: Graph, method: str) -> None:
    """Raise unless the architectures of a space can share weights.

    Args:
        search_space: The space.
        method: Who wants to train a supernet, as it is called in the message.

    Raises:
        UnsupportedBySpaceError: Saying why they cannot (`NO_SUPERNET`), and which searches take the space.
    """
    if search_space.NO_SUPERNET:
        raise UnsupportedBySpaceError(
            f"{method} trains a supernet, and {search_space.get_type()} has none: {search_space.NO_SUPERNET}; search "
            "it by random_search or regularized_evolution, which train each architecture or ask a benchmark"
        )
