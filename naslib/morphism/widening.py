"""Net2Wider: more units in a layer, and the same function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from naslib.errors import MorphismError
from naslib.utils.log import get_logger

from ._inputs import run, some_inputs
from ._networks import LAYERS, check_same, check_training, copied, is_share, layer_of, outputs_of, replace_leaves
from ._recorder import record
from ._replication import Rearranged, rearranged, segments_of
from ._trace import Trace
from ._units import Axis, units_of

logger = get_logger(__name__)


@dataclass(frozen=True)
class Widenable:
    """Whether a layer can be widened.

    Attributes:
        layer: Its dotted name.
        width: Units that it has.
        step: It can have `width + step`, `width + 2 step` and so on. More than 1 where units come in groups.
        together: The layers that are widened with it, as their units are added to its own.
        reason: Why it cannot be widened; None if it can.
    """

    layer: str
    width: int
    step: int
    together: tuple[str, ...]
    reason: str | None = None


@dataclass(frozen=True)
class Widening:
    """What was done to a network.

    Attributes:
        layer: The layer that was asked for.
        width: Units that it has now.
        before: Units that it had.
        together: The layers that were widened with it.
        changed: What became of each parameter and buffer that changed, by name.
    """

    layer: str
    width: int
    before: int
    together: tuple[str, ...]
    changed: Mapping[str, Rearranged]


def widen(
    network: nn.Module,
    layer: str,
    width: int,
    *,
    noise: float = 0.0,
    generator: torch.Generator | None = None,
    inputs: Any = None,
) -> nn.Module:
    """Return a network with more units in a layer, and the same function ([Chen2016net2net], Section 2.2).

    New units are copies of old ones that are drawn at random; where a layer sums over them, their weights are divided
    by the number of copies (Equations 1 to 3 there, for any operation that keeps units apart). Old units keep their
    places, and copies follow them. The function is the same in evaluation mode, and in training mode, too, where
    nothing is dropped at random: batch norm sees the same statistics.

    Signature, errors and the names of modules (none changes) are stable.

    Args:
        network: Any module whose forward runs on `inputs`; not changed.
        layer: Dotted name of a convolution or a linear layer.
        width: Units that it is to have, more than it has.
        noise: Standard deviation of what is added to the copies' weights, as a share of the standard deviation of those
            weights; [Cai2018eas] has 1e-2. 0 leaves the function as it was.
        generator: Of the copies and of the noise; one with seed 0 if None.
        inputs: What the network runs on to be read: a tensor, a tuple of arguments, a dict of them, or a function that
            runs the network it is given. Some of a size that the first layer takes if None.

    Raises:
        MorphismError: If there is no such layer, it does not run on the inputs, its units are those of the output or
            are otherwise bound, or the width is none that it can have.
    """
    return widened(network, layer, width, noise=noise, generator=generator, inputs=inputs)[0]


def widened(
    network: nn.Module,
    layer: str,
    width: int,
    *,
    noise: float = 0.0,
    generator: torch.Generator | None = None,
    inputs: Any = None,
) -> tuple[nn.Module, Widening]:
    """Return what `widen` does, and what was done: the layers that became wider, and which unit each new one copies.

    Args:
        network: See `widen`.
        layer: See `widen`.
        width: See `widen`.
        noise: See `widen`.
        generator: See `widen`.
        inputs: See `widen`.

    Raises:
        MorphismError: See `widen`.
    """
    if not is_share(noise):
        raise MorphismError(f"noise is a share of the weights' standard deviation, at least 0, not {noise!r}")
    _check_is_layer(network, layer)
    call = partial(run, inputs=some_inputs(network) if inputs is None else inputs)
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    new = copied(network)
    trace = record(new, call)
    info, order, each = _read(trace, new, layer)
    if info.reason is not None:
        raise MorphismError(f"{layer!r} cannot be widened: {info.reason}")
    rounds = _rounds(info, width)
    drawn = _drawn(order, each, rounds, generator)
    changed = rearranged(trace, segments_of(trace, order), drawn)
    values = {name: change.values(trace.leaves[name].detach()) for name, change in changed.items()}
    old = outputs_of(new, call)
    replace_leaves(new, trace.leaves, values)
    check_same(old, new, call, f"widening {layer!r} to {width}")
    if trace.unused():
        check_training(network, new, call, f"widening {layer!r} to {width}")
    if noise:
        add_noise(new, changed, noise, generator)
    if info.together:
        logger.debug("widened to %d with %s: %s", width, layer, ", ".join(info.together))
    return new, Widening(layer, width, info.width, info.together, changed)


def widenable(network: nn.Module, inputs: Any = None) -> dict[str, Widenable]:
    """Return every convolution and linear layer by name, with what `widen` can do to it.

    Args:
        network: See `widen`; not changed.
        inputs: See `widen`.

    Raises:
        MorphismError: If the network does not run on the inputs that are tried.
    """
    trace = record(network, partial(run, inputs=some_inputs(network) if inputs is None else inputs))
    names = [name for name, module in network.named_modules() if isinstance(module, LAYERS)]
    return {name: _read(trace, network, name)[0] for name in names}


def _check_is_layer(network: nn.Module, layer: str) -> None:
    module = layer_of(network, layer)
    if isinstance(module, LAYERS):
        return
    inside = [
        f"{layer}.{name}".removeprefix(".")
        for name, child in module.named_modules()
        if name and isinstance(child, LAYERS)
    ]
    near = f"; in it are {', '.join(inside[:3])}" if inside else ""
    raise MorphismError(f"{layer!r} is a {type(module).__name__}, neither a convolution nor a linear layer{near}")


def _made_dim(module: nn.Module) -> int:
    return 1 if isinstance(module, nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d) else 0


def made_by(trace: Trace, module: nn.Module) -> tuple[str, Axis | None] | None:
    """Return the name of a layer's weight and the units that it makes; None where it did not run."""
    weight: Any = module.weight
    name = next((name for name, leaf in trace.leaves.items() if leaf is weight), None)
    dim = _made_dim(module)
    if name is None or (name, dim) not in trace.axes:
        return None
    return name, trace.axes[name, dim]


