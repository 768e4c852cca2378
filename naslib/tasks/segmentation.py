"""Segmentation: a class for each pixel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from naslib.errors import ConfigError
from naslib.registry.catalogue import TASKS

from .class_task import ClassTask
from .criteria import OF_VALUES, Criterion, is_one_of, name_of
from .fields import describe_range, describe_value
from .score import Score


@TASKS.register("segmentation")
class Segmentation(ClassTask):
    """Tell the class of each pixel (or of each position of any dense target).

    Targets are `(n, height, width)` or `(n, 1, height, width)` class numbers of any integer type; the network gives
    `(n, classes, height, width)` logits. Scores are the share of pixels that are right, and the mean intersection over
    union of the classes that occur.

    Args:
        loss: The criterion, see `Task`.
        ignore_index: The target of pixels that do not count, in loss and scores.
        class_weights: One weight per class, for a criterion that is made by name; or `"balanced"`, by the pixels of the
            training part (see `ClassTask`).
        inputs: See `Task`.
        targets: See `Task`.
        output_size: Number of classes.
    """

    EXPECTS: ClassVar[str] = "a pair (images, a class number per pixel)"
    TARGET_NAMES: ClassVar[tuple[str, ...]] = (
        *("mask", "masks", "segmentation", "seg", "annotation"),
        *("label", "labels", "target", "targets", "y"),
    )
    scores = (Score("accuracy", True, "%"), Score("mean_iou", True, "%"))

    def __init__(
        self,
        loss: Any = None,
        ignore_index: int = 255,
        class_weights: Sequence[float] | str | None = None,
        *,
        inputs: str | None = None,
        targets: str | None = None,
        output_size: int | None = None,
    ) -> None:
        self.ignore_index = ignore_index
        super().__init__(loss, class_weights, inputs=inputs, targets=targets, output_size=output_size)

    def criterion_defaults(self) -> dict[str, Any]:
        """Return the target that does not count."""
        return {"ignore_index": self.ignore_index}

    def make_criterion(self, loss: Any) -> Criterion:
        """Return the criterion; see the parent."""
        criterion = super().make_criterion(loss)
        if is_one_of(criterion, OF_VALUES):
            raise ConfigError(
                f"the loss {name_of(criterion)} is of measured values; segmentation has a class per pixel (a value per "
                "pixel is a regression)"
            )
        return criterion

    def uses_criterion(self) -> bool:
        """Return True for this class; a subclass with a loss of its own says so by overriding it."""
        return type(self).loss is Segmentation.loss

    def prepare_targets(self, targets: Tensor) -> Tensor:
        """Return class numbers as int64, without a dimension of channels.

        `(n, h, w)` or `(n, 1, h, w)` to `(n, h, w)`.
        """
        if targets.dim() == 4 and targets.shape[1] == 1:
            targets = targets.squeeze(1)
        return targets if targets.is_floating_point() else targets.long()

    def statistics(self, outputs: Any, batch: Any) -> Sequence[Tensor | float]:
        """Return right pixels; per class pixels that are right, predicted and given; and the number of pixels.

        Scalars, and `(3, classes)` pixels by class.
        """
        targets, classes = batch[1], outputs.shape[1]
        counts = targets != self.ignore_index
        wanted = torch.where(counts, targets, classes)  # what does not count is a class of its own, left out below
        found = torch.where(counts, outputs.argmax(dim=1), classes)
        right = torch.where(found == wanted, wanted, classes)
        offset = classes + 1
        bins = torch.cat([right.flatten(), found.flatten() + offset, wanted.flatten() + 2 * offset])
        sums = bins.new_zeros(3 * offset).scatter_add_(0, bins, torch.ones_like(bins)).view(3, offset)[:, :classes]
        return sums[0].sum(), sums, counts.sum()

    def summarize(self, sums: Sequence[float]) -> Sequence[float | None]:
        """Return the scores in percent."""
        right, *per_class, count = sums
        k = len(per_class) // 3
        hits, found, wanted = (per_class[i * k : (i + 1) * k] for i in range(3))
        unions = [f + w - h for h, f, w in zip(hits, found, wanted, strict=True)]
        shares = [h / union for h, union in zip(hits, unions, strict=True) if union]
        return 100 * right / count, (100 * sum(shares) / len(shares) if shares else None)

    def predict(self, outputs: Tensor) -> Tensor:
        """Return class numbers, `(n, height, width)` int64, of `(n, classes, height, width)` logits."""
        return outputs.argmax(dim=1)

    def probabilities(self, outputs: Tensor) -> Tensor:
        """Return `(n, classes, height, width)` probabilities, which sum to 1 for each pixel."""
        if type(self).predict is not Segmentation.predict:
            return super().probabilities(outputs)
        return torch.softmax(outputs, dim=1)

    def class_pairs(self, outputs: Any, batch: Any) -> tuple[Tensor, Tensor, int] | None:
        """Return true and predicted classes of all pixels, `(pixels,)`; those that do not count are -1.

        A subclass with statistics or predictions of its own counts classes if it overrides this, too.
        """
        cls = type(self)
        if cls.statistics is not Segmentation.statistics or cls.predict is not Segmentation.predict:
            return None
        targets, classes = batch[1], outputs.shape[1]
        true = torch.where(targets == self.ignore_index, -1, targets)
        return true.flatten(), outputs.argmax(dim=1).flatten(), classes

    def batch_problems(self, batch: Any) -> list[str]:
        """Return what is wrong with targets: their shape, type or range; see `Task`."""
        problems = super().batch_problems(batch)
        if problems:
            return problems
        targets = batch[1]
        if targets.is_floating_point() or targets.dim() < 2:
            return [
                f"targets are {describe_value(targets)}, expected (n, height, width) class numbers of an integer type "
                "(of one class per image the task is classification)"
            ]
        counted = targets[targets != self.ignore_index]
        if counted.numel() and int(counted.min()) < 0:
            return [f"targets are class numbers{describe_range(counted)}; what does not count is {self.ignore_index}"]
        return []

    def output_problems(self, outputs: Any, batch: Any) -> list[str]:
        """Return why outputs are no classes for each pixel of the targets."""
        targets = batch[1]
        if not isinstance(outputs, Tensor) or outputs.dim() != targets.dim() + 1:
            return [
                f"the network gives {describe_value(outputs)}, expected (n, classes, height, width) logits for "
                f"{tuple(targets.shape)} class numbers"
            ]
        if (len(outputs), *outputs.shape[2:]) != tuple(targets.shape):
            return [
                f"the network gives outputs of {tuple(outputs.shape[2:])} pixels for targets of "
                f"{tuple(targets.shape[1:])}: its last layer must be of their resolution"
            ]
        classes = outputs.shape[1]
        if self.class_weights is not None and len(self.class_weights) != classes:
            return [f"class_weights has {len(self.class_weights)} weights, the network {classes} outputs"]
        counted = targets[targets != self.ignore_index]
        if counted.numel() and int(counted.max()) >= classes:
            return [
                f"targets are class numbers{describe_range(counted)}, but the network has {classes} outputs, for the "
                f"classes 0 to {classes - 1}; pixels that do not count are {self.ignore_index} (ignore_index)"
            ]
        return []
