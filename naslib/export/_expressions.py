"""Python expressions as one line of text, with as few parentheses as the grammar needs."""

from __future__ import annotations

import ast
from collections.abc import Sequence

_BINARY: dict[type[ast.operator], tuple[str, int]] = {
    ast.BitOr: ("|", 6), ast.BitXor: ("^", 7), ast.BitAnd: ("&", 8), ast.LShift: ("<<", 9), ast.RShift: (">>", 9),
    ast.Add: ("+", 10), ast.Sub: ("-", 10), ast.Mult: ("*", 11), ast.MatMult: ("@", 11), ast.Div: ("/", 11),
    ast.FloorDiv: ("//", 11), ast.Mod: ("%", 11), ast.Pow: ("**", 13),
}  # fmt: skip
_UNARY: dict[type[ast.unaryop], tuple[str, int]] = {
    ast.Not: ("not ", 4), ast.USub: ("-", 12), ast.UAdd: ("+", 12), ast.Invert: ("~", 12),
}  # fmt: skip
_COMPARED: dict[type[ast.cmpop], str] = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Is: "is",
    ast.IsNot: "is not", ast.In: "in", ast.NotIn: "not in",
}  # fmt: skip
_TEST, _OR, _AND, _COMPARE, _POWER, _ATOM = 1, 2, 3, 5, 13, 15


def operator_of(node: ast.BinOp) -> str:
    """Return the sign of a binary operation."""
    return _BINARY[type(node.op)][0]


def level_of(node: ast.BinOp) -> int:
    """Return how strongly a binary operation binds."""
    return _BINARY[type(node.op)][1]


def text_of(node: ast.expr, level: int = 0) -> str:
    """Return an expression on one line.

    Args:
        node: The expression.
        level: How strongly what stands around it binds: parentheses go around all that binds less.
    """
    text, own = _text(node)
    return f"({text})" if own < level else text


def quoted(value: str) -> str:
    """Return a string in double quotes, unless it has more double quotes than single ones."""
    text = repr(value)
    if text[0] == "'" and '"' not in value:
        return '"' + text[1:-1].replace("\\'", "'") + '"'
    return text


def _text(node: ast.expr) -> tuple[str, int]:
    match node:
        case ast.Constant(value=value):
            return _constant(value), _ATOM
        case ast.Name(id=name):
            return name, _ATOM
        case ast.Attribute(value=value, attr=attr):
            of_number = isinstance(value, ast.Constant) and isinstance(value.value, int | float)
            return f"({text_of(value)}).{attr}" if of_number else f"{text_of(value, _ATOM)}.{attr}", _ATOM
        case ast.Call(func=func, args=args, keywords=keywords):
            sole = len(args) == 1 and not keywords and isinstance(args[0], ast.GeneratorExp)
            inside = text_of(args[0])[1:-1] if sole else ", ".join(arguments_of(node))
            return f"{text_of(func, _ATOM)}({inside})", _ATOM
        case ast.Subscript(value=value, slice=index):
            return f"{text_of(value, _ATOM)}[{_index(index)}]", _ATOM
        case ast.Starred(value=value):
            return f"*{text_of(value, 6)}", _ATOM
        case ast.Tuple(elts=elts):
            inside = ", ".join(text_of(element, _TEST) for element in elts)
            return f"({inside},)" if len(elts) == 1 else f"({inside})", _ATOM
        case ast.List(elts=elts):
            return f"[{', '.join(text_of(element, _TEST) for element in elts)}]", _ATOM
        case ast.Set(elts=elts):
            return f"{{{', '.join(text_of(element, _TEST) for element in elts)}}}", _ATOM
        case ast.Dict():
            return f"{{{', '.join(entries_of(node))}}}", _ATOM
        case ast.BinOp():
            return _binary(node)
        case ast.UnaryOp(op=op, operand=operand):
            prefix, own = _UNARY[type(op)]
            return prefix + text_of(operand, own), own
        case ast.BoolOp(op=op, values=values):
            own = _OR if isinstance(op, ast.Or) else _AND
            sign = " or " if own == _OR else " and "
            return sign.join(text_of(value, own + 1) for value in values), own
        case ast.Compare(left=left, ops=ops, comparators=others):
            parts = [text_of(left, _COMPARE + 1)]
            for sign_of, other in zip(ops, others, strict=True):
                parts += [_COMPARED[type(sign_of)], text_of(other, _COMPARE + 1)]
            return " ".join(parts), _COMPARE
        case ast.IfExp(test=test, body=body, orelse=orelse):
            return f"{text_of(body, _OR)} if {text_of(test, _OR)} else {text_of(orelse, _TEST)}", _TEST
        case ast.Lambda(args=args, body=body):
            given = ast.unparse(args)
            return f"lambda {given}: {text_of(body, _TEST)}" if given else f"lambda: {text_of(body, _TEST)}", _TEST
        case ast.ListComp(elt=elt, generators=generators):
            return f"[{text_of(elt, _TEST)}{_loops(generators)}]", _ATOM
        case ast.SetComp(elt=elt, generators=generators):
            return f"{{{text_of(elt, _TEST)}{_loops(generators)}}}", _ATOM
        case ast.GeneratorExp(elt=elt, generators=generators):
            return f"({text_of(elt, _TEST)}{_loops(generators)})", _ATOM
        case ast.DictComp(key=key, value=value, generators=generators):
            return f"{{{text_of(key, _TEST)}: {text_of(value, _TEST)}{_loops(generators)}}}", _ATOM
        case ast.JoinedStr():
            return _f_string(node), _ATOM
        case ast.NamedExpr(target=target, value=value):
            return f"{target.id} := {text_of(value, _TEST)}", 0
    return ast.unparse(node), _ATOM


