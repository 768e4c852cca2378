"""Check a raw config against the schema and the registered names, collecting every problem."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from naslib.config import compat
from naslib.config.attribute_schedules import check_attribute_schedules, take_out_schedules
from naslib.config.extensions import (
    Keywords,
    SchemaExtensions,
    check_type,
    keyword_names,
    required_names,
    takes_any,
)
from naslib.config.method_defaults import search_defaults
from naslib.config.parts import part_problems
from naslib.config.schedules import check_schedules, unfold_schedules
from naslib.config.schema import (
    OPTIMIZER_KEYS,
    SEARCH_KEYS,
    SECTIONS,
    ConfigKeys,
    EvaluationKeys,
    SearchKeys,
    keys_of,
)
from naslib.config.trials import evaluates_trials, keys_of_evaluator, trial_problems
from naslib.config.type_check import Problems, check_types, got
from naslib.errors import UnknownNameError, did_you_mean

# A data set that ends like one of these is the path of a file.
_FILES = (".npz", ".csv", ".tsv", ".tab", ".parquet", ".pq")


def validate(raw: dict[str, Any], extensions: SchemaExtensions) -> tuple[Problems, list[str]]:
    """Check `raw` and bring it into its final form, in place.

    Numbers of float keys become floats, an empty section an empty mapping, the names of registered things lower case.
    Search keys of other optimizers are taken out.

    Returns:
        `(key, text)` per problem, and one text per thing worth a warning.
    """
    problems: Problems = []
    for section in SECTIONS:
        if raw.get(section, {}) is None:  # everything under it is commented out
            raw[section] = {}
        if not isinstance(raw.get(section, {}), dict):
            problems.append((section, f"expected a mapping of keys to values, got {got(raw.pop(section))}"))
    unfold_schedules(raw)
    problems += _check_names(raw, extensions)
    own = chosen(raw, "optimizer", extensions.optimizers)
    by_trials = own is not None and evaluates_trials(own)
    known_parts = extensions.trial_parts if by_trials else extensions.parts
    schedules, wrong = check_attribute_schedules(raw, own, known_parts, by_trials)
    problems += wrong
    put_back = take_out_schedules(raw, {place: schedule.at(0, 1) for place, schedule in schedules.items()})
    problems, notes = _validate_values(raw, extensions, problems)
    put_back()
    return problems, notes


def _validate_values(
    raw: dict[str, Any], extensions: SchemaExtensions, problems: Problems
) -> tuple[Problems, list[str]]:
    """Check a config in which no schedule stands for a number; see `validate`."""
    notes = _take_out_foreign(raw, extensions)
    problems += _unknown_keys(raw, extensions)
    ill_typed = check_types(raw)
    problems += ill_typed
    if not ill_typed:
        found, more = check_schedules(raw)
        problems += found
        notes += more
    problems += _check_keywords(raw, extensions)
    if not ill_typed:
        problems += trial_problems(raw, extensions.optimizers, extensions.evaluators)
    if not problems:
        problems, more = _check_together(raw, chosen(raw, "optimizer", extensions.optimizers) or {})
        notes += more
    return problems, notes


def _check_names(raw: dict[str, Any], extensions: SchemaExtensions) -> Problems:
    """Check the names of optimizer, space and data set, and lower the first two."""
    problems: Problems = []
    known = {"optimizer": extensions.optimizers, "search_space": extensions.spaces, "dataset": extensions.datasets}
    known["task"] = extensions.tasks
    for key, names in known.items():
        value = raw.get(key, ConfigKeys.model_fields[key].default)
        if names is None or not isinstance(value, str) or (key == "dataset" and _is_path(value)):
            continue
        if value.lower() not in {name.lower() for name in names}:
            choices = ", ".join(sorted(names)) or "none is registered"
            hint = did_you_mean(value, names)
            if key == "dataset" and Path(value).expanduser().is_dir():
                hint = f"; for the folder of that name write ./{value}"
            problems.append((key, f"unknown {key.replace('_', ' ')} {value!r}{hint} (known: {choices})"))
        elif key != "dataset" and key in raw:
            raw[key] = value.lower()
    return problems + _check_torch_names(raw)


def _is_path(dataset: str) -> bool:
    """Say whether the data set is named by its file or folder; whether that exists is asked when it is read."""
    return dataset.lower().endswith(_FILES) or "/" in dataset or "\\" in dataset


def _check_torch_names(raw: dict[str, Any]) -> Problems:
    """Check the names of torch's optimizers and criteria where they are not the defaults."""
    problems: Problems = []
    keys = (("search", "op_optimizer"), ("search", "arch_optimizer"), ("evaluation", "op_optimizer"))
    for section, key in (*keys, ("search", "loss_criteria"), ("evaluation", "loss_criteria")):
        value = raw.get(section, {}).get(key)
        if not isinstance(value, str) or value in ("", SearchKeys.model_fields[key].default):
            continue
        from naslib.utils.pytorch_helper import find_criterion, find_optimizer  # imports torch

        try:
            (find_criterion if key == "loss_criteria" else find_optimizer)(value)
        except UnknownNameError as err:
            problems.append((f"{section}.{key}", str(err)))
    return problems


