"""RecurrentPolicy: an LSTM that decides one word after another."""

from __future__ import annotations

from random import Random
from typing import cast

import torch
from torch import Tensor, nn

from naslib.optimizers.core.vocabulary import Words
from naslib.optimizers.discrete.steps import Slot, Steps

from .anchors import AnchorPoints, anchor_decisions
from .base import Policy, PolicyMemory

# Every parameter starts uniform in +- this ([Zoph2018nasnet])
INITIAL_RANGE = 0.1
# What has scores and embeddings of its own: by `softmax`, which number of a slot says so
SOFTMAXES = {"shared": "vocabulary", "role": "role", "own": "place"}


class RecurrentPolicy(Policy):
    """Decide the words of an architecture by an LSTM whose input is the word before ([Zoph2018nasnet]).

    With `softmax="shared"` decisions with the same candidates have scores and embeddings in common, and the state of
    the LSTM tells them apart; with `"role"` those do that are also called alike, numbers apart; with `"own"` every
    prediction has its own, as in [Zoph2018nasnet].

    With `anchors` a decision "which of all layers before this one" is made by set-selection attention, the anchor
    points of [Zoph2017nasrl]: see `AnchorPoints`.

    Args:
        steps: How architectures are written.
        rng: Of the parameters to begin with, uniform in `+-initial_range`.
        hidden: Units of each layer of the LSTM.
        layers: Layers of the LSTM.
        initial_range: See `rng`.
        softmax: `"shared"`, `"role"` or `"own"`.
        anchors: Whether there are anchor points, where the space has such decisions.
    """

    def __init__(
        self,
        steps: Steps,
        rng: Random,
        hidden: int = 100,
        layers: int = 1,
        initial_range: float = INITIAL_RANGE,
        softmax: str = "shared",
        anchors: bool = False,
    ) -> None:
        super().__init__(steps)
        self._number = SOFTMAXES[softmax]
        widths = {getattr(slot, self._number): slot.width for slot in steps.slots}
        self.lstm = nn.LSTMCell(hidden, hidden)
        self.start = nn.Parameter(torch.empty(1, hidden))
        self.words = nn.ModuleList(Words(hidden, widths[number]) for number in sorted(widths))
        self.above = nn.ModuleList(nn.LSTMCell(hidden, hidden) for _ in range(layers - 1))
        self.layer_of = anchor_decisions(steps) if anchors else {}
        self.anchors = AnchorPoints(hidden) if self.layer_of else None
        generator = torch.Generator().manual_seed(rng.getrandbits(62))
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.uniform_(-initial_range, initial_range, generator=generator)

    def begin(self) -> PolicyMemory:
        """Return what is known before the first word: the state of the LSTM after its start."""
        return _State(self) if self.anchors is None else _Anchored(self, self.anchors)

    def words_of(self, slot: Slot) -> Words:
        """Return scores and embeddings of a slot."""
        return cast(Words, self.words[getattr(slot, self._number)])


class _State(PolicyMemory):
    """The state of the LSTM.

    Attributes:
        x: What it reads next, `(1, hidden)`.
    """

    def __init__(self, policy: RecurrentPolicy) -> None:
        self.policy, self.slots = policy, policy.steps.slots
        self.cells = [policy.lstm, *policy.above]
        self.states: list[tuple[Tensor, Tensor] | None] = [None] * len(self.cells)
        self.x: Tensor = policy.start

    def step(self) -> Tensor:
        """Read `x`, and return the state of the last layer, `(1, hidden)`."""
        x = self.x
        for index, cell in enumerate(self.cells):
            state: tuple[Tensor, Tensor] = cell(x, self.states[index])
            self.states[index], x = state, state[0]
        return x

    def logits(self, slot: int) -> Tensor:
        scores: Tensor = self.policy.words_of(self.slots[slot]).scores(self.step())
        return scores.flatten()

    def take(self, slot: int, word: int) -> None:
        self.x = self.policy.words_of(self.slots[slot]).embedding[word : word + 1]


class _Anchored(_State):
    """The state of an LSTM that has an anchor point at every layer of the architecture.

    After an anchor point the LSTM reads the mean of the states at the anchor points that were chosen, its start where
    none was.
    """

    def __init__(self, policy: RecurrentPolicy, points: AnchorPoints) -> None:
        super().__init__(policy)
        self.points = points
        self.states_at = {0: self.step()}  # by layer from 0; the first has nothing to choose from
        self.x = policy.start
        self.scores = self.states_at[0]
        self.chosen: list[Tensor] = []

    def logits(self, slot: int) -> Tensor:
        where = self.slots[slot]
        layer = self.policy.layer_of.get(where.decision)
        if layer is None:
            return super().logits(slot)
        if where.part == 0:
            here = self.states_at[layer] = self.step()
            nothing = torch.zeros_like(here)  # of a layer that the architecture does not have
            before = torch.cat([self.states_at.get(index, nothing) for index in range(layer)])
            self.scores, self.chosen = self.points(before, here), []
        score = self.scores[where.part]
        return torch.stack([torch.zeros_like(score), score])

    def take(self, slot: int, word: int) -> None:
        where = self.slots[slot]
        layer = self.policy.layer_of.get(where.decision)
        if layer is None:
            super().take(slot, word)
            return
        if word and where.part in self.states_at:
            self.chosen.append(self.states_at[where.part])
        if where.part == layer - 1:
            self.x = torch.stack(self.chosen).mean(dim=0) if self.chosen else self.policy.start
