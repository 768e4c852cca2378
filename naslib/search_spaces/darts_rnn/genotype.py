"""Genotypes of recurrent cells, as the authors write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from naslib.errors import ArchitectureError, did_you_mean
from naslib.search_spaces.core.literals import Call, plain, read_literal, shortened

from .primitives import ACTIVATIONS

OPS = tuple(ACTIVATIONS)
_EXPECTED = "expected Genotype(recurrent=[('relu', 0), ...], concat=range(1, 9)), as tuple, mapping or text"


class RecurrentGenotype(NamedTuple):
    """A recurrent cell: per node its operation and the state it reads, 0 being that of the input; and its output.

    The output is the mean of the states that `concat` names.
    """

    recurrent: Sequence[tuple[str, int]]
    concat: Sequence[int]


# [Liu2019darts], first and second order, and [Pham2018enas] as the authors of DARTS write it
DARTS_V1 = RecurrentGenotype(
    [
        *[("relu", 0), ("relu", 1), ("tanh", 2), ("relu", 3)],
        *[("relu", 4), ("identity", 1), ("relu", 5), ("relu", 1)],
    ],
    range(1, 9),
)
DARTS_V2 = RecurrentGenotype(
    [
        *[("sigmoid", 0), ("relu", 1), ("relu", 1), ("identity", 1)],
        *[("tanh", 2), ("sigmoid", 5), ("tanh", 3), ("relu", 5)],
    ],
    range(1, 9),
)
ENAS = RecurrentGenotype(
    [
        *[("tanh", 0), ("tanh", 1), ("relu", 1), ("tanh", 3), ("tanh", 3), ("relu", 3)],
        *[("relu", 4), ("relu", 7), ("relu", 8), ("relu", 8), ("relu", 8)],
    ],
    [2, 5, 6, 9, 10, 11],
)


def is_genotype(spec: Any) -> bool:
    """Return whether an architecture is given as a genotype, rather than as a code."""
    if isinstance(spec, str | Mapping | Call) or hasattr(spec, "recurrent"):
        return True
    value = plain(spec)
    return isinstance(value, list) and any(isinstance(entry, list) for entry in value)


def as_genotype(spec: Any) -> RecurrentGenotype:
    """Return the valid genotype that a tuple with its fields, a mapping, a list of pairs or a text stands for.

    A pair may be (operation, state) or (state, operation). Without `concat` all nodes make the output.

    Raises:
        ArchitectureError: If it stands for none; the message says what is wrong with which node.
    """
    edges, concat = _fields(spec)
    problems: list[str] = []
    pairs = [_pair(entry, node, problems) for node, entry in enumerate(edges, start=1)]
    nodes = len(pairs)
    chosen = list(range(1, nodes + 1)) if concat is None else concat
    numbers = isinstance(chosen, list) and all(type(node) is int for node in chosen)
    if not nodes:
        problems.append("it has no node")
    elif not numbers or not chosen or not all(1 <= node <= nodes for node in chosen):
        problems.append(f"concat is {shortened(chosen)}, expected numbers of nodes, 1 to {nodes}")
    elif len(set(chosen)) < len(chosen):
        problems.append(f"concat names a node twice: {chosen}")
    if problems:
        raise ArchitectureError(f"not a genotype of a recurrent cell: {'; '.join(problems)}")
    return RecurrentGenotype(pairs, sorted(chosen))


def to_json(genotype: RecurrentGenotype) -> dict[str, list[Any]]:
    """Return the genotype as lists, to be written as JSON; `as_genotype` reads it back."""
    return {
        "recurrent": [[op, int(source)] for op, source in genotype.recurrent],
        "concat": [int(node) for node in genotype.concat],
    }


def _fields(spec: Any) -> tuple[list[Any], Any]:
    """Return the edges, and the nodes of the output or None."""
    if isinstance(spec, str):
        try:
            spec = read_literal(spec)
        except ValueError as error:
            raise ArchitectureError(f"cannot read a genotype from {shortened(spec)}: {error}; {_EXPECTED}") from error
    if isinstance(spec, Call):
        spec = {**dict(zip(RecurrentGenotype._fields, spec.arguments, strict=False)), **spec.keywords}
    if isinstance(spec, Mapping) and "genotype" in spec:
        return _fields(spec["genotype"])
    if hasattr(spec, "recurrent"):
        spec = {"recurrent": spec.recurrent, "concat": getattr(spec, "concat", None)}
    if isinstance(spec, Mapping):
        other = sorted(set(spec) - set(RecurrentGenotype._fields), key=str)
        if "recurrent" not in spec or other:
            raise ArchitectureError(
                f"a recurrent cell has the entries recurrent and concat, not {', '.join(map(str, spec))}; {_EXPECTED}"
            )
        edges, concat = plain(spec["recurrent"]), plain(spec.get("concat"))
    else:
        edges, concat = plain(spec), None
        if isinstance(edges, list) and len(edges) == 2 and _is_nested(edges[0]):  # (recurrent, concat)
            edges, concat = edges
    if not isinstance(edges, list):
        raise ArchitectureError(f"not a recurrent cell: {shortened(spec)}; {_EXPECTED}")
    return edges, concat


def _is_nested(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], list)


def _pair(entry: Any, node: int, problems: list[str]) -> tuple[str, int]:
    if isinstance(entry, list) and len(entry) == 2 and type(entry[0]) is int and isinstance(entry[1], str):
        entry = entry[::-1]
    if not isinstance(entry, list) or len(entry) != 2 or not isinstance(entry[0], str) or type(entry[1]) is not int:
        problems.append(f"node {node} is {shortened(entry)}, expected (operation, state)")
        return OPS[0], 0
    name, source = entry[0].lower(), entry[1]
    if name not in OPS:
        near = did_you_mean(name, OPS) or f" (known: {', '.join(OPS)})"
        problems.append(f"node {node} has the unknown operation {entry[0]!r}{near}")
        name = OPS[0]
    if not 0 <= source < node:
        problems.append(f"node {node} reads state {source}, but it can read 0 to {node - 1} only")
    return name, source
