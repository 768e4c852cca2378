"""GRAF: what a graph of operations has, as interpretable numbers ([Kadlecova2024graf])."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import numpy as np

from .layout import ABSENT, WIRE, CellLayout

# Up to so many operations every subset has its features; with more, single ones, pairs and all
_EVERY_SUBSET = 7
_FEW_CELLS = 3
_PAIRS = 16
# Numbers in the arrays of one round
_ROUND = 2_000_000
_FAR = 10_000


def subsets_of(cell: CellLayout, n_cells: int = 1) -> tuple[tuple[int, ...], ...]:
    """Return the sets of operations that features are computed for.

    These are all sets of the operations that pass something on, while there are at most seven of them in at most three
    cells; else, of up to 16 operations, the single ones, the pairs and all; of more the single ones and all. An
    operation that passes nothing on is a set of its own.

    Args:
        cell: The cell.
        n_cells: How many cells the space has.
    """
    passing = [op for op in range(len(cell.ops)) if op not in cell.zeros]
    sizes: Iterable[int] = range(1, len(passing) + 1)
    if cell.values:
        sizes = (1,)
    elif len(passing) > _EVERY_SUBSET or n_cells > _FEW_CELLS:
        sizes = sorted({1, 2, len(passing)} if len(passing) <= _PAIRS else {1, len(passing)})
    found = [subset for size in sizes for subset in itertools.combinations(passing, size)]
    return (*found, *((op,) for op in cell.zeros))


def graf_names(cells: Sequence[CellLayout]) -> list[str]:
    """Return the names of the columns of `graf`: `cell: shortest path of conv_3x3, skip_connect` and the like."""
    names = []
    for cell in cells:
        where = f"{cell.name or 'chain'}: "
        kinds, subsets = ["count"] if cell.values else _kinds(cell), subsets_of(cell, len(cells))
        for kind in kinds:
            names += [f"{where}{kind} of {', '.join(cell.ops[op] for op in subset)}" for subset in subsets]
        names += [f"{where}value {number}" for number in range(len(cell.values))]
    return names


def _kinds(cell: CellLayout) -> list[str]:
    return [
        *("count", "live count", "shortest path", "longest path", "number of paths"),
        *("most on a path", "fewest on a path", "in-degree of the output"),
        *(f"out-degree of input {number}" for number in range(len(cell.inputs))),
        *("mean in-degree inside", "mean out-degree inside"),
    ]


def graf(cells: Sequence[CellLayout], genes: np.ndarray) -> np.ndarray:
    """Return the features of architectures, `(n, features)` float32.

    Per cell and subset of operations ([Kadlecova2024graf], section 3): how many edges have one of them; the shortest
    and the longest path from an input to the output on which all operations are of the subset (one more than the
    number of operations, and 0, where there is none); the degrees of the inputs and the output, and the mean degrees
    of the nodes between, counting edges with these operations; how many of them are on one path at most and at least.
    Ours are: how many of the edges are on a path that carries anything, and the number of paths. What is decided on no
    cell gives counts, and the value itself.

    Args:
        cells: The cells of the space (`cells_of`).
        genes: Codes of the decision space, `(n, n_genes)` ints.
    """
    parts = [np.zeros((len(genes), 0), dtype=np.float32)]
    for cell in cells:
        subsets = subsets_of(cell, len(cells))
        rounds = max(1, len(genes) * len(subsets) * len(cell.edges) // _ROUND)
        parts.append(np.concatenate([_of_cell(cell, subsets, part) for part in np.array_split(genes, rounds)]))
    return np.concatenate(parts, axis=1)


def _of_cell(cell: CellLayout, subsets: Sequence[tuple[int, ...]], genes: np.ndarray) -> np.ndarray:
    states = cell.states(genes)
    member = np.zeros((len(cell.ops) + 2, len(subsets)), dtype=bool)  # by state + 1
    for column, subset in enumerate(subsets):
        member[[op + 2 for op in subset], column] = True
    has = member[states + 1]  # (n, edges, subsets): the edge has one of the operations
    if cell.values:
        raw = [np.array(table, dtype=np.float32)[genes[:, gene]] for gene, table in cell.values]
        return np.concatenate([has.sum(1).astype(np.float32), np.stack(raw, axis=1)], axis=1)
    zeros = np.zeros(len(cell.ops) + 2, dtype=bool)
    zeros[[op + 2 for op in cell.zeros]] = True
    passes = (states != ABSENT) & ~zeros[states + 1]
    wires = states == WIRE
    live = passes & _reached(cell, passes) & _needed(cell, passes)
    only = passes[..., None] & (has | wires[..., None])  # usable by a path of the subset
    shortest, longest, number = _paths(cell, only, ~wires[..., None] & only)
    fewest, most, _ = _paths(cell, np.broadcast_to(passes[..., None], has.shape), has & passes[..., None])
    degree_in, degree_out = _degrees(cell, has, wires)
    inner = [node for node in range(cell.n_nodes) if node not in (*cell.inputs, cell.output)]
    n_inner = max(1, len(inner) - sum(edge.is_vertex for edge in cell.edges))
    kinds = [
        *(has.sum(1), (has & live[..., None]).sum(1), shortest, longest, number, most, fewest),
        degree_in[cell.output],
        *(degree_out[node] for node in cell.inputs),
        sum((degree_in[node] for node in inner), np.zeros_like(shortest)) / n_inner,
        sum((degree_out[node] for node in inner), np.zeros_like(shortest)) / n_inner,
    ]
    return np.concatenate([kind.astype(np.float32) for kind in kinds], axis=1)


def _reached(cell: CellLayout, passes: np.ndarray) -> np.ndarray:
    """Say which edges leave a node that a path from an input leads to, `(n, edges)`."""
    at = np.zeros((len(passes), cell.n_nodes), dtype=bool)
    at[:, list(cell.inputs)] = True
    for index, edge in enumerate(cell.edges):
        at[:, edge.target] |= passes[:, index] & at[:, edge.source]
    return at[:, [edge.source for edge in cell.edges]]


def _needed(cell: CellLayout, passes: np.ndarray) -> np.ndarray:
    """Say which edges enter a node that a path leads from to the output, `(n, edges)`."""
    at = np.zeros((len(passes), cell.n_nodes), dtype=bool)
    at[:, cell.output] = True
    for index in sorted(range(len(cell.edges)), key=lambda i: -cell.edges[i].source):
        edge = cell.edges[index]
        at[:, edge.source] |= passes[:, index] & at[:, edge.target]
    return at[:, [edge.target for edge in cell.edges]]


def _paths(cell: CellLayout, usable: np.ndarray, counted: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return least and most counted edges on a path over usable ones, and the number of paths, `(n, subsets)` each.

    Where there is no path the least is one more than the number of edges with operations, and the most 0.
    """
    shape = (len(usable), usable.shape[2])
    least = [np.full(shape, _FAR, dtype=np.int32) for _ in range(cell.n_nodes)]
    most = [np.full(shape, -_FAR, dtype=np.int32) for _ in range(cell.n_nodes)]
    number = [np.zeros(shape, dtype=np.float32) for _ in range(cell.n_nodes)]
    for node in cell.inputs:
        least[node][:], most[node][:], number[node][:] = 0, 0, 1
    for index, edge in enumerate(cell.edges):
        open_, length = usable[:, index], counted[:, index].astype(np.int32)
        np.minimum(least[edge.target], np.where(open_, least[edge.source] + length, _FAR), out=least[edge.target])
        np.maximum(most[edge.target], np.where(open_, most[edge.source] + length, -_FAR), out=most[edge.target])
        number[edge.target] += np.where(open_, number[edge.source], 0)
    out = cell.output
    n_slots = len(cell.slots)
    return np.minimum(least[out], n_slots + 1), np.maximum(most[out], 0), number[out]


