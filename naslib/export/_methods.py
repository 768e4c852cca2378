"""The methods that a module's forward reaches, as those of a class without parents of ours."""

from __future__ import annotations

import ast
import copy
import inspect
from collections.abc import Mapping
from typing import Any

from torch import nn

from naslib.errors import ExportError
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.primitives import AbstractCombOp, AbstractPrimitive

from ._folding import bound_names
from ._functions import NOT_PASSED, GivenNames, scope_of, simplified, tree_of
from ._library import Library

# Classes whose methods are not written down: of torch, and of ours those that only make a module an operation
_FRAME: tuple[type, ...] = (AbstractPrimitive, AbstractCombOp, Graph)
_EVERYTHING = ("children", "modules", "named_children", "named_modules", "parameters", "named_parameters", "_modules")


class _Inlined(ast.NodeTransformer):
    """Put what a method returns in the place of its calls, where it is one expression that reads nothing twice."""

    def __init__(self, trees: list[ast.FunctionDef]) -> None:
        self.short: dict[str, tuple[list[str], ast.expr]] = {}
        for tree in trees:
            value, arguments = returned(tree), tree.args
            plain = [argument.arg for argument in arguments.args[1:]]
            odd = (
                arguments.vararg
                or arguments.kwarg
                or arguments.kwonlyargs
                or arguments.posonlyargs
                or arguments.defaults
            )
            if value is None or odd or tree.name == "forward" or tree.decorator_list:
                continue
            reads = [node.id for node in ast.walk(value) if isinstance(node, ast.Name)]
            scoped = any(isinstance(node, ast.Lambda | ast.comprehension) for node in ast.walk(value))
            if not scoped and all(reads.count(argument) <= 1 for argument in plain):
                self.short[tree.name] = (plain, value)

    def visit_Call(self, node: ast.Call) -> Any:
        """Replace a call."""
        self.generic_visit(node)
        func = node.func
        if not (isinstance(func, ast.Attribute) and _is_self(func.value) and func.attr in self.short):
            return node
        names, value = self.short[func.attr]
        if node.keywords or len(node.args) != len(names) or any(isinstance(a, ast.Starred) for a in node.args):
            return node
        return GivenNames(dict(zip(names, node.args, strict=True))).visit(copy.deepcopy(value))


def is_frame(kind: type) -> bool:
    """Say whether a class is torch's, Python's, or only the frame of an operation."""
    return kind in _FRAME or kind.__module__.split(".")[0] in ("torch", "builtins", "abc", "typing", "networkx")


