"""Values written as Python or JSON text, read without executing anything."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch

from naslib.errors import ArchitectureError

# Calls that stand for their first argument: NumPy and torch print numbers and arrays so
_WRAPPERS = ("list", "tuple", "int", "float", "str", "tensor", "array", "asarray", "Tensor")
_NUMBER_TYPES = ("int", "uint", "float")


class Call(NamedTuple):
    """A call whose meaning the reader of the value knows, such as `Genotype(normal=[...], ...)`.

    Attributes:
        name: What is called, without the module.
        arguments: Positional arguments.
        keywords: Keyword arguments.
    """

    name: str
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]


def as_value(spec: Any) -> Any:
    """Return an architecture as a value: of a text what it writes down, anything else as it is.

    Raises:
        ArchitectureError: If the text writes down nothing.
    """
    if not isinstance(spec, str):
        return spec
    try:
        return read_literal(spec)
    except ValueError as error:
        raise ArchitectureError(f"cannot read an architecture from {shortened(spec)}: {error}") from error


def plain(value: Any) -> Any:
    """Return a value with arrays, tensors, their numbers, tuples and ranges in it as Python's lists and numbers."""
    if isinstance(value, np.ndarray | np.generic | torch.Tensor):
        return value.tolist()
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | range):
        return [plain(item) for item in value]
    return value


def shortened(value: Any) -> str:
    """Return the repr of a value for a message, cut after 80 characters."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def read_literal(text: str) -> Any:
    """Return the value that a text stands for.

    Read are JSON, Python's literals, `range(...)`, `dict(...)`, numbers and arrays as NumPy and torch print them, and
    calls of other names, as `Call`. In `name = value` the name is passed over.

    Raises:
        ValueError: If the text is anything else.
    """
    text = text.strip()
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            raise ValueError(str(error) or type(error).__name__) from error
    if len(body) != 1 or not isinstance(body[0], ast.Expr | ast.Assign | ast.AnnAssign) or body[0].value is None:
        raise ValueError(f"expected one value, not {len(body)} statements" if body else "the text is empty")
    return _read(body[0].value)


def read_assignments(text: str) -> dict[str, Any]:
    """Return the values that a Python file assigns to names at its top level, those that can be read as values.

    Raises:
        ValueError: If the text is no Python.
    """
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ValueError(str(error) or type(error).__name__) from error
    found: dict[str, Any] = {}
    for statement in body:
        targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        value = getattr(statement, "value", None)
        names = [target.id for target in targets if isinstance(target, ast.Name)]
        if not names or value is None:
            continue
        if isinstance(value, ast.Name):  # DARTS = DARTS_V2
            found.update({name: found[value.id] for name in names if value.id in found})
            continue
        try:
            found.update(dict.fromkeys(names, _read(value)))
        except ValueError:
            continue  # no value: a function, a computation
    return found


def _read(node: ast.expr) -> Any:
    try:
        return _read_node(node)
    except (TypeError, RecursionError) as error:  # a list as a key; brackets without end
        raise ValueError(f"cannot read the value: {error}") from error


def _read_node(node: ast.expr) -> Any:
    if isinstance(node, ast.List | ast.Tuple | ast.Set):
        items = [_read_node(item) for item in node.elts]
        return tuple(items) if isinstance(node, ast.Tuple) else items
    if isinstance(node, ast.Dict):
        if any(key is None for key in node.keys):
            raise ValueError(f"cannot read {ast.unparse(node)}")
        pairs = zip(node.keys, node.values, strict=True)
        return {_read_node(key): _read_node(value) for key, value in pairs if key is not None}
    if isinstance(node, ast.Call):
        return _read_call(node)
    if isinstance(node, ast.Name) and node.id in ("true", "false", "null"):  # JSON inside Python
        return {"true": True, "false": False, "null": None}[node.id]
    try:
        return ast.literal_eval(node)
    except ValueError as error:  # whose message names the address of a node
        raise ValueError(f"{ast.unparse(node)} is no value") from error


def _read_call(node: ast.Call) -> Any:
    name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
    owner = node.func.value if isinstance(node.func, ast.Attribute) else None
    if not name or not (owner is None or isinstance(owner, ast.Name | ast.Attribute)):
        raise ValueError(f"cannot read {ast.unparse(node)}")
    arguments = tuple(_read_node(argument) for argument in node.args)
    keywords = {keyword.arg: _read_node(keyword.value) for keyword in node.keywords if keyword.arg is not None}
    if len(keywords) != len(node.keywords):
        raise ValueError(f"cannot read {ast.unparse(node)}")
    if name == "range":
        if not keywords and 1 <= len(arguments) <= 3 and all(type(argument) is int for argument in arguments):
            return range(*arguments)
        raise ValueError(f"cannot read {ast.unparse(node)}")
    if name in ("dict", "OrderedDict", "AttrDict"):
        return {**dict(*arguments), **keywords}
    if arguments and (name in _WRAPPERS or name.rstrip("0123456789").rstrip("_") in _NUMBER_TYPES):
        return arguments[0]
    return Call(name, arguments, keywords)


def as_mapping(spec: Any) -> Any:
    """Return the mapping that a text is, and anything else as it is.

    Args:
        spec: An architecture as a user gives it.
    """
    if not isinstance(spec, str) or not spec.strip().startswith("{"):
        return spec
    try:
        found = read_literal(spec)
    except ValueError:
        return spec  # whoever reads it says what is wrong with it
    return found if isinstance(found, Mapping) else spec
