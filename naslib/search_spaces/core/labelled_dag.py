"""LabelledDag: a cell as an acyclic graph with a label on every inner vertex, its pruning, order and fingerprint."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np

from naslib.errors import ArchitectureError

from .literals import shortened

# Labels of the two ends in a fingerprint ([Ying2019nasbench101] and code)
_INPUT, _OUTPUT = -1, -2
# In a code, the label of a vertex that is not there
_NOT_THERE = -1


class LabelledDag:
    """An acyclic graph whose first vertex is the input, whose last is the output, and whose others have labels.

    Args:
        matrix: Square, `matrix[u][v]` true for an edge from u to v; upper triangular.
        labels: Numbers, one for each inner vertex.

    Attributes:
        matrix: Rows of 0 and 1.
        labels: The labels.

    Raises:
        ArchitectureError: If the matrix is not square and upper triangular, or there is not a label per inner vertex.
    """

    def __init__(self, matrix: Sequence[Sequence[int]], labels: Sequence[int]) -> None:
        self.matrix = tuple(tuple(int(bool(entry)) for entry in row) for row in matrix)
        self.labels = tuple(int(label) for label in labels)
        size = len(self.matrix)
        if size < 2 or any(len(row) != size for row in self.matrix):
            raise ArchitectureError(f"the matrix of a cell is square, of 2 vertices at least, not {matrix!r}")
        if any(self.matrix[u][v] for u in range(size) for v in range(u + 1)):
            raise ArchitectureError("the matrix of a cell is upper triangular: an edge leads to a later vertex")
        if len(self.labels) != size - 2:
            raise ArchitectureError(
                f"a cell of {size} vertices has {size - 2} inner ones, and {len(labels)} operations"
            )

    @property
    def size(self) -> int:
        """Number of vertices, both ends included."""
        return len(self.matrix)

    @cached_property
    def n_edges(self) -> int:
        """Number of edges."""
        return sum(map(sum, self.matrix))

    def sources(self, vertex: int) -> list[int]:
        """Return the vertices with an edge to one, ascending."""
        return [u for u in range(vertex) if self.matrix[u][vertex]]

    def targets(self, vertex: int) -> list[int]:
        """Return the vertices with an edge from one, ascending."""
        return [v for v in range(vertex + 1, self.size) if self.matrix[vertex][v]]

    def pruned(self) -> LabelledDag:
        """Return the graph without the vertices that are on no path from input to output.

        Raises:
            ArchitectureError: If there is no such path.
        """
        last = self.size - 1
        ahead, back = {0}, {last}
        for v in range(1, self.size):
            if any(self.matrix[u][v] for u in ahead):
                ahead.add(v)
        for u in reversed(range(last)):
            if any(self.matrix[u][v] for v in back):
                back.add(u)
        kept = sorted(ahead & back)
        if last not in ahead:
            raise ArchitectureError("no path leads from the input of the cell to its output")
        if len(kept) == self.size:
            return self
        matrix = [[self.matrix[u][v] for v in kept] for u in kept]
        return LabelledDag(matrix, [self.labels[v - 1] for v in kept[1:-1]])

    def fingerprint(self) -> str:
        """Return a hash that isomorphic graphs share, that of the authors of [Ying2019nasbench101].

        Every vertex begins with its degrees and its label, and then takes in, as often as there are vertices, what its
        neighbours have.
        """
        size = self.size
        sources, targets = [self.sources(v) for v in range(size)], [self.targets(v) for v in range(size)]
        labels = (_INPUT, *self.labels, _OUTPUT)
        marks = [_md5(str((len(targets[v]), len(sources[v]), labels[v]))) for v in range(size)]
        for _ in range(size):
            marks = [
                _md5("|".join([_joined(marks, sources[v]), _joined(marks, targets[v]), marks[v]])) for v in range(size)
            ]
        return _md5(str(sorted(marks)))

    def ordered(self) -> LabelledDag:
        """Return the isomorphic graph that comes first: equal for isomorphic graphs.

        Graphs are compared by their edges as a binary number, in which the edge from u to v > u has the digit
        u + v (v - 1) / 2, and then by their labels; this is the order in which the authors of NAS-Bench-101 enumerated
        theirs, and kept the first of those that are isomorphic.
        """
        number, labels = _first(self.number, self.labels, self.size)
        if (number, labels) == (self.number, self.labels):
            return self
        return LabelledDag.of_number(number, labels)

    @cached_property
    def number(self) -> int:
        """The edges as a binary number; see `ordered`."""
        return sum(1 << digit for digit, (u, v) in enumerate(pairs(self.size)) if self.matrix[u][v])

    @staticmethod
    def of_number(number: int, labels: Sequence[int]) -> LabelledDag:
        """Return the graph of a `number`."""
        size = len(labels) + 2
        matrix = [[0] * size for _ in range(size)]
        for digit, (u, v) in enumerate(pairs(size)):
            matrix[u][v] = number >> digit & 1
        return LabelledDag(matrix, labels)

    def code(self, size: int) -> tuple[int, ...]:
        """Return the graph as ints, in the form of one with `size` vertices: its output is the last of these.

        First a bit for each edge, target by target and source by source (the digits of `number`), then the labels,
        -1 for the vertices that are not there.
        """
        places = [*range(self.size - 1), size - 1]
        edges = {(places[u], places[v]) for u, v in pairs(self.size) if self.matrix[u][v]}
        bits = tuple(int(edge in edges) for edge in pairs(size))
        return (*bits, *self.labels, *[_NOT_THERE] * (size - self.size))

    @staticmethod
    def of_code(code: Sequence[int], size: int) -> LabelledDag:
        """Return the graph of a `code`, with all its `size` vertices; those that are not there have no edges.

        Raises:
            ArchitectureError: If it is none: another length, edges that are no bits, or a vertex on a path without a
                label.
        """
        edges = pairs(size)
        is_code = isinstance(code, tuple | list) and all(isinstance(gene, int) for gene in code)
        bits, labels = (code[: len(edges)], code[len(edges) :]) if is_code else ((), ())
        if len(labels) != size - 2 or any(bit not in (0, 1) for bit in bits):
            raise ArchitectureError(f"a cell is {len(edges)} bits and {size - 2} operations, not {shortened(code)}")
        matrix = [[0] * size for _ in range(size)]
        for (u, v), bit in zip(edges, bits, strict=True):
            matrix[u][v] = int(bit)
        if any(label < 0 for label in LabelledDag(matrix, labels).pruned().labels):
            raise ArchitectureError(f"a vertex on a path has no operation in {shortened(list(code))}")
        return LabelledDag(matrix, labels)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, LabelledDag):
            return NotImplemented
        return (self.matrix, self.labels) == (other.matrix, other.labels)

    def __hash__(self) -> int:
        return hash((self.matrix, self.labels))

    def __repr__(self) -> str:
        return f"LabelledDag({[list(row) for row in self.matrix]}, {list(self.labels)})"


@lru_cache
def pairs(size: int) -> tuple[tuple[int, int], ...]:
    """Return all edges (u, v) that a graph of a size can have, by their digit in its number."""
    return tuple((u, v) for v in range(size) for u in range(v))


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _joined(marks: Sequence[str], vertices: Sequence[int]) -> str:
    return "".join(sorted(marks[vertex] for vertex in vertices))


class _Orders(NamedTuple):
    """All orders of the inner vertices of graphs of one size.

    Attributes:
        orders: `(n!, n)`, in row i the former positions of the inner vertices, from 0.
        digits: `(n!, size * (size - 1) / 2)`, the former digit of each digit.
        is_turned: Likewise, whether the former edge leads the other way.
    """

    orders: np.ndarray
    digits: np.ndarray
    is_turned: np.ndarray


@lru_cache
def _orders(size: int) -> _Orders:
    inner = list(itertools.permutations(range(size - 2)))
    digit = {edge: number for number, edge in enumerate(pairs(size))}
    digits = np.zeros((len(inner), len(digit)), np.int64)
    is_turned = np.zeros_like(digits, dtype=bool)
    for row, order in enumerate(inner):
        former = [0, *(position + 1 for position in order), size - 1]
        for number, (u, v) in enumerate(pairs(size)):
            first, second = former[u], former[v]
            digits[row, number] = digit[min(first, second), max(first, second)]
            is_turned[row, number] = first > second
    return _Orders(np.array(inner, np.int64).reshape(len(inner), size - 2), digits, is_turned)


@lru_cache(maxsize=1 << 16)
def _first(number: int, labels: tuple[int, ...], size: int) -> tuple[int, tuple[int, ...]]:
    """Return number and labels of the first of the isomorphic graphs."""
    if size < 4:
        return number, labels
    numbers, allowed = renumbered(np.array([number]), size)
    numbers = np.where(allowed, numbers, np.iinfo(np.int64).max)[:, 0]
    smallest = int(numbers.min())
    rows = _orders(size).orders[numbers == smallest]
    return smallest, tuple(min(map(tuple, np.array(labels)[rows].tolist())))


def renumbered(numbers: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of graphs in every order of their inner vertices, and whether an order is one of the graph.

    Args:
        numbers: `(k,)` ints.
        size: Number of vertices of each.

    Returns:
        `(n!, k)` ints, and as many bools: whether every edge leads to a later vertex.
    """
    orders = _orders(size)
    bits = (numbers[:, None] >> np.arange(orders.digits.shape[1])) & 1  # (k, digits)
    taken = bits[:, orders.digits]  # (k, n!, digits)
    allowed = ~(taken.astype(bool) & orders.is_turned).any(-1)
    weights = 1 << np.arange(orders.digits.shape[1], dtype=np.int64)
    return (taken @ weights).T, allowed.T


def orders_of(size: int) -> Iterator[tuple[int, ...]]:
    """Yield the orders of the inner vertices, from 0, that the rows of `renumbered` stand for."""
    return map(tuple, _orders(size).orders.tolist())
