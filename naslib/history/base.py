"""History: what every store of trials offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any

from .trial import Objective, State, Trial


class History(ABC):
    """The trials of one search by number; a context manager that closes what is open."""

    @abstractmethod
    def add(self, trial: Trial) -> None:
        """Keep a trial, in place of one of the same number."""

    @abstractmethod
    def get(self, number: int) -> Trial | None:
        """Return the trial of that number, None if there is none."""

    @abstractmethod
    def trials(self, state: State | None = None) -> list[Trial]:
        """Return the trials in the order of their numbers; those in one state if that is given."""

    @abstractmethod
    def count(self, state: State | None = None) -> int:
        """Return how many trials there are, in one state if that is given."""

    @property
    @abstractmethod
    def objectives(self) -> tuple[Objective, ...]:
        """What the values of the trials are."""

    @abstractmethod
    def describe(self, objectives: Sequence[Objective], about: dict[str, Any] | None = None) -> None:
        """Say what the values are, and what search this is.

        Args:
            objectives: One per value.
            about: Plain values: what must be the same for the trials to be of a search.
        """

    def close(self) -> None:  # noqa: B027 - not every history has something to close
        """Let go of what is open; the history is not used any more."""

    def __len__(self) -> int:
        return self.count()

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[Trial]:
        return iter(self.trials())

    def __enter__(self) -> History:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
