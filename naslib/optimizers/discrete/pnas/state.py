"""Levels: how far a search that widens cells is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from naslib.search_spaces.core.decisions import Code

# An architecture, and the number of the trial of the cell that it grew from
Child = tuple[Code, int | None]


class Levels:
    """What a search has asked for and was told, by number of blocks.

    Attributes:
        level: Blocks of the cells that are asked for now; 0 before the first.
        waiting: Cells that are still to be asked for, the best last.
        parents: What the cells of this level grew from.
        asked: Cells of this level that were asked for.
        told: Cells with their merits and trials, of all levels, in the order in which they were told.
        seen: All that were asked for or told.
        scale: Mean and standard deviation that merits are read by; None for accuracies, and before the first fit.
    """

    def __init__(self) -> None:
        self.level = 0
        self.waiting: list[Child] = []
        self.parents: list[Child] = []
        self.asked: list[Code] = []
        self.told: dict[Code, tuple[float, int | None]] = {}
        self.seen: dict[Code, None] = {}
        self.scale: tuple[float, float] | None = None

    def state_dict(self) -> dict[str, Any]:
        """Return the state as plain values."""
        return {
            "level": self.level,
            "waiting": [[list(code), number] for code, number in self.waiting],
            "parents": [[list(code), number] for code, number in self.parents],
            "asked": [list(code) for code in self.asked],
            "told": [[list(code), merit, number] for code, (merit, number) in self.told.items()],
            "seen": [list(code) for code in self.seen],
            "scale": None if self.scale is None else list(self.scale),
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a state."""
        self.level = int(state_dict["level"])
        self.waiting = [(tuple(code), number) for code, number in state_dict["waiting"]]
        self.parents = [(tuple(code), number) for code, number in state_dict["parents"]]
        self.asked = [tuple(code) for code in state_dict["asked"]]
        self.told = {tuple(code): (float(merit), number) for code, merit, number in state_dict["told"]}
        self.seen = {tuple(code): None for code in state_dict["seen"]}
        scale = state_dict["scale"]
        self.scale = None if scale is None else (float(scale[0]), float(scale[1]))
