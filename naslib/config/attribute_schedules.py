"""Schedules of keywords: what stands in a config in place of a number, `{schedule: linear, from: 10, to: .1}`."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from naslib.config.extensions import Keywords, keyword_names
from naslib.config.schema import SEARCH_KEYS
from naslib.config.type_check import Problems, check_types, got
from naslib.errors import did_you_mean

MARK = "schedule"
KINDS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {  # what each needs, and what else it takes
    "linear": (("from", "to"), ("over",)),
    "cosine": (("from", "to"), ("over",)),
    "exponential": (("from", "to"), ("over",)),
    "step": (("from", "factor", "size"), ("to",)),
    "piecewise": (("values", "milestones"), ()),
}
EVERY = ("epoch", "trial", "step")
_COUNTS = ("over", "size")


@dataclass(frozen=True)
class AttributeSchedule:
    """A number as a function of the position, which counts epochs, trials or steps from 0.

    With `p = min(i, n - 1) / (n - 1)` at position i of n (0 where n is 1) the value is

    * linear: `from - (from - to) p`
    * cosine: `to + (from - to) (1 + cos(pi p)) / 2`
    * exponential: `from (to / from)^p`
    * step: `from factor^floor(i / size)`, no further than `to` where there is one
    * piecewise: `values[k]`, k of the milestones being at most i

    Attributes:
        kind: One of `KINDS`.
        every: `epoch`, or `trial` (the same for a search of trials), or `step`.
        first: `from`.
        last: `to`.
        over: n; None for all epochs, trials or steps of the search.
        factor: Of a step.
        size: Positions between steps.
        values: Of the pieces.
        milestones: Where each piece but the first begins, ascending, from 1.
        integer: Whether values are rounded to integers.
    """

    kind: str
    every: str = "epoch"
    first: float = 0.0
    last: float | None = None
    over: int | None = None
    factor: float = 1.0
    size: int = 1
    values: tuple[float, ...] = ()
    milestones: tuple[int, ...] = ()
    integer: bool = False

    def at(self, position: int, total: int) -> float:
        """Return the value at a position; the last one for what comes after `total` positions.

        Args:
            position: From 0.
            total: n, where the schedule does not say it itself.
        """
        value = self._value(position, total if self.over is None else self.over)
        return round(value) if self.integer else value

    def _value(self, position: int, total: int) -> float:
        if self.kind == "piecewise":
            return self.values[sum(milestone <= position for milestone in self.milestones)]
        first, last = self.first, self.first if self.last is None else self.last
        if self.kind == "step":
            value = first * self.factor ** (position // self.size)
            if self.last is None:
                return value
            return max(value, last) if self.factor < 1 else min(value, last)
        place, steps = min(position, total - 1), total - 1
        if steps < 1:
            return first
        if self.kind == "cosine":
            return last + (first - last) * (1 + math.cos(math.pi * place / steps)) / 2
        if self.kind == "exponential":
            return float(first * (last / first) ** (place / steps))
        return first - (first - last) * place / steps

    def extremes(self, total: int) -> list[int]:
        """Return positions among whose values the smallest and the largest are."""
        if self.kind == "piecewise":
            return [0, *self.milestones]
        length = total if self.over is None else self.over
        return [0, max(0, length - 1)]


def is_schedule(value: Any) -> TypeGuard[Mapping[str, Any]]:
    """Say whether a value of a config stands for a schedule."""
    return isinstance(value, Mapping) and MARK in value


def parse_schedule(given: Mapping[str, Any], integer: bool = False) -> tuple[AttributeSchedule | None, list[str]]:
    """Return the schedule that a mapping stands for, or None and what is wrong with it.

    Args:
        given: `schedule`, and what goes with it.
        integer: Whether the keyword takes integers alone.
    """
    kind = given[MARK]
    if not isinstance(kind, str) or kind not in KINDS:
        return None, [f"unknown schedule {kind!r}{did_you_mean(str(kind), KINDS)} (known: {', '.join(KINDS)})"]
    needed, optional = KINDS[kind]
    allowed = (MARK, "every", *needed, *optional)
    problems = [
        f"a {kind} schedule has no {key!r}{did_you_mean(str(key), allowed)} (it has: {', '.join(allowed[1:])})"
        for key in given
        if key not in allowed
    ]
    problems += [f"a {kind} schedule needs {key!r}" for key in needed if key not in given]
    every = given.get("every", "epoch")
    if every not in EVERY:
        problems.append(f"every must be one of {', '.join(EVERY)}, not {every!r}")
    for key in ("from", "to", "factor"):
        if key in given and not _is_number(given[key]):
            problems.append(f"{key}: expected a number, got {got(given[key])}")
    for key in _COUNTS:
        if key in given and not (_is_integer(given[key]) and given[key] >= 1):
            problems.append(f"{key}: expected an integer >= 1, got {got(given[key])}")
    if kind == "piecewise" and not problems:
        problems += _piece_problems(given["values"], given["milestones"])
    if problems:
        return None, problems
    if kind == "exponential" and not given["from"] * given["to"] > 0:
        return None, [
            f"an exponential schedule goes between numbers of one sign, not {given['from']} and {given['to']}"
        ]
    if kind == "step" and not given["factor"] > 0:
        return None, [f"factor must be positive, got {given['factor']}"]
    to = given.get("to")
    schedule = AttributeSchedule(
        kind=kind,
        every=every,
        first=float(given.get("from", 0.0)),
        last=None if to is None else float(to),
        over=given.get("over"),
        factor=float(given.get("factor", 1.0)),
        size=int(given.get("size", 1)),
        values=tuple(map(float, given.get("values", ()))),
        milestones=tuple(given.get("milestones", ())),
        integer=integer,
    )
    return schedule, []


def _piece_problems(values: Any, milestones: Any) -> Iterator[str]:
    if not isinstance(values, list | tuple) or not values or not all(map(_is_number, values)):
        yield f"values: expected a list of numbers, got {got(values)}"
        return
    if not isinstance(milestones, list | tuple) or not all(map(_is_integer, milestones)):
        yield f"milestones: expected a list of integers, got {got(milestones)}"
        return
    if len(milestones) != len(values) - 1:
        yield f"{len(values)} values have {len(values) - 1} milestones between them, not {len(milestones)}"
    if list(milestones) != sorted(set(milestones)) or (milestones and milestones[0] < 1):
        yield f"milestones ascend from 1 on, got {list(milestones)}"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def is_numeric(annotation: Any) -> bool:
    """Say whether a keyword takes a number: `int`, `float`, or one of them besides `None` or text."""
    return bool(_kinds(annotation) & {"int", "float"}) and _kinds(annotation) <= {"int", "float", "None", "str"}


def takes_integers(annotation: Any) -> bool:
    """Say whether a keyword takes integers and no other numbers."""
    return "float" not in _kinds(annotation)


def _kinds(annotation: Any) -> set[str]:
    text = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    return {part.strip() for part in text.split("|")}


Place = tuple[str, ...]


def schedules_in(search: Mapping[str, Any]) -> dict[Place, Mapping[str, Any]]:
    """Return what stands for a schedule in a section `search` (or among keywords), by its place.

    Places are `(keyword,)`, and `("parts", part, keyword)`.
    """
    found: dict[Place, Mapping[str, Any]] = {(key,): value for key, value in search.items() if is_schedule(value)}
    parts = search.get("parts")
    for part, keywords in parts.items() if isinstance(parts, Mapping) else ():
        for key, value in keywords.items() if isinstance(keywords, Mapping) else ():
            if is_schedule(value):
                found["parts", part, key] = value
    return found


def with_values(search: Mapping[str, Any], values: Mapping[Place, Any]) -> dict[str, Any]:
    """Return a copy of keywords in which values stand at some places."""
    found = dict(search)
    if any(len(place) > 1 for place in values):
        parts = found["parts"]
        found["parts"] = {name: dict(own) if isinstance(own, Mapping) else own for name, own in parts.items()}
    for place, value in values.items():
        target = found if len(place) == 1 else found["parts"][place[1]]
        target[place[-1]] = value
    return found


def check_attribute_schedules(
    raw: Mapping[str, Any], own: Keywords | None, parts: Mapping[str, Keywords] | None, by_trials: bool
) -> tuple[dict[Place, AttributeSchedule], Problems]:
    """Return the schedules of a config by place, and a problem for each thing that is wrong with them.

    Whether a keyword can follow a schedule at all is known to the class of the method, when that is made.

    Args:
        raw: The config.
        own: The keywords of its method; None where they are not known.
        parts: Those of its parts; likewise.
        by_trials: Whether the method evaluates trials.
    """
    search = raw.get("search", {})
    schedules: dict[Place, AttributeSchedule] = {}
    problems: Problems = []
    for place, given in schedules_in(search).items():
        name = ".".join(("search", *place))
        known = own if len(place) == 1 else None if parts is None else parts.get(place[1])
        annotation: Any = "float"
        if known is not None:
            key = place[-1]
            if key not in keyword_names(known):
                if len(place) > 1:  # the check of parts says so
                    continue
                method = raw.get("optimizer", "the optimizer")
                hint = did_you_mean(key, [n for n in keyword_names(known) if is_numeric(known[n].annotation)])
                problems.append((name, f"{method} does not read it, so that a schedule has no effect{hint}"))
                continue
            annotation = known[key].annotation
            if not is_numeric(annotation):
                problems.append((name, "it takes no number, and cannot follow a schedule"))
                continue
        schedule, wrong = parse_schedule(given, takes_integers(annotation))
        problems += [(name, text) for text in wrong]
        if schedule is None:
            continue
        if by_trials and schedule.every == "step":
            problems.append((name, "every: a search of trials has no steps; take trial"))
        elif not by_trials and schedule.every == "trial":
            problems.append((name, "every: a search on batches has no trials; take epoch or step"))
        else:
            schedules[place] = schedule
            problems += _range_problems(place, schedule, search.get("epochs"))
    return schedules, problems


def _range_problems(place: Place, schedule: AttributeSchedule, epochs: Any) -> Problems:
    """Return what is wrong with the first, the last and the pieces of a key of the shared schema."""
    found: Problems = []
    total = max(2, epochs if _is_integer(epochs) else 2)
    for position in schedule.extremes(total) if len(place) == 1 and place[0] in SEARCH_KEYS else ():
        found += check_types({"search": {place[0]: schedule.at(position, total)}})
    return list(dict.fromkeys(found))


def take_out_schedules(raw: dict[str, Any], values: Mapping[Place, Any]) -> Callable[[], None]:
    """Put numbers in place of schedules in a config, in place; what is returned puts the schedules back."""
    search = raw.get("search", {})
    kept = {place: copy.deepcopy(dict(given)) for place, given in schedules_in(search).items()}
    for place in kept:
        _set(search, place, values.get(place))
    for place in [place for place in kept if place not in values]:  # what is wrong with it was said
        _remove(search, place)

    def put_back() -> None:
        for place, given in kept.items():
            _set(raw["search"], place, given)

    return put_back


def _set(search: dict[str, Any], place: Place, value: Any) -> None:
    target = search if len(place) == 1 else search["parts"][place[1]]
    target[place[-1]] = value


def _remove(search: dict[str, Any], place: Place) -> None:
    target = search if len(place) == 1 else search["parts"][place[1]]
    del target[place[-1]]
