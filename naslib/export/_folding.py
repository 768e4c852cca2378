"""What is known of a forward before it runs: tests on attributes that never change, and code that never runs."""

from __future__ import annotations

import ast
import builtins
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

# Nothing is known of the value
UNKNOWN: Any = type("Unknown", (), {"__repr__": lambda self: "UNKNOWN"})()
# It is a module or a tensor: not None, and nothing else is known
PRESENT: Any = type("Present", (), {"__repr__": lambda self: "PRESENT"})()
SCALARS = (bool, int, float, str, type(None))

_OPERATORS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod, ast.Div: operator.truediv, ast.Pow: operator.pow, ast.Eq: operator.eq,
    ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge,
    ast.In: lambda a, b: a in b, ast.NotIn: lambda a, b: a not in b,
}  # fmt: skip


def is_plain(value: Any) -> bool:
    """Say whether a value can be written as a literal."""
    if isinstance(value, tuple | list | set | frozenset):
        return type(value) in (tuple, list, set) and all(is_plain(entry) for entry in value)
    if type(value) is dict:
        return all(is_plain(entry) for pair in value.items() for entry in pair)
    return type(value) in SCALARS


class Folder(ast.NodeTransformer):
    """Decide what is known, statement by statement.

    Args:
        owner: The module whose method it is; None for a function.
        stored: Attributes of it that some method sets: their values are not known.
        names: Values of names that are neither local nor builtin.
        local: Names that the function itself binds.
    """

    def __init__(self, owner: nn.Module | None, stored: set[str], names: Mapping[str, Any], local: set[str]) -> None:
        self.owner = owner
        self.stored = stored
        self.names = names
        self.local = local
        self.known: dict[str, Any] = {}

    # values

    def value(self, node: ast.expr | None) -> Any:
        """Return the value of an expression, or `UNKNOWN`."""
        match node:
            case ast.Constant(value=value):
                return value
            case ast.Name(id=name):
                if name in self.local:
                    return self.known.get(name, UNKNOWN)
                value = self.names.get(name, UNKNOWN)
                return value if is_plain(value) else UNKNOWN
            case ast.Attribute(value=ast.Name(id="self"), attr=attr) if self.owner is not None:
                return self._attribute(attr)
            case ast.Attribute(value=inner, attr=attr):
                found = self.value(inner)
                of_record = found is not UNKNOWN and found is not PRESENT and not isinstance(found, SCALARS)
                return self._seen(getattr(found, attr, UNKNOWN)) if of_record else UNKNOWN
            case ast.Subscript(value=inner, slice=index):
                return self._compute(operator.getitem, inner, index)
            case ast.UnaryOp(op=op, operand=operand):
                value = self.value(operand)
                if value is UNKNOWN or (value is PRESENT and not isinstance(op, ast.Not)):
                    return UNKNOWN
                if isinstance(op, ast.Not):
                    return UNKNOWN if value is PRESENT else not value
                return -value if isinstance(op, ast.USub) and isinstance(value, int | float) else UNKNOWN
            case ast.BinOp(left=left, op=binary, right=right) if type(binary) in _OPERATORS:
                return self._compute(_OPERATORS[type(binary)], left, right)
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                return self._compared(left, op, right)
            case ast.Tuple(elts=elts):
                values = [self.value(element) for element in elts]
                return UNKNOWN if any(v is UNKNOWN or v is PRESENT for v in values) else tuple(values)
            case ast.Call(func=ast.Name(id="len"), args=[inner], keywords=[]) if "len" not in self.local:
                value = self.value(inner)
                return len(value) if isinstance(value, tuple | list | dict | str) else UNKNOWN
        return UNKNOWN

    def _attribute(self, name: str) -> Any:
        if name == "training" or name in self.stored or isinstance(getattr(type(self.owner), name, None), property):
            return UNKNOWN
        return self._seen(getattr(self.owner, name, UNKNOWN))

    @staticmethod
    def _seen(value: Any) -> Any:
        if isinstance(value, nn.Module | Tensor):
            return PRESENT
        return UNKNOWN if callable(value) else value

    def _compute(self, function: Callable[[Any, Any], Any], left: ast.expr, right: ast.expr) -> Any:
        first, second = self.value(left), self.value(right)
        if any(value is UNKNOWN or value is PRESENT for value in (first, second)):
            return UNKNOWN
        try:
            return self._seen(function(first, second))
        except (TypeError, ValueError, LookupError, ArithmeticError):
            return UNKNOWN

    def _compared(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Any:
        if isinstance(op, ast.Is | ast.IsNot):
            first, second = self.value(left), self.value(right)
            if first is UNKNOWN or second is UNKNOWN or not (first is None or second is None):
                return UNKNOWN
            return (first is second) == isinstance(op, ast.Is)
        return self._compute(_OPERATORS[type(op)], left, right)

    def truth(self, node: ast.expr) -> bool | None:
        """Return whether a test holds, None where that is not known."""
        if isinstance(node, ast.BoolOp):
            stops = isinstance(node.op, ast.Or)  # at the first operand that is so
            truths = [self.truth(value) for value in node.values]
            if stops in truths and not any(isinstance(part, ast.Call) for v in node.values for part in ast.walk(v)):
                return stops
            return (not stops) if all(truth is (not stops) for truth in truths) else None
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            inner = self.truth(node.operand)
            return None if inner is None else not inner
        value = self.value(node)
        return None if value is UNKNOWN or value is PRESENT else bool(value)

    # expressions

    def visit_IfExp(self, node: ast.IfExp) -> Any:
        """Take the branch that is known to be taken."""
        truth = self.truth(node.test)
        if truth is None:
            node.test = self._test(node.test)
            node.body, node.orelse = self.visit(node.body), self.visit(node.orelse)
            return node
        return self.visit(node.body if truth else node.orelse)

    def visit_BoolOp(self, node: ast.BoolOp) -> Any:
        """Leave out operands that decide nothing; cut at the first that decides."""
        stops = isinstance(node.op, ast.Or)
        values: list[ast.expr] = []
        for value in node.values:
            truth = self.truth(value)
            if truth is (not stops) and value is not node.values[-1]:
                continue
            values.append(self.visit(value))
            if truth is stops:
                break
        node.values = values
        return values[0] if len(values) == 1 else node

    def visit_Compare(self, node: ast.Compare) -> Any:
        """Put the truth of a comparison in its place, where it is known."""
        value = self.value(node)
        return ast.Constant(value) if isinstance(value, bool) else self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> Any:
        """Write what is deep in a record as a literal: `self.recipe.nodes`."""
        direct = isinstance(node.value, ast.Name) and node.value.id == "self"
        value = UNKNOWN if direct or not isinstance(node.ctx, ast.Load) else self.value(node)
        return literal(value) if is_plain(value) else self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> Any:
        """Write an entry of a record's sequence as a literal."""
        inside = isinstance(node.value, ast.Attribute) and not isinstance(node.value.value, ast.Name)
        value = self.value(node) if inside and isinstance(node.ctx, ast.Load) else UNKNOWN
        return literal(value) if is_plain(value) else self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> Any:
        """Put the value of a local name in its place, where it is known and short."""
        value = self.known.get(node.id, UNKNOWN) if isinstance(node.ctx, ast.Load) else UNKNOWN
        return ast.Constant(value) if value is not UNKNOWN and type(value) in SCALARS else node

    def _test(self, node: ast.expr) -> ast.expr:
        found: ast.expr = self.visit(node)
        return found

    # statements

    def body(self, statements: Sequence[ast.stmt]) -> list[ast.stmt]:
        """Return what is left of a body."""
        found: list[ast.stmt] = []
        for node in statements:
            for kept in self._statement(node) if not isinstance(node, ast.Pass) else ():
                found.append(kept)
                if isinstance(kept, ast.Return | ast.Raise | ast.Continue | ast.Break):
                    return found
        return found

    def _statement(self, node: ast.stmt) -> list[ast.stmt]:
        match node:
            case ast.If():
                return self._if(node)
            case ast.For(body=body, orelse=orelse):
                node.iter = self.visit(node.iter)
                self._forget(node)
                node.body, node.orelse = self.body(body), self.body(orelse)
                self._forget(node)
                return [node]
            case ast.While(body=body):
                self._forget(node)
                node.test, node.body = self._test(node.test), self.body(body)
                self._forget(node)
                return [node]
            case ast.With(body=body):
                node.items = [self.visit(item) for item in node.items]
                node.body = self.body(body)
                self._forget(node)
                return [node]
            case ast.AnnAssign(target=ast.Name() as target, value=value) if value is not None:
                return self._statement(ast.Assign([target], value))
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                node.value = self.visit(value)
                self._forget(node)
                found = self.value(node.value)
                if found is not UNKNOWN and found is not PRESENT and type(found) in SCALARS:
                    self.known[name] = found
                return [node]
            case ast.FunctionDef(body=body):
                self._forget(node)
                node.body = [self.generic_visit(statement) for statement in body]  # type: ignore[misc]
                return [node]
            case ast.Expr(value=ast.Constant()):
                return [node]
        visited = self.generic_visit(node)
        self._forget(node)
        return [visited]  # type: ignore[list-item]

    def _if(self, node: ast.If) -> list[ast.stmt]:
        truth = self.truth(node.test)
        if truth is not None:
            return self.body(node.body if truth else node.orelse)
        node.test = self._test(node.test)
        before = dict(self.known)
        node.body = self.body(node.body) or [ast.Pass()]
        self.known = dict(before)
        node.orelse = self.body(node.orelse)
        self.known = before
        self._forget(node)
        return [node]

    def _forget(self, node: ast.stmt) -> None:
        for name in bound_names(node):
            self.known.pop(name, None)


def literal(value: Any) -> ast.expr:
    """Return a plain value as an expression."""
    if isinstance(value, tuple):
        return ast.Tuple([literal(entry) for entry in value], ast.Load())
    if isinstance(value, list):
        return ast.List([literal(entry) for entry in value], ast.Load())
    if isinstance(value, set):
        return ast.Set([literal(entry) for entry in sorted(value)]) if value else ast.parse("set()").body[0].value  # type: ignore[attr-defined]
    if isinstance(value, dict):
        return ast.Dict([literal(key) for key in value], [literal(entry) for entry in value.values()])
    if isinstance(value, int | float) and not isinstance(value, bool) and (value < 0 or value != value):
        if value != value:
            return ast.Call(ast.Name("float", ast.Load()), [ast.Constant("nan")], [])
        return ast.UnaryOp(ast.USub(), ast.Constant(-value))
    return ast.Constant(value)


def bound_names(node: ast.AST) -> set[str]:
    """Return the names that are bound somewhere in a piece of code."""
    found = {part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)}
    found |= {part.name for part in ast.walk(node) if isinstance(part, ast.FunctionDef | ast.ClassDef)}
    return found | {part.arg for part in ast.walk(node) if isinstance(part, ast.arg)}


