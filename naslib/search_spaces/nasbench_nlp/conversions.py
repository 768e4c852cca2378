"""Conversions of recurrent cells between the authors' recipe and NASLib's compact form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from naslib.errors import ArchitectureError
from naslib.search_spaces.core.literals import plain, shortened
from naslib.search_spaces.core.recipes import FIRST_NODE, OPS, Recipe

# The numbers of operations in the compact form
_COMPACT_OPS = (
    *("in", "activation_sigm", "activation_tanh", "activation_leaky_relu"),
    *("elementwise_sum", "elementwise_prod", "linear", "blend"),
)
Compact = tuple[tuple[tuple[int, int], ...], tuple[int, ...], tuple[int, ...]]


def is_compact(spec: Any) -> bool:
    """Say whether something has the form `(edges, operations, states)`."""
    return (
        isinstance(spec, list)
        and len(spec) == 3
        and all(isinstance(part, list) for part in spec)
        and all(isinstance(edge, list) and len(edge) == 2 for edge in spec[0])
        and all(type(number) is int for number in (*chain(*spec[0]), *spec[1], *spec[2]))
    )


def read_compact(spec: Any) -> Recipe:
    """Return the cell of a compact form.

    Nodes are numbers, 0 x, 1 to 3 the states before, then the others: edges are pairs of them in the order of a node's
    inputs, operations one per node, and states the nodes that are the next ones.

    Raises:
        ArchitectureError: If it is none.
    """
    spec = plain(spec)
    if not is_compact(spec):
        raise ArchitectureError(f"NASLib's compact form is (edges, operations, states), not {shortened(spec)}")
    edges, numbers, states = spec
    last = len(numbers)
    if any(not 0 <= u < last or not FIRST_NODE <= v < last for u, v in edges) or any(
        not FIRST_NODE <= state < last for state in states
    ):
        raise ArchitectureError(f"the nodes of a compact form are 0 to {last - 1}, the first four no targets")
    if any(not 0 < number < len(_COMPACT_OPS) for number in numbers[FIRST_NODE:]):
        raise ArchitectureError(f"the operations of a compact form are 1 to {len(_COMPACT_OPS) - 1}, not {numbers[4:]}")
    parts = {
        node: (OPS.index(_COMPACT_OPS[numbers[node]]), [u for u, v in edges if v == node])
        for node in range(FIRST_NODE, last)
    }
    return Recipe.of_parts(parts, states, prune=True)


def convert_recipe_to_compact(recipe: Mapping[str, Any] | str) -> Compact:
    """Return the compact form of a recipe; its states are in their order.

    Raises:
        ArchitectureError: If it is no recipe.
    """
    found = Recipe.read(recipe)
    edges = [(source, FIRST_NODE + i) for i, (_, inputs) in enumerate(found.nodes) for source in inputs]
    numbers = [_COMPACT_OPS.index(OPS[op]) for op, _ in found.nodes]
    return tuple(edges), (*[0] * FIRST_NODE, *numbers), tuple(FIRST_NODE + output for output in found.outputs)


def convert_compact_to_recipe(compact: Sequence[Any]) -> dict[str, Any]:
    """Return the recipe of a compact form.

    Raises:
        ArchitectureError: If it is none.
    """
    return read_compact(compact).write()
