"""Cells of NAS-Bench-ASR ([Mehrotra2021asr]) as graphs: a chain of operations, and skips over it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

# The operation whose result is zero
_ZERO = 5

Shape = tuple[tuple[int, ...], tuple[tuple[int, int], ...]]


def smallest_graph(nodes: Sequence[Sequence[int]]) -> Shape:
    """Return what is left of a cell without zeros and without what leads nowhere: operations, and edges between them.

    Equal for cells whose graphs, as the benchmark draws them, are isomorphic, and for them alone. Vertex 0 is the input
    and the last one the output; the operations between them stand in the order, of all that there are, that makes the
    pair the smallest.

    Args:
        nodes: For each node its operation and the bits of its skips.
    """
    last = len(nodes) + 1
    edges: set[tuple[int, int]] = set()
    skips: Sequence[int] = ()
    for vertex, (_, *bits) in enumerate([*nodes, (0,)], 1):  # what enters an operation is the node before it
        edges |= {(vertex - 1, vertex), *((source, vertex) for source, bit in enumerate(skips) if bit)}
        skips = bits
    zeros = {vertex for vertex, (op, *_) in enumerate(nodes, 1) if op == _ZERO}
    edges = {(u, v) for u, v in edges if not {u, v} & zeros}
    ahead, behind = {0}, {last}
    for vertex in range(1, last + 1):
        ahead |= {v for u, v in edges if v == vertex and u in ahead}
    for vertex in range(last, -1, -1):
        behind |= {u for u, v in edges if u == vertex and v in behind}
    kept = [vertex for vertex in range(1, last) if vertex in ahead & behind]
    ends = {0: 0, last: len(kept) + 1}
    shapes = []
    for order in itertools.permutations(kept):
        place = {**ends, **{vertex: number for number, vertex in enumerate(order, 1)}}
        inside = sorted((place[u], place[v]) for u, v in edges if u in place and v in place)
        shapes.append((tuple(nodes[vertex - 1][0] for vertex in order), tuple(inside)))
    return min(shapes)
