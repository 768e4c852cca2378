"""Optimizers whose keywords follow schedules: one mechanism for every method, and for its parts."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from naslib.config.attribute_schedules import (
    AttributeSchedule,
    Place,
    is_numeric,
    parse_schedule,
    schedules_in,
    takes_integers,
    with_values,
)
from naslib.config.method_defaults import shared_default
from naslib.errors import ConfigError
from naslib.registry.catalogue import PARTS
from naslib.registry.signatures import keywords_through, signatures
from naslib.utils.log import get_logger

logger = get_logger(__name__)


class AttributeSchedules:
    """The schedules of an optimizer, and how far they are.

    Args:
        schedules: By place: `(keyword,)`, or `("parts", part, keyword)`.
        epochs: Of the search, or its trials.

    Attributes:
        epoch: The present epoch, or the number of the trial that was asked for last; from 0.
        steps: Steps that were begun.
        per_epoch: Steps of an epoch, None where nobody has said it.
        values: What is set now, by the dotted name of the keyword.
    """

    def __init__(self, schedules: Mapping[Place, AttributeSchedule], epochs: int) -> None:
        self.schedules, self.epochs = dict(schedules), max(1, epochs)
        self.epoch = self.steps = 0
        self.per_epoch: int | None = None
        self.values: dict[str, float] = {}

    def names(self) -> list[str]:
        """Return the dotted names of the keywords."""
        return [".".join(place) for place in self.schedules]

    def at(self, epoch: int) -> dict[Place, float]:
        """Return the values of an epoch; of schedules by steps those at its first step."""
        return {
            place: s.at(epoch if s.every != "step" else epoch * (self.per_epoch or 0), self._total(s))
            for place, s in self.schedules.items()
        }

    def _total(self, schedule: AttributeSchedule) -> int:
        return self.epochs if schedule.every != "step" else self.epochs * (self.per_epoch or 1)

    def check_steps(self) -> None:
        """Raise if a schedule goes over all steps of the search, and nobody knows how many these are.

        Raises:
            ConfigError: Naming the keywords.
        """
        needs = ("linear", "cosine", "exponential")
        unknown = [
            ".".join(place)
            for place, s in self.schedules.items()
            if s.every == "step" and s.kind in needs and s.over is None and self.per_epoch is None
        ]
        if unknown:
            raise ConfigError(
                f"search.{unknown[0]}: nobody says how many steps an epoch has; give the schedule `over`, its steps"
            )

    def enter(self, owner: Any, epoch: int) -> None:
        """Set what holds in an epoch, or for a trial."""
        self.epoch = epoch
        self._set(owner, {place: s.at(epoch, self._total(s)) for place, s in self._by(False)})

    def before_step(self, owner: Any) -> None:
        """Set what holds in the next step, and count it."""
        by_step = self._by(True)
        if by_step:
            self.check_steps()
            self._set(owner, {place: s.at(self.steps, self._total(s)) for place, s in by_step})
        self.steps += 1

    def again(self, owner: Any) -> None:
        """Set everything that holds now, whoever has changed it."""
        self.values = {}
        step = max(0, self.steps - 1)
        places = {p: s.at(step if s.every == "step" else self.epoch, self._total(s)) for p, s in self.schedules.items()}
        self._set(owner, places)

    def _by(self, step: bool) -> list[tuple[Place, AttributeSchedule]]:
        return [(place, s) for place, s in self.schedules.items() if (s.every == "step") == step]

    def _set(self, owner: Any, values: Mapping[Place, float]) -> None:
        changed = []
        for place, value in values.items():
            name = ".".join(place)
            if self.values.get(name) == value:
                continue
            target = owner if len(place) == 1 else owner.parts[place[1]]
            target.follow(place[-1], value)
            self.values[name] = value
            changed.append(f"{name} {value:.6g}")
        if changed:
            (logger.debug if self._by(True) else logger.info)("by schedule: %s", ", ".join(changed))


class SchedulesState:
    """The position of schedules in a checkpoint; loaded, it sets what held there.

    Args:
        schedules: The schedules.
        owner: The optimizer.
    """

    def __init__(self, schedules: AttributeSchedules, owner: Any) -> None:
        self._schedules, self._owner = schedules, owner

    def state_dict(self) -> dict[str, Any]:
        """Return the position, and for readers the values."""
        s = self._schedules
        return {"epoch": s.epoch, "steps": s.steps, "per_epoch": s.per_epoch, "values": dict(s.values)}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a position; how long an epoch is, is said anew by who trains."""
        schedules = self._schedules
        schedules.epoch, schedules.steps = int(state_dict["epoch"]), int(state_dict["steps"])
        schedules.per_epoch = state_dict["per_epoch"] if schedules.per_epoch is None else schedules.per_epoch
        schedules.again(self._owner)


class Following:
    """What is put in front of a method's class when its keywords follow schedules.

    Attributes:
        attribute_schedules: The schedules.
    """

    attribute_schedules: AttributeSchedules

    def adapted(self) -> None:
        """Set what holds at first, once there is something to set it in; see the parent.

        Raises:
            ConfigError: If a keyword has no effect on this space, or with these optimizers.
        """
        super().adapted()  # type: ignore[misc]
        self.attribute_schedules.epoch = self.attribute_schedules.steps = 0
        check_followed(self, self.attribute_schedules)
        self.attribute_schedules.again(self)

    def get_checkpointables(self) -> dict[str, Any]:
        """Return what the parent returns, and the position of the schedules."""
        found: dict[str, Any] = super().get_checkpointables()  # type: ignore[misc]
        return {**found, "attribute_schedules": SchedulesState(self.attribute_schedules, self)}


