"""Genotype of the DARTS space: the form in which papers publish cells; parsing and validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from naslib.errors import ArchitectureError, did_you_mean
from naslib.search_spaces.core.literals import Call, plain, read_literal, shortened

from .spellings import OPS as OPS
from .spellings import fields_of, op_called, read_concat, read_edges


class Genotype(NamedTuple):
    """Two cells as lists of (operation, predecessor), two entries per intermediate node.

    Predecessors 0 and 1 are the outputs of the two cells before, 2 is the first intermediate node; the `concat` lists
    name the nodes that make the output.
    """

    normal: Sequence[tuple[str, int]]
    normal_concat: Sequence[int]
    reduce: Sequence[tuple[str, int]]
    reduce_concat: Sequence[int]


def make_genotype(
    normal: Sequence[tuple[str, int]],
    reduce: Sequence[tuple[str, int]],
    concat: tuple[Sequence[int], Sequence[int]] | None = None,
) -> Genotype:
    """Return the genotype of two cells.

    Args:
        normal: Edges of the normal cell.
        reduce: Edges of the reduction cell.
        concat: The nodes that make the output, of each; all intermediate nodes if None.
    """
    of_normal, of_reduce = concat or (range(2, 2 + len(normal) // 2), range(2, 2 + len(reduce) // 2))
    return Genotype(list(normal), list(of_normal), list(reduce), list(of_reduce))


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
    return as_genotype(read_text(text))


def read_text(text: str | Call) -> Any:
    """Return the value that a text, or a call in one, stands for, a genotype as a mapping of its fields.

    Raises:
        ArchitectureError: If it stands for none.
    """
    try:
        value = read_literal(text) if isinstance(text, str) else text
        return _fields_of_call(value) if isinstance(value, Call) else value
    except ValueError as error:
        raise ArchitectureError(f"cannot read a genotype from {shortened(text)}: {error}") from error


def _fields_of_call(call: Call) -> dict[str, Any]:
    expected = "expected Genotype(normal=..., normal_concat=..., reduce=..., reduce_concat=...)"
    if call.name.lower() != "genotype" or len(call.arguments) > len(Genotype._fields):
        raise ValueError(f"{expected}, not {call.name}(...)")
    fields = dict(zip(Genotype._fields, call.arguments, strict=False))
    for name, value in call.keywords.items():
        if name in fields or not fields_of({name: value}):
            raise ValueError(f"{expected}, without the argument {name!r}")
        fields[name] = value
    return fields


def as_genotype(spec: Any, operations: Sequence[str] = OPS, doubled: bool = False) -> Genotype:
    """Return the valid genotype that a Genotype-like tuple, a mapping or a text stands for.

    Every spelling of cells in `spellings` is read; the order of the two edges of a node is kept.

    Args:
        spec: The genotype.
        operations: Those that it may have, by their numbers.
        doubled: Whether a node may take one node twice, as in the cells of NASNet.

    Raises:
        ArchitectureError: If it stands for none.
    """
    if isinstance(spec, str | Call):
        return as_genotype(read_text(spec), operations, doubled)
    fields = _fields(spec)
    missing = [field for field in ("normal", "reduce") if field not in fields]
    if missing:
        raise ArchitectureError(f"a genotype needs the entries normal and reduce; {' and '.join(missing)} missing")
    cells, concats, problems = [], [], []
    for name in ("normal", "reduce"):
        edges, wrong = read_edges(plain(fields[name]))
        problems += [f"{name}{wrong}"] if wrong else _problems_of(name, edges, operations, doubled)
        concat, why = read_concat(fields.get(f"{name}_concat"), len(edges) // 2)
        problems += [f"{name}_concat {why}"] if why and not wrong else []
        cells.append([(op_called(op, operations) or str(op), source) for op, source in edges])
        concats.append(concat or [])
    if not problems and len(cells[0]) != len(cells[1]):
        problems.append(f"normal has {len(cells[0])} edges and reduce {len(cells[1])}")
    if problems:
        raise ArchitectureError("not a genotype of the DARTS space: " + "; ".join(problems))
    return make_genotype(cells[0], cells[1], (concats[0], concats[1]))


def _fields(spec: Any) -> Mapping[str, Any]:
    """Return the fields of a genotype that are there."""
    if isinstance(spec, Mapping):
        inner = spec.get("genotype")
        if inner is None:
            return fields_of(spec)
        return _fields(read_text(inner) if isinstance(inner, str | Call) else inner)
    if hasattr(spec, "normal"):
        return {field: getattr(spec, field) for field in Genotype._fields if getattr(spec, field, None) is not None}
    cells = plain(spec)
    length = len(cells) if isinstance(cells, list) else 0
    names: Sequence[str] = {2: ("normal", "reduce"), 4: Genotype._fields}.get(length, ())
    if not names:
        raise ArchitectureError(
            "a genotype is Genotype(normal=..., normal_concat=..., reduce=..., reduce_concat=...), not "
            f"{shortened(spec)}"
        )
    return dict(zip(names, cells, strict=True))


def _problems_of(cell: str, edges: Sequence[tuple[Any, int]], operations: Sequence[str], doubled: bool) -> list[str]:
    """Return what keeps edges, two for each node, from being a cell of the space."""
    problems = []
    for position, (op, source) in enumerate(edges):
        node = position // 2 + 2
        if op_called(op, operations) is None:
            problems.append(f"{cell}[{position}] has the unknown operation {op!r}{_nearest(op, operations)}")
        if source not in range(node):
            problems.append(f"{cell}[{position}] takes node {source}, but node {node} can take 0 to {node - 1} only")
        elif position % 2 and source == edges[position - 1][1] and not doubled:
            problems.append(f"{cell}: node {node} takes node {source} twice")
    return problems


def _nearest(op: Any, operations: Sequence[str]) -> str:
    if isinstance(op, int):
        return f"; numbers are 0 to {len(operations) - 1}"
    return did_you_mean(str(op), operations) or f" (known: {', '.join(operations)})"
