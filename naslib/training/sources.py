"""Sources: epochs of batches that can be opened at any position, of our loaders and of anybody's."""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor

from naslib.data.epoch_loader import ALONE
from naslib.errors import CheckpointError
from naslib.utils.log import get_logger
from naslib.utils.seeding import rng_restore, rng_snapshot
from naslib.utils.text import listed

from .randomness import LoaderState, keeps_workers
from .shares import ranks_of

logger = get_logger(__name__)


class BatchSource(ABC):
    """Epochs of batches that can be opened at any position."""

    @abstractmethod
    def open(self, epoch: int, start: int, replay: dict[str, Any] | None) -> Iterator[Any]:
        """Return the batches of `epoch` from number `start` on.

        Args:
            epoch: Number of the epoch.
            start: How many batches to leave out.
            replay: What `opening_state` returned when this epoch was first opened; None for a fresh epoch.
        """

    @abstractmethod
    def opening_state(self) -> dict[str, Any] | None:
        """Return what `open` needs to repeat the epoch that begins now, None if its number suffices."""

    def position_state(self) -> dict[str, Any] | None:
        """Return what changes in the loader from batch to batch, None for nothing."""
        return None

    def go_to(self, state: dict[str, Any], ended: bool) -> None:  # noqa: B027 - a hook, empty by default
        """Take what `position_state` returned.

        Args:
            state: That.
            ended: Whether it is of the end of an epoch, so that `open` will not be asked to repeat one.
        """


class SeededSource(BatchSource):
    """A loader of ours, whose batches derive from (seed, epoch, index).

    Args:
        loader: The loader.
        is_joined: Whether what reads the batches joins those of all ranks.
    """

    def __init__(self, loader: Any, is_joined: bool = False) -> None:
        self.loader = loader
        ranks = ranks_of(loader, is_joined)
        self._ranks: dict[str, Any] = {} if ranks == ALONE else {"ranks": ranks}

    def open(self, epoch: int, start: int, replay: dict[str, Any] | None) -> Iterator[Any]:
        """Return the batches from `start` on, without making those before; of several ranks the rows of this one."""
        return iter(self.loader.batches(epoch, start, **self._ranks))

    def opening_state(self) -> dict[str, Any] | None:
        """Return None."""
        return None


