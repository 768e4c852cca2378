"""What a method has by default where the shared schema says otherwise, for keys that nobody gave."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from naslib.config.extensions import Keywords, keyword_names
from naslib.config.schema import SEARCH_KEYS, SearchKeys
from naslib.config.type_check import check_types

# What a config file can hold without a tag
_PLAIN = (bool, int, float, str, type(None))


def own_defaults(keywords: Keywords) -> dict[str, Any]:
    """Return the keys of `search` for which a method has a default of its own.

    Args:
        keywords: The parameters of its constructor, its parents' included.

    Returns:
        Values by key, where they differ from the schema's and the schema allows them.
    """
    found = {}
    for key in keyword_names(keywords):
        value = keywords[key].default
        if key not in SEARCH_KEYS or not isinstance(value, _PLAIN) or value == shared_default(key):
            continue
        if not check_types({"search": {key: value}}):
            found[key] = value
    return found


def shared_default(key: str) -> Any:
    """Return the schema's default of a key of `search`."""
    return SearchKeys.model_fields[key].get_default(call_default_factory=True)


def search_defaults(keywords: Keywords) -> dict[str, Any]:
    """Return every key of `search` that the schema has, with the default that a method has for it."""
    return {key: shared_default(key) for key in SEARCH_KEYS} | own_defaults(keywords)


def search_section(config: Mapping[str, Any], keywords: Keywords) -> dict[str, Any]:
    """Return the section `search` as it is for a method that need not be the one that the config names.

    Args:
        config: A config; one of `load_config` knows which keys it has completed, of another all count as given.
        keywords: The parameters of the method's constructor.

    Returns:
        The section: keys that were completed and not assigned since have the method's own defaults.
    """
    search = dict(config["search"])
    completed = vars(config).get("completed") if hasattr(config, "__dict__") else None
    fresh = search_defaults(keywords) if completed else {}
    for key, value in (completed or {}).items():
        if key in search and search[key] == value:
            search[key] = fresh[key]
    return search


def settle_method(config: Any, keywords: Keywords) -> None:
    """Let a config show, in place, what a method has by default for keys that nobody gave.

    Nothing changes where the config names that method since it was loaded.
    """
    settled = search_section(config, keywords)
    completed = vars(config).get("completed") or {}
    changed = {key for key in completed if settled.get(key) != config["search"].get(key)}
    for key in changed:
        config["search"][key] = settled[key]
    if changed:
        config.set_hidden("completed", {**completed, **{key: settled[key] for key in changed}})
