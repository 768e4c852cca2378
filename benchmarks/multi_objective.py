"""Accuracy and energy on NAS-Bench-201: how much of the true front's area 300 evaluations reach.

    python -m benchmarks.multi_objective --data DIR --write

DIR has `nb201.npz` and `hw_nas_bench_nb201.npz`. The objectives are the accuracy (`--signal`) on CIFAR-10 after 200
epochs and the energy of an inference on the edge GPU of HW-NAS-Bench in mJ. A figure is the hypervolume of the front
that a search has found, over that of the front of all 15,625 architectures, both above 85 % and below 1.05 times the
largest energy on the true front. `nsga2 (Optuna)` is Optuna's `NSGAIISampler` on the six operations as categories.

With `--write` every search is a row of `benchmarks/results/multi-objective.csv` as soon as it is over, and searches
that are there are not repeated. The table of all that is there is printed at the end.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from naslib.benchmarks import get_dataset_api
from naslib.benchmarks.joined import JoinedBenchmark
from naslib.history.pareto import hypervolume
from naslib.optimizers import OPTIMIZERS
from naslib.optimizers.discrete.model_based.improvement import non_dominated
from naslib.search_spaces import NasBench201SearchSpace
from naslib.utils.extras import require

from .records import RESULTS
from .row_files import append, read

FILE = RESULTS / "multi-objective.csv"
FIELDS = ("signal", "method", "evaluations", "seed", "share", "front", "cpu_seconds")
SIGNALS = {"validation": "VAL_ACCURACY", "test": "TEST_ACCURACY"}
ENERGY = "edgegpu_energy"
FLOOR = 85.0  # percent
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "random": ("rs", {}),
    "nsga2": ("nsga2", {}),
    "nsga2 (Optuna)": ("", {}),
    "pareto_search": ("pareto_search", {}),
    "pareto_search, reference_point [85, null]": ("pareto_search", {"reference_point": [FLOOR, None]}),
}


class Truth:
    """The values of all architectures, and the front of them.

    Args:
        data: Folder of the tables.
        signal: Name of the accuracy.
    """

    def __init__(self, data: str | None, signal: str) -> None:
        self.metric = SIGNALS[signal]
        accuracy, energy = (get_dataset_api("nasbench201", "cifar10", data, kind) for kind in ("accuracy", "energy"))
        self.api: Any = JoinedBenchmark(accuracy, [energy])
        self.space = NasBench201SearchSpace(channels=4, cells_per_stage=1)
        codes = list(np.ndindex((5,) * 6))
        names = [self.api.metric_of(name) for name in (self.metric, ENERGY)]
        columns = [self.api.query_batch(np.array(codes), name, "cifar10", 200) for name in names]
        self.merits = np.stack([columns[0], -columns[1]], axis=1)
        self.of = dict(zip(codes, self.merits.tolist(), strict=True))
        front = self.merits[non_dominated(self.merits)]
        self.reference = (FLOOR, 1.05 * float(front[:, 1].min()))
        self.volume = hypervolume(front, self.reference)

    def share(self, merits: np.ndarray) -> float:
        """Return the hypervolume of merits `(n, 2)` over that of the true front."""
        return hypervolume(merits, self.reference) / self.volume


def ours(truth: Truth, method: str, seed: int, evaluations: int) -> np.ndarray:
    """Return the merits of the front that one of our searches has found."""
    name, keywords = METHODS[method]
    kind: Any = OPTIMIZERS.get(name)
    optimizer = kind(objectives=[truth.metric, ENERGY], **keywords)
    np.random.seed(seed)
    optimizer.adapt_search_space(truth.space, "cifar10", dataset_api=truth.api)
    for epoch in range(evaluations):
        optimizer.new_epoch(epoch)
    merits: np.ndarray = optimizer.record.front.merits()
    return merits


def by_optuna(truth: Truth, seed: int, evaluations: int) -> np.ndarray:
    """Return the merits of all that Optuna's sampler has asked for."""
    optuna = require("optuna", "nsga2 (Optuna)")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sampler = optuna.samplers.NSGAIISampler(population_size=30, seed=seed)
        study = optuna.create_study(directions=["maximize", "maximize"], sampler=sampler)
        found = []
        for _ in range(evaluations):
            trial = study.ask()
            code = tuple(trial.suggest_categorical(f"edge {edge}", tuple(range(5))) for edge in range(6))
            found.append(truth.of[code])
            study.tell(trial, found[-1])
    return np.array(found)


def table(rows: Sequence[dict[str, str]] | None = None) -> str:
    """Return what the searches reached, one line per signal and method."""
    rows = read(FILE) if rows is None else rows
    lines = [
        "| accuracy | method | seeds | share of the hypervolume | worst seed | CPU s |",
        "|---|---|---|---|---|---|",
    ]
    for signal in SIGNALS:
        for method in METHODS:
            found = [row for row in rows if (row["signal"], row["method"]) == (signal, method)]
            if not found:
                continue
            shares = np.array([float(row["share"]) for row in found])
            spread = shares.std(ddof=1) if len(shares) > 1 else 0.0
            seconds = np.mean([float(row["cpu_seconds"]) for row in found])
            lines.append(
                f"| {signal} | {method} | {len(found)} | {shares.mean():.4f} ± {spread:.4f} | {shares.min():.4f} "
                f"| {seconds:.1f} |"
            )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.multi_objective",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", help="folder of the tables")
    parser.add_argument("--signal", choices=list(SIGNALS), default="validation")
    parser.add_argument("--seeds", type=int, default=30, help="how many")
    parser.add_argument("--evaluations", type=int, default=300)
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--write", action="store_true", help="keep the searches in benchmarks/results")
    options = parser.parse_args(arguments)
    truth = Truth(options.data, options.signal)
    print(
        f"hypervolume of the true front {truth.volume:.3f}, above {truth.reference[0]:g} and {truth.reference[1]:.4f}"
    )
    rows = read(FILE) if options.write else []
    done = {(row["signal"], row["method"], int(row["evaluations"]), int(row["seed"])) for row in rows}
    for seed in range(options.seeds):
        for method in options.methods:
            if (options.signal, method, options.evaluations, seed) in done:
                continue
            began = time.process_time()
            if METHODS[method][0]:
                merits = ours(truth, method, seed, options.evaluations)
            else:
                merits = by_optuna(truth, seed, options.evaluations)
            row = {
                "signal": options.signal,
                "method": method,
                "evaluations": str(options.evaluations),
                "seed": str(seed),
                "share": f"{truth.share(merits):.6f}",
                "front": str(len(non_dominated(merits))),
                "cpu_seconds": f"{time.process_time() - began:.2f}",
            }
            rows.append(row)
            if options.write:
                append(FILE, FIELDS, [row])
    print(table(rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
