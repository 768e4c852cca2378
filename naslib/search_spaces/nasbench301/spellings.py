"""The ways in which people write the cells of the DARTS space, and the one way in which the rest reads them.

A cell is a list of edges, two for each intermediate node:

* flat, `(op, predecessor)`, the nodes in order;
* grouped per node, `[[(op, predecessor), (op, predecessor)], ...]`;
* with a weight, `(op, predecessor, 0.17)`, which is passed over;
* with its node, `(op, node, predecessor)`, in any order of the nodes;
* with numbers for operations, their place in `OPS`: `(op, predecessor)` in a genotype, `(predecessor, op)` in a compact
  form;
* per node in keys, `op_2_0` and `input_2_0`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from naslib.search_spaces.core.literals import plain, read_literal, shortened

OPS = (
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
FIRST_NODE = 2
INPUTS_PER_NODE = 2

_OTHER_NAMES = {
    "maxpool": "max_pool_3x3",
    "avgpool": "avg_pool_3x3",
    "averagepool3x3": "avg_pool_3x3",
    "skip": "skip_connect",
    "skipconnection": "skip_connect",
    "identity": "skip_connect",
    "factorizedreduce": "skip_connect",
    "sep3x3": "sep_conv_3x3",
    "sep5x5": "sep_conv_5x5",
    "dil3x3": "dil_conv_3x3",
    "dil5x5": "dil_conv_5x5",
    "dilsepconv3x3": "dil_conv_3x3",
    "dilsepconv5x5": "dil_conv_5x5",
}
_BY_LETTERS = {**_OTHER_NAMES, **{op.replace("_", ""): op for op in OPS}}

CELL_KEYS = {
    "normal": ("normal", "normal_cell"),
    "reduce": ("reduce", "reduction", "reduction_cell", "reduce_cell"),
}
_PER_NODE_KEY = re.compile(r"(?:(normal|reduce|reduction)\W)?(op|input)_(\d+)_(\d+)")


class Edge(NamedTuple):
    """One edge as it was written.

    Attributes:
        node: The node it enters, None where its place in the list says so.
        op: The operation, as it was written.
        source: The node it comes from.
    """

    node: int | None
    op: Any
    source: int


def op_called(name: Any, operations: Sequence[str] = OPS) -> str | None:
    """Return the one of some operations that a name or a number means, None if it means none."""
    if isinstance(name, int) and not isinstance(name, bool):
        return operations[name] if 0 <= name < len(operations) else None
    letters = _letters(str(name))
    found = _BY_LETTERS.get(letters)
    if found is None:
        found = next((operation for operation in operations if _letters(operation) == letters), None)
    return found if found in operations else None


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def fields_of(spec: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the entries `normal`, `normal_concat`, `reduce` and `reduce_concat` of a mapping, those that it has."""
    fields: dict[str, Any] = {}
    for cell, names in CELL_KEYS.items():
        for name in names:
            for key, field in ((name, cell), (f"{name}_concat", f"{cell}_concat")):
                if key in spec:
                    fields[field] = spec[key]
    return {**_fields_per_node(spec), **fields}


