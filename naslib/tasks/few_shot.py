"""FewShot: tell classes apart of which a few examples are given, by the nearest prototype ([Snell2017prototypical])."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ClassVar

import torch
from torch import Tensor

from naslib.errors import ConfigError
from naslib.tasks.fields import describe_value

from .score import Score
from .task import Task

# Of a normal distribution, between which and its negative 95 % lie
_NORMAL_95 = 1.96
_SUPPORT: ContextVar[int] = ContextVar("naslib_support", default=0)


def support_rows() -> int:
    """Return how many rows of the batch that a network sees now, from the first on, are the support set; 0 for none."""
    return _SUPPORT.get()


@contextmanager
def supporting(rows: int) -> Iterator[None]:
    """Let networks know, in the forwards inside, that the first rows of their batch are the support set.

    Args:
        rows: How many.
    """
    token = _SUPPORT.set(rows)
    try:
        yield
    finally:
        _SUPPORT.reset(token)


def prototype_logits(support: Tensor, classes: Tensor, queries: Tensor, temperature: float = 1.0) -> Tensor:
    """Return minus the squared distances to the means of the classes, divided by the temperature, `(q, ways)`.

    [Snell2017prototypical], equations 1 and 2: their softmax is the probability of a class.

    Args:
        support: `(s, d)` embeddings.
        classes: `(s,)` their classes, from 0; every class up to the largest has one at least.
        queries: `(q, d)` embeddings.
        temperature: Above 0.
    """
    members = torch.nn.functional.one_hot(classes).to(support.dtype)
    prototypes = members.t() @ support / members.sum(dim=0).unsqueeze(1)
    return -(queries.unsqueeze(1) - prototypes.unsqueeze(0)).square().sum(dim=-1) / temperature


class FewShot(Task):
    """Learn an embedding in which a class is where its few examples are.

    A batch is one *episode*: N classes ("ways") with K examples of each ("shots"), the *support set*, and further
    inputs of these classes, the *queries*. Its targets are `(n,)` integers: `-1 - c` for an example of class c, and c
    for a query of it; the support set comes first. What the network gives for an input, whatever it was made for, is
    its embedding, and a query belongs to the class whose prototype, the mean of the embeddings of its examples, is
    nearest. The loss is that of the softmax over minus the squared distances.

    Accuracies are means over episodes, each counted once; `interval` is half of the 95 % interval of that mean,
    `1.96 s / sqrt(episodes)`. While a network runs it can ask for the support set (`support_rows`).

    Args:
        loss: Of the distances and the classes of the queries: `CrossEntropyLoss` or another one of class numbers.
        temperature: What squared distances are divided by.
        output_size: Length of an embedding: how many outputs a space is made with.
        inputs: Name of the inputs in batches that are mappings.
        targets: Name of the targets likewise.

    Raises:
        ConfigError: If the temperature is not above 0, or embeddings have no length.
    """

    DEFAULT_LOSS: ClassVar[str] = "CrossEntropyLoss"
    # What a space has a head for that serves this task
    HEAD: ClassVar[str] = "classification"
    # Queries are compared with the support set, which a network may see while it runs
    SHARES_ROWS: ClassVar[bool] = False
    EXPECTS: ClassVar[str] = "an episode: inputs, and targets that are -1 - c for the support set and c for queries"

    scores = (Score("accuracy", True, "%"), Score("interval", False, "%"))

    def __init__(
        self,
        loss: Any = None,
        temperature: float = 1.0,
        *,
        output_size: int | None = 64,
        inputs: str | None = None,
        targets: str | None = None,
    ) -> None:
        if not temperature > 0:
            raise ConfigError(f"temperature must be above 0, got {temperature}")
        if output_size is not None and output_size < 1:
            raise ConfigError(f"output_size is the length of an embedding, at least 1, not {output_size}")
        self.temperature = temperature
        super().__init__(loss, inputs=inputs, targets=targets, output_size=output_size)

    def uses_criterion(self) -> bool:
        """Return whether another criterion can be put in place; it can, unless a subclass has a loss of its own."""
        return type(self).loss is FewShot.loss

    def prepare_targets(self, targets: Tensor) -> Tensor:
        """Return targets as `(n,)` int64."""
        return targets.reshape(-1).long()

    def forward(self, model: Callable[..., Any], batch: Any) -> Any:
        """Return the embeddings of an episode, `(n, d)`."""
        with supporting(int((batch[1] < 0).sum())):
            return model(batch[0])

    def logits(self, outputs: Tensor, batch: Any) -> tuple[Tensor, Tensor]:
        """Return what the queries are told apart by, `(q, ways)`, and their classes, `(q,)`; see `prototype_logits`.

        Args:
            outputs: `(n, d)` embeddings.
            batch: The episode.
        """
        targets = batch[1]
        is_support = targets < 0
        found = prototype_logits(outputs[is_support], -1 - targets[is_support], outputs[~is_support], self.temperature)
        return found, targets[~is_support]

    def loss(self, outputs: Any, batch: Any) -> Tensor:
        """Return the loss of the queries, a scalar; 0 where there are none, or no support set."""
        if not _is_whole(batch[1]):
            return outputs.sum() * 0.0
        return self.criterion(*self.logits(outputs, batch))

    def statistics(self, outputs: Any, batch: Any) -> Sequence[Tensor | float]:
        """Return the share of queries that are right, its square, and 1: the episode; see `Task`.

        Each sum is a scalar.
        """
        if not _is_whole(batch[1]):
            return 0.0, 0.0, 0.0
        found, wanted = self.logits(outputs, batch)
        share = found.argmax(dim=1).eq(wanted).double().mean()
        return share, share * share, 1.0

    def summarize(self, sums: Sequence[float]) -> Sequence[float | None]:
        """Return the mean over episodes in percent, and half of its 95 % interval; None for a single episode."""
        total, squares, count = sums
        mean = total / count
        if count < 2:
            return 100 * mean, None
        variance = max(0.0, squares - count * mean * mean) / (count - 1)
        return 100 * mean, 100 * _NORMAL_95 * (variance / count) ** 0.5

    def batch_problems(self, batch: Any) -> list[str]:
        """Return why a batch is no episode; see `Task`."""
        problems = super().batch_problems(batch)
        if problems:
            return problems
        targets = batch[1]
        if targets.dim() != 1:
            return [f"targets are {describe_value(targets)}; expected {self.EXPECTS}"]
        is_support = targets < 0
        shots, queries = set((-1 - targets[is_support]).tolist()), set(targets[~is_support].tolist())
        if not shots or not queries:
            missing = "support set" if not shots else "query"
            return [f"targets have no {missing}; expected {self.EXPECTS}"]
        if shots != set(range(len(shots))):
            return [f"the classes of the support set are {sorted(shots)}; expected 0 to {len(shots) - 1}"]
        if not queries <= shots:
            return [f"queries are of the classes {sorted(queries - shots)}, of which there is no example"]
        if bool((is_support[1:] & ~is_support[:-1]).any()):
            return ["the support set does not come first"]
        return []

    def output_problems(self, outputs: Any, batch: Any) -> list[str]:
        """Return why outputs are no embeddings; see `Task`."""
        if not isinstance(outputs, Tensor) or outputs.dim() != 2 or len(outputs) != len(batch[1]):
            return [f"the network gives {describe_value(outputs)} for {len(batch[1])} inputs, expected (n, d)"]
        return []


def _is_whole(targets: Tensor) -> bool:
    """Return whether there are queries and a support set; the few rows on which a network is tried may lack them."""
    is_support = targets < 0
    return bool(is_support.any()) and not bool(is_support.all())
