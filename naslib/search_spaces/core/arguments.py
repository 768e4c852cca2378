"""The constructor arguments of a search space, read off an instance."""

from __future__ import annotations

import inspect
from typing import Any

from .graph import Graph

# networkx owns these attributes; a space keeps an argument `nodes` as `nodes_per_cell`.
_NETWORKX_VIEWS = frozenset(("nodes", "edges", "adj", "succ", "pred", "degree", "graph"))


def constructor_arguments(graph: Graph) -> dict[str, Any]:
    """Return the constructor arguments of a search space, which keeps them as attributes of the same names."""
    found = {}
    own = {name: value for name, value in vars(graph).items() if name not in _NETWORKX_VIEWS}
    for name, parameter in inspect.signature(type(graph).__init__).parameters.items():
        if name == "self" or parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            continue
        for attribute in (name, f"{name}_per_cell"):
            if attribute in own:
                found[name] = own[attribute]
                break
    return found
