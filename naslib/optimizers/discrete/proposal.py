"""Proposal: what a method wants evaluated next, where that is more than an architecture and its parent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from naslib.history import Trial
from naslib.search_spaces.core.codec import Code


class Proposal(NamedTuple):
    """An architecture, and for how long it is to be trained.

    Attributes:
        code: The architecture.
        parent: Number of the trial that it comes from, None without one.
        fidelity: Epochs of training; None: those that the search looks at.
        continues: A trial of the same architecture at a lower fidelity, where the training goes on from there.
        user: What the history is to keep with the trial from the beginning, as plain JSON-able values.
    """

    code: Code
    parent: int | None = None
    fidelity: int | None = None
    continues: Trial | None = None
    user: Mapping[str, Any] = {}

    def trial(self, number: int, fidelity: int) -> Trial:
        """Return the trial that it becomes.

        Args:
            number: Its number.
            fidelity: Epochs of training where the proposal does not say.
        """
        before = self.continues
        user = dict(self.user)
        if before is not None:
            user |= {"root": before.root, "from_epoch": before.fidelity}
        asked = fidelity if self.fidelity is None else self.fidelity
        return Trial(number, self.code, asked, parent=self.parent, user=user)
