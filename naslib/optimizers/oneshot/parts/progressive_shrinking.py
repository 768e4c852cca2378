"""Progressive shrinking: search in stages, each with fewer candidates than the one before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

from naslib.errors import ConfigError, did_you_mean
from naslib.optimizers.oneshot.supernet.mixed_edges import mixed_edges
from naslib.optimizers.oneshot.supernet.part import PARTS, Part
from naslib.optimizers.oneshot.supernet.stages import locate
from naslib.search_spaces.core.graph import Graph

from ._resize import common_shape
from .partial_channels import PartialChannelConnections, PartialChannels

STAGE_KEYS = ("epochs", "n_ops", "k")
# The protocol of DrNAS on the DARTS space
TWO_STAGES = ({"epochs": 25}, {"epochs": 25, "n_ops": 4})


@PARTS.register("progressive_shrinking")
class ProgressiveShrinking(Part):
    """Remove the weakest candidates of every decision between stages, as the progressive DrNAS does ([Chen2021drnas]).

    The candidates leave the supernet for good, so that a later stage is cheaper. Those that stay keep their weights,
    their architecture parameters and the optimizers' states. With the part `partial_channels`, a later stage may also
    mix a larger part of the channels. Each stage begins at the full learning rate of the weights (see
    `restarting_cosine`), and with epochs that train weights alone.

    Args:
        stages: One mapping per stage: `epochs`, its length (the last stage lasts as long as the search), and from the
            second stage on `n_ops`, how many candidates every decision has at most, and `k`, that of
            `partial_channels`, each as in the stage before if left out.
        divide: Whether convolutions of candidates that become wider divide by the number of copies that they read (see
            `PartialChannelConnections.widen`); the authors do not.
        warm_up: Epochs at the start of each stage in which the architecture parameters are left alone.

    Raises:
        ConfigError: For a stage without epochs, an unknown key, or a number that is out of range.
    """

    STATIC = True

    restructures = True

    def __init__(
        self, stages: Sequence[Mapping[str, int]] = TWO_STAGES, warm_up: int = 10, divide: bool = False
    ) -> None:
        _check(stages, warm_up)
        self.stages = [dict(stage) for stage in stages]
        self.warm_up = warm_up
        self.divide = divide
        self._lengths = [stage.get("epochs", 1) for stage in self.stages]
        self._epoch = 0
        self._stage = 0

    def adapt(self, graph: Graph) -> None:
        """Check now, rather than in the middle of the search, that the channels can be divided by every k.

        Raises:
            ConfigError: If they cannot, or the part `partial_channels` is missing.
        """
        later = [stage["k"] for stage in self.stages if "k" in stage]
        if not later:
            return
        if "partial_channels" not in self.optimizer.parts:
            raise ConfigError("progressive_shrinking: stages with k need the part partial_channels")
        for data in mixed_edges(graph, self.optimizer.scope):
            shape = common_shape(data.op.primitives)
            partial = [s.k for s in getattr(data.op, "surroundings", []) if isinstance(s, PartialChannels)]
            if shape.C_in is None or not shape.keeps_channels:
                continue
            channels = shape.C_in * (partial[0] if partial else 1)
            bad = [k for k in later if channels % k]
            if bad:
                raise ConfigError(f"progressive_shrinking: {channels} channels cannot be divided by k = {bad[0]}")

    @property
    def restarts(self) -> list[int]:
        """The first epochs of the later stages."""
        return list(accumulate(self._lengths[:-1]))

    def new_epoch(self, epoch: int) -> None:
        """Begin an epoch; where a new stage begins, remove candidates first."""
        self._epoch = epoch
        stage = locate(self._lengths, epoch).stage
        while self._stage < stage:
            self._stage += 1
            self._begin(self.stages[self._stage])

    def _begin(self, stage: Mapping[str, int]) -> None:
        structure = self.optimizer.structure
        if "n_ops" in stage:
            structure.prune(structure.strongest(stage["n_ops"]))
        partial = self.optimizer.parts.get("partial_channels")
        if "k" in stage and isinstance(partial, PartialChannelConnections) and partial.k != stage["k"]:
            partial.widen(stage["k"], self.divide)

    @property
    def trains_architecture(self) -> bool:
        """Whether the stage's warm-up is over."""
        return locate(self._lengths, self._epoch).epoch >= self.warm_up

    def state_dict(self) -> dict[str, Any]:
        """Return the stage."""
        return {"stage": self._stage}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over the stage; the structure of the supernet is a checkpointable of its own."""
        self._stage = state_dict["stage"]


def _check(stages: Any, warm_up: int) -> None:
    if isinstance(stages, str | Mapping) or not isinstance(stages, Sequence) or not stages:
        raise ConfigError(f"stages is a list of mappings such as {{epochs: 25, n_ops: 4}}, not {stages!r}")
    problems = [] if warm_up >= 0 else [f"warm_up must not be negative, got {warm_up}"]
    for index, stage in enumerate(stages):
        if not isinstance(stage, Mapping):
            problems.append(f"stage {index} is a mapping such as {{epochs: 25, n_ops: 4}}, not {stage!r}")
            continue
        for key, value in stage.items():
            if key not in STAGE_KEYS:
                problems.append(f"stage {index} has no key {key!r}{did_you_mean(key, STAGE_KEYS)}")
            elif value < 1:
                problems.append(f"stage {index}: {key} must be at least 1, got {value}")
        if index == 0 and len(stage.keys() - {"epochs"}):
            problems.append("stage 0 begins with the supernet as it is: n_ops and k are for later stages")
        if "epochs" not in stage and index < len(stages) - 1:
            problems.append(f"stage {index} needs epochs: only the last stage lasts as long as the search")
    if problems:
        raise ConfigError(problems)
