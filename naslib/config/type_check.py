"""Check the types and ranges of the schema's keys, and say in plain words what was expected."""

from __future__ import annotations

from typing import Any, get_args

from pydantic import ValidationError

from naslib.config.schema import SECTIONS, ConfigKeys, keys_of
from naslib.config.yaml_reader import parse_value
from naslib.errors import ConfigError, did_you_mean

Problems = list[tuple[str, str]]

# pydantic's kinds of error whose own words would not help
_EXPECTED = {
    "int_type": "an integer",
    "float_type": "a number",
    "string_type": "text",
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "list_type": "a list",
    "string_pattern_mismatch": "auto, cpu, cuda, cuda:1, mps, xpu, hpu or mtia",
    "string_too_short": "text that is not empty",
}
_BOUNDS = {
    "greater_than_equal": (">=", "ge"),
    "greater_than": (">", "gt"),
    "less_than_equal": ("<=", "le"),
    "less_than": ("<", "lt"),
}


def check_types(raw: dict[str, Any]) -> Problems:
    """Check types and ranges of the schema's keys; write the converted values back."""
    shared = {key: value for key, value in raw.items() if key in keys_of("")}
    for section in SECTIONS:
        if section in shared:
            shared[section] = {key: value for key, value in raw[section].items() if key in keys_of(section)}
    try:
        checked = ConfigKeys.model_validate(shared).model_dump(exclude_unset=True)
    except ValidationError as err:
        return _explain(err, shared)
    for section in SECTIONS:
        if section in raw:
            raw[section].update(checked.pop(section))
    raw.update({key: value for key, value in checked.items() if key not in SECTIONS})
    return []


def _explain(err: ValidationError, given: dict[str, Any]) -> Problems:
    """Return one problem per key; the branches of a union share one."""
    expected: dict[tuple[str, ...], list[str]] = {}
    for error in err.errors(include_url=False):
        place = tuple(str(part) for part in error["loc"])
        place = place[: 2 if place[0] in SECTIONS else 1]
        expected.setdefault(place, []).append(in_words(error))
    problems: Problems = []
    for place, texts in expected.items():
        value = given[place[0]][place[1]] if len(place) > 1 else given[place[0]]
        text = f"expected {' or '.join(dict.fromkeys(texts))}, got {got(value)}{_hint(place, value)}"
        problems.append((".".join(place), text))
    return problems


def in_words(error: Any) -> str:
    """Return what an error of pydantic says was expected."""
    if error["type"] in _BOUNDS:
        sign, name = _BOUNDS[error["type"]]
        return f"a number {sign} {error['ctx'][name]:g}"
    return _EXPECTED.get(error["type"], error["msg"].removeprefix("Input should be "))


def got(value: Any) -> str:
    """Return `value` and its type in the words of YAML."""
    kinds = {bool: "true/false", int: "an integer", float: "a number", str: "text", dict: "a mapping", list: "a list"}
    if value is None:
        return "nothing (null)"
    shown = str(value).lower() if isinstance(value, bool) else repr(value)
    return f"{shown} ({kinds.get(type(value), type(value).__name__)})"


def _hint(place: tuple[str, ...], value: Any) -> str:
    """Return what would be right, where that can be guessed."""
    model: Any = SECTIONS[place[0]] if len(place) > 1 else ConfigKeys
    field = model.model_fields[place[-1]]

    def fits(candidate: Any) -> bool:
        try:
            model.model_validate({place[-1]: candidate})
        except ValidationError:
            return False
        return True

    if isinstance(value, str):
        choices = [choice for choice in get_args(field.annotation) if isinstance(choice, str)]
        near = did_you_mean(value, choices)
        if near:
            return near
        try:
            meant = parse_value(value)
        except ConfigError:
            return ""
        return "; leave out the quotes" if not isinstance(meant, str) and fits(meant) else ""
    if isinstance(value, float) and value.is_integer() and fits(int(value)):
        return f"; write {int(value)}"
    return ""
