"""PathHost: what measures and weighs paths sees of the optimizer that trains them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from naslib.optimizers.core.metaclasses import Batch
from naslib.optimizers.oneshot.supernet.host import Supernet
from naslib.search_spaces.core.assignment import Assignment
from naslib.search_spaces.core.codec import Code

from .entries import PathEntry
from .paths import PathSpace


class PathHost(Supernet, Protocol):
    """A supernet of which one path runs."""

    @property
    def paths(self) -> PathSpace:
        """The architectures of the space."""

    @property
    def entries(self) -> Sequence[PathEntry]:
        """What can be drawn of each decision."""

    def standing(self) -> Assignment:
        """Return what forwards run for which nothing is assigned."""

    def assignment_of(self, code: Code) -> Assignment:
        """Return the assignment that runs an architecture."""

    def everything(self) -> Assignment:
        """Return the assignment that runs all operations, summed."""

    def use(self, code: Code) -> None:
        """Let forwards run an architecture."""

    def outputs(self, data: Batch) -> Any:
        """Return the outputs of the supernet on a batch, without a loss."""
