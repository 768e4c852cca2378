"""Where the module of a space comes from, and how it is made anew."""

from __future__ import annotations

import copy
import importlib
import inspect
import pickle
from collections.abc import Callable
from typing import Any

from torch import nn

from naslib.errors import GraphError, NASLibError
from naslib.search_spaces.core.given_weights import draw_anew


class Source:
    """What makes the module of a space; copies of the space share it.

    Attributes:
        name: `"package.module:name"`, where it can be imported.
    """

    name: str | None = None

    def first(self) -> nn.Module:
        """Return the module that the space begins with."""
        raise NotImplementedError(f"{type(self).__name__} does not define first()")

    def anew(self) -> nn.Module:
        """Return a module with weights of its own."""
        raise NotImplementedError(f"{type(self).__name__} does not define anew()")

    def __deepcopy__(self, memo: dict[int, Any]) -> Source:
        return self


class Given(Source):
    """A module that somebody has built; it is not changed.

    Args:
        module: The module.
    """

    def __init__(self, module: nn.Module) -> None:
        self._module = module

    def first(self) -> nn.Module:
        """Return a copy."""
        return copy.deepcopy(self._module)

    def anew(self) -> nn.Module:
        """Return a copy whose layers draw new weights, except what is frozen or `pretrained`.

        What does not draw its weights by a `reset_parameters` of its own (parameters of a person's own classes) has
        those that it was given with.
        """
        module = self.first()
        draw_anew(module.modules())
        return module


class Made(Source):
    """A class or function that makes the module.

    Args:
        factory: Called without arguments.
    """

    def __init__(self, factory: Callable[[], nn.Module]) -> None:
        self.factory = factory
        self.name = _name_of(factory)

    def first(self) -> nn.Module:
        """Return what the factory makes.

        Raises:
            GraphError: If that is no module, or it cannot be called without arguments.
        """
        required = [name for name, p in _parameters(self.factory).items() if p.default is p.empty]
        shown = getattr(self.factory, "__qualname__", repr(self.factory))
        if required:
            raise GraphError(
                f"what makes the module is called without arguments, and {shown} needs {', '.join(required)}: give "
                f"lambda: {shown}(...), or the module itself"
            )
        module = self.factory()
        if not isinstance(module, nn.Module):
            raise GraphError(f"what makes the module returns a torch.nn.Module, but {shown} returned {module!r}")
        return module

    def anew(self) -> nn.Module:
        """Return what the factory makes, with the weights that it gives."""
        return self.first()

    def __reduce__(self) -> tuple[Any, ...]:
        if inspect.ismethod(self.factory):  # of the space that is being pickled, say
            return Made, (self.factory,)
        try:
            pickle.dumps(self.factory)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            shown = getattr(self.factory, "__qualname__", repr(self.factory))
            return Lost, (f"{shown} cannot be pickled ({error})",)
        return Made, (self.factory,)


class Lost(Source):
    """What a space was made by, where a pickle could not take it along.

    Args:
        reason: Why.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def first(self) -> nn.Module:
        """Raise `GraphError`."""
        raise GraphError(
            f"the module cannot be made anew from a pickle: {self.reason}; use a class or a function of a module that "
            "can be imported"
        )

    anew = first


def source_of(given: Any) -> Source:
    """Return where a module comes from.

    Raises:
        GraphError: If it is no module, nothing that makes one, or not to be imported.
    """
    if isinstance(given, nn.Module):
        return Given(given)
    if isinstance(given, str):
        return Made(_imported(given))
    if callable(given):
        return Made(given)
    if given is None:
        raise GraphError(
            "there is no module: this space was made of a module, or of a function that cannot be imported, and a file "
            "cannot name these. Make it of a class or a function of a module that can be imported, or write a subclass "
            "of ModuleSearchSpace whose constructor makes the module"
        )
    raise GraphError(f"ModuleSearchSpace takes a torch module, or what makes one, not {given!r}")


def _imported(name: str) -> Callable[[], nn.Module]:
    module_name, separator, path = name.partition(":")
    if not separator or not path:
        raise GraphError(f"what makes the module is named as 'package.module:name', not {name!r}")
    try:
        found: Any = importlib.import_module(module_name)
        for part in path.split("."):
            found = getattr(found, part)
    except NASLibError:
        raise
    except (ImportError, AttributeError) as error:
        raise GraphError(f"{name!r} cannot be imported ({error}); put its module on the Python path") from error
    if not callable(found) or isinstance(found, nn.Module):
        raise GraphError(f"{name!r} is {type(found).__name__}, expected a class or function that makes the module")
    return found


def _name_of(factory: Any) -> str | None:
    """Return how a factory can be imported, None where it cannot."""
    module, path = getattr(factory, "__module__", None), getattr(factory, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(path, str) or "<" in path:
        return None
    name = f"{module}:{path}"
    try:
        return name if _imported(name) is factory else None
    except GraphError:
        return None


def _parameters(factory: Any) -> dict[str, inspect.Parameter]:
    try:
        parameters = inspect.signature(factory).parameters
    except (TypeError, ValueError):
        return {}
    return {n: p for n, p in parameters.items() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
