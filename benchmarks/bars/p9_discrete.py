"""P9: architectures per second of the discrete searches on a table, through the public API."""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np

from naslib.benchmarks import Benchmark, NasBench201Table, get_dataset_api
from naslib.errors import BenchmarkDataMissing
from naslib.optimizers import RandomSearch, RegularizedEvolution
from naslib.search_spaces import NasBench201SearchSpace
from naslib.search_spaces.core import Metric

from ..memory_probe import STATUS, resident_memory
from ..records import Row
from ..settings import Options

OPS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
DATASET = "cifar10"


def measure(options: Options) -> list[Row]:
    """Return the rates of both optimizers' own loops and of the batched query, and the growth of memory."""
    table, source = find_table()
    n_archs = 2_000 if options.smoke else 20_000 if options.quick else 100_000
    rounds = options.n_rounds()
    rows = []
    for optimizer_class in (RegularizedEvolution, RandomSearch):
        rates, grown = _search_rates(optimizer_class, table, n_archs, rounds)
        name = f"{optimizer_class.__name__} on the table"
        low_high = (min(rates), max(rates), rounds)
        rows.append(Row("P9", name, median(rates), "archs/s", *low_high, limit=2e4, stretch=1e5, note=source))
        if grown is not None:
            rows.append(
                Row(
                    "P9",
                    f"memory grown, {optimizer_class.__name__}",
                    grown,
                    "MB",
                    note=f"{n_archs} archs after the first {n_archs}",
                )
            )
    codes = np.random.default_rng(0).integers(0, len(OPS), size=(10 * n_archs, len(EDGES)))
    batched = _rates(lambda: table.query_batch(codes, Metric.VAL_ACCURACY, DATASET), len(codes), rounds + 1)[1:]
    low_high = (min(batched), max(batched), rounds)
    return [*rows, Row("P9", "batched query", median(batched), "archs/s", *low_high, limit=2e6, note=source)]


def _rates(call: Callable[[], object], n_archs: int, rounds: int) -> list[float]:
    found = []
    for _ in range(rounds):
        begin = time.perf_counter()
        call()
        found.append(n_archs / (time.perf_counter() - begin))
    return found


def _search_rates(
    optimizer_class: type[RegularizedEvolution] | type[RandomSearch], table: Benchmark, n_archs: int, rounds: int
) -> tuple[list[float], float | None]:
    """Return the rates, and by how many MB the process grew after the first round, which has all buffers made."""
    optimizer = optimizer_class()
    optimizer.adapt_search_space(NasBench201SearchSpace(), DATASET, dataset_api=table)
    epochs = itertools.count()

    def search() -> None:
        for epoch in itertools.islice(epochs, n_archs):
            optimizer.new_epoch(epoch)

    search()
    before = resident_memory("VmRSS") if STATUS.is_file() else None
    rates = _rates(search, n_archs, rounds)
    return rates, None if before is None else (resident_memory("VmRSS") - before) / rounds / 1e6


def find_table() -> tuple[Benchmark, str]:
    """Return the real table where it is found (`NASLIB_DATA`, `./data`), else one of random values, and which."""
    try:
        return get_dataset_api("nasbench201", DATASET), "the real table"
    except BenchmarkDataMissing:
        with tempfile.TemporaryDirectory() as folder:
            table = write_random_table(Path(folder) / NasBench201Table.file_name)
            table.query((0,) * len(EDGES), Metric.VAL_ACCURACY, DATASET)  # reads the columns while the file is there
            table.query((0,) * len(EDGES), Metric.VAL_ACCURACY, DATASET, 200)
            return table, "a table of random values"


def write_random_table(path: Path) -> NasBench201Table:
    """Write a table of the real one's layout with random accuracies and return it opened."""
    ops = np.array(list(np.ndindex((len(OPS),) * len(EDGES))), dtype=np.int8)
    random = np.random.default_rng(0)
    columns = {f"c10_{part}_200": random.uniform(10, 95, len(ops)).astype(np.float32) for part in ("valid", "test")}
    np.savez(path, ops=ops, op_names=np.array(OPS), edges=np.array(EDGES), **columns)  # type: ignore[arg-type]
    return NasBench201Table(path)
