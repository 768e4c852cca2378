"""What operations do to units: one rule for each kind of operation, by the name that torch gives it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from ._layer_rules import LAYER_RULES
from ._shape_rules import SHAPE_RULES
from ._trace import Trace, Traced
from ._units import Axis, units_of

Rule = Callable[[Trace, dict[str, Any], Sequence[Tensor], Sequence[Tensor]], None]

# Value by value: what is multiplied before is multiplied after
_NEVER_NEGATIVE = ["relu", "sigmoid", "hardsigmoid", "softplus", "exp", "abs", "sqrt", "rsqrt", "square"]
_ELEMENTWISE = frozenset(
    [
        *_NEVER_NEGATIVE,
        *[
            "hardtanh",
            "tanh",
            "silu",
            "gelu",
            "elu",
            "leaky_relu",
            "hardswish",
            "mish",
            "clone",
            "_to_copy",
            "neg",
            "pow",
            "mul",
            "div",
            "add",
            "sub",
            "rsub",
        ],
        *[
            "clamp",
            "clamp_min",
            "clamp_max",
            "maximum",
            "minimum",
            "where",
            "reciprocal",
            "sin",
            "cos",
            "log",
            "log1p",
            "erf",
            "floor",
            "round",
            "ceil",
        ],
        *[
            "threshold",
            "_prelu_kernel",
            "lift_fresh",
            "sign",
            "masked_fill",
            "addcmul",
            "addcdiv",
            "lerp",
            "native_dropout",
            "copy",
            "softshrink",
        ],
        *[
            "hardshrink",
            "logical_not",
            "eq",
            "ne",
            "gt",
            "ge",
            "lt",
            "le",
            "bitwise_not",
            "log_sigmoid_forward",
            "rrelu_with_noise",
            "_conj",
            "zeros_like",
            "ones_like",
            "full_like",
            "empty_like",
        ],
    ]
)
_AS_IT_IS = frozenset(["alias", "detach", "lift"])
# Tensors of their own, of a size that a forward states
_NEW = frozenset(["new_empty", "new_full", "new_ones", "new_zeros"])
# Along the last dimensions, each unit for itself
_POOLS = {
    **{f"{kind}_pool{n}d": n for kind in ("avg", "_adaptive_avg", "adaptive_avg", "max") for n in (1, 2, 3)},
    **{f"{kind}_pool{n}d_with_indices": n for kind in ("max",) for n in (1, 2, 3)},
    **{f"adaptive_max_pool{n}d": n for n in (1, 2, 3)},
    **{f"{kind}_pad{n}d": n for kind in ("reflection", "replication") for n in (1, 2, 3)},
    **{f"upsample_nearest{n}d": n for n in (1, 2, 3)},
    "upsample_linear1d": 1,
    "upsample_bilinear2d": 2,
    "upsample_bicubic2d": 2,
    "upsample_trilinear3d": 3,
}
_KEEPS_SIGN = frozenset(
    [
        "clone",
        "_to_copy",
        "alias",
        "detach",
        "view",
        "_unsafe_view",
        "slice",
        "permute",
        "transpose",
        "unsqueeze",
        "squeeze",
    ]
)
_KEEPS_SIGN_OF_ALL = frozenset(
    ["add", "mul", "cat", "mean", "sum", "maximum", "constant_pad_nd", "expand", *_POOLS]
) - {
    "upsample_bicubic2d"  # overshoots
}
_ALONG = frozenset(["_softmax", "_log_softmax", "cumsum", "cumprod", "sort", "topk", "argsort"])
_REDUCTIONS = frozenset(
    [
        "mean",
        "sum",
        "amax",
        "amin",
        "max",
        "min",
        "var",
        "std",
        "prod",
        "norm",
        "linalg_vector_norm",
        "any",
        "all",
        "argmax",
        "argmin",
        "var_mean",
        "std_mean",
    ]
)


def follow(trace: Trace, name: str, given: dict[str, Any], sources: Sequence[Tensor], outs: Sequence[Tensor]) -> None:
    """Tell a trace what an operation does to units.

    Args:
        trace: The trace.
        name: Of the operation, without the underscore of those that work in place.
        given: Its arguments by name.
        sources: The tensors among them.
        outs: What came out.
    """
    signs = [trace.of(source).nonnegative for source in sources]
    if not sources:
        for out in outs:
            trace.plain(out)
    elif name in _ELEMENTWISE:
        _elementwise(trace, name, sources, outs)
    elif name in _AS_IT_IS:
        seen = trace.of(sources[0])
        trace.give(outs[0], Traced(seen.shape, [*seen.axes], seen.owner, [*seen.dims]))
    elif name in _NEW:
        for out in outs:
            trace.plain(out)
    elif name == "as_strided" and tuple(given["size"]) == tuple(sources[0].shape):  # another order in memory
        _elementwise(trace, name, sources, outs)
    elif name in _POOLS:
        _pool(trace, name, sources[0], outs)
    elif name in _ALONG:
        _along(trace, name, given, sources[0], outs)
    elif name in _REDUCTIONS and len(sources) == 1:
        _reduce(trace, name, given, sources[0], outs)
    elif (rule := LAYER_RULES.get(name) or SHAPE_RULES.get(name)) is not None:
        rule(trace, given, sources, outs)
    else:
        trace.fix_all(sources, f"it enters {name} {trace.at()}, which is not known to keep units apart")
        for out in outs:
            trace.plain(out)
    for out in outs:
        trace.of(out).nonnegative = _is_nonnegative(name, given, signs)


def _is_nonnegative(name: str, given: dict[str, Any], signs: Sequence[bool]) -> bool:
    if name in _NEVER_NEGATIVE:
        return True
    if name == "hardtanh":
        return float(given.get("min_val", -1.0)) >= 0
    if name in _KEEPS_SIGN:
        return bool(signs) and signs[0]
    if name == "constant_pad_nd":
        return signs[0] and float(given.get("value", 0)) >= 0
    numbers = [given.get(key) for key in ("other", "alpha")]
    if name in ("add", "mul") and any(isinstance(number, int | float) and number < 0 for number in numbers):
        return False
    return name in _KEEPS_SIGN_OF_ALL and bool(signs) and all(signs)


def _elementwise(trace: Trace, name: str, sources: Sequence[Tensor], outs: Sequence[Tensor]) -> None:
    out = outs[0]
    axes: list[Axis | None] = []
    seen_all = [trace.of(source) for source in sources]
    for dim in range(out.ndim):
        size = out.shape[dim]
        meeting = []
        for seen in seen_all:
            own = dim - (out.ndim - len(seen.shape))
            if own < 0:
                continue
            if seen.shape[own] == size:
                meeting.append((seen, own))
            elif not trace.is_free(seen, own):
                trace.fix(seen.axes[own] if seen.owner is None else trace.axis(seen, own), _spread(trace, name))
        axes.append(meet(trace, meeting, f"it meets numbers of a fixed size in {name} {trace.at()}"))
    for target in outs:
        trace.give(target, Traced(tuple(target.shape), [*axes] if target.shape == out.shape else [None] * target.ndim))


def _spread(trace: Trace, name: str) -> str:
    return f"one unit is spread over many in {name} {trace.at()}"


def meet(trace: Trace, meeting: Sequence[tuple[Traced, int]], reason: str) -> Axis | None:
    """Return what is known of dimensions that are the same; those of unused parameters become what the others are."""
    known = [(seen, dim) for seen, dim in meeting if not trace.is_free(seen, dim)]
    waiting = [(seen, dim) for seen, dim in meeting if trace.is_free(seen, dim)]
    if not known:
        if not waiting:
            return None
        known, waiting = waiting[:1], waiting[1:]
    axis = trace.axis(*known[0])
    for seen, dim in known[1:]:
        axis = trace.joined(axis, trace.axis(seen, dim), reason)
    for seen, dim in waiting:
        axis = trace.assign(seen, dim, axis, "kept", reason)
    return axis


def _pool(trace: Trace, name: str, source: Tensor, outs: Sequence[Tensor]) -> None:
    seen = trace.of(source)
    within = len(seen.shape) - _POOLS[name]
    axes = [trace.axis(seen, dim) for dim in range(len(seen.shape))]
    for dim in range(within, len(axes)):
        trace.fix(axes[dim], f"neighbours are mixed by {name} {trace.at()}")
    for out in outs:
        trace.give(out, Traced(tuple(out.shape), [*axes[:within], *[None] * (len(axes) - within)]))


def dims_of(value: Any, ndim: int) -> list[int]:
    """Return the dimensions that an argument names; all where it names none."""
    if value is None or (isinstance(value, Sequence) and not value):
        return list(range(ndim))
    named = [value] if isinstance(value, int) else list(value)
    return [int(dim) % max(ndim, 1) for dim in named]


def _along(trace: Trace, name: str, given: dict[str, Any], source: Tensor, outs: Sequence[Tensor]) -> None:
    seen = trace.of(source)
    axes = [trace.axis(seen, dim) for dim in range(len(seen.shape))]
    for dim in dims_of(given.get("dim", -1), len(axes)):
        trace.fix(axes[dim], f"units are weighed against each other by {name} {trace.at()}")
        axes[dim] = None
    for out in outs:
        trace.give(out, Traced(tuple(out.shape), [*axes]))


def _reduce(trace: Trace, name: str, given: dict[str, Any], source: Tensor, outs: Sequence[Tensor]) -> None:
    seen = trace.of(source)
    dims = dims_of(given.get("dim"), len(seen.shape))
    axes: list[Axis | None] = []
    for dim in range(len(seen.shape)):
        axis = trace.axis(seen, dim)
        if dim in dims:
            if axis is not None and name == "mean":
                trace.units.unite_all(units_of(axis))  # multiplied alike, all of them have the same mean
            elif axis is not None:
                trace.fix(axis, f"units are taken together by {name} {trace.at()}")
        axes.append(None if dim in dims else axis)
    for out in outs:
        kept = axes if out.ndim == len(axes) else [axis for dim, axis in enumerate(axes) if dim not in dims]
        trace.give(out, Traced(tuple(out.shape), [*kept]))
