"""What the classes of a file need beside themselves: imports of torch; functions, constants, records by source."""

from __future__ import annotations

import ast
import importlib
import inspect
import sys
import textwrap
import types
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from naslib.errors import ExportError

from ._folding import bound_names, is_builtin, is_plain, literal
from ._functions import first_paragraph, scope_of, simplified, static_object, tree_of

_SHORT = {"torch.nn": "nn", "torch.nn.functional": "F"}


class Library:
    """Imports, and what stands before the classes.

    Attributes:
        imports: Modules to import, beside what is imported from torch.
        helpers: Statements, in an order in which each finds what it needs.
        taken: Names that stand for something already.
    """

    def __init__(self) -> None:
        self.imports: set[str] = set()
        self.helpers: list[ast.stmt] = []
        self.taken: set[str] = {"torch", "nn", "F", "Tensor"}
        self._names: dict[Any, str] = {}
        self._kept: list[Any] = []  # whose identities are keys

    def unused(self, wanted: str) -> str:
        """Return a name that stands for nothing yet, and take it."""
        name, number = wanted, 1
        while name in self.taken:
            number += 1
            name = f"{wanted}{number}"
        self.taken.add(name)
        return name

    def resolved(self, tree: Any, scope: Mapping[str, Any], what: str) -> Any:
        """Return a piece of code whose names from outside are those of the file."""
        return _Resolver(self, scope, what).visit(tree)

    def import_statements(self) -> list[ast.stmt]:
        """Return the imports of the file, in order."""
        plain = sorted(name for name in self.imports if "." not in name and name != "torch")
        found: list[ast.stmt] = [ast.Import([ast.alias(name)]) for name in plain]
        dotted = sorted(name for name in self.imports if name.startswith("torch.") and name not in _SHORT)
        if "torch" in self.imports:
            found.append(ast.Import([ast.alias("torch")]))
        found += [ast.Import([ast.alias(name)]) for name in dotted if name != "torch.Tensor"]
        names = [short for key, short in (("torch.Tensor", "Tensor"), ("torch.nn", "nn")) if key in self.imports]
        if names:
            found.append(ast.ImportFrom("torch", [ast.alias(name) for name in names], 0))
        if "torch.nn.functional" in self.imports:
            found.append(ast.ImportFrom("torch.nn", [ast.alias("functional", "F")], 0))
        return found

    def expression(self, value: Any, name: str, scope: Mapping[str, Any], what: str) -> ast.expr:
        """Return what stands in the file for a value that a name has outside of a function.

        Raises:
            ExportError: If it can be neither imported from torch or Python nor written out.
        """
        if isinstance(value, types.ModuleType):
            return self._module(value, what)
        home = str(getattr(value, "__module__", None) or "")
        if isinstance(value, torch.dtype | torch.memory_format | torch.layout):
            self.imports.add("torch")
            return _dotted(str(value))
        if home.split(".")[0] == "torch" or type(value).__module__.split(".")[0] == "torch":
            return self._of_torch(value, what)
        is_code = isinstance(value, types.FunctionType | type)
        if home.split(".")[0] in sys.stdlib_module_names and getattr(value, "__name__", None):
            self.imports.add(home.split(".")[0])
            return ast.Name(value.__name__, ast.Load()) if home == "builtins" else _dotted(f"{home}.{value.__name__}")
        if is_code:
            key: Any = id(value)
            if key not in self._names:
                self._kept.append(value)
                self._names[key] = self.unused(value.__name__ if value.__name__ != "<lambda>" else name)
                self._include(value, self._names[key], what)
            return ast.Name(self._names[key], ast.Load())
        key = (name, repr(value))
        if key not in self._names:
            assigned = literal(value) if is_plain(value) else self._assigned(name, scope, what)
            self._names[key] = self.unused(name)
            self.helpers.append(ast.Assign([ast.Name(self._names[key], ast.Store())], assigned))
        return ast.Name(self._names[key], ast.Load())

    def _module(self, value: types.ModuleType, what: str) -> ast.expr:
        first = value.__name__.split(".")[0]
        if first == "torch":
            return self._torch_module(value.__name__)
        if first in sys.stdlib_module_names:
            self.imports.add(value.__name__)
            return _dotted(value.__name__)
        raise ExportError(f"{what} cannot be written as source: it uses the module {value.__name__}, not torch alone")

    def _torch_module(self, name: str) -> ast.expr:
        if name in _SHORT:
            self.imports.add(name)
            return ast.Name(_SHORT[name], ast.Load())
        if name.startswith("torch.nn."):
            self.imports.add("torch.nn")
            return _dotted("nn." + name.removeprefix("torch.nn."))
        self.imports.add("torch")
        if name.count(".") > 1:
            self.imports.add(name)
        return _dotted(name)

    def _of_torch(self, value: Any, what: str) -> ast.expr:
        if value is torch.Tensor:
            self.imports.add("torch.Tensor")
            return ast.Name("Tensor", ast.Load())
        name = getattr(value, "__name__", "")
        for module in (nn, nn.functional, torch, nn.init, torch.Tensor):
            if name and getattr(module, name, None) is value:
                if module is torch.Tensor:
                    self.imports.add("torch.Tensor")
                    return _dotted(f"Tensor.{name}")
                return ast.Attribute(self._torch_module(module.__name__), name, ast.Load())
        home = getattr(value, "__module__", "")
        if name and getattr(importlib.import_module(home), name, None) is value:
            return ast.Attribute(self._torch_module(home), name, ast.Load())
        raise ExportError(f"{what} cannot be written as source: it uses {value!r} of torch, which has no public name")

    def _assigned(self, name: str, scope: Mapping[str, Any], what: str) -> ast.expr:
        """Return the expression that a module assigns to a name."""
        module = sys.modules.get(str(scope.get("__name__")))
        for _ in range(5):
            tree = ast.parse(inspect.getsource(module)) if module is not None else ast.Module([], [])
            for node in (*tree.body,):
                targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
                if any(isinstance(target, ast.Name) and target.id == name for target in targets):
                    return self.resolved(getattr(node, "value", None), vars(module), what)
            names = {a.asname or a.name: (n, a) for n in tree.body if isinstance(n, ast.ImportFrom) for a in n.names}
            if module is None or name not in names:
                break
            node, alias = names[name]
            package = "." * node.level + (node.module or "")
            module = importlib.import_module(package, module.__package__)
            name = alias.name
        raise ExportError(f"{what} cannot be written as source: nothing says how {name} is made")

    def _include(self, value: Any, name: str, what: str) -> None:
        if isinstance(value, type):
            tree: Any = _class_tree(value, what)
            scope: Mapping[str, Any] = vars(sys.modules[value.__module__])
            tree = self.resolved(_shortened(tree), scope, what)
        elif value.__name__ == "<lambda>":
            raise ExportError(f"{what} cannot be written as source: it uses a lambda function; write it with def")
        else:
            scope = scope_of(value)
            tree = self.resolved(simplified(tree_of(value, what), scope), scope, what)
        tree.name = name
        self.helpers.append(tree)


