"""The decisions of NAS-Bench-101: which earlier vertices a vertex reads, and the operation of each that reads any."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from random import Random
from typing import Any

from naslib.errors import ArchitectureError
from naslib.search_spaces.core.code_classes import CodeClasses
from naslib.search_spaces.core.decisions import Code, Decision, as_random
from naslib.search_spaces.core.labelled_dag import LabelledDag
from naslib.search_spaces.core.schema import DecisionSpace

from .cells import MAX_EDGES, OPS, VERTICES, all_cells, canonical_code, dag_of

# A change of a cell: what it is, and where
_Move = tuple[str, int, int, int]


class CellDecisions(CodeClasses):
    """The 423,624 cells, each with one code, that of the first of all isomorphic ones.

    Two cells are neighbours where they differ in one operation, in one edge, or in one vertex that one edge enters and
    one leaves; all vertices of both are on paths.
    """

    def __init__(self, decisions: Sequence[Decision] = (), constraints: Sequence[Any] = ()) -> None:
        super().__init__(decisions or _decisions(), constraints)

    def representative(self, code: Code) -> Code:
        """Return the code that all isomorphic cells share, without vertices on no path."""
        return canonical_code(dag_of(code))

    def members(self, code: Code) -> Iterable[Code]:
        """Yield the code itself: neighbours are found otherwise."""
        return (code,)

    def size(self) -> int:
        """Return 423,624: they are counted."""
        return len(all_cells())

    def iterate(self) -> Iterator[Code]:
        """Yield the code of every cell once."""
        return iter(all_cells())

    def random(self, rng: Any = None) -> Code:
        """Draw a cell uniformly over all 423,624."""
        cells = all_cells()
        return cells[int(as_random(rng).random() * len(cells))]

    def neighbours(self, code: Sequence[int]) -> list[Code]:
        """Return every cell that differs in an operation, in an edge, or in a vertex with one edge in and one out."""
        code = self.canonical(code)
        dag = dag_of(code)
        return sorted({canonical_code(_moved(dag, move)) for move in _moves(dag)} - {code})

    def mutate(self, code: Sequence[int], rng: Any = None) -> Code:
        """Return a neighbour: first its kind is drawn (operation, edge, vertex), then the change, both uniformly."""
        rng, code = as_random(rng), self.canonical(code)
        dag = dag_of(code)
        by_kind: dict[str, list[_Move]] = {}
        for move in _moves(dag):
            by_kind.setdefault(move[0], []).append(move)
        while True:  # a change may give an isomorphic cell, but not every one does
            found = canonical_code(_moved(dag, _drawn(by_kind, rng)))
            if found != code:
                return found


def _decisions() -> list[Decision]:
    """Return the decisions; the vertices are numbered from 1, the input, to 7, the output."""
    inputs = [Decision(f"cell/{vertex}", "inputs", tuple(range(1, vertex)), None) for vertex in range(2, VERTICES + 1)]
    operations = [
        Decision(f"cell/{vertex}:op", "op", OPS, condition=(f"cell/{vertex}", tuple(range(vertex - 1))))
        for vertex in range(2, VERTICES)
    ]
    return [*inputs, *operations]


def _drawn(by_kind: dict[str, list[_Move]], rng: Random) -> _Move:
    moves = by_kind[rng.choice(sorted(by_kind))]
    return moves[int(rng.random() * len(moves))]


def _moves(dag: LabelledDag) -> Iterator[_Move]:
    """Yield the changes of a cell that give a cell, isomorphic ones included."""
    last = dag.size - 1
    entering = [len(dag.sources(v)) for v in range(dag.size)]
    leaving = [len(dag.targets(v)) for v in range(dag.size)]
    reaches = _reaches(dag)
    for v in range(1, last):
        yield from (("op", v, 0, op) for op in range(len(OPS)) if op != dag.labels[v - 1])
    for u in range(dag.size):
        for v in range(dag.size):
            if u in (v, last) or v == 0 or u in reaches[v]:
                continue
            if dag.matrix[u][v]:
                if leaving[u] > 1 and entering[v] > 1:
                    yield "edge", u, v, 0
            elif dag.n_edges < MAX_EDGES:
                yield "edge", u, v, 1
            if dag.size < VERTICES and dag.n_edges + 2 <= MAX_EDGES:
                yield from (("vertex", u, v, op) for op in range(len(OPS)))
    for v in range(1, last):
        if entering[v] == leaving[v] == 1 and leaving[dag.sources(v)[0]] > 1 and entering[dag.targets(v)[0]] > 1:
            yield "no vertex", v, 0, 0


def _reaches(dag: LabelledDag) -> dict[int, set[int]]:
    """Return by vertex those that a path from it leads to."""
    found: dict[int, set[int]] = {}
    for u in reversed(range(dag.size)):
        found[u] = set().union(*({v} | found[v] for v in dag.targets(u)))
    return found


def _moved(dag: LabelledDag, move: _Move) -> LabelledDag:
    what, first, second, value = move
    edges = {(u, v) for u in range(dag.size) for v in dag.targets(u)}
    labels = dict(enumerate(dag.labels, start=1))
    vertices = [*range(dag.size)]
    if what == "op":
        labels[first] = value
    elif what == "edge":
        edges ^= {(first, second)}
    elif what == "vertex":
        vertices.append(dag.size)
        labels[dag.size] = value
        edges |= {(first, dag.size), (dag.size, second)}
    else:
        edges = {edge for edge in edges if first not in edge}
        vertices.remove(first)
    return _sorted(vertices, edges, labels, dag.size - 1)


def _sorted(vertices: list[int], edges: set[tuple[int, int]], labels: dict[int, int], last: int) -> LabelledDag:
    """Return the graph with its vertices in an order in which every edge leads to a later one."""
    order, left = [0], [vertex for vertex in vertices if vertex not in (0, last)]
    while left:
        ready = [v for v in left if all(u in order for u, w in edges if w == v)]
        if not ready:
            raise ArchitectureError("the edges of the cell go in a circle")
        order.append(ready[0])
        left.remove(ready[0])
    order.append(last)
    matrix = [[int((u, v) in edges) for v in order] for u in order]
    return LabelledDag(matrix, [labels[v] for v in order[1:-1]])


CELLS: DecisionSpace = CellDecisions()
