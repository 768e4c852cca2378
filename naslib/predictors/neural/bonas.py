"""BonasPredictor: a graph network with a global node, and Bayesian linear regression on its embedding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, cast

import numpy as np
import torch
from torch import Tensor

from naslib.errors import ConfigError
from naslib.predictors.base import Codes
from naslib.predictors.linear import Evidence
from naslib.predictors.losses import get_loss
from naslib.predictors.models.graph_networks import GlobalNodeNetwork
from naslib.predictors.proxies.untouched import seeded_aside
from naslib.search_spaces.core.codec import Codec
from naslib.search_spaces.core.graph import Graph
from naslib.utils.encodings import EncodingType

from .base import Inputs, NeuralPredictor
from .batches import graph_batch

# The training values are mapped to [_EDGE, 1 - _EDGE], so that their logits are finite
_EDGE = 0.05
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(32)


class BonasPredictor(NeuralPredictor):
    """Predict with uncertainty by BOGCN, Shi et al. (2020), [Shi2020bonas].

    A graph network with a sigmoid head is trained on the values, mapped linearly to [.05, .95], with the weighted loss
    of the paper. Then the logits of these values are regressed on the embedding (and a constant) by Bayesian linear
    regression, its precisions by the evidence. A prediction is the mean of the sigmoid of the normal that this gives,
    noise included, mapped back, and its deviation.

    Raises:
        ConfigError: For an encoding without a vertex over all, or as `NeuralPredictor`.
    """

    DEFAULTS: ClassVar[Mapping[str, Any]] = {"gcn_hidden": 64, "batch_size": 128, "lr": 1e-3}
    DEFAULT_ENCODING: ClassVar[EncodingType] = EncodingType.BONAS
    EPOCHS = 100

    def __init__(
        self,
        encoding_type: EncodingType | str | None = None,
        ss_type: str | None = None,
        hpo_wrapper: bool = False,
        *,
        loss: str = "weighted_mse",
        epochs: int | None = None,
        device: str | torch.device | None = None,
        space: Graph | Codec[Any] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(
            encoding_type, ss_type, hpo_wrapper, loss=loss, epochs=epochs, device=device, space=space, seed=seed
        )
        if self.encoding_type is not EncodingType.BONAS:  # of another the last vertex sees nothing
            raise ConfigError(f"BonasPredictor reads the encoding bonas, not {self.encoding_type.value}")

    def _fit(self, codes: Codes, values: np.ndarray, info: Any) -> float:
        inputs, scaled = self._inputs(codes), self._scaled(values)
        targets = torch.tensor(scaled, dtype=torch.float32, device=self.device)
        loss, given = get_loss(self.loss), self.hyperparams
        with seeded_aside(self.seed, self.device):
            self.model = GlobalNodeNetwork(inputs[0].shape[-1], given["gcn_hidden"]).to(self.device)
            optimizer = torch.optim.Adam(self.model.parameters(), lr=given["lr"])

            def loss_of(batch: Tensor) -> Tensor:
                return loss(self.model(*(part[batch] for part in inputs)), targets[batch])

            self._train(self.model, optimizer, len(codes), given["batch_size"], loss_of)
        self._estimate_norms(inputs)
        self.regression = Evidence(self._embedded(inputs), np.log(scaled) - np.log1p(-scaled), iterations=200)
        return float(np.abs(self._moments(inputs)[0] - values).mean())

    def _predict(self, codes: Codes, info: Any) -> tuple[np.ndarray, np.ndarray]:
        return self._moments(self._inputs(codes)) if codes else (np.zeros(0), np.zeros(0))

    def _inputs(self, codes: Codes) -> Inputs:
        vertices, adjacency, _ = graph_batch(self._read_from, codes, self.encoding_type)
        return vertices.to(self.device), adjacency.to(self.device)

    def _scaled(self, values: np.ndarray) -> np.ndarray:
        spread = float(np.ptp(values))
        self._unit = spread / (1 - 2 * _EDGE) or 1.0
        self._offset = float(values.min()) - _EDGE * self._unit if spread else float(values.min()) - 0.5
        return (values - self._offset) / self._unit

    @torch.no_grad()
    def _estimate_norms(self, inputs: Inputs) -> None:
        """Take mean and variance of the training set for batch norm: the running ones lag behind short trainings."""
        for norm in self.model.norms:
            cast(torch.nn.BatchNorm1d, norm).reset_running_stats()
            cast(torch.nn.BatchNorm1d, norm).momentum = None
        self.model.train()
        self._outputs(self.model.embed, inputs)
        self.model.eval()

    def _embedded(self, inputs: Inputs) -> np.ndarray:
        embedding = self._outputs(self.model.embed, inputs)
        return np.hstack([embedding, np.ones((len(embedding), 1))])

    def predict_logits(self, codes: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and deviation, noise included, of the normal belief about the logits of n codes, `(n,)` each.

        `mean = m phi` and `deviation^2 = phi K^-1 phi + 1 / beta` (equations 6 and 7 of the paper), in float64. The
        logits are those of the values mapped to [.05, .95]: see `logits_of`.

        Raises:
            PredictorError: Before `fit`.
        """
        given = self._ready(codes)
        if not given:
            return np.zeros(0), np.zeros(0)
        return self._normal(self._inputs(given))

    def logits_of(self, values: np.ndarray) -> np.ndarray:
        """Return what values `(n,)` are on the scale of `predict_logits`; the training set's are within +-2.95."""
        scaled = (np.asarray(values, dtype=np.float64) - self._offset) / self._unit
        return np.asarray(np.log(scaled) - np.log1p(-scaled))

    def _normal(self, inputs: Inputs) -> tuple[np.ndarray, np.ndarray]:
        mean, of_function = self.regression.predict(self._embedded(inputs))
        return mean, np.sqrt(np.square(of_function) + 1 / self.regression.beta)

    def _moments(self, inputs: Inputs) -> tuple[np.ndarray, np.ndarray]:
        mean, std = self._normal(inputs)
        draws = 1 / (1 + np.exp(-(mean[:, None] + std[:, None] * _NODES)))
        weights = _WEIGHTS / _WEIGHTS.sum()
        first = draws @ weights
        spread = np.sqrt(np.maximum(np.square(draws - first[:, None]) @ weights, 0.0))
        return self._restored(first), spread * self._unit

    def _draw(self, rng: np.random.Generator) -> dict[str, Any]:
        """Return hyperparameters from the ranges of White et al. (2021), [White2021predictors]."""
        return {
            "gcn_hidden": int(np.exp(rng.uniform(np.log(16), np.log(128)))),
            "batch_size": int(np.exp(rng.uniform(np.log(32), np.log(256)))),
            "lr": float(np.exp(rng.uniform(np.log(1e-5), np.log(1e-1)))),
        }
