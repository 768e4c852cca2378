"""The decisions of a recurrent cell that is a binary tree."""

from __future__ import annotations

from functools import lru_cache

from naslib.errors import ConfigError
from naslib.search_spaces.core.decisions import Decision
from naslib.search_spaces.core.schema import DecisionSpace

COMBINATIONS = ("add", "elem_mult")
ACTIVATIONS = ("identity", "tanh", "sigmoid", "relu")
INJECT = "inject"
CELL_OUT, CELL_IN = "cell/out", "cell/in"


def n_nodes(base: int) -> int:
    """Return the number of nodes of a tree of `base` leaves.

    Raises:
        ConfigError: If `base` is no power of two, 2 at least.
    """
    if type(base) is not int or base < 2 or base & (base - 1):
        raise ConfigError(f"base is the number of leaves of a binary tree, a power of two from 2 on, not {base!r}")
    return 2 * base - 1


def children(base: int) -> list[tuple[int, int]]:
    """Return the children of the nodes above the leaves, from node `base` on: level by level, from the left."""
    found: list[tuple[int, int]] = []
    level = list(range(base))
    while len(level) > 1:
        pairs = list(zip(level[::2], level[1::2], strict=True))
        level = list(range(base + len(found), base + len(found) + len(pairs)))
        found += pairs
    return found


@lru_cache
def tree_decisions(base: int) -> DecisionSpace:
    """Return combination and activation of every node, those of the injection, and both cell indices.

    This is the order of [Zoph2017nasrl], figure 5: a block for each node, leaves first, then the blocks "cell inject"
    and "cell index".
    """
    nodes = n_nodes(base)
    found = []
    for name in (*(f"tree_{node}" for node in range(nodes)), INJECT):
        found.append(Decision(f"{name}/combine", "op", COMBINATIONS))
        found.append(Decision(f"{name}/activation", "op", ACTIVATIONS))
    found += [Decision(name, "value", tuple(range(nodes))) for name in (CELL_OUT, CELL_IN)]
    return DecisionSpace(found)
