"""Rows: which rows of a joined batch a forward runs on, where it runs on some of them only.

Who runs a network on a part of a batch says so (`holding_rows`); what is drawn for each row is then drawn for all rows
of the joined batch and cut (`draw_for_rows`), so that it does not depend on how the batch was shared out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class HeldRows:
    """Rows of a joined batch.

    Attributes:
        start: The first.
        stop: The one after the last.
        total: How many the joined batch has.
        together: How many rows all ranks run on in the same forward; 0 where it is not shared out.
        is_synced: Whether batch norm is by the rows of all ranks.
        drops: Whether the network may have dropout.
    """

    start: int
    stop: int
    total: int
    together: int = 0
    is_synced: bool = False
    drops: bool = False

    @property
    def is_share(self) -> bool:
        """Whether other ranks run on other rows of the same forward."""
        return self.together > 0

    def __len__(self) -> int:
        return self.stop - self.start

    def within(self, part: slice, together: int = 0, is_synced: bool = False, drops: bool = False) -> HeldRows:
        """Return some of these rows, counted from the first of them."""
        return HeldRows(self.start + part.start, self.start + part.stop, self.total, together, is_synced, drops)


_held: ContextVar[HeldRows | None] = ContextVar("held_rows", default=None)
_is_whole: ContextVar[bool] = ContextVar("whole_batches", default=False)


def held_rows() -> HeldRows | None:
    """Return the rows that the forward runs on; None for all there are."""
    return _held.get()


@contextmanager
def holding_rows(rows: HeldRows | None) -> Iterator[None]:
    """Say that the forwards inside run on these rows."""
    token = _held.set(rows)
    try:
        yield
    finally:
        _held.reset(token)


@contextmanager
def whole_batches() -> Iterator[None]:
    """Let every rank run the forwards inside on whole batches, for what looks into a network while it runs."""
    token = _is_whole.set(True)
    try:
        yield
    finally:
        _is_whole.reset(token)


def wants_whole_batches() -> bool:
    """Say whether batches are not to be shared out now."""
    return _is_whole.get()


def is_synced() -> bool:
    """Say whether batch norm is by the rows of all ranks now."""
    rows = _held.get()
    return rows is not None and rows.is_synced


def draw_for_rows(shape: Sequence[int], draw: Callable[[Sequence[int]], Tensor]) -> Tensor:
    """Return what is drawn for the rows of a forward: of what is drawn for the joined batch, their part.

    `(n, ...)` of any n and what follows.

    Args:
        shape: Of the result; the rows come first. With another first size nothing is cut.
        draw: Draws a tensor of a shape.
    """
    rows = _held.get()
    if rows is None or shape[0] != len(rows):
        return draw(shape)
    return draw((rows.total, *shape[1:]))[rows.start : rows.stop]
