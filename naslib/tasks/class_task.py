"""Class tasks: those whose targets are class numbers, each of which may weigh something in the loss."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from torch.nn.modules.loss import _WeightedLoss

from naslib.errors import ConfigError, did_you_mean

from .criteria import Criterion, name_of
from .task import Task

BALANCED: Literal["balanced"] = "balanced"


class ClassTask(Task):
    """Learn classes. A loss that is made by name may be told what each class weighs.

    Args:
        loss: The criterion, see `Task`.
        class_weights: One weight per class, or `"balanced"`: `n / (k n_c)` for a class of `n_c` of the n training items
            (pixels of masks) of k classes that occur, as scikit-learn has it; 1 for a class that does not occur.
        inputs: See `Task`.
        targets: See `Task`.
        output_size: Number of classes.

    Attributes:
        class_weights: Numbers, `"balanced"` while the training part is not known, or None.
    """

    DEFAULT_LOSS: ClassVar[str] = "CrossEntropyLoss"
    class_weights: tuple[float, ...] | Literal["balanced"] | None = None

    def __init__(
        self,
        loss: Any = None,
        class_weights: Sequence[float] | str | None = None,
        *,
        inputs: str | None = None,
        targets: str | None = None,
        output_size: int | None = None,
    ) -> None:
        self.class_weights = checked_weights(class_weights)
        self._is_balanced = self.class_weights == BALANCED
        super().__init__(loss, inputs=inputs, targets=targets, output_size=output_size)

    def make_criterion(self, loss: Any) -> Criterion:
        """Return the criterion with the weights of classes; see the parent.

        Raises:
            ConfigError: If a ready-made one is to be given weights.
        """
        criterion = super().make_criterion(loss)
        if self.class_weights is not None and not isinstance(loss, str | type):
            raise ConfigError(f"class_weights go with a loss by name; {name_of(criterion)} is ready-made, give it them")
        if self.class_weights == BALANCED and not isinstance(criterion, _WeightedLoss):
            raise ConfigError(f"class_weights: the loss {name_of(criterion)} takes no weights of classes")
        return criterion

    def criterion_arguments(self) -> dict[str, Any]:
        """Return the weights of classes, once they are numbers."""
        if self.class_weights is None or isinstance(self.class_weights, str):
            return {}
        return {"weight": torch.tensor(self.class_weights)}

    def arguments(self) -> dict[str, Any]:
        """Return the arguments that make this task again; weights of classes as numbers where they are known."""
        found = super().arguments()
        if self._is_balanced and not isinstance(self.class_weights, str):
            found["class_weights"] = list(self.class_weights or ())
        return found

    def count_classes(self, counts: Sequence[int]) -> None:
        """Settle balanced weights by the training items of each class; nothing where weights are not balanced.

        Args:
            counts: One per class; empty where they are not known.

        Raises:
            ConfigError: If the task has any number of classes for an item.
        """
        if self.class_weights != BALANCED or not counts:
            return
        self.class_weights = balanced_weights(counts)
        for criterion in (getattr(self, "criterion", None), self._unsmoothed):
            if isinstance(criterion, _WeightedLoss):
                criterion.weight = torch.tensor(self.class_weights)

    @abstractmethod
    def uses_criterion(self) -> bool:
        """Return whether `loss` calls `criterion`."""


def balanced_weights(counts: Sequence[int]) -> tuple[float, ...]:
    """Return `n / (k n_c)` for each class of `n_c` of n items, where k classes have any; 1 for those that have none."""
    n, k = sum(counts), sum(count > 0 for count in counts)
    return tuple(n / (k * count) if count else 1.0 for count in counts)


def checked_weights(weights: Any) -> tuple[float, ...] | Literal["balanced"] | None:
    """Return weights of classes as numbers, or the word `balanced`.

    Raises:
        ConfigError: If they are neither, or negative.
    """
    if weights is None or weights == BALANCED:
        return None if weights is None else BALANCED
    if isinstance(weights, str):
        raise ConfigError(
            f"class_weights must be 'balanced' or one number per class, got {weights!r}"
            f"{did_you_mean(weights, [BALANCED])}"
        )
    try:
        found = tuple(float(value) for value in weights)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"class_weights must be 'balanced' or one number per class, got {weights!r}") from error
    if not found or any(not value >= 0 for value in found):
        raise ConfigError(f"class_weights must be one number per class, none of them negative, got {list(found)}")
    return found


def check_weights(task: Task) -> None:
    """Raise where a task was to balance its classes, and nothing told it how many items each has.

    Raises:
        ConfigError: Saying what to give instead.
    """
    if isinstance(task, ClassTask) and task.class_weights == BALANCED:
        raise ConfigError(
            "class_weights: balanced needs a data set that says the one class of each item (or pixel); for loaders of "
            "your own, or many labels, give one number per class: n / (k * n_c)"
        )
