"""What a discrete architecture of a graph consists of, and in which order a controller decides it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from naslib.search_spaces.core.codec import NO_EDGE


@dataclass(frozen=True)
class Pick:
    """A choice of one input at a node of its own, in front of an edge.

    Attributes:
        decision: The choice.
        sources: The nodes that it chooses from, in the order of its candidates.
    """

    decision: int
    sources: tuple[int, ...]


@dataclass(frozen=True)
class Node:
    """A node with decisions.

    Attributes:
        index: In its graph.
        decisions: Of the edges into it, by source; indices into `OneShotOptimizer.architectural_weights`.
        sources: Where these edges come from.
        n_kept: How many of them a discrete architecture keeps; None for any subset.
        picks: Choices of the inputs of its edges, made before their operations and independently of each other.
        option: The choice of its combination.
    """

    index: int
    decisions: tuple[int, ...]
    sources: tuple[int, ...]
    n_kept: int | None
    picks: tuple[Pick, ...] = ()
    option: int | None = None

    @property
    def chooses_inputs(self) -> bool:
        """Whether some edges are dropped."""
        return self.n_kept is None or self.n_kept < len(self.decisions)


@dataclass(frozen=True)
class Condition:
    """What has to be chosen elsewhere for a decision to be made.

    Attributes:
        decision: The other decision.
        positions: Its candidates that make this one active.
    """

    decision: int
    positions: tuple[int, ...]

    def holds(self, code: Sequence[int]) -> bool:
        """Say whether one of them is chosen."""
        return code[self.decision] in self.positions


@dataclass(frozen=True)
class Cell:
    """A graph with decisions; of several copies the first.

    Attributes:
        inputs: Sources that have no decision of their own.
        nodes: In topological order.
        condition: Where the graph is inside of a candidate, that candidate.
    """

    inputs: tuple[int, ...]
    nodes: tuple[Node, ...]
    condition: Condition | None = None

    @property
    def chooses_inputs(self) -> bool:
        """Whether a node of it drops edges, or picks the input of one."""
        return any(node.chooses_inputs or node.picks for node in self.nodes)


@dataclass(frozen=True)
class Single:
    """A decision by itself: a size.

    Attributes:
        decision: The decision.
        condition: What it depends on.
    """

    decision: int
    condition: Condition | None = None


@dataclass(frozen=True)
class Layer:
    """A layer of a network in which each is decided by itself: an operation, and which earlier layers are added.

    Attributes:
        operation: Its decision.
        skips: One decision for each layer before it, between the candidates `Zero` and `Identity`.
    """

    operation: int
    skips: tuple[int, ...]


@dataclass(frozen=True)
class ControllerSpace:
    """All discrete architectures of a supernet. A *code* has one entry per decision: a candidate, or `NO_EDGE`.

    Attributes:
        cells: The cells.
        allowed: By decision, the candidates that the space may select.
        widths: By decision, the number of candidates.
        zeros: By decision, the candidate `Zero`; None where there is none.
        order: Cells and single decisions in the order in which they are decided; empty for the cells as they are.
        layers: Where the space is a chain of layers with all skips between them, the layers: they are decided in place
            of the cells.
        vocabularies: By decision that is none among operations on edges, which words it chooses from: a number that
            decisions with the same candidates have in common.
    """

    cells: tuple[Cell, ...]
    allowed: tuple[tuple[int, ...], ...]
    widths: tuple[int, ...]
    zeros: tuple[int | None, ...]
    order: tuple[Cell | Single, ...] = ()
    layers: tuple[Layer, ...] = ()
    vocabularies: tuple[int | None, ...] = ()

    def vocabulary(self, decision: int) -> int | None:
        """Return the number of the vocabulary of a decision, None for that of the operations."""
        return self.vocabularies[decision] if self.vocabularies else None

    def n_operations(self) -> int:
        """Return the largest number of operations on an edge (skips of layers are none), 0 where there are none."""
        skips = {skip for layer in self.layers for skip in layer.skips}
        picks = {pick.decision for cell in self.cells for node in cell.nodes for pick in node.picks}
        others = {d for d in range(len(self.widths)) if self.vocabulary(d) is not None} | skips | picks
        return max((width for d, width in enumerate(self.widths) if d not in others), default=0)

    def vocabulary_widths(self) -> list[int]:
        """Return the number of candidates of each vocabulary."""
        found: dict[int, int] = {}
        for decision, width in enumerate(self.widths):
            number = self.vocabulary(decision)
            if number is not None:
                found[number] = width
        return [found[number] for number in sorted(found)]

    def scores(self, code: Sequence[int]) -> list[Tensor]:
        """Return per decision, `(n_ops,)`, the scores from which the space derives exactly this architecture."""
        return [_one_hot(width, op) for width, op in zip(self.widths, code, strict=True)]

    def gates(self, code: Sequence[int]) -> list[Tensor]:
        """Return per decision, `(n_ops,)`, a one-hot of the operation that runs.

        On edges that are not kept it is `Zero`; where there is none the gates are 0.
        """
        gates = []
        for width, op, zero in zip(self.widths, code, self.zeros, strict=True):
            gates.append(_one_hot(width, zero if op == NO_EDGE and zero is not None else op))
        return gates


def _one_hot(width: int, index: int) -> Tensor:
    row = torch.zeros(width)
    if index != NO_EDGE:
        row[index] = 1.0
    return row
