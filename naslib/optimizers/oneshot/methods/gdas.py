"""GDAS: search by sampling one operation per edge with a hard Gumbel-softmax."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn import functional as F

from naslib.errors import ConfigError
from naslib.optimizers.oneshot.supernet.base import OneShotOptimizer
from naslib.optimizers.oneshot.supernet.relaxations import linear_temperature, straight_through_gumbel
from naslib.optimizers.oneshot.supernet.relaxed_op import RelaxedMixedOp
from naslib.optimizers.oneshot.supernet.sampling import Draw
from naslib.optimizers.registry import OPTIMIZERS

UNSELECTED = ("ones", "zero", "recompute")
GDASMixedOp = RelaxedMixedOp


class GumbelRelaxation:
    """Draw one operation for every decision; take the most likely one in evaluation.

    Args:
        tau: Temperature > 0.
        unselected: How the weights of the operations that were not drawn get a gradient, see `GDASOptimizer`.

    Attributes:
        tau: Set anew each epoch by the optimizer.
    """

    def __init__(self, tau: float, unselected: str = "ones") -> None:
        self.tau = tau
        self.unselected = unselected

    def __call__(self, logits: Tensor, training: bool) -> list[Draw]:
        """Return one draw per decision; the indices are read from the device at once.

        Args:
            logits: `(n_decisions, n_ops)`.
            training: Whether to sample.
        """
        if training:
            weights = straight_through_gumbel(logits, self.tau)
        else:
            weights = F.one_hot(logits.argmax(-1), logits.shape[-1]).to(logits)
        indices = weights.detach().argmax(-1).tolist()
        others = "ones" if self.unselected == "ones" else "zero"
        rows = zip(indices, weights.unbind(0), strict=True)
        return [Draw((index,), row, self._evaluated(index, row), others=others) for index, row in rows]  # type: ignore[arg-type]

    def _evaluated(self, index: int, row: Tensor) -> tuple[int, ...]:
        if self.unselected != "recompute":
            return ()
        return tuple(k for k in range(row.shape[0]) if k != index)


@OPTIMIZERS.register("gdas")
class GDASOptimizer(OneShotOptimizer):
    """Search for a robust architecture by a differentiable sampler ([Dong2019gdas], Algorithm 1).

    One operation per decision is drawn in each forward (Eq. 6), the same for all copies of a cell; the temperature
    falls linearly from `tau_max` at the first epoch to `tau_min` at the last.

    Args:
        epochs: Number of epochs of the search.
        tau_max: Temperature of the first epoch.
        tau_min: Temperature of the last epoch.
        unselected: How the weights of the operations that were not drawn get a gradient: `"ones"` as in the authors'
            code, which adds each of them to the output as a scalar (its gradient is the sum of dL/dy); `"zero"`, none;
            `"recompute"`, `<dL/dy, o_k(x)>` by running them in the backward without a graph.
        tau: The temperature, or its schedule, in place of `tau_max` and `tau_min`; None for these.
        **kwargs: See `OneShotOptimizer`.
    """

    SCHEDULABLE = {
        "tau": "",
        "tau_max": "tau falls from it to tau_min: give tau the schedule",
        "tau_min": "see tau_max",
    }
    SCHEDULED = ("tau",)

    def __init__(
        self,
        epochs: int = 50,
        tau_max: float = 10.0,
        tau_min: float = 0.1,
        unselected: str = "ones",
        tau: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if unselected not in UNSELECTED:
            raise ConfigError(f"unselected must be one of {', '.join(UNSELECTED)}, not {unselected!r}")
        if not (tau_max > 0 and tau_min > 0):
            raise ConfigError(f"temperatures must be positive, got tau_max={tau_max}, tau_min={tau_min}")
        if tau is not None and not tau > 0:
            raise ConfigError(f"temperatures must be positive, got tau={tau}")
        self.epochs = epochs
        self.tau_max = tau_max
        self.tau_min = tau_min
        self.unselected = unselected
        self._falls = tau is None
        self._relaxation = GumbelRelaxation(tau_max if tau is None else tau, unselected)

    @property
    def tau(self) -> float:
        """The current temperature."""
        return self._relaxation.tau

    @tau.setter
    def tau(self, value: float) -> None:
        self._relaxation.tau = value

    def relaxation(self) -> GumbelRelaxation:
        """Return the sampler of this optimizer."""
        return self._relaxation

    def new_epoch(self, epoch: int) -> None:
        """Set the temperature of the epoch."""
        super().new_epoch(epoch)
        if self._falls:
            self.tau = linear_temperature(epoch, self.epochs, self.tau_max, self.tau_min)
