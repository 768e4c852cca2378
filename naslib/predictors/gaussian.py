"""Gaussian processes on rows of features: exact, FITC, and variational."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch

from naslib.errors import ConfigError, did_you_mean

from .features import typical_distance
from .kernels import KERNELS, distances, log_bound, log_density, maximized, posterior, sparse_posterior
from .tabular import TabularPredictor, log_uniform

_NAMES = ("scale", "length", "noise")
_STARTS = ((0.0, 0.0, -2.0), (0.0, 1.0, -4.0), (0.0, 2.0, -2.0))


class GaussianProcess(TabularPredictor):
    """A Gaussian process with one length for all standardized features, in float64.

    Scale, length and noise maximize the evidence. Lengths are relative to the median distance of the training set.

    Hyperparameters: `kernel` is rbf, matern32 or matern52; `scale`, `length` and `noise` are given, or None where they
    are found. Values become normal scores, unless `warp` is False.

    Args:
        space: See `Predictor`.
        encoding_type: Likewise.
        seed: Likewise.
        warp: See `TabularPredictor`; True if None.
    """

    WARPED: ClassVar[bool] = True

    DEFAULTS: ClassVar[Mapping[str, Any]] = {"kernel": "matern52", "scale": None, "length": None, "noise": None}

    def _learn(self, rows: np.ndarray, values: np.ndarray) -> None:
        name = self.hyperparams["kernel"]
        if name not in KERNELS:
            raise ConfigError(f"kernel is one of {', '.join(KERNELS)}, not {name!r}{did_you_mean(str(name), KERNELS)}")
        self._kernel = KERNELS[name]
        self._x, self._y = torch.tensor(rows), torch.tensor(values)
        apart = distances(self._x, self._x)[np.triu_indices(len(rows), 1)]
        self._unit = typical_distance(apart.numpy())
        self._x = self._x / self._unit
        self._prepare()
        given = [self.hyperparams[name] for name in _NAMES]
        fixed = [None if value is None else float(np.log(value)) for value in given]
        free = [number for number, value in enumerate(fixed) if value is None]

        def filled(parameters: torch.Tensor) -> torch.Tensor:
            parts = iter(parameters.unbind())
            return torch.stack([next(parts) if v is None else torch.tensor(v, dtype=torch.float64) for v in fixed])

        found = np.zeros(0)
        if free:
            starts = [[start[number] for number in free] for start in _STARTS]
            found, _ = maximized(lambda p: self._objective(filled(p)), starts, [_NAMES[number] for number in free])
        self._parameters = filled(torch.tensor(found, dtype=torch.float64)).exp()

    @property
    def parameters(self) -> dict[str, float]:
        """Scale, length and noise (variance) of the fitted process, on standardized values."""
        return dict(zip(_NAMES, self._parameters.tolist(), strict=True))

    def _infer(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        with torch.no_grad():
            mean, variance = self._posterior(torch.tensor(rows) / self._unit)
        return mean.numpy(), variance.sqrt().numpy()

    def _between(self, first: torch.Tensor, second: torch.Tensor, scale: Any, length: Any) -> torch.Tensor:
        return scale * self._kernel(distances(first, second) / length)

    def _draw(self, rng: np.random.Generator) -> dict[str, Any]:
        return {
            **self.hyperparams,
            "kernel": str(rng.choice(sorted(KERNELS))),
            "length": log_uniform(rng, 0.1, 10),
            "noise": log_uniform(rng, 1e-4, 1),
        }

    def _prepare(self) -> None:
        """Do what is to be done once before the evidence is maximized."""

    @abstractmethod
    def _objective(self, logs: torch.Tensor) -> torch.Tensor:
        """Return what is maximized, of the logarithms of scale, length and noise."""

    @abstractmethod
    def _posterior(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean and variance at `(m, d)` rows."""


class GPPredictor(GaussianProcess):
    """The exact Gaussian process ([Rasmussen2006gaussian], algorithm 2.1)."""

    def _objective(self, logs: torch.Tensor) -> torch.Tensor:
        scale, length, noise = logs.exp()
        own = self._between(self._x, self._x, scale, length)
        return log_density(own + noise * torch.eye(len(own), dtype=own.dtype), self._y)

    def _posterior(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        scale, length, noise = self._parameters
        own = self._between(self._x, self._x, scale, length)
        return posterior(own, self._between(x, self._x, scale, length), scale.expand(len(x)), noise, self._y)


class InducingProcess(GaussianProcess):
    """A Gaussian process that is seen through some of the training points, drawn at random: `n_inducing` of them."""

    DEFAULTS: ClassVar[Mapping[str, Any]] = {**GaussianProcess.DEFAULTS, "n_inducing": 50}
    VARIATIONAL: ClassVar[bool] = False

    def _prepare(self) -> None:
        number = int(self.hyperparams["n_inducing"])
        if number < 1:
            raise ConfigError(f"n_inducing is a number of points from 1, not {number}")
        rng = np.random.default_rng(self.seed)
        self._z = self._x[np.sort(rng.permutation(len(self._x))[:number])]

    def _parts(self, scale: torch.Tensor, length: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        across = self._between(self._z, self._x, scale, length)
        return scale.expand(len(self._x)), across, self._between(self._z, self._z, scale, length)

    def _objective(self, logs: torch.Tensor) -> torch.Tensor:
        scale, length, noise = logs.exp()
        return log_bound(*self._parts(scale, length), noise, self._y, self.VARIATIONAL)

    def _posterior(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        scale, length, noise = self._parameters
        new = self._between(self._z, x, scale, length)
        parts = self._parts(scale, length)
        return sparse_posterior(*parts, noise, self._y, self.VARIATIONAL, new, scale.expand(len(x)))


class SparseGPPredictor(InducingProcess):
    """A sparse Gaussian process by FITC ([Snelson2006sparse])."""


class VarSparseGPPredictor(InducingProcess):
    """A sparse Gaussian process by the variational bound ([Titsias2009variational])."""

    VARIATIONAL: ClassVar[bool] = True
