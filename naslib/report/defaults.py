"""What keys of a config are by default, for the method that it names."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from naslib.config.method_defaults import own_defaults
from naslib.config.schema import defaults
from naslib.registry.catalogue import OPTIMIZERS
from naslib.registry.signatures import keywords_through

from .amounts import DASH

# What names a run rather than setting it
NAMES = ("dataset", "search_space", "optimizer", "seed", "out_dir", "data")


class Unset:
    """A key that has no default."""

    def __repr__(self) -> str:
        """Return a dash."""
        return DASH


UNSET = Unset()


def default_values(optimizer: str) -> dict[str, Any]:
    """Return the default of every key, `search.epochs`: those of the schema, and of `search` those of the method.

    Args:
        optimizer: Name of the method; one that is not known has none of its own.
    """
    found = dict(flat(defaults()))
    if optimizer in OPTIMIZERS:
        keywords = keywords_through(OPTIMIZERS.signatures(optimizer))
        for name, parameter in keywords.items():
            value = parameter.default
            if f"search.{name}" not in found and value is not inspect.Parameter.empty:
                found[f"search.{name}"] = list(value) if isinstance(value, tuple) else value
        found |= {f"search.{key}": value for key, value in own_defaults(keywords).items()}
    return found


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield dotted keys with their values; only the sections are taken apart, not what is in a key."""
    for key, value in values.items():
        if not prefix and key in ("search", "evaluation") and isinstance(value, Mapping):
            yield from flat(value, f"{key}.")
        else:
            yield f"{prefix}{key}", value


def changed(config: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Return key, value and default of what a config has otherwise than its method's defaults.

    Args:
        config: A resolved config.
    """
    usual = default_values(str(config.get("optimizer", "")))
    found = []
    for key, value in flat(config):
        default = usual.get(key, UNSET)
        if key not in NAMES and value != default:
            found.append((key, value, default))
    return found
