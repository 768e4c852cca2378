"""Python statements as text in the layout of common formatters: 120 columns, double quotes, trailing commas."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Sequence

from ._expressions import (
    arguments_of,
    entries_of,
    keyword_text,
    level_of,
    operator_of,
    quoted,
    target_text,
    text_of,
)

WIDTH = 120
_STEP = "    "


def module_text(body: Sequence[ast.stmt]) -> str:
    """Return a module: two blank lines around classes and functions, one after the imports."""
    lines: list[str] = []
    before: ast.stmt | None = None
    for node in body:
        if before is not None:
            big = isinstance(node, ast.ClassDef | ast.FunctionDef) or isinstance(before, ast.ClassDef | ast.FunctionDef)
            imports = isinstance(before, ast.Import | ast.ImportFrom)
            same = imports and isinstance(node, ast.Import | ast.ImportFrom)
            if same and isinstance(node, ast.ImportFrom | ast.Import):
                gap = 1 if _is_torch(node) and not _is_torch(before) else 0
            else:
                gap = 2 if big else 1 if imports or _is_docstring(before) else 0
            lines += [""] * gap
        lines += statement(node, "")
        before = node
    return "\n".join(lines) + "\n"


def _is_torch(node: ast.stmt) -> bool:
    if isinstance(node, ast.ImportFrom):
        return str(node.module).split(".")[0] == "torch"
    return isinstance(node, ast.Import) and node.names[0].name.split(".")[0] == "torch"


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def statement(node: ast.stmt, indent: str) -> list[str]:
    """Return the lines of a statement."""
    match node:
        case ast.Expr(value=value):
            return _docstring(value.value, indent) if _is_docstring(node) else broken(value, indent)  # type: ignore
        case ast.Assign(targets=targets, value=value):
            head = "".join(f"{target_text(target)} = " for target in targets)
            bare = isinstance(value, ast.Tuple) and len(value.elts) > 1
            bare = bare and not all(isinstance(element, ast.Constant) for element in value.elts)  # type: ignore
            one = f"{indent}{head}{target_text(value)}"
            return [one] if bare and len(one) <= WIDTH else broken(value, indent, head)
        case ast.AugAssign(target=target, op=op, value=value):
            sign = operator_of(ast.BinOp(target, op, value))
            return broken(value, indent, f"{text_of(target)} {sign}= ")
        case ast.AnnAssign(target=target, annotation=annotation, value=value):
            typed = f"{text_of(target)}: {text_of(annotation)}"
            return [indent + typed] if value is None else broken(value, indent, f"{typed} = ")
        case ast.Return(value=value):
            if value is None:
                return [f"{indent}return"]
            bare = isinstance(value, ast.Tuple) and len(value.elts) > 1
            one = f"{indent}return {target_text(value) if bare else text_of(value)}"
            return [one] if bare and len(one) <= WIDTH else broken(value, indent, "return ")
        case ast.If():
            return _if(node, indent, "if")
        case ast.For(target=target, iter=iterated, body=body):
            loop = broken(iterated, indent, f"for {target_text(target)} in ", ":")
            return [*loop, *block(body, indent + _STEP), *_orelse(node.orelse, indent)]
        case ast.While(test=test, body=body):
            return [*broken(test, indent, "while ", ":"), *block(body, indent + _STEP), *_orelse(node.orelse, indent)]
        case ast.With(items=items, body=body):
            entered = ", ".join(ast.unparse(item) for item in items)
            return [f"{indent}with {entered}:", *block(body, indent + _STEP)]
        case ast.Raise(exc=exc) if exc is not None and node.cause is None:
            return broken(exc, indent, "raise ")
        case ast.FunctionDef(name=name, body=body):
            return [
                *(f"{indent}@{text_of(decorator)}" for decorator in node.decorator_list),
                *_signature(node, indent, name),
                *block(body, indent + _STEP),
            ]
        case ast.ClassDef(name=name, bases=bases, body=body):
            inside = ", ".join(text_of(base) for base in bases)
            opening = f"{indent}class {name}({inside}):" if inside else f"{indent}class {name}:"
            decorators = [f"{indent}@{text_of(decorator)}" for decorator in node.decorator_list]
            return [*decorators, opening, *_members(body, indent + _STEP)]
    return [indent + line for line in ast.unparse(node).splitlines()]


def block(body: Sequence[ast.stmt], indent: str) -> list[str]:
    """Return the lines of a body; a function inside it has blank lines around it."""
    lines: list[str] = []
    for position, node in enumerate(body):
        inner = isinstance(node, ast.FunctionDef | ast.ClassDef)
        after = position and isinstance(body[position - 1], ast.FunctionDef | ast.ClassDef)
        if position and (inner or after):
            lines.append("")
        lines += statement(node, indent)
    return lines


def _members(body: Sequence[ast.stmt], indent: str) -> list[str]:
    """Return the lines of a class body: a blank line after the docstring and around methods."""
    lines: list[str] = []
    for position, node in enumerate(body):
        before = body[position - 1] if position else None
        methods = isinstance(node, ast.FunctionDef) or isinstance(before, ast.FunctionDef)
        if before is not None and (methods or _is_docstring(before)):
            lines.append("")
        lines += statement(node, indent)
    return lines


def _orelse(body: Sequence[ast.stmt], indent: str) -> list[str]:
    return [f"{indent}else:", *block(body, indent + _STEP)] if body else []


def _if(node: ast.If, indent: str, word: str) -> list[str]:
    lines = [*broken(node.test, indent, f"{word} ", ":"), *block(node.body, indent + _STEP)]
    if len(node.orelse) == 1 and isinstance(node.orelse[0], ast.If):
        return lines + _if(node.orelse[0], indent, "elif")
    return lines + _orelse(node.orelse, indent)


def _docstring(text: str, indent: str) -> list[str]:
    first, *rest = inspect.cleandoc(text).splitlines()
    if not rest and len(indent + first) + 6 > WIDTH:
        first, *rest = textwrap.wrap(first, WIDTH - len(indent) - 6)
    escaped = [line.replace("\\", "\\\\").replace('"""', '\\"\\"\\"') for line in (first, *rest)]
    if not rest:
        return [f'{indent}"""{escaped[0]}"""']
    return [f'{indent}"""{escaped[0]}', *((indent + line).rstrip() for line in escaped[1:]), f'{indent}"""']


