"""The passes of a step as CUDA graphs: captured once in an epoch, and then started by one launch each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from naslib.errors import ConfigError
from naslib.search_spaces.core.assignment import current

# Runs before a capture, in which torch and its libraries make what may not be made during one
WARM_UPS = 3
# (logits, loss) of batches; what it leaves in gradients belongs to it as well
Pass = Callable[..., tuple[Any, Tensor]]


class Recording(Protocol):
    """Work that can be done again, with the same tensors in the same places."""

    def replay(self) -> None:
        """Do it again."""


class Recorder(Protocol):
    """What makes recordings; that of CUDA does, and another one stands in for it where there is no GPU."""

    def warm_up(self, function: Callable[[], Any], times: int) -> None:
        """Call a function some times as it will be recorded."""

    def record(self, function: Callable[[], Any]) -> tuple[Any, Recording]:
        """Return what a function returned, and a recording of what it did."""


class CudaRecorder:
    """Record what is launched on the current CUDA device."""

    def warm_up(self, function: Callable[[], Any], times: int) -> None:
        """Call a function on a stream of its own, as a capture will."""
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(times):
                function()
        torch.cuda.current_stream().wait_stream(side)

    def record(self, function: Callable[[], Any]) -> tuple[Any, Recording]:
        """Capture a function; nothing is computed yet. The default generator of the device goes on with each replay."""
        graph = torch.cuda.CUDAGraph()
        # what other threads do meanwhile, such as pinning memory for the next batches, is their own
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            result = function()
        return result, graph


@dataclass
class _Captured:
    """One pass: its key, the tensors that batches are copied into, what it returns and the gradients it leaves."""

    key: Any
    inputs: list[Tensor]
    result: Any
    gradients: list[Tensor | None]
    recording: Recording


class CapturedPasses:
    """Run passes over batches of one kind from recordings, and all others as they are.

    A recording repeats what was launched, on the same tensors: batches are copied into those that it reads, and its
    gradients are those of each replay. Numbers of the host that a pass has read (a temperature, the chance to drop a
    path) stay what they were, so all is to be forgotten at the beginning of an epoch, where they change.

    Args:
        recorder: What makes recordings.

    Attributes:
        n_recorded: How many recordings were made.
        n_replayed: How many passes were run from one.
        n_eager: How many were not, as their batches are of another size, or something is assigned.
    """

    def __init__(self, recorder: Recorder | None = None) -> None:
        self.recorder: Recorder = recorder if recorder is not None else CudaRecorder()
        self.n_recorded = self.n_replayed = self.n_eager = 0
        self._found: dict[str, _Captured] = {}
        self._is_paused = False

    def forget(self) -> None:
        """Drop all recordings, whose numbers of the host may have changed."""
        self._found = {}

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Run all passes inside as they are: what they launch changes from one to the next."""
        before, self._is_paused = self._is_paused, True
        self.forget()
        try:
            yield
        finally:
            self._is_paused = before

    def run(
        self, function: Pass, batches: Sequence[Any], receivers: Sequence[nn.Parameter], buffers: Iterable[Tensor]
    ) -> tuple[Any, Tensor]:
        """Return logits and loss of a pass, `(n, classes)` and a scalar, tensors that no later pass writes into.

        Args:
            function: Takes the batches; sets the gradients of the receivers, and changes nothing else but the buffers
                and the random state of the device.
            batches: Of nested tensors.
            receivers: Whose gradients it sets, of any shapes.
            buffers: What it changes in place, of any shapes.

        Raises:
            ConfigError: If what it launches cannot be captured.
        """
        name = function.__name__
        key = (_key_of(batches), tuple(map(id, receivers)))
        found = self._found.get(name)
        if self._is_paused or current() is not None or (found is not None and found.key != key):
            self.n_eager += 1
            return function(*batches)
        if found is None:
            found = self._found[name] = self._record(name, key, function, batches, receivers, list(buffers))
        for own, given in zip(found.inputs, _tensors(batches), strict=True):
            own.copy_(given, non_blocking=True)
        found.recording.replay()
        self.n_replayed += 1
        for parameter, gradient in zip(receivers, found.gradients, strict=True):
            parameter.grad = gradient
        return _mapped(found.result, torch.clone)

    def _record(
        self,
        name: str,
        key: Any,
        function: Pass,
        batches: Sequence[Any],
        receivers: Sequence[nn.Parameter],
        buffers: Sequence[Tensor],
    ) -> _Captured:
        """Record a pass; weights, buffers and random state are afterwards what they were."""
        own = _mapped(tuple(batches), torch.clone)
        inputs = _tensors(own)
        devices = [inputs[0].device] if inputs and inputs[0].device.type == "cuda" else []

        def run() -> Any:
            for parameter in receivers:
                parameter.grad = None
            return function(*own)

        before = [buffer.clone() for buffer in buffers]
        try:
            with torch.random.fork_rng(devices), torch.cuda.device(devices[0]) if devices else nullcontext():
                self.recorder.warm_up(run, WARM_UPS)
                result, recording = self.recorder.record(run)
        except (RuntimeError, ValueError) as error:
            first = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ConfigError(
                f"cuda_graph: {name.strip('_').replace('_', ' ')} cannot be captured ({first}): something in it waits "
                "for the device or changes from step to step; leave search.cuda_graph out"
            ) from error
        with torch.no_grad():
            for buffer, value in zip(buffers, before, strict=True):
                buffer.copy_(value)
        self.n_recorded += 1
        return _Captured(key, inputs, result, [parameter.grad for parameter in receivers], recording)


def _items(batch: Any) -> Sequence[Any] | None:
    """Return what is in a nest, None for a leaf."""
    if isinstance(batch, Mapping):
        return list(batch.values())
    return batch if isinstance(batch, list | tuple) else None


def _tensors(batch: Any) -> list[Tensor]:
    """Return the tensors in a nested batch, in order, of any shapes."""
    if isinstance(batch, Tensor):
        return [batch]
    return [tensor for item in _items(batch) or () for tensor in _tensors(item)]


def _mapped(batch: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """Return a nested batch with other tensors, of any shapes, in the same places."""
    if isinstance(batch, Tensor):
        return change(batch)
    if isinstance(batch, Mapping):
        return {key: _mapped(item, change) for key, item in batch.items()}
    if isinstance(batch, list | tuple):
        items = [_mapped(item, change) for item in batch]
        return type(batch)(*items) if hasattr(batch, "_fields") else type(batch)(items)
    return batch


def _key_of(batch: Any) -> Any:
    """Return what a recording depends on in a nested batch: structure, shapes, types, memory formats, plain values.

    Raises:
        ConfigError: If there is anything else in it.
    """
    if isinstance(batch, Tensor):
        return tuple(batch.shape), batch.dtype, batch.stride(), batch.device
    if isinstance(batch, Mapping):
        return tuple((key, _key_of(item)) for key, item in batch.items())
    if isinstance(batch, list | tuple):
        return type(batch), tuple(_key_of(item) for item in batch)
    if batch is None or isinstance(batch, bool | int | float | str):
        return batch
    raise ConfigError(
        f"cuda_graph: a batch holds a {type(batch).__name__}, and only tensors can be copied into a captured step; "
        "leave search.cuda_graph out"
    )
