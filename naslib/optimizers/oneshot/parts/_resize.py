"""Candidates with another number of channels: built again from the arguments of their constructors."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any, NamedTuple

from torch import nn

from naslib.errors import ConfigError
from naslib.search_spaces.core.elastic import EntangledCandidate
from naslib.search_spaces.core.given_weights import is_frozen
from naslib.search_spaces.core.primitives import AbstractPrimitive, Sequential

# Names of constructor arguments that count channels
_CHANNELS = ("C", "C_in", "C_out", "C_mid")


class ChannelShape(NamedTuple):
    """What an operation does to the shape of its input; None where it does not say.

    Attributes:
        C_in: Channels of the input.
        C_out: Channels of the output.
        stride: Of both spatial dimensions.
    """

    C_in: int | None
    C_out: int | None
    stride: int

    @property
    def keeps_channels(self) -> bool:
        """Whether there are as many channels after as before, as far as one is told."""
        return self.C_in == self.C_out


def shape_of(op: nn.Module) -> ChannelShape:
    """Return the shape that the constructor's arguments of an operation tell; of a slice, those of the whole."""
    if isinstance(op, EntangledCandidate):
        return shape_of(op.shared.op)
    if isinstance(op, Sequential | nn.Sequential):
        inner = [shape_of(child) for child in _children(op)]
        channels = [number for shape in inner for number in shape[:2] if number is not None]
        stride = 1
        for shape in inner:
            stride *= shape.stride
        return ChannelShape(channels[0], channels[-1], stride) if channels else ChannelShape(None, None, stride)
    arguments = getattr(op, "init_params", {})
    C_in = arguments.get("C_in", arguments.get("C"))
    C_out = arguments.get("C_out")
    return ChannelShape(C_in, C_in if C_out is None else C_out, arguments.get("stride") or 1)


def common_shape(candidates: Iterable[nn.Module]) -> ChannelShape:
    """Return the shape of the alternatives on one edge: what the first that says something says."""
    shapes = [shape_of(op) for op in candidates]
    told = next((shape for shape in shapes if shape.C_in is not None), ChannelShape(None, None, 1))
    changing = next((shape for shape in shapes if not shape.keeps_channels), told)
    return ChannelShape(changing.C_in, changing.C_out, max(shape.stride for shape in shapes))


def resized(op: nn.Module, numerator: int, denominator: int) -> Any:
    """Return an operation like `op`, with fresh weights, that has `numerator / denominator` times the channels.

    Args:
        op: A primitive that keeps the arguments of its constructor (`init_params`), a sequence of operations, or a
            module without parameters and buffers.
        numerator: At least 1.
        denominator: At least 1.

    Raises:
        ConfigError: If the operation cannot be built again, or a number of channels is not divisible.
    """
    if numerator != denominator and any(map(is_frozen, op.parameters())):
        raise ConfigError(
            f"{type(op).__name__} has frozen weights, so it cannot be given {numerator}/{denominator} of its channels"
        )
    if isinstance(op, Sequential | nn.Sequential):
        made: nn.Module = type(op)(*(resized(child, numerator, denominator) for child in _children(op)))
    elif isinstance(op, AbstractPrimitive) and op.init_params:
        made = _rebuilt(op, numerator, denominator)
    elif not op.state_dict() and not list(op.children()):
        made = copy.deepcopy(op)
    else:
        raise ConfigError(
            f"{type(op).__name__} cannot be built with {numerator}/{denominator} of its channels: it keeps no "
            "arguments of its constructor (a primitive does by `super().__init__(locals())`)"
        )
    like = next(iter(op.parameters()), None)
    return (made if like is None else made.to(like)).train(op.training)


def _rebuilt(op: AbstractPrimitive, numerator: int, denominator: int) -> nn.Module:
    name, arguments = type(op).__name__, dict(op.init_params)
    counts = [key for key in _CHANNELS if arguments.get(key) is not None]
    if op.state_dict() and not counts:
        raise ConfigError(
            f"{name} cannot be built with {numerator}/{denominator} of its channels: none of the arguments of its "
            f"constructor ({', '.join(arguments)}) is called {', '.join(_CHANNELS)}"
        )
    for key in counts:
        scaled, rest = divmod(arguments[key] * numerator, denominator)
        if rest or scaled < 1:
            raise ConfigError(f"{name}: {key} = {arguments[key]} channels cannot be divided by {denominator}")
        arguments[key] = scaled
    try:
        return type(op)(**arguments)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{name} cannot be built with the arguments {arguments}: {error}") from error


def _children(op: nn.Module) -> list[nn.Module]:
    return list(op.primitives) if isinstance(op, Sequential) else list(op.children())
