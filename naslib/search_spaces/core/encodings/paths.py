"""Path encoding: which sequences of operations lead from an input of a cell to its output ([White2021bananas])."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from naslib.errors import UnsupportedBySpaceError

from .layout import ABSENT, WIRE, CellLayout

# Columns for the paths from one input of a cell, and paths that its graph may have
_WIDEST = 20_000
_MOST_PATHS = 20_000


def longest_sequence(cell: CellLayout) -> int:
    """Return how many operations a path has at most to have a column: all paths, or as many as 20,000 columns hold."""
    longest, width = 0, 1
    while width + len(cell.ops) ** (longest + 1) <= _WIDEST and longest < len(cell.slots):
        longest += 1
        width += len(cell.ops) ** longest
    return min(longest, max((len(_slots(cell, path)) for path in _every_path(cell)), default=0))


def paths(cells: Sequence[CellLayout], genes: np.ndarray) -> np.ndarray:
    """Return the path encoding of architectures, `(n, columns)` zeros and ones, float32.

    There is a block for each input of each cell. In it the sequence of operations `o_0, o_1, ...` in a cell with K of
    them has the column `sum(K**k * (o_k + 1))`, so that shorter paths come first, and the path without operations is
    column 0; an encoding that is cut off has the first columns. Where there are more than 20,000 sequences, those with
    the fewest operations have columns. A cell whose graph is a single path has its operations one-hot, by position.

    Args:
        cells: The cells of the space (`cells_of`).
        genes: Codes of the decision space, `(n, n_genes)` ints.

    Raises:
        UnsupportedBySpaceError: If a cell can have more than 20,000 paths.
    """
    parts = [np.zeros((len(genes), 0), dtype=np.float32)]
    for cell in cells:
        states = cell.states(genes)
        if len(_every_path(cell)) == 1:
            parts.append(_positions(cell, states))
            continue
        longest = longest_sequence(cell)
        width = sum(len(cell.ops) ** k for k in range(longest + 1))
        rows = np.zeros((len(genes), len(cell.inputs), width), dtype=np.float32)
        for path in _every_path(cell):
            if len(_slots(cell, path)) > longest:
                continue
            is_there = np.ones(len(genes), dtype=bool)
            column = np.zeros(len(genes), dtype=np.int64)
            power = np.ones(len(genes), dtype=np.int64)
            for index in path:
                is_there &= states[:, index] != ABSENT
                is_op = states[:, index] > WIRE
                column += np.where(is_op, power * states[:, index], 0)
                power = np.where(is_op, power * len(cell.ops), power)
            block = cell.inputs.index(cell.edges[path[0]].source)
            rows[np.flatnonzero(is_there), block, column[is_there]] = 1
        parts.append(rows.reshape(len(genes), -1))
    return np.concatenate(parts, axis=1)


def _positions(cell: CellLayout, states: np.ndarray) -> np.ndarray:
    slots = list(cell.slots)
    columns = [sorted({state for state in cell.edges[index].states if state > WIRE}) for index in slots]
    found = [states[:, index, None] == np.array(own) for index, own in zip(slots, columns, strict=True)]
    return np.concatenate(found, axis=1).astype(np.float32)


def _slots(cell: CellLayout, path: Sequence[int]) -> list[int]:
    return [index for index in path if cell.edges[index].is_op]


@lru_cache(maxsize=64)
def _every_path(cell: CellLayout) -> tuple[tuple[int, ...], ...]:
    """Return all paths from an input to the output that architectures can have, as edges."""
    ending: list[list[tuple[int, ...]]] = [[] for _ in range(cell.n_nodes)]
    for node in cell.inputs:
        ending[node].append(())
    total = 0
    for index, edge in enumerate(cell.edges):
        ending[edge.target] += [(*path, index) for path in ending[edge.source]]
        total += len(ending[edge.source])
        if total > 10 * _MOST_PATHS or len(ending[cell.output]) > _MOST_PATHS:
            raise UnsupportedBySpaceError(
                f"{cell.name or 'the space'} can have more than {_MOST_PATHS:,} paths from its inputs to its output: "
                "use adjacency_one_hot or graf"
            )
    return tuple(ending[cell.output])
