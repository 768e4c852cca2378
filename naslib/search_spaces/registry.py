"""The registry of search spaces."""

from __future__ import annotations

from typing import Any

from naslib.registry import Registry

from .core.graph import Graph
from .nasbench201.graph import NasBench201SearchSpace
from .nasbench301.graph import NasBench301SearchSpace
from .simple_cell.graph import SimpleCellSearchSpace

SEARCH_SPACES: Registry[type[Graph]] = Registry("search space")
SEARCH_SPACES.register("simple_cell")(SimpleCellSearchSpace)
SEARCH_SPACES.register("nasbench201")(NasBench201SearchSpace)
SEARCH_SPACES.register("nasbench301", "darts")(NasBench301SearchSpace)


def get_search_space(name: str, **kwargs: Any) -> Graph:
    """Return a fresh search space.

    Args:
        name: Its registered name.
        **kwargs: Arguments of its constructor.

    Raises:
        UnknownNameError: If there is none of that name.
    """
    return SEARCH_SPACES.build(name, **kwargs)
