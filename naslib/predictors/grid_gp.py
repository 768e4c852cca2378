"""GridGP: a Gaussian process whose scales are the most probable of a grid: quick enough for a fit after every trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from naslib.errors import ConfigError

from .features import typical_distance
from .tabular import TabularPredictor

# Length scales, in the median distance of two training rows, and variances of the noise, in that of the function
LENGTHS = (0.5, 0.7, 1.0, 1.4, 2.0)
NOISES = (0.003, 0.01, 0.03, 0.1, 0.3)
_LEAST = 1e-9


class GridProcess:
    """The posterior of a Gaussian process with a Matern 5/2 kernel ([Rasmussen2006gaussian], chapters 2 and 5).

    The kernel of two rows at the distance r is `s^2 (1 + a + a^2 / 3) exp(-a)`, `a = sqrt(5) r / (length d)`, where d
    is the median distance of two training rows. Length and noise are the pair of a grid with the largest evidence
    (equation 5.8), in which the variance `s^2` has its best value, `y' (K + noise)^-1 y / n`. One eigendecomposition
    per length serves all noises.

    Args:
        rows: `(n, d)` float64, n >= 2.
        values: `(n,)`, of mean 0.
        lengths: The grid of lengths.
        noises: The grid of noises.

    Attributes:
        length: The length of the grid.
        noise: The variance of the noise as a share of that of the function.
        scale: `s^2`.
        evidence: Logarithm of the evidence, without `n log(2 pi e) / 2`.
    """

    def __init__(
        self,
        rows: np.ndarray,
        values: np.ndarray,
        lengths: Sequence[float] = LENGTHS,
        noises: Sequence[float] = NOISES,
    ) -> None:
        self._rows, n = rows, len(rows)
        squares = squared_distances(rows, rows)
        self._unit = typical_distance(np.sqrt(squares[np.triu_indices(n, 1)]))
        ratios = np.asarray(noises)[:, None]
        self.evidence = -np.inf
        for length in lengths:
            spectrum, vectors = np.linalg.eigh(matern(squares, length * self._unit))
            spectrum = np.maximum(spectrum, 0.0)
            onto = vectors.T @ values
            noisy = spectrum + ratios  # (noises, n)
            scales = np.maximum((onto**2 / noisy).mean(1), _LEAST)
            evidences = -0.5 * (n * np.log(scales) + np.log(noisy).sum(1))
            place = int(np.argmax(evidences))
            if evidences[place] > self.evidence:
                self.evidence, self.length, self.noise = float(evidences[place]), float(length), float(noises[place])
                self.scale = float(scales[place])
                self._vectors, self._inverse, self._weights = vectors, 1 / noisy[place], onto / noisy[place]

    def predict(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation of the function, without noise, at m rows, `(m,)` each."""
        onto = matern(squared_distances(rows, self._rows), self.length * self._unit) @ self._vectors
        left = np.maximum(1.0 - (onto**2 * self._inverse).sum(1), _LEAST)
        return onto @ self._weights, np.sqrt(self.scale * left)


def matern(squares: np.ndarray, length: float) -> np.ndarray:
    """Return the Matern 5/2 correlations of squared distances."""
    scaled = np.sqrt(5 * squares) / length
    return np.asarray((1 + scaled + scaled**2 / 3) * np.exp(-scaled))


def squared_distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the squared distances of `(n, d)` and `(m, d)` rows, `(n, m)`."""
    products = -2 * first @ second.T
    products += (first**2).sum(1)[:, None]
    products += (second**2).sum(1)
    return np.maximum(products, 0.0)


class GridGP(TabularPredictor):
    """A Gaussian process on standardized features; see `GridProcess`.

    The standard deviation is that of the function, without noise.

    Raises:
        ConfigError: From `set_hyperparams`, for a grid that is empty or has a number that is not above 0.
    """

    DEFAULTS: ClassVar[Mapping[str, Any]] = {"lengths": LENGTHS, "noises": NOISES}

    def set_hyperparams(self, hyperparams: Mapping[str, Any]) -> None:
        """Set the grids."""
        for name in ("lengths", "noises"):
            grid = hyperparams.get(name, LENGTHS)
            if isinstance(grid, str) or not isinstance(grid, Sequence) or not grid or not min(grid) > 0:
                raise ConfigError(f"{name} of GridGP are numbers above 0, not {grid!r}")
        super().set_hyperparams(hyperparams)

    def _learn(self, rows: np.ndarray, values: np.ndarray) -> None:
        self._process = GridProcess(rows, values, self.hyperparams["lengths"], self.hyperparams["noises"])

    def _infer(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        return self._process.predict(rows)
