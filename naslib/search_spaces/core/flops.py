"""Count multiply-accumulates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from naslib.errors import ConfigError

# What convolutions and linear layers call; attention and other matrix products do not count.
_COUNTED = ("aten.convolution", "aten._convolution", "aten.addmm", "aten.mm")


def count_macs(module: nn.Module, input_shape: Sequence[int]) -> float:
    """Return the multiply-accumulates of one input in millions, convolutions and linear layers only.

    The module runs once, in evaluation mode and without gradients; its modes and statistics are what they were.

    Args:
        module: The network.
        input_shape: Channels, height and width; channels and length of a sequence; or the length of a row of tokens.

    Raises:
        ConfigError: If `input_shape` is none of these.
    """
    return count_macs_of_parts(module, input_shape, ())[0]


def count_macs_of_parts(
    module: nn.Module, input_shape: Sequence[int], parts: Sequence[nn.Module]
) -> tuple[float, list[float]]:
    """Return what `count_macs` returns, and how much of it each part does, whenever it is called.

    Args:
        module: The network.
        input_shape: Channels, height and width; channels and length of a sequence; or the length of a row of tokens.
        parts: Modules within the network, none of them within another one.

    Raises:
        ConfigError: If `input_shape` is none of these.
    """
    if not 1 <= len(input_shape) <= 3:
        raise ConfigError(
            "input_shape is (channels, height, width), (channels, length) or (length,) of tokens, not "
            f"{tuple(input_shape)}"
        )
    x = zero_inputs(module, 1, input_shape)
    modes = {child: child.training for child in module.modules()}
    counter = FlopCounterMode(display=False)
    found = [0.0] * len(parts)
    handles = [hook for index, part in enumerate(parts) for hook in _watch(part, index, found, counter)]
    try:
        module.eval()
        with torch.no_grad(), counter:
            module(x)
    finally:
        for child, mode in modes.items():
            child.training = mode
        for handle in handles:
            handle.remove()
    return _total(counter), found


def zero_inputs(module: nn.Module, n: int, input_shape: Sequence[int]) -> torch.Tensor:
    """Return inputs of a network: zeros in its type, or token 0 where a row of tokens goes into an embedding.

    `(n, *input_shape)`.

    Args:
        module: The network.
        n: How many.
        input_shape: Shape of one.
    """
    like = next((p for p in module.parameters() if p.is_floating_point()), torch.empty(0))
    is_tokens = len(input_shape) == 1 and any(isinstance(child, nn.Embedding) for child in module.modules())
    return torch.zeros((n, *input_shape), device=like.device, dtype=torch.int64 if is_tokens else like.dtype)


def _watch(part: nn.Module, index: int, found: list[float], counter: FlopCounterMode) -> list[Any]:
    def enter(*_: Any) -> None:
        found[index] -= _total(counter)

    def leave(*_: Any) -> None:
        found[index] += _total(counter)

    return [part.register_forward_pre_hook(enter), part.register_forward_hook(leave)]


def _total(counter: FlopCounterMode) -> float:
    counts = counter.get_flop_counts().get("Global", {})
    return sum(count for op, count in counts.items() if str(op).startswith(_COUNTED)) / 2e6
