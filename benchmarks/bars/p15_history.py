"""P15: trials per second into the histories, and of a search on a table that keeps every one."""

from __future__ import annotations

import functools
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np

from naslib.benchmarks import Benchmark
from naslib.evaluators import SerialExecutor, TableEvaluator, TrialSearch
from naslib.evaluators.base import never
from naslib.history import History, MemoryHistory, SqliteHistory, Trial
from naslib.optimizers import RegularizedEvolution
from naslib.search_spaces import NasBench201SearchSpace
from naslib.search_spaces.core import Metric

from ..records import Row
from ..settings import Options
from .p9_discrete import DATASET, find_table


def measure(options: Options) -> list[Row]:
    """Return the rates of single writes, of a trial that begins and ends, and of whole searches."""
    n = 200 if options.smoke else 2_000 if options.quick else 20_000
    rounds = options.n_rounds()
    with tempfile.TemporaryDirectory() as folder:
        make = _numbered(Path(folder))
        rows = [
            _row("SQLite, a trial that is over", "trials/s", [_writes(make(), n) for _ in range(rounds)], limit=5e3),
            _row("SQLite, begin and end of a trial", "trials/s", [_lives(make(), n) for _ in range(rounds)]),
            _row("RE on the table, every trial in SQLite", "archs/s", [_search(make(), n) for _ in range(rounds)]),
        ]
    in_memory = [_search(MemoryHistory(), n) for _ in range(rounds)]
    return [*rows, _row("RE on the table, every trial in memory", "archs/s", in_memory, limit=2e4, stretch=1e5)]


def _row(name: str, unit: str, rates: list[float], limit: float | None = None, stretch: float | None = None) -> Row:
    return Row("P15", name, median(rates), unit, min(rates), max(rates), len(rates), limit=limit, stretch=stretch)


@functools.cache
def _table() -> tuple[Benchmark, str]:
    """Return a table that was asked once, so that it has read its columns."""
    table, source = find_table()
    for epochs in (-1, 200):
        table.query((0,) * 6, Metric.VAL_ACCURACY, DATASET, epochs)
    return table, source


def _numbered(folder: Path) -> Callable[[], SqliteHistory]:
    def make() -> SqliteHistory:
        return SqliteHistory(folder / f"{len(list(folder.iterdir()))}.sqlite")

    return make


def _trial(number: int) -> Trial:
    return Trial(number, (1, 2, 3, 4, 0, 1), 200, seed=number, parent=number // 2)


def _writes(history: SqliteHistory, n: int) -> float:
    with history:
        begin = time.perf_counter()
        for number in range(n):
            history.add(_trial(number).completed((93.5,), 12.5))
        return n / (time.perf_counter() - begin)


def _lives(history: SqliteHistory, n: int) -> float:
    with history:
        begin = time.perf_counter()
        for number in range(n):
            trial = _trial(number).started()
            history.add(trial)
            history.add(trial.completed((93.5,), 12.5, {"train_loss": 0.25}))
        return n / (time.perf_counter() - begin)


def _search(history: History, n: int) -> float:
    """Return the rate of a search as the Trainer runs it, without its checkpoints."""
    table, _ = _table()
    np.random.seed(0)
    optimizer = RegularizedEvolution()
    optimizer.adapt_search_space(NasBench201SearchSpace(), DATASET, dataset_api=table)
    evaluator = TableEvaluator(table, DATASET, optimizer.metrics, optimizer.fidelity)
    with history:
        search = TrialSearch(optimizer, SerialExecutor(evaluator), history, epochs=n, is_instant=True)
        begin = time.perf_counter()
        for number in range(n):
            search.advance(number, never)
        search.flush()
        return n / (time.perf_counter() - begin)
