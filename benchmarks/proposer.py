"""A search by a proposer beside others on the table of digits that comes with naslib, and other searches of the kind.

    python -m benchmarks.proposer                 # appends to benchmarks/results/proposer.csv what it does not have
    python -m benchmarks.proposer --show          # the table of what is there

Each method evaluates `--evaluations` architectures with each of `--seeds` seeds; what counts is the validation accuracy
of the best one seen, the mean of two trainings. `mutations` is a proposer that mutates the parent it is offered.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from naslib.optimizers import OPTIMIZERS
from naslib.optimizers.discrete.proposer import Request
from naslib.search_spaces import NasBench201SearchSpace
from naslib.utils import get_dataset_api

from .harness import ROOT
from .row_files import append, read, two_errors

RESULTS = ROOT / "benchmarks" / "results" / "proposer.csv"
FIELDS = ("method", "seed", "evaluations", "best")


def mutations(request: Request) -> list[Any]:
    """Return mutations of the parent, more than are wanted, by ever more steps: those that were tried are refused."""
    assert request.parent is not None
    rng, found = Random(request.seed), []
    for steps in (1, 2, 3, 6):
        for _ in range(20 * request.n):
            code = request.parent.code
            for _ in range(steps):
                code = request.codec.mutate(code, rng)
            found.append(code)
    return found


METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "random_search": ("random_search", {}),
    "regularized_evolution": ("regularized_evolution", {"population_size": 10, "sample_size": 3}),
    "regularized_evolution, sample_size 1 to 8": (
        "regularized_evolution",
        {"population_size": 10, "sample_size": {"schedule": "linear", "from": 1, "to": 8}},
    ),
    "proposer, untried_neighbours": ("proposer", {}),
    "la_mcts, linear": ("la_mcts", {"partition": "linear", "k": 5}),
    "la_mcts, svm": ("la_mcts", {"partition": "svm", "k": 5}),
    "proposer, mutations": ("proposer", {"proposer": mutations, "population_size": 10, "sample_size": 3}),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, or show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--evaluations", type=int, default=150)
    parser.add_argument("--methods", help="names, separated by semicolons; all if left out")
    parser.add_argument("--csv", type=Path, default=RESULTS)
    parser.add_argument("--show", action="store_true", help="measure nothing")
    given = parser.parse_args(arguments)
    if not given.show:
        done = {(row["method"], row["seed"], row["evaluations"]) for row in read(given.csv)}
        for name in given.methods.split(";") if given.methods else METHODS:
            missing = [s for s in range(given.seeds) if (name, str(s), str(given.evaluations)) not in done]
            rows = [(name, s, given.evaluations, f"{best(name, s, given.evaluations):.4f}") for s in missing]
            append(given.csv, FIELDS, rows)
    print(table(given.csv))


def best(name: str, seed: int, evaluations: int) -> float:
    """Return the best validation accuracy that a method has seen, in percent."""
    method, keywords = METHODS[name]
    np.random.seed(seed)
    optimizer: Any = OPTIMIZERS.get(method)(fidelity=-1, epochs=evaluations, **keywords)
    space = NasBench201SearchSpace(n_classes=10, in_channels=1, channels=8, cells_per_stage=1)
    optimizer.adapt_search_space(space, "digits", dataset_api=get_dataset_api("nasbench201", "digits"))
    for epoch in range(evaluations):
        optimizer.new_epoch(epoch)
    return float(optimizer.record.incumbent_value)


def table(path: Path = RESULTS) -> str:
    """Return means over seeds, with two standard errors."""
    rows = read(path)
    lines = ["| method | seeds | evaluations | best validation accuracy, % |", "|---|---|---|---|"]
    for name in dict.fromkeys(row["method"] for row in rows):
        values = [float(row["best"]) for row in rows if row["method"] == name]
        count = next(row["evaluations"] for row in rows if row["method"] == name)
        lines.append(f"| {name} | {len(values)} | {count} | {statistics.mean(values):.3f} ± {two_errors(values):.3f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
