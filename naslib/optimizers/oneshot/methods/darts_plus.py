"""DARTS+: the search ends when skip connections take over."""

from __future__ import annotations

from naslib.optimizers.oneshot.supernet.base import OneShotOptimizer
from naslib.optimizers.registry import OPTIMIZERS


@OPTIMIZERS.register("darts_plus")
class DARTSPlusOptimizer(OneShotOptimizer):
    """Search as DARTS does, first order, until a normal cell has two skip connections ([Liang2019dartsplus]).

    Everything that makes the method is the part `early_stopping`.
    """

    PARTS = {"early_stopping": {"criterion": "skip_dominance", "skips": 2}}
