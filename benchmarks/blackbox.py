"""Black-box searches on complete tables: what they find, over many seeds.

    python -m benchmarks.blackbox nb201 --data DIR            # 30 and 150 evaluations, three data sets, 50 seeds
    python -m benchmarks.blackbox seconds --data DIR          # 12,000 simulated seconds, 500 seeds
    python -m benchmarks.blackbox reinforce --data DIR        # the same protocol, three learning rates
    python -m benchmarks.blackbox strategies --data DIR       # the same protocol: evolution and Q-learning, 200 seeds
    python -m benchmarks.blackbox nb101 --data DIR            # 150 evaluations, 100 seeds

`nb201` searches by the validation accuracy after 200 epochs and reports the test accuracy of the best architecture by
validation. `seconds` is the protocol of NAS-Bench-201: the validation accuracy on CIFAR-10 after 12 epochs guides, the
training time is what the table tells, and the architecture found is read after 200 epochs on all data sets. `nb101`
searches by the mean test accuracy, because the table has a validation accuracy for 30,001 cells only. Settings of
`bananas` are those of `configs/bananas.yaml`.

With `--write` every search is a row of `benchmarks/results/blackbox-<what>.csv` as soon as it is over, and searches
that are there are not repeated: the same command goes on after it was stopped, and with more seeds it adds them. The
tables of all that is there are printed at the end.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from naslib.benchmarks import get_dataset_api
from naslib.benchmarks.base import Benchmark
from naslib.optimizers import OPTIMIZERS
from naslib.optimizers.discrete.base import DiscreteOptimizer
from naslib.search_spaces import NasBench101SearchSpace, NasBench201SearchSpace
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.query_metrics import Metric

from .harness import ROOT
from .records import RESULTS
from .row_files import append_records, read_as, two_errors

Keywords = Mapping[str, Any]
Code = tuple[int, ...]
DATASETS = ("cifar10", "cifar100", "ImageNet16-120")
SEEDS = {"nb201": 50, "seconds": 500, "reinforce": 500, "strategies": 200, "nb101": 100}
# The largest value of what guides a search, in percent
TOPS = {"cifar10": 91.60667, "cifar100": 73.49333, "ImageNet16-120": 46.73333}


@dataclass(frozen=True)
class Row:
    """What one search found.

    Attributes:
        dataset: Where the figures are of.
        method: Name of the method.
        evaluations: Architectures evaluated.
        seed: Of everything random.
        guide: What guided the search, of the best architecture by it, in percent.
        test: Test accuracy of the same, in percent.
        cpu_seconds: CPU time of the search, in proportion where it went on.
    """

    dataset: str
    method: str
    evaluations: int
    seed: int
    guide: float
    test: float
    cpu_seconds: float


def methods_of(what: str) -> dict[str, tuple[str, Keywords]]:
    """Return the methods of a protocol with their settings."""
    recommended = yaml.safe_load((ROOT / "configs" / "bananas.yaml").read_text(encoding="utf-8"))["search"]
    model = {key: recommended[key] for key in ("predictor_type", "num_ensemble", "encoding_type")}
    evolution = {"population_size": 20, "sample_size": 10}
    if what == "seconds":
        return {"random": ("rs", {}), "evolution": ("re", {"population_size": 10, "sample_size": 3})}
    if what == "reinforce":
        return {f"reinforce, {rate:g}": ("reinforce", {"arch_learning_rate": rate}) for rate in (0.001, 0.01, 0.1)}
    if what == "strategies":
        genetic = {"population_size": 10, "reevaluate": False}
        hierarchical = {"population_size": 10, "tournament": 0.3}
        learning: Keywords = {"q_rate": 0.1, "schedule_length": 100}
        return {
            "genetic": ("genetic", genetic),
            "hierarchical evolution": ("hierarchical_evolution", hierarchical),
            "q_learning": ("q_learning", {"schedule_length": 100}),
            "q_learning, q_rate .1": ("q_learning", learning),
        }
    trees: dict[str, tuple[str, Keywords]] = {
        "la_mcts, svm": ("la_mcts", {"k": 5}),
        "la_mcts, linear": ("la_mcts", {"k": 5, "partition": "linear"}),
    }
    return {
        "random": ("rs", {}),
        "local search": ("ls", {}),
        "first improvement": ("ls", {"num_init": 1, "query_until_improvement": True}),
        "evolution": ("re", evolution),
        "npenas": ("npenas", model),
        "bananas": ("bananas", {key: value for key, value in recommended.items() if key not in ("epochs", "fidelity")}),
        **(trees if what == "nb201" else {}),
    }


def make(
    method: tuple[str, Keywords], space: Graph, api: Benchmark, dataset: str, seed: int, **keywords: Any
) -> DiscreteOptimizer:
    """Return an adapted optimizer; everything random in it follows from the seed."""
    name, settings = method
    kind: Any = OPTIMIZERS.get(name)
    optimizer: DiscreteOptimizer = kind(**{**settings, **keywords})
    np.random.seed(seed)
    optimizer.adapt_search_space(space, dataset, dataset_api=api)
    return optimizer


def best_after(optimizer: DiscreteOptimizer, evaluations: int) -> list[tuple[float, Code]]:
    """Search, and return value and code of the best architecture after each evaluation."""
    best: list[tuple[float, Code]] = []
    for epoch in range(evaluations):
        optimizer.new_epoch(epoch)
        best.append((optimizer.record.incumbent_value, optimizer.record.incumbent or ()))
    return best


def search_nb201(options: argparse.Namespace, done: set[tuple[str, str, int]]) -> Iterator[list[Row]]:
    """Search by validation accuracy after 200 epochs, for the numbers of evaluations."""
    space = NasBench201SearchSpace(channels=4, cells_per_stage=1)
    api = get_dataset_api("nasbench201", None, options.data)
    for method, dataset, seed in _left(options, options.datasets, done):
        began = time.process_time()
        best = best_after(
            make(methods_of("nb201")[method], space, api, dataset, seed, fidelity=200), max(options.evaluations)
        )
        seconds = (time.process_time() - began) / len(best)
        rows = []
        for count in options.evaluations:
            guide, code = best[count - 1]
            test = float(api.query(code, Metric.TEST_ACCURACY, dataset))
            rows.append(_row(dataset, method, count, seed, guide, test, seconds * count))
        yield rows


def search_seconds(options: argparse.Namespace, done: set[tuple[str, str, int]]) -> Iterator[list[Row]]:
    """Search CIFAR-10 by the 12-epoch validation accuracy until so many seconds of training are spent."""
    space = NasBench201SearchSpace(channels=4, cells_per_stage=1)
    api = get_dataset_api("nasbench201", None, options.data)
    for method, _, seed in _left(options, ("cifar10",), done):
        began = time.process_time()
        optimizer = make(methods_of(options.what)[method], space, api, "cifar10", seed, fidelity=12)
        spent, count = 0.0, 0
        best: tuple[float, Code] = (0.0, ())
        while True:
            optimizer.new_epoch(count)
            record = optimizer.record
            spent += float(api.query(record.latest or (), Metric.TRAIN_TIME, "cifar10", 12))
            if spent > options.budget:  # the last one was not over in time
                break
            count, best = count + 1, (record.incumbent_value, record.incumbent or ())
        seconds = time.process_time() - began
        tests = {dataset: float(api.query(best[1], Metric.TEST_ACCURACY, dataset)) for dataset in DATASETS}
        yield [_row(dataset, method, count, seed, best[0], test, seconds) for dataset, test in tests.items()]


def search_nb101(options: argparse.Namespace, done: set[tuple[str, str, int]]) -> Iterator[list[Row]]:
    """Search NAS-Bench-101 by the mean test accuracy; what guides and what is reported are the same."""
    space = NasBench101SearchSpace()
    api: Any = get_dataset_api("nasbench101", "cifar10", options.data)
    how: Keywords = {"metric": "TEST_ACCURACY", "fidelity": -1}
    for method, dataset, seed in _left(options, ("cifar10",), done):
        began = time.process_time()
        best = best_after(make(methods_of("nb101")[method], space, api, dataset, seed, **how), max(options.evaluations))
        seconds = (time.process_time() - began) / len(best)
        yield [
            _row(dataset, method, count, seed, best[count - 1][0], best[count - 1][0], seconds * count)
            for count in options.evaluations
        ]


SEARCHES = {
    "nb201": search_nb201,
    "seconds": search_seconds,
    "reinforce": search_seconds,
    "strategies": search_seconds,
    "nb101": search_nb101,
}


def _left(
    options: argparse.Namespace, datasets: Sequence[str], done: set[tuple[str, str, int]]
) -> Iterator[tuple[str, str, int]]:
    """Yield what is to be searched: method, data set, seed."""
    for seed in options.seeds:
        for method in options.methods:
            for dataset in datasets:
                if (method, dataset, seed) not in done:
                    yield method, dataset, seed


def _row(dataset: str, method: str, count: int, seed: int, guide: float, test: float, seconds: float) -> Row:
    return Row(dataset, method, count, seed, round(guide, 5), round(test, 5), round(seconds, 3))


# the file and its tables


def path_of(what: str) -> Path:
    """Return the file of a protocol."""
    return RESULTS / f"blackbox-{what}.csv"


def read(path: Path) -> list[Row]:
    """Return the rows of a file; none where there is no file."""
    return read_as(Row, path)


def is_best(row: Row) -> bool:
    """Say whether a search of NAS-Bench-201 found the best row of the table by what guided it."""
    return row.guide > TOPS[row.dataset] - 1e-4


def nb201_table(rows: Sequence[Row]) -> str:
    """Return what the searches of NAS-Bench-201 found, one line per number of evaluations and method."""
    lines = [
        "| evaluations | method | seeds | CIFAR-10 | CIFAR-100 | ImageNet16-120 | validation | found the best row "
        "| CPU s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for count in sorted({row.evaluations for row in rows}):
        for method in methods_of("nb201"):
            found = [[r for r in rows if (r.dataset, r.method, r.evaluations) == (d, method, count)] for d in DATASETS]
            if not all(found):
                continue
            tests = " | ".join(_spread([row.test for row in part]) for part in found)
            valid = " / ".join(f"{np.mean([row.guide for row in part]):.2f}" for part in found)
            hits = " / ".join(f"{np.mean([is_best(row) for row in part]):.0%}" for part in found)
            seconds = np.mean([row.cpu_seconds for part in found for row in part])
            lines.append(
                f"| {count} | {method} | {min(map(len, found))} | {tests} | {valid} | {hits} | {seconds:.2f} |"
            )
    return "\n".join(lines)


def seconds_table(rows: Sequence[Row]) -> str:
    """Return what the searches of 12,000 simulated seconds found, with two standard errors of the mean in brackets."""
    lines = ["| method | seeds | evaluations | CIFAR-10 | CIFAR-100 | ImageNet16-120 |", "|---|---|---|---|---|---|"]
    for method in dict.fromkeys(row.method for row in rows):
        found = [[row for row in rows if (row.dataset, row.method) == (dataset, method)] for dataset in DATASETS]
        cells = []
        for part in found:
            values = [row.test for row in part]
            cells.append(f"{_spread(values)} ({two_errors(values):.2f})")
        count = np.mean([row.evaluations for row in found[0]])
        lines.append(f"| {method} | {len(found[0])} | {count:.0f} | {' | '.join(cells)} |")
    return "\n".join(lines)


def nb101_table(rows: Sequence[Row]) -> str:
    """Return what the searches of NAS-Bench-101 found, as test errors, the best first."""
    found = {method: [row for row in rows if row.method == method] for method in {row.method for row in rows}}
    lines = ["| method | seeds | test error, % | worst seed | CPU s |", "|---|---|---|---|---|"]
    for method, part in sorted(found.items(), key=lambda pair: -float(np.mean([row.test for row in pair[1]]))):
        errors = [100 - row.test for row in part]
        seconds = np.mean([row.cpu_seconds for row in part])
        lines.append(f"| {method} | {len(part)} | {_spread(errors, 3)} | {max(errors):.3f} | {seconds:.1f} |")
    return "\n".join(lines)


TABLES = {
    "nb201": nb201_table,
    "seconds": seconds_table,
    "reinforce": seconds_table,
    "strategies": seconds_table,
    "nb101": nb101_table,
}


def table(what: str) -> str:
    """Return the table of all that was written of a protocol."""
    return TABLES[what](read(path_of(what)))


def _spread(values: Sequence[float] | np.ndarray, digits: int = 2) -> str:
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return f"{np.mean(values):.{digits}f} ± {deviation:.{digits}f}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.blackbox",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", choices=list(SEARCHES))
    parser.add_argument("--data", help="folder of nb201.npz and nb101.npz")
    parser.add_argument(
        "--seeds", type=int, help="how many (nb201: 50, seconds, reinforce: 500, strategies: 200, nb101: 100)"
    )
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--methods", nargs="+", help="some of the methods")
    parser.add_argument("--datasets", nargs="+", default=list(DATASETS), choices=DATASETS)
    parser.add_argument("--evaluations", type=int, nargs="+", help="(nb201: 30 150, nb101: 150)")
    parser.add_argument("--budget", type=float, default=12_000.0, help="simulated seconds of `seconds`")
    parser.add_argument("--write", action="store_true", help="keep the searches in benchmarks/results")
    options = parser.parse_args(arguments)
    known = methods_of(options.what)
    options.methods = options.methods or list(known)
    unknown = sorted(set(options.methods) - set(known))
    if unknown:
        parser.error(f"no method {', '.join(unknown)} (there are: {', '.join(known)})")
    options.seeds = range(options.first_seed, options.first_seed + (options.seeds or SEEDS[options.what]))
    options.evaluations = options.evaluations or {"nb201": [30, 150]}.get(options.what, [150])
    path = path_of(options.what)
    rows = read(path) if options.write else []
    done = {(row.method, row.dataset, row.seed) for row in rows}
    for found in SEARCHES[options.what](options, done):
        rows += found
        if options.write:
            append_records(Row, found, path)
    print(TABLES[options.what](rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