def _degrees(cell: CellLayout, has: np.ndarray, wires: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return by node how many operations of each subset enter it and leave it, `(n, subsets)`.

    An operation counts that is on an edge of the node, or that one edge without an operation lies between: the vertex
    that follows, where operations are at vertices.
    """
    shape = (len(has), has.shape[2])
    direct_in = [np.zeros(shape, dtype=np.float32) for _ in range(cell.n_nodes)]
    direct_out = [np.zeros(shape, dtype=np.float32) for _ in range(cell.n_nodes)]
    through_in = [np.zeros(shape, dtype=np.float32) for _ in range(cell.n_nodes)]
    through_out = [np.zeros(shape, dtype=np.float32) for _ in range(cell.n_nodes)]
    for index, edge in enumerate(cell.edges):
        if edge.is_op:
            direct_in[edge.target] += has[:, index]
            direct_out[edge.source] += has[:, index]
            if not edge.is_vertex:
                through_in[edge.target] += has[:, index]
                through_out[edge.source] += has[:, index]
    for index, edge in enumerate(cell.edges):
        if not edge.is_op:
            wire = wires[:, index, None]
            through_in[edge.target] += np.where(wire, direct_in[edge.source], 0)
            through_out[edge.source] += np.where(wire, direct_out[edge.target], 0)
    return through_in, through_out
