"""Cells of NAS-Bench-101 by their number of vertices."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from naslib.search_spaces.core.decisions import Code
from naslib.search_spaces.core.labelled_dag import LabelledDag
from naslib.search_spaces.core.widening import CellWidening

from .cells import MAX_EDGES, OPS, VERTICES, all_cells, canonical_code, dag_of

_BITS = len(OPS)  # in the vocabulary of operations, that of the output is one more


class VertexWidening(CellWidening):
    """A block is an inner vertex: a cell of n vertices has n - 2; that of an edge alone, which has none, is left out.

    A cell grows by a vertex that reads some of the vertices there are and is read by the output; of those that it reads
    each keeps its edge to the output, where it has one, or loses it. So every cell grows from one of a vertex less: the
    one without its last inner vertex, in which the output reads what nobody else does. By vertices there are 6, 84,
    2,441, 62,010 and 359,082 cells.

    The row of a vertex has its place, its operation, and a bit for each vertex that it may read and for the output. The
    last row is that of the output.
    """

    widths = VERTICES - 2
    vocabularies = (VERTICES, len(OPS) + 1, 2)
    positions = (0, 1, *[2] * VERTICES)

    def first(self) -> Iterator[Code]:
        """Yield the 6 cells of three vertices."""
        return (code for code in itertools.islice(all_cells(), 1, 7))

    def wider(self, code: Code) -> Iterator[Code]:
        """Yield the cells of one more vertex, some more than once."""
        dag = dag_of(code)
        last = dag.size - 1
        for number in range(1, 1 << last):
            read = [vertex for vertex in range(last) if number >> vertex & 1]
            given = [vertex for vertex in read if dag.matrix[vertex][last]]
            for lost in range(1 << len(given)):
                without = {vertex for place, vertex in enumerate(given) if lost >> place & 1}
                if dag.n_edges + len(read) + 1 - len(without) > MAX_EDGES:
                    continue
                rows = [
                    [*dag.matrix[u][:last], int(u in read), int(dag.matrix[u][last] and u not in without)]
                    for u in range(last)
                ]
                matrix = [*rows, [0] * (last + 1) + [1], [0] * (last + 2)]
                for op in range(len(OPS)):
                    yield canonical_code(LabelledDag(matrix, [*dag.labels, op]))

    def width_of(self, code: Code) -> int:
        """Return the number of inner vertices."""
        return dag_of(code).size - 2

    def rows(self, code: Code) -> Sequence[Sequence[int]]:
        """Return a row per inner vertex and one for the output."""
        dag = dag_of(code)
        last = dag.size - 1
        found = []
        for vertex in range(1, last + 1):
            op = _BITS if vertex == last else dag.labels[vertex - 1]
            reads = [int(u < vertex and dag.matrix[u][vertex]) for u in range(min(last, VERTICES - 1))]
            reads += [0] * (VERTICES - 1 - len(reads))
            found.append((vertex, op, *reads, int(dag.matrix[vertex][last])))
        return found
