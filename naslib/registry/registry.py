"""Registry: callables by lower-case name, with did-you-mean."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from naslib.errors import ConfigError, UnknownNameError, did_you_mean

from .docstrings import source_docstrings
from .signatures import Parameters, signatures, source_constant, source_signatures

T = TypeVar("T", bound=Callable[..., Any])


class Registry(Generic[T]):
    """Map lower-case names to callables (classes or functions).

    Args:
        kind: What the entries are, for messages ("optimizer", "search space" ...).
        places: Where entries are that are imported when they are first asked for: `"module:name"` by name.
    """

    def __init__(self, kind: str, places: Mapping[str, str] | None = None) -> None:
        self.kind = kind
        self._places = dict(places or {})
        self._entries: dict[str, T] = {}

    def register(self, name: str, *aliases: str) -> Callable[[T], T]:
        """Return a decorator that registers a callable under `name` and `aliases`.

        Raises:
            ConfigError: If a name is taken or is not lower case.
        """

        def decorate(entry: T) -> T:
            for key in (name, *aliases):
                if key != key.lower():
                    raise ConfigError(f"{self.kind} name {key!r} must be lower case")
                if self._is_taken(key, entry):
                    raise ConfigError(f"{self.kind} {key!r} is already registered")
                self._entries[key] = entry
            return entry

        return decorate

    def _is_taken(self, key: str, entry: T) -> bool:
        if key in self._entries:
            return self._entries[key] is not entry
        return self._places.get(key, _place(entry)) != _place(entry)

    def get(self, name: str) -> T:
        """Return the entry called `name` (case-insensitive).

        Raises:
            UnknownNameError: If there is none; the message names the nearest valid choice.
        """
        key = self._key(name)
        if key not in self._entries:
            module, _, attribute = self._places[key].partition(":")
            self._entries[key] = getattr(importlib.import_module(module), attribute)
        return self._entries[key]

    def signatures(self, name: str) -> list[Parameters]:
        """Return the parameters of an entry: a function's own, or of the constructors of a class and its parents.

        What is not imported yet is read from its source text.

        Raises:
            UnknownNameError: As in `get`.
        """
        key = self._key(name)
        found = None if key in self._entries else source_signatures(self._places[key])
        return signatures(self.get(key)) if found is None else found

    def constant(self, name: str, attribute: str) -> Any:
        """Return a literal that a class (or one of its parents) has as attribute; None where it has none.

        What is not imported yet is read from its source text.

        Raises:
            UnknownNameError: As in `get`.
        """
        key = self._key(name)
        if key in self._entries:
            return getattr(self._entries[key], attribute, None)
        return source_constant(self._places[key], attribute)

    def docstrings(self, name: str) -> list[str]:
        """Return the docstring of an entry, then those of its parents; of each that has one.

        What is not imported yet is read from its source text.

        Raises:
            UnknownNameError: As in `get`.
        """
        key = self._key(name)
        if key not in self._entries:
            return source_docstrings(self._places[key])
        entry = self._entries[key]
        bases = inspect.getmro(entry) if inspect.isclass(entry) else (entry,)
        texts = [vars(base).get("__doc__") if inspect.isclass(base) else base.__doc__ for base in bases]
        return [inspect.cleandoc(text) for text in texts if text and text is not object.__doc__]

    def build(self, name: str, /, *args: Any, **kwargs: Any) -> Any:
        """Call the entry called `name` with the arguments."""
        return self.get(name)(*args, **kwargs)

    def names(self) -> list[str]:
        """Return all names, sorted."""
        return sorted({*self._places, *self._entries})

    def name_of(self, entry: Any, preferred: Any = None) -> str | None:
        """Return the name of an entry, None where it has none.

        Args:
            entry: A callable; what is put in front of another one (`__wrapped__`) has the other's name.
            preferred: The name to return if it is one of several.
        """
        place, behind = _place(entry), getattr(entry, "__dict__", {}).get("__wrapped__", entry)
        found = [
            key
            for key in self.names()
            if self._places.get(key) == place or any(self._entries.get(key) is one for one in (entry, behind))
        ]
        return str(preferred) if str(preferred).lower() in found else next(iter(found), None)

    def place(self, name: str) -> str:
        """Return where the entry called `name` is, `"module:name"`, without importing it.

        Raises:
            UnknownNameError: As in `get`.
        """
        key = self._key(name)
        return self._places.get(key) or _place(self._entries[key])

    def _key(self, name: str) -> str:
        key = str(name).lower()
        if key not in self:
            known = self.names()
            raise UnknownNameError(
                f"unknown {self.kind} {name!r}{did_you_mean(key, known)} (known: {', '.join(known)})"
            )
        return key

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (name.lower() in self._entries or name.lower() in self._places)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __len__(self) -> int:
        return len(self.names())


def _place(entry: Any) -> str:
    return f"{getattr(entry, '__module__', '')}:{getattr(entry, '__qualname__', '')}"
