"""A pretended accelerator: tensors that live apart from the host, and a count of when the host would wait for them.

Its tensors hold ordinary ones and compute with them, so values are right; their device is `meta`, which needs no
hardware and has no kernels of its own. What a GPU refuses is refused: host tensors in a computation on the device,
generators of the host. What makes the host wait is counted, with the place in the code that asked for it.
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

DEVICE = torch.device("meta")
aten = torch.ops.aten

# Their results have a size, or are values, that only the device knows
WAITING = {
    aten._local_scalar_dense, aten.nonzero, aten.masked_select, aten._unique, aten._unique2, aten.unique_dim,
    aten.unique_consecutive, aten.bincount, aten.equal, aten.is_nonzero, aten._linalg_eigh, aten.repeat_interleave,
}  # fmt: skip
# Checks its probabilities on the host
WAITING |= {aten.multinomial}
COPIES = {aten._to_copy, aten.copy_, aten.copy}
INDEXING = {aten.index, aten.index_put, aten.index_put_, aten._index_put_impl_, aten._unsafe_index}
# Of which the host's tensors may be an argument: they are not read on the device
MIXED = COPIES | INDEXING | {aten.set_, aten.resize_}


class OnDevice(Tensor):
    """A tensor of the pretended device.

    Args:
        held: An ordinary tensor with its values.
    """

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> OnDevice:
        return Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls, held.size(), strides=held.stride(), storage_offset=held.storage_offset(), dtype=held.dtype,
            device=DEVICE, requires_grad=False,
        )  # fmt: skip

    def __init__(self, held: Tensor) -> None:
        self.held = held

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise RuntimeError(f"{func} outside of the pretended device")

    def tolist(self) -> Any:
        """Return the values; the host waits once."""
        return self._read().tolist()

    def numpy(self, **kwargs: Any) -> Any:
        """Refuse, as a GPU's tensors do."""
        raise TypeError("can't convert a tensor of the device to numpy: use Tensor.cpu() first")

    def new_tensor(self, data: Any, **kwargs: Any) -> Tensor:  # type: ignore[override]
        """Return values of the host as a tensor of the device; the host waits."""
        return torch.tensor(data, **{"dtype": self.dtype, "device": DEVICE, **kwargs})

    def _read(self) -> Tensor:
        _active[-1].wait("tolist")
        return self.held

    def __repr__(self, **kwargs: Any) -> str:
        return f"OnDevice({tuple(self.shape)}, {self.dtype})"

    def __deepcopy__(self, memo: dict[int, Any]) -> OnDevice:
        copied = OnDevice(self.held.detach().clone())
        if isinstance(self, nn.Parameter):
            copied = nn.Parameter(copied, self.requires_grad)  # type: ignore[assignment]
        memo[id(self)] = copied
        return copied


_active: list[PretendDevice] = []


