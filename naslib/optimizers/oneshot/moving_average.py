"""MovingAverage: gate gradients of all operations from the running means of their outputs."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from naslib.errors import ConfigError


class MovingAverage(nn.Module):
    """A `GateRule` that estimates what was not evaluated from the past.

    For evaluated operations `M_k <- M_k + rate (mean_batch o_k(x) - M_k)`, from 0. With `s = sum_batch dL/dy` the gate
    gradients are `a_k = <s, mean_batch o_k(x)>` for them, `<s, M_k / (1 - (1 - rate)^t_k)>` for operations that were
    evaluated `t_k > 0` times before, and minus infinity for the others: no estimate. The covariance between gradient
    and output within a batch is left out: this is another estimator than `<dL/dy, o_k(x)>`, not a cheaper same one.

    Args:
        rate: In (0, 1]; `1 / rate` is about the number of calls that are averaged.

    Attributes:
        mean: M, `(n_ops, *features)`, with the shape of the first outputs; None before.
        counts: t, `(n_ops,)`; None before.

    Raises:
        ConfigError: If the rate is not in (0, 1].
    """

    mean: Tensor | None
    counts: Tensor | None

    def __init__(self, rate: float) -> None:
        super().__init__()
        if not 0 < rate <= 1:
            raise ConfigError(f"the rate of a moving average must be in (0, 1], got {rate}")
        self.rate = rate
        self.register_buffer("mean", None)
        self.register_buffer("counts", None)

    @torch.no_grad()
    def forward(self, grad: Tensor, found: dict[int, Tensor], gradient: Tensor) -> None:
        """Take note of outputs, and fill in the gate gradients of all operations.

        Args:
            grad: dL/dy, `(batch, *features)`.
            found: The outputs of the evaluated operations, of that shape.
            gradient: `(n_ops,)`, to be filled.

        Raises:
            ConfigError: If the outputs have another shape than those before.
        """
        fresh = {index: _batch_mean(output) for index, output in found.items()}
        mean, counts = self._statistics(next(iter(fresh.values())), gradient.shape[0])
        total = grad.sum(0).to(mean.dtype).flatten()
        forgetting = math.log1p(-self.rate) if self.rate < 1 else -math.inf
        correction = -torch.expm1(counts.to(mean.dtype) * forgetting)  # 1 - (1 - rate)^t
        estimate = torch.mv(mean.flatten(1), total) / correction
        gradient.copy_(estimate.masked_fill(counts == 0, -torch.inf))
        for index, value in fresh.items():
            gradient[index] = torch.dot(total, value.flatten())
            mean[index].lerp_(value, self.rate)
            counts[index] += 1

    def _statistics(self, value: Tensor, n_ops: int) -> tuple[Tensor, Tensor]:
        """Return `mean` and `counts`, made anew at first and where the number of candidates has changed."""
        if self.mean is None or self.counts is None or len(self.counts) != n_ops:
            self.mean = value.new_zeros(n_ops, *value.shape)
            self.counts = torch.zeros(n_ops, dtype=torch.long, device=value.device)
        elif self.mean.shape[1:] != value.shape:
            raise ConfigError(
                f"a moving average of outputs needs inputs of one size: the outputs were {tuple(self.mean.shape[1:])} "
                f"per example and are {tuple(value.shape)} now; use another gradient for inputs of several sizes"
            )
        elif self.mean.device != value.device:  # loaded from elsewhere
            self.mean, self.counts = self.mean.to(value.device), self.counts.to(value.device)
        return self.mean, self.counts

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any, **kwargs: Any) -> None:
        """Take the shapes of what is loaded, which may also be nothing yet."""
        for name in ("mean", "counts"):
            saved, own = state_dict.get(prefix + name), getattr(self, name)
            device = own.device if own is not None else None
            setattr(self, name, None if saved is None else torch.empty_like(saved, device=device))
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


def _batch_mean(output: Tensor) -> Tensor:
    return output.mean(0, dtype=torch.promote_types(output.dtype, torch.float32))
