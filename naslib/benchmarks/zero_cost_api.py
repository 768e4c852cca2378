"""NASLib's dictionary of zero-cost proxies, from the tables that we have of them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from naslib.errors import BenchmarkError
from naslib.search_spaces.core.query_metrics import Metric

from .figure_table import FigureTable
from .lookup import get_dataset_api, kinds

# Kinds of tables that have NASLib's proxies with their times and the accuracy of the network
_KINDS = ("proxies_naslib", "proxies")
_ACCURACY, _SECONDS = "accuracy", "_seconds"


class ZeroCostApi(Mapping[str, dict[str, Any]]):
    """What is known of architectures by the text of their codes, as in NASLib's `zc_<space>.json`.

    `api[str(code)]` has `val_accuracy`, and per proxy `{"score": value, "time": seconds}`. The table is opened when
    something is asked of it.

    Args:
        search_space: Name of the space.
        dataset: Name of the data set or task.
        data_dir: Where the table is.
    """

    def __init__(self, search_space: str, dataset: str, data_dir: str | os.PathLike[str] | None = None) -> None:
        self.search_space, self.dataset, self.data_dir = search_space, dataset, data_dir
        self._found: dict[str, dict[str, Any]] | None = None

    def __getitem__(self, architecture: str) -> dict[str, Any]:
        return self._entries[architecture]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def _entries(self) -> dict[str, dict[str, Any]]:
        if self._found is None:
            there = kinds(self.search_space)
            kind = next((kind for kind in _KINDS if kind in there), _KINDS[0])
            table = get_dataset_api(self.search_space, self.dataset, self.data_dir, kind)
            if not isinstance(table, FigureTable):
                raise BenchmarkError(f"the {kind} of {self.search_space} are no table of proxies")
            codes = [tuple(code) for code in table.codes(self.dataset).tolist()]
            self._found = {str(code): self._entry(table.query(code, Metric.ALL, self.dataset)) for code in codes}
        return self._found

    def _entry(self, figures: Mapping[str, float]) -> dict[str, Any]:
        entry: dict[str, Any] = {"val_accuracy": figures[_ACCURACY]} if _ACCURACY in figures else {}
        for name, value in figures.items():
            if name != _ACCURACY and not name.endswith(_SECONDS):
                entry[name] = {"score": value, "time": figures.get(f"{name}{_SECONDS}")}
        return entry


def get_zc_benchmark_api(
    search_space: str, dataset: str, data_dir: str | os.PathLike[str] | None = None
) -> ZeroCostApi:
    """Return NASLib's proxies of the architectures of a space, by the text of their codes.

    Args:
        search_space: Name of the space.
        dataset: Name of the data set or task.
        data_dir: Where `zc_naslib.npz` is; as for `get_dataset_api`.
    """
    return ZeroCostApi(search_space, dataset, data_dir)
