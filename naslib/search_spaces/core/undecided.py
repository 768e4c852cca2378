"""What stands on an edge until an architecture says what is there."""

from __future__ import annotations

from typing import Any

from naslib.errors import GraphError

from .ops_base import AbstractPrimitive
from .types import EdgeLike


class Undecided(AbstractPrimitive):
    """Stand where `set_spec` will put a part of a network: a forward is an error.

    Args:
        space: Name of the search space, for the message.
    """

    def __init__(self, space: str) -> None:
        super().__init__(locals())
        self.space = space

    def forward(self, x: Any, edge_data: EdgeLike | None = None) -> Any:
        """Raise `GraphError`, whatever `x` is."""
        raise GraphError(f"no architecture is set on this {self.space}: use set_spec or sample_random_architecture")
