"""Codes as batches of graphs and sequences."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import numpy as np
import torch
from torch import Tensor

from naslib.errors import UnsupportedBySpaceError
from naslib.predictors.base import Codes
from naslib.predictors.features import encode_batch
from naslib.search_spaces.core.codec import Codec
from naslib.search_spaces.core.decisions import MASKED
from naslib.search_spaces.core.graph import Graph
from naslib.utils.encodings import EncodingType

Space = Graph | Codec[Any]
# Tokens: 0 begins and pads; an edge is absent (1) or there (2); operations follow
START_TOKEN, _EDGE, _OPERATION = 0, 1, 3
_GRAPH_KINDS = (EncodingType.GCN, EncodingType.BONAS)


def graph_batch(space: Space, codes: Codes, encoding_type: EncodingType) -> tuple[Tensor, Tensor, Tensor]:
    """Return vertices `(n, v, d)`, adjacencies `(n, v, v)` and masks `(n, v)`, float32, of the encodings of n codes.

    Raises:
        UnsupportedBySpaceError: If the space has no such encoding, or it is none of graphs.
    """
    if encoding_type not in (EncodingType.GCN, EncodingType.BONAS):
        raise UnsupportedBySpaceError(f"{encoding_type.value} is no encoding of graphs: take gcn or bonas")
    encoded = encode_batch(space, codes, encoding_type)
    vertices = torch.tensor(np.asarray(encoded["operations"]), dtype=torch.float32)
    adjacency = torch.tensor(np.asarray(encoded["adjacency"]), dtype=torch.float32)
    mask = encoded.get("mask")
    return vertices, adjacency, torch.ones(vertices.shape[:2]) if mask is None else torch.tensor(np.asarray(mask))


class Tokens:
    """Write codes as sequences of tokens of one length.

    With `SEMINAS`, vertex after vertex: which earlier vertices lead to it, then its operation, as in Luo et al. (2020),
    [Luo2020seminas]. With `COMPACT`, the genes of the code in the decision space: shorter, and read back as codes.

    Args:
        space: A graph of the space, or its codec.
        encoding_type: `SEMINAS` or `COMPACT`.
        codes: Some codes of the space, from which the number of vertices and operations is seen.

    Attributes:
        allowed: `(l, vocabulary)` bool, which tokens may stand where.

    Raises:
        UnsupportedBySpaceError: For another encoding, or one that the space does not have.
    """

    def __init__(self, space: Space, encoding_type: EncodingType, codes: Codes) -> None:
        if encoding_type not in (EncodingType.SEMINAS, EncodingType.COMPACT):
            raise UnsupportedBySpaceError(f"{encoding_type.value} is no encoding of sequences: take seminas or compact")
        self.space, self.encoding_type = space, encoding_type
        self.codec: Codec[Any] = space._codec() if isinstance(space, Graph) else space
        self.allowed = self._genes() if encoding_type is EncodingType.COMPACT else self._places(codes)

    def sequences(self, codes: Codes, rng: Random | None = None) -> Tensor:
        """Return the sequences of n codes, `(n, l)` int64.

        Args:
            codes: The codes.
            rng: If given, vertices stand in a random order that respects the edges (`SEMINAS`): another sequence of the
                same architecture.
        """
        if self.encoding_type is EncodingType.COMPACT:
            rows = [[gene + 2 for gene in self.codec.to_decisions(code)] for code in codes]
            return torch.tensor(rows, dtype=torch.int64).reshape(len(rows), len(self.allowed))
        if not codes:
            return torch.zeros(0, len(self.allowed), dtype=torch.int64)
        adjacency, operations, mask = self._graphs(codes)
        if rng is not None:
            for row in range(len(codes)):
                order = topological_order(adjacency[row], rng)
                adjacency[row] = adjacency[row][np.ix_(order, order)]
                operations[row], mask[row] = operations[row][order], mask[row][order]
        columns = []
        for v in range(1, operations.shape[1]):
            edges = np.where(mask[:, :v] & mask[:, v, None], _EDGE + adjacency[:, :v, v], START_TOKEN)
            columns += [edges, np.where(mask[:, v], _OPERATION + operations[:, v], START_TOKEN)[:, None]]
        return torch.tensor(np.concatenate(columns, axis=1), dtype=torch.int64)

    def codes(self, sequences: Tensor) -> list[tuple[int, ...]]:
        """Return the codes of sequences `(n, l)` of the encoding `COMPACT`; those that are none are left out."""
        if self.encoding_type is not EncodingType.COMPACT:
            raise UnsupportedBySpaceError("sequences are read back as codes with the encoding compact alone")
        decided = [tuple(token - 2 for token in row) for row in sequences.tolist()]
        return [self.codec.from_decisions(code) for code in decided if self._decisions().is_valid(code)]

    def _graphs(self, codes: Codes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return adjacencies `(n, v, v)` of 0 and 1, operations `(n, v)` and masks `(n, v)` bool."""
        encoded = encode_batch(self.space, codes, self.encoding_type)
        operations = np.array(encoded["operations"], dtype=np.int64)
        mask = encoded.get("mask")
        is_there = np.ones(operations.shape, dtype=bool) if mask is None else np.array(mask) > 0
        return (np.asarray(encoded["adjacency"]) > 0).astype(np.int64), operations, is_there

    def _places(self, codes: Codes) -> Tensor:
        _, operations, _ = self._graphs(codes)
        kinds = [encode_batch(self.space, codes[:1], kind)["operations"].shape[-1] for kind in _GRAPH_KINDS]
        edges = torch.zeros(_OPERATION + max(*kinds, int(operations.max()) + 1), dtype=torch.bool)
        edges[[START_TOKEN, _EDGE, _EDGE + 1]] = True
        places = ~edges
        places[START_TOKEN] = True
        return torch.stack([row for v in range(1, operations.shape[1]) for row in [*[edges] * v, places]])

    def _decisions(self) -> Any:
        space = self.codec.decision_space
        if space is None:
            raise UnsupportedBySpaceError(
                f"{self.codec.name} does not state its decisions, which compact sequences are"
            )
        return space

    def _genes(self) -> Tensor:
        rows: list[list[int]] = []
        for decision in self._decisions().decisions:
            values = range(2) if decision.n_chosen is None else range(len(decision.candidates))
            kept = [value + 2 for value in values] + ([MASKED + 2] if decision.condition is not None else [])
            rows += [kept] * decision.n_genes
        allowed = torch.zeros(len(rows), 1 + max(max(row) for row in rows), dtype=torch.bool)
        for place, row in enumerate(rows):
            allowed[place, row] = True
        return allowed


def topological_order(adjacency: np.ndarray, rng: Random) -> list[int]:
    """Return the vertices of a graph `(v, v)` in a random order in which every edge leads forward.

    The first and the last vertex keep their places. A graph that is no such DAG keeps its order.
    """
    n = len(adjacency)
    edges = adjacency > 0
    waiting = (edges.sum(0) - edges[0]).tolist()
    ready = [v for v in range(1, n - 1) if waiting[v] == 0]
    order = [0]
    while ready:
        v = ready.pop(rng.randrange(len(ready)))
        order.append(v)
        for w in np.flatnonzero(edges[v]).tolist():
            waiting[w] -= 1
            if waiting[w] == 0 and 0 < w < n - 1:
                ready.append(w)
    is_ordered = len(order) == n - 1 and not edges[-1].any() and not edges[:, 0].any()
    return [*order, n - 1] if is_ordered else list(range(n))


def repeat(codes: Sequence[Any], times: int) -> list[Any]:
    """Return a list with each entry so many times, in order."""
    return [code for code in codes for _ in range(times)]
