"""Scores: what a task measures, under which name, in which direction and unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# Short names of scores in log lines and in the keys of records (`train_acc`); others are called by their full name.
_SHORT = {"accuracy": "acc"}


@dataclass(frozen=True)
class Score:
    """One thing that a task measures.

    Attributes:
        name: An identifier (`accuracy`, `rmse`): keys of records are made of it.
        maximize: Whether more is better.
        unit: Of its values: `"%"`, `"degrees"`; "" for a plain number.
    """

    name: str
    maximize: bool = True
    unit: str = ""

    @property
    def key(self) -> str:
        """The short name that records and log lines use (`acc` of `accuracy`)."""
        return _SHORT.get(self.name, self.name)

    def quality(self, value: float) -> float:
        """Return a value of this score so that more is better: negated where less is."""
        return value if self.maximize else -value

    def show(self, value: float | None, digits: int | None = None) -> str:
        """Return a value as people read it, with its unit; "-" for None.

        Args:
            value: The value.
            digits: After the point; two for percentages and four significant ones else if None.
        """
        if value is None:
            return "-"
        if digits is None and self.unit == "%":
            digits = 2
        text = f"{value:.4g}" if digits is None else f"{value:.{digits}f}"
        return f"{text} {self.unit}" if self.unit else text


@dataclass(frozen=True)
class Measured:
    """What was measured on some batches.

    Attributes:
        loss: Mean loss, None where nothing was measured.
        values: One value per score; None where it was not measured.
        count: Number of predictions (images, pixels, tokens).
        scores: What `values` are.
    """

    loss: float | None
    values: tuple[float | None, ...]
    count: int
    scores: tuple[Score, ...]

    @classmethod
    def nothing(cls, scores: Sequence[Score] = ()) -> Measured:
        """Return the record of a measurement that did not take place."""
        return cls(None, (None,) * len(scores), 0, tuple(scores))

    @property
    def deciding(self) -> float | None:
        """The value of the first score, which decides."""
        return self.values[0] if self.values else None

    def get(self, name: str) -> float | None:
        """Return the value of a score by its name, None where there is none."""
        return self.by_name().get(name)

    def by_name(self) -> dict[str, float | None]:
        """Return the values by the names of their scores."""
        return {score.name: value for score, value in zip(self.scores, self.values, strict=True)}

    def by_key(self, split: str) -> dict[str, float | None]:
        """Return loss and values by the keys of records: `train_loss`, `train_acc` ...

        Args:
            split: What the keys begin with.
        """
        named = {score.key: value for score, value in zip(self.scores, self.values, strict=True)}
        return {f"{split}_{key}": value for key, value in {"loss": self.loss, **named}.items()}
