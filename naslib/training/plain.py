"""Plain: turn state into what `torch.load(weights_only=True)` reads back, and JSON reads at all."""

from __future__ import annotations

import functools
import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import torch

from naslib.errors import CheckpointError


def to_plain(value: Any, where: str = "state", otherwise: Callable[[Any], Any] | None = None) -> Any:
    """Return `value` made of tensors, dicts, lists, tuples, sets and plain scalars only.

    Args:
        value: Nested state.
        where: The path so far, for messages.
        otherwise: What to put in the place of anything else; None refuses it.

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
        return kind(
            (to_plain(key, where, otherwise), to_plain(item, f"{where}.{key}", otherwise))
            for key, item in value.items()
        )
    if isinstance(value, list | tuple):
        items = [to_plain(item, f"{where}[{index}]", otherwise) for index, item in enumerate(value)]
        return items if isinstance(value, list) else tuple(items)
    if isinstance(value, set | frozenset):
        return {to_plain(item, where, otherwise) for item in value}
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, bool | int | float | str):  # subclasses, such as numpy's float64
        return next(base(value) for base in (bool, int, float, str) if isinstance(value, base))
    if otherwise is not None:
        return otherwise(value)
    raise CheckpointError(
        f"{where} holds a {type(value).__name__}; checkpoints hold tensors and plain Python values only "
        "(return those from state_dict())"
    )


def describe_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return config values as they are recorded: plain ones as they are, objects in words that can be compared.

    Args:
        values: A config or a section of one, in which a criterion, an optimizer class and the like may be objects.
    """
    return to_plain(dict(values), "config", otherwise=_in_words)


def _in_words(value: Any) -> str:
    """Return the name of a class or function, or an object's class and what it was made with; never an address."""
    if hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    state = dict(vars(value)) if hasattr(value, "__dict__") else {}
    if isinstance(value, functools.partial):
        state = {"func": value.func, **{str(i): item for i, item in enumerate(value.args)}, **value.keywords}
    if isinstance(value, torch.nn.Module):
        state |= {**value._parameters, **value._buffers, **value._modules}
        del state["training"]
    own = {key: item for key, item in state.items() if not key.startswith("_") and item is not None}
    plain = to_plain(own, otherwise=_in_words)
    words = (f"{k}={v.tolist() if isinstance(v, torch.Tensor) else v!r}" for k, v in sorted(plain.items()))
    return f"{type(value).__module__}.{type(value).__qualname__}({', '.join(words)})"


def number_or_none(value: Any) -> float | None:
    """Return a Python float, or None for None, NaN and infinities."""
    if value is None:
        return None
    number = float(value)
    return number if math.isfinite(number) else None


def all_finite(state: Any) -> bool:
    """Say whether every floating-point tensor in nested `state` is finite (one synchronisation in all)."""
    return _all(state, torch.isfinite)


def has_nan(state: Any) -> bool:
    """Say whether any floating-point tensor in nested `state` holds a NaN; infinities are allowed."""
    return not _all(state, lambda tensor: tensor == tensor)


def _all(state: Any, test: Callable[[torch.Tensor], torch.Tensor]) -> bool:
    """Say whether all entries of all floating-point tensors pass a test, waiting once per device."""
    by_device: dict[torch.device, torch.Tensor] = {}
    for tensor in _float_tensors(state):
        passed = test(tensor).all()
        previous = by_device.get(tensor.device)
        by_device[tensor.device] = passed if previous is None else previous & passed
    return all(bool(flag) for flag in by_device.values())


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
