"""Read YAML without its surprises: `1e-3` is a number, `012` is twelve, a key comes once, errors name the line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from naslib.errors import ConfigError

_INT = re.compile(r"^[-+]?(?:0b[01_]+|0o[0-7_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*)$")
_FLOAT = re.compile(
    r"^(?:[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*|[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
)
# YAML 1.1 reads 1e-3 as text, 012 as ten, 1:30 as ninety and 2020-01-01 as a date.
_REPLACED = {"tag:yaml.org,2002:int", "tag:yaml.org,2002:float", "tag:yaml.org,2002:timestamp"}


class _Loader(yaml.SafeLoader):
    """SafeLoader with the numbers of YAML 1.2."""


_Loader.yaml_implicit_resolvers = {
    char: [(tag, pattern) for tag, pattern in resolvers if tag not in _REPLACED]
    for char, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _construct_int(loader: _Loader, node: yaml.ScalarNode) -> int:
    text = node.value.replace("_", "")
    return int(text, 0) if re.match(r"[-+]?0[box]", text) else int(text)


def _construct_float(loader: _Loader, node: yaml.ScalarNode) -> float:
    return float(re.sub(r"^([-+]?)\.(?=[iInN])", r"\1", node.value.replace("_", "")))


_Loader.add_implicit_resolver("tag:yaml.org,2002:int", _INT, list("-+0123456789"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+.0123456789"))
_Loader.add_constructor("tag:yaml.org,2002:int", _construct_int)
_Loader.add_constructor("tag:yaml.org,2002:float", _construct_float)


def read_yaml(path: Path) -> tuple[dict[str, Any], dict[str, int]]:
    """Return the mapping in a YAML file, and the line of every dotted key.

    Raises:
        ConfigError: If the file cannot be read, is not YAML, holds a key twice, or is no mapping.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigError(f"cannot read {path}: {err}") from err
    value, lines, duplicates = _parse(text, str(path))
    if duplicates:
        raise ConfigError(duplicates)
    if value is None:
        return {}, {}
    if not isinstance(value, dict):
        raise ConfigError(f"{path}: expected a mapping of keys to values, got {type(value).__name__}")
    return value, lines


def parse_value(text: str) -> Any:
    """Return what `text` means as a YAML value.

    Raises:
        ConfigError: If it is not YAML.
    """
    value, _, duplicates = _parse(text, "value")
    if duplicates:
        raise ConfigError(duplicates)
    return value


def _parse(text: str, source: str) -> tuple[Any, dict[str, int], list[str]]:
    """Return the value, the line of every dotted key, and one problem per repeated key."""
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        entries = list(_keys(node, "", set())) if node is not None else []
        value = loader.construct_document(node) if node is not None else None
    except (yaml.YAMLError, ValueError, TypeError) as err:
        raise ConfigError(_syntax_error(err, source)) from err
    lines: dict[str, int] = {}
    duplicates = []
    for key, line in entries:
        if key in lines:
            duplicates.append(f"{source}:{line}: {key} is given twice (first in line {lines[key]})")
        lines.setdefault(key, line)
    return value, lines, duplicates


def _keys(node: yaml.Node, prefix: str, seen: set[int]) -> Iterator[tuple[str, int]]:
    """Yield every dotted key under `node` with its line."""
    if not isinstance(node, yaml.MappingNode) or id(node) in seen:
        return
    for key, value in node.value:
        if isinstance(key, yaml.ScalarNode) and key.value != "<<":
            name = prefix + key.value
            yield name, key.start_mark.line + 1
            yield from _keys(value, name + ".", {*seen, id(node)})


def _syntax_error(err: Exception, source: str) -> str:
    """Return one line that says where and what is wrong."""
    mark = getattr(err, "problem_mark", None) or getattr(err, "context_mark", None)
    what = " ".join(filter(None, (getattr(err, "context", None), getattr(err, "problem", None)))) or str(err)
    place = f"{source}:{mark.line + 1}:{mark.column + 1}" if mark else source
    hint = " (indent with spaces, not tabs)" if "'\\t'" in what else ""
    return f"{place}: not valid YAML: {what}{hint}"
