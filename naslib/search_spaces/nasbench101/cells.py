"""The cells of NAS-Bench-101: codes, limits, and all of them without a table."""

from __future__ import annotations

import itertools
from bisect import bisect
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from naslib.errors import ArchitectureError
from naslib.search_spaces.core.decisions import Code
from naslib.search_spaces.core.labelled_dag import LabelledDag, orders_of, pairs, renumbered

VERTICES, MAX_EDGES = 7, 9
OPS = ("conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3")
N_GENES = len(pairs(VERTICES)) + VERTICES - 2


def dag_of(code: Code) -> LabelledDag:
    """Return the cell of a code, without the vertices that are on no path.

    Raises:
        ArchitectureError: If it is none.
    """
    return LabelledDag.of_code(code, VERTICES).pruned()


def canonical_code(dag: LabelledDag) -> Code:
    """Return the one code of a cell and of all that are isomorphic to it.

    Raises:
        ArchitectureError: If it has more than 7 vertices or 9 edges, no path, or an unknown operation.
    """
    dag = dag.pruned()
    if dag.size > VERTICES:
        raise ArchitectureError(f"a cell of NAS-Bench-101 has at most {VERTICES} vertices, not {dag.size}")
    if dag.n_edges > MAX_EDGES:
        raise ArchitectureError(f"a cell of NAS-Bench-101 has at most {MAX_EDGES} edges, not {dag.n_edges}")
    if any(not 0 <= label < len(OPS) for label in dag.labels):
        raise ArchitectureError(f"the operations of a cell are 0..{len(OPS) - 1}, not {list(dag.labels)}")
    return dag.ordered().code(VERTICES)


@dataclass(frozen=True)
class Shape:
    """The edges that cells have in common, and the operations that make different ones of them.

    Attributes:
        number: The edges, as `LabelledDag.number`.
        size: Number of vertices.
        labels: `(n,)` the operations of the inner vertices as base-3 numbers, the first most significant; None for all.
        count: n.
    """

    number: int
    size: int
    labels: np.ndarray | None
    count: int

    def code(self, index: int) -> Code:
        """Return the code of one of its cells."""
        number = index if self.labels is None else int(self.labels[index])
        inner = self.size - 2
        labels = [number // len(OPS) ** (inner - 1 - position) % len(OPS) for position in range(inner)]
        return LabelledDag.of_number(self.number, labels).code(VERTICES)


class AllCells:
    """All 423,624 cells, in a fixed order: by the number of vertices, then edges, then operations.

    Attributes:
        shapes: The edges that they can have.
    """

    def __init__(self) -> None:
        self.shapes = [shape for size in range(2, VERTICES + 1) for shape in _shapes(size)]
        self._ends = list(itertools.accumulate(shape.count for shape in self.shapes))

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> Code:
        position = bisect(self._ends, index)
        shape = self.shapes[position]
        return shape.code(index - self._ends[position] + shape.count)

    def __iter__(self) -> Iterator[Code]:
        return (shape.code(index) for shape in self.shapes for index in range(shape.count))


@lru_cache
def all_cells() -> AllCells:
    """Return all cells; they are found once per process, in about a second."""
    return AllCells()


def _shapes(size: int) -> list[Shape]:
    edges = pairs(size)
    numbers = np.arange(1 << len(edges), dtype=np.int64)
    few = sum((numbers >> digit) & 1 for digit in range(len(edges))) <= MAX_EDGES
    numbers = numbers[few]
    for vertex in range(size):  # all but the input are entered, all but the output are left
        for end in (0, 1):
            mask = sum(1 << digit for digit, edge in enumerate(edges) if edge[1 - end] == vertex)
            if mask:
                numbers = numbers[(numbers & mask) != 0]
    firsts = []
    for part in np.array_split(numbers, 1 + len(numbers) // 5000):
        others, allowed = renumbered(part, size)
        firsts.append(part[np.where(allowed, others, np.iinfo(np.int64).max).min(0) == part])
    return [_labelled(int(number), size) for number in np.concatenate(firsts)]


def _labelled(number: int, size: int) -> Shape:
    """Return the operations of cells that are not isomorphic, given their edges."""
    inner = size - 2
    others, allowed = renumbered(np.array([number]), size)
    same = [
        order for order, row, fits in zip(orders_of(size), others, allowed, strict=True) if fits[0] and row[0] == number
    ]
    count = len(OPS) ** inner
    if len(same) == 1:
        return Shape(number, size, None, count)
    powers = len(OPS) ** np.arange(inner)[::-1]
    labels = np.arange(count)[:, None] // powers % len(OPS)
    first = np.min([labels[:, order] @ powers for order in same], axis=0)
    found = np.flatnonzero(first == np.arange(count))
    return Shape(number, size, found, len(found))
