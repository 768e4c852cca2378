"""Robust DARTS: the search ends when the curvature of the validation loss grows."""

from __future__ import annotations

from naslib.optimizers.oneshot.supernet.base import OneShotOptimizer
from naslib.optimizers.registry import OPTIMIZERS


@OPTIMIZERS.register("robust_darts")
class RobustDARTSOptimizer(OneShotOptimizer):
    """Search as DARTS does, first order, and stop by the dominant eigenvalue of the Hessian ([Zela2020robustdarts]).

    Everything that makes the method is the part `early_stopping`, which any optimizer that mixes can be given; the
    authors' second-order search is `darts` with `unrolled` and that part. Their stronger regularisation is
    `weight_decay` and the part `drop_path`.
    """

    PARTS = {"early_stopping": {"criterion": "eigenvalue"}}
