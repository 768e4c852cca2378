"""Searches without a training on NAS-Bench-201: one zero-cost proxy, or ranks by several.

    python -m benchmarks.training_free --data DIR --write

DIR has `nb201.npz` and `nb201_proxies_full.npz`, whose proxies are of the full-size networks on CIFAR-10. Every method
evaluates 300 architectures by proxies alone; a figure is the CIFAR-10 test accuracy after 200 epochs of the one that it
returns. `random` returns one architecture, drawn at random.

With `--write` every search is a row of `benchmarks/results/training-free.csv`, and searches that are there are not
repeated. The table of all that is there is printed at the end.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np

from naslib.benchmarks import get_dataset_api
from naslib.optimizers import OPTIMIZERS
from naslib.search_spaces import NasBench201SearchSpace
from naslib.search_spaces.core.query_metrics import Metric

from .records import RESULTS
from .row_files import append, made_with, read

FILE = RESULTS / "training-free.csv"
FIELDS = ("method", "evaluations", "seed", "test_accuracy")
_EVOLUTION = {"population_size": 50, "sample_size": 10}
METHODS: dict[str, tuple[str, list[str], dict[str, Any]]] = {
    "random": ("rs", ["flops"], {}),
    "re, flops": ("re", ["flops"], _EVOLUTION),
    "re, synflow": ("re", ["synflow"], _EVOLUTION),
    "re, nwot": ("re", ["nwot"], _EVOLUTION),
    "az_nas, nwot and synflow": ("az_nas", ["nwot", "synflow"], {"population_size": 50}),
    "az_nas, nwot, synflow and epe_nas": ("az_nas", ["nwot", "synflow", "epe_nas"], {"population_size": 50}),
    "az_nas, nwot, synflow and zen": ("az_nas", ["nwot", "synflow", "zen"], {"population_size": 50}),
}


def search(method: str, seed: int, evaluations: int, data: str | None) -> float:
    """Return the test accuracy in percent of what a search without a training finds."""
    name, objectives, keywords = METHODS[method]
    proxies, accuracies = (get_dataset_api("nasbench201", "cifar10", data, kind) for kind in ("proxies", "accuracy"))
    kind: Any = OPTIMIZERS.get(name)
    optimizer = kind(objectives=objectives, fidelity=-1, **keywords)
    np.random.seed(seed)
    optimizer.adapt_search_space(NasBench201SearchSpace(channels=4, cells_per_stage=1), "cifar10", dataset_api=proxies)
    for epoch in range(1 if method == "random" else evaluations):
        optimizer.new_epoch(epoch)
    return float(accuracies.query(optimizer.record.incumbent, Metric.TEST_ACCURACY, "cifar10", -1))


def table(rows: Sequence[dict[str, str]] | None = None) -> str:
    """Return what the searches found, one line per method."""
    rows = read(FILE) if rows is None else rows
    lines = ["| method | evaluations | seeds | test accuracy (%) | worst seed |", "|---|---|---|---|---|"]
    groups = {(row["method"], row["evaluations"]) for row in rows}
    for method, count in sorted(groups, key=lambda group: (int(group[1]), [*METHODS].index(group[0]))):
        found = made_with(rows, {"method": method, "evaluations": count})
        values = np.array([float(row["test_accuracy"]) for row in found])
        mean = f"{values.mean():.2f} ± {values.std(ddof=1) if len(values) > 1 else 0:.2f}"
        lines.append(f"| {method} | {count} | {len(found)} | {mean} | {values.min():.2f} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.training_free",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", help="folder of the tables")
    parser.add_argument("--seeds", type=int, default=50, help="how many")
    parser.add_argument("--evaluations", type=int, default=300)
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--write", action="store_true", help="keep the searches in benchmarks/results")
    options = parser.parse_args(arguments)
    rows = read(FILE) if options.write else []
    done = {(row["method"], row["evaluations"], row["seed"]) for row in rows}
    for method in options.methods:
        for seed in range(options.seeds):
            evaluations = 1 if method == "random" else options.evaluations
            if (method, str(evaluations), str(seed)) in done:
                continue
            value = search(method, seed, options.evaluations, options.data)
            row = dict(zip(FIELDS, (method, str(evaluations), str(seed), f"{value:.4f}"), strict=True))
            rows.append(row)
            if options.write:
                append(FILE, FIELDS, [row])
    print(table(rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
