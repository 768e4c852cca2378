"""The registry of search spaces."""

from __future__ import annotations

from typing import Any

from naslib.registry import Registry, catalogue

from .core.graph import Graph

SEARCH_SPACES: Registry[type[Graph]] = catalogue.SEARCH_SPACES


def get_search_space(name: str, **kwargs: Any) -> Graph:
    """Return a fresh search space.

    Args:
        name: Its registered name.
        **kwargs: Arguments of its constructor.

    Raises:
        UnknownNameError: If there is none of that name.
    """
    return SEARCH_SPACES.build(name, **kwargs)
