"""ReinMax: one sampled operation per edge, with a second-order estimate of the architecture gradient."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from naslib.errors import ConfigError
from naslib.optimizers.oneshot.supernet.base import OneShotOptimizer
from naslib.optimizers.oneshot.supernet.estimators import gate_weights, reinmax_gradient
from naslib.optimizers.oneshot.supernet.sampling import Draw, gumbel_ranking
from naslib.optimizers.registry import OPTIMIZERS


class ReinMaxRelaxation:
    """Draw one operation per decision from the softmax; take the most likely one in evaluation.

    Args:
        tau: Temperature of the estimator, at least 1.
    """

    def __init__(self, tau: float = 1.0) -> None:
        self.tau = tau

    def __call__(self, logits: Tensor, training: bool) -> list[Draw]:
        """Return one draw per decision.

        Args:
            logits: `(n_decisions, n_ops)`.
            training: Whether to sample.
        """
        keys = gumbel_ranking(logits.detach()) if training else logits.detach()
        indices = keys.argmax(-1)
        drawn = F.one_hot(indices, logits.shape[-1]).to(logits)

        def rule(logits: Tensor, mask: Tensor, gradient: Tensor) -> Tensor:
            return reinmax_gradient(logits, drawn, gradient, self.tau)

        weights = gate_weights(logits, drawn, torch.ones_like(drawn, dtype=torch.bool), rule)
        rows = zip(indices.tolist(), weights.unbind(0), strict=True)
        return [Draw((index,), row, self._others(index, row)) for index, row in rows]

    def _others(self, index: int, row: Tensor) -> tuple[int, ...]:
        return tuple(k for k in range(row.shape[0]) if k != index) if row.requires_grad else ()


@OPTIMIZERS.register("reinmax")
class ReinMaxOptimizer(OneShotOptimizer):
    """Search by sampling with the ReinMax estimator ([Liu2023reinmax]).

    A forward runs one operation D per decision, drawn from pi_0 = softmax(alpha), the same in all copies of a cell.
    With g_k = <dL/dy, o_k(x)>, for which the backward of the architecture step runs the other candidates without a
    graph, `dL/dalpha = 2 J_1 g - J_0 g / 2`, where `J_i g = pi_i (g - <pi_i, g>)` and
    pi_1 = (D + softmax(alpha / tau)) / 2. The weight step costs the drawn operations alone.

    Args:
        tau: Temperature, at least 1; with 1 the estimate is exact for losses that are quadratic in the samples.
        **kwargs: See `OneShotOptimizer`.

    Raises:
        ConfigError: If the temperature is below 1.
    """

    SCHEDULABLE = {"tau": ""}

    def __init__(self, tau: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not tau >= 1:
            raise ConfigError(f"tau of reinmax must be at least 1, got {tau}; schedules of Gumbel methods do not fit")
        self._relaxation = ReinMaxRelaxation(tau)

    @property
    def tau(self) -> float:
        """The temperature of the estimator."""
        return self._relaxation.tau

    @tau.setter
    def tau(self, value: float) -> None:
        self._relaxation.tau = value

    def relaxation(self) -> ReinMaxRelaxation:
        """Return the sampler of this optimizer."""
        return self._relaxation
