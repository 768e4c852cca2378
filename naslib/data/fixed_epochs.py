"""Epochs of a fixed number of batches, for loaders that never end."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

from naslib.errors import DataError


class FixedEpochs:
    """Let every epoch be the next `steps` batches of a loader that never ends, or is longer than an epoch is to be.

    A loader begins anew with each epoch; an iterator (a generator, `itertools.cycle`) goes on where it was.

    Args:
        loader: Yields batches.
        steps: How many of them are an epoch.

    Raises:
        DataError: If `steps` is less than 1, or, while an epoch runs, if the loader has fewer.
    """

    def __init__(self, loader: Iterable[Any], steps: int) -> None:
        if steps < 1:
            raise DataError(f"an epoch needs at least one batch, got steps={steps}")
        self.loader, self.steps = loader, int(steps)

    def __len__(self) -> int:
        """Return the number of batches of an epoch."""
        return self.steps

    def __iter__(self) -> Iterator[Any]:
        """Yield the batches of one epoch."""
        count = 0
        for batch in itertools.islice(iter(self.loader), self.steps):
            count += 1
            yield batch
        if count < self.steps:
            raise DataError(f"the loader ended after {count} of the {self.steps} batches that are to be an epoch")
