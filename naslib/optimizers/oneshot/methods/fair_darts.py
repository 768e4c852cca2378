"""FairDARTS: first-order DARTS whose operations do not compete, each with a sigmoid weight of its own."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from naslib.errors import ConfigError
from naslib.optimizers.oneshot.supernet.base import OneShotOptimizer
from naslib.optimizers.oneshot.supernet.schedulable import AT_THE_END
from naslib.optimizers.oneshot.supernet.strategy import Strategy, StrategyRelaxation
from naslib.optimizers.registry import OPTIMIZERS
from naslib.search_spaces.core.edge import EdgeData
from naslib.search_spaces.core.graph import EdgeView, Graph
from naslib.search_spaces.core.primitives import Zero
from naslib.utils.log import get_logger

logger = get_logger(__name__)


@OPTIMIZERS.register("fair_darts")
class FairDARTSOptimizer(OneShotOptimizer):
    """Mix by `sum_k sigmoid(alpha_k) o_k(x)`, alpha starting at 0, with a zero-one loss ([Chu2020fairdarts]).

    Candidates, and edges, are compared by their sigmoids at the end. The authors keep the two strongest edges of a node
    only where their best operation has reached `threshold`, so that a node may have two, one or no inputs. A discrete
    architecture here has the edges that its space demands; where an edge has a Zero candidate and the space's
    architectures may contain it, an operation below the threshold is replaced by Zero, which is the same function. The
    codes of the DARTS space have no Zero: there both edges stay.

    Args:
        threshold: Smallest sigmoid with which an operation other than Zero stays; None keeps all that are chosen.
        arch_learning_rate: Of the architecture parameters.
        **kwargs: See `OneShotOptimizer`; `parts` changes the keywords of `zero_one_loss`.

    Raises:
        ConfigError: If the threshold is not in [0, 1].
    """

    STATIC_STEP = True
    ARCH_BETAS = (0.9, 0.999)
    PARTS = {"zero_one_loss": {"weight": 10.0, "norm": "l2"}}

    SCHEDULABLE = {"threshold": AT_THE_END}

    def __init__(self, threshold: float | None = 0.85, arch_learning_rate: float = 3e-3, **kwargs: Any) -> None:
        super().__init__(arch_learning_rate=arch_learning_rate, **kwargs)
        if threshold is not None and not 0 <= threshold <= 1:
            raise ConfigError(f"threshold must be in [0, 1] or null, got {threshold}")
        self.threshold = threshold

    @staticmethod
    def add_alphas(edge: EdgeView) -> None:
        """Put a shared `alpha` of zeros on an edge with candidates: every sigmoid is one half."""
        edge.data.set("alpha", nn.Parameter(torch.zeros(len(edge.data.op))), shared=True)

    def relaxation(self) -> StrategyRelaxation:
        """Return the relaxation by sigmoids."""
        return StrategyRelaxation(Strategy(sampler="all", forward="sigmoid", gradient="autodiff"))

    def decision_weights(self, alpha: Tensor) -> Tensor:
        """Return the sigmoids, `(n_ops,)`."""
        return torch.sigmoid(alpha.detach())

    def get_final_architecture(self) -> Graph:
        """Return the discrete architecture; warn where no operation has reached the threshold, so that it is empty."""
        architecture = super().get_final_architecture()
        largest = max(float(self.decision_weights(alpha).max()) for alpha in self.architectural_weights)
        if (
            self.threshold is not None
            and self.outcome is None
            and largest < self.threshold
            and architecture.ALLOWS_ZERO
        ):
            logger.warning(
                "no operation has reached the threshold %g (the largest sigmoid is %.3f): edges with a Zero candidate "
                "are empty. Search longer, raise arch_learning_rate or lower threshold",
                self.threshold,
                largest,
            )
        return architecture

    def select_primitive(self, graph: Graph, edge: EdgeData) -> int:
        """Return the space's choice, or that of Zero where the choice has not reached the threshold."""
        index = super().select_primitive(graph, edge)
        zeros = [k for k, op in enumerate(edge.op.primitives) if isinstance(op, Zero)]
        # on the sigmoid alone, whatever else the choice was made by; a selection phase has its own reasons
        judged = self.threshold is not None and self.outcome is None
        below = judged and float(self.decision_weights(edge.alpha)[index]) < self.threshold  # type: ignore[operator]
        return zeros[0] if below and zeros and graph.ALLOWS_ZERO else index
