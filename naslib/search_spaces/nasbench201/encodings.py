"""Encodings of NAS-Bench-201 codes for predictors.

Paths and matrices follow the source-major order of the code. (In NASLib the path encoding reads node-major positions
out of a source-major list, so that two of its four paths are none; ours are the cell's paths.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from naslib.errors import UnsupportedBySpaceError
from naslib.utils.encodings import EncodingType

from .conversions import EDGE_LIST, OP_NAMES, check_op_indices

NUM_OPS = len(OP_NAMES)
# positions in the code of the edges of each path from node 1 to node 4, shortest first
PATHS = ((2,), (0, 4), (1, 5), (0, 3, 5))


def encode_adjacency_one_hot(op_indices: Sequence[int]) -> np.ndarray:
    """Return the `(30,)` one-hot encoding, five entries an edge."""
    return np.eye(NUM_OPS, dtype=np.float32)[list(op_indices)].ravel()


def encode_adjacency_mix(op_indices: Sequence[int]) -> np.ndarray:
    """Return the `(6,)` categorical encoding: the op index of each edge."""
    return np.array(op_indices, dtype=np.float32)


def get_path_indices(op_indices: Sequence[int]) -> tuple[int, ...]:
    """Return the feature index of each of the four paths.

    Paths of one op take the features 0..4, of two ops the next 25, of three ops the next 125; within a length the
    first op of the path is the least significant digit.
    """
    indices = []
    for path in PATHS:
        offset = sum(NUM_OPS**length for length in range(1, len(path)))
        indices.append(offset + sum(op_indices[edge] * NUM_OPS**k for k, edge in enumerate(path)))
    return tuple(indices)


def encode_paths(op_indices: Sequence[int]) -> np.ndarray:
    """Return the `(155,)` path encoding: which sequences of operations lead from input to output."""
    encoding = np.zeros(sum(NUM_OPS**length for length in (1, 2, 3)), dtype=np.float32)
    encoding[list(get_path_indices(op_indices))] = 1
    return encoding


def line_graph_adjacency() -> np.ndarray:
    """Return the `(8, 8)` adjacency of the cell with operations as vertices: input, six operations, output."""
    matrix = np.zeros((len(EDGE_LIST) + 2,) * 2, dtype=np.float32)
    for i, (source, target) in enumerate(EDGE_LIST):
        matrix[0, i + 1] = source == 1
        matrix[i + 1, -1] = target == 4
        for j, (other, _) in enumerate(EDGE_LIST):
            matrix[i + 1, j + 1] = other == target
    return matrix


def _vertex_categories(op_indices: Sequence[int]) -> list[int]:
    return [0, *(op + 1 for op in op_indices), NUM_OPS + 1]


def encode_gcn(op_indices: Sequence[int]) -> dict[str, Any]:
    """Return the graph for a GCN: adjacency `(8, 8)`, one-hot operations `(8, 7)` (input, five ops, output), mask."""
    return {
        "num_vertices": 8,
        "adjacency": line_graph_adjacency(),
        "operations": np.eye(NUM_OPS + 2, dtype=np.float32)[_vertex_categories(op_indices)],
        "mask": np.ones(8, dtype=np.float32),
        "val_acc": 0.0,
    }


def encode_bonas(op_indices: Sequence[int]) -> dict[str, Any]:
    """Return the graph for BONAS: as for a GCN, transposed, with self-loops and a global vertex in the last row."""
    matrix = np.ones((9, 9), dtype=np.float32)
    matrix[:8, :8] = line_graph_adjacency()
    matrix[8, :8] = 0
    np.fill_diagonal(matrix, 1)
    operations = np.eye(NUM_OPS + 3, dtype=np.float32)[[*_vertex_categories(op_indices), NUM_OPS + 2]]
    return {"adjacency": np.ascontiguousarray(matrix.T), "operations": operations, "val_acc": 0.0}


def encode_seminas(op_indices: Sequence[int]) -> dict[str, Any]:
    """Return the sequence form for SemiNAS: as for a GCN, operations as category numbers."""
    return {**encode_gcn(op_indices), "operations": _vertex_categories(op_indices)}


def encode_batch(genes: np.ndarray, encoding_type: EncodingType | str) -> Any:
    """Return what `encode` does of n architectures at once: arrays, or a dictionary of arrays, whose first axis is n.

    Args:
        genes: Their op indices, `(n, 6)` in 0..4.
        encoding_type: One of those that `is_own`.
    """
    kind = str(getattr(encoding_type, "value", encoding_type))
    n = len(genes)
    if kind == EncodingType.COMPACT.value:
        return genes
    if kind == EncodingType.ADJACENCY_MIX.value:
        return genes.astype(np.float32)
    if kind == EncodingType.ADJACENCY_ONE_HOT.value:
        rows = np.zeros((n, len(EDGE_LIST) * NUM_OPS), dtype=np.float32)
        rows.reshape(-1)[(genes + NUM_OPS * np.arange(genes.size).reshape(genes.shape)).reshape(-1)] = 1
        return rows
    if kind == EncodingType.PATH.value:
        return _encode_paths_batch(genes)
    first = _ENCODERS_OF_GRAPHS[kind]([0] * len(EDGE_LIST))
    categories = np.zeros((n, len(first["operations"])), dtype=np.int64)
    categories[:, 1:7] = genes + 1
    categories[:, 7:] = NUM_OPS + 1 + np.arange(categories.shape[1] - 7)  # the output, and the global vertex
    one_hot = np.eye(categories[0, -1] + 1, dtype=np.float32)
    found = {name: np.broadcast_to(np.asarray(value), (n, *np.shape(value))).copy() for name, value in first.items()}
    found["operations"] = categories if kind == EncodingType.SEMINAS.value else one_hot[categories]
    return found


def _encode_paths_batch(genes: np.ndarray) -> np.ndarray:
    rows = np.zeros((len(genes), sum(NUM_OPS**length for length in (1, 2, 3))), dtype=np.float32)
    starts = rows.shape[1] * np.arange(len(genes))
    for path in PATHS:
        offset = sum(NUM_OPS**length for length in range(1, len(path)))
        rows.reshape(-1)[starts + offset + sum(genes[:, edge] * NUM_OPS**k for k, edge in enumerate(path))] = 1
    return rows


def is_own(encoding_type: Any) -> bool:
    """Say whether an encoding is written out here; others follow from the decisions of the space."""
    return encoding_type in _ENCODERS or encoding_type in {kind.value for kind in _ENCODERS}


_ENCODERS_OF_GRAPHS: dict[str, Callable[[Sequence[int]], dict[str, Any]]] = {
    EncodingType.GCN.value: encode_gcn,
    EncodingType.BONAS.value: encode_bonas,
    EncodingType.SEMINAS.value: encode_seminas,
}
_ENCODERS: dict[EncodingType, Callable[[Sequence[int]], Any]] = {
    EncodingType.ADJACENCY_ONE_HOT: encode_adjacency_one_hot,
    EncodingType.ADJACENCY_MIX: encode_adjacency_mix,
    EncodingType.PATH: encode_paths,
    EncodingType.GCN: encode_gcn,
    EncodingType.BONAS: encode_bonas,
    EncodingType.SEMINAS: encode_seminas,
    EncodingType.COMPACT: tuple,
}


def encode(op_indices: Sequence[int], encoding_type: EncodingType | str = EncodingType.ADJACENCY_ONE_HOT) -> Any:
    """Return the encoding of an architecture.

    Args:
        op_indices: Six ints in 0..4.
        encoding_type: An `EncodingType` or its value.

    Raises:
        UnsupportedBySpaceError: If the space has no such encoding.
        ArchitectureError: If the op indices are invalid.
    """
    value = getattr(encoding_type, "value", encoding_type)
    encoders = {kind.value: encoder for kind, encoder in _ENCODERS.items()}
    if value not in encoders:
        raise UnsupportedBySpaceError(f"nasbench201 has no encoding {value!r} (it has: {', '.join(encoders)})")
    return encoders[value](check_op_indices(op_indices))
