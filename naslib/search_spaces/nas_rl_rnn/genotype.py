"""Recurrent cells that are trees, as people write them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from naslib.search_spaces.core.decisions import Code
from naslib.search_spaces.core.schema import DecisionSpace

from .decisions import CELL_IN, CELL_OUT, INJECT

Labelled = tuple[str, str]


class TreeCell(NamedTuple):
    """A recurrent cell.

    Attributes:
        nodes: Combination and activation of every node: the leaves, then level by level to the root.
        inject: Combination and activation by which the state of the cell enters.
        cell_out: The node whose value before its activation is the next state of the cell.
        cell_in: The node into whose value the state of the cell enters.
    """

    nodes: tuple[Labelled, ...]
    inject: Labelled
    cell_out: int
    cell_in: int

    def choices(self) -> dict[str, Any]:
        """Return the candidates by decision."""
        found: dict[str, Any] = {}
        for name, (combine, activation) in [
            *((f"tree_{i}", n) for i, n in enumerate(self.nodes)),
            (INJECT, self.inject),
        ]:
            found |= {f"{name}/combine": combine, f"{name}/activation": activation}
        return {**found, CELL_OUT: self.cell_out, CELL_IN: self.cell_in}

    def to_json(self) -> dict[str, Any]:
        """Return the cell as a mapping, to be written as JSON."""
        return {**self._asdict(), "nodes": [list(node) for node in self.nodes], "inject": list(self.inject)}


def cell_of(space: DecisionSpace, code: Code) -> TreeCell:
    """Return the cell of a canonical code."""
    choices: Mapping[str, Any] = space.choices(code)

    def labelled(name: str) -> Labelled:
        return choices[f"{name}/combine"], choices[f"{name}/activation"]

    nodes = sum(name.startswith("tree_") for name in choices) // 2
    return TreeCell(
        tuple(labelled(f"tree_{node}") for node in range(nodes)), labelled(INJECT), choices[CELL_OUT], choices[CELL_IN]
    )


# The cell that [Zoph2017nasrl] found on the Penn Treebank, as TensorFlow has it (`NASCell`)
NASCELL = TreeCell(
    (
        *[("add", "sigmoid"), ("add", "relu"), ("add", "sigmoid"), ("elem_mult", "relu")],
        *[("add", "tanh"), ("add", "sigmoid"), ("add", "tanh"), ("add", "sigmoid")],
        *[("elem_mult", "tanh"), ("add", "tanh"), ("elem_mult", "tanh"), ("add", "sigmoid")],
        *[("elem_mult", "identity"), ("add", "tanh"), ("elem_mult", "tanh")],
    ),
    ("add", "tanh"),
    cell_out=12,
    cell_in=8,
)
