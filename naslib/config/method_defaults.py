"""What a method has by default where the shared schema says otherwise, for keys that nobody gave."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from naslib.config.config import Config
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


def completed_keys(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of `search` that `load_config` completed and that have not been assigned otherwise since.

    Args:
        config: A config; of one that `load_config` did not make all keys count as given.
    """
    completed = getattr(config, "__dict__", {}).get("completed") or {}
    search = config["search"]
    return {key: value for key, value in completed.items() if key in search and search[key] == value}


def search_section(config: Mapping[str, Any], keywords: Keywords) -> dict[str, Any]:
    """Return the section `search` as it is for a method that need not be the one that the config names.

    Args:
        config: A config.
        keywords: The parameters of the method's constructor.

    Returns:
        The section, with the method's own defaults for the keys that nobody gave. Of a config that was validated, keys
        that belong to the method that it names, and not to this one, are left out.
    """
    fresh = search_defaults(keywords)
    search = {**config["search"], **{key: fresh[key] for key in completed_keys(config)}}
    if not isinstance(config, Config):
        return search
    return {key: value for key, value in search.items() if key in SEARCH_KEYS or key in keywords}


def settle_method(config: Any, keywords: Keywords) -> None:
    """Let a config show, in place, what a method has by default for keys that nobody gave.

    Nothing changes unless the config has been made to name another method since it was loaded.
    """
    fresh = search_defaults(keywords)
    settled = {key: fresh[key] for key in completed_keys(config)}
    config["search"].update(settled)
    config.set_hidden("completed", settled)
