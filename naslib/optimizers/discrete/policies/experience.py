"""Experience: architectures with their advantages that wait for the next update of a policy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .drawn import Drawn


class Experience:
    """Architectures with their advantages that wait for the next update.

    Attributes:
        rows: What was drawn, and its advantage.
    """

    def __init__(self) -> None:
        self.rows: list[tuple[Drawn, float]] = []

    def state_dict(self) -> dict[str, Any]:
        """Return the state as plain values."""
        return {"rows": [[list(d.decided), list(d.log_probs), advantage] for d, advantage in self.rows]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a state."""
        rows = state_dict["rows"]
        self.rows = [(Drawn(tuple(code), tuple(map(float, probs))), float(a)) for code, probs, a in rows]
