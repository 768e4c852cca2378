"""Names and keywords that registered optimizers, spaces and data sets add to the schema."""

from __future__ import annotations

import ast
import inspect
import re
import types
import typing
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

Keywords = Mapping[str, inspect.Parameter]

_NAMED = {"int": (int,), "float": (float, int), "bool": (bool,), "str": (str,), "None": (type(None),), "dict": (dict,)}
_WORDS = {
    int: "an integer",
    float: "a number",
    bool: "true or false",
    str: "text",
    dict: "a mapping",
    type(None): "null",
}


@dataclass(frozen=True)
class SchemaExtensions:
    """What the registries know; None means that names of that kind are not checked.

    Attributes:
        optimizers: Per optimizer the parameters of its `__init__`, those of its parents included.
        spaces: Per search space the parameters of its `__init__`.
        datasets: The names, or a mapping like the two others.
        parts: Per part of a method the parameters of its `__init__`.
        trial_parts: Per part of a search of trials likewise.
        tasks: Per task likewise, those of its parents included.
        evaluators: Per evaluator of trials the parameters of its `__init__` that a config gives.
    """

    optimizers: Mapping[str, Keywords] | None = None
    spaces: Mapping[str, Keywords] | None = None
    datasets: Collection[str] | Mapping[str, Keywords] | None = None
    parts: Mapping[str, Keywords] | None = None
    tasks: Mapping[str, Keywords] | None = None
    evaluators: Mapping[str, Keywords] | None = None
    trial_parts: Mapping[str, Keywords] | None = None


def keyword_names(keywords: Keywords) -> list[str]:
    """Return the parameters that can be given by name in a config."""
    kinds = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    # `task` of an optimizer is an object; the config's is a key of its own at the top level
    return [name for name, p in keywords.items() if p.kind in kinds and name not in ("self", "config", "task")]


def takes_any(keywords: Keywords) -> bool:
    """Return whether there is a `**kwargs`."""
    return any(p.kind is inspect.Parameter.VAR_KEYWORD for p in keywords.values())


def required_names(keywords: Keywords) -> list[str]:
    """Return the parameters without a default."""
    return [name for name in keyword_names(keywords) if keywords[name].default is inspect.Parameter.empty]


def check_type(value: Any, annotation: Any) -> str | None:
    """Return what `annotation` expects if `value` is not that; None if it is, or if the annotation is not a simple one.

    Understood are `int, float, bool, str, dict, None`, `Literal` and unions of them, as types or as text.
    """
    found = _options(annotation)
    if found is None:
        return None
    allowed, literals = found
    if any(value == literal and type(value) is type(literal) for literal in literals) or type(value) in allowed:
        return None
    words = [_WORDS[kind] for kind in allowed if not (kind is int and float in allowed)] + [
        repr(text) for text in literals
    ]
    return " or ".join(words)


def _options(annotation: Any) -> tuple[list[type], list[Any]] | None:
    """Return the types and literals that `annotation` allows, or None if it is not a simple one."""
    if isinstance(annotation, str):
        literal = re.fullmatch(r"(?:typing\.|t\.)?Literal\[(.*)\]", annotation.strip(), re.DOTALL)
        if literal:
            return _literals(literal[1])
        parts: list[Any] = [part.strip() for part in re.split(r"\|(?![^\[]*\])", annotation)]
        if len(parts) == 1:
            return (list(_NAMED[parts[0]]), []) if parts[0] in _NAMED else None
    elif typing.get_origin(annotation) is typing.Literal:
        return [], list(typing.get_args(annotation))
    elif typing.get_origin(annotation) in (typing.Union, types.UnionType):
        parts = list(typing.get_args(annotation))
    else:
        name = "None" if annotation in (None, type(None)) else getattr(annotation, "__name__", "")
        return (list(_NAMED[name]), []) if name in _NAMED else None
    allowed: list[type] = []
    literals: list[Any] = []
    for part in parts:
        found = _options(part)
        if found is None:
            return None
        allowed += found[0]
        literals += found[1]
    return allowed, literals


def _literals(text: str) -> tuple[list[type], list[Any]] | None:
    """Return the values inside `Literal[...]`."""
    try:
        return [], list(ast.literal_eval(f"({text},)"))
    except (SyntaxError, ValueError):
        return None
