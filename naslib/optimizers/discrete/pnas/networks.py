"""What predicts the accuracy of cells of any number of blocks ([Liu2018pnas], section 4.3)."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

# Embeddings begin uniform in +- this, and the last bias so that a prediction begins at .86
INITIAL_RANGE, INITIAL_BIAS = 0.1, 1.8


class CellNetwork(nn.Module, ABC):
    """Map rows of words to a number in (0, 1); positions with one vocabulary have one embedding.

    Args:
        vocabularies: The number of words of each vocabulary.
        positions: Of each word of a row, its vocabulary.
        size: Of an embedding, and of the hidden layer.
    """

    def __init__(self, vocabularies: Sequence[int], positions: Sequence[int], size: int = 100) -> None:
        super().__init__()
        self.positions = tuple(positions)
        self.words = nn.ModuleList(nn.Embedding(count, size) for count in vocabularies)
        for table in self.words.parameters():
            nn.init.uniform_(table, -INITIAL_RANGE, INITIAL_RANGE)
        self.last = nn.Linear(size, 1)
        nn.init.constant_(self.last.bias, INITIAL_BIAS)

    def embedded(self, rows: Tensor) -> Tensor:
        """Return `(n, b, k, size)` embeddings of `(n, b, k)` words."""
        parts = [self.words[vocabulary](rows[..., place]) for place, vocabulary in enumerate(self.positions)]
        return torch.stack(parts, dim=-2)

    @abstractmethod
    def hidden(self, rows: Tensor) -> Tensor:
        """Return `(n, size)` of `(n, b, k)` words."""

    def forward(self, rows: Tensor) -> Tensor:
        """Return predictions, `(n,)` in (0, 1).

        Args:
            rows: `(n, b, k)` words of n cells of b rows.
        """
        return torch.sigmoid(self.last(self.hidden(rows)).squeeze(-1))


class MeanNetwork(CellNetwork):
    """A hidden layer on the mean over blocks of the embeddings of their words, one after the other."""

    def __init__(self, vocabularies: Sequence[int], positions: Sequence[int], size: int = 100) -> None:
        super().__init__(vocabularies, positions, size)
        self.first = nn.Linear(len(self.positions) * size, size)

    def hidden(self, rows: Tensor) -> Tensor:
        """Return the hidden layer, after its rectifier, `(n, size)`."""
        return torch.relu(self.first(self.embedded(rows).flatten(2).mean(1)))


class SequenceNetwork(CellNetwork):
    """The last state of an LSTM of one layer that reads all words, row by row."""

    def __init__(self, vocabularies: Sequence[int], positions: Sequence[int], size: int = 100) -> None:
        super().__init__(vocabularies, positions, size)
        self.lstm = nn.LSTM(size, size, batch_first=True)

    def hidden(self, rows: Tensor) -> Tensor:
        """Return the last state, `(n, size)`."""
        _, (state, _) = self.lstm(self.embedded(rows).flatten(1, 2))
        return state[-1]


NETWORKS: dict[str, type[CellNetwork]] = {"mlp": MeanNetwork, "lstm": SequenceNetwork}


def made(kind: str, vocabularies: Sequence[int], positions: Sequence[int], seed: int) -> CellNetwork:
    """Return a network with weights drawn from a seed; the global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return NETWORKS[kind](vocabularies, positions)


def train(
    network: CellNetwork, batches: Sequence[tuple[Tensor, Tensor]], epochs: int, rate: float, size: int, seed: int
) -> None:
    """Train by Adam on the mean absolute error.

    Args:
        network: Changed in place.
        batches: `(n, b, k)` words and `(n,)` targets in (0, 1), one pair for each number of rows.
        epochs: Passes over all cells.
        rate: Learning rate.
        size: Cells in a step, of one number of rows.
        seed: Of their order.
    """
    generator = torch.Generator().manual_seed(seed)
    adam = torch.optim.Adam(network.parameters(), lr=rate)
    network.train()
    for _ in range(epochs):
        parts = [
            (rows[order], targets[order])
            for rows, targets in batches
            for order in torch.randperm(len(rows), generator=generator).split(size)
        ]
        for place in torch.randperm(len(parts), generator=generator).tolist():
            rows, targets = parts[place]
            adam.zero_grad(set_to_none=True)
            (network(rows) - targets).abs().mean().backward()
            adam.step()


def by_length(rows: Sequence[Sequence[Sequence[int]]]) -> dict[int, list[int]]:
    """Return the places of cells by their number of rows, ascending."""
    found: dict[int, list[int]] = {}
    for place, cell in enumerate(rows):
        found.setdefault(len(cell), []).append(place)
    return dict(sorted(found.items()))


@torch.no_grad()
def predict(network: CellNetwork, rows: Sequence[Sequence[Sequence[int]]], chunk: int = 4096) -> list[float]:
    """Return the predictions for n cells, each in (0, 1)."""
    network.eval()
    found = [math.nan] * len(rows)
    for places in by_length(rows).values():
        for start in range(0, len(places), chunk):
            part = places[start : start + chunk]
            values = network(torch.tensor([rows[place] for place in part], dtype=torch.long))
            for place, value in zip(part, values.tolist(), strict=True):
                found[place] = value
    return found
