"""SearchRecord: how far a search on codes is, and what is best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from naslib.history import State, Trial
from naslib.history.trial import is_longer
from naslib.search_spaces.core.codec import Code

from .front import Front


class SearchRecord:
    """What a search has seen, in a size that grows only when the incumbent or the front changes.

    Values are merits: larger is better, so that what is minimised stands here with the opposite sign. Values at
    different fidelities are not compared: the incumbent is the best at the highest fidelity that a trial has reached.

    Attributes:
        evaluations: Number of architectures told with a value.
        latest: The architecture told last.
        incumbent: The best one so far; of equals the first.
        incumbent_value: Its value.
        incumbent_values: All its values, where a trial told them.
        incumbent_trial: The number of its trial, None where it was told as a code.
        incumbent_fidelity: Epochs of training that its value is of, -1 for the longest; None where nobody told.
        lowest: The smallest value at that fidelity.
        trajectory: `(evaluations, value, code)` at every change of the incumbent.
        front: Of several objectives, the trials that none dominates; empty for one objective.
        asked: Number of trials asked for; the number of the next one.
        pending: Trials asked for and not told yet, by number.
        failed: Number of trials that have failed.
        last_failure: Why the last one has.
        pruned: Number of trials that were stopped early.
        seconds: What all told trials took.
        epochs: Epochs of training that they cost; those that a trial shares with one that it continues count once.
    """

    def __init__(self) -> None:
        self.evaluations = 0
        self.latest: Code | None = None
        self.incumbent: Code | None = None
        self.incumbent_value = float("-inf")
        self.incumbent_values: tuple[float, ...] = ()
        self.incumbent_trial: int | None = None
        self.incumbent_fidelity: int | None = None
        self.lowest = float("inf")
        self.trajectory: list[tuple[int, float, Code]] = []
        self.front = Front()
        self.asked = 0
        self.pending: dict[int, Trial] = {}
        self.failed = 0
        self.last_failure = ""
        self.pruned = 0
        self.seconds = 0.0
        self.epochs = 0

    def add(self, code: Code, value: float) -> None:
        """Take note of an evaluated architecture."""
        self.note(code, value)
        if value > self.incumbent_value:
            self.incumbent, self.incumbent_value = code, value
            self.incumbent_values, self.incumbent_trial = (value,), None
            self.trajectory.append((self.evaluations, value, code))

    def note(self, code: Code, value: float) -> None:
        """Count an evaluated architecture, which is not compared with the incumbent."""
        self.evaluations += 1
        self.latest = code
        if value < self.lowest:
            self.lowest = value

    def add_trial(self, trial: Trial, merit: float) -> None:
        """Take note of a trial that has its values."""
        if not self.decides(trial.fidelity):
            self.evaluations += 1
            self.latest = trial.code
            return
        changes = len(self.trajectory)
        self.add(trial.code, merit)
        if len(self.trajectory) > changes:
            self.incumbent_values, self.incumbent_trial = trial.values or (), trial.number

    def choose(self, code: Code, values: tuple[float, ...], merit: float, number: int | None) -> None:
        """Make an architecture that was told the incumbent, by a comparison of the method's own.

        Args:
            code: The architecture.
            values: All its values.
            merit: Of the first objective, larger is better.
            number: Of its trial.
        """
        self.incumbent_values, self.incumbent_trial = values, number
        if code != self.incumbent or merit != self.incumbent_value:
            self.incumbent, self.incumbent_value = code, merit
            self.trajectory.append((self.evaluations, merit, code))

    def decides(self, fidelity: int) -> bool:
        """Say whether a value at a fidelity decides, none being of a higher one; those of lower ones no longer do."""
        before = self.incumbent_fidelity
        if before == fidelity:
            return True
        if before is not None and is_longer(before, fidelity):
            return False
        self.incumbent_fidelity = fidelity
        if before is not None:
            self.incumbent_value, self.lowest = float("-inf"), float("inf")
        return True

    def add_to_front(self, trial: Trial, merits: Sequence[float]) -> None:
        """Take note of the merits of all objectives of a trial that was added; as the incumbent, at one fidelity."""
        if trial.fidelity != self.incumbent_fidelity:
            return
        if self.front.fidelity != trial.fidelity:
            self.front = Front(trial.fidelity)
        self.front.add(trial.code, merits, trial.number)

    def add_without_value(self, trial: Trial) -> None:
        """Take note of a trial that decides nothing: it has failed, or was stopped early."""
        if trial.state is State.FAILED:
            self.add_failed(f"trial {trial.number}: {trial.user.get('error', 'no value was told')}")
        elif trial.state is State.PRUNED:
            self.pruned += 1

    def add_failed(self, why: str) -> None:
        """Take note that an evaluation has failed."""
        self.failed += 1
        self.last_failure = why

    def state_dict(self) -> dict[str, Any]:
        """Return the state as plain values."""
        return {
            "evaluations": self.evaluations,
            "latest": None if self.latest is None else list(self.latest),
            "lowest": self.lowest,
            "trajectory": [[n, value, list(code)] for n, value, code in self.trajectory],
            "front": self.front.to_plain(),
            "incumbent_values": list(self.incumbent_values),
            "incumbent_trial": self.incumbent_trial,
            "asked": self.asked,
            "pending": [[t.number, list(t.code), t.fidelity, t.parent, dict(t.user)] for t in self.pending.values()],
            "failed": self.failed,
            "last_failure": self.last_failure,
            "pruned": self.pruned,
            "seconds": self.seconds,
            "epochs": self.epochs,
            "incumbent_fidelity": self.incumbent_fidelity,
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a state; one of a version without trials has none that are pending or failed."""
        latest = state_dict["latest"]
        self.evaluations = int(state_dict["evaluations"])
        self.lowest = float(state_dict.get("lowest", float("-inf")))  # of an older checkpoint it is not known
        self.latest = None if latest is None else tuple(latest)
        self.trajectory = [(int(n), float(value), tuple(code)) for n, value, code in state_dict["trajectory"]]
        _, self.incumbent_value, self.incumbent = self.trajectory[-1] if self.trajectory else (0, float("-inf"), None)
        self.front = Front.from_plain(state_dict.get("front"))
        self.incumbent_values = tuple(map(float, state_dict.get("incumbent_values", ())))
        self.incumbent_trial = state_dict.get("incumbent_trial")
        self.asked = int(state_dict.get("asked", self.evaluations))
        rows = state_dict.get("pending", ())
        self.pending = {row[0]: _pending(*row) for row in rows}
        self.failed = int(state_dict.get("failed", 0))
        self.last_failure = str(state_dict.get("last_failure", ""))
        self.pruned = int(state_dict.get("pruned", 0))
        self.seconds = float(state_dict.get("seconds", 0.0))
        self.epochs = int(state_dict.get("epochs", 0))
        fidelity = state_dict.get("incumbent_fidelity")
        self.incumbent_fidelity = None if fidelity is None else int(fidelity)


def _pending(
    number: int, code: list[int], fidelity: int, parent: int | None, user: Mapping[str, Any] | None = None
) -> Trial:
    return Trial(number, tuple(code), fidelity, parent=parent, user=dict(user or {}))