def without_dead_stores(body: list[ast.stmt]) -> list[ast.stmt]:
    """Leave out what is given to a name and never read, and names that are returned at once."""
    changed = True
    while changed:
        changed = False
        for position, node in enumerate(body):
            if not (isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name)):
                continue
            name, rest = node.targets[0].id, body[position + 1 :]
            following = rest[0] if rest else None
            returned = isinstance(following, ast.Return) and isinstance(following.value, ast.Name)
            if returned and following.value.id == name:  # type: ignore[union-attr]
                body = [*body[:position], ast.Return(node.value), *rest[1:]]
                changed = True
                break
            if not any(isinstance(part, ast.Call | ast.NamedExpr) for part in ast.walk(node.value)) and _is_dead(
                name, rest
            ):
                body = [*body[:position], *rest]
                changed = True
                break
    return body


def _is_dead(name: str, rest: Sequence[ast.stmt]) -> bool:
    for node in rest:
        uses = [part for part in ast.walk(node) if isinstance(part, ast.Name) and part.id == name]
        if any(isinstance(part.ctx, ast.Load) for part in uses):
            return False
        if isinstance(node, ast.Assign) and any(part in node.targets for part in uses):
            return True
        if uses:
            return False
    return True


def is_builtin(name: str) -> bool:
    """Say whether a name is one of Python's own."""
    return hasattr(builtins, name)
