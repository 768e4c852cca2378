"""Metric: what can be asked of a benchmark."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Any

from naslib.errors import BenchmarkError


class Metric(Enum):
    """Name what a benchmark is asked for.

    Accuracies are in percent (0-100), times in seconds, latency in milliseconds, memory in MB, parameters and FLOPs in
    millions (FLOPs count multiply-accumulates of convolutions and linear layers). Perplexity is that of validation.
    """

    RAW = auto()
    ALL = auto()

    TRAIN_ACCURACY = auto()
    VAL_ACCURACY = auto()
    TEST_ACCURACY = auto()

    TRAIN_LOSS = auto()
    VAL_LOSS = auto()
    TEST_LOSS = auto()

    TRAIN_TIME = auto()
    VAL_TIME = auto()
    TEST_TIME = auto()

    FLOPS = auto()
    LATENCY = auto()
    PARAMETERS = auto()
    EPOCH = auto()
    HP = auto()

    PERPLEXITY = auto()
    MEMORY = auto()

    @property
    def maximize(self) -> bool:
        """Whether larger is better: of accuracies it is, of losses, times and sizes it is not."""
        return self.name.endswith("_ACCURACY")

    @property
    def unit(self) -> str:
        """What its numbers count: "%", "s", "ms", "M" (millions), or "" for what has no unit."""
        kinds = {"ACCURACY": "%", "TIME": "s", "LATENCY": "ms", "FLOPS": "M", "PARAMETERS": "M", "MEMORY": "MB"}
        return kinds.get(self.name.rpartition("_")[2], "")


def as_dataset_api(dataset_api: Any) -> Any:
    """Return the benchmark that a `dataset_api` is: an object with `query`, alone or in a dictionary; None for None.

    Raises:
        BenchmarkError: If it is none, as the dictionaries of tables that NASLib's `get_dataset_api` returns.
    """
    if dataset_api is None or callable(getattr(dataset_api, "query", None)):
        return dataset_api
    if isinstance(dataset_api, Mapping):
        found = [value for value in dataset_api.values() if callable(getattr(value, "query", None))]
        if len(found) == 1:
            return found[0]
        what = f"a dictionary with {', '.join(map(repr, list(dataset_api)[:5])) or 'nothing in it'}"
    else:
        what = f"a {type(dataset_api).__name__}"
    raise BenchmarkError(
        f"dataset_api is {what}, which cannot be queried here; give what naslib.utils.get_dataset_api(search_space, "
        "dataset) returns, which reads the table in the data directory, or an object with query(code, metric, dataset, "
        "epoch)"
    )
