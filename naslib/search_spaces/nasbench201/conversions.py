"""Conversions of NAS-Bench-201 architectures: graph, op indices (the code) and the benchmark's string.

The code lists the edges source by source, (1,2)(1,3)(1,4)(2,3)(2,4)(3,4); the string groups them by target node.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from naslib.errors import ArchitectureError, did_you_mean
from naslib.search_spaces.core.graph import EdgeData, Graph

OP_NAMES = ("Identity", "Zero", "ReLUConvBN3x3", "ReLUConvBN1x1", "AvgPool1x1")
OP_NAMES_NB201 = ("skip_connect", "none", "nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3")
EDGE_LIST = ((1, 2), (1, 3), (1, 4), (2, 3), (2, 4), (3, 4))
OPS_TO_NB201 = dict(zip(OP_NAMES, OP_NAMES_NB201, strict=True))

_EDGES_BY_TARGET = tuple(sorted(EDGE_LIST, key=lambda edge: (edge[1], edge[0])))
_STRING_FORM = "|op~0|+|op~0|op~1|+|op~0|op~1|op~2|"
_STRING = re.compile(r"\|([^|~+]+)~0\|\+\|([^|~+]+)~0\|([^|~+]+)~1\|\+\|([^|~+]+)~0\|([^|~+]+)~1\|([^|~+]+)~2\|")


def check_op_indices(op_indices: Sequence[int]) -> tuple[int, ...]:
    """Return the code as a tuple of six ints in 0..4.

    Raises:
        ArchitectureError: If it is none.
    """
    try:
        code = tuple(int(value) for value in op_indices)
    except (TypeError, ValueError) as error:
        raise ArchitectureError(f"a NAS-Bench-201 architecture is six ints, not {op_indices!r}") from error
    if len(code) != len(EDGE_LIST) or min(code) < 0 or max(code) >= len(OP_NAMES) or list(code) != list(op_indices):
        raise ArchitectureError(f"a NAS-Bench-201 architecture is six ints in 0..4, not {op_indices!r}")
    return code


def convert_str_to_op_indices(str_encoding: str) -> tuple[int, ...]:
    """Return the op indices that a string of the benchmark names.

    Raises:
        ArchitectureError: If the string has another form or names an unknown operation.
    """
    match = _STRING.fullmatch(str_encoding.strip())
    if match is None:
        raise ArchitectureError(f"{str_encoding!r} is no NAS-Bench-201 string; expected {_STRING_FORM}")
    names = dict(zip(_EDGES_BY_TARGET, match.groups(), strict=True))
    for name in names.values():
        if name not in OP_NAMES_NB201:
            raise ArchitectureError(f"unknown NAS-Bench-201 operation {name!r}{did_you_mean(name, OP_NAMES_NB201)}")
    return tuple(OP_NAMES_NB201.index(names[edge]) for edge in EDGE_LIST)


def convert_op_indices_to_str(op_indices: Sequence[int]) -> str:
    """Return the benchmark's string of an architecture.

    Raises:
        ArchitectureError: If the op indices are not six ints in 0..4.
    """
    ops = dict(zip(EDGE_LIST, check_op_indices(op_indices), strict=True))
    terms = [f"{OP_NAMES_NB201[ops[edge]]}~{edge[0] - 1}" for edge in _EDGES_BY_TARGET]
    return "|{}|+|{}|{}|+|{}|{}|{}|".format(*terms)


def find_cells(graph: Graph) -> list[Graph]:
    """Return all cells of a NAS-Bench-201 graph (or the graph itself, if it is a cell), in the order of its edges.

    Raises:
        ArchitectureError: If there is none.
    """
    edges = set(EDGE_LIST)
    if set(graph.edges) == edges:
        return [graph]
    ops = [graph.edges[edge].op for edge in sorted(graph.edges)]
    cells = [op for op in ops if isinstance(op, Graph) and set(op.edges) == edges]
    if not cells:
        raise ArchitectureError(f"the graph {graph.name!r} has no NAS-Bench-201 cell")
    return cells


def convert_naslib_to_op_indices(naslib_object: Graph) -> list[int]:
    """Return the op indices of a discretized NAS-Bench-201 graph.

    Raises:
        ArchitectureError: If an edge is still under search, or has an op that is none of the five.
    """
    cell = find_cells(naslib_object)[0]
    indices = []
    for edge in EDGE_LIST:
        op = cell.edges[edge].op
        name = "a list of candidates" if isinstance(op, list) else _op_name(op)
        if name not in OP_NAMES:
            raise ArchitectureError(
                f"edge {edge} of the cell carries {name}, not {' or '.join(OP_NAMES)}: the graph is not discretized"
            )
        indices.append(OP_NAMES.index(name))
    return indices


def convert_naslib_to_str(naslib_object: Graph) -> str:
    """Return the benchmark's string of a discretized NAS-Bench-201 graph."""
    return convert_op_indices_to_str(convert_naslib_to_op_indices(naslib_object))


def convert_op_indices_to_naslib(op_indices: Sequence[int], naslib_object: Graph) -> None:
    """Put the operations that the op indices name on the edges of every cell, in place.

    Each edge keeps its candidates under the private key `primitives`, so that another architecture can be set later.

    Args:
        op_indices: Six ints in 0..4.
        naslib_object: An unparsed graph whose edges carry their candidates.

    Raises:
        ArchitectureError: If the op indices are invalid, or an edge has no candidates left to choose from.
    """
    code = check_op_indices(op_indices)
    for cell in find_cells(naslib_object):
        for edge, index in zip(EDGE_LIST, code, strict=True):
            data = cell.edges[edge]
            candidates = _candidates(data, edge)
            data.set("op", _select(candidates, index, edge))
            data.set("primitives", candidates)


def _op_name(op: Any) -> str:
    name = getattr(op, "get_op_name", None)
    return name if isinstance(name, str) else type(op).__name__


def _candidates(data: EdgeData, edge: tuple[int, int]) -> list[Any]:
    if data.has("primitives"):
        return data["primitives"]
    op = data.op if isinstance(data.op, list) else getattr(data.op, "primitives", None)
    if op is None:
        raise ArchitectureError(f"edge {edge} of the cell has no candidates: the graph is an architecture already")
    return list(op)


def _select(candidates: list[Any], index: int, edge: tuple[int, int]) -> Any:
    names = [None if isinstance(op, type) else _op_name(op) for op in candidates]
    if OP_NAMES[index] in names:
        return candidates[names.index(OP_NAMES[index])]
    if len(candidates) == len(OP_NAMES) and isinstance(candidates[index], type):
        return candidates[index]  # op classes, not yet compiled, stand in the order of OP_NAMES
    raise ArchitectureError(f"edge {edge} of the cell has no candidate {OP_NAMES[index]} (it has: {names})")
