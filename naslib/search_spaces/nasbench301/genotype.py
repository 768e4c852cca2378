"""Genotype of the DARTS space: the form in which papers publish cells; parsing and validation."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from naslib.errors import ArchitectureError, did_you_mean

OPS = (
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)


class Genotype(NamedTuple):
    """Two cells as lists of (operation, predecessor), two entries per intermediate node.

    Predecessors 0 and 1 are the outputs of the two cells before, 2 is the first intermediate node; the `concat` lists
    name the nodes that make the output.
    """

    normal: Sequence[tuple[str, int]]
    normal_concat: Sequence[int]
    reduce: Sequence[tuple[str, int]]
    reduce_concat: Sequence[int]


def make_genotype(normal: Sequence[tuple[str, int]], reduce: Sequence[tuple[str, int]]) -> Genotype:
    """Return the genotype of two cells whose output concatenates all intermediate nodes."""
    return Genotype(
        normal=list(normal),
        normal_concat=list(range(2, 2 + len(normal) // 2)),
        reduce=list(reduce),
        reduce_concat=list(range(2, 2 + len(reduce) // 2)),
    )


def to_json(genotype: Genotype) -> dict[str, list[Any]]:
    """Return the genotype as lists, to be written as JSON; `as_genotype` reads it back."""
    return {
        "normal": [[str(op), int(node)] for op, node in genotype.normal],
        "normal_concat": [int(node) for node in genotype.normal_concat],
        "reduce": [[str(op), int(node)] for op, node in genotype.reduce],
        "reduce_concat": [int(node) for node in genotype.reduce_concat],
    }


def parse_genotype(text: str) -> Genotype:
    """Return the valid genotype written in a text, as `Genotype(normal=[...], ...)` or as JSON; nothing is executed.

    Raises:
        ArchitectureError: If the text is none, or the genotype is invalid.
    """
    text = text.strip()
    try:
        fields = json.loads(text) if text.startswith("{") else _read_call(ast.parse(text, mode="eval").body)
    except (SyntaxError, ValueError, RecursionError) as error:
        raise ArchitectureError(f"cannot read a genotype from {_short(text)}: {error}") from error
    return as_genotype(fields)


def as_genotype(spec: Any) -> Genotype:
    """Return the valid genotype that a Genotype-like tuple, a mapping or a text stands for.

    Raises:
        ArchitectureError: If it stands for none.
    """
    if isinstance(spec, str):
        return parse_genotype(spec)
    if isinstance(spec, Mapping):
        missing = [field for field in ("normal", "reduce") if field not in spec]
        if missing:
            raise ArchitectureError(f"a genotype needs the entries normal and reduce; {' and '.join(missing)} missing")
        default = make_genotype(spec["normal"], spec["reduce"])
        values = [spec.get(field, getattr(default, field)) for field in Genotype._fields]
    else:
        values = [getattr(spec, field, None) for field in Genotype._fields]
    genotype = Genotype(*values)
    problems = [*_cell_problems("normal", genotype.normal, genotype.normal_concat)]
    problems += _cell_problems("reduce", genotype.reduce, genotype.reduce_concat)
    if not problems and len(genotype.normal) != len(genotype.reduce):
        problems.append(f"normal has {len(genotype.normal)} edges and reduce {len(genotype.reduce)}")
    if problems:
        raise ArchitectureError("not a genotype of the DARTS space: " + "; ".join(problems))
    return make_genotype(*([(str(op), int(node)) for op, node in cell] for cell in (genotype.normal, genotype.reduce)))


def _cell_problems(cell: str, edges: Any, concat: Any) -> list[str]:
    """Return what keeps a list of (operation, predecessor) from being a cell of the space."""
    if not _is_list(edges) or not edges or len(edges) % 2:
        return [f"{cell} must be a list of (operation, predecessor), two per node, not {_short(edges)}"]
    problems = []
    for position, edge in enumerate(edges):
        node = position // 2 + 2
        if not _is_list(edge) or len(edge) != 2 or isinstance(edge[1], str):
            return [f"{cell}[{position}] must be (operation, predecessor), not {_short(edge)}"]
        op, source = edge
        if op not in OPS:
            problems.append(f"{cell}[{position}] has the unknown operation {op!r}{did_you_mean(str(op), OPS)}")
        if source not in range(node):
            problems.append(f"{cell}[{position}] takes node {source}, but node {node} can take 0 to {node - 1} only")
        elif position % 2 and source == edges[position - 1][1]:
            problems.append(f"{cell}: node {node} takes node {source} twice")
    expected = list(range(2, 2 + len(edges) // 2))
    if not _is_list(concat) or sorted(concat, key=str) != expected:
        problems.append(f"{cell}_concat must be {expected}, not {_short(concat)}")
    return problems


def _read_call(node: ast.expr) -> dict[str, Any]:
    if not (isinstance(node, ast.Call) and isinstance(node.func, (ast.Name, ast.Attribute))):
        raise ValueError("expected Genotype(normal=..., normal_concat=..., reduce=..., reduce_concat=...)")
    name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
    if name != "Genotype" or len(node.args) > len(Genotype._fields):
        raise ValueError("expected Genotype(normal=..., normal_concat=..., reduce=..., reduce_concat=...)")
    fields = {field: _read_value(value) for field, value in zip(Genotype._fields, node.args, strict=False)}
    for keyword in node.keywords:
        if keyword.arg not in Genotype._fields or keyword.arg in fields:
            raise ValueError(f"unexpected argument {keyword.arg!r}")
        fields[keyword.arg] = _read_value(keyword.value)
    return fields


def _read_value(node: ast.expr) -> Any:
    """Return a literal; `range(...)`, and `list(...)` or `tuple(...)` of one, are read as well."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args):
        return ast.literal_eval(node)
    arguments = [_read_value(argument) for argument in node.args]
    if node.func.id == "range" and len(arguments) <= 3 and all(type(argument) is int for argument in arguments):
        return range(*arguments)
    if node.func.id in ("list", "tuple") and len(arguments) == 1:
        return arguments[0]
    raise ValueError(f"cannot read {ast.unparse(node)}")


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
