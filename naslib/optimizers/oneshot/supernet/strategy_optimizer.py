"""StrategyOptimizer: what the optimizers have in common that search by one strategy for all decisions."""

from __future__ import annotations

from naslib.search_spaces.core.graph import Graph

from .base import OneShotOptimizer
from .estimators import rescale_stepped
from .mixed_edges import mixed_edges
from .moving_average import MovingAverage
from .strategy import Strategy, StrategyRelaxation


class StrategyOptimizer(OneShotOptimizer):
    """Search by a strategy, which the constructor of a subclass sets.

    Attributes:
        strategy: The choices of the method.
        moving_average_rate: Of the outputs' running means, where the strategy's gradient uses them.
    """

    strategy: Strategy
    moving_average_rate: float = 0.01

    @property
    def fixed_structure(self) -> str:
        """Why no candidate may leave: running means belong to the candidates that there are."""
        return "running means are kept per candidate" if self.strategy.gradient == "moving_average" else ""

    @property
    def whole_batches(self) -> str:  # type: ignore[override]
        """Why a batch cannot be gone over in several passes: each would have a say in the running means."""
        if self.strategy.gradient != "moving_average":
            return ""
        return "its gradient is of the mean outputs of a batch, and of running means that every forward changes"

    def relaxation(self) -> StrategyRelaxation:
        """Return what draws all decisions of a forward."""
        return StrategyRelaxation(self.strategy)

    def _collect_decisions(self, graph: Graph) -> None:
        super()._collect_decisions(graph)
        for data in mixed_edges(graph, self.scope):
            self.strategy.check_width(len(data.op.primitives))
            if self.strategy.gradient == "moving_average":
                data.op.gate_rule = MovingAverage(self.moving_average_rate)

    def update_architecture(self) -> None:
        """Take the optimizer's step; where the softmax was renormalized, other operations keep their probabilities."""
        if self.strategy.gradient != "renormalized":
            super().update_architecture()
            return
        trained = [alpha for alpha in self.architectural_weights if alpha.requires_grad]
        before = [alpha.detach().clone() for alpha in trained]
        super().update_architecture()
        for alpha, old in zip(trained, before, strict=True):
            rescale_stepped(alpha, old)
