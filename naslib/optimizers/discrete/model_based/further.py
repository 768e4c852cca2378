"""FurtherMerits: what a search for several objectives keeps beside the first of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class FurtherMerits:
    """The merits of all objectives but the first, a row for each label, in their order.

    Attributes:
        rows: Larger is better in each; empty rows for one objective.
    """

    def __init__(self) -> None:
        self.rows: list[tuple[float, ...]] = []

    def state_dict(self) -> dict[str, Any]:
        """Return the state as plain values."""
        return {"rows": [list(row) for row in self.rows]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a state."""
        self.rows = [tuple(map(float, row)) for row in state_dict["rows"]]
