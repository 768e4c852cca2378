"""The decisions of the DARTS space without a graph, and how its codes are written as theirs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from naslib.search_spaces.core._selection import KEPT_EDGES
from naslib.search_spaces.core.codec import Code
from naslib.search_spaces.core.decisions import MASKED, Decision
from naslib.search_spaces.core.schema import DecisionSpace

from .conversions import CELL_NAMES, FIRST_INTERMEDIATE, OPS

# In the order of the candidates on an edge
CANDIDATES = (
    *("skip_connect", "max_pool_3x3", "avg_pool_3x3"),
    *("sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5"),
)
_CANDIDATE_OF_OP = tuple(CANDIDATES.index(op) for op in OPS)
_OP_OF_CANDIDATE = tuple(OPS.index(candidate) for candidate in CANDIDATES)


class DecisionTable:
    """Where predecessors and ops of a flat code are in a code of the decision space.

    Args:
        nodes: Intermediate nodes of a cell.

    Attributes:
        space: Per cell the inputs of the nodes that have a choice, then the operations by source and target.
    """

    def __init__(self, nodes: int) -> None:
        self.space = DecisionSpace([d for name in CELL_NAMES for d in _inputs(name, nodes)] + _operations(nodes))
        # per node of both cells: the gene of its first input (none for the first node), and that of its op by source
        self.places: list[tuple[int | None, list[int]]] = []
        for name in CELL_NAMES:
            for node in range(nodes):
                target = FIRST_INTERMEDIATE + node
                first = self.space.genes(f"{name}/{target}").start if node else None
                ops = [self.space.genes(f"{name}/{source}-{target}").start for source in range(1, target)]
                self.places.append((first, ops))

    def decide(self, code: Sequence[int]) -> Code:
        """Return the code of the decision space of a canonical flat code with full outputs."""
        genes = [MASKED] * self.space.n_genes
        position = 0
        for first, ops in self.places:
            one, op_one, two, op_two = code[position : position + 4]
            position += 4
            if first is not None:
                genes[first] = one
                genes[first + 1] = two
            genes[ops[one]] = _CANDIDATE_OF_OP[op_one]
            genes[ops[two]] = _CANDIDATE_OF_OP[op_two]
        return tuple(genes)

    def flatten(self, genes: Code) -> Code:
        """Return the flat code of a canonical code of the decision space."""
        code: list[int] = []
        for first, ops in self.places:
            one, two = (0, 1) if first is None else genes[first : first + 2]
            code += (one, _OP_OF_CANDIDATE[genes[ops[one]]], two, _OP_OF_CANDIDATE[genes[ops[two]]])
        return tuple(code)


@lru_cache
def decision_table(nodes: int) -> DecisionTable:
    """Return the table of cells with so many intermediate nodes."""
    return DecisionTable(nodes)


def _inputs(cell: str, nodes: int) -> list[Decision]:
    targets = range(FIRST_INTERMEDIATE + 1, FIRST_INTERMEDIATE + nodes)
    return [Decision(f"{cell}/{target}", "inputs", tuple(range(1, target)), KEPT_EDGES) for target in targets]


def _operations(nodes: int) -> list[Decision]:
    last = FIRST_INTERMEDIATE + nodes
    found = []
    for cell in CELL_NAMES:
        for source in range(1, last - 1):
            for target in range(max(source + 1, FIRST_INTERMEDIATE), last):
                condition = (f"{cell}/{target}", source - 1) if target > FIRST_INTERMEDIATE else None
                found.append(Decision(f"{cell}/{source}-{target}", "op", CANDIDATES, condition=condition))
    return found
