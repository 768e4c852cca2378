"""Codecs of the DARTS space with other candidates than its eight, the same or others on every edge."""

from __future__ import annotations

from random import Random
from typing import Any

from naslib.errors import ArchitectureError
from naslib.search_spaces.core.codec import Code, Codec

from .candidates import Primitives
from .codec import DartsCodec
from .decisions import decision_table
from .genotype import OPS

_CELLS = ("normal", "reduction")


class ListedCodec(DartsCodec):
    """Code architectures whose edges choose among given operations.

    The seven operations of DARTS keep their numbers, whether they are offered or not, and others follow: where there
    are no others, an architecture has the code that it has in the DARTS space, and benchmarks of that know it.

    Args:
        nodes: Number of intermediate nodes of a cell.
        primitives: The candidates of every edge.
    """

    def __init__(self, nodes: int, primitives: Primitives) -> None:
        super().__init__(nodes)
        self.primitives = primitives
        self.operations = primitives.operations
        self._table = decision_table(nodes, primitives)
        others = self.operations[len(OPS) :]
        if others:
            self.name = f"nasbench301 with {', '.join(others)}"  # no benchmark of the DARTS space knows these

    def canonical(self, spec: Any) -> Code:
        """Return the code of an architecture in any spelling of `DartsCodec`.

        Raises:
            ArchitectureError: If it is none, or has an operation on an edge that has no such candidate.
        """
        code = super().canonical(spec)
        if wrong := self._missing(code):
            raise ArchitectureError(wrong)
        return code

    def is_valid(self, code: Code) -> bool:
        """Say whether `code` belongs to the space and has the predecessors of each node in ascending order."""
        return self._is_well_formed(code) and not self._missing(code)

    def _missing(self, code: Code) -> str:
        """Return which edge of a well-formed code does not have its operation as candidate; empty if none."""
        edges, _ = self._split(code)
        for position in range(0, len(edges), 2):
            cell, within = divmod(position // 4, self.nodes)
            source, op = edges[position : position + 2]
            offered = self.primitives.chosen_from(cell, source, within + 2)
            if self.operations[op] not in offered:
                return (
                    f"the {_CELLS[cell]} cell of this space has no {self.operations[op]} on the edge from {source} to "
                    f"{within + 2} (it has: {', '.join(offered)})"
                )
        return ""

    def random(self, rng: Random) -> Code:
        """Draw uniformly over the architectures of the space."""
        return Codec.random(self, rng)

    def _mutated(self, code: Code, rng: Random) -> Code:
        return self.from_decisions(self._table.space.mutate(self._table.decide(code), rng))

    def neighbours(self, code: Code) -> list[Code]:
        """Return every code that differs from `code` in one op or in one predecessor.

        The predecessor keeps its op where it has as many candidates, by their place in the list; else it has any.
        """
        edges, outputs = self._split(self.canonical(code))
        found = self._table.space.neighbours(self._table.decide(edges))
        return [(*self.from_decisions(neighbour), *outputs) for neighbour in found]

    def perturb(self, code: Code, rate: float, rng: Random) -> Code:
        """Return a copy of `code` in which each predecessor and each op is drawn anew with probability `rate`."""
        edges, outputs = self._split(self.canonical(code))
        return (*self.from_decisions(self._table.space.perturb(self._table.decide(edges), rate, rng)), *outputs)


class WrittenCodec(DartsCodec):
    """Read and write genotypes of any registered operations, whose nodes may take one node twice: nothing is drawn.

    Args:
        nodes: Number of intermediate nodes of a cell.
        operations: What the ops of a code stand for; those of DARTS first.
    """

    _doubled = True

    def __init__(self, nodes: int, operations: tuple[str, ...]) -> None:
        super().__init__(nodes)
        self.operations = operations
        self.name = "a genotype in the form of nasbench301"
