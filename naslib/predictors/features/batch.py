"""encode_batch: the encoding of many architectures at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from naslib.errors import UnsupportedBySpaceError
from naslib.search_spaces.core.codec import Code, Codec
from naslib.search_spaces.core.encodings import CellLayout, cells_of, fixed_edges_of, graf_names
from naslib.search_spaces.core.graph import Graph
from naslib.utils.encodings import EncodingType


def encode_batch(
    space: Graph | Codec[Any],
    codes: Sequence[Code] | np.ndarray,
    encoding_type: EncodingType | str = EncodingType.ADJACENCY_ONE_HOT,
) -> Any:
    """Return the encodings of n architectures of a space, which follow from its decisions and the edges of its cells.

    Args:
        space: A graph of the space, or its codec.
        codes: n canonical codes, or `(n, length)` ints, which are faster.
        encoding_type: An `EncodingType` or its value.

    Returns:
        `(n, width)`, float32 (COMPACT: the codes, ints); for GCN, BONAS and SEMINAS a dictionary of arrays whose first
        axis is n. What `graph.encode(...)` returns of one architecture is a row of it.

    Raises:
        ArchitectureError: If a code is none of the space.
        UnsupportedBySpaceError: If the space has no such encoding.
    """
    codec, graph = _parts(space)
    return codec.encode_batch(codes, encoding_type, graph)


def feature_names(space: Graph | Codec[Any]) -> list[str]:
    """Return what the columns of the GRAF features of a space are.

    Raises:
        UnsupportedBySpaceError: If the space does not state its decisions.
    """
    return graf_names(_cells(*_parts(space)))


def zero_categories(codec: Codec[Any], graph: Graph | None = None) -> tuple[int, ...]:
    """Return the categories, in the GCN encoding of a space, of operations that pass nothing on.

    Args:
        codec: The codec of the space.
        graph: A graph of it, where the codec does not know the edges of its cells.
    """
    cells = _cells(codec, graph)
    names = list(dict.fromkeys(op for cell in cells for op in cell.ops))
    return tuple(sorted({names.index(cell.ops[op]) + 1 for cell in cells for op in cell.zeros}))


def _cells(codec: Codec[Any], graph: Graph | None) -> tuple[CellLayout, ...]:
    decisions = codec.decision_space
    if decisions is None:
        raise UnsupportedBySpaceError(f"{codec.name} does not state its decisions")
    fixed = codec.fixed_edges()
    if fixed is None and graph is not None:
        fixed = fixed_edges_of(graph, decisions.names)
    return cells_of(decisions, fixed)


def _parts(space: Graph | Codec[Any]) -> tuple[Codec[Any], Graph | None]:
    if isinstance(space, Codec):
        return space, None
    return space._codec(), space
