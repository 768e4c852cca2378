"""Trial: one architecture that a search has evaluated or is about to."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any, NamedTuple

Code = tuple[int, ...]
# Told the values of the first objective after each epoch so far, it returns None to go on, or why to stop: plain values
# that are kept in `user`. It travels to other processes.
Stopping = Callable[[Sequence[float]], Mapping[str, Any] | None]


class State(Enum):
    """Where a trial stands.

    WAITING was asked for, RUNNING is being evaluated, COMPLETE has its values, PRUNED was stopped early on purpose (its
    values are those of the fidelity it reached), FAILED has none: its training diverged or its worker died.
    """

    WAITING = "waiting"
    RUNNING = "running"
    COMPLETE = "complete"
    PRUNED = "pruned"
    FAILED = "failed"

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen to the trial."""
        return self not in (State.WAITING, State.RUNNING)


class Objective(NamedTuple):
    """What a value of a trial is.

    Attributes:
        name: Such as `"accuracy"` or `"params"`.
        maximize: Whether larger is better.
        unit: Such as `"%"`; "" for a plain number.
    """

    name: str
    maximize: bool = True
    unit: str = ""

    @property
    def is_accuracy(self) -> bool:
        """Whether it is a share in percent, of which more is better."""
        return self.maximize and self.unit == "%"

    @property
    def in_words(self) -> str:
        """What stands at the axis of a picture: `latency [ms], smaller is better`."""
        unit = f" [{self.unit}]" if self.unit else ""
        return f"{self.name.lower().replace('_', ' ')}{unit}, {'larger' if self.maximize else 'smaller'} is better"

    def merit(self, value: float) -> float:
        """Return the value such that larger is better."""
        return value if self.maximize else -value


class Outcome(NamedTuple):
    """What an evaluator found out about a trial.

    Attributes:
        values: One per objective, in their order.
        seconds: What the evaluation took, or is said to have taken where a table answers.
        user: Whatever else is worth keeping, as plain JSON-able values.
        state: COMPLETE, or PRUNED if the trial's `stopping` has ended it; `user["epochs"]` then says how far it came.
    """

    values: tuple[float, ...]
    seconds: float = 0.0
    user: Mapping[str, Any] = {}
    state: State = State.COMPLETE


@dataclasses.dataclass(frozen=True, slots=True)
class Trial:
    """One evaluation of one architecture; frozen: what becomes of it is a new trial of the same number.

    Attributes:
        number: Its place in the order of asking, from 0.
        code: The architecture.
        fidelity: Epochs of training, -1 for the longest that a table has.
        state: Where it stands.
        values: One per objective, None while there are none.
        seconds: What the evaluation took; simulated ones where a table says them.
        seed: Of everything random in the evaluation.
        worker: Number of the worker that evaluated it; None in the process of the search.
        parent: Number of the trial that it is a child of, None without one.
        user: Whatever else is worth keeping, as plain JSON-able values. A trial that goes on where another one of the
            same architecture ended has here the number of the first of them, `root`, and the epochs that are done,
            `from_epoch`; one of a search with several data sets has the name of its own, `task`.
        stopping: What may end the trial early; while it is evaluated only, and never kept.
    """

    number: int
    code: Code
    fidelity: int = -1
    state: State = State.WAITING
    values: tuple[float, ...] | None = None
    seconds: float = 0.0
    seed: int | None = None
    worker: int | None = None
    parent: int | None = None
    user: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    stopping: Stopping | None = dataclasses.field(default=None, compare=False, repr=False)

    @property
    def root(self) -> int:
        """Number of the trial that its training began with: its own unless it continues another one."""
        return int(self.user.get("root", self.number))

    @property
    def from_epoch(self) -> int:
        """Epochs of its training that are those of a trial before; 0 if it begins anew."""
        return int(self.user.get("from_epoch", 0))

    @property
    def task(self) -> str | None:
        """The data set that it is evaluated on; None for that of the run."""
        return self.user.get("task")

    @property
    def epochs(self) -> int:
        """Epochs of training that it has cost, as far as is known: 0 where the fidelity is no number of epochs."""
        return max(0, int(self.user.get("epochs", self.fidelity)) - self.from_epoch)

    def started(self, worker: int | None = None) -> Trial:
        """Return the trial as it is once its evaluation has begun."""
        return dataclasses.replace(self, state=State.RUNNING, worker=worker)

    def completed(
        self,
        values: float | Sequence[float],
        seconds: float = 0.0,
        user: Mapping[str, Any] | None = None,
        state: State = State.COMPLETE,
    ) -> Trial:
        """Return the trial with its values; one that has a NaN or an infinite value has failed."""
        numbers = as_values(values)
        kept = {**self.user, **user} if user else self.user
        if not all(map(math.isfinite, numbers)):
            said = ", ".join(map(str, numbers))
            return self.failed(f"a value is not finite ({said})", seconds, kept)
        return Trial(  # `dataclasses.replace` takes four times as long
            self.number, self.code, self.fidelity, state, numbers, float(seconds), self.seed, self.worker, self.parent,
            kept,
        )  # fmt: skip

    def failed(self, reason: str, seconds: float = 0.0, user: Mapping[str, Any] | None = None) -> Trial:
        """Return the trial as failed; `user["error"]` says why."""
        kept = {**self.user, **(user or {}), "error": reason}
        return dataclasses.replace(
            self, state=State.FAILED, values=None, seconds=float(seconds), user=kept, stopping=None
        )


def is_longer(fidelity: int, than: int) -> bool:
    """Say whether one number of epochs is larger than another; -1 is the longest."""
    return fidelity != than and (fidelity == -1 or (than != -1 and fidelity > than))


def as_values(values: float | Sequence[float]) -> tuple[float, ...]:
    """Return the values of a trial as plain floats; a number alone is the value of the one objective."""
    if type(values) is tuple or isinstance(values, Sequence):
        return tuple(float(value) for value in values)
    return (float(values),)
