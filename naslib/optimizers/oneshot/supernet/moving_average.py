"""MovingAverage: gate gradients of all operations from the running means of their outputs."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from naslib.errors import ConfigError
from naslib.utils.distributed import mean_over_ranks_, world_size
from naslib.utils.rows import held_rows

# The backward of several replicas runs in as many threads
_one_replica_at_a_time = threading.Lock()


class MovingAverage(nn.Module):
    """A `GateRule` that estimates what was not evaluated from the past.

    For evaluated operations `M_k <- M_k + rate (mean_batch o_k(x) - M_k)`, from 0. With `s = sum_batch dL/dy` the gate
    gradients are `a_k = <s, mean_batch o_k(x)>` for them, `<s, M_k / (1 - (1 - rate)^t_k)>` for operations that were
    evaluated `t_k > 0` times before, and minus infinity for the others: no estimate. The covariance between gradient
    and output within a batch is left out: this is another estimator than `<dL/dy, o_k(x)>`, not a cheaper same one.

    Copies of the module that share its attributes, as the replicas that `torch.nn.DataParallel` makes for one call,
    take note in the same place, one after the other, each of its part of the batch.

    Args:
        rate: In (0, 1]; `1 / rate` is about the number of calls that are averaged.

    Attributes:
        mean: M, `(n_ops, *features)`, with the shape of the first outputs; None before.
        counts: t, `(n_ops,)`; None before.

    Raises:
        ConfigError: If the rate is not in (0, 1].
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        if not 0 < rate <= 1:
            raise ConfigError(f"the rate of a moving average must be in (0, 1], got {rate}")
        self.rate = rate
        # in a dictionary, which replicas share; a buffer of a replica is lost with it
        self._kept: dict[str, Tensor | None] = {"mean": None, "counts": None}

    @property
    def mean(self) -> Tensor | None:
        """M.

        `(n_ops, *features)`, None before the first call.
        """
        return self._kept["mean"]

    @property
    def counts(self) -> Tensor | None:
        """t.

        `(n_ops,)`, None before the first call.
        """
        return self._kept["counts"]

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
        with _one_replica_at_a_time:
            mean, counts = self._statistics(next(iter(fresh.values())), gradient.shape[0])
            total = grad.sum(0).to(mean)
            join_batch(total, fresh.values())
            total = total.flatten()
            forgetting = math.log1p(-self.rate) if self.rate < 1 else -math.inf
            correction = -torch.expm1(counts.to(mean.dtype) * forgetting)  # 1 - (1 - rate)^t
            estimate = torch.mv(mean.flatten(1), total) / correction
            gradient.copy_(estimate.masked_fill(counts == 0, -torch.inf))
            for index, output in fresh.items():
                value = output.to(mean.device)
                gradient[index] = torch.dot(total, value.flatten())
                mean[index].lerp_(value, self.rate)
                counts[index] += 1

    def _statistics(self, value: Tensor, n_ops: int) -> tuple[Tensor, Tensor]:
        """Return `mean` and `counts`, made anew at first and where the number of candidates has changed."""
        mean, counts = self.mean, self.counts
        if mean is None or counts is None or len(counts) != n_ops:
            mean = value.new_zeros(n_ops, *value.shape)
            counts = torch.zeros(n_ops, dtype=torch.long, device=value.device)
            self._kept.update(mean=mean, counts=counts)
        elif mean.shape[1:] != value.shape:
            raise ConfigError(
                f"a moving average of outputs needs inputs of one size: the outputs were {tuple(mean.shape[1:])} "
                f"per example and are {tuple(value.shape)} now; use another gradient for inputs of several sizes"
            )
        return mean, counts

    def _apply(self, fn: Any, recurse: bool = True) -> MovingAverage:
        """Convert the statistics with the module."""
        self._kept.update({name: None if kept is None else fn(kept) for name, kept in self._kept.items()})
        return super()._apply(fn, recurse)

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination.update({prefix + name: kept for name, kept in self._kept.items() if kept is not None})

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any, **kwargs: Any) -> None:
        """Take the shapes of what is loaded, which may also be nothing yet."""
        for name, own in self._kept.items():
            saved = state_dict.pop(prefix + name, None)
            self._kept[name] = (
                None if saved is None else saved.detach().clone().to(saved if own is None else own.device)
            )
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


def _batch_mean(output: Tensor) -> Tensor:
    return output.mean(0, dtype=torch.promote_types(output.dtype, torch.float32))


def join_batch(total: Tensor, means: Iterable[Tensor]) -> None:
    """Make of what is known of the rows of this rank what all ranks know together, in place.

    Args:
        total: The sum of dL/dy over the rows, of any shape; see `naslib.utils.distributed` for its scale.
        means: Means of outputs over them, of any shapes.
    """
    rows = held_rows()
    if rows is None or not rows.is_share:
        return
    held = list(means)
    for mean in held:
        mean.mul_(len(rows) * world_size() / rows.together)
    mean_over_ranks_([total, *held])
