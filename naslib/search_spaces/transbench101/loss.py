"""The loss of TransNAS-Bench-101's classification tasks, whose targets are distributions over the classes."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class SoftmaxCrossEntropyWithLogits(nn.Module):
    """Cross entropy between logits `(n, classes)` and distributions `(n, classes)`, the mean over the batch.

    Targets `(n,)` of class numbers are taken as `CrossEntropyLoss` takes them.
    """

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the loss, a scalar."""
        return F.cross_entropy(logits, targets if targets.dim() == 1 else targets.to(logits.dtype))
