"""Cost: a differentiable cost of the architecture, as a penalty or with a target that the architecture meets."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from naslib.errors import ConfigError
from naslib.hardware.calibrate import TableCalibration
from naslib.hardware.cost_model import CostModel
from naslib.hardware.metrics import HardwareMetric, metric_named
from naslib.hardware.projection import ProjectedChoice, as_scores, cost_range, most_likely_within
from naslib.hardware.table import read_table
from naslib.optimizers.core.metaclasses import Batch
from naslib.optimizers.oneshot.supernet.abilities import Ability
from naslib.optimizers.oneshot.supernet.part import PARTS, Part
from naslib.search_spaces.core.graph import Graph
from naslib.utils.log import get_logger

from ._calibrating import calibrated
from ._cost_settings import problems_of_method, problems_of_numbers, problems_of_table, problems_of_target
from ._cost_source import CostSource
from ._lagrangian import AugmentedLagrangian

logger = get_logger(__name__)

# Corrections of the last choice by what its network really costs, where sums are not exact
_CORRECTIONS = 12


@PARTS.register("cost")
class Cost(Part):
    """Let the search pay for what its architecture costs, or find one that costs `target`.

    The expected cost E is that of an architecture drawn decision by decision from `choice_probabilities`: operations,
    the edges that a node keeps, sizes of elastic layers, decisions inside of candidates (`naslib.hardware.CostModel`).
    Of independent decisions `dE/dalpha_i = p_i (F_i - sum_j p_j F_j)`. Parameters, multiply-accumulates and memory are
    counted on the network itself, by shapes; latency and energy come from a table.

    * `weight` alone: `loss + weight * E / E0`, with E0 the expectation of uniform probabilities.
    * `weight` and `target`: `loss + weight * g`, or `weight * max(0, g)` if one-sided, with `g = (E - target) /
      target`.
    * `target` alone: a constraint by the multiplier method, `loss + (lambda + rho g) * E / target`. Here g is that of
      the discrete architecture that the scores make now, and the gradient that of E (straight-through), so that the
      multiplier rests when the architecture, and not the mixture, meets the target; `acts_on: expectation` takes E for
      both. After the last epoch the most likely architecture within the target is taken (`project`), by dynamic
      programming over the decisions.

    Where a network is drawn and its reward is what trains the architecture, the reward is lowered by the same term.

    Args:
        metric: `"params"` (millions), `"macs"` (millions), `"memory"` (MB), `"latency"` (ms) or `"energy"` (mJ); see
            `naslib.hardware.metrics`.
        target: What the discrete architecture is to cost, at the size of the supernet or of `network`.
        weight: Of the plain penalty.
        one_sided: Whether less than the target is as good: cost <= target. Otherwise the target is met from both sides.
        tolerance: Relative distance from the target that counts as met; of a one-sided target none is exceeded.
        multiplier: First value of lambda.
        penalty: First value of rho.
        growth: Factor of rho after epochs that bring the architecture no nearer.
        largest_penalty: Of rho.
        acts_on: `"architecture"` or `"expectation"`.
        project: Whether the last choice keeps to the target; None: with a target and without a weight.
        table: Of latency and energy: path of a file, mapping, or object, see `naslib.hardware.read_table`.
        fixed: What all that is not under search costs, by the table; what the table says if None.
        input_shape: Of an input; what the table or the data set says if None, else what the space was made for.
        kinds: Type in the table by name of the class of an operation, where they differ.
        calibrate: Number of random networks that are measured here before the search, to correct a table's sums.
        verify: Rounds in which the networks of the last choice are measured here, to correct a latency; 0 for none.
        network: `{cells: 20, channels: 36}`: the costs are those of the network of this size that is retrained for an
            architecture (`Graph.evaluation_network`), in place of the supernet's size.

    Attributes:
        model: The costs (after adapting).
        history: What each epoch came to: `epoch, expected, architecture, target, multiplier, penalty`.
        found: The same of the architecture that was chosen; None before.

    Raises:
        ConfigError: For a bad value, and when adapting, if no architecture can cost the target or the costs of the
            network are not known.
    """

    STATIC = True  # multiplier and calibration change between epochs
    SCHEDULABLE = dict.fromkeys(("target", "weight"), "")

    def __init__(
        self,
        metric: str = "macs",
        target: float | None = None,
        weight: float | None = None,
        one_sided: bool = False,
        tolerance: float = 0.02,
        multiplier: float = 0.0,
        penalty: float = 1.0,
        growth: float = 2.0,
        largest_penalty: float = 1000.0,
        acts_on: str = "architecture",
        project: bool | None = None,
        table: Any = None,
        fixed: float | None = None,
        input_shape: Sequence[int] | None = None,
        kinds: Mapping[str, str] | None = None,
        calibrate: int = 0,
        verify: int = 0,
        network: Mapping[str, Any] | None = None,
    ) -> None:
        self.metric: HardwareMetric = metric_named(metric, "metric")
        numbers = {"tolerance": tolerance, "penalty": penalty, "growth": growth}
        problems = [
            *problems_of_target(target, weight, project),
            *problems_of_table(self.metric, table, calibrate or verify),
            *problems_of_numbers({**numbers, "largest_penalty": largest_penalty, "calibrate": calibrate}),
        ]
        problems += problems_of_method(acts_on, one_sided, multiplier)
        if problems:
            raise ConfigError(problems)
        self.target = target
        self.weight = weight
        self.one_sided = one_sided
        self.tolerance = tolerance
        self.acts_on = acts_on
        self.project = project if project is not None else target is not None and weight is None
        self.calibrate, self.verify = calibrate, verify
        known = read_table(table, kinds) if self.metric.of_network is None else None
        self.source = CostSource(self.metric, known, fixed, input_shape, network)
        self._given = multiplier, penalty, growth, largest_penalty
        self.history: list[dict[str, float]] = []
        self.found: dict[str, Any] | None = None
        self.calibration: TableCalibration | None = None
        self._offset = 0.0  # of the model, by what the present network is counted to cost
        self._epoch = -1
        self._uncalibrated: CostModel | None = None
        self._uniform = 0.0
        self._begin()

    def _begin(self) -> None:
        multiplier, penalty, growth, largest = self._given
        self.lagrangian = AugmentedLagrangian(
            self.one_sided, multiplier, penalty, growth, largest, self.tolerance
        )  # fmt: skip
        self.history, self.found = [], None
        self.calibration, self._offset, self._epoch = None, 0.0, -1

    # what goes together

    def unscheduled(self, name: str) -> str:
        """Return why a keyword cannot follow a schedule; see the parent."""
        if name in ("target", "weight") and getattr(self, name) is None:
            return f"{name} is not given"
        return super().unscheduled(name)

    def needs(self) -> Mapping[Ability, str]:
        """Return what follows from its hooks, and what a table can tell."""
        needed = super().needs()
        limits = "its paths can be limited: search.limits"
        needed = {ability: limits if ability == Ability.OBJECTIVE else text for ability, text in needed.items()}
        if self.source.table is None:
            return needed
        return {
            **needed,
            Ability.OPERATIONS: "a table has the costs of operations, not of sizes",
            Ability.EDGES: "a table has the costs of operations on edges",
            Ability.FLAT: "a table adds up all decisions, also those inside of candidates that are not chosen",
        }

    def removes(self) -> Mapping[Ability, str]:
        """Return that all candidates stay, where the costs are those of another size than the supernet's."""
        why = "{part} takes candidates out, and the costs of the network that is retrained are those of all of them"
        return {Ability.STRUCTURE: why} if self.source.network else {}

    # what the optimizer calls

    def adapt(self, graph: Graph) -> None:
        """Find what every candidate costs, at the shapes at which it runs.

        Raises:
            ConfigError: If that is not known, or no architecture costs the target.
        """
        self._begin()
        self._read(graph)
        low, high = cost_range(self.model)
        unit = self.metric.unit
        logger.info("%s of the architectures: %.4g to %.4g %s", self.metric.name, low, high, unit)
        if self.target is None or self.metric.name == "memory":  # the live tensors are not in the bounds
            return
        slack = self.tolerance * self.target if not self.calibrate else math.inf
        if self.target < low - (0.0 if self.one_sided else slack) or (
            not self.one_sided and self.target > high + slack
        ):
            raise ConfigError(
                f"no architecture has {self.metric.name} {self.target:g} {unit}: they have {low:.4g} to {high:.4g} "
                f"{unit} at {self.source.size()} and inputs {self.source.shape}; the nearest target is "
                f"{low if self.target < low else high:.4g}"
            )

    def check_space(self, space: Graph) -> None:
        """Find the costs of a later stage.

        Raises:
            ConfigError: If they are not known.
        """
        self.source.model(space, self.optimizer)

    def restructured(self) -> None:
        """Find the costs of the candidates that are left."""
        self._read(self.optimizer.graph)

    def _read(self, graph: Graph) -> None:
        self._uncalibrated = self.source.model(graph, self.optimizer)
        self.model = calibrated(self._uncalibrated, self.calibration)
        uniform = [torch.full((width,), 1.0 / width, dtype=torch.float64) for width in self.model.widths]
        self._uniform = float(self.model.expected(uniform))

    def architecture_loss(self, loss: Tensor) -> Tensor:
        """Return the loss with the term of the cost.

        Both are scalars.
        """
        expected = self.model.expected(self.optimizer.choice_probabilities()) + self._offset
        if self.target is None:
            return loss + float(self.weight or 0.0) * expected / self._uniform
        excess = (expected - self.target) / self.target
        if self.weight is not None:
            return loss + self.weight * (excess.clamp_min(0.0) if self.one_sided else excess)
        if self.acts_on == "expectation":
            return loss + self.lagrangian.slope(excess) * excess
        rows = self.model.chosen_rows(self.optimizer.decision_scores())
        violation = (self.model.of_rows(rows) + self._offset - self.target) / self.target
        return loss + self.lagrangian.slope(violation) * excess

    def reward(self, reward: float, choices: Sequence[Tensor]) -> float:
        """Return the reward of a drawn network, less what it pays for its cost.

        `choices` are one-hot rows `(n_ops,)`, one per decision.
        """
        cost = float(self.model.of_rows(self.model.drawn_rows([row.double() for row in choices]))) + self._offset
        if self.target is None:
            return reward - float(self.weight or 0.0) * cost / self._uniform
        excess = (cost - self.target) / self.target
        if self.weight is not None:
            return reward - self.weight * (max(0.0, excess) if self.one_sided else excess)
        # of a drawn network the term itself, not its slope: lambda g + rho / 2 g^2, by which draws are compared
        term = self.lagrangian.multiplier * excess + self.lagrangian.penalty / 2 * excess**2
        return reward - (max(0.0, term) if self.one_sided and excess <= 0 else term)

    def new_epoch(self, epoch: int) -> None:
        """Look at the architecture that the epoch before has come to: log it, and update the multiplier."""
        if epoch <= self._epoch:  # a resumed epoch
            return
        self._epoch = epoch
        if self.calibrate and self.calibration is None:
            self.calibration = self.source.calibration(self._uncalibrated, self.optimizer, self.calibrate)
            self._read(self.optimizer.graph)
        entry = self._entry(epoch)
        if epoch > 0 and self.target is not None and self.weight is None:
            self.lagrangian.update((entry["architecture"] - self.target) / self.target)
        entry |= {"multiplier": self.lagrangian.multiplier, "penalty": self.lagrangian.penalty}
        self.history.append(entry)
        logger.info(
            "%s: %.4g %s expected, %.4g of the present architecture%s",
            self.metric.name, entry["expected"], self.metric.unit, entry["architecture"], self._said(),
        )  # fmt: skip

    def _said(self) -> str:
        target = "" if self.target is None else f", target {self.target:g}"
        if self.weight is not None:
            return f"{target}, weight {self.weight:g}"
        return f"{target}, multiplier {self.lagrangian.multiplier:.4g}, penalty {self.lagrangian.penalty:.4g}"

    def _entry(self, epoch: int) -> dict[str, float]:
        cost = self._present()
        entry = {"epoch": epoch, "expected": self.expected(), "architecture": cost}
        return entry if self.target is None else {**entry, "target": float(self.target)}

    # the end

    def select(self, train_batches: Iterable[Batch], valid_batches: Iterable[Batch]) -> None:
        """Take the most likely architecture within the target, where the present one is not within it."""
        owner, self.source.rounds = self.optimizer, self.verify
        learned = any(alpha.requires_grad for alpha in owner.architectural_weights)
        if self.target is not None and self.project and learned:
            (self._keep if self._is_met(self._present()) else self._select_within)()
        self.found = self._entry(self._epoch + 1)
        self.found |= {"multiplier": self.lagrangian.multiplier, "penalty": self.lagrangian.penalty}
        self.source.rounds = 0
        cost, unit = self.found["architecture"], self.metric.unit
        logger.info("%s of the architecture: %.4g %s%s", self.metric.name, cost, unit, self._said())

    def _keep(self) -> None:
        """Set the outcome, so that a method that would now choose by other means does not leave the target."""
        owner, scores = self.optimizer, self.optimizer.decision_scores()
        choices = self.source.choices(owner.get_final_architecture(), owner, self.model)
        owner.outcome = as_scores(self.model, choices, scores) if owner.outcome is None else owner.outcome

    def _select_within(self) -> None:
        """Set the outcome; what its network is counted to cost corrects the model, until the target is met."""
        owner, target = self.optimizer, float(self.target or 0.0)
        scores = list(owner.outcome) if owner.outcome is not None else owner.decision_scores()
        tried: list[tuple[tuple[float, float], list[Tensor], float]] = []
        offsets: list[float] = []
        for _ in range(_CORRECTIONS):  # what is measured differs by chance as well: the mean of all is the correction
            before = sum(offsets) / len(offsets) if offsets and self.verify else self._offset
            found = self._projected(scores, target - before)
            owner.outcome = as_scores(self.model, found.choices, scores)
            cost = self._present()
            offsets.append(self._offset)
            distance = max(0.0, cost - target) if self.one_sided else abs(cost - target)
            tried.append(((distance, -found.score), owner.outcome, cost))
            if self._is_met(cost) or abs(self._offset - before) < 1e-9 * target:
                break
        _, owner.outcome, cost = min(tried, key=lambda entry: entry[0])
        self._present()
        if not self._is_met(cost):
            logger.warning(
                "no architecture has %s within %g %% of the target %g %s: the nearest%s has %.4g", self.metric.name,
                100 * self.tolerance, target, self.metric.unit, " below" if cost < target else "", cost,
            )  # fmt: skip

    def _projected(self, scores: Sequence[Tensor], target: float) -> ProjectedChoice:
        low = -math.inf if self.one_sided else target - self.tolerance * float(self.target or 0.0)
        high = target if self.one_sided else target + self.tolerance * float(self.target or 0.0)
        return most_likely_within(self.model, scores, low, high)

    def _is_met(self, cost: float) -> bool:
        target = float(self.target or 0.0)
        if self.one_sided:
            return cost <= target * (1 + 1e-9)
        return abs(cost - target) <= self.tolerance * target * (1 + 1e-9)

    # what a user asks

    def expected(self) -> float:
        """Return the expected cost by the present probabilities, in the unit of the metric."""
        with torch.no_grad():
            return float(self.model.expected(self.optimizer.choice_probabilities())) + self._offset

    def of(self, architecture: Graph) -> float:
        """Return the cost of a discrete architecture that the optimizer gave, in the unit of the metric.

        It is counted on the network; by the table where it is latency or energy.
        """
        return self.source.counted(architecture, self.optimizer, self.model)

    def _present(self) -> float:
        """Return the cost of the present architecture; what the model is off by goes into the offset."""
        architecture = self.optimizer.get_final_architecture()
        cost = self.of(architecture)
        choices = self.source.choices(architecture, self.optimizer, self.model)
        self._offset = cost - self.model.of_choices(choices)
        if abs(self._offset) < 1e-9 * max(1.0, abs(cost)):
            self._offset = 0.0
        return cost

    def report(self) -> dict[str, Any]:
        """Return metric, unit, target, and what every epoch and the chosen architecture came to."""
        return {
            "metric": self.metric.name,
            "unit": self.metric.unit,
            "target": self.target,
            "weight": self.weight,
            "one_sided": self.one_sided,
            "found": self.found,
            "met": None if self.found is None or self.target is None else self._is_met(self.found["architecture"]),
            "history": list(self.history),
            "calibration": self.calibration and self.calibration._asdict(),
        }

    # checkpoints

    def state_dict(self) -> dict[str, Any]:
        """Return multiplier, penalty, history, calibration and correction."""
        return {
            "lagrangian": self.lagrangian.state_dict(),
            "history": [dict(entry) for entry in self.history],
            "found": None if self.found is None else dict(self.found),
            "calibration": None if self.calibration is None else list(self.calibration),
            "offset": self._offset,
            "epoch": self._epoch,
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a state."""
        self.lagrangian.load_state_dict(state_dict["lagrangian"])
        self.history = [dict(entry) for entry in state_dict["history"]]
        self.found = None if state_dict["found"] is None else dict(state_dict["found"])
        self.calibration = None if state_dict["calibration"] is None else TableCalibration(*state_dict["calibration"])
        self._offset, self._epoch = state_dict["offset"], state_dict["epoch"]
        if self._uncalibrated is not None:
            self.model = calibrated(self._uncalibrated, self.calibration)
