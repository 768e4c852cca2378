"""Policy: a distribution over architectures with parameters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from random import Random
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from naslib.optimizers.discrete.steps import Steps
from naslib.search_spaces.core.decisions import Code


class Sequenced(NamedTuple):
    """An architecture under a policy.

    Attributes:
        code: The architecture, as a code of the decision space.
        log_probs: `(n_words,)` of each word, given those before it.
        entropies: `(n_words,)` of the distributions that the words are from.
    """

    code: Code
    log_probs: Tensor
    entropies: Tensor


class PolicyMemory(ABC):
    """What a policy knows while it decides an architecture."""

    @abstractmethod
    def logits(self, slot: int) -> Tensor:
        """Return the scores of all words of a slot, `(width,)`."""

    @abstractmethod
    def take(self, slot: int, word: int) -> None:
        """Take note of a word."""


class Policy(nn.Module, ABC):
    """Give every architecture of a decision space a probability, word by word.

    The words of one decision are first weighted by the number of ways in which the rest of it can be decided, so that
    equal scores mean that k of n inputs are drawn uniformly among all such sets.

    Args:
        steps: How architectures are written.

    Attributes:
        steps: The same.
        given: Words that somebody else decides, by slot: they are drawn as they stand here, have no probability, and
            the policy does not see them.
    """

    def __init__(self, steps: Steps) -> None:
        super().__init__()
        self.steps = steps
        self.given: dict[int, int] = {}

    @abstractmethod
    def begin(self) -> PolicyMemory:
        """Return what is known before the first word."""

    @torch.no_grad()
    def sample(self, rng: Random) -> Sequenced:
        """Draw an architecture.

        Args:
            rng: Source of randomness.
        """
        trace = _Trace(self.begin())

        def choose(slot: int, allowed: Sequence[int], ways: Sequence[int]) -> int:
            if slot in self.given:
                return self.given[slot]
            log_probs = trace.distribution(slot, allowed, ways)
            word = allowed[_drawn(log_probs.exp().tolist(), rng)]
            trace.took(slot, word, allowed, log_probs)
            return word

        return trace.of(self.steps.decode(choose))

    def follow(self, code: Code) -> Sequenced:
        """Return a canonical code of the decision space under the policy, with gradients."""
        trace = _Trace(self.begin())

        def choose(slot: int, allowed: Sequence[int], ways: Sequence[int], word: int) -> None:
            if slot not in self.given:
                trace.took(slot, word, allowed, trace.distribution(slot, allowed, ways))

        self.steps.follow(code, choose)
        return trace.of(code)


class _Trace:
    def __init__(self, memory: PolicyMemory) -> None:
        self.memory = memory
        self.log_probs: list[Tensor] = []
        self.entropies: list[Tensor] = []

    def distribution(self, slot: int, allowed: Sequence[int], ways: Sequence[int]) -> Tensor:
        logits = self.memory.logits(slot)
        if len(allowed) < len(logits):
            logits = logits[list(allowed)]
        if any(way != ways[0] for way in ways):
            logits = logits + torch.tensor(ways, dtype=logits.dtype).log()
        return F.log_softmax(logits, dim=-1)

    def took(self, slot: int, word: int, allowed: Sequence[int], log_probs: Tensor) -> None:
        self.log_probs.append(log_probs[allowed.index(word)])
        self.entropies.append(-(log_probs.exp() * log_probs).sum())
        self.memory.take(slot, word)

    def of(self, code: Code) -> Sequenced:
        return Sequenced(code, torch.stack(self.log_probs), torch.stack(self.entropies))


def _drawn(probabilities: Sequence[float], rng: Random) -> int:
    """Return an index drawn with these probabilities."""
    left = rng.random() * sum(probabilities)
    for index, probability in enumerate(probabilities):
        left -= probability
        if left < 0:
            return index
    return max(range(len(probabilities)), key=probabilities.__getitem__)  # what rounding left over
