"""Bracket: one run of successive halving."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from naslib.history import Trial


class Bracket:
    """Some architectures at the first of several levels, the best of them at the next one, and so on.

    A level begins when all trials of the one before are over; those that have failed are not promoted.

    Args:
        levels: The fidelities, ascending.
        sizes: How many trials there are at each, at most.

    Attributes:
        rung: The present level, as an index.
        waiting: Trials of the level before that are promoted and not asked for yet.
        running: Numbers of the trials that have not been told.
        results: Merit and trial of those told at the present level.
    """

    def __init__(self, levels: Sequence[int], sizes: Sequence[int]) -> None:
        self.levels, self.sizes = list(levels), list(sizes)
        self.rung = 0
        self.to_draw = self.sizes[0]
        self.waiting: list[Trial] = []
        self.running: set[int] = set()
        self.results: list[tuple[float, Trial]] = []

    @property
    def level(self) -> int:
        """The present fidelity."""
        return self.levels[self.rung]

    @property
    def is_over(self) -> bool:
        """Whether no trial is left to be asked for or told."""
        return not (self.to_draw or self.waiting or self.running)

    @property
    def has_next(self) -> bool:
        """Whether a trial can be asked for now."""
        return bool(self.to_draw or self.waiting)

    def begin(self, number: int) -> Trial | None:
        """Take note that a trial is asked for.

        Args:
            number: Its number.

        Returns:
            The trial of the level before that is promoted; None for a new architecture.
        """
        self.running.add(number)
        if self.to_draw:
            self.to_draw -= 1
            return None
        return self.waiting.pop(0)

    def end(self, trial: Trial, merit: float | None) -> None:
        """Take the result of a trial; the last one of a level decides who is promoted.

        Args:
            trial: The trial.
            merit: Larger is better; None without a value.
        """
        self.running.remove(trial.number)
        if merit is not None:
            self.results.append((merit, from_row(as_row(trial))))
        if self.running or self.has_next or self.rung + 1 >= len(self.sizes):
            return
        self.rung += 1
        ranked = sorted(self.results, key=lambda result: (-result[0], result[1].number))
        self.waiting = [promoted for _, promoted in ranked[: self.sizes[self.rung]]]
        self.results = []

    def state_dict(self) -> dict[str, Any]:
        """Return the state as plain values."""
        return {
            "levels": [*self.levels],
            "sizes": [*self.sizes],
            "rung": self.rung,
            "to_draw": self.to_draw,
            "waiting": [as_row(trial) for trial in self.waiting],
            "running": sorted(self.running),
            "results": [[merit, *as_row(trial)] for merit, trial in self.results],
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Bracket:
        """Return the bracket that has a state."""
        bracket = cls(state["levels"], state["sizes"])
        bracket.rung, bracket.to_draw = int(state["rung"]), int(state["to_draw"])
        bracket.waiting = [from_row(row) for row in state["waiting"]]
        bracket.running = set(state["running"])
        bracket.results = [(float(merit), from_row(row)) for merit, *row in state["results"]]
        return bracket


def as_row(trial: Trial) -> list[Any]:
    """Return what a promotion needs of a trial, as plain values."""
    return [trial.number, list(trial.code), trial.fidelity, trial.root]


def from_row(row: Sequence[Any]) -> Trial:
    """Return the trial of a row."""
    number, code, fidelity, root = row
    return Trial(int(number), tuple(code), int(fidelity), user={} if root == number else {"root": int(root)})