def chosen(raw: Mapping[str, Any], key: str, table: Mapping[str, Keywords] | Collection[str] | None) -> Keywords | None:
    """Return the keywords of the registered thing that `raw[key]` names, if they are known."""
    name = raw.get(key, ConfigKeys.model_fields[key].default)
    if not isinstance(table, Mapping) or not isinstance(name, str):
        return None
    return {entry.lower(): keywords for entry, keywords in table.items()}.get(name.lower())


def _take_out_foreign(raw: dict[str, Any], extensions: SchemaExtensions) -> list[str]:
    """Remove search keys that only other optimizers have; return a note naming all given keys without effect."""
    search = raw.get("search", {})
    own = chosen(raw, "optimizer", extensions.optimizers)
    others = {key for keywords in (extensions.optimizers or {}).values() for key in keyword_names(keywords)}
    others |= compat.METHOD_KEYS
    own_names = set(keyword_names(own)) if own is not None else set()
    foreign = [key for key in search if key in others - own_names and key not in SEARCH_KEYS]
    for key in foreign:
        del search[key]
    unused = [*foreign]
    if own is not None:
        also, instead = keys_of_evaluator(own, search)
        used = {*own_names, *also} - instead
        shared = [key for key in search if key in OPTIMIZER_KEYS and key not in used]
        # A file with all keys is the echo of a run: its defaults were not somebody's wish.
        echo = set(SEARCH_KEYS) <= set(search)
        unused += [key for key in shared if not (echo and search[key] == SearchKeys.model_fields[key].default)]
    if not unused:
        return []
    optimizer = raw.get("optimizer", ConfigKeys.model_fields["optimizer"].default)
    by = f"{optimizer} with search.evaluator={search['evaluator']}" if own and search.get("evaluator") else optimizer
    return [f"{', '.join(f'search.{key}' for key in unused)}: not used by {by}"]


def _unknown_keys(raw: dict[str, Any], extensions: SchemaExtensions) -> Problems:
    """Take keys that nobody knows out of `raw` and return a problem for each."""
    problems: Problems = []
    own = chosen(raw, "optimizer", extensions.optimizers) or {}
    for section in ("", *SECTIONS):
        values = raw.get(section, {}) if section else raw
        known = [*keys_of(section), *(keyword_names(own) if section == "search" else ())]
        for key in [key for key in values if key not in known]:
            del values[key]
            problems.append((f"{section}.{key}" if section else str(key), _unknown_text(section, key, known)))
    return problems


def _unknown_text(section: str, key: Any, known: Iterable[str]) -> str:
    """Return what to say about an unknown key."""
    where = f"in section {section!r}" if section else "at the top level"
    if not isinstance(key, str):
        return f"unknown key {where}: a key must be text, got {got(key)}"
    places = [f"{s}.{key}" if s else key for s in ("", *SECTIONS) if s != section and key in keys_of(s)]
    if places:
        return f"unknown key {where}; did you mean {' or '.join(map(repr, places))}?"
    prefix = section + "." if section else ""
    paths = {name: f"{s}.{name}" if s else name for s in SECTIONS for name in keys_of(s)}
    paths |= {name: prefix + name for name in known}
    near = did_you_mean(key, paths)  # the nearest of all, wherever it belongs
    hint = next((near.replace(repr(name), repr(path)) for name, path in paths.items() if repr(name) in near), "")
    return f"unknown key {where}{hint}"


