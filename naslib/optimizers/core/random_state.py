"""RandomState: a `random.Random` in a checkpoint."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from naslib.errors import CheckpointError


class RandomState:
    """Let a checkpoint hold a `random.Random`.

    Args:
        rng: The generator; it is restored in place.
    """

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng

    def state_dict(self) -> dict[str, Any]:
        """Return the state as plain values."""
        version, internal, gauss = self.rng.getstate()
        return {"version": version, "internal": list(internal), "gauss": gauss}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a state."""
        try:
            self.rng.setstate((state_dict["version"], tuple(state_dict["internal"]), state_dict["gauss"]))
        except (TypeError, ValueError) as error:
            raise CheckpointError(f"the checkpoint's random state cannot be restored: {error}") from error
