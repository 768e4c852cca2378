"""ModelState: what a model-based search knows, and what it has decided to evaluate next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from naslib.search_spaces.core.codec import Code


class ModelState:
    """The labels of a search, and its queue.

    Attributes:
        codes: Architectures with values, in the order in which they were told.
        merits: Their values; larger is better.
        numbers: The numbers of their trials.
        seen: All architectures that were asked for or told.
        queue: What is asked for next, the first one last, each with the number of its parent's trial.
        asked: How many architectures were asked for.
        rounds: How often a model was fitted.
    """

    def __init__(self) -> None:
        self.codes: list[Code] = []
        self.merits: list[float] = []
        self.numbers: list[int | None] = []
        self.seen: dict[Code, None] = {}
        self.queue: list[tuple[Code, int | None]] = []
        self.asked = 0
        self.rounds = 0

    def best(self, count: int) -> list[int]:
        """Return the places of the best `count` labels, the best first; of equals, that told first."""
        order = np.argsort(-np.asarray(self.merits), kind="stable")
        return [int(place) for place in order[:count]]

    def since_best(self) -> int:
        """Return how many values were told after the best one; of equals, after the first; 0 without values."""
        return len(self.merits) - 1 - int(np.argmax(self.merits)) if self.merits else 0

    def labels(self, most: int) -> list[int]:
        """Return the places of the labels that a model is fitted to, in the order in which they were told.

        Args:
            most: Where there are more than so many, the best half of that number and the newest of the others.
        """
        if len(self.codes) <= most:
            return list(range(len(self.codes)))
        best = self.best(most // 2)
        others = sorted(set(range(len(self.codes))) - set(best))
        return sorted(best + others[-(most - len(best)) :])

    def state_dict(self) -> dict[str, Any]:
        """Return the state as plain values."""
        return {
            "codes": [list(code) for code in self.codes],
            "merits": [*self.merits],
            "numbers": [*self.numbers],
            "seen": [list(code) for code in self.seen],
            "queue": [[list(code), parent] for code, parent in self.queue],
            "asked": self.asked,
            "rounds": self.rounds,
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a state."""
        self.codes = [tuple(code) for code in state_dict["codes"]]
        self.merits = [float(merit) for merit in state_dict["merits"]]
        self.numbers = list(state_dict["numbers"])
        self.seen = {tuple(code): None for code in state_dict["seen"]}
        self.queue = [(tuple(code), parent) for code, parent in state_dict["queue"]]
        self.asked, self.rounds = int(state_dict["asked"]), int(state_dict["rounds"])
