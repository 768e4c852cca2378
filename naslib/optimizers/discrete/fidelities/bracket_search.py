"""BracketSearch: one bracket of successive halving after the other."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from naslib.errors import CheckpointError
from naslib.history import Trial
from naslib.optimizers.core.metaclasses import Stateful
from naslib.optimizers.discrete.base import Proposal

from .base import MultiFidelityOptimizer
from .bracket import Bracket


class Brackets:
    """The brackets of a search that are not over.

    Attributes:
        begun: How many have begun.
        open: Those that are not over, the oldest first.
    """

    def __init__(self) -> None:
        self.begun = 0
        self.open: list[Bracket] = []

    def add(self, bracket: Bracket) -> Bracket:
        """Begin a bracket."""
        self.begun += 1
        self.open.append(bracket)
        return bracket

    def end(self, trial: Trial, merit: float | None) -> None:
        """Hand the result of a trial to its bracket."""
        for bracket in self.open:
            if trial.number in bracket.running:
                bracket.end(trial, merit)
                if bracket.is_over:
                    self.open.remove(bracket)
                return

    def state_dict(self) -> dict[str, Any]:
        """Return the state as plain values."""
        return {"begun": self.begun, "open": [bracket.state_dict() for bracket in self.open]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a state."""
        self.begun = int(state_dict["begun"])
        self.open = [Bracket.from_state(state) for state in state_dict["open"]]


class BracketSearch(MultiFidelityOptimizer):
    """Ask for the trials of brackets, in the order that `plan` gives.

    While a bracket waits for results that are out, which happens with several workers only, the next one begins.

    Attributes:
        brackets: Those that are not over.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.brackets = Brackets()

    @abstractmethod
    def plan(self, number: int) -> Bracket:
        """Return bracket number `number`, from 0."""

    def propose(self) -> Proposal:
        """Return the next trial of the oldest bracket that has one."""
        bracket = next((bracket for bracket in self.brackets.open if bracket.has_next), None)
        if bracket is None:
            bracket = self.brackets.add(self.plan(self.brackets.begun))
        promoted = bracket.begin(self.record.asked)
        if promoted is not None:
            return self._promotion(promoted, bracket.level)
        return Proposal(self.sample(), None, bracket.level)

    def _take(self, trial: Trial, merit: float) -> None:
        super()._take(trial, merit)
        self.brackets.end(trial, merit)

    def _lose(self, trial: Trial) -> None:
        super()._lose(trial)
        self.brackets.end(trial, None)

    def get_checkpointables(self) -> dict[str, Stateful]:
        """Return everything stateful by name; the brackets beside the record and the random state."""
        return {**super().get_checkpointables(), "brackets": _Checked(self)}

    def _reset(self) -> None:
        super()._reset()
        self.brackets = Brackets()


class _Checked:
    """The brackets of a search in its checkpoints, with the levels that they are of."""

    def __init__(self, search: BracketSearch) -> None:
        self._search = search

    def state_dict(self) -> dict[str, Any]:
        return {"levels": list(self._search.levels), "eta": self._search.eta, **self._search.brackets.state_dict()}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        search = self._search
        before, now = (tuple(state_dict["levels"]), state_dict["eta"]), (search.levels, search.eta)
        if before != now:
            raise CheckpointError(
                f"the checkpoint is of fidelities {list(before[0])} with eta {before[1]}, this search of "
                f"{list(now[0])} with eta {now[1]}"
            )
        search.brackets.load_state_dict(state_dict)