class FollowingSteps(Following):
    """Of a method that is fed batches."""

    def expect_steps(self, per_epoch: int | None) -> None:
        """Take note of how many steps an epoch has; see the parent."""
        self.attribute_schedules.per_epoch = per_epoch
        self.attribute_schedules.check_steps()

    def new_epoch(self, epoch: int) -> None:
        """Set what holds in the epoch, and begin it."""
        self.attribute_schedules.enter(self, epoch)
        super().new_epoch(epoch)  # type: ignore[misc]

    def step(self, data_train: Any, data_val: Any) -> Any:
        """Set what holds in the step, and take it."""
        self.attribute_schedules.before_step(self)
        return super().step(data_train, data_val)  # type: ignore[misc]


class FollowingTrials(Following):
    """Of a method that asks for trials."""

    record: Any

    def propose(self) -> Any:
        """Set what holds for the trial, and propose it."""
        self.attribute_schedules.enter(self, self.record.asked)
        return super().propose()  # type: ignore[misc]


@functools.cache
def following(cls: type) -> type:
    """Return a class with the schedules in front of a method's; it has the name of the method's."""
    mixin = FollowingSteps if cls.using_step_function else FollowingTrials  # type: ignore[attr-defined]
    own = {"__module__": cls.__module__, "__qualname__": cls.__qualname__, "__doc__": cls.__doc__, "__wrapped__": cls}
    return type(cls)(cls.__name__, (mixin, cls), own)


def make_following(cls: type, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Return an optimizer whose keywords follow the schedules that stand in place of their values.

    The constructor is tried with the first and the last values, so that one out of range is an error now.

    Args:
        cls: The class of the optimizer.
        args: For its constructor.
        kwargs: For its constructor; some are schedules.

    Raises:
        ConfigError: If something is no schedule, or a keyword cannot follow one; says why.
    """
    known = keywords_through(signatures(cls))
    schedules: dict[Place, AttributeSchedule] = {}
    problems: list[str] = []
    for place, given in schedules_in(kwargs).items():
        own = known if len(place) == 1 else keywords_through(PARTS.signatures(place[1])) if place[1] in PARTS else {}
        name, parameter = ".".join(("search", *place)), own.get(place[-1])
        annotation: Any = "float" if parameter is None else parameter.annotation
        if not is_numeric(annotation):
            problems.append(f"{name}: it takes no number, and cannot follow a schedule")
            continue
        schedule, wrong = parse_schedule(given, takes_integers(annotation))
        problems += [f"{name}: {text}" for text in wrong]
        if schedule is not None:
            schedules[place] = schedule
    if ("epochs",) in schedules:
        problems.append("search.epochs: it is what schedules go over, and cannot follow one")
    if problems:
        raise ConfigError(problems)
    epochs = kwargs.get("epochs")
    following_schedules = AttributeSchedules(schedules, int(shared_default("epochs") if epochs is None else epochs))
    first, *others = _values_to_try(following_schedules)
    optimizer = type.__call__(following(cls), *args, **with_values(kwargs, first))
    check_followed(optimizer, following_schedules)
    for values in others:
        type.__call__(cls, *args, **with_values(kwargs, values))
    optimizer.attribute_schedules = following_schedules
    return optimizer


def _values_to_try(schedules: AttributeSchedules) -> list[dict[Place, float]]:
    """Return the values of all keywords at first and at last, and each piece of one with the first of the others."""
    first = schedules.at(0)
    last = {
        place: s.at(schedules.epochs - 1, schedules.epochs) if s.every != "step" or s.kind != "step" else first[place]
        for place, s in schedules.schedules.items()
    }
    pieces = [
        {**first, place: s.at(position, schedules.epochs)}
        for place, s in schedules.schedules.items()
        for position in s.milestones
    ]
    return [first, last, *pieces]


def check_followed(owner: Any, schedules: AttributeSchedules) -> None:
    """Raise if a schedule would have no effect.

    Args:
        owner: The optimizer.
        schedules: Its schedules.

    Raises:
        ConfigError: Naming each keyword, with the reason.
    """
    problems = []
    for place in schedules.schedules:
        parts = parts_of(owner)
        if len(place) == 1:
            reason = owner.unscheduled(place[0])
        elif place[1] in parts:
            reason = parts[place[1]].unscheduled(place[-1])
        else:
            reason = "a trial that is pending is judged by what held when it was asked for"
        if reason:
            problems.append(f"search.{'.'.join(place)} cannot follow a schedule: {reason}")
    if problems:
        raise ConfigError(problems)


def parts_of(owner: Any) -> Mapping[str, Any]:
    """Return the parts of an optimizer by name; none where a method calls something else so."""
    parts = getattr(owner, "parts", None)
    return parts if isinstance(parts, Mapping) else {}


@functools.cache
def merged(cls: type, attribute: str) -> dict[str, Any]:
    """Return a mapping that a class states, with what its parents state besides; the class has the last word."""
    found: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        found |= vars(base).get(attribute, {})
    return found


def reason_against(cls: type, name: str) -> str:
    """Return why a keyword of a class cannot follow a schedule, as `SCHEDULABLE` says; "" where it can.

    Args:
        cls: The class of an optimizer or a part.
        name: The keyword.
    """
    known: dict[str, str] = merged(cls, "SCHEDULABLE")
    if name in known:
        return known[name]
    able = ", ".join(sorted(key for key, why in known.items() if not why)) or "none"
    return f"it is read at the beginning, and not again (keywords that can: {able})"
