"""What the docstrings of classes and functions of this package say, read from source text: nothing is imported."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

from .signatures import definition_of, parent_of

# An entry of a docstring's Args: its name, and the first line of what it is
_ENTRY = re.compile(r"^ {4}\*{0,2}([a-z]\w*(?:, \w+)*): (.*)$")


def source_docstrings(target: str) -> list[str]:
    """Return the docstring of `"module:name"`, then those of its parents in this package; of each that has one.

    Args:
        target: A class or a function; of several parents the first is followed.
    """
    found = []
    place: str | None = target
    while place is not None:
        defined = definition_of(place)
        if defined is None:
            break
        text = ast.get_docstring(defined[1])
        found += [text] if text else []
        place = parent_of(*defined)
    return found


def first_line(text: str) -> str:
    """Return the first line of a docstring, without the markup of code."""
    return text.strip().split("\n", 1)[0].replace("`", "")


def first_paragraphs(text: str) -> str:
    """Return what a docstring says before its sections."""
    lines = []
    for line in text.strip().splitlines():
        if re.fullmatch(r"(Args|Attributes|Returns|Raises|Yields|Example|Examples):", line):
            break
        lines.append(line)
    return "\n".join(lines).strip()


def arguments(texts: Sequence[str]) -> dict[str, str]:
    """Return what docstrings say of each argument, in a line; what comes first counts.

    Args:
        texts: Of a class, then of its parents.
    """
    found: dict[str, str] = {}
    for text in texts:
        names: list[str] = []
        inside = False
        here: dict[str, list[str]] = {}
        for line in text.splitlines():
            if line and not line.startswith(" "):
                inside = line == "Args:"
                continue
            entry = _ENTRY.match(line) if inside else None
            if entry:
                names = entry[1].split(", ")
                here |= {name: [entry[2]] for name in names}
            elif inside and line.startswith("     ") and names:
                for name in names:
                    here[name].append(line.strip())
        for name, lines in here.items():
            found.setdefault(name, " ".join(lines))
    return found
