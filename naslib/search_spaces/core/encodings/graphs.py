"""Graphs for neural predictors: operations as vertices, who reads whom as edges, for batches of codes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .layout import ABSENT, WIRE, CellLayout


def gcn(cells: Sequence[CellLayout], genes: np.ndarray) -> dict[str, np.ndarray]:
    """Return the graphs of a batch: its cells side by side.

    The vertices of a cell are its inputs, its operations and its output; one reads another where no operation is
    between them. Operations that an architecture does not have are vertices without edges that the mask leaves out.

    Args:
        cells: The cells of the space (`cells_of`).
        genes: Codes of the decision space, `(n, n_genes)` ints.

    Returns:
        `num_vertices` `(n,)`, `adjacency` `(n, v, v)`, `operations` `(n, v, c)` one-hot (input, the operations of all
        cells, output), `mask` `(n, v)` and `val_acc` `(n,)` zeros.
    """
    matrix, categories, mask, kinds = _merged(cells, genes, over_all=False)
    return {
        "num_vertices": mask.sum(1).astype(np.int64),
        "adjacency": matrix,
        "operations": np.eye(kinds, dtype=np.float32)[categories] * mask[..., None],
        "mask": mask,
        "val_acc": np.zeros(len(genes), dtype=np.float32),
    }


def bonas(cells: Sequence[CellLayout], genes: np.ndarray) -> dict[str, np.ndarray]:
    """Return the graphs of a batch for BONAS: as `gcn`, transposed, with self-loops and one more vertex over all."""
    matrix, categories, mask, kinds = _merged(cells, genes, over_all=True)
    return {
        "adjacency": _transposed_with_loops(matrix),
        "operations": np.eye(kinds + 1, dtype=np.float32)[categories] * mask[..., None],
        "val_acc": np.zeros(len(genes), dtype=np.float32),
    }


def seminas(cells: Sequence[CellLayout], genes: np.ndarray) -> dict[str, np.ndarray]:
    """Return the graphs of a batch as sequences: as `gcn`, operations as numbers, 0 for those that are not there."""
    matrix, categories, mask, _ = _merged(cells, genes, over_all=False)
    return {
        "num_vertices": mask.sum(1).astype(np.int64),
        "adjacency": matrix,
        "operations": np.where(mask > 0, categories, 0),
        "mask": mask,
        "val_acc": np.zeros(len(genes), dtype=np.float32),
    }


def _merged(
    cells: Sequence[CellLayout], genes: np.ndarray, over_all: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Return adjacency `(n, v, v)`, categories `(n, v)`, mask `(n, v)`, and the number of categories without the last.

    With `over_all` there is one more vertex, of one more category, that all others lead to.
    """
    names = list(dict.fromkeys(op for cell in cells for op in cell.ops))
    kinds = len(names) + 2
    parts = [_line_graph(cell, genes, names) for cell in cells]
    size = sum(part[0].shape[1] for part in parts) + over_all
    matrix = np.zeros((len(genes), size, size), dtype=np.float32)
    categories = np.full((len(genes), size), kinds, dtype=np.int64)
    mask = np.ones((len(genes), size), dtype=np.float32)
    start = 0
    for own, kind, there in parts:
        stop = start + own.shape[1]
        matrix[:, start:stop, start:stop], categories[:, start:stop], mask[:, start:stop] = own, kind, there
        start = stop
    if over_all:
        matrix[:, :-1, -1] = mask[:, :-1]
    return matrix, categories, mask, kinds


def _line_graph(cell: CellLayout, genes: np.ndarray, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return adjacency `(n, v, v)`, categories `(n, v)` and mask `(n, v)` of inputs, operations and output."""
    states, slots, n = cell.states(genes), cell.slots, len(genes)
    passed = np.zeros((n, cell.n_nodes, cell.n_nodes), dtype=bool)  # from a node to another without an operation
    passed[:, range(cell.n_nodes), range(cell.n_nodes)] = True
    for index, edge in enumerate(cell.edges):
        is_wire = states[:, index] == WIRE
        passed[:, :, edge.target] |= is_wire[:, None] & passed[:, :, edge.source]
    leaves = [*cell.inputs, *(cell.edges[slot].target for slot in slots)]  # where what a vertex gives out is
    reads = [*(cell.edges[slot].source for slot in slots), cell.output]
    there = states[:, list(slots)] > WIRE
    size = len(leaves) + 1
    matrix = np.zeros((n, size, size), dtype=np.float32)
    matrix[:, :-1, len(cell.inputs) :] = passed[:, leaves][:, :, reads]
    mask = np.ones((n, size), dtype=np.float32)
    mask[:, len(cell.inputs) : -1] = there
    matrix *= mask[:, :, None] * mask[:, None, :]
    numbers = np.array([0, 0, *(names.index(op) + 1 for op in cell.ops)])  # by state + 1
    categories = np.zeros((n, size), dtype=np.int64)
    categories[:, len(cell.inputs) : -1] = numbers[np.maximum(states[:, list(slots)], ABSENT) + 1]
    categories[:, -1] = len(names) + 1
    return matrix, categories, mask


def _transposed_with_loops(matrix: np.ndarray) -> np.ndarray:
    matrix = np.ascontiguousarray(matrix.transpose(0, 2, 1))
    matrix[:, range(matrix.shape[1]), range(matrix.shape[1])] = 1
    return matrix