def _check_keywords(raw: dict[str, Any], extensions: SchemaExtensions) -> Problems:
    """Check keywords of the optimizer, the space and the data set that are not in the schema."""
    problems: Problems = []
    own = chosen(raw, "optimizer", extensions.optimizers) or {}
    extra = {key: value for key, value in raw.get("search", {}).items() if key not in SEARCH_KEYS}
    problems += _check_annotations("search", extra, own)
    parts = extra.get("parts")
    table = extensions.trial_parts if evaluates_trials(own) else extensions.parts
    if "parts" in own and isinstance(parts, dict) and table is not None:
        problems += [(f"search.{key}", text) for key, text in part_problems(parts, table)]
    tables = (("search_space", extensions.spaces), ("dataset", extensions.datasets), ("task", extensions.tasks))
    for key, choices_of in tables:
        keywords = chosen(raw, key, choices_of)
        given = raw.get(f"{key}_args", {})
        if keywords is None or not isinstance(given, dict):
            continue
        known = keyword_names(keywords)
        name = raw.get(key, ConfigKeys.model_fields[key].default)
        for unknown in [entry for entry in given if entry not in known and not takes_any(keywords)]:
            choices = ", ".join(known) or "it has none"
            hint = did_you_mean(unknown, known)
            problems.append((f"{key}_args.{unknown}", f"no keyword of {name!r}{hint} (keywords: {choices})"))
        for missing in [entry for entry in required_names(keywords) if entry not in given]:
            problems.append((f"{key}_args.{missing}", f"required by {name!r}"))
        problems += _check_annotations(f"{key}_args", given, keywords)
    return problems


def _check_annotations(section: str, given: Mapping[str, Any], keywords: Keywords) -> Problems:
    """Check values against the annotations of the parameters they go to."""
    problems: Problems = []
    for key, value in given.items():
        expected = check_type(value, keywords[key].annotation) if key in keywords else None
        if expected:
            problems.append((f"{section}.{key}", f"expected {expected}, got {got(value)}"))
    return problems


def _check_together(raw: dict[str, Any], own: Keywords) -> tuple[Problems, list[str]]:
    """Check what two keys must be to each other: an error if both were given, a note if one is a default."""
    problems: Problems = []
    notes: list[str] = []
    search = search_defaults(own)
    evaluation = {key: field.default for key, field in EvaluationKeys.model_fields.items()}
    pairs = (
        ("search", search, "learning_rate_min", "learning_rate", "the schedule would rise"),
        ("evaluation", evaluation, "learning_rate_min", "learning_rate", "the schedule would rise"),
        ("search", search, "tau_min", "tau_max", "the temperature would rise"),
    )
    for section, defaults, low, high, why in pairs:
        given = raw.get(section, {})
        values = {key: given.get(key, defaults[key]) for key in (low, high)}
        if values[low] <= values[high]:
            continue
        text = f"{values[low]} is above {section}.{high} ({values[high]}); {why}"
        if low in given and high in given:
            problems.append((f"{section}.{low}", text))
        else:
            notes.append(f"{section}.{low}: {text}")
    return problems + _averaging_problems({**evaluation, **raw.get("evaluation", {})}), notes


def _averaging_problems(evaluation: Mapping[str, Any]) -> Problems:
    """Return why weights cannot be averaged, if that is asked for."""
    if evaluation["averaging"] is None:
        return []
    problems: Problems = []
    if evaluation["momentum"] and str(evaluation["op_optimizer"]).lower() == "sgd":
        problems.append(("evaluation.averaging", "averaged SGD has no momentum: set evaluation.momentum: 0.0"))
    if evaluation["train_portion"] == 1:
        why = "it begins when validation becomes no better: set evaluation.train_portion below 1"
        problems.append(("evaluation.averaging", why))
    return problems
