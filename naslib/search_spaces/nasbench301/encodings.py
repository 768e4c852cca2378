"""Encodings of architectures of the DARTS space for predictors.

The forms are NASLib's with three repairs: the path encoding reads all pairs of a cell (not the first seven), the
one-hot encoding is one-hot (NASLib's, with op numbers, is `ADJACENCY_MIX`), and a vertex's category is the op plus one,
so that an input is not taken for a max pooling.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from naslib.errors import UnsupportedBySpaceError
from naslib.utils.encodings import EncodingType

from .genotype import OPS

# two cells as (predecessor, op) pairs, and the nodes in the output of each where these are not all
Cells = Sequence[Sequence[Any]]
Outputs = Sequence[int] | None
NUM_OPS = len(OPS)


def _with_outputs(compact: Cells) -> list[tuple[Sequence[tuple[int, int]], Outputs]]:
    """Return each cell with the nodes that make its output, None for all."""
    return list(zip(compact[:2], compact[2] if len(compact) > 2 else (None, None), strict=True))


def get_paths(cell: Sequence[tuple[int, int]], outputs: Outputs = None) -> list[tuple[int, tuple[int, ...]]]:
    """Return all paths of a cell, each as (input, ops from the input to a node that is part of the output)."""
    ending_at: list[list[tuple[int, tuple[int, ...]]]] = [[(0, ())], [(1, ())]]
    for first, second in zip(cell[::2], cell[1::2], strict=True):
        paths = [(start, (*ops, op)) for source, op in (first, second) for start, ops in ending_at[source]]
        ending_at.append(paths)
    in_output = range(2, len(ending_at)) if outputs is None else outputs
    return [path for node in in_output for path in ending_at[node]]


def encode_paths(compact: Cells, n_ops: int = NUM_OPS) -> np.ndarray:
    """Return the path encoding: four blocks (cell x input) of all op sequences of up to `nodes` ops.

    A path's place in its block is the sum of `7**k * (op_k + 1)`. With four nodes there are 4 x 2,801 features.
    """
    block = sum(n_ops**k for k in range(len(compact[0]) // 2 + 1))
    encoding = np.zeros(4 * block, dtype=np.float32)
    for i, (cell, outputs) in enumerate(_with_outputs(compact)):
        for start, ops in get_paths(cell, outputs):
            encoding[(2 * i + start) * block + sum(n_ops**k * (op + 1) for k, op in enumerate(ops))] = 1
    return encoding


def cell_adjacency(cell: Sequence[tuple[int, int]], outputs: Outputs = None) -> np.ndarray:
    """Return the adjacency of the cell's nodes: two inputs, the intermediate nodes, the output."""
    nodes = len(cell) // 2
    matrix = np.zeros((nodes + 3, nodes + 3), dtype=np.float32)
    for position, (source, _) in enumerate(cell):
        matrix[source, position // 2 + 2] = 1
    matrix[range(2, nodes + 2) if outputs is None else list(outputs), -1] = 1
    return matrix


def encode_adjacency_one_hot(compact: Cells, n_ops: int = NUM_OPS) -> np.ndarray:
    """Return per cell the flat adjacency and the one-hot ops of its edges."""
    parts = [
        (cell_adjacency(cell, outputs).ravel(), np.eye(n_ops)[[op for _, op in cell]].ravel())
        for cell, outputs in _with_outputs(compact)
    ]
    return np.concatenate([part for pair in parts for part in pair]).astype(np.float32)


def encode_adjacency_mix(compact: Cells, n_ops: int = NUM_OPS) -> np.ndarray:
    """Return per cell the flat adjacency and the op numbers of its edges."""
    parts = [
        (cell_adjacency(cell, outputs).ravel(), [op for _, op in cell]) for cell, outputs in _with_outputs(compact)
    ]
    return np.concatenate([part for pair in parts for part in pair]).astype(np.float32)


def line_graph(
    cell: Sequence[tuple[int, int]], outputs: Outputs = None, n_ops: int = NUM_OPS
) -> tuple[np.ndarray, list[int]]:
    """Return adjacency and categories of a cell with its edges' ops as vertices: two inputs, ops, output."""
    size = len(cell) + 3
    matrix = np.zeros((size, size), dtype=np.float32)
    for position, (source, _) in enumerate(cell):
        inputs = [source] if source < 2 else [2 * source - 2, 2 * source - 1]  # the two ops whose sum is that node
        matrix[inputs, position + 2] = 1
    for node in range(2, len(cell) // 2 + 2) if outputs is None else outputs:
        matrix[2 * node - 2 : 2 * node, -1] = 1
    return matrix, [0, 0, *(op + 1 for _, op in cell), n_ops + 1]


def _merged(compact: Cells, with_global: bool, n_ops: int) -> tuple[np.ndarray, list[int]]:
    """Return the block-diagonal adjacency and the categories of both cells, each with its global vertex if wanted."""
    matrices, categories = [], []
    for cell, outputs in _with_outputs(compact):
        matrix, kinds = line_graph(cell, outputs, n_ops)
        if with_global:
            matrix = np.pad(matrix, (0, 1))
            matrix[:-1, -1] = 1
            kinds = [*kinds, n_ops + 2]
        matrices.append(matrix)
        categories += kinds
    size = len(matrices[0])
    merged = np.zeros((2 * size, 2 * size), dtype=np.float32)
    merged[:size, :size], merged[size:, size:] = matrices
    return merged, categories


def encode_gcn(compact: Cells, n_ops: int = NUM_OPS) -> dict[str, Any]:
    """Return the graph for a GCN: both cells in one adjacency, one-hot operations of nine categories."""
    matrix, categories = _merged(compact, with_global=False, n_ops=n_ops)
    return {
        "num_vertices": len(matrix),
        "adjacency": matrix,
        "operations": np.eye(n_ops + 2, dtype=np.float32)[categories],
        "mask": np.ones(len(matrix), dtype=np.float32),
        "val_acc": 0.0,
    }


def _global_graph(compact: Cells, n_ops: int = NUM_OPS) -> tuple[np.ndarray, list[int]]:
    """Return the transposed graph with self-loops, a global vertex per cell and one over both in the last row."""
    matrix, categories = _merged(compact, with_global=True, n_ops=n_ops)
    matrix = np.pad(matrix, (0, 1))
    matrix[:-1, -1] = 1
    np.fill_diagonal(matrix, 1)
    return np.ascontiguousarray(matrix.T), [*categories, n_ops + 3]


def encode_bonas(compact: Cells, n_ops: int = NUM_OPS) -> dict[str, Any]:
    """Return the graph for BONAS: transposed, with self-loops and global vertices, one-hot operations."""
    matrix, categories = _global_graph(compact, n_ops)
    operations = np.eye(n_ops + 4, dtype=np.float32)[categories]
    return {"adjacency": matrix, "operations": operations, "val_acc": 0.0}


def encode_seminas(compact: Cells, n_ops: int = NUM_OPS) -> dict[str, Any]:
    """Return the sequence form for SemiNAS: the adjacency of BONAS, operations as category numbers."""
    matrix, categories = _global_graph(compact, n_ops)
    return {"adjacency": matrix, "operations": categories, "val_acc": 0.0}


def _compact(compact: Cells, n_ops: int = NUM_OPS) -> Cells:
    return tuple(tuple(part) for part in compact)


_ENCODERS: dict[EncodingType, Callable[[Cells, int], Any]] = {
    EncodingType.ADJACENCY_ONE_HOT: encode_adjacency_one_hot,
    EncodingType.ADJACENCY_MIX: encode_adjacency_mix,
    EncodingType.PATH: encode_paths,
    EncodingType.GCN: encode_gcn,
    EncodingType.BONAS: encode_bonas,
    EncodingType.SEMINAS: encode_seminas,
    EncodingType.COMPACT: _compact,
}


def is_own(encoding_type: Any) -> bool:
    """Say whether an encoding is written out here; others follow from the decisions of the space."""
    return encoding_type in _ENCODERS or encoding_type in {kind.value for kind in _ENCODERS}


def encode(
    compact: Cells, encoding_type: EncodingType | str = EncodingType.ADJACENCY_ONE_HOT, n_ops: int = NUM_OPS
) -> Any:
    """Return the encoding of an architecture.

    Args:
        compact: Two cells as (predecessor, op) pairs, two per node, and the nodes in the output of each if not all.
        encoding_type: An `EncodingType` or its value.
        n_ops: How many operations the space numbers.

    Raises:
        UnsupportedBySpaceError: If the space has no such encoding.
    """
    value = getattr(encoding_type, "value", encoding_type)
    encoders = {kind.value: encoder for kind, encoder in _ENCODERS.items()}
    if value not in encoders:
        raise UnsupportedBySpaceError(f"nasbench301 has no encoding {value!r} (it has: {', '.join(encoders)})")
    return encoders[value](compact, n_ops)
