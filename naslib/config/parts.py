"""Check `search.parts`: names of parts, and for each its keywords, or false to leave it out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from naslib.config.extensions import Keywords, check_type, keyword_names
from naslib.config.type_check import Problems, got
from naslib.errors import did_you_mean


def part_problems(given: Any, known: Mapping[str, Keywords]) -> Problems:
    """Return `(key, text)` for everything wrong with what a user says about parts.

    Args:
        given: Keywords by part; None, true or `{}` takes a part as it is, false leaves it out.
        known: The keywords of every part.
    """
    if given is None:
        return []
    names = f"(known: {', '.join(sorted(known))})"
    if not isinstance(given, Mapping):
        return [("parts", f"expected a mapping of part names to keywords, got {got(given)} {names}")]
    problems: Problems = []
    for name, values in given.items():
        if name not in known:
            problems.append((f"parts.{name}", f"unknown part {name!r}{did_you_mean(name, known)} {names}"))
        elif isinstance(values, Mapping):
            problems += _keyword_problems(name, values, known[name])
        elif values is not None and not isinstance(values, bool):
            text = f"expected a mapping of keywords, or false to leave it out, got {got(values)}"
            problems.append((f"parts.{name}", text))
    return problems


def _keyword_problems(name: str, values: Mapping[str, Any], keywords: Keywords) -> Problems:
    problems: Problems = []
    names = keyword_names(keywords)
    for key, value in values.items():
        if key not in names:
            takes = ", ".join(names) or "none"
            text = f"{name} has no keyword {key!r}{did_you_mean(key, names)} (keywords: {takes})"
            problems.append((f"parts.{name}.{key}", text))
        elif expected := check_type(value, keywords[key].annotation):
            problems.append((f"parts.{name}.{key}", f"expected {expected}, got {got(value)}"))
    return problems
