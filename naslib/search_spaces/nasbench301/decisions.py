"""The decisions of the DARTS space without a graph, and how its codes are written as theirs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from naslib.search_spaces.core._selection import KEPT_EDGES
from naslib.search_spaces.core.codec import Code
from naslib.search_spaces.core.decisions import MASKED, Decision
from naslib.search_spaces.core.schema import DecisionSpace

from .candidates import Primitives, default_primitives
from .conversions import CELL_NAMES, FIRST_INTERMEDIATE


class DecisionTable:
    """Where predecessors and ops of a flat code are in a code of the decision space.

    Args:
        nodes: Intermediate nodes of a cell.
        primitives: The candidates of the edges.

    Attributes:
        space: Per cell the inputs of the nodes that have a choice, then the operations by source and target.
    """

    def __init__(self, nodes: int, primitives: Primitives) -> None:
        inputs = [decision for name in CELL_NAMES for decision in _inputs(name, nodes)]
        self.space = DecisionSpace(inputs + _operations(nodes, primitives))
        number = {operation: index for index, operation in enumerate(primitives.operations)}
        # per node of both cells: the gene of its first input (none for the first node), and that of its op by source
        self.places: list[tuple[int | None, list[int]]] = []
        # per node and source: the numbers of the candidates in codes, and the candidates by these numbers
        self.numbers: list[list[tuple[int, ...]]] = []
        self.indices: list[list[dict[int, int]]] = []
        for cell, name in enumerate(CELL_NAMES):
            for node in range(nodes):
                target = FIRST_INTERMEDIATE + node
                first = self.space.genes(f"{name}/{target}").start if node else None
                ops = [self.space.genes(f"{name}/{source}-{target}").start for source in range(1, target)]
                self.places.append((first, ops))
                edges = [primitives.chosen_from(cell, source, node + 2) for source in range(node + 2)]
                self.numbers.append([tuple(number[op] for op in edge) for edge in edges])
                self.indices.append([{number[op]: index for index, op in enumerate(edge)} for edge in edges])

    def decide(self, code: Sequence[int]) -> Code:
        """Return the code of the decision space of a canonical flat code with full outputs."""
        genes = [MASKED] * self.space.n_genes
        position = 0
        for (first, ops), indices in zip(self.places, self.indices, strict=True):
            one, op_one, two, op_two = code[position : position + 4]
            position += 4
            if first is not None:
                genes[first] = one
                genes[first + 1] = two
            genes[ops[one]] = indices[one][op_one]
            genes[ops[two]] = indices[two][op_two]
        return tuple(genes)

    def flatten(self, genes: Code) -> Code:
        """Return the flat code of a canonical code of the decision space."""
        code: list[int] = []
        for (first, ops), numbers in zip(self.places, self.numbers, strict=True):
            one, two = (0, 1) if first is None else genes[first : first + 2]
            code += (one, numbers[one][genes[ops[one]]], two, numbers[two][genes[ops[two]]])
        return tuple(code)


@lru_cache
def decision_table(nodes: int, primitives: Primitives | None = None) -> DecisionTable:
    """Return the table of cells with so many intermediate nodes, and the candidates of DARTS if none are given."""
    return DecisionTable(nodes, default_primitives(nodes) if primitives is None else primitives)


def _inputs(cell: str, nodes: int) -> list[Decision]:
    targets = range(FIRST_INTERMEDIATE + 1, FIRST_INTERMEDIATE + nodes)
    return [Decision(f"{cell}/{target}", "inputs", tuple(range(1, target)), KEPT_EDGES) for target in targets]


def _operations(nodes: int, primitives: Primitives) -> list[Decision]:
    last = FIRST_INTERMEDIATE + nodes
    found = []
    for number, cell in enumerate(CELL_NAMES):
        for source in range(1, last - 1):
            for target in range(max(source + 1, FIRST_INTERMEDIATE), last):
                condition = (f"{cell}/{target}", source - 1) if target > FIRST_INTERMEDIATE else None
                candidates = primitives.chosen_from(number, source - 1, target - 1)
                found.append(Decision(f"{cell}/{source}-{target}", "op", candidates, condition=condition))
    return found
