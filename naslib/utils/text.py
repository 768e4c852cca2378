"""Keep messages readable: long values and lists are cut, and the message says so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

# About one line of a terminal; a message may name a few values of this length.
_VALUE = 80
# Names listed before "and n more".
_NAMES = 5


def shorten(text: str, limit: int = _VALUE) -> str:
    """Return `text` with at most `limit` characters, its middle replaced by `...` where it is longer."""
    if len(text) <= limit:
        return text
    tail = (limit - 3) // 4
    return f"{text[: limit - 3 - tail]}...{text[len(text) - tail :]}"


def show(value: Any, limit: int = _VALUE) -> str:
    """Return the repr of a value with at most `limit` characters."""
    return shorten(repr(value), limit)


def listed(names: Iterable[str], limit: int = _NAMES) -> str:
    """Return the names separated by commas, the first `limit` of them and how many more there are."""
    found = list(names)
    more = len(found) - limit
    return ", ".join(found) if more <= 0 else f"{', '.join(found[:limit])} and {more} more"


def differences(old: Any, new: Any, name: str) -> list[tuple[str, Any, Any]]:
    """Return the places where two nested plain values differ.

    Args:
        old: A value of mappings, sequences and scalars.
        new: Another.
        name: What the values are called; places within them are `name.key` and `name[index]`.

    Returns:
        `(place, old value, new value)` for each smallest place; of two sequences of different lengths the whole.
    """
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        keys = dict.fromkeys([*old, *new])
        return [d for key in keys for d in differences(old.get(key), new.get(key), f"{name}.{key}")]
    sequences = _is_sequence(old) and _is_sequence(new)
    if sequences and len(old) == len(new) and type(old) is type(new):
        pairs = enumerate(zip(old, new, strict=True))
        return [d for index, (a, b) in pairs for d in differences(a, b, f"{name}[{index}]")]
    return [] if old == new else [(name, old, new)]


def _is_sequence(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)
