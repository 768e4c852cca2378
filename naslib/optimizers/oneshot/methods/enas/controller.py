"""The controller of ENAS: an LSTM that makes the decisions of an architecture one after another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from naslib.search_spaces.core.codec import NO_EDGE

from .controller_space import Cell, ControllerSpace, Node

# Every parameter starts uniform in +- this, as in the authors' code
INITIAL_RANGE = 0.1
# `(n,)` log-probabilities of the alternatives -> the position of the one that is taken
Pick = Callable[[Tensor], int]


class Rollout(NamedTuple):
    """An architecture and how likely it was.

    Attributes:
        code: One entry per decision: the operation, or `NO_EDGE`.
        tokens: What was decided, in order: positions among the alternatives.
        log_prob: Scalar, sum of the log-probabilities of the tokens; it has the controller's gradient.
        entropy: Scalar, sum of the entropies of the distributions that the tokens were drawn from; without a gradient.
    """

    code: tuple[int, ...]
    tokens: tuple[int, ...]
    log_prob: Tensor
    entropy: Tensor


def squash(logits: Tensor, temperature: float, constant: float | None) -> Tensor:
    """Return `constant * tanh(logits / temperature)`: within +- the constant, which keeps every alternative possible.

    Args:
        logits: Of any shape.
        temperature: Divides the logits.
        constant: None leaves the tanh out.
    """
    scaled = logits / temperature
    return scaled if constant is None else constant * torch.tanh(scaled)


class Controller(nn.Module):
    """Emit the architectures of a supernet as sequences ([Pham2018enas], and the authors' micro controller).

    In a cell whose nodes keep only some of their edges, every such node first takes its inputs, one after another and
    without repetition, by attention over the nodes before it; then each kept edge takes its operation. In other cells
    the edges take their operations one after another. The input of a step is what was decided before: the embedding of
    an operation, or the state of the LSTM at the node that was taken.

    Args:
        choices: The architectures.
        hidden: Units of the LSTM.
        temperature: Divides all logits.
        tanh_constant: Bounds the logits; None does not.
        op_tanh_reduce: Divides the bound of the operations' logits where inputs are taken as well.
    """

    def __init__(
        self,
        choices: ControllerSpace,
        hidden: int = 64,
        temperature: float = 1.0,
        tanh_constant: float | None = 1.1,
        op_tanh_reduce: float = 2.5,
    ) -> None:
        super().__init__()
        self.choices = choices
        self.temperature = temperature
        self.tanh_constant = tanh_constant
        self.op_tanh_reduce = op_tanh_reduce
        n_ops = max(choices.widths)
        self.lstm = nn.LSTMCell(hidden, hidden, bias=False)
        self.start = nn.Parameter(torch.empty(1, hidden))
        self.embedding = nn.Parameter(torch.empty(n_ops, hidden))
        self.to_ops = nn.Linear(hidden, n_ops)
        if any(cell.chooses_inputs for cell in choices.cells):
            self.key = nn.Linear(hidden, hidden, bias=False)
            self.query = nn.Linear(hidden, hidden, bias=False)
            self.to_attention = nn.Linear(hidden, 1, bias=False)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -INITIAL_RANGE, INITIAL_RANGE)
        nn.init.zeros_(self.to_ops.bias)

    def sample(self, generator: torch.Generator | None = None) -> Rollout:
        """Draw an architecture.

        Args:
            generator: Source of randomness; torch's global one if None.
        """
        return self.decode(lambda log_probs: int(torch.multinomial(log_probs.exp(), 1, generator=generator)))

    def greedy(self) -> Rollout:
        """Return the architecture whose every decision is the most likely one after those before it."""
        return self.decode(lambda log_probs: int(log_probs.argmax()))

    def follow(self, tokens: Sequence[int]) -> Rollout:
        """Return the rollout that decides as told."""
        remaining = iter(tokens)
        return self.decode(lambda log_probs: next(remaining))

    def decode(self, pick: Pick) -> Rollout:
        """Make all decisions.

        Args:
            pick: Makes each of them.
        """
        walk = _Walk(self, pick)
        for cell in self.choices.cells:
            if cell.chooses_inputs:
                walk.cell_with_inputs(cell)
            else:
                walk.cell_of_operations(cell)
        return walk.rollout()


class _Walk:
    """One pass through the decisions: the state of the LSTM, and what has been decided."""

    def __init__(self, controller: Controller, pick: Pick) -> None:
        self.controller = controller
        self.pick = pick
        self.state: tuple[Tensor, Tensor] | None = None
        self.x: Tensor = controller.start
        self.code = [NO_EDGE] * len(controller.choices.widths)
        self.tokens: list[int] = []
        self.log_probs: list[Tensor] = []
        self.entropies: list[Tensor] = []

    def rollout(self) -> Rollout:
        """Return what was decided."""
        log_prob, entropy = torch.stack(self.log_probs).sum(), torch.stack(self.entropies).sum()
        return Rollout(tuple(self.code), tuple(self.tokens), log_prob, entropy)

    def cell_of_operations(self, cell: Cell) -> None:
        """Decide the operations of all edges."""
        self.x = self.controller.start
        for node in cell.nodes:
            for decision in node.decisions:
                self._operation(decision, self.controller.tanh_constant)

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
            for decision in self._inputs(node, anchors, keys):
                self._operation(decision, reduced)
            anchors[node.index] = self._advance()
            keys[node.index] = controller.key(anchors[node.index])
            self.x = controller.start

    def _inputs(self, node: Node, anchors: dict[int, Tensor], keys: dict[int, Tensor]) -> list[int]:
        """Return the decisions of the edges that are kept, in the order in which they were taken."""
        if not node.chooses_inputs:
            return list(node.decisions)
        controller = self.controller
        left = list(zip(node.sources, node.decisions, strict=True))
        taken = []
        for _ in range(node.n_kept):
            query = controller.query(self._advance())
            attention = torch.tanh(torch.cat([keys[source] for source, _ in left]) + query)
            logits = squash(
                controller.to_attention(attention).flatten(), controller.temperature, controller.tanh_constant
            )
            source, decision = left.pop(self._choose(logits))
            self.x = anchors[source]
            taken.append(decision)
        return taken

    def _operation(self, decision: int, constant: float | None) -> None:
        controller = self.controller
        allowed = list(controller.choices.allowed[decision])
        logits = controller.to_ops(self._advance()).flatten()[allowed]
        op = allowed[self._choose(squash(logits, controller.temperature, constant))]
        self.code[decision] = op
        self.x = controller.embedding[op : op + 1]

    def _advance(self) -> Tensor:
        self.state = self.controller.lstm(self.x, self.state)
        return self.state[0]

    def _choose(self, logits: Tensor) -> int:
        log_probs = F.log_softmax(logits, dim=-1)
        detached = log_probs.detach()
        token = self.pick(detached)
        self.tokens.append(token)
        self.log_probs.append(log_probs[token])
        self.entropies.append(-(detached.exp() * detached).sum())
        return token
