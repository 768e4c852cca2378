"""PC-DARTS: first-order DARTS on a part of the channels, with weighted edges."""

from __future__ import annotations

from typing import Any

from naslib.optimizers.oneshot.supernet.base import OneShotOptimizer
from naslib.optimizers.registry import OPTIMIZERS


@OPTIMIZERS.register("pc_darts")
class PCDARTSOptimizer(OneShotOptimizer):
    """Search with partial channel connections and edge normalization ([Xu2020pcdarts]).

    The alternating first-order step of DARTS, softmax weights. Three parts make the method: `partial_channels` (k 4),
    `edge_normalization`, and `warm_up` (alpha and beta rest for 15 epochs).

    Args:
        learning_rate: Of the operation weights.
        momentum: Of their optimizer.
        weight_decay: Of the operation weights.
        grad_clip: Largest norm of the weights' gradient; 0 or None for no clipping.
        arch_learning_rate: Of the architecture parameters.
        **kwargs: See `OneShotOptimizer`; `parts` changes the keywords of the parts, or leaves one out.
    """

    PARTS = {"partial_channels": {"k": 4}, "edge_normalization": {}, "warm_up": {"epochs": 15}}

    def __init__(
        self,
        learning_rate: float = 0.025,
        momentum: float = 0.9,
        weight_decay: float = 0.0003,
        grad_clip: float | None = 5,
        arch_learning_rate: float = 6e-4,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, momentum, weight_decay, grad_clip, arch_learning_rate, **kwargs)
