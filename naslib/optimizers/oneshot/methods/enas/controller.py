"""The controller of ENAS: an LSTM that makes the decisions of an architecture one after another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import nn

from naslib.optimizers.core.vocabulary import Words
from naslib.optimizers.core.vocabulary import squash as squash

from .controller_space import ControllerSpace
from .walk import Pick, Rollout, Walk

# Every parameter starts uniform in +- this, as in the authors' code
INITIAL_RANGE = 0.1
Entropy = Literal["distribution", "sampled"]


class Controller(nn.Module):
    """Emit the architectures of a supernet as sequences ([Pham2018enas], and the authors' two controllers).

    *Cells* (their micro controller). In a cell whose nodes keep only some of their edges, or choose the input of an
    edge, every such node first takes its inputs, one after another, by attention over the nodes before it (edges
    without repetition, inputs of edges independently); then each kept edge takes its operation. In other cells the
    edges take their operations one after another. The input of a step is what was decided before: the embedding of an
    operation, or the state of the LSTM at the node that was taken. What is neither an operation nor an input (a
    combination, a size) has words of its own. What depends on another choice is decided after it, where it is made.

    *Layers* (their macro controller). Where the space is a chain of layers, the i-th with i skips to those before, each
    takes its operation, and then by attention every earlier layer or not: with probabilities softmax([-q, q]), q being
    the attention. The next input is the sum of the states at the layers that were taken, over one more than their
    number.

    Args:
        choices: The architectures.
        hidden: Units of the LSTM.
        temperature: Divides all logits.
        tanh_constant: Bounds the logits; None does not.
        op_tanh_reduce: Divides the bound of the operations' logits in cells that take inputs as well.
        skip_target: The rate of skips that the penalty asks for, in (0, 1).
        entropy: `"distribution"`: of all that could have been taken; `"sampled"`: -p log p of what was.
    """

    def __init__(
        self,
        choices: ControllerSpace,
        hidden: int = 64,
        temperature: float = 1.0,
        tanh_constant: float | None = 1.1,
        op_tanh_reduce: float = 2.5,
        skip_target: float = 0.4,
        entropy: Entropy = "distribution",
    ) -> None:
        super().__init__()
        self.choices = choices
        self.temperature = temperature
        self.tanh_constant = tanh_constant
        self.op_tanh_reduce = op_tanh_reduce
        self.skip_target = skip_target
        self.entropy: str = entropy
        n_ops = choices.n_operations()
        self.lstm = nn.LSTMCell(hidden, hidden, bias=False)
        self.start = nn.Parameter(torch.empty(1, hidden))
        if n_ops:
            self.embedding = nn.Parameter(torch.empty(n_ops, hidden))
            self.to_ops = nn.Linear(hidden, n_ops, bias=not choices.layers)
        if choices.layers or any(cell.chooses_inputs for cell in choices.cells):
            self.key = nn.Linear(hidden, hidden, bias=False)
            self.query = nn.Linear(hidden, hidden, bias=False)
            self.to_attention = nn.Linear(hidden, 1, bias=False)
        self.words = nn.ModuleList(Words(hidden, width) for width in choices.vocabulary_widths())
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -INITIAL_RANGE, INITIAL_RANGE)
        for module in self.modules():
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)

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
        walk = Walk(self, pick)
        walk.everything()
        return walk.rollout()
