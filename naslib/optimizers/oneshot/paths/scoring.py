"""Score paths of a supernet by the score of the task on validation batches, and leave the supernet as it was."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn

from naslib.errors import DataError
from naslib.optimizers.core.metaclasses import Batch
from naslib.search_spaces.core.assignment import assigned
from naslib.search_spaces.core.batch_norm import batch_norm_modules
from naslib.search_spaces.core.batch_norm import evaluation_mode as evaluation_mode
from naslib.search_spaces.core.codec import Code
from naslib.tasks.meter import Tally
from naslib.utils.distributed import mean_over_ranks_

from .host import PathHost

# What forwards on other rows differ in
STATISTICS = ("running_mean", "running_var")


class PathScorer:
    """Measure paths with the weights that they share.

    A *quality* is the deciding score of the task (accuracy in percent), negated where less of it is better.

    Args:
        optimizer: Whose supernet.
        train_batches: Batches for the recalibration of batch norm; may be iterated again and again.
        valid_batches: Batches to measure on; the same.
        recalibration: On how many training batches the statistics of batch norm are estimated anew for each path; 0
            for the supernet's own.
    """

    def __init__(
        self,
        optimizer: PathHost,
        train_batches: Iterable[Batch],
        valid_batches: Iterable[Batch],
        recalibration: int = 0,
    ) -> None:
        self.optimizer = optimizer
        self.recalibration = recalibration
        self._train, self._valid = train_batches, valid_batches
        self._endless = _endlessly(valid_batches)

    def on_next(self, code: Code, n_batches: int = 1) -> float:
        """Return the quality on the next validation batches; after the last one comes the first again."""
        return self._quality(code, (next(self._endless) for _ in range(n_batches)))

    def on_all(self, code: Code) -> float:
        """Return the quality on all validation batches."""
        return self._quality(code, self._valid)

    def show(self, quality: float) -> str:
        """Return a quality as people read the score."""
        score = self.optimizer.task.score
        return score.show(score.quality(quality))  # negating twice is nothing

    def image_shape(self) -> tuple[int, ...]:
        """Return channels, height and width of the validation images."""
        return self.optimizer.task.shape_of(next(_endlessly(self._valid)))

    @torch.no_grad()
    def _quality(self, code: Code, batches: Iterable[Batch]) -> float:
        optimizer = self.optimizer
        optimizer.use(code)
        graph, norms = optimizer.graph, batch_norm_modules(optimizer.graph)
        tracked = [norm for norm in norms if norm.track_running_stats]
        anew = recalibrated(tracked if self.recalibration else [])
        with assigned(optimizer.standing()), evaluation_mode(graph), anew as has_norms:
            if has_norms:
                for norm in tracked:
                    norm.train()
                for _, batch in zip(range(self.recalibration), _endlessly(self._train), strict=False):
                    optimizer.outputs(batch)
                mean_over_ranks_([norm.get_buffer(name) for norm in tracked for name in STATISTICS])
                graph.eval()
            tally = Tally(optimizer.task)
            for batch in batches:
                tally.add(optimizer.outputs(batch), batch)
        value = tally.value()
        if value is None:
            raise DataError("the architecture is chosen on validation batches, and there are none")
        return optimizer.task.score.quality(value)


@contextmanager
def recalibrated(norms: Sequence[nn.Module]) -> Iterator[bool]:
    """Reset running statistics so that the forwards inside average over their batches; restore them on leaving.

    Args:
        norms: BN modules with running statistics.

    Yields:
        Whether there are any.
    """
    states = [({k: v.clone() for k, v in norm.state_dict().items()}, norm.momentum) for norm in norms]
    for norm in norms:
        norm.reset_running_stats()  # type: ignore[operator]
        norm.momentum = None  # type: ignore[assignment]  # the cumulative average
    try:
        yield bool(norms)
    finally:
        for norm, (state, momentum) in zip(norms, states, strict=True):
            norm.load_state_dict(state)
            norm.momentum = momentum


def _endlessly(batches: Iterable[Batch]) -> Iterator[Batch]:
    """Yield batches pass after pass."""
    while True:
        found = False
        for batch in batches:
            found = True
            yield batch
        if not found:
            raise DataError("the architecture is chosen on batches of the search, and there are none")
