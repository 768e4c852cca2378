"""Running means, top-k accuracy and parameter counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn


class AverageMeter:
    """Average values that arrive in batches.

    Detached tensors may be fed without `.item()`: then `sum` and `avg` are tensors and nothing waits for the device.

    Attributes:
        avg: The mean so far; 0 before the first update.
        sum: The weighted sum so far.
        cnt: The number of items so far.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.avg: Any = 0
        self.sum: Any = 0
        self.cnt: int = 0

    def update(self, val: Any, n: int = 1) -> None:
        """Add the mean `val` of `n` items; `n = 0` changes nothing."""
        if n == 0:
            return
        self.sum = self.sum + val * n
        self.cnt += n
        self.avg = self.sum / self.cnt


def accuracy(output: Tensor, target: Tensor, topk: Sequence[int] = (1,)) -> list[Tensor]:
    """Return the top-k accuracies in percent.

    Args:
        output: `(batch, classes)` logits.
        target: `(batch,)` class numbers.
        topk: The values of k; more than there are classes means all of them.

    Returns:
        One 0-dimensional tensor per k, on the device of `output`.
    """
    if len(target) == 0:
        return [output.new_zeros(()) for _ in topk]
    classes = output.shape[1]
    best = output.detach().topk(min(max(topk), classes), dim=1).indices
    hits = best.eq(target.reshape(-1, 1))
    return [hits[:, : min(k, classes)].any(dim=1).float().mean() * 100 for k in topk]


def count_parameters_in_MB(model: nn.Module) -> float:
    """Return the number of parameters in millions, without those of auxiliary heads."""
    return sum(p.numel() for name, p in model.named_parameters() if "auxiliary" not in name) / 1e6
