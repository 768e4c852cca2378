"""Latencies and energies that others have published: looked up where a space was measured whole, else predicted."""

from __future__ import annotations

import os
from collections.abc import Sequence
from random import Random
from typing import Any

import numpy as np

from naslib.benchmarks.base import Benchmark
from naslib.benchmarks.lookup import get_dataset_api
from naslib.errors import BenchmarkError, ConfigError, did_you_mean
from naslib.registry.devices import DeviceSet, device_sets, devices_of
from naslib.search_spaces.core.codec import Code, Codec

# A fit that explains less of the variance of held-out networks is none
_LEAST_R2 = 0.1
# Penalty on the squares of a fit's coefficients, per network: what the networks tell is hardly changed by it
_RIDGE = 1e-4
_HELD_OUT, _SEED = 0.2, 0
# The once-for-all space: one gene for the depth of a stage, then expansion and kernel of each of its blocks
_OFA, _OFA_GENES, _STAGES, _BLOCKS, _WIDTHS = "ofa_mobilenetv3", 45, 5, 4, 3
_OFA_SIDES = tuple(range(128, 225, 4))


def find_set(space: str, metric: str, device: str, dataset: str | None) -> DeviceSet:
    """Return who has measured a space on a device, for the images of a data set.

    Args:
        space: Name of the space.
        metric: `"latency"` or `"energy"`.
        device: Name of the device.
        dataset: Name of the data set in the benchmark; None for the first one that was measured.

    Raises:
        ConfigError: If nobody has; the message names the nearest device, or the data sets that there are.
    """
    place, known = f"search.hardware.{metric}", devices_of(space, metric)
    if not known:
        spaces = sorted({found.space for found in device_sets(None, metric)})
        raise ConfigError(
            f"{place}: nobody has published the {metric} of {space} on {device!r} or another device (of the spaces "
            f"{', '.join(spaces)} there are some){_otherwise(metric)}"
        )
    if device not in known:
        raise ConfigError(
            f"{place}: {space} was not measured on {device!r}{did_you_mean(device, known)} (known: {', '.join(known)}; "
            f"naslib list devices){_otherwise(metric)}"
        )
    sets = [found for found in device_sets(space, metric) if device in found.devices]
    wanted = None if dataset is None else dataset.lower().replace("_", "-")
    for found in sets:
        if wanted is None or wanted in [name.lower() for name in found.datasets]:
            return found
    there = list(dict.fromkeys(name for found in sets for name in found.datasets))
    raise ConfigError(
        f"{place}: {space} was measured on {device} for images of {' and '.join(there)}, not of {dataset}; to take "
        f"those figures say so: {metric}: {{device: {device}, dataset: {there[0]}}}"
    )


def _otherwise(metric: str) -> str:
    if metric != "latency":
        return ""
    return (
        "; `here` measures on this machine, and a table of its operations is made by python -m naslib.hardware.measure"
    )


class PublishedFigures:
    """What a benchmark says of architectures on one device.

    Args:
        found: Who measured.
        device: Which device.
        dataset: For which images; None for the first.
        codec: Of the space that is searched.
        data: Where the tables are.

    Attributes:
        about: Who measured what, and of a prediction its error.
        is_predicted: Whether architectures were not measured all, so that each is predicted by a fit.

    Raises:
        BenchmarkDataMissing: If the table is not here.
        BenchmarkError: If there are too few measured networks for a fit, or it explains nothing.
    """

    def __init__(
        self,
        found: DeviceSet,
        device: str,
        dataset: str | None,
        codec: Codec[Any],
        data: str | os.PathLike[str] | None = None,
    ) -> None:
        api: Any = get_dataset_api(found.space, None, data, found.kind)
        self.dataset = api.dataset_of(dataset if dataset is not None else found.datasets[0])
        self._api: Benchmark = api
        self._figure = api.metric_of(found.figure(device))
        self.is_predicted = not found.is_complete
        self.about = f"{found.metric} of {found.space} on {device} ({self.dataset}), by {found.source}"
        self._fit: LinearFit | None = None
        if self.is_predicted:
            self._fit = _fitted(api, self._figure, self.dataset, found.space, codec)
            if self._fit.r2 < _LEAST_R2:
                raise BenchmarkError(
                    f"search.hardware.{found.metric}: the {self.about}, cannot be predicted from what was measured "
                    f"({self._fit}); take another device, or a table of operations"
                )
            self.about += f", predicted by a fit: {self._fit}"

    def of(self, code: Code) -> float:
        """Return the figure of an architecture.

        Raises:
            BenchmarkError: If it was not measured, as the device cannot run it.
        """
        if self._fit is not None:
            return float(self._fit.predict([code])[0])
        return float(self._api.query(code, self._figure, self.dataset))


