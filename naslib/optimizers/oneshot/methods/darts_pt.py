"""DARTS-PT: DARTS whose architecture is selected by perturbation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from naslib.optimizers.oneshot.supernet.base import OneShotOptimizer
from naslib.optimizers.oneshot.supernet.compatibility import Ability, without_architecture_step
from naslib.optimizers.registry import OPTIMIZERS


@OPTIMIZERS.register("darts_pt")
class DARTSPTOptimizer(OneShotOptimizer):
    """Search as DARTS does, first order, and choose by what the supernet loses ([Wang2021dartspt]).

    The choice is the part `perturbation_selection`, which the Trainer lets run after the last epoch. Before that, or
    without a Trainer, an architecture is derived by the magnitude of the architecture parameters.

    Args:
        train_architecture: Whether the architecture parameters are trained; if not they stay 0, all operations have
            the same weight, and everything is left to the selection (the paper's ablation "fixed alpha").
        **kwargs: See `OneShotOptimizer`.
    """

    PARTS = {"perturbation_selection": {}}

    def __init__(self, train_architecture: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.train_architecture = train_architecture

    def removes(self) -> Mapping[Ability, str]:
        """Return what there is not, where the architecture parameters stay as they are."""
        if self.train_architecture:
            return {}
        return without_architecture_step("its architecture parameters are not trained (train_architecture: false)")

    def adapted(self) -> None:
        """Let architecture parameters that are not trained begin at 0."""
        super().adapted()
        if not self.train_architecture:
            with torch.no_grad():
                for alpha in self.architectural_weights:
                    alpha.zero_()

    def _trains_architecture(self) -> bool:
        return self.train_architecture and super()._trains_architecture()
