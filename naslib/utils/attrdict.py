"""A dictionary whose keys are attributes as well."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from naslib.errors import did_you_mean

_Self = TypeVar("_Self", bound="AttrDict")


class AttrDict(dict[str, Any]):
    """Read and write keys as attributes, at every depth.

    Mappings become AttrDicts when they enter, also inside lists and tuples. `**d`, `copy`, `deepcopy` and pickle work
    as for a dict. A key that is the name of a dict method (`items`) can be reached as `d["items"]` only.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        self.update(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        # Called only where the normal look-up failed.
        if name in self:
            return self[name]
        raise AttributeError(f"{type(self).__name__} has no key {name!r}{did_you_mean(name, map(str, self))}")

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.__dict__ or isinstance(getattr(type(self), name, None), property):
            object.__setattr__(self, name, value)
        elif hasattr(type(self), name):
            raise AttributeError(f"{name!r} is a method of {type(self).__name__}; write d[{name!r}] = ... for the key")
        else:
            self[name] = value

    def __delattr__(self, name: str) -> None:
        if name in self.__dict__:
            object.__delattr__(self, name)
        elif name in self:
            del self[name]
        else:
            raise AttributeError(f"{type(self).__name__} has no key {name!r}")

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, _wrap(value))

    def __ior__(self: _Self, other: Any) -> _Self:  # type: ignore[override,misc]
        self.update(other)
        return self

    def set_hidden(self, name: str, value: Any) -> None:
        """Set an attribute that is not a key: absent from `**d`, iteration and equality, kept by copies."""
        object.__setattr__(self, name, value)

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Set several keys at once, as `dict.update` does."""
        for key, value in dict(*args, **kwargs).items():
            self[key] = value

    def setdefault(self, key: str, default: Any = None) -> Any:
        """Return the value of `key`, which becomes `default` if it is absent."""
        if key not in self:
            self[key] = default
        return self[key]

    def copy(self: _Self) -> _Self:
        """Return a shallow copy of the same class."""
        new = type(self).__new__(type(self))
        new.__dict__.update(self.__dict__)
        dict.update(new, self)
        return new

    __copy__ = copy

    def to_dict(self) -> dict[str, Any]:
        """Return plain dictionaries, lists and values, at every depth."""
        return {key: _unwrap(value) for key, value in self.items()}


def _wrap(value: Any) -> Any:
    """Return `value` with every Mapping in it as an AttrDict."""
    if isinstance(value, Mapping) and not isinstance(value, AttrDict):
        return AttrDict(value)
    if type(value) in (list, tuple):
        return type(value)(_wrap(entry) for entry in value)
    return value


def _unwrap(value: Any) -> Any:
    """Return `value` with every AttrDict in it as a dict."""
    if isinstance(value, AttrDict):
        return value.to_dict()
    if type(value) in (list, tuple):
        return type(value)(_unwrap(entry) for entry in value)
    return value
