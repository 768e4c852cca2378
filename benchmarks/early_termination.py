"""Early termination on real learning curves: how many epochs it saves, and what is found, over many seeds.

    python -m benchmarks.early_termination spikenas --data DIR     # 100 trials on SpikeNAS-Bench, 50 seeds, minutes
    python -m benchmarks.early_termination darts --data DIR        # 100 trials on 214 cells of DARTS, 600 epochs each

The searches with one method and one seed have the same number of trials, and those of random search the same
architectures in the same order: with a rule, some trainings end early. What is counted is the epochs that all trainings
had, and the regret: how much worse the architecture found is than the best of the table, by validation accuracy (which
the search looks at) and on `spikenas` by test accuracy.

With `--write` every search is a row of `benchmarks/results/early-termination-<set>.csv`, and searches that are there
are not repeated. The table of all that is there is printed at the end.
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
from naslib.evaluators import TableEvaluator
from naslib.optimizers import Hyperband, QLearning, RandomSearch
from naslib.optimizers.discrete.base import DiscreteOptimizer
from naslib.search_spaces import NasBench201SearchSpace, NasBench301SearchSpace
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.query_metrics import Metric

from .records import RESULTS
from .row_files import completed, read_as, two_errors

SEEDS, TRIALS = 50, 100
NONE = "none"
RULES: dict[str, dict[str, Any] | None] = {
    NONE: None,
    "prediction": {},
    "prediction, delta .99": {"delta": 0.99},
    "prediction, delta .999": {"delta": 0.999},
    "prediction, leave-one-out": {"calibration": "leave_one_out"},
    "prediction, ensemble": {"model": "ensemble"},
    "prediction, architecture": {"architecture": True},
    "median": {"rule": "median"},
}


@dataclass(frozen=True)
class Row:
    """What one search found.

    Attributes:
        method: Name of the search.
        rule: What stops trainings.
        seed: Of everything random.
        epochs: That all trainings had.
        stopped: Trials that were stopped.
        valid: Regret by validation accuracy, in points.
        test: Regret by test accuracy, in points; nan where the table has none.
        cpu_seconds: Time of the search.
    """

    method: str
    rule: str
    seed: int
    epochs: int
    stopped: int
    valid: float
    test: float
    cpu_seconds: float


def methods(epochs: int) -> dict[str, Callable[[Any], DiscreteOptimizer]]:
    """Return the searches by name, each a function of its parts."""
    return {
        "random": lambda parts: RandomSearch(fidelity=epochs, parts=parts),
        "q_learning": lambda parts: QLearning(fidelity=epochs, parts=parts, schedule_length=TRIALS, q_rate=0.1),
        "hyperband": lambda parts: Hyperband(fidelity=epochs, parts=parts),
    }


def subject(what: str, data: str | None) -> tuple[Graph, Benchmark, int]:
    """Return the space, its table, and the epochs of a full training."""
    if what == "spikenas":
        space: Graph = NasBench201SearchSpace(channels=4, cells_per_stage=1)
        return space, get_dataset_api("spikenas", "cifar10", data), 100
    space = NasBench301SearchSpace(channels=4)
    return space, get_dataset_api("nasbench301", "cifar10", data, kind="curves"), 600


def best_of(space: Graph, table: Benchmark, metric: Metric, epochs: int) -> float:
    """Return the largest value of a table; nan where it lacks the metric."""
    if not table.has(metric, "cifar10", epochs):
        return float("nan")
    known = table.known_codes(metric, "cifar10", epochs)
    codes = list(space._codec().iterate()) if known is None else known
    return max(float(table.query(code, metric, "cifar10", epochs)) for code in codes)


def search(
    make: Callable[[Any], DiscreteOptimizer],
    names: tuple[str, str],
    subject: tuple[Graph, Benchmark, int],
    best: tuple[float, float],
    seed: int,
) -> Row:
    """Return what a search of `TRIALS` trials found; of several fidelities, of as many epochs as these have."""
    space, table, longest = subject
    rule = RULES[names[1]]
    np.random.seed(seed)
    optimizer = make(None if rule is None else {"early_termination": rule})
    began = time.process_time()
    optimizer.adapt_search_space(space, "cifar10", dataset_api=table)
    evaluator = TableEvaluator(table, "cifar10", optimizer.metrics, optimizer.fidelity)
    record = optimizer.record
    while record.asked < TRIALS if names[0] != "hyperband" else record.epochs < TRIALS * longest // 2:
        (trial,) = optimizer.ask(1)
        outcome = evaluator.evaluate(trial)
        optimizer.tell(trial, outcome.values, user=outcome.user, state=outcome.state)
    if record.incumbent is None:
        raise RuntimeError("no training of this search has ended")
    found = [
        float(table.query(record.incumbent, metric, "cifar10", at)) if top == top else float("nan")
        for metric, at, top in zip((Metric.VAL_ACCURACY, Metric.TEST_ACCURACY), (longest, -1), best, strict=True)
    ]
    took = round(time.process_time() - began, 2)
    valid, test = (round(top - value, 4) for top, value in zip(best, found, strict=True))
    return Row(*names, seed, record.epochs, record.pruned, valid, test, took)


def path_of(what: str) -> Path:
    """Return where the rows of a set are."""
    return RESULTS / f"early-termination-{what}.csv"


def read(path: Path) -> list[Row]:
    """Return the rows of a file; none where there is no file."""
    return read_as(Row, path)


def tabulated(rows: Sequence[Row]) -> str:
    """Return a line per search and rule; in brackets two standard errors of the difference to no rule, seed by seed."""
    lines = [
        "| search | rule | seeds | epochs | saved | stopped | regret, validation | more than without | regret, test | "
        "CPU s |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for method, rule in dict.fromkeys((row.method, row.rule) for row in rows):
        part = [row for row in rows if (row.method, row.rule) == (method, rule)]
        without = {row.seed: row for row in rows if (row.method, row.rule) == (method, NONE)}
        paired = [(row, without[row.seed]) for row in part if row.seed in without]
        saved = 1 - np.mean([row.epochs for row, _ in paired]) / np.mean([row.epochs for _, row in paired])
        more = [row.valid - other.valid for row, other in paired]
        valid, test, stopped, took, epochs = (
            float(np.mean([getattr(row, name) for row in part]))
            for name in ("valid", "test", "stopped", "cpu_seconds", "epochs")
        )
        lines.append(
            f"| {method} | {rule} | {len(part)} | {epochs:,.0f} | {100 * saved:.0f} % | {stopped:.0f} | {valid:.3f} "
            f"| {np.mean(more):+.3f} ({two_errors(more):.3f}) | {'' if test != test else f'{test:.3f}'} | {took:.1f} |"
        )
    return "\n".join(lines)


def table(what: str) -> str:
    """Return the table of all that was written of a set."""
    return tabulated(read(path_of(what)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.early_termination",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", choices=["spikenas", "darts"])
    parser.add_argument("--data", help="folder of spikenas.npz and darts_trained.npz")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="how many")
    parser.add_argument("--methods", nargs="+", default=["random"], help="random, q_learning, hyperband")
    parser.add_argument("--rules", nargs="+", default=list(RULES), help="some of the rules")
    parser.add_argument("--write", action="store_true", help="keep the rows, and do not repeat those that are there")
    given = parser.parse_args(arguments)
    subjects = subject(given.what, given.data)
    space, benchmark, epochs = subjects
    known = methods(epochs)
    unknown = [n for n in given.methods if n not in known] + [n for n in given.rules if n not in RULES]
    if unknown:
        parser.error(f"no {unknown[0]!r}; there are {', '.join([*known, *RULES])}")
    best = (
        best_of(space, benchmark, Metric.VAL_ACCURACY, epochs),
        best_of(space, benchmark, Metric.TEST_ACCURACY, -1),
    )
    searches = {
        (method, rule, seed): partial(search, known[method], (method, rule), subjects, best, seed)
        for method in given.methods
        for rule in given.rules
        for seed in range(given.seeds)
    }
    path = path_of(given.what) if given.write else None
    print(tabulated(completed(Row, ("method", "rule", "seed"), searches, path)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
