"""Ranks: which of several processes this one is, and what they tell each other. Alone, all of it does nothing.

The processes are joined by `torch.distributed`; a program that never joined them is rank 0 of 1. All ranks call the
same functions in the same order.

What is differentiated here follows one rule: each rank has a copy of every parameter and computes the same loss of the
joined outputs; the sum of all copies of the loss is what is differentiated, and `sum_of_ranks` (and with it
`gather_rows`) has the derivative of that sum. The gradient of the loss is then the mean over ranks of what autograd
gives on each (`mean_over_ranks_`), a second derivative likewise, and a term that all ranks compute alike stays what it
is.
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from naslib.errors import DataError, NASLibError, OptimizerStateError

T = TypeVar("T")


def is_distributed() -> bool:
    """Say whether this process is one of several."""
    return world_size() > 1


def rank() -> int:
    """Return the number of this process, from 0; 0 alone."""
    return dist.get_rank() if _is_joined() else 0


def world_size() -> int:
    """Return the number of processes; 1 alone."""
    return dist.get_world_size() if _is_joined() else 1


def is_main() -> bool:
    """Say whether this is the process that writes: rank 0."""
    return rank() == 0


def _is_joined() -> bool:
    return dist.is_available() and dist.is_initialized()


def _device(home: torch.device | None = None) -> torch.device:
    """Return where a tensor is exchanged: on its GPU where NCCL is joined, else on the CPU.

    Args:
        home: Where the tensor is; None for one that may be anywhere.
    """
    joined = dist.get_backend()  # "nccl", "gloo", or one for each kind of device: "cpu:gloo,cuda:nccl"
    if joined == "nccl" or ("nccl" in joined and home is not None and home.type == "cuda"):
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cpu")


# what all ranks are told


def barrier() -> None:
    """Wait until all ranks are here."""
    if is_distributed():
        dist.barrier()


def broadcast_object(value: T) -> T:
    """Return what rank 0 has: any value that can be pickled."""
    if not is_distributed():
        return value
    held = [value if is_main() else None]
    dist.broadcast_object_list(held, src=0, device=_device())
    return held[0]  # type: ignore[return-value]


def gather_objects(value: T) -> list[T]:
    """Return what each rank has, in their order."""
    if not is_distributed():
        return [value]
    held: list[Any] = [None] * world_size()
    dist.all_gather_object(held, value)
    return held


def any_rank(flag: bool) -> bool:
    """Say whether the flag is set on one rank or more."""
    if not is_distributed():
        return bool(flag)
    found = torch.tensor(int(flag), device=_device())
    dist.all_reduce(found, op=dist.ReduceOp.MAX)
    return bool(found)


def on_main(function: Callable[[], T]) -> T:
    """Run a function on rank 0 alone, and return its result, or raise its error, on all ranks.

    Args:
        function: What it returns can be pickled.

    Raises:
        NASLibError: On the other ranks, for an error that cannot be pickled; else the error itself.
    """
    if not is_distributed():
        return function()
    if not is_main():
        result, told = broadcast_object((None, None))
        if told is not None:
            raise told
        return result  # type: ignore[return-value]
    try:
        value = function()
    except Exception as error:
        broadcast_object((None, _as_told(error)))
        raise
    broadcast_object((value, None))
    return value


def _as_told(error: Exception) -> Exception:
    try:
        pickle.loads(pickle.dumps(error))
    except (pickle.PickleError, TypeError, AttributeError, ValueError, KeyError, ImportError):
        return NASLibError(f"rank 0: {type(error).__name__}: {error}")
    return error


# tensors


def share_of(n: int, of_rank: int | None = None, world: int | None = None) -> slice:
    """Return which of the n rows of a batch a rank has: the ranks' shares follow each other and differ by one at most.

    Args:
        n: Rows of the joined batch.
        of_rank: The rank; None for this one.
        world: Number of ranks; None for those there are.
    """
    mine = rank() if of_rank is None else of_rank
    ranks = world_size() if world is None else world
    each, more = divmod(n, ranks)
    start = mine * each + min(mine, more)
    return slice(start, start + each + (mine < more))


def is_shared(n: int, least: int = 1, world: int | None = None) -> bool:
    """Say whether a batch of n rows is shared out, or too small for that and computed whole on every rank.

    Args:
        n: Rows of the joined batch.
        least: Rows that every rank must have.
        world: Number of ranks; None for those there are.
    """
    ranks = world_size() if world is None else world
    return ranks > 1 and n // ranks >= least


@dataclass(frozen=True)
class LocalRows:
    """What a loader yields that made the rows of this rank alone: `batch[share_of(total)]`.

    A batch that is not wrapped in it is the joined one, the same on every rank.

    Attributes:
        batch: These rows, of the form that the loader has.
        total: Rows of the joined batch.
    """

    batch: Any
    total: int


@torch.no_grad()
def sum_over_ranks_(tensors: Iterable[Tensor]) -> None:
    """Replace tensors by their sums over ranks, in place.

    Each of any shape, the same one on every rank; those of a type travel together.
    """
    _reduce_(tensors, 1)


@torch.no_grad()
def mean_over_ranks_(tensors: Iterable[Tensor]) -> None:
    """Replace tensors, each of any shape, by their means over ranks, in place; see `sum_over_ranks_`."""
    _reduce_(tensors, world_size())


def means_over_ranks(tensors: Sequence[T]) -> list[T]:
    """Return the means over ranks of tensors, each of any shape, as new ones; what is None on all ranks stays None.

    Args:
        tensors: Of `torch.autograd.grad`, for example, which may give views that cannot be written to.
    """
    if not is_distributed():
        return list(tensors)
    found: list[Any] = [None if x is None else x.clone(memory_format=torch.contiguous_format) for x in tensors]  # type: ignore[attr-defined]
    mean_over_ranks_([tensor for tensor in found if tensor is not None])
    return found


def _reduce_(tensors: Iterable[Tensor], divisor: int) -> None:
    if not is_distributed():
        return
    kinds: dict[tuple[torch.dtype, torch.device], list[Tensor]] = {}
    for tensor in tensors:
        kinds.setdefault((tensor.dtype, tensor.device), []).append(tensor)
    for held in kinds.values():
        flat = _summed(torch.cat([tensor.reshape(-1) for tensor in held]))
        if divisor != 1:
            flat = flat / divisor
        for tensor, piece in zip(held, flat.split([tensor.numel() for tensor in held]), strict=True):
            tensor.copy_(piece.view(tensor.shape))


def _summed(tensor: Tensor) -> Tensor:
    """Return the sum over ranks of a tensor of any shape; half precision is summed in single."""
    wide = {torch.bfloat16: torch.float32, torch.float16: torch.float32, torch.bool: torch.uint8}
    home = tensor.device
    moved = tensor.detach().to(_device(home), wide.get(tensor.dtype, tensor.dtype), copy=True).contiguous()
    dist.all_reduce(moved)
    return moved.to(home, tensor.dtype)


def check_alike(tensors: Mapping[str, Iterable[Tensor]]) -> None:
    """Raise unless all ranks have the same tensors, each of any shape, bit for bit.

    Args:
        tensors: By what they are called in the message.

    Raises:
        OptimizerStateError: Naming what differs.
    """
    if not is_distributed():
        return
    own = {}
    for name, held in tensors.items():
        digest = hashlib.sha256()
        for tensor in held:
            digest.update(tensor.detach().contiguous().reshape(-1).view(torch.uint8).cpu().numpy().tobytes())
        own[name] = digest.digest()
    found = gather_objects(own)
    if different := [name for name in own if any(other[name] != own[name] for other in found)]:
        raise OptimizerStateError(
            f"the ranks have different {' and '.join(different)}: they began with different random numbers (set the "
            "same seed on all), or something in the network, the loss or the method is not the same on all of them"
        )


class _SumOfRanks(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        return _summed(tensor)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return _SumOfRanks.apply(gradient)

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor) -> Any:
        return _SumOfRanks.apply(tangent)


def sum_of_ranks(tensor: Tensor) -> Tensor:
    """Return the sum over ranks, differentiable any number of times, forward and backward.

    Of any shape, the same on every rank.
    """
    return _SumOfRanks.apply(tensor) if is_distributed() else tensor


def gather_rows(tensor: Tensor, total: int | None = None) -> Tensor:
    """Return the rows of all ranks, one rank's after the other's, differentiable as `sum_of_ranks` is.

    `(n, ...)` on each rank, `(total, ...)` in all.

    Args:
        tensor: The rows of this rank.
        total: How many there are in all, where they are shared out by `share_of`; None asks the ranks.

    Raises:
        DataError: If this rank has another number of rows than its share.
    """
    if not is_distributed():
        return tensor
    if total is None:
        counts = gather_objects(len(tensor))
        start, total = sum(counts[: rank()]), sum(counts)
        rows = slice(start, start + len(tensor))
    else:
        rows = share_of(total)
    if len(tensor) != rows.stop - rows.start:
        raise DataError(f"rank {rank()} has {len(tensor)} of {total} rows, its share is {rows.stop - rows.start}")
    before = tensor.new_zeros((rows.start, *tensor.shape[1:]))
    after = tensor.new_zeros((total - rows.stop, *tensor.shape[1:]))
    return sum_of_ranks(torch.cat([before, tensor, after]))
