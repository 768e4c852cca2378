"""DARTS-PT: choose the architecture by what the supernet loses when an operation or an edge is taken out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain, islice, repeat
from typing import Any, NamedTuple

import torch
from torch import Tensor

from naslib.errors import ConfigError, OptimizerStateError, did_you_mean
from naslib.optimizers.core.metaclasses import Batch
from naslib.optimizers.oneshot.supernet.abilities import Ability
from naslib.optimizers.oneshot.supernet.mixed_edges import mixed_edges
from naslib.optimizers.oneshot.supernet.part import PARTS, Part
from naslib.optimizers.oneshot.supernet.relaxed_op import RelaxedMixedOp, watching_weights
from naslib.optimizers.oneshot.supernet.sampling import Draw
from naslib.optimizers.oneshot.supernet.stated import StatedSupernet, stated
from naslib.search_spaces.core.batch_norm import measurement_mode
from naslib.search_spaces.core.edge import EdgeData
from naslib.search_spaces.core.graph import Graph
from naslib.utils.log import get_logger
from naslib.utils.pytorch_helper import create_optimizer

from ._cells import mixtures

logger = get_logger(__name__)

CRITERIA = ("accuracy", "loss")
EDGE_RULES = ("independent", "greedy")


class Quality(NamedTuple):
    """How good a supernet is, larger is better: by the first entry, and by the second where that is equal."""

    first: float
    second: float


class CrowdedNode(NamedTuple):
    """A node of which the space keeps fewer incoming edges than there are.

    Attributes:
        where: For the log.
        edges: The decisions of its incoming edges.
        keeps: How many of them the space keeps.
    """

    where: str
    edges: list[int]
    keeps: int


@PARTS.register("perturbation_selection")
class PerturbationSelection(Part):
    """Discretize edge by edge, by the supernet's validation accuracy ([Wang2021dartspt] and code).

    After the last epoch, and again every `tune_epochs` epochs of further training, one undecided edge of each kind of
    cell is drawn at random: each of its operations is taken out in turn (its weight is set to zero, the others stay
    what they are), and the one without which the supernet is worst is what stays on the edge. Then, where the space
    keeps fewer edges of a node than enter it, nodes are drawn at random: each edge of the node is taken out in turn,
    all others being there, and the edges stay without which the supernet is worst. The supernet is evaluated with the
    batch's statistics, without anything random (no path is dropped, samples are taken at their means), and nothing is
    updated then.

    Tuning is the optimizer's own step with a new optimizer of the weights, whose learning rate falls by a cosine from a
    tenth of `learning_rate` to `learning_rate_min`. What is left of an interrupted selection is done anew.

    Args:
        tune_epochs: Epochs of training between two decisions; 5 in all of the authors' scripts.
        batches: Largest number of validation batches of an evaluation; None for all.
        criterion: `"accuracy"` (of other tasks their deciding score) or `"loss"`; equal ones are told apart by the
            other.
        learning_rate_min: Learning rate at the end of the tuning.
        edge_rule: `"independent"` as above and in the authors' code; `"greedy"` takes the edges out for good one after
            the other, each time that without which the supernet is best.

    Raises:
        ConfigError: For a value out of range; while adapting, where no architecture parameter is trained, or operations
            are drawn and not mixed.
    """

    STATIC = True

    def __init__(
        self,
        tune_epochs: int = 5,
        batches: int | None = None,
        criterion: str = "accuracy",
        learning_rate_min: float = 0.001,
        edge_rule: str = "independent",
    ) -> None:
        for key, value, known in (("criterion", criterion, CRITERIA), ("edge_rule", edge_rule, EDGE_RULES)):
            if value not in known:
                raise ConfigError(f"{key} must be one of {', '.join(known)}, not {value!r}{did_you_mean(value, known)}")
        if tune_epochs < 0 or (batches is not None and batches < 1):
            raise ConfigError(f"tune_epochs must not be negative and batches at least 1, got {tune_epochs}, {batches}")
        self.tune_epochs, self.batches = tune_epochs, batches
        self.criterion, self.learning_rate_min, self.edge_rule = criterion, learning_rate_min, edge_rule
        self._reset()

    def _reset(self) -> None:
        self._supernet: StatedSupernet
        self._indices: dict[int, int] = {}  # decision by the identity of its parameter
        self._decision_of: dict[int, int] = {}  # decision by the identity of the MixedOp
        self._chosen: dict[int, int] = {}  # operation by decision
        self._dropped: set[int] = set()  # decisions whose edges are taken out
        self._masked: tuple[int, int] | None = None  # the operation that is taken out on trial

    def needs(self) -> Mapping[Ability, str]:
        """Return a mixture, from which operations can be taken out."""
        return {Ability.MIXTURE: "", Ability.OPERATIONS: "a size that is taken out leaves its weights to the others"}

    def adapt(self, graph: Graph) -> None:
        """Refuse what cannot be: an edge without a `RelaxedMixedOp`."""
        self._reset()
        mixtures("perturbation_selection", mixed_edges(graph, self.optimizer.scope))

    def select(self, train_batches: Iterable[Batch], valid_batches: Iterable[Batch]) -> None:
        """Choose operations, then edges, and leave scores by which the space derives exactly them."""
        owner = self.optimizer
        self._begin()
        # one draw of the search's random numbers gives the order, so that it is the same when resumed
        order = torch.Generator().manual_seed(int(torch.randint(2**62, ())))
        with self._projected():
            rounds = self._rounds(order)
            total = len(rounds[0]) + len(rounds[1])
            batches = (train_batches, valid_batches)
            for number, decisions in enumerate(rounds[0]):
                for index in decisions:
                    self._choose_operation(index, valid_batches)
                logger.info("selection %d/%d: operations of %d edges", number + 1, total, len(decisions))
                self._tune(number, total, *batches)
            for number, nodes in enumerate(rounds[1], len(rounds[0])):
                for node in nodes:
                    self._choose_edges(node, valid_batches)
                logger.info("selection %d/%d: edges into %s", number + 1, total, ", ".join(n.where for n in nodes))
                self._tune(number, total, *batches)
        owner.outcome = [self._scores(index, decision.edge) for index, decision in enumerate(owner.decisions)]

    def _begin(self) -> None:
        """Look at the supernet, of which nothing is decided yet."""
        self._reset()
        self._indices = {id(data.alpha): index for index, data in enumerate(self.optimizer.decisions)}
        self._supernet = stated(self.optimizer.graph, self.optimizer.scope)

    @contextmanager
    def _projected(self) -> Iterator[None]:
        """Let all edges under search run as far as they are decided, and put the optimizer of the weights aside."""
        owner = self.optimizer
        edges = mixed_edges(owner.graph, owner.scope)
        ops = mixtures("perturbation_selection", edges)
        self._decision_of = {id(op): self._indices[id(data.alpha)] for op, data in zip(ops, edges, strict=True)}
        before = owner.op_optimizer
        group = before.param_groups[0]
        more = {key: group[key] for key in ("momentum", "nesterov") if key in group}
        owner.op_optimizer = create_optimizer(
            type(before), owner.weights, lr=owner.learning_rate / 10, weight_decay=owner.weight_decay, **more
        )
        modes = [(module, module.training) for module in owner.graph.modules()]
        owner.graph.train()
        try:
            with watching_weights(ops, self._project):
                yield
        finally:
            owner.op_optimizer = before
            for module, mode in modes:
                module.training = mode

    def _project(self, op: RelaxedMixedOp, weights: Any) -> Any:
        """Return what runs on an edge now: what was chosen, or the mixture without what is taken out."""
        index = self._decision_of[id(op)]
        if index in self._dropped:
            return Draw((self._chosen[index],), torch.zeros_like(weights), unit=False, removed=True)
        if index in self._chosen:
            return Draw((self._chosen[index],), torch.ones_like(weights))
        if self._masked is not None and self._masked[0] == index:
            mask = torch.ones_like(weights)
            mask[self._masked[1]] = 0.0
            return weights * mask
        return weights

    # what is decided when

    def _rounds(self, order: torch.Generator) -> tuple[list[list[int]], list[list[CrowdedNode]]]:
        """Return the decisions of each round, one per kind of cell, and then the nodes of each round."""
        cells = self._cells()
        nodes = self._crowded_nodes()
        of_cell = [_shuffled(cell, order) for cell in cells]
        by_cell = [[node for node in nodes if node.edges[0] in cell] for cell in cells]
        nodes_of_cell = [_shuffled(own, order) for own in by_cell]
        return _in_turn(of_cell), _in_turn(nodes_of_cell)

    def _cells(self) -> list[list[int]]:
        """Return the decisions of each kind of cell."""
        cells: dict[int, list[int]] = {}
        for index, edge in enumerate(self._supernet.edges):
            cells.setdefault(edge.site.number, []).append(index)
        return list(cells.values())

    def _crowded_nodes(self) -> list[CrowdedNode]:
        """Return the nodes of which the space keeps fewer edges than enter them, as it states."""
        entering: dict[str, list[int]] = {}
        for index, edge in enumerate(self._supernet.edges):
            if edge.inputs is not None and edge.inputs.n_chosen is not None:
                entering.setdefault(edge.inputs.name, []).append(index)
        keeps = {decision.name: decision.n_chosen or 0 for decision in self._supernet.space.decisions}
        return [CrowdedNode(name, edges, keeps[name]) for name, edges in entering.items() if keeps[name] < len(edges)]

    # decisions

    def _choose_operation(self, index: int, valid_batches: Iterable[Batch]) -> None:
        candidates = self._selectable(index)
        qualities = {}
        for operation in candidates if len(candidates) > 1 else []:
            self._masked = (index, operation)
            qualities[operation] = self._evaluate(valid_batches)
        self._masked = None
        self._chosen[index] = min(qualities, key=qualities.__getitem__) if qualities else candidates[0]

    def _selectable(self, index: int) -> list[int]:
        """Return the operations that the space ever selects on an edge: some leave `Zero` out."""
        n_ops = len(self.optimizer.decisions[index].op.primitives)
        return list(self._supernet.edges[index].site.positions or range(n_ops))

    def _choose_edges(self, node: CrowdedNode, valid_batches: Iterable[Batch]) -> None:
        left = list(node.edges)
        while len(left) > node.keeps:
            qualities = {index: self._without_edge(index, valid_batches) for index in left}
            # the edges that are missed most come first, of equals the first one
            left.sort(key=qualities.__getitem__)
            gone = left[node.keeps :] if self.edge_rule == "independent" else left[-1:]
            self._dropped.update(gone)
            left = [index for index in node.edges if index not in self._dropped]

    def _without_edge(self, index: int, valid_batches: Iterable[Batch]) -> Quality:
        """Return the quality of the supernet as it is projected now, without one more edge."""
        self._dropped.add(index)
        try:
            return self._evaluate(valid_batches)
        finally:
            self._dropped.discard(index)

    @torch.no_grad()
    def _evaluate(self, valid_batches: Iterable[Batch]) -> Quality:
        """Return the quality of the supernet as it is projected now: nothing random, with the batch's statistics."""
        owner = self.optimizer
        meter = owner.task.meter(owner.architectural_weights[0].device)
        with measurement_mode(owner.graph):
            for batch in islice(valid_batches, self.batches):
                logits, value = owner.forward_loss(batch)
                meter.update(logits, batch, value)
        measured = meter.read()
        if measured.loss is None or measured.deciding is None:
            raise OptimizerStateError("the part perturbation_selection needs validation batches, but there are none")
        score, gain = owner.task.score.quality(measured.deciding), -measured.loss
        return Quality(score, gain) if self.criterion == "accuracy" else Quality(gain, score)

    def _tune(self, number: int, total: int, train_batches: Iterable[Batch], valid_batches: Iterable[Batch]) -> None:
        """Train on for `tune_epochs`; after the last decision there is nothing to train for."""
        if number + 1 == total:
            return
        owner = self.optimizer
        valid = chain.from_iterable(repeat(valid_batches))
        for epoch in range(self.tune_epochs):
            done = (number * self.tune_epochs + epoch) / max(1, (total - 1) * self.tune_epochs)
            first, last = owner.learning_rate / 10, self.learning_rate_min
            for group in owner.op_optimizer.param_groups:
                group["lr"] = last + (first - last) * (1 + math.cos(math.pi * done)) / 2 if first > last else first
            for batch in train_batches:
                owner.step(batch, next(valid))

    def _scores(self, index: int, data: EdgeData) -> Tensor:
        scores = torch.zeros_like(data.alpha.detach())
        scores[self._chosen[index]] = 1.0 if index in self._dropped else 2.0
        return scores


def _shuffled(items: Sequence[Any], order: torch.Generator) -> list[Any]:
    return [items[index] for index in torch.randperm(len(items), generator=order).tolist()]


def _in_turn(groups: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """Return rounds that take one item of each group, as long as there are some."""
    longest = max((len(group) for group in groups), default=0)
    return [[group[number] for group in groups if number < len(group)] for number in range(longest)]
