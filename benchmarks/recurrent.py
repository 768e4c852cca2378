"""CPU seconds of a search step on the recurrent cell of DARTS, beside the layout of the authors' code written out.

    python -m benchmarks.recurrent --rounds 5

The reference has one matrix product per node over all states that the node reads, as the authors' code has, the same
dropout and batch norm, and plain autograd. One thread; a step updates the architecture, then the weights.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from naslib.optimizers import OPTIMIZERS
from naslib.search_spaces import DartsRNNSearchSpace
from naslib.search_spaces.core.shared_work import Passes
from naslib.search_spaces.darts_rnn.codec import recurrent_cell
from naslib.tasks import build_task

from .harness import interleave

NODES, WORDS = 8, 2000
ACTIVATIONS: tuple[Callable[[Tensor], Tensor], ...] = (torch.tanh, torch.relu, torch.sigmoid, lambda x: x)


class Reference(nn.Module):
    """The supernet with dropout of inputs (.75), states (.25) and outputs (.75), node by node.

    Args:
        hidden: Size of vectors and states.
    """

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.words = nn.Embedding(WORDS, hidden)
        self.first = nn.Parameter(torch.empty(2 * hidden, 2 * hidden).uniform_(-0.04, 0.04))
        self.matrices = nn.ParameterList(
            nn.Parameter(torch.empty(hidden, 2 * hidden).uniform_(-0.04, 0.04)) for _ in range(NODES)
        )
        self.bias = nn.Parameter(torch.zeros(WORDS))
        self.norm = nn.BatchNorm1d(hidden, affine=False)

    def forward(self, tokens: Tensor, alpha: Tensor) -> Tensor:
        """Return logits `(n, t, words)` of tokens `(n, t)`; alpha is `(36, 5)`."""
        n, weights = len(tokens), alpha.softmax(-1)
        of_inputs, of_states, of_outputs = (_mask(n, self.hidden, share) for share in (0.75, 0.25, 0.75))
        inputs = self.words(tokens) * of_inputs.unsqueeze(1)
        state, outputs = torch.zeros(n, self.hidden), []
        for step in inputs.unbind(1):
            state = self._cell(self._first(step, state, of_states), weights, of_states)
            outputs.append(state)
        return F.linear(torch.stack(outputs, 1) * of_outputs.unsqueeze(1), self.words.weight, self.bias)

    def _first(self, step: Tensor, state: Tensor, mask: Tensor) -> Tensor:
        gate, inner = (torch.cat([step, state * mask], -1) @ self.first).chunk(2, -1)
        return self.norm(state + gate.sigmoid() * (inner.tanh() - state))

    def _cell(self, first: Tensor, weights: Tensor, mask: Tensor) -> Tensor:
        states, offset = first.unsqueeze(0), 0
        for node, matrix in enumerate(self.matrices, 1):
            both = ((states * mask).reshape(-1, self.hidden) @ matrix).view(node, -1, 2 * self.hidden)
            gate, inner = both.chunk(2, -1)
            gate, total = gate.sigmoid(), torch.zeros_like(first)
            for column, activation in enumerate(ACTIVATIONS, 1):
                row = weights[offset : offset + node, column].view(-1, 1, 1)
                total = total + (row * (states + gate * (activation(inner) - states))).sum(0)
            states = torch.cat([states, self.norm(total).unsqueeze(0)])
            offset += node
        return states[1:].mean(0)


def _mask(n: int, hidden: int, share: float) -> Tensor:
    return torch.empty(n, hidden).bernoulli_(1 - share).div_(1 - share)


def batch(options: argparse.Namespace, seed: int) -> tuple[Tensor, Tensor]:
    """Return random tokens and the tokens that follow them."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(WORDS, (options.batch_size, options.bptt + 1), generator=generator)
    return tokens[:, :-1], tokens[:, 1:]


def reference_step(options: argparse.Namespace) -> Callable[[], Any]:
    """Return a first-order step of the reference."""
    network = Reference(options.hidden)
    alpha = (1e-3 * torch.randn(NODES * (NODES + 1) // 2, 5)).requires_grad_()
    of_weights = torch.optim.SGD(network.parameters(), lr=1.0)
    of_alpha = torch.optim.Adam([alpha], lr=3e-3, betas=(0.5, 0.999))
    train, valid = batch(options, 1), batch(options, 2)

    def loss(data: tuple[Tensor, Tensor]) -> Tensor:
        return F.cross_entropy(network(data[0], alpha).flatten(0, 1), data[1].flatten())

    def step() -> None:
        (alpha.grad,) = torch.autograd.grad(loss(valid), [alpha])
        of_alpha.step()
        alpha.requires_grad_(False)
        of_weights.zero_grad()
        loss(train).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 0.25)
        of_weights.step()
        alpha.requires_grad_(True)

    return step


def our_step(options: argparse.Namespace, method: str, at_once: bool = True, **keywords: Any) -> Callable[[], Any]:
    """Return a step of a method, with the cell mixed at once or operation by operation."""
    optimizer = OPTIMIZERS.get(method)(
        epochs=2, learning_rate=1.0, momentum=0.0, grad_clip=0.25, task=build_task("language_modelling"), **keywords
    )
    optimizer.adapt_search_space(DartsRNNSearchSpace(WORDS, hidden=options.hidden, dropout_embedding=0.0))
    optimizer.before_training()
    optimizer.new_epoch(0)
    optimizer.graph.train()
    if not at_once:
        recurrent_cell(optimizer.graph).set_passes(**{**asdict(Passes()), "mix": False})
    cpu = torch.device("cpu")
    data = [optimizer.task.to_device(batch(options, seed), cpu) for seed in (1, 2)]
    return lambda: optimizer.step(*data)


def main(argv: Sequence[str] | None = None) -> int:
    """Time the steps and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recurrent", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--bptt", type=int, default=20)
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    candidates = {
        "authors' layout, first order": reference_step(options),
        "darts, first order": our_step(options, "darts"),
        "darts, first order, operation by operation": our_step(options, "darts", at_once=False),
        "darts, second order": our_step(options, "darts", unrolled=True, clip_virtual_step=True),
        "gdas": our_step(options, "gdas"),
        "spos": our_step(options, "spos"),
    }
    timings = interleave(candidates, rounds=options.rounds, clock="cpu")
    first = next(iter(candidates))
    print("| step | CPU seconds, median | against the first |\n|---|---|---|")
    for name in candidates:
        print(f"| {name} | {timings.median(name):.3f} | {timings.ratio(name, first):.2f} |")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
