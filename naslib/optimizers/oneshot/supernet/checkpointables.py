"""What an optimizer keeps beside its network, as checkpointables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .part import Part


class ScheduleState:
    """The plain values of an optimizer that change during the search, as one checkpointable."""

    def __init__(self, owner: Any, names: Sequence[str]) -> None:
        self._owner = owner
        self._names = tuple(names)

    def state_dict(self) -> dict[str, Any]:
        """Return the values by name."""
        return {name: getattr(self._owner, name) for name in self._names}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Put the values back."""
        for name in self._names:
            setattr(self._owner, name, state_dict[name])


class PartsState:
    """The states of all parts, as one checkpointable."""

    def __init__(self, parts: Mapping[str, Part]) -> None:
        self._parts = parts

    def state_dict(self) -> dict[str, Any]:
        """Return the states by name."""
        return {name: part.state_dict() for name, part in self._parts.items()}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over the states."""
        for name, part in self._parts.items():
            part.load_state_dict(state_dict[name])
