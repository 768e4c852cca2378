"""Operations that change their input in place get a copy of it: whatever else reads the tensor sees it as it was.

An edge is a function of its source, and a source may have other readers: edges, candidates, results that are shared, a
gate gradient that needs what an operation returned. Which operations write is known for torch's own layers (`inplace`)
and for ours (none does); of any other module or function it is found out at its first call, on a copy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from naslib.errors import GraphError
from naslib.search_spaces.core.kernels.strided import call_of, may_convolve

# By operation, then by mode (`training`): whether a call has changed its input
_observed: WeakKeyDictionary[Any, dict[bool, bool]] = WeakKeyDictionary()
# By kind of module, how to know what it does: `never` in place, by its `attribute` or `members`, or by `running` it
_rules: dict[type[nn.Module], str] = {}
# Kinds of modules that are just called, also inside of what `guarded` calls: they do not write, nor convolve themselves
HARMLESS: set[type] = set()


def guarded(owner: Any, function: Callable[..., Any], x: Any, *args: Any, **kwargs: Any) -> Any:
    """Return `function(x, ...)` and leave `x` as it is; strided 1x1 convolutions in there are those of `strided`.

    Args:
        owner: The module or function that decides whether `x` would be changed.
        function: What to call: the owner, or a method of it.
        x: A tensor, or a list of tensors; anything else is handed on.
        *args: Further arguments.
        **kwargs: Further keywords.

    Raises:
        GraphError: If an operation changes its input that did not at its first call, in the same mode.
    """
    if type(owner) in HARMLESS and not torch.compiler.is_compiling():
        return function(x, *args, **kwargs)
    if leaves_input(owner):
        return call_of(owner, function, x, *args, **kwargs)
    tensors = x if isinstance(x, list) else [x]
    if not all(isinstance(tensor, Tensor) for tensor in tensors):
        return call_of(owner, function, x, *args, **kwargs)
    compiling = torch.compiler.is_compiling()  # which keeps what is written in place apart, given a copy
    observable = not compiling and _observable(tensors)
    known = True if compiling else changes_input(owner)
    if known is not False:
        tensors = [tensor.clone() for tensor in tensors]
        x = tensors if isinstance(x, list) else tensors[0]
    before = [tensor._version for tensor in tensors] if observable else []
    output = call_of(owner, function, x, *args, **kwargs)
    if observable:
        changed = any(tensor._version != version for tensor, version in zip(tensors, before, strict=True))
        if changed and known is False:
            _remember(owner, True)
            raise GraphError(
                f"{_name(owner)} changed its input in place, which it did not do when it was called first: other "
                "operations read the same tensor; let it return a new tensor"
            )
        if known is None:
            _remember(owner, changed)
    return output


def leaves_input(owner: Any) -> bool:
    """Say whether it is known without a call that an operation changes nothing in place."""
    if not isinstance(owner, nn.Module):
        return str(getattr(owner, "__module__", "")).startswith("naslib.")
    rule = _rule(type(owner))
    if rule == "members":
        return all(leaves_input(member) for member in owner)  # type: ignore[attr-defined]
    return rule == "never" or (rule == "attribute" and not getattr(owner, "inplace", False))


def changes_input(owner: Any) -> bool | None:
    """Say whether an operation changes its input in place, None where no call has shown it yet."""
    if leaves_input(owner):
        return False
    if isinstance(owner, nn.Module) and _rule(type(owner)) == "attribute":
        return True
    try:
        return _observed.get(owner, {}).get(_mode(owner))
    except TypeError:  # neither hashed nor weakly referred to: a copy for every call
        return None


def _rule(kind: type[nn.Module]) -> str:
    rule = _rules.get(kind)
    if rule is None:
        leaf = kind.__module__.startswith("torch.nn.modules.") and not kind.__module__.endswith(".container")
        rule = "never" if kind.__module__.startswith("naslib.") else "attribute" if leaf else "running"
        _rules[kind] = rule = "members" if kind is nn.Sequential else rule
        if rule == "never" and not may_convolve(kind):
            HARMLESS.add(kind)
    return rule


def _observable(tensors: list[Tensor]) -> bool:
    """Say whether the versions of the tensors tell of changes: no transform, no inference tensor."""
    return not torch._C._are_functorch_transforms_active() and not any(tensor.is_inference() for tensor in tensors)


def _remember(owner: Any, changed: bool) -> None:
    try:
        _observed.setdefault(owner, {})[_mode(owner)] = changed
    except TypeError:
        return


def _mode(owner: Any) -> bool:
    return bool(getattr(owner, "training", True))


def _name(owner: Any) -> str:
    return type(owner).__name__ if isinstance(owner, nn.Module) else getattr(owner, "__name__", repr(owner))
