"""Latency: make the search prefer architectures that are fast on a device."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from naslib.errors import ConfigError, did_you_mean
from naslib.hardware import read_table, trace_candidates
from naslib.hardware.trace import EdgeKey, decision_edges
from naslib.optimizers.oneshot.supernet.abilities import Ability
from naslib.optimizers.oneshot.supernet.mixed_edges import decisions_in
from naslib.optimizers.oneshot.supernet.part import PARTS, Part
from naslib.search_spaces.core.graph import Graph
from naslib.utils.log import get_logger
from naslib.utils.placed import Placed

logger = get_logger(__name__)

LOSSES = ("mul_log", "add_linear")


@PARTS.register("latency")
class Latency(Part):
    """Add the expected latency to the loss of the architecture step ([Cai2019proxylessnas], Sec. 3.3.1).

    `E = fixed + sum over edges sum_j p_j F(o_j)`, every copy of a cell with its own shapes, F from a table and p the
    probabilities of the decision (`OneShotOptimizer.choice_probabilities`), so that `dE/dalpha_i = p_i (F_i - sum_j p_j
    F_j)` summed over the copies, whichever operation was drawn. With latencies in milliseconds the loss becomes

    * `mul_log`: `alpha * loss * (ln E / ln reference)^beta`,
    * `add_linear`: `loss + weight * (E - reference) / reference`;

    the reward of a sampled network, where an optimizer uses rewards, is multiplied by `(reference / latency)^exponent`,
    also where the network is faster than the reference, as in the authors' code.

    Args:
        table: A latency table: path of a file, mapping, or object, see `naslib.hardware.read_table`.
        reference: The latency that is wanted, in ms.
        loss: `"mul_log"` or `"add_linear"`.
        alpha: Of `mul_log`; this and the next three as in the authors' search script.
        beta: Of `mul_log`.
        weight: Of `add_linear`.
        exponent: Of the reward.
        fixed: Milliseconds of all that is not under search; what the table says if None.
        input_shape: Channels, height and width of an input; what the table says if None.
        kinds: Type in the table by name of the class of an operation, where they differ.

    Attributes:
        costs: Milliseconds of the candidates of each decision, all copies together, `(n_ops,)` each (after adapting).

    Raises:
        ConfigError: For a bad value, and when adapting, if the table does not fit the network.
    """

    STATIC = True
    SCHEDULABLE = dict.fromkeys(("reference", "alpha", "beta", "weight", "exponent"), "")

    def __init__(
        self,
        table: Any = None,
        reference: float | None = None,
        loss: str = "mul_log",
        alpha: float = 0.2,
        beta: float = 0.3,
        weight: float = 0.1,
        exponent: float = 0.1,
        fixed: float | None = None,
        input_shape: Sequence[int] | None = None,
        kinds: Mapping[str, str] | None = None,
    ) -> None:
        problems = []
        if loss not in LOSSES:
            problems.append(f"loss must be one of {', '.join(LOSSES)}, not {loss!r}{did_you_mean(str(loss), LOSSES)}")
        if table is None:
            problems.append("table is missing: measure one by python -m naslib.hardware.measure --help")
        if reference is None or not 0 < reference < math.inf:
            problems.append(f"reference must be the latency that is wanted, in ms, got {reference!r}")
        elif loss == "mul_log" and not reference > 1:
            problems.append(
                f"reference must be larger than 1 ms for mul_log, got {reference}: ln 1 = 0; use add_linear"
            )
        if problems:
            raise ConfigError(problems)
        self.table = read_table(table, kinds)
        self.reference = float(reference or 0.0)
        self.loss = loss
        self.alpha = alpha
        self.beta = beta
        self.weight = weight
        self.exponent = exponent
        self.fixed = fixed if fixed is not None else self.table.fixed
        self.input_shape = input_shape if input_shape is not None else self.table.info.get("input_shape")
        if self.fixed is None:
            raise ConfigError("the table does not say what the rest of the network takes: give `fixed` in ms, or 0")
        if self.input_shape is None:
            raise ConfigError("the table does not say for which inputs it is: give `input_shape`, [channels, h, w]")
        self.costs: list[Tensor] = []
        self._placed = Placed()
        self._by_place: dict[EdgeKey, list[float]] = {}

    @property
    def scales_loss(self) -> bool:
        """Whether the loss of the data is multiplied."""
        return self.loss == "mul_log"

    def unscheduled(self, name: str) -> str:
        """Return why a keyword cannot follow a schedule; see the parent."""
        readers = {"alpha": "mul_log", "beta": "mul_log", "weight": "add_linear"}
        if name in readers and self.loss != readers[name]:
            return f"only loss: {readers[name]} reads it"
        return super().unscheduled(name)

    def needs(self) -> Mapping[Ability, str]:
        """Return what follows from its hooks, and decisions that the table knows."""
        own = {
            Ability.OPERATIONS: "a table has the latencies of operations, not of sizes",
            Ability.EDGES: "a table has the latencies of operations on edges",
            Ability.FLAT: "a table adds up all decisions, also those inside of candidates that are not chosen",
        }
        return {**super().needs(), **own}

    # what the optimizer calls

    def adapt(self, graph: Graph) -> None:
        """Look up every candidate at the shapes at which it runs.

        Raises:
            ConfigError: If the table lacks some, or belongs to another network.
        """
        scope = self.optimizer.scope
        edges = trace_candidates(graph, self.input_shape or (), scope)
        self._by_place = dict(zip((edge.place for edge in edges), self.table.costs(edges), strict=True))
        decisions = decisions_in(graph, scope)
        totals = {id(data.alpha): torch.zeros(len(data.alpha), dtype=torch.float64) for data in decisions}
        for place, data in decision_edges(graph, scope):
            if place in self._by_place:
                totals[id(data.alpha)] += torch.tensor(self._by_place[place], dtype=torch.float64)
        self.costs = list(totals.values())
        self._placed = Placed(self.costs)
        low = self._fixed + sum(float(costs.min()) for costs in self.costs)
        high = self._fixed + sum(float(costs.max()) for costs in self.costs)
        if self.loss == "mul_log" and not low > 1:
            raise ConfigError(
                f"the latency of the networks is {low:.3g} to {high:.3g} ms; the loss mul_log takes its logarithm and "
                "needs more than 1 ms: use loss add_linear"
            )
        logger.info("latency of the networks: %.3f to %.3f ms, reference %.3f ms", low, high, self.reference)

    def check_space(self, space: Graph) -> None:
        """Look up the candidates of a later stage.

        Raises:
            ConfigError: If the table lacks some, or belongs to another network.
        """
        self.table.costs(trace_candidates(space, self.input_shape or (), self.optimizer.scope))

    def restructured(self) -> None:
        """Look up the candidates that are left."""
        self.adapt(self.optimizer.graph)

    def architecture_loss(self, loss: Tensor) -> Tensor:
        """Return the loss with the expected latency.

        Both are scalars.
        """
        expected = self._expectation(self.optimizer.choice_probabilities())
        if self.loss == "mul_log":
            return self.alpha * loss * (expected.log() / math.log(self.reference)) ** self.beta
        return loss + self.weight * (expected - self.reference) / self.reference

    def reward(self, reward: float, choices: Sequence[Tensor]) -> float:
        """Return the reward, larger for fast networks.

        `choices` are one-hot rows `(n_ops,)`, one per decision.
        """
        latency = float(self._expectation([choice.float() for choice in choices]))
        return reward * (self.reference / latency) ** self.exponent

    def new_epoch(self, epoch: int) -> None:
        """Log the expected latency, and that of the most likely operations."""
        weights = self._weights()
        likely = [functional.one_hot(row.argmax(), len(row)).to(row) for row in weights]
        logger.info(
            "latency: %.3f ms expected, %.3f ms of the most likely operations, reference %.3f ms",
            float(self._expectation(weights)), float(self._expectation(likely)), self.reference,
        )  # fmt: skip

    # what a user asks

    def expected(self) -> float:
        """Return the expected latency by the optimizer's present weights, in ms."""
        return float(self._expectation(self._weights()))

    def of(self, architecture: Graph) -> float:
        """Return the latency of a discrete architecture that the optimizer gave, by the table, in ms.

        Only edges that the space kept count.
        """
        places = decision_edges(architecture, self.optimizer.scope)
        found = [self._by_place[place][int(data.op_index)] for place, data in places if place in self._by_place]
        return self._fixed + sum(found)

    @property
    def _fixed(self) -> float:
        return float(self.fixed or 0.0)

    def _weights(self) -> list[Tensor]:
        """Return the optimizer's weights as probabilities; zeros for a decision none of whose candidates is on."""
        weights = [self.optimizer.decision_weights(alpha) for alpha in self.optimizer.architectural_weights]
        return [row / row.sum().clamp_min(torch.finfo(row.dtype).tiny) for row in weights]

    def _expectation(self, probabilities: Sequence[Tensor]) -> Tensor:
        costs = self._placed.on(probabilities[0].device, probabilities[0].dtype)
        terms = [(row * cost).sum() for row, cost in zip(probabilities, costs, strict=True)]
        return torch.stack(terms).sum() + self._fixed
