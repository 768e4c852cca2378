"""Throughput of `history.sqlite`: one driver that writes for all workers, and many connections that write at once.

    python -m benchmarks.history_writers --write

A search has one driver, which asks, tells and writes for all workers; the first lines are that. The others are what is
not needed: threads of four processes, each with a connection of its own, which append to one file in the temporary
folder. A writer that waits longer than the history's patience gets an error, which is counted; what is lost is a trial
that was added without an error and is not in the file at the end. With `--write` the rows go to
`benchmarks/results/history-writers.csv`.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from naslib.errors import HistoryError
from naslib.history import Objective, SqliteHistory, State, Trial
from naslib.history.load import load

from .records import RESULTS
from .row_files import append_records, read_as

FILE = RESULTS / "history-writers.csv"
PROCESSES = 4
DRIVER = "one driver"


@dataclass(frozen=True)
class Row:
    """One measurement: `rate` in trials per second, `usual_ms` and `longest_ms` of one call."""

    what: str
    writers: int
    batch: int
    trials: int
    rate: float
    usual_ms: float
    longest_ms: float
    refused: int
    lost: int
    load: float


def trial(number: int) -> Trial:
    """Return a trial as a search on NAS-Bench-201 has them."""
    return Trial(
        number, (1, 2, 3, 4, 0, 1), 200, State.COMPLETE, (91.5, 1.07), 1828.0, number, 7, None, {"epochs": 200}
    )


@dataclass
class Said:
    """What a writer has found: seconds of its calls, numbers that were refused, begin and end by the clock of all."""

    waits: list[float]
    refused: list[int]
    begin: float
    end: float


def _append(path: Path, writer: int, count: int, batch: int, ready: Callable[[], object], said: list[Said]) -> None:
    """Append `count` trials of numbers that no other writer has, once all writers are ready."""
    waits: list[float] = []
    refused: list[int] = []
    first = writer * count
    begin = end = 0.0
    try:
        with closing(SqliteHistory(path)) as history:
            ready()
            begin = time.monotonic()
            for start in range(first, first + count, batch):
                numbers = range(start, min(start + batch, first + count))
                clock = time.monotonic()
                try:
                    if batch == 1:
                        history.add(trial(start))
                    else:
                        history.add_all(map(trial, numbers))
                except HistoryError:
                    refused += numbers
                end = time.monotonic()
                waits.append(end - clock)
    except HistoryError:  # not even opened
        refused += range(first, first + count)
        ready()
    said.append(Said(waits, refused, begin, end))


def _threads(path: str, writers: range, count: int, batch: int, everybody: Any, results: Any) -> None:
    """Be one process: a thread for each writer. They begin when the threads of all processes are ready."""
    said: list[Said] = []
    ready = threading.Barrier(len(writers), everybody.wait).wait
    threads = [threading.Thread(target=_append, args=(Path(path), w, count, batch, ready, said)) for w in writers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    results.put(said)


def measure(writers: int, count: int, batch: int) -> Row:
    """Return what so many writers reach, each with `count` trials of its own in calls of `batch`; 0: one driver."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "history.sqlite"
        with SqliteHistory(path) as history:
            history.describe([Objective("VAL_ACCURACY", True, "%"), Objective("PARAMETERS", False, "M")])
        said: list[Said] = []
        if writers:
            said = _in_processes(path, writers, count, batch)
        else:
            _append(path, 0, count, batch, lambda: None, said)
        there = {one.number for one in load(path)}
    waits = [wait for one in said for wait in one.waits]
    refused = [number for one in said for number in one.refused]
    seconds = max(one.end for one in said) - min(one.begin for one in said if one.waits)
    total = max(1, writers) * count
    return Row(
        what="writers" if writers else DRIVER,
        writers=max(1, writers),
        batch=batch,
        trials=total,
        rate=round((total - len(refused)) / seconds, 1),
        usual_ms=round(1e3 * float(np.median(waits)), 3) if waits else -1.0,
        longest_ms=round(1e3 * max(waits), 1) if waits else -1.0,
        refused=len(refused),
        lost=len(set(range(total)) - set(refused) - there),
        load=round(os.getloadavg()[0], 1),
    )


def _in_processes(path: Path, writers: int, count: int, batch: int) -> list[Said]:
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    shares = np.array_split(np.arange(writers), min(PROCESSES, writers))
    everybody = context.Barrier(len(shares))
    processes = [
        context.Process(
            target=_threads, args=(str(path), range(int(s[0]), int(s[-1]) + 1), count, batch, everybody, results)
        )
        for s in shares
    ]
    for process in processes:
        process.start()
    said = [one for _ in processes for one in results.get()]
    for process in processes:
        process.join()
    return said


def table_of(rows: Sequence[Row] | None = None) -> str:
    """Return one line per measurement."""
    rows = read_as(Row, FILE) if rows is None else rows
    lines = [
        "| what writes | trials per call | trials | trials/s | a call, ms: usual, longest | refused | lost | load |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        who = DRIVER if row.what == DRIVER else f"{row.writers:,} connections"
        lines.append(
            f"| {who} | {row.batch} | {row.trials:,} | {row.rate:,.0f} | {row.usual_ms:.3g}, {row.longest_ms:,.0f} "
            f"| {row.refused:,} | {row.lost:,} | {row.load:.0f} |"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.history_writers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--writers", type=int, nargs="+", default=[0, 8, 64, 1000], help="how many; 0: one driver")
    parser.add_argument("--trials", type=int, default=10_000, help="of all writers together")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 100], help="trials per call")
    parser.add_argument("--write", action="store_true", help="keep the rows in benchmarks/results")
    options = parser.parse_args(arguments)
    rows = []
    for writers in options.writers:
        for batch in options.batches:
            count = -(-options.trials // max(1, writers))
            if batch > count and batch != min(options.batches):
                continue
            rows.append(measure(writers, count, batch))
            print(rows[-1], flush=True)
            if options.write:
                append_records(Row, rows[-1:], FILE)
    print(table_of(rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
