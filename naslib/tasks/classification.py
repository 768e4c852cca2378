"""Classification: one class per input, or several labels at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from naslib.errors import ConfigError
from naslib.registry.catalogue import TASKS

from .class_task import ClassTask
from .criteria import OF_MANY_LABELS, OF_PROBABILITIES, OF_VALUES, Criterion, is_one_of, name_of, with_label_smoothing
from .fields import describe_range, describe_value
from .score import Score

_ONE = (Score("accuracy", True, "%"), Score("top5", True, "%"))
_MANY = (Score("f1", True, "%"), Score("accuracy", True, "%"))
_TOP = 5


@TASKS.register("classification")
class Classification(ClassTask):
    """Tell classes apart: one per input, or with a loss of many labels (`BCEWithLogitsLoss`) any number of them.

    Targets of one class are `(n,)` or `(n, 1)` class numbers of any integer type, or `(n, classes)` probabilities or
    one-hot rows; of many labels `(n, classes)` zeros and ones of any type. Scores are accuracy and top-5 accuracy; of
    many labels F1 over all of them (micro average), and the share of labels that are right.

    Args:
        loss: The criterion, see `Task`.
        label_smoothing: Share of each label that the loss of search and retraining spreads over all classes.
        class_weights: One weight per class, for a criterion that is made by name; or `"balanced"`, by the training part
            (see `ClassTask`).
        multi_label: Whether there are many labels; None: as the criterion says.
        inputs: See `Task`.
        targets: See `Task`.
        output_size: Number of classes.

    Raises:
        ConfigError: If the criterion is of measured values, or does not take weights or smoothing.
    """

    EXPECTS: ClassVar[str] = "a pair (inputs, class numbers)"

    def __init__(
        self,
        loss: Any = None,
        label_smoothing: float = 0.0,
        class_weights: Sequence[float] | str | None = None,
        *,
        multi_label: bool | None = None,
        inputs: str | None = None,
        targets: str | None = None,
        output_size: int | None = None,
    ) -> None:
        if not 0 <= label_smoothing <= 1:
            raise ConfigError(f"label_smoothing must be from 0 to 1, got {label_smoothing}")
        self.label_smoothing = label_smoothing
        self._multi_label = multi_label
        self._seen: tuple[Any, bool] = (None, False)
        super().__init__(loss, class_weights, inputs=inputs, targets=targets, output_size=output_size)

    @property
    def multi_label(self) -> bool:
        """Whether targets are many labels."""
        if self._multi_label is not None:
            return self._multi_label
        if self._seen[0] is not self.criterion:  # asked in every step
            self._seen = (self.criterion, is_one_of(self.criterion, OF_MANY_LABELS))
        return self._seen[1]

    @property
    def scores(self) -> tuple[Score, ...]:  # type: ignore[override]
        """Accuracy and top-5 accuracy; F1 and accuracy of many labels."""
        return _MANY if self.multi_label else _ONE

    # the loss

    def make_criterion(self, loss: Any) -> Criterion:
        """Return the criterion with the weights and the smoothing of the task; see the parent."""
        criterion = super().make_criterion(loss)
        if is_one_of(criterion, OF_VALUES):
            raise ConfigError(
                f"the loss {name_of(criterion)} is of measured values and cannot take class numbers: use "
                "CrossEntropyLoss (one class) or BCEWithLogitsLoss (many labels), or say task=regression"
            )
        if self.label_smoothing:
            self._unsmoothed = criterion
        return with_label_smoothing(criterion, self.label_smoothing)

    def loss(self, outputs: Any, batch: Any) -> Tensor:
        """Return the loss; one output per input takes `(n,)` labels as well."""
        targets = batch[1]
        if targets.dim() == 1 and self.multi_label and outputs.shape == (len(targets), 1):
            targets = targets.unsqueeze(1)
        return self.criterion(outputs, targets)

    def uses_criterion(self) -> bool:
        """Return True for this class; a subclass with a loss of its own says so by overriding it."""
        return type(self).loss is Classification.loss

    # batches

    def prepare_targets(self, targets: Tensor) -> Tensor:
        """Return class numbers as `(n,)` int64, and rows of labels as numbers of the network's type."""
        if targets.dtype is torch.int64 and targets.dim() == 1 and not self.multi_label:
            return targets
        if self.multi_label:
            return targets.to(self.dtype)
        if targets.is_floating_point():
            return targets.to(self.dtype)
        if targets.dim() == 2 and targets.shape[1] == 1:
            targets = targets.squeeze(1)
        return targets.long() if targets.dim() == 1 else targets.to(self.dtype)

    # what is measured

    def statistics(self, outputs: Any, batch: Any) -> Sequence[Tensor | float]:
        """Return hits, hits among the best five, and the number of inputs; see `Task`.

        Each sum is a scalar.
        """
        targets = batch[1]
        if self.multi_label:
            return self._label_statistics(outputs, targets)
        if targets.dim() == outputs.dim():
            targets = targets.argmax(dim=1)
        best = outputs.topk(min(_TOP, outputs.shape[1]), dim=1).indices
        hits = best.eq(targets.reshape(-1, 1))
        return hits[:, 0].sum(), hits.sum(), targets.shape[0]

    def _label_statistics(self, outputs: Tensor, targets: Tensor) -> Sequence[Tensor | float]:
        """Return true and false positives, false negatives, right labels, labels in all, and the number of inputs."""
        found = self.predict(outputs).bool().reshape(targets.shape)
        wanted = targets > 0.5
        right = (found & wanted).sum()
        return (
            right,
            (found & ~wanted).sum(),
            (~found & wanted).sum(),
            (found == wanted).sum(),
            found.numel(),
            len(found),
        )

    def summarize(self, sums: Sequence[float]) -> Sequence[float | None]:
        """Return the scores in percent."""
        if not self.multi_label:
            first, five, count = sums
            return 100 * first / count, 100 * five / count
        right, wrong, missed, equal, labels, _ = sums
        relevant = 2 * right + wrong + missed
        return (100.0 if not relevant else 200 * right / relevant), 100 * equal / labels

    def predict(self, outputs: Tensor) -> Tensor:
        """Return class numbers.

        Args:
            outputs: `(n, classes)` logits.

        Returns:
            `(n,)` int64; of many labels `(n, classes)` int64 zeros and ones.
        """
        if self.multi_label:
            is_probability = is_one_of(self.criterion, OF_PROBABILITIES)
            return (outputs > (0.5 if is_probability else 0.0)).long()
        return outputs.argmax(dim=1)

    def probabilities(self, outputs: Tensor) -> Tensor:
        """Return `(n, classes)` probabilities of `(n, classes)` outputs: rows that sum to 1.

        Of many labels each has a probability of its own, and rows have any sum.
        """
        if self._predicts_otherwise:
            return super().probabilities(outputs)
        if not self.multi_label:
            return torch.softmax(outputs, dim=1)
        return outputs if is_one_of(self.criterion, OF_PROBABILITIES) else torch.sigmoid(outputs)

    @property
    def _predicts_otherwise(self) -> bool:
        """Whether a subclass reads outputs in a way of its own, so that the largest is not what they say."""
        return type(self).predict is not Classification.predict

    def class_pairs(self, outputs: Any, batch: Any) -> tuple[Tensor, Tensor, int] | None:
        """Return true and predicted classes, `(n,)`, as the accuracy counts them; None of many labels.

        A subclass with statistics or predictions of its own counts classes if it overrides this, too.
        """
        cls, targets = type(self), batch[1]
        if self.multi_label or cls.statistics is not Classification.statistics or self._predicts_otherwise:
            return None
        if targets.dim() == outputs.dim():
            targets = targets.argmax(dim=1)
        # topk and not argmax: of equal outputs both may take another one, and the accuracy is of the former
        best = outputs.topk(min(_TOP, outputs.shape[1]), dim=1).indices[:, 0]
        return targets.long(), best, outputs.shape[1]

    # what does not fit

    def batch_problems(self, batch: Any) -> list[str]:
        """Return what is wrong with targets: their shape, type or range; see `Task`."""
        problems = super().batch_problems(batch)
        if problems:
            return problems
        targets = batch[1]
        if self.multi_label:
            return self._label_problems(targets)
        if targets.dim() == 1 and targets.is_floating_point():
            return [
                f"targets are {describe_value(targets)}, expected class numbers of an integer type (labels.long()); "
                "of measured values the task is regression"
            ]
        if targets.dim() == 1:
            lowest = int(targets.min())
            ignored = getattr(self.criterion, "ignore_index", -100)
            if lowest < 0 and bool(((targets < 0) & (targets != ignored)).any()):
                return [f"targets are class numbers{describe_range(targets)}; they must not be negative"]
            return []
        if targets.dim() == 2:
            return self._probability_problems(targets)
        return [
            f"targets are {describe_value(targets)}; expected (n,) class numbers, or (n, classes) probabilities "
            "(of a class per pixel the task is segmentation)"
        ]

    def _label_problems(self, targets: Tensor) -> list[str]:
        if targets.dim() > 2:
            return [f"targets are {describe_value(targets)}; {name_of(self.criterion)} expects (n, classes) labels"]
        if bool(((targets < 0) | (targets > 1)).any()):
            return [
                f"targets are {describe_value(targets)}; {name_of(self.criterion)} expects (n, classes) zeros and ones"
                " (class numbers go with CrossEntropyLoss)"
            ]
        return []

    def _probability_problems(self, targets: Tensor) -> list[str]:
        sums = targets.sum(dim=1)
        if bool((targets < 0).any()) or not torch.allclose(sums, torch.ones_like(sums), rtol=0, atol=1e-2):
            return [
                f"targets are {describe_value(targets)}, whose rows are no probabilities (they do not sum to 1); "
                "expected (n,) class numbers; of several labels at once the loss is BCEWithLogitsLoss"
            ]
        return []

    def output_problems(self, outputs: Any, batch: Any) -> list[str]:
        """Return why outputs are none of a classifier, or too few for the targets."""
        targets = batch[1]
        if not isinstance(outputs, Tensor) or outputs.dim() != 2 or len(outputs) != len(targets):
            return [
                f"the network gives {describe_value(outputs)} for {len(targets)} inputs, expected (n, classes); of an "
                "output per pixel the task is segmentation, of measured values regression"
            ]
        classes = outputs.shape[1]
        if self.class_weights is not None and len(self.class_weights) != classes:
            return [f"class_weights has {len(self.class_weights)} weights, the network {classes} outputs"]
        if self.multi_label:
            if targets.shape != outputs.shape and not (targets.dim() == 1 and classes == 1):
                return [
                    f"{name_of(self.criterion)} takes as many labels as there are outputs: outputs are "
                    f"{tuple(outputs.shape)}, targets {tuple(targets.shape)} (class numbers go with CrossEntropyLoss)"
                ]
            return []
        if targets.dim() == 2 and targets.shape[1] != classes:
            return [f"targets have {targets.shape[1]} classes, the network {classes} outputs"]
        if targets.dim() == 1 and int(targets.max()) >= classes:
            return [
                f"targets are class numbers{describe_range(targets)}, but the network has {classes} outputs, for the "
                f"classes 0 to {classes - 1}"
            ]
        return []
