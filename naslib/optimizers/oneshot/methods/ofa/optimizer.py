"""Once-for-all: train the largest network, then smaller and smaller ones with it, told by what it knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, ClassVar

import torch
from torch import Tensor

from naslib.errors import ArchitectureError, ConfigError, did_you_mean
from naslib.optimizers.core.metaclasses import Batch, Stateful
from naslib.optimizers.oneshot.paths.evolved import EvolvedPathOptimizer
from naslib.optimizers.oneshot.supernet.stage_schedules import cosine_in_each_stage
from naslib.optimizers.oneshot.supernet.stages import locate
from naslib.optimizers.registry import OPTIMIZERS
from naslib.search_spaces.core.codec import Code
from naslib.search_spaces.core.elastic import Sortable
from naslib.tasks.joined import join_passes, passes_over
from naslib.utils.log import get_logger

from .distillation import Teacher, soft_loss, tells_classes
from .phases import RESOLUTION, ShrinkingPhase, default_phases, kind_of, lengths_of, open_values, read_phases, sizes_of

logger = get_logger(__name__)

DISTILLATIONS = ("teacher", "in_place", "none")
# Draws of an architecture that constraints of a space may refuse
_ATTEMPTS = 200


@OPTIMIZERS.register("ofa")
class OFAOptimizer(EvolvedPathOptimizer):
    """Progressive shrinking ([Cai2020ofa]), and the sandwich rule with in-place distillation ([Yu2020bignas]).

    The search goes through phases. The first trains the largest network alone; each later one lets more sizes be drawn:
    all kernels, then depths and widths, one more value first. In a step some networks are drawn, each size uniformly
    among those that are open, and their gradients are summed. What the first phase ended with is the teacher of all
    later ones: a network's loss is that of the labels and the cross entropy with the teacher's probabilities. Before a
    phase that lets widths be smaller, channels are sorted by importance (`Sortable`). Every phase has a cosine schedule
    and an optimizer of its own. Operations are drawn as well, of all candidates; the size of images is drawn once for
    all networks of a step, in every phase.

    At the end an evolution looks for the best architecture, as SPOS does.

    Args:
        phases: Mappings of `epochs`, `sizes` (by kind, how many of the largest values, or `all`; `all` alone for all
            kinds), `subnets` (networks in a step) and `rate` (a factor of `learning_rate`); the last phase lasts as
            long as the search. None for the authors' phases, in proportion to their epochs.
        distillation: `"teacher"`: see above; `"in_place"`: the smaller networks of a step learn from the largest one
            of that step alone (needs `sandwich`); `"none"`: all learn from the labels.
        distillation_weight: Of what the teacher says, against the labels.
        sandwich: Whether the largest and the smallest network are trained in every step beside those that are drawn.
        sort_channels: Whether channels are sorted before widths become smaller.
        recalibration_batches: As of SPOS.
        **kwargs: See `EvolvedPathOptimizer`.

    Attributes:
        phase: Index of the present phase.
        teacher: Weights of the largest network after the first phase.

    Raises:
        ConfigError: For wrong phases, a distillation that has no teacher, or a negative weight.
    """

    SCHEDULABLE = {"distillation_weight": ""}
    SCHEDULED: ClassVar[tuple[str, ...]] = (*EvolvedPathOptimizer.SCHEDULED, "phase")

    def __init__(
        self,
        phases: Sequence[Mapping[str, Any]] | None = None,
        distillation: str = "teacher",
        distillation_weight: float = 1.0,
        sandwich: bool = False,
        sort_channels: bool = True,
        recalibration_batches: int = 20,
        **kwargs: Any,
    ) -> None:
        super().__init__(recalibration_batches=recalibration_batches, **kwargs)
        self.given_phases = None if phases is None else read_phases(phases)
        _check(self.given_phases, distillation, distillation_weight, sandwich)
        self.distillation = distillation
        self.distillation_weight = distillation_weight
        self.sandwich = sandwich
        self.sort_channels = sort_channels
        self.phase = 0
        self.teacher = Teacher()
        self._phases: list[ShrinkingPhase] = []
        self._lengths: list[int] = []
        self._open: list[dict[str, tuple[int, ...]]] = []

    def unscheduled(self, name: str) -> str:
        """Return why a keyword cannot follow a schedule; see the parent."""
        if name == "distillation_weight" and self.distillation != "teacher":
            return "only distillation: teacher has a weight"
        return super().unscheduled(name)

    # the phases

    def adapted(self) -> None:
        """Settle the phases by the sizes of the space, and begin.

        Raises:
            ConfigError: If a phase names sizes that there are not.
        """
        decisions = self.paths.supernet.space.decisions
        kinds = sizes_of(decisions)
        if self.given_phases is None:
            self._phases = default_phases(kinds)
            self._lengths = lengths_of(self._phases, self.epochs)
        else:
            self._phases = self.given_phases
            self._lengths = [int(phase.epochs) for phase in self._phases]
        self._open = open_values(self._phases, kinds)
        self.phase, self.teacher = locate(self._lengths, 0).stage, Teacher()
        if self.distillation == "teacher" and self.phase and len(self._phases) > 1:
            logger.warning("a search of %d epochs has none for the largest network alone: no teacher", self.epochs)
        super().adapted()

    def new_epoch(self, epoch: int) -> None:
        """Begin an epoch; where a new phase begins, take note of the teacher and sort channels first."""
        phase = locate(self._lengths, epoch).stage
        if phase > self.phase:
            self._enter(phase)
        super().new_epoch(epoch)

    def _enter(self, phase: int) -> None:
        if self.phase == 0 and self.distillation == "teacher" and not self.teacher.is_known:
            self.teacher = Teacher(self.graph)
        if self.sort_channels:
            used, after = self._values(self.phase), self._values(phase)
            for module in self.graph.modules():
                if isinstance(module, Sortable) and used != after:
                    module.sort_channels(used)
        self.phase = phase
        self.op_optimizer.state.clear()  # momenta of other phases, and of channels in another order
        logger.info("phase %d of %d: %s", phase + 1, len(self._phases), self._described())

    def _values(self, phase: int) -> dict[str, list[Any]]:
        space = self.paths.supernet.space
        return {
            name: [space.decision(name).candidates[i] for i in indices] for name, indices in self._open[phase].items()
        }

    def _described(self) -> str:
        counts: dict[str, int] = {}
        for name, indices in self._open[self.phase].items():
            counts[kind_of(name)] = max(len(indices), counts.get(kind_of(name), 0))
        return ", ".join(f"{number} of {kind}" for kind, number in counts.items()) or "operations"

    def build_scheduler(self, learning_rate_min: float) -> Any:
        """Return the learning-rate schedule of the weights: a cosine in each phase, from its own rate."""
        rates = [self.learning_rate * phase.rate for phase in self._phases]
        return cosine_in_each_stage(self.op_optimizer, self.learning_rate, learning_rate_min, self._lengths, rates)

    # what is drawn

    def random_path(self) -> Code:
        """Draw a network of the present phase for training."""
        return self._code(self._draw(self.rng))

    def _draw(self, rng: Random) -> dict[str, Any]:
        """Return a choice for every decision, also for those that the architecture does not make: sizes as open now."""
        space = self.paths.supernet.space
        if space.constraints:  # where independent draws may be none of the space
            for _ in range(_ATTEMPTS):
                found = self._draw_each(rng)
                try:
                    space.code_of(found)
                except ArchitectureError:
                    continue
                return found
            raise ConfigError(f"ofa: none of {_ATTEMPTS} draws satisfies the constraints of the space; take spos")
        return self._draw_each(rng)

    def _draw_each(self, rng: Random) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for decision in self.paths.supernet.space.decisions:
            candidates = decision.candidates
            if decision.kind == "value":
                found[decision.name] = candidates[rng.choice(self._open[self.phase][decision.name])]
            elif decision.kind == "op":
                found[decision.name] = rng.choice(candidates)
            elif decision.n_chosen is None:
                found[decision.name] = tuple(candidate for candidate in candidates if rng.random() < 0.5)
            else:
                picked = sorted(rng.sample(range(len(candidates)), decision.n_chosen))
                found[decision.name] = tuple(candidates[index] for index in picked)
        return found

    def _extreme(self, choices: Mapping[str, Any], place: int) -> dict[str, Any]:
        """Return choices with the largest (0) or the smallest (-1) sizes that are open; images keep theirs."""
        space = self.paths.supernet.space
        sizes = {
            name: space.decision(name).candidates[indices[place]]
            for name, indices in self._open[self.phase].items()
            if kind_of(name) != RESOLUTION
        }
        return {**choices, **sizes}

    def _code(self, choices: Mapping[str, Any]) -> Code:
        code = self.paths.supernet.space.code_of(choices)
        return code if self.paths.codec is None else self.paths.codec.from_decisions(code)

    def networks_of_step(self) -> list[dict[str, Any]]:
        """Draw the networks of a step, as choices by decision; by the sandwich rule the largest and smallest first."""
        found = [self._draw(self.rng) for _ in range(self._phases[self.phase].subnets)]
        images = {name: value for name, value in found[0].items() if kind_of(name) == RESOLUTION}
        found = [{**choices, **images} for choices in found]
        if self.sandwich:
            found = [self._extreme(found[0], 0), self._extreme(found[0], -1), *found]
        return found

    # the step

    def training_backward(self, data_train: Batch) -> tuple[Tensor, Tensor]:
        """Add the gradients of all networks of the step; return logits and loss of the last.

        Logits `(n, classes)`, the loss a scalar.
        """
        told: Tensor | None = None
        for number, choices in enumerate(self.networks_of_step()):
            is_largest = self.sandwich and number == 0
            if self.distillation == "teacher" and self.teacher.is_known:
                told = self._told(choices, data_train)
            soft = None if told is None or is_largest else told
            with self.assigned(self.assignment_of(self._code(choices))):
                logits, loss = self._learn(data_train, soft)
            if self.distillation == "in_place" and is_largest:
                told = logits
        return logits, loss

    def _learn(self, data: Batch, told: Tensor | None) -> tuple[Tensor, Tensor]:
        """Add the gradient of one network to those of the weights; return its detached logits and loss.

        Args:
            data: The batch.
            told: What it is to learn besides the labels, or in place of them, row by row; None for nothing.
        """
        outputs, values = [], []
        for each in passes_over(self.task, data):
            with each.running():
                logits, loss = self.forward_loss(each.batch)
                total = loss * each.share if each.share else logits.sum() * 0.0
                if told is not None:
                    rows = slice(None) if each.rows is None else slice(each.rows.start, each.rows.stop)
                    share = len(told[rows]) / len(told)
                    soft = soft_loss(logits, told[rows], tells_classes(self.task)) * share
                    total = soft if self.distillation == "in_place" else total + self.distillation_weight * soft
                total.backward()
            outputs.append(logits.detach())
            if each.share:
                values.append(loss.detach() * each.share)
        return join_passes(outputs), torch.stack(values).sum()

    @torch.no_grad()
    def _told(self, choices: Mapping[str, Any], data: Batch) -> Tensor:
        """Return the outputs of the teacher, of the shape of the network's: the largest sizes, the same operations."""
        with (
            self.teacher.teaching(self.graph),
            self.assigned(self.assignment_of(self._code(self._extreme(choices, 0)))),
        ):
            return self.outputs(data)

    def get_checkpointables(self) -> dict[str, Stateful]:
        """Return what the parent returns and the teacher."""
        return {**super().get_checkpointables(), "teacher": self.teacher}


def _check(phases: list[ShrinkingPhase] | None, distillation: str, weight: float, sandwich: bool) -> None:
    problems = []
    if distillation not in DISTILLATIONS:
        hint = did_you_mean(str(distillation), DISTILLATIONS)
        problems.append(f"distillation is one of {', '.join(DISTILLATIONS)}, not {distillation!r}{hint}")
    if distillation == "in_place" and not sandwich:
        problems.append("distillation=in_place learns from the largest network of a step: set sandwich=true")
    if distillation == "teacher" and phases is not None and (phases[0].sizes or len(phases) == 1):
        problems.append(
            "distillation=teacher needs a first phase that trains the largest network alone (no sizes), and another "
            "one after it; or set distillation=none"
        )
    if isinstance(weight, bool) or not weight >= 0:
        problems.append(f"distillation_weight must not be negative, got {weight}")
    if problems:
        raise ConfigError(problems)
