"""Codec of NAS-Bench-101: a cell is 21 bits for edges and 5 operations, one code for all isomorphic cells."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

from naslib.errors import UnsupportedBySpaceError
from naslib.search_spaces.core.codec import Code, Codec
from naslib.search_spaces.core.encodings import FixedEdges
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.labelled_dag import LabelledDag
from naslib.search_spaces.core.schema import DecisionSpace

from .cells import all_cells, canonical_code, dag_of
from .decisions import CELLS
from .spellings import read_spec, write
from .widening import VertexWidening


class NasBench101Codec(Codec[Graph]):
    """Code cells as 21 bits, target by target and source by source, then the operations of the five inner vertices.

    Operations are 0 conv3x3-bn-relu, 1 conv1x1-bn-relu, 2 maxpool3x3, -1 for vertices that are not there. The canonical
    code is that of the first of all isomorphic cells, without vertices on no path; the output is always vertex 7.
    """

    name = "nasbench101"

    @property
    def decision_space(self) -> DecisionSpace:
        """Which earlier vertices each vertex reads, and its operation."""
        return CELLS

    def widening(self) -> VertexWidening:
        """Return how cells grow by a vertex."""
        return VertexWidening()

    def fixed_edges(self) -> FixedEdges:
        """Every edge is decided."""
        return {}

    def random(self, rng: Random) -> Code:
        """Draw one of the 423,624 cells uniformly."""
        return CELLS.random(rng)

    def iterate(self) -> Iterator[Code]:
        """Yield all 423,624 codes."""
        return iter(all_cells())

    def canonical(self, spec: Any) -> Code:
        """Return the code of a cell in any of the forms that `spellings.read_spec` reads.

        Raises:
            ArchitectureError: If it is no cell of the space.
        """
        found = read_spec(spec)
        return canonical_code(found) if isinstance(found, LabelledDag) else CELLS.canonical(found)

    def fingerprint(self, code: Code) -> str:
        """Return the hash by which the authors' table knows the cell."""
        return dag_of(code).fingerprint()

    def genotype(self, code: Code) -> dict[str, Any]:
        """Return matrix and operations, the form of the benchmark's own code."""
        return write(dag_of(code))

    def from_graph(self, graph: Graph) -> Code:
        """Raise: the cell of a network is known by its code only."""
        raise UnsupportedBySpaceError("no architecture is set on this nasbench101 yet: use set_spec")

    def apply(self, graph: Any, code: Code) -> None:
        """Build the cells that `code` names."""
        graph.put_cell(dag_of(code))
