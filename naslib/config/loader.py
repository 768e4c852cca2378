"""Turn YAML, overrides and mappings into a validated config, or into one error that lists every problem."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from naslib.config import compat
from naslib.config.config import Config
from naslib.config.extensions import Keywords, SchemaExtensions
from naslib.config.find import find_config_file
from naslib.config.method_defaults import completed_keys, own_defaults, search_defaults
from naslib.config.overrides import apply_overrides, split_overrides
from naslib.config.schema import SEARCH_KEYS, SECTIONS, defaults
from naslib.config.validation import chosen, validate
from naslib.config.yaml_reader import read_yaml
from naslib.errors import ConfigError
from naslib.utils.attrdict import AttrDict
from naslib.utils.log import get_logger

logger = get_logger(__name__)


def load_config(
    source: str | Path | Mapping[str, Any] | None = None,
    overrides: Sequence[str] = (),
    *,
    extensions: SchemaExtensions | None = None,
) -> Config:
    """Read, complete and validate a config.

    Args:
        source: A YAML file (see `find_config_file`), a mapping of keys, or None for the defaults.
        overrides: `key=value` words and `KEY VALUE` pairs of words; dots reach into sections.
        extensions: Names and keywords of what is registered; None checks the shared keys only.

    Returns:
        The config with every key; those that were not given have the default that the optimizer has of its own, or
        else the schema's. What is unusual but allowed was logged as a warning and is in `config.notes`; the names of
        the keys that were given are in `config.given`.

    Raises:
        ConfigError: If anything is wrong; lists all problems with key, expectation and nearest valid name.
    """
    raw, lines, name = _read(source)
    problems = compat.hoist(raw)
    left_behind = _leave_behind(raw, overrides, extensions or SchemaExtensions())
    touched, wrong = apply_overrides(raw, overrides)
    problems += wrong
    problems += compat.lower(raw)
    ignored = compat.drop_ignored(raw)
    notes = [f"without effect here: {'; '.join(ignored)}"] if ignored else []
    notes += left_behind
    found, more_notes = validate(raw, extensions or SchemaExtensions())
    for key, text in found:
        line = lines.get(key)
        place = f"{name}:{line}: " if line is not None and key not in touched else ""
        problems.append(f"{place}{key}: {text}")
    if problems:
        raise ConfigError(problems)
    notes += more_notes
    for note in notes:
        logger.warning("config: %s", note)
    return _complete(raw, notes, source, chosen(raw, "optimizer", (extensions or SchemaExtensions()).optimizers) or {})


def _read(source: str | Path | Mapping[str, Any] | None) -> tuple[dict[str, Any], dict[str, int], str]:
    """Return the raw keys, the line of each, and the file's name."""
    if source is None:
        return {}, {}, ""
    if isinstance(source, Mapping):
        raw = _plain(source)
        for key in completed_keys(source) if isinstance(source, Config) else ():
            del raw["search"][key]  # nobody's wish
        return raw, {}, ""
    path = find_config_file(source)
    return (*read_yaml(path), path.name)


def _plain(value: Any) -> Any:
    """Return a copy of `value` made of plain dictionaries, lists and values."""
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple, range)):
        return [_plain(entry) for entry in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return value


# What a config says about the sizes of its space, the reading of its data or a schedule, and means nothing to another
_BELONGS_TO = {
    "search_space": (
        *("search_space_args", "evaluation.genotype"),
        *("evaluation.cells", "evaluation.channels", "evaluation.auxiliary", "evaluation.network_args"),
    ),
    "dataset": ("dataset_args",),
    "search.scheduler": ("search.scheduler_args",),
    "search.evaluator": ("search.evaluator_args", "search.objectives"),
    "evaluation.scheduler": ("evaluation.scheduler_args",),
}


def _leave_behind(raw: dict[str, Any], overrides: Sequence[str], extensions: SchemaExtensions) -> list[str]:
    """Remove, in place, the sizes of a search space (or arguments of a data set) that an override replaces.

    `--config darts.yaml search_space=nasbench201` is to do what it says although darts.yaml sizes another space.

    Returns:
        One note per key that was replaced.
    """
    replaced = {key: text for key, text in split_overrides(overrides)[0] if key in (*_BELONGS_TO, "optimizer")}
    if replaced.pop("optimizer", raw.get("optimizer")) != raw.get("optimizer"):
        _forget_defaults(raw, extensions)
    notes = []
    for key, name in replaced.items():
        known = extensions.spaces if key == "search_space" else None
        old = _look_up(raw, key)
        if old is None or str(old).lower() == name.lower():
            continue
        if known and old in known and known.get(name) == known[old]:  # two names of one space
            continue
        dropped = [entry for entry in _BELONGS_TO[key] if _remove(raw, entry)]
        if dropped:
            verb = "belong to" if "." in key else "sized"
            notes.append(f"{', '.join(dropped)} of the config {verb} {old!r} and were left out for {name!r}")
    return notes


def _forget_defaults(raw: dict[str, Any], extensions: SchemaExtensions) -> None:
    """Remove, in place, the defaults of the optimizer that a file with all keys names: the echo of a run has them."""
    search = raw.get("search")
    if isinstance(search, dict) and set(SEARCH_KEYS) <= set(search):
        of_old = search_defaults(chosen(raw, "optimizer", extensions.optimizers) or {})
        for key in [key for key, value in of_old.items() if search[key] == value]:
            del search[key]


def _look_up(raw: Mapping[str, Any], dotted: str) -> Any:
    """Return the value of a dotted key, None where it is absent."""
    place: Any = raw
    for part in dotted.split("."):
        place = place.get(part) if isinstance(place, Mapping) else None
    return place


def _remove(raw: dict[str, Any], dotted: str) -> bool:
    """Remove a dotted key in place; say whether it was there."""
    way, _, leaf = dotted.rpartition(".")
    place = _look_up(raw, way) if way else raw
    if not isinstance(place, dict) or leaf not in place:
        return False
    del place[leaf]
    return True


def _given(raw: Mapping[str, Any]) -> frozenset[str]:
    """Return the dotted names of the keys that were given, as opposed to completed from the defaults."""
    inside = {f"{section}.{key}" for section in SECTIONS for key in raw.get(section) or {}}
    return frozenset({*(key for key in raw if key not in SECTIONS), *inside})


def _complete(raw: dict[str, Any], notes: list[str], source: Any, own: Keywords) -> Config:
    """Return the config: the defaults, then those that the optimizer has of its own, then what was given."""
    config = Config(defaults())
    config.search.update(own_defaults(own))
    completed = {key: value for key, value in config.search.items() if key not in (raw.get("search") or {})}
    for key, value in raw.items():
        if key in SECTIONS:
            config[key].update(value)
        else:
            config[key] = value
    inherited = source if isinstance(source, Config) else AttrDict()
    for flag, default in (("resume", False), ("eval_only", False), ("model_path", None)):
        config.set_hidden(flag, vars(inherited).get(flag, default))
    if vars(inherited).get("_save") is not None:
        config.save = inherited.save
    config.set_hidden("notes", notes)
    config.set_hidden("given", _given(raw))
    config.set_hidden("completed", completed)  # keys of `search` that nobody gave: another method may settle them anew
    for section in SECTIONS:
        config[section].set_hidden("seed", config.seed)
    return config
