"""EdgeCodec: codes of spaces whose architectures are one operation on each of the same edges in every cell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from naslib.errors import ArchitectureError

from .architecture import op_name
from .codec import Code, Codec
from .decisions import Decision
from .graph import Graph
from .literals import plain
from .ops_basic import DropPath
from .schema import DecisionSpace

Edge = tuple[int, int]


class EdgeCodec(Codec[Graph]):
    """Code cells as one index per edge, in an order of edges and operations that is the space's own.

    The decision space has the edges source by source, as the graphs state them. A subclass reads the strings of its
    field in `canonical`.

    Attributes:
        edges: The edges under search, in the order of the code.
        candidates: Names of the operations of each of these edges, in the order of their indices.
        cell: Name of the graphs that have them.
    """

    edges: ClassVar[tuple[Edge, ...]] = ()
    candidates: ClassVar[tuple[tuple[str, ...], ...]] = ()
    cell: ClassVar[str] = "cell"

    def __init__(self) -> None:
        self._order = [self.edges.index(edge) for edge in sorted(self.edges)]
        self._space = DecisionSpace(
            [
                Decision(f"{self.cell}/{self.edges[place][0]}-{self.edges[place][1]}", "op", self.candidates[place])
                for place in self._order
            ]
        )

    @property
    def decision_space(self) -> DecisionSpace:
        """One operation on each edge."""
        return self._space

    def to_decisions(self, code: Code) -> Code:
        """Return the code of the decision space, which has the edges source by source."""
        return tuple(code[place] for place in self._order)

    def decided_batch(self, codes: Sequence[Code] | np.ndarray) -> np.ndarray:
        """Return the codes of the decision space, `(n, edges)`, of n canonical codes."""
        return np.asarray(codes).reshape(len(codes), -1)[:, self._order]

    def from_decisions(self, decided: Code) -> Code:
        """Return the code whose edges are in the order of the field."""
        by_place = dict(zip(self._order, decided, strict=True))
        return tuple(by_place[place] for place in range(len(self.edges)))

    def canonical(self, spec: Any) -> Code:
        """Return the code of a sequence of indices.

        Raises:
            ArchitectureError: If it is none of this space.
        """
        spec = plain(spec)
        if not isinstance(spec, list) or len(spec) != len(self.edges) or not all(type(index) is int for index in spec):
            raise ArchitectureError(f"an architecture of {self.name} is {len(self.edges)} ints, not {spec!r}")
        for index, names, (source, target) in zip(spec, self.candidates, self.edges, strict=True):
            if not 0 <= index < len(names):
                raise ArchitectureError(
                    f"{spec!r}: {index} is no operation of {self.cell}/{source}-{target} of {self.name}, which has "
                    f"0 to {len(names) - 1}: {', '.join(names)}"
                )
        return tuple(spec)

    def from_graph(self, graph: Graph) -> Code:
        """Read the code off a discretized graph.

        Raises:
            ArchitectureError: If an edge is still under search, or there is no such cell.
        """
        cell = self.find_cells(graph)[0]
        return tuple(_index_on(cell, edge, names) for edge, names in zip(self.edges, self.candidates, strict=True))

    def apply(self, graph: Graph, code: Code) -> None:
        """Put the operations that `code` names on the edges of all cells of `graph`, in place.

        Raises:
            ArchitectureError: If the graph is an architecture already, or has no such cell.
        """
        for cell in self.find_cells(graph):
            for edge, index in zip(self.edges, code, strict=True):
                data = cell.edges[edge]
                candidates = data["primitives"] if data.has("primitives") else data.op
                if not isinstance(candidates, Sequence):
                    raise ArchitectureError(f"edge {edge} of the cell has no candidates: it is an architecture already")
                data.set("op", candidates[index])
                data.set("primitives", list(candidates))

    def find_cells(self, graph: Graph) -> list[Graph]:
        """Return the cells of a graph in the order in which they run.

        Raises:
            ArchitectureError: If there is none.
        """
        cells = [nested for nested in graph.nested_graphs() if set(self.edges) <= set(nested.edges)]
        if not cells:
            raise ArchitectureError(f"the graph {graph.name!r} has no cell of {self.name}")
        return cells


def _index_on(cell: Graph, edge: Edge, names: Sequence[str]) -> int:
    op = cell.edges[edge].op
    op = op.op if isinstance(op, DropPath) else op
    name = "a list of candidates" if isinstance(op, list) else op_name(op)
    if name not in names:
        raise ArchitectureError(f"edge {edge} of the cell carries {name}, not {' or '.join(names)}")
    return names.index(name)
