"""Genotypes of three levels: the tables of operations on the edges of all motifs, and of the cell.

`{"motifs": [{"1-2": "conv_1x1", "1-3": "identity", ...}, ...], "cell": {"1-2": "motif_3", ...}}`: the operation
`o_ij` of [Liu2018hierarchical] on the edge from node i to node j; an edge that is left out is `none`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from naslib.errors import ArchitectureError, did_you_mean
from naslib.search_spaces.core.literals import plain, read_literal, shortened

from .primitives import NONE, OPERATIONS

Edge = tuple[int, int]
_EDGE = re.compile(r"\(?\s*(\d+)\s*[-,]\s*(\d+)\s*\)?")


class HierarchySizes(NamedTuple):
    """HierarchySizes of a genotype.

    Attributes:
        motifs: Number of motifs of the second level.
        motif_nodes: Nodes of each.
        cell_nodes: Nodes of the cell, the only motif of the third level.
    """

    motifs: int = 6
    motif_nodes: int = 4
    cell_nodes: int = 5

    @property
    def names(self) -> tuple[str, ...]:
        """What an edge of the cell can have: nothing, or one of the motifs."""
        return (NONE, *(motif_name(number) for number in range(self.motifs)))


# Of the paper
PUBLISHED = HierarchySizes()


class Hierarchy(NamedTuple):
    """An architecture: by edge the operation of every motif, and the motif of the cell; without those that are none."""

    motifs: tuple[dict[Edge, str], ...]
    cell: dict[Edge, str]


def motif_name(number: int) -> str:
    """Return the name of a motif, numbered from 0."""
    return f"motif_{number + 1}"


def edges(nodes: int) -> list[Edge]:
    """Return the edges of a complete DAG."""
    return [(i, j) for i in range(1, nodes + 1) for j in range(i + 1, nodes + 1)]


def trivial(sizes: HierarchySizes) -> Hierarchy:
    """Return what evolution starts from: every motif, and the cell, is a chain of identities.

    A chain in the cell is one of its first motif, which is one of identities.
    """
    chain = {(i, i + 1): "identity" for i in range(1, sizes.motif_nodes)}
    cell = {(i, i + 1): motif_name(0) for i in range(1, sizes.cell_nodes)}
    return Hierarchy(tuple(dict(chain) for _ in range(sizes.motifs)), cell)


def as_hierarchy(spec: Any, sizes: HierarchySizes) -> Hierarchy:
    """Return the architecture that a mapping, or the text of one, stands for.

    Raises:
        ArchitectureError: If it is none of these sizes; all problems at once.
    """
    if isinstance(spec, Hierarchy):
        spec = {"motifs": list(spec.motifs), "cell": spec.cell}
    if isinstance(spec, str):
        try:
            spec = read_literal(spec)
        except ValueError as error:
            raise ArchitectureError(f"cannot read a genotype from {shortened(spec)}: {error}") from error
    if isinstance(spec, Mapping) and "genotype" in spec:
        return as_hierarchy(spec["genotype"], sizes)
    if not isinstance(spec, Mapping) or set(spec) != {"motifs", "cell"}:
        raise ArchitectureError(f"a genotype of three levels has motifs and cell, not {shortened(spec)}")
    given = spec["motifs"]
    tables = list(given) if isinstance(given, Sequence) and not isinstance(given, str) else []
    problems: list[str] = []
    if len(tables) != sizes.motifs:
        problems.append(f"motifs must be {sizes.motifs} tables, not {shortened(given)}")
    motifs = [
        _table(f"motifs[{number}]", table, sizes.motif_nodes, OPERATIONS, problems)
        for number, table in enumerate(tables)
    ]
    cell = _table("cell", spec["cell"], sizes.cell_nodes, sizes.names, problems)
    if problems:
        raise ArchitectureError("not an architecture of three levels: " + "; ".join(problems))
    return Hierarchy(tuple(motifs), cell)


def to_json(hierarchy: Hierarchy) -> dict[str, Any]:
    """Return the genotype, to be written as JSON."""
    return {"motifs": [_written(table) for table in hierarchy.motifs], "cell": _written(hierarchy.cell)}


def _written(table: Mapping[Edge, str]) -> dict[str, str]:
    return {f"{i}-{j}": op for (i, j), op in sorted(table.items())}


def _table(where: str, given: Any, nodes: int, operations: Sequence[str], problems: list[str]) -> dict[Edge, str]:
    found: dict[Edge, str] = {}
    if not isinstance(given, Mapping):
        problems.append(f"{where} is a table of operations by edge, not {shortened(given)}")
        return found
    known = edges(nodes)
    for key, op in given.items():
        edge = _edge(key)
        if edge not in known:
            problems.append(f"{where} has no edge {key!r}: there are 1-2 to {nodes - 1}-{nodes}")
        elif plain(op) not in operations:
            hint = did_you_mean(str(op), operations) or f" (known: {', '.join(operations)})"
            problems.append(f"{where} has the operation {op!r} on {edge[0]}-{edge[1]}, which there is not{hint}")
        elif op != NONE:
            found[edge] = str(op)
    return found


def _edge(key: Any) -> Edge:
    if isinstance(key, tuple | list) and len(key) == 2 and all(isinstance(node, int) for node in key):
        return key[0], key[1]
    match = _EDGE.fullmatch(str(key))
    return (int(match[1]), int(match[2])) if match else (0, 0)