def _signature(node: ast.FunctionDef, indent: str, name: str) -> list[str]:
    returns = "" if node.returns is None else f" -> {text_of(node.returns)}"
    parameters = _parameters(node.args)
    one = f"{indent}def {name}({', '.join(parameters)}){returns}:"
    if len(one) <= WIDTH:
        return [one]
    inner = indent + _STEP
    together = inner + ", ".join(parameters)
    if len(together) <= WIDTH:
        return [f"{indent}def {name}(", together, f"{indent}){returns}:"]
    return [f"{indent}def {name}(", *(f"{inner}{parameter}," for parameter in parameters), f"{indent}){returns}:"]


def _parameters(args: ast.arguments) -> list[str]:
    plain = [*args.posonlyargs, *args.args]
    defaults: list[ast.expr | None] = [None] * (len(plain) - len(args.defaults)) + [*args.defaults]
    found = [_parameter(argument, default) for argument, default in zip(plain, defaults, strict=True)]
    if args.posonlyargs:
        found.insert(len(args.posonlyargs), "/")
    if args.vararg is not None:
        found.append("*" + _parameter(args.vararg, None))
    elif args.kwonlyargs:
        found.append("*")
    found += [_parameter(a, default) for a, default in zip(args.kwonlyargs, args.kw_defaults, strict=True)]
    return found + (["**" + _parameter(args.kwarg, None)] if args.kwarg is not None else [])


def _parameter(argument: ast.arg, default: ast.expr | None) -> str:
    if argument.annotation is None:
        return argument.arg if default is None else f"{argument.arg}={text_of(default, 1)}"
    head = f"{argument.arg}: {text_of(argument.annotation)}"
    return head if default is None else f"{head} = {text_of(default, 1)}"


