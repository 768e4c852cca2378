"""Multi-fidelity searches and early termination on tables: what they find at equal cost, over many seeds.

    python -m benchmarks.multi_fidelity curves --data DIR     # 5,000 epochs on the curves of SpikeNAS-Bench, 300 seeds
    python -m benchmarks.multi_fidelity seconds --data DIR    # BOHB by 12,000 simulated seconds of NAS-Bench-201, 500

`curves`: every trial is one of the 15,625 trainings of 100 epochs; a promoted trial costs the epochs that are added,
one that is stopped early those that it had. The search ends before the trial that would exceed the budget, and the
architecture found, the best by validation at the highest fidelity reached, is read by its test accuracy. `seconds` is
the protocol of NAS-Bench-201: the validation accuracy on CIFAR-10 after 12 epochs guides, time is what the table tells.
Rows named Optuna are its pruners on the same trainings with random sampling, every level being reported.

With `--write` every search is a row of `benchmarks/results/multi-fidelity-<what>.csv`, and searches that are there are
not repeated. The table of all that is there is printed at the end.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from naslib.benchmarks import get_dataset_api
from naslib.benchmarks.base import Benchmark
from naslib.evaluators import TableEvaluator
from naslib.optimizers import ASHA, BOHB, Hyperband, RandomSearch, RegularizedEvolution, SuccessiveHalving
from naslib.optimizers.discrete.base import DiscreteOptimizer
from naslib.search_spaces import NasBench201SearchSpace
from naslib.search_spaces.core.query_metrics import Metric

from .records import RESULTS
from .row_files import completed, read_as, two_errors

Make = Callable[[], DiscreteOptimizer]
EPOCHS, BUDGET, SECONDS = 100, 5_000, 12_000.0
SEEDS = {"curves": 300, "seconds": 500}
AUTHORS: dict[str, Any] = {"num_samples": 4, "random_fraction": 0.0, "bandwidth_factor": 3.0, "min_bandwidth": 0.3}


@dataclass(frozen=True)
class Row:
    """What one search found.

    Attributes:
        method: Name of the method.
        seed: Of everything random.
        test: Test accuracy of the architecture found, in percent.
        valid: Its validation accuracy after the longest training, in percent.
        fidelity: Epochs after which it was judged.
        trials: Number of trials.
        spent: Epochs or seconds spent.
        cpu_seconds: Time of the search.
    """

    method: str
    seed: int
    test: float
    valid: float
    fidelity: int
    trials: int
    spent: float
    cpu_seconds: float


def stopped(**keywords: Any) -> dict[str, Any]:
    """Return the parts of a search with early termination."""
    return {"early_termination": keywords}


def curve_methods() -> dict[str, Make]:
    """Return the searches on curves by name."""
    evolution: dict[str, Any] = {"population_size": 10, "sample_size": 3}
    prediction, median = stopped(), stopped(rule="median")
    return {
        "random": lambda: RandomSearch(fidelity=EPOCHS),
        "evolution": lambda: RegularizedEvolution(fidelity=EPOCHS, **evolution),
        "sh": lambda: SuccessiveHalving(fidelity=EPOCHS),
        "hyperband": lambda: Hyperband(fidelity=EPOCHS),
        "asha": lambda: ASHA(fidelity=EPOCHS),
        "bohb": lambda: BOHB(fidelity=EPOCHS),
        "bohb, as published": lambda: BOHB(fidelity=EPOCHS, repeats=True),
        "bohb, min_bandwidth .3": lambda: BOHB(fidelity=EPOCHS, min_bandwidth=0.3),
        "random, median rule": lambda: RandomSearch(fidelity=EPOCHS, parts=median),
        "random, prediction": lambda: RandomSearch(fidelity=EPOCHS, parts=prediction),
        "evolution, median rule": lambda: RegularizedEvolution(fidelity=EPOCHS, parts=median, **evolution),
        "evolution, prediction": lambda: RegularizedEvolution(fidelity=EPOCHS, parts=prediction, **evolution),
    }


def second_methods() -> dict[str, Make]:
    """Return the searches by simulated seconds; the table has the end of the 12 epochs alone."""
    common: dict[str, Any] = {"fidelity": 12, "fidelities": [12]}
    return {
        "random": lambda: RandomSearch(fidelity=12),
        "bohb, the authors' flags": lambda: BOHB(**common, **AUTHORS, repeats=True),
        "bohb": lambda: BOHB(**common),
    }


def search(make: Make, table: Benchmark, seed: int, budget: float, by_epochs: bool) -> tuple[Any, float]:
    """Return the record of a search that ends before the trial that would exceed its budget, and what it spent."""
    np.random.seed(seed)
    optimizer = make()
    optimizer.adapt_search_space(NasBench201SearchSpace(channels=4, cells_per_stage=1), "cifar10", dataset_api=table)
    evaluator = TableEvaluator(table, "cifar10", optimizer.metrics, optimizer.fidelity)
    record = optimizer.record
    while True:
        (trial,) = optimizer.ask(1)
        outcome = evaluator.evaluate(trial)
        over = trial.completed(outcome.values, outcome.seconds, outcome.user, outcome.state)
        spent = record.epochs if by_epochs else record.seconds
        if spent + (over.epochs if by_epochs else over.seconds) > budget:
            return record, spent
        optimizer.tell(over)


def curves(make: Make, name: str, table: Benchmark, seed: int) -> Row:
    """Return what a search on curves found."""
    began = time.process_time()
    record, spent = search(make, table, seed, BUDGET, by_epochs=True)
    return _row(record, spent, name, table, seed, began, -1)


def seconds(make: Make, name: str, table: Benchmark, seed: int) -> Row:
    """Return what a search by simulated seconds found."""
    began = time.process_time()
    record, spent = search(make, table, seed, SECONDS, by_epochs=False)
    return _row(record, spent, name, table, seed, began, 200)


def _row(record: Any, spent: float, name: str, table: Benchmark, seed: int, began: float, longest: int) -> Row:
    test, valid = (
        float(table.query(record.incumbent, metric, "cifar10", longest))
        for metric in (Metric.TEST_ACCURACY, Metric.VAL_ACCURACY)
    )
    trials = record.asked - 1  # the last one was too much
    took = time.process_time() - began
    return Row(name, seed, test, valid, record.incumbent_fidelity, trials, float(spent), round(took, 3))


def optuna_pruner(name: str, table: Benchmark, seed: int) -> Row:
    """Return what Optuna finds with one of its pruners, random sampling and the same budget."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    began = time.process_time()
    levels = (1, 4, 11, 33, 100)
    if name.endswith("hyperband"):
        pruner: Any = optuna.pruners.HyperbandPruner(min_resource=1, max_resource=EPOCHS, reduction_factor=3)
    else:
        pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sampler = optuna.samplers.RandomSampler(seed=seed)
        study = optuna.create_study(direction="maximize", sampler=sampler, pruner=pruner, study_name=f"{seed}")
    spent, trials = 0, 0
    best: tuple[int, float, tuple[int, ...]] = (0, -1.0, (0,) * 6)
    while True:
        trial = study.ask()
        code = tuple(trial.suggest_categorical(f"edge{edge}", range(5)) for edge in range(6))
        curve = table.query(code, Metric.VAL_ACCURACY, "cifar10", EPOCHS, True)
        before = 0
        for level in levels:
            if spent + level - before > BUDGET:
                fidelity, _, found = best
                took = round(time.process_time() - began, 3)
                test = float(table.query(found, Metric.TEST_ACCURACY, "cifar10"))
                valid = float(table.query(found, Metric.VAL_ACCURACY, "cifar10"))
                return Row(name, seed, test, valid, fidelity, trials, float(spent), took)
            spent += level - before
            before = level
            best = max(best, (level, curve[level - 1], code), key=lambda entry: entry[:2])
            trial.report(curve[level - 1], level)
            if level < EPOCHS and trial.should_prune():
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                break
        else:
            study.tell(trial, curve[-1])
        trials += 1


