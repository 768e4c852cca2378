"""`naslib list`: what there is by name, read from the catalogue without importing any of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from naslib.config.parser import CommandParser
from naslib.utils.table import lay_table, output_width

from .listed import CONFIGS, DEVICES, KINDS, Entry, counts, describe, entries, entry_of, keywords

_EPILOG = """\
examples:
  naslib list                     what kinds of things there are, and how many of each
  naslib list optimizers          a table: names, what each is, a config to begin with, its page
  naslib list optimizers darts    one of them: its keywords, their defaults and meanings
  naslib list configs             the configs that come with naslib
  naslib list spaces --json       the same for programs
"""
# From so many columns on, a table has a column for everything
_WIDE = 120


def main(words: Sequence[str]) -> int:
    """Print what there is.

    Raises:
        ConfigError: For a kind of thing that there is not, or a name.
    """
    kinds = (*KINDS, DEVICES, CONFIGS)
    parser = CommandParser(prog="naslib list", description="List what there is by name.", epilog=_EPILOG)
    parser.add_argument("kind", nargs="?", choices=kinds, metavar="KIND", help=f"one of {', '.join(kinds)}")
    parser.add_argument("name", nargs="?", metavar="NAME", help="one of that kind, to see its keywords")
    parser.add_argument("--json", action="store_true", help="print JSON")
    asked = parser.parse_intermixed_args(list(words))
    if asked.kind is None:
        found: Any = {kind: count for kind, count, _ in counts()}
        text = _overview()
    elif asked.name is None:
        rows = entries(asked.kind)
        found, text = [entry.plain() for entry in rows], _table(asked.kind, rows)
    else:
        entry = entry_of(asked.kind, asked.name)
        found = {**entry.plain(), "description": describe(asked.kind, entry)}
        found["keywords"] = keywords(asked.kind, entry.name)
        text = _one(asked.kind, entry, found["keywords"])
    sys.stdout.write((json.dumps(found, indent=2, default=str) if asked.json else text) + "\n")
    return 0


def _overview() -> str:
    rows = [(kind, f"{count:3}", about) for kind, count, about in counts()]
    lines = lay_table(rows, output_width(), ("kind", "  n", "what they are"))
    return "\n".join([*lines, "", *_said("naslib list KIND shows them, naslib list KIND NAME one of them.")])


def _table(kind: str, rows: Sequence[Entry]) -> str:
    """Return the table of a kind: a column for everything where there is room, else two."""
    width = output_width()
    if width >= _WIDE:
        cells = [(row.name, ", ".join(row.other_names), row.about, row.config, row.docs) for row in rows]
        used = [place for place in range(5) if any(row[place] for row in cells)]
        head = ("name", "other names", "what it is", "config", "docs")
        # what it is goes last, where it takes the rest of the line
        order = [place for place in used if place != 2] + [2]
        lines = lay_table(
            [[row[place] for place in order] for row in cells], width, [head[place] for place in order], 36
        )
    else:
        narrow = [(", ".join([row.name, *row.other_names]), _text(row)) for row in rows]
        others = ", other names" if any(row.other_names for row in rows) else ""
        lines = lay_table(narrow, width, (f"name{others}", "what it is; config; docs"), 24)
    return "\n".join([*lines, "", *_said(f"naslib list {kind} NAME shows the keywords of one.")])


def _text(row: Entry) -> str:
    is_config = row.place.endswith(".yaml")
    places = "" if is_config else "; ".join(filter(None, (row.config, row.docs)))
    return "\n".join(filter(None, (row.about, places)))


def _one(kind: str, entry: Entry, rows: Sequence[dict[str, Any]]) -> str:
    width = output_width()
    facts = [("name", entry.name), ("other names", ", ".join(entry.other_names)), ("config", entry.config)]
    facts += [("docs", entry.docs), ("place", entry.place)]
    lines = lay_table([fact for fact in facts if fact[1]], width)
    about = describe(kind, entry)
    for paragraph in about.split("\n\n"):
        lines += ["", *_said(paragraph.replace("\n", " "))]
    if rows:
        cells = [(row["name"], _default(row), " ".join(filter(None, (_type(row), row["about"])))) for row in rows]
        lines += ["", *lay_table(cells, width, ("keyword", "default", "what it is"), 30)]
    return "\n".join(lines)


def _said(text: str) -> list[str]:
    return lay_table([(text,)], output_width())


def _default(row: dict[str, Any]) -> str:
    if row["required"]:
        return "required"
    return "(computed)" if row["computed"] else repr(row["default"])


def _type(row: dict[str, Any]) -> str:
    return f"({row['type']})" if row["type"] else ""
