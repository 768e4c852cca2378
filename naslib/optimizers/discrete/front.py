"""Front: the trials of a search that no other trial dominates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from naslib.history.pareto import dominates
from naslib.search_spaces.core.codec import Code


class FrontMember(NamedTuple):
    """A trial that none dominates.

    Attributes:
        code: The architecture.
        merits: Its values, each such that larger is better.
        number: Of the trial; None where it was told as a code.
    """

    code: Code
    merits: tuple[float, ...]
    number: int | None


class Front:
    """The non-dominated trials so far, in the order in which they came; of equal values the first.

    It grows by non-dominated trials alone, and loses what they dominate.

    Args:
        fidelity: Epochs of training that the values are of; None where nobody says.

    Attributes:
        members: The trials.
    """

    def __init__(self, fidelity: int | None = None) -> None:
        self.fidelity = fidelity
        self.members: list[FrontMember] = []

    def __len__(self) -> int:
        return len(self.members)

    def add(self, code: Code, merits: Sequence[float], number: int | None = None) -> bool:
        """Take note of a trial; say whether it is a member now."""
        new = tuple(merits)
        if any(member.merits == new or dominates(member.merits, new) for member in self.members):
            return False
        self.members = [member for member in self.members if not dominates(new, member.merits)]
        self.members.append(FrontMember(code, new, number))
        return True

    def merits(self) -> np.ndarray:
        """Return the merits of the members, `(n, m)`."""
        return np.array([member.merits for member in self.members], dtype=np.float64)

    def in_order(self) -> list[FrontMember]:
        """Return the members from the best to the worst by the first objective."""
        return sorted(self.members, key=lambda member: member.merits, reverse=True)

    def to_plain(self) -> dict[str, Any]:
        """Return the state as plain values."""
        rows = [[list(member.code), list(member.merits), member.number] for member in self.members]
        return {"members": rows, "fidelity": self.fidelity}

    @classmethod
    def from_plain(cls, state: Any) -> Front:
        """Return the front of a state; an empty one of None."""
        front = cls()
        if state:
            front.fidelity = state["fidelity"]
            front.members = [FrontMember(tuple(c), tuple(map(float, m)), n) for c, m, n in state["members"]]
        return front