OPTUNA = ("Optuna, successive halving", "Optuna, hyperband")


def searches(what: str, data: str | None) -> dict[str, Callable[[int], Row]]:
    """Return what is run, by name: from a seed to what is found."""
    found: dict[str, Callable[[int], Row]] = {}
    if what == "seconds":
        measured = get_dataset_api("nasbench201", "cifar10", data)
        for name, make in second_methods().items():
            found[name] = partial(seconds, make, name, measured)
        return found
    trained = get_dataset_api("spikenas", "cifar10", data)
    for name, make in curve_methods().items():
        found[name] = partial(curves, make, name, trained)
    for name in OPTUNA:
        found[name] = partial(optuna_pruner, name, trained)
    return found


def path_of(what: str) -> Path:
    """Return where the rows of a protocol are."""
    return RESULTS / f"multi-fidelity-{what}.csv"


def read(path: Path) -> list[Row]:
    """Return the rows of a file; none where there is no file."""
    return read_as(Row, path)


def tabulated(rows: Sequence[Row]) -> str:
    """Return a line per method: mean and deviation over the seeds, two standard errors of the mean in brackets."""
    lines = [
        "| method | seeds | trials | test accuracy, % | validation accuracy, % | worst seed | CPU s |",
        "|---|---|---|---|---|---|---|",
    ]
    for method in dict.fromkeys(row.method for row in rows):
        part = [row for row in rows if row.method == method]
        test, valid = np.array([row.test for row in part]), np.array([row.valid for row in part])
        deviation = test.std(ddof=1) if len(part) > 1 else 0.0
        trials, took = (np.mean([getattr(row, name) for row in part]) for name in ("trials", "cpu_seconds"))
        lines.append(
            f"| {method} | {len(part)} | {trials:.0f} | {test.mean():.2f} ± {deviation:.2f} ({two_errors(test):.2f}) "
            f"| {valid.mean():.2f} | {test.min():.2f} | {took:.2f} |"
        )
    return "\n".join(lines)


def table(what: str) -> str:
    """Return the table of all that was written of a protocol."""
    return tabulated(read(path_of(what)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.multi_fidelity",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", choices=list(SEEDS))
    parser.add_argument("--data", help="folder of spikenas.npz and nb201.npz")
    parser.add_argument("--seeds", type=int, help="how many (curves: 300, seconds: 500)")
    parser.add_argument("--methods", nargs="+", help="some of the methods")
    parser.add_argument("--write", action="store_true", help="keep the rows, and do not repeat those that are there")
    given = parser.parse_args(arguments)
    known = searches(given.what, given.data)
    unknown = [name for name in given.methods or () if name not in known]
    if unknown:
        parser.error(f"no method {unknown[0]!r}; there are {', '.join(known)}")
    count = SEEDS[given.what] if given.seeds is None else given.seeds
    jobs = {(name, seed): partial(known[name], seed) for name in given.methods or known for seed in range(count)}
    print(tabulated(completed(Row, ("method", "seed"), jobs, path_of(given.what) if given.write else None)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
