"""Conversions of NAS-Bench-201 architectures: graph, op indices (the code) and the benchmark's string.

The code lists the edges source by source, (1,2)(1,3)(1,4)(2,3)(2,4)(3,4); the string groups them by target node.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from naslib.errors import ArchitectureError, did_you_mean
from naslib.search_spaces.core.graph import EdgeData, Graph
from naslib.search_spaces.core.literals import Call, plain, read_literal, shortened

OP_NAMES = ("Identity", "Zero", "ReLUConvBN3x3", "ReLUConvBN1x1", "AvgPool1x1")
OP_NAMES_NB201 = ("skip_connect", "none", "nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3")
EDGE_LIST = ((1, 2), (1, 3), (1, 4), (2, 3), (2, 4), (3, 4))
OPS_TO_NB201 = dict(zip(OP_NAMES, OP_NAMES_NB201, strict=True))

_EDGES_BY_TARGET = tuple(sorted(EDGE_LIST, key=lambda edge: (edge[1], edge[0])))
_STRING_FORM = "|op~0|+|op~0|op~1|+|op~0|op~1|op~2|"
# "1<-0" or "0_1", with nodes from 0
_EDGE_KEY = re.compile(r"(?:\w+/)?(?:(?P<t>\d)\s*<-\s*(?P<s>\d)|(?P<s2>\d)_(?P<t2>\d))")
# names in other libraries, and of the graph's own operations
_OTHER_NAMES = {"conv_3x3": "nor_conv_3x3", "conv_1x1": "nor_conv_1x1", **OPS_TO_NB201}
_STRING = re.compile(r"\|([^|~+]+)~0\|\+\|([^|~+]+)~0\|([^|~+]+)~1\|\+\|([^|~+]+)~0\|([^|~+]+)~1\|([^|~+]+)~2\|")


def check_op_indices(op_indices: Sequence[int]) -> tuple[int, ...]:
    """Return the code as a tuple of six ints in 0..4.

    Raises:
        ArchitectureError: If it is none.
    """
    try:
        code = tuple(int(value) for value in op_indices)
    except (TypeError, ValueError, OverflowError) as error:
        raise ArchitectureError(f"a NAS-Bench-201 architecture is six ints, not {shortened(op_indices)}") from error
    if len(code) != len(EDGE_LIST) or min(code) < 0 or max(code) >= len(OP_NAMES) or list(code) != list(op_indices):
        raise ArchitectureError(f"a NAS-Bench-201 architecture is six ints in 0..4, not {shortened(op_indices)}")
    return code


def convert_str_to_op_indices(str_encoding: str) -> tuple[int, ...]:
    """Return the op indices that a string of the benchmark names.

    Raises:
        ArchitectureError: If the string has another form or names an unknown operation.
    """
    match = _STRING.fullmatch(str_encoding.strip())
    if match is None:
        raise ArchitectureError(f"{shortened(str_encoding)} is no NAS-Bench-201 string; expected {_STRING_FORM}")
    return _code_of(dict(zip(_EDGES_BY_TARGET, match.groups(), strict=True)))


def read_spec(spec: Any) -> tuple[int, ...]:
    """Return the code of an architecture in any of the forms in which people write it.

    Read are the benchmark's string, also inside `Structure(4 nodes with ...)`; six op indices; the nodes of the
    benchmark's own code, `((op, source), ...)` each; a mapping of edges, `(1, 2)`, `"1<-0"` or `"0_1"`, to operations;
    all of them as text. The benchmark's index is looked up by `set_spec(index, dataset_api=...)`.

    Raises:
        ArchitectureError: If it is none of them.
    """
    if isinstance(spec, str):
        found = _STRING.search(spec)
        if found is not None and "|" not in spec[: found.start()] + spec[found.end() :]:
            return _code_of(dict(zip(_EDGES_BY_TARGET, found.groups(), strict=True)))
        spec = _value_of(spec)
    if isinstance(spec, Call) and len(spec.arguments) == 1:
        spec = spec.arguments[0]
    if hasattr(spec, "tostr"):  # the Structure of the benchmark's own code
        return convert_str_to_op_indices(spec.tostr())
    spec = plain(spec)
    if isinstance(spec, Mapping):
        return read_spec(spec["genotype"]) if "genotype" in spec else _code_of(_edges_of_mapping(spec))
    if isinstance(spec, list) and len(spec) in (3, 4) and all(_is_node(node) for node in spec):
        return _code_of(_edges_of_nodes(spec))
    return check_op_indices(spec)


def _code_of(names: Mapping[tuple[int, int], Any]) -> tuple[int, ...]:
    """Return the code of the operations on the six edges, by their names in the benchmark or in the graph."""
    if set(names) != set(EDGE_LIST):
        raise ArchitectureError(
            f"a NAS-Bench-201 architecture has one operation on each of the edges {list(EDGE_LIST)} (nodes from 1), "
            f"not on {sorted(names, key=str)}"
        )
    code = []
    for edge in EDGE_LIST:
        name = _OTHER_NAMES.get(str(names[edge]), str(names[edge]))
        if name not in OP_NAMES_NB201:
            raise ArchitectureError(f"unknown NAS-Bench-201 operation {name!r}{did_you_mean(name, OP_NAMES_NB201)}")
        code.append(OP_NAMES_NB201.index(name))
    return tuple(code)


def _value_of(text: str) -> Any:
    try:
        return read_literal(text)
    except ValueError as error:
        raise ArchitectureError(f"{shortened(text)} is no NAS-Bench-201 string; expected {_STRING_FORM}") from error


def _is_node(node: Any) -> bool:
    return isinstance(node, list) and all(_is_edge(edge) for edge in node)


def _is_edge(edge: Any) -> bool:
    return isinstance(edge, list) and len(edge) >= 2 and isinstance(edge[0], str) and isinstance(edge[1], int)


def _edges_of_nodes(nodes: Sequence[Any]) -> dict[tuple[int, int], str]:
    inner = nodes if len(nodes[0]) else nodes[1:]  # the input of the cell may be listed, without inputs of its own
    return {(source + 1, target): op for target, node in enumerate(inner, start=2) for op, source, *_ in node}


def _edges_of_mapping(spec: Mapping[Any, Any]) -> dict[tuple[Any, ...], Any]:
    found: dict[tuple[Any, ...], Any] = {}
    for key, op in spec.items():
        match = _EDGE_KEY.fullmatch(str(key).strip())
        if match is not None:
            source, target = (match["s"], match["t"]) if match["s"] else (match["s2"], match["t2"])
            found[int(source) + 1, int(target) + 1] = op
        else:
            found[tuple(key) if isinstance(key, Sequence) and not isinstance(key, str) else (key,)] = op
    return found


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
