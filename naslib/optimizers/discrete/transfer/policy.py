"""TaskPolicy: an LSTM that decides an architecture for the task that it is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import cast

import torch
from torch import Tensor, nn

from naslib.optimizers.discrete.policies.base import Policy, PolicyMemory
from naslib.optimizers.discrete.steps import Steps

# Every parameter starts uniform in +- this
INITIAL_RANGE = 0.1


class _Vocabulary(nn.Module):
    def __init__(self, width: int, embedded: int, read: int) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.empty(width, embedded))
        self.scores = nn.Linear(read, width)


class TaskPolicy(Policy):
    """Decide the words of an architecture, given those before and a learned vector of the task ([Wong2018transfer]).

    With e the vector of the task, w the embedding of the word before (of a start symbol for the first one), and
    `x = [w; e]`:

        (h, c) <- LSTM(x, (h, c)),  logits = W_v [h; x] + b_v

    where v is the vocabulary of the slot. The x in the logits is the connection past the cell: what is likely for a
    task whatever the other words are is linear in it. Decisions with the same candidates have a vocabulary in common.

    Args:
        steps: How architectures are written.
        rng: Of the parameters to begin with, uniform in +-.1.
        n_tasks: How many tasks.
        hidden: Units of the LSTM.
        embedded: Length of the embedding of a word.
        task_embedded: Length of the vector of a task.
        skip_connection: Whether the logits read x as well as h.

    Attributes:
        task: Index of the task that it decides for.
        tasks: The vectors of the tasks, `(task_embedded,)` each: parameters of their own, so that a step for one task
            leaves the others as they are.
    """

    def __init__(
        self,
        steps: Steps,
        rng: Random,
        n_tasks: int,
        hidden: int = 100,
        embedded: int = 32,
        task_embedded: int = 8,
        skip_connection: bool = True,
    ) -> None:
        super().__init__(steps)
        self.task = 0
        self.skip_connection = skip_connection
        given = embedded + task_embedded
        read = hidden + given if skip_connection else hidden
        widths = {slot.vocabulary: slot.width for slot in steps.slots}
        self.lstm = nn.LSTMCell(given, hidden)
        self.start = nn.Parameter(torch.empty(embedded))
        self.words = nn.ModuleList(_Vocabulary(widths[n], embedded, read) for n in range(steps.n_vocabularies))
        self.tasks = nn.ParameterList(nn.Parameter(torch.empty(task_embedded)) for _ in range(n_tasks))
        generator = torch.Generator().manual_seed(rng.getrandbits(62))
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.uniform_(-INITIAL_RANGE, INITIAL_RANGE, generator=generator)

    @contextmanager
    def deciding_for(self, task: int) -> Iterator[TaskPolicy]:
        """Let it decide for a task.

        Args:
            task: Its index.
        """
        before, self.task = self.task, task
        try:
            yield self
        finally:
            self.task = before

    def begin(self) -> PolicyMemory:
        """Return what is known before the first word: the task."""
        return _Sentence(self, self.tasks[self.task])

    def of_words(self) -> dict[str, Tensor]:
        """Return the parameters that all tasks have in common, by name, of any shape `(...)`."""
        return {name: p for name, p in self.named_parameters() if not name.startswith("tasks.")}


class _Sentence(PolicyMemory):
    def __init__(self, policy: TaskPolicy, task: Tensor) -> None:
        self.policy, self.task = policy, task
        self.state: tuple[Tensor, Tensor] | None = None
        self.x = torch.cat([policy.start, task])

    def logits(self, slot: int) -> Tensor:
        self.state = self.policy.lstm(self.x, self.state)
        hidden = self.state[0]
        scores: Tensor = self._words(slot).scores(
            torch.cat([hidden, self.x]) if self.policy.skip_connection else hidden
        )
        return scores

    def take(self, slot: int, word: int) -> None:
        self.x = torch.cat([self._words(slot).embedding[word], self.task])

    def _words(self, slot: int) -> _Vocabulary:
        return cast(_Vocabulary, self.policy.words[self.policy.steps.slots[slot].vocabulary])
