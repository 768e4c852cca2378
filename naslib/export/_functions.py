"""Functions by their source, without what only matters inside of naslib."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from naslib.errors import ExportError

from ._folding import Folder, bound_names, without_dead_stores

# Calls that only matter inside of naslib, by what they are called with: the function first, then its arguments
_CALLS_FIRST = (
    "naslib.search_spaces.core.ops_base.call_op",
    "naslib.search_spaces.core.kernels.strided.call",
    "naslib.search_spaces.core.kernels.strided.convolve",
    "naslib.search_spaces.core.ops_conv._convolve",
)
_CALLS_SECOND = ("naslib.search_spaces.core.in_place.guarded", "naslib.search_spaces.core.kernels.strided.call_of")
# What gives None, or the last argument, outside of a search
_GIVES_NONE = ("naslib.utils.passage.held_memory", "naslib.search_spaces.darts_rnn.mixture.CellMixture.of")
_GIVES_LAST = ("typing.cast",)
# What calls its second argument, a function, with the first where a forward runs on a whole batch
_DRAWS = ("naslib.utils.rows.draw_for_rows",)
_GIVES_FALSE = ("torch._jit_internal.is_scripting", "torch.jit.is_scripting", "torch._jit_internal.is_tracing")
NOT_PASSED = ("edge_data", "edges_data")
_TYPES = ("int", "float", "bool", "str", "list", "tuple", "dict")


def tree_of(function: Any, what: str) -> ast.FunctionDef:
    """Return the source of a function or method as a tree.

    Raises:
        ExportError: If it is not known.
    """
    try:
        text = textwrap.dedent(inspect.getsource(inspect.unwrap(function)))
        tree = ast.parse(text).body[0]
    except (OSError, TypeError, SyntaxError) as error:
        raise ExportError(
            f"{what} cannot be written as source: Python does not know the text of {_name(function)}; define it in a "
            "file"
        ) from error
    if not isinstance(tree, ast.FunctionDef):
        raise ExportError(f"{what} cannot be written as source: {_name(function)} is not a plain function")
    return tree


def scope_of(function: Any) -> dict[str, Any]:
    """Return the values of the names that a function reads from around it."""
    plain = inspect.unwrap(getattr(function, "__func__", function))
    cells = zip(plain.__code__.co_freevars, plain.__closure__ or (), strict=False)
    return {**plain.__globals__, **{name: cell.cell_contents for name, cell in cells if _has_contents(cell)}}


def _has_contents(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - raises where it is empty
    except ValueError:
        return False
    return True


def _name(thing: Any) -> str:
    return str(getattr(thing, "__qualname__", None) or getattr(thing, "__name__", None) or type(thing).__name__)


def static_object(node: ast.expr, scope: Mapping[str, Any], local: set[str]) -> Any:
    """Return what a dotted name stands for, None where that is a local name or an attribute of one."""
    if isinstance(node, ast.Name):
        return None if node.id in local else scope.get(node.id)
    if isinstance(node, ast.Attribute):
        owner = static_object(node.value, scope, local)
        return None if owner is None else getattr(owner, node.attr, None)
    return None


class GivenNames(ast.NodeTransformer):
    """Put arguments in the places of names."""

    def __init__(self, values: Mapping[str, ast.expr]) -> None:
        self.values = values

    def visit_Name(self, node: ast.Name) -> Any:
        """Replace a name."""
        return self.values.get(node.id, node)


class _Plain(ast.NodeTransformer):
    """Write calls that only matter inside of naslib as what they come to, and leave annotations and edge data out."""

    def __init__(self, scope: Mapping[str, Any], local: set[str]) -> None:
        self.scope, self.local = scope, local

    def visit_Call(self, node: ast.Call) -> Any:
        """Replace the call."""
        self.generic_visit(node)
        node.keywords = [keyword for keyword in node.keywords if keyword.arg not in NOT_PASSED]
        called = static_object(node.func, self.scope, self.local)
        name = f"{getattr(called, '__module__', '')}.{getattr(called, '__qualname__', '')}"
        if name in _CALLS_FIRST:
            return ast.Call(node.args[0], node.args[1:], node.keywords)
        if name in _CALLS_SECOND:
            return ast.Call(node.args[1], node.args[2:], node.keywords)
        if name in _DRAWS:
            shape, draw = node.args
            if not isinstance(draw, ast.Lambda):
                return ast.Call(draw, [shape], [])
            return GivenNames({draw.args.args[0].arg: shape}).visit(draw.body)
        if name in _GIVES_NONE:
            return ast.Constant(None)
        if name in _GIVES_FALSE:
            return ast.Constant(False)
        return node.args[-1] if name in _GIVES_LAST else node

    def visit_Expr(self, node: ast.Expr) -> Any:
        """Leave out what only counts uses of a library."""
        call = node.value
        called = static_object(call.func, self.scope, self.local) if isinstance(call, ast.Call) else None
        counts = getattr(called, "__name__", "") == "_log_api_usage_once"
        return ast.Pass() if counts else self.generic_visit(node)

    def visit_Assert(self, node: ast.Assert) -> Any:
        """Leave out what is asserted of the data of edges."""
        read = any(isinstance(part, ast.Name) and part.id in NOT_PASSED for part in ast.walk(node))
        return ast.Pass() if read else self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> Any:
        """Raise a builtin in place of an error of naslib's."""
        self.generic_visit(node)
        call = node.exc
        kind = static_object(call.func, self.scope, self.local) if isinstance(call, ast.Call) else None
        if isinstance(kind, type) and kind.__module__.startswith("naslib"):
            builtin = next(base for base in kind.__mro__ if base.__module__ == "builtins" and base is not object)
            call.func = ast.Name(builtin.__name__, ast.Load())  # type: ignore[union-attr]
            node.cause = None
        return node

    def visit_arguments(self, node: ast.arguments) -> Any:
        """Leave out annotations of other types than torch's and Python's, and the data of edges, which nobody gives."""
        names = [argument.arg for argument in (*node.posonlyargs, *node.args)]
        defaulted = len(names) - len(node.defaults)
        node.defaults = [d for n, d in zip(names[defaulted:], node.defaults, strict=True) if n not in NOT_PASSED]
        node.args = [argument for argument in node.args if argument.arg not in NOT_PASSED]
        every = (*node.posonlyargs, *node.args, *node.kwonlyargs, node.vararg, node.kwarg)
        for argument in every:
            if argument is not None:
                argument.annotation = self._annotation(argument.annotation)
        node.defaults = [self.visit(default) for default in node.defaults]
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        """Leave out what the function says it returns, unless that is plain."""
        returns, node.returns = self._annotation(node.returns), None
        node.decorator_list = [d for d in node.decorator_list if self._is_of_torch(d)]
        self.generic_visit(node)
        node.returns = returns
        return node

    def _is_of_torch(self, decorator: ast.expr) -> bool:
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        return str(getattr(static_object(called, self.scope, self.local), "__module__", "")).startswith("torch")

    def _annotation(self, node: ast.expr | None) -> ast.expr | None:
        """Return an annotation of tensors and Python's own types, None where it is of anything else."""
        if node is None or any(isinstance(part, ast.Constant) and part.value is not None for part in ast.walk(node)):
            return None
        for part in ast.walk(node):
            if isinstance(part, ast.Name):
                part.id = "list" if part.id == "Sequence" else part.id
                if part.id not in _TYPES and static_object(part, self.scope, set()) not in (torch, torch.Tensor):
                    return None
        return node


def simplified(
    tree: ast.FunctionDef,
    scope: Mapping[str, Any],
    owner: nn.Module | None = None,
    stored: set[str] | None = None,
    known: Mapping[str, Any] | None = None,
) -> ast.FunctionDef:
    """Return a function without what only matters inside of naslib, and without what is known never to run.

    Args:
        tree: The function.
        scope: Values of the names from around it.
        owner: Whose method it is.
        stored: Attributes of the owner that its methods set.
        known: Values of arguments.
    """
    local = bound_names(tree) - {tree.name}
    described = ast.get_docstring(tree)
    has_doc = described is not None
    described = None if tree.name == "forward" and str(described).startswith("Apply the ") else described
    tree = _Plain(scope, local).visit(tree)
    body = tree.body[1:] if has_doc else tree.body
    folder = Folder(owner, stored or set(), scope, local)
    folder.known.update(known or {})
    folded = without_dead_stores(folder.body(body))
    doc = [ast.Expr(ast.Constant(first_paragraph(described)))] if described else []
    tree.body = [*doc, *folded] or [ast.Pass()]
    return tree


def first_paragraph(text: str) -> str:
    """Return the first paragraph of a docstring."""
    return inspect.cleandoc(text).split("\n\n")[0].strip()
