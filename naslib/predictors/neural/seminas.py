"""SemiNASPredictor: an encoder with a predictor and a decoder, with or without pseudo-labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor

from naslib.errors import ConfigError
from naslib.predictors.base import Codes
from naslib.predictors.losses import get_loss
from naslib.predictors.models.sequence_model import SequenceModel, sequence_loss
from naslib.predictors.proxies.untouched import seeded_aside
from naslib.search_spaces.core.codec import Codec
from naslib.search_spaces.core.graph import Graph
from naslib.utils.encodings import EncodingType

from .base import NeuralPredictor
from .batches import Tokens, repeat


class Columns(Protocol):
    """Numbers of architectures beside their sequences: `naslib.predictors.omni.KnownColumns`."""

    @property
    def metrics(self) -> Sequence[Any]:
        """What curves must be of."""

    def fit(self, codes: Codes, info: Any) -> np.ndarray:
        """Return those of the training set, `(n, c)`, standardised."""

    def of(self, codes: Codes, info: Any) -> np.ndarray:
        """Return those of other architectures, `(n, c)`, on the same scale."""


class SemiNASPredictor(NeuralPredictor):
    """Predict from the embedding of a sequence that a decoder can write again.

    NAO, Luo et al. (2018), [Luo2018nao]; with `semi`, SemiNAS, Luo et al. (2020), [Luo2020seminas]: after a first
    training on the labelled architectures others are labelled by the predictor itself, and both are learned, the
    labelled ones `up_sample` times as often. Values are standardised by the training set (the authors' constants are of
    the whole benchmark). The loss is .8 x that of the values + .2 x the negative log-likelihood of the sequence.

    Args:
        encoding_type: `seminas` (vertices and edges) or `compact` (the genes of the code; see `Tokens`).
        ss_type: See `NeuralPredictor`.
        semi: Whether other architectures are labelled.
        hpo_wrapper: See `NeuralPredictor`.
        synthetic_factor: How many architectures are labelled, as a multiple of the training set.
        augment: Further sequences of each labelled architecture with its vertices in another order (`seminas` alone).
        up_sample: How often a labelled architecture is learned where there are pseudo-labels.
        columns: Further numbers of each architecture that the predictor sees (OMNI). Of those that are labelled by the
            predictor they are not known, and count as the mean.
        loss: See `NeuralPredictor`.
        epochs: Passes over the training set, of each of the two trainings.
        device: See `NeuralPredictor`.
        space: See `Predictor`.
        seed: See `Predictor`.

    Raises:
        ConfigError: For numbers out of range, or as `NeuralPredictor`.
    """

    DEFAULTS: ClassVar[Mapping[str, Any]] = {"gcn_hidden": 64, "batch_size": 100, "lr": 1e-3}
    DEFAULT_ENCODING: ClassVar[EncodingType] = EncodingType.SEMINAS
    EPOCHS = 200

    def __init__(
        self,
        encoding_type: EncodingType | str | None = None,
        ss_type: str | None = None,
        semi: bool = False,
        hpo_wrapper: bool = False,
        synthetic_factor: int = 1,
        *,
        augment: int = 0,
        up_sample: int = 10,
        columns: Columns | None = None,
        loss: str = "mse",
        epochs: int | None = None,
        device: str | torch.device | None = None,
        space: Graph | Codec[Any] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(
            encoding_type, ss_type, hpo_wrapper, loss=loss, epochs=epochs, device=device, space=space, seed=seed
        )
        if synthetic_factor < 1 or augment < 0 or up_sample < 1:
            raise ConfigError(
                "synthetic_factor and up_sample are at least 1 and augment at least 0, not "
                f"{synthetic_factor}, {up_sample} and {augment}"
            )
        self.semi, self.synthetic_factor, self.augment, self.up_sample = semi, synthetic_factor, augment, up_sample
        self.columns = columns
        self._unlabeled: list[Any] | None = None

    def reads_info(self) -> bool:
        """Say whether info is read: by the columns, where there are any."""
        return self.columns is not None

    def get_data_reqs(self) -> dict[str, Any]:
        """Return what the predictor must be given; with `semi` it is glad of architectures without values."""
        metrics = list(self.columns.metrics) if self.columns is not None else []
        curves = {"requires_partial_lc": True, "metric": metrics} if metrics else {}
        semi = {"unlabeled": self.semi, "unlabeled_factor": self.synthetic_factor}
        return {**super().get_data_reqs(), **curves, **semi}

    def pre_compute(self, xtrain: Any = None, xtest: Any = None, unlabeled: Sequence[Any] | None = None) -> None:
        """Take architectures (codes or graphs) for pseudo-labels; without any they are drawn from the space.

        Args:
            xtrain: Not used.
            xtest: Not used.
            unlabeled: Architectures without values.
        """
        self._unlabeled = None if unlabeled is None else list(unlabeled)

    def _fit(self, codes: Codes, values: np.ndarray, info: Any) -> float:
        rng = Random(self.seed)
        others = self._others(codes, rng) if self.semi else []
        self.tokens = Tokens(self._read_from, self.encoding_type, [*codes, *others])
        targets = self._standardised(values)
        own = self.tokens.sequences(codes).to(self.device)
        known = self._numbers(self.columns.fit(codes, info) if self.columns is not None else np.zeros((len(codes), 0)))
        copies = self.augment if self.encoding_type is EncodingType.SEMINAS else 0
        tokens = torch.cat([own, self.tokens.sequences(repeat(codes, copies), rng).to(self.device)])
        labels = torch.cat([targets, targets.repeat_interleave(copies)])
        numbers = torch.cat([known, known.repeat_interleave(copies, dim=0)])
        with seeded_aside(self.seed, self.device):
            hidden = self.hyperparams["gcn_hidden"]
            self.model = SequenceModel(self.tokens.allowed, hidden, extra=known.shape[1]).to(self.device)
            self._learn(tokens, numbers, labels)
            if others:
                unlabeled = self.tokens.sequences(others).to(self.device)
                unknown = torch.zeros(len(others), known.shape[1], device=self.device)
                guessed = torch.tensor(self._values(unlabeled, unknown), dtype=torch.float32, device=self.device)
                self._learn(
                    torch.cat([tokens.repeat(self.up_sample, 1), unlabeled]),
                    torch.cat([numbers.repeat(self.up_sample, 1), unknown]),
                    torch.cat([labels.repeat(self.up_sample), guessed]),
                )
        outputs = self._values(own, known)
        if self._is_ranking:
            self._rescaled(outputs, values)
        return float(np.abs(self._restored(outputs) - values).mean())

    def _learn(self, tokens: Tensor, numbers: Tensor, labels: Tensor) -> None:
        given, loss = self.hyperparams, get_loss(self.loss)
        optimizer = torch.optim.Adam(self.model.parameters(), lr=given["lr"], weight_decay=1e-4)

        def loss_of(batch: Tensor) -> Tensor:
            values, logits = self.model(tokens[batch], numbers[batch])
            return sequence_loss(loss(values, labels[batch]), logits, tokens[batch])

        self._train(self.model, optimizer, len(labels), given["batch_size"], loss_of, grad_clip=5.0)

    def _numbers(self, columns: np.ndarray) -> Tensor:
        return torch.tensor(columns, dtype=torch.float32, device=self.device)

    def _others(self, codes: Codes, rng: Random) -> Codes:
        """Return architectures without values, none of them in the training set where the space has enough."""
        wanted = self.synthetic_factor * len(codes)
        if self._unlabeled is not None:
            return self.codes_of(self._unlabeled)[:wanted]
        seen, found = set(codes), []
        for _ in range(20 * wanted):
            code = self.codec.random(rng)
            if code not in seen:
                seen.add(code)
                found.append(code)
            if len(found) == wanted:
                break
        return found

    def _values(self, tokens: Tensor, numbers: Tensor) -> np.ndarray:
        return self._outputs(lambda part, more: self.model.encoder(part, more).value, (tokens, numbers))

    def _predict(self, codes: Codes, info: Any) -> tuple[np.ndarray, None]:
        if not codes:
            return np.zeros(0), None
        columns = self.columns.of(codes, info) if self.columns is not None else np.zeros((len(codes), 0))
        (tokens,) = self._inputs(codes)
        return self._restored(self._values(tokens, self._numbers(columns))), None

    def _inputs(self, codes: Codes) -> tuple[Tensor]:
        return (self.tokens.sequences(codes).to(self.device),)

    def _draw(self, rng: np.random.Generator) -> dict[str, Any]:
        """Return hyperparameters from the ranges of White et al. (2021), [White2021predictors]."""
        return {
            "gcn_hidden": int(np.exp(rng.uniform(np.log(16), np.log(128)))),
            "batch_size": int(np.exp(rng.uniform(np.log(32), np.log(256)))),
            "lr": float(np.exp(rng.uniform(np.log(1e-5), np.log(1e-1)))),
        }


def nao(
    encoding_type: EncodingType | str | None = None,
    *,
    loss: str = "mse",
    epochs: int | None = None,
    space: Graph | Codec[Any] | None = None,
    seed: int = 0,
) -> SemiNASPredictor:
    """Return the predictor of NAO: labelled architectures alone."""
    return SemiNASPredictor(encoding_type, semi=False, loss=loss, epochs=epochs, space=space, seed=seed)


def seminas(
    encoding_type: EncodingType | str | None = None,
    *,
    synthetic_factor: int = 1,
    loss: str = "mse",
    epochs: int | None = None,
    space: Graph | Codec[Any] | None = None,
    seed: int = 0,
) -> SemiNASPredictor:
    """Return the predictor of SemiNAS: with architectures that it labels itself."""
    return SemiNASPredictor(
        encoding_type,
        semi=True,
        synthetic_factor=synthetic_factor,
        loss=loss,
        epochs=epochs,
        space=space,
        seed=seed,
    )
