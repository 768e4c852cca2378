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
from naslib.search_spaces.core.codec import Codec
from naslib.search_spaces.core.decisions import MASKED
from naslib.utils.encodings import EncodingType

# Tokens: 0 begins and pads; an edge is absent (1) or there (2); operations follow
_EDGE, _OPERATION = 1, 3


def graph_batch(codec: Codec[Any], codes: Codes, encoding_type: EncodingType) -> tuple[Tensor, Tensor, Tensor]:
    """Return vertices `(n, v, d)`, adjacencies `(n, v, v)` and masks `(n, v)`, float32, of the encodings of n codes.

    Raises:
        UnsupportedBySpaceError: If the space has no such encoding, or it is none of graphs.
    """
    encoded = [codec.encode(code, encoding_type) for code in codes]
    if encoded and not (isinstance(encoded[0], dict) and {"adjacency", "operations"} <= encoded[0].keys()):
        raise UnsupportedBySpaceError(f"{encoding_type.value} is no encoding of graphs: take gcn or bonas")
    vertices = torch.tensor(np.stack([entry["operations"] for entry in encoded]), dtype=torch.float32)
    adjacency = torch.tensor(np.stack([entry["adjacency"] for entry in encoded]), dtype=torch.float32)
    masks = [entry.get("mask", np.ones(len(entry["adjacency"]))) for entry in encoded]
    return vertices, adjacency, torch.tensor(np.stack(masks), dtype=torch.float32)


class Tokens:
    """Write codes as sequences of tokens of one length.

    With `SEMINAS`, vertex after vertex: which earlier vertices lead to it, then its operation, as in Luo et al. (2020),
    [Luo2020seminas]. With `COMPACT`, the genes of the code in the decision space: shorter, and read back as codes.

    Args:
        codec: Of the space.
        encoding_type: `SEMINAS` or `COMPACT`.
        codes: Codes that show which tokens there are; of `COMPACT` the decisions say it.

    Attributes:
        allowed: `(l, vocabulary)` bool, which tokens may stand where.

    Raises:
        UnsupportedBySpaceError: For another encoding, or one that the space does not have.
    """

    def __init__(self, codec: Codec[Any], encoding_type: EncodingType, codes: Codes) -> None:
        if encoding_type not in (EncodingType.SEMINAS, EncodingType.COMPACT):
            raise UnsupportedBySpaceError(f"{encoding_type.value} is no encoding of sequences: take seminas or compact")
        self.codec, self.encoding_type = codec, encoding_type
        self._vertices = 0
        if encoding_type is EncodingType.COMPACT:
            self.allowed = self._genes()
        else:
            encoded = [codec.encode(code, encoding_type) for code in codes]
            self._vertices = max(len(entry["operations"]) for entry in encoded)
            n_operations = 1 + max(max(entry["operations"]) for entry in encoded)
            edges = torch.zeros(_OPERATION + n_operations, dtype=torch.bool)
            edges[[START_TOKEN, _EDGE, _EDGE + 1]] = True
            operations = ~edges
            operations[START_TOKEN] = True
            rows = [row for v in range(1, self._vertices) for row in [*[edges] * v, operations]]
            self.allowed = torch.stack(rows)

    def sequences(self, codes: Codes, rng: Random | None = None) -> Tensor:
        """Return the sequences of n codes, `(n, l)` int64.

        Args:
            codes: The codes.
            rng: If given, vertices stand in a random order that respects the edges (`SEMINAS`): another sequence of the
                same architecture.
        """
        rows = [self._sequence(code, rng) for code in codes]
        return torch.tensor(rows, dtype=torch.int64).reshape(len(rows), len(self.allowed))

    def codes(self, sequences: Tensor) -> list[tuple[int, ...]]:
        """Return the codes of sequences `(n, l)` of the encoding `COMPACT`; those that are none are left out."""
        if self.encoding_type is not EncodingType.COMPACT:
            raise UnsupportedBySpaceError("sequences are read back as codes with the encoding compact alone")
        found = []
        for row in sequences.tolist():
            decided = tuple(token - 2 for token in row)
            if self._space().is_valid(decided):
                found.append(self.codec.from_decisions(decided))
        return found

    def _sequence(self, code: tuple[int, ...], rng: Random | None) -> list[int]:
        if self.encoding_type is EncodingType.COMPACT:
            return [gene + 2 for gene in self.codec.to_decisions(code)]
        encoded = self.codec.encode(code, self.encoding_type)
        adjacency, operations = np.asarray(encoded["adjacency"]), list(encoded["operations"])
        if rng is not None:
            order = topological_order(adjacency, rng)
            adjacency, operations = adjacency[np.ix_(order, order)], [operations[v] for v in order]
        row = []
        for v in range(1, self._vertices):
            is_there = v < len(operations)
            row += [_EDGE + int(adjacency[u, v] > 0) if is_there else START_TOKEN for u in range(v)]
            row.append(_OPERATION + operations[v] if is_there else START_TOKEN)
        return row

    def _space(self) -> Any:
        space = self.codec.decision_space
        if space is None:
            raise UnsupportedBySpaceError(
                f"{self.codec.name} does not state its decisions, which compact sequences are"
            )
        return space

    def _genes(self) -> Tensor:
        rows: list[list[int]] = []
        for decision in self._space().decisions:
            values = range(2) if decision.n_chosen is None else range(len(decision.candidates))
            kept = [value + 2 for value in values] + ([MASKED + 2] if decision.condition is not None else [])
            rows += [kept] * decision.n_genes
        allowed = torch.zeros(len(rows), 1 + max(max(row) for row in rows), dtype=torch.bool)
        for place, row in enumerate(rows):
            allowed[place, row] = True
        return allowed


START_TOKEN = 0


def topological_order(adjacency: np.ndarray, rng: Random) -> list[int]:
    """Return the vertices of a DAG `(v, v)` in a random order in which every edge leads forward.

    The first and the last vertex keep their places.
    """
    n = len(adjacency)
    waiting = adjacency[:, :].astype(bool).sum(0).tolist()
    order, ready = [0], []
    for v in range(1, n):
        waiting[v] -= int(adjacency[0, v] > 0)
    ready = [v for v in range(1, n - 1) if waiting[v] == 0]
    while ready:
        v = ready.pop(rng.randrange(len(ready)))
        order.append(v)
        for w in np.flatnonzero(adjacency[v]).tolist():
            waiting[w] -= 1
            if waiting[w] == 0 and w != n - 1:
                ready.append(w)
    return [*order, n - 1]


def repeat(codes: Sequence[Any], times: int) -> list[Any]:
    """Return a list with each entry so many times, in order."""
    return [code for code in codes for _ in range(times)]
