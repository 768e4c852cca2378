"""SequenceController: an encoder, a predictor and a decoder that a search trains, asks, and takes steps with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from naslib.errors import PredictorError
from naslib.predictors.models.sequence_model import SequenceModel, sequence_loss
from naslib.predictors.proxies.untouched import seeded_aside

_CPU = torch.device("cpu")
# L2 of the weights and the largest norm of a gradient, as in the authors' code
_WEIGHT_DECAY, _GRAD_CLIP = 1e-4, 5.0


class SequenceController:
    """Train a `SequenceModel`, and move sequences along the gradient of what it predicts.

    The loss is `trade_off` times the squared error of the values and `1 - trade_off` times the negative log-likelihood
    of the words; Adam, a new one in each training, L2 1e-4, gradients clipped to norm 5 ([Luo2018nao]). The weights go
    on from one training to the next unless `forget` is called between them.

    Args:
        allowed: `(l, vocabulary)` bool: which words may stand at each place.
        hidden: Features of encoder and decoder.
        mlp: Width of the predictor's layer.
        dropout: Of embeddings and predictor.
        is_bounded: Whether values are in (0, 1), by a sigmoid.
        learning_rate: Of Adam.
        batch_size: Sequences per step.
        trade_off: Share of the values in the loss, in [0, 1].

    Attributes:
        model: The network; None before the first training.
    """

    def __init__(
        self,
        allowed: Tensor,
        *,
        hidden: int = 64,
        mlp: int = 16,
        dropout: float = 0.1,
        is_bounded: bool = False,
        learning_rate: float = 1e-3,
        batch_size: int = 100,
        trade_off: float = 0.8,
    ) -> None:
        self.allowed, self.learning_rate, self.batch_size = allowed, learning_rate, batch_size
        self.trade_off = trade_off
        self._sizes: dict[str, Any] = {"hidden": hidden, "mlp": mlp, "dropout": dropout, "is_bounded": is_bounded}
        self.model: SequenceModel | None = None

    def forget(self) -> None:
        """Let the next training begin with new weights."""
        self.model = None

    def train(self, spellings: Sequence[Tensor], targets: np.ndarray, epochs: int, seed: int) -> float:
        """Train on n sequences, and return the mean loss of the last epoch.

        Args:
            spellings: Tensors `(n, l)`; row i of each is a sequence of architecture i, and in every epoch one of the
                tensors is drawn for each architecture.
            targets: `(n,)` values.
            epochs: Passes over the n architectures.
            seed: Of everything random in the training, and of new weights.

        Raises:
            PredictorError: If the loss is not finite.
        """
        words = torch.stack([*spellings])  # (s, n, l)
        values = torch.tensor(targets, dtype=torch.float32)
        n, last = len(values), 0.0
        with seeded_aside(seed, _CPU):
            if self.model is None:
                self.model = SequenceModel(self.allowed, **self._sizes)
            model = self.model
            optimizer = torch.optim.Adam(model.parameters(), lr=self.learning_rate, weight_decay=_WEIGHT_DECAY)
            model.train()
            for epoch in range(epochs):
                tokens = words[torch.randint(len(words), (n,)), torch.arange(n)]
                last = 0.0
                for batch in torch.randperm(n).split(self.batch_size):
                    optimizer.zero_grad()
                    predicted, logits = model(tokens[batch])
                    error = (predicted - values[batch]).square().mean()
                    loss = sequence_loss(error, logits, tokens[batch], self.trade_off)
                    if not torch.isfinite(loss):
                        raise PredictorError(
                            f"the loss of the controller is {loss.item()} in epoch {epoch + 1}: take a smaller "
                            f"controller_learning_rate ({self.learning_rate:g})"
                        )
                    loss.backward()
                    nn.utils.clip_grad_norm_(model.parameters(), _GRAD_CLIP)
                    optimizer.step()
                    last += loss.item() * len(batch) / n
            model.eval()
        return last

    @torch.no_grad()
    def values(self, tokens: Tensor) -> np.ndarray:
        """Return what is predicted of sequences `(n, l)`, `(n,)` float64, in the unit of the targets."""
        found = [self._trained().encoder(part).value for part in tokens.split(1000)]
        return torch.cat(found).double().numpy() if found else np.zeros(0)

    def moved(self, tokens: Tensor, step: float) -> Tensor:
        """Return the sequences `(n, l)` that are written `step` gradients uphill of those given."""
        return self._trained().improved(tokens, step)[0]

    def _trained(self) -> SequenceModel:
        if self.model is None:
            raise PredictorError("the controller has not been trained")
        return self.model

    def state_dict(self) -> dict[str, Any]:
        """Return the weights; none before the first training."""
        return {"weights": {} if self.model is None else dict(self.model.state_dict())}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over weights."""
        self.model = None
        if state_dict["weights"]:
            with seeded_aside(0, _CPU):
                self.model = SequenceModel(self.allowed, **self._sizes)
            self.model.load_state_dict(state_dict["weights"])
            self.model.eval()