def broken(node: ast.expr, indent: str, prefix: str = "", suffix: str = "") -> list[str]:
    """Return `prefix expression suffix`, broken at its outermost brackets where it is too long for a line."""
    one = indent + prefix + text_of(node) + suffix
    if len(one) <= WIDTH:
        return [one]
    inner = indent + _STEP
    if isinstance(node, ast.Call):
        opening = text_of(node.func, 15)
        if len(indent + prefix + opening) < WIDTH:
            items: list[tuple[str, ast.expr]] = [("", argument) for argument in node.args]
            items += [(keyword_text(k)[: -len(text_of(k.value, 1))], k.value) for k in node.keywords]
            if len(items) == 1 and _is_text(items[0][1]) and not items[0][0]:
                pieces = broken(items[0][1], indent)
                inside = [inner + arguments_of(node)[0]] if len(pieces) == 1 else pieces[1:-1]
                return [f"{indent}{prefix}{opening}(", *inside, f"{indent}){suffix}"]
            sole = len(items) == 1 and isinstance(node.args[0] if node.args else None, ast.Starred | ast.GeneratorExp)
            return _items(arguments_of(node), items, indent, f"{prefix}{opening}(", f"){suffix}", comma=not sole)
    if isinstance(node, ast.List | ast.Tuple):
        opened, closed = ("[", "]") if isinstance(node, ast.List) else ("(", ")")
        texts = [text_of(element, 1) for element in node.elts]
        return _items(texts, [("", element) for element in node.elts], indent, prefix + opened, closed + suffix)
    if isinstance(node, ast.Dict) and all(key is not None for key in node.keys):
        texts = entries_of(node)
        pairs = [(f"{text_of(key, 1)}: ", value) for key, value in zip(node.keys, node.values, strict=True) if key]
        return _items(texts, pairs, indent, f"{prefix}{{", f"}}{suffix}", together=False)
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and "\n" not in node.value:
        return _long_string(node.value.split(" "), quoted, indent, prefix, suffix)
    if isinstance(node, ast.JoinedStr) and text_of(node).startswith('f"'):
        words = re.findall(r"(?:\{\{|\}\}|\{[^{}]*\}|[^ {}])+|(?<= )(?= )", text_of(node)[2:-1])
        return _long_string(words, _piece, indent, prefix, suffix)
    if isinstance(node, ast.ListComp) and len(node.generators) == 1:
        (loop,) = node.generators
        head = f"for {target_text(loop.target)} in {text_of(loop.iter, 2)}"
        tests = [f"{inner}if {text_of(test, 2)}" for test in loop.ifs]
        return [f"{indent}{prefix}[", *broken(node.elt, inner), inner + head, *tests, f"{indent}]{suffix}"]
    operands = _operands(node)
    if len(operands) > 1:
        lines = [line for sign, operand in operands for line in broken(operand, inner, sign)]
        return [f"{indent}{prefix}(", *lines, f"{indent}){suffix}"]
    return [one]


def _is_text(node: ast.expr) -> bool:
    """Say whether a text is broken at spaces where it is too long."""
    plain = isinstance(node, ast.Constant) and isinstance(node.value, str) and "\n" not in node.value
    return plain or (isinstance(node, ast.JoinedStr) and text_of(node).startswith('f"'))


def _items(
    texts: Sequence[str],
    items: Sequence[tuple[str, ast.expr]],
    indent: str,
    opened: str,
    closed: str,
    comma: bool = True,
    together: bool = True,
) -> list[str]:
    inner = indent + _STEP
    line = inner + ", ".join(texts)
    if together and len(line) <= WIDTH:
        return [indent + opened, line, indent + closed]
    body = [line for head, item in items for line in broken(item, inner, head, "," if comma else "")]
    return [indent + opened, *body, indent + closed]


def _operands(node: ast.expr) -> list[tuple[str, ast.expr]]:
    """Return the operands of the weakest operations of an expression, each with the sign before it."""
    if isinstance(node, ast.BoolOp):
        sign = "or " if isinstance(node.op, ast.Or) else "and "
        return [(sign if position else "", value) for position, value in enumerate(node.values)]
    if isinstance(node, ast.BinOp):
        level, found = level_of(node), []
        left: ast.expr = node
        while isinstance(left, ast.BinOp) and level_of(left) == level:
            found.append((f"{operator_of(left)} ", left.right))
            left = left.left
        return [("", left), *reversed(found)]
    if isinstance(node, ast.IfExp):
        return [("", node.body), ("if ", node.test), ("else ", node.orelse)]
    return []


def _piece(text: str) -> str:
    return f'f"{text}"' if re.search(r"[{}]", text) else f'"{text}"'


def _long_string(words: Sequence[str], quote: Callable[[str], str], indent: str, prefix: str, suffix: str) -> list[str]:
    """Return a string as several that stand under each other, broken at spaces."""
    inner, pieces = indent + _STEP, [""]
    for position, word in enumerate(words):
        piece = word + (" " if position < len(words) - 1 else "")
        if len(inner) + len(quote(pieces[-1] + piece)) > WIDTH and pieces[-1]:
            pieces.append("")
        pieces[-1] += piece
    return [f"{indent}{prefix}(", *(inner + quote(piece) for piece in pieces), f"{indent}){suffix}"]
