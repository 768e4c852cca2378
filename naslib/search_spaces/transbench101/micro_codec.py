"""Codes of the micro space of TransNAS-Bench-101: six digits of the benchmark's string."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from typing import Any

from naslib.errors import ArchitectureError
from naslib.search_spaces.core.architecture import op_name
from naslib.search_spaces.core.codec import Code, Codec
from naslib.search_spaces.core.decisions import Decision
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.literals import plain
from naslib.search_spaces.core.ops_basic import DropPath
from naslib.search_spaces.core.schema import DecisionSpace

# What a digit of the string means
OP_NAMES = ("Zero", "Identity", "ReLUConvBN1x1", "ReLUConvBN3x3")
# The edges in the order of the string: node by node, from the first source on
EDGE_LIST = ((1, 2), (1, 3), (2, 3), (1, 4), (2, 4), (3, 4))
MACRO = "64-41414"
_DECIDED_EDGES = tuple(sorted(EDGE_LIST))
_DECISIONS = DecisionSpace([Decision(f"cell/{u}-{v}", "op", OP_NAMES) for u, v in _DECIDED_EDGES])
_STRING = re.compile(r"(?:(?P<macro>\d+-[1-4]+)-)?(?P<digits>\d_\d\d_\d\d\d)")


class TransBench101MicroCodec(Codec[Graph]):
    """Code cells as the six digits of `64-41414-a_bc_def`: the operations into node 2, then 3, then 4.

    0 is none, 1 skip, 2 a 1x1 and 3 a 3x3 convolution, as in the benchmark's own networks.
    """

    name = "transbench101_micro"

    @property
    def decision_space(self) -> DecisionSpace:
        """One operation on each of the six edges."""
        return _DECISIONS

    def to_decisions(self, code: Code) -> Code:
        """Return the code of the decision space, which has the edges source by source."""
        return tuple(code[EDGE_LIST.index(edge)] for edge in _DECIDED_EDGES)

    def from_decisions(self, decided: Code) -> Code:
        """Return the digits of a code of the decision space."""
        return tuple(decided[_DECIDED_EDGES.index(edge)] for edge in EDGE_LIST)

    def iterate(self) -> Iterator[Code]:
        """Yield all 4,096 codes in lexicographic order."""
        return itertools.product(range(len(OP_NAMES)), repeat=len(EDGE_LIST))

    def canonical(self, spec: Any) -> Code:
        """Return the code of six ints, of the benchmark's string, or of its last part.

        Raises:
            ArchitectureError: If it is none of these, or a string of networks that are built otherwise.
        """
        spec = plain(spec)
        if isinstance(spec, str):
            found = _STRING.fullmatch(spec.strip().strip("'\""))
            if found is None:
                raise ArchitectureError(f"{spec!r} is not written like 64-41414-3_32_132 or 3_32_132")
            if found["macro"] not in (None, MACRO):
                raise ArchitectureError(f"the networks of the micro space begin with {MACRO}, not {found['macro']}")
            spec = [int(digit) for digit in found["digits"] if digit != "_"]
        if not isinstance(spec, list) or len(spec) != len(EDGE_LIST):
            raise ArchitectureError(f"a cell of TransNAS-Bench-101 is {len(EDGE_LIST)} ints in 0..3, not {spec!r}")
        if not all(type(op) is int and 0 <= op < len(OP_NAMES) for op in spec):
            raise ArchitectureError(f"an operation of TransNAS-Bench-101 is an int in 0..3, not one of {spec!r}")
        return tuple(spec)

    def genotype(self, code: Code) -> str:
        """Return the benchmark's string."""
        return "{}-{}_{}{}_{}{}{}".format(MACRO, *code)

    def from_graph(self, graph: Graph) -> Code:
        """Read the code off a discretized graph.

        Raises:
            ArchitectureError: If an edge is still under search.
        """
        cell = find_cells(graph)[0]
        return tuple(_digit(cell, edge) for edge in EDGE_LIST)

    def apply(self, graph: Graph, code: Code) -> None:
        """Put the operations that `code` names on the edges of all cells of `graph`, in place."""
        for cell in find_cells(graph):
            for edge, index in zip(EDGE_LIST, code, strict=True):
                data = cell.edges[edge]
                candidates = data["primitives"] if data.has("primitives") else data.op
                if not isinstance(candidates, Sequence):
                    raise ArchitectureError(f"edge {edge} of the cell has no candidates: it is an architecture already")
                data.set("op", candidates[index])
                data.set("primitives", list(candidates))


def find_cells(graph: Graph) -> list[Graph]:
    """Return the cells of a graph in the order in which they run.

    Raises:
        ArchitectureError: If there is none.
    """
    cells = [nested for nested in graph.nested_graphs() if set(nested.edges) == set(EDGE_LIST)]
    if not cells:
        raise ArchitectureError(f"the graph {graph.name!r} has no cell of TransNAS-Bench-101")
    return cells


def _digit(cell: Graph, edge: tuple[int, int]) -> int:
    op = cell.edges[edge].op
    op = op.op if isinstance(op, DropPath) else op
    name = "a list of candidates" if isinstance(op, list) else op_name(op)
    if name not in OP_NAMES:
        raise ArchitectureError(f"edge {edge} of the cell carries {name}, not {' or '.join(OP_NAMES)}")
    return OP_NAMES.index(name)
