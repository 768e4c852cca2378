"""How well neural predictors rank architectures of NAS-Bench-201 that they have not seen.

    python -m benchmarks.neural_predictors --data DIR            # appends to benchmarks/results/neural_predictors.csv
    python -m benchmarks.neural_predictors --data DIR --show     # the table of what is there

Each is fitted to the validation accuracy (CIFAR-10, 200 epochs) of some architectures drawn from all 15,625, and ranks
1,000 others by their test accuracy. What the file has already is not measured again.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from naslib.benchmarks import get_dataset_api
from naslib.predictors.base import Predictor
from naslib.predictors.measures import kendall_tau_b, regret, spearman
from naslib.predictors.neural import BonasPredictor, GCNPredictor, SemiNASPredictor
from naslib.search_spaces.core.query_metrics import Metric
from naslib.search_spaces.nasbench201.codec import NasBench201Codec

from .harness import ROOT
from .row_files import append, read

RESULTS = ROOT / "benchmarks" / "results" / "neural_predictors.csv"
FIELDS = ("predictor", "labels", "seed", "spearman", "kendall", "regret_10", "cpu_seconds")
CODEC = NasBench201Codec()
N_TEST = 1000

PREDICTORS: dict[str, Callable[[int], Predictor]] = {
    "gcn, mse": lambda seed: GCNPredictor(space=CODEC, seed=seed, epochs=100),
    "gcn, hinge_pair": lambda seed: GCNPredictor(space=CODEC, seed=seed, epochs=100, loss="hinge_pair"),
    "gcn, list_mle": lambda seed: GCNPredictor(space=CODEC, seed=seed, epochs=100, loss="list_mle"),
    "bonas": lambda seed: BonasPredictor(space=CODEC, seed=seed),
    "bonas, 300 epochs": lambda seed: BonasPredictor(space=CODEC, seed=seed, epochs=300),
    "nao": lambda seed: SemiNASPredictor(space=CODEC, seed=seed),
    "nao, compact": lambda seed: SemiNASPredictor("compact", space=CODEC, seed=seed),
    "seminas, compact": lambda seed: SemiNASPredictor("compact", semi=True, space=CODEC, seed=seed),
}


def measure(name: str, labels: int, seed: int, data: str) -> dict[str, object]:
    """Return one row: a predictor, fitted to so many labels, on the split of a seed."""
    table = get_dataset_api("nasbench201", "cifar10", data)
    codes = np.array(list(CODEC.iterate()))
    place = np.random.default_rng(seed).permutation(len(codes))
    train, test = codes[place[:labels]], codes[place[-N_TEST:]]
    values = table.query_batch(train, Metric.VAL_ACCURACY, "cifar10")
    true = table.query_batch(test, Metric.TEST_ACCURACY, "cifar10")
    begun = time.process_time()
    predictor = PREDICTORS[name](seed)
    predictor.fit([tuple(code) for code in train.tolist()], values)
    found = predictor.query([tuple(code) for code in test.tolist()])
    seconds = time.process_time() - begun
    figures = (spearman(true, found), kendall_tau_b(true, found), regret(true, found, 10))
    return dict(zip(FIELDS, (name, labels, seed, *(f"{x:.4f}" for x in figures), f"{seconds:.1f}"), strict=True))


def table(rows: Sequence[dict[str, str]]) -> str:
    """Return mean Spearman / Kendall over the seeds, a line per predictor, a column per number of labels."""
    labels = sorted({int(row["labels"]) for row in rows})
    lines = [
        "| predictor | " + " | ".join(f"{n} labels | s of CPU" for n in labels) + " |",
        "|---" * (1 + 2 * len(labels)) + "|",
    ]
    for name in dict.fromkeys(row["predictor"] for row in rows):
        cells = []
        for n in labels:
            kept = [row for row in rows if row["predictor"] == name and int(row["labels"]) == n]
            if not kept:
                cells += ["", ""]
                continue
            rho, tau, cpu = (
                np.mean([float(row[key]) for row in kept]) for key in ("spearman", "kendall", "cpu_seconds")
            )
            cells += [f"{rho:.3f} / {tau:.3f} ({len(kept)})", f"{cpu:.0f}"]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(words: Sequence[str] | None = None) -> int:
    """Measure what is not in the file yet, or show it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="data", help="folder of nb201.npz")
    parser.add_argument("--seeds", type=int, default=2, help="splits, from 0 on")
    parser.add_argument("--labels", type=int, nargs="+", default=[100, 400])
    parser.add_argument("--only", nargs="+", choices=list(PREDICTORS), help="some of the predictors")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--show", action="store_true", help="print the table and measure nothing")
    given = parser.parse_args(words)
    torch.set_num_threads(1)
    rows = read(given.out)
    if not given.show:
        done = {(row["predictor"], int(row["labels"]), int(row["seed"])) for row in rows}
        for labels in given.labels:
            for seed in range(given.seeds):
                for name in given.only or PREDICTORS:
                    if (name, labels, seed) in done:
                        continue
                    row = {key: str(value) for key, value in measure(name, labels, seed, given.data).items()}
                    append(given.out, FIELDS, [row])
                    rows.append(row)
    print(table(rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
