"""What the lower files of the core know of the higher ones: the face of an edge that an operation sees."""

from __future__ import annotations

from typing import Any, Protocol


class EdgeLike(Protocol):
    """What an operation or a combination may ask the edge it stands on: its entries, to be read (see `EdgeData`)."""

    def has(self, key: str) -> bool:
        """Say whether there is an entry called `key`."""

    def get(self, key: str, default: Any = None) -> Any:
        """Return the entry called `key`, or `default`."""

    def __getattr__(self, key: str) -> Any:
        """Return the entry called `key`."""

    def __getitem__(self, key: str) -> Any:
        """Return the entry called `key`."""
