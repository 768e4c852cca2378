"""CellSurrogate: one network that learns on, or an ensemble on folds of the cells that have values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

import numpy as np
import torch

from naslib.search_spaces.core.decisions import Code
from naslib.search_spaces.core.widening import CellWidening

from .networks import CellNetwork, by_length, made, predict, train

# Cells in a step of Adam
_BATCH = 128
# Learning rate of the first fit, and of all others ([Liu2018pnas])
RATES = (0.01, 0.002)


class CellSurrogate:
    """Predict merits of cells from those of others, of as many blocks or fewer.

    An ensemble of m is fitted from its beginning each time, each member to all cells but those of one of m folds; one
    network alone goes on from where it was. Both use the first learning rate for the first fit, the second later.

    Args:
        widening: What rows cells have.
        kind: `mlp` or `lstm`.
        members: Networks.
        epochs: Passes over the cells in a fit.
    """

    def __init__(self, widening: CellWidening, kind: str, members: int, epochs: int) -> None:
        self.widening, self.kind, self.members, self.epochs = widening, kind, members, epochs
        self.fits = 0
        self.networks: list[CellNetwork] = []

    def fit(self, codes: Sequence[Code], targets: Sequence[float], rng: Random) -> None:
        """Learn from cells with targets in (0, 1).

        Args:
            codes: n cells.
            targets: `(n,)`.
            rng: Where seeds and folds are drawn from.
        """
        rows = [self.widening.rows(code) for code in codes]
        rate = RATES[min(self.fits, 1)]
        if self.members == 1:
            self.networks = self.networks or [self._made(rng)]
            self._train(self.networks[0], rows, targets, range(len(codes)), rate, rng)
        else:
            order = [*range(len(codes))]
            rng.shuffle(order)
            self.networks = [self._made(rng) for _ in range(self.members)]
            for number, network in enumerate(self.networks):
                fold = set(order[number :: self.members]) if len(codes) > self.members else set()
                self._train(network, rows, targets, [p for p in order if p not in fold], rate, rng)
        self.fits += 1

    def predict(self, codes: Sequence[Code]) -> np.ndarray:
        """Return the mean prediction of the networks, `(n,)`."""
        rows = [self.widening.rows(code) for code in codes]
        return np.mean([predict(network, rows) for network in self.networks], axis=0)

    def _made(self, rng: Random) -> CellNetwork:
        return made(self.kind, self.widening.vocabularies, self.widening.positions, rng.getrandbits(31))

    def _train(
        self,
        network: CellNetwork,
        rows: Sequence[Sequence[Sequence[int]]],
        targets: Sequence[float],
        places: Sequence[int],
        rate: float,
        rng: Random,
    ) -> None:
        batches = []
        for group in by_length([rows[place] for place in places]).values():
            own = [places[position] for position in group]
            words = torch.tensor([rows[place] for place in own], dtype=torch.long)
            batches.append((words, torch.tensor([targets[place] for place in own])))
        train(network, batches, self.epochs, rate, _BATCH, rng.getrandbits(31))

    def state_dict(self) -> dict[str, Any]:
        """Return the state: that of a network which learns on, as an ensemble is fitted anew."""
        kept = self.networks if self.members == 1 else []
        return {"fits": self.fits, "networks": [dict(network.state_dict()) for network in kept]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a state."""
        self.fits = int(state_dict["fits"])
        self.networks = []
        for weights in state_dict["networks"]:
            network = self._made(Random(0))
            network.load_state_dict(weights)
            self.networks.append(network)
