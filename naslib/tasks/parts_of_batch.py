"""Parts of a batch: rows cut from what a task understands, and outputs put together again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from naslib.errors import ConfigError
from naslib.utils.distributed import gather_rows
from naslib.utils.passage import Memory, Passage

from .fields import describe_value, first_tensor


class SharedRows(tuple[Any, ...]):
    """A batch of which this rank has some rows; what is asked of it is gathered from all ranks, when it is asked.

    It looks like the joined batch: its items are those of all ranks, the same ones everywhere.

    Attributes:
        local: The batch of this rank's rows.
        total: Rows of the joined batch.
    """

    local: tuple[Any, ...]
    total: int
    _gathered: dict[int, Any]

    def __new__(cls, local: tuple[Any, ...], total: int) -> SharedRows:
        """Make one of the rows of this rank."""
        batch = super().__new__(cls, local)
        batch.local, batch.total, batch._gathered = local, total, {}
        return batch

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return tuple(self[place] for place in range(*index.indices(len(self.local))))
        place = range(len(self.local))[index]
        if place not in self._gathered:
            self._gathered[place] = gathered(self.local[place], count_rows(self.local) or 0, self.total)
        return self._gathered[place]

    def __iter__(self) -> Iterator[Any]:
        return (self[place] for place in range(len(self.local)))

    def __reduce__(self) -> Any:
        return tuple, (list(self),)


def count_rows(batch: Any) -> int | None:
    """Return how many rows a batch has: the first size of its first tensor; None where it has none."""
    tensor = first_tensor(batch)
    return len(tensor) if tensor is not None and tensor.dim() else None


def mapped(value: Any, function: Callable[[Tensor], Any]) -> Any:
    """Return a nest of tuples, lists and mappings with a function applied to its tensors, each of any shape."""
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, Mapping):
        return {key: mapped(item, function) for key, item in value.items()}
    if isinstance(value, list | tuple):
        items = [mapped(item, function) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return value


def cut(batch: Any, rows: slice, n: int) -> Any:
    """Return some rows of a batch: of all its tensors that have n.

    Args:
        batch: A tensor, or a nest of them; a `Passage` begins with the states of these rows.
        rows: Which.
        n: How many rows the batch has.
    """

    def rows_of(tensor: Tensor) -> Tensor:
        return tensor[rows] if tensor.dim() and len(tensor) == n else tensor

    if isinstance(batch, Passage):
        before = {name: rows_of(state) for name, state in batch.memory.before.items()}
        memory = Memory(before)
        memory.wants_notes = batch.memory.wants_notes
        return Passage(tuple(mapped(item, rows_of) for item in batch), batch.goes_on, batch.share, memory)
    return mapped(batch, rows_of)


def gathered(outputs: Any, n: int, total: int) -> Any:
    """Return a nest of tensors with the rows of all ranks.

    Args:
        outputs: Of this rank, n rows each, or the same number for each row; what is no tensor stays.
        n: Rows of this rank.
        total: Rows of the joined batch.

    Raises:
        ConfigError: If a tensor has no rows.
    """

    def of_all(tensor: Tensor) -> Tensor:
        if not tensor.dim() or not n or len(tensor) % n:
            raise ConfigError(
                f"on several ranks, outputs are put together row by row: of {n} inputs there is "
                f"{describe_value(tensor)}; expected {n} rows, so run it in one process"
            )
        if len(tensor) == n:
            return gather_rows(tensor, total)
        each = len(tensor) // n
        return gather_rows(tensor.unflatten(0, (n, each)), total).flatten(0, 1)

    return mapped(outputs, of_all)


def joined_outputs(parts: Sequence[Any]) -> Any:
    """Return outputs of several forwards as those of one: rows of tensors follow each other; of others the first."""
    first = parts[0]
    if len(parts) == 1:
        return first
    if isinstance(first, Tensor):
        return torch.cat(list(parts))
    if isinstance(first, Mapping):
        return {key: joined_outputs([part[key] for part in parts]) for key in first}
    if isinstance(first, list | tuple):
        items = [joined_outputs([part[place] for part in parts]) for place in range(len(first))]
        return type(first)(*items) if hasattr(first, "_fields") else type(first)(items)
    return first
