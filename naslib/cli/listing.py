"""`naslib list`: what there is, by name, as far as it is known without importing it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from naslib.config.parser import CommandParser
from naslib.errors import ConfigError, did_you_mean
from naslib.registry import catalogue
from naslib.registry.registry import Registry

_KINDS: dict[str, Registry[Any]] = {
    "spaces": catalogue.SEARCH_SPACES,
    "optimizers": catalogue.OPTIMIZERS,
    "parts": catalogue.PARTS,
    "trial_parts": catalogue.TRIAL_PARTS,
    "evaluators": catalogue.EVALUATORS,
    "datasets": catalogue.DATASETS,
    "tasks": catalogue.TASKS,
    "benchmarks": catalogue.BENCHMARKS,
    "predictors": catalogue.PREDICTORS,
    "proxies": catalogue.PROXIES,
}
_EPILOG = """\
examples:
  naslib list                what there is to list, and how many of each
  naslib list optimizers     their names, one a line: names of one thing stand together
"""


def main(words: Sequence[str]) -> int:
    """Print what there is.

    Raises:
        ConfigError: For a kind of thing that there is not.
    """
    parser = CommandParser(prog="naslib list", description="List what there is by name.", epilog=_EPILOG)
    parser.add_argument("kind", nargs="?", help=f"one of {', '.join(_KINDS)}")
    kind = parser.parse_args(list(words)).kind
    if kind is None:
        rows = [f"{name:12} {len(_by_place(registry)):3}" for name, registry in _KINDS.items()]
    elif kind in _KINDS:
        rows = [", ".join(names) for names in _by_place(_KINDS[kind])]
    else:
        raise ConfigError(f"there are no {kind!r} to list{did_you_mean(kind, _KINDS)} (kinds: {', '.join(_KINDS)})")
    sys.stdout.write("\n".join(rows) + "\n")
    return 0


def _by_place(registry: Registry[Any]) -> list[list[str]]:
    """Return the names, those of one thing together, in the order of their first."""
    found: dict[str, list[str]] = {}
    for name in registry.names():
        found.setdefault(registry.place(name), []).append(name)
    return list(found.values())