def _read(trace: Trace, network: nn.Module, layer: str) -> tuple[Widenable, list[int], bool]:
    """Return what can be done to a layer, its sets of units in order, and whether one is drawn without the others."""
    module: Any = network.get_submodule(layer)
    width = int(getattr(module, "out_channels", 0) or getattr(module, "out_features", 0))
    found = made_by(trace, module)
    if not isinstance(module._parameters.get("weight"), nn.Parameter):
        return Widenable(layer, width, 1, (), "its weight is computed, and no parameter of its own"), [], True
    if found is None:
        return Widenable(layer, width, 1, (), "its weight is not used on these inputs"), [], True
    axis = found[1]
    if axis is None:
        bound = trace.reasons.get((found[0], _made_dim(module)), "they meet the network's input")
        return Widenable(layer, width, 1, (), f"its units are of a fixed size: {bound}"), [], True
    roots = trace.units.roots(axis)
    order = list(dict.fromkeys(roots))
    times = {roots.count(root) for root in order} if len(order) < len(roots) else {1}
    each = len(times) == 1
    reason = next((why for unit in units_of(axis) if (why := trace.units.reason(unit)) is not None), None)
    together = []
    mine = set(order)
    for name, other in network.named_modules():
        if name != layer and isinstance(other, LAYERS):
            theirs = made_by(trace, other)
            if theirs is not None and theirs[1] is not None and mine & set(trace.units.roots(theirs[1])):
                together.append(name)
    return Widenable(layer, width, times.pop() if each else width, tuple(together), reason), order, each


def _rounds(info: Widenable, width: int) -> int:
    """Return how many draws make the width.

    Raises:
        MorphismError: Naming the nearest width that the layer can have.
    """
    if isinstance(width, bool) or not isinstance(width, int):
        raise MorphismError(f"the width of {info.layer!r} is a number of units, not {width!r}")
    more = width - info.width
    if more <= 0:
        what = "is what it has" if more == 0 else "is less than it has"
        raise MorphismError(
            f"{info.layer!r} has {info.width} units, and {width} {what}: widening adds some, the fewest are "
            f"{info.width + info.step}"
        )
    if more % info.step:
        below, above = info.width + more // info.step * info.step, info.width + (more // info.step + 1) * info.step
        choices = f"{below} or {above}" if below > info.width else f"{above}"
        raise MorphismError(
            f"{info.layer!r} cannot have {width} units: it has {info.width}, and they come in steps of {info.step}, as "
            f"a norm, a convolution in groups or a shuffle binds them; the nearest choice is {choices}"
        )
    return more // info.step


def _drawn(order: Sequence[int], each: bool, rounds: int, generator: torch.Generator) -> list[int]:
    if not each:
        return [root for _ in range(rounds) for root in order]
    indices = torch.randint(len(order), (rounds,), generator=generator, device=generator.device)
    return [order[index] for index in indices.tolist()]


def add_noise(network: nn.Module, changed: Mapping[str, Rearranged], noise: float, generator: torch.Generator) -> None:
    """Add noise to the copies in layers' weights and biases, as the authors' code does; not to those of norms."""
    for place, module in network.named_modules():
        if not isinstance(module, LAYERS):
            continue
        for key, value in module._parameters.items():
            change = changed.get(f"{place}.{key}" if place else key)
            if value is None or change is None:
                continue
            for dim in change.made:
                where = change.added[dim].nonzero().flatten().to(value.device)
                if len(where):
                    _disturb(value, dim, where, noise, generator)


@torch.no_grad()
def _disturb(value: Tensor, dim: int, where: Tensor, noise: float, generator: torch.Generator) -> None:
    copies = value.index_select(dim, where)
    spread = float(copies.std(correction=0)) * noise
    drawn = torch.randn(copies.shape, generator=generator, device=generator.device, dtype=torch.float64)
    value.index_add_(dim, where, (drawn * spread).to(value.device, value.dtype))
