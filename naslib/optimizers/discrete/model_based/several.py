"""SearchOfSeveral: a search in rounds that learns from the values of all objectives."""

from __future__ import annotations

from typing import Any

from naslib.optimizers.core.metaclasses import Stateful
from naslib.search_spaces.core.codec import Code

from .further import FurtherMerits
from .rounds import SearchInRounds


class SearchOfSeveral(SearchInRounds):
    """Keep the values of every objective beside what rounds need; `SearchInRounds` has those of the first.

    Args:
        **kwargs: See `SearchInRounds`.

    Attributes:
        further: The other objectives, a row for each label.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.further = FurtherMerits()

    def _learn(self, code: Code, merit: float, number: int | None) -> None:
        self._learn_all(code, (merit,), number)

    def _learn_all(self, code: Code, merits: tuple[float, ...], number: int | None) -> None:
        super()._learn(code, merits[0], number)
        unknown = (float("nan"),) * (len(self.objectives) - len(merits))  # of what was told by its first value alone
        self.further.rows.append((*merits[1:], *unknown))

    def _reset(self) -> None:
        super()._reset()
        self.further = FurtherMerits()

    def get_checkpointables(self) -> dict[str, Stateful]:
        """Return everything stateful by name; the other objectives beside what rounds need."""
        return {**super().get_checkpointables(), "further": self.further}