def arguments_of(node: ast.Call) -> list[str]:
    """Return the arguments of a call, each as text."""
    positional = [text_of(argument, _TEST) for argument in node.args]
    return positional + [keyword_text(keyword) for keyword in node.keywords]


def keyword_text(keyword: ast.keyword) -> str:
    """Return a keyword argument."""
    value = text_of(keyword.value, _TEST)
    return f"**{value}" if keyword.arg is None else f"{keyword.arg}={value}"


def entries_of(node: ast.Dict) -> list[str]:
    """Return the entries of a dictionary, each as text."""
    return [
        f"**{text_of(value, 6)}" if key is None else f"{text_of(key, _TEST)}: {text_of(value, _TEST)}"
        for key, value in zip(node.keys, node.values, strict=True)
    ]


def _constant(value: object) -> str:
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return 'float("inf")' if value > 0 else '-float("inf")'
    return "..." if value is Ellipsis else repr(value)


def _binary(node: ast.BinOp) -> tuple[str, int]:
    sign, own = _BINARY[type(node.op)]
    if own == _POWER:
        left, right = text_of(node.left, own + 1), text_of(node.right, 12)
        return (
            f"{left}**{right}"
            if _is_simple(node.left) and not isinstance(node.left, ast.UnaryOp) and _is_simple(node.right)
            else f"{left} ** {right}"
        ), own
    return f"{text_of(node.left, own)} {sign} {text_of(node.right, own + 1)}", own


def _is_simple(node: ast.expr) -> bool:
    """Say whether formatters write no spaces around a power of this."""
    if isinstance(node, ast.UnaryOp):
        return not isinstance(node.op, ast.Not) and _is_simple(node.operand)
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name) or (isinstance(node, ast.Constant) and isinstance(node.value, int | float))


def _index(node: ast.expr) -> str:
    if isinstance(node, ast.Tuple) and node.elts and not any(isinstance(e, ast.Starred) for e in node.elts):
        inside = ", ".join(_index(element) for element in node.elts)
        return inside + "," if len(node.elts) == 1 else inside
    return _slice(node) if isinstance(node, ast.Slice) else text_of(node)


def _slice(node: ast.Slice) -> str:
    """Return a slice; spaces go around the colons where a bound is more than a name or a number."""
    bounds = [node.lower, node.upper, *([node.step] if node.step is not None else [])]
    wide = any(bound is not None and not _is_short(bound) for bound in bounds)
    text = "" if node.lower is None else text_of(node.lower)
    for number, bound in enumerate(bounds[1:]):
        after_colon = number == 1 and node.upper is None
        text += " :" if wide and text and not after_colon else ":"
        text += "" if bound is None else (" " if wide else "") + text_of(bound)
    return text


def _is_short(node: ast.expr) -> bool:
    if isinstance(node, ast.UnaryOp):
        return isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant)
    return isinstance(node, ast.Name | ast.Constant)


def _loops(generators: Sequence[ast.comprehension]) -> str:
    text = ""
    for loop in generators:
        text += f" for {target_text(loop.target)} in {text_of(loop.iter, _OR)}"
        text += "".join(f" if {text_of(test, _OR)}" for test in loop.ifs)
    return text


def target_text(node: ast.expr) -> str:
    """Return what is assigned to: a tuple stands without parentheses, unless it has one element."""
    text = text_of(node)
    return text[1:-1] if isinstance(node, ast.Tuple) and len(node.elts) != 1 else text


def _f_string(node: ast.JoinedStr) -> str:
    parts = []
    for value in node.values:
        if isinstance(value, ast.Constant):
            parts.append(repr(str(value.value))[1:-1].replace("{", "{{").replace("}", "}}").replace("\\'", "'"))
        elif isinstance(value, ast.FormattedValue):
            conversion = "" if value.conversion == -1 else f"!{chr(value.conversion)}"
            spec = "" if value.format_spec is None else ":" + _f_string(value.format_spec)[2:-1]  # type: ignore[arg-type]
            inside = text_of(value.value).replace('"', "'")
            parts.append(f"{{{inside}{conversion}{spec}}}")
    body = "".join(parts)
    return f'f"{body}"' if '"' not in body else ast.unparse(node)
