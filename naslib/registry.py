"""Registry: callables by lower-case name, with did-you-mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from naslib.errors import ConfigError, UnknownNameError, did_you_mean

T = TypeVar("T", bound=Callable[..., Any])


class Registry(Generic[T]):
    """Map lower-case names to callables (classes or functions).

    Args:
        kind: What the entries are, for messages ("optimizer", "search space" ...).
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
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
                if self._entries.get(key, entry) is not entry:
                    raise ConfigError(f"{self.kind} {key!r} is already registered")
                self._entries[key] = entry
            return entry

        return decorate

    def get(self, name: str) -> T:
        """Return the entry called `name` (case-insensitive).

        Raises:
            UnknownNameError: If there is none; the message names the nearest valid choice.
        """
        key = str(name).lower()
        if key not in self._entries:
            raise UnknownNameError(
                f"unknown {self.kind} {name!r}{did_you_mean(key, self._entries)} (known: {', '.join(self.names())})"
            )
        return self._entries[key]

    def build(self, name: str, /, *args: Any, **kwargs: Any) -> Any:
        """Call the entry called `name` with the arguments."""
        return self.get(name)(*args, **kwargs)

    def names(self) -> list[str]:
        """Return all names, sorted."""
        return sorted(self._entries)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __len__(self) -> int:
        return len(self._entries)
