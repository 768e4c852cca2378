"""Plain: turn state into what `torch.load(weights_only=True)` reads back, and JSON reads at all."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import torch

from naslib.errors import CheckpointError


def to_plain(value: Any, where: str = "state") -> Any:
    """Return `value` made of tensors, dicts, lists, tuples, sets and plain scalars only.

    Args:
        value: Nested state.
        where: The path so far, for messages.

    Raises:
        CheckpointError: If something else is in it; the message names the place.
    """
    if value is None or (
        isinstance(value, bool | int | float | complex | str | bytes) and type(value).__module__ == "builtins"
    ):
        return value
    if isinstance(value, torch.nn.Parameter):
        return value.detach()
    if isinstance(value, torch.Tensor | torch.dtype | torch.device | torch.Size):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray) and value.dtype != object:
        return torch.from_numpy(value.copy())
    if isinstance(value, Mapping):
        kind = OrderedDict if isinstance(value, OrderedDict) else dict
        return kind((to_plain(key, where), to_plain(item, f"{where}.{key}")) for key, item in value.items())
    if isinstance(value, list | tuple):
        items = [to_plain(item, f"{where}[{index}]") for index, item in enumerate(value)]
        return items if isinstance(value, list) else tuple(items)
    if isinstance(value, set | frozenset):
        return {to_plain(item, where) for item in value}
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, bool | int | float | str):  # subclasses, such as numpy's float64
        return next(base(value) for base in (bool, int, float, str) if isinstance(value, base))
    raise CheckpointError(
        f"{where} holds a {type(value).__name__}; checkpoints hold tensors and plain Python values only "
        "(return those from state_dict())"
    )


def number_or_none(value: Any) -> float | None:
    """Return a Python float, or None for None, NaN and infinities."""
    if value is None:
        return None
    number = float(value)
    return number if math.isfinite(number) else None


def all_finite(state: Any) -> bool:
    """Say whether every floating-point tensor in nested `state` is finite (one synchronisation in all)."""
    tensors = list(_float_tensors(state))
    by_device: dict[torch.device, torch.Tensor] = {}
    for tensor in tensors:
        finite = torch.isfinite(tensor).all()
        previous = by_device.get(tensor.device)
        by_device[tensor.device] = finite if previous is None else previous & finite
    return all(bool(flag) for flag in by_device.values())


def has_nan(state: Any) -> bool:
    """Say whether any floating-point tensor in nested `state` holds a NaN; infinities are allowed."""
    return any(bool(torch.isnan(tensor).any()) for tensor in _float_tensors(state))


def _float_tensors(state: Any) -> Any:
    if isinstance(state, torch.Tensor):
        if state.is_floating_point() and state.numel():
            yield state.detach()
    elif isinstance(state, Mapping):
        for item in state.values():
            yield from _float_tensors(item)
    elif isinstance(state, list | tuple):
        for item in state:
            yield from _float_tensors(item)
