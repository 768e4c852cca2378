"""DARTS-: first-order DARTS with an auxiliary skip connection on every edge."""

from __future__ import annotations

from naslib.optimizers.oneshot.supernet.base import OneShotOptimizer
from naslib.optimizers.registry import OPTIMIZERS


@OPTIMIZERS.register("darts_minus")
class DARTSMinusOptimizer(OneShotOptimizer):
    """Search with an auxiliary skip connection that fades out linearly ([Chu2021dartsminus]).

    Args:
        **kwargs: See `OneShotOptimizer`; `parts` changes the keywords of `auxiliary_skip`.
    """

    PARTS = {"auxiliary_skip": {"beta": 1.0, "decay": "linear"}}
