"""TaskRecord: what a search on several tasks found for each of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from naslib.errors import CheckpointError
from naslib.history import Trial
from naslib.search_spaces.core.codec import Code
from naslib.search_spaces.core.schema import DecisionSpace


class TaskRecord:
    """Keep the best trial of each task, and which decisions the controller makes.

    Args:
        names: The tasks.
        space: What is decided.

    Attributes:
        counts: How many trials of each task are complete.
        best: `(merit, values, number, code)` of the best of each; of equals the first.
        decisions: What is decided, as plain values: name, kind, candidates, how many are chosen, and the condition.
    """

    def __init__(self, names: Sequence[str], space: DecisionSpace) -> None:
        self.counts = dict.fromkeys(names, 0)
        self.best: dict[str, tuple[float, tuple[float, ...], int, Code]] = {}
        self.decisions = described(space)

    def add(self, name: str, trial: Trial, merit: float) -> None:
        """Take note of a complete trial of a task; larger merits are better."""
        self.counts[name] += 1
        if name not in self.best or merit > self.best[name][0]:
            self.best[name] = (merit, trial.values or (), trial.number, trial.code)

    def state_dict(self) -> dict[str, Any]:
        """Return the state as plain values."""
        best = {name: [merit, list(values), n, list(code)] for name, (merit, values, n, code) in self.best.items()}
        return {"counts": dict(self.counts), "best": best, "decisions": self.decisions}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a state.

        Raises:
            CheckpointError: If it is of other tasks.
        """
        if list(state_dict["counts"]) != list(self.counts):
            raise CheckpointError(
                f"the checkpoint is of the tasks {', '.join(state_dict['counts'])}, not {', '.join(self.counts)}"
            )
        self.counts = {name: int(count) for name, count in state_dict["counts"].items()}
        self.best = {
            name: (float(merit), tuple(map(float, values)), int(number), tuple(code))
            for name, (merit, values, number, code) in state_dict["best"].items()
        }


def described(space: DecisionSpace) -> list[list[Any]]:
    """Return the decisions of a space as plain values, equal for spaces that a controller may go between."""
    return [
        [d.name, d.kind, [str(c) for c in d.candidates], d.n_chosen, None if d.condition is None else str(d.condition)]
        for d in space.decisions
    ]


def other_decisions(then: Sequence[Any], now: Sequence[Any]) -> str:
    """Return in what the decisions of two spaces differ; "" where they are the same."""
    if list(then) == list(now):
        return ""
    if len(then) != len(now):
        return f"it makes {len(then)} decisions, this space has {len(now)}"
    before, here = next((a, b) for a, b in zip(then, now, strict=True) if a != b)
    said = [f"{name}: {n if kind == 'inputs' else 1} of {', '.join(c)}" for name, kind, c, n, _ in (before, here)]
    return f"it decides {said[0]}; this space {said[1]}"