class LinearFit:
    """A linear model of a figure on what networks consist of, and its error on networks that it has not seen.

    A row of features has for each gene, or group of genes, an entry per value that it takes. Squares of coefficients
    are penalised so little that they alone decide where networks leave them open.

    Args:
        features: `(n, width)`.
        values: `(n,)`, positive.
        read: Returns the features of codes, `(k, width)`.

    Attributes:
        r2: Share of the variance of held-out networks that is explained.
        mape: Their mean absolute error in percent.
        n: How many networks there were, a fifth of them held out.
    """

    def __init__(self, features: np.ndarray, values: np.ndarray, read: Any) -> None:
        order = np.random.default_rng(_SEED).permutation(len(values))
        test, train = np.split(order, [round(_HELD_OUT * len(order))])
        self._read, self.n = read, len(values)
        weights = _solve(features[train], values[train])
        error = features[test] @ weights[1:] + weights[0] - values[test]
        self.r2 = 1.0 - float((error**2).sum() / ((values[test] - values[test].mean()) ** 2).sum())
        self.mape = 100.0 * float(np.abs(error / values[test]).mean())
        self._weights = _solve(features, values)
        # a sum of parts has no lower end; what is predicted has that of what was measured
        self._least = float(values.min())

    def predict(self, codes: Sequence[Code]) -> np.ndarray:
        """Return the figures of architectures, `(k,)`; none below the smallest that was measured."""
        found: np.ndarray = np.maximum(self._read(codes) @ self._weights[1:] + self._weights[0], self._least)
        return found

    def __str__(self) -> str:
        return f"of {self.n} networks, R2 {self.r2:.3f}, mean error {self.mape:.1f} % on those held out"


def _solve(features: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return constant and coefficients of a ridge regression, `(1 + width,)`."""
    centre, mean = features.mean(0), float(values.mean())
    x = features - centre
    gram = x.T @ x + _RIDGE * len(x) * np.eye(x.shape[1])
    coefficients = np.linalg.solve(gram, x.T @ (values - mean))
    return np.concatenate([[mean - centre @ coefficients], coefficients])


def _fitted(api: Any, figure: Any, dataset: str, space: str, codec: Codec[Any]) -> LinearFit:
    """Return the fit to the measured networks of a table that are architectures of the space."""
    known = [tuple(code) for code in api.known_codes(figure, dataset) or []]
    if space == _OFA:
        read: Any = _OFAFeatures(len(codec.random(Random(0))))
    else:
        known = [code for code in known if codec.is_valid(code)]
        read = _OneHot(np.array(known))
    if len(known) < 100:
        raise BenchmarkError(f"{api.title}: {len(known)} networks of this space were measured, too few for a fit")
    values = np.asarray(api.query_batch(np.array(known), figure, dataset), dtype=np.float64)
    features = read.of_table(known) if space == _OFA else read(known)
    return LinearFit(features, values, read)


class _OneHot:
    """Read codes as one entry per gene and value; values that no network had are none of these.

    Args:
        codes: `(n, genes)` of the networks of a fit.
    """

    def __init__(self, codes: np.ndarray) -> None:
        self._values = [np.unique(column) for column in codes.T]

    def __call__(self, codes: Sequence[Code]) -> np.ndarray:
        rows = np.array(codes)
        found = [column[:, None] == values for column, values in zip(rows.T, self._values, strict=True)]
        return np.concatenate(found, axis=1).astype(np.float64)


class _OFAFeatures:
    """Read codes of once-for-all MobileNetV3: what each block is, alone and by the area of the image.

    Args:
        length: Genes of the space that is searched: 45, or 46 where the resolution is decided.

    Raises:
        ConfigError: For another number, of a space of other sizes.
    """

    def __init__(self, length: int) -> None:
        if length not in (_OFA_GENES, _OFA_GENES + 1):
            raise ConfigError(
                f"the published latencies are of once-for-all MobileNetV3 with {_OFA_GENES} genes, at resolutions of "
                f"{_OFA_SIDES[0]} to {_OFA_SIDES[-1]}, and this space has {length}"
            )
        self._decides = length > _OFA_GENES

    def __call__(self, codes: Sequence[Code]) -> np.ndarray:
        full = len(_OFA_SIDES) - 1
        return self.of_table([tuple(code) if self._decides else (full, *code) for code in codes])

    def of_table(self, codes: Sequence[Code]) -> np.ndarray:
        """Return the features of codes whose first gene is the resolution, `(n, 2 + 2 * 180)`."""
        rows = np.array(codes)
        area = (np.asarray(_OFA_SIDES, dtype=np.float64)[rows[:, 0]] / _OFA_SIDES[-1]) ** 2
        blocks = rows[:, 1:].reshape(len(rows), _STAGES, 1 + 2 * _BLOCKS)[:, :, 1:].reshape(len(rows), -1, 2)
        kinds = np.where(blocks[:, :, 0] < 0, -1, _WIDTHS * blocks[:, :, 0] + blocks[:, :, 1])
        there = (kinds[:, :, None] == np.arange(_WIDTHS**2)).reshape(len(rows), -1).astype(np.float64)
        return np.concatenate([area[:, None], area[:, None] ** 2, there, there * area[:, None]], axis=1)