class PretendDevice(TorchDispatchMode):
    """Run what is inside on the pretended device where its tensors are involved, and count when the host waits.

    Attributes:
        waits: How often, by operation and the innermost line of naslib that asked.
    """

    def __init__(self) -> None:
        super().__init__()
        self.waits: Counter[str] = Counter()

    def __enter__(self) -> PretendDevice:
        _active.append(self)
        return super().__enter__()  # type: ignore[return-value]

    def __exit__(self, *error: Any) -> None:
        _active.pop()
        super().__exit__(*error)

    def wait(self, what: str) -> None:
        """Count that the host waits, here."""
        lines = [f for f in traceback.extract_stack() if "/naslib/" in f.filename]
        place = f"{lines[-1].filename.split('/naslib/')[-1]}:{lines[-1].lineno} {lines[-1].line}" if lines else "-"
        self.waits[f"{what} at {place}"] += 1

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func.has_kernel_for_dispatch_key(torch._C.DispatchKey.CompositeImplicitAutograd):  # below another mode
            with self:
                return func.decompose(*args, **kwargs)
        packet, leaves = func.overloadpacket, pytree.tree_leaves((args, kwargs))
        tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
        inside = [tensor for tensor in tensors if isinstance(tensor, OnDevice)]
        result_inside = bool(inside)
        if kwargs.get("device") is not None:
            result_inside = torch.device(kwargs["device"]).type == DEVICE.type
            kwargs["device"] = torch.device("cpu")
        self._check(func, packet, tensors, inside, result_inside, kwargs)
        self._count(packet, args, inside, result_inside, kwargs)
        plain_args, plain_kwargs = pytree.tree_map(_held, (args, kwargs))
        with torch._C._DisableTorchDispatch():  # type: ignore[attr-defined]
            result = func(*plain_args, **plain_kwargs)
        if packet is aten._local_scalar_dense:
            return result
        given = {id(tensor.held): tensor for tensor in inside}
        own = {id(tensor): tensor for tensor in tensors if not isinstance(tensor, OnDevice)}

        def out(leaf: Any) -> Any:
            if not isinstance(leaf, Tensor) or id(leaf) in own:
                return leaf
            if not result_inside:
                return leaf
            return given[id(leaf)] if id(leaf) in given else OnDevice(leaf)

        return _moved_from(pytree.tree_map(out, result), packet, tensors, result_inside)

    @staticmethod
    def _check(func: Any, packet: Any, tensors: Any, inside: Any, result_inside: bool, kwargs: Any) -> None:
        generator = kwargs.get("generator")
        if generator is not None and result_inside:
            raise RuntimeError(f"{func}: a generator of the host draws for a tensor of the device")
        host = [tensor for tensor in tensors if not isinstance(tensor, OnDevice) and tensor.dim() > 0]
        if inside and host and packet not in MIXED:
            raise RuntimeError(f"{func}: tensors of the host, {[tuple(t.shape) for t in host]}, and of the device")

    def _count(self, packet: Any, args: Any, inside: Any, result_inside: bool, kwargs: Any) -> None:
        if packet in WAITING and inside:
            self.wait(str(packet))
        elif packet in INDEXING and inside:
            for index in args[1]:
                if index is not None and (index.dtype == torch.bool or not isinstance(index, OnDevice)):
                    self.wait(str(packet))
        elif packet in COPIES:
            source = args[1] if packet is not aten._to_copy else args[0]
            goes_inside = isinstance(args[0], OnDevice) if packet is not aten._to_copy else result_inside
            blocks = not (kwargs.get("non_blocking") or (packet is not aten._to_copy and len(args) > 2 and args[2]))
            if isinstance(source, OnDevice) != goes_inside and blocks:
                self.wait("copy to the device" if goes_inside else "copy to the host")


def _held(leaf: Any) -> Any:
    return leaf.held if isinstance(leaf, OnDevice) else leaf


def _moved_from(result: Any, packet: Any, tensors: Any, result_inside: bool) -> Any:
    """Return a copy where a tensor changes sides: nothing of the device is a view of the host's."""
    if packet is not aten._to_copy or isinstance(tensors[0], OnDevice) == result_inside:
        return result
    return OnDevice(result.held.clone()) if result_inside else result.clone()


def move(tensors: Iterable[Tensor]) -> None:
    """Let tensors, parameters or buffers, live on the pretended device; they stay the same objects."""
    for tensor in {id(t): t for t in tensors}.values():
        if isinstance(tensor, OnDevice):
            continue
        moved: Tensor = OnDevice(tensor.detach().clone())
        if isinstance(tensor, nn.Parameter):
            moved = nn.Parameter(moved, tensor.requires_grad)
        torch.utils.swap_tensors(tensor, moved)


@contextmanager
def pretended() -> Iterator[PretendDevice]:
    """Let torch take `meta` for an accelerator with autocast and random state, and count what is inside."""
    autocast, dtype, enabled = torch.autocast, torch.get_autocast_dtype, torch.is_autocast_enabled

    def kind(name: Any) -> str:
        return "cpu" if str(name) == DEVICE.type else name

    def from_host(make: Any) -> Any:
        """Let `make` send its values to the device; torch makes nothing of values for `meta`."""

        def made(*args: Any, device: Any = None, **kwargs: Any) -> Tensor:
            moves = device is not None and torch.device(device).type == DEVICE.type
            return make(*args, **kwargs).to(DEVICE) if moves else make(*args, device=device, **kwargs)

        return made

    state = SimpleNamespace(
        device_count=lambda: 1, get_rng_state=lambda *_: torch.get_rng_state(), set_rng_state=lambda *_: None
    )
    with (
        mock.patch.object(torch, "autocast", lambda name, *a, **k: autocast(kind(name), *a, **k)),
        mock.patch.object(torch, "get_autocast_dtype", lambda name: dtype(kind(name))),
        mock.patch.object(torch, "is_autocast_enabled", lambda name="cpu": enabled(kind(name))),
        mock.patch.object(torch, "tensor", from_host(torch.tensor)),
        mock.patch.object(torch, "as_tensor", from_host(torch.as_tensor)),
        mock.patch.object(torch, "meta", state, create=True),
        PretendDevice() as device,
    ):
        yield device
