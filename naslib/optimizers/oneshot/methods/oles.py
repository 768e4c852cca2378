"""OLES: operation-level early stopping."""

from __future__ import annotations

from naslib.optimizers.oneshot.supernet.base import OneShotOptimizer
from naslib.optimizers.registry import OPTIMIZERS


@OPTIMIZERS.register("oles")
class OLESOptimizer(OneShotOptimizer):
    """Search as DARTS does, first order, and stop training each operation once it overfits ([Jiang2023oles]).

    Everything that makes the method is the part `operation_early_stopping`.
    """

    PARTS = {"operation_early_stopping": {}}