class Methods:
    """What of a module's class has to be written down.

    Args:
        module: The module.
        library: What stands before the classes of the file.
        where: The module in words, for messages.
        base: The class of torch's that it derives from, whose methods are there.
        given: Methods that are there already, by name.
        edges: The data of the edge that it stands on, or of those that enter the node.

    Attributes:
        trees: The methods, in the order in which they are reached.
        reads: Attributes that they read.
        reads_all: Whether some method goes through all children.
        stores: Attributes that they set.
        asked: What they read of attributes, by the names of these.
    """

    def __init__(
        self,
        module: nn.Module,
        library: Library,
        where: str,
        base: type | None = None,
        given: Mapping[str, ast.FunctionDef] | None = None,
        edges: Any = None,
    ) -> None:
        self.module, self.library, self.where = module, library, where
        self.base = base
        self.given = dict(given or {})
        self.known = dict.fromkeys(NOT_PASSED, edges) if edges is not None else {}
        self.stored = stored_in(type(module))
        self.trees: list[ast.FunctionDef] = []
        self.reads: list[str] = []
        self.reads_all = False
        self.stores: set[str] = set()
        self.asked: dict[str, set[str]] = {}
        self._reached: set[str] = set()

    def take(self, name: str) -> None:
        """Write down a method and all that it reaches.

        Raises:
            ExportError: If one of them cannot be written.
        """
        self._add(name, name, type(self.module))

    def inline(self) -> None:
        """Write short methods at the places where they are called, once all are taken."""
        inlined = _Inlined(self.trees)
        self.trees = [inlined.visit(tree) for tree in self.trees]
        read = {node.attr for tree in self.trees for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        self.trees = [tree for tree in self.trees if tree.name not in inlined.short or tree.name in read]

    def _add(self, name: str, called: str, kind: type, above: bool = False) -> None:
        """Write down the method `name` as `called`, as seen by `kind`, or by what stands above it."""
        if called in self._reached:
            return
        self._reached.add(called)
        if name in self.given:
            self._keep(self.given[name], called)
            return
        owner, raw = self._found(name, kind, above)
        function = raw.fget if isinstance(raw, property) else raw
        function = getattr(function, "__func__", function)
        function = getattr(function, "func", function)  # a cached property
        what = f"{self.where} ({type(self.module).__name__}.{name})"
        if not callable(function):
            raise ExportError(f"{what} cannot be written as source: it is no function")
        tree = tree_of(function, what)
        scope = scope_of(function)
        decorators = [d for d in tree.decorator_list if isinstance(d, ast.Name) and d.id in _KEPT]
        tree = simplified(tree, scope, self.module, self.stored, self.known)
        tree = _Parents(self, owner).visit(tree)
        tree = self.library.resolved(tree, scope, what)
        tree.decorator_list = [*decorators, *tree.decorator_list]
        self._keep(tree, called)

    def _keep(self, tree: ast.FunctionDef, called: str) -> None:
        tree.name = called
        self.trees.append(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
                self._read(node)
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute):
                if _is_self(node.value.value):
                    self.asked.setdefault(node.value.attr, set()).add(node.attr)
            elif isinstance(node, ast.Name) and node.id == "self" and _is_whole(node, tree):
                self.reads_all = True

    def _read(self, node: ast.Attribute) -> None:
        if node.attr in _EVERYTHING:
            self.reads_all = True
        if isinstance(node.ctx, ast.Store):
            self.stores.add(node.attr)
            return
        if self._is_method(node.attr):
            self._add(node.attr, node.attr, type(self.module))
        elif node.attr not in self.reads and not hasattr(nn.Module, node.attr):
            self.reads.append(node.attr)

    def _is_method(self, name: str) -> bool:
        if name in self.given:
            return True
        owner, raw = self._lookup(name, type(self.module), False)
        is_code = callable(raw) or isinstance(raw, property | staticmethod | classmethod) or hasattr(raw, "func")
        return owner is not None and is_code and not is_frame(owner) and name not in vars(self.module)

    def _lookup(self, name: str, kind: type, above: bool) -> tuple[type | None, Any]:
        order = type(self.module).__mro__
        for owner in order[order.index(kind) + above :]:
            if name in owner.__dict__:
                return owner, owner.__dict__[name]
        return None, None

    def _found(self, name: str, kind: type, above: bool) -> tuple[type, Any]:
        owner, raw = self._lookup(name, kind, above)
        if owner is None:
            raise ExportError(f"{self.where} cannot be written as source: {type(self.module).__name__} has no {name}")
        return owner, raw

    def of_parent(self, name: str, owner: type) -> str | None:
        """Return what a method of a parent is called here; None where the parent is torch's and stays the parent."""
        found, _ = self._lookup(name, owner, True)
        if found is Graph and name in ("forward", "forward_with_auxiliary") and "forward_with_auxiliary" in self.given:
            return "forward_with_auxiliary"
        if found is None or is_frame(found):
            return None
        called = f"{name}_of_{found.__name__.strip('_').lower()}"
        self._add(name, called, owner, above=True)
        return called


_KEPT = ("property", "staticmethod", "classmethod")


def _is_whole(name: ast.Name, tree: ast.FunctionDef) -> bool:
    """Say whether `self` is used as a whole: handed on, or gone through."""
    return not any(isinstance(node, ast.Attribute) and node.value is name for node in ast.walk(tree))


def stored_in(kind: type) -> set[str]:
    """Return the attributes that methods other than the constructor set."""
    found: set[str] = set()
    for owner in kind.__mro__:
        if is_frame(owner):
            continue
        for name, raw in vars(owner).items():
            function = inspect.unwrap(getattr(raw, "__func__", raw)) if callable(raw) else None
            if name.startswith("__") or not inspect.isfunction(function):
                continue
            try:
                tree = tree_of(function, name)
            except ExportError:
                continue
            found |= {
                node.attr
                for node in ast.walk(tree)
                if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and _is_self(node.value)
            }
    return found


def _is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "self"


class _Parents(ast.NodeTransformer):
    """Call methods of parents by the names that they have in a class without parents."""

    def __init__(self, methods: Methods, owner: type) -> None:
        self.methods, self.owner = methods, owner

    def visit_Call(self, node: ast.Call) -> Any:
        """Replace `super().name(...)`."""
        self.generic_visit(node)
        func = node.func
        if isinstance(func, ast.Attribute) and isinstance(func.value, ast.Call) and _is_super(func.value):
            called = self.methods.of_parent(func.attr, self.owner)
            if called is not None:
                call = ast.Call(
                    ast.Attribute(ast.Name("self", ast.Load()), called, ast.Load()), node.args, node.keywords
                )
                first = called == "forward_with_auxiliary" and func.attr == "forward"
                return ast.Subscript(call, ast.Constant(0), ast.Load()) if first else call
        return node


def _is_super(node: ast.Call) -> bool:
    return isinstance(node.func, ast.Name) and node.func.id == "super" and not node.args


def returned(tree: ast.FunctionDef) -> ast.expr | None:
    """Return what a method of one statement returns."""
    body = [node for node in tree.body if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))]
    return body[0].value if len(body) == 1 and isinstance(body[0], ast.Return) else None


def sole_input(tree: ast.FunctionDef) -> str | None:
    """Return the name of the only argument of a method beside self, None where there are more, or it is bound anew."""
    arguments = tree.args
    plain = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args)]
    more = arguments.vararg or arguments.kwarg or arguments.kwonlyargs
    return plain[1] if len(plain) == 2 and not more and plain[1] in bound_names(tree) else None
