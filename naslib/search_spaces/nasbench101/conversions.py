"""Conversions of cells between the forms that NASLib has: spec (matrix and names of operations) and tuple."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from naslib.errors import ArchitectureError
from naslib.search_spaces.core.labelled_dag import LabelledDag

from .cells import dag_of
from .spellings import IN_TUPLES, read_spec, write


def convert_spec_to_tuple(spec: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the matrix row by row, then a number for each vertex, as it is: neither pruned nor in a normal order.

    Args:
        spec: `matrix` and `ops`.

    Raises:
        ArchitectureError: If it is no cell.
    """
    written = write(_cell(spec))
    return (*(bit for row in written["matrix"] for bit in row), *(IN_TUPLES.index(name) for name in written["ops"]))


def convert_tuple_to_spec(given: Sequence[int]) -> dict[str, Any]:
    """Return `matrix`, an int array `(n, n)`, and `ops` of NASLib's tuple.

    Raises:
        ArchitectureError: If it is none.
    """
    written = write(_cell(list(given)))
    return {"matrix": np.array(written["matrix"]), "ops": written["ops"]}


def convert_naslib_to_spec(graph: Any) -> dict[str, Any]:
    """Return `matrix`, an int array `(n, n)`, and `ops` of a graph that an architecture was set on.

    Raises:
        ArchitectureError: If none was.
    """
    written = write(dag_of(graph.get_code()))
    return {"matrix": np.array(written["matrix"]), "ops": written["ops"]}


def _cell(spec: Any) -> LabelledDag:
    found = read_spec(spec)
    if not isinstance(found, LabelledDag):
        raise ArchitectureError(f"this is a code of nasbench101, not a cell in NASLib's form: {list(found)}")
    return found
