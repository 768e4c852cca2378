"""MetaController: reads a network layer by layer, and decides how it grows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from naslib.search_spaces.core.decisions import Code
from naslib.search_spaces.core.growing import GrowingChain


class Wider(NamedTuple):
    """Which words of an architecture become wider: one entry per word, False where it cannot."""

    chosen: tuple[bool, ...]


class Deeper(NamedTuple):
    """Where a layer is added: in which block, behind which layer of it, with which kernel (index; 0 without one)."""

    block: int
    layer: int
    kernel: int


Step = Wider | Deeper


class Followed(NamedTuple):
    """Steps under the controller.

    Attributes:
        log_probs: `(n,)`, of all decisions of each step.
        entropies: `(n,)`, of each step the mean over its decisions of the entropies of their distributions.
    """

    log_probs: Tensor
    entropies: Tensor


class MetaController(nn.Module):
    """The controller of EAS ([Cai2018eas], sections 3.1 to 3.3; sizes as in the authors' code).

    *Encoder*: an embedding of each word, and a bidirectional LSTM over the words of the network as it is. *Wider
    actor*: one linear layer and a sigmoid, the same for all layers, on the encoder's output at a layer: whether it
    becomes wider. *Deeper actor*: an LSTM as large as both directions together that begins with the encoder's last
    states and decides one after the other the block (softmax), the layer in it behind which the new one comes, and the
    kernel, each on an embedding of the decision before. Decisions that are not possible (a layer that is not there, a
    block that is full) have no probability.

    Weights begin uniform after Glorot, biases at 0, those of forget gates at 1; embeddings uniform in +-sqrt(3).

    Args:
        growing: How networks grow.
        rng: Of the weights to begin with.
        hidden: Units of each direction of the encoder.
        embedding: Size of embeddings.

    Attributes:
        growing: How networks grow.
    """

    def __init__(self, growing: GrowingChain, rng: Random, hidden: int = 50, embedding: int = 16) -> None:
        super().__init__()
        self.growing = growing
        self._index = {token: index for index, token in enumerate(growing.tokens)}
        self.words = nn.Embedding(len(growing.tokens), embedding)
        self.encoder = nn.LSTM(embedding, hidden, bidirectional=True)
        self.wider_actor = nn.Linear(2 * hidden, 1)
        widths = (growing.blocks, growing.longest, len(growing.kernels))
        self.inputs = nn.ModuleList(nn.Embedding(width, embedding) for width in (1, *widths[:-1]))
        self.decoder = nn.LSTMCell(embedding, 2 * hidden)
        self.heads = nn.ModuleList(nn.Linear(2 * hidden, width) for width in widths)
        self._begin(torch.Generator().manual_seed(rng.getrandbits(62)))

    @torch.no_grad()
    def _begin(self, generator: torch.Generator) -> None:
        tables = {id(module.weight) for module in self.modules() if isinstance(module, nn.Embedding)}
        for name, parameter in self.named_parameters():
            if id(parameter) in tables:
                parameter.uniform_(-math.sqrt(3), math.sqrt(3), generator=generator)
            elif parameter.dim() == 2:
                # the four gates of an LSTM are four matrices
                gates = 4 if "_ih" in name or "_hh" in name else 1
                bound = math.sqrt(6 / (parameter.shape[0] // gates + parameter.shape[1]))
                parameter.uniform_(-bound, bound, generator=generator)
            else:
                parameter.zero_()
                if "bias_ih" in name:
                    size = parameter.shape[0] // 4
                    parameter[size : 2 * size] = 1.0

    def encode(self, codes: Sequence[Code]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return the encoder's outputs, `(n, n_words, 2 hidden)`, and its last states h and c, `(n, 2 hidden)`.

        Outputs behind the words of an architecture are zeros.

        Args:
            codes: n architectures; equal ones are read once.
        """
        place = {code: index for index, code in enumerate(dict.fromkeys(codes))}
        rows = [[self._index[word] for word in self.growing.words(code)] for code in place]
        lengths, device = [len(row) for row in rows], self.wider_actor.weight.device
        padded = torch.tensor([row + [0] * (max(lengths) - len(row)) for row in rows], device=device)
        packed = pack_padded_sequence(self.words(padded), torch.tensor(lengths), True, enforce_sorted=False)
        found, (h, c) = self.encoder(packed)
        outputs, _ = pad_packed_sequence(found, batch_first=True)
        at = torch.tensor([place[code] for code in codes], device=device)
        # (2, n, hidden), a direction each
        return outputs[at], (h.transpose(0, 1).flatten(1)[at], c.transpose(0, 1).flatten(1)[at])

    # the wider actor

    def wider_logits(self, codes: Sequence[Code]) -> Tensor:
        """Return the logit of becoming wider of each word, `(n, n_words)`."""
        logits: Tensor = self.wider_actor(self.encode(codes)[0])
        return logits.squeeze(-1)

    @torch.no_grad()
    def sample_wider(self, codes: Sequence[Code], rng: Random) -> list[Wider]:
        """Draw which layers of n architectures become wider."""
        found = []
        for code, chances in zip(codes, self.wider_logits(codes).sigmoid().tolist(), strict=True):
            able = self.growing.widenable(code)
            found.append(Wider(tuple(can and rng.random() < p for can, p in zip(able, chances, strict=False))))
        return found

    def follow_wider(self, codes: Sequence[Code], steps: Sequence[Wider]) -> Followed:
        """Return steps of the wider actor under the controller, with gradients."""
        logits = self.wider_logits(codes)
        able, signs = torch.zeros_like(logits), torch.ones_like(logits)
        for row, (code, step) in enumerate(zip(codes, steps, strict=True)):
            for place, (can, chosen) in enumerate(zip(self.growing.widenable(code), step.chosen, strict=True)):
                able[row, place], signs[row, place] = float(can), 1.0 if chosen else -1.0
        entropies = F.softplus(logits) - logits * logits.sigmoid()
        mean = (able * entropies).sum(1) / able.sum(1).clamp(min=1)
        return Followed((able * F.logsigmoid(signs * logits)).sum(1), mean)

    # the deeper actor

    @torch.no_grad()
    def sample_deeper(self, codes: Sequence[Code], rng: Random) -> list[Deeper | None]:
        """Draw where a layer is added to n architectures; None where all blocks are full."""
        free = [index for index, code in enumerate(codes) if any(self.growing.deepenable(code))]
        found: list[Deeper | None] = [None] * len(codes)
        if not free:
            return found
        decoding = _Decoding(self, [codes[index] for index in free])
        blocks = [_drawn(row, rng) for row in decoding.blocks().exp().tolist()]
        layers = [_drawn(row, rng) for row in decoding.layers(blocks).exp().tolist()]
        chances = decoding.kernels(layers).exp().tolist()
        for index, block, layer, row in zip(free, blocks, layers, chances, strict=True):
            found[index] = Deeper(block, layer, _drawn(row, rng) if self.growing.has_kernels(block) else 0)
        return found

    def follow_deeper(self, codes: Sequence[Code], steps: Sequence[Deeper]) -> Followed:
        """Return steps of the deeper actor under the controller, with gradients."""
        decoding = _Decoding(self, codes)
        blocks, layers = [step.block for step in steps], [step.layer for step in steps]
        distributions = [decoding.blocks(), decoding.layers(blocks), decoding.kernels(layers)]
        decided = [blocks, layers, [step.kernel for step in steps]]
        # linear layers have no kernel
        counts = torch.ones(3, len(steps)).to(distributions[0])
        counts[2] = torch.tensor([float(self.growing.has_kernels(block)) for block in blocks])
        log_probs = torch.stack(
            [
                row.gather(1, torch.tensor(indices, device=row.device)[:, None]).squeeze(1)
                for row, indices in zip(distributions, decided, strict=True)
            ]
        )
        entropies = torch.stack([_entropies(row) for row in distributions])
        return Followed((counts * log_probs).sum(0), (counts * entropies).sum(0) / counts.sum(0))

    # both

    def follow(self, codes: Sequence[Code], steps: Sequence[Step]) -> Followed:
        """Return n steps, each from an architecture, under the controller, with gradients."""
        wide = [(index, step) for index, step in enumerate(steps) if isinstance(step, Wider)]
        deep = [(index, step) for index, step in enumerate(steps) if isinstance(step, Deeper)]
        parts = []
        if wide:
            parts.append(self.follow_wider([codes[index] for index, _ in wide], [step for _, step in wide]))
        if deep:
            parts.append(self.follow_deeper([codes[index] for index, _ in deep], [step for _, step in deep]))
        order = torch.tensor([index for index, _ in (*wide, *deep)]).argsort()
        log_probs, entropies = (torch.cat(found) for found in zip(*parts, strict=True))
        return Followed(log_probs[order], entropies[order])

    def grown(self, code: Code, step: Step) -> Code:
        """Return the architecture after a step."""
        if isinstance(step, Wider):
            return self.growing.wider(code, step.chosen)
        return self.growing.deeper(code, step.block, step.layer, step.kernel)


class _Decoding:
    """The deeper actor, decision by decision, on n architectures."""

    def __init__(self, controller: MetaController, codes: Sequence[Code]) -> None:
        self._controller, self._codes = controller, codes
        self._state = controller.encode(codes)[1]

    def _log_probs(self, place: int, before: Sequence[int], able: Sequence[Sequence[bool]] | None) -> Tensor:
        """Return the log-probabilities of a decision, `(n, width)`; -inf where it is not possible."""
        controller, device = self._controller, self._state[0].device
        x = controller.inputs[place](torch.tensor(before, device=device))
        self._state = controller.decoder(x, self._state)
        logits: Tensor = controller.heads[place](self._state[0])
        if able is not None:
            logits = logits.masked_fill(~torch.tensor(able, device=device), float("-inf"))
        return F.log_softmax(logits, dim=-1)

    def blocks(self) -> Tensor:
        growing = self._controller.growing
        return self._log_probs(0, [0] * len(self._codes), [growing.deepenable(code) for code in self._codes])

    def layers(self, blocks: Sequence[int]) -> Tensor:
        growing = self._controller.growing
        counts = [growing.layers(code)[block] for code, block in zip(self._codes, blocks, strict=True)]
        return self._log_probs(1, blocks, [[place < n for place in range(growing.longest)] for n in counts])

    def kernels(self, layers: Sequence[int]) -> Tensor:
        return self._log_probs(2, layers, None)


def _entropies(log_probs: Tensor) -> Tensor:
    """Return the entropy of each row."""
    return -(log_probs.exp() * log_probs.masked_fill(log_probs == float("-inf"), 0.0)).sum(-1)


def _drawn(chances: Sequence[float], rng: Random) -> int:
    """Return an index drawn with these probabilities."""
    left = rng.random() * sum(chances)
    for index, chance in enumerate(chances):
        left -= chance
        if left < 0:
            return index
    return max(range(len(chances)), key=chances.__getitem__)  # what rounding left over