class ReplayedSource(BatchSource):
    """Any iterable of batches: the state an epoch began with is kept, and consumed batches are replayed.

    The state is that of the global generators and what the loader carries itself (see `LoaderState`). Where that is
    not all, a resumption says so.

    Args:
        loader: The iterable.
        name: For messages ("training", "validation").
    """

    def __init__(self, loader: Iterable[Any], name: str = "training") -> None:
        self.loader, self.name = loader, name
        self.carried = LoaderState(loader)
        self._labels: int | None = None
        self._resumed: dict[str, Any] = {}
        # What was loaded into parts with a state of their own, which they need not give back before they are used.
        self._loaded: dict[str, Any] | None = None
        self._restarts = False

    def open(self, epoch: int, start: int, replay: dict[str, Any] | None) -> Iterator[Any]:
        """Return the batches from `start` on; with `replay` under the state that the epoch began with."""
        if replay is None:
            return self._watched(self._begin(epoch))
        now, carried = rng_snapshot(), self.carried.capture(stateful={})
        carried_then = replay.get("carried")
        problems = self.carried.restore(carried_then) if carried_then else _of_an_earlier_version(carried)
        self._wake_workers(carried_then or {})
        self._restarts = bool((carried_then or {}).get("stateful"))
        rng_restore(replay["rng"])
        iterator = self._watched(self._begin(epoch))
        for index in range(start):
            if next(iterator, None) is None:
                raise CheckpointError(
                    f"the {self.name} loader ended after {index} batches, but the checkpoint was made after {start}"
                )
        if start and self._resumed.get("labels", self._labels) != self._labels:
            problems.append("batches that were replayed have other labels than before")
        self._say(problems + list((carried_then or {}).get("unknown", ())))
        self.carried.restore(carried, stateful=False)
        rng_restore(now)
        return iterator

    def _begin(self, epoch: int) -> Iterator[Any]:
        parts = [self.loader, *(getattr(self.loader, name, None) for name in ("sampler", "batch_sampler", "dataset"))]
        for part in {id(part): part for part in parts}.values():
            set_epoch = getattr(part, "set_epoch", None)
            if callable(set_epoch):
                set_epoch(epoch)
        if self._resumed.get("workers"):
            self._wake_workers(self._resumed)
        self._resumed.pop("workers", None)
        self._loaded = None
        restarts, self._restarts = self._restarts, False
        return self._past_the_end() if restarts else iter(self.loader)

    def _past_the_end(self) -> Iterator[Any]:
        """Yield the batches of a loader whose state between two epochs was loaded.

        Some go on with the epoch that was over, which is nothing, before they begin the next one.
        """
        first = True
        for batch in self.loader:
            first = False
            yield batch
        if first:
            yield from self.loader

    def _wake_workers(self, state: Mapping[str, Any]) -> None:
        """Start workers that live through epochs, where they ran at this point: starting them draws a number."""
        if state.get("workers") and not keeps_workers(self.loader):
            random_state, carried = rng_snapshot(), self.carried.capture(stateful={})
            iter(self.loader)
            self.carried.restore(carried, stateful=False)
            rng_restore(random_state)

    def _watched(self, batches: Iterator[Any]) -> Iterator[Any]:
        """Yield the batches and remember the labels of the last one."""
        for batch in batches:
            self._labels = _checksum_of_labels(batch)
            yield batch

    def opening_state(self) -> dict[str, Any]:
        """Return the global random state and what the loader carries."""
        return {"rng": rng_snapshot(), "carried": self.carried.capture(self._loaded)}

    def position_state(self) -> dict[str, Any]:
        """Return what the loader carries now, and a checksum of the labels of the last batch."""
        return {**self.carried.capture(self._loaded), "labels": self._labels}

    def go_to(self, state: dict[str, Any], ended: bool) -> None:
        """Take a `position_state`; the batches of an epoch that has not ended are replayed by `open`."""
        self._resumed, self._labels, self._loaded = dict(state), state["labels"], state["stateful"]
        problems = self.carried.restore(state, stateful=ended)
        if ended:
            self._restarts = bool(state["stateful"])
            self._say(problems + list(state["unknown"]))
        else:
            del self._resumed["workers"]  # `open` knows whether they ran when the epoch began

    def state_dict(self) -> dict[str, Any]:
        """Return the state between two epochs."""
        return self.position_state()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take the state between two epochs."""
        self.go_to(state, ended=True)

    def _say(self, problems: Sequence[str]) -> None:
        if problems:
            logger.warning(
                "the %s loader (%s) may go on with other batches than if the run had not been interrupted: %s. "
                "Exact are loaders whose random numbers come from generators in their attributes, and those with "
                "state_dict() and load_state_dict()",
                self.name, type(self.loader).__name__, listed(list(dict.fromkeys(problems))),
            )  # fmt: skip


def _of_an_earlier_version(carried: Mapping[str, Any]) -> list[str]:
    has = carried["generators"]
    return ["the checkpoint is of an earlier version, which kept nothing of what the loader carries"] if has else []


def _checksum_of_labels(batch: Any) -> int | None:
    """Return a checksum of the integers that come second in a batch, None where there are none.

    They tell the order of the images. The images themselves may have been changed with random numbers that the training
    draws from as well, and then differ in a replay without harm.
    """
    if not isinstance(batch, tuple | list) or len(batch) < 2 or not isinstance(batch[1], Tensor):
        return None
    labels = batch[1]
    if labels.device.type != "cpu" or labels.is_floating_point() or labels.is_complex():
        return None
    return zlib.crc32(labels.contiguous().numpy().tobytes())


def is_seeded(loader: Any) -> bool:
    """Return whether a loader's batches derive from their numbers alone, as those of our loaders do."""
    return callable(getattr(loader, "batches", None))
