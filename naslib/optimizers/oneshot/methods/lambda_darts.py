"""Lambda-DARTS: DARTS whose cells are made to agree on the operations."""

from __future__ import annotations

from naslib.optimizers.oneshot.supernet.base import OneShotOptimizer
from naslib.optimizers.registry import OPTIMIZERS


@OPTIMIZERS.register("lambda_darts")
class LambdaDARTSOptimizer(OneShotOptimizer):
    """Search as DARTS does, first order, with layer alignment in the weight step ([Movahedi2023lambdadarts]).

    Everything that makes the method is the part `layer_alignment`.
    """

    PARTS = {"layer_alignment": {}}
