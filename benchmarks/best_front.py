"""The best front of accuracy against latency that a table has, and which share of its hypervolume a search reaches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from naslib.history import Objective
from naslib.history.fronts import reference_point
from naslib.history.pareto import hypervolume

PAIR = (Objective("accuracy", True, "%"), Objective("latency", False, "ms"))


@dataclass(frozen=True)
class BestFront:
    """The best front of a device.

    Attributes:
        front: `(n, 2)` accuracy and negative latency.
        reference: The worst of it in each, with 5 % of its range as slack.
        volume: Its hypervolume above that.
    """

    front: np.ndarray
    reference: tuple[float, ...]
    volume: float

    @classmethod
    def of(cls, merits: np.ndarray) -> BestFront:
        """Return that of merits `(n, 2)`."""
        order = np.lexsort((-merits[:, 1], -merits[:, 0]))
        rows = merits[order]
        before = np.concatenate([[-np.inf], np.maximum.accumulate(rows[:-1, 1])])
        front = rows[rows[:, 1] > before]
        reference = reference_point([front], PAIR)
        assert reference is not None
        return cls(front, reference, hypervolume(front, reference))

    def share(self, merits: np.ndarray) -> float:
        """Return the hypervolume of merits `(n, 2)` over that of the best front."""
        return hypervolume(merits, self.reference) / self.volume
