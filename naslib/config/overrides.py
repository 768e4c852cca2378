"""Apply `key=value` and NASLib's `KEY VALUE` pairs to a raw config."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from naslib.config.compat import HOISTED
from naslib.config.yaml_reader import parse_value
from naslib.errors import ConfigError

_ASSIGNMENT = re.compile(r"^([A-Za-z_][\w.-]*)=(.*)$", re.DOTALL)
_KEY = re.compile(r"^[A-Za-z_][\w-]*(\.[\w-]+)*$")

# Keys whose values have a grammar of their own, in which YAML would read something else
_AS_TEXT = ("evaluation.genotype",)


def split_overrides(words: Sequence[str]) -> tuple[list[tuple[str, str]], list[str]]:
    """Return `(key, value text)` for each override, and one problem per word that is none.

    Args:
        words: `key=value` words and `KEY VALUE` pairs of words, in any order.
    """
    pairs: list[tuple[str, str]] = []
    problems: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        match = _ASSIGNMENT.match(word)
        if match:
            pairs.append((match[1], match[2]))
        elif word.endswith((".yaml", ".yml")):
            problems.append(f"{word!r}: a config file is given as --config {word}")
        elif not _KEY.match(word):
            problems.append(f"{word!r}: expected key=value or KEY VALUE, such as search.epochs=2 or search.epochs 2")
        elif not rest or _ASSIGNMENT.match(rest[0]):
            problems.append(f"{word!r}: the value is missing; write {word}=VALUE or {word} VALUE")
        else:
            pairs.append((word, rest.pop(0)))
    return pairs, problems


def apply_overrides(raw: dict[str, Any], words: Sequence[str]) -> tuple[set[str], list[str]]:
    """Set the overrides in `raw`, in place; a later one wins.

    Mappings given for `search`, `evaluation` and the like are merged into what is there.

    Returns:
        The dotted keys that were set, and one problem per override that cannot be.
    """
    pairs, problems = split_overrides(words)
    touched: set[str] = set()
    for given, text in pairs:
        try:
            value = (text.strip() or None) if given in _AS_TEXT and text != "null" else parse_value(text)
        except ConfigError:
            problems.append(f"{given}: cannot read the value {text!r}; put it in quotes if it is text")
            continue
        section, _, leaf = given.partition(".")
        key = leaf if section in ("search", "evaluation") and leaf in HOISTED else given
        problem = _assign(raw, key, value)
        if problem:
            problems.append(problem)
        touched.add(key)
    return touched, problems


def _assign(raw: dict[str, Any], key: str, value: Any) -> str | None:
    """Set the dotted `key` in `raw`; return the problem if a part of the way is no mapping."""
    *way, leaf = key.split(".")
    place = raw
    for depth, part in enumerate(way, start=1):
        if place.get(part) is None:
            place[part] = {}
        if not isinstance(place[part], dict):
            return f"{key}: {'.'.join(way[:depth])} is {place[part]!r}, which has no keys of its own"
        place = place[part]
    if isinstance(value, dict) and isinstance(place.get(leaf), dict):
        place[leaf] = {**place[leaf], **value}
    else:
        place[leaf] = value
    return None
