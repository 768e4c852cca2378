"""The choices of a space as its user gives them: lists of values, and named sets of such lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from naslib.errors import ConfigError, did_you_mean

from .sizes import Number, Size, Value, as_size

T = TypeVar("T")
# What a user gives for a decision: its values, or the one number that it has
Given = Number | Sequence[Number]


def listed(given: Given, label: str) -> tuple[Number, ...]:
    """Return the values of a decision as its user gives them.

    Args:
        given: A number, or some.
        label: Name of the decision, for the message.

    Raises:
        ConfigError: If they are not numbers, differ in no way, or there are none.
    """
    values = (given,) if isinstance(given, int | float) else given
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise ConfigError(f"{label}: a number or a list of numbers, not {given!r}")
    return Value(values, label).values


def choice(given: Given, label: str) -> Size:
    """Return a value decision; where there is only one number, a size that is always this one.

    Raises:
        ConfigError: As `listed`.
    """
    values = listed(given, label)
    return as_size(values[0]) if len(values) == 1 else Value(values, label)


def preset_named(presets: Mapping[str, T], name: str, space: str) -> T:
    """Return the set of choices of a name.

    Raises:
        ConfigError: If there is none.
    """
    if name not in presets:
        raise ConfigError(
            f"{space} has no preset {name!r}{did_you_mean(name, presets)} (there are: {', '.join(presets)})"
        )
    return presets[name]
