"""Codes of NAS-Bench-ASR: for each node its operation and which earlier outputs are added."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from typing import Any, ClassVar

from naslib.errors import ArchitectureError
from naslib.search_spaces.core.codec import Code
from naslib.search_spaces.core.edge_codec import Edge, EdgeCodec
from naslib.search_spaces.core.encodings import FixedEdges
from naslib.search_spaces.core.literals import as_value, plain
from naslib.search_spaces.core.skip_cells import Shape
from naslib.search_spaces.core.skip_cells import smallest_graph as smallest_graph

OP_NAMES = ("linear", "conv5", "conv5d2", "conv7", "conv7d2", "Zero")
SKIPS = ("Zero", "Identity")
NODES = 3
# Nodes 1, 3, 5 and 7 carry the outputs, and 2, 4 and 6 what enters an operation
_EDGES: tuple[Edge, ...] = tuple(
    edge
    for node in range(1, NODES + 1)
    for edge in ((2 * node, 2 * node + 1), *((source, 2 * node + 1) for source in range(1, 2 * node, 2)))
)


class NasBenchASRCodec(EdgeCodec):
    """Code cells as nine ints: for each of three nodes its operation, then a bit for each earlier output.

    Operations are linear, conv5, conv5d2, conv7, conv7d2 and zero, by 0 to 5. The field writes
    `[[0, 1], [5, 1, 0], [3, 1, 1, 1]]` for `(0, 1, 5, 1, 0, 3, 1, 1, 1)`. There are 13,824 codes of 8,242 cells that
    the benchmark tells apart ([Mehrotra2021asr]): `representative` is one code for each of these.
    """

    name = "nasbench_asr"
    edges: ClassVar[tuple[Edge, ...]] = _EDGES
    candidates: ClassVar[tuple[tuple[str, ...], ...]] = tuple(OP_NAMES if u % 2 == 0 else SKIPS for u, _ in _EDGES)

    def fixed_edges(self) -> FixedEdges:
        """From each output to the operation of the node that follows, and from the last one on."""
        return {self.cell: tuple((2 * node - 1, 2 * node) for node in range(1, NODES + 2))}

    def canonical(self, spec: Any) -> Code:
        """Return the code of nine ints, or of three lists, as values or as text.

        Raises:
            ArchitectureError: If it is none of these.
        """
        spec = as_value(spec)
        spec = plain(spec)
        if isinstance(spec, list) and spec and all(isinstance(node, list) for node in spec):
            if [len(node) for node in spec] != [2 + number for number in range(NODES)]:
                raise ArchitectureError(f"the nodes of {self.name} have lists of 2, 3 and 4 ints, not {spec!r}")
            spec = [index for node in spec for index in node]
        return super().canonical(spec)

    def genotype(self, code: Code) -> list[list[int]]:
        """Return the three lists."""
        starts = [sum(2 + earlier for earlier in range(number)) for number in range(NODES + 1)]
        return [list(code[start:end]) for start, end in itertools.pairwise(starts)]

    def iterate(self) -> Iterator[Code]:
        """Yield all 13,824 codes in lexicographic order."""
        return itertools.product(*(range(len(names)) for names in self.candidates))

    def representative(self, code: Code) -> Code:
        """Return the first of all codes that the benchmark holds for the same cell, those of one `smallest_graph`.

        The benchmark draws a skip from a node as an edge from its operation, and the node's output has its own skips,
        too: 242 of its 8,242 cells have codes that compute different things. As functions there are 9,135.

        Raises:
            ArchitectureError: If it is no code of this space.
        """
        return _representatives()[smallest_graph(self.genotype(self.canonical(code)))]


@functools.cache
def _representatives() -> dict[Shape, Code]:
    codec = NasBenchASRCodec()
    found: dict[Shape, Code] = {}
    for code in codec.iterate():
        found.setdefault(smallest_graph(codec.genotype(code)), code)
    return found
