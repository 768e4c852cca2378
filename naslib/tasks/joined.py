"""Joined: a task whose batches are gone over in parts, by several ranks and in several passes, as if they were not."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch

from naslib.errors import ConfigError, DataError
from naslib.utils.distributed import (
    LocalRows,
    broadcast_object,
    gather_objects,
    is_distributed,
    is_shared,
    share_of,
    world_size,
)
from naslib.utils.joined_forward import drops_rows, on_rows
from naslib.utils.passage import Memory, Passage
from naslib.utils.rows import HeldRows, held_rows, holding_rows, wants_whole_batches

from .accumulation import shares, weigher_of
from .fields import describe_value
from .parts_of_batch import SharedRows, count_rows, cut, gathered, joined_outputs
from .task import Task


@dataclass(frozen=True)
class Sharing:
    """How the rows of a batch are gone over.

    Attributes:
        synced: Whether batch norm is by the rows of all ranks.
        accumulate: In how many passes.
    """

    synced: bool = False
    accumulate: int = 1

    @property
    def least(self) -> int:
        """Rows that every rank must have: batch norm cannot be by a single one."""
        return 1 if self.synced else 2


class _Joined(Task):
    """What `joined` puts before the class of a task: the forward on parts of a batch."""

    sharing: Sharing

    def to_device(
        self, batch: Any, device: torch.device, memory_format: torch.memory_format = torch.preserve_format
    ) -> Any:
        """Return a batch on a device; the rows of this rank alone look like the joined batch."""
        if not isinstance(batch, LocalRows):
            return super().to_device(batch, device, memory_format)
        local = super().to_device(batch.batch, device, memory_format)
        n = count_rows(local)
        if n is None:
            raise DataError(f"rows of a rank must be a tensor or hold some, got {describe_value(local)}")
        if type(local) is tuple:
            return SharedRows(local, batch.total)
        if isinstance(local, Passage):
            tokens = gathered(tuple(local), n, batch.total)
            return Passage(tokens, local.goes_on, local.share, local.memory)
        return gathered(local, n, batch.total)

    def device_of(self, batch: Any) -> torch.device:
        """Return where a batch is."""
        return super().device_of(batch.local if isinstance(batch, SharedRows) else batch)

    def shape_of(self, batch: Any) -> tuple[int, ...]:
        """Return the shape of one input of a batch; () where it holds no tensor."""
        return super().shape_of(batch.local if isinstance(batch, SharedRows) else batch)

    def forward(self, model: Callable[..., Any], batch: Any) -> Any:
        """Return the outputs of a network for all rows of a batch.

        Args:
            model: The network, or a function that calls it.
            batch: The joined batch, or the rows of this rank (`SharedRows`).
        """
        n = batch.total if isinstance(batch, SharedRows) else count_rows(batch)
        if n is None or not self.SHARES_ROWS or wants_whole_batches():
            return super().forward(model, batch)
        held = held_rows()
        if held is not None and len(held) == n:
            return self._forward_rows(model, batch, held)
        device = self.device_of(batch)
        states, outputs = _random_states(device), []
        for number, (rows, part) in enumerate(_passes(batch, n, self.sharing)):
            with _drawing_from(states, device) if number else nullcontext():
                outputs.append(self._forward_rows(model, part, rows))
        return joined_outputs(outputs)

    def _forward_rows(self, model: Callable[..., Any], batch: Any, rows: HeldRows) -> Any:
        """Return the outputs for some rows, of which this rank runs its share."""
        n = len(rows)
        if rows.is_share or not is_shared(n, self.sharing.least):
            with on_rows(rows if len(rows) == rows.total else replace(rows, drops=drops_rows(model))):
                return super().forward(model, batch)
        mine = share_of(n)
        local = batch.local if isinstance(batch, SharedRows) else cut(batch, mine, n)
        own = rows.within(mine, n, self.sharing.synced, drops_rows(model))
        with on_rows(own):
            outputs = super().forward(model, local)
        if n % world_size():
            _agree_on_generators(self.device_of(local))
        if isinstance(batch, Passage) and isinstance(local, Passage):
            _gather_memory(local.memory, batch.memory, len(own), n)
        return gathered(outputs, len(own), n)

    def __reduce__(self) -> Any:
        return joined, (unjoined(self), self.sharing.synced, self.sharing.accumulate)


_classes: dict[type[Task], type[_Joined]] = {}


def joined(task: Task, synced: bool = False, accumulate: int = 1, key: str = "search.accumulate") -> Task:
    """Return a task that does what `task` does, and goes over its batches in parts.

    On several ranks a forward runs on the rows of this rank alone, and its outputs are those of all ranks, gathered so
    that they can be differentiated: losses, scores, rewards and whatever follows from them are of the joined batch, and
    the same on all ranks. The gradient of a loss is the mean over ranks of what autograd gives
    (`naslib.utils.distributed.mean_over_ranks_`). A batch too small to be shared out is computed whole on every rank.

    Args:
        task: The task.
        synced: Whether batch norm is by the rows of all ranks, rather than by those of each.
        accumulate: In how many passes a batch is gone over.
        key: What a person set that by, for messages.

    Returns:
        The task itself, where there is one rank and one pass.

    Raises:
        ConfigError: If the loss cannot be put together from those of several passes.
    """
    if isinstance(task, _Joined):
        task = unjoined(task)
    check_accumulate(task, accumulate, key)
    if not is_distributed() and accumulate <= 1:
        return task
    kind = type(task)
    if kind not in _classes:
        names = {"__module__": kind.__module__, "__qualname__": kind.__qualname__, "__doc__": kind.__doc__}
        _classes[kind] = type(kind.__name__, (_Joined, kind), names)
    found = object.__new__(_classes[kind])
    found.__dict__.update(task.__dict__)
    found.sharing = Sharing(synced, accumulate)
    return found


def unjoined(task: Task) -> Task:
    """Return the task that `joined` was given, as it is now."""
    if not isinstance(task, _Joined):
        return task
    found: Task = object.__new__(next(cls for cls in type(task).__mro__[1:] if cls is not _Joined))
    found.__dict__.update({name: value for name, value in task.__dict__.items() if name != "sharing"})
    return found


def is_joined(task: Task) -> bool:
    """Say whether a task is one that `joined` made."""
    return isinstance(task, _Joined)


def sharing_of(task: Task) -> Sharing:
    """Return how a task goes over its batches."""
    return task.sharing if isinstance(task, _Joined) else Sharing()


# passes


@dataclass(frozen=True)
class Pass:
    """One pass over a part of a batch.

    Attributes:
        batch: The part.
        share: By what its loss is multiplied, so that the sum over passes is the loss of the batch.
        rows: Which rows it has; None for all.
    """

    batch: Any
    share: float
    rows: HeldRows | None = None

    @contextmanager
    def running(self) -> Iterator[None]:
        """Let the forwards inside run on these rows."""
        if self.rows is None:
            yield
            return
        with holding_rows(self.rows):
            yield


def passes_over(task: Task, batch: Any) -> list[Pass]:
    """Return the passes over a batch: one, unless the task accumulates.

    Parts may weigh nothing, as all their targets are ignored: their loss is no number.
    """
    sharing = sharing_of(task)
    n = batch.total if isinstance(batch, SharedRows) else count_rows(batch)
    if sharing.accumulate <= 1 or n is None or not task.SHARES_ROWS or held_rows() is not None:
        return [Pass(batch, 1.0)]
    found = list(_passes(batch, n, sharing))
    if len(found) == 1:
        return [Pass(batch, 1.0)]
    parts = [part for _, part in found]
    weights = shares(weigher_of(task), parts)
    return [Pass(part, float(share), rows) for (rows, part), share in zip(found, weights, strict=True)]


def _passes(batch: Any, n: int, sharing: Sharing) -> Iterator[tuple[HeldRows, Any]]:
    """Yield the rows of each pass and the part of the batch; as many passes as every rank has rows for."""
    count = min(sharing.accumulate, max(1, n // (sharing.least * world_size())))
    if count == 1:
        yield HeldRows(0, n, n), batch
        return
    batch = tuple(batch) if isinstance(batch, SharedRows) else batch
    for number in range(count):
        part = share_of(n, number, count)
        yield HeldRows(part.start, part.stop, n), cut(batch, part, n)


def join_passes(outputs: Sequence[Any]) -> Any:
    """Return the outputs of passes as those of the batch."""
    return joined_outputs(outputs)


def found_by_all(task: Task, found: Any, batch: Any) -> Any:
    """Return what a forward on a batch gave beside its outputs (auxiliary outputs), with the rows of all ranks.

    Args:
        task: The task.
        found: A nest of tensors.
        batch: The batch.
    """
    n = batch.total if isinstance(batch, SharedRows) else count_rows(batch)
    if not isinstance(task, _Joined) or n is None or not task.SHARES_ROWS or not is_shared(n, task.sharing.least):
        return found
    mine = share_of(n)
    return gathered(found, mine.stop - mine.start, n)


# what ranks must agree on


def _agree_on_generators(device: torch.device) -> None:
    """Let all ranks go on with the random state of rank 0, where a forward on unequal shares drew differently."""
    states = _random_states(device)
    digest = hashlib.sha256(b"".join(state.numpy().tobytes() for state in states)).digest()
    if len(set(gather_objects(digest))) > 1:
        _set_random_states(broadcast_object(states), device)


def _random_states(device: torch.device) -> list[torch.Tensor]:
    states = [torch.get_rng_state()]
    return [*states, torch.cuda.get_rng_state(device)] if device.type == "cuda" else states


def _set_random_states(states: Sequence[torch.Tensor], device: torch.device) -> None:
    torch.set_rng_state(states[0])
    for state in states[1:]:
        torch.cuda.set_rng_state(state, device)


@contextmanager
def _drawing_from(states: Sequence[torch.Tensor], device: torch.device) -> Iterator[None]:
    """Let the forward inside draw what was drawn from a state on; afterwards the generators go on as before."""
    before = _random_states(device)
    _set_random_states(states, device)
    try:
        yield
    finally:
        _set_random_states(before, device)


def _gather_memory(local: Memory, memory: Memory, n: int, total: int) -> None:
    """Give the joined batch what the network remembers of all ranks' rows."""
    memory.after = gathered(local.after, n, total)
    memory._notes = [gathered(note, n, total) for note in local.take_notes()]


def check_accumulate(task: Task, accumulate: int, key: str = "search.accumulate") -> None:
    """Raise if batches of a task cannot be gone over in several passes.

    Raises:
        ConfigError: Saying why.
    """
    if accumulate < 1:
        raise ConfigError(f"{key} must be 1 or more, got {accumulate}")
    if accumulate > 1:
        weigher_of(task, key)
