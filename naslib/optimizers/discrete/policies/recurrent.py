"""RecurrentPolicy: an LSTM that decides one word after another."""

from __future__ import annotations

from random import Random
from typing import cast

import torch
from torch import Tensor, nn

from naslib.optimizers.core.vocabulary import Words
from naslib.optimizers.discrete.steps import Steps

from .base import Policy, PolicyMemory

# Every parameter starts uniform in +- this ([Zoph2018nasnet])
INITIAL_RANGE = 0.1


class RecurrentPolicy(Policy):
    """Decide the words of an architecture by an LSTM of one layer whose input is the word before ([Zoph2018nasnet]).

    Decisions with the same candidates have scores and embeddings in common; the state of the LSTM tells them apart.

    Args:
        steps: How architectures are written.
        rng: Of the parameters to begin with, uniform in +-.1.
        hidden: Units of the LSTM.
    """

    def __init__(self, steps: Steps, rng: Random, hidden: int = 100) -> None:
        super().__init__(steps)
        widths = {slot.vocabulary: slot.width for slot in steps.slots}
        self.lstm = nn.LSTMCell(hidden, hidden)
        self.start = nn.Parameter(torch.empty(1, hidden))
        self.words = nn.ModuleList(Words(hidden, widths[number]) for number in range(steps.n_vocabularies))
        generator = torch.Generator().manual_seed(rng.getrandbits(62))
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.uniform_(-INITIAL_RANGE, INITIAL_RANGE, generator=generator)

    def begin(self) -> PolicyMemory:
        """Return what is known before the first word: the state of the LSTM after its start."""
        return _State(self)


class _State(PolicyMemory):
    def __init__(self, policy: RecurrentPolicy) -> None:
        self.policy = policy
        self.state: tuple[Tensor, Tensor] | None = None
        self.x: Tensor = policy.start

    def logits(self, slot: int) -> Tensor:
        self.state = self.policy.lstm(self.x, self.state)
        scores: Tensor = self._words(slot).scores(self.state[0])
        return scores.flatten()

    def take(self, slot: int, word: int) -> None:
        self.x = self._words(slot).embedding[word : word + 1]

    def _words(self, slot: int) -> Words:
        return cast(Words, self.policy.words[self.policy.steps.slots[slot].vocabulary])
