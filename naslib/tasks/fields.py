"""Fields: the tensors in what a loader yields, whatever it wraps them in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from naslib.errors import DataError

# How many keys a message names
_NAMED = 12


def take_field(batch: Mapping[Any, Any], key: str | None, usual: Sequence[str], what: str) -> Any:
    """Return one field of a batch with names.

    Args:
        batch: The batch.
        key: The name of the field; None for the first of the usual names that it has, in any case.
        usual: These names.
        what: The argument of the task that names the field, for messages.

    Raises:
        DataError: If it is not there; the message lists what is.
    """
    keys = list(batch)
    shown = ", ".join(repr(name) for name in keys[:_NAMED]) + (" ..." if len(keys) > _NAMED else "")
    if key is not None:
        if key in batch:
            return batch[key]
        raise DataError(f"it is a {type(batch).__name__} without the key {key!r} ({what}); its keys are {shown}")
    by_lower = {str(name).lower(): name for name in reversed(keys)}
    for name in usual:
        if name in by_lower:
            return batch[by_lower[name]]
    raise DataError(
        f"it is a {type(batch).__name__} with the keys {shown}, none of which is a usual name of the {what} "
        f"({', '.join(usual[:4])} ...); name it by the argument `{what}` of the task (task_args.{what})"
    )


def unpack(
    batch: Any, keys: tuple[str | None, str | None], usual: tuple[Sequence[str], Sequence[str]]
) -> tuple[Any, Any]:
    """Return inputs and targets of a batch: of a pair, of longer tuples the first two, of a mapping by their names.

    Args:
        batch: What a loader yielded.
        keys: Names of the two in a mapping; None for the usual ones.
        usual: The usual names of the two.

    Raises:
        DataError: If it is nothing of the kind.
    """
    if isinstance(batch, list | tuple) and len(batch) == 1 and isinstance(batch[0], Mapping):  # DALI's
        (batch,) = batch
    if isinstance(batch, Mapping):
        return take_field(batch, keys[0], usual[0], "inputs"), take_field(batch, keys[1], usual[1], "targets")
    if isinstance(batch, list | tuple) and len(batch) >= 2:
        return batch[0], batch[1]
    raise DataError(
        f"it is {describe_value(batch)}; expected a pair (inputs, targets), or a mapping of both by their names"
    )


def as_tensor(value: Any, what: str) -> Tensor:
    """Return a field as a tensor.

    Of any shape, which stays.

    Args:
        value: A tensor, an array, a number per item, or a list of equally shaped tensors or arrays.
        what: What it is, for messages.

    Raises:
        DataError: If it is nothing of the kind.
    """
    if isinstance(value, Tensor):
        return value
    try:
        if isinstance(value, list | tuple) and value and isinstance(value[0], Tensor):
            return torch.stack(list(value))
        array = np.asarray(value)
        if array.dtype.kind in "biuf":
            # negative strides and memory that must not be written to are not torch's
            return torch.from_numpy(array if array.flags.writeable and array.flags.c_contiguous else array.copy())
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(
            f"its {what} make no tensor ({error}); items of a batch must have one shape and type"
        ) from error
    raise DataError(f"its {what} are {describe_value(value)}; expected a tensor or an array of numbers")


def describe_value(value: Any) -> str:
    """Return what a value is in words: type, shape, and of numbers the range."""
    if isinstance(value, Tensor):
        kind = f"a {str(value.dtype).removeprefix('torch.')} tensor of shape {tuple(value.shape)}"
        return f"{kind}{describe_range(value)}"
    if isinstance(value, np.ndarray):
        return f"a {value.dtype} array of shape {value.shape}"
    if isinstance(value, list | tuple):
        inner = f" of {type(value[0]).__name__}" if len(value) else ""
        return f"a {type(value).__name__} with {len(value)} entr{'y' if len(value) == 1 else 'ies'}{inner}"
    return f"a {type(value).__name__}"


def describe_range(values: Tensor) -> str:
    """Return `" with values from 0 to 3"`; "" where there are none.

    Of any shape.
    """
    if not values.numel() or values.is_complex():
        return ""
    low, high = values.detach().min().item(), values.detach().max().item()
    return f" with values from {low:.4g} to {high:.4g}"


def first_tensor(batch: Any) -> Tensor | None:
    """Return the first tensor in a nested batch, None if there is none.

    Of any shape.
    """
    if isinstance(batch, Tensor):
        return batch
    items = batch.values() if isinstance(batch, Mapping) else batch if isinstance(batch, list | tuple) else ()
    return next((found for item in items if (found := first_tensor(item)) is not None), None)


def detached(outputs: Any) -> Any:
    """Return outputs of a network, a tensor or a nest of them, without their history."""
    if isinstance(outputs, Tensor):
        return outputs.detach()
    if isinstance(outputs, Mapping):
        return {key: detached(value) for key, value in outputs.items()}
    if isinstance(outputs, list | tuple):
        items = [detached(value) for value in outputs]
        return type(outputs)(*items) if hasattr(outputs, "_fields") else type(outputs)(items)
    return outputs


def is_plain(value: Any) -> bool:
    """Return whether a value is a number, text, None, or a list or mapping of those."""
    if isinstance(value, list | tuple):
        return all(is_plain(item) for item in value)
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and is_plain(item) for key, item in value.items())
    return value is None or isinstance(value, bool | int | float | str)


def pair_problems(batch: Any) -> list[str]:
    """Return what is wrong with a pair of tensors, whatever the task; none of another batch, or if nothing is."""
    if not (isinstance(batch, tuple) and len(batch) == 2 and all(isinstance(item, Tensor) for item in batch)):
        return []
    inputs, targets = batch
    problems = []
    if inputs.dim() == 0 or not len(inputs):
        problems.append(f"inputs are {describe_value(inputs)}: there is nothing to learn from")
    elif targets.dim() == 0 or len(inputs) != len(targets):
        problems.append(
            f"inputs are {describe_value(inputs)}, targets {describe_value(targets)}: they differ in number"
        )
    if inputs.is_floating_point() and not bool(torch.isfinite(inputs).all()):
        problems.append("inputs hold NaN or infinity")
    if targets.is_floating_point() and not bool(torch.isfinite(targets).all()):
        problems.append("targets hold NaN or infinity")
    return problems
