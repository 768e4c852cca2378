"""Given weights: what somebody froze or loaded in a search space stays as it was built."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from naslib.errors import ArchitectureError
from naslib.utils.log import get_logger
from naslib.utils.text import listed

M = TypeVar("M", bound=nn.Module)

logger = get_logger(__name__)

# On a module whose weights `pretrained` has taken note of; in `__dict__`, so that copies and pickles have it, too
_GIVEN = "_given_weights"
# On a parameter that a search has stopped training: not its owner's wish
_STOPPED = "_stopped_by_search"


class _Given:
    """The tensors of one module by name; never changed, so that all copies of the module share them."""

    def __init__(self, module: nn.Module) -> None:
        self.tensors = {name: tensor.detach().clone() for name, tensor in _own_tensors(module).items()}

    def __deepcopy__(self, memo: dict[int, Any]) -> _Given:
        return self


def pretrained(module: M) -> M:
    """Let every retraining begin with the weights that a module has now, instead of fresh ones, in place.

    A search trains them like all others, and so does the retraining; `requires_grad_(False)` keeps them as they are
    through both, without this function. To be called once the weights are loaded, on a module on an edge or a node of a
    search space, or on the whole space.

    Args:
        module: The module, with its weights.

    Returns:
        The same module.
    """
    for child in module.modules():
        child.__dict__[_GIVEN] = _Given(child)
    return module


def is_frozen(parameter: Tensor | None) -> bool:
    """Say whether there is a parameter that its owner does not want trained (rather than a search, `stop_training`).

    Of any shape.
    """
    return parameter is not None and not parameter.requires_grad and _STOPPED not in vars(parameter)


def stop_training(parameters: Iterable[Tensor]) -> None:
    """Let a search train parameters no longer, until `train_again`.

    Of any shape.
    """
    for parameter in parameters:
        parameter.requires_grad_(False)
        parameter.grad = None
        setattr(parameter, _STOPPED, True)


def train_again(parameters: Iterable[Tensor]) -> None:
    """Let parameters be trained that a search has stopped training, and no others.

    Of any shape.
    """
    for parameter in parameters:
        if vars(parameter).pop(_STOPPED, False):
            parameter.requires_grad_(True)


def trainable(module: nn.Module) -> list[nn.Parameter]:
    """Return the parameters of a module that are not frozen, in its order."""
    return [parameter for parameter in module.parameters() if not is_frozen(parameter)]


def frozen_names(module: nn.Module) -> list[str]:
    """Return the names of the frozen parameters."""
    return [name for name, parameter in module.named_parameters() if is_frozen(parameter)]


def wholly_frozen(module: nn.Module) -> set[int]:
    """Return the ids of all modules that belong to a module which has parameters, all of them frozen."""
    found: set[int] = set()
    for child in module.modules():
        if id(child) in found:
            continue
        parameters = list(child.parameters())
        if parameters and all(map(is_frozen, parameters)):
            found.update(id(inner) for inner in child.modules())
    return found


def freeze(module: M, names: Iterable[str]) -> M:
    """Freeze the parameters called so, in place.

    Raises:
        ArchitectureError: If there is none of that name.
    """
    parameters = dict(module.named_parameters())
    for name in names:
        if name not in parameters:
            raise ArchitectureError(f"there is no parameter {name!r} to freeze: the space was changed since")
        parameters[name].requires_grad_(False)
    return module


def carry_over(source: Mapping[str, nn.Module], target: Mapping[str, nn.Module]) -> None:
    """Give modules that were built anew what is frozen, or noted by `pretrained`, in those they are built after.

    Modules are the same by name, class and shapes. What has no place among the new ones is warned of.

    Args:
        source: The modules that are built after, by name, each followed by its children.
        target: The new ones; changed in place.
    """
    frozen = {inner for module in source.values() for inner in wholly_frozen(module)}
    missing = []
    for name, module in source.items():
        kept = _kept(module, id(module) in frozen)
        new = target.get(name)
        if kept and (new is None or type(new) is not type(module) or _shapes(new) != _shapes(module)):
            missing.append(name)
        elif kept and new is not None:
            _give(new, module, kept)
    if missing:
        logger.warning(
            "%s: frozen or pretrained, but the network that is built has no such place; it begins with fresh weights",
            listed(missing, 4),
        )


def _give(new: nn.Module, module: nn.Module, kept: Sequence[tuple[Tensor, Tensor]]) -> None:
    names, own = {id(tensor): name for name, tensor in _own_tensors(module).items()}, _own_tensors(new)
    for tensor, value in kept:
        name = names[id(tensor)]
        with torch.no_grad():
            own[name].copy_(value)
        if isinstance(tensor, nn.Parameter) and is_frozen(tensor):
            own[name].requires_grad_(False)
    if _GIVEN in module.__dict__:
        new.__dict__[_GIVEN] = module.__dict__[_GIVEN]


def _shapes(module: nn.Module) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in _own_tensors(module).items()}


def draw_anew(modules: Iterable[nn.Module]) -> None:
    """Re-initialise modules in place, except what is frozen, and what `pretrained` took note of, which comes back.

    Args:
        modules: Each is asked for `reset_parameters` (`_reset_parameters` in some of torch's own) for itself, not for
            its children.
    """
    modules = list(modules)
    frozen = {inner for module in modules for inner in wholly_frozen(module)}
    kept = [pair for module in modules for pair in _kept(module, id(module) in frozen)]
    for module in modules:
        reset = _reset_of(module)
        if reset is not None and id(module) not in frozen:
            reset()
    with torch.no_grad():
        for tensor, value in kept:
            tensor.copy_(value)


def _kept(module: nn.Module, is_part_of_frozen: bool) -> list[tuple[Tensor, Tensor]]:
    """Return the tensors of a module itself that no draw is to change, with what they are to be."""
    own = _own_tensors(module)
    # buffers (running statistics) belong to the weights that they were measured with
    stays = is_part_of_frozen or any(map(is_frozen, module._parameters.values()))
    now = {name: tensor for name, tensor in own.items() if stays and (name in module._buffers or is_frozen(tensor))}
    given = module.__dict__.get(_GIVEN)
    before = {} if given is None else {n: t for n, t in given.tensors.items() if n in own and t.shape == own[n].shape}
    return [(own[name], value.detach().clone()) for name, value in {**before, **now}.items()]


def _own_tensors(module: nn.Module) -> dict[str, Tensor]:
    tensors = {**module._parameters, **module._buffers}
    return {name: tensor for name, tensor in tensors.items() if tensor is not None and not is_lazy(tensor)}


def _reset_of(module: nn.Module) -> Callable[[], Any] | None:
    for name in ("reset_parameters", "_reset_parameters"):
        reset = getattr(module, name, None)
        if callable(reset):
            return reset
    return None
