"""Cells of NAS-Bench-201 by how many of their inner nodes have inputs and outputs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from naslib.errors import ArchitectureError
from naslib.search_spaces.core.decisions import Code
from naslib.search_spaces.core.widening import CellWidening

from .conversions import EDGE_LIST, OP_NAMES

_NONE = OP_NAMES.index("Zero")
_SOMETHING = tuple(op for op in range(len(OP_NAMES)) if op != _NONE)
_EDGE = {edge: place for place, edge in enumerate(EDGE_LIST)}
_INPUT, _OUTPUT = 1, 4
_INNER = (2, 3)


class NodeWidening(CellWidening):
    """A block is a node: the cells of one block have an operation from input to output alone, and `none` elsewhere.

    A cell grows by the next inner node, which reads some of the nodes before it by an operation each and has one to the
    output; of the nodes that it reads each keeps its operation to the output, or loses it. There are 4, 80 and 9,280
    different ones; cells with nodes that lead nowhere are not among them.

    The row of a node has its number, and the operations on the edges into it and on that to the output.
    """

    widths = 1 + len(_INNER)
    vocabularies = (3, len(OP_NAMES) + 1)
    positions = (0, 1, 1, 1, 1)

    def first(self) -> Iterator[Code]:
        """Yield the 4 cells of one operation."""
        for op in _SOMETHING:
            yield _cell({(_INPUT, _OUTPUT): op})

    def wider(self, code: Code) -> Iterator[Code]:
        """Yield the cells of one more node."""
        node = _INNER[self.width_of(code) - 1]
        before = range(_INPUT, node)
        for ops in itertools.product(range(len(OP_NAMES)), repeat=len(before)):
            read = {source: op for source, op in zip(before, ops, strict=True) if op != _NONE}
            given = [source for source in read if code[_EDGE[source, _OUTPUT]] != _NONE]
            if not read:
                continue
            for kept in itertools.product((True, False), repeat=len(given)):
                edges = {edge: code[place] for edge, place in _EDGE.items()}
                edges |= {(source, node): op for source, op in read.items()}
                edges |= {(s, _OUTPUT): _NONE for s, keeps in zip(given, kept, strict=True) if not keeps}
                for op in _SOMETHING:
                    yield _cell({**edges, (node, _OUTPUT): op})

    def width_of(self, code: Code) -> int:
        """Return one more than the number of the last inner node with an operation at it.

        Raises:
            ArchitectureError: If the cell has a node that leads nowhere, or that nothing leads to.
        """
        used = [node for node in _INNER if any(code[place] != _NONE for edge, place in _EDGE.items() if node in edge)]
        whole = all(
            any(code[_EDGE[s, node]] != _NONE for s in range(_INPUT, node))
            and any(code[_EDGE[node, t]] != _NONE for t in range(node + 1, _OUTPUT + 1))
            for node in used
        )
        if used != [*_INNER[: len(used)]] or not whole or all(op == _NONE for op in code):
            raise ArchitectureError(f"the cell {code} of nasbench201 has nodes that lead nowhere: it does not grow")
        return 1 + len(used)

    def rows(self, code: Code) -> Sequence[Sequence[int]]:
        """Return a row for the output and one per inner node with operations."""
        absent = len(OP_NAMES)
        found = []
        for place, node in enumerate((_OUTPUT, *_INNER)):
            into = [code[_EDGE[s, node]] if s < node else absent for s in (1, 2, 3)]
            out = code[_EDGE[node, _OUTPUT]] if node in _INNER else absent
            if place == 0 or any(op not in (_NONE, absent) for op in into):
                found.append((place, *into, out))
        return found


def _cell(ops: dict[tuple[int, int], int]) -> Code:
    return tuple(ops.get(edge, _NONE) for edge in EDGE_LIST)