def _class_tree(value: type, what: str) -> ast.ClassDef:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(value))).body[0]
    except (OSError, TypeError, SyntaxError) as error:
        raise ExportError(f"{what} cannot be written as source: the text of {value.__name__} is not known") from error
    if not isinstance(tree, ast.ClassDef):
        raise ExportError(f"{what} cannot be written as source: the text of {value.__name__} is no class")
    return tree


def _shortened(tree: Any) -> Any:
    """Keep the first paragraphs of docstrings."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            node.body[0] = ast.Expr(ast.Constant(first_paragraph(ast.get_docstring(node) or "")))
            if len(node.body) == 1 and isinstance(node, ast.FunctionDef):
                node.body.append(ast.Pass())
    return tree


def _dotted(name: str) -> ast.expr:
    first, *rest = name.split(".")
    found: ast.expr = ast.Name(first, ast.Load())
    for part in rest:
        found = ast.Attribute(found, part, ast.Load())
    return found


class _Resolver(ast.NodeTransformer):
    """Replace names from outside a function by what stands for them in the file."""

    def __init__(self, library: Library, scope: Mapping[str, Any], what: str) -> None:
        self.library, self.scope, self.what = library, scope, what
        self.local: list[set[str]] = []

    def _inside(self, node: Any, visit: Callable[[Any], Any]) -> Any:
        self.local.append(bound_names(node) - {getattr(node, "name", "")})
        try:
            return visit(node)
        finally:
            self.local.pop()

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        """Leave what the function binds itself."""
        return self._inside(node, self.generic_visit)

    def visit_Lambda(self, node: ast.Lambda) -> Any:
        """Likewise."""
        return self._inside(node, self.generic_visit)

    def visit_ListComp(self, node: Any) -> Any:
        """Likewise."""
        return self._inside(node, self.generic_visit)

    visit_GeneratorExp = visit_SetComp = visit_DictComp = visit_ListComp

    def visit_Attribute(self, node: ast.Attribute) -> Any:
        """Resolve what is read from a module that is neither torch's nor Python's."""
        owner = static_object(node.value, self.scope, set().union(*self.local))
        if isinstance(owner, types.ModuleType):
            first = owner.__name__.split(".")[0]
            if first != "torch" and first not in sys.stdlib_module_names and hasattr(owner, node.attr):
                return self.library.expression(getattr(owner, node.attr), node.attr, vars(owner), self.what)
        return self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> Any:
        """Resolve a name that is read."""
        name = node.id
        if not isinstance(node.ctx, ast.Load) or any(name in names for names in self.local):
            return node
        if name in self.scope:
            return self.library.expression(self.scope[name], name, self.scope, self.what)
        if is_builtin(name):
            return node
        raise ExportError(f"{self.what} cannot be written as source: nothing says what {name} is")
