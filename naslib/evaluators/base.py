"""Evaluator: what gives a trial its values."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from naslib.errors import ConfigError, did_you_mean
from naslib.history import Objective, Outcome, Trial

ShouldStop = Callable[[], bool]


def never() -> bool:
    """Say that nothing asks to stop."""
    return False


class Evaluator(ABC):
    """Turn a trial into values, as a function of the trial alone (of its code, fidelity and seed) unless it says so.

    Attributes:
        objectives: What the values are; the first decides.
        fidelity: Epochs of training that a trial gets where the method does not say.
        needs_batches: Whether it is made with loaders and a task; no image is read where it is not.
        is_instant: Whether an answer costs nothing, so that none needs to be kept for a search that was killed.
        can_continue: Whether a trial goes on where the one below it ended, at the cost of the epochs that are added
            (`Trial.from_epoch`).
        is_timed: Whether the seconds of an outcome are those of the clock; a trial that failed has cost some, too.
        carries_state: Whether a value depends on the trials before it. Then it has `state_dict` and `load_state_dict`,
            its state is in the checkpoints of the search, and trials are evaluated in one process, one after the other;
            what was evaluated after the checkpoint that a search goes on from is evaluated again.
        own_costs: Names of costs (`naslib.hardware.METRICS`) that it measures itself; others are found beside it.
        has_curves: Whether it asks `trial.stopping` after each epoch, and keeps the values in `user["curve"]`.
    """

    objectives: tuple[Objective, ...]
    fidelity: int
    is_instant: bool = False
    needs_batches: bool = True
    can_continue: bool = False
    is_timed: bool = False
    carries_state: bool = False
    has_curves: bool = False
    own_costs: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def evaluate(self, trial: Trial, should_stop: ShouldStop = never) -> Outcome:
        """Return the values of a trial.

        Args:
            trial: The trial.
            should_stop: Asked now and then; once it says yes, the evaluation is given up.

        Raises:
            TrialFailed: If the trial has no values, and other trials may have.
            TrialStopped: If it was given up.
        """

    def check(self, code: tuple[int, ...]) -> None:  # noqa: B027 - a hook, empty by default
        """Raise now, before any work, if an architecture could not be evaluated; it is the more thorough the better."""

    @property
    def device(self) -> str:
        """Where its networks run; `"cpu"` where it has none."""
        return str(getattr(getattr(self, "how", None), "device", "cpu"))

    def describe(self) -> dict[str, Any]:
        """Return, as plain values, what must be the same for values to be of the same evaluator."""
        return {"evaluator": type(self).__name__, "objectives": [objective.name for objective in self.objectives]}


def choose_objectives(
    names: Sequence[str] | None, known: Mapping[str, Objective], aliases: Mapping[str, str]
) -> tuple[Objective, ...]:
    """Return the objectives of those names, in any case; the first that is known if none is named.

    Args:
        names: What a person asks for.
        known: What an evaluator measures, by name.
        aliases: Other names for some of them.

    Raises:
        ConfigError: For a name that is not known, or is there twice.
    """
    if not names:
        return (next(iter(known.values())),)
    by_lower = {name.lower(): name for name in known} | {other.lower(): name for other, name in aliases.items()}
    unknown = [name for name in names if str(name).lower() not in by_lower]
    if unknown:
        listed = ", ".join(known)
        raise ConfigError(
            [
                f"search.objectives: no {n!r} is measured{did_you_mean(n, by_lower)} (there are: {listed})"
                for n in unknown
            ]
        )
    chosen = [by_lower[str(name).lower()] for name in names]
    twice = sorted({name for name in chosen if chosen.count(name) > 1})
    if twice:
        raise ConfigError(f"search.objectives: {', '.join(twice)} is there twice")
    return tuple(known[name] for name in chosen)
