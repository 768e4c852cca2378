"""A network that takes over the function of another one from which its architecture has grown."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from naslib.errors import MorphismError

from ._identities import add_noise, measure, undo
from ._inputs import run, some_inputs
from ._networks import LAYERS, Call, check_same, copied, is_share, outputs_of
from .widening import widened

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_WHY = "by wider layers, larger kernels and layers that change nothing, the one does not grow from the other"


class NoiseShares(NamedTuple):
    """What is added to new weights, as a share of the standard deviation of their tensor.

    Attributes:
        wider: To weights of copied units.
        deeper: To kernels of new layers.
    """

    wider: float = 0.0
    deeper: float = 0.0


def inherit(
    parent: nn.Module,
    child: nn.Module,
    *,
    noise: Sequence[float] = (0.0, 0.0),
    generator: torch.Generator | None = None,
    inputs: Any = None,
) -> nn.Module:
    """Return a network with the architecture of a child, and the function of its parent.

    The networks are compared by the names of their modules. A layer of the child may have more units (`widen`) or a
    larger kernel (zeros around the parent's), and there may be layers that the parent has not. All of these become
    identities with batch norms that undo themselves; if that changes the function, the last of each new module becomes
    zero, which leaves what it is added to. That the function is the parent's is checked, so what differs otherwise is
    an error.

    Args:
        parent: A trained network; not changed.
        child: A network of the architecture that has grown from it; its new layers may keep weights. Not changed.
        noise: `(wider, deeper)`: standard deviations of what is added to copied and to new weights, see `widen` and
            `deepen`.
        generator: Of copies and noise; one with seed 0 if None.
        inputs: What both run on, and new batch norms are measured on: see `widen`.

    Raises:
        MorphismError: If the child has not grown from the parent; the message says where.
    """
    return inherited(parent, child, noise=noise, generator=generator, inputs=inputs)[0]


def inherited(
    parent: nn.Module,
    child: nn.Module,
    *,
    noise: Sequence[float] = (0.0, 0.0),
    generator: torch.Generator | None = None,
    inputs: Any = None,
) -> tuple[nn.Module, tuple[str, ...]]:
    """Return what `inherit` does, and in words what was done.

    Args:
        parent: See `inherit`.
        child: See `inherit`.
        noise: See `inherit`.
        generator: See `inherit`.
        inputs: See `inherit`.

    Raises:
        MorphismError: See `inherit`.
    """
    share = _noise(noise)
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    inputs = some_inputs(parent) if inputs is None else inputs
    call = partial(run, inputs=inputs)
    wide, said = _as_wide(parent, child, share.wider, generator, inputs)
    new = copied(child)
    fresh = _take(wide, new, said)
    old = outputs_of(wide, call)
    _settle_new(new, fresh, old, call, said)
    for module in fresh.values():
        if share.deeper and isinstance(module, LAYERS):
            add_noise(module, share.deeper, generator)
    return new, tuple(said)


def _noise(noise: Sequence[float]) -> NoiseShares:
    if not isinstance(noise, Sequence) or len(noise) != 2 or not all(map(is_share, noise)):
        raise MorphismError(f"noise is two shares from 0, of wider and of deeper layers, not {noise!r}")
    return NoiseShares(*map(float, noise))


def _width(module: Any) -> int:
    return int(getattr(module, "out_channels", 0) or getattr(module, "out_features", 0))


def _as_wide(
    parent: nn.Module, child: nn.Module, noise: float, generator: torch.Generator, inputs: Any
) -> tuple[nn.Module, list[str]]:
    """Return the parent with the widths of the child, and what was done."""
    own = {name: module for name, module in child.named_modules() if isinstance(module, LAYERS)}
    wide, said = parent, []
    for name, module in parent.named_modules():
        if not isinstance(module, LAYERS):
            continue
        if type(own.get(name)) is not type(module):
            here = "none" if name not in own else f"a {type(own[name]).__name__}"
            raise MorphismError(
                f"the child has not grown from its parent: {name!r} is a {type(module).__name__} of the parent, and "
                f"the child has {here} there. Layers can be added, not removed"
            )
        now, target = _width(wide.get_submodule(name)), _width(own[name])
        if target < now:
            raise MorphismError(
                f"the child has not grown from its parent: {name!r} would have {target} units, and has {now}. Units "
                "can be added, not removed"
            )
        if target > now:
            wide, done = widened(wide, name, target, noise=noise, generator=generator, inputs=inputs)
            said.append(f"{name}: {now} -> {target} units")
            said.extend(f"{other}: with it" for other in done.together)
    return wide, said


@torch.no_grad()
def _take(wide: nn.Module, new: nn.Module, said: list[str]) -> dict[str, nn.Module]:
    """Give a network the weights of another one by name, and return its modules that have none there, by name."""
    given = dict([*wide.named_parameters(), *wide.named_buffers()])
    own = dict([*new.named_parameters(), *new.named_buffers()])
    lost = sorted(given.keys() - own.keys())
    if lost:
        raise MorphismError(f"the child has not grown from its parent: it has no {lost[0]!r}")
    for name, tensor in own.items():
        if name not in given:
            continue
        value = given[name]
        if value.shape != tensor.shape:
            value = _in_the_middle(value, tensor.shape, new.get_submodule(name.rpartition(".")[0]), name)
            said.append(f"{name}: kernel {list(given[name].shape[2:])} -> {list(tensor.shape[2:])}")
        tensor.copy_(value)
    known = {name.rpartition(".")[0] for name in given}
    return {
        name: module
        for name, module in new.named_modules()
        if name not in known and any(True for _ in (*module.parameters(False), *module.buffers(False)))
    }


def _in_the_middle(value: Tensor, shape: torch.Size, module: nn.Module, name: str) -> Tensor:
    """Return a kernel with zeros around it."""
    more = [int(new) - int(old) for old, new in zip(value.shape, shape, strict=False)]
    grows = isinstance(module, _CONVOLUTIONS) and len(value.shape) == len(shape)
    if not grows or more[:2] != [0, 0] or any(side < 0 or side % 2 for side in more[2:]):
        raise MorphismError(
            f"the child has not grown from its parent: {name!r} is of shape {tuple(value.shape)}, and would be of "
            f"shape {tuple(shape)}"
        )
    new = value.new_zeros(shape)
    middle = tuple(slice(side // 2, side // 2 + int(old)) for side, old in zip(more, value.shape, strict=True))
    new[middle] = value
    return new


def _settle_new(new: nn.Module, fresh: dict[str, nn.Module], old: list[Tensor], call: Call, said: list[str]) -> None:
    """Let new modules change nothing.

    Raises:
        MorphismError: If the function is another one, whatever they do.
    """
    before = {name: copy.deepcopy(module.state_dict()) for name, module in fresh.items()}
    what = "the child"
    ways: list[tuple[str, Callable[[dict[str, nn.Module]], None]]] = [("the identity", _become_identities)]
    if fresh:
        ways.append(("zero, added to what was there", _end_in_zero))
    for last, (name, way) in enumerate(ways, 1):
        way(fresh)
        try:
            check_same(old, new, call, what, _WHY)
        except MorphismError:
            if last == len(ways):
                raise
            for place, state in before.items():
                fresh[place].load_state_dict(state)
            continue
        said.extend(f"{place}: new, {name}" for place in _tops(fresh))
        if way is _become_identities:
            measure(new, [module for module in fresh.values() if _can_undo(module)], call)
        return


def _tops(fresh: dict[str, nn.Module]) -> list[str]:
    """Return the new modules that are in no other new one: for a block, the block's name."""
    return list(dict.fromkeys(name.rpartition(".")[0] or name for name in fresh))


def _can_undo(module: Any) -> bool:
    return isinstance(module, _NORMS) and module.affine and module.running_mean is not None


@torch.no_grad()
def _become_identities(fresh: dict[str, nn.Module]) -> None:
    for module in fresh.values():
        if isinstance(module, _CONVOLUTIONS) and module.in_channels == module.out_channels:
            nn.init.dirac_(module.weight, module.groups)
        elif isinstance(module, nn.Linear) and module.in_features == module.out_features:
            nn.init.eye_(module.weight)
        elif _can_undo(module):
            undo(module)
            continue
        else:
            continue
        if module.bias is not None:
            module.bias.zero_()


@torch.no_grad()
def _end_in_zero(fresh: dict[str, nn.Module]) -> None:
    last: dict[str, Any] = {}
    for name, module in fresh.items():
        if getattr(module, "weight", None) is not None:
            last[name.rpartition(".")[0]] = module
    for module in last.values():
        module.weight.zero_()
        if module.bias is not None:
            module.bias.zero_()
