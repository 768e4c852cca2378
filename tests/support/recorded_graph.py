"""A stand-in for CUDA graphs on the CPU: the kernels of a function, run again with the same tensors.

As with a GPU's, what is recorded is what was launched, not the function: numbers of the host stay what they were,
branches are not taken anew, results land in the same memory, and a function that wants a value on the host is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten
REFUSED = {aten._local_scalar_dense, aten.nonzero, aten.masked_select, aten.equal, aten.is_nonzero, aten.multinomial}


class _Kernels(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Any, Any, Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket in REFUSED:
            raise RuntimeError(f"{func}: operation not permitted when stream is capturing")
        result = func(*args, **(kwargs or {}))
        self.calls.append((func, args, kwargs or {}, result))
        return result


@dataclass
class RecordedKernels:
    """What was recorded.

    Attributes:
        calls: Operators with their arguments and results.
    """

    calls: list[tuple[Any, Any, Any, Any]]

    @torch.no_grad()
    def replay(self) -> None:
        """Run the operators again, each into the memory of its result."""
        for func, args, kwargs, result in self.calls:
            again = func(*args, **kwargs)
            for old, new in zip(pytree.tree_leaves(result), pytree.tree_leaves(again), strict=True):
                if isinstance(old, Tensor) and old.numel() and old.data_ptr() != new.data_ptr():
                    old.copy_(new)


@dataclass
class KernelRecorder:
    """Record operators on the CPU, as `CudaRecorder` captures kernels.

    Attributes:
        warm_ups: How many runs came before each recording.
        recorded: The recordings.
    """

    warm_ups: list[int] = field(default_factory=list)
    recorded: list[RecordedKernels] = field(default_factory=list)

    def warm_up(self, function: Callable[[], Any], times: int) -> None:
        """Call a function some times."""
        for _ in range(times):
            function()
        self.warm_ups.append(times)

    def record(self, function: Callable[[], Any]) -> tuple[Any, RecordedKernels]:
        """Return what a function returned, and its operators."""
        with _Kernels() as kernels:
            result = function()
        self.recorded.append(RecordedKernels(kernels.calls))
        return result, self.recorded[-1]
