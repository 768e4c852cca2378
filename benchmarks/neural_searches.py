"""Searches by neural models on NAS-Bench-101: NAO, SemiNAS, BONAS, the neural predictor; random and evolution.

    python -m benchmarks.neural_searches --data DIR --write     # 150 evaluations, 20 seeds, every method in one run

The mean test accuracy guides, as in `benchmarks.blackbox nb101`: the table has a validation accuracy for 30,001 cells
only. Every method has the same seeds and the same number of evaluations; those with 50 random architectures to begin
with begin with the same 50. Every search is a row per number of evaluations in
`benchmarks/results/neural_searches.csv` as soon as it is over, and searches that are there are not repeated.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from naslib.benchmarks import get_dataset_api
from naslib.search_spaces import NasBench101SearchSpace

from . import blackbox
from .blackbox import Keywords, Row, best_after, make
from .records import RESULTS
from .row_files import append_records, two_errors

FILE = RESULTS / "neural_searches.csv"
COUNTS = (50, 100, 150)
# Passes in the first round such that NAO and SemiNAS, which trains twice in a round, take equally many steps of Adam
_SEQUENCES: Keywords = {"num_init": 50, "k": 25, "num_seeds": 20, "surplus": 3, "first_epochs": 500}
METHODS: dict[str, tuple[str, Keywords]] = {
    "random": ("rs", {}),
    "evolution": ("re", {"population_size": 20, "sample_size": 10}),
    "bonas, ei": ("bonas", {}),
    "bonas, ucb": ("bonas", {"acq_fn_type": "ucb"}),
    "nao": ("nao", _SEQUENCES),
    "nao, the first k": ("nao", {**_SEQUENCES, "surplus": 1}),
    "seminas": ("seminas", {**_SEQUENCES, "first_epochs": 250}),
    "neural_predictor": (
        "neural_predictor",
        {"num_init": 100, "pool_size": 2000, "predictor_epochs": 100, "predictor_args": {"batch_size": 10}},
    ),
}
# What is held against what, both with the same seeds
PAIRS = (
    ("nao", "random"),
    ("nao, the first k", "random"),
    ("seminas", "nao"),
    ("bonas, ei", "evolution"),
    ("bonas, ucb", "evolution"),
    ("neural_predictor", "random"),
)


def table(rows: Sequence[Row]) -> str:
    """Return the test errors of all methods with two standard errors of the mean, the best first."""
    found = {method: [row for row in rows if row.method == method] for method in {row.method for row in rows}}
    last = {method: [100 - row.test for row in own if row.evaluations == COUNTS[-1]] for method, own in found.items()}
    lines = [
        f"| method | seeds | {' | '.join(f'{count} evaluations' for count in COUNTS)} | worst seed | CPU s |",
        f"|---|---|{'---|' * len(COUNTS)}---|---|",
    ]
    for method in sorted(found, key=lambda name: float(np.mean(last[name]))):
        cells = []
        for count in COUNTS:
            errors = [100 - row.test for row in found[method] if row.evaluations == count]
            cells.append(f"{np.mean(errors):.3f} ± {two_errors(errors):.3f}")
        seconds = np.mean([row.cpu_seconds for row in found[method] if row.evaluations == COUNTS[-1]])
        lines.append(
            f"| {method} | {len(last[method])} | {' | '.join(cells)} | {max(last[method]):.3f} | {seconds:.1f} |"
        )
    return "\n".join(lines)


def pairs_table(rows: Sequence[Row]) -> str:
    """Return how much less error a method has than another after all evaluations, seed by seed."""
    errors = {(row.method, row.seed): 100 - row.test for row in rows if row.evaluations == COUNTS[-1]}
    lines = ["| method | than | seeds | less error, points | better in |", "|---|---|---|---|---|"]
    for first, second in PAIRS:
        seeds = sorted(seed for method, seed in errors if method == first and (second, seed) in errors)
        gains = np.array([errors[second, seed] - errors[first, seed] for seed in seeds])
        if len(gains):
            less = f"{gains.mean():.3f} ± {two_errors(gains):.3f}"
            lines.append(f"| {first} | {second} | {len(gains)} | {less} | {(gains > 0).sum()} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.neural_searches",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", help="folder of nb101.npz")
    parser.add_argument("--seeds", type=int, default=20, help="how many")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument(
        "--methods", nargs="+", default=list(METHODS), choices=list(METHODS), help="some of the methods"
    )
    parser.add_argument("--write", action="store_true", help=f"keep the searches in {FILE.name}")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    space = NasBench101SearchSpace()
    api: Any = get_dataset_api("nasbench101", "cifar10", options.data)
    rows = blackbox.read(FILE) if options.write else []
    done = {(row.method, row.seed) for row in rows}
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        for method in options.methods:
            if (method, seed) in done:
                continue
            began = time.process_time()
            search = make(METHODS[method], space, api, "cifar10", seed, metric="TEST_ACCURACY", fidelity=-1)
            best = best_after(search, COUNTS[-1])
            seconds = round(time.process_time() - began, 3)
            values = [round(best[count - 1][0], 5) for count in COUNTS]
            new = [
                Row("cifar10", method, count, seed, value, value, seconds)
                for count, value in zip(COUNTS, values, strict=True)
            ]
            rows += new
            if options.write:
                append_records(Row, new, FILE)
    print(table(rows), pairs_table(rows), sep="\n\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
