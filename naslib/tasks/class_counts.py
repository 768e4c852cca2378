"""Counts by class: how often each class was taken for which, summed in the pass that measures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

# With more classes the whole matrix is not kept: it would take 8 bytes times their square.
MOST_IN_MATRIX = 1000


class ToldClasses(Protocol):
    """What the counts ask of a task."""

    def class_pairs(self, outputs: Any, batch: Any) -> tuple[Tensor, Tensor, int] | None:
        """Return true and predicted classes, both `(n,)`, and how many classes there are; see `Task`."""


class ClassCounts:
    """Count, over batches, the true and the predicted class of every prediction, without waiting for the device.

    Up to 1,000 classes there is a matrix of all pairs; with more of them only hits, predictions and occurrences of each
    class are kept, so that memory grows with their number and not with its square.

    Args:
        task: Says what the classes are (`Task.class_pairs`); one without classes leaves the counts empty.
    """

    def __init__(self, task: ToldClasses) -> None:
        self.task = task
        self._k = 0
        self._pairs: Tensor | None = None
        self._sums: Tensor | None = None

    @torch.no_grad()
    def update(self, outputs: Any, batch: Any) -> None:
        """Add a batch.

        Args:
            outputs: What `task.forward` returned.
            batch: What `task.to_device` returned.
        """
        found = self.task.class_pairs(outputs, batch)
        if found is None:
            return
        true, predicted, k = found
        if self._k != k:
            self._k = k
            self._pairs = self._sums = None
            if k <= MOST_IN_MATRIX:
                self._pairs = torch.zeros(k * k + 1, dtype=torch.int64, device=true.device)
            else:
                self._sums = torch.zeros(3, k + 1, dtype=torch.int64, device=true.device)
        # What is no class (pixels that do not count) goes to a place of its own, which nobody reads
        counted = (true >= 0) & (true < k)
        ones = torch.ones_like(true)
        if self._pairs is not None:
            self._pairs.scatter_add_(0, torch.where(counted, true * k + predicted, k * k), ones)
        elif self._sums is not None:
            rows = (
                torch.where(counted & (true == predicted), true, k),
                torch.where(counted, predicted, k),
                torch.where(counted, true, k),
            )
            for row, where in zip(self._sums, rows, strict=True):
                row.scatter_add_(0, where, ones)

    def matrix(self) -> list[list[int]] | None:
        """Return the confusion matrix (waits for the device): a row per true class, a column per predicted one.

        Returns:
            None where there are no classes, or more than 1,000.
        """
        if self._pairs is None:
            return None
        rows: list[list[int]] = self._pairs[:-1].view(self._k, self._k).tolist()
        return rows

    def per_class(self, names: Sequence[str] | None = None) -> list[dict[str, Any]] | None:
        """Return the scores of each class (waits for the device), in the order of the classes.

        Args:
            names: One per class; the numbers of the classes if None.

        Returns:
            None without classes, else of each `name`; `n`, how often it is the true class; `accuracy`, the percentage
            of these that are found, None where n is 0; and from 0 to 1 `recall`, the same as a share; `precision`, the
            share of its predictions that are right, None where it was never predicted; and `f1`, the harmonic mean of
            both, None where it neither is nor was predicted.
        """
        if self._pairs is not None:
            square = self._pairs[:-1].view(self._k, self._k)
            sums = [square.diagonal(), square.sum(dim=0), square.sum(dim=1)]
        elif self._sums is not None:
            sums = list(self._sums[:, :-1])
        else:
            return None
        names = self.names(names)
        return [_scores(name, *row) for name, *row in zip(names, *(s.tolist() for s in sums), strict=True)]

    def names(self, given: Sequence[str] | None) -> list[str]:
        """Return the names of the classes: those that are given, if they are as many, else their numbers."""
        if given is not None and len(given) == self._k:
            return [str(name) for name in given]
        return [str(number) for number in range(self._k)]

    def summary(self, names: Sequence[str] | None = None) -> dict[str, Any]:
        """Return the entries of `summary.json`: `class_names`, `per_class`, `confusion_matrix`; {} without classes.

        Args:
            names: One per class; the numbers of the classes if None.
        """
        found = self.per_class(names)
        if found is None:
            return {}
        return {"class_names": self.names(names), "per_class": found, "confusion_matrix": self.matrix()}


def _scores(name: str, hits: int, predicted: int, n: int) -> dict[str, Any]:
    return {
        "name": name,
        "n": n,
        "accuracy": 100 * hits / n if n else None,
        "precision": hits / predicted if predicted else None,
        "recall": hits / n if n else None,
        "f1": 2 * hits / (n + predicted) if n + predicted else None,
    }
