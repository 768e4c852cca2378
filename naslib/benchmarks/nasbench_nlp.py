"""NasBenchNLPTable: the WikiText-2 part of NAS-Bench-NLP ([Klyuchnikov2022nasbenchnlp]) from one compact file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from naslib.errors import ArchitectureError, BenchmarkError
from naslib.search_spaces.core.query_metrics import Metric
from naslib.search_spaces.core.recipe_code import code_of
from naslib.search_spaces.core.recipes import Recipe

from .base import Benchmark, Code, as_codes, as_metric, check_number
from .opened import opened

_LOSSES = {Metric.TRAIN_LOSS: "train_loss", Metric.VAL_LOSS: "valid_loss", Metric.TEST_LOSS: "test_loss"}
_METRICS = (*_LOSSES, Metric.TRAIN_TIME, Metric.PARAMETERS)


class NasBenchNLPTable(Benchmark):
    """Answer queries about recurrent cells that were trained on WikiText-2, from a compact `nb_nlp_wikitext2.npz`.

    345 trainings of 50 epochs, of 265 different cells: some are isomorphic to others. Losses are mean cross entropies
    per word in nats (their exponential is the perplexity), TRAIN_TIME the seconds of all epochs up to the one asked
    for; of a cell that was trained several times the mean. A training that diverged has no values from then on, and
    a cell of which that is every training is an error, as is any other cell; `sample_code` draws among those there are.

    Args:
        path: The file.

    Raises:
        BenchmarkDataMissing: If there is no such file.
        BenchmarkError: If the file is not this table.
    """

    name = "nasbench_nlp"
    datasets = ("wikitext2",)
    aliases = {"wikitext-2": "wikitext2", "wikitext_2": "wikitext2"}
    file_name = "nb_nlp_wikitext2.npz"

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with opened(self.path, "NAS-Bench-NLP table") as file:
            self._data = {name: file[name] for name in (*_LOSSES.values(), "wall_time", "num_params")}
            recipes = file["recipe"].tolist()
            self._codes = [code_of(Recipe.read(recipe).ordered()) for recipe in recipes]
        self.epochs = self._data["valid_loss"].shape[1]
        self._rows: dict[Code, list[int]] = {}
        for row, code in enumerate(self._codes):
            self._rows.setdefault(code, []).append(row)

    def __len__(self) -> int:
        return len(self._codes)

    # architectures

    def rows_of(self, code: Sequence[int]) -> list[int]:
        """Return the trainings of a cell.

        Raises:
            BenchmarkError: If it was not trained.
        """
        rows = self._rows.get(tuple(code))
        if rows is None:
            raise BenchmarkError(
                f"this cell is not among the {len(self._rows)} that the table has of NAS-Bench-NLP; codes are those of "
                "the space nasbench_nlp in its canonical form (sample_code draws one that is there)"
            )
        return rows

    def code_of(self, index: int) -> Code:
        """Return the cell of a training.

        Raises:
            ArchitectureError: If there is no such training.
        """
        if not 0 <= index < len(self):
            raise ArchitectureError(f"a training of NAS-Bench-NLP is in 0..{len(self) - 1}, not {index!r}")
        return self._codes[index]

    def sample_code(self, rng: Random) -> Code:
        """Return one of the cells whose training reached the end."""
        last = self._data["valid_loss"][:, -1]
        return rng.choice([code for code, rows in self._rows.items() if np.isfinite(last[rows]).any()])

    def known_codes(self, metric: Metric, dataset: str | None = None, epoch: int = -1) -> list[Code]:
        """Return the cells whose training did not diverge before the end of the epoch."""
        metric, length = self._checked(metric, dataset, epoch)
        losses = self._data["valid_loss"][:, length - 1]
        return [code for code, rows in self._rows.items() if np.isfinite(losses[rows]).any()]

    # queries

    def query(
        self, code: Code, metric: Metric, dataset: str | None = None, epoch: int = -1, full_lc: bool = False
    ) -> Any:
        """Return one figure of one cell, or the curve of a loss up to `epoch`; a dictionary of all for RAW and ALL.

        Raises:
            BenchmarkError: If there is no answer; the message lists what there is.
        """
        metric, length = self._checked(metric, dataset, epoch)
        rows = self.rows_of(code)
        if metric in (Metric.RAW, Metric.ALL):
            return {one.name.lower(): self._figure(one, rows, length) for one in _METRICS}
        if full_lc:
            if metric not in _LOSSES:
                raise BenchmarkError(f"NAS-Bench-NLP has curves (full_lc) of losses, not of {metric.name}")
            return [self._figure(metric, rows, one) for one in range(1, length + 1)]
        return self._figure(metric, rows, length)

    def query_batch(self, codes: np.ndarray, metric: Metric, dataset: str | None = None, epoch: int = -1) -> np.ndarray:
        """Return one scalar figure of many cells, `(n, 101)` ints to `(n,)`.

        Raises:
            BenchmarkError: If there is no answer; the message lists what there is.
        """
        metric, length = self._checked(metric, dataset, epoch)
        check_number(metric)
        rows = [self.rows_of(code) for code in as_codes(codes)]
        return np.array([self._figure(metric, of_one, length) for of_one in rows], dtype=np.float64)

    def has(self, metric: Metric, dataset: str | None = None, epoch: int = -1) -> bool:
        """Say whether `query` has an answer for this metric, data set and epoch, of the cells that are there."""
        try:
            self._checked(metric, dataset, epoch)
        except BenchmarkError:
            return False
        return True

    def _checked(self, metric: Metric, dataset: str | None, epoch: int) -> tuple[Metric, int]:
        self.dataset_of(dataset)
        metric = as_metric(metric)
        if metric not in (Metric.RAW, Metric.ALL, *_METRICS):
            known = ", ".join(one.name for one in _METRICS)
            raise BenchmarkError(f"the NAS-Bench-NLP table has no {metric.name} (it has: {known}); search.objectives")
        length = self.epochs if epoch == -1 else epoch
        if not 1 <= length <= self.epochs:
            raise BenchmarkError(
                f"NAS-Bench-NLP has results after 1 to {self.epochs} epochs (-1 is the last), not {epoch}"
            )
        return metric, length

    def _figure(self, metric: Metric, rows: Sequence[int], length: int) -> float:
        if metric is Metric.PARAMETERS:
            return float(self._data["num_params"][rows[0]]) / 1e6
        if metric is Metric.TRAIN_TIME:
            values = self._data["wall_time"][rows, :length].astype(np.float64).sum(axis=1)
        else:
            values = self._data[_LOSSES[metric]][rows, length - 1].astype(np.float64)
        values = values[np.isfinite(values)]
        if not len(values):
            raise BenchmarkError(f"all trainings of this cell diverged before the end of epoch {length}")
        return float(values.mean())
