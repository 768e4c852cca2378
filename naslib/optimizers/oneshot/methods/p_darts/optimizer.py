"""P-DARTS: search in stages, on deeper supernets with fewer candidates each time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from naslib.errors import ConfigError
from naslib.optimizers.oneshot.supernet.base import OneShotOptimizer
from naslib.optimizers.oneshot.supernet.part import Part
from naslib.optimizers.oneshot.supernet.relaxed_op import RelaxedMixedOp
from naslib.optimizers.oneshot.supernet.stage_schedules import cosine_in_each_stage
from naslib.optimizers.oneshot.supernet.stages import StagePosition, equal_lengths, locate
from naslib.optimizers.registry import OPTIMIZERS
from naslib.search_spaces.core.arguments import constructor_arguments
from naslib.search_spaces.core.graph import EdgeView, Graph
from naslib.utils.log import get_logger

from .skips import DroppedSkip, dropout_rate, in_reduction_cells, limit_skips, set_dropout, with_dropout

logger = get_logger(__name__)

# What the authors keep of 8 candidates in the second and third stage
OF_EIGHT = (5, 3)


@OPTIMIZERS.register("p_darts")
class PDARTSOptimizer(OneShotOptimizer):
    """Approach the depth of the final network in stages ([Chen2019pdarts]).

    Every stage trains a new supernet, weights and architecture parameters from scratch, by first-order DARTS: deeper
    than the one before, with the strongest candidates of each decision only. In its first epochs the weights are
    trained alone. Dropout on skip connections falls during each stage; the final architecture has a limited number of
    skip connections in normal cells.

    Args:
        epochs: Number of epochs of all stages together, divided equally.
        added_cells: Cells that each stage has more than the space.
        depth_argument: Name of the argument of the space's constructor that counts cells. A space without it keeps its
            depth, and the stages only remove candidates.
        n_ops: Candidates per decision from the second stage on; 5 and 3 of 8 or in proportion, but at least 2, if None.
        warm_up_epochs: Epochs of each stage that leave the architecture parameters alone.
        skip_dropout: Initial dropout rate of each stage.
        max_skips: Most skip connections in a normal cell; None for no limit.
        arch_grad_clip: Largest norm of the architecture parameters' gradient; 0 or None for no clipping.
        arch_learning_rate: Of the architecture parameters.
        **kwargs: See `OneShotOptimizer`.

    Raises:
        ConfigError: If numbers are out of range, or their number is not that of the stages.
    """

    STATIC_STEP = True
    SCHEDULABLE = {"arch_grad_clip": ""}
    SCHEDULED = ("stage", "skip_dropout_rate")
    RESTRUCTURES = True

    def __init__(
        self,
        epochs: int = 50,
        added_cells: Sequence[int] = (0, 6, 12),
        depth_argument: str = "cells",
        n_ops: Sequence[int] | None = None,
        warm_up_epochs: int = 10,
        skip_dropout: Sequence[float] = (0.0, 0.4, 0.7),
        max_skips: int | None = 2,
        arch_grad_clip: float | None = 5,
        arch_learning_rate: float = 6e-4,
        **kwargs: Any,
    ) -> None:
        super().__init__(epochs=epochs, arch_learning_rate=arch_learning_rate, **kwargs)
        _check(added_cells, n_ops, warm_up_epochs, skip_dropout, max_skips)
        self.added_cells = tuple(added_cells)
        self.depth_argument = depth_argument
        self.n_ops = n_ops
        self.warm_up_epochs = warm_up_epochs
        self.skip_dropout = tuple(skip_dropout)
        self.max_skips = max_skips
        self.arch_grad_clip = arch_grad_clip
        self.stage = 0
        self._lengths = equal_lengths(self.epochs, len(self.added_cells))
        self._place = StagePosition(0, 0, 1)
        self._rate = 0.0

    @staticmethod
    def update_ops(edge: EdgeView) -> None:
        """Replace the list of candidates by a MixedOp, with dropout behind skip connections."""
        edge.data.set("op", RelaxedMixedOp([with_dropout(op) for op in edge.data.op]))

    # the stages

    def adapted(self) -> None:
        """Let parts look at the spaces of later stages.

        Raises:
            ConfigError: If a part does not fit one of them.
        """
        super().adapted()
        checking = [part for part in self.parts.values() if type(part).check_space is not Part.check_space]
        for stage in range(1, len(self.added_cells) if checking else 0):
            with torch.random.fork_rng(devices=[]):  # weights that nobody trains
                space = self.structure.fresh_space(self._deeper(stage))
            for part in checking:
                part.check_space(space)

    def new_epoch(self, epoch: int) -> None:
        """Begin an epoch; where a new stage begins, build its supernet first."""
        self._place = locate(self._lengths, epoch)
        if self._place.stage != self.stage:
            self._enter(self._place.stage)
        initial = self.skip_dropout[self.stage]
        self.skip_dropout_rate = dropout_rate(initial, self._place.epoch, self._place.length, self.warm_up_epochs)
        super().new_epoch(epoch)

    def _enter(self, stage: int) -> None:
        structure = self.structure
        kept = structure.keeping(structure.strongest([self._n_ops(width, stage) for width in structure.widths]))
        structure.rebuild(kept, self._deeper(stage))
        self.stage = stage
        logger.info("P-DARTS stage %d: %.3f M parameters", stage + 1, self.get_model_size())

    def _n_ops(self, width: int, stage: int) -> int:
        """Return how many of `width` candidates a stage has."""
        if stage == 0:
            return width
        if self.n_ops is not None:
            return min(width, self.n_ops[stage - 1])
        share = OF_EIGHT[min(stage, len(OF_EIGHT)) - 1] / 8
        return min(width, max(2, round(width * share)))

    def _deeper(self, stage: int) -> dict[str, Any]:
        """Return the constructor arguments of the stage's space that differ from those of the space itself."""
        arguments = constructor_arguments(self.structure.space)
        added = self.added_cells[stage]
        if self.depth_argument not in arguments or not added:
            return {}
        return {self.depth_argument: _deepened(arguments[self.depth_argument], added)}

    @property
    def skip_dropout_rate(self) -> float:
        """The present dropout rate of skip connections."""
        return self._rate

    @skip_dropout_rate.setter
    def skip_dropout_rate(self, rate: float) -> None:
        self._rate = rate
        set_dropout(self.graph, rate)

    def build_scheduler(self, learning_rate_min: float) -> Any:
        """Return the learning-rate schedule of the weights: a cosine in each stage."""
        return cosine_in_each_stage(self.op_optimizer, self.learning_rate, learning_rate_min, self._lengths)

    # the step

    def _trains_architecture(self) -> bool:
        return self._place.epoch >= self.warm_up_epochs and super()._trains_architecture()

    def update_architecture(self) -> None:
        """Clip the gradient of the architecture parameters, as the authors' code does, and take their step."""
        if self.arch_grad_clip:
            nn.utils.clip_grad_norm_(self.architecture_parameters, self.arch_grad_clip)
        super().update_architecture()

    # the outcome

    def get_final_architecture(self) -> Graph:
        """Return the discrete architecture, with at most `max_skips` skip connections in the normal cell."""
        self._require_adapted()
        if self.max_skips is None:
            return super().get_final_architecture()
        scores = self.outcome if self.outcome is not None else self.decision_scores()
        elsewhere = in_reduction_cells(self.graph, self.scope)

        def counts(decision: int, position: int) -> bool:
            data = self.decisions[decision]
            return isinstance(data.op.primitives[position], DroppedSkip) and id(data.alpha) not in elsewhere

        return self.discretized(limit_skips(scores, self.max_skips, counts, self.choices))


