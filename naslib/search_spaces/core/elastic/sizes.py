"""Sizes that are decisions: a value of several, and what is computed from such values."""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from naslib.errors import ConfigError

Number = int | float


class Size(ABC):
    """A number that depends on value decisions: one of them, or what `+ - * //` and `rounded` make of some.

    Attributes:
        leaves: The decisions that it depends on, each once.
    """

    leaves: tuple[Value, ...]

    @abstractmethod
    def at(self, chosen: Mapping[str, Number]) -> Number:
        """Return the number for given values.

        Args:
            chosen: By label, the value of each decision.
        """

    @property
    def largest(self) -> Number:
        """The largest number that it can be."""
        return max(self.at(chosen) for chosen in combinations(self.leaves))

    def rounded(self, multiple: int = 1) -> Size:
        """Return the nearest multiple, at least one and never less than 90 % of the number, as MobileNets round widths.

        Args:
            multiple: Of what.
        """
        if multiple < 1:
            raise ConfigError(f"a size is rounded to multiples of 1 or more, not of {multiple}")
        return _Rounded(self, multiple)

    def __add__(self, other: Number | Size) -> Size:
        return _Computed("+", self, as_size(other))

    def __radd__(self, other: Number | Size) -> Size:
        return _Computed("+", as_size(other), self)

    def __sub__(self, other: Number | Size) -> Size:
        return _Computed("-", self, as_size(other))

    def __rsub__(self, other: Number | Size) -> Size:
        return _Computed("-", as_size(other), self)

    def __mul__(self, other: Number | Size) -> Size:
        return _Computed("*", self, as_size(other))

    def __rmul__(self, other: Number | Size) -> Size:
        return _Computed("*", as_size(other), self)

    def __floordiv__(self, other: Number | Size) -> Size:
        return _Computed("//", self, as_size(other))

    def __rfloordiv__(self, other: Number | Size) -> Size:
        return _Computed("//", as_size(other), self)


@dataclass(frozen=True, eq=True)
class Value(Size):
    """One of several numbers: a value decision.

    Values with the same label are one decision, wherever they are used, and must have the same values.

    Args:
        values: The candidates, in order; numbers from 0, different from each other.
        label: Name of the decision.

    Raises:
        ConfigError: If there is no value, one is not such a number, two are equal, or there is no label.
    """

    values: tuple[Number, ...]
    label: str

    def __init__(self, values: Sequence[Number], label: str) -> None:
        object.__setattr__(self, "values", tuple(values))
        object.__setattr__(self, "label", label)
        if not isinstance(label, str) or not label:
            raise ConfigError(f"a value decision needs a label, a text that names it, not {label!r}")
        where = f"value decision {label!r}"
        if not self.values:
            raise ConfigError(f"{where} has no values to choose from")
        wrong = [v for v in self.values if isinstance(v, bool) or not isinstance(v, int | float) or not v >= 0]
        if wrong or not all(math.isfinite(v) for v in self.values):
            raise ConfigError(f"{where}: values are numbers from 0, not {wrong or list(self.values)}")
        if len(set(self.values)) < len(self.values):
            raise ConfigError(f"{where}: values differ from each other, but are {list(self.values)}")

    @property
    def leaves(self) -> tuple[Value, ...]:  # type: ignore[override]
        """The decision itself."""
        return (self,)

    def at(self, chosen: Mapping[str, Number]) -> Number:
        """Return its value."""
        return chosen[self.label]

    def __str__(self) -> str:
        return self.label


class Held(Value):
    """Which of several candidates runs, as a number from 0: the edge that has them says so, no assignment."""


@dataclass(frozen=True)
class Listed(Size):
    """The number that belongs to a value of a decision.

    Args:
        leaf: The decision; its values are 0, 1, 2 ...
        numbers: One for each of them.
    """

    leaf: Value
    numbers: tuple[Number, ...]

    @property
    def leaves(self) -> tuple[Value, ...]:  # type: ignore[override]
        """The decision."""
        return (self.leaf,)

    def at(self, chosen: Mapping[str, Number]) -> Number:
        """Return the number that belongs to its value."""
        return self.numbers[int(chosen[self.leaf.label])]

    def __str__(self) -> str:
        return f"{'/'.join(map(str, self.numbers))} by {self.leaf}"


