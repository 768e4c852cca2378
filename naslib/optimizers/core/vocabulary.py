"""What controllers that decide one word after another have in common."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Words(nn.Module):
    """A vocabulary: scores of its words, and what each of them is as an input.

    Args:
        hidden: Units of the LSTM.
        width: Number of words.
    """

    def __init__(self, hidden: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.empty(width, hidden))
        self.scores = nn.Linear(hidden, width)


def squash(logits: Tensor, temperature: float, constant: float | None) -> Tensor:
    """Return `constant * tanh(logits / temperature)`: within +- the constant, which keeps every alternative possible.

    Args:
        logits: Of any shape.
        temperature: Divides the logits.
        constant: None leaves the tanh out.
    """
    scaled = logits / temperature
    return scaled if constant is None else constant * torch.tanh(scaled)
