"""One pass of a controller through the decisions of an architecture."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from naslib.optimizers.core.vocabulary import squash
from naslib.search_spaces.core.codec import NO_EDGE

from .controller_space import Cell, ControllerSpace, Layer, Node, Single

# `(n,)` log-probabilities of the alternatives -> the position of the one that is taken
Pick = Callable[[Tensor], int]


class Rollout(NamedTuple):
    """An architecture and how likely it was.

    Attributes:
        code: One entry per decision: the candidate, or `NO_EDGE`.
        tokens: What was decided, in order: positions among the alternatives.
        log_prob: Scalar, sum of the log-probabilities of the tokens; it has the controller's gradient.
        entropy: Scalar, without a gradient: the sum of the entropies of the distributions that the tokens were drawn
            from, or of -p log p of the tokens alone.
        penalty: Scalar, with the controller's gradient: how far the rate of skips is from its target; None where there
            are no layers.
    """

    code: tuple[int, ...]
    tokens: tuple[int, ...]
    log_prob: Tensor
    entropy: Tensor
    penalty: Tensor | None = None


class Weights(Protocol):
    """What a walk reads of a controller."""

    choices: ControllerSpace
    temperature: float
    tanh_constant: float | None
    op_tanh_reduce: float
    skip_target: float
    entropy: str
    lstm: nn.LSTMCell
    start: nn.Parameter
    embedding: nn.Parameter
    to_ops: nn.Linear
    key: nn.Linear
    query: nn.Linear
    to_attention: nn.Linear
    words: nn.ModuleList


def skip_penalty(logits: Tensor, target: float) -> Tensor:
    """Return how far probabilities of skips are from their target, as the authors compute it.

    `KL(sigmoid(l) || (1 - target, target))`, summed over the skips of one layer.

    Args:
        logits: `(n_skips, 2)`, of no skip and of a skip, squashed.
        target: In (0, 1).
    """
    p = torch.sigmoid(logits)
    return (p * (p / p.new_tensor([1.0 - target, target])).log()).sum()


class Walk:
    """One pass through the decisions: the state of the LSTM, and what has been decided.

    Args:
        controller: Whose weights are read.
        pick: Makes each decision.
    """

    def __init__(self, controller: Weights, pick: Pick) -> None:
        self.controller = controller
        self.pick = pick
        self.state: tuple[Tensor, Tensor] | None = None
        self.x: Tensor = controller.start
        self.code = [NO_EDGE] * len(controller.choices.widths)
        self.tokens: list[int] = []
        self.log_probs: list[Tensor] = []
        self.entropies: list[Tensor] = []
        self.penalties: list[Tensor] = []

    def rollout(self) -> Rollout:
        """Return what was decided."""
        log_prob, entropy = torch.stack(self.log_probs).sum(), torch.stack(self.entropies).sum()
        penalty = torch.stack(self.penalties).mean() if self.penalties else None
        return Rollout(tuple(self.code), tuple(self.tokens), log_prob, entropy, penalty)

    def everything(self) -> None:
        """Decide all that is to be decided."""
        choices = self.controller.choices
        if choices.layers:
            self.layers(choices.layers)
            return
        for unit in choices.order or choices.cells:
            if unit.condition is not None and not unit.condition.holds(self.code):
                continue
            if isinstance(unit, Single):
                self._word(unit.decision, self.controller.tanh_constant)
            elif unit.chooses_inputs:
                self.cell_with_inputs(unit)
            else:
                self.cell_of_operations(unit)

    def cell_of_operations(self, cell: Cell) -> None:
        """Decide the operations of all edges, and the combinations at nodes."""
        self.x = self.controller.start
        for node in cell.nodes:
            for decision in node.decisions:
                self._operation(decision, self.controller.tanh_constant)
            if node.option is not None:
                self._word(node.option, self.controller.tanh_constant)

    def cell_with_inputs(self, cell: Cell) -> None:
        """Decide the inputs and operations of all nodes; the state at a node is what later nodes attend to."""
        controller = self.controller
        constant = controller.tanh_constant
        reduced = None if constant is None else constant / controller.op_tanh_reduce
        self.x = controller.start
        anchors: dict[int, Tensor] = {}
        keys: dict[int, Tensor] = {}
        for source in cell.inputs:
            hidden = self._advance()
            anchors[source], keys[source] = torch.zeros_like(hidden), controller.key(hidden)
        for node in cell.nodes:
            for pick in node.picks:
                self.code[pick.decision] = self._taken(pick.decision, pick.sources, anchors, keys)
            for decision in self._inputs(node, anchors, keys):
                self._operation(decision, reduced)
            if node.option is not None:
                self._word(node.option, reduced)
            anchors[node.index] = self._advance()
            keys[node.index] = controller.key(anchors[node.index])
            self.x = controller.start

    def layers(self, layers: tuple[Layer, ...]) -> None:
        """Decide layers as the authors' macro controller does: an operation, then which earlier layers are added."""
        controller = self.controller
        self.x = controller.start
        anchors: list[Tensor] = []
        keys: list[Tensor] = []
        for layer in layers:
            self._operation(layer.operation, controller.tanh_constant)
            hidden = self._advance()
            self.x = controller.start
            if layer.skips:
                attention = controller.to_attention(torch.tanh(torch.cat(keys) + controller.query(hidden)))
                both = torch.cat([-attention, attention], dim=1)
                logits = squash(both, controller.temperature, controller.tanh_constant)
                self.penalties.append(skip_penalty(logits, controller.skip_target))
                for decision, row in zip(layer.skips, logits, strict=True):
                    self.code[decision] = self._choose(row)
                skips = hidden.new_tensor([[float(self.code[decision]) for decision in layer.skips]])
                self.x = skips @ torch.cat(anchors) / (1.0 + skips.sum())
            anchors.append(hidden)
            keys.append(controller.key(hidden))

    def _attend(self, sources: list[int], keys: dict[int, Tensor]) -> Tensor:
        """Return the squashed logits of nodes before this one, `(n,)`."""
        controller = self.controller
        query = controller.query(self._advance())
        attention = torch.tanh(torch.cat([keys[source] for source in sources]) + query)
        logits = controller.to_attention(attention).flatten()
        return squash(logits, controller.temperature, controller.tanh_constant)

    def _taken(
        self, decision: int, sources: tuple[int, ...], anchors: dict[int, Tensor], keys: dict[int, Tensor]
    ) -> int:
        """Take one of the nodes before this one; return which candidate of the decision that is."""
        token = self._choose(self._attend(list(sources), keys))
        self.x = anchors[sources[token]]
        return self.controller.choices.allowed[decision][token]

    def _inputs(self, node: Node, anchors: dict[int, Tensor], keys: dict[int, Tensor]) -> list[int]:
        """Return the decisions of the edges that are kept, in the order in which they were taken."""
        if not node.chooses_inputs:
            return list(node.decisions)
        left = list(zip(node.sources, node.decisions, strict=True))
        if node.n_kept is None:
            return self._subset(left, anchors, keys)
        taken = []
        for _ in range(node.n_kept):
            source, decision = left.pop(self._choose(self._attend([source for source, _ in left], keys)))
            self.x = anchors[source]
            taken.append(decision)
        return taken

    def _subset(self, edges: list[tuple[int, int]], anchors: dict[int, Tensor], keys: dict[int, Tensor]) -> list[int]:
        """Take any of the edges, each by itself, as skips are taken; the next input is the mean of their sources."""
        logits = self._attend([source for source, _ in edges], keys)
        taken = [edge for edge, q in zip(edges, logits, strict=True) if self._choose(torch.stack([-q, q]))]
        if taken:
            self.x = torch.cat([anchors[source] for source, _ in taken]).mean(0, keepdim=True)
        return [decision for _, decision in taken]

    def _operation(self, decision: int, constant: float | None) -> None:
        controller = self.controller
        allowed = list(controller.choices.allowed[decision])
        logits = controller.to_ops(self._advance()).flatten()[allowed]
        op = allowed[self._choose(squash(logits, controller.temperature, constant))]
        self.code[decision] = op
        self.x = controller.embedding[op : op + 1]

    def _word(self, decision: int, constant: float | None) -> None:
        """Decide what is no operation: a combination, or a size."""
        controller = self.controller
        words = controller.words[controller.choices.vocabulary(decision) or 0]
        allowed = list(controller.choices.allowed[decision])
        logits = words.scores(self._advance()).flatten()[allowed]  # type: ignore[operator]
        word = allowed[self._choose(squash(logits, controller.temperature, constant))]
        self.code[decision] = word
        self.x = words.embedding[word : word + 1]  # type: ignore[index]

    def _advance(self) -> Tensor:
        self.state = self.controller.lstm(self.x, self.state)
        return self.state[0]

    def _choose(self, logits: Tensor) -> int:
        log_probs = F.log_softmax(logits, dim=-1)
        detached = log_probs.detach()
        token = self.pick(detached)
        self.tokens.append(token)
        self.log_probs.append(log_probs[token])
        of = detached if self.controller.entropy == "distribution" else detached[token]
        self.entropies.append(-(of.exp() * of).sum())
        return token
