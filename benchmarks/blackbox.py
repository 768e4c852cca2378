"""Black-box searches on complete tables: what they find, over many seeds.

    python -m benchmarks.blackbox nb201 --data DIR            # 30 and 150 evaluations, three data sets, 50 seeds
    python -m benchmarks.blackbox seconds --data DIR          # 12,000 simulated seconds, 500 seeds
    python -m benchmarks.blackbox nb101 --data DIR            # 150 evaluations, 100 seeds

`nb201` searches by the validation accuracy after 200 epochs and reports the test accuracy of the best architecture by
validation; `hits` is the share of seeds that found the best row of the table by validation. `seconds` is the protocol
of NAS-Bench-201: the validation accuracy on CIFAR-10 after 12 epochs guides, the training time is what the table tells,
and the architecture found is read after 200 epochs on all data sets. `nb101` searches by the mean test accuracy,
because the table has a validation accuracy for 30,001 cells only. With `--write` the summary goes to
`benchmarks/results/blackbox-<what>.csv`, in place of the rows of the same method and data set. Settings of `bananas`
are those of `configs/bananas.yaml`.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
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

Keywords = Mapping[str, Any]
DATASETS = ("cifar10", "cifar100", "ImageNet16-120")


@dataclass(frozen=True)
class Row:
    """What a method found, over all seeds.

    Attributes:
        what: Table and protocol.
        dataset: Where the figures are of.
        method: Name of the method.
        evaluations: Architectures evaluated per seed; their mean where seconds are the budget.
        seeds: Number of seeds.
        first_seed: The first of them.
        valid: Mean validation accuracy of the best by validation, in percent; of what guides the search.
        test: Mean test accuracy of the same, in percent.
        test_std: Standard deviation over seeds.
        test_least: The least test accuracy of a seed.
        hits: Share of seeds that found the best row of the table by what guides the search.
        cpu_seconds: CPU time of one search.
    """

    what: str
    dataset: str
    method: str
    evaluations: float
    seeds: int
    first_seed: int
    valid: float
    test: float
    test_std: float
    test_least: float
    hits: float
    cpu_seconds: float


def methods_of(what: str) -> dict[str, tuple[str, Keywords]]:
    """Return the methods of a protocol with their settings."""
    recommended = yaml.safe_load((ROOT / "configs" / "bananas.yaml").read_text(encoding="utf-8"))["search"]
    model = {key: recommended[key] for key in ("predictor_type", "num_ensemble", "encoding_type")}
    evolution = {"population_size": 20, "sample_size": 10}
    if what == "seconds":
        return {"random": ("rs", {}), "evolution": ("re", {"population_size": 10, "sample_size": 3})}
    return {
        "random": ("rs", {}),
        "local search": ("ls", {}),
        "evolution": ("re", evolution),
        "npenas": ("npenas", model),
        "bananas": ("bananas", {key: value for key, value in recommended.items() if key not in ("epochs", "fidelity")}),
    }


def make(
    method: tuple[str, Keywords], space: Graph, api: Benchmark, dataset: str, seed: int, **keywords: Any
) -> DiscreteOptimizer:
    """Return an adapted optimizer; everything random in it follows from the seed."""
    name, settings = method
    optimizer: Any = OPTIMIZERS.get(name)(**{**settings, **keywords})
    np.random.seed(seed)
    optimizer.adapt_search_space(space, dataset, dataset_api=api)
    return optimizer  # type: ignore[no-any-return]


def found_by(optimizer: DiscreteOptimizer, evaluations: int) -> list[tuple[int, ...]]:
    """Search, and return the best architecture so far after each evaluation."""
    best: list[tuple[int, ...]] = []
    for epoch in range(evaluations):
        optimizer.new_epoch(epoch)
        incumbent = optimizer.record.incumbent
        if incumbent is not None:
            best.append(incumbent)
    return best


def summary(
    what: str,
    dataset: str,
    method: str,
    evaluations: float,
    seeds: Sequence[int],
    guide: np.ndarray,
    test: np.ndarray,
    top: float,
    seconds: float,
) -> Row:
    """Return the row of a method.

    Args:
        what: Table and protocol.
        dataset: Of the figures.
        method: Name of the method.
        evaluations: Per seed.
        seeds: All of them.
        guide: What guided the search, of the best of each seed, `(seeds,)`.
        test: Test accuracy of the same.
        top: The largest value of the guide in the table.
        seconds: CPU time of all searches.
    """
    hits = float((guide >= top - 1e-6).mean())
    figures = [float(guide.mean()), float(test.mean()), float(test.std(ddof=1)), float(test.min())]
    valid, mean, std, least = (round(figure, 3) for figure in figures)
    return Row(
        what, dataset, method, round(evaluations, 1), len(seeds), seeds[0], valid, mean, std, least, round(hits, 3),
        round(seconds / len(seeds), 2),
    )  # fmt: skip


def run_nb201(options: argparse.Namespace) -> list[Row]:
    """Search by validation accuracy after 200 epochs, for the numbers of evaluations."""
    space = NasBench201SearchSpace(channels=4, cells_per_stage=1)
    api, rows = get_dataset_api("nasbench201", None, options.data), []
    everything = np.array(list(space.codec.iterate()))
    for dataset in options.datasets:
        top = float(api.query_batch(everything, Metric.VAL_ACCURACY, dataset).max())
        for method in options.methods:
            began, ends = time.process_time(), []
            for seed in options.seeds:
                optimizer = make(methods_of("nb201")[method], space, api, dataset, seed)
                best = found_by(optimizer, max(options.evaluations))
                ends.append([best[count - 1] for count in options.evaluations])
            seconds = time.process_time() - began
            for place, count in enumerate(options.evaluations):
                codes = np.array([end[place] for end in ends])
                guide, test = (
                    api.query_batch(codes, metric, dataset) for metric in (Metric.VAL_ACCURACY, Metric.TEST_ACCURACY)
                )
                share = seconds * count / max(options.evaluations)
                rows.append(summary("nb201", dataset, method, count, options.seeds, guide, test, top, share))
                print(rows[-1], flush=True)
    return rows


def run_seconds(options: argparse.Namespace) -> list[Row]:
    """Search CIFAR-10 by the 12-epoch validation accuracy until so many seconds of training are spent."""
    space = NasBench201SearchSpace(channels=4, cells_per_stage=1)
    api, rows = get_dataset_api("nasbench201", None, options.data), []
    everything = np.array(list(space.codec.iterate()))
    top = float(api.query_batch(everything, Metric.VAL_ACCURACY, "cifar10", 12).max())
    for method in options.methods:
        began, ends, counts = time.process_time(), [], []
        for seed in options.seeds:
            optimizer = make(methods_of("seconds")[method], space, api, "cifar10", seed, fidelity=12)
            spent, count = 0.0, 0
            while True:
                optimizer.new_epoch(count)
                spent += float(api.query(optimizer.record.latest, Metric.TRAIN_TIME, "cifar10", 12))
                if spent > options.budget:  # the last one was not over in time
                    break
                count += 1
                best = optimizer.record.incumbent
            ends.append(best)
            counts.append(count)
        seconds, codes = time.process_time() - began, np.array(ends)
        guide = api.query_batch(codes, Metric.VAL_ACCURACY, "cifar10", 12)
        for dataset in DATASETS:
            test = api.query_batch(codes, Metric.TEST_ACCURACY, dataset)
            rows.append(
                summary("seconds", dataset, method, float(np.mean(counts)), options.seeds, guide, test, top, seconds)
            )
            print(rows[-1], flush=True)
    return rows


def run_nb101(options: argparse.Namespace) -> list[Row]:
    """Search NAS-Bench-101 by the mean test accuracy; what guides and what is reported are the same."""
    space, rows = NasBench101SearchSpace(), []
    api: Any = get_dataset_api("nasbench101", "cifar10", options.data)
    for method in options.methods:
        began, ends = time.process_time(), []
        for seed in options.seeds:
            optimizer = make(
                methods_of("nb101")[method], space, api, "cifar10", seed, metric="TEST_ACCURACY", fidelity=-1
            )
            found_by(optimizer, max(options.evaluations))
            trajectory = optimizer.record.trajectory
            ends.append([[v for n, v, _ in trajectory if n <= count][-1] for count in options.evaluations])
        seconds = time.process_time() - began
        for place, count in enumerate(options.evaluations):
            test = np.array([end[place] for end in ends])
            share = seconds * count / max(options.evaluations)
            rows.append(summary("nb101", "cifar10", method, count, options.seeds, test, test, 94.3176, share))
            print(rows[-1], flush=True)
    return rows


RUNS = {"nb201": run_nb201, "seconds": run_seconds, "nb101": run_nb101}


def write(rows: Sequence[Row], path: Path) -> None:
    """Put rows into a CSV file, in place of those of the same data set, method and number of evaluations."""
    names = [field.name for field in fields(Row)]
    before = []
    if path.is_file():
        with path.open(encoding="utf-8", newline="") as file:
            before = list(csv.DictReader(file))
    now = [{name: str(value) for name, value in asdict(row).items()} for row in rows]
    new = {_key(row) for row in now}
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows([row for row in before if _key(row) not in new] + now)


def _key(row: Mapping[str, str]) -> tuple[str, ...]:
    evaluations = "" if row["what"] == "seconds" else row["evaluations"]
    return row["what"], row["dataset"], row["method"], evaluations


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=list(RUNS))
    parser.add_argument("--data", help="folder of nb201.npz and nb101.npz")
    parser.add_argument("--seeds", type=int, help="how many (nb201: 50, seconds: 500, nb101: 100)")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--methods", nargs="+", help="some of the methods")
    parser.add_argument("--datasets", nargs="+", default=list(DATASETS), choices=DATASETS)
    parser.add_argument("--evaluations", type=int, nargs="+", help="(nb201: 30 150, nb101: 150)")
    parser.add_argument("--budget", type=float, default=12_000.0, help="simulated seconds of `seconds`")
    parser.add_argument("--write", action="store_true", help="put the summary into benchmarks/results")
    options = parser.parse_args(arguments)
    known = methods_of(options.what)
    options.methods = options.methods or list(known)
    unknown = sorted(set(options.methods) - set(known))
    if unknown:
        parser.error(f"no method {', '.join(unknown)} (there are: {', '.join(known)})")
    count = options.seeds or {"nb201": 50, "seconds": 500, "nb101": 100}[options.what]
    options.seeds = range(options.first_seed, options.first_seed + count)
    options.evaluations = options.evaluations or {"nb201": [30, 150]}.get(options.what, [150])
    rows = RUNS[options.what](options)
    if options.write:
        write(rows, RESULTS / f"blackbox-{options.what}.csv")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
