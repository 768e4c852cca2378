"""Keys of latency tables: what an operation is, as far as its time depends on it.

The form is that of the tables which the authors of [Cai2019proxylessnas] publish:
`expanded_conv-input:112x112x16-output:56x56x24-expand:3-kernel:5-stride:2-idskip:0`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from naslib.search_spaces.core.primitives import AbstractPrimitive

# How constructors call what the keys call otherwise
_RENAMED = {
    "kernel_size": "kernel",
    "expand_ratio": "expand",
    "expansion": "expand",
    "id_skip": "idskip",
    "residual": "idskip",
}
# Told by the shapes already, or without effect on the time
_LEFT_OUT = {"C_in", "C_out", "C", "in_channels", "out_channels", "channels", "padding", "affine", "bias", "drop_prob"}
_LEFT_OUT |= {"track_running_stats"}
_ORDER = ("expand", "kernel", "stride", "idskip")


def layer_key(kind: str, input_shape: Sequence[int] | str, output_shape: Sequence[int] | str, **settings: Any) -> str:
    """Return the key of a layer.

    Args:
        kind: Type of the layer.
        input_shape: Height, width and channels, or just features, in this order; or text like `112x112x16`.
        output_shape: The same of its output.
        **settings: Whatever else its time depends on: `expand`, `kernel`, `stride`, `idskip` (in this order in the
            key), then others by name. None leaves one out.
    """
    given = {name: value for name, value in settings.items() if value is not None}
    names = [*(name for name in _ORDER if name in given), *sorted(given.keys() - set(_ORDER))]
    parts = [kind, f"input:{_text(input_shape)}", f"output:{_text(output_shape)}"]
    return "-".join([*parts, *(f"{name}:{_value(given[name])}" for name in names)])


def operation_key(
    op: nn.Module, input_shape: Sequence[int], output_shape: Sequence[int], kinds: Mapping[str, str] | None = None
) -> str:
    """Return the key of an operation.

    Args:
        op: A primitive, whose constructor's arguments say what it is, or any module, told by its structure.
        input_shape: Of its input as torch has it, without the batch: channels, height, width.
        output_shape: The same of its output.
        kinds: Type in the table by name of the class, where they differ.
    """
    kind = (kinds or {}).get(type(op).__name__, type(op).__name__)
    shapes = channels_last(input_shape), channels_last(output_shape)
    arguments = op.init_params if isinstance(op, AbstractPrimitive) else {}
    settings: dict[str, Any] = {
        _RENAMED.get(name, name): value
        for name, value in arguments.items()
        if name not in _LEFT_OUT and isinstance(value, (bool, int, float, str, tuple))
    }
    if not settings and any(True for _ in op.children()):
        settings["form"] = hashlib.sha256(repr(op).encode()).hexdigest()[:8]
    return layer_key(kind, *shapes, **settings)


def channels_last(shape: Sequence[int]) -> tuple[int, ...]:
    """Return a shape of torch with the channels at the end, as keys have it."""
    return (*shape[1:], *shape[:1])


def _text(shape: Sequence[int] | str) -> str:
    return shape if isinstance(shape, str) else "x".join(str(size) for size in shape)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(int(value))
    return _text(value) if isinstance(value, tuple) else str(value)
