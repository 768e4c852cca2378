"""Texts and language models: how well a text is foreseen, and which words come next."""

from __future__ import annotations

import lzma
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from naslib.errors import DataError
from naslib.tasks import LanguageModelling
from naslib.utils.passage import Memory, Passage

_END, _UNKNOWN = "<eos>", "<unk>"


def words_of(path: Path) -> list[str]:
    """Return the words of a text file, plain or `.xz`, as WikiText-2 has them: `<eos>` at the end of each line.

    A last line that no newline ends has none, so that what comes next goes on with it.

    Raises:
        DataError: If it cannot be read.
    """
    try:
        data = path.read_bytes()
        text = (lzma.decompress(data) if path.suffix == ".xz" else data).decode("utf-8")
    except FileNotFoundError as error:
        raise DataError("there is no such file") from error
    except (OSError, EOFError, lzma.LZMAError, UnicodeDecodeError) as error:
        raise DataError(f"it cannot be read as text: {error}") from error
    *lines, last = text.split("\n")
    return [word for line in lines for word in (*line.split(), _END)] + last.split()


class TextReader:
    """What a language model says of texts.

    Args:
        network: `(n, t)` tokens to `(n, t, words)` logits.
        task: The task.
        words: The vocabulary, in the order of its tokens.
        window: Words that the network sees at a time.
        goes_on: Whether it remembers, from one window to the next, as a recurrent network does.
        batch_size: Windows at a time, of a network that does not.
        top: How many of the words that may come next are named.
    """

    def __init__(
        self,
        network: nn.Module,
        task: LanguageModelling,
        words: Sequence[str],
        window: int,
        goes_on: bool = False,
        batch_size: int = 64,
        top: int = 1,
    ) -> None:
        self.network, self.task, self.words = network, task, list(words)
        self.window, self.goes_on, self.batch_size, self.top = window, goes_on, batch_size, top
        self._numbers = {word: number for number, word in enumerate(self.words)}
        self._device = next(network.parameters()).device

    @torch.no_grad()
    def read(self, words: Sequence[str]) -> dict[str, Any]:
        """Return what the network says of a text.

        Every word but the first is foreseen, from those before it in its window (or in the whole text).

        Args:
            words: The text.

        Returns:
            `words`, `unknown` (how many are in no vocabulary), `loss` (mean negative log-likelihood per foreseen word)
            and `perplexity`, both None where there is a single word, and `next`: the likeliest next words.

        Raises:
            DataError: If there is no word, or an unknown one and no `<unk>` for it.
        """
        tokens, unknown = self._encode(words)
        loss, outputs = self._foreseen(tokens)
        if not self.goes_on:  # the last window may hold a word or two; what comes next is told from all that fit in
            outputs = self._outputs((tokens[None, -self.window :], None))
        return {
            "words": len(words),
            "unknown": unknown,
            "loss": loss,
            "perplexity": None if loss is None else _exponential(loss),
            "next": self._next(outputs[0, -1]),
        }

    def _encode(self, words: Sequence[str]) -> tuple[Tensor, int]:
        if not words:
            raise DataError("it holds no words")
        missing = [word for word in words if word not in self._numbers]
        if missing and _UNKNOWN not in self._numbers:
            raise DataError(f"the word {missing[0]!r} is not in the vocabulary of the network, which has no {_UNKNOWN}")
        numbers = [self._numbers.get(word, self._numbers.get(_UNKNOWN, 0)) for word in words]
        return torch.tensor(numbers, dtype=torch.int64, device=self._device), len(missing)

    def _foreseen(self, tokens: Tensor) -> tuple[float | None, Tensor]:
        """Return the mean loss over all words but the first, and the outputs of the last batch."""
        inputs, targets = tokens[:-1], tokens[1:]
        total, memory, outputs = 0.0, None, torch.empty(0)
        rows = 1 if self.goes_on else self.batch_size
        whole = len(targets) // self.window
        for start in range(0, whole, rows):
            place = slice(start * self.window, min(start + rows, whole) * self.window)
            pair = (inputs[place].view(-1, self.window), targets[place].view(-1, self.window))
            outputs, memory = self._step(pair, memory)
            total += _summed(outputs, pair[1])
        if len(targets) > whole * self.window:
            pair = (inputs[whole * self.window :][None], targets[whole * self.window :][None])
            outputs, memory = self._step(pair, memory)
            total += _summed(outputs, pair[1])
        if self.goes_on:  # the last word, which was only foreseen so far
            outputs, _ = self._step((tokens[None, -1:], tokens[None, -1:]), memory)
        return (total / len(targets) if len(targets) else None), outputs

    def _step(self, pair: tuple[Tensor, Tensor], memory: Memory | None) -> tuple[Tensor, Memory | None]:
        if not self.goes_on:
            return self._outputs(pair), None
        passage = Passage(pair, goes_on=True)
        memory = self.task.remember(passage, memory)
        return self._outputs(passage), memory

    def _outputs(self, batch: Any) -> Tensor:
        outputs: Tensor = self.task.forward(self.network, batch)
        return outputs

    def _next(self, logits: Tensor) -> list[dict[str, Any]]:
        best = torch.softmax(logits.double(), dim=0).topk(min(self.top, len(logits)))
        pairs = zip(best.values.tolist(), best.indices.tolist(), strict=True)
        return [{"word": self.words[number], "probability": share} for share, number in pairs]


def _summed(outputs: Tensor, targets: Tensor) -> float:
    return float(F.cross_entropy(outputs.flatten(0, -2).float(), targets.flatten(), reduction="sum"))


def _exponential(loss: float) -> float:
    try:
        return math.exp(loss)
    except OverflowError:
        return math.inf
