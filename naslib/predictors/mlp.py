"""Ensembles of feed-forward networks, all members trained at once."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from naslib.errors import ConfigError
from naslib.search_spaces.core.codec import Codec
from naslib.search_spaces.core.graph import Graph
from naslib.utils.encodings import EncodingType

from .tabular import TabularPredictor

_LOSSES = ("mae", "mse", "mape")
# The shape and training of [White2021bananas], section 5, with the plain absolute error
_META: dict[str, Any] = {
    "num_layers": 10,
    "layer_width": 20,
    "batch_size": 32,
    "lr": 0.01,
    "regularization": 0.0,
    "epochs": 150,
    "loss": "mae",
}


class Networks(nn.Module):
    """Several multi-layer perceptrons of one shape, run side by side.

    Args:
        members: How many, e.
        sizes: Features of the input, of each hidden layer, and of the output.
        generator: Where the weights are drawn from, such that the variance of what passes neither grows nor shrinks.
        activation: `"relu"` or `"tanh"`.
    """

    def __init__(self, members: int, sizes: list[int], generator: torch.Generator, activation: str = "relu") -> None:
        super().__init__()
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        self.activation = activation
        for size, wide in itertools.pairwise(sizes):
            bound = (6 / size) ** 0.5 if activation == "relu" else (3 / size) ** 0.5
            weight = torch.empty(members, size, wide).uniform_(-bound, bound, generator=generator)
            self.weights.append(nn.Parameter(weight))
            self.biases.append(nn.Parameter(torch.zeros(members, 1, wide)))

    def hidden(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the features of the last hidden layer: `(e, n, d)`, or `(n, d)` for all alike, to `(e, n, width)`."""
        x = rows if rows.dim() == 3 else rows.expand(len(self.weights[0]), *rows.shape)
        for weight, bias in list(zip(self.weights, self.biases, strict=True))[:-1]:
            x = torch.baddbmm(bias, x, weight)
            x = torch.tanh(x) if self.activation == "tanh" else torch.relu(x)
        return x

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the outputs of all members, `(e, n)`."""
        return torch.baddbmm(self.biases[-1], self.hidden(rows), self.weights[-1])[..., 0]


class FeedForward(TabularPredictor):
    """The mean of networks that begin with other weights and see other batches, and their standard deviation.

    Each is trained by Adam on standardized features and values. The weights of the first layer have an L1 penalty,
    `regularization`, averaged over them, as in the code of [White2021bananas].

    Args:
        space: See `Predictor`.
        encoding_type: Likewise.
        num_ensemble: How many networks; the predictor's own number if None.
        seed: See `Predictor`.
        warp: See `TabularPredictor`.

    Raises:
        ConfigError: For a number of networks below 1.
    """

    def __init__(
        self,
        *,
        space: Graph | Codec[Any] | None = None,
        encoding_type: EncodingType | str | None = None,
        num_ensemble: int | None = None,
        seed: int = 0,
        warp: bool | None = None,
    ) -> None:
        super().__init__(space=space, encoding_type=encoding_type, seed=seed, warp=warp)
        if num_ensemble is not None:
            if num_ensemble < 1:
                raise ConfigError(f"num_ensemble is a number of networks from 1, not {num_ensemble}")
            self.hyperparams["num_ensemble"] = num_ensemble

    def _learn(self, rows: np.ndarray, values: np.ndarray) -> None:
        h = self.hyperparams
        if h["loss"] not in _LOSSES:
            raise ConfigError(f"loss is one of {', '.join(_LOSSES)}, not {h['loss']!r}")
        generator = torch.Generator().manual_seed(self.seed)
        members, n = int(h["num_ensemble"]), len(rows)
        sizes = [rows.shape[1], *[int(h["layer_width"])] * int(h["num_layers"]), 1]
        self._networks = Networks(members, sizes, generator)
        x, y = torch.tensor(rows, dtype=torch.float32), torch.tensor(values, dtype=torch.float32)
        optimizer = torch.optim.Adam(self._networks.parameters(), lr=float(h["lr"]), betas=(0.9, 0.99), foreach=True)
        batch = min(int(h["batch_size"]), n)
        self._networks.train()
        for _ in range(int(h["epochs"])):
            order = torch.stack([torch.randperm(n, generator=generator) for _ in range(members)])
            for start in range(0, n - n % batch, batch):
                taken = order[:, start : start + batch]
                optimizer.zero_grad(set_to_none=True)
                first = self._networks.weights[0].abs().mean((1, 2)).sum()
                loss = self._loss(self._networks(x[taken]), y[taken]) + float(h["regularization"]) * first
                loss.backward()
                optimizer.step()
        self._networks.eval()

    def _loss(self, outputs: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        """Return the sum over members of their mean loss."""
        if self.hyperparams["loss"] == "mse":
            return F.mse_loss(outputs, values, reduction="none").mean(1).sum()
        errors = (outputs - values).abs()
        if self.hyperparams["loss"] == "mape":
            errors = errors / (values + self._targets.mean / self._targets.std).abs().clamp_min(1e-3)
        return errors.mean(1).sum()

    def _infer(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        with torch.no_grad():
            each = self._networks(torch.tensor(rows, dtype=torch.float32)).double().numpy()
        return each.mean(0), each.std(0) if len(each) > 1 else None

    def _draw(self, rng: np.random.Generator) -> dict[str, Any]:
        """Return the ranges of [White2021predictors]."""
        return {
            **self.hyperparams,
            "num_layers": int(rng.integers(5, 25)),
            "layer_width": int(rng.integers(5, 25)),
            "lr": float(rng.choice([0.1, 0.01, 0.005, 0.001, 0.0001])),
        }


class MLPPredictor(FeedForward):
    """Three feed-forward networks, 10 layers of 20, on the one-hot encoding."""

    DEFAULTS: ClassVar[Mapping[str, Any]] = {**_META, "num_ensemble": 3}


class BananasPredictor(FeedForward):
    """The networks of BANANAS ([White2021bananas], section 4): five, 10 layers of 20, on the path encoding."""

    DEFAULTS: ClassVar[Mapping[str, Any]] = {**_META, "num_ensemble": 5}
    DEFAULT_ENCODING: ClassVar[EncodingType] = EncodingType.PATH
