"""ASHA: successive halving that waits for nobody ([Li2020asha])."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Mapping
from typing import Any

from naslib.errors import CheckpointError
from naslib.history import Trial
from naslib.optimizers.core.metaclasses import Stateful
from naslib.optimizers.discrete.base import Proposal
from naslib.optimizers.discrete.fidelities.base import MultiFidelityOptimizer
from naslib.optimizers.discrete.fidelities.bracket import as_row, from_row
from naslib.optimizers.registry import OPTIMIZERS

# A trial in the order of a rung: larger merits come first, of equals the earlier trial
_Place = tuple[float, int]


class Rung:
    """The trials that have been told at one level, the best first.

    Attributes:
        promoted: Places of those that are at the next level, or were asked for there.
        left: Places of the others.
        trials: The others, by number.
    """

    def __init__(self) -> None:
        self.promoted: list[_Place] = []
        self.left: list[_Place] = []
        self.trials: dict[int, Trial] = {}

    def __len__(self) -> int:
        return len(self.promoted) + len(self.left)

    def add(self, trial: Trial, merit: float) -> None:
        """Add a trial that has been told."""
        insort(self.left, (-merit, trial.number))
        self.trials[trial.number] = from_row(as_row(trial))

    def promotable(self, eta: int) -> bool:
        """Say whether one of the best `1 / eta` has not been promoted."""
        if not self.left:
            return False
        return bisect_left(self.promoted, self.left[0]) < len(self) // eta

    def promote(self) -> Trial:
        """Return the best trial that has not been promoted, and count it as promoted."""
        place = self.left.pop(0)
        insort(self.promoted, place)
        return self.trials.pop(place[1])

    def state_dict(self) -> dict[str, Any]:
        """Return the state as plain values."""
        return {
            "promoted": [list(place) for place in self.promoted],
            "left": [[place[0], *as_row(self.trials[place[1]])] for place in self.left],
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a state."""
        self.promoted = [(float(merit), int(number)) for merit, number in state_dict["promoted"]]
        found = [(float(merit), from_row(row)) for merit, *row in state_dict["left"]]
        self.left = [(merit, trial.number) for merit, trial in found]
        self.trials = {trial.number: trial for _, trial in found}


class Rungs:
    """The rungs of a search, the lowest first; the highest one is not among them, as nothing is promoted from it.

    Args:
        levels: The fidelities of the search.
        eta: One of so many is promoted.
    """

    def __init__(self, levels: tuple[int, ...], eta: int) -> None:
        self.levels, self.eta = levels, eta
        self.rungs = [Rung() for _ in levels[:-1]]

    def __iter__(self) -> Any:
        return iter(self.rungs)

    def add(self, trial: Trial, merit: float) -> None:
        """Add a trial to the rung of its fidelity."""
        place = self.levels.index(trial.fidelity)
        if place < len(self.rungs):
            self.rungs[place].add(trial, merit)

    def promotion(self) -> tuple[Trial, int] | None:
        """Return a trial that is to be promoted and its next fidelity, from the highest rung that has one."""
        for place in reversed(range(len(self.rungs))):
            if self.rungs[place].promotable(self.eta):
                return self.rungs[place].promote(), self.levels[place + 1]
        return None

    def state_dict(self) -> dict[str, Any]:
        """Return the state as plain values."""
        rungs = [rung.state_dict() for rung in self.rungs]
        return {"levels": list(self.levels), "eta": self.eta, "rungs": rungs}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a state.

        Raises:
            CheckpointError: If it is of other levels.
        """
        before, now = (tuple(state_dict["levels"]), state_dict["eta"]), (self.levels, self.eta)
        if before != now:
            raise CheckpointError(
                f"the checkpoint is of fidelities {list(before[0])} with eta {before[1]}, this search of "
                f"{list(now[0])} with eta {now[1]}"
            )
        for rung, state in zip(self.rungs, state_dict["rungs"], strict=True):
            rung.load_state_dict(state)


@OPTIMIZERS.register("asha")
class ASHA(MultiFidelityOptimizer):
    """Promote whatever is among the best `1 / eta` of its level by now ([Li2020asha], algorithm 2).

    Asked for a trial, it looks from the second highest level down for one among the best `1 / eta` there that is not
    promoted yet; there being none, it begins a new architecture at the lowest level. Trials that have failed are in no
    level. Takes the keywords of `MultiFidelityOptimizer`.

    Attributes:
        rungs: What has been told at each level.
    """

    IS_ASYNCHRONOUS = True

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rungs = Rungs(self.levels, self.eta)

    def propose(self) -> Proposal:
        """Return a promotion where there is one, else a new architecture."""
        promotion = self.rungs.promotion()
        if promotion is not None:
            return self._promotion(*promotion)
        return Proposal(self.sample(), None, self.levels[0])

    def use_evaluator(self, evaluator: Any) -> None:
        """Take objectives and longest training of an evaluator; see `MultiFidelityOptimizer`."""
        super().use_evaluator(evaluator)
        if self.rungs.levels != self.levels:
            self.rungs = Rungs(self.levels, self.eta)

    def get_checkpointables(self) -> dict[str, Stateful]:
        """Return everything stateful by name; the rungs beside the record and the random state."""
        return {**super().get_checkpointables(), "rungs": self.rungs}

    def _take(self, trial: Trial, merit: float) -> None:
        super()._take(trial, merit)
        self.rungs.add(trial, merit)

    def _reset(self) -> None:
        super()._reset()
        self.rungs = Rungs(self.levels, self.eta)
