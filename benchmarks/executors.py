"""How busy workers are, with stragglers, told by number and by arrival: in processes and on a local cluster of Ray.

    python -m benchmarks.executors --write

Trials sleep: what is measured is the search, not the processors. Their seconds are drawn from the number of the trial,
one in eight takes eight times as long. `busy` is the share of their time that workers have a trial, from when all have
had one until the last trial begins: while trials are left. `start` is what it takes until then, most of it imports in
processes that are new. With `--write` the rows go to
`benchmarks/results/executors.csv`.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from naslib.evaluators import Evaluator, TrialSearch, make_executor
from naslib.evaluators.base import never
from naslib.history import MemoryHistory, Objective, Outcome, Trial
from naslib.optimizers import OPTIMIZERS
from naslib.search_spaces import NasBench201SearchSpace

from .records import RESULTS
from .row_files import append_records, read_as

FILE = RESULTS / "executors.csv"
METHODS = ("random_search", "regularized_evolution", "nsga2")
KEYWORDS: dict[str, dict[str, Any]] = {
    "regularized_evolution": {"population_size": 10, "sample_size": 3},
    "nsga2": {"population_size": 10},
}
STRAGGLERS, SLOWER = 8, 8.0


@dataclass(frozen=True)
class Row:
    """One search: seconds until all workers have begun, seconds of the whole, and the share that workers were busy."""

    executor: str
    method: str
    tell: str
    workers: int
    trials: int
    start: float
    seconds: float
    busy: float
    load: float


class Sleep(Evaluator):
    """A trial that sleeps, and says from when to when by the clock of the machine.

    Args:
        usual: Seconds of most trials, drawn from half of it to one and a half times.
    """

    objectives = (Objective("sum", True),)
    fidelity = 1

    def __init__(self, usual: float) -> None:
        self.usual = usual

    def evaluate(self, trial: Trial, should_stop: Any = never) -> Outcome:
        """Return the sum of the code."""
        draw = Random(trial.number)
        seconds = self.usual * draw.uniform(0.5, 1.5) * (SLOWER if draw.random() < 1 / STRAGGLERS else 1.0)
        began = time.time()
        time.sleep(seconds)
        return Outcome((float(sum(trial.code)),), time.time() - began, {"began": began})


def measure(executor: str, method: str, tell: str, workers: int, trials: int, usual: float) -> Row:
    """Search once."""
    evaluator = Sleep(usual)
    np.random.seed(0)
    optimizer: Any = OPTIMIZERS.get(method)(**KEYWORDS.get(method, {}))
    optimizer.adapt_search_space(NasBench201SearchSpace(channels=4, cells_per_stage=1), "none", evaluator=evaluator)
    before = time.time()
    with make_executor(evaluator, executor, workers, threads=1) as running:
        search = TrialSearch(optimizer, running, MemoryHistory(), epochs=trials, by_arrival=tell == "by_arrival")
        done = 0
        while search.goes_on(done):
            search.advance(done, never)
            done += 1
        told = search.history.trials()
    spans = [(t.worker, float(t.user["began"]), float(t.user["began"]) + t.seconds) for t in told]
    first, share = busy_share(spans, workers)
    whole = max(end for _, _, end in spans) - before
    return Row(executor, method, tell, workers, trials, first - before, whole, share, os.getloadavg()[0])


def busy_share(spans: Sequence[tuple[int | None, float, float]], workers: int) -> tuple[float, float]:
    """Return when all workers had begun, and the share of their time from then to the last beginning that was busy.

    Args:
        spans: Worker, beginning and end of each trial.
        workers: How many there are.
    """
    begun = [min(start for other, start, _ in spans if other == worker) for worker in {span[0] for span in spans}]
    first, last = max(begun), max(start for _, start, _ in spans)
    busy = sum(max(0.0, min(end, last) - max(start, first)) for _, start, end in spans)
    return first, busy / (workers * (last - first))


def table(path: Path = FILE) -> str:
    """Return the searches, those told by number and by arrival beside each other."""
    rows = {(r.executor, r.method, r.workers, r.trials, r.tell): r for r in read_as(Row, path)}
    lines = [
        "| executor | method | workers, trials | busy, by number | by arrival | seconds, by number | by arrival |",
        "|---|---|---|---|---|---|---|",
    ]
    for executor, method, workers, trials in dict.fromkeys(key[:4] for key in rows):
        if (executor, method, workers, trials, "by_arrival") not in rows:  # the measurement is not over
            continue
        both = [rows[executor, method, workers, trials, tell] for tell in ("by_number", "by_arrival")]
        busy = " | ".join(f"{100 * row.busy:.1f} %" for row in both)
        seconds = " | ".join(f"{row.seconds - row.start:.1f}" for row in both)
        lines.append(f"| {executor} | `{method}` | {workers}, {trials} | {busy} | {seconds} |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure what the command line says, and print it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.executors", description=(__doc__ or "").split("\n")[0])
    add = parser.add_argument
    add("--executors", nargs="+", default=["process", "ray"], help="where (default: process ray)")
    add("--methods", nargs="+", default=list(METHODS), help=f"(default: {' '.join(METHODS)})")
    add("--workers", type=int, default=4, help="(default: 4)")
    add("--trials", type=int, default=60, help="(default: 60)")
    add("--usual", type=float, default=0.5, help="seconds of a usual trial (default: 0.5)")
    add("--write", action="store_true", help=f"append the rows to {FILE.name}")
    given = parser.parse_args(argv)
    for executor in given.executors:
        for method in given.methods:
            for tell in ("by_number", "by_arrival"):
                row = measure(executor, method, tell, given.workers, given.trials, given.usual)
                if given.write:
                    append_records(Row, [row], FILE)
                print(
                    f"{executor:8} {method:22} {tell:10} start {row.start:5.1f} s, {row.seconds:6.1f} s, "
                    f"busy {100 * row.busy:5.1f} %",
                    flush=True,
                )


if __name__ == "__main__":
    main()
