"""NasBench301Surrogate: the surrogates of NAS-Bench-301 ([Zela2022nb301]) from one compact file."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from naslib.errors import ArchitectureError, BenchmarkError
from naslib.search_spaces.core.query_metrics import Metric

from .base import CIFAR_ALIASES, Benchmark, Code, as_metric, check_number
from .opened import opened
from .trees import Trees

_NODES, _OPS, _GENES = 4, 7, 32
# The ensembles in the file, and what they predict
ENSEMBLES = {Metric.VAL_ACCURACY: "valid", Metric.TRAIN_TIME: "time"}
# How many epochs the networks were trained for that the surrogates were fitted to
_EPOCHS = 100
_FIELDS = ("feature", "threshold", "left", "right", "value", "root")
# Rows that go through the trees at once
_CHUNK = 64


def _uniform(value: float, low: float, high: float) -> float:
    return (value - low) / (high - low)


def _integer(value: float, low: int, high: int, log: bool = False) -> float:
    """Return an integer on the scale of its range, whose ends are widened by half a step."""
    ends = (low - 0.49999, high + 0.49999)
    if log:
        return _uniform(math.log(value), math.log(ends[0]), math.log(ends[1]))
    return _uniform(value, *ends)


# The hyperparameters that do not differ between the networks, as the surrogates see them: the number of a category, a
# number on the scale of its range, or the logarithm of one that is normally distributed
_FIXED = {
    "CreateImageDataLoader:batch_size": _integer(96, 64, 128, log=True),
    "ImageAugmentation:augment": 0.0,
    "ImageAugmentation:autoaugment": 0.0,
    "ImageAugmentation:cutout": 0.0,
    "ImageAugmentation:cutout_holes": _integer(1, 1, 3),
    "ImageAugmentation:cutout_length": _integer(16, 1, 50),
    "ImageAugmentation:fastautoaugment": 0.0,
    "LossModuleSelectorIndices:loss_module": 0.0,
    "NetworkSelectorDatasetInfo:darts:auxiliary": 0.0,
    "NetworkSelectorDatasetInfo:darts:drop_path_prob": 0.0,
    "NetworkSelectorDatasetInfo:darts:init_channels": _integer(32, 1, 10000),
    "NetworkSelectorDatasetInfo:darts:layers": _integer(8, 1, 10000),
    "NetworkSelectorDatasetInfo:network": 0.0,
    "OptimizerSelector:optimizer": 0.0,
    "OptimizerSelector:sgd:learning_rate": math.log(0.025),
    "OptimizerSelector:sgd:momentum": _uniform(0.9, 0.1, 0.99),
    "OptimizerSelector:sgd:weight_decay": math.log(0.0003),
    "SimpleLearningrateSchedulerSelector:cosine_annealing:T_max": _integer(100, 1, 10000),
    "SimpleLearningrateSchedulerSelector:cosine_annealing:eta_min": _uniform(1e-8, 0.0, 10000.0),
    "SimpleLearningrateSchedulerSelector:lr_scheduler": 0.0,
    "SimpleTrainNode:batch_loss_computation_technique": 0.0,
    "SimpleTrainNode:mixup:alpha": _uniform(math.log(0.2), math.log(0.01), math.log(0.7)),
}
_DARTS = "NetworkSelectorDatasetInfo:darts:"
_CELLS = ("normal", "reduce")
# The edge from the first predecessor into each node, and the pairs of predecessors of a node in the order of their
# numbers
_FIRST_EDGE = (0, 2, 5, 9)
_PAIRS = tuple(tuple(itertools.combinations(range(node + 2), 2)) for node in range(_NODES))


def _feature_names() -> tuple[str, ...]:
    """Return the features in the order of ConfigSpace: what depends on nothing by name, then what does."""
    always = [*_FIXED, *(f"{_DARTS}edge_{cell}_{edge}" for cell in _CELLS for edge in range(2))]
    always += [f"{_DARTS}inputs_node_{cell}_{node + 2}" for cell in _CELLS for node in range(1, _NODES)]
    edges = [f"{_DARTS}edge_{cell}_{edge}" for cell in _CELLS for edge in range(2, 14)]
    return (*sorted(always), *sorted(edges))


FEATURES = _feature_names()
_PLACE = {name: place for place, name in enumerate(FEATURES)}
_CONSTANT = np.array([_FIXED.get(name, -1.0) for name in FEATURES])


def features_of(codes: np.ndarray) -> np.ndarray:
    """Return what the surrogates see of architectures, `(n, 32)` ints to `(n, 56)`; -1 is an edge that is not there.

    Args:
        codes: For each of two cells and four nodes two pairs of predecessor and operation, the smaller first.

    Raises:
        ArchitectureError: If a code is none.
    """
    codes = np.asarray(codes)
    if codes.ndim != 2 or codes.shape[1] != _GENES or codes.dtype.kind not in "iu":
        raise ArchitectureError(
            f"an architecture of NAS-Bench-301 is {_GENES} ints, cells whose output joins all four nodes; not "
            f"{codes.shape[1:]} {codes.dtype}"
        )
    found = np.tile(_CONSTANT, (len(codes), 1))
    pairs = codes.reshape(len(codes), 2, _NODES, 2, 2)
    sources, ops = pairs[..., 0], pairs[..., 1]
    bounds = np.arange(2, 2 + _NODES)[:, None]
    if (sources < 0).any() or (sources >= bounds).any() or (ops < 0).any() or (ops >= _OPS).any():
        raise ArchitectureError("a predecessor is an earlier node, and an operation a number in 0..6")
    if (sources[..., 0] >= sources[..., 1]).any():
        raise ArchitectureError("a node has two different predecessors, the smaller first")
    rows = np.arange(len(codes))
    for place, cell in enumerate(_CELLS):
        for node in range(_NODES):
            for which in range(2):
                first = np.array([_PLACE[f"{_DARTS}edge_{cell}_{_FIRST_EDGE[node] + one}"] for one in range(node + 2)])
                found[rows, first[sources[:, place, node, which]]] = ops[:, place, node, which]
            if node:
                numbers = {pair: number for number, pair in enumerate(_PAIRS[node])}
                column = _PLACE[f"{_DARTS}inputs_node_{cell}_{node + 2}"]
                found[:, column] = [numbers[tuple(pair)] for pair in sources[:, place, node].tolist()]
    return found


class NasBench301Surrogate(Benchmark):
    """Predict what a network of the DARTS space reaches, by the ensembles of NAS-Bench-301 from a compact `nb301.npz`.

    On CIFAR-10 after 100 epochs (-1): VAL_ACCURACY, and TRAIN_TIME where its ensemble is in the file. It is the mean of
    the members, without the noise that the original adds by default; `deviation` tells their spread. Nothing of it was
    measured on the network that is asked about.

    Args:
        path: The file.

    Raises:
        BenchmarkDataMissing: If there is no such file.
        BenchmarkError: If the file is none of these.
    """

    name = "nasbench301"
    datasets = ("cifar10",)
    aliases = CIFAR_ALIASES
    file_name = "nb301.npz"

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._members: dict[Metric, list[Trees]] = {}
        with opened(self.path, "NAS-Bench-301 surrogate") as file:
            for metric, prefix in ENSEMBLES.items():
                members = [_member(file, f"{prefix}_{number}") for number in range(_count(file.files, prefix))]
                if members:
                    self._members[metric] = members
            if Metric.VAL_ACCURACY not in self._members:
                raise ValueError("it has no ensemble of accuracies")
        self._known: dict[tuple[Code, Metric], float] = {}

    def query(
        self, code: Code, metric: Metric, dataset: str | None = None, epoch: int = -1, full_lc: bool = False
    ) -> Any:
        """Return one prediction; a dictionary of all for RAW and ALL.

        Raises:
            BenchmarkError: If there is no answer; the message lists what there is.
            ArchitectureError: If `code` is none.
        """
        metric = as_metric(metric)
        if full_lc:
            raise BenchmarkError(f"{self.path.name} has no learning curves (full_lc); it predicts the end of training")
        if metric in (Metric.RAW, Metric.ALL):
            return {known.name.lower(): self.query(code, known, dataset, epoch) for known in self._members}
        self._ensemble(metric, dataset, epoch)
        key = (tuple(code), metric)
        if key not in self._known:
            self._known[key] = float(self.query_batch(np.array([code]), metric, dataset, epoch)[0])
        return self._known[key]

    def query_batch(self, codes: np.ndarray, metric: Metric, dataset: str | None = None, epoch: int = -1) -> np.ndarray:
        """Return one prediction of many architectures, `(n, 32)` ints to `(n,)`.

        Raises:
            BenchmarkError: If there is no answer; the message lists what there is.
            ArchitectureError: If a code is none.
        """
        return self._predictions(codes, metric, dataset, epoch).mean(0)

    def deviation(
        self, codes: np.ndarray, metric: Metric = Metric.VAL_ACCURACY, dataset: str | None = "cifar10"
    ) -> np.ndarray:
        """Return the standard deviation of the members' predictions, `(n, 32)` ints to `(n,)`."""
        return self._predictions(codes, metric, dataset, -1).std(0)

    def has(self, metric: Metric, dataset: str | None = None, epoch: int = -1) -> bool:
        """Say whether `query` has an answer for this metric, data set and epoch."""
        try:
            metric = as_metric(metric)
            self._ensemble(Metric.VAL_ACCURACY if metric in (Metric.RAW, Metric.ALL) else metric, dataset, epoch)
        except BenchmarkError:
            return False
        return True

    def _predictions(self, codes: np.ndarray, metric: Metric, dataset: str | None, epoch: int) -> np.ndarray:
        check_number(metric := as_metric(metric))
        members = self._ensemble(metric, dataset, epoch)
        if not len(codes):
            return np.zeros((len(members), 0))
        features = features_of(codes)
        found = np.empty((len(members), len(features)))
        for start in range(0, len(features), _CHUNK):
            part = features[start : start + _CHUNK]
            for number, member in enumerate(members):
                found[number, start : start + _CHUNK] = member.predict(part)
        return found

    def _ensemble(self, metric: Metric, dataset: str | None, epoch: int) -> list[Trees]:
        self.dataset_of(dataset)
        if epoch not in (-1, _EPOCHS):
            raise BenchmarkError(f"NAS-Bench-301 predicts what {_EPOCHS} epochs give (-1), not {epoch}")
        if metric not in self._members:
            there = ", ".join(known.name for known in self._members)
            raise BenchmarkError(f"{self.path.name} has no {metric.name} (it has: {there})")
        return self._members[metric]


def _count(names: Sequence[str], prefix: str) -> int:
    return sum(name.startswith(f"{prefix}_") and name.endswith("_root") for name in names)


def _member(file: Any, prefix: str) -> Trees:
    arrays: dict[str, Any] = {field: file[f"{prefix}_{field}"] for field in _FIELDS}
    features = arrays["feature"]
    if features.size == 0 or features.max() >= len(FEATURES):
        raise ValueError(f"trees of {len(FEATURES)} features are expected")
    return Trees(**arrays, base=float(file[f"{prefix}_base"]), inclusive=bool(file[f"{prefix}_inclusive"])).checked()


def member_arrays(prefix: str, trees: Trees) -> dict[str, np.ndarray]:
    """Return the arrays of the file that are one member of an ensemble.

    Args:
        prefix: Which: `valid_0`, `time_3`.
        trees: The member.
    """
    found = {f"{prefix}_{field}": np.asarray(getattr(trees, field)) for field in _FIELDS}
    return {**found, f"{prefix}_base": np.array(trees.base), f"{prefix}_inclusive": np.array(trees.inclusive)}
