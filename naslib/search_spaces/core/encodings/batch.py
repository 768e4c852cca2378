"""Encode codes of a decision space, any number at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from naslib.utils.encodings import EncodingType

from ..decisions import Code
from ..schema import DecisionSpace
from .fixed_edges import FixedEdges
from .graf import graf
from .graphs import bonas, gcn, seminas
from .layout import CellLayout, cells_of
from .paths import paths
from .table import looked_up

# Encodings that read the cells of a space, and not its genes alone
_OF_CELLS: dict[str, Callable[[Sequence[CellLayout], np.ndarray], Any]] = {
    EncodingType.PATH.value: paths,
    EncodingType.GCN.value: gcn,
    EncodingType.BONAS.value: bonas,
    EncodingType.SEMINAS.value: seminas,
    EncodingType.GRAF.value: graf,
}


def encode_decided(
    space: DecisionSpace,
    codes: Sequence[Code] | np.ndarray,
    encoding_type: EncodingType,
    fixed: FixedEdges | None = None,
) -> Any:
    """Return the encoding of n canonical codes of a decision space.

    Args:
        space: The decisions.
        codes: n codes, or `(n, n_genes)` ints.
        encoding_type: Which encoding.
        fixed: By cell the edges without a decision (`fixed_edges_of`).

    Returns:
        `(n, width)` float32; for GCN, BONAS and SEMINAS a dictionary of arrays whose first axis is n; for COMPACT
        `(n, n_genes)` ints.

    Raises:
        ArchitectureError: If a code has another length, or a gene that is no candidate.
        UnsupportedBySpaceError: If the space has too many paths for a path encoding.
    """
    genes = space.as_genes(codes)
    if encoding_type is EncodingType.COMPACT:
        return genes
    if encoding_type is EncodingType.ADJACENCY_MIX:
        return genes.astype(np.float32)
    if encoding_type is EncodingType.ADJACENCY_ONE_HOT:
        return space.vectors(genes)
    encode = partial(_OF_CELLS[encoding_type.value], cells_of(space, fixed))
    if encoding_type in (EncodingType.PATH, EncodingType.GRAF):
        return looked_up(space, genes, encoding_type.value, repr(sorted((fixed or {}).items())), encode)
    return encode(genes)


def reads_cells(encoding_type: EncodingType) -> bool:
    """Say whether an encoding depends on the graphs of cells."""
    return encoding_type.value in _OF_CELLS


def first_of(encoded: Any) -> Any:
    """Return the encoding of the first architecture of a batch, in the form that one alone has."""
    if isinstance(encoded, dict):
        return {name: _plain(values[0]) for name, values in encoded.items()}
    return encoded[0]


def _plain(value: Any) -> Any:
    return value if isinstance(value, np.ndarray) else value.item()
