"""Loaders: cursors over batches that can be put down and taken up again, for our loaders and for anybody's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch

from naslib.data.epoch_loader import EpochLoader
from naslib.errors import DataError
from naslib.optimizers.core.metaclasses import Batch as Batch
from naslib.tasks import Classification, Task
from naslib.utils.passage import Memory
from naslib.utils.seeding import rng_restore, rng_snapshot

from .batch_check import check_first
from .lengths import explain_no_batches, iter_is_once, length_of
from .randomness import LoaderState
from .shares import check_not_shared_out, check_same, count_rows, joins_ranks
from .sources import BatchSource, ReplayedSource, SeededSource, is_seeded

# What no loader yields, as None can be (of a function that forgets to return)
_END = object()


class BatchCursor:
    """A place in the batches of a loader; its iterator lives as long as the epoch does.

    Args:
        loader: A loader of ours, or any iterable of batches that the task understands.
        device: Where batches go.
        channels_last: Whether images get the channels-last memory format.
        name: For messages ("training", "validation").
        task: What a batch is; the first one is compared with it. None: pairs of any kind. For a joined task the batches
            are the rows of this rank.

    Attributes:
        rows: How many rows the batches had that were handed out, those of all ranks together.

    Raises:
        DataError: If the loader gives each of several ranks other batches.
    """

    def __init__(
        self,
        loader: Any,
        device: torch.device,
        channels_last: bool = False,
        name: str = "training",
        task: Task | None = None,
    ) -> None:
        self._is_joined = joins_ranks(task)
        self._is_ours = isinstance(loader, EpochLoader)
        if not self._is_ours:
            check_not_shared_out(loader, name)
        seeded = is_seeded(loader)
        self.source: BatchSource = SeededSource(loader, self._is_joined) if seeded else ReplayedSource(loader, name)
        self.loader = loader
        self.name = name
        self.epoch = 0
        self.position = 0
        self._device = device
        self._format = torch.channels_last if channels_last else torch.preserve_format
        self._iterator: Iterator[Any] | None = None
        self._replay: dict[str, Any] | None = None
        self._ended = False
        self._length = length_of(loader)
        self._task = task if task is not None else Classification()
        self._memory: Memory | None = None
        self.rows = 0
        self._is_checked = task is None

    @property
    def length(self) -> int | None:
        """Number of batches of an epoch, None if the loader does not tell."""
        return self._length

    def begin(self, epoch: int) -> None:
        """Go to the first batch of `epoch`."""
        self.epoch, self.position, self._ended, self._memory = epoch, 0, False, None
        self._replay = self.source.opening_state()
        self._iterator = self.source.open(epoch, 0, None)

    def next_in_epoch(self) -> Batch | None:
        """Return the next batch of the epoch, None at its end.

        Raises:
            DataError: If the epoch has not a single batch.
        """
        if self._iterator is None:
            self._iterator = self.source.open(self.epoch, self.position, self._replay)
        batch = next(self._iterator, _END)
        if batch is _END:
            if self.position == 0:
                raise DataError(explain_no_batches(self.loader, self.name, self.epoch))
            self._ended = True
            return None
        if self._is_joined and not self._is_ours:
            check_same(batch, self.name, self.epoch, self.position)
        self.position += 1
        self.rows += count_rows(batch)
        moved = self._to_device(batch)
        self._memory = self._task.remember(moved, self._memory)
        return moved

    def next_cycling(self) -> Batch:
        """Return the next batch, beginning the next epoch where one ends.

        Raises:
            DataError: If an epoch has not a single batch.
        """
        if self._iterator is None and self._replay is None and self.position == 0:
            self.begin(self.epoch)
        batch = self.next_in_epoch()
        if batch is None:
            self.begin(self.epoch + 1)
            batch = self.next_in_epoch()
        if batch is None:  # cannot be: `next_in_epoch` raises at the beginning of an epoch
            raise DataError(explain_no_batches(self.loader, self.name, self.epoch))
        return batch

    def _to_device(self, batch: Any) -> Batch:
        try:
            moved = self._task.to_device(batch, self._device, self._format)
        except DataError as error:
            raise DataError(
                f"batch {self.position - 1} of the {self.name} loader (counted from 0) cannot be understood: {error}"
            ) from error
        if not self._is_checked:
            check_first(self._task, moved, self.name)
            self._is_checked = True
        return moved

    def state_dict(self) -> dict[str, Any]:
        """Return the place."""
        state = {"epoch": self.epoch, "position": self.position, "replay": self._replay}
        if self._memory is not None:
            state["memory"] = dict(self._memory.after)
        return {**state, "ended": self._ended, "now": self.source.position_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go to the place of a checkpoint; batches are replayed when the next one is asked for."""
        self.epoch, self.position, self._replay = state["epoch"], state["position"], state["replay"]
        self._iterator = None
        self._ended = state.get("ended", False)
        self._memory = None
        if state.get("memory") is not None:
            self._memory = Memory()
            self._memory.after = dict(state["memory"])
        if state.get("now") is not None:
            self.source.go_to(state["now"], self._ended or self._replay is None)


