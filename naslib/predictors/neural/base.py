"""NeuralPredictor: what networks that predict have in common: scaling of values, batches, seeds, losses."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from naslib.errors import ConfigError, PredictorError
from naslib.predictors.base import Codes, Predictor
from naslib.predictors.losses import RANKING, get_loss
from naslib.search_spaces.core.codec import Codec
from naslib.search_spaces.core.graph import Graph
from naslib.utils.encodings import EncodingType

_AT_ONCE = 1000
# What a network reads: equally long tensors, one row per architecture
Inputs = tuple[Tensor, ...]


class NeuralPredictor(Predictor):
    """Fit a network to standardised values by Adam, on mini-batches drawn by the predictor's seed.

    With a loss of the order alone (`hinge_pair`, `list_mle`) the outputs are put on the scale of the values afterwards
    by a least-squares line through the training set.

    Args:
        encoding_type: See `Predictor`.
        ss_type: Name of the space; NASLib's, without effect here: the codec says it.
        hpo_wrapper: Whether NASLib's evaluator of predictors tunes the hyperparameters; kept as an attribute.
        loss: `"mse"`, `"weighted_mse"`, `"hinge_pair"` or `"list_mle"` (see `naslib.predictors.losses`).
        epochs: Passes over the training set; the predictor's own number if None.
        device: Where the network is; the CPU if None.
        space: See `Predictor`.
        seed: See `Predictor`.

    Raises:
        ConfigError: For an unknown loss or encoding, or fewer than one epoch.
    """

    READS_INFO = False
    EPOCHS: int = 300

    def __init__(
        self,
        encoding_type: EncodingType | str | None = None,
        ss_type: str | None = None,
        hpo_wrapper: bool = False,
        *,
        loss: str = "mse",
        epochs: int | None = None,
        device: str | torch.device | None = None,
        space: Graph | Codec[Any] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(space=space, encoding_type=encoding_type, seed=seed)
        get_loss(loss)
        self.ss_type, self.hpo_wrapper, self.loss = ss_type, hpo_wrapper, loss.lower()
        self.epochs = self.EPOCHS if epochs is None else epochs
        if self.epochs < 1:
            raise ConfigError(f"a predictor trains for at least 1 epoch, not {self.epochs}")
        self.device = torch.device(device or "cpu")
        self._offset, self._unit = 0.0, 1.0

    def _standardised(self, values: np.ndarray) -> Tensor:
        """Return values `(n,)` with mean 0 and deviation 1, and remember how they were.

        For `weighted_mse`, whose weights are defined for values in [0, 1], these are the smallest and the largest.
        """
        self._offset, self._unit = float(values.mean()), float(values.std()) or 1.0
        if self.loss == "weighted_mse":
            self._offset, self._unit = float(values.min()), float(np.ptp(values)) or 1.0
        return torch.tensor((values - self._offset) / self._unit, dtype=torch.float32, device=self.device)

    def _rescaled(self, outputs: np.ndarray, values: np.ndarray) -> None:
        """Take the line through training outputs and values, `(n,)` each, as the scale; rising in any case."""
        spread = float(outputs.std())
        slope = float(np.cov(outputs, values, bias=True)[0, 1] / spread**2) if spread > 0 else 1.0
        self._unit = slope if slope > 0 else float(values.std()) / max(spread, 1e-12) or 1.0
        self._offset = float(values.mean() - self._unit * outputs.mean())

    def _restored(self, outputs: np.ndarray) -> np.ndarray:
        return outputs.astype(np.float64) * self._unit + self._offset

    def _train(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        n: int,
        batch_size: int,
        loss_of: Callable[[Tensor], Tensor],
        *,
        epochs: int | None = None,
        cosine: bool = False,
        grad_clip: float | None = None,
    ) -> None:
        """Train by mini-batches of the places `loss_of` is given; a last one of one is left out beside larger ones.

        Raises:
            ConfigError: If batches have no architecture, or one alone where the order is learned.
            PredictorError: If the loss is not finite.
        """
        if batch_size < 1 or (batch_size == 1 and self._is_ranking):
            least = 2 if self._is_ranking else 1
            raise ConfigError(f"batch_size is at least {least} with the loss {self.loss}, not {batch_size}")
        length = self.epochs if epochs is None else epochs
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, length) if cosine else None
        model.train()
        for epoch in range(length):
            for batch in torch.randperm(n).split(batch_size):
                if len(batch) == 1 < batch_size and n > 1:
                    continue
                optimizer.zero_grad()
                loss = loss_of(batch)
                if not torch.isfinite(loss):
                    raise PredictorError(
                        f"{type(self).__name__}: the loss is {loss.item()} in epoch {epoch + 1}; take a smaller lr "
                        f"({self.hyperparams.get('lr')})"
                    )
                loss.backward()
                if grad_clip is not None:
                    nn.utils.clip_grad_norm_(model.parameters(), grad_clip)
                optimizer.step()
            if schedule is not None:
                schedule.step()
        model.eval()

    @torch.no_grad()
    def _outputs(self, run: Callable[..., Tensor], inputs: Inputs) -> np.ndarray:
        """Return what `run` makes of inputs, some at a time, as float64."""
        rows = [
            run(*(part[start : start + _AT_ONCE] for part in inputs)) for start in range(0, len(inputs[0]), _AT_ONCE)
        ]
        return torch.cat(rows).double().cpu().numpy()

    @property
    def _read_from(self) -> Graph | Codec[Any]:
        """What encodes codes: a graph of the space where one is known, else the codec."""
        return self.space if self.space is not None else self.codec

    @property
    def _is_ranking(self) -> bool:
        return self.loss in RANKING

    @abstractmethod
    def _inputs(self, codes: Codes) -> Inputs:
        """Return what the network reads of n codes."""
