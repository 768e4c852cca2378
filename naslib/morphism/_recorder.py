"""Run a network once, and tell a Trace of every operation and of every module that was called."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from naslib.errors import MorphismError

from ._inputs import CANNOT_RUN
from ._rules import follow
from ._trace import Called, Ran, Trace


class _Recorder(TorchDispatchMode):
    """Tell a trace of every operation that torch runs, below anything that Python can wrap it in."""

    def __init__(self, trace: Trace) -> None:
        super().__init__()
        self._trace = trace

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Say that torch's compiler, which takes seconds to import, need not be told to leave this alone."""
        return False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        trace = self._trace
        arguments = func._schema.arguments
        given = {argument.name: value for argument, value in zip(arguments, args, strict=False)} | dict(kwargs)
        name = str(func._schema.name).split("::")[-1]
        name = name.rstrip("_") if name.endswith("_") else name
        sources = tensors_in(given)
        for source in sources:
            trace.of(source)
        follow(trace, name, given, sources, tensors_in(out))
        numbers = tuple(id(tensor) for tensor in tensors_in(out))
        trace.ran.append(Ran(name, trace.place, given, tuple(id(source) for source in sources), numbers))
        return out


def tensors_in(value: Any) -> list[Tensor]:
    """Return the tensors in lists, tuples and dicts, in order."""
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor)]


def record(network: nn.Module, call: Callable[[nn.Module], Any]) -> Trace:
    """Return the trace of a forward in evaluation mode; the network is left as it was.

    Args:
        network: The network.
        call: Runs it on inputs.

    Raises:
        MorphismError: If it does not run on them.
    """
    trace = Trace(network)
    modes = [(module, module.training) for module in network.modules()]
    handles = []
    for name, module in network.named_modules():
        handles.append(module.register_forward_pre_hook(partial(_enter, trace, name), prepend=True))
        handles.append(module.register_forward_hook(partial(_leave, trace, name)))
    network.eval()
    try:
        with torch.no_grad(), _Recorder(trace):
            outputs = call(network)
    except CANNOT_RUN:
        _check_runs(network, call)
        raise
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in modes:
            module.training = mode
    for output in tensors_in(_plain(outputs)):
        trace.fix_all([output], "it is an output of the network, and as many as the task says")
    trace.settle()
    return trace


def _check_runs(network: nn.Module, call: Callable[[nn.Module], Any]) -> None:
    """Raise if a network does not run, whoever looks on."""
    try:
        with torch.no_grad():
            call(network)
    except CANNOT_RUN as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise MorphismError(f"{type(network).__name__} does not run on these inputs: {reason}") from error


def _plain(outputs: Any) -> Any:
    """Return what a network returns with the fields of an object of its own as a dict."""
    return vars(outputs) if hasattr(outputs, "__dict__") and not isinstance(outputs, Tensor | dict) else outputs


def _enter(trace: Trace, name: str, module: nn.Module, inputs: Any) -> None:
    first = next(iter(tensors_in(inputs)), None)
    trace.where.append(name)
    source = None if first is None else id(first)
    trace.entered.append((len(trace.ran), source, first is not None and trace.of(first).nonnegative))
    if isinstance(module, nn.RNNBase):  # which kernels it is made of depends on the type of numbers; its sizes are told
        trace.fix_all(tensors_in(inputs), f"it enters the recurrent layer {name!r}, which is not followed")


def _leave(trace: Trace, name: str, module: nn.Module, inputs: Any, outputs: Any) -> None:
    trace.where.pop()
    starts, source, was_nonnegative = trace.entered.pop()
    if isinstance(outputs, Tensor):
        nonnegative = trace.of(outputs).nonnegative
        shape = tuple(outputs.shape)
        trace.called.append(
            Called(name, id(outputs), shape, len(trace.ran), starts, source, was_nonnegative, nonnegative)
        )
