"""The neural predictor of Wen et al.: a regressor, and the classifier of its first stage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from naslib.errors import PredictorError
from naslib.predictors.base import Codes
from naslib.predictors.losses import Loss, get_loss
from naslib.predictors.models.graph_networks import DirectedGraphNetwork
from naslib.predictors.proxies.untouched import seeded_aside
from naslib.utils.encodings import EncodingType

from .base import Inputs, NeuralPredictor
from .batches import graph_batch


class GraphConvolutions(NeuralPredictor):
    """Train directed graph convolutions (`DirectedGraphNetwork`) by Adam with a cosine, Wen et al. (2020).

    Args, Raises: As `NeuralPredictor`.
    """

    DEFAULTS: ClassVar[Mapping[str, Any]] = {"gcn_hidden": 144, "batch_size": 7, "lr": 1e-3, "wd": 3e-4}
    DEFAULT_ENCODING: ClassVar[EncodingType] = EncodingType.GCN

    def _train_network(self, inputs: Inputs, targets: Tensor, loss: Loss) -> None:
        """Train a new network on n graphs with targets `(n,)`."""
        given = self.hyperparams
        with seeded_aside(self.seed, self.device):
            self.model = DirectedGraphNetwork(inputs[0].shape[-1], given["gcn_hidden"]).to(self.device)
            optimizer = torch.optim.Adam(self.model.parameters(), lr=given["lr"], weight_decay=given["wd"])

            def loss_of(batch: Tensor) -> Tensor:
                return loss(self.model(*(part[batch] for part in inputs)), targets[batch])

            self._train(self.model, optimizer, len(targets), given["batch_size"], loss_of, cosine=True)

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


class GCNPredictor(GraphConvolutions):
    """Predict by directed graph convolutions, Wen et al. (2020), [Wen2020neural].

    Three convolutions of 144 features and a linear layer of 128, dropout .1, Adam with a cosine over 300 epochs as in
    the paper; batch size and weight decay are NASLib's. The learning rate, 1e-3, is ours; the paper has 1e-4
    (`set_hyperparams({"lr": 1e-4})`).
    """

    def _fit(self, codes: Codes, values: np.ndarray, info: Any) -> float:
        inputs = self._inputs(codes)
        self._train_network(inputs, self._standardised(values), get_loss(self.loss))
        outputs = self._outputs(self.model, inputs)
        if self._is_ranking:
            self._rescaled(outputs, values)
        return float(np.abs(self._restored(outputs) - values).mean())

    def _predict(self, codes: Codes, info: Any) -> tuple[np.ndarray, None]:
        return (self._restored(self._outputs(self.model, self._inputs(codes))) if codes else np.zeros(0)), None


class GCNClassifier(GraphConvolutions):
    """Predict the probability that an architecture is of a class: the first stage of Wen et al. (2020, section 3.3).

    The same network with a sigmoid, trained by the cross-entropy. Values are 0 and 1. `loss` is of no effect.
    """

    def _fit(self, codes: Codes, values: np.ndarray, info: Any) -> float:
        others = set(np.unique(values).tolist()) - {0.0, 1.0}
        if others:
            raise PredictorError(f"GCNClassifier learns classes 0 and 1, not values such as {min(others):g}")
        inputs = self._inputs(codes)
        targets = torch.tensor(values, dtype=torch.float32, device=self.device)
        self._train_network(inputs, targets, functional.binary_cross_entropy_with_logits)
        return float(((self._outputs(self.model, inputs) > 0) != (values > 0.5)).mean())

    def _predict(self, codes: Codes, info: Any) -> tuple[np.ndarray, None]:
        if not codes:
            return np.zeros(0), None
        return 1 / (1 + np.exp(-self._outputs(self.model, self._inputs(codes)))), None
