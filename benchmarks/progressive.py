"""PNAS on tables: how many evaluations its surrogate saves, over many seeds.

    python -m benchmarks.progressive nb201 --data DIR     # CIFAR-10 of NAS-Bench-201 by nodes, 20 seeds, minutes
    python -m benchmarks.progressive nb101 --data DIR     # NAS-Bench-101 by vertices, 20 seeds, half an hour

Each search has 200 evaluations and a beam of 40 cells. `nb201` is by validation accuracy after 200 epochs, `nb101` by
the mean test accuracy of a cell, as its table has the validation accuracy of few. Searches differ in how the next cells
are chosen among those that the best become by one more block: by the surrogates of the paper, at random, or all of them
one after the other. Beside them, random search and regularized evolution (20, 10) on the whole space.

With `--write` every search is a row of `benchmarks/results/progressive-<table>.csv`, and searches that are there are
not repeated. The table of all that is there is printed at the end.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from naslib.benchmarks import get_dataset_api
from naslib.benchmarks.base import Benchmark
from naslib.optimizers import PNAS, RandomSearch, RegularizedEvolution
from naslib.optimizers.discrete.base import DiscreteOptimizer
from naslib.search_spaces import NasBench101SearchSpace, NasBench201SearchSpace
from naslib.search_spaces.core.graph import Graph

from .records import RESULTS
from .row_files import completed, read_as, two_errors

SEEDS, EVALUATIONS, BEAM = 20, 200, 40
# After how many evaluations the best is kept
MARKS = (25, 50, 75, 100, 125, 150, 175, 200)
BASELINE = "random choice"


@dataclass(frozen=True)
class Row:
    """What one search found.

    Attributes:
        method: Name of the method.
        seed: Of everything random.
        best: Largest value after the evaluations of `MARKS`, with `/` between them, in percent.
        changes: When the best changed, and to what: `evaluations:value` with `/` between them.
        cpu_seconds: Time of the search.
    """

    method: str
    seed: int
    best: str
    changes: str
    cpu_seconds: float

    def at(self, evaluations: int) -> float:
        """Return the largest value after so many evaluations."""
        pairs = [entry.split(":") for entry in self.changes.split("/")]
        return max(float(value) for count, value in pairs if int(count) <= evaluations)


def methods(keywords: dict[str, Any]) -> dict[str, Callable[[], DiscreteOptimizer]]:
    """Return the searches by name."""

    def pnas(**own: Any) -> Callable[[], DiscreteOptimizer]:
        return lambda: PNAS(beam_size=BEAM, **own, **keywords)

    return {
        "mlp, ensemble of 5": pnas(),
        "mlp, one that learns on": pnas(ensemble=1),
        "lstm, one that learns on": pnas(ensemble=1, surrogate="lstm"),
        BASELINE: pnas(surrogate="random"),
        "every cell": pnas(surrogate="all"),
        "random search": lambda: RandomSearch(**keywords),
        "regularized evolution": lambda: RegularizedEvolution(population_size=20, sample_size=10, **keywords),
    }


def subject(what: str, data: str | None) -> tuple[Graph, Benchmark, dict[str, Any]]:
    """Return the space, its table, and what the search is by."""
    if what == "nb201":
        space: Graph = NasBench201SearchSpace(channels=4, cells_per_stage=1)
        return space, get_dataset_api("nasbench201", "cifar10", data), {"fidelity": 200}
    keywords = {"fidelity": -1, "metric": "TEST_ACCURACY"}
    return NasBench101SearchSpace(), get_dataset_api("nasbench101", "cifar10", data), keywords


def search(make: Callable[[], DiscreteOptimizer], name: str, space: Graph, table: Benchmark, seed: int) -> Row:
    """Return what a search found."""
    np.random.seed(seed)
    optimizer = make()
    began = time.process_time()
    optimizer.adapt_search_space(space, "cifar10", dataset_api=table)
    for epoch in range(EVALUATIONS):
        optimizer.new_epoch(epoch)
    took = round(time.process_time() - began, 2)
    changes = "/".join(f"{count}:{value:.4f}" for count, value, _ in optimizer.record.trajectory)
    row = Row(name, seed, "", changes, took)
    marks = [mark for mark in MARKS if mark <= EVALUATIONS]
    return Row(name, seed, "/".join(f"{row.at(mark):.4f}" for mark in marks), changes, took)


def evaluations_to(rows: Sequence[Row], value: float) -> int | None:
    """Return after how many evaluations the mean over the seeds of the best is as large; None if it never is."""
    for count in range(1, EVALUATIONS + 1):
        if np.mean([row.at(count) for row in rows]) >= value - 1e-9:
            return count
    return None


def path_of(what: str) -> Path:
    """Return where the rows of a table are."""
    return RESULTS / f"progressive-{what}.csv"


def read(path: Path) -> list[Row]:
    """Return the rows of a file; none where there is no file."""
    return read_as(Row, path)


def tabulated(rows: Sequence[Row]) -> str:
    """Return a line per method; in brackets two standard errors of the mean."""
    marks = [mark for mark in MARKS if mark <= EVALUATIONS and mark % 50 == 0]
    lines = [
        f"| next cells | seeds | {' | '.join(f'after {mark}' for mark in marks)} | evaluations to {BASELINE} after "
        f"{EVALUATIONS} | CPU s |",
        "|---" * (len(marks) + 4) + "|",
    ]
    baseline = [row for row in rows if row.method == BASELINE]
    target = float(np.mean([row.at(EVALUATIONS) for row in baseline])) if baseline else float("inf")
    for method in dict.fromkeys(row.method for row in rows):
        part = [row for row in rows if row.method == method]
        cells = []
        for mark in marks:
            best = [row.at(mark) for row in part]
            cells.append(f"{np.mean(best):.3f} ({two_errors(best):.3f})")
        needed = evaluations_to(part, target)
        took = np.mean([row.cpu_seconds for row in part])
        lines.append(
            f"| {method} | {len(part)} | {' | '.join(cells)} | {'more' if needed is None else needed} | {took:.1f} |"
        )
    return "\n".join(lines)


def table(what: str) -> str:
    """Return the table of all that was written of a benchmark."""
    return tabulated(read(path_of(what)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.progressive",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", choices=["nb201", "nb101"])
    parser.add_argument("--data", help="folder of nb201.npz and nb101.npz")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="how many")
    parser.add_argument("--methods", nargs="+", help="some of the methods")
    parser.add_argument("--write", action="store_true", help="keep the rows, and do not repeat those that are there")
    given = parser.parse_args(arguments)
    space, benchmark, keywords = subject(given.what, given.data)
    known = methods(keywords)
    unknown = [name for name in given.methods or () if name not in known]
    if unknown:
        parser.error(f"no method {unknown[0]!r}; there are {', '.join(known)}")
    searches = {
        (name, seed): partial(search, known[name], name, space, benchmark, seed)
        for seed in range(given.seeds)
        for name in given.methods or known
    }
    print(tabulated(completed(Row, ("method", "seed"), searches, path_of(given.what) if given.write else None)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
