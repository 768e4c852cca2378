"""RelaxedEnsemble: small networks that predict score and costs of one-hot architectures, and pass gradients."""

from __future__ import annotations

import itertools
import math

import numpy as np
import torch
from torch import Tensor


class RelaxedEnsemble:
    """Networks of two hidden layers, fitted at once, each to its own draw of the labels' weights.

    Targets are standardised; the first, the score, after its ranks were replaced by quantiles of a normal distribution,
    so that networks that hardly learned do not decide the scale. The members differ in their first weights and in how
    much each label counts (weights of an exponential distribution, the Bayesian bootstrap).

    Args:
        members: Number of networks.
        hidden: Units of each hidden layer.
        steps: Of Adam, on all labels.
        learning_rate: At the beginning; it follows half a cosine to 0.
        weight_decay: Of AdamW.
        generator: Where first weights and the labels' weights are drawn from.
    """

    def __init__(
        self,
        members: int,
        *,
        hidden: int = 96,
        steps: int = 200,
        learning_rate: float = 0.01,
        weight_decay: float = 0.05,
        generator: torch.Generator | None = None,
    ) -> None:
        self.members, self.hidden, self.steps = members, hidden, steps
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        self.generator = generator
        self._weights: list[Tensor] = []

    def fit(self, vectors: np.ndarray, merits: np.ndarray) -> None:
        """Fit all members.

        Args:
            vectors: `(n, width)` one-hot architectures.
            merits: `(n, m)`, larger is better; the score, and the negative costs.
        """
        self._knots = [_quantiles(merits[:, 0])] + [_line(column) for column in merits.T[1:]]
        targets = np.stack([np.interp(c, k[0], k[1]) for c, k in zip(merits.T, self._knots, strict=True)], 1)
        x = torch.as_tensor(vectors, dtype=torch.float32)
        y = torch.as_tensor(targets, dtype=torch.float32)
        sizes = [x.shape[1], self.hidden, self.hidden, y.shape[1]]
        self._weights = []
        for low, high in itertools.pairwise(sizes):
            shape = (self.members, low, high)
            drawn = torch.randn(shape, generator=self.generator) * math.sqrt(2.0 / low)
            self._weights += [drawn.requires_grad_(), torch.zeros(self.members, 1, high, requires_grad=True)]
        uniform = torch.rand((self.members, len(x)), generator=self.generator)
        counts = -torch.log1p(-uniform.clamp(max=1 - 1e-6))
        counts = (counts / counts.mean(1, keepdim=True))[..., None]
        adam = torch.optim.AdamW(self._weights, self.learning_rate, weight_decay=self.weight_decay)
        for step in range(self.steps):
            for group in adam.param_groups:
                group["lr"] = self.learning_rate * 0.5 * (1 + math.cos(math.pi * step / self.steps))
            loss = (counts * (self(x) - y) ** 2).mean((1, 2)).sum()
            adam.zero_grad(set_to_none=True)
            loss.backward()
            adam.step()
        for weight in self._weights:
            weight.requires_grad_(False)

    def __call__(self, vectors: Tensor) -> Tensor:
        """Return standardised merits of vectors `(..., width)`, `(members, ..., m)`."""
        shape = vectors.shape[:-1]
        h = vectors.reshape(1, -1, vectors.shape[-1]).expand(self.members, -1, -1)
        layers = list(zip(self._weights[::2], self._weights[1::2], strict=True))
        for weight, bias in layers[:-1]:
            h = torch.nn.functional.silu(torch.baddbmm(bias, h, weight))
        h = torch.baddbmm(layers[-1][1], h, layers[-1][0])
        return h.reshape(self.members, *shape, -1)

    @torch.no_grad()
    def merits(self, vectors: np.ndarray) -> np.ndarray:
        """Return predicted merits in their own units, `(members, n, m)`."""
        found = self(torch.as_tensor(vectors, dtype=torch.float32)).double().numpy()
        columns = [_inverse(found[..., i], knots) for i, knots in enumerate(self._knots)]
        return np.stack(columns, -1)


def _quantiles(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the sorted distinct values and the normal quantile of the mean rank of each."""
    found, counts = np.unique(values, return_counts=True)
    if len(found) < 2:
        return _line(values)
    ranks = np.cumsum(counts) - counts / 2
    share = torch.as_tensor(ranks / len(values), dtype=torch.float64)
    return found, torch.special.ndtri(share).numpy()


def _line(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return two points of the standardising line."""
    mean, std = float(values.mean()), float(values.std())
    reach = 1e3 * (std if std > 0 else 1.0)
    return np.array([mean - reach, mean + reach]), np.array([-1e3, 1e3])


def _inverse(found: np.ndarray, knots: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Return the values of standardised ones; above the last knot along the line of the best tenth, below it flat."""
    values, marks = knots
    near = -1 - max(1, len(marks) // 10)
    slope = (values[-1] - values[near]) / (marks[-1] - marks[near])
    return np.asarray(np.interp(found, marks, values) + slope * np.maximum(found - marks[-1], 0.0))