@dataclass(frozen=True)
class _Constant(Size):
    number: Number

    @property
    def leaves(self) -> tuple[Value, ...]:  # type: ignore[override]
        return ()

    def at(self, chosen: Mapping[str, Number]) -> Number:
        return self.number

    def __str__(self) -> str:
        return str(self.number)


_OPERATIONS = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "//": lambda a, b: a // b,
}


@dataclass(frozen=True)
class _Computed(Size):
    operation: str
    first: Size
    second: Size

    @property
    def leaves(self) -> tuple[Value, ...]:  # type: ignore[override]
        return distinct([*self.first.leaves, *self.second.leaves])

    def at(self, chosen: Mapping[str, Number]) -> Number:
        return _OPERATIONS[self.operation](self.first.at(chosen), self.second.at(chosen))

    def __str__(self) -> str:
        return f"({self.first} {self.operation} {self.second})"


@dataclass(frozen=True)
class _Rounded(Size):
    size: Size
    multiple: int

    @property
    def leaves(self) -> tuple[Value, ...]:  # type: ignore[override]
        return self.size.leaves

    def at(self, chosen: Mapping[str, Number]) -> Number:
        number = self.size.at(chosen)
        found = max(self.multiple, int(number + self.multiple / 2) // self.multiple * self.multiple)
        return found if found >= 0.9 * number else found + self.multiple

    def __str__(self) -> str:
        return f"{self.size} rounded to {self.multiple}"


def as_size(size: Number | Size) -> Size:
    """Return a size as an object; a plain number does not depend on a decision."""
    if isinstance(size, Size):
        return size
    if isinstance(size, bool) or not isinstance(size, int | float):
        raise ConfigError(f"a size is a number or a value decision, not {size!r}")
    return _Constant(size)


def switched(size: Number | Size, switch: Size, what: str) -> Size:
    """Return a size that is 0 where a decision says that what has it is not there.

    Args:
        size: The size where it is.
        switch: 1 where it is there, 0 where it is not.
        what: Its name in the message.

    Raises:
        ConfigError: If the switch can be another number.
    """
    numbers = sorted({switch.at(chosen) for chosen in combinations(switch.leaves)})
    if not {*numbers} <= {0, 1}:
        raise ConfigError(f"{what} = {switch} is there (1) or not (0), but its values are {numbers}")
    return as_size(size) * switch


def distinct(values: Sequence[Value]) -> tuple[Value, ...]:
    """Return each decision once, in order.

    Raises:
        ConfigError: If two of one label have different values.
    """
    found: dict[str, Value] = {}
    for value in values:
        known = found.setdefault(value.label, value)
        if known.values != value.values:
            raise ConfigError(
                f"value decision {value.label!r} has the values {list(known.values)} in one place and "
                f"{list(value.values)} in another: equal labels are one decision, so give it one list or two labels"
            )
    return tuple(found.values())


def combinations(leaves: Sequence[Value]) -> Iterator[dict[str, Number]]:
    """Yield every combination of values, by label."""
    for numbers in itertools.product(*(leaf.values for leaf in leaves)):
        yield dict(zip((leaf.label for leaf in leaves), numbers, strict=True))


def integer(size: Size, chosen: Mapping[str, Number], what: str, least: int = 1) -> int:
    """Return what a size is for given values, as an integer.

    Args:
        size: The size.
        chosen: Values by label.
        what: Its name in the message.
        least: The smallest integer that it may be.

    Raises:
        ConfigError: If it is none.
    """
    values = ", ".join(f"{label} = {value}" for label, value in chosen.items()) or "every choice"
    try:
        number = size.at(chosen)
    except ZeroDivisionError as error:
        raise ConfigError(f"{what} = {size} is divided by 0 for {values}") from error
    if number != int(number) or number < least:
        raise ConfigError(f"{what} = {size} is {number} for {values}: it is an integer from {least}")
    return int(number)
