"""SPOS: train uniform single paths, then search them by evolution with recalibrated batch norm."""

from __future__ import annotations

from typing import Any

from naslib.optimizers.oneshot.paths.evolved import EvolvedPathOptimizer
from naslib.optimizers.registry import OPTIMIZERS


@OPTIMIZERS.register("spos")
class SPOSOptimizer(EvolvedPathOptimizer):
    """Single path one-shot ([Guo2020spos]).

    Every batch trains an architecture drawn uniformly. At the end an evolution looks for the architecture with the best
    validation accuracy (the authors measure each on 40 batches of 200: `valid_batches`); before each is measured, the
    statistics of batch norm are estimated anew for it on training batches, and the supernet's own return afterwards.

    Args:
        recalibration_batches: On how many training batches the statistics of batch norm are estimated; 0 keeps those
            of the supernet.
        **kwargs: See `EvolvedPathOptimizer`.
    """

    def __init__(self, recalibration_batches: int = 200, **kwargs: Any) -> None:
        super().__init__(recalibration_batches=recalibration_batches, **kwargs)