def _check(
    added_cells: Sequence[int],
    n_ops: Sequence[int] | None,
    warm_up_epochs: int,
    skip_dropout: Sequence[float],
    max_skips: int | None,
) -> None:
    stages = len(added_cells)
    problems = []
    if not stages or min(added_cells) < 0:
        problems.append(f"added_cells has a number of cells, at least 0, for every stage, not {added_cells!r}")
    if n_ops is not None and (len(n_ops) != stages - 1 or min(n_ops, default=1) < 1):
        problems.append(f"n_ops has a number, at least 1, for each of the {stages - 1} later stages, not {n_ops!r}")
    if len(skip_dropout) != stages or not all(0 <= rate < 1 for rate in skip_dropout):
        problems.append(f"skip_dropout has a rate in [0, 1) for each of the {stages} stages, not {skip_dropout!r}")
    if warm_up_epochs < 0:
        problems.append(f"warm_up_epochs must not be negative, got {warm_up_epochs}")
    if max_skips is not None and max_skips < 0:
        problems.append(f"max_skips must not be negative, got {max_skips}")
    if problems:
        raise ConfigError(problems)


def _deepened(cells: int | Sequence[int], added: int) -> int | tuple[int, ...]:
    """Return a number of cells with more of them, or those of several blocks with more in all, shared out evenly."""
    if isinstance(cells, int):
        return cells + added
    blocks = len(cells)
    return tuple(number + added * (place + 1) // blocks - added * place // blocks for place, number in enumerate(cells))