def _fields_per_node(spec: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the cells of a mapping that has a key for the operation and one for the input of each edge."""
    cells: dict[str, dict[tuple[int, int], dict[str, Any]]] = {}
    for key, value in spec.items():
        match = _PER_NODE_KEY.fullmatch(str(key))
        if match is not None and match[1] is not None:
            place = int(match[3]), int(match[4])
            chosen = plain(value)
            chosen = chosen[0] if isinstance(chosen, list) and len(chosen) == 1 else chosen
            cell = cells.setdefault("normal" if match[1] == "normal" else "reduce", {})
            cell.setdefault(place, {})[match[2]] = chosen
    return {
        name: [[edge.get("op"), node, edge.get("input")] for (node, _), edge in sorted(cell.items())]
        for name, cell in cells.items()
    }


def read_concat(concat: Any, nodes: int) -> tuple[list[int] | None, str]:
    """Return the nodes that make a cell's output, ascending, or what is wrong; all intermediate nodes for None."""
    every = list(range(FIRST_NODE, FIRST_NODE + nodes))
    if concat is None:
        return every, ""
    given = _as_list(concat)
    if given is None or not given or any(type(node) is not int for node in given):
        return None, f"must be {every} or some of them, not {shortened(concat)}"
    if len(set(given)) != len(given) or not set(given) <= set(every):
        return None, f"must be {every} or some of them, each once, not {shortened(concat)}"
    return sorted(given), ""


def read_edges(cell: Any, source_first: bool = False) -> tuple[list[tuple[Any, int]], str]:
    """Return the `(op, predecessor)` of a cell, two for each node in order, or what is wrong.

    Args:
        cell: The cell, in any of the spellings; operations are not looked at.
        source_first: Whether of two numbers the predecessor comes first.
    """
    edges = _as_list(cell)
    if not edges:
        return [], f" must be a list of (operation, predecessor), two per node, not {shortened(cell)}"
    grouped = all(_is_group(item) for item in edges)
    placed: list[Edge] = []
    for position, item in enumerate(edges):
        for edge in item if grouped else [item]:
            found = _read_edge(edge, source_first)
            if found is None or (grouped and found.node is not None):
                return [], f"[{position}] must be (operation, predecessor), not {shortened(edge)}"
            placed.append(found._replace(node=FIRST_NODE + position) if grouped else found)
    with_node = [position for position, edge in enumerate(placed) if edge.node is not None]
    if 0 < len(with_node) < len(placed):
        odd = with_node[0]
        return [], f"[{odd}] must be (operation, predecessor) like others, not {shortened(edges[odd])}"
    if not with_node:
        if len(placed) % INPUTS_PER_NODE:
            return [], f" must be a list of (operation, predecessor), two per node, not {len(placed)} of them"
        placed = [edge._replace(node=FIRST_NODE + i // INPUTS_PER_NODE) for i, edge in enumerate(placed)]
    return _two_per_node(placed)


def _two_per_node(placed: Sequence[Edge]) -> tuple[list[tuple[Any, int]], str]:
    by_node: dict[int, list[tuple[Any, int]]] = {}
    for edge in placed:
        if edge.node is not None:
            by_node.setdefault(edge.node, []).append((edge.op, edge.source))
    if min(by_node) < FIRST_NODE:
        return [], f" has an edge into node {min(by_node)}; nodes 0 and 1 are the inputs of the cell"
    for node in range(FIRST_NODE, max(by_node) + 1):
        count = len(by_node.get(node, ()))
        if count != INPUTS_PER_NODE:
            return [], f" has {count} edge(s) into node {node}; every node of the space has two"
    return [edge for node in sorted(by_node) for edge in by_node[node]], ""


def _read_edge(edge: Any, source_first: bool) -> Edge | None:
    """Return an edge, None if it is none."""
    if not isinstance(edge, list) or len(edge) not in (2, 3):
        return None
    values = [int(v) if isinstance(v, str) and v.strip().isdecimal() else v for v in edge]
    if any(isinstance(v, bool) or not isinstance(v, str | int | float) for v in values):
        return None
    names = [v for v in values if isinstance(v, str)]
    whole = [v for v in values if isinstance(v, int)]
    weights = [v for v in values if isinstance(v, float)]
    if len(names) > 1 or len(weights) > 1 or (weights and len(edge) != 3):
        return None
    if names and len(whole) == 1:
        return Edge(None, names[0], whole[0])
    if names and len(whole) == 2:
        return Edge(whole[0], names[0], whole[1])
    if not names and len(whole) == 2:
        source, op = whole if source_first else reversed(whole)
        return Edge(None, op, source)
    return None


def _is_group(item: Any) -> bool:
    return isinstance(item, list) and bool(item) and all(isinstance(edge, list) for edge in item)


def _as_list(value: Any) -> list[Any] | None:
    """Return a list, tuple, range, set or array, or the text of one, as nested lists; None for anything else."""
    if isinstance(value, str):
        try:
            value = read_literal(value)
        except ValueError:
            return None
    value = plain(list(value) if isinstance(value, set | frozenset) else value)
    return value if isinstance(value, list) else None
