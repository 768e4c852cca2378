"""The parameters of classes and functions: of what is imported, or read from source text that is not."""

from __future__ import annotations

import ast
import functools
import importlib.util
import inspect
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

Parameters = dict[str, inspect.Parameter]

_PACKAGE = Path(__file__).resolve().parents[1]
_Definition = ast.ClassDef | ast.FunctionDef
_Row = tuple[ast.arg, Any, ast.expr | None]


def signatures(entry: Any) -> list[Parameters]:
    """Return the parameters of a function; of a class those of its `__init__`, then of each of its parents'."""
    if not inspect.isclass(entry):
        return [dict(inspect.signature(entry).parameters)]
    found = [vars(base)["__init__"] for base in entry.__mro__ if base is not object and "__init__" in vars(base)]
    return [_without_self(inspect.signature(init).parameters) for init in found]


def source_signatures(target: str) -> list[Parameters] | None:
    """Return what `signatures` would, for `"module:name"` in this package, without importing the module.

    A default that is no literal reads as `...`, an annotation as its text. Of several parents the first is followed, up
    to the first that is not of this package.

    Returns:
        None where the source text is not here or does not say it; then the module has to be imported.
    """
    module, _, name = target.partition(":")
    found = _definition(module, name) if module.startswith("naslib.") else None
    if found is None:
        return None
    where, node = found
    if isinstance(node, ast.FunctionDef):
        return [_parameters(node.args)]
    own = [_without_self(_parameters(init.args)) for init in _functions(node) if init.name == "__init__"]
    if not node.bases:
        return own
    base = node.bases[0]
    if isinstance(base, ast.Attribute) and isinstance(base.value, ast.Name):  # `nn.Module`: of another package
        source = _imported_from(where, base.value.id)
        return own if source is not None and not source.startswith("naslib") else None
    if not isinstance(base, ast.Name):
        return None
    above = _above(where, base.id)
    return None if above is None else [*own, *above]


def source_constant(target: str, attribute: str) -> Any:
    """Return a literal that a class of this package, or the first of its parents, sets in its body; None if none does.

    Args:
        target: `"module:name"`; the module is not imported.
        attribute: The name of the attribute.
    """
    module, _, name = target.partition(":")
    found = _definition(module, name) if module.startswith("naslib.") else None
    where, node = found or ("", None)
    if not isinstance(node, ast.ClassDef):
        return None
    for statement in node.body:
        targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        if any(isinstance(place, ast.Name) and place.id == attribute for place in targets):
            value = getattr(statement, "value", None)
            return None if value is None else ast.literal_eval(value)
    base = node.bases[0] if node.bases else None
    return source_constant(f"{where}:{base.id}", attribute) if isinstance(base, ast.Name) else None


def definition_of(target: str) -> tuple[str, ast.ClassDef | ast.FunctionDef] | None:
    """Return the module in which `"module:name"` of this package is defined, and its definition; None elsewhere."""
    module, _, name = target.partition(":")
    return _definition(module, name) if module.split(".")[0] == "naslib" else None


def parent_of(module: str, node: ast.AST) -> str | None:
    """Return `"module:name"` of the first parent of a class, None where that is not of this package.

    Args:
        module: Where the class is defined.
        node: Its definition; a function has no parent.
    """
    base = node.bases[0] if isinstance(node, ast.ClassDef) and node.bases else None
    return f"{module}:{base.id}" if isinstance(base, ast.Name) else None


def keywords_through(chain: Iterable[Mapping[str, inspect.Parameter]]) -> Parameters:
    """Return the keywords that a constructor takes, those included that it hands on to its parents' as `**kwargs`."""
    found: Parameters = {}
    for parameters in chain:
        for name, parameter in parameters.items():
            if parameter.kind in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD):
                found.setdefault(name, parameter)
        if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            break  # this constructor hands nothing on
    return found


def _without_self(parameters: Mapping[str, inspect.Parameter]) -> Parameters:
    return dict(list(parameters.items())[1:])


def _functions(node: ast.ClassDef) -> list[ast.FunctionDef]:
    return [statement for statement in node.body if isinstance(statement, ast.FunctionDef)]


def _above(module: str, base: str) -> list[Parameters] | None:
    """Return the signatures of a parent class; none of one that is not of this package."""
    source = _imported_from(module, base)
    if source is not None and not source.startswith("naslib."):
        return []
    return source_signatures(f"{module}:{base}")


def _definition(module: str, name: str) -> tuple[str, _Definition] | None:
    """Return the module in which a class or function is defined, and its definition; re-exports are followed."""
    tree = _tree(module)
    for node in tree.body if tree else ():
        if isinstance(node, _Definition) and node.name == name:
            return module, node
    source = _imported_from(module, name)
    return _definition(*source.rsplit(":", 1)) if source and source.startswith("naslib.") else None


def _imported_from(module: str, name: str) -> str | None:
    """Return `"module:name"` of what a module imports as `name`, None where it does not."""
    tree = _tree(module)
    for node in tree.body if tree else ():
        for alias in node.names if isinstance(node, ast.ImportFrom) else ():
            if (alias.asname or alias.name) == name and isinstance(node, ast.ImportFrom):
                package = module if _path(module).name == "__init__.py" else module.rpartition(".")[0]
                base = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
                return f"{base}:{alias.name}"
    return None


@functools.cache
def _tree(module: str) -> ast.Module | None:
    path = _path(module)
    return ast.parse(path.read_text(encoding="utf-8")) if path.is_file() else None


def _path(module: str) -> Path:
    path = _PACKAGE.joinpath(*module.split(".")[1:])
    return path / "__init__.py" if path.is_dir() else path.parent / f"{path.name}.py"


def _parameters(arguments: ast.arguments) -> Parameters:
    kind = inspect.Parameter
    positional: list[tuple[ast.arg, Any]] = [(argument, kind.POSITIONAL_ONLY) for argument in arguments.posonlyargs]
    positional += [(argument, kind.POSITIONAL_OR_KEYWORD) for argument in arguments.args]
    missing: list[ast.expr | None] = [None] * (len(positional) - len(arguments.defaults))
    rows: list[_Row] = [
        (*entry, default) for entry, default in zip(positional, [*missing, *arguments.defaults], strict=True)
    ]
    rows += [(argument, kind.VAR_POSITIONAL, None) for argument in [arguments.vararg] if argument]
    keyword_only = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    rows += [(argument, kind.KEYWORD_ONLY, default) for argument, default in keyword_only]
    rows += [(argument, kind.VAR_KEYWORD, None) for argument in [arguments.kwarg] if argument]
    return {
        argument.arg: inspect.Parameter(argument.arg, kind, default=_default(default), annotation=_text(argument))
        for argument, kind, default in rows
    }


def _text(argument: ast.arg) -> Any:
    return inspect.Parameter.empty if argument.annotation is None else ast.unparse(argument.annotation)


def _default(node: ast.expr | None) -> Any:
    if node is None:
        return inspect.Parameter.empty
    try:
        return ast.literal_eval(node)
    except ValueError:  # a name or a call
        return ...