def move_batches(
    loader: Iterable[Any],
    device: torch.device,
    channels_last: bool = False,
    name: str = "training",
    task: Task | None = None,
) -> Iterator[Batch]:
    """Yield all batches of a loader once, on `device`, without disturbing its order in training.

    Args:
        loader: The loader.
        device: Where batches go.
        channels_last: Whether images get the channels-last memory format.
        name: What messages call it.
        task: What a batch is; None: pairs of any kind.

    Raises:
        DataError: If there is none.
    """
    cursor = BatchCursor(loader, device, channels_last, name, task)
    cursor.begin(0)
    while (batch := cursor.next_in_epoch()) is not None:
        yield batch


class OnePass:
    """One pass over the batches of a loader on the device, as often as it is iterated; its training order is kept.

    Args:
        loader: A loader of ours, or any iterable of batches that the task understands.
        device: Where batches go.
        channels_last: Whether images get the channels-last memory format.
        name: What messages call it.
        task: What a batch is; None: pairs of any kind.
    """

    def __init__(
        self,
        loader: Any,
        device: torch.device,
        channels_last: bool = False,
        name: str = "training",
        task: Task | None = None,
    ) -> None:
        self._arguments = (loader, device, channels_last, name, task)

    def __iter__(self) -> Iterator[Batch]:
        """Return an iterator over all batches."""
        return move_batches(*self._arguments)


class GivenBack(Iterator[Any]):
    """An iterator that yields again what was taken from it, so that nobody misses it.

    Args:
        taken: What was taken.
        rest: The iterator.
    """

    __slots__ = ("_taken", "rest")

    def __init__(self, taken: Any, rest: Iterator[Any]) -> None:
        self._taken, self.rest = [taken], rest

    def __next__(self) -> Any:
        return self._taken.pop() if self._taken else next(self.rest)


def look_at(loader: Any, task: Task | None, name: str) -> tuple[Batch, Any]:
    """Return the first batch of a loader, compared with the task, and the loader as it was before.

    Returns:
        The batch on the CPU, and the loader; in the place of an iterator, which cannot go back, one that yields the
        batch once more.

    Raises:
        DataError: If it has no batches, or they are none of the task.
    """
    if iter_is_once(loader):
        taken = next(loader, None)
        if taken is None:
            raise DataError(explain_no_batches(loader, name))
        cpu = torch.device("cpu")
        return next(move_batches([taken], cpu, name=name, task=task)), GivenBack(taken, loader)
    random_state, carried = rng_snapshot(), LoaderState(loader)
    before = carried.capture()
    batch = next(move_batches(loader, torch.device("cpu"), name=name, task=task))
    carried.restore(before)
    rng_restore(random_state)
    return batch, loader


def image_shape(loader: Any, task: Task | None = None, name: str = "test") -> tuple[int, ...]:
    """Return the shape of one input of a loader; of one that does not tell, the first batch is looked at.

    Args:
        loader: The loader.
        task: What a batch is; None: pairs of any kind.
        name: What messages call the loader.

    Raises:
        DataError: If it has no batches, or they are none of the task.
    """
    info = getattr(loader, "info", None)
    if info is not None:
        return tuple(info.input_shape)
    shape: tuple[int, ...] = (task or Classification()).shape_of(look_at(loader, task, name)[0])
    return shape
