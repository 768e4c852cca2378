"""OutputRule: which states make the output of a cell of blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from naslib.errors import did_you_mean
from naslib.search_spaces.core.literals import plain, shortened

Edges = Sequence[tuple[str, int]]
NAMED = ("unused", "all")
CELLS = ("normal", "reduce")


@dataclass(frozen=True)
class OutputRule:
    """Which states make the output of a cell.

    Attributes:
        name: `"unused"`: the blocks that no other reads ([Zoph2018nasnet]); `"all"`: all blocks, as in the published
            network of [Liu2018pnas]; `"fixed"`: the same states for every architecture.
        fixed: The states of a normal and of a reduction cell, ascending, where they are fixed.
    """

    name: str = "unused"
    fixed: tuple[tuple[int, ...], ...] = ()

    def states(self, cell: int, edges: Edges) -> tuple[int, ...]:
        """Return the states, ascending, that make the output of the normal (0) or the reduction (1) cell."""
        if self.fixed:
            return self.fixed[cell]
        read = {state for _, state in edges} if self.name == "unused" else set()
        return tuple(state for state in range(2, 2 + len(edges) // 2) if state not in read)


UNUSED, ALL = OutputRule("unused"), OutputRule("all")


def read_rule(given: Any, blocks: int, problems: list[str]) -> OutputRule:
    """Return the rule that a person gave as `concat`.

    Args:
        given: `"unused"`, `"all"`, or the states of each cell: `{normal: [...], reduce: [...]}`.
        blocks: Blocks of a cell.
        problems: What is wrong is added here.
    """
    if isinstance(given, Mapping):
        if set(given) != set(CELLS):
            problems.append(f"concat has the states of normal and reduce, not of {', '.join(map(str, given))}")
            return UNUSED
        fixed = []
        for cell in CELLS:
            states = plain(given[cell])
            known = range(blocks + 2)
            if not isinstance(states, list) or not states or not all(type(s) is int and s in known for s in states):
                problems.append(f"concat.{cell} must be some of the states 0 to {blocks + 1}, not {shortened(states)}")
                states = []
            fixed.append(tuple(sorted(set(states))))
        return OutputRule("fixed", tuple(fixed))
    if given not in NAMED:
        problems.append(
            f"concat is 'unused', 'all', or the states of normal and reduce, not {given!r}"
            f"{did_you_mean(str(given), NAMED)}"
        )
        return UNUSED
    return OutputRule(given)
