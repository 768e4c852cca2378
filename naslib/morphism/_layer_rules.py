"""What layers do to units: which of their parameters' dimensions make units, keep them, or sum over them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from ._trace import Trace, Traced
from ._units import Axis, runs_of, units_of

Rule = Callable[[Trace, dict[str, Any], Sequence[Tensor], Sequence[Tensor]], None]


def _sum_over(trace: Trace, weight: Traced, dim: int, axis: Axis | None) -> None:
    """Say that a dimension of a parameter is summed over together with units."""
    trace.assign(weight, dim, axis, "summed", _from_outside(trace))


def _from_outside(trace: Trace) -> str:
    return f"it meets numbers of a fixed size {trace.at()}"


def _is_leaf(seen: Traced, *dims: int) -> bool:
    return seen.owner is not None and all(seen.dims[dim] is not None for dim in dims)


def _bias(trace: Trace, bias: Tensor | None, axis: Axis | None) -> Axis | None:
    return axis if bias is None else trace.assign(trace.of(bias), 0, axis, "kept", _from_outside(trace))


def _convolution(trace: Trace, given: dict[str, Any], sources: Sequence[Tensor], outs: Sequence[Tensor]) -> None:
    x, weight, bias = trace.of(given["input"]), trace.of(given["weight"]), given.get("bias")
    groups, transposed = int(given["groups"]), bool(given["transposed"])
    channels = trace.axis(x, 1)
    for dim in (0, *range(2, len(x.shape))):
        trace.fix(trace.axis(x, dim), f"it lies along a convolution's images or pixels {trace.at()}")
    ins, outs_dim = (0, 1) if transposed else (1, 0)
    if not _is_leaf(weight, 0, 1) or (transposed and groups > 1):
        what = "a transposed convolution in groups" if transposed else "a convolution with a weight that is computed"
        trace.fix_all(sources, f"{what} {trace.at()} is not followed")
        made: Axis | None = None
    elif groups == 1:
        _sum_over(trace, weight, ins, channels)
        made = trace.axis(weight, outs_dim)
    elif weight.shape[:2] == (groups, 1) and weight.owner is not None:  # depthwise
        made = trace.assign(weight, 0, channels, "kept", _from_outside(trace))
        trace.depthwise.add(weight.owner)
    else:
        made = _grouped(trace, weight, channels, groups)
    made = _bias(trace, bias, made)
    trace.give(outs[0], Traced(tuple(outs[0].shape), [None, made, *[None] * (outs[0].ndim - 2)]))


def _grouped(trace: Trace, weight: Traced, channels: Axis | None, groups: int) -> Axis | None:
    """Follow a convolution in groups: place i of each group is multiplied like place i of the others."""
    size = weight.shape[1]
    runs = None if channels is None else runs_of(channels, size)
    if channels is not None and runs is None:
        trace.fix(channels, f"a convolution in groups cuts it {trace.at()}")
    elif runs is not None:
        tie(trace, runs)
    _sum_over(trace, weight, 1, None if runs is None else runs[0])
    made = trace.axis(weight, 0)
    parts = None if made is None else runs_of(made, weight.shape[0] // groups)
    if parts is not None:
        tie(trace, parts)
    else:
        trace.fix(made, f"a convolution in groups cuts it {trace.at()}")
    return made


def tie(trace: Trace, runs: Sequence[Axis]) -> None:
    """Say that the units at the same place of each run are multiplied alike."""
    for run in runs[1:]:
        for (first, _), (unit, _) in zip(runs[0], run, strict=True):
            trace.units.unite(first, unit)


def _batch_norm(trace: Trace, given: dict[str, Any], sources: Sequence[Tensor], outs: Sequence[Tensor]) -> None:
    x = trace.of(given["input"])
    axes = [trace.axis(x, dim) for dim in range(len(x.shape))]
    for dim in range(len(axes)):
        if dim != 1:
            trace.fix(axes[dim], f"batch norm averages over it {trace.at()}")
    axis = axes[1] if len(axes) > 1 else None
    for name in ("weight", "bias", "running_mean", "running_var"):
        axis = _bias(trace, given.get(name), axis)
    trace.give(outs[0], Traced(tuple(outs[0].shape), [None, axis, *[None] * (outs[0].ndim - 2)]))
    for out in outs[1:]:
        trace.plain(out)


def _layer_norm(trace: Trace, given: dict[str, Any], sources: Sequence[Tensor], outs: Sequence[Tensor]) -> None:
    """Follow layer norm: mean and variance stay only where all units are multiplied alike."""
    x, normalized = trace.of(given["input"]), len(given["normalized_shape"])
    axes: list[Axis | None] = [trace.axis(x, dim) for dim in range(len(x.shape))]
    for place in range(-normalized, 0):
        axis = axes[place]
        for name in ("weight", "bias"):
            if given.get(name) is not None:
                leaf = trace.of(given[name])
                axis = trace.assign(leaf, len(leaf.shape) + place, axis, "kept", _from_outside(trace))
        if axis is not None:
            if given.get("weight") is None:
                trace.fix(axis, f"layer norm without weights states its size {trace.at()}")
            trace.units.unite_all(units_of(axis))
        axes[place] = axis
    _first(trace, axes, outs)


def _group_norm(trace: Trace, given: dict[str, Any], sources: Sequence[Tensor], outs: Sequence[Tensor]) -> None:
    x = trace.of(given["input"])
    axes = [trace.axis(x, dim) for dim in range(len(x.shape))]
    axis = axes[1]
    for name in ("weight", "bias"):
        axis = _bias(trace, given.get(name), axis)
    if axis is not None:
        trace.units.unite_all(units_of(axis))
    _first(trace, [axes[0], axis, *axes[2:]], outs)


def _first(trace: Trace, axes: Sequence[Axis | None], outs: Sequence[Tensor]) -> None:
    trace.give(outs[0], Traced(tuple(outs[0].shape), [*axes]))
    for out in outs[1:]:
        trace.plain(out)


def _product(trace: Trace, one: Tensor, other: Tensor, inner: tuple[int, int]) -> None:
    """Follow a sum over a dimension of each of two tensors."""
    first, second = trace.of(one), trace.of(other)
    if _is_leaf(second, inner[1]):
        _sum_over(trace, second, inner[1], trace.axis(first, inner[0], "summed"))
    elif _is_leaf(first, inner[0]):
        _sum_over(trace, first, inner[0], trace.axis(second, inner[1], "summed"))
    else:
        for seen, dim in ((first, inner[0]), (second, inner[1])):
            trace.fix(trace.axis(seen, dim), f"two computed values are multiplied as matrices {trace.at()}")


def _mm(trace: Trace, given: dict[str, Any], sources: Sequence[Tensor], outs: Sequence[Tensor]) -> None:
    one, other = (given["mat1"], given["mat2"]) if "mat1" in given else (given["self"], given["mat2"])
    _product(trace, one, other, (1, 0))
    axes = [trace.axis(trace.of(one), 0), trace.axis(trace.of(other), 1)]
    bias = given["self"] if "mat1" in given else None
    if bias is not None:
        seen = trace.of(bias)
        if seen.shape and seen.shape[-1] == outs[0].shape[-1]:
            axes[1] = trace.assign(seen, len(seen.shape) - 1, axes[1], "kept", _from_outside(trace))
        if len(seen.shape) > 1:
            trace.fix(trace.axis(seen, 0), _from_outside(trace))
    trace.give(outs[0], Traced(tuple(outs[0].shape), axes))


def _bmm(trace: Trace, given: dict[str, Any], sources: Sequence[Tensor], outs: Sequence[Tensor]) -> None:
    one, other = (given["batch1"], given["batch2"]) if "batch1" in given else (given["self"], given["mat2"])
    _product(trace, one, other, (2, 1))
    if "batch1" in given:
        trace.fix_all([given["self"]], _from_outside(trace))
    first, second = trace.of(one), trace.of(other)
    batch = trace.joined(trace.axis(first, 0), trace.axis(second, 0), _from_outside(trace))
    trace.give(outs[0], Traced(tuple(outs[0].shape), [batch, trace.axis(first, 1), trace.axis(second, 2)]))


def _linear(trace: Trace, given: dict[str, Any], sources: Sequence[Tensor], outs: Sequence[Tensor]) -> None:
    x, weight = trace.of(given["input"]), trace.of(given["weight"])
    last = len(x.shape) - 1
    _product(trace, given["input"], given["weight"], (last, 1))
    made = _bias(trace, given.get("bias"), trace.axis(weight, 0))
    trace.give(outs[0], Traced(tuple(outs[0].shape), [*(trace.axis(x, dim) for dim in range(last)), made]))


def _embedding(trace: Trace, given: dict[str, Any], sources: Sequence[Tensor], outs: Sequence[Tensor]) -> None:
    weight = trace.of(given["weight"])
    trace.fix(trace.axis(weight, 0), f"it is a vocabulary {trace.at()}")
    made = trace.axis(weight, 1)
    trace.give(outs[0], Traced(tuple(outs[0].shape), [*[None] * (outs[0].ndim - 1), made]))


_BATCH_NORMS = [
    "native_batch_norm",
    "_native_batch_norm_legit",
    "_native_batch_norm_legit_no_training",
    "cudnn_batch_norm",
    "miopen_batch_norm",
    "_native_batch_norm_legit_functional",
    "_batch_norm_with_update",
    "_batch_norm_no_update",
]
LAYER_RULES: dict[str, Rule] = {
    "convolution": _convolution,
    **dict.fromkeys(_BATCH_NORMS, _batch_norm),
    "native_layer_norm": _layer_norm,
    "native_group_norm": _group_norm,
    "mm": _mm,
    "addmm": _mm,
    "bmm": _bmm,
    "baddbmm": _bmm,
    "linear": _linear,
    "embedding": _embedding,
}
