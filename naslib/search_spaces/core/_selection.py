"""The selection rule of DARTS: two incoming edges per node, by their strongest operation other than Zero."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from .edge import EdgeData
from .ops_basic import Zero

KEPT_EDGES = 2


def select_without_zero(edge_data: EdgeData) -> int:
    """Return the index of the candidate with the largest of the edge's `op_weights`, leaving `Zero` out.

    Where all others are struck out (minus infinity) it is the first of them, and `Zero` only where there is no other.
    """
    index = int(_weights_without_zero(edge_data).argmax())
    candidates = _candidates(edge_data)
    if not isinstance(candidates[index], Zero):
        return index
    return next((position for position, op in enumerate(candidates) if not isinstance(op, Zero)), index)


def keep_strongest_edges(node: tuple[int, Any], in_edges: list[tuple[int, EdgeData]], out_edges: Any) -> None:
    """Flag all but the two strongest edges into a node for removal; for `Graph.update_nodes`.

    The strength of an edge is its largest `op_weights` other than that of `Zero`, and the lower source wins a tie.
    Nodes with a final edge, or with an edge without `op_weights`, are left alone.
    """
    flag_weaker_edges(in_edges, KEPT_EDGES)


def keep_strongest_edge(node: tuple[int, Any], in_edges: list[tuple[int, EdgeData]], out_edges: Any) -> None:
    """Flag all but the strongest edge into a node for removal, by the rule of `keep_strongest_edges`."""
    flag_weaker_edges(in_edges, 1)


def flag_weaker_edges(in_edges: list[tuple[int, EdgeData]], kept: int) -> None:
    """Flag all but the strongest of the edges into a node for removal, as `keep_strongest_edges` ranks them.

    Args:
        in_edges: Sources and edges.
        kept: How many stay.
    """
    if len(in_edges) <= kept or any(data.is_final() or not data.has("op_weights") for _, data in in_edges):
        return
    if any(data.has("gate") for _, data in in_edges):  # of inputs, any number of which may be chosen
        return
    ranked = sorted(in_edges, key=_rank)
    for _, data in ranked[kept:]:
        data.delete()


def _rank(edge: tuple[int, EdgeData]) -> tuple[float, int]:
    source, data = edge
    return -float(_weights_without_zero(data).max()), source


def _candidates(edge_data: EdgeData) -> Sequence[Any]:
    candidates: Sequence[Any] = edge_data.op if isinstance(edge_data.op, list) else edge_data.op.primitives
    return candidates


def _weights_without_zero(edge_data: EdgeData) -> Tensor:
    candidates = _candidates(edge_data)
    weights = edge_data.op_weights.detach().clone()
    if not all(isinstance(op, Zero) for op in candidates):
        for index, op in enumerate(candidates):
            if isinstance(op, Zero):
                weights[index] = -float("inf")
    return weights
