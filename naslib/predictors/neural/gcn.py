"""GCNPredictor: the neural predictor of Wen et al."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from naslib.predictors.base import Codes
from naslib.predictors.losses import get_loss
from naslib.predictors.models.graph_networks import DirectedGraphNetwork
from naslib.predictors.proxies.untouched import seeded_aside
from naslib.utils.encodings import EncodingType

from .base import Inputs, NeuralPredictor
from .batches import graph_batch


class GCNPredictor(NeuralPredictor):
    """Predict by directed graph convolutions, Wen et al. (2020), [Wen2020neural].

    Three convolutions of 144 features and a linear layer of 128, dropout .1, Adam with a cosine over 300 epochs as in
    the paper; batch size and weight decay are NASLib's. The learning rate, 1e-3, is ours; the paper has 1e-4
    (`set_hyperparams({"lr": 1e-4})`).
    """

    DEFAULTS: ClassVar[Mapping[str, Any]] = {"gcn_hidden": 144, "batch_size": 7, "lr": 1e-3, "wd": 3e-4}
    DEFAULT_ENCODING: ClassVar[EncodingType] = EncodingType.GCN

    def _fit(self, codes: Codes, values: np.ndarray, info: Any) -> float:
        inputs, targets = self._inputs(codes), self._standardised(values)
        loss, given = get_loss(self.loss), self.hyperparams
        with seeded_aside(self.seed, self.device):
            self.model = DirectedGraphNetwork(inputs[0].shape[-1], given["gcn_hidden"]).to(self.device)
            optimizer = torch.optim.Adam(self.model.parameters(), lr=given["lr"], weight_decay=given["wd"])

            def loss_of(batch: Tensor) -> Tensor:
                return loss(self.model(*(part[batch] for part in inputs)), targets[batch])

            self._train(self.model, optimizer, len(codes), given["batch_size"], loss_of, cosine=True)
        outputs = self._outputs(self.model, inputs)
        if self._is_ranking:
            self._rescaled(outputs, values)
        return float(np.abs(self._restored(outputs) - values).mean())

    def _predict(self, codes: Codes, info: Any) -> tuple[np.ndarray, None]:
        return (self._restored(self._outputs(self.model, self._inputs(codes))) if codes else np.zeros(0)), None

    def _inputs(self, codes: Codes) -> Inputs:
        return tuple(part.to(self.device) for part in graph_batch(self._read_from, codes, self.encoding_type))

    def _draw(self, rng: np.random.Generator) -> dict[str, Any]:
        """Return hyperparameters from the ranges of White et al. (2021), [White2021predictors]."""
        return {
            "gcn_hidden": int(np.exp(rng.uniform(np.log(64), np.log(200)))),
            "batch_size": int(np.exp(rng.uniform(np.log(5), np.log(32)))),
            "lr": float(np.exp(rng.uniform(np.log(1e-5), np.log(1e-1)))),
            "wd": float(np.exp(rng.uniform(np.log(1e-5), np.log(1e-1)))),
        }
